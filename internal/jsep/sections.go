package jsep

import (
	"slices"
	"strconv"
	"strings"
)

// protocolMedia is what new sections of media have.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.1.2
const protocolMedia = "UDP/TLS/RTP/SAVPF"

// isMediaProtocol tells the protocols that all mean RTP over DTLS here. JSEP
// wants them taken in any mixture, since offers of older peers have them.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.1.2
func isMediaProtocol(protocol string) bool {
	for _, prefix := range []string{"UDP/TLS/", "TCP/DTLS/", "TCP/TLS/"} {
		if rest, ok := strings.CutPrefix(protocol, prefix); ok {
			protocol = rest

			break
		}
	}
	switch protocol {
	case "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP":
		return true
	default:
		return false
	}
}

// Local is what our side says about itself in a description.
type Local struct {
	SessionID, Version uint64
	Lite               bool
	// Tagged is the mid that Path of the last answer had, empty before. An
	// offer keeps that section first in its bundle while it is live.
	Tagged    string
	Transport Transport // Setup is ignored
	Data      Data      // of the data section, if there is one
}

// Media is a section of audio or video that a side wants. Its texts are written
// as they are: without line ends, and a mid without spaces.
type Media struct {
	// MID is that of the section that it has; empty if it needs one.
	MID  string
	Kind string
	// Formats are the payload types. Without any, it gets no section, or its
	// section is rejected.
	Formats   []string
	Direction Direction
	// Attributes are those that Section has no field for; others are left out.
	Attributes []Attribute
}

// transport returns what a live section says. Candidates stand in the first
// section of the bundle alone, all else is repeated, as browsers do: a peer may
// look for it in any section.
func (l *Local) transport(setup Setup, first bool) Transport {
	t := l.Transport
	t.Setup = setup
	t.Options = slices.Clone(t.Options)
	t.Fingerprints = slices.Clone(t.Fingerprints)
	for i := range t.Fingerprints {
		t.Fingerprints[i].Algorithm = strings.ToLower(t.Fingerprints[i].Algorithm)
	}
	if first {
		t.Candidates = slices.Clone(t.Candidates)
	} else {
		t.Candidates, t.EndOfCandidates = nil, false
	}

	return t
}

// data returns a live section of data channels.
func (l *Local) data(mid, protocol string, formats []string, token bool) Section {
	data := l.Data
	if data.Port == 0 {
		data.Port = portSCTP
	}
	if data.MaxMessageSize != nil {
		size := *data.MaxMessageSize
		data.MaxMessageSize = &size
	}
	if !token {
		data.Init = ""
	}
	if slices.Contains(formats, formatData) {
		formats = []string{formatData}
	} else { // the form of drafts, which has the port there
		formats = []string{strconv.Itoa(int(data.Port))}
	}

	return Section{Kind: KindData, MID: mid, Protocol: protocol, Formats: formats, Data: &data}
}

// mediaSection returns a live section of media.
func mediaSection(m *Media, mid, protocol string) Section {
	attributes := slices.DeleteFunc(slices.Clone(m.Attributes), func(a Attribute) bool { return hasField(a.Key) })
	if len(attributes) == 0 {
		attributes = nil
	}

	return Section{
		Kind: m.Kind, MID: mid, Protocol: protocol, Formats: slices.Clone(m.Formats),
		Direction: m.Direction, RTCPMux: true, RTCPReducedSize: true, ExtmapAllowMixed: true,
		Attributes: attributes,
	}
}

// hasField tells the attributes that Section has fields for.
func hasField(key string) bool {
	switch key {
	case "mid", "candidate", "bundle-only", "rtcp-mux", "rtcp-rsize", "ice-ufrag", "ice-pwd", "ice-options",
		"ice-lite", "fingerprint", "setup", "end-of-candidates", "extmap-allow-mixed":
		return true
	default:
		_, ok := directionNamed(key)

		return ok
	}
}

// rejectedSection returns what stands in place of a section that is not wanted.
// The grammar needs its formats, and the peer its mid.
func rejectedSection(s *Section) Section {
	rejected := Section{
		Kind: s.Kind, MID: s.MID, Rejected: true, Protocol: s.Protocol, Formats: slices.Clone(s.Formats),
		Direction: DirectionInactive,
	}
	if s.IsData() {
		rejected.Direction = DirectionSendRecv
		rejected.Data = new(Data)
		if !slices.Contains(s.Formats, formatData) { // the m= line still says it
			rejected.Data.Port = s.Data.Port
		}
	}
	// In the form of drafts this alone tells what the section was for.
	for _, a := range s.Attributes {
		if a.Key == "sctpmap" && isDataProtocol(s.Protocol) {
			rejected.Attributes = append(rejected.Attributes, a)
		}
	}

	return rejected
}
