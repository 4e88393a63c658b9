package peer

import (
	"context"
	"sync"
	"time"
)

// Event is a change of a layer on one side.
type Event struct {
	At    time.Time `json:"at"`
	Side  string    `json:"side"`
	Layer string    `json:"layer"`
	Text  string    `json:"text"`
}

// Recorder notes what happens on one side.
type Recorder struct {
	side string
	emit func(Event)

	mu      sync.Mutex
	noted   map[[2]string]bool
	changed chan struct{} // closed at the next note
}

// NewRecorder passes each event to emit. "a" is the side that offers, "b" the
// one that answers.
func NewRecorder(side string, emit func(Event)) *Recorder {
	return &Recorder{side: side, emit: emit, noted: map[[2]string]bool{}, changed: make(chan struct{})}
}

// Note may be called from every handler.
func (r *Recorder) Note(layer, text string) {
	// Without the monotonic clock, which two processes do not share.
	r.emit(Event{At: time.Now().Round(0), Side: r.side, Layer: layer, Text: text})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted[[2]string{layer, text}] = true
	close(r.changed)
	r.changed = make(chan struct{})
}

// Await returns when something has been noted. A start may return before the
// handler of its last state has been called; who shows the events waits for
// that, so that the next layer stands after it.
func (r *Recorder) Await(ctx context.Context, layer, text string) error {
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

// Silent is a recorder for programs that show no events.
func Silent() *Recorder { return NewRecorder("", func(Event) {}) }
