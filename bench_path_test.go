package webrtc

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// benchInBubble runs a part of a benchmark in virtual time. Bubbles are for
// tests, so a test is made for it.
func benchInBubble(b *testing.B, f func(t *testing.T)) {
	b.Helper()
	procs, ran := runtime.GOMAXPROCS(0), false
	ok := testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: b.Name(),
		F: func(t *testing.T) {
			if !ran { // it is called as often as -count and -cpu say, as the benchmark is
				ran = true
				runtime.GOMAXPROCS(procs)
				synctest.Test(t, f)
			}
		},
	}})
	runtime.GOMAXPROCS(procs)
	switch {
	case !ok:
		b.FailNow()
	case !ran:
		b.Skip("-skip skips all tests that benchmarks make")
	}
}

// route is a way between two hosts.
type route struct {
	delay     time.Duration // one way
	bandwidth int           // bits per second
	loss      float64
}

// network has a queue of one bandwidth-delay product at the bottleneck.
func (p route) network() []testnet.Option {
	product := float64(p.bandwidth) / 8 * 2 * p.delay.Seconds()
	options := []testnet.Option{testnet.Delay(p.delay), testnet.Bandwidth(p.bandwidth, int(product))}
	if p.loss > 0 {
		options = append(options, testnet.Loss(p.loss, 1))
	}

	return options
}

// use is what a route has carried in some time.
type use struct {
	received []int // bytes of messages, for each second
	link     testnet.LinkStats
}

// fill sends messages of 16 KiB on one channel of a new connection for so
// long, as fast as SendContext takes them.
func (p route) fill(t *testing.T, settings SettingEngine, params DataChannelParameters, duration time.Duration) (u use) {
	t.Helper()
	const size = 16 << 10
	a, b, network := virtualPairWith(t, settings, settings, p.network()...)
	connect(t, a, b)
	from, to := channelPair(t, a, b, params)
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	before, begin := network.Link(0), time.Now()
	sent := result(func() error {
		message := make([]byte, size)
		for {
			if err := from.SendContext(ctx, message); err != nil {
				return err
			}
		}
	})
	buf := make([]byte, size)
	u.received = make([]int, (duration+time.Second-1)/time.Second)
	for {
		n, _, err := to.ReadMessage(ctx, buf)
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)

			break
		}
		u.received[min(int(time.Since(begin)/time.Second), len(u.received)-1)] += n
	}
	require.ErrorIs(t, <-sent, context.DeadlineExceeded)
	u.link = network.Link(0)
	u.link.Carried -= before.Carried
	stopped(t, network, a, b)

	return u
}

// share is which part of a route's bits in some seconds the messages were.
func (p route) share(received []int) float64 {
	total := 0
	for _, n := range received {
		total += n
	}

	return float64(total) * 8 / float64(p.bandwidth) / float64(len(received))
}

// BenchmarkLongPath is one reliable, ordered channel for the first 10 seconds
// of a connection over a path of 50 ms each way at 100 Mbit/s, in virtual time:
// which share of the link messages have used, and all packets with their
// headers. The queue before the link holds one bandwidth-delay product.
func BenchmarkLongPath(b *testing.B) {
	const duration = 10 * time.Second
	for _, loss := range []float64{0, 0.01} {
		b.Run(fmt.Sprintf("loss=%g%%", loss*100), func(b *testing.B) {
			p := route{delay: 50 * time.Millisecond, bandwidth: 100_000_000, loss: loss}
			for b.Loop() {
				var u use
				benchInBubble(b, func(t *testing.T) {
					u = p.fill(t, SettingEngine{}, DataChannelParameters{Ordered: true}, duration)
				})
				b.ReportMetric(100*p.share(u.received), "%-of-link")
				b.ReportMetric(100*p.share(u.received[9:]), "%-in-last-second")
				b.ReportMetric(800*float64(u.link.Carried)/float64(p.bandwidth)/duration.Seconds(), "%-with-headers")
				b.ReportMetric(float64(u.link.Overflowed), "overflowed-packets")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
