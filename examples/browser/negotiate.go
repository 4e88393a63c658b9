package main

import (
	"context"
	"errors"
	"io"

	"github.com/ctxrtc/webrtc"
)

const closedByPage = "closed by the page"

// negotiate is the impolite side of perfect negotiation; the page is the polite
// one. All that concerns descriptions and candidates is done by this one
// goroutine, so that a candidate never overtakes its description. It returns
// when the session is to be ended, and why, in a few words.
// https://www.w3.org/TR/webrtc/#perfect-negotiation-example
func (p *session) negotiate(program, life context.Context) (why string, err error) {
	ignoring := false // the page's offer, which has collided with ours
	defer func() {
		// What the end of the page or of the connection has broken says less.
		if life.Err() != nil || p.pc.Context().Err() != nil {
			why, err = p.ended(life)
		}
	}()
	for err == nil {
		select {
		case <-p.needed:
			if p.pc.SignalingState() == webrtc.SignalingStateStable {
				err = p.describe(life)
			} // else it is told again
		case candidate := <-p.candidates:
			init := webrtc.ICECandidateInit{}
			if candidate != nil {
				init = candidate.ToJSON()
			}
			p.send(life, message{Candidate: &init})
		case m := <-p.received:
			switch {
			case m.err != nil:
				err = m.err
			case m.Ask == askClose:
				return "closed from here, as the page has asked", nil
			case m.Ask == askOffer:
				err = p.makeChannels(life)
			case m.Candidate != nil:
				if err = p.pc.AddICECandidate(*m.Candidate); ignoring {
					err = nil
				}
			default:
				offer := m.Description.Type == webrtc.SDPTypeOffer
				if ignoring = offer && p.pc.SignalingState() != webrtc.SignalingStateStable; ignoring {
					continue
				}
				if err = p.pc.SetRemoteDescriptionContext(life, *m.Description); err == nil && offer {
					err = p.describe(life)
				}
			}
		case <-p.failed:
			err = webrtc.ErrICEFailed
		case <-p.pc.Context().Done():
			return "", nil
		case <-life.Done():
			return "", nil
		case <-program.Done():
			return "closed from here", nil
		}
	}

	return "closed from here", err
}

// describe makes the offer or the answer that is due, and sends it.
func (p *session) describe(ctx context.Context) error {
	//nolint:contextcheck // the form with a context waits for all candidates
	if err := p.pc.SetLocalDescription(webrtc.SessionDescription{}); err != nil {
		return err
	}
	p.send(ctx, message{Description: p.pc.LocalDescription()})

	return nil
}

// ended tells why a session has ended that we have not.
func (p *session) ended(life context.Context) (why string, err error) {
	select {
	case <-life.Done():
		return context.Cause(life).Error(), nil // the page has gone
	default:
	}
	//nolint:contextcheck // it tells how the connection has ended
	cause := context.Cause(p.pc.Context())
	var abort *webrtc.SCTPAbortError
	if errors.Is(cause, io.EOF) || errors.As(cause, &abort) {
		return closedByPage, nil
	}

	return "the connection has failed", cause
}
