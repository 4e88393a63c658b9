package webrtc

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// BenchmarkUnreadSender is what both sides hold when one has sent all that it
// may and the other's program reads nothing: with SendContext, whose budget is
// 1 MiB a channel and 16 MiB an association, and with Send until ErrBufferFull.
// queued is BufferedAmount. The side's heap is what goes away with it, or what
// is left without the other one; the idle connection's, some 0.2 MB, is not in
// the sender's.
func BenchmarkUnreadSender(b *testing.B) {
	for _, tc := range []struct {
		name     string
		channels int
		size     int
		wait     bool // SendContext
	}{
		{"SendContext/1channel/16KiB", 1, 16 << 10, true},
		{"SendContext/1channel/64B", 1, 64, true},
		{"SendContext/64channels/16KiB", 64, 16 << 10, true},
		{"Send/1channel/16KiB", 1, 16 << 10, false},
		{"Send/1channel/64B", 1, 64, false},
	} {
		b.Run(tc.name, func(b *testing.B) {
			for b.Loop() {
				var queued int
				var before, full, alone footprint
				benchInBubble(b, func(t *testing.T) {
					network := testnet.Pair(t, testnet.Delay(time.Millisecond))
					sides := [2]*stack{}
					for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
						settings := SettingEngine{LoggerFactory: quietLogs, Net: network.Net(i)}
						sides[i] = benchStackOn(t, role, NewAPI(WithSettingEngine(settings)))
					}
					connect(t, sides[0], sides[1])
					froms := make([]*DataChannel, tc.channels)
					for i := range froms {
						froms[i], _ = channelPair(t, sides[0], sides[1], DataChannelParameters{Ordered: true})
					}
					before = measure()
					fillUp(t, froms, make([]byte, tc.size), tc.wait)
					queued = sides[0].sctp.BufferedAmount()
					full = measure()
					network.Cut(true) // the sender is not told
					gone(t, sides[1])
					sides[1] = nil
					alone = measure()
					require.Equal(t, SCTPTransportStateConnected, sides[0].sctp.State())
					runtime.KeepAlive(froms)
					gone(t, sides[0])
				})
				b.ReportMetric(float64(queued)/1e6, "queued-MB")
				b.ReportMetric(kilobytes(alone.heap, before.heap, 1)*1024/1e6, "sender-heap-MB")
				b.ReportMetric(kilobytes(full.heap, alone.heap, 1)*1024/1e6, "receiver-heap-MB")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fillUp sends on all channels until nothing more has been taken for a while,
// in virtual time.
func fillUp(t *testing.T, channels []*DataChannel, message []byte, wait bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make([]<-chan error, len(channels))
	for i, c := range channels {
		done[i] = result(func() error {
			for {
				var err error
				if wait {
					err = c.SendContext(ctx, message)
				} else {
					err = c.Send(message)
				}
				switch {
				case errors.Is(err, ErrBufferFull) && ctx.Err() == nil:
					time.Sleep(100 * time.Millisecond) // the peer's window takes some of it
				case err != nil:
					return err
				}
			}
		})
	}
	for _, d := range done {
		err := <-d
		if wait {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		} else {
			require.ErrorIs(t, err, ErrBufferFull)
		}
	}
}
