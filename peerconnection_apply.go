package webrtc

import "github.com/ctxrtc/webrtc/internal/jsep"

// apply moves the negotiation on, all at once, and hands what follows from it
// to work. It returns false, and nothing has changed, if the negotiation is not
// where it was when the description was looked at.
func (pc *PeerConnection) apply(p *prepared) (<-chan error, bool) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	n := &pc.negotiation
	to, ok := nextSignaling(n.state, p.set)
	if !ok || n.position() != p.at {
		return nil, false
	}
	if p.set.local && p.description != nil && !n.isOurs(p.values) {
		return nil, false // of a restart that was given up
	}
	effects := pc.commitLocked(p, to)
	applied := make(chan error, 1)
	done := pc.life.group.Busy()
	pc.work.Post(nil, func() {
		defer done()
		applied <- pc.perform(effects)
	})
	pc.checkNeededLocked()

	return applied, true
}

// effects are what follows from a description, outside of the negotiation.
type effects struct {
	gather     bool
	drop       *iceAgent         // of a restart that was taken back
	anew       *iceAgent         // of a restart, to gather
	restart    *ICEParameters    // of the peer, with which that begins
	restarted  *iceAgent         // which does
	start      *remoteParameters // transports, nil if all run or have no path
	first      bool              // that of all of them
	controls   bool              // our role in ICE
	associate  bool              // SCTP, too
	rejected   bool              // there will be no data channels
	candidates []ICECandidate
	media      []mediaChange
}

// commitLocked is the part that changes the fields.
func (pc *PeerConnection) commitLocked(p *prepared, to SignalingState) (e effects) {
	n := &pc.negotiation
	pending := &n.pendingRemote
	if p.set.local {
		pending = &n.pendingLocal
	}
	// What our description or our answer would have restarted is given up.
	if p.set.sdp == SDPTypeRollback || p.set.sdp == SDPTypeOffer && !p.set.local {
		n.giveUpRestart(&e)
	}
	switch p.set.sdp {
	case SDPTypeRollback:
		*pending = nil
		n.needed = false // or it is told again
		if !p.set.local {
			n.forgetPeer()
		}
	case SDPTypeOffer:
		if !p.set.local {
			n.pendingLocal = nil // the implicit rollback
		}
		*pending = p.description
	case SDPTypePranswer:
		*pending = p.description
	case SDPTypeAnswer:
		*pending = p.description
		n.currentLocal, n.currentRemote = n.pendingLocal, n.pendingRemote
		n.pendingLocal, n.pendingRemote = nil, nil
		n.createdOffer, n.createdAnswer = nil, nil
		n.needed = false
		if !p.starts { // all is rejected, and a restart with it
			n.rejectRestart(&e)
		}
	case SDPTypeUnknown:
	}
	pc.mediaLocked(p, &e)
	if n.pendingRemote != p.at.pendingRemote {
		n.createdAnswer = nil // it answers another offer
	}
	if p.set.local && p.description != nil {
		n.gatherLocked(p.values, &e)
		if n.anew.has(p.values) {
			p.agent = n.anew
		}
	}
	if !p.set.local && p.description != nil {
		n.take(p.candidates, pc.api.settings.ICE.MaxRemoteCandidates)
	}
	if p.starts {
		if p.set.local {
			n.dropRejected(p.values)
		}
		pc.startLocked(p, &e)
	}
	e.rejected = p.set.sdp == SDPTypeAnswer && n.wantsData && n.dataRefused()
	e.candidates = n.readyCandidates()
	pc.setSignalingLocked(to)

	return e
}

// startLocked settles what an answer that has a path starts: the transports, data
// channels, a restart of ICE, or nothing.
func (pc *PeerConnection) startLocked(p *prepared, e *effects) {
	n := &pc.negotiation
	first := !n.begun
	if !first {
		n.restartLocked(p, e)
	}
	e.associate = p.remote.data && !pc.transports.data
	pc.transports.data = pc.transports.data || p.remote.data
	if !first && !e.associate {
		return
	}
	n.begun = true
	path, _, _, _ := p.values.Path()
	n.setup = path.Setup
	if !p.set.local {
		n.setup = oppositeSetup(path.Setup)
	}
	remote := p.remote
	e.start, e.first = &remote, first
	if first {
		n.peer = jsep.Transport{
			UsernameFragment: remote.ice.UsernameFragment, Password: remote.ice.Password, Fingerprints: remote.fingerprints,
		}
	}
	// The side that offers controls, unless the other alone is not lite.
	// https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1
	lite := n.ice.ICELite
	e.controls = !p.set.local
	if lite != remote.ice.ICELite {
		e.controls = !lite
	}
}

func oppositeSetup(s jsep.Setup) jsep.Setup {
	if s == jsep.SetupPassive {
		return jsep.SetupActive
	}

	return jsep.SetupPassive
}
