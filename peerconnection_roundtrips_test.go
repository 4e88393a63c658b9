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

// roundTrips are those at which the connect time is measured.
var roundTrips = []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond}

// What the first message takes at the least, from the moment in which the
// answer is with the offerer, in round trips. Up to half a round trip the
// answerer's first check is on its way and is answered, then its ClientHello
// goes out (0.5), the server's flight (1), the client's with Finished (1.5), and
// with the server's Finished (2) the message (2.5). The answerer can send when
// it has that, half a round trip later.
const (
	offererFirst  = 2.5
	answererFirst = 3.0
	// A look at the pairs may come a little late.
	lateLook = 0.15
)

// firstMessage is how long the first message takes from the moment in which
// the answer is with the offerer. The descriptions are whole and take half a
// round trip each. A message is sent as soon as its channel takes it.
func firstMessage(tb testing.TB, offerer, answerer *PeerConnection, rtt time.Duration, fromOfferer bool) time.Duration {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	channel, err := offerer.CreateDataChannel("offerer's", nil)
	require.NoError(tb, err)
	receiver := answerer
	if !fromOfferer {
		receiver = offerer
		channel, err = answerer.CreateDataChannel("answerer's", nil)
		require.NoError(tb, err)
	}
	channel.OnDial(func() { assert.NoError(tb, channel.SendText("first")) })

	require.NoError(tb, offerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	time.Sleep(rtt / 2)
	require.NoError(tb, answerer.SetRemoteDescription(*offerer.LocalDescription()))
	require.NoError(tb, answerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	answer := *answerer.LocalDescription()
	time.Sleep(rtt / 2)
	arrived := time.Now()
	require.NoError(tb, offerer.SetRemoteDescription(answer))

	accepted, err := receiver.SCTP().AcceptDataChannel(ctx)
	for err == nil && accepted.Label() != channel.Label() {
		accepted, err = receiver.SCTP().AcceptDataChannel(ctx)
	}
	require.NoError(tb, err)
	message, err := accepted.ReceiveContext(ctx)
	require.NoError(tb, err)
	assert.Equal(tb, "first", string(message.Data))

	return time.Since(arrived)
}

// firstMessageTrips measures with the default settings, in round trips.
func firstMessageTrips(tb testing.TB, rtt time.Duration, fromOfferer bool) float64 {
	tb.Helper()
	offerer, answerer, network := peers(tb, testnet.Delay(rtt/2))
	took := firstMessage(tb, offerer, answerer, rtt, fromOfferer)
	connectPeers(tb, offerer, answerer)
	requirePeersGone(tb, network, offerer, answerer)

	return took.Seconds() / rtt.Seconds()
}

func TestRoundTripsToTheFirstMessage(t *testing.T) {
	for _, rtt := range roundTrips {
		for _, c := range []struct {
			name        string
			fromOfferer bool
			least       float64
		}{{"offerer", true, offererFirst}, {"answerer", false, answererFirst}} {
			t.Run(fmt.Sprintf("%v, from the %s", rtt, c.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					took := firstMessageTrips(t, rtt, c.fromOfferer)
					t.Logf("%.2f round trips", took)
					assert.LessOrEqual(t, took, c.least+lateLook)
				})
			})
		}
	}
}

// A pair that is valid carries packets, either way, however long it is until
// one is nominated. Until then no state says that the peers are connected.
func TestFirstMessageWaitsForNoNomination(t *testing.T) {
	const never = 20 * time.Second
	for _, rtt := range roundTrips {
		t.Run(rtt.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(rtt/2))
				slow := SettingEngine{ICE: ICESettings{HostAcceptanceMinWait: never}}
				offerer, answerer := newPeer(t, slow, network, 0), newPeer(t, slow, network, 1)
				states, ice, _, _ := watchPeer(offerer)
				answering, answeringICE, _, _ := watchPeer(answerer)
				began := time.Now()
				took := firstMessage(t, offerer, answerer, rtt, true)
				assert.LessOrEqual(t, took.Seconds()/rtt.Seconds(), offererFirst+lateLook)
				for _, told := range []*peerRecord{states, answering} {
					assert.Equal(t, []string{"connecting"}, told.list())
				}
				for _, told := range []*peerRecord{ice, answeringICE} {
					assert.Equal(t, []string{"checking"}, told.list())
				}
				connectPeers(t, offerer, answerer)
				assert.Greater(t, time.Since(began), never)
				requirePeersGone(t, network, offerer, answerer)
			})
		})
	}
}
