package webrtc

import (
	"net"
	"strings"

	"github.com/pion/ice/v4"
)

// SetRemoteCandidates adds the candidates that were signaled, all or none: the
// first one that AddRemoteCandidate would refuse is the error.
func (t *ICETransport) SetRemoteCandidates(candidates []ICECandidate) error {
	const op = "ice set remote candidates"
	if err := t.mayAdd(op); err != nil {
		return err
	}

	return t.addRemotes(op, candidates)
}

// AddRemoteCandidate adds one candidate that was signaled, before or after
// Start. nil means that there are no more. Ignored are a candidate that was
// added before, and a TCP one that would have to be dialled, unless
// ICESettings.EnableActiveTCP allows that.
//
// Refused are candidates beyond ICESettings.MaxRemoteCandidates, and addresses
// that the settings do not allow: unspecified always, loopback and link-local
// by default.
func (t *ICETransport) AddRemoteCandidate(candidate *ICECandidate) error {
	const op = "ice add remote candidate"
	if err := t.mayAdd(op); err != nil {
		return err
	}
	if candidate == nil {
		return nil
	}

	return t.addRemotes(op, []ICECandidate{*candidate})
}

func (t *ICETransport) mayAdd(op string) error {
	if _, err := t.ownGatherer(op); err != nil {
		return err
	}
	if cause := t.life.group.Cause(); cause != nil {
		return refuse(op, ErrInvalidState, "transport has ended: %w", cause)
	}

	return nil
}

// checkRemote refuses what may not be added.
func (t *ICETransport) checkRemote(op string, candidate *ICECandidate) (ice.Candidate, error) {
	remote, err := candidate.ToICE()
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	g := t.gatherer
	if ip := net.ParseIP(remote.Address()); ip != nil && !g.remotes.allowed(ip) {
		return nil, refuse(op, ErrInvalidArgument, "address %s is not allowed", ip)
	} else if ip == nil && !strings.HasSuffix(remote.Address(), ".local") {
		return nil, refuse(op, ErrInvalidArgument, "address %q is neither an IP address nor a .local name", remote.Address())
	}
	return remote, nil
}

// wouldDial tells whether a candidate makes us connect to an address that the
// peer has chosen.
func wouldDial(remote ice.Candidate) bool {
	return remote.NetworkType().IsTCP() && remote.TCPType() == ice.TCPTypePassive
}

func (t *ICETransport) addRemotes(op string, candidates []ICECandidate) error {
	remotes := make([]ice.Candidate, 0, len(candidates))
	for i := range candidates {
		remote, err := t.checkRemote(op, &candidates[i])
		if err != nil {
			return err
		}
		if !wouldDial(remote) || t.gatherer.settings.ICE.EnableActiveTCP {
			remotes = append(remotes, remote)
		}
	}
	fresh, ok := t.gatherer.remotes.reserve(remotes)
	if !ok {
		return refuse(op, ErrInvalidState, "too many remote candidates")
	}
	for _, remote := range fresh {
		if err := t.gatherer.agent.AddRemoteCandidate(remote); err != nil {
			return opError(op, t.gatherer.closedError(err))
		}
	}

	return nil
}
