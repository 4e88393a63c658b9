package scheduler

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const chunkLength = 1000

// put announces a message, and pushes it as the association would.
func put(q *queue, id uint16, size, serial int) {
	q.scheduler.Announce(id, size)
	for left := size; left > 0; left -= chunkLength {
		q.Push(&fake{id: id, length: min(left, chunkLength), serial: serial})
	}
}

// gated is a queue that lets in so many bytes of long messages.
func gated(limit uint32) (*Scheduler, *queue) {
	s := New()
	s.SetWindow(2 * limit)

	return s, newQueue(s)
}

// begun follows which messages of several chunks are in progress.
type begun struct {
	sizes map[uint16]int // of the message of each stream, all of one size
	left  map[uint16]int
	held  int
	most  int
}

func follow(sizes map[uint16]int) *begun {
	return &begun{sizes: sizes, left: map[uint16]int{}}
}

func (b *begun) popped(chunk *fake) {
	size := b.sizes[chunk.id]
	if size <= chunkLength {
		return
	}
	if b.left[chunk.id] == 0 {
		b.left[chunk.id] = size
		b.held += size
	}
	b.most = max(b.most, b.held)
	if b.left[chunk.id] -= chunk.length; b.left[chunk.id] == 0 {
		b.held -= size
	}
}

// However many streams have long messages, those in progress stay within the
// limit, use it, and all get through; one of any size goes alone.
func TestGateHoldsTheLimit(t *testing.T) {
	for name, row := range map[string]struct {
		limit, size, streams, most int
	}{
		"several fit":          {10_000, 3000, 64, 9000},
		"exactly":              {9000, 3000, 64, 9000},
		"one fits":             {10_000, 6000, 10, 6000},
		"none fits":            {1000, 50_000, 10, 50_000},
		"all fit":              {1 << 20, 4000, 64, 256_000},
		"uneven last chunks":   {10_000, 2001, 20, 8004},
		"a limit of one byte":  {1, 2000, 10, 2000},
		"whole chunks need no": {1, 1000, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, q := gated(uint32(row.limit))
			sizes := map[uint16]int{}
			for round := range 3 {
				for id := range uint16(row.streams) {
					sizes[id] = row.size
					put(q, id, row.size, round)
				}
			}
			b, got := follow(sizes), map[uint16]int{}
			for q.Peek() != nil {
				chunk := next(t, q)
				b.popped(chunk)
				got[chunk.id] += chunk.length
			}
			assert.Equal(t, row.most, b.most)
			assert.Zero(t, b.held)
			for id := range sizes {
				assert.Equal(t, 3*row.size, got[id], "stream %d", id)
			}
			assert.Empty(t, q.flows)
			assert.Zero(t, q.gate.held+q.gate.inside)
			assert.Zero(t, q.gate.lending+q.gate.borrowing)
		})
	}
}

// Without a window nothing waits, and nothing is kept: there may be no queue
// that would take it.
func TestNoWindowNoGate(t *testing.T) {
	s := New()
	for id := range uint16(1000) {
		s.Announce(id, 1<<20)
	}
	assert.Empty(t, s.sizes)
	q := newQueue(s)
	for id := range uint16(10) {
		put(q, id, 5000, 0)
	}
	seen := map[uint16]bool{}
	for range 10 {
		seen[next(t, q).id] = true
	}
	assert.Len(t, seen, 10, "each has its turn")
	s.SetWindow(math.MaxUint32)
	s.SetWindow(0)
	s.Announce(1, 1<<20)
	assert.Empty(t, s.sizes)
}

// Streams whose messages are of one chunk, or not announced, do not wait for
// one of several; nor does what is behind a marker of a reset before its time.
func TestGateLetsOthersPass(t *testing.T) {
	s, q := gated(5000)
	put(q, 1, 5000, 0)
	require.EqualValues(t, 1, next(t, q).id)
	put(q, 2, 5000, 0) // waits
	q.Push(&fake{id: 2, reset: true})
	put(q, 3, 800, 0)
	for range 5 { // a program's own writes
		q.Push(&fake{id: 4, length: chunkLength})
	}
	q.Push(&fake{id: 5, reset: true})
	counts, order := map[uint16]int{}, []uint16{}
	for q.Peek() != nil {
		chunk := next(t, q)
		if chunk.id == 2 {
			require.Equal(t, 4, counts[1], "the first message has ended")
			require.Equal(t, chunk.reset, counts[2] == 5, "the marker is the last")
		}
		counts[chunk.id]++
		order = append(order, chunk.id)
	}
	assert.Equal(t, map[uint16]int{1: 4, 2: 6, 3: 1, 4: 5, 5: 1}, counts)
	assert.EqualValues(t, 5, order[0])
	assert.Contains(t, order[:4], uint16(3), "it is not behind either long one")
	assert.Empty(t, s.sizes[2])
}

// Messages that have to wait go in the order in which they have come, if they
// weigh and measure the same, and within their stream always.
func TestGateKeepsTheOrder(t *testing.T) {
	_, q := gated(4000)
	for serial := range 3 {
		for id := range uint16(5) {
			put(q, id, 4000, serial)
		}
	}
	var begins []uint16
	serials := map[uint16]int{}
	for n := 0; q.Peek() != nil; n++ {
		chunk := next(t, q)
		if n%4 == 0 {
			begins = append(begins, chunk.id)
			require.Equal(t, serials[chunk.id], chunk.serial)
			serials[chunk.id]++
		}
		require.Equal(t, begins[len(begins)-1], chunk.id, "one at a time")
	}
	assert.Equal(t, []uint16{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4}, begins)
}

// A message too large to go beside others is not kept out by smaller ones that
// keep coming.
func TestGateStarvesNoLargeMessage(t *testing.T) {
	s, q := gated(10_000)
	s.SetWeight(0, 128)
	for id := uint16(1); id < 5; id++ {
		s.SetWeight(id, 1024)
		put(q, id, 2000, 0)
	}
	put(q, 0, 10_000, 0)
	for n := 0; ; n++ {
		chunk := next(t, q)
		if chunk.id == 0 {
			break
		}
		if q.flows[chunk.id] == nil || q.flows[chunk.id].size() < 3 {
			put(q, chunk.id, 2000, 0)
		}
		// 10 chunks weigh as much as 80 of each of the others, and some are in progress.
		require.Less(t, n, 4*80+20)
	}
}

// Streams have their shares by weight if the gate is open, if it lets in one
// message at a time, and beside streams that never wait for it.
func TestGateKeepsShares(t *testing.T) {
	for name, row := range map[string]struct {
		limit uint32
		sizes [4]int // of the streams of each weight
	}{
		"single chunks":                 {20_000, [4]int{1000, 1000, 1000, 1000}},
		"open":                          {1 << 20, [4]int{20_000, 20_000, 20_000, 20_000}},
		"one at a time":                 {20_000, [4]int{20_000, 20_000, 20_000, 20_000}},
		"two at a time":                 {40_000, [4]int{20_000, 20_000, 20_000, 20_000}},
		"three at a time":               {60_000, [4]int{20_000, 20_000, 20_000, 20_000}},
		"the light one's are long":      {20_000, [4]int{20_000, 10_000, 5000, 2500}},
		"the heavy one's are long":      {20_000, [4]int{2500, 5000, 10_000, 20_000}},
		"the light one's do not wait":   {20_000, [4]int{900, 20_000, 20_000, 20_000}},
		"the heavy one's do not wait":   {20_000, [4]int{20_000, 20_000, 20_000, 900}},
		"two wait for each other alone": {20_000, [4]int{900, 20_000, 20_000, 900}},
	} {
		t.Run(name, func(t *testing.T) {
			s, q := gated(row.limit)
			for i, weight := range priorities {
				s.SetWeight(uint16(i), weight)
			}
			sent, all := map[uint16]int{}, 0
			for all < 40_000_000 {
				for i, size := range row.sizes {
					for q.flows[uint16(i)] == nil || q.flows[uint16(i)].size() < 50 {
						put(q, uint16(i), size, 0)
					}
				}
				chunk := next(t, q)
				sent[chunk.id] += chunk.length
				all += chunk.length
			}
			for i, weight := range priorities {
				assert.InEpsilon(t, float64(weight)/1920, float64(sent[uint16(i)])/float64(all), 0.05, "weight %d", weight)
			}
		})
	}
}

// Small messages that come one by one have their turn soon, whatever long ones
// are in progress or wait.
func TestSmallMessagesAmongLongOnes(t *testing.T) {
	_, q := gated(2_000_000)
	for id := uint16(1); id <= 10; id++ {
		for range 3 {
			put(q, id, 1_000_000, 0)
		}
	}
	longest, since := 0, 0
	put(q, 0, 100, 0)
	for q.Peek() != nil {
		if chunk := next(t, q); chunk.id != 0 {
			since++

			continue
		}
		longest = max(longest, since)
		since = 0
		if len(q.flows) > 0 {
			put(q, 0, 100, 0)
		}
	}
	assert.LessOrEqual(t, longest, 10, "not more than the other streams' turns")
}

// What was not written leaves no trace, and the next message is taken for what
// it is.
func TestWithdraw(t *testing.T) {
	s, q := gated(10_000)
	s.Announce(1, 9000)
	s.Withdraw(1)
	s.Withdraw(1)
	s.Withdraw(2)
	assert.Zero(t, s.written.Load())
	put(q, 1, 2000, 0)
	put(q, 2, 8000, 0)
	next(t, q)
	assert.Equal(t, 10_000, q.gate.held, "both are in progress, with their own sizes")
	s.Announce(3, 9000)
	s.Forget(3)
	assert.Zero(t, s.written.Load())
	assert.NotContains(t, s.sizes, uint16(3))
}

// Announcements that do not fit what is pushed stop nothing, and are forgotten
// with the stream's last chunk.
func TestWrongAnnouncements(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s, q := gated(10_000)
	waiting := 0
	for range 100_000 {
		id := uint16(random.IntN(20))
		switch random.IntN(5) {
		case 0:
			s.Announce(id, random.IntN(20_000))
		case 1:
			s.Withdraw(id)
		case 2:
			for range random.IntN(6) {
				q.Push(&fake{id: id, length: random.IntN(chunkLength)})
				waiting++
			}
		default:
			for range min(waiting, 2) {
				next(t, q)
				waiting--
			}
		}
		require.Equal(t, waiting == 0, q.Peek() == nil)
	}
	for ; waiting > 0; waiting-- {
		next(t, q)
	}
	assert.Nil(t, q.Peek())
	assert.Empty(t, q.flows)
	assert.Zero(t, q.gate.held+q.gate.inside)
	assert.Zero(t, q.gate.lending+q.gate.borrowing)
}

// A stream that had no long messages for a while, silent or not, has no claim
// to what the others got through the gate meanwhile.
func TestGateSilenceEarnsNothing(t *testing.T) {
	for name, meanwhile := range map[string]int{"silent": 0, "with messages of one chunk": 500} {
		t.Run(name, func(t *testing.T) {
			_, q := gated(5000)
			run := func(chunks, size int) (first int) {
				for range chunks {
					for id := range uint16(2) {
						n := 5000
						if id == 0 {
							n = size
						}
						for n > 0 && (q.flows[id] == nil || q.flows[id].size() < 10) {
							put(q, id, n, 0)
						}
					}
					if next(t, q).id == 0 {
						first++
					}
				}

				return first
			}
			run(20, 5000)
			run(5000, meanwhile)
			run(50, 5000) // what is left of the short ones
			assert.InDelta(t, 500, run(1000, 5000), 20)
		})
	}
}

// Fewer bytes than were announced: the message ends where the stream's reset
// begins, or where it has nothing to send.
func TestAnnouncedTooMuch(t *testing.T) {
	for name, between := range map[string]func(q *queue){
		"reset": func(q *queue) { q.Push(&fake{id: 1, reset: true}) },
		"empty": func(q *queue) { next(t, q) },
	} {
		t.Run(name, func(t *testing.T) {
			s, q := gated(10_000)
			s.Announce(1, 4000)
			q.Push(&fake{id: 1, length: chunkLength})
			require.Equal(t, 4000, q.gate.held)
			between(q)
			put(q, 1, 2000, 1)
			for next(t, q).serial == 0 {
				continue
			}
			assert.Equal(t, 2000, q.gate.held)
			next(t, q)
			assert.Zero(t, q.gate.held)
		})
	}
}

func TestResetEmptiesTheGate(t *testing.T) {
	_, q := gated(5000)
	for id := range uint16(5) {
		put(q, id, 5000, 0)
	}
	next(t, q)
	q.Reset()
	assert.Nil(t, q.Peek())
	put(q, 7, 5000, 0)
	assert.EqualValues(t, 7, next(t, q).id)
	assert.Equal(t, 5000, q.gate.held)
}

// The virtual times may start again at 0 in the middle of a long transfer.
func TestGateTimeWraps(t *testing.T) {
	s, q := gated(5000)
	s.SetWeight(1, 1024)
	q.now, q.gate.now = math.MaxUint64-1<<28, math.MaxUint64-1<<28
	sent := map[uint16]int{}
	for range 100_000 {
		for id := range uint16(2) {
			for q.flows[id] == nil || q.flows[id].size() < 10 {
				put(q, id, 5000, 0)
			}
		}
		sent[next(t, q).id]++
	}
	assert.Less(t, q.gate.now, uint64(1)<<40)
	assert.InEpsilon(t, 4*sent[0], sent[1], 0.05)
}

// A message costs no allocation, also if it has to wait.
func TestGateCostsNoAllocation(t *testing.T) {
	s, q := gated(2000)
	var chunks [3][2]*fake
	for id := range chunks {
		for i := range chunks[id] {
			chunks[id][i] = &fake{id: uint16(id), length: chunkLength}
		}
	}
	run := func() {
		for id, message := range chunks {
			s.Announce(uint16(id), 2*chunkLength)
			for _, chunk := range message {
				q.Push(chunk)
			}
		}
		for q.Peek() != nil {
			_ = q.Pop(q.Peek())
		}
	}
	assert.Zero(t, testing.AllocsPerRun(1000, run))
}

func TestAnnouncementsFromManyGoroutines(t *testing.T) {
	s, q := gated(10_000)
	var group sync.WaitGroup
	for worker := range uint16(4) {
		group.Go(func() {
			for i := range 2000 {
				s.Announce(worker, 1000+i)
				s.Withdraw(worker)
				s.Forget(worker)
				s.SetWindow(uint32(20_000 + i))
			}
		})
	}
	for i := range 20_000 {
		q.Push(&fake{id: uint16(i % 4), length: chunkLength})
		next(t, q)
	}
	group.Wait()
	assert.Zero(t, s.written.Load())
	assert.Empty(t, s.sizes)
}

// Write announces what it writes, so that messages of an association go one by
// one; what the association refuses is withdrawn.
func TestWriteAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.SetWindow(2 * 30_000)
		a, b, path := associate(t, s.Option())
		left, held := map[uint16]int{}, 0
		most := 0
		const size, streams = 30_000, 8
		path.OnWrite(func(packet []byte) bool {
			iData(packet, func(id uint16, length int) {
				if left[id] == 0 {
					left[id] = size
					held++
				}
				most = max(most, held)
				if left[id] -= length; left[id] == 0 {
					held--
				}
			})

			return false
		})
		for id := range uint16(streams) {
			stream, err := a.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
			require.NoError(t, err)
			for range 4 {
				n, err := s.Write(stream, make([]byte, size), sctp.PayloadTypeWebRTCBinary)
				require.NoError(t, err)
				require.Equal(t, size, n)
			}
			_, err = s.Write(stream, make([]byte, 1<<20+1), sctp.PayloadTypeWebRTCBinary)
			require.ErrorIs(t, err, sctp.ErrOutboundPacketTooLarge)
		}
		require.Zero(t, s.written.Load())
		for range streams {
			stream, err := b.AcceptStream()
			require.NoError(t, err)
			for range 4 {
				n, _, err := stream.ReadSCTP(make([]byte, size))
				require.NoError(t, err)
				require.Equal(t, size, n)
			}
		}
		assert.Equal(t, 1, most, "messages in progress")
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
}
