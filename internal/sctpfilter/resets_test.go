package sctpfilter

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResetWaitsForItsData(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	request := packet(defaultPorts, 1, reconfigOf(resetOf(1, 1001, 4, 99)))
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("one"))))
	assert.Nil(t, readOne(t, f, near, request))
	assert.Nil(t, readOne(t, f, near, request), "sent again")
	r.readable = nil
	data := packet(defaultPorts, 1, dataOf(1001, 4, 3, 1, []byte("two")))
	near.Inject(data)
	buf := nextBuffer()
	n, err := f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, data, buf[:n])
	f.HoldResets(true)
	near.Inject(probe)
	n, err = f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, probe, buf[:n], "held")
	f.HoldResets(false)
	n, err = f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, request, buf[:n], "the association performs it at once")
	r.readable = nil
	readOne(t, f, near, packet(defaultPorts, 1, chunk(chunkSack, 0, sackValue(1, 2))))
	f.tell()
	assert.Contains(t, r.readable, uint16(4))
	assert.NotContains(t, r.readable, uint16(99), "unknown")
	f.ResetSeen(4)
	r.readable = nil
	readOne(t, f, near, packet(defaultPorts, 1, chunk(chunkSack, 0, sackValue(1, 2))))
	assert.Empty(t, r.readable)

	f.Forget(4)
	got := readOne(t, f, near, request)
	assert.Equal(t, packet(defaultPorts, 1, reconfigOf(resetOf(1, 1001))), got,
		"answered again, and without effect on the stream's next life")
	r.opened = nil
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1002, 4, 3, 0, []byte("new"))))
	assert.Equal(t, []uint16{4}, r.opened)
}

func TestOwnResets(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	f.Opened(4)
	ask := packet(defaultPorts, 2, reconfigOf(resetOf(50, 1, 4, 5)))
	for range 2 {
		_, err := f.Write(ask)
		require.NoError(t, err)
	}
	progress := packet(defaultPorts, 1, reconfigOf(answerOf(50, resultInProgress)))
	assert.Equal(t, progress, readOne(t, f, near, progress))
	assert.Empty(t, r.answered)
	answer := packet(defaultPorts, 1, reconfigOf(answerOf(50, 1)))
	readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(answerOf(51, 1))))
	assert.Empty(t, r.answered)
	assert.Equal(t, answer, readOne(t, f, near, answer))
	assert.Equal(t, []uint16{4, 5}, r.answered)
	readOne(t, f, near, answer)
	assert.Len(t, r.answered, 2, "once")
}

// The first data of a stream's next life may overtake the answer to our reset,
// or come in one packet with it.
func TestNextLife(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("one"))))
	readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(resetOf(1, 1000, 4))))
	f.ResetSeen(4)
	_, err := f.Write(packet(defaultPorts, 2, reconfigOf(resetOf(50, 1, 4))))
	require.NoError(t, err)
	next := dataOf(1001, 4, 3, 0, []byte("next"))
	assert.Nil(t, readOne(t, f, near, packet(defaultPorts, 1, next)))
	assert.EqualValues(t, 1, f.Stats().Early)

	both := packet(defaultPorts, 1, reconfigOf(answerOf(50, 1)), next)
	near.Inject(both)
	buf := nextBuffer()
	n, err := f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, packet(defaultPorts, 1, reconfigOf(answerOf(50, 1))), buf[:n])
	r.opened = nil
	f.Forget(4) // as a reader does when it hears of the answer
	n, err = f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, []uint16{4}, r.answered)
	assert.Equal(t, packet(defaultPorts, 1, next), buf[:n])
	assert.Equal(t, []uint16{4}, r.opened)
}

// Without a reset of ours under way, data on a stream that the peer has reset
// belongs to nobody, and must not hold up the rest.
func TestDataAfterReset(t *testing.T) {
	f, near, _, _ := newReading(t, Config{}, plainExtensions...)
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("one"))))
	readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(resetOf(1, 1000, 4))))
	assert.NotNil(t, readOne(t, f, near, packet(defaultPorts, 1, dataOf(1001, 4, 3, 1, []byte("two")))))
	assert.EqualValues(t, 1, f.Stats().Discarded)
	assert.False(t, f.in.window.missing())
}

func TestDeferredResetsAreBounded(t *testing.T) {
	f, near, _, _ := newReading(t, Config{}, plainExtensions...)
	for i := range uint32(100) {
		assert.Nil(t, readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(resetOf(i, 5000, 4)))))
	}
	assert.Len(t, f.in.deferred, maxDeferred)
	assert.EqualValues(t, 100-maxDeferred, f.Stats().BadResets)
}

func TestPerformed(t *testing.T) {
	var p performed
	assert.False(t, p.has(7))
	p.add(0xffff_fffe)
	assert.True(t, p.has(0xffff_fffe))
	assert.False(t, p.has(0xffff_fffd))
	assert.False(t, p.has(0xffff_ffff))
	p.add(2)
	for number, want := range map[uint32]bool{0xffff_fffe: true, 0xffff_ffff: false, 0: false, 1: false, 2: true, 3: false} {
		assert.Equal(t, want, p.has(number), number)
	}
	p.add(0)
	assert.True(t, p.has(0))
	p.add(200)
	assert.True(t, p.has(1), "too old to be remembered")
	assert.False(t, p.has(199))
}

// The window does what a set of numbers does, across the wrap.
func TestTSNWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		initial := uint32(0) - uint32(random.IntN(3000))
		w := tsnWindow{reach: pionReach(1 << 20)}
		w.restart(initial)
		seen := map[uint32]bool{}
		cumulative, highest := initial-1, initial-1
		for range 600 {
			tsn := cumulative + uint32(random.IntN(40)) - 5
			switch random.IntN(40) {
			case 0:
				moved := w.forward(tsn)
				assert.Equal(t, before(cumulative, tsn), moved)
				if moved {
					cumulative = tsn
				}
			case 1:
				tsn = cumulative + w.reach + uint32(random.IntN(3)) - 1
				fallthrough
			default:
				want := tsnNext
				switch {
				case !before(cumulative, tsn), seen[tsn]:
					want = tsnKnown
				case tsn-cumulative > w.reach:
					want = tsnFar
				case before(tsn, highest):
					want = tsnGap
				}
				require.Equal(t, want, w.place(tsn))
				if want == tsnGap || want == tsnNext {
					w.add(tsn)
					seen[tsn] = true
				}
				if want == tsnNext {
					highest = tsn
				}
			}
			for seen[cumulative+1] {
				cumulative++
			}
			if before(highest, cumulative) {
				highest = cumulative
			}
			require.Equal(t, [2]uint32{cumulative, highest}, [2]uint32{w.cumulative, w.highest})
			require.Equal(t, cumulative != highest, w.missing())
		}
	}
	for buffer, want := range map[uint32]uint32{1500: 2048, 1 << 20: 8448, 10 << 20: 40000} {
		assert.Equal(t, want, pionReach(buffer), buffer)
	}
}
