package oggwriter

import (
	"encoding/binary"
	"fmt"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/ogg"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// All of Opus counts at this rate, in samples a second, in RTP too.
const rate = 48_000

const (
	// preSkip is what decoders need to converge, 80 ms, in samples.
	// https://www.rfc-editor.org/rfc/rfc7845#section-4.2
	preSkip = 3840
	// maxSamples is the longest packet, 120 ms.
	// https://www.rfc-editor.org/rfc/rfc6716#section-3.2.5
	maxSamples = rate * 120 / 1000
	// maxGap is the longest gap that is filled, in samples: a sender who lets the
	// clock jump must not make the file grow without bounds.
	maxGap = 60 * rate
	// A packet is late if it is this much before the last one, at most, in
	// samples and in numbers; one further back is of a sender who has begun anew.
	late      = 10 * rate
	lateCount = 1000
)

// stream is one logical stream.
type stream struct {
	config

	index   uint32    // of the next page
	granule uint64    // samples until now
	held    *ogg.Page // the last page, which may have to be marked as that
	seen    bool
	number  uint16 // of the last packet
	at      uint32 // its timestamp
	next    uint32 // the timestamp at which what was written ends
	toc     byte   // of the last packet
}

func newStream(set config, serial uint32) *stream {
	set.serial = serial

	return &stream{config: set}
}

// pages encodes the pages of a packet.
func (s *stream) pages(packet []byte, flags byte) []byte {
	var raw []byte
	for _, page := range ogg.Split(packet, flags, 0, s.serial, s.index) {
		raw = append(raw, page.Encode()...)
		s.index++
	}

	return raw
}

// head is the page of the OpusHead.
// https://www.rfc-editor.org/rfc/rfc7845#section-5.1
func (s *stream) head() []byte {
	packet := append([]byte("OpusHead"), 1, s.mapping.channels)
	packet = binary.LittleEndian.AppendUint16(packet, preSkip)
	packet = binary.LittleEndian.AppendUint32(packet, s.sampleRate)
	packet = append(packet, 0, 0, s.mapping.family) // no gain
	if s.mapping.family != 0 {
		packet = append(packet, s.mapping.streams, s.mapping.coupled)
		packet = append(packet, s.mapping.table...)
	}

	return s.pages(packet, ogg.Begin)
}

// tags are the pages of the OpusTags.
func (s *stream) tags() []byte {
	text := func(packet []byte, text string) []byte {
		return append(binary.LittleEndian.AppendUint32(packet, uint32(len(text))), text...) // at most maxTags
	}
	packet := text([]byte("OpusTags"), s.config.tags.Vendor)
	packet = binary.LittleEndian.AppendUint32(packet, uint32(len(s.config.tags.UserComments))) // as above
	for _, comment := range s.config.tags.UserComments {
		packet = text(packet, comment.Comment+"="+comment.Value)
	}

	return s.pages(packet, 0)
}

// write adds a packet, and what is missing in front of it.
func (s *stream) write(out *sink.Sink, packet *rtp.Packet) error {
	if len(packet.Payload) == 0 || s.isLate(packet) {
		return nil
	}
	frame, count, err := frames(packet.Payload)
	if err != nil {
		return fmt.Errorf("ogg: packet %d: %w", packet.SequenceNumber, err)
	}
	var raw []byte
	gap := int64(int32(packet.Timestamp - s.next)) // the difference of a clock that wraps
	if !s.seen || gap < 0 || gap > maxGap {
		s.next, gap = packet.Timestamp, 0
	}
	raw = s.conceal(raw, gap)
	raw = s.add(raw, packet.Payload, frame*count)
	s.seen, s.number, s.at, s.toc = true, packet.SequenceNumber, packet.Timestamp, packet.Payload[0]
	if len(raw) == 0 {
		return nil
	}
	if err := out.Write(raw); err != nil {
		return fmt.Errorf("ogg: packet %d: %w", packet.SequenceNumber, err)
	}

	return nil
}

// isLate tells whether later packets have been written.
func (s *stream) isLate(packet *rtp.Packet) bool {
	number := int16(packet.SequenceNumber - s.number) // the difference of a number that wraps
	at := int32(packet.Timestamp - s.at)              // as above

	return s.seen && number < 0 && number > -lateCount && at < 0 && at > -late
}

// conceal fills a gap, in samples, with packets of no bytes but those that give
// their length: in the same mode as the last one, and as many frames in each as
// it can have. What is less than a frame waits for the next gap.
// https://www.rfc-editor.org/rfc/rfc7845#section-4.1
func (s *stream) conceal(raw []byte, gap int64) []byte {
	frame := samplesOfFrame(s.toc)
	for missing := uint32(gap) / frame; missing > 0; { // from 0 to maxGap
		count := min(missing, maxSamples/frame)
		missing -= count
		// Code 0 has one frame, code 3 a number of them, here of one size.
		// https://www.rfc-editor.org/rfc/rfc6716#section-3.2
		packet := []byte{s.toc &^ 3}
		if count > 1 {
			packet = []byte{s.toc | 3, byte(count)}
		}
		raw = s.add(raw, packet, frame*count)
	}

	return raw
}

// add appends the page that has been held back to raw, and holds the packet's
// back instead.
func (s *stream) add(raw, packet []byte, samples uint32) []byte {
	s.granule += uint64(samples)
	s.next += samples
	for _, page := range ogg.Split(packet, 0, s.granule, s.serial, s.index) {
		if s.held != nil {
			raw = append(raw, s.held.Encode()...)
		}
		s.held = page
		s.index++
	}

	return raw
}

// end is the last page; an empty one if there was no sound.
func (s *stream) end() []byte {
	page := s.held
	if page == nil {
		page = &ogg.Page{Granule: s.granule, Serial: s.serial, Index: s.index}
	}
	s.held = nil
	page.Flags |= ogg.End

	return page.Encode()
}

// frames tells the samples of a frame and the number of frames in a packet.
// https://www.rfc-editor.org/rfc/rfc6716#section-3.2
func frames(packet []byte) (frame, count uint32, err error) {
	frame = samplesOfFrame(packet[0])
	switch packet[0] & 3 {
	case 0:
		count = 1
	case 1, 2:
		count = 2
	default:
		if len(packet) < 2 {
			return 0, 0, fmt.Errorf("%w: Opus packet of code 3 without its number of frames", media.ErrMalformed)
		}
		count = uint32(packet[1] & 0x3f)
	}
	if count == 0 || frame*count > maxSamples {
		return 0, 0, fmt.Errorf("%w: Opus packet of %d frames of %d samples", media.ErrMalformed, count, frame)
	}

	return frame, count, nil
}

// samplesOfFrame is the length of a frame by the configuration in the first
// byte. https://www.rfc-editor.org/rfc/rfc6716#section-3.1
func samplesOfFrame(toc byte) uint32 {
	const ms = rate / 1000
	switch size := toc >> 3 & 3; {
	case toc < 12<<3: // SILK
		return [...]uint32{10 * ms, 20 * ms, 40 * ms, 60 * ms}[size]
	case toc < 16<<3: // hybrid
		return [...]uint32{10 * ms, 20 * ms}[size&1]
	default: // CELT
		return [...]uint32{5 * ms / 2, 5 * ms, 10 * ms, 20 * ms}[size]
	}
}
