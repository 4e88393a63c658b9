package webrtc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// restartByOffer restarts by the offer of a side; every third time the other side
// offers as well, in the same instant, and gives way if it is the second one.
func restartByOffer(sides [2]*PeerConnection) func(tb testing.TB, first int) {
	restarts := 0

	return func(tb testing.TB, first int) {
		tb.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		offerer, answerer := sides[first], sides[1-first]
		offerer.RestartICE()
		if restarts++; restarts%3 == 0 {
			offerer, answerer = sides[0], sides[1]
			offerer.RestartICE()
			answerer.RestartICE()
			require.NoError(tb, answerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
		}
		require.NoError(tb, offerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *offerer.LocalDescription()
		time.Sleep(signalingDelay)
		require.NoError(tb, answerer.SetRemoteDescription(offer))
		require.NoError(tb, answerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
		answer := *answerer.LocalDescription()
		time.Sleep(signalingDelay)
		require.NoError(tb, offerer.SetRemoteDescription(answer))
	}
}

// The same as TestI5_MovesBetweenNetworks, by offer and answer.
func TestI5_PeersMoveBetweenNetworks(t *testing.T) {
	const networks = 4
	for name, opts := range map[string][]testnet.Option{
		"clean": nil,
		"loss":  {testnet.Loss(0.05, 7)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := append([]testnet.Option{testnet.Networks(networks), testnet.Delay(20 * time.Millisecond)}, opts...)
				a, b, network := peers(t, opts...)
				from, err := a.CreateDataChannel("numbers", nil)
				require.NoError(t, err)
				negotiate(t, a, b)
				connectPeers(t, a, b)
				to, err := b.SCTP().AcceptDataChannel(limited(t, testTimeout))
				require.NoError(t, err)
				states, _, _, _ := watchPeer(a)
				var dtls peerRecord
				for _, pc := range []*PeerConnection{a, b} {
					pc.dtls.OnStateChange(func(s DTLSTransportState) { dtls.add(s.String()) })
				}
				m := newMover(network, networks, a.ice, b.ice)
				m.restart = restartByOffer([2]*PeerConnection{a, b})
				m.run(t, moves(200), from, to)
				assert.Empty(t, dtls.list())
				assert.NotContains(t, states.list(), "failed")
				exchange(t, from, to)
				requirePeersGone(t, network, a, b)
			})
		})
	}
}
