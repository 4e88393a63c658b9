package webrtc

import (
	"maps"
	"slices"
	"sync"

	"github.com/pion/sctp"
)

// budget is how many bytes all channels of an association together may have
// queued. It counts what is given to the association, and asks for what has
// been acknowledged only when the limit seems to be reached; so a message costs
// one lock.
type budget struct {
	limit int

	mu      sync.Mutex
	queued  int            // never less than the association has
	writing int            // bytes that are being given to the association
	written int            // bytes that were given to it, ever
	waiting map[waiter]int // how many senders
}

// waiter is a channel in which senders wait for room.
type waiter interface{ acknowledged() }

// reserve takes room for n bytes. If it is granted, done has to follow when the
// association has them. alone grants it also to a message above the limit, when
// nothing else is queued.
func (b *budget) reserve(assoc *sctp.Association, n int, alone bool) (ok bool, queued int) {
	b.mu.Lock()
	if b.queued+n > b.limit {
		written := b.written
		b.mu.Unlock()
		amount := assoc.BufferedAmount()
		b.mu.Lock()
		// What was given to the association meanwhile may be counted twice, and
		// is never left out.
		b.queued = amount + b.writing + b.written - written
	}
	defer b.mu.Unlock()
	if b.queued+n > b.limit && !(alone && b.queued == 0) {
		return false, b.queued
	}
	b.queued += n
	b.writing += n

	return true, b.queued
}

// done tells that the association has the n bytes, or has refused them.
func (b *budget) done(n int, accepted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing -= n
	if accepted {
		b.written += n
	} else {
		b.queued -= n
	}
}

// await has w told of room until leave is called, as often as await was.
func (b *budget) await(w waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(map[waiter]int)
	}
	b.waiting[w]++
}

func (b *budget) leave(w waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[w]--; b.waiting[w] == 0 {
		delete(b.waiting, w)
	}
}

// acknowledged is called for every acknowledgement of the peer's. Senders are
// told when a quarter is free, rather than for every packet.
func (b *budget) acknowledged(assoc *sctp.Association) {
	b.mu.Lock()
	waiting := slices.Collect(maps.Keys(b.waiting))
	b.mu.Unlock()
	if len(waiting) == 0 || assoc.BufferedAmount() > b.limit-b.limit/4 {
		return
	}
	for _, w := range waiting {
		w.acknowledged()
	}
}
