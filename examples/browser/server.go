package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

//go:embed page
var page embed.FS

// server serves the page, and one session at a time.
type server struct {
	options

	out   *screen.Screen
	lines *signal.Lines // typed for the chat; nil if there are none

	busy  chan struct{} // holds a value while there is a session
	began chan struct{}
	ended chan visit
}

// visit is a session that has ended.
type visit struct {
	connected bool // it was, at some time
	err       error
}

// serve runs until a page was connected and has gone, nobody has come in time,
// or ctx ends. When it returns nothing of it is left.
func serve(ctx context.Context, out *screen.Screen, opts options) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", opts.addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &server{
		options: opts, out: out,
		busy: make(chan struct{}, 1), began: make(chan struct{}), ended: make(chan visit),
	}
	if opts.typed != nil {
		s.lines = signal.NewLines(opts.typed)
		defer s.lines.Close()
	}
	handler, err := s.handler()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	web := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		cancel(web.Serve(listener))
	}()
	url := "http://" + listener.Addr().String() + "/"
	out.Line("open %s in a browser", url)
	if opts.listening != nil {
		opts.listening(url)
	}

	err = s.visits(ctx)
	cancel(err)
	s.busy <- struct{}{} // the session that there may be has ended; no other begins
	if closed := web.Close(); err == nil {
		err = closed
	}
	<-served

	return err
}

// visits waits for the end of the program.
func (s *server) visits(ctx context.Context) error {
	nobody := time.NewTimer(s.wait)
	defer nobody.Stop()
	for {
		select {
		case <-s.began:
			nobody.Stop()
		case v := <-s.ended:
			switch {
			case s.keep:
			case v.connected || v.err != nil:
				return v.err
			}
			nobody.Reset(s.wait) // a page that was only looked at, or loaded again
		case <-nobody.C:
			if !s.keep {
				return fmt.Errorf("no page has connected within %v", s.wait)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *server) handler() (http.Handler, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /session", s.session)

	return guard(mux), nil
}

// guard keeps the pages of other sites away. That the WebSocket's origin is the
// host that was asked, package websocket sees to; here that host is held to an
// address or localhost, so that no name of somebody else's can lead to us.
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

// session is the WebSocket of a page.
func (s *server) session(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	select {
	case s.busy <- struct{}{}:
	default:
		_ = socket.Close(websocket.StatusTryAgainLater, "another page is connected")

		return
	}
	defer func() { <-s.busy }()
	ctx := r.Context()
	tell(ctx, s.began, struct{}{})
	var v visit
	v.connected, v.err = s.meet(ctx, socket)
	if v.err != nil && ctx.Err() == nil {
		s.out.Line("the session has failed: %v", v.err)
	}
	tell(ctx, s.ended, v)
}

// tell sends, unless the program ends.
func tell[T any](ctx context.Context, to chan<- T, value T) {
	select {
	case to <- value:
	case <-ctx.Done():
	}
}
