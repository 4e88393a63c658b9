package webrtc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// netConnPair opens a channel from a to b and makes connections of both ends.
func netConnPair(t *testing.T, a, b *stack) (from, to net.Conn) {
	t.Helper()
	opened, accepted := channelPair(t, a, b, DataChannelParameters{Ordered: true})
	from, err := opened.NetConn()
	require.NoError(t, err)
	to, err = accepted.NetConn()
	require.NoError(t, err)

	return from, to
}

// pattern is n bytes in which no piece is like another one nearby.
func pattern(n int) []byte {
	data := make([]byte, 0, n+16)
	for i := 0; len(data) < n; i++ {
		data = fmt.Appendf(data, "%d,", i)
	}

	return data[:n]
}

// deadlinePassed is what a net.Conn returns after a deadline.
func deadlinePassed(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	var ours *Error
	require.ErrorAs(t, err, &ours)
	timeout, ok := err.(net.Error) //nolint:errorlint // programs assert it
	require.True(t, ok)
	require.True(t, timeout.Timeout())
}

// closedByUs is what it returns after our own Close or Stop.
func closedByUs(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, err, ErrClosed)
	var ours *Error
	require.ErrorAs(t, err, &ours)
	require.False(t, ours.Timeout())
}

// TestC4_Nettest is the suite that every net.Conn should pass.
func TestC4_Nettest(t *testing.T) {
	testnet.Leaks(t)
	a, b := loopbackPair(t)
	connect(t, a, b)
	for _, opener := range []struct {
		name   string
		pair   [2]*stack
		params DataChannelParameters
	}{
		{"opened first", [2]*stack{a, b}, DataChannelParameters{Ordered: true}},
		{"accepted first", [2]*stack{b, a}, DataChannelParameters{Ordered: true}},
	} {
		t.Run(opener.name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				first, second := netConnPair(t, opener.pair[0], opener.pair[1])
				if opener.name == "accepted first" {
					first, second = second, first
				}

				return first, second, func() {
					for _, c := range []net.Conn{first, second} {
						require.NoError(t, c.Close())
					}
				}, nil
			})
		})
	}
	for _, s := range []*stack{a, b} {
		require.NoError(t, s.ice.Stop())
		require.NoError(t, s.ice.Run(limited(t, testTimeout)))
	}
}

// TestC4_StreamOverMessages: what the peer sends as messages of any kind and
// size is one stream, in whatever pieces it is read.
func TestC4_StreamOverMessages(t *testing.T) {
	for _, size := range []int{1, 7, 1000, 16 << 10, 100_000} {
		t.Run(fmt.Sprint("reading ", size, " bytes"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				conn, err := to.NetConn()
				require.NoError(t, err)
				var want []byte
				ctx := limited(t, testTimeout)
				for i, length := range []int{0, 1, 6, 7, 8, 0, 0, 20_000, 65_000, 0, 999, 1000, 1001, 1, 0} {
					message := bytes.Repeat([]byte{byte('a' + i)}, length)
					want = append(want, message...)
					if i%2 == 0 {
						require.NoError(t, from.SendTextContext(ctx, string(message)))
					} else {
						require.NoError(t, from.SendContext(ctx, message))
					}
				}
				require.NoError(t, from.Close())
				var got []byte
				buf := make([]byte, size)
				for {
					n, err := conn.Read(buf)
					got = append(got, buf[:n]...)
					if err != nil {
						require.Equal(t, io.EOF, err)

						break
					}
					require.NotZero(t, n, "an empty message is not skipped")
				}
				require.Equal(t, want, got)
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC4_ReadKeepsTheBuffer: a message that fits is read into the caller's
// buffer, and of one that does not fit the rest is read without allocating.
func TestC4_ReadKeepsTheBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		conn, err := to.NetConn()
		require.NoError(t, err)
		own, ok := conn.(*netConn)
		require.True(t, ok)
		data := pattern(5000)
		require.NoError(t, from.Send(data))
		require.NoError(t, from.Send(data))

		buf := make([]byte, len(data))
		n, err := conn.Read(buf)
		require.NoError(t, err)
		require.Equal(t, data, buf[:n])
		require.Nil(t, own.rest, "it fits, and was copied")

		got := make([]byte, 1, len(data))
		_, err = conn.Read(got)
		require.NoError(t, err)
		require.NotNil(t, own.rest)
		one := make([]byte, 1)
		require.Zero(t, testing.AllocsPerRun(len(data)-2, func() {
			if _, err := conn.Read(one); err != nil {
				panic(err)
			}
			got = append(got, one...)
		}))
		require.Equal(t, data, got)
		require.Nil(t, own.rest, "an idle connection has a buffer")
		stopped(t, network, a, b)
	})
}

// TestC4_WriteSplits into messages that every peer takes.
func TestC4_WriteSplits(t *testing.T) {
	for _, row := range []struct{ peerTakes, longest int }{{0, 16 << 10}, {1 << 20, 16 << 10}, {1000, 1000}} {
		t.Run(fmt.Sprint("a peer that takes ", row.peerTakes), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := SettingEngine{}
				settings.SCTP.MaxMessageSize = uint32(row.peerTakes)
				a, b, network := connectedPair(t, SettingEngine{}, settings)
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				conn, err := from.NetConn()
				require.NoError(t, err)
				for _, nothing := range [][]byte{nil, {}} {
					n, err := conn.Write(nothing)
					require.NoError(t, err)
					require.Zero(t, n)
				}
				data := pattern(3*row.longest + 1)
				n, err := conn.Write(data)
				require.NoError(t, err)
				require.Equal(t, len(data), n)
				for want := data; len(want) > 0; {
					m, err := to.ReceiveContext(limited(t, testTimeout))
					require.NoError(t, err)
					require.False(t, m.IsString)
					require.Equal(t, want[:min(row.longest, len(want))], m.Data)
					want = want[len(m.Data):]
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC4_WritesStayTogether, however many there are and however long they wait.
func TestC4_WritesStayTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		from, to := netConnPair(t, a, b)
		const writers, length = 5, 100_000
		for i := range writers {
			go func() { _, _ = from.Write(bytes.Repeat([]byte{byte('a' + i)}, length)) }()
		}
		got := make([]byte, writers*length)
		_, err := io.ReadFull(to, got)
		require.NoError(t, err)
		seen := map[byte]bool{}
		for ; len(got) > 0; got = got[length:] {
			require.False(t, seen[got[0]])
			seen[got[0]] = true
			require.Equal(t, bytes.Repeat(got[:1], length), got[:length])
		}
		stopped(t, network, a, b)
	})
}

// readLater reads in another goroutine.
func readLater(c net.Conn) <-chan error {
	return result(func() error {
		_, err := c.Read(make([]byte, 10))

		return err
	})
}

// TestC4_ReadDeadlines: each change of the deadline counts at once, for calls
// that wait too, and none loses a byte.
func TestC4_ReadDeadlines(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := kind.pair(t, a, b)
				begin := time.Now()
				after := func(d time.Duration) time.Time { return begin.Add(d) }
				for name, set := range map[string]func(time.Time) error{
					"SetReadDeadline": to.SetReadDeadline, "SetDeadline": to.SetDeadline,
				} {
					begin = time.Now()
					require.NoError(t, set(after(time.Second)))
					deadlinePassed(t, <-readLater(to))
					require.Equal(t, time.Second, time.Since(begin), name)
					deadlinePassed(t, <-readLater(to))
					require.Equal(t, time.Second, time.Since(begin))

					require.NoError(t, set(after(time.Minute)))
					waiting, behind := readLater(to), readLater(to)
					synctest.Wait()
					require.NoError(t, set(after(3*time.Second)))
					time.Sleep(time.Second)
					require.NoError(t, set(after(5*time.Second)))
					deadlinePassed(t, <-waiting)
					deadlinePassed(t, <-behind)
					require.Equal(t, 5*time.Second, time.Since(begin))

					require.NoError(t, set(time.Time{}))
					waiting = readLater(to)
					time.Sleep(time.Minute)
					synctest.Wait()
					require.Empty(t, waiting)
					begin = time.Now()
					require.NoError(t, set(time.Unix(1, 0)))
					deadlinePassed(t, <-waiting)
					require.Zero(t, time.Since(begin))

					_, err := from.Write([]byte("waits"))
					require.NoError(t, err)
					time.Sleep(time.Second)
					deadlinePassed(t, <-readLater(to))
					require.NoError(t, to.SetWriteDeadline(time.Unix(1, 0)))
					require.NoError(t, to.SetReadDeadline(time.Time{}))
					buf := make([]byte, 10)
					n, err := to.Read(buf)
					require.NoError(t, err)
					require.Equal(t, "waits", string(buf[:n]))
					if kind.name == "MessageConn" {
						continue
					}

					// The same for the rest of a message.
					_, err = from.Write([]byte("twelve bytes"))
					require.NoError(t, err)
					_, err = io.ReadFull(to, buf[:7])
					require.NoError(t, err)
					require.NoError(t, set(time.Unix(1, 0)))
					deadlinePassed(t, <-readLater(to))
					require.NoError(t, set(time.Time{}))
					n, err = to.Read(buf)
					require.NoError(t, err)
					require.Equal(t, "bytes", string(buf[:n]))
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC4_WriteDeadline: a Write that waits for a peer that does not read ends
// at its deadline, and what it says was queued arrives, and nothing else.
func TestC4_WriteDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		from, to := netConnPair(t, a, b)
		data := pattern(2 << 20)
		written := 0
		for _, set := range []func(time.Time) error{from.SetWriteDeadline, from.SetDeadline} {
			begin := time.Now()
			require.NoError(t, set(begin.Add(time.Minute)))
			waiting := result(func() error {
				n, err := from.Write(data[written:])
				written += n

				return err
			})
			time.Sleep(time.Second)
			behind := result(func() error {
				n, err := from.Write([]byte("not one byte"))
				require.Zero(t, n)

				return err
			})
			deadlinePassed(t, <-waiting)
			deadlinePassed(t, <-behind)
			require.Equal(t, time.Minute, time.Since(begin))
		}
		require.NotZero(t, written)
		require.Less(t, written, len(data))
		_, err := from.Write(data[written:])
		deadlinePassed(t, err)
		require.NoError(t, from.SetReadDeadline(time.Unix(1, 0)))
		require.NoError(t, from.SetWriteDeadline(time.Time{}))
		rest := result(func() error {
			if _, err := from.Write(data[written:]); err != nil {
				return err
			}

			return from.Close()
		})
		got, err := io.ReadAll(to)
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.NoError(t, <-rest)
		stopped(t, network, a, b)
	})
}

// connKinds are the two connections over a channel.
var connKinds = []struct {
	name string
	pair func(t *testing.T, a, b *stack) (from, to net.Conn)
}{
	{"NetConn", netConnPair},
	{"MessageConn", func(t *testing.T, a, b *stack) (from, to net.Conn) {
		t.Helper()

		return messageConnPair(t, a, b, DataChannelParameters{Ordered: true})
	}},
}

// TestC4_ConnIsRefused with a reason, and nothing has changed then.
func TestC4_ConnIsRefused(t *testing.T) {
	kinds := map[string]func(c *DataChannel) error{
		"NetConn":     func(c *DataChannel) error { return second(c.NetConn()) },
		"MessageConn": func(c *DataChannel) error { return second(c.MessageConn()) },
	}
	refused := func(t *testing.T, err, sentinel error, says string) {
		t.Helper()
		require.ErrorIs(t, err, sentinel)
		require.ErrorContains(t, err, says)
	}
	for name, connOf := range kinds {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				refused(t, connOf(nil), ErrInvalidState, "constructor")
				refused(t, connOf(new(DataChannel)), ErrInvalidState, "constructor")

				a, b, network := virtualPairWith(t, SettingEngine{}, detaching(), testnet.Delay(pathDelay))
				early, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Ordered: true})
				require.NoError(t, err)
				refused(t, connOf(early), ErrInvalidState, "not open yet")
				connect(t, a, b)
				detached, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
				require.NoError(t, err)
				refused(t, connOf(detached), ErrInvalidState, "detached")
				raw, err := detached.Detach()
				require.NoError(t, err)

				early.OnMessage(func(DataChannelMessage) {})
				refused(t, connOf(early), ErrInvalidState, "OnMessage")
				early.OnMessage(nil)
				_, err = raw.Write([]byte("still received"))
				require.NoError(t, err)
				m, err := early.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, "still received", string(m.Data))

				require.NoError(t, connOf(early))
				for _, connOf := range kinds {
					refused(t, connOf(early), ErrInvalidState, "has the messages")
				}
				_, err = early.ReceiveContext(limited(t, testTimeout))
				refused(t, err, ErrInvalidState, "has the messages")

				c, err := a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{Ordered: true})
				require.NoError(t, err)
				require.NoError(t, c.Close())
				refused(t, connOf(c), ErrInvalidState, "closed")
				require.NoError(t, a.sctp.Stop())
				refused(t, connOf(c), ErrInvalidState, "closed")
				stopped(t, network, a, b)
			})
		})
	}
	t.Run("a stream of what is no stream", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
			for _, params := range []DataChannelParameters{
				{},
				{Ordered: true, MaxRetransmits: ptrTo[uint16](0)},
				{Ordered: true, MaxPacketLifeTime: ptrTo[uint16](1000)},
			} {
				for _, c := range bothEnds(channelPair(t, a, b, params)) {
					refused(t, kinds["NetConn"](c), ErrInvalidArgument, "not ordered and reliable")
					require.NoError(t, kinds["MessageConn"](c), "refused, but not unchanged")
				}
			}
			stopped(t, network, a, b)
		})
	})
}

func bothEnds(from, to *DataChannel) []*DataChannel { return []*DataChannel{from, to} }

// TestC4_Addresses are those of the selected pair, as long as there is one and
// after it.
func TestC4_Addresses(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := kind.pair(t, a, b)
				pair, err := a.ice.GetSelectedCandidatePair()
				require.NoError(t, err)
				address := func(c *ICECandidate) *net.UDPAddr {
					return &net.UDPAddr{IP: net.ParseIP(c.Address).To4(), Port: int(c.Port)}
				}
				for range 2 {
					local, ok := from.LocalAddr().(*net.UDPAddr)
					require.True(t, ok)
					remote, ok := from.RemoteAddr().(*net.UDPAddr)
					require.True(t, ok)
					require.Equal(t, address(pair.Local).String(), local.String())
					require.Equal(t, address(pair.Remote).String(), remote.String())
					require.Equal(t, local.String(), to.RemoteAddr().String())
					require.Equal(t, remote.String(), to.LocalAddr().String())
					local.IP[len(local.IP)-1]++ // it is the caller's
				}
				stopped(t, network, a, b)
				require.Equal(t, address(pair.Local).String(), from.LocalAddr().String())
				require.Equal(t, address(pair.Remote).String(), from.RemoteAddr().String())
			})
		})
	}
}

// TestC4_ConcurrentCalls of every method, with an end in between: none hangs,
// and each error is one of those that are told.
func TestC4_ConcurrentCalls(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			for range 20 {
				bubble(t, func(t *testing.T) {
					a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
					from, to := kind.pair(t, a, b)
					var wg sync.WaitGroup
					loop := func(call func() error) {
						wg.Go(func() {
							for {
								switch err := call(); {
								case err == nil:
								case errors.Is(err, os.ErrDeadlineExceeded):
									time.Sleep(time.Millisecond) // in a bubble, time waits for it
								case errors.Is(err, net.ErrClosed):
									return
								default:
									t.Error(err)

									return
								}
							}
						})
					}
					go func() { _, _ = io.Copy(to, to) }()
					for i := range 3 {
						loop(func() error { return second(from.Write(make([]byte, 1000*(i+1)))) })
						loop(func() error {
							_, err := from.Read(make([]byte, 4000))

							return err
						})
						loop(func() error {
							time.Sleep(time.Millisecond)

							return from.SetDeadline(time.Now().Add(time.Duration(i-1) * time.Millisecond))
						})
						loop(func() error {
							require.NotNil(t, from.LocalAddr())
							time.Sleep(time.Millisecond)

							return from.SetReadDeadline(time.Time{})
						})
					}
					time.Sleep(50 * time.Millisecond)
					require.NoError(t, from.Close())
					wg.Wait()
					stopped(t, network, a, b)
				})
			}
		})
	}
}
