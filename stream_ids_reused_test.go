package webrtc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// leaveFresh makes all but so many ids of the own parity look used, so that a
// test comes to the end of them.
func (s *streamTable) leaveFresh(ids int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := uint32(maxStreamID)
	if !s.ours(maxStreamID) {
		first--
	}
	s.next = first - 2*uint32(ids-1) //nolint:gosec // small
}

// idOrder is the order in which one side has to take its ids: those that were
// never used upwards, then those that came back, oldest first.
type idOrder struct{ free []uint16 }

func (o *idOrder) take() uint16 {
	id := o.free[0]
	o.free = o.free[1:]

	return id
}

func (o *idOrder) giveBack(id uint16) { o.free = append(o.free, id) }

// TestS4_IDsAreReused: channels that both sides open and close, in any order,
// at a table of 64 channels and as few ids. All cycles of the requirement take
// too long for a test; BenchmarkChannelCycles does them.
func TestS4_IDsAreReused(t *testing.T) {
	const table, kept = 64, 20 // channels; how many of a side are open at most
	cycles := 5000
	if raceEnabled {
		cycles = 300
	}
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.MaxChannels = table
		a, b, network := connectedPair(t, settings, settings)
		type opened struct{ from, to *DataChannel }
		sides := [2]*stack{a, b}
		var orders [2]idOrder
		var open [2][]opened
		for i, s := range sides {
			const fresh = table / 2
			s.sctp.streams.leaveFresh(fresh)
			first := maxStreamID - 2*(fresh-1)
			if !s.dtls.isClient() {
				first--
			}
			for j := range fresh {
				orders[i].giveBack(uint16(first + 2*j)) //nolint:gosec // at most maxStreamID
			}
		}
		random := rand.New(rand.NewPCG(1, 1))
		uses := map[uint16]int{}
		closeOne := func(side int) {
			i := random.IntN(len(open[side]))
			c := open[side][i]
			open[side] = slices.Delete(open[side], i, i+1)
			first, second := c.from, c.to
			if random.IntN(2) == 0 {
				first, second = second, first
			}
			require.NoError(t, first.Close())
			awaitChannel(t, first, DataChannelStateClosed)
			awaitChannel(t, second, DataChannelStateClosed)
			time.Sleep(time.Second) // the peer answers the reset
			synctest.Wait()
			orders[side].giveBack(*c.from.ID())
		}
		for i := range cycles {
			side := random.IntN(2)
			if len(open[side]) == kept {
				closeOne(side)
			}
			label := fmt.Sprint(i)
			from, to := channelPair(t, sides[side], sides[1-side], DataChannelParameters{Label: label})
			require.Equal(t, label, to.Label())
			want := orders[side].take()
			require.Equal(t, want, *from.ID(), "cycle %d", i)
			require.Equal(t, want, *to.ID())
			uses[want]++
			open[side] = append(open[side], opened{from, to})
			if i%16 == 0 { // an old channel, and a new id, still work
				exchange(t, open[side][0].from, open[side][0].to)
				exchange(t, from, to)
			}
			for len(open[side]) > 0 && random.IntN(2) == 0 {
				closeOne(side)
			}
		}
		require.Len(t, uses, table, "not all ids were used")
		for id, n := range uses {
			require.Greater(t, n, 1, "id %d was not used again", id)
		}
		for _, s := range sides {
			count, ids := s.sctp.streams.places()
			require.Equal(t, len(open[0])+len(open[1]), count)
			require.Equal(t, count, ids)
		}
		stopped(t, network, a, b)
	})
}
