package webrtc

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A peer that answers no check any more has not consented, whatever else comes
// from its address: its own checks, its data, indications, answers without the
// password.
func TestI9_ConsentNeedsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		var after atomic.Int64 // packets of ours since consent was lost
		var lost atomic.Bool
		forged, err := stun.Build(stun.BindingSuccess, stun.TransactionID, stun.NewShortTermIntegrity("guessed"))
		require.NoError(t, err)
		network := testnet.Pair(t, testnet.Filter(func(from int, payload []byte) testnet.Action {
			if from == 0 && lost.Load() {
				after.Add(1)
			}
			if from == 1 && silent.Load() && isAnswer(payload) {
				return testnet.Action{Payload: forged.Raw}
			}

			return testnet.Action{}
		}))
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		record := watch(a)
		time.Sleep(10 * time.Minute)
		exchange(t, from, to)
		assert.Empty(t, record.of("ICE"), "answers renew it")

		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		chatting := make(chan struct{})
		go func() {
			defer close(chatting)
			for to.SendTextContext(ctx, "still here") == nil {
				time.Sleep(100 * time.Millisecond)
			}
		}()
		silent.Store(true)
		begin := time.Now()
		<-a.ice.Context().Done()
		lost.Store(true)
		assert.GreaterOrEqual(t, time.Since(begin), consentTime-2*consentLook)
		assert.LessOrEqual(t, time.Since(begin), consentTime+consentLook)
		require.ErrorIs(t, context.Cause(a.ice.Context()), ErrICEFailed)
		assert.ErrorContains(t, context.Cause(a.ice.Context()), "answered no check")
		assert.Equal(t, []string{"failed"}, record.of("ICE"))
		time.Sleep(time.Minute)
		assert.Zero(t, after.Load(), "nothing is sent any more")
		cancel()
		<-chatting
		requireNothingLeft(t, network, a, b)
	})
}

func isAnswer(payload []byte) bool {
	if !stun.IsMessage(payload) {
		return false
	}
	m := stun.Message{Raw: payload}

	return m.Decode() == nil && m.Type.Class == stun.ClassSuccessResponse
}

// A change of the pair starts the time anew; within the grace a restart mends the
// loss.
func TestI9_ConsentAndRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		network := testnet.Pair(t, testnet.Filter(func(from int, payload []byte) testnet.Action {
			return testnet.Action{Drop: from == 1 && silent.Load() && isAnswer(payload)}
		}))
		settings := SettingEngine{}
		settings.ICE.FailedGrace = time.Minute
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, settings, network, 1)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		ctx := context.Background()
		silent.Store(true)
		time.Sleep(consentTime - 2*consentLook)
		silent.Store(false)
		before := agentOf(a)
		restart(t, a, b)
		awaitSwitch(t, a, before)
		silent.Store(true)
		time.Sleep(consentTime - 2*consentLook)
		assert.Equal(t, ICETransportStateConnected, a.ice.State(), "counted anew")
		_, err := a.ice.AwaitState(ctx, ICETransportStateFailed)
		require.NoError(t, err)
		assert.Equal(t, 0, network.OpenSockets(0), "nothing is sent any more")
		silent.Store(false)
		restart(t, a, b)
		_, err = a.ice.AwaitState(ctx, ICETransportStateConnected)
		require.NoError(t, err)
		exchange(t, from, to)
		time.Sleep(2 * time.Minute)
		exchange(t, from, to)
		requireNothingLeft(t, network, a, b)
	})
}
