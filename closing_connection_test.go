package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// connectionWaits is everything that can wait on a connection.
type connectionWaits struct {
	calls map[string]<-chan error
	done  map[string]bool // before the end
}

// waitOnConnection starts them all. channel is one that was made before.
func waitOnConnection(pc *PeerConnection, channel *DataChannel) *connectionWaits {
	ctx := context.Background()

	return &connectionWaits{done: map[string]bool{}, calls: map[string]<-chan error{
		"run":             result(func() error { return pc.Run(ctx) }),
		"connect":         result(func() error { return pc.Connect(ctx) }),
		"await connected": result(func() error { return second(pc.AwaitState(ctx, PeerConnectionStateConnected)) }),
		"await closed":    result(func() error { return second(pc.AwaitState(ctx, PeerConnectionStateClosed)) }),
		"accept":          result(func() error { return second(pc.SCTP().AcceptDataChannel(ctx)) }),
		"open": result(func() error {
			return second(pc.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "waits"}))
		}),
		"receive": result(func() error { return second(channel.ReceiveContext(ctx)) }),
		"send": result(func() error {
			for {
				err := channel.SendContext(ctx, make([]byte, 16<<10))
				if err != nil && !errors.Is(err, ErrDataChannelNotOpen) {
					return err
				}
				if err != nil {
					time.Sleep(time.Millisecond)
				}
			}
		}),
		"promise": result(func() error {
			<-GatheringCompletePromise(pc)

			return nil
		}),
	}}
}

// note remembers which calls have returned by now: that must have been a
// success.
func (w *connectionWaits) note(t *testing.T) {
	t.Helper()
	for name, call := range w.calls {
		select {
		case err := <-call:
			require.NoError(t, err, name)
			w.done[name] = true
		default:
		}
	}
}

// ended requires that all others return in no time: with the cause of the end.
// While a Shutdown is on its way some may still succeed.
func (w *connectionWaits) ended(t *testing.T, cause error, succeed bool) {
	t.Helper()
	began := time.Now()
	for name, call := range w.calls {
		if w.done[name] {
			continue
		}
		err := <-call
		switch {
		case err == nil && succeed:
		case name == "promise" || name == "await closed":
			require.NoError(t, err, name)
		case name == "run" && errors.Is(cause, ErrClosed):
			require.NoError(t, err, name)
		default:
			require.ErrorIs(t, err, cause, name)
		}
	}
	// A sender that is told that its channel is not open asks every millisecond.
	require.LessOrEqual(t, time.Since(began), time.Millisecond)
}

// connectionEnds are the ways to end one's own side at once.
var connectionEnds = map[string]struct {
	end   func(pc *PeerConnection, cancel context.CancelCauseFunc) error
	cause error
}{
	"Close": {func(pc *PeerConnection, _ context.CancelCauseFunc) error { return pc.Close() }, ErrClosed},
	"Run's context": {func(_ *PeerConnection, cancel context.CancelCauseFunc) error {
		cancel(errSwept)

		return nil
	}, errSwept},
	"Shutdown": {func(pc *PeerConnection, _ context.CancelCauseFunc) error { return pc.Shutdown(deadContext) }, ErrClosed},
}

// trickling is an exchange of descriptions in steps, none of which waits:
// candidates are signaled by themselves. Calls that wait for gathering go on
// beside it, as long as a STUN server is silent.
func trickling(a, b *PeerConnection, waits *connectionWaits) []func() error {
	for _, p := range [][2]*PeerConnection{{a, b}, {b, a}} {
		p[0].OnICECandidate(func(c *ICECandidate) {
			if c != nil {
				_ = p[1].AddICECandidate(c.ToJSON())
			}
		})
	}
	ctx := context.Background()
	local := func(pc *PeerConnection, name string) error {
		call := result(func() error { return pc.SetLocalDescriptionContext(ctx, SessionDescription{}) })
		synctest.Wait()
		if name != "" {
			waits.calls[name] = call
		}

		return nil
	}
	remote := func(pc *PeerConnection, desc *SessionDescription) error {
		if desc == nil {
			return errors.New("there is no description")
		}

		return pc.SetRemoteDescriptionContext(ctx, *desc)
	}

	return []func() error{
		func() error { return local(a, "set local") },
		func() error { return remote(b, a.LocalDescription()) },
		func() error { return local(b, "") },
		func() error { return remote(a, b.LocalDescription()) },
	}
}

// closingCase is one end at one instant of a connect.
type closingCase struct {
	how     string
	offerer bool // it is the offerer that ends
	steps   int  // of signaling before
	instant time.Duration
}

func (c closingCase) run(t *testing.T) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("the case: %+v", c)
			}
		}()
		a, b, network := peers(t, testnet.Delay(pathDelay))
		silent := Configuration{ICEServers: []ICEServer{{URLs: []string{silentSTUN}}}}
		require.NoError(t, a.SetConfiguration(silent))
		require.NoError(t, b.SetConfiguration(silent))
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		own := a
		if !c.offerer {
			own = b
			channel, err = b.CreateDataChannel("back", nil)
			require.NoError(t, err)
		}
		states := watchClosing(own)
		waits := waitOnConnection(own, channel)
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		running := result(func() error { return own.Run(ctx) })
		steps := trickling(a, b, waits)
		if !c.offerer {
			delete(waits.calls, "set local")
		}
		for _, step := range steps[:c.steps] {
			require.NoError(t, step())
		}
		if !c.offerer {
			delete(waits.calls, "set local") // it is the other side's
		}
		time.Sleep(c.instant)
		synctest.Wait()
		waits.note(t)
		began := time.Now()
		how := connectionEnds[c.how]
		if err = how.end(own, cancel); err != nil {
			var lost *DataLostError
			require.True(t, errors.As(err, &lost) || errors.Is(err, errSwept), err)
		}
		require.Zero(t, time.Since(began), "the end took time")
		waits.ended(t, how.cause, c.how == "Shutdown")
		if err = <-running; how.cause == errSwept { //nolint:errorlint // as it is in the table
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errSwept)
		} else {
			require.NoError(t, err)
		}
		require.ErrorIs(t, context.Cause(own.Context()), how.cause)
		require.Equal(t, PeerConnectionStateClosed, own.ConnectionState())
		require.Equal(t, ICEConnectionStateClosed, own.ICEConnectionState())
		require.Equal(t, SignalingStateClosed, own.SignalingState())
		host := 0
		if !c.offerer {
			host = 1
		}
		require.Zero(t, network.OpenSockets(host))
		requirePeersGone(t, network, a, b)
		requireClosedLast(t, states)
	})
}

// watchClosing keeps the states of a connection, by kind.
func watchClosing(pc *PeerConnection) []*peerRecord {
	states, ice, signaling, _ := watchPeer(pc)

	return []*peerRecord{states, ice, signaling}
}

// requireClosedLast checks that closed was told once, after all else, and that
// no state was told twice in a row.
func requireClosedLast(t *testing.T, records []*peerRecord) {
	t.Helper()
	for _, r := range records {
		told := r.list()
		require.NotEmpty(t, told)
		require.Equal(t, "closed", told[len(told)-1], "%v", told)
		for i := range len(told) - 1 {
			require.NotEqual(t, "closed", told[i], "%v", told)
			require.NotEqual(t, told[i+1], told[i], "%v", told)
		}
	}
}

// TestP8_ClosingEndsWhatIsPending closes a connection at many instants of a
// connect, and after every step of its signaling, while everything that can
// wait does: for a silent server, for the peer, for messages, for room.
func TestP8_ClosingEndsWhatIsPending(t *testing.T) {
	step := 4 * time.Millisecond
	if raceEnabled {
		step = 29 * time.Millisecond
	}
	for how := range connectionEnds {
		t.Run(how, func(t *testing.T) {
			for _, offerer := range []bool{true, false} {
				for steps := range 4 {
					closingCase{how, offerer, steps, 0}.run(t)
				}
				for instant := time.Duration(0); instant < 160*time.Millisecond && !t.Failed(); instant += step {
					closingCase{how, offerer, 4, instant}.run(t)
				}
				closingCase{how, offerer, 4, 30 * time.Second}.run(t) // the server has not answered
			}
		})
	}
}

// connectTime is how long the connect of the sweep takes: about 8 one-way
// delays.
const connectTime = 100 * time.Millisecond

// TestL1_RunEndsAtEveryInstantOfAConnect cancels Run of one side at a thousand
// instants of a connect, with a deadline or by hand.
func TestL1_RunEndsAtEveryInstantOfAConnect(t *testing.T) {
	instants := 1000
	if raceEnabled {
		instants = 100
	}
	var before, after int
	for i := range instants {
		instant := connectTime * time.Duration(i) / time.Duration(instants)
		if endRunAt(t, instant, i%2 == 0, i%3 == 0) {
			after++
		} else {
			before++
		}
		if t.Failed() {
			t.Fatalf("instant %v", instant)
		}
	}
	t.Logf("%d before the connect, %d after", before, after)
	require.Greater(t, before, instants/2)
	require.NotZero(t, after)
}

func endRunAt(t *testing.T, instant time.Duration, offerer, deadline bool) (connected bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(pathDelay))
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		own, other := a, b
		if !offerer {
			own, other = b, a
		}
		negotiate(t, a, b)
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		if deadline {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeoutCause(ctx, instant, errSwept)
			defer stop()
		} else {
			time.AfterFunc(instant, func() { cancel(errSwept) })
		}
		began := time.Now()
		connect := result(func() error { return own.Connect(context.Background()) })
		err = own.Run(ctx)
		require.Equal(t, instant, time.Since(began), "Run took time, or ended early")
		require.ErrorIs(t, err, ctx.Err())
		require.ErrorIs(t, err, errSwept)
		require.ErrorIs(t, context.Cause(own.Context()), errSwept)
		require.Equal(t, PeerConnectionStateClosed, own.ConnectionState())
		if err = <-connect; err != nil {
			require.ErrorIs(t, err, errSwept)
		}
		connected = err == nil
		require.Equal(t, instant, time.Since(began), "Connect took time")
		require.ErrorIs(t, own.Connect(context.Background()), errSwept)
		if connected {
			// The peer is told.
			_, err = other.AwaitState(limited(t, time.Second), PeerConnectionStateClosed, PeerConnectionStateFailed)
			require.NoError(t, err)
		}
		requirePeersGone(t, network, a, b)
	})

	return connected
}

// A Shutdown that waits for the peer, and is overtaken.
func TestP8_CloseWhileShuttingDown(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(pc *PeerConnection, cancel context.CancelCauseFunc) error
		want []error
	}{
		"by Close":            {func(pc *PeerConnection, _ context.CancelCauseFunc) error { return pc.Close() }, []error{ErrClosed}},
		"by another Shutdown": {func(pc *PeerConnection, _ context.CancelCauseFunc) error { return pc.Shutdown(deadContext) }, []error{ErrClosed}},
		"by its context": {func(_ *PeerConnection, cancel context.CancelCauseFunc) error {
			cancel(errSwept)

			return nil
		}, []error{context.Canceled, errSwept}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := peers(t, testnet.Delay(pathDelay))
				channel, err := a.CreateDataChannel("chat", nil)
				require.NoError(t, err)
				negotiate(t, a, b)
				connectPeers(t, a, b)
				network.Cut(true)
				require.NoError(t, channel.Send(make([]byte, 1000)))
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				shutting := result(func() error { return a.Shutdown(ctx) })
				graceful := result(a.GracefulClose)
				running := result(func() error { return a.Run(context.Background()) })
				time.Sleep(time.Second)
				require.Empty(t, shutting)
				began := time.Now()
				if err = row.end(a, cancel); err != nil {
					var lost *DataLostError
					require.True(t, errors.As(err, &lost) || errors.Is(err, errSwept), err)
				}
				err = <-shutting
				var lost *DataLostError
				require.ErrorAs(t, err, &lost)
				for _, want := range row.want {
					require.ErrorIs(t, err, want)
				}
				<-graceful
				require.NoError(t, <-running)
				require.Zero(t, time.Since(began))
				require.ErrorIs(t, context.Cause(a.Context()), ErrClosed)
				requirePeersGone(t, network, a, b)
			})
		})
	}
}

// Run, Close and the peer's end in every order: they agree on the first reason.
func TestL12_RunOfAPeerConnection(t *testing.T) {
	connected := func(t *testing.T) (a, b *PeerConnection, network *testnet.Network) {
		t.Helper()
		a, b, network = peers(t, testnet.Delay(pathDelay))
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)

		return a, b, network
	}
	background := context.Background()
	t.Run("never used", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := peers(t)
			ctx, cancel := context.WithTimeoutCause(background, time.Hour, errSwept)
			defer cancel()
			err := a.Run(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errSwept)
			require.Equal(t, err, a.Run(background))
			require.Equal(t, err, a.Run(deadContext))
			require.NoError(t, a.Close())
			require.Equal(t, err, a.Run(background), "the first reason wins")
			require.ErrorIs(t, b.Run(deadContext), errSwept)
			require.Equal(t, PeerConnectionStateClosed, b.ConnectionState())
			requirePeersGone(t, network, a, b)
		})
	})
	t.Run("twice", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connected(t)
			ctx, cancel := context.WithCancelCause(background)
			first, other := result(func() error { return a.Run(ctx) }), result(func() error { return a.Run(background) })
			synctest.Wait()
			cancel(errSwept)
			err := <-first
			require.ErrorIs(t, err, errSwept)
			require.Equal(t, err, <-other)
			requirePeersGone(t, network, a, b)
		})
	})
	t.Run("with Close and its context at once", func(t *testing.T) {
		for range 50 {
			bubble(t, func(t *testing.T) {
				a, b, network := connected(t)
				ctx, cancel := context.WithCancelCause(background)
				running := result(func() error { return a.Run(ctx) })
				synctest.Wait()
				go cancel(errSwept)
				closing := result(a.Close)
				err := <-running
				<-closing
				require.Equal(t, context.Cause(a.Context()), context.Cause(a.ice.Context()))
				require.Equal(t, context.Cause(a.Context()), context.Cause(a.sctp.Context()))
				switch cause := context.Cause(a.Context()); {
				case errors.Is(cause, ErrClosed):
					require.NoError(t, err)
				default:
					require.ErrorIs(t, cause, errSwept)
					require.Equal(t, cause, err)
				}
				requirePeersGone(t, network, a, b)
			})
		}
	})
	t.Run("graceful at both sides", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connected(t)
			running := result(func() error { return b.Run(background) })
			require.NoError(t, a.GracefulClose())
			require.Equal(t, io.EOF, <-running)
			require.NoError(t, b.GracefulClose())
			require.NoError(t, a.GracefulClose())
			require.NoError(t, a.Shutdown(background))
			require.NoError(t, a.Run(background))
			require.Equal(t, io.EOF, b.Run(background))
			requirePeersGone(t, network, a, b)
		})
	})
	t.Run("shut down at both sides at once", func(t *testing.T) {
		for i := range 20 {
			bubble(t, func(t *testing.T) {
				a, b, network := connected(t)
				first := result(func() error { return a.Shutdown(background) })
				time.Sleep(time.Duration(i) * time.Millisecond)
				require.NoError(t, b.Shutdown(background))
				require.NoError(t, <-first)
				for _, pc := range []*PeerConnection{a, b} {
					cause := context.Cause(pc.Context())
					require.True(t, gracefulEnd(cause), "%v", cause)
				}
				requirePeersGone(t, network, a, b)
			})
		}
	})
	t.Run("a handler that is waited for", func(t *testing.T) {
		for name, set := range map[string]func(pc *PeerConnection, f func()){
			"OnConnectionStateChange": func(pc *PeerConnection, f func()) {
				pc.OnConnectionStateChange(func(PeerConnectionState) { f() })
			},
			"OnNegotiationNeeded": func(pc *PeerConnection, f func()) { pc.OnNegotiationNeeded(f) },
			"OnDataChannel":       func(pc *PeerConnection, f func()) { pc.OnDataChannel(func(*DataChannel) { f() }) },
			"OnICECandidate":      func(pc *PeerConnection, f func()) { pc.OnICECandidate(func(*ICECandidate) { f() }) },
		} {
			bubble(t, func(t *testing.T) {
				a, b, network := peers(t, testnet.Delay(pathDelay))
				block, entered, unblock := blocking(t)
				set(b, block)
				_, err := b.CreateDataChannel("needed", nil)
				require.NoError(t, err)
				_, err = a.CreateDataChannel("chat", nil)
				require.NoError(t, err)
				negotiate(t, a, b)
				connectPeers(t, a, b)
				<-entered
				require.NoError(t, b.Shutdown(limited(t, testTimeout)), name)
				running, graceful := result(func() error { return b.Run(background) }), result(b.GracefulClose)
				time.Sleep(time.Hour)
				require.Empty(t, running, name)
				require.Empty(t, graceful, name)
				unblock()
				require.NoError(t, <-running, name)
				require.NoError(t, <-graceful, name)
				requirePeersGone(t, network, a, b)
			})
		}
	})
}

// A Shutdown whose context has ended closes at once, at every stage.
func TestL12_ShutdownUnderADeadContext(t *testing.T) {
	for steps := range 5 {
		t.Run(fmt.Sprint("after ", steps, " steps"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := peers(t, testnet.Delay(pathDelay))
				_, err := a.CreateDataChannel("chat", nil)
				require.NoError(t, err)
				waits := &connectionWaits{calls: map[string]<-chan error{}}
				for _, step := range trickling(a, b, waits)[:steps] {
					require.NoError(t, step())
				}
				if steps == 4 {
					connectPeers(t, a, b)
				}
				began := time.Now()
				for _, pc := range []*PeerConnection{a, b} {
					if err = pc.Shutdown(deadContext); err != nil {
						require.ErrorIs(t, err, errSwept)
					}
					require.Equal(t, PeerConnectionStateClosed, pc.ConnectionState())
					require.ErrorIs(t, context.Cause(pc.Context()), ErrClosed)
				}
				require.Zero(t, time.Since(began))
				requirePeersGone(t, network, a, b)
			})
		})
	}
}
