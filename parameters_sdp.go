package webrtc

import (
	"encoding/json"
	"fmt"

	"github.com/pion/sdp/v3"
)

// SessionDescription is an offer or an answer as signaling carries it. Its JSON
// is that of browsers. https://www.w3.org/TR/webrtc/#rtcsessiondescription-class
type SessionDescription struct {
	// Type is what the description is meant as.
	Type SDPType `json:"type"`
	// SDP is the text; empty for a rollback.
	SDP string `json:"sdp"`
}

// Unmarshal parses the text for programs that want to look into it.
func (d *SessionDescription) Unmarshal() (*sdp.SessionDescription, error) {
	const op = "parse SDP"
	if d == nil {
		return nil, refuse(op, ErrInvalidArgument, "nil description")
	}
	parsed := &sdp.SessionDescription{}
	if err := parsed.UnmarshalString(d.SDP); err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return parsed, nil
}

// SDPSyntaxError is a description that cannot be read, with the place.
// https://www.w3.org/TR/webrtc/#dom-rtcerror-sdplinenumber
type SDPSyntaxError struct {
	// Line is the number of the line, from 1; 0 if it is no line's fault.
	Line int
	// Text is the line, or the beginning of a long one.
	Text string
	// Err is what is wrong with it.
	Err error
}

func (e *SDPSyntaxError) Error() string {
	switch {
	case e == nil || e.Err == nil: // not made here
		return "no SDP error"
	case e.Line == 0:
		return fmt.Sprintf("SDP: %v", e.Err)
	}

	return fmt.Sprintf("SDP line %d, %q: %v", e.Line, e.Text, e.Err)
}

// Unwrap returns what is wrong.
func (e *SDPSyntaxError) Unwrap() error {
	if e == nil {
		return nil
	}

	return e.Err
}

// OfferAnswerOptions are what offers and answers have in common.
type OfferAnswerOptions struct {
	// VoiceActivityDetection is kept for media and has no effect yet.
	VoiceActivityDetection bool
	// ICETricklingSupported is kept for pion programs: every description says
	// that candidates may be trickled, since they may.
	ICETricklingSupported bool
}

// OfferOptions are those of CreateOffer.
type OfferOptions struct {
	OfferAnswerOptions

	// ICERestart makes an offer with new ICE credentials, as RestartICE does.
	ICERestart bool
}

// AnswerOptions are those of CreateAnswer.
type AnswerOptions struct {
	OfferAnswerOptions
}

// ICETrickleCapability is whether the peer takes candidates one by one.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-cantrickleicecandidates
type ICETrickleCapability int

// What is known of the peer.
const (
	ICETrickleCapabilityUnknown     ICETrickleCapability = 0 // there is no remote description yet
	ICETrickleCapabilitySupported   ICETrickleCapability = 1 // the peer has said that it does
	ICETrickleCapabilityUnsupported ICETrickleCapability = 2 // the peer has not said so
)

var iceTrickleCapabilities = names[ICETrickleCapability]{"ICETrickleCapability", []string{
	ICETrickleCapabilitySupported:   "supported",
	ICETrickleCapabilityUnsupported: "unsupported",
}}

// String returns "supported", "unsupported" or "unknown".
func (c ICETrickleCapability) String() string { return iceTrickleCapabilities.text(c) }

// BundlePolicy is what to offer a peer that cannot bundle. There is one
// transport whatever it is; a section outside the bundle is rejected.
// https://www.w3.org/TR/webrtc/#rtcbundlepolicy-enum
type BundlePolicy int

// The policies.
const (
	BundlePolicyUnknown   BundlePolicy = 0 // not set, which means balanced
	BundlePolicyBalanced  BundlePolicy = 1 // one transport for each kind of media
	BundlePolicyMaxCompat BundlePolicy = 2 // one transport for each section
	BundlePolicyMaxBundle BundlePolicy = 3 // one transport
)

var bundlePolicies = names[BundlePolicy]{"BundlePolicy", []string{
	BundlePolicyBalanced:  "balanced",
	BundlePolicyMaxCompat: "max-compat",
	BundlePolicyMaxBundle: "max-bundle",
}}

// String returns the W3C's text, or "unknown".
func (p BundlePolicy) String() string { return bundlePolicies.text(p) }

// MarshalJSON returns the text of String.
func (p BundlePolicy) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON takes a text of String; null and "" are not set.
func (p *BundlePolicy) UnmarshalJSON(data []byte) error { return readJSONText(p, data, bundlePolicies) }

// RTCPMuxPolicy is whether RTCP may have a transport of its own. Here it never
// has. https://www.w3.org/TR/webrtc/#rtcrtcpmuxpolicy-enum
type RTCPMuxPolicy int

// The policies.
const (
	RTCPMuxPolicyUnknown   RTCPMuxPolicy = 0 // not set, which means require
	RTCPMuxPolicyNegotiate RTCPMuxPolicy = 1 // a peer without rtcp-mux is refused all the same
	RTCPMuxPolicyRequire   RTCPMuxPolicy = 2 // RTP and RTCP share a transport
)

var rtcpMuxPolicies = names[RTCPMuxPolicy]{"RTCPMuxPolicy", []string{
	RTCPMuxPolicyNegotiate: "negotiate",
	RTCPMuxPolicyRequire:   "require",
}}

// String returns the W3C's text, or "unknown".
func (p RTCPMuxPolicy) String() string { return rtcpMuxPolicies.text(p) }

// MarshalJSON returns the text of String.
func (p RTCPMuxPolicy) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON takes a text of String; null and "" are not set.
func (p *RTCPMuxPolicy) UnmarshalJSON(data []byte) error {
	return readJSONText(p, data, rtcpMuxPolicies)
}

// SDPSemantics is how SDP describes several tracks. Only unified plan, the
// standard, is supported; plan B is refused by NewPeerConnection.
type SDPSemantics int

// The semantics.
const (
	SDPSemanticsUnifiedPlan             SDPSemantics = 0 // a section for each track
	SDPSemanticsPlanB                   SDPSemantics = 1 // a section for each kind of media: not supported
	SDPSemanticsUnifiedPlanWithFallback SDPSemantics = 2 // as unified plan
)

var sdpSemantics = names[SDPSemantics]{"SDPSemantics", []string{
	SDPSemanticsUnifiedPlan:             "unified-plan",
	SDPSemanticsPlanB:                   "plan-b",
	SDPSemanticsUnifiedPlanWithFallback: "unified-plan-with-fallback",
}}

// String returns the text of the semantics, or "unknown".
func (s SDPSemantics) String() string { return sdpSemantics.text(s) }

// MarshalJSON returns the text of String.
func (s SDPSemantics) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON takes a text of String; null and "" are unified plan.
func (s *SDPSemantics) UnmarshalJSON(data []byte) error { return readJSONText(s, data, sdpSemantics) }

// DataChannelInit is how a channel of PeerConnection.CreateDataChannel differs
// from the default: ordered, reliable, announced to the peer, with an id that is
// chosen for it. A nil field is that default.
// https://www.w3.org/TR/webrtc/#dom-rtcdatachannelinit
type DataChannelInit struct {
	// Ordered delivers messages in the order of sending. If nil, true.
	Ordered *bool
	// MaxPacketLifeTime is for how many milliseconds a lost message is sent
	// again. Not with MaxRetransmits.
	MaxPacketLifeTime *uint16
	// MaxRetransmits is how often a lost message is sent again at most. Not
	// with MaxPacketLifeTime.
	MaxRetransmits *uint16
	// Protocol is the name of what the channel carries.
	Protocol *string
	// Negotiated says that both sides make the channel with the same ID.
	Negotiated *bool
	// ID is the stream id, 0 to 65,534. A negotiated channel needs one.
	ID *uint16
	// Priority is the channel's weight; see DataChannelParameters.
	Priority *uint16
}

// parameters are the channel's.
func (i *DataChannelInit) parameters(label string) DataChannelParameters {
	params := DataChannelParameters{Label: label, Ordered: true}
	if i == nil {
		return params
	}
	setIf(&params.Ordered, i.Ordered)
	setIf(&params.Protocol, i.Protocol)
	setIf(&params.Negotiated, i.Negotiated)
	setIf(&params.Priority, i.Priority)
	params.ID, params.MaxPacketLifeTime, params.MaxRetransmits = i.ID, i.MaxPacketLifeTime, i.MaxRetransmits

	return params
}

func setIf[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
