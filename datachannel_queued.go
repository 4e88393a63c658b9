package webrtc

// queuedSizes are the sizes of the messages that a channel has queued, in their
// order. Messages of one size that follow each other take one entry, so that
// there are few as a rule, and nothing is allocated for a message.
type queuedSizes struct {
	runs        []sizeRun // a ring; its length is a power of two
	first, used int

	bytes    int64 // queued, not acknowledged
	messages int64 // of which something is not acknowledged
	acked    int64 // bytes, ever
	part     int64 // acknowledged bytes of the first message
}

// sizeRun is a number of messages of one size in bytes.
type sizeRun struct{ size, count int64 }

// keptRuns is how long a ring may be that is kept while nothing is queued.
const keptRuns = 8

func (q *queuedSizes) cost() int64 { return q.bytes + messageOverhead*q.messages }

func (q *queuedSizes) push(size int64) {
	q.bytes += size
	q.messages++
	if q.used > 0 {
		if last := q.at(q.used - 1); last.size == size {
			last.count++

			return
		}
	}
	if q.used == len(q.runs) {
		q.grow()
	}
	q.used++
	*q.at(q.used - 1) = sizeRun{size, 1}
}

func (q *queuedSizes) at(i int) *sizeRun { return &q.runs[(q.first+i)&(len(q.runs)-1)] }

func (q *queuedSizes) grow() {
	runs := make([]sizeRun, max(1, 2*len(q.runs)))
	for i := range q.used {
		runs[i] = *q.at(i)
	}
	q.runs, q.first = runs, 0
}

// settle notes how many bytes have been acknowledged, ever, and returns what
// that has freed. The association may acknowledge out of order; what counts is
// how much it still holds, so the first messages are taken for those.
func (q *queuedSizes) settle(acked int64) (freed int64) {
	n := min(acked-q.acked, q.bytes)
	if n <= 0 {
		return 0
	}
	before := q.cost()
	q.acked += n
	q.bytes -= n
	q.part += n
	for q.used > 0 {
		run := q.at(0)
		count := min(run.count, q.part/run.size)
		q.part -= count * run.size
		q.messages -= count
		run.count -= count
		if run.count > 0 {
			break
		}
		q.first = (q.first + 1) & (len(q.runs) - 1)
		q.used--
	}
	if q.used == 0 && len(q.runs) > keptRuns {
		q.runs, q.first = nil, 0
	}

	return before - q.cost()
}
