package webrtc

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// places is how many channels and ids a transport counts as taken.
func (s *streamTable) places() (channels, ids int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return len(s.channels), len(s.inUse)
}

// TestS4_ClosedWhileTheAssociationComesUp: channels that are closed in the very
// moment in which they are opened give back their places and ids.
func TestS4_ClosedWhileTheAssociationComesUp(t *testing.T) {
	rounds := 40
	if raceEnabled {
		rounds = 10
	}
	for range rounds {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPairWithout(t)
			var channels []*DataChannel
			for i := range 100 {
				c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: fmt.Sprint(i)})
				require.NoError(t, err)
				channels = append(channels, c)
			}
			ctx := limited(t, testTimeout)
			closing := result(func() error {
				_, err := a.sctp.AwaitState(ctx, SCTPTransportStateConnected)
				for _, c := range channels {
					_ = c.Close()
				}

				return err
			})
			require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startSCTP(ctx, peer) }))
			require.NoError(t, <-closing)
			for _, c := range channels {
				awaitChannel(t, c, DataChannelStateClosed)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			for name, s := range map[string]*stack{"closer": a, "peer": b} {
				count, ids := s.sctp.streams.places()
				require.Zero(t, count, name)
				require.Zero(t, ids, name)
			}
			stopped(t, network, a, b)
		})
	}
}

// TestS4_OpenAndCloseAgainAndAgain: the next channel is opened in the instant
// in which the one before has closed, whoever closed it.
func TestS4_OpenAndCloseAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.MaxChannels = 4
		a, b, network := connectedPair(t, settings, settings)
		for i := range 300 {
			opener, acceptor := a, b
			if i%3 == 2 {
				opener, acceptor = b, a
			}
			from, to := channelPair(t, opener, acceptor, DataChannelParameters{Label: fmt.Sprint(i)})
			require.Equal(t, fmt.Sprint(i), to.Label())
			if i%2 == 0 {
				from, to = to, from
			}
			require.NoError(t, from.Close())
			awaitChannel(t, from, DataChannelStateClosed)
			awaitChannel(t, to, DataChannelStateClosed)
		}
		stopped(t, network, a, b)
	})
}

// TestS4_DetachedChannelsComeAndGo: a program that closes only what Detach has
// given it uses up no place, and its peer can use the id again.
func TestS4_DetachedChannelsComeAndGo(t *testing.T) {
	for _, sameID := range []bool{false, true} {
		t.Run(fmt.Sprint("same id ", sameID), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := detaching()
				settings.DataChannel.MaxChannels = 4
				a, b, network := connectedPair(t, settings, settings)
				for i := range 20 {
					params := DataChannelParameters{Label: fmt.Sprint(i), Ordered: true}
					if sameID {
						params.ID = ptrTo[uint16](101)
					}
					from, to := channelPair(t, a, b, params)
					require.Equal(t, fmt.Sprint(i), to.Label())
					ours, err := from.Detach()
					require.NoError(t, err)
					theirs, err := to.Detach()
					require.NoError(t, err)
					_, err = ours.Write([]byte("hello"))
					require.NoError(t, err)
					buf := make([]byte, 100)
					n, err := theirs.Read(buf)
					require.NoError(t, err)
					require.Equal(t, "hello", string(buf[:n]))
					require.NoError(t, ours.Close())
					_, err = theirs.Read(buf)
					require.ErrorIs(t, err, io.EOF)
					require.NoError(t, theirs.Close())
					_, err = ours.Read(buf)
					require.ErrorIs(t, err, io.EOF)
					time.Sleep(time.Second)
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestS3_TooManyChannels: an error here, a reset for the peer's; one that
// closes makes room.
func TestS3_TooManyChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.MaxChannels = 3
		a, b, network := connectedPair(t, SettingEngine{}, settings)
		ctx := limited(t, testTimeout)
		var kept []*DataChannel
		for range 3 {
			c, _ := channelPair(t, a, b, DataChannelParameters{})
			kept = append(kept, c)
		}
		_, err := b.api.NewDataChannel(b.sctp, &DataChannelParameters{})
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorContains(t, err, "the limit is 3")
		_, err = a.sctp.OpenDataChannel(ctx, &DataChannelParameters{})
		require.Equal(t, io.EOF, err)
		require.NoError(t, kept[0].Close())
		awaitChannel(t, kept[0], DataChannelStateClosed)
		channelPair(t, b, a, DataChannelParameters{})
		for _, c := range kept[1:] {
			require.Equal(t, DataChannelStateOpen, c.ReadyState())
			require.NoError(t, context.Cause(c.Context()))
		}
		stopped(t, network, a, b)
	})
}
