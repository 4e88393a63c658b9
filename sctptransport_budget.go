package webrtc

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// messageOverhead is what a queued message costs beside its data, in bytes: the
// module's chunk of some 210, what its queues and our own need to find it, and
// what the allocator rounds up. A long message is in several chunks, which cost
// a quarter of their data; that is not counted, so that the budgets are what
// programs take them for, bytes.
const messageOverhead = 256

// messageCost is what a message of n bytes takes of the budgets.
func messageCost(n int) int64 { return int64(n) + messageOverhead }

// budget is what the messages that are queued on all channels of an association
// together may cost. A message takes its part before it is given to the
// association, by one atomic operation. What the peer has acknowledged is looked
// for only when the limit seems to be reached: see settle.
type budget struct {
	limit   int
	queued  atomic.Int64 // never less than what is queued costs
	written atomic.Int64 // bytes given to the association, ever
	waiters atomic.Int32 // channels in waiting
	told    []outlet     // acknowledged's own

	mu      sync.Mutex
	outlets map[outlet]struct{} // that may have something queued
	over    []outlet            // of those, the channels that have ended
	waiting map[outlet]int      // how many senders
	settled struct{ written, buffered int64 }
	looks   int // since then
}

// lazyLooks is how often the budget guesses in a row, at most.
const lazyLooks = 64

// association is what has the messages; its amount is what it holds, in bytes.
type association interface{ BufferedAmount() int }

// outlet is a channel, as far as the budget is concerned.
type outlet interface {
	// settle gives back what the peer has acknowledged, and tells whether the
	// outlet takes nothing any more.
	settle() (empty bool)
	// acknowledged tells senders that wait that there may be room.
	acknowledged()
}

// join enters a channel, before it takes anything.
func (b *budget) join(o outlet) {
	b.mu.Lock()
	if b.outlets == nil {
		b.outlets = make(map[outlet]struct{})
	}
	b.outlets[o] = struct{}{}
	over := b.over
	b.over = nil
	b.mu.Unlock()
	for _, o := range over {
		b.ended(o)
	}
}

// ended tells that a channel has ended. What it has queued still costs.
func (b *budget) ended(o outlet) {
	empty := o.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, member := b.outlets[o]; !member {
		return
	}
	if empty {
		delete(b.outlets, o)
	} else {
		b.over = append(b.over, o)
	}
}

// reserve takes room, which release gives back. A sender that waits for it is
// content to be told later, when a sixteenth is free; and its message may be
// above the limit, if nothing else is queued.
func (b *budget) reserve(assoc association, cost int64, waits bool) bool {
	if b.take(cost, false) {
		return true
	}
	if waits && !b.due(assoc) {
		return false
	}
	b.settle(assoc)

	return b.take(cost, waits)
}

func (b *budget) take(cost int64, alone bool) bool {
	for {
		queued := b.queued.Load()
		if queued+cost > int64(b.limit) && (!alone || queued > 0) {
			return false
		}
		if b.queued.CompareAndSwap(queued, queued+cost) {
			return true
		}
	}
}

func (b *budget) release(cost int64) { b.queued.Add(-cost) }

// low tells whether so much is free that senders are told: a sixteenth. Less
// would tell them for every packet; of more, a path with a long round trip
// would see gaps.
func (b *budget) low(queued int64) bool { return queued <= int64(b.limit-b.limit/16) }

// due tells whether it looks as if the budget would be low after settle: if
// what has been acknowledged since the last time had cost the average.
func (b *budget) due(assoc association) bool {
	if b.low(b.queued.Load()) {
		return true
	}
	b.mu.Lock()
	settled := b.settled
	b.looks++
	looks := b.looks
	b.mu.Unlock()
	base, now := settled.buffered+b.written.Load()-settled.written, int64(assoc.BufferedAmount())

	return looks >= lazyLooks || now > base || base == 0 ||
		b.low(int64(float64(b.queued.Load())*float64(now)/float64(base)))
}

// settle takes from every channel what has been acknowledged.
func (b *budget) settle(assoc association) {
	written := b.written.Load()
	buffered := int64(assoc.BufferedAmount())
	b.mu.Lock()
	b.settled.written, b.settled.buffered = written, buffered
	b.looks = 0
	outlets := slices.Collect(maps.Keys(b.outlets))
	b.mu.Unlock()
	for _, o := range outlets {
		o.settle()
	}
}

// await has o told of room until leave is called, as often as await was.
func (b *budget) await(o outlet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(map[outlet]int)
	}
	b.waiting[o]++
	b.waiters.Store(int32(len(b.waiting))) //nolint:gosec // as many as there are channels
}

func (b *budget) leave(o outlet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[o]--; b.waiting[o] == 0 {
		delete(b.waiting, o)
	}
	b.waiters.Store(int32(len(b.waiting))) //nolint:gosec // as in await
}

// acknowledged is called for every acknowledgement of the peer's, by the
// association's own goroutine.
func (b *budget) acknowledged(assoc association) {
	if b.waiters.Load() == 0 || !b.due(assoc) {
		return
	}
	if !b.low(b.queued.Load()) {
		b.settle(assoc)
	}
	b.told = b.tell(b.told[:0])
	clear(b.told)
}

// tell has senders look again. It returns whom it has told, behind buf.
func (b *budget) tell(buf []outlet) []outlet {
	b.mu.Lock()
	buf = slices.AppendSeq(buf, maps.Keys(b.waiting))
	b.mu.Unlock()
	for _, o := range buf {
		o.acknowledged()
	}

	return buf
}
