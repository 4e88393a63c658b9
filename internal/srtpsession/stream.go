package srtpsession

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/transport/v5/deadline"
)

// Stream is the queue of the packets that arrive with one SSRC, or with several:
// those of streams that repair it lie among its own, in the order of their arrival.
// https://www.rfc-editor.org/rfc/rfc4588
type Stream struct {
	session *Session
	first   func(header *rtp.Header)
	limit   *deadline.Deadline
	arrived chan struct{} // has one element if something has changed since the reader looked
	packets atomic.Uint64 // that arrived, without those that repair
	types   atomic.Pointer[[maxPayloadType + 1]bool]
	bytes   atomic.Int64 // in the queue

	mu    sync.Mutex
	queue []*Packet // from head on
	head  int
	ended error
	// finished streams count in no budget.
	finished bool
}

// source is where the packets of an SSRC go.
type source struct {
	stream *Stream
	repair bool
}

// NewStream makes a stream that has no SSRC yet. first, if it is not nil, is called
// once with the header of its first packet, as Config's functions are.
func (s *Session) NewStream(first func(header *rtp.Header)) *Stream {
	return &Stream{session: s, first: first, limit: deadline.New(), arrived: make(chan struct{}, 1)}
}

// maxPayloadType is the highest that a header holds.
const maxPayloadType = 127

// Accept has packets of other payload types dropped. Without any, all are taken, as
// before the first call.
func (s *Stream) Accept(payloadTypes []uint8) {
	if len(payloadTypes) == 0 {
		s.types.Store(nil)

		return
	}
	var types [maxPayloadType + 1]bool
	for _, t := range payloadTypes {
		types[t&maxPayloadType] = true
	}
	s.types.Store(&types)
}

// Attach has the packets of an SSRC put into the queue. repair tells that they
// repeat those of another SSRC of the stream.
func (s *Stream) Attach(ssrc uint32, repair bool) error {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if s.session.ended != nil {
		return s.session.ended
	}
	if ended := s.endedWith(); ended != nil {
		return ended
	}
	if other, ok := s.session.sources[ssrc]; ok && other.stream != s {
		return fmt.Errorf("%w: %d", ErrInUse, ssrc)
	}
	s.session.sources[ssrc] = source{s, repair}

	return nil
}

// Detach has the packets of an SSRC go nowhere.
func (s *Stream) Detach(ssrc uint32) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if s.session.sources[ssrc].stream == s {
		delete(s.session.sources, ssrc)
	}
}

// Packets is how many have arrived, without those that repair.
func (s *Stream) Packets() uint64 { return s.packets.Load() }

// Close ends the stream with a cause. What waits is dropped, and what comes later
// is unclaimed.
func (s *Stream) Close(cause error) {
	s.Finish(cause)
	s.mu.Lock()
	left := s.queue[s.head:]
	s.queue, s.head = nil, 0
	for _, p := range left {
		s.accountLocked(p, -1)
		p.Release()
	}
	s.mu.Unlock()
}

// Finish is Close, but what waits can still be taken. It does not count in the
// session's budget any more: it goes with the stream.
func (s *Stream) Finish(cause error) {
	s.end(cause) // first, so that nothing can be attached any more
	s.session.mu.Lock()
	maps.DeleteFunc(s.session.sources, func(_ uint32, of source) bool { return of.stream == s })
	s.session.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		s.finished = true
		s.session.queued.Add(-s.bytes.Load())
	}
}

func (s *Stream) end(cause error) {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = cause
	}
	s.mu.Unlock()
	s.limit.Set(time.Time{}) // its timer
	s.note()
}

func (s *Stream) endedWith() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.ended
}

// note wakes the reader, once for any number of changes.
func (s *Stream) note() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// accountLocked counts the room of a packet that was put into the queue, or taken
// out.
func (s *Stream) accountLocked(p *Packet, sign int64) {
	size := sign * int64(len(p.room))
	s.bytes.Add(size)
	if !s.finished {
		s.session.queued.Add(size)
	}
}

// take puts an authentic packet into the queue. The oldest make room for it.
func (s *Stream) take(packet []byte, header *rtp.Header, repair bool) {
	if types := s.types.Load(); types != nil && !types[header.PayloadType&maxPayloadType] {
		s.session.counters.dropped[wrongType].Add(1)

		return
	}
	s.session.counters.packets.Add(1)
	if !repair && s.packets.Add(1) == 1 && s.first != nil {
		s.first(header)
	}
	p := newPacket(packet, repair)
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()
		s.session.counters.dropped[unclaimed].Add(1)
		p.Release()

		return
	}
	s.accountLocked(p, 1)
	s.pushLocked(p)
	full := len(s.queue)-s.head > s.session.config.MaxQueued
	s.mu.Unlock()
	if full {
		s.pushOut()
	}
	for s.session.queued.Load() > int64(s.session.config.MaxQueuedBytes) && s.session.longest().pushOut() {
	}
	s.note()
}

// pushLocked appends to the queue, in the room that it has if there is some.
func (s *Stream) pushLocked(p *Packet) {
	if len(s.queue) == cap(s.queue) && s.head > len(s.queue)/2 {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, p)
}

// pop takes the oldest packet, nil if there is none.
func (s *Stream) pop() (*Packet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head == len(s.queue) {
		return nil, s.ended
	}
	p := s.queue[s.head]
	s.queue[s.head] = nil
	s.head++
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
		if cap(s.queue) > keptSlots {
			s.queue = nil // a burst's array is not kept
		}
	}
	s.accountLocked(p, -1)

	return p, nil
}

// keptSlots is the largest array of a queue that stays while nothing waits.
const keptSlots = 64

// pushOut drops the oldest packet.
func (s *Stream) pushOut() bool {
	if s == nil {
		return false
	}
	p, _ := s.pop()
	if p == nil {
		return false
	}
	p.Release()
	s.session.counters.dropped[pushedOut].Add(1)

	return true
}

// longest is the stream with the most waiting: so one that nobody reads does not
// cost the others their packets.
func (s *Session) longest() (longest *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.sources {
		if longest == nil || of.stream.bytes.Load() > longest.bytes.Load() {
			longest = of.stream
		}
	}

	return longest
}

// Next takes the next packet, and waits for it until ctx ends or the deadline
// passes. There may be one caller at a time. The error of a deadline is
// os.ErrDeadlineExceeded; that of ctx is its own.
func (s *Stream) Next(ctx context.Context) (*Packet, error) {
	for {
		if err := s.Expired(ctx); err != nil {
			return nil, err
		}
		p, err := s.pop()
		if p != nil || err != nil {
			return p, err
		}
		select {
		case <-s.arrived:
		case <-s.limit.Done():
		case <-ctx.Done():
		}
	}
}

// Expired is the error of a Next whose context has ended, or whose deadline has
// passed, nil otherwise.
func (s *Stream) Expired(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.limit.Done():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// SetDeadline ends a Next that waits, and those to come, at t; the zero time
// lifts it.
func (s *Stream) SetDeadline(t time.Time) {
	s.limit.Set(t)
	if s.endedWith() != nil { // no timer is left behind
		s.limit.Set(time.Time{})
	}
	s.note()
}
