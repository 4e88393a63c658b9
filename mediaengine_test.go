package webrtc

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// codec makes a codec with that payload type. Feedback is "type parameter".
func codec(payload PayloadType, mimeType, line string, feedback ...RTCPFeedback) RTPCodecParameters {
	rates := map[string]uint32{MimeTypeOpus: 48000, MimeTypePCMU: 8000, MimeTypePCMA: 8000, "audio/telephone-event": 8000}
	rate, ok := rates[mimeType]
	if !ok {
		rate = 90000
	}

	return RTPCodecParameters{
		PayloadType: payload,
		RTPCodecCapability: RTPCodecCapability{
			MimeType: mimeType, ClockRate: rate, SDPFmtpLine: line, RTCPFeedback: feedback,
		},
	}
}

// payloads are the payload types, in order.
func payloads(codecs []RTPCodecParameters) []int {
	out := []int{}
	for _, c := range codecs {
		out = append(out, int(c.PayloadType))
	}

	return out
}

// The default codecs are pion's, in pion's order.
func TestDefaultCodecs(t *testing.T) {
	var m MediaEngine
	require.NoError(t, m.RegisterDefaultCodecs())
	require.NoError(t, m.RegisterDefaultCodecs(), "once is enough")
	assert.Equal(t, []int{111, 9, 0, 8}, payloads(m.codecsFor(RTPCodecTypeAudio)))
	video := m.codecsFor(RTPCodecTypeVideo)
	assert.Equal(t, []int{
		96, 97, 102, 103, 104, 105, 106, 107, 108, 109, 127, 125, 39, 40, 116, 117, 45, 46, 98, 99, 100, 101, 112, 113,
	}, payloads(video))
	assert.Empty(t, m.codecsFor(RTPCodecTypeUnknown))

	opus, ok := codecOf(111, m.codecsFor(RTPCodecTypeAudio))
	require.True(t, ok)
	assert.Equal(t, RTPCodecCapability{
		MimeType: "audio/opus", ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
	}, opus.RTPCodecCapability)
	h264, ok := codecOf(106, video)
	require.True(t, ok)
	assert.Equal(t, RTPCodecCapability{
		MimeType: "video/H264", ClockRate: 90000,
		SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		RTCPFeedback: []RTCPFeedback{{"goog-remb", ""}, {"ccm", "fir"}, {"nack", ""}, {"nack", "pli"}},
	}, h264.RTPCodecCapability)
	rtx, ok := rtxPayloadType(127, video)
	assert.True(t, ok)
	assert.EqualValues(t, 125, rtx)
	assert.NoError(t, validateCodecs(video, RTPCodecTypeVideo))
}

func TestRegisterCodec(t *testing.T) {
	var m MediaEngine
	bare := RTPCodecParameters{RTPCodecCapability: RTPCodecCapability{MimeType: "video/vp8"}, PayloadType: 96}
	require.NoError(t, m.RegisterCodec(bare, RTPCodecTypeVideo))
	assert.EqualValues(t, 90000, m.codecsFor(RTPCodecTypeVideo)[0].ClockRate, "what all video has")
	require.NoError(t, m.RegisterCodec(codec(96, MimeTypeVP8, "x=1"), RTPCodecTypeVideo), "the same one")
	assert.Empty(t, m.codecsFor(RTPCodecTypeVideo)[0].SDPFmtpLine)
	require.ErrorIs(t, m.RegisterCodec(codec(96, MimeTypeVP9, ""), RTPCodecTypeVideo), ErrCodecAlreadyRegistered)
	require.NoError(t, m.RegisterCodec(codec(96, MimeTypeOpus, ""), RTPCodecTypeAudio), "kinds have numbers of their own")

	require.NoError(t, m.RegisterCodec(codec(98, MimeTypeRTX, "apt=97"), RTPCodecTypeVideo))
	assert.Equal(t, []int{96}, payloads(m.codecsFor(RTPCodecTypeVideo)), "it has nothing to send again yet")
	require.NoError(t, m.RegisterCodec(codec(97, MimeTypeVP9, ""), RTPCodecTypeVideo))
	assert.Equal(t, []int{96, 98, 97}, payloads(m.codecsFor(RTPCodecTypeVideo)))

	// What a program keeps of its own changes nothing here.
	given := codec(99, MimeTypeAV1, "", RTCPFeedback{Type: "nack"})
	require.NoError(t, m.RegisterCodec(given, RTPCodecTypeVideo))
	given.RTCPFeedback[0].Type = "changed"
	m.codecsFor(RTPCodecTypeVideo)[3].RTCPFeedback[0].Type = "changed"
	assert.Equal(t, "nack", m.codecsFor(RTPCodecTypeVideo)[3].RTCPFeedback[0].Type)
}

func TestRegisterFeedback(t *testing.T) {
	var m MediaEngine
	require.NoError(t, m.RegisterCodec(codec(96, MimeTypeVP8, "", RTCPFeedback{"NACK", "PLI"}), RTPCodecTypeVideo))
	require.NoError(t, m.RegisterCodec(codec(97, MimeTypeRTX, "apt=96"), RTPCodecTypeVideo))
	require.NoError(t, m.RegisterCodec(codec(111, MimeTypeOpus, ""), RTPCodecTypeAudio))
	before := m.copy()
	m.RegisterFeedback(RTCPFeedback{"nack", "pli"}, RTPCodecTypeVideo)
	m.RegisterFeedback(RTCPFeedback{"transport-cc", ""}, RTPCodecTypeVideo)
	m.RegisterFeedback(RTCPFeedback{"transport-cc", ""}, RTPCodecTypeVideo)
	m.RegisterFeedback(RTCPFeedback{"x", ""}, RTPCodecTypeUnknown)
	m.RegisterFeedback(RTCPFeedback{"", "x"}, RTPCodecTypeVideo)
	m.RegisterFeedback(RTCPFeedback{"x\r\na=y", ""}, RTPCodecTypeVideo)
	(*MediaEngine)(nil).RegisterFeedback(RTCPFeedback{"x", ""}, RTPCodecTypeVideo)
	video := m.codecsFor(RTPCodecTypeVideo)
	assert.Equal(t, []RTCPFeedback{{"NACK", "PLI"}, {"transport-cc", ""}}, video[0].RTCPFeedback)
	assert.Empty(t, video[1].RTCPFeedback, "retransmissions")
	assert.Empty(t, m.codecsFor(RTPCodecTypeAudio)[0].RTCPFeedback)
	assert.Len(t, before.codecsFor(RTPCodecTypeVideo)[0].RTCPFeedback, 1, "a copy stays as it is")
}

func TestRegisterHeaderExtension(t *testing.T) {
	const (
		both     = RTPTransceiverDirectionSendrecv
		send     = RTPTransceiverDirectionSendonly
		receive  = RTPTransceiverDirectionRecvonly
		inactive = RTPTransceiverDirectionInactive
	)
	var m MediaEngine
	add := func(uri string, kind RTPCodecType, allowed ...RTPTransceiverDirection) {
		require.NoError(t, m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: uri}, kind, allowed...))
	}
	add("urn:all", RTPCodecTypeAudio)
	add("urn:sent", RTPCodecTypeAudio, send)
	add("urn:received", RTPCodecTypeAudio, receive)
	add("urn:all", RTPCodecTypeVideo, receive)
	for direction, want := range map[RTPTransceiverDirection][]string{
		RTPTransceiverDirectionUnknown: {"urn:all", "urn:sent", "urn:received"},
		both:                           {"urn:all", "urn:sent", "urn:received"}, inactive: {"urn:all", "urn:sent", "urn:received"},
		send: {"urn:all", "urn:sent"}, receive: {"urn:all", "urn:received"},
	} {
		assert.Equal(t, want, m.extensionsFor(RTPCodecTypeAudio, direction), direction)
	}
	assert.Empty(t, m.extensionsFor(RTPCodecTypeVideo, send), "kinds have directions of their own")
	assert.Equal(t, []string{"urn:all"}, m.extensionsFor(RTPCodecTypeVideo, both))
	assert.Empty(t, m.extensionsFor(RTPCodecTypeUnknown, both))
	assert.Empty(t, (*MediaEngine)(nil).extensionsFor(RTPCodecTypeAudio, both))

	before := m.copy()
	add("urn:sent", RTPCodecTypeAudio, receive)
	assert.Equal(t, []string{"urn:all"}, m.extensionsFor(RTPCodecTypeAudio, send), "the last registration counts")
	assert.Equal(t, []string{"urn:all", "urn:sent"}, before.extensionsFor(RTPCodecTypeAudio, send))
}

// A copy is what was registered then, and costs no lists.
func TestMediaEngineCopies(t *testing.T) {
	var m MediaEngine
	require.NoError(t, m.RegisterDefaultCodecs())
	own := m.copy()
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = m.copy() }), 1.0)
	require.NoError(t, m.RegisterCodec(codec(33, MimeTypeVP8, ""), RTPCodecTypeVideo))
	require.NoError(t, own.RegisterCodec(codec(34, MimeTypeVP8, ""), RTPCodecTypeVideo))
	assert.NotContains(t, payloads(own.codecsFor(RTPCodecTypeVideo)), 33)
	assert.NotContains(t, payloads(m.codecsFor(RTPCodecTypeVideo)), 34)
	assert.Empty(t, (*MediaEngine)(nil).copy().codecsFor(RTPCodecTypeVideo))
}

// Registering and reading may go on side by side.
func TestMediaEngineIsConcurrent(t *testing.T) {
	var m MediaEngine
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			assert.NoError(t, m.RegisterDefaultCodecs())
			assert.NoError(t, m.RegisterCodec(codec(PayloadType(50+i), MimeTypeVP8, ""), RTPCodecTypeVideo))
			m.RegisterFeedback(RTCPFeedback{Type: "transport-cc"}, RTPCodecTypeVideo)
			assert.NoError(t, m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: "urn:x"}, RTPCodecTypeVideo))
			m.copy().codecsFor(RTPCodecTypeVideo)[0].RTCPFeedback = nil
			m.extensionsFor(RTPCodecTypeVideo, RTPTransceiverDirectionSendonly)
		})
	}
	wg.Wait()
	assert.Len(t, m.codecsFor(RTPCodecTypeVideo), 24+8)
	assert.Len(t, m.extensionsFor(RTPCodecTypeVideo, RTPTransceiverDirectionSendrecv), 1)
}
