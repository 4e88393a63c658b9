package webrtc

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC5_ShutdownThatThePeersCloseCrosses waits until the peer has all that was
// sent, although it has closed the channel before; if the context ends first,
// what was not acknowledged is told.
func TestC5_ShutdownThatThePeersCloseCrosses(t *testing.T) {
	crossed := func(t *testing.T) (a, b *stack, network *testnet.Network, from *DataChannel) {
		t.Helper()
		a, b, network = virtualPair(t, testnet.Delay(100*time.Millisecond))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, to.Close())
		for range 15 {
			require.NoError(t, from.Send(make([]byte, 60_000)))
		}

		return a, b, network, from
	}
	bubble(t, func(t *testing.T) {
		a, b, network, from := crossed(t)
		require.NoError(t, from.Shutdown(limited(t, testTimeout)))
		time.Sleep(time.Second) // the last acknowledgement may come behind that of the reset
		require.Zero(t, a.sctp.BufferedAmount())
		stopped(t, network, a, b)
	})
	bubble(t, func(t *testing.T) {
		a, b, network, from := crossed(t)
		err := from.Shutdown(limited(t, 150*time.Millisecond))
		var lost *DataLostError
		require.ErrorAs(t, err, &lost)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Positive(t, lost.Bytes)
		stopped(t, network, a, b)
	})
}
