package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/camera"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/whip"
)

// reflectBrowser serves the page, and ends when one that has sent has stopped.
func reflectBrowser(ctx context.Context, out *screen.Screen, opts *options) error {
	return serve(ctx, out, opts, func(ctx context.Context, server *whip.Server) error {
		out.Line("open %s in a browser", server.URL())

		return nil
	})
}

// serve runs the server and a visit to it, which begin starts or leaves to somebody
// else. When it returns nothing of it is left.
func serve(
	ctx context.Context, out *screen.Screen, opts *options,
	begin func(ctx context.Context, server *whip.Server) error,
) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Bool
	opened, ended := make(chan *mirror, 1), make(chan error, 1)
	server := &whip.Server{
		Path: camera.Path, Page: camera.Page(), Most: 1,
		Open: func(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error) {
			if !taken.CompareAndSwap(false, true) {
				return nil, errors.New("another page has been here")
			}
			m, err := newMirror(ctx, out, opts.loopback, offer)
			if err != nil {
				taken.Store(false)

				return nil, err
			}
			opened <- m

			return m.pc, nil
		},
		Ended: func(err error) { ended <- err },
	}
	if err = server.Listen(ctx, opts.addr, cancel); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(ctx)) }()
	if err = begin(ctx, server); err != nil {
		return err
	}

	nobody := time.NewTimer(opts.wait)
	defer nobody.Stop()
	select {
	case m := <-opened:
		out.Title("a page has come")
		since := time.Now()
		select {
		case err = <-ended:
			return errors.Join(err, m.show(since))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case <-nobody.C:
		return fmt.Errorf("no page has come within %v", opts.wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
