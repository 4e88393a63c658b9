package webrtc

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/stats"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// countsOf is what counts the streams of a side.
func countsOf(t *testing.T, s *stack) *streamCounts {
	t.Helper()
	counts, ok := s.dtls.mediaIfUsed().counts.(*streamCounts)
	require.True(t, ok)

	return counts
}

// Nothing is left of the counts of senders and receivers that have ended.
func TestX4_CountsGoWithTheirStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		for n := range uint16(20) {
			track := rtpTrack(t)
			sender := a.sender(t, track)
			receiver := b.receiver(t, sender)
			synctest.Wait() // a recorder starts beside its caller
			require.NoError(t, track.WriteRTP(numbered(n, 7)))
			_, _, err := receiver.Track().ReadRTPContext(limited(t, testTimeout))
			require.NoError(t, err)
			ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
			require.EqualValues(t, 1, countsOf(t, a).Get(ssrc).OutboundRTPStreamStats.PacketsSent)
			require.NotNil(t, countsOf(t, b).Get(ssrc))
			require.NoError(t, sender.Stop())
			require.NoError(t, receiver.Stop())
			synctest.Wait()
			for _, s := range []*stack{a, b} {
				require.Nil(t, countsOf(t, s).Get(ssrc))
				require.Empty(t, countsOf(t, s).streams)
				require.Empty(t, countsOf(t, s).kept)
			}
		}
		stopped(t, network, a, b)
	})
}

// A sender that changes its track, or has none for a while, is counted on.
func TestStatsStayWhenATrackIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		first, second := rtpTrack(t), rtpTrack(t)
		sender := a.sender(t, first)
		receiver := b.receiver(t, sender)
		ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
		ctx := limited(t, testTimeout)
		sends := func(track *TrackLocalStaticRTP, n uint16) {
			synctest.Wait() // a recorder starts beside its caller
			require.NoError(t, track.WriteRTP(numbered(n, 7)))
			_, _, err := receiver.Track().ReadRTPContext(ctx)
			require.NoError(t, err)
		}
		sends(first, 1)
		require.NoError(t, sender.ReplaceTrack(nil))
		newInsider(t, b).rtcp([]byte{0x81, 206, 0, 2, 0, 0, 0, 1, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)})
		time.Sleep(time.Second)
		require.NotNil(t, countsOf(t, a).Get(ssrc))
		require.EqualValues(t, 1, countsOf(t, a).Get(ssrc).OutboundRTPStreamStats.PacketsSent)
		require.EqualValues(t, 1, countsOf(t, a).Get(ssrc).OutboundRTPStreamStats.PLICount, "what comes meanwhile")
		require.NoError(t, sender.ReplaceTrack(second))
		sends(second, 2)
		require.NoError(t, sender.ReplaceTrack(first))
		sends(first, 3)
		require.EqualValues(t, 3, countsOf(t, a).Get(ssrc).OutboundRTPStreamStats.PacketsSent)
		require.NoError(t, sender.Stop())
		synctest.Wait()
		require.Nil(t, countsOf(t, a).Get(ssrc))
		stopped(t, network, a, b)
	})
}

// tally is a recorder that notes what it is told.
type tally struct {
	ssrc                    uint32
	started, stopped        int
	in, out, inRTCP, outRTC int
	at                      time.Time
}

func (r *tally) QueueIncomingRTP(at time.Time, _ []byte, _ interceptor.Attributes) {
	r.in, r.at = r.in+1, at
}

func (r *tally) QueueIncomingRTCP(at time.Time, _ []byte, _ interceptor.Attributes) {
	r.inRTCP, r.at = r.inRTCP+1, at
}

func (r *tally) QueueOutgoingRTP(at time.Time, _ *rtp.Header, _ []byte, _ interceptor.Attributes) {
	r.out, r.at = r.out+1, at
}

func (r *tally) QueueOutgoingRTCP(at time.Time, _ []rtcp.Packet, _ interceptor.Attributes) {
	r.outRTC, r.at = r.outRTC+1, at
}

func (r *tally) GetStats() (s stats.Stats) {
	s.OutboundRTPStreamStats.PacketsSent = uint64(r.out)
	return s
}
func (r *tally) Stop()  { r.stopped++ }
func (r *tally) Start() { r.started++ }

// A chain that a program builds by itself, with a recorder and a clock of its own.
func TestStatsWithRecordersOfAProgram(t *testing.T) {
	bubble(t, func(t *testing.T) {
		made := map[uint32][]*tally{}
		clock := time.Unix(77, 0)
		r := &interceptor.Registry{}
		require.NoError(t, ConfigureStatsInterceptorWithOptions(r,
			stats.SetNowFunc(func() time.Time { return clock }),
			stats.SetRecorderFactory(func(ssrc uint32, clockRate float64) stats.Recorder {
				require.EqualValues(t, 90000, clockRate)
				made[ssrc] = append(made[ssrc], &tally{ssrc: ssrc})

				return made[ssrc][len(made[ssrc])-1]
			})))
		chain, counts, err := buildInterceptors(r, "id")
		require.NoError(t, err)
		nowhere := interceptor.RTPWriterFunc(func(_ *rtp.Header, p []byte, _ interceptor.Attributes) (int, error) { return len(p), nil })
		full := interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) { return len(b), a, nil })
		var refused error
		in := chain.BindRTCPReader(interceptor.RTCPReaderFunc(
			func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
				return len(b), a, refused
			}))
		out := chain.BindRTCPWriter(interceptor.RTCPWriterFunc(
			func(p []rtcp.Packet, _ interceptor.Attributes) (int, error) { return 40 + len(p), nil }))
		infos := []*interceptor.StreamInfo{}
		for i := range 3 {
			infos = append(infos, &interceptor.StreamInfo{SSRC: uint32(1 + i/2), ClockRate: 90000})
		}
		w1 := chain.BindLocalStream(infos[0], nowhere)
		again := chain.BindLocalStream(infos[1], nowhere) // of the same SSRC
		r2 := chain.BindRemoteStream(infos[2], full)
		synctest.Wait()
		for range 2 {
			n, err := w1.Write(&rtp.Header{SSRC: 1}, []byte{1, 2}, nil)
			require.NoError(t, err)
			require.Equal(t, 2, n)
		}
		_, err = again.Write(&rtp.Header{SSRC: 1}, nil, nil)
		require.NoError(t, err)
		_, _, err = r2.Read(make([]byte, 12), nil)
		require.NoError(t, err)
		n, _, err := in.Read(make([]byte, 8), interceptor.Attributes{})
		require.NoError(t, err)
		require.Equal(t, 8, n)
		n, err = out.Write(make([]rtcp.Packet, 2), nil)
		require.NoError(t, err)
		require.Equal(t, 42, n)
		refused = errors.New("refused")
		_, _, err = in.Read(make([]byte, 8), nil)
		require.ErrorIs(t, err, refused)
		require.Equal(t, []*tally{{ssrc: 1, started: 1, out: 3, inRTCP: 1, outRTC: 1, at: clock}}, made[1])
		require.Equal(t, []*tally{{ssrc: 2, started: 1, in: 1, inRTCP: 1, outRTC: 1, at: clock}}, made[2])
		require.EqualValues(t, 3, counts.Get(1).OutboundRTPStreamStats.PacketsSent)

		chain.UnbindLocalStream(infos[0])
		chain.UnbindLocalStream(infos[0]) // once is enough
		require.NotNil(t, counts.Get(1), "it is bound twice")
		chain.UnbindLocalStream(infos[1])
		require.Nil(t, counts.Get(1))
		require.Equal(t, 1, made[1][0].stopped)
		_, err = out.Write(nil, nil)
		require.NoError(t, err)
		require.Equal(t, 1, made[1][0].outRTC, "it was let go")
		require.Equal(t, 2, made[2][0].outRTC)

		chain.BindLocalStream(infos[0], nowhere)
		require.Len(t, made[1], 2, "it begins anew")
		require.NoError(t, chain.Close())
		chain.UnbindRemoteStream(infos[2])
		require.Equal(t, 1, made[2][0].stopped)
		require.Equal(t, 1, made[1][1].stopped)
		require.NotNil(t, chain.BindLocalStream(infos[1], nowhere), "after the end nothing is counted")
		require.Len(t, made[1], 2)
	})
}

// An option that fails fails the chain, or leaves a stream uncounted.
func TestStatsOptionsThatFail(t *testing.T) {
	var failure error
	r := &interceptor.Registry{}
	require.NoError(t, ConfigureStatsInterceptorWithOptions(r, func(*stats.Interceptor) error { return failure }))
	failure = errors.New("no")
	_, _, err := buildInterceptors(r, "id")
	require.ErrorIs(t, err, failure)
	failure = nil
	chain, counts, err := buildInterceptors(r, "id")
	require.NoError(t, err)
	failure = errors.New("no")
	written := 0
	for ssrc := range uint32(2) {
		w := chain.BindLocalStream(&interceptor.StreamInfo{SSRC: ssrc, ClockRate: 90000}, interceptor.RTPWriterFunc(
			func(*rtp.Header, []byte, interceptor.Attributes) (int, error) { written++; return 0, nil }))
		_, err = w.Write(&rtp.Header{SSRC: ssrc}, nil, nil)
		require.NoError(t, err)
	}
	require.Equal(t, 2, written)
	require.NotNil(t, counts.Get(0))
	require.Nil(t, counts.Get(1))
	require.NoError(t, chain.Close())
}
