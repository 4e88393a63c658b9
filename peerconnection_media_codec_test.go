package webrtc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A track whose codec the peer does not have ends its sender, and nothing else.
func TestMediaTrackWithAnotherCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = mediaPeers(t, [2]*MediaEngine{
			engineWith(t, map[string]PayloadType{MimeTypeVP8: 96, MimeTypeVP9: 100}),
			engineWith(t, map[string]PayloadType{MimeTypeVP8: 110}),
		})
		s.run(t, func(t *testing.T, s *mediaScene) {
			wrong, good := newSource(t, MimeTypeVP9, "wrong"), newSource(t, MimeTypeVP8, "good")
			sender, err := s.a.AddTrack(wrong)
			require.NoError(t, err)
			_, err = s.a.AddTrack(good)
			require.NoError(t, err)
			ctx := limited(t, testTimeout)
			require.NoError(t, s.a.SetLocalDescriptionContext(ctx, SessionDescription{}))
			require.NoError(t, s.b.SetRemoteDescriptionContext(ctx, *s.a.LocalDescription()))
			require.NoError(t, s.b.SetLocalDescriptionContext(ctx, SessionDescription{}))
			require.ErrorIs(t, s.a.SetRemoteDescriptionContext(ctx, *s.b.LocalDescription()), ErrUnsupportedCodec)
			<-sender.Context().Done()
			require.ErrorIs(t, context.Cause(sender.Context()), ErrUnsupportedCodec)
			connectPeers(t, s.a, s.b)
			good.begins(t, s.toB)
			wrong.silent(t, s.network, 0)

			// The program may send something else instead.
			require.NoError(t, s.a.RemoveTrack(sender))
			other := newSource(t, MimeTypeVP8, "other")
			_, err = s.a.AddTrack(other)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			other.begins(t, s.toB)
		})
	})
}

// Of programs that add the same track at once, one adds it.
func TestMediaSameTrackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, network := peers(t)
		track := newSource(t, MimeTypeVP8, "video")
		var tasks sync.WaitGroup
		var added atomic.Int32
		for range 10 {
			tasks.Go(func() {
				if _, err := a.AddTrack(track); err == nil {
					added.Add(1)
				} else {
					assert.ErrorIs(t, err, ErrInvalidState)
				}
			})
			tasks.Go(func() {
				if _, err := a.AddTransceiverFromTrack(track); err == nil {
					added.Add(1)
				} else {
					assert.ErrorIs(t, err, ErrInvalidState)
				}
			})
		}
		tasks.Wait()
		require.EqualValues(t, 1, added.Load())
		require.Len(t, a.GetTransceivers(), 1)
		requirePeersGone(t, network, a)
	})
}

// Mids that a program has named stay, in their order, and those that it has not are
// others.
func TestMediaMids(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		sources := []*source{newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeOpus, "two"), newSource(t, MimeTypeVP8, "three")}
		for i, source := range sources {
			transceiver, err := s.a.AddTransceiverFromTrack(source)
			require.NoError(t, err)
			if i < 2 {
				require.NoError(t, transceiver.SetMid([]string{"1", "camera"}[i]))
			}
		}
		_, err := s.a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		mids := linesOf(s.a.LocalDescription(), "a=mid:")
		require.Len(t, mids, 4)
		require.Equal(t, []string{"a=mid:1", "a=mid:camera"}, mids[:2])
		seen := map[string]bool{}
		for _, line := range mids {
			require.False(t, seen[line], line)
			seen[line] = true
		}
		for i, transceiver := range s.a.GetTransceivers() {
			require.Equal(t, strings.TrimPrefix(mids[i], "a=mid:"), transceiver.Mid())
			require.Equal(t, transceiver.Mid(), s.b.GetTransceivers()[i].Mid())
			sources[i].begins(t, s.toB)
		}
		negotiate(t, s.b, s.a)
		require.Equal(t, mids, linesOf(s.b.LocalDescription(), "a=mid:"))
	})
}

// A provisional answer starts what it says, and the answer settles it.
func TestMediaProvisionalAnswer(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, back := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "back")
		_, err := s.a.AddTrack(one)
		require.NoError(t, err)
		ctx := limited(t, testTimeout)
		require.NoError(t, s.a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, s.b.SetRemoteDescriptionContext(ctx, *s.a.LocalDescription()))
		require.NoError(t, s.b.SetLocalDescriptionContext(ctx, SessionDescription{Type: SDPTypePranswer}))
		require.NoError(t, s.a.SetRemoteDescriptionContext(ctx, *s.b.LocalDescription()))
		connectPeers(t, s.a, s.b)
		track := one.begins(t, s.toB)
		_, err = s.b.AddTrack(back)
		require.NoError(t, err)
		require.NoError(t, s.b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, s.a.SetRemoteDescriptionContext(ctx, *s.b.LocalDescription()))
		one.reaches(t, track)
		back.begins(t, s.toA)
		requireAgreed(t, s.a, s.b)
		require.Empty(t, s.toB)
	})
}

// Senders and receivers that a program stops by itself harm nothing.
func TestMediaStoppedByThemselves(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, two := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeOpus, "two")
		for _, source := range []*source{one, two} {
			_, err := s.a.AddTrack(source)
			require.NoError(t, err)
		}
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		track, other := one.begins(t, s.toB), two.begins(t, s.toB)
		require.NoError(t, track.receiver.Stop())
		_, _, err := track.ReadRTPContext(limited(t, testTimeout))
		require.ErrorIs(t, err, ErrClosed)
		one.write(t) // to nobody
		two.reaches(t, other)
		require.NoError(t, s.a.GetSenders()[1].Stop())
		negotiate(t, s.a, s.b)
		negotiate(t, s.b, s.a)
		synctest.Wait()
		one.write(t)
		two.write(t)
		s.a.GetStats()
		s.b.GetStats()
	})
}
