package jsep

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckOffer(t *testing.T) {
	tests := []struct {
		name, previous, offer string
		change                func(d *Description)
		want                  error
	}{
		{"first", "", "audio:0 data:1", nil, nil},
		{"the same", "audio:0 data:1", "audio:0 data:1", nil, nil},
		{"one more", "audio:0 data:1", "audio:0 data:1 video:2", nil, nil},
		{"one ended", "audio:0 data:1", "-audio:0 data:1", nil, nil},
		{"all ended", "audio:0 data:1", "-audio:0 -data:1", nil, nil},
		{"a rejected one again", "-audio:0 data:1", "audio:0 data:1", nil, nil},
		{"a rejected one for another", "-audio:0 data:1", "video:2 data:1", nil, nil},
		{"one missing", "audio:0 data:1", "audio:0", nil, ErrSections},
		{"another order", "audio:0 data:1", "data:1 audio:0", nil, ErrSections},
		{"another mid", "audio:0 data:1", "audio:2 data:1", nil, ErrSections},
		{"another kind", "audio:0 data:1", "video:0 data:1", nil, ErrSections},
		{"data no more", "data:0", "data:0", func(d *Description) { d.Sections[0].Data = nil }, ErrSections},
		{"data ended", "data:0", "-data:0", func(d *Description) { d.Sections[0].Data = nil }, nil},
		{"no ufrag", "", "data:0", func(d *Description) { d.Sections[0].Transport.UsernameFragment = "" }, ErrNoICECredentials},
		{"no password", "", "data:0", func(d *Description) { d.Sections[0].Transport.Password = "" }, ErrNoICECredentials},
		{"no fingerprint", "", "data:0", func(d *Description) { d.Sections[0].Transport.Fingerprints = nil }, ErrNoFingerprint},
		{"role", "", "data:0", func(d *Description) { d.Sections[0].Transport.Setup = SetupHoldConn }, ErrSetup},
		{"no rtcp-mux", "", "audio:0", func(d *Description) { d.Sections[0].RTCPMux = false }, nil},
		{"not on the path", "", "data:0 audio:1", func(d *Description) { d.Sections[1].Transport = Transport{} }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			offer := offered("", test.offer)
			if test.change != nil {
				test.change(offer)
			}
			assert.ErrorIs(t, CheckOffer(offer, sections(test.previous)), test.want)
		})
	}
}

func TestAcceptable(t *testing.T) {
	for _, test := range []struct {
		outline string
		want    error
	}{
		{"data:0", nil},
		{"audio:0", nil},
		{"video:0", nil},
		{"image:0", ErrUnsupported},
		{"application:0", ErrUnsupported},
		{"-data:0", ErrRejected},
		{"-audio:0", ErrRejected},
	} {
		assert.ErrorIs(t, Acceptable(&sections(test.outline)[0]), test.want, test.outline)
	}
	s := sections("audio:0")[0]
	for _, protocol := range []string{
		"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/AVP",
	} {
		s.Protocol = protocol
		assert.NoError(t, Acceptable(&s), protocol)
	}
	s.RTCPMux = false
	assert.ErrorIs(t, Acceptable(&s), ErrRTCPMux)
	s.Protocol = "UDP/TLS/SAVPF"
	assert.ErrorIs(t, Acceptable(&s), ErrUnsupported)
}

func TestCheckAnswer(t *testing.T) {
	at := func(index int, change func(s *Section)) func(d *Description) {
		return func(d *Description) { change(&d.Sections[index]) }
	}
	tests := []struct {
		name, bundle, offer string
		change              func(answer *Description)
		want                error
	}{
		{"good", "0 1 2", "audio:0 video:1 data:2", nil, nil},
		{"good without a bundle", "", "data:0", nil, nil},
		{"a section less", "0 1", "audio:0 data:1", func(d *Description) { d.Sections = d.Sections[:1] }, ErrSections},
		{"another mid", "0", "data:0", at(0, func(s *Section) { s.MID = "1" }), ErrSections},
		{"another kind", "0", "audio:0", at(0, func(s *Section) { s.Kind = KindVideo }), ErrSections},
		{"no data", "0", "data:0", at(0, func(s *Section) { s.Data = nil }), ErrSections},
		{"no data, rejected", "0", "data:0", at(0, func(s *Section) { s.Data, s.Rejected = nil, true }), nil},
		{"order", "0 1", "audio:0 data:1", func(d *Description) {
			d.Sections[0], d.Sections[1] = d.Sections[1], d.Sections[0]
		}, ErrSections},
		{"accepted after all", "1", "-audio:0 data:1", at(0, func(s *Section) { s.Rejected = false }), ErrRejected},
		{"bundle-only", "0", "data:0", at(0, func(s *Section) { s.BundleOnly = true }), ErrBundle},
		{"a bundle of its own", "", "data:0", func(d *Description) { d.Bundle = []string{"0"} }, ErrBundle},
		{"no bundle", "0 1", "audio:0 data:1", func(d *Description) { d.Bundle = nil }, ErrBundle},
		{"one not bundled", "0 1", "audio:0 data:1", func(d *Description) { d.Bundle = []string{"1"} }, ErrBundle},
		{"rejected ones in the bundle", "0 1", "audio:0 data:1", at(0, func(s *Section) { s.Rejected = true }), nil},
		{"no rtcp-mux", "0", "audio:0", at(0, func(s *Section) { s.RTCPMux = false }), ErrRTCPMux},
		{"no credentials", "0", "data:0", at(0, func(s *Section) { s.Transport.Password = "" }), ErrNoICECredentials},
		{"no fingerprint", "0", "data:0", at(0, func(s *Section) { s.Transport.Fingerprints = nil }), ErrNoFingerprint},
		{"credentials once", "0 1", "audio:0 data:1", at(1, func(s *Section) { s.Transport = Transport{} }), nil},
		{"no role", "0", "data:0", at(0, func(s *Section) { s.Transport.Setup = SetupNone }), nil},
		{"active", "0", "data:0", at(0, func(s *Section) { s.Transport.Setup = SetupActive }), nil},
		{"passive", "0", "data:0", at(0, func(s *Section) { s.Transport.Setup = SetupPassive }), nil},
		{"actpass", "0", "data:0", at(0, func(s *Section) { s.Transport.Setup = SetupActPass }), ErrSetup},
		{"holdconn", "0", "data:0", at(0, func(s *Section) { s.Transport.Setup = SetupHoldConn }), ErrSetup},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			offer := offered(test.bundle, test.offer)
			answer, err := Answer(ourLocal(), offer, SetupNone, true, mediaFor(offer))
			require.NoError(t, err)
			require.NoError(t, CheckAnswer(offer, answer))
			if test.change != nil {
				test.change(answer)
			}
			assert.ErrorIs(t, CheckAnswer(offer, answer), test.want)
		})
	}
}

func TestCheckAnswerRoles(t *testing.T) {
	for _, test := range []struct {
		offered, answered Setup
		good              bool
	}{
		{SetupActive, SetupPassive, true},
		{SetupActive, SetupActive, false},
		{SetupActive, SetupNone, false},
		{SetupPassive, SetupActive, true},
		{SetupPassive, SetupNone, true},
		{SetupPassive, SetupPassive, false},
		{SetupNone, SetupPassive, true},
		{SetupHoldConn, SetupPassive, false},
	} {
		offer, answer := offered("0", "data:0"), offered("0", "data:0")
		offer.Sections[0].Transport.Setup = test.offered
		answer.Sections[0].Transport.Setup = test.answered
		err := CheckAnswer(offer, answer)
		if test.good {
			assert.NoError(t, err, "%v %v", test.offered, test.answered)
		} else {
			assert.ErrorIs(t, err, ErrSetup, "%v %v", test.offered, test.answered)
		}
	}
}

// The answers of peers to an offer of ours.
func TestAnswersOfPeers(t *testing.T) {
	offer := Offer(ourLocal(), nil, true, nil)
	answer := parse(t, sample(t, "chrome-answer"))
	require.NoError(t, CheckAnswer(offer, answer))
	path, mid, index, ok := answer.Path()
	assert.True(t, ok)
	assert.Equal(t, "0", mid)
	assert.Zero(t, index)
	assert.Equal(t, "Qm2s", path.UsernameFragment)
	assert.Equal(t, SetupActive, path.Setup)
}

func TestPath(t *testing.T) {
	tests := []struct {
		name, bundle, outline string
		change                func(d *Description)
		mid, ufrag            string
	}{
		{"no section", "", "", nil, "", ""},
		{"no live section", "", "-audio:0 -data:1", nil, "", ""},
		{"no bundle", "", "-audio:0 data:1", nil, "1", "remote1"},
		{"tagged", "1 0", "audio:0 data:1", nil, "1", "remote1"},
		{"tagged is rejected", "0 2 1", "-audio:0 data:1 video:2", nil, "2", "remote2"},
		{"the bundle is rejected", "0", "-audio:0 data:1", nil, "1", "remote1"},
		{
			"bundle-only", "0 1", "-audio:0 data:1",
			func(d *Description) {
				d.Sections[0].Transport = Transport{UsernameFragment: "tagged", Password: "tagged"}
				d.Sections[1].Transport = Transport{}
			}, "1", "tagged",
		},
		{
			"not bundled and without credentials", "0", "-audio:0 data:1",
			func(d *Description) { d.Sections[1].Transport = Transport{} }, "1", "",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := offered(test.bundle, test.outline)
			if test.change != nil {
				test.change(d)
			}
			path, mid, index, ok := d.Path()
			assert.Equal(t, test.mid != "", ok)
			assert.Equal(t, test.mid, mid)
			assert.Equal(t, test.ufrag, path.UsernameFragment)
			if ok {
				assert.Equal(t, test.mid, d.Sections[index].MID)
			}
		})
	}
}

// An answerer that has refused the tagged section finds the transport of a
// bundle-only one there.
func TestAnsweredPathOfBundleOnly(t *testing.T) {
	offer := parse(t, sample(t, "chrome-max-bundle"))
	answer, err := Answer(ourLocal(), offer, SetupNone, true, nil)
	require.NoError(t, err)
	path, mid, index, ok := AnsweredPath(offer, answer)
	assert.True(t, ok)
	assert.Equal(t, "2", mid)
	assert.Equal(t, 2, index)
	assert.Equal(t, "Kx7e", path.UsernameFragment)
	_, _, _, ok = AnsweredPath(&Description{}, answer)
	assert.False(t, ok)
}

func TestTexts(t *testing.T) {
	for name, d := range map[string]Direction{
		"sendrecv": DirectionSendRecv, "sendonly": DirectionSendOnly,
		"recvonly": DirectionRecvOnly, "inactive": DirectionInactive,
	} {
		assert.Equal(t, name, d.String())
		named, ok := directionNamed(name)
		assert.True(t, ok)
		assert.Equal(t, d, named)
		assert.Equal(t, d, d.Reverse().Reverse())
		assert.Equal(t, d.Sends(), d.Reverse().Receives())
	}
	for name, s := range map[string]Setup{
		"actpass": SetupActPass, "active": SetupActive, "passive": SetupPassive, "holdconn": SetupHoldConn,
	} {
		assert.Equal(t, name, s.String())
		assert.Equal(t, s, setupNamed(name))
	}
	_, ok := directionNamed("sideways")
	assert.False(t, ok)
	assert.Equal(t, SetupNone, setupNamed("sideways"))
	assert.Equal(t, "", SetupNone.String())
	assert.Equal(t, "unknown", Direction(-1).String())
	assert.Equal(t, "unknown", Direction(4).String())
	assert.Equal(t, "", Setup(-1).String())
	assert.Equal(t, "", Setup(5).String())
}
