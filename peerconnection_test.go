package webrtc

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// newPeer makes a connection on a host of a virtual network, or on loopback if
// there is none. It is closed with the test.
func newPeer(tb testing.TB, settings SettingEngine, network *testnet.Network, host int) *PeerConnection {
	tb.Helper()
	config := Configuration{}
	if network != nil {
		settings.Net = network.Net(host)
		config.Certificates = []Certificate{bubbleCertificate(tb)}
	} else {
		settings = onLoopback(settings)
	}
	if settings.LoggerFactory == nil {
		settings.LoggerFactory = quietLogs
	}
	pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = pc.Close() })

	return pc
}

// bubbleCertificate is the certificate that all tests in bubbles share.
func bubbleCertificate(tb testing.TB) Certificate {
	tb.Helper()
	sharedCertificate.once.Do(func() {
		made := testnet.Certificate(tb)
		sharedCertificate.value = CertificateFromX509(made.PrivateKey, made.Leaf)
	})

	return sharedCertificate.value
}

// peers are two connections on a virtual network. The first one offers.
func peers(tb testing.TB, opts ...testnet.Option) (a, b *PeerConnection, network *testnet.Network) {
	tb.Helper()
	network = testnet.Pair(tb, opts...)

	return newPeer(tb, SettingEngine{}, network, 0), newPeer(tb, SettingEngine{}, network, 1), network
}

// negotiate exchanges whole descriptions.
func negotiate(tb testing.TB, offerer, answerer *PeerConnection) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	require.NoError(tb, offerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	require.NoError(tb, answerer.SetRemoteDescriptionContext(ctx, *offerer.LocalDescription()))
	require.NoError(tb, answerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	require.NoError(tb, offerer.SetRemoteDescriptionContext(ctx, *answerer.LocalDescription()))
}

func connectPeers(tb testing.TB, a, b *PeerConnection) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	require.NoError(tb, a.Connect(ctx))
	require.NoError(tb, b.Connect(ctx))
}

// peerRecord is what the handlers of a connection were told.
type peerRecord struct {
	mu   sync.Mutex
	told []string
}

func (r *peerRecord) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, text)
}

func (r *peerRecord) list() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]string(nil), r.told...)
}

func watchPeer(pc *PeerConnection) (states, ice, signaling, gathering *peerRecord) {
	states, ice, signaling, gathering = new(peerRecord), new(peerRecord), new(peerRecord), new(peerRecord)
	pc.OnConnectionStateChange(func(s PeerConnectionState) { states.add(s.String()) })
	pc.OnICEConnectionStateChange(func(s ICEConnectionState) { ice.add(s.String()) })
	pc.OnSignalingStateChange(func(s SignalingState) { signaling.add(s.String()) })
	pc.OnICEGatheringStateChange(func(s ICEGatheringState) { gathering.add(s.String()) })

	return states, ice, signaling, gathering
}

// requirePeersGone closes both sides and checks that nothing is left.
func requirePeersGone(tb testing.TB, network *testnet.Network, sides ...*PeerConnection) {
	tb.Helper()
	before := time.Now()
	for _, pc := range sides {
		require.NoError(tb, pc.Close())
	}
	synctest.Wait()
	for i := range sides {
		require.Zero(tb, network.OpenSockets(i), "sockets of host %d", i)
	}
	require.Zero(tb, time.Since(before), "closing took time")
}

func TestP2_StatesOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(20*time.Millisecond))
		states, ice, signaling, gathering := watchPeer(a)
		answering, _, answeringSignaling, _ := watchPeer(b)
		assert.Equal(t, PeerConnectionStateNew, a.ConnectionState())
		assert.Equal(t, ICEConnectionStateNew, a.ICEConnectionState())
		assert.Equal(t, SignalingStateStable, a.SignalingState())
		assert.Equal(t, ICEGatheringStateNew, a.ICEGatheringState())

		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		assert.Equal(t, []string{"connecting", "connected"}, states.list())
		assert.Equal(t, []string{"connecting", "connected"}, answering.list())
		assert.Equal(t, []string{"checking", "connected"}, ice.list())
		assert.Equal(t, []string{"have-local-offer", "stable"}, signaling.list())
		assert.Equal(t, []string{"have-remote-offer", "stable"}, answeringSignaling.list())
		assert.Equal(t, []string{"gathering", "complete"}, gathering.list())

		ctx := context.Background()
		accepted, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		exchange(t, channel, accepted)

		require.NoError(t, a.Close())
		assert.Equal(t, PeerConnectionStateClosed, a.ConnectionState())
		assert.Equal(t, ICEConnectionStateClosed, a.ICEConnectionState())
		assert.Equal(t, SignalingStateClosed, a.SignalingState())
		assert.Equal(t, DTLSTransportStateClosed, a.SCTP().Transport().State())
		assert.Equal(t, []string{"connecting", "connected", "closed"}, states.list())
		assert.Equal(t, []string{"checking", "connected", "closed"}, ice.list())
		assert.Equal(t, []string{"have-local-offer", "stable", "closed"}, signaling.list())
		require.ErrorIs(t, context.Cause(a.Context()), ErrClosed)

		// The peer is told by ABORT and close_notify.
		_, err = b.AwaitState(ctx, PeerConnectionStateClosed)
		require.NoError(t, err)
		var aborted *SCTPAbortError
		require.ErrorAs(t, context.Cause(b.Context()), &aborted)
		requirePeersGone(t, network, a, b)
	})
}

func TestPeerConnectionShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(20*time.Millisecond))
		ctx := context.Background()
		ran := make(chan error, 2)
		go func() { ran <- b.Run(ctx) }()
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		require.NoError(t, channel.SendTextContext(ctx, "last words"))
		require.NoError(t, a.Shutdown(ctx))
		accepted, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		message, err := accepted.ReceiveContext(ctx)
		require.NoError(t, err)
		assert.Equal(t, "last words", string(message.Data))
		_, err = accepted.ReceiveContext(ctx)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, io.EOF, <-ran)
		assert.Equal(t, PeerConnectionStateClosed, b.ConnectionState())
		require.NoError(t, a.Run(ctx))
		requirePeersGone(t, network, a, b)
	})
}

func TestPeerConnectionRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- a.Run(ctx) }()
		synctest.Wait()
		cancel(why)
		err = <-ran
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, context.Cause(a.Context()), why)
		require.Equal(t, err, a.Run(context.Background()), "the same result at once")
		requirePeersGone(t, network, a, b)
	})
}

func TestConnectTellsTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		network.Cut(true)
		negotiate(t, a, b)
		ctx := context.Background()
		require.ErrorIs(t, a.Connect(ctx), ErrICEFailed)
		assert.Equal(t, PeerConnectionStateFailed, a.ConnectionState())
		require.NoError(t, a.Context().Err(), "a restart could mend it")
		time.Sleep(peerConnectionGrace + time.Second)
		require.ErrorIs(t, context.Cause(a.Context()), ErrICEFailed)
		assert.Equal(t, PeerConnectionStateFailed, a.ConnectionState())
		require.ErrorIs(t, a.Run(ctx), ErrICEFailed)
		assert.Equal(t, PeerConnectionStateClosed, a.ConnectionState())
		requirePeersGone(t, network, a, b)
	})
}

func TestConnectRefusesAWrongFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		ctx := context.Background()
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *a.LocalDescription()
		require.NoError(t, b.SetRemoteDescription(offer))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		answer := *b.LocalDescription()
		answer.SDP = fingerprintLine.ReplaceAllLiteralString(answer.SDP, "a=fingerprint:sha-256 AB"+strings.Repeat(":AB", 31))
		require.NoError(t, a.SetRemoteDescription(answer))
		require.ErrorIs(t, a.Connect(ctx), ErrFingerprintMismatch)
		assert.Equal(t, PeerConnectionStateFailed, a.ConnectionState())
		require.ErrorIs(t, context.Cause(a.Context()), ErrFingerprintMismatch)
		var alert *DTLSAlertError
		require.ErrorAs(t, b.Connect(ctx), &alert)
		require.ErrorIs(t, a.Run(ctx), ErrFingerprintMismatch)
		requirePeersGone(t, network, a, b)
	})
}

var fingerprintLine = regexp.MustCompile(`a=fingerprint:sha-256 [0-9A-F:]+`)

// A channel that is made by the transport is negotiated, too, and Connect says
// what it has waited for in vain.
func TestConnectSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		missing := func(pc *PeerConnection, what string) {
			t.Helper()
			err := pc.Connect(limited(t, time.Second))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, what)
		}
		missing(a, "no description was set")
		negotiate(t, a, b)
		missing(a, "nothing to connect")
		needed := make(chan struct{}, 1)
		a.OnNegotiationNeeded(func() { needed <- struct{}{} })
		opened := make(chan error, 1)
		go func() {
			_, err := a.SCTP().OpenDataChannel(context.Background(), &DataChannelParameters{Label: "by the transport"})
			opened <- err
		}()
		<-needed
		require.NoError(t, a.SetLocalDescriptionContext(context.Background(), SessionDescription{}))
		missing(a, "have-local-offer")
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(context.Background(), SessionDescription{}))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		require.NoError(t, <-opened)
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}
