package main

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/clip"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/whip"
)

// mostPlayers is how many clients the server plays to at a time.
const mostPlayers = 16

// demo is a server and its client.
func demo(ctx context.Context, out *screen.Screen, opts *options) error {
	before := runtime.NumGoroutine()
	if err := playAndRecord(ctx, out, opts); err != nil {
		return err
	}
	left := peer.Leftover(ctx, before)
	out.Line("  goroutines left: %d", left)
	if left > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

func playAndRecord(ctx context.Context, out *screen.Screen, opts *options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opts.addr, opts.loopback = "127.0.0.1:0", true
	server, err := listen(ctx, out, opts, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(ctx)) }()
	opts.url = server.Endpoint()

	return recordURL(ctx, out, opts)
}

// serve plays until ctx ends.
func serve(ctx context.Context, out *screen.Screen, opts *options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server, err := listen(ctx, out, opts, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(ctx)) }()
	<-ctx.Done()

	return context.Cause(ctx)
}

// listen starts the WHEP server.
func listen(
	ctx context.Context, out *screen.Screen, opts *options, failed context.CancelCauseFunc,
) (*whip.Server, error) {
	p := &player{}
	for _, f := range []struct{ path, own string }{{opts.video, "test.ivf"}, {opts.audio, "test.ogg"}} {
		path := f.path
		if path == "" {
			var err error
			if path, err = clip.Find(f.own); err != nil {
				return nil, err
			}
		}
		c, err := clip.Load(path)
		if err != nil {
			return nil, err
		}
		p.clips = append(p.clips, c)
	}
	server := &whip.Server{
		Path: "/whep", Token: opts.token, Most: mostPlayers, Open: p.open,
		Ended: func(err error) {
			if err != nil {
				out.Line("  %v", err)
			}
		},
	}
	if err := server.Listen(ctx, opts.addr, failed); err != nil {
		return nil, err
	}
	out.Line("a WHEP server plays at %s", server.Endpoint())

	return server, nil
}

// player plays the same to everybody, to each from the beginning.
type player struct {
	clips []*clip.Clip
}

// open adds a track for each section of an offer that wants one of its kind. They
// play when the connection is connected, until it ends.
func (p *player) open(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.PeerConnection, error) {
	pc, err := whip.NewConnection(true)
	if err != nil {
		return nil, err
	}
	if err = pc.SetRemoteDescriptionContext(ctx, offer); err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	var kinds []webrtc.RTPCodecType
	for _, t := range pc.GetTransceivers() {
		kinds = append(kinds, t.Kind())
	}
	for _, c := range p.clips {
		track, err := c.Track("clip")
		if err == nil && !slices.Contains(kinds, track.Kind()) {
			continue
		}
		if err == nil {
			_, err = pc.AddTrack(track)
		}
		if err != nil {
			return nil, errors.Join(err, pc.Close())
		}
		go func() { _ = c.Play(pc.Context(), track, 0) }() //nolint:contextcheck // it lives as the connection does
	}

	return pc, nil
}
