package webrtc

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchRoundTrips is how many round trips are timed at least, whatever
// -benchtime says: fewer give no 99th percentile.
const benchRoundTrips = 2000

// cost is what the process has used: both sides together.
type cost struct {
	allocated
	cpu   time.Duration
	known bool // whether the system tells the processor time
}

func spent() cost {
	c := cost{allocated: allocations()}
	c.cpu, c.known = processCPU()

	return c
}

// reportFor reports the cost since then of so many bytes of messages.
func (c cost) reportFor(b *testing.B, bytes int64) {
	b.Helper()
	now := spent()
	b.ReportMetric(float64(now.count-c.count)/(float64(bytes)/1e6), "allocs/MB")
	b.ReportMetric(float64(now.bytes-c.bytes)/float64(bytes), "allocated-B/B")
	if c.known && now.known {
		b.ReportMetric((now.cpu-c.cpu).Seconds()/(float64(bytes)/1e9), "cpu-s/GB")
	}
}

// BenchmarkChannelThroughput is one reliable, ordered channel on loopback, from
// SendContext to ReadMessage, as fast as it goes. MB and GB are 10^6 and 10^9
// bytes of messages. The processor time, user and system, and the allocations
// are those of both sides together; each byte is encrypted, sent through the
// kernel, and decrypted.
func BenchmarkChannelThroughput(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		b.Run(sizeName(size), func(b *testing.B) {
			from, to, over := benchChannels(b)
			defer over()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.SetBytes(int64(size))
			message := make([]byte, size)
			before := spent()
			b.ResetTimer()
			received := result(func() error {
				buf := make([]byte, size)
				for range b.N {
					if _, _, err := to.ReadMessage(ctx, buf); err != nil {
						return err
					}
				}

				return nil
			})
			for range b.N {
				if err := from.SendContext(ctx, message); err != nil { // require costs as much as a message
					b.Fatal(err)
				}
			}
			require.NoError(b, <-received)
			b.StopTimer()
			before.reportFor(b, int64(b.N)*int64(size))
		})
	}
}

// BenchmarkMessageRoundTrip is 64 bytes there and back on loopback, one at a
// time: quantiles over all round trips.
func BenchmarkMessageRoundTrip(b *testing.B) {
	const size = 64
	from, to, over := benchChannels(b)
	defer over()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	echo := result(func() error {
		buf := make([]byte, size)
		for {
			n, _, err := to.ReadMessage(ctx, buf)
			if err == nil {
				err = to.SendContext(ctx, buf[:n])
			}
			if err != nil {
				return err
			}
		}
	})
	message, buf := make([]byte, size), make([]byte, size)
	times := make([]time.Duration, 0, 1<<16)
	roundTrip := func() {
		begin := time.Now()
		err := from.SendContext(ctx, message)
		if err == nil {
			_, _, err = from.ReadMessage(ctx, buf)
		}
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begin))
	}
	for range 100 { // buffers and windows have grown then
		roundTrip()
	}
	times = times[:0]
	for b.Loop() {
		roundTrip()
	}
	for len(times) < benchRoundTrips {
		roundTrip()
	}
	slices.Sort(times)
	for name, quantile := range map[string]float64{"p50-us": 0.5, "p99-us": 0.99, "max-us": 1} {
		at := times[int(quantile*float64(len(times)-1))]
		b.ReportMetric(float64(at)/float64(time.Microsecond), name)
	}
	b.ReportMetric(0, "ns/op")
	cancel()
	require.ErrorIs(b, <-echo, context.Canceled)
}
