package dcep

import (
	"fmt"
	"math"
)

// ChannelType says whether a channel keeps the order of its messages, and what
// ends the retransmission of one.
// https://www.rfc-editor.org/rfc/rfc8832#section-8.2.2
type ChannelType byte

// The channel types of RFC 8832. The top bit means unordered.
const (
	// Reliable retransmits until a message has arrived.
	Reliable          ChannelType = 0x00
	ReliableUnordered ChannelType = 0x80
	// Rexmit gives a message up after a number of retransmissions, the
	// reliability parameter.
	Rexmit          ChannelType = 0x01
	RexmitUnordered ChannelType = 0x81
	// Timed gives a message up after a time, the reliability parameter in
	// milliseconds.
	Timed          ChannelType = 0x02
	TimedUnordered ChannelType = 0x82
)

const unordered = 0x80

// Valid tells whether RFC 8832 defines the type.
func (t ChannelType) Valid() bool { return t&^unordered <= Timed }

// Ordered tells whether messages are delivered in the order of their sending.
func (t ChannelType) Ordered() bool { return t&unordered == 0 }

// String gives the type's name, for logs and errors.
func (t ChannelType) String() string {
	if !t.Valid() {
		return fmt.Sprintf("channel type 0x%02x", byte(t))
	}
	name := [...]string{Reliable: "reliable", Rexmit: "rexmit", Timed: "timed"}[t&^unordered]
	if !t.Ordered() {
		name += "-unordered"
	}

	return name
}

// TypeOf gives the channel type and the reliability parameter for the
// properties of a data channel. At most one of the limits may be set:
// maxRetransmits counts retransmissions, maxPacketLifeTime milliseconds. Both
// give ErrBothLimits.
func TypeOf(ordered bool, maxRetransmits, maxPacketLifeTime *uint16) (ChannelType, uint32, error) {
	var (
		kind      = Reliable
		parameter uint32
	)
	switch {
	case maxRetransmits != nil && maxPacketLifeTime != nil:
		return 0, 0, fmt.Errorf("%w: %d retransmissions and %d ms", ErrBothLimits, *maxRetransmits, *maxPacketLifeTime)
	case maxRetransmits != nil:
		kind, parameter = Rexmit, uint32(*maxRetransmits)
	case maxPacketLifeTime != nil:
		kind, parameter = Timed, uint32(*maxPacketLifeTime)
	}
	if !ordered {
		kind |= unordered
	}

	return kind, parameter, nil
}

// Reliability is the way back from [TypeOf]: whether the channel is ordered,
// and which of the limits it has, in retransmissions or in milliseconds; at
// most one is not nil. The wire has room for 32 bits where the API has 16:
// what is larger becomes 65535.
func (o Open) Reliability() (ordered bool, maxRetransmits, maxPacketLifeTime *uint16) {
	limit := uint16(min(o.ReliabilityParameter, math.MaxUint16))
	kind := o.ChannelType &^ unordered
	if kind == Rexmit {
		maxRetransmits = &limit
	}
	if kind == Timed {
		maxPacketLifeTime = &limit
	}

	return o.ChannelType.Ordered(), maxRetransmits, maxPacketLifeTime
}
