// Package h265writer writes the H.265 of RTP packets as a stream of Annex B,
// which players and ffmpeg read.
// https://www.rfc-editor.org/rfc/rfc7798 https://www.itu.int/rec/T-REC-H.265
package h265writer

import (
	"io"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/h265reader"
	"github.com/ctxrtc/webrtc/pkg/media/internal/nalfile"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// Payload structures, and the size of the header that they begin with.
// https://www.rfc-editor.org/rfc/rfc7798#section-4.4
const (
	aggregation   = 48
	fragmentation = 49
	headerSize    = 2
)

// H265Writer writes one stream. Nothing is written until a parameter set or an
// IDR picture has come, because no decoder could use it. A NAL unit of which a
// packet is missing is left out. Packets with decoding order numbers, which take
// sprop-max-don-diff, are not understood.
type H265Writer struct{ file *nalfile.Writer }

var _ media.Writer = (*H265Writer)(nil)

// New creates the file, or empties the one that is there. Errors are those of
// os.Create.
func New(filename string) (*H265Writer, error) {
	out, err := sink.Create(filename)
	if err != nil {
		return nil, err
	}

	return &H265Writer{nalfile.New(out, codec)}, nil
}

// NewWith writes to out, and closes it with Close if it is an io.Closer. All
// writes to a nil out fail.
func NewWith(out io.Writer) *H265Writer { return &H265Writer{nalfile.New(sink.New(out), codec)} }

// WriteRTP adds a packet. A payload that is not H.265 is media.ErrMalformed, and
// the packets after it can be written; a unit of more than 64 MiB is
// media.ErrTooLarge. Other errors are media.ErrClosed, media.ErrInvalidArgument,
// and those of the output.
func (h *H265Writer) WriteRTP(packet *rtp.Packet) error {
	if h == nil {
		return (*nalfile.Writer)(nil).WriteRTP(packet)
	}

	return h.file.WriteRTP(packet)
}

// Close closes the output. A second call does nothing.
func (h *H265Writer) Close() error {
	if h == nil {
		return nil
	}

	return h.file.Close()
}

var codec = nalfile.Codec{
	Name:         "h265",
	Depacketizer: func() nalfile.Depacketizer { return &depacketizer{} },
	Part:         part,
	Start:        start,
}

// depacketizer takes units that have nothing but a header too, as the end of a
// sequence and that of the bitstream.
type depacketizer struct{ codecs.H265Depacketizer }

func (d *depacketizer) Unmarshal(payload []byte) ([]byte, error) {
	if len(payload) == headerSize {
		switch unitType(payload[0]) {
		case h265reader.NalUnitTypeEos, h265reader.NalUnitTypeEob:
			return append([]byte{0, 0, 0, 1}, payload...), nil
		default:
		}
	}

	return d.H265Depacketizer.Unmarshal(payload)
}

func unitType(firstByte byte) h265reader.NalUnitType {
	return h265reader.NalUnitType(firstByte >> 1 & 0x3f)
}

// https://www.rfc-editor.org/rfc/rfc7798#section-4.4.3
func part(payload []byte) nalfile.Part {
	switch {
	case unitType(payload[0]) != fragmentation || len(payload) <= headerSize:
		return nalfile.Whole
	case payload[headerSize]&0x80 != 0:
		return nalfile.First
	case payload[headerSize]&0x40 != 0:
		return nalfile.Last
	}

	return nalfile.Middle
}

// start looks for a parameter set or an IDR picture, from its beginning.
func start(payload []byte) bool {
	switch unitType(payload[0]) {
	case aggregation:
		for units := payload[min(headerSize, len(payload)):]; len(units) > 2; {
			size := int(units[0])<<8 | int(units[1])
			if size > 0 && key(unitType(units[2])) {
				return true
			}
			units = units[min(2+size, len(units)):]
		}

		return false
	case fragmentation:
		return part(payload) == nalfile.First && key(h265reader.NalUnitType(payload[headerSize]&0x3f))
	default:
		return key(unitType(payload[0]))
	}
}

func key(unit h265reader.NalUnitType) bool {
	switch unit {
	case h265reader.NalUnitTypeVps, h265reader.NalUnitTypeSps, h265reader.NalUnitTypePps,
		h265reader.NalUnitTypeIdrWRadl, h265reader.NalUnitTypeIdrNLp:
		return true
	default:
		return false
	}
}
