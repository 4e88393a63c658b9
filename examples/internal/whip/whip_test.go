package whip

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// serve starts a server that takes audio.
func serve(t *testing.T, token string) (server *Server, ended chan error) {
	t.Helper()
	ended = make(chan error, 10)
	server = &Server{
		Path: "/whip", Token: token, Most: 1,
		Open: func(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error) {
			pc, err := NewConnection(true)
			if err != nil {
				return nil, err
			}
			if err = pc.SetRemoteDescriptionContext(ctx, offer); err != nil {
				return nil, errors.Join(err, pc.Close())
			}

			return pc, nil
		},
		Ended: func(err error) { ended <- err },
	}
	require.NoError(t, server.Listen(t.Context(), "127.0.0.1:0", func(err error) { t.Errorf("serving: %v", err) }))

	return server, ended
}

// offering makes a client and its connection.
func offering(t *testing.T, endpoint, token string) (*Client, *webrtc.PeerConnection) {
	t.Helper()
	client, err := NewClient(endpoint, token)
	require.NoError(t, err)
	pc, err := NewConnection(true)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio)
	require.NoError(t, err)

	return client, pc
}

func TestASession(t *testing.T) {
	before := runtime.NumGoroutine()
	server, ended := serve(t, "secret")
	client, pc := offering(t, server.Endpoint(), "secret")
	require.NoError(t, client.Connect(t.Context(), pc))

	// There is room for one; what is refused leaves nothing to end.
	other, more := offering(t, server.Endpoint(), "secret")
	require.ErrorContains(t, other.Connect(t.Context(), more), "503 Service Unavailable: there are as many sessions")
	require.NoError(t, other.End(t.Context()))
	stranger, none := offering(t, server.Endpoint(), "other")
	require.ErrorContains(t, stranger.Connect(t.Context(), none), "401 Unauthorized")

	require.NoError(t, client.End(t.Context()))
	require.NoError(t, <-ended)
	require.NoError(t, client.End(t.Context()), "there is none any more")
	<-pc.Context().Done()

	// The place is free again, and the server ends what there is.
	_, again := offering(t, server.Endpoint(), "")
	require.NoError(t, other.Connect(t.Context(), again))
	require.NoError(t, server.Close(t.Context()))
	require.NoError(t, <-ended)
	for _, c := range []*webrtc.PeerConnection{pc, more, none, again} {
		_ = c.Close()
	}
	require.Error(t, other.End(t.Context()), "nobody is there")
	require.NoError(t, stranger.End(t.Context()))
	assert.Zero(t, peer.Leftover(t.Context(), before), "goroutines")
}

// What a server may answer is an error with its reason.
func TestServersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		reason string
	}{
		"a page":      {func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) }, "says 200 OK: hello"},
		"a refusal":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, "says 418"},
		"a long one":  {func(w http.ResponseWriter) { http.Error(w, "a\nb\x00c", http.StatusNotFound) }, "404 Not Found: a b c"},
		"no location": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }, "does not say where"},
		"no SDP": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "/1")
			w.WriteHeader(http.StatusCreated)
		}, "instead of application/sdp"},
		"no answer": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "/1")
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("v=0"))
		}, "the answer of"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					tc.answer(w)
				}
			}))
			defer server.Close()
			client, pc := offering(t, server.URL, "")
			require.ErrorContains(t, client.Connect(t.Context(), pc), tc.reason)
			require.NoError(t, client.End(t.Context()))
		})
	}
}

func TestACancelledConnect(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that the client's end is not seen
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	client, pc := offering(t, server.URL, "")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	begin := time.Now()
	require.ErrorIs(t, client.Connect(ctx, pc), context.Canceled)
	assert.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, client.End(t.Context()))
}
