package programtest

import (
	"context"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// Pair connects two peers in the test's own process. They end with the test.
func Pair(t T) (a, b *peer.Peer) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	peers := [2]*peer.Peer{}
	for i, role := range []webrtc.ICERole{webrtc.ICERoleControlling, webrtc.ICERoleControlled} {
		p, err := peer.New(ctx, cancel, peer.Silent(), role, peer.OnLoopback())
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(p.Abandon)
		peers[i] = p
	}
	a, b = peers[0], peers[1]
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err := peer.Introduce(connecting, a, b); err != nil {
		t.Fatalf("%v", err)
	}
	other := make(chan error, 1)
	go func() { other <- b.Connect(connecting) }()
	if err := a.Connect(connecting); err != nil {
		t.Fatalf("%v", err)
	}
	if err := <-other; err != nil {
		t.Fatalf("%v", err)
	}

	return a, b
}
