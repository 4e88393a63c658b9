package webrtc

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// pending is what waits on one side when an end comes.
type pending struct {
	runs    []chan error // of the stages
	cancels []context.CancelCauseFunc
	accept  chan error
	receive chan error
	send    chan error
}

// engage connects two sides and leaves the first one with every call under way
// that can wait. The second takes messages as they come.
func engage(t *testing.T, a, b *stack) *pending {
	t.Helper()
	connectBelow(t, a, b, len(stages))
	from, to := channelPair(t, a, b, DataChannelParameters{Label: "pending", Ordered: true})
	to.OnMessage(func(DataChannelMessage) {})
	p := &pending{
		accept: make(chan error, 1), receive: make(chan error, 1), send: make(chan error, 1),
	}
	for _, st := range stages {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- st.run(a, ctx) }()
		p.runs, p.cancels = append(p.runs, done), append(p.cancels, cancel)
	}
	go func() {
		_, err := a.sctp.AcceptDataChannel(context.Background())
		p.accept <- err
	}()
	go func() {
		_, err := from.ReceiveContext(context.Background())
		p.receive <- err
	}()
	go func() {
		for { // waits for room most of the time
			if err := from.SendContext(context.Background(), make([]byte, 16<<10)); err != nil {
				p.send <- err

				return
			}
		}
	}()
	time.Sleep(time.Second)

	return p
}

// told tells how an end is told by one transport, and by what stands on it.
type told struct {
	run   func(t *testing.T, err error)
	cause func(t *testing.T, err error)
}

var (
	toldClosed = told{
		func(t *testing.T, err error) { t.Helper(); require.NoError(t, err) },
		func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, ErrClosed) },
	}
	toldContext = same(func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errSwept)
		require.NotErrorIs(t, err, ErrClosed)
	})
	// Readers compare it, so it is not wrapped.
	toldEOF    = same(func(t *testing.T, err error) { t.Helper(); require.Equal(t, io.EOF, err) })
	toldFailed = same(func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, ErrICEFailed)
		require.NotErrorIs(t, err, ErrClosed)
	})
	toldAborted = same(func(t *testing.T, err error) {
		t.Helper()
		var abort *SCTPAbortError
		require.ErrorAs(t, err, &abort)
		require.True(t, abort.Remote)
	})
)

func same(check func(t *testing.T, err error)) told { return told{check, check} }

// The table "How an end is told", for the end of each layer.
func TestL12_HowAnEndIsTold(t *testing.T) {
	const ice, dtls, sctp = 0, 1, 2
	own := func(index int) func(a, _ *stack, _ *testnet.Network, _ *pending) error {
		return func(a, _ *stack, _ *testnet.Network, _ *pending) error {
			err := stages[index].stop(a)
			var lost *DataLostError
			if errors.As(err, &lost) { // there is a sender that waits, with much or little not sent
				return nil
			}

			return err
		}
	}
	ownShutdown := func(index int) func(a, _ *stack, _ *testnet.Network, _ *pending) error {
		return func(a, _ *stack, _ *testnet.Network, _ *pending) error {
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			defer cancel()

			return stages[index].shutdown(a, ctx)
		}
	}
	cancelled := func(index int) func(a, _ *stack, _ *testnet.Network, _ *pending) error {
		return func(_, _ *stack, _ *testnet.Network, p *pending) error {
			p.cancels[index](errSwept)

			return nil
		}
	}
	peers := func(index int) func(_, b *stack, _ *testnet.Network, _ *pending) error {
		return func(_, b *stack, _ *testnet.Network, _ *pending) error { return stages[index].stop(b) }
	}
	peersShutdown := func(index int) func(_, b *stack, _ *testnet.Network, _ *pending) error {
		return func(_, b *stack, _ *testnet.Network, _ *pending) error {
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			defer cancel()

			return stages[index].shutdown(b, ctx)
		}
	}
	for _, row := range []struct {
		name string
		end  func(a, b *stack, network *testnet.Network, p *pending) error
		from int // the lowest stage that ends
		told []told
	}{
		{"own Stop of ICE", own(ice), ice, []told{toldClosed, toldClosed, toldClosed}},
		{"own Stop of DTLS", own(dtls), dtls, []told{toldClosed, toldClosed}},
		{"own Stop of SCTP", own(sctp), sctp, []told{toldClosed}},
		{"own Shutdown of ICE", ownShutdown(ice), ice, []told{toldClosed, toldClosed, toldClosed}},
		{"own Shutdown of DTLS", ownShutdown(dtls), dtls, []told{toldClosed, toldClosed}},
		{"own Shutdown of SCTP", ownShutdown(sctp), sctp, []told{toldClosed}},
		{"context of ICE's Run", cancelled(ice), ice, []told{toldContext, toldContext, toldContext}},
		{"context of DTLS's Run", cancelled(dtls), dtls, []told{toldContext, toldContext}},
		{"context of SCTP's Run", cancelled(sctp), sctp, []told{toldContext}},
		{"the peer's Shutdown of ICE", peersShutdown(ice), dtls, []told{toldEOF, toldEOF}},
		{"the peer's Shutdown of DTLS", peersShutdown(dtls), dtls, []told{toldEOF, toldEOF}},
		{"the peer's Shutdown of SCTP", peersShutdown(sctp), sctp, []told{toldEOF}},
		{"the peer's Stop of ICE", peers(ice), dtls, []told{toldEOF, toldAborted}},
		{"the peer's Stop of DTLS", peers(dtls), dtls, []told{toldEOF, toldAborted}},
		{"the peer's Stop of SCTP", peers(sctp), sctp, []told{toldAborted}},
		{"a dead path", func(_, _ *stack, network *testnet.Network, _ *pending) error {
			network.Cut(true)

			return nil
		}, ice, []told{toldFailed, toldFailed, toldFailed}},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(20*time.Millisecond))
				settings := SettingEngine{}
				settings.SetICETimeouts(2*time.Second, 3*time.Second, time.Second)
				settings.DataChannel.MaxBuffered = 64 << 10
				a := quickStack(t, ICERoleControlling, settings, network, 0)
				b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
				p := engage(t, a, b)
				require.NoError(t, row.end(a, b, network, p))

				ended := stages[row.from:]
				for i, st := range ended {
					row.told[i].run(t, <-p.runs[row.from+i])
					row.told[i].cause(t, context.Cause(st.context(a)))
					// After the end, and with any context, the same at once.
					before := time.Now()
					row.told[i].run(t, st.run(a, context.Background()))
					require.Zero(t, time.Since(before))
					dead, cancel := context.WithCancel(context.Background())
					cancel()
					row.told[i].run(t, st.run(a, dead))
				}
				top := row.told[len(row.told)-1]
				for name, call := range map[string]chan error{"accept": p.accept, "receive": p.receive, "send": p.send} {
					err := <-call
					t.Logf("%s: %v", name, err)
					top.cause(t, err)
				}

				// What lies below goes on, until it is stopped.
				synctest.Wait()
				for i, st := range stages[:row.from] {
					require.NoError(t, st.context(a).Err(), st.name)
					require.Empty(t, p.runs[i], "Run of %s has returned", st.name)
				}
				requireNothingLeft(t, network, a, b)
				for i := range stages[:row.from] {
					require.NoError(t, <-p.runs[i])
				}
			})
		})
	}
}

// Run returns when every handler has, and not before, whatever it is that
// blocks; and Stop does not wait for it.
func TestL12_RunWaitsForHandlers(t *testing.T) {
	for index, st := range stages {
		for _, handler := range []struct {
			name string
			set  func(t *testing.T, a, b *stack, block func())
			// upTo is the highest stage whose Run has to wait.
			upTo int
		}{
			{"ICE state", func(_ *testing.T, a, _ *stack, block func()) {
				a.ice.OnConnectionStateChange(func(ICETransportState) { block() })
			}, 0},
			{"DTLS state", func(_ *testing.T, a, _ *stack, block func()) {
				a.dtls.OnStateChange(func(DTLSTransportState) { block() })
			}, 1},
			{"OnClose of SCTP", func(_ *testing.T, a, _ *stack, block func()) {
				a.sctp.OnClose(func(error) { block() })
			}, 2},
			{"OnDataChannel", func(t *testing.T, a, b *stack, block func()) {
				t.Helper()
				a.sctp.OnDataChannel(func(*DataChannel) { block() })
				_, err := b.sctp.OpenDataChannel(context.Background(), &DataChannelParameters{})
				require.NoError(t, err)
			}, 2},
			{"OnMessage", func(t *testing.T, a, b *stack, block func()) {
				t.Helper()
				from, to := channelPair(t, b, a, DataChannelParameters{})
				to.OnMessage(func(DataChannelMessage) { block() })
				require.NoError(t, from.Send([]byte("hello")))
				time.Sleep(time.Second)
			}, 2},
			{"OnClose of a channel", func(t *testing.T, a, b *stack, block func()) {
				t.Helper()
				from, _ := channelPair(t, a, b, DataChannelParameters{})
				from.OnClose(block)
			}, 2},
		} {
			if handler.upTo < index {
				continue // a layer does not wait for those below it
			}
			t.Run("Run of "+st.name+", "+handler.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(time.Millisecond))
					connectBelow(t, a, b, len(stages))
					open := make(chan struct{})
					handler.set(t, a, b, func() { <-open })
					done := make(chan error, 1)
					go func() { done <- st.run(a, context.Background()) }()
					synctest.Wait()
					before := time.Now()
					require.NoError(t, st.stop(a))
					require.Zero(t, time.Since(before))
					time.Sleep(time.Hour)
					synctest.Wait()
					require.Empty(t, done, "Run did not wait")
					before = time.Now()
					close(open)
					require.NoError(t, <-done)
					require.Zero(t, time.Since(before))
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}

// Run may come before the start, twice, and together with Stop.
func TestL12_RunBeforeTheStartAndTwice(t *testing.T) {
	for index, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := quickPair(t, testnet.Delay(time.Millisecond))
				connectBelow(t, a, b, index)
				results := make(chan error, 2)
				for range 2 {
					go func() { results <- st.run(a, context.Background()) }()
				}
				time.Sleep(time.Second)
				require.Empty(t, results, "Run has not waited for the start")
				require.NoError(t, st.context(a).Err())
				connectStages(t, a, b, stages[index:])
				from, to := channelPair(t, a, b, DataChannelParameters{})
				exchange(t, from, to)
				synctest.Wait()
				require.Empty(t, results)
				require.NoError(t, st.stop(a))
				require.NoError(t, <-results)
				require.NoError(t, <-results)
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// A transport that was never started ends with Run's context too.
func TestL12_RunOfATransportThatIsNeverStarted(t *testing.T) {
	for index, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := quickPair(t)
				connectBelow(t, a, b, index)
				ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errSwept)
				defer cancel()
				before := time.Now()
				err := st.run(a, ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errSwept)
				require.Equal(t, time.Minute, time.Since(before))
				requireClosed(t, st, a, errSwept)
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// Stop and the end of the contexts of two Runs in one instant: all tell the
// one reason that was first.
func TestL12_StopAndTheContextsOfRunAtOnce(t *testing.T) {
	rounds := 100
	if raceEnabled {
		rounds = 20
	}
	for index, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			for range rounds {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t)
					connectBelow(t, a, b, index)
					ctx, cancel := context.WithCancelCause(context.Background())
					results := make(chan error, 2)
					for range cap(results) {
						go func() { results <- st.run(a, ctx) }()
					}
					synctest.Wait()
					before := time.Now()
					go cancel(errSwept)
					require.NoError(t, st.stop(a))
					want := context.Cause(st.context(a))
					for range cap(results) {
						err := <-results
						if err == nil {
							require.ErrorIs(t, want, ErrClosed)
						} else {
							require.ErrorIs(t, err, errSwept)
							require.ErrorIs(t, err, want)
						}
					}
					require.Zero(t, time.Since(before))
					requireNothingLeft(t, network, a, b)
				})
			}
		})
	}
}
