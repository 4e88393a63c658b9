package srtpsession

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// FuzzHandle gives a session any bytes as they are, and encrypted as an authentic
// peer would: nothing panics, what is delivered is what was encrypted, and nothing
// grows. what holds flags: 1 RTCP, 2 authentic, 4 AES-CM; and flip changes one bit
// of what was encrypted, if it is not zero.
func FuzzHandle(f *testing.F) {
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'a'}, uint8(0), uint16(0))
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'a'}, uint8(2), uint16(0))
	f.Add([]byte{0xb1, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 0x10, 1, 0, 0, 1}, uint8(6), uint16(0))
	f.Add([]byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 200}, uint8(2), uint16(0))
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, uint8(3), uint16(0))
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, uint8(7), uint16(9))
	f.Add([]byte{0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff}, uint8(0), uint16(0))
	f.Fuzz(func(t *testing.T, plain []byte, what uint8, flip uint16) {
		profile := gcm
		if what&4 != 0 {
			profile = profiles["AES-128-CM-HMAC-SHA1-80"]
		}
		_, b := pair(t, profile, defaults())
		s := b.stream(t, 1)
		b.claims = func(h *rtp.Header) bool { return h.PayloadType < 64 && s.Attach(h.SSRC, false) == nil }
		wire, authentic := slices.Clone(plain), false
		if what&2 != 0 {
			var out []byte
			var err error
			if what&1 != 0 {
				out, err = rawOf(t, profile).EncryptRTCP(nil, slices.Clone(plain), nil)
			} else {
				out, err = rawOf(t, profile).EncryptRTP(nil, slices.Clone(plain), nil)
			}
			if err == nil {
				wire, authentic = out, true
			}
		}
		if flip != 0 && len(wire) > 0 {
			wire[int(flip)%len(wire)] ^= 1 << (flip % 8)
			authentic = false
		}
		for range 2 {
			if what&1 != 0 {
				b.HandleRTCP(slices.Clone(wire))
			} else {
				b.HandleRTP(slices.Clone(wire))
			}
		}
		var got [][]byte
		for p, _ := s.pop(); p != nil; p, _ = s.pop() {
			got = append(got, slices.Clone(p.Data))
			p.Release()
		}
		got = append(got, b.reports...)
		require.LessOrEqual(t, len(got), 1, "a packet was taken twice")
		if len(got) == 1 {
			require.True(t, authentic, "a forged packet was taken")
			require.Equal(t, plain, got[0])
		}
		if !authentic {
			require.Zero(t, b.in.rtp.all)
			require.Zero(t, b.in.rtcp.all)
			require.Empty(t, b.claimed)
		}
		c := b.Stats()
		require.EqualValues(t, 2, c.RTP+c.RTCP+c.Early+c.Malformed+c.Replayed+c.Forged+c.TooMany+c.Unclaimed+c.WrongType,
			"each packet is counted once")
		require.Zero(t, b.queued.Load())
	})
}

// FuzzOriginal unwraps any bytes: nothing panics, and what comes out is what went
// in but for what the RFC has changed.
func FuzzOriginal(f *testing.F) {
	f.Add([]byte{0x80, 97, 0, 9, 1, 2, 3, 4, 0, 0, 0, 2, 0x12, 0x34, 'a'})
	f.Add([]byte{0xb1, 97, 0, 9, 1, 2, 3, 4, 0, 0, 0, 2, 5, 5, 5, 5, 0xbe, 0xde, 0, 1, 6, 6, 6, 6, 0x12, 0x34, 'a', 1})
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := slices.Clone(packet)
		original, ok := Original(packet, 0x01020304, 96)
		if !ok {
			require.Equal(t, before, packet, "it is not one, and has changed")

			return
		}
		require.Len(t, original, len(before)-2)
		require.Equal(t, before[0], original[0])
		require.Equal(t, before[1]&0x80|96, original[1])
		require.EqualValues(t, 0x01020304, binary.BigEndian.Uint32(original[8:]))
		var was, is rtp.Packet
		if was.Unmarshal(before) != nil || len(was.Payload) < 2 {
			return
		}
		require.NoError(t, is.Unmarshal(original))
		require.Equal(t, binary.BigEndian.Uint16(was.Payload), is.SequenceNumber)
		require.Equal(t, was.Payload[2:], is.Payload)
		require.Equal(t, was.Extensions, is.Extensions)
		require.Equal(t, was.CSRC, is.CSRC)
	})
}
