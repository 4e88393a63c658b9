// Package clip plays files of video and audio in a loop, in their own time.
package clip

import (
	"bytes"
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
	"github.com/ctxrtc/webrtc/pkg/media/h264reader"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
	"github.com/ctxrtc/webrtc/pkg/media/oggreader"
)

// Clip is a file in memory.
type Clip struct {
	Codec   webrtc.RTPCodecCapability
	Samples []media.Sample
}

// Find returns the path of one of the repository's own files, from wherever in a
// checkout the program was started.
func Find(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "testdata", "media", name)
		if _, err = os.Stat(path); err == nil {
			return path, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", fmt.Errorf("there is no testdata/media/%s here or above: run this in a checkout", name)
		}
		dir = above
	}
}

// Load reads a file whose name tells what it is: .ivf, .h264 or .ogg.
func Load(path string) (*Clip, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var c *Clip
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".ivf":
		c, err = loadIVF(content)
	case ".h264":
		c, err = loadH264(content)
	case ".ogg":
		c, err = loadOgg(content)
	default:
		err = fmt.Errorf("a file %q is none of .ivf, .h264 and .ogg", ext)
	}
	if err == nil && len(c.Samples) == 0 {
		err = errors.New("there is nothing in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}

	return c, nil
}

var codecOfIVF = map[string]string{
	"VP80": webrtc.MimeTypeVP8, "VP90": webrtc.MimeTypeVP9, "AV01": webrtc.MimeTypeAV1,
}

func loadIVF(content []byte) (*Clip, error) {
	reader, header, err := ivfreader.NewWith(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	c := &Clip{Codec: webrtc.RTPCodecCapability{MimeType: codecOfIVF[header.FourCC], ClockRate: 90000}}
	if c.Codec.MimeType == "" {
		return nil, fmt.Errorf("a codec %q", header.FourCC)
	}
	unit := float64(time.Second) * float64(header.TimebaseNumerator) / float64(header.TimebaseDenominator)
	before := uint64(0)
	for {
		data, frame, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		next := media.Sample{Data: data, Duration: time.Duration(unit)} // what the last one keeps
		if n := len(c.Samples); n > 0 {
			c.Samples[n-1].Duration = time.Duration(unit * float64(frame.PTS-before))
		}
		before = frame.PTS
		c.Samples = append(c.Samples, next)
	}
}

// loadH264 has a frame end with its slice, as in files whose frames have one slice
// each, at 30 a second: the stream itself tells no time.
func loadH264(content []byte) (*Clip, error) {
	reader, err := h264reader.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	c := &Clip{Codec: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}}
	var frame []byte
	for {
		nal, err := reader.NextNAL()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		frame = append(append(frame, 0, 0, 0, 1), nal.Data...)
		if nal.UnitType == h264reader.NalUnitTypeCodedSliceIdr || nal.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
			c.Samples = append(c.Samples, media.Sample{Data: frame, Duration: time.Second / 30})
			frame = nil
		}
	}
}

// loadOgg takes the packets of a file with one packet of Opus a page.
func loadOgg(content []byte) (*Clip, error) {
	reader, header, err := oggreader.NewWith(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	c := &Clip{Codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}}
	before := uint64(0)
	for {
		data, page, err := reader.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if _, ok := page.HeaderType(data); ok {
			continue
		}
		if page.GranulePosition <= before || page.GranulePosition-before > 120*48 {
			return nil, fmt.Errorf("a page of %d channels is not one packet of up to 120 ms", header.Channels)
		}
		lasts := time.Duration(page.GranulePosition-before) * time.Second / 48000
		before = page.GranulePosition
		c.Samples = append(c.Samples, media.Sample{Data: data, Duration: lasts})
	}
}

// Track makes a track for one Play.
func (c *Clip) Track(stream string) (*webrtc.TrackLocalStaticSample, error) {
	kind, _, _ := strings.Cut(c.Codec.MimeType, "/")

	return webrtc.NewTrackLocalStaticSample(c.Codec, kind, stream)
}

// Play writes the samples to a track, again and again, as fast as they are to be
// seen or heard. It begins when somebody can be sent to. If count is not zero it
// ends after so many, and otherwise with ctx.
func (c *Clip) Play(ctx context.Context, track *webrtc.TrackLocalStaticSample, count int) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time
	for i := 0; count == 0 || i < count; i++ {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		sample := c.Samples[i%len(c.Samples)]
		if err := track.WriteSampleContext(ctx, sample); err != nil {
			return err
		}
		if due.IsZero() {
			due = time.Now()
		}
		due = due.Add(sample.Duration)
		timer.Reset(time.Until(due))
	}

	return nil
}
