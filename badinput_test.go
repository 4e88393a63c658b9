package webrtc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// badCallOn is a call on S that has to be refused: with an error that names
// what was wrong, and nothing changed.
type badCallOn[S looker] struct {
	call string // as exportedCalls names it
	with string // what is wrong
	do   func(s S) error
	is   error  // what the error matches
	says string // what its text names
}

type badCall = badCallOn[*badSite]

// looker tells all of an object that a program can see.
type looker interface{ look() string }

// badSite is a stack at one stage of its life, with what the calls need.
type badSite struct {
	*stack

	peer *stack
	// connecting is a channel that was made before the association.
	connecting *DataChannel
	// from and to are open since the stack is connected. On to a message of
	// five bytes waits.
	from, to *DataChannel
	events   *atomic.Int64
}

var (
	noContext   context.Context
	deadContext = func() context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errSwept)

		return ctx
	}()
)

// look is all of the stack that a program can see.
func (s *badSite) look() string {
	synctest.Wait() // events that a refused call has posted are told now
	var b strings.Builder
	candidates, err := s.gatherer.GetLocalCandidates()
	fmt.Fprintln(&b, "gatherer", s.gatherer.State(), candidates, err)
	parameters, err := s.gatherer.GetLocalParameters()
	fmt.Fprintln(&b, parameters, err)
	remote, err := s.ice.GetRemoteParameters()
	fmt.Fprintln(&b, "ice", s.ice.State(), s.ice.Role(), remote, err, context.Cause(s.ice.Context()))
	pair, err := s.ice.GetSelectedCandidatePair()
	fmt.Fprintln(&b, pair, err)
	fingerprints, err := s.dtls.GetLocalParameters()
	fmt.Fprintln(&b, "dtls", s.dtls.State(), fingerprints, err, context.Cause(s.dtls.Context()))
	negotiated, err := s.dtls.Negotiated()
	fmt.Fprintf(&b, "%v %v %x\n", negotiated, err, s.dtls.GetRemoteCertificate())
	fmt.Fprintln(&b, "sctp", s.sctp.State(), s.sctp.GetCapabilities(), s.sctp.BufferedAmount(),
		context.Cause(s.sctp.Context()))
	for _, c := range []*DataChannel{s.connecting, s.from, s.to} {
		id := -1
		if c.ID() != nil {
			id = int(*c.ID())
		}
		fmt.Fprintln(&b, "channel", c.ReadyState(), id, c.parameters(), c.BufferedAmount(), c.BufferedAmountLowThreshold(),
			context.Cause(c.Context()))
	}
	s.sctp.streams.mu.Lock()
	fmt.Fprintln(&b, "streams", len(s.sctp.streams.channels), s.sctp.streams.inUse)
	s.sctp.streams.mu.Unlock()
	s.gatherer.newest.remotes.mu.Lock()
	fmt.Fprintln(&b, "remote candidates", s.gatherer.newest.remotes.total)
	s.gatherer.newest.remotes.mu.Unlock()
	fmt.Fprintln(&b, "events", s.events.Load())

	return b.String()
}

// refuses makes the calls and checks that they are refused and change nothing.
func refuses[S looker](t *testing.T, stage string, s S, calls []badCallOn[S]) {
	t.Helper()
	for _, c := range calls {
		name := fmt.Sprintf("%s, %s with %s", stage, c.call, c.with)
		before, began := s.look(), time.Now()
		err := c.do(s)
		require.Error(t, err, name)
		assert.Zero(t, time.Since(began), "%s took time", name)
		assert.Equal(t, before, s.look(), "%s has changed something", name)
		require.ErrorIs(t, err, c.is, name)
		assert.ErrorContains(t, err, c.says, name)
		var ours *Error
		if c.is != ErrClosed { //nolint:errorlint // the one that may come as it is
			require.ErrorAs(t, err, &ours, name)
			assert.NotEmpty(t, ours.Op, name)
		}
	}
}

// One stack takes every call that is refused at every stage, and goes on to
// the next stage and to the end as if there had been none.
func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(time.Millisecond))
		s := &badSite{stack: a, peer: b, events: new(atomic.Int64)}
		told := func() { s.events.Add(1) }
		a.gatherer.OnStateChange(func(ICEGathererState) { told() })
		a.gatherer.OnLocalCandidate(func(*ICECandidate) { told() })
		a.ice.OnConnectionStateChange(func(ICETransportState) { told() })
		a.dtls.OnStateChange(func(DTLSTransportState) { told() })
		a.sctp.OnClose(func(error) { told() })

		refuses(t, "made", s, badWhenMade)
		signal(t, a, b)
		var err error
		s.connecting, err = a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "early", Ordered: true})
		require.NoError(t, err)
		s.connecting.OnOpen(told)
		refuses(t, "gathered", s, badWhenGathered)
		connectStages(t, a, b, stages[:1])
		refuses(t, "ICE connected", s, badWhenICEConnected)
		connectStages(t, a, b, stages[1:2])
		refuses(t, "DTLS connected", s, badWhenDTLSConnected)
		connectStages(t, a, b, stages[2:])
		early, err := b.sctp.AcceptDataChannel(limited(t, testTimeout))
		require.NoError(t, err)
		exchange(t, s.connecting, early)
		s.from, s.to = channelPair(t, a, b, DataChannelParameters{Ordered: true})
		exchange(t, s.from, s.to)
		require.NoError(t, s.from.SendText("hello"))
		time.Sleep(time.Second) // until it is there and acknowledged, in virtual time
		refuses(t, "connected", s, badWhenConnected)
		m, err := s.to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "hello", string(m.Data), "the message that was not to be read")
		carries(t, a, b, len(stages))
		stopped(t, network, a, b)
		refuses(t, "stopped", s, badWhenStopped)
	})
}

// Every exported function and method that returns an error is in one of the
// tables, or is known to refuse nothing but a receiver.
func TestBadInputTablesAreComplete(t *testing.T) {
	known := map[string]bool{}
	for _, calls := range [][]badCall{
		badWhenMade, badWhenGathered, badWhenICEConnected, badWhenDTLSConnected, badWhenConnected, badWhenStopped,
	} {
		for _, c := range calls {
			known[c.call] = true
		}
	}
	for _, calls := range badMediaStages {
		for _, c := range calls {
			known[c.call] = true
		}
	}
	for _, c := range slices.Concat(badValues, badMediaValues, badTrackValues) {
		known[c.call] = true
	}
	for _, calls := range badConnectionStages {
		for _, c := range calls {
			known[c.call] = true
		}
	}
	for _, call := range append(refuseReceiversOnly, marshalAnything...) {
		assert.False(t, known[call], "%s is in a table", call)
		known[call] = true
	}
	exported := map[string]bool{}
	for _, e := range exportedCalls(t) {
		if e.fails {
			exported[e.name] = true
			assert.True(t, known[e.name], "%s is in no table of bad input", e.name)
		}
	}
	for call := range known {
		assert.True(t, exported[call], "%s returns no error, or is no more", call)
	}
}

// refuseReceiversOnly have no argument that could be wrong, and no time that
// is too late: once ended they do nothing and return nil, or still answer.
// badreceiver_test.go calls them on nil and zero receivers.
var refuseReceiversOnly = []string{
	"ICEGatherer.Close", "ICEGatherer.GracefulClose", "ICEGatherer.GetLocalCandidates",
	"ICEGatherer.GetServerResults", "ICECandidateError.Unwrap",
	"ICETransport.Stop", "ICETransport.GracefulStop", "ICETransport.GetSelectedCandidatePair",
	"DTLSTransport.Stop", "DTLSTransport.GracefulStop", "DTLSTransport.GetLocalParameters",
	"SCTPTransport.Stop", "SCTPTransport.GracefulStop",
	"DataChannel.Close", "DataChannel.GracefulClose", "Listener.Close", "UDPMux.Close",
	"PeerConnection.Close", "PeerConnection.GracefulClose", "RTPTransceiver.Stop", "SDPSyntaxError.Unwrap",
	"Error.Unwrap", "DataLostError.Unwrap",
	"RTPSender.Stop", "RTPSender.SetReadDeadline", "RTPReceiver.Stop", "TrackRemote.SetReadDeadline",
	"TrackLocalStaticSample.GeneratePadding",
}
