package dcep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Errors of this package; they come wrapped with what was wrong.
var (
	// ErrNotOpen is a message that is no DATA_CHANNEL_OPEN, or an empty one.
	ErrNotOpen = errors.New("not a DATA_CHANNEL_OPEN message")
	// ErrLength is a message with fewer or more bytes than its fields say.
	ErrLength = errors.New("wrong length of a DATA_CHANNEL_OPEN message")
	// ErrChannelType is a channel type that RFC 8832 does not define.
	ErrChannelType = errors.New("unknown data channel type")
	// ErrTooLong is a label or protocol above 65535 bytes.
	ErrTooLong = errors.New("longer than 65535 bytes")
	// ErrBothLimits is a channel with a limit on retransmissions and one on
	// time.
	ErrBothLimits = errors.New("both maxRetransmits and maxPacketLifeTime")
)

// Message types. https://www.rfc-editor.org/rfc/rfc8832#section-8.2.1
const (
	messageAck  = 0x02
	messageOpen = 0x03
)

// headerSize is the length in bytes of what stands before label and protocol.
const headerSize = 12

// Open is a DATA_CHANNEL_OPEN message.
// https://www.rfc-editor.org/rfc/rfc8832#section-5.1
type Open struct {
	ChannelType ChannelType
	// Priority is the channel's weight; 256 is normal.
	// https://www.rfc-editor.org/rfc/rfc8831#section-6.4
	Priority uint16
	// ReliabilityParameter counts retransmissions or milliseconds, after the
	// channel type; reliable channels ignore it. See [Open.Reliability].
	ReliabilityParameter uint32
	// Label and Protocol are UTF-8 by the RFC, at most 65535 bytes each. They
	// are not checked.
	Label, Protocol string
}

// IsOpen tells whether a message says that it is a DATA_CHANNEL_OPEN. It may be
// a bad one.
func IsOpen(raw []byte) bool { return len(raw) > 0 && raw[0] == messageOpen }

// ParseOpen decodes a DATA_CHANNEL_OPEN message. It keeps no part of raw. The
// errors are ErrNotOpen, ErrLength and ErrChannelType.
func ParseOpen(raw []byte) (Open, error) {
	switch {
	case len(raw) == 0:
		return Open{}, fmt.Errorf("%w: it is empty", ErrNotOpen)
	case raw[0] != messageOpen:
		return Open{}, fmt.Errorf("%w: type 0x%02x", ErrNotOpen, raw[0])
	case len(raw) < headerSize:
		return Open{}, fmt.Errorf("%w: %d bytes, the header has %d", ErrLength, len(raw), headerSize)
	}
	label := int(binary.BigEndian.Uint16(raw[8:]))
	protocol := int(binary.BigEndian.Uint16(raw[10:]))
	if want := headerSize + label + protocol; len(raw) != want {
		return Open{}, fmt.Errorf("%w: %d bytes, its fields say %d", ErrLength, len(raw), want)
	}
	kind := ChannelType(raw[1])
	if !kind.Valid() {
		return Open{}, fmt.Errorf("%w: 0x%02x", ErrChannelType, raw[1])
	}
	text := raw[headerSize:]

	return Open{
		ChannelType:          kind,
		Priority:             binary.BigEndian.Uint16(raw[2:]),
		ReliabilityParameter: binary.BigEndian.Uint32(raw[4:]),
		Label:                string(text[:label]),
		Protocol:             string(text[label:]),
	}, nil
}

// Append appends the encoded message to dst. The errors are ErrChannelType and
// ErrTooLong; dst is returned unchanged with them.
func (o Open) Append(dst []byte) ([]byte, error) {
	if !o.ChannelType.Valid() {
		return dst, fmt.Errorf("%w: 0x%02x", ErrChannelType, byte(o.ChannelType))
	}
	for _, field := range []struct{ name, text string }{{"label", o.Label}, {"protocol", o.Protocol}} {
		if len(field.text) > math.MaxUint16 {
			return dst, fmt.Errorf("%s %w: %d", field.name, ErrTooLong, len(field.text))
		}
	}
	dst = append(dst, messageOpen, byte(o.ChannelType))
	dst = binary.BigEndian.AppendUint16(dst, o.Priority)
	dst = binary.BigEndian.AppendUint32(dst, o.ReliabilityParameter)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.Label)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.Protocol)))
	dst = append(dst, o.Label...)

	return append(dst, o.Protocol...), nil
}

// Marshal encodes the message. See [Open.Append] for the errors.
func (o Open) Marshal() ([]byte, error) {
	raw, err := o.Append(make([]byte, 0, headerSize+len(o.Label)+len(o.Protocol)))
	if err != nil {
		return nil, err
	}

	return raw, nil
}

// IsAck tells whether a message is a DATA_CHANNEL_ACK. The RFC's has one byte;
// some implementations pad it to four, so what follows is not looked at.
// https://www.rfc-editor.org/rfc/rfc8832#section-5.2
func IsAck(raw []byte) bool { return len(raw) > 0 && raw[0] == messageAck }

// Ack is a DATA_CHANNEL_ACK message.
func Ack() []byte { return []byte{messageAck} }
