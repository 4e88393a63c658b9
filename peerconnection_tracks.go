package webrtc

import (
	"errors"
	"slices"

	"github.com/pion/rtcp"
)

// ErrSenderNotCreatedByConnection is a sender that none of the connection's
// transceivers has.
var ErrSenderNotCreatedByConnection = errors.New("the connection has no such sender")

// ErrNoCodecsAvailable is audio or video of which no codec is registered.
var ErrNoCodecsAvailable = errors.New("no codec of the kind is registered")

// AddTrack sends a track to the peer, by a transceiver that sends nothing yet or a
// new one that sends and receives. It makes a negotiation needed. The sender tells
// what the peer reports, and when it ends.
//
// Errors: [ErrInvalidArgument] for a nil track, and for one whose ID or StreamID has
// blanks; [ErrInvalidState] if a sender has the
// track already, and after the end; ErrNoCodecsAvailable.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-addtrack
func (pc *PeerConnection) AddTrack(track TrackLocal) (*RTPSender, error) {
	const op = "peerconnection add track"
	kind, err := pc.mayAdd(op, track)
	if err != nil {
		return nil, err
	}
	sender, err := pc.api.NewRTPSender(track, pc.dtls)
	if err != nil {
		return nil, opError(op, err)
	}
	receiver, err := pc.api.NewRTPReceiver(kind, pc.dtls)
	if err != nil {
		return nil, opError(op, and(err, sender.Stop()))
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if err := pc.mayAddLocked(op, track); err != nil { // it changed meanwhile
		pc.discard(sender, receiver)

		return nil, err
	}
	if i := slices.IndexFunc(pc.negotiation.transceivers, func(t *RTPTransceiver) bool { return t.canSend(kind) }); i >= 0 {
		t := pc.negotiation.transceivers[i]
		t.sender, t.direction = sender, directionOf(true, t.direction.receives())
		pc.discard(nil, receiver)
		pc.mediaChangedLocked()

		return sender, nil
	}
	pc.addTransceiverLocked(&RTPTransceiver{
		pc: pc, kind: kind, sender: sender, receiver: receiver, direction: RTPTransceiverDirectionSendrecv,
	})

	return sender, nil
}

// canSend tells whether a track may be sent by a transceiver that was made for
// something else.
func (t *RTPTransceiver) canSend(kind RTPCodecType) bool {
	return t.kind == kind && !t.stopped && t.sender == nil && !t.current.sends() &&
		(t.remote == RTPTransceiverDirectionUnknown || t.remote.receives())
}

// mayAdd refuses a track that cannot be sent.
func (pc *PeerConnection) mayAdd(op string, track TrackLocal) (RTPCodecType, error) {
	if err := pc.alive().usable(op); err != nil {
		return 0, err
	}
	if track == nil || isNilPointer(track) {
		return 0, refuse(op, ErrInvalidArgument, "nil track")
	}
	if err := mayCompare(track); err != nil {
		return 0, opError(op, err)
	}
	kind := track.Kind()
	if err := pc.mayTransceive(op, kind); err != nil {
		return 0, err
	}
	for _, name := range []string{track.ID(), track.StreamID()} {
		if name != "" && !canName(name) {
			return 0, refuse(op, ErrInvalidArgument, "a track or a stream named %q, which no description can tell", clip(name))
		}
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()

	return kind, pc.mayAddLocked(op, track)
}

// mayAddLocked refuses a track that is sent already, nil being none, and any after the
// end.
func (pc *PeerConnection) mayAddLocked(op string, track TrackLocal) error {
	if pc.negotiation.state == SignalingStateClosed {
		return pc.closedError(op)
	}
	for _, t := range pc.negotiation.transceivers {
		if track != nil && t.sender.Track() == track {
			return refuse(op, ErrInvalidState, "a sender has the track")
		}
	}

	return nil
}

func (pc *PeerConnection) mayTransceive(op string, kind RTPCodecType) error {
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	switch {
	case pc.SignalingState() == SignalingStateClosed:
		return pc.closedError(op)
	case !rtpCodecTypes.has(kind):
		return refuse(op, ErrInvalidArgument, "neither audio nor video")
	case len(pc.api.media.codecsFor(kind)) == 0:
		return refuse(op, ErrInvalidState, "%w: %v", ErrNoCodecsAvailable, kind)
	}

	return nil
}

// addTransceiverLocked adds one, which a negotiation is needed for.
func (pc *PeerConnection) addTransceiverLocked(t *RTPTransceiver) {
	n := &pc.negotiation
	n.transceivers = append(slices.Clone(n.transceivers), t)
	pc.mediaChangedLocked()
}

// mediaChangedLocked tells that what the program wants, or what there is, has
// changed.
func (pc *PeerConnection) mediaChangedLocked() {
	pc.negotiation.media++
	pc.checkNeededLocked()
}

// discard ends what was made and is not used. It may be called under a lock.
func (pc *PeerConnection) discard(sender *RTPSender, receiver *RTPReceiver) {
	pc.life.group.Go(func() { (*RTPTransceiver)(nil).release(sender, receiver, ErrClosed) })
}

// RemoveTrack ends a sender. The transceiver may receive still, or send something
// else later. It makes a negotiation needed. A sender that was removed before is no
// error.
//
// Errors: ErrSenderNotCreatedByConnection; [ErrInvalidState] after the end.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-removetrack
func (pc *PeerConnection) RemoveTrack(sender *RTPSender) error {
	const op = "peerconnection remove track"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	if sender.alive() == nil {
		return refuse(op, ErrInvalidArgument, "sender: %w", errNotConstructed)
	}
	if pc.SignalingState() == SignalingStateClosed {
		return pc.closedError(op)
	}
	pc.life.mu.Lock()
	i := slices.IndexFunc(pc.negotiation.transceivers, func(t *RTPTransceiver) bool { return t.sender == sender })
	if i >= 0 {
		t := pc.negotiation.transceivers[i]
		t.sender, t.direction = nil, directionOf(false, t.direction.receives())
		pc.mediaChangedLocked()
	}
	pc.life.mu.Unlock()
	if i >= 0 {
		sender.stop(ErrClosed)
	} else if over := sender.life.current() == mediaStateStopped; !over || sender.transport != pc.dtls {
		return refuse(op, ErrInvalidArgument, "%w", ErrSenderNotCreatedByConnection)
	}

	return nil
}

// AddTransceiverFromKind adds a transceiver without a track: to receive, or to send
// what its sender's ReplaceTrack is given later. The direction is sendrecv without an
// init. It makes a negotiation needed.
//
// Errors: [ErrInvalidArgument] for an init that cannot be; ErrNoCodecsAvailable;
// [ErrInvalidState] after the end.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-addtransceiver
func (pc *PeerConnection) AddTransceiverFromKind(kind RTPCodecType, init ...RTPTransceiverInit) (*RTPTransceiver, error) {
	const op = "peerconnection add transceiver"
	if err := pc.mayTransceive(op, kind); err != nil {
		return nil, err
	}

	return pc.addTransceiver(op, kind, nil, init)
}

// AddTransceiverFromTrack adds a transceiver that sends a track, and receives unless
// the init says sendonly. It makes a negotiation needed.
//
// Errors: those of AddTransceiverFromKind and [PeerConnection.AddTrack].
func (pc *PeerConnection) AddTransceiverFromTrack(track TrackLocal, init ...RTPTransceiverInit) (*RTPTransceiver, error) {
	const op = "peerconnection add transceiver"
	kind, err := pc.mayAdd(op, track)
	if err != nil {
		return nil, err
	}

	return pc.addTransceiver(op, kind, track, init)
}

func (pc *PeerConnection) addTransceiver(
	op string, kind RTPCodecType, track TrackLocal, inits []RTPTransceiverInit,
) (*RTPTransceiver, error) {
	if len(inits) > 1 {
		return nil, refuse(op, ErrInvalidArgument, "more than one init")
	}
	init := RTPTransceiverInit{Direction: RTPTransceiverDirectionSendrecv}
	for _, given := range inits {
		if err := given.validate(); err != nil {
			return nil, opError(op, err)
		}
		init.SendEncodings = given.SendEncodings
		if given.Direction != RTPTransceiverDirectionUnknown {
			init.Direction = given.Direction
		}
	}
	if track != nil && !init.Direction.sends() {
		return nil, refuse(op, ErrInvalidArgument, "a track, and the direction %v", init.Direction)
	}
	t := &RTPTransceiver{pc: pc, kind: kind, direction: init.Direction}
	var err error
	if t.receiver, err = pc.api.NewRTPReceiver(kind, pc.dtls); err != nil {
		return nil, opError(op, err)
	}
	if init.Direction.sends() {
		t.sender, err = pc.api.newSender(op, kind, pc.dtls)
		if err == nil {
			err = t.sender.encode(track, init.SendEncodings)
		}
		if err != nil {
			t.release(t.sender, t.receiver, ErrClosed)

			return nil, opError(op, err)
		}
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if err = pc.mayAddLocked(op, track); err != nil { // it changed meanwhile
		pc.discard(t.sender, t.receiver)

		return nil, err
	}
	pc.addTransceiverLocked(t)

	return t, nil
}

// GetTransceivers returns the transceivers, those that were stopped too until a
// negotiation has taken them away.
func (pc *PeerConnection) GetTransceivers() (transceivers []*RTPTransceiver) {
	pc.alive().set(func() { transceivers = slices.Clone(pc.negotiation.transceivers) })

	return transceivers
}

// GetSenders returns the senders of all transceivers that have one.
func (pc *PeerConnection) GetSenders() (senders []*RTPSender) {
	for _, t := range pc.GetTransceivers() {
		if sender := t.Sender(); sender != nil {
			senders = append(senders, sender)
		}
	}

	return senders
}

// GetReceivers returns the receivers of all transceivers.
func (pc *PeerConnection) GetReceivers() (receivers []*RTPReceiver) {
	for _, t := range pc.GetTransceivers() {
		if receiver := t.Receiver(); receiver != nil {
			receivers = append(receivers, receiver)
		}
	}

	return receivers
}

// OnTrack sets the handler of tracks that the peer sends. It is called for each with
// its first packet, when its codec is known, on a goroutine of its own: it may read
// the track, and return when that ends. One that is set late is told of the tracks
// that nobody was told of. It may be nil.
func (pc *PeerConnection) OnTrack(handler func(track *TrackRemote, receiver *RTPReceiver)) {
	pc.alive().set(func() {
		pc.onTrack = handler
		if handler == nil {
			return
		}
		untold := pc.untold
		pc.untold = nil
		for _, track := range untold {
			pc.life.group.Handle(func() { handler(track, track.receiver) })
		}
	})
}

// tellTrack tells the handler of a track that has begun.
func (pc *PeerConnection) tellTrack(track *TrackRemote) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	if pc.onTrack == nil {
		pc.untold = slices.DeleteFunc(pc.untold, func(t *TrackRemote) bool { return t.receiver.life.group.Cause() != nil })
		pc.untold = append(pc.untold, track)

		return
	}
	handler := pc.onTrack
	pc.life.group.Handle(func() { handler(track, track.receiver) })
}

// WriteRTCP sends RTCP packets to the peer; see [DTLSTransport.WriteRTCP].
func (pc *PeerConnection) WriteRTCP(packets []rtcp.Packet) error {
	const op = "peerconnection write rtcp"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	_, err := pc.dtls.WriteRTCP(packets)

	return opError(op, err)
}
