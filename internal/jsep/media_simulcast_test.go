package jsep

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSimulcast(t *testing.T) {
	rtp := readRTP(t, "video 9 RTP/AVP 96 97", "a=rid:a send pt=96,97,96;max-width=1280;max-height=720\na=rid:b send max-fps=30\n"+
		"a=rid:c send pt=97\na=rid:d recv pt=96; max-fps=15\na=rid:a send pt=96,97,96;max-width=1280;max-height=720\na=rid:e recv\n"+
		"a=simulcast:recv e;~d send  a,~b;c,x,a;y\na=simulcast: recv e;~d send a,~b;c,x,a;y \n")
	assert.Equal(t, []RID{
		{"a", true, []uint8{96, 97}, "max-width=1280;max-height=720"},
		{"b", true, nil, "max-fps=30"},
		{"c", true, []uint8{97}, ""},
		{"d", false, []uint8{96}, "max-fps=15"},
		{"e", false, nil, ""},
	}, rtp.RIDs)
	assert.Equal(t, &Simulcast{
		Send: [][]SimulcastStream{{{"a", false}, {"b", true}}, {{"c", false}, {"x", false}}, {{"y", false}}},
		Recv: [][]SimulcastStream{{{"e", false}}, {{"d", true}}},
	}, rtp.Simulcast)

	assert.Equal(t, []SimulcastStream{{ID: "a"}, {ID: "c"}}, rtp.SendRIDs(), "the first of the alternatives, with a rid")
	assert.Equal(t, []SimulcastStream{{ID: "e"}, {ID: "d", Paused: true}}, rtp.ReceiveRIDs())
	rtp.Simulcast.Send[0][0].ID = "d"
	assert.Equal(t, []SimulcastStream{{ID: "b", Paused: true}, {ID: "c"}}, rtp.SendRIDs(), "a rid of the other direction")
	rtp.Simulcast = nil
	assert.Equal(t, []SimulcastStream{{ID: "a"}, {ID: "b"}, {ID: "c"}}, rtp.SendRIDs())
	assert.Equal(t, []SimulcastStream{{ID: "d"}, {ID: "e"}}, rtp.ReceiveRIDs())
	assert.Empty(t, new(RTP).SendRIDs())

	// As Firefox had it before the RFC.
	rtp = readRTP(t, "video 9 RTP/AVP 96", "a=rid:a send\na=rid:b send\na=simulcast: send rid=a;b\n")
	assert.Equal(t, []SimulcastStream{{ID: "a"}, {ID: "b"}}, rtp.SendRIDs())
}

// What is said in an answer is of the same streams, seen from the other side.
func TestSimulcastAnswer(t *testing.T) {
	offered := RTP{
		Codecs: []Codec{{PayloadType: 96, Name: "VP8", ClockRate: 90000}},
		RIDs:   []RID{{"a", true, []uint8{96}, ""}, {"b", true, nil, "max-fps=30"}, {"c", false, nil, ""}},
		Simulcast: &Simulcast{
			Send: [][]SimulcastStream{{{"a", false}}, {{"b", true}}}, Recv: [][]SimulcastStream{{{"c", false}}},
		},
	}
	answered := RTP{Codecs: offered.Codecs, RIDs: AnswerRIDs(offered.RIDs), Simulcast: offered.Simulcast.Answer()}
	assert.Equal(t, offered.SendRIDs(), answered.ReceiveRIDs())
	assert.Equal(t, offered.ReceiveRIDs(), answered.SendRIDs())
	assert.Equal(t, offered.RIDs, AnswerRIDs(answered.RIDs))
	assert.Equal(t, offered.Simulcast, answered.Simulcast.Answer())
	assert.Contains(t, answered.Media("0", KindVideo, DirectionSendRecv).Attributes, Attribute{"simulcast", "send c recv a;~b"})

	// It has nothing in common with the offer.
	answered.RIDs[0].PayloadTypes[0] = 1
	answered.Simulcast.Recv[0][0].ID = "z"
	assert.Equal(t, uint8(96), offered.RIDs[0].PayloadTypes[0])
	assert.Equal(t, "a", offered.Simulcast.Send[0][0].ID)
	assert.Nil(t, (*Simulcast)(nil).Answer())
	assert.Nil(t, AnswerRIDs(nil))
	assert.Equal(t, &Simulcast{}, new(Simulcast).Answer())
}
