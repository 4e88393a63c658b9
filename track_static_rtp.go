package webrtc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// TrackLocalStaticRTP is a track whose codec does not change, that a program
// writes RTP packets to. They go to every sender that has the track, with the
// sender's SSRC and payload type. Its methods may be called from any goroutine.
type TrackLocalStaticRTP struct {
	codec             RTPCodecCapability
	id, rid, streamID string
	payloader         func(RTPCodecCapability) (rtp.Payloader, error)
	sequenceNumber    *uint16
	timestamp         *uint32

	bindings atomic.Pointer[[]*binding] // replaced under mu

	mu      sync.Mutex
	changed lifecycle.Changes // of what can be written to
	waiting int               // how many writes wait for a sender
	gone    *binding          // the last that was let go while some did
}

// binding is one sender of a track.
type binding struct {
	id          string
	ssrc        SSRC
	payloadType PayloadType
	writer      TrackLocalWriter
	ready       atomic.Bool
}

// NewTrackLocalStaticRTP makes a track with a codec, the name of the track, and
// the name of the stream that it is part of.
//
// Errors: [ErrInvalidArgument] for a codec that is neither audio nor video.
func NewTrackLocalStaticRTP(
	c RTPCodecCapability, id, streamID string, options ...func(*TrackLocalStaticRTP),
) (*TrackLocalStaticRTP, error) {
	const op = "track new"
	if c.kind() == RTPCodecTypeUnknown {
		return nil, refuse(op, ErrInvalidArgument, "MIME type %q is neither audio nor video", clip(c.MimeType))
	}
	t := &TrackLocalStaticRTP{codec: c.clone(), id: id, streamID: streamID, payloader: payloaderFor}
	for _, option := range options {
		if option != nil {
			option(t)
		}
	}
	if t.rid != "" {
		if err := validateRID(t.rid); err != nil {
			return nil, opError(op, err)
		}
	}
	t.bindings.Store(new([]*binding))

	return t, nil
}

// WithRTPStreamID gives the track the name of an encoding, for simulcast.
// https://www.rfc-editor.org/rfc/rfc8852
func WithRTPStreamID(rid string) func(*TrackLocalStaticRTP) {
	return func(t *TrackLocalStaticRTP) { t.rid = rid }
}

// WithPayloader has a TrackLocalStaticSample use a payloader of the program's.
func WithPayloader(h func(RTPCodecCapability) (rtp.Payloader, error)) func(*TrackLocalStaticRTP) {
	return func(t *TrackLocalStaticRTP) {
		if h != nil {
			t.payloader = h
		}
	}
}

// WithRTPTimestamp sets the first RTP timestamp of a TrackLocalStaticSample, in
// units of the codec's clock. Without it, it is random.
func WithRTPTimestamp(timestamp uint32) func(*TrackLocalStaticRTP) {
	return func(t *TrackLocalStaticRTP) { t.timestamp = &timestamp }
}

// WithRTPSequenceNumber sets the first sequence number of a
// TrackLocalStaticSample. Without it, it is random.
func WithRTPSequenceNumber(sequenceNumber uint16) func(*TrackLocalStaticRTP) {
	return func(t *TrackLocalStaticRTP) { t.sequenceNumber = &sequenceNumber }
}

// Bind is for senders. It fails with [ErrUnsupportedCodec] if the peer does not
// take the track's codec.
func (s *TrackLocalStaticRTP) Bind(trackContext TrackLocalContext) (RTPCodecParameters, error) {
	const op = "track bind"
	if err := s.usable(op); err != nil {
		return RTPCodecParameters{}, err
	}
	if trackContext == nil || isNilPointer(trackContext) {
		return RTPCodecParameters{}, refuse(op, ErrInvalidArgument, "nil context")
	}
	agreed := trackContext.CodecParameters()
	i, how := findCodec(s.codec, agreed)
	if how == matchNone {
		name := strings.TrimSpace(s.codec.MimeType + " " + s.codec.SDPFmtpLine)

		return RTPCodecParameters{}, refuse(op, ErrUnsupportedCodec, "%s", name)
	}
	codec := agreed[i]
	b := &binding{
		id: trackContext.ID(), ssrc: trackContext.SSRC(), payloadType: codec.PayloadType,
		writer: trackContext.WriteStream(),
	}
	s.mu.Lock()
	bound := append(slices.Clone(*s.bindings.Load()), b)
	s.bindings.Store(&bound)
	s.mu.Unlock()
	ready := func() {
		b.ready.Store(true)
		s.mu.Lock()
		s.changed.Note()
		s.mu.Unlock()
	}
	if w, ok := b.writer.(*trackWriter); ok {
		w.whenReady(ready)
	} else {
		ready()
	}

	return codec, nil
}

// Unbind is for senders.
func (s *TrackLocalStaticRTP) Unbind(t TrackLocalContext) error {
	const op = "track unbind"
	if err := s.usable(op); err != nil {
		return err
	}
	if t == nil || isNilPointer(t) {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := *s.bindings.Load()
	i := slices.IndexFunc(before, func(b *binding) bool { return b.id == t.ID() })
	if i < 0 {
		return refuse(op, ErrInvalidState, "%w", errNotBound)
	}
	rest := slices.Concat(before[:i], before[i+1:])
	s.bindings.Store(&rest)
	if s.waiting > 0 { // a track that nobody writes to would keep an old connection
		s.gone = before[i]
		s.changed.Note()
	}

	return nil
}

var errNotBound = errors.New("the sender does not have the track")

// ID returns the name of the track.
func (s *TrackLocalStaticRTP) ID() string {
	if s == nil {
		return ""
	}

	return s.id
}

// StreamID returns the name of the stream that the track is part of.
func (s *TrackLocalStaticRTP) StreamID() string {
	if s == nil {
		return ""
	}

	return s.streamID
}

// RID returns the name of the encoding, empty without simulcast.
func (s *TrackLocalStaticRTP) RID() string {
	if s == nil {
		return ""
	}

	return s.rid
}

// Kind tells audio from video.
func (s *TrackLocalStaticRTP) Kind() RTPCodecType {
	if s == nil {
		return RTPCodecTypeUnknown
	}

	return s.codec.kind()
}

// Codec returns the codec.
func (s *TrackLocalStaticRTP) Codec() RTPCodecCapability {
	if s == nil {
		return RTPCodecCapability{}
	}

	return s.codec.clone()
}

// Headers are reused: what a packet's header becomes is different for each
// sender, and interceptors may add to it.
var headerPool = sync.Pool{New: func() any { return new(rtp.Header) }}

// WriteRTP sends a packet to every sender that has the track. Those that are not
// connected yet miss it, so that without any it is lost; WriteRTPContext waits. The
// packet is not kept.
//
// Header extensions are sent as they are, beside those of the sender and of the
// interceptors. A packet that was received has those of the way here, with the
// identifiers of that way: a MID or a RID among them can name another stream for the
// next peer. Who forwards it has to take them off, by setting Extension to false and
// Extensions to nil.
//
// An error is that of all senders which failed, joined; the others have sent.
func (s *TrackLocalStaticRTP) WriteRTP(p *rtp.Packet) error {
	const op = "track write"
	if err := s.usable(op); err != nil {
		return err
	}
	if p == nil {
		return refuse(op, ErrInvalidArgument, "nil packet")
	}

	return s.writeAll(&p.Header, p.Payload, p.PaddingSize)
}

// WriteRTPContext is WriteRTP, and waits first until one of the senders can send. If
// the last sender that has the track ends meanwhile, its cause is the error; without
// any, it waits for one until ctx ends.
func (s *TrackLocalStaticRTP) WriteRTPContext(ctx context.Context, p *rtp.Packet) error {
	const op = "track write"
	if err := s.usable(op); err != nil {
		return err
	}
	if ctx == nil || p == nil {
		return refuse(op, ErrInvalidArgument, "nil context or packet")
	}
	if err := s.awaitReady(ctx, op); err != nil {
		return err
	}

	return s.WriteRTP(p)
}

// awaitReady blocks until a packet would reach somebody.
func (s *TrackLocalStaticRTP) awaitReady(ctx context.Context, op string) error {
	s.mu.Lock()
	s.waiting++
	before := s.gone // was let go while others waited, and is none of ours
	s.mu.Unlock()
	defer s.endWait()
	for {
		if ctx.Err() != nil {
			return opError(op, contextError(ctx))
		}
		s.mu.Lock()
		bound, gone := *s.bindings.Load(), s.gone
		changed := s.changed.Next()
		s.mu.Unlock()
		if slices.ContainsFunc(bound, func(b *binding) bool { return b.ready.Load() }) {
			return nil
		}
		var over <-chan struct{}
		if len(bound) == 0 && gone != nil && gone != before {
			if w, ok := gone.writer.(*trackWriter); ok {
				if w.sender.Context().Err() != nil {
					return opError(op, w.sender.life.endCause())
				}
				over = w.sender.Context().Done() // until then it may get the track back
			}
		}
		select {
		case <-changed:
		case <-over:
		case <-ctx.Done():
		}
	}
}

func (s *TrackLocalStaticRTP) endWait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting--; s.waiting == 0 {
		s.gone = nil
	}
}

// Write is WriteRTP of a packet as bytes. It returns their number.
func (s *TrackLocalStaticRTP) Write(b []byte) (n int, err error) {
	const op = "track write"
	if err := s.usable(op); err != nil {
		return 0, err
	}
	p, _ := packetPool.Get().(*rtp.Packet)
	defer func() {
		p.Payload = nil
		packetPool.Put(p)
	}()
	if err := p.Unmarshal(b); err != nil {
		return 0, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return len(b), s.WriteRTP(p)
}

var packetPool = sync.Pool{New: func() any { return new(rtp.Packet) }}

func (s *TrackLocalStaticRTP) writeAll(header *rtp.Header, payload []byte, paddingSize byte) error {
	h, _ := headerPool.Get().(*rtp.Header)
	defer headerPool.Put(h)
	var errs []error
	for _, b := range *s.bindings.Load() {
		extensions := append(h.Extensions[:0], header.Extensions...)
		*h = *header
		h.Extensions = extensions
		if h.PaddingSize == 0 {
			h.PaddingSize = paddingSize
		}
		h.SSRC, h.PayloadType = uint32(b.ssrc), uint8(b.payloadType)
		if _, err := b.writer.WriteRTP(h, payload); err != nil {
			errs = append(errs, err)
		}
	}

	return errors.Join(errs...)
}

func (s *TrackLocalStaticRTP) usable(op string) error {
	if s == nil || s.bindings.Load() == nil {
		return refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}

	return nil
}
