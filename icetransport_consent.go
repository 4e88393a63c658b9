package webrtc

import (
	"time"

	"github.com/ctxrtc/webrtc/internal/handover"
)

// Consent to send (RFC 7675). The agent takes any packet from the peer's address
// as a sign of life, and anybody can send one; only an answer to a check, which
// carries the password, says that the peer still wants what we send. So the
// answers are counted here, and 30 s without one are the end of the pair.
// https://www.rfc-editor.org/rfc/rfc7675#section-5.1
const (
	consentTime = 30 * time.Second
	// consentLook is the time from one look at the count to the next. The agent
	// checks every two seconds, 15 s at the most.
	consentLook = 2500 * time.Millisecond
)

// consent is what is known of one agent's pair. Its look runs by itself, one at a
// time.
type consent struct {
	pair     string // its ID
	answers  uint64
	renewed  time.Time // an answer came no later
	lastLook time.Time
}

// watchConsent begins to look, once for each agent. A lite agent sends no checks,
// and relies on those of the peer.
func (t *ICETransport) watchConsent(agent *iceAgent) {
	if t.gatherer.settings.ICE.Lite {
		return
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if agent != t.agent || agent.watched {
		return
	}
	agent.watched = true
	now := time.Now()
	t.nextLookLocked(agent, &consent{renewed: now, lastLook: now})
}

// nextLookLocked waits for the next look, unless the transport has failed or is
// ending, which stops the timer no more.
func (t *ICETransport) nextLookLocked(agent *iceAgent, c *consent) {
	if agent == t.agent && t.life.state != ICETransportStateFailed && t.life.state != ICETransportStateClosed {
		t.stopLook = t.life.group.After(consentLook, func() { t.lookForConsent(agent, c) })
	}
}

// lookForConsent counts the answers on the pair that is used. A change of the pair
// starts the time anew.
func (t *ICETransport) lookForConsent(agent *iceAgent, c *consent) {
	now := time.Now()
	stats, ok := agent.GetSelectedCandidatePairStats()
	pair := candidatePairStatsID(stats.LocalCandidateID, stats.RemoteCandidateID)
	switch {
	case ok && pair != c.pair:
		c.pair, c.answers, c.renewed = pair, stats.ResponsesReceived, now
	case ok && stats.ResponsesReceived != c.answers:
		c.answers, c.renewed = stats.ResponsesReceived, c.lastLook // or a little later
	}
	c.lastLook = now
	t.life.mu.Lock()
	lost := agent == t.agent && t.life.group.Cause() == nil && agent.state != ICETransportStateFailed &&
		now.Sub(c.renewed) >= consentTime
	if lost {
		agent.state, agent.expired = ICETransportStateFailed, true
	} else {
		t.nextLookLocked(agent, c)
	}
	t.life.mu.Unlock()
	if lost {
		// Nothing is sent any more. What reads waits: a restart may bring a path.
		t.carrier.Switch(handover.NewIdle(t.life.group.Context().Done()))
		packets := packetsSent(agent.Agent)
		t.life.set(func() { t.past.packets += packets })
		t.gatherer.release(agent, agent)
		t.updateState()
	}
}
