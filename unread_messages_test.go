package webrtc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestS3_UnreadMessagesAreBoundedByNumber: a peer that sends well stops when
// MaxUnreadMessages wait, by its own SendContext, long before the window of
// bytes is full. It goes on within a few round trips when they are read, again
// and again, and nothing is lost, on one channel and on several.
func TestS3_UnreadMessagesAreBoundedByNumber(t *testing.T) {
	const (
		limit     = 100
		size      = 100  // bytes of a message
		messages  = 3000 // in all
		roundTrip = 2 * pathDelay
	)
	for _, channels := range []int{1, 4} {
		for _, interleaving := range []bool{true, false} {
			t.Run(fmt.Sprint(channels, " channels, interleaving ", interleaving), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					sender, reader := SettingEngine{}, SettingEngine{}
					sender.DataChannel.MaxBuffered = 10_000
					reader.DataChannel.MaxUnreadMessages = limit
					reader.SCTP.DisableInterleaving = !interleaving
					a, b, network := connectedPair(t, sender, reader)
					froms, tos := make([]*DataChannel, channels), make([]*DataChannel, channels)
					for i := range channels {
						froms[i], tos[i] = channelPair(t, a, b, DataChannelParameters{Ordered: true})
					}
					sent := make([]int, channels)
					senders := make([]<-chan error, 0, channels)
					for i, from := range froms {
						senders = append(senders, result(func() error {
							for n := range messages / channels {
								if err := from.SendContext(context.Background(), fmt.Appendf(nil, "%*d", size, n)); err != nil {
									return err
								}
								sent[i]++
							}

							return nil
						}))
					}
					total := func(counts []int) (n int) {
						synctest.Wait()
						for _, count := range counts {
							n += count
						}

						return n
					}
					got, buf := make([]int, channels), make([]byte, size)
					// read takes a message from any channel that has one: with a
					// program that reads another, all would wait.
					read := func() {
						begin := time.Now()
						for i := 0; ; i = (i + 1) % channels {
							if tos[i].Stats().UnreadMessages > 0 {
								// It may be behind one that comes again.
								n, _, err := tos[i].ReadMessage(limited(t, time.Minute), buf)
								require.NoError(t, err)
								require.Equal(t, fmt.Sprintf("%*d", size, got[i]), string(buf[:n]))
								got[i]++

								return
							}
							if i == channels-1 {
								require.Less(t, time.Since(begin), time.Minute, "nothing comes")
								time.Sleep(time.Millisecond)
							}
						}
					}
					// Nobody reads: it stops, and stays so.
					time.Sleep(time.Minute)
					before := total(sent)
					require.Less(t, before, messages, "it never waits")
					time.Sleep(time.Minute)
					require.Equal(t, before, total(sent), "it did not stop")
					for round := range 5 {
						waiting := b.sctp.Stats().UnreadMessages
						require.GreaterOrEqual(t, waiting, uint64(limit), "round %d", round)
						require.LessOrEqual(t, waiting, uint64(limit+limit/5), "what one packet can hold above the limit")
						for range waiting {
							read()
						}
						begin := time.Now()
						for range limit {
							read()
						}
						took := time.Since(begin)
						t.Logf("round %d: it goes on after %v", round, took)
						require.Less(t, took, 10*roundTrip, "round %d: a timer is a second", round)
						time.Sleep(2 * time.Minute)
					}
					for range messages - total(got) {
						read()
					}
					for i, done := range senders {
						require.NoError(t, <-done)
						require.Equal(t, messages/channels, got[i])
					}
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// TestS3_TheWindowOpensOnALossyPath: the packet that tells of the open window
// may be lost, and then the peer's own probes find it.
func TestS3_TheWindowOpensOnALossyPath(t *testing.T) {
	const messages = 1000
	bubble(t, func(t *testing.T) {
		sender, reader := SettingEngine{}, SettingEngine{}
		sender.DataChannel.MaxBuffered = 10_000
		reader.DataChannel.MaxUnreadMessages = 50
		a, b, network := virtualPairWith(t, sender, reader, testnet.Delay(pathDelay))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		lose := lossy(7)
		network.OnPacket(func(from int, payload []byte) bool {
			return !stun.IsMessage(payload) && lose(from, payload) // or consent is lost in the hours that it takes
		})
		sending := result(func() error {
			for n := range messages {
				if err := from.SendContext(context.Background(), fmt.Appendf(nil, "%100d", n)); err != nil {
					return err
				}
			}

			return nil
		})
		ctx := limited(t, 24*time.Hour) // a timer that has backed off takes a minute, again and again
		for n := range messages {
			if n%100 == 0 {
				time.Sleep(time.Minute) // the window shuts
			}
			m, err := to.ReceiveContext(ctx)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%100d", n), string(m.Data))
		}
		require.NoError(t, <-sending)
		network.OnPacket(nil)
		stopped(t, network, a, b)
	})
}
