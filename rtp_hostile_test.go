package webrtc

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// stacksWith is a connected pair, made with the interceptors of a registry; nil has
// the defaults.
func stacksWith(t *testing.T, forA, forB *interceptor.Registry) (a, b *stack, network *testnet.Network) {
	t.Helper()
	network = testnet.Pair(t, testnet.Delay(pathDelay))
	a, b = mediaStack(t, ICERoleControlling, network, 0, forA), mediaStack(t, ICERoleControlled, network, 1, forB)
	connect(t, a, b)

	return a, b, network
}

func mediaStack(
	t *testing.T, role ICERole, network *testnet.Network, i int, registry *interceptor.Registry,
) *stack {
	t.Helper()
	settings := SettingEngine{Net: network.Net(i), LoggerFactory: quietLogs}
	options := []func(*API){WithSettingEngine(settings)}
	if registry != nil {
		options = append(options, WithInterceptorRegistry(registry))
	}
	s := &stack{api: NewAPI(options...), role: role}
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(t, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, nil)
	require.NoError(t, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
	t.Cleanup(func() { _ = s.ice.Stop() })

	return s
}

// noInterceptors is a registry with nothing.
var noInterceptors = &interceptor.Registry{}

func rtpTrack(tb testing.TB, options ...func(*TrackLocalStaticRTP)) *TrackLocalStaticRTP {
	tb.Helper()
	track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, "track", "stream", options...)
	require.NoError(tb, err)

	return track
}

func numbered(number uint16, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: number}, Payload: payload}
}

// insider writes packets with the keys of a side, past everything of ours.
type insider struct {
	tb   testing.TB
	of   *stack
	srtp *srtp.Context
}

func newInsider(tb testing.TB, of *stack) *insider {
	tb.Helper()
	i := &insider{tb: tb, of: of}
	i.forget()

	return i
}

// forget begins anew, without the state of the SSRCs so far.
func (i *insider) forget() {
	config, err := i.of.dtls.srtpConfig()
	require.NoError(i.tb, err)
	i.srtp, err = srtp.CreateContext(config.Keys.LocalMasterKey, config.Keys.LocalMasterSalt, config.Profile)
	require.NoError(i.tb, err)
}

func (i *insider) send(packet []byte) {
	if _, err := i.of.ice.path().Write(packet); err != nil {
		i.tb.Fatal(err)
	}
}

func (i *insider) rtp(plain []byte) {
	out, err := i.srtp.EncryptRTP(nil, plain, nil)
	require.NoError(i.tb, err)
	i.send(out)
}

func (i *insider) rtcp(plain []byte) {
	out, err := i.srtp.EncryptRTCP(nil, plain, nil)
	require.NoError(i.tb, err)
	i.send(out)
}

// plainRTP is a packet with some payload.
func plainRTP(ssrc uint32, number uint16, payloadType uint8, size int) []byte {
	p := make([]byte, 12+size)
	p[0], p[1] = 0x80, payloadType
	binary.BigEndian.PutUint16(p[2:], number)
	binary.BigEndian.PutUint32(p[8:], ssrc)

	return p
}

// However many packets come with SSRCs that nobody knows, authentic or not, the
// channels and the streams that are known go on, and nothing grows.
func TestX4_UnknownSSRCs(t *testing.T) {
	for _, row := range []struct {
		name      string
		count     int
		authentic bool
	}{
		{"one", 1, true},
		{"one, forged", 1, false},
		{"100,000", 100000, true},
		{"100,000, forged", 100000, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.count > 1 && (raceEnabled || testing.Short()) {
				t.Skip("heap is not the same under the race detector")
			}
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				track := rtpTrack(t)
				receiver := b.receiver(t, a.sender(t, track))
				in := newInsider(t, a)
				heap := heapInUse()
				for i := range row.count {
					p := plainRTP(1<<20+uint32(i), 1, 96, 100)
					if row.authentic {
						in.rtp(p)
					} else {
						in.send(p)
					}
					if i%500 == 499 {
						in.forget()
						time.Sleep(2 * pathDelay)
					}
				}
				time.Sleep(2 * pathDelay)
				if grown := int64(heapInUse()) - int64(heap); row.count > 1 {
					t.Logf("heap %+d KB", grown/1024)
					require.Less(t, grown, int64(2<<20))
				}
				exchange(t, from, to)
				require.NoError(t, track.WriteRTP(numbered(1, 7)))
				p, _, err := receiver.Track().ReadRTPContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, []byte{7}, p.Payload)
				got, count := b.dtls.SRTPStats(), uint64(row.count)
				if row.authentic {
					require.Equal(t, min(count, defaultMaxUnsignaledStreams), got.UnclaimedPackets)
					require.Equal(t, count, got.UnclaimedPackets+got.OverLimitPackets)
				} else {
					require.Equal(t, count, got.ForgedPackets)
				}
				require.EqualValues(t, 1, got.RTPPackets)
				stopped(t, network, a, b)
			})
		})
	}
}

// A stream that nobody reads holds nobody up: neither channels, nor RTCP, nor
// another stream, and it keeps what the settings say.
func TestX4_AStreamThatNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		unread, read := rtpTrack(t), rtpTrack(t)
		b.receiver(t, a.sender(t, unread))
		sender := a.sender(t, read)
		remote := b.receiver(t, sender).Track()
		heap, payload := heapInUse(), make([]byte, 1100)
		for i := range uint16(20000) {
			require.NoError(t, unread.WriteRTP(numbered(i, payload...)))
			if i%200 != 0 {
				continue
			}
			require.NoError(t, read.WriteRTP(numbered(i/200, 1)))
			p, _, err := remote.ReadRTPContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, i/200, p.SequenceNumber)
		}
		exchange(t, from, to)
		_, err := b.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}})
		require.NoError(t, err)
		_, _, err = sender.ReadRTCPContext(limited(t, testTimeout))
		require.NoError(t, err)
		if !raceEnabled {
			grown := int64(heapInUse()) - int64(heap)
			t.Logf("heap %+d KB", grown/1024)
			require.Less(t, grown, int64(defaultMaxQueuedBytes+1<<20))
		}
		got := b.dtls.SRTPStats()
		require.EqualValues(t, 20000-defaultMaxQueuedPackets, got.UnreadPackets)
		require.EqualValues(t, 20100, got.RTPPackets)
		stopped(t, network, a, b)
	})
}

// layer is an interceptor that the tests hook into.
type layer struct {
	interceptor.NoOp

	readRTCP    func()
	unbindLocal func()
	closed      chan struct{}
}

func (l *layer) NewInterceptor(string) (interceptor.Interceptor, error) { return l, nil }

func (l *layer) BindRTCPReader(next interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		if l.readRTCP != nil {
			l.readRTCP()
		}

		return next.Read(b, a)
	})
}

func (l *layer) UnbindLocalStream(*interceptor.StreamInfo) {
	if l.unbindLocal != nil {
		l.unbindLocal()
	}
}

func (l *layer) Close() error {
	if l.closed != nil {
		close(l.closed)
	}

	return nil
}

func registryOf(l *layer) *interceptor.Registry {
	r := &interceptor.Registry{}
	r.Add(l)

	return r
}

// An interceptor that never returns costs RTCP, and nothing else; what comes
// meanwhile is limited.
func TestX4_AnInterceptorThatBlocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, entered, unblock := blocking(t)
		a, b, network := stacksWith(t, noInterceptors, registryOf(&layer{readRTCP: f}))
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		track := rtpTrack(t)
		receiver := b.receiver(t, a.sender(t, track))
		in := newInsider(t, a)
		report := []byte{0x80, 201, 0, 1, 0, 0, 0, 1}
		in.rtcp(report)
		<-entered
		for range 999 {
			in.rtcp(report)
		}
		time.Sleep(time.Second)
		exchange(t, from, to)
		require.NoError(t, track.WriteRTP(numbered(1, 7)))
		_, _, err := receiver.Track().ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.EqualValues(t, 999-maxWaitingReports, b.dtls.SRTPStats().UnreadReports)
		before := time.Now()
		require.NoError(t, b.ice.Stop())
		require.Zero(t, time.Since(before))
		unblock()
		stopped(t, network, a, b)
	})
}

// What an authentic peer may send as RTCP is never more than dropped.
func TestX4_MalformedReports(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		sender := b.sender(t, rtpTrack(t))
		ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
		in, random := newInsider(t, a), rand.New(rand.NewPCG(1, 2))
		for i := range 20000 {
			p := make([]byte, 8+4*random.IntN(20))
			for j := range p {
				p[j] = byte(random.Uint32())
			}
			p[0] = 0x80 | p[0]&0x3f
			p[1] = 200 + p[1]%8
			if i%4 != 0 { // of the right length
				binary.BigEndian.PutUint16(p[2:], uint16(len(p)/4-1))
			}
			binary.BigEndian.PutUint32(p[len(p)-4:], ssrc)
			in.rtcp(p)
			if i%500 == 499 {
				in.forget()
				time.Sleep(2 * pathDelay)
			}
		}
		in.forget()
		in.rtcp(binary.BigEndian.AppendUint32([]byte{0x81, 206, 0, 2, 0, 0, 0, 1}, ssrc))
		time.Sleep(time.Second)
		require.NotZero(t, b.dtls.SRTPStats().MalformedReports)
		carries(t, a, b, len(stages))
		stopped(t, network, a, b)
	})
}

// A peer may take several SSRCs for one, and packets for new that are old.
func TestX4_WrongPacketsOfAKnownStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		sender := a.sender(t, rtpTrack(t))
		receiver := b.receiver(t, sender)
		ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
		in := newInsider(t, a)
		in.rtp(plainRTP(ssrc, 1, 1, 10)) // no codec has the type
		padded := plainRTP(ssrc, 2, 96, 3)
		padded[0], padded[14] = 0xa0, 200
		in.rtp(padded)
		only := plainRTP(ssrc, 3, 96, 3)
		only[0], only[14] = 0xa0, 3
		in.rtp(only)
		in.forget()
		in.rtp(plainRTP(ssrc, 3, 96, 9)) // once more
		in.rtp(plainRTP(ssrc, 4, 96, 9))
		remote, ctx := receiver.Track(), limited(t, testTimeout)
		p, _, err := remote.ReadRTPContext(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 3, p.SequenceNumber)
		require.Empty(t, p.Payload)
		require.EqualValues(t, 3, p.PaddingSize)
		p, _, err = remote.ReadRTPContext(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 4, p.SequenceNumber)
		got := b.dtls.SRTPStats()
		require.Equal(t, SRTPStats{
			RTPPackets: 2, WrongTypePackets: 1, MalformedPackets: 1, ReplayedPackets: 1,
		}, got)
		stopped(t, network, a, b)
	})
}

// The same for what our own program writes: it is refused, and said why.
func TestX4_PacketsThatCannotBeSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track := rtpTrack(t)
		receiver := b.receiver(t, a.sender(t, track))
		for _, row := range []struct {
			name string
			p    rtp.Packet
			is   error
		}{
			{"too large", rtp.Packet{Payload: make([]byte, 9000)}, ErrMessageTooLarge},
			{"padding without a size", rtp.Packet{Header: rtp.Header{Padding: true}, Payload: []byte{1}}, ErrInvalidArgument},
			{"a size without padding", rtp.Packet{Payload: []byte{1}, PaddingSize: 3}, ErrInvalidArgument},
			{"too many sources", rtp.Packet{Header: rtp.Header{CSRC: make([]uint32, 16)}}, ErrInvalidArgument},
		} {
			row.p.Version = 2
			err := track.WriteRTP(&row.p)
			require.ErrorIs(t, err, row.is, row.name)
			var ours *Error
			require.ErrorAs(t, err, &ours, row.name)
		}
		_, err := track.Write([]byte{0x80})
		require.ErrorIs(t, err, ErrInvalidArgument)
		_, err = a.dtls.WriteRTCP([]rtcp.Packet{&rtcp.ApplicationDefined{Name: "NAME", Data: make([]byte, 9000)}})
		require.ErrorIs(t, err, ErrMessageTooLarge)
		require.NoError(t, track.WriteRTP(numbered(1, 7)))
		p, _, err := receiver.Track().ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, []byte{7}, p.Payload)
		stopped(t, network, a, b)
	})
}

// Two sides that have no SRTP profile in common have no handshake: both are told, and
// what was started before ends with the handshake's error.
func TestX4_APeerWithoutSRTP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM}
		other := SettingEngine{}
		other.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM}
		a, b, network := virtualPairWith(t, settings, other, testnet.Delay(pathDelay))
		toB, toA := a.sender(t, rtpTrack(t)), b.sender(t, rtpTrack(t))
		fromB, fromA := a.receiver(t, toA), b.receiver(t, toB)
		signal(t, a, b)
		ctx := limited(t, testTimeout)
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) }))
		atA, atB := result(func() error { return a.startDTLS(ctx, b) }), result(func() error { return b.startDTLS(ctx, a) })
		refused, told := <-atA, <-atB
		var alert *DTLSAlertError
		require.Error(t, refused, "the server has no profile of the client's")
		require.NotErrorAs(t, refused, &alert)
		require.ErrorAs(t, told, &alert, "the client")
		require.EqualValues(t, 71, alert.Description, "insufficient_security")
		for _, side := range []struct {
			*stack
			sender   *RTPSender
			receiver *RTPReceiver
			failure  error
		}{{a, toB, fromB, refused}, {b, toA, fromA, told}} {
			require.Equal(t, DTLSTransportStateFailed, side.dtls.State())
			cause := context.Cause(side.dtls.Context())
			require.ErrorIs(t, side.failure, cause)
			require.NotErrorIs(t, cause, ErrClosed)
			require.ErrorIs(t, side.sender.Run(ctx), cause)
			require.ErrorIs(t, context.Cause(side.sender.Context()), cause)
			require.ErrorIs(t, side.receiver.Run(ctx), cause)
			require.ErrorIs(t, context.Cause(side.receiver.Context()), cause)
			_, _, err := side.receiver.Track().ReadRTPContext(ctx)
			require.ErrorIs(t, err, cause)
			_, err = side.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}})
			require.ErrorIs(t, err, cause)
			late, err := side.api.NewRTPSender(rtpTrack(t), side.dtls)
			require.NoError(t, err)
			err = late.Send(late.GetParameters())
			require.ErrorIs(t, err, ErrInvalidState)
			require.ErrorIs(t, err, cause)
			require.NoError(t, late.Stop())
		}
		stopped(t, network, a, b)
	})
}

// Media costs nothing while there is none.
func TestX4_DataAloneHasNoMedia(t *testing.T) {
	bubble(t, func(t *testing.T) {
		made := 0
		registry := &interceptor.Registry{}
		registry.Add(factoryFunc(func(string) (interceptor.Interceptor, error) {
			made++

			return &interceptor.NoOp{}, nil
		}))
		a, b, network := stacksWith(t, registry, registry)
		carries(t, a, b, len(stages))
		for _, s := range []*stack{a, b} {
			require.Nil(t, s.dtls.mediaIfUsed())
			require.Zero(t, s.dtls.SRTPStats())
			require.Zero(t, s.ice.path().Stats().SRTP)
		}
		require.Zero(t, made)
		stopped(t, network, a, b)
	})
}

type factoryFunc func(id string) (interceptor.Interceptor, error)

func (f factoryFunc) NewInterceptor(id string) (interceptor.Interceptor, error) { return f(id) }

// An interceptor that cannot be made fails what needs it, and RTCP of the peer
// finds nothing that is half made.
func TestX4_InterceptorsThatCannotBeMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		registry := &interceptor.Registry{}
		registry.Add(factoryFunc(func(string) (interceptor.Interceptor, error) { return nil, io.ErrNoProgress }))
		network := testnet.Pair(t, testnet.Delay(pathDelay))
		a := mediaStack(t, ICERoleControlling, network, 0, nil)
		b := mediaStack(t, ICERoleControlled, network, 1, registry)
		sender, err := b.api.NewRTPSender(rtpTrack(t), b.dtls)
		require.NoError(t, err)
		require.ErrorIs(t, sender.Send(sender.GetParameters()), io.ErrNoProgress)
		connect(t, a, b)
		require.ErrorIs(t, sender.Send(sender.GetParameters()), io.ErrNoProgress)
		_, err = b.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}})
		require.ErrorIs(t, err, io.ErrNoProgress)
		newInsider(t, a).rtcp([]byte{0x80, 201, 0, 1, 0, 0, 0, 1})
		newInsider(t, a).rtp(plainRTP(1, 1, 96, 10))
		time.Sleep(time.Second)
		carries(t, a, b, len(stages))
		require.NoError(t, sender.Stop())
		stopped(t, network, a, b)
		synctest.Wait()
		assert.Zero(t, b.dtls.SRTPStats().RTPPackets)
	})
}
