package webrtc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchPeers makes two connections on 127.0.0.1 of the same API.
func benchPeers(tb testing.TB, api *API) (a, b *PeerConnection) {
	tb.Helper()
	sides := make([]*PeerConnection, 0, 2)
	for range 2 {
		pc, err := api.NewPeerConnection(Configuration{})
		require.NoError(tb, err)
		sides = append(sides, pc)
	}

	return sides[0], sides[1]
}

// connectWithChannel negotiates and connects, and returns when a message has
// gone each way.
func connectWithChannel(tb testing.TB, a, b *PeerConnection) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	from, err := a.CreateDataChannel("bench", nil)
	require.NoError(tb, err)
	negotiate(tb, a, b)
	connectPeers(tb, a, b)
	to, err := b.SCTP().AcceptDataChannel(ctx)
	require.NoError(tb, err)
	exchange(tb, from, to)
}

// peersGone closes connections and waits until nothing of them runs any more.
func peersGone(tb testing.TB, sides ...*PeerConnection) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for _, pc := range sides {
		require.NoError(tb, pc.Close())
	}
	for _, pc := range sides {
		_ = pc.Run(ctx)
		require.NoError(tb, ctx.Err(), "something runs on")
	}
}

// BenchmarkPeerConnect is the time from an offer to a message each way between
// two connections on loopback. Making the certificates is not in it.
func BenchmarkPeerConnect(b *testing.B) {
	api := benchAPI()
	var times []time.Duration
	once := func() {
		one, two := benchPeers(b, api)
		begin := time.Now()
		connectWithChannel(b, one, two)
		times = append(times, time.Since(begin))
		peersGone(b, one, two)
	}
	for b.Loop() {
		once()
	}
	for len(times) < benchConnects {
		once()
	}
	reportTimes(b, times)
}

// BenchmarkPeerConnection is what a live connection holds, measured as
// BenchmarkConnection does. above is how much more that is than what the same
// transports hold when they are driven by hand.
func BenchmarkPeerConnection(b *testing.B) {
	api := benchAPI()
	byHand := func() (close func()) {
		stacks := make([]*stack, 0, 2*benchConnections)
		for range benchConnections {
			one, two := benchStackOn(b, ICERoleControlling, api), benchStackOn(b, ICERoleControlled, api)
			connect(b, one, two)
			benchChannel(b, one, two)
			stacks = append(stacks, one, two)
		}

		return func() { gone(b, stacks...) }
	}
	negotiated := func() (close func()) {
		sides := make([]*PeerConnection, 0, 2*benchConnections)
		for range benchConnections {
			one, two := benchPeers(b, api)
			connectWithChannel(b, one, two)
			sides = append(sides, one, two)
		}

		return func() { peersGone(b, sides...) }
	}
	weigh := func(live func() (close func())) (held, left footprint) {
		live()() // the runtime keeps what describes goroutines
		before := settled(footprint{})
		end := live()
		during := measure()
		end()
		after := settled(before)

		held = footprint{
			goroutines: during.goroutines - before.goroutines,
			heap:       during.heap - before.heap, stack: during.stack - min(during.stack, before.stack),
		}
		left = footprint{goroutines: after.goroutines - before.goroutines, heap: after.heap - min(after.heap, before.heap)}

		return held, left
	}
	const sides = 2 * benchConnections
	for b.Loop() {
		hand, _ := weigh(byHand)
		held, left := weigh(negotiated)
		b.ReportMetric(float64(held.goroutines)/sides, "goroutines/side")
		b.ReportMetric(kilobytes(held.heap, 0, sides), "heap-KB/side")
		b.ReportMetric(kilobytes(held.stack, 0, sides), "stack-KB/side")
		b.ReportMetric(float64(held.goroutines-hand.goroutines)/sides, "above-goroutines/side")
		b.ReportMetric(kilobytes(held.heap, hand.heap, sides), "above-heap-KB/side")
		b.ReportMetric(float64(left.goroutines), "left-goroutines")
		b.ReportMetric(kilobytes(left.heap, 0, 1), "left-KB")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPeerConnectBeside is what another connection costs, both sides of it,
// while others are live and idle: how many can be made in a second, one after
// the other, and the processor time of one.
func BenchmarkPeerConnectBeside(b *testing.B) {
	for _, live := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(live), func(b *testing.B) {
			api := benchAPI()
			var idle []*PeerConnection
			for range live {
				one, two := benchPeers(b, api)
				connectWithChannel(b, one, two)
				idle = append(idle, one, two)
			}
			cpu, known := processCPU()
			begin, made := time.Now(), 0
			another := func() {
				one, two := benchPeers(b, api)
				connectWithChannel(b, one, two)
				peersGone(b, one, two)
				made++
			}
			for b.Loop() {
				another()
			}
			for made < benchConnects {
				another()
			}
			elapsed := time.Since(begin)
			used, _ := processCPU()
			b.ReportMetric(float64(made)/elapsed.Seconds(), "connections/s")
			if known {
				b.ReportMetric(float64((used-cpu).Milliseconds())/float64(made), "cpu-ms/connection")
			}
			b.ReportMetric(0, "ns/op")
			peersGone(b, idle...)
		})
	}
}
