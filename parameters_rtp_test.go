package webrtc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRTPEnums(t *testing.T) {
	for value, text := range map[RTPCodecType]string{0: "unknown", 1: "audio", 2: "video", 3: "unknown", -1: "unknown"} {
		assert.Equal(t, text, value.String())
	}
	assert.Equal(t, RTPCodecTypeVideo, NewRTPCodecType("VIDEO"))
	assert.Equal(t, RTPCodecTypeAudio, NewRTPCodecType("audio"))
	assert.Equal(t, RTPCodecTypeUnknown, NewRTPCodecType("text"))
	for value, text := range map[RTPTransceiverDirection]string{
		0: "unknown", 1: "sendrecv", 2: "sendonly", 3: "recvonly", 4: "inactive", 5: "unknown", -1: "unknown",
	} {
		assert.Equal(t, text, value.String())
		if rtpTransceiverDirections.has(value) {
			assert.Equal(t, value, NewRTPTransceiverDirection(text))
			assert.Equal(t, value, directionOf(value.sends(), value.receives()))
			assert.Equal(t, value, value.Revers().Revers())
			assert.Equal(t, value.sends(), value.Revers().receives())
		}
	}
	assert.Equal(t, RTPTransceiverDirectionUnknown, NewRTPTransceiverDirection("Sendrecv"))
	assert.Equal(t, RTPTransceiverDirection(9), RTPTransceiverDirection(9).Revers())
	assert.Equal(t, RTPTransceiverDirectionInactive,
		RTPTransceiverDirectionSendonly.intersect(RTPTransceiverDirectionRecvonly))
	assert.Equal(t, RTPTransceiverDirectionSendonly,
		RTPTransceiverDirectionSendonly.intersect(RTPTransceiverDirectionSendrecv))
}

// The JSON is pion's: enums are numbers, and of the structs only the encodings
// have names of their own.
func TestRTPParametersJSON(t *testing.T) {
	for _, c := range []struct {
		value any
		json  string
	}{
		{RTPTransceiverInit{Direction: RTPTransceiverDirectionSendonly}, `{"Direction":2,"SendEncodings":null}`},
		{RTPEncodingParameters{RTPCodingParameters{
			RID: "a", SSRC: 1, PayloadType: 2, RTX: RTPRtxParameters{SSRC: 3}, FEC: RTPFecParameters{SSRC: 4},
		}}, `{"rid":"a","ssrc":1,"payloadType":2,"rtx":{"ssrc":3},"fec":{"ssrc":4}}`},
		{RTPCodecParameters{RTPCodecCapability{
			"video/VP8", 90000, 0, "x=1", []RTCPFeedback{{"nack", "pli"}},
		}, 96}, `{"MimeType":"video/VP8","ClockRate":90000,"Channels":0,"SDPFmtpLine":"x=1",
			"RTCPFeedback":[{"Type":"nack","Parameter":"pli"}],"PayloadType":96}`},
		{RTPHeaderExtensionParameter{URI: "urn:x", ID: 1}, `{"URI":"urn:x","ID":1}`},
	} {
		text, err := json.Marshal(c.value)
		require.NoError(t, err)
		assert.JSONEq(t, c.json, string(text))
	}
}

func TestEncodingsAreValidated(t *testing.T) {
	coding := func(rid string, ssrcs ...SSRC) RTPCodingParameters {
		ssrcs = append(ssrcs, 0, 0, 0)

		return RTPCodingParameters{
			RID: rid, SSRC: ssrcs[0], RTX: RTPRtxParameters{ssrcs[1]}, FEC: RTPFecParameters{ssrcs[2]},
		}
	}
	for name, c := range map[string]struct {
		encodings []RTPCodingParameters
		says      string // empty: fine
	}{
		"none":                     {nil, ""},
		"one":                      {[]RTPCodingParameters{coding("", 1, 2, 3)}, ""},
		"several SSRCs":            {[]RTPCodingParameters{coding("", 1), coding("", 2)}, ""},
		"several RIDs":             {[]RTPCodingParameters{coding("a-1"), coding("b_2"), coding("c", 5)}, ""},
		"the same RID":             {[]RTPCodingParameters{coding("a", 1), coding("a", 2)}, `RID "a"`},
		"the same SSRC":            {[]RTPCodingParameters{coding("", 1), coding("", 1)}, "SSRC 1"},
		"its own retransmissions":  {[]RTPCodingParameters{coding("", 1, 1)}, "SSRC 1"},
		"another's repair":         {[]RTPCodingParameters{coding("", 1, 2), coding("", 3, 0, 2)}, "SSRC 2"},
		"one without a RID first":  {[]RTPCodingParameters{coding("", 1), coding("b", 2)}, "without a RID"},
		"one without a RID last":   {[]RTPCodingParameters{coding("a", 1), coding("", 2)}, "without a RID"},
		"repair of nothing":        {[]RTPCodingParameters{coding("a", 0, 1)}, "without an SSRC"},
		"a RID with a space":       {[]RTPCodingParameters{coding("a b", 1)}, `"a b"`},
		"a RID with a line break":  {[]RTPCodingParameters{coding("a\n", 1)}, "RID"},
		"a RID beyond ASCII":       {[]RTPCodingParameters{coding("\u00e4", 1)}, "RID"},
		"a RID of 255 bytes":       {[]RTPCodingParameters{coding(strings.Repeat("a", 255), 1)}, ""},
		"a RID of 256 bytes":       {[]RTPCodingParameters{coding(strings.Repeat("a", 256), 1)}, "256"},
		"a payload type too large": {[]RTPCodingParameters{{SSRC: 1, PayloadType: 128}}, "128"},
		"too many":                 {make([]RTPCodingParameters, maxEncodings+1), "65 encodings"},
	} {
		check(t, name, validateEncodings(c.encodings), c.says)
	}
	require.Error(t, validateRID(""))
}

// check expects an error that says so, or none for an empty text.
func check(t *testing.T, name string, err error, says string) {
	t.Helper()
	if says == "" {
		assert.NoError(t, err, name)

		return
	}
	assert.ErrorIs(t, err, ErrInvalidArgument, name)
	assert.ErrorContains(t, err, says, name)
}

func TestRTPParametersAreValidated(t *testing.T) {
	opus := defaultCodecs(RTPCodecTypeAudio)[0]
	send := func(change func(p *RTPSendParameters)) RTPSendParameters {
		p := RTPSendParameters{
			RTPParameters: RTPParameters{Codecs: []RTPCodecParameters{opus}},
			Encodings:     []RTPEncodingParameters{{RTPCodingParameters{SSRC: 1}}},
		}
		change(&p)

		return p
	}
	for name, c := range map[string]struct {
		change func(p *RTPSendParameters)
		says   string
	}{
		"fine":         {func(*RTPSendParameters) {}, ""},
		"no encodings": {func(p *RTPSendParameters) { p.Encodings = nil }, "no encodings"},
		"no SSRC":      {func(p *RTPSendParameters) { p.Encodings[0].SSRC = 0 }, "without an SSRC"},
		"twice":        {func(p *RTPSendParameters) { p.Encodings = append(p.Encodings, p.Encodings[0]) }, "SSRC 1"},
		"no codec":     {func(p *RTPSendParameters) { p.Codecs = append(p.Codecs, RTPCodecParameters{}) }, "MIME"},
		"two codecs of a number": {func(p *RTPSendParameters) {
			p.Codecs = append(p.Codecs, opus)
		}, "payload type 111"},
		"extension id 0": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x", 0}}
		}, "id 0"},
		"extension id 15": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x", 15}}
		}, "id 15"},
		"extension id 256": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x", 256}}
		}, "id 256"},
		"one extension with two ids": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x", 1}, {"urn:x", 255}}
		}, ""},
		"two extensions with one id": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x", 1}, {"urn:y", 1}}
		}, "urn:y"},
		"a URI of two lines": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{"urn:x\nurn:y", 1}}
		}, "URI"},
		"a URI without end": {func(p *RTPSendParameters) {
			p.HeaderExtensions = []RTPHeaderExtensionParameter{{strings.Repeat("x", maxExtensionURI+1), 1}}
		}, "URI"},
		"too many extensions": {func(p *RTPSendParameters) {
			p.HeaderExtensions = make([]RTPHeaderExtensionParameter, 256)
		}, "256 header extensions"},
	} {
		check(t, name, send(c.change).validate(RTPCodecTypeAudio), c.says)
	}
	check(t, "another kind", send(func(*RTPSendParameters) {}).validate(RTPCodecTypeVideo), "video")

	receive := func(coding ...RTPCodingParameters) RTPReceiveParameters {
		var p RTPReceiveParameters
		for _, c := range coding {
			p.Encodings = append(p.Encodings, RTPDecodingParameters{c})
		}

		return p
	}
	check(t, "nothing to receive", receive().validate(), "no encodings")
	check(t, "an SSRC", receive(RTPCodingParameters{SSRC: 1}).validate(), "")
	check(t, "a RID", receive(RTPCodingParameters{RID: "a"}).validate(), "")
	check(t, "neither", receive(RTPCodingParameters{}).validate(), "neither")

	check(t, "zero init", RTPTransceiverInit{}.validate(), "")
	check(t, "a direction out of range", RTPTransceiverInit{Direction: 5}.validate(), "direction 5")
	check(t, "bad encodings", RTPTransceiverInit{
		SendEncodings: []RTPEncodingParameters{{RTPCodingParameters{RID: " "}}},
	}.validate(), "RID")
}

func TestCodecsOfNoMediaOfTheirOwn(t *testing.T) {
	for mime, want := range map[string]bool{
		MimeTypeRTX: true, MimeTypeFlexFEC: true, MimeTypeFlexFEC03: true, MimeTypeUlpFEC: true, "audio/RED": true,
		"audio/CN": true, "audio/telephone-event": true, MimeTypeVP8: false, MimeTypeOpus: false, "": false, "rtx": false,
	} {
		assert.Equal(t, want, RTPCodecCapability{MimeType: mime}.auxiliary(), "%q", mime)
	}
}

// A copy shares nothing that a program could change.
func TestCodecsAreCloned(t *testing.T) {
	codecs := defaultCodecs(RTPCodecTypeVideo)
	own := cloneCodecs(codecs)
	own[0].RTCPFeedback[0].Type = "changed"
	own[0].PayloadType = 1
	assert.Equal(t, defaultCodecs(RTPCodecTypeVideo), codecs)
	assert.NotEqual(t, fmt.Sprint(own), fmt.Sprint(codecs))
}
