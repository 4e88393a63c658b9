package webrtc

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is acknowledged goes from the front, and what is left costs what its
// messages do: the same as a list of them all.
func TestQueuedSizes(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var q queuedSizes
		var all []int64
		sent, acked := int64(0), int64(0)
		for range 2000 {
			if random.IntN(2) == 0 {
				for range random.IntN(20) {
					size := 1 + random.Int64N([]int64{1, 3, 2000}[seed%3])
					all = append(all, size)
					q.push(size)
					sent += size
				}
			} else {
				acked += random.Int64N(sent - acked + 1)
			}
			before := q.cost()
			require.Equal(t, before, q.settle(acked)+q.cost())
			require.Zero(t, q.settle(acked-1), "acknowledgements do not go back")
			bytes, messages, at := int64(0), int64(0), int64(0)
			for _, size := range all {
				at += size
				if left := min(at-acked, size); left > 0 {
					bytes += left
					messages++
				}
			}
			require.Equal(t, bytes+messageOverhead*messages, q.cost())
		}
		require.Equal(t, q.cost(), q.settle(sent))
		require.Zero(t, q.used)
		require.LessOrEqual(t, len(q.runs), keptRuns, "memory of a burst is kept")
	}
}

// Neither messages of one size nor a full ring of others cost an allocation.
func TestQueuedSizesAllocateNothing(t *testing.T) {
	for _, sizes := range []int64{1, 4} {
		var q queuedSizes
		sent := int64(0)
		send := func(n int64) {
			for i := range n {
				q.push(1 + i%sizes)
				sent += 1 + i%sizes
			}
		}
		send(4)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			q.settle(sent - 1)
			send(4)
		}))
	}
}
