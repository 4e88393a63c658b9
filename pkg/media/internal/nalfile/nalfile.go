// Package nalfile writes the NAL units that come in RTP packets as a stream of
// Annex B. What is the codec's own is in a Codec.
package nalfile

import (
	"fmt"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/annexb"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// Part says what piece of a NAL unit is in a payload.
type Part int

// The parts. A Whole payload has one unit or more.
const (
	Whole Part = iota
	First
	Middle
	Last
)

// Depacketizer gives the units that a payload completes, with start codes.
type Depacketizer interface {
	Unmarshal(payload []byte) ([]byte, error)
}

// Codec is what H.264 and H.265 do not have in common. Part and Start are given
// payloads that are not empty.
type Codec struct {
	Name string
	// Depacketizer makes a new one, without fragments.
	Depacketizer func() Depacketizer
	// Part is of the payload's first unit.
	Part func(payload []byte) Part
	// Start tells whether a decoder can begin at this payload.
	Start func(payload []byte) bool
}

// Writer writes one stream.
type Writer struct {
	sink  *sink.Sink
	codec Codec

	depacketizer Depacketizer
	started      bool
	fragments    int // bytes of the unit whose end has not come
	seen         bool
	last         uint16 // sequence number
}

// New makes a writer.
func New(out *sink.Sink, codec Codec) *Writer {
	return &Writer{sink: out, codec: codec, depacketizer: codec.Depacketizer()}
}

// WriteRTP adds a packet. A unit of which a packet is missing is left out.
func (w *Writer) WriteRTP(packet *rtp.Packet) error {
	if w == nil {
		return fmt.Errorf("%w: writer without an output", media.ErrInvalidArgument)
	}
	if err := w.sink.Check(packet != nil); err != nil {
		return fmt.Errorf("%s: %w", w.codec.Name, err)
	}
	// A number that is always the same is of a program that does not count.
	step := packet.SequenceNumber - w.last
	gap := w.seen && step > 1
	w.seen, w.last = true, packet.SequenceNumber
	if gap {
		w.forget()
	}
	if len(packet.Payload) == 0 {
		return nil
	}
	if !w.started {
		if !w.codec.Start(packet.Payload) {
			return nil
		}
		w.started = true
	}
	if err := w.write(packet.Payload); err != nil {
		w.forget()

		return fmt.Errorf("%s: packet %d: %w", w.codec.Name, packet.SequenceNumber, err)
	}

	return nil
}

func (w *Writer) write(payload []byte) error {
	part := w.codec.Part(payload)
	switch part {
	case Whole, First:
		// What has begun before lost its end.
		if w.fragments > 0 {
			w.forget()
		}
	case Middle, Last:
		if w.fragments == 0 {
			return nil
		}
	}
	if part != Whole {
		w.fragments += len(payload)
		if w.fragments > annexb.MaxUnitSize {
			return fmt.Errorf("%w: NAL unit in fragments of more than %d bytes", media.ErrTooLarge, annexb.MaxUnitSize)
		}
		// Depacketizers may keep a fragment, whose array the caller may use again.
		payload = append([]byte(nil), payload...)
	}
	if part == Last {
		w.fragments = 0
	}
	units, err := w.depacketizer.Unmarshal(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", media.ErrMalformed, err)
	}
	if len(units) == 0 {
		return nil
	}

	return w.sink.Write(units)
}

// forget drops the fragments of a unit that will not be completed.
func (w *Writer) forget() {
	w.depacketizer = w.codec.Depacketizer()
	w.fragments = 0
}

// Close closes the output.
func (w *Writer) Close() error {
	if w == nil || w.sink.Closed() {
		return nil
	}
	if err := w.sink.Close(); err != nil {
		return fmt.Errorf("%s: close: %w", w.codec.Name, err)
	}

	return nil
}
