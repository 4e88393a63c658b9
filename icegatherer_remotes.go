package webrtc

import (
	"net"
	"strings"

	"github.com/pion/ice/v4"
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
		if !strings.HasSuffix(address, ".local") {
			return nil, refuse(op, ErrInvalidArgument, "address %q is neither an IP address nor a .local name", address)
		}

		return remote, nil
	}
	if err = a.remotes.refusal(ip); err != nil {
		return nil, opError(op, err)
	}

	return remote, nil
}

// wouldDial tells whether a candidate makes us connect to an address that the
// peer has chosen.
func wouldDial(remote ice.Candidate) bool {
	return remote.NetworkType().IsTCP() && remote.TCPType() == ice.TCPTypePassive
}

// addRemotes gives an agent all candidates or none.
func (g *ICEGatherer) addRemotes(op string, a *iceAgent, candidates []ICECandidate) error {
	remotes := make([]ice.Candidate, 0, len(candidates))
	for i := range candidates {
		remote, err := a.checkRemote(op, &candidates[i])
		if err != nil {
			return err
		}
		if !wouldDial(remote) || g.settings.ICE.EnableActiveTCP {
			remotes = append(remotes, remote)
		}
	}
	fresh, ok := a.remotes.reserve(remotes)
	if !ok {
		return refuse(op, ErrInvalidState, "too many remote candidates")
	}
	for _, remote := range fresh {
		if err := a.AddRemoteCandidate(remote); err != nil {
			return opError(op, g.closedError(err))
		}
	}

	return nil
}
