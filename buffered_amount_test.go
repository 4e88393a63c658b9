package webrtc

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC9_TheLowEvent comes when the amount falls from above the threshold to it
// or below, and at no other time: not when the threshold is raised to the
// amount, nor for what is sent while the amount stays at or below it. A
// threshold that is changed while something is queued counts from then on.
// https://www.w3.org/TR/webrtc/#dom-rtcdatachannel-bufferedamountlowthreshold
func TestC9_TheLowEvent(t *testing.T) {
	const second = time.Second
	for _, row := range []struct {
		name string
		do   func(t *testing.T, c *DataChannel, send func(n int), drain func())
		want int
		at   uint64 // the threshold in the event
	}{
		{"threshold 0, one message", func(_ *testing.T, _ *DataChannel, send func(int), drain func()) {
			send(1)
			drain()
		}, 1, 0},
		{"three messages at once", func(_ *testing.T, _ *DataChannel, send func(int), drain func()) {
			send(1000)
			send(1000)
			send(1000)
			drain()
		}, 1, 0},
		{"three messages one after the other", func(_ *testing.T, _ *DataChannel, send func(int), drain func()) {
			for range 3 {
				send(1000)
				drain()
			}
		}, 3, 0},
		{"as much as the threshold", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			c.SetBufferedAmountLowThreshold(3000)
			send(1000)
			send(2000)
			drain()
		}, 0, 3000},
		{"a byte above the threshold", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			c.SetBufferedAmountLowThreshold(3000)
			send(1000)
			send(2001)
			drain()
		}, 1, 3000},
		{"raised above the amount", func(t *testing.T, c *DataChannel, send func(int), drain func()) {
			send(10_000)
			c.SetBufferedAmountLowThreshold(20_000)
			synctest.Wait()
			require.NotZero(t, c.BufferedAmount())
			drain()
		}, 0, 20_000},
		{"raised above the amount, then more", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			send(10_000)
			c.SetBufferedAmountLowThreshold(20_000)
			send(20_000)
			drain()
		}, 1, 20_000},
		{"lowered below the amount", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			c.SetBufferedAmountLowThreshold(50_000)
			send(20_000)
			c.SetBufferedAmountLowThreshold(5000)
			drain()
		}, 1, 5000},
		{"lowered to 0", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			c.SetBufferedAmountLowThreshold(50_000)
			send(20_000)
			c.SetBufferedAmountLowThreshold(0)
			drain()
		}, 1, 0},
		{"lowered and raised again", func(_ *testing.T, c *DataChannel, send func(int), drain func()) {
			c.SetBufferedAmountLowThreshold(50_000)
			send(20_000)
			c.SetBufferedAmountLowThreshold(0)
			c.SetBufferedAmountLowThreshold(50_000)
			drain()
		}, 0, 50_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPair(t, testnet.Delay(pathDelay), testnet.Bandwidth(10_000_000, 100_000))
				c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Ordered: true})
				require.NoError(t, err)
				var events atomic.Int32
				c.OnBufferedAmountLow(func() {
					if c.BufferedAmount() > row.at {
						t.Errorf("%d bytes are no low amount", c.BufferedAmount())
					}
					events.Add(1)
				})
				connect(t, a, b)
				_, err = b.sctp.AcceptDataChannel(limited(t, testTimeout))
				require.NoError(t, err)
				time.Sleep(second)
				require.Zero(t, c.BufferedAmount())
				require.Zero(t, events.Load(), "what opens the channel is no message")
				row.do(t, c, func(n int) {
					before := c.BufferedAmount()
					require.NoError(t, c.Send(make([]byte, n)))
					require.Equal(t, before+uint64(n), c.BufferedAmount())
				}, func() {
					time.Sleep(second)
					require.Zero(t, c.BufferedAmount())
				})
				synctest.Wait()
				require.EqualValues(t, row.want, events.Load())
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC9_TheThresholdOfAnEarlyChannel holds when it opens; the event comes once
// for each channel that falls, and to that alone.
func TestC9_TheThresholdOfAnEarlyChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(pathDelay))
		var events [3]atomic.Int32
		var channels []*DataChannel
		for i := range events {
			c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: fmt.Sprint(i), Ordered: true})
			require.NoError(t, err)
			c.SetBufferedAmountLowThreshold(uint64(10_000 * i))
			c.OnBufferedAmountLow(func() { events[i].Add(1) })
			channels = append(channels, c)
		}
		connect(t, a, b)
		time.Sleep(time.Second)
		for i, c := range channels {
			require.EqualValues(t, 10_000*i, c.BufferedAmountLowThreshold())
			require.NoError(t, c.Send(make([]byte, 15_000)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []int32{1, 1, 0}, []int32{events[0].Load(), events[1].Load(), events[2].Load()})
		stopped(t, network, a, b)
	})
}
