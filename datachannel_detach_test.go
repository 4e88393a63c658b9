package webrtc

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/pion/datachannel"
	"github.com/stretchr/testify/require"
)

func detaching() (s SettingEngine) {
	s.DetachDataChannels()

	return s
}

// TestC4_Detach: in detached mode both ends are pion/datachannel's own type,
// carry messages of each kind, and the methods that would receive are refused.
func TestC4_Detach(t *testing.T) {
	for _, negotiated := range []bool{false, true} {
		for _, peer := range []string{"detached too", "not detached"} {
			t.Run(map[bool]string{false: "announced, ", true: "negotiated, "}[negotiated]+peer, func(t *testing.T) {
				bubble(t, func(t *testing.T) { testDetach(t, negotiated, peer == "detached too") })
			})
		}
	}
}

func testDetach(t *testing.T, negotiated, both bool) {
	t.Helper()
	forB := SettingEngine{}
	if both {
		forB = detaching()
	}
	a, b, network := connectedPair(t, detaching(), forB)
	params := DataChannelParameters{Label: "raw", Ordered: true, Negotiated: negotiated}
	var from, to *DataChannel
	if negotiated {
		id := uint16(7)
		params.ID = &id
		var err error
		from, err = a.api.NewDataChannel(a.sctp, &params)
		require.NoError(t, err)
		to, err = b.api.NewDataChannel(b.sctp, &params)
		require.NoError(t, err)
	} else {
		from, to = channelPair(t, a, b, params)
	}
	ctx := limited(t, testTimeout)
	_, err := from.ReceiveContext(ctx)
	require.ErrorIs(t, err, ErrInvalidState)
	_, _, err = from.ReadMessage(ctx, nil)
	require.ErrorIs(t, err, ErrInvalidState)

	raw, err := from.Detach()
	require.NoError(t, err)
	again, err := from.Detach()
	require.NoError(t, err)
	require.Equal(t, raw, again)
	own, ok := raw.(*datachannel.DataChannel)
	require.True(t, ok, "programs in the wild assert the type")
	require.Equal(t, "raw", own.Label)
	require.Equal(t, *from.ID(), own.StreamIdentifier())

	var other io.ReadWriteCloser
	if both {
		other, err = to.DetachWithDeadline()
		require.NoError(t, err)
	}
	_, err = raw.WriteDataChannel([]byte("text"), true)
	require.NoError(t, err)
	_, err = raw.Write(nil)
	require.NoError(t, err)
	if both {
		buf := make([]byte, 100)
		n, isString, err := other.(datachannel.ReadWriteCloser).ReadDataChannel(buf)
		require.NoError(t, err)
		require.True(t, isString)
		require.Equal(t, "text", string(buf[:n]))
		n, err = other.Read(buf)
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = other.Write([]byte("back"))
		require.NoError(t, err)
	} else {
		m, err := to.ReceiveContext(ctx)
		require.NoError(t, err)
		require.True(t, m.IsString)
		require.Equal(t, "text", string(m.Data))
		m, err = to.ReceiveContext(ctx)
		require.NoError(t, err)
		require.Empty(t, m.Data)
		require.NoError(t, to.Send([]byte("back")))
	}
	buf := make([]byte, 100)
	n, err := raw.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "back", string(buf[:n]))

	// The peer's close is the end of the file.
	if both {
		require.NoError(t, other.Close())
	} else {
		require.NoError(t, to.Close())
	}
	_, err = raw.Read(buf)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, raw.Close())
	require.NoError(t, from.Close())
	require.Equal(t, DataChannelStateClosed, from.ReadyState())
	if !both {
		awaitChannel(t, to, DataChannelStateClosed)
	}
	stopped(t, network, a, b)
}

// TestC4_DetachIsRefused where it makes no sense, and changes nothing.
func TestC4_DetachIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, detaching())
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		_, err := from.Detach()
		require.ErrorIs(t, err, ErrInvalidState)
		raw, err := to.Detach()
		require.NoError(t, err)
		_, err = raw.Write([]byte("still works"))
		require.NoError(t, err)
		m, err := from.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Equal(t, "still works", string(m.Data))
		stopped(t, network, a, b)
	})
	bubble(t, func(t *testing.T) {
		a, _, _ := virtualPairWith(t, detaching(), detaching())
		c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{})
		require.NoError(t, err)
		_, err = c.Detach()
		require.ErrorIs(t, err, ErrInvalidState)
	})
}

// TestC4_DetachedReadEndsWithTheStack: whatever ends it, a read that waits
// ends at once.
func TestC4_DetachedReadEndsWithTheStack(t *testing.T) {
	for name, end := range map[string]func(a, b *stack) error{
		"own SCTP stop":    func(a, _ *stack) error { return a.sctp.Stop() },
		"own ICE stop":     func(a, _ *stack) error { return a.ice.Stop() },
		"peer's SCTP stop": func(_, b *stack) error { return b.sctp.Stop() },
		"peer's DTLS stop": func(_, b *stack) error { return b.dtls.Stop() },
		"peer's shutdown":  func(_, b *stack) error { return b.sctp.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, detaching(), detaching())
				from, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				raw, err := from.Detach()
				require.NoError(t, err)
				reading := result(func() error {
					_, err := raw.Read(make([]byte, 10))

					return err
				})
				begin := time.Now()
				require.NoError(t, end(a, b))
				require.Error(t, <-reading)
				require.Less(t, time.Since(begin), time.Second) // a delayed acknowledgement
				awaitChannel(t, from, DataChannelStateClosed)
				stopped(t, network, a, b)
			})
		})
	}
}
