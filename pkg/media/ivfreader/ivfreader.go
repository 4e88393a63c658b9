// Package ivfreader reads IVF files, the container of VP8, VP9 and AV1 frames.
// https://wiki.multimedia.cx/index.php/Duck_IVF
package ivfreader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/bounded"
)

// MaxFrameSize is the largest frame that is read, in bytes; a frame header that
// claims more is media.ErrTooLarge.
const MaxFrameSize = 64 << 20

const (
	signature       = "DKIF"
	fileHeaderSize  = 32
	frameHeaderSize = 12
)

// IVFFileHeader is what a file says of itself. TimebaseNumerator divided by
// TimebaseDenominator is the unit of time stamps, in seconds: 1 and 30 in a file
// whose frames are counted at 30 a second.
type IVFFileHeader struct {
	// FourCC is VP80, VP90 or AV01.
	FourCC string
	// Width and Height are in pixels. Writers that do not know them have other
	// values there.
	Width  uint16
	Height uint16
	// TimebaseDenominator and TimebaseNumerator are never zero.
	TimebaseDenominator uint32
	TimebaseNumerator   uint32
	// NumFrames is zero or wrong in files that were not completed.
	NumFrames uint32
}

// IVFFrameHeader comes before each frame.
type IVFFrameHeader struct {
	// FrameSize is in bytes.
	FrameSize uint32
	// Timestamp is PTS multiplied by the denominator of the timebase and
	// divided by its numerator, which is what programs written for pion expect.
	// It is no time: use PTS for that.
	Timestamp uint64
	// PTS is the time stamp as it is in the file, in units of the timebase.
	PTS uint64
}

// IVFReader reads the frames of one file, one after the other.
type IVFReader struct {
	stream      io.Reader
	read        int64 // bytes of the file header and of whole frames
	frame       int   // the one that comes next
	numerator   uint32
	denominator uint32
}

// NewWith reads the file header. It returns io.EOF for a stream without any
// byte, and errors that match io.ErrUnexpectedEOF, media.ErrMalformed,
// media.ErrInvalidArgument, or those of the stream.
func NewWith(stream io.Reader) (*IVFReader, *IVFFileHeader, error) {
	if stream == nil {
		return nil, nil, fmt.Errorf("ivf: %w: stream is nil", media.ErrInvalidArgument)
	}
	raw := make([]byte, fileHeaderSize)
	n, err := bounded.Head(stream, raw)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("ivf: file header: %d of %d bytes: %w", n, fileHeaderSize, err)
	case string(raw[:4]) != signature:
		return nil, nil, fmt.Errorf("ivf: %w: file begins with %q, not %q", media.ErrMalformed, raw[:4], signature)
	}
	if version := binary.LittleEndian.Uint16(raw[4:]); version != 0 {
		return nil, nil, fmt.Errorf("ivf: %w: version %d is not 0", media.ErrMalformed, version)
	}
	size := int64(binary.LittleEndian.Uint16(raw[6:]))
	if size < fileHeaderSize {
		return nil, nil, fmt.Errorf("ivf: %w: file header of %d bytes, not %d", media.ErrMalformed, size, fileHeaderSize)
	}
	header := &IVFFileHeader{
		FourCC:              string(raw[8:12]),
		Width:               binary.LittleEndian.Uint16(raw[12:]),
		Height:              binary.LittleEndian.Uint16(raw[14:]),
		TimebaseDenominator: binary.LittleEndian.Uint32(raw[16:]),
		TimebaseNumerator:   binary.LittleEndian.Uint32(raw[20:]),
		NumFrames:           binary.LittleEndian.Uint32(raw[24:]),
	}
	if header.TimebaseDenominator == 0 || header.TimebaseNumerator == 0 {
		return nil, nil, fmt.Errorf("ivf: %w: timebase %d/%d", media.ErrMalformed,
			header.TimebaseNumerator, header.TimebaseDenominator)
	}
	// A longer header has fields that come after ours.
	if extra := size - fileHeaderSize; extra > 0 {
		if _, err := bounded.Read(stream, int(extra)); err != nil {
			return nil, nil, fmt.Errorf("ivf: file header of %d bytes: %w", size, err)
		}
	}

	return &IVFReader{
		stream:      stream,
		read:        size,
		numerator:   header.TimebaseNumerator,
		denominator: header.TimebaseDenominator,
	}, header, nil
}

// ParseNextFrame returns the next frame in a slice of its own. After the last
// one it returns io.EOF, and within one that is cut off an error that matches
// io.ErrUnexpectedEOF: of a file that is still written to, the frame can be read
// again after ResetReader. Other errors are media.ErrTooLarge,
// media.ErrMalformed and those of the stream.
func (i *IVFReader) ParseNextFrame() ([]byte, *IVFFrameHeader, error) {
	if i == nil || i.stream == nil {
		return nil, nil, fmt.Errorf("ivf: %w: reader without a stream", media.ErrInvalidArgument)
	}
	raw := make([]byte, frameHeaderSize)
	n, err := bounded.Head(i.stream, raw)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, err
	case err != nil:
		return nil, nil, i.errorf("%d of %d bytes of its header: %w", n, frameHeaderSize, err)
	}
	header := &IVFFrameHeader{
		FrameSize: binary.LittleEndian.Uint32(raw),
		PTS:       binary.LittleEndian.Uint64(raw[4:]),
	}
	if header.FrameSize > MaxFrameSize {
		return nil, nil, i.errorf("%w: %d bytes, at most %d", media.ErrTooLarge, header.FrameSize, MaxFrameSize)
	}
	high, low := bits.Mul64(header.PTS, uint64(i.denominator))
	if high >= uint64(i.numerator) {
		return nil, nil, i.errorf("%w: time stamp %d", media.ErrMalformed, header.PTS)
	}
	header.Timestamp, _ = bits.Div64(high, low, uint64(i.numerator))
	frame, err := bounded.Read(i.stream, int(header.FrameSize))
	if err != nil {
		return nil, nil, i.errorf("%d of %d bytes: %w", len(frame), header.FrameSize, err)
	}
	i.read += frameHeaderSize + int64(header.FrameSize)
	i.frame++

	return frame, header, nil
}

// errorf says of which frame an error is.
func (i *IVFReader) errorf(format string, args ...any) error {
	return fmt.Errorf("ivf: frame %d at byte %d: %w", i.frame, i.read, fmt.Errorf(format, args...))
}

// ResetReader replaces the stream, for files that grow while they are read.
// reset is given the number of bytes in front of the first frame that was not
// read whole, and returns a stream that goes on from there.
func (i *IVFReader) ResetReader(reset func(bytesRead int64) io.Reader) {
	if i == nil || reset == nil {
		return
	}
	i.stream = reset(i.read)
}
