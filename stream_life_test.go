package webrtc

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC5_SendsWhileThePeerCloses: nothing is written behind the reset of our
// own direction, so every stream ends on both sides, and its id is free again.
func TestC5_SendsWhileThePeerCloses(t *testing.T) {
	cycles := 60
	if raceEnabled {
		cycles = 20
	}
	a, b := loopbackPair(t)
	connect(t, a, b)
	for i := range cycles {
		from, to := channelPair(t, a, b, DataChannelParameters{Label: fmt.Sprint(i), Ordered: true})
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for from.Send(make([]byte, 100)) == nil { //nolint:revive // until it is closed
				}
			})
		}
		_, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.NoError(t, to.Close())
		writers.Wait()
		awaitChannel(t, to, DataChannelStateClosed)
		awaitChannel(t, from, DataChannelStateClosed)
	}
	for _, s := range []*stack{a, b} {
		require.Eventually(t, func() bool {
			count, ids := s.sctp.streams.places()

			return count == 0 && ids == 0
		}, 10*time.Second, 10*time.Millisecond, "a stream is left")
	}
}

// TestS4_LateSendHurtsNoOther: a sender that was held up until its channel was
// closed, and its id in use again, ends nothing of the next channel's.
func TestS4_LateSendHurtsNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		params := DataChannelParameters{Negotiated: true, ID: ptrTo[uint16](10), Ordered: true}
		open := func() (from, to *DataChannel) {
			from, err := a.api.NewDataChannel(a.sctp, &params)
			require.NoError(t, err)
			to, err = b.api.NewDataChannel(b.sctp, &params)
			require.NoError(t, err)

			return from, to
		}
		late, other := open()
		require.NoError(t, late.Close())
		awaitChannel(t, late, DataChannelStateClosed)
		awaitChannel(t, other, DataChannelStateClosed)
		time.Sleep(time.Second)
		from, to := open()
		require.False(t, late.outbox.enter())
		require.NoError(t, from.SendContext(context.Background(), []byte("still open")))
		m, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "still open", string(m.Data))
		require.Equal(t, DataChannelStateOpen, from.ReadyState())
		stopped(t, network, a, b)
	})
}
