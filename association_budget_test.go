package webrtc

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC1_AssociationBudget: 64 channels whose senders wait stay together within
// MaxAssociationBuffered while the peer reads nothing; all wait then, and all
// that was taken arrives, in order, when it reads.
func TestC1_AssociationBudget(t *testing.T) {
	// Messages of one packet each: longer ones could fill the peer's window
	// with their beginnings.
	const channels, size, messages = 64, 1000, 30
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		limit := a.sctp.settings.DataChannel.MaxAssociationBuffered
		froms, tos := make([]*DataChannel, channels), make([]*DataChannel, channels)
		for i := range channels {
			froms[i], tos[i] = channelPair(t, a, b, DataChannelParameters{Ordered: true})
		}
		sent := make([]int, channels)
		senders := make([]<-chan error, channels)
		for i, c := range froms {
			senders[i] = result(func() error {
				for n := range messages {
					if err := c.SendContext(context.Background(), fmt.Appendf(nil, "%*d", size, n)); err != nil {
						return err
					}
					if queued := a.sctp.BufferedAmount(); queued > limit {
						return fmt.Errorf("%d bytes are queued", queued)
					}
					sent[i]++
				}

				return nil
			})
		}
		queued := func() (all, taken int) {
			synctest.Wait()
			for i, c := range froms {
				require.LessOrEqual(t, c.BufferedAmount(), uint64(c.settings.MaxBuffered))
				all += int(c.BufferedAmount())
				taken += sent[i]
			}

			return all, taken
		}
		time.Sleep(time.Minute)
		all, taken := queued()
		require.Equal(t, all, a.sctp.BufferedAmount())
		require.LessOrEqual(t, all, limit)
		require.Greater(t, all, limit/2, "what may be queued is not used")
		require.Less(t, taken, channels*messages, "nobody waits")
		time.Sleep(time.Minute)
		_, later := queued()
		require.Equal(t, taken, later)

		readers := make([]<-chan error, channels)
		for i, c := range tos {
			readers[i] = result(func() error {
				for n := range messages {
					m, err := c.ReceiveContext(limited(t, time.Hour))
					if err != nil {
						return fmt.Errorf("message %d: %w", n, err)
					}
					if string(m.Data) != fmt.Sprintf("%*d", size, n) {
						return fmt.Errorf("message %d is another one", n)
					}
				}

				return nil
			})
		}
		for i := range channels {
			require.NoError(t, <-senders[i])
			require.NoError(t, <-readers[i])
		}
		time.Sleep(time.Second)
		all, _ = queued()
		require.Zero(t, all)
		stopped(t, network, a, b)
	})
}

// TestC1_SendAtTheHardLimit fails on every channel with ErrBufferFull, and
// queues nothing; when there is room again it works, and what arrives is what
// was taken.
func TestC1_SendAtTheHardLimit(t *testing.T) {
	const channels = 3
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, smallBuffers(), smallBuffers())
		limit := a.sctp.settings.DataChannel.MaxAssociationBuffered
		froms, tos := make([]*DataChannel, channels), make([]*DataChannel, channels)
		for i := range channels {
			froms[i], tos[i] = channelPair(t, a, b, DataChannelParameters{Ordered: true})
		}
		var wanted [channels][]string
		for round := range 3 {
			refused := 0
			for n := 0; refused < channels; n++ {
				require.Less(t, n, 1000, "it never fails")
				i := n % channels
				text := fmt.Sprintf("%d of round %d: %8000d", n, round, n)
				before := a.sctp.BufferedAmount()
				err := froms[i].SendText(text)
				require.LessOrEqual(t, a.sctp.BufferedAmount(), limit)
				if err == nil {
					refused = 0
					wanted[i] = append(wanted[i], text)

					continue
				}
				refused++
				require.ErrorIs(t, err, ErrBufferFull)
				require.Equal(t, before, a.sctp.BufferedAmount())
				require.Equal(t, DataChannelStateOpen, froms[i].ReadyState())
			}
			require.Greater(t, a.sctp.BufferedAmount(), limit/2)
			var readers []<-chan error // all at once: the others' messages may fill the window
			for i, c := range tos {
				readers = append(readers, result(func() error {
					for _, text := range wanted[i] {
						m, err := c.ReceiveContext(limited(t, time.Hour))
						if err != nil || text != string(m.Data) {
							return fmt.Errorf("not %.20s but %.20s: %w", text, m.Data, err)
						}
					}
					wanted[i] = nil

					return nil
				}))
			}
			for _, done := range readers {
				require.NoError(t, <-done)
			}
			time.Sleep(time.Second)
			require.Zero(t, a.sctp.BufferedAmount())
		}
		for _, c := range tos {
			require.ErrorIs(t, <-receiving(limited(t, time.Second), c), context.DeadlineExceeded)
		}
		stopped(t, network, a, b)
	})
}

// TestC1_BlockedWrites: where writes block, SendContext ends with its context
// all the same. What was not queued does not arrive, senders without a limit go
// on when the peer reads, and the end of the transport ends them.
func TestC1_BlockedWrites(t *testing.T) {
	const size = 8000
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, blockingWrites(), smallBuffers())
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		beside, other := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		var wanted []string
		send := func(text string) error {
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*time.Second, errTest)
			defer cancel()
			begin := time.Now()
			err := from.SendTextContext(ctx, text)
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errTest)
				require.Equal(t, 3*time.Second, time.Since(begin))

				return err
			}
			wanted = append(wanted, text)

			return nil
		}
		fillUp := func(round int) {
			for n := 0; ; n++ {
				require.Less(t, n, 1000, "it never waits")
				if send(fmt.Sprintf("%d: %*d", round, size, n)) != nil {
					return
				}
			}
		}
		fillUp(0)
		require.Error(t, send("and another one"))
		cancelled, cancel := context.WithCancelCause(context.Background())
		gaveUp := result(func() error { return from.SendTextContext(cancelled, "given up") })
		patient := result(func() error { return beside.SendTextContext(context.Background(), "patient") })
		time.Sleep(time.Minute)
		cancel(errTest)
		err := <-gaveUp
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errTest)
		synctest.Wait()
		require.Empty(t, patient, "the end of another's context has ended it")
		for _, text := range wanted {
			m, err := to.ReceiveContext(limited(t, time.Hour))
			require.NoError(t, err)
			require.Equal(t, text, string(m.Data))
		}
		m, err := other.ReceiveContext(limited(t, time.Hour))
		require.NoError(t, err)
		require.Equal(t, "patient", string(m.Data))
		require.NoError(t, <-patient)
		require.ErrorIs(t, <-receiving(limited(t, time.Minute), to), context.DeadlineExceeded)
		require.Zero(t, a.sctp.BufferedAmount())

		fillUp(1)
		patient = result(func() error { return beside.SendTextContext(context.Background(), "stopped") })
		synctest.Wait()
		begin := time.Now()
		require.ErrorIs(t, a.sctp.Stop(), ErrClosed, "which tells what was lost")
		require.ErrorIs(t, <-patient, ErrClosed)
		require.Zero(t, time.Since(begin))
		stopped(t, network, a, b)
	})
}

func blockingWrites() SettingEngine {
	s := detaching()
	s.DataChannel.BlockWrite = true

	return s
}

// TestC1_BlockedWritesOfOneChannel: senders that wait on one channel each end
// with their own context. On sockets, since the module waits for a mutex there,
// which a bubble takes for work.
func TestC1_BlockedWritesOfOneChannel(t *testing.T) {
	testnet.Leaks(t)
	a := newStack(t, ICERoleControlling, onLoopback(blockingWrites()))
	b := newStack(t, ICERoleControlled, onLoopback(smallBuffers()))
	connect(t, a, b)
	from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	taken := make(chan int)
	go func() {
		n := 0
		for from.SendContext(ctx, make([]byte, 8000)) == nil {
			n++
		}
		taken <- n
	}()
	for begin := time.Now(); a.sctp.Stats().ReceiverWindow > 8000; {
		require.Less(t, time.Since(begin), testTimeout, "the window does not fill")
		runtime.Gosched()
	}
	var waiting []<-chan error
	var cancels []context.CancelCauseFunc
	for i := range 4 {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		cancels = append(cancels, cancel)
		waiting = append(waiting, result(func() error { return from.SendTextContext(ctx, fmt.Sprint("waiting ", i)) }))
	}
	for _, i := range []int{2, 0} {
		cancels[i](errTest)
		select {
		case err := <-waiting[i]:
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errTest)
		case <-time.After(testTimeout):
			require.Fail(t, "it does not return")
		}
	}
	cancel()
	for range <-taken {
		m, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Len(t, m.Data, 8000)
	}
	var got []string
	for range 2 {
		m, err := to.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		got = append(got, string(m.Data))
	}
	require.ElementsMatch(t, []string{"waiting 1", "waiting 3"}, got)
	for _, i := range []int{1, 3} {
		require.NoError(t, <-waiting[i])
	}
	gone(t, a, b)
}

// TestC1_AcknowledgedBeforeItWasCounted: a sender is held up behind its write
// until everything has been acknowledged. Who waits for that room gets it.
func TestC1_AcknowledgedBeforeItWasCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.MaxBuffered, settings.DataChannel.MaxAssociationBuffered = 64<<10, 64<<10
		a, b, network := connectedPair(t, settings, SettingEngine{})
		slow, other := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		waiting, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		other.OnMessage(func(DataChannelMessage) {})
		const size = 60_000
		time.Sleep(time.Second)
		require.True(t, slow.outbox.take(size, true))
		sent := result(func() error { return waiting.SendContext(limited(t, time.Minute), make([]byte, size)) })
		synctest.Wait()
		require.True(t, slow.outbox.enter())
		_, err := slow.raw.WriteSCTP(make([]byte, size), sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.Zero(t, a.sctp.BufferedAmount())
		slow.outbox.wrote(size)
		slow.outbox.leave()
		require.NoError(t, <-sent)
		stopped(t, network, a, b)
	})
}
