package webrtc

import (
	"fmt"
	"slices"
	"strings"
)

// The MIME types of the codecs that the default codecs are made of, and of the
// formats that repair them. Letter case does not count when they are compared.
const (
	MimeTypeH264      = "video/H264"
	MimeTypeH265      = "video/H265"
	MimeTypeVP8       = "video/VP8"
	MimeTypeVP9       = "video/VP9"
	MimeTypeAV1       = "video/AV1"
	MimeTypeOpus      = "audio/opus"
	MimeTypeG722      = "audio/G722"
	MimeTypePCMU      = "audio/PCMU"
	MimeTypePCMA      = "audio/PCMA"
	MimeTypeRTX       = "video/rtx"        // retransmissions, RFC 4588
	MimeTypeFlexFEC   = "video/flexfec"    // repair packets, RFC 8627
	MimeTypeFlexFEC03 = "video/flexfec-03" // the draft of it that browsers speak
	MimeTypeUlpFEC    = "video/ulpfec"     // repair packets, RFC 5109
)

// RTPCodecType is the kind of media that a codec carries. In JSON it is a
// number.
type RTPCodecType int

// The kinds of media.
const (
	RTPCodecTypeUnknown RTPCodecType = 0 // not set
	RTPCodecTypeAudio   RTPCodecType = 1
	RTPCodecTypeVideo   RTPCodecType = 2
)

var rtpCodecTypes = names[RTPCodecType]{"RTPCodecType", []string{
	RTPCodecTypeAudio: "audio",
	RTPCodecTypeVideo: "video",
}}

// NewRTPCodecType returns the kind that raw names in whatever letter case, or
// RTPCodecTypeUnknown.
func NewRTPCodecType(raw string) RTPCodecType { return rtpCodecTypes.value(strings.ToLower(raw)) }

// String returns "audio" or "video", or "unknown".
func (t RTPCodecType) String() string { return rtpCodecTypes.text(t) }

// The types of feedback. https://www.rfc-editor.org/rfc/rfc4585#section-4.2
const (
	TypeRTCPFBTransportCC = "transport-cc" // reports on every packet of the transport
	TypeRTCPFBGoogREMB    = "goog-remb"    // the receiver's estimate of the bandwidth
	TypeRTCPFBACK         = "ack"          // what has come
	TypeRTCPFBCCM         = "ccm"          // control of the codec, RFC 5104
	TypeRTCPFBNACK        = "nack"         // what is missing
)

// RTCPFeedback is one kind of feedback that the receiver of a codec may give.
type RTCPFeedback struct {
	// Type is one of the types above, or another that both sides know.
	Type string
	// Parameter narrows it down, as "pli" does "nack". It may be empty.
	Parameter string
}

// is tells whether f and other are the same kind of feedback.
func (f RTCPFeedback) is(other RTCPFeedback) bool {
	return strings.EqualFold(f.Type, other.Type) && strings.EqualFold(f.Parameter, other.Parameter)
}

func (f RTCPFeedback) validate() error {
	if !isToken(f.Type) || !isLine(f.Parameter) {
		return fmt.Errorf("%w: RTCP feedback %q %q", ErrInvalidArgument, clip(f.Type), clip(f.Parameter))
	}

	return nil
}

// RTPCodecCapability is a codec and how it is used.
// https://www.w3.org/TR/webrtc/#dom-rtcrtpcodec
type RTPCodecCapability struct {
	// MimeType is the kind of media, a slash, and the name of the codec.
	MimeType string
	// ClockRate is how many units of the RTP timestamp a second has.
	ClockRate uint32
	// Channels is the number of audio channels. Zero is one, and two for Opus.
	Channels uint16
	// SDPFmtpLine are the parameters of the codec as in SDP, "a=1;b=2".
	SDPFmtpLine string
	// RTCPFeedback is what a receiver may send.
	RTCPFeedback []RTCPFeedback
}

// RTPCodecParameters is a codec with the payload type that stands for it.
// https://www.w3.org/TR/webrtc/#dom-rtcrtpcodecparameters
type RTPCodecParameters struct {
	RTPCodecCapability
	// PayloadType is 0 to 127.
	PayloadType PayloadType
}

// RTPHeaderExtensionCapability is a header extension that can be used.
// https://www.rfc-editor.org/rfc/rfc8285
type RTPHeaderExtensionCapability struct {
	// URI names the extension.
	URI string
}

// RTPHeaderExtensionParameter is a header extension with the id that stands
// for it in packets.
// https://www.w3.org/TR/webrtc/#dom-rtcrtpheaderextensionparameters
type RTPHeaderExtensionParameter struct {
	// URI names the extension.
	URI string
	// ID is 1 to 14, or 16 to 255 where both sides take two-byte headers.
	ID int
}

// RTPCapabilities are the codecs and extensions that can be used.
// https://www.w3.org/TR/webrtc/#dom-rtcrtpcapabilities
type RTPCapabilities struct {
	Codecs           []RTPCodecCapability
	HeaderExtensions []RTPHeaderExtensionCapability
}

// maxPayloadType is the largest number that the seven bits of the RTP header
// hold. https://www.rfc-editor.org/rfc/rfc3550#section-5.1
const maxPayloadType = 127

func (t PayloadType) validate() error {
	if t > maxPayloadType {
		return fmt.Errorf("%w: payload type %d is above %d", ErrInvalidArgument, uint8(t), maxPayloadType)
	}

	return nil
}

// is tells whether the codec is called mimeType.
func (c RTPCodecCapability) is(mimeType string) bool { return strings.EqualFold(c.MimeType, mimeType) }

// kind is what the MIME type says, RTPCodecTypeUnknown if it says neither.
func (c RTPCodecCapability) kind() RTPCodecType {
	kind, name, found := strings.Cut(c.MimeType, "/")
	if !found || name == "" {
		return RTPCodecTypeUnknown
	}

	return NewRTPCodecType(kind)
}

// name is the MIME type without the kind of media, as a=rtpmap has it.
func (c RTPCodecCapability) name() string {
	_, name, _ := strings.Cut(c.MimeType, "/")

	return name
}

// auxiliary tells whether the codec is of use only beside another one, because
// it repairs or wraps that one's packets, or fills its pauses: alone it is
// nothing that a track could be sent with.
func (c RTPCodecCapability) auxiliary() bool {
	switch strings.ToLower(c.name()) {
	case "rtx", "red", "ulpfec", "cn", "telephone-event":
		return true
	default:
		return c.flexFEC()
	}
}

// rtx tells whether the codec is the format of retransmissions.
func (c RTPCodecCapability) rtx() bool { return strings.EqualFold(c.name(), "rtx") }

// flexFEC tells whether the codec is a stream of repair packets, in any of its
// versions.
func (c RTPCodecCapability) flexFEC() bool {
	return strings.HasPrefix(strings.ToLower(c.name()), "flexfec")
}

// clone shares no slice with c.
func (c RTPCodecCapability) clone() RTPCodecCapability {
	c.RTCPFeedback = slices.Clone(c.RTCPFeedback)

	return c
}

// clone shares no slice with p.
func (p RTPCodecParameters) clone() RTPCodecParameters {
	p.RTPCodecCapability = p.RTPCodecCapability.clone()

	return p
}

// cloneCodecs shares nothing with codecs.
func cloneCodecs(codecs []RTPCodecParameters) []RTPCodecParameters {
	out := make([]RTPCodecParameters, len(codecs))
	for i, c := range codecs {
		out[i] = c.clone()
	}

	return out
}

// validate looks at a codec that packets are to be sent or read with. What is
// in it becomes lines of SDP: a line break would begin another one.
func (c RTPCodecCapability) validate(kind RTPCodecType) error {
	switch {
	case !rtpCodecTypes.has(kind):
		return fmt.Errorf("%w: kind of media %d: %w", ErrInvalidArgument, int(kind), ErrUnknownType)
	case c.kind() != kind:
		return fmt.Errorf("%w: %q is no MIME type of %s", ErrInvalidArgument, clip(c.MimeType), kind)
	case !isToken(c.name()):
		return fmt.Errorf("%w: the name of the codec %q is no token", ErrInvalidArgument, clip(c.MimeType))
	case c.ClockRate == 0:
		return fmt.Errorf("%w: %s has no clock rate", ErrInvalidArgument, clip(c.MimeType))
	case !isLine(c.SDPFmtpLine):
		return fmt.Errorf("%w: the parameters %q are more than one line", ErrInvalidArgument, clip(c.SDPFmtpLine))
	}
	for _, f := range c.RTCPFeedback {
		if err := f.validate(); err != nil {
			return err
		}
	}

	return nil
}

func (p RTPCodecParameters) validate(kind RTPCodecType) error {
	if err := p.PayloadType.validate(); err != nil {
		return err
	}

	return p.RTPCodecCapability.validate(kind)
}

// validateCodecs looks at the codecs of one stream or media section.
func validateCodecs(codecs []RTPCodecParameters, kind RTPCodecType) error {
	seen := map[PayloadType]bool{}
	for _, c := range codecs {
		if err := c.validate(kind); err != nil {
			return err
		}
		if seen[c.PayloadType] {
			return fmt.Errorf("%w: payload type %d stands for two codecs", ErrInvalidArgument, uint8(c.PayloadType))
		}
		seen[c.PayloadType] = true
	}

	return nil
}

// The ids of extensions. An element with id 0 is padding, and 15 ends the
// elements with one-byte headers.
// https://www.rfc-editor.org/rfc/rfc8285#section-4.2
const (
	minExtensionID         = 1
	maxOneByteExtensionID  = 14
	reservedExtensionID    = 15
	maxTwoByteExtensionID  = 255
	maxExtensionURI        = 4096 // bytes; more than any that exists
	maxExtensionParameters = maxTwoByteExtensionID
)

func (p RTPHeaderExtensionParameter) validate() error {
	switch {
	case p.URI == "":
		return fmt.Errorf("%w: header extension without a URI", ErrInvalidArgument)
	case len(p.URI) > maxExtensionURI || strings.ContainsAny(p.URI, " \t\r\n\x00"):
		return fmt.Errorf("%w: %q is no URI of a header extension", ErrInvalidArgument, clip(p.URI))
	case p.ID < minExtensionID || p.ID > maxTwoByteExtensionID || p.ID == reservedExtensionID:
		return fmt.Errorf("%w: header extension id %d", ErrInvalidArgument, p.ID)
	}

	return nil
}

// validateExtensions looks at the extensions of one stream or media section. A
// URI may have several ids, an id only one URI.
func validateExtensions(extensions []RTPHeaderExtensionParameter) error {
	if len(extensions) > maxExtensionParameters {
		return fmt.Errorf("%w: %d header extensions", ErrInvalidArgument, len(extensions))
	}
	seen := map[int]string{}
	for _, e := range extensions {
		if err := e.validate(); err != nil {
			return err
		}
		if uri, ok := seen[e.ID]; ok && uri != e.URI {
			return fmt.Errorf("%w: header extension id %d stands for %q and %q",
				ErrInvalidArgument, e.ID, clip(uri), clip(e.URI))
		}
		seen[e.ID] = e.URI
	}

	return nil
}

// isToken tells whether text is a token of SDP.
// https://www.rfc-editor.org/rfc/rfc8866#section-9
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]`, r)
	})
}

// isLine tells whether text can stand in one line of SDP.
func isLine(text string) bool { return !strings.ContainsAny(text, "\r\n\x00") }
