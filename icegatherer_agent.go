package webrtc

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// iceAgent is one agent of a gatherer with what belongs to it. There is one, and
// a second one while the transport restarts: an agent that is restarted itself
// closes all its sockets, and the connection would be gone until the peer has
// answered.
type iceAgent struct {
	*ice.Agent

	params  ICEParameters // which do not change
	remotes *remoteLimits
	names   *lifecycle.Group // of the tasks that look the peer's names up

	// check tells the transport of an authenticated connectivity check. It
	// runs in the agent's loop.
	check atomic.Pointer[func(message *stun.Message, pair *ice.CandidatePair)]

	// The lock of the gatherer's life guards these.
	local     []ownCandidate // that are told
	gathering questioning
	addresses addresses
	named     []ICECandidate // of the peer's, that are not looked up yet
	lookups   int            // that are under way

	// lost are the candidates whose addresses are gone, by their keys; pending is what
	// waits to run in the agent's loop; controls is the role that it was started in;
	// isDead tells that it has failed, and has no candidates any more.
	lost     atomic.Pointer[map[string]struct{}]
	pending  atomic.Pointer[func()]
	controls atomic.Bool
	isDead   atomic.Bool

	// The lock of the transport's life guards what that knows of the agent.
	remote  ICEParameters // of the peer's agent, once it is started
	started bool
	conn    *ice.Conn
	state   ICETransportState
	pair    *ICECandidatePair // selected before the agent was the one in use
	paired  bool              // one has been selected
	dropped atomic.Bool       // its restart was taken back
	agreed  atomic.Bool       // both sides have described its restart
	watched bool              // its consent is
	expired bool              // and was not renewed
}

// newAgent makes an agent, with new credentials if anew is set. That of a restart
// does nothing before gatherAnew.
func (g *ICEGatherer) newAgent(op string, servers int, anew bool) (*iceAgent, error) {
	options, err := g.settings.iceAgentOptions(servers, g.policy)
	if err != nil {
		return nil, opError(op, err)
	}
	a := &iceAgent{
		remotes: newRemoteLimits(&g.settings.ICE), names: lifecycle.NewGroup(), gathering: newQuestioning(),
	}
	options = append(options,
		ice.WithRemoteIPFilter(a.acceptRemote),
		ice.WithBindingRequestHandler(g.onBindingRequest(a)))
	if anew {
		options = append(options, ice.WithLocalCredentials("", ""))
	}
	if a.Agent, err = ice.NewAgentWithOptions(options...); err != nil {
		return nil, opError(op, err)
	}
	ufrag, password, err := a.GetLocalUserCredentials()
	if err == nil {
		a.params = ICEParameters{UsernameFragment: ufrag, Password: password, ICELite: g.settings.ICE.Lite}
		err = a.OnCandidate(func(found ice.Candidate) { g.onAgentCandidate(a, found) })
	}
	if err != nil {
		return nil, opError(op, errors.Join(err, a.Close()))
	}
	g.life.mu.Lock()
	ended := g.life.state == ICEGathererStateClosed
	if !ended {
		g.agents = append(g.agents, a)
		if !anew { // or it is when it gathers
			g.newest = a
		}
	}
	g.life.mu.Unlock()
	if ended {
		return nil, refuse(op, ErrInvalidState, "%w", errors.Join(g.life.endCause(), a.Close()))
	}

	return a, nil
}

// gatherAnew has an agent gather, which is the newest then. What another one still
// gathers is not told any more.
func (g *ICEGatherer) gatherAnew(op string, a *iceAgent) error {
	g.life.mu.Lock()
	ok := slices.Contains(g.agents, a) // or another restart has taken its place, and may gather
	if ok {
		g.completeLocked()
		ok = g.life.moveLocked(ICEGathererStateGathering)
	}
	if ok {
		g.newest = a
	}
	state := g.life.state
	g.life.mu.Unlock()
	if !ok {
		return refuse(op, ErrInvalidState, "gatherer is %s", state)
	}

	return g.begin(op, a)
}

// gatheredBy returns the candidates so far of the agent with a ufrag, and whether
// there will be no more.
func (g *ICEGatherer) gatheredBy(ufrag string) (candidates []ICECandidate, over bool) {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	over = g.life.state == ICEGathererStateComplete || g.life.state == ICEGathererStateClosed
	if g.newest.params.UsernameFragment == ufrag {
		return candidatesOf(g.newest.local), over
	}
	for _, a := range g.agents {
		if a.params.UsernameFragment == ufrag {
			return candidatesOf(a.local), a.gathering.first != nil
		}
	}

	return nil, over
}

// release closes an agent that is not used any more, and waits for it. newest is
// the one that counts from then on.
func (g *ICEGatherer) release(a, newest *iceAgent) {
	g.life.mu.Lock()
	known := slices.Contains(g.agents, a)
	g.agents = slices.DeleteFunc(g.agents, func(other *iceAgent) bool { return other == a })
	if g.newest == a {
		g.newest = newest
		g.completeLocked()
	}
	g.life.mu.Unlock()
	if known {
		g.closeAgent(a)
	}
}

// closeAgent waits for the agent's goroutines, and before that for the questions
// to servers and of names, which heed their context. Those of them that run code of
// ours never wait for anything but a lock that guards fields.
//
//nolint:contextcheck,nolintlint // the wait has an end of its own
func (g *ICEGatherer) closeAgent(a *iceAgent) {
	groups := []*lifecycle.Group{a.gathering.group, a.names}
	for _, group := range groups {
		group.End(g.life.causeOr(ErrClosed))
	}
	for _, group := range groups {
		_ = group.WaitTasks(context.Background())
	}
	g.drain(a)
	if err := a.GracefulClose(); err != nil {
		g.log.Warnf("closing the agent: %v", err)
	}
}

// onAgentCandidate runs on the agent's notifier, in the order of gathering.
func (g *ICEGatherer) onAgentCandidate(a *iceAgent, found ice.Candidate) {
	g.life.mu.Lock()
	ours := false
	if found == nil {
		g.doneLocked(a, a.gathering.first)
	} else {
		_, ours = a.gathering.urls[found.ID()]
	}
	held := found != nil && !ours && a.holdLocked(pooled{candidate: found})
	g.life.mu.Unlock()
	// Those that we have made are told when the agent has taken them: its notifier may
	// be late, and nil comes last.
	if found != nil && !ours && !held {
		g.tell(a, found)
	}
}

// tell tells a candidate.
func (g *ICEGatherer) tell(a *iceAgent, found ice.Candidate) {
	candidate, err := newICECandidateFromICE(found, "", 0)
	if err != nil {
		g.log.Warnf("a gathered candidate cannot be told: %v", err)

		return
	}
	if ip := net.ParseIP(candidate.Address); ip != nil && ip.IsUnspecified() {
		return // of a family that no rewrite rule has an address for
	}
	if g.settings.ICE.MulticastDNSMode == ice.MulticastDNSModeQueryAndGather && !hideAddress(&candidate) {
		g.log.Warn("mDNS has failed; a host candidate is not told, since it would show its address")

		return
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	own := ownCandidate{candidate, candidateKey(found)}
	a.addresses.count++
	a.remotes.setLocal(a.addresses.count)
	switch {
	case g.life.state == ICEGathererStateGathering && g.newest == a && !a.hasLost(found):
		a.local = append(a.local, own)
		g.postCandidateLocked(&candidate)
	case g.settings.ICE.ContinualGathering && candidate.Typ == ICECandidateTypeHost:
		a.addresses.untold = append(a.addresses.untold, own)
	default: // nothing comes after the nil candidate
	}
}

func candidatesOf(own []ownCandidate) []ICECandidate {
	if own == nil {
		return nil
	}
	candidates := make([]ICECandidate, len(own))
	for i := range own {
		candidates[i] = own[i].ICECandidate
	}

	return candidates
}

// hideAddress makes sure that a candidate shows no address of an interface,
// and returns false if it cannot: the agent goes on without mDNS when it has
// failed to open its socket, and never hides where a candidate comes from.
// https://datatracker.ietf.org/doc/html/draft-ietf-mmusic-mdns-ice-candidates#section-3.1.2
func hideAddress(candidate *ICECandidate) bool {
	if candidate.Typ == ICECandidateTypeHost {
		return strings.HasSuffix(candidate.Address, ".local")
	}
	if candidate.RelatedAddress != "" {
		candidate.RelatedAddress, candidate.RelatedPort = net.IPv4zero.String(), 0
	}

	return true
}

// onBindingRequest is called in an agent's loop for every connectivity check
// that carried the right password.
func (g *ICEGatherer) onBindingRequest(a *iceAgent) func(
	message *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair,
) (nominate bool) {
	return func(message *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair) bool {
		if check := a.check.Load(); check != nil {
			(*check)(message, pair)
		}
		a.leaveFor(local, remote)
		if user := g.settings.ICE.BindingRequestHandler; user != nil {
			return user(message, local, remote, pair)
		}

		return false
	}
}
