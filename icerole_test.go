package webrtc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// cases is n, and a tenth of it under the race detector.
func cases(n int) int {
	if raceEnabled {
		return max(1, n/10)
	}

	return n
}

// opposite is the role that a peer must have.
func opposite(role ICERole) ICERole {
	if role == ICERoleControlling {
		return ICERoleControlled
	}

	return ICERoleControlling
}

// Both sides may ask for the same role. The checks decide then, whatever of
// them is lost, and DTLS has to follow: two clients would wait for each other.
func TestI4_RoleFollowsConflict(t *testing.T) {
	for _, asked := range []ICERole{ICERoleControlling, ICERoleControlled} {
		for _, loss := range []float64{0, 0.15} {
			t.Run(fmt.Sprintf("both %s, loss of %v", asked, loss), func(t *testing.T) {
				switched := map[bool]int{}
				for seed := range uint64(cases(100)) {
					bubble(t, func(t *testing.T) {
						a, b, _ := quickPair(t, testnet.Delay(5*time.Millisecond), testnet.Loss(loss, seed))
						a.role, b.role = asked, asked
						signal(t, a, b)
						ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
						defer cancel()
						require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) }))
						roleA, roleB := a.ice.Role(), b.ice.Role()
						require.Equal(t, opposite(roleA), roleB, "seed %d: %s and %s", seed, roleA, roleB)
						switched[roleA == asked]++

						require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(ctx, peer) }),
							"seed %d: the DTLS roles follow", seed)
						for _, s := range []*stack{a, b} {
							negotiated, err := s.dtls.Negotiated()
							require.NoError(t, err)
							require.Equal(t, s.ice.Role() == ICERoleControlled, negotiated.Client)
						}
						require.Equal(t, roleA, a.ice.Role(), "the role stays")
					})
				}
				assert.Positive(t, switched[true], "sometimes a keeps its role")
				assert.Positive(t, switched[false], "sometimes b does")
			})
		}
	}
}

// Who has won a conflict may connect without having heard a check of the peer
// since: those are lost here until it has, all but the one that makes the
// conflict.
func TestI4_RoleOfWhoHearsNoCheck(t *testing.T) {
	for range cases(20) {
		bubble(t, func(t *testing.T) {
			a, b, network := quickPair(t, testnet.Delay(5*time.Millisecond))
			a.role, b.role = ICERoleControlled, ICERoleControlled
			connected := make(chan ICERole, 2)
			for _, s := range []*stack{a, b} {
				s.ice.OnConnectionStateChange(func(state ICETransportState) {
					if state == ICETransportStateConnected {
						connected <- s.ice.Role()
					}
				})
			}
			var heard [2]int
			network.OnPacket(func(from int, payload []byte) (drop bool) {
				m := &stun.Message{Raw: slices.Clone(payload)}
				if m.Decode() != nil || m.Type != stun.BindingRequest || !m.Contains(stun.AttrICEControlled) {
					return false
				}
				heard[from]++

				return heard[from] > 1 && len(connected) == 0
			})
			signal(t, a, b)
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			require.NoError(t, both(a, b, func(s, peer *stack) error {
				return errors.Join(s.startICE(ctx, peer), s.startDTLS(ctx, peer))
			}))
			require.Equal(t, opposite(a.ice.Role()), b.ice.Role())
			require.Equal(t, ICERoleControlling, <-connected, "as the first one saw it")
		})
	}
}

// DTLS may be started while ICE is checking, before anybody knows of the
// conflict.
func TestI4_RoleFollowsConflictUnderDTLSStart(t *testing.T) {
	for seed := range uint64(cases(60)) {
		bubble(t, func(t *testing.T) {
			a, b, _ := quickPair(t, testnet.Delay(5*time.Millisecond), testnet.Loss(0.2, seed))
			a.role, b.role = ICERoleControlling, ICERoleControlling
			signal(t, a, b)
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			ice := make(chan error, 1)
			go func() {
				ice <- both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) })
			}()
			require.NoError(t, both(a, b, func(s, peer *stack) error {
				if _, err := s.ice.AwaitState(ctx, ICETransportStateChecking); err != nil {
					return err
				}

				return s.startDTLS(ctx, peer)
			}), "seed %d", seed)
			require.NoError(t, <-ice)
			require.Equal(t, opposite(a.ice.Role()), b.ice.Role(), "seed %d", seed)
		})
	}
}

// Without a conflict the roles are those asked for, and unknown before.
func TestI4_RoleWithoutConflict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := virtualPair(t)
		require.Equal(t, ICERoleUnknown, a.ice.Role())
		connect(t, a, b)
		assert.Equal(t, ICERoleControlling, a.ice.Role())
		assert.Equal(t, ICERoleControlled, b.ice.Role())
		// The W3C's ORTC: the controlled side is the client.
		for s, client := range map[*stack]bool{a: false, b: true} {
			negotiated, err := s.dtls.Negotiated()
			require.NoError(t, err)
			assert.Equal(t, client, negotiated.Client)
		}
	})
}

// A lite agent says so, and connects to a full one, which controls.
func TestI4_LiteIsReported(t *testing.T) {
	for _, lite := range []bool{false, true} {
		t.Run(fmt.Sprint(lite), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var settings SettingEngine
				settings.SetLite(lite)
				a, b, _ := virtualPairWith(t, SettingEngine{}, settings, testnet.Delay(5*time.Millisecond))
				for s, want := range map[*stack]bool{a: false, b: lite} {
					for _, get := range []func() (ICEParameters, error){
						s.gatherer.GetLocalParameters, s.ice.GetLocalParameters,
					} {
						params, err := get()
						require.NoError(t, err)
						assert.Equal(t, want, params.ICELite)
					}
				}
				connect(t, a, b)
				assert.Equal(t, ICERoleControlling, a.ice.Role())
				assert.Equal(t, ICERoleControlled, b.ice.Role())
				remote, err := a.ice.GetRemoteParameters()
				require.NoError(t, err)
				assert.Equal(t, lite, remote.ICELite)
				channelPair(t, a, b, DataChannelParameters{Label: "over lite"})
				checks := 0
				stats, ok := b.ice.GetSelectedCandidatePairStats()
				require.True(t, ok)
				checks += int(stats.RequestsSent)
				assert.Equal(t, lite, checks == 0, "a lite agent sends no checks: %d", checks)
			})
		})
	}
}

// Two lite agents connect without checks, in the roles that they were given.
func TestI4_LiteToLite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var settings SettingEngine
		settings.SetLite(true)
		a, b, _ := virtualPairWith(t, settings, settings, testnet.Delay(5*time.Millisecond))
		connect(t, a, b)
		assert.Equal(t, ICERoleControlling, a.ice.Role())
		assert.Equal(t, ICERoleControlled, b.ice.Role())
		channelPair(t, a, b, DataChannelParameters{Label: "without checks"})
	})
}
