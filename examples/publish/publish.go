package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/publish/endpoint"
	"github.com/ctxrtc/webrtc/examples/publish/publisher"
	"github.com/ctxrtc/webrtc/examples/publish/room"
	"github.com/ctxrtc/webrtc/examples/publish/source"
)

// publish is the whole program, with a room of its own if there is no other.
func publish(ctx context.Context, out *screen.Screen, opts *options) error {
	before := runtime.NumGoroutine()
	if err := publishTo(ctx, out, opts); err != nil {
		return err
	}
	left := peer.Leftover(ctx, before)
	out.Line("goroutines left: %d", left)
	if left > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

func publishTo(ctx context.Context, out *screen.Screen, opts *options) (err error) {
	at := opts.url
	if at == "" {
		server, err := newServer(ctx, out, "127.0.0.1:0", opts.token)
		if err != nil {
			return err
		}
		at = server.url
		// After the publisher: what it has sent is counted to the end.
		defer func() { err = errors.Join(err, server.close(ctx)) }()
	}
	out.Line("the room is %s", at)
	// README: begin
	from := source.New(opts.inputs...)
	to, err := room.New(webrtc.NewAPI(webrtc.WithSettingEngine(settingsFor(opts.url))), at, opts.token, from.Kinds())
	if err != nil {
		return err
	}

	return publisher.New(from, to, func(text string) { out.Line("publisher: %s", text) }).Run(ctx)
	// README: end
}

// silence is how long nothing may come from a room before it counts as gone. WHIP
// has no restart of ICE that this program would wait for.
const silence = 10 * time.Second

// settingsFor keeps a publisher on this machine if the room is its own. Another room
// on this machine may have no candidate on loopback, or none but that.
func settingsFor(room string) webrtc.SettingEngine {
	settings := peer.OnLoopback()
	if room != "" {
		settings.ICE = webrtc.SettingEngine{}.ICE
		u, err := url.Parse(room)
		settings.ICE.IncludeLoopback = err == nil && isLoopback(u.Hostname())
	}
	settings.ICE.FailedTimeout = silence - 5*time.Second // which it is disconnected before
	settings.ICE.FailedGrace = time.Millisecond

	return settings
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// serve is a room for others, until it is interrupted.
func serve(ctx context.Context, out *screen.Screen, opts *options) error {
	server, err := newServer(ctx, out, opts.serve, opts.token)
	if err != nil {
		return err
	}
	out.Line("the room is %s; an interrupt ends this", server.url)
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case err = <-server.failed:
	}

	return errors.Join(err, server.close(ctx))
}

// server is an endpoint that listens.
type server struct {
	endpoint *endpoint.Endpoint
	http     http.Server
	url      string
	failed   chan error
}

func newServer(ctx context.Context, out *screen.Screen, addr, token string) (*server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	settings := peer.OnLoopback()
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		settings.ICE = webrtc.SettingEngine{}.ICE
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	s := &server{
		endpoint: endpoint.New(api, token, func(text string) { out.Line("room: %s", text) }),
		url:      fmt.Sprintf("http://%s%s", listener.Addr(), endpoint.Path),
		failed:   make(chan error, 1),
	}
	s.http.Handler = s.endpoint
	s.http.ReadHeaderTimeout = peer.ConnectTime
	go func() { s.failed <- s.http.Serve(listener) }()

	return s, nil
}

// close ends the sessions, whose publishers are told.
func (s *server) close(ctx context.Context) error {
	ctx, closed := context.WithTimeoutCause(context.WithoutCancel(ctx), peer.CloseTime, peer.ErrCloseTime)
	defer closed()

	return errors.Join(s.endpoint.Close(ctx), s.http.Shutdown(ctx))
}
