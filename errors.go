package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Sentinels. An error of this package is an [*Error] around one of these,
// around the error of a module below, or around a context's error and cause;
// match them with errors.Is. A graceful end is io.EOF or ErrClosed as it is.
var (
	// ErrClosed is the end by our own Stop, Close or Shutdown. It also matches
	// net.ErrClosed and io.ErrClosedPipe.
	ErrClosed error = &alias{"closed", []error{net.ErrClosed, io.ErrClosedPipe}}

	// ErrInvalidState is a call that the present state does not allow. It
	// changed nothing.
	ErrInvalidState = errors.New("invalid state")

	// ErrInvalidArgument is a nil, zero, malformed or contradictory argument.
	// The call changed nothing.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrICEFailed is the end of an ICE transport that has no working
	// candidate pair any more, or never found one.
	ErrICEFailed = errors.New("ICE failed: no working candidate pair")

	// ErrFingerprintMismatch is a peer's certificate that matches none of the
	// signaled fingerprints, or fingerprints of which none can be verified.
	ErrFingerprintMismatch = errors.New("certificate does not match the signaled fingerprint")

	// ErrHandshakeTimeout is a DTLS or SCTP start that the peer did not
	// complete within the start timeout of the [SettingEngine].
	ErrHandshakeTimeout error = &timeout{"handshake timeout"}

	// ErrCertificateExpired is a certificate whose time is over, or has not
	// come yet.
	ErrCertificateExpired = errors.New("certificate expired or not yet valid")

	// ErrMessageTooLarge is a message above the peer's maximum message size, or
	// one of the peer's above ours.
	ErrMessageTooLarge = errors.New("message too large")

	// ErrBufferFull is a Send while all channels of the association together
	// have DataChannelSettings.MaxAssociationBuffered bytes queued.
	ErrBufferFull = errors.New("send buffer full")

	// ErrDataChannelNotOpen is a Send on a channel that is still connecting.
	// It also matches io.ErrClosedPipe, which pion programs look for.
	ErrDataChannelNotOpen error = &alias{"data channel not open", []error{ErrInvalidState, io.ErrClosedPipe}}

	// ErrCodecAlreadyRegistered is a codec with the payload type of another one.
	ErrCodecAlreadyRegistered error = &alias{"payload type already registered for another codec", []error{ErrInvalidArgument}}

	// ErrCodecNotFound is a payload type that no codec has.
	ErrCodecNotFound = errors.New("codec not found")

	// ErrUnsupportedCodec is a codec that is not registered, or that the peer
	// does not have.
	ErrUnsupportedCodec = errors.New("codec not supported")

	// ErrRegisterHeaderExtensionInvalidDirection is a direction other than
	// sendonly and recvonly for a header extension.
	ErrRegisterHeaderExtensionInvalidDirection error = &alias{
		"a header extension is for sendonly, recvonly or both", []error{ErrInvalidArgument},
	}

	// ErrNoPayloaderForCodec is a codec whose samples nobody here can cut into
	// packets.
	ErrNoPayloaderForCodec = errors.New("no payloader for the codec")

	// ErrNoSRTPProtectionProfile is media over a DTLS transport whose peer, as the
	// client of the handshake, does not do SRTP.
	ErrNoSRTPProtectionProfile = errors.New("the handshake has agreed on no SRTP protection profile")

	// ErrRTPSenderNewTrackHasIncorrectKind is audio in place of video, or the other
	// way round.
	ErrRTPSenderNewTrackHasIncorrectKind = errors.New("the new track is of another kind than the sender")

	// ErrRTPSenderNewTrackHasIncorrectEnvelope is one track in place of several
	// encodings.
	ErrRTPSenderNewTrackHasIncorrectEnvelope = errors.New("the sender has several encodings, the new track is one")

	// ErrUnknownType is a text or a number that names no value of its type.
	ErrUnknownType = errors.New("unknown")
)

// Error is the error type of this package: the operation that failed and why.
type Error struct {
	// Op is the operation, the layer first: "ice start", "dtls accept".
	Op string
	// Err is the reason. It is never nil.
	Err error
}

func (e *Error) Error() string {
	if e == nil || e.Err == nil { // not made here
		return "webrtc: no error"
	}

	// The errors that it is made of name the package and their operations too.
	return prefix + e.Op + ": " + strings.ReplaceAll(e.Err.Error(), prefix, "")
}

const prefix = "webrtc: "

// Unwrap returns the reason.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}

	return e.Err
}

// Timeout tells whether the reason is a deadline or a timeout, as net.Error
// has it.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }

	return errors.As(e.Unwrap(), &t) && t.Timeout()
}

// Temporary is false: no error of this package goes away by itself. With it
// Error is a net.Error.
func (e *Error) Temporary() bool { return false }

var _ net.Error = (*Error)(nil)

// DataLostError is an end before the peer had acknowledged everything that was
// sent.
type DataLostError struct {
	// Bytes were queued or on the way. Some of them may have arrived.
	Bytes int
	// Err is why they could not be waited for. It is never nil.
	Err error
}

func (e *DataLostError) Error() string {
	if e == nil || e.Err == nil { // not made here
		return "no data lost"
	}

	return fmt.Sprintf("%v: %d bytes were not acknowledged", e.Err, e.Bytes)
}

// Unwrap returns the reason.
func (e *DataLostError) Unwrap() error {
	if e == nil {
		return nil
	}

	return e.Err
}

// and is two errors in one line. What the first one says already is left out.
func and(err, more error) error {
	switch {
	case err == nil:
		return more
	case more == nil || errors.Is(err, more):
		return err
	}

	return fmt.Errorf("%w; %w", err, more)
}

// opError gives err its operation, and leaves nil and an error that already
// carries one alone: the innermost operation is the one that failed.
func opError(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok { //nolint:errorlint // only the outermost error counts
		return err
	}

	return &Error{Op: op, Err: err}
}

// gracefulEnd tells whether a cause stands for an end without failure: our own
// close or the peer's. A context's cause may wrap either and mean neither, so
// identity counts.
func gracefulEnd(cause error) bool {
	return cause == ErrClosed || cause == io.EOF //nolint:errorlint // see above
}

// ended is the cause of an end: io.EOF and ErrClosed stay as they are, as
// readers expect them, anything else gets its operation.
func ended(op string, err error) error {
	if gracefulEnd(err) {
		return err
	}

	return opError(op, err)
}

// refuse is the error of a call that was refused and changed nothing.
func refuse(op string, sentinel error, format string, args ...any) error {
	return &Error{Op: op, Err: fmt.Errorf("%w: %w", sentinel, fmt.Errorf(format, args...))}
}

// contextError is the error of a context that has ended. It matches both
// ctx.Err() and context.Cause(ctx).
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil {
		return nil
	}
	if cause == nil || errors.Is(err, cause) { // not ==, which panics for some types
		return err
	}

	return fmt.Errorf("%w: %w", err, cause)
}

// alias is a sentinel that other packages' sentinels match too.
type alias struct {
	text string
	also []error
}

func (a *alias) Error() string   { return a.text }
func (a *alias) Unwrap() []error { return a.also }

// timeout is a sentinel that net.Error's Timeout reports.
type timeout struct{ text string }

func (t *timeout) Error() string { return t.text }
func (t *timeout) Timeout() bool { return true }
