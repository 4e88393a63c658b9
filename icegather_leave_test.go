package webrtc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// leftAtOnce moves a off the selected of two networks.
func leftAtOnce(t *testing.T, a *stack, network *testnet.Network, base string) {
	t.Helper()
	left := 0
	if base == testnet.Address(0, 0) {
		left = 1
	}
	before := agentOf(a)
	sel, err := before.GetSelectedCandidatePair()
	require.NoError(t, err)
	network.Move(0, left)
	time.Sleep(defaultNetworkMonitorInterval + 100*time.Millisecond)
	now, err := before.GetSelectedCandidatePair()
	require.NoError(t, err)
	assert.NotEqual(t, sel.Local.String(), now.Local.String(), "left at once")
}

// A restart that waits for its answer: the pair in use is left as without.
func TestI5_UnansweredRestartAndALostAddress(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b, network, _ := roamingOver(t, 2, ICERoleControlling, testnet.Delay(10*time.Millisecond))
			network.Move(0, 0, 1)
			connect(t, a, b)
			time.Sleep(20 * time.Second)
			if restarted {
				_, err := a.ice.Restart(t.Context())
				require.NoError(t, err)
			}
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			leftAtOnce(t, a, network, pair.Local.Address)
			requireNothingLeft(t, network, a, b)
		})
	}
}

// The same, and the address is new.
func TestI5_UnansweredRestartAndANewAddress(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b, network, _ := roamingOver(t, 2, ICERoleControlling, testnet.Delay(10*time.Millisecond))
			connect(t, a, b)
			from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
			if restarted {
				_, err := a.ice.Restart(t.Context())
				require.NoError(t, err)
			}
			network.Move(0, 1)
			require.NoError(t, from.SendTextContext(t.Context(), "x"))
			_, err := to.ReceiveContext(limited(t, 20*time.Second))
			assert.NoError(t, err)
			time.Sleep(time.Minute)
			assert.Equal(t, ICETransportStateConnected, a.ice.State(), "cause: %v", a.ice.life.group.Cause())
			requireNothingLeft(t, network, a, b)
		})
	}
}

// Host candidates that are told under another address are lost all the same.
func TestI6_RewrittenHostIsLeft(t *testing.T) {
	for _, rewritten := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			settings := SettingEngine{LoggerFactory: quietLogs}
			settings.ICE.ContinualGathering = true
			if rewritten {
				settings.ICE.AddressRewriteRules = []ICEAddressRewriteRule{
					{External: []string{"10.77.0.1"}, Local: "10.0.0.1", AsCandidateType: ICECandidateTypeHost},
					{External: []string{"10.77.0.2"}, Local: "10.1.0.1", AsCandidateType: ICECandidateTypeHost},
				}
			}
			network := testnet.Pair(t, testnet.Networks(2), testnet.Delay(10*time.Millisecond))
			a := quickStack(t, ICERoleControlling, settings, network, 0)
			b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
			network.Move(0, 0, 1)
			connect(t, a, b)
			time.Sleep(20 * time.Second)
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			base := pair.Local.Address
			if base == "10.77.0.1" {
				base = testnet.Address(0, 0)
			}
			leftAtOnce(t, a, network, base)
			requireNothingLeft(t, network, a, b)
		})
	}
}

// What a server has given in the first round is of no use either when the address is
// gone.
func TestI10_RelayOfTheFirstRoundIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, _ := roamingOver(t, 2, ICERoleControlling)
		server := virtualTURN(t, network, virtualPort, nil)
		a.useServers(t, ICETransportPolicyAll, virtualURL)
		first, err := a.gatherer.GatherContext(limited(t, 10*time.Second))
		require.NoError(t, err)
		network.Move(0, 1)
		time.Sleep(20 * time.Second)
		now, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		for _, c := range now {
			for _, f := range first {
				assert.NotEqual(t, f.String(), c.String(), "of an address that is gone")
			}
		}
		require.NoError(t, a.ice.Shutdown(limited(t, 20*time.Second)))
		require.NoError(t, server.Close())
		requireNothingLeft(t, network, a, b)
	})
}

// With one external address for all, the loss of one takes back one.
func TestI10_RewrittenCandidatesByTheirBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Networks(2), testnet.Delay(10*time.Millisecond))
		settings := SettingEngine{LoggerFactory: quietLogs, Net: network.Net(0)}
		settings.ICE.ContinualGathering = true
		settings.ICE.AddressRewriteRules = []ICEAddressRewriteRule{{External: []string{" 203.0.113.1 "}}}
		network.Move(0, 0, 1)
		g, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(ICEGatherOptions{})
		require.NoError(t, err)
		found, err := g.GatherContext(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 2)
		network.Move(0, 1)
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"203.0.113.1"}, localTexts(t, g), "one network is left")
		require.NoError(t, g.GracefulClose())
		require.Zero(t, network.OpenSockets(0))
	})
}

// A relay is asked for anew when its address has been away: the server may have
// forgotten it.
func TestI10_RelayOfAnAddressThatReturns(t *testing.T) {
	for _, away := range []time.Duration{time.Minute, 11 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, network := roaming(t, 3, ICERoleControlling)
				server := virtualTURN(t, network, virtualPort, nil)
				a.useServers(t, ICETransportPolicyRelay, virtualURL)
				connect(t, a, b)
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				network.Move(0, 1)
				time.Sleep(away)
				exchange(t, from, to)
				network.Move(0, 0)
				time.Sleep(20 * time.Second)
				assert.Equal(t, ICETransportStateConnected, a.ice.State())
				exchange(t, from, to)
				_ = a.ice.Shutdown(context.Background())
				require.NoError(t, server.Close())
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// A server that is silent holds up neither the loss of an address nor a new one.
func TestI12_SilentServerHoldsUpNoMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 3, ICERoleControlling)
		a.useServers(t, ICETransportPolicyAll, silentSTUN)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		time.Sleep(10 * time.Second)
		network.Move(0, 1)
		time.Sleep(defaultNetworkMonitorInterval + 200*time.Millisecond)
		require.Equal(t, ICEGathererStateGathering, a.gatherer.State())
		movedWithin(t, defaultNetworkMonitorInterval+100*time.Millisecond, a, b, from, to, func() string {
			network.Move(0, 2)

			return testnet.Address(0, 2)
		})
		requireNothingLeft(t, network, a, b)
	})
}

// An agent that has failed has no candidates any more, so none is told.
func TestI10_NothingIsToldOfAFailedAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.ICE.ContinualGathering = true
		settings.ICE.FailedGrace = time.Hour
		network := testnet.Pair(t, testnet.Networks(2), testnet.Delay(5*time.Millisecond))
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, settings, network, 1)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		network.Move(0)
		time.Sleep(time.Minute)
		require.Equal(t, ICETransportStateFailed, a.ice.State())
		log := logCandidates(a.gatherer)
		network.Move(0, 0, 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Empty(t, log.take())
		restart(t, a, b)
		for _, s := range []*stack{a, b} {
			_, err := s.ice.AwaitState(t.Context(), ICETransportStateConnected)
			require.NoError(t, err)
		}
		exchange(t, from, to)
		requireNothingLeft(t, network, a, b)
	})
}
