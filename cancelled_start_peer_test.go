package webrtc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// cancelStep is the distance of the instants at which starts are cancelled;
// it divides no delay of the path, so none falls on a packet's arrival.
func cancelStep() time.Duration {
	if raceEnabled {
		return 3300 * time.Microsecond
	}

	return 330 * time.Microsecond
}

// outcome of one side's start.
type outcome struct {
	err error
	at  time.Duration // since both began
}

// startBoth starts a layer on both sides, one of them under a context of its
// own that ends after cancelAt.
func startBoth(
	a, b *stack, cancelAt time.Duration, start func(ctx context.Context, s, peer *stack) error,
) (cancelled, peer <-chan outcome) {
	begin := time.Now()
	run := func(ctx context.Context, s, other *stack) <-chan outcome {
		done := make(chan outcome, 1)
		_ = result(func() error {
			err := start(ctx, s, other)
			done <- outcome{err, time.Since(begin)}

			return nil
		})

		return done
	}
	ctx := context.Background()
	if cancelAt > 0 {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		time.AfterFunc(cancelAt, func() { cancel(errTest) })
	}

	return run(ctx, a, b), run(context.Background(), b, a)
}

// overICE is a pair whose ICE has connected.
func overICE(t *testing.T) (a, b *stack, network *testnet.Network) {
	t.Helper()
	a, b, network = virtualPairWith(t, SettingEngine{}, SettingEngine{}, testnet.Delay(pathDelay))
	signal(t, a, b)
	require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(limited(t, testTimeout), peer) }))

	return a, b, network
}

// overDTLS is a pair whose DTLS has connected.
func overDTLS(t *testing.T) (a, b *stack, network *testnet.Network) {
	t.Helper()
	a, b, network = overICE(t)
	require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(limited(t, testTimeout), peer) }))

	return a, b, network
}

func startDTLS(ctx context.Context, s, peer *stack) error { return s.startDTLS(ctx, peer) }
func startSCTP(ctx context.Context, s, peer *stack) error { return s.startSCTP(ctx, peer) }

// TestL10_CancelledDTLSStartTellsThePeer at every instant of the handshake, by
// the client and by the server: the peer's own start ends within a round trip
// with the alert.
//
// There is one window without a way: a client that has sent its Finished and
// has not got the server's. The server is connected when anything that the
// client could still send in plaintext arrives, and rightly drops it; for a
// protected alert the client would have to be connected itself. That peer
// learns at the next layer, or when consent ends.
func TestL10_CancelledDTLSStartTellsThePeer(t *testing.T) {
	var clientDone, serverDone time.Duration
	bubble(t, func(t *testing.T) {
		a, b, network := overICE(t) // a is controlling, so it is the server
		first, second := startBoth(a, b, 0, startDTLS)
		server, client := <-first, <-second
		require.NoError(t, errors.Join(server.err, client.err))
		require.True(t, b.dtls.isClient())
		clientDone, serverDone = client.at, server.at
		stopped(t, network, a, b)
	})
	require.Equal(t, pathDelay, clientDone-serverDone)
	finishedSent := serverDone - pathDelay

	for _, role := range []string{"server", "client"} {
		last := map[string]time.Duration{"server": serverDone, "client": clientDone}[role]
		told, untold := 0, 0
		for at := cancelStep(); at < last; at += cancelStep() {
			bubble(t, func(t *testing.T) {
				a, b, network := overICE(t)
				canceller, other := a, b
				if role == "client" {
					canceller, other = b, a
				}
				first, second := startBoth(canceller, other, at, startDTLS)
				own := <-first
				require.ErrorIs(t, own.err, context.Canceled)
				require.ErrorIs(t, own.err, errTest)
				require.Equal(t, at, own.at)
				peer := <-second
				if role == "client" && at > finishedSent {
					untold++
					require.NoError(t, peer.err)
					require.Equal(t, serverDone, peer.at)
				} else {
					told++
					var alert *DTLSAlertError
					require.ErrorAs(t, peer.err, &alert, "cancelled at %v", at)
					require.EqualValues(t, 2, alert.Level)
					require.EqualValues(t, 90, alert.Description)
					require.LessOrEqual(t, peer.at, at+2*pathDelay)
					require.Equal(t, DTLSTransportStateFailed, other.dtls.State())
				}
				stopped(t, network, a, b)
			})
			if t.Failed() {
				t.Fatalf("the %s cancelled after %v", role, at)
			}
		}
		require.Positive(t, told)
		t.Logf("%s: %d told, %d without a way", role, told, untold)
	}
}

// TestL10_CancelledSCTPStartAborts at every instant: the peer's start ends with
// the ABORT within a round trip, or its transport, if that was connected.
func TestL10_CancelledSCTPStartAborts(t *testing.T) {
	var done time.Duration
	bubble(t, func(t *testing.T) {
		a, b, network := overDTLS(t)
		first, second := startBoth(a, b, 0, startSCTP)
		one, two := <-first, <-second
		require.NoError(t, errors.Join(one.err, two.err))
		done = max(one.at, two.at)
		stopped(t, network, a, b)
	})
	for at := cancelStep(); at < done+2*pathDelay; at += cancelStep() {
		bubble(t, func(t *testing.T) {
			a, b, network := overDTLS(t)
			begin := time.Now()
			first, second := startBoth(a, b, at, startSCTP)
			own := <-first
			if own.err == nil {
				require.NoError(t, (<-second).err)
				require.Equal(t, SCTPTransportStateConnected, a.sctp.State())
				stopped(t, network, a, b)

				return
			}
			require.ErrorIs(t, own.err, errTest)
			require.Equal(t, at, own.at)
			<-b.sctp.Context().Done()
			require.LessOrEqual(t, time.Since(begin), at+2*pathDelay)
			var abort *SCTPAbortError
			require.ErrorAs(t, context.Cause(b.sctp.Context()), &abort)
			require.True(t, abort.Remote)
			if peer := <-second; peer.err != nil {
				require.ErrorAs(t, peer.err, &abort)
			}
			require.Equal(t, DTLSTransportStateConnected, b.dtls.State())
			stopped(t, network, a, b)
		})
		if t.Failed() {
			t.Fatalf("cancelled after %v", at)
		}
	}
}

// TestL10_PeerThatStartsLater is told all the same: what was sent waits.
func TestL10_PeerThatStartsLater(t *testing.T) {
	for _, at := range []time.Duration{0, pathDelay / 2, 5 * pathDelay} {
		for _, role := range []string{"server", "client"} {
			t.Run(fmt.Sprint("DTLS ", role, " after ", at), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := overICE(t)
					canceller, other := a, b
					if role == "client" {
						canceller, other = b, a
					}
					ctx, cancel := context.WithTimeout(context.Background(), at)
					defer cancel()
					require.ErrorIs(t, canceller.startDTLS(ctx, other), context.DeadlineExceeded)
					time.Sleep(5 * pathDelay)
					begin := time.Now()
					err := other.startDTLS(context.Background(), canceller)
					var alert *DTLSAlertError
					require.ErrorAs(t, err, &alert)
					require.LessOrEqual(t, time.Since(begin), 2*pathDelay)
					stopped(t, network, a, b)
				})
			})
		}
		if at == 0 {
			continue // an association that sent nothing has no tag to abort with
		}
		t.Run(fmt.Sprint("SCTP after ", at), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := overDTLS(t)
				ctx, cancel := context.WithTimeout(context.Background(), at)
				defer cancel()
				require.ErrorIs(t, a.startSCTP(ctx, b), context.DeadlineExceeded)
				time.Sleep(5 * pathDelay)
				begin := time.Now()
				err := b.startSCTP(context.Background(), a)
				var abort *SCTPAbortError
				require.ErrorAs(t, err, &abort)
				require.LessOrEqual(t, time.Since(begin), 2*pathDelay)
				stopped(t, network, a, b)
			})
		})
	}
}

// TestL10_StartTimeoutTellsThePeer too.
func TestL10_StartTimeoutTellsThePeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DTLS.StartTimeout = time.Second
		a, b, network := virtualPairWith(t, settings, SettingEngine{}, testnet.Delay(pathDelay))
		signal(t, a, b)
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(limited(t, testTimeout), peer) }))
		begin := time.Now()
		err := a.startDTLS(context.Background(), b)
		require.ErrorIs(t, err, ErrHandshakeTimeout)
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, DTLSTransportStateFailed, a.dtls.State())
		var alert *DTLSAlertError
		require.ErrorAs(t, b.startDTLS(context.Background(), a), &alert)
		require.LessOrEqual(t, time.Since(begin), time.Second+2*pathDelay)
		stopped(t, network, a, b)
	})
}
