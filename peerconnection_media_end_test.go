package webrtc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// How a connection's end reaches what sends and receives.
func TestMediaEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end       func(t *testing.T, s *mediaScene)
		own, peer error // the causes at a and at b, which does not end by itself
	}{
		"Close":    {func(t *testing.T, s *mediaScene) { require.NoError(t, s.a.Close()) }, ErrClosed, io.EOF},              //nolint:thelper // a case
		"Shutdown": {func(t *testing.T, s *mediaScene) { require.NoError(t, s.a.Shutdown(background)) }, ErrClosed, io.EOF}, //nolint:thelper // a case
		"Run": {func(t *testing.T, s *mediaScene) { //nolint:thelper // a case
			ctx, cancel := context.WithCancelCause(background)
			ran := result(func() error { return s.a.Run(ctx) })
			synctest.Wait()
			cancel(errSwept)
			require.ErrorIs(t, <-ran, errSwept)
		}, errSwept, io.EOF},
		"GracefulClose": {func(t *testing.T, s *mediaScene) { require.NoError(t, s.a.GracefulClose()) }, ErrClosed, io.EOF}, //nolint:thelper // a case
	} {
		t.Run(name, func(t *testing.T) {
			mediaPair(t, func(t *testing.T, s *mediaScene) {
				one, back := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "back")
				sender, err := s.a.AddTrack(one)
				require.NoError(t, err)
				_, err = s.b.AddTrack(back)
				require.NoError(t, err)
				negotiate(t, s.a, s.b)
				connectPeers(t, s.a, s.b)
				atB, atA := one.begins(t, s.toB), back.begins(t, s.toA)
				reads := map[*TrackRemote]<-chan error{}
				for _, track := range []*TrackRemote{atA, atB} {
					reads[track] = result(func() error {
						for {
							if _, _, err := track.ReadRTP(); err != nil {
								return err
							}
						}
					})
				}
				reports := result(func() error {
					for {
						if _, _, err := sender.ReadRTCP(); err != nil {
							return err
						}
					}
				})
				c.end(t, s)
				require.ErrorIs(t, <-reads[atA], c.own)
				require.ErrorIs(t, <-reports, c.own)
				require.Equal(t, c.peer, <-reads[atB])
				<-s.b.Context().Done()
				for _, ctx := range []context.Context{sender.Context(), atA.receiver.Context()} {
					<-ctx.Done()
					require.ErrorIs(t, context.Cause(ctx), c.own)
				}
				for _, ctx := range []context.Context{s.b.GetSenders()[0].Context(), atB.receiver.Context()} {
					<-ctx.Done()
					require.ErrorIs(t, context.Cause(ctx), c.peer)
				}
				synctest.Wait()
				one.write(t) // to nobody
				back.write(t)
			})
		})
	}
}

// A path that is dead ends tracks with ICE's error.
func TestMediaEndsWithThePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = peers(t)
		s.toB = tracksOf(s.b)
		one := newSource(t, MimeTypeVP8, "one")
		_, err := s.a.AddTrack(one)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		track := one.begins(t, s.toB)
		s.network.Cut(true)
		_, _, err = track.ReadRTP()
		require.ErrorIs(t, err, ErrICEFailed)
		requirePeersGone(t, s.network, s.a, s.b)
	})
}

// Whoever sets the handler late is told once of each track, and a handler that
// never returns blocks nothing.
func TestMediaOnTrackLateAndBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		sources := []*source{newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeOpus, "two")}
		for _, s := range sources {
			_, err := a.AddTrack(s)
			require.NoError(t, err)
		}
		negotiate(t, a, b)
		connectPeers(t, a, b)
		for _, s := range sources {
			s.write(t)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		release := make(chan struct{})
		var told, entered atomic.Int32
		for range 3 {
			b.OnTrack(func(track *TrackRemote, _ *RTPReceiver) {
				told.Add(1)
				p, _, err := track.ReadRTP()
				if assert.NoError(t, err) {
					assert.Contains(t, string(p.Payload), track.ID())
				}
				entered.Add(1)
				<-release
			})
		}
		synctest.Wait()
		require.EqualValues(t, 2, told.Load())
		require.EqualValues(t, 2, entered.Load())
		third := newSource(t, MimeTypeVP8, "three")
		_, err := a.AddTrack(third)
		require.NoError(t, err)
		negotiate(t, a, b)
		third.write(t)
		time.Sleep(time.Second)
		require.EqualValues(t, 3, entered.Load())
		requirePeersGone(t, network, a, b)
		ran := result(func() error { return b.Run(background) })
		time.Sleep(time.Hour)
		require.Empty(t, ran, "Run returned before the handlers")
		close(release)
		<-ran
		require.EqualValues(t, 3, told.Load())
	})
}

// Without media there is none: no interceptors, no goroutine, nothing of SRTP.
func TestMediaCostsNothingWithoutMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		for _, pc := range []*PeerConnection{a, b} {
			require.Nil(t, pc.dtls.mediaIfUsed())
			pc.GetStats()
			require.Nil(t, pc.dtls.mediaIfUsed())
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, name := range []string{"interceptor", "srtpsession", "rtpTransport"} {
			require.False(t, bytes.Contains(stacks, []byte(name)), name)
		}
		requirePeersGone(t, network, a, b)
	})
}

// Statistics of streams, at both sides.
func TestMediaStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = peers(t, testnet.Delay(20*time.Millisecond))
		s.run(t, func(t *testing.T, s *mediaScene) {
			video, audio := newSource(t, MimeTypeVP8, "video"), newSource(t, MimeTypeOpus, "audio")
			for _, source := range []*source{video, audio} {
				_, err := s.a.AddTrack(source)
				require.NoError(t, err)
			}
			require.Empty(t, streamEntries(s.a))
			negotiate(t, s.a, s.b)
			connectPeers(t, s.a, s.b)
			tracks := []*TrackRemote{video.begins(t, s.toB), audio.begins(t, s.toB)}
			for range 40 {
				for i, source := range []*source{video, audio} {
					source.reaches(t, tracks[i])
				}
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(3 * time.Second)
			at, to := s.a.GetStats(), s.b.GetStats()
			for i, sender := range s.a.GetSenders() {
				params := sender.GetParameters()
				ssrc := params.Encodings[0].SSRC
				sent := streamEntry[OutboundRTPStreamStats](t, at, StatsTypeOutboundRTP, ssrc)
				got := streamEntry[InboundRTPStreamStats](t, to, StatsTypeInboundRTP, ssrc)
				reported := streamEntry[RemoteInboundRTPStreamStats](t, at, StatsTypeRemoteInboundRTP, ssrc)
				told := streamEntry[RemoteOutboundRTPStreamStats](t, to, StatsTypeRemoteOutboundRTP, ssrc)
				count := []*source{video, audio}[i].sent
				assert.EqualValues(t, count, sent.PacketsSent)
				// The interceptor's goroutine begins beside the first packet.
				assert.InDelta(t, count, got.PacketsReceived, 1)
				assert.InDelta(t, sent.BytesSent, got.BytesReceived, 30)
				assert.NotZero(t, got.BytesReceived)
				assert.NotZero(t, got.LastPacketReceivedTimestamp)
				assert.Zero(t, got.PacketsLost)
				assert.True(t, sent.Active)
				assert.Equal(t, sender.kind.String(), sent.Kind)
				assert.Equal(t, sender.kind.String(), got.Kind)
				mid := s.a.GetTransceivers()[i].Mid()
				assert.Equal(t, []string{mid, mid}, []string{sent.Mid, got.Mid})
				assert.Equal(t, []string{reported.ID, sent.ID, told.ID, got.ID}, []string{sent.RemoteID, reported.LocalID, got.RemoteID, told.LocalID})
				assert.InDelta(t, 0.04, reported.RoundTripTime, 0.005)
				assert.EqualValues(t, count, told.PacketsSent)
				codec, ok := at.GetCodecStats(&params.Codecs[0])
				require.True(t, ok)
				assert.Equal(t, []string{codec.ID, codec.ID}, []string{sent.CodecID, got.CodecID})
				_, ok = to[got.CodecID].(CodecStats)
				require.True(t, ok)
				_, ok = at[sent.TransportID].(TransportStats)
				require.True(t, ok)
			}
			for _, report := range []StatsReport{at, to} {
				for id, stats := range report {
					raw, err := json.Marshal(stats)
					require.NoError(t, err)
					require.Contains(t, string(raw), id)
				}
			}
			// A sender that has ended has none.
			require.NoError(t, s.a.RemoveTrack(s.a.GetSenders()[0]))
			negotiate(t, s.a, s.b)
			require.Len(t, streamEntries(s.a), 2)
			require.Len(t, streamEntries(s.b), 2)
		})
		require.Empty(t, streamEntries(s.a))
	})
}

func streamEntries(pc *PeerConnection) (ids []string) {
	for id := range pc.GetStats() {
		if strings.Contains(id, "bound-rtp") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)

	return ids
}

func streamEntry[S Stats](t *testing.T, report StatsReport, typ StatsType, ssrc SSRC) S {
	t.Helper()
	stats, ok := report[(&streamStats{ssrc: ssrc}).id(typ)].(S)
	require.True(t, ok, "%v of %d", typ, ssrc)

	return stats
}

// What SRTP drops is counted.
func TestMediaDroppedPacketsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		var last atomic.Pointer[[]byte]
		s.a, s.b, s.network = peers(t, testnet.Filter(func(from int, payload []byte) (act testnet.Action) {
			if from == 0 && len(payload) > 12 && payload[0]>>6 == 2 && (payload[1]&127 < 64 || payload[1]&127 > 95) {
				packet := bytes.Clone(payload)
				last.Store(&packet)
			}

			return act
		}))
		s.run(t, func(t *testing.T, s *mediaScene) {
			require.Zero(t, s.b.SCTP().Transport().Stats())
			video := newSource(t, MimeTypeVP8, "video")
			_, err := s.a.AddTrack(video)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			connectPeers(t, s.a, s.b)
			video.begins(t, s.toB)
			synctest.Wait()
			again := *last.Load()
			forged := bytes.Clone(again)
			forged[len(forged)-1] ^= 1
			forged[3] += 10
			for _, packet := range [][]byte{again, forged, again[:12]} {
				inject(t, s.a, packet)
			}
			time.Sleep(time.Second)
			stats := s.b.SCTP().Transport().Stats()
			assert.EqualValues(t, 1, stats.SRTPReplayed)
			assert.EqualValues(t, 1, stats.SRTPForged)
			assert.EqualValues(t, 1, stats.SRTPMalformed)
			assert.Zero(t, stats.DroppedRecords())
		})
	})
}

// inject sends a packet over a connection's path as it is.
func inject(t *testing.T, pc *PeerConnection, packet []byte) {
	t.Helper()
	_, err := pc.ice.path().Write(packet)
	require.NoError(t, err)
}
