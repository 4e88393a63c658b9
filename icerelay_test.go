package webrtc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// connectBesideServers is how long two stacks take from gathering to a message each way,
// when candidates are told one by one, and how long a's Stop takes then.
func connectBesideServers(t *testing.T, network *testnet.Network, a, b *stack) (connected, stopped time.Duration) {
	t.Helper()
	for _, p := range [][2]*stack{{a, b}, {b, a}} {
		p[0].gatherer.OnLocalCandidate(func(c *ICECandidate) { _ = p[1].ice.AddRemoteCandidate(c) })
	}
	begin := time.Now()
	require.NoError(t, a.gatherer.Gather())
	require.NoError(t, b.gatherer.Gather())
	require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(t.Context(), peer) }))
	from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
	exchange(t, from, to)
	connected = time.Since(begin)
	pair, err := a.ice.GetSelectedCandidatePair()
	require.NoError(t, err)
	require.Equal(t, ICECandidateTypeHost, pair.Local.Typ)
	begin = time.Now()
	require.NoError(t, a.ice.Stop())
	stopped = time.Since(begin)
	require.NoError(t, b.ice.Stop())
	time.Sleep(time.Second)
	require.Zero(t, network.OpenSockets(0))

	return connected, stopped
}

// Silent servers change nothing for a pair that works: neither one that has
// never answered, nor one that goes silent when it has allocated.
func TestI12_SilentServersBesideAWorkingPair(t *testing.T) {
	times := map[string]time.Duration{}
	for name, urls := range map[string][]string{
		"no server":              nil,
		"silent":                 {silentSTUN, silentTURN, "turn:10.0.0.98:1", "turn:10.0.0.97:1"},
		"silent when it is used": {virtualURL},
	} {
		bubble(t, func(t *testing.T) {
			network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
			a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
			b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
			a.useServers(t, ICETransportPolicyAll, urls...)
			if name == "silent when it is used" {
				server := virtualTURN(t, network, virtualPort, nil)
				time.AfterFunc(45*time.Millisecond, func() { _ = server.Close() })
			}
			connected, stopped := connectBesideServers(t, network, a, b)
			require.Zero(t, stopped, name)
			times[name] = connected
		})
	}
	require.NotZero(t, times["no server"])
	require.Equal(t, times["no server"], times["silent"])
	require.Equal(t, times["no server"], times["silent when it is used"])
}

// A relay whose server has gone silent blocks no call, and the end takes no time.
func TestI12_ServerGoesSilentUnderAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		a.useServers(t, ICETransportPolicyRelay, virtualURL)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		exchange(t, from, to)
		require.NoError(t, server.Close())
		begin := time.Now()
		for range 100 {
			require.NoError(t, from.Send(make([]byte, 1000)))
		}
		pair, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.Equal(t, ICECandidateTypeRelay, pair.Local.Typ)
		a.ice.Stats()
		require.NoError(t, a.ice.AddRemoteCandidate(ptrTo(hostCandidate("10.0.0.77", 7))))
		synctest.Wait()
		require.Zero(t, time.Since(begin))
		time.Sleep(9 * time.Second)
		require.Equal(t, ICETransportStateDisconnected, a.ice.State())
		begin = time.Now()
		require.NoError(t, a.ice.Stop())
		require.Zero(t, time.Since(begin))
		require.NoError(t, a.ice.Run(t.Context()))
		require.Equal(t, 500*time.Millisecond, time.Since(begin), "for the release, as nobody answers")
		require.Zero(t, network.OpenSockets(0))
	})
}

// Allocations, permissions, channels and nonces are refreshed: a relay carries
// messages beyond the times of each.
func TestI12_RelayIsRefreshed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		a.useServers(t, ICETransportPolicyRelay, virtualURL)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		for range 9 { // nonces are good for an hour
			time.Sleep(8 * time.Minute)
			exchange(t, from, to)
		}
		require.Equal(t, 1, server.AllocationCount())
		results, err := a.gatherer.GetServerResults()
		require.NoError(t, err)
		require.Len(t, results, 1)
		require.Zero(t, results[0].PacketsLost)
		require.NoError(t, a.ice.Stop())
		time.Sleep(time.Second)
		require.Zero(t, server.AllocationCount())
	})
}

// Shutdown waits for the server's answer, as far as its context goes.
func TestI12_ShutdownReleases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		a.useServers(t, ICETransportPolicyRelay, virtualURL)
		_, err := a.gatherer.GatherContext(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, server.AllocationCount())
		begin := time.Now()
		require.NoError(t, a.ice.Shutdown(t.Context()))
		require.Equal(t, 20*time.Millisecond, time.Since(begin))
		require.Zero(t, server.AllocationCount())
		require.Zero(t, network.OpenSockets(0))
	})
}
