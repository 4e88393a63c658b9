package webrtc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// signalingDelay is how long the tests' signaling takes, one way.
const signalingDelay = 60 * time.Millisecond

// mover is a connection whose sides move between networks.
type mover struct {
	network  *testnet.Network
	networks int
	random   *rand.Rand
	on       [2]int // the network of each side

	ice     [2]*ICETransport
	restart func(tb testing.TB, first int) // by that side, with signaling that takes its time
}

func newMover(network *testnet.Network, networks int, a, b *ICETransport) *mover {
	return &mover{network: network, networks: networks, random: rand.New(rand.NewPCG(5, 5)), ice: [2]*ICETransport{a, b}}
}

// upTo is a time below a limit.
func (m *mover) upTo(limit time.Duration) time.Duration {
	return time.Duration(m.random.Int64N(int64(limit)))
}

func (m *mover) inUse() (agents [2]*iceAgent) {
	for i, t := range m.ice {
		t.life.mu.Lock()
		agents[i] = t.agent
		t.life.mu.Unlock()
	}

	return agents
}

// arrive puts a side on a network that it was not on.
func (m *mover) arrive(side int) {
	m.on[side] = (m.on[side] + 1 + m.random.IntN(m.networks-1)) % m.networks
	m.network.Move(side, m.on[side])
}

// move has sides lose their network at once, and find another one some time later.
// The first of them restarts, some of the time when the network has just gone again.
func (m *mover) move(tb testing.TB, again bool, sides ...int) {
	tb.Helper()
	before := m.inUse()
	for _, side := range sides {
		m.network.Move(side)
	}
	time.Sleep(m.upTo(3 * time.Second))
	for _, side := range sides {
		m.arrive(side)
		if again { // of the restart the checks have hardly begun
			m.restart(tb, side)
			time.Sleep(m.upTo(10 * time.Millisecond))
			m.arrive(side)
		}
	}
	m.restart(tb, sides[0])
	m.awaitPath(tb, before)
	time.Sleep(m.upTo(3 * time.Second)) // SCTP needs a second of it to catch up
}

// awaitPath waits until both sides use a path between the addresses that they have.
func (m *mover) awaitPath(tb testing.TB, before [2]*iceAgent) {
	tb.Helper()
	begin := time.Now()
	for range 3000 {
		agents := m.inUse()
		if agents[0] != before[0] && agents[1] != before[1] && m.isHere(agents) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatalf("no new path within %v", time.Since(begin))
}

func (m *mover) isHere(agents [2]*iceAgent) bool {
	for side, agent := range agents {
		pair, err := agent.GetSelectedCandidatePair()
		if err != nil || pair == nil || pair.Local.Address() != testnet.Address(side, m.on[side]) ||
			pair.Remote.Address() != testnet.Address(1-side, m.on[1-side]) {
			return false
		}
	}

	return true
}

// numbers has numbered messages go from one channel to another. stop returns how
// many there were when the last has come, or what has come instead of one.
func numbers(from, to *DataChannel, pause time.Duration) (stop func() (int, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	sent, received := make(chan error, 1), make(chan error, 1)
	count := 0
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := from.SendTextContext(context.Background(), fmt.Sprint(n)); err != nil {
				sent <- err

				return
			}
			time.Sleep(pause)
		}
		sent <- from.SendTextContext(context.Background(), "end")
	}()
	go func() {
		for ; ; count++ {
			m, err := to.ReceiveContext(context.Background())
			if err == nil && string(m.Data) != "end" {
				if string(m.Data) == fmt.Sprint(count) {
					continue
				}
				err = fmt.Errorf("%s instead of %d", m.Data, count)
			}
			received <- err

			return
		}
	}()

	return func() (int, error) {
		cancel()
		if err := <-sent; err != nil {
			return count, err
		}

		return count, <-received
	}
}

// countHandshakes counts the records of DTLS handshakes from now on: nothing
// else begins like that.
func countHandshakes(network *testnet.Network) *atomic.Int64 {
	var records atomic.Int64
	network.OnPacket(func(_ int, payload []byte) bool {
		if len(payload) > 0 && payload[0] == 22 {
			records.Add(1)
		}

		return false
	})

	return &records
}

// run moves a connection whose channels are open, and checks what must not change.
func (m *mover) run(t *testing.T, moves int, from, to *DataChannel) {
	t.Helper()
	handshakes := countHandshakes(m.network)
	synctest.Wait()
	goroutines := goroutinesInBubbles()
	const pause = 20 * time.Millisecond
	stops := []func() (int, error){numbers(from, to, pause), numbers(to, from, pause)}
	for i := range moves {
		sides := [][]int{{0}, {1}, {0, 1}, {1, 0}}[i%4]
		m.move(t, i%7 == 6, sides...)
	}
	for _, stop := range stops {
		count, err := stop()
		require.NoError(t, err)
		assert.Greater(t, count, moves)
	}
	assert.Zero(t, handshakes.Load(), "DTLS has begun anew")
	time.Sleep(drainTime + time.Second)
	synctest.Wait()
	for side := range m.ice {
		assert.Equal(t, 1, m.network.OpenSockets(side), "sockets of earlier networks are closed")
	}
	assert.Equal(t, goroutines, goroutinesInBubbles())
}

// moves is how often a test moves its connection.
func moves(full int) int {
	if raceEnabled {
		return max(full/50, 10)
	}

	return full
}

// restartByHand takes both sides through a restart, the first of which begins it.
func restartByHand(sides [2]*stack) func(tb testing.TB, first int) {
	return func(tb testing.TB, first int) {
		tb.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		params, candidates := [2]ICEParameters{}, [2][]ICECandidate{}
		begin := func(side int) {
			var err error
			params[side], err = sides[side].ice.Restart(ctx)
			require.NoError(tb, err)
			candidates[side], err = sides[side].gatherer.GetLocalCandidates()
			require.NoError(tb, err)
		}
		take := func(side int) {
			require.NoError(tb, sides[side].ice.SetRemoteParameters(params[1-side]))
			require.NoError(tb, sides[side].ice.SetRemoteCandidates(candidates[1-side]))
		}
		begin(first)
		time.Sleep(signalingDelay)
		begin(1 - first)
		take(1 - first)
		time.Sleep(signalingDelay)
		take(first)
	}
}

// A connection whose sides lose their network 1,000 times, one of them or both,
// loses no message, and nothing above ICE notices.
func TestI5_MovesBetweenNetworks(t *testing.T) {
	const networks = 4
	for name, c := range map[string]struct {
		moves int
		opts  []testnet.Option
	}{
		"clean":       {1000, nil},
		"loss":        {300, []testnet.Option{testnet.Loss(0.05, 7)}},
		"writes fail": {300, []testnet.Option{testnet.FailWrites(errors.New("network is unreachable"))}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := append([]testnet.Option{testnet.Networks(networks), testnet.Delay(20 * time.Millisecond)}, c.opts...)
				a, b, network := quickPair(t, opts...)
				connect(t, a, b)
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				records := []*record{watch(a), watch(b)}
				association := a.sctp.association()
				m := newMover(network, networks, a.ice, b.ice)
				m.restart = restartByHand([2]*stack{a, b})
				begin := time.Now()
				m.run(t, moves(c.moves), from, to)
				t.Logf("%v of virtual time", time.Since(begin))
				for _, r := range records {
					assert.Empty(t, r.of("DTLS"))
					assert.Empty(t, r.of("SCTP"))
				}
				assert.Same(t, association, a.sctp.association())
				exchange(t, from, to)
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// A transfer goes on with the new path, however long there was none: it does not
// wait for the timer of SCTP, whose time has grown meanwhile.
func TestI5_DataGoesWithTheNewPath(t *testing.T) {
	for _, gap := range []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second} {
		for _, mover := range []int{0, 1} {
			t.Run(fmt.Sprint(gap, " side ", mover), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b, network := quickPair(t, testnet.Networks(2), testnet.Delay(20*time.Millisecond),
						testnet.Bandwidth(10_000_000, 100_000))
					connect(t, a, b)
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					m := newMover(network, 2, a.ice, b.ice)
					m.restart = restartByHand([2]*stack{a, b})
					ctx, cancel := context.WithCancel(context.Background())
					var received atomic.Int64
					done := make(chan struct{}, 2)
					go func() {
						defer func() { done <- struct{}{} }()
						for from.SendContext(ctx, make([]byte, 1000)) == nil {
						}
					}()
					go func() {
						defer func() { done <- struct{}{} }()
						for {
							if _, err := to.ReceiveContext(ctx); err != nil {
								return
							}
							received.Add(1)
						}
					}()
					time.Sleep(500 * time.Millisecond)
					before := m.inUse()
					network.Move(mover)
					time.Sleep(gap)
					synctest.Wait()
					m.arrive(mover)
					m.restart(t, mover)
					m.awaitPath(t, before)
					count, begin := received.Load(), time.Now()
					for received.Load() == count {
						time.Sleep(5 * time.Millisecond)
					}
					t.Logf("the first message within %v", time.Since(begin))
					assert.Less(t, time.Since(begin), 200*time.Millisecond)
					cancel()
					<-done
					<-done
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}
