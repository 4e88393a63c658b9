package jsep

import (
	"fmt"
	"strconv"
	"strings"
)

// line is one line of a description: "kind=value".
type line struct {
	number int
	kind   byte
	value  string
}

// fail returns what is wrong with the line.
func (l line) fail(err error, format string, args ...any) error {
	return &Error{Line: l.number, Text: string(l.kind) + "=" + clip(l.value), Err: fmt.Errorf("%w: "+format, append([]any{err}, args...)...)}
}

// scan splits a description into its parts: the lines of the session level, and
// for each section its m= line and those behind it. It refuses what has no form
// of SDP at all, what is beyond the limits, and what the sdp module would take
// for something else than it is.
func scan(text string) ([][]line, error) {
	if len(text) > MaxText {
		err := fmt.Errorf("%w: a description of %d bytes, the most is %d", ErrLimit, len(text), MaxText)

		return nil, &Error{Line: 1, Text: clip(text), Err: err}
	}

	s := scanner{parts: [][]line{nil}}
	for number := 1; text != ""; number++ {
		var row string
		row, text, _ = strings.Cut(text, "\n")
		// "\n" alone ends a line as well, and so does what has become of "\r\n"
		// by a second conversion.
		// https://www.rfc-editor.org/rfc/rfc8866#section-5
		row = strings.TrimRight(row, "\r")
		if err := s.add(number, row); err != nil {
			return nil, err
		}
	}
	if len(s.parts[0]) == 0 {
		return nil, &Error{Line: 1, Err: fmt.Errorf("%w: nothing but empty lines", ErrSyntax)}
	}

	return s.parts, nil
}

// scanner is the state of scan.
type scanner struct {
	parts      [][]line
	attributes int // of the part
	others     int // of the part
}

// add takes one line.
func (s *scanner) add(number int, row string) error {
	if number > MaxLines {
		return &Error{Line: number, Text: clip(row), Err: fmt.Errorf("%w: more than %d lines", ErrLimit, MaxLines)}
	}
	if row == "" { // People paste descriptions, and mail adds such lines.
		return nil
	}
	if len(row) < 2 || row[1] != '=' || row[0] < 'a' || row[0] > 'z' {
		return &Error{Line: number, Text: clip(row), Err: fmt.Errorf("%w: a line has a small letter, = and a value", ErrSyntax)}
	}
	l := line{number: number, kind: row[0], value: row[2:]}
	if strings.IndexByte(l.value, 0) >= 0 || strings.IndexByte(l.value, '\r') >= 0 {
		return l.fail(ErrSyntax, "a zero byte or a carriage return within the line")
	}

	if l.kind == 'm' {
		if len(s.parts) > MaxSections {
			return l.fail(ErrLimit, "more than %d sections", MaxSections)
		}
		s.parts = append(s.parts, nil)
		s.attributes, s.others = 0, 0
	}
	if err := s.count(l); err != nil {
		return err
	}
	if err := checkForm(l); err != nil {
		return err
	}
	last := len(s.parts) - 1
	s.parts[last] = append(s.parts[last], l)

	return nil
}

// count holds the part to its limits.
func (s *scanner) count(l line) error {
	counter, most, longest := &s.others, MaxOtherLines, MaxOtherLine
	if l.kind == 'a' {
		counter, most, longest = &s.attributes, MaxAttributes, MaxAttributeLine
	}
	*counter++
	if *counter > most {
		return l.fail(ErrLimit, "more than %d lines of this type in one section", most)
	}
	if size := len(l.value) + len("a="); size > longest {
		return l.fail(ErrLimit, "%d bytes, the most is %d", size, longest)
	}

	return nil
}

// checkForm refuses lines in which the sdp module, which looks for fields and
// not for the end of the line, would find another line behind the fields, or
// numbers that it would cut. m= and b= lines it does not get to see.
func checkForm(l line) error {
	fields := 0
	switch l.kind {
	case 'a':
		if l.value == "" {
			return l.fail(ErrSyntax, "an attribute without a name")
		}

		return nil
	case 'v':
		fields = 1
	case 'o':
		fields = 6
	case 't':
		fields = 2
	case 'c':
		fields = 3
	case 'b':
		return checkBandwidth(l)
	default:
		return nil
	}

	got := strings.Fields(l.value)
	if len(got) != fields {
		return l.fail(ErrSyntax, "%d fields, not %d", len(got), fields)
	}
	if !strings.HasPrefix(l.value, got[0]) {
		return l.fail(ErrSyntax, "a space before the first field")
	}
	numbers := []string(nil)
	switch l.kind {
	case 'v', 't':
		numbers = got
	case 'o':
		numbers = got[1:3]
	}
	for _, number := range numbers {
		if _, err := strconv.ParseUint(number, 10, 64); err != nil {
			return l.fail(ErrSyntax, "%q is no number of 64 bits", clip(number))
		}
	}

	return nil
}

// checkBandwidth looks at a b= line. Types that are not known have to be
// ignored, which the sdp module does not do.
// https://www.rfc-editor.org/rfc/rfc8866#section-5.8
func checkBandwidth(l line) error {
	kind, value, _ := strings.Cut(l.value, ":")
	if _, err := strconv.ParseUint(value, 10, 64); err != nil || !isToken(kind) {
		return l.fail(ErrSyntax, "a bandwidth has a type, a colon and a number")
	}

	return nil
}

// isToken tells a token of SDP.
// https://www.rfc-editor.org/rfc/rfc8866#section-9
func isToken(text string) bool {
	for i := range len(text) {
		if !isTokenChar(text[i]) {
			return false
		}
	}

	return text != ""
}

// isTokenChar tells whether a byte is visible and none of the separators.
func isTokenChar(b byte) bool {
	return b > ' ' && b < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]`, rune(b))
}

// parseNumber reads digits alone.
func parseNumber(text string, most uint64) (uint64, error) {
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number > most {
		return 0, fmt.Errorf("%q is no number from 0 to %d", clip(text), most)
	}

	return number, nil
}
