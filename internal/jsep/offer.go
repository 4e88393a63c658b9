package jsep

import (
	"slices"
	"strconv"
)

// Offer makes an offer. previous are the sections of the last negotiation: they
// stay where they are. A section of theirs goes on while there is a Media with
// its mid, and is rejected without; one that has been rejected is used anew for
// a Media, or data channels, that need a section. Other Media get new sections,
// of the mids that AssignMIDs gives. Data channels, once negotiated, stay,
// whatever data says.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.2
func Offer(local Local, previous []Section, data bool, media []Media) *Description {
	mids := midsOf(previous)
	media = mids.assign(previous, media)
	o := offering{local: &local, previous: previous, sections: append([]Section(nil), previous...)}
	o.keep(media)
	for i := range media {
		m := &media[i]
		if _, ok := indexOf(previous, m.MID); !ok && len(m.Formats) > 0 {
			o.begin(mediaSection(m, m.MID, protocolMedia))
		}
	}
	if data && !slices.ContainsFunc(previous, func(s Section) bool { return s.IsData() && !s.Rejected }) {
		o.begin(local.data(mids.free(), protocolData, []string{formatData}, true))
	}

	return o.finish()
}

// offering is the state of Offer.
type offering struct {
	local    *Local
	previous []Section
	sections []Section
	bundle   []string
	unused   []int // the sections that can be used anew
}

// keep fills in the sections that were there before.
func (o *offering) keep(media []Media) {
	var revived []string
	for i := range o.previous {
		p := &o.previous[i]
		at := slices.IndexFunc(media, func(m Media) bool { return m.MID == p.MID && len(m.Formats) > 0 })
		switch {
		case p.IsData() && !p.Rejected:
			o.sections[i] = o.local.data(p.MID, p.Protocol, p.Formats, true)
		case at >= 0 && isMediaProtocol(p.Protocol):
			o.sections[i] = mediaSection(&media[at], p.MID, p.Protocol)
		case at >= 0:
			o.sections[i] = mediaSection(&media[at], p.MID, protocolMedia)
		default:
			o.sections[i] = rejectedSection(p)
			if p.Rejected {
				o.unused = append(o.unused, i)
			}

			continue
		}
		// What goes on comes first in the bundle, and of that the section whose
		// transport is in use, so that it does not change.
		// https://www.rfc-editor.org/rfc/rfc9143#section-7.5
		switch {
		case p.Rejected:
			revived = append(revived, p.MID)
		case p.MID == o.local.Tagged:
			o.bundle = slices.Insert(o.bundle, 0, p.MID)
		default:
			o.bundle = append(o.bundle, p.MID)
		}
	}
	o.bundle = append(o.bundle, revived...)
}

// begin adds a section, in the place of a rejected one if there is one.
func (o *offering) begin(s Section) {
	if len(o.unused) > 0 {
		o.sections[o.unused[0]] = s
		o.unused = o.unused[1:]
	} else {
		o.sections = append(o.sections, s)
	}
	o.bundle = append(o.bundle, s.MID)
}

// finish gives the live sections their transport.
func (o *offering) finish() *Description {
	for i := range o.sections {
		if s := &o.sections[i]; !s.Rejected {
			// Offers leave the role to the answer.
			// https://www.rfc-editor.org/rfc/rfc8842#section-5.2
			s.Transport = o.local.transport(SetupActPass, s.MID == o.bundle[0])
		}
	}

	return &Description{
		SessionID: o.local.SessionID, Version: o.local.Version, Lite: o.local.Lite,
		Bundle: o.bundle, Sections: o.sections,
	}
}

// AssignMIDs returns the Media with the mids that Offer would give them: the
// smallest numbers that are free to those that have none, or have one that
// belongs to another Media or to a section of another kind.
func AssignMIDs(previous []Section, media []Media) []Media {
	mids := midsOf(previous)

	return mids.assign(previous, media)
}

// mids are the names in use, now or before. The next free number is not below
// next.
type mids struct {
	used map[string]bool
	next int
}

func midsOf(sections []Section) *mids {
	m := &mids{used: make(map[string]bool, len(sections))}
	for i := range sections {
		m.used[sections[i].MID] = true
	}

	return m
}

// assign returns the Media with mids.
func (m *mids) assign(previous []Section, media []Media) []Media {
	media = slices.Clone(media)
	taken := make(map[string]bool, len(media))
	for i := range media {
		mid := media[i].MID
		at, ok := indexOf(previous, mid)
		if mid == "" || taken[mid] || ok && (previous[at].IsData() || previous[at].Kind != media[i].Kind) {
			media[i].MID = ""

			continue
		}
		taken[mid], m.used[mid] = true, true
	}
	for i := range media {
		if media[i].MID == "" {
			media[i].MID = m.free()
		}
	}

	return media
}

// free returns the smallest number that is not in use, and takes it.
func (m *mids) free() string {
	for {
		mid := strconv.Itoa(m.next)
		m.next++
		if !m.used[mid] {
			m.used[mid] = true

			return mid
		}
	}
}

// indexOf finds a section by its mid.
func indexOf(sections []Section, mid string) (int, bool) {
	at := slices.IndexFunc(sections, func(s Section) bool { return s.MID == mid })

	return at, at >= 0
}
