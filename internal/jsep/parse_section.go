package jsep

import "strings"

// Protocols of data channels, the newest first. The last is that of drafts;
// what follows it on the m= line was the port then.
// https://www.rfc-editor.org/rfc/rfc8841#section-4
const (
	protocolData    = "UDP/DTLS/SCTP"
	protocolDataTCP = "TCP/DTLS/SCTP"
	protocolDataOld = "DTLS/SCTP"
)

// formatData is the format of a section of data channels.
// https://www.rfc-editor.org/rfc/rfc8841#section-4.3
const formatData = "webrtc-datachannel"

// maxPort is the highest port.
const maxPort = 1<<16 - 1

// section reads an m= line and the attributes behind it.
func (p *parser) section(m line, attributes []attribute) error {
	section, err := readMedia(m)
	if err != nil {
		return err
	}
	r := sectionReader{Section: section}
	if err := r.data(m, attributes); err != nil {
		return err
	}
	for _, a := range attributes {
		if err := p.attribute(&r, a); err != nil {
			return err
		}
	}
	if r.bundleOnly && r.Rejected {
		p.boundOnly = append(p.boundOnly, len(p.desc.Sections))
	}

	// What is rejected nobody reads; what is only for a bundle is not rejected.
	if r.isRTP() && (!r.Rejected || r.bundleOnly) {
		rids, err := r.checkRTP(m, attributes)
		if err != nil {
			return err
		}
		if p.rids += rids; p.rids > MaxAllRIDs {
			return m.fail(ErrLimit, "more than %d rids in all sections", MaxAllRIDs)
		}
	}

	r.inherit(&p.level)
	p.desc.Lite = p.desc.Lite || r.lite
	r.Transport = r.transport
	if !r.IsData() {
		r.Direction = r.direction
		r.ExtmapAllowMixed = r.allowMixed
	}
	p.desc.Sections = append(p.desc.Sections, r.Section)

	return nil
}

// readMedia reads an m= line.
// https://www.rfc-editor.org/rfc/rfc8866#section-5.14
func readMedia(m line) (Section, error) {
	// A copy: the fields are kept, and must not keep the whole description.
	fields := strings.Fields(strings.Clone(m.value))
	if len(fields) < 4 {
		return Section{}, m.fail(ErrSyntax, "a section has a kind, a port, a protocol and formats")
	}
	kind, port, protocol, formats := fields[0], fields[1], fields[2], fields[3:]
	if len(formats) > MaxFormats {
		return Section{}, m.fail(ErrLimit, "%d formats, the most is %d", len(formats), MaxFormats)
	}
	port, count, many := strings.Cut(port, "/")
	number, err := parseNumber(port, maxPort)
	if err == nil && many {
		_, err = parseNumber(count, maxPort)
	}
	if err != nil {
		return Section{}, m.fail(ErrSyntax, "the port: %w", err)
	}
	if !isToken(kind) || !isToken(strings.ReplaceAll(protocol, "/", "")) {
		return Section{}, m.fail(ErrSyntax, "kind or protocol is no token")
	}

	for _, format := range formats {
		if !isToken(format) {
			return Section{}, m.fail(ErrSyntax, "the format %q is no token", clip(format))
		}
	}

	return Section{Kind: kind, Protocol: protocol, Formats: formats, Rejected: number == 0}, nil
}

// sectionReader is the state of reading one section.
type sectionReader struct {
	Section
	level
	bundleOnly bool
}

// attribute reads one attribute of a section.
func (p *parser) attribute(r *sectionReader, a attribute) error {
	if known, err := r.read(a); known || err != nil {
		return err
	}
	if r.IsData() {
		if known, err := r.dataAttribute(a); known || err != nil {
			return err
		}
	}

	switch a.Key {
	case "mid":
		return p.mid(r, a)
	case "candidate":
		if a.Value == "" {
			return a.fail(ErrSyntax, "it is empty")
		}
		if len(r.transport.Candidates) == MaxCandidates {
			return a.fail(ErrLimit, "more than %d candidates", MaxCandidates)
		}
		r.transport.Candidates = append(r.transport.Candidates, a.Value)
	case "bundle-only":
		r.bundleOnly = true
	case "rtcp-mux":
		r.RTCPMux = !r.IsData()
	case "rtcp-rsize":
		r.RTCPReducedSize = !r.IsData()
	default:
		if !r.IsData() {
			r.Attributes = append(r.Attributes, a.Attribute)
		}
	}

	return nil
}

// mid reads the name of a section. It is what the bundle lists, and so has no
// spaces.
// https://www.rfc-editor.org/rfc/rfc5888#section-4
func (p *parser) mid(r *sectionReader, a attribute) error {
	mid := strings.TrimSpace(a.Value)
	switch {
	case mid == "" || strings.ContainsFunc(mid, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return a.fail(ErrSyntax, "no name of a section")
	case len(mid) > MaxMID:
		return a.fail(ErrLimit, "%d characters, the most is %d", len(mid), MaxMID)
	case mid == r.MID:
		return nil
	}
	if err := once(a, &r.MID, mid); err != nil {
		return err
	}
	if other, ok := p.lines[mid]; ok {
		return a.fail(ErrContradiction, "line %d has the same mid", other.number)
	}
	p.lines[mid] = a.line

	return nil
}
