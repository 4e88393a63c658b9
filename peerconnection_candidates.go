package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// remoteCandidate is one of the peer's that waits for its description, or for
// the transport to be started.
type remoteCandidate struct {
	ICECandidate

	init ICECandidateInit
}

// of returns the candidate with the ufrag that says which agent of the peer's it
// belongs to: signaling may carry that beside the text, or leave it out, which
// means the present one's.
func (c remoteCandidate) of(present string) ICECandidate {
	candidate := c.ICECandidate
	if _, ok := candidate.ufrag(); ok {
		return candidate
	}
	if named := c.init.UsernameFragment; named != nil && *named != "" {
		present = *named
	}
	candidate.extensions = strings.TrimSpace(candidate.extensions + " ufrag " + present)

	return candidate
}

// OnICECandidate sets the handler that is told every local candidate, and nil
// once after the last one, as [ICEGatherer.OnLocalCandidate] is. ToJSON makes of a candidate what AddICECandidate of
// the peer takes. It may be nil.
func (pc *PeerConnection) OnICECandidate(handler func(*ICECandidate)) {
	if pc.alive() == nil {
		return
	}
	if handler == nil {
		pc.gatherer.OnLocalCandidate(nil)

		return
	}
	pc.gatherer.OnLocalCandidate(pc.placing(handler))
}

// placing has candidates carry the section that they belong to.
func (pc *PeerConnection) placing(handler func(*ICECandidate)) func(*ICECandidate) {
	return func(candidate *ICECandidate) {
		if candidate != nil {
			placed := *candidate
			placed.SDPMid, placed.SDPMLineIndex = pc.path()
			candidate = &placed
		}
		handler(candidate)
	}
}

// OnICECandidateRemoved sets the handler that is told a candidate that is of no use
// any more, since its address is gone: see ICESettings.ContinualGathering. It may be
// nil.
func (pc *PeerConnection) OnICECandidateRemoved(handler func(*ICECandidate)) {
	switch {
	case pc.alive() == nil:
	case handler == nil:
		pc.gatherer.OnLocalCandidateRemoved(nil)
	default:
		pc.gatherer.OnLocalCandidateRemoved(pc.placing(handler))
	}
}

// OnICECandidateError sets the handler that is told when a STUN or TURN server
// gives no candidate, and why. It may be nil.
// https://www.w3.org/TR/webrtc/#event-icecandidateerror
func (pc *PeerConnection) OnICECandidateError(handler func(*ICECandidateError)) {
	if pc.alive() != nil {
		pc.gatherer.OnLocalCandidateError(handler)
	}
}

// path names the section of the local description whose transport is used.
func (pc *PeerConnection) path() (mid string, index uint16) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if local := pc.negotiation.local(); local != nil {
		if _, found, i, ok := local.values.Path(); ok {
			return found, uint16(i) //nolint:gosec // a parser's limit is far below
		}
	}

	return "0", 0
}

// gathered are the texts of the local candidates so far, as SDP has them, of the
// agent with a ufrag.
func (pc *PeerConnection) gathered(ufrag string) (texts []string, over bool) {
	candidates, over := pc.gatherer.gatheredBy(ufrag)
	for _, candidate := range candidates {
		if text, err := candidate.text(); err == nil {
			texts = append(texts, strings.TrimPrefix(text, "candidate:"))
		}
	}

	return texts, over
}

// withCandidates is a local description with the candidates gathered so far.
func (pc *PeerConnection) withCandidates(d *description) *SessionDescription {
	if d == nil {
		return nil
	}
	_, _, index, ok := d.values.Path()
	if !ok {
		return d.copy()
	}
	values := *d.values
	values.Sections = slices.Clone(values.Sections)
	path := &values.Sections[index].Transport
	path.Candidates, path.EndOfCandidates = pc.gathered(path.UsernameFragment)

	return &SessionDescription{d.Type, values.Format()}
}

// LocalDescription returns the description that is pending, or else the current
// one, with the candidates gathered so far; nil before the first.
func (pc *PeerConnection) LocalDescription() *SessionDescription {
	return pc.localDescription((*negotiation).local)
}

// CurrentLocalDescription returns the one of the last negotiation that was
// completed, with the candidates gathered so far; nil before.
func (pc *PeerConnection) CurrentLocalDescription() *SessionDescription {
	return pc.localDescription(func(n *negotiation) *description { return n.currentLocal })
}

// PendingLocalDescription returns the one of the negotiation under way, with
// the candidates gathered so far; nil if there is none.
func (pc *PeerConnection) PendingLocalDescription() *SessionDescription {
	return pc.localDescription(func(n *negotiation) *description { return n.pendingLocal })
}

func (pc *PeerConnection) localDescription(which func(*negotiation) *description) *SessionDescription {
	var d *description
	pc.alive().set(func() { d = which(&pc.negotiation) })

	return pc.withCandidates(d)
}

// RemoteDescription returns the peer's description that is pending, or else the
// current one, as it was set; nil before the first.
func (pc *PeerConnection) RemoteDescription() *SessionDescription {
	return pc.remoteDescription((*negotiation).remote)
}

// CurrentRemoteDescription returns the peer's of the last negotiation that was
// completed; nil before.
func (pc *PeerConnection) CurrentRemoteDescription() *SessionDescription {
	return pc.remoteDescription(func(n *negotiation) *description { return n.currentRemote })
}

// PendingRemoteDescription returns the peer's of the negotiation under way; nil
// if there is none.
func (pc *PeerConnection) PendingRemoteDescription() *SessionDescription {
	return pc.remoteDescription(func(n *negotiation) *description { return n.pendingRemote })
}

func (pc *PeerConnection) remoteDescription(which func(*negotiation) *description) *SessionDescription {
	var d *description
	pc.alive().set(func() { d = which(&pc.negotiation) })

	return d.copy()
}

// CanTrickleICECandidates tells whether the peer takes candidates one by one,
// as its description says.
func (pc *PeerConnection) CanTrickleICECandidates() ICETrickleCapability {
	var remote *description
	pc.alive().set(func() { remote = pc.negotiation.remote() })
	if remote == nil {
		return ICETrickleCapabilityUnknown
	}
	if path, _, _, ok := remote.values.Path(); ok && path.Trickle {
		return ICETrickleCapabilitySupported
	}

	return ICETrickleCapabilityUnsupported
}

// GatheringCompletePromise returns a channel that is closed when gathering is
// complete, or the connection has ended. It may be called at any time;
// [PeerConnection.SetLocalDescriptionContext] waits without it.
func GatheringCompletePromise(pc *PeerConnection) <-chan struct{} {
	done := make(chan struct{})
	if pc.alive() == nil {
		close(done)

		return done
	}
	pc.life.group.Go(func() {
		defer close(done)
		_, _ = pc.gatherer.life.await(pc.Context(), "peerconnection gathering", ICEGathererStateComplete)
	})

	return done
}

var (
	errUnknownSection = errors.New("the description has no such section")
	errOtherUfrag     = errors.New("its ufrag is of another description")
	errTooEarly       = errors.New("too many candidates before the description")
)

// AddICECandidate adds a candidate that the peer has signaled; one with an
// empty text tells that there are no more. Those that come before the remote
// description wait for it, 64 by default.
//
// Errors: [ErrInvalidArgument] if the text is malformed, names no section of
// the description or another ufrag; what [ICETransport.AddRemoteCandidate]
// refuses; [ErrInvalidState] after the end. Nothing has changed then.
// https://www.w3.org/TR/webrtc/#dom-peerconnection-addicecandidate
func (pc *PeerConnection) AddICECandidate(candidate ICECandidateInit) error {
	const op = "peerconnection add ICE candidate"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	c := remoteCandidate{init: candidate}
	if candidate.Candidate != "" {
		var err error
		if c.ICECandidate, err = ParseICECandidate(candidate.Candidate); err != nil {
			return refuse(op, ErrInvalidArgument, "%w", err)
		}
		if _, err = pc.gatherer.agent().checkRemote(op, &c.ICECandidate); err != nil {
			return err
		}
	}
	pc.life.mu.Lock()
	now, err := pc.placeLocked(op, c)
	ufrag := pc.negotiation.peer.UsernameFragment
	pc.life.mu.Unlock()
	if err != nil || !now || candidate.Candidate == "" {
		return err
	}
	candidateOf := c.of(ufrag)

	return pc.ice.AddRemoteCandidate(&candidateOf)
}

// placeLocked refuses a candidate, keeps it, or tells to add it now.
func (pc *PeerConnection) placeLocked(op string, c remoteCandidate) (now bool, err error) {
	n := &pc.negotiation
	if n.state == SignalingStateClosed {
		return false, pc.closedError(op)
	}
	remote := n.remote()
	if remote != nil {
		if err = c.belongs(n); err != nil {
			return false, refuse(op, ErrInvalidArgument, "%w", err)
		}
	}
	switch {
	case c.init.Candidate == "":
		return false, nil // nothing waits for the end
	case remote != nil && n.begun && !n.awaits(c):
		return true, nil
	case len(n.candidates) >= pc.api.settings.ICE.MaxRemoteCandidates:
		return false, refuse(op, ErrInvalidState, "%w", errTooEarly)
	}
	n.keep(c)

	return false, nil
}

// belongs tells why a candidate is not one of the peer's descriptions'.
func (c remoteCandidate) belongs(n *negotiation) error {
	var err error
	for _, d := range []*description{n.pendingRemote, n.currentRemote} {
		if d == nil {
			continue
		}
		if err = c.fits(d); err == nil {
			return nil
		}
	}

	return err
}

func (c remoteCandidate) fits(d *description) error {
	sections := d.values.Sections
	index := -1
	switch mid, line := c.init.SDPMid, c.init.SDPMLineIndex; {
	case mid != nil && *mid != "":
		for i := range sections {
			if sections[i].MID == *mid {
				index = i
			}
		}
		if index < 0 {
			return fmt.Errorf("%w: mid %q", errUnknownSection, clip(*mid))
		}
	case line != nil:
		index = int(*line)
		if index >= len(sections) {
			return fmt.Errorf("%w: index %d", errUnknownSection, *line)
		}
	}
	ufrag := c.init.UsernameFragment
	if ufrag == nil || *ufrag == "" {
		return nil
	}
	for i := range sections {
		if (index < 0 || index == i) && sections[i].Transport.UsernameFragment == *ufrag {
			return nil
		}
	}
	if path, _, _, ok := d.values.Path(); ok && path.UsernameFragment == *ufrag {
		return nil // of the bundle
	}

	return errOtherUfrag
}

// candidatesOf are those of a description of the peer's, each once. It is not
// refused for a candidate that we cannot use.
func (pc *PeerConnection) candidatesOf(d *jsep.Description) (candidates []remoteCandidate) {
	most := pc.api.settings.ICE.MaxRemoteCandidates
	seen := make(map[string]bool)
	for i := range d.Sections {
		section := &d.Sections[i]
		for _, text := range section.Transport.Candidates {
			if seen[text] {
				continue
			}
			seen[text] = true
			candidate, err := ParseICECandidate(text)
			if err != nil {
				pc.log.Debugf("a candidate of the description is not used: %v", err)

				continue
			}
			if len(candidates) == most {
				pc.log.Warnf("the description has more than %d candidates", most)

				return candidates
			}
			candidates = append(candidates, remoteCandidate{ICECandidate: candidate, init: ICECandidateInit{
				Candidate: text, SDPMid: &section.MID, UsernameFragment: &section.Transport.UsernameFragment,
			}})
		}
	}

	return candidates
}

// take makes the candidates of a description wait with those that came by
// themselves, up to a limit, and drops what belongs to none.
func (n *negotiation) take(candidates []remoteCandidate, most int) {
	n.candidates = slices.DeleteFunc(n.candidates, func(c remoteCandidate) bool { return c.belongs(n) != nil })
	for _, c := range candidates {
		if len(n.candidates) < most {
			n.keep(c)
		}
	}
}

// dropRejected drops the candidates of sections that our answer has rejected: of
// an offer that may not be bundled each section has its own.
func (n *negotiation) dropRejected(answer *jsep.Description) {
	n.candidates = slices.DeleteFunc(n.candidates, func(c remoteCandidate) bool {
		return c.init.SDPMid != nil && slices.ContainsFunc(answer.Sections, func(s jsep.Section) bool {
			return s.Rejected && s.MID == *c.init.SDPMid
		})
	})
}

// keep makes a candidate wait, unless it does already: a description may come
// more than once, and repeats what came by itself.
func (n *negotiation) keep(c remoteCandidate) {
	known := slices.ContainsFunc(n.candidates, func(k remoteCandidate) bool {
		return strings.TrimPrefix(k.init.Candidate, "candidate:") == strings.TrimPrefix(c.init.Candidate, "candidate:")
	})
	if !known {
		n.candidates = append(n.candidates, c)
	}
}

// forgetPeer drops the candidates of an offer of the peer's that was taken back.
func (n *negotiation) forgetPeer() {
	if n.remote() == nil {
		n.candidates = nil

		return
	}
	n.candidates = slices.DeleteFunc(n.candidates, func(c remoteCandidate) bool { return c.belongs(n) != nil })
}

// awaits tells whether a candidate waits for a restart, whose answer is not there
// yet.
func (n *negotiation) awaits(c remoteCandidate) bool {
	if n.pendingRemote == nil || n.pendingRemote.Type != SDPTypeOffer || !n.restarts(n.pendingRemote.values) {
		return false
	}
	ufrag := c.init.UsernameFragment

	return ufrag == nil || *ufrag == "" || *ufrag != n.peer.UsernameFragment
}

// readyCandidates takes those that wait for nothing any more.
func (n *negotiation) readyCandidates() []ICECandidate {
	if !n.begun {
		return nil
	}
	ready := make([]ICECandidate, 0, len(n.candidates))
	n.candidates = slices.DeleteFunc(n.candidates, func(c remoteCandidate) bool {
		if n.awaits(c) {
			return false
		}
		ready = append(ready, c.of(n.peer.UsernameFragment))

		return true
	})

	return ready
}
