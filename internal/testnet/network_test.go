package testnet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pair(t *testing.T, opts ...Option) (n *Network, a, b transport.UDPConn) {
	t.Helper()
	n = Pair(t, opts...)
	conns := [2]transport.UDPConn{}
	for i := range conns {
		conn, err := n.Net(i).ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, byte(i+1)), Port: 5000})
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		conns[i] = conn
	}

	return n, conns[0], conns[1]
}

func send(t *testing.T, from, to transport.UDPConn, text string) {
	t.Helper()
	n, err := from.WriteTo([]byte(text), to.LocalAddr())
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

// receive returns what arrives within a second.
func receive(t *testing.T, c transport.UDPConn) (texts []string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
	buf := make([]byte, 64)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return texts
		}
		texts = append(texts, string(buf[:n]))
	}
}

func TestPairDelaysAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Delay(40*time.Millisecond))
		began := time.Now()
		send(t, a, b, "x")
		buf := make([]byte, 8)
		_, from, err := b.ReadFrom(buf)
		require.NoError(t, err)
		assert.Equal(t, 40*time.Millisecond, time.Since(began))
		assert.Equal(t, "10.0.0.1:5000", from.String())
		assert.Equal(t, 1, n.OpenSockets(0))
		require.NoError(t, a.Close())
		assert.Zero(t, n.OpenSockets(0))
		_, err = a.WriteTo(buf, b.LocalAddr())
		require.ErrorIs(t, err, net.ErrClosed)
		n.Close()
		n.Close()
	})
}

// A network that is closed with packets under way and a reader blocked leaves
// no goroutine: the bubble would fail.
func TestPairClosesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Delay(time.Second), Filter(func(int, []byte) Action {
			return Action{Delay: time.Minute, Copies: 1}
		}))
		for range 100 {
			send(t, a, b, "x")
		}
		go func() { _, _, _ = b.ReadFrom(make([]byte, 8)) }()
	})
}

func TestPairFaults(t *testing.T) {
	replace := []byte("bad")
	for name, tc := range map[string]struct {
		act  func(text string) Action
		want []string
	}{
		"nothing":   {func(string) Action { return Action{} }, []string{"0", "1", "2"}},
		"drop":      {func(s string) Action { return Action{Drop: s == "1"} }, []string{"0", "2"}},
		"duplicate": {func(string) Action { return Action{Copies: 1} }, []string{"0", "0", "1", "1", "2", "2"}},
		"reorder": {func(s string) Action {
			if s == "0" {
				return Action{Delay: 10 * time.Millisecond}
			}

			return Action{}
		}, []string{"1", "2", "0"}},
		"corrupt": {func(s string) Action {
			if s == "2" {
				return Action{Payload: replace}
			}

			return Action{}
		}, []string{"0", "1", "bad"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a, b := pair(t, Filter(func(from int, payload []byte) Action {
					assert.Equal(t, 0, from)

					return tc.act(string(payload))
				}))
				for i := range 3 {
					send(t, a, b, fmt.Sprint(i))
				}
				assert.Equal(t, tc.want, receive(t, b))
				assert.Equal(t, 3, n.Sent(0))
			})
		})
	}
}

func TestPairLossIsRepeatable(t *testing.T) {
	run := func(seed uint64) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			_, a, b := pair(t, Loss(0.3, seed))
			for i := range 200 {
				send(t, a, b, fmt.Sprint(i))
			}
			got = receive(t, b)
		})

		return got
	}
	first := run(1)
	assert.Equal(t, first, run(1))
	assert.NotEqual(t, first, run(2))
	assert.InDelta(t, 140, len(first), 25)
}

func TestPairCutAndHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t)
		n.Cut(true)
		send(t, a, b, "lost")
		send(t, b, a, "lost")
		n.Cut(false)
		n.OnPacket(func(from int, payload []byte) bool { return from == 1 && payload[0] == 'd' })
		send(t, a, b, "d0")
		send(t, b, a, "d1")
		n.OnPacket(nil)
		send(t, b, a, "d2")
		assert.Equal(t, []string{"d0"}, receive(t, b))
		assert.Equal(t, []string{"d2"}, receive(t, a))
	})
}

// Whatever way a layer opens its socket, the network sees its packets.
func TestPairSeesEverySocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, b := pair(t)
		host := n.Net(0)
		to := b.LocalAddr().(*net.UDPAddr)
		dialed, err := host.Dial("udp4", to.String())
		require.NoError(t, err)
		viaDialer, err := host.CreateDialer(&net.Dialer{}).Dial("udp4", to.String())
		require.NoError(t, err)
		for _, c := range []net.Conn{dialed, viaDialer} {
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
		}
		packets, err := host.ListenPacket("udp4", "10.0.0.1:0")
		require.NoError(t, err)
		configured, err := host.CreateListenConfig(&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", "10.0.0.1:0")
		require.NoError(t, err)
		for _, c := range []net.PacketConn{packets, configured} {
			_, err = c.WriteTo([]byte("x"), to)
			require.NoError(t, err)
			_, err = c.(transport.UDPConn).WriteToUDP([]byte("x"), to)
			require.NoError(t, err)
		}
		assert.Equal(t, 6, n.Sent(0))
		assert.Equal(t, 5, n.OpenSockets(0))
		assert.Len(t, receive(t, b), 6)
		for _, c := range []interface{ Close() error }{dialed, viaDialer, packets, configured} {
			require.NoError(t, c.Close())
		}
		assert.Equal(t, 1, n.OpenSockets(0))
		_, err = host.CreateListenConfig(nil).Listen(context.Background(), "tcp4", "10.0.0.1:0")
		require.ErrorIs(t, err, transport.ErrNotSupported)
	})
}

func TestCertificateFollowsTheClock(t *testing.T) {
	check := func(t *testing.T) {
		t.Helper()
		c := Certificate(t)
		now := time.Now()
		assert.True(t, c.Leaf.NotBefore.Before(now) && c.Leaf.NotAfter.After(now))
		require.NoError(t, c.Leaf.CheckSignature(c.Leaf.SignatureAlgorithm, c.Leaf.RawTBSCertificate, c.Leaf.Signature))
		assert.NotEqual(t, c.Certificate, Certificate(t).Certificate)
		_ = tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	}
	check(t)
	synctest.Test(t, check)
}

// recorder is a test that is meant to fail.
type recorder struct {
	testing.TB

	errors   []string
	cleanups []func()
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func TestLeaks(t *testing.T) {
	release := make(chan struct{})
	for name, tc := range map[string]struct {
		leave func(t *testing.T)
		want  string
	}{
		"nothing": {func(*testing.T) {}, ""},
		"goroutine": {func(t *testing.T) {
			t.Helper()
			go func() { <-release }()
		}, "goroutine left behind"},
		"goroutine that ends": {func(t *testing.T) {
			t.Helper()
			go func() { <-time.After(20 * time.Millisecond) }()
		}, ""},
		"socket": {func(t *testing.T) {
			t.Helper()
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
		}, "socket left behind"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "socket" && len(sockets()) == 0 {
				before := len(sockets())
				tc.leave(t)
				if len(sockets()) == before {
					t.Skip("this system does not tell about sockets")
				}
			}
			r := &recorder{TB: t}
			leaks(r, 200*time.Millisecond)
			tc.leave(t)
			for _, f := range r.cleanups {
				f()
			}
			if tc.want == "" {
				assert.Empty(t, r.errors)
			} else {
				require.Len(t, r.errors, 1)
				assert.Contains(t, r.errors[0], tc.want)
			}
		})
	}
	close(release)
	Leaks(t)
}
