package webrtc

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// mediaWith runs a test over connections of which b has settings of its own.
func mediaWith(t *testing.T, settings SettingEngine, f func(t *testing.T, s *mediaScene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{network: testnet.Pair(t)}
		s.a, s.b = newPeer(t, SettingEngine{}, s.network, 0), newPeer(t, settings, s.network, 1)
		s.run(t, f)
	})
}

func TestMediaTellTracksEarly(t *testing.T) {
	mediaWith(t, SettingEngine{Media: MediaSettings{TellTracksEarly: true}}, func(t *testing.T, s *mediaScene) {
		video := newSource(t, MimeTypeVP8, "video")
		_, err := s.a.AddTrack(video)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		track := <-s.toB
		assert.Equal(t, "video", track.ID())
		connectPeers(t, s.a, s.b)
		video.reaches(t, track)
		assert.Equal(t, MimeTypeVP8, track.Codec().MimeType)
		negotiate(t, s.b, s.a)
		video.reaches(t, track)
		require.Empty(t, s.toB, "it was told twice")
	})
}

func TestMediaIgnoreRIDPause(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		mediaWith(t, SettingEngine{Media: MediaSettings{IgnoreRIDPause: ignored}}, func(t *testing.T, s *mediaScene) {
			low := newSource(t, MimeTypeVP8, "video", WithRTPStreamID("l"))
			sender, err := s.a.AddTrack(low)
			require.NoError(t, err)
			require.NoError(t, sender.AddEncoding(newSource(t, MimeTypeVP8, "video", WithRTPStreamID("h"))))
			require.NoError(t, s.a.SetLocalDescription(SessionDescription{}))
			offer := *s.a.LocalDescription()
			require.Equal(t, []string{"a=simulcast:send l;h"}, linesOf(&offer, "a=simulcast"))
			for i := range len(offer.SDP) - 8 {
				if offer.SDP[i:i+8] == "send l;h" {
					offer.SDP = offer.SDP[:i] + "send l;~h" + offer.SDP[i+8:]

					break
				}
			}
			require.NoError(t, s.b.SetRemoteDescription(offer))
			answer, err := s.b.CreateAnswer(nil)
			require.NoError(t, err)
			want := "a=simulcast:recv l;~h"
			if ignored {
				want = "a=simulcast:recv l;h"
			}
			require.Equal(t, []string{want}, linesOf(&answer, "a=simulcast"))
		})
	}
}

func TestMediaEngineThatIsNotCopied(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			network := testnet.Pair(t)
			engine := engineWith(t, map[string]PayloadType{MimeTypeVP8: 96})
			settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
			settings.DisableMediaEngineCopy(shared)
			pc, err := NewAPI(WithMediaEngine(engine), WithSettingEngine(settings)).NewPeerConnection(
				Configuration{Certificates: []Certificate{bubbleCertificate(t)}})
			require.NoError(t, err)
			require.NoError(t, engine.RegisterCodec(RTPCodecParameters{
				RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeVP9, ClockRate: 90000}, PayloadType: 98,
			}, RTPCodecTypeVideo))
			_, err = pc.AddTransceiverFromKind(RTPCodecTypeVideo)
			require.NoError(t, err)
			offer, err := pc.CreateOffer(nil)
			require.NoError(t, err)
			assert.Equal(t, shared, len(linesOf(&offer, "a=rtpmap:98 VP9")) == 1)
			assert.NotEmpty(t, linesOf(&offer, "a=rtcp-fb:96 nack"), "what the interceptors need")
			requirePeersGone(t, network, pc)
		})
	}
}
