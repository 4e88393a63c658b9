package webrtc

// CreateDataChannel makes a channel, which opens when the connection has an
// association; OnOpen tells. The first one makes a negotiation needed. options
// may be nil.
//
// Errors: those of [API.NewDataChannel].
func (pc *PeerConnection) CreateDataChannel(label string, options *DataChannelInit) (*DataChannel, error) {
	const op = "peerconnection create data channel"
	if err := pc.alive().usable(op); err != nil {
		return nil, err
	}
	if pc.SignalingState() == SignalingStateClosed {
		return nil, pc.closedError(op)
	}
	params := options.parameters(label)

	return pc.api.NewDataChannel(pc.sctp, &params)
}

// wantData makes a negotiation of data channels needed.
func (pc *PeerConnection) wantData() {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	pc.negotiation.wantsData = true
	pc.checkNeededLocked()
}

// OnNegotiationNeeded sets the handler that is told that an offer has to be made.
// It is told once, until a negotiation has been completed or an offer taken back, on
// a goroutine of its own, one call after the other: it may make the offer and wait. One that is set late is told at once
// what nobody was. It may be nil.
func (pc *PeerConnection) OnNegotiationNeeded(handler func()) {
	pc.alive().set(func() {
		pc.onNeeded = handler
		if handler != nil && pc.negotiation.needed && !pc.negotiation.told {
			pc.life.group.Handle(pc.tellNeeded)
		}
	})
}

// checkNeededLocked tells the program, once, that what was negotiated is not
// what it wants. https://www.w3.org/TR/webrtc/#dfn-update-the-negotiation-needed-flag
func (pc *PeerConnection) checkNeededLocked() {
	n := &pc.negotiation
	if n.state != SignalingStateStable {
		return // it is looked at again when that is over
	}
	switch needed := n.wantsNegotiation(); {
	case !needed:
		n.needed = false
	case !n.needed:
		n.needed, n.told = true, false
		pc.life.group.Handle(pc.tellNeeded)
	}
}

// wantsNegotiation tells whether there is something that was not negotiated. Data
// channels that the peer has rejected are not asked for again.
func (n *negotiation) wantsNegotiation() bool {
	switch {
	case n.restart, n.wantsMedia():
		return true
	case !n.wantsData:
		return false
	}
	for _, s := range n.past() {
		if s.IsData() {
			return false
		}
	}

	return true
}

// tellNeeded tells the handler, unless the program has begun to negotiate by
// itself meanwhile. One call comes after the other.
func (pc *PeerConnection) tellNeeded() {
	for {
		pc.life.mu.Lock()
		n := &pc.negotiation
		handler := pc.onNeeded
		due := n.state == SignalingStateStable && n.needed && !n.told && !n.telling && handler != nil
		if due {
			n.told, n.telling = true, true
		}
		pc.life.mu.Unlock()
		if !due {
			return
		}
		handler()
		pc.life.set(func() { n.telling = false })
	}
}
