package webrtc

import (
	"context"
	"fmt"
)

// The states of a connection are what those of its transports amount to. The
// transports tell a change under their own lock, so that the states of the
// connection change in the same order, and no slow handler keeps them back.

// transportStates are the last states that the transports have told.
type transportStates struct {
	ice  ICETransportState
	dtls DTLSTransportState
	sctp SCTPTransportState

	total   ICEConnectionState // what the program was told of ICE
	data    bool               // data channels were negotiated
	failure error              // of the first start that failed

	// associated follows sctp: the channels that had been made before are open.
	associated bool
}

func (pc *PeerConnection) iceMoved(state ICETransportState) {
	pc.moved(func(t *transportStates) {
		if t.ice == ICETransportStateFailed && state == ICETransportStateChecking {
			t.failure = nil // a restart
		}
		t.ice = state
	})
}

func (pc *PeerConnection) dtlsMoved(state DTLSTransportState) {
	pc.moved(func(t *transportStates) { t.dtls = state })
}

func (pc *PeerConnection) sctpMoved(state SCTPTransportState) {
	pc.moved(func(t *transportStates) { t.sctp = state })
}

func (pc *PeerConnection) moved(change func(*transportStates)) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	change(&pc.transports)
	pc.updateLocked()
}

// updateLocked moves the connection's states to what the transports' amount to
// now. Where the table of states does not lead there, they stay: transports that
// are closed end the connection in a moment.
func (pc *PeerConnection) updateLocked() {
	iceStates := []ICETransportState{pc.transports.ice}
	total := aggregateICE(pc.ended, iceStates)
	if iceConnectionTransitions.allows(pc.transports.total, total) {
		pc.transports.total = total
		pc.life.events.Post(pc.life.group, func() { call(pc.life, &pc.onICE, total) })
	}
	pc.life.moveLocked(aggregateConnection(pc.ended, iceStates, []DTLSTransportState{pc.transports.dtls}))
	pc.changed.Note()
}

func (pc *PeerConnection) setSignalingLocked(state SignalingState) {
	if pc.negotiation.state == state {
		return
	}
	pc.negotiation.state = state
	pc.life.events.Post(pc.life.group, func() { call(pc.life, &pc.onSignaling, state) })
}

// noteChange wakes Connect.
func (pc *PeerConnection) noteChange() {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	pc.changed.Note()
}

// noteFailure keeps the error of a start for Connect.
func (pc *PeerConnection) noteFailure(err error) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if pc.transports.failure == nil {
		pc.transports.failure = err
	}
	pc.changed.Note()
}

// Connect waits until the connection is connected: ICE, DTLS and, once data
// channels are negotiated, SCTP. The descriptions have to be exchanged
// meanwhile. It returns at once with the first failure: [ErrICEFailed], also
// while a restart could mend it, [ErrFingerprintMismatch], the peer's alert or
// abort, the cause when the connection ends.
//
// The context bounds the call alone: when it ends, the connection goes on.
func (pc *PeerConnection) Connect(ctx context.Context) error {
	const op = "peerconnection connect"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	for {
		pc.life.mu.Lock()
		t := pc.transports
		connected := pc.life.state == PeerConnectionStateConnected &&
			(!t.data || t.sctp == SCTPTransportStateConnected && t.associated)
		changed := pc.changed.Next()
		pc.life.mu.Unlock()
		switch cause := pc.life.group.Cause(); {
		case cause != nil:
			return ended(op, cause)
		case t.failure != nil:
			return opError(op, t.failure)
		case connected:
			return nil
		}
		select {
		case <-changed:
		case <-pc.life.group.Context().Done():
		case <-ctx.Done():
			return opError(op, pc.stillWaits(ctx))
		}
	}
}

// stillWaits is the error of a context that has ended, with what is missing if
// nothing could have connected.
func (pc *PeerConnection) stillWaits(ctx context.Context) error {
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	missing := ""
	switch {
	case n.begun:
	case n.local() == nil && n.remote() == nil:
		missing = "no description was set"
	case n.remote() == nil:
		missing = "the peer's description was not set"
	case n.local() == nil:
		missing = "no local description was set"
	case n.state != SignalingStateStable:
		missing = "the negotiation is in the state " + n.state.String()
	default:
		missing = "the descriptions have nothing to connect"
	}
	if missing == "" {
		return contextError(ctx)
	}

	return fmt.Errorf("%w (%s)", contextError(ctx), missing)
}
