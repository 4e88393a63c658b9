package scheduler

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a chunk of a stream; serial numbers tell the order.
type fake struct {
	sctp.StreamSchedulerChunk // its method that is not exported

	id     uint16
	length int
	reset  bool
	serial int
}

func (c *fake) StreamIdentifier() uint16 { return c.id }
func (c *fake) UserDataLen() int         { return c.length }
func (c *fake) IsStreamReset() bool      { return c.reset }

// next pops the chunk that Peek shows.
func next(t *testing.T, q *queue) *fake {
	t.Helper()
	chunk, ok := q.Peek().(*fake)
	require.True(t, ok)
	require.Same(t, chunk, q.Peek())
	require.NoError(t, q.Pop(chunk))

	return chunk
}

var priorities = []uint16{128, 256, 512, 1024}

// Streams that always have data share in proportion to their weights, however
// long the chunks of each are.
func TestSharesFollowWeights(t *testing.T) {
	for name, lengths := range map[string][]int{
		"full packets":             {1172, 1172, 1172, 1172},
		"the light one's are long": {1172, 600, 100, 20},
		"the heavy one's are long": {20, 100, 600, 1172},
		"single bytes":             {1, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			q := newQueue(s)
			sent := map[uint16]int{}
			for i, weight := range priorities {
				s.SetWeight(uint16(i), weight)
				q.Push(&fake{id: uint16(i), length: lengths[i]})
			}
			all := 0
			for range 50_000 {
				chunk := q.Peek().(*fake)
				q.Push(&fake{id: chunk.id, length: chunk.length})
				require.Same(t, chunk, next(t, q))
				sent[chunk.id] += chunk.length
				all += chunk.length
			}
			for i, weight := range priorities {
				assert.InEpsilon(t, float64(weight)/1920, float64(sent[uint16(i)])/float64(all), 0.05, "weight %d", weight)
			}
		})
	}
}

// A weight that is set while chunks wait holds for all but the first of them.
func TestWeightWhileWaiting(t *testing.T) {
	s := New()
	q := newQueue(s)
	for range 2000 {
		q.Push(&fake{id: 1, length: 1000})
		q.Push(&fake{id: 2, length: 1000})
	}
	count := func() (first int) {
		for range 100 {
			if next(t, q).id == 1 {
				first++
			}
		}

		return first
	}
	assert.Equal(t, 50, count())
	s.SetWeight(1, 3*DefaultWeight)
	assert.InDelta(t, 75, count(), 1)
	s.Forget(1)
	assert.InDelta(t, 50, count(), 1)
	s.SetWeight(2, 64)
	assert.InDelta(t, 80, count(), 1)
	s.SetWeight(2, 0)
	assert.InDelta(t, 50, count(), 1)
	assert.Empty(t, s.weights, "defaults are not kept")
}

// The lightest stream gets through against any number of the heaviest, within
// the time that its weight gives it.
func TestNoStreamStarves(t *testing.T) {
	s := New()
	q := newQueue(s)
	const heavy = 100
	s.SetWeight(0, 1)
	for id := uint16(1); id <= heavy; id++ {
		s.SetWeight(id, math.MaxUint16)
		q.Push(&fake{id: id, length: 1000})
	}
	for range 1000 { // the light one comes late
		chunk := next(t, q)
		q.Push(chunk)
	}
	q.Push(&fake{id: 0, length: 1})
	for n := 0; ; n++ {
		chunk := next(t, q)
		if chunk.id == 0 {
			break
		}
		q.Push(chunk)
		// One byte at weight 1 weighs as much as 65 chunks of each of the others.
		require.LessOrEqual(t, n, heavy*(math.MaxUint16/1000+2))
	}
}

// A stream that was silent has no claim to what the others got meanwhile.
func TestSilenceEarnsNothing(t *testing.T) {
	q := newQueue(New())
	for range 3000 {
		q.Push(&fake{id: 1, length: 1000})
	}
	for range 1000 {
		next(t, q)
	}
	for range 1000 {
		q.Push(&fake{id: 2, length: 1000})
	}
	first := 0
	for range 100 {
		if next(t, q).id == 1 {
			first++
		}
	}
	assert.InDelta(t, 50, first, 1)
}

// Within a stream the order is that of Push, for fragments and the marker of a
// reset alike, and all that was pushed comes out.
func TestOrderWithinStream(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := New()
	q := newQueue(s)
	pushed, popped := map[uint16]int{}, map[uint16]int{}
	waiting := 0
	for range 200_000 {
		if waiting > 0 && random.IntN(100) < 50 {
			chunk := next(t, q)
			require.Equal(t, popped[chunk.id], chunk.serial, "stream %d", chunk.id)
			popped[chunk.id]++
			waiting--

			continue
		}
		if random.IntN(10) == 0 {
			s.SetWeight(uint16(random.IntN(50)), uint16(random.IntN(1<<16)))
		}
		id := uint16(random.IntN(50))
		chunk := &fake{id: id, length: 1 + random.IntN(1200), serial: pushed[id]}
		if random.IntN(20) == 0 {
			chunk.length, chunk.reset = 0, true
		}
		pushed[id]++
		waiting++
		q.Push(chunk)
	}
	for ; waiting > 0; waiting-- {
		chunk := next(t, q)
		require.Equal(t, popped[chunk.id], chunk.serial)
		popped[chunk.id]++
	}
	assert.Equal(t, pushed, popped)
	assert.Nil(t, q.Peek())
}

func TestResetMarkerWaitsForItsStreamAlone(t *testing.T) {
	q := newQueue(New())
	for range 10 {
		q.Push(&fake{id: 1, length: 1000})
		q.Push(&fake{id: 2, length: 1000})
	}
	q.Push(&fake{id: 2, reset: true})
	q.Push(&fake{id: 3, reset: true})
	assert.EqualValues(t, 3, next(t, q).id, "a marker without data before it costs nothing")
	data := 0
	for chunk := next(t, q); !chunk.reset; chunk = next(t, q) {
		if chunk.id == 2 {
			data++
		}
	}
	assert.Equal(t, 10, data)
}

func TestPopOfAnotherChunkChangesNothing(t *testing.T) {
	q := newQueue(New())
	assert.True(t, q.Peek() == nil, "no typed nil: the association would use it")
	require.ErrorIs(t, q.Pop(&fake{}), sctp.ErrUnexpectedQState)
	q.Push(&fake{id: 1, length: 10, serial: 1})
	q.Push(&fake{id: 1, length: 10, serial: 2})
	require.ErrorIs(t, q.Pop(&fake{id: 1, length: 10, serial: 1}), sctp.ErrUnexpectedChunkPoppedStream)
	require.ErrorIs(t, q.Pop(q.flows[1].chunks[1].chunk), sctp.ErrUnexpectedChunkPoppedStream)
	assert.Equal(t, 1, next(t, q).serial)
	assert.Equal(t, 2, next(t, q).serial)
}

// What Peek has shown stays first, although the weights change.
func TestWeightsDoNotMoveHeads(t *testing.T) {
	s := New()
	q := newQueue(s)
	q.Push(&fake{id: 1, length: 100})
	q.Push(&fake{id: 2, length: 200})
	shown := q.Peek()
	s.SetWeight(2, 60000)
	assert.Same(t, shown, q.Peek())
	require.NoError(t, q.Pop(shown))
}

func TestResetDropsChunksAndKeepsWeights(t *testing.T) {
	s := New()
	s.SetWeight(1, 1024)
	q := newQueue(s)
	q.Push(&fake{id: 1, length: 100})
	q.Push(&fake{id: 2, length: 100})
	next(t, q)
	q.Reset()
	assert.Nil(t, q.Peek())
	for range 500 {
		q.Push(&fake{id: 1, length: 100})
		q.Push(&fake{id: 2, length: 100})
	}
	first := 0
	for range 100 {
		if next(t, q).id == 1 {
			first++
		}
	}
	assert.InDelta(t, 80, first, 1)
}

// The virtual time may start again at 0 in the middle of a long transfer.
func TestVirtualTimeWraps(t *testing.T) {
	s := New()
	s.SetWeight(1, 1024)
	q := newQueue(s)
	q.now, q.arrivals = math.MaxUint64-1<<30, math.MaxUint64-100
	sent := map[uint16]int{}
	for id := range uint16(2) {
		q.Push(&fake{id: id, length: 1000})
	}
	wrapped := false
	for range 100_000 {
		chunk := next(t, q)
		q.Push(chunk)
		sent[chunk.id]++
		wrapped = wrapped || q.now < 1<<40
		// It would start at 0 by itself if the queue ever were empty.
	}
	assert.True(t, wrapped)
	assert.InEpsilon(t, 4*sent[0], sent[1], 0.05)
}

// Streams that come and go leave nothing, and cost no allocation.
func TestIdleStreamsCostNothing(t *testing.T) {
	s := New()
	q := newQueue(s)
	for id := range uint16(math.MaxUint16) {
		q.Push(&fake{id: id, length: 10})
	}
	for q.Peek() != nil {
		next(t, q)
	}
	assert.Empty(t, q.flows)
	assert.Nil(t, q.heads, "a burst's room is given back")
	assert.LessOrEqual(t, len(q.spare), maxSpare)
	chunk := &fake{id: 7, length: 10}
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		chunk.id++
		q.Push(chunk)
		_ = q.Pop(chunk)
	}))
}

// One stream that is never empty does not grow its queue.
func TestBusyStreamStaysSmall(t *testing.T) {
	q := newQueue(New())
	for range 100 {
		q.Push(&fake{id: 1, length: 10})
	}
	for range 100_000 {
		q.Push(next(t, q))
	}
	assert.LessOrEqual(t, cap(q.flows[1].chunks), 512)
}

func TestWeightsFromManyGoroutines(t *testing.T) {
	s := New()
	q := newQueue(s)
	var group sync.WaitGroup
	for worker := range uint16(4) {
		group.Go(func() {
			for i := range uint16(2000) {
				s.SetWeight(i%16, i*worker)
				s.Forget(i % 8)
			}
		})
	}
	for i := range 20_000 {
		q.Push(&fake{id: uint16(i % 16), length: 100})
		if i%3 == 0 {
			next(t, q)
		}
	}
	group.Wait()
	for i := range uint16(16) {
		s.Forget(i)
	}
	for q.Peek() != nil {
		next(t, q)
	}
	assert.Empty(t, s.weights)
}
