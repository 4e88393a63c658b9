package webrtc

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// named is a packet with the items that name its stream, by the ids of a
// receiver's parameters.
func named(tb testing.TB, params RTPParameters, ssrc uint32, number uint16, payloadType uint8, items map[string]string, payload ...byte) []byte {
	tb.Helper()
	p := &rtp.Packet{
		Header:  rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: number, PayloadType: payloadType},
		Payload: payload,
	}
	for uri, text := range items {
		for _, e := range params.HeaderExtensions {
			if e.URI == uri {
				require.NoError(tb, p.SetExtension(uint8(e.ID), []byte(text)))
			}
		}
	}
	raw, err := p.Marshal()
	require.NoError(tb, err)

	return raw
}

// oddParameters are others than the API's.
func oddParameters() RTPParameters {
	return RTPParameters{
		Codecs: []RTPCodecParameters{
			{RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeVP8, ClockRate: 90000}, PayloadType: 50},
			{RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=50"}, PayloadType: 51},
			{RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeH264, ClockRate: 90000}, PayloadType: 52},
			{RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeFlexFEC03, ClockRate: 90000}, PayloadType: 53},
		},
		HeaderExtensions: []RTPHeaderExtensionParameter{
			{URI: sdesMID, ID: 11}, {URI: sdesRID, ID: 12}, {URI: sdesRepairedRID, ID: 13},
		},
	}
}

func reading(tb testing.TB, remote *TrackRemote) (*rtp.Packet, interceptor.Attributes) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	p, attributes, err := remote.ReadRTPContext(ctx)
	require.NoError(tb, err)

	return p, attributes
}

// Streams are told apart by RID, their retransmissions by the repaired RID, with the
// ids and types of SetRTPParameters.
func TestSimulcastByRIDStepByStep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		receiver, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
		require.NoError(t, err)
		params := oddParameters()
		receiver.SetRTPParameters(RTPParameters{Codecs: make([]RTPCodecParameters, 1)}) // ignored
		receiver.SetRTPParameters(params)
		require.Equal(t, params, receiver.GetParameters())
		require.NoError(t, receiver.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{
			{RTPCodingParameters{RID: "low"}}, {RTPCodingParameters{RID: "high"}},
		}}))
		require.Nil(t, receiver.Track(), "there are two")
		low, high := receiver.Tracks()[0], receiver.Tracks()[1]
		in := newInsider(t, a)
		in.rtp(named(t, params, 1, 1, 50, map[string]string{sdesMID: "0", sdesRID: "low"}, 1))
		in.rtp(named(t, params, 2, 1, 50, map[string]string{sdesMID: "0", sdesRID: "high"}, 2))
		in.rtp(named(t, params, 3, 1, 50, map[string]string{sdesRID: "middle"}, 3)) // nobody's
		in.rtp(named(t, params, 4, 1, 50, nil, 4))                                  // nobody's
		in.rtp(named(t, params, 1, 2, 50, nil, 5))                                  // known by now
		in.rtp(named(t, params, 9, 700, 51, map[string]string{sdesRepairedRID: "high"}, 0, 7, 6))
		p, _ := reading(t, low)
		require.Equal(t, []byte{1}, p.Payload)
		p, _ = reading(t, low)
		require.Equal(t, []byte{5}, p.Payload)
		require.EqualValues(t, 1, low.SSRC())
		p, _ = reading(t, high)
		require.Equal(t, []byte{2}, p.Payload)
		p, attributes := reading(t, high)
		require.Equal(t, []byte{6}, p.Payload)
		require.EqualValues(t, 7, p.SequenceNumber)
		require.EqualValues(t, 2, p.SSRC)
		require.EqualValues(t, 50, p.PayloadType)
		assert.Equal(t, uint8(51), attributes.Get(AttributeRtxPayloadType))
		assert.Equal(t, uint32(9), attributes.Get(AttributeRtxSsrc))
		assert.Equal(t, uint16(700), attributes.Get(AttributeRtxSequenceNumber))
		require.True(t, high.HasRTX())
		require.EqualValues(t, 9, high.RtxSSRC())
		require.EqualValues(t, 2, b.dtls.SRTPStats().UnclaimedPackets)

		// The peer begins anew, with another SSRC.
		in.rtp(named(t, params, 20, 9, 50, map[string]string{sdesRID: "low"}, 8))
		p, _ = reading(t, low)
		require.EqualValues(t, 20, p.SSRC)
		require.EqualValues(t, 20, low.SSRC())
		in.rtp(named(t, params, 1, 3, 50, nil, 9)) // nobody's any more
		time.Sleep(time.Second)
		require.EqualValues(t, 3, b.dtls.SRTPStats().UnclaimedPackets)
		stopped(t, network, a, b)
	})
}

// Receivers without encodings to tell apart are told apart by the MID, and repair
// packets are no stream of their own.
func TestReceiversByMID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		params := oddParameters()
		receivers := map[string]*RTPReceiver{}
		for _, mid := range []string{"zero", "one"} {
			r, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
			require.NoError(t, err)
			r.SetRTPParameters(params)
			r.life.set(func() { r.mid = mid })
			require.NoError(t, r.receive("test", make([]RTPCodingParameters, 1)))
			receivers[mid] = r
		}
		in := newInsider(t, a)
		in.rtp(named(t, params, 1, 1, 50, map[string]string{sdesMID: "one"}, 1))
		in.rtp(named(t, params, 2, 1, 50, map[string]string{sdesMID: "zero"}, 2))
		in.rtp(named(t, params, 3, 1, 50, map[string]string{sdesMID: "two"}, 3))
		in.rtp(named(t, params, 4, 1, 53, map[string]string{sdesMID: "one"}, 4)) // forward error correction
		in.rtp(named(t, params, 5, 1, 60, map[string]string{sdesMID: "one"}, 5)) // of no codec
		in.rtp(named(t, params, 6, 1, 51, map[string]string{sdesMID: "one"}, 0, 8, 6))
		in.rtp(named(t, params, 1, 2, 50, nil, 7))
		one := receivers["one"].Track()
		for _, want := range []byte{1, 6, 7} {
			p, _ := reading(t, one)
			require.Equal(t, []byte{want}, p.Payload)
			require.EqualValues(t, 1, p.SSRC)
		}
		p, _ := reading(t, receivers["zero"].Track())
		require.Equal(t, []byte{2}, p.Payload)
		require.EqualValues(t, 3, b.dtls.SRTPStats().UnclaimedPackets)
		stopped(t, network, a, b)
	})
}

// A stream's codec may change with any packet.
func TestCodecChangesInMidStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, nil, nil)
		receiver, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
		require.NoError(t, err)
		params := oddParameters()
		receiver.SetRTPParameters(params)
		require.NoError(t, receiver.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{
			{RTPCodingParameters{SSRC: 1, RTX: RTPRtxParameters{SSRC: 2}}},
		}}))
		remote, in := receiver.Track(), newInsider(t, a)
		require.Equal(t, MimeTypeVP8, remote.Codec().MimeType, "what is expected")
		for i, row := range []struct {
			payloadType uint8
			want        string
		}{{52, MimeTypeH264}, {50, MimeTypeVP8}, {50, MimeTypeVP8}, {52, MimeTypeH264}} {
			in.rtp(plainRTP(1, uint16(i), row.payloadType, 5))
			p, _ := reading(t, remote)
			require.Equal(t, row.payloadType, p.PayloadType)
			require.Equal(t, row.want, remote.Codec().MimeType)
			require.EqualValues(t, row.payloadType, remote.PayloadType())
		}
		// And with parameters that come late.
		params.Codecs = params.Codecs[:1]
		receiver.SetRTPParameters(params)
		in.rtp(plainRTP(1, 10, 52, 5))
		in.rtp(plainRTP(1, 11, 50, 5))
		p, _ := reading(t, remote)
		require.EqualValues(t, 11, p.SequenceNumber)
		require.EqualValues(t, 1, b.dtls.SRTPStats().WrongTypePackets)
		stopped(t, network, a, b)
	})
}

// Retransmissions by SSRC: what they repeat is read with its own number, those with
// nothing in them, or of no codec, are passed over.
func TestRetransmissionsBySSRC(t *testing.T) {
	for name, registry := range map[string]*interceptor.Registry{"with interceptors": nil, "without": noInterceptors} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := stacksWith(t, registry, registry)
				receiver, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
				require.NoError(t, err)
				receiver.SetRTPParameters(oddParameters())
				require.NoError(t, receiver.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{
					{RTPCodingParameters{SSRC: 1, RTX: RTPRtxParameters{SSRC: 2}}},
				}}))
				remote, in := receiver.Track(), newInsider(t, a)
				repeats := func(number, of uint16, payloadType uint8, size int) {
					p := plainRTP(2, number, payloadType, size)
					if size >= 2 {
						binary.BigEndian.PutUint16(p[12:], of)
					}
					in.rtp(p)
				}
				repeats(1, 5, 51, 10)          // of nothing that has come
				in.rtp(plainRTP(1, 10, 50, 4)) // the first
				repeats(2, 9, 51, 6)
				repeats(3, 0, 51, 0) // to fill the path
				repeats(4, 0, 51, 1)
				repeats(5, 8, 50, 9)    // of a type that repeats nothing
				repeats(6, 7, 51, 2)    // an empty packet
				repeats(7, 6, 51, 3000) // larger than any room of the interceptors
				in.rtp(plainRTP(1, 11, 50, 4))
				for _, want := range []struct {
					number   uint16
					size     int
					repeated bool
				}{{10, 4, false}, {9, 4, true}, {7, 0, true}, {6, 2998, true}, {11, 4, false}} {
					b := make([]byte, 8000)
					_, _, err := remote.ReadContext(limited(t, testTimeout), b[:5])
					require.ErrorIs(t, err, io.ErrShortBuffer)
					n, attributes, err := remote.ReadContext(limited(t, testTimeout), b)
					require.NoError(t, err)
					require.Equal(t, want.number, binary.BigEndian.Uint16(b[2:]))
					require.Equal(t, 12+want.size, n)
					require.EqualValues(t, 50, b[1])
					require.EqualValues(t, 1, binary.BigEndian.Uint32(b[8:]))
					require.Equal(t, want.repeated, attributes.Get(AttributeRtxSsrc) != nil)
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// No two senders, and no two receivers, of a transport have an SSRC in common.
func TestSSRCCollisions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		track := rtpTrack(t)
		sender := a.sender(t, track)
		taken := sender.GetParameters().Encodings[0]
		other, err := a.api.NewRTPSender(rtpTrack(t), a.dtls)
		require.NoError(t, err)
		for _, ssrc := range []SSRC{taken.SSRC, taken.RTX.SSRC} {
			params := other.GetParameters()
			params.Encodings[0].SSRC = ssrc
			require.ErrorIs(t, other.Send(params), ErrInvalidState)
			params = other.GetParameters()
			params.Encodings[0].RTX.SSRC = ssrc
			require.ErrorIs(t, other.Send(params), ErrInvalidState)
		}
		receiver := b.receiver(t, sender)
		second, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
		require.NoError(t, err)
		for _, coding := range []RTPCodingParameters{
			{SSRC: taken.SSRC}, {SSRC: taken.RTX.SSRC}, {SSRC: 1, RTX: RTPRtxParameters{SSRC: taken.SSRC}},
		} {
			require.ErrorIs(t, second.Receive(RTPReceiveParameters{
				Encodings: []RTPDecodingParameters{{coding}},
			}), ErrInvalidState)
		}
		require.NoError(t, track.WriteRTP(numbered(1, 7)))
		reading(t, receiver.Track())
		require.NoError(t, second.Receive(RTPReceiveParameters{
			Encodings: []RTPDecodingParameters{{RTPCodingParameters{SSRC: 1}}},
		}))
		// They are free again after the end.
		require.NoError(t, sender.Stop())
		params := other.GetParameters()
		params.Encodings[0].SSRC = taken.SSRC
		require.NoError(t, other.Send(params))
		require.NoError(t, receiver.Stop())
		third, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
		require.NoError(t, err)
		require.NoError(t, third.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{{taken.RTPCodingParameters}}}))
		stopped(t, network, a, b)
	})
}

// Two encodings are sent, and read as what they are.
func TestSimulcastIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		low, high := rtpTrack(t, WithRTPStreamID("low")), rtpTrack(t, WithRTPStreamID("high"))
		sender, err := a.api.NewRTPSender(low, a.dtls)
		require.NoError(t, err)
		require.NoError(t, sender.AddEncoding(high))
		require.ErrorIs(t, sender.AddEncoding(high), ErrInvalidArgument)
		require.ErrorIs(t, sender.AddEncoding(rtpTrack(t)), ErrInvalidArgument)
		require.NoError(t, sender.Send(sender.GetParameters()))
		require.ErrorIs(t, sender.AddEncoding(rtpTrack(t, WithRTPStreamID("more"))), ErrInvalidState)
		require.ErrorIs(t, sender.ReplaceTrack(rtpTrack(t)), ErrRTPSenderNewTrackHasIncorrectEnvelope)
		tracks := b.receiver(t, sender).Tracks()
		require.Len(t, tracks, 2)
		for i, track := range []*TrackLocalStaticRTP{low, high} {
			require.NoError(t, track.WriteRTP(numbered(1, byte(i))))
			p, _ := reading(t, tracks[i])
			require.Equal(t, []byte{byte(i)}, p.Payload)
			require.Equal(t, track.RID(), tracks[i].RID())
		}
		require.NoError(t, sender.SetReadDeadlineSimulcast(time.Now(), "high"))
		_, _, err = sender.ReadSimulcastRTCP("high")
		require.Error(t, err)
		_, _, err = sender.ReadSimulcastRTCP("none")
		require.ErrorIs(t, err, ErrInvalidArgument)
		stopped(t, network, a, b)
	})
}
