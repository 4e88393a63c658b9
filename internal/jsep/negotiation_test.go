package jsep

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Many offers and answers in a row, by either side: what is live stays where it
// is, and the transport that is in use stays in use.
func TestNegotiationsInARow(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		var previous []Section
		path := ""
		for range 12 {
			var media []Media
			for i := range previous {
				if s := &previous[i]; !s.IsData() && !s.Rejected && random.IntN(4) > 0 {
					media = append(media, Media{MID: s.MID, Kind: s.Kind, Formats: []string{"96"}})
				}
			}
			for range random.IntN(3) {
				kind := []string{KindAudio, KindVideo}[random.IntN(2)]
				media = append(media, Media{Kind: kind, Formats: []string{"96", "97"}})
			}
			data := random.IntN(2) == 0

			local := ourLocal()
			local.Tagged = path
			offer := Offer(local, previous, data, media)
			same(t, offer)
			require.NoError(t, CheckOffer(offer, previous))
			require.GreaterOrEqual(t, len(offer.Sections), len(previous))
			for i := range previous {
				if !previous[i].Rejected {
					require.Equal(t, previous[i].MID, offer.Sections[i].MID)
				}
			}
			if at, ok := indexOf(offer.Sections, path); ok && !offer.Sections[at].Rejected {
				_, mid, _, _ := offer.Path()
				require.Equal(t, path, mid)
				require.NotEmpty(t, offer.Sections[at].Transport.Candidates)
			}

			var accepted []Media
			for _, m := range mediaFor(offer) {
				if random.IntN(4) > 0 {
					accepted = append(accepted, m)
				}
			}
			answer, err := Answer(ourLocal(), offer, SetupNone, random.IntN(4) > 0, accepted)
			require.NoError(t, err)
			same(t, answer)
			require.NoError(t, CheckAnswer(offer, answer))
			_, path, _, _ = answer.Path()
			previous = answer.Sections
		}
		assert.NotEmpty(t, previous)
	}
}
