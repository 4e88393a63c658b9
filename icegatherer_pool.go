package webrtc

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/servergather"
)

// A gatherer with a pool begins at once, and Gather tells what it has found. Until
// then host candidates are with the agent, which has nobody to check. What servers
// gave is kept here, since an agent gives no candidate back: when other servers are
// to be asked it is closed, and nothing was told of it.
// https://www.rfc-editor.org/rfc/rfc9429#section-3.5.4

// pool is what an agent's gathering has found before it may be told. The lock of
// the gatherer's life guards it.
type pool struct {
	held []pooled // in the order of finding
	idle bool     // the size is 0 again: servers are left to Gather
	// stopKeeping stops the timer of keepAlive, nil if there is none.
	stopKeeping func() bool
}

// pooled is one candidate, or why a server gave none.
type pooled struct {
	candidate ice.Candidate
	question  *question      // nil of a host candidate
	conn      net.PacketConn // of a server's candidate
	failed    *ICECandidateError
}

var errServerGone = errors.New("the server is not asked any more: the configuration has changed")

// fill begins to gather ahead of Gather, once.
func (g *ICEGatherer) fill(op string) error {
	g.life.mu.Lock()
	a := g.newest
	begins := g.life.state == ICEGathererStateNew && a.gathering.pool == nil
	if begins {
		a.gathering.pool = new(pool)
	}
	g.life.mu.Unlock()
	if !begins {
		return nil
	}
	err := g.begin(op, a)
	if err != nil {
		g.life.set(func() { a.gathering.pool = nil }) // Gather begins, as without a pool
	}

	return err
}

// pour tells what the pool of an agent has, and makes what comes later be told as
// it comes. The state is gathering.
func (g *ICEGatherer) pour(a *iceAgent) {
	g.life.mu.Lock()
	urls := g.urls
	idle := a.gathering.pool != nil && a.gathering.pool.idle
	g.life.mu.Unlock()
	if idle {
		r := a.gathering.first
		g.askLater(a, r, urls, func() []localAddress { return g.awaitAddresses(r.ctx) })
	}
	g.life.set(func() { g.tellUntoldLocked(a) })
	for {
		g.life.mu.Lock()
		p := a.gathering.pool
		if p == nil || len(p.held) == 0 {
			if p != nil { // else the gatherer was closed
				a.endPoolLocked()
				g.doneLocked(a, a.gathering.first)
			}
			g.life.mu.Unlock()

			return
		}
		next := p.held[0]
		p.held = p.held[1:]
		g.life.mu.Unlock()
		g.tellPooled(a, next)
	}
}

func (g *ICEGatherer) tellPooled(a *iceAgent, next pooled) {
	if next.conn != nil {
		if err := a.AddVirtualCandidate(next.candidate, next.conn); err != nil {
			g.life.mu.Lock()
			next.failed = g.failedLocked(next.question, errors.Join(g.closedError(err), next.conn.Close()))
			g.life.mu.Unlock()
		}
	}
	if next.failed == nil {
		g.tell(a, next.candidate)

		return
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	g.postErrorLocked(a, next.failed)
}

// holdLocked keeps a finding if the agent has a pool.
func (a *iceAgent) holdLocked(found pooled) bool {
	p := a.gathering.pool
	if p != nil {
		p.held = append(p.held, found)
	}

	return p != nil
}

// holdsHostLocked tells whether a host candidate in the pool has an address.
func (a *iceAgent) holdsHostLocked(address netip.AddrPort) bool {
	return a.gathering.pool != nil && slices.ContainsFunc(a.gathering.pool.held, func(found pooled) bool {
		return found.candidate != nil && found.question == nil && !found.candidate.NetworkType().IsTCP() &&
			found.candidate.Port() == int(address.Port()) && found.candidate.Address() == address.Addr().String()
	})
}

// holdsAny tells whether an agent's candidates are not to be seen yet.
func (g *ICEGatherer) holdsAny(a *iceAgent) bool {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()

	return a.gathering.pool != nil
}

// configure makes other servers be asked, in the next gathering: that is the one
// under way as long as the pool is not told. With a pool that gathering begins now.
// What other servers have given is closed, and that of a pool which is no longer
// wanted; the host candidates, which cost nobody else anything, stay.
// https://www.rfc-editor.org/rfc/rfc9429#section-4.1.18
func (g *ICEGatherer) configure(op string, urls []serverURL, pooling bool) error {
	g.life.mu.Lock()
	g.urls = urls
	a := g.newest
	p := a.gathering.pool
	ahead := g.life.state == ICEGathererStateNew
	if p != nil {
		p.idle = !pooling
	}
	g.life.mu.Unlock()
	switch {
	case !ahead:
	case p == nil && pooling:
		return g.fill(op)
	case p != nil && pooling:
		g.askInstead(a, urls)
	case p != nil:
		g.askInstead(a, nil)
	}

	return nil
}

// askInstead has an agent with a pool ask these servers. Those of them that it has
// asked already are not asked again; of others nothing stays.
//
//nolint:contextcheck,nolintlint // gathering has a context of its own, which GatherContext ends
func (g *ICEGatherer) askInstead(a *iceAgent, urls []serverURL) {
	locals := g.awaitAddresses(a.gathering.group.Context())
	questions := g.questionsFrom(urls, locals)
	var asked []*question
	g.life.mu.Lock()
	if a.gathering.pool == nil {
		g.life.mu.Unlock()

		return
	}
	a.addresses.noteAskedLocked(urls, locals)
	before := a.gathering.questions
	for i, q := range questions {
		if known := slices.IndexFunc(before, q.isSame); known >= 0 {
			questions[i] = before[known]
		} else {
			asked = append(asked, q)
		}
	}
	a.gathering.questions, a.gathering.pending = questions, nil
	a.gathering.count(a.gathering.first, asked)
	gone := make(map[*question]bool)
	for _, q := range before {
		if !slices.Contains(questions, q) {
			gone[q] = true
			g.forgetLocked(q)
		}
	}
	closed := a.takeLocked(func(p pooled) bool { return gone[p.question] })
	g.life.mu.Unlock()
	g.closePooled(closed)
	g.askAll(a, a.gathering.first, asked)
}

// keepTime is how often a reflexive address in a pool is kept alive.
// https://www.rfc-editor.org/rfc/rfc8445#section-14
const keepTime = 15 * time.Second

// keepAliveLocked has routers keep the addresses that a pool has from servers over
// UDP: its sockets say nothing, possibly for hours. What belongs to a relay is
// refreshed by itself.
func (g *ICEGatherer) keepAliveLocked(a *iceAgent) {
	if p := a.gathering.pool; p != nil && p.stopKeeping == nil && slices.ContainsFunc(p.held, pooled.isReflexive) {
		p.stopKeeping = g.life.group.After(keepTime, func() { g.keepAlive(a, p) })
	}
}

func (g *ICEGatherer) keepAlive(a *iceAgent, p *pool) {
	g.life.mu.Lock()
	if a.gathering.pool != p {
		g.life.mu.Unlock()

		return
	}
	var kept []pooled
	for _, found := range p.held {
		if found.isReflexive() {
			kept = append(kept, found)
		}
	}
	p.stopKeeping = nil
	g.keepAliveLocked(a)
	g.life.mu.Unlock()
	for _, found := range kept {
		if err := servergather.KeepAlive(found.conn, found.question.server); err != nil {
			g.log.Debugf("keeping a reflexive address: %v", err)
		}
	}
}

func (p pooled) isReflexive() bool {
	return p.conn != nil && p.candidate.Type() == ice.CandidateTypeServerReflexive
}

func (a *iceAgent) endPoolLocked() {
	if stop := a.gathering.pool.stopKeeping; stop != nil {
		stop()
	}
	a.gathering.pool = nil
}

// isSame tells whether two questions have the same answer.
func (q *question) isSame(other *question) bool {
	return *q.url.URI == *other.url.URI && q.url.text == other.url.text &&
		q.typ == other.typ && q.network == other.network && q.local == other.local
}

// forgetLocked ends a question, of which nothing is to be told.
func (g *ICEGatherer) forgetLocked(q *question) {
	if !q.over {
		q.over = true
		q.round.left--
	}
	if q.cancel != nil {
		q.cancel(errServerGone)
	}
}

// takeLocked takes some of what the pool has.
func (a *iceAgent) takeLocked(which func(pooled) bool) (taken []pooled) {
	p := a.gathering.pool
	p.held = slices.DeleteFunc(p.held, func(found pooled) bool {
		if !which(found) {
			return false
		}
		taken = append(taken, found)
		if found.conn != nil {
			delete(a.gathering.urls, found.candidate.ID())
		}

		return true
	})

	return taken
}

// drain closes what a pool still has. No question is asked any more.
func (g *ICEGatherer) drain(a *iceAgent) {
	g.life.mu.Lock()
	var held []pooled
	if a.gathering.pool != nil {
		held = a.takeLocked(func(pooled) bool { return true })
		a.endPoolLocked()
	}
	g.life.mu.Unlock()
	g.closePooled(held)
}

func (g *ICEGatherer) closePooled(all []pooled) {
	for _, found := range all {
		if found.conn == nil {
			continue
		}
		if err := found.conn.Close(); err != nil {
			g.log.Debugf("closing what a server gave: %v", err)
		}
	}
}
