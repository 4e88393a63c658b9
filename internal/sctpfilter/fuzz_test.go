package sctpfilter

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parts cuts a fuzzer's input into pieces, each behind its length of two bytes.
func parts(b []byte) (all [][]byte) {
	for len(b) >= 2 && len(all) < 1000 { // more than that a pipe does not hold
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		all = append(all, b[2:2+n])
		b = b[2+n:]
	}

	return all
}

func joined(pieces ...[]byte) (b []byte) {
	for _, p := range pieces {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}

	return b
}

// consistent checks what the filter keeps: its sums, and the bounds of
// everything that a peer can make grow.
func consistent(t *testing.T, f *Filter, accepted int) {
	t.Helper()
	d := &f.in
	messages, stuck, bytes, fragments, asked := 0, 0, 0, 0, 0
	for id, s := range d.streams {
		require.NotEqual(t, Sink, id)
		messages, stuck, bytes, fragments = messages+s.messages, stuck+s.stuck, bytes+s.bytes, fragments+len(s.parts.fragments)
		size := 0
		for _, part := range s.parts.fragments {
			size += part.bytes
		}
		require.Equal(t, size, s.parts.bytes)
		require.GreaterOrEqual(t, s.bytes, size)
		if s.asked {
			asked++
		}
	}
	require.Equal(t, []int{messages, stuck, bytes, fragments, asked},
		[]int{d.messages, d.stuck, d.bytes, d.fragments, len(d.asked)})
	require.LessOrEqual(t, len(d.streams), accepted)
	require.LessOrEqual(t, len(d.deferred), maxDeferred)
	require.LessOrEqual(t, len(f.waiting), maxWaiting+1)
	require.LessOrEqual(t, d.window.highest-d.window.cumulative, d.window.reach)
}

// Whatever the peer sends, Read gives to the association what it can parse and
// what is in keeping with the handshake, or drops it, or ends with its ABORT.
func FuzzRead(f *testing.F) {
	data := func(tsn uint32, stream uint16, flags byte) []byte {
		return dataOf(tsn, stream, flags, 0, []byte("abc"))
	}
	f.Add(false, joined(data(1000, 1, 3), append(data(1001, 2, 2), data(1003, 2, 1)...), forward(chunkForwardTSN, 1004, 0, 2, 0, 0)))
	f.Add(true, joined(iDataOf(1000, 1, 2, 0, 53, []byte("a")), iDataOf(1001, 1, 1, 0, 1, []byte("b")), forward(chunkIForwardTSN, 1009, 0, 1, 0, 0, 0, 0, 0, 9)))
	f.Add(false, joined(reconfigOf(resetOf(1, 1000, 1), answerOf(5, 1)), data(1000, 1, 3), chunk(chunkSack, 0, sackValue(3, 9, 1, 2))))
	f.Add(false, joined(chunk(chunkInit, 0, initValue(2)), chunk(chunkInitAck, 0, initValue(2, 0, 7, 0, 8, 1, 2, 3, 4)), chunk(0xc1, 0, nil)))
	f.Add(false, joined(chunk(chunkAbort, 0, userAbort("why"))))
	f.Add(true, joined(append(chunk(chunkShutdown, 0, make([]byte, 4)), chunk(chunkShutdownComplete, 1, nil)...)))
	f.Fuzz(func(t *testing.T, interleave bool, input []byte) {
		extensions := plainExtensions
		if interleave {
			extensions = interleaveExtensions
		}
		filter, near, _, r := newReading(t, Config{MaxMessage: 5000, MaxUnread: 20}, extensions...)
		accepted := 0
		r.refuse[7] = true
		r.then = func(ids []uint16) {
			accepted = len(r.opened)
			for _, id := range ids {
				switch id % 4 {
				case 0:
					filter.Took(id, 1)
				case 1:
					filter.Drained(id, filter.Handled())
				case 2:
					filter.ResetSeen(id)
				default:
					filter.Forget(id)
				}
			}
		}
		last := packet(defaultPorts, 1, chunk(chunkCookieAck, 0, []byte("the last")))
		for _, chunks := range parts(input) {
			near.Inject(packet(defaultPorts, 1, chunks))
			near.Inject(chunks)
		}
		near.Inject(last)
		buf := make([]byte, 1<<17)
		for {
			n, err := filter.Read(buf)
			consistent(t, filter, len(r.opened))
			if err != nil {
				var abort *Abort
				require.ErrorAs(t, err, &abort)
				require.NotEmpty(t, abort.Error())

				return
			}
			c, ok := walk(buf[:n])
			require.True(t, ok)
			require.False(t, c.strip, "the association would drop the packet")
			require.True(t, intact(buf[:n]))
			for at := commonHeaderLen; at < n; at += pad4(int(binary.BigEndian.Uint16(buf[at+2:]))) {
				kind := buf[at]
				require.False(t, kind == chunkData && interleave || kind == chunkIData && !interleave ||
					kind == chunkForwardTSN && interleave || kind == chunkIForwardTSN && !interleave, "the association would abort itself")
			}
			if string(buf[:n]) == string(last) {
				break
			}
		}
		assert.GreaterOrEqual(t, len(r.opened), accepted)
	})
}

// FuzzSent: whatever the association sends goes out, and only a SACK's window
// is changed.
func FuzzSent(f *testing.F) {
	f.Add(packet(defaultPorts, 2, chunk(chunkSack, 0, sackValue(1, 1<<20))))
	f.Add(packet(defaultPorts, 2, reconfigOf(resetOf(1, 2, 3))))
	f.Add(packet(defaultPorts, 2, dataOf(1, 2, 3, 4, nil)))
	f.Fuzz(func(t *testing.T, p []byte) {
		filter, _, far := newFilter(t, Config{MaxUnread: 10})
		n, err := filter.Write(p)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		buf := make([]byte, len(p)+100)
		n, err = far.Read(buf)
		require.NoError(t, err)
		if len(p) > commonHeaderLen && p[commonHeaderLen] != chunkAbort {
			require.Equal(t, p, buf[:n])
		}
	})
}
