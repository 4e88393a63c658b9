package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/pkg/media/h264writer"
	"github.com/ctxrtc/webrtc/pkg/media/h265writer"
	"github.com/ctxrtc/webrtc/pkg/media/ivfwriter"
	"github.com/ctxrtc/webrtc/pkg/media/oggwriter"
)

// format is how a codec is written.
type format struct {
	extension string
	// depacketizer finds out which packets belong together.
	depacketizer func() rtp.Depacketizer
	create       func(path string) (writer, error)
}

// writer is what all the writers of pkg/media are.
type writer interface {
	WriteRTP(packet *rtp.Packet) error
	Close() error
}

// formats are those of the codecs, by their MIME types in lower case.
var formats = map[string]format{
	lower(webrtc.MimeTypeVP8): {
		".ivf", func() rtp.Depacketizer { return &codecs.VP8Packet{} }, newVP8Writer,
	},
	lower(webrtc.MimeTypeVP9): {
		".ivf", func() rtp.Depacketizer { return &codecs.VP9Packet{} }, inIVF(webrtc.MimeTypeVP9),
	},
	lower(webrtc.MimeTypeAV1): {
		".ivf", func() rtp.Depacketizer { return &codecs.AV1Depacketizer{} }, inIVF(webrtc.MimeTypeAV1),
	},
	lower(webrtc.MimeTypeH264): {
		".h264", func() rtp.Depacketizer { return &codecs.H264Packet{} },
		func(path string) (writer, error) { return h264writer.New(path) },
	},
	lower(webrtc.MimeTypeH265): {
		".h265", func() rtp.Depacketizer { return &codecs.H265Depacketizer{} },
		func(path string) (writer, error) { return h265writer.New(path) },
	},
	lower(webrtc.MimeTypeOpus): {
		".ogg", func() rtp.Depacketizer { return &codecs.OpusPacket{} },
		func(path string) (writer, error) { return oggwriter.New(path, 48000, 2) },
	},
}

func lower(mimeType string) string { return strings.ToLower(mimeType) }

// inIVF writes a codec that has its size in its frames alone.
func inIVF(mimeType string) func(path string) (writer, error) {
	return func(path string) (writer, error) {
		return ivfwriter.New(path, append(ivfTime(), ivfwriter.WithCodec(mimeType))...)
	}
}

// ivfTime has a file count time as RTP does, so that none is rounded.
func ivfTime() []ivfwriter.Option {
	return []ivfwriter.Option{ivfwriter.WithFrameRate(1, 90000), ivfwriter.WithDirectPTS()}
}

// vp8Writer begins its file with the first key frame, because that has the size that
// the header of the file tells players.
type vp8Writer struct {
	file *os.File
	ivf  *ivfwriter.IVFWriter // nil before
}

func newVP8Writer(path string) (writer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}

	return &vp8Writer{file: file}, nil
}

func (w *vp8Writer) WriteRTP(packet *rtp.Packet) error {
	if w.ivf == nil {
		width, height, ok := vp8Size(packet.Payload)
		if !ok {
			return nil
		}
		if err := w.begin(ivfwriter.WithWidthAndHeight(width, height)); err != nil {
			return err
		}
	}

	return w.ivf.WriteRTP(packet)
}

func (w *vp8Writer) begin(options ...ivfwriter.Option) (err error) {
	w.ivf, err = ivfwriter.NewWith(w.file, append(ivfTime(), options...)...)

	return err
}

func (w *vp8Writer) Close() error {
	if w.ivf == nil {
		if err := w.begin(); err != nil {
			return errors.Join(err, w.file.Close())
		}
	}

	return w.ivf.Close() // and the file
}

// vp8Size reads the size of a key frame, in pixels, out of its first packet.
// https://www.rfc-editor.org/rfc/rfc6386#section-9.1
func vp8Size(payload []byte) (width, height uint16, ok bool) {
	packet := codecs.VP8Packet{}
	data, err := packet.Unmarshal(payload)
	if err != nil || packet.S != 1 || packet.PID != 0 || len(data) < 10 || data[0]&1 != 0 {
		return 0, 0, false
	}

	return binary.LittleEndian.Uint16(data[6:]) & 0x3fff, binary.LittleEndian.Uint16(data[8:]) & 0x3fff, true
}

// writable keeps the codecs that can be written, and what repairs their packets.
func writable(all []webrtc.RTPCodecParameters) (kept []webrtc.RTPCodecParameters) {
	for _, c := range all {
		if _, ok := formats[lower(c.MimeType)]; ok || strings.EqualFold(c.MimeType, webrtc.MimeTypeRTX) {
			kept = append(kept, c)
		}
	}

	return kept
}

// headerLength is where the header of an IVF file has the number of its frames.
const headerLength = 24

// setLength has the header of an IVF file tell its length in units of its time. By
// the letter it is the number of frames, which players take for the same thing; here
// a unit is not a frame.
func setLength(path string, lasts time.Duration) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	units := uint32(min(lasts.Milliseconds()*90, math.MaxUint32))
	_, err = file.WriteAt(binary.LittleEndian.AppendUint32(nil, units), headerLength)

	return errors.Join(err, file.Close())
}

// size is that of a file, in bytes.
func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("what was written: %w", err)
	}

	return info.Size(), nil
}
