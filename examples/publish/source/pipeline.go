package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc"
)

// Launcher is the program that runs pipelines.
const Launcher = "gst-launch-1.0"

// payloaders are the elements that make RTP packets, and what of.
var payloaders = map[string]webrtc.RTPCodecCapability{
	"rtpvp8pay":  video(webrtc.MimeTypeVP8, ""),
	"rtpvp9pay":  video(webrtc.MimeTypeVP9, "profile-id=0"),
	"rtpav1pay":  video(webrtc.MimeTypeAV1, ""),
	"rtph264pay": h264,
	"rtph265pay": video(webrtc.MimeTypeH265, ""),
	"rtpopuspay": opus,
}

// pipeline is an input that GStreamer makes, in a process of its own.
type pipeline struct {
	text  string
	codec webrtc.RTPCodecCapability
	kind  webrtc.RTPCodecType
}

// payloader finds the last element, which follows a "!" or begins the pipeline.
var payloader = regexp.MustCompile(`(?:^|!)\s*([A-Za-z0-9]+)[^!]*$`)

// Pipeline is an input of a GStreamer pipeline that ends in an RTP payloader: as
// gst-launch-1.0 takes it, without the sink.
func Pipeline(text string) (Input, error) {
	last := payloader.FindStringSubmatch(text)
	if last == nil {
		return nil, fmt.Errorf("%q is no pipeline", text)
	}
	codec, ok := payloaders[last[1]]
	if !ok {
		return nil, fmt.Errorf("the pipeline ends in %s, which is none of the payloaders of VP8, VP9, AV1, H.264, H.265 and Opus", last[1])
	}
	kind := webrtc.RTPCodecTypeVideo
	if codec.MimeType == webrtc.MimeTypeOpus {
		kind = webrtc.RTPCodecTypeAudio
	}

	return &pipeline{text, codec, kind}, nil
}

func (p *pipeline) Kind() webrtc.RTPCodecType { return p.kind }

// open starts the process, and waits for its first packet: that it has started does
// not mean that its elements are there, and that the camera is.
func (p *pipeline) open(ctx context.Context) (track, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	local, err := webrtc.NewTrackLocalStaticRTP(p.codec, "pipeline", streamID)
	if err != nil {
		return nil, err
	}
	port, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	t := &pipelineTrack{
		name: name("pipeline", p.codec), local: local, write: local.WriteRTPContext, port: port,
		ended: make(chan struct{}), exited: make(chan struct{}),
	}
	// The process outlives the call.
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	t.kill = kill
	t.cmd = exec.CommandContext(life, Launcher, append([]string{"-q"}, strings.Fields(p.sink(port))...)...)
	t.cmd.Cancel = func() error { return t.cmd.Process.Signal(os.Interrupt) }
	t.cmd.WaitDelay = exitTime
	t.cmd.Stderr = &t.stderr
	if err = t.cmd.Start(); err != nil {
		kill()

		return nil, errors.Join(err, port.close())
	}
	t.port.begin()
	go t.wait()
	if err = t.begins(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}

	return t, nil
}

// sink is the pipeline with what sends its packets to us. Packets go out in their
// time, as from a camera.
func (p *pipeline) sink(port *port) string {
	return fmt.Sprintf("%s ! udpsink host=127.0.0.1 port=%d", p.text, port.number())
}

// exitTime is how long a pipeline has to end when it is interrupted.
const exitTime = 5 * time.Second

// pipelineTrack passes on the packets of a process.
type pipelineTrack struct {
	name  string
	local webrtc.TrackLocal
	write writeRTP
	port  *port
	kill  func()
	ended chan struct{}

	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{} // closed when err is there
	err    error
}

func (t *pipelineTrack) Name() string             { return t.name }
func (t *pipelineTrack) Local() webrtc.TrackLocal { return t.local }
func (t *pipelineTrack) Ended() <-chan struct{}   { return t.ended }

// wait is told the end of the process, after which nothing comes any more.
func (t *pipelineTrack) wait() {
	err := t.cmd.Wait()
	if reason := lastLine(t.stderr.String()); err != nil && reason != "" {
		err = fmt.Errorf("%w: %s", err, reason)
	}
	if err != nil {
		t.err = fmt.Errorf("%s: %w", Launcher, err)
	}
	t.port.finish()
	close(t.exited)
}

// begins waits for a packet, or for the end without any.
func (t *pipelineTrack) begins(ctx context.Context) error {
	select {
	case <-t.port.first:
		return nil
	case <-t.exited:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-t.port.over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if t.err == nil && t.port.empty() {
		close(t.ended)
	}

	return t.err
}

// Play passes packets on, those first that have come so far.
func (t *pipelineTrack) Play(ctx context.Context) error {
	if err := t.port.forward(ctx, t.write); err != nil {
		return err
	}
	<-t.exited // the end has come from there
	if t.err == nil && !t.port.empty() {
		close(t.ended)
	}

	return t.err
}

func (t *pipelineTrack) close() error {
	t.kill()
	<-t.exited // that it was interrupted is no news

	return t.port.close()
}

// lastLine is where most programs say why.
func lastLine(text string) string {
	text = strings.TrimSpace(text)

	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
