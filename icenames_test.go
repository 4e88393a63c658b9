package webrtc

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/mdns/v2"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// The names of a peer, with a responder on the multicast of the loopback
// interface. Other processes see it too, so each test has names of its own.

func newName() string { return strings.ToLower(rand.Text()) + ".local" }

// answerForName makes loopback's address the answer to some names, and skips the
// test where the loopback interface has no multicast.
func answerForName(t *testing.T, names ...string) {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skipf("names cannot be answered here: no interface lo: %v", err)
	}
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	if err = multicastOn(lo, group); err != nil {
		t.Skipf("names cannot be answered here: no multicast on lo: %v", err)
	}
	socket, err := net.ListenUDP("udp4", group)
	require.NoError(t, err)
	responder, err := mdns.NewServer(ipv4.NewPacketConn(socket), nil,
		mdns.WithInterfaces(*lo), mdns.WithIncludeLoopback(true), mdns.WithLocalNames(names...),
		mdns.WithLoggerFactory(quietLogs))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, responder.Close()) })
}

// multicastOn sends a message with nothing in it to a group, and waits for it.
func multicastOn(lo *net.Interface, group *net.UDPAddr) error {
	member, err := net.ListenMulticastUDP("udp4", lo, group)
	if err != nil {
		return err
	}
	defer member.Close()
	sender, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer sender.Close()
	if err = ipv4.NewPacketConn(sender).SetMulticastInterface(lo); err != nil {
		return err
	}
	if _, err = sender.WriteTo(make([]byte, 12), group); err != nil {
		return err
	}
	if err = member.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, _, err = member.ReadFrom(make([]byte, 1500))

	return err
}

// multicastCounter is the machine's network, and knows the sockets of multicast
// DNS.
type multicastCounter struct {
	transport.Net

	mu      sync.Mutex
	sockets []*net.UDPConn
}

func (n *multicastCounter) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := n.Net.ListenUDP(network, local)
	if err == nil && local.IP.IsMulticast() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.sockets = append(n.sockets, conn.(*net.UDPConn))
	}

	return conn, err
}

// opened is how many there were, open how many are not closed.
func (n *multicastCounter) opened() int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return len(n.sockets)
}

func (n *multicastCounter) open() (open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, socket := range n.sockets {
		if raw, err := socket.SyscallConn(); err == nil && raw.Control(func(uintptr) {}) == nil {
			open++
		}
	}

	return open
}

// countingMulticast are the settings of a side on loopback whose sockets of multicast DNS
// are counted. There are two to a connection, IPv4 and IPv6.
func countingMulticast(t *testing.T, settings SettingEngine) (SettingEngine, *multicastCounter) {
	t.Helper()
	machine, err := stdnet.NewNet()
	require.NoError(t, err)
	counter := &multicastCounter{Net: machine}
	settings.SetNet(counter)

	return onLoopback(settings), counter
}

// gatheredOne gathers on loopback, and returns the candidate.
func gatheredOne(t *testing.T, s *stack) ICECandidate {
	t.Helper()
	candidates, err := s.gatherer.GatherContext(t.Context())
	require.NoError(t, err)
	require.Len(t, candidates, 1)

	return candidates[0]
}

// behind is a candidate as a peer signals it that hides its address.
func behind(t *testing.T, candidate ICECandidate, name string) ICECandidate {
	t.Helper()
	hidden, err := ParseICECandidate(strings.Replace(candidate.String(), candidate.Address, name, 1))
	require.NoError(t, err)
	require.Equal(t, name, hidden.Address)

	return hidden
}

// lookedUp waits until the names of an agent have been found or given up.
func lookedUp(t *testing.T, a *iceAgent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	require.NoError(t, a.names.WaitTasks(ctx))
}

// taken waits until an agent has remote candidates, and returns the addresses.
func taken(t *testing.T, a *iceAgent, count int) []string {
	t.Helper()
	lookedUp(t, a)
	var addresses []string
	require.Eventually(t, func() bool {
		all, err := a.GetRemoteCandidates()
		require.NoError(t, err)
		addresses = nil
		for _, c := range all {
			addresses = append(addresses, fmt.Sprintf("%s:%d", c.Address(), c.Port()))
		}

		return len(addresses) >= count
	}, testTimeout, time.Millisecond)

	return addresses
}

// A connection by a name alone, with no setting for it.
func TestI10_ARemoteNameIsResolved(t *testing.T) {
	for name, mode := range map[string]ice.MulticastDNSMode{
		"by default": 0, "queries": ice.MulticastDNSModeQueryOnly, "hides too": ice.MulticastDNSModeQueryAndGather,
	} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			host := newName()
			answerForName(t, host)
			settings, counter := countingMulticast(t, SettingEngine{})
			settings.SetICEMulticastDNSMode(mode)
			a := newStack(t, ICERoleControlling, settings)
			b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{})) // knows nothing of a
			hidden := behind(t, gatheredOne(t, b), host)
			ofAgent := counter.opened() // which answers to its own name
			if mode != ice.MulticastDNSModeQueryAndGather {
				require.Zero(t, ofAgent, "nothing is opened without a name")
			}
			require.NoError(t, a.ice.AddRemoteCandidate(&hidden))
			require.NoError(t, a.ice.AddRemoteCandidate(&hidden), "again: ignored")
			gatheredOne(t, a)
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
			from, to := channelPair(t, a, b, DataChannelParameters{Label: "by name", Ordered: true})
			exchange(t, from, to)
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			assert.Equal(t, "127.0.0.1", pair.Remote.Address)
			require.Len(t, remoteCandidates(t, a), 1)
			require.Equal(t, ofAgent+2, counter.opened())
			require.NoError(t, a.ice.Stop())
			require.Zero(t, counter.open(), "closed when Stop has returned")
			require.NoError(t, b.ice.Stop())
		})
	}
}

// All transports and connections of an API share one connection of multicast
// DNS, until the last that had a name ends.
func TestI10_OneResolverForAnAPI(t *testing.T) {
	testnet.Leaks(t)
	host := newName()
	answerForName(t, host)
	settings, counter := countingMulticast(t, SettingEngine{LoggerFactory: quietLogs})
	api := NewAPI(WithSettingEngine(settings))
	var gatherers []*ICEGatherer
	var transports []*ICETransport
	for i := range 20 {
		if i%2 == 0 {
			g, err := api.NewICEGatherer(ICEGatherOptions{})
			require.NoError(t, err)
			gatherers, transports = append(gatherers, g), append(transports, api.NewICETransport(g))
		} else {
			pc, err := api.NewPeerConnection(Configuration{})
			require.NoError(t, err)
			gatherers, transports = append(gatherers, pc.gatherer), append(transports, pc.ice)
		}
	}
	require.Zero(t, counter.opened())
	for i, transport := range transports {
		hidden := hostCandidate(host, 1000+i)
		require.NoError(t, transport.AddRemoteCandidate(&hidden))
	}
	for i, g := range gatherers {
		require.Equal(t, []string{fmt.Sprintf("127.0.0.1:%d", 1000+i)}, taken(t, g.newest, 1))
	}
	require.Equal(t, 2, counter.opened())
	idle, err := api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(t, err)
	require.NoError(t, idle.Close())
	for _, transport := range transports[1:] {
		require.NoError(t, transport.Stop())
	}
	require.Equal(t, 2, counter.open())
	require.NoError(t, transports[0].Stop())
	require.Zero(t, counter.open())

	again, err := api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(t, err)
	hidden := hostCandidate(host, 1)
	require.NoError(t, api.NewICETransport(again).AddRemoteCandidate(&hidden))
	require.Equal(t, []string{"127.0.0.1:1"}, taken(t, again.newest, 1))
	require.Equal(t, 4, counter.opened(), "opened again when needed again")
	require.NoError(t, again.Close())
	require.Zero(t, counter.open())
}

// The name of a remote candidate that nobody answers to counts as a candidate,
// and harms nothing. Stop does not wait for the answer.
func TestI10_RemoteNames(t *testing.T) {
	for name, mode := range map[string]ice.MulticastDNSMode{
		"off":        ice.MulticastDNSModeDisabled,
		"by default": 0,
		"queries":    ice.MulticastDNSModeQueryOnly,
	} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			settings, counter := countingMulticast(t, SettingEngine{})
			settings.SetICEMulticastDNSMode(mode)
			a := newStack(t, ICERoleControlling, settings)
			b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
			hidden := hostCandidate(newName(), 4242)
			parsed, err := ParseICECandidate(hidden.String())
			require.NoError(t, err)
			require.NoError(t, a.ice.AddRemoteCandidate(&parsed))
			_, total := a.gatherer.newest.remotes.counts()
			require.Equal(t, 1, total)
			connect(t, a, b)
			require.Len(t, remoteCandidates(t, a), 1, "the one with an address")
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			assert.Equal(t, "127.0.0.1", pair.Remote.Address)
			if mode == ice.MulticastDNSModeDisabled {
				require.Zero(t, counter.opened())
			}
			begin := time.Now()
			require.NoError(t, a.ice.Stop())
			require.NoError(t, b.ice.Stop())
			require.Less(t, time.Since(begin), time.Second, "a query does not hold up Stop")
			_ = a.ice.Run(limited(t, testTimeout)) // the sockets may have been on the way to being open
			require.Zero(t, counter.open())
		})
	}
}

// With 64 names of a peer there is room for nothing else, whether they have
// addresses or not; the one that has makes the connection.
func TestI7_NamesAreLimited(t *testing.T) {
	testnet.Leaks(t)
	host := newName()
	answerForName(t, host)
	settings, counter := countingMulticast(t, SettingEngine{})
	a := newStack(t, ICERoleControlling, settings)
	b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
	named := []ICECandidate{behind(t, gatheredOne(t, b), host)}
	for range 63 {
		named = append(named, hostCandidate(newName(), 9))
	}
	more := hostCandidate(newName(), 9)
	require.ErrorIs(t, a.ice.SetRemoteCandidates(append(named, more)), ErrInvalidState)
	require.Zero(t, counter.opened(), "all or none")
	require.NoError(t, a.ice.SetRemoteCandidates(named))
	for _, address := range []string{more.Address, "127.0.0.1"} {
		more.Address = address
		require.ErrorIs(t, a.ice.AddRemoteCandidate(&more), ErrInvalidState)
	}
	gatheredOne(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
	require.ErrorIs(t, a.ice.AddRemoteCandidate(&more), ErrInvalidState)
	require.Len(t, remoteCandidates(t, a), 1)
	_, total := a.gatherer.newest.remotes.counts()
	require.Equal(t, 64, total)
	require.Equal(t, 2, counter.opened())
	begin := time.Now()
	require.NoError(t, a.ice.Stop())
	require.Less(t, time.Since(begin), time.Second)
	require.Zero(t, counter.open())
	require.NoError(t, b.ice.Stop())
}

// An address that the settings refuse is refused behind a name as well.
func TestI7_AddressesBehindNamesAreRefused(t *testing.T) {
	t.Run("by a filter", func(t *testing.T) {
		testnet.Leaks(t)
		host := newName()
		answerForName(t, host)
		var asked atomic.Int32
		var settings SettingEngine
		settings.ICE.RemoteIPFilter = func(net.IP) bool {
			asked.Add(1)

			return false
		}
		a := newStack(t, ICERoleControlling, onLoopback(settings))
		hidden := hostCandidate(host, 9)
		require.NoError(t, a.ice.AddRemoteCandidate(&hidden))
		lookedUp(t, a.gatherer.newest)
		require.EqualValues(t, 1, asked.Load(), "it was found")
		require.Empty(t, remoteCandidates(t, a))
		_, total := a.gatherer.newest.remotes.counts()
		require.Equal(t, 1, total, "its place stays taken")
		require.NoError(t, a.ice.Stop())
	})
	t.Run("by default", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, _, _ := virtualPair(t)
			agent := a.gatherer.newest
			for _, address := range []string{
				"0.0.0.0", "224.0.0.1", "127.0.0.1", "::1", "169.254.1.1", "fe80::1%eth0", "::", "ff02::1",
			} {
				require.ErrorIs(t, agent.addResolved(hostCandidate("x.local", 9), netip.MustParseAddr(address)), ErrInvalidArgument)
			}
			require.NoError(t, agent.addResolved(hostCandidate("x.local", 9), netip.MustParseAddr("10.0.0.2")))
			require.Len(t, taken(t, agent, 1), 1)
		})
	})
}

// listed is a network with some interfaces.
type listed struct {
	transport.Net

	interfaces []*transport.Interface
}

func (n listed) Interfaces() ([]*transport.Interface, error) { return n.interfaces, nil }

// Names are asked for where candidates are gathered, and nowhere else.
func TestI10_WhereNamesAreAskedFor(t *testing.T) {
	iface := func(index int, name string, flags net.Flags, addresses ...string) *transport.Interface {
		i := transport.NewInterface(net.Interface{Index: index, MTU: 1500, Name: name, Flags: flags})
		for _, address := range addresses {
			ip, network, err := net.ParseCIDR(address)
			require.NoError(t, err)
			i.AddAddress(&net.IPNet{IP: ip, Mask: network.Mask})
		}

		return i
	}
	network := listed{interfaces: []*transport.Interface{
		iface(1, "lo", net.FlagUp|net.FlagLoopback, "127.0.0.1/8", "::1/128"),
		iface(2, "eth0", net.FlagUp, "192.0.2.1/24"),
		iface(3, "eth1", net.FlagUp, "10.0.0.1/24", "fe80::1/64"),
		iface(4, "down", 0, "192.0.2.2/24"),
		iface(5, "bare", net.FlagUp),
	}}
	for name, row := range map[string]struct {
		settings         ICESettings
		names            []string
		noIPv4, withIPv6 bool
	}{
		"by default":    {names: []string{"eth0", "eth1"}, withIPv6: true},
		"with loopback": {settings: ICESettings{IncludeLoopback: true}, names: []string{"lo", "eth0", "eth1"}, withIPv6: true},
		"an interface": {
			settings: ICESettings{IncludeLoopback: true, InterfaceFilter: func(name string) bool { return name == "lo" }},
			names:    []string{"lo"}, withIPv6: true,
		},
		"addresses": {
			settings: ICESettings{IPFilter: func(ip net.IP) bool { return ip.IsPrivate() }},
			names:    []string{"eth1"}, withIPv6: true,
		},
		"nothing":  {settings: ICESettings{InterfaceFilter: func(string) bool { return false }}, withIPv6: true},
		"IPv4":     {settings: ICESettings{NetworkTypes: []NetworkType{NetworkTypeUDP4}}, names: []string{"eth0", "eth1"}},
		"TCP IPv6": {settings: ICESettings{NetworkTypes: []NetworkType{NetworkTypeTCP6}}, names: []string{"eth0", "eth1"}, noIPv4: true, withIPv6: true},
	} {
		t.Run(name, func(t *testing.T) {
			settings := SettingEngine{ICE: row.settings, Net: network}
			config := settings.resolved().namesConfig()
			interfaces, err := config.Interfaces()
			require.NoError(t, err)
			var names []string
			for _, i := range interfaces {
				names = append(names, i.Name)
			}
			require.Equal(t, row.names, names)
			require.Equal(t, !row.noIPv4, config.IPv4)
			require.Equal(t, row.withIPv6, config.IPv6)
			require.Equal(t, row.settings.IncludeLoopback, config.IncludeLoopback)
		})
	}
}

// A passive TCP candidate with a name is not dialled either.
func TestI7_ANameIsNotDialled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, _ := virtualPair(t)
		passive := hostCandidate("x.local", 9)
		passive.Protocol, passive.TCPType = ICEProtocolTCP, "passive"
		require.NoError(t, a.ice.AddRemoteCandidate(&passive))
		_, total := a.gatherer.newest.remotes.counts()
		require.Zero(t, total, "it is ignored")
	})
}

// On a network without multicast a name does no harm.
func TestI10_ANameWithoutMulticast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t)
		hidden := hostCandidate(newName(), 9)
		require.NoError(t, a.ice.AddRemoteCandidate(&hidden))
		lookedUp(t, a.gatherer.newest)
		require.Zero(t, network.OpenSockets(0))
		connect(t, a, b)
	})
}

// While a transport restarts, a candidate with a name goes to the agent that it
// belongs to, and one that comes before the parameters waits for them.
func TestI5_NamesInARestart(t *testing.T) {
	testnet.Leaks(t)
	host, silent := newName(), newName()
	answerForName(t, host)
	settings, counter := countingMulticast(t, SettingEngine{})
	a := newStack(t, ICERoleControlling, settings)
	b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
	connect(t, a, b)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	before := agentOf(a)

	// A restart that another takes the place of, while a name is looked up.
	_, err := a.ice.Restart(ctx)
	require.NoError(t, err)
	dropped := nextOf(a)
	ofB, err := b.ice.Restart(ctx)
	require.NoError(t, err)
	require.NoError(t, a.ice.SetRemoteParameters(ofB))
	unanswered := hostCandidate(silent, 9)
	require.NoError(t, a.ice.AddRemoteCandidate(&unanswered))
	begin := time.Now()
	ofA, err := a.ice.Restart(ctx)
	require.NoError(t, err)
	require.Less(t, time.Since(begin), 2*time.Second, "a query does not hold up the next restart")
	require.Error(t, dropped.names.Cause())
	require.NoError(t, dropped.names.WaitTasks(ctx))

	next := nextOf(a)
	candidates, err := b.gatherer.GetLocalCandidates()
	require.NoError(t, err)
	require.Len(t, candidates, 1)
	hidden := behind(t, candidates[0], host)
	hidden.extensions = "ufrag " + ofB.UsernameFragment
	require.NoError(t, a.ice.AddRemoteCandidate(&hidden))
	_, total := next.remotes.counts()
	require.Zero(t, total, "it waits")
	require.NoError(t, b.ice.SetRemoteParameters(ofA))
	require.NoError(t, a.ice.SetRemoteParameters(ofB))
	awaitSwitch(t, a, before)
	require.Same(t, next, agentOf(a))
	require.Equal(t, []string{fmt.Sprintf("127.0.0.1:%d", hidden.Port)}, taken(t, next, 1))
	require.Equal(t, 2, counter.opened(), "the gatherer is the same")
	require.NoError(t, a.ice.Stop())
	require.Zero(t, counter.open())
	require.NoError(t, b.ice.Stop())
}

func nextOf(s *stack) *iceAgent {
	s.ice.life.mu.Lock()
	defer s.ice.life.mu.Unlock()

	return s.ice.next
}

// Names in descriptions, and in candidates that come by themselves.
func TestP5_NamesOfAPeerConnection(t *testing.T) {
	for _, trickle := range []bool{false, true} {
		t.Run(fmt.Sprintf("trickle %v", trickle), func(t *testing.T) {
			testnet.Leaks(t)
			host := newName()
			answerForName(t, host)
			settings, counter := countingMulticast(t, SettingEngine{})
			settings.LoggerFactory = quietLogs
			a, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(Configuration{})
			require.NoError(t, err)
			t.Cleanup(func() { _ = a.Close() })
			b := newPeer(t, SettingEngine{}, nil, 0)
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			_, err = b.CreateDataChannel("by name", nil)
			require.NoError(t, err)
			require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
			offer := *b.LocalDescription()
			candidates, err := b.gatherer.GetLocalCandidates()
			require.NoError(t, err)
			require.Len(t, candidates, 1)
			hidden := behind(t, candidates[0], host)
			if trickle {
				offer.SDP = withoutCandidates(offer.SDP)
				require.NoError(t, a.AddICECandidate(hidden.ToJSON()), "before the description")
			} else {
				offer.SDP = strings.ReplaceAll(offer.SDP, " 127.0.0.1 ", " "+host+" ")
				require.Contains(t, offer.SDP, host)
			}
			require.Zero(t, counter.opened())
			require.NoError(t, a.SetRemoteDescriptionContext(ctx, offer))
			require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
			answer := *a.LocalDescription()
			answer.SDP = withoutCandidates(answer.SDP)
			require.NoError(t, b.SetRemoteDescriptionContext(ctx, answer))
			connectPeers(t, a, b)
			require.Equal(t, 2, counter.opened())
			require.NoError(t, a.Close())
			require.Zero(t, counter.open())
			require.NoError(t, b.Close())
		})
	}
}

// withoutCandidates is a description as it is before gathering.
func withoutCandidates(sdp string) string {
	var kept []string
	for _, line := range strings.Split(sdp, "\r\n") {
		if !strings.HasPrefix(line, "a=candidate:") {
			kept = append(kept, line)
		}
	}

	return strings.Join(kept, "\r\n")
}
