package webrtc

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// sweepStep is how far apart the instants of a sweep are.
const sweepStep = 50 * time.Microsecond

// sweepCase is one start whose context ends at one instant.
type sweepCase struct {
	stage    int           // its index; len(stages) is all of them in sequence
	delay    time.Duration // of the path, one way
	instant  time.Duration // after the start
	deadline bool          // the context ends by a deadline, otherwise with a cause
	who      whose
	loss     uint64 // the seed of a path that loses packets, 0 for one that loses none

	// packet, if not 0, ends the context in place of the instant: when that
	// many packets have been sent since the start, or when the last of them
	// arrives, after the scheduler has been yielded to so many times.
	packet  int
	arrives bool
	yields  int
}

// whose start it is whose context ends.
type whose int

const (
	controlling whose = iota
	controlled
	bothSides
)

func (w whose) cancellations() int {
	if w == bothSides {
		return 2
	}

	return 1
}

// trigger ends contexts, and knows when it has.
type trigger struct {
	begin   time.Time
	after   atomic.Int64 // the nanoseconds from begin to the end of the contexts, -1 before
	cancels []context.CancelCauseFunc
}

func (tr *trigger) fire() {
	tr.after.Store(int64(time.Since(tr.begin)))
	for _, cancel := range tr.cancels {
		cancel(errSwept)
	}
}

// contexts returns n contexts that end as the case has it. The start follows
// at once.
func (c sweepCase) contexts(n int, network *testnet.Network) ([]context.Context, *trigger) {
	tr := &trigger{begin: time.Now()}
	tr.after.Store(-1)
	contexts := make([]context.Context, 0, n)
	for range n {
		parent, cancel := context.WithCancelCause(context.Background())
		tr.cancels = append(tr.cancels, cancel)
		if !c.deadline {
			contexts = append(contexts, parent)

			continue
		}
		child, release := context.WithTimeoutCause(parent, c.instant, errSwept)
		tr.cancels = append(tr.cancels, func(error) { release() })
		contexts = append(contexts, child)
	}
	switch {
	case c.deadline:
		tr.after.Store(int64(c.instant))
	case c.packet > 0:
		var sent atomic.Int64
		network.OnPacket(func(int, []byte) bool {
			if sent.Add(1) == int64(c.packet) {
				c.release(tr)
			}

			return false
		})
	case c.instant == 0:
		tr.fire()
	default:
		time.AfterFunc(c.instant, tr.fire)
	}

	return contexts, tr
}

func (c sweepCase) release(tr *trigger) {
	yield := func() {
		for range c.yields {
			runtime.Gosched()
		}
		tr.fire()
	}
	switch {
	case c.arrives:
		time.AfterFunc(c.delay, yield)
	case c.yields > 0:
		go yield()
	default:
		tr.fire() // on the goroutine that sends
	}
}

// prepare returns the start of one side.
func (c sweepCase) prepare(s, peer *stack) func(context.Context) error {
	if c.stage < len(stages) {
		return stages[c.stage].prepare(s, peer)
	}

	return prepareAll(s, peer, stages...)
}

// sweptSide is a side whose context ends.
type sweptSide struct {
	*stack

	host int
	told *record
	ctx  context.Context //nolint:containedctx // of its start
	err  error
	took time.Duration
}

// run tells whether a start was ahead of the end of its context.
func (c sweepCase) run(t *testing.T) (ahead bool) {
	bubble(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("the case: %+v", c)
			}
		}()
		a, b, network := quickPair(t, testnet.Delay(c.delay))
		connectBelow(t, a, b, c.stage%len(stages))
		if c.loss != 0 {
			network.OnPacket(lossy(c.loss))
		}
		starts := []func(context.Context) error{c.prepare(a, b), c.prepare(b, a)}
		contexts, ended := c.contexts(len(starts), network)
		var sides []*sweptSide
		patient := make(chan error, 1)
		var wg sync.WaitGroup
		for i, start := range starts {
			if c.who != bothSides && int(c.who) != i {
				go func() { patient <- start(context.Background()) }()

				continue
			}
			s := &sweptSide{stack: []*stack{a, b}[i], host: i, ctx: contexts[i]}
			s.told = watch(s.stack)
			sides = append(sides, s)
			wg.Add(1)
			go func() {
				defer wg.Done()
				s.err = start(s.ctx)
				s.took = time.Since(ended.begin)
			}()
		}
		wg.Wait()
		network.OnPacket(nil)
		after := time.Duration(ended.after.Load())
		failed := false
		for _, s := range sides {
			if s.err == nil {
				ahead = true
				if after >= 0 {
					require.LessOrEqual(t, s.took, after)
				}

				continue
			}
			failed = true
			require.Equal(t, after, s.took, "it did not return at the end of its context: %v", s.err)
			st := c.failed(s.err)
			requireEnded(t, st, s.stack, s.ctx, s.err)
			if st.name == "ICE" {
				require.Zero(t, network.OpenSockets(s.host), "sockets when the call has returned")
			}
		}
		if !failed {
			ended.fire() // which means nothing to a start that has succeeded
			if c.who != bothSides {
				require.NoError(t, <-patient)
			}
			carries(t, a, b, min(c.stage+1, len(stages)))
			requireNothingLeft(t, network, a, b)

			return
		}
		requireNothingLeft(t, network, a, b)
		if c.who != bothSides {
			<-patient
		}
		synctest.Wait()
		require.Equal(t, after, time.Since(ended.begin), "the end took time")
		for _, s := range sides {
			if s.err != nil {
				st := c.failed(s.err)
				requireClosed(t, st, s.stack, errSwept)
				requireClosedOnce(t, s.told.of(st.name))
			}
		}
		ended.fire()
	})

	return ahead
}

// lossy is a hook that loses almost every third packet.
func lossy(seed uint64) func(int, []byte) bool {
	random := rand.New(rand.NewPCG(seed, seed))
	var mu sync.Mutex

	return func(int, []byte) bool {
		mu.Lock()
		defer mu.Unlock()

		return random.Float64() < 0.3
	}
}

// failed is the stage that a start has failed in.
func (c sweepCase) failed(err error) stage {
	if c.stage < len(stages) {
		return stages[c.stage]
	}
	for _, st := range stages {
		if ours, ok := err.(*Error); ok && ours.Op == st.op { //nolint:errorlint // the outermost tells
			return st
		}
	}

	return stages[0]
}

// requireClosedOnce checks the events of an end: closed is the last, and once.
func requireClosedOnce(t *testing.T, events []string) {
	t.Helper()
	require.NotEmpty(t, events)
	for i, e := range events {
		require.Equal(t, i == len(events)-1, e == "closed", "events %v", events)
	}
}

// sweep ends the contexts of one stage's starts at every instant until some
// are past the connect. It returns how many it has ended, and how many starts
// were ahead of that.
func sweep(t *testing.T, index int, delay time.Duration) (cancellations, ahead int) {
	t.Helper()
	step := sweepStep
	if raceEnabled {
		step *= 10
	}
	for _, deadline := range []bool{false, true} {
		for who := controlling; who <= bothSides; who++ {
			past := 0
			for i := 0; past < 4; i++ {
				c := sweepCase{
					stage: index, delay: delay, instant: time.Duration(i) * step, deadline: deadline, who: who,
				}
				if c.run(t) {
					past++
				}
				if t.Failed() {
					return cancellations, ahead
				}
				cancellations += who.cancellations()
			}
			ahead += past
		}
	}

	return cancellations, ahead
}

// Every start, its context ended every 50 µs from 0 to past the connect.
func TestL1_EveryInstantOfAStart(t *testing.T) {
	const ms = time.Millisecond
	for index, row := range []struct {
		delays  []time.Duration // of the path, one way
		atLeast int64           // contexts that were ended
	}{
		{[]time.Duration{2 * ms, 7 * ms, 11 * ms}, 10_000},
		{[]time.Duration{2 * ms, 7 * ms, 11 * ms}, 10_000},
		{[]time.Duration{5 * ms, 7 * ms, 9 * ms}, 10_000},
		{[]time.Duration{2 * ms}, 3_000},
	} {
		name := "all in sequence"
		if index < len(stages) {
			name = stages[index].name
		}
		if raceEnabled {
			row.atLeast /= 10
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all atomic.Int64
			t.Cleanup(func() {
				if !t.Failed() {
					require.GreaterOrEqual(t, all.Load(), row.atLeast)
				}
			})
			for _, delay := range row.delays {
				t.Run(delay.String(), func(t *testing.T) {
					t.Parallel()
					cancellations, ahead := sweep(t, index, delay)
					t.Logf("%d contexts ended, %d starts were ahead", cancellations, ahead)
					all.Add(int64(cancellations))
				})
			}
		})
	}
}

// The same where packets are lost, so that every timer of the protocols comes
// into play, at instants drawn by lot.
func TestL1_AnInstantOfAStartThatLosesPackets(t *testing.T) {
	cases := 600
	if raceEnabled {
		cases = 60
	}
	for index := range len(stages) + 1 {
		for seed := range uint64(cases / (len(stages) + 1)) {
			random := rand.New(rand.NewPCG(seed, uint64(index)))
			sweepCase{
				stage: index, delay: 2 * time.Millisecond,
				instant:  time.Duration(random.IntN(40_000)) * sweepStep,
				deadline: seed%2 == 0, who: whose(seed % 3), loss: seed + 1,
			}.run(t)
			if t.Failed() {
				return
			}
		}
	}
}

// A context that ends around every packet of a start, so around the last of
// the handshake too, at many points of the scheduler: one outcome.
func TestL2_AroundEveryPacketOfAStart(t *testing.T) {
	yields := []int{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55}
	if raceEnabled {
		yields = []int{0, 3, 21}
	}
	for index := range stages {
		t.Run(stages[index].name, func(t *testing.T) {
			t.Parallel()
			cases, ahead := 0, 0
			for _, arrives := range []bool{false, true} {
				for _, n := range yields {
					for who := controlling; who <= bothSides; who++ {
						for packet, past := 1, 0; past < 2; packet++ {
							c := sweepCase{
								stage: index, delay: 2 * time.Millisecond, who: who,
								packet: packet, arrives: arrives, yields: n,
							}
							cases++
							if c.run(t) {
								past++
								ahead++
							}
							if t.Failed() {
								return
							}
						}
					}
				}
			}
			t.Logf("%d contexts ended, %d starts were ahead", cases, ahead)
		})
	}
}
