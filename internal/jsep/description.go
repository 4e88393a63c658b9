package jsep

import "slices"

// Description is one session description as values.
type Description struct {
	// SessionID and Version are those of the o= line. Version grows with every
	// description of a session that differs from the one before.
	SessionID, Version uint64
	// Lite tells that the sender is an ICE lite agent.
	// https://www.rfc-editor.org/rfc/rfc8839#section-5.3
	Lite bool
	// Bundle are the mids of the group BUNDLE, the first one the tagged; nil
	// without a group. https://www.rfc-editor.org/rfc/rfc9143#section-7
	Bundle []string
	// Sections are the m= sections in their order.
	Sections []Section
}

// Kinds of sections.
const (
	KindAudio = "audio"
	KindVideo = "video"
	KindData  = "application"
)

// Section is one m= section.
type Section struct {
	// Kind is the media type of the m= line: one of the kinds above, or another.
	Kind string
	// MID names the section.
	MID string
	// Rejected is a section with port 0 that is not only for a bundle.
	Rejected bool
	// BundleOnly is a section with port 0 that exists inside its bundle only.
	BundleOnly bool
	// Protocol and Formats are those of the m= line.
	Protocol string
	Formats  []string
	// Direction of the media; of data it is DirectionSendRecv.
	Direction Direction
	// RTCPMux tells that RTP and RTCP share one port.
	RTCPMux bool
	// RTCPReducedSize tells that RTCP packets need not be compound.
	// https://www.rfc-editor.org/rfc/rfc5506#section-5
	RTCPReducedSize bool
	// ExtmapAllowMixed tells that one- and two-byte header extensions may stand
	// in one RTP stream; false in a rejected section.
	// https://www.rfc-editor.org/rfc/rfc8285#section-6
	ExtmapAllowMixed bool
	// Transport is what the section says about its transport. What stands at
	// the session level counts for every section that says nothing itself.
	Transport Transport
	// Data is what a section of data channels adds, nil of any other.
	Data *Data
	// Attributes are those of media, in their order, which have no field of
	// their own here: rtpmap, fmtp, rtcp-fb, extmap, msid, rid, simulcast, ssrc.
	// RTP reads them.
	Attributes []Attribute
}

// IsData tells a section of data channels over SCTP over DTLS.
func (s *Section) IsData() bool { return s.Data != nil }

// Attribute is one a= line: "key:value", or "key" if Value is empty.
type Attribute struct{ Key, Value string }

// Transport is what one side says about the transport of a section.
type Transport struct {
	UsernameFragment, Password string
	// Trickle tells that more candidates may follow, and may be sent.
	// https://www.rfc-editor.org/rfc/rfc8840#section-4
	Trickle bool
	// Options are the other ice-options.
	Options []string
	// Fingerprints of the certificates, the algorithm in lower case.
	Fingerprints []Fingerprint
	// Setup is which side begins the DTLS handshake.
	Setup Setup
	// Candidates are the texts behind "candidate:". They are not checked here.
	Candidates []string
	// EndOfCandidates tells that no more will come.
	EndOfCandidates bool
}

// Fingerprint is the hash of a certificate.
type Fingerprint struct{ Algorithm, Value string }

// Data is what a section of data channels says about the association.
// https://www.rfc-editor.org/rfc/rfc8841
type Data struct {
	// Port of SCTP. If zero, it was absent; 5000 is written then.
	Port uint16
	// MaxMessageSize in bytes, 0 is no limit; nil is absent, which means 65,536.
	MaxMessageSize *uint64
	// Init is the value of sctp-init, the sender's INIT chunk in base64.
	// https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
	Init string
}

// Direction of the media of a section.
// https://www.rfc-editor.org/rfc/rfc8866#section-6.7
type Direction int

// The directions, as the sender of the description sees them.
const (
	DirectionSendRecv Direction = iota // the default of a section that names none
	DirectionSendOnly
	DirectionRecvOnly
	DirectionInactive
)

// Setup is the role that a side asks for in DTLS.
// https://www.rfc-editor.org/rfc/rfc8842#section-5
type Setup int

// The roles.
const (
	SetupNone    Setup = iota // absent
	SetupActPass              // either; offers have it
	SetupActive               // the client
	SetupPassive              // the server
	SetupHoldConn
)

// Bundled tells whether a section is part of the bundle.
func (d *Description) Bundled(mid string) bool { return slices.Contains(d.Bundle, mid) }
