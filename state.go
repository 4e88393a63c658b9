package webrtc

import (
	"slices"

	"github.com/pion/ice/v4"
)

// This file and state_connection.go are the one place that knows states: their
// numbers and texts, which change is legal, and what many transports together
// amount to. The numbers and texts are pion/webrtc's and the W3C's; programs
// store and compare them.

// transitions says which states may follow a state. What is not there is
// ErrInvalidState, also staying in the same state.
type transitions[S comparable] map[S][]S

func (t transitions[S]) allows(from, to S) bool {
	return slices.Contains(t[from], to)
}

// ICETransportState is the state of one [ICETransport].
// https://www.w3.org/TR/webrtc/#rtcicetransportstate
type ICETransportState int

// The states of an ICETransport.
const (
	ICETransportStateUnknown      ICETransportState = 0 // no state
	ICETransportStateNew          ICETransportState = 1 // gathering, or waiting for the peer's parameters
	ICETransportStateChecking     ICETransportState = 2 // checking pairs, none works yet
	ICETransportStateConnected    ICETransportState = 3 // a pair works
	ICETransportStateCompleted    ICETransportState = 4 // a pair works and no better one will be looked for
	ICETransportStateFailed       ICETransportState = 5 // no pair works and none will, short of a restart
	ICETransportStateDisconnected ICETransportState = 6 // the selected pair is silent; it may come back
	ICETransportStateClosed       ICETransportState = 7 // over
)

var iceTransportStates = names[ICETransportState]{"ICETransportState", []string{
	ICETransportStateNew:          "new",
	ICETransportStateChecking:     "checking",
	ICETransportStateConnected:    "connected",
	ICETransportStateCompleted:    "completed",
	ICETransportStateFailed:       "failed",
	ICETransportStateDisconnected: "disconnected",
	ICETransportStateClosed:       "closed",
}}

var iceTransitions = transitions[ICETransportState]{
	ICETransportStateUnknown: nil,
	// Without one candidate to check, an agent fails before its first check.
	ICETransportStateNew: {ICETransportStateChecking, ICETransportStateFailed, ICETransportStateClosed},
	ICETransportStateChecking: {
		ICETransportStateConnected, ICETransportStateDisconnected,
		ICETransportStateFailed, ICETransportStateClosed,
	},
	ICETransportStateConnected: {
		ICETransportStateCompleted, ICETransportStateDisconnected,
		ICETransportStateFailed, ICETransportStateClosed,
	},
	ICETransportStateCompleted: {
		ICETransportStateConnected, ICETransportStateDisconnected,
		ICETransportStateFailed, ICETransportStateClosed,
	},
	ICETransportStateDisconnected: {
		ICETransportStateChecking, ICETransportStateConnected, ICETransportStateCompleted,
		ICETransportStateFailed, ICETransportStateClosed,
	},
	// Only a restart leads out of failed.
	ICETransportStateFailed: {ICETransportStateChecking, ICETransportStateClosed},
	ICETransportStateClosed: nil,
}

// String returns the W3C's text, or "unknown".
func (s ICETransportState) String() string { return iceTransportStates.text(s) }

// MarshalText returns the text of String.
func (s ICETransportState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a text of String. On another it returns ErrUnknownType
// and leaves the state as it was.
func (s *ICETransportState) UnmarshalText(text []byte) error {
	return iceTransportStates.read(s, text)
}

// newICETransportStateFromICE maps the agent's states by name.
func newICETransportStateFromICE(agent ice.ConnectionState) ICETransportState {
	return map[ice.ConnectionState]ICETransportState{
		ice.ConnectionStateUnknown:      ICETransportStateUnknown,
		ice.ConnectionStateNew:          ICETransportStateNew,
		ice.ConnectionStateChecking:     ICETransportStateChecking,
		ice.ConnectionStateConnected:    ICETransportStateConnected,
		ice.ConnectionStateCompleted:    ICETransportStateCompleted,
		ice.ConnectionStateFailed:       ICETransportStateFailed,
		ice.ConnectionStateDisconnected: ICETransportStateDisconnected,
		ice.ConnectionStateClosed:       ICETransportStateClosed,
	}[agent]
}

// ICEGathererState is the state of one [ICEGatherer]. In JSON it is a number.
type ICEGathererState uint32

// The states of an ICEGatherer.
const (
	ICEGathererStateUnknown   ICEGathererState = 0 // no state
	ICEGathererStateNew       ICEGathererState = 1 // Gather was not called yet
	ICEGathererStateGathering ICEGathererState = 2 // candidates are being collected
	ICEGathererStateComplete  ICEGathererState = 3 // all candidates of the first gathering, of a restart or of a change of the network are told
	ICEGathererStateClosed    ICEGathererState = 4 // over
)

var iceGathererStates = names[ICEGathererState]{"ICEGathererState", []string{
	ICEGathererStateNew:       "new",
	ICEGathererStateGathering: "gathering",
	ICEGathererStateComplete:  "complete",
	ICEGathererStateClosed:    "closed",
}}

var gathererTransitions = transitions[ICEGathererState]{
	ICEGathererStateUnknown:   nil,
	ICEGathererStateNew:       {ICEGathererStateGathering, ICEGathererStateClosed},
	ICEGathererStateGathering: {ICEGathererStateComplete, ICEGathererStateClosed},
	// A restart gathers anew.
	ICEGathererStateComplete: {ICEGathererStateGathering, ICEGathererStateClosed},
	ICEGathererStateClosed:   nil,
}

// String returns the text of the state, or "unknown".
func (s ICEGathererState) String() string { return iceGathererStates.text(s) }

// DTLSTransportState is the state of one [DTLSTransport].
// https://www.w3.org/TR/webrtc/#rtcdtlstransportstate
type DTLSTransportState int

// The states of a DTLSTransport.
const (
	DTLSTransportStateUnknown    DTLSTransportState = 0 // no state
	DTLSTransportStateNew        DTLSTransportState = 1 // not started
	DTLSTransportStateConnecting DTLSTransportState = 2 // in the handshake
	DTLSTransportStateConnected  DTLSTransportState = 3 // handshake done, fingerprint verified, SRTP and SCTP can start
	DTLSTransportStateClosed     DTLSTransportState = 4 // over: stopped, or the peer sent close_notify
	DTLSTransportStateFailed     DTLSTransportState = 5 // ended by an error
)

var dtlsTransportStates = names[DTLSTransportState]{"DTLSTransportState", []string{
	DTLSTransportStateNew:        "new",
	DTLSTransportStateConnecting: "connecting",
	DTLSTransportStateConnected:  "connected",
	DTLSTransportStateClosed:     "closed",
	DTLSTransportStateFailed:     "failed",
}}

var dtlsTransitions = transitions[DTLSTransportState]{
	DTLSTransportStateUnknown: nil,
	DTLSTransportStateNew:     {DTLSTransportStateConnecting, DTLSTransportStateClosed},
	DTLSTransportStateConnecting: {
		DTLSTransportStateConnected, DTLSTransportStateFailed, DTLSTransportStateClosed,
	},
	DTLSTransportStateConnected: {DTLSTransportStateFailed, DTLSTransportStateClosed},
	DTLSTransportStateFailed:    {DTLSTransportStateClosed},
	DTLSTransportStateClosed:    nil,
}

// String returns the W3C's text, or "unknown".
func (s DTLSTransportState) String() string { return dtlsTransportStates.text(s) }

// MarshalText returns the text of String.
func (s DTLSTransportState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a text of String. On another it returns ErrUnknownType
// and leaves the state as it was.
func (s *DTLSTransportState) UnmarshalText(text []byte) error {
	return dtlsTransportStates.read(s, text)
}

// SCTPTransportState is the state of one [SCTPTransport]. In JSON it is a
// number. https://www.w3.org/TR/webrtc/#rtcsctptransportstate
type SCTPTransportState int

// The states of an SCTPTransport. There is no new: it begins as connecting.
const (
	SCTPTransportStateUnknown    SCTPTransportState = 0 // no state
	SCTPTransportStateConnecting SCTPTransportState = 1 // not started, or in the handshake
	SCTPTransportStateConnected  SCTPTransportState = 2 // there is an association
	SCTPTransportStateClosed     SCTPTransportState = 3 // over
)

var sctpTransportStates = names[SCTPTransportState]{"SCTPTransportState", []string{
	SCTPTransportStateConnecting: "connecting",
	SCTPTransportStateConnected:  "connected",
	SCTPTransportStateClosed:     "closed",
}}

var sctpTransitions = transitions[SCTPTransportState]{
	SCTPTransportStateUnknown:    nil,
	SCTPTransportStateConnecting: {SCTPTransportStateConnected, SCTPTransportStateClosed},
	SCTPTransportStateConnected:  {SCTPTransportStateClosed},
	SCTPTransportStateClosed:     nil,
}

// String returns the W3C's text, or "unknown".
func (s SCTPTransportState) String() string { return sctpTransportStates.text(s) }

// DataChannelState is the state of one [DataChannel].
// https://www.w3.org/TR/webrtc/#rtcdatachannelstate
type DataChannelState int

// The states of a DataChannel.
const (
	DataChannelStateUnknown    DataChannelState = 0 // no state
	DataChannelStateConnecting DataChannelState = 1 // no association or no stream yet
	DataChannelStateOpen       DataChannelState = 2 // messages can be sent
	DataChannelStateClosing    DataChannelState = 3 // what is queued still goes out, nothing new is taken
	DataChannelStateClosed     DataChannelState = 4 // over
)

var dataChannelStates = names[DataChannelState]{"DataChannelState", []string{
	DataChannelStateConnecting: "connecting",
	DataChannelStateOpen:       "open",
	DataChannelStateClosing:    "closing",
	DataChannelStateClosed:     "closed",
}}

var channelTransitions = transitions[DataChannelState]{
	DataChannelStateUnknown:    nil,
	DataChannelStateConnecting: {DataChannelStateOpen, DataChannelStateClosing, DataChannelStateClosed},
	DataChannelStateOpen:       {DataChannelStateClosing, DataChannelStateClosed},
	DataChannelStateClosing:    {DataChannelStateClosed},
	DataChannelStateClosed:     nil,
}

// String returns the W3C's text, or "unknown".
func (s DataChannelState) String() string { return dataChannelStates.text(s) }

// MarshalText returns the text of String.
func (s DataChannelState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a text of String. On another it returns ErrUnknownType
// and leaves the state as it was.
func (s *DataChannelState) UnmarshalText(text []byte) error {
	return dataChannelStates.read(s, text)
}
