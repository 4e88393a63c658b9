package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC2_ReadMessageAllocatesNothing for messages that have come already, of
// one packet and of several.
func TestC2_ReadMessageAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{0, 100, 16 << 10} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			const runs = 100
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				for range runs + 1 { // AllocsPerRun makes one run more
					require.NoError(t, from.SendContext(limited(t, testTimeout), pattern(size)))
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				require.EqualValues(t, runs+1, to.Stats().UnreadMessages)
				buf, ctx := make([]byte, size+1), context.Background() // an empty message is a byte on the wire
				var failed error
				require.Zero(t, testing.AllocsPerRun(runs, func() {
					n, isString, err := to.ReadMessage(ctx, buf)
					if err != nil || n != size || isString {
						failed = fmt.Errorf("%d bytes: %w", n, err)
					}
				}))
				require.NoError(t, failed)
				require.Equal(t, string(pattern(size)), string(buf[:size]))
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC2_ReceiversShareTheMessages: each message goes to one of those who
// receive at once, by whichever method, and none is left out; some receivers
// leave with their context meanwhile. At the end of the channel all are told.
func TestC2_ReceiversShareTheMessages(t *testing.T) {
	const receivers, messages = 8, 3000
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		var mu sync.Mutex
		var got []string
		var ended []<-chan error
		for i := range receivers {
			ended = append(ended, result(func() error {
				buf := make([]byte, 100)
				last := -1
				for {
					ctx, cancel := context.Background(), func() {}
					if i%3 == 0 {
						ctx, cancel = context.WithTimeout(ctx, time.Duration(i+1)*100*time.Microsecond)
					}
					var text string
					var err error
					if i%2 == 0 {
						var n int
						n, _, err = to.ReadMessage(ctx, buf)
						text = string(buf[:n])
					} else {
						var m DataChannelMessage
						m, err = to.ReceiveContext(ctx)
						text = string(m.Data)
					}
					cancel()
					switch {
					case errors.Is(err, context.DeadlineExceeded):
						continue
					case err != nil:
						return err
					}
					var number int
					if _, err := fmt.Sscan(text, &number); err != nil || number <= last {
						return fmt.Errorf("%q after %d: %w", text, last, err)
					}
					last = number
					mu.Lock()
					got = append(got, text)
					mu.Unlock()
				}
			}))
		}
		var sent []string
		for n := range messages {
			text := fmt.Sprint(n)
			sent = append(sent, text)
			require.NoError(t, from.SendTextContext(limited(t, testTimeout), text))
			if n%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		require.NoError(t, from.Shutdown(limited(t, testTimeout)))
		for _, done := range ended {
			require.Equal(t, io.EOF, <-done)
		}
		slices.Sort(sent)
		slices.Sort(got)
		require.Equal(t, sent, got)
		stopped(t, network, a, b)
	})
}

// TestC2_TheHandlerComesAndGoes while messages come and somebody receives: each
// message goes to one of them, and what each of them gets is in order.
func TestC2_TheHandlerComesAndGoes(t *testing.T) {
	const messages = 2000
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		var mu sync.Mutex
		got := map[string][]int{}
		note := func(by string, m DataChannelMessage) {
			var n int
			if _, err := fmt.Sscan(string(m.Data), &n); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[by] = append(got[by], n)
		}
		over := make(chan struct{})
		receiver := result(func() error {
			for {
				m, err := to.ReceiveContext(context.Background())
				switch {
				case errors.Is(err, ErrInvalidState): // the handler has them
					time.Sleep(time.Millisecond)
				case err != nil:
					return err
				default:
					note("receiver", m)
				}
			}
		})
		switching := result(func() error {
			for on := false; ; on = !on {
				if on {
					to.OnMessage(func(m DataChannelMessage) { note("handler", m) })
				} else {
					to.OnMessage(nil)
				}
				select {
				case <-over:
					to.OnMessage(nil)

					return nil
				case <-time.After(700 * time.Microsecond):
				}
			}
		})
		for n := range messages {
			require.NoError(t, from.SendTextContext(limited(t, testTimeout), fmt.Sprint(n)))
			if n%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		close(over)
		require.NoError(t, <-switching)
		require.NoError(t, from.Shutdown(limited(t, testTimeout)))
		require.Equal(t, io.EOF, <-receiver)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		var all []int
		for by, numbers := range got {
			require.True(t, slices.IsSorted(numbers), "out of order: %s", by)
			t.Logf("%d messages for the %s", len(numbers), by)
			all = append(all, numbers...)
		}
		require.Len(t, got, 2, "one of them got nothing")
		slices.Sort(all)
		require.Len(t, all, messages)
		require.Len(t, slices.Compact(all), messages)
		stopped(t, network, a, b)
	})
}
