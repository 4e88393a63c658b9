package webrtc

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// negotiatedWith is what both sides make a channel from.
func negotiatedWith(id uint16) *DataChannelParameters {
	return &DataChannelParameters{Negotiated: true, ID: &id, Ordered: true}
}

// TestS1_ThePeerIsFasterWithANegotiatedChannel: its data on a stream that no
// channel of ours has yet is nobody's, and the stream is reset: the peer sees
// its channel closed. The same id serves when both sides have made it again.
func TestS1_ThePeerIsFasterWithANegotiatedChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		good, other := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		early, err := b.api.NewDataChannel(b.sctp, negotiatedWith(7))
		require.NoError(t, err)
		require.Equal(t, DataChannelStateOpen, early.ReadyState(), "a negotiated channel is open at once")
		require.NoError(t, early.SendText("nobody's"))
		awaitChannel(t, early, DataChannelStateClosed)
		require.Equal(t, io.EOF, context.Cause(early.Context()))
		exchange(t, good, other)
		time.Sleep(time.Second)

		ours, err := a.api.NewDataChannel(a.sctp, negotiatedWith(7))
		require.NoError(t, err)
		theirs, err := b.api.NewDataChannel(b.sctp, negotiatedWith(7))
		require.NoError(t, err)
		exchange(t, ours, theirs)
		stopped(t, network, a, b)
	})
}

// TestC3_NothingIsLostInTheInstantOfAChannel: the peer's data comes between two
// steps in which a negotiated channel is made, detached or not.
func TestC3_NothingIsLostInTheInstantOfAChannel(t *testing.T) {
	type received struct {
		text string
		err  error
	}
	// reading takes what comes next, and waits for it.
	reading := func(t *testing.T, c *DataChannel) <-chan received {
		t.Helper()
		next := make(chan received, 1)
		if !c.settings.Detach {
			go func() {
				m, err := c.ReceiveContext(context.Background())
				next <- received{string(m.Data), err}
			}()

			return next
		}
		raw, err := c.Detach()
		require.NoError(t, err)
		go func() {
			buf := make([]byte, 100)
			n, err := raw.Read(buf)
			next <- received{string(buf[:n]), err}
		}()

		return next
	}
	for _, detached := range []bool{false, true} {
		settings := SettingEngine{}
		settings.DataChannel.Detach = detached
		pair := func(t *testing.T, id uint16) (a, b *stack, c, peer *DataChannel) {
			t.Helper()
			a, b, _ = connectedPair(t, settings, SettingEngine{})
			// The id is taken, and the stream is not opened yet.
			c, err := a.sctp.newDataChannel("test", *negotiatedWith(id))
			require.NoError(t, err)
			peer, err = b.api.NewDataChannel(b.sctp, negotiatedWith(id))
			require.NoError(t, err)

			return a, b, c, peer
		}
		t.Run(fmt.Sprint("before the stream is opened, detached ", detached), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const id = 9
				a, b, c, peer := pair(t, id)
				for i := range 3 {
					require.NoError(t, peer.SendText(fmt.Sprint(i)))
				}
				time.Sleep(time.Second)
				a.sctp.streams.mu.Lock()
				require.NotNil(t, a.sctp.streams.early[id], "it has not come before")
				a.sctp.streams.mu.Unlock()
				a.sctp.streams.await(c)
				for i := range 3 {
					require.Equal(t, received{fmt.Sprint(i), nil}, <-reading(t, c))
				}
				require.Equal(t, DataChannelStateOpen, c.ReadyState())
				require.Equal(t, DataChannelStateOpen, peer.ReadyState())
				a.sctp.streams.mu.Lock()
				require.Empty(t, a.sctp.streams.early)
				a.sctp.streams.mu.Unlock()
				require.NoError(t, c.SendText("and back"))
				m, err := peer.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, "and back", string(m.Data))
				stopped(t, nil, a, b)
			})
		})
		t.Run(fmt.Sprint("after the stream was opened, detached ", detached), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const id = 9
				a, b, c, peer := pair(t, id)
				a.sctp.streams.await(c)
				// The association asks before it knows of the channel's stream.
				require.True(t, dispatcher{a.sctp, a.sctp.association()}.Opening(id))
				next := reading(t, c)
				time.Sleep(time.Second)
				require.Empty(t, next, "it does not wait")
				require.NoError(t, peer.SendText("late"))
				require.Equal(t, received{"late", nil}, <-next)
				stopped(t, nil, a, b)
			})
		})
		t.Run(fmt.Sprint("and the channel ends before it is opened, detached ", detached), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const id = 9
				a, b, c, peer := pair(t, id)
				require.NoError(t, peer.SendText("nobody's"))
				time.Sleep(time.Second)
				require.NoError(t, c.Close())
				a.sctp.streams.await(c)
				require.Equal(t, DataChannelStateClosed, c.ReadyState())
				a.sctp.streams.mu.Lock()
				require.Empty(t, a.sctp.streams.early)
				require.Empty(t, a.sctp.streams.inUse)
				a.sctp.streams.mu.Unlock()
				from, to := channelPair(t, b, a, DataChannelParameters{Ordered: true})
				require.NoError(t, from.SendText("others go on"))
				require.Equal(t, received{"others go on", nil}, <-reading(t, to))
				stopped(t, nil, a, b)
			})
		})
	}
}

// TestC3_ANegotiatedChannelInTheInstantOfItsData, over and over, with the
// scheduler's help: either the message is received, or the peer is told that
// its channel was closed.
func TestC3_ANegotiatedChannelInTheInstantOfItsData(t *testing.T) {
	const rounds = 300
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		received, told := 0, 0
		for i := range rounds {
			id := uint16(100 + i)
			peer, err := b.api.NewDataChannel(b.sctp, negotiatedWith(id))
			require.NoError(t, err)
			require.NoError(t, peer.SendText("at once"))
			time.Sleep(pathDelay) // it arrives in this instant
			for range i % 50 {
				runtime.Gosched()
			}
			c, err := a.api.NewDataChannel(a.sctp, negotiatedWith(id))
			if err != nil {
				require.ErrorIs(t, err, ErrInvalidArgument, "the stream is being reset")
			} else if m, err := c.ReceiveContext(limited(t, time.Second)); err == nil {
				require.Equal(t, "at once", string(m.Data))
				received++
				require.NoError(t, c.Close())
				awaitChannel(t, peer, DataChannelStateClosed)

				continue
			}
			told++
			awaitChannel(t, peer, DataChannelStateClosed)
			if c != nil {
				require.NoError(t, c.Close())
			}
			time.Sleep(time.Second)
		}
		t.Logf("received %d times, told %d times", received, told)
		stopped(t, network, a, b)
	})
}
