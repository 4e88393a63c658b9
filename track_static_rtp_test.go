package webrtc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// A write that waits for the path of its only sender ends with that sender, with the
// reason: nobody else would ever send it.
func TestP8_WritesEndWithTheirSender(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(t *testing.T, pc *PeerConnection, sender *RTPSender)
		want error
	}{
		"Close": {func(t *testing.T, pc *PeerConnection, _ *RTPSender) {
			t.Helper()
			require.NoError(t, pc.Close())
		}, ErrClosed},
		"Stop of the sender": {func(t *testing.T, _ *PeerConnection, sender *RTPSender) {
			t.Helper()
			require.NoError(t, sender.Stop())
		}, ErrClosed},
		"no path": {func(t *testing.T, _ *PeerConnection, sender *RTPSender) {
			t.Helper()
			<-sender.Context().Done()
		}, ErrICEFailed},
		"after it had another track": {func(t *testing.T, _ *PeerConnection, sender *RTPSender) {
			t.Helper()
			require.NoError(t, sender.ReplaceTrack(nil))
			time.Sleep(time.Second)
			require.NoError(t, sender.Stop())
		}, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, network := peers(t)
				network.Cut(true)
				track := sampleTrack(t, MimeTypeVP8)
				sender, err := a.AddTrack(track)
				require.NoError(t, err)
				var waits [2]<-chan error
				write := func(i int) {
					waits[i] = result(func() error {
						return track.WriteSampleContext(limited(t, time.Hour), media.Sample{Data: []byte{7}, Duration: time.Second / 30})
					})
				}
				write(0) // before it is negotiated
				synctest.Wait()
				negotiate(t, a, b)
				write(1)
				synctest.Wait()
				begin := time.Now()
				row.end(t, a, sender)
				for _, done := range waits {
					require.ErrorIs(t, <-done, row.want)
				}
				require.Less(t, time.Since(begin), 2*time.Minute)
				require.Nil(t, track.track.gone, "the track keeps what has ended")
				requirePeersGone(t, network, a, b)
			})
		})
	}
}

// A sender that gets its track back, or another one that has it, is what a write waits
// for; one that begins after all have ended waits for its context.
func TestP8_WritesWaitForAnotherSender(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t)
		track := rtpTrack(t)
		first, second := a.sender(t, track), a.sender(t, track)
		waits := result(func() error { return track.WriteRTPContext(limited(t, time.Hour), numbered(1)) })
		synctest.Wait()
		require.NoError(t, first.Stop())
		require.NoError(t, second.ReplaceTrack(nil))
		synctest.Wait()
		require.NoError(t, second.ReplaceTrack(track))
		connect(t, a, b)
		require.NoError(t, <-waits)
		require.NoError(t, second.Stop())
		ctx := limited(t, time.Second)
		require.ErrorIs(t, track.WriteRTPContext(ctx, numbered(2)), context.DeadlineExceeded)
		stopped(t, network, a, b)
	})
}

// The codec that a peer does not take is named, and nothing behind it if there is
// nothing.
func TestBindNamesTheCodec(t *testing.T) {
	for fmtp, want := range map[string]string{"": "audio/none", "a=1": "audio/none a=1"} {
		track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: "audio/none", SDPFmtpLine: fmtp}, "track", "stream")
		require.NoError(t, err)
		_, err = track.Bind(new(trackContext))
		require.ErrorIs(t, err, ErrUnsupportedCodec)
		require.Regexp(t, want+"$", err.Error())
	}
}

// uncomparable is a track of a type that Go cannot compare.
type uncomparable struct {
	*TrackLocalStaticRTP

	_ []byte
}

// Tracks are told apart by comparing them; one that cannot be is refused.
func TestTracksThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		for range 2 {
			_, err := a.AddTrack(uncomparable{TrackLocalStaticRTP: rtpTrack(t)})
			require.ErrorIs(t, err, ErrInvalidArgument)
		}
		require.Empty(t, a.GetTransceivers())
		requirePeersGone(t, network, a, b)
	})
}
