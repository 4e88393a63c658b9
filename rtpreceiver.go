package webrtc

import (
	"context"
	"slices"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// RTPReceiver receives a track over a [DTLSTransport]: one stream of it, or several
// with simulcast. It is started once, by Receive, and ends with the transport.
//
// The package documentation says when its methods may be called and what ends
// them. https://www.w3.org/TR/webrtc/#rtcrtpreceiver-interface
type RTPReceiver struct {
	life      *life[mediaState]
	transport *DTLSTransport
	kind      RTPCodecType

	// Guarded by life.mu.
	params            RTPParameters // what was agreed on, or what we have
	tracks            []*TrackRemote
	streamID, trackID string             // as signaled
	mid               string             // of the section that it stands for, empty without one
	onTrack           func(*TrackRemote) // told once for each, at its first packet
	rtp               *rtpTransport      // since Receive
}

// NewRTPReceiver makes a receiver of audio or video.
//
// Errors: [ErrInvalidArgument] for another kind, and without a transport.
func (api *API) NewRTPReceiver(kind RTPCodecType, transport *DTLSTransport) (*RTPReceiver, error) {
	const op = "rtpreceiver new"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	if transport.alive() == nil {
		return nil, refuse(op, ErrInvalidArgument, "DTLS transport: %w", errNotConstructed)
	}
	if !rtpCodecTypes.has(kind) {
		return nil, refuse(op, ErrInvalidArgument, "neither audio nor video")
	}
	engine, err := api.engine()
	if err != nil {
		return nil, opError(op, err)
	}
	r := &RTPReceiver{
		life:      newLife("rtpreceiver", mediaTransitions, mediaStateNew, mediaStateStopped, nil),
		transport: transport, kind: kind,
		params: mediaParameters(engine, kind, RTPTransceiverDirectionRecvonly),
	}
	r.life.group.Follow(transport.life.group, lifecycle.Follower{
		End: r.end, Shutdown: func(context.Context) error { return nil }, Passing: true,
	})

	return r, nil
}

// Transport returns the transport underneath.
func (r *RTPReceiver) Transport() *DTLSTransport {
	if r == nil {
		return nil
	}

	return r.transport
}

// GetParameters returns the codecs and header extensions that the receiver reads
// packets by.
func (r *RTPReceiver) GetParameters() (params RTPParameters) {
	r.alive().set(func() {
		params.Codecs = cloneCodecs(r.params.Codecs)
		params.HeaderExtensions = slices.Clone(r.params.HeaderExtensions)
	})

	return params
}

// SetRTPParameters sets the codecs and header extensions of the peer's sender, if
// they are others than those of the API: packets are told apart by them. What is
// no valid set of parameters is ignored.
func (r *RTPReceiver) SetRTPParameters(params RTPParameters) {
	if r.alive() == nil || params.validate(r.kind) != nil {
		return
	}
	var tracks []*TrackRemote
	r.life.set(func() {
		r.params = RTPParameters{
			Codecs: cloneCodecs(params.Codecs), HeaderExtensions: slices.Clone(params.HeaderExtensions),
		}
		tracks = r.tracks
	})
	for _, track := range tracks {
		track.stream.Accept(payloadTypes(params.Codecs))
	}
}

// Track returns the track, nil before Receive, and with several encodings.
func (r *RTPReceiver) Track() *TrackRemote {
	if tracks := r.Tracks(); len(tracks) == 1 {
		return tracks[0]
	}

	return nil
}

// Tracks returns the tracks: one for each encoding, in the order of Receive.
func (r *RTPReceiver) Tracks() (tracks []*TrackRemote) {
	r.alive().set(func() { tracks = slices.Clone(r.tracks) })

	return tracks
}

// Receive starts the receiver. The encodings are those of the peer's sender: known
// by their SSRC, or by their RID, which packets have to carry then. It does not
// wait; packets come once the transport is connected.
//
// Errors: [ErrInvalidArgument] for parameters that cannot be received;
// [ErrInvalidState] for a second Receive, after the end, and for an SSRC that
// another receiver of the transport has. Nothing has changed then.
func (r *RTPReceiver) Receive(parameters RTPReceiveParameters) error {
	const op = "rtpreceiver receive"
	if err := r.alive().usable(op); err != nil {
		return err
	}
	if err := parameters.validate(); err != nil {
		return opError(op, err)
	}

	return r.receive(op, parameters.coding())
}

// receive starts with encodings of which one may be told by nothing but the section.
func (r *RTPReceiver) receive(op string, encodings []RTPCodingParameters) error {
	r.life.mu.Lock()
	err := r.life.startRefusedLocked(op, r.life.state == mediaStateNew)
	r.life.mu.Unlock()
	if err != nil {
		return err
	}
	t, err := r.transport.media(op)
	if err != nil {
		return err
	}
	tracks := make([]*TrackRemote, len(encodings))
	for i, e := range encodings {
		tracks[i] = newTrackRemote(r, t, e)
		if e.SSRC != 0 && err == nil {
			err = tracks[i].attach(e.SSRC, e.RTX.SSRC)
		}
	}
	if err != nil {
		err = refuse(op, ErrInvalidState, "%w", err)
	} else {
		r.life.mu.Lock()
		err = r.life.startRefusedLocked(op, r.life.moveLocked(mediaStateRunning))
		if err == nil {
			r.rtp, r.tracks = t, tracks
		}
		r.life.mu.Unlock()
	}
	if err != nil {
		for _, track := range tracks {
			track.stream.Close(err)
			t.unlisten(track.reports)
		}

		return err
	}
	t.join(user{group: r.life.group, end: r.end, claim: r.claim})

	return nil
}

// claim takes a stream that its packet names as one of ours: by RID and MID, or by
// the MID alone, or, without one, by a payload type of ours.
// https://www.rfc-editor.org/rfc/rfc9143#section-9.2
func (r *RTPReceiver) claim(header *rtp.Header) bool {
	r.life.mu.Lock()
	mid, params, tracks := r.mid, r.params, r.tracks
	r.life.mu.Unlock()
	codec, known := codecOf(PayloadType(header.PayloadType), params.Codecs)
	named := sdesItem(header, params, sdesMID)
	if !known || codec.repairs() || named != "" && mid != "" && named != mid {
		return false
	}
	rid, repaired := sdesItem(header, params, sdesRID), sdesItem(header, params, sdesRepairedRID)
	for _, track := range tracks {
		switch own := track.RID(); {
		case own != "" && own == repaired:
			return track.attachRepair(SSRC(header.SSRC)) == nil
		case own != "" && own == rid && !codec.rtx():
			return track.attach(SSRC(header.SSRC), 0) == nil
		case own != "" || rid != "" || repaired != "" || track.signaled:
		case codec.rtx():
			return track.attachRepair(SSRC(header.SSRC)) == nil
		default:
			return track.attach(SSRC(header.SSRC), 0) == nil
		}
	}

	return false
}

// repairs tells whether the codec is of packets that make up for lost ones of
// another SSRC, and carry nothing of their own. Those are not read.
func (c RTPCodecParameters) repairs() bool {
	return c.is(MimeTypeFlexFEC) || c.is(MimeTypeFlexFEC03)
}

// sdesItem is the text of a header extension, empty if it is not there.
func sdesItem(header *rtp.Header, params RTPParameters, uri string) string {
	i := slices.IndexFunc(params.HeaderExtensions, func(p RTPHeaderExtensionParameter) bool { return p.URI == uri })
	if i < 0 {
		return ""
	}

	return string(header.GetExtension(uint8(params.HeaderExtensions[i].ID)))
}

// rename gives the tracks the names that the peer has signaled.
func (r *RTPReceiver) rename(streamID, trackID string) {
	var tracks []*TrackRemote
	r.life.set(func() { r.streamID, r.trackID, tracks = streamID, trackID, r.tracks })
	for _, track := range tracks {
		track.mu.Lock()
		track.streamID, track.id = streamID, trackID
		track.mu.Unlock()
	}
}

// end ends the receiver and its tracks.
func (r *RTPReceiver) end(cause error) {
	r.life.mu.Lock()
	r.life.moveLocked(mediaStateStopped)
	t, tracks := r.rtp, r.tracks
	r.life.mu.Unlock()
	r.life.end(cause, func() {
		if t != nil {
			t.leave(r.life.group)
		}
		for _, track := range tracks {
			track.end(cause)
		}
	})
}

// Stop ends the receiver, with [ErrClosed]: reads of its tracks end. It is
// idempotent, and does not end the transport.
func (r *RTPReceiver) Stop() error {
	if err := r.alive().usable("rtpreceiver stop"); err != nil {
		return err
	}
	r.stop(ErrClosed)

	return nil
}

func (r *RTPReceiver) stop(cause error) {
	r.end(cause)
	r.life.awaitTorn()
}

// Shutdown is Stop, and waits for the receiver's own goroutines.
func (r *RTPReceiver) Shutdown(ctx context.Context) error {
	return r.alive().shutdown(ctx, "rtpreceiver shutdown", func(context.Context) error { return nil }, r.stop)
}

// Run owns the receiver until ctx or the receiver ends, and stops it then. It
// returns nil after our own Stop, io.EOF after the peer has ended the track, and
// the first reason otherwise. It must not be called from a handler.
func (r *RTPReceiver) Run(ctx context.Context) error { return r.alive().run(ctx, r.stop) }

// Context is done when the receiver has ended. Its cause says why.
func (r *RTPReceiver) Context() context.Context { return r.alive().context() }

// Read reads a compound RTCP packet that concerns the first encoding: what the
// peer reports about what it sends. It waits for one. The oldest that nobody reads
// are dropped; interceptors have seen them all the same.
//
// Errors: [ErrInvalidState] before Receive; io.ErrShortBuffer, and the packet
// stays the next; os.ErrDeadlineExceeded; the cause of the end.
func (r *RTPReceiver) Read(b []byte) (n int, a interceptor.Attributes, err error) {
	return r.ReadSimulcast(b, "")
}

// ReadSimulcast is Read for the encoding with a RID; the empty one means the first.
func (r *RTPReceiver) ReadSimulcast(b []byte, rid string) (n int, a interceptor.Attributes, err error) {
	return reportsOf(r.reportsOf).read("rtpreceiver read", rid, b)
}

// ReadRTCP is Read, and parses.
func (r *RTPReceiver) ReadRTCP() ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(context.Background(), "")
}

// ReadSimulcastRTCP is ReadRTCP for the encoding with a RID.
func (r *RTPReceiver) ReadSimulcastRTCP(rid string) ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(context.Background(), rid)
}

// ReadRTCPContext is ReadRTCP, until ctx ends.
func (r *RTPReceiver) ReadRTCPContext(ctx context.Context) ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(ctx, "")
}

func (r *RTPReceiver) readRTCP(ctx context.Context, rid string) ([]rtcp.Packet, interceptor.Attributes, error) {
	return reportsOf(r.reportsOf).readPackets(ctx, "rtpreceiver read", rid)
}

// SetReadDeadline ends what waits for RTCP, and will wait, at t. The zero time
// lifts it.
func (r *RTPReceiver) SetReadDeadline(t time.Time) error { return r.SetReadDeadlineSimulcast(t, "") }

// SetReadDeadlineSimulcast is SetReadDeadline for the encoding with a RID.
func (r *RTPReceiver) SetReadDeadlineSimulcast(deadline time.Time, rid string) error {
	return reportsOf(r.reportsOf).setDeadline("rtpreceiver set deadline", rid, deadline)
}

// reportsOf is the queue of an encoding.
func (r *RTPReceiver) reportsOf(op, rid string) (*reportQueue, error) {
	if err := r.alive().usable(op); err != nil {
		return nil, err
	}
	tracks := r.Tracks()
	if len(tracks) == 0 {
		return nil, refuse(op, ErrInvalidState, "nothing is received: %w", r.life.causeOr(errNotStarted))
	}
	for _, track := range tracks {
		if rid == "" || track.RID() == rid {
			return track.reports, nil
		}
	}

	return nil, refuse(op, ErrInvalidArgument, "no encoding with the RID %q", clip(rid))
}

func (r *RTPReceiver) alive() *life[mediaState] {
	if r == nil {
		return nil
	}

	return r.life
}
