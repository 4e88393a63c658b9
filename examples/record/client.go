package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/whip"
)

// silence is how long a server or a page may be connected without sending.
const silence = 10 * time.Second

var errSilence = fmt.Errorf("nothing has been sent within %v", silence)

// errEnough ends a recording that is long enough.
var errEnough = errors.New("that is enough")

// recordURL records what a WHEP server plays.
func recordURL(ctx context.Context, out *screen.Screen, opts *options) (err error) {
	client, err := whip.NewClient(opts.url, opts.token)
	if err != nil {
		return err
	}
	pc, err := whip.NewConnection(opts.loopback)
	if err != nil {
		return err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if err = receive(pc, kind); err != nil {
			return errors.Join(err, pc.Close())
		}
	}
	recording, stop := context.WithCancel(ctx)
	defer stop()
	r := newRecorder(out, opts.output)
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { r.record(recording, pc, track) })

	// The connection outlives ctx by its goodbye.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = pc.Run(life) }) // its Context tells why it has ended
	out.Title("from " + opts.url)
	if err = client.Connect(ctx, pc); err == nil {
		err = r.wait(ctx, pc, opts.duration)
	}

	// Our own end, before the server's answer to it.
	stop()
	if ended := client.End(ctx); err == nil && pc.Context().Err() == nil {
		err = ended
	}
	_ = pc.Close()
	tasks.Wait() // what was there is written
	if err != nil && ctx.Err() != nil {
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

// receive asks for a track of what can be written.
func receive(pc *webrtc.PeerConnection, kind webrtc.RTPCodecType) error {
	transceiver, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{
		Direction: webrtc.RTPTransceiverDirectionRecvonly,
	})
	if err != nil {
		return err
	}

	return transceiver.SetCodecPreferences(writable(transceiver.Receiver().GetParameters().Codecs))
}

// wait returns nil when the recording is long enough or the other side has ended it.
// A duration of zero is never long enough.
func (r *recorder) wait(ctx context.Context, pc *webrtc.PeerConnection, duration time.Duration) error {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	begun, why := r.begun, errSilence
	for {
		select {
		case <-begun:
			begun, why = nil, errEnough
			timer.Stop()
			if duration > 0 {
				timer.Reset(duration)
			}
		case <-timer.C:
			if errors.Is(why, errEnough) {
				return nil
			}

			return why
		case err := <-r.ended:
			return err
		case <-pc.Context().Done():
			if err := context.Cause(pc.Context()); !errors.Is(err, io.EOF) && !errors.Is(err, webrtc.ErrClosed) { //nolint:contextcheck // the same
				return err
			}
			r.out.Line("  the other side has ended it")

			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
