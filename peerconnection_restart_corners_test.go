package webrtc

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// connectedPeers have a channel. The servers of the first one are for restarts.
func connectedPeers(t *testing.T, servers ...string) (a, b *PeerConnection, network *testnet.Network) {
	t.Helper()
	a, b, network = peers(t)
	_, err := a.CreateDataChannel("chat", nil)
	require.NoError(t, err)
	negotiate(t, a, b)
	connectPeers(t, a, b)
	require.NoError(t, a.SetConfiguration(ofServers(t, 0, servers...)))

	return a, b, network
}

// answerTo has b answer what a has offered.
func answerTo(t *testing.T, a, b *PeerConnection) {
	t.Helper()
	require.NoError(t, b.SetRemoteDescriptionContext(t.Context(), *a.LocalDescription()))
	require.NoError(t, b.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
	require.NoError(t, a.SetRemoteDescriptionContext(t.Context(), *b.LocalDescription()))
}

// credentialsOf is the ufrag that a description of ours has.
func credentialsOf(d *SessionDescription) string {
	_, rest, _ := strings.Cut(d.SDP, "a=ice-ufrag:")
	ufrag, _, _ := strings.Cut(rest, "\r\n")

	return ufrag
}

// A restart that is asked for while one is on offer comes after that one's answer,
// whichever way the first was asked for; one that is asked for before the offer is
// set comes with it.
func TestP6_RestartWhileOneIsOnOffer(t *testing.T) {
	restart := &OfferOptions{ICERestart: true}
	for name, c := range map[string]struct {
		offer func(a *PeerConnection) // sets it
		ask   func(t *testing.T, a *PeerConnection)
		again bool
	}{
		"RestartICE twice": {
			func(a *PeerConnection) { a.RestartICE() },
			func(_ *testing.T, a *PeerConnection) { a.RestartICE() }, true,
		},
		"after an offer with the option": {
			func(a *PeerConnection) { _, _ = a.CreateOffer(restart) },
			func(_ *testing.T, a *PeerConnection) { a.RestartICE() }, true,
		},
		"many times": {
			func(a *PeerConnection) { a.RestartICE() },
			func(_ *testing.T, a *PeerConnection) {
				a.RestartICE()
				a.RestartICE()
			},
			true,
		},
		"before the offer": {
			func(a *PeerConnection) {
				a.RestartICE()
				a.RestartICE()
			},
			func(*testing.T, *PeerConnection) {}, false,
		},
		"and taken back": {
			func(a *PeerConnection) { a.RestartICE() },
			func(t *testing.T, a *PeerConnection) {
				a.RestartICE()
				require.NoError(t, a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
				require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
			},
			false, // the next offer is the one
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPeers(t)
				before := []string{credentialsOf(a.LocalDescription())}
				path := inUse(a)
				c.offer(a)
				desc := SessionDescription{}
				a.life.set(func() {
					if made := a.negotiation.createdOffer; made != nil {
						desc = made.SessionDescription
					}
				})
				require.NoError(t, a.SetLocalDescriptionContext(t.Context(), desc))
				c.ask(t, a)
				require.NotContains(t, before, credentialsOf(a.LocalDescription()))
				before = append(before, credentialsOf(a.LocalDescription()))
				needed := new(peerRecord)
				a.OnNegotiationNeeded(func() { needed.add("needed") })
				require.Empty(t, needed.list(), "not before the answer")
				answerTo(t, a, b)
				awaitNewPath(t, a, path)
				path = inUse(a)
				if !c.again {
					require.Empty(t, needed.list())
					require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
					require.Contains(t, before, credentialsOf(a.LocalDescription()))
					requirePeersGone(t, network, a, b)

					return
				}
				require.Equal(t, []string{"needed"}, needed.list())
				require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				require.NotContains(t, before, credentialsOf(a.LocalDescription()))
				answerTo(t, a, b)
				awaitNewPath(t, a, path)
				require.Equal(t, []string{"needed"}, needed.list(), "no third")
				requirePeersGone(t, network, a, b)
			})
		})
	}
}

// An offer that is created right after the answer to a restart does not take the
// agent of that for its own.
func TestP6_RestartRightAfterTheAnswerOfOne(t *testing.T) {
	for range cases(20) {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPeers(t)
			a.RestartICE()
			require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
			require.NoError(t, b.SetRemoteDescriptionContext(t.Context(), *a.LocalDescription()))
			require.NoError(t, b.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
			first := credentialsOf(a.LocalDescription())
			require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
			offer, err := a.CreateOffer(&OfferOptions{ICERestart: true})
			require.NoError(t, err)
			require.NotEqual(t, first, credentialsOf(&offer))
			path := inUse(a)
			require.NoError(t, a.SetLocalDescriptionContext(t.Context(), offer))
			answerTo(t, a, b)
			for range 1000 {
				if inUse(a).params.UsernameFragment == credentialsOf(&offer) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			require.NotSame(t, path, inUse(a))
			require.Equal(t, credentialsOf(&offer), inUse(a).params.UsernameFragment)
			require.NoError(t, a.Connect(t.Context()))
			requirePeersGone(t, network, a, b)
		})
	}
}

// Whoever waits for the candidates of a restart that is given up is told so.
func TestP6_WaitingForARestartThatIsGivenUp(t *testing.T) {
	for name, giveUp := range map[string]func(t *testing.T, a, b *PeerConnection){
		"by us": func(t *testing.T, a, _ *PeerConnection) {
			require.NoError(t, a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
		},
		"by an offer of the peer's": func(t *testing.T, a, b *PeerConnection) {
			require.NoError(t, b.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
			require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		},
		"by the answer": func(t *testing.T, a, b *PeerConnection) {
			require.NoError(t, a.SetRemoteDescription(rejection(t, a, b)))
		},
		"by the end": func(t *testing.T, a, _ *PeerConnection) { require.NoError(t, a.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPeers(t, silentSTUN)
				a.RestartICE()
				waits := result(func() error {
					return a.SetLocalDescriptionContext(context.Background(), SessionDescription{})
				})
				synctest.Wait()
				begin := time.Now()
				giveUp(t, a, b)
				err := <-waits
				if name == "by the end" {
					require.ErrorIs(t, err, ErrClosed)
				} else {
					require.ErrorIs(t, err, ErrInvalidState)
					require.ErrorIs(t, err, errGivenUp)
				}
				require.Zero(t, time.Since(begin))
				requirePeersGone(t, network, a, b)
			})
		})
	}
}

// rejection is an answer to a's offer that rejects everything.
func rejection(t *testing.T, a, b *PeerConnection) SessionDescription {
	t.Helper()
	require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
	answer, err := b.CreateAnswer(nil)
	require.NoError(t, err)
	require.NoError(t, b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
	answer.SDP = strings.NewReplacer("m=application 9 ", "m=application 0 ", "a=group:BUNDLE 0\r\n", "").Replace(answer.SDP)

	return answer
}

// An answer that rejects all of a restart leaves nothing of it, and the connection
// as it was; it is asked for again if the program has.
func TestP6_RestartThatIsRejected(t *testing.T) {
	for name, asks := range map[string]bool{"once": false, "asked for again": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPeers(t)
				path := inUse(a)
				a.RestartICE()
				require.NoError(t, a.SetLocalDescriptionContext(t.Context(), SessionDescription{}))
				require.Equal(t, 2, network.OpenSockets(0))
				needed := new(peerRecord)
				a.OnNegotiationNeeded(func() { needed.add("needed") })
				if asks {
					a.RestartICE()
				}
				require.NoError(t, a.SetRemoteDescriptionContext(t.Context(), rejection(t, a, b)))
				synctest.Wait()
				assert.Equal(t, 1, network.OpenSockets(0))
				assert.Equal(t, 1, network.OpenSockets(1))
				assert.Same(t, path, inUse(a))
				assert.Equal(t, PeerConnectionStateConnected, a.ConnectionState())
				a.gatherer.life.set(func() { assert.Len(t, a.gatherer.agents, 1) })
				if asks {
					assert.Equal(t, []string{"needed"}, needed.list())
				} else {
					assert.Empty(t, needed.list())
				}
				requirePeersGone(t, network, a, b)
			})
		})
	}
}
