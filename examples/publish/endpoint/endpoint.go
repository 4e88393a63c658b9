// Package endpoint is a WHIP endpoint that counts what it receives: the room of the
// example when no other is given.
// https://www.rfc-editor.org/rfc/rfc9725
package endpoint

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/publish/room"
)

const (
	// Path is where sessions are made; each is below it then.
	Path = "/whip"

	sdpType     = "application/sdp"
	maxOffer    = 64 << 10 // bytes
	maxSessions = 16
)

// Endpoint is an http.Handler. Its methods may be called from any goroutine.
type Endpoint struct {
	api   *webrtc.API
	token string
	note  func(text string)
	plain bool
	mux   *http.ServeMux

	tasks sync.WaitGroup // the sessions

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session
	received []Track // of tracks that have ended
}

// Option changes what an endpoint does.
type Option func(*Endpoint)

// Plain leaves out the extension by which a session's tracks can change, as other
// endpoints do.
func Plain() Option { return func(e *Endpoint) { e.plain = true } }

// New makes an endpoint. With a token it lets nobody in who does not have it. note is
// told what happens, in a line each.
func New(api *webrtc.API, token string, note func(text string), options ...Option) *Endpoint {
	e := &Endpoint{api: api, token: token, note: note, sessions: map[string]*session{}, mux: http.NewServeMux()}
	for _, option := range options {
		option(e)
	}
	e.mux.HandleFunc("POST "+Path, e.post)
	e.mux.HandleFunc("OPTIONS "+Path, options204)
	e.mux.HandleFunc("DELETE "+Path+"/{id}", e.delete)
	if !e.plain {
		e.mux.HandleFunc("PATCH "+Path+"/{id}", e.patch)
	}

	return e
}

// ServeHTTP answers 405 by itself for methods that WHIP does not have.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	wanted := e.token == "" || ok && subtle.ConstantTimeCompare([]byte(given), []byte(e.token)) == 1
	if r.Method != http.MethodOptions && !wanted {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the token is not the one that lets in", http.StatusUnauthorized)

		return
	}
	e.mux.ServeHTTP(w, r)
}

func options204(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Accept-Post", sdpType)
	w.WriteHeader(http.StatusNoContent)
}

// post makes a session and answers its offer.
func (e *Endpoint) post(w http.ResponseWriter, r *http.Request) {
	offer, ok := readOffer(w, r)
	if !ok {
		return
	}
	s, err := e.begin()
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)

		return
	}
	answer, err := s.negotiate(r.Context(), offer)
	if err != nil {
		s.end()
		http.Error(w, err.Error(), statusOf(err))

		return
	}
	at := Path + "/" + s.id
	w.Header().Set("Content-Type", sdpType)
	w.Header().Set("Location", at)
	if !e.plain {
		w.Header().Set("Link", fmt.Sprintf("<%s>; rel=%q", at, room.Renegotiation))
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // who does not read it will not connect
}

// patch answers another offer of a session.
func (e *Endpoint) patch(w http.ResponseWriter, r *http.Request) {
	s, ok := e.find(w, r)
	if !ok {
		return
	}
	offer, ok := readOffer(w, r)
	if !ok {
		return
	}
	answer, err := s.negotiate(r.Context(), offer)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))

		return
	}
	w.Header().Set("Content-Type", sdpType)
	_, _ = io.WriteString(w, answer)
}

// delete ends a session.
func (e *Endpoint) delete(w http.ResponseWriter, r *http.Request) {
	if s, ok := e.find(w, r); ok {
		s.end()
		w.WriteHeader(http.StatusOK)
	}
}

func (e *Endpoint) find(w http.ResponseWriter, r *http.Request) (*session, bool) {
	e.mu.Lock()
	s, ok := e.sessions[r.PathValue("id")]
	e.mu.Unlock()
	if !ok {
		http.Error(w, "there is no such session", http.StatusNotFound)
	}

	return s, ok
}

func readOffer(w http.ResponseWriter, r *http.Request) (string, bool) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != sdpType {
		w.Header().Set("Accept-Post", sdpType)
		w.Header().Set("Accept-Patch", sdpType)
		http.Error(w, "not of type "+sdpType, http.StatusUnsupportedMediaType)

		return "", false
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("an offer of more than %d bytes", maxOffer), http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		return string(offer), true
	}

	return "", false
}

var (
	errFull    = fmt.Errorf("there are %d sessions", maxSessions)
	errClosed  = errors.New("the endpoint is closed")
	errNothing = errors.New("the offer has neither audio nor video of a known codec")
)

// statusOf tells what could be read but not be taken from what could not be read.
func statusOf(err error) int {
	if errors.Is(err, errNothing) {
		return http.StatusUnprocessableEntity
	}

	return http.StatusBadRequest
}

// begin makes a session, which is forgotten when it has ended.
func (e *Endpoint) begin() (*session, error) {
	pc, err := e.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s := newSession(e, pc)
	pc.OnTrack(s.receive)
	e.mu.Lock()
	switch {
	case e.closed:
		err = errClosed
	case len(e.sessions) == maxSessions:
		err = errFull
	default:
		e.sessions[s.id] = s
		e.tasks.Go(s.run)
	}
	e.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}

	return s, nil
}

func (e *Endpoint) forget(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.id)
}

func (e *Endpoint) ended(track Track) {
	e.mu.Lock()
	e.received = append(e.received, track)
	e.mu.Unlock()
	e.note(track.String())
}

// Received are the tracks that have ended.
func (e *Endpoint) Received() []Track {
	e.mu.Lock()
	defer e.mu.Unlock()

	return slices.Clone(e.received)
}

// Sessions is how many there are.
func (e *Endpoint) Sessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()

	return len(e.sessions)
}

// Disconnect ends all sessions, without waiting, and tells the publishers.
func (e *Endpoint) Disconnect() {
	e.mu.Lock()
	sessions := make([]*session, 0, len(e.sessions))
	for _, s := range e.sessions {
		sessions = append(sessions, s)
	}
	e.mu.Unlock()
	for _, s := range sessions {
		s.end()
	}
}

// Close ends all sessions, and returns when nothing is left of them. There will be no
// other.
func (e *Endpoint) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.Disconnect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.tasks.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
