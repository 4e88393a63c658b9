package webrtc

import "github.com/ctxrtc/webrtc/internal/jsep"

// RestartICE has the next offer restart ICE, and makes one needed: both sides
// gather anew and look for another path, as after a change of the network, while
// the old one carries data. A restart that is taken back, or finds no path,
// changes nothing. OnSelectedCandidatePairChange of the ICE transport tells when the
// new path is in use; Connect does not wait for it while the old one is connected.
// A connection that has failed can be mended by it for 30 s, see
// ICESettings.FailedGrace. Before the connection has begun to connect it has no
// effect. OfferOptions.ICERestart does the same for one offer.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-restartice
func (pc *PeerConnection) RestartICE() {
	pc.alive().set(func() {
		n := &pc.negotiation
		if n.begun && n.state != SignalingStateClosed {
			n.restart = true
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
	agent, err := pc.ice.prepareRestart(op)
	if err != nil {
		return ICEParameters{}, err
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	pc.negotiation.anew, pc.negotiation.gathersAnew = agent, false

	return agent.params, nil
}

// isOurs tells whether a description of ours has credentials that still count.
func (n *negotiation) isOurs(values *jsep.Description) bool {
	path, _, _, ok := values.Path()

	return !ok || path.UsernameFragment == n.ice.UsernameFragment ||
		n.anew != nil && path.UsernameFragment == n.anew.params.UsernameFragment
}

// gatherLocked starts gathering for a description of ours, once for each agent.
func (n *negotiation) gatherLocked(values *jsep.Description, e *effects) {
	if !n.gathers {
		n.gathers, e.gather = true, true
	}
	path, _, _, ok := values.Path()
	if ok && n.anew != nil && !n.gathersAnew && path.UsernameFragment == n.anew.params.UsernameFragment {
		n.gathersAnew, e.anew = true, n.anew
	}
}

// giveUpRestart drops the agent of a restart, with the descriptions that name it.
func (n *negotiation) giveUpRestart(e *effects) {
	if n.anew == nil {
		return
	}
	e.drop, n.anew, n.gathersAnew = n.anew, nil, false
	n.createdOffer, n.createdAnswer = nil, nil
}

// restartLocked begins a restart that both sides have described.
func (n *negotiation) restartLocked(p *prepared, e *effects) {
	path, _, _, ok := p.values.Path()
	if ok && !p.set.local {
		path, _, _, ok = n.local().values.Path()
	}
	if !ok || n.anew == nil || path.UsernameFragment != n.anew.params.UsernameFragment {
		return
	}
	remote := p.remote.ice
	e.restart = &remote
	n.ice, n.anew, n.restart = n.anew.params, nil, false
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
