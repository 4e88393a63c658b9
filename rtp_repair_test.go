package webrtc

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// Retransmissions have numbers of their own, which do not jump by what was sent since
// the last: half of all numbers later the peer could not tell how often they have
// turned over, and would drop them as forged.
func TestRetransmissionsAfterALongTimeWithoutLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track := rtpTrack(t)
		remote := b.receiver(t, a.sender(t, track)).Track()
		const first, second, last = 100, 40_100, 40_200
		got := make(chan []uint32, 1)
		go func() {
			var lost []uint32
			for {
				p, _, err := remote.ReadRTP()
				if err != nil {
					got <- lost

					return
				}
				if n := binary.BigEndian.Uint32(p.Payload); n == first || n == second {
					lost = append(lost, n)
				}
			}
		}()
		for i := range uint32(last) {
			lost := i == first || i == second
			network.Cut(lost)
			require.NoError(t, track.WriteRTP(numbered(uint16(i), binary.BigEndian.AppendUint32(nil, i)...)))
			if lost || i%100 == 99 {
				time.Sleep(20 * time.Millisecond)
			}
		}
		time.Sleep(2 * time.Second)
		stopped(t, network, a, b)
		require.Equal(t, []uint32{first, second}, <-got)
	})
}

// With the numbers of transport-wide feedback outside of the NACK responder, a packet
// that is sent again has another one than the first time. Without RTX it would be
// another packet under the same number, for which SRTP has one key stream: it is
// refused, and not sent.
func TestRetransmissionsWithoutRTXBehindTransportWideNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var media atomic.Bool
		var sent atomic.Int32
		s := &mediaScene{}
		s.network = testnet.Pair(t, testnet.Delay(10*time.Millisecond), testnet.Filter(func(from int, payload []byte) (act testnet.Action) {
			if media.Load() && from == 0 && len(payload) > 12 && payload[0]>>6 == 2 && payload[1]&0x7f == 96 {
				sent.Add(1)
			}

			return act
		}))
		engine, registry := &MediaEngine{}, &interceptor.Registry{}
		require.NoError(t, engine.RegisterCodec(RTPCodecParameters{
			RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeVP8, ClockRate: 90000}, PayloadType: 96,
		}, RTPCodecTypeVideo))
		require.NoError(t, ConfigureTWCCHeaderExtensionSender(engine, registry))
		require.NoError(t, RegisterDefaultInterceptors(engine, registry))
		s.a = newMediaPeer(t, s.network, 0, WithMediaEngine(engine), WithInterceptorRegistry(registry))
		s.b = newMediaPeer(t, s.network, 1)
		s.run(t, func(t *testing.T, s *mediaScene) {
			video := newSource(t, MimeTypeVP8, "video")
			_, err := s.a.AddTrack(video)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			connectPeers(t, s.a, s.b)
			track := video.begins(t, s.toB)
			require.False(t, track.HasRTX())
			numbers := numbersOf(track)
			media.Store(true)
			const packets, lost = 10, 3
			var missing uint16
			for i := range packets {
				s.network.Cut(i == lost)
				video.write(t)
				if i == lost {
					missing = video.sent
				}
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(2 * time.Second)
			require.NoError(t, s.a.Close())
			got := <-numbers
			require.Len(t, got, packets-1)
			require.False(t, slices.Contains(got, missing))
			// What is sent while the network is cut does not come to the filter.
			require.EqualValues(t, packets-1, sent.Load(), "it was sent again")
			_ = s.b.Close()
		})
	})
}

// The peer's encoding begins anew with another SSRC: what is lost of that is asked for
// as well, since the interceptors are told of it.
func TestNACKsAfterAnotherSSRC(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, nil)
		receiver, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
		require.NoError(t, err)
		params := oddParameters()
		params.Codecs[0].RTCPFeedback = []RTCPFeedback{{Type: TypeRTCPFBNACK}}
		receiver.SetRTPParameters(params)
		require.NoError(t, receiver.Receive(RTPReceiveParameters{Encodings: []RTPDecodingParameters{{RTPCodingParameters{RID: "low"}}}}))
		low, in := receiver.Tracks()[0], newInsider(t, a)
		for _, ssrc := range []uint32{1, 20} {
			// What b says of an SSRC comes to the sender that has it.
			sender, err := a.api.NewRTPSender(rtpTrack(t), a.dtls)
			require.NoError(t, err)
			send := sender.GetParameters()
			send.Encodings[0].SSRC = SSRC(ssrc)
			require.NoError(t, sender.Send(send))
			for _, number := range []uint16{1, 2, 4, 5} {
				in.rtp(named(t, params, ssrc, number, 50, map[string]string{sdesRID: "low"}, 1))
				reading(t, low)
			}
			require.EqualValues(t, ssrc, low.SSRC())
			for asked := false; !asked; {
				packets, _, err := sender.ReadRTCPContext(limited(t, testTimeout))
				require.NoError(t, err, "nothing asks for packet 3 of %d", ssrc)
				asked = slices.ContainsFunc(packets, func(p rtcp.Packet) bool {
					nack, ok := p.(*rtcp.TransportLayerNack)

					return ok && nack.MediaSSRC == ssrc && slices.Contains(nack.Nacks[0].PacketList(), 3)
				})
			}
		}
		stopped(t, network, a, b)
	})
}

// A second sender of an SSRC goes on with the numbers where the first has ended: the
// peer takes it for the same stream, and the keys are the same.
func TestASecondSenderOfAnSSRC(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		first, second := rtpTrack(t), rtpTrack(t)
		sender := a.sender(t, first)
		params := sender.GetParameters()
		remote := b.receiver(t, sender).Track()
		require.NoError(t, first.WriteRTP(numbered(500, 1)))
		p, _ := reading(t, remote)
		require.EqualValues(t, 500, p.SequenceNumber)
		require.NoError(t, sender.Stop())
		other, err := a.api.NewRTPSender(second, a.dtls)
		require.NoError(t, err)
		require.NoError(t, other.Send(params))
		require.NoError(t, second.WriteRTP(numbered(500, 2)))
		p, _ = reading(t, remote)
		require.EqualValues(t, 501, p.SequenceNumber)
		stopped(t, network, a, b)
	})
}
