package webrtc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// ofServers is a configuration with a pool and servers.
func ofServers(tb testing.TB, size uint8, urls ...string) Configuration {
	tb.Helper()
	config := Configuration{ICECandidatePoolSize: size, Certificates: []Certificate{bubbleCertificate(tb)}}
	for _, url := range urls {
		config.ICEServers = append(config.ICEServers,
			ICEServer{URLs: []string{url}, Username: turnUser, Credential: turnPassword})
	}

	return config
}

// newPoolPeer is a connection on the first host of a network, and what it tells of
// gathering, in order. Closing it waits for its allocations to be released.
func newPoolPeer(tb testing.TB, network *testnet.Network, config Configuration) (*PeerConnection, *peerRecord) {
	tb.Helper()
	settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
	pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = pc.Close() })
	_, err = pc.CreateDataChannel("chat", nil)
	require.NoError(tb, err)
	told := new(peerRecord)
	pc.OnICEGatheringStateChange(func(s ICEGatheringState) { told.add(s.String()) })
	pc.OnICECandidate(func(c *ICECandidate) {
		if c == nil {
			told.add("nil")

			return
		}
		told.add(c.Typ.String())
	})
	pc.OnICECandidateError(func(e *ICECandidateError) { told.add("error of " + e.URL) })

	return pc, told
}

// leavesNothing closes a connection, and checks that it takes no time, and that
// its sockets are gone when its allocations were released.
func leavesNothing(tb testing.TB, network *testnet.Network, pc *PeerConnection) {
	tb.Helper()
	begin := time.Now()
	require.NoError(tb, pc.Close())
	require.Zero(tb, time.Since(begin), "closing took time")
	require.NoError(tb, pc.Run(tb.Context()))
	require.LessOrEqual(tb, time.Since(begin), 500*time.Millisecond)
	require.Zero(tb, network.OpenSockets(0))
}

// candidatesIn are the kinds of the candidates that a description has.
func candidatesIn(d *SessionDescription) (kinds []string) {
	for line := range strings.Lines(d.SDP) {
		if strings.HasPrefix(line, "a=candidate:") {
			_, kind, _ := strings.Cut(line, " typ ")
			kinds = append(kinds, strings.Fields(kind)[0])
		}
	}

	return kinds
}

// With a server 300 ms away gathering takes that long, and no time after the
// description with a pool.
func TestI10_PoolTakesNoTimeAfterTheDescription(t *testing.T) {
	for size, took := range map[uint8]time.Duration{0: 300 * time.Millisecond, 1: 0, 255: 0} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(150*time.Millisecond))
				virtualTURN(t, network, virtualPort, nil)
				pc, told := newPoolPeer(t, network, ofServers(t, size, virtualSTUN))
				time.Sleep(time.Second)
				begin := time.Now()
				require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				assert.Equal(t, took, time.Since(begin))
				assert.Equal(t, []string{"host", "srflx"}, candidatesIn(pc.LocalDescription()))
				assert.Equal(t, []string{"gathering", "host", "srflx", "complete", "nil"}, told.list())
				leavesNothing(t, network, pc)
			})
		})
	}
}

// Before the description nothing is to be seen of a pool, and all of it after: in
// the order in which it was found, also what servers have failed at.
func TestI10_PoolIsSilentUntilTheDescription(t *testing.T) {
	const way = 10 * time.Millisecond
	for name, c := range map[string]struct {
		after time.Duration // from the constructor to the description
		// told with the description, and until gathering is complete
		at, later []string
		took      time.Duration
	}{
		"nothing has answered": {
			0,
			[]string{"gathering", "host", "error of stuns:10.0.0.2"},
			[]string{"srflx", "relay", "error of " + silentSTUN, "complete", "nil"},
			5 * time.Second,
		},
		"the half has": {
			3 * way,
			[]string{"gathering", "host", "error of stuns:10.0.0.2", "srflx"},
			[]string{"relay", "error of " + silentSTUN, "complete", "nil"},
			5*time.Second - 3*way,
		},
		"but one": {
			time.Second,
			[]string{"gathering", "host", "error of stuns:10.0.0.2", "srflx", "relay"},
			[]string{"error of " + silentSTUN, "complete", "nil"},
			4 * time.Second,
		},
		"all": {
			time.Minute, []string{
				"gathering", "host", "error of stuns:10.0.0.2", "srflx", "relay", "error of " + silentSTUN, "complete", "nil",
			}, nil, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(way))
				server := virtualTURN(t, network, virtualPort, nil)
				pc, told := newPoolPeer(t, network, ofServers(t, 1, "stuns:10.0.0.2", virtualURL, silentSTUN))
				promise := GatheringCompletePromise(pc)
				synctest.Wait()
				time.Sleep(c.after)
				assert.Empty(t, told.list())
				assert.Equal(t, ICEGatheringStateNew, pc.ICEGatheringState())
				assert.Nil(t, pc.LocalDescription())
				candidates, err := pc.gatherer.GetLocalCandidates()
				require.NoError(t, err)
				assert.Empty(t, candidates)
				for _, s := range pc.GetStats() {
					assert.NotEqual(t, StatsTypeLocalCandidate, typeOf(s))
				}
				offer, err := pc.CreateOffer(nil)
				require.NoError(t, err)
				assert.NotContains(t, offer.SDP, "candidate")
				results, err := pc.gatherer.GetServerResults()
				require.NoError(t, err)
				require.Len(t, results, 4, "which tell what the pool is at")
				assert.Error(t, results[0].Err)
				select {
				case <-promise:
					t.Error("complete before the description")
				default:
				}

				begin := time.Now()
				require.NoError(t, pc.SetLocalDescription(offer))
				assert.Equal(t, c.at, hostFirst(told.list()))
				require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				assert.Equal(t, c.took, time.Since(begin))
				<-promise
				assert.Equal(t, append(c.at, c.later...), hostFirst(told.list()))
				assert.Equal(t, []string{"host", "srflx", "relay"}, candidatesIn(pc.LocalDescription()))
				assert.Contains(t, pc.LocalDescription().SDP, "a=end-of-candidates")
				assert.Equal(t, 1, server.AllocationCount())
				leavesNothing(t, network, pc)
				assert.Zero(t, server.AllocationCount())
			})
		})
	}
}

// hostFirst puts the host candidate before an error of the same instant.
func hostFirst(told []string) []string {
	if len(told) > 2 && told[2] == "host" {
		told[1], told[2] = told[2], told[1]
	}

	return told
}

func typeOf(s Stats) StatsType {
	if c, ok := s.(ICECandidateStats); ok {
		return c.Type
	}

	return ""
}

// What a pool has found carries a connection, over a relay alone too.
func TestI10_PoolConnects(t *testing.T) {
	for _, policy := range []ICETransportPolicy{ICETransportPolicyAll, ICETransportPolicyRelay} {
		t.Run(policy.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				server := virtualTURN(t, network, virtualPort, nil)
				config := ofServers(t, 1, virtualURL)
				config.ICETransportPolicy = policy
				a, _ := newPoolPeer(t, network, config)
				b := newPeer(t, SettingEngine{}, network, 1)
				time.Sleep(time.Hour) // the allocation is refreshed
				require.Equal(t, 1, server.AllocationCount())
				negotiate(t, a, b)
				connectPeers(t, a, b)

				// A restart gathers as it does without a pool.
				_, _, _, states := watchPeer(a)
				before := inUse(a)
				begin := time.Now()
				a.RestartICE()
				require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				assert.Equal(t, 4*time.Millisecond, time.Since(begin))
				assert.Equal(t, []string{"gathering", "complete"}, states.list())
				assert.Equal(t, 2, server.AllocationCount())
				negotiate(t, a, b)
				awaitNewPath(t, a, before)
				time.Sleep(drainTime + time.Second)
				assert.Equal(t, 1, server.AllocationCount())
				require.NoError(t, b.Close())
				leavesNothing(t, network, a)
				assert.Zero(t, server.AllocationCount())
			})
		})
	}
}

// Every way of ending at every instant of a pool's gathering leaves nothing.
func TestI10_EndOfAPoolThatGathers(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, end := range map[string]func(pc *PeerConnection) error{
		"Close":    (*PeerConnection).Close,
		"Stop":     func(pc *PeerConnection) error { return pc.ice.Stop() },
		"gatherer": func(pc *PeerConnection) error { return pc.gatherer.Close() },
		"Run":      func(pc *PeerConnection) error { return pc.Run(ended) },
		"Shutdown": func(pc *PeerConnection) error { return pc.Shutdown(ended) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []int{0, 10, 20, 21, 25, 40, 41, 60, 1000, 5001} {
				bubble(t, func(t *testing.T) {
					network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
					server := virtualTURN(t, network, virtualPort, nil)
					pc, told := newPoolPeer(t, network, ofServers(t, 1, virtualSTUN, virtualURL, silentTURN, silentSTUN))
					time.Sleep(time.Duration(at) * time.Millisecond)
					begin := time.Now()
					_ = end(pc)
					require.NoError(t, pc.Close())
					if name != "Run" { // which waits for the release
						require.Zero(t, time.Since(begin))
						require.LessOrEqual(t, network.OpenSockets(0), 1, "at %d ms", at)
					}
					_ = pc.Run(t.Context())
					require.LessOrEqual(t, time.Since(begin), 500*time.Millisecond)
					require.Zero(t, network.OpenSockets(0))
					require.Zero(t, server.AllocationCount())
					require.Empty(t, told.list())
					require.Equal(t, ICEGatheringStateNew, pc.ICEGatheringState())
					require.Error(t, pc.SetLocalDescription(SessionDescription{}))
				})
			}
		})
	}
}

// The end comes while the pool is told, too.
func TestI10_EndWhileThePoolIsTold(t *testing.T) {
	for range cases(50) {
		bubble(t, func(t *testing.T) {
			network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
			server := virtualTURN(t, network, virtualPort, nil)
			pc, _ := newPoolPeer(t, network, ofServers(t, 1, virtualSTUN, virtualURL, silentSTUN))
			time.Sleep(time.Second)
			require.NoError(t, pc.SetLocalDescription(SessionDescription{}))
			runtime.Gosched()
			leavesNothing(t, network, pc)
			require.Zero(t, server.AllocationCount())
		})
	}
}

// Routers keep the reflexive addresses of a pool: their sockets are heard of every
// 15 s, until the description, and not when the pool is no longer wanted.
func TestI10_ReflexiveAddressesOfAPoolAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(pc *PeerConnection) error
		then []time.Duration // after the end
	}{
		"until the description": {
			func(pc *PeerConnection) error { return pc.SetLocalDescription(SessionDescription{}) }, nil,
		},
		"until the size is 0": {func(pc *PeerConnection) error { return pc.SetConfiguration(Configuration{}) }, nil},
		"until the end":       {(*PeerConnection).Close, nil},
		"also those that come later": {func(pc *PeerConnection) error {
			config := pc.GetConfiguration()
			config.ICEServers = append(config.ICEServers, ICEServer{URLs: []string{"stun:10.0.0.2:3479"}})

			return pc.SetConfiguration(config)
		}, []time.Duration{60, 60, 75, 75}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				virtualTURN(t, network, virtualPort, nil)
				virtualTURN(t, network, virtualPort+1, nil)
				begin := time.Now()
				var mu sync.Mutex
				var kept []time.Duration
				network.OnPacket(func(_ int, payload []byte) bool {
					m := &stun.Message{Raw: payload}
					if stun.IsMessage(payload) && m.Decode() == nil && m.Type.Class == stun.ClassIndication {
						mu.Lock()
						kept = append(kept, time.Since(begin).Truncate(time.Second)/time.Second)
						mu.Unlock()
					}

					return false
				})
				pc, _ := newPoolPeer(t, network, ofServers(t, 1, virtualSTUN))
				time.Sleep(50 * time.Second)
				require.NoError(t, c.end(pc))
				time.Sleep(30 * time.Second)
				mu.Lock()
				assert.Equal(t, append([]time.Duration{15, 30, 45}, c.then...), kept)
				mu.Unlock()
				leavesNothing(t, network, pc)
			})
		})
	}
}

// A description whose context ends while the pool gathers stays, and so does the
// gathering.
func TestI10_DescriptionIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(150*time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		pc, told := newPoolPeer(t, network, ofServers(t, 1, virtualSTUN))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, pc.SetLocalDescriptionContext(ctx, SessionDescription{}), context.DeadlineExceeded)
		assert.Equal(t, []string{"gathering", "host"}, told.list())
		begin := time.Now()
		<-GatheringCompletePromise(pc)
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
		assert.Equal(t, []string{"gathering", "host", "srflx", "complete", "nil"}, told.list())
		leavesNothing(t, network, pc)
	})
}

// A first offer that is taken back has told the pool: gathering goes on, once.
func TestI10_PoolAndRollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(150*time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		pc, told := newPoolPeer(t, network, ofServers(t, 1, virtualSTUN))
		require.NoError(t, pc.SetLocalDescription(SessionDescription{}))
		require.NoError(t, pc.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
		time.Sleep(time.Second)
		require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
		assert.Equal(t, []string{"gathering", "host", "srflx", "complete", "nil"}, told.list())
		require.ErrorIs(t, pc.SetConfiguration(ofServers(t, 2)), ErrInvalidModification, "it was set once")
		leavesNothing(t, network, pc)
	})
}

// The size may change until a local description is set, and takes effect.
func TestI10_PoolSizeChanges(t *testing.T) {
	type step struct {
		size uint8
		err  error
		// told by GetConfiguration, and found with the TURN server and on the host
		then        uint8
		allocations int
		sockets     int
	}
	for name, c := range map[string]struct {
		first uint8
		steps []step
		took  time.Duration // of the description after them
	}{
		"never":              {0, nil, 40 * time.Millisecond},
		"grows":              {0, []step{{5, nil, 5, 1, 3}}, 0},
		"grows more":         {1, []step{{9, nil, 9, 1, 3}, {2, nil, 2, 1, 3}}, 0},
		"shrinks":            {1, []step{{0, nil, 0, 0, 1}}, 40 * time.Millisecond},
		"shrinks and grows":  {1, []step{{0, nil, 0, 0, 1}, {3, nil, 3, 1, 3}}, 0},
		"grows and shrinks":  {0, []step{{3, nil, 3, 1, 3}, {0, nil, 0, 0, 1}}, 40 * time.Millisecond},
		"is zero, and stays": {0, []step{{0, nil, 0, 0, 0}}, 40 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
				server := virtualTURN(t, network, virtualPort, nil)
				pc, told := newPoolPeer(t, network, ofServers(t, c.first, virtualURL))
				for _, s := range c.steps {
					require.NoError(t, pc.SetConfiguration(ofServers(t, s.size, virtualURL)))
					require.Equal(t, s.then, pc.GetConfiguration().ICECandidatePoolSize)
					time.Sleep(time.Second)
					require.Equal(t, s.allocations, server.AllocationCount())
					require.Equal(t, s.sockets, network.OpenSockets(0))
				}
				require.Empty(t, told.list())
				begin := time.Now()
				require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				require.Equal(t, c.took, time.Since(begin))
				require.Equal(t, []string{"gathering", "host", "srflx", "relay", "complete", "nil"}, told.list())

				present := pc.GetConfiguration().ICECandidatePoolSize
				require.ErrorIs(t, pc.SetConfiguration(ofServers(t, present+1, virtualURL)), ErrInvalidModification)
				require.NoError(t, pc.SetConfiguration(ofServers(t, present, virtualURL)))
				require.NoError(t, pc.SetConfiguration(ofServers(t, 0, virtualURL)), "left out")
				require.Equal(t, present, pc.GetConfiguration().ICECandidatePoolSize)
				leavesNothing(t, network, pc)
				require.Zero(t, server.AllocationCount())
			})
		})
	}
}

// When servers change while a pool gathers, or when it is complete, nothing is told
// of those that are gone, and what they gave is released; what stays is not asked
// again, and the new ones are.
func TestI10_ServersOfAPoolChange(t *testing.T) {
	const other = "turn:10.0.0.2:3479"
	for _, ms := range []int{0, 10, 20, 25, 30, 40, 45, 1000, 60_000} {
		after := time.Duration(ms) * time.Millisecond
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
				before, next := virtualTURN(t, network, virtualPort, nil), virtualTURN(t, network, virtualPort+1, nil)
				pc, told := newPoolPeer(t, network, ofServers(t, 1, virtualURL, silentSTUN, "stuns:10.0.0.7"))
				time.Sleep(after)
				require.NoError(t, pc.SetConfiguration(ofServers(t, 1, other, silentSTUN)))
				synctest.Wait()
				results, err := pc.gatherer.GetServerResults()
				require.NoError(t, err)
				require.Len(t, results, 3)
				assert.Equal(t, min(after, 5*time.Second), results[2].Duration, "it is not asked again")
				time.Sleep(time.Minute)
				assert.Zero(t, before.AllocationCount())
				assert.Equal(t, 1, next.AllocationCount())
				assert.Equal(t, 3, network.OpenSockets(0))
				results, err = pc.gatherer.GetServerResults()
				require.NoError(t, err)
				urls := make([]string, len(results))
				for i, r := range results {
					urls[i] = r.URL
				}
				assert.Equal(t, []string{other, other, silentSTUN}, urls)
				begin := time.Now()
				require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				assert.Zero(t, time.Since(begin))
				assert.ElementsMatch(t,
					[]string{"gathering", "host", "srflx", "relay", "error of " + silentSTUN, "complete", "nil"}, told.list())
				for _, s := range pc.GetStats() {
					if c, ok := s.(ICECandidateStats); ok && c.CandidateType != ICECandidateTypeHost {
						assert.Equal(t, other, c.URL)
					}
				}
				leavesNothing(t, network, pc)
				assert.Zero(t, next.AllocationCount())
			})
		})
	}
}

// Another password is another server; the same servers are not asked again.
func TestI10_ServersOfAPoolAreSetAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		wrong := ofServers(t, 1, virtualURL)
		wrong.ICEServers[0].Credential = "wrong"
		pc, told := newPoolPeer(t, network, wrong)
		time.Sleep(time.Second)
		require.NoError(t, pc.SetConfiguration(ofServers(t, 1, virtualURL)))
		time.Sleep(time.Second)
		require.Equal(t, 1, server.AllocationCount())
		sent := network.Sent(0)
		require.NoError(t, pc.SetConfiguration(ofServers(t, 1, virtualURL)))
		time.Sleep(time.Second)
		require.Equal(t, sent, network.Sent(0))
		require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
		require.Equal(t, []string{"gathering", "host", "srflx", "relay", "complete", "nil"}, told.list(), "and no error")
		leavesNothing(t, network, pc)
	})
}

// Servers that are set when the description is count for a restart, and are not
// asked before.
func TestI10_ServersAfterTheDescription(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		pc, told := newPoolPeer(t, network, ofServers(t, 1))
		b := newPeer(t, SettingEngine{}, network, 1)
		negotiate(t, pc, b)
		require.NoError(t, pc.SetConfiguration(ofServers(t, 1, virtualURL)))
		time.Sleep(time.Second)
		require.Zero(t, server.AllocationCount())
		require.Equal(t, []string{"gathering", "host", "complete", "nil"}, told.list())
		connectPeers(t, pc, b)
		pc.RestartICE()
		require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
		require.Equal(t, 1, server.AllocationCount())
		require.NoError(t, b.Close())
		leavesNothing(t, network, pc)
	})
}

// A SetConfiguration and a SetLocalDescription at once are one after the other: a
// size is refused if the description was first, and otherwise the pool is there.
func TestI10_ConfigurationAndDescriptionAtOnce(t *testing.T) {
	for range cases(100) {
		bubble(t, func(t *testing.T) {
			network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
			first, next := virtualTURN(t, network, virtualPort, nil), virtualTURN(t, network, virtualPort+1, nil)
			pc, _ := newPoolPeer(t, network, ofServers(t, 1, virtualURL))
			time.Sleep(time.Second)
			set := result(func() error { return pc.SetConfiguration(ofServers(t, 7, "turn:10.0.0.2:3479")) })
			require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
			err := <-set
			time.Sleep(time.Second)
			config := pc.GetConfiguration()
			if err != nil {
				require.ErrorIs(t, err, ErrInvalidModification)
				require.Equal(t, uint8(1), config.ICECandidatePoolSize)
				require.Equal(t, virtualURL, config.ICEServers[0].URLs[0])
				require.Equal(t, []int{1, 0}, []int{first.AllocationCount(), next.AllocationCount()})
			} else {
				require.Equal(t, uint8(7), config.ICECandidatePoolSize)
				require.Equal(t, "turn:10.0.0.2:3479", config.ICEServers[0].URLs[0])
				require.Equal(t, []int{0, 1}, []int{first.AllocationCount(), next.AllocationCount()})
			}
			require.Equal(t, []string{"host", "srflx", "relay"}, candidatesIn(pc.LocalDescription()))
			leavesNothing(t, network, pc)
		})
	}
}

// A refused configuration changes nothing, a valid part of it neither.
func TestI10_RefusedConfigurationChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		pc, _ := newPoolPeer(t, network, ofServers(t, 0))
		for want, config := range map[error]Configuration{
			ErrInvalidModification: {BundlePolicy: BundlePolicyMaxBundle},
			ErrNoTurnCredentials:   {ICEServers: turnWithout},
			errPlanB:               {SDPSemantics: SDPSemanticsPlanB},
		} {
			before := pc.GetConfiguration()
			config.ICEServers = append(ofServers(t, 0, virtualURL).ICEServers, config.ICEServers...)
			config.ICECandidatePoolSize, config.AlwaysNegotiateDataChannels = 3, true
			require.ErrorIs(t, pc.SetConfiguration(config), want)
			require.Equal(t, before, pc.GetConfiguration())
		}
		time.Sleep(time.Second)
		require.Zero(t, network.Sent(0))
		require.Zero(t, server.AllocationCount())
		leavesNothing(t, network, pc)
	})
}

// AlwaysNegotiateDataChannels takes effect with the next offer; left out it stays.
func TestSetConfigurationOfDataChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		needed := new(peerRecord)
		a.OnNegotiationNeeded(func() { needed.add("needed") })
		offersData := func() bool {
			offer, err := a.CreateOffer(nil)
			require.NoError(t, err)

			return strings.Contains(offer.SDP, "m=application")
		}
		require.False(t, offersData())
		require.NoError(t, a.SetConfiguration(Configuration{}))
		require.False(t, offersData())
		for _, config := range []Configuration{{AlwaysNegotiateDataChannels: true}, {}} {
			require.NoError(t, a.SetConfiguration(config))
			require.True(t, a.GetConfiguration().AlwaysNegotiateDataChannels)
			require.True(t, offersData())
			require.Equal(t, []string{"needed"}, needed.list())
		}
		negotiate(t, a, b)
		connectPeers(t, a, b)
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		_, err = b.SCTP().AcceptDataChannel(t.Context())
		require.NoError(t, err)
		require.Equal(t, DataChannelStateOpen, channel.ReadyState())
		require.Equal(t, []string{"needed"}, needed.list())
		requirePeersGone(t, network, a, b)
	})
}

// A constructor that fails after its pool has begun leaves nothing.
func TestP1_ConstructorWithAPoolThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		settings := SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}
		settings.SetLite(true)
		_, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(ofServers(t, 1, virtualSTUN))
		require.ErrorIs(t, err, ErrInvalidArgument)
		synctest.Wait()
		require.Zero(t, network.OpenSockets(0))

		settings = SettingEngine{Net: &brokenNet{Net: network.Net(0), sockets: true}, LoggerFactory: quietLogs}
		pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(ofServers(t, 1, virtualSTUN))
		require.NoError(t, err)
		var failed []error
		pc.OnICECandidateError(func(e *ICECandidateError) { failed = append(failed, e) })
		require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
		synctest.Wait()
		require.NotEmpty(t, failed)
		require.ErrorIs(t, errors.Join(failed...), errBrokenNet)
		require.NoError(t, pc.Close())
	})
}

// Without a pool a connection has as many goroutines as before, and no socket.
func TestI10_WithoutAPoolNothingBegins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		begin := runtime.NumGoroutine()
		pc, _ := newPoolPeer(t, network, ofServers(t, 0, virtualSTUN))
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine()-begin, 1)
		require.Zero(t, network.OpenSockets(0))
		require.Zero(t, network.Sent(0))
		leavesNothing(t, network, pc)
	})
}
