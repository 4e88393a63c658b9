package webrtc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestS4_CloseThatIsLostBehindOthers: the packet that closes the first channel
// is lost, and comes again when many later ones have been closed. All close.
func TestS4_CloseThatIsLostBehindOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		type pair struct{ from, to *DataChannel }
		pairs := make([]pair, 200)
		for i := range pairs {
			pairs[i].from, pairs[i].to = channelPair(t, a, b, DataChannelParameters{Ordered: true})
		}
		time.Sleep(10 * time.Second) // until nothing is under way any more
		network.OnPacket(func(int, []byte) bool { return true })
		require.NoError(t, pairs[0].from.Close())
		synctest.Wait()
		network.OnPacket(nil)
		for _, p := range pairs[1:] {
			require.NoError(t, p.from.Close())
			time.Sleep(time.Millisecond)
		}
		for i, p := range pairs {
			for _, c := range []*DataChannel{p.from, p.to} {
				_, err := c.life.await(limited(t, 5*time.Minute), "wait", DataChannelStateClosed)
				require.NoError(t, err, "channel %d of the %s", i, c.ReadyState())
			}
		}
		stopped(t, network, a, b)
	})
}

// TestS4_AllChannelsAtOnceUnderLoss: as many channels as there can be are
// opened, used and closed at once, twice over the same ids, on a path with
// loss. Every Shutdown learns of the peer's close, and nothing is left.
func TestS4_AllChannelsAtOnceUnderLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const channels = defaultMaxChannels - 24 // some are left for what the loss delays
		a, b, network := virtualPair(t, testnet.Delay(5*time.Millisecond), testnet.Loss(0.02, 3))
		connect(t, a, b)
		b.sctp.OnDataChannel(func(c *DataChannel) {
			c.OnMessage(func(m DataChannelMessage) { _ = c.SendText(string(m.Data)) })
		})
		use := func(ctx context.Context, text string) error {
			c, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Ordered: true})
			if err != nil {
				return fmt.Errorf("open: %w", err)
			}
			if err := c.SendText(text); err != nil {
				return err
			}
			if m, err := c.ReceiveContext(ctx); err != nil || string(m.Data) != text {
				return fmt.Errorf("echo of %s: %q, %w", text, m.Data, err)
			}

			return c.Shutdown(ctx)
		}
		for range 2 {
			var used []<-chan error
			for i := range channels {
				used = append(used, result(func() error { return use(limited(t, 5*time.Minute), fmt.Sprint(i)) }))
			}
			for _, done := range used {
				require.NoError(t, <-done)
			}
		}
		time.Sleep(3 * time.Minute)
		for name, s := range map[string]*stack{"a": a, "b": b} {
			count, ids := s.sctp.streams.places()
			require.Zero(t, count, name)
			require.Zero(t, ids, name)
		}
		stopped(t, network, a, b)
	})
}
