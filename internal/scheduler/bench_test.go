package scheduler

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/require"
)

// moduleScheduler makes the weighted fair queueing of pion/sctp, which an
// association alone can make otherwise.
func moduleScheduler(b *testing.B) sctp.InterleavingStreamScheduler {
	b.Helper()
	option := reflect.ValueOf(sctp.WithInterleavingWeightedFairQueueingScheduler())
	settings := reflect.New(option.Type().In(0).Elem())
	require.True(b, option.Call([]reflect.Value{settings})[0].IsNil())
	factory := settings.Elem().FieldByName("newStreamScheduler").Addr().UnsafePointer()

	return (*(*sctp.InterleavingStreamSchedulerFactory)(factory))()
}

// collector is a scheduler that never has anything to send, and so keeps the
// chunks of an association.
type collector struct{ chunks []sctp.StreamSchedulerChunk }

func (c *collector) Reset()                                    {}
func (c *collector) Push(chunk sctp.StreamSchedulerChunk)      { c.chunks = append(c.chunks, chunk) }
func (c *collector) Peek() sctp.StreamSchedulerChunk           { return nil }
func (c *collector) Pop(chunk sctp.StreamSchedulerChunk) error { return nil }

// chunksOf returns real chunks, which the module's scheduler needs, a few of
// every stream.
func chunksOf(b *testing.B, streams int) []sctp.StreamSchedulerChunk {
	b.Helper()
	c := &collector{}
	near, far, _ := associate(b, sctp.WithInterleavingOptions(sctp.WithInterleavingStreamSchedulerFactory(
		func() sctp.InterleavingStreamScheduler { return c })))
	for range 4 {
		for id := range uint16(streams) {
			stream, err := near.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
			if err == nil {
				_, err = stream.WriteSCTP(make([]byte, 1000), sctp.PayloadTypeWebRTCBinary)
			}
			require.NoError(b, err)
		}
	}
	require.NoError(b, near.Close())
	require.NoError(b, far.Close())

	return c.chunks
}

// BenchmarkChunk is what the scheduling of one chunk costs while so many
// streams have data: one chunk out, one in. The ratio is the module's time by
// ours, in one run.
func BenchmarkChunk(b *testing.B) {
	for _, streams := range []int{1, 16, 128, 1024} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			chunks := chunksOf(b, streams)
			took := map[string]time.Duration{}
			for _, side := range []struct {
				name string
				make func() sctp.InterleavingStreamScheduler
			}{
				{"module", func() sctp.InterleavingStreamScheduler { return moduleScheduler(b) }},
				{"own", func() sctp.InterleavingStreamScheduler { return newQueue(New()) }},
			} {
				b.Run(side.name, func(b *testing.B) {
					b.ReportAllocs()
					scheduler := side.make()
					for _, chunk := range chunks {
						scheduler.Push(chunk)
					}
					for b.Loop() {
						chunk := scheduler.Peek()
						if err := scheduler.Pop(chunk); err != nil {
							b.Fatal(err)
						}
						scheduler.Push(chunk)
					}
					took[side.name] = b.Elapsed() / time.Duration(b.N)
					if module := took["module"]; side.name == "own" && took["own"] > 0 {
						b.ReportMetric(float64(module)/float64(took["own"]), "module/own")
					}
				})
			}
		})
	}
}

// BenchmarkBurst is a message of 4 chunks on a stream that was idle.
func BenchmarkBurst(b *testing.B) {
	chunks := chunksOf(b, 1)
	for _, side := range []struct {
		name      string
		scheduler sctp.InterleavingStreamScheduler
	}{{"module", moduleScheduler(b)}, {"own", newQueue(New())}} {
		b.Run(side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, chunk := range chunks {
					side.scheduler.Push(chunk)
				}
				for range chunks {
					if err := side.scheduler.Pop(side.scheduler.Peek()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
