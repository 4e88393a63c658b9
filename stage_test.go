package webrtc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// stage is one of the starts that are tested alike.
type stage struct {
	name string
	op   string // of its errors
	// prepare takes what the peer has signaled, and returns the start of the
	// stage alone; the stages below it are connected.
	prepare func(s, peer *stack) func(ctx context.Context) error
	// state tells the text of the state.
	state   func(s *stack) string
	context func(s *stack) context.Context
	run     func(s *stack, ctx context.Context) error
	stop    func(s *stack) error

	shutdown func(s *stack, ctx context.Context) error
	// connected waits until the stage is.
	connected func(s *stack, ctx context.Context) error
}

var stages = []stage{
	{
		"ICE", "ice start", prepareICE,
		func(s *stack) string { return s.ice.State().String() },
		func(s *stack) context.Context { return s.ice.Context() },
		func(s *stack, ctx context.Context) error { return s.ice.Run(ctx) },
		func(s *stack) error { return s.ice.Stop() },
		func(s *stack, ctx context.Context) error { return s.ice.Shutdown(ctx) },
		func(s *stack, ctx context.Context) error {
			_, err := s.ice.AwaitState(ctx, ICETransportStateConnected)

			return err
		},
	},
	{
		"DTLS", "dtls start", prepareDTLS,
		func(s *stack) string { return s.dtls.State().String() },
		func(s *stack) context.Context { return s.dtls.Context() },
		func(s *stack, ctx context.Context) error { return s.dtls.Run(ctx) },
		func(s *stack) error { return s.dtls.Stop() },
		func(s *stack, ctx context.Context) error { return s.dtls.Shutdown(ctx) },
		func(s *stack, ctx context.Context) error {
			_, err := s.dtls.AwaitState(ctx, DTLSTransportStateConnected)

			return err
		},
	},
	{
		"SCTP", "sctp start", prepareSCTP,
		func(s *stack) string { return s.sctp.State().String() },
		func(s *stack) context.Context { return s.sctp.Context() },
		func(s *stack, ctx context.Context) error { return s.sctp.Run(ctx) },
		func(s *stack) error { return s.sctp.Stop() },
		func(s *stack, ctx context.Context) error { return s.sctp.Shutdown(ctx) },
		func(s *stack, ctx context.Context) error {
			_, err := s.sctp.AwaitState(ctx, SCTPTransportStateConnected)

			return err
		},
	},
}

func prepareICE(s, peer *stack) func(ctx context.Context) error {
	params, err := peer.gatherer.GetLocalParameters()

	return func(ctx context.Context) error {
		if err != nil {
			return err
		}

		return s.ice.StartContext(ctx, nil, params, &s.role)
	}
}

func prepareDTLS(s, peer *stack) func(ctx context.Context) error {
	params, err := peer.dtls.GetLocalParameters()

	return func(ctx context.Context) error {
		if err != nil {
			return err
		}

		return s.dtls.StartContext(ctx, params)
	}
}

func prepareSCTP(s, peer *stack) func(ctx context.Context) error {
	capabilities := peer.sctp.GetCapabilities()

	return func(ctx context.Context) error { return s.sctp.StartContext(ctx, capabilities) }
}

// prepareAll is the start of some stages one after the other.
func prepareAll(s, peer *stack, which ...stage) func(ctx context.Context) error {
	starts := make([]func(context.Context) error, 0, len(which))
	for _, st := range which {
		starts = append(starts, st.prepare(s, peer))
	}

	return func(ctx context.Context) error {
		for _, start := range starts {
			if err := start(ctx); err != nil {
				return err
			}
		}

		return nil
	}
}

// sharedCertificate spares every case the making of a key. It is made in a
// bubble, whose clock starts in the same year in all of them.
var sharedCertificate struct {
	once  sync.Once
	value Certificate
}

// quickPair is virtualPair with a certificate that is shared by all tests.
func quickPair(tb testing.TB, opts ...testnet.Option) (a, b *stack, network *testnet.Network) {
	tb.Helper()
	network = testnet.Pair(tb, opts...)
	sides := make([]*stack, 0, 2)
	for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
		sides = append(sides, quickStack(tb, role, SettingEngine{}, network, i))
	}

	return sides[0], sides[1], network
}

func quickStack(tb testing.TB, role ICERole, settings SettingEngine, network *testnet.Network, i int) *stack {
	tb.Helper()
	sharedCertificate.once.Do(func() {
		made := testnet.Certificate(tb)
		sharedCertificate.value = CertificateFromX509(made.PrivateKey, made.Leaf)
	})
	settings.Net = network.Net(i)
	if settings.LoggerFactory == nil {
		settings.LoggerFactory = quietLogs
	}
	s := &stack{api: NewAPI(WithSettingEngine(settings)), role: role}
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(tb, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, []Certificate{sharedCertificate.value})
	require.NoError(tb, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
	tb.Cleanup(func() { _ = s.ice.Stop() })

	return s
}

// connectBelow connects the stages below one.
func connectBelow(tb testing.TB, a, b *stack, index int) {
	tb.Helper()
	signal(tb, a, b)
	connectStages(tb, a, b, stages[:index])
}

func connectStages(tb testing.TB, a, b *stack, which []stage) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for _, st := range which {
		require.NoError(tb, both(a, b, func(s, peer *stack) error { return st.prepare(s, peer)(ctx) }), st.name)
	}
}

// carries checks that a stack works: it connects what is not yet and brings a
// message each way.
func carries(tb testing.TB, a, b *stack, connected int) {
	tb.Helper()
	connectStages(tb, a, b, stages[connected:])
	from, to := channelPair(tb, a, b, DataChannelParameters{Label: "works", Ordered: true})
	exchange(tb, from, to)
}

func exchange(tb testing.TB, from, to *DataChannel) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for _, c := range [][2]*DataChannel{{from, to}, {to, from}} {
		require.NoError(tb, c[0].SendTextContext(ctx, "hello"))
		m, err := c[1].ReceiveContext(ctx)
		require.NoError(tb, err)
		require.Equal(tb, "hello", string(m.Data))
	}
}

// record is what the handlers of a stack were told, in their order.
type record struct {
	mu     sync.Mutex
	events []string
}

// watch sets handlers that keep a record. A closed that is told before State
// and the cause of Context tell it is recorded as something else.
//
// Events that were posted before are none of the record's.
func watch(s *stack) *record {
	told := make(chan struct{})
	s.ice.life.queue().Post(nil, func() { close(told) })
	<-told
	r := new(record)
	closed := func(st stage) string {
		if st.state(s) != "closed" || context.Cause(st.context(s)) == nil {
			return "closed too early"
		}

		return "closed"
	}
	s.ice.OnConnectionStateChange(func(state ICETransportState) {
		if state == ICETransportStateClosed {
			r.add("ICE", closed(stages[0]))
		} else {
			r.add("ICE", state.String())
		}
	})
	s.dtls.OnStateChange(func(state DTLSTransportState) {
		if state == DTLSTransportStateClosed {
			r.add("DTLS", closed(stages[1]))
		} else {
			r.add("DTLS", state.String())
		}
	})
	s.sctp.OnClose(func(error) { r.add("SCTP", closed(stages[2])) })

	return r
}

func (r *record) add(layer, state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, layer+" "+state)
}

// of returns the events of one layer once all that were posted have been told.
func (r *record) of(layer string) []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var states []string
	for _, e := range r.events {
		if name, state, _ := strings.Cut(e, " "); name == layer {
			states = append(states, state)
		}
	}

	return states
}

// errSwept is the cause of contexts that a test ends.
var errSwept = errors.New("swept away")

// requireEnded checks the error of a start whose context has ended, and what
// it has left of the transport.
func requireEnded(tb testing.TB, st stage, s *stack, ctx context.Context, err error) {
	tb.Helper()
	require.Error(tb, err)
	require.ErrorIs(tb, err, ctx.Err())
	require.ErrorIs(tb, err, context.Cause(ctx))
	var ours *Error
	require.ErrorAs(tb, err, &ours)
	require.Equal(tb, st.op, ours.Op)
	requireClosed(tb, st, s, context.Cause(ctx))
}

// requireClosed checks that a transport is closed and why.
func requireClosed(tb testing.TB, st stage, s *stack, cause error) {
	tb.Helper()
	require.Equal(tb, "closed", st.state(s))
	require.Error(tb, st.context(s).Err(), "the life goes on")
	require.ErrorIs(tb, context.Cause(st.context(s)), cause)
}

// requireNothingLeft stops both sides and checks that no socket is left and
// that none of it took time. Goroutines are checked by the end of the bubble.
func requireNothingLeft(tb testing.TB, network *testnet.Network, sides ...*stack) {
	tb.Helper()
	before := time.Now()
	for _, s := range sides {
		require.NoError(tb, s.ice.Stop())
	}
	synctest.Wait()
	for i := range sides {
		require.Zero(tb, network.OpenSockets(i), "sockets of host %d", i)
	}
	require.Zero(tb, time.Since(before), "stopping took time")
}
