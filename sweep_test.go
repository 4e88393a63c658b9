package webrtc

import (
	"context"
	"math/rand/v2"
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

// context is one that ends at the case's instant.
func (c sweepCase) context() (context.Context, func()) {
	if c.deadline {
		return context.WithTimeoutCause(context.Background(), c.instant, errSwept)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	if c.instant == 0 {
		cancel(errSwept)

		return ctx, func() {}
	}
	timer := time.AfterFunc(c.instant, func() { cancel(errSwept) })

	return ctx, func() {
		timer.Stop()
		cancel(errSwept)
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
		below := c.stage % len(stages)
		connectBelow(t, a, b, below)
		if c.loss != 0 {
			random := rand.New(rand.NewPCG(c.loss, c.loss))
			var mu sync.Mutex
			network.OnPacket(func(int, []byte) bool {
				mu.Lock()
				defer mu.Unlock()

				return random.Float64() < 0.3
			})
		}

		starts := []func(context.Context) error{c.prepare(a, b), c.prepare(b, a)}
		var sides []*sweptSide
		patient := make(chan error, 2)
		begin := time.Now()
		var wg sync.WaitGroup
		for i, start := range starts {
			if c.who != bothSides && int(c.who) != i {
				go func() { patient <- start(context.Background()) }()

				continue
			}
			s := &sweptSide{stack: []*stack{a, b}[i]}
			s.told = watch(s.stack)
			sides = append(sides, s)
			wg.Add(1)
			go func() {
				defer wg.Done()
				ctx, release := c.context()
				s.ctx, s.err = ctx, start(ctx)
				s.took = time.Since(begin)
				release() // which means nothing to a start that is over
			}()
		}
		wg.Wait()
		failed := 0
		for i, s := range sides {
			if s.err == nil {
				ahead = true
				require.LessOrEqual(t, s.took, c.instant)

				continue
			}
			failed++
			require.Equal(t, c.instant, s.took, "it did not return at the end of its context: %v", s.err)
			st := c.failed(s.err)
			requireEnded(t, st, s.stack, s.ctx, s.err)
			if st.name == "ICE" && c.who != controlled {
				require.Zero(t, network.OpenSockets(i), "sockets when the call has returned")
			}
		}
		if failed == 0 {
			network.OnPacket(nil)
			if c.who != bothSides {
				require.NoError(t, <-patient)
			}
			if c.loss == 0 || c.stage > 0 {
				carries(t, a, b, min(c.stage+1, len(stages)))
			}
			requireNothingLeft(t, network, a, b)

			return
		}
		requireNothingLeft(t, network, a, b)
		if c.who != bothSides {
			<-patient
		}
		synctest.Wait()
		require.Equal(t, c.instant, time.Since(begin), "the end took time")
		for _, s := range sides {
			if s.err != nil {
				st := c.failed(s.err)
				requireClosed(t, st, s.stack, errSwept)
				requireClosedOnce(t, s.told.of(st.name))
			}
		}
	})

	return ahead
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
				if (sweepCase{index, delay, time.Duration(i) * step, deadline, who, 0}).run(t) {
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
