package webrtc

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/servergather"
)

// Continual gathering: the machine's addresses are compared with those of before
// again and again, for every agent; what is told is of the newest, and each change is
// a round of gathering. The agent gathers nothing itself then, so that it is known
// which address each candidate is on.
//
// An agent cannot give a candidate back. A host candidate whose address is gone stays
// with it, and serves again should the address return. What a server gave for such an
// address may be gone there too, so servers are asked anew.

// maxLateAddresses is how many times an agent gathers on an address, after those of
// the first round. A restart has an agent of its own.
const maxLateAddresses = 16

// addresses are the local ones that an agent has gathered on. The lock of the
// gatherer's life guards them.
type addresses struct {
	known map[netip.Addr]*knownAddress // nil before the first look
	late  int                          // gatherings on them after the first round
	full  bool                         // more than may be have come, which was told
	count int                          // candidates that the agent has
	bases map[string]netip.Addr        // of the candidates, by their keys

	// untold are host candidates that the agent has and that are not told: their
	// address is gone, or the agent was not the newest.
	untold []ownCandidate
}

type knownAddress struct {
	iface   string
	present bool
	bound   bool // there are sockets on it, or are being opened
	failed  bool // to be bound, once: trying again is no round, what comes of it is told in the next
	asked   bool // the servers have been asked since it is there
}

// ownCandidate is a candidate of ours with the key that the agent's has.
type ownCandidate struct {
	ICECandidate

	key string
}

// candidateKey names a candidate of an agent, of which there are copies.
func candidateKey(c ice.Candidate) string {
	related := ""
	if r := c.RelatedAddress(); r != nil {
		related = fmt.Sprint(r.Address, " ", r.Port)
	}

	return fmt.Sprint(c.Type(), " ", c.NetworkType(), " ", c.Address(), " ", c.Port(), " ", related)
}

// beginLooks begins to look at the addresses, once.
func (g *ICEGatherer) beginLooks() {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	if g.stopLook == nil {
		g.lookLaterLocked()
	}
}

// beginOn has an agent gather on its first addresses, which it returns.
func (g *ICEGatherer) beginOn(a *iceAgent, present []localAddress) []localAddress {
	g.life.mu.Lock()
	a.addresses.known = make(map[netip.Addr]*knownAddress, len(present))
	for _, local := range present {
		a.addresses.known[local.addr] = &knownAddress{iface: local.iface, present: true, bound: true, asked: true}
	}
	g.life.mu.Unlock()
	g.gatherOn(a, present)

	return present
}

func (g *ICEGatherer) lookLater() { g.life.set(g.lookLaterLocked) }

func (g *ICEGatherer) lookLaterLocked() {
	if g.life.state != ICEGathererStateClosed {
		g.stopLook = g.life.group.After(g.settings.ICE.NetworkMonitorInterval, g.look)
	}
}

// look has all agents follow the addresses.
func (g *ICEGatherer) look() {
	defer g.lookLater()
	g.life.mu.Lock() // before the look: an agent that begins meanwhile knows better
	agents := slices.DeleteFunc(slices.Clone(g.agents), func(a *iceAgent) bool { return a.addresses.known == nil })
	g.life.mu.Unlock()
	look := func() ([]localAddress, error) { return g.recentAddresses(g.settings.ICE.NetworkMonitorInterval / 2) }
	present, err := servergather.Await(g.life.group.Context(), g.life.group, look, func([]localAddress) {})
	if err != nil {
		g.log.Debugf("the interfaces cannot be read: %v", err)

		return
	}
	for _, a := range agents {
		g.follow(a, present)
	}
}

// follow has an agent gather on what addresses have come, and takes back what is
// gone.
func (g *ICEGatherer) follow(a *iceAgent, present []localAddress) {
	g.life.mu.Lock()
	if a.addresses.known == nil || a.isDead.Load() || g.life.group.Cause() != nil {
		g.life.mu.Unlock()

		return
	}
	unbound, unasked := g.compareLocked(a, present)
	urls := g.urls
	if len(urls) == 0 {
		unasked = nil
	}
	var r *round
	if g.newest == a && (len(unasked) > 0 || a.hasUntoldLocked() ||
		slices.ContainsFunc(unbound, func(l localAddress) bool { return !a.addresses.known[l.addr].failed })) {
		r = g.joinLocked(a)
	}
	if r != nil {
		g.tellUntoldLocked(a)
	} else {
		unasked = nil // what they would say cannot be told
	}
	for _, local := range unasked {
		a.addresses.known[local.addr].asked = true
	}
	g.life.mu.Unlock()
	a.leaveLost()
	g.gatherOn(a, unbound)
	if r == nil {
		return
	}
	questions := g.questionsFrom(urls, unasked)
	// Not from an address of another family than the network.
	questions = slices.DeleteFunc(questions, func(q *question) bool { return q.local.iface == noInterface })
	g.life.mu.Lock()
	a.gathering.add(r, questions)
	g.doneLocked(a, r)
	g.life.mu.Unlock()
	g.askAll(a, r, questions)
}

// joinLocked is a round in which something may be told: a new one, or the one under
// way. It waits for the caller. nil if nothing may be told.
func (g *ICEGatherer) joinLocked(a *iceAgent) *round {
	switch g.life.state {
	case ICEGathererStateComplete:
		g.life.moveLocked(ICEGathererStateGathering)

		return a.gathering.begin()
	case ICEGathererStateGathering:
		a.gathering.last.left++

		return a.gathering.last
	case ICEGathererStateUnknown, ICEGathererStateNew, ICEGathererStateClosed:
	}

	return nil
}

// compareLocked notes which addresses are there. It returns those that have no socket
// yet, as one that was only just assigned may not be bound, and those from which the
// servers have not been asked.
func (g *ICEGatherer) compareLocked(a *iceAgent, present []localAddress) (unbound, unasked []localAddress) {
	s := &a.addresses
	changed := false
	now := make(map[netip.Addr]bool, len(present))
	for _, local := range present {
		now[local.addr] = true
		known := s.known[local.addr]
		if known == nil || !known.present {
			changed = true
			if known = g.arriveLocked(a, local, known); known == nil {
				continue
			}
		}
		known.iface = local.iface
		if !known.bound {
			unbound, known.bound = append(unbound, local), true // or gatherOn takes it back
		}
		if !known.asked {
			unasked = append(unasked, local)
		}
	}
	for addr, known := range s.known {
		if known.present && !now[addr] {
			changed, known.present = true, false
			g.takeBackLocked(a, addr)
		}
	}
	if changed {
		s.loseLocked(a)
	}

	return unbound, unasked
}

// arriveLocked notes an address that has come. It returns nil if there have been too
// many.
func (g *ICEGatherer) arriveLocked(a *iceAgent, local localAddress, known *knownAddress) *knownAddress {
	s := &a.addresses
	room := s.late < maxLateAddresses
	if !room && !s.full {
		s.full = true
		g.log.Warnf("nothing is gathered on %v and what comes later: there have been too many addresses", local.addr)
	}
	if known == nil {
		if !room {
			return nil
		}
		known = &knownAddress{}
		s.known[local.addr] = known
		s.late++
	} else if len(g.urls) > 0 && room {
		s.late++
	}
	known.present, known.asked = true, !room

	return known
}

// loseLocked notes which candidates are on addresses that are gone.
func (s *addresses) loseLocked(a *iceAgent) {
	lost := make(map[string]struct{})
	for key, base := range s.bases {
		if known := s.known[base]; known == nil || !known.present {
			lost[key] = struct{}{}
		}
	}
	if len(lost) == 0 {
		a.lost.Store(nil)
	} else {
		a.lost.Store(&lost)
	}
}

// takeBackLocked takes back the candidates of an address that is gone.
func (g *ICEGatherer) takeBackLocked(a *iceAgent, addr netip.Addr) {
	a.local = slices.DeleteFunc(a.local, func(c ownCandidate) bool {
		if a.addresses.bases[c.key] != addr {
			return false
		}
		if c.Typ == ICECandidateTypeHost {
			a.addresses.untold = append(a.addresses.untold, c)
		}
		g.life.events.Post(g.life.group, func() { call(g.life, &g.onRemoved, &c.ICECandidate) })

		return true
	})
}

func (a *iceAgent) isTellableLocked(c ownCandidate) bool {
	known := a.addresses.known[a.addresses.bases[c.key]]

	return known != nil && known.present
}

func (a *iceAgent) hasUntoldLocked() bool {
	return slices.ContainsFunc(a.addresses.untold, a.isTellableLocked)
}

// tellUntoldLocked tells the candidates that may be told by now.
func (g *ICEGatherer) tellUntoldLocked(a *iceAgent) {
	a.addresses.untold = slices.DeleteFunc(a.addresses.untold, func(c ownCandidate) bool {
		if !a.isTellableLocked(c) {
			return false
		}
		a.local = append(a.local, c)
		g.postCandidateLocked(&c.ICECandidate)

		return true
	})
}

// gatherOn makes host candidates on addresses. One that fails is tried again at the
// next look.
func (g *ICEGatherer) gatherOn(a *iceAgent, locals []localAddress) {
	for _, local := range locals {
		if g.life.group.Cause() != nil {
			return
		}
		network := "udp6"
		if local.addr.Is4() {
			network = "udp4"
		}
		var err error
		if g.policy == ICETransportPolicyAll && slices.Contains(g.udpFamilies(), network[len("udp"):]) {
			for _, told := range g.settings.ICE.rewrite(ice.CandidateTypeHost, local.addr, local.addr, local.iface) {
				err = errors.Join(err, g.addHost(a, network, local.addr, told))
			}
		}
		if err != nil {
			g.log.Debugf("no candidate on %v: %v", local.addr, err)
			g.life.set(func() {
				known := a.addresses.known[local.addr]
				known.bound, known.failed = false, true
			})
		}
	}
}

func (g *ICEGatherer) addHost(a *iceAgent, network string, local, told netip.Addr) error {
	conn, err := g.listen(network, local)
	if err != nil {
		return err
	}
	_, port := hostPort(conn.LocalAddr())
	candidate, err := ice.NewCandidateHost(&ice.CandidateHostConfig{
		Network: "udp", Address: told.String(), Port: int(port), Component: ice.ComponentRTP,
	})
	if err == nil {
		g.life.set(func() { a.gathering.urls[candidate.ID()] = "" })
		g.noteBase(a, candidate, local)
		err = a.AddVirtualCandidate(candidate, conn)
	}
	if err != nil {
		return errors.Join(g.closedError(err), conn.Close())
	}
	g.tell(a, candidate)

	return nil
}

// noteBase notes which address a candidate of ours is on.
func (g *ICEGatherer) noteBase(a *iceAgent, c ice.Candidate, base netip.Addr) {
	if !g.settings.ICE.ContinualGathering || !base.IsValid() {
		return
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	if a.addresses.bases == nil {
		a.addresses.bases = make(map[string]netip.Addr)
	}
	a.addresses.bases[candidateKey(c)] = base
	a.addresses.loseLocked(a) // the address may be gone already
}

// OnLocalCandidateRemoved sets the handler that is told a candidate that is of no
// use any more, since its address is gone, and that GetLocalCandidates does not have
// any more: see ICESettings.ContinualGathering. The peer need not hear of it. If the
// address returns, a host candidate is told anew. It may be nil.
func (g *ICEGatherer) OnLocalCandidateRemoved(handler func(*ICECandidate)) {
	g.alive().set(func() { g.onRemoved = handler })
}

// noteAskedLocked notes from which addresses servers are asked.
func (s *addresses) noteAskedLocked(urls []serverURL, locals []localAddress) {
	for _, local := range locals {
		if known := s.known[local.addr]; known != nil && len(urls) > 0 {
			known.asked = true
		}
	}
}
