package webrtc

import (
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"
)

// Continual gathering: the machine's addresses are compared with those of before
// again and again, and each new one is a round of gathering of its own. The agent
// cannot give a candidate back, so that one whose address is gone stays with it,
// and serves again should the address return; it is not told any more, and is left
// as soon as another pair works.

// maxLateAddresses is how many new addresses an agent gathers on. A restart has an
// agent of its own.
const maxLateAddresses = 16

// addresses are the local ones that an agent has gathered on. The lock of the
// gatherer's life guards them.
type addresses struct {
	present map[localAddress]bool // false of one that is gone; nil before the first look
	late    int                   // those that came after the first round
	gone    []ICECandidate        // candidates of those that are gone
}

// watch looks at the addresses before an agent's first round, and from then on.
func (g *ICEGatherer) watch(a *iceAgent) {
	if !g.settings.ICE.ContinualGathering {
		return
	}
	present, err := g.localAddresses()
	if err != nil {
		g.log.Warnf("the interfaces cannot be read: %v", err)
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	if err == nil {
		a.addresses.begin(present)
	}
	if g.stopLook == nil {
		g.lookLaterLocked()
	}
}

func (a *addresses) begin(present []localAddress) {
	a.present = make(map[localAddress]bool, len(present))
	for _, local := range present {
		a.present[local] = true
	}
}

func (g *ICEGatherer) lookLaterLocked() {
	if g.life.state != ICEGathererStateClosed {
		g.stopLook = g.life.group.After(g.settings.ICE.NetworkMonitorInterval, g.look)
	}
}

// look gathers on what addresses have come, and takes back what is gone. While an
// earlier round goes on, the next look has to do it.
func (g *ICEGatherer) look() {
	present, err := g.localAddresses()
	if err != nil {
		g.log.Debugf("the interfaces cannot be read: %v", err)
	}
	g.life.mu.Lock()
	defer g.lookLater()
	a, urls := g.newest, g.urls
	var fresh []localAddress
	changed := false
	if err == nil && g.life.state == ICEGathererStateComplete {
		fresh, changed = g.compareLocked(a, present)
	}
	g.life.mu.Unlock()
	a.leaveLost()
	if !changed {
		return
	}
	questions := g.questionsFrom(urls, fresh)
	g.life.mu.Lock()
	begun := g.newest == a && g.life.moveLocked(ICEGathererStateGathering)
	if begun {
		a.gathering.begin(questions)
		g.tellAgainLocked(a)
	}
	g.life.mu.Unlock()
	if begun {
		g.gatherOn(a, fresh)
		g.askAll(a, questions)
		g.life.set(func() { g.doneLocked(a) }) // with the host candidates
	}
}

func (g *ICEGatherer) lookLater() { g.life.set(g.lookLaterLocked) }

// compareLocked takes back the candidates of addresses that are gone. It returns
// those that have come and are new, and whether there is something to tell.
func (g *ICEGatherer) compareLocked(a *iceAgent, present []localAddress) (fresh []localAddress, changed bool) {
	if a.addresses.present == nil {
		a.addresses.begin(present)
	}
	known := a.addresses.present
	now := make(map[localAddress]bool, len(present))
	for _, local := range present {
		now[local] = true
		was, ever := known[local]
		switch {
		case was:
		case ever:
			changed = true
		case a.addresses.late >= maxLateAddresses:
			if a.addresses.late == maxLateAddresses {
				a.addresses.late++ // told once
				g.log.Warnf("nothing is gathered on %v and what comes later: there are too many addresses", local.addr)
			}

			continue
		default:
			a.addresses.late++
			fresh = append(fresh, local)
		}
		known[local] = true
	}
	lost := make(map[netip.Addr]struct{})
	for local, was := range known {
		if now[local] {
			continue
		}
		lost[local.addr] = struct{}{}
		if was {
			known[local] = false
			g.takeBackLocked(a, local)
		}
	}
	if len(lost) == 0 {
		a.lost.Store(nil)
	} else {
		a.lost.Store(&lost)
	}

	return fresh, changed || len(fresh) > 0
}

// takeBackLocked takes back the candidates of an address that is gone.
func (g *ICEGatherer) takeBackLocked(a *iceAgent, local localAddress) {
	a.local = slices.DeleteFunc(a.local, func(c ICECandidate) bool {
		if !g.isOn(&c, local) {
			return false
		}
		a.addresses.gone = append(a.addresses.gone, c)
		g.life.events.Post(g.life.group, func() { call(g.life, &g.onRemoved, &c) })

		return true
	})
	a.remotes.setLocal(len(a.local))
}

// tellAgainLocked tells the candidates whose addresses have returned.
func (g *ICEGatherer) tellAgainLocked(a *iceAgent) {
	a.addresses.gone = slices.DeleteFunc(a.addresses.gone, func(c ICECandidate) bool {
		for local, present := range a.addresses.present {
			if !present && g.isOn(&c, local) {
				return false
			}
		}
		a.local = append(a.local, c)
		g.postCandidateLocked(&c)

		return true
	})
	a.remotes.setLocal(len(a.local))
}

// isOn tells whether a candidate's packets come from an address.
func (g *ICEGatherer) isOn(c *ICECandidate, local localAddress) bool {
	base := c.Address
	if c.Typ != ICECandidateTypeHost {
		base = c.RelatedAddress
	}
	parsed, err := netip.ParseAddr(base)
	if err != nil {
		return false
	}
	if c.Typ == ICECandidateTypeHost && g.settings.ICE.rewritesHost() {
		return slices.Contains(g.settings.ICE.rewrite(ice.CandidateTypeHost, local.addr, local.addr, local.iface), parsed)
	}

	return parsed == local.addr
}

// gatherOn makes host candidates on addresses.
func (g *ICEGatherer) gatherOn(a *iceAgent, locals []localAddress) {
	if g.policy != ICETransportPolicyAll {
		return
	}
	for _, local := range locals {
		network := "udp6"
		if local.addr.Is4() {
			network = "udp4"
		}
		if !slices.Contains(g.udpFamilies(), network[len("udp"):]) {
			continue
		}
		for _, told := range g.settings.ICE.rewrite(ice.CandidateTypeHost, local.addr, local.addr, local.iface) {
			if err := g.addHost(a, network, local.addr, told); err != nil {
				g.log.Warnf("no candidate on %v: %v", local.addr, err)
			}
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
		err = a.AddVirtualCandidate(candidate, conn)
	}
	if err != nil {
		_ = conn.Close()

		return g.closedError(err)
	}
	g.tell(a, candidate)

	return nil
}

// OnLocalCandidateRemoved sets the handler that is told a candidate that is of no
// use any more, since its address is gone, and that GetLocalCandidates does not
// have any more: see ICESettings.ContinualGathering. If the address returns, the
// candidate is told anew. It may be nil.
func (g *ICEGatherer) OnLocalCandidateRemoved(handler func(*ICECandidate)) {
	g.alive().set(func() { g.onRemoved = handler })
}
