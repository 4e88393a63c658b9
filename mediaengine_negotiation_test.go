package webrtc

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/pion/interceptor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	baselineLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
	highLine     = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"
)

func TestMatchCodecs(t *testing.T) {
	nack, pli, remb := RTCPFeedback{"nack", ""}, RTCPFeedback{"nack", "pli"}, RTCPFeedback{"goog-remb", ""}
	ours := []RTPCodecParameters{
		codec(96, MimeTypeVP8, "", pli, nack),
		codec(97, MimeTypeRTX, "apt=96"),
		codec(106, MimeTypeH264, baselineLine, nack),
		codec(107, MimeTypeRTX, "apt=106"),
		codec(45, MimeTypeAV1, ""),
		codec(118, MimeTypeFlexFEC03, "repair-window=10000000"),
	}
	for name, c := range map[string]struct {
		ours, theirs, want []RTPCodecParameters
	}{
		"nothing": {ours, nil, nil},
		"nothing of ours": {
			nil, []RTPCodecParameters{codec(96, MimeTypeVP8, "")}, nil,
		},
		"their order, numbers and parameters": {
			ours,
			[]RTPCodecParameters{
				codec(35, MimeTypeAV1, "level-idx=8"), codec(100, MimeTypeVP8, "max-fr=30", nack, remb, pli), codec(120, MimeTypeVP9, ""),
			},
			[]RTPCodecParameters{codec(35, MimeTypeAV1, "level-idx=8"), codec(100, MimeTypeVP8, "max-fr=30", pli, nack)},
		},
		"another spelling": {
			ours, []RTPCodecParameters{codec(100, "VIDEO/vp8", "")}, []RTPCodecParameters{codec(100, MimeTypeVP8, "")},
		},
		"retransmissions of what is shared": {
			ours,
			[]RTPCodecParameters{
				codec(100, MimeTypeVP8, ""), codec(101, MimeTypeRTX, "apt=100"),
				codec(102, MimeTypeVP9, ""), codec(103, MimeTypeRTX, "apt=102"),
				codec(104, MimeTypeAV1, ""), codec(105, MimeTypeRTX, "apt=104"), // we have none for AV1
			},
			[]RTPCodecParameters{
				codec(100, MimeTypeVP8, ""), codec(101, MimeTypeRTX, "apt=100"), codec(104, MimeTypeAV1, ""),
			},
		},
		"retransmissions before their codec": {
			ours,
			[]RTPCodecParameters{codec(101, MimeTypeRTX, "rtx-time=3000;apt=100"), codec(100, MimeTypeVP8, "")},
			[]RTPCodecParameters{codec(101, MimeTypeRTX, "rtx-time=3000;apt=100"), codec(100, MimeTypeVP8, "")},
		},
		"retransmissions that name nothing": {
			ours,
			[]RTPCodecParameters{
				codec(100, MimeTypeVP8, ""), codec(101, MimeTypeRTX, ""), codec(102, MimeTypeRTX, "apt=x"),
				codec(103, MimeTypeRTX, "apt=-1"), codec(104, MimeTypeRTX, "apt=356"), codec(105, MimeTypeRTX, "apt=105"),
			},
			[]RTPCodecParameters{codec(100, MimeTypeVP8, "")},
		},
		"exact before partial": {
			ours,
			[]RTPCodecParameters{
				codec(100, MimeTypeH264, highLine), codec(101, MimeTypeRTX, "apt=100"),
				codec(102, MimeTypeH264, baselineLine), codec(103, MimeTypeRTX, "apt=102"),
			},
			[]RTPCodecParameters{codec(102, MimeTypeH264, baselineLine), codec(103, MimeTypeRTX, "apt=102")},
		},
		"partial alone": {
			ours,
			[]RTPCodecParameters{codec(100, MimeTypeH264, highLine), codec(101, MimeTypeRTX, "apt=100")},
			[]RTPCodecParameters{codec(100, MimeTypeH264, highLine), codec(101, MimeTypeRTX, "apt=100")},
		},
		"repair beside media": {
			ours,
			[]RTPCodecParameters{codec(100, MimeTypeFlexFEC03, "repair-window=1"), codec(101, MimeTypeVP8, "")},
			[]RTPCodecParameters{codec(100, MimeTypeFlexFEC03, "repair-window=1"), codec(101, MimeTypeVP8, "")},
		},
		"repair alone": {
			ours, []RTPCodecParameters{codec(100, MimeTypeFlexFEC03, "repair-window=10000000")}, nil,
		},
		"an exact fit that carries no media": {
			[]RTPCodecParameters{codec(111, MimeTypeOpus, "useinbandfec=1"), codec(126, "audio/telephone-event", "")},
			[]RTPCodecParameters{codec(111, MimeTypeOpus, "useinbandfec=0"), codec(126, "audio/telephone-event", "")},
			[]RTPCodecParameters{codec(111, MimeTypeOpus, "useinbandfec=0"), codec(126, "audio/telephone-event", "")},
		},
		"duplicates": {
			append(ours, ours...),
			[]RTPCodecParameters{
				codec(100, MimeTypeVP8, ""), codec(100, MimeTypeVP8, ""), codec(100, MimeTypeAV1, ""),
				codec(101, MimeTypeRTX, "apt=100"), codec(101, MimeTypeRTX, "apt=100"), codec(102, MimeTypeVP8, ""),
			},
			[]RTPCodecParameters{
				codec(100, MimeTypeVP8, ""), codec(101, MimeTypeRTX, "apt=100"), codec(102, MimeTypeVP8, ""),
			},
		},
		"numbers that no packet has": {
			ours, []RTPCodecParameters{codec(228, MimeTypeVP8, "")}, nil,
		},
		"another clock rate": {
			ours,
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeVP8, ClockRate: 1000}, 100}},
			nil,
		},
		"other channels": {
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeOpus, ClockRate: 48000}, 111}},
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeOpus, ClockRate: 48000, Channels: 1}, 111}},
			nil,
		},
		"channels that are not told": {
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeOpus, ClockRate: 48000, Channels: 2}, 111}},
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeOpus, ClockRate: 48000}, 100}},
			[]RTPCodecParameters{{RTPCodecCapability{MimeType: MimeTypeOpus, ClockRate: 48000, Channels: 2}, 100}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(c.ours, c.theirs)
			got := matchCodecs(c.ours, c.theirs)
			if len(c.want) == 0 {
				assert.Empty(t, got)
			} else {
				assert.Equal(t, c.want, got)
			}
			assert.Equal(t, before, fmt.Sprint(c.ours, c.theirs), "arguments are not changed")
		})
	}
}

// A program's preferences decide over the offerer's order.
func TestMatchCodecsAsPreferred(t *testing.T) {
	ours := []RTPCodecParameters{
		codec(1, MimeTypeAV1, ""), codec(2, MimeTypeRTX, "apt=1"), codec(3, MimeTypeVP8, ""), codec(4, MimeTypeRTX, "apt=3"),
	}
	theirs := []RTPCodecParameters{
		codec(100, MimeTypeVP8, ""), codec(101, MimeTypeRTX, "apt=100"),
		codec(102, MimeTypeAV1, ""), codec(103, MimeTypeRTX, "apt=102"), codec(104, MimeTypeVP8, ""),
	}
	assert.Equal(t, []int{102, 103, 100, 104, 101}, payloads(matchCodecsAsPreferred(ours, theirs)))
	assert.Equal(t, []int{100, 101, 102, 103, 104}, payloads(matchCodecs(ours, theirs)))
	assert.Empty(t, matchCodecsAsPreferred(ours, nil))
}

func TestCodecPreferences(t *testing.T) {
	nack, pli := RTCPFeedback{"nack", ""}, RTCPFeedback{"nack", "pli"}
	registered := []RTPCodecParameters{
		codec(96, MimeTypeVP8, "", nack, pli), codec(97, MimeTypeRTX, "apt=96"),
		codec(106, MimeTypeH264, baselineLine), codec(107, MimeTypeRTX, "apt=106"), codec(109, MimeTypeRTX, "apt=108"),
	}
	for name, c := range map[string]struct {
		preferred []RTPCodecParameters
		want      []int
		says      string
	}{
		"none":                   {nil, []int{96, 97, 106, 107}, ""},
		"an order":               {[]RTPCodecParameters{registered[2], registered[0]}, []int{106, 96}, ""},
		"with retransmissions":   {[]RTPCodecParameters{registered[1], registered[0]}, []int{97, 96}, ""},
		"without their codec":    {[]RTPCodecParameters{registered[0], registered[3]}, []int{96}, ""},
		"no number":              {[]RTPCodecParameters{codec(0, MimeTypeVP8, ""), registered[1]}, []int{96, 97}, ""},
		"another number":         {[]RTPCodecParameters{codec(100, MimeTypeVP8, "")}, []int{100}, ""},
		"other parameters":       {[]RTPCodecParameters{codec(100, MimeTypeH264, highLine)}, []int{100}, ""},
		"twice":                  {[]RTPCodecParameters{registered[0], registered[0]}, []int{96}, ""},
		"two with one number":    {[]RTPCodecParameters{registered[0], codec(96, MimeTypeH264, "")}, nil, "payload type 96"},
		"what is not registered": {[]RTPCodecParameters{registered[0], codec(98, MimeTypeVP9, "")}, nil, "VP9"},
		"no media":               {[]RTPCodecParameters{registered[1]}, nil, "carries media"},
		"a number out of range":  {[]RTPCodecParameters{codec(200, MimeTypeVP8, "")}, nil, "200"},
		"two lines":              {[]RTPCodecParameters{codec(96, MimeTypeVP8, "x\r\na=y")}, nil, "one line"},
	} {
		got, err := codecPreferences(c.preferred, registered)
		check(t, name, err, c.says)
		if c.says == "" {
			assert.Equal(t, c.want, payloads(got), name)
		}
	}
	_, err := codecPreferences([]RTPCodecParameters{codec(98, MimeTypeVP9, "")}, registered)
	require.ErrorIs(t, err, ErrUnsupportedCodec)

	got, err := codecPreferences([]RTPCodecParameters{codec(96, MimeTypeVP8, "", pli, RTCPFeedback{"x", ""})}, registered)
	require.NoError(t, err)
	assert.Equal(t, []RTCPFeedback{pli}, got[0].RTCPFeedback)
	all, err := codecPreferences(nil, registered)
	require.NoError(t, err)
	all[0].RTCPFeedback[0].Type = "changed"
	assert.Equal(t, "nack", registered[0].RTCPFeedback[0].Type)
}

func TestCodecsToOffer(t *testing.T) {
	ours := []RTPCodecParameters{
		codec(96, MimeTypeVP8, ""), codec(97, MimeTypeRTX, "apt=96"),
		codec(98, MimeTypeVP9, ""), codec(99, MimeTypeRTX, "apt=98"),
	}
	assert.Equal(t, ours, codecsToOffer(ours, nil), "nothing is agreed on yet")

	// The peer's VP8 has our VP9's number, and its retransmissions another.
	agreed := []RTPCodecParameters{codec(98, MimeTypeVP8, ""), codec(120, MimeTypeRTX, "apt=98")}
	got := codecsToOffer(ours, agreed)
	assert.Equal(t, []RTPCodecParameters{
		codec(98, MimeTypeVP8, ""), codec(120, MimeTypeRTX, "apt=98"),
		codec(96, MimeTypeVP9, ""), codec(99, MimeTypeRTX, "apt=96"),
	}, got)
	assert.Equal(t, got, codecsToOffer(ours, append(agreed, got...)), "a number once used stays")

	// Retransmissions that the peer did not take get a number that is free.
	got = codecsToOffer(ours[:2], []RTPCodecParameters{codec(97, MimeTypeVP8, ""), codec(96, MimeTypeOpus, "")})
	assert.Equal(t, []RTPCodecParameters{codec(97, MimeTypeVP8, ""), codec(98, MimeTypeRTX, "apt=97")}, got)

	// Without a number that is left there is no offer of a codec, nor of its
	// retransmissions.
	var full []RTPCodecParameters
	for n := range 128 {
		full = append(full, codec(PayloadType(n), MimeTypeOpus, ""))
	}
	assert.Empty(t, codecsToOffer(ours, full))
	assert.Equal(t, []int{50}, payloads(codecsToOffer(ours, append(full[:50:50], full[51:]...))))
}

func TestMatchExtensions(t *testing.T) {
	theirs := []RTPHeaderExtensionParameter{
		{"urn:a", 3}, {"urn:b", 0}, {"urn:b", 15}, {"urn:b", 4096}, {"urn:c", 3}, {"urn:c", 255}, {"urn:a", 5}, {"urn:x", 7},
	}
	assert.Equal(t, []RTPHeaderExtensionParameter{{"urn:a", 3}, {"urn:c", 255}},
		matchExtensions([]string{"urn:c", "urn:b", "urn:a"}, theirs))
	assert.Empty(t, matchExtensions(nil, theirs))
	assert.Empty(t, matchExtensions([]string{"urn:a"}, nil))
}

func TestExtensionsToOffer(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprint("urn:", i))
	}
	all := extensionsToOffer(many, nil)
	require.Len(t, all, 254, "1 to 14 and 16 to 255")
	for i, e := range all {
		assert.Equal(t, many[i], e.URI)
		assert.NoError(t, e.validate())
	}
	assert.Equal(t, 14, all[13].ID)
	assert.Equal(t, 16, all[14].ID)

	assert.Equal(t, []RTPHeaderExtensionParameter{{"urn:new", 1}, {"urn:b", 9}, {"urn:newer", 3}, {"urn:a", 2}},
		extensionsToOffer([]string{"urn:new", "urn:b", "urn:newer", "urn:a", "urn:a"},
			[]RTPHeaderExtensionParameter{{"urn:a", 2}, {"urn:b", 9}, {"urn:a", 4}}), "ids in use stay")
	again := extensionsToOffer([]string{"urn:newer", "urn:new"},
		[]RTPHeaderExtensionParameter{{"urn:new", 1}, {"urn:newer", 3}})
	assert.Equal(t, []RTPHeaderExtensionParameter{{"urn:newer", 3}, {"urn:new", 1}}, again)
}

func TestStreamInfo(t *testing.T) {
	codecs := []RTPCodecParameters{
		codec(96, MimeTypeVP8, "x=1", RTCPFeedback{"nack", "pli"}), codec(97, MimeTypeRTX, "apt=96"),
		codec(118, MimeTypeFlexFEC03, ""), codec(98, MimeTypeVP9, ""),
	}
	encoding := RTPCodingParameters{SSRC: 1, RTX: RTPRtxParameters{2}, FEC: RTPFecParameters{3}}
	p := RTPParameters{Codecs: codecs, HeaderExtensions: []RTPHeaderExtensionParameter{{"urn:x", 4}}}
	assert.Equal(t, &interceptor.StreamInfo{
		ID: "track", Attributes: interceptor.Attributes{},
		SSRC: 1, SSRCRetransmission: 2, SSRCForwardErrorCorrection: 3,
		PayloadType: 96, PayloadTypeRetransmission: 97, PayloadTypeForwardErrorCorrection: 118,
		RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: "urn:x", ID: 4}},
		MimeType:            MimeTypeVP8, ClockRate: 90000, SDPFmtpLine: "x=1",
		RTCPFeedback: []interceptor.RTCPFeedback{{Type: "nack", Parameter: "pli"}},
	}, streamInfo("track", encoding, codecs[0], p))

	bare := streamInfo("", RTPCodingParameters{SSRC: 1}, codecs[0], p)
	assert.Zero(t, bare.PayloadTypeRetransmission, "no SSRC to send it with")
	assert.Zero(t, bare.PayloadTypeForwardErrorCorrection)
	without := streamInfo("", encoding, codecs[3], p)
	assert.Zero(t, without.SSRCRetransmission, "VP9 has none")
	_, ok := fecPayloadType(codecs[:2])
	assert.False(t, ok)
	_, ok = codecOf(1, codecs)
	assert.False(t, ok)
}

// fuzzedCodecs makes codecs of a text: lines of "number mime fmtp".
func fuzzedCodecs(text string) (codecs []RTPCodecParameters) {
	for line := range strings.SplitSeq(text, "\n") {
		number, rest, _ := strings.Cut(line, " ")
		mime, fmtp, _ := strings.Cut(rest, " ")
		payload := PayloadType(0)
		if number != "" {
			payload = PayloadType(number[0])
		}
		c := codec(payload, mime, fmtp, RTCPFeedback{number, fmtp})
		c.Channels = binary.BigEndian.Uint16(append([]byte(fmtp), 0, 0))
		codecs = append(codecs, c)
	}

	return codecs
}

// Whatever codecs the peer has: what is shared is of theirs, with numbers that
// stand for one codec each, and retransmissions only beside their codec. What is
// offered after it is the same.
func FuzzMatchCodecs(f *testing.F) {
	f.Add("` video/VP8 \na video/rtx apt=96\nj video/H264 "+baselineLine, "b video/vp8 \nc video/RTX apt=98\nd video/h264 "+highLine)
	f.Add("o audio/opus useinbandfec=1\n~ audio/telephone-event ", "o audio/opus useinbandfec=0\n~ audio/telephone-event ")
	f.Add("v video/flexfec-03 \n` video/VP9 profile-id=2", "` video/VP9 \nv video/flexfec-03 repair-window=1\n\xff x/y z")
	f.Fuzz(func(t *testing.T, one, other string) {
		ours, theirs := fuzzedCodecs(one), fuzzedCodecs(other)
		for _, got := range [][]RTPCodecParameters{
			matchCodecs(ours, theirs), matchCodecsAsPreferred(ours, theirs),
			codecsToOffer(firstOfEach(ours), firstOfEach(theirs)),
		} {
			seen := map[PayloadType]bool{}
			for _, c := range got {
				require.NoError(t, c.PayloadType.validate())
				require.False(t, seen[c.PayloadType], "%d twice", c.PayloadType)
				seen[c.PayloadType] = true
			}
		}
		got := matchCodecs(ours, theirs)
		require.Len(t, withPrimaries(cloneCodecs(got)), len(got), "retransmissions without their codec")
		for _, c := range got {
			theirs, ok := codecOf(c.PayloadType, theirs)
			require.True(t, ok)
			require.True(t, sameCodec(theirs.RTPCodecCapability, c.RTPCodecCapability))
		}
		if preferred, err := codecPreferences(theirs, ours); err == nil && len(ours) > 0 {
			require.Len(t, withPrimaries(cloneCodecs(preferred)), len(preferred))
		}
	})
}
