package sctpfilter

import (
	"encoding/binary"
	"testing"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// belatedPeer is a peer that has signaled one INIT and sends another.
type belatedPeer struct {
	local, remote []byte
	init          []byte // a packet
	tag           uint32
}

func newBelatedPeer(t *testing.T) belatedPeer {
	t.Helper()
	tokens := [3][]byte{}
	for i := range tokens {
		token, err := sctp.GenerateOutOfBandToken(sctp.WithEnableInterleaving(true), sctp.WithEnableZeroChecksum(true))
		require.NoError(t, err)
		tokens[i] = token
	}
	p := belatedPeer{local: tokens[0], remote: tokens[1], tag: binary.BigEndian.Uint32(tokens[2][4:])}
	p.init = packetOf(0, tokens[2])

	return p
}

// packetOf is a packet with a chunk.
func packetOf(tag uint32, chunk []byte) []byte {
	p := make([]byte, commonHeaderLen, commonHeaderLen+len(chunk)+3)
	binary.BigEndian.PutUint32(p, defaultPorts)
	binary.BigEndian.PutUint32(p[4:], tag)
	p = append(p, chunk...)
	p = append(p, make([]byte, pad4(len(chunk))-len(chunk))...)
	seal(p)

	return p
}

func (p belatedPeer) ownTag() uint32      { return binary.BigEndian.Uint32(p.local[4:]) }
func (p belatedPeer) signaledTag() uint32 { return binary.BigEndian.Uint32(p.remote[4:]) }

// cookieOf is the cookie of an INIT ACK, as a COOKIE ECHO.
func (p belatedPeer) cookieOf(t *testing.T, b *Belated) []byte {
	t.Helper()
	c, ok := walk(b.Answer())
	require.True(t, ok)
	require.True(t, c.has(chunkInitAck))
	require.Equal(t, p.tag, c.tag)
	h, ok := parseInit(c.first)
	require.True(t, ok)
	require.Equal(t, p.ownTag(), h.tag)
	require.NotNil(t, h.cookie)
	echo := append([]byte{chunkCookieEcho, 0, 0, byte(chunkHeaderLen + len(h.cookie))}, h.cookie...)

	return packetOf(p.ownTag(), echo)
}

func TestBelatedHandshake(t *testing.T) {
	p := newBelatedPeer(t)
	b, ok, err := NewBelated(p.local, p.remote, p.init)
	require.NoError(t, err)
	require.True(t, ok)
	echo := p.cookieOf(t, b)

	heartbeat := packetOf(p.ownTag(), []byte{chunkHeartbeat, 0, 0, 4})
	n, reply := b.Received(append([]byte(nil), heartbeat...))
	assert.Zero(t, n, "the peer has no association yet")
	assert.Nil(t, reply)
	n, reply = b.Received(append([]byte(nil), p.init...))
	assert.Zero(t, n)
	assert.Equal(t, b.Answer(), reply, "the first one was lost")
	wrong := append([]byte(nil), echo...)
	wrong[20] ^= 1
	seal(wrong)
	n, reply = b.Received(wrong)
	assert.Zero(t, n)
	assert.Nil(t, reply)
	require.False(t, b.Established())

	for range 2 { // COOKIE ACK may be lost
		n, reply = b.Received(append([]byte(nil), echo...))
		assert.Zero(t, n)
		assert.Equal(t, packetOf(p.tag, []byte{chunkCookieAck, 0, 0, 4}), reply)
		require.True(t, b.Established())
	}
	n, reply = b.Received(append([]byte(nil), p.init...))
	assert.Zero(t, n, "a late one")
	assert.Nil(t, reply)
	n, reply = b.Received(append([]byte(nil), heartbeat...))
	assert.Equal(t, len(heartbeat), n)
	assert.Nil(t, reply)
	assert.False(t, b.Restarted(newBelatedPeer(t).init))
}

func TestBelatedPeerBeginsAgain(t *testing.T) {
	p := newBelatedPeer(t)
	b, _, err := NewBelated(p.local, p.remote, p.init)
	require.NoError(t, err)
	assert.False(t, b.Restarted(p.init))
	assert.True(t, b.Restarted(newBelatedPeer(t).init))
	assert.False(t, b.Restarted([]byte("junk")))
}

// An ABORT that answers a packet from before the handshake says nothing.
func TestBelatedReflectedAbort(t *testing.T) {
	p := newBelatedPeer(t)
	b, _, err := NewBelated(p.local, p.remote, p.init)
	require.NoError(t, err)
	n, _ := b.Received(packetOf(p.signaledTag(), []byte{chunkAbort, flagT, 0, 4}))
	assert.Zero(t, n)
	abort := packetOf(p.tag, []byte{chunkAbort, flagT, 0, 4})
	n, _ = b.Received(abort)
	require.Equal(t, len(abort), n)
	assert.Equal(t, packetOf(p.signaledTag(), []byte{chunkAbort, flagT, 0, 4}), abort)
}

// An INIT that asks for something else is an error, a damaged one nothing.
func TestBelatedInitIsAnother(t *testing.T) {
	p := newBelatedPeer(t)
	for name, change := range map[string]func(packet []byte){
		"streams": func(packet []byte) { packet[commonHeaderLen+chunkHeaderLen+8] ^= 1 },
		"extensions": func(packet []byte) {
			for b := packet[commonHeaderLen+chunkHeaderLen+initFixedLen:]; len(b) > 0; {
				param, rest, ok := nextChunk(b)
				require.True(t, ok)
				if int(param.kind)<<8|int(param.flags) == paramExtensions {
					clear(param.value)
				}
				b = rest
			}
		},
	} {
		packet := append([]byte(nil), p.init...)
		change(packet)
		_, ok, err := NewBelated(p.local, p.remote, packet)
		require.NoError(t, err, "%s: a wrong checksum", name)
		require.False(t, ok)
		seal(packet)
		_, ok, err = NewBelated(p.local, p.remote, packet)
		require.ErrorIs(t, err, errBelated, name)
		require.True(t, ok)
	}
	for n := range len(p.init) {
		_, ok, _ := NewBelated(p.local, p.remote, p.init[:n])
		require.False(t, ok, n)
	}
}

// All numbers that the peer counts are translated, and no others.
func TestBelatedNumbers(t *testing.T) {
	p := newBelatedPeer(t)
	b, _, err := NewBelated(p.local, p.remote, p.init)
	require.NoError(t, err)
	b.Received(p.cookieOf(t, b))
	number := func(of uint32) []byte { return binary.BigEndian.AppendUint32(nil, of) }
	chunk := func(kind byte, parts ...[]byte) []byte {
		c := []byte{kind, 0, 0, 0}
		for _, part := range parts {
			c = append(c, part...)
		}
		binary.BigEndian.PutUint16(c[2:], uint16(len(c)))

		return c
	}
	const ours = 1000 // a number that we count
	theirs, expected := b.peer.tsn+5, b.signaled.tsn+5
	zeros := make([]byte, 16)
	received := func(of uint32) [][]byte {
		return [][]byte{
			chunk(chunkIData, number(of), zeros, []byte("data")),
			chunk(chunkIForwardTSN, number(of)),
			chunk(chunkSack, number(ours), zeros[:8]),
			chunk(chunkReconfig,
				[]byte{0, paramResetRequest, 0, 18}, number(of), number(ours), number(of), []byte{0, 1, 0, 0},
				[]byte{0, paramResetResponse, 0, 12}, number(ours), zeros[:4]),
			chunk(chunkShutdown, number(ours)),
		}
	}
	for i, raw := range received(theirs) {
		packet := packetOf(p.ownTag(), raw)
		n, reply := b.Received(packet)
		require.Nil(t, reply)
		require.Equal(t, packetOf(p.ownTag(), received(expected)[i]), packet[:n])
	}
	sent := func(of uint32) [][]byte {
		return [][]byte{
			chunk(chunkIData, number(ours), zeros, []byte("data")),
			chunk(chunkIForwardTSN, number(ours)),
			chunk(chunkSack, number(of), zeros[:4], []byte{0, 1, 0, 2}, zeros[:1], []byte{1, 0, 1}, number(of), number(of)),
			chunk(chunkReconfig,
				[]byte{0, paramResetRequest, 0, 18}, number(ours), number(of), number(ours), []byte{0, 1, 0, 0},
				[]byte{0, paramResetResponse, 0, 12}, number(of), zeros[:4]),
			chunk(chunkShutdown, number(of)),
		}
	}
	for i, raw := range sent(expected) {
		packet := packetOf(p.signaledTag(), raw)
		before := append([]byte(nil), packet...)
		require.Equal(t, packetOf(p.tag, sent(theirs)[i]), b.Sent(packet))
		require.Equal(t, before, packet, "it is the association's")
	}
}

// Junk is dropped, and nothing panics.
func FuzzBelated(f *testing.F) {
	token, err := sctp.GenerateOutOfBandToken(sctp.WithEnableInterleaving(true))
	require.NoError(f, err)
	f.Add(packetOf(0, token), packetOf(binary.BigEndian.Uint32(token[4:]), []byte{chunkSack, 0, 0, 4}), false)
	f.Add(packetOf(0, token), packetOf(binary.BigEndian.Uint32(token[4:]), []byte{chunkReconfig, 0, 0, 8, 0, 13, 0, 4}), true)
	f.Fuzz(func(_ *testing.T, init, packet []byte, established bool) {
		b, ok, err := NewBelated(token, token, init)
		if !ok || err != nil {
			b, _, _ = NewBelated(token, token, packetOf(0, token))
		}
		b.echoed.Store(established)
		b.Restarted(packet)
		b.Sent(packet)
		b.Received(packet)
	})
}
