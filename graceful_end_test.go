package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC3_AcceptAfterAnEndAtOnce: a peer opens a channel, sends, and shuts its
// whole stack down without waiting for anything. The channel is accepted all
// the same, with every message, then io.EOF.
func TestC3_AcceptAfterAnEndAtOnce(t *testing.T) {
	const messages = 5
	end := func(t *testing.T, a *stack) (ended <-chan error) {
		t.Helper()
		c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "short", Ordered: true})
		require.NoError(t, err)
		for i := range messages {
			require.NoError(t, c.SendText(fmt.Sprint(i)))
		}

		return result(func() error { return a.ice.Shutdown(limited(t, testTimeout)) })
	}
	receive := func(t *testing.T, b *stack, ended <-chan error) {
		t.Helper()
		accepted, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "short", accepted.Label())
		for i := range messages {
			m, err := accepted.ReceiveContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), string(m.Data))
		}
		require.Equal(t, io.EOF, <-receiving(limited(t, testTimeout), accepted))
		_, err = b.sctp.AcceptDataChannel(limited(t, testTimeout))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, <-ended)
	}
	t.Run("virtual", func(t *testing.T) {
		rounds := 200
		if raceEnabled {
			rounds = 20
		}
		for range rounds {
			bubble(t, func(t *testing.T) {
				a, b, network := quickPair(t, testnet.Delay(pathDelay))
				connect(t, a, b)
				receive(t, b, end(t, a))
				requireNothingLeft(t, network, a, b)
			})
		}
	})
	t.Run("late", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := quickPair(t, testnet.Delay(pathDelay))
			connect(t, a, b)
			c, err := a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{Ordered: true})
			require.NoError(t, err)
			require.NoError(t, c.SendText("before the end"))
			require.NoError(t, a.ice.Shutdown(limited(t, testTimeout)))
			time.Sleep(time.Hour) // everything has ended
			require.Equal(t, SCTPTransportStateClosed, b.sctp.State())
			accepted, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			m, err := accepted.ReceiveContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, "before the end", string(m.Data))
			require.Equal(t, io.EOF, <-receiving(limited(t, testTimeout), accepted))
			requireNothingLeft(t, network, a, b)
		})
	})
	t.Run("sockets", func(t *testing.T) {
		testnet.Leaks(t)
		rounds := 50
		if raceEnabled {
			rounds = 10
		}
		var pairs [][2]*stack
		var connected []<-chan error // all at once: ICE waits for better candidates
		for range rounds {
			a, b := benchPair(t)
			signal(t, a, b)
			pairs = append(pairs, [2]*stack{a, b})
			connected = append(connected, result(func() error {
				ctx := limited(t, testTimeout)

				return both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) })
			}))
		}
		var ended []<-chan error
		for i, done := range connected {
			require.NoError(t, <-done)
			ended = append(ended, end(t, pairs[i][0]))
		}
		for i, pair := range pairs {
			receive(t, pair[1], ended[i])
			gone(t, pair[:]...)
		}
	})
}

// TestC3_BacklogHasRoomAgain when channels were accepted: those above it were
// closed, and what was opened later comes.
func TestC3_BacklogHasRoomAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.AcceptBacklog = 1
		a, b, network := connectedPair(t, SettingEngine{}, settings)
		ctx := limited(t, time.Minute)
		open := func(label string) *DataChannel {
			c, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: label, Ordered: true})
			require.NoError(t, err)

			return c
		}
		for round := range 3 {
			kept := open(fmt.Sprint("kept ", round))
			refused, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "refused"})
			require.NoError(t, err)
			closed := make(chan struct{})
			refused.OnError(func(err error) { t.Errorf("OnError: %v", err) })
			refused.OnClose(func() { close(closed) })
			<-closed
			require.Equal(t, io.EOF, context.Cause(refused.Context()))
			require.ErrorIs(t, refused.Send(nil), io.EOF)
			accepted, err := b.sctp.AcceptDataChannel(ctx)
			require.NoError(t, err)
			require.Equal(t, kept.Label(), accepted.Label())
			require.NoError(t, kept.SendText("in "+kept.Label()))
			m, err := accepted.ReceiveContext(ctx)
			require.NoError(t, err)
			require.Equal(t, "in "+kept.Label(), string(m.Data))
		}
		require.ErrorIs(t, <-accepting(limited(t, time.Second), b), context.DeadlineExceeded)
		stopped(t, network, a, b)
	})
}

// TestC5_CloseFlushesAMegabyte: what was sent before Close arrives, however
// much it is, in one message or many, and on a path that loses packets.
func TestC5_CloseFlushesAMegabyte(t *testing.T) {
	const all = 1 << 20
	for _, size := range []int{all, 16 << 10, 100} {
		for _, loss := range []float64{0, 0.03} {
			t.Run(fmt.Sprintf("messages of %d bytes, loss %v", size, loss), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var opts []testnet.Option
					if loss > 0 {
						opts = append(opts, testnet.Loss(loss, 1))
					}
					a, b, network := virtualPair(t, append(opts, testnet.Delay(pathDelay))...)
					connect(t, a, b)
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					data := pattern(all)
					for chunk := range slices.Chunk(data, size) {
						require.NoError(t, from.Send(chunk))
					}
					require.NoError(t, from.Close())
					require.Equal(t, DataChannelStateClosing, from.ReadyState())
					got := make([]byte, 0, all)
					for {
						m, err := to.ReceiveContext(limited(t, time.Hour))
						if err != nil {
							require.Equal(t, io.EOF, err)

							break
						}
						got = append(got, m.Data...)
					}
					require.True(t, slices.Equal(data, got), "%d bytes of %d, or others", len(got), all)
					_, err := from.life.await(limited(t, time.Hour), "test", DataChannelStateClosed)
					require.NoError(t, err)
					time.Sleep(time.Minute)
					require.Zero(t, a.sctp.BufferedAmount())
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// TestC10_EndsOfTheWholeStack: after the peer's Shutdown of any layer there is
// io.EOF and no OnError; after its Stop OnError, then OnClose.
func TestC10_EndsOfTheWholeStack(t *testing.T) {
	for name, end := range map[string][2]func(peer *stack) error{
		"SCTP": {
			func(s *stack) error { return s.sctp.Shutdown(context.Background()) },
			func(s *stack) error { return s.sctp.Stop() },
		},
		"DTLS": {
			func(s *stack) error { return s.dtls.Shutdown(context.Background()) },
			func(s *stack) error { return s.dtls.Stop() },
		},
		"ICE": {
			func(s *stack) error { return s.ice.Shutdown(context.Background()) },
			func(s *stack) error { return s.ice.Stop() },
		},
	} {
		for i, how := range []string{"shutdown", "stop"} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Delay(pathDelay))
					connect(t, a, b)
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					var mu sync.Mutex
					var events []string
					var told error
					from.OnError(func(err error) {
						mu.Lock()
						defer mu.Unlock()
						events, told = append(events, "error"), err
					})
					from.OnClose(func() {
						mu.Lock()
						defer mu.Unlock()
						events = append(events, "close")
					})
					require.NoError(t, to.SendText("the last"))
					time.Sleep(time.Second)
					begin := time.Now()
					_ = end[i](b)
					awaitChannel(t, from, DataChannelStateClosed)
					require.Less(t, time.Since(begin), 2*time.Second)
					synctest.Wait()
					mu.Lock()
					defer mu.Unlock()
					m, err := from.ReceiveContext(limited(t, testTimeout))
					require.NoError(t, err, "what has come before the end is received first")
					require.Equal(t, "the last", string(m.Data))
					err = <-receiving(limited(t, testTimeout), from)
					if how == "shutdown" {
						require.Equal(t, []string{"close"}, events)
						require.Equal(t, io.EOF, err)
					} else {
						require.Equal(t, []string{"error", "close"}, events)
						require.Error(t, told)
						require.NotErrorIs(t, told, io.EOF)
						require.ErrorIs(t, err, told)
						require.NotErrorIs(t, err, context.DeadlineExceeded)
					}
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}

// TestC4_ConnOfAChannelThatThePeerIsClosing: a peer that closes right after it
// has opened and written is no reason for NetConn to fail: there is something
// to read.
func TestC4_ConnOfAChannelThatThePeerIsClosing(t *testing.T) {
	for name, connOf := range map[string]func(c *DataChannel) (net.Conn, error){
		"NetConn":     (*DataChannel).NetConn,
		"MessageConn": (*DataChannel).MessageConn,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				// In the instant between the state and its cause.
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				require.NoError(t, from.SendText("bye"))
				time.Sleep(time.Second)
				to.life.mu.Lock()
				require.True(t, to.life.moveLocked(DataChannelStateClosing))
				to.life.mu.Unlock()
				conn, err := connOf(to)
				require.NoError(t, err)
				buf := make([]byte, 10)
				n, err := conn.Read(buf)
				require.NoError(t, err)
				require.Equal(t, "bye", string(buf[:n]))

				// Our own Close is another matter, in every instant.
				_, other := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				require.NoError(t, other.Close())
				_, err = connOf(other)
				require.ErrorIs(t, err, ErrInvalidState)
				require.ErrorIs(t, err, ErrClosed)

				for range 300 {
					closed := make(chan error, 1)
					go func() {
						c, err := a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{Ordered: true})
						if err == nil {
							err = errors.Join(c.SendText("bye"), c.Close())
						}
						closed <- err
					}()
					c, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
					require.NoError(t, err)
					time.Sleep(pathDelay * 2) // the reset comes now
					conn, err := connOf(c)
					require.NoError(t, err)
					n, err := conn.Read(buf)
					require.NoError(t, err)
					require.Equal(t, "bye", string(buf[:n]))
					_, err = conn.Read(buf)
					require.Equal(t, io.EOF, err)
					require.NoError(t, <-closed)
					require.NoError(t, conn.Close())
				}
				stopped(t, network, a, b)
			})
		})
	}
}
