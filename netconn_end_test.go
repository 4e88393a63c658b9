package webrtc

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/deadline"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// writeFull writes until there is no room, and goes on waiting.
func writeFull(c net.Conn) <-chan error {
	full := result(func() error {
		for {
			if _, err := c.Write(make([]byte, 8000)); err != nil {
				return err
			}
		}
	})
	time.Sleep(time.Minute)
	synctest.Wait()

	return full
}

func limitsOf(t *testing.T, c net.Conn) []*deadline.Deadline {
	t.Helper()
	switch c := c.(type) {
	case *netConn:
		return []*deadline.Deadline{c.readLimit, c.writeLimit}
	case *messageConn:
		return []*deadline.Deadline{c.readLimit, c.writeLimit}
	}
	t.Fatalf("%T", c)

	return nil
}

// TestC4_Close wakes what waits on this side, delivers what was written, and is
// the end of the file on the other side.
func TestC4_Close(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
				from, to := kind.pair(t, a, b)
				reads := []<-chan error{readLater(from), readLater(from)}
				full := writeFull(from)
				_, err := to.Write([]byte("never read"))
				require.NoError(t, err)
				isOneOf := func(err error) {
					if err != nil { // one of the two has read what came
						closedByUs(t, err)
					}
				}
				require.NoError(t, from.SetDeadline(time.Now().Add(24*time.Hour)))
				time.Sleep(time.Second)
				begin := time.Now()
				require.NoError(t, from.Close())
				for _, limit := range limitsOf(t, from) {
					_, set := limit.Deadline()
					require.False(t, set, "a timer goes on")
				}
				require.NoError(t, from.Close(), "closing again")
				isOneOf(<-reads[0])
				isOneOf(<-reads[1])
				closedByUs(t, <-full)
				require.Zero(t, time.Since(begin))
				_, err = from.Read(make([]byte, 10))
				closedByUs(t, err)
				for _, data := range [][]byte{nil, []byte("late")} {
					_, err = from.Write(data)
					closedByUs(t, err)
				}
				for _, set := range []func(time.Time) error{from.SetDeadline, from.SetReadDeadline, from.SetWriteDeadline} {
					closedByUs(t, set(time.Time{}))
				}

				n, err := io.Copy(io.Discard, to)
				require.NoError(t, err)
				require.Greater(t, n, int64(smallBuffers().DataChannel.MaxBuffered))
				for range 2 {
					_, err = to.Read(make([]byte, 10))
					require.Equal(t, io.EOF, err)
				}
				_, err = to.Write([]byte("late"))
				require.ErrorIs(t, err, io.ErrClosedPipe)
				require.ErrorIs(t, err, io.EOF)
				require.NotEqual(t, io.EOF, err, "writers take it for no error")
				require.NotErrorIs(t, err, net.ErrClosed)
				require.NoError(t, to.SetDeadline(time.Time{}))

				require.NoError(t, to.Close())
				_, err = to.Read(make([]byte, 10))
				closedByUs(t, err)
				_, err = to.Write([]byte("late"))
				closedByUs(t, err)
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC4_ConnEndsWithTheStack: each end from below is told to those who wait,
// with its cause; deadlines that have passed change nothing about it.
func TestC4_ConnEndsWithTheStack(t *testing.T) {
	is := func(target error) func(t *testing.T, err error) {
		return func(t *testing.T, err error) {
			t.Helper()
			var ours *Error
			require.ErrorAs(t, err, &ours)
			require.ErrorIs(t, err, target)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		}
	}
	isAbort := func(t *testing.T, err error) {
		t.Helper()
		var abort *SCTPAbortError
		require.ErrorAs(t, err, &abort)
		require.True(t, abort.Remote)
	}
	for name, row := range map[string]struct {
		end   func(t *testing.T, a, b *stack, network *testnet.Network) error
		read  func(t *testing.T, err error)
		write func(t *testing.T, err error)
	}{
		"own Stop": {
			func(_ *testing.T, a, _ *stack, _ *testnet.Network) error { return a.ice.Stop() },
			closedByUs, closedByUs,
		},
		"the peer's Stop": {
			func(_ *testing.T, _, b *stack, _ *testnet.Network) error { return b.sctp.Stop() },
			isAbort, isAbort,
		},
		"a dead path": {
			func(_ *testing.T, _, _ *stack, network *testnet.Network) error {
				network.Cut(true)

				return nil
			}, is(ErrICEFailed), is(ErrICEFailed),
		},
		"the context of Run": {
			func(t *testing.T, a, _ *stack, _ *testnet.Network) error {
				err := a.sctp.Run(limited(t, time.Second))
				require.ErrorIs(t, err, context.DeadlineExceeded)

				return nil
			}, is(context.DeadlineExceeded), is(context.DeadlineExceeded),
		},
	} {
		for _, kind := range connKinds {
			t.Run(kind.name+", "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := connectedPair(t, flaky(), flaky())
					conn, _ := kind.pair(t, a, b)
					local, remote := conn.LocalAddr(), conn.RemoteAddr()
					reading, writing := readLater(conn), writeFull(conn)
					require.NoError(t, row.end(t, a, b, network))
					row.read(t, <-reading)
					row.write(t, <-writing)
					require.NoError(t, conn.SetDeadline(time.Unix(1, 0)))
					_, err := conn.Write([]byte("late"))
					row.write(t, err)
					require.NoError(t, conn.SetDeadline(time.Time{}))
					_, err = conn.Read(make([]byte, 10))
					row.read(t, err)
					require.Equal(t, local, conn.LocalAddr())
					require.Equal(t, remote, conn.RemoteAddr())
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// TestC4_TheRestIsReadBeforeTheEnd: also the part of a message that waits, and
// by a connection that is made after the peer has closed; but not after our own
// end.
func TestC4_TheRestIsReadBeforeTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		for _, early := range []bool{true, false} {
			from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
			require.NoError(t, from.SendText("the rest"))
			require.NoError(t, from.SendText(" and more"))
			if !early {
				require.NoError(t, from.Shutdown(limited(t, testTimeout)))
				awaitChannel(t, to, DataChannelStateClosed)
			}
			conn, err := to.NetConn()
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, len("the ")))
			require.NoError(t, err)
			require.NoError(t, from.Shutdown(limited(t, testTimeout)))
			awaitChannel(t, to, DataChannelStateClosed)
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, "rest and more", string(got))
		}
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, from.SendText("the rest"))
		conn, err := to.NetConn()
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, len("the ")))
		require.NoError(t, err)
		require.NoError(t, b.sctp.Stop())
		_, err = conn.Read(make([]byte, 10))
		closedByUs(t, err)
		stopped(t, network, a, b)
	})
}
