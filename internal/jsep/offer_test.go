package jsep

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outline writes a description in short: the bundle, and each section as
// kind:mid, "-" before the rejected ones and "*" before the one with candidates.
func outline(d *Description) string {
	out := []string{"[" + strings.Join(d.Bundle, " ") + "]"}
	for i := range d.Sections {
		s := &d.Sections[i]
		mark := ""
		switch {
		case s.Rejected:
			mark = "-"
		case len(s.Transport.Candidates) > 0:
			mark = "*"
		}
		kind := s.Kind
		if s.IsData() {
			kind = "data"
		}
		out = append(out, mark+kind+":"+s.MID)
	}

	return strings.Join(out, " ")
}

// sections reads an outline without its bundle.
func sections(outline string) []Section {
	var all []Section
	for field := range strings.FieldsSeq(outline) {
		kind, mid, _ := strings.Cut(field, ":")
		kind, rejected := strings.CutPrefix(kind, "-")
		s := Section{
			Kind: kind, MID: mid, Rejected: rejected, Protocol: "UDP/TLS/RTP/SAVPF", Formats: []string{"100"}, RTCPMux: true,
		}
		if kind == "data" {
			s = Section{
				Kind: KindData, MID: mid, Rejected: rejected, Protocol: "UDP/DTLS/SCTP", Formats: []string{formatData},
				Data: &Data{},
			}
		}
		all = append(all, s)
	}

	return all
}

// mediaOf reads Media from "audio video:1": kinds, and the mids of those that have one.
func mediaOf(outline string) []Media {
	var media []Media
	for field := range strings.FieldsSeq(outline) {
		kind, mid, _ := strings.Cut(field, ":")
		media = append(media, Media{MID: mid, Kind: kind, Formats: []string{"100"}})
	}

	return media
}

func TestOffer(t *testing.T) {
	tests := []struct {
		name, previous string
		data           bool
		media, want    string
	}{
		{"nothing", "", false, "", "[]"},
		{"data", "", true, "", "[0] *data:0"},
		{"media", "", false, "audio video", "[0 1] *audio:0 video:1"},
		{"data after media", "", true, "video audio", "[0 1 2] *video:0 audio:1 data:2"},
		{"mids given", "", true, "audio:x video:0", "[x 0 1] *audio:x video:0 data:1"},
		{"a mid that a later one has", "", true, "audio video:0", "[1 0 2] *audio:1 video:0 data:2"},
		{"a mid twice", "", false, "audio:a video:a", "[a 0] *audio:a video:0"},

		{"again", "data:0", true, "", "[0] *data:0"},
		{"data stays", "data:0", false, "", "[0] *data:0"},
		{"media in addition", "data:0", true, "audio", "[0 1] *data:0 audio:1"},
		{"data in addition", "audio:0", true, "audio:0", "[0 1] *audio:0 data:1"},
		{"order stays", "video:v data:d audio:a", true, "audio:a video:v", "[v d a] *video:v data:d audio:a"},
		{"free mids", "data:0 audio:2", true, "audio:2 video video", "[0 2 1 3] *data:0 audio:2 video:1 video:3"},
		{"ended", "audio:0 data:1", true, "", "[1] -audio:0 *data:1"},
		{"ended is not used in the same offer", "audio:0 data:1", true, "video", "[1 2] -audio:0 *data:1 video:2"},
		{"rejected stays", "-audio:0 data:1", true, "", "[1] -audio:0 *data:1"},
		{"rejected is used", "-audio:0 data:1", true, "video", "[1 2] video:2 *data:1"},
		{"of each", "-audio:0 data:1 -video:2", true, "video video video", "[1 3 4 5] video:3 *data:1 video:4 video:5"},
		{"rejected is wanted", "-audio:0 data:1", true, "audio:0", "[1 0] audio:0 *data:1"},
		{"rejected is used for data", "-audio:0", true, "", "[1] *data:1"},
		{"rejected data", "-data:0 audio:1", true, "audio:1", "[1 2] data:2 *audio:1"},
		{"rejected data, not wanted", "-data:0 audio:1", false, "audio:1", "[1] -data:0 *audio:1"},
		{"a mid of data", "data:0", true, "audio:0", "[0 1] *data:0 audio:1"},
		{"a mid of another kind", "video:0", false, "audio:0", "[1] -video:0 *audio:1"},
		{"an unknown kind", "image:0 data:1", true, "", "[1] -image:0 *data:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			previous, media := sections(test.previous), mediaOf(test.media)
			offer := Offer(ourLocal(), previous, test.data, media)
			assert.Equal(t, test.want, outline(offer))
			same(t, offer)
			require.NoError(t, CheckOffer(offer, previous))
			for i := range offer.Sections {
				if s := &offer.Sections[i]; !s.Rejected {
					assert.Equal(t, SetupActPass, s.Transport.Setup)
					assert.Equal(t, "local", s.Transport.UsernameFragment)
				}
			}
			// What was given is as it was.
			assert.Equal(t, sections(test.previous), previous)
			assert.Equal(t, mediaOf(test.media), media)

			// The mids can be had beforehand.
			assigned := AssignMIDs(previous, media)
			assert.Equal(t, offer, Offer(ourLocal(), previous, test.data, assigned))
			for i := range assigned {
				at, ok := indexOf(offer.Sections, assigned[i].MID)
				require.True(t, ok)
				assert.Equal(t, media[i].Kind, offer.Sections[at].Kind)
			}
		})
	}
}

// The transport in use stays that of the bundle, also if it is not the first.
func TestOfferKeepsTheTag(t *testing.T) {
	local := ourLocal()
	local.Tagged = "1"
	assert.Equal(t, "[1 0 2] audio:0 *video:1 data:2",
		outline(Offer(local, sections("audio:0 video:1"), true, mediaOf("audio:0 video:1"))))
	assert.Equal(t, "[0 2] *audio:0 -video:1 data:2",
		outline(Offer(local, sections("audio:0 video:1"), true, mediaOf("audio:0"))))
	assert.Equal(t, "[0 1 2] *audio:0 video:1 data:2",
		outline(Offer(local, sections("audio:0 -video:1"), true, mediaOf("audio:0 video:1"))))
}

// A section that was rejected for its protocol gets one that is known.
func TestOfferWithAnotherProtocol(t *testing.T) {
	previous := sections("-audio:0")
	previous[0].Protocol = "UDP/MRCPv2"
	offer := Offer(ourLocal(), previous, false, mediaOf("audio:0"))
	assert.Equal(t, protocolMedia, offer.Sections[0].Protocol)
	same(t, offer)
}

func TestOfferWithoutFormats(t *testing.T) {
	none := []Media{{Kind: KindAudio}, {Kind: KindVideo, MID: "v"}}
	assert.Equal(t, "[1] -video:v *data:1", outline(Offer(ourLocal(), sections("video:v"), true, none)))
}

// The result shares nothing with what it was made of.
func TestOfferIsACopy(t *testing.T) {
	local, media := ourLocal(), twoMedia()
	offer := Offer(local, nil, true, media)
	text := offer.Format()
	local.Transport.Candidates[0], local.Transport.Options[0] = "x", "x"
	local.Transport.Fingerprints[0].Value, *local.Data.MaxMessageSize = "x", 1
	media[0].Formats[0], media[0].Attributes[0].Value = "x", "x"
	assert.Equal(t, text, offer.Format())

	previous := parse(t, sample(t, "firefox-old-data")).Sections
	again := Offer(ourLocal(), previous, true, nil)
	assert.Equal(t, "DTLS/SCTP", again.Sections[0].Protocol)
	assert.Contains(t, again.Format(), "a=sctpmap:5000 webrtc-datachannel ")
	same(t, again)
}

// The whole text of an offer, in the order that JSEP has.
func TestOfferText(t *testing.T) {
	local := ourLocal()
	local.Lite = true
	local.Transport.EndOfCandidates = true
	local.Data.Port = 5001
	media := twoMedia()
	media[0].Attributes = append(media[0].Attributes, Attribute{"mid", "x"}, Attribute{"sendonly", ""})
	previous := sections("-audio:0 audio:1")
	previous[1].Protocol = "RTP/SAVPF"
	media[0].MID = "1"
	previous[0].Kind = "image" // what was there before does not matter
	offer := Offer(local, append(previous, sections("-data:2 -video:3")...), true, media)
	offer.Sections[0].ExtmapAllowMixed = false
	assert.Equal(t, strings.ReplaceAll(`v=0
o=- 4611686018427387904 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 1 4 5
a=ice-lite
a=msid-semantic:WMS *
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:local
a=ice-pwd:localpasswordlocalpassword
a=ice-options:trickle renomination
a=fingerprint:sha-256 AB:CD:EF
a=fingerprint:sha-512 01:23
a=setup:actpass
a=mid:4
a=sendonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=extmap:1 urn:x
m=audio 9 RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host
a=candidate:2 1 udp 1 192.0.2.2 5001 typ host
a=end-of-candidates
a=ice-ufrag:local
a=ice-pwd:localpasswordlocalpassword
a=ice-options:trickle renomination
a=fingerprint:sha-256 AB:CD:EF
a=fingerprint:sha-512 01:23
a=setup:actpass
a=mid:1
a=sendrecv
a=rtcp-mux
a=rtcp-rsize
a=extmap-allow-mixed
a=rtpmap:111 opus/48000/2
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:local
a=ice-pwd:localpasswordlocalpassword
a=ice-options:trickle renomination
a=fingerprint:sha-256 AB:CD:EF
a=fingerprint:sha-512 01:23
a=setup:actpass
a=mid:5
a=sctp-port:5001
a=max-message-size:262144
a=sctp-init:AQAAHg==
m=video 0 UDP/TLS/RTP/SAVPF 100
c=IN IP4 0.0.0.0
a=mid:3
a=inactive
`, "\n", "\r\n"), offer.Format())
	same(t, offer)
}
