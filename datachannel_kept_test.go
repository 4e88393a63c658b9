package webrtc

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC2_ClosedChannelsThatNobodyReads: what the peer has sent before it closed
// its channels is bounded over all of them, and none of it is lost: further
// closes wait until the program has read.
func TestC2_ClosedChannelsThatNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		const channels, messages, size = 6, 12, 50_000 // 600 kB a channel
		var from, to [channels]*DataChannel
		for i := range channels {
			from[i], to[i] = channelPair(t, a, b, DataChannelParameters{Ordered: true})
			for range messages {
				require.NoError(t, from[i].SendContext(limited(t, testTimeout), make([]byte, size)))
			}
			require.NoError(t, from[i].Close())
			time.Sleep(time.Minute)
		}
		closed := 0
		for i := range channels {
			if to[i].ReadyState() == DataChannelStateClosed {
				closed++
				require.Equal(t, DataChannelStateClosed, from[i].ReadyState())
			}
		}
		require.Equal(t, keptLimit/(messages*size)+1, closed)
		require.Equal(t, DataChannelStateClosing, from[channels-1].ReadyState())
		again, other := channelPair(t, a, b, DataChannelParameters{})
		require.NoError(t, again.SendText("another one works"))
		m, err := other.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "another one works", string(m.Data))
		for _, c := range to {
			for range messages {
				m, err := c.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Len(t, m.Data, size)
			}
			_, err := c.ReceiveContext(limited(t, 2*time.Minute))
			require.Equal(t, io.EOF, err)
		}
		require.Zero(t, b.sctp.kept.Load())
		for _, c := range from {
			awaitChannel(t, c, DataChannelStateClosed)
		}
		stopped(t, network, a, b)
	})
}
