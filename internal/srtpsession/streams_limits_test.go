package srtpsession

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A peer that signals another SSRC with each negotiation has state for so many in the
// life of a session, which is little.
func TestX4_StateOfSignaledStreams(t *testing.T) {
	if raceOn {
		t.Skip("the race detector has a heap of its own")
	}
	a, b := pair(t, gcm, defaults())
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)

		return int64(m.HeapAlloc)
	}
	const streams = 2 * maxStates
	before := heap()
	var wire raw
	for i := range uint32(streams) {
		if i%1000 == 0 {
			wire = rawOf(t, gcm) // its own state is not what is measured
		}
		s := b.stream(t, i+1)
		packet := binary.BigEndian.AppendUint32([]byte{0x80, 96, 0, 1, 0, 0, 0, 0}, i+1)
		b.HandleRTP(wire.rtp(t, append(packet, 1)))
		if i < maxStates {
			require.EqualValues(t, 1, s.Packets())
		} else {
			require.Zero(t, s.Packets())
		}
		s.Close(errOver)
	}
	wire = raw{}
	grown := heap() - before
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	require.EqualValues(t, streams-maxStates, b.Stats().TooMany)
	require.Less(t, grown, int64(3<<20), "%d bytes for each stream that is no more", grown/maxStates)
}
