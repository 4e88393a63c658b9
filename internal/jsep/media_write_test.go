package jsep

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The order is that of browsers.
func TestMediaText(t *testing.T) {
	rtp := RTP{
		Codecs: []Codec{
			{96, "VP8", 90000, 0, "max-fr=60", []Feedback{{"nack", ""}, {"nack", "pli"}}},
			{97, "rtx", 90000, 0, "apt=96", nil},
			{111, "opus", 48000, 2, "", nil},
		},
		Extensions: []Extension{{ID: 4, URI: "urn:mid"}, {5, "urn:rid", DirectionSendOnly}},
		MSIDs:      []MSID{{"stream", "track"}, {"", "track"}, {"stream", ""}},
		Sources:    []Source{{1, "name", "stream", "track"}, {2, "", "", "track"}, {SSRC: 3}},
		Groups:     []SourceGroup{{"FID", []uint32{1, 2}}},
		RIDs:       []RID{{"h", true, []uint8{96, 97}, "max-fps=30"}, {"l", true, nil, "max-fps=15"}, {ID: "r"}},
		Simulcast:  &Simulcast{Send: [][]SimulcastStream{{{"h", false}, {"l", true}}, nil}, Recv: [][]SimulcastStream{{{"r", false}}}},
	}
	assert.Equal(t, Media{
		MID: "x", Kind: KindVideo, Formats: []string{"96", "97", "111"}, Direction: DirectionRecvOnly,
		Attributes: []Attribute{
			{"rtpmap", "96 VP8/90000"},
			{"rtcp-fb", "96 nack"},
			{"rtcp-fb", "96 nack pli"},
			{"fmtp", "96 max-fr=60"},
			{"rtpmap", "97 rtx/90000"},
			{"fmtp", "97 apt=96"},
			{"rtpmap", "111 opus/48000/2"},
			{"extmap", "4 urn:mid"},
			{"extmap", "5/sendonly urn:rid"},
			{"msid", "stream track"},
			{"msid", "- track"},
			{"msid", "stream"},
			{"rid", "h send pt=96,97;max-fps=30"},
			{"rid", "l send max-fps=15"},
			{"rid", "r recv"},
			{"simulcast", "send h,~l recv r"},
			{"ssrc-group", "FID 1 2"},
			{"ssrc", "1 cname:name"},
			{"ssrc", "1 msid:stream track"},
			{"ssrc", "2 msid:- track"},
			{"ssrc", "3"},
		},
	}, rtp.Media("x", KindVideo, DirectionRecvOnly))

	assert.Equal(t, Media{MID: "x", Kind: KindAudio}, RTP{Simulcast: new(Simulcast)}.Media("x", KindAudio, DirectionSendRecv))
	offer := Offer(ourLocal(), nil, false, []Media{RTP{}.Media("x", KindAudio, DirectionSendRecv)})
	require.Empty(t, offer.Sections)
}
