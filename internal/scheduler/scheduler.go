package scheduler

import (
	"sync"
	"sync/atomic"

	"github.com/pion/sctp"
)

// DefaultWeight is the weight of a stream that was given none: RFC 8831's
// priority "normal". https://www.rfc-editor.org/rfc/rfc8831#section-6.4
const DefaultWeight = 256

// Scheduler holds the weights of the streams of one transport. Its methods may
// be called by any goroutine, at any time, also from the callbacks of an
// association: its lock is taken for a map access only.
type Scheduler struct {
	mu      sync.Mutex
	weights map[uint16]uint16 // without those that have the default
	// sizes are of messages that are being written, of a stream one at a time.
	// An entry stays, as 0, for the stream's next.
	sizes map[uint16]int

	// changes counts the changes of weights, so that a queue needs the lock
	// only after one.
	changes atomic.Uint64
	// limit is what long messages in progress may have together, in bytes; 0
	// without a gate.
	limit atomic.Int64
	// written is how many of sizes are not 0, so that chunks that are not
	// announced need no lock.
	written atomic.Int64
}

// New returns a scheduler in which all streams weigh the same.
func New() *Scheduler {
	return &Scheduler{weights: map[uint16]uint16{}, sizes: map[uint16]int{}}
}

// Option makes an association use the scheduler. It may be given to several
// associations, as when a handshake is begun anew: they share the weights, and
// each has a queue of its own.
func (s *Scheduler) Option() sctp.AssociationOption {
	return sctp.WithInterleavingOptions(sctp.WithInterleavingStreamSchedulerFactory(
		func() sctp.InterleavingStreamScheduler { return newQueue(s) },
	))
}

// SetWeight gives a stream its weight: streams that have data to send share
// what can be sent in proportion to their weights, counted in bytes of user
// data. A weight of 0 is DefaultWeight. It holds from the next chunk that
// comes to the head of the stream's queue on.
func (s *Scheduler) SetWeight(id, weight uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if weight == 0 || weight == DefaultWeight {
		if _, ok := s.weights[id]; !ok {
			return
		}
		delete(s.weights, id)
	} else {
		s.weights[id] = weight
	}
	s.changes.Add(1)
}

// Forget gives a stream the default weight again, and drops what was announced
// for it. It is for a stream that has ended, so that the next one with its
// number begins as a new one; data that is still queued is sent all the same.
func (s *Scheduler) Forget(id uint16) {
	s.SetWeight(id, DefaultWeight)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setSizeLocked(id, 0)
	delete(s.sizes, id)
}

// SetWindow tells the window that the peer has advertised first, in bytes. Of
// the announced messages so many are in progress at a time as fit a half of
// it, one at least. The other half is for their retransmission, for messages of
// one chunk, and for what the peer has not read.
//
// At 0, and until the first call, there is no limit, and announcements are not
// kept: without interleaving no queue would take them.
func (s *Scheduler) SetWindow(bytes uint32) {
	s.limit.Store((int64(bytes) + 1) / 2)
}

// single is the size up to which messages are not kept account of: they are of
// one chunk with any usual MTU, and of a few that hardly matter with others.
const single = 512

// Announce tells the size of the message that is written to a stream next, in
// bytes. The chunks do not show where a message ends. Of one stream no other
// message may be announced or written before this one is, or is withdrawn; if
// one is all the same, as by a program that has the stream too, messages are
// taken for longer or shorter than they are, and nothing worse.
func (s *Scheduler) Announce(id uint16, size int) {
	if size <= single || s.limit.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setSizeLocked(id, size)
}

// Withdraw takes an announcement back: the message was not written.
func (s *Scheduler) Withdraw(id uint16) { s.announced(id) }

// Write announces a message and writes it.
func (s *Scheduler) Write(stream *sctp.Stream, data []byte, kind sctp.PayloadProtocolIdentifier) (int, error) {
	id := stream.StreamIdentifier()
	s.Announce(id, len(data))
	n, err := stream.WriteSCTP(data, kind)
	if err != nil {
		s.Withdraw(id)
	}

	return n, err
}

// announced takes the size that was announced for a stream; 0 if none was.
func (s *Scheduler) announced(id uint16) int {
	if s.written.Load() == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size := s.sizes[id]
	s.setSizeLocked(id, 0)

	return size
}

func (s *Scheduler) setSizeLocked(id uint16, size int) {
	before := s.sizes[id]
	if before == size {
		return
	}
	switch {
	case before == 0:
		s.written.Add(1)
	case size == 0:
		s.written.Add(-1)
	}
	s.sizes[id] = size
}

func (s *Scheduler) weight(id uint16) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if weight, ok := s.weights[id]; ok {
		return uint64(weight)
	}

	return DefaultWeight
}
