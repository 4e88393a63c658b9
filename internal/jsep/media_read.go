package jsep

import (
	"slices"
	"strings"
	"unicode"
)

// The attributes of media that RTP is made of.
const (
	keyCodec     = "rtpmap"
	keyFmtp      = "fmtp"
	keyFeedback  = "rtcp-fb"
	keyExtension = "extmap"
	keyMSID      = "msid"
	keySource    = "ssrc"
	keyGroup     = "ssrc-group"
	keyRID       = "rid"
	keySimulcast = "simulcast"
)

// RTP reads the attributes of a section of audio or video. A section of another
// kind or protocol, or one that is rejected, says nothing: what stands there is
// for nobody. The errors are of the type *Error, without a line; Parse has
// looked already, so that of what it returned nothing fails.
func (s *Section) RTP() (RTP, error) {
	if !s.isRTP() || s.Rejected {
		return RTP{}, nil
	}
	if err := s.checkFormats(line{kind: 'm', value: s.Kind}); err != nil {
		return RTP{}, err
	}
	var r rtpReader
	for _, a := range s.Attributes {
		if err := r.read(attribute{line{kind: 'a', value: a.Value}, a}); err != nil {
			return RTP{}, unplaced(a, err)
		}
	}

	return r.finish(s), nil
}

// unplaced puts the attribute into an error that has its value alone: to have
// joined the two for each that is good would have been work for nothing.
func unplaced(a Attribute, err error) error {
	if placed, ok := err.(*Error); ok { //nolint:errorlint // line.fail makes no other, and wraps it in none
		placed.Text = "a=" + clip(a.Key+":"+a.Value)
	}

	return err
}

// checkRTP refuses what RTP would, with the line. It returns the number of rids.
func (s *Section) checkRTP(m line, attributes []attribute) (rids int, err error) {
	if err := s.checkFormats(m); err != nil {
		return 0, err
	}
	var r rtpReader
	for _, a := range attributes {
		if err := r.read(a); err != nil {
			return 0, err
		}
	}

	return len(r.RIDs), nil
}

// isRTP tells a section of audio or video over RTP.
func (s *Section) isRTP() bool {
	return (s.Kind == KindAudio || s.Kind == KindVideo) && isMediaProtocol(s.Protocol)
}

// checkFormats looks at the formats, which are payload types.
// https://www.rfc-editor.org/rfc/rfc8866#section-5.14
func (s *Section) checkFormats(m line) error {
	for _, format := range s.Formats {
		if _, err := parseNumber(format, maxPayloadType); err != nil {
			return m.fail(ErrSyntax, "a payload type: %w", err)
		}
	}

	return nil
}

// rtpReader collects the attributes of a section. What stands for a codec may
// come in any order: Firefox sorts its lines. Nothing here looks at what was
// read before in a way that makes many lines slow.
type rtpReader struct {
	RTP // without Codecs

	formats  [maxPayloadType + 1]uint8 // an index in codecs, and 1
	codecs   []readCodec
	feedback []Feedback // that of "*"
	most     int        // the most that one of codecs has of its own

	extensions [maxExtension + 1]uint8 // an index in Extensions, and 1
	sources    map[uint32]int          // an index in Sources
	groups     map[string]bool         // as they are written
	simulcast  string                  // the text of Simulcast
}

// read takes one attribute. Those that it does not know it leaves out.
func (r *rtpReader) read(a attribute) error {
	switch a.Key {
	case keyCodec:
		return r.codec(a)
	case keyFmtp:
		return r.fmtp(a)
	case keyFeedback:
		return r.readFeedback(a)
	case keyExtension:
		return r.extension(a)
	case keyMSID:
		return r.msid(a)
	case keySource:
		return r.source(a)
	case keyGroup:
		return r.group(a)
	case keyRID:
		return r.rid(a)
	case keySimulcast:
		return r.readSimulcast(a)
	default:
		return nil
	}
}

// finish puts the codecs into the order of the formats. A format of which
// nothing says what it is has none.
func (r *rtpReader) finish(s *Section) RTP {
	var listed [maxPayloadType + 1]bool
	for _, format := range s.Formats {
		number, err := parseNumber(format, maxPayloadType)
		if err != nil || listed[number] {
			continue
		}
		listed[number] = true
		if codec, ok := r.codecOf(uint8(number), s.Kind); ok {
			r.Codecs = append(r.Codecs, codec)
		}
	}

	return r.RTP
}

// extensions are those of RTP alone.
func (s *Section) extensions() ([]Extension, error) {
	var r rtpReader
	for _, a := range s.Attributes {
		if a.Key != keyExtension {
			continue
		}
		if err := r.extension(attribute{line{kind: 'a', value: a.Value}, a}); err != nil {
			return nil, unplaced(a, err)
		}
	}

	return r.Extensions, nil
}

// extension reads an identifier of a header extension, and leaves out the
// attributes that may follow the URI.
// https://www.rfc-editor.org/rfc/rfc8285#section-8
func (r *rtpReader) extension(a attribute) error {
	fields := strings.Fields(a.Value)
	if len(fields) < 2 {
		return a.fail(ErrSyntax, "a header extension has a number and a URI")
	}
	text, named, directed := strings.Cut(fields[0], "/")
	number, err := parseNumber(text, maxExtension)
	if err != nil {
		return a.fail(ErrSyntax, "the identifier: %w", err)
	}
	// With one byte, 0 is padding and 15 an end; nobody has to know which of the
	// two forms will be used.
	// https://www.rfc-editor.org/rfc/rfc8285#section-4.2
	if number == 0 || number == reservedExtension {
		return a.fail(ErrSyntax, "%d is no identifier", number)
	}
	extension := Extension{ID: int(number), URI: fields[1]}
	if directed {
		var ok bool
		if extension.Direction, ok = directionNamed(named); !ok {
			return a.fail(ErrSyntax, "%q is no direction", clip(named))
		}
	}

	if at := r.extensions[number]; at > 0 {
		if before := r.Extensions[at-1]; before != extension {
			return a.fail(ErrContradiction, "%q before this one", clip(before.URI))
		}

		return nil
	}
	r.Extensions = append(r.Extensions, extension)
	r.extensions[number] = uint8(len(r.Extensions)) // at most 254: 0 and 15 are none

	return nil
}

const (
	maxExtension      = 255
	reservedExtension = 15
)

// firstField splits a text behind its first field.
func firstField(text string) (field, rest string) {
	text = strings.TrimSpace(text)
	if at := strings.IndexFunc(text, unicode.IsSpace); at >= 0 {
		return text[:at], strings.TrimSpace(text[at:])
	}

	return text, ""
}

// addOnce adds what is not there, and tells whether that is within the limit.
func addOnce[T comparable](list *[]T, value T, most int) bool {
	if slices.Contains(*list, value) {
		return true
	}
	if len(*list) >= most {
		return false
	}
	*list = append(*list, value)

	return true
}
