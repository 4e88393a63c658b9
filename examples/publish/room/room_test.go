package room_test

import (
	"context"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/publish/endpoint"
	"github.com/ctxrtc/webrtc/examples/publish/room"
)

func loopback() *webrtc.API { return webrtc.NewAPI(webrtc.WithSettingEngine(peer.OnLoopback())) }

func newTrack(t *testing.T, mime string) webrtc.TrackLocal {
	t.Helper()
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, mime, "test")
	require.NoError(t, err)

	return track
}

// One session: what may be called when, and how often.
func TestRoom(t *testing.T) {
	before := runtime.NumGoroutine()
	e := endpoint.New(loopback(), "", func(string) {})
	server := httptest.NewServer(e)
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeVideo}
	r, err := room.New(loopback(), server.URL+endpoint.Path, "", kinds)
	require.NoError(t, err)
	ctx := t.Context()
	a, b, c := newTrack(t, webrtc.MimeTypeVP8), newTrack(t, webrtc.MimeTypeVP9), newTrack(t, webrtc.MimeTypeVP8)

	require.NoError(t, r.Leave(ctx), "there is nothing to leave")
	require.ErrorIs(t, r.Publish(ctx, a), room.ErrNotJoined)
	require.ErrorIs(t, r.Unpublish(ctx, a), room.ErrNotJoined)
	require.ErrorIs(t, r.Wait(ctx), room.ErrNotJoined)

	require.NoError(t, r.Join(ctx))
	require.ErrorContains(t, r.Join(ctx), "joined already")
	assert.Equal(t, 1, e.Sessions())
	require.NoError(t, r.Publish(ctx, a))
	require.ErrorIs(t, r.Publish(ctx, newTrack(t, webrtc.MimeTypeOpus)), room.ErrNoSection)
	require.NoError(t, r.Publish(ctx, b))
	require.ErrorIs(t, r.Publish(ctx, c), room.ErrNoSection)
	require.ErrorIs(t, r.Unpublish(ctx, c), room.ErrNotPublished)
	require.NoError(t, r.Unpublish(ctx, a))
	require.ErrorIs(t, r.Unpublish(ctx, a), room.ErrNotPublished)

	waiting, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, r.Wait(waiting), context.Canceled)
	require.NoError(t, r.Leave(ctx))
	require.NoError(t, r.Leave(ctx))
	require.ErrorIs(t, r.Unpublish(ctx, b), room.ErrNotJoined)
	require.NoError(t, e.Close(ctx))
	assert.Zero(t, e.Sessions())
	server.Close()
	assert.Zero(t, peer.Leftover(ctx, before))
}

func TestEndpointsThatCannotBe(t *testing.T) {
	for _, at := range []string{"", "localhost", "ftp://localhost", "http://", ":", "http://a b"} {
		_, err := room.New(loopback(), at, "", nil)
		require.Error(t, err, at)
	}
}
