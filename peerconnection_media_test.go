package webrtc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

func TestPeerConnectionSendsATrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		track := sampleTrack(t, MimeTypeVP8)
		sender, err := a.AddTrack(track)
		require.NoError(t, err)
		got := make(chan *TrackRemote, 1)
		b.OnTrack(func(track *TrackRemote, receiver *RTPReceiver) {
			assert.Equal(t, receiver.Track(), track)
			got <- track
		})
		negotiate(t, a, b)
		connectPeers(t, a, b)
		require.NoError(t, track.WriteSampleContext(t.Context(), media.Sample{Data: make([]byte, 3000), Duration: time.Second / 30}))
		remote := <-got
		p, _, err := remote.ReadRTPContext(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, sender.GetParameters().Encodings[0].SSRC, p.SSRC)
		assert.Equal(t, "track", remote.ID())
		assert.Equal(t, "stream", remote.StreamID())
		assert.Equal(t, MimeTypeVP8, remote.Codec().MimeType)
		require.NoError(t, b.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}}))
		_, _, err = sender.ReadRTCPContext(t.Context())
		require.NoError(t, err)
		require.NoError(t, a.Close())
		_ = b.Close()
		requirePeersGone(t, network, a, b)
	})
}
