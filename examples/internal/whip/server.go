package whip

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// Server is the side that answers. Its fields are set before Listen.
type Server struct {
	// Path is that of the endpoint, such as /whep.
	Path string
	// Token is asked for if it is not empty.
	Token string
	// Page is served at / if it is not nil.
	Page fs.FS
	// Most is how many sessions there can be at a time.
	Most int

	// Open makes the connection of a session of an offer, all but our answer. The
	// connection's end is the session's.
	Open func(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error)
	// Ended is told of the end of each session, with the reason if it was no
	// graceful one. It may be nil. It must not wait for Close.
	Ended func(err error)

	listener net.Listener
	web      *http.Server
	life     context.Context
	end      context.CancelCauseFunc
	tasks    sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	closed   bool
	opening  int
	sessions map[string]*webrtc.PeerConnection
}

// Listen begins to serve on an address until Close. A server that fails before that
// tells it by failed.
func (s *Server) Listen(ctx context.Context, addr string, failed func(error)) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s.sessions = map[string]*webrtc.PeerConnection{}
	s.listener = listener
	s.life, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	mux := http.NewServeMux()
	if s.Page != nil {
		mux.Handle("GET /", http.FileServerFS(s.Page))
	}
	mux.HandleFunc("POST "+s.Path, s.post)
	mux.HandleFunc("DELETE "+s.Path+"/{session}", s.delete)
	s.web = &http.Server{
		Handler: guard(mux), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		BaseContext: func(net.Listener) context.Context { return s.life },
	}
	s.tasks.Go(func() {
		if err := s.web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	})

	return nil
}

// URL is that of the page.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/" }

// Endpoint is the URL of the endpoint.
func (s *Server) Endpoint() string { return "http://" + s.listener.Addr().String() + s.Path }

// Close ends the sessions, gracefully if the peers take part in that, and returns
// when nothing is left.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	open := make([]*webrtc.PeerConnection, 0, len(s.sessions))
	for _, pc := range s.sessions {
		open = append(open, pc)
	}
	s.mu.Unlock()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	var ending sync.WaitGroup
	for _, pc := range open {
		ending.Go(func() { _ = pc.Shutdown(closing) }) // what is lost is nobody's any more
	}
	ending.Wait()
	s.end(nil)
	// A DELETE that has ended a session may still be waiting for its answer.
	err := s.web.Shutdown(closing)
	if err != nil { // a browser opens connections that it may not use
		err = s.web.Close()
	}
	s.tasks.Wait()

	return err
}

// guard keeps the pages of other sites away. A page may send an application/sdp to a
// site that is not its own only if that allows it, which we never do; here the name
// is held to an address or localhost, so that no name of somebody else's leads to us.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "ask for an address, not for a name", http.StatusForbidden)

			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// mayEnter answers a request without the token.
func (s *Server) mayEnter(w http.ResponseWriter, r *http.Request) bool {
	given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.Token == "" || found && subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)

	return false
}

// post is an offer.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	if !s.mayEnter(w, r) {
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != contentType {
		http.Error(w, "an offer is "+contentType, http.StatusUnsupportedMediaType)

		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDescription))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)

		return
	}
	if !s.reserve() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "there are as many sessions as there can be", http.StatusServiceUnavailable)

		return
	}
	pc, err := s.answer(r.Context(), webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(body)})
	if err != nil {
		s.mu.Lock()
		s.opening--
		s.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	answer := pc.LocalDescription().SDP
	name := rand.Text()
	if !s.begin(name, pc) { //nolint:contextcheck // a session outlives its request
		_ = pc.Close()
		http.Error(w, "the server ends", http.StatusServiceUnavailable)

		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Location", s.Path+"/"+name)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // who does not get it does not connect
}

func (s *Server) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.sessions)+s.opening >= s.Most {
		return false
	}
	s.opening++

	return true
}

func (s *Server) answer(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error) {
	pc, err := s.Open(ctx, offer)
	if err != nil {
		return nil, err
	}
	if err = pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return nil, errors.Join(err, pc.Close())
	}

	return pc, nil
}

// begin makes a session of what was reserved.
func (s *Server) begin(name string, pc *webrtc.PeerConnection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if s.closed {
		return false
	}
	s.sessions[name] = pc
	s.tasks.Go(func() { s.session(name, pc) })

	return true
}

// session is the life of one.
func (s *Server) session(name string, pc *webrtc.PeerConnection) {
	var connecting sync.WaitGroup
	var failed error
	connecting.Go(func() {
		ctx, cancel := context.WithTimeoutCause(s.life, connectTime, errConnectTime)
		defer cancel()
		if err := pc.Connect(ctx); err != nil {
			failed = fmt.Errorf("a session has come to nothing: %w", peer.CauseOr(ctx, err))
			_ = pc.Close()
		}
	})
	err := pc.Run(s.life)
	connecting.Wait()
	s.mu.Lock()
	delete(s.sessions, name)
	s.mu.Unlock()
	switch {
	case failed != nil && s.life.Err() == nil:
		err = failed
	case errors.Is(err, io.EOF) || s.life.Err() != nil:
		err = nil // it was the end that was to come
	}
	if s.Ended != nil {
		s.Ended(err)
	}
}

// delete ends a session.
func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	if !s.mayEnter(w, r) {
		return
	}
	s.mu.Lock()
	pc := s.sessions[r.PathValue("session")]
	s.mu.Unlock()
	if pc == nil {
		http.Error(w, "there is no such session", http.StatusNotFound)

		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), closeTime)
	defer cancel()
	_ = pc.Shutdown(ctx) // a peer that has gone before is as good
}
