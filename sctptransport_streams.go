package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// channel is what the transport knows of a data channel.
type channel interface {
	// associated tells that the association is there.
	associated()
	// reap ends a detached channel whose stream both sides have closed, and
	// tells whether the channel has ended.
	reap() (ended bool)
}

// streamTable knows which stream ids are in use, which channels wait for the
// association, and which ones of the peer wait for the program.
type streamTable struct {
	mu       sync.Mutex
	limit    int
	inUse    map[uint16]struct{}
	count    int // channels, also those without an id yet
	client   bool
	ready    bool     // the association is there, and with it the parity
	next     uint32   // the next id of our parity that was never used
	returned []uint16 // ids of our parity that came back, oldest first
	waiting  []channel
	detached []channel // which the program reads and closes by itself
}

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

// maxStreamID is the last stream id: 65535 is reserved.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
const maxStreamID = 65534

var (
	errTooManyChannels = errors.New("too many channels")
	errNoStreamID      = errors.New("no stream id is free")
)

func (s *streamTable) init(limit int) {
	s.limit = limit
	s.inUse = make(map[uint16]struct{})
}

// reserve makes room for one channel, and takes its id if it has one.
func (s *streamTable) reserve(id *uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= s.limit {
		return fmt.Errorf("%w: the limit is %d", errTooManyChannels, s.limit)
	}
	if id != nil {
		if _, used := s.inUse[*id]; used {
			return fmt.Errorf("%w: stream id %d is in use", ErrInvalidArgument, *id)
		}
		s.inUse[*id] = struct{}{}
	}
	s.count++

	return nil
}

// known tells whether an id is in use.
func (s *streamTable) known(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, used := s.inUse[id]

	return used
}

// allocate takes an id for a channel that has none: even for the DTLS client,
// odd for the server. An id that comes back is used again as late as can be:
// the peer has to be done with it, and with the reset of our stream.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
func (s *streamTable) allocate() (uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.next <= maxStreamID; s.next += 2 {
		id := uint16(s.next) //nolint:gosec // bounded by maxStreamID
		if _, used := s.inUse[id]; !used {
			s.inUse[id] = struct{}{}
			s.next += 2

			return id, nil
		}
	}
	for len(s.returned) > 0 {
		id := s.returned[0]
		s.returned = s.returned[1:]
		if _, used := s.inUse[id]; !used {
			s.inUse[id] = struct{}{}

			return id, nil
		}
	}

	return 0, errNoStreamID
}

// release gives a channel's place back, and its id if it had one.
func (s *streamTable) release(id *uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	if id != nil {
		s.freeLocked(*id)
	}
}

// free gives an id back.
func (s *streamTable) free(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freeLocked(id)
}

func (s *streamTable) freeLocked(id uint16) {
	delete(s.inUse, id)
	if s.ready && s.ours(id) && uint32(id) < s.next {
		s.returned = append(s.returned, id)
	}
}

func (s *streamTable) ours(id uint16) bool { return (id%2 == 0) == s.client }

// await calls c.associated once the association is there; now if it is.
func (s *streamTable) await(c channel) {
	s.mu.Lock()
	ready := s.ready
	if !ready {
		s.waiting = append(s.waiting, c)
	}
	s.mu.Unlock()
	if ready {
		c.associated()
	}
}

// forget drops a channel that has ended.
func (s *streamTable) forget(c channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(other channel) bool { return other == c }
	s.waiting = slices.DeleteFunc(s.waiting, same)
	s.detached = slices.DeleteFunc(s.detached, same)
}

// detach remembers a channel that nobody but the program watches.
func (s *streamTable) detach(c channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detached = append(s.detached, c)
}

// reap ends the detached channels that are closed. It is called when a place
// or an id is wanted, since nothing tells when the program closes one.
func (s *streamTable) reap() {
	s.mu.Lock()
	detached := slices.Clone(s.detached)
	s.mu.Unlock()
	for _, c := range detached {
		if c.reap() {
			s.forget(c)
		}
	}
}

// associated settles the parity and returns the channels that waited, in the
// order in which they were made.
func (s *streamTable) associated(client bool) []channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.client = true, client
	if !client {
		s.next = 1
	}
	waiting := s.waiting
	s.waiting = nil

	return waiting
}
