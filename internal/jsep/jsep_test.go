package jsep

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample reads one of the descriptions in testdata. They have the form that the
// peers of their names give them; what is random in them is made up.
func sample(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".sdp"))
	require.NoError(t, err)

	return string(text)
}

// samples reads all of them.
func samples(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "*.sdp"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	all := make(map[string]string, len(names))
	for _, name := range names {
		name = strings.TrimSuffix(filepath.Base(name), ".sdp")
		all[name] = sample(t, name)
	}

	return all
}

// parse reads a description that is good.
func parse(t testing.TB, text string) *Description {
	t.Helper()
	d, err := Parse(text)
	require.NoError(t, err)

	return d
}

func ptr[T any](v T) *T { return &v }

// ourLocal is what our side says in these tests.
func ourLocal() Local {
	return Local{
		SessionID: 4611686018427387904, Version: 2,
		Transport: Transport{
			UsernameFragment: "local", Password: "localpasswordlocalpassword", Trickle: true,
			Options:      []string{"renomination"},
			Fingerprints: []Fingerprint{{"sha-256", "AB:CD:EF"}, {"sha-512", "01:23"}},
			Candidates:   []string{"1 1 udp 2130706431 192.0.2.1 5000 typ host", "2 1 udp 1 192.0.2.2 5001 typ host"},
		},
		Data: Data{MaxMessageSize: ptr(uint64(262144)), Init: "AQAAHg=="},
	}
}

// mediaFor returns Media for every section that can be accepted.
func mediaFor(offer *Description) []Media {
	var media []Media
	for i := range offer.Sections {
		if s := &offer.Sections[i]; !s.IsData() && Acceptable(s) == nil {
			media = append(media, Media{
				MID: s.MID, Kind: s.Kind, Formats: s.Formats[:1], Attributes: s.Attributes,
				Direction: DirectionSendRecv,
			})
		}
	}

	return media
}

// same requires that a description means what its text says.
func same(t testing.TB, d *Description) {
	t.Helper()
	text := d.Format()
	read, err := Parse(text)
	require.NoError(t, err, text)
	require.Equal(t, d, read, text)
	require.Equal(t, text, read.Format())
}

func TestSamplesAreAnswered(t *testing.T) {
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			offer := parse(t, text)
			if name == "chrome-answer" {
				t.Skip("no offer")
			}
			require.NoError(t, CheckOffer(offer, nil))

			// As a side that knows data channels only.
			answer, err := Answer(ourLocal(), offer, SetupNone, true, nil)
			require.NoError(t, err)
			require.NoError(t, CheckAnswer(offer, answer))
			same(t, answer)
			live := 0
			for i := range answer.Sections {
				s := &answer.Sections[i]
				assert.Equal(t, offer.Sections[i].IsData(), s.IsData())
				assert.Equal(t, !s.IsData(), s.Rejected)
				if !s.Rejected {
					live++
				}
			}
			hasData := slices.ContainsFunc(offer.Sections, func(s Section) bool { return s.IsData() })
			assert.Equal(t, hasData, live == 1)

			// As a side that takes all that it can.
			answer, err = Answer(ourLocal(), offer, SetupPassive, true, mediaFor(offer))
			require.NoError(t, err)
			require.NoError(t, CheckAnswer(offer, answer))
			same(t, answer)
		})
	}
}

func TestSamplesSayTheSameAgain(t *testing.T) {
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			d := parse(t, text)
			for i := range d.Sections {
				if s := &d.Sections[i]; s.IsData() && s.Data.Port == 0 && !s.Rejected {
					s.Data.Port = portSCTP
				}
			}
			same(t, d)
		})
	}
}
