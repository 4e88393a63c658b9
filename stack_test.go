package webrtc

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// testTimeout bounds what a test waits for that should come.
const testTimeout = 20 * time.Second

// stack is one side of a connection, with signaling in the test's hands.
type stack struct {
	api      *API
	gatherer *ICEGatherer
	ice      *ICETransport
	dtls     *DTLSTransport
	sctp     *SCTPTransport
	role     ICERole
}

// newStack makes one side. It is stopped with the test.
func newStack(tb testing.TB, role ICERole, settings SettingEngine) *stack {
	tb.Helper()
	if settings.LoggerFactory == nil {
		settings.LoggerFactory = quietLogs
	}
	s := &stack{api: NewAPI(WithSettingEngine(settings)), role: role}
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(tb, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, nil)
	require.NoError(tb, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
	tb.Cleanup(func() { _ = s.ice.Stop() })

	return s
}

var quietLogs = func() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled

	return f
}()

// virtualPair makes both sides on a virtual network, in a bubble. The first is
// controlling.
func virtualPair(tb testing.TB, opts ...testnet.Option) (a, b *stack, network *testnet.Network) {
	tb.Helper()

	return virtualPairWith(tb, SettingEngine{}, SettingEngine{}, opts...)
}

func virtualPairWith(
	tb testing.TB, forA, forB SettingEngine, opts ...testnet.Option,
) (a, b *stack, network *testnet.Network) {
	tb.Helper()
	network = testnet.Pair(tb, opts...)
	forA.Net, forB.Net = network.Net(0), network.Net(1)

	return newStack(tb, ICERoleControlling, forA), newStack(tb, ICERoleControlled, forB), network
}

// loopbackPair makes both sides on sockets of 127.0.0.1.
func loopbackPair(tb testing.TB) (a, b *stack) {
	tb.Helper()

	return newStack(tb, ICERoleControlling, onLoopback(SettingEngine{})),
		newStack(tb, ICERoleControlled, onLoopback(SettingEngine{}))
}

func onLoopback(s SettingEngine) SettingEngine {
	s.SetIncludeLoopbackCandidate(true)
	s.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })

	return s
}

// signal gathers on both sides and gives each the other's candidates.
func signal(tb testing.TB, a, b *stack) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for _, p := range [][2]*stack{{a, b}, {b, a}} {
		candidates, err := p[0].gatherer.GatherContext(ctx)
		require.NoError(tb, err)
		require.NotEmpty(tb, candidates)
		require.NoError(tb, p[1].ice.SetRemoteCandidates(candidates))
	}
}

func (s *stack) startICE(ctx context.Context, peer *stack) error {
	params, err := peer.gatherer.GetLocalParameters()
	if err != nil {
		return err
	}

	return s.ice.StartContext(ctx, nil, params, &s.role)
}

func (s *stack) startDTLS(ctx context.Context, peer *stack) error {
	params, err := peer.dtls.GetLocalParameters()
	if err != nil {
		return err
	}

	return s.dtls.StartContext(ctx, params)
}

func (s *stack) startSCTP(ctx context.Context, peer *stack) error {
	return s.sctp.StartContext(ctx, peer.sctp.GetCapabilities())
}

// start starts all three layers one after the other.
func (s *stack) start(ctx context.Context, peer *stack) error {
	if err := s.startICE(ctx, peer); err != nil {
		return err
	}
	if err := s.startDTLS(ctx, peer); err != nil {
		return err
	}

	return s.startSCTP(ctx, peer)
}

// both runs f for both sides at once and returns their errors.
func both(a, b *stack, f func(s, peer *stack) error) error {
	var wg sync.WaitGroup
	var errs [2]error
	for i, p := range [][2]*stack{{a, b}, {b, a}} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = f(p[0], p[1])
		}()
	}
	wg.Wait()

	return errors.Join(errs[:]...)
}

// connect signals and starts all layers of both sides.
func connect(tb testing.TB, a, b *stack) {
	tb.Helper()
	signal(tb, a, b)
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	require.NoError(tb, both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) }))
}

// channelPair opens a channel from a to b.
func channelPair(tb testing.TB, a, b *stack, params DataChannelParameters) (from, to *DataChannel) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	from, err := a.sctp.OpenDataChannel(ctx, &params)
	require.NoError(tb, err)
	to, err = b.sctp.AcceptDataChannel(ctx)
	require.NoError(tb, err)

	return from, to
}

// bubble runs a test in virtual time. Goroutines that are left at its end fail
// it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestStackConnectsAndCarriesMessages(t *testing.T) {
	for name, pair := range map[string]func(t *testing.T) (a, b *stack){
		"virtual": func(t *testing.T) (a, b *stack) {
			a, b, _ = virtualPair(t, testnet.Delay(10*time.Millisecond))

			return a, b
		},
		"sockets": func(t *testing.T) (a, b *stack) { return loopbackPair(t) },
	} {
		run := bubble
		if name == "sockets" {
			run = func(t *testing.T, f func(*testing.T)) {
				testnet.Leaks(t)
				f(t)
			}
		}
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				a, b := pair(t)
				begin := time.Now()
				connect(t, a, b)
				t.Logf("connected in %v", time.Since(begin))
				from, to := channelPair(t, a, b, DataChannelParameters{Label: "chat", Ordered: true})
				require.Equal(t, "chat", to.Label())
				ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
				defer cancel()
				for _, text := range []string{"hello", ""} {
					require.NoError(t, from.SendTextContext(ctx, text))
					m, err := to.ReceiveContext(ctx)
					require.NoError(t, err)
					require.True(t, m.IsString)
					require.Equal(t, text, string(m.Data))
					require.NoError(t, to.SendContext(ctx, m.Data))
					m, err = from.ReceiveContext(ctx)
					require.NoError(t, err)
					require.False(t, m.IsString)
				}
				require.NoError(t, a.ice.Shutdown(ctx))
				require.Equal(t, ICETransportStateClosed, a.ice.State())
				require.NoError(t, b.ice.Stop())
				require.NoError(t, b.ice.Run(ctx))
				require.NoError(t, a.ice.Run(ctx))
			})
		})
	}
}
