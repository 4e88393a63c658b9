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

// backlog is more than a path takes at once: what fills some round trips.
const backlog = 6_000_000

// queued sends a backlog on a channel, which its peer receives: the number of
// bytes comes on the channel that is returned, when reading has ended.
func queued(t *testing.T, from, to *DataChannel) <-chan int {
	t.Helper()
	for range backlog / 60_000 {
		require.NoError(t, from.Send(make([]byte, 60_000)))
	}
	received := make(chan int, 1)
	go func() {
		n := 0
		for {
			m, err := to.ReceiveContext(context.Background())
			if err != nil {
				received <- n

				return
			}
			n += len(m.Data)
		}
	}()

	return received
}

// A second Shutdown, by whichever transport, waits for the first one and does
// not abort what that sends.
func TestL9_ShutdownWhileShuttingDown(t *testing.T) {
	for name, again := range map[string]func(ctx context.Context, a *stack) error{
		"SCTP": func(ctx context.Context, a *stack) error { return a.sctp.Shutdown(ctx) },
		"DTLS": func(ctx context.Context, a *stack) error { return a.dtls.Shutdown(ctx) },
		"ICE":  func(ctx context.Context, a *stack) error { return a.ice.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				received := queued(t, from, to)
				ctx := limited(t, testTimeout)
				first := result(func() error { return a.sctp.Shutdown(ctx) })
				synctest.Wait()
				require.NoError(t, again(ctx, a))
				require.NoError(t, <-first)
				require.Equal(t, backlog, <-received)
				<-b.sctp.Context().Done()
				require.Equal(t, io.EOF, context.Cause(b.sctp.Context()))
			})
		})
	}
}

// Both sides shut down, the second one at any time of the first one's, while
// it has something to send.
func TestL9_ShutdownOfBothSides(t *testing.T) {
	for _, ms := range []int{0, 5, 15, 45, 100, 300} {
		t.Run(fmt.Sprint(ms, " ms later"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, b, a, DataChannelParameters{Ordered: true})
				received := queued(t, from, to)
				ctx := limited(t, testTimeout)
				first := result(func() error { return a.sctp.Shutdown(ctx) })
				time.Sleep(time.Duration(ms) * time.Millisecond)
				require.NoError(t, b.sctp.Shutdown(ctx))
				require.NoError(t, <-first)
				require.Equal(t, backlog, <-received)
			})
		})
	}
}

// Both sides shut down while one opens a channel: what comes on a stream that
// is refused has to be acknowledged, or each side waits for the other.
func TestL9_ShutdownOfBothSidesWithANewChannel(t *testing.T) {
	for _, first := range []bool{true, false} {
		for ms := range 12 {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				_, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Ordered: true})
				require.NoError(t, err)
				one, other := a, b
				if !first {
					one, other = b, a
				}
				ctx := limited(t, testTimeout)
				done := result(func() error { return one.sctp.Shutdown(ctx) })
				time.Sleep(time.Duration(ms) * time.Millisecond)
				require.NoError(t, other.sctp.Shutdown(ctx), "%d ms later", ms)
				require.NoError(t, <-done)
				stopped(t, network, a, b)
			})
		}
	}
}

// A Shutdown that something ends before all is sent says that, and what was
// lost: of the association as of a channel.
func TestL9_ShutdownThatIsCutShort(t *testing.T) {
	shutdowns := map[string]func(ctx context.Context, s *stack, c *DataChannel) error{
		"SCTP":    func(ctx context.Context, s *stack, _ *DataChannel) error { return s.sctp.Shutdown(ctx) },
		"channel": func(ctx context.Context, _ *stack, c *DataChannel) error { return c.Shutdown(ctx) },
	}
	for name, end := range map[string]func(a, b *stack) error{
		"own Stop of SCTP":       func(a, _ *stack) error { return lostData(t, a.sctp.Stop()) },
		"own Stop of ICE":        func(a, _ *stack) error { return a.ice.Stop() },
		"the peer's Stop":        func(_, b *stack) error { return b.sctp.Stop() },
		"the peer's end of DTLS": func(_, b *stack) error { return b.dtls.Stop() },
	} {
		for what, shutdown := range shutdowns {
			t.Run(name+", "+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					received := queued(t, from, to)
					down := result(func() error { return shutdown(limited(t, testTimeout), a, from) })
					time.Sleep(3 * pathDelay)
					require.NoError(t, end(a, b))
					require.ErrorContains(t, <-down, "bytes were not acknowledged")
					<-received
				})
			})
		}
	}
}

// A start whose context has ended before leaves DTLS as it was: it notices the
// peer's close.
func TestL1_ADeadSCTPStartLeavesDTLSReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := virtualPair(t)
		signal(t, a, b)
		ctx := limited(t, testTimeout)
		require.NoError(t, both(a, b, func(s, peer *stack) error {
			if err := s.startICE(ctx, peer); err != nil {
				return err
			}

			return s.startDTLS(ctx, peer)
		}))
		require.ErrorIs(t, a.startSCTP(deadContext, b), context.Canceled)
		require.Equal(t, DTLSTransportStateConnected, a.dtls.State())
		require.NoError(t, b.dtls.Stop())
		_, err := a.dtls.AwaitState(ctx, DTLSTransportStateClosed)
		require.NoError(t, err)
		require.Equal(t, io.EOF, context.Cause(a.dtls.Context()))
	})
}

// Of two ends in the same instant, the handlers are told of the one that
// counts, not of the one that changed the state.
func TestE5_OnCloseIsToldTheCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, _ := virtualPair(t)
		told := make(chan error, 1)
		a.sctp.OnClose(func(err error) { told <- err })
		a.sctp.life.mu.Lock() // the first half of a Stop
		a.sctp.life.moveLocked(SCTPTransportStateClosed)
		a.sctp.postClosedLocked()
		a.sctp.life.mu.Unlock()
		a.sctp.end(errSwept)
		require.Equal(t, errSwept, <-told)
		require.Equal(t, errSwept, context.Cause(a.sctp.Context()))
	})
}

// A Shutdown that has to leave a goroutine behind says why with the context's
// cause too.
func TestL1_ShutdownThatWaitsForAGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		release := make(chan struct{})
		defer close(release)
		block := func() { <-release }
		from.life.group.Go(block)
		a.sctp.life.group.Go(block)
		for _, shutdown := range []func(context.Context) error{from.Shutdown, a.sctp.Shutdown} {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errSwept)
			err := shutdown(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errSwept)
		}
	})
}

// After our own Stop nobody is given a channel that waited.
func TestE5_AcceptAfterStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := connectedPair(t, SettingEngine{}, SettingEngine{})
		_, err := a.sctp.OpenDataChannel(limited(t, testTimeout), &DataChannelParameters{})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, b.sctp.Stop())
		_, err = b.sctp.AcceptDataChannel(t.Context())
		require.ErrorIs(t, err, ErrClosed)
	})
}
