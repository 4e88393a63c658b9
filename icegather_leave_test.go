package webrtc

import (
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
