package webrtc

import (
	"strings"

	"github.com/ctxrtc/webrtc/internal/sctpfilter"
)

// SCTPAbortError is the end of an association by an ABORT chunk.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.7
type SCTPAbortError struct {
	// Remote tells whether the peer sent it. Otherwise our own association
	// did, because the peer broke the protocol.
	Remote bool
	// Causes are in the order of the chunk; there may be none.
	Causes []SCTPAbortCause
}

// SCTPAbortCause is one error cause of an ABORT.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.10
type SCTPAbortCause struct {
	Code uint16 // as registered for SCTP, 12 is a user-initiated abort
	Text string // the cause's name, and its text if it carries one
}

func (e *SCTPAbortError) Error() string {
	if e == nil {
		return "no abort"
	}
	text := "the association was aborted"
	if e.Remote {
		text = "the peer aborted the association"
	}
	causes := make([]string, 0, len(e.Causes))
	for _, c := range e.Causes {
		causes = append(causes, c.Text)
	}
	if len(causes) == 0 {
		return text
	}

	return text + ": " + strings.Join(causes, ", ")
}

func newSCTPAbortError(abort *sctpfilter.Abort, remote bool) *SCTPAbortError {
	e := &SCTPAbortError{Remote: remote}
	for _, c := range abort.Causes {
		e.Causes = append(e.Causes, SCTPAbortCause{Code: c.Code, Text: c.String()})
	}

	return e
}
