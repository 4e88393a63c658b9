package jsep

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rtpOf reads the section of a mid of a sample.
func rtpOf(t testing.TB, name, mid string) RTP {
	t.Helper()
	d := parse(t, sample(t, name))
	at, ok := indexOf(d.Sections, mid)
	require.True(t, ok)
	rtp, err := d.Sections[at].RTP()
	require.NoError(t, err)

	return rtp
}

func TestRTPOfChrome(t *testing.T) {
	audio := rtpOf(t, "chrome-simulcast", "0")
	assert.Equal(t, RTP{
		Codecs: []Codec{
			{111, "opus", 48000, 2, "minptime=10;useinbandfec=1", []Feedback{{"transport-cc", ""}}},
			{63, "red", 48000, 2, "111/111", nil},
			{9, "G722", 8000, 0, "", nil},
			{0, "PCMU", 8000, 0, "", nil},
			{8, "PCMA", 8000, 0, "", nil},
			{13, "CN", 8000, 0, "", nil},
			{110, "telephone-event", 48000, 0, "", nil},
			{126, "telephone-event", 8000, 0, "", nil},
		},
		Extensions: []Extension{
			{14, "urn:ietf:params:rtp-hdrext:ssrc-audio-level", DirectionSendRecv},
			{2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", DirectionSendRecv},
			{3, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", DirectionSendRecv},
			{4, "urn:ietf:params:rtp-hdrext:sdes:mid", DirectionSendRecv},
		},
		MSIDs:   []MSID{{"-", "d2a4f6e8-13b5-47c9-8e0f-2a4c6e8f0b1d"}},
		Sources: []Source{{1493820576, "t8Kq5ZrXw2LnBv7D", "-", "d2a4f6e8-13b5-47c9-8e0f-2a4c6e8f0b1d"}},
	}, audio)

	video := rtpOf(t, "chrome-simulcast", "1")
	assert.Equal(t, Codec{96, "VP8", 90000, 0, "", []Feedback{
		{"goog-remb", ""}, {"transport-cc", ""}, {"ccm", "fir"}, {"nack", ""}, {"nack", "pli"},
	}}, video.Codecs[0])
	assert.Equal(t, Codec{97, "rtx", 90000, 0, "apt=96", nil}, video.Codecs[1])
	assert.Len(t, video.Codecs, 7)
	assert.Equal(t, []RID{{ID: "q", Send: true}, {ID: "h", Send: true}, {ID: "f", Send: true}}, video.RIDs)
	assert.Equal(t, &Simulcast{Send: [][]SimulcastStream{{{ID: "q"}}, {{ID: "h"}}, {{ID: "f"}}}}, video.Simulcast)
	assert.Empty(t, video.Sources)

	old := rtpOf(t, "chrome-old-simulcast", "video")
	assert.Equal(t, []SourceGroup{
		{"SIM", []uint32{1200345671, 1200345672}},
		{"FID", []uint32{1200345671, 1200345681}},
		{"FID", []uint32{1200345672, 1200345682}},
	}, old.Groups)
	assert.Equal(t, []Source{
		{1200345671, "Lx7HvQ2m", "oldStreamA9", "oldTrackV1"},
		{1200345672, "Lx7HvQ2m", "oldStreamA9", "oldTrackV1"},
		{1200345681, "Lx7HvQ2m", "", ""},
		{1200345682, "Lx7HvQ2m", "", ""},
	}, old.Sources)
	assert.Empty(t, old.MSIDs)
	assert.Zero(t, rtpOf(t, "chrome-simulcast", "2"), "of data there is none")
}

func TestRTPOfOthers(t *testing.T) {
	// Firefox sorts its lines, and its video is for the bundle alone.
	audio, video := rtpOf(t, "firefox-simulcast", "0"), rtpOf(t, "firefox-simulcast", "1")
	assert.Equal(t, Codec{109, "opus", 48000, 2, "maxplaybackrate=48000;stereo=1;useinbandfec=1", nil}, audio.Codecs[0])
	assert.Equal(t, Codec{101, "telephone-event", 8000, 1, "0-15", nil}, audio.Codecs[4])
	assert.Equal(t, Extension{2, "urn:ietf:params:rtp-hdrext:csrc-audio-level", DirectionRecvOnly}, audio.Extensions[1])
	assert.Equal(t, []MSID{{"-", "{6c1e0b2d-7f48-4a93-b5d0-91e2c3a4f506}"}}, audio.MSIDs)
	assert.Equal(t, []string{"VP8", "rtx", "H264", "rtx"}, names(video.Codecs))
	assert.Equal(t, "apt=120", video.Codecs[1].Fmtp)
	assert.Equal(t, []SimulcastStream{{ID: "hi"}, {ID: "lo"}}, video.SendRIDs())
	assert.Len(t, video.Sources, 4)
	assert.Len(t, video.Groups, 2)

	video = rtpOf(t, "safari-av-sendrecv", "1")
	assert.Equal(t, []string{"H264", "rtx", "H264", "rtx", "H265", "rtx"}, names(video.Codecs))
	assert.Equal(t, []SourceGroup{{"FID", []uint32{2837465910, 1625340987}}}, video.Groups)
	assert.Equal(t, "3E5C7A91-B2D4-4F60-8A1C-5D7E9F0B2A4C", video.MSIDs[0].StreamID)

	assert.Equal(t, []Source{{2, "audio-send", "stream1", "audio-send"}}, rtpOf(t, "libdatachannel-av-data", "audio").Sources)
	assert.Equal(t, []Source{{SSRC: 1}}, rtpOf(t, "libdatachannel-av-data", "video").Sources)
	assert.Equal(t, []string{"opus", "PCMU", "PCMA"}, names(rtpOf(t, "aiortc-av", "0").Codecs))
	assert.Equal(t, []Source{{4030201005, "user1837465@host-5d1f", "user1837465@host-5d1f", "webrtctransceiver0"}},
		rtpOf(t, "gstreamer-av-data", "video0").Sources)
	assert.Equal(t, []MSID{{"janus", "janusa0"}}, rtpOf(t, "janus-av-data", "a").MSIDs)
}

func names(codecs []Codec) (names []string) {
	for _, c := range codecs {
		names = append(names, c.Name)
	}

	return names
}

// readRTP reads a section with these formats and lines.
func readRTP(t testing.TB, m, attributes string) RTP {
	t.Helper()
	d := parse(t, anySession+"m="+m+"\n"+attributes)
	require.Len(t, d.Sections, 1)
	rtp, err := d.Sections[0].RTP()
	require.NoError(t, err)

	return rtp
}

func TestRTPCodecs(t *testing.T) {
	// Payload types that need no rtpmap, in sections of their kind.
	assert.Equal(t, []Codec{
		{PayloadType: 8, Name: "PCMA", ClockRate: 8000, Fmtp: "x=1", Feedback: []Feedback{{"nack", ""}}},
		{PayloadType: 0, Name: "PCMU", ClockRate: 8000},
		{PayloadType: 10, Name: "L16", ClockRate: 44100, Channels: 2},
		{PayloadType: 33, Name: "MP2T", ClockRate: 90000},
	}, readRTP(t, "audio 9 RTP/AVP 8 0 1 2 10 19 26 33 34 96 127", "a=fmtp:8 x=1\na=rtcp-fb:8 nack\n").Codecs)
	assert.Equal(t, []string{"MP2T", "H263", "JPEG"}, names(readRTP(t, "video 9 RTP/AVP 33 34 26 0 8 35", "").Codecs))
	// Where there is one it counts.
	assert.Equal(t, []string{"other"}, names(readRTP(t, "audio 9 RTP/AVP 0", "a=rtpmap:0 other/8000\n").Codecs))

	// The order is that of the formats, each counts once, and what is not a
	// format does not.
	assert.Equal(t, []string{"b", "a"}, names(readRTP(t, "audio 9 RTP/AVP 97 96 097 97",
		"a=rtpmap:96 a/1\na=rtpmap:97 b/1\na=rtpmap:98 c/1\na=fmtp:99 x\na=rtcp-fb:99 nack\n").Codecs))
	assert.Empty(t, readRTP(t, "audio 9 RTP/AVP 96", "a=fmtp:96 x\na=rtcp-fb:96 nack\n").Codecs)

	// What is said twice.
	assert.Equal(t, []Codec{{96, "OPUS", 48000, 0, "a=1;b=2", []Feedback{{"nack", ""}, {"nack", "pli"}, {"ccm", "fir"}}}},
		readRTP(t, "audio 9 RTP/AVP 96", "a=rtcp-fb:* nack\na=rtpmap:96 OPUS/48000\na=rtpmap:96 opus/48000/1\na=fmtp:96 a=1\n"+
			"a=fmtp:96 a=1\na=fmtp:96  b=2 \na=rtcp-fb:96 nack\na=rtcp-fb:96 nack  pli\na=rtcp-fb:* ccm fir\na=rtcp-fb:* nack pli\n").Codecs)
	assert.Equal(t, uint32(1<<31), readRTP(t, "audio 9 RTP/AVP 96", "a=rtpmap:96 a/2147483648/65535\n").Codecs[0].ClockRate)

	// Each has its own feedback, also that for all.
	codecs := readRTP(t, "video 9 RTP/AVP 96 97", "a=rtcp-fb:* nack\na=rtpmap:96 a/1\na=rtpmap:97 b/1\n").Codecs
	codecs[0].Feedback[0].Type = "changed"
	assert.Equal(t, []Feedback{{"nack", ""}}, codecs[1].Feedback)
}

func TestRTPStreams(t *testing.T) {
	rtp := readRTP(t, "video 9 RTP/AVP 96", "a=extmap:1 a x=y z\na=extmap:1 a\na=extmap:255/inactive b\na=extmap:2/sendonly a\n"+
		"a=msid:s t\na=msid:s t\na=msid:u\na=msid:- t\n"+
		"a=ssrc:0 cname:c d\na=ssrc:4294967295\na=ssrc:0 cname:c d\na=ssrc:0 label:x\na=ssrc:0 msid:s\na=ssrc:1 cname:\na=ssrc:1 x\n"+
		"a=ssrc-group:FID 0 1\na=ssrc-group:FID 00  1\na=ssrc-group:SIM\na=ssrc-group:FEC-FR 7\n")
	assert.Equal(t, []Extension{{1, "a", DirectionSendRecv}, {255, "b", DirectionInactive}, {2, "a", DirectionSendOnly}}, rtp.Extensions)
	assert.Equal(t, []MSID{{"s", "t"}, {"u", ""}, {"-", "t"}}, rtp.MSIDs)
	assert.Equal(t, []Source{{0, "c d", "s", ""}, {SSRC: 1<<32 - 1}, {SSRC: 1}}, rtp.Sources)
	assert.Equal(t, []SourceGroup{{"FID", []uint32{0, 1}}, {"FEC-FR", []uint32{7}}}, rtp.Groups)
}

// Of a section that is rejected, or is none of RTP, nothing is read, and so
// nothing is refused either.
func TestRTPNotRead(t *testing.T) {
	for _, m := range []string{
		"audio 0 UDP/TLS/RTP/SAVPF 96", "audio 0 UDP/TLS/RTP/SAVPF x", "image 9 RTP/AVP x", "audio 9 MRCPv2 x",
		"application 9 UDP/DTLS/SCTP webrtc-datachannel",
	} {
		assert.Zero(t, readRTP(t, m, "a=rtpmap:x\na=ssrc:x\na=extmap:0 x\n"), m)
	}
	_, err := Parse(anySession + "a=group:BUNDLE 0\nm=audio 0 RTP/AVP 0\na=bundle-only\na=rtpmap:x\na=mid:0\n")
	assert.ErrorIs(t, err, ErrSyntax, "bundle-only is not rejected")
}

func TestP7_MediaErrorsHaveTheLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		lines  string // the last one is wrong
		reason error
		says   string
	}{
		{"rtpmap", ErrSyntax, "payload type"},
		{"rtpmap:", ErrSyntax, "payload type"},
		{"rtpmap:x VP8/90000", ErrSyntax, `"x" is no number from 0 to 127`},
		{"rtpmap:128 VP8/90000", ErrSyntax, "127"},
		{"rtpmap:-1 VP8/90000", ErrSyntax, "127"},
		{"rtpmap:96", ErrSyntax, "a name"},
		{"rtpmap:96 VP8", ErrSyntax, "clock rate"},
		{"rtpmap:96 /90000", ErrSyntax, "a name"},
		{"rtpmap:96 V P8/90000", ErrSyntax, "a name"},
		{"rtpmap:96 VP8/0", ErrSyntax, "clock rate is 0"},
		{"rtpmap:96 VP8/-1", ErrSyntax, "clock rate"},
		{"rtpmap:96 VP8/2147483649", ErrSyntax, "clock rate"},
		{"rtpmap:96 VP8/90000/", ErrSyntax, "channels"},
		{"rtpmap:96 VP8/90000/0", ErrSyntax, "0 channels"},
		{"rtpmap:96 VP8/90000/65536", ErrSyntax, "channels"},
		{"rtpmap:96 VP8/90000/1/1", ErrSyntax, "channels"},
		{"rtpmap:96 VP8/90000\nrtpmap:96 VP9/90000", ErrContradiction, "VP8/90000 before"},
		{"rtpmap:96 a/8000\nrtpmap:96 a/8000/2", ErrContradiction, "before"},
		{"rtpmap:96 a/8000\nrtpmap:96 a/16000", ErrContradiction, "before"},
		{"fmtp:", ErrSyntax, "payload type"},
		{"fmtp:96", ErrSyntax, "no parameters"},
		{"fmtp:300 x", ErrSyntax, "127"},
		{repeat(MaxFmtp+1, "fmtp:96 %d"), ErrLimit, "8"},
		{repeat(3, "fmtp:96 %d"+strings.Repeat("y", 30000)), ErrLimit, "65536"},
		{"rtcp-fb:", ErrSyntax, "payload type"},
		{"rtcp-fb:96", ErrSyntax, "no type"},
		{"rtcp-fb:*", ErrSyntax, "no type"},
		{"rtcp-fb:** nack", ErrSyntax, "payload type"},
		{"rtcp-fb:96 na/ck", ErrSyntax, "no type"},
		{repeat(MaxFeedback+1, "rtcp-fb:96 %d"), ErrLimit, "32"},
		{repeat(MaxFeedback+1, "rtcp-fb:* %d"), ErrLimit, "32"},
		{repeat(MaxFeedback, "rtcp-fb:97 %d") + "\nrtcp-fb:* nack", ErrLimit, "32"},
		{repeat(MaxFeedback, "rtcp-fb:* %d") + "\nrtcp-fb:97 nack", ErrLimit, "32"},

		{"extmap:1", ErrSyntax, "a URI"},
		{"extmap:0 x", ErrSyntax, "0 is no identifier"},
		{"extmap:15 x", ErrSyntax, "15 is no identifier"},
		{"extmap:256 x", ErrSyntax, "255"},
		{"extmap:x x", ErrSyntax, "identifier"},
		{"extmap:1/ x", ErrSyntax, "no direction"},
		{"extmap:1/both x", ErrSyntax, `"both" is no direction`},
		{"extmap:1 x\nextmap:1 y", ErrContradiction, `"x" before`},
		{"extmap:1 x\nextmap:1/sendonly x", ErrContradiction, `"x" before`},

		{"msid:", ErrSyntax, "a stream"},
		{"msid:a b c", ErrSyntax, "a stream"},
		{"msid:a " + long, ErrLimit, "300"},
		{repeat(MaxMSIDs+1, "msid:%d"), ErrLimit, "32"},
		{"ssrc:", ErrSyntax, "SSRC"},
		{"ssrc:x cname:y", ErrSyntax, "SSRC"},
		{"ssrc:4294967296 cname:y", ErrSyntax, "4294967295"},
		{"ssrc:-1 cname:y", ErrSyntax, "SSRC"},
		{"ssrc:1 msid:a b c", ErrSyntax, "a stream"},
		{"ssrc:1 msid:" + long, ErrLimit, "300"},
		{"ssrc:1 cname:x\nssrc:1 cname:y", ErrContradiction, `"x" before`},
		{"ssrc:1 msid:x y\nssrc:1 msid:x z", ErrContradiction, `"x y" before`},
		{"ssrc:1 msid:x y\nssrc:1 msid:x", ErrContradiction, `"x y" before`},
		{repeat(MaxSources+1, "ssrc:%d"), ErrLimit, "1024"},
		{"ssrc-group:", ErrSyntax, "semantics"},
		{"ssrc-group:FI/D 1", ErrSyntax, "semantics"},
		{"ssrc-group:FID 1 x", ErrSyntax, "SSRC"},
		{"ssrc-group:FID 4294967296", ErrSyntax, "4294967295"},
		{"ssrc-group:SIM" + strings.Repeat(" 1", MaxSources+1), ErrLimit, "1025"},
		{repeat(MaxGroups+1, "ssrc-group:FID %d"), ErrLimit, "1024"},

		{"rid:", ErrSyntax, "a direction"},
		{"rid:a", ErrSyntax, "a direction"},
		{"rid:a both", ErrSyntax, "a direction"},
		{"rid:a,b send", ErrSyntax, "','"},
		{"rid:ä send", ErrSyntax, "not allowed"},
		{"rid:" + long + " send", ErrLimit, "300"},
		{"rid:a send pt=", ErrSyntax, "payload type"},
		{"rid:a send pt=96,", ErrSyntax, "payload type"},
		{"rid:a send pt=128", ErrSyntax, "127"},
		{"rid:a send\nrid:a recv", ErrContradiction, `"a"`},
		{"rid:a send\nrid:a send pt=1", ErrContradiction, `"a"`},
		{"rid:a send x\nrid:a send", ErrContradiction, `"a"`},
		{repeat(MaxRIDs+1, "rid:%d send"), ErrLimit, "32"},
		{"simulcast:", ErrSyntax, "a direction"},
		{"simulcast:send", ErrSyntax, "a direction"},
		{"simulcast:both a", ErrSyntax, "neither"},
		{"simulcast:send a recv", ErrSyntax, "a direction"},
		{"simulcast:send a send b", ErrContradiction, "send"},
		{"simulcast:send ;", ErrSyntax, "empty"},
		{"simulcast:send a;", ErrSyntax, "empty"},
		{"simulcast:send a,~", ErrSyntax, "empty"},
		{"simulcast:send a*", ErrSyntax, "'*'"},
		{"simulcast:send a\nsimulcast:send b", ErrContradiction, `"send a" before`},
		{"simulcast:send a" + strings.Repeat(";a", MaxRIDs), ErrLimit, "32"},
		{"simulcast:send " + long, ErrLimit, "300"},
	}
	for _, test := range tests {
		t.Run(clip(test.lines), func(t *testing.T) {
			all := strings.Split(test.lines, "\n")
			text := anySession + "m=video 9 RTP/AVP 96\na=mid:0\na=" + strings.Join(all, "\na=") + "\na=x\n"
			_, err := Parse(text)
			var refusal *Error
			require.ErrorAs(t, err, &refusal)
			require.ErrorIs(t, err, test.reason)
			assert.Equal(t, 6+len(all), refusal.Line)
			assert.ErrorContains(t, err, test.says)

			// Without a text there is the attribute at least.
			s := Section{Kind: KindVideo, Protocol: protocolMedia, Formats: []string{"96"}}
			for _, one := range all {
				key, value, _ := strings.Cut(one, ":")
				s.Attributes = append(s.Attributes, Attribute{key, value})
			}
			_, err = s.RTP()
			require.ErrorAs(t, err, &refusal)
			require.ErrorIs(t, err, test.reason)
			assert.Zero(t, refusal.Line)
			assert.NotContains(t, err.Error(), "line 0")
			assert.True(t, strings.HasPrefix("a="+all[len(all)-1]+":", strings.TrimSuffix(refusal.Text, "...")), refusal.Text)
		})
	}

	for _, format := range []string{"128", "x", "-1", "*"} {
		_, err := Parse(anySession + audioLine + "m=video 9 RTP/AVP 96 " + format + "\n")
		var refusal *Error
		require.ErrorAs(t, err, &refusal)
		assert.ErrorIs(t, err, ErrSyntax)
		assert.Equal(t, 6, refusal.Line)
		s := Section{Kind: KindVideo, Protocol: protocolMedia, Formats: []string{format}}
		_, err = s.RTP()
		assert.ErrorIs(t, err, ErrSyntax)
	}
}

// repeat writes a line many times, with a number in it.
func repeat(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}

	return strings.Join(all, "\n")
}

// As much as is allowed is read, and is the same again.
func TestRTPAtTheLimits(t *testing.T) {
	var lines strings.Builder
	for _, all := range []string{
		repeat(MaxFmtp, "fmtp:96 %d"), repeat(MaxFeedback/2, "rtcp-fb:96 %d"), repeat(MaxFeedback/2, "rtcp-fb:* %d"),
		repeat(MaxMSIDs, "msid:%d"), repeat(MaxSources, "ssrc:%d"), repeat(MaxGroups, "ssrc-group:FID %d"),
		repeat(MaxRIDs, "rid:%d recv"), "simulcast:recv 0" + strings.Repeat(";0", MaxRIDs-1), "rtpmap:96 a/1", "rtpmap:97 b/1",
	} {
		lines.WriteString("a=" + strings.ReplaceAll(all, "\n", "\na=") + "\n")
	}
	for id := range maxExtension {
		if id+1 != reservedExtension {
			fmt.Fprintf(&lines, "a=extmap:%d x\n", id+1)
		}
	}
	rtp := readRTP(t, "video 9 RTP/AVP 96 97", lines.String())
	assert.Len(t, rtp.Codecs[0].Feedback, MaxFeedback/2)
	assert.Len(t, rtp.MSIDs, MaxMSIDs)
	assert.Len(t, rtp.Sources, MaxSources)
	assert.Len(t, rtp.Groups, MaxGroups)
	assert.Len(t, rtp.RIDs, MaxRIDs)
	assert.Len(t, rtp.Extensions, maxExtension-1)
	assert.Equal(t, [][]SimulcastStream{{{ID: "0"}}}, rtp.Simulcast.Recv, "each once")
	again(t, rtp, KindVideo)
}

// again requires that what is written of a section is read as the same.
func again(t testing.TB, rtp RTP, kind string) {
	t.Helper()
	media := rtp.Media("m", kind, DirectionSendOnly)
	require.Len(t, media.Formats, len(rtp.Codecs))
	if len(media.Formats) == 0 { // A section needs one.
		media.Formats = []string{"95"}
	}
	section := mediaSection(&media, "m", protocolMedia)
	require.Equal(t, media.Attributes, section.Attributes)
	read, err := section.RTP()
	require.NoError(t, err)
	require.Equal(t, rtp, read)

	offer := Offer(ourLocal(), nil, false, []Media{media})
	require.NoError(t, CheckOffer(offer, nil))
	text := offer.Format()
	parsed, err := Parse(text)
	require.NoError(t, err, text)
	require.Equal(t, offer, parsed)
	read, err = parsed.Sections[0].RTP()
	require.NoError(t, err)
	require.Equal(t, rtp, read, text)
	require.Equal(t, DirectionSendOnly, parsed.Sections[0].Direction)
}

func TestRTPOfSamplesIsTheSameAgain(t *testing.T) {
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			d := parse(t, text)
			for i := range d.Sections {
				s := &d.Sections[i]
				rtp, err := s.RTP()
				require.NoError(t, err)
				if Acceptable(s) == nil && !s.IsData() {
					require.Len(t, rtp.Codecs, len(s.Formats))
				}
				again(t, rtp, s.Kind)
			}
		})
	}
}

// Whatever values there are, their text means them.
func TestRTPIsTheSameAgain(t *testing.T) {
	for seed := range uint64(1000) {
		kind := []string{KindAudio, KindVideo}[seed%2]
		again(t, randomRTP(rand.New(rand.NewPCG(seed, 1))), kind)
	}
}

// randomRTP makes up what a section says.
func randomRTP(random *rand.Rand) (rtp RTP) {
	token := func() string { return []string{"a", "VP8", "h264", "x-1", "A_b", "{9}", "+"}[random.IntN(7)] }
	word := func() string { return strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(3)) }
	for _, payloadType := range random.Perm(maxPayloadType + 1)[:random.IntN(6)] {
		c := Codec{PayloadType: uint8(payloadType), Name: token(), ClockRate: 1 + random.Uint32N(1<<31), Channels: uint16(random.IntN(4))}
		for i := range random.IntN(3) {
			c.Feedback = append(c.Feedback, Feedback{token() + strconv.Itoa(i), []string{"", "pli", "a b"}[random.IntN(3)]})
		}
		if random.IntN(2) == 0 {
			c.Fmtp = word() + "=" + word() + "; " + token()
		}
		rtp.Codecs = append(rtp.Codecs, c)
	}
	for _, id := range random.Perm(maxExtension)[:random.IntN(4)] {
		if id+1 != reservedExtension {
			rtp.Extensions = append(rtp.Extensions, Extension{id + 1, "urn:" + word(), Direction(random.IntN(4))})
		}
	}
	for i := range random.IntN(3) {
		rtp.MSIDs = append(rtp.MSIDs, MSID{[]string{"-", word()}[random.IntN(2)], []string{"", word()}[random.IntN(2)] + strconv.Itoa(i)})
	}
	for i := range random.IntN(4) {
		s := Source{SSRC: random.Uint32N(1<<30)<<2 | uint32(i)}
		if random.IntN(2) == 0 {
			s.CName = word() + " " + token()
		}
		if random.IntN(2) == 0 {
			s.StreamID, s.TrackID = []string{"-", word()}[random.IntN(2)], []string{"", word()}[random.IntN(2)]
		}
		rtp.Sources = append(rtp.Sources, s)
	}
	for i := range random.IntN(3) {
		rtp.Groups = append(rtp.Groups, SourceGroup{[]string{"FID", "SIM", "FEC-FR"}[i], []uint32{random.Uint32(), random.Uint32()}})
	}
	var lists [2][][]SimulcastStream
	for i := range random.IntN(5) {
		r := RID{ID: strconv.Itoa(i), Send: random.IntN(2) == 0}
		if random.IntN(2) == 0 {
			r.PayloadTypes = []uint8{uint8(i), uint8(random.IntN(100) + 10)}
		}
		if random.IntN(2) == 0 {
			r.Restrictions = "max-width=" + strconv.Itoa(i) + ";max-fps=30"
		}
		rtp.RIDs = append(rtp.RIDs, r)
		list, stream := &lists[0], SimulcastStream{r.ID, random.IntN(2) == 0}
		if !r.Send {
			list = &lists[1]
		}
		switch {
		case random.IntN(4) == 0:
		case len(*list) > 0 && random.IntN(2) == 0:
			last := &(*list)[len(*list)-1]
			*last = append(*last, stream)
		default:
			*list = append(*list, []SimulcastStream{stream})
		}
	}
	if lists[0] != nil || lists[1] != nil {
		rtp.Simulcast = &Simulcast{Send: lists[0], Recv: lists[1]}
	}

	return rtp
}
