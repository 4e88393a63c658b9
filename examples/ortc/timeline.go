package main

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// timeline prints the events of both sides in the order of their time.
type timeline struct {
	screen *screen.Screen
	zero   time.Time
	hold   time.Duration

	mu      sync.Mutex
	waiting []peer.Event
	timer   *time.Timer // nil while nothing waits
}

// held is how long an event waits for an earlier one of the other process.
// Whenever both sides have said that they are done with something, all that
// waits is printed anyway.
const held = 500 * time.Millisecond

// newTimeline begins at zero now.
func newTimeline(s *screen.Screen, hold time.Duration) *timeline {
	return &timeline{screen: s, zero: time.Now().Round(0), hold: hold}
}

func (t *timeline) add(e peer.Event) {
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

// fromNote is add, for an event that the other process has noted.
func (t *timeline) fromNote(text json.RawMessage) error {
	var e peer.Event
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	t.add(e)

	return nil
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
	slices.SortStableFunc(events, func(a, b peer.Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		t.screen.Line("%8.1f ms  %s  %-4s  %s",
			float64(e.At.Sub(t.zero))/float64(time.Millisecond), e.Side, e.Layer, e.Text)
	}
}
