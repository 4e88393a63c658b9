package webrtc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// listen opens a socket and a listener on loopback.
func listenUDP(t *testing.T) net.PacketConn {
	t.Helper()
	socket, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)

	return socket
}

// countingListener counts what it accepts.
type countingListener struct {
	net.Listener

	accepted atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}

	return conn, err
}

func listenTCP(t *testing.T) *countingListener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)

	return &countingListener{Listener: listener}
}

// Many transports share one UDP port.
func TestI10_UDPMux(t *testing.T) {
	testnet.Leaks(t)
	socket := listenUDP(t)
	port := uint16(socket.LocalAddr().(*net.UDPAddr).Port)
	shared := NewICEUDPMux(quietLogs.NewLogger("ice"), socket)
	for range 5 {
		var settings SettingEngine
		settings.SetICEUDPMux(shared)
		a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
		b := newStack(t, ICERoleControlled, onLoopback(settings))
		connect(t, a, b)
		candidates, err := b.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		require.Len(t, candidates, 1)
		require.Equal(t, port, candidates[0].Port)
		pair, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.Equal(t, port, pair.Remote.Port)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "on one port", Ordered: true})
		exchange(t, from, to)
		if port%2 == 0 { // either side may go first
			require.NoError(t, b.ice.Stop())
		}
		require.NoError(t, a.ice.Stop())
		require.NoError(t, b.ice.Stop())
	}
	require.NoError(t, shared.Close())
}

// A mux that could not be made is reported by the API.
func TestI10_MuxesOfNothing(t *testing.T) {
	var noSocket *net.UDPConn
	var noListener *net.TCPListener
	listener := listenTCP(t)
	defer func() { require.NoError(t, listener.Close()) }()
	for name, set := range map[string]func(s *SettingEngine){
		"no socket":       func(s *SettingEngine) { s.SetICEUDPMux(NewICEUDPMux(nil, nil)) },
		"nil socket":      func(s *SettingEngine) { s.SetICEUDPMux(NewICEUDPMux(nil, noSocket)) },
		"no listener":     func(s *SettingEngine) { s.SetICETCPMux(NewICETCPMux(nil, nil, 8)) },
		"nil listener":    func(s *SettingEngine) { s.SetICETCPMux(NewICETCPMux(nil, noListener, 8)) },
		"negative buffer": func(s *SettingEngine) { s.SetICETCPMux(NewICETCPMux(nil, listener, -1)) },
	} {
		t.Run(name, func(t *testing.T) {
			var settings SettingEngine
			set(&settings)
			_, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(ICEGatherOptions{})
			require.ErrorIs(t, err, ErrInvalidArgument)
			require.ErrorContains(t, err, "mux")
			for _, mux := range []interface{ Close() error }{settings.ICE.UDPMux, settings.ICE.TCPMux} {
				if mux != nil {
					require.ErrorIs(t, mux.Close(), ErrInvalidArgument)
				}
			}
		})
	}
}

// Passive TCP candidates over a mux, dialled by a side that has enabled it.
func TestI10_TCP(t *testing.T) {
	testnet.Leaks(t)
	listener := listenTCP(t)
	shared := NewICETCPMux(quietLogs.NewLogger("ice"), listener, 20)
	tcp := SettingEngine{}
	tcp.SetNetworkTypes([]NetworkType{NetworkTypeTCP4})
	passive, active := tcp, tcp
	passive.SetICETCPMux(shared)
	active.DisableActiveTCP(false)
	for range 3 {
		a := newStack(t, ICERoleControlling, onLoopback(active))
		b := newStack(t, ICERoleControlled, onLoopback(passive))
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		defer cancel()
		none, err := a.gatherer.GatherContext(ctx)
		require.NoError(t, err)
		require.Empty(t, none, "who dials has no candidates")
		candidates, err := b.gatherer.GatherContext(ctx)
		require.NoError(t, err)
		require.Len(t, candidates, 1)
		require.Equal(t, ICEProtocolTCP, candidates[0].Protocol)
		require.Equal(t, "passive", candidates[0].TCPType)
		parsed, err := ParseICECandidate(candidates[0].String())
		require.NoError(t, err)
		require.NoError(t, a.ice.AddRemoteCandidate(&parsed))
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
		pair, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.Equal(t, ICEProtocolTCP, pair.Local.Protocol)
		require.Equal(t, "active", pair.Local.TCPType)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "over TCP", Ordered: true})
		exchange(t, from, to)
		require.NoError(t, a.ice.Stop())
		require.NoError(t, b.ice.Stop())
	}
	require.Positive(t, listener.accepted.Load())
	require.NoError(t, shared.Close())
}

// A peer cannot make us connect to an address of its choice unless that was
// enabled, in any of the ways that a candidate can come.
func TestI7_TCPIsNotDialledUnlessEnabled(t *testing.T) {
	for name, enabled := range map[string]bool{"by default": false, "enabled": true} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			target := listenTCP(t)
			served := make(chan struct{})
			go func() { // what a victim would be
				defer close(served)
				for {
					conn, err := target.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
				}
			}()
			var settings SettingEngine
			settings.SetNetworkTypes([]NetworkType{NetworkTypeUDP4, NetworkTypeTCP4})
			settings.DisableActiveTCP(!enabled)
			a := newStack(t, ICERoleControlling, onLoopback(settings))
			b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
			signal(t, a, b)
			evil := hostCandidate("127.0.0.1", target.Addr().(*net.TCPAddr).Port)
			evil.Protocol = ICEProtocolTCP
			for _, tcpType := range []string{"passive", "so", "active", ""} {
				evil.TCPType = tcpType
				for _, err := range []error{
					a.ice.AddRemoteCandidate(&evil), a.ice.SetRemoteCandidates([]ICECandidate{evil}),
				} {
					require.NoError(t, err, "what may not be dialled is ignored")
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
			if enabled {
				require.Eventually(t, func() bool { return target.accepted.Load() > 0 }, testTimeout, time.Millisecond)
			} else {
				require.Zero(t, target.accepted.Load())
			}
			require.NoError(t, a.ice.Stop())
			require.NoError(t, b.ice.Stop())
			require.NoError(t, target.Close())
			<-served
			if !enabled {
				require.Zero(t, target.accepted.Load())
			}
		})
	}
}

func TestI10_PortRange(t *testing.T) {
	const first, last = 42000, 42003
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		var settings SettingEngine
		require.NoError(t, settings.SetEphemeralUDPPortRange(first, last))
		var ports []uint16
		for range last - first + 1 {
			s := quickStack(t, ICERoleControlling, settings, network, 0)
			candidates, err := s.gatherer.GatherContext(t.Context())
			require.NoError(t, err)
			require.Len(t, candidates, 1)
			ports = append(ports, candidates[0].Port)
		}
		slices.Sort(ports)
		require.Equal(t, []uint16{42000, 42001, 42002, 42003}, ports)
		full := quickStack(t, ICERoleControlling, settings, network, 0)
		candidates, err := full.gatherer.GatherContext(t.Context())
		require.NoError(t, err)
		require.Empty(t, candidates, "no port is left")
	})
}

func TestI10_InterfaceAndAddressFilters(t *testing.T) {
	var seen atomic.Bool
	for name, c := range map[string]struct {
		set  func(s *SettingEngine)
		want int
	}{
		"no filter": {func(*SettingEngine) {}, 1},
		"interface kept": {func(s *SettingEngine) {
			s.SetInterfaceFilter(func(name string) bool {
				seen.Store(name != "")

				return name != "lo0"
			})
		}, 1},
		"interface dropped": {func(s *SettingEngine) {
			s.SetInterfaceFilter(func(string) bool { return false })
		}, 0},
		"address kept": {func(s *SettingEngine) {
			s.SetIPFilter(func(ip net.IP) bool { return ip.Equal(net.IPv4(10, 0, 0, 1)) })
		}, 1},
		"address dropped": {func(s *SettingEngine) {
			s.SetIPFilter(func(ip net.IP) bool { return !ip.Equal(net.IPv4(10, 0, 0, 1)) })
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var settings SettingEngine
				c.set(&settings)
				s := quickStack(t, ICERoleControlling, settings, testnet.Pair(t), 0)
				candidates, err := s.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				require.Len(t, candidates, c.want)
			})
		})
	}
	require.True(t, seen.Load(), "it is asked by name")

	testnet.Leaks(t)
	s := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
	candidates, err := s.gatherer.GatherContext(t.Context())
	require.NoError(t, err)
	require.Len(t, candidates, 1)
	require.Equal(t, "127.0.0.1", candidates[0].Address)
	require.NoError(t, s.ice.Stop())
}

// Rewritten addresses are what is told; a pair works all the same, since the
// checks go to the real ones.
func TestI10_AddressRewriting(t *testing.T) {
	type told struct {
		typ     ICECandidateType
		address string
	}
	own := told{ICECandidateTypeHost, "10.0.0.1"}
	asHost, asSrflx := told{ICECandidateTypeHost, "192.0.2.1"}, told{ICECandidateTypeSrflx, "192.0.2.1"}
	rule := func(r ICEAddressRewriteRule) func(s *SettingEngine) {
		r.External = []string{"192.0.2.1"}

		return func(s *SettingEngine) { require.NoError(t, s.SetICEAddressRewriteRules(r)) }
	}
	for name, c := range map[string]struct {
		set  func(s *SettingEngine)
		want []told
	}{
		"none":         {func(*SettingEngine) {}, []told{own}},
		"1 to 1, host": {func(s *SettingEngine) { s.SetNAT1To1IPs([]string{"192.0.2.1"}, 0) }, []told{asHost}},
		"1 to 1, local": {
			func(s *SettingEngine) { s.SetNAT1To1IPs([]string{"192.0.2.1/10.0.0.1"}, ICECandidateTypeHost) },
			[]told{asHost},
		},
		"1 to 1, reflexive": {
			func(s *SettingEngine) { s.SetNAT1To1IPs([]string{"192.0.2.1"}, ICECandidateTypeSrflx) },
			[]told{own, asSrflx},
		},
		"rule":           {rule(ICEAddressRewriteRule{}), []told{asHost}},
		"rule, appended": {rule(ICEAddressRewriteRule{Mode: ICEAddressRewriteAppend}), []told{own, asHost}},
		"rule, reflexive": {
			rule(ICEAddressRewriteRule{AsCandidateType: ICECandidateTypeSrflx}), []told{own, asSrflx},
		},
		"rule of this network":    {rule(ICEAddressRewriteRule{CIDR: "10.0.0.0/8"}), []told{asHost}},
		"rule of another network": {rule(ICEAddressRewriteRule{CIDR: "172.16.0.0/12"}), []told{own}},
		"rule of another address": {rule(ICEAddressRewriteRule{Local: "10.0.0.7"}), []told{own}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var settings SettingEngine
				c.set(&settings)
				settings.SetSrflxAcceptanceMinWait(0)
				network := testnet.Pair(t)
				a := quickStack(t, ICERoleControlling, settings, network, 0)
				b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
				signal(t, a, b)
				candidates, err := a.gatherer.GetLocalCandidates()
				require.NoError(t, err)
				got := make([]told, len(candidates))
				for i, candidate := range candidates {
					got[i] = told{candidate.Typ, candidate.Address}
				}
				require.ElementsMatch(t, c.want, got)
				carries(t, a, b, 0)
			})
		})
	}
}

// Names in place of addresses: one side hides behind one, the other finds it, as
// any does that says nothing else.
func TestI10_MulticastDNS(t *testing.T) {
	testnet.Leaks(t)
	var hides, finds SettingEngine
	hides.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryAndGather)
	hides.SetMulticastDNSHostName("a-test-of-names.local")
	a := newStack(t, ICERoleControlling, onLoopback(hides))
	b := newStack(t, ICERoleControlled, onLoopback(finds))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	candidates, err := a.gatherer.GatherContext(ctx)
	require.NoError(t, err)
	require.Len(t, candidates, 1)
	require.Equal(t, "a-test-of-names.local", candidates[0].Address)
	require.NotContains(t, candidates[0].String(), "127.0.0.1")
	parsed, err := ParseICECandidate(candidates[0].String())
	require.NoError(t, err)
	require.NoError(t, b.ice.AddRemoteCandidate(&parsed)) // a knows nothing of b
	_, err = b.gatherer.GatherContext(ctx)
	require.NoError(t, err)
	require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
	from, to := channelPair(t, a, b, DataChannelParameters{Label: "by name", Ordered: true})
	exchange(t, from, to)
	require.NoError(t, a.ice.Stop())
	require.NoError(t, b.ice.Stop())
}

// netWithoutMulticast cannot open the socket of mDNS.
type netWithoutMulticast struct{ transport.Net }

func (n netWithoutMulticast) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	if local != nil && local.IP.IsMulticast() {
		return nil, syscall.EADDRINUSE
	}

	return n.Net.ListenUDP(network, local)
}

// Who hides addresses shows none, whatever fails.
func TestI10_MulticastDNSNeverShowsAddresses(t *testing.T) {
	testnet.Leaks(t)
	server := newTURNServer(t)
	machine, err := stdnet.NewNet()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		net  transport.Net
		want []ICECandidateType
	}{
		"mDNS works": {machine, []ICECandidateType{
			ICECandidateTypeHost, ICECandidateTypeSrflx, ICECandidateTypeRelay,
		}},
		"mDNS fails": {netWithoutMulticast{machine}, []ICECandidateType{
			ICECandidateTypeSrflx, ICECandidateTypeRelay,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var hides SettingEngine
			hides.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryAndGather)
			hides.SetNet(c.net)
			a := servedStack(t, ICERoleControlling, hides, ICETransportPolicyAll,
				fmt.Sprintf("turn:127.0.0.1:%d", server.udp))
			candidates, err := a.gatherer.GatherContext(t.Context())
			require.NoError(t, err)
			var got []ICECandidateType
			for _, candidate := range candidates {
				if !slices.Contains(got, candidate.Typ) {
					got = append(got, candidate.Typ)
				}
				if candidate.Typ == ICECandidateTypeHost {
					require.Contains(t, candidate.Address, ".local")
				} else {
					require.Equal(t, "0.0.0.0", candidate.RelatedAddress)
					require.Zero(t, candidate.RelatedPort)
				}
			}
			slices.Sort(got)
			require.Equal(t, c.want, got)
			require.NoError(t, a.ice.Stop())
		})
	}
}

// A lite agent, on sockets: see TestI4_LiteIsReported for the rest.
func TestI10_Lite(t *testing.T) {
	testnet.Leaks(t)
	var settings SettingEngine
	settings.SetLite(true)
	a := newStack(t, ICERoleControlling, onLoopback(SettingEngine{}))
	b := newStack(t, ICERoleControlled, onLoopback(settings))
	connect(t, a, b)
	from, to := channelPair(t, a, b, DataChannelParameters{Label: "lite", Ordered: true})
	exchange(t, from, to)
	require.NoError(t, a.ice.Stop())
	require.NoError(t, b.ice.Stop())
	_, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(ICEGatherOptions{
		ICEServers: []ICEServer{{URLs: []string{"stun:192.0.2.1"}}},
	})
	require.ErrorIs(t, err, ErrInvalidArgument, "it has host candidates only")
}
