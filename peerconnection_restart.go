package webrtc

import "github.com/ctxrtc/webrtc/internal/jsep"

// RestartICE has the next offer restart ICE, and makes one needed: both sides
// gather anew and look for another path, as after a change of the network, while
// the old one carries data. A restart that is taken back, or finds no path,
// changes nothing. OnSelectedCandidatePairChange of the ICE transport tells when the
// new path is in use; Connect does not wait for it while the old one is connected.
// A connection that has failed can be mended by it for 30 s, see
// ICESettings.FailedGrace. While the offer of a restart waits for its answer it asks
// for another one after it. Before the connection has begun to connect it has no
// effect. OfferOptions.ICERestart does the same for one offer.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-restartice
func (pc *PeerConnection) RestartICE() {
	pc.alive().set(func() {
		n := &pc.negotiation
		if n.begun && n.state != SignalingStateClosed {
			// What is on offer already was asked for before: these are to be
			// replaced, too.
			n.restart, n.again = true, n.pendingLocal != nil && n.anew.has(n.pendingLocal.values)
			pc.checkNeededLocked()
		}
	})
}

// credentials are those of the next description: new ones if it restarts ICE. A
// second agent has them then, which does nothing before the description is set.
func (pc *PeerConnection) credentials(op string, typ SDPType, restart bool) (ICEParameters, error) {
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	restart = n.begun && (restart || n.restart)
	if typ != SDPTypeOffer {
		restart = n.pendingRemote != nil && n.pendingRemote.Type == SDPTypeOffer && n.restarts(n.pendingRemote.values)
	}
	switch {
	case !restart:
		return n.ice, nil
	case n.anew != nil:
		return n.anew.params, nil
	}
	agent, err := pc.ice.prepareRestart(op, true)
	if err != nil {
		return ICEParameters{}, err
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if pc.negotiation.anew != agent { // else another call was faster
		pc.negotiation.anew, pc.negotiation.gathersAnew = agent, false
	}

	return agent.params, nil
}

// isOurs tells whether a description of ours has credentials that still count.
func (n *negotiation) isOurs(values *jsep.Description) bool {
	path, _, _, ok := values.Path()

	return !ok || path.UsernameFragment == n.ice.UsernameFragment || n.anew.has(values)
}

// has tells whether a description of ours has the credentials of an agent.
func (a *iceAgent) has(values *jsep.Description) bool {
	path, _, _, ok := values.Path()

	return ok && a != nil && path.UsernameFragment == a.params.UsernameFragment
}

// gatherLocked starts gathering for a description of ours, once for each agent.
func (n *negotiation) gatherLocked(values *jsep.Description, e *effects) {
	if !n.gathers {
		n.gathers, e.gather = true, true
	}
	if !n.gathersAnew && n.anew.has(values) {
		n.gathersAnew, e.anew = true, n.anew
	}
}

// giveUpRestart drops the agent of a restart, with the descriptions that name it.
func (n *negotiation) giveUpRestart(e *effects) {
	if n.anew == nil {
		return
	}
	n.anew.dropped.Store(true) // and is not used again, before it is closed
	e.drop, n.anew, n.gathersAnew, n.again = n.anew, nil, false, false
	n.createdOffer, n.createdAnswer = nil, nil
}

// rejectRestart is for an answer that leaves nothing to restart. It is not asked for
// again, unless the program has.
func (n *negotiation) rejectRestart(e *effects) {
	if n.anew.has(n.local().values) {
		n.restart = n.again
	}
	n.giveUpRestart(e)
}

// restartLocked begins a restart that both sides have described.
func (n *negotiation) restartLocked(p *prepared, e *effects) {
	if !n.anew.has(n.local().values) {
		return
	}
	remote := p.remote.ice
	e.restart, e.restarted = &remote, n.anew
	n.anew.agreed.Store(true) // a restart after it has an agent of its own
	n.ice, n.anew = n.anew.params, nil
	n.restart, n.again = n.again, false
	n.peer.UsernameFragment, n.peer.Password = remote.UsernameFragment, remote.Password
}

// tag is the mid of the section whose transport was negotiated, empty before.
func (n *negotiation) tag() string {
	if n.currentRemote == nil {
		return ""
	}
	answer := n.currentRemote.values
	if n.currentLocal.Type == SDPTypeAnswer {
		answer = n.currentLocal.values
	}
	_, mid, _, _ := answer.Path()

	return mid
}
