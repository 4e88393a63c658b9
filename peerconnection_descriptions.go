package webrtc

import (
	"context"
	"errors"
)

// SetLocalDescription applies a description that CreateOffer or CreateAnswer
// has made: gathering starts, and with an answer the transports do. It does not
// wait for any of this; OnICECandidate tells the candidates.
//
// With an empty SDP a new one is made; with an empty Type too, an offer or an
// answer, whichever is due. A rollback takes our own offer back.
//
// Errors: [ErrInvalidState] if the signaling state does not allow the
// description; [ErrInvalidModification] if it is another than the one created.
// Nothing has changed then.
func (pc *PeerConnection) SetLocalDescription(desc SessionDescription) error {
	_, _, err := pc.set(context.Background(), setLocalOp, desc, pc.prepareLocal)

	return err
}

// SetLocalDescriptionContext is SetLocalDescription, and waits until gathering
// is complete: LocalDescription has all candidates then, and none has to be
// signaled by itself. If ctx ends first, the description stays, and gathering
// goes on. If it restarts ICE, and is taken back or rejected before that, the error
// is [ErrInvalidState].
func (pc *PeerConnection) SetLocalDescriptionContext(ctx context.Context, desc SessionDescription) error {
	p, applied, err := pc.set(ctx, setLocalOp, desc, pc.prepareLocal)
	if err != nil {
		return err
	}
	if err = awaitApplied(ctx, setLocalOp, applied); err != nil || desc.Type == SDPTypeRollback {
		return err
	}
	_, err = pc.gatherer.life.await(ctx, setLocalOp, ICEGathererStateComplete)
	if err == nil && p.agent != nil && p.agent.dropped.Load() {
		err = refuse(setLocalOp, ErrInvalidState, "%w", errGivenUp)
	}

	return err
}

// SetRemoteDescription applies a description of the peer's. With an answer the
// transports start; [PeerConnection.Connect] waits for them. It does not wait.
//
// An offer of the peer's while our own has no answer takes ours back, as
// perfect negotiation has it. A rollback takes the peer's offer back.
//
// Errors: *[SDPSyntaxError] with the line if the text cannot be read;
// [ErrInvalidArgument] if it does not fit what was negotiated, or has parameters
// that the transports refuse; [ErrInvalidState] if the signaling state does not
// allow it. Nothing has changed then.
func (pc *PeerConnection) SetRemoteDescription(desc SessionDescription) error {
	_, _, err := pc.set(context.Background(), setRemoteOp, desc, pc.prepareRemote)

	return err
}

// SetRemoteDescriptionContext is SetRemoteDescription, and returns when the
// description is applied: candidates have been handed to ICE and the transports
// it asks for have been started. Its error tells what of this failed. If ctx
// ends first, the description stays.
func (pc *PeerConnection) SetRemoteDescriptionContext(ctx context.Context, desc SessionDescription) error {
	_, applied, err := pc.set(ctx, setRemoteOp, desc, pc.prepareRemote)
	if err != nil {
		return err
	}

	return awaitApplied(ctx, setRemoteOp, applied)
}

var errGivenUp = errors.New("the restart was given up before it had its candidates")

const (
	setLocalOp  = "peerconnection set local description"
	setRemoteOp = "peerconnection set remote description"
)

// set applies a description. What it sets off is done when the channel has its
// error.
func (pc *PeerConnection) set(
	ctx context.Context, op string, desc SessionDescription, prepare func(desc SessionDescription) (*prepared, error),
) (p *prepared, applied <-chan error, err error) {
	if err := pc.alive().usable(op); err != nil {
		return nil, nil, err
	}
	if ctx == nil {
		return nil, nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	for {
		p, err := prepare(desc)
		switch {
		case err != nil:
			return nil, nil, err
		case ctx.Err() != nil:
			pc.forget(p.matches)

			return nil, nil, opError(op, contextError(ctx))
		}
		if applied, ok := pc.apply(p); ok { //nolint:contextcheck // what it starts lives with the connection
			return p, applied, nil
		}
		pc.forget(p.matches)
		// Another call was faster. What the description means now, and whether
		// it is allowed, has to be looked at again.
	}
}

// awaitApplied waits for what a description has set off.
func awaitApplied(ctx context.Context, op string, applied <-chan error) error {
	select {
	case err := <-applied:
		return opError(op, err)
	case <-ctx.Done():
		return opError(op, contextError(ctx))
	}
}
