package webrtc

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestC4_DetachedChannelGoesOn: what the program reads by itself takes nothing
// of the window for good, however many messages that are.
func TestC4_DetachedChannelGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, detaching(), detaching())
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		raw, err := from.DetachWithDeadline()
		require.NoError(t, err)
		other, err := to.DetachWithDeadline()
		require.NoError(t, err)
		window := a.sctp.Stats().ReceiverWindow
		const rounds, messages = 120, 256
		buf := make([]byte, 10)
		for range rounds {
			for range messages {
				_, err := raw.Write(buf)
				require.NoError(t, err)
			}
			for range messages {
				_, err := other.Read(buf)
				require.NoError(t, err)
			}
			synctest.Wait()
		}
		require.Zero(t, b.sctp.Stats().UnreadMessages)
		require.Zero(t, b.sctp.Stats().UnreadBytes)
		_, err = raw.Write(buf)
		require.NoError(t, err)
		_, err = other.Read(buf)
		require.NoError(t, err)
		require.Greater(t, a.sctp.Stats().ReceiverWindow, window/2)
		stopped(t, network, a, b)
	})
}
