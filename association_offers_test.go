package webrtc

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestS6_WhatTwoStacksAgreeOn: zero checksum and interleaving by default.
// Interleaving takes both sides; zero checksum counts for the direction whose
// receiver offers it. Messages of every size come through in each case, in both
// directions.
func TestS6_WhatTwoStacksAgreeOn(t *testing.T) {
	type agreed = SCTPTransportMetadata
	const (
		interleaved = SCTPTransportPartialReliabilityModeIForwardTSN
		plain       = SCTPTransportPartialReliabilityModeForwardTSN
	)
	noChecksum := SettingEngine{SCTP: SCTPSettings{DisableZeroChecksum: true}}
	noInterleaving := SettingEngine{SCTP: SCTPSettings{DisableInterleaving: true}}
	neither := SettingEngine{SCTP: SCTPSettings{DisableZeroChecksum: true, DisableInterleaving: true}}
	for _, row := range []struct {
		name       string
		a, b       SettingEngine
		isA, isB   agreed
		fromEither bool // also with the sides exchanged
	}{
		{
			"default",
			SettingEngine{},
			SettingEngine{},
			agreed{interleaved, true, true, true},
			agreed{interleaved, true, true, true},
			false,
		},
		{
			"one without zero checksum", noChecksum,
			SettingEngine{},
			agreed{interleaved, true, false, true},
			agreed{interleaved, true, true, false},
			true,
		},
		{
			"one without interleaving", noInterleaving,
			SettingEngine{},
			agreed{plain, false, true, true},
			agreed{plain, false, true, true},
			true,
		},
		{
			"one without the one, one without the other", noChecksum, noInterleaving,
			agreed{plain, false, false, true},
			agreed{plain, false, true, false},
			true,
		},
		{
			"none has anything", neither, neither,
			agreed{plain, false, false, false},
			agreed{plain, false, false, false},
			false,
		},
	} {
		for _, exchanged := range []bool{false, true} {
			if exchanged && !row.fromEither {
				continue
			}
			t.Run(fmt.Sprint(row.name, ", exchanged ", exchanged), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					forA, forB, isA, isB := row.a, row.b, row.isA, row.isB
					if exchanged {
						forA, forB, isA, isB = forB, forA, isB, isA
					}
					a, b, network := virtualPairWith(t, forA, forB, testnet.Delay(pathDelay))
					_, ok := a.sctp.Metadata()
					require.False(t, ok, "there is nothing to agree on yet")
					connect(t, a, b)
					for s, want := range map[*stack]agreed{a: isA, b: isB} {
						got, ok := s.sctp.Metadata()
						require.True(t, ok)
						require.Equal(t, want, got)
					}
					carriesAll(t, a, b)
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// carriesAll brings a message of each of some sizes each way, on a reliable
// channel and on one that is not.
func carriesAll(t *testing.T, a, b *stack) {
	t.Helper()
	ctx := limited(t, testTimeout)
	for _, params := range []DataChannelParameters{{Ordered: true}, {MaxRetransmits: ptrTo[uint16](3)}} {
		from, to := channelPair(t, a, b, params)
		for _, c := range [][2]*DataChannel{{from, to}, {to, from}} {
			for _, size := range []int{0, 1, 1200, 200_000} {
				require.NoError(t, c[0].SendContext(ctx, pattern(size)))
				m, err := c[1].ReceiveContext(ctx)
				require.NoError(t, err)
				require.Equal(t, size, len(m.Data))
				require.True(t, string(pattern(size)) == string(m.Data), "%d bytes have changed", size)
			}
		}
	}
}

// TestS5_TheRemoteMaximum is what signaling said: absent 65,536, a number that
// number, 0 in signaling no limit. A message of the maximum arrives; one byte
// more is refused, and harms nothing.
func TestS5_TheRemoteMaximum(t *testing.T) {
	for _, row := range []struct {
		json string
		max  uint32
	}{
		{`{}`, 65536},
		{`{"maxMessageSize":1}`, 1},
		{`{"maxMessageSize":65535}`, 65535},
		{`{"maxMessageSize":262144}`, 262144},
		{`{"maxMessageSize":0}`, math.MaxUint32},
	} {
		t.Run(row.json, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPairWithout(t)
				var said SCTPCapabilities
				require.NoError(t, said.UnmarshalJSON([]byte(row.json)))
				ctx := limited(t, testTimeout)
				require.NoError(t, both(a, b, func(s, peer *stack) error {
					if s == b {
						return s.startSCTP(ctx, peer)
					}

					return s.sctp.StartContext(ctx, said)
				}))
				require.Equal(t, row.max, a.sctp.GetCapabilities().MaxMessageSize)
				id := uint16(4) // an OPEN may be too long for the peer
				params := DataChannelParameters{Ordered: true, Negotiated: true, ID: &id}
				from, err := a.api.NewDataChannel(a.sctp, &params)
				require.NoError(t, err)
				to, err := b.api.NewDataChannel(b.sctp, &params)
				require.NoError(t, err)
				fits := min(int(row.max), defaultMaxMessageSize) // what b really takes
				for _, send := range senders {
					if row.max < math.MaxUint32 {
						err := send(ctx, from, make([]byte, fits+1))
						require.ErrorIs(t, err, ErrMessageTooLarge)
						require.ErrorContains(t, err, fmt.Sprintf("%d bytes, at most %d", fits+1, fits))
						require.Zero(t, from.BufferedAmount())
					}
					require.NoError(t, send(ctx, from, make([]byte, fits)))
					m, err := to.ReceiveContext(ctx)
					require.NoError(t, err)
					require.Len(t, m.Data, fits)
					time.Sleep(time.Second)
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// snapping is a stack that offers the handshake in signaling.
func snapping() SettingEngine { return SettingEngine{SCTP: SCTPSettings{SNAP: true}} }

// snapCase is which sides offer the handshake in signaling, and which of their
// offers come through to the other side.
type snapCase struct {
	name       string
	a, b       SettingEngine
	toB, toA   bool // the offer of the other side comes through
	took       int  // one-way delays until both are connected
	afterWards int  // until the later one is, for the one that starts later
}

var snapCases = []snapCase{
	{"both", snapping(), snapping(), true, true, 1, 1},
	{"none", SettingEngine{}, SettingEngine{}, true, true, 4, 4},
	{"only a", snapping(), SettingEngine{}, true, true, 4, 4},
	{"only b", SettingEngine{}, snapping(), true, true, 4, 4},
	{"both, and that of a is lost", snapping(), snapping(), false, true, 4, 4},
	{"both, and that of b is lost", snapping(), snapping(), true, false, 4, 4},
}

// prepare connects the layers below, and returns the starts of both sides.
func (c snapCase) prepare(t *testing.T) (a, b *stack, network *testnet.Network, starts [2]func(context.Context) error) {
	t.Helper()
	network = testnet.Pair(t, testnet.Delay(snapOneWay))
	a, b = quickStack(t, ICERoleControlling, c.a, network, 0), quickStack(t, ICERoleControlled, c.b, network, 1)
	connectBelow(t, a, b, 2)
	ofA, ofB := a.sctp.GetCapabilities(), b.sctp.GetCapabilities()
	require.Equal(t, c.a.SCTP.SNAP, ofA.SCTPInit != "")
	require.Equal(t, c.b.SCTP.SNAP, ofB.SCTPInit != "")
	if !c.toB {
		ofA.SCTPInit = ""
	}
	if !c.toA {
		ofB.SCTPInit = ""
	}
	starts[0] = func(ctx context.Context) error { return a.sctp.StartContext(ctx, ofB) }
	starts[1] = func(ctx context.Context) error { return b.sctp.StartContext(ctx, ofA) }

	return a, b, network, starts
}

// TestS6_SNAPBetweenStacks: with both offers there is no handshake on the path,
// half a round trip until both are connected instead of two; without one of
// them, or if one did not come through, there is, whoever starts first and by
// how much. Data flows in each case.
func TestS6_SNAPBetweenStacks(t *testing.T) {
	for _, c := range snapCases {
		for _, later := range []time.Duration{0, -3 * time.Second, 3 * time.Second} {
			t.Run(fmt.Sprintf("%s, b %v later", c.name, later), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network, starts := c.prepare(t)
					first, second := starts[0], starts[1]
					if later < 0 {
						first, second = second, first
					}
					began := time.Now()
					one := result(func() error { return first(limited(t, testTimeout)) })
					time.Sleep(max(later, -later))
					two := result(func() error { return second(limited(t, testTimeout)) })
					require.NoError(t, <-one)
					require.NoError(t, <-two)
					took := time.Since(began) - max(later, -later)
					t.Logf("connected after %v", took)
					if later == 0 {
						require.LessOrEqual(t, took, time.Duration(c.took)*snapOneWay)
						if c.name == "both" {
							require.Equal(t, snapOneWay, took)
						}
					} else {
						require.LessOrEqual(t, took, time.Duration(c.afterWards)*snapOneWay)
					}
					for _, s := range []*stack{a, b} {
						require.Equal(t, SCTPTransportStateConnected, s.sctp.State())
						got, ok := s.sctp.Metadata()
						require.True(t, ok)
						require.Equal(t, SCTPTransportMetadata{SCTPTransportPartialReliabilityModeIForwardTSN, true, true, true}, got)
					}
					carriesAll(t, a, b)
					require.NoError(t, a.sctp.Shutdown(limited(t, testTimeout)))
					requireNothingLeft(t, network, a, b)
				})
			})
		}
	}
}

// TestS6_ABadTokenChangesNothing: it is refused with a reason, and the start
// with the right one succeeds.
func TestS6_ABadTokenChangesNothing(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(fmt.Sprint("offered by us ", local), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := snapCase{a: SettingEngine{}, b: snapping(), toA: true, toB: true}
				c.a.SCTP.SNAP = local
				a, b, network, starts := c.prepare(t)
				time.Sleep(100 * time.Millisecond) // the last of the handshake below
				synctest.Wait()
				sent := network.Sent(0)
				good := b.sctp.GetCapabilities()
				token, err := base64.StdEncoding.DecodeString(good.SCTPInit)
				require.NoError(t, err)
				for _, bad := range []string{
					"!", good.SCTPInit[:8], base64.StdEncoding.EncodeToString(append(token, make([]byte, 100)...)),
					base64.StdEncoding.EncodeToString(append([]byte{2}, token[1:]...)),
				} {
					err := a.sctp.StartContext(limited(t, testTimeout), SCTPCapabilities{SCTPInit: bad})
					require.ErrorIs(t, err, ErrInvalidArgument)
					require.ErrorContains(t, err, "SCTPInit")
					require.Equal(t, SCTPTransportStateConnecting, a.sctp.State())
					require.NoError(t, context.Cause(a.sctp.Context()))
				}
				synctest.Wait()
				require.Equal(t, sent, network.Sent(0), "the peer was told something")
				one := result(func() error { return starts[0](limited(t, testTimeout)) })
				require.NoError(t, starts[1](limited(t, testTimeout)))
				require.NoError(t, <-one)
				carriesAll(t, a, b)
				requireNothingLeft(t, network, a, b)
			})
		})
	}
}

// TestS6_SNAPStartIsCancelled at every so many milliseconds of each kind of
// start, on either side or both: it returns in that instant with the context's
// error and cause, closed, leaves nothing, and the other side is told within
// one way, or when it starts; or it was ahead, and then the end of the context
// means nothing.
func TestS6_SNAPStartIsCancelled(t *testing.T) {
	const step = snapOneWay / 2
	for _, c := range snapCases {
		for _, who := range []whose{controlling, controlled, bothSides} {
			t.Run(fmt.Sprint(c.name, ", side ", who), func(t *testing.T) {
				for instant := time.Duration(0); instant <= 5*snapOneWay; instant += step {
					bubble(t, func(t *testing.T) {
						a, b, network, starts := c.prepare(t)
						sides := []*stack{a, b}
						ctx, cancel := context.WithCancelCause(context.Background())
						defer cancel(nil)
						began := time.Now()
						type outcome struct {
							err  error
							took time.Duration
						}
						var outcomes [2]chan outcome
						for i, start := range starts {
							outcomes[i] = make(chan outcome, 1)
							swept := who == bothSides || int(who) == i
							go func() {
								limit := context.Background()
								if swept {
									limit = ctx
								}
								err := start(limit)
								outcomes[i] <- outcome{err, time.Since(began)}
							}()
						}
						time.Sleep(instant)
						cancel(errSwept)
						ahead := true
						for i, s := range sides {
							if who != bothSides && int(who) != i {
								continue
							}
							got := <-outcomes[i]
							if got.err == nil {
								require.LessOrEqual(t, got.took, instant)

								continue
							}
							ahead = false
							require.Equal(t, instant, got.took)
							requireEnded(t, stages[2], s, ctx, got.err)
							require.Equal(t, DTLSTransportStateConnected, s.dtls.State(), "the layer below")
						}
						if who != bothSides {
							other := sides[1-int(who)]
							got := <-outcomes[1-int(who)]
							if ahead {
								require.NoError(t, got.err)
							} else if got.err == nil {
								// It was connected before it was told.
								_, err := other.sctp.AwaitState(limited(t, time.Second), SCTPTransportStateClosed)
								require.NoError(t, err)
							}
							// There is nothing to tell of a start that was none; and who
							// skips the handshake alone does not know the number by which
							// the peer would take an ABORT, until its INIT comes.
							alone := who == controlling && !c.toB || who == controlled && !c.toA
							if !ahead && instant > 0 && (!alone || instant > snapOneWay) {
								require.LessOrEqual(t, time.Since(began), instant+2*snapOneWay, "the peer was not told at once")
							}
						}
						if ahead {
							from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
							exchange(t, from, to)
						}
						requireNothingLeft(t, network, a, b)
					})
				}
			})
		}
	}
}
