package webrtc

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// numbersOf reads a track to its end.
func numbersOf(track *TrackRemote) <-chan []uint16 {
	done := make(chan []uint16, 1)
	go func() {
		var numbers []uint16
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				done <- numbers

				return
			}
			numbers = append(numbers, p.SequenceNumber)
		}
	}()

	return done
}

// flow sends a packet every 10 ms until stopped, which tells how many.
func (s *source) flow(t *testing.T) (stop func() int) {
	t.Helper()
	over, done := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				done <- int(s.sent)

				return
			case <-tick.C:
				s.write(t)
			}
		}
	}()

	return func() int {
		close(over)

		return <-done
	}
}

func requireAll(t *testing.T, numbers []uint16, count int) {
	t.Helper()
	slices.Sort(numbers)
	require.Len(t, slices.Compact(numbers), count)
	require.Len(t, numbers, count, "some came twice")
}

// Negotiations and a restart of ICE take no packet of what flows.
func TestMediaFlowsOn(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		first := newSource(t, MimeTypeVP8, "first")
		_, err := s.a.AddTrack(first)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		stop := first.flow(t)
		numbers := numbersOf(<-s.toB)
		for i := range 6 {
			offerer, answerer, tracks := s.a, s.b, s.toB
			if i%2 == 1 {
				offerer, answerer, tracks = s.b, s.a, s.toA
			}
			more := newSource(t, []string{MimeTypeVP8, MimeTypeOpus}[i/2%2], fmt.Sprint("more", i))
			_, err = offerer.AddTrack(more)
			require.NoError(t, err)
			time.Sleep(50 * time.Millisecond)
			negotiate(t, offerer, answerer)
			more.begins(t, tracks)
		}
		for _, pair := range [][2]*PeerConnection{{s.a, s.b}, {s.b, s.a}} {
			offer, err := pair[0].CreateOffer(&OfferOptions{ICERestart: true})
			require.NoError(t, err)
			ctx := limited(t, testTimeout)
			require.NoError(t, pair[0].SetLocalDescriptionContext(ctx, offer))
			require.NoError(t, pair[1].SetRemoteDescriptionContext(ctx, *pair[0].LocalDescription()))
			require.NoError(t, pair[1].SetLocalDescriptionContext(ctx, SessionDescription{}))
			require.NoError(t, pair[0].SetRemoteDescriptionContext(ctx, *pair[1].LocalDescription()))
			time.Sleep(time.Second)
		}
		sent := stop()
		time.Sleep(time.Second)
		require.Empty(t, s.toB, "the track was told again")
		require.NoError(t, s.a.Close())
		requireAll(t, <-numbers, sent)
		_ = s.b.Close()
	})
}

// What is lost is sent again, until all is there.
func TestMediaOverALossyPath(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			s := &mediaScene{}
			var media atomic.Bool
			var random atomic.Uint64
			random.Store(seed)
			lossy := testnet.Filter(func(_ int, payload []byte) (act testnet.Action) {
				// Of RTP and RTCP alone; the handshake has tests of its own.
				if media.Load() && len(payload) > 12 && payload[0]>>6 == 2 {
					act.Drop = random.Add(0x9e3779b97f4a7c15)>>33%100 < 10
				}

				return act
			})
			s.a, s.b, s.network = peers(t, testnet.Delay(10*time.Millisecond), lossy)
			s.run(t, func(t *testing.T, s *mediaScene) {
				video := newSource(t, MimeTypeVP8, "video")
				_, err := s.a.AddTrack(video)
				require.NoError(t, err)
				negotiate(t, s.a, s.b)
				connectPeers(t, s.a, s.b)
				track := video.begins(t, s.toB)
				numbers := numbersOf(track)
				before := video.sent
				media.Store(true)
				stop := video.flow(t)
				time.Sleep(5 * time.Second)
				media.Store(false)
				time.Sleep(time.Second)
				sent := stop()
				time.Sleep(time.Second)
				require.True(t, track.HasRTX())
				require.NoError(t, s.a.Close())
				requireAll(t, <-numbers, sent-int(before))
				_ = s.b.Close()
			})
		})
	}
}

// What the peer asks for reaches the sender.
func TestMediaRequestsForKeyFrames(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		video := newSource(t, MimeTypeVP8, "video")
		sender, err := s.a.AddTrack(video)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		track := video.begins(t, s.toB)
		ssrc := uint32(track.SSRC())
		for _, packet := range []rtcp.Packet{
			&rtcp.PictureLossIndication{MediaSSRC: ssrc},
			&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: ssrc, SequenceNumber: 1}}},
		} {
			require.NoError(t, s.b.WriteRTCP([]rtcp.Packet{packet}))
			for got := false; !got; {
				packets, _, err := sender.ReadRTCPContext(limited(t, testTimeout))
				require.NoError(t, err)
				got = slices.ContainsFunc(packets, func(p rtcp.Packet) bool { return fmt.Sprintf("%T", p) == fmt.Sprintf("%T", packet) })
			}
		}
	})
}

// Feedback on every packet has a sender's estimate rise on a path without limits.
func TestMediaBandwidthEstimateRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{network: testnet.Pair(t, testnet.Delay(10*time.Millisecond))}
		estimators := make(chan cc.BandwidthEstimator, 1)
		controller, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
			return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(300_000), gcc.SendSideBWEPacer(gcc.NewNoOpPacer()))
		})
		require.NoError(t, err)
		controller.OnNewPeerConnection(func(_ string, estimator cc.BandwidthEstimator) { estimators <- estimator })
		engine, registry := &MediaEngine{}, &interceptor.Registry{}
		require.NoError(t, engine.RegisterDefaultCodecs())
		registry.Add(controller)
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
			estimator := <-estimators
			before := estimator.GetTargetBitrate()
			stop := time.Now().Add(10 * time.Second)
			var track *TrackRemote
			for time.Now().Before(stop) {
				video.sent++
				require.NoError(t, video.WriteRTP(&rtp.Packet{
					Header:  rtp.Header{Version: 2, SequenceNumber: video.sent, Timestamp: uint32(video.sent) * 900, Marker: true},
					Payload: make([]byte, 1000),
				}))
				if track == nil {
					track = <-s.toB
					_ = numbersOf(track)
				}
				time.Sleep(10 * time.Millisecond)
			}
			assert.Greater(t, estimator.GetTargetBitrate(), before*2)
		})
	})
}

// Each encoding of a track becomes a track of its own, told by its RID; what is lost
// of one is sent again.
func TestMediaSimulcast(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		rids := []string{"q", "h", "f"}
		encodings := map[string]*source{}
		var sender *RTPSender
		for i, rid := range rids {
			encodings[rid] = newSource(t, MimeTypeVP8, "video", WithRTPStreamID(rid))
			if i == 0 {
				transceiver, err := s.a.AddTransceiverFromTrack(encodings[rid], RTPTransceiverInit{Direction: RTPTransceiverDirectionSendonly})
				require.NoError(t, err)
				sender = transceiver.Sender()
			} else {
				require.NoError(t, sender.AddEncoding(encodings[rid]))
			}
		}
		negotiate(t, s.a, s.b)
		for _, d := range []*SessionDescription{s.a.LocalDescription(), s.b.LocalDescription()} {
			assert.Len(t, linesOf(d, "a=rid:"), 3)
			assert.Len(t, linesOf(d, "a=simulcast:"), 1)
			assert.Empty(t, linesOf(d, "a=ssrc:"))
		}
		connectPeers(t, s.a, s.b)
		tracks := map[string]*TrackRemote{}
		for range rids {
			for _, encoding := range encodings {
				encoding.write(t)
			}
		}
		for range rids {
			track := <-s.toB
			tracks[track.RID()] = track
		}
		require.Len(t, tracks, 3)
		for rid, encoding := range encodings {
			encoding.reaches(t, tracks[rid])
			assert.Equal(t, "video", tracks[rid].ID())
		}
		check := func() {
			t.Helper()
			for rid, encoding := range encodings {
				s.network.Cut(true)
				encoding.write(t)
				lost := encoding.sent
				s.network.Cut(false)
				encoding.write(t)
				time.Sleep(500 * time.Millisecond)
				var got []uint16
				for !slices.Contains(got, lost) || !slices.Contains(got, lost+1) {
					p, _, err := tracks[rid].ReadRTPContext(limited(t, testTimeout))
					require.NoError(t, err, "%s: of %d has come %v", rid, lost, got)
					got = append(got, p.SequenceNumber)
				}
				assert.True(t, tracks[rid].HasRTX(), rid)
			}
		}
		check()
		// Negotiations, by either side, change nothing.
		for _, pair := range [][2]*PeerConnection{{s.b, s.a}, {s.a, s.b}} {
			negotiate(t, pair[0], pair[1])
			check()
		}
		require.Empty(t, s.toB)
		require.False(t, needs(s.a))
	})
}

// The answer to an offer that takes some encodings by RID sends those.
func TestMediaSimulcastThatIsAskedFor(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		sender, err := s.b.AddTrack(newSource(t, MimeTypeVP8, "video", WithRTPStreamID("q")))
		require.NoError(t, err)
		for _, rid := range []string{"h", "f"} {
			require.NoError(t, sender.AddEncoding(newSource(t, MimeTypeVP8, "video", WithRTPStreamID(rid))))
		}
		_, err = s.a.AddTransceiverFromKind(RTPCodecTypeVideo, RTPTransceiverInit{Direction: RTPTransceiverDirectionRecvonly})
		require.NoError(t, err)
		offer, err := s.a.CreateOffer(nil)
		require.NoError(t, err)
		offer.SDP += "a=rid:f recv\r\na=rid:h recv\r\na=rid:x recv\r\na=simulcast:recv f;x;~h\r\n"
		require.NoError(t, s.b.SetRemoteDescription(offer))
		answer, err := s.b.CreateAnswer(nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"a=rid:h send", "a=rid:f send"}, linesOf(&answer, "a=rid"))
		assert.Equal(t, []string{"a=simulcast:send h;f"}, linesOf(&answer, "a=simulcast"))
		assert.Empty(t, linesOf(&answer, "a=ssrc"))
	})
}

// A peer that does not take several encodings gets one.
func TestMediaSimulcastThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = peers(t)
		s.run(t, func(t *testing.T, s *mediaScene) {
			low, high := newSource(t, MimeTypeVP8, "video", WithRTPStreamID("l")), newSource(t, MimeTypeVP8, "video", WithRTPStreamID("h"))
			sender, err := s.a.AddTrack(low)
			require.NoError(t, err)
			require.NoError(t, sender.AddEncoding(high))
			// The answerer offers first, and has no simulcast in its section.
			_, err = s.b.AddTransceiverFromKind(RTPCodecTypeVideo, RTPTransceiverInit{Direction: RTPTransceiverDirectionRecvonly})
			require.NoError(t, err)
			negotiate(t, s.b, s.a)
			connectPeers(t, s.a, s.b)
			require.Empty(t, linesOf(s.a.LocalDescription(), "a=simulcast"))
			track := low.begins(t, s.toB)
			high.silent(t, s.network, 0)
			low.reaches(t, track)
			require.Empty(t, s.toB)
		})
	})
}

// The peer stops sending and begins again: its track ends, and another one comes.
func TestMediaPeerStopsAndSendsAgain(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		one, back := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "back")
		sender, err := s.a.AddTrack(one)
		require.NoError(t, err)
		_, err = s.b.AddTrack(back)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		track, other := one.begins(t, s.toB), back.begins(t, s.toA)
		receiver := track.receiver
		require.NoError(t, s.a.RemoveTrack(sender))
		negotiate(t, s.b, s.a)
		_, _, err = track.ReadRTPContext(limited(t, testTimeout))
		require.Equal(t, io.EOF, err)
		require.Equal(t, io.EOF, receiver.Run(background))
		back.reaches(t, other)
		_, err = s.a.AddTrack(one)
		require.NoError(t, err)
		negotiate(t, s.b, s.a)
		one.begins(t, s.toB)
		back.reaches(t, other)
	})
}

// Two simulcast tracks with the same RIDs, beside one without: MIDs tell them apart.
func TestMediaSimulcastTwice(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		var all []*source
		for _, id := range []string{"camera", "screen"} {
			var sender *RTPSender
			for _, rid := range []string{"q", "f"} {
				encoding := newSource(t, MimeTypeVP8, id, WithRTPStreamID(rid))
				var err error
				if sender == nil {
					sender, err = s.a.AddTrack(encoding)
				} else {
					err = sender.AddEncoding(encoding)
				}
				require.NoError(t, err)
				all = append(all, encoding)
			}
		}
		plain := newSource(t, MimeTypeVP8, "plain")
		_, err := s.a.AddTrack(plain)
		require.NoError(t, err)
		all = append(all, plain)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		for _, source := range all {
			track := source.begins(t, s.toB)
			assert.Equal(t, source.RID(), track.RID())
			mid := ""
			for _, transceiver := range s.b.GetTransceivers() {
				if transceiver.Receiver() == track.receiver {
					mid = transceiver.Mid()
				}
			}
			assert.NotEmpty(t, mid)
		}
		var entries int
		for _, stats := range s.b.GetStats() {
			if in, ok := stats.(InboundRTPStreamStats); ok {
				entries++
				assert.Contains(t, []string{"q", "f", ""}, in.Rid)
				assert.NotEmpty(t, in.Mid)
			}
		}
		assert.Equal(t, 5, entries)
	})
}
