package webrtc

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
)

// nackOf asks for numbers, as they come, one word each.
func nackOf(tb testing.TB, ssrc uint32, pairs ...rtcp.NackPair) []byte {
	tb.Helper()
	raw, err := (&rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: pairs}).Marshal()
	require.NoError(tb, err)

	return raw
}

// asked are the numbers of each NACK in a packet.
func asked(tb testing.TB, packet []byte) (numbers [][]uint16) {
	tb.Helper()
	if len(packet) == 0 {
		return nil
	}
	packets, err := rtcp.Unmarshal(packet)
	require.NoError(tb, err)
	for _, p := range packets {
		if nack, is := p.(*rtcp.TransportLayerNack); is {
			var all []uint16
			for _, pair := range nack.Nacks {
				all = append(all, pair.PacketList()...)
			}
			numbers = append(numbers, all)
		}
	}

	return numbers
}

func TestX1_WhatIsLeftOfANACK(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := []byte{0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}
		padded := nackOf(t, 1, rtcp.NackPair{PacketID: 5}, rtcp.NackPair{PacketID: 5})
		padded[0] |= rtcpPadded
		for _, row := range []struct {
			name   string
			packet []byte
			left   int // tokens; all if negative
			rest   [][]uint16
			cut    uint64
		}{
			{"nothing to do", nackOf(t, 1, rtcp.NackPair{PacketID: 7, LostPackets: 5}), -1, [][]uint16{{7, 8, 10}}, 0},
			{"twice", nackOf(t, 1, rtcp.NackPair{PacketID: 7, LostPackets: 1}, rtcp.NackPair{PacketID: 7, LostPackets: 0x8001}), -1, [][]uint16{{7, 8, 23}}, 0},
			{"the first is known", nackOf(t, 1, rtcp.NackPair{PacketID: 9}, rtcp.NackPair{PacketID: 8, LostPackets: 1}, rtcp.NackPair{PacketID: 8, LostPackets: 2}), -1, [][]uint16{{9, 8, 10}}, 0},
			{"around the end", nackOf(t, 1, rtcp.NackPair{PacketID: 65535, LostPackets: 0xffff}, rtcp.NackPair{PacketID: 0, LostPackets: 0xffff}), -1, [][]uint16{{65535, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}, 0},
			{"two streams", slices.Concat(nackOf(t, 1, rtcp.NackPair{PacketID: 7}), other, nackOf(t, 2, rtcp.NackPair{PacketID: 7})), -1, [][]uint16{{7}, {7}}, 0},
			{"two NACKs of a stream", slices.Concat(nackOf(t, 1, rtcp.NackPair{PacketID: 7}), nackOf(t, 1, rtcp.NackPair{PacketID: 7})), -1, [][]uint16{{7}}, 0},
			{"a part", nackOf(t, 1, rtcp.NackPair{PacketID: 7, LostPackets: 0xffff}), 3, [][]uint16{{7, 8, 9}}, 14},
			{"nothing left", slices.Concat(nackOf(t, 1, rtcp.NackPair{PacketID: 7}), nackOf(t, 2, rtcp.NackPair{PacketID: 7})), 1, [][]uint16{{7}}, 1},
			{"all", nackOf(t, 1, rtcp.NackPair{PacketID: 7, LostPackets: 1}), 0, nil, 2},
			{"padding", padded, -1, [][]uint16{{5}}, 0},
		} {
			var l repeatLimit
			if row.left >= 0 {
				l.full = time.Now().Add(time.Duration(maxRepeats-row.left) * repeatInterval)
			}
			was := bytes.Contains(row.packet, other)
			rest, cut := l.limit(row.packet)
			require.Equal(t, row.rest, asked(t, rest), row.name)
			require.Equal(t, row.cut, cut, row.name)
			require.Equal(t, was, bytes.Contains(rest, other), row.name)
		}
	})
}

// Packets of any content are limited without a panic, and never grow; those without a
// NACK cost no memory.
func TestX1_AnyPacketIsLimited(t *testing.T) {
	var l repeatLimit
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		p := make([]byte, random.IntN(60))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		if len(p) >= 4 {
			p[0], p[1] = 0x81, 204+byte(random.IntN(3))
			binary.BigEndian.PutUint16(p[2:], uint16(random.IntN(len(p)/4+1)))
		}
		before := slices.Clone(p)
		rest, _ := l.limit(p)
		require.LessOrEqual(t, len(rest), len(before))
		if !hasNACK(before) {
			require.Equal(t, before, rest)
		}
	}
	var fresh repeatLimit
	report := []byte{0x80, 201, 0, 1, 0, 0, 0, 1}
	require.Zero(t, testing.AllocsPerRun(100, func() { fresh.limit(report) }))
	require.Nil(t, fresh.seen)
}

// A peer has us repeat a bounded number of packets, however often it asks, and those
// that it has lost are repeated as soon as there is room again.
func TestX1_NACKsWithoutEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track := rtpTrack(t)
		sender := a.sender(t, track)
		ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
		for n := range uint16(1000) {
			require.NoError(t, track.WriteRTP(numbered(n, make([]byte, 1000)...)))
		}
		time.Sleep(time.Second)
		in := newInsider(t, b)
		// repeats are the packets that a's side sends because of some RTCP, in the time
		// that two reports of its own are apart or less.
		repeats := func(packets ...[]byte) int {
			time.Sleep(100 * time.Millisecond)
			before := network.Sent(0)
			for _, p := range packets {
				in.rtcp(p)
			}
			time.Sleep(50 * time.Millisecond)

			return network.Sent(0) - before
		}
		const others = 5 // reports, and checks of the path
		one := repeats(nackOf(t, ssrc, rtcp.NackPair{PacketID: 100, LostPackets: 1}))
		require.GreaterOrEqual(t, one, 2)
		require.LessOrEqual(t, one, 2+others)
		require.Zero(t, a.dtls.SRTPStats().OverLimitRepeats)

		// The words of one packet overlap.
		var pairs []rtcp.NackPair
		for n := 0; n < 1000; n += 4 {
			pairs = append(pairs, rtcp.NackPair{PacketID: uint16(n), LostPackets: 0xffff})
		}
		flood := nackOf(t, ssrc, pairs...)
		most := repeats(flood)
		require.GreaterOrEqual(t, most, 1000)
		require.LessOrEqual(t, most, 1000+others)
		require.Zero(t, a.dtls.SRTPStats().OverLimitRepeats)

		// The same again and again.
		time.Sleep(time.Second)
		most = repeats(slices.Repeat([][]byte{flood}, 200)...)
		require.GreaterOrEqual(t, most, 4000)
		require.LessOrEqual(t, most, maxRepeats+others)
		require.Greater(t, a.dtls.SRTPStats().OverLimitRepeats, uint64(190*1000))

		time.Sleep(time.Second)
		one = repeats(nackOf(t, ssrc, rtcp.NackPair{PacketID: 100, LostPackets: 1}))
		require.GreaterOrEqual(t, one, 2)
		require.LessOrEqual(t, one, 2+others)
		stopped(t, network, a, b)
	})
}
