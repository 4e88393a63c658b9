package webrtc

// SetRemoteCandidates adds the candidates that were signaled, all or none: the
// first one that AddRemoteCandidate would refuse is the error.
func (t *ICETransport) SetRemoteCandidates(candidates []ICECandidate) error {
	const op = "ice set remote candidates"
	g, err := t.mayAdd(op)
	if err != nil {
		return err
	}

	return g.addRemotes(op, candidates)
}

// AddRemoteCandidate adds one candidate that was signaled, before or after
// Start. nil means that there are no more. Ignored are a candidate that was
// added before, and a TCP one that would have to be dialled, unless
// ICESettings.EnableActiveTCP allows that.
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

	return g.addRemotes(op, []ICECandidate{*candidate})
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
