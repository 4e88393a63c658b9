// Package ivfwriter writes the VP8, VP9 or AV1 of RTP packets into IVF files.
// https://wiki.multimedia.cx/index.php/Duck_IVF
package ivfwriter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

const (
	fileHeaderSize  = 32
	frameHeaderSize = 12
	frameCountAt    = 24

	// clockRate is that of RTP timestamps of video, a second.
	// https://www.rfc-editor.org/rfc/rfc3551#section-5
	clockRate = 90_000

	// late is how far a timestamp can go back, in ticks, for a packet to be one
	// that was overtaken; one that goes back further is of a clock that has been
	// set.
	late = 10 * clockRate
)

// IVFWriter writes one file. Nothing is written until a key frame has come. A
// frame of which a packet is missing is left out, and so are packets that are
// overtaken by those of a later frame.
type IVFWriter struct {
	sink   *sink.Sink
	seeker io.Seeker // nil if the header cannot be completed at the end
	begin  int64     // where the file begins in it

	codec       *codec
	width       uint16
	height      uint16
	numerator   uint32
	denominator uint32
	directPTS   bool

	frames  uint32 // written
	started bool   // a key frame has come
	frame   []byte
	size    int // bytes of the payloads of frame; 0 when none is collected
	at      int64

	// seen and what follows are of the last packet.
	seen      bool
	number    uint16
	timestamp uint32
	marker    bool
	clock     int64 // its timestamp, which does not wrap, in ticks
	first     int64 // clock of the first frame that was written
}

var _ media.Writer = (*IVFWriter)(nil)

// Option sets up a writer.
type Option func(i *IVFWriter) error

// WithCodec chooses the codec by its MIME type: video/VP8, which is the default,
// video/VP9 or video/AV1. An unknown one, and a second choice, are
// media.ErrInvalidArgument.
func WithCodec(mimeType string) Option {
	return func(i *IVFWriter) error {
		if i.codec != nil {
			return fmt.Errorf("ivf: %w: codec %s is chosen already", media.ErrInvalidArgument, i.codec.mimeType)
		}
		for _, c := range knownCodecs {
			if strings.EqualFold(c.mimeType, mimeType) {
				i.codec = &c

				return nil
			}
		}

		return fmt.Errorf("ivf: %w: no codec %q", media.ErrInvalidArgument, mimeType)
	}
}

// WithWidthAndHeight sets the size in the file header, in pixels: 640 and 480 if
// it is not given. Decoders take that of the frames.
func WithWidthAndHeight(width, height uint16) Option {
	return func(i *IVFWriter) error {
		i.width, i.height = width, height

		return nil
	}
}

// WithFrameRate sets the unit of time stamps, numerator/denominator seconds: 1
// and 30 if it is not given. Frames that follow one another in less than a unit
// get the same time stamp. A zero is media.ErrInvalidArgument.
func WithFrameRate(numerator, denominator uint32) Option {
	return func(i *IVFWriter) error {
		if numerator == 0 || denominator == 0 {
			return fmt.Errorf("ivf: %w: frame rate %d/%d", media.ErrInvalidArgument, numerator, denominator)
		}
		i.numerator, i.denominator = numerator, denominator

		return nil
	}
}

// WithDirectPTS writes RTP timestamps as they are, counted from the first frame,
// with no conversion. It belongs with WithFrameRate(1, 90000), the clock of RTP
// video.
func WithDirectPTS() Option {
	return func(i *IVFWriter) error {
		i.directPTS = true

		return nil
	}
}

// New creates the file, or empties the one that is there, and writes its header.
// Options that are refused leave the file alone. Other errors are those of
// os.Create and of writing.
func New(fileName string, opts ...Option) (*IVFWriter, error) {
	writer, err := newWriter(opts)
	if err != nil {
		return nil, err
	}
	out, err := sink.Create(fileName)
	if err != nil {
		return nil, err
	}
	if err := writer.open(out); err != nil {
		return nil, errors.Join(err, out.Close())
	}

	return writer, nil
}

// NewWith writes the header to out. Close closes out if it is an io.Closer, and
// completes the header if it is an io.Seeker. A nil out is
// media.ErrInvalidArgument.
func NewWith(out io.Writer, opts ...Option) (*IVFWriter, error) {
	if out == nil {
		return nil, fmt.Errorf("ivf: %w: output is nil", media.ErrInvalidArgument)
	}
	writer, err := newWriter(opts)
	if err != nil {
		return nil, err
	}
	if err := writer.open(sink.New(out)); err != nil {
		return nil, err
	}

	return writer, nil
}

func newWriter(opts []Option) (*IVFWriter, error) {
	writer := &IVFWriter{width: 640, height: 480, numerator: 1, denominator: 30}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("ivf: %w: nil option", media.ErrInvalidArgument)
		}
		if err := opt(writer); err != nil {
			return nil, err
		}
	}
	if writer.codec == nil {
		vp8 := knownCodecs[0]
		writer.codec = &vp8
	}

	return writer, nil
}

// open writes the file header. The number of frames is zero until Close.
func (i *IVFWriter) open(out *sink.Sink) error {
	i.sink = out
	i.seeker, i.begin = out.Seeker()
	header := make([]byte, fileHeaderSize)
	copy(header, "DKIF")
	binary.LittleEndian.PutUint16(header[6:], fileHeaderSize)
	copy(header[8:], i.codec.fourCC)
	binary.LittleEndian.PutUint16(header[12:], i.width)
	binary.LittleEndian.PutUint16(header[14:], i.height)
	binary.LittleEndian.PutUint32(header[16:], i.denominator)
	binary.LittleEndian.PutUint32(header[20:], i.numerator)
	if err := out.Write(header); err != nil {
		return fmt.Errorf("ivf: file header: %w", err)
	}

	return nil
}

// WriteRTP adds a packet, and writes the frame that it completes. A payload that
// is not of the codec is media.ErrMalformed, and a frame above
// ivfreader.MaxFrameSize media.ErrTooLarge; the frame is left out then, and the
// next ones can be written. Other errors are media.ErrClosed,
// media.ErrInvalidArgument, and those of the output.
func (i *IVFWriter) WriteRTP(packet *rtp.Packet) error {
	if i == nil {
		return fmt.Errorf("ivf: %w: writer is nil", media.ErrInvalidArgument)
	}
	if err := i.sink.Check(packet != nil); err != nil {
		return fmt.Errorf("ivf: %w", err)
	}
	if err := i.add(packet); err != nil {
		i.drop()

		return fmt.Errorf("ivf: packet %d: %w", packet.SequenceNumber, err)
	}

	return nil
}

func (i *IVFWriter) add(packet *rtp.Packet) error {
	forward := int64(int32(packet.Timestamp - i.timestamp)) // the difference of a clock that wraps
	switch {
	case !i.seen:
		forward = 0
	case forward < 0 && forward >= -late:
		return nil
	case forward < 0:
		forward = 0
	}
	// A number that is always the same is of a program that does not count.
	gap := i.seen && packet.SequenceNumber-i.number > 1
	// What follows directly on the last packet of a frame begins one.
	follows := i.seen && !gap && (i.marker || packet.Timestamp != i.timestamp)
	ended := i.size > 0 && !gap && packet.Timestamp != i.timestamp
	i.seen, i.number, i.marker = true, packet.SequenceNumber, packet.Marker && len(packet.Payload) > 0
	i.timestamp, i.clock = packet.Timestamp, i.clock+forward
	if gap {
		i.drop()
	}
	if ended {
		// Nothing is missing but the mark of the frame's end.
		if err := i.finish(); err != nil {
			return err
		}
	}
	if len(packet.Payload) == 0 {
		return nil
	}

	return i.collect(packet, follows)
}

func (i *IVFWriter) collect(packet *rtp.Packet, follows bool) error {
	if i.size > 0 && i.size+len(packet.Payload) > ivfreader.MaxFrameSize {
		return fmt.Errorf("%w: frame of more than %d bytes", media.ErrTooLarge, ivfreader.MaxFrameSize)
	}
	part, err := i.codec.parse(packet.Payload, follows, i.size > 0)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", media.ErrMalformed, err)
	case i.size == 0 && (!part.start || !i.started && !part.key):
		return nil
	}
	i.started = true
	i.size += len(packet.Payload)
	i.frame = append(i.frame, part.data...)
	i.at = i.clock
	if !packet.Marker {
		return nil
	}

	return i.finish()
}

// finish writes the frame that has been collected.
func (i *IVFWriter) finish() error {
	frame := i.codec.finish(i.frame)
	i.frame, i.size = nil, 0
	if len(frame) == 0 {
		return nil
	}
	if i.frames == 0 {
		i.first = i.at
	}
	if i.frames == math.MaxUint32 {
		return fmt.Errorf("%w: file of %d frames", media.ErrTooLarge, i.frames)
	}
	header := make([]byte, frameHeaderSize)
	binary.LittleEndian.PutUint32(header, uint32(len(frame))) // at most MaxFrameSize and a delimiter
	binary.LittleEndian.PutUint64(header[4:], i.pts(uint64(i.at-i.first)))
	if err := i.sink.Write(header, frame); err != nil {
		return err
	}
	i.frames++

	return nil
}

// pts converts ticks to units of the file, to the nearest.
func (i *IVFWriter) pts(ticks uint64) uint64 {
	if i.directPTS {
		return ticks
	}
	unit := clockRate * uint64(i.numerator)
	high, low := bits.Mul64(ticks, uint64(i.denominator))
	low, carry := bits.Add64(low, unit/2, 0)
	high += carry
	if high >= unit {
		return math.MaxUint64
	}
	pts, _ := bits.Div64(high, low, unit)

	return pts
}

// drop forgets what has been collected of a frame.
func (i *IVFWriter) drop() {
	i.frame, i.size = nil, 0
}

// Close writes the number of frames into the header if the output can seek, and
// closes the output. A frame that has not come whole is not written. A second
// call does nothing.
func (i *IVFWriter) Close() error {
	if i == nil || i.sink.Closed() {
		return nil
	}
	err := errors.Join(i.complete(), i.sink.Close())
	if err != nil {
		return fmt.Errorf("ivf: close: %w", err)
	}

	return nil
}

func (i *IVFWriter) complete() error {
	if i.seeker == nil {
		return nil
	}
	if _, err := i.seeker.Seek(i.begin+frameCountAt, io.SeekStart); err != nil {
		return err
	}
	if err := i.sink.Write(binary.LittleEndian.AppendUint32(nil, i.frames)); err != nil {
		return err
	}
	_, err := i.seeker.Seek(0, io.SeekEnd)

	return err
}
