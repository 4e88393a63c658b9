package jsep

import (
	"slices"
	"strconv"
	"strings"
)

// Parse reads a description. Its errors are of the type *Error. It takes what
// peers of today and of some years ago send, and what it does not know it
// leaves out; what it knows has to be well-formed.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.8
func Parse(text string) (*Description, error) {
	parts, err := scan(text)
	if err != nil {
		return nil, err
	}
	read, err := readGrammar(parts)
	if err != nil {
		return nil, err
	}

	p := parser{
		desc:  &Description{SessionID: read.Origin.SessionID, Version: read.Origin.SessionVersion},
		lines: make(map[string]line, len(parts)),
	}
	attributes, err := withLines(parts[0], read.Attributes)
	if err != nil {
		return nil, err
	}
	if err := p.session(attributes); err != nil {
		return nil, err
	}
	for i, part := range parts[1:] {
		if attributes, err = withLines(part, read.MediaDescriptions[i].Attributes); err != nil {
			return nil, err
		}
		if err := p.section(part[0], attributes); err != nil {
			return nil, err
		}
	}
	if err := p.finish(parts[1:]); err != nil {
		return nil, err
	}

	return p.desc, nil
}

// parser is the state of Parse.
type parser struct {
	desc  *Description
	level level // the session level, for sections that say nothing themselves

	group     line            // that of the bundle
	lines     map[string]line // the line that says each mid
	boundOnly []int           // the sections of port 0 that say bundle-only
	rids      int             // of all sections
}

// session reads the attributes of the session level.
func (p *parser) session(attributes []attribute) error {
	for _, a := range attributes {
		if a.Key == "group" {
			if err := p.bundle(a); err != nil {
				return err
			}

			continue
		}
		if _, err := p.level.read(a); err != nil {
			return err
		}
	}
	p.desc.Lite = p.level.lite

	return nil
}

// bundle reads a group. Of several bundles the first is used: there is one
// transport for all that is accepted.
// https://www.rfc-editor.org/rfc/rfc5888#section-5
// https://www.rfc-editor.org/rfc/rfc9143#section-7
func (p *parser) bundle(a attribute) error {
	fields := strings.Fields(a.Value)
	if len(fields) == 0 {
		return a.fail(ErrSyntax, "a group without semantics")
	}
	if fields[0] != "BUNDLE" || len(fields) == 1 || p.desc.Bundle != nil {
		return nil
	}
	mids := fields[1:]
	if len(mids) > MaxSections {
		return a.fail(ErrLimit, "a bundle of %d sections, the most is %d", len(mids), MaxSections)
	}
	for i, mid := range mids {
		if slices.Contains(mids[:i], mid) {
			return a.fail(ErrContradiction, "%q is in the bundle twice", clip(mid))
		}
		p.desc.Bundle = append(p.desc.Bundle, strings.Clone(mid))
	}
	p.group = a.line

	return nil
}

// finish looks at the sections together.
func (p *parser) finish(parts [][]line) error {
	sections := p.desc.Sections
	if len(p.lines) == 0 {
		// Peers from before bundles name no section.
		for i := range sections {
			sections[i].MID = strconv.Itoa(i)
			p.lines[sections[i].MID] = parts[i][0]
		}
	}

	for i := range sections {
		if sections[i].MID == "" {
			return parts[i][0].fail(ErrContradiction, "a section without mid beside others that have one")
		}
	}
	for _, mid := range p.desc.Bundle {
		if _, ok := p.lines[mid]; !ok {
			return p.group.fail(ErrContradiction, "no section has the mid %q", clip(mid))
		}
	}
	for _, i := range p.boundOnly {
		// Only within a bundle does bundle-only mean something.
		// https://www.rfc-editor.org/rfc/rfc9143#section-6
		sections[i].BundleOnly = p.desc.Bundled(sections[i].MID)
		sections[i].Rejected = !sections[i].BundleOnly
	}

	data := -1
	for i := range sections {
		switch s := &sections[i]; {
		case s.Rejected:
			s.ExtmapAllowMixed = false
		case s.IsData() && data >= 0:
			// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.1
			return parts[i][0].fail(ErrContradiction, "section %d has the data channels already", data)
		case s.IsData():
			data = i
		}
	}

	return nil
}
