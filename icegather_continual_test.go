package webrtc

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// roaming is a pair whose first side gathers continually, on so many networks.
// Both have their addresses looked at often.
func roaming(tb testing.TB, networks int, role ICERole) (a, b *stack, network *testnet.Network) {
	tb.Helper()
	settings := SettingEngine{}
	settings.ICE.ContinualGathering = true
	network = testnet.Pair(tb, testnet.Networks(networks), testnet.Delay(10*time.Millisecond))
	other := ICERoleControlled
	if role == ICERoleControlled {
		other = ICERoleControlling
	}
	a = quickStack(tb, role, settings, network, 0)
	b = quickStack(tb, other, settings, network, 1)

	return a, b, network
}

// localTexts are the addresses of a gatherer's candidates.
func localTexts(tb testing.TB, g *ICEGatherer) (addresses []string) {
	tb.Helper()
	candidates, err := g.GetLocalCandidates()
	require.NoError(tb, err)
	for _, c := range candidates {
		addresses = append(addresses, c.Address)
	}
	slices.Sort(addresses)

	return addresses
}

// candidateLog is what a gatherer has told.
type candidateLog struct {
	mu     sync.Mutex
	events []string
}

func (l *candidateLog) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, text)
}

func (l *candidateLog) take() (events []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, l.events = l.events, nil

	return events
}

func logCandidates(g *ICEGatherer) *candidateLog {
	log := &candidateLog{}
	g.OnLocalCandidate(func(c *ICECandidate) {
		if c == nil {
			log.add("end")
		} else {
			log.add("+" + c.Address)
		}
	})
	g.OnLocalCandidateRemoved(func(c *ICECandidate) { log.add("-" + c.Address) })
	g.OnStateChange(func(s ICEGathererState) { log.add(s.String()) })

	return log
}

// Addresses that come are gathered on, each change is a round with its nil, and
// those that go are taken back.
func TestI10_CandidatesFollowTheInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 3, ICERoleControlling)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		log := logCandidates(a.gatherer)
		look := func() []string {
			time.Sleep(2 * defaultNetworkMonitorInterval)
			synctest.Wait()

			return log.take()
		}
		first, second, third := testnet.Address(0, 0), testnet.Address(0, 1), testnet.Address(0, 2)
		assert.Empty(t, look())

		network.Move(0, 0, 1)
		assert.Equal(t, []string{"gathering", "+" + second, "complete", "end"}, look())
		assert.Equal(t, []string{first, second}, localTexts(t, a.gatherer))

		network.Move(0, 1, 2)
		assert.Equal(t, []string{"-" + first, "gathering", "+" + third, "complete", "end"}, look())
		assert.Equal(t, []string{second, third}, localTexts(t, a.gatherer))

		network.Move(0)
		assert.ElementsMatch(t, []string{"-" + second, "-" + third}, look())
		assert.Empty(t, localTexts(t, a.gatherer))

		network.Move(0, 0)
		assert.Equal(t, []string{"gathering", "+" + first, "complete", "end"}, look(), "as it was")
		assert.Equal(t, 3, network.OpenSockets(0), "none is opened twice")
		exchange(t, from, to)
		requireNothingLeft(t, network, a, b)
	})
}

// movedWithin makes a move and waits until the selected pair is on another address
// of the first side's. Data flows both ways then.
func movedWithin(t *testing.T, limit time.Duration, a, b *stack, from, to *DataChannel, move func() (address string)) {
	t.Helper()
	begin := time.Now()
	address := move()
	require.NoError(t, from.SendTextContext(context.Background(), "lost on the old path"))
	for {
		own, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		theirs, err := b.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		if own.Local.Address == address && theirs.Remote.Address == address {
			break
		}
		require.Less(t, time.Since(begin), limit)
		time.Sleep(50 * time.Millisecond)
	}
	// It does not wait for the timer of SCTP, which has grown meanwhile.
	m, err := to.ReceiveContext(limited(t, 300*time.Millisecond))
	require.NoError(t, err)
	require.Equal(t, "lost on the old path", string(m.Data))
	exchange(t, from, to)
	exchange(t, to, from)
}

// The side that controls moves with no signaling, as soon as it has another
// address.
func TestI6_ControllingSideRoams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 12, ICERoleControlling)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		record := watch(a)
		for i := 1; i < 12; i++ {
			movedWithin(t, defaultNetworkMonitorInterval+100*time.Millisecond, a, b, from, to, func() string {
				network.Move(0, i)

				return testnet.Address(0, i)
			})
		}
		time.Sleep(time.Minute)
		exchange(t, from, to)
		assert.Empty(t, record.of("DTLS"))
		assert.NotContains(t, record.of("ICE"), "failed")
		requireNothingLeft(t, network, a, b)
	})
}

// The side that is controlled has its new candidates signaled.
func TestI6_ControlledSideRoams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 4, ICERoleControlled)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		a.gatherer.OnLocalCandidate(func(c *ICECandidate) {
			if c != nil {
				assert.NoError(t, b.ice.AddRemoteCandidate(c))
			}
		})
		for i := 1; i < 4; i++ {
			movedWithin(t, 10*time.Second, a, b, from, to, func() string {
				network.Move(0, i)

				return testnet.Address(0, i)
			})
		}
		requireNothingLeft(t, network, a, b)
	})
}

// With two networks at once the connection changes over to the one that is left.
func TestI6_SecondNetworkTakesOver(t *testing.T) {
	for _, c := range []struct {
		role  ICERole
		limit time.Duration
	}{
		{ICERoleControlling, defaultNetworkMonitorInterval + 100*time.Millisecond},
		{ICERoleControlled, 10 * time.Second},
	} {
		t.Run(c.role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, network := roaming(t, 2, c.role)
				network.Move(0, 0, 1)
				connect(t, a, b)
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				for range 6 {
					movedWithin(t, c.limit, a, b, from, to, func() string {
						pair, err := a.ice.GetSelectedCandidatePair()
						require.NoError(t, err)
						left := 0
						if pair.Local.Address == testnet.Address(0, 0) {
							left = 1
						}
						network.Move(0, left)

						return testnet.Address(0, left)
					})
					network.Move(0, 0, 1)
					time.Sleep(20 * time.Second)
					exchange(t, from, to)
				}
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// On a new address the servers are asked too, from there.
func TestI12_ServersAreAskedFromNewAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 3, ICERoleControlling)
		server := virtualTURN(t, network, virtualPort, nil)
		a.useServers(t, ICETransportPolicyAll, virtualURL, silentSTUN)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.gatherer.GatherContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		var failed serverErrors
		failed.record(a.gatherer)
		log := logCandidates(a.gatherer)
		second := testnet.Address(0, 1)

		network.Move(0, 0, 1)
		time.Sleep(defaultNetworkMonitorInterval + time.Second)
		assert.Equal(t, []string{"gathering", "+" + second, "+" + second, "+10.0.0.2"}, log.take(),
			"the context of the first time does not end what comes later")
		time.Sleep(defaultServerTimeout)
		assert.Equal(t, []string{"complete", "end"}, log.take())
		require.Len(t, failed.all(), 1)
		assert.Equal(t, silentSTUN, failed.all()[0].URL)
		candidates, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		var from []string
		for _, c := range candidates {
			from = append(from, c.Typ.String()+" "+c.RelatedAddress)
		}
		assert.Contains(t, from, "relay "+second)
		results, err := a.gatherer.GetServerResults()
		require.NoError(t, err)
		assert.Len(t, results, 6, "three questions, twice")

		network.Move(0, 0)
		time.Sleep(2 * defaultNetworkMonitorInterval)
		synctest.Wait()
		assert.Equal(t, []string{"-" + second, "-" + second, "-10.0.0.2"}, log.take())
		require.NoError(t, a.ice.Shutdown(context.Background())) // waits for the server
		require.NoError(t, server.Close())
		requireNothingLeft(t, network, a, b)
	})
}

// A Stop in the middle of a round waits for nobody.
func TestL11_StopWhileARoamerGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roaming(t, 2, ICERoleControlling)
		a.useServers(t, ICETransportPolicyAll, silentSTUN, silentTURN)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.gatherer.GatherContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		network.Move(0, 0, 1)
		time.Sleep(defaultNetworkMonitorInterval + time.Second)
		require.Equal(t, ICEGathererStateGathering, a.gatherer.State())
		begin := time.Now()
		require.NoError(t, a.ice.Stop())
		assert.Zero(t, time.Since(begin))
		requireNothingLeft(t, network, a, b)
	})
}

// Above a limit nothing is opened any more; a restart begins anew.
func TestX1_NewAddressesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const networks = maxLateAddresses + 4
		a, b, network := roaming(t, networks, ICERoleControlling)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		for i := 1; i < networks; i++ {
			network.Move(0, 0, i)
			time.Sleep(2 * defaultNetworkMonitorInterval)
		}
		assert.Equal(t, maxLateAddresses+1, network.OpenSockets(0))
		assert.Equal(t, []string{testnet.Address(0, 0)}, localTexts(t, a.gatherer))
		exchange(t, from, to)

		before := agentOf(a)
		restart(t, a, b)
		awaitSwitch(t, a, before)
		exchange(t, from, to)
		time.Sleep(drainTime + time.Second)
		assert.Equal(t, 2, network.OpenSockets(0))
		movedWithin(t, defaultNetworkMonitorInterval+100*time.Millisecond, a, b, from, to, func() string {
			network.Move(0, 1)

			return testnet.Address(0, 1)
		})
		requireNothingLeft(t, network, a, b)
	})
}

// roamingPeers are connected, and gather continually on three networks.
func roamingPeers(tb testing.TB) (a, b *PeerConnection, network *testnet.Network) {
	tb.Helper()
	settings := SettingEngine{}
	settings.ICE.ContinualGathering = true
	network = testnet.Pair(tb, testnet.Networks(3), testnet.Delay(5*time.Millisecond))
	a, b = newPeer(tb, settings, network, 0), newPeer(tb, settings, network, 1)
	_, err := a.CreateDataChannel("chat", nil)
	require.NoError(tb, err)
	negotiate(tb, a, b)
	connectPeers(tb, a, b)

	return a, b, network
}

// What a program hears of a PeerConnection is what its peer needs: without a
// restart the answering side roams by candidates alone.
func TestI10_PeerConnectionRoams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roamingPeers(t)
		for _, side := range [][2]*PeerConnection{{a, b}, {b, a}} {
			side[0].OnICECandidate(func(c *ICECandidate) {
				if c != nil {
					assert.Equal(t, "0", c.SDPMid)
					assert.NoError(t, side[1].AddICECandidate(c.ToJSON()))
				}
			})
		}
		removed := &candidateLog{}
		b.OnICECandidateRemoved(func(c *ICECandidate) { removed.add(c.SDPMid + " " + c.Address) })
		network.Move(1, 2)
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"0 " + testnet.Address(1, 0)}, removed.take())
		b.OnICECandidateRemoved(nil)
		for _, pc := range []*PeerConnection{a, b} {
			assert.Equal(t, PeerConnectionStateConnected, pc.ConnectionState())
			assert.Equal(t, SignalingStateStable, pc.SignalingState())
			pair, err := pc.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			assert.Contains(t, []string{pair.Local.Address, pair.Remote.Address}, testnet.Address(1, 2))
		}
		assert.Contains(t, b.LocalDescription().SDP, testnet.Address(1, 2))
		assert.NotContains(t, b.LocalDescription().SDP, testnet.Address(1, 0)+" ")
		requirePeersGone(t, network, a, b)
	})
}
