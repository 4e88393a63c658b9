package scheduler

// gate bounds the messages of several chunks that have begun and not ended. The
// peer keeps what it has of each until its last chunk comes, and if its window
// is full of such parts none of them can: nothing would move any more.
//
// A message is let in while all that are in progress fit the limit with it, and
// always if there is no other. Who is next is found as among chunks, by the
// finish time of the whole message in a virtual time of its own, so that
// streams have their shares by weight also if the gate lets in one at a time.
// Only the next may go in, so small messages cannot keep a large one out.
//
// The streams that wait lend their weights to those in progress: a stream of
// messages of one chunk, which never waits, gets no more for it.
type gate struct {
	waiting heap   // of the messages at the front of their streams
	now     uint64 // virtual time of messages

	inside    int    // messages in progress
	held      int    // their bytes
	lending   uint64 // weights of the streams that wait
	borrowing uint64 // weights of the streams with a message in progress
}

// await has the message at the front of a flow wait for the gate.
func (q *queue) await(f *flow) {
	q.refresh(f)
	q.arrivals++
	f.due += uint64(f.peek().size) * scale / f.weight //nolint:gosec // a size
	f.counts = f.weight
	q.gate.lending += f.counts
	q.gate.waiting.push(head{finish: f.due, arrival: q.arrivals, flow: f})
}

// letIn gives the messages that fit a place among those that are sent. They
// begin at the present time: the turns that have passed meanwhile were lent.
func (q *queue) letIn() {
	g := &q.gate
	for len(g.waiting) > 0 {
		next := g.waiting[0]
		f := next.flow
		size := f.peek().size
		if limit := q.scheduler.limit.Load(); g.inside > 0 && limit > 0 && int64(size) > limit-int64(g.held) {
			return
		}
		g.waiting.pop()
		if int64(next.finish-g.now) > 0 { //nolint:gosec // it may have started again at 0
			g.now = next.finish
		}
		g.lending -= f.counts
		g.borrowing += f.counts
		g.inside++
		g.held += size
		f.holds = size
		q.heads.push(q.headOf(f, q.now))
	}
}

// leave ends the message that a flow has in progress.
func (g *gate) leave(f *flow) {
	if f.holds == 0 {
		return
	}
	g.inside--
	g.held -= f.holds
	g.borrowing -= f.counts
	f.holds = 0
}

// weight is the weight of a flow with its part of what is lent.
func (g *gate) weight(f *flow) uint64 {
	if f.holds == 0 || g.lending == 0 {
		return f.weight
	}

	return f.weight * (g.borrowing + g.lending) / g.borrowing
}
