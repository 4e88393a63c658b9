package webrtc

import (
	"fmt"
	"slices"
	"strings"
)

// SSRC names one stream of RTP packets within a session.
// https://www.rfc-editor.org/rfc/rfc3550#section-3
type SSRC uint32

// PayloadType is the number that stands for a codec in RTP packets.
// https://www.rfc-editor.org/rfc/rfc3550#section-3
type PayloadType uint8

// RTPParameters are the codecs and header extensions of a stream.
// https://www.w3.org/TR/webrtc/#dom-rtcrtpparameters
type RTPParameters struct {
	HeaderExtensions []RTPHeaderExtensionParameter
	Codecs           []RTPCodecParameters
}

// RTPRtxParameters name the stream that carries the retransmissions of another.
type RTPRtxParameters struct {
	// SSRC is zero if there is no such stream.
	SSRC SSRC `json:"ssrc"`
}

// RTPFecParameters name the stream that carries the repair packets of another.
type RTPFecParameters struct {
	// SSRC is zero if there is no such stream.
	SSRC SSRC `json:"ssrc"`
}

// RTPCodingParameters are one encoding: a stream, with the streams that repair
// it.
type RTPCodingParameters struct {
	// RID names the encoding among several of one track. It may be empty if
	// there is only one.
	RID string `json:"rid"`
	// SSRC is zero if only the RID tells the stream.
	SSRC SSRC `json:"ssrc"`
	// PayloadType is the codec's. Zero may also be one that is not known yet.
	PayloadType PayloadType `json:"payloadType"`
	// RTX is the stream of retransmissions.
	RTX RTPRtxParameters `json:"rtx"`
	// FEC is the stream of repair packets.
	FEC RTPFecParameters `json:"fec"`
}

// RTPDecodingParameters are an encoding that is received.
type RTPDecodingParameters struct {
	RTPCodingParameters
}

// RTPEncodingParameters are an encoding that is sent.
type RTPEncodingParameters struct {
	RTPCodingParameters
}

// RTPSendParameters are what an RTPSender sends.
type RTPSendParameters struct {
	RTPParameters
	Encodings []RTPEncodingParameters
}

// RTPReceiveParameters are what an RTPReceiver receives.
type RTPReceiveParameters struct {
	Encodings []RTPDecodingParameters
}

// RTPTransceiverDirection is which ways the media of a transceiver flow. In
// JSON it is a number. https://www.w3.org/TR/webrtc/#rtcrtptransceiverdirection
type RTPTransceiverDirection int

// The directions, as seen from our side.
const (
	RTPTransceiverDirectionUnknown  RTPTransceiverDirection = 0 // not set
	RTPTransceiverDirectionSendrecv RTPTransceiverDirection = 1 // both ways
	RTPTransceiverDirectionSendonly RTPTransceiverDirection = 2 // from here to the peer
	RTPTransceiverDirectionRecvonly RTPTransceiverDirection = 3 // from the peer to here
	RTPTransceiverDirectionInactive RTPTransceiverDirection = 4 // neither way
)

var rtpTransceiverDirections = names[RTPTransceiverDirection]{"RTPTransceiverDirection", []string{
	RTPTransceiverDirectionSendrecv: "sendrecv",
	RTPTransceiverDirectionSendonly: "sendonly",
	RTPTransceiverDirectionRecvonly: "recvonly",
	RTPTransceiverDirectionInactive: "inactive",
}}

// NewRTPTransceiverDirection returns the direction that raw names, or
// RTPTransceiverDirectionUnknown.
func NewRTPTransceiverDirection(raw string) RTPTransceiverDirection {
	return rtpTransceiverDirections.value(raw)
}

// String returns the text that SDP has, or "unknown".
func (d RTPTransceiverDirection) String() string { return rtpTransceiverDirections.text(d) }

// Revers returns the direction as the peer sees it.
func (d RTPTransceiverDirection) Revers() RTPTransceiverDirection {
	switch d {
	case RTPTransceiverDirectionSendonly:
		return RTPTransceiverDirectionRecvonly
	case RTPTransceiverDirectionRecvonly:
		return RTPTransceiverDirectionSendonly
	default:
		return d
	}
}

// sends tells whether media flow from here to the peer.
func (d RTPTransceiverDirection) sends() bool {
	return d == RTPTransceiverDirectionSendrecv || d == RTPTransceiverDirectionSendonly
}

// receives tells whether media flow from the peer to here.
func (d RTPTransceiverDirection) receives() bool {
	return d == RTPTransceiverDirectionSendrecv || d == RTPTransceiverDirectionRecvonly
}

// directionOf is the direction of that sends and receives as told.
func directionOf(sends, receives bool) RTPTransceiverDirection {
	switch {
	case sends && receives:
		return RTPTransceiverDirectionSendrecv
	case sends:
		return RTPTransceiverDirectionSendonly
	case receives:
		return RTPTransceiverDirectionRecvonly
	default:
		return RTPTransceiverDirectionInactive
	}
}

// intersect is what d and o both let through.
func (d RTPTransceiverDirection) intersect(o RTPTransceiverDirection) RTPTransceiverDirection {
	return directionOf(d.sends() && o.sends(), d.receives() && o.receives())
}

// RTPTransceiverInit is how a new transceiver begins.
// https://www.w3.org/TR/webrtc/#dom-rtcrtptransceiverinit
type RTPTransceiverInit struct {
	Direction     RTPTransceiverDirection
	SendEncodings []RTPEncodingParameters
}

// maxRID is how many bytes an SDES item holds.
// https://www.rfc-editor.org/rfc/rfc8852#section-3
const maxRID = 255

// maxEncodings is how many encodings one track may have. Every one of them is a
// stream with buffers of its own, and a peer can name them.
const maxEncodings = 64

// validateRID looks at the name of an encoding.
// https://www.rfc-editor.org/rfc/rfc8851#section-10
func validateRID(rid string) error {
	switch {
	case rid == "":
		return fmt.Errorf("%w: empty RID", ErrInvalidArgument)
	case len(rid) > maxRID:
		return fmt.Errorf("%w: RID of %d bytes", ErrInvalidArgument, len(rid))
	case strings.ContainsFunc(rid, notOfRID):
		return fmt.Errorf("%w: RID %q", ErrInvalidArgument, clip(rid))
	}

	return nil
}

func notOfRID(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
}

// streams are the SSRCs that the encoding names.
func (p RTPCodingParameters) streams() []SSRC {
	return slices.DeleteFunc([]SSRC{p.SSRC, p.RTX.SSRC, p.FEC.SSRC}, func(s SSRC) bool { return s == 0 })
}

func (p RTPCodingParameters) validate() error {
	if p.RID != "" {
		if err := validateRID(p.RID); err != nil {
			return err
		}
	}
	if p.SSRC == 0 && (p.RTX.SSRC != 0 || p.FEC.SSRC != 0) {
		return fmt.Errorf("%w: streams that repair one without an SSRC", ErrInvalidArgument)
	}

	return p.PayloadType.validate()
}

// validateEncodings looks at the encodings of one track. With several, the RID
// has to tell them apart, and it is all or none that have one. Two that share
// an SSRC could not be told apart on the wire.
func validateEncodings(encodings []RTPCodingParameters) error {
	if len(encodings) > maxEncodings {
		return fmt.Errorf("%w: %d encodings", ErrInvalidArgument, len(encodings))
	}
	rids, ssrcs := map[string]bool{}, map[SSRC]bool{}
	for _, e := range encodings {
		if err := e.validate(); err != nil {
			return err
		}
		if rids[e.RID] {
			return fmt.Errorf("%w: two encodings with the RID %q", ErrInvalidArgument, clip(e.RID))
		}
		if e.RID != "" {
			rids[e.RID] = true
		}
		for _, ssrc := range e.streams() {
			if ssrcs[ssrc] {
				return fmt.Errorf("%w: two streams with the SSRC %d", ErrInvalidArgument, uint32(ssrc))
			}
			ssrcs[ssrc] = true
		}
	}
	if len(rids) > 0 && len(rids) < len(encodings) {
		return fmt.Errorf("%w: an encoding without a RID beside others", ErrInvalidArgument)
	}

	return nil
}

// coding drops what encodings and decodings have around their parameters.
func (p RTPSendParameters) coding() []RTPCodingParameters {
	out := make([]RTPCodingParameters, len(p.Encodings))
	for i, e := range p.Encodings {
		out[i] = e.RTPCodingParameters
	}

	return out
}

// coding drops what encodings and decodings have around their parameters.
func (p RTPReceiveParameters) coding() []RTPCodingParameters {
	out := make([]RTPCodingParameters, len(p.Encodings))
	for i, e := range p.Encodings {
		out[i] = e.RTPCodingParameters
	}

	return out
}

// validate looks at what a program wants to be sent. Every encoding needs an
// SSRC: it goes into the packets.
func (p RTPSendParameters) validate(kind RTPCodecType) error {
	if len(p.Encodings) == 0 {
		return fmt.Errorf("%w: no encodings", ErrInvalidArgument)
	}
	if err := p.RTPParameters.validate(kind); err != nil {
		return err
	}
	for _, e := range p.Encodings {
		if e.SSRC == 0 {
			return fmt.Errorf("%w: an encoding without an SSRC", ErrInvalidArgument)
		}
	}

	return validateEncodings(p.coding())
}

// validate looks at what a program wants to receive. An encoding with neither
// SSRC nor RID is one that no packet could be told to belong to.
func (p RTPReceiveParameters) validate() error {
	if len(p.Encodings) == 0 {
		return fmt.Errorf("%w: no encodings", ErrInvalidArgument)
	}
	for _, e := range p.Encodings {
		if e.SSRC == 0 && e.RID == "" {
			return fmt.Errorf("%w: an encoding with neither SSRC nor RID", ErrInvalidArgument)
		}
	}

	return validateEncodings(p.coding())
}

// validate looks at the codecs and extensions of one stream of that kind.
func (p RTPParameters) validate(kind RTPCodecType) error {
	if err := validateCodecs(p.Codecs, kind); err != nil {
		return err
	}

	return validateExtensions(p.HeaderExtensions)
}

// validate looks at how a transceiver is to begin. No direction is sendrecv,
// and encodings without SSRCs are given some.
func (i RTPTransceiverInit) validate() error {
	if i.Direction != RTPTransceiverDirectionUnknown && !rtpTransceiverDirections.has(i.Direction) {
		return fmt.Errorf("%w: direction %d: %w", ErrInvalidArgument, int(i.Direction), ErrUnknownType)
	}

	return validateEncodings(RTPSendParameters{Encodings: i.SendEncodings}.coding())
}

// The header extensions that name a stream.
// https://www.rfc-editor.org/rfc/rfc9143#section-15.2
// https://www.rfc-editor.org/rfc/rfc8852#section-3
const (
	sdesMID         = "urn:ietf:params:rtp-hdrext:sdes:mid"
	sdesRID         = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
	sdesRepairedRID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
)
