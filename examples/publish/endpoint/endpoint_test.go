package endpoint

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

func loopback() *webrtc.API { return webrtc.NewAPI(webrtc.WithSettingEngine(peer.OnLoopback())) }

// offer is one of a connection that is not used.
func offer(t *testing.T, kinds ...webrtc.RTPCodecType) string {
	t.Helper()
	pc, err := loopback().NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	defer pc.Close()
	for _, kind := range kinds {
		_, err = pc.AddTransceiverFromKind(kind)
		require.NoError(t, err)
	}
	if len(kinds) == 0 {
		_, err = pc.CreateDataChannel("data", nil)
		require.NoError(t, err)
	}
	require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), webrtc.SessionDescription{}))

	return pc.LocalDescription().SDP
}

func do(t *testing.T, server *httptest.Server, method, path, typ, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", typ)
	request.Header.Set("Authorization", "Bearer secret")
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return response, string(text)
}

// What is not WHIP is refused with a reason, and leaves no session.
func TestEndpointRefuses(t *testing.T) {
	before := runtime.NumGoroutine()
	e := New(loopback(), "secret", func(string) {})
	server := httptest.NewServer(e)
	for _, tc := range []struct {
		method, path, typ, body string
		code                    int
		text                    string
	}{
		{"GET", Path, "", "", 405, "Method Not Allowed"},
		{"PUT", Path, "", "", 405, "Method Not Allowed"},
		{"GET", Path + "/1", "", "", 405, "Method Not Allowed"},
		{"POST", "/", sdpType, "", 404, "not found"},
		{"POST", Path, "text/plain", "", 415, "not of type application/sdp"},
		{"POST", Path, sdpType, "", 400, ""},
		{"POST", Path, sdpType, "hello", 400, "line 1"},
		{"POST", Path, sdpType, strings.Repeat("x", maxOffer+1), 413, "more than 65536 bytes"},
		{"POST", Path, sdpType, offer(t), 422, "neither audio nor video"},
		{"PATCH", Path + "/1", sdpType, "", 404, "no such session"},
		{"DELETE", Path + "/1", "", "", 404, "no such session"},
		{"OPTIONS", Path, "", "", 204, ""},
	} {
		response, text := do(t, server, tc.method, tc.path, tc.typ, tc.body)
		assert.Equal(t, tc.code, response.StatusCode, "%s %s", tc.method, tc.path)
		assert.Contains(t, text, tc.text)
	}
	response, err := server.Client().Post(server.URL+Path, sdpType, strings.NewReader(""))
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, 401, response.StatusCode)
	assert.Equal(t, "Bearer", response.Header.Get("WWW-Authenticate"))
	requireClosed(t, e, server, before)
}

func requireClosed(t *testing.T, e *Endpoint, server *httptest.Server, before int) {
	t.Helper()
	require.NoError(t, e.Close(t.Context()))
	assert.Zero(t, e.Sessions())
	server.Close()
	assert.Zero(t, peer.Leftover(context.Background(), before))
}

// A session has a place, a link to what can change it, and a bound on their number.
func TestEndpointSessions(t *testing.T) {
	before := runtime.NumGoroutine()
	e := New(loopback(), "", func(string) {})
	server := httptest.NewServer(e)
	sdp := offer(t, webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio)
	var at string
	for range maxSessions {
		response, answer := do(t, server, "POST", Path, sdpType, sdp)
		require.Equal(t, 201, response.StatusCode, answer)
		assert.Equal(t, sdpType, response.Header.Get("Content-Type"))
		assert.Equal(t, 2, strings.Count(answer, "a=recvonly"))
		at = response.Header.Get("Location")
		assert.Regexp(t, "^"+Path+"/[A-Z2-7]{26}$", at)
		assert.Contains(t, response.Header.Get("Link"), "<"+at+">; rel=")
	}
	response, text := do(t, server, "POST", Path, sdpType, sdp)
	assert.Equal(t, 503, response.StatusCode)
	assert.Contains(t, text, "there are 16 sessions")
	response, text = do(t, server, "PATCH", at, sdpType, "hello")
	assert.Equal(t, 400, response.StatusCode, text)
	response, _ = do(t, server, "DELETE", at, "", "")
	assert.Equal(t, 200, response.StatusCode)
	requireClosed(t, e, server, before)
	_, err := e.begin()
	require.ErrorIs(t, err, errClosed)
}

func TestPlainEndpoint(t *testing.T) {
	before := runtime.NumGoroutine()
	e := New(loopback(), "", func(string) {}, Plain())
	server := httptest.NewServer(e)
	response, _ := do(t, server, "POST", Path, sdpType, offer(t, webrtc.RTPCodecTypeVideo))
	assert.Equal(t, 201, response.StatusCode)
	assert.Empty(t, response.Header.Get("Link"))
	response, _ = do(t, server, "PATCH", response.Header.Get("Location"), sdpType, "")
	assert.Equal(t, 405, response.StatusCode)
	requireClosed(t, e, server, before)
}

func TestCounter(t *testing.T) {
	var c counter
	assert.Zero(t, c.lost())
	count := func(number uint16, at uint32) {
		raw, err := (&rtp.Packet{
			Header: rtp.Header{Version: 2, SequenceNumber: number, Timestamp: at}, Payload: []byte{1, 2},
		}).Marshal()
		require.NoError(t, err)
		c.count(raw)
	}
	for _, p := range [][2]int{{65534, 1}, {65535, 1}, {1, 2}, {0, 2}, {3, 3}, {65533, 0}} {
		count(uint16(p[0]), uint32(p[1]))
	}
	c.count([]byte("short"))
	assert.Equal(t, 6, c.packets)
	assert.Equal(t, 4, c.frames)
	assert.Equal(t, 12, c.bytes)
	assert.Equal(t, 1, c.lost(), "number 2")
	for i := range 10 * recent {
		count(uint16(4+2*i), uint32(10+i))
		count(uint16(5+2*i), uint32(10+i))
	}
	assert.Equal(t, 4+10*recent, c.frames)
	assert.Equal(t, 1, c.lost())
}
