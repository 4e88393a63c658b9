package webrtc

import (
	"sync"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// acceptQueue holds the channels that the peer has opened until the program
// takes them, or hands them to the program's handler.
type acceptQueue struct {
	mu      sync.Mutex
	limit   int
	waiting []channel
	handler func(channel)
	changed lifecycle.Changes
}

// put adds a channel. It is handed to the handler that is returned, if any.
func (q *acceptQueue) put(c channel) (handler func(channel), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handler != nil {
		return q.handler, true
	}
	if len(q.waiting) >= q.limit {
		return nil, false
	}
	q.waiting = append(q.waiting, c)
	q.changed.Note()

	return nil, true
}

// handled tells whether there is a handler.
func (q *acceptQueue) handled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()

	return q.handler != nil
}

// full tells whether there is no room for another channel, and no handler.
func (q *acceptQueue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()

	return q.handler == nil && len(q.waiting) >= q.limit
}

// take returns the oldest channel if it is wanted, or what to wait for.
func (q *acceptQueue) take(wanted bool) (c channel, changed <-chan struct{}, handled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handler != nil {
		return nil, nil, true
	}
	if wanted && len(q.waiting) > 0 {
		c = q.waiting[0]
		q.waiting = q.waiting[1:]

		return c, nil, false
	}

	return nil, q.changed.Next(), false
}

// handle sets the handler and returns the channels that it has to be given.
func (q *acceptQueue) handle(handler func(channel)) []channel {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.handler = handler
	q.changed.Note()
	if handler == nil {
		return nil
	}
	waiting := q.waiting
	q.waiting = nil

	return waiting
}
