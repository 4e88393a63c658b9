package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How many cases a benchmark takes at least, whatever -benchtime says: fewer
// give no percentile.
const (
	benchConnects    = 200
	benchConnections = 200
	benchCancels     = 1000
)

// benchStack makes one side on 127.0.0.1 that stops when the benchmark says,
// not at its end. It has one host candidate.
func benchStack(tb testing.TB, role ICERole) *stack {
	tb.Helper()

	return benchStackOn(tb, role, benchAPI())
}

// benchAPI is for one host candidate each, on 127.0.0.1.
func benchAPI() *API {
	settings := onLoopback(SettingEngine{LoggerFactory: quietLogs})
	settings.SetNetworkTypes([]NetworkType{NetworkTypeUDP4})

	return NewAPI(WithSettingEngine(settings))
}

func benchStackOn(tb testing.TB, role ICERole, api *API) *stack {
	tb.Helper()
	s := &stack{api: api, role: role}
	var err error
	s.gatherer, err = api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(tb, err)
	s.ice = api.NewICETransport(s.gatherer)
	s.dtls, err = api.NewDTLSTransport(s.ice, nil)
	require.NoError(tb, err)
	s.sctp = api.NewSCTPTransport(s.dtls)

	return s
}

func benchPair(tb testing.TB) (a, b *stack) {
	tb.Helper()

	return benchStack(tb, ICERoleControlling), benchStack(tb, ICERoleControlled)
}

// gone stops the stacks and waits until nothing of them runs any more.
func gone(tb testing.TB, stacks ...*stack) {
	tb.Helper()
	for _, s := range stacks {
		require.NoError(tb, s.ice.Stop())
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for _, s := range stacks {
		_ = s.ice.Run(ctx) // a cancelled start is told here too
		require.NoError(tb, ctx.Err(), "something runs on")
	}
}

// reportTimes reports quantiles in milliseconds in place of the mean.
func reportTimes(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	for name, quantile := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "max-ms": 1} {
		at := times[int(quantile*float64(len(times)-1))]
		b.ReportMetric(float64(at)/float64(time.Millisecond), name)
	}
	b.ReportMetric(float64(len(times)), "cases")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkConnect is the time from the first candidate to two connected
// stacks and an acknowledged channel, on loopback. Making the certificates and
// agents is not in it.
func BenchmarkConnect(b *testing.B) {
	var times []time.Duration
	connectOnce := func() {
		one, two := benchPair(b)
		begin := time.Now()
		connect(b, one, two)
		channelPair(b, one, two, DataChannelParameters{Ordered: true})
		times = append(times, time.Since(begin))
		gone(b, one, two)
	}
	for b.Loop() {
		connectOnce()
	}
	for len(times) < benchConnects {
		connectOnce()
	}
	reportTimes(b, times)
}

// footprint is what the process holds.
type footprint struct {
	goroutines                    int
	fresh, heap, heapInuse, stack uint64
}

// measure takes the footprint. fresh is the heap before what is garbage went.
func measure() (f footprint) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.fresh = m.HeapAlloc
	for range 3 { // pools are emptied at the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f.heap, f.heapInuse, f.stack = m.HeapAlloc, m.HeapInuse, m.StackInuse
	f.goroutines = runtime.NumGoroutine()

	return f
}

func kilobytes(after, before uint64, share int) float64 {
	return (float64(after) - float64(before)) / 1024 / float64(share)
}

// settled takes the footprint when there are no more goroutines than before,
// or a second has not been enough for that.
func settled(before footprint) footprint {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if runtime.NumGoroutine() <= before.goroutines {
			break
		}
	}

	return measure()
}

// BenchmarkConnection is what one side of a live connection holds: a host
// candidate, no mDNS, one open channel on which a message has gone each way,
// and no traffic. left is what is there when all have been closed.
func BenchmarkConnection(b *testing.B) {
	api := benchAPI()
	live := func() []*stack {
		stacks := make([]*stack, 0, 2*benchConnections)
		for range benchConnections {
			one, two := benchStackOn(b, ICERoleControlling, api), benchStackOn(b, ICERoleControlled, api)
			connect(b, one, two)
			benchChannel(b, one, two)
			stacks = append(stacks, one, two)
		}

		return stacks
	}
	for b.Loop() {
		gone(b, live()...) // the runtime keeps what describes goroutines
		before := settled(footprint{})
		stacks := live()
		during := measure()
		sides := len(stacks)
		gone(b, stacks...)
		clear(stacks)
		after := settled(before)

		b.ReportMetric(float64(during.goroutines-before.goroutines)/float64(sides), "goroutines/side")
		b.ReportMetric(kilobytes(during.heap, before.heap, sides), "heap-KB/side")
		b.ReportMetric(kilobytes(during.fresh, before.heap, sides), "heap-before-GC-KB/side")
		b.ReportMetric(kilobytes(during.heapInuse, before.heapInuse, sides), "heap-inuse-KB/side")
		b.ReportMetric(kilobytes(during.stack, before.stack, sides), "stack-KB/side")
		b.ReportMetric(float64(after.goroutines-before.goroutines), "left-goroutines")
		b.ReportMetric(kilobytes(after.heap, before.heap, 1), "left-KB")
	}
	b.ReportMetric(0, "ns/op")
}

// benchChannel opens a channel and sends a message each way.
func benchChannel(tb testing.TB, one, two *stack) (from, to *DataChannel) {
	tb.Helper()
	from, to = channelPair(tb, one, two, DataChannelParameters{Ordered: true})
	exchange(tb, from, to)

	return from, to
}

// BenchmarkCancel is the time from the end of a start's context to its
// return, against a peer that is silent at that stage, on sockets.
func BenchmarkCancel(b *testing.B) {
	for i, st := range stages {
		b.Run(st.name, func(b *testing.B) {
			times := make([]time.Duration, 0, benchCancels)
			for b.Loop() {
				times = append(times, cancelled(b, i))
			}
			for len(times) < benchCancels {
				times = append(times, cancelled(b, i))
			}
			reportTimes(b, times)
		})
	}
}

// cancelled starts the stage while the peer does not, and cancels it while it
// waits, at any phase of its retransmissions.
func cancelled(b *testing.B, stage int) time.Duration {
	b.Helper()
	one, two := benchPair(b)
	connectBelow(b, one, two, stage)
	start := stages[stage].prepare(one, two)
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	var returned time.Time
	go func() {
		err := start(ctx)
		returned = time.Now()
		done <- err
	}()
	time.Sleep(time.Millisecond + rand.N(4*time.Millisecond)) // this is a measurement, and waits for nothing
	begin := time.Now()
	cancel(errSwept)
	err := <-done
	requireEnded(b, stages[stage], one, ctx, err)
	gone(b, one, two)

	return returned.Sub(begin)
}

func sizeName(size int) string { return fmt.Sprintf("%dKiB", size>>10) }

func benchChannels(b *testing.B) (from, to *DataChannel, over func()) {
	b.Helper()
	one, two := benchPair(b)
	connect(b, one, two)
	from, to = benchChannel(b, one, two)

	return from, to, func() { gone(b, one, two) }
}

// allocated is what the process had allocated at some time.
type allocated struct{ bytes, count uint64 }

func allocations() allocated {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return allocated{m.TotalAlloc, m.Mallocs}
}
