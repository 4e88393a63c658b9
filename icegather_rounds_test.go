package webrtc

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// An agent that another restart has replaced does not end the gathering of the other.
func TestI5_ReplacedRestartGathersNoMore(t *testing.T) {
	for _, where := range []string{"before gatherAnew", "in gatherAnew, before begin"} {
		for _, continual := range []bool{false, true} {
			t.Run(where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					settings := SettingEngine{}
					settings.ICE.ContinualGathering = continual
					network := testnet.Pair(t, testnet.Delay(10*time.Millisecond))
					virtualTURN(t, network, virtualPort, nil)
					a := quickStack(t, ICERoleControlling, settings, network, 0)
					b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
					a.useServers(t, ICETransportPolicyAll, virtualSTUN, virtualURL)
					connect(t, a, b)
					one, err := a.ice.prepareRestart("one", false)
					require.NoError(t, err)
					if where != "before gatherAnew" {
						a.gatherer.life.set(func() {
							a.gatherer.life.moveLocked(ICEGathererStateGathering)
							a.gatherer.newest = one
						})
					}
					two, err := a.ice.prepareRestart("two", false)
					require.NoError(t, err)
					require.NoError(t, a.gatherer.gatherAnew("two", two))
					require.Equal(t, ICEGathererStateGathering, a.gatherer.State())
					if where == "before gatherAnew" {
						assert.Error(t, a.gatherer.gatherAnew("one", one))
					} else {
						assert.Error(t, a.gatherer.begin("one", one))
					}
					assert.Equal(t, ICEGathererStateGathering, a.gatherer.State(), "the second still gathers")
					time.Sleep(time.Second)
					synctest.Wait()
					found, err := a.gatherer.GetLocalCandidates()
					require.NoError(t, err)
					types := make(map[ICECandidateType]bool)
					for _, c := range found {
						types[c.Typ] = true
					}
					assert.True(t, types[ICECandidateTypeRelay], "candidates %v", found)
					require.NoError(t, a.ice.Stop())
					require.NoError(t, b.ice.Stop())
					time.Sleep(time.Second)
				})
			})
		}
	}
}

// An address that cannot be bound is tried again, with no round for each try.
func TestI10_UnbindableAddressIsOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 3, ICERoleControlling)
		connect(t, a, b)
		own.set(func() {
			own.listen = func(_ string, local *net.UDPAddr) error {
				if local.IP.String() == testnet.Address(0, 1) {
					return &net.OpError{Op: "listen", Net: "udp", Err: syscall.EADDRNOTAVAIL}
				}

				return nil
			}
		})
		network.Move(0, 0, 1)
		log := logCandidates(a.gatherer)
		time.Sleep(time.Minute)
		synctest.Wait()
		events := log.take()
		assert.LessOrEqual(t, len(events), 3, "%d events", len(events))
		requireNothingLeft(t, network, a, b)
	})
}

// A look while the first round still binds leaves its addresses alone.
func TestI10_LookWhileTheFirstRoundBinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 1, ICERoleControlling)
		own.set(func() {
			own.listen = func(string, *net.UDPAddr) error { time.Sleep(3 * time.Second); return nil }
		})
		_, err := a.gatherer.GatherContext(t.Context())
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{testnet.Address(0, 0)}, localTexts(t, a.gatherer))
		assert.Equal(t, 1, network.OpenSockets(0))
		requireNothingLeft(t, network, a, b)
	})
}

// The same with a restart, whose first round is brief, at the time of a look.
func TestI10_LookWhileARestartBinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 1, ICERoleControlling)
		connect(t, a, b)
		own.set(func() {
			own.listen = func(string, *net.UDPAddr) error { time.Sleep(20 * time.Millisecond); return nil }
		})
		var dup int
		for range 150 {
			_, err := a.ice.Restart(t.Context())
			require.NoError(t, err)
			time.Sleep(17 * time.Millisecond)
			if len(localTexts(t, a.gatherer)) > 1 {
				dup++
			}
		}
		assert.Zero(t, dup, "restarts of 150")
		requireNothingLeft(t, network, a, b)
	})
}

// Servers are asked once from an address that came while there was a pool.
func TestI10_PoolAsksOnceFromALateAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.ICE.ContinualGathering = true
		network := testnet.Pair(t, testnet.Networks(2), testnet.Delay(time.Millisecond))
		virtualTURN(t, network, virtualPort, nil)
		network.Move(0, 0)
		g := newPoolGatherer(t, settings, network)
		time.Sleep(3 * time.Second)
		network.Move(0, 0, 1)
		time.Sleep(5 * time.Second)
		urls, err := serverURLs(ofServers(t, 0, virtualURL).ICEServers)
		require.NoError(t, err)
		require.NoError(t, g.configure("test", urls, true))
		time.Sleep(time.Second)
		_, err = g.GatherContext(t.Context())
		require.NoError(t, err)
		before, err := g.GetServerResults()
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		after, err := g.GetServerResults()
		require.NoError(t, err)
		assert.Len(t, after, len(before), "nothing has changed since")
		require.NoError(t, g.Close())
		time.Sleep(time.Second)
	})
}

// With a filter, GatherContext that ends early has the errors of the servers.
func TestI1_ServersBehindAFilterAreNamed(t *testing.T) {
	for name, filter := range map[string]func(string) bool{"none": nil, "filter": func(string) bool { return true }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := testnet.Pair(t)
				settings := SettingEngine{LoggerFactory: quietLogs}
				settings.ICE.InterfaceFilter = filter
				a := quickStack(t, ICERoleControlling, settings, network, 0)
				settings.Net = &answeringNet{Net: network.Net(0), interfaces: func(all []*transport.Interface) []*transport.Interface {
					time.Sleep(3 * time.Second)

					return all
				}}
				require.NoError(t, a.ice.Stop())
				a.api = NewAPI(WithSettingEngine(settings))
				a.useServers(t, ICETransportPolicyAll, silentSTUN)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := a.gatherer.GatherContext(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var one *ICECandidateError
				assert.ErrorAs(t, err, &one)
				at, err := a.gatherer.GetServerResults()
				require.NoError(t, err)
				time.Sleep(time.Minute)
				later, err := a.gatherer.GetServerResults()
				require.NoError(t, err)
				assert.Equal(t, at, later, "nothing changes after the end")
				require.NoError(t, a.ice.Stop())
			})
		})
	}
}

// Gather of an idle pool returns at once, and GatherContext heeds its context.
func TestI1_IdlePoolAndInterfacesThatBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		own := &answeringNet{Net: network.Net(0)}
		settings := SettingEngine{Net: own, LoggerFactory: quietLogs}
		settings.ICE.InterfaceFilter = func(string) bool { return true }
		g, err := NewAPI(WithSettingEngine(settings)).NewICEGatherer(ICEGatherOptions{
			ICECandidatePoolSize: 1, ICEServers: ofServers(t, 0, silentSTUN).ICEServers,
		})
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.NoError(t, g.configure("test", g.urls, false))
		own.set(func() {
			own.interfaces = func(all []*transport.Interface) []*transport.Interface {
				time.Sleep(time.Hour)

				return all
			}
		})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = g.GatherContext(ctx)
		assert.Error(t, err)
		assert.Less(t, time.Since(begin), 2*time.Second)
		require.NoError(t, g.Close())
		time.Sleep(2 * time.Hour)
	})
}

// A look that began before a newer one of another, and ends after it, takes nothing back.
func TestI10_OlderLookAfterTheFirstRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 2, ICERoleControlling)
		network.Move(0, 0)
		connect(t, a, b)
		slow := true
		own.set(func() {
			own.interfaces = func(all []*transport.Interface) []*transport.Interface {
				own.mu.Lock()
				wait := slow
				slow = false
				own.mu.Unlock()
				if wait {
					time.Sleep(500 * time.Millisecond)
				}

				return all
			}
		})
		for {
			time.Sleep(10 * time.Millisecond)
			own.mu.Lock()
			looking := !slow
			own.mu.Unlock()
			if looking {
				break
			}
		}
		network.Move(0, 0, 1)
		log := logCandidates(a.gatherer)
		_, err := a.ice.Restart(t.Context())
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for _, e := range log.take() {
			assert.NotEqual(t, "-"+testnet.Address(0, 1), e, "it was there all the time")
		}
		requireNothingLeft(t, network, a, b)
	})
}
