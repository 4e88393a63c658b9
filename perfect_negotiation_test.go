package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// signaled is what one side sends the other: a description or a candidate.
type signaled struct {
	description SessionDescription
	candidate   *ICECandidateInit
}

// negotiator is one side of perfect negotiation. All that concerns descriptions
// happens on its one goroutine, which is all that Go needs of what browsers do
// with flags. https://www.w3.org/TR/webrtc/#perfect-negotiation-example
type negotiator struct {
	pc     *PeerConnection
	polite bool
	send   func(signaled)

	in      chan signaled
	needed  chan struct{}
	ignored int
	took    int // our own offers that were taken back
	errs    []error
}

func newNegotiator(pc *PeerConnection, polite bool, send func(signaled)) *negotiator {
	n := &negotiator{
		pc: pc, polite: polite, send: send,
		in: make(chan signaled, 1000), needed: make(chan struct{}, 1),
	}
	pc.OnNegotiationNeeded(func() {
		select {
		case n.needed <- struct{}{}:
		default:
		}
	})
	pc.OnICECandidate(func(candidate *ICECandidate) {
		if candidate != nil {
			init := candidate.ToJSON()
			send(signaled{candidate: &init})
		}
	})

	return n
}

func (n *negotiator) run(ctx context.Context) {
	ignoring := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-n.needed:
			if n.pc.SignalingState() == SignalingStateStable {
				err = n.describe()
			} // else it is told again
		case m := <-n.in:
			switch {
			case m.candidate != nil:
				if err = n.pc.AddICECandidate(*m.candidate); ignoring {
					err = nil
				}
			default:
				collision := m.description.Type == SDPTypeOffer && n.pc.SignalingState() != SignalingStateStable
				if ignoring = collision && !n.polite; ignoring {
					n.ignored++

					continue
				}
				if collision {
					n.took++
				}
				err = n.pc.SetRemoteDescription(m.description)
				if err == nil && m.description.Type == SDPTypeOffer {
					err = n.describe()
				}
			}
		}
		if err != nil {
			n.errs = append(n.errs, err)
		}
	}
}

func (n *negotiator) describe() error {
	if err := n.pc.SetLocalDescription(SessionDescription{}); err != nil {
		return err
	}
	n.send(signaled{description: *n.pc.LocalDescription()})

	return nil
}

func TestP4_PerfectNegotiation(t *testing.T) {
	schedules := 1000
	if raceEnabled {
		schedules = 60
	}
	var ignored, took int
	for seed := range schedules {
		i, b := glare(t, uint64(seed))
		ignored += i
		took += b
		if t.Failed() {
			t.Fatalf("schedule %d", seed)
		}
	}
	// The schedules are worth something only if they collide.
	assert.Greater(t, ignored, schedules/20)
	assert.Greater(t, took, schedules/20)
}

// glare lets both sides make channels, and so offers, at random instants around
// the same time, with signaling of random delay, then checks that they have
// agreed.
func glare(t *testing.T, seed uint64) (ignored, took int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 4))
		a, b, network := peers(t, testnet.Delay(time.Duration(random.IntN(30))*time.Millisecond))
		ctx, cancel := context.WithCancel(context.Background())
		sides := [2]*negotiator{}
		var delays [2]time.Duration
		for i := range delays {
			delays[i] = time.Duration(random.IntN(40)) * time.Millisecond
		}
		for i, pc := range []*PeerConnection{a, b} {
			// In order, as a WebSocket is.
			line := make(chan func(), 1000)
			go func() {
				for deliver := range line {
					deliver()
				}
			}()
			t.Cleanup(func() { close(line) })
			sides[i] = newNegotiator(pc, i == 1, func(m signaled) {
				due := time.Now().Add(delays[i])
				line <- func() {
					time.Sleep(time.Until(due))
					sides[1-i].in <- m
				}
			})
		}
		done := make(chan struct{}, 2)
		for _, side := range sides {
			go func() {
				side.run(ctx)
				done <- struct{}{}
			}()
		}
		channels := [2]*DataChannel{}
		start := make([]time.Duration, 2)
		for i := range start {
			start[i] = time.Duration(random.IntN(60)) * time.Millisecond
		}
		made := make(chan error, 2)
		for i, pc := range []*PeerConnection{a, b} {
			go func() {
				time.Sleep(start[i])
				var err error
				channels[i], err = pc.CreateDataChannel(fmt.Sprint("from ", i), nil)
				made <- err
			}()
		}
		for range 2 {
			require.NoError(t, <-made)
		}
		limit, stop := context.WithTimeout(ctx, testTimeout)
		defer stop()
		for i, pc := range []*PeerConnection{a, b} {
			require.NoError(t, pc.Connect(limit))
			accepted, err := []*PeerConnection{b, a}[i].SCTP().AcceptDataChannel(limit)
			require.NoError(t, err)
			require.Equal(t, channels[i].Label(), accepted.Label())
			exchange(t, channels[i], accepted)
		}
		time.Sleep(time.Second) // whatever signaling is still on its way
		require.Equal(t, SignalingStateStable, a.SignalingState())
		require.Equal(t, SignalingStateStable, b.SignalingState())
		cancel()
		<-done
		<-done
		for i, side := range sides {
			require.Empty(t, side.errs, "side %d", i)
			ignored += side.ignored
			took += side.took
		}
		requirePeersGone(t, network, a, b)
	})

	return ignored, took
}

// An offer that is taken back leaves no trace, and the next one works.
func TestP4_Rollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		rollback := SessionDescription{Type: SDPTypeRollback}
		require.ErrorIs(t, a.SetLocalDescription(rollback), ErrInvalidState, "nothing to take back")

		offer, err := a.CreateOffer(nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescription(offer))
		require.NoError(t, b.SetRemoteDescription(offer))
		require.ErrorIs(t, a.SetRemoteDescription(rollback), ErrInvalidState, "it is not the peer's")
		require.NoError(t, a.SetLocalDescription(rollback))
		require.NoError(t, b.SetRemoteDescription(rollback))
		for _, pc := range []*PeerConnection{a, b} {
			assert.Equal(t, SignalingStateStable, pc.SignalingState())
			assert.Nil(t, pc.LocalDescription())
			assert.Nil(t, pc.RemoteDescription())
			assert.Equal(t, PeerConnectionStateNew, pc.ConnectionState())
		}
		_, err = b.CreateAnswer(nil)
		require.ErrorIs(t, err, ErrInvalidState)

		negotiate(t, a, b)
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}

// A handler that is set when it is needed already is told; another one after it
// is not.
func TestP4_NegotiationNeededLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		synctest.Wait()
		told := make(chan struct{}, 10)
		for range 3 {
			a.OnNegotiationNeeded(func() { told <- struct{}{} })
		}
		synctest.Wait()
		require.Len(t, told, 1)
		a.OnNegotiationNeeded(nil)
		requirePeersGone(t, network, a)
	})
}

func TestP4_NegotiationNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		told := make(chan struct{}, 10)
		release := make(chan struct{})
		a.OnNegotiationNeeded(func() {
			told <- struct{}{}
			<-release // outside of any queue
		})
		for range 3 {
			_, err := a.CreateDataChannel("chat", nil)
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, told, 1, "once for all")
		negotiate(t, a, b)
		connectPeers(t, a, b)
		_, err := a.CreateDataChannel("one more", nil)
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, told, 1, "channels are negotiated already")
		close(release)
		requirePeersGone(t, network, a, b)
	})
}
