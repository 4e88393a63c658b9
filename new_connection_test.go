package webrtc

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// brokenNet fails where it is told to.
type brokenNet struct {
	transport.Net

	interfaces, sockets bool
}

var errBrokenNet = errors.New("the network is broken")

func (n *brokenNet) Interfaces() ([]*transport.Interface, error) {
	if n.interfaces {
		return nil, errBrokenNet
	}

	return n.Net.Interfaces()
}

func (n *brokenNet) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	if n.sockets {
		return nil, errBrokenNet
	}

	return n.Net.ListenUDP(network, local)
}

func (n *brokenNet) ListenPacket(network, address string) (net.PacketConn, error) {
	if n.sockets {
		return nil, errBrokenNet
	}

	return n.Net.ListenPacket(network, address)
}

// TestP1_AConstructorThatFailsLeavesNothing makes each of its steps fail. The
// bubble's end finds goroutines that are left.
func TestP1_AConstructorThatFailsLeavesNothing(t *testing.T) {
	for name, row := range map[string]struct {
		settings func(e *SettingEngine)
		config   Configuration
		is       error
	}{
		"settings":         {func(e *SettingEngine) { e.ICE.PortMin, e.ICE.PortMax = 2, 1 }, Configuration{}, ErrInvalidArgument},
		"configuration":    {nil, Configuration{SDPSemantics: SDPSemanticsPlanB}, ErrInvalidArgument},
		"server":           {nil, Configuration{ICEServers: serverWithoutURL}, ErrInvalidArgument},
		"TURN server":      {nil, Configuration{ICEServers: turnWithout}, ErrNoTurnCredentials},
		"zero certificate": {nil, Configuration{Certificates: make([]Certificate, 1)}, ErrInvalidArgument},
		"servers of a lite agent": {
			func(e *SettingEngine) { e.SetLite(true) },
			Configuration{ICEServers: []ICEServer{{URLs: []string{silentSTUN}}}},
			ErrInvalidArgument,
		},
		"relay of a lite agent": {
			func(e *SettingEngine) { e.SetLite(true) }, Configuration{ICETransportPolicy: ICETransportPolicyRelay}, nil,
		},
		"mDNS name": {
			func(e *SettingEngine) {
				e.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryAndGather)
				e.SetMulticastDNSHostName("no.name.of.mdns")
			},
			Configuration{},
			nil,
		},
		"short password": {
			func(e *SettingEngine) { e.SetICECredentials("user", "short") }, Configuration{}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t)
				settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
				if row.settings != nil {
					row.settings(&settings)
				}
				pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(row.config)
				require.Error(t, err)
				require.Nil(t, pc)
				if row.is != nil {
					require.ErrorIs(t, err, row.is)
				}
				var ours *Error
				require.ErrorAs(t, err, &ours)
				require.Zero(t, network.OpenSockets(0))
			})
		})
	}
	t.Run("expired certificate", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			network := testnet.Pair(t)
			certificate := bubbleCertificate(t)
			time.Sleep(200 * 365 * 24 * time.Hour)
			api := NewAPI(WithSettingEngine(SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}))
			pc, err := api.NewPeerConnection(Configuration{Certificates: []Certificate{certificate}})
			require.ErrorIs(t, err, ErrCertificateExpired)
			require.Nil(t, pc)
			require.Zero(t, network.OpenSockets(0))
		})
	})
	// Behind the gatherer, which is closed then.
	t.Run("closed gatherer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			api := NewAPI(WithSettingEngine(SettingEngine{LoggerFactory: quietLogs}))
			gatherer, err := api.NewICEGatherer(ICEGatherOptions{})
			require.NoError(t, err)
			require.NoError(t, gatherer.Close())
			_, err = api.newPeerConnection(gatherer, Configuration{})
			require.ErrorIs(t, err, ErrClosed)
		})
	})
}

// A network that fails later is no failure of the constructor: gathering finds
// nothing, and the connection can be closed.
func TestP1_NetworksThatFail(t *testing.T) {
	for name, broken := range map[string]*brokenNet{
		"interfaces": {interfaces: true}, "sockets": {sockets: true}, "all": {interfaces: true, sockets: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t)
				broken.Net = network.Net(0)
				settings := SettingEngine{Net: broken, LoggerFactory: quietLogs}
				pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(Configuration{
					Certificates: []Certificate{bubbleCertificate(t)}, AlwaysNegotiateDataChannels: true,
				})
				if err != nil {
					require.ErrorIs(t, err, errBrokenNet)
					require.Zero(t, network.OpenSockets(0))

					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				require.NoError(t, pc.SetLocalDescriptionContext(ctx, SessionDescription{}))
				require.NotContains(t, pc.LocalDescription().SDP, "a=candidate")
				requirePeersGone(t, network, pc)
			})
		})
	}
}
