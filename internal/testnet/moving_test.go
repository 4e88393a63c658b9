package testnet

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func listen(t *testing.T, n *Network, host, network int) transport.UDPConn {
	t.Helper()
	conn, err := n.Net(host).ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(Address(host, network)), Port: 5000})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return conn
}

// interfaces are the names and addresses of a host, without the loopback one.
func interfaces(t *testing.T, n *Network, host int) map[string]string {
	t.Helper()
	all, err := n.Net(host).Interfaces()
	require.NoError(t, err)
	named := make(map[string]string)
	for _, i := range all {
		same, err := n.Net(host).InterfaceByName(i.Name)
		require.NoError(t, err)
		assert.Equal(t, i.Interface, same.Interface)
		same, err = n.Net(host).InterfaceByIndex(i.Index)
		require.NoError(t, err)
		assert.Equal(t, i.Interface, same.Interface)
		if i.Flags&net.FlagLoopback == 0 {
			addresses, err := i.Addrs()
			require.NoError(t, err)
			require.Len(t, addresses, 1)
			named[i.Name] = addresses[0].(*net.IPNet).IP.String()
		}
	}

	return named
}

func TestHostsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := Pair(t, Networks(3), Delay(10*time.Millisecond))
		a, b := listen(t, n, 0, 0), listen(t, n, 1, 0)
		assert.Equal(t, map[string]string{"eth0": "10.0.0.1"}, interfaces(t, n, 0))
		send(t, a, b, "here")
		assert.Equal(t, []string{"here"}, receive(t, b))

		// What is under way to a host that leaves does not arrive, what it has
		// sent before does.
		send(t, a, b, "sent before")
		send(t, b, a, "too late")
		n.Move(0)
		assert.Empty(t, interfaces(t, n, 0))
		_, err := n.Net(0).InterfaceByName("eth0")
		require.ErrorIs(t, err, transport.ErrInterfaceNotFound)
		_, err = n.Net(0).ListenUDP("udp4", nil)
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		assert.Empty(t, receive(t, a))
		assert.Equal(t, []string{"sent before"}, receive(t, b))
		sent := n.Sent(0)
		send(t, a, b, "nowhere")
		assert.Equal(t, sent, n.Sent(0))

		// Elsewhere, with routes to all.
		n.Move(0, 2)
		assert.Equal(t, map[string]string{"eth2": "10.2.0.1"}, interfaces(t, n, 0))
		send(t, a, b, "from an address that is gone")
		elsewhere := listen(t, n, 0, 2)
		_, err = n.Net(0).ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(Address(0, 1))})
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		send(t, elsewhere, b, "there")
		send(t, b, elsewhere, "back")
		assert.Equal(t, []string{"there"}, receive(t, b))
		assert.Equal(t, []string{"back"}, receive(t, elsewhere))

		// On two at once, one of which is that of the beginning.
		n.Move(0, 2, 0)
		assert.Equal(t, map[string]string{"eth0": "10.0.0.1", "eth2": "10.2.0.1"}, interfaces(t, n, 0))
		send(t, a, b, "again")
		send(t, elsewhere, b, "both")
		send(t, b, a, "to both")
		send(t, b, elsewhere, "to both")
		assert.ElementsMatch(t, []string{"again", "both"}, receive(t, b))
		assert.Equal(t, []string{"to both"}, receive(t, a))
		assert.Equal(t, []string{"to both"}, receive(t, elsewhere))
		require.NoError(t, b.SetReadDeadline(time.Time{}))
		dialed, err := n.Net(0).Dial("udp4", b.LocalAddr().String())
		require.NoError(t, err)
		_, err = dialed.Write([]byte("x"))
		require.NoError(t, err)
		_, from, err := b.ReadFrom(make([]byte, 8))
		require.NoError(t, err)
		assert.Equal(t, Address(0, 2), from.(*net.UDPAddr).IP.String(), "the first of them")
		require.NoError(t, dialed.Close())
		assert.Equal(t, 2, n.OpenSockets(0), "a socket without its network is one")
	})
}

func TestWritesOfGoneNetworksFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unreachable := errors.New("network is unreachable")
		n := Pair(t, Networks(2), FailWrites(unreachable))
		a, b := listen(t, n, 0, 0), listen(t, n, 1, 0)
		n.Move(0, 1)
		_, err := a.WriteTo([]byte("x"), b.LocalAddr())
		require.ErrorIs(t, err, unreachable)
		n.Move(0, 0)
		send(t, a, b, "x")
		assert.Equal(t, []string{"x"}, receive(t, b))
	})
}

// Whatever way a socket is read, it gets nothing on a network that is gone.
func TestReadsOfGoneNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := Pair(t, Networks(2), Delay(time.Millisecond))
		a, b := listen(t, n, 0, 0), listen(t, n, 1, 0)
		buf := make([]byte, 8)
		for _, read := range []func() (int, error){
			func() (int, error) { return b.Read(buf) },
			func() (int, error) {
				n, _, err := b.ReadFrom(buf)

				return n, err
			},
			func() (int, error) {
				n, _, err := b.ReadFromUDP(buf)

				return n, err
			},
		} {
			send(t, a, b, "gone")
			n.Move(1)
			require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Second)))
			_, err := read()
			require.Error(t, err)
			n.Move(1, 0)
			require.NoError(t, b.SetReadDeadline(time.Time{}))
			send(t, a, b, "there")
			length, err := read()
			require.NoError(t, err)
			assert.Equal(t, "there", string(buf[:length]))
		}
	})
}
