package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// event is one line of the time line. It travels over the pipe as JSON.
type event struct {
	At    time.Time `json:"at"`
	Side  string    `json:"side"`
	Layer string    `json:"layer"`
	Text  string    `json:"text"`
}

// recorder notes what happens on one side.
type recorder struct {
	side string
	emit func(event)

	mu      sync.Mutex
	noted   map[[2]string]bool
	changed chan struct{} // closed at the next note
}

func newRecorder(side string, emit func(event)) *recorder {
	return &recorder{side: side, emit: emit, noted: map[[2]string]bool{}, changed: make(chan struct{})}
}

// note may be called from every handler.
func (r *recorder) note(layer, text string) {
	// Without the monotonic clock, which two processes do not share.
	r.emit(event{At: time.Now().Round(0), Side: r.side, Layer: layer, Text: text})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted[[2]string{layer, text}] = true
	close(r.changed)
	r.changed = make(chan struct{})
}

// await returns when something has been noted. A start may return before the
// handler of its last state has been called; the time line waits for that, so
// that it shows the next layer after it.
func (r *recorder) await(ctx context.Context, layer, text string) error {
	for {
		r.mu.Lock()
		noted, changed := r.noted[[2]string{layer, text}], r.changed
		r.mu.Unlock()
		if noted {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// timeline prints the events of both sides in the order of their time.
type timeline struct {
	screen *screen
	zero   time.Time
	hold   time.Duration

	mu      sync.Mutex
	waiting []event
	timer   *time.Timer // nil while nothing waits
}

// held is how long an event waits for an earlier one of the other process.
// Whenever both sides have said that they are done with something, all that
// waits is printed anyway.
const held = 500 * time.Millisecond

// newTimeline begins at zero now.
func newTimeline(s *screen, hold time.Duration) *timeline {
	return &timeline{screen: s, zero: time.Now().Round(0), hold: hold}
}

func (t *timeline) add(e event) {
	t.mu.Lock()
	t.waiting = append(t.waiting, e)
	if t.timer == nil && t.hold > 0 {
		t.timer = time.AfterFunc(t.hold, t.flush)
	}
	t.mu.Unlock()
	if t.hold == 0 {
		t.flush()
	}
}

// flush prints what waits. No event of either side is under way when it is
// called, but when one has waited for long enough.
func (t *timeline) flush() {
	t.mu.Lock()
	events := t.waiting
	t.waiting = nil
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	slices.SortStableFunc(events, func(a, b event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		t.screen.line("%8.1f ms  %s  %-4s  %s",
			float64(e.At.Sub(t.zero))/float64(time.Millisecond), e.Side, e.Layer, e.Text)
	}
}
