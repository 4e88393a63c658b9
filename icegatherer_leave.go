package webrtc

import (
	"net"
	"slices"
	"time"

	"github.com/pion/ice/v4"
)

// How the side that controls leaves a pair whose local address is gone. The agent
// does that by itself when it has heard nothing for seconds; here it is done as soon
// as the address is seen to be gone, and there is a pair that works. The peer of a
// controlled agent decides, seconds later.

// freshAnswer is how old the last answer on a pair may be for it to be taken over:
// checks go out every two seconds.
const freshAnswer = 5 * time.Second

// hasLost tells whether a candidate's address is gone.
func (a *iceAgent) hasLost(c ice.Candidate) bool {
	lost := a.lost.Load()
	if lost == nil {
		return false
	}
	_, is := (*lost)[candidateKey(c)]

	return is
}

// isStranded tells whether the selected pair is on an address that is gone.
func (a *iceAgent) isStranded() bool {
	if a.lost.Load() == nil {
		return false
	}
	selected, err := a.GetSelectedCandidatePair()

	return err == nil && selected != nil && a.hasLost(selected.Local)
}

// leaveFor nominates the pair on which a check has just come, in place of one on an
// address that is gone. It runs in the agent's loop. A controlled agent refuses it.
func (a *iceAgent) leaveFor(local, remote ice.Candidate) {
	if a.isStranded() && !a.hasLost(local) {
		_ = a.RenominateCandidate(local, remote)
	}
}

// leaveLost nominates the best pair that works, in place of one on an address that
// is gone. A controlled agent refuses it.
func (a *iceAgent) leaveLost() {
	if !a.controls.Load() || !a.isStranded() {
		return
	}
	locals, err := a.GetLocalCandidates()
	if err != nil {
		return
	}
	remotes, err := a.GetRemoteCandidates()
	if err != nil {
		return
	}
	find := func(all []ice.Candidate, id string) ice.Candidate {
		if i := slices.IndexFunc(all, func(c ice.Candidate) bool { return c.ID() == id }); i >= 0 {
			return all[i]
		}

		return nil
	}
	var local, remote ice.Candidate
	best := uint64(0)
	for _, pair := range a.GetCandidatePairsStats() {
		l, r := find(locals, pair.LocalCandidateID), find(remotes, pair.RemoteCandidateID)
		if l == nil || r == nil || a.hasLost(l) || pair.State != ice.CandidatePairStateSucceeded ||
			time.Since(pair.LastResponseTimestamp) > freshAnswer {
			continue
		}
		if priority := uint64(l.Priority()) + uint64(r.Priority()); priority > best {
			local, remote, best = l, r, priority
		}
	}
	if local != nil {
		a.inLoop(func() { _ = a.RenominateCandidate(local, remote) })
	}
}

// The agent has no call that runs a function in its loop, where alone a pair may be
// nominated. It asks there about every remote candidate, so it is given one that it
// will not take: an unspecified address is nobody's.

// inLoop has a function run in the agent's loop, soon. Of two at once the last counts.
func (a *iceAgent) inLoop(f func()) {
	nobody, err := ice.NewCandidateHost(&ice.CandidateHostConfig{
		Network: "udp", Address: net.IPv4zero.String(), Port: 9, Component: ice.ComponentRTP,
	})
	if err == nil {
		a.pending.Store(&f)
		_ = a.AddRemoteCandidate(nobody)
	}
}

// acceptRemote is the agent's question about a remote candidate, in its loop.
func (a *iceAgent) acceptRemote(ip net.IP) bool {
	if ip.IsUnspecified() {
		if f := a.pending.Swap(nil); f != nil {
			(*f)()
		}
	}

	return a.remotes.accept(ip)
}
