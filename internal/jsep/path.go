package jsep

// Path is the transport that the bundle of a description uses, with the mid and
// the index of its section: the tagged one if it is live, else the next of the
// bundle, else the first. A section that is bundled may leave its transport to
// the tagged one.
// https://www.rfc-editor.org/rfc/rfc9143#section-8
func (d *Description) Path() (transport Transport, mid string, index int, ok bool) {
	index = d.pathIndex()
	if index < 0 {
		return Transport{}, "", 0, false
	}

	return d.transportOf(index), d.Sections[index].MID, index, true
}

// AnsweredPath is the transport of the offer for what the answer has accepted:
// that of the section which is tagged in the answer. It is another than the
// offer's own Path if the answer rejects that section.
// https://www.rfc-editor.org/rfc/rfc9143#section-7.3.2
func AnsweredPath(offer, answer *Description) (transport Transport, mid string, index int, ok bool) {
	index = answer.pathIndex()
	if index < 0 || index >= len(offer.Sections) {
		return Transport{}, "", 0, false
	}

	return offer.transportOf(index), offer.Sections[index].MID, index, true
}

// pathIndex finds the section of Path, -1 if there is none.
func (d *Description) pathIndex() int {
	for _, mid := range d.Bundle {
		if at, ok := indexOf(d.Sections, mid); ok && !d.Sections[at].Rejected {
			return at
		}
	}
	for i := range d.Sections {
		if !d.Sections[i].Rejected {
			return i
		}
	}

	return -1
}

// transportOf returns the transport of a section.
func (d *Description) transportOf(index int) Transport {
	s := &d.Sections[index]
	if !s.Transport.hasCredentials() && d.Bundled(s.MID) {
		if tagged, ok := indexOf(d.Sections, d.Bundle[0]); ok {
			return d.Sections[tagged].Transport
		}
	}

	return s.Transport
}

// hasCredentials tells whether checks can be made.
func (t *Transport) hasCredentials() bool { return t.UsernameFragment != "" && t.Password != "" }

// check tells what the path lacks.
func (t *Transport) check() error {
	switch {
	case !t.hasCredentials():
		return ErrNoICECredentials
	case len(t.Fingerprints) == 0:
		return ErrNoFingerprint
	default:
		return nil
	}
}
