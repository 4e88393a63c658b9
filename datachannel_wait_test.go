package webrtc

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A sender that waits goes on when a sixteenth of the budget is free, and not
// before: what is on its way is nearly as much as the budget at any time.
func TestC1_WaitingSendersGoOnAtASixteenth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Slow, so that one packet after the other is acknowledged.
		const budget, size = 64 << 10, 1000
		settings := smallBuffers()
		settings.DataChannel.MaxBuffered = budget
		a, b, network := virtualPairWith(t, settings, settings, testnet.Delay(time.Millisecond), testnet.Bandwidth(1_000_000, 1<<20))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		to.OnMessage(func(DataChannelMessage) {})
		time.Sleep(time.Second) // what opened the channel is acknowledged
		ctx := limited(t, time.Minute)
		full := false
		for range 1000 {
			before := from.BufferedAmount()
			begin := time.Now()
			require.NoError(t, from.SendContext(ctx, make([]byte, size)))
			if time.Since(begin) == 0 {
				continue
			}
			full = true
			messages := (from.BufferedAmount() + size - 1) / size
			cost := from.BufferedAmount() + messages*messageOverhead
			require.Greater(t, before, uint64(budget)*size/(size+messageOverhead)-2*size, "it waited though there was room")
			require.LessOrEqual(t, cost, uint64(budget-budget/16+size+messageOverhead))
			require.Greater(t, cost, uint64(budget-budget/8))
		}
		require.True(t, full, "it never waited")
		stopped(t, network, a, b)
	})
}

// A message that is longer than what is free waits until it fits, or until half
// of the queue is empty; others are not held up by it.
func TestC1_LongMessageWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := smallBuffers()
		settings.SCTP.MaxReceiveBufferSize = 1 << 20
		settings.DataChannel.MaxBuffered = 64 << 10
		a, b, network := virtualPairWith(t, settings, settings, testnet.Delay(time.Millisecond), testnet.Bandwidth(1_000_000, 1<<20))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		to.OnMessage(func(DataChannelMessage) {})
		ctx := limited(t, time.Minute)
		for range 15 {
			require.NoError(t, from.SendContext(ctx, make([]byte, 4000)))
		}
		long := result(func() error { return from.SendContext(ctx, make([]byte, 200<<10)) })
		short := result(func() error { return from.SendContext(ctx, make([]byte, 4000)) })
		require.NoError(t, <-short)
		require.Empty(t, long, "it was taken though more than half was queued")
		require.NoError(t, <-long)
		require.LessOrEqual(t, from.BufferedAmount(), uint64(200<<10+32<<10))
		require.Greater(t, from.BufferedAmount(), uint64(200<<10+24<<10))
		stopped(t, network, a, b)
	})
}

// Send fails at what the messages cost, and takes as much again as has been
// acknowledged; that of a channel that has ended counts until then.
func TestC1_BudgetCountsMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		first, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		to.OnMessage(func(DataChannelMessage) {})
		second, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		time.Sleep(time.Second)
		const size, most = 100, 256 << 10 / (100 + messageOverhead)
		count := func(c *DataChannel) (n int) {
			for c.Send(make([]byte, size)) == nil {
				n++
			}

			return n
		}
		network.Cut(true)
		require.Equal(t, most, count(first))
		require.ErrorIs(t, second.Send(make([]byte, size)), ErrBufferFull)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, first.Shutdown(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, second.Send(make([]byte, size)), ErrBufferFull, "the association has those of the other channel still")
		network.Cut(false)
		time.Sleep(time.Minute)
		require.Equal(t, most, count(second))
		third, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, third.Send(nil))
		require.Len(t, a.sctp.budget.outlets, 2, "the first has left")
		stopped(t, network, a, b)
	})
}
