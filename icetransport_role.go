package webrtc

import (
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// Role returns the role that we have in the checks: the one given to Start,
// or its opposite when a role conflict was decided against us. Before Start it
// is unknown, the zero value.
func (t *ICETransport) Role() ICERole {
	if t.alive() == nil {
		return 0
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.role
}

// onCheck runs in the agent's loop for every authenticated check. The role
// that the peer has in it is the opposite of ours, also after a role conflict
// (RFC 8445 7.3.1.1), of which the agent tells nothing else.
// https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.1
func (t *ICETransport) onCheck(message *stun.Message, pair *ice.CandidatePair) {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	switch {
	case message.Contains(stun.AttrICEControlled):
		t.role, t.peerRules = ICERoleControlling, false
	case message.Contains(stun.AttrICEControlling), message.Contains(stun.AttrUseCandidate):
		t.role, t.peerRules = ICERoleControlled, true // the agent takes peers that leave the role out
	}
	t.settledLocked()
	// A pair with a response is valid. This saves awaitNomination a look.
	if pair != nil && pair.ResponsesReceived() > 0 {
		t.readyLocked()
	} else if !t.isReady {
		t.heard = time.Now()
	}
}

// settledLocked notes that the roles are those that both sides have in the end. A
// check that was not refused tells so: who gives way in a conflict follows from
// the two tiebreakers, so that nobody does twice.
func (t *ICETransport) settledLocked() {
	if !t.isSettled {
		t.isSettled = true
		close(t.settled)
	}
}

// awaitChecks waits until onCheck has been told of the check, if it was one,
// that made the agent select its pair.
func (a *iceAgent) awaitChecks() {
	_, _, _ = a.GetLocalUserCredentials() // any task: the loop runs them one after the other
}

// settleRoleLocked finds out about a role conflict after which no check of the
// peer has arrived: they can be lost. A controlled agent has had one, the
// nomination, when it is connected; whoever has had none has nominated. Only a
// lite agent connects to another without checks, in the roles given to Start.
func (t *ICETransport) settleRoleLocked() {
	if !t.peerRules && !t.gatherer.settings.ICE.Lite {
		t.role = ICERoleControlling
	}
}
