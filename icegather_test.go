package webrtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// gathering is what a gatherer told, in order.
type gathering struct {
	mu     sync.Mutex
	events []string
}

func (g *gathering) add(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, fmt.Sprintf(format, args...))
}

func (g *gathering) all() []string {
	g.mu.Lock()
	defer g.mu.Unlock()

	return append([]string(nil), g.events...)
}

// record notes states and candidates, the latter with the state at the time.
func (g *gathering) record(gatherer *ICEGatherer) {
	gatherer.OnStateChange(func(s ICEGathererState) { g.add("%s", s) })
	gatherer.OnLocalCandidate(func(c *ICECandidate) {
		if c == nil {
			g.add("nil while %s", gatherer.State())

			return
		}
		g.add("%s", c.Typ)
	})
}

// newGatherer is one on a virtual network of its own, on which nobody answers.
func newGatherer(t *testing.T, servers ...string) (*ICEGatherer, *testnet.Network) {
	t.Helper()
	network := testnet.Pair(t)
	settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
	opts := ICEGatherOptions{}
	for _, url := range servers {
		opts.ICEServers = append(opts.ICEServers, ICEServer{URLs: []string{url}, Username: "u", Credential: "c"})
	}
	g, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })

	return g, network
}

const (
	silentSTUN = "stun:10.0.0.99:3478"
	silentTURN = "turn:10.0.0.99:3478"
)

func TestI3_NilCandidateOnceAfterTheLast(t *testing.T) {
	for name, gather := range map[string]func(t *testing.T, g *ICEGatherer){
		"Gather": func(t *testing.T, g *ICEGatherer) { require.NoError(t, g.Gather()) },
		"GatherContext": func(t *testing.T, g *ICEGatherer) {
			candidates, err := g.GatherContext(t.Context())
			require.NoError(t, err)
			require.Len(t, candidates, 1)
			require.Equal(t, ICEGathererStateComplete, g.State())
		},
		"with a silent server": func(t *testing.T, g *ICEGatherer) { require.NoError(t, g.Gather()) },
		"after a deadline": func(t *testing.T, g *ICEGatherer) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := g.GatherContext(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var servers []string
				if name == "with a silent server" || name == "after a deadline" {
					servers = []string{silentSTUN, silentTURN}
				}
				g, _ := newGatherer(t, servers...)
				var told gathering
				told.record(g)
				gather(t, g)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"gathering", "host", "complete", "nil while complete"}, told.all())
				require.NoError(t, g.Close())
				synctest.Wait()
				require.Equal(t, "closed", told.all()[4], "and nothing else")
				require.Len(t, told.all(), 5)
			})
		})
	}
}

// GatherContext returns when gathering ends, with all that was found, in the
// order in which the handler was told.
func TestI3_GatherContextWaitsForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, _ := newGatherer(t, silentSTUN)
		begin := time.Now()
		candidates, err := g.GatherContext(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(begin), "the server's time")
		again, err := g.GetLocalCandidates()
		require.NoError(t, err)
		assert.Equal(t, candidates, again)
	})
}

func TestI3_GatherContextAtItsDeadline(t *testing.T) {
	cause := errors.New("no patience")
	for name, end := range map[string]func(t *testing.T) (context.Context, context.CancelFunc){
		"deadline": func(t *testing.T) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), 300*time.Millisecond, cause)
		},
		"cancel": func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(300*time.Millisecond, func() { cancel(cause) })

			return ctx, func() { cancel(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := virtualPair(t)
				opts := ICEGatherOptions{ICEServers: []ICEServer{{URLs: []string{silentSTUN}}}}
				require.NoError(t, a.ice.Stop()) // another gatherer takes its place
				var err error
				a.gatherer, err = a.api.NewICEGatherer(opts)
				require.NoError(t, err)
				a.ice = a.api.NewICETransport(a.gatherer)
				var told gathering
				told.record(a.gatherer)

				ctx, cancel := end(t)
				defer cancel()
				begin := time.Now()
				candidates, err := a.gatherer.GatherContext(ctx)
				require.Equal(t, 300*time.Millisecond, time.Since(begin))
				require.ErrorIs(t, err, ctx.Err())
				require.ErrorIs(t, err, cause)
				var op *Error
				require.ErrorAs(t, err, &op)
				require.Equal(t, "ice gather", op.Op)
				require.Len(t, candidates, 1, "the host candidate was found")
				require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
				synctest.Wait()
				require.Equal(t, []string{"gathering", "host", "complete", "nil while complete"}, told.all())

				// The transport lives: what was found is enough.
				require.Equal(t, ICETransportStateNew, a.ice.State())
				require.NoError(t, b.ice.SetRemoteCandidates(candidates))
				candidates, err = b.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				require.NoError(t, a.ice.SetRemoteCandidates(candidates))
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(t.Context(), peer) }))
			})
		})
	}
}

// A context that has ended before gathers nothing, and gathering is over.
func TestI3_GatherContextWithADeadContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, _ := newGatherer(t, silentSTUN)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		_, err := g.GatherContext(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, time.Since(begin))
		require.Equal(t, ICEGathererStateComplete, g.State())
	})
}

func TestI2_GatheringOutOfOrder(t *testing.T) {
	closed := func(t *testing.T, g *ICEGatherer) { require.NoError(t, g.Close()) }
	for name, c := range map[string]struct {
		before func(t *testing.T, g *ICEGatherer)
		state  ICEGathererState // before and after
		want   []error
	}{
		"while gathering": {
			func(t *testing.T, g *ICEGatherer) { require.NoError(t, g.Gather()) },
			ICEGathererStateGathering,
			[]error{ErrInvalidState},
		},
		"twice": {func(t *testing.T, g *ICEGatherer) {
			_, err := g.GatherContext(t.Context())
			require.NoError(t, err)
		}, ICEGathererStateComplete, []error{ErrInvalidState}},
		"after Close": {closed, ICEGathererStateClosed, []error{ErrInvalidState, ErrClosed}},
		"closed while gathering": {func(t *testing.T, g *ICEGatherer) {
			require.NoError(t, g.Gather())
			closed(t, g)
		}, ICEGathererStateClosed, []error{ErrInvalidState, ErrClosed}},
		"after Stop of the transport": {func(t *testing.T, g *ICEGatherer) {
			require.NoError(t, NewICETransport(g, nil).Stop())
		}, ICEGathererStateClosed, []error{ErrInvalidState, ErrClosed}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g, network := newGatherer(t, silentSTUN)
				c.before(t, g)
				require.Equal(t, c.state, g.State())
				var told gathering
				synctest.Wait()
				told.record(g)
				begin := time.Now()
				for _, want := range c.want {
					require.ErrorIs(t, g.Gather(), want)
					candidates, err := g.GatherContext(t.Context())
					require.ErrorIs(t, err, want)
					require.Nil(t, candidates)
				}
				require.Zero(t, time.Since(begin))
				require.Equal(t, c.state, g.State())
				require.Empty(t, told.all())
				time.Sleep(time.Minute)
				require.NotEqual(t, ICEGathererStateGathering, g.State(), "never left at gathering")
				require.NoError(t, g.Close())
				require.Zero(t, network.OpenSockets(0))
			})
		})
	}
}

// Of calls at once one gathers, and the end of the gatherer ends it.
func TestI2_GatherAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, network := newGatherer(t, silentSTUN)
		const calls = 20
		results := make(chan error, calls)
		for range calls {
			go func() {
				_, err := g.GatherContext(t.Context())
				results <- err
			}()
		}
		for range calls - 1 {
			require.ErrorIs(t, <-results, ErrInvalidState)
		}
		synctest.Wait()
		require.Equal(t, ICEGathererStateGathering, g.State())
		begin := time.Now()
		require.NoError(t, g.Close())
		require.ErrorIs(t, <-results, ErrClosed)
		require.Zero(t, time.Since(begin))
		require.Equal(t, ICEGathererStateClosed, g.State())
		require.Zero(t, network.OpenSockets(0))
	})
}

// The pair is there when the state is, in the handler too.
func TestI6_SelectedPairWhenConnected(t *testing.T) {
	for range cases(30) {
		bubble(t, func(t *testing.T) {
			a, b, _ := quickPair(t, testnet.Delay(time.Millisecond))
			pairs := map[*stack]chan *ICECandidatePair{}
			events := map[*stack]chan *ICECandidatePair{}
			for _, s := range []*stack{a, b} {
				pairs[s], events[s] = make(chan *ICECandidatePair, 9), make(chan *ICECandidatePair, 9)
				s.ice.OnConnectionStateChange(func(state ICETransportState) {
					if state == ICETransportStateConnected {
						pair, err := s.ice.GetSelectedCandidatePair()
						assert.NoError(t, err)
						pairs[s] <- pair
					}
				})
				s.ice.OnSelectedCandidatePairChange(func(pair *ICECandidatePair) { events[s] <- pair })
				pair, err := s.ice.GetSelectedCandidatePair()
				require.NoError(t, err)
				require.Nil(t, pair, "none before")
			}
			signal(t, a, b)
			require.NoError(t, both(a, b, func(s, peer *stack) error {
				if err := s.startICE(t.Context(), peer); err != nil {
					return err
				}
				pair, err := s.ice.GetSelectedCandidatePair()
				assert.NotNil(t, pair, "when the start has returned")

				return err
			}))
			synctest.Wait()
			for s, address := range map[*stack]string{a: "10.0.0.1", b: "10.0.0.2"} {
				pair := <-pairs[s]
				require.NotNil(t, pair, "when the state is told")
				require.Equal(t, address, pair.Local.Address)
				require.Len(t, events[s], 1)
				told := <-events[s]
				require.Equal(t, pair.Local.Port, told.Local.Port)
				require.Equal(t, pair.Remote.Address, told.Remote.Address)
				require.Equal(t, pair.Remote.Port, told.Remote.Port)
			}
			require.NoError(t, a.ice.Stop())
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			require.Nil(t, pair, "nil after Stop")
			_, ok := a.ice.GetSelectedCandidatePairStats()
			require.False(t, ok)
		})
	}
}

// Every change of the pair is told. Here b is made to select that of a socket
// that has sent a check, and then its old one again.
func TestI6_SelectedPairChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var port atomic.Int64
		var selects SettingEngine
		selects.SetICEBindingRequestHandler(func(_ *stun.Message, _, remote ice.Candidate, _ *ice.CandidatePair) bool {
			return int64(remote.Port()) == port.Load()
		})
		a, b, network := virtualPairWith(t, SettingEngine{}, selects, testnet.Delay(time.Millisecond))
		changes := make(chan *ICECandidatePair, 99)
		b.ice.OnSelectedCandidatePairChange(func(pair *ICECandidatePair) { changes <- pair })
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "across the change"})
		first := <-changes

		p := newProber(t, b, a)
		socket, err := network.Net(0).ListenPacket("udp4", "0.0.0.0:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, socket.Close()) }()
		other := uint16(socket.LocalAddr().(*net.UDPAddr).Port)
		port.Store(int64(other))
		_, err = socket.WriteTo(p.check(t, p.ours.Password), p.to)
		require.NoError(t, err)
		second := <-changes
		require.Equal(t, other, second.Remote.Port)
		require.Equal(t, first.Local.Port, second.Local.Port)
		pair, err := b.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.Equal(t, other, pair.Remote.Port, "the getter agrees")

		port.Store(int64(first.Remote.Port)) // whose checks go on
		require.Equal(t, first.Remote.Port, (<-changes).Remote.Port)
		exchange(t, from, to)
	})
}
