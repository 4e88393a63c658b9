package webrtc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pion/ice/v4"
)

// A restart of ICE (RFC 8445 9). A second agent looks for a path, while the pair
// of the first one carries data until the second has nominated one. A restart
// that comes to nothing leaves everything as it was.
// https://www.rfc-editor.org/rfc/rfc8445#section-9

// drainTime is for how long the agent of before a restart still takes packets:
// the peer changes over when it has nominated, and what it has sent before is on
// the way.
const drainTime = 3 * time.Second

// wakeTime is how long nothing may be sent over a new path before it is tried.
const wakeTime = 30 * time.Millisecond

// traffic counts the bytes and packets of agents that are closed.
type traffic struct {
	sent, received uint64
	packets        uint32 // sent
}

// packetsSent counts those of all pairs that an agent still has.
func packetsSent(agent *ice.Agent) (packets uint32) {
	for _, pair := range agent.GetCandidatePairsStats() {
		packets += pair.PacketsSent
	}

	return packets
}

// Restart looks for another path to the peer, as after a change of the network:
// it gathers anew, and returns the new parameters when all candidates are
// found. OnLocalCandidate is told each as it is found, nil after the last;
// GetLocalCandidates of the gatherer has them all. They go to the peer, which
// restarts too, and its new parameters and candidates come back by
// SetRemoteParameters and AddRemoteCandidate.
//
// Until a pair of the new candidates is nominated, packets go over the old one;
// nothing above notices. A restart that is not answered, or finds no path,
// changes nothing. OnSelectedCandidatePairChange tells when the new one is in use.
// A failed transport that waits for a restart
// (ICESettings.FailedGrace) is connected again by it. A second Restart takes the
// place of the first.
//
// Errors: [ErrInvalidState] before the start, after the end, and if another
// restart has taken its place. If ctx ends first, its error and cause, and the
// restart is dropped.
func (t *ICETransport) Restart(ctx context.Context) (ICEParameters, error) {
	const op = "ice restart"
	if err := t.alive().usable(op); err != nil {
		return ICEParameters{}, err
	}
	if ctx == nil {
		return ICEParameters{}, refuse(op, ErrInvalidArgument, "nil context")
	}
	if err := t.mayRestart(op); err != nil {
		return ICEParameters{}, err
	}
	if ctx.Err() != nil {
		return ICEParameters{}, opError(op, contextError(ctx))
	}
	agent, err := t.prepareRestart(op, false)
	if err != nil {
		return ICEParameters{}, err
	}
	if err = t.gatherer.gatherAnew(op, agent); err == nil {
		_, err = t.gatherer.life.await(ctx, op, ICEGathererStateComplete)
	}
	t.life.mu.Lock()
	replaced := t.next != agent && t.agent != agent
	t.life.mu.Unlock()
	if err == nil && replaced {
		err = refuse(op, ErrInvalidState, "%w", t.life.causeOr(errReplaced))
	}
	if err != nil {
		t.drop(agent)

		return ICEParameters{}, err
	}

	return agent.params, nil
}

var errReplaced = errors.New("another restart has taken its place")

// SetRemoteParameters takes the peer's parameters of a restart, after Restart.
// The checks begin.
//
// Errors: [ErrInvalidArgument] for parameters that are malformed, or those that
// are in use; [ErrInvalidState] if there is no restart, or it has its
// parameters. Nothing has changed then.
func (t *ICETransport) SetRemoteParameters(params ICEParameters) error {
	const op = "ice set remote parameters"
	if err := t.alive().usable(op); err != nil {
		return err
	}
	if err := params.validate(); err != nil {
		return opError(op, err)
	}

	return t.setRemoteParameters(op, nil, params)
}

// setRemoteParameters is SetRemoteParameters for the agent of a certain restart, or
// of whichever there is.
func (t *ICETransport) setRemoteParameters(op string, of *iceAgent, params ICEParameters) error {
	t.life.mu.Lock()
	agent := t.next
	var err error
	switch {
	case t.life.group.Cause() != nil:
		err = refuse(op, ErrInvalidState, "transport has ended: %w", t.life.group.Cause())
	case of != nil && agent != of:
		err = refuse(op, ErrInvalidState, "%w", errReplaced)
	case agent == nil || agent.started:
		err = refuse(op, ErrInvalidState, "no restart waits for parameters")
	case t.mux == nil:
		err = refuse(op, ErrInvalidState, "the start has only begun")
	case params.UsernameFragment == t.agent.remote.UsernameFragment:
		err = refuse(op, ErrInvalidArgument, "these are the parameters in use: the peer has not restarted")
	default:
		agent.started, agent.remote = true, params
	}
	t.life.mu.Unlock()
	if err != nil {
		return err
	}

	return t.runNext(op, agent)
}

// runNext starts the agent of a restart, whose parameters are known.
func (t *ICETransport) runNext(op string, agent *iceAgent) error {
	t.updateState() // what has failed is checking from now on
	if err := t.run(agent, agent.remote); err != nil {
		t.drop(agent)

		return opError(op, t.life.causeOr(err))
	}
	t.life.mu.Lock()
	early := slices.DeleteFunc(t.early, func(c ICECandidate) bool {
		ufrag, _ := c.ufrag()

		return ufrag != agent.remote.UsernameFragment
	})
	t.early = nil
	t.life.mu.Unlock()
	for _, candidate := range early {
		if err := t.gatherer.addRemotes(op, agent, []ICECandidate{candidate}); err != nil {
			t.gatherer.log.Debugf("an early candidate is not used: %v", err)
		}
	}

	return nil
}

func (t *ICETransport) mayRestart(op string) error {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	switch {
	case t.life.group.Cause() != nil:
		return refuse(op, ErrInvalidState, "transport has ended: %w", t.life.group.Cause())
	case !t.started:
		return refuse(op, ErrInvalidState, "transport is %v: %w", t.life.state, errNotStarted)
	}

	return nil
}

// prepareRestart makes the second agent, in place of one of an earlier restart; or
// returns that, with reuse, if it was not started. It has its credentials, and does
// not gather yet.
func (t *ICETransport) prepareRestart(op string, reuse bool) (*iceAgent, error) {
	if err := t.mayRestart(op); err != nil {
		return nil, err
	}
	g := t.gatherer
	g.life.mu.Lock()
	servers := len(g.urls)
	g.life.mu.Unlock()
	agent, err := g.newAgent(op, servers, true)
	if err != nil {
		return nil, err
	}
	check := t.onCheck
	agent.check.Store(&check)
	t.life.mu.Lock()
	before, inUse := t.next, t.agent
	ended := t.life.group.Cause() != nil
	reuse = reuse && before != nil && !before.started && !before.dropped.Load() && !before.agreed.Load()
	if !ended && !reuse {
		t.next, t.early = agent, nil
	}
	t.life.mu.Unlock()
	if reuse { // another call was faster
		g.release(agent, before)

		return before, nil
	}
	if ended { // the gatherer closes it
		return nil, refuse(op, ErrInvalidState, "transport has ended: %w", t.life.group.Cause())
	}
	if before != nil {
		g.release(before, inUse) // until the new one gathers
	}

	return agent, nil
}

// drop ends a restart that came to nothing.
func (t *ICETransport) drop(agent *iceAgent) {
	t.life.mu.Lock()
	isNext := t.next == agent
	if isNext {
		t.next, t.early = nil, nil
	}
	inUse := t.agent
	t.life.mu.Unlock()
	if isNext {
		t.gatherer.release(agent, inUse)
		t.updateState()
	}
}

// switchTo makes the agent of a restart, which has nominated a pair, the one in
// use. It runs on the agent's notifier, or in attach, whichever comes last.
func (t *ICETransport) switchTo(agent *iceAgent) {
	t.life.mu.Lock()
	if t.next != agent || agent.conn == nil || t.life.group.Cause() != nil {
		t.life.mu.Unlock()

		return
	}
	before, conn := t.agent, agent.conn
	t.agent, t.next, t.early = agent, nil, nil
	t.former = append(t.former, before)
	if agent.pair != nil {
		t.postPairLocked(agent.pair)
	}
	t.life.mu.Unlock()
	drain := t.carrier.Switch(conn)
	t.updateState()
	t.watchConsent(agent)
	retired := make(chan struct{})
	if !before.expired { // nothing comes of one that is closed
		t.life.group.Go(func() { drain(retired) })
	}
	t.life.group.Go(func() {
		t.wake()
		timer := time.NewTimer(drainTime)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.life.group.Context().Done():
		}
		close(retired)
		t.retire(before, agent)
	})
}

// wake sends the last record over a new path if nobody else sends there: SCTP may
// wait for its timer, whose time has grown while there was no path.
func (t *ICETransport) wake() {
	written := t.carrier.Written()
	timer := time.NewTimer(wakeTime)
	defer timer.Stop()
	select {
	case <-timer.C:
		t.carrier.Repeat(written)
	case <-t.life.group.Context().Done():
	}
}

// retire closes an agent that is not used any more, and keeps what it counted.
func (t *ICETransport) retire(agent, inUse *iceAgent) {
	var packets uint32
	if t.life.group.Cause() == nil { // else the gatherer closes it just now
		packets = packetsSent(agent.Agent)
	}
	t.gatherer.release(agent, inUse)
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.former = slices.DeleteFunc(t.former, func(a *iceAgent) bool { return a == agent })
	t.past.add(agent.conn)
	t.past.packets += packets
}

func (n *traffic) add(conn *ice.Conn) {
	if conn != nil {
		n.sent += conn.BytesSent()
		n.received += conn.BytesReceived()
	}
}
