package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/stats"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// madeBy counts how often a factory is asked.
type madeBy struct {
	calls int
	err   error
}

func (m *madeBy) NewInterceptor(string) (interceptor.Interceptor, error) {
	m.calls++

	return &interceptor.NoOp{}, m.err
}

// What each call registers: at the engine, seen as feedback of VP8 and Opus and
// as extensions.
func TestConfigureInterceptors(t *testing.T) {
	const both = RTPTransceiverDirectionSendrecv
	simulcast := []string{sdp.SDESMidURI, sdp.SDESRTPStreamIDURI, sdp.SDESRepairRTPStreamIDURI}
	for name, c := range map[string]struct {
		call                     func(m *MediaEngine, r *interceptor.Registry) error
		video, audio             []RTCPFeedback
		videoExtensions, audioEx []string
	}{
		"nack": {
			call:  ConfigureNack,
			video: []RTCPFeedback{{"nack", ""}, {"nack", "pli"}},
		},
		"reports": {call: func(_ *MediaEngine, r *interceptor.Registry) error { return ConfigureRTCPReports(r) }},
		"statistics": {
			call: func(_ *MediaEngine, r *interceptor.Registry) error { return ConfigureStatsInterceptor(r) },
		},
		"numbers": {
			call:            ConfigureTWCCHeaderExtensionSender,
			videoExtensions: []string{sdp.TransportCCURI}, audioEx: []string{sdp.TransportCCURI},
		},
		"reports on every packet": {
			call:  ConfigureTWCCSender,
			video: []RTCPFeedback{{"transport-cc", ""}}, audio: []RTCPFeedback{{"transport-cc", ""}},
			videoExtensions: []string{sdp.TransportCCURI}, audioEx: []string{sdp.TransportCCURI},
		},
		"congestion control feedback": {
			call:  ConfigureCongestionControlFeedback,
			video: []RTCPFeedback{{"ack", "ccfb"}}, audio: []RTCPFeedback{{"ack", "ccfb"}},
		},
		"simulcast": {
			call:            func(m *MediaEngine, _ *interceptor.Registry) error { return ConfigureSimulcastExtensionHeaders(m) },
			videoExtensions: simulcast,
		},
		"all by default": {
			call:            RegisterDefaultInterceptors,
			video:           []RTCPFeedback{{"nack", ""}, {"nack", "pli"}, {"transport-cc", ""}},
			audio:           []RTCPFeedback{{"transport-cc", ""}},
			videoExtensions: append(slices.Clone(simulcast), sdp.TransportCCURI), audioEx: []string{sdp.TransportCCURI},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var m MediaEngine
			require.NoError(t, m.RegisterCodec(codec(96, MimeTypeVP8, ""), RTPCodecTypeVideo))
			require.NoError(t, m.RegisterCodec(codec(111, MimeTypeOpus, ""), RTPCodecTypeAudio))
			r := &interceptor.Registry{}
			for range 2 { // the second time adds nothing to the engine
				require.NoError(t, c.call(&m, r))
				assert.Equal(t, c.video, m.codecsFor(RTPCodecTypeVideo)[0].RTCPFeedback)
				assert.Equal(t, c.audio, m.codecsFor(RTPCodecTypeAudio)[0].RTCPFeedback)
				assert.Equal(t, c.videoExtensions, m.extensionsFor(RTPCodecTypeVideo, both))
				assert.Equal(t, c.audioEx, m.extensionsFor(RTPCodecTypeAudio, both))
			}
			chain, _, err := buildInterceptors(r, "id")
			require.NoError(t, err)
			require.NoError(t, chain.Close())
		})
	}
}

func TestConfigureFlexFEC03(t *testing.T) {
	var m MediaEngine
	r := &interceptor.Registry{}
	require.NoError(t, ConfigureFlexFEC03(118, &m, r))
	got := m.codecsFor(RTPCodecTypeVideo)
	assert.Equal(t, []RTPCodecParameters{codec(118, MimeTypeFlexFEC03, "repair-window=10000000")}, got)
	require.ErrorIs(t, ConfigureFlexFEC03(128, &m, r), ErrInvalidArgument)
}

// Every option reaches the interceptor that it is for, and nil ones none.
func TestInterceptorOptions(t *testing.T) {
	var loggers countingLoggers
	var reached []string
	reach := func(name string) error {
		reached = append(reached, name)

		return nil
	}
	var m MediaEngine
	r := &interceptor.Registry{}
	require.NoError(t, RegisterDefaultInterceptorsWithOptions(&m, r,
		nil,
		WithInterceptorLoggerFactory(&loggers),
		WithNackGeneratorOptions(nil, func(*nack.GeneratorInterceptor) error { return reach("generator") }),
		WithNackResponderOptions(nil, func(*nack.ResponderInterceptor) error { return reach("responder") }),
		WithReportReceiverOptions(nil, func(*report.ReceiverInterceptor) error { return reach("receiver") }),
		WithReportSenderOptions(nil, func(*report.SenderInterceptor) error { return reach("sender") }),
		WithStatsInterceptorOptions(nil, func(*stats.Interceptor) error { return reach("stats") }),
		WithTWCCOptions(nil, func(*twcc.SenderInterceptor) error { return reach("twcc") }),
	))
	chain, counts, err := buildInterceptors(r, "id")
	require.NoError(t, err)
	require.NoError(t, chain.Close())
	assert.NotNil(t, counts)
	assert.ElementsMatch(t, []string{"generator", "responder", "receiver", "sender", "stats", "twcc"}, reached)
	assert.NotZero(t, loggers.made)

	require.NoError(t, RegisterDefaultInterceptorsWithOptions(&m, r,
		WithInterceptorLoggerFactory(nil), WithInterceptorLoggerFactory((*countingLoggers)(nil))))
	chain, _, err = buildInterceptors(r, "id")
	require.NoError(t, err)
	require.NoError(t, chain.Close())
}

type countingLoggers struct{ made int }

func (c *countingLoggers) NewLogger(scope string) logging.LeveledLogger {
	c.made++

	return logging.NewDefaultLoggerFactory().NewLogger(scope)
}

// Whoever builds a chain gets the counts of that chain, and nothing is kept.
func TestStatsGoToWhoeverBuildsTheChain(t *testing.T) {
	r := &interceptor.Registry{}
	chain, counts, err := buildInterceptors(r, "id")
	require.NoError(t, err)
	assert.Nil(t, counts, "nothing counts")
	require.NoError(t, chain.Close())
	chain, counts, err = buildInterceptors(nil, "id")
	require.NoError(t, err)
	assert.Nil(t, counts)
	require.NoError(t, chain.Close())

	require.NoError(t, ConfigureStatsInterceptor(r))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			chain, counts, err := buildInterceptors(r, fmt.Sprint("connection ", i))
			if !assert.NoError(t, err) || !assert.NotNil(t, counts) {
				return
			}
			writer := chain.BindLocalStream(&interceptor.StreamInfo{SSRC: uint32(i + 1), ClockRate: 90000},
				interceptor.RTPWriterFunc(func(_ *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
					return len(payload), nil
				}))
			_, err = writer.Write(&rtp.Header{SSRC: uint32(i + 1)}, []byte{1}, nil)
			assert.NoError(t, err)
			for n := range uint32(8) {
				got := counts.Get(n + 1)
				assert.Equal(t, n == uint32(i), got != nil, "chain %d, stream %d", i, n)
			}
			assert.NoError(t, chain.Close())
		})
	}
	wg.Wait()
	assert.Empty(t, waitingForStats.builds)

	own, err := r.Build("a program's own")
	require.NoError(t, err)
	require.NoError(t, own.Close())
	assert.Empty(t, waitingForStats.builds, "nobody waits for it")

	broken := &madeBy{err: errors.New("broken")}
	r.Add(broken)
	_, counts, err = buildInterceptors(r, "id")
	require.ErrorIs(t, err, broken.err)
	assert.Nil(t, counts)
	assert.Equal(t, 1, broken.calls)
	assert.Empty(t, waitingForStats.builds)
}

// A pion program's estimate of the bandwidth needs nothing of ours: the
// interceptor tells it of the chain that was built.
func TestBandwidthEstimatorOfAProgram(t *testing.T) {
	congestion, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
		return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(100_000))
	})
	require.NoError(t, err)
	told := map[string]cc.BandwidthEstimator{}
	congestion.OnNewPeerConnection(func(id string, e cc.BandwidthEstimator) { told[id] = e })
	var m MediaEngine
	r := &interceptor.Registry{}
	r.Add(congestion)
	require.NoError(t, ConfigureTWCCHeaderExtensionSender(&m, r))

	chain, _, err := buildInterceptors(r, "id")
	require.NoError(t, err)
	defer func() { assert.NoError(t, chain.Close()) }()
	require.Contains(t, told, "id")
	assert.Equal(t, 100_000, told["id"].GetTargetBitrate())

	p := RTPParameters{
		Codecs:           []RTPCodecParameters{codec(96, MimeTypeVP8, "", RTCPFeedback{"transport-cc", ""})},
		HeaderExtensions: extensionsToOffer(m.extensionsFor(RTPCodecTypeVideo, RTPTransceiverDirectionSendonly), nil),
	}
	sent := make(chan rtp.Header, 1)
	chain.BindRTCPWriter(interceptor.RTCPWriterFunc(func(p []rtcp.Packet, _ interceptor.Attributes) (int, error) {
		return len(p), nil
	}))
	writer := chain.BindLocalStream(streamInfo("track", RTPCodingParameters{SSRC: 1}, p.Codecs[0], p),
		interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
			sent <- h.Clone()

			return len(payload), nil
		}))
	_, err = writer.Write(&rtp.Header{Version: 2, SSRC: 1, PayloadType: 96}, []byte{1}, nil)
	require.NoError(t, err)
	header := <-sent // from the pacer's own goroutine
	assert.NotNil(t, header.GetExtension(uint8(p.HeaderExtensions[0].ID)), "the packet is numbered")
}
