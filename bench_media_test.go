package webrtc

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/srtpsession"
)

// benchPayload is what a packet of video carries, in bytes.
const benchPayload = 1100

// reportPackets reports the cost since then of so many packets, both sides
// together.
func (c cost) reportPackets(b *testing.B, packets uint64) {
	b.Helper()
	now := spent()
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(now.count-c.count)/float64(packets), "allocs/packet")
	if c.known && now.known {
		b.ReportMetric((now.cpu-c.cpu).Seconds()/float64(packets)*1e6, "cpu-s/Mpackets")
	}
}

// benchRegistries are without interceptors, and with those that are the default.
var benchRegistries = []struct {
	name     string
	registry *interceptor.Registry
}{{"bare", noInterceptors}, {"default", nil}}

// benchMedia are connected pairs on loopback; the track is sent over each.
type benchMedia struct {
	track   *TrackLocalStaticRTP
	ones    []*stack
	others  []*stack
	senders []*RTPSender
}

func newBenchMedia(b *testing.B, count int, registry *interceptor.Registry) *benchMedia {
	b.Helper()

	return newBenchMediaWith(b, count, registry, SRTPSettings{})
}

func newBenchMediaWith(b *testing.B, count int, registry *interceptor.Registry, srtp SRTPSettings) *benchMedia {
	b.Helper()
	m := &benchMedia{track: rtpTrack(b)}
	for range count {
		var sides [2]*stack
		for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
			settings := onLoopback(SettingEngine{LoggerFactory: quietLogs, SRTP: srtp})
			options := []func(*API){WithSettingEngine(settings)}
			if registry != nil {
				options = append(options, WithInterceptorRegistry(registry))
			}
			sides[i] = benchStackOn(b, role, NewAPI(options...))
		}
		connect(b, sides[0], sides[1])
		m.ones, m.others = append(m.ones, sides[0]), append(m.others, sides[1])
		m.senders = append(m.senders, sides[0].sender(b, m.track))
	}

	return m
}

func (m *benchMedia) over(b *testing.B) {
	b.Helper()
	gone(b, append(m.ones, m.others...)...)
}

// BenchmarkRTPOut is a track that is sent to so many peers on loopback, which drop
// it unopened: what sending costs. One operation is one packet to one peer.
func BenchmarkRTPOut(b *testing.B) {
	for _, peers := range []int{1, 100} {
		for _, with := range benchRegistries {
			b.Run(fmt.Sprintf("%dpeers/%s", peers, with.name), func(b *testing.B) {
				m := newBenchMedia(b, peers, with.registry)
				defer m.over(b)
				p := numbered(0, make([]byte, benchPayload)...)
				sent, before := uint64(0), spent()
				b.ResetTimer()
				for sent = 0; sent < uint64(b.N); sent += uint64(peers) {
					p.SequenceNumber++
					if err := m.track.WriteRTP(p); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				before.reportPackets(b, sent)
			})
		}
	}
}

// BenchmarkRTPIn is packets that come to so many receivers, one after the other, from
// where the path hands them out to where the program has read them: opened, put into
// the queue, led through the interceptors. One operation is one packet. The same ones
// come again and again, which replay protection would not have.
func BenchmarkRTPIn(b *testing.B) {
	const prepared = 64
	for _, peers := range []int{1, 100} {
		for _, with := range benchRegistries {
			b.Run(fmt.Sprintf("%dpeers/%s", peers, with.name), func(b *testing.B) {
				m := newBenchMediaWith(b, peers, with.registry, SRTPSettings{InsecureDisableReplayProtection: true})
				defer m.over(b)
				sessions, tracks := make([]*srtpsession.Session, peers), make([]*TrackRemote, peers)
				packets := make([][prepared][]byte, peers)
				for i, other := range m.others {
					tracks[i] = other.receiver(b, m.senders[i]).Track()
					sessions[i] = other.dtls.mediaIfUsed().session
					in := newInsider(b, m.ones[i])
					for n := range packets[i] {
						p := numbered(uint16(n), make([]byte, benchPayload)...)
						p.SSRC, p.PayloadType = uint32(tracks[i].SSRC()), uint8(tracks[i].PayloadType())
						plain, err := p.Marshal()
						require.NoError(b, err)
						packets[i][n], err = in.srtp.EncryptRTP(nil, plain, nil)
						require.NoError(b, err)
					}
				}
				arrived, room := make([]byte, 1500), make([]byte, 1500)
				received, before := uint64(0), spent()
				b.ResetTimer()
				for n := 0; received < uint64(b.N); n++ {
					for i, track := range tracks {
						size := copy(arrived, packets[i][n%prepared]) // it is opened in place
						sessions[i].HandleRTP(arrived[:size])
						if _, _, err := track.Read(room); err != nil {
							b.Fatal(err)
						}
						received++
					}
				}
				b.StopTimer()
				before.reportPackets(b, received)
			})
		}
	}
}

// BenchmarkRTPInAndOut is a track that is sent to so many peers on loopback, which
// read it: everything that a packet costs, on both sides. One operation is one
// packet to one peer. There are never more under way than a socket's buffer holds;
// those that are lost all the same are reported.
func BenchmarkRTPInAndOut(b *testing.B) {
	const underWay = 64
	for _, peers := range []int{1, 100} {
		for _, with := range benchRegistries {
			b.Run(fmt.Sprintf("%dpeers/%s", peers, with.name), func(b *testing.B) {
				m := newBenchMedia(b, peers, with.registry)
				defer m.over(b)
				var got atomic.Uint64
				more := make(chan struct{}, 1)
				for i, other := range m.others {
					remote := other.receiver(b, m.senders[i]).Track()
					go func() {
						room := make([]byte, 1500)
						for {
							if _, _, err := remote.Read(room); err != nil {
								return
							}
							got.Add(1)
							select {
							case more <- struct{}{}:
							default:
							}
						}
					}()
				}
				p := numbered(0, make([]byte, benchPayload)...)
				sent, lost, before := uint64(0), uint64(0), spent()
				b.ResetTimer()
				for sent < uint64(b.N) {
					p.SequenceNumber++
					if err := m.track.WriteRTP(p); err != nil {
						b.Fatal(err)
					}
					sent += uint64(peers)
					for sent-lost > got.Load()+underWay*uint64(peers)/2 {
						select {
						case <-more:
						case <-time.After(time.Second):
							lost = sent - got.Load()
						}
					}
				}
				b.StopTimer()
				before.reportPackets(b, sent)
				b.ReportMetric(float64(lost)/float64(sent), "lost/packet")
			})
		}
	}
}

// BenchmarkRTPTracks is what a track costs that has sent, and been read, once: on
// the side of the sender and on that of the receiver together.
func BenchmarkRTPTracks(b *testing.B) {
	const tracks = 100
	for _, with := range benchRegistries {
		b.Run(with.name, func(b *testing.B) {
			for range b.N {
				m := newBenchMedia(b, 1, with.registry)
				one, other := m.ones[0], m.others[0]
				room := make([]byte, 1500)
				add := func() *TrackRemote {
					track := rtpTrack(b)
					remote := other.receiver(b, one.sender(b, track)).Track()
					require.NoError(b, track.WriteRTP(numbered(1, 1)))
					_, _, err := remote.Read(room)
					require.NoError(b, err)

					return remote
				}
				first := add()
				before := measure()
				remotes := make([]*TrackRemote, 0, tracks)
				for range tracks {
					remotes = append(remotes, add())
				}
				during := measure()
				b.ReportMetric(kilobytes(during.heap, before.heap, tracks), "heap-KB/track")
				b.ReportMetric(float64(during.goroutines-before.goroutines)/tracks, "goroutines/track")
				require.Len(b, append(remotes, first), tracks+1)
				m.over(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// mirror is a transport whose packets come back to it: both sides have the same keys.
type mirror struct {
	session *srtpsession.Session
	room    [2048]byte
}

func (m *mirror) Write(packet []byte) (int, error) {
	m.session.HandleRTP(m.room[:copy(m.room[:], packet)])

	return len(packet), nil
}

// mirrored is a track that is read where it is sent.
func mirrored(tb testing.TB) (*TrackLocalStaticRTP, *TrackRemote, *stack) {
	tb.Helper()
	api := NewAPI(WithSettingEngine(SettingEngine{LoggerFactory: quietLogs}), WithInterceptorRegistry(noInterceptors))
	s := benchStackOn(tb, ICERoleControlling, api)
	r, err := s.dtls.media("test")
	require.NoError(tb, err)
	key, salt := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 12)
	require.NoError(tb, r.session.Start(&mirror{session: r.session}, srtpsession.Keys{
		SessionKeys: srtp.SessionKeys{
			LocalMasterKey: key, LocalMasterSalt: salt, RemoteMasterKey: key, RemoteMasterSalt: salt,
		},
		Profile: srtp.ProtectionProfileAeadAes128Gcm, Remote: s.api.settings.srtpOptions(),
	}))
	track := rtpTrack(tb)

	return track, s.receiver(tb, s.sender(tb, track)).Track(), s
}

// passing writes a packet and reads it.
func passing(tb testing.TB, track *TrackLocalStaticRTP, remote *TrackRemote) func() {
	tb.Helper()
	p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, benchPayload)}
	require.NoError(tb, p.SetExtension(1, []byte("0")))
	room, ctx := make([]byte, 1500), context.Background()

	return func() {
		p.SequenceNumber++
		if err := track.WriteRTP(p); err != nil {
			tb.Fatal(err)
		}
		if _, _, err := remote.ReadContext(ctx, room); err != nil {
			tb.Fatal(err)
		}
	}
}

// From WriteRTP of a track to Read of another, nothing is allocated but by the
// interceptors, of which there are none.
func TestNothingIsAllocatedForAPacketOfATrack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	track, remote, s := mirrored(t)
	pass := passing(t, track, remote)
	for range 100 {
		pass()
	}
	assert.Zero(t, testing.AllocsPerRun(1000, pass))
	gone(t, s)
}

// BenchmarkRTPMirror is a packet from WriteRTP to Read without a network and without
// interceptors: encryption, decryption and the queue.
func BenchmarkRTPMirror(b *testing.B) {
	track, remote, s := mirrored(b)
	pass := passing(b, track, remote)
	b.ReportAllocs()
	b.SetBytes(benchPayload)
	for b.Loop() {
		pass()
	}
	gone(b, s)
}
