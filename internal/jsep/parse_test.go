package jsep

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	sampleHash = "A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:01:12:23:34:45:56:67:78:89:9A:AB:BC:CD:DE:EF:F0"

	dataLine  = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
	audioLine = "m=audio 9 UDP/TLS/RTP/SAVPF 111\n"
)

var sampleFingerprints = []Fingerprint{{"sha-256", sampleHash}}

func TestParseChrome(t *testing.T) {
	transport := Transport{
		UsernameFragment: "Kx7e", Password: "f3nQ9Zt0rWb1LmVy8sUuC2hP", Trickle: true,
		Fingerprints: sampleFingerprints, Setup: SetupActPass,
	}
	assert.Equal(t, &Description{
		SessionID: 5612840937713204542, Version: 2, Bundle: []string{"0"},
		Sections: []Section{{
			Kind: KindData, MID: "0", Protocol: "UDP/DTLS/SCTP", Formats: []string{"webrtc-datachannel"},
			Transport: transport,
			Data: &Data{
				Port: 5000, MaxMessageSize: ptr(uint64(262144)), Init: "AQAAHkVE0zQAEgAA//8BAE3zE1vAAAAEgAgABsDBAAA=",
			},
		}},
	}, parse(t, sample(t, "chrome-snap")))

	d := parse(t, sample(t, "chrome-max-bundle"))
	assert.Equal(t, []string{"0", "1", "2"}, d.Bundle)
	audio, video, data := d.Sections[0], d.Sections[1], d.Sections[2]
	assert.Equal(t, transport, audio.Transport)
	assert.Equal(t, []string{"111", "63", "0", "8", "110"}, audio.Formats)
	assert.True(t, audio.RTCPMux && audio.RTCPReducedSize && audio.ExtmapAllowMixed)
	assert.Contains(t, audio.Attributes, Attribute{"rtpmap", "111 opus/48000/2"})
	assert.Contains(t, audio.Attributes, Attribute{"extmap", "4 urn:ietf:params:rtp-hdrext:sdes:mid"})
	assert.False(t, audio.BundleOnly || audio.Rejected)
	assert.True(t, video.BundleOnly && data.BundleOnly)
	assert.False(t, video.Rejected || data.Rejected)
	assert.Zero(t, data.Transport)
}

func TestParseSessionLevel(t *testing.T) {
	d := parse(t, sample(t, "firefox-av-data"))
	for i := range d.Sections {
		s := &d.Sections[i]
		assert.Equal(t, sampleFingerprints, s.Transport.Fingerprints)
		assert.True(t, s.Transport.Trickle)
		assert.Equal(t, "7d20e1fb", s.Transport.UsernameFragment)
		assert.Equal(t, i == 0, s.Transport.EndOfCandidates)
	}
	assert.Len(t, d.Sections[0].Transport.Candidates, 3)
	assert.Equal(t, DirectionRecvOnly, d.Sections[1].Direction)

	d = parse(t, sample(t, "libdatachannel-data"))
	assert.Equal(t, Transport{
		UsernameFragment: "u0Zd", Password: "OoNm5jXf4ePdAb7cT1yKqR", Trickle: true, Options: []string{"ice2"},
		Fingerprints: sampleFingerprints, Setup: SetupActPass, EndOfCandidates: true,
		Candidates: []string{
			"1 1 UDP 2114977791 192.0.2.91 51717 typ host",
			"2 1 UDP 1678769151 198.51.100.7 51717 typ srflx raddr 0.0.0.0 rport 0",
		},
	}, d.Sections[0].Transport)

	d = parse(t, sample(t, "janus-av-data"))
	assert.True(t, d.Lite)
	assert.True(t, d.Sections[1].ExtmapAllowMixed)

	// What a section says itself holds there.
	d = parse(t, anySession+"a=ice-ufrag:session\na=ice-pwd:session\na=ice-options:trickle x\na=setup:actpass\n"+
		"a=fingerprint:sha-256 AA\na=recvonly\na=extmap-allow-mixed\na=end-of-candidates\n"+
		audioLine+"a=ice-ufrag:own\na=ice-pwd:own\na=ice-options:\na=setup:active\na=fingerprint:sha-1 BB\na=sendonly\n"+
		"m=video 9 RTP/AVP 96\n")
	assert.Equal(t, Transport{
		UsernameFragment: "own", Password: "own", Setup: SetupActive, Fingerprints: []Fingerprint{{"sha-1", "BB"}},
		EndOfCandidates: true,
	}, d.Sections[0].Transport)
	assert.Equal(t, DirectionSendOnly, d.Sections[0].Direction)
	assert.Equal(t, Transport{
		UsernameFragment: "session", Password: "session", Setup: SetupActPass, Trickle: true, Options: []string{"x"},
		Fingerprints: []Fingerprint{{"sha-256", "AA"}}, EndOfCandidates: true,
	}, d.Sections[1].Transport)
	assert.Equal(t, DirectionRecvOnly, d.Sections[1].Direction)
	assert.True(t, d.Sections[1].ExtmapAllowMixed)
}

func TestParseOlderForms(t *testing.T) {
	d := parse(t, sample(t, "firefox-old-data"))
	assert.Equal(t, &Data{Port: 5000, MaxMessageSize: ptr(uint64(1073741823))}, d.Sections[0].Data)
	assert.Equal(t, []string{"5000"}, d.Sections[0].Formats)
	assert.Equal(t, "sdparta_0", d.Sections[0].MID)

	d = parse(t, sample(t, "older-peer-no-mid"))
	assert.Nil(t, d.Bundle)
	image, data := d.Sections[0], d.Sections[1]
	assert.Equal(t, "image", image.Kind)
	assert.Equal(t, "udptl", image.Protocol)
	assert.Equal(t, "0", image.MID)
	assert.False(t, image.IsData())
	assert.Equal(t, "1", data.MID)
	assert.Equal(t, &Data{Port: 5001}, data.Data)
	assert.Equal(t, SetupPassive, data.Transport.Setup)
	assert.Equal(t, "sha-256", data.Transport.Fingerprints[0].Algorithm)
}

// What is unusual and yet allowed, or does no harm.
func TestParseTolerates(t *testing.T) {
	one := func(text string) *Section {
		d := parse(t, anySession+text)
		require.Len(t, d.Sections, 1)

		return &d.Sections[0]
	}
	assert.Equal(t, "0", one("\n\r\n"+dataLine+"\n\r\r\n").MID, "empty lines")
	assert.Equal(t, "x", one(dataLine+"a=mid:x").MID, "no end of the last line")
	assert.Equal(t, "x", one(dataLine+"a=mid:x\na=mid:x").MID, "said twice")
	assert.Equal(t, SetupActive, one(dataLine+"a=setup:Active \n").Transport.Setup)
	assert.True(t, one("m=application 0 UDP/DTLS/SCTP 0\n").IsData(), "a rejected section has no port")
	assert.True(t, one("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\na=bundle-only\n").Rejected, "not in a bundle")
	assert.False(t, one("m=application 9 DTLS/SCTP 5000\na=sctpmap:5000 other 16\n").IsData())
	assert.True(t, one("m=application 9 DTLS/SCTP 5000\na=sctpmap:5001 other 16\n").IsData())
	assert.False(t, one("m=application 9 TCP/BFCP *\n").IsData())
	assert.Equal(t, &Data{}, one(dataLine).Data)
	assert.Equal(t, uint64(0), *one(dataLine + "a=max-message-size:0\n").Data.MaxMessageSize)
	assert.Equal(t, uint64(1<<64-1), *one(dataLine + "a=max-message-size:18446744073709551615\n").Data.MaxMessageSize)
	assert.Equal(t, []string{"111"}, one("m=audio 9/2 UDP/TLS/RTP/SAVPF 111\nb=NEW:1\nc=IN IP6 ::\n").Formats)
	assert.Equal(t, "a-_=#b", one(dataLine+"a=ice-ufrag:a-_=#b\n").Transport.UsernameFragment)
	assert.Equal(t, []Attribute{{"x", "1"}, {"y", ""}, {":", ""}}, one(audioLine+"a=x:1\na=y\na=:\n").Attributes)
	assert.Empty(t, parse(t, anySession).Sections)
	assert.True(t, parse(t, anySession+"a=ice-lite\n").Lite)
	assert.True(t, parse(t, anySession+dataLine+"a=ice-lite\n").Lite)

	d := parse(t, anySession+"a=group:LS 7\na=group:BUNDLE\na=group:BUNDLE b\na=group:BUNDLE a\n"+
		audioLine+"a=mid:a\n"+dataLine+"a=mid:b\n")
	assert.Equal(t, []string{"b"}, d.Bundle, "the first bundle")
	d = parse(t, anySession+"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\na=mid:a\n"+dataLine+"a=mid:b\n")
	assert.True(t, d.Sections[1].IsData(), "another data section after a rejected one")
}

func TestP7_ErrorsHaveTheLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name, text string
		line       int
		reason     error
		says       string
	}{
		{"empty", "", 1, ErrSyntax, "nothing"},
		{"no SDP", "hello", 1, ErrSyntax, "small letter"},
		{"JSON", `{"type":"offer"}`, 1, ErrSyntax, "small letter"},
		{"version", "v=1\n", 1, ErrSyntax, "invalid value"},
		{"version and more", "v=0 o=x\n", 1, ErrSyntax, "2 fields"},
		{"no version", "o=- 0 0 IN IP4 0.0.0.0\n", 1, ErrSyntax, "misplaced"},
		{"origin", "v=0\no=- x 0 IN IP4 0.0.0.0\n", 2, ErrSyntax, `"x" is no number`},
		{"origin of 65 bits", "v=0\no=- 0 18446744073709551616 IN IP4 0\n", 2, ErrSyntax, "64 bits"},
		{"origin and network", "v=0\no=- 0 0 ATM IP4 0.0.0.0\n", 2, ErrSyntax, "invalid value `ATM`"},
		{"no times", "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=-\n", 3, ErrSyntax, "ends before its t="},
		{"no times but a section", "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=-\n" + dataLine, 4, ErrSyntax, "misplaced"},
		{"times", "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=-\nt=0 a=x\n", 4, ErrSyntax, "64 bits"},
		{"times and more", "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=-\nt= 0 a=x\n", 4, ErrSyntax, "a space"},
		{"unknown type", anySession + "x=1\n", 5, ErrSyntax, "misplaced"},
		{"order", anySession + "a=x\nt=0 0\n", 6, ErrSyntax, "misplaced"},
		{"order in a section", anySession + dataLine + "a=x\ns=-\n", 7, ErrSyntax, "misplaced"},
		{"order in the second section", anySession + dataLine + "a=x\n" + audioLine + "t=0 0\n", 8, ErrSyntax, "misplaced"},
		{"empty lines count", "\r\n" + anySession + "\n\n" + dataLine + "a=x\ns=-\n", 10, ErrSyntax, "misplaced"},
		{"connection", anySession + dataLine + "c=IN IP5 x\n", 6, ErrSyntax, "IP5"},
		{"connection and more", anySession + dataLine + "c=IN IP4 0.0.0.0 a=x\n", 6, ErrSyntax, "4 fields"},
		{"bandwidth", anySession + dataLine + "b=AS:x\n", 6, ErrSyntax, "bandwidth"},
		{"no attribute", anySession + "a=\n", 5, ErrSyntax, "without a name"},
		{"zero byte", anySession + "a=x\x00\n", 5, ErrSyntax, "zero byte"},
		{"carriage return", anySession + "a=x\ry\n", 5, ErrSyntax, "carriage return"},
		{"only carriage returns", "v=0\ro=- 0 0 IN IP4 0.0.0.0\rs=-\r", 1, ErrSyntax, "carriage return"},

		{"few fields", anySession + "m=audio 9 RTP/AVP\n", 5, ErrSyntax, "formats"},
		{"port", anySession + "m=audio 65536 RTP/AVP 0\n", 5, ErrSyntax, "the port"},
		{"negative port", anySession + "m=audio -1 RTP/AVP 0\n", 5, ErrSyntax, "the port"},
		{"number of ports", anySession + "m=audio 9/x RTP/AVP 0\n", 5, ErrSyntax, "the port"},
		{"kind", anySession + "m=au(dio 9 RTP/AVP 0\n", 5, ErrSyntax, "no token"},
		{"format", anySession + "m=audio 9 RTP/AVP 0,8\n", 5, ErrSyntax, "no token"},
		{"old form", anySession + "m=application 9 DTLS/SCTP 70000\n", 5, ErrSyntax, "neither"},
		{"old form, zero", anySession + "m=application 9 DTLS/SCTP 0\n", 5, ErrSyntax, "0 is no port"},
		{"sctpmap", anySession + "m=application 9 DTLS/SCTP 5000\na=sctpmap:5000\n", 6, ErrSyntax, "sctpmap"},

		{"bundle twice", anySession + "a=group:BUNDLE 0 0\n" + dataLine + "a=mid:0\n", 5, ErrContradiction, "twice"},
		{"bundle of nothing", anySession + "a=group:BUNDLE 1\n" + dataLine + "a=mid:0\n", 5, ErrContradiction, `the mid "1"`},
		{"group", anySession + "a=group:\n", 5, ErrSyntax, "semantics"},
		{"mid twice", anySession + audioLine + "a=mid:0\n" + dataLine + "a=mid:0\n", 8, ErrContradiction, "line 6"},
		{"two mids", anySession + audioLine + "a=mid:0\na=mid:1\n", 7, ErrContradiction, `"0" before`},
		{"no mid", anySession + audioLine + "a=mid:0\n" + dataLine, 7, ErrContradiction, "without mid"},
		{"empty mid", anySession + audioLine + "a=mid:\n", 6, ErrSyntax, "no name"},
		{"mid with a space", anySession + audioLine + "a=mid:a b\n", 6, ErrSyntax, "no name"},
		{"long mid", anySession + audioLine + "a=mid:" + long + "\n", 6, ErrLimit, "300"},
		{"two data sections", anySession + dataLine + "a=mid:a\n" + dataLine + "a=mid:b\n", 7, ErrContradiction, "section 0"},

		{"ufrag", anySession + dataLine + "a=ice-ufrag:\n", 6, ErrSyntax, "empty"},
		{"long ufrag", anySession + dataLine + "a=ice-ufrag:" + long + "\n", 6, ErrLimit, "300"},
		{"ufrag with a colon", anySession + "a=ice-ufrag:a:b\n", 5, ErrSyntax, "':'"},
		{"password", anySession + dataLine + "a=ice-pwd:é\n", 6, ErrSyntax, "not allowed"},
		{"two ufrags", anySession + dataLine + "a=ice-ufrag:abcd\na=ice-ufrag:efgh\n", 7, ErrContradiction, `"abcd" before`},
		{"fingerprint", anySession + "a=fingerprint:sha-256\n", 5, ErrSyntax, "algorithm"},
		{"fingerprint, digits", anySession + "a=fingerprint:sha-256 AB:C\n", 5, ErrSyntax, "hexadecimal"},
		{"fingerprint, no digits", anySession + "a=fingerprint:sha-256 AB:XY\n", 5, ErrSyntax, "hexadecimal"},
		{"fingerprint, colons", anySession + "a=fingerprint:sha-256 AB-CD\n", 5, ErrSyntax, "hexadecimal"},
		{"setup", anySession + dataLine + "a=setup:both\n", 6, ErrSyntax, "no such role"},
		{"two setups", anySession + dataLine + "a=setup:active\na=setup:passive\n", 7, ErrContradiction, "active before"},
		{"two directions", anySession + audioLine + "a=sendonly\na=inactive\n", 7, ErrContradiction, "direction"},
		{"candidate", anySession + dataLine + "a=candidate:\n", 6, ErrSyntax, "empty"},

		{"sctp-port", anySession + dataLine + "a=sctp-port:65536\n", 6, ErrSyntax, "65535"},
		{"sctp-port 0", anySession + dataLine + "a=sctp-port:0\n", 6, ErrSyntax, "0 is no port"},
		{"two sctp-ports", anySession + dataLine + "a=sctp-port:1\na=sctp-port:2\n", 7, ErrContradiction, "port 1"},
		{"size", anySession + dataLine + "a=max-message-size:-1\n", 6, ErrSyntax, "the size"},
		{"size of 65 bits", anySession + dataLine + "a=max-message-size:18446744073709551616\n", 6, ErrSyntax, "the size"},
		{"two sizes", anySession + dataLine + "a=max-message-size:1\na=max-message-size:2\n", 7, ErrContradiction, "1 before"},
		{"token", anySession + dataLine + "a=sctp-init:AQ\n", 6, ErrSyntax, "base64"},
		{"empty token", anySession + dataLine + "a=sctp-init:\n", 6, ErrSyntax, "base64"},
		{"two tokens", anySession + dataLine + "a=sctp-init:AQ==\na=sctp-init:Ag==\n", 7, ErrContradiction, "AQ=="},

		{
			"candidates", anySession + dataLine + strings.Repeat("a=candidate:1\n", MaxCandidates+1),
			6 + MaxCandidates, ErrLimit, "256",
		},
		{
			"formats", anySession + "m=audio 9 RTP/AVP" + strings.Repeat(" 0", MaxFormats+1) + "\n",
			5, ErrLimit, "257",
		},
		{
			"sections", anySession + strings.Repeat(audioLine, MaxSections+1),
			5 + MaxSections, ErrLimit, "256",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, text := range []string{test.text, strings.TrimSuffix(test.text, "\n"), toCRLF(test.text)} {
				_, err := Parse(text)
				var refusal *Error
				require.ErrorAs(t, err, &refusal)
				require.ErrorIs(t, err, test.reason)
				assert.Equal(t, test.line, refusal.Line)
				assert.ErrorContains(t, err, test.says)
				line := strings.TrimRight(lines(text)[test.line-1], "\r\n")
				assert.True(t, strings.HasPrefix(line, strings.TrimSuffix(refusal.Text, "...")), refusal.Text)
			}
		})
	}
}

func toCRLF(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

func TestP7_ErrorText(t *testing.T) {
	reason := errors.New("reason")
	err := error(&Error{Line: 12, Text: "a=mid:", Err: reason})
	assert.EqualError(t, err, `line 12: "a=mid:": reason`)
	assert.ErrorIs(t, err, reason)
}

// Fingerprints have a limit of their own; a repeated one counts once.
func TestP7_Fingerprints(t *testing.T) {
	hashes := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("a=fingerprint:sha-256 AB:" + strings.ToUpper(string("0123456789abcdef"[i/16])+string("0123456789abcdef"[i%16])) + "\n")
		}

		return anySession + dataLine + b.String()
	}
	d := parse(t, hashes(MaxFingerprints)+"a=fingerprint:sha-256 AB:00\n")
	assert.Len(t, d.Sections[0].Transport.Fingerprints, MaxFingerprints)
	_, err := Parse(hashes(MaxFingerprints + 1))
	assert.ErrorIs(t, err, ErrLimit)
}
