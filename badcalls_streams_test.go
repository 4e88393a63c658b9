package webrtc

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

type badMediaCall = badCallOn[*badMediaSite]

// badMediaSite is a sender on one side and its receiver on the other.
type badMediaSite struct {
	a, b     *stack
	track    *TrackLocalStaticRTP
	samples  *TrackLocalStaticSample
	sender   *RTPSender
	receiver *RTPReceiver
	remote   *TrackRemote // since the receiver was started; a packet waits
	idle     *RTPReceiver // never started
}

func (s *badMediaSite) look() string {
	synctest.Wait()
	var b strings.Builder
	fmt.Fprintln(&b, "sender", s.sender.life.current(), s.sender.GetParameters(), s.sender.Track().ID(),
		context.Cause(s.sender.Context()))
	fmt.Fprintln(&b, "receiver", s.receiver.life.current(), s.receiver.GetParameters(), len(s.receiver.Tracks()),
		context.Cause(s.receiver.Context()))
	fmt.Fprintln(&b, "idle", s.idle.life.current(), len(s.idle.Tracks()), context.Cause(s.idle.Context()))
	fmt.Fprintln(&b, "tracks", len(*s.track.bindings.Load()), len(*s.samples.track.bindings.Load()))
	if s.remote != nil {
		fmt.Fprintln(&b, "remote", s.remote.SSRC(), s.remote.RtxSSRC(), s.remote.Codec())
	}
	for _, one := range []*stack{s.a, s.b} {
		fmt.Fprintf(&b, "transport %v %+v\n", one.dtls.State(), one.dtls.SRTPStats())
		if r := one.dtls.mediaIfUsed(); r != nil {
			r.mu.Lock()
			fmt.Fprintln(&b, len(r.users), len(r.senders), len(r.sinks))
			r.mu.Unlock()
		}
	}

	return b.String()
}

func third[T, U any](_ T, _ U, err error) error { return err }

func sendWith(change func(p *RTPSendParameters)) func(s *badMediaSite) error {
	return func(s *badMediaSite) error {
		p := s.sender.GetParameters()
		change(&p)

		return s.sender.Send(p)
	}
}

func receiveWith(codings ...RTPCodingParameters) func(s *badMediaSite) error {
	return func(s *badMediaSite) error {
		p := RTPReceiveParameters{}
		for _, c := range codings {
			p.Encodings = append(p.Encodings, RTPDecodingParameters{c})
		}

		return s.idle.Receive(p)
	}
}

// badMediaWhenMade comes before Send and Receive.
var badMediaWhenMade = []badMediaCall{
	{"API.NewRTPSender", "no track", func(s *badMediaSite) error { return second(s.a.api.NewRTPSender(nil, s.a.dtls)) }, ErrInvalidArgument, "nil track"},
	{"API.NewRTPSender", "a nil pointer for a track", func(s *badMediaSite) error {
		return second(s.a.api.NewRTPSender((*TrackLocalStaticRTP)(nil), s.a.dtls))
	}, ErrInvalidArgument, "nil track"},
	{"API.NewRTPSender", "no transport", func(s *badMediaSite) error { return second(s.a.api.NewRTPSender(s.track, nil)) }, ErrInvalidArgument, "DTLS transport"},
	{"API.NewRTPSender", "a zero transport", func(s *badMediaSite) error { return second(s.a.api.NewRTPSender(s.track, &DTLSTransport{})) }, ErrInvalidArgument, "DTLS transport"},
	{"API.NewRTPSender", "a track of no kind", func(s *badMediaSite) error {
		return second(s.a.api.NewRTPSender(&TrackLocalStaticRTP{}, s.a.dtls))
	}, ErrInvalidArgument, "neither audio nor video"},
	{"API.NewRTPReceiver", "no transport", func(s *badMediaSite) error { return second(s.a.api.NewRTPReceiver(RTPCodecTypeAudio, nil)) }, ErrInvalidArgument, "DTLS transport"},
	{"API.NewRTPReceiver", "no kind", func(s *badMediaSite) error { return second(s.a.api.NewRTPReceiver(0, s.a.dtls)) }, ErrInvalidArgument, "neither audio nor video"},
	{"RTPSender.AddEncoding", "no track", func(s *badMediaSite) error { return s.sender.AddEncoding(nil) }, ErrInvalidArgument, "nil track"},
	{"RTPSender.AddEncoding", "a track without a RID", func(s *badMediaSite) error { return s.sender.AddEncoding(s.samples) }, ErrInvalidArgument, "RID"},
	{"RTPSender.ReplaceTrack", "a track of another kind", func(s *badMediaSite) error {
		track, _ := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeOpus}, "track", "stream")

		return s.sender.ReplaceTrack(track)
	}, ErrRTPSenderNewTrackHasIncorrectKind, "kind"},
	{"RTPSender.Send", "no encodings", sendWith(func(p *RTPSendParameters) { p.Encodings = nil }), ErrInvalidArgument, "encodings"},
	{"RTPSender.Send", "an encoding too many", sendWith(func(p *RTPSendParameters) {
		p.Encodings = []RTPEncodingParameters{
			{RTPCodingParameters{SSRC: 1, RID: "a"}}, {RTPCodingParameters{SSRC: 2, RID: "b"}},
		}
	}), ErrInvalidArgument, "2 encodings"},
	{"RTPSender.Send", "an encoding without an SSRC", sendWith(func(p *RTPSendParameters) { p.Encodings[0] = RTPEncodingParameters{} }), ErrInvalidArgument, "SSRC"},
	{"RTPSender.Send", "one SSRC twice", sendWith(func(p *RTPSendParameters) { p.Encodings[0].RTX.SSRC = p.Encodings[0].SSRC }), ErrInvalidArgument, "SSRC"},
	{"RTPSender.Send", "a codec of no type", sendWith(func(p *RTPSendParameters) { p.Codecs = make([]RTPCodecParameters, 1) }), ErrInvalidArgument, "MIME type"},
	{"RTPSender.Send", "codecs without the track's", sendWith(func(p *RTPSendParameters) {
		p.Codecs = []RTPCodecParameters{{RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeH264, ClockRate: 90000}, PayloadType: 99}}
	}), ErrUnsupportedCodec, "VP8"},
	{"RTPSender.ReadSimulcast", "an unknown RID", func(s *badMediaSite) error { return third(s.sender.ReadSimulcast(nil, "none")) }, ErrInvalidArgument, `"none"`},
	{"RTPSender.ReadSimulcastRTCP", "an unknown RID", func(s *badMediaSite) error { return third(s.sender.ReadSimulcastRTCP("none")) }, ErrInvalidArgument, `"none"`},
	{"RTPSender.SetReadDeadlineSimulcast", "an unknown RID", func(s *badMediaSite) error { return s.sender.SetReadDeadlineSimulcast(time.Time{}, "none") }, ErrInvalidArgument, `"none"`},
	{"RTPSender.ReadRTCPContext", "no context", func(s *badMediaSite) error { return third(s.sender.ReadRTCPContext(noContext)) }, ErrInvalidArgument, "context"},
	{"RTPSender.ReadRTCPContext", "a dead context", func(s *badMediaSite) error { return third(s.sender.ReadRTCPContext(deadContext)) }, errSwept, "canceled"},
	{"RTPSender.Run", "no context", func(s *badMediaSite) error { return s.sender.Run(noContext) }, ErrInvalidArgument, "context"},
	{"RTPSender.Shutdown", "no context", func(s *badMediaSite) error { return s.sender.Shutdown(noContext) }, ErrInvalidArgument, "context"},
	{"RTPReceiver.Run", "no context", func(s *badMediaSite) error { return s.receiver.Run(noContext) }, ErrInvalidArgument, "context"},
	{"RTPReceiver.Shutdown", "no context", func(s *badMediaSite) error { return s.receiver.Shutdown(noContext) }, ErrInvalidArgument, "context"},
	{"RTPReceiver.Receive", "no encodings", receiveWith(), ErrInvalidArgument, "encodings"},
	{"RTPReceiver.Receive", "one SSRC twice", receiveWith(RTPCodingParameters{SSRC: 5, RTX: RTPRtxParameters{SSRC: 5}}), ErrInvalidArgument, "SSRC"},
	{"RTPReceiver.Receive", "a RID of spaces", receiveWith(RTPCodingParameters{RID: "a b"}), ErrInvalidArgument, "RID"},
	{"RTPReceiver.Receive", "one RID twice", receiveWith(RTPCodingParameters{RID: "a"}, RTPCodingParameters{RID: "a"}), ErrInvalidArgument, "RID"},
	{"RTPReceiver.Read", "no Receive before", func(s *badMediaSite) error { return third(s.idle.Read(nil)) }, ErrInvalidState, "received"},
	{"RTPReceiver.ReadRTCP", "no Receive before", func(s *badMediaSite) error { return third(s.idle.ReadRTCP()) }, ErrInvalidState, "received"},
	{"RTPReceiver.ReadRTCPContext", "no Receive before", func(s *badMediaSite) error { return third(s.idle.ReadRTCPContext(deadContext)) }, ErrInvalidState, "received"},
	{"RTPReceiver.SetReadDeadline", "no Receive before", func(s *badMediaSite) error { return s.idle.SetReadDeadline(time.Time{}) }, ErrInvalidState, "received"},
	{"DTLSTransport.WriteRTCP", "no packets", func(s *badMediaSite) error { return second(s.a.dtls.WriteRTCP(nil)) }, ErrInvalidArgument, "no packets"},
	{"DTLSTransport.WriteRTCP", "a nil packet", func(s *badMediaSite) error { return second(s.a.dtls.WriteRTCP(make([]rtcp.Packet, 1))) }, ErrInvalidArgument, "nil"},
	{"TrackLocalStaticRTP.Bind", "no context", func(s *badMediaSite) error { return second(s.track.Bind(nil)) }, ErrInvalidArgument, "context"},
	{"TrackLocalStaticRTP.Unbind", "no context", func(s *badMediaSite) error { return s.track.Unbind(nil) }, ErrInvalidArgument, "context"},
	{"TrackLocalStaticRTP.Unbind", "a context that it was not bound with", func(s *badMediaSite) error { return s.track.Unbind(&trackContext{}) }, ErrInvalidState, "track"},
	{"TrackLocalStaticRTP.Write", "no packet", func(s *badMediaSite) error { return second(s.track.Write([]byte{1})) }, ErrInvalidArgument, "header"},
	{"TrackLocalStaticRTP.WriteRTP", "no packet", func(s *badMediaSite) error { return s.track.WriteRTP(nil) }, ErrInvalidArgument, "nil packet"},
	{"TrackLocalStaticRTP.WriteRTPContext", "no context", func(s *badMediaSite) error { return s.track.WriteRTPContext(noContext, &rtp.Packet{}) }, ErrInvalidArgument, "nil context"},
	{"TrackLocalStaticRTP.WriteRTPContext", "a dead context", func(s *badMediaSite) error { return s.track.WriteRTPContext(deadContext, &rtp.Packet{}) }, errSwept, "canceled"},
	{"TrackLocalStaticSample.Bind", "no context", func(s *badMediaSite) error { return second(s.samples.Bind(nil)) }, ErrInvalidArgument, "context"},
	{"TrackLocalStaticSample.Unbind", "no context", func(s *badMediaSite) error { return s.samples.Unbind(nil) }, ErrInvalidArgument, "context"},
	{"TrackLocalStaticSample.WriteSample", "a negative duration", func(s *badMediaSite) error { return s.samples.WriteSample(media.Sample{Duration: -1}) }, ErrInvalidArgument, "-1ns"},
	{"TrackLocalStaticSample.WriteSampleContext", "no context", func(s *badMediaSite) error { return s.samples.WriteSampleContext(noContext, media.Sample{}) }, ErrInvalidArgument, "nil context"},
	{"TrackLocalStaticSample.WriteSampleContext", "a dead context", func(s *badMediaSite) error { return s.samples.WriteSampleContext(deadContext, media.Sample{}) }, errSwept, "canceled"},
}

// badMediaWhenRunning comes while a packet, and a report for each, waits.
var badMediaWhenRunning = []badMediaCall{
	{"RTPSender.AddEncoding", "Send before", func(s *badMediaSite) error { return s.sender.AddEncoding(rtpTrackOf("more")) }, ErrInvalidArgument, "RID"},
	{"RTPSender.Send", "Send before", sendWith(func(*RTPSendParameters) {}), ErrInvalidState, "before"},
	{"RTPSender.Read", "a short buffer", func(s *badMediaSite) error { return third(s.sender.Read(make([]byte, 3))) }, io.ErrShortBuffer, "short"},
	{"RTPSender.ReadSimulcast", "a short buffer", func(s *badMediaSite) error { return third(s.sender.ReadSimulcast(nil, "")) }, io.ErrShortBuffer, "short"},
	{"RTPReceiver.Receive", "an SSRC that another has", func(s *badMediaSite) error {
		return receiveWith(RTPCodingParameters{SSRC: s.remote.SSRC()})(s)
	}, ErrInvalidState, "in use"},
	{"RTPReceiver.ReadSimulcast", "an unknown RID", func(s *badMediaSite) error { return third(s.receiver.ReadSimulcast(nil, "none")) }, ErrInvalidArgument, `"none"`},
	{"RTPReceiver.ReadSimulcastRTCP", "an unknown RID", func(s *badMediaSite) error { return third(s.receiver.ReadSimulcastRTCP("none")) }, ErrInvalidArgument, `"none"`},
	{"RTPReceiver.SetReadDeadlineSimulcast", "an unknown RID", func(s *badMediaSite) error { return s.receiver.SetReadDeadlineSimulcast(time.Time{}, "none") }, ErrInvalidArgument, `"none"`},
	{"RTPReceiver.ReadRTCPContext", "no context", func(s *badMediaSite) error { return third(s.receiver.ReadRTCPContext(noContext)) }, ErrInvalidArgument, "context"},
	{"TrackRemote.Read", "a short buffer", func(s *badMediaSite) error { return third(s.remote.Read(make([]byte, 3))) }, io.ErrShortBuffer, "short"},
	{"TrackRemote.ReadContext", "no context", func(s *badMediaSite) error { return third(s.remote.ReadContext(noContext, nil)) }, ErrInvalidArgument, "context"},
	{"TrackRemote.ReadContext", "a dead context", func(s *badMediaSite) error { return third(s.remote.ReadContext(deadContext, make([]byte, 100))) }, errSwept, "canceled"},
	{"TrackRemote.ReadRTPContext", "no context", func(s *badMediaSite) error { return third(s.remote.ReadRTPContext(noContext)) }, ErrInvalidArgument, "context"},
	{"TrackRemote.ReadRTPContext", "a dead context", func(s *badMediaSite) error { return third(s.remote.ReadRTPContext(deadContext)) }, errSwept, "canceled"},
	{"TrackLocalStaticRTP.WriteRTP", "a packet that is too large", func(s *badMediaSite) error { return s.track.WriteRTP(&rtp.Packet{Payload: make([]byte, 1<<16)}) }, ErrMessageTooLarge, "bytes"},
	{"TrackLocalStaticRTP.WriteRTP", "padding without a size", func(s *badMediaSite) error { return s.track.WriteRTP(&rtp.Packet{Header: rtp.Header{Padding: true}}) }, ErrInvalidArgument, "padding"},
}

// badMediaWhenOver comes after Stop.
var badMediaWhenOver = []badMediaCall{
	{"RTPSender.Send", "the end before", sendWith(func(*RTPSendParameters) {}), ErrInvalidState, "ended"},
	{"RTPSender.ReplaceTrack", "the end before", func(s *badMediaSite) error { return s.sender.ReplaceTrack(s.samples) }, ErrInvalidState, "ended"},
	{"RTPSender.ReadRTCP", "the end before", func(s *badMediaSite) error { return third(s.sender.ReadRTCP()) }, ErrClosed, "closed"},
	{"RTPReceiver.Receive", "the end before", func(s *badMediaSite) error {
		return s.receiver.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{{RTPCodingParameters{SSRC: 9}}}})
	}, ErrInvalidState, "stopped"},
	{"TrackRemote.ReadRTP", "the end before", func(s *badMediaSite) error { return third(s.remote.ReadRTP()) }, ErrClosed, "closed"},
	{"DTLSTransport.WriteRTCP", "the end before", func(s *badMediaSite) error {
		return second(s.a.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}}))
	}, ErrClosed, "closed"},
}

var badMediaStages = [][]badMediaCall{badMediaWhenMade, badMediaWhenRunning, badMediaWhenOver}

func rtpTrackOf(id string) *TrackLocalStaticRTP {
	track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, id, "stream")
	if err != nil {
		panic(err)
	}

	return track
}

// What senders, receivers and tracks refuse changes nothing, and media flow as if
// there had been none of it.
func TestBadMediaInputIsRefusedAndChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		s := &badMediaSite{a: a, b: b, track: rtpTrackOf("track"), samples: sampleTrack(t, MimeTypeVP8)}
		var err error
		s.sender, err = a.api.NewRTPSender(s.track, a.dtls)
		require.NoError(t, err)
		for _, r := range []**RTPReceiver{&s.receiver, &s.idle} {
			*r, err = b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
			require.NoError(t, err)
		}
		for _, one := range []*stack{a, b} {
			_, err = one.dtls.media("test") // which a call that is refused late makes
			require.NoError(t, err)
		}
		refuses(t, "made", s, badMediaWhenMade)
		params := s.sender.GetParameters()
		require.NoError(t, s.sender.Send(params))
		require.NoError(t, s.receiver.Receive(RTPReceiveParameters{
			Encodings: []RTPDecodingParameters{{params.Encodings[0].RTPCodingParameters}},
		}))
		s.remote = s.receiver.Track()
		require.NoError(t, s.track.WriteRTP(numbered(7, 1, 2, 3)))
		_, err = b.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(s.remote.SSRC())}})
		require.NoError(t, err)
		time.Sleep(time.Second)
		refuses(t, "running", s, badMediaWhenRunning)
		p, _ := reading(t, s.remote)
		require.EqualValues(t, 7, p.SequenceNumber)
		_, _, err = s.sender.ReadRTCP()
		require.NoError(t, err)
		stopped(t, network, a, b)
		synctest.Wait()
		refuses(t, "over", s, badMediaWhenOver)
	})
}

// badTrackValues are what makes tracks.
var badTrackValues = []badValue{
	{"NewTrackLocalStaticRTP", "no kind", returning(func() (*TrackLocalStaticRTP, error) { return NewTrackLocalStaticRTP(RTPCodecCapability{}, "", "") }), ErrInvalidArgument, "MIME type"},
	{"NewTrackLocalStaticRTP", "a RID of spaces", returning(func() (*TrackLocalStaticRTP, error) {
		return NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, "", "", WithRTPStreamID("a b"))
	}), ErrInvalidArgument, "RID"},
	{"NewTrackLocalStaticSample", "no kind", returning(func() (*TrackLocalStaticSample, error) {
		return NewTrackLocalStaticSample(RTPCodecCapability{}, "", "")
	}), ErrInvalidArgument, "MIME type"},
}
