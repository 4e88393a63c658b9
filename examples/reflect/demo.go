package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/clip"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/whip"
	"github.com/ctxrtc/webrtc/pkg/media/samplebuilder"
)

// demo has a peer of this program's do what the page does.
func demo(ctx context.Context, out *screen.Screen, opts *options) error {
	before := runtime.NumGoroutine()
	if err := visitOurselves(ctx, out, opts); err != nil {
		return err
	}
	left := peer.Leftover(ctx, before)
	out.Line("  goroutines left: %d", left)
	if left > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

func visitOurselves(ctx context.Context, out *screen.Screen, opts *options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opts.addr, opts.loopback = "127.0.0.1:0", true
	var visiting sync.WaitGroup
	var visited error
	err := serve(ctx, out, opts, func(ctx context.Context, server *whip.Server) error {
		out.Line("a peer in the place of a browser sends to %s", server.Endpoint())
		visiting.Go(func() {
			if visited = visit(ctx, out, server.Endpoint(), opts.frames); visited != nil {
				cancel(visited)
			}
		})

		return nil
	})
	visiting.Wait()
	if visited != nil {
		return visited // the server's error is what came of it
	}

	return err
}

// backTime is how long the last frame may take there and back.
const backTime = 10 * time.Second

// visit sends the repository's video and sound, and compares the video that comes
// back with it.
func visit(ctx context.Context, out *screen.Screen, endpoint string, frames int) (err error) {
	path, err := clip.Find("test.ivf")
	if err != nil {
		return err
	}
	video, err := clip.Load(path)
	if err != nil {
		return err
	}
	if path, err = clip.Find("test.ogg"); err != nil {
		return err
	}
	audio, err := clip.Load(path)
	if err != nil {
		return err
	}
	client, err := whip.NewClient(endpoint, "")
	if err != nil {
		return err
	}
	pc, err := whip.NewConnection(true)
	if err != nil {
		return err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { _ = pc.Run(life) })
	defer func() {
		if ended := client.End(ctx); err == nil {
			err = ended
		}
		_ = pc.Close()
	}()

	p := &visitor{pc: pc, done: make(chan error, 1), asked: make(chan struct{})}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			p.done <- p.compare(life, track, video, frames)
		}
	})
	picture, err := p.send(&tasks, video, frames) //nolint:contextcheck // until the connection ends
	if err != nil {
		return err
	}
	if _, err = p.send(&tasks, audio, 0); err != nil { //nolint:contextcheck // the same
		return err
	}
	tasks.Go(func() { p.listen(picture) }) //nolint:contextcheck // the same
	if err = client.Connect(ctx, pc); err != nil {
		return err
	}
	if err = p.await(ctx, time.Duration(frames)*time.Second/30+backTime); err != nil {
		return err
	}
	out.Line("  %d frames were sent, and the same ones came back", frames)

	return nil
}

// visitor is the peer in the place of a browser.
type visitor struct {
	pc    *webrtc.PeerConnection
	done  chan error    // holds one: what the comparison has found
	asked chan struct{} // closed when the mirror has asked for a picture
}

// await waits for both.
func (p *visitor) await(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not everything has come back within %v", limit))
	defer cancel()
	select {
	case err := <-p.done:
		if err != nil {
			return err
		}
	case <-p.pc.Context().Done():
		return context.Cause(p.pc.Context()) //nolint:contextcheck // the same
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	return peer.Await(ctx, p.asked)
}

// send adds a track and plays a clip to it once the connection is connected.
func (p *visitor) send(tasks *sync.WaitGroup, c *clip.Clip, count int) (*webrtc.RTPSender, error) {
	track, err := c.Track("clip")
	if err != nil {
		return nil, err
	}
	sender, err := p.pc.AddTrack(track)
	if err != nil {
		return nil, err
	}
	tasks.Go(func() { _ = c.Play(p.pc.Context(), track, count) }) // the connection knows why it ends

	return sender, nil
}

// compare reads what comes back, frame by frame.
func (p *visitor) compare(ctx context.Context, track *webrtc.TrackRemote, sent *clip.Clip, count int) error {
	if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}}); err != nil {
		return err
	}
	builder := samplebuilder.New(1000, &codecs.VP8Packet{}, track.Codec().ClockRate)
	frame := 0
	take := func() error {
		for s := builder.Pop(); s != nil; s = builder.Pop() {
			if !bytes.Equal(s.Data, sent.Samples[frame%len(sent.Samples)].Data) {
				return fmt.Errorf("frame %d is another one than was sent", frame)
			}
			frame++
		}

		return nil
	}
	for frame < count {
		packet, _, err := track.ReadRTPContext(ctx)
		if err != nil {
			return fmt.Errorf("after %d frames: %w", frame, err)
		}
		builder.Push(packet)
		if err = take(); err != nil {
			return err
		}
		if frame == count-1 && packet.Marker {
			builder.Flush() // there is no packet after it that would tell its duration
		}
		if err = take(); err != nil {
			return err
		}
	}

	return nil
}

// listen waits until the mirror asks for a picture. The next key frame of the clip
// comes within a second, so that there is nothing else to do.
func (p *visitor) listen(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCPContext(p.pc.Context())
		if err != nil {
			return
		}
		for _, packet := range packets {
			if _, ok := packet.(*rtcp.PictureLossIndication); ok {
				close(p.asked)

				return
			}
		}
	}
}
