package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

func awaitChannel(t *testing.T, c *DataChannel, state DataChannelState) {
	t.Helper()
	_, err := c.life.await(limited(t, testTimeout), "test", state)
	require.NoError(t, err)
}

// TestC5_CloseIsSeenByBothSides: whoever closes, what was sent before arrives,
// both sides pass through closing to closed, and each gets OnClose once.
func TestC5_CloseIsSeenByBothSides(t *testing.T) {
	for _, closer := range []string{"opener", "acceptor", "both"} {
		t.Run(closer, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Label: "x", Ordered: true})
				ends := []*DataChannel{from, to}
				var closes [2]int
				var reads [2][]string
				var mu sync.Mutex
				for i, c := range ends {
					c.OnError(func(err error) { t.Errorf("OnError after a graceful close: %v", err) })
					c.OnMessage(func(m DataChannelMessage) {
						mu.Lock()
						defer mu.Unlock()
						reads[i] = append(reads[i], string(m.Data))
						assert.Zero(t, closes[i], "a message after OnClose")
					})
					c.OnClose(func() {
						mu.Lock()
						defer mu.Unlock()
						assert.Equal(t, DataChannelStateClosed, c.ReadyState())
						closes[i]++
					})
				}
				const messages = 50
				var sent []string
				for i := range messages {
					text := fmt.Sprint("message ", i)
					sent = append(sent, text)
					switch closer {
					case "opener":
						require.NoError(t, from.SendText(text))
					case "acceptor":
						require.NoError(t, to.SendText(text))
					}
				}
				causes := [2]error{io.EOF, io.EOF}
				for i, c := range ends {
					if closer == "both" || closer == [...]string{"opener", "acceptor"}[i] {
						require.NoError(t, c.Close())
						require.Equal(t, DataChannelStateClosing, c.ReadyState())
						require.ErrorIs(t, c.Send(nil), ErrClosed)
						causes[i] = ErrClosed
					}
				}
				for i, c := range ends {
					awaitChannel(t, c, DataChannelStateClosed)
					require.NoError(t, c.Close(), "closing again")
					require.Equal(t, causes[i], context.Cause(c.Context()))
					require.ErrorIs(t, c.Send(nil), causes[i])
				}
				synctest.Wait()
				mu.Lock()
				require.Equal(t, [2]int{1, 1}, closes)
				switch closer {
				case "opener":
					require.Equal(t, sent, reads[1])
				case "acceptor":
					require.Equal(t, sent, reads[0])
				}
				mu.Unlock()

				again, other := channelPair(t, a, b, DataChannelParameters{Label: "next"})
				require.NoError(t, again.SendText("works"))
				m, err := other.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, "works", string(m.Data))
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC5_ClosingIsSeen: the closer is closing until the peer has answered.
func TestC5_ClosingIsSeen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{})
		begin := time.Now()
		require.NoError(t, from.Close())
		require.Equal(t, DataChannelStateClosing, from.ReadyState())
		require.NoError(t, from.Context().Err())
		awaitChannel(t, to, DataChannelStateClosed)
		require.GreaterOrEqual(t, time.Since(begin), pathDelay)
		require.Equal(t, DataChannelStateClosing, from.ReadyState())
		awaitChannel(t, from, DataChannelStateClosed)
		require.GreaterOrEqual(t, time.Since(begin), 2*pathDelay)
		require.Less(t, time.Since(begin), 20*pathDelay)
		stopped(t, network, a, b)
	})
}

// TestC5_CloseWhileConnecting: before there is an association, and before the
// peer has acknowledged.
func TestC5_CloseWhileConnecting(t *testing.T) {
	t.Run("before the association", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPairWithout(t)
			c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "early"})
			require.NoError(t, err)
			kept, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "kept"})
			require.NoError(t, err)
			called := make(chan struct{})
			c.OnClose(func() { close(called) })
			c.OnOpen(func() { t.Error("OnOpen of a closed channel") })
			require.ErrorIs(t, c.Send(nil), ErrDataChannelNotOpen)
			require.NoError(t, c.Close())
			require.Equal(t, DataChannelStateClosed, c.ReadyState())
			<-called
			require.ErrorIs(t, c.Send(nil), ErrClosed)
			require.NoError(t, both(a, b, func(s, peer *stack) error {
				return s.startSCTP(limited(t, testTimeout), peer)
			}))
			accepted, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, "kept", accepted.Label())
			require.Equal(t, DataChannelStateOpen, kept.ReadyState())
			err = <-accepting(limited(t, time.Second), b)
			require.ErrorIs(t, err, context.DeadlineExceeded, "the closed channel was announced")
			stopped(t, network, a, b)
		})
	})
	t.Run("before the acknowledgement", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
			ctx, cancel := context.WithTimeoutCause(context.Background(), pathDelay, errTest)
			defer cancel()
			begin := time.Now()
			_, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "late"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errTest)
			require.Equal(t, pathDelay, time.Since(begin))
			c, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			awaitChannel(t, c, DataChannelStateClosed)
			require.Equal(t, io.EOF, context.Cause(c.Context()))
			stopped(t, network, a, b)
		})
	})
}

var errTest = errors.New("the test's cause")

// connectedPairWithout has no association yet.
func connectedPairWithout(t *testing.T) (a, b *stack, network *testnet.Network) {
	t.Helper()
	a, b, network = virtualPair(t)
	signal(t, a, b)
	ctx := limited(t, testTimeout)
	require.NoError(t, both(a, b, func(s, peer *stack) error {
		return errors.Join(s.startICE(ctx, peer), s.startDTLS(ctx, peer))
	}))

	return a, b, network
}

// TestC5_StackEndsItsChannels: the end of the transport ends every channel
// with its cause, also those that wait.
func TestC5_StackEndsItsChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{})
		waiting := receiving(context.Background(), from)
		synctest.Wait()
		require.NoError(t, a.sctp.Stop())
		require.ErrorIs(t, <-waiting, ErrClosed)
		require.Equal(t, DataChannelStateClosed, from.ReadyState())
		_, err := to.ReceiveContext(limited(t, testTimeout))
		var abort *SCTPAbortError
		require.ErrorAs(t, err, &abort)
		require.True(t, abort.Remote)
		require.Equal(t, DTLSTransportStateConnected, a.dtls.State(), "Stop touches nothing below")
		require.Equal(t, DTLSTransportStateConnected, b.dtls.State())
		_, err = a.api.NewDataChannel(a.sctp, &DataChannelParameters{})
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorIs(t, err, ErrClosed)
		stopped(t, network, a, b)
	})
}
