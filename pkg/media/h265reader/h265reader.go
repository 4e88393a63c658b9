// Package h265reader reads H.265 streams of Annex B, the form in which encoders
// write files: NAL units with start codes between them.
// https://www.itu.int/rec/T-REC-H.265
package h265reader

import (
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/annexb"
)

// MaxNALSize is the largest NAL unit that is read, in bytes; a longer one is
// media.ErrTooLarge.
const MaxNALSize = annexb.MaxUnitSize

// headerSize is that of a NAL unit's header.
const headerSize = 2

// H265Reader reads the NAL units of one stream, one after the other.
type H265Reader struct {
	units   *annexb.Reader
	keepSEI bool
}

// Option changes what a reader does.
type Option func(*H265Reader) error

// WithIncludeSEI makes the reader return supplemental enhancement information,
// of both kinds, which it skips otherwise.
func WithIncludeSEI(include bool) Option {
	set := func(r *H265Reader) error {
		r.keepSEI = include

		return nil
	}

	return set
}

// NAL is one NAL unit.
type NAL struct {
	// PictureOrderCount is always zero: it takes the slice header and the
	// parameter sets to tell it.
	PictureOrderCount uint32

	// These are the fields of the unit's first two bytes.
	// https://www.rfc-editor.org/rfc/rfc7798#section-1.1.4
	ForbiddenZeroBit bool
	NalUnitType      NalUnitType
	LayerID          uint8
	TemporalIDPlus1  uint8

	// Data is the unit with these two bytes, without a start code.
	Data []byte
}

// NewReader makes a reader that skips SEI. It does not read yet. A nil stream is
// media.ErrInvalidArgument.
func NewReader(in io.Reader) (*H265Reader, error) { return NewReaderWithOptions(in) }

// NewReaderWithOptions is NewReader with options.
func NewReaderWithOptions(in io.Reader, options ...Option) (*H265Reader, error) {
	units, err := annexb.NewReader("h265", in)
	if err != nil {
		return nil, err
	}
	reader := &H265Reader{units: units}

	return reader, annexb.Apply("h265", reader, options)
}

// NextNAL returns the next NAL unit, in a slice of its own. After the last one
// it returns io.EOF. A unit shorter than its header is media.ErrMalformed, and
// the call after it goes on behind that unit. A stream that does not begin with
// a start code is media.ErrMalformed, or io.ErrUnexpectedEOF if it ends before
// one; a unit above MaxNALSize is media.ErrTooLarge. These and errors of the
// stream end the reading.
func (reader *H265Reader) NextNAL() (*NAL, error) {
	if reader == nil {
		reader = new(H265Reader) // which refuses
	}
	for {
		data, offset, err := reader.units.Next()
		if err != nil {
			return nil, err
		}
		if len(data) < headerSize {
			return nil, fmt.Errorf("h265: %w: NAL unit at byte %d has %d of the %d bytes of its header",
				media.ErrMalformed, offset, len(data), headerSize)
		}
		nal := &NAL{
			ForbiddenZeroBit: data[0]&0x80 != 0,
			NalUnitType:      NalUnitType(data[0] >> 1 & 0x3f),
			LayerID:          data[0]&0x01<<5 | data[1]>>3,
			TemporalIDPlus1:  data[1] & 0x07,
			Data:             data,
		}
		sei := nal.NalUnitType == NalUnitTypePrefixSei || nal.NalUnitType == NalUnitTypeSuffixSei
		if !sei || reader.keepSEI {
			return nal, nil
		}
	}
}
