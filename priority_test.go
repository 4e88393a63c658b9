package webrtc

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestPrioritiesShareTheLink: two channels that always have something to send
// share a link by their weights, whichever side has opened them; the accepted
// channel shows its priority, and sends with it.
// https://www.rfc-editor.org/rfc/rfc8831#section-6.4
func TestPrioritiesShareTheLink(t *testing.T) {
	const (
		bandwidth = 4_000_000
		tolerance = 0.15
		seconds   = 5
	)
	for _, opener := range []string{"sender", "receiver"} {
		for _, weights := range [][2]uint16{
			{DataChannelPriorityBelowNormal, DataChannelPriorityExtraHigh},
			{0, DataChannelPriorityHigh}, // 0 is normal
			{1000, 1000},
		} {
			t.Run(fmt.Sprintf("%v, opened by the %s", weights, opener), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := virtualPair(t, testnet.Delay(pathDelay), testnet.Bandwidth(bandwidth, 50_000))
					connect(t, a, b)
					var received [2]int
					var mu sync.Mutex
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					var senders []<-chan error
					total := 0
					for i, weight := range weights {
						params := DataChannelParameters{Ordered: true, Priority: weight}
						if weight == 0 {
							weight = DataChannelPriorityNormal
						}
						total += int(weight)
						var from, to *DataChannel
						if opener == "sender" {
							from, to = channelPair(t, a, b, params)
						} else {
							to, from = channelPair(t, b, a, params)
						}
						for _, c := range []*DataChannel{from, to} {
							require.Equal(t, weight, c.Priority())
							require.Equal(t, weight, c.Stats().Priority)
						}
						to.OnMessage(func(m DataChannelMessage) {
							mu.Lock()
							defer mu.Unlock()
							received[i] += len(m.Data)
						})
						senders = append(senders, result(func() error {
							for {
								if err := from.SendContext(ctx, make([]byte, 4000)); err != nil {
									return err
								}
							}
						}))
					}
					count := func() [2]int {
						synctest.Wait()
						mu.Lock()
						defer mu.Unlock()

						return received
					}
					time.Sleep(2 * time.Second)
					before := count()
					time.Sleep(seconds * time.Second)
					after := count()
					cancel()
					for _, done := range senders {
						require.ErrorIs(t, <-done, context.Canceled)
					}
					shares := [2]float64{float64(after[0] - before[0]), float64(after[1] - before[1])}
					sum := shares[0] + shares[1]
					require.Greater(t, sum*8/seconds, 0.6*bandwidth, "the link is not used")
					for i, weight := range weights {
						if weight == 0 {
							weight = DataChannelPriorityNormal
						}
						share, want := shares[i]/sum, float64(weight)/float64(total)
						t.Logf("weight %d: %.3f, by its weight %.3f", weight, share, want)
						require.InEpsilon(t, want, share, tolerance)
					}
					stopped(t, network, a, b)
				})
			})
		}
	}
}
