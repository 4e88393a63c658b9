package webrtc

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// The side whose handshake is over first sends while the other waits for its last
// flight, which was lost. What was sent by then is not.
func TestX4_MediaThatComesBeforeTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		var lost, early atomic.Int32
		network.OnPacket(func(from int, payload []byte) (drop bool) {
			const changeCipherSpec, leastRTP, leastSTUNAfter = 20, 128, 192
			switch {
			case from != 0 || len(payload) == 0:
			case payload[0] == changeCipherSpec:
				return lost.Add(1) == 1
			case payload[0] >= leastRTP && payload[0] < leastSTUNAfter && lost.Load() == 1:
				early.Add(1)
			}

			return false
		})
		track := sampleTrack(t, MimeTypeVP8)
		_, err := a.AddTrack(track)
		require.NoError(t, err)
		got := make(chan *TrackRemote, 1)
		b.OnTrack(func(track *TrackRemote, _ *RTPReceiver) { got <- track })
		negotiate(t, a, b)
		for i := range 3 {
			sample := media.Sample{Data: []byte{byte(i)}, Duration: time.Second / 30}
			require.NoError(t, track.WriteSampleContext(t.Context(), sample))
		}
		assert.Equal(t, 3, int(early.Load()), "they were sent at once")
		connectPeers(t, a, b)
		require.NoError(t, track.WriteSampleContext(t.Context(), media.Sample{Data: []byte{3}, Duration: time.Second / 30}))
		remote := <-got
		ctx := limited(t, testTimeout)
		for i := range 4 {
			p, _, err := remote.ReadRTPContext(ctx)
			require.NoError(t, err)
			assert.EqualValues(t, i, p.Payload[len(p.Payload)-1])
		}
		require.NoError(t, a.Close())
		_ = b.Close()
		requirePeersGone(t, network, a, b)
	})
}

// A single frame, as of a still picture, reaches a peer that did not have the keys
// when it came, though nothing comes after it: what waits for the keys waits for
// nothing else.
func TestX4_OneFrameBeforeTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		var lost atomic.Int32
		network.OnPacket(func(from int, payload []byte) (drop bool) {
			const changeCipherSpec = 20

			return from == 0 && len(payload) > 0 && payload[0] == changeCipherSpec && lost.Add(1) == 1
		})
		track := sampleTrack(t, MimeTypeVP8)
		_, err := a.AddTrack(track)
		require.NoError(t, err)
		tracks := tracksOf(b)
		negotiate(t, a, b)
		require.NoError(t, track.WriteSampleContext(t.Context(), media.Sample{Data: []byte{7}, Duration: time.Second / 30}))
		connectPeers(t, a, b)
		ctx := limited(t, testTimeout)
		select {
		case remote := <-tracks:
			_, _, err = remote.ReadRTPContext(ctx)
			require.NoError(t, err)
		case <-ctx.Done():
			t.Error("the frame waits for another one")
		}
		require.NoError(t, a.Close())
		_ = b.Close()
		requirePeersGone(t, network, a, b)
	})
}
