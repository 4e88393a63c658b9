package webrtc

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// answeringNet is a network some of whose calls a test answers itself.
type answeringNet struct {
	transport.Net

	mu         sync.Mutex
	listen     func(network string, local *net.UDPAddr) error
	interfaces func(all []*transport.Interface) []*transport.Interface
}

func (n *answeringNet) set(f func()) { n.mu.Lock(); defer n.mu.Unlock(); f() }

func (n *answeringNet) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	n.mu.Lock()
	listen := n.listen
	n.mu.Unlock()
	if listen != nil {
		if err := listen(network, local); err != nil {
			return nil, err
		}
	}

	return n.Net.ListenUDP(network, local)
}

func (n *answeringNet) Interfaces() ([]*transport.Interface, error) {
	n.mu.Lock()
	f := n.interfaces
	n.mu.Unlock()
	all, err := n.Net.Interfaces()
	if f != nil && err == nil {
		all = f(all)
	}

	return all, err
}

func roamingOver(tb testing.TB, networks int, role ICERole, opts ...testnet.Option) (a, b *stack, network *testnet.Network, own *answeringNet) {
	tb.Helper()
	settings := SettingEngine{}
	settings.ICE.ContinualGathering = true
	network = testnet.Pair(tb, append(opts, testnet.Networks(networks))...)
	other := ICERoleControlled
	if role == ICERoleControlled {
		other = ICERoleControlling
	}
	a = quickStack(tb, role, settings, network, 0)
	own = &answeringNet{Net: network.Net(0)}
	settings.Net = own
	settings.LoggerFactory = quietLogs
	require.NoError(tb, a.ice.Stop())
	a.api = NewAPI(WithSettingEngine(settings))
	a.useServers(tb, ICETransportPolicyAll)
	b = quickStack(tb, other, SettingEngine{}, network, 1)

	return a, b, network, own
}

// An address that cannot be bound at first is tried again: an IPv6 one is tentative
// for a second or more after the interface has it.
func TestI10_AddressThatCannotBeBoundAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 3, ICERoleControlling)
		connect(t, a, b)
		second := testnet.Address(0, 1)
		var failures atomic.Int32
		own.set(func() {
			own.listen = func(_ string, local *net.UDPAddr) error {
				if local.IP.String() == second && failures.Load() == 0 {
					failures.Add(1)

					return &net.OpError{Op: "listen", Net: "udp", Err: syscall.EADDRNOTAVAIL}
				}

				return nil
			}
		})
		network.Move(0, 0, 1)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, failures.Load())
		assert.Contains(t, localTexts(t, a.gatherer), second, "after a minute")
		network.Move(0, 0)
		time.Sleep(time.Minute)
		network.Move(0, 0, 1)
		time.Sleep(time.Minute)
		assert.Contains(t, localTexts(t, a.gatherer), second, "after it has gone and returned")
		requireNothingLeft(t, network, a, b)
	})
}

// A restart that is dropped while a round is under way: the round's candidates are
// told afterwards.
func TestI10_RoundUnderWayAndARestartDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 3, ICERoleControlled)
		connect(t, a, b)
		second := testnet.Address(0, 1)
		own.set(func() {
			own.listen = func(_ string, local *net.UDPAddr) error {
				if local.IP.String() == second {
					time.Sleep(time.Second)
				}

				return nil
			}
		})
		network.Move(0, 0, 1)
		for a.gatherer.State() != ICEGathererStateGathering {
			time.Sleep(10 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := a.ice.Restart(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)
		assert.Contains(t, localTexts(t, a.gatherer), second, "after a minute")
		requireNothingLeft(t, network, a, b)
	})
}

// The questions of a round that a dropped restart has interrupted do not count in the
// next one.
func TestI10_QuestionsOfAnEarlierRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, _ := roamingOver(t, 4, ICERoleControlled)
		a.useServers(t, ICETransportPolicyAll, silentSTUN)
		signal(t, a, b)
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(t.Context(), peer) }))
		require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
		results := func() []ICEServerResult {
			r, err := a.gatherer.GetServerResults()
			require.NoError(t, err)

			return r
		}
		network.Move(0, 0, 1)
		for a.gatherer.State() != ICEGathererStateGathering {
			time.Sleep(10 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := a.ice.Restart(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, ICEGathererStateComplete, a.gatherer.State())
		var failed serverErrors
		failed.record(a.gatherer)
		network.Move(0, 0, 1, 2)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		all := results()
		last := all[len(all)-1]
		assert.Equal(t, defaultServerTimeout, last.Duration.Round(time.Millisecond), "the last question has its time")
		assert.Len(t, failed.all(), 2, "and its error is told, as that of the earlier one is")
		requireNothingLeft(t, network, a, b)
	})
}

// An address that moves to another interface (a bridge, a bond, a cable in place of
// Wi-Fi) is there.
func TestI10_AddressOnAnotherInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 3, ICERoleControlling)
		network.Move(0, 0, 1)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		own.set(func() {
			own.interfaces = func(all []*transport.Interface) (renamed []*transport.Interface) {
				for _, i := range all {
					if i.Name == "eth0" || i.Name == "eth1" {
						d := i.Interface
						d.Name = "br" + i.Name
						n := transport.NewInterface(d)
						addrs, _ := i.Addrs()
						for _, x := range addrs {
							n.AddAddress(x)
						}
						i = n
					}
					renamed = append(renamed, i)
				}

				return renamed
			}
		})
		log := logCandidates(a.gatherer)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, log.take())
		assert.False(t, agentOf(a).isStranded(), "the pair's address is there")
		exchange(t, from, to)
		// A real loss is not left any more: every pair is on a lost address.
		pair, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		left := 0
		if pair.Local.Address == testnet.Address(0, 0) {
			left = 1
		}
		network.Move(0, left)
		time.Sleep(defaultNetworkMonitorInterval + 100*time.Millisecond)
		pair, err = a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		assert.Equal(t, testnet.Address(0, left), pair.Local.Address, "left at once")
		requireNothingLeft(t, network, a, b)
	})
}

// GatherContext ends with its context, whatever the network does.
func TestI1_InterfacesThatBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 1, ICERoleControlling)
		own.set(func() {
			own.interfaces = func(all []*transport.Interface) []*transport.Interface {
				time.Sleep(time.Hour)

				return all
			}
		})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.gatherer.GatherContext(ctx)
		assert.Error(t, err)
		assert.Less(t, time.Since(begin), 2*time.Second)
		require.NoError(t, a.ice.Stop())
		time.Sleep(2 * time.Hour) // the program's own
		requireNothingLeft(t, network, a, b)
	})
}

// The same for a context that ends when the host candidates are not there yet.
func TestI10_HostsOfARoundThatWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 3, ICERoleControlling)
		first, second := testnet.Address(0, 0), testnet.Address(0, 1)
		own.set(func() {
			own.listen = func(_ string, local *net.UDPAddr) error {
				switch local.IP.String() {
				case first:
					time.Sleep(3 * time.Second)
				case second:
					time.Sleep(2 * time.Second)
				}

				return nil
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.gatherer.GatherContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		network.Move(0, 0, 1)
		time.Sleep(time.Minute)
		assert.Contains(t, localTexts(t, a.gatherer), second)
		requireNothingLeft(t, network, a, b)
	})
}

// Nothing is gathered for a restart before its description is set.
func TestI10_RestartThatIsNotDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := roamingPeers(t)
		// A restart that both have described, and whose checks find nothing yet.
		network.Cut(true)
		a.RestartICE()
		offer, err := a.CreateOffer(nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(t.Context(), offer))
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		answer, err := b.CreateAnswer(nil)
		require.NoError(t, err)
		require.NoError(t, b.SetLocalDescriptionContext(t.Context(), answer))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		time.Sleep(100 * time.Millisecond)
		// Another one, created and not set.
		a.RestartICE()
		again, err := a.CreateOffer(nil)
		require.NoError(t, err)
		a.gatherer.OnLocalCandidate(func(c *ICECandidate) {
			if c != nil {
				ufrag, _ := c.ufrag()
				assert.NotContains(t, again.SDP, ufrag, "told before its description is set")
			}
		})
		time.Sleep(3 * time.Second)
		network.Move(0, 0, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		a.gatherer.OnLocalCandidate(nil)
		require.NoError(t, a.SetLocalDescriptionContext(t.Context(), again))
		assert.Len(t, localTexts(t, a.gatherer), 2, "each address once")
		requirePeersGone(t, network, a, b)
	})
}
