package webrtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"github.com/ctxrtc/webrtc/internal/servergather"
)

// STUN and TURN servers are asked here, beside the agent, which gathers host
// candidates alone: its own gathering takes no context, tells no errors, and a
// silent TURN server that it knows holds up its loop, and so all pairs.

// maxQuestions is how many questions to servers a gatherer asks at once.
const maxQuestions = 32

var (
	errNoAnswer   = &timeout{"the server has not answered in time"}
	errNoLocal    = errors.New("the filters leave no local address")
	errSecureSTUN = errors.New("a STUN server over TLS sees no address of UDP")
	errReflected  = errors.New("the server names the address of another candidate")
	errRoundOver  = errors.New("the gathering is over")
)

// begin has an agent gather, and the servers asked. The state is gathering, or the
// agent has a pool.
func (g *ICEGatherer) begin(op string, a *iceAgent) error {
	g.life.mu.Lock()
	urls := g.urls
	r := a.gathering.begin()
	if a.gathering.pool != nil {
		r.left++
	}
	g.life.mu.Unlock()
	s := &g.settings.ICE
	locals := func() []localAddress { return g.awaitAddresses(r.ctx) }
	switch {
	case s.ContinualGathering:
		g.beginLooks()
		g.askLater(a, r, urls, func() []localAddress { return g.beginOn(a, locals()) })
	case len(urls) == 0:
	case s.InterfaceFilter != nil || s.IPFilter != nil:
		g.askLater(a, r, urls, locals)
	default:
		questions := g.questionsFrom(urls, []localAddress{{}}) // the machine chooses
		g.life.set(func() { a.gathering.add(r, questions) })
		defer g.askAll(a, r, questions)
	}
	if err := a.GatherCandidates(); err != nil {
		g.complete(a) // never left at gathering

		return opError(op, g.closedError(err))
	}

	return nil
}

// askLater has servers asked when it is known from which addresses, for which the
// round waits: the program's own network may take its time to tell.
func (g *ICEGatherer) askLater(a *iceAgent, r *round, urls []serverURL, locals func() []localAddress) {
	g.life.set(func() { r.left++; a.gathering.pending = urls })
	a.gathering.group.Go(func() {
		from := locals()
		questions := g.questionsFrom(urls, from)
		g.life.mu.Lock()
		if a.gathering.pending == nil { // others are asked, or the gathering was cut
			questions = nil
		}
		a.gathering.pending = nil
		a.addresses.noteAskedLocked(urls, from)
		a.gathering.add(r, questions)
		g.doneLocked(a, r)
		g.life.mu.Unlock()
		g.askAll(a, r, questions)
	})
}

// askAll asks servers beside its caller, some at a time.
//
//nolint:contextcheck,nolintlint // gathering has a context of its own, which GatherContext ends
func (g *ICEGatherer) askAll(a *iceAgent, r *round, questions []*question) {
	client, turns := g.serverClient(), make(chan struct{}, maxQuestions)
	for _, q := range questions {
		ctx, cancel := context.WithCancelCause(r.ctx)
		g.life.set(func() {
			q.cancel = cancel
			if q.over { // it was forgotten before it was asked
				cancel(errServerGone)
			}
		})
		a.gathering.group.Go(func() {
			defer cancel(nil)
			select {
			case turns <- struct{}{}:
				g.answered(a, q, g.ask(ctx, client, a, q))
				<-turns
			case <-ctx.Done():
				g.answered(a, q, contextError(ctx))
			}
		})
	}
}

// ask asks a server, and gives the agent what comes of it.
func (g *ICEGatherer) ask(ctx context.Context, client *servergather.Client, a *iceAgent, q *question) error {
	limit := g.settings.ICE.STUNGatherTimeout
	if q.typ == ICECandidateTypeRelay {
		limit = g.settings.ICE.TURNGatherTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNoAnswer)
	defer cancel()
	request := g.request(q)
	g.life.set(func() { q.begin = time.Now() })
	var err error
	switch {
	case q.local.iface == noInterface && !q.local.addr.IsValid():
		request.At(servergather.Listen)
		err = errNoLocal
	case q.typ == ICECandidateTypeRelay:
		err = g.askRelay(ctx, client, request, a, q)
	case q.url.Scheme == stun.SchemeTypeSTUNS:
		request.At(servergather.Bind)
		err = errSecureSTUN
	default:
		err = g.askReflexive(ctx, client, request, a, q)
	}
	if ctx.Err() != nil && err != nil {
		return contextError(ctx)
	}

	return err
}

func (g *ICEGatherer) request(q *question) *servergather.Request {
	relayIPv6 := q.network == "udp6" || q.network == "tcp6"
	if families := g.udpFamilies(); len(families) == 1 {
		relayIPv6 = families[0] == "6"
	}
	// Once the question is over its result does not change any more.
	note := func(change func()) {
		g.life.mu.Lock()
		defer g.life.mu.Unlock()
		if !q.over {
			change()
		}
	}

	return &servergather.Request{
		URL: q.url.URI, Network: q.network, Local: q.local.addr, RelayIPv6: relayIPv6,
		Credentials: g.settings.ICE.TURNCredentials,
		At:          func(step servergather.Step) { note(func() { q.result.Step = ICEGatherStep(step) }) },
		From:        func(addr net.Addr) { note(func() { q.from = addr }) },
		To:          func(server netip.AddrPort) { note(func() { q.server = server }) },
	}
}

func (g *ICEGatherer) askReflexive(
	ctx context.Context, client *servergather.Client, request *servergather.Request, a *iceAgent, q *question,
) error {
	conn, mapped, err := client.Reflexive(ctx, request)
	if err != nil {
		return err
	}
	request.At(servergather.Use)
	base, basePort := hostPort(conn.LocalAddr())
	candidate, err := ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{
		Network: "udp", Address: mapped.Addr().String(), Port: int(mapped.Port()),
		Component: ice.ComponentRTP, RelAddr: base, RelPort: int(basePort),
	})
	if err == nil && g.isHost(a, mapped) {
		err = fmt.Errorf("%w: %v", errReflected, mapped)
	}
	if err == nil {
		err = g.addFromServer(a, q, candidate, conn)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}

	return nil
}

// isHost tells whether a host candidate has an address: no packets of another
// socket come from there.
func (g *ICEGatherer) isHost(a *iceAgent, address netip.AddrPort) bool {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()

	is := func(c ownCandidate) bool {
		return c.Typ == ICECandidateTypeHost && c.Protocol == ICEProtocolUDP &&
			c.Port == address.Port() && c.Address == address.Addr().String()
	}

	return slices.ContainsFunc(a.local, is) || slices.ContainsFunc(a.addresses.untold, is) || a.holdsHostLocked(address)
}

func (g *ICEGatherer) askRelay(
	ctx context.Context, client *servergather.Client, request *servergather.Request, a *iceAgent, q *question,
) error {
	relay, relayed, err := client.Allocate(ctx, request)
	if err != nil {
		return err
	}
	g.life.mu.Lock()
	q.relay = relay
	base, basePort := hostPort(q.from)
	g.life.mu.Unlock()
	local, _ := netip.ParseAddr(base)
	if q.local.addr.IsValid() {
		local = q.local.addr
	}
	addresses := g.settings.ICE.rewrite(ice.CandidateTypeRelay, relayed.Addr(), local, q.local.iface)
	if len(addresses) == 0 {
		return errors.Join(errors.New("no rule has an address for it"), relay.Close())
	}
	if base == "" { // through a proxy
		base = "0.0.0.0"
	}
	conns := relay.Share(len(addresses))
	for i, address := range addresses {
		candidate, failed := ice.NewCandidateRelay(&ice.CandidateRelayConfig{
			Network: "udp", Address: address.String(), Port: int(relayed.Port()), Component: ice.ComponentRTP,
			RelAddr: base, RelPort: int(basePort), RelayProtocol: servergather.Protocol(q.url.URI),
		})
		if failed == nil {
			failed = g.addFromServer(a, q, candidate, conns[i])
		}
		if failed != nil {
			err = errors.Join(err, failed, conns[i].Close())
		}
	}

	return err
}

// addFromServer gives the agent a candidate, and tells it. The agent closes the
// connection, unless there is an error.
func (g *ICEGatherer) addFromServer(a *iceAgent, q *question, candidate ice.Candidate, conn net.PacketConn) error {
	g.noteBase(a, candidate, q.local.addr)
	g.life.mu.Lock()
	over := q.over
	held := false
	if !over {
		a.gathering.urls[candidate.ID()] = q.url.text
		held = a.holdLocked(pooled{candidate: candidate, question: q, conn: conn})
		g.keepAliveLocked(a)
	}
	g.life.mu.Unlock()
	switch {
	case over:
		return errRoundOver
	case held:
		return nil
	}
	if err := a.AddVirtualCandidate(candidate, conn); err != nil {
		return g.closedError(err)
	}
	g.tell(a, candidate)

	return nil
}

// answered notes that a question is over.
func (g *ICEGatherer) answered(a *iceAgent, q *question, err error) {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	if q.over {
		return
	}
	if err == nil {
		q.result.Step = ICEGatherStepDone
	}
	g.overLocked(a, q, err)
	g.doneLocked(a, q.round)
}

// overLocked ends a question, and tells its error.
func (g *ICEGatherer) overLocked(a *iceAgent, q *question, err error) {
	q.over, q.cancel = true, nil
	q.result.Duration = time.Since(q.begin)
	if err == nil {
		return
	}
	failed := g.failedLocked(q, err)
	var name *net.DNSError
	if q.quiet && errors.As(err, &name) && name.IsNotFound {
		return
	}
	if !a.holdLocked(pooled{question: q, failed: failed}) {
		g.postErrorLocked(a, failed)
	}
}

// failedLocked notes why a question has brought nothing.
func (g *ICEGatherer) failedLocked(q *question, err error) *ICECandidateError {
	from := q.from
	if g.settings.ICE.MulticastDNSMode == ice.MulticastDNSModeQueryAndGather || g.policy != ICETransportPolicyAll {
		from = nil // no address of ours is to be seen
	}
	failed := newCandidateError(&q.result, from, err)
	q.result.Err = failed

	return failed
}

func (g *ICEGatherer) postErrorLocked(a *iceAgent, failed *ICECandidateError) {
	if g.newest == a && g.life.state == ICEGathererStateGathering {
		g.life.events.Post(g.life.group, func() { call(g.life, &g.onError, failed) })
	}
}

// doneLocked counts what a round of an agent's waits for, and completes gathering
// with the last, if there is no newer round.
func (g *ICEGatherer) doneLocked(a *iceAgent, r *round) {
	if r.left--; r.left > 0 {
		return
	}
	r.end(errRoundOver)
	if g.newest == a && a.gathering.last == r {
		g.completeLocked()
	}
}

// cut ends an agent's gathering. It returns why, and what the servers were at.
func (g *ICEGatherer) cut(a *iceAgent, cause error) error {
	errs := []error{cause}
	g.life.mu.Lock()
	if pending := a.gathering.pending; len(pending) > 0 {
		a.gathering.add(a.gathering.last, g.questionsFrom(pending, nil))
		a.gathering.pending = nil
	}
	for _, q := range a.gathering.questions {
		if !q.over {
			g.overLocked(a, q, cause)
		}
		if q.result.Err != nil {
			errs = append(errs, q.result.Err)
		}
	}
	if g.newest == a {
		g.completeLocked()
	}
	end := a.gathering.last.end
	g.life.mu.Unlock()
	end(cause)

	return errors.Join(errs...)
}

// GetServerResults tells what became of the questions to STUN and TURN servers,
// after a restart of those of the restart. The order is that of the URLs.
func (g *ICEGatherer) GetServerResults() ([]ICEServerResult, error) {
	if err := g.alive().usable("ice server results"); err != nil {
		return nil, err
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	results := make([]ICEServerResult, len(g.newest.gathering.questions))
	for i, q := range g.newest.gathering.questions {
		results[i] = q.result
		if !q.over {
			results[i].Duration = time.Since(q.begin)
		}
		if q.relay != nil {
			results[i].PacketsLost = q.relay.Lost()
		}
	}

	return results, nil
}

// nameServers notes which servers an agent's candidates come from.
func (g *ICEGatherer) nameServers(a *iceAgent, candidates []ICECandidateStats) {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	for i := range candidates {
		if url, ok := a.gathering.urls[candidates[i].ID]; ok {
			candidates[i].URL = url
		}
	}
}

// OnLocalCandidateError sets the handler that is told when a STUN or TURN
// server gives no candidate, and why. It may be nil.
// https://www.w3.org/TR/webrtc/#event-icecandidateerror
func (g *ICEGatherer) OnLocalCandidateError(handler func(*ICECandidateError)) {
	g.alive().set(func() { g.onError = handler })
}
