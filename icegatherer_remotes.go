package webrtc

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/mdnsnames"
)

// checkRemote refuses what may not be added.
func (a *iceAgent) checkRemote(op string, candidate *ICECandidate) (ice.Candidate, error) {
	remote, err := candidate.ToICE()
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	address := remote.Address()
	ip := net.ParseIP(address)
	if ip == nil {
		if !mdnsnames.Valid(address) {
			return nil, refuse(op, ErrInvalidArgument,
				"address %q is neither an IP address nor a name of one label and .local", address)
		}

		return remote, nil
	}
	if err = a.remotes.refusal(ip); err != nil {
		return nil, opError(op, err)
	}

	return remote, nil
}

// isName tells whether a candidate has a name for an address.
func isName(remote ice.Candidate) bool { return strings.HasSuffix(remote.Address(), ".local") }

// wouldDial tells whether a candidate makes us connect to an address that the
// peer has chosen.
func wouldDial(remote ice.Candidate) bool {
	// The agent does not know the network of a name.
	return remote.TCPType() == ice.TCPTypePassive && (remote.NetworkType().IsTCP() || isName(remote))
}

// addRemotes gives an agent all candidates or none. Those with names follow
// when their addresses are known.
func (g *ICEGatherer) addRemotes(op string, a *iceAgent, candidates []ICECandidate) error {
	remotes := make([]ice.Candidate, 0, len(candidates))
	var named map[ice.Candidate]ICECandidate
	for i := range candidates {
		remote, err := a.checkRemote(op, &candidates[i])
		if err != nil {
			return err
		}
		if wouldDial(remote) && !g.settings.ICE.EnableActiveTCP {
			continue
		}
		remotes = append(remotes, remote)
		if isName(remote) {
			if named == nil {
				named = make(map[ice.Candidate]ICECandidate)
			}
			named[remote] = candidates[i]
		}
	}
	fresh, ok := a.remotes.reserve(remotes)
	if !ok {
		return refuse(op, ErrInvalidState, "too many remote candidates")
	}
	for _, remote := range fresh {
		if candidate, ok := named[remote]; ok {
			g.addNamed(a, candidate)

			continue
		}
		if err := a.AddRemoteCandidate(remote); err != nil {
			return opError(op, g.closedError(err))
		}
	}

	return nil
}

// maxLookups is how many names an agent has looked up at once. They are taken in
// the order they came in, so that a peer's names which nobody answers to hold up
// those that it has added after them, and those of others only when 16 peers do so at
// once: 128 of an API are looked up at a time.
const maxLookups = 8

// addNamed finds the address of a candidate with a name, which has its place
// already, and gives it to the agent then. A name that nobody answers to, or
// whose address is refused, is no error of anybody's.
func (g *ICEGatherer) addNamed(a *iceAgent, candidate ICECandidate) {
	if g.settings.ICE.MulticastDNSMode == ice.MulticastDNSModeDisabled {
		g.log.Debugf("remote candidate %s is ignored: mDNS is disabled", candidate.Address)

		return
	}
	g.life.mu.Lock()
	a.named = append(a.named, candidate)
	another := a.lookups < maxLookups
	if another {
		a.lookups++
	}
	g.life.mu.Unlock()
	if another {
		a.names.Go(func() { g.lookUp(a) })
	}
}

// lookUp looks up the names that wait, one after the other.
//
//nolint:contextcheck,nolintlint // the agent has a context of its own
func (g *ICEGatherer) lookUp(a *iceAgent) {
	for {
		g.life.mu.Lock()
		if len(a.named) == 0 {
			a.lookups--
			g.life.mu.Unlock()

			return
		}
		candidate := a.named[0]
		a.named = a.named[1:]
		g.life.mu.Unlock()
		addr, err := g.names.Lookup(a.names.Context(), candidate.Address)
		if err == nil {
			err = a.addResolved(candidate, addr.Unmap())
		}
		if err != nil {
			g.log.Debugf("remote candidate %s is not used: %v", candidate.Address, err)
		}
	}
}

// addResolved adds a candidate whose name has an address.
func (a *iceAgent) addResolved(candidate ICECandidate, addr netip.Addr) error {
	if err := a.remotes.refusal(addr.AsSlice()); err != nil {
		return fmt.Errorf("it is at %s: %w", addr, err)
	}
	candidate.Address = addr.String()
	remote, err := candidate.ToICE()
	if err != nil {
		return err
	}
	a.remotes.resolved(addr.AsSlice())

	return a.AddRemoteCandidate(remote)
}
