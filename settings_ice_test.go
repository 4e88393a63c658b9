package webrtc

import (
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/transport/v5/vnet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testVNet(t *testing.T) *vnet.Net {
	t.Helper()
	network, err := vnet.NewNet(&vnet.NetConfig{})
	require.NoError(t, err)

	return network
}

// agentField reads a field of the ice module's agent.
func agentField(agent *ice.Agent, name string) any {
	v := reflect.ValueOf(agent).Elem().FieldByName(name)
	switch {
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		return v.Len()
	case v.Kind() == reflect.Func || v.Kind() == reflect.Interface:
		return !v.IsNil()
	case v.CanInt():
		return int(v.Int())
	case v.CanUint():
		return int(v.Uint())
	case v.Kind() == reflect.Bool:
		return v.Bool()
	default:
		return v.String()
	}
}

// Each setting reaches the agent, and none keeps it from being made.
func TestICEAgentOptions(t *testing.T) {
	turn, err := stun.ParseURI("turn:127.0.0.1:3478?transport=udp")
	require.NoError(t, err)
	ms := func(n int) int { return n * int(time.Millisecond) }
	const second = time.Second
	external := []string{"203.0.113.1"}

	for _, tc := range []struct {
		name   string
		change func(*SettingEngine)
		urls   []*stun.URI
		policy ICETransportPolicy
		want   map[string]any
	}{
		{"defaults", func(*SettingEngine) {}, nil, ICETransportPolicyAll, map[string]any{
			"mDNSMode": int(ice.MulticastDNSModeDisabled), "networkTypes": 2, "candidateTypes": 3,
			"disableActiveTCP": true, "includeLoopback": false, "lite": false, "portMin": 0, "portMax": 0,
			"maxBindingRequests": 7, "disconnectedTimeout": ms(5000), "failedTimeout": ms(25000),
			"keepaliveInterval": ms(2000), "hostAcceptanceMinWait": 0, "srflxAcceptanceMinWait": ms(500),
			"prflxAcceptanceMinWait": ms(1000), "relayAcceptanceMinWait": ms(2000), "stunGatherTimeout": ms(5000),
			"enableRenomination": false, "addressRewriteRules": 0, "userBindingRequestHandler": false,
			"enableUseCandidateCheckPriority": false, "udpMux": false, "tcpMux": false, "proxyDialer": false,
		}},
		{
			"network types", func(e *SettingEngine) { e.SetNetworkTypes([]NetworkType{NetworkTypeTCP4}) },
			nil, ICETransportPolicyAll,
			map[string]any{"networkTypes": 1},
		},
		{
			"filters", func(e *SettingEngine) {
				e.SetInterfaceFilter(func(string) bool { return true })
				e.SetIPFilter(func(net.IP) bool { return true })
				e.SetRemoteIPFilter(func(net.IP) bool { return true })
			},
			nil, ICETransportPolicyAll,
			map[string]any{"interfaceFilter": true, "ipFilter": true, "remoteIPFilter": true},
		},
		{
			"loopback", func(e *SettingEngine) { e.SetIncludeLoopbackCandidate(true) },
			nil, ICETransportPolicyAll,
			map[string]any{"includeLoopback": true},
		},
		{
			"active TCP", func(e *SettingEngine) { e.ICE.EnableActiveTCP = true },
			nil, ICETransportPolicyAll,
			map[string]any{"disableActiveTCP": false},
		},
		{
			"ports", func(e *SettingEngine) { _ = e.SetEphemeralUDPPortRange(5000, 5010) },
			nil, ICETransportPolicyAll,
			map[string]any{"portMin": 5000, "portMax": 5010},
		},
		{
			"buffers", func(e *SettingEngine) { e.ICE.ReadBufferSize = 1 << 16 },
			nil, ICETransportPolicyAll,
			map[string]any{"net": true},
		},
		{
			"mDNS name", func(e *SettingEngine) { e.SetMulticastDNSHostName("test.local") },
			nil, ICETransportPolicyAll,
			map[string]any{"mDNSName": "test.local"},
		},
		{
			"credentials", func(e *SettingEngine) { e.SetICECredentials("ufrag", "password-of-22-characters") },
			nil, ICETransportPolicyAll,
			map[string]any{"localUfrag": "ufrag", "localPwd": "password-of-22-characters"},
		},
		{
			"lite", func(e *SettingEngine) { e.SetLite(true) },
			nil, ICETransportPolicyAll,
			map[string]any{"lite": true, "candidateTypes": 1, "disconnectedTimeout": ms(10000)},
		},
		{
			"timeouts", func(e *SettingEngine) { e.SetICETimeouts(second, 2*second, 3*second) },
			nil, ICETransportPolicyAll,
			map[string]any{
				"disconnectedTimeout": ms(1000), "failedTimeout": ms(2000), "keepaliveInterval": ms(3000),
			},
		},
		{
			"never", func(e *SettingEngine) { e.SetICETimeouts(0, 0, second) },
			nil, ICETransportPolicyAll,
			map[string]any{"disconnectedTimeout": 0, "failedTimeout": 0},
		},
		{
			"lite without keepalives", func(e *SettingEngine) { e.SetLite(true); e.SetICETimeouts(second, second, 0) },
			nil, ICETransportPolicyAll,
			map[string]any{"keepaliveInterval": 0, "disconnectedTimeout": ms(1000)},
		},
		{
			"waits", func(e *SettingEngine) {
				e.SetHostAcceptanceMinWait(second)
				e.SetSrflxAcceptanceMinWait(2 * second)
				e.SetPrflxAcceptanceMinWait(3 * second)
				e.SetRelayAcceptanceMinWait(4 * second)
				e.SetSTUNGatherTimeout(5 * second)
			},
			nil, ICETransportPolicyAll,
			map[string]any{
				"hostAcceptanceMinWait": ms(1000), "srflxAcceptanceMinWait": ms(2000),
				"prflxAcceptanceMinWait": ms(3000), "relayAcceptanceMinWait": ms(4000), "stunGatherTimeout": ms(5000),
			},
		},
		{
			"no waits", func(e *SettingEngine) {
				e.SetSrflxAcceptanceMinWait(0)
				e.SetPrflxAcceptanceMinWait(0)
				e.SetRelayAcceptanceMinWait(0)
			},
			nil, ICETransportPolicyAll,
			map[string]any{
				"srflxAcceptanceMinWait": 0, "prflxAcceptanceMinWait": 0, "relayAcceptanceMinWait": 0,
			},
		},
		{
			"binding requests", func(e *SettingEngine) { e.SetICEMaxBindingRequests(9) },
			nil, ICETransportPolicyAll,
			map[string]any{"maxBindingRequests": 9},
		},
		{
			"binding request handler is the caller's", func(e *SettingEngine) {
				e.SetICEBindingRequestHandler(func(*stun.Message, ice.Candidate, ice.Candidate, *ice.CandidatePair) bool {
					return true
				})
			},
			nil, ICETransportPolicyAll,
			map[string]any{"userBindingRequestHandler": false},
		},
		{
			"check priority", func(e *SettingEngine) { e.SetICEUseCandidateCheckPriority(true) },
			nil, ICETransportPolicyAll,
			map[string]any{"enableUseCandidateCheckPriority": true},
		},
		{
			"renomination", func(e *SettingEngine) {
				_ = e.SetICERenomination(WithRenominationInterval(second), WithRenominationNominationAttribute(7))
			},
			nil, ICETransportPolicyAll,
			map[string]any{
				"enableRenomination": true, "automaticRenomination": true, "nominationValueGenerator": true,
				"renominationInterval": ms(1000), "nominationAttribute": 7,
			},
		},
		{
			"renomination by default", func(e *SettingEngine) { _ = e.SetICERenomination() },
			nil, ICETransportPolicyAll,
			map[string]any{
				"nominationValueGenerator": true, "renominationInterval": ms(3000),
				"nominationAttribute": int(ice.DefaultNominationAttribute),
			},
		},
		{
			"rules", func(e *SettingEngine) {
				_ = e.SetICEAddressRewriteRules(ICEAddressRewriteRule{External: external},
					ICEAddressRewriteRule{External: external, AsCandidateType: ICECandidateTypeSrflx})
			},
			nil, ICETransportPolicyAll,
			map[string]any{"addressRewriteRules": 2},
		},
		{
			"NAT", func(e *SettingEngine) {
				e.SetNAT1To1IPs([]string{"203.0.113.1/10.0.0.1", "203.0.113.2"}, ICECandidateTypeHost)
			},
			nil, ICETransportPolicyAll,
			map[string]any{"addressRewriteRules": 2},
		},
		{
			"muxes, and a dialer that is not the agent's", func(e *SettingEngine) {
				e.SetICEUDPMux(closingUDPMux{})
				e.SetICETCPMux(closingTCPMux{})
				e.SetICEProxyDialer(fakeDialer{})
			},
			nil, ICETransportPolicyAll,
			map[string]any{"udpMux": true, "tcpMux": true, "proxyDialer": false},
		},
		{
			"servers are not the agent's", func(*SettingEngine) {},
			[]*stun.URI{turn},
			ICETransportPolicyAll,
			map[string]any{"urls": 0},
		},
		{
			"relay alone does not wait for better", func(*SettingEngine) {},
			[]*stun.URI{turn},
			ICETransportPolicyRelay,
			map[string]any{"candidateTypes": 1, "relayAcceptanceMinWait": 0},
		},
		{
			"relay alone, wait set", func(e *SettingEngine) { e.SetRelayAcceptanceMinWait(second) },
			[]*stun.URI{turn},
			ICETransportPolicyRelay,
			map[string]any{"relayAcceptanceMinWait": ms(1000)},
		},
		{
			"no host", func(*SettingEngine) {},
			[]*stun.URI{turn},
			ICETransportPolicyNoHost,
			map[string]any{"candidateTypes": 2, "relayAcceptanceMinWait": ms(2000)},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := SettingEngine{Net: testVNet(t)}
			tc.change(&e)
			api := NewAPI(WithSettingEngine(e))
			require.NoError(t, api.ready("test"))
			options, err := api.settings.iceAgentOptions(len(tc.urls), tc.policy)
			require.NoError(t, err)
			agent, err := ice.NewAgentWithOptions(options...)
			require.NoError(t, err)
			for name, want := range tc.want {
				assert.Equal(t, want, agentField(agent, name), name)
			}
			require.NoError(t, agent.Close())
		})
	}
}

// Muxes that an agent can leave.
type (
	closingUDPMux struct{ ice.UDPMux }
	closingTCPMux struct{ ice.TCPMux }
)

func (closingUDPMux) RemoveConnByUfrag(string) {}
func (closingTCPMux) RemoveConnByUfrag(string) {}

func TestICEAgentOptionsRefused(t *testing.T) {
	url, err := stun.ParseURI("stun:127.0.0.1:3478")
	require.NoError(t, err)
	lite := SettingEngine{}
	lite.SetLite(true)
	for _, tc := range []struct {
		name   string
		engine SettingEngine
		urls   []*stun.URI
		policy ICETransportPolicy
	}{
		{"policy high", SettingEngine{}, nil, 77},
		{"policy negative", SettingEngine{}, nil, -1},
		{"lite with servers", lite, []*stun.URI{url}, ICETransportPolicyAll},
		{"lite, relay alone", lite, nil, ICETransportPolicyRelay},
		{"lite, no host", lite, nil, ICETransportPolicyNoHost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options, err := NewAPI(WithSettingEngine(tc.engine)).settings.iceAgentOptions(len(tc.urls), tc.policy)
			require.ErrorIs(t, err, ErrInvalidArgument)
			assert.Nil(t, options)
		})
	}
}

func TestNAT1To1IPsAsRules(t *testing.T) {
	s := ICESettings{NAT1To1IPs: []string{"203.0.113.1/10.0.0.1", "203.0.113.2"}, NAT1To1IPCandidateType: ICECandidateTypeSrflx}
	assert.Equal(t, []ice.AddressRewriteRule{
		{External: []string{"203.0.113.1"}, Local: "10.0.0.1", AsCandidateType: ice.CandidateTypeServerReflexive},
		{External: []string{"203.0.113.1", "203.0.113.2"}, AsCandidateType: ice.CandidateTypeServerReflexive},
	}, s.rewriteRules())

	s = ICESettings{AddressRewriteRules: []ICEAddressRewriteRule{{
		External: []string{"203.0.113.1"}, Local: "10.0.0.1", Iface: "eth0", CIDR: "10.0.0.0/8",
		AsCandidateType: ICECandidateTypeRelay, Mode: ICEAddressRewriteReplace, Networks: []NetworkType{NetworkTypeUDP6},
	}}}
	assert.Equal(t, []ice.AddressRewriteRule{{
		External: []string{"203.0.113.1"}, Local: "10.0.0.1", Iface: "eth0", CIDR: "10.0.0.0/8",
		AsCandidateType: ice.CandidateTypeRelay, Mode: ice.AddressRewriteReplace,
		Networks: []ice.NetworkType{ice.NetworkTypeUDP6},
	}}, s.rewriteRules())
}

// sizedConn notes the buffers that it is asked for.
type sizedConn struct {
	transport.UDPConn

	read, write *int
}

func (c sizedConn) SetReadBuffer(n int) error  { *c.read = n; return errors.New("not here") }
func (c sizedConn) SetWriteBuffer(n int) error { *c.write = n; return nil }

type sizedNet struct {
	transport.Net

	conn sizedConn
	err  error
}

func (n sizedNet) ListenUDP(string, *net.UDPAddr) (transport.UDPConn, error) { return n.conn, n.err }

func (n sizedNet) DialUDP(string, *net.UDPAddr, *net.UDPAddr) (transport.UDPConn, error) {
	return n.conn, n.err
}
func (n sizedNet) ListenPacket(string, string) (net.PacketConn, error) { return n.conn, n.err }

func TestSocketBuffers(t *testing.T) {
	failed := errors.New("no socket")
	for name, open := range map[string]func(transport.Net) (any, error){
		"ListenUDP":    func(n transport.Net) (any, error) { return n.ListenUDP("udp4", nil) },
		"DialUDP":      func(n transport.Net) (any, error) { return n.DialUDP("udp4", nil, nil) },
		"ListenPacket": func(n transport.Net) (any, error) { return n.ListenPacket("udp4", "") },
	} {
		for _, tc := range []struct{ read, write int }{{1 << 20, 1 << 19}, {1 << 20, 0}, {0, 1 << 19}} {
			t.Run(name, func(t *testing.T) {
				read, write := 0, 0
				below := sizedNet{conn: sizedConn{read: &read, write: &write}}
				e := &SettingEngine{Net: below}
				e.ICE.ReadBufferSize, e.ICE.WriteBufferSize = tc.read, tc.write
				conn, err := open(e.network())
				require.NoError(t, err, "a size that is refused does not cost the socket")
				assert.Equal(t, below.conn, conn, "the socket is wrapped")
				assert.Equal(t, []int{tc.read, tc.write}, []int{read, write})

				below.err = failed
				e.Net = below
				read = 0
				_, err = open(e.network())
				require.ErrorIs(t, err, failed)
				assert.Zero(t, read)
			})
		}
	}
}

// Sockets get the default unless the program says otherwise.
func TestDefaultSocketBuffers(t *testing.T) {
	for _, tc := range []struct{ asked, got int }{{0, 1 << 20}, {1 << 16, 1 << 16}} {
		read, write := 0, 0
		e := SettingEngine{Net: sizedNet{conn: sizedConn{read: &read, write: &write}}}
		e.ICE.ReadBufferSize = tc.asked
		api := NewAPI(WithSettingEngine(e))
		require.NoError(t, api.ready("test"))
		_, err := api.settings.network().ListenUDP("udp4", nil)
		require.NoError(t, err)
		assert.Equal(t, []int{tc.got, 0}, []int{read, write})
	}
}

func TestNetworkIsLeftAlone(t *testing.T) {
	e := &SettingEngine{}
	assert.IsType(t, &machineNet{}, e.network())

	e.Net = testVNet(t)
	assert.Same(t, e.Net, e.network())

	e.Net, e.ICE.WriteBufferSize = nil, 1
	assert.IsType(t, &machineNet{}, e.network().(*bufferedNet).Net)
}

// The interfaces of the machine are looked up, not kept.
func TestMachineNetKnowsTheInterfaces(t *testing.T) {
	network := new(SettingEngine).network()
	now, err := stdnet.NewNet()
	require.NoError(t, err)
	want, err := now.Interfaces()
	require.NoError(t, err)
	got, err := network.Interfaces()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for _, i := range want {
		byIndex, err := network.InterfaceByIndex(i.Index)
		require.NoError(t, err)
		byName, err := network.InterfaceByName(i.Name)
		require.NoError(t, err)
		assert.Equal(t, i, byIndex)
		assert.Equal(t, i, byName)
	}
	_, err = network.InterfaceByName("no such interface")
	require.ErrorIs(t, err, transport.ErrInterfaceNotFound)
}
