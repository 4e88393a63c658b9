package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/samplebuilder"
)

const (
	// A packet that is missing is waited for this long, and this many others: it is
	// asked for again meanwhile.
	patience = 500 * time.Millisecond
	behind   = 1000

	// After a loss video can be decoded from the next key frame on, which is asked
	// for this often.
	keyFrames = 2 * time.Second
)

// recorder writes the tracks of one connection into files.
type recorder struct {
	out    *screen.Screen
	prefix string

	first sync.Once
	begun chan struct{} // closed when the first sample is there
	ended chan error    // holds the first reason why nothing more can be written

	mu    sync.Mutex // guards the fields below
	names map[string]bool
	files []*file
}

// file is what became of one track.
type file struct {
	path    string
	codec   string
	samples int // frames of video, packets of audio
	lost    int // packets
	bad     int // packets that were none of the codec
	lasts   time.Duration
}

func newRecorder(out *screen.Screen, prefix string) *recorder {
	return &recorder{
		out: out, prefix: prefix,
		begun: make(chan struct{}), ended: make(chan error, 1), names: map[string]bool{},
	}
}

// record is for OnTrack: it writes one track until that or ctx ends.
func (r *recorder) record(ctx context.Context, pc *webrtc.PeerConnection, track *webrtc.TrackRemote) {
	if err := r.write(ctx, pc, track); err != nil {
		select {
		case r.ended <- err:
		default:
		}
	}
}

func (r *recorder) write(ctx context.Context, pc *webrtc.PeerConnection, track *webrtc.TrackRemote) (err error) {
	codec := track.Codec()
	form, ok := formats[lower(codec.MimeType)]
	if !ok {
		r.out.Line("  %s is not written: there is no file for it here", codec.MimeType)

		return nil
	}
	f := r.file(form.extension, codec)
	w, err := form.create(f.path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, w.Close()); err == nil && form.extension == ".ivf" {
			err = setLength(f.path, f.lasts)
		}
	}()
	var broken error
	builder := samplebuilder.New(behind, form.depacketizer(), codec.ClockRate,
		samplebuilder.WithMaxTimeDelay(patience),
		samplebuilder.WithPacketReleaseHandler(func(p *rtp.Packet) {
			// They come in order now. Those that turned out to be none of a whole
			// frame, the writer leaves out.
			err := w.WriteRTP(p)
			switch {
			case errors.Is(err, media.ErrMalformed) || errors.Is(err, media.ErrTooLarge):
				f.bad++
			case err != nil && broken == nil:
				broken = fmt.Errorf("%s: %w", f.path, err)
			}
		}))
	take := func() {
		for s := builder.Pop(); s != nil; s = builder.Pop() {
			if f.samples++; f.samples == 1 {
				r.first.Do(func() { close(r.begun) })
				r.out.Line("  %s comes, and goes into %s", codec.MimeType, f.path)
			}
			f.lost += int(s.PrevDroppedPackets)
			f.lasts += s.Duration
		}
	}
	var asked time.Time
	for broken == nil {
		packet, _, err := track.ReadRTPContext(ctx)
		if err != nil {
			break // the end of the track, or ours: the connection knows why
		}
		if now := time.Now(); track.Kind() == webrtc.RTPCodecTypeVideo && now.Sub(asked) > keyFrames {
			asked = now
			_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
		}
		builder.Push(packet)
		take()
	}
	builder.Flush()
	take()

	return broken
}

// file gives a track a name that no other one has.
func (r *recorder) file(extension string, codec webrtc.RTPCodecParameters) *file {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.prefix + extension
	for n := 2; r.names[path]; n++ {
		path = fmt.Sprintf("%s-%d%s", r.prefix, n, extension)
	}
	r.names[path] = true
	_, name, _ := strings.Cut(codec.MimeType, "/")
	f := &file{path: path, codec: name}
	r.files = append(r.files, f)

	return f
}

// show prints what there is, once nothing is written any more.
func (r *recorder) show() error {
	r.mu.Lock()
	files := r.files
	r.mu.Unlock()
	if len(files) == 0 {
		return errors.New("nothing has come that could be written")
	}
	r.out.Title("recorded")
	empty := 0
	for _, f := range files {
		bytes, err := size(f.path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("  %-12s %-5s %5d samples, %4.1f s, %s",
			f.path, f.codec, f.samples, f.lasts.Seconds(), screen.Amount(bytes))
		if f.lost > 0 {
			text += fmt.Sprintf("; %d packets were lost", f.lost)
		}
		if f.bad > 0 {
			text += fmt.Sprintf("; %d packets were none", f.bad)
		}
		r.out.Line("%s", text)
		if f.samples == 0 {
			empty++
		}
	}
	if empty > 0 {
		return fmt.Errorf("%d of %d files have nothing in them", empty, len(files))
	}

	return nil
}
