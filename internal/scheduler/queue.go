package scheduler

import (
	"github.com/pion/sctp"
)

const (
	// scale is the virtual time that one byte takes at weight 1. It keeps the
	// division by the weight exact enough for chunks of a few bytes.
	scale = 1 << 16

	// maxSpare is how many emptied flows are kept for the streams that come
	// next, and maxSpareChunks how much room of theirs: a stream that sends a
	// message now and then allocates nothing.
	maxSpare, maxSpareChunks = 8, 64
)

// queue is what one association has to send: weighted fair queueing of the
// self-clocked kind. The chunk at the head of each stream has a finish time,
// which is the time it would be through if every stream had its share of the
// path by itself; the earliest is sent first, and its finish time is the time
// for all. So a stream that was empty begins at the present time and has
// neither credit nor debt, and nothing is kept of it.
//
// A message of several chunks has to be let in before its first one is sent,
// so that the peer has room for the ends of all that have begun; gate.go does
// that. A stream whose next message waits for it has no head here.
//
// The association's lock guards it: pion/sctp holds that over every call, and
// over the Pushes of all chunks of a message together.
// https://www.rfc-editor.org/rfc/rfc8260#section-3.6
type queue struct {
	scheduler *Scheduler
	flows     map[uint16]*flow // of the streams that have chunks here
	heads     heap             // of chunks that may be sent
	now       uint64           // virtual time
	arrivals  uint64           // of chunks at the head of their stream
	gate      gate
	spare     []*flow
}

var _ sctp.InterleavingStreamScheduler = (*queue)(nil)

// flow is the chunks of one stream.
type flow struct {
	id      uint16
	chunks  []entry // from first on
	first   int
	weight  uint64
	changes uint64 // of the scheduler's, when weight was read
	missing int    // bytes of the last message that are still to be pushed

	// What follows is the gate's.
	due    uint64 // virtual time of messages at which the last one that was let in is through
	holds  int    // bytes of the message that is in progress; 0 if it is of one chunk
	counts uint64 // weight with which the flow is in one of the gate's sums
}

// entry is a chunk, and the size of the message that it begins: continues, if
// it begins none, and whole if it is one by itself.
type entry struct {
	chunk sctp.StreamSchedulerChunk
	size  int
}

const (
	continues = 0
	whole     = -1
)

func newQueue(s *Scheduler) *queue {
	q := &queue{scheduler: s}
	q.Reset()

	return q
}

// Reset drops all chunks. The weights stay: pion/sctp resets a queue before
// its first use as well, when channels may have set theirs already.
func (q *queue) Reset() {
	*q = queue{scheduler: q.scheduler, flows: map[uint16]*flow{}}
}

// Push adds a chunk to the end of its stream. A marker of a stream's reset is
// a chunk of no bytes, and keeps its place like any other.
func (q *queue) Push(chunk sctp.StreamSchedulerChunk) {
	id := chunk.StreamIdentifier()
	f := q.flows[id]
	if f != nil {
		f.push(entry{chunk, q.sizeAt(f, chunk)})

		return
	}
	f = q.newFlow(id)
	f.push(entry{chunk, q.sizeAt(f, chunk)})
	q.flows[id] = f
	if f.peek().size > 0 {
		q.await(f)
		q.letIn()
	} else {
		q.heads.push(q.headOf(f, q.now))
	}
}

// sizeAt finds the size of the message that a new chunk begins. A message that
// was not announced, as those that a program writes past us, is taken for as
// many as it has chunks. If what is pushed is not what was announced, sizes are
// wrong until the stream has nothing to send, and no longer.
func (q *queue) sizeAt(f *flow, chunk sctp.StreamSchedulerChunk) int {
	n := chunk.UserDataLen()
	if f.missing > 0 && n > 0 {
		f.missing -= min(n, f.missing)

		return continues
	}
	f.missing = 0
	if n == 0 {
		return whole
	}
	size := q.scheduler.announced(f.id)
	if size <= n {
		return whole
	}
	f.missing = size - n

	return size
}

// Peek returns the chunk to send next, nil if there is none. It changes
// nothing: until a Push or Pop it is always the same, whatever becomes of the
// weights.
func (q *queue) Peek() sctp.StreamSchedulerChunk {
	if len(q.heads) == 0 {
		return nil
	}

	return q.heads[0].flow.peek().chunk
}

// Pop takes out the chunk that Peek has returned. For any other it is an
// error, and nothing changes.
func (q *queue) Pop(chunk sctp.StreamSchedulerChunk) error {
	if len(q.heads) == 0 {
		return sctp.ErrUnexpectedQState
	}
	earliest := q.heads[0]
	f := earliest.flow
	if f.peek().chunk != chunk {
		return sctp.ErrUnexpectedChunkPoppedStream
	}
	f.pop()
	q.now = earliest.finish
	if f.size() > 0 && f.peek().size == continues {
		q.heads.replace(q.headOf(f, q.now))

		return nil
	}
	q.gate.leave(f)
	switch {
	case f.size() == 0:
		q.heads.pop()
		q.release(f)
	case f.peek().size == whole:
		f.due = q.gate.now
		q.heads.replace(q.headOf(f, q.now))
	default:
		q.heads.pop()
		q.await(f)
	}
	q.letIn()

	return nil
}

// headOf computes when the first chunk of a flow is through if it begins at
// start.
func (q *queue) headOf(f *flow, start uint64) head {
	q.refresh(f)
	q.arrivals++

	return head{
		finish:  start + uint64(f.peek().chunk.UserDataLen())*scale/q.gate.weight(f), //nolint:gosec // a length
		arrival: q.arrivals,
		flow:    f,
	}
}

// refresh reads the weight of a flow if any has changed.
func (q *queue) refresh(f *flow) {
	if changes := q.scheduler.changes.Load(); changes != f.changes {
		// The counter is read before the weight: a change in between is seen
		// at the next chunk.
		f.changes, f.weight = changes, q.scheduler.weight(f.id)
	}
}

func (q *queue) newFlow(id uint16) *flow {
	var f *flow
	if last := len(q.spare) - 1; last >= 0 {
		f = q.spare[last]
		q.spare[last] = nil
		q.spare = q.spare[:last]
	} else {
		f = new(flow)
	}
	f.id, f.missing, f.due = id, 0, q.gate.now
	f.changes = q.scheduler.changes.Load()
	f.weight = q.scheduler.weight(id)

	return f
}

func (q *queue) release(f *flow) {
	delete(q.flows, f.id)
	if len(q.flows) == 0 {
		q.now, q.arrivals, q.gate.now = 0, 0, 0
		if cap(q.heads) > maxSpareChunks || cap(q.gate.waiting) > maxSpareChunks { // many streams at once, this time
			q.heads, q.gate.waiting, q.flows = nil, nil, map[uint16]*flow{}
		}
	}
	if len(q.spare) < maxSpare && cap(f.chunks) <= maxSpareChunks {
		q.spare = append(q.spare, f)
	}
}

func (f *flow) size() int { return len(f.chunks) - f.first }

func (f *flow) peek() entry { return f.chunks[f.first] }

func (f *flow) push(e entry) {
	if len(f.chunks) == cap(f.chunks) && f.first > len(f.chunks)/2 {
		// More than half is used up: that room instead of new.
		n := copy(f.chunks, f.chunks[f.first:])
		clear(f.chunks[n:])
		f.chunks, f.first = f.chunks[:n], 0
	}
	f.chunks = append(f.chunks, e)
}

func (f *flow) pop() {
	f.chunks[f.first] = entry{}
	if f.first++; f.first == len(f.chunks) {
		f.chunks, f.first = f.chunks[:0], 0
	}
}
