package webrtc

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestE2_BlockedHandlerBlocksNothing lets one handler after the other never
// return. The connection comes up, carries messages both ways, another channel
// and another stack work, events of the other queues come, every call returns,
// and it can be stopped.
func TestE2_BlockedHandlerBlocksNothing(t *testing.T) {
	for name, set := range handlers {
		if name == "DTLSSettings.VerifyPeerCertificate" {
			continue // the handshake has to wait for its answer
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { blockOne(t, name, set) })
		})
	}
}

func blockOne(t *testing.T, name string, set func(*scene, func())) {
	t.Helper()
	s := newScene(t)
	block, entered, unblock := blocking(t)
	set(s, block)
	ctx := limited(t, testTimeout)
	connect(t, s.a, s.b)
	var err error
	for _, label := range []string{"b's", "b's, while the handler of the first blocks"} {
		_, err = s.b.sctp.OpenDataChannel(ctx, &DataChannelParameters{Label: label})
		require.NoError(t, err)
	}
	s.other, err = s.b.sctp.AcceptDataChannel(ctx)
	require.NoError(t, err)

	// The blocked channel still sends, and receives as far as OnMessage lets it.
	for range 10 {
		require.NoError(t, s.own.SendContext(ctx, make([]byte, 4000)))
		require.NoError(t, s.other.SendContext(ctx, []byte("to own")))
		_, err = s.other.ReceiveContext(ctx)
		require.NoError(t, err)
		if name != "DataChannel.OnMessage" {
			_, err = s.own.ReceiveContext(ctx)
			require.NoError(t, err)
		}
	}

	// Another channel gets all of its callbacks.
	second, peer := channelPair(t, s.a, s.b, DataChannelParameters{Label: "second", Ordered: true})
	var calls atomic.Int32
	second.OnDial(func() { calls.Add(1) })
	second.OnOpen(func() { calls.Add(1) })
	second.OnBufferedAmountLow(func() { calls.Add(1) })
	second.OnMessage(func(DataChannelMessage) { calls.Add(1) })
	second.OnClose(func() { calls.Add(1) })
	require.NoError(t, peer.Send(nil))
	require.NoError(t, second.Send(make([]byte, 100)))
	time.Sleep(time.Second)
	require.NoError(t, peer.Close())
	awaitChannel(t, second, DataChannelStateClosed)
	synctest.Wait()
	require.EqualValues(t, 5, calls.Load())

	// Of the blocked channel, what is not delivered by the blocked goroutine.
	var own atomic.Int32
	if strings.HasPrefix(name, "DataChannel.") && name != "DataChannel.OnMessage" && name != "DataChannel.OnOpen" {
		s.own.OnOpen(func() { own.Add(1) })
		synctest.Wait()
		require.EqualValues(t, 1, own.Load())
	}

	// Another stack.
	c, d, network := connectedPair(t, SettingEngine{}, SettingEngine{})
	_, _ = channelPair(t, c, d, DataChannelParameters{})
	stopped(t, network, c, d)

	// The events of the end: those that are not behind the blocked handler.
	var closed atomic.Bool
	if strings.HasPrefix(name, "DataChannel.") {
		s.a.dtls.OnStateChange(func(state DTLSTransportState) {
			if state == DTLSTransportStateClosed {
				closed.Store(true)
			}
		})
	}
	s.finish()
	<-s.own.Context().Done()
	synctest.Wait()
	select {
	case <-entered:
	default:
		t.Fatal("the handler was not called")
	}
	begin := time.Now()
	require.NoError(t, s.a.ice.Shutdown(ctx))
	require.NoError(t, s.a.ice.Stop())
	require.NoError(t, s.a.gatherer.Close())
	require.Zero(t, time.Since(begin))
	synctest.Wait()
	require.Equal(t, strings.HasPrefix(name, "DataChannel."), closed.Load())
	require.Zero(t, s.network.OpenSockets(0), "a socket waits for the handler")

	// Run alone waits for it.
	running := result(func() error { return s.a.ice.Run(context.Background()) })
	time.Sleep(time.Hour)
	require.Empty(t, running, "Run returned before the handler")
	unblock()
	require.NoError(t, <-running)
	stopped(t, s.network, s.a, s.b)
}

// TestE2_BlockedStateHandlerDelaysItsStackAlone: messages flow while the state
// events of the stack wait, and those come in order afterwards.
func TestE2_BlockedStateHandlerDelaysItsStackAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t)
		block, entered, unblock := blocking(t)
		var dtls []DTLSTransportState
		a.ice.OnConnectionStateChange(func(ICETransportState) { block() })
		a.dtls.OnStateChange(func(state DTLSTransportState) { dtls = append(dtls, state) })
		connect(t, a, b)
		<-entered
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		got := make(chan string, 1)
		from.OnMessage(func(m DataChannelMessage) { got <- string(m.Data) })
		require.NoError(t, to.SendText("through"))
		require.Equal(t, "through", <-got)
		synctest.Wait()
		require.Empty(t, dtls)
		require.NoError(t, a.ice.Stop())
		unblock()
		synctest.Wait()
		require.Equal(t, []DTLSTransportState{
			DTLSTransportStateConnecting, DTLSTransportStateConnected, DTLSTransportStateClosed,
		}, dtls)
		stopped(t, network, a, b)
	})
}

// TestE7_HandlersNilReplacedAndLate: each handler is set, replaced and taken
// away; only the one that is set when the event is delivered is called.
func TestE7_HandlersNilReplacedAndLate(t *testing.T) {
	for name, set := range handlers {
		if strings.HasPrefix(name, "DTLSSettings.") {
			continue // a setting, which is fixed
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newScene(t)
				set(s, func() { t.Error("a handler was called that had been replaced") })
				var calls atomic.Int32
				set(s, func() { calls.Add(1) })
				s.play(limited(t, testTimeout))
				s.finish()
				<-s.own.Context().Done()
				_ = s.a.ice.Stop()
				synctest.Wait()
				require.NotZero(t, calls.Load())
				n := calls.Load()
				set(s, func() { t.Error("something was told again") })
				synctest.Wait()
				require.Equal(t, n, calls.Load())
				stopped(t, s.network, s.a, s.b)
			})
			bubble(t, func(t *testing.T) {
				s := newScene(t)
				set(s, func() { t.Error("a handler was called that had been taken away") })
				s.unset()
				s.play(limited(t, testTimeout))
				s.finish()
				synctest.Wait()
				stopped(t, s.network, s.a, s.b)
			})
		})
	}
}

// unset takes every handler away.
func (s *scene) unset() {
	s.a.gatherer.OnLocalCandidate(nil)
	s.a.gatherer.OnLocalCandidateError(nil)
	s.a.gatherer.OnStateChange(nil)
	s.a.ice.OnConnectionStateChange(nil)
	s.a.ice.OnSelectedCandidatePairChange(nil)
	s.a.dtls.OnStateChange(nil)
	s.a.sctp.OnDataChannel(nil)
	s.a.sctp.OnDataChannelOpened(nil)
	s.a.sctp.OnError(nil)
	s.a.sctp.OnClose(nil)
	s.own.OnOpen(nil)
	s.own.OnDial(nil)
	s.own.OnMessage(nil)
	s.own.OnError(nil)
	s.own.OnClose(nil)
	s.own.OnBufferedAmountLow(nil)
}

// TestE7_LateHandlersOfAChannel: what happens once is told to a handler that
// is set afterwards, once; states are not replayed.
func TestE7_LateHandlersOfAChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		var dials, opens, closes, states atomic.Int32
		for range 3 {
			from.OnDial(func() { dials.Add(1) })
			from.OnOpen(func() { opens.Add(1) })
			a.dtls.OnStateChange(func(DTLSTransportState) { states.Add(1) })
			a.ice.OnConnectionStateChange(func(ICETransportState) { states.Add(1) })
			synctest.Wait()
		}
		require.Equal(t, []int32{1, 1, 0}, []int32{dials.Load(), opens.Load(), states.Load()})
		require.NoError(t, to.Close())
		awaitChannel(t, from, DataChannelStateClosed)
		for range 3 {
			from.OnClose(func() { closes.Add(1) })
			from.OnOpen(func() { opens.Add(1) })
			synctest.Wait()
		}
		require.Equal(t, []int32{1, 1}, []int32{opens.Load(), closes.Load()})
		stopped(t, network, a, b)
	})
}

// TestC3_OnOpenInsideOnDataChannel is called once, and the handler of messages
// set there gets every one from the first.
func TestC3_OnOpenInsideOnDataChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		var opens atomic.Int32
		got := make(chan string, 10)
		b.sctp.OnDataChannel(func(c *DataChannel) {
			time.Sleep(time.Second) // messages come meanwhile
			c.OnOpen(func() { opens.Add(1) })
			c.OnMessage(func(m DataChannelMessage) { got <- string(m.Data) })
		})
		c, err := a.api.NewDataChannel(a.sctp, &DataChannelParameters{Ordered: true})
		require.NoError(t, err)
		order := make(chan string, 2)
		c.OnDial(func() {
			order <- "dial"
			// Before the peer has acknowledged.
			if err := errors.Join(c.SendText("1"), c.SendText("2")); err != nil {
				t.Error(err)
			}
		})
		c.OnOpen(func() { order <- "open" })
		require.Equal(t, "dial", <-order)
		require.Equal(t, "open", <-order)
		require.NoError(t, c.SendText("3"))
		for _, want := range []string{"1", "2", "3"} {
			require.Equal(t, want, <-got)
		}
		synctest.Wait()
		require.EqualValues(t, 1, opens.Load())
		stopped(t, network, a, b)
	})
}

// TestC10_OnErrorOrNot: the peer's Shutdown and Close are no errors; its Stop
// is one, told before OnClose.
func TestC10_OnErrorOrNot(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(peer *DataChannel) error
		want []string
		read error // nil: an ABORT
	}{
		"channel closed": {(*DataChannel).Close, []string{"close"}, io.EOF},
		"shutdown": {
			func(c *DataChannel) error { return c.Transport().Shutdown(context.Background()) },
			[]string{"close"},
			io.EOF,
		},
		"stop": {func(c *DataChannel) error { return c.Transport().Stop() }, []string{"error", "close"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				var got []string
				var told error
				done := make(chan struct{})
				from.OnError(func(err error) { told = err; got = append(got, "error") })
				from.OnClose(func() { got = append(got, "close"); close(done) })
				require.NoError(t, row.end(to))
				<-done
				synctest.Wait()
				require.Equal(t, row.want, got)
				err := <-receiving(limited(t, time.Second), from)
				if row.read != nil {
					require.Equal(t, row.read, err)
				} else {
					var abort *SCTPAbortError
					require.ErrorAs(t, err, &abort)
					require.True(t, abort.Remote)
					require.ErrorIs(t, told, abort)
				}
				stopped(t, network, a, b)
			})
		})
	}
}
