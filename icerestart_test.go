package webrtc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// restart takes both sides through a restart, with signaling in the test's
// hands. It returns when the checks have begun.
func restart(tb testing.TB, a, b *stack) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	var params [2]ICEParameters
	var candidates [2][]ICECandidate
	for i, s := range []*stack{a, b} {
		var err error
		params[i], err = s.ice.Restart(ctx)
		require.NoError(tb, err)
		candidates[i], err = s.gatherer.GetLocalCandidates()
		require.NoError(tb, err)
		require.NotEmpty(tb, candidates[i])
		local, err := s.ice.GetLocalParameters()
		require.NoError(tb, err)
		require.Equal(tb, params[i], local)
	}
	for i, s := range []*stack{a, b} {
		require.NoError(tb, s.ice.SetRemoteParameters(params[1-i]))
		require.NoError(tb, s.ice.SetRemoteCandidates(candidates[1-i]))
	}
}

// awaitSwitch waits until a transport uses its new agent.
func awaitSwitch(tb testing.TB, s *stack, before *iceAgent) {
	tb.Helper()
	for range 1000 {
		s.ice.life.mu.Lock()
		agent := s.ice.agent
		s.ice.life.mu.Unlock()
		if agent != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatal("the restart has not come about")
}

func agentOf(s *stack) *iceAgent {
	s.ice.life.mu.Lock()
	defer s.ice.life.mu.Unlock()

	return s.ice.agent
}

// Numbered messages go both ways while the path is replaced again and again:
// each arrives, in order, over one and the same association.
func TestI5_NothingIsLostInRestarts(t *testing.T) {
	restarts := 200
	if raceEnabled {
		restarts = 20
	}
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t, testnet.Delay(5*time.Millisecond))
		connect(t, a, b)
		record := watch(a)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		ctx, cancel := context.WithCancel(context.Background())
		sent := [2]int{}
		done := make(chan error, 4)
		for i, c := range []*DataChannel{from, to} {
			go func() {
				for ctx.Err() == nil {
					if err := c.SendTextContext(context.Background(), fmt.Sprint(sent[i])); err != nil {
						done <- err

						return
					}
					sent[i]++
					time.Sleep(time.Millisecond)
				}
				done <- c.SendTextContext(context.Background(), "end")
			}()
		}
		received := [2]int{}
		for i, c := range []*DataChannel{to, from} {
			go func() {
				for {
					m, err := c.ReceiveContext(context.Background())
					if err != nil || string(m.Data) == "end" {
						done <- err

						return
					}
					if string(m.Data) != fmt.Sprint(received[i]) {
						done <- fmt.Errorf("%s instead of %d", m.Data, received[i])

						return
					}
					received[i]++
				}
			}()
		}
		before := [2]*iceAgent{}
		for range restarts {
			for i, s := range []*stack{a, b} {
				before[i] = agentOf(s)
			}
			restart(t, a, b)
			for i, s := range []*stack{a, b} {
				awaitSwitch(t, s, before[i])
			}
		}
		cancel()
		for range 4 {
			require.NoError(t, <-done)
		}
		assert.Equal(t, sent, received)
		assert.Greater(t, sent[0], restarts)
		assert.Empty(t, record.of("ICE"), "it was connected all the time")
		time.Sleep(drainTime + time.Second)
		synctest.Wait()
		assert.Equal(t, 1, network.OpenSockets(0), "those of earlier agents are closed")
		stats := a.ice.Stats()
		assert.Greater(t, stats.BytesSent, uint64(sent[0]), "counted over all agents")
		assert.Greater(t, int(stats.PacketsSent), sent[0]/2, "these, too")
		requireNothingLeft(t, network, a, b)
	})
}

// A restart that nobody answers changes nothing.
func TestI5_RestartWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		record := watch(a)
		ctx := context.Background()
		_, err := a.ice.Restart(ctx)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		exchange(t, from, to)

		// The next one takes its place; answered with parameters of nobody, it
		// fails, and is dropped.
		_, err = a.ice.Restart(ctx)
		require.NoError(t, err)
		require.NoError(t, a.ice.SetRemoteParameters(ICEParameters{UsernameFragment: "nobody", Password: "none-of-that-matters-here"}))
		require.NoError(t, a.ice.AddRemoteCandidate(&ICECandidate{
			Typ: ICECandidateTypeHost, Protocol: ICEProtocolUDP, Address: "10.0.0.77", Port: 9,
		}))
		time.Sleep(time.Minute)
		exchange(t, from, to)
		a.ice.life.mu.Lock()
		assert.Nil(t, a.ice.next)
		a.ice.life.mu.Unlock()
		assert.Equal(t, 1, network.OpenSockets(0))
		assert.Empty(t, record.of("ICE"))
		requireNothingLeft(t, network, a, b)
	})
}

// A transport that has failed is mended within its grace, and nothing above has
// noticed more than silence.
func TestI5_RestartOutOfFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		settings := SettingEngine{}
		settings.ICE.FailedGrace = time.Minute
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, settings, network, 1)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		record := watch(a)
		network.Cut(true)
		ctx := context.Background()
		for _, s := range []*stack{a, b} {
			_, err := s.ice.AwaitState(ctx, ICETransportStateFailed)
			require.NoError(t, err)
		}
		require.NoError(t, from.SendTextContext(ctx, "queued while there was no path"))
		time.Sleep(30 * time.Second)
		network.Cut(false)
		restart(t, a, b)
		for _, s := range []*stack{a, b} {
			_, err := s.ice.AwaitState(ctx, ICETransportStateConnected)
			require.NoError(t, err)
		}
		m, err := to.ReceiveContext(ctx)
		require.NoError(t, err)
		assert.Equal(t, "queued while there was no path", string(m.Data))
		exchange(t, from, to)
		time.Sleep(2 * time.Minute) // the grace is over, and nobody waits for it
		exchange(t, from, to)
		assert.Equal(t, []string{"disconnected", "failed", "checking", "connected"}, record.of("ICE"))
		requireNothingLeft(t, network, a, b)
	})
}

// A start that has failed is mended, too.
func TestI5_RestartOfAFailedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		settings := SettingEngine{}
		settings.ICE.FailedGrace = -1
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, settings, network, 1)
		network.Cut(true)
		signal(t, a, b)
		ctx := context.Background()
		require.Error(t, both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) }))
		network.Cut(false)
		restart(t, a, b)
		for _, s := range []*stack{a, b} {
			_, err := s.ice.AwaitState(ctx, ICETransportStateConnected)
			require.NoError(t, err)
		}
		carries(t, a, b, 1)
		requireNothingLeft(t, network, a, b)
	})
}

func TestI5_RestartRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		ctx := context.Background()
		_, err := a.ice.Restart(ctx)
		require.ErrorIs(t, err, ErrInvalidState, "not started")
		params := ICEParameters{UsernameFragment: "other", Password: "none-of-that-matters-here"}
		require.ErrorIs(t, a.ice.SetRemoteParameters(params), ErrInvalidState)
		connect(t, a, b)
		require.ErrorIs(t, a.ice.SetRemoteParameters(params), ErrInvalidState, "no restart")
		why := errors.New("not now")
		dead, cancel := context.WithCancelCause(ctx)
		cancel(why)
		_, err = a.ice.Restart(dead)
		require.ErrorIs(t, err, why)
		_, err = a.ice.Restart(nil) //nolint:staticcheck // what is refused
		require.ErrorIs(t, err, ErrInvalidArgument)
		_, err = a.ice.Restart(ctx)
		require.NoError(t, err)
		inUse, err := a.ice.GetRemoteParameters()
		require.NoError(t, err)
		require.ErrorIs(t, a.ice.SetRemoteParameters(inUse), ErrInvalidArgument)
		require.ErrorIs(t, a.ice.SetRemoteParameters(ICEParameters{}), ErrInvalidArgument)
		carries(t, a, b, 3)
		require.NoError(t, a.ice.Stop())
		_, err = a.ice.Restart(ctx)
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorIs(t, err, ErrClosed)
		var none *ICETransport
		_, err = none.Restart(ctx)
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorIs(t, none.SetRemoteParameters(params), ErrInvalidState)
		requireNothingLeft(t, network, a, b)
	})
}

// The agent of a restart may have nominated a pair before the call that starts it
// has its connection in hand: the path changes over when both are there.
func TestI5_NominatedBeforeTheConnectionIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t, testnet.Delay(5*time.Millisecond))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		before := agentOf(a)
		agent, err := a.ice.prepareRestart("test")
		require.NoError(t, err)
		a.ice.onAgentState(agent, ice.ConnectionStateConnected)
		require.Same(t, before, agentOf(a))
		exchange(t, from, to)

		a.ice.attach(agent, before.conn)
		require.Same(t, agent, agentOf(a))
		exchange(t, from, to)
		stopped(t, network, a, b)
	})
}
