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

	// changes counts the changes of weights, so that a queue needs the lock
	// only after one.
	changes atomic.Uint64
}

// New returns a scheduler in which all streams weigh the same.
func New() *Scheduler { return &Scheduler{weights: map[uint16]uint16{}} }

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

// Forget gives a stream the default weight again. It is for a stream that has
// ended, so that the next one with its number begins as a new one; data that
// is still queued is sent all the same.
func (s *Scheduler) Forget(id uint16) { s.SetWeight(id, DefaultWeight) }

func (s *Scheduler) weight(id uint16) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if weight, ok := s.weights[id]; ok {
		return uint64(weight)
	}

	return DefaultWeight
}
