package webrtc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// inUse is the agent of a connection that carries data.
func inUse(pc *PeerConnection) *iceAgent {
	pc.ice.life.mu.Lock()
	defer pc.ice.life.mu.Unlock()

	return pc.ice.agent
}

// awaitNewPath waits until a connection uses another agent.
func awaitNewPath(tb testing.TB, pc *PeerConnection, before *iceAgent) {
	tb.Helper()
	for range 1000 {
		if inUse(pc) != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatal("the restart has not come about")
}

// The network changes under a connection 1,000 times while it sends: no message
// is lost, none of the layers above begins anew.
func TestP6_ThousandRestarts(t *testing.T) {
	restarts := 1000
	if raceEnabled {
		restarts = 50
	}
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(2*time.Millisecond))
		ctx := context.Background()
		from, err := a.CreateDataChannel("numbers", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		to, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		states, _, _, _ := watchPeer(a)
		stop := make(chan struct{})
		sent := make(chan int, 1)
		go func() {
			n := 0
			defer func() { sent <- n }()
			for ; ; n++ {
				select {
				case <-stop:
					_ = from.SendTextContext(ctx, "end")

					return
				case <-time.After(3 * time.Millisecond):
				}
				if from.SendTextContext(ctx, fmt.Sprint(n)) != nil {
					return
				}
			}
		}()
		received := make(chan error, 1)
		go func() {
			for n := 0; ; n++ {
				m, err := to.ReceiveContext(ctx)
				if err == nil && string(m.Data) != "end" {
					if string(m.Data) == fmt.Sprint(n) {
						continue
					}
					err = fmt.Errorf("%s instead of %d", m.Data, n)
				}
				received <- err

				return
			}
		}()
		for i := range restarts {
			sides := []*PeerConnection{a, b}
			if i%2 == 1 {
				sides = []*PeerConnection{b, a}
			}
			before := []*iceAgent{inUse(a), inUse(b)}
			sides[0].RestartICE()
			negotiate(t, sides[0], sides[1])
			awaitNewPath(t, a, before[0])
			awaitNewPath(t, b, before[1])
		}
		close(stop)
		assert.Greater(t, <-sent, restarts)
		require.NoError(t, <-received)
		assert.Empty(t, states.list(), "connected all the time")
		time.Sleep(drainTime + time.Second)
		synctest.Wait()
		assert.Equal(t, 1, network.OpenSockets(0))
		assert.Equal(t, 1, network.OpenSockets(1))
		requirePeersGone(t, network, a, b)
	})
}

// Out of failed, by an offer.
func TestP6_RestartOutOfFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(10*time.Millisecond))
		ctx := context.Background()
		from, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		to, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		states, ice, _, _ := watchPeer(a)
		needed := make(chan struct{}, 10)
		a.OnNegotiationNeeded(func() { needed <- struct{}{} })
		network.Cut(true)
		for _, pc := range []*PeerConnection{a, b} {
			_, err := pc.AwaitState(ctx, PeerConnectionStateFailed)
			require.NoError(t, err)
		}
		require.ErrorIs(t, a.Connect(limited(t, time.Second)), context.DeadlineExceeded, "it may be mended")
		require.NoError(t, from.SendTextContext(ctx, "meanwhile"))
		network.Cut(false)
		a.RestartICE()
		<-needed
		negotiate(t, a, b)
		connectPeers(t, a, b)
		m, err := to.ReceiveContext(ctx)
		require.NoError(t, err)
		assert.Equal(t, "meanwhile", string(m.Data))
		time.Sleep(2 * peerConnectionGrace)
		exchange(t, from, to)
		assert.Equal(t, []string{"disconnected", "failed", "connecting", "connected"}, states.list())
		assert.Equal(t, []string{"disconnected", "failed", "checking", "connected"}, ice.list())
		requirePeersGone(t, network, a, b)
	})
}

// A restart that is taken back, and one that is never answered, change nothing.
func TestP6_RestartTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		from, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		to, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		path := inUse(a)
		rollback := SessionDescription{Type: SDPTypeRollback}

		offer, err := a.CreateOffer(&OfferOptions{ICERestart: true})
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, offer))
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		answer, err := b.CreateAnswer(nil)
		require.NoError(t, err)
		assert.NotContains(t, answer.SDP, b.negotiation.ice.UsernameFragment, "an answer to a restart restarts")
		require.NoError(t, a.SetLocalDescription(rollback))
		require.NoError(t, b.SetRemoteDescription(rollback))
		synctest.Wait()
		assert.Same(t, path, inUse(a))
		assert.Equal(t, 1, network.OpenSockets(0))
		assert.Equal(t, 1, network.OpenSockets(1))
		exchange(t, from, to)

		// The peer's offer takes back ours, which wanted a restart: it is wanted
		// still, and comes with the next.
		a.RestartICE()
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		require.NoError(t, a.SetLocalDescription(SessionDescription{}))
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		assert.Same(t, path, inUse(a))
		negotiate(t, a, b)
		awaitNewPath(t, a, path)
		exchange(t, from, to)

		// Never answered.
		path = inUse(a)
		a.RestartICE()
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		time.Sleep(5 * time.Minute)
		exchange(t, from, to)
		assert.Same(t, path, inUse(a))
		assert.Equal(t, PeerConnectionStateConnected, a.ConnectionState())
		requirePeersGone(t, network, a, b)
	})
}

// What an answer must not do.
func TestP6_RestartRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		a.RestartICE() // too early, and without effect
		negotiate(t, a, b)
		connectPeers(t, a, b)
		before := *b.LocalDescription()

		a.RestartICE()
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.ErrorIs(t, a.SetRemoteDescription(before), errNoRestart)
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		after := *b.LocalDescription()
		require.NoError(t, a.SetRemoteDescription(after))
		_, err = a.CreateOffer(&OfferOptions{ICERestart: true})
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescription(SessionDescription{}), "without a restart")
		require.ErrorIs(t, a.SetRemoteDescription(before), errRestart)
		require.NoError(t, a.SetRemoteDescription(after))
		requirePeersGone(t, network, a, b)
	})
}

// A description whose credentials have changed while it was created, on another
// goroutine, is refused.
func TestP6_OfferOfOtherCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		stale, err := a.CreateOffer(nil)
		require.NoError(t, err)
		var created *description
		a.life.set(func() { created = a.negotiation.createdOffer })
		a.RestartICE()
		negotiate(t, a, b)
		a.life.set(func() { a.negotiation.createdOffer = created })
		require.ErrorIs(t, a.SetLocalDescription(stale), ErrInvalidModification)
		negotiate(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}
