package webrtc

import "errors"

// SetRemoteCandidates adds the candidates that were signaled, all or none: the
// first one that AddRemoteCandidate would refuse is the error.
func (t *ICETransport) SetRemoteCandidates(candidates []ICECandidate) error {
	const op = "ice set remote candidates"
	g, err := t.mayAdd(op)
	if err != nil {
		return err
	}

	return t.addCandidates(op, g, candidates)
}

// AddRemoteCandidate adds one candidate that was signaled, before or after
// Start. nil means that there are no more. Ignored are a candidate that was
// added before, and a TCP one that would have to be dialled, unless
// ICESettings.EnableActiveTCP allows that.
//
// While the transport restarts, a candidate belongs to the agent that its ufrag
// names, and without one to that of SetRemoteParameters, if it has been called.
// Between Restart and SetRemoteParameters a candidate of the peer's new agent
// waits, if it has its ufrag.
//
// Refused are candidates beyond ICESettings.MaxRemoteCandidates, and addresses
// that the settings do not allow: unspecified always, loopback and link-local
// by default.
func (t *ICETransport) AddRemoteCandidate(candidate *ICECandidate) error {
	const op = "ice add remote candidate"
	g, err := t.mayAdd(op)
	if err != nil || candidate == nil {
		return err
	}

	return t.addCandidates(op, g, []ICECandidate{*candidate})
}

var errManyEarly = errors.New("too many candidates before the parameters")

// addCandidates gives each candidate to the agent it belongs to.
func (t *ICETransport) addCandidates(op string, g *ICEGatherer, candidates []ICECandidate) error {
	var now, next, early []ICECandidate
	t.life.mu.Lock()
	agent, restart, waiting := t.agent, t.next, len(t.early)
	for _, candidate := range candidates {
		ufrag, _ := candidate.ufrag()
		switch {
		case restart == nil || (ufrag != "" && ufrag == agent.remote.UsernameFragment):
			now = append(now, candidate)
		case restart.started && (ufrag == "" || ufrag == restart.remote.UsernameFragment):
			next = append(next, candidate)
		case restart.started || ufrag == "":
			now = append(now, candidate)
		default:
			early = append(early, candidate)
		}
	}
	t.life.mu.Unlock()
	if len(early) > 0 && waiting+len(early) > g.settings.ICE.MaxRemoteCandidates {
		return refuse(op, ErrInvalidState, "%w", errManyEarly)
	}
	for i := range early {
		if _, err := restart.checkRemote(op, &early[i]); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		agent      *iceAgent
		candidates []ICECandidate
	}{{agent, now}, {restart, next}} {
		if len(part.candidates) > 0 {
			if err := g.addRemotes(op, part.agent, part.candidates); err != nil {
				return err
			}
		}
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.next == restart && len(early) > 0 {
		t.early = append(t.early, early...)
	}

	return nil
}

// mayAdd returns the gatherer, whose agent takes candidates as long as the
// transport lives.
func (t *ICETransport) mayAdd(op string) (*ICEGatherer, error) {
	g, err := t.ownGatherer(op)
	if err != nil {
		return nil, err
	}
	if cause := t.life.group.Cause(); cause != nil {
		return nil, refuse(op, ErrInvalidState, "transport has ended: %w", cause)
	}

	return g, nil
}
