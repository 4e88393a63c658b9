package webrtc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/internal/srtpsession"
)

// TrackRemote is one stream of audio or video that arrives. Packets wait, bounded,
// until they are read; the oldest make room for new ones. Its methods may be called
// from any goroutine; of several readers each gets other packets.
type TrackRemote struct {
	receiver *RTPReceiver
	rtp      *rtpTransport
	kind     RTPCodecType
	rid      string
	signaled bool // its SSRC was, so that it does not change
	stream   *srtpsession.Stream
	reports  *reportQueue

	// turn is taken by whoever reads. The fields below are the reader's.
	turn    chan struct{}
	ctx     context.Context        //nolint:containedctx // of the read that has the turn
	next    *srtpsession.Packet    // did not fit into the reader's buffer
	kept    interceptor.Attributes // next's, if it was sent again
	info    *interceptor.StreamInfo
	chain   interceptor.RTPReader // since the first packet
	rtxInfo *interceptor.StreamInfo
	rtx     interceptor.RTPReader // since the first packet that repairs
	repair  []byte                // the one that rtx reads
	letGo   bool                  // the interceptors do not have the stream any more
	pulled  bool                  // the interceptors have got a packet in this read

	mu           sync.Mutex
	id, streamID string
	ssrc, rtxOf  SSRC
	codec        RTPCodecParameters
}

func newTrackRemote(r *RTPReceiver, t *rtpTransport, e RTPCodingParameters) *TrackRemote {
	track := &TrackRemote{
		receiver: r, rtp: t, kind: r.kind, rid: e.RID, signaled: e.SSRC != 0, reports: newReportQueue(),
		turn: make(chan struct{}, 1),
	}
	track.stream = t.session.NewStream(track.begins)
	r.life.set(func() { track.streamID, track.id = r.streamID, r.trackID })
	params := r.GetParameters()
	track.stream.Accept(payloadTypes(params.Codecs))
	if codec, ok := codecOf(e.PayloadType, params.Codecs); ok && e.PayloadType != 0 {
		track.codec = codec
	} else if len(params.Codecs) > 0 {
		track.codec = params.Codecs[0]
	}

	return track
}

// payloadTypes are those of the packets that are taken: without codecs all.
func payloadTypes(codecs []RTPCodecParameters) (accepted []uint8) {
	for _, c := range codecs {
		accepted = append(accepted, uint8(c.PayloadType))
	}

	return accepted
}

// attach has the packets of an SSRC, and of one that repairs it if it is not zero,
// be the track's.
func (t *TrackRemote) attach(ssrc, rtx SSRC) error {
	if err := t.stream.Attach(uint32(ssrc), false); err != nil {
		return err
	}
	t.mu.Lock()
	before := t.ssrc
	t.ssrc = ssrc
	t.mu.Unlock()
	if before != 0 && before != ssrc { // the peer has begun anew
		t.stream.Detach(uint32(before))
	}
	t.rtp.listen(ssrc, t.reports)
	if rtx != 0 {
		return t.attachRepair(rtx)
	}

	return nil
}

func (t *TrackRemote) attachRepair(rtx SSRC) error {
	if err := t.stream.Attach(uint32(rtx), true); err != nil {
		return err
	}
	t.mu.Lock()
	before := t.rtxOf
	t.rtxOf = rtx
	t.mu.Unlock()
	if before != 0 && before != rtx {
		t.stream.Detach(uint32(before))
	}

	return nil
}

// begins is told of the first packet, on the goroutine that reads the path.
func (t *TrackRemote) begins(header *rtp.Header) {
	t.codecChanged(PayloadType(header.PayloadType))
	t.receiver.life.mu.Lock()
	tell := t.receiver.onTrack
	t.receiver.life.mu.Unlock()
	if tell != nil {
		tell(t)
	}
}

// codecChanged looks up what a payload type stands for. Nothing changes if it is
// none of the receiver's.
func (t *TrackRemote) codecChanged(payloadType PayloadType) {
	t.receiver.life.mu.Lock()
	codec, ok := codecOf(payloadType, t.receiver.params.Codecs)
	t.receiver.life.mu.Unlock()
	if ok && !codec.rtx() {
		t.mu.Lock()
		t.codec = codec
		t.mu.Unlock()
	}
}

// ID returns the name of the track, as the peer has signaled it; empty without
// signaling of a PeerConnection.
func (t *TrackRemote) ID() string { return look(t, func() string { return t.id }) }

// StreamID returns the name of the stream that the track is part of.
func (t *TrackRemote) StreamID() string { return look(t, func() string { return t.streamID }) }

// Msid returns both, as SDP has them. https://www.rfc-editor.org/rfc/rfc8830
func (t *TrackRemote) Msid() string { return t.StreamID() + " " + t.ID() }

// RID returns the name of the encoding, empty without simulcast.
func (t *TrackRemote) RID() string { return look(t, func() string { return t.rid }) }

// Kind tells audio from video.
func (t *TrackRemote) Kind() RTPCodecType { return look(t, func() RTPCodecType { return t.kind }) }

// SSRC returns that of the stream, zero while only its RID is known.
func (t *TrackRemote) SSRC() SSRC { return look(t, func() SSRC { return t.ssrc }) }

// RtxSSRC returns that of the stream of retransmissions, zero if there is none.
func (t *TrackRemote) RtxSSRC() SSRC { return look(t, func() SSRC { return t.rtxOf }) }

// HasRTX tells whether there is a stream of retransmissions.
func (t *TrackRemote) HasRTX() bool { return t.RtxSSRC() != 0 }

// Codec returns the codec of the packet that was read last, and before the first
// the one that is expected.
func (t *TrackRemote) Codec() RTPCodecParameters {
	return look(t, func() RTPCodecParameters { return t.codec.clone() })
}

// PayloadType returns that of Codec.
func (t *TrackRemote) PayloadType() PayloadType { return t.Codec().PayloadType }

// look reads a field that mu guards; of a nil track it is zero.
func look[T any](t *TrackRemote, field func() T) (none T) {
	if t == nil {
		return none
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return field()
}

// Read reads a packet, and waits for one. Retransmissions look like the packet that
// they repeat, with its number, and the attributes AttributeRtxPayloadType,
// AttributeRtxSsrc and AttributeRtxSequenceNumber.
//
// Errors: io.ErrShortBuffer, and the packet stays the next; os.ErrDeadlineExceeded;
// io.EOF after the peer has ended the track, and all that came before was read; [ErrClosed] after our own Stop; the
// cause of the end otherwise.
func (t *TrackRemote) Read(b []byte) (n int, attributes interceptor.Attributes, err error) {
	return t.ReadContext(context.Background(), b)
}

// ReadContext is Read, until ctx ends. It allocates nothing, but for what
// interceptors do.
func (t *TrackRemote) ReadContext(
	ctx context.Context, b []byte,
) (n int, attributes interceptor.Attributes, err error) {
	const op = "track read"
	if t == nil || t.stream == nil {
		return 0, nil, refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}
	if ctx == nil {
		return 0, nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	select {
	case t.turn <- struct{}{}:
	default:
		select {
		case t.turn <- struct{}{}:
		case <-ctx.Done():
			return 0, nil, opError(op, contextError(ctx))
		}
	}
	defer func() {
		t.ctx = nil
		<-t.turn
	}()
	t.ctx = ctx
	if n, attributes, err = t.read(b); err != nil {
		return 0, attributes, t.readError(op, ctx, err)
	}
	if n > 1 {
		if payloadType := PayloadType(b[1] & 0x7f); payloadType != look(t, func() PayloadType { return t.codec.PayloadType }) {
			t.codecChanged(payloadType)
		}
	}

	return n, attributes, nil
}

// read reads through the interceptors, as long as they have the stream. The caller has
// the turn.
func (t *TrackRemote) read(b []byte) (int, interceptor.Attributes, error) {
	if t.letGo {
		return t.pull(b, nil)
	}
	if t.chain != nil && t.next == nil {
		p, err := t.stream.Next(t.ctx)
		if err != nil {
			return 0, nil, err
		}
		t.next = p
		if !p.Repair && binary.BigEndian.Uint32(p.Data[8:]) != t.info.SSRC { // the peer has begun anew
			t.rtp.chain.UnbindRemoteStream(t.info)
			t.chain = nil
		}
	}
	if t.chain == nil {
		if err := t.bind(); err != nil {
			return 0, nil, err
		}
	}

	for {
		t.pulled = false
		n, attributes, err := t.chain.Read(b, nil)
		if err == nil || !t.pulled {
			return n, attributes, err
		}
		// The packet is what they refuse: a header extension that cannot be, for
		// example. The peer does not end a program's reads by that.
		t.rtp.counted.refused.Add(1)
		t.rtp.log.Debugf("an interceptor refuses RTP: %v", err)
	}
}

// readError is what a read tells: the end as it is, everything else with the
// operation.
func (t *TrackRemote) readError(op string, ctx context.Context, err error) error {
	switch {
	case err == io.EOF: //nolint:errorlint // an end as reads tell it
		return io.EOF
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return opError(op, contextError(ctx))
	default:
		return opError(op, err)
	}
}

// bind has the interceptors read the stream, once its first packet tells how it is
// encoded.
func (t *TrackRemote) bind() error {
	p, err := t.next, error(nil)
	if p == nil {
		p, err = t.stream.Next(t.ctx)
	}
	for err == nil && p.Repair {
		p.Release() // of nothing that has come
		p, err = t.stream.Next(t.ctx)
	}
	if err != nil {
		return err
	}
	t.next = p
	ssrc := binary.BigEndian.Uint32(p.Data[8:])
	params := t.receiver.GetParameters()
	codec, _ := codecOf(PayloadType(p.Data[1]&0x7f), params.Codecs)
	t.info = streamInfo("", RTPCodingParameters{
		SSRC: SSRC(ssrc), RTX: RTPRtxParameters{SSRC: t.RtxSSRC()},
	}, codec, params)
	t.chain = t.rtp.chain.BindRemoteStream(t.info, interceptor.RTPReaderFunc(t.pull))

	return nil
}

// pull is the end of the interceptors: it waits for the next packet.
func (t *TrackRemote) pull(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
	for {
		var err error
		p := t.next
		if p == nil {
			if p, err = t.stream.Next(t.ctx); err != nil {
				return 0, a, err
			}
		} else if err = t.stream.Expired(t.ctx); err != nil {
			return 0, a, err
		}
		if t.kept != nil {
			a = t.kept
		}
		t.next, t.kept = nil, nil
		if p.Repair {
			var ok bool
			if a, ok = t.repeated(p, a); !ok {
				p.Release()

				continue
			}
		}
		if len(p.Data) > len(b) {
			t.next, t.kept = p, a

			return 0, a, io.ErrShortBuffer
		}
		n := copy(b, p.Data)
		p.Release()
		t.pulled = true

		return n, a, nil
	}
}

// The attributes of a packet that was sent again, as pion/webrtc has them.
const (
	// AttributeRtxPayloadType is the payload type, a uint8, that it came with.
	AttributeRtxPayloadType = "rtx_payload_type"
	// AttributeRtxSsrc is the SSRC, a uint32, that it came with.
	AttributeRtxSsrc = "rtx_ssrc"
	// AttributeRtxSequenceNumber is the number, a uint16, that it came with.
	AttributeRtxSequenceNumber = "rtx_sequence_number"
)

// repeated makes of a packet that repairs the one that it repeats. Interceptors see
// it as what it came as first: they report about that stream, too.
func (t *TrackRemote) repeated(p *srtpsession.Packet, a interceptor.Attributes) (interceptor.Attributes, bool) {
	t.readRepair(p.Data)
	payloadType := PayloadType(p.Data[1] & 0x7f)
	ssrc, number := binary.BigEndian.Uint32(p.Data[8:]), binary.BigEndian.Uint16(p.Data[2:])
	t.receiver.life.mu.Lock()
	codec, _ := codecOf(payloadType, t.receiver.params.Codecs)
	t.receiver.life.mu.Unlock()
	primary, ok := primaryOf(codec)
	if !ok {
		return a, false
	}
	original, ok := srtpsession.Original(p.Data, uint32(t.SSRC()), uint8(primary))
	if !ok {
		return a, false // it was there to fill the path
	}
	p.Data, p.Repair = original, false
	if a == nil {
		a = interceptor.Attributes{}
	}
	a.Set(AttributeRtxPayloadType, uint8(payloadType))
	a.Set(AttributeRtxSsrc, ssrc)
	a.Set(AttributeRtxSequenceNumber, number)

	return a, true
}

// readRepair leads a packet through the interceptors of the stream that repairs.
func (t *TrackRemote) readRepair(packet []byte) {
	if t.letGo {
		return
	}
	if t.rtx == nil {
		params := t.receiver.GetParameters()
		codec, _ := codecOf(PayloadType(packet[1]&0x7f), params.Codecs)
		codec.RTCPFeedback = nil // https://www.rfc-editor.org/rfc/rfc4588#section-6.3
		ssrc := SSRC(binary.BigEndian.Uint32(packet[8:]))
		t.rtxInfo = streamInfo("", RTPCodingParameters{SSRC: ssrc}, codec, params)
		t.rtx = t.rtp.chain.BindRemoteStream(t.rtxInfo, interceptor.RTPReaderFunc(
			func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
				return copy(b, t.repair), a, nil
			}))
	}
	t.repair = packet
	var room [2048]byte
	if _, _, err := t.rtx.Read(room[:], nil); err != nil {
		t.rtp.log.Tracef("a repeated packet: %v", err)
	}
	t.repair = nil
}

// ReadRTP is Read, and parses. The packet is the caller's.
func (t *TrackRemote) ReadRTP() (*rtp.Packet, interceptor.Attributes, error) {
	return t.ReadRTPContext(context.Background())
}

// ReadRTPContext is ReadRTP, until ctx ends.
func (t *TrackRemote) ReadRTPContext(ctx context.Context) (*rtp.Packet, interceptor.Attributes, error) {
	const op = "track read"
	if t == nil || t.stream == nil {
		return nil, nil, refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}
	b := make([]byte, t.receiver.transport.settings.ReceiveMTU)
	n, attributes, err := t.ReadContext(ctx, b)
	if err != nil {
		return nil, attributes, err
	}
	p := new(rtp.Packet)

	return p, attributes, opError(op, p.Unmarshal(b[:n]))
}

// SetReadDeadline ends a read that waits, and those to come, at t. The zero time
// lifts it.
func (t *TrackRemote) SetReadDeadline(deadline time.Time) error {
	if t == nil || t.stream == nil {
		return refuse("track set deadline", ErrInvalidState, "%w", errNotConstructed)
	}
	t.stream.SetDeadline(deadline)

	return nil
}

// end ends the track. The interceptors let it go once nobody reads it any more,
// which is at once; they are the program's, so they are not waited for.
func (t *TrackRemote) end(cause error) {
	drop := cause != io.EOF //nolint:errorlint // a graceful end, as it is told: what came before it can be read
	if drop {
		t.stream.Close(cause)
	} else {
		t.stream.Finish(cause)
	}
	t.reports.end(cause)
	t.rtp.unlisten(t.reports)
	unbind := func() {
		defer func() { <-t.turn }()
		t.letGo = true
		if t.info != nil {
			t.rtp.chain.UnbindRemoteStream(t.info)
		}
		if t.rtxInfo != nil {
			t.rtp.chain.UnbindRemoteStream(t.rtxInfo)
		}
		if t.next != nil && drop {
			t.next.Release()
			t.next = nil
		}
	}
	select {
	case t.turn <- struct{}{}:
		if t.chain == nil && t.rtx == nil && t.next == nil { // nobody has read it
			t.letGo = true
			<-t.turn

			return
		}
		t.receiver.life.group.Handle(unbind)
	default:
		t.receiver.life.group.Handle(func() {
			t.turn <- struct{}{}
			unbind()
		})
	}
}
