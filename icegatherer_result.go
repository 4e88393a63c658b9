package webrtc

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ctxrtc/webrtc/internal/servergather"
)

// ICEGatherStep is what a gatherer is at with a STUN or TURN server.
type ICEGatherStep string

// The steps, in their order. Which of them there are depends on the URL.
const (
	// ICEGatherStepWait is waiting for other servers, when there are many.
	ICEGatherStepWait = ICEGatherStep(servergather.Waiting)
	// ICEGatherStepCredentials asks the program for those of a TURN server.
	ICEGatherStepCredentials = ICEGatherStep(servergather.Credentials)
	// ICEGatherStepResolve looks up the server's name. Over TCP it is a part of
	// ICEGatherStepDial.
	ICEGatherStepResolve = ICEGatherStep(servergather.Resolve)
	// ICEGatherStepListen opens a UDP socket.
	ICEGatherStepListen = ICEGatherStep(servergather.Listen)
	// ICEGatherStepDial connects over TCP.
	ICEGatherStepDial = ICEGatherStep(servergather.Dial)
	// ICEGatherStepHandshake is that of TLS or DTLS.
	ICEGatherStepHandshake = ICEGatherStep(servergather.Handshake)
	// ICEGatherStepBinding asks for our reflexive address.
	ICEGatherStepBinding = ICEGatherStep(servergather.Bind)
	// ICEGatherStepAllocate asks for a relayed address.
	ICEGatherStepAllocate = ICEGatherStep(servergather.Allocate)
	// ICEGatherStepCandidate makes a candidate of the answer.
	ICEGatherStepCandidate = ICEGatherStep(servergather.Use)
	// ICEGatherStepDone is the end, without an error.
	ICEGatherStepDone = ICEGatherStep(servergather.Done)
)

// ICECandidateError tells why a STUN or TURN server gave no candidate.
// https://www.w3.org/TR/webrtc/#rtcpeerconnectioniceerrorevent
type ICECandidateError struct {
	// URL is the server's, as it was configured.
	URL string
	// Address and Port are where we asked from, if that is known and may be
	// shown: Address is empty otherwise.
	Address string
	Port    uint16
	// ErrorCode is the STUN error code of the server's answer, or 701 if there
	// was none.
	ErrorCode int
	// ErrorText is the reason that the server has given, or Err's text.
	ErrorText string
	// Step is what failed, Duration how long all steps took.
	Step     ICEGatherStep
	Duration time.Duration
	// Err is the reason. It is never nil.
	Err error
}

// codeNoAnswer is what browsers say of a server that could not be reached.
const codeNoAnswer = 701

func (e *ICECandidateError) Error() string {
	if e == nil {
		return "no error"
	}

	return fmt.Sprintf("%s: %s after %v: %v", e.URL, e.Step, e.Duration.Round(time.Millisecond), e.Err)
}

// Unwrap returns the reason.
func (e *ICECandidateError) Unwrap() error {
	if e == nil {
		return nil
	}

	return e.Err
}

// ICEServerResult is what became of one question to a STUN or TURN server.
// There may be several to one URL: for a reflexive and for a relayed address,
// over IPv4 and IPv6, and from each local address if filters choose among them.
type ICEServerResult struct {
	// URL is the server's, as it was configured.
	URL string
	// Typ is what was asked for: server-reflexive or relay.
	Typ ICECandidateType
	// Network is udp4, udp6, tcp, tcp4 or tcp6: how the server is reached.
	Network string
	// Step is what the gatherer is at or was at when it ended.
	Step ICEGatherStep
	// Duration is how long it has taken, until now if it has not ended.
	Duration time.Duration
	// PacketsLost is how many packets a relay had to drop because the server does
	// not take or permit them.
	PacketsLost uint64
	// Err is an *ICECandidateError, nil if there is a candidate or nothing has
	// ended yet.
	Err error
}

func newCandidateError(result *ICEServerResult, local net.Addr, reason error) *ICECandidateError {
	e := &ICECandidateError{
		URL: result.URL, ErrorCode: codeNoAnswer, ErrorText: reason.Error(),
		Step: result.Step, Duration: result.Duration, Err: reason,
	}
	var response *servergather.ResponseError
	if errors.As(reason, &response) {
		e.ErrorCode, e.ErrorText = response.Code, response.Reason
	}
	address, port := hostPort(local)
	if ip := net.ParseIP(address); ip != nil && !ip.IsUnspecified() {
		e.Address, e.Port = address, port
	}

	return e
}

// hostPort takes an address apart, also one that is of no known type.
func hostPort(addr net.Addr) (host string, port uint16) {
	switch a := addr.(type) {
	case *net.UDPAddr:
		if a != nil {
			return a.IP.String(), uint16(a.Port) //nolint:gosec // a port
		}
	case *net.TCPAddr:
		if a != nil {
			return a.IP.String(), uint16(a.Port) //nolint:gosec // a port
		}
	}

	return "", 0
}
