package webrtc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// RTPSender sends a track over a [DTLSTransport]. It is started once, by Send, and
// ends with the transport. Several senders may have one track.
//
// The package documentation says when its methods may be called and what ends
// them. https://www.w3.org/TR/webrtc/#rtcrtpsender-interface
type RTPSender struct {
	life      *life[mediaState]
	transport *DTLSTransport
	id        string
	kind      RTPCodecType
	stopped   atomic.Bool

	// turn is taken by whoever calls the tracks: Bind and Unbind come one after the
	// other, and no lock is held meanwhile.
	turn chan struct{}

	// Guarded by life.mu.
	params    RTPParameters // what was agreed on, or what we have
	mid       string        // of the section that it stands for, empty without one
	encodings []*sentEncoding
	rtp       *rtpTransport // since Send
}

// sentEncoding is one stream of a sender, with those that repair it.
type sentEncoding struct {
	track   TrackLocal // nil if there is none just now
	names   [2]string  // of the track's stream and the track
	coding  RTPCodingParameters
	reports *reportQueue
	numbers *numbering
	repairs *atomic.Uint32 // the number of the last retransmission
	paused  *atomic.Bool   // the peer does not want it just now

	// Of whoever has the turn, since Send; nil while nothing is bound.
	context *trackContext
	info    *interceptor.StreamInfo
}

// NewRTPSender makes a sender of a track. It gives its streams random SSRCs;
// GetParameters tells them.
//
// Errors: [ErrInvalidArgument] without a track or a transport.
func (api *API) NewRTPSender(track TrackLocal, transport *DTLSTransport) (*RTPSender, error) {
	const op = "rtpsender new"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	if track == nil || isNilPointer(track) {
		return nil, refuse(op, ErrInvalidArgument, "nil track")
	}
	if err := mayCompare(track); err != nil {
		return nil, opError(op, err)
	}
	r, err := api.newSender(op, track.Kind(), transport)
	if err != nil {
		return nil, err
	}
	r.encodings = append(r.encodings, newSentEncoding(track, r.params.Codecs))

	return r, nil
}

// newSender makes a sender without a track.
func (api *API) newSender(op string, kind RTPCodecType, transport *DTLSTransport) (*RTPSender, error) {
	if transport.alive() == nil {
		return nil, refuse(op, ErrInvalidArgument, "DTLS transport: %w", errNotConstructed)
	}
	if !rtpCodecTypes.has(kind) {
		return nil, refuse(op, ErrInvalidArgument, "the track is neither audio nor video")
	}
	engine, err := api.engine()
	if err != nil {
		return nil, opError(op, err)
	}
	r := &RTPSender{
		life:      newLife("rtpsender", mediaTransitions, mediaStateNew, mediaStateStopped, nil),
		transport: transport, id: randomHex(16), kind: kind,
		params: mediaParameters(engine, kind, RTPTransceiverDirectionSendonly),
		turn:   make(chan struct{}, 1),
	}
	r.life.group.Follow(transport.life.group, lifecycle.Follower{
		End: r.end, Shutdown: func(context.Context) error { return nil }, Passing: true,
	})

	return r, nil
}

// newSentEncoding has SSRCs for what the codecs need.
func newSentEncoding(track TrackLocal, codecs []RTPCodecParameters) *sentEncoding {
	e := &sentEncoding{
		track: track, reports: newReportQueue(), numbers: new(numbering), repairs: new(atomic.Uint32), paused: new(atomic.Bool),
	}
	e.repairs.Store(uint32(randomSSRC()))
	e.coding.SSRC = randomSSRC()
	if track != nil {
		e.coding.RID, e.names = track.RID(), [2]string{track.StreamID(), track.ID()}
	}
	if slices.ContainsFunc(codecs, RTPCodecParameters.rtx) {
		e.coding.RTX.SSRC = randomSSRC()
	}
	if slices.ContainsFunc(codecs, RTPCodecParameters.flexFEC) {
		e.coding.FEC.SSRC = randomSSRC()
	}

	return e
}

// randomSSRC is never zero. https://www.rfc-editor.org/rfc/rfc3550#section-8.1
func randomSSRC() SSRC {
	var raw [4]byte
	for {
		_, _ = rand.Read(raw[:]) // never fails
		if ssrc := SSRC(binary.BigEndian.Uint32(raw[:])); ssrc != 0 {
			return ssrc
		}
	}
}

// AddEncoding adds another encoding of the track, for simulcast, before Send: a
// track with the same ID, StreamID and Kind, and another RID.
// https://www.rfc-editor.org/rfc/rfc8853
//
// Errors: [ErrInvalidArgument] for a track that is no encoding of the first;
// [ErrInvalidState] after Send.
func (r *RTPSender) AddEncoding(track TrackLocal) error {
	const op = "rtpsender add encoding"
	if err := r.alive().usable(op); err != nil {
		return err
	}
	if track == nil || isNilPointer(track) {
		return refuse(op, ErrInvalidArgument, "nil track")
	}
	rid, id, stream, kind := track.RID(), track.ID(), track.StreamID(), track.Kind()
	if err := validateRID(rid); err != nil {
		return opError(op, err)
	}
	first := r.Track()
	if first == nil || first.RID() == "" {
		return refuse(op, ErrInvalidArgument, "the first encoding has no track, or no RID")
	}
	if first.ID() != id || first.StreamID() != stream || first.Kind() != kind {
		return refuse(op, ErrInvalidArgument, "it is another track than that of the first encoding")
	}
	e := newSentEncoding(track, r.GetParameters().Codecs)
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	switch {
	case r.life.state != mediaStateNew:
		return refuse(op, ErrInvalidState, "the sender is %v", r.life.state)
	case len(r.encodings) == maxEncodings:
		return refuse(op, ErrInvalidArgument, "more than %d encodings", maxEncodings)
	case slices.ContainsFunc(r.encodings, func(e *sentEncoding) bool { return e.coding.RID == rid }):
		return refuse(op, ErrInvalidArgument, "two encodings with the RID %q", clip(rid))
	}
	r.encodings = append(r.encodings, e)

	return nil
}

// Transport returns the transport underneath.
func (r *RTPSender) Transport() *DTLSTransport {
	if r == nil {
		return nil
	}

	return r.transport
}

// Track returns the track, that of the first encoding; nil if there is none.
func (r *RTPSender) Track() (track TrackLocal) {
	r.alive().set(func() {
		if len(r.encodings) > 0 {
			track = r.encodings[0].track
		}
	})

	return track
}

// GetParameters returns what Send would send: codecs, header extensions and
// encodings. It is what a peer's receiver has to know.
func (r *RTPSender) GetParameters() (params RTPSendParameters) {
	r.alive().set(func() {
		params.Codecs = cloneCodecs(r.params.Codecs)
		params.HeaderExtensions = slices.Clone(r.params.HeaderExtensions)
		for _, e := range r.encodings {
			params.Encodings = append(params.Encodings, RTPEncodingParameters{e.coding})
		}
	})

	return params
}

// Send starts the sender: it binds the tracks, with one of the parameters' codecs,
// and what they write is sent once the transport is connected. It does not wait.
// There has to be an encoding in the parameters for each of the sender's; without
// codecs in them, those of the API are taken.
//
// Errors: [ErrInvalidArgument] for parameters that cannot be sent;
// [ErrInvalidState] for a second Send, without a track, and after the end; an SSRC
// that another sender of the transport has; what Bind returns, as
// [ErrUnsupportedCodec]. Nothing has changed then.
func (r *RTPSender) Send(parameters RTPSendParameters) error {
	const op = "rtpsender send"
	if err := r.alive().usable(op); err != nil {
		return err
	}
	if err := parameters.validate(r.kind); err != nil {
		return opError(op, err)
	}
	if err := r.takeTurn(op); err != nil {
		return err
	}
	defer func() { <-r.turn }()

	return r.start(op, parameters, false)
}

// start is Send behind its first refusals. An encoding may be without a track if the
// program cannot give it one before. The caller has the turn.
func (r *RTPSender) start(op string, parameters RTPSendParameters, trackless bool) error {
	encodings, err := r.sendable(op, parameters, trackless)
	if err != nil {
		return err
	}
	rtp, err := r.transport.media(op)
	if err != nil {
		return err
	}
	var ssrcs []SSRC
	for _, e := range encodings {
		ssrcs = append(ssrcs, e.coding.streams()...)
	}
	if err = rtp.reserve(op, r.life.group, ssrcs); err != nil {
		return err
	}
	for _, e := range encodings {
		e.goesOn(rtp)
	}
	params := parameters.RTPParameters
	if len(params.Codecs) == 0 {
		r.life.set(func() { params = r.params })
	}
	for i, e := range encodings {
		if e.track == nil {
			continue
		}
		if err = r.bind(rtp, e, e.track, params); err != nil {
			for _, bound := range encodings[:i] {
				r.unbind(rtp, bound)
			}
			rtp.release(r.life.group)

			return opError(op, err)
		}
	}
	r.life.mu.Lock()
	moved := r.life.moveLocked(mediaStateRunning)
	if moved {
		r.params, r.rtp, r.encodings = params, rtp, encodings
	}
	r.life.mu.Unlock()
	if !moved { // it has ended meanwhile
		for _, e := range encodings {
			r.unbind(rtp, e)
		}
		rtp.release(r.life.group)

		return refuse(op, ErrInvalidState, "the sender has ended: %w", r.life.endCause())
	}
	rtp.join(user{group: r.life.group, end: r.end})
	for _, e := range encodings {
		rtp.listen(e.coding.SSRC, e.reports)
		if e.coding.RTX.SSRC != 0 {
			rtp.listen(e.coding.RTX.SSRC, e.reports)
		}
	}

	return nil
}

// goesOn has an encoding whose SSRCs were reserved go on with the numbers of a sender
// that had them before: the keys are the same.
func (e *sentEncoding) goesOn(t *rtpTransport) {
	if last, known := t.session.Guard(uint32(e.coding.SSRC)); known {
		e.numbers.sent(last)
	}
	if rtx := e.coding.RTX.SSRC; rtx != 0 {
		if last, known := t.session.Guard(uint32(rtx)); known {
			e.repairs.Store(uint32(last))
		}
	}
}

// takeTurn waits for the turn, until the sender ends.
func (r *RTPSender) takeTurn(op string) error {
	over := r.life.group.Context()
	if over.Err() == nil {
		select {
		case r.turn <- struct{}{}:
			return nil
		case <-over.Done():
		}
	}

	return refuse(op, ErrInvalidState, "the sender has ended: %w", r.life.group.Cause())
}

// sendable are the encodings with their parameters, if the sender can start with
// them. The caller has the turn.
func (r *RTPSender) sendable(op string, parameters RTPSendParameters, trackless bool) ([]*sentEncoding, error) {
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	if err := r.life.startRefusedLocked(op, r.life.state == mediaStateNew); err != nil {
		return nil, err
	}
	if len(parameters.Encodings) != len(r.encodings) {
		return nil, refuse(op, ErrInvalidArgument, "%d encodings, the sender has %d", len(parameters.Encodings), len(r.encodings))
	}
	encodings := make([]*sentEncoding, len(r.encodings))
	for i, e := range r.encodings {
		if e.track == nil && !trackless {
			return nil, refuse(op, ErrInvalidState, "encoding %d has no track", i)
		}
		own := *e
		own.coding = parameters.Encodings[i].RTPCodingParameters
		own.coding.RID = e.coding.RID
		encodings[i] = &own
	}

	return encodings, nil
}

// bind gives a track to an encoding that has none bound. The caller has the turn.
func (r *RTPSender) bind(t *rtpTransport, e *sentEncoding, track TrackLocal, params RTPParameters) error {
	writer := &trackWriter{sender: r, transport: t, numbers: e.numbers, paused: e.paused}
	name := r.namer(e, params)
	e.context = &trackContext{
		id: fmt.Sprintf("%s-%d", r.id, uint32(e.coding.SSRC)), params: params, coding: e.coding, writer: writer,
		reports: r.reportReader(e.reports),
	}
	codec, err := track.Bind(e.context)
	if err != nil {
		return err
	}
	r.life.set(func() { e.coding.PayloadType = codec.PayloadType })
	e.info = streamInfo(e.context.id, e.coding, codec, params)
	next := t.chain.BindLocalStream(e.info, interceptor.RTPWriterFunc(
		func(header *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
			return name.write(t, header, payload)
		}))
	writer.next.Store(&next)

	return nil
}

// unbind takes its track from an encoding. The caller has the turn.
func (r *RTPSender) unbind(t *rtpTransport, e *sentEncoding) {
	r.unbindTrack(t, e)
	if info := e.info; info != nil {
		e.info = nil
		t.chain.UnbindLocalStream(info)
	}
}

func (r *RTPSender) unbindTrack(t *rtpTransport, e *sentEncoding) {
	bound := e.context
	if bound == nil {
		return
	}
	e.context = nil
	bound.writer.next.Store(nil)
	if err := e.track.Unbind(bound); err != nil {
		t.log.Debugf("a track does not let go: %v", err)
	}
}

// ReplaceTrack sends another track of the same kind instead, or nothing with nil,
// without a negotiation. The stream stays the same for the peer: the numbers of its
// packets go on where those of the old track have ended, the timestamps are the new
// track's. It does nothing if the new track is the old one.
//
// Errors: ErrRTPSenderNewTrackHasIncorrectKind;
// ErrRTPSenderNewTrackHasIncorrectEnvelope while there are several encodings;
// what the new track's Bind returns, and the old one goes on then;
// [ErrInvalidState] after the end.
func (r *RTPSender) ReplaceTrack(track TrackLocal) error {
	const op = "rtpsender replace track"
	if err := r.alive().usable(op); err != nil {
		return err
	}
	if isNilPointer(track) {
		track = nil
	}
	if err := mayCompare(track); err != nil {
		return opError(op, err)
	}
	if track != nil && track.Kind() != r.kind {
		return refuse(op, ErrInvalidArgument, "%w", ErrRTPSenderNewTrackHasIncorrectKind)
	}
	if err := r.takeTurn(op); err != nil {
		return err
	}
	defer func() { <-r.turn }()
	r.life.mu.Lock()
	state, encodings, t, params := r.life.state, r.encodings, r.rtp, r.params
	r.life.mu.Unlock()
	switch {
	case state == mediaStateStopped:
		return refuse(op, ErrInvalidState, "the sender has ended: %w", r.life.endCause())
	case track != nil && len(encodings) > 1:
		return refuse(op, ErrInvalidArgument, "%w", ErrRTPSenderNewTrackHasIncorrectEnvelope)
	}
	for _, e := range encodings {
		if err := r.replace(t, e, track, params); err != nil {
			return opError(op, err)
		}
	}

	return nil
}

// replace changes the track of one encoding, and leaves it as it was on an error.
func (r *RTPSender) replace(t *rtpTransport, e *sentEncoding, track TrackLocal, params RTPParameters) error {
	if e.track == track {
		return nil
	}
	old := e.track
	if t != nil && track != nil {
		fresh := *e
		fresh.context, fresh.info = nil, nil
		if old != nil {
			r.unbind(t, e)
		}
		err := r.bind(t, &fresh, track, params)
		if err != nil && old != nil {
			track = old
			err = errors.Join(err, r.bind(t, &fresh, old, params))
		}
		if fresh.info != nil {
			names := [2]string{track.StreamID(), track.ID()}
			r.life.set(func() {
				e.context, e.info, e.coding, e.track, e.names = fresh.context, fresh.info, fresh.coding, track, names
			})
		}

		return err
	}
	if t != nil && old != nil {
		r.unbind(t, e)
	}
	names := e.names
	if track != nil {
		names = [2]string{track.StreamID(), track.ID()}
	}
	r.life.set(func() { e.track, e.names = track, names })

	return nil
}
