package webrtc

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestS3_TheDefaultLimit is 1,024 channels on either side, and each of them
// works. One more is an error for the side that opens it, and is closed by the
// side that would have to accept it.
func TestS3_TheDefaultLimit(t *testing.T) {
	const limit = 1024
	bubble(t, func(t *testing.T) {
		more := SettingEngine{}
		more.DataChannel.MaxChannels = limit + 10
		a, b, network := connectedPair(t, more, SettingEngine{})
		require.EqualValues(t, limit, b.sctp.MaxChannels())
		ctx := limited(t, time.Minute)
		open := make([][2]*DataChannel, 0, limit)
		for i := range limit {
			opener, acceptor := a, b
			if i%2 == 1 {
				opener, acceptor = b, a
			}
			from, to := channelPair(t, opener, acceptor, DataChannelParameters{Ordered: true})
			open = append(open, [2]*DataChannel{from, to})
		}
		_, err := b.sctp.OpenDataChannel(ctx, &DataChannelParameters{})
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorContains(t, err, "the limit is 1024")
		_, err = b.api.NewDataChannel(b.sctp, &DataChannelParameters{})
		require.ErrorIs(t, err, ErrInvalidState)
		_, err = a.sctp.OpenDataChannel(ctx, &DataChannelParameters{})
		require.Equal(t, io.EOF, err, "the peer has closed it")
		require.ErrorIs(t, <-accepting(limited(t, time.Second), b), context.DeadlineExceeded)
		for _, c := range open {
			exchange(t, c[0], c[1])
		}
		require.NoError(t, open[0][0].Close())
		awaitChannel(t, open[0][1], DataChannelStateClosed)
		from, to := channelPair(t, b, a, DataChannelParameters{Ordered: true})
		exchange(t, from, to)
		stopped(t, network, a, b)
	})
}

// TestS3_IdleChannelsCostLittle: a channel without traffic has no goroutine on
// either side, whoever opened it and whatever it has carried, and takes at most
// 4 KB of heap a side.
func TestS3_IdleChannelsCostLittle(t *testing.T) {
	const (
		channels = 1000
		sides    = 2 * channels
		most     = 4 << 10 // bytes, a side and channel
	)
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		exchange(t, from, to)
		kept := make([]*DataChannel, 0, sides)
		for _, what := range []string{"new", "used"} {
			time.Sleep(time.Second)
			synctest.Wait()
			before := measure()
			for i := range channels {
				switch what {
				case "new":
					opener, acceptor := a, b
					if i%2 == 1 {
						opener, acceptor = b, a
					}
					from, to := channelPair(t, opener, acceptor, DataChannelParameters{Label: fmt.Sprint(i), Ordered: true})
					kept = append(kept, from, to)
				case "used":
					exchange(t, kept[2*i], kept[2*i+1])
				}
			}
			time.Sleep(time.Second) // the last acknowledgements
			synctest.Wait()
			after := measure()
			// Beside the test, others of the process may begin and end.
			require.Less(t, after.goroutines-before.goroutines, channels/10, "goroutines of %s channels", what)
			each := kilobytes(after.heap, before.heap, sides) * 1024
			t.Logf("%.0f bytes for each %s channel and side", each, what)
			if !raceEnabled {
				require.Less(t, each, float64(most))
			}
		}
		runtime.KeepAlive(kept)
		stopped(t, network, a, b)
	})
}
