package webrtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// virtualMux is a mux on a host of a virtual network.
func virtualMux(tb testing.TB, network *testnet.Network, host int) *UDPMux {
	tb.Helper()
	mux, err := ListenUDPMux(0, UDPMuxSettings{Net: network.Net(host), LoggerFactory: quietLogs})
	require.NoError(tb, err)

	return mux
}

// onPort are settings for transports on a mux.
func onPort(mux ice.UDPMux, settings SettingEngine) SettingEngine {
	settings.SetICEUDPMux(mux)

	return settings
}

// requireEmpty requires that the mux holds nothing.
func requireEmpty(tb testing.TB, mux *UDPMux) {
	tb.Helper()
	s := mux.Stats()
	require.Zero(tb, s.Sessions, "sessions are left")
	require.Zero(tb, s.Addresses, "addresses are left")
}

// Whole stacks share one socket, and come and go.
func TestX3_ManyStacksOnOnePort(t *testing.T) {
	for name, lite := range map[string]bool{"full": false, "lite": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(pathDelay))
				mux := virtualMux(t, network, 1)
				require.Equal(t, 1, network.OpenSockets(1))
				const stacks = 8
				var clients, servers []*stack
				for i := range stacks {
					server := onPort(mux, SettingEngine{Net: network.Net(1)})
					server.SetLite(lite)
					a := newStack(t, ICERoleControlling, SettingEngine{Net: network.Net(0)})
					b := newStack(t, ICERoleControlled, server)
					connect(t, a, b)
					clients, servers = append(clients, a), append(servers, b)
					if i == 2 { // one that ends does not touch the others
						stopped(t, nil, servers[0], clients[0])
						clients, servers = clients[1:], servers[1:]
					}
				}
				require.Equal(t, 1, network.OpenSockets(1), "one socket for all")
				s := mux.Stats()
				require.Equal(t, stacks-1, s.Sessions)
				require.Equal(t, stacks-1, s.Addresses)
				require.Zero(t, s.Unstarted)
				require.Zero(t, s.Moves)
				var all sync.WaitGroup
				for i := range clients {
					all.Go(func() {
						from, to := channelPair(t, clients[i], servers[i], DataChannelParameters{Ordered: true})
						exchange(t, from, to)
					})
				}
				all.Wait()
				time.Sleep(time.Minute) // consent
				for _, c := range clients {
					require.Equal(t, ICETransportStateConnected, c.ice.State())
				}
				stopped(t, nil, append(clients, servers...)...)
				requireEmpty(t, mux)
				s = mux.Stats()
				require.Zero(t, s.DroppedFull+s.DroppedMalformed+s.DroppedOversized+s.WriteErrors+s.ReadErrors)
				require.NoError(t, mux.Close())
				require.NoError(t, mux.Close())
				require.Zero(t, network.OpenSockets(1))
			})
		})
	}
}

// On the system's own sockets, from many goroutines at once.
func TestX3_ManyStacksOnOneSocket(t *testing.T) {
	testnet.Leaks(t)
	mux, err := NewUDPMux(listenUDP(t), UDPMuxSettings{LoggerFactory: quietLogs})
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 20 {
		a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
		b := newStack(t, ICERoleControlled, onLoopback(onPort(mux, SettingEngine{})))
		all.Go(func() {
			connect(t, a, b)
			from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
			exchange(t, from, to)
			assert.NoError(t, b.ice.Stop())
			assert.NoError(t, a.ice.Stop())
		})
	}
	all.Wait()
	requireEmpty(t, mux)
	require.NoError(t, mux.Close())
}

func TestX3_PeerConnectionsOnOnePort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(pathDelay))
		mux := virtualMux(t, network, 1)
		var sides []*PeerConnection
		for range 3 {
			a, b := newPeer(t, SettingEngine{}, network, 0), newPeer(t, onPort(mux, SettingEngine{}), network, 1)
			channel, err := a.CreateDataChannel("chat", nil)
			require.NoError(t, err)
			negotiate(t, a, b)
			connectPeers(t, a, b)
			accepted, err := b.SCTP().AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			exchange(t, channel, accepted)
			sides = append(sides, a, b)
		}
		require.Equal(t, 3, mux.Stats().Addresses)
		for _, pc := range sides {
			require.NoError(t, pc.Close())
		}
		synctest.Wait()
		requireEmpty(t, mux)
		require.NoError(t, mux.Close())
		require.Zero(t, network.OpenSockets(0)+network.OpenSockets(1))
	})
}

// A peer that has gone without a word comes back from the same port, while what
// it had is still there; and when that ends, the other is as it was.
func TestX3_APeerComesBackToTheSamePort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(pathDelay))
		here, there := virtualMux(t, network, 0), virtualMux(t, network, 1)
		pair := func() (a, b *stack) {
			a = newStack(t, ICERoleControlling, onPort(here, SettingEngine{Net: network.Net(0)}))
			b = newStack(t, ICERoleControlled, onPort(there, SettingEngine{Net: network.Net(1)}))

			return a, b
		}
		first, old := pair()
		connect(t, first, old)
		from, to := channelPair(t, first, old, DataChannelParameters{Ordered: true})
		exchange(t, from, to)

		second, next := pair()
		begin := time.Now()
		connect(t, second, next)
		require.Less(t, time.Since(begin), 3*time.Second)
		newFrom, newTo := channelPair(t, second, next, DataChannelParameters{Ordered: true})
		exchange(t, newFrom, newTo)
		require.Equal(t, 1, there.Stats().Addresses)
		require.EqualValues(t, 1, there.Stats().Moves)
		require.Equal(t, ICETransportStateConnected, old.ice.State(), "its checks are its own")

		stopped(t, nil, second, next)
		exchange(t, from, to)
		stopped(t, nil, first, old)
		requireEmpty(t, here)
		requireEmpty(t, there)
		require.NoError(t, here.Close())
		require.NoError(t, there.Close())
	})
}

// stranger sends from a socket of host 0 to the mux of host 1.
func stranger(t *testing.T, network *testnet.Network, mux *UDPMux) (send func(packet []byte)) {
	t.Helper()
	socket, err := network.Net(0).ListenUDP("udp4", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	to := mux.GetListenAddresses()[0]

	return func(packet []byte) {
		_, err := socket.WriteTo(packet, to)
		require.NoError(t, err)
	}
}

func strangersCheck(tb testing.TB, ufrag string) []byte {
	tb.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(ufrag+":x"),
		stun.NewShortTermIntegrity("a password that is not the right one"), stun.Fingerprint)
	require.NoError(tb, err)

	return m.Raw
}

// What strangers send costs a session nothing, before its start and after it.
func TestX3_StrangersDoNotGetIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(pathDelay))
		mux := virtualMux(t, network, 1)
		send := stranger(t, network, mux)
		a := newStack(t, ICERoleControlling, SettingEngine{Net: network.Net(0)})
		b := newStack(t, ICERoleControlled, onPort(mux, SettingEngine{Net: network.Net(1)}))
		signal(t, a, b)
		params, err := b.gatherer.GetLocalParameters()
		require.NoError(t, err)
		for range 100 { // it has not started, and reads nothing yet
			send(strangersCheck(t, params.UsernameFragment))
		}
		time.Sleep(time.Second)
		s := mux.Stats()
		require.EqualValues(t, 100-16, s.DroppedUnstarted)
		require.Equal(t, 1, s.Unstarted)

		ctx := limited(t, testTimeout)
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		for i := range 100 {
			send(strangersCheck(t, params.UsernameFragment))
			send(strangersCheck(t, fmt.Sprintf("nobody%d", i)))
			send([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0})
		}
		exchange(t, from, to)
		time.Sleep(time.Second)
		s = mux.Stats()
		require.EqualValues(t, 100, s.DroppedUnknownUfrag)
		require.EqualValues(t, 100, s.DroppedUnknownAddress)
		require.Equal(t, 1, s.Addresses)
		require.Equal(t, 1, s.Sessions)
		stopped(t, nil, a, b)
		require.NoError(t, mux.Close())
	})
}

// Closing the mux under its transports ends their reads, and hurts nobody.
func TestAUDPMuxIsClosedFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(pathDelay))
		mux := virtualMux(t, network, 1)
		a := newStack(t, ICERoleControlling, SettingEngine{Net: network.Net(0)})
		b := newStack(t, ICERoleControlled, onPort(mux, SettingEngine{Net: network.Net(1)}))
		connect(t, a, b)
		require.NoError(t, mux.Close())
		require.Zero(t, network.OpenSockets(1))
		requireEmpty(t, mux)
		_, err := mux.GetConn("ufrag", mux.GetListenAddresses()[0])
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, b.ice.Run(limited(t, time.Minute)), ErrICEFailed)
		stopped(t, nil, a)
	})
}

// The settings of host candidates hold for those of a mux.
func TestI10_FiltersOnAUDPMux(t *testing.T) {
	testnet.Leaks(t)
	var listen net.ListenConfig
	any4, err := listen.ListenPacket(t.Context(), "udp4", ":0")
	require.NoError(t, err)
	mux, err := NewUDPMux(any4, UDPMuxSettings{IncludeLoopback: true, LoggerFactory: quietLogs})
	require.NoError(t, err)
	port := any4.LocalAddr().(*net.UDPAddr).Port
	all := mux.GetListenAddresses()
	require.Contains(t, addressStrings(all), fmt.Sprintf("127.0.0.1:%d", port))
	loopback := func(s *SettingEngine) {
		s.SetIncludeLoopbackCandidate(true)
		s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	}
	for name, tc := range map[string]struct {
		set  func(s *SettingEngine)
		want int
	}{
		"no loopback":      {func(*SettingEngine) {}, len(all) - 1},
		"all":              {func(s *SettingEngine) { s.SetIncludeLoopbackCandidate(true) }, len(all)},
		"one address":      {loopback, 1},
		"another family":   {func(s *SettingEngine) { loopback(s); s.SetNetworkTypes([]NetworkType{NetworkTypeUDP6}) }, 0},
		"TCP alone":        {func(s *SettingEngine) { loopback(s); s.SetNetworkTypes([]NetworkType{NetworkTypeTCP4}) }, 0},
		"no interface":     {func(s *SettingEngine) { loopback(s); s.SetInterfaceFilter(func(string) bool { return false }) }, 0},
		"its interface":    {func(s *SettingEngine) { loopback(s); s.SetInterfaceFilter(isLoopbackInterface) }, 1},
		"other interfaces": {func(s *SettingEngine) { loopback(s); s.SetInterfaceFilter(isOtherInterface) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			settings := SettingEngine{LoggerFactory: quietLogs}
			tc.set(&settings)
			settings.SetICEUDPMux(mux)
			s := newStack(t, ICERoleControlled, settings)
			found, err := s.gatherer.GatherContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Len(t, found, tc.want)
			for _, c := range found {
				require.EqualValues(t, port, c.Port)
			}
			require.NoError(t, s.ice.Stop())
		})
	}
	requireEmpty(t, mux)
	require.NoError(t, mux.Close())
}

func isLoopbackInterface(name string) bool {
	i, err := net.InterfaceByName(name)

	return err == nil && i.Flags&net.FlagLoopback != 0
}

func isOtherInterface(name string) bool { return !isLoopbackInterface(name) }

func addressStrings(addresses []net.Addr) (all []string) {
	for _, a := range addresses {
		all = append(all, a.String())
	}

	return all
}

func TestI10_ListenUDPMux(t *testing.T) {
	testnet.Leaks(t)
	mux, err := ListenUDPMux(0, UDPMuxSettings{IncludeLoopback: true, LoggerFactory: quietLogs, WriteBufferSize: 1 << 16})
	require.NoError(t, err)
	addresses := mux.GetListenAddresses()
	port := addresses[0].(*net.UDPAddr).Port
	for _, a := range addresses {
		udp := a.(*net.UDPAddr)
		require.Equal(t, port, udp.Port, "one port")
		require.False(t, udp.IP.IsUnspecified())
	}
	require.Contains(t, addressStrings(addresses), fmt.Sprintf("127.0.0.1:%d", port))
	if hasIPv6Loopback() {
		require.Contains(t, addressStrings(addresses), fmt.Sprintf("[::1]:%d", port))
	}

	// The port is taken. It can be had again when the mux is closed.
	only4 := UDPMuxSettings{
		IncludeLoopback: true, NetworkTypes: []NetworkType{NetworkTypeUDP4}, LoggerFactory: quietLogs,
		IPFilter: func(ip net.IP) bool { return ip.IsLoopback() }, InterfaceFilter: isLoopbackInterface,
	}
	_, err = ListenUDPMux(uint16(port), only4)
	require.ErrorContains(t, err, "listen UDP mux")
	require.NoError(t, mux.Close())
	mux, err = ListenUDPMux(uint16(port), only4)
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprintf("127.0.0.1:%d", port)}, addressStrings(mux.GetListenAddresses()))
	a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
	b := newStack(t, ICERoleControlled, onLoopback(onPort(mux, SettingEngine{})))
	connect(t, a, b)
	require.NoError(t, a.ice.Stop())
	require.NoError(t, b.ice.Stop())
	require.NoError(t, mux.Close())
}

func hasIPv6Loopback() bool {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if interfaceIP(a) == netip.IPv6Loopback() {
			return true
		}
	}

	return false
}

func TestUDPMuxRefusals(t *testing.T) {
	var noSocket *net.UDPConn
	socket := listenUDP(t)
	defer func() { require.NoError(t, socket.Close()) }()
	for name, make := range map[string]func() (*UDPMux, error){
		"no socket":    func() (*UDPMux, error) { return NewUDPMux(nil, UDPMuxSettings{}) },
		"nil socket":   func() (*UDPMux, error) { return NewUDPMux(noSocket, UDPMuxSettings{}) },
		"read buffer":  func() (*UDPMux, error) { return NewUDPMux(socket, UDPMuxSettings{ReadBufferSize: -1}) },
		"write buffer": func() (*UDPMux, error) { return ListenUDPMux(0, UDPMuxSettings{WriteBufferSize: -1}) },
		"nil net":      func() (*UDPMux, error) { return ListenUDPMux(0, UDPMuxSettings{Net: (*machineNet)(nil)}) },
		"no address": func() (*UDPMux, error) {
			return ListenUDPMux(0, UDPMuxSettings{IPFilter: func(net.IP) bool { return false }})
		},
		"TCP": func() (*UDPMux, error) {
			return ListenUDPMux(0, UDPMuxSettings{NetworkTypes: []NetworkType{NetworkTypeTCP4}})
		},
	} {
		mux, err := make()
		require.ErrorIs(t, err, ErrInvalidArgument, name)
		require.Nil(t, mux, name)
	}
	for _, zero := range []*UDPMux{nil, {}} {
		require.ErrorIs(t, zero.Close(), ErrInvalidArgument)
		_, err := zero.GetConn("a", socket.LocalAddr())
		require.ErrorIs(t, err, ErrInvalidArgument)
		zero.RemoveConnByUfrag("a")
		require.Empty(t, zero.GetListenAddresses())
		require.Zero(t, zero.Stats())
		_, err = NewAPI(WithSettingEngine(onPort(zero, SettingEngine{}))).NewICEGatherer(ICEGatherOptions{})
		require.ErrorIs(t, err, ErrInvalidArgument)
	}
}

// Two agents with the same credentials do not get each other's packets: the
// second has no candidates.
func TestTwoAgentsWithTheSameUfrag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		mux := virtualMux(t, network, 1)
		settings := onPort(mux, SettingEngine{Net: network.Net(1)})
		settings.SetICECredentials("the-same-ufrag", "the-same-password-for-both")
		for i, want := range []int{1, 0} {
			s := newStack(t, ICERoleControlled, settings)
			found, err := s.gatherer.GatherContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Len(t, found, want, "agent %d", i)
		}
		require.Equal(t, 1, mux.Stats().Sessions)
		require.NoError(t, mux.Close())
	})
}

// An agent that is not ours has the mux as any other ice.UDPMux.
func TestAForeignAgentOnOurMux(t *testing.T) {
	testnet.Leaks(t)
	mux := NewICEUDPMux(quietLogs.NewLogger("ice"), listenUDP(t))
	require.IsType(t, &UDPMux{}, mux)
	conn, err := mux.GetConn("ufrag", mux.GetListenAddresses()[0])
	require.NoError(t, err)
	peer := listenUDP(t)
	request := strangersCheck(t, "ufrag")
	_, err = peer.WriteTo(request, mux.GetListenAddresses()[0])
	require.NoError(t, err)
	buf := make([]byte, 1000)
	n, from, err := conn.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, request, buf[:n])
	m := &stun.Message{Raw: request}
	require.NoError(t, m.Decode())
	answer, err := stun.Build(m, stun.BindingSuccess)
	require.NoError(t, err)
	_, err = conn.WriteTo(answer.Raw, from)
	require.NoError(t, err)
	_, err = peer.WriteTo([]byte("data, by its address"), mux.GetListenAddresses()[0])
	require.NoError(t, err)
	n, _, err = conn.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "data, by its address", string(buf[:n]))
	mux.RemoveConnByUfrag("ufrag")
	_, _, err = conn.ReadFrom(buf)
	require.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, conn.Close())
	require.NoError(t, peer.Close())
	require.NoError(t, mux.Close())
}

// A mux of pion's works, and its loopback address is left out as it was.
func TestI10_AForeignUDPMux(t *testing.T) {
	testnet.Leaks(t)
	foreign := ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: quietLogs.NewLogger("ice"), UDPConn: listenUDP(t)})
	for range 3 {
		a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
		b := newStack(t, ICERoleControlled, onLoopback(onPort(foreign, SettingEngine{})))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		exchange(t, from, to)
		require.NoError(t, b.ice.Shutdown(limited(t, testTimeout)))
		require.NoError(t, a.ice.Stop())
	}
	s := newStack(t, ICERoleControlled, onPort(foreign, SettingEngine{}))
	found, err := s.gatherer.GatherContext(limited(t, testTimeout))
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, s.ice.Stop())
	require.NoError(t, foreign.Close())
}

// stuckMux is somebody's whose writes do not return until they may.
type stuckMux struct {
	ice.UDPMux

	free chan struct{}
}

func (m *stuckMux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	conn, err := m.UDPMux.GetConn(ufrag, addr)

	return &stuckConn{conn, m.free}, err
}

type stuckConn struct {
	net.PacketConn

	free chan struct{}
}

func (c *stuckConn) WriteTo(p []byte, to net.Addr) (int, error) {
	<-c.free

	return c.PacketConn.WriteTo(p, to)
}

// A write that blocks in somebody's mux ends no start and no stop late.
func TestI10_AForeignUDPMuxWhoseWritesBlock(t *testing.T) {
	testnet.Leaks(t)
	stuck := &stuckMux{NewICEUDPMux(quietLogs.NewLogger("ice"), listenUDP(t)), make(chan struct{})}
	a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
	b := newStack(t, ICERoleControlled, onLoopback(onPort(stuck, SettingEngine{})))
	signal(t, a, b)
	reason := errors.New("it takes too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, reason)
	defer cancel()
	begin := time.Now()
	err := both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) })
	require.ErrorIs(t, err, reason)
	require.Less(t, time.Since(begin), 2*time.Second)
	require.NoError(t, b.ice.Stop())
	require.Equal(t, ICETransportStateClosed, b.ice.State())
	require.ErrorIs(t, b.ice.Run(limited(t, testTimeout)), reason)
	close(stuck.free)
	require.NoError(t, stuck.Close())
}
