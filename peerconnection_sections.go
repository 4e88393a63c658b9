package webrtc

import (
	"slices"
	"strings"
	"unicode"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// What transceivers say in descriptions, and what the peer's say to them: functions
// of values, without I/O.

type jsepSection = jsep.Section

// sectionDirection and directionOfSection are the same in two packages.
func sectionDirection(d RTPTransceiverDirection) jsep.Direction {
	switch d {
	case RTPTransceiverDirectionSendrecv:
		return jsep.DirectionSendRecv
	case RTPTransceiverDirectionSendonly:
		return jsep.DirectionSendOnly
	case RTPTransceiverDirectionRecvonly:
		return jsep.DirectionRecvOnly
	case RTPTransceiverDirectionInactive, RTPTransceiverDirectionUnknown:
	}

	return jsep.DirectionInactive
}

func directionOfSection(d jsep.Direction) RTPTransceiverDirection {
	return directionOf(d.Sends(), d.Receives())
}

// sectionKind is the kind of a section, unknown if it is no audio and no video.
func sectionKind(s *jsep.Section) RTPCodecType {
	if s.IsData() {
		return RTPCodecTypeUnknown
	}

	return NewRTPCodecType(s.Kind)
}

// codecsOfSection are the codecs of a section.
func codecsOfSection(kind string, codecs []jsep.Codec) []RTPCodecParameters {
	out := make([]RTPCodecParameters, 0, len(codecs))
	for _, c := range codecs {
		parameters := RTPCodecParameters{
			RTPCodecCapability: RTPCodecCapability{
				MimeType: kind + "/" + c.Name, ClockRate: c.ClockRate, Channels: c.Channels, SDPFmtpLine: c.Fmtp,
			},
			PayloadType: PayloadType(c.PayloadType),
		}
		for _, f := range c.Feedback {
			parameters.RTCPFeedback = append(parameters.RTCPFeedback, RTCPFeedback{Type: f.Type, Parameter: f.Parameter})
		}
		out = append(out, parameters)
	}

	return out
}

// sectionCodecs are codecs as a section lists them.
func sectionCodecs(codecs []RTPCodecParameters) []jsep.Codec {
	out := make([]jsep.Codec, 0, len(codecs))
	for _, c := range codecs {
		codec := jsep.Codec{
			PayloadType: uint8(c.PayloadType), Name: c.name(), ClockRate: c.ClockRate, Channels: c.Channels, Fmtp: c.SDPFmtpLine,
		}
		for _, f := range c.RTCPFeedback {
			codec.Feedback = append(codec.Feedback, jsep.Feedback{Type: f.Type, Parameter: f.Parameter})
		}
		out = append(out, codec)
	}

	return out
}

func extensionsOfSection(extensions []jsep.Extension) []RTPHeaderExtensionParameter {
	out := make([]RTPHeaderExtensionParameter, 0, len(extensions))
	for _, e := range extensions {
		out = append(out, RTPHeaderExtensionParameter{URI: e.URI, ID: e.ID})
	}

	return out
}

// codecsLocked are those that the program wants of a transceiver.
func (t *RTPTransceiver) codecsLocked() []RTPCodecParameters {
	if t.preferred != nil {
		return cloneCodecs(t.preferred)
	}

	return withPrimaries(t.pc.api.media.codecsFor(t.kind))
}

// extensionsLocked are those that are of use in its direction.
func (t *RTPTransceiver) extensionsLocked() (uris []string) {
	for _, direction := range []RTPTransceiverDirection{RTPTransceiverDirectionRecvonly, RTPTransceiverDirectionSendonly} {
		if t.direction.intersect(direction) == RTPTransceiverDirectionInactive && t.direction != RTPTransceiverDirectionInactive {
			continue
		}
		for _, uri := range t.pc.api.media.extensionsFor(t.kind, direction) {
			if !slices.Contains(uris, uri) {
				uris = append(uris, uri)
			}
		}
	}

	return uris
}

// offerMediaLocked are the sections of an offer, with the transceivers that they
// are of.
func (pc *PeerConnection) offerMediaLocked() (media []jsep.Media, of []*RTPTransceiver) {
	n := &pc.negotiation
	var codecs []RTPCodecParameters // that have a payload type in this session
	var extensions []RTPHeaderExtensionParameter
	for _, t := range n.transceivers {
		codecs = append(codecs, t.agreed.Codecs...)
		extensions = append(extensions, t.agreed.HeaderExtensions...)
	}
	// A payload type is one codec in a bundle, so that no peer makes more of them
	// than there are numbers, whatever number of sections it has.
	codecs = firstOfEach(codecs)
	for _, t := range n.transceivers {
		if t.stopped {
			continue
		}
		params := RTPParameters{
			Codecs:           codecsToOffer(t.codecsLocked(), firstOfEach(slices.Concat(t.agreed.Codecs, codecs))),
			HeaderExtensions: extensionsToOffer(t.extensionsLocked(), extensions),
		}
		codecs = firstOfEach(append(codecs, params.Codecs...))
		extensions = append(extensions, params.HeaderExtensions...)
		media = append(media, t.sectionLocked(params, t.direction, nil))
		of = append(of, t)
	}

	return media, of
}

// answerMediaLocked are the sections of an answer.
func (pc *PeerConnection) answerMediaLocked(offer *jsep.Description) (media []jsep.Media, of []*RTPTransceiver) {
	for i := range offer.Sections {
		s := &offer.Sections[i]
		t := pc.negotiation.transceiver(s.MID)
		if t == nil || t.stopped || jsep.Acceptable(s) != nil {
			continue
		}
		theirs, err := s.RTP()
		if err != nil {
			continue // Parse has refused it
		}
		params := t.matchLocked(s.Kind, &theirs)
		direction := t.direction.intersect(directionOfSection(s.Direction.Reverse()))
		media = append(media, t.sectionLocked(params, direction, &theirs))
		of = append(of, t)
	}

	return media, of
}

// matchLocked are the codecs and header extensions that both sides have, with the
// numbers of the peer's section.
func (t *RTPTransceiver) matchLocked(kind string, theirs *jsep.RTP) RTPParameters {
	match := matchCodecs
	if t.preferred != nil {
		match = matchCodecsAsPreferred
	}

	return RTPParameters{
		Codecs:           match(t.codecsLocked(), codecsOfSection(kind, theirs.Codecs)),
		HeaderExtensions: matchExtensions(t.extensionsLocked(), extensionsOfSection(theirs.Extensions)),
	}
}

// sectionLocked is what a description says of a transceiver. theirs is the offered
// section that it answers, nil in an offer.
func (t *RTPTransceiver) sectionLocked(params RTPParameters, direction RTPTransceiverDirection, theirs *jsep.RTP) jsep.Media {
	rtp := jsep.RTP{Codecs: sectionCodecs(params.Codecs)}
	for _, e := range params.HeaderExtensions {
		rtp.Extensions = append(rtp.Extensions, jsep.Extension{ID: e.ID, URI: e.URI})
	}
	sent := &t.simulcast // an offer goes on with what was agreed on
	if theirs != nil {
		sent = theirs
	}
	if direction.receives() {
		takeSimulcast(&rtp, sent, t.pc.api.settings.Media.IgnoreRIDPause)
	}
	if direction.sends() && t.sender != nil {
		t.sender.describe(&rtp, t.pc.cname, theirs)
	}

	return rtp.Media(t.mid, t.kind.String(), sectionDirection(direction))
}

// takeSimulcast adds to a section that it receives the streams with names that the
// peer sends.
func takeSimulcast(rtp, sent *jsep.RTP, unpause bool) {
	for _, rid := range jsep.AnswerRIDs(sent.RIDs) {
		if !rid.Send {
			rtp.RIDs = append(rtp.RIDs, rid)
		}
	}
	if s := sent.Simulcast.Answer(); s != nil && s.Recv != nil {
		for _, alternatives := range s.Recv { // which are our own
			for i := range alternatives {
				alternatives[i].Paused = alternatives[i].Paused && !unpause
			}
		}
		rtp.Simulcast = &jsep.Simulcast{Recv: s.Recv}
	}
}

// describe adds what a sender sends to a section: of several encodings those that
// the peer has offered to take.
func (r *RTPSender) describe(rtp *jsep.RTP, cname string, theirs *jsep.RTP) {
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	stream, track := r.names()
	rtp.MSIDs = append(rtp.MSIDs, jsep.MSID{StreamID: stream, TrackID: track})
	encodings, simulcast := r.encodings, len(r.encodings) > 1
	if theirs != nil && simulcast {
		wanted := theirs.ReceiveRIDs()
		encodings = slices.DeleteFunc(slices.Clone(encodings), func(e *sentEncoding) bool {
			return !slices.ContainsFunc(wanted, func(s jsep.SimulcastStream) bool { return s.ID == e.coding.RID })
		})
		if simulcast = len(encodings) > 0; !simulcast {
			encodings = r.encodings[:1]
		}
	}
	rtx := slices.ContainsFunc(rtp.Codecs, func(c jsep.Codec) bool {
		return RTPCodecCapability{MimeType: r.kind.String() + "/" + c.Name}.is(MimeTypeRTX)
	})
	for _, e := range encodings {
		if simulcast {
			// Packets carry the RID: SSRCs would be another thing that has to fit.
			// https://www.rfc-editor.org/rfc/rfc8853#section-5.1
			rtp.RIDs = append(rtp.RIDs, jsep.RID{ID: e.coding.RID, Send: true})
			if rtp.Simulcast == nil {
				rtp.Simulcast = new(jsep.Simulcast)
			}
			rtp.Simulcast.Send = append(rtp.Simulcast.Send, []jsep.SimulcastStream{{ID: e.coding.RID}})

			continue
		}
		ssrcs := []SSRC{e.coding.SSRC}
		if e.coding.RTX.SSRC != 0 && rtx {
			ssrcs = append(ssrcs, e.coding.RTX.SSRC)
			rtp.Groups = append(rtp.Groups, jsep.SourceGroup{
				Semantics: "FID", SSRCs: []uint32{uint32(e.coding.SSRC), uint32(e.coding.RTX.SSRC)},
			})
		}
		if e.coding.FEC.SSRC != 0 {
			ssrcs = append(ssrcs, e.coding.FEC.SSRC)
			rtp.Groups = append(rtp.Groups, jsep.SourceGroup{
				Semantics: "FEC-FR", SSRCs: []uint32{uint32(e.coding.SSRC), uint32(e.coding.FEC.SSRC)},
			})
		}
		for _, ssrc := range ssrcs {
			rtp.Sources = append(rtp.Sources, jsep.Source{SSRC: uint32(ssrc), CName: cname, StreamID: stream, TrackID: track})
		}
	}
}

// names are the stream and the track of the first encoding, as far as SDP can hold
// them.
func (r *RTPSender) names() (stream, track string) {
	for _, e := range r.encodings[:min(1, len(r.encodings))] {
		stream, track = e.names[0], e.names[1]
	}
	if !canName(stream) {
		stream = "-"
	}
	if !canName(track) {
		track = r.id
	}

	return stream, track
}

// canName tells whether SDP can hold the name of a stream or a track.
// https://www.rfc-editor.org/rfc/rfc8830#section-2
func canName(name string) bool {
	return name != "" && len(name) <= jsep.MaxMSID &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// transceiver finds one by the mid of its section.
func (n *negotiation) transceiver(mid string) *RTPTransceiver {
	i := slices.IndexFunc(n.transceivers, func(t *RTPTransceiver) bool { return t.mid == mid && mid != "" })
	if i < 0 {
		return nil
	}

	return n.transceivers[i]
}

// remoteStreams are what a section of the peer's says that it sends.
type remoteStreams struct {
	streamID, trackID string
	encodings         []RTPCodingParameters
}

// same tells whether the streams go on. Those with an SSRC do under another name, too:
// a peer that gives its sender another track renames them in its next description.
func (r *remoteStreams) same(other *remoteStreams) bool {
	if !slices.Equal(r.encodings, other.encodings) {
		return false
	}
	named := r.streamID == other.streamID && r.trackID == other.trackID

	return named || len(r.encodings) == 1 && r.encodings[0].SSRC != 0
}

// streamsOf reads a section: the RIDs of simulcast, or the SSRC of the one stream, or
// nothing but that there is one.
func streamsOf(rtp *jsep.RTP) (r remoteStreams) {
	for _, m := range rtp.MSIDs[:min(1, len(rtp.MSIDs))] {
		r.streamID, r.trackID = m.StreamID, m.TrackID
	}
	for _, s := range rtp.SendRIDs() {
		r.encodings = append(r.encodings, RTPCodingParameters{RID: s.ID})
	}
	if len(r.encodings) > 1 {
		return r
	}
	r.encodings = []RTPCodingParameters{{}}
	var repairs []uint32
	for _, g := range rtp.Groups {
		if (g.Semantics == "FID" || g.Semantics == "FEC-FR") && len(g.SSRCs) > 1 {
			repairs = append(repairs, g.SSRCs[1:]...)
		}
	}
	for _, s := range rtp.Sources {
		if slices.Contains(repairs, s.SSRC) || s.SSRC == 0 {
			continue
		}
		e := &r.encodings[0]
		e.SSRC = SSRC(s.SSRC)
		if r.trackID == "" {
			r.streamID, r.trackID = s.StreamID, s.TrackID
		}
		for _, g := range rtp.Groups {
			switch {
			case len(g.SSRCs) < 2 || g.SSRCs[0] != s.SSRC:
			case g.Semantics == "FID":
				e.RTX.SSRC = SSRC(g.SSRCs[1])
			case g.Semantics == "FEC-FR":
				e.FEC.SSRC = SSRC(g.SSRCs[1])
			}
		}

		break
	}

	return r
}
