package sctpfilter

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// windowOf is the window of the next packet at the peer, a SACK.
func windowOf(t *testing.T, far *testnet.PipeConn) uint32 {
	t.Helper()
	buf := nextBuffer()
	n, err := far.Read(buf)
	require.NoError(t, err)
	require.True(t, intact(buf[:n]))
	require.EqualValues(t, chunkSack, buf[commonHeaderLen])

	return binary.BigEndian.Uint32(buf[commonHeaderLen+8:])
}

func TestWindowThatThePeerSees(t *testing.T) {
	const limit, window = 8, 1 << 20
	f, near, far, _ := newReading(t, Config{MaxUnread: limit}, plainExtensions...)
	sack := func(window uint32) {
		_, err := f.Write(packet(defaultPorts, 2, chunk(chunkSack, 0, sackValue(1, window))))
		require.NoError(t, err)
	}
	sack(window)
	assert.EqualValues(t, window, windowOf(t, far))
	for i := range uint32(limit - 1) {
		readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000+i, 1, 3, uint16(i), []byte("x"))))
	}
	sack(window)
	assert.EqualValues(t, window-(limit-1)*chunkOverhead, windowOf(t, far))
	sack(100)
	assert.Zero(t, windowOf(t, far), "never below 0")
	f.Took(1, 1)
	assert.EqualValues(t, window-(limit-2)*(chunkOverhead+1), windowOf(t, far), "told at once, as there is room")
	f.Took(1, 1)
	assert.Zero(t, far.Queued(), "once")
	for i := range uint32(3) {
		readOne(t, f, near, packet(defaultPorts, 1, dataOf(1007+i, 1, 3, uint16(7+i), []byte("x"))))
	}
	got := readOne(t, f, near, packet(defaultPorts, 1, dataOf(1010, 1, 3, 10, []byte("x"))))
	assert.EqualValues(t, 1009, binary.BigEndian.Uint32(got[commonHeaderLen+4:]), "as a duplicate, so that it is answered")
	sack(window)
	assert.Zero(t, windowOf(t, far), "shut")
	for range 2 { // six of eight are not below three quarters
		f.Took(1, 1)
		assert.Zero(t, far.Queued())
	}
	f.Took(1, 1)
	assert.EqualValues(t, window-5*(chunkOverhead+1), windowOf(t, far))
	assert.EqualValues(t, 2, f.Stats().WindowUpdates)
	_, size := f.Unread(1)
	assert.Equal(t, 5, size)
	near.Inject(probe)
	buf := nextBuffer()
	n, err := f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, packet(defaultPorts, 1, dataOf(1010, 1, 3|flagImmediate, 10, []byte("x"))), buf[:n], "what was refused")
}

// A buffer that is filling up is not told of with every message taken.
func TestNoUpdateWhileHalfFull(t *testing.T) {
	f, near, far, _ := newReading(t, Config{}, plainExtensions...)
	large := make([]byte, 8000)
	for i := range uint32(120) {
		readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000+i, 1, 3, uint16(i), large)))
	}
	_, err := f.Write(packet(defaultPorts, 2, chunk(chunkSack, 0, sackValue(1, 1<<20-960000))))
	require.NoError(t, err)
	windowOf(t, far)
	taken := 0
	for ; far.Queued() == 0; taken++ {
		f.Took(1, len(large))
	}
	assert.InDelta(t, 60, taken, 5)
	assert.GreaterOrEqual(t, windowOf(t, far), uint32(1<<19))
}
