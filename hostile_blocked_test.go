package webrtc

import (
	"strings"
	"testing"
	"time"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/require"
)

// TestS2_AHandlerThatBlocks holds up its own channel. Ten others carry
// messages until what it has not taken fills the association's window, then
// all wait; and all go on when it returns.
func TestS2_AHandlerThatBlocks(t *testing.T) {
	hostile(t, func(t *testing.T, p *hostilePeer) {
		blocked, stream := p.openGood(streamBad)
		block, entered, release := blocking(t)
		got := 0
		blocked.OnMessage(func(m DataChannelMessage) {
			if got == 0 {
				block()
			}
			got += len(m.Data)
		})
		type pair struct {
			c      *DataChannel
			stream *sctp.Stream
		}
		var others []pair
		for i := range 10 {
			c, other := p.openGood(uint16(100 + 2*i))
			others = append(others, pair{c, other})
		}
		message := make([]byte, 50_000)
		sent := 0
		send := func(bytes int) {
			for end := sent + bytes; sent < end; sent += len(message) {
				_, err := stream.WriteSCTP(message, sctp.PayloadTypeWebRTCBinary)
				require.NoError(t, err)
			}
		}
		for range 4 {
			send(1_000_000) // less than the window in all
			p.settle()
			for _, other := range others {
				p.ping(other.c, other.stream)
			}
		}
		<-entered

		send(4_000_000)
		time.Sleep(5 * time.Minute) // the last of the window comes with the sender's timer
		require.NotZero(t, stream.BufferedAmount(), "the window was not filled")
		c, other := others[0].c, others[0].stream
		// Longer than what can be left of the window, which is less than a packet.
		waits := strings.Repeat("waits", 1000)
		var err error
		for tries := 0; err == nil && tries < 50; tries++ {
			_, err = other.WriteSCTP([]byte(waits), sctp.PayloadTypeWebRTCString)
			require.NoError(t, err)
			_, err = c.ReceiveContext(limited(t, 10*time.Second))
		}
		require.Error(t, err, "where does it wait?")
		require.Equal(t, SCTPTransportStateConnected, p.victim.sctp.State())

		all := p.victim.sctp.Stats()
		require.Greater(t, all.UnreadBytes, uint64(all.LocalReceiverWindow)*9/10, "the window is full")
		holds := blocked.Stats().UnreadBytes
		require.GreaterOrEqual(t, holds, all.UnreadBytes-uint64(len(waits)))
		for _, other := range others {
			require.LessOrEqual(t, other.c.Stats().UnreadBytes, uint64(len(waits)))
		}
		// The other direction has a window of its own.
		require.NoError(t, c.SendTextContext(limited(t, testTimeout), "goes on"))
		text, _ := p.read(other)
		require.Equal(t, "goes on", string(text))

		release()
		m, err := c.ReceiveContext(limited(t, 2*time.Minute))
		require.NoError(t, err, "it did not go on")
		require.Equal(t, waits, string(m.Data))
		require.True(t, p.eventually(func() bool { return stream.BufferedAmount() == 0 }))
		p.settle()
		require.Equal(t, sent, got)
		for _, other := range others {
			p.ping(other.c, other.stream)
		}
		p.works()
	})
}
