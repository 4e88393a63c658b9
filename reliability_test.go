package webrtc

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC6_ReliabilityTypes: each of the types of RFC 8832, with 0 and 65,535 as
// limits, is what the peer sees, and is kept in both directions. A message
// whose packet is lost arrives behind the next one if the channel is unordered,
// in its place if it is ordered, and not at all if it must not be sent again.
func TestC6_ReliabilityTypes(t *testing.T) {
	const most = math.MaxUint16
	for _, limit := range []struct {
		name                  string
		retransmits, lifeTime *uint16
		lost                  bool // what a packet has lost is lost
	}{
		{"reliable", nil, nil, false},
		{"no retransmission", ptrTo[uint16](0), nil, true},
		{"65,535 retransmissions", ptrTo[uint16](most), nil, false},
		{"no time", nil, ptrTo[uint16](0), true},
		{"65,535 ms", nil, ptrTo[uint16](most), false},
	} {
		for _, ordered := range []bool{true, false} {
			for _, interleaving := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, ordered %v, interleaving %v", limit.name, ordered, interleaving), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						settings := SettingEngine{SCTP: SCTPSettings{DisableInterleaving: !interleaving}}
						a, b, network := connectedPair(t, settings, settings)
						params := DataChannelParameters{
							Ordered: ordered, MaxRetransmits: limit.retransmits, MaxPacketLifeTime: limit.lifeTime,
						}
						from, to := channelPair(t, a, b, params)
						for _, c := range []*DataChannel{from, to} {
							require.Equal(t, ordered, c.Ordered())
							require.Equal(t, limit.retransmits, c.MaxRetransmits())
							require.Equal(t, limit.lifeTime, c.MaxPacketLifeTime())
						}
						for host, way := range [][2]*DataChannel{{from, to}, {to, from}} {
							time.Sleep(time.Second)
							var dropped atomic.Int32
							network.OnPacket(func(sender int, payload []byte) bool {
								return sender == host && len(payload) > 900 && dropped.Add(1) == 1
							})
							ctx := limited(t, testTimeout)
							require.NoError(t, way[0].SendContext(ctx, bytes.Repeat([]byte{1}, 900)))
							time.Sleep(time.Millisecond)
							require.NoError(t, way[0].SendTextContext(ctx, "next"))
							time.Sleep(10 * time.Second)
							network.OnPacket(nil)
							require.NotZero(t, dropped.Load(), "nothing was lost")
							require.Zero(t, way[0].BufferedAmount())
							want := []int{900, len("next")}
							switch {
							case limit.lost:
								want = want[1:]
							case !ordered:
								slices.Reverse(want)
							}
							var got []int
							for {
								m, err := way[1].ReceiveContext(limited(t, time.Second))
								if err != nil {
									require.ErrorIs(t, err, context.DeadlineExceeded)

									break
								}
								got = append(got, len(m.Data))
							}
							require.Equal(t, want, got, "from host %d", host)
						}
						stopped(t, network, a, b)
					})
				})
			}
		}
	}
}

// TestC6_IDs: the DTLS client's channels have even ids, the server's odd ones,
// beside those that were negotiated. An id in use is refused before and after
// there is an association, and free again when its channel has closed.
func TestC6_IDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPairWithout(t)
		client, server := a, b
		if b.dtls.isClient() {
			client, server = b, a
		}
		negotiated := func(s *stack, id uint16) (*DataChannel, error) {
			return s.api.NewDataChannel(s.sctp, &DataChannelParameters{Negotiated: true, ID: &id, Ordered: true})
		}
		refusals := func(ids ...uint16) {
			t.Helper()
			for _, s := range []*stack{a, b} {
				for _, id := range ids {
					_, err := negotiated(s, id)
					require.ErrorIs(t, err, ErrInvalidArgument)
					require.ErrorContains(t, err, fmt.Sprintf("id %d is in use", id))
				}
				for name, bad := range map[string]DataChannelParameters{
					"negotiated without an id": {Negotiated: true},
					"the reserved id":          {Negotiated: true, ID: ptrTo[uint16](math.MaxUint16)},
					"both limits":              {MaxRetransmits: ptrTo[uint16](0), MaxPacketLifeTime: ptrTo[uint16](0)},
				} {
					_, err := s.api.NewDataChannel(s.sctp, &bad)
					require.ErrorIs(t, err, ErrInvalidArgument, name)
				}
			}
		}
		var own []*DataChannel
		for _, s := range []*stack{client, server} {
			for _, id := range []uint16{0, 1, 65534} {
				c, err := negotiated(s, id)
				require.NoError(t, err)
				own = append(own, c)
			}
			early, err := s.api.NewDataChannel(s.sctp, &DataChannelParameters{})
			require.NoError(t, err)
			require.Nil(t, early.ID())
			own = append(own, early)
		}
		refusals(0, 1, 65534)
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startSCTP(limited(t, testTimeout), peer) }))
		require.EqualValues(t, 2, *own[3].ID(), "the first even one that is free")
		require.EqualValues(t, 3, *own[7].ID(), "the first odd one that is free")
		for i := range 3 {
			exchange(t, own[i], own[4+i])
		}
		for _, s := range []*stack{a, b} { // those that were made early
			_, err := s.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
		}
		refusals(0, 1, 2, 3, 65534)
		from, to := channelPair(t, client, server, DataChannelParameters{})
		require.EqualValues(t, 4, *from.ID())
		require.EqualValues(t, 4, *to.ID())
		from, to = channelPair(t, server, client, DataChannelParameters{})
		require.EqualValues(t, 5, *from.ID())
		require.EqualValues(t, 5, *to.ID())
		refusals(4, 5)

		require.NoError(t, own[0].Close())
		awaitChannel(t, own[0], DataChannelStateClosed)
		awaitChannel(t, own[4], DataChannelStateClosed)
		time.Sleep(time.Second)
		again, err := negotiated(client, 0)
		require.NoError(t, err)
		other, err := negotiated(server, 0)
		require.NoError(t, err)
		exchange(t, again, other)
		stopped(t, network, a, b)
	})
}
