package webrtc

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkIdleChannels is what each of 1,000 more channels costs each side
// while nothing happens on it: one that has carried nothing yet, and one that
// has carried a message each way. The aim is 4 KB and no goroutine.
func BenchmarkIdleChannels(b *testing.B) {
	const channels = 1000
	for _, used := range []bool{false, true} {
		name := "new"
		if used {
			name = "used"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				one, two := benchPair(b)
				connect(b, one, two)
				benchChannel(b, one, two)
				before := measure()
				for range channels {
					from, to := channelPair(b, one, two, DataChannelParameters{Ordered: true})
					if used {
						exchange(b, from, to)
					}
				}
				during := settled(before) // OnOpen and others may still run
				gone(b, one, two)
				const sides = 2 * channels
				heap, stack := kilobytes(during.heap, before.heap, sides), kilobytes(during.stack, before.stack, sides)
				b.ReportMetric(float64(during.goroutines-before.goroutines)/sides, "goroutines/channel")
				b.ReportMetric(heap, "heap-KB/channel")
				b.ReportMetric(stack, "stack-KB/channel")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// benchCycles is how often a channel is opened and closed: more often than
// there are stream ids of a parity, so that all are used again.
const benchCycles = 100_000

// BenchmarkChannelCycles opens a channel, waits until the other side has
// accepted it, closes it, waits until both have seen that, and begins again,
// 100,000 times on one association (1,000 with -short), whatever -benchtime
// says: the time for all, and what has grown, also in the second half alone,
// in which every id has been used before.
func BenchmarkChannelCycles(b *testing.B) {
	cycles := benchCycles
	if testing.Short() {
		cycles /= 100
	}
	for b.Loop() {
		one, two := benchPair(b)
		connect(b, one, two)
		repeat := func(times int) {
			for range times {
				cycleChannel(b, one, two)
			}
		}
		repeat(100)
		before := settled(footprint{})
		begin := time.Now()
		repeat(cycles / 2)
		halfTime := time.Since(begin)
		half := settled(before)
		begin = time.Now()
		repeat(cycles - cycles/2)
		elapsed := halfTime + time.Since(begin)
		after := settled(before)
		gone(b, one, two)
		b.ReportMetric(float64(cycles), "cycles")
		b.ReportMetric(elapsed.Seconds(), "s")
		b.ReportMetric(float64(elapsed.Microseconds())/float64(cycles), "us/cycle")
		b.ReportMetric(kilobytes(after.heap, before.heap, 1), "grown-KB")
		b.ReportMetric(kilobytes(after.heap, half.heap, 1), "grown-2nd-half-KB")
		b.ReportMetric(float64(after.goroutines-before.goroutines), "left-goroutines")
	}
	b.ReportMetric(0, "ns/op")
}

// cycleChannel opens a channel and closes it, seen by both sides.
func cycleChannel(b *testing.B, one, two *stack) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	from, err := one.sctp.OpenDataChannel(ctx, &DataChannelParameters{Ordered: true})
	require.NoError(b, err)
	to, err := two.sctp.AcceptDataChannel(ctx)
	require.NoError(b, err)
	require.NoError(b, from.Close())
	for _, c := range []*DataChannel{from, to} {
		select {
		case <-c.Context().Done():
		case <-ctx.Done():
			b.Fatal("a channel that one side has closed stays")
		}
	}
}
