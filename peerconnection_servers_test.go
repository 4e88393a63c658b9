package webrtc

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nattedHosts are two hosts, each behind a router that translates addresses, and
// a STUN and TURN server between them at 1.2.3.4:3478.
func nattedHosts(t *testing.T, oneWay time.Duration) (hosts [2]*vnet.Net) {
	t.Helper()
	wan, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "1.2.3.0/24", MinDelay: oneWay, LoggerFactory: quietLogs})
	require.NoError(t, err)
	middle, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{"1.2.3.4"}})
	require.NoError(t, err)
	require.NoError(t, wan.AddNet(middle))
	for i, public := range []string{"1.2.3.10", "1.2.3.20"} {
		lan, err := vnet.NewRouter(&vnet.RouterConfig{
			StaticIPs: []string{public}, CIDR: "192.168.0.0/24", LoggerFactory: quietLogs,
		})
		require.NoError(t, err)
		hosts[i], err = vnet.NewNet(&vnet.NetConfig{})
		require.NoError(t, err)
		require.NoError(t, lan.AddNet(hosts[i]))
		require.NoError(t, wan.AddRouter(lan))
	}
	require.NoError(t, wan.Start())
	t.Cleanup(func() { _ = wan.Stop() })
	packets, err := middle.ListenPacket("udp4", "1.2.3.4:3478")
	require.NoError(t, err)
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: turnRealm, LoggerFactory: quietLogs,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(turnUser, turnRealm, turnPassword), ra.Username == turnUser
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: packets, RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.IPv4(1, 2, 3, 4), Address: "1.2.3.4", Net: middle,
			},
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })

	return hosts
}

// With no pair of hosts that works, nothing waits for the nomination either,
// which takes the agent 0.5 to 2 s of its own.
func TestFirstMessageOverServers(t *testing.T) {
	const oneWay, never = 25 * time.Millisecond, 20 * time.Second
	for name, c := range map[string]struct {
		servers []ICEServer
		policy  ICETransportPolicy
		path    time.Duration // there and back
		most    float64
	}{
		// The answerer's first check finds the offerer's router closed. What counts
		// is the next one, which the offerer's sets off: a round trip later.
		"reflexive": {[]ICEServer{{URLs: []string{"stun:1.2.3.4:3478"}}}, ICETransportPolicyAll, 2 * oneWay, 3.5},
		"relayed": {
			[]ICEServer{{URLs: []string{"turn:1.2.3.4:3478"}, Username: turnUser, Credential: turnPassword}},
			ICETransportPolicyRelay, 4 * oneWay, 6,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts := nattedHosts(t, oneWay)
				var sides [2]*PeerConnection
				for i, host := range hosts {
					settings := SettingEngine{Net: host, LoggerFactory: quietLogs, ICE: ICESettings{
						SrflxAcceptanceMinWait: never, PrflxAcceptanceMinWait: never, RelayAcceptanceMinWait: never,
					}}
					var err error
					sides[i], err = NewAPI(WithSettingEngine(settings)).NewPeerConnection(Configuration{
						ICEServers: c.servers, ICETransportPolicy: c.policy, Certificates: []Certificate{bubbleCertificate(t)},
					})
					require.NoError(t, err)
					t.Cleanup(func() { // Run waits until the relay is released
						_ = sides[i].Close()
						_ = sides[i].Run(context.Background())
					})
				}
				began := time.Now()
				took := firstMessage(t, sides[0], sides[1], c.path, true)
				t.Logf("%.2f round trips", took.Seconds()/c.path.Seconds())
				assert.LessOrEqual(t, took.Seconds()/c.path.Seconds(), c.most+lateLook)
				for _, pc := range sides {
					assert.Equal(t, ICEConnectionStateChecking, pc.ICEConnectionState())
					assert.Equal(t, PeerConnectionStateConnecting, pc.ConnectionState())
				}
				connectPeers(t, sides[0], sides[1])
				assert.Greater(t, time.Since(began), never)
			})
		})
	}
}
