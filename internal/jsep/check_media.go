package jsep

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// checkExtensions refuses a bundle in which an identifier of header extensions
// means two things: a packet is told to its section by the extension for the
// mid, which is read before the section is known. Browsers refuse it as well.
// https://www.rfc-editor.org/rfc/rfc9143#section-9.2
func checkExtensions(d *Description) error {
	var uris, mids [maxExtension + 1]string
	for i := range d.Sections {
		s := &d.Sections[i]
		if s.IsData() || Acceptable(s) != nil || !d.Bundled(s.MID) {
			continue
		}
		extensions, err := s.extensions()
		if err != nil {
			return fmt.Errorf("mid %q: %w", s.MID, err)
		}
		for _, e := range extensions {
			if before := uris[e.ID]; before != "" && before != e.URI {
				return fmt.Errorf("%w: header extension %d is %q in mid %q, and %q in mid %q",
					ErrBundle, e.ID, clip(before), mids[e.ID], clip(e.URI), s.MID)
			}
			uris[e.ID], mids[e.ID] = e.URI, s.MID
		}
	}

	return nil
}

// checkAnsweredMedia looks at a section of media that is live in the answer.
func checkAnsweredMedia(offered, answered *Section) error {
	switch {
	case !answered.isRTP():
		return fmt.Errorf("%w: %s over %s", ErrUnsupported, answered.Kind, answered.Protocol)
	case !answered.RTCPMux:
		return ErrRTCPMux
	// https://www.rfc-editor.org/rfc/rfc3264#section-6.1
	case answered.Direction.Within(offered.Direction.Reverse()) != answered.Direction:
		return fmt.Errorf("%w: the offer says %v, the answer %v", ErrDirection, offered.Direction, answered.Direction)
	}
	common, err := haveCommonCodec(offered, answered)
	if err == nil && !common {
		err = fmt.Errorf("%w: the offer has %s, the answer %s", ErrFormats,
			clip(strings.Join(offered.Formats, " ")), clip(strings.Join(answered.Formats, " ")))
	}

	return err
}

// haveCommonCodec tells whether an answer has one codec of the offer at least.
// It may have others: RFC 3264 allows them for a later offer, and other numbers
// for those that were offered. Browsers do neither, and what was not offered is
// not used, so that it does no harm. Without any in common, though, nothing can
// be sent, and the section should have been rejected.
// https://www.rfc-editor.org/rfc/rfc3264#section-6.1
func haveCommonCodec(offered, answered *Section) (bool, error) {
	before, err := offered.RTP()
	if err != nil {
		return false, err
	}
	after, err := answered.RTP()
	if err != nil {
		return false, err
	}

	codecs, formats := make(map[string]bool, len(before.Codecs)), make(map[string]bool, len(offered.Formats))
	for _, format := range offered.Formats {
		formats[format] = true
	}
	for i := range before.Codecs {
		c := &before.Codecs[i]
		codecs[c.key()] = true
		// Where a codec is known it is what counts, not the number.
		delete(formats, strconv.Itoa(int(c.PayloadType)))
	}
	if slices.ContainsFunc(answered.Formats, func(format string) bool { return formats[format] }) {
		return true, nil
	}

	return slices.ContainsFunc(after.Codecs, func(c Codec) bool { return codecs[c.key()] }), nil
}

// key is equal for codecs that are the same.
func (c *Codec) key() string {
	same := Codec{Name: strings.ToLower(c.Name), ClockRate: c.ClockRate, Channels: max(1, c.Channels)}

	return same.text()
}
