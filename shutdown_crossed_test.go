package webrtc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC5_ShutdownThatThePeersCloseCrosses: what the peer has not taken any more
// is told, although the channel has closed in good order.
func TestC5_ShutdownThatThePeersCloseCrosses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(100*time.Millisecond))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, to.Close())
		for range 15 {
			require.NoError(t, from.Send(make([]byte, 60_000)))
		}
		err := from.Shutdown(limited(t, testTimeout))
		var lost *DataLostError
		require.ErrorAs(t, err, &lost)
		require.ErrorContains(t, err, "the peer has closed the channel first")
		require.Positive(t, lost.Bytes)
		stopped(t, network, a, b)
	})
}
