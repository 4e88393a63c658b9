// Package h264reader reads H.264 streams of Annex B, the form in which encoders
// write files: NAL units with start codes between them.
// https://www.itu.int/rec/T-REC-H.264
package h264reader

import (
	"io"

	"github.com/ctxrtc/webrtc/pkg/media/internal/annexb"
)

// MaxNALSize is the largest NAL unit that is read, in bytes; a longer one is
// media.ErrTooLarge.
const MaxNALSize = annexb.MaxUnitSize

// H264Reader reads the NAL units of one stream, one after the other.
type H264Reader struct {
	units   *annexb.Reader
	keepSEI bool
}

// Option changes what a reader does.
type Option func(*H264Reader) error

// WithIncludeSEI makes the reader return supplemental enhancement information,
// which it skips otherwise.
func WithIncludeSEI(include bool) Option {
	set := func(r *H264Reader) error {
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

	// ForbiddenZeroBit, RefIdc and UnitType are the fields of the unit's first
	// byte. RefIdc is zero in a unit that no other picture depends on.
	ForbiddenZeroBit bool
	RefIdc           uint8
	UnitType         NalUnitType

	// Data is the unit with its first byte, without a start code.
	Data []byte
}

// NewReader makes a reader that skips SEI. It does not read yet. A nil stream is
// media.ErrInvalidArgument.
func NewReader(in io.Reader) (*H264Reader, error) { return NewReaderWithOptions(in) }

// NewReaderWithOptions is NewReader with options.
func NewReaderWithOptions(in io.Reader, options ...Option) (*H264Reader, error) {
	units, err := annexb.NewReader("h264", in)
	if err != nil {
		return nil, err
	}
	reader := &H264Reader{units: units}

	return reader, annexb.Apply("h264", reader, options)
}

// NextNAL returns the next NAL unit, in a slice of its own. After the last one
// it returns io.EOF. A stream that does not begin with a start code is
// media.ErrMalformed, or io.ErrUnexpectedEOF if it ends before one; a unit above
// MaxNALSize is media.ErrTooLarge. These and errors of the stream end the
// reading.
func (reader *H264Reader) NextNAL() (*NAL, error) {
	if reader == nil {
		reader = new(H264Reader) // which refuses
	}
	for {
		data, _, err := reader.units.Next()
		if err != nil {
			return nil, err
		}
		// https://www.itu.int/rec/T-REC-H.264 7.3.1
		nal := &NAL{
			ForbiddenZeroBit: data[0]&0x80 != 0,
			RefIdc:           data[0] >> 5 & 0x03,
			UnitType:         NalUnitType(data[0] & 0x1f),
			Data:             data,
		}
		if nal.UnitType != NalUnitTypeSEI || reader.keepSEI {
			return nal, nil
		}
	}
}
