package webrtc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// A stream goes on when its sender has got another track, also when the next
// negotiation tells that track's names.
func TestReplacedTrackIsTheSameStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		sendonly := RTPTransceiverInit{Direction: RTPTransceiverDirectionSendonly}
		transceiver, err := a.AddTransceiverFromKind(RTPCodecTypeVideo, sendonly)
		require.NoError(t, err)
		got := make(chan *TrackRemote, 2)
		b.OnTrack(func(track *TrackRemote, _ *RTPReceiver) { got <- track })
		negotiate(t, a, b)
		connectPeers(t, a, b)
		track := sampleTrack(t, MimeTypeVP8)
		require.NoError(t, transceiver.Sender().ReplaceTrack(track))
		write := func() {
			t.Helper()
			sample := media.Sample{Data: make([]byte, 100), Duration: time.Second / 30}
			require.NoError(t, track.WriteSampleContext(t.Context(), sample))
		}
		write()
		remote := <-got
		_, _, err = remote.ReadRTPContext(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, "track", remote.ID())
		receiver := b.GetReceivers()[0]

		negotiate(t, a, b)
		write()
		_, _, err = remote.ReadRTPContext(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "track", remote.ID())
		assert.Equal(t, "stream", remote.StreamID())
		assert.Same(t, receiver, b.GetReceivers()[0])
		synctest.Wait()
		assert.Empty(t, got, "nobody is told of it again")
		require.NoError(t, a.Close())
		_ = b.Close()
		requirePeersGone(t, network, a, b)
	})
}
