package webrtc

import (
	"errors"
	"slices"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// RTPTransceiver is a sender and a receiver that share one section of the
// descriptions of a [PeerConnection]. Its methods may be called from any goroutine
// and any handler. https://www.w3.org/TR/webrtc/#rtcrtptransceiver-interface
type RTPTransceiver struct {
	pc   *PeerConnection
	kind RTPCodecType

	// Guarded by pc.life.mu.
	mid       string
	sender    *RTPSender   // nil without a track to send
	receiver  *RTPReceiver // another one each time that the peer begins anew
	direction RTPTransceiverDirection
	preferred []RTPCodecParameters
	stopped   bool
	offered   bool // it was made by an offer of the peer's that has no answer yet

	// What was negotiated last.
	current   RTPTransceiverDirection // of ours, unknown before
	remote    RTPTransceiverDirection // of the peer's description, as it says
	agreed    RTPParameters           // as our description says
	described wish                    // what our description was made of
	streams   remoteStreams           // what the receiver was started with
	simulcast jsep.RTP                // of the peer's section, the streams with names
}

// wish is what a program wants of a transceiver, as far as the peer has to be
// told.
type wish struct {
	direction RTPTransceiverDirection
	sender    *RTPSender
}

func (t *RTPTransceiver) wishLocked() wish {
	w := wish{direction: t.direction}
	if t.direction.sends() {
		w.sender = t.sender
	}

	return w
}

var (
	errOtherConnection = errors.New("the sender is another connection's")
	errMidIsSet        = errors.New("the mid cannot change")
	errStoppedAlready  = errors.New("the transceiver is stopped")
)

func (t *RTPTransceiver) set(change func()) {
	if t != nil && t.pc != nil {
		t.pc.life.set(change)
	}
}

func (t *RTPTransceiver) usable(op string) error {
	if t == nil || t.pc == nil {
		return refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}

	return nil
}

// Sender returns the sender, nil if there is none: nothing is to be sent.
func (t *RTPTransceiver) Sender() (sender *RTPSender) {
	t.set(func() { sender = t.sender })

	return sender
}

// Receiver returns the receiver. There is a new one when the peer has ended what it
// sent, or sends something else.
func (t *RTPTransceiver) Receiver() (receiver *RTPReceiver) {
	t.set(func() { receiver = t.receiver })

	return receiver
}

// Mid returns the name of the section, empty before a description has it.
func (t *RTPTransceiver) Mid() (mid string) {
	t.set(func() { mid = t.mid })

	return mid
}

// Kind tells audio from video.
func (t *RTPTransceiver) Kind() RTPCodecType {
	if t == nil {
		return RTPCodecTypeUnknown
	}

	return t.kind
}

// Direction returns what our side wants; what flows is no more than the peer wants
// too.
func (t *RTPTransceiver) Direction() (direction RTPTransceiverDirection) {
	t.set(func() { direction = t.direction })

	return direction
}

// SetMid names the section that an offer will have for the transceiver.
//
// Errors: [ErrInvalidState] if it has a name; [ErrInvalidArgument] for one that
// another transceiver has, or that SDP cannot hold.
func (t *RTPTransceiver) SetMid(mid string) error {
	const op = "transceiver set mid"
	if err := t.usable(op); err != nil {
		return err
	}
	if mid == "" || len(mid) > maxRID || !isToken(mid) {
		return refuse(op, ErrInvalidArgument, "%q is no name", clip(mid))
	}
	t.pc.life.mu.Lock()
	defer t.pc.life.mu.Unlock()
	n := &t.pc.negotiation
	switch {
	case t.mid != "":
		return refuse(op, ErrInvalidState, "%w", errMidIsSet)
	case slices.ContainsFunc(n.transceivers, func(other *RTPTransceiver) bool { return other.mid == mid }),
		slices.ContainsFunc(n.past(), func(s jsepSection) bool { return s.MID == mid }):
		return refuse(op, ErrInvalidArgument, "another section has the mid %q", mid)
	}
	t.mid = mid

	return nil
}

// SetCodecPreferences has descriptions list these codecs, in this order, and no
// others. Without any, they list all that are registered.
//
// Errors: [ErrInvalidArgument], and [ErrUnsupportedCodec], for a codec that is not
// registered, and for a list without one that carries media.
// https://www.w3.org/TR/webrtc/#dom-rtcrtptransceiver-setcodecpreferences
func (t *RTPTransceiver) SetCodecPreferences(codecs []RTPCodecParameters) error {
	const op = "transceiver set codec preferences"
	if err := t.usable(op); err != nil {
		return err
	}
	preferred, err := codecPreferences(codecs, t.pc.api.media.codecsFor(t.kind))
	if err != nil {
		return opError(op, err)
	}
	if len(codecs) == 0 {
		preferred = nil
	}
	t.set(func() { t.preferred = preferred })

	return nil
}

// SetSender has the transceiver send a track by a sender that was made for its
// connection's DTLS transport.
//
// Errors: [ErrInvalidArgument] without a sender, and for one of another transport or
// kind; those of [RTPSender.ReplaceTrack]; [ErrInvalidState] if the transceiver is
// stopped.
func (t *RTPTransceiver) SetSender(s *RTPSender, track TrackLocal) error {
	const op = "transceiver set sender"
	if err := t.usable(op); err != nil {
		return err
	}
	switch {
	case s.alive() == nil:
		return refuse(op, ErrInvalidArgument, "sender: %w", errNotConstructed)
	case s.transport != t.pc.dtls:
		return refuse(op, ErrInvalidArgument, "%w", errOtherConnection)
	case s.kind != t.kind:
		return refuse(op, ErrInvalidArgument, "a sender of %v", s.kind)
	}
	var stopped bool
	t.set(func() { stopped = t.stopped })
	if stopped {
		return refuse(op, ErrInvalidState, "%w", errStoppedAlready)
	}
	if err := s.ReplaceTrack(track); err != nil {
		return opError(op, err)
	}
	old := s
	t.set(func() {
		if stopped = t.stopped; stopped {
			return
		}
		old, t.sender = t.sender, s
		t.direction = directionOf(track != nil, t.direction.receives())
		t.pc.mediaChangedLocked()
	})
	switch {
	case stopped:
		return refuse(op, ErrInvalidState, "%w", errStoppedAlready)
	case old != nil && old != s: // nobody could end it any more
		old.stop(ErrClosed)
	}

	return nil
}

// Stop ends the transceiver for good: nothing is sent or received by it any more,
// and the next negotiation takes its section away. It is idempotent.
// https://www.w3.org/TR/webrtc/#dom-rtcrtptransceiver-stop
func (t *RTPTransceiver) Stop() error {
	if err := t.usable("transceiver stop"); err != nil {
		return err
	}
	t.pc.life.mu.Lock()
	sender, receiver := t.sender, t.receiver
	t.stopped, t.direction = true, RTPTransceiverDirectionInactive
	t.pc.mediaChangedLocked()
	t.pc.life.mu.Unlock()
	t.release(sender, receiver, ErrClosed)

	return nil
}

// release ends a sender and a receiver, of which either may be nil.
func (t *RTPTransceiver) release(sender *RTPSender, receiver *RTPReceiver, cause error) {
	if sender != nil {
		sender.stop(ErrClosed)
	}
	if receiver != nil {
		receiver.stop(cause)
	}
}
