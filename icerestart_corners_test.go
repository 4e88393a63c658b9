package webrtc

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// Candidates that come in the instant of the answer go to the new agents, also
// where their ufrag is beside the text, as browsers have it.
func TestI5_TrickleRightAfterTheAnswerOfARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(5*time.Millisecond))
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		before := []*iceAgent{inUse(a), inUse(b)}
		a.RestartICE()
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		candidatesA, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		require.NoError(t, b.SetRemoteDescription(withoutUfrags(a.LocalDescription())))
		require.NoError(t, b.SetLocalDescription(SessionDescription{}))
		for i := range candidatesA {
			require.NoError(t, b.AddICECandidate(ufragBeside(candidatesA[i])))
		}
		time.Sleep(time.Second)
		answer := withoutUfrags(b.LocalDescription())
		candidatesB, err := b.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		require.NoError(t, a.SetRemoteDescription(answer))
		for i := range candidatesB {
			require.NoError(t, a.AddICECandidate(ufragBeside(candidatesB[i])))
		}
		time.Sleep(20 * time.Second)
		assert.NotSame(t, before[0], inUse(a), "the offerer has switched")
		assert.NotSame(t, before[1], inUse(b), "the answerer has switched")
		requirePeersGone(t, network, a, b)
	})
}

// A path that is lost while a restart looks for another is told.
func TestI5_OldPathDiesWhileARestartChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		settings := SettingEngine{}
		settings.ICE.FailedGrace = time.Minute
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, settings, network, 1)
		connect(t, a, b)
		record := watch(a)
		network.Cut(true)
		time.Sleep(time.Second) // or both would fail in the same instant, in either order
		_, err := a.ice.Restart(context.Background())
		require.NoError(t, err)
		require.NoError(t, a.ice.SetRemoteParameters(ICEParameters{UsernameFragment: "nobody", Password: "none-of-that-matters-here"}))
		time.Sleep(15 * time.Second)
		assert.Equal(t, []string{"disconnected", "checking"}, record.of("ICE"))
		time.Sleep(30 * time.Second)
		assert.Equal(t, []string{"disconnected", "checking", "failed"}, record.of("ICE"))
		requireNothingLeft(t, network, a, b)
	})
}

// An offer that is made, and never set, leaves gathering alone.
func TestI5_CreateOfferOfARestartWhileGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
		a, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(Configuration{
			Certificates: []Certificate{bubbleCertificate(t)},
			ICEServers:   []ICEServer{{URLs: []string{silentSTUN}}},
		})
		require.NoError(t, err)
		b := newPeer(t, SettingEngine{}, network, 1)
		_, err = a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescription(SessionDescription{}))
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(context.Background(), SessionDescription{}))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		connectPeers(t, a, b)
		require.Equal(t, ICEGatheringStateGathering, a.ICEGatheringState())
		var ended atomic.Int64
		a.OnICECandidate(func(c *ICECandidate) {
			if c == nil {
				ended.Add(1)
			}
		})
		before, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		_, err = a.CreateOffer(&OfferOptions{ICERestart: true})
		require.NoError(t, err)
		after, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		assert.Equal(t, before, after, "CreateOffer changes nothing")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, ICEGatheringStateComplete, a.ICEGatheringState(), "left at gathering")
		assert.EqualValues(t, 1, ended.Load(), "the nil candidate")
		assert.Contains(t, a.LocalDescription().SDP, "end-of-candidates")
		requirePeersGone(t, network, a, b)
	})
}

// Of two restarts at once one tells that it was replaced.
func TestI5_ARestartThatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		a := stackWithServers(t, network, 0, silentSTUN)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		ctx := context.Background()
		_, err := a.gatherer.GatherContext(ctx)
		require.NoError(t, err)
		_, err = b.gatherer.GatherContext(ctx)
		require.NoError(t, err)
		signalWhatIsThere(t, a, b)
		connectStages(t, a, b, stages)
		type result struct {
			params ICEParameters
			err    error
		}
		first := make(chan result, 1)
		go func() {
			p, err := a.ice.Restart(ctx)
			first <- result{p, err}
		}()
		time.Sleep(10 * time.Millisecond)
		second, err := a.ice.Restart(ctx)
		require.NoError(t, err)
		assert.NotZero(t, second)
		r := <-first
		require.ErrorIs(t, r.err, ErrInvalidState)
		assert.Zero(t, r.params, "those of an agent that is closed")
		requireNothingLeft(t, network, a, b)
	})
}

// What is refused leaves nothing, also before the parameters.
func TestI5_EarlyCandidatesAllOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		connect(t, a, b)
		_, err := a.ice.Restart(context.Background())
		require.NoError(t, err)
		var many []ICECandidate
		for i := range 65 {
			c, err := ParseICECandidate("candidate:1 1 udp 2130706431 10.0.0.77 " + fmt.Sprint(1000+i) + " typ host ufrag other")
			require.NoError(t, err)
			many = append(many, c)
		}
		require.Error(t, a.ice.SetRemoteCandidates(many))
		a.ice.life.mu.Lock()
		assert.Empty(t, a.ice.early, "all or none")
		a.ice.early = nil
		a.ice.life.mu.Unlock()
		bad, err := ParseICECandidate("candidate:1 1 udp 2130706431 0.0.0.0 1234 typ host ufrag other")
		require.NoError(t, err)
		assert.Error(t, a.ice.AddRemoteCandidate(&bad), "unspecified is refused always")
		requireNothingLeft(t, network, a, b)
	})
}

// The timer of an agent that is not used any more is stopped.
func TestI9_TimerOfTheFormerAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		connect(t, a, b)
		before := agentOf(a)
		a.ice.life.mu.Lock()
		stopFirst := a.ice.stopLook
		a.ice.life.mu.Unlock()
		restart(t, a, b)
		awaitSwitch(t, a, before)
		synctest.Wait()
		requireNothingLeft(t, network, a, b)
		require.NoError(t, a.ice.Run(context.Background()))
		assert.False(t, stopFirst(), "a timer is left behind after Stop and Run")
	})
}

// A restart may be asked for as soon as the answer is applied.
func TestP6_RestartRightAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, b.SetRemoteDescriptionContext(ctx, *a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, a.SetRemoteDescriptionContext(ctx, *b.LocalDescription()))
		_, err = a.CreateOffer(&OfferOptions{ICERestart: true})
		assert.NoError(t, err)
		requirePeersGone(t, network, a, b)
	})
}

// Where nobody reads yet, nothing waits for a reader.
func TestI5_RestartsWithoutAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		connectBelow(t, a, b, 1)
		before := runtime.NumGoroutine()
		for range 20 {
			x, y := agentOf(a), agentOf(b)
			restart(t, a, b)
			awaitSwitch(t, a, x)
			awaitSwitch(t, b, y)
			time.Sleep(2 * drainTime)
		}
		synctest.Wait()
		assert.InDelta(t, before, runtime.NumGoroutine(), 4)
		carries(t, a, b, 1)
		synctest.Wait()
		requireNothingLeft(t, network, a, b)
	})
}

// GatherContext returns what its own agent has found.
func TestI5_RestartDuringGatherContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		a := stackWithServers(t, network, 0, silentSTUN)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		ctx := context.Background()
		type result struct {
			candidates []ICECandidate
			err        error
		}
		gathered := make(chan result, 1)
		go func() {
			c, err := a.gatherer.GatherContext(ctx)
			gathered <- result{c, err}
		}()
		_, err := b.gatherer.GatherContext(ctx)
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		found, err := a.gatherer.GetLocalCandidates()
		require.NoError(t, err)
		require.Len(t, found, 1)
		signalWhatIsThere(t, a, b)
		connectStages(t, a, b, stages[:1])
		go func() { _, _ = a.ice.Restart(ctx) }()
		r := <-gathered
		assert.Equal(t, found, r.candidates, "what was found so far")
		requireNothingLeft(t, network, a, b)
	})
}

// Whatever ends the transport in the middle of a restart leaves nothing.
func TestI5_StopAtEveryInstantOfARestart(t *testing.T) {
	for at := time.Duration(0); at < 60*time.Millisecond; at += 500 * time.Microsecond {
		for how := range 3 {
			synctest.Test(t, func(t *testing.T) {
				a, b, network := quickPair(t, testnet.Delay(5*time.Millisecond))
				connect(t, a, b)
				record := watch(a)
				go func() {
					ctx := context.Background()
					p, err := a.ice.Restart(ctx)
					q, err2 := b.ice.Restart(ctx)
					if err != nil || err2 != nil {
						return
					}
					c, _ := a.gatherer.GetLocalCandidates()
					d, _ := b.gatherer.GetLocalCandidates()
					_ = a.ice.SetRemoteParameters(q)
					_ = b.ice.SetRemoteParameters(p)
					_ = a.ice.SetRemoteCandidates(d)
					_ = b.ice.SetRemoteCandidates(c)
				}()
				time.Sleep(at)
				ctx, cancel := context.WithCancelCause(context.Background())
				switch how {
				case 0:
					require.NoError(t, a.ice.Stop())
					require.NoError(t, a.ice.Run(ctx))
				case 1:
					cancel(errSwept)
					require.ErrorIs(t, a.ice.Run(ctx), errSwept)
				case 2:
					require.NoError(t, a.ice.Shutdown(ctx))
				}
				cancel(nil)
				synctest.Wait()
				require.Zero(t, network.OpenSockets(0))
				require.Equal(t, []string{"closed"}, record.of("ICE"))
				requireNothingLeft(t, network, a, b)
			})
			if t.Failed() {
				t.Fatal(at, how)
			}
		}
	}
}

// A context that ends in the middle of a restart takes it back.
func TestI5_RestartCancelledAtEveryInstant(t *testing.T) {
	for at := time.Duration(0); at < 12*time.Second; at = at*3/2 + time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			network := testnet.Pair(t)
			a := stackWithServers(t, network, 0, silentSTUN, silentTURN)
			b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
			ctx := context.Background()
			_, _ = a.gatherer.GatherContext(ctx)
			_, _ = b.gatherer.GatherContext(ctx)
			signalWhatIsThere(t, a, b)
			connectStages(t, a, b, stages)
			from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
			short, cancel := context.WithTimeoutCause(ctx, at, errSwept)
			defer cancel()
			begin := time.Now()
			_, err := a.ice.Restart(short)
			took := time.Since(begin)
			if err != nil {
				require.ErrorIs(t, err, errSwept)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, at, took)
				require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
				require.Equal(t, 1, network.OpenSockets(0))
			}
			exchange(t, from, to)
			requireNothingLeft(t, network, a, b)
		})
	}
}

func signalWhatIsThere(tb testing.TB, a, b *stack) {
	tb.Helper()
	for _, s := range [][2]*stack{{a, b}, {b, a}} {
		c, err := s[0].gatherer.GetLocalCandidates()
		require.NoError(tb, err)
		require.NoError(tb, s[1].ice.SetRemoteCandidates(c))
	}
}

func stackWithServers(tb testing.TB, network *testnet.Network, i int, servers ...string) *stack {
	tb.Helper()
	settings := SettingEngine{Net: network.Net(i), LoggerFactory: quietLogs}
	s := &stack{api: NewAPI(WithSettingEngine(settings)), role: ICERoleControlling}
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{ICEServers: []ICEServer{{URLs: servers, Username: "u", Credential: "p"}}})
	require.NoError(tb, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, []Certificate{bubbleCertificate(tb)})
	require.NoError(tb, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
	tb.Cleanup(func() { _ = s.ice.Stop() })

	return s
}

func withoutUfrags(d *SessionDescription) SessionDescription {
	return SessionDescription{d.Type, candidateLines.ReplaceAllString(d.SDP, "")}
}

// A candidate as Firefox has it: the ufrag beside the text.
func ufragBeside(c ICECandidate) ICECandidateInit {
	init := c.ToJSON()
	m := ufragInText.FindStringSubmatch(init.Candidate)
	if m != nil {
		init.UsernameFragment = &m[1]
	}
	init.Candidate = ufragInText.ReplaceAllString(init.Candidate, "")

	return init
}

var ufragInText = regexp.MustCompile(` ufrag (\S+)( generation 0)?`)

var candidateLines = regexp.MustCompile(`(?m)^a=(candidate:.*|end-of-candidates)\r\n`)
