package webrtc

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// SCTPCapabilities are what one side's association can take.
type SCTPCapabilities struct {
	// MaxMessageSize is the longest message in bytes. If zero, the side has
	// not said, and 65,536 holds; math.MaxUint32 is no limit.
	//
	// In JSON, as in SDP, a side that says nothing leaves the field out, and
	// 0 is no limit: what is 0 here is absent there, and math.MaxUint32 here,
	// or more there, is 0.
	// https://www.rfc-editor.org/rfc/rfc8841#section-6.1
	MaxMessageSize uint32

	// SCTPInit is the side's INIT chunk in base64, as SDP's sctp-init has it.
	// With those of both sides there is no handshake in SCTP: channels can send
	// at once, instead of after two round trips. Empty if the side does not
	// offer that. A chunk serves one association.
	// https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
	SCTPInit string
}

// sctpCapabilitiesJSON tells a size of 0 from none.
type sctpCapabilitiesJSON struct {
	MaxMessageSize *uint64 `json:"maxMessageSize,omitempty"`
	SCTPInit       string  `json:"sctpInit,omitempty"`
}

// MarshalJSON writes "maxMessageSize" and "sctpInit", each if it is said.
func (c SCTPCapabilities) MarshalJSON() ([]byte, error) {
	out := sctpCapabilitiesJSON{SCTPInit: c.SCTPInit}
	if size := uint64(c.MaxMessageSize); size > 0 {
		if c.MaxMessageSize == math.MaxUint32 {
			size = 0
		}
		out.MaxMessageSize = &size
	}

	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes; what is absent becomes zero.
// The token is not looked at. After an error c is as it was.
func (c *SCTPCapabilities) UnmarshalJSON(data []byte) error {
	const op = "parse SCTPCapabilities"

	var in sctpCapabilitiesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	if c == nil {
		return refuse(op, ErrInvalidArgument, "nil receiver")
	}
	read := SCTPCapabilities{SCTPInit: in.SCTPInit}
	if size := in.MaxMessageSize; size != nil {
		read.MaxMessageSize = math.MaxUint32
		if *size > 0 && *size < math.MaxUint32 {
			read.MaxMessageSize = uint32(*size)
		}
	}
	*c = read

	return nil
}

// validate looks at a peer's capabilities.
func (c SCTPCapabilities) validate() error {
	_, err := c.initChunk()

	return err
}

// initChunk returns the INIT chunk of SCTPInit, nil if there is none.
func (c SCTPCapabilities) initChunk() ([]byte, error) {
	if c.SCTPInit == "" {
		return nil, nil
	}
	chunk, err := base64.StdEncoding.DecodeString(c.SCTPInit)
	if err == nil {
		err = checkInit(chunk)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: SCTPInit: %w", ErrInvalidArgument, err)
	}

	return chunk, nil
}

// The parts of an INIT chunk before its parameters, in bytes.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.2
const (
	initChunkType  = 1
	tlvHeaderLen   = 4 // of a chunk and of a parameter
	initFixedLen   = 16
	initMinWindow  = 1500
	longestPadding = 3
)

// checkInit refuses what is no INIT chunk, or one that an INIT's receiver
// would have to drop. The sctp module, which gets the token instead of a
// packet, takes any numbers, and none of the flags that RFC 9260 reserves.
func checkInit(chunk []byte) error {
	if len(chunk) < tlvHeaderLen+initFixedLen {
		return fmt.Errorf("%d bytes are too few for an INIT chunk", len(chunk))
	}
	length := int(binary.BigEndian.Uint16(chunk[2:]))
	switch {
	case chunk[0] != initChunkType:
		return fmt.Errorf("a chunk of type %d is no INIT", chunk[0])
	case chunk[1] != 0:
		return fmt.Errorf("flags 0x%02x in an INIT chunk", chunk[1])
	case length < tlvHeaderLen+initFixedLen, length > len(chunk), len(chunk)-length > longestPadding:
		return fmt.Errorf("an INIT chunk of length %d in %d bytes", length, len(chunk))
	}
	for _, padding := range chunk[length:] {
		if padding != 0 {
			return errors.New("data after the INIT chunk")
		}
	}
	value := chunk[tlvHeaderLen:length]
	for _, rule := range []struct {
		broken bool
		reason string
	}{
		{binary.BigEndian.Uint32(value) == 0, "the initiate tag is 0"},
		{binary.BigEndian.Uint32(value[4:]) < initMinWindow, "a receive window below 1500 bytes"},
		{binary.BigEndian.Uint16(value[8:]) == 0, "no outbound streams"},
		{binary.BigEndian.Uint16(value[10:]) == 0, "no inbound streams"},
	} {
		if rule.broken {
			return errors.New(rule.reason)
		}
	}

	return checkParameters(value[initFixedLen:])
}

// checkParameters refuses a list of parameters that cannot be cut into pieces.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.2.1
func checkParameters(list []byte) error {
	for len(list) > 0 {
		if len(list) < tlvHeaderLen {
			return errors.New("a parameter of the INIT chunk is cut off")
		}
		length := int(binary.BigEndian.Uint16(list[2:]))
		if length < tlvHeaderLen || length > len(list) {
			return fmt.Errorf("a parameter of length %d in an INIT chunk", length)
		}
		padded := (length + longestPadding) &^ longestPadding
		list = list[min(padded, len(list)):] // the last one's padding may be left out
	}

	return nil
}

// DataChannelParameters are what a DataChannel is made from.
type DataChannelParameters struct {
	// Label is up to 65,535 bytes of any meaning to the program.
	Label string `json:"label"`
	// Protocol is up to 65,535 bytes, the name of what the channel carries.
	Protocol string `json:"protocol"`
	// Negotiated says that both sides make the channel with the same ID, and
	// nothing is announced in band. What comes before our side has made it is
	// refused, so both sides make it before the start, or tell each other.
	Negotiated bool `json:"negotiated"`
	// ID is the stream id, 0 to 65,534. If nil, one is chosen by the DTLS
	// role; a Negotiated channel needs one.
	ID *uint16 `json:"id"`
	// Ordered delivers messages in the order of sending. Its zero value is
	// unordered, where a browser's default is ordered.
	Ordered bool `json:"ordered"`
	// MaxRetransmits is how often a lost message is sent again at most. If
	// nil, there is no limit. Not with MaxPacketLifeTime.
	MaxRetransmits *uint16 `json:"maxRetransmits"`
	// MaxPacketLifeTime is for how many milliseconds a lost message is sent
	// again. If nil, there is no limit. Not with MaxRetransmits.
	MaxPacketLifeTime *uint16 `json:"maxPacketLifeTime"`
	// Priority is the channel's weight beside the others of its association:
	// those that have data to send share what can be sent in proportion to it,
	// in bytes, as far as the two sides have agreed to interleave messages.
	// The peer is told, and can give its own direction the same weight. Any
	// number but 0 is one, not only the four that have names; 0 stands for
	// DataChannelPriorityNormal.
	Priority uint16 `json:"priority,omitempty"`
}

// The priorities of RFC 8831, each twice the one before, and what W3C's
// extension calls them. https://www.rfc-editor.org/rfc/rfc8831#section-6.4
// https://www.w3.org/TR/webrtc-priority/#rtc-priority-type
const (
	DataChannelPriorityBelowNormal uint16 = 128  // "very-low"
	DataChannelPriorityNormal      uint16 = 256  // "low", the default there too
	DataChannelPriorityHigh        uint16 = 512  // "medium"
	DataChannelPriorityExtraHigh   uint16 = 1024 // "high"
)

// weight is the priority as DCEP and the scheduler take it.
// https://www.rfc-editor.org/rfc/rfc8832#section-5.1
func (p DataChannelParameters) weight() uint16 {
	if p.Priority == 0 {
		return DataChannelPriorityNormal
	}

	return p.Priority
}

// validate tells what no association could open. An id in use is
// the transport's to refuse.
// https://www.rfc-editor.org/rfc/rfc8832#section-5.1
func (p DataChannelParameters) validate() error {
	for _, rule := range []struct {
		broken bool
		reason error
	}{
		{len(p.Label) > math.MaxUint16, ErrStringSizeLimit},
		{len(p.Protocol) > math.MaxUint16, ErrProtocolTooLarge},
		{p.MaxPacketLifeTime != nil && p.MaxRetransmits != nil, ErrRetransmitsOrPacketLifeTime},
		{p.Negotiated && p.ID == nil, ErrNegotiatedWithoutID},
		// An association has at most 65,535 streams, numbered from 0.
		{p.ID != nil && *p.ID == math.MaxUint16, ErrMaxDataChannelID},
	} {
		if rule.broken {
			return fmt.Errorf("%w: %w", ErrInvalidArgument, rule.reason)
		}
	}

	return nil
}
