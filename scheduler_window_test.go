package webrtc

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestS6_LongMessagesOnManyChannels: channels that send messages at the same
// time, together many times what the peer's window takes, get every one of them
// through. Interleaved without a limit they would fill the window with
// beginnings, and none would end.
func TestS6_LongMessagesOnManyChannels(t *testing.T) {
	const rounds = 2
	plain := SettingEngine{}
	plain.SCTP.DisableInterleaving = true
	for name, row := range map[string]struct {
		settings       SettingEngine
		channels, size int
		ordered        bool
		path           []testnet.Option
	}{
		"default settings":           {channels: 10, size: defaultMaxMessageSize, ordered: true},
		"unordered":                  {channels: 10, size: defaultMaxMessageSize},
		"a small window":             {settings: smallBuffers(), channels: 64, size: 4000, ordered: true},
		"a small window, with loss":  {smallBuffers(), 64, 4000, true, []testnet.Option{testnet.Loss(0.01, 1)}},
		"half a window each":         {settings: smallBuffers(), channels: 16, size: 32 << 10, ordered: true},
		"default settings, and loss": {SettingEngine{}, 10, 1 << 20, true, []testnet.Option{testnet.Loss(0.01, 2)}},
		"without interleaving":       {settings: plain, channels: 10, size: defaultMaxMessageSize, ordered: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				path := append([]testnet.Option{testnet.Delay(pathDelay)}, row.path...)
				a, b, network := virtualPairWith(t, row.settings, row.settings, path...)
				connect(t, a, b)
				ctx := limited(t, 10*time.Minute)
				var whole atomic.Int64
				done := make(chan struct{})
				var channels []*DataChannel
				for range row.channels {
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: row.ordered})
					to.OnMessage(func(m DataChannelMessage) {
						if len(m.Data) == row.size && whole.Add(1) == int64(row.channels)*rounds {
							close(done)
						}
					})
					channels = append(channels, from)
				}
				var senders []<-chan error
				for _, from := range channels { // all are open: they begin at once
					senders = append(senders, result(func() error {
						for range rounds {
							if err := from.SendContext(ctx, make([]byte, row.size)); err != nil {
								return err
							}
						}

						return nil
					}))
				}
				for _, sender := range senders {
					require.NoError(t, <-sender)
				}
				select {
				case <-done:
				case <-ctx.Done():
					require.Failf(t, "messages do not end", "%d have come whole, %d bytes are not acknowledged",
						whole.Load(), a.sctp.BufferedAmount())
				}
				stopped(t, network, a, b)
			})
		})
	}
}
