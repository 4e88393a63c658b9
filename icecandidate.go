package webrtc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/ice/v4"
)

// ICECandidate is an address at which an agent may be reached. Its JSON is an
// object with the fields below; as RTCIceCandidateInit it is ToJSON's.
type ICECandidate struct {
	// Typ is how the address was found.
	Typ ICECandidateType `json:"type"`
	// Protocol is UDP or TCP.
	Protocol ICEProtocol `json:"protocol"`
	// Address is an IP address, or for a host candidate also an mDNS name.
	Address string `json:"address"`
	// Port is the port of Address.
	Port uint16 `json:"port"`
	// Foundation is the same for candidates of one type, base, server and
	// protocol. If empty, it is computed.
	Foundation string `json:"foundation"`
	// Component is 1 to 256: 1 for RTP and data. If zero, 1 is meant.
	Component uint16 `json:"component"`
	// Priority orders the pairs, the highest first. If zero, it is computed.
	Priority uint32 `json:"priority"`
	// TCPType is "active", "passive" or "so"; empty for UDP.
	TCPType string `json:"tcpType"`
	// RelatedAddress and RelatedPort are where the address comes from, the
	// base of a reflexive candidate for one. If empty, there is none.
	RelatedAddress string `json:"relatedAddress"`
	RelatedPort    uint16 `json:"relatedPort"`
	// SDPMid and SDPMLineIndex name the media section.
	SDPMid        string `json:"sdpMid"`
	SDPMLineIndex uint16 `json:"sdpMLineIndex"`

	// extensions are the name-value pairs at the end of the text, tcptype
	// left out, joined by single spaces.
	extensions string
	// statsID is the agent's name for the candidate, empty if no agent made
	// it. The candidate that ToICE makes keeps it.
	statsID string
}

const (
	// maxCandidateText is the longest text that is parsed, in bytes; real ones
	// have 60 to 250.
	maxCandidateText = 4096
	// maxFoundation is the longest foundation, in ice-chars.
	maxFoundation = 32
	// maxComponent is the highest component id.
	maxComponent = 256
)

// ParseICECandidate reads the text of a candidate, with or without "candidate:"
// or "a=candidate:" before it. A text that is malformed is ErrInvalidArgument.
// The text names no media section: SDPMid and SDPMLineIndex stay empty.
//
// Three things outside the grammar are accepted because peers send them: an
// empty foundation, an extension whose value is empty, and white space or a
// line's end at the end.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.1
func ParseICECandidate(text string) (ICECandidate, error) {
	c, err := parseCandidate(text)
	if err != nil {
		return ICECandidate{}, refuse("parse ICE candidate", ErrInvalidArgument, "%w in %q", err, clip(text))
	}

	return c, nil
}

func parseCandidate(text string) (c ICECandidate, err error) {
	if len(text) > maxCandidateText {
		return c, fmt.Errorf("%d bytes, the most is %d", len(text), maxCandidateText)
	}
	text = strings.TrimRight(text, " \t\r\n")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "a="), "candidate:")
	if !isVisible(strings.ReplaceAll(text, " ", "")) {
		return c, errors.New("a character that is not visible ASCII")
	}
	tokens := strings.Split(text, " ")
	if len(tokens) < 8 || tokens[6] != "typ" {
		return c, errors.New("not of the form foundation component protocol priority address port typ type")
	}

	if !isFoundation(tokens[0]) {
		return c, fmt.Errorf("foundation %q", tokens[0])
	}
	// The agent's own spelling of an empty foundation: with an empty string it
	// would compute one.
	if c.Foundation = tokens[0]; c.Foundation == "" {
		c.Foundation = " "
	}
	component, err := number(tokens[1], maxComponent)
	if err != nil || component == 0 {
		return c, fmt.Errorf("component %q", tokens[1])
	}
	priority, err := number(tokens[3], math.MaxUint32)
	if err != nil {
		return c, fmt.Errorf("priority %q", tokens[3])
	}
	port, err := number(tokens[5], math.MaxUint16)
	if err != nil {
		return c, fmt.Errorf("port %q", tokens[5])
	}
	c.Component, c.Priority, c.Port = uint16(component), uint32(priority), uint16(port)
	if c.Protocol, err = NewICEProtocol(tokens[2]); err != nil {
		return c, fmt.Errorf("protocol %q", tokens[2])
	}
	if c.Typ, err = NewICECandidateType(tokens[7]); err != nil {
		return c, fmt.Errorf("type %q", tokens[7])
	}
	c.Address = withoutZone(tokens[4])
	if err = c.parseAttributes(tokens[8:]); err != nil {
		return c, err
	}

	// The agent has to take it too; that checks the address, and computes the
	// priority if there was none.
	agents, err := c.toICE()
	if err != nil {
		return c, err
	}
	c.Priority = agents.Priority()

	return c, nil
}

// parseAttributes reads the name-value pairs that follow the type.
func (c *ICECandidate) parseAttributes(tokens []string) error {
	var extensions []string
	seen := map[string]string{} // of the names that have a field
	for len(tokens) > 0 {
		name, value := tokens[0], ""
		if len(tokens) > 1 {
			value = tokens[1]
		}
		tokens = tokens[min(2, len(tokens)):]
		switch name {
		case "":
			return errors.New("an extension without a name")
		case "raddr", "rport", "tcptype":
			if _, twice := seen[name]; twice {
				return fmt.Errorf("%s twice", name)
			}
			seen[name] = value
		default:
			extensions = append(extensions, name, value)
		}
	}
	c.extensions = strings.TrimRight(strings.Join(extensions, " "), " ")

	if tcptype, ok := seen["tcptype"]; ok {
		if c.TCPType = ice.NewTCPType(tcptype).String(); c.TCPType == "" {
			return fmt.Errorf("tcptype %q", tcptype)
		}
	}
	raddr, hasAddress := seen["raddr"]
	rport, hasPort := seen["rport"]
	if hasAddress != hasPort {
		return errors.New("one of raddr and rport without the other")
	}
	if !hasAddress {
		return nil
	}
	port, err := number(rport, math.MaxUint16)
	if err != nil {
		return fmt.Errorf("rport %q", rport)
	}
	c.RelatedAddress, c.RelatedPort = withoutZone(raddr), uint16(port)
	if c.RelatedAddress == "" {
		return fmt.Errorf("raddr %q", raddr)
	}

	return nil
}

// number reads digits and nothing else: ParseUint alone refuses signs and
// underscores, but takes any length of zeros.
func number(digits string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > most || len(digits) > 10 {
		return 0, strconv.ErrRange
	}

	return n, nil
}

func isFoundation(text string) bool {
	return len(text) <= maxFoundation && !strings.ContainsFunc(text, func(r rune) bool { return !isICEChar(r) })
}

// isVisible is the grammar's VCHAR: what may stand in a token, and so cannot
// end it.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// withoutZone cuts an IPv6 zone off: it means something on its own host alone.
func withoutZone(address string) string {
	address, _, _ = strings.Cut(address, "%")

	return address
}

// String returns the text that ParseICECandidate takes, beginning with
// "candidate:", or says why there is none.
func (c ICECandidate) String() string {
	text, err := c.text()
	if err != nil {
		return "invalid ICE candidate: " + err.Error()
	}

	return text
}

// MarshalText returns the text of String, or ErrInvalidArgument if the
// candidate has none.
func (c ICECandidate) MarshalText() ([]byte, error) {
	text, err := c.text()
	if err != nil {
		return nil, refuse("format ICE candidate", ErrInvalidArgument, "%w", err)
	}

	return []byte(text), nil
}

// UnmarshalText is ParseICECandidate; it keeps SDPMid and SDPMLineIndex. On an
// error the candidate is left as it was.
func (c *ICECandidate) UnmarshalText(text []byte) error {
	if c == nil {
		return refuse("parse ICE candidate", ErrInvalidArgument, "nil receiver")
	}
	parsed, err := ParseICECandidate(string(text))
	if err != nil {
		return err
	}
	parsed.SDPMid, parsed.SDPMLineIndex = c.SDPMid, c.SDPMLineIndex
	*c = parsed

	return nil
}

// candidateFields is an ICECandidate without methods. With it the JSON stays
// the object that it is in pion/webrtc, though there is a MarshalText.
type candidateFields ICECandidate

// MarshalJSON returns the object of the fields.
func (c ICECandidate) MarshalJSON() ([]byte, error) { return json.Marshal(candidateFields(c)) }

// UnmarshalJSON reads the object of the fields. On an error the candidate is
// left as it was.
func (c *ICECandidate) UnmarshalJSON(data []byte) error {
	if c == nil {
		return refuse("parse ICE candidate", ErrInvalidArgument, "nil receiver")
	}
	fields := candidateFields(*c)
	if err := json.Unmarshal(data, &fields); err != nil {
		return refuse("parse ICE candidate", ErrInvalidArgument, "%w", err)
	}
	*c = ICECandidate(fields)

	return nil
}

// ToJSON returns the candidate as signaling carries it. Of a candidate that
// has no text Candidate is "candidate:" alone.
// https://www.w3.org/TR/webrtc/#dom-rtcicecandidate-tojson
func (c ICECandidate) ToJSON() ICECandidateInit {
	text, err := c.text()
	if err != nil {
		text = "candidate:"
	}
	out := ICECandidateInit{Candidate: text, SDPMid: &c.SDPMid, SDPMLineIndex: &c.SDPMLineIndex}
	if ufrag, ok := c.ufrag(); ok && err == nil {
		out.UsernameFragment = &ufrag
	}

	return out
}

// text formats what the agent would take. Fields may come from anywhere, JSON
// included, so each is held to its token: none can bring a space along and
// forge the next.
func (c ICECandidate) text() (string, error) {
	agents, err := c.toICE()
	if err != nil {
		return "", err
	}
	foundation := strings.TrimSpace(agents.Foundation())
	address, related := withoutZone(c.Address), withoutZone(c.RelatedAddress)
	_, notIP := netip.ParseAddr(address)
	switch {
	case address != c.Address && notIP != nil: // a name has no zone
		return "", fmt.Errorf("address %q", clip(c.Address))
	case !isFoundation(foundation):
		return "", fmt.Errorf("foundation %q", clip(foundation))
	case c.Component > maxComponent:
		return "", fmt.Errorf("component %d", c.Component)
	case !isVisible(related):
		return "", fmt.Errorf("related address %q", clip(related))
	}

	var b strings.Builder
	// The protocol is ours: of an mDNS name the agent does not know it yet.
	fmt.Fprintf(&b, "candidate:%s %d %s %d %s %d typ %s", foundation, max(c.Component, 1), c.Protocol,
		agents.Priority(), address, c.Port, c.Typ)
	if related != "" {
		// Also with port 0: browsers hide an address as "0.0.0.0 rport 0".
		fmt.Fprintf(&b, " raddr %s rport %d", related, c.RelatedPort)
	}
	if tcptype := agents.TCPType().String(); tcptype != "" {
		b.WriteString(" tcptype " + tcptype)
	}
	if c.extensions != "" {
		b.WriteString(" " + c.extensions)
	}

	return b.String(), nil
}

// extensionPairs returns name and value by turns.
func (c ICECandidate) extensionPairs() []string {
	if c.extensions == "" {
		return nil
	}
	tokens := strings.Split(c.extensions, " ")
	if len(tokens)%2 == 1 {
		tokens = append(tokens, "") // the last value is empty
	}

	return tokens
}

// ufrag returns the ufrag of the candidate's agent, which is an extension.
func (c ICECandidate) ufrag() (ufrag string, ok bool) {
	for pairs := c.extensionPairs(); len(pairs) > 1; pairs = pairs[2:] {
		if pairs[0] == "ufrag" {
			return pairs[1], true
		}
	}

	return "", false
}

// ToICE returns the agent's form of the candidate. A type, protocol, address
// or TCP type that it does not know is ErrInvalidArgument.
func (c ICECandidate) ToICE() (ice.Candidate, error) {
	agents, err := c.toICE()
	if err != nil {
		return nil, refuse("convert ICE candidate", ErrInvalidArgument, "%w", err)
	}

	return agents, nil
}

func (c ICECandidate) toICE() (ice.Candidate, error) {
	tcpType := ice.NewTCPType(c.TCPType)
	switch {
	case !iceCandidateTypes.has(c.Typ):
		return nil, fmt.Errorf("type %d", int(c.Typ))
	case !iceProtocols.has(c.Protocol):
		return nil, fmt.Errorf("protocol %d", int(c.Protocol))
	case len(c.Address) > math.MaxUint8 || !isVisible(c.Address):
		// The agent takes any ".local" for a name.
		return nil, fmt.Errorf("address %q", clip(c.Address))
	case c.TCPType != "" && tcpType == ice.TCPTypeUnspecified:
		return nil, fmt.Errorf("TCP type %q", clip(c.TCPType))
	}

	// One configuration serves all types; their structs differ little.
	all := ice.CandidateServerReflexiveConfig{
		Network: c.Protocol.String(), Address: c.Address, Port: int(c.Port),
		RelAddr: c.RelatedAddress, RelPort: int(c.RelatedPort),
		Foundation: c.Foundation, Priority: c.Priority, Component: c.Component,
		CandidateID: c.statsID,
	}
	agents, err := newAgentsCandidate(c.Typ, all, tcpType)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", clip(c.Address), err)
	}
	pairs := c.extensionPairs()
	if tcpType != ice.TCPTypeUnspecified {
		// The way to the TCP type of any but a host candidate.
		pairs = append([]string{"tcptype", tcpType.String()}, pairs...)
	}
	for ; len(pairs) > 1; pairs = pairs[2:] {
		if err := agents.AddExtension(ice.CandidateExtension{Key: pairs[0], Value: pairs[1]}); err != nil {
			return nil, err
		}
	}

	return agents, nil
}

func newAgentsCandidate(
	typ ICECandidateType, all ice.CandidateServerReflexiveConfig, tcpType ice.TCPType,
) (ice.Candidate, error) {
	switch typ {
	case ICECandidateTypeHost:
		return nilOnError(ice.NewCandidateHost(&ice.CandidateHostConfig{
			CandidateID: all.CandidateID, TCPType: tcpType,
			Network: all.Network, Address: all.Address, Port: all.Port,
			Foundation: all.Foundation, Priority: all.Priority, Component: all.Component,
		}))
	case ICECandidateTypeSrflx:
		return nilOnError(ice.NewCandidateServerReflexive(&all))
	case ICECandidateTypePrflx:
		reflexive := ice.CandidatePeerReflexiveConfig(all)

		return nilOnError(ice.NewCandidatePeerReflexive(&reflexive))
	case ICECandidateTypeRelay:
		return nilOnError(ice.NewCandidateRelay(&ice.CandidateRelayConfig{
			CandidateID: all.CandidateID, RelAddr: all.RelAddr, RelPort: all.RelPort,
			Network: all.Network, Address: all.Address, Port: all.Port,
			Foundation: all.Foundation, Priority: all.Priority, Component: all.Component,
		}))
	case ICECandidateTypeUnknown:
	}

	return nil, ErrUnknownType
}

// nilOnError keeps a nil pointer from becoming an interface that is not nil.
func nilOnError[C ice.Candidate](candidate C, err error) (ice.Candidate, error) {
	if err != nil {
		return nil, err
	}

	return candidate, nil
}

// newICECandidateFromICE returns our form of an agent's candidate.
func newICECandidateFromICE(from ice.Candidate, sdpMid string, sdpMLineIndex uint16) (ICECandidate, error) {
	const op = "convert ICE candidate"
	if from == nil {
		return ICECandidate{}, refuse(op, ErrInvalidArgument, "nil candidate")
	}
	c := ICECandidate{
		Typ: ICECandidateType(from.Type()), Protocol: iceProtocols.value(from.NetworkType().NetworkShort()),
		Foundation: from.Foundation(), Component: from.Component(), Priority: from.Priority(),
		Address: from.Address(), TCPType: from.TCPType().String(),
		SDPMid: sdpMid, SDPMLineIndex: sdpMLineIndex, statsID: from.ID(),
	}
	var related ice.CandidateRelatedAddress
	if r := from.RelatedAddress(); r != nil {
		related = *r
	}
	for _, port := range []int{from.Port(), related.Port} {
		if port < 0 || port > math.MaxUint16 {
			return ICECandidate{}, refuse(op, ErrInvalidArgument, "port %d", port)
		}
	}
	c.Port, c.RelatedAddress, c.RelatedPort = uint16(from.Port()), related.Address, uint16(related.Port)

	var pairs []string
	for _, e := range from.Extensions() {
		if e.Key == "tcptype" { // has a field
			continue
		}
		if e.Key == "" || !isVisible(e.Key+e.Value) {
			return ICECandidate{}, refuse(op, ErrInvalidArgument, "extension %q %q", clip(e.Key), clip(e.Value))
		}
		pairs = append(pairs, e.Key, e.Value)
	}
	c.extensions = strings.TrimRight(strings.Join(pairs, " "), " ")
	if _, err := c.toICE(); err != nil {
		return ICECandidate{}, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return c, nil
}
