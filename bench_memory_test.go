package webrtc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// unreadCase is a sender whose peer's program reads nothing.
type unreadCase struct {
	channels int
	size     int
	wait     bool // SendContext, and Send otherwise
}

func (c unreadCase) String() string {
	how, size := "Send", fmt.Sprintf("%dB", c.size)
	if c.wait {
		how = "SendContext"
	}
	if c.size >= 1<<10 {
		size = sizeName(c.size)
	}

	return fmt.Sprintf("%s/%dchannels/%s", how, c.channels, size)
}

// budget is what may be queued, in bytes.
func (c unreadCase) budget() int {
	if c.wait {
		return min(c.channels*defaultMaxBuffered, defaultMaxAssociationBuffered)
	}

	return defaultMaxAssociationBuffered
}

// unreadCases are all that matter: what is small costs more than its bytes.
func unreadCases() (cases []unreadCase) {
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		cases = append(cases, unreadCase{1, size, true}, unreadCase{64, size, true}, unreadCase{1, size, false})
	}

	return cases
}

// run sends until nothing more is taken, and returns what is queued then in
// bytes, and the heap of the sender and of the receiver: what goes away with
// them. The idle connection's, some 0.2 MB, is not in the sender's.
func (c unreadCase) run(t *testing.T) (queued int, sender, receiver float64) {
	t.Helper()
	network := testnet.Pair(t, testnet.Delay(time.Millisecond))
	sides := [2]*stack{}
	for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
		settings := SettingEngine{LoggerFactory: quietLogs, Net: network.Net(i)}
		sides[i] = benchStackOn(t, role, NewAPI(WithSettingEngine(settings)))
	}
	connect(t, sides[0], sides[1])
	froms := make([]*DataChannel, c.channels)
	for i := range froms {
		froms[i], _ = channelPair(t, sides[0], sides[1], DataChannelParameters{Ordered: true})
	}
	before := measure()
	fillUp(t, froms, make([]byte, c.size), c.wait)
	queued = sides[0].sctp.BufferedAmount()
	full := measure()
	network.Cut(true) // the sender is not told
	gone(t, sides[1])
	sides[1] = nil
	synctest.Wait() // the modules' goroutines end after ours
	alone := measure()
	require.Equal(t, SCTPTransportStateConnected, sides[0].sctp.State())
	runtime.KeepAlive(froms)
	gone(t, sides[0])

	return queued, kilobytes(alone.heap, before.heap, 1) * 1024, kilobytes(full.heap, alone.heap, 1) * 1024
}

// BenchmarkUnreadSender is what both sides hold when one has sent all that it
// may and the other's program reads nothing: with SendContext, whose budget is
// 1 MiB a channel and 16 MiB an association, and with Send until ErrBufferFull.
// queued is BufferedAmount.
func BenchmarkUnreadSender(b *testing.B) {
	for _, tc := range unreadCases() {
		b.Run(tc.String(), func(b *testing.B) {
			for b.Loop() {
				var queued int
				var sender, receiver float64
				benchInBubble(b, func(t *testing.T) { queued, sender, receiver = tc.run(t) })
				b.ReportMetric(float64(queued)/1e6, "queued-MB")
				b.ReportMetric(sender/1e6, "sender-heap-MB")
				b.ReportMetric(receiver/1e6, "receiver-heap-MB")
				b.ReportMetric(sender/float64(tc.budget()), "sender-heap/budget")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestC1_HeapWithinTheBudget: what is queued costs the sender no more memory
// than the budget and a half, whatever the size of the messages. What is queued
// has used the budget up, too.
func TestC1_HeapWithinTheBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has a heap of its own")
	}
	for _, tc := range unreadCases() {
		t.Run(tc.String(), func(t *testing.T) {
			limit, cost := 1.5*float64(tc.budget()), 0.0
			least := math.Inf(1)
			for try := 0; try < 3 && least >= limit; try++ { // what packages keep for good is made in one of them
				bubble(t, func(t *testing.T) {
					queued, heap, _ := tc.run(t)
					least = min(least, heap)
					cost = float64(queued) * float64(messageCost(tc.size)) / float64(tc.size)
					t.Logf("%d bytes are queued, in a heap of %.0f", queued, heap)
				})
			}
			require.Less(t, least, limit)
			require.Greater(t, cost, 0.9*float64(tc.budget()))
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
