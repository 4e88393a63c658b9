package jsep

import (
	"slices"
	"sort"
	"strings"

	"github.com/pion/sdp/v3"
)

// Lines for the sdp module in place of others.
const (
	// anySection stands for every m= line: the module refuses kinds and
	// protocols that it does not know, and those have to be answered.
	anySection = "m=application 9 UDP 0\r\n"
	// anySession is what has to stand before a section.
	anySession = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	// anyAttribute stands for an a= line where its value does not matter: the
	// module takes every one.
	anyAttribute = "a=x\r\n"
)

// readGrammar has the sdp module read the lines: whether each may stand where
// it does, the fields of those of the session level, and names and values of
// the attributes. The sections of the result are in the order of parts[1:].
func readGrammar(parts [][]line) (*sdp.SessionDescription, error) {
	desc := new(sdp.SessionDescription)
	if err := desc.UnmarshalString(textOf(slices.Concat(parts...), true)); err != nil {
		return nil, locate(parts, len(desc.MediaDescriptions), err)
	}
	if len(desc.TimeDescriptions) == 0 {
		last := parts[0][len(parts[0])-1]

		return nil, last.fail(ErrSyntax, "the description ends before its t= line")
	}

	return desc, nil
}

// locate finds the line that the sdp module refuses. It has read the m= lines
// of so many sections, so that the line is in that one, or is the next m= line.
// What was refused with a few lines is refused with more.
func locate(parts [][]line, sections int, cause error) error {
	lines, before := parts[sections], ""
	if sections > 0 {
		before = anySession
	}
	at := sort.Search(len(lines), func(i int) bool {
		return new(sdp.SessionDescription).UnmarshalString(before+textOf(lines[:i+1], false)) != nil
	})
	if at == len(lines) && sections+1 < len(parts) {
		lines, at = parts[sections+1], 0
	}
	bad := lines[min(at, len(lines)-1)]

	// The positions in the module's syntax errors are those of a text that
	// nobody has seen.
	if strings.Contains(cause.Error(), "syntax error at pos") {
		return bad.fail(ErrSyntax, "%s= is misplaced or malformed", string(bad.kind))
	}

	return bad.fail(ErrSyntax, "%w", cause)
}

// textOf writes lines for the sdp module, with or without the attributes' values.
func textOf(lines []line, values bool) string {
	size := 0
	for _, l := range lines {
		size += len(l.value) + len("a=\r\n")
	}
	var b strings.Builder
	b.Grow(size)
	for _, l := range lines {
		switch {
		case l.kind == 'b':
			// Checked, and of no use here.
		case l.kind == 'm':
			b.WriteString(anySection)
		case l.kind == 'a' && !values:
			b.WriteString(anyAttribute)
		default:
			b.WriteByte(l.kind)
			b.WriteByte('=')
			b.WriteString(l.value)
			b.WriteString("\r\n")
		}
	}

	return b.String()
}

// attribute is an a= line that was read.
type attribute struct {
	line
	Attribute
}

// withLines joins what the sdp module read with the lines of the part.
func withLines(part []line, read []sdp.Attribute) ([]attribute, error) {
	attributes := make([]attribute, 0, len(read))
	for _, l := range part {
		if l.kind != 'a' {
			continue
		}
		n := len(attributes)
		if n == len(read) {
			return nil, l.fail(ErrSyntax, "not read as an attribute")
		}
		attributes = append(attributes, attribute{l, Attribute{Key: read[n].Key, Value: read[n].Value}})
	}

	return attributes, nil
}
