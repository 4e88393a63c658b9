package jsep

import "fmt"

// CheckOffer refuses an offer that does not follow from the last negotiation,
// of which previous are the sections, or on which no transport can be built. It
// is for offers of both sides. Sections that an answer has to reject, as
// Acceptable tells, are no reason.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.8
func CheckOffer(offer *Description, previous []Section) error {
	if len(offer.Sections) < len(previous) {
		return fmt.Errorf("%w: %d, and %d have been negotiated", ErrSections, len(offer.Sections), len(previous))
	}
	for i := range previous {
		// A rejected section may be used for anything.
		// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.2
		if previous[i].Rejected {
			continue
		}
		if err := sameSection(i, &previous[i], &offer.Sections[i]); err != nil {
			return err
		}
	}

	if err := checkExtensions(offer); err != nil {
		return err
	}

	path, mid, _, ok := offer.Path()
	if !ok {
		return nil
	}
	err := path.check()
	if err == nil {
		_, err = AnswerSetup(path.Setup, SetupNone)
	}
	if err != nil {
		return fmt.Errorf("mid %q: %w", mid, err)
	}

	return nil
}

// sameSection tells whether a section has become another.
func sameSection(index int, before, after *Section) error {
	switch {
	case before.MID != after.MID:
		return fmt.Errorf("%w: section %d has the mid %q, and had %q", ErrSections, index, after.MID, before.MID)
	case before.Kind != after.Kind, !after.Rejected && before.IsData() != after.IsData():
		return fmt.Errorf("%w: section %d, mid %q, is %s over %s, and was %s over %s",
			ErrSections, index, after.MID, after.Kind, after.Protocol, before.Kind, before.Protocol)
	default:
		return nil
	}
}

// CheckAnswer refuses an answer that does not answer the offer, or on which no
// transport can be built. It is for answers of both sides.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.8
func CheckAnswer(offer, answer *Description) error {
	// https://www.rfc-editor.org/rfc/rfc3264#section-6
	if len(offer.Sections) != len(answer.Sections) {
		return fmt.Errorf("%w: %d answer %d", ErrSections, len(answer.Sections), len(offer.Sections))
	}
	for _, mid := range answer.Bundle {
		if !offer.Bundled(mid) {
			return fmt.Errorf("%w: mid %q is in the answer's bundle alone", ErrBundle, mid)
		}
	}

	if err := checkExtensions(answer); err != nil {
		return err
	}

	path, tagged, _, ok := answer.Path()
	for i := range answer.Sections {
		s := &answer.Sections[i]
		if err := sameSection(i, &offer.Sections[i], s); err != nil {
			return err
		}
		if s.Rejected {
			continue
		}
		if err := checkAccepted(&offer.Sections[i], s); err != nil {
			return fmt.Errorf("mid %q: %w", s.MID, err)
		}
		// There is one transport, so all else shares it.
		if s.MID != tagged && (!answer.Bundled(s.MID) || !answer.Bundled(tagged)) {
			return fmt.Errorf("%w: mid %q, while the transport is that of mid %q", ErrBundle, s.MID, tagged)
		}
	}
	if !ok {
		return nil
	}

	err := path.check()
	if err == nil {
		offered, _, _, _ := AnsweredPath(offer, answer)
		err = checkSetup(offered.Setup, path.Setup)
	}
	if err != nil {
		return fmt.Errorf("mid %q: %w", tagged, err)
	}

	return nil
}

// checkAccepted looks at a section that is live in the answer.
func checkAccepted(offered, answered *Section) error {
	switch {
	case offered.Rejected:
		return fmt.Errorf("%w: it is accepted", ErrRejected)
	case answered.BundleOnly:
		// https://www.rfc-editor.org/rfc/rfc9143#section-6
		return fmt.Errorf("%w: bundle-only is for offers", ErrBundle)
	case answered.IsData():
		return nil
	default:
		return checkAnsweredMedia(offered, answered)
	}
}

// checkSetup looks at the roles in DTLS. An answer that says none means active.
// https://www.rfc-editor.org/rfc/rfc4145#section-4.1
func checkSetup(offered, answered Setup) error {
	if answered == SetupNone {
		answered = SetupActive
	}
	role, err := AnswerSetup(offered, answered)
	if err == nil && role != answered {
		err = fmt.Errorf("%w: the offer says %v, the answer %v", ErrSetup, offered, answered)
	}

	return err
}
