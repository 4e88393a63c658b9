package sctpfilter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// What is handed on beside a poll that finds nothing is not stuck, nor is what stands
// behind a gap that it fills.
func TestDrainedBesideAPacket(t *testing.T) {
	f, near, _, _ := newReading(t, Config{}, plainExtensions...)
	unread := func() int {
		messages, _ := f.Unread(4)

		return messages
	}
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1001, 4, 3, 1, []byte("y"))))
	f.tell() // as the association asks for the next packet
	mark := f.Handled()
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("x"))))
	f.Drained(4, mark)
	assert.Equal(t, 2, unread(), "it is on its way")
	f.tell()
	f.Drained(4, mark)
	assert.Equal(t, 2, unread(), "it has come since")
	f.Drained(4, f.Handled())
	assert.Zero(t, unread(), "a poll after that has not found them either")
}

// A gap in a stream's numbers that is filled late does no harm; one that lasts,
// or that has too much behind it, ends the stream.
func TestStuckMessages(t *testing.T) {
	const perPacket = 32
	type state struct {
		f    *Filter
		near *testnet.PipeConn
		tsn  uint32
		ssn  uint16
	}
	// more brings n packets for stream 4, whose message 0 is missing.
	more := func(t *testing.T, s *state, n int) {
		t.Helper()
		for range n {
			chunks := make([][]byte, perPacket)
			for i := range chunks {
				s.ssn++
				chunks[i] = dataOf(s.tsn, 4, 3, s.ssn, []byte("x"))
				s.tsn++
			}
			readOne(t, s.f, s.near, packet(defaultPorts, 1, chunks...))
			s.f.tell()
			s.f.Drained(4, s.f.Handled())
		}
	}
	// others brings n packets for stream 6, which are read.
	others := func(t *testing.T, s *state, n int) {
		t.Helper()
		for i := range n {
			readOne(t, s.f, s.near, packet(defaultPorts, 1, dataOf(s.tsn, 6, 3, uint16(i), []byte("x"))))
			s.f.Took(6, 1)
			s.tsn++
		}
	}
	for name, row := range map[string]struct {
		maxUnread int
		do        func(t *testing.T, s *state)
		overflows bool
	}{
		"few, for long": {0, func(t *testing.T, s *state) {
			more(t, s, maxStuck/perPacket)
			others(t, s, 2*stuckPackets)
			s.f.tell()
			s.f.Drained(4, s.f.Handled())
		}, false},
		"many, not for long": {0, func(t *testing.T, s *state) {
			more(t, s, maxStuckSoon/perPacket)
		}, false},
		"more than many": {0, func(t *testing.T, s *state) {
			more(t, s, maxStuckSoon/perPacket+1)
		}, true},
		"many, for long": {0, func(t *testing.T, s *state) {
			more(t, s, maxStuck/perPacket+1)
			others(t, s, stuckPackets)
			s.f.tell()
			s.f.Drained(4, s.f.Handled())
		}, true},
		"many, for long, but filled": {0, func(t *testing.T, s *state) {
			more(t, s, maxStuck/perPacket+1)
			readOne(t, s.f, s.near, packet(defaultPorts, 1, dataOf(s.tsn, 4, 3, 0, []byte("x"))))
			s.tsn++
			for range maxStuck + perPacket + 1 {
				s.f.Took(4, 1)
			}
			others(t, s, stuckPackets)
			s.ssn++ // the next gap
			more(t, s, maxStuck/perPacket+1)
		}, false},
		"as many as shut the window": {10_000, func(t *testing.T, s *state) {
			more(t, s, 5_000/perPacket+1)
			assert.False(t, s.f.in.receiver.closed)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, near, _, r := newReading(t, Config{MaxUnread: row.maxUnread}, plainExtensions...)
			s := &state{f: f, near: near, tsn: 1000}
			row.do(t, s)
			require.Nil(t, readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(resetOf(1000, s.tsn+9, 8)))))
			if row.overflows {
				assert.Equal(t, []uint16{4}, r.overflow)
			} else {
				assert.Empty(t, r.overflow)
			}
		})
	}
}
