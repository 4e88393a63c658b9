package webrtc

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A created offer of a restart has gathered nothing, and does not say that there is
// no more: programs that trickle send it as it is.
func TestP6_CreatedRestartOfferTrickles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		a, b := newPeer(t, SettingEngine{}, network, 0), newPeer(t, SettingEngine{}, network, 1)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		first, err := a.CreateOffer(nil)
		require.NoError(t, err)
		assert.NotContains(t, first.SDP, "end-of-candidates", "first")
		negotiate(t, a, b)
		connectPeers(t, a, b)
		a.RestartICE()
		offer, err := a.CreateOffer(nil)
		require.NoError(t, err)
		assert.NotContains(t, offer.SDP, "end-of-candidates", "the offer of a restart")
		require.NoError(t, a.SetLocalDescription(offer))
		requirePeersGone(t, network, a, b)
	})
}
