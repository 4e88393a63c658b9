package webrtc

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// newPoolGatherer is a gatherer with a pool on the first host of a network.
func newPoolGatherer(t *testing.T, settings SettingEngine, network *testnet.Network, urls ...string) *ICEGatherer {
	t.Helper()
	settings.Net, settings.LoggerFactory = network.Net(0), quietLogs
	g, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(ICEGatherOptions{
		ICECandidatePoolSize: 3, ICEServers: ofServers(t, 0, urls...).ICEServers,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })

	return g
}

// Of a gatherer by itself Gather and GatherContext release what the pool has, which
// takes no time when it is complete.
func TestI10_GatherReleasesThePool(t *testing.T) {
	for name, gather := range map[string]func(g *ICEGatherer) error{
		"Gather": (*ICEGatherer).Gather,
		"GatherContext": func(g *ICEGatherer) error {
			candidates, err := g.GatherContext(t.Context())
			assert.Len(t, candidates, 3)

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
				virtualTURN(t, network, virtualPort, nil)
				g := newPoolGatherer(t, SettingEngine{}, network, virtualURL)
				var told gathering
				told.record(g)
				time.Sleep(time.Second)
				require.Equal(t, ICEGathererStateNew, g.State())
				require.Empty(t, told.all())
				candidates, err := g.GetLocalCandidates()
				require.NoError(t, err)
				require.Empty(t, candidates)
				results, err := g.GetServerResults()
				require.NoError(t, err)
				require.Equal(t, []ICEServerResult{
					{URL: virtualURL, Typ: ICECandidateTypeSrflx, Network: "udp4", Step: ICEGatherStepDone, Duration: 20 * time.Millisecond},
					{URL: virtualURL, Typ: ICECandidateTypeRelay, Network: "udp4", Step: ICEGatherStepDone, Duration: 40 * time.Millisecond},
				}, results)

				begin := time.Now()
				require.NoError(t, gather(g))
				require.Equal(t, ICEGathererStateComplete, g.State())
				candidates, err = g.GetLocalCandidates()
				require.NoError(t, err)
				require.Len(t, candidates, 3)
				after, err := g.GetServerResults()
				require.NoError(t, err)
				require.Equal(t, results, after)
				require.ErrorIs(t, g.Gather(), ErrInvalidState, "twice")
				synctest.Wait()
				require.Zero(t, time.Since(begin))
				require.Equal(t, []string{
					"gathering", "host", "srflx", "relay", "complete", "nil while complete",
				}, told.all())
				require.NoError(t, g.Close())
				require.NoError(t, g.life.group.Wait(t.Context()))
				require.Zero(t, network.OpenSockets(0))
			})
		})
	}
}

// A context that ends while the pool gathers ends gathering, and one that had ended
// before finds what there is.
func TestI10_GatherContextOfAPoolEnds(t *testing.T) {
	for name, c := range map[string]struct {
		waits, timeout time.Duration
		told           []string
	}{
		"at once":   {time.Second, 0, []string{"gathering", "host", "srflx", "relay"}},
		"later":     {0, time.Second, []string{"gathering", "host", "srflx", "relay"}},
		"in a step": {30 * time.Millisecond, 5 * time.Millisecond, []string{"gathering", "host", "srflx"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
				server := virtualTURN(t, network, virtualPort, nil)
				g := newPoolGatherer(t, SettingEngine{}, network, virtualURL, silentSTUN)
				var told gathering
				told.record(g)
				var failed serverErrors
				failed.record(g)
				time.Sleep(c.waits)
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				begin := time.Now()
				candidates, err := g.GatherContext(ctx)
				require.Equal(t, c.timeout, time.Since(begin))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var one *ICECandidateError
				require.ErrorAs(t, err, &one)
				require.Len(t, candidates, len(c.told)-1)
				time.Sleep(time.Minute)
				require.Equal(t, append(c.told, "complete", "nil while complete"), told.all())
				require.NotEmpty(t, failed.all())
				require.NoError(t, g.Close())
				require.NoError(t, g.life.group.Wait(t.Context()))
				require.Zero(t, network.OpenSockets(0))
				require.Zero(t, server.AllocationCount())
			})
		})
	}
}

// A transport that is driven step by step is connected by a pool, and owns it.
func TestI10_StackWithAPool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		require.NoError(t, a.ice.Stop())
		var err error
		a.gatherer = newPoolGatherer(t, SettingEngine{}, network, virtualURL)
		a.ice = a.api.NewICETransport(a.gatherer)
		a.dtls, err = a.api.NewDTLSTransport(a.ice, []Certificate{bubbleCertificate(t)})
		require.NoError(t, err)
		a.sctp = a.api.NewSCTPTransport(a.dtls)
		time.Sleep(time.Minute)
		require.Equal(t, 1, server.AllocationCount())
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "pooled", Ordered: true})
		exchange(t, from, to)
		require.NoError(t, a.ice.Stop())
		require.NoError(t, b.ice.Stop())
		require.NoError(t, a.ice.Run(t.Context()))
		require.Zero(t, network.OpenSockets(0))
		require.Zero(t, server.AllocationCount())
	})
}

// A restart before Gather was called takes the pool's place.
func TestI10_RestartBeforeThePoolIsReleased(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		g := newPoolGatherer(t, SettingEngine{}, network, virtualURL)
		var told gathering
		told.record(g)
		transport := b.api.NewICETransport(g)
		time.Sleep(time.Second)
		params, err := b.gatherer.GetLocalParameters()
		require.NoError(t, err)
		role := ICERoleControlling
		started := result(func() error { return transport.StartContext(t.Context(), nil, params, &role) })
		synctest.Wait()
		_, err = transport.Restart(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, g.Gather(), ErrInvalidState)
		synctest.Wait()
		require.Equal(t, []string{
			"gathering", "host", "srflx", "relay", "complete", "nil while complete",
		}, told.all(), "of the restart")
		require.NoError(t, transport.Stop())
		require.ErrorIs(t, <-started, ErrClosed)
		require.NoError(t, transport.Run(t.Context()))
		require.Zero(t, network.OpenSockets(0))
		require.Zero(t, server.AllocationCount())
	})
}

// A server that has told the address of a host candidate gives none, as without a
// pool.
func TestI10_ReflectedHostInAPool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		g := newPoolGatherer(t, SettingEngine{}, network, virtualSTUN)
		time.Sleep(time.Second)
		a := g.agent()
		var host netip.AddrPort
		g.life.set(func() {
			for _, found := range a.gathering.pool.held {
				if found.question == nil {
					host = netip.AddrPortFrom(netip.MustParseAddr(found.candidate.Address()), uint16(found.candidate.Port()))
				}
			}
		})
		require.True(t, g.isHost(a, host))
		require.False(t, g.isHost(a, netip.AddrPortFrom(host.Addr(), host.Port()-1)))
		require.NoError(t, g.Close())
	})
}

// A pool on a UDPMux: the port is the mux's, and the mux outlives it.
func TestI10_PoolOnAMux(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		mux := virtualMux(t, network, 0)
		g := newPoolGatherer(t, onPort(mux, SettingEngine{}), network)
		synctest.Wait()
		require.Equal(t, 1, network.OpenSockets(0))
		require.Equal(t, 1, mux.Stats().Sessions)
		candidates, err := g.GatherContext(t.Context())
		require.NoError(t, err)
		require.Len(t, candidates, 1)
		require.NoError(t, g.GracefulClose())
		requireEmpty(t, mux)
		require.NoError(t, mux.Close())
		require.Zero(t, network.OpenSockets(0))
	})
}
