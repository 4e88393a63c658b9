package webrtc

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC10_LostShutdownComplete: the last packet of a Shutdown is lost, after
// which its sender knows nothing of the association. The peer, which has all
// that was sent, ends with io.EOF all the same. The layers below stay up.
func TestC10_LostShutdownComplete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const dtlsApplicationData = 23
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, from.SendText("the last"))
		time.Sleep(5 * time.Second) // until it is acknowledged
		var packets atomic.Int32
		network.OnPacket(func(from int, p []byte) (drop bool) {
			// Of a there are two: SHUTDOWN, SHUTDOWN COMPLETE.
			return from == 0 && len(p) > 0 && p[0] == dtlsApplicationData && packets.Add(1) == 2
		})
		require.NoError(t, a.sctp.Shutdown(limited(t, testTimeout)))
		m, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "the last", string(m.Data))
		began := time.Now()
		_, err = to.ReceiveContext(limited(t, 2*time.Minute))
		require.Equal(t, io.EOF, err)
		require.Greater(t, time.Since(began), 10*time.Second, "it was the lost one that b has waited for")
		require.Less(t, time.Since(began), time.Minute)
		<-b.sctp.Context().Done()
		require.Equal(t, io.EOF, context.Cause(b.sctp.Context()))
		require.Equal(t, SCTPTransportStateClosed, b.sctp.State())
		for _, s := range []*stack{a, b} {
			require.Equal(t, DTLSTransportStateConnected, s.dtls.State())
		}
		require.EqualValues(t, 2, packets.Load())
		stopped(t, network, a, b)
	})
}
