package srtpsession

import (
	"math/rand/v2"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsedNumbers(t *testing.T) {
	u := new(used)
	one, two := []byte("one"), []byte("two")
	for _, step := range []struct {
		number uint16
		packet []byte
		want   bool
	}{
		{65530, one, true},
		{65530, one, true},  // sent again
		{65530, two, false}, // another one
		{65529, two, true},  // late
		{65529, one, false},
		{3, two, true}, // the numbers have turned over
		{65531, one, true},
		{65531, two, false},
		{3 + window, one, true},
		{3, two, false}, // too far back
		{4, two, true},
		{4 + window, two, true}, // its place is that of 4
		{4 + window, one, false},
		{3 + 9*window, one, true},
		{2 + 9*window, two, true},
		{3 + 9*window, two, false},
	} {
		assert.Equal(t, step.want, u.admit(step.number, step.packet), "%d %s", step.number, step.packet)
	}
}

// Whatever is sent, no two packets with one number within the window are admitted.
func TestUsedNumbersAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		u, sent := new(used), map[int]byte{}
		at := 40000
		for range 5000 {
			number := at - random.IntN(40) + random.IntN(60)
			content := byte(random.IntN(3))
			before, known := sent[number]
			if u.admit(uint16(number), []byte{content}) {
				require.True(t, !known || before == content, "seed %d: %d", seed, number)
				sent[number] = content
			}
			at = max(at, number)
		}
	}
}

// An SSRC that a second sender gets goes on with the same keys: what the first has
// sent with a number stays the only packet that has it.
func TestNumbersStayUsedWhenTheSSRCIsFreeAgain(t *testing.T) {
	for name, profile := range profiles {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t, profile, defaults())
			header := &rtp.Header{Version: 2, SSRC: 7, SequenceNumber: 100}
			a.Guard(7)
			_, err := a.WriteRTP(header, []byte{1, 1, 1, 1})
			require.NoError(t, err)
			a.Unguard(7)
			a.Guard(7)
			_, err = a.WriteRTP(header, []byte{2, 2, 2, 2})
			require.ErrorIs(t, err, ErrNumberUsed)
		})
	}
}
