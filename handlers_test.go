package webrtc

import (
	"context"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// scene is a connection in which every handler is called once at least: of
// side a's objects, and of the channel own, which a opens.
type scene struct {
	a, b    *stack
	network *testnet.Network
	own     *DataChannel
	other   *DataChannel // own, as b sees it

	// Of a, in scenes with media.
	track    *TrackLocalStaticSample
	sender   *RTPSender
	receiver *RTPReceiver

	// verify is a's hook for the peer's certificate.
	verify func()
}

// handlers is every handler, and how to set it. Those of the channel can be
// set when own is there.
var handlers = map[string]func(s *scene, f func()){
	"ICEGatherer.OnLocalCandidate": func(s *scene, f func()) {
		s.a.gatherer.OnLocalCandidate(func(*ICECandidate) { f() })
	},
	"ICEGatherer.OnStateChange": func(s *scene, f func()) {
		s.a.gatherer.OnStateChange(func(ICEGathererState) { f() })
	},
	"ICEGatherer.OnLocalCandidateError": func(s *scene, f func()) {
		// A server that cannot be asked over TLS, which takes no time.
		s.a.gatherer.urls, _ = serverURLs([]ICEServer{{URLs: []string{"stuns:10.0.0.9"}}})
		s.a.gatherer.OnLocalCandidateError(func(*ICECandidateError) { f() })
	},
	"ICETransport.OnConnectionStateChange": func(s *scene, f func()) {
		s.a.ice.OnConnectionStateChange(func(ICETransportState) { f() })
	},
	"ICETransport.OnSelectedCandidatePairChange": func(s *scene, f func()) {
		s.a.ice.OnSelectedCandidatePairChange(func(*ICECandidatePair) { f() })
	},
	"DTLSTransport.OnStateChange": func(s *scene, f func()) {
		s.a.dtls.OnStateChange(func(DTLSTransportState) { f() })
	},
	"DTLSSettings.VerifyPeerCertificate": func(s *scene, f func()) { s.verify = f },
	"SCTPTransport.OnDataChannel": func(s *scene, f func()) {
		s.a.sctp.OnDataChannel(func(*DataChannel) { f() })
	},
	"SCTPTransport.OnDataChannelOpened": func(s *scene, f func()) {
		s.a.sctp.OnDataChannelOpened(func(*DataChannel) { f() })
	},
	"SCTPTransport.OnError":           func(s *scene, f func()) { s.a.sctp.OnError(func(error) { f() }) },
	"SCTPTransport.OnClose":           func(s *scene, f func()) { s.a.sctp.OnClose(func(error) { f() }) },
	"DataChannel.OnOpen":              func(s *scene, f func()) { s.own.OnOpen(f) },
	"DataChannel.OnDial":              func(s *scene, f func()) { s.own.OnDial(f) },
	"DataChannel.OnMessage":           func(s *scene, f func()) { s.own.OnMessage(func(DataChannelMessage) { f() }) },
	"DataChannel.OnError":             func(s *scene, f func()) { s.own.OnError(func(error) { f() }) },
	"DataChannel.OnClose":             func(s *scene, f func()) { s.own.OnClose(f) },
	"DataChannel.OnBufferedAmountLow": func(s *scene, f func()) { s.own.OnBufferedAmountLow(f) },
}

// newScene makes the objects; nothing has happened yet.
func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{verify: func() {}}
	settings := SettingEngine{}
	settings.DTLS.VerifyPeerCertificate = func(context.Context, *x509.Certificate) error {
		s.verify()

		return nil
	}
	s.a, s.b, s.network = virtualPairWith(t, settings, SettingEngine{}, testnet.Delay(pathDelay))
	var err error
	s.own, err = s.a.api.NewDataChannel(s.a.sctp, &DataChannelParameters{Label: "own", Ordered: true})
	require.NoError(t, err)

	return s
}

// play goes through all of a connection's life as far as the handlers leave
// it standing. A step that fails is what a handler that stops things is
// expected to cause, so nothing is asserted here.
func (s *scene) play(ctx context.Context) {
	for _, p := range [][2]*stack{{s.a, s.b}, {s.b, s.a}} {
		candidates, _ := p[0].gatherer.GatherContext(ctx)
		_ = p[1].ice.SetRemoteCandidates(candidates)
	}
	if both(s.a, s.b, func(s, peer *stack) error { return s.start(ctx, peer) }) != nil {
		return
	}
	s.other, _ = s.b.sctp.AcceptDataChannel(ctx)
	if s.other == nil {
		return
	}
	_ = s.other.Send([]byte("to own"))
	_ = s.own.SendContext(ctx, make([]byte, 4000))
	_, _ = s.other.ReceiveContext(ctx)
	if c, err := s.b.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "b's"}); err == nil {
		_ = c.Send([]byte("hello"))
	}
	time.Sleep(time.Second) // of the network's time: acknowledgements are delayed
}

// finish ends the connection from b's side with an ABORT.
func (s *scene) finish() { _ = s.b.sctp.Stop() }

// blocking makes a handler that never returns before the test's end; entered
// is closed by its first call.
func blocking(t *testing.T) (f func(), entered chan struct{}, unblock func()) {
	t.Helper()
	entered, left := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	unblock = sync.OnceFunc(func() { close(left) })
	t.Cleanup(unblock)

	return func() { enter(); <-left }, entered, unblock
}
