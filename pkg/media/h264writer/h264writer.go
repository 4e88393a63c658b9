// Package h264writer writes the H.264 of RTP packets as a stream of Annex B,
// which players and ffmpeg read.
// https://www.rfc-editor.org/rfc/rfc6184 https://www.itu.int/rec/T-REC-H.264
package h264writer

import (
	"io"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/h264reader"
	"github.com/ctxrtc/webrtc/pkg/media/internal/nalfile"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// Payload structures. https://www.rfc-editor.org/rfc/rfc6184#section-5.4
const (
	stapA = 24
	fuA   = 28
)

// H264Writer writes one stream. It takes packetization modes 0 and 1: single NAL
// units, STAP-A and FU-A. Nothing is written until a sequence parameter set has
// come, because no decoder could use it. A NAL unit of which a packet is missing
// is left out.
type H264Writer struct{ file *nalfile.Writer }

var _ media.Writer = (*H264Writer)(nil)

// New creates the file, or empties the one that is there. Errors are those of
// os.Create.
func New(filename string) (*H264Writer, error) {
	out, err := sink.Create(filename)
	if err != nil {
		return nil, err
	}

	return &H264Writer{nalfile.New(out, codec)}, nil
}

// NewWith writes to out, and closes it with Close if it is an io.Closer. All
// writes to a nil out fail.
func NewWith(out io.Writer) *H264Writer { return &H264Writer{nalfile.New(sink.New(out), codec)} }

// WriteRTP adds a packet. A payload that is not H.264, or in a structure that
// needs packetization mode 2, is media.ErrMalformed, and the packets after it can
// be written; a unit of more than 64 MiB is media.ErrTooLarge. Other errors are
// media.ErrClosed, media.ErrInvalidArgument, and those of the output.
func (h *H264Writer) WriteRTP(packet *rtp.Packet) error {
	if h == nil {
		return (*nalfile.Writer)(nil).WriteRTP(packet)
	}

	return h.file.WriteRTP(packet)
}

// Close closes the output. A second call does nothing.
func (h *H264Writer) Close() error {
	if h == nil {
		return nil
	}

	return h.file.Close()
}

var codec = nalfile.Codec{
	Name:         "h264",
	Depacketizer: func() nalfile.Depacketizer { return &codecs.H264Packet{} },
	Part:         part,
	Start:        start,
}

// https://www.rfc-editor.org/rfc/rfc6184#section-5.8
func part(payload []byte) nalfile.Part {
	switch {
	case payload[0]&0x1f != fuA || len(payload) < 2:
		return nalfile.Whole
	case payload[1]&0x80 != 0:
		return nalfile.First
	case payload[1]&0x40 != 0:
		return nalfile.Last
	}

	return nalfile.Middle
}

// start looks for a sequence parameter set.
func start(payload []byte) bool {
	switch payload[0] & 0x1f {
	case uint8(h264reader.NalUnitTypeSPS):
		return true
	case fuA:
		return part(payload) == nalfile.First && payload[1]&0x1f == uint8(h264reader.NalUnitTypeSPS)
	case stapA:
		for units := payload[1:]; len(units) > 2; {
			size := int(units[0])<<8 | int(units[1])
			if size > 0 && units[2]&0x1f == uint8(h264reader.NalUnitTypeSPS) {
				return true
			}
			units = units[min(2+size, len(units)):]
		}
	}

	return false
}
