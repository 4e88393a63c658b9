package webrtc

import "sync/atomic"

// The states of a whole connection, and how they follow from those of its
// transports.

// ICEGatheringState is how far all gatherers of a connection are. In JSON it
// is a number. https://www.w3.org/TR/webrtc/#rtcicegatheringstate-enum
type ICEGatheringState int

// The gathering states of a connection.
const (
	ICEGatheringStateUnknown   ICEGatheringState = 0 // no state
	ICEGatheringStateNew       ICEGatheringState = 1 // no gatherer has begun, or there is none
	ICEGatheringStateGathering ICEGatheringState = 2 // at least one gathers
	ICEGatheringStateComplete  ICEGatheringState = 3 // all are complete
)

var iceGatheringStates = names[ICEGatheringState]{"ICEGatheringState", []string{
	ICEGatheringStateNew:       "new",
	ICEGatheringStateGathering: "gathering",
	ICEGatheringStateComplete:  "complete",
}}

// gatheringStates are what one gatherer amounts to. There is no state of a
// connection for one that is closed.
var gatheringStates = map[ICEGathererState]ICEGatheringState{
	ICEGathererStateUnknown:   ICEGatheringStateUnknown,
	ICEGathererStateNew:       ICEGatheringStateNew,
	ICEGathererStateGathering: ICEGatheringStateGathering,
	ICEGathererStateComplete:  ICEGatheringStateComplete,
	ICEGathererStateClosed:    ICEGatheringStateUnknown,
}

// NewICEGatheringState returns the state that raw names, or
// ICEGatheringStateUnknown.
func NewICEGatheringState(raw string) ICEGatheringState { return iceGatheringStates.value(raw) }

// String returns the W3C's text, or "unknown".
func (s ICEGatheringState) String() string { return iceGatheringStates.text(s) }

// ICEConnectionState is what the ICE transports of a connection amount to. In
// JSON it is a number. https://www.w3.org/TR/webrtc/#rtciceconnectionstate-enum
type ICEConnectionState int

// The ICE states of a connection. Mind that connected and completed stand
// before disconnected and failed, other than in ICETransportState.
const (
	ICEConnectionStateUnknown      ICEConnectionState = 0 // no state
	ICEConnectionStateNew          ICEConnectionState = 1 // all are new or closed, or there is none
	ICEConnectionStateChecking     ICEConnectionState = 2 // one is new or checking
	ICEConnectionStateConnected    ICEConnectionState = 3 // all are connected, completed or closed
	ICEConnectionStateCompleted    ICEConnectionState = 4 // all are completed or closed
	ICEConnectionStateDisconnected ICEConnectionState = 5 // one is disconnected, none failed
	ICEConnectionStateFailed       ICEConnectionState = 6 // one failed
	ICEConnectionStateClosed       ICEConnectionState = 7 // the connection is closed
)

var iceConnectionStates = names[ICEConnectionState]{"ICEConnectionState", []string{
	ICEConnectionStateNew:          "new",
	ICEConnectionStateChecking:     "checking",
	ICEConnectionStateConnected:    "connected",
	ICEConnectionStateCompleted:    "completed",
	ICEConnectionStateDisconnected: "disconnected",
	ICEConnectionStateFailed:       "failed",
	ICEConnectionStateClosed:       "closed",
}}

// Of what the aggregates would make of their transports, a connection tells
// what is here: transports that are closed under it take it back to new in the
// text, but it ends with them.
var iceConnectionTransitions = transitions[ICEConnectionState]{
	ICEConnectionStateUnknown: nil,
	ICEConnectionStateNew: {
		ICEConnectionStateChecking, ICEConnectionStateFailed, ICEConnectionStateClosed,
	},
	ICEConnectionStateChecking: {
		ICEConnectionStateConnected, ICEConnectionStateDisconnected,
		ICEConnectionStateFailed, ICEConnectionStateClosed,
	},
	ICEConnectionStateConnected: {
		ICEConnectionStateCompleted, ICEConnectionStateDisconnected,
		ICEConnectionStateFailed, ICEConnectionStateClosed,
	},
	ICEConnectionStateCompleted: {
		ICEConnectionStateConnected, ICEConnectionStateDisconnected,
		ICEConnectionStateFailed, ICEConnectionStateClosed,
	},
	ICEConnectionStateDisconnected: {
		ICEConnectionStateChecking, ICEConnectionStateConnected, ICEConnectionStateCompleted,
		ICEConnectionStateFailed, ICEConnectionStateClosed,
	},
	ICEConnectionStateFailed: {ICEConnectionStateChecking, ICEConnectionStateClosed},
	ICEConnectionStateClosed: nil,
}

// NewICEConnectionState returns the state that raw names, or
// ICEConnectionStateUnknown.
func NewICEConnectionState(raw string) ICEConnectionState { return iceConnectionStates.value(raw) }

// String returns the W3C's text, or "unknown".
func (s ICEConnectionState) String() string { return iceConnectionStates.text(s) }

// PeerConnectionState is what the ICE and DTLS transports of a connection
// amount to. In JSON it is a number.
// https://www.w3.org/TR/webrtc/#rtcpeerconnectionstate-enum
type PeerConnectionState int

// The states of a PeerConnection.
const (
	PeerConnectionStateUnknown      PeerConnectionState = 0 // no state
	PeerConnectionStateNew          PeerConnectionState = 1 // nothing has begun
	PeerConnectionStateConnecting   PeerConnectionState = 2 // something has begun, and not all is done
	PeerConnectionStateConnected    PeerConnectionState = 3 // all of ICE and DTLS is connected or closed
	PeerConnectionStateDisconnected PeerConnectionState = 4 // an ICE transport is disconnected
	PeerConnectionStateFailed       PeerConnectionState = 5 // an ICE or DTLS transport failed
	PeerConnectionStateClosed       PeerConnectionState = 6 // over: by Close, or with its DTLS transport
)

var peerConnectionStates = names[PeerConnectionState]{"PeerConnectionState", []string{
	PeerConnectionStateNew:          "new",
	PeerConnectionStateConnecting:   "connecting",
	PeerConnectionStateConnected:    "connected",
	PeerConnectionStateDisconnected: "disconnected",
	PeerConnectionStateFailed:       "failed",
	PeerConnectionStateClosed:       "closed",
}}

var peerConnectionTransitions = transitions[PeerConnectionState]{
	PeerConnectionStateUnknown: nil,
	PeerConnectionStateNew: {
		PeerConnectionStateConnecting, PeerConnectionStateFailed, PeerConnectionStateClosed,
	},
	PeerConnectionStateConnecting: {
		PeerConnectionStateConnected, PeerConnectionStateDisconnected,
		PeerConnectionStateFailed, PeerConnectionStateClosed,
	},
	PeerConnectionStateConnected: {
		PeerConnectionStateConnecting, PeerConnectionStateDisconnected,
		PeerConnectionStateFailed, PeerConnectionStateClosed,
	},
	PeerConnectionStateDisconnected: {
		PeerConnectionStateConnecting, PeerConnectionStateConnected,
		PeerConnectionStateFailed, PeerConnectionStateClosed,
	},
	// Only a restart of ICE leads out of failed.
	PeerConnectionStateFailed: {PeerConnectionStateConnecting, PeerConnectionStateClosed},
	PeerConnectionStateClosed: nil,
}

// String returns the W3C's text, or "unknown".
func (s PeerConnectionState) String() string { return peerConnectionStates.text(s) }

// SignalingState is how far the exchange of offer and answer is. In JSON it is
// a number. https://www.w3.org/TR/webrtc/#rtcsignalingstate-enum
type SignalingState int32

// The signaling states of a PeerConnection.
const (
	SignalingStateUnknown            SignalingState = 0 // no state
	SignalingStateStable             SignalingState = 1 // no exchange is under way
	SignalingStateHaveLocalOffer     SignalingState = 2 // our offer waits for an answer
	SignalingStateHaveRemoteOffer    SignalingState = 3 // the peer's offer waits for an answer
	SignalingStateHaveLocalPranswer  SignalingState = 4 // our provisional answer to the peer's offer is set
	SignalingStateHaveRemotePranswer SignalingState = 5 // the peer's provisional answer to our offer is set
	SignalingStateClosed             SignalingState = 6 // the connection is closed
)

var signalingStates = names[SignalingState]{"SignalingState", []string{
	SignalingStateStable:             "stable",
	SignalingStateHaveLocalOffer:     "have-local-offer",
	SignalingStateHaveRemoteOffer:    "have-remote-offer",
	SignalingStateHaveLocalPranswer:  "have-local-pranswer",
	SignalingStateHaveRemotePranswer: "have-remote-pranswer",
	SignalingStateClosed:             "closed",
}}

// String returns the W3C's text, or "unknown".
func (s SignalingState) String() string { return signalingStates.text(s) }

// Get reads the state atomically. A nil receiver is SignalingStateUnknown.
func (s *SignalingState) Get() SignalingState {
	if s == nil {
		return SignalingStateUnknown
	}

	return SignalingState(atomic.LoadInt32((*int32)(s)))
}

// Set writes the state atomically. A nil receiver is left alone.
func (s *SignalingState) Set(state SignalingState) {
	if s != nil {
		atomic.StoreInt32((*int32)(s), int32(state))
	}
}

// descriptionSet is what a side does with a description: it sets one of a type,
// its own or the peer's.
type descriptionSet struct {
	local bool
	sdp   SDPType
}

// signalingTransitions says where the descriptions lead that a state allows.
// That of the peer's offer over our own is the implicit rollback of perfect
// negotiation. https://www.rfc-editor.org/rfc/rfc9429#section-3.2
// https://www.w3.org/TR/webrtc/#set-the-session-description
var signalingTransitions = map[SignalingState]map[descriptionSet]SignalingState{
	SignalingStateUnknown: nil,
	SignalingStateStable: {
		{true, SDPTypeOffer}:  SignalingStateHaveLocalOffer,
		{false, SDPTypeOffer}: SignalingStateHaveRemoteOffer,
	},
	SignalingStateHaveLocalOffer: {
		{true, SDPTypeOffer}:     SignalingStateHaveLocalOffer,
		{true, SDPTypeRollback}:  SignalingStateStable,
		{false, SDPTypePranswer}: SignalingStateHaveRemotePranswer,
		{false, SDPTypeAnswer}:   SignalingStateStable,
		{false, SDPTypeOffer}:    SignalingStateHaveRemoteOffer,
	},
	SignalingStateHaveRemoteOffer: {
		{false, SDPTypeOffer}:    SignalingStateHaveRemoteOffer,
		{false, SDPTypeRollback}: SignalingStateStable,
		{true, SDPTypePranswer}:  SignalingStateHaveLocalPranswer,
		{true, SDPTypeAnswer}:    SignalingStateStable,
	},
	SignalingStateHaveLocalPranswer: {
		{true, SDPTypePranswer}: SignalingStateHaveLocalPranswer,
		{true, SDPTypeAnswer}:   SignalingStateStable,
	},
	SignalingStateHaveRemotePranswer: {
		{false, SDPTypePranswer}: SignalingStateHaveRemotePranswer,
		{false, SDPTypeAnswer}:   SignalingStateStable,
	},
	SignalingStateClosed: nil,
}

// nextSignaling returns the state that follows, and false if the description
// cannot be set now.
func nextSignaling(from SignalingState, set descriptionSet) (SignalingState, bool) {
	to, ok := signalingTransitions[from][set]

	return to, ok
}

// stateSet is a set of states of one type: bit n stands for state n. The
// aggregates only ask which states occur, not how often.
type stateSet uint

func setOf[S ~int](states ...S) stateSet {
	var set stateSet
	for _, s := range states {
		if s < 0 || s > 31 {
			s = 0 // no value of the enum: unknown
		}
		set |= 1 << s
	}

	return set
}

func (set stateSet) meets(other stateSet) bool  { return set&other != 0 }
func (set stateSet) within(other stateSet) bool { return set&^other == 0 }

// aggregateICE is a connection's iceConnectionState; closed tells whether the
// connection itself is closed. The first rule that matches counts.
// https://www.w3.org/TR/webrtc/#rtciceconnectionstate-enum
func aggregateICE(closed bool, transports []ICETransportState) ICEConnectionState {
	seen := setOf(transports...)
	over := setOf(ICETransportStateClosed)
	for _, rule := range []struct {
		holds bool
		state ICEConnectionState
	}{
		{closed, ICEConnectionStateClosed},
		{seen.meets(setOf(ICETransportStateFailed)), ICEConnectionStateFailed},
		{seen.meets(setOf(ICETransportStateDisconnected)), ICEConnectionStateDisconnected},
		{seen.within(over | setOf(ICETransportStateNew)), ICEConnectionStateNew},
		{seen.meets(setOf(ICETransportStateNew, ICETransportStateChecking)), ICEConnectionStateChecking},
		{seen.within(over | setOf(ICETransportStateCompleted)), ICEConnectionStateCompleted},
		{
			seen.within(over | setOf(ICETransportStateConnected, ICETransportStateCompleted)),
			ICEConnectionStateConnected,
		},
	} {
		if rule.holds {
			return rule.state
		}
	}

	return ICEConnectionStateUnknown // some transport's state is unknown
}

// aggregateConnection is a connection's connectionState. The first rule that
// matches counts. https://www.w3.org/TR/webrtc/#rtcpeerconnectionstate-enum
func aggregateConnection(
	closed bool, iceTransports []ICETransportState, dtlsTransports []DTLSTransportState,
) PeerConnectionState {
	total := setOf(aggregateICE(closed, iceTransports))
	dtls := setOf(dtlsTransports...)
	over := setOf(DTLSTransportStateClosed)
	// The text names connected alone for the fifth rule; browsers count
	// completed as well, and without it a completed connection would never
	// be connected.
	working := setOf(ICEConnectionStateConnected, ICEConnectionStateCompleted)
	for _, rule := range []struct {
		holds bool
		state PeerConnectionState
	}{
		{total.meets(setOf(ICEConnectionStateClosed)), PeerConnectionStateClosed},
		{
			total.meets(setOf(ICEConnectionStateFailed)) || dtls.meets(setOf(DTLSTransportStateFailed)),
			PeerConnectionStateFailed,
		},
		{total.meets(setOf(ICEConnectionStateDisconnected)), PeerConnectionStateDisconnected},
		{
			total.meets(setOf(ICEConnectionStateNew)) && dtls.within(over|setOf(DTLSTransportStateNew)),
			PeerConnectionStateNew,
		},
		{
			total.meets(working) && dtls.within(over|setOf(DTLSTransportStateConnected)),
			PeerConnectionStateConnected,
		},
	} {
		if rule.holds {
			return rule.state
		}
	}

	return PeerConnectionStateConnecting
}
