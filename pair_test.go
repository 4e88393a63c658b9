package webrtc

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// pathDelay is the one-way delay of connectedPair's network.
const pathDelay = 10 * time.Millisecond

// connectedPair makes both sides on a virtual network and connects them.
func connectedPair(t *testing.T, forA, forB SettingEngine) (a, b *stack, network *testnet.Network) {
	t.Helper()
	a, b, network = virtualPairWith(t, forA, forB, testnet.Delay(pathDelay))
	connect(t, a, b)

	return a, b, network
}

// limited is a context for waits that should end by themselves.
func limited(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)

	return ctx
}

// result runs a call beside the test; its error comes on the channel.
func result(call func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()

	return done
}

// receiving, accepting and sending are calls that wait.
func receiving(ctx context.Context, c *DataChannel) <-chan error {
	return result(func() error {
		_, err := c.ReceiveContext(ctx)

		return err
	})
}

func accepting(ctx context.Context, s *stack) <-chan error {
	return result(func() error {
		_, err := s.sctp.AcceptDataChannel(ctx)

		return err
	})
}

// stopped stops both sides and waits for all their goroutines and handlers.
func stopped(t *testing.T, network *testnet.Network, stacks ...*stack) {
	t.Helper()
	for _, s := range stacks {
		begin := time.Now()
		require.NoError(t, s.ice.Stop())
		require.Zero(t, time.Since(begin), "Stop took time")
	}
	for _, s := range stacks {
		_ = s.ice.Run(limited(t, testTimeout))
		require.Equal(t, ICETransportStateClosed, s.ice.State())
		require.Equal(t, ICEGathererStateClosed, s.gatherer.State())
		require.Equal(t, DTLSTransportStateClosed, s.dtls.State())
		require.Equal(t, SCTPTransportStateClosed, s.sctp.State())
	}
	if network != nil {
		require.Zero(t, network.OpenSockets(0)+network.OpenSockets(1), "sockets are open")
	}
}
