package jsep

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// av makes Media of audio and video with codecs and header extensions.
func av(direction Direction) []Media {
	mid := Extension{ID: 4, URI: "urn:ietf:params:rtp-hdrext:sdes:mid"}
	audio := RTP{
		Codecs:     []Codec{{PayloadType: 111, Name: "opus", ClockRate: 48000, Channels: 2}, {PayloadType: 0, Name: "PCMU", ClockRate: 8000}},
		Extensions: []Extension{mid},
		MSIDs:      []MSID{{"-", "audio"}},
	}
	video := RTP{
		Codecs:     []Codec{{PayloadType: 96, Name: "VP8", ClockRate: 90000}, {PayloadType: 97, Name: "rtx", ClockRate: 90000, Fmtp: "apt=96"}},
		Extensions: []Extension{mid, {ID: 10, URI: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"}},
	}

	return []Media{audio.Media("", KindAudio, direction), video.Media("", KindVideo, direction)}
}

func TestCheckAnswerMedia(t *testing.T) {
	attributes := func(a ...Attribute) func(s *Section) { return func(s *Section) { s.Attributes = a } }
	tests := []struct {
		name      string
		direction Direction // of the offer
		change    func(audio *Section)
		want      error
	}{
		{"as it is", DirectionSendRecv, nil, nil},
		{"one codec", DirectionSendRecv, func(s *Section) { s.Formats = s.Formats[:1] }, nil},
		{"another one", DirectionSendRecv, func(s *Section) { s.Formats = s.Formats[1:] }, nil},
		{"one more", DirectionSendRecv, func(s *Section) { s.Formats = append(s.Formats, "8") }, nil},
		{"without rtpmap", DirectionSendRecv, attributes(), nil}, // PCMU has none to have
		{"another number", DirectionSendRecv, func(s *Section) {
			s.Formats, s.Attributes = []string{"63"}, []Attribute{{"rtpmap", "63 OPUS/48000/2"}}
		}, nil},
		{"one that was not offered", DirectionSendRecv, func(s *Section) { s.Formats = []string{"8"} }, ErrFormats},
		{"the number of another codec", DirectionSendRecv, func(s *Section) {
			s.Formats, s.Attributes = []string{"111"}, []Attribute{{"rtpmap", "111 G722/8000"}}
		}, ErrFormats},
		{"another clock rate", DirectionSendRecv, func(s *Section) {
			s.Formats, s.Attributes = []string{"111"}, []Attribute{{"rtpmap", "111 opus/16000/2"}}
		}, ErrFormats},
		{"mono", DirectionSendRecv, func(s *Section) {
			s.Formats, s.Attributes = []string{"111"}, []Attribute{{"rtpmap", "111 opus/48000"}}
		}, ErrFormats},
		{"malformed", DirectionSendRecv, attributes(Attribute{"rtpmap", "x"}), ErrSyntax},
		{"rejected", DirectionSendRecv, func(s *Section) { *s = rejectedSection(s) }, nil},
		{"rejected with other formats", DirectionSendRecv, func(s *Section) {
			*s = rejectedSection(s)
			s.Formats = []string{"8"}
		}, nil},
		{"no rtcp-mux", DirectionSendRecv, func(s *Section) { s.RTCPMux = false }, ErrRTCPMux},
		{"bundle-only", DirectionSendRecv, func(s *Section) { s.BundleOnly = true }, ErrBundle},
		{"an older protocol", DirectionSendRecv, func(s *Section) { s.Protocol = "RTP/SAVPF" }, nil},
		{"another protocol", DirectionSendRecv, func(s *Section) { s.Protocol = "MRCPv2" }, ErrUnsupported},
		{"another mid", DirectionSendRecv, func(s *Section) { s.MID = "9" }, ErrSections},
		{"another kind", DirectionSendRecv, func(s *Section) { s.Kind = KindVideo }, ErrSections},
		{"sends what is not received", DirectionSendOnly, func(s *Section) { s.Direction = DirectionSendRecv }, ErrDirection},
		{"receives what is not sent", DirectionRecvOnly, func(s *Section) { s.Direction = DirectionSendRecv }, ErrDirection},
		{"the same direction", DirectionSendOnly, func(s *Section) { s.Direction = DirectionSendOnly }, ErrDirection},
		{"less", DirectionSendRecv, func(s *Section) { s.Direction = DirectionSendOnly }, nil},
		{"nothing", DirectionSendOnly, func(s *Section) { s.Direction = DirectionInactive }, nil},
		{"not inactive", DirectionInactive, func(s *Section) { s.Direction = DirectionRecvOnly }, ErrDirection},
		{"two meanings of an extension", DirectionSendRecv, attributes(Attribute{"extmap", "10 urn:x"}), ErrBundle},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			offer := Offer(ourLocal(), nil, true, av(test.direction))
			answer, err := Answer(ourLocal(), offer, SetupNone, true, AssignMIDs(nil, av(DirectionSendRecv)))
			require.NoError(t, err)
			require.NoError(t, CheckAnswer(offer, answer))
			same(t, offer)
			same(t, answer)
			if test.change != nil {
				test.change(&answer.Sections[0])
			}
			assert.ErrorIs(t, CheckAnswer(offer, answer), test.want)
			assert.Equal(t, Offer(ourLocal(), nil, true, av(test.direction)), offer)
		})
	}

	// Of a format nobody knows what it is, and both have it.
	offer, answer := offered("0", "audio:0"), offered("0", "audio:0")
	answer.Sections[0].Transport.Setup = SetupActive
	require.NoError(t, CheckAnswer(offer, answer))
	answer.Sections[0].Formats = []string{"101"}
	assert.ErrorIs(t, CheckAnswer(offer, answer), ErrFormats)
	offer.Sections[0].Attributes = []Attribute{{"rtpmap", "x"}}
	assert.ErrorIs(t, CheckAnswer(offer, answer), ErrSyntax)
}

func TestCheckOfferExtensions(t *testing.T) {
	conflict := func(change func(d *Description)) error {
		offer := Offer(ourLocal(), nil, true, av(DirectionSendRecv))
		offer.Sections[0].Attributes = append(offer.Sections[0].Attributes, Attribute{"extmap", "10 urn:x"})
		if change != nil {
			change(offer)
		}

		return CheckOffer(offer, nil)
	}
	err := conflict(nil)
	require.ErrorIs(t, err, ErrBundle)
	assert.ErrorContains(t, err, `header extension 10 is "urn:x" in mid "0", and "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" in mid "1"`)

	// What will not share the transport may differ.
	assert.NoError(t, conflict(func(d *Description) { d.Bundle = []string{"1", "2"} }))
	assert.NoError(t, conflict(func(d *Description) { d.Sections[0].Rejected = true }))
	assert.NoError(t, conflict(func(d *Description) { d.Sections[1].RTCPMux = false }))
	err = conflict(func(d *Description) { d.Sections[1].Attributes[0] = Attribute{"extmap", "x"} })
	assert.ErrorIs(t, err, ErrSyntax)
	assert.ErrorContains(t, err, `mid "1"`)
}

// The life of a call: media are added, refused, ended, and their sections used
// anew for others.
func TestMediaSectionsAreRecycled(t *testing.T) {
	var previous []Section
	negotiate := func(offered, taken []Media) *Description {
		t.Helper()
		offer := Offer(ourLocal(), previous, true, offered)
		same(t, offer)
		require.NoError(t, CheckOffer(offer, previous))
		answer, err := Answer(ourLocal(), offer, SetupNone, true, taken)
		require.NoError(t, err)
		same(t, answer)
		require.NoError(t, CheckAnswer(offer, answer))
		previous = answer.Sections

		return answer
	}
	at := func(m Media, mid string) Media {
		m.MID = mid

		return m
	}
	media := av(DirectionSendRecv)
	audio, video := media[0], media[1]

	assert.Equal(t, "[0] *data:0", outline(negotiate(nil, nil)))
	assert.Equal(t, "[0 1] *data:0 audio:1 -video:2", outline(negotiate([]Media{audio, video}, []Media{at(audio, "1")})))
	// The refused section is used for what is offered next, of another kind too.
	assert.Equal(t, "[0 1 3] *data:0 audio:1 audio:3",
		outline(negotiate([]Media{at(audio, "1"), audio}, []Media{at(audio, "1"), at(audio, "3")})))
	// What has ended is rejected, and used for nothing in the same offer.
	assert.Equal(t, "[0 3 2] *data:0 -audio:1 audio:3 video:2",
		outline(negotiate([]Media{at(audio, "3"), video}, []Media{at(audio, "3"), at(video, "2")})))
	assert.Equal(t, "[0 3 2 4] *data:0 video:4 audio:3 video:2", outline(negotiate(
		[]Media{at(audio, "3"), at(video, "2"), video}, []Media{at(audio, "3"), at(video, "2"), at(video, "4")})))

	// A direction that changes changes nothing else.
	held := at(audio, "3")
	held.Direction = DirectionInactive
	answer := negotiate([]Media{held, at(video, "2"), at(video, "4")}, []Media{at(audio, "3"), at(video, "2"), at(video, "4")})
	assert.Equal(t, "[0 4 3 2] *data:0 video:4 audio:3 video:2", outline(answer))
	assert.Equal(t, DirectionInactive, answer.Sections[2].Direction)
	assert.Equal(t, DirectionSendRecv, answer.Sections[3].Direction)
}

// Video of Firefox is for the bundle alone: the answer takes it with audio, and
// also without, since the transport is said in the bundle's first section.
func TestBundleOnlyMediaIsAnswered(t *testing.T) {
	offer := parse(t, sample(t, "firefox-simulcast"))
	video := offer.Sections[1]
	require.True(t, video.BundleOnly)
	theirs, err := video.RTP()
	require.NoError(t, err)
	ours := RTP{Codecs: theirs.Codecs[:2], RIDs: AnswerRIDs(theirs.RIDs), Simulcast: theirs.Simulcast.Answer()}
	media := []Media{{MID: "0", Kind: KindAudio, Formats: []string{"0"}}, ours.Media("1", KindVideo, DirectionRecvOnly)}

	for _, test := range []struct {
		media []Media
		want  string
	}{{media, "[0 1] *audio:0 video:1"}, {media[1:], "[1] -audio:0 *video:1"}, {media[:1], "[0] *audio:0 -video:1"}} {
		answer, err := Answer(ourLocal(), offer, SetupNone, true, test.media)
		require.NoError(t, err)
		require.NoError(t, CheckAnswer(offer, answer))
		same(t, answer)
		assert.Equal(t, test.want, outline(answer))
		if s := &answer.Sections[1]; !s.Rejected {
			assert.False(t, s.BundleOnly)
			assert.Contains(t, answer.Format(), "a=simulcast:recv hi;lo\r\n")
			read, err := s.RTP()
			require.NoError(t, err)
			assert.Equal(t, theirs.SendRIDs(), read.ReceiveRIDs())
		}
	}

	// Outside of a bundle it is rejected.
	offer.Bundle = []string{"0"}
	offer.Sections[1].BundleOnly, offer.Sections[1].Rejected = false, true
	answer, err := Answer(ourLocal(), offer, SetupNone, true, media)
	require.NoError(t, err)
	assert.Equal(t, "[0] *audio:0 -video:1", outline(answer))
}
