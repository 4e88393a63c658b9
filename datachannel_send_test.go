package webrtc

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// senders are the four ways of sending.
var senders = map[string]func(ctx context.Context, c *DataChannel, data []byte) error{
	"Send":        func(_ context.Context, c *DataChannel, data []byte) error { return c.Send(data) },
	"SendText":    func(_ context.Context, c *DataChannel, data []byte) error { return c.SendText(string(data)) },
	"SendContext": func(ctx context.Context, c *DataChannel, data []byte) error { return c.SendContext(ctx, data) },
	"SendTextContext": func(ctx context.Context, c *DataChannel, data []byte) error {
		return c.SendTextContext(ctx, string(data))
	},
}

// smallBuffers makes limits that a test can reach.
func smallBuffers() SettingEngine {
	s := SettingEngine{}
	s.SCTP.MaxReceiveBufferSize = 64 << 10
	s.DataChannel.MaxBuffered = 64 << 10
	s.DataChannel.MaxAssociationBuffered = 256 << 10

	return s
}

// TestC1_SendErrors: what is refused says why, and is not queued.
func TestC1_SendErrors(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPairWith(t, smallBuffers(), smallBuffers(), testnet.Delay(pathDelay))
				ctx := limited(t, testTimeout)
				early, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Label: "early", Ordered: true})
				require.NoError(t, err)
				err = send(ctx, early, []byte("x"))
				require.ErrorIs(t, err, ErrDataChannelNotOpen)
				require.ErrorIs(t, err, ErrInvalidState)
				require.ErrorIs(t, err, io.ErrClosedPipe)

				connect(t, a, b)
				to, err := b.sctp.AcceptDataChannel(ctx)
				require.NoError(t, err)
				limit := int(early.Transport().GetCapabilities().MaxMessageSize)
				require.Equal(t, 32<<10, limit)
				err = send(ctx, early, make([]byte, limit+1))
				require.ErrorIs(t, err, ErrMessageTooLarge)
				require.NoError(t, send(ctx, early, make([]byte, limit)))
				m, err := to.ReceiveContext(ctx)
				require.NoError(t, err)
				require.Len(t, m.Data, limit)

				require.NoError(t, early.Close())
				require.ErrorIs(t, send(ctx, early, nil), ErrClosed)
				awaitChannel(t, to, DataChannelStateClosed)
				require.ErrorIs(t, send(ctx, to, nil), io.EOF)
				_, err = to.ReceiveContext(ctx)
				require.Equal(t, io.EOF, err, "something refused was delivered")

				ended, cancel := context.WithCancelCause(ctx)
				cancel(errTest)
				from, _ := channelPair(t, a, b, DataChannelParameters{})
				err = send(ended, from, nil)
				if name == "Send" || name == "SendText" {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, context.Canceled)
					require.ErrorIs(t, err, errTest)
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC1_BackPressure: SendContext waits for a peer that does not read, within
// its budget, leaves with its context, and goes on when the peer reads. Send
// fails at the hard limit. All that was taken arrives.
func TestC1_BackPressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		budget, hard := from.settings.MaxBuffered, from.settings.MaxAssociationBuffered
		taken := 0
		message := func() []byte { return fmt.Appendf(make([]byte, 0, 8000), "%8000d", taken) }
		for {
			ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Second, errTest)
			begin := time.Now()
			err := from.SendContext(ctx, message())
			cancel()
			require.LessOrEqual(t, from.BufferedAmount(), uint64(budget))
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errTest)
				require.Equal(t, 10*time.Second, time.Since(begin))

				break
			}
			taken++
			require.Less(t, taken, 1000, "it never waits")
		}
		for {
			err := from.Send(message())
			require.LessOrEqual(t, from.BufferedAmount(), uint64(hard))
			if err != nil {
				require.ErrorIs(t, err, ErrBufferFull)

				break
			}
			taken++
			require.Less(t, taken, 1000, "it never fails")
		}
		require.Greater(t, from.BufferedAmount(), uint64(budget))
		// Two that wait, and a third that gives up meanwhile.
		ctx, cancel := context.WithCancel(context.Background())
		gaveUp := result(func() error { return from.SendContext(ctx, []byte("given up")) })
		var waiting []<-chan error
		for range 2 {
			waiting = append(waiting, result(func() error { return from.SendContext(context.Background(), []byte("waited")) }))
		}
		time.Sleep(time.Minute)
		cancel()
		require.ErrorIs(t, <-gaveUp, context.Canceled)
		for i := range taken + 2 {
			m, err := to.ReceiveContext(limited(t, time.Minute))
			require.NoError(t, err)
			if i < taken {
				require.Equal(t, fmt.Sprintf("%8000d", i), string(m.Data))
			} else {
				require.Equal(t, "waited", string(m.Data))
			}
		}
		for _, w := range waiting {
			require.NoError(t, <-w)
		}
		err := <-receiving(limited(t, time.Minute), to)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, from.BufferedAmount())
		stopped(t, network, a, b)
	})
}

// TestC1_WaitingSendEndsWithTheChannel: whatever ends it.
func TestC1_WaitingSendEndsWithTheChannel(t *testing.T) {
	var abort *SCTPAbortError
	for name, row := range map[string]struct {
		end  func(from, to *DataChannel) error
		want func(t *testing.T, err error)
	}{
		"own close": {
			func(from, _ *DataChannel) error { return from.Close() },
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, ErrClosed) },
		},
		"own stop": {
			func(from, _ *DataChannel) error { return lostData(t, from.Transport().Stop()) },
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, ErrClosed) },
		},
		"peer's close": {
			func(_, to *DataChannel) error { return to.Close() },
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, io.EOF) },
		},
		"peer's stop": {
			func(_, to *DataChannel) error { return to.Transport().Stop() },
			func(t *testing.T, err error) { t.Helper(); require.ErrorAs(t, err, &abort) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				blocked := fill(t, from)
				begin := time.Now()
				require.NoError(t, row.end(from, to))
				row.want(t, <-blocked)
				require.Less(t, time.Since(begin), 10*pathDelay)
				stopped(t, network, a, b)
			})
		})
	}
}

// lostData checks that a Stop with a full queue tells what it has lost.
func lostData(t *testing.T, err error) error {
	t.Helper()
	var lost *DataLostError
	require.ErrorAs(t, err, &lost)
	require.ErrorIs(t, err, ErrClosed)
	require.Positive(t, lost.Bytes)

	return nil
}

// fill sends until a SendContext waits, and returns its result to come.
func fill(t *testing.T, c *DataChannel) <-chan error {
	t.Helper()
	for range 1000 {
		blocked := result(func() error { return c.SendContext(context.Background(), make([]byte, 8000)) })
		select {
		case err := <-blocked:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			return blocked
		}
	}
	t.Fatal("nothing waits")

	return nil
}

// TestC1_ShutdownFlushesOrSaysWhatWasLost: with a peer that reads everything
// arrives; with one that does not, Shutdown ends with its context and names
// the bytes.
func TestC1_ShutdownFlushesOrSaysWhatWasLost(t *testing.T) {
	for name, shutdown := range map[string]func(ctx context.Context, c *DataChannel) error{
		"channel": func(ctx context.Context, c *DataChannel) error { return c.Shutdown(ctx) },
		"SCTP":    func(ctx context.Context, c *DataChannel) error { return c.Transport().Shutdown(ctx) },
		"DTLS":    func(ctx context.Context, c *DataChannel) error { return c.Transport().Transport().Shutdown(ctx) },
		"ICE": func(ctx context.Context, c *DataChannel) error {
			return c.Transport().Transport().ICETransport().Shutdown(ctx)
		},
	} {
		t.Run(name+" flushes", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				const messages = 100
				for range messages {
					require.NoError(t, from.Send(make([]byte, 8000)))
				}
				require.NoError(t, shutdown(limited(t, testTimeout), from))
				require.Equal(t, DataChannelStateClosed, from.ReadyState())
				require.ErrorIs(t, context.Cause(from.Context()), ErrClosed)
				for range messages {
					_, err := to.ReceiveContext(limited(t, testTimeout))
					require.NoError(t, err)
				}
				require.Equal(t, io.EOF, <-receiving(limited(t, testTimeout), to))
				stopped(t, network, a, b)
			})
		})
		t.Run(name+" says what was lost", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				blocked := fill(t, from)
				queued := from.BufferedAmount()
				require.NotZero(t, queued)
				ctx, cancel := context.WithTimeoutCause(context.Background(), 3*time.Second, errTest)
				defer cancel()
				begin := time.Now()
				err := shutdown(ctx, from)
				require.Equal(t, 3*time.Second, time.Since(begin))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errTest)
				require.ErrorContains(t, err, fmt.Sprintf("%d bytes were not acknowledged", queued))
				require.ErrorIs(t, <-blocked, ErrClosed)
				require.Equal(t, DataChannelStateClosed, from.ReadyState())
				synctest.Wait()
				_ = to
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC9_BufferedAmountLow: it is called when the amount falls to the
// threshold from above, once for each time, may block, and blocks nothing.
func TestC9_BufferedAmountLow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		ctx := limited(t, time.Minute)
		time.Sleep(time.Second) // what opened the channel is acknowledged
		require.Zero(t, from.BufferedAmount())
		require.Zero(t, from.BufferedAmountLowThreshold())
		from.SetBufferedAmountLowThreshold(20000)
		require.EqualValues(t, 20000, from.BufferedAmountLowThreshold())
		calls, proceed := make(chan uint64, 10), make(chan struct{})
		unblock := sync.OnceFunc(func() { close(proceed) })
		defer unblock()
		from.OnBufferedAmountLow(func() {
			calls <- from.BufferedAmount()
			<-proceed
		})
		to.OnMessage(func(DataChannelMessage) {})
		require.NoError(t, from.Send(make([]byte, 20000))) // not above it
		time.Sleep(time.Second)
		require.Empty(t, calls)
		for range 2 {
			require.NoError(t, from.Send(make([]byte, 60000)))
			require.EqualValues(t, 60000, from.BufferedAmount())
			time.Sleep(time.Second)
			require.Zero(t, from.BufferedAmount())
		}
		require.LessOrEqual(t, <-calls, uint64(20000))
		require.Empty(t, calls, "the calls overlap")
		require.NoError(t, from.SendContext(ctx, make([]byte, 10)))
		unblock()
		time.Sleep(time.Second)
		<-calls
		synctest.Wait()
		require.Empty(t, calls)
		from.OnBufferedAmountLow(nil)
		require.NoError(t, from.Send(make([]byte, 60000)))
		time.Sleep(time.Second)
		stopped(t, network, a, b)
	})
}

// A program's threshold above the budget does not raise the budget.
func TestC1_BudgetBelowTheThreshold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(10*time.Millisecond))
		connect(t, a, b)
		from, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		from.SetBufferedAmountLowThreshold(8 << 20)
		network.Cut(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		for err == nil {
			err = from.SendContext(ctx, make([]byte, 64<<10))
			require.LessOrEqual(t, from.BufferedAmount(), uint64(defaultMaxBuffered))
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, a.ice.Stop())
	})
}
