package jsep

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons that callers may want to tell apart. Errors of this package wrap them.
var (
	// ErrSyntax is what the grammar of SDP does not allow.
	ErrSyntax = errors.New("malformed SDP")
	// ErrLimit is a description that has more of something than it may.
	ErrLimit = errors.New("more than the limit")
	// ErrContradiction is a description that says two things that cannot both hold.
	ErrContradiction = errors.New("contradiction")

	// ErrSections are sections that do not follow from those of the offer, or
	// from those of the last negotiation.
	ErrSections = errors.New("sections do not match")
	// ErrNoICECredentials is a description without ice-ufrag or ice-pwd.
	ErrNoICECredentials = errors.New("no ICE credentials")
	// ErrNoFingerprint is a description without fingerprint.
	ErrNoFingerprint = errors.New("no fingerprint")
	// ErrSetup is a DTLS role that cannot be had.
	ErrSetup = errors.New("DTLS roles do not fit")
	// ErrBundle is a section that cannot use the one transport that there is.
	ErrBundle = errors.New("not bundled")
	// ErrRTCPMux is a section of media that wants a port of its own for RTCP.
	ErrRTCPMux = errors.New("no rtcp-mux")
	// ErrUnsupported is a section of a kind or a protocol that is not known here.
	ErrUnsupported = errors.New("kind of section not supported")
	// ErrRejected is a section that the offer itself rejects.
	ErrRejected = errors.New("section is rejected")
	// ErrFormats is a section of an answer without any codec of the offer.
	ErrFormats = errors.New("no codec in common")
	// ErrDirection is a section of an answer that sends what the offer does not
	// receive, or receives what it does not send.
	ErrDirection = errors.New("directions do not fit")
	// ErrMedia is a Media that fits no section.
	ErrMedia = errors.New("media fits no section")
)

// Error is a description that cannot be read, and the line where that shows.
type Error struct {
	// Line counts from 1; 0 is unknown.
	Line int
	// Text is the line, or the beginning of it.
	Text string
	Err  error
}

// Error says "line 12: "a=mid:": reason".
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%q: %v", e.Text, e.Err)
	}

	return fmt.Sprintf("line %d: %q: %v", e.Line, e.Text, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// clip returns the beginning of a text, as a copy: an error must not keep a
// whole description in memory.
func clip(text string) string {
	if len(text) > clipped {
		return text[:clipped] + "..."
	}

	return strings.Clone(text)
}
