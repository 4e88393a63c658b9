package webrtc

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// waits is everything that can wait on a connected side, and all handlers of
// the end.
type waits struct {
	calls  map[string]<-chan error
	closes atomic.Int32 // OnClose of channels
	errors atomic.Int32 // OnError of channels
	told   chan error   // OnClose of the SCTP transport
	chans  []*DataChannel
}

// waitOn starts them. full is a channel whose SendContext waits already.
func waitOn(s *stack, channels []*DataChannel, full <-chan error) *waits {
	p := &waits{chans: channels, told: make(chan error, 2), calls: map[string]<-chan error{
		"accept": accepting(context.Background(), s),
	}}
	if full != nil {
		p.calls["send"] = full
	}
	for i, c := range channels {
		p.calls["receive "+string(rune('0'+i))] = receiving(context.Background(), c)
		c.OnClose(func() { p.closes.Add(1) })
		c.OnError(func(error) { p.errors.Add(1) })
	}
	s.sctp.OnClose(func(err error) { p.told <- err })
	synctest.Wait()

	return p
}

// none requires that nothing has ended.
func (p *waits) none(t *testing.T) {
	t.Helper()
	for name, call := range p.calls {
		require.Empty(t, call, name)
	}
	require.Zero(t, p.closes.Load())
}

// all requires that everything has ended with what check accepts, by now.
func (p *waits) all(t *testing.T, check func(t *testing.T, err error)) {
	t.Helper()
	synctest.Wait()
	for name, call := range p.calls {
		require.NotEmpty(t, call, "%s waits on", name)
		check(t, <-call)
	}
	for _, c := range p.chans {
		require.Equal(t, DataChannelStateClosed, c.ReadyState())
		check(t, context.Cause(c.Context()))
		check(t, c.Send(nil))
		check(t, c.SendContext(context.Background(), nil))
		_, err := c.ReceiveContext(context.Background())
		check(t, err)
	}
	require.EqualValues(t, len(p.chans), p.closes.Load())
	require.Len(t, p.told, 1)
}

// flaky are timeouts of ICE that a test can wait for.
func flaky() SettingEngine {
	s := smallBuffers()
	s.SetICETimeouts(time.Second, 2*time.Second, 200*time.Millisecond)

	return s
}

// fillWithout sends more than the budget over a path that is cut.
func fillWithout(t *testing.T, c *DataChannel) <-chan error {
	t.Helper()
	for range 1000 {
		blocked := result(func() error { return c.SendContext(context.Background(), make([]byte, 8000)) })
		synctest.Wait()
		if len(blocked) == 0 {
			return blocked
		}
		require.NoError(t, <-blocked)
	}
	t.Fatal("nothing waits")

	return nil
}

// TestE5_ICEFailedForGood: with every kind of grace. When it is over each
// layer above ends with ErrICEFailed in the same instant, and all that waits
// with it; while it lasts nothing ends.
func TestE5_ICEFailedForGood(t *testing.T) {
	failed := func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, ErrICEFailed) }
	for name, grace := range map[string]time.Duration{
		"no grace": 0, "some grace": 5 * time.Second, "for ever": -1,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				forA := flaky()
				forA.ICE.FailedGrace = grace
				a, b, network := connectedPair(t, forA, flaky())
				own, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				_, other := channelPair(t, b, a, DataChannelParameters{})
				negotiated, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Negotiated: true, ID: ptrTo[uint16](100)})
				require.NoError(t, err)
				network.Cut(true)
				p := waitOn(a, []*DataChannel{own, other, negotiated}, fillWithout(t, own))
				cut := time.Now()
				state, err := a.ice.AwaitState(limited(t, time.Minute), ICETransportStateFailed)
				require.NoError(t, err)
				require.Equal(t, ICETransportStateFailed, state)
				require.GreaterOrEqual(t, time.Since(cut), 2*time.Second)
				require.Less(t, time.Since(cut), 5*time.Second)
				if grace != 0 {
					synctest.Wait()
					p.none(t)
					require.Equal(t, DTLSTransportStateConnected, a.dtls.State())
					require.Equal(t, SCTPTransportStateConnected, a.sctp.State())
					// What has a context can leave.
					err = <-accepting(limited(t, time.Second), a)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				switch {
				case grace > 0:
					time.Sleep(grace - time.Second - time.Millisecond)
					synctest.Wait()
					p.none(t)
					time.Sleep(time.Millisecond)
				case grace < 0:
					time.Sleep(24 * time.Hour)
					synctest.Wait()
					p.none(t)
					require.Equal(t, ICETransportStateFailed, a.ice.State())
					require.NoError(t, a.ice.Stop())
					p.all(t, func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, ErrClosed) })
					stopped(t, network, a, b)

					return
				}
				p.all(t, failed)
				require.EqualValues(t, len(p.chans), p.errors.Load())
				failed(t, <-p.told)
				require.Equal(t, ICETransportStateFailed, a.ice.State())
				require.Equal(t, DTLSTransportStateClosed, a.dtls.State())
				require.Equal(t, SCTPTransportStateClosed, a.sctp.State())
				for _, ctx := range []context.Context{a.ice.Context(), a.dtls.Context(), a.sctp.Context()} {
					require.Error(t, ctx.Err())
					failed(t, context.Cause(ctx))
				}
				_, err = a.sctp.OpenDataChannel(context.Background(), &DataChannelParameters{})
				failed(t, err)
				require.ErrorIs(t, err, ErrInvalidState)
				require.Zero(t, network.OpenSockets(0))
				failed(t, a.ice.Run(context.Background()))
				stopped(t, network, a, b)
			})
		})
	}
}

// TestE5_PeerCloses each way: what ends, what stays, and with which cause.
func TestE5_PeerCloses(t *testing.T) {
	isEOF := func(t *testing.T, err error) { t.Helper(); require.Equal(t, io.EOF, err) }
	isAbort := func(t *testing.T, err error) {
		t.Helper()
		var abort *SCTPAbortError
		require.ErrorAs(t, err, &abort)
		require.True(t, abort.Remote)
	}
	ctx := context.Background()
	for name, row := range map[string]struct {
		end    func(b *stack) error
		check  func(t *testing.T, err error)
		dtls   DTLSTransportState
		ice    bool // it ends too, in the end
		abrupt bool
	}{
		"SCTP Shutdown": {func(b *stack) error { return b.sctp.Shutdown(ctx) }, isEOF, DTLSTransportStateConnected, false, false},
		"SCTP Stop":     {func(b *stack) error { return b.sctp.Stop() }, isAbort, DTLSTransportStateConnected, false, true},
		"DTLS Shutdown": {func(b *stack) error { return b.dtls.Shutdown(ctx) }, isEOF, DTLSTransportStateClosed, false, false},
		"DTLS Stop":     {func(b *stack) error { return b.dtls.Stop() }, isAbort, DTLSTransportStateClosed, false, true},
		"ICE Shutdown":  {func(b *stack) error { return b.ice.Shutdown(ctx) }, isEOF, DTLSTransportStateClosed, true, false},
		"ICE Stop":      {func(b *stack) error { return b.ice.Stop() }, isAbort, DTLSTransportStateClosed, true, true},
		"gatherer Close": {
			func(b *stack) error { return b.gatherer.Close() }, isAbort, DTLSTransportStateClosed, true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, flaky(), flaky())
				own, _ := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				_, other := channelPair(t, b, a, DataChannelParameters{})
				var full <-chan error
				if row.abrupt { // a graceful end would wait for b to read what is queued
					full = fill(t, own)
				}
				p := waitOn(a, []*DataChannel{own, other}, full)
				time.Sleep(time.Second)
				begin := time.Now()
				require.NoError(t, row.end(b))
				<-a.sctp.Context().Done()
				require.Less(t, time.Since(begin), 10*pathDelay)
				time.Sleep(2 * pathDelay) // DTLS is told after SCTP
				p.all(t, row.check)
				row.check(t, context.Cause(a.sctp.Context()))
				require.Equal(t, SCTPTransportStateClosed, a.sctp.State())
				require.Equal(t, row.dtls, a.dtls.State())
				require.Equal(t, ICETransportStateConnected, a.ice.State())
				if row.dtls == DTLSTransportStateClosed {
					require.Equal(t, io.EOF, context.Cause(a.dtls.Context()))
					require.Equal(t, io.EOF, a.dtls.Run(ctx))
				}
				row.check(t, a.sctp.Run(ctx))
				if row.ice {
					<-a.ice.Context().Done()
					require.ErrorIs(t, context.Cause(a.ice.Context()), ErrICEFailed)
				} else {
					time.Sleep(time.Minute)
					require.Equal(t, ICETransportStateConnected, a.ice.State())
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestE6_DisconnectedThatRecovers hurts nothing above: no state moves there,
// nothing ends, and what was sent meanwhile arrives.
func TestE6_DisconnectedThatRecovers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, flaky(), flaky())
		own, other := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		p := waitOn(a, []*DataChannel{own}, nil)
		a.dtls.OnStateChange(func(s DTLSTransportState) { t.Errorf("DTLS is %v", s) })
		for range 20 {
			network.Cut(true)
			require.NoError(t, own.SendText("sent while cut"))
			_, err := a.ice.AwaitState(limited(t, time.Minute), ICETransportStateDisconnected)
			require.NoError(t, err)
			require.NoError(t, own.SendText("sent while disconnected"))
			network.Cut(false)
			_, err = a.ice.AwaitState(limited(t, time.Minute), ICETransportStateConnected)
			require.NoError(t, err)
			for _, want := range []string{"sent while cut", "sent while disconnected"} {
				m, err := other.ReceiveContext(limited(t, time.Minute))
				require.NoError(t, err)
				require.Equal(t, want, string(m.Data))
			}
			p.none(t)
			require.Equal(t, SCTPTransportStateConnected, a.sctp.State())
			require.Equal(t, DataChannelStateOpen, own.ReadyState())
		}
		a.dtls.OnStateChange(nil)
		stopped(t, network, a, b)
	})
}

// TestL12_CauseThatLooksGraceful: a context whose cause is io.EOF or ErrClosed
// is neither the peer's close nor our own.
func TestL12_CauseThatLooksGraceful(t *testing.T) {
	for _, cause := range []error{io.EOF, ErrClosed} {
		t.Run(cause.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				own, _ := channelPair(t, a, b, DataChannelParameters{})
				ctx, cancel := context.WithCancelCause(context.Background())
				running := result(func() error { return a.sctp.Run(ctx) })
				p := waitOn(a, []*DataChannel{own}, nil)
				cancel(cause)
				ended := func(t *testing.T, err error) {
					t.Helper()
					require.ErrorIs(t, err, context.Canceled)
					require.ErrorIs(t, err, cause)
				}
				p.all(t, ended)
				require.NotEmpty(t, running, "Run waits for the peer's end of the streams")
				ended(t, <-running)
				ended(t, <-p.told)
				stopped(t, network, a, b)
			})
		})
	}
}
