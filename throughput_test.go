package webrtc

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A channel uses most of a usual path, though its queue overflows at first,
// and never stands still. With random loss it gets what SCTP's congestion
// control leaves, some 1.2 packets a round trip over the square root of the
// loss: 29 % here. https://www.rfc-editor.org/rfc/rfc9260#section-7.2
func TestChannelUsesThePath(t *testing.T) {
	for _, tc := range []struct {
		name string
		route
		share float64 // at least
	}{
		{"no loss", route{delay: 10 * time.Millisecond, bandwidth: 20_000_000}, 0.75},
		{"loss", route{delay: 10 * time.Millisecond, bandwidth: 20_000_000, loss: 0.01}, 0.15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const seconds = 6
				u := tc.fill(t, SettingEngine{}, DataChannelParameters{Ordered: true}, seconds*time.Second)
				share := tc.route.share(u.received[1:])
				t.Logf("%.1f %% of the link, %d packets found its queue full", 100*share, u.link.Overflowed)
				require.Greater(t, share, tc.share)
				for second, received := range u.received {
					require.NotZero(t, received, "it stood still in second %d", second)
				}
			})
		})
	}
}

// TestS6_TheWindowFitsThePath: the default receive window lets channels fill
// 400 Mbit/s over a round trip of 100 ms, once the congestion window has
// grown. The link's queue takes all that the window allows: what a sender does
// about a full one is another matter.
func TestS6_TheWindowFitsThePath(t *testing.T) {
	if raceEnabled {
		t.Skip("40 MB take too long under the race detector")
	}
	const (
		channels  = 8 // each with 1 MiB on its way: more than the window
		bandwidth = 450_000_000
		wanted    = 400_000_000
		begin     = 1200 * time.Millisecond
		duration  = 200 * time.Millisecond
	)
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(50*time.Millisecond), testnet.Bandwidth(bandwidth, 2*defaultReceiveBufferSize))
		connect(t, a, b)
		received := 0
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(context.Background())
		var senders []<-chan error
		for range channels {
			from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
			to.OnMessage(func(m DataChannelMessage) {
				mu.Lock()
				defer mu.Unlock()
				received += len(m.Data)
			})
			senders = append(senders, result(func() error {
				message := make([]byte, 16<<10)
				for {
					if err := from.SendContext(ctx, message); err != nil {
						return err
					}
				}
			}))
		}
		count := func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()

			return received
		}
		time.Sleep(begin)
		before := count()
		time.Sleep(duration)
		rate := float64(count()-before) * 8 / duration.Seconds()
		cancel()
		for _, done := range senders {
			require.ErrorIs(t, <-done, context.Canceled)
		}
		t.Logf("%.0f Mbit/s, %+v", rate/1e6, network.Link(0))
		require.Greater(t, rate, float64(wanted))
		stopped(t, network, a, b)
	})
}
