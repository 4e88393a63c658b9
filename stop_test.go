package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// endings are the ways in which a start can be ended by something else than
// its failure, and what the start gives then.
var endings = []struct {
	name string
	// arm is called before the start. end is called at the instant of the end.
	arm func(st stage, below int, s *stack) (ctx context.Context, end func() error)
	// want is what the error of the start matches.
	want []error
}{
	{"Stop", func(st stage, _ int, s *stack) (context.Context, func() error) {
		return context.Background(), func() error { return st.stop(s) }
	}, []error{ErrClosed}},
	{"Stop twice", func(st stage, _ int, s *stack) (context.Context, func() error) {
		return context.Background(), func() error {
			return both(s, s, func(s, _ *stack) error { return st.stop(s) })
		}
	}, []error{ErrClosed}},
	{"Shutdown", func(st stage, _ int, s *stack) (context.Context, func() error) {
		return context.Background(), func() error { return st.shutdown(s, context.Background()) }
	}, []error{ErrClosed}},
	{"Stop of the layer below", func(_ stage, below int, s *stack) (context.Context, func() error) {
		return context.Background(), func() error {
			if below < 0 {
				return s.gatherer.Close()
			}

			return stages[below].stop(s)
		}
	}, []error{ErrClosed}},
	{"Run's context", func(st stage, _ int, s *stack) (context.Context, func() error) {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- st.run(s, ctx) }()

		return context.Background(), func() error {
			cancel(errSwept)
			<-done

			return nil
		}
	}, []error{context.Canceled, errSwept}},
	{"the start's context", func(stage, int, *stack) (context.Context, func() error) {
		ctx, cancel := context.WithCancelCause(context.Background())

		return ctx, func() error {
			cancel(errSwept)

			return nil
		}
	}, []error{context.Canceled, errSwept}},
}

// A start that is ended at any instant: it returns at once with the reason, is
// no success after the call that ended it has returned, and the state is
// closed and stays that, while the peer's packets still come.
func TestL5_L4_AStartIsEnded(t *testing.T) {
	step := 250 * time.Microsecond
	if raceEnabled {
		step = time.Millisecond
	}
	for index, st := range stages {
		for _, ending := range endings {
			t.Run(st.name+" by "+ending.name, func(t *testing.T) {
				t.Parallel()
				ended := 0
				for instant := time.Duration(0); instant <= 10*time.Millisecond; instant += step {
					bubble(t, func(t *testing.T) {
						defer func() {
							if t.Failed() {
								t.Logf("ended after %v", instant)
							}
						}()
						a, b, network := quickPair(t, testnet.Delay(2*time.Millisecond))
						connectBelow(t, a, b, index)
						told := watch(a)
						start, peers := st.prepare(a, b), st.prepare(b, a)
						peerDone := make(chan error, 1)
						go func() { peerDone <- peers(context.Background()) }()

						begin := time.Now()
						ctx, end := ending.arm(st, index-1, a)
						var over sync.WaitGroup
						over.Add(1)
						endReturned := make(chan struct{})
						time.AfterFunc(instant, func() {
							defer over.Done()
							err := end()
							close(endReturned)
							require.NoError(t, err)
						})
						err := start(ctx)
						took := time.Since(begin)
						if err == nil {
							// It was ahead, so it had connected before the end.
							require.LessOrEqual(t, took, instant)
							over.Wait()
							if st.name != "SCTP" {
								require.Contains(t, told.of(st.name), "connected")
							}
						} else {
							ended++
							for _, want := range ending.want {
								require.ErrorIs(t, err, want)
							}
							// In the instant in which the end is told.
							require.Equal(t, instant, took)
							over.Wait()
						}
						if err != nil || ending.name != "the start's context" {
							requireClosed(t, st, a, ending.want[0])
							time.Sleep(10 * time.Second)
							requireClosed(t, st, a, ending.want[0])
							requireClosedOnce(t, told.of(st.name))
						}
						<-endReturned
						requireNothingLeft(t, network, a, b)
						<-peerDone
					})
					if t.Failed() {
						return
					}
				}
				require.NotZero(t, ended)
			})
		}
	}
}

// Starts that would wait for a silent peer, before there is a connection or an
// association, are ended by Stop at once, however long they have waited.
func TestL4_AStartTowardsASilentPeerIsStopped(t *testing.T) {
	for index, st := range stages {
		for _, after := range []time.Duration{0, time.Millisecond, time.Second, 9 * time.Second} {
			t.Run(st.name+" after "+after.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(2*time.Millisecond))
					connectBelow(t, a, b, index)
					network.Cut(index == 0) // consent would fail above ICE
					done := make(chan error, 1)
					start := st.prepare(a, b)
					go func() { done <- start(context.Background()) }()
					synctest.Wait()
					time.Sleep(after)
					select {
					case err := <-done:
						require.Fail(t, "it has ended by itself", "%v", err)
					default:
					}
					before := time.Now()
					require.NoError(t, st.stop(a))
					require.ErrorIs(t, <-done, ErrClosed)
					require.Zero(t, time.Since(before))
					requireClosed(t, st, a, ErrClosed)
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}

// schedule is one random course of calls, from several goroutines at random
// instants.
type schedule struct {
	t      *testing.T
	random *rand.Rand
	sides  [2]*stack
	starts [2][]func(context.Context) error
	over   sync.WaitGroup
	end    time.Time
}

// call runs one call at a random instant. It has to be over when the schedule
// is: all transports are stopped then.
func (s *schedule) call(name string, f func()) {
	at := time.Duration(s.random.IntN(400)) * sweepStep
	s.over.Add(1)
	go func() {
		defer s.over.Done()
		time.Sleep(at)
		f()
		if late := time.Since(s.end); late > 0 {
			s.t.Errorf("%s returned %v after the end", name, late)
		}
	}()
}

// prompt fails a call that took time.
func (s *schedule) prompt(name string, f func() error) func() {
	return func() {
		before := time.Now()
		if err := f(); err != nil {
			s.t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(before); took != 0 {
			s.t.Errorf("%s took %v", name, took)
		}
	}
}

func (s *schedule) add() {
	side := s.random.IntN(2)
	index := s.random.IntN(len(stages))
	st, one, start := stages[index], s.sides[side], s.starts[side][index]
	switch s.random.IntN(8) {
	case 0:
		s.call(st.name+" Stop", s.prompt(st.name+" Stop", func() error { return st.stop(one) }))
	case 1:
		s.call("Close", s.prompt("Close", one.gatherer.Close))
	case 2:
		ctx, cancel := context.WithCancelCause(context.Background())
		s.call(st.name+" Run", func() { _ = st.run(one, ctx) })
		s.call("cancel", func() { cancel(errSwept) })
	case 3:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.random.IntN(400))*sweepStep)
		s.call(st.name+" Shutdown", func() {
			defer cancel()
			_ = st.shutdown(one, ctx)
		})
	case 4:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.random.IntN(400))*sweepStep)
		s.call(st.name+" start, bounded", func() {
			defer cancel()
			_ = start(ctx)
		})
	default:
		s.call(st.name+" start", func() { _ = start(context.Background()) })
	}
}

// Start and Stop, Stop and Stop, Start twice, Close before Start, and what else
// there is, in any order and at the same time.
func TestL9_RandomSchedules(t *testing.T) {
	const schedules = 1000 // under the race detector too
	const parts = 4
	for part := range parts {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < schedules; seed += parts {
				bubble(t, func(t *testing.T) { runSchedule(t, uint64(seed)) }) //nolint:gosec // not negative
				if t.Failed() {
					t.Logf("seed %d", seed)

					return
				}
			}
		})
	}
}

func runSchedule(t *testing.T, seed uint64) {
	t.Helper()
	s := &schedule{t: t, random: rand.New(rand.NewPCG(seed, seed))}
	a, b, network := quickPair(t, testnet.Delay(time.Duration(s.random.IntN(3))*time.Millisecond))
	s.sides = [2]*stack{a, b}
	connectBelow(t, a, b, s.random.IntN(len(stages)))
	told := []*record{watch(a), watch(b)}
	s.end = time.Now().Add(400 * sweepStep)
	for i, p := range [][2]*stack{{a, b}, {b, a}} {
		for _, st := range stages {
			s.starts[i] = append(s.starts[i], st.prepare(p[0], p[1]))
		}
		// The start that is due, so that there is something to end.
		s.call("all starts", func() { _ = prepareAll(p[0], p[1], stages...)(context.Background()) })
	}
	for range 3 + s.random.IntN(6) {
		s.add()
	}
	time.Sleep(time.Until(s.end))
	synctest.Wait()
	requireNothingLeft(t, network, a, b)
	s.over.Wait()
	for i, one := range s.sides {
		for _, st := range stages {
			require.Equal(t, "closed", st.state(one), st.name)
			require.Error(t, st.context(one).Err(), st.name)
			requireClosedOnce(t, told[i].of(st.name))
		}
	}
}

// loggers calls a hook when a logger is made: each base module makes one as
// it makes its connection.
type loggers struct {
	logging.LoggerFactory

	made func(scope string)
}

func (l *loggers) NewLogger(scope string) logging.LeveledLogger {
	l.made(scope)

	return l.LoggerFactory.NewLogger(scope)
}

// Stop while the start makes its connection, which nobody else has in hand
// yet: it is closed all the same.
func TestL4_StopWhileTheConnectionIsMade(t *testing.T) {
	for index, scope := range map[int]string{1: "dtls", 2: "sctp"} {
		for _, below := range []bool{false, true} {
			st := stages[index]
			t.Run(fmt.Sprint(st.name, " below ", below), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					network := testnet.Pair(t, testnet.Delay(time.Millisecond))
					var a *stack
					armed, stopped := false, false
					var settings SettingEngine
					settings.LoggerFactory = &loggers{quietLogs, func(made string) {
						if !armed || made != scope {
							return
						}
						armed, stopped = false, true
						if below {
							require.NoError(t, stages[index-1].stop(a))
						} else {
							require.NoError(t, st.stop(a))
						}
					}}
					a = quickStack(t, ICERoleControlling, settings, network, 0)
					b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
					connectBelow(t, a, b, index)
					told := watch(a)
					start := st.prepare(a, b)
					armed = true
					before := time.Now()
					err := start(context.Background())
					require.True(t, stopped)
					require.ErrorIs(t, err, ErrClosed)
					require.Zero(t, time.Since(before))
					requireClosed(t, st, a, ErrClosed)
					requireNothingLeft(t, network, a, b)
					requireClosedOnce(t, told.of(st.name))
				})
			})
		}
	}
}
