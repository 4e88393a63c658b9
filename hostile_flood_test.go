package webrtc

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostileUnread is how many messages wait for the program at most, on all
// channels of an association.
const hostileUnread = 16_384

// floodAhead is how many chunks of a flood are not acknowledged at most.
const floodAhead = 1000

// flood sends n chunks, many to a packet, and sends again what the victim does
// not acknowledge. It returns how many were, when none is any more.
func (p *hostilePeer) flood(n int, chunk func(i int) data) (acked int) {
	const (
		patience = 40   // rounds without progress
		full     = 1100 // bytes of chunks in a packet
	)
	p.mu.Lock()
	first := p.next
	p.mu.Unlock()
	sent := 0
	for quiet := 0; acked < n && quiet < patience; {
		for sent < n && sent < acked+floodAhead {
			p.mu.Lock()
			var chunks [][]byte
			for size := 0; sent < n && sent < acked+floodAhead && size < full; sent++ {
				c := chunk(sent).marshal(p.kind, first+uint32(sent))
				size += len(c)
				chunks = append(chunks, c)
			}
			p.next = first + uint32(sent)
			_, _ = p.dataSource.Write(p.packet(chunks...))
			p.mu.Unlock()
		}
		time.Sleep(10 * hostileMillisecond)
		p.mu.Lock()
		now := int(p.acked - first + 1)
		p.mu.Unlock()
		if now > acked {
			acked, quiet = now, 0

			continue
		}
		quiet++
		if quiet%4 == 0 {
			sent = acked // go back and send again
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = first + uint32(acked) // what was never taken was never sent
	p.flooded = func(tsn uint32) []byte { return chunk(int(tsn-first)).marshal(p.kind, tsn) }

	return acked
}

// sendRest sends again, now that there is room, what the victim had none for in the
// last flood. It may have kept one of those chunks, behind others that it dropped: so
// their TSNs are not free for anything else.
func (p *hostilePeer) sendRest() {
	p.settle()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range uint32(floodAhead) {
		_, _ = p.dataSource.Write(p.packet(p.flooded(p.acked + 1 + i)))
	}
}

// takenLater is how many chunks of the last flood were acknowledged when there
// was room again: the victim keeps what it may have been asked with.
func (p *hostilePeer) takenLater() int {
	p.settle()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int32(p.acked - p.next + 1)
	if n <= 0 {
		return 0
	}
	p.next += uint32(n)

	return int(n)
}

// fragments returns the chunks of a message of so many bytes, of which the
// last is left out if it is not to be complete.
func fragments(stream uint16, seq uint32, ppid uint32, size int, complete bool) []data {
	const each = 1000
	body := make([]byte, each)
	var all []data
	for at := 0; at < size; at += each {
		d := data{stream: stream, ppid: ppid, body: body[:min(each, size-at)], seq: seq, fsn: uint32(len(all)), flags: flagSackNow}
		if at == 0 {
			d.flags |= flagBegin
		}
		if at+each >= size {
			if !complete {
				break
			}
			d.flags |= flagEnd
		}
		all = append(all, d)
	}

	return all
}

// floodAll is flood with chunks that were made before.
func (p *hostilePeer) floodAll(chunks []data) int {
	return p.flood(len(chunks), func(i int) data { return chunks[i] })
}

// weigh starts to measure the heap.
func (p *hostilePeer) weigh() { p.heap = heapInUse() }

// bounded checks what the attack costs.
func (p *hostilePeer) bounded() {
	p.t.Helper()
	grown := int64(heapInUse()) - int64(p.heap)
	p.t.Logf("heap %+d KB", grown/1024)
	require.Less(p.t, grown, max(p.mostHeap, hostileMaxHeap))
}

// endlessly is a flood that has no end of its own.
func (p *hostilePeer) endlessly(stream uint16, chunks int, extra byte) (acked int) {
	body := make([]byte, 1000)

	return p.flood(chunks, func(i int) data {
		d := data{stream: stream, ppid: ppidBinary, body: body, seq: 1, fsn: uint32(i), flags: extra | flagSackNow}
		if i == 0 {
			d.flags |= flagBegin
		}

		return d
	})
}

// TestX1_Floods go ten times and more past the limits. They cost no more than
// a connection may, and once the peer has reset its streams, or the program has
// read what waits, everything works.
func TestX1_Floods(t *testing.T) {
	if raceEnabled {
		t.Skip("heap is not the same under the race detector")
	}
	everyStream := func(i int) uint16 { return uint16(2 + i) } // but the bystander's
	const streams = 65_533
	for _, row := range []struct {
		name string
		do   func(t *testing.T, p *hostilePeer) (used []uint16)
	}{
		{"an OPEN on every stream", func(t *testing.T, p *hostilePeer) (used []uint16) {
			open := openMessage("one of many")
			require.Equal(t, streams, p.flood(streams, func(i int) data {
				return data{stream: everyStream(i), ppid: ppidDCEP, body: open, flags: flagsWhole | flagSackNow}
			}), "they have to be taken from the peer")
			for i := range streams {
				used = append(used, everyStream(i))
			}

			return used
		}},
		{"a byte of junk on every stream", func(t *testing.T, p *hostilePeer) (used []uint16) {
			require.Equal(t, streams, p.flood(streams, func(i int) data {
				return data{stream: everyStream(i), ppid: ppidString, body: []byte{'x'}, flags: flagsWhole | flagSackNow}
			}), "they have to be taken from the peer")
			for i := range streams {
				used = append(used, everyStream(i))
			}

			return used
		}},
		{"half a message on every stream", func(_ *testing.T, p *hostilePeer) (used []uint16) {
			p.flood(streams, func(i int) data {
				return data{stream: everyStream(i), ppid: ppidDCEP, body: []byte{3}, flags: flagBegin | flagSackNow}
			})
			for i := range streams {
				used = append(used, everyStream(i))
			}

			return used
		}},
		{"20 MB of one message, ordered", func(t *testing.T, p *hostilePeer) []uint16 {
			c := p.openAndAccept(streamBad)
			require.Equal(t, 20_000, p.endlessly(streamBad, 20_000, 0), "the rest has to be taken from the peer")
			p.settle()
			require.Equal(t, []uint16{streamBad}, p.wasReset())
			require.ErrorIs(t, context.Cause(c.Context()), ErrMessageTooLarge)

			return []uint16{streamBad}
		}},
		{"20 MB of one message, unordered", func(t *testing.T, p *hostilePeer) []uint16 {
			c := p.openAndAccept(streamBad)
			require.Equal(t, 20_000, p.endlessly(streamBad, 20_000, flagUnordered), "the rest has to be taken from the peer")
			p.settle()
			require.Equal(t, []uint16{streamBad}, p.wasReset())
			require.ErrorIs(t, context.Cause(c.Context()), ErrMessageTooLarge)

			return []uint16{streamBad}
		}},
		{"20 MB of one message on the reserved stream", func(t *testing.T, p *hostilePeer) []uint16 {
			require.Equal(t, 20_000, p.endlessly(65535, 20_000, 0), "they have to be taken from the peer")

			return nil
		}},
		{"messages of every number on the reserved stream", func(t *testing.T, p *hostilePeer) []uint16 {
			require.Equal(t, 50_000, p.flood(50_000, func(i int) data {
				return data{
					stream: 65535, ppid: ppidBinary, body: []byte{'x'}, seq: uint32(i),
					flags: flagsWhole | flagUnordered | flagSackNow,
				}
			}), "they have to be taken from the peer")

			return nil
		}},
		{"20 MB of a first message", func(t *testing.T, p *hostilePeer) []uint16 {
			require.Equal(t, 20_000, p.flood(20_000, func(i int) data {
				d := data{stream: streamBad, ppid: ppidDCEP, body: make([]byte, 1000), fsn: uint32(i), flags: flagSackNow}
				if i == 0 {
					d.flags |= flagBegin
				}

				return d
			}), "the rest has to be taken from the peer")
			p.settle()
			require.Equal(t, []uint16{streamBad}, p.wasReset())

			return []uint16{streamBad}
		}},
		{"a message of 60 KB on each of 1,000 streams, by turns and without ends", func(_ *testing.T, p *hostilePeer) (used []uint16) {
			p.mostHeap = hostileWindow // what they hold is what the window is for
			body := make([]byte, 1000)
			p.flood(60_000, func(i int) data {
				d := data{stream: everyStream(2 * (i % 1000)), ppid: ppidDCEP, body: body, fsn: uint32(i / 1000), flags: flagSackNow}
				if i < 1000 {
					d.flags |= flagBegin
				}

				return d
			})
			for i := range 1000 {
				used = append(used, everyStream(2*i))
			}

			return used
		}},
		{"fragments of one byte", func(_ *testing.T, p *hostilePeer) []uint16 {
			p.openAndAccept(streamBad)
			p.flood(100_000, func(i int) data {
				d := data{stream: streamBad, ppid: ppidBinary, body: []byte{'x'}, seq: 1, fsn: uint32(i), flags: flagSackNow}
				if i == 0 {
					d.flags |= flagBegin
				}

				return d
			})
			p.settle()
			require.Equal(p.t, []uint16{streamBad}, p.wasReset())

			return []uint16{streamBad}
		}},
		{"beginnings of messages of one byte", func(_ *testing.T, p *hostilePeer) []uint16 {
			p.openAndAccept(streamBad)
			p.flood(100_000, func(i int) data {
				return data{stream: streamBad, ppid: ppidBinary, body: []byte{'x'}, seq: uint32(1 + i), flags: flagBegin | flagSackNow}
			})
			p.settle()
			require.Equal(p.t, []uint16{streamBad}, p.wasReset())

			return []uint16{streamBad}
		}},
		{"beginnings of unordered messages of one byte", func(_ *testing.T, p *hostilePeer) []uint16 {
			p.openAndAccept(streamBad)
			p.flood(100_000, func(i int) data {
				return data{
					stream: streamBad, ppid: ppidBinary, body: []byte{'x'}, seq: uint32(1 + i),
					flags: flagBegin | flagUnordered | flagSackNow,
				}
			})
			p.settle()
			require.Equal(p.t, []uint16{streamBad}, p.wasReset())

			return []uint16{streamBad}
		}},
		{"ordered messages behind one that never comes", func(_ *testing.T, p *hostilePeer) []uint16 {
			p.openAndAccept(streamBad)
			p.flood(30_000, func(i int) data {
				return data{stream: streamBad, ppid: ppidBinary, body: []byte{'x'}, seq: uint32(2 + i), flags: flagsWhole | flagSackNow}
			})
			p.settle()
			require.Equal(p.t, []uint16{streamBad}, p.wasReset())

			return []uint16{streamBad}
		}},
		{"messages of a past number", func(t *testing.T, p *hostilePeer) []uint16 {
			c := p.openAndAccept(streamBad)
			p.flood(30_000, func(int) data {
				return data{stream: streamBad, ppid: ppidBinary, body: []byte{'x'}, flags: flagsWhole | flagSackNow}
			})
			p.settle()
			require.Equal(p.t, []uint16{streamBad}, p.wasReset())
			_, err := c.ReceiveContext(limited(t, testTimeout))
			require.ErrorIs(t, err, ErrMessageTooLarge)

			return []uint16{streamBad}
		}},
		{"requests of resets that have to wait for data", func(_ *testing.T, p *hostilePeer) []uint16 {
			const ahead = 150
			ids := make([]uint16, 500)
			for i := range ids {
				ids[i] = uint16(20_000 + i)
			}
			p.mu.Lock()
			last := p.next - 1 + ahead
			p.mu.Unlock()
			for i := range 10_000 {
				p.inject(func(_, request uint32) ([][]byte, uint32) {
					return [][]byte{resetRequest(request, last, ids)}, 0
				})
				p.mu.Lock()
				p.requests++
				p.mu.Unlock()
				if i%100 == 0 {
					time.Sleep(10 * hostileMillisecond)
				}
			}
			p.settle()
			before := p.network.Sent(0)
			for range ahead + 10 {
				p.ping(p.bystander, p.beside)
			}
			require.Less(p.t, p.network.Sent(0)-before, 20*ahead, "each message has many packets for an answer")

			return nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				p.weigh()
				used := row.do(t, p)
				p.settle()
				p.bounded()
				require.Equal(t, SCTPTransportStateConnected, p.victim.sctp.State())
				p.reset(used...)
				p.takenLater()
				p.works()
				p.nothingLeft()
				p.bounded()
			})
		})
	}
}

// TestX1_MessagesThatNobodyReads are bounded by number. The peer has to wait,
// and goes on when they are read; nothing that was taken from it is lost.
func TestX1_MessagesThatNobodyReads(t *testing.T) {
	if raceEnabled {
		t.Skip("heap is not the same under the race detector")
	}
	for _, row := range []struct {
		name  string
		flags byte
		ppid  uint32
	}{
		{"of one byte", flagsWhole, ppidBinary},
		{"of one byte, unordered", flagsWhole | flagUnordered, ppidBinary},
		{"that are empty", flagsWhole, ppidBinaryEmpty},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				p.weigh()
				c := p.openAndAccept(streamBad)
				acked := p.flood(10*hostileUnread, func(i int) data {
					return data{stream: streamBad, ppid: row.ppid, body: []byte{1}, seq: uint32(1 + i), flags: row.flags | flagSackNow}
				})
				p.settle()
				p.bounded()
				t.Logf("%d messages were taken", acked)
				require.GreaterOrEqual(t, acked, hostileUnread/2)
				require.LessOrEqual(t, acked, hostileUnread+1000, "one burst above the limit")
				require.Empty(t, p.wasReset(), "a program that is slow is no reason to end a channel")
				receive := func() {
					m, err := c.ReceiveContext(limited(t, testTimeout))
					require.NoError(t, err)
					require.False(t, m.IsString)
				}
				for range acked {
					receive()
				}
				p.sendRest()
				for range p.takenLater() {
					receive()
				}
				p.works()
				p.reset(streamBad)
				_, err := c.ReceiveContext(limited(t, testTimeout))
				require.Equal(t, io.EOF, err)
				p.nothingLeft()
			})
		})
	}
	t.Run("on 100 channels", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			var channels []*DataChannel
			var used []uint16
			for i := range 100 {
				channels = append(channels, p.openAndAccept(uint16(2+2*i)))
				used = append(used, uint16(2+2*i))
			}
			p.settle()
			p.weigh()
			acked := p.flood(10*hostileUnread, func(i int) data {
				return data{stream: used[i%100], ppid: ppidBinary, body: []byte{1}, seq: uint32(1 + i/100), flags: flagsWhole | flagSackNow}
			})
			p.settle()
			p.bounded()
			require.LessOrEqual(t, acked, hostileUnread+1000, "one burst above the limit")
			for i := range acked {
				_, err := channels[i%100].ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
			}
			p.sendRest()
			for i := range p.takenLater() {
				_, err := channels[(acked+i)%100].ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
			}
			p.works()
			p.reset(used...)
			p.nothingLeft()
		})
	})
}
