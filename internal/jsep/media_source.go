package jsep

import (
	"math"
	"strconv"
	"strings"
)

// msid reads a stream of the section.
// https://www.rfc-editor.org/rfc/rfc8830#section-2
func (r *rtpReader) msid(a attribute) error {
	read, err := readMSID(a, a.Value)
	if err != nil {
		return err
	}
	if !addOnce(&r.MSIDs, read, MaxMSIDs) {
		return a.fail(ErrLimit, "more than %d streams", MaxMSIDs)
	}

	return nil
}

// readMSID reads a stream and a track. Which characters they have does not
// matter here: GStreamer's streams have an @, which the grammar does not allow.
func readMSID(a attribute, text string) (MSID, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) > 2 {
		return MSID{}, a.fail(ErrSyntax, "an msid has a stream and a track")
	}
	for _, field := range fields {
		if len(field) > MaxMSID {
			return MSID{}, a.fail(ErrLimit, "%d characters, the most is %d", len(field), MaxMSID)
		}
	}
	read := MSID{StreamID: fields[0]}
	if len(fields) == 2 {
		read.TrackID = fields[1]
	}

	return read, nil
}

// source reads an attribute of an SSRC. libdatachannel names some without any.
// https://www.rfc-editor.org/rfc/rfc5576#section-4.1
func (r *rtpReader) source(a attribute) error {
	text, rest := firstField(a.Value)
	ssrc, err := parseNumber(text, math.MaxUint32)
	if err != nil {
		return a.fail(ErrSyntax, "the SSRC: %w", err)
	}
	s, ok := r.sourceOf(uint32(ssrc))
	if !ok {
		return a.fail(ErrLimit, "more than %d sources", MaxSources)
	}

	key, value, _ := strings.Cut(rest, ":")
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return nil
	case key == "cname":
		return once(a, &s.CName, value)
	case key == keyMSID:
		read, err := readMSID(a, value)
		if err != nil {
			return err
		}
		if s.StreamID != "" && (s.StreamID != read.StreamID || s.TrackID != read.TrackID) {
			return a.fail(ErrContradiction, "%q before this one", clip(s.StreamID+" "+s.TrackID))
		}
		s.StreamID, s.TrackID = read.StreamID, read.TrackID
	}

	return nil
}

// sourceOf finds the source of an SSRC, or adds it if there is room.
func (r *rtpReader) sourceOf(ssrc uint32) (s *Source, ok bool) {
	at, ok := r.sources[ssrc]
	if !ok {
		at = len(r.Sources)
		if at == MaxSources {
			return nil, false
		}
		if r.sources == nil {
			r.sources = make(map[uint32]int)
		}
		r.sources[ssrc] = at
		r.Sources = append(r.Sources, Source{SSRC: ssrc})
	}

	return &r.Sources[at], true
}

// group reads a group of SSRCs. The sources may come later, or not at all.
// https://www.rfc-editor.org/rfc/rfc5576#section-4.2
func (r *rtpReader) group(a attribute) error {
	fields := strings.Fields(a.Value)
	if len(fields) == 0 || !isToken(fields[0]) {
		return a.fail(ErrSyntax, "a group of sources without semantics")
	}
	if len(fields)-1 > MaxSources {
		return a.fail(ErrLimit, "a group of %d sources, the most is %d", len(fields)-1, MaxSources)
	}
	read := SourceGroup{Semantics: fields[0]}
	for _, text := range fields[1:] {
		ssrc, err := parseNumber(text, math.MaxUint32)
		if err != nil {
			return a.fail(ErrSyntax, "an SSRC: %w", err)
		}
		read.SSRCs = append(read.SSRCs, uint32(ssrc))
	}
	if len(read.SSRCs) == 0 {
		return nil
	}

	text := read.text()
	switch {
	case r.groups[text]:
		return nil
	case len(r.Groups) == MaxGroups:
		return a.fail(ErrLimit, "more than %d groups of sources", MaxGroups)
	case r.groups == nil:
		r.groups = make(map[string]bool)
	}
	r.groups[text] = true
	r.Groups = append(r.Groups, read)

	return nil
}

// text is the value of the attribute.
func (g *SourceGroup) text() string {
	text := []byte(g.Semantics)
	for _, ssrc := range g.SSRCs {
		text = strconv.AppendUint(append(text, ' '), uint64(ssrc), 10)
	}

	return string(text)
}
