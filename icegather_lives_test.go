package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// order checks what a gatherer has told.
func order(events []string) error {
	state, told := "", false
	for i, e := range events {
		switch {
		case e == "gathering", e == "complete", e == "closed":
			if e == "complete" && state != "gathering" {
				return fmt.Errorf("%d: complete after %s", i, state)
			}
			if e == "gathering" && state == "complete" && !told {
				return fmt.Errorf("%d: gathering, and no nil", i)
			}
			state, told = e, false
		case e == "end":
			if state != "complete" || told {
				return fmt.Errorf("%d: nil in %s (told %v)", i, state, told)
			}
			told = true
		case e[0] == '+':
			if state != "gathering" {
				return fmt.Errorf("%d: %s in %s", i, e, state)
			}
		}
	}

	return nil
}

func TestL9_RandomLivesOfRoamers(t *testing.T) {
	for seed := range uint64(40) {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				nap := func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond) }
				settings := SettingEngine{}
				settings.ICE.ContinualGathering = true
				settings.ICE.NetworkMonitorInterval = 50 * time.Millisecond
				settings.ICE.STUNGatherTimeout = 200 * time.Millisecond
				settings.ICE.TURNGatherTimeout = 300 * time.Millisecond
				network := testnet.Pair(t, testnet.Networks(4), testnet.Delay(5*time.Millisecond))
				server := virtualTURN(t, network, virtualPort, nil)
				a, b := newPeer(t, settings, network, 0), newPeer(t, settings, network, 1)
				_, err := a.CreateDataChannel("chat", nil)
				require.NoError(t, err)
				if rnd.IntN(2) == 0 {
					negotiate(t, a, b)
					connectPeers(t, a, b)
				}
				log := logCandidates(a.gatherer)
				closing := rnd.IntN(6)
				a.OnICEConnectionStateChange(func(s ICEConnectionState) {
					if closing == 1 && s == ICEConnectionStateDisconnected {
						_ = a.Close()
					}
				})
				var closedIn atomic.Bool
				a.gatherer.OnLocalCandidateRemoved(func(c *ICECandidate) {
					log.add("-" + c.Address)
					if closing == 2 && closedIn.CompareAndSwap(false, true) {
						_ = a.Close()
					}
				})
				var wg sync.WaitGroup
				for w := range 5 {
					r := rand.New(rand.NewPCG(seed, uint64(w)+10))
					wg.Go(func() {
						for range 12 {
							nap(r)
							switch w {
							case 0:
								on := []int{}
								for i := range 4 {
									if r.IntN(2) == 0 {
										on = append(on, i)
									}
								}
								network.Move(0, on...)
							case 1:
								c := Configuration{ICECandidatePoolSize: uint8(r.IntN(2))}
								for _, u := range []string{virtualSTUN, silentSTUN, virtualURL} {
									if r.IntN(2) == 0 {
										c.ICEServers = append(c.ICEServers, ICEServer{URLs: []string{u}, Username: turnUser, Credential: turnPassword})
									}
								}
								_ = a.SetConfiguration(c)
							case 2:
								offer, err := a.CreateOffer(&OfferOptions{ICERestart: r.IntN(2) == 0})
								if err == nil {
									nap(r)
									ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(300))*time.Millisecond)
									_ = a.SetLocalDescriptionContext(ctx, offer)
									cancel()
								}
							case 3:
								switch r.IntN(3) {
								case 0:
									_ = a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback})
								case 1:
									a.RestartICE()
								case 2:
									if d := a.LocalDescription(); d != nil && d.Type == SDPTypeOffer {
										if b.SetRemoteDescription(*d) == nil {
											if answer, err := b.CreateAnswer(nil); err == nil {
												_ = b.SetLocalDescription(answer)
												_ = a.SetRemoteDescription(answer)
											}
										}
									}
								}
							case 4:
								_, _ = a.gatherer.GetServerResults()
								_ = a.GetStats()
								_ = a.LocalDescription()
								network.Cut(r.IntN(4) == 0)
							}
						}
					})
				}
				end := time.Duration(rnd.IntN(2500)) * time.Millisecond
				switch rnd.IntN(3) {
				case 0:
					wg.Go(func() { time.Sleep(end); _ = a.Close() })
				case 1:
					ctx, cancel := context.WithTimeout(context.Background(), end)
					defer cancel()
					wg.Go(func() { _ = a.Run(ctx) })
				}
				wg.Wait()
				time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
				_ = a.Close()
				_ = b.Close()
				synctest.Wait()
				network.Cut(false)
				time.Sleep(5 * time.Second)
				_ = server.Close()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				assert.Zero(t, network.OpenSockets(0))
				assert.Zero(t, network.OpenSockets(1))
				events := log.take()
				if err := order(events); err != nil {
					// The first events may be of before the log.
					t.Errorf("%v: %v", err, events)
				}
			})
		})
		if !ok {
			return
		}
	}
}
