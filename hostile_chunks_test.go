package webrtc

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// bigEndian is numbers of 32 bits in the order of the wire.
func bigEndian(numbers ...uint32) (raw []byte) {
	for _, n := range numbers {
		raw = binary.BigEndian.AppendUint32(raw, n)
	}

	return raw
}

// parameter is one of a chunk, with a length that may be wrong.
func parameter(kind, length uint16, value []byte) []byte {
	p := binary.BigEndian.AppendUint16(nil, kind)

	return append(binary.BigEndian.AppendUint16(p, length), value...)
}

// lied gives a chunk another length than it has.
func lied(c []byte, length uint16) []byte {
	binary.BigEndian.PutUint16(c[2:], length)

	return c
}

// header sends a packet whose header was changed.
func (p *hostilePeer) header(change func(packet []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	raw := p.packet(rawChunk(chunkAbort, 0, nil))
	change(raw)
	_, _ = p.dataSource.Write(raw)
}

// at sends a message with a TSN of its own, of a type of its own; the sequence
// goes on as if it had not been sent, unless the victim has acknowledged it.
func (p *hostilePeer) at(offset uint32, kind byte) {
	p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
		d := data{stream: 0, ppid: ppidString, body: []byte("never"), flags: flagsWhole | flagUnordered, seq: 1 << 20}

		return [][]byte{d.marshal(kind, tsn+offset)}, 0
	})
}

// other is the type of DATA chunks that was not negotiated.
func (p *hostilePeer) other() byte { return chunkData + chunkIData - p.kind }

// follow takes up the sequence where the victim is, if it has gone ahead.
func (p *hostilePeer) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int32(p.acked+1-p.next) > 0 {
		p.next = p.acked + 1
	}
}

var junkBytes = bytes.Repeat([]byte{0xa5}, 40)

// hostilePackets are what no peer sends, and none of it is an ABORT that
// counts.
var hostilePackets = []struct {
	name string
	send func(p *hostilePeer)
}{
	{"a chunk of an unknown type, of all types", func(p *hostilePeer) {
		known := []byte{
			chunkData, chunkInit, chunkInitAck, chunkSack, 4, 5, chunkAbort, 7, 8, chunkError, 10, 11, 14,
			chunkIData, chunkReconfig, chunkForwardTSN, chunkIForwardTSN,
		}
		for kind := range 256 {
			if !bytes.Contains(known, []byte{byte(kind)}) {
				p.raw(rawChunk(byte(kind), 0, junkBytes))
			}
		}
	}},
	{"an unknown chunk to be skipped, before data", func(p *hostilePeer) {
		for _, kind := range []byte{0x80 | 20, 0xc0 | 20, 132, 193} {
			p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
				d := data{stream: 1000, ppid: ppidDCEP, body: []byte("junk"), flags: flagsWhole | flagUnordered | flagSackNow}

				return [][]byte{rawChunk(kind, 0, junkBytes), d.marshal(p.kind, tsn)}, 1
			})
		}
		p.settle()
		require.Zero(p.t, p.unacknowledged())
	}},
	{"DATA or I-DATA, whichever was not negotiated", func(p *hostilePeer) { p.at(0, p.other()) }},
	{"DATA that is cut off in its header", func(p *hostilePeer) {
		for n := range 16 {
			p.raw(rawChunk(p.kind, flagsWhole, junkBytes[:n]))
		}
	}},
	{"DATA of TSNs long ago", func(p *hostilePeer) {
		for _, back := range []uint32{1, 2, 100, 10_000, 1<<31 - 1} {
			p.at(-back, p.kind)
		}
	}},
	{"DATA of TSNs far ahead", func(p *hostilePeer) {
		for _, ahead := range []uint32{40_001, 50_000, 1 << 20, 1 << 30, 1<<31 - 1, 1 << 31} {
			p.at(ahead, p.kind)
		}
	}},
	{"the same DATA 1,000 times", func(p *hostilePeer) {
		for range 1000 {
			p.at(1<<32-1, p.kind)
		}
	}},
	{"FORWARD-TSN or I-FORWARD-TSN, whichever was not negotiated", func(p *hostilePeer) {
		kind := map[byte]byte{chunkIData: chunkForwardTSN, chunkData: chunkIForwardTSN}[p.kind]
		p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
			return [][]byte{rawChunk(kind, 0, bigEndian(tsn))}, 0
		})
	}},
	{"FORWARD-TSN, malformed", func(p *hostilePeer) {
		for _, kind := range []byte{chunkForwardTSN, chunkIForwardTSN} {
			for n := range 20 {
				p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
					return [][]byte{rawChunk(kind, 0, append(bigEndian(tsn-1), junkBytes...)[:n])}, 0
				})
			}
		}
	}},
	{"FORWARD-TSN to TSNs long ago and far ahead", func(p *hostilePeer) {
		kind := map[byte]byte{chunkIData: chunkIForwardTSN, chunkData: chunkForwardTSN}[p.kind]
		for _, offset := range []uint32{1<<32 - 1000, 1 << 31, 50_000, 1 << 30} {
			p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
				return [][]byte{rawChunk(kind, 0, bigEndian(tsn+offset))}, 0
			})
			p.settle()
			p.follow()
		}
	}},
	{"FORWARD-TSN over a message on streams that are not there", func(p *hostilePeer) {
		p.inject(func(tsn, _ uint32) ([][]byte, uint32) {
			if p.kind == chunkData {
				return [][]byte{rawChunk(chunkForwardTSN, 0, bigEndian(tsn, 1000<<16, 65535<<16|65535))}, 1
			}

			return [][]byte{rawChunk(chunkIForwardTSN, 0, bigEndian(tsn, 1000<<16, 1<<30, 65535<<16|1, 1<<31))}, 1
		})
	}},
	{"RE-CONFIG, malformed", func(p *hostilePeer) {
		for _, value := range [][]byte{
			nil,
			{0},
			parameter(paramOutgoingReset, 0, nil),
			parameter(paramOutgoingReset, 3, nil),
			parameter(paramOutgoingReset, 4, nil),
			parameter(paramOutgoingReset, 15, junkBytes[:11]),
			parameter(paramOutgoingReset, 200, junkBytes),
			parameter(paramReconfigResponse, 4, nil),
			parameter(paramReconfigResponse, 8, junkBytes[:4]),
			parameter(14, 8, junkBytes[:4]),  // reset of the victim's streams
			parameter(15, 8, junkBytes[:4]),  // reset of all TSNs
			parameter(17, 12, junkBytes[:8]), // more streams
			parameter(18, 12, junkBytes[:8]), // more streams
			parameter(0xffff, 44, junkBytes), // unknown
			append(parameter(0x8001, 44, junkBytes), parameter(paramOutgoingReset, 5, nil)...),
		} {
			p.raw(rawChunk(chunkReconfig, 0, value))
		}
	}},
	{"RE-CONFIG with answers to nothing", func(p *hostilePeer) {
		for result := range uint32(10) {
			p.raw(rawChunk(chunkReconfig, 0, parameter(paramReconfigResponse, 12, bigEndian(result*1000, result))))
		}
	}},
	{"RE-CONFIG with an answer and a request that is malformed", func(p *hostilePeer) {
		p.raw(rawChunk(chunkReconfig, 0, append(
			parameter(paramReconfigResponse, 12, bigEndian(7, 1)), parameter(paramOutgoingReset, 8, junkBytes[:4])...)))
	}},
	{"RE-CONFIG for more than 1,024 streams", func(p *hostilePeer) {
		ids := make([]uint16, 3000)
		for i := range ids {
			ids[i] = uint16(30_000 + i)
		}
		p.requestReset(ids...)
	}},
	{"the same RE-CONFIG 1,000 times", func(p *hostilePeer) {
		p.inject(func(tsn, request uint32) ([][]byte, uint32) {
			return [][]byte{bytes.Repeat(resetRequest(request, tsn-1, []uint16{10}), 20)}, 0
		})
		for range 50 {
			p.mu.Lock()
			number, last := p.first+p.requests, p.next-1
			p.mu.Unlock()
			p.raw(bytes.Repeat(resetRequest(number, last, []uint16{10}), 20))
		}
	}},
	{"SACK of what was never sent", func(p *hostilePeer) {
		for _, offset := range []uint32{1000, 1 << 30, 1<<31 - 1, 1 << 31} {
			p.raw(rawChunk(chunkSack, 0, bigEndian(offset, 1<<20, 0)))
		}
	}},
	{"SACK, malformed", func(p *hostilePeer) {
		p.raw(rawChunk(chunkSack, 0, nil))
		p.raw(rawChunk(chunkSack, 0, junkBytes[:11]))
		p.raw(rawChunk(chunkSack, 0, bigEndian(1, 1<<20, 65535<<16|65535)))
		p.raw(rawChunk(chunkSack, 0, bigEndian(1, 1<<20, 2<<16, 65535<<16|1, 1<<16|65535)))
	}},
	{"the handshake's chunks, too late", func(p *hostilePeer) {
		p.raw(rawChunk(10, 0, junkBytes)) // COOKIE ECHO
		p.raw(rawChunk(11, 0, nil))       // COOKIE ACK
		p.raw(rawChunk(chunkInitAck, 0, append(bigEndian(4711, 1<<20, 10<<16|10, 1), junkBytes...)))
		p.raw(rawChunk(chunkInit, 0, bigEndian(4711, 1<<20, 10<<16|10, 1)))
		p.header(func(packet []byte) {
			binary.BigEndian.PutUint32(packet[4:], 0)
			seal(packet)
		})
	}},
	{"an INIT of another association", func(p *hostilePeer) {
		for _, value := range [][]byte{
			bigEndian(4711, 1<<20, 10<<16|10, 1),
			bigEndian(0, 1<<20, 10<<16|10, 1),
			bigEndian(4711, 0, 0, 0),
			junkBytes[:12],
			append(bigEndian(4711, 1<<20, 10<<16|10, 1), parameter(0x8008, 400, nil)...),
		} {
			p.mu.Lock()
			raw := p.packet(rawChunk(chunkInit, 0, value))
			binary.BigEndian.PutUint32(raw[4:], 0)
			_, _ = p.dataSource.Write(seal(raw))
			p.mu.Unlock()
		}
	}},
	{"the last chunks of a shutdown that nobody began", func(p *hostilePeer) {
		p.raw(rawChunk(8, 0, nil))
		p.raw(rawChunk(14, 0, nil))
		p.raw(rawChunk(14, 1, nil))
	}},
	{"SHUTDOWN, malformed", func(p *hostilePeer) {
		p.raw(rawChunk(7, 0, nil))
		p.raw(rawChunk(7, 0, junkBytes[:3]))
	}},
	{"heartbeats that are malformed, and answers to none", func(p *hostilePeer) {
		for _, kind := range []byte{4, 5} {
			p.raw(rawChunk(kind, 0, nil))
			p.raw(rawChunk(kind, 0, junkBytes))
			p.raw(rawChunk(kind, 0, parameter(1, 4, nil)))
			p.raw(rawChunk(kind, 0, parameter(1, 44, junkBytes)))
			p.raw(rawChunk(kind, 0, parameter(1, 400, junkBytes)))
		}
	}},
	{"ERROR with causes of all kinds", func(p *hostilePeer) {
		for cause := range uint16(20) {
			p.raw(rawChunk(chunkError, 0, parameter(cause, 8, junkBytes[:4])))
			p.raw(rawChunk(chunkError, 0, parameter(cause, 0, nil)))
			p.raw(rawChunk(chunkError, 0, parameter(cause, 300, junkBytes)))
		}
	}},
	{"chunks whose length is wrong", func(p *hostilePeer) {
		for _, kind := range []byte{p.kind, chunkSack, chunkReconfig, 4} {
			for _, length := range []uint16{0, 1, 3, 45, 1000, 65535} {
				p.raw(lied(rawChunk(kind, flagsWhole, junkBytes), length))
			}
		}
	}},
	{"packets that are no more than a header, or less", func(p *hostilePeer) {
		p.raw()
		p.mu.Lock()
		defer p.mu.Unlock()
		whole := p.packet()
		for n := 1; n < len(whole); n++ {
			_, _ = p.dataSource.Write(whole[:n])
		}
	}},
	{"an ABORT with another tag", func(p *hostilePeer) {
		p.header(func(packet []byte) {
			packet[4] ^= 1
			seal(packet)
		})
	}},
	{"an ABORT with a wrong checksum", func(p *hostilePeer) {
		p.header(func(packet []byte) { packet[8] ^= 1 })
	}},
	{"an ABORT to no port", func(p *hostilePeer) {
		p.header(func(packet []byte) {
			copy(packet, "\x00\x00\x00\x00")
			seal(packet)
		})
	}},
}

// TestS1_HostilePackets end nothing, one by one and all together.
func TestS1_HostilePackets(t *testing.T) {
	for _, row := range hostilePackets {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				row.send(p)
				p.settle()
				p.follow()
				p.works()
				p.nothingLeft()
			})
		})
	}
	t.Run("all of them one after the other", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			for _, row := range hostilePackets {
				row.send(p)
				p.settle()
				p.follow()
				p.ping(p.bystander, p.beside)
			}
			p.works()
		})
	})
}
