package sctpfilter

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cause codes that the filter names or writes.
const (
	causeUserInitiatedAbort = 12
	causeProtocolViolation  = 13
)

// maxReason bounds the reason of an ABORT that we write, in bytes, so that the
// packet fits every path; a longer one is cut.
const maxReason = 512

// causeNames are the RFC's, by code.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.10
var causeNames = [...]string{
	1:  "Invalid Stream Identifier",
	2:  "Missing Mandatory Parameter",
	3:  "Stale Cookie",
	4:  "Out of Resource",
	5:  "Unresolvable Address",
	6:  "Unrecognized Chunk Type",
	7:  "Invalid Mandatory Parameter",
	8:  "Unrecognized Parameters",
	9:  "No User Data",
	10: "Cookie Received While Shutting Down",
	11: "Restart of an Association with New Addresses",
	12: "User-Initiated Abort",
	13: "Protocol Violation",
}

// Cause is one error cause of an ABORT.
type Cause struct {
	// Code is the cause code of RFC 9260, section 3.3.10.
	Code uint16
	// Info is what follows the code and length: for a User-Initiated Abort the
	// reason that the peer's program gave, in no particular encoding.
	Info []byte
}

// String is the cause's name, with the printable part of its text if it is of
// a kind that carries text.
func (c Cause) String() string {
	name := ""
	if int(c.Code) < len(causeNames) {
		name = causeNames[c.Code]
	}
	if name == "" {
		name = "cause " + strconv.Itoa(int(c.Code))
	}
	if c.Code != causeUserInitiatedAbort && c.Code != causeProtocolViolation {
		return name
	}
	if text := printable(c.Info); text != "" {
		name += ": " + text
	}

	return name
}

func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}

		return r
	}, string(b)))
}

// Abort is the error of an association that ended by an ABORT.
type Abort struct {
	// Causes in the order of the chunk; there may be none.
	Causes []Cause
	// Local is true if our association sent it, because the peer broke the
	// protocol.
	Local bool
}

// Error names the side and the causes.
func (a *Abort) Error() string {
	text := "association aborted by the peer"
	if a.Local {
		text = "association aborted here"
	}
	for i, c := range a.Causes {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		text += sep + c.String()
	}

	return text
}

// parseAbort reads the causes of an ABORT chunk's value. One that does not fit
// ends the list: the chunk has ended the association all the same.
func parseAbort(value []byte) *Abort {
	a := &Abort{}
	for len(value) >= chunkHeaderLen {
		length := int(binary.BigEndian.Uint16(value[2:]))
		if length < chunkHeaderLen || length > len(value) {
			break
		}
		a.Causes = append(a.Causes, Cause{
			Code: binary.BigEndian.Uint16(value),
			Info: append([]byte(nil), value[chunkHeaderLen:length]...),
		})
		value = value[min(pad4(length), len(value)):]
	}

	return a
}

func (a *Abort) has(code uint16) bool {
	for _, c := range a.Causes {
		if c.Code == code {
			return true
		}
	}

	return false
}

// userAbort encodes a User-Initiated Abort cause.
func userAbort(reason string) []byte {
	reason = reason[:min(len(reason), maxReason)]
	b := make([]byte, chunkHeaderLen, chunkHeaderLen+len(reason))
	binary.BigEndian.PutUint16(b, causeUserInitiatedAbort)
	binary.BigEndian.PutUint16(b[2:], uint16(chunkHeaderLen+len(reason)))

	return append(b, reason...)
}
