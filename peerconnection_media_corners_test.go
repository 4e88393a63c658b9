package webrtc

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The name of an encoding may be as long as it is allowed to be: more than what the
// short form of a header extension holds.
// https://www.rfc-editor.org/rfc/rfc8285#section-4.3
func TestMediaLongRIDs(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one := newSource(t, MimeTypeVP8, "video", WithRTPStreamID(strings.Repeat("a", 17)))
		two := newSource(t, MimeTypeVP8, "video", WithRTPStreamID(strings.Repeat("b", maxRID)))
		sender, err := s.a.AddTrack(one)
		require.NoError(t, err)
		require.NoError(t, sender.AddEncoding(two))
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		one.begins(t, s.toB)
		two.begins(t, s.toB)
	})
}

// A sender's parameters can be asked for while a negotiation changes them: the race
// detector looks on.
func TestMediaParametersDuringANegotiation(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		sender, err := s.a.AddTrack(newSource(t, MimeTypeVP8, "video"))
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		params := sender.GetParameters().RTPParameters
		fewer := params
		fewer.HeaderExtensions = nil
		other := params
		other.Codecs = cloneCodecs(params.Codecs)
		for i := range other.Codecs {
			if other.Codecs[i].is(MimeTypeVP8) {
				other.Codecs[i].PayloadType = 60
			}
		}
		var over atomic.Bool
		asks := result(func() error {
			for !over.Load() {
				sender.GetParameters()
				s.a.GetStats()
			}

			return nil
		})
		for i := range 60 {
			require.NoError(t, sender.negotiated(true, "0", []RTPParameters{params, fewer, other}[i%3], nil))
		}
		over.Store(true)
		require.NoError(t, <-asks)
	})
}

// A sender that SetSender replaces ends: nobody has it any more, and RemoveTrack
// would refuse it.
func TestMediaSetSenderEndsTheOldOne(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, two := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "two")
		old, err := s.a.AddTrack(one)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		one.begins(t, s.toB)
		sender, err := s.a.api.NewRTPSender(two, s.a.dtls)
		require.NoError(t, err)
		require.NoError(t, s.a.GetTransceivers()[0].SetSender(sender, two))
		negotiate(t, s.a, s.b)
		require.NotContains(t, s.a.GetSenders(), old)
		require.Error(t, old.Context().Err())
		one.silent(t, s.network, 0)
	})
}

// A SetSender that is refused changes nothing, neither of a sender of another
// transceiver's nor of one that has none.
func TestMediaSetSenderOfAStoppedTransceiver(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, other := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "other")
		used, err := s.a.AddTrack(one)
		require.NoError(t, err)
		free, err := s.a.api.NewRTPSender(one, s.a.dtls)
		require.NoError(t, err)
		transceiver, err := s.a.AddTransceiverFromKind(RTPCodecTypeVideo)
		require.NoError(t, err)
		require.NoError(t, transceiver.Stop())
		for _, sender := range []*RTPSender{used, free} {
			require.ErrorIs(t, transceiver.SetSender(sender, other), ErrInvalidState)
			require.True(t, sender.Track() == TrackLocal(one), "the sender has another track now")
		}
	})
}

// After a rollback of the peer's offer a transceiver is as it was before: a direction
// that was only offered does not keep AddTrack from taking it.
func TestP4_RollbackForgetsTheOfferedDirection(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		_, err := s.a.AddTransceiverFromKind(RTPCodecTypeVideo)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		before := directionsOf(s.b, true)
		ctx := limited(t, testTimeout)
		require.NoError(t, s.a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *s.a.LocalDescription()
		offer.SDP = strings.Replace(offer.SDP, "a=sendrecv", "a=sendonly", 1)
		require.NoError(t, s.b.SetRemoteDescriptionContext(ctx, offer))
		require.NoError(t, s.b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
		require.Equal(t, before, directionsOf(s.b, true))
		_, err = s.b.AddTrack(newSource(t, MimeTypeVP8, "back"))
		require.NoError(t, err)
		require.Len(t, s.b.GetTransceivers(), 1)
	})
}

// Two sections of the peer's that change their SSRCs go on: the one is free when the
// other gets it, in whatever order they are looked at.
func TestMediaSSRCsThatChangePlaces(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, two := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "two")
		x, err := s.a.AddTrack(one)
		require.NoError(t, err)
		y, err := s.a.AddTrack(two)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		one.begins(t, s.toB)
		two.begins(t, s.toB)
		ctx := limited(t, testTimeout)
		require.NoError(t, s.a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *s.a.LocalDescription()
		text := func(ssrc SSRC) string { return fmt.Sprint(uint32(ssrc)) }
		ex, ey := x.GetParameters().Encodings[0], y.GetParameters().Encodings[0]
		offer.SDP = strings.NewReplacer(
			text(ex.SSRC), text(ey.SSRC), text(ey.SSRC), text(ex.SSRC),
			text(ex.RTX.SSRC), text(ey.RTX.SSRC), text(ey.RTX.SSRC), text(ex.RTX.SSRC),
		).Replace(offer.SDP)
		require.NoError(t, s.b.SetRemoteDescriptionContext(ctx, offer))
		require.NoError(t, s.b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		synctest.Wait()
		for _, transceiver := range s.b.GetTransceivers() {
			require.Equal(t, mediaStateRunning, transceiver.Receiver().life.current())
		}
		// a's own sections have not changed: what it sends is now of the other's.
		for _, pair := range [][2]*source{{one, two}, {two, one}} {
			pair[0].write(t)
			track := <-s.toB
			require.Equal(t, pair[1].ID(), track.ID())
			pair[0].reaches(t, track)
		}
	})
}

// Nothing is left of tracks that were added, negotiated and removed, however many
// there were: each takes the place of the one before.
func TestMediaManyTracksLeaveNothing(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		for i := range 50 {
			track := newSource(t, MimeTypeVP8, fmt.Sprint("track", i))
			sender, err := s.a.AddTrack(track)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			if i == 0 {
				connectPeers(t, s.a, s.b)
			}
			track.begins(t, s.toB)
			require.NoError(t, s.a.RemoveTrack(sender))
			negotiate(t, s.a, s.b)
		}
		synctest.Wait()
		for _, pc := range []*PeerConnection{s.a, s.b} {
			require.Len(t, pc.GetTransceivers(), 1)
			media := pc.dtls.mediaIfUsed()
			media.mu.Lock()
			sinks, senders, users := len(media.sinks), len(media.senders), len(media.users)
			media.mu.Unlock()
			require.LessOrEqual(t, sinks, 1)
			require.LessOrEqual(t, senders, 2)
			require.LessOrEqual(t, users, 2)
		}
	})
}

// Without data channels nothing is aborted when a peer closes: its DTLS alert is all
// that it says, and that is io.EOF.
func TestMediaCloseWithoutChannels(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		video := newSource(t, MimeTypeVP8, "video")
		_, err := s.a.AddTrack(video)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		track := video.begins(t, s.toB)
		time.Sleep(time.Second)
		require.NoError(t, s.a.Close())
		require.Equal(t, io.EOF, s.b.Run(limited(t, testTimeout)))
		_, _, err = track.ReadRTP()
		require.Equal(t, io.EOF, err)
	})
}
