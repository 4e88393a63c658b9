package webrtc

import (
	"sync/atomic"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/internal/srtpsession"
)

// trackWriter is what a track writes to.
type trackWriter struct {
	sender    *RTPSender
	transport *rtpTransport
	numbers   *numbering
	paused    *atomic.Bool
	shift     atomic.Uint32                         // from the track's numbers to the stream's, with isKnown
	next      atomic.Pointer[interceptor.RTPWriter] // nil while the track is not bound
}

// WriteRTP sends a packet; see TrackLocalWriter.
func (w *trackWriter) WriteRTP(header *rtp.Header, payload []byte) (int, error) {
	const op = "rtpsender write"
	if w.sender.stopped.Load() {
		return 0, opError(op, w.sender.life.endCause())
	}
	if header == nil {
		return 0, refuse(op, ErrInvalidArgument, "nil header")
	}
	// Here already: interceptors need not know what cannot be sent.
	if _, err := srtpsession.Check(header, payload); err != nil {
		return 0, opError(op, unsendable(err))
	}
	next := w.next.Load()
	if next == nil || w.paused.Load() {
		return 0, nil
	}
	if number := w.number(header.SequenceNumber); number != header.SequenceNumber {
		own, _ := headerPool.Get().(*rtp.Header)
		defer headerPool.Put(own)
		extensions := append(own.Extensions[:0], header.Extensions...) // its own, which interceptors add to
		*own = *header
		own.Extensions, own.SequenceNumber = extensions, number
		header = own
	}
	n, err := (*next).Write(header, payload, nil)

	return n, opError(op, err)
}

// numbering is the highest number of the packets of a stream. A track that takes the
// place of another has numbers of its own; if they were sent as they are, the peer
// would take every second of such tracks for a repetition of old packets, and SRTP
// would use its key stream twice.
// https://www.rfc-editor.org/rfc/rfc3711#section-9.1
type numbering struct{ last atomic.Uint32 }

// isKnown marks a number that stands for something.
const isKnown = 1 << 16

// sent takes note of a number.
func (n *numbering) sent(number uint16) {
	for {
		last := n.last.Load()
		if last != 0 && int16(number-uint16(last)) <= 0 { //nolint:gosec // what is sent late has a lower one
			return
		}
		if n.last.CompareAndSwap(last, isKnown|uint32(number)) {
			return
		}
	}
}

// number is what a packet's number becomes.
func (w *trackWriter) number(number uint16) uint16 {
	shift := w.shift.Load()
	if shift == 0 { // the track's first
		shift = isKnown
		if last := w.numbers.last.Load(); last != 0 {
			shift |= uint32(uint16(last) + 1 - number) //nolint:gosec // numbers turn over
		}
		w.shift.CompareAndSwap(0, shift)
		shift = w.shift.Load()
	}
	number += uint16(shift) //nolint:gosec // without isKnown
	w.numbers.sent(number)

	return number
}

// Write sends a packet; see TrackLocalWriter.
func (w *trackWriter) Write(b []byte) (int, error) {
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		return 0, refuse("rtpsender write", ErrInvalidArgument, "%w", err)
	}

	return w.WriteRTP(&p.Header, p.Payload)
}

// whenReady calls f once packets can be sent.
func (w *trackWriter) whenReady(f func()) { w.transport.whenReady(f) }
