package webrtc

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A context that has ended is seen also when what the call asks for is there
// already, every time, and takes nothing of it.
func TestL1_ADeadContextTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
		ctx := limited(t, testTimeout)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		require.NoError(t, from.SendText("first"))
		_, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: "second"})
		require.NoError(t, err)
		synctest.Wait()

		id := uint16(100)
		for range 20 {
			_, err = to.ReceiveContext(deadContext)
			require.ErrorIs(t, err, errSwept)
			_, _, err = to.ReadMessage(deadContext, make([]byte, 10))
			require.ErrorIs(t, err, errSwept)
			_, err = b.sctp.AcceptDataChannel(deadContext)
			require.ErrorIs(t, err, errSwept)
			// Open at once, and its id is free again at once.
			_, err = a.sctp.OpenDataChannel(deadContext, &DataChannelParameters{Negotiated: true, ID: &id})
			require.ErrorIs(t, err, errSwept)
		}
		m, err := to.ReceiveContext(ctx)
		require.NoError(t, err)
		require.Equal(t, "first", string(m.Data))
		c, err := b.sctp.AcceptDataChannel(ctx)
		require.NoError(t, err)
		require.Equal(t, "second", c.Label())
	})
}

// A Close between the two halves of Gather: the agent's word for closed is not
// the program's.
func TestL4_GatherWhileClosing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, err := NewAPI().NewICEGatherer(ICEGatherOptions{})
		require.NoError(t, err)
		g.life.end(ErrClosed, func() { require.NoError(t, g.newest.Close()) })
		require.Equal(t, ICEGathererStateNew, g.State())
		require.ErrorIs(t, g.Gather(), ErrClosed)
		require.NotEqual(t, ICEGathererStateGathering, g.State())
	})
}

// errorList is an error that == panics on.
type errorList []string

func (errorList) Error() string { return "a list" }

// ownContext is a context of the program's own, with an error of its own.
type ownContext struct{ context.Context }

func (ownContext) Err() error { return errorList{"ended"} }

func TestL1_AContextOfTheProgramsOwn(t *testing.T) {
	g, err := NewAPI().NewICEGatherer(ICEGatherOptions{})
	require.NoError(t, err)
	transport := NewAPI().NewICETransport(g)
	params := ICEParameters{UsernameFragment: "ufrag", Password: "0123456789012345678901"}
	err = transport.StartContext(ownContext{t.Context()}, nil, params, nil)
	var list errorList
	require.ErrorAs(t, err, &list)
	require.Equal(t, ICETransportStateClosed, transport.State())
}
