package webrtc

import (
	"errors"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// A description is looked at with no lock held, and refused if it cannot be
// applied. What is applied in one step is what was looked at.

// prepared is a description that may be set, and what to do then.
type prepared struct {
	*description

	at     position // where the negotiation was when it was looked at
	set    descriptionSet
	agent  *iceAgent        // of a restart, whose credentials it has
	starts bool             // an answer that has a path: the transports may have to be started
	remote remoteParameters // with which, the peer's

	candidates []remoteCandidate // of a description of the peer's
	matches    []sectionMatch    // of an offer of the peer's
}

// position is where a negotiation is: what decides whether a description may be
// set.
type position struct {
	state                       SignalingState
	currentLocal, currentRemote *description
	pendingLocal, pendingRemote *description
	media                       int
}

func (n *negotiation) position() position {
	return position{n.state, n.currentLocal, n.currentRemote, n.pendingLocal, n.pendingRemote, n.media}
}

// hasMovedOn tells whether the negotiation is no longer where it was.
func (pc *PeerConnection) hasMovedOn(from position) bool {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()

	return pc.negotiation.position() != from
}

// prepareLocal finds the description that is meant, or makes it.
func (pc *PeerConnection) prepareLocal(desc SessionDescription) (*prepared, error) {
	const op = setLocalOp
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	if n.state == SignalingStateClosed {
		return nil, pc.closedError(op)
	}
	typ := desc.Type
	if typ == SDPTypeUnknown && desc.SDP == "" {
		typ = SDPTypeOffer
		if n.state == SignalingStateHaveRemoteOffer || n.state == SignalingStateHaveLocalPranswer {
			typ = SDPTypeAnswer
		}
	}
	p := &prepared{at: n.position(), set: descriptionSet{local: true, sdp: typ}}
	if !sdpTypes.has(typ) {
		return nil, refuse(op, ErrInvalidArgument, "type %d", typ)
	}
	if _, ok := nextSignaling(n.state, p.set); !ok {
		return nil, refuse(op, ErrInvalidState, "a local %v in the state %v", typ, n.state)
	}
	if typ == SDPTypeRollback {
		return p, nil
	}
	created := n.createdOffer
	if typ != SDPTypeOffer {
		created = n.createdAnswer
	}
	switch {
	case desc.SDP == "":
		// Not the one that was created last: channels may have been made since.
		made, err := pc.create(op, typ, creation{})
		switch {
		case err != nil && pc.hasMovedOn(p.at):
			return pc.prepareLocal(desc) // something else is due now
		case err != nil:
			return nil, err
		}
		created = made
	case created == nil:
		return nil, refuse(op, ErrInvalidModification, "no %v was created", typ)
	case desc.SDP != created.SDP:
		return nil, refuse(op, ErrInvalidModification, "it is not the %v that was created last", typ)
	case !n.isOurs(created.values):
		// A restart has begun or was given up while it was created.
		return nil, refuse(op, ErrInvalidModification, "the ICE credentials of the %v count no more", typ)
	}
	own := *created
	own.Type = typ
	p.description = &own
	if typ == SDPTypeOffer || n.pendingRemote == nil {
		return p, nil
	}

	return p, p.prepareStart(op, &n, n.pendingRemote.values)
}

// prepareRemote reads a description of the peer's and refuses what cannot be
// applied.
func (pc *PeerConnection) prepareRemote(desc SessionDescription) (*prepared, error) {
	const op = setRemoteOp
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	p := &prepared{at: n.position(), set: descriptionSet{local: false, sdp: desc.Type}}
	if desc == (SessionDescription{}) {
		return nil, refuse(op, ErrInvalidArgument, "the description is empty: it has no type and no SDP")
	}
	if !sdpTypes.has(desc.Type) {
		return nil, refuse(op, ErrInvalidArgument, "type %d", desc.Type)
	}
	if n.state == SignalingStateClosed {
		return nil, pc.closedError(op)
	}
	if _, ok := nextSignaling(n.state, p.set); !ok {
		return nil, refuse(op, ErrInvalidState, "a remote %v in the state %v", desc.Type, n.state)
	}
	if desc.Type == SDPTypeRollback {
		return p, nil
	}
	values, err := jsep.Parse(desc.SDP)
	if err != nil {
		return nil, syntaxError(op, err)
	}
	p.description = &description{SessionDescription: desc, values: values}
	if desc.Type == SDPTypeOffer {
		err = jsep.CheckOffer(values, n.past())
	} else {
		err = jsep.CheckAnswer(n.pendingLocal.values, values)
	}
	if err == nil {
		err = n.checkSame(desc.Type, values)
	}
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	p.candidates = pc.candidatesOf(values)
	if desc.Type != SDPTypeOffer {
		return p, p.prepareStart(op, &n, values)
	}
	if path, _, _, live := values.Path(); live { // what is rejected as a whole has no parameters
		if _, err = remoteParametersOf(values, path); err != nil {
			return nil, refuse(op, ErrInvalidArgument, "%w", err)
		}
	}
	if p.matches, err = pc.matchSections(&n, values); err != nil {
		return nil, opError(op, err)
	}

	return p, nil
}

// syntaxError gives a parser's error its public type.
func syntaxError(op string, err error) error {
	syntax := &SDPSyntaxError{Err: err}
	var placed *jsep.Error
	if errors.As(err, &placed) {
		syntax.Line, syntax.Text, syntax.Err = placed.Line, placed.Text, placed.Err
	}

	return refuse(op, ErrInvalidArgument, "%w", syntax)
}

var (
	errNewCert     = errors.New("the certificate cannot change")
	errNewPassword = errors.New("another ice-pwd with the same ice-ufrag")
	errNoRestart   = errors.New("the offer restarts ICE, and the answer does not")
	errRestart     = errors.New("the answer restarts ICE, and the offer does not")
)

// checkSame refuses a description whose transport is another than the one that
// was negotiated, but for a restart of ICE.
func (n *negotiation) checkSame(typ SDPType, values *jsep.Description) error {
	now, _, _, ok := values.Path()
	restarts := n.restarts(values)
	switch {
	case !n.begun || !ok:
		return nil
	case !sameFingerprints(n.peer.Fingerprints, now.Fingerprints):
		return errNewCert
	case !restarts && now.Password != n.peer.Password:
		return errNewPassword
	case typ == SDPTypeOffer:
		return nil
	}
	offered, _, _, _ := n.pendingLocal.values.Path()
	switch asked := offered.UsernameFragment != n.ice.UsernameFragment; {
	case asked && !restarts:
		return errNoRestart
	case restarts && !asked:
		return errRestart
	}

	return nil
}

// restarts tells whether a description of the peer's has new credentials.
func (n *negotiation) restarts(values *jsep.Description) bool {
	path, _, _, ok := values.Path()

	return n.begun && ok && path.UsernameFragment != n.peer.UsernameFragment
}

func sameFingerprints(a, b []jsep.Fingerprint) bool {
	known := func(f jsep.Fingerprint) bool {
		return slices.ContainsFunc(a, func(k jsep.Fingerprint) bool {
			return strings.EqualFold(k.Algorithm, f.Algorithm) && strings.EqualFold(k.Value, f.Value)
		})
	}

	return len(b) > 0 && !slices.ContainsFunc(b, func(f jsep.Fingerprint) bool { return !known(f) })
}

// prepareStart settles, with an answer of either side, what the transports are
// started with. remote is the peer's description of the two.
func (p *prepared) prepareStart(op string, n *negotiation, remote *jsep.Description) error {
	answer, offer := p.values, n.pendingLocal
	if p.set.local {
		offer = n.pendingRemote
	}
	path, _, _, ok := answer.Path()
	if !ok {
		return nil // all is rejected
	}
	from := path
	if p.set.local {
		from, _, _, _ = jsep.AnsweredPath(remote, answer)
	}
	var err error
	if p.remote, err = remoteParametersOf(remote, from); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	// The answer settles the roles. https://www.rfc-editor.org/rfc/rfc8842#section-5.3
	answerer := DTLSRoleClient
	if path.Setup == jsep.SetupPassive {
		answerer = DTLSRoleServer
	}
	p.remote.dtls.Role = answerer
	if p.set.local {
		p.remote.dtls.Role = oppositeRole(answerer)
	}
	// A handshake in signaling takes both descriptions.
	if data := liveData(answer); data == nil || data.Data.Init == "" {
		p.remote.sctp.SCTPInit = ""
	}
	p.remote.data = hasLiveData(answer) && hasLiveData(offer.values)
	p.starts = true

	return nil
}

func oppositeRole(role DTLSRole) DTLSRole {
	if role == DTLSRoleClient {
		return DTLSRoleServer
	}

	return DTLSRoleClient
}
