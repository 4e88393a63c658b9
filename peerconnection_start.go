package webrtc

import (
	"context"
	"errors"
)

// errDataRejected is why channels end that the peer does not want.
var errDataRejected = errors.New("the peer has rejected data channels")

// perform does what follows from a description. It runs on the queue of work:
// one description after the other.
func (pc *PeerConnection) perform(e effects) error {
	closed := false
	pc.life.set(func() { closed = pc.ended })
	if closed { // nothing of it was done, which is no success
		return pc.life.causeOr(ErrClosed)
	}
	if e.drop != nil {
		pc.ice.drop(e.drop)
	}
	var err error
	if e.anew != nil {
		err = pc.gatherer.gatherAnew("peerconnection restart", e.anew)
	}
	if e.restart != nil {
		begun := pc.ice.setRemoteParameters("peerconnection restart", e.restarted, *e.restart)
		if errors.Is(begun, errReplaced) { // by an offer that was created meanwhile
			pc.log.Debugf("applying a description: %v", begun)
			begun = nil
		}
		err = and(err, begun)
	}
	if e.gather {
		err = and(err, pc.gatherer.Gather())
	}
	if e.rejected {
		pc.sctp.end(opError("sctp", errDataRejected))
	}
	for i := range e.candidates {
		if err := pc.ice.AddRemoteCandidate(&e.candidates[i]); err != nil {
			pc.log.Debugf("a candidate is not used: %v", err)
		}
	}
	if e.start != nil {
		err = and(err, pc.start(*e.start, e))
	}
	// After the transports: a track of the program's may take its time to be bound.
	refused := pc.changeMedia(e.media)
	if err != nil {
		pc.log.Warnf("applying a description: %v", err)
		pc.noteFailure(err)
	}
	if refused != nil { // a track that is not sent does not keep the others back
		pc.log.Warnf("applying a description: %v", refused)
	}

	return and(err, refused)
}

// start starts the transports that are not. They end with the connection, so
// that no context is needed; each waits for the one below it.
func (pc *PeerConnection) start(remote remoteParameters, e effects) error {
	if e.first {
		const op = "ice start"
		role := ICERoleControlled
		if e.controls {
			role = ICERoleControlling
		}
		ctx := context.Background()
		if err := pc.ice.begin(ctx, op, nil, remote.ice, &role); err != nil {
			return err
		}
		pc.startTask(func() error { return pc.ice.proceed(ctx, op, remote.ice) })
		// The handshake's time counts from the first valid pair.
		pc.startTask(func() error {
			select {
			case <-pc.ice.ready:
				return pc.dtls.Start(remote.dtls)
			case <-pc.Context().Done():
				return nil
			}
		})
	}
	if e.associate {
		pc.startTask(func() error {
			if _, err := pc.dtls.AwaitState(pc.Context(), DTLSTransportStateConnected); err != nil {
				return nil //nolint:nilerr // the start of DTLS tells
			}

			err := pc.sctp.Start(remote.sctp)
			if err == nil {
				pc.moved(func(t *transportStates) { t.associated = true })
			}

			return err
		})
	}

	return nil
}

// startTask runs a start beside the others, and keeps its error for Connect.
func (pc *PeerConnection) startTask(start func() error) {
	pc.life.group.Go(func() {
		if err := start(); err != nil {
			pc.noteFailure(err)
		}
	})
}
