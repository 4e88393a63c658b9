package jsep

import (
	"slices"
	"strings"
)

// level is what both the session level and a section can say.
type level struct {
	transport  Transport
	hasOptions bool // an ice-options line, if only an empty one
	direction  Direction
	directed   bool
	allowMixed bool
	lite       bool
}

// read takes one attribute, and tells whether it is one of its own.
func (l *level) read(a attribute) (known bool, err error) {
	if direction, ok := directionNamed(a.Key); ok {
		if l.directed && l.direction != direction {
			return true, a.fail(ErrContradiction, "another direction before this one")
		}
		l.direction, l.directed = direction, true

		return true, nil
	}

	switch a.Key {
	case "ice-ufrag":
		err = readCredential(a, &l.transport.UsernameFragment)
	case "ice-pwd":
		err = readCredential(a, &l.transport.Password)
	case "ice-options":
		err = l.options(a)
	case "ice-lite":
		l.lite = true
	case "fingerprint":
		err = l.fingerprint(a)
	case "setup":
		err = l.setup(a)
	case "end-of-candidates":
		l.transport.EndOfCandidates = true
	case "extmap-allow-mixed":
		l.allowMixed = true
	default:
		return false, nil
	}

	return true, err
}

// once sets a field that may be said again, but not differently.
func once(a attribute, field *string, value string) error {
	if *field != "" && *field != value {
		return a.fail(ErrContradiction, "%q before this one", clip(*field))
	}
	*field = value

	return nil
}

// readCredential reads a ufrag or a password. The lower limits of RFC 8839
// protect the side that chose them, so short ones are left to it.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.4
func readCredential(a attribute, field *string) error {
	value := strings.TrimSpace(a.Value)
	switch {
	case value == "":
		return a.fail(ErrSyntax, "it is empty")
	case len(value) > MaxCredential:
		return a.fail(ErrLimit, "%d characters, the most is %d", len(value), MaxCredential)
	}
	for i := range len(value) {
		if !isCredentialChar(value[i]) {
			return a.fail(ErrSyntax, "the character %q is not allowed", value[i])
		}
	}

	return once(a, field, value)
}

// isCredentialChar tells whether a byte may stand in a ufrag or a password.
// "-_=#" are no ice-chars, but come from servers that use UUIDs or base64;
// browsers accept these four as well.
func isCredentialChar(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("+/-_=#", b) >= 0
}

// options reads ice-options, which may come in several lines. libdatachannel
// puts commas between them; no option has one.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.6
func (l *level) options(a attribute) error {
	l.hasOptions = true
	between := func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }
	for option := range strings.FieldsFuncSeq(a.Value, between) {
		switch {
		case option == "trickle":
			// https://www.rfc-editor.org/rfc/rfc8840#section-4.1
			l.transport.Trickle = true
		case slices.Contains(l.transport.Options, option):
		case len(l.transport.Options) == MaxOptions:
			return a.fail(ErrLimit, "more than %d options", MaxOptions)
		default:
			l.transport.Options = append(l.transport.Options, option)
		}
	}

	return nil
}

// fingerprint reads the hash of a certificate. Whether its algorithm is good
// enough, and its length that of the algorithm, is for DTLS to say.
// https://www.rfc-editor.org/rfc/rfc8122#section-5
func (l *level) fingerprint(a attribute) error {
	fields := strings.Fields(a.Value)
	if len(fields) != 2 || !isToken(fields[0]) || !isHexPairs(fields[1]) {
		return a.fail(ErrSyntax, "a fingerprint has an algorithm and pairs of hexadecimal digits")
	}
	read := Fingerprint{Algorithm: strings.ToLower(fields[0]), Value: fields[1]}
	if slices.Contains(l.transport.Fingerprints, read) {
		return nil
	}
	if len(l.transport.Fingerprints) == MaxFingerprints {
		return a.fail(ErrLimit, "more than %d fingerprints", MaxFingerprints)
	}
	l.transport.Fingerprints = append(l.transport.Fingerprints, read)

	return nil
}

// isHexPairs tells "12:AB:..." of at most 64 pairs, which no hash exceeds.
func isHexPairs(text string) bool {
	const most = 64
	if len(text)%3 != 2 || len(text) > most*3-1 {
		return false
	}
	for i := range len(text) {
		if i%3 == 2 {
			if text[i] != ':' {
				return false
			}
		} else if strings.IndexByte("0123456789abcdefABCDEF", text[i]) < 0 {
			return false
		}
	}

	return true
}

// setup reads the role in DTLS.
// https://www.rfc-editor.org/rfc/rfc8842#section-5
func (l *level) setup(a attribute) error {
	setup := setupNamed(strings.ToLower(strings.TrimSpace(a.Value)))
	if setup == SetupNone {
		return a.fail(ErrSyntax, "no such role")
	}
	if before := l.transport.Setup; before != SetupNone && before != setup {
		return a.fail(ErrContradiction, "%v before this one", before)
	}
	l.transport.Setup = setup

	return nil
}

// inherit takes from the session level what the section has not said.
// https://www.rfc-editor.org/rfc/rfc8839#section-5.4
func (l *level) inherit(session *level) {
	t, from := &l.transport, &session.transport
	if t.UsernameFragment == "" && t.Password == "" {
		t.UsernameFragment, t.Password = from.UsernameFragment, from.Password
	}
	if !l.hasOptions {
		t.Trickle, t.Options = from.Trickle, slices.Clone(from.Options)
	}
	if t.Fingerprints == nil {
		t.Fingerprints = slices.Clone(from.Fingerprints)
	}
	if t.Setup == SetupNone {
		t.Setup = from.Setup
	}
	if !l.directed {
		l.direction = session.direction
	}
	t.EndOfCandidates = t.EndOfCandidates || from.EndOfCandidates
	l.allowMixed = l.allowMixed || session.allowMixed
}
