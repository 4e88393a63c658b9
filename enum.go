package webrtc

import "slices"

// names gives the values of an enum their texts. The index is the value; an
// empty text is a value that has none, which prints as "unknown".
type names[E ~int | ~int32 | ~uint32 | ~uint8] struct {
	of    string // the type's name, for errors
	texts []string
}

func (n names[E]) text(e E) string {
	// A negative value becomes a huge one and is out of range as well.
	if i := uint64(e); i < uint64(len(n.texts)) && n.texts[i] != "" {
		return n.texts[i]
	}

	return ErrUnknownType.Error()
}

// has tells whether e is a value with a text.
func (n names[E]) has(e E) bool {
	i := uint64(e)

	return i < uint64(len(n.texts)) && n.texts[i] != ""
}

// value returns the value that text names, or the zero value.
func (n names[E]) value(text string) E {
	if i := slices.Index(n.texts, text); i > 0 {
		return E(i)
	}

	return 0
}

// parse is value for those who must tell the zero value from an unknown text.
func (n names[E]) parse(text string) (E, error) {
	e := n.value(text)
	if text == "" || n.text(e) != text || !n.has(e) {
		return 0, refuse("parse "+n.of, ErrUnknownType, "%q", clip(text))
	}

	return e, nil
}

// read is the body of UnmarshalText. It takes back all that MarshalText
// writes, so also the "unknown" of an unset value; any other text that names
// nothing is an error and leaves *to alone.
func (n names[E]) read(to *E, text []byte) error {
	if to == nil {
		return refuse("parse "+n.of, ErrInvalidArgument, "nil receiver")
	}
	var e E
	if n.has(0) || string(text) != ErrUnknownType.Error() {
		var err error
		if e, err = n.parse(string(text)); err != nil {
			return err
		}
	}
	*to = e

	return nil
}

// clip bounds how much of a peer's text an error message repeats.
func clip(text string) string {
	const most = 120
	if len(text) > most {
		return text[:most] + "..."
	}

	return text
}
