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

// recordBrowser serves a page and records what it sends. It ends when the page stops
// or has been recorded for long enough.
func recordBrowser(ctx context.Context, out *screen.Screen, opts *options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	recording, stop := context.WithCancel(ctx)
	defer stop()
	r := newRecorder(out, opts.output)
	var taken atomic.Bool // the files are one page's
	opened, ended := make(chan *webrtc.PeerConnection, 1), make(chan error, 1)
	server := &whip.Server{
		Path: camera.Path, Page: camera.Page(), Most: 1,
		Open: func(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error) {
			if !taken.CompareAndSwap(false, true) {
				return nil, errors.New("another page has been recorded")
			}
			pc, err := receivePage(ctx, opts, offer, func(pc *webrtc.PeerConnection, track *webrtc.TrackRemote) {
				r.record(recording, pc, track)
			})
			if err != nil {
				taken.Store(false)

				return nil, err
			}
			opened <- pc

			return pc, nil
		},
		Ended: func(err error) { ended <- err },
	}
	if err := server.Listen(ctx, opts.addr, cancel); err != nil {
		return err
	}
	out.Line("open %s in a browser", server.URL())
	pc, err := await(ctx, opened, opts.wait)
	if err != nil {
		return errors.Join(err, server.Close(ctx))
	}
	out.Title("a page has come")
	if err = pc.Connect(ctx); err == nil {
		err = r.wait(ctx, pc, opts.duration)
	}
	stop()
	err = errors.Join(err, server.Close(ctx))
	if came := <-ended; came != nil { // what was there is written
		err = came
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	select {
	case <-r.begun:
		if shown := r.show(); err == nil {
			err = shown
		}
	default:
	}

	return err
}

// await waits for a page that sends.
func await(
	ctx context.Context, opened <-chan *webrtc.PeerConnection, wait time.Duration,
) (*webrtc.PeerConnection, error) {
	nobody := time.NewTimer(wait)
	defer nobody.Stop()
	select {
	case pc := <-opened:
		return pc, nil
	case <-nobody.C:
		return nil, fmt.Errorf("no page has come within %v", wait)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// receivePage makes the connection that takes what a page offers to send.
func receivePage(
	ctx context.Context, opts *options, offer webrtc.SessionDescription,
	record func(*webrtc.PeerConnection, *webrtc.TrackRemote),
) (*webrtc.PeerConnection, error) {
	pc, err := whip.NewConnection(opts.loopback)
	if err != nil {
		return nil, err
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { record(pc, track) })
	if err = pc.SetRemoteDescriptionContext(ctx, offer); err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	for _, t := range pc.GetTransceivers() {
		if err = t.SetCodecPreferences(writable(t.Receiver().GetParameters().Codecs)); err != nil {
			return nil, errors.Join(err, pc.Close())
		}
	}

	return pc, nil
}
