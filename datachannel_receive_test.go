package webrtc

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestC2_OnMessageAndReceiveExclude: the handler takes the messages from the
// receivers, those that wait too, and nil hands them back. None is lost, none
// comes twice.
func TestC2_OnMessageAndReceiveExclude(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		buf := make([]byte, 100)
		reading := result(func() error {
			_, _, err := to.ReadMessage(context.Background(), buf)

			return err
		})
		waiting := receiving(context.Background(), to)
		synctest.Wait()
		var got []string
		to.OnMessage(func(m DataChannelMessage) { got = append(got, string(m.Data)) })
		require.ErrorIs(t, <-waiting, ErrInvalidState)
		require.ErrorIs(t, <-reading, ErrInvalidState)
		_, err := to.ReceiveContext(limited(t, time.Second))
		require.ErrorIs(t, err, ErrInvalidState)
		_, _, err = to.ReadMessage(limited(t, time.Second), buf)
		require.ErrorIs(t, err, ErrInvalidState)

		require.NoError(t, from.SendText("0"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"0"}, got)

		to.OnMessage(nil)
		for i := range 3 {
			require.NoError(t, from.SendText(fmt.Sprint(i+1)))
		}
		m, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "1", string(m.Data))
		time.Sleep(time.Second)
		to.OnMessage(func(m DataChannelMessage) { got = append(got, string(m.Data)) })
		require.NoError(t, from.SendText("4"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"0", "2", "3", "4"}, got)
		stopped(t, network, a, b)
	})
}

// TestC2_ShortBufferKeepsTheMessage: what does not fit stays the next one.
func TestC2_ShortBufferKeepsTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, from.SendText("twelve bytes"))
		require.NoError(t, from.Send(nil))
		ctx := limited(t, testTimeout)
		for _, size := range []int{0, 1, 11} {
			buf := make([]byte, size)
			n, isString, err := to.ReadMessage(ctx, buf)
			require.ErrorIs(t, err, io.ErrShortBuffer)
			require.Equal(t, 12, n)
			require.True(t, isString)
			require.Equal(t, make([]byte, size), buf, "the buffer was touched")
		}
		buf := make([]byte, 12)
		n, isString, err := to.ReadMessage(ctx, buf)
		require.NoError(t, err)
		require.Equal(t, 12, n)
		require.True(t, isString)
		require.Equal(t, "twelve bytes", string(buf))
		n, isString, err = to.ReadMessage(ctx, nil)
		require.NoError(t, err, "an empty message fits an empty buffer")
		require.Zero(t, n)
		require.False(t, isString)
		stopped(t, network, a, b)
	})
}

// TestC8_KindAndOrder: empty and long messages, text and binary, by each way
// of receiving.
func TestC8_KindAndOrder(t *testing.T) {
	for _, way := range []string{"receive", "read", "handler"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				var sent []DataChannelMessage
				for i := range 60 {
					size := []int{0, 1, 1024 - 1, 1024, 1024 + 1, 65536}[i%6]
					data := make([]byte, size)
					for j := range data {
						data[j] = byte('a' + i%26)
					}
					sent = append(sent, DataChannelMessage{IsString: i%4 < 2, Data: data})
				}
				var got []DataChannelMessage
				all := make(chan struct{})
				if way == "handler" {
					to.OnMessage(func(m DataChannelMessage) {
						if got = append(got, m); len(got) == len(sent) {
							close(all)
						}
					})
				}
				ctx := limited(t, testTimeout)
				for _, m := range sent {
					data := append([]byte(nil), m.Data...)
					if m.IsString {
						require.NoError(t, from.SendTextContext(ctx, string(data)))
					} else {
						require.NoError(t, from.SendContext(ctx, data))
					}
					clear(data) // it is the caller's again
				}
				switch way {
				case "handler":
					<-all
				case "receive":
					for range sent {
						m, err := to.ReceiveContext(ctx)
						require.NoError(t, err)
						got = append(got, m)
					}
				case "read":
					buf := make([]byte, 1<<17)
					for range sent {
						n, isString, err := to.ReadMessage(ctx, buf)
						require.NoError(t, err)
						got = append(got, DataChannelMessage{IsString: isString, Data: append([]byte{}, buf[:n]...)})
					}
				}
				require.Equal(t, sent, got)
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC2_NothingIsLostToLateReceivers: messages that came before anybody
// received, and before the peer's end, are received first.
func TestC2_NothingIsLostToLateReceivers(t *testing.T) {
	for name, end := range map[string]func(from *DataChannel, a *stack) error{
		"channel closed": func(from *DataChannel, _ *stack) error { return from.Close() },
		"SCTP shut down": func(_ *DataChannel, a *stack) error { return a.sctp.Shutdown(context.Background()) },
		"DTLS shut down": func(_ *DataChannel, a *stack) error { return a.dtls.Shutdown(context.Background()) },
		"ICE shut down":  func(_ *DataChannel, a *stack) error { return a.ice.Shutdown(context.Background()) },
	} {
		for _, handler := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", handler ", handler), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					// More than the inbox holds, so that the stream's part counts too.
					const messages = 2 * 256
					for i := range messages {
						require.NoError(t, from.SendText(fmt.Sprint(i)))
					}
					ended := result(func() error { return end(from, a) })
					time.Sleep(time.Second)
					var got []string
					if handler {
						closed := make(chan struct{})
						to.OnMessage(func(m DataChannelMessage) { got = append(got, string(m.Data)) })
						to.OnClose(func() { close(closed) })
						<-closed
					} else {
						for {
							m, err := to.ReceiveContext(limited(t, testTimeout))
							if err != nil {
								require.Equal(t, io.EOF, err)

								break
							}
							got = append(got, string(m.Data))
						}
					}
					require.Len(t, got, messages)
					for i, text := range got {
						require.Equal(t, fmt.Sprint(i), text)
					}
					require.NoError(t, <-ended)
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// TestC3_AcceptAndOnDataChannel: the handler takes the channels from those who
// accept, pending ones too, gets those that waited, and nil hands them back.
func TestC3_AcceptAndOnDataChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		ctx := limited(t, testTimeout)
		open := func(label string) {
			t.Helper()
			c, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: label, Ordered: true})
			require.NoError(t, err)
			require.NoError(t, c.SendText("first in "+label))
			time.Sleep(time.Second)
		}
		waiting := accepting(context.Background(), b)
		synctest.Wait()
		var mu sync.Mutex
		var got []string
		forever := make(chan struct{})
		handler := func(c *DataChannel) {
			assert.Equal(t, DataChannelStateOpen, c.ReadyState())
			assert.NoError(t, c.SendText("back"))
			m, err := c.ReceiveContext(ctx)
			assert.NoError(t, err)
			mu.Lock()
			got = append(got, string(m.Data))
			mu.Unlock()
			<-forever // it may never return
		}
		var opened []string
		b.sctp.OnDataChannelOpened(func(c *DataChannel) {
			mu.Lock()
			defer mu.Unlock()
			opened = append(opened, c.Label())
		})
		b.sctp.OnDataChannel(handler)
		require.ErrorIs(t, <-waiting, ErrInvalidState)
		_, err := b.sctp.AcceptDataChannel(ctx)
		require.ErrorIs(t, err, ErrInvalidState)
		open("1")
		open("2")
		b.sctp.OnDataChannel(nil)
		open("3")
		c, err := b.sctp.AcceptDataChannel(ctx)
		require.NoError(t, err)
		require.Equal(t, "3", c.Label())
		open("4")
		b.sctp.OnDataChannel(handler)
		time.Sleep(time.Second)
		mu.Lock()
		require.Equal(t, []string{"first in 1", "first in 2", "first in 4"}, got)
		require.Equal(t, []string{"1", "2", "3", "4"}, opened)
		mu.Unlock()
		close(forever)
		stopped(t, network, a, b)
	})
}

// TestC3_BacklogIsBounded: channels that nobody accepts are closed above it.
func TestC3_BacklogIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.AcceptBacklog = 2
		a, b, network := connectedPair(t, SettingEngine{}, settings)
		ctx := limited(t, testTimeout)
		var cs []*DataChannel
		for i := range 2 {
			c, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: fmt.Sprint(i)})
			require.NoError(t, err)
			cs = append(cs, c)
		}
		for range 2 {
			_, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "one too many"})
			require.Equal(t, io.EOF, err)
		}
		for i, c := range cs {
			require.Equal(t, DataChannelStateOpen, c.ReadyState())
			accepted, err := b.sctp.AcceptDataChannel(ctx)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), accepted.Label())
		}
		stopped(t, network, a, b)
	})
}
