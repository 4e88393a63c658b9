package webrtc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// packetMTU is the largest RTP packet in bytes that samples are cut into. With what
// interceptors and SRTP add, it fits into the smallest path of IPv6, 1,280 bytes.
const packetMTU = 1200

// TrackLocalStaticSample is a track whose codec does not change, that a program
// writes samples to: frames of video, or a few milliseconds of audio. It cuts them
// into packets. Its methods may be called from any goroutine; samples are sent one
// after the other.
type TrackLocalStaticSample struct {
	track *TrackLocalStaticRTP

	// turn is taken by whoever writes: the packets of one sample are sent before
	// those of the next, and no lock is held meanwhile.
	turn chan struct{}

	mu         sync.Mutex
	packetizer rtp.Packetizer // since the first Bind
	sequencer  rtp.Sequencer
	clockRate  float64 // of the codec, in Hz
	remainder  float64 // of a tick, that samples were longer than what was counted
}

// NewTrackLocalStaticSample makes a track; see [NewTrackLocalStaticRTP].
func NewTrackLocalStaticSample(
	c RTPCodecCapability, id, streamID string, options ...func(*TrackLocalStaticRTP),
) (*TrackLocalStaticSample, error) {
	track, err := NewTrackLocalStaticRTP(c, id, streamID, options...)
	if err != nil {
		return nil, err
	}

	return &TrackLocalStaticSample{track: track, turn: make(chan struct{}, 1)}, nil
}

func (s *TrackLocalStaticSample) rtp() *TrackLocalStaticRTP {
	if s == nil {
		return nil
	}

	return s.track
}

// ID returns the name of the track.
func (s *TrackLocalStaticSample) ID() string { return s.rtp().ID() }

// StreamID returns the name of the stream that the track is part of.
func (s *TrackLocalStaticSample) StreamID() string { return s.rtp().StreamID() }

// RID returns the name of the encoding, empty without simulcast.
func (s *TrackLocalStaticSample) RID() string { return s.rtp().RID() }

// Kind tells audio from video.
func (s *TrackLocalStaticSample) Kind() RTPCodecType { return s.rtp().Kind() }

// Codec returns the codec.
func (s *TrackLocalStaticSample) Codec() RTPCodecCapability { return s.rtp().Codec() }

// Bind is for senders. Beside the errors of [TrackLocalStaticRTP.Bind] it fails with
// ErrNoPayloaderForCodec if nobody knows how to cut the codec's samples.
func (s *TrackLocalStaticSample) Bind(t TrackLocalContext) (RTPCodecParameters, error) {
	codec, err := s.rtp().Bind(t)
	if err != nil {
		return codec, err
	}
	if err = s.prepare(codec); err != nil {
		return RTPCodecParameters{}, opError("track bind", errors.Join(err, s.track.Unbind(t)))
	}

	return codec, nil
}

// prepare makes the packetizer, for the first sender.
func (s *TrackLocalStaticSample) prepare(codec RTPCodecParameters) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packetizer != nil {
		return nil
	}
	payloader, err := s.track.payloader(codec.RTPCodecCapability)
	if err != nil {
		return err
	}
	var options []rtp.PacketizerOption
	if s.track.timestamp != nil {
		options = append(options, rtp.WithTimestamp(*s.track.timestamp))
	}
	s.sequencer = rtp.NewRandomSequencer()
	if s.track.sequenceNumber != nil {
		s.sequencer = rtp.NewFixedSequencer(*s.track.sequenceNumber)
	}
	s.clockRate = float64(codec.ClockRate)
	s.packetizer = rtp.NewPacketizerWithOptions(packetMTU, payloader, s.sequencer, codec.ClockRate, options...)

	return nil
}

// Unbind is for senders.
func (s *TrackLocalStaticSample) Unbind(t TrackLocalContext) error { return s.rtp().Unbind(t) }

// WriteSample sends a sample to every sender that has the track. Those that are not
// connected yet miss it; without any it is lost. The sample's Data, its Duration and
// its PrevDroppedPackets count. Data is not kept.
//
// An error is that of all packets and senders that failed, joined;
// [ErrInvalidArgument] for a negative duration.
func (s *TrackLocalStaticSample) WriteSample(sample media.Sample) error {
	const op = "track write"
	if err := s.refuses(op, sample); err != nil {
		return err
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()

	return s.write(s.packetize(sample))
}

func (s *TrackLocalStaticSample) refuses(op string, sample media.Sample) error {
	if err := s.rtp().usable(op); err != nil {
		return err
	}
	if sample.Duration < 0 {
		return refuse(op, ErrInvalidArgument, "a sample of %v", sample.Duration)
	}

	return nil
}

// packetize cuts a sample into packets, none if no sender has had the track.
func (s *TrackLocalStaticSample) packetize(sample media.Sample) []*rtp.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packetizer == nil {
		return nil
	}
	for range sample.PrevDroppedPackets {
		s.sequencer.NextSequenceNumber()
	}
	ticks := sample.Duration.Seconds() * s.clockRate
	if sample.PrevDroppedPackets > 0 {
		s.packetizer.SkipSamples(s.wholeLocked(ticks * float64(sample.PrevDroppedPackets)))
	}

	return s.packetizer.Packetize(sample.Data, s.wholeLocked(ticks))
}

// wholeLocked counts ticks of the clock, which turns over as timestamps do. What is
// less than one is kept for the next.
func (s *TrackLocalStaticSample) wholeLocked(ticks float64) uint32 {
	whole, remainder := math.Modf(ticks + s.remainder)
	s.remainder = remainder

	return uint32(math.Mod(whole, 1<<32))
}

// WriteSampleContext is WriteSample, and waits first until one of the senders can
// send, as [TrackLocalStaticRTP.WriteRTPContext] does.
func (s *TrackLocalStaticSample) WriteSampleContext(ctx context.Context, sample media.Sample) error {
	const op = "track write"
	if err := s.refuses(op, sample); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	if err := s.track.awaitReady(ctx, op); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return opError(op, contextError(ctx))
	}
	defer func() { <-s.turn }()

	return s.write(s.packetize(sample))
}

// GeneratePadding sends packets of nothing but padding, 255 bytes each, as to find
// out what the path carries.
func (s *TrackLocalStaticSample) GeneratePadding(samples uint32) error {
	if err := s.rtp().usable("track write"); err != nil {
		return err
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	var packets []*rtp.Packet
	if s.packetizer != nil {
		packets = s.packetizer.GeneratePadding(samples)
	}
	s.mu.Unlock()

	return s.write(packets)
}

// write sends packets. The caller has the turn.
func (s *TrackLocalStaticSample) write(packets []*rtp.Packet) error {
	var errs []error
	for _, p := range packets {
		if err := s.track.WriteRTP(p); err != nil {
			errs = append(errs, err)
		}
	}

	return errors.Join(errs...)
}

// payloaders make what cuts the samples of a codec, by its MIME type in lower case.
var payloaders = map[string]func() rtp.Payloader{
	strings.ToLower(MimeTypeOpus): func() rtp.Payloader { return new(codecs.OpusPayloader) },
	strings.ToLower(MimeTypePCMU): func() rtp.Payloader { return new(codecs.G711Payloader) },
	strings.ToLower(MimeTypePCMA): func() rtp.Payloader { return new(codecs.G711Payloader) },
	strings.ToLower(MimeTypeG722): func() rtp.Payloader { return new(codecs.G722Payloader) },
	strings.ToLower(MimeTypeVP8):  func() rtp.Payloader { return newVP8Payloader() },
	strings.ToLower(MimeTypeVP9):  func() rtp.Payloader { return new(codecs.VP9Payloader) },
	strings.ToLower(MimeTypeH264): func() rtp.Payloader { return new(codecs.H264Payloader) },
	strings.ToLower(MimeTypeH265): func() rtp.Payloader { return new(codecs.H265Payloader) },
	strings.ToLower(MimeTypeAV1):  func() rtp.Payloader { return new(codecs.AV1Payloader) },
}

func payloaderFor(codec RTPCodecCapability) (rtp.Payloader, error) {
	if newPayloader, ok := payloaders[strings.ToLower(codec.MimeType)]; ok {
		return newPayloader(), nil
	}

	return nil, fmt.Errorf("%w: %s", ErrNoPayloaderForCodec, codec.MimeType)
}
