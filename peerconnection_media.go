package webrtc

import (
	"errors"
	"io"
	"slices"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// What a negotiation does to transceivers: which section is whose, and what of it
// starts and ends.

// sectionMatch is a section of the peer's offer and its transceiver.
type sectionMatch struct {
	mid string
	t   *RTPTransceiver
	new bool // made for the section
}

// matchSections finds the transceivers of the sections of an offer, n being a look at the
// negotiation: those that have them, those that were made for a section of their
// kind to come, and new ones that receive. A section with no codec of ours has none.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.10
func (pc *PeerConnection) matchSections(n *negotiation, offer *jsep.Description) ([]sectionMatch, error) {
	var all []sectionMatch
	pc.life.mu.Lock()
	taken := map[*RTPTransceiver]bool{}
	var missing []int
	for i := range offer.Sections {
		s := &offer.Sections[i]
		if sectionKind(s) == RTPCodecTypeUnknown || jsep.Acceptable(s) != nil {
			continue
		}
		t := n.transceiver(s.MID)
		if t == nil || n.isFree(t) {
			t = n.waiting(s, taken)
		}
		switch {
		case t != nil:
			taken[t] = true
			all = append(all, sectionMatch{mid: s.MID, t: t})
		case pc.hasCodecOf(s):
			missing = append(missing, i)
		}
	}
	pc.life.mu.Unlock()
	for _, i := range missing {
		s := &offer.Sections[i]
		receiver, err := pc.api.NewRTPReceiver(sectionKind(s), pc.dtls)
		if err != nil {
			pc.forget(all)

			return nil, err
		}
		all = append(all, sectionMatch{mid: s.MID, new: true, t: &RTPTransceiver{
			pc: pc, kind: sectionKind(s), receiver: receiver, direction: RTPTransceiverDirectionRecvonly, offered: true,
		}})
	}

	return all, nil
}

// forget ends what was made for a description that is not applied.
func (pc *PeerConnection) forget(matches []sectionMatch) {
	for _, a := range matches {
		if a.new {
			a.t.receiver.stop(ErrClosed)
		}
	}
}

// isFree tells whether a transceiver has no section, or only in an offer of ours that
// the peer's takes back.
func (n *negotiation) isFree(t *RTPTransceiver) bool {
	return t.mid == "" || slices.Contains(n.named, t) && n.pendingLocal != nil
}

// waiting finds a transceiver that was made for a section like this one. What fits
// best comes first, as in pion/webrtc: a program adds what it wants to receive, too,
// before it has the offer.
func (n *negotiation) waiting(s *jsep.Section, taken map[*RTPTransceiver]bool) *RTPTransceiver {
	var wanted []RTPTransceiverDirection
	switch s.Direction {
	case jsep.DirectionSendRecv:
		wanted = []RTPTransceiverDirection{
			RTPTransceiverDirectionRecvonly, RTPTransceiverDirectionSendrecv, RTPTransceiverDirectionSendonly,
		}
	case jsep.DirectionSendOnly:
		wanted = []RTPTransceiverDirection{RTPTransceiverDirectionRecvonly, RTPTransceiverDirectionSendrecv}
	case jsep.DirectionRecvOnly:
		wanted = []RTPTransceiverDirection{RTPTransceiverDirectionSendonly, RTPTransceiverDirectionSendrecv}
	case jsep.DirectionInactive:
	}
	for _, direction := range wanted {
		for _, t := range n.transceivers {
			if t.kind == sectionKind(s) && t.direction == direction && !t.stopped && !taken[t] && n.isFree(t) {
				return t
			}
		}
	}

	return nil
}

// hasCodecOf tells whether one of ours is among those of a section.
func (pc *PeerConnection) hasCodecOf(s *jsep.Section) bool {
	rtp, err := s.RTP()

	return err == nil && len(matchCodecs(pc.api.media.codecsFor(sectionKind(s)), codecsOfSection(s.Kind, rtp.Codecs))) > 0
}

// nameLocked gives transceivers the sections that a description has for them.
func (n *negotiation) nameLocked(sections map[string]*RTPTransceiver) {
	for mid, t := range sections {
		if t.mid == "" {
			t.mid = mid
			n.named = append(n.named, t)
		}
	}
}

// unnameLocked takes back what a description that is taken back had given.
func (n *negotiation) unnameLocked(pc *PeerConnection) {
	for _, t := range n.named {
		t.mid, t.remote = "", RTPTransceiverDirectionUnknown
	}
	n.named = nil
	n.transceivers = slices.DeleteFunc(slices.Clone(n.transceivers), func(t *RTPTransceiver) bool {
		unused := t.offered && t.sender == nil
		if unused {
			t.stopped = true
			pc.discard(nil, t.receiver)
		}
		t.offered = false

		return unused
	})
}

// mediaLocked is what a description does to transceivers at once; what it starts
// and ends is left to the effects.
func (pc *PeerConnection) mediaLocked(p *prepared, e *effects) {
	n := &pc.negotiation
	if p.set.sdp == SDPTypeRollback || p.set.sdp == SDPTypeOffer && !p.set.local {
		n.unnameLocked(pc)
	}
	if p.set.sdp == SDPTypeRollback && !p.set.local && n.currentRemote != nil {
		n.remoteDirectionsLocked(n.currentRemote)
	}
	if p.description == nil {
		return
	}
	n.nameLocked(p.sections)
	for _, a := range p.matches {
		if a.new {
			n.transceivers = append(slices.Clone(n.transceivers), a.t)
		}
		n.nameLocked(map[string]*RTPTransceiver{a.mid: a.t})
	}
	if !p.set.local {
		n.remoteDirectionsLocked(p.description)
	}
	if p.set.sdp == SDPTypeAnswer || p.set.sdp == SDPTypePranswer {
		pc.negotiatedLocked(p, e)
	}
}

// remoteDirectionsLocked takes what a description of the peer's says of the directions.
func (n *negotiation) remoteDirectionsLocked(d *description) {
	for i := range d.values.Sections {
		s := &d.values.Sections[i]
		if t := n.transceiver(s.MID); t != nil {
			t.remote = directionOfSection(s.Direction)
			if d.Type != SDPTypeOffer && !n.offeredToSend(i) { // it had no choice
				t.remote = RTPTransceiverDirectionUnknown
			}
		}
	}
}

// offeredToSend tells whether our description that the peer answers has offered to
// send in a section.
func (n *negotiation) offeredToSend(section int) bool {
	sections := n.local().values.Sections

	return section < len(sections) && sections[section].Direction.Sends()
}

// mediaChange is what starts and ends with a transceiver.
type mediaChange struct {
	t               *RTPTransceiver
	mid             string
	sender          *RTPSender
	sends, receives bool
	stops           bool
	send, receive   RTPParameters
	streams         remoteStreams
	rids            []string // of ours that the peer takes
}

// negotiatedLocked settles what an answer has agreed on.
func (pc *PeerConnection) negotiatedLocked(p *prepared, e *effects) {
	n := &pc.negotiation
	local, remote := n.local(), n.remote()
	final := p.set.sdp == SDPTypeAnswer
	for i := range min(len(local.values.Sections), len(remote.values.Sections)) {
		ours, theirs := &local.values.Sections[i], &remote.values.Sections[i]
		t := n.transceiver(ours.MID)
		if t == nil || sectionKind(ours) == RTPCodecTypeUnknown {
			continue
		}
		if ours.Rejected || theirs.Rejected {
			if final {
				t.stopped = true
				t.current, t.direction = RTPTransceiverDirectionInactive, RTPTransceiverDirectionInactive
			}
			e.media = append(e.media, mediaChange{t: t, stops: true, sender: t.sender})

			continue
		}
		if c, ok := t.agreeLocked(ours, theirs); ok {
			e.media = append(e.media, c)
		}
		if wished, ok := local.wishes[t]; ok && final {
			t.described = wished
		}
	}
	if !final {
		return
	}
	n.named = nil
	n.transceivers = slices.DeleteFunc(slices.Clone(n.transceivers), func(t *RTPTransceiver) bool {
		t.offered = false

		return t.stopped && !n.hasLive(t.mid)
	})
}

// hasLive tells whether the negotiation that was completed last has a section that
// was not rejected.
func (n *negotiation) hasLive(mid string) bool {
	return mid != "" && slices.ContainsFunc(n.past(), func(s jsep.Section) bool { return s.MID == mid && !s.Rejected })
}

// agreeLocked is what both sides have said of a section.
func (t *RTPTransceiver) agreeLocked(ours, theirs *jsep.Section) (c mediaChange, ok bool) {
	own, err := ours.RTP()
	peer, err2 := theirs.RTP()
	if err != nil || err2 != nil {
		return c, false // Parse has refused it
	}
	ownCodecs, peerCodecs := codecsOfSection(ours.Kind, own.Codecs), codecsOfSection(theirs.Kind, peer.Codecs)
	ownExtensions := extensionsOfSection(own.Extensions)
	uris := make([]string, 0, len(ownExtensions))
	for _, e := range ownExtensions {
		uris = append(uris, e.URI)
	}
	shared := matchExtensions(uris, extensionsOfSection(peer.Extensions))
	t.simulcast = jsep.RTP{RIDs: peer.RIDs, Simulcast: peer.Simulcast}
	t.agreed = RTPParameters{Codecs: ownCodecs, HeaderExtensions: shared}
	t.current = directionOfSection(ours.Direction).intersect(directionOfSection(theirs.Direction).Revers())

	return mediaChange{
		t: t, mid: ours.MID, sender: t.sender, sends: t.current.sends(), receives: t.current.receives(),
		send:    RTPParameters{Codecs: matchCodecs(ownCodecs, peerCodecs), HeaderExtensions: shared},
		receive: RTPParameters{Codecs: matchCodecs(peerCodecs, ownCodecs), HeaderExtensions: shared},
		streams: streamsOf(&peer), rids: ridsToSend(&own, &peer),
	}, true
}

// ridsToSend are the streams with names that we send, and the peer takes and has not
// paused: nil if it takes none by name.
func ridsToSend(own, peer *jsep.RTP) (rids []string) {
	taken := peer.ReceiveRIDs()
	if len(taken) == 0 {
		return nil
	}
	rids = []string{}
	for _, s := range own.SendRIDs() {
		if slices.Contains(taken, jsep.SimulcastStream{ID: s.ID}) {
			rids = append(rids, s.ID)
		}
	}

	return rids
}

// errNothingShared is a section whose two sides have no codec in common.
var errNothingShared = errors.New("the descriptions of a section have no codec in common")

// changeMedia starts and ends what an answer says, with no lock held.
func (pc *PeerConnection) changeMedia(changes []mediaChange) (err error) {
	// What ends comes first: its SSRCs may be those of another section now.
	starts := make([]*RTPReceiver, len(changes))
	for i, c := range changes {
		if c.stops {
			c.t.release(c.sender, c.t.Receiver(), io.EOF)

			continue
		}
		if len(c.send.Codecs) == 0 {
			err = and(err, refuse("peerconnection media", ErrInvalidArgument, "mid %q: %w", c.mid, errNothingShared))

			continue
		}
		var failed error
		starts[i], failed = pc.endReceiver(&c)
		err = and(err, failed)
	}
	for i, c := range changes {
		if c.stops || len(c.send.Codecs) == 0 {
			continue
		}
		if starts[i] != nil {
			err = and(err, pc.startReceiver(&c, starts[i]))
		}
		if c.sender == nil {
			continue
		}
		if failed := c.sender.negotiated(c.sends, c.mid, c.send, c.rids); failed != nil {
			c.sender.stop(failed) // its Context tells
			err = and(err, failed)
		}
	}

	return err
}

// endReceiver ends the receiver that was there, unless it goes on. It returns the one
// that has to be started, if any.
func (pc *PeerConnection) endReceiver(c *mediaChange) (*RTPReceiver, error) {
	var now *RTPReceiver
	var before remoteStreams
	pc.life.set(func() { now, before = c.t.receiver, c.t.streams })
	switch state := now.life.current(); {
	case !c.receives && state != mediaStateRunning:
		return nil, nil
	case c.receives && state == mediaStateNew:
	case c.receives && state == mediaStateRunning && before.same(&c.streams):
		now.SetRTPParameters(c.receive)
		pc.life.set(func() { c.t.streams = c.streams })
		now.rename(c.streams.streamID, c.streams.trackID)

		return nil, nil
	default:
		fresh, err := pc.api.NewRTPReceiver(c.t.kind, pc.dtls)
		if err != nil {
			return nil, err
		}
		stopped := false
		pc.life.set(func() {
			if stopped = c.t.stopped; !stopped {
				c.t.receiver = fresh
			}
		})
		now.stop(io.EOF)
		if stopped {
			fresh.stop(ErrClosed)

			return nil, nil
		}
		if now = fresh; !c.receives {
			return nil, nil
		}
	}

	return now, nil
}

// startReceiver starts a receiver.
func (pc *PeerConnection) startReceiver(c *mediaChange, now *RTPReceiver) error {
	const op = "peerconnection receive"
	pc.life.set(func() { c.t.streams = c.streams })
	early := pc.api.settings.Media.TellTracksEarly && len(c.streams.encodings) == 1
	now.life.set(func() {
		now.params, now.mid = c.receive, c.mid
		if !early {
			now.onTrack = pc.tellTrack
		}
		now.streamID, now.trackID = c.streams.streamID, c.streams.trackID
	})
	err := now.receive(op, c.streams.encodings)
	if early && err == nil {
		pc.tellTrack(now.Track())
	}

	return err
}

// wantsMedia tells whether a transceiver is not what was negotiated.
// https://www.w3.org/TR/webrtc/#dfn-check-if-negotiation-is-needed
func (n *negotiation) wantsMedia() bool {
	return slices.ContainsFunc(n.transceivers, func(t *RTPTransceiver) bool {
		if t.stopped {
			return n.hasLive(t.mid)
		}

		return t.mid == "" || t.current == RTPTransceiverDirectionUnknown || t.described != t.wishLocked()
	})
}

// wishesLocked are what the sections of a description were made of.
func wishesLocked(of []*RTPTransceiver) map[*RTPTransceiver]wish {
	wishes := make(map[*RTPTransceiver]wish, len(of))
	for _, t := range of {
		wishes[t] = t.wishLocked()
	}

	return wishes
}

// sectionsOf are the transceivers by the mids that a description gives them.
func sectionsOf(media []jsep.Media, of []*RTPTransceiver) map[string]*RTPTransceiver {
	sections := make(map[string]*RTPTransceiver, len(of))
	for i, t := range of {
		sections[media[i].MID] = t
	}

	return sections
}
