package webrtc

import (
	"context"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A context that ends after the call that it bounded has succeeded, at once or
// much later, by a cancel or by its deadline.
func TestL3_AContextThatEndsAfterTheStart(t *testing.T) {
	for _, row := range []struct {
		name string
		made func() (context.Context, func())
	}{
		{"cancelled", func() (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(context.Background())

			return ctx, func() { cancel(errSwept) }
		}},
		{"deadline", func() (context.Context, func()) {
			ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errSwept)

			return ctx, func() {
				<-ctx.Done()
				cancel()
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := quickPair(t, testnet.Delay(2*time.Millisecond))
				bounded := func(call func(ctx context.Context)) {
					ctx, end := row.made()
					call(ctx)
					require.NoError(t, ctx.Err())
					end()
					require.ErrorIs(t, context.Cause(ctx), errSwept)
					synctest.Wait()
				}
				for _, p := range [][2]*stack{{a, b}, {b, a}} {
					bounded(func(ctx context.Context) {
						candidates, err := p[0].gatherer.GatherContext(ctx)
						require.NoError(t, err)
						require.NoError(t, p[1].ice.SetRemoteCandidates(candidates))
					})
				}
				told := []*record{watch(a), watch(b)}
				for _, st := range stages {
					bounded(func(ctx context.Context) {
						require.NoError(t, both(a, b, func(s, peer *stack) error { return st.prepare(s, peer)(ctx) }))
					})
				}
				var from, to *DataChannel
				bounded(func(ctx context.Context) {
					var err error
					from, err = a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "l3"})
					require.NoError(t, err)
				})
				bounded(func(ctx context.Context) {
					var err error
					to, err = b.sctp.AcceptDataChannel(ctx)
					require.NoError(t, err)
				})
				bounded(func(ctx context.Context) { require.NoError(t, from.SendContext(ctx, []byte("first"))) })
				bounded(func(ctx context.Context) {
					m, err := to.ReceiveContext(ctx)
					require.NoError(t, err)
					require.Equal(t, "first", string(m.Data))
				})
				for range 10 {
					exchange(t, from, to)
					time.Sleep(time.Minute)
				}
				for i, s := range []*stack{a, b} {
					for _, st := range stages {
						require.Equal(t, "connected", st.state(s), st.name)
						require.NoError(t, st.context(s).Err(), st.name)
					}
					require.Equal(t, []string{"checking", "connected"}, told[i].of("ICE"))
					require.Equal(t, []string{"connecting", "connected"}, told[i].of("DTLS"))
					require.Empty(t, told[i].of("SCTP"))
				}
				require.Equal(t, DataChannelStateOpen, from.ReadyState())
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// The ways in which a start fails; the peer is not started.
var failures = []struct {
	name  string
	limit func() (context.Context, context.CancelFunc)
	want  func(st stage) error
}{
	{"cancelled", func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(context.Background())
		timer := time.AfterFunc(time.Second, func() { cancel(errSwept) })

		return ctx, func() { timer.Stop() }
	}, func(stage) error { return errSwept }},
	{"cancelled before", func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errSwept)

		return ctx, func() {}
	}, func(stage) error { return errSwept }},
	{"deadline", func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Second)
	}, func(stage) error { return context.DeadlineExceeded }},
	{"by itself", func() (context.Context, context.CancelFunc) {
		return context.Background(), func() {}
	}, func(st stage) error {
		if st.name == "ICE" {
			return ErrICEFailed
		}

		return ErrHandshakeTimeout
	}},
}

// A start that has failed is not repeated into a success, although the peer
// has started in the meantime.
func TestL7_AFailedStartIsRepeated(t *testing.T) {
	for index, st := range stages {
		for _, failure := range failures {
			t.Run(st.name+" "+failure.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(2*time.Millisecond))
					connectBelow(t, a, b, index)
					start, peers := st.prepare(a, b), st.prepare(b, a)
					ctx, cancel := failure.limit()
					defer cancel()
					first := start(ctx)
					require.ErrorIs(t, first, failure.want(st))
					require.NotErrorIs(t, first, ErrInvalidState)
					state := st.state(a)
					require.Contains(t, []string{"closed", "failed"}, state)

					peerDone := make(chan error, 1)
					go func() { peerDone <- peers(context.Background()) }()
					dead, kill := context.WithCancel(context.Background())
					kill()
					for _, again := range []context.Context{context.Background(), dead, ctx} {
						before := time.Now()
						err := start(again)
						require.ErrorIs(t, err, ErrInvalidState)
						require.ErrorIs(t, err, first)
						require.Zero(t, time.Since(before))
						require.Equal(t, state, st.state(a))
					}
					time.Sleep(time.Second)
					require.Equal(t, state, st.state(a))
					requireNothingLeft(t, network, a, b)
					<-peerDone
				})
			})
		}
	}
}

func TestL7_AStartAfterStop(t *testing.T) {
	for index, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := quickPair(t)
				connectBelow(t, a, b, index)
				start := st.prepare(a, b)
				require.NoError(t, st.stop(a))
				for range 2 {
					err := start(context.Background())
					require.ErrorIs(t, err, ErrInvalidState)
					require.ErrorIs(t, err, ErrClosed)
					require.Equal(t, "closed", st.state(a))
				}
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// A second start beside the first, and one of a connected transport, with a
// context that lives or has ended: refused, and the transport works on.
func TestL7_ASecondStartHarmsNothing(t *testing.T) {
	dead, cancel := context.WithCancelCause(context.Background())
	cancel(errSwept)
	for name, second := range map[string]context.Context{"live": context.Background(), "dead": dead} {
		for index, st := range stages {
			t.Run(st.name+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(2*time.Millisecond))
					connectBelow(t, a, b, index)
					refused := func() {
						for _, p := range [][2]*stack{{a, b}, {b, a}} {
							before := time.Now()
							err := st.prepare(p[0], p[1])(second)
							require.ErrorIs(t, err, ErrInvalidState)
							require.NotErrorIs(t, err, errSwept)
							require.Zero(t, time.Since(before))
						}
					}
					done := make(chan error, 1)
					go func() {
						done <- both(a, b, func(s, peer *stack) error { return st.prepare(s, peer)(context.Background()) })
					}()
					for range 5 { // while it starts
						synctest.Wait()
						refused()
						time.Sleep(time.Millisecond)
					}
					require.NoError(t, <-done)
					refused()
					connectStages(t, a, b, stages[index+1:])
					from, to := channelPair(t, a, b, DataChannelParameters{Label: "l7"})
					exchange(t, from, to)
					refused()
					time.Sleep(time.Minute)
					exchange(t, from, to)
					require.NoError(t, both(a, b, func(s, _ *stack) error { return st.context(s).Err() }))

					// The errors of calls that were refused are not those of
					// the end.
					require.NoError(t, a.sctp.Shutdown(context.Background()))
					_, err := to.ReceiveContext(context.Background())
					require.ErrorIs(t, err, io.EOF)
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}

// A context that ends when the transport has just become connected, and the
// start has not returned: success, and nothing ends, or the context's error,
// and the transport is closed.
func TestL2_AContextThatEndsAtConnected(t *testing.T) {
	rounds := 300
	if raceEnabled {
		rounds = 30
	}
	for index, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			succeeded := 0
			for round := range rounds {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(time.Millisecond))
					connectBelow(t, a, b, index)
					start, peers := st.prepare(a, b), st.prepare(b, a)
					peerDone := make(chan error, 1)
					go func() { peerDone <- peers(context.Background()) }()
					ctx, cancel := context.WithCancelCause(context.Background())
					go func() {
						if st.connected(a, context.Background()) != nil {
							return
						}
						for range round % 3 {
							runtime.Gosched()
						}
						cancel(errSwept)
					}()
					if err := start(ctx); err != nil {
						requireEnded(t, st, a, ctx, err)
						synctest.Wait()
						requireClosed(t, st, a, errSwept)
						requireNothingLeft(t, network, a, b)
						<-peerDone

						return
					}
					succeeded++
					<-ctx.Done()
					synctest.Wait()
					require.Equal(t, "connected", st.state(a))
					require.NoError(t, <-peerDone)
					carries(t, a, b, index+1)
					requireNothingLeft(t, network, a, b)
				})
				if t.Failed() {
					t.Logf("round %d", round)

					return
				}
			}
			t.Logf("%d of %d succeeded", succeeded, rounds)
		})
	}
}
