package webrtc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The plain values that signaling carries and settings take. Field names,
// JSON, numbers and texts are pion/webrtc's. Enums that pion's JSON writes as
// numbers (ICEComponent, ICEProtocol, DTLSRole, NetworkType) have no
// MarshalText here either: it would turn them into strings on the wire.

// Why a data channel's parameters were refused; ErrInvalidArgument matches too.
var (
	// ErrStringSizeLimit is a label above 65,535 bytes.
	ErrStringSizeLimit = errors.New("label longer than 65535 bytes")

	// ErrProtocolTooLarge is a protocol above 65,535 bytes.
	ErrProtocolTooLarge = errors.New("protocol longer than 65535 bytes")

	// ErrRetransmitsOrPacketLifeTime is a channel with both limits at once.
	ErrRetransmitsOrPacketLifeTime = errors.New("MaxPacketLifeTime and MaxRetransmits exclude each other")

	// ErrNegotiatedWithoutID is a channel that both sides open by agreement,
	// without the id to agree on.
	ErrNegotiatedWithoutID = errors.New("a negotiated channel needs an ID")

	// ErrMaxDataChannelID is the id 65,535, which no stream can have, or a
	// channel for which no id is left.
	ErrMaxDataChannelID = errors.New("data channel ID out of range")
)

// ICEParameters identify one ICE agent to its peer.
type ICEParameters struct {
	// UsernameFragment is the ufrag: 4 to 256 ice-chars as the RFC has it.
	UsernameFragment string `json:"usernameFragment"`
	// Password is 22 to 256 ice-chars as the RFC has it.
	Password string `json:"password"`
	// ICELite tells that the agent answers checks and sends none.
	ICELite bool `json:"iceLite"`
}

// maxICECredential is the longest ufrag or password, in bytes.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.4
const maxICECredential = 256

// validate looks at a peer's parameters. The lower limits of RFC 8839 protect
// the side that chose the credentials, so short ones are left to it: programs
// with signaling of their own send them. What has to be refused is what the
// checks cannot carry: nothing at all, or a character that breaks the USERNAME
// "ufrag:ufrag".
func (p ICEParameters) validate() error {
	for _, credential := range []struct{ name, value string }{
		{"username fragment", p.UsernameFragment},
		{"password", p.Password},
	} {
		switch n := len(credential.value); {
		case n == 0:
			return fmt.Errorf("%w: the %s is empty", ErrInvalidArgument, credential.name)
		case n > maxICECredential:
			return fmt.Errorf("%w: the %s has %d bytes, the most is %d",
				ErrInvalidArgument, credential.name, n, maxICECredential)
		}
		if strings.ContainsFunc(credential.value, notInCredentials) {
			return fmt.Errorf("%w: the %s has a character that is not allowed", ErrInvalidArgument, credential.name)
		}
	}

	return nil
}

// notInCredentials tells whether a character is refused, in a peer's
// credentials as in our own. "-_=#" are no ice-chars, but come from servers
// that use UUIDs or base64; browsers accept these four as well.
func notInCredentials(r rune) bool { return !isICEChar(r) && !strings.ContainsRune("-_=#", r) }

// isICEChar is the grammar's ice-char.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.1
func isICEChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '+' || r == '/'
}

// ICEComponent tells what an ICE transport carries.
type ICEComponent int

// The components. Data channels use the component of RTP.
const (
	ICEComponentUnknown ICEComponent = 0 // not set
	ICEComponentRTP     ICEComponent = 1 // RTP, multiplexed with RTCP or not, and all else
	ICEComponentRTCP    ICEComponent = 2 // RTCP by itself
)

var iceComponents = names[ICEComponent]{"ICEComponent", []string{
	ICEComponentRTP:  "rtp",
	ICEComponentRTCP: "rtcp",
}}

// String returns "rtp", "rtcp" or "unknown".
func (c ICEComponent) String() string { return iceComponents.text(c) }

// ICEProtocol is the transport protocol of a candidate.
type ICEProtocol int

// The transport protocols.
const (
	ICEProtocolUnknown ICEProtocol = 0 // not set
	ICEProtocolUDP     ICEProtocol = 1
	ICEProtocolTCP     ICEProtocol = 2
)

var iceProtocols = names[ICEProtocol]{"ICEProtocol", []string{
	ICEProtocolUDP: "udp",
	ICEProtocolTCP: "tcp",
}}

// NewICEProtocol returns the protocol that raw names, in any case, or
// ErrUnknownType.
func NewICEProtocol(raw string) (ICEProtocol, error) { return iceProtocols.parse(strings.ToLower(raw)) }

// String returns "udp", "tcp" or "unknown".
func (p ICEProtocol) String() string { return iceProtocols.text(p) }

// ICERole is which side selects the candidate pair.
// https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1
type ICERole int

// The roles. One side controls, the other is controlled.
const (
	ICERoleUnknown     ICERole = 0 // not decided yet
	ICERoleControlling ICERole = 1 // nominates the pair
	ICERoleControlled  ICERole = 2 // follows the nomination
)

var iceRoles = names[ICERole]{"ICERole", []string{
	ICERoleControlling: "controlling",
	ICERoleControlled:  "controlled",
}}

// String returns "controlling", "controlled" or "unknown".
func (r ICERole) String() string { return iceRoles.text(r) }

// MarshalText returns the text of String.
func (r ICERole) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText takes a text of String. On another it returns ErrUnknownType
// and leaves the role as it was.
func (r *ICERole) UnmarshalText(text []byte) error { return iceRoles.read(r, text) }

// ICECandidateType is how a candidate's address was found. The numbers are
// those of ice.CandidateType: either converts to the other.
// https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1
type ICECandidateType int

// The types of candidates.
const (
	ICECandidateTypeUnknown ICECandidateType = 0 // not set
	ICECandidateTypeHost    ICECandidateType = 1 // an address of an interface
	ICECandidateTypeSrflx   ICECandidateType = 2 // as a STUN server saw it
	ICECandidateTypePrflx   ICECandidateType = 3 // as the peer saw it in a check
	ICECandidateTypeRelay   ICECandidateType = 4 // of a TURN server
)

var iceCandidateTypes = names[ICECandidateType]{"ICECandidateType", []string{
	ICECandidateTypeHost:  "host",
	ICECandidateTypeSrflx: "srflx",
	ICECandidateTypePrflx: "prflx",
	ICECandidateTypeRelay: "relay",
}}

// NewICECandidateType returns the type that raw names, or ErrUnknownType.
func NewICECandidateType(raw string) (ICECandidateType, error) { return iceCandidateTypes.parse(raw) }

// String returns the text of candidate lines, or "unknown".
func (t ICECandidateType) String() string { return iceCandidateTypes.text(t) }

// MarshalText returns the text of String.
func (t ICECandidateType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is NewICECandidateType. On an error, also for "unknown", it
// leaves the type as it was.
func (t *ICECandidateType) UnmarshalText(text []byte) error {
	parsed, err := NewICECandidateType(string(text))
	if err != nil {
		return err
	}
	if t == nil {
		return refuse("parse ICECandidateType", ErrInvalidArgument, "nil receiver")
	}
	*t = parsed

	return nil
}

// ICETransportPolicy says which candidates may be used.
type ICETransportPolicy int

// ICEGatherPolicy is ORTC's name for it.
type ICEGatherPolicy = ICETransportPolicy

// The policies.
const (
	ICETransportPolicyAll    ICETransportPolicy = 0 // any candidate
	ICETransportPolicyRelay  ICETransportPolicy = 1 // relayed ones alone: the peer never sees our addresses
	ICETransportPolicyNoHost ICETransportPolicy = 2 // any but host candidates
)

var iceTransportPolicies = names[ICETransportPolicy]{"ICETransportPolicy", []string{
	ICETransportPolicyAll:    "all",
	ICETransportPolicyRelay:  "relay",
	ICETransportPolicyNoHost: "nohost",
}}

// NewICETransportPolicy returns the policy that raw names, and
// ICETransportPolicyAll for any other text.
func NewICETransportPolicy(raw string) ICETransportPolicy { return iceTransportPolicies.value(raw) }

// String returns "all", "relay", "nohost" or "unknown".
func (p ICETransportPolicy) String() string { return iceTransportPolicies.text(p) }

// MarshalJSON returns the text of String.
func (p ICETransportPolicy) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON takes a text of String; null and "" are "all". Any other text
// is ErrUnknownType and leaves the policy as it was: with a misspelt "relay"
// taken for "all" the peer would learn addresses that it must not see.
func (p *ICETransportPolicy) UnmarshalJSON(data []byte) error {
	return readJSONText(p, data, iceTransportPolicies)
}

// ICECredentialType is the kind of an ICEServer's credential.
type ICECredentialType int

// The kinds of credentials.
const (
	ICECredentialTypePassword ICECredentialType = 0 // https://www.rfc-editor.org/rfc/rfc8489#section-9.2
	ICECredentialTypeOauth    ICECredentialType = 1 // https://www.rfc-editor.org/rfc/rfc7635
)

var iceCredentialTypes = names[ICECredentialType]{"ICECredentialType", []string{
	ICECredentialTypePassword: "password",
	ICECredentialTypeOauth:    "oauth",
}}

// String returns "password", "oauth" or "unknown".
func (t ICECredentialType) String() string { return iceCredentialTypes.text(t) }

// MarshalJSON returns the text of String.
func (t ICECredentialType) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON takes a text of String; null and "" are "password". Any other
// text is ErrUnknownType and leaves the type as it was.
func (t *ICECredentialType) UnmarshalJSON(data []byte) error {
	return readJSONText(t, data, iceCredentialTypes)
}

// readJSONText is UnmarshalJSON for enums whose zero value is the default.
func readJSONText[E ~int](to *E, data []byte, n names[E]) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return refuse("parse "+n.of, ErrInvalidArgument, "%w", err)
	}
	if text == "" {
		text = n.text(0)
	}

	return n.read(to, []byte(text))
}

// ICEGatherOptions are what an ICEGatherer is made from.
type ICEGatherOptions struct {
	// ICEServers are the STUN and TURN servers to ask. None is allowed.
	ICEServers []ICEServer
	// ICEGatherPolicy says which candidates to gather.
	ICEGatherPolicy ICEGatherPolicy
	// ICECandidatePoolSize, if above 0, has gathering begin with the gatherer. Its
	// state is new until Gather or GatherContext, and nothing is told before: these
	// release what was found. There is one agent, so that all sizes are alike.
	ICECandidatePoolSize uint8
}

// ICECandidateInit is a candidate as signaling carries it, the W3C's
// RTCIceCandidateInit: a nil pointer is null.
// https://www.w3.org/TR/webrtc/#dom-rtcicecandidateinit
type ICECandidateInit struct {
	// Candidate is the text that ParseICECandidate takes; empty at the end of
	// candidates.
	Candidate string `json:"candidate"`
	// SDPMid is the mid of the media section.
	SDPMid *string `json:"sdpMid"`
	// SDPMLineIndex is the index of the media section, from 0.
	SDPMLineIndex *uint16 `json:"sdpMLineIndex"`
	// UsernameFragment is the ufrag of the agent that gathered it.
	UsernameFragment *string `json:"usernameFragment"`
}

// ICECandidatePair is a local and a remote candidate.
type ICECandidatePair struct {
	// Local is the candidate of this side.
	Local *ICECandidate
	// Remote is the candidate of the peer.
	Remote *ICECandidate
}

// NewICECandidatePair returns the pair of two candidates, of which either may
// be nil.
func NewICECandidatePair(local, remote *ICECandidate) *ICECandidatePair {
	return &ICECandidatePair{Local: local, Remote: remote}
}

// String is for people to read. A nil pair or candidate is "<nil>".
func (p *ICECandidatePair) String() string {
	if p == nil {
		return "<nil>"
	}

	return fmt.Sprintf("(local) %v <-> (remote) %v", p.Local, p.Remote)
}

// DTLSRole is which side sends the ClientHello. In JSON it is a number.
type DTLSRole byte

// The roles. Unknown counts as auto.
const (
	DTLSRoleUnknown DTLSRole = 0 // not set
	DTLSRoleAuto    DTLSRole = 1 // by the ICE role: the controlled side is the client
	DTLSRoleClient  DTLSRole = 2 // sends the ClientHello
	DTLSRoleServer  DTLSRole = 3 // waits for it
)

var dtlsRoles = names[DTLSRole]{"DTLSRole", []string{
	DTLSRoleAuto:   "auto",
	DTLSRoleClient: "client",
	DTLSRoleServer: "server",
}}

// String returns "auto", "client", "server" or "unknown".
func (r DTLSRole) String() string { return dtlsRoles.text(r) }

func (r DTLSRole) validate() error {
	if r != DTLSRoleUnknown && !dtlsRoles.has(r) {
		return fmt.Errorf("%w: there is no DTLS role %d", ErrInvalidArgument, byte(r))
	}

	return nil
}

// DTLSFingerprint is the hash of a certificate.
// https://www.rfc-editor.org/rfc/rfc8122#section-5
type DTLSFingerprint struct {
	// Algorithm is the hash function's name: "sha-256".
	Algorithm string `json:"algorithm"`
	// Value is the hash in hexadecimal, a colon between bytes.
	Value string `json:"value"`
}

// DTLSParameters are the role that one side asks for and the certificates that
// it may use.
type DTLSParameters struct {
	// Role is the role that the side asks for.
	Role DTLSRole `json:"role"`
	// Fingerprints are those of its certificates.
	Fingerprints []DTLSFingerprint `json:"fingerprints"`
}

// validate looks at a peer's parameters. Fingerprints of unknown algorithms
// are no error here: they are skipped when the certificate is checked. A start
// that checks no fingerprints has Role.validate alone.
func (p DTLSParameters) validate() error {
	if err := p.Role.validate(); err != nil {
		return err
	}
	if len(p.Fingerprints) == 0 {
		return fmt.Errorf("%w: no fingerprints", ErrInvalidArgument)
	}
	for i, f := range p.Fingerprints {
		if f.Algorithm == "" || f.Value == "" {
			return fmt.Errorf("%w: fingerprint %d has no algorithm or no value", ErrInvalidArgument, i)
		}
	}

	return nil
}

// DataChannelMessage is a message that a channel received.
type DataChannelMessage struct {
	// IsString tells text from binary.
	IsString bool
	// Data is the message, possibly empty. It is the receiver's to keep.
	Data []byte
}

// NetworkType is a transport protocol and an IP version. The numbers are those
// of ice.NetworkType.
type NetworkType int

// The network types.
const (
	NetworkTypeUnknown NetworkType = 0 // not set
	NetworkTypeUDP4    NetworkType = 1 // UDP over IPv4
	NetworkTypeUDP6    NetworkType = 2 // UDP over IPv6
	NetworkTypeTCP4    NetworkType = 3 // TCP over IPv4
	NetworkTypeTCP6    NetworkType = 4 // TCP over IPv6
)

var networkTypes = names[NetworkType]{"NetworkType", []string{
	NetworkTypeUDP4: "udp4",
	NetworkTypeUDP6: "udp6",
	NetworkTypeTCP4: "tcp4",
	NetworkTypeTCP6: "tcp6",
}}

// NewNetworkType returns the type that raw names, or ErrUnknownType.
func NewNetworkType(raw string) (NetworkType, error) { return networkTypes.parse(raw) }

// String returns "udp4", "udp6", "tcp4", "tcp6" or "unknown".
func (t NetworkType) String() string { return networkTypes.text(t) }

// Protocol returns "udp", "tcp" or "unknown".
func (t NetworkType) Protocol() string {
	return strings.TrimRight(t.String(), "46")
}
