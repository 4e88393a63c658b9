package webrtc

import (
	"fmt"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// CreateOffer makes an offer of what the connection has: data channels, once
// there is one. It changes nothing; SetLocalDescription applies it. options may
// be nil.
//
// Errors: [ErrInvalidState] in a signaling state that allows no offer, and
// after the end.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.2
func (pc *PeerConnection) CreateOffer(options *OfferOptions) (SessionDescription, error) {
	const op = "peerconnection create offer"
	if err := pc.alive().usable(op); err != nil {
		return SessionDescription{}, err
	}
	made, err := pc.create(op, SDPTypeOffer, creation{keep: true, restart: options != nil && options.ICERestart})
	if err != nil {
		return SessionDescription{}, err
	}

	return made.SessionDescription, nil
}

// CreateAnswer makes the answer to the peer's offer. It changes nothing;
// SetLocalDescription applies it. options may be nil.
//
// Errors: [ErrInvalidState] without an offer of the peer's.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.3
func (pc *PeerConnection) CreateAnswer(_ *AnswerOptions) (SessionDescription, error) {
	const op = "peerconnection create answer"
	if err := pc.alive().usable(op); err != nil {
		return SessionDescription{}, err
	}
	made, err := pc.create(op, SDPTypeAnswer, creation{keep: true})
	if err != nil {
		return SessionDescription{}, err
	}

	return made.SessionDescription, nil
}

// creation is what a description is made for.
type creation struct {
	keep    bool // for a SetLocalDescription that names it
	restart bool // with new credentials, whatever else is wanted
}

// create makes a description.
func (pc *PeerConnection) create(op string, typ SDPType, c creation) (*description, error) {
	params, err := pc.credentials(op, typ, c.restart)
	if err != nil {
		return nil, err
	}
	local := pc.describeLocal(params)
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	n := &pc.negotiation
	switch {
	case n.state == SignalingStateClosed:
		return nil, pc.closedError(op)
	case typ == SDPTypeOffer && n.state != SignalingStateStable && n.state != SignalingStateHaveLocalOffer,
		typ != SDPTypeOffer && (n.pendingRemote == nil || n.pendingRemote.Type != SDPTypeOffer):
		return nil, refuse(op, ErrInvalidState, "in the state %v", n.state)
	}
	// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.2
	local.SessionID, local.Version, local.Tagged = n.session, 1, n.tag()
	if last := n.local(); last != nil {
		local.Version = last.values.Version + 1
	}
	var values *jsep.Description
	var media []jsep.Media
	var of []*RTPTransceiver
	if typ == SDPTypeOffer {
		media, of = pc.offerMediaLocked()
		media = jsep.AssignMIDs(n.past(), media)
		values = jsep.Offer(local, n.past(), n.wantsData, media)
	} else {
		media, of = pc.answerMediaLocked(n.pendingRemote.values)
		values, err = jsep.Answer(local, n.pendingRemote.values, pc.answeringSetupLocked(),
			pc.transports.sctp != SCTPTransportStateClosed, media)
	}
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", fmt.Errorf("making the %v: %w", typ, err))
	}
	made := &description{
		SessionDescription: SessionDescription{typ, values.Format()}, values: values,
		sections: sectionsOf(media, of), wishes: wishesLocked(of),
	}
	switch {
	case c.keep && typ == SDPTypeOffer:
		n.createdOffer = made
	case c.keep:
		n.createdAnswer = made
	}

	return made, nil
}

// answeringSetupLocked is the role in DTLS that we take where the offer leaves
// it to us: the one that we have, or the one of the settings, or the client's,
// which begins without waiting for the offerer to have the answer.
// https://www.rfc-editor.org/rfc/rfc8842#section-5.3
func (pc *PeerConnection) answeringSetupLocked() jsep.Setup {
	switch {
	case pc.negotiation.begun:
		return pc.negotiation.setup
	case pc.api.settings.DTLS.AnsweringRole == DTLSRoleServer:
		return jsep.SetupPassive
	}

	return jsep.SetupActive
}

// describeLocal is what our side says about itself in a description, with the
// candidates gathered so far.
func (pc *PeerConnection) describeLocal(params ICEParameters) jsep.Local {
	capabilities := pc.localCapabilities()
	size := uint64(capabilities.MaxMessageSize)
	local := jsep.Local{
		Lite: params.ICELite,
		Transport: jsep.Transport{
			UsernameFragment: params.UsernameFragment, Password: params.Password,
			Trickle: true, Fingerprints: pc.fingerprints,
		},
		Data: jsep.Data{MaxMessageSize: &size, Init: capabilities.SCTPInit},
	}
	local.Transport.Candidates, local.Transport.EndOfCandidates = pc.gathered(params.UsernameFragment)

	return local
}

// localCapabilities are what we take, also when the association has agreed on
// something else.
func (pc *PeerConnection) localCapabilities() SCTPCapabilities {
	own := SCTPCapabilities{MaxMessageSize: pc.api.settings.SCTP.MaxMessageSize}
	if pc.sctp.State() == SCTPTransportStateConnecting {
		own.SCTPInit = pc.sctp.GetCapabilities().SCTPInit
	}

	return own
}
