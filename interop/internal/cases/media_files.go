package cases

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/h264reader"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
	"github.com/ctxrtc/webrtc/pkg/media/oggreader"
)

// frameTime is that of the files with video, packetTime that of the one with audio.
const (
	frameTime  = time.Second / 30
	packetTime = 20 * time.Millisecond
)

// file reads one of the library's files with media as what a track sends, one
// sample after the other. The first one is a key frame.
func (e *Env) file(name string) ([]media.Sample, error) {
	read := map[string]func(io.Reader) ([]media.Sample, error){
		".ivf": ivfFrames, ".h264": h264Frames, ".ogg": oggPackets,
	}[filepath.Ext(name)]
	data, err := os.ReadFile(filepath.Join(e.Dir, "..", "testdata", "media", name))
	if err != nil {
		return nil, err
	}
	samples, err := read(bytes.NewReader(data))
	if !errors.Is(err, io.EOF) {
		return nil, err
	}

	return samples, nil
}

// ivfFrames returns io.EOF with what it has read, as the others do.
func ivfFrames(file io.Reader) (samples []media.Sample, err error) {
	reader, _, err := ivfreader.NewWith(file)
	for err == nil {
		var frame []byte
		if frame, _, err = reader.ParseNextFrame(); err == nil {
			samples = append(samples, media.Sample{Data: frame, Duration: frameTime})
		}
	}

	return samples, err
}

func oggPackets(file io.Reader) (samples []media.Sample, err error) {
	reader, _, err := oggreader.NewWith(file)
	for err == nil {
		var packet []byte
		if packet, _, err = reader.ParseNextPacket(); err == nil && !bytes.HasPrefix(packet, []byte("OpusTags")) {
			samples = append(samples, media.Sample{Data: packet, Duration: packetTime})
		}
	}

	return samples, err
}

// h264Frames puts the units of a picture together, which the file has in one slice
// each.
func h264Frames(file io.Reader) (samples []media.Sample, err error) {
	reader, err := h264reader.NewReader(file)
	var frame []byte
	for err == nil {
		var unit *h264reader.NAL
		if unit, err = reader.NextNAL(); err != nil {
			break
		}
		frame = append(append(frame, 0, 0, 0, 1), unit.Data...)
		if unit.UnitType == h264reader.NalUnitTypeCodedSliceIdr || unit.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
			samples = append(samples, media.Sample{Data: frame, Duration: frameTime})
			frame = nil
		}
	}

	return samples, err
}
