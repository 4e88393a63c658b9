package webrtc

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// The connection ends with its DTLS transport, but not before that has told
// the peer: ICE would take the way of the close_notify.
func TestShutdownOfAConnectionTellsThePeer(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			a, b, network := peers(t)
			ctx := context.Background()
			_, err := a.CreateDataChannel("chat", nil)
			require.NoError(t, err)
			negotiate(t, a, b)
			connectPeers(t, a, b)
			require.NoError(t, a.Shutdown(ctx))
			require.Equal(t, io.EOF, b.Run(ctx))
			requirePeersGone(t, network, a, b)
		})
	}
}
