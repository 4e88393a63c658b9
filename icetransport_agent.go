package webrtc

import (
	"context"
	"errors"
	"fmt"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/handover"
	"github.com/ctxrtc/webrtc/internal/mux"
)

// How a transport runs its agents, and what they tell it.

// connect runs the agent until it has nominated a pair or failed.
func (t *ICETransport) connect(ctx context.Context, params ICEParameters) error {
	t.life.mu.Lock()
	agent := t.agent
	t.life.mu.Unlock()
	if err := t.run(agent, params); err != nil {
		err = t.life.causeOr(err)
		t.end(err, ICETransportStateFailed)

		return err
	}
	state, err := t.awaitNomination(ctx, "ice start")
	if state == ICETransportStateFailed {
		t.giveUp()

		return t.failure()
	}

	return err
}

// run starts an agent towards that of the peer.
func (t *ICETransport) run(agent *iceAgent, params ICEParameters) error {
	t.life.mu.Lock()
	role := t.role
	t.life.mu.Unlock()
	start := agent.StartAccept
	if role == ICERoleControlling {
		start = agent.StartDial
	}
	agent.controls.Store(role == ICERoleControlling)
	err := errors.Join(
		agent.OnConnectionStateChange(func(state ice.ConnectionState) { t.onAgentState(agent, state) }),
		agent.OnSelectedCandidatePairChange(func(local, remote ice.Candidate) { t.onAgentPair(agent, local, remote) }),
		agent.SetRemoteICELite(params.ICELite))
	if err != nil {
		return err
	}
	conn, err := start(params.UsernameFragment, params.Password)
	if err == nil {
		t.attach(agent, conn)
	}

	return err
}

// failure says that no pair works, and between how many candidates.
func (t *ICETransport) failure() error {
	t.life.mu.Lock()
	agent, expired := t.agent, t.agent.expired
	t.life.mu.Unlock()
	if expired {
		return fmt.Errorf("%w: the peer has answered no check for %v", ErrICEFailed, consentTime)
	}
	local, remote := agent.remotes.counts()

	return fmt.Errorf("%w: %d local and %d remote candidates", ErrICEFailed, local, remote)
}

// attach notes the connection of an agent. That of the first one makes the path;
// that of a restart takes it over if the agent was faster, and is connected.
func (t *ICETransport) attach(agent *iceAgent, conn *ice.Conn) {
	t.life.mu.Lock()
	agent.conn = conn
	connected := agent.state == ICETransportStateConnected
	first := t.mux == nil
	if first {
		t.carrier = handover.New(conn)
		t.mux = mux.New(t.carrier)
		if t.valid {
			t.readyLocked()
		}
	}
	t.life.mu.Unlock()
	if connected && !first {
		t.switchTo(agent)
	}
}

// onAgentState runs on the agent's notifier, in the order of its changes.
func (t *ICETransport) onAgentState(agent *iceAgent, agentState ice.ConnectionState) {
	state := newICETransportStateFromICE(agentState)
	if state == ICETransportStateClosed {
		return // the agent is closed by us alone, and that is told by end
	}
	switch state {
	case ICETransportStateConnected:
		agent.awaitChecks()
	case ICETransportStateFailed:
		agent.isDead.Store(true)
	default:
	}
	t.life.mu.Lock()
	if agent.expired { // it is being closed
		t.life.mu.Unlock()

		return
	}
	agent.state = state
	isNext := agent == t.next
	t.life.mu.Unlock()
	switch {
	case isNext && state == ICETransportStateConnected:
		t.switchTo(agent)
	case isNext && state == ICETransportStateFailed:
		// Not on the agent's own goroutine, which closing the agent waits for.
		t.life.group.Go(func() { t.drop(agent) })
	default:
		t.updateState()
		if state == ICETransportStateConnected {
			t.watchConsent(agent)
		}
	}
}

// updateState takes the state to what that of the agents amounts to. What was
// disconnected or has failed is checking while a restart is. The one after a
// restart may come late: what it was is looked at anew.
func (t *ICETransport) updateState() {
	t.life.mu.Lock()
	before := t.life.state
	state := t.agent.state
	if t.next != nil && t.next.started &&
		(state == ICETransportStateDisconnected || state == ICETransportStateFailed) {
		if t.life.group.Cause() == nil && before == ICETransportStateConnected {
			t.life.moveLocked(state) // which is told first
		}
		state = ICETransportStateChecking
	}
	moved := t.life.group.Cause() == nil && t.life.moveLocked(state)
	if moved && state == ICETransportStateConnected {
		t.settleRoleLocked()
		t.settledLocked()
		t.readyLocked()
	}
	var stopGrace func() bool
	if moved && before == ICETransportStateFailed {
		stopGrace, t.stopGrace = t.stopGrace, nil
	}
	t.life.mu.Unlock()
	if stopGrace != nil {
		stopGrace()
	}
	if moved && state == ICETransportStateFailed {
		// Not on the agent's own goroutine, which closing the agent waits for.
		t.life.group.Go(t.giveUp)
	}
}

// giveUp ends a failed transport, at once or when its grace is over. A restart
// in the meantime takes it out of failed.
func (t *ICETransport) giveUp() {
	t.life.mu.Lock()
	grace := t.gatherer.settings.ICE.FailedGrace
	scheduled := t.stopGrace != nil
	stopped := t.life.state != ICETransportStateFailed // and stops the timer no more
	if grace > 0 && !scheduled && !stopped {
		t.stopGrace = t.life.group.After(grace, func() {
			if t.State() == ICETransportStateFailed {
				t.end(opError("ice", t.failure()), ICETransportStateFailed)
			}
		})
	}
	t.life.mu.Unlock()
	if grace == 0 && !stopped {
		t.end(opError("ice", t.failure()), ICETransportStateFailed)
	}
}

// onAgentPair runs on the agent's notifier.
func (t *ICETransport) onAgentPair(agent *iceAgent, local, remote ice.Candidate) {
	pair, err := newPairFromICE(local, remote)
	if err != nil {
		return
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	again := agent.paired
	agent.paired = true
	switch {
	case t.life.state == ICETransportStateClosed:
	case agent == t.agent:
		t.postPairLocked(pair)
		if again && t.carrier != nil { // the pair before may have lost what went last
			t.life.group.Go(t.wake)
		}
	case agent == t.next:
		agent.pair = pair // told when the agent is the one in use
	}
}

func (t *ICETransport) postPairLocked(pair *ICECandidatePair) {
	t.life.events.Post(t.life.group, func() { call(t.life, &t.onPair, pair) })
}

// readyLocked notes a valid pair. A check may arrive before the start has its
// connection in hand.
func (t *ICETransport) readyLocked() {
	t.valid = true
	if t.mux != nil && !t.isReady {
		t.isReady = true
		close(t.ready)
	}
}
