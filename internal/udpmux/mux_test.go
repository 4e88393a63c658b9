package udpmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIPv4WithinIPv6IsIPv4(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		mapped := netip.AddrPortFrom(netip.AddrFrom16(addrX.Addr().As16()), addrX.Port())
		require.True(t, mapped.Addr().Is4In6())
		b.comes(mapped, check("a", a.pwd))
		require.True(t, a.handles())
		require.Equal(t, addrX, b.wire.sent()[0].addr)
		b.comes(addrX, data(1))
		a.gets(addrX, data(1))
		b.comes(mapped, data(2))
		a.gets(addrX, data(2))
		_, err := a.WriteTo(data(3), net.UDPAddrFromAddrPort(mapped))
		require.NoError(t, err)
		a.sends(mapped, data(4))
		for _, d := range b.wire.sent() {
			require.Equal(t, addrX, d.addr)
		}
		require.Equal(t, 1, b.Stats().Addresses)
	})
	socket, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "[::]:0")
	if err != nil {
		t.Skip("no IPv6")
	}
	m, err := New(quiet, socket)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	host := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: socket.LocalAddr().(*net.UDPAddr).Port}
	conn, err := m.View(true).GetConn("a", host)
	require.NoError(t, err)
	peer, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, peer.Close()) }()
	_, err = peer.WriteTo(check("a", "password"), host)
	require.NoError(t, err)
	_, from, err := conn.(*handle).ReadFromAddrPort(make([]byte, 1000))
	require.NoError(t, err)
	require.Equal(t, addrPort(peer.LocalAddr()), from)
	_, err = conn.WriteTo(data(1), peer.LocalAddr())
	require.NoError(t, err)
	n, _, err := peer.ReadFrom(make([]byte, 1000))
	require.NoError(t, err)
	require.Equal(t, len(data(1)), n)
}

// slowWire takes a second to notice that it is closed.
type slowWire struct{ *wire }

func (w slowWire) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := w.wire.ReadFrom(p)
	if err != nil {
		time.Sleep(time.Second)
	}

	return n, from, err
}

func TestCloseWaitsForTheReader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m, err := New(quiet, slowWire{newWire(local)})
		require.NoError(t, err)
		begin := time.Now()
		require.NoError(t, m.Close())
		require.Equal(t, time.Second, time.Since(begin))
	})
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:5":          "192.0.2.1:5",
		"[::ffff:192.0.2.1]:5": "192.0.2.1:5",
		"[2001:db8::1%eth0]:5": "[2001:db8::1]:5",
		"[fe80::1%eth0]:5":     "[fe80::1%eth0]:5",
	} {
		require.Equal(t, want, canonical(netip.MustParseAddrPort(in)).String())
	}
	for _, none := range []net.Addr{nil, (*net.UDPAddr)(nil), &net.TCPAddr{}, &net.UDPAddr{Port: -1}, &net.UDPAddr{Port: 70000}} {
		require.False(t, addrPort(none).IsValid(), "%v", none)
	}
}

// A socket that is bound to no address has candidates of both families, which
// do not get each other's packets.
func TestAnUnspecifiedSocket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire("[::]:5000")
		m, err := New(quiet, w)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Close()) }()
		view := m.View(true)
		get := func(addr string) *agent {
			conn, err := view.GetConn("a", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
			require.NoError(t, err)

			return &agent{conn.(*handle), t, w, "password of a"}
		}
		four, alias, six := get("10.0.0.1:5000"), get("10.0.0.2:5000"), get("[2001:db8::5]:5000")
		require.Equal(t, "10.0.0.2:5000", alias.LocalAddr().String())
		b := &bench{m, t, w}
		for _, tc := range []struct {
			from     netip.AddrPort
			gets, no *agent
		}{{addrX, alias, six}, {addrZ, six, four}} {
			packet := check("a", "password of a")
			b.comes(tc.from, packet)
			tc.no.getsNothing()
			tc.gets.gets(tc.from, packet)
		}
		require.NoError(t, four.Close())
		packet := check("a", "password of a")
		b.comes(addrX, packet)
		alias.gets(addrX, packet)
		require.NoError(t, alias.Close())
		b.comes(addrX, packet)
		require.EqualValues(t, 1, m.Stats().UnknownUfrag)
		require.Equal(t, 1, m.Stats().Sessions)
		require.NoError(t, six.Close())
		require.Zero(t, m.Stats().Sessions)
	})
}

func TestGetConnRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		view, other := b.View(true), b.View(true)
		for _, addr := range []net.Addr{
			nil, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5000},
			&net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5001}, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 5000},
		} {
			_, err := view.GetConn("a", addr)
			require.ErrorContains(t, err, "no socket of the UDP mux")
		}
		one, err := view.GetConn("a", b.wire.local)
		require.NoError(t, err)
		_, err = other.GetConn("a", b.wire.local)
		require.ErrorIs(t, err, ErrInUse)
		other.RemoveConnByUfrag("a") // not its own
		require.Equal(t, 1, b.Stats().Sessions)
		two, err := view.GetConn("a", b.wire.local)
		require.NoError(t, err)
		require.Equal(t, 1, b.Stats().Sessions)
		require.NoError(t, one.Close())
		require.NoError(t, one.Close())
		require.Equal(t, 1, b.Stats().Sessions)
		require.NoError(t, two.Close())
		require.Zero(t, b.Stats().Sessions)
		three, err := other.GetConn("a", b.wire.local)
		require.NoError(t, err)
		require.NoError(t, three.Close())
		require.NoError(t, b.Close())
		_, err = view.GetConn("a", b.wire.local)
		require.ErrorIs(t, err, net.ErrClosed)
	})
	w := newWire(local)
	w.local = &net.TCPAddr{}
	_, err := New(quiet, w)
	require.ErrorIs(t, err, errNoUDPAddress)
}

// reading reads beside the test; the result comes on the channel.
func reading(c net.PacketConn) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 100))
		done <- err
	}()
	synctest.Wait()

	return done
}

func TestReadsEnd(t *testing.T) {
	for name, end := range map[string]func(b *bench, a *agent) (want error){
		"deadline": func(_ *bench, a *agent) error {
			_ = a.SetDeadline(time.Now().Add(time.Hour))
			time.Sleep(time.Hour)

			return os.ErrDeadlineExceeded
		},
		"past deadline": func(_ *bench, a *agent) error {
			_ = a.SetReadDeadline(time.Unix(1, 0))

			return os.ErrDeadlineExceeded
		},
		"candidate closed": func(_ *bench, a *agent) error {
			_ = a.Close()

			return net.ErrClosed
		},
		"session removed": func(_ *bench, a *agent) error {
			a.conn.session.owner.RemoveConnByUfrag("a")

			return net.ErrClosed
		},
		"mux closed": func(b *bench, _ *agent) error {
			_ = b.Close()

			return io.ErrClosedPipe
		},
		"socket ended": func(b *bench, _ *agent) error {
			b.wire.in <- datagram{err: io.EOF}

			return io.EOF
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t)
				a := b.join("a")
				done, alias := reading(a), reading(b.joinAs(a.conn.session.owner, "a"))
				want := end(b, a)
				synctest.Wait()
				require.ErrorIs(t, <-done, want)
				if name == "session removed" || name == "mux closed" || name == "socket ended" {
					synctest.Wait()
					require.Len(t, alias, 1, "the other candidate of the session")
				}
				if want != os.ErrDeadlineExceeded { //nolint:errorlint // it is that one
					_, err := a.WriteTo(data(1), net.UDPAddrFromAddrPort(addrX))
					require.ErrorIs(t, err, want)
				} else {
					require.NoError(t, a.SetReadDeadline(time.Time{}))
					again := reading(a)
					require.NoError(t, a.Close())
					require.ErrorIs(t, <-again, net.ErrClosed)
				}
				require.NoError(t, a.Close())
				if name == "candidate closed" || want == os.ErrDeadlineExceeded { //nolint:errorlint // as above
					require.Empty(t, alias, "another candidate of the session reads on")
					b.comes(addrX, check("a", "x"))
					require.NoError(t, <-alias)
				} else {
					require.ErrorIs(t, <-alias, want)
				}
				require.NoError(t, b.Close())
				require.NoError(t, b.Close())
			})
		})
	}
}

func TestAShortBuffer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		b.checked(a, addrX)
		b.comes(addrX, data(1))
		n, _, err := a.ReadFrom(make([]byte, 3))
		require.ErrorIs(t, err, io.ErrShortBuffer)
		require.Equal(t, 3, n)
		a.getsNothing()
	})
}

func TestWriteErrors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		for _, passing := range []error{syscall.ENOBUFS, syscall.EAGAIN, syscall.ENOMEM, os.ErrDeadlineExceeded} {
			b.wire.fail = &net.OpError{Op: "write", Err: os.NewSyscallError("sendto", passing)}
			n, err := a.WriteToAddrPort(data(1), addrX)
			require.NoError(t, err)
			require.Equal(t, len(data(1)), n)
		}
		b.wire.fail = errBroken
		_, err := a.WriteToAddrPort(data(1), addrX)
		require.ErrorIs(t, err, errBroken)
		require.EqualValues(t, 5, b.Stats().WriteErrors)
		for _, to := range []net.Addr{nil, &net.TCPAddr{IP: net.IPv4(1, 1, 1, 1), Port: 1}} {
			_, err = a.WriteTo(data(1), to)
			require.ErrorIs(t, err, errNoUDPAddress)
		}
	})
}

// A socket may fail for a while; if it does not work again, its sessions end.
func TestReadErrors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		for range 5 {
			for range 10 {
				b.wire.in <- datagram{err: errBroken}
			}
			time.Sleep(10 * time.Second)
			b.comes(addrX, check("a", a.pwd))
			require.True(t, a.handles())
		}
		require.EqualValues(t, 50, b.Stats().ReadErrors)
		b.wire.in <- datagram{data: []byte("from nowhere")}
		for range 1000 {
			b.wire.in <- datagram{err: errBroken}
		}
		begin := time.Now()
		require.NoError(t, a.SetReadDeadline(time.Time{}))
		_, _, err := a.ReadFrom(make([]byte, 10))
		require.ErrorIs(t, err, errBroken)
		require.Less(t, time.Since(begin), time.Minute)
		require.EqualValues(t, 1, b.Stats().Malformed)
		require.Zero(t, b.Stats().Sessions)
	})
	inBubble(t, func(t *testing.T) { // a pause does not hold up the close
		b := newBench(t)
		for range 20 {
			b.wire.in <- datagram{err: errBroken}
		}
		time.Sleep(5 * time.Second)
		begin := time.Now()
		require.NoError(t, b.Close())
		require.Zero(t, time.Since(begin))
	})
}

// Everything at once, for the race detector: sessions come and go while
// packets arrive and leave.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 100 {
				view := b.View(i%2 == 0)
				ufrag := fmt.Sprintf("s%d-%d", worker, i)
				conn, err := view.GetConn(ufrag, b.wire.local)
				if err != nil {
					t.Error(err)

					return
				}
				a := &agent{conn.(*handle), t, b.wire, "password"}
				packet := check(ufrag, "password")
				b.wire.in <- datagram{addr: addrX, data: packet}
				buf := make([]byte, 1000)
				n, from, err := a.ReadFromAddrPort(buf)
				if err != nil || string(buf[:n]) != string(packet) {
					t.Errorf("%v, % x", err, buf[:n])
				}
				a.sends(from, answerTo(packet, bindingSuccess))
				answer := a.asks(addrX, useCandidate{})
				b.wire.in <- datagram{addr: addrX, data: answer}
				b.wire.in <- datagram{addr: addrX, data: data(i)}
				_ = b.Stats()
				if i%3 == 0 {
					view.RemoveConnByUfrag(ufrag)
				}
				if err = conn.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s := b.Stats()
	require.Zero(t, s.Sessions+s.Addresses+s.Checks)
}

// blockedConn is somebody else's, whose writes block until it is closed.
type blockedConn struct {
	net.PacketConn

	free    chan struct{}
	written chan []byte
}

func (c *blockedConn) WriteTo(p []byte, _ net.Addr) (int, error) {
	<-c.free
	c.written <- append([]byte(nil), p...)

	return len(p), nil
}

func TestGuard(t *testing.T) {
	to := net.UDPAddrFromAddrPort(addrX)
	inBubble(t, func(t *testing.T) { // a write that never returns
		w := newWire(local)
		foreign := &blockedConn{w, make(chan struct{}), make(chan []byte, 1000)}
		conn := Guard(foreign)
		begin := time.Now()
		for i := range 1000 {
			n, err := conn.WriteTo(data(i), to)
			require.NoError(t, err)
			require.Equal(t, len(data(i)), n)
			if i == 0 {
				synctest.Wait() // it is on its way
			}
		}
		require.Zero(t, time.Since(begin))
		done := reading(conn)
		require.NoError(t, conn.Close())
		require.Less(t, time.Since(begin), 50*time.Millisecond)
		require.ErrorIs(t, <-done, net.ErrClosed)
		_, err := conn.WriteTo(data(0), to)
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.NoError(t, conn.Close())
		close(foreign.free)
		synctest.Wait()
		require.Len(t, foreign.written, guardQueue+1, "what was on its way, and the queue")
		require.Equal(t, data(0), <-foreign.written)
	})
	inBubble(t, func(t *testing.T) { // the last packets go before the close
		w := newWire(local)
		conn := Guard(w)
		for i := range 10 {
			_, err := conn.WriteTo(data(i), to)
			require.NoError(t, err)
		}
		require.NoError(t, conn.SetDeadline(time.Now()))
		require.NoError(t, conn.SetWriteDeadline(time.Now()))
		require.NoError(t, conn.Close())
		require.Len(t, w.sent(), 10)
	})
	inBubble(t, func(t *testing.T) { // the methods of our own module's kind
		b := newBench(t)
		a := b.join("a")
		conn := Guard(a.handle)
		fast, ok := conn.(addrPortConn)
		require.True(t, ok)
		_, err := fast.WriteToAddrPort(data(1), addrX)
		require.NoError(t, err)
		_, err = fast.WriteToAddrPort(make([]byte, maxPacket+1), addrX)
		require.NoError(t, err)
		_, err = conn.WriteTo(data(2), to)
		require.NoError(t, err)
		_, err = conn.WriteTo(data(2), nil)
		require.ErrorIs(t, err, errNoUDPAddress)
		synctest.Wait()
		require.Len(t, b.wire.sent(), 2)
		b.comes(addrX, data(3))
		n, from, err := fast.ReadFromAddrPort(make([]byte, 100))
		require.NoError(t, err)
		require.Equal(t, len(data(3)), n)
		require.Equal(t, addrX, from)
		require.NoError(t, conn.Close())
		require.False(t, errors.Is(conn.Close(), net.ErrClosed))
	})
	conn := Guard(newWire(local))
	_, ok := conn.(addrPortConn)
	require.False(t, ok, "what the connection cannot do is not offered")
	require.NoError(t, conn.Close()) // nothing was written
}
