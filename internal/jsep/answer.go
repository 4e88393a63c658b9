package jsep

import (
	"fmt"
	"slices"
)

// Answer makes the answer to an offer: for each section one of the same mid and
// kind. Data channels are accepted if data is set, media if there is a Media
// with the mid of the section; what is sent is no more than both sides want. Of
// all this, only what the offer has bundled is accepted, or one section if it
// has bundled nothing: there is one transport. setup is the role in DTLS that
// our side has or prefers.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.3.1
func Answer(local Local, offer *Description, setup Setup, data bool, media []Media) (*Description, error) {
	wanted := make([]*Media, len(offer.Sections))
	for i := range media {
		m := &media[i]
		if m.MID == "" { // It waits for an offer of ours.
			continue
		}
		at, ok := indexOf(offer.Sections, m.MID)
		if !ok || offer.Sections[at].Kind != m.Kind || wanted[at] != nil {
			return nil, fmt.Errorf("%w: mid %q, %s", ErrMedia, m.MID, m.Kind)
		}
		if len(m.Formats) > 0 {
			wanted[at] = m
		}
	}

	accepted := make([]bool, len(offer.Sections))
	for i := range offer.Sections {
		s := &offer.Sections[i]
		accepted[i] = Acceptable(s) == nil && (wanted[i] != nil || data && s.IsData())
	}
	bundle := chooseBundle(offer, accepted)

	answer := &Description{SessionID: local.SessionID, Version: local.Version, Lite: local.Lite, Bundle: bundle}
	answer.Sections = append(answer.Sections, offer.Sections...)
	for i := range offer.Sections {
		switch s := &offer.Sections[i]; {
		case !accepted[i]:
			answer.Sections[i] = rejectedSection(s)
		case s.IsData():
			answer.Sections[i] = local.data(s.MID, s.Protocol, s.Formats, s.Data.Init != "")
		default:
			answer.Sections[i] = answerMedia(wanted[i], s)
		}
	}

	path, tagged, _, ok := AnsweredPath(offer, answer)
	if !ok {
		return answer, nil
	}
	// CheckOffer has looked at the offer's own path, which may be another.
	err := path.check()
	role := SetupNone
	if err == nil {
		role, err = AnswerSetup(path.Setup, setup)
	}
	if err != nil {
		return nil, fmt.Errorf("mid %q: %w", tagged, err)
	}
	for i := range answer.Sections {
		if s := &answer.Sections[i]; accepted[i] {
			s.Transport = local.transport(role, s.MID == tagged)
		}
	}

	return answer, nil
}

// Acceptable tells why a section of an offer cannot be accepted, whatever our
// side wants, or nil.
func Acceptable(s *Section) error {
	switch {
	case s.Rejected:
		return ErrRejected
	case s.IsData():
		return nil
	case !s.isRTP():
		return fmt.Errorf("%w: %s over %s", ErrUnsupported, s.Kind, s.Protocol)
	case !s.RTCPMux:
		// https://www.rfc-editor.org/rfc/rfc9429#section-5.3.1
		return ErrRTCPMux
	default:
		return nil
	}
}

// chooseBundle takes from accepted what cannot have the one transport, and
// returns the bundle of the answer.
// https://www.rfc-editor.org/rfc/rfc9143#section-7.3
func chooseBundle(offer *Description, accepted []bool) []string {
	var bundle []string
	for _, mid := range offer.Bundle {
		if at, ok := indexOf(offer.Sections, mid); ok && accepted[at] {
			bundle = append(bundle, mid)
		}
	}

	first := true
	for i := range accepted {
		if len(bundle) > 0 {
			accepted[i] = accepted[i] && slices.Contains(bundle, offer.Sections[i].MID)
		} else if accepted[i] {
			accepted[i], first = first, false
		}
	}

	return bundle
}

// answerMedia returns a section of media as answer.
func answerMedia(m *Media, offered *Section) Section {
	s := mediaSection(m, offered.MID, offered.Protocol)
	// https://www.rfc-editor.org/rfc/rfc3264#section-6.1
	s.Direction = m.Direction.Within(offered.Direction.Reverse())
	s.RTCPReducedSize = offered.RTCPReducedSize
	s.ExtmapAllowMixed = offered.ExtmapAllowMixed

	return s
}

// AnswerSetup returns the role in DTLS to answer with. If the offer leaves it to
// us it is the preferred one, or active: that side can begin at once.
// https://www.rfc-editor.org/rfc/rfc8842#section-5.3
func AnswerSetup(offered, preferred Setup) (Setup, error) {
	switch offered {
	case SetupActive:
		return SetupPassive, nil
	case SetupPassive:
		return SetupActive, nil
	case SetupNone, SetupActPass:
		if preferred == SetupPassive {
			return SetupPassive, nil
		}

		return SetupActive, nil
	default:
		return SetupNone, fmt.Errorf("%w: the offer says %v", ErrSetup, offered)
	}
}
