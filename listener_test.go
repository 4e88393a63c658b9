package webrtc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// dial opens a channel and makes a connection of it.
func dial(ctx context.Context, s *stack, label string) (net.Conn, error) {
	c, err := s.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: label, Ordered: true})
	if err != nil {
		return nil, err
	}

	return c.NetConn()
}

// listenOn makes a listener that a test does not expect to be refused.
func listenOn(t *testing.T, s *stack) *Listener {
	t.Helper()
	l, err := s.sctp.Listen()
	require.NoError(t, err)

	return l
}

func acceptLater(l *Listener) <-chan error {
	return result(func() error { return second(l.Accept()) })
}

// TestC4_ListenerAccepts what is a stream, in the order in which it comes, and
// closes what is none. It may be made before the connection.
func TestC4_ListenerAccepts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPairWith(t, flaky(), flaky(), testnet.Delay(pathDelay))
		l, last := listenOn(t, b), listenOn(t, b)
		require.Equal(t, ":0", l.Addr().String())
		require.Equal(t, "udp", l.Addr().Network())
		connect(t, a, b)
		ctx := limited(t, testTimeout)
		var others []*DataChannel
		for _, params := range []DataChannelParameters{
			{}, {Ordered: true, MaxRetransmits: ptrTo[uint16](3)}, {Ordered: true, MaxPacketLifeTime: ptrTo[uint16](3)},
		} {
			c, err := a.sctp.OpenDataChannel(ctx, &params)
			require.NoError(t, err)
			others = append(others, c)
		}
		for i := range 3 {
			conn, err := dial(ctx, a, fmt.Sprint(i))
			require.NoError(t, err)
			_, err = fmt.Fprint(conn, "hello ", i)
			require.NoError(t, err)
			require.NoError(t, conn.Close(), "before it was accepted")
		}
		for i := range 3 {
			accept := l.Accept
			switch i {
			case 1:
				accept = func() (net.Conn, error) { return l.AcceptContext(ctx) }
			case 2:
				accept = last.Accept
			}
			conn, err := accept()
			require.NoError(t, err)
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("hello ", i), string(got))
			require.Equal(t, conn.LocalAddr(), l.Addr())
			require.NoError(t, conn.Close())
		}
		for _, c := range others {
			awaitChannel(t, c, DataChannelStateClosed)
		}
		network.Cut(true)
		<-b.ice.Context().Done()
		require.Equal(t, l.Addr(), last.Addr(), "it was not asked before")
		stopped(t, network, a, b)
	})
}

// TestC4_ListenerLeavesOthersAlone: a channel whose messages the program has
// taken stays the program's.
func TestC4_ListenerLeavesOthersAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		l := listenOn(t, b)
		got := make(chan string, 1)
		b.sctp.OnDataChannelOpened(func(c *DataChannel) {
			if c.Label() == "taken" {
				c.OnMessage(func(m DataChannelMessage) { got <- string(m.Data) })
			}
		})
		ctx := limited(t, testTimeout)
		taken, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "taken", Ordered: true})
		require.NoError(t, err)
		synctest.Wait()
		_, err = dial(ctx, a, "next")
		require.NoError(t, err)
		_, err = l.Accept()
		require.NoError(t, err)
		require.NoError(t, taken.SendText("hello"))
		require.Equal(t, "hello", <-got)
		stopped(t, network, a, b)
	})
}

// TestC4_ListenerClose ends what waits, and nothing else.
func TestC4_ListenerClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		ctx := limited(t, testTimeout)
		l, other := listenOn(t, b), listenOn(t, b)
		from, err := dial(ctx, a, "stays")
		require.NoError(t, err)
		conn, err := l.Accept()
		require.NoError(t, err)
		waiting := []<-chan error{acceptLater(l), acceptLater(l), result(func() error {
			return second(l.AcceptContext(context.Background()))
		})}
		others := acceptLater(other)
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, l.Close())
		require.NoError(t, l.Close(), "closing again")
		for _, call := range waiting {
			err := <-call
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, err, ErrClosed)
		}
		require.ErrorIs(t, <-acceptLater(l), net.ErrClosed)
		_, err = l.AcceptContext(ctx)
		require.ErrorIs(t, err, net.ErrClosed)
		require.Zero(t, time.Since(begin))

		synctest.Wait()
		require.Empty(t, others)
		_, err = from.Write([]byte("works"))
		require.NoError(t, err)
		buf := make([]byte, 10)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "works", string(buf[:n]))
		_, err = dial(ctx, a, "the other's")
		require.NoError(t, err)
		require.NoError(t, <-others)
		_, err = dial(ctx, a, "waits")
		require.NoError(t, err)
		for range 20 {
			_, err = l.AcceptContext(ctx)
			require.ErrorIs(t, err, net.ErrClosed, "a channel that waits is none of it")
		}
		_, err = listenOn(t, b).AcceptContext(ctx)
		require.NoError(t, err, "a channel was lost with the listener")
		require.NotEqual(t, ":0", l.Addr().String())
		stopped(t, network, a, b)
	})
}

// TestC4_AcceptEnds with its context, and with the transport.
func TestC4_AcceptEnds(t *testing.T) {
	graceful := func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, net.ErrClosed, "a server takes it for a failure")
		require.ErrorIs(t, err, io.EOF)
		require.NotErrorIs(t, err, ErrClosed)
	}
	for name, row := range map[string]struct {
		end   func(t *testing.T, a, b *stack, network *testnet.Network) error
		check func(t *testing.T, err error)
	}{
		"own Stop": {
			func(_ *testing.T, _, b *stack, _ *testnet.Network) error { return b.ice.Stop() },
			deadlineFree(closedByUs),
		},
		"own Shutdown": {
			func(t *testing.T, _, b *stack, _ *testnet.Network) error {
				return b.sctp.Shutdown(limited(t, testTimeout))
			},
			deadlineFree(closedByUs),
		},
		"the peer's Shutdown": {
			func(t *testing.T, a, _ *stack, _ *testnet.Network) error {
				return a.sctp.Shutdown(limited(t, testTimeout))
			},
			deadlineFree(graceful),
		},
		"the peer's Stop": {
			func(_ *testing.T, a, _ *stack, _ *testnet.Network) error { return a.sctp.Stop() },
			deadlineFree(func(t *testing.T, err error) {
				t.Helper()
				var abort *SCTPAbortError
				require.ErrorAs(t, err, &abort)
				require.NotErrorIs(t, err, net.ErrClosed)
			}),
		},
		"a dead path": {
			func(_ *testing.T, _, _ *stack, network *testnet.Network) error {
				network.Cut(true)

				return nil
			},
			deadlineFree(func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, ErrICEFailed)
				require.NotErrorIs(t, err, net.ErrClosed)
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, flaky(), flaky())
				l := listenOn(t, b)
				waiting := acceptLater(l)
				synctest.Wait()
				require.NoError(t, row.end(t, a, b, network))
				row.check(t, <-waiting)
				row.check(t, <-acceptLater(l))
				_, err := b.sctp.Listen()
				require.ErrorIs(t, err, ErrInvalidState)
				require.ErrorContains(t, err, "ended")
				require.NoError(t, l.Close())
				stopped(t, network, a, b)
			})
		})
	}
	t.Run("context", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
			l := listenOn(t, b)
			ctx, cancel := context.WithCancelCause(context.Background())
			waiting := result(func() error { return second(l.AcceptContext(ctx)) })
			synctest.Wait()
			cancel(errTest)
			err := <-waiting
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errTest)
			require.NotErrorIs(t, err, net.ErrClosed)
			stopped(t, network, a, b)
		})
	})
	t.Run("what came before the peer's end", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
			l := listenOn(t, b)
			conn, err := dial(limited(t, testTimeout), a, "")
			require.NoError(t, err)
			_, err = conn.Write([]byte("and good-bye"))
			require.NoError(t, err)
			require.NoError(t, a.sctp.Shutdown(limited(t, testTimeout)))
			<-b.sctp.Context().Done()
			accepted, err := l.Accept()
			require.NoError(t, err)
			got, err := io.ReadAll(accepted)
			require.NoError(t, err)
			require.Equal(t, "and good-bye", string(got))
			graceful(t, <-acceptLater(l))
			stopped(t, network, a, b)
		})
	})
}

// deadlineFree also checks that it is one of our errors, and no timeout.
func deadlineFree(check func(t *testing.T, err error)) func(t *testing.T, err error) {
	return func(t *testing.T, err error) {
		t.Helper()
		var ours *Error
		require.ErrorAs(t, err, &ours)
		require.False(t, ours.Timeout())
		check(t, err)
	}
}

// TestC4_ListenIsRefused, and takes nothing then.
func TestC4_ListenIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, detaching(), SettingEngine{})
		_, err := a.sctp.Listen()
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorContains(t, err, "detached")

		l := listenOn(t, b)
		waiting := acceptLater(l)
		synctest.Wait()
		handled := make(chan *DataChannel, 1)
		b.sctp.OnDataChannel(func(c *DataChannel) { handled <- c })
		require.ErrorIs(t, <-waiting, ErrInvalidState)
		_, err = b.sctp.Listen()
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorContains(t, err, "OnDataChannel")
		c, err := a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{Ordered: true})
		require.NoError(t, err)
		<-handled
		b.sctp.OnDataChannel(nil)
		require.NoError(t, c.Close())

		// A channel that waits is still there after Listen.
		_, err = a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{Ordered: true})
		require.NoError(t, err)
		listenOn(t, b)
		_, err = b.sctp.AcceptDataChannel(limited(t, testTimeout))
		require.NoError(t, err)
		stopped(t, network, a, b)
	})
	for _, none := range []*SCTPTransport{nil, {}} {
		_, err := none.Listen()
		require.ErrorIs(t, err, ErrInvalidState)
	}
	for _, none := range []*Listener{nil, {}} {
		require.ErrorIs(t, second(none.Accept()), ErrInvalidState)
		require.ErrorIs(t, second(none.AcceptContext(context.Background())), ErrInvalidState)
		require.ErrorIs(t, none.Close(), ErrInvalidState)
		require.NotNil(t, none.Addr())
	}
	bubble(t, func(t *testing.T) {
		_, b, _ := virtualPair(t)
		require.ErrorIs(t, second(listenOn(t, b).AcceptContext(noContext)), ErrInvalidArgument)
	})
}

// TestC4_HTTP serves and asks over one connection: many requests at a time,
// connections that are used again, and large bodies both ways.
func TestC4_HTTP(t *testing.T) {
	for _, end := range []string{"server", "transport", "peer's transport"} {
		t.Run("ended by the "+end, func(t *testing.T) {
			bubble(t, func(t *testing.T) { testHTTP(t, end) })
		})
	}
}

func testHTTP(t *testing.T, end string) {
	t.Helper()
	a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)

				return
			}
			time.Sleep(100 * time.Millisecond)
			w.Header().Set("From", r.RemoteAddr)
			_, _ = w.Write(bytes.ToUpper(body))
		}),
	}
	l := listenOn(t, b)
	served := result(func() error { return server.Serve(l) })
	var dialed atomic.Int32
	transport := &http.Transport{
		MaxIdleConnsPerHost: 20,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, a, fmt.Sprint("http ", dialed.Add(1)))
		},
	}
	client := &http.Client{Transport: transport}
	ask := func(body string) error {
		request, err := http.NewRequestWithContext(limited(t, testTimeout), http.MethodPost, "http://peer/", strings.NewReader(body))
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		switch {
		case err != nil:
			return err
		case string(got) != strings.ToUpper(body):
			return fmt.Errorf("%d bytes of %d, or other ones", len(got), len(body))
		case response.Header.Get("From") != pairAddress(t, b):
			return fmt.Errorf("from %q", response.Header.Get("From"))
		}

		return nil
	}
	const parallel = 20
	for range 3 {
		answers := make([]<-chan error, parallel)
		for i := range answers {
			answers[i] = result(func() error { return ask(fmt.Sprint("request ", i)) })
		}
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		time.Sleep(time.Second)
	}
	require.EqualValues(t, parallel, dialed.Load(), "connections are not used again")
	require.NoError(t, ask(strings.Repeat("a large body ", 100_000)))
	require.EqualValues(t, parallel, dialed.Load())

	switch end {
	case "server":
		late := result(func() error { return ask("before the shutdown") })
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, server.Shutdown(limited(t, testTimeout)))
		require.NoError(t, <-late)
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		require.Equal(t, SCTPTransportStateConnected, b.sctp.State())
	case "transport":
		require.NoError(t, b.sctp.Stop())
		require.ErrorIs(t, <-served, net.ErrClosed)
	case "peer's transport":
		require.NoError(t, a.sctp.Shutdown(limited(t, testTimeout)))
		require.ErrorIs(t, <-served, net.ErrClosed)
	}
	transport.CloseIdleConnections()
	require.NoError(t, server.Close())
	stopped(t, network, a, b)
}

// pairAddress is the peer's address, as s sees it.
func pairAddress(t *testing.T, s *stack) string {
	t.Helper()
	pair, err := s.ice.GetSelectedCandidatePair()
	require.NoError(t, err)

	return fmt.Sprintf("%s:%d", pair.Remote.Address, pair.Remote.Port)
}
