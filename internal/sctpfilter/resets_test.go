package sctpfilter

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"testing/synctest"

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

	f.Forget(4)
	f.Opened(4)
	_, err := f.Write(ask) // its timer fired as the answer came
	require.NoError(t, err)
	assert.Empty(t, f.in.sent)
	assert.False(t, f.in.streams[4].reset, "the stream has its next life")
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

// A request that finds no room is not answered; it comes again when there is,
// and is performed then.
func TestDeferredResetsAreBounded(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("one"))))
	ids := make([]uint16, 500) // what one packet carries
	for i := range ids {
		ids[i] = 4
	}
	for i := range uint32(1000) {
		assert.Nil(t, readOne(t, f, near, packet(defaultPorts, 1, reconfigOf(resetOf(1000+i, 5000, ids...)))))
	}
	kept := len(f.in.deferred)
	assert.Less(t, f.in.deferredSize, maxDeferred+1)
	assert.Greater(t, f.in.deferredSize, maxDeferred-4096)
	assert.EqualValues(t, 1000-kept, f.Stats().BadResets)

	near.Inject(packet(defaultPorts, 1, forward(chunkForwardTSN, 5000)))
	for range 1 + kept {
		_, err := f.Read(nextBuffer())
		require.NoError(t, err)
	}
	f.tell()
	assert.Empty(t, f.in.deferred)
	assert.Zero(t, f.in.deferredSize)
	f.Forget(4)
	f.Opened(5)
	for i := uint32(kept); i < 1000; i++ {
		request := packet(defaultPorts, 1, reconfigOf(resetOf(1000+i, 5000, 5, 6)))
		require.Equal(t, request, readOne(t, f, near, request), "request %d", i)
	}
	assert.Contains(t, r.readable, uint16(5))
}

// There is room for the requests of as many channels as there can be by
// default, which pion/sctp sends one by one; when they may be performed, all
// are, without the peer's having to send anything.
func TestHeldResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, near, _, _ := newReading(t, Config{}, plainExtensions...)
		readOne(t, f, near, packet(defaultPorts, 1, dataOf(1000, 4, 3, 0, []byte("one"))))
		f.HoldResets(true)
		const channels = 1024
		for i := range uint32(channels) {
			request := packet(defaultPorts, 1, reconfigOf(resetOf(1000+i, 900+i%100, uint16(i))))
			require.Nil(t, readOne(t, f, near, request))
		}
		assert.Zero(t, f.Stats().BadResets)
		seen := map[uint16]bool{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for buf := nextBuffer(); ; {
				if _, err := f.Read(buf); err != nil {
					return
				}
				seen[binary.BigEndian.Uint16(buf[commonHeaderLen+2*chunkHeaderLen+resetFixedLen:])] = true
			}
		}()
		synctest.Wait()
		f.HoldResets(false)
		synctest.Wait()
		f.Detach()
		<-done
		assert.Len(t, seen, channels)
	})
}

// A request that was lost is performed when it comes again, however many
// later ones have been performed by then.
func TestLostReset(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	ask := func(number uint32, id uint16) (request, got []byte) {
		request = packet(defaultPorts, 1, reconfigOf(resetOf(number, 999, id, id)))

		return request, readOne(t, f, near, request)
	}
	f.Opened(7)
	for i := range uint32(maxResetsAhead - 1) {
		request, got := ask(1001+i, 9)
		require.Equal(t, request, got)
	}
	_, got := ask(1000+maxResetsAhead, 9)
	assert.Nil(t, got, "too far ahead of the first, which is missing")
	r.readable = nil
	request, got := ask(1000, 7)
	assert.Equal(t, request, got)
	f.tell()
	assert.Contains(t, r.readable, uint16(7))
	request, got = ask(1000+maxResetsAhead, 9)
	assert.Equal(t, request, got, "there is room now")
	for _, number := range []uint32{1000, 1500, 1000 + maxResetsAhead} {
		_, got = ask(number, 9)
		assert.Equal(t, packet(defaultPorts, 1, reconfigOf(resetOf(number, 999))), got, "performed before")
	}
}

// The numbers are those of a set that is followed by its lowest missing one,
// across the wrap.
func TestPerformed(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	initial := ^uint32(0) - 2000
	var p performed
	p.start(initial)
	seen, lowest := map[uint32]bool{}, initial
	for range 100_000 {
		number := lowest + uint32(random.IntN(60)) - 10
		if random.IntN(10) == 0 {
			number = lowest + uint32(random.IntN(maxResetsAhead+20))
		}
		want := resetNew
		switch {
		case number-lowest >= 1<<31 || seen[number]:
			want = resetDone
		case number-lowest >= maxResetsAhead:
			want = resetFar
		}
		p.tries = 0
		require.Equal(t, want, p.place(number))
		if want == resetNew && random.IntN(2) == 0 {
			p.add(number)
			seen[number] = true
		}
		for seen[lowest] {
			lowest++
		}
		require.Equal(t, lowest-1, p.cumulative)
	}
	require.Less(t, lowest, initial, "it has come round")
}

// Peers whose first number is another than their first TSN.
func TestPerformedFromElsewhere(t *testing.T) {
	for _, first := range []uint32{0, 999, 1000 + maxResetsLost, 1 << 31, 1<<32 - 1} {
		var p performed
		p.start(1000)
		for i := range uint32(10_000) {
			require.Equal(t, resetNew, p.place(first+i), first)
			p.add(first + i)
			require.Equal(t, resetDone, p.place(first+i), first)
		}
	}
	var p performed
	p.start(1000)
	for i := range uint32(10_000) {
		for tries := 1; p.place(1001+i) == resetFar; tries++ {
			require.Less(t, tries, farTries)
			require.EqualValues(t, maxResetsAhead-1, i, "1000 is taken for never sent, once")
		}
		p.add(1001 + i)
		require.Equal(t, resetDone, p.place(1001+i))
	}
	assert.Equal(t, resetDone, p.place(1000))

	p = performed{}
	p.start(1000)
	for i := range uint32(50) {
		require.Equal(t, resetFar, p.place(1000+maxResetsAhead+i%2), "more than one at a time: none is given up")
	}
	assert.Equal(t, resetNew, p.place(1000))
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
