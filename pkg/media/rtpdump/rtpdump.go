// Package rtpdump reads and writes files of RTP and RTCP packets as they came,
// in the format of rtpdump and rtpplay.
// https://www.cs.columbia.edu/irt/software/rtptools/#rtpdump
package rtpdump

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/ctxrtc/webrtc/pkg/media"
)

const (
	magic            = "#!rtpplay1.0 "
	headerSize       = 16
	packetHeaderSize = 8
)

// MaxPayload is the longest packet that a file can have, in bytes.
const MaxPayload = math.MaxUint16 - packetHeaderSize

// Header is what a file says of its recording.
type Header struct {
	// Start is its beginning, in microseconds, from 1970 to 2106. A zero Start
	// is written as 1970.
	Start time.Time
	// Source is the IPv4 address that the packets came from or were sent to, and
	// Port its UDP port. A nil Source is written as 0.0.0.0.
	Source net.IP
	Port   uint16
}

// Marshal gives the 16 bytes of the header. A Start or Source that does not fit
// in them is media.ErrInvalidArgument.
func (h Header) Marshal() ([]byte, error) {
	source := net.IPv4zero.To4()
	if h.Source != nil {
		source = h.Source.To4()
	}
	if source == nil {
		return nil, fmt.Errorf("rtpdump: %w: source %s is not IPv4", media.ErrInvalidArgument, h.Source)
	}
	seconds, microseconds := int64(0), 0
	if !h.Start.IsZero() {
		seconds, microseconds = h.Start.Unix(), h.Start.Nanosecond()/1000
	}
	if seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("rtpdump: %w: start %s", media.ErrInvalidArgument, h.Start)
	}
	raw := binary.BigEndian.AppendUint32(nil, uint32(seconds))
	raw = binary.BigEndian.AppendUint32(raw, uint32(microseconds)) // below a million
	raw = append(raw, source...)
	raw = binary.BigEndian.AppendUint16(raw, h.Port)

	return append(raw, 0, 0), nil
}

// Unmarshal reads the 16 bytes of a header. Fewer, and a part of a second that
// is more than one, are media.ErrMalformed, and h is as it was.
func (h *Header) Unmarshal(data []byte) error {
	if h == nil {
		return fmt.Errorf("rtpdump: %w: header is nil", media.ErrInvalidArgument)
	}
	if len(data) < headerSize {
		return fmt.Errorf("rtpdump: %w: header of %d bytes, not %d", media.ErrMalformed, len(data), headerSize)
	}
	microseconds := binary.BigEndian.Uint32(data[4:])
	if microseconds >= 1e6 {
		return fmt.Errorf("rtpdump: %w: header with %d microseconds", media.ErrMalformed, microseconds)
	}
	h.Start = time.Unix(int64(binary.BigEndian.Uint32(data)), int64(microseconds)*1000).UTC()
	h.Source = net.IPv4(data[8], data[9], data[10], data[11])
	h.Port = binary.BigEndian.Uint16(data[12:])

	return nil
}

// Packet is one packet of a file.
type Packet struct {
	// Offset is the time since the Start of the recording, in milliseconds, of
	// up to 49 days.
	Offset time.Duration
	// IsRTCP tells the two apart.
	IsRTCP bool
	// Payload is the packet, with its RTP or RTCP header. A recording can be of
	// headers alone, so that it need not be a whole packet. An RTP packet is not
	// empty, for a length of zero marks RTCP.
	Payload []byte
}

// Marshal gives the packet with the header that it has in a file. An Offset that
// does not fit and an empty RTP packet are media.ErrInvalidArgument, and a
// Payload above MaxPayload is media.ErrTooLarge.
func (p Packet) Marshal() ([]byte, error) {
	offset := p.Offset.Milliseconds()
	switch {
	case offset < 0 || p.Offset < 0 || offset > math.MaxUint32:
		return nil, fmt.Errorf("rtpdump: %w: packet at %s", media.ErrInvalidArgument, p.Offset)
	case len(p.Payload) == 0 && !p.IsRTCP:
		return nil, fmt.Errorf("rtpdump: %w: empty RTP packet", media.ErrInvalidArgument)
	case len(p.Payload) > MaxPayload:
		return nil, fmt.Errorf("rtpdump: %w: packet of %d bytes, at most %d", media.ErrTooLarge, len(p.Payload), MaxPayload)
	}
	length := uint16(len(p.Payload)) // at most MaxPayload
	raw := binary.BigEndian.AppendUint16(nil, length+packetHeaderSize)
	if p.IsRTCP {
		length = 0
	}
	raw = binary.BigEndian.AppendUint16(raw, length)
	raw = binary.BigEndian.AppendUint32(raw, uint32(offset))

	return append(raw, p.Payload...), nil
}

// Unmarshal reads a packet with its header. Fewer bytes than the header says are
// media.ErrMalformed, and p is as it was; more are ignored. The payload is a
// copy.
func (p *Packet) Unmarshal(data []byte) error {
	if p == nil {
		return fmt.Errorf("rtpdump: %w: packet is nil", media.ErrInvalidArgument)
	}
	if len(data) < packetHeaderSize {
		return fmt.Errorf("rtpdump: %w: packet header of %d bytes, not %d", media.ErrMalformed, len(data), packetHeaderSize)
	}
	read, size, err := parseHeader(data)
	if err != nil {
		return fmt.Errorf("rtpdump: %w", err)
	}
	if len(data) < packetHeaderSize+size {
		return fmt.Errorf("rtpdump: %w: %d of %d bytes of a packet", media.ErrMalformed, len(data)-packetHeaderSize, size)
	}
	read.Payload = append([]byte{}, data[packetHeaderSize:packetHeaderSize+size]...)
	*p = read

	return nil
}

// parseHeader reads the header of a packet, and tells the size of its payload.
func parseHeader(data []byte) (Packet, int, error) {
	length := int(binary.BigEndian.Uint16(data))
	if length < packetHeaderSize {
		return Packet{}, 0, fmt.Errorf("%w: packet of %d bytes with its header of %d", media.ErrMalformed, length, packetHeaderSize)
	}

	return Packet{
		Offset: time.Duration(binary.BigEndian.Uint32(data[4:])) * time.Millisecond,
		IsRTCP: binary.BigEndian.Uint16(data[2:]) == 0,
	}, length - packetHeaderSize, nil
}
