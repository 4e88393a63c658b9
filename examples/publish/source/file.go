package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/pkg/media"
)

// file is an input. What is in it is told by the end of its name, and its codec by
// itself.
type file struct {
	path   string
	format format
	fps    float64
}

// format is a kind of files.
type format struct {
	kind webrtc.RTPCodecType
	// read reads up to the first sample, which tells the codec.
	read func(in io.Reader, fps float64) (samples, webrtc.RTPCodecCapability, error)
}

// samples are those of a file. next returns io.EOF after the last.
type samples interface {
	next() (media.Sample, error)
}

func formatOf(path string) (format, bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ivf":
		return format{webrtc.RTPCodecTypeVideo, readIVF}, true
	case ".ogg", ".opus":
		return format{webrtc.RTPCodecTypeAudio, readOgg}, true
	case ".h264", ".264":
		return format{webrtc.RTPCodecTypeVideo, readH264}, true
	}

	return format{}, false
}

// File is an input of an IVF, an Ogg or an H.264 file. fps is the rate of the
// pictures of an H.264 file, which need not have it.
func File(path string, fps float64) (Input, error) {
	f, ok := formatOf(path)
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: the name does not end in .ivf, .ogg, .opus, .h264 or .264", path)
	case !(fps >= 1 && fps <= 1000):
		return nil, fmt.Errorf("%v pictures a second, which is not from 1 to 1000", fps)
	}

	return &file{path, f, fps}, nil
}

var errEmpty = errors.New("nothing is in it")

func (f *file) Kind() webrtc.RTPCodecType { return f.format.kind }

func (f *file) open(ctx context.Context) (track, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	t, err := newFileTrack(f, in)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.path, err), in.Close())
	}

	return t, nil
}

// fileTrack plays a file in its own time.
type fileTrack struct {
	name    string
	in      io.Closer
	local   webrtc.TrackLocal
	write   func(context.Context, media.Sample) error
	samples samples
	sample  media.Sample // the one that comes next
	ended   chan struct{}
}

func newFileTrack(f *file, in io.ReadCloser) (*fileTrack, error) {
	samples, codec, err := f.format.read(bufio.NewReader(in), f.fps)
	if errors.Is(err, io.EOF) {
		err = errEmpty
	}
	if err != nil {
		return nil, err
	}
	base := filepath.Base(f.path)
	local, err := webrtc.NewTrackLocalStaticSample(codec, base, streamID)
	if err != nil {
		return nil, err
	}
	t := &fileTrack{
		name: name(base, codec), in: in, local: local, write: local.WriteSampleContext,
		samples: samples, ended: make(chan struct{}),
	}

	return t, t.advance()
}

// advance reads the next sample, or ends the track.
func (t *fileTrack) advance() (err error) {
	t.sample, err = t.samples.next()
	if errors.Is(err, io.EOF) {
		close(t.ended)

		return nil
	}

	return err
}

func (t *fileTrack) Name() string             { return t.name }
func (t *fileTrack) Local() webrtc.TrackLocal { return t.local }
func (t *fileTrack) Ended() <-chan struct{}   { return t.ended }
func (t *fileTrack) close() error             { return t.in.Close() }

// Play sends each sample when it is due. It counts from the beginning, so that what
// comes late does not delay all that follows.
func (t *fileTrack) Play(ctx context.Context) error {
	due := time.Now()
	for {
		if err := until(ctx, due); err != nil {
			return err
		}
		select {
		case <-t.ended:
			return nil // the time of the last sample is over
		default:
		}
		if err := t.write(ctx, t.sample); err != nil {
			return err
		}
		due = due.Add(t.sample.Duration)
		if err := t.advance(); err != nil {
			return err
		}
	}
}

func until(ctx context.Context, due time.Time) error {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
