package jsep

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// offered makes a remote offer of an outline, with the bundle that is given.
func offered(bundle, outline string) *Description {
	d := &Description{Sections: sections(outline)}
	if bundle != "" {
		d.Bundle = strings.Fields(bundle)
	}
	for i := range d.Sections {
		if s := &d.Sections[i]; !s.Rejected {
			s.Transport = Transport{
				UsernameFragment: "remote" + s.MID, Password: "remotepasswordremotepassword",
				Fingerprints: []Fingerprint{{"sha-256", "AB"}}, Setup: SetupActPass,
			}
		}
	}

	return d
}

func TestAnswer(t *testing.T) {
	tests := []struct {
		name, bundle, offer string
		data                bool
		media, want         string
	}{
		{"nothing", "", "", true, "", "[]"},
		{"data", "0", "data:0", true, "", "[0] *data:0"},
		{"no data", "0", "data:0", false, "", "[] -data:0"},
		{"data alone", "0 1 2", "audio:0 video:1 data:2", true, "", "[2] -audio:0 -video:1 *data:2"},
		{"media alone", "0 1 2", "audio:0 video:1 data:2", false, "audio:0 video:1", "[0 1] *audio:0 video:1 -data:2"},
		{"media only", "0 1", "audio:0 video:1", true, "", "[] -audio:0 -video:1"},
		{"all", "0 1 2", "audio:0 video:1 data:2", true, "video:1 audio:0", "[0 1 2] *audio:0 video:1 data:2"},
		{"the first not", "0 1 2", "audio:0 video:1 data:2", true, "video:1", "[1 2] -audio:0 *video:1 data:2"},
		{"tagged later", "2 0", "audio:0 data:2", true, "audio:0", "[2 0] audio:0 *data:2"},
		{"tagged later and not", "2 0 1", "audio:0 video:1 data:2", false, "audio:0 video:1", "[0 1] *audio:0 video:1 -data:2"},
		{"no bundle", "", "audio:0 data:1", true, "audio:0", "[] *audio:0 -data:1"},
		{"no bundle, data", "", "audio:0 data:1", true, "", "[] -audio:0 *data:1"},
		{"bundle of some", "1 2", "audio:0 video:1 data:2", true, "audio:0 video:1", "[1 2] -audio:0 *video:1 data:2"},
		{"bundle of what is not wanted", "1", "data:0 video:1", true, "", "[] *data:0 -video:1"},
		{"rejected", "1", "-audio:0 data:1", true, "audio:0", "[1] -audio:0 *data:1"},
		{"unknown kind", "0 1", "image:0 data:1", true, "image:0", "[1] -image:0 *data:1"},
		{"waiting", "0", "data:0", true, "audio video", "[0] *data:0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			offer, media := offered(test.bundle, test.offer), mediaOf(test.media)
			require.NoError(t, CheckOffer(offer, nil))
			answer, err := Answer(ourLocal(), offer, SetupPassive, test.data, media)
			require.NoError(t, err)
			assert.Equal(t, test.want, outline(answer))
			same(t, answer)
			require.NoError(t, CheckAnswer(offer, answer))
			assert.Equal(t, offered(test.bundle, test.offer), offer)
			assert.Equal(t, mediaOf(test.media), media)

			path, mid, index, ok := answer.Path()
			theirs, theirMID, theirIndex, theirOK := AnsweredPath(offer, answer)
			assert.Equal(t, ok, theirOK)
			assert.Equal(t, mid, theirMID)
			assert.Equal(t, index, theirIndex)
			if ok {
				assert.Equal(t, SetupPassive, path.Setup)
				assert.Equal(t, "remote"+mid, theirs.UsernameFragment)
			}
		})
	}
}

// An offer of Chrome of which media are rejected and data accepted.
func TestAnswerText(t *testing.T) {
	local := ourLocal()
	local.Data.MaxMessageSize = ptr(uint64(0))
	answer, err := Answer(local, parse(t, sample(t, "chrome-av-data")), SetupNone, true, nil)
	require.NoError(t, err)
	assert.Equal(t, strings.ReplaceAll(`v=0
o=- 4611686018427387904 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 2
m=audio 0 UDP/TLS/RTP/SAVPF 111 63 0 8 110
c=IN IP4 0.0.0.0
a=mid:0
a=inactive
m=video 0 UDP/TLS/RTP/SAVPF 96 97 102
c=IN IP4 0.0.0.0
a=mid:1
a=inactive
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host
a=candidate:2 1 udp 1 192.0.2.2 5001 typ host
a=ice-ufrag:local
a=ice-pwd:localpasswordlocalpassword
a=ice-options:trickle renomination
a=fingerprint:sha-256 AB:CD:EF
a=fingerprint:sha-512 01:23
a=setup:active
a=mid:2
a=sctp-port:5000
a=max-message-size:0
`, "\n", "\r\n"), answer.Format())
}

func TestAnswerEchoes(t *testing.T) {
	answerTo := func(text string, media ...Media) *Description {
		offer := parse(t, text)
		answer, err := Answer(ourLocal(), offer, SetupNone, true, media)
		require.NoError(t, err)
		require.NoError(t, CheckAnswer(offer, answer))
		same(t, answer)

		return answer
	}

	assert.NotEmpty(t, answerTo(sample(t, "chrome-snap")).Sections[0].Data.Init)
	assert.Empty(t, answerTo(sample(t, "chrome-data")).Sections[0].Data.Init)

	tcp := answerTo(strings.ReplaceAll(sample(t, "chrome-data"), "UDP/DTLS", "TCP/DTLS"))
	assert.Contains(t, tcp.Format(), "m=application 9 TCP/DTLS/SCTP webrtc-datachannel\r\n")
	old := answerTo(sample(t, "firefox-old-data")).Format()
	assert.Contains(t, old, "m=application 9 DTLS/SCTP 5000\r\n")
	assert.Contains(t, old, "a=sctpmap:5000 webrtc-datachannel ")
	assert.NotContains(t, old, "sctp-port")

	audio := "a=ice-ufrag:abcd\na=ice-pwd:efgh\na=fingerprint:sha-256 AA\na=rtcp-mux\n"
	us := Media{MID: "0", Kind: KindAudio, Formats: []string{"111"}, Attributes: []Attribute{{"ptime", "20"}}}
	s := answerTo(anySession+audioLine+audio, us).Sections[0]
	assert.False(t, s.RTCPReducedSize || s.ExtmapAllowMixed)
	assert.Equal(t, []Attribute{{"ptime", "20"}}, s.Attributes)
	s = answerTo(anySession+audioLine+audio+"a=rtcp-rsize\na=extmap-allow-mixed\n", us).Sections[0]
	assert.True(t, s.RTCPReducedSize && s.ExtmapAllowMixed)
	us.Formats = []string{"0"}
	s = answerTo(anySession+"m=audio 9 RTP/AVP 0\n"+audio, us).Sections[0]
	assert.Equal(t, "RTP/AVP", s.Protocol)

	assert.True(t, answerTo(anySession + "m=audio 9 RTP/AVP 0\n" + audio).Sections[0].Rejected, "no Media")
	assert.True(t, answerTo(anySession+"m=audio 9 MRCPv2 0\n"+audio, us).Sections[0].Rejected, "protocol")
	assert.True(t, answerTo(anySession+audioLine+strings.Replace(audio, "a=rtcp-mux\n", "", 1), us).Sections[0].Rejected)
	us.Formats = nil
	assert.True(t, answerTo(anySession+audioLine+audio, us).Sections[0].Rejected, "no formats in common")
}

// Our side sends no more than the other receives.
func TestAnswerDirection(t *testing.T) {
	for theirs := DirectionSendRecv; theirs <= DirectionInactive; theirs++ {
		for ours := DirectionSendRecv; ours <= DirectionInactive; ours++ {
			offer := offered("0", "audio:0")
			offer.Sections[0].Direction = theirs
			answer, err := Answer(ourLocal(), offer, SetupNone, false, []Media{{
				MID: "0", Kind: KindAudio, Formats: []string{"0"}, Direction: ours,
			}})
			require.NoError(t, err)
			got := answer.Sections[0].Direction
			assert.Equal(t, ours.Sends() && theirs.Receives(), got.Sends(), "%v %v", theirs, ours)
			assert.Equal(t, ours.Receives() && theirs.Sends(), got.Receives(), "%v %v", theirs, ours)
		}
	}
}

func TestAnswerRefuses(t *testing.T) {
	offer := offered("0 1", "audio:0 data:1")
	for name, media := range map[string]string{
		"no such mid": "audio:2", "another kind": "video:0", "a mid of data": "audio:1", "one mid twice": "audio:0 audio:0",
	} {
		_, err := Answer(ourLocal(), offer, SetupNone, true, mediaOf(media))
		assert.ErrorIs(t, err, ErrMedia, name)
	}
	offer.Sections[1].Transport.Setup = SetupHoldConn
	_, err := Answer(ourLocal(), offer, SetupNone, true, nil)
	assert.ErrorIs(t, err, ErrSetup)
	offer.Sections[1].Transport = Transport{}
	offer.Bundle = nil
	_, err = Answer(ourLocal(), offer, SetupNone, true, nil)
	assert.ErrorIs(t, err, ErrNoICECredentials)
	// It does not matter where nothing is accepted.
	_, err = Answer(ourLocal(), offer, SetupNone, false, nil)
	assert.NoError(t, err)
}

func TestAnswerSetup(t *testing.T) {
	tests := []struct{ offered, preferred, want Setup }{
		{SetupActPass, SetupNone, SetupActive},
		{SetupActPass, SetupActPass, SetupActive},
		{SetupActPass, SetupActive, SetupActive},
		{SetupActPass, SetupPassive, SetupPassive},
		{SetupNone, SetupNone, SetupActive},
		{SetupNone, SetupPassive, SetupPassive},
		{SetupActive, SetupActive, SetupPassive},
		{SetupActive, SetupNone, SetupPassive},
		{SetupPassive, SetupPassive, SetupActive},
		{SetupPassive, SetupNone, SetupActive},
	}
	for _, test := range tests {
		got, err := AnswerSetup(test.offered, test.preferred)
		assert.NoError(t, err)
		assert.Equal(t, test.want, got, "%v %v", test.offered, test.preferred)
	}
	for _, offered := range []Setup{SetupHoldConn, -1, 99} {
		_, err := AnswerSetup(offered, SetupActive)
		assert.ErrorIs(t, err, ErrSetup)
	}
}
