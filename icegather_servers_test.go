package webrtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// virtualTURN runs a TURN server, which answers binding requests too, on the
// second host of a network.
func virtualTURN(t *testing.T, network *testnet.Network, port int, change func(*turn.ServerConfig)) *turn.Server {
	t.Helper()
	conn, err := network.Net(1).ListenPacket("udp4", fmt.Sprintf("10.0.0.2:%d", port))
	require.NoError(t, err)
	config := turn.ServerConfig{
		Realm: turnRealm, LoggerFactory: quietLogs,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(turnUser, turnRealm, turnPassword), ra.Username == turnUser
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.IPv4(10, 0, 0, 2), Address: "10.0.0.2", Net: network.Net(1),
			},
		}},
	}
	if change != nil {
		change(&config)
	}
	server, err := turn.NewServer(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() }) // a test may have closed it

	return server
}

const (
	virtualPort = 3478
	virtualSTUN = "stun:10.0.0.2:3478"
	virtualURL  = "turn:10.0.0.2:3478"
)

// serverErrors are what OnLocalCandidateError told.
type serverErrors struct {
	mu   sync.Mutex
	told []*ICECandidateError
}

func (f *serverErrors) record(g *ICEGatherer) {
	g.OnLocalCandidateError(func(e *ICECandidateError) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, e)
	})
}

func (f *serverErrors) all() []*ICECandidateError {
	f.mu.Lock()
	defer f.mu.Unlock()

	return append([]*ICECandidateError(nil), f.told...)
}

// useServers replaces the gatherer of a stack by one that asks servers.
func (s *stack) useServers(tb testing.TB, policy ICETransportPolicy, urls ...string) {
	tb.Helper()
	require.NoError(tb, s.ice.Stop())
	opts := ICEGatherOptions{ICEGatherPolicy: policy}
	for _, url := range urls {
		opts.ICEServers = append(opts.ICEServers,
			ICEServer{URLs: []string{url}, Username: turnUser, Credential: turnPassword})
	}
	var err error
	s.gatherer, err = s.api.NewICEGatherer(opts)
	require.NoError(tb, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, []Certificate{bubbleCertificate(tb)})
	require.NoError(tb, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
	ice := s.ice
	tb.Cleanup(func() { _ = ice.Stop() })
}

// At its deadline GatherContext tells of every server which one it was, the
// step, and how long it took; the events say the same, before the nil candidate.
func TestI1_GatherContextTellsWhatServersWereAt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		a.useServers(t, ICETransportPolicyAll, virtualURL, silentSTUN, silentTURN)
		var told gathering
		told.record(a.gatherer)
		var failed serverErrors
		failed.record(a.gatherer)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		candidates, err := a.gatherer.GatherContext(ctx)
		require.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var one *ICECandidateError
		require.ErrorAs(t, err, &one)
		assert.Equal(t, silentSTUN, one.URL)
		for _, text := range []string{
			silentSTUN + ": binding after 1s", silentTURN + ": binding after 1s", silentTURN + ": allocate after 1s",
		} {
			assert.ErrorContains(t, err, text)
		}
		assert.NotContains(t, err.Error(), virtualURL)
		var types []ICECandidateType
		for _, c := range candidates {
			types = append(types, c.Typ)
		}
		require.Equal(t, []ICECandidateType{
			ICECandidateTypeHost, ICECandidateTypeSrflx, ICECandidateTypeRelay,
		}, types)
		require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
		synctest.Wait()
		require.Equal(t, []string{
			"gathering", "host", "srflx", "relay", "complete", "nil while complete",
		}, told.all())
		require.Len(t, failed.all(), 3)
		for _, e := range failed.all() {
			assert.Equal(t, 701, e.ErrorCode)
			assert.Equal(t, time.Second, e.Duration)
			require.ErrorIs(t, e, context.DeadlineExceeded)
		}

		results, err := a.gatherer.GetServerResults()
		require.NoError(t, err)
		require.Len(t, results, 5)
		assert.Equal(t, ICEServerResult{
			URL: virtualURL, Typ: ICECandidateTypeSrflx, Network: "udp4",
			Step: ICEGatherStepDone, Duration: 20 * time.Millisecond,
		}, results[0])
		assert.Equal(t, ICEServerResult{
			URL: virtualURL, Typ: ICECandidateTypeRelay, Network: "udp4",
			Step: ICEGatherStepDone, Duration: 40 * time.Millisecond,
		}, results[1])
		assert.Equal(t, ICEGatherStepBinding, results[2].Step)
		assert.Equal(t, ICEGatherStepAllocate, results[4].Step)

		// The transport lives, and the sockets of the silent are gone.
		require.Equal(t, ICETransportStateNew, a.ice.State())
		require.Equal(t, 3, network.OpenSockets(0))
		require.NoError(t, a.ice.Stop())
		time.Sleep(time.Second)
		require.Zero(t, network.OpenSockets(0))
		require.Len(t, failed.all(), 3)
	})
}

// Servers are asked side by side: all together take no longer than the slowest,
// however many there are.
func TestI1_ServersSideBySide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		urls := make([]string, 16)
		for i := range urls {
			urls[i] = fmt.Sprintf("turn:10.0.0.2:%d", virtualPort+i)
			if i%2 == 0 {
				virtualTURN(t, network, virtualPort+i, nil)
			}
		}
		a.useServers(t, ICETransportPolicyAll, urls...)
		var first time.Duration
		begin := time.Now()
		var relayed int
		a.gatherer.OnLocalCandidate(func(c *ICECandidate) {
			if c != nil && c.Typ == ICECandidateTypeRelay {
				relayed++
				first = time.Since(begin)
			}
		})
		_, err := a.gatherer.GatherContext(t.Context())
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(begin), "the time of those that are silent")
		synctest.Wait()
		require.Equal(t, 8, relayed)
		require.Equal(t, 40*time.Millisecond, first, "the silent delay none")
		require.NoError(t, a.ice.Stop())
		time.Sleep(time.Second)
		require.Zero(t, network.OpenSockets(0))
	})
}

// The end of the gatherer at any time of gathering takes no time, and leaves
// nothing but, for half a second, what releases an allocation.
func TestL11_StopWhileServersAreAsked(t *testing.T) {
	for _, at := range []int{0, 5, 10, 15, 20, 25, 30, 39, 40, 41, 60, 1000, 4999, 5000, 5001} {
		bubble(t, func(t *testing.T) {
			network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
			server := virtualTURN(t, network, virtualPort, nil)
			a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
			a.useServers(t, ICETransportPolicyAll, virtualSTUN, virtualURL, silentTURN, silentSTUN)
			require.NoError(t, a.gatherer.Gather())
			time.Sleep(time.Duration(at) * time.Millisecond)
			begin := time.Now()
			require.NoError(t, a.ice.Stop())
			require.Zero(t, time.Since(begin))
			require.LessOrEqual(t, network.OpenSockets(0), 1, "at %d ms", at)
			require.NoError(t, a.ice.Run(t.Context()), "waits for it")
			require.LessOrEqual(t, time.Since(begin), 500*time.Millisecond)
			require.Zero(t, network.OpenSockets(0))
			require.Zero(t, server.AllocationCount())
			switch {
			case at < 20: // there was nothing to release
				require.Zero(t, time.Since(begin))
			case at > 40:
				require.Equal(t, 20*time.Millisecond, time.Since(begin), "the server's answer")
			}
		})
	}
}

// stuckNet is a network whose resolver does not return.
type stuckNet struct {
	transport.Net

	entered, leave chan struct{}
}

func (n stuckNet) ResolveIPAddr(string, string) (*net.IPAddr, error) {
	n.entered <- struct{}{}
	<-n.leave

	return nil, errors.New("too late")
}

// A resolver that does not answer, and one that knows no context, holds up
// neither Stop nor the end of gathering.
func TestL11_SilentResolver(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *stack, entered chan struct{}){
		"Stop": func(t *testing.T, a *stack, entered chan struct{}) {
			require.NoError(t, a.gatherer.Gather())
			<-entered
			require.NoError(t, a.ice.Stop())
		},
		"context": func(t *testing.T, a *stack, entered chan struct{}) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-entered
				synctest.Wait() // all are being asked
				cancel()
			}()
			_, err := a.gatherer.GatherContext(ctx)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "turn:name.example: resolve")
		},
		"timeout": func(t *testing.T, a *stack, _ chan struct{}) {
			_, err := a.gatherer.GatherContext(t.Context())
			require.NoError(t, err)
			require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
			results, err := a.gatherer.GetServerResults()
			require.NoError(t, err)
			for _, r := range results {
				require.Equal(t, ICEGatherStepResolve, r.Step)
				require.ErrorIs(t, r.Err, context.DeadlineExceeded)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t)
				stuck := stuckNet{network.Net(0), make(chan struct{}, 9), make(chan struct{})}
				defer close(stuck.leave)
				a := newStack(t, ICERoleControlling, SettingEngine{Net: stuck})
				a.useServers(t, ICETransportPolicyAll, "stun:name.example", "turn:name.example")
				begin := time.Now()
				end(t, a, stuck.entered)
				if name == "timeout" {
					require.Equal(t, 5*time.Second, time.Since(begin))
				} else {
					require.Zero(t, time.Since(begin))
				}
				begin = time.Now()
				require.NoError(t, a.ice.Stop())
				require.Zero(t, time.Since(begin))
				require.Zero(t, network.OpenSockets(0))
			})
		})
	}
}

// The handler of errors may end the gatherer, and a blocked one blocks nothing.
func TestI1_ErrorHandlers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
		a.useServers(t, ICETransportPolicyAll, silentSTUN)
		a.gatherer.OnLocalCandidateError(func(*ICECandidateError) { _ = a.gatherer.Close() })
		require.NoError(t, a.gatherer.Gather())
		time.Sleep(6 * time.Second)
		require.Equal(t, ICEGathererStateClosed, a.gatherer.State())
		require.Zero(t, network.OpenSockets(0))

		b := quickStack(t, ICERoleControlling, SettingEngine{}, network, 1)
		b.useServers(t, ICETransportPolicyAll, silentSTUN)
		leave := make(chan struct{})
		defer close(leave)
		b.gatherer.OnLocalCandidateError(func(*ICECandidateError) { <-leave })
		candidates, err := b.gatherer.GatherContext(t.Context())
		require.NoError(t, err)
		require.Len(t, candidates, 1)
		require.NoError(t, b.gatherer.Close())
	})
}

// The credentials of a TURN server are asked for each time that it is to relay,
// and its answer is waited for no longer than for the server.
func TestI10_TURNCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		var asked []string
		answer := func(context.Context) (string, string, error) { return turnUser, turnPassword, nil }
		settings := SettingEngine{}
		settings.ICE.TURNCredentials = func(ctx context.Context, url string) (string, string, error) {
			asked = append(asked, url)

			return answer(ctx)
		}
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		gather := func() ([]ICECandidate, []ICEServerResult) {
			require.NoError(t, a.ice.Stop())
			opts := ICEGatherOptions{ICEServers: []ICEServer{
				{URLs: []string{virtualURL}, Username: "stale", Credential: "stale"},
			}, ICEGatherPolicy: ICETransportPolicyRelay}
			var err error
			a.gatherer, err = a.api.NewICEGatherer(opts)
			require.NoError(t, err)
			a.ice = a.api.NewICETransport(a.gatherer)
			candidates, err := a.gatherer.GatherContext(t.Context())
			require.NoError(t, err)
			results, err := a.gatherer.GetServerResults()
			require.NoError(t, err)

			return candidates, results
		}
		candidates, _ := gather()
		require.Len(t, candidates, 1)
		require.Equal(t, []string{"turn:10.0.0.2:3478?transport=udp"}, asked)
		gather()
		require.Len(t, asked, 2)

		refused := errors.New("the shop is closed")
		answer = func(context.Context) (string, string, error) { return "", "", refused }
		candidates, results := gather()
		require.Empty(t, candidates)
		require.Equal(t, ICEGatherStepCredentials, results[0].Step)
		require.ErrorIs(t, results[0].Err, refused)

		answer = func(context.Context) (string, string, error) { return "", "", a.gatherer.Close() }
		_ = a.ice.Stop()
		a.useServers(t, ICETransportPolicyRelay, virtualURL)
		_, err := a.gatherer.GatherContext(t.Context())
		require.ErrorIs(t, err, ErrClosed)

		leave := make(chan struct{})
		defer close(leave)
		answer = func(context.Context) (string, string, error) { <-leave; return "", "", nil } //nolint:nlreturn // short
		begin := time.Now()
		_, results = gather()
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, ICEGatherStepCredentials, results[0].Step)
		require.NoError(t, a.ice.Stop())
		time.Sleep(time.Second)
	})
}

// A port range, filters and a policy hold for what servers tell.
func TestI10_ServersAndSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *SettingEngine)
		policy ICETransportPolicy
		want   []ICECandidateType
		check  func(t *testing.T, candidates []ICECandidate)
	}{
		"all": {
			func(*SettingEngine) {}, ICETransportPolicyAll,
			[]ICECandidateType{ICECandidateTypeHost, ICECandidateTypeSrflx, ICECandidateTypeRelay},
			nil,
		},
		"relay": {
			func(*SettingEngine) {}, ICETransportPolicyRelay, []ICECandidateType{ICECandidateTypeRelay}, nil,
		},
		"no host": {
			func(*SettingEngine) {}, ICETransportPolicyNoHost,
			[]ICECandidateType{ICECandidateTypeSrflx, ICECandidateTypeRelay},
			nil,
		},
		"ports": {
			func(s *SettingEngine) { _ = s.SetEphemeralUDPPortRange(7000, 7001) }, ICETransportPolicyNoHost,
			[]ICECandidateType{ICECandidateTypeSrflx, ICECandidateTypeRelay},
			func(t *testing.T, candidates []ICECandidate) {
				for _, c := range candidates {
					if c.Typ == ICECandidateTypeSrflx {
						require.Contains(t, []uint16{7000, 7001}, c.Port)
						require.Equal(t, c.Port, c.RelatedPort)
					}
				}
			},
		},
		"interface": {
			func(s *SettingEngine) { s.SetInterfaceFilter(func(name string) bool { return name == "eth0" }) },
			ICETransportPolicyNoHost,
			[]ICECandidateType{ICECandidateTypeSrflx, ICECandidateTypeRelay},
			func(t *testing.T, candidates []ICECandidate) {
				for _, c := range candidates {
					require.Equal(t, "10.0.0.1", c.RelatedAddress, "asked from there alone")
				}
			},
		},
		"no interface": {
			func(s *SettingEngine) { s.SetInterfaceFilter(func(string) bool { return false }) },
			ICETransportPolicyAll, nil, nil,
		},
		"IPv6 alone": {
			func(s *SettingEngine) { s.SetNetworkTypes([]NetworkType{NetworkTypeUDP6}) },
			ICETransportPolicyAll, nil, nil,
		},
		"a rule instead of STUN": {
			func(s *SettingEngine) {
				_ = s.SetICEAddressRewriteRules(ICEAddressRewriteRule{
					External: []string{"192.0.2.9"}, AsCandidateType: ICECandidateTypeSrflx, Mode: ICEAddressRewriteReplace,
				})
			},
			ICETransportPolicyNoHost,
			[]ICECandidateType{ICECandidateTypeSrflx, ICECandidateTypeRelay},
			func(t *testing.T, candidates []ICECandidate) {
				for _, c := range candidates {
					if c.Typ == ICECandidateTypeSrflx {
						require.Equal(t, "192.0.2.9", c.Address)
					}
				}
			},
		},
		"a rule for relays": {
			func(s *SettingEngine) {
				_ = s.SetICEAddressRewriteRules(ICEAddressRewriteRule{
					External: []string{"192.0.2.9"}, AsCandidateType: ICECandidateTypeRelay,
				})
			},
			ICETransportPolicyRelay,
			[]ICECandidateType{ICECandidateTypeRelay, ICECandidateTypeRelay},
			func(t *testing.T, candidates []ICECandidate) {
				require.Equal(t, "10.0.0.2", candidates[0].Address)
				require.Equal(t, "192.0.2.9", candidates[1].Address)
				require.Equal(t, candidates[0].Port, candidates[1].Port)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				server := virtualTURN(t, network, virtualPort, nil)
				var settings SettingEngine
				c.change(&settings)
				a := quickStack(t, ICERoleControlling, settings, network, 0)
				a.useServers(t, c.policy, virtualSTUN, "turn:10.0.0.2:3478?transport=udp")
				candidates, err := a.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				var got []ICECandidateType
				for _, candidate := range candidates {
					got = append(got, candidate.Typ)
				}
				want := c.want
				if slices.Contains(want, ICECandidateTypeSrflx) && name != "a rule instead of STUN" {
					want = append(slices.Clone(want), ICECandidateTypeSrflx) // the TURN server answers binding requests too
				}
				require.ElementsMatch(t, want, got)
				if c.check != nil {
					c.check(t, candidates)
				}
				require.NoError(t, a.ice.Stop())
				time.Sleep(time.Second)
				require.Zero(t, network.OpenSockets(0))
				require.Zero(t, server.AllocationCount())
			})
		})
	}
}

// The servers of a restart are asked anew for it, and what the former agent was
// given is released with it.
func TestI10_RestartAsksServersAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		server := virtualTURN(t, network, virtualPort, nil)
		settings := SettingEngine{}
		settings.SetRelayAcceptanceMinWait(0)
		a := quickStack(t, ICERoleControlling, settings, network, 0)
		b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
		a.useServers(t, ICETransportPolicyRelay, virtualURL)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "relayed", Ordered: true})
		require.Equal(t, 1, server.AllocationCount())
		before, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)

		var params [2]ICEParameters
		for i, s := range []*stack{a, b} {
			params[i], err = s.ice.Restart(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 2, server.AllocationCount())
		require.NoError(t, a.ice.SetRemoteParameters(params[1]))
		require.NoError(t, b.ice.SetRemoteParameters(params[0]))
		for _, p := range [][2]*stack{{a, b}, {b, a}} {
			candidates, err := p[0].gatherer.GetLocalCandidates()
			require.NoError(t, err)
			require.NoError(t, p[1].ice.SetRemoteCandidates(candidates))
		}
		time.Sleep(10 * time.Second)
		after, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.Equal(t, ICECandidateTypeRelay, after.Local.Typ)
		require.NotEqual(t, before.Local.Port, after.Local.Port)
		require.Equal(t, 1, server.AllocationCount())
		exchange(t, from, to)
		require.NoError(t, a.ice.Stop())
		require.NoError(t, b.ice.Stop())
		time.Sleep(time.Second)
		require.Zero(t, server.AllocationCount())
		require.Zero(t, network.OpenSockets(0))
	})
}

// A PeerConnection forwards the errors, and its statistics name the servers.
func TestI1_PeerConnectionTellsServerErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		pc := newPeer(t, SettingEngine{}, network, 0)
		require.NoError(t, pc.SetConfiguration(Configuration{ICEServers: []ICEServer{
			{URLs: []string{virtualURL}, Username: turnUser, Credential: turnPassword}, {URLs: []string{silentSTUN}},
		}}))
		var told []*ICECandidateError
		pc.OnICECandidateError(func(e *ICECandidateError) { told = append(told, e) })
		_, err := pc.CreateDataChannel("", nil)
		require.NoError(t, err)
		require.NoError(t, pc.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
		synctest.Wait()
		require.Len(t, told, 1)
		require.Equal(t, silentSTUN, told[0].URL)
		var stated []string
		for _, s := range pc.GetStats() {
			if c, ok := s.(ICECandidateStats); ok {
				stated = append(stated, fmt.Sprint(c.CandidateType, " ", c.URL, " ", c.RelayProtocol))
			}
		}
		require.ElementsMatch(t, []string{"host  ", "srflx " + virtualURL + " ", "relay " + virtualURL + " udp"}, stated)
		require.NoError(t, pc.Close())
		time.Sleep(time.Second)
		require.Zero(t, network.OpenSockets(0))
	})
}
