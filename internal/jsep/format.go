package jsep

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

const (
	// portDiscard stands for the ports that the candidates say.
	// https://www.rfc-editor.org/rfc/rfc8840#section-4.1.1
	portDiscard = 9
	// portSCTP is that of an association of data channels.
	// https://www.rfc-editor.org/rfc/rfc8831#section-6.2
	portSCTP = 5000
	// streamsOld is written where drafts had the number of streams; nobody
	// keeps to it.
	streamsOld = "1024"

	anyAddress = "0.0.0.0"
)

// Format writes a description. The same values have the same text.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.1
func (d *Description) Format() string {
	media := func(s *Section) bool { return !s.IsData() && !s.Rejected }
	// Said once if it holds everywhere.
	allMixed := true
	for i := range d.Sections {
		if s := &d.Sections[i]; media(s) && !s.ExtmapAllowMixed {
			allMixed = false
		}
	}
	hasMedia := slices.ContainsFunc(d.Sections, func(s Section) bool { return media(&s) })

	var w writer
	if len(d.Bundle) > 0 {
		// https://www.rfc-editor.org/rfc/rfc9143#section-7
		w.add("group", "BUNDLE "+strings.Join(d.Bundle, " "))
	}
	w.flag(hasMedia && allMixed, "extmap-allow-mixed")
	w.flag(d.Lite, "ice-lite")
	if hasMedia {
		w.add("msid-semantic", "WMS *")
	}

	out := sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: d.SessionID, SessionVersion: d.Version,
			NetworkType: "IN", AddressType: "IP4", UnicastAddress: anyAddress,
		},
		SessionName:       "-",
		TimeDescriptions:  []sdp.TimeDescription{{}},
		Attributes:        w,
		MediaDescriptions: make([]*sdp.MediaDescription, 0, len(d.Sections)),
	}
	for i := range d.Sections {
		s := &d.Sections[i]
		out.MediaDescriptions = append(out.MediaDescriptions, s.format(media(s) && !allMixed))
	}
	text, err := out.Marshal()
	if err != nil {
		return "" // The module has no reason to, and gives none.
	}

	return string(text)
}

// format writes a section, with what it says about header extensions or not.
func (s *Section) format(sayMixed bool) *sdp.MediaDescription {
	port := portDiscard
	if s.Rejected || s.BundleOnly {
		port = 0
	}

	var w writer
	w.transport(&s.Transport)
	w.add("mid", s.MID)
	w.flag(s.BundleOnly, "bundle-only")
	if s.IsData() {
		w.data(s)
	} else {
		w.add(s.Direction.String(), "")
		w.flag(s.RTCPMux, "rtcp-mux")
		w.flag(s.RTCPReducedSize, "rtcp-rsize")
		w.flag(sayMixed && s.ExtmapAllowMixed, "extmap-allow-mixed")
		for _, a := range s.Attributes {
			w.add(a.Key, a.Value)
		}
	}

	return &sdp.MediaDescription{
		MediaName: sdp.MediaName{
			Media: s.Kind, Port: sdp.RangedPort{Value: port}, Protos: []string{s.Protocol}, Formats: s.Formats,
		},
		ConnectionInformation: &sdp.ConnectionInformation{
			NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: anyAddress},
		},
		Attributes: w,
	}
}

// writer collects attributes.
type writer []sdp.Attribute

func (w *writer) add(key, value string) { *w = append(*w, sdp.Attribute{Key: key, Value: value}) }

func (w *writer) flag(set bool, key string) {
	if set {
		w.add(key, "")
	}
}

// transport writes what there is of a transport: nothing for a rejected section.
func (w *writer) transport(t *Transport) {
	for _, candidate := range t.Candidates {
		w.add("candidate", candidate)
	}
	w.flag(t.EndOfCandidates, "end-of-candidates")
	if t.UsernameFragment != "" {
		w.add("ice-ufrag", t.UsernameFragment)
	}
	if t.Password != "" {
		w.add("ice-pwd", t.Password)
	}
	options := t.Options
	if t.Trickle {
		options = append([]string{"trickle"}, options...)
	}
	if len(options) > 0 {
		w.add("ice-options", strings.Join(options, " "))
	}
	for _, f := range t.Fingerprints {
		w.add("fingerprint", f.Algorithm+" "+f.Value)
	}
	if t.Setup != SetupNone {
		w.add("setup", t.Setup.String())
	}
}

// data writes what there is of an association. A section that says its port in
// the m= line says what it is for, as drafts had it.
func (w *writer) data(s *Section) {
	port := strconv.Itoa(int(s.Data.Port))
	if s.Data.Port == 0 {
		port = strconv.Itoa(portSCTP)
	}
	inLine := !slices.Contains(s.Formats, formatData)
	if inLine && !s.Rejected {
		w.add("sctpmap", port+" "+formatData+" "+streamsOld)
	}
	said := inLine && len(s.Formats) > 0 && s.Formats[0] == port
	if !said && (!s.Rejected || s.Data.Port != 0) {
		w.add("sctp-port", port)
	}
	if s.Data.MaxMessageSize != nil {
		w.add("max-message-size", strconv.FormatUint(*s.Data.MaxMessageSize, 10))
	}
	if s.Data.Init != "" {
		w.add("sctp-init", s.Data.Init)
	}
}
