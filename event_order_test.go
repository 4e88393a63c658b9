package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// ranks of the states, in the order in which a life without a restart passes
// through them. States of one rank may follow each other.
var (
	iceRanks = map[ICETransportState]int{
		ICETransportStateUnknown: -1, ICETransportStateNew: 0, ICETransportStateChecking: 1,
		ICETransportStateConnected: 2, ICETransportStateCompleted: 2, ICETransportStateDisconnected: 2,
		ICETransportStateFailed: 3, ICETransportStateClosed: 4,
	}
	dtlsRanks = map[DTLSTransportState]int{
		DTLSTransportStateUnknown: -1, DTLSTransportStateNew: 0, DTLSTransportStateConnecting: 1, DTLSTransportStateConnected: 2,
		DTLSTransportStateFailed: 3, DTLSTransportStateClosed: 4,
	}
	gathererRanks = map[ICEGathererState]int{
		ICEGathererStateUnknown: -1, ICEGathererStateNew: 0, ICEGathererStateGathering: 1, ICEGathererStateComplete: 2, ICEGathererStateClosed: 3,
	}
)

// recorder notes all events of a stack in the order in which they are told,
// and checks each against the state that the handler sees.
type recorder struct {
	t *testing.T

	mu     sync.Mutex
	inside int
	events []string
	slow   func()
}

func (r *recorder) note(event string) {
	r.mu.Lock()
	r.inside++
	assert.Equal(r.t, 1, r.inside, "state events overlap")
	r.events = append(r.events, event)
	slow := r.slow
	r.mu.Unlock()
	if slow != nil {
		slow()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
}

// list returns what was noted, without the candidates.
func (r *recorder) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return slices.Clone(r.events)
}

func listen[S comparable](
	r *recorder, name string, on func(func(S)), state func() S, ranks map[S]int,
) {
	last := -1
	var before S
	on(func(told S) {
		rank := ranks[told]
		assert.Positive(r.t, rank, "%s %v", name, told)
		assert.GreaterOrEqual(r.t, rank, last, "%s runs backwards", name)
		assert.NotEqual(r.t, before, told, "%s is told twice", name)
		assert.GreaterOrEqual(r.t, ranks[state()], rank, "State of %s is older than its event", name)
		last, before = rank, told
		r.note(fmt.Sprintf("%s %v", name, told))
		assert.GreaterOrEqual(r.t, ranks[state()], rank, "State of %s runs backwards", name)
	})
}

// recordStack sets every handler of a stack's queue.
func recordStack(t *testing.T, s *stack) *recorder {
	t.Helper()
	r := &recorder{t: t}
	listen(r, "gatherer", s.gatherer.OnStateChange, s.gatherer.State, gathererRanks)
	listen(r, "ice", s.ice.OnConnectionStateChange, s.ice.State, iceRanks)
	listen(r, "dtls", s.dtls.OnStateChange, s.dtls.State, dtlsRanks)
	s.sctp.OnClose(func(error) {
		assert.Equal(t, SCTPTransportStateClosed, s.sctp.State())
		r.note("sctp closed")
	})

	return r
}

// TestE3_EventsInTheOrderOfTheChanges: over a connection's whole life the list
// is known, also if every handler is slow and all that can change has changed.
func TestE3_EventsInTheOrderOfTheChanges(t *testing.T) {
	for name, slow := range map[string]func(){
		"quick handlers": nil, "slow handlers": func() { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPairWith(t, SettingEngine{}, SettingEngine{}, testnet.Delay(pathDelay))
				r := recordStack(t, a)
				r.slow = slow
				connect(t, a, b)
				channelPair(t, a, b, DataChannelParameters{})
				require.NoError(t, a.ice.Stop())
				time.Sleep(24 * time.Hour)
				require.Equal(t, []string{
					"gatherer gathering", "gatherer complete", "ice checking", "ice connected",
					"dtls connecting", "dtls connected",
					// From the bottom upwards, then what each stood on is released.
					"ice closed", "dtls closed", "sctp closed", "gatherer closed",
				}, r.list())
				stopped(t, network, a, b)
			})
		})
	}
}

// TestE3_ClosedIsLastAndOnce, whatever is stopped, cancelled or cut, at any
// time, in any order, and from several goroutines at once.
func TestE3_ClosedIsLastAndOnce(t *testing.T) {
	schedules := 300
	if raceEnabled {
		schedules = 30
	}
	for seed := range schedules {
		bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 3)) //nolint:gosec // a schedule, and it has to be the same again
			settings := SettingEngine{}
			settings.SetICETimeouts(200*time.Millisecond, 300*time.Millisecond, 50*time.Millisecond)
			a, b, network := virtualPairWith(t, settings, settings, testnet.Delay(5*time.Millisecond))
			recorders := []*recorder{recordStack(t, a), recordStack(t, b)}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			connecting := result(func() error {
				signal(t, a, b)

				return both(a, b, func(s, peer *stack) error { return s.start(ctx, peer) })
			})
			var done []<-chan error
			for range 1 + random.IntN(4) {
				s := []*stack{a, b}[random.IntN(2)]
				after := time.Duration(1+random.IntN(400)) * time.Millisecond / 2 // gathering takes no time
				end := []func() error{
					s.ice.Stop, s.dtls.Stop, s.sctp.Stop,
					func() error { return s.ice.Shutdown(ctx) },
					func() error { return s.dtls.Shutdown(ctx) },
					func() error { cancel(); return nil },
					func() error { network.Cut(true); return nil },
				}[random.IntN(7)]
				done = append(done, result(func() error {
					time.Sleep(after)

					return end()
				}))
			}
			for _, d := range done {
				<-d
			}
			<-connecting
			time.Sleep(10 * time.Second)
			stopped(t, network, a, b)
			synctest.Wait()
			for _, r := range recorders {
				events := r.list()
				for _, object := range []string{"gatherer", "ice", "dtls", "sctp"} {
					closed := 0
					for _, event := range events {
						if event == object+" closed" {
							closed++
						}
					}
					require.Equal(t, 1, closed, "seed %d: %s in %v", seed, object, events)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
