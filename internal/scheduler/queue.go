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
// The association's lock guards it: pion/sctp holds that over every call.
// https://www.rfc-editor.org/rfc/rfc8260#section-3.6
type queue struct {
	scheduler *Scheduler
	flows     map[uint16]*flow // of the streams that have chunks here
	heads     []head           // a binary heap, the earliest at 0
	now       uint64           // virtual time
	arrivals  uint64           // of chunks at the head of their stream
	spare     []*flow
}

var _ sctp.InterleavingStreamScheduler = (*queue)(nil)

// flow is the chunks of one stream.
type flow struct {
	id      uint16
	chunks  []sctp.StreamSchedulerChunk // from first on
	first   int
	weight  uint64
	changes uint64 // of the scheduler's, when weight was read
}

// head stands for the first chunk of a flow.
type head struct {
	finish  uint64
	arrival uint64 // of equal finish times the first to come is served
	flow    *flow
}

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
	if f := q.flows[id]; f != nil {
		f.push(chunk)

		return
	}
	f := q.newFlow(id)
	f.push(chunk)
	q.flows[id] = f
	q.heads = append(q.heads, q.headOf(f, q.now))
	q.up(len(q.heads) - 1)
}

// Peek returns the chunk to send next, nil if there is none. It changes
// nothing: until a Push or Pop it is always the same, whatever becomes of the
// weights.
func (q *queue) Peek() sctp.StreamSchedulerChunk {
	if len(q.heads) == 0 {
		return nil
	}

	return q.heads[0].flow.peek()
}

// Pop takes out the chunk that Peek has returned. For any other it is an
// error, and nothing changes.
func (q *queue) Pop(chunk sctp.StreamSchedulerChunk) error {
	if len(q.heads) == 0 {
		return sctp.ErrUnexpectedQState
	}
	earliest := q.heads[0]
	f := earliest.flow
	if f.peek() != chunk {
		return sctp.ErrUnexpectedChunkPoppedStream
	}
	f.pop()
	q.now = earliest.finish
	if f.size() > 0 {
		q.heads[0] = q.headOf(f, earliest.finish)
	} else {
		last := len(q.heads) - 1
		q.heads[0] = q.heads[last]
		q.heads[last] = head{}
		q.heads = q.heads[:last]
		q.release(f)
	}
	q.down()

	return nil
}

// headOf computes when the first chunk of a flow is through if it begins at
// start.
func (q *queue) headOf(f *flow, start uint64) head {
	if changes := q.scheduler.changes.Load(); changes != f.changes {
		// The counter is read before the weight: a change in between is seen
		// at the next chunk.
		f.changes, f.weight = changes, q.scheduler.weight(f.id)
	}
	q.arrivals++

	return head{
		finish:  start + uint64(f.peek().UserDataLen())*scale/f.weight,
		arrival: q.arrivals,
		flow:    f,
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
	f.id, f.changes = id, q.scheduler.changes.Load()
	f.weight = q.scheduler.weight(id)

	return f
}

func (q *queue) release(f *flow) {
	delete(q.flows, f.id)
	if len(q.flows) == 0 {
		q.now, q.arrivals = 0, 0
		if cap(q.heads) > maxSpareChunks { // many streams at once, this time
			q.heads, q.flows = nil, map[uint16]*flow{}
		}
	}
	if len(q.spare) < maxSpare && cap(f.chunks) <= maxSpareChunks {
		q.spare = append(q.spare, f)
	}
}

// before compares times that may have started again at 0.
func (h head) before(other head) bool {
	if h.finish != other.finish {
		return int64(h.finish-other.finish) < 0
	}

	return int64(h.arrival-other.arrival) < 0
}

// up moves a head towards the top of the heap.
func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.heads[i].before(q.heads[parent]) {
			return
		}
		q.heads[i], q.heads[parent] = q.heads[parent], q.heads[i]
		i = parent
	}
}

// down moves the top of the heap to its place.
func (q *queue) down() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.heads); child++ {
			if q.heads[child].before(q.heads[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.heads[i], q.heads[least] = q.heads[least], q.heads[i]
		i = least
	}
}

func (f *flow) size() int { return len(f.chunks) - f.first }

func (f *flow) peek() sctp.StreamSchedulerChunk { return f.chunks[f.first] }

func (f *flow) push(chunk sctp.StreamSchedulerChunk) {
	if len(f.chunks) == cap(f.chunks) && f.first > len(f.chunks)/2 {
		// More than half is used up: that room instead of new.
		n := copy(f.chunks, f.chunks[f.first:])
		clear(f.chunks[n:])
		f.chunks, f.first = f.chunks[:n], 0
	}
	f.chunks = append(f.chunks, chunk)
}

func (f *flow) pop() {
	f.chunks[f.first] = nil
	if f.first++; f.first == len(f.chunks) {
		f.chunks, f.first = f.chunks[:0], 0
	}
}
