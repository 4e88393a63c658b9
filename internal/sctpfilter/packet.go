package sctpfilter

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Chunk types that the filter looks at.
// https://www.iana.org/assignments/sctp-parameters/sctp-parameters.xhtml#sctp-parameters-1
const (
	chunkData             = 0
	chunkInit             = 1
	chunkInitAck          = 2
	chunkSack             = 3
	chunkHeartbeat        = 4
	chunkHeartbeatAck     = 5
	chunkAbort            = 6
	chunkShutdown         = 7
	chunkShutdownAck      = 8
	chunkError            = 9
	chunkCookieEcho       = 10
	chunkCookieAck        = 11
	chunkShutdownComplete = 14
	chunkIData            = 64
	chunkReconfig         = 130
	chunkForwardTSN       = 192
	chunkIForwardTSN      = 194

	// An endpoint that does not know a chunk type with this bit goes on with
	// the next chunk; without it, it discards the packet.
	// https://www.rfc-editor.org/rfc/rfc9260#section-3.2
	skipUnknown = 0x80
)

const (
	commonHeaderLen  = 12
	chunkHeaderLen   = 4
	initFixedLen     = 16 // the value of an INIT or INIT ACK before its parameters
	paramStateCookie = 7  // State Cookie, mandatory in an INIT ACK
	flagT            = 1  // "the verification tag is reflected", in ABORT and SHUTDOWN COMPLETE
	defaultPort      = 5000
	defaultPorts     = defaultPort<<16 | defaultPort
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	fourZeros  [4]byte

	errToken = errors.New("sctp-init is not an INIT chunk")
)

// chunkView is one chunk inside a packet; value is not copied.
type chunkView struct {
	kind, flags byte
	value       []byte
}

// nextChunk cuts the first chunk off b, padding included. ok is false if the
// length does not fit.
func nextChunk(b []byte) (c chunkView, rest []byte, ok bool) {
	if len(b) < chunkHeaderLen {
		return c, nil, false
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < chunkHeaderLen || length > len(b) {
		return c, nil, false
	}

	return chunkView{b[0], b[1], b[chunkHeaderLen:length]}, b[min(pad4(length), len(b)):], true
}

func pad4(n int) int { return (n + 3) &^ 3 }

// initiateTag of an INIT or INIT ACK; 0, which no peer may use, if there is none.
func (c chunkView) initiateTag() uint32 {
	if len(c.value) < initFixedLen {
		return 0
	}

	return binary.BigEndian.Uint32(c.value)
}

// hasCookie tells whether an INIT ACK carries a State Cookie.
func (c chunkView) hasCookie() bool {
	if len(c.value) < initFixedLen {
		return false
	}
	// A parameter has a two byte type where a chunk has type and flags; the
	// framing is the same.
	for b := c.value[initFixedLen:]; ; {
		p, rest, ok := nextChunk(b)
		if !ok {
			return false
		}
		if p.kind == 0 && p.flags == paramStateCookie {
			return true
		}
		b = rest
	}
}

// contents is what one walk over a packet has found.
type contents struct {
	tag, ports uint32
	kinds      uint32 // bit i: a chunk of type i, for types below 32
	reflected  bool   // the T bit of an ABORT or SHUTDOWN COMPLETE
	data       bool   // a chunk that has to do with the streams' data
	reconfig   bool   // a RE-CONFIG chunk, which counts as data too
	strip      bool   // a chunk that the association must not see
	handshake  bool   // something stands behind a COOKIE ECHO or COOKIE ACK
	first      chunkView
	abort      chunkView
}

func (c *contents) has(kind int) bool { return c.kinds&(1<<kind) != 0 }

// The chunks that move the filter's own view of the association.
const watched = 1<<chunkInit | 1<<chunkInitAck | 1<<chunkAbort | 1<<chunkShutdown |
	1<<chunkShutdownAck | 1<<chunkCookieEcho | 1<<chunkCookieAck | 1<<chunkShutdownComplete

// walk reads the common header and the chunks' framing. ok is false if they
// are no SCTP packet, or one that pion/sctp would refuse as a whole: from here
// on, what a packet says and what the association makes of it must be the
// same. Port 0 is none (RFC 9260, section 3.1). A packet with an ABORT is
// looked at less strictly, because the association does not get to see it.
func walk(p []byte) (c contents, ok bool) {
	if len(p) < commonHeaderLen+chunkHeaderLen {
		return c, false
	}
	c.ports = binary.BigEndian.Uint32(p)
	c.tag = binary.BigEndian.Uint32(p[4:])
	if c.ports>>16 == 0 || c.ports&0xffff == 0 {
		return c, false
	}
	sound := true
	for b := p[commonHeaderLen:]; len(b) > 0; {
		chunk, rest, ok := nextChunk(b)
		if !ok {
			return c, false
		}
		if c.first.value == nil {
			c.first = chunk
		}
		sound = sound && c.add(chunk) && padded(b, chunk, rest)
		b = rest
	}

	return c, sound || c.has(chunkAbort)
}

// padded tells whether a chunk is followed by its padding, and by zeros if it
// is the last one: pion/sctp insists on both.
func padded(b []byte, chunk chunkView, rest []byte) bool {
	length := chunkHeaderLen + len(chunk.value)
	if len(b) < pad4(length) {
		return false
	}
	for _, v := range b[length:pad4(length)] {
		if v != 0 && len(rest) == 0 {
			return false
		}
	}

	return true
}

// checksum is the CRC32c of a packet as its header carries it.
// https://www.rfc-editor.org/rfc/rfc9260#section-6.8
func checksum(p []byte) uint32 {
	sum := crc32.Update(0, castagnoli, p[:8])
	sum = crc32.Update(sum, castagnoli, fourZeros[:])

	return crc32.Update(sum, castagnoli, p[commonHeaderLen:])
}

// intact tells whether the checksum fits. Zero stands for none, as DTLS has
// checked the bytes (https://www.rfc-editor.org/rfc/rfc9653); whether it was
// negotiated the association knows.
func intact(p []byte) bool {
	sum := binary.LittleEndian.Uint32(p[8:])

	return sum == 0 || sum == checksum(p)
}

func swapPorts(ports uint32) uint32 { return ports>>16 | ports<<16 }

// packAbort builds a packet with one ABORT chunk around encoded causes.
func packAbort(ports, tag uint32, flags byte, causes []byte) []byte {
	p := make([]byte, commonHeaderLen+chunkHeaderLen+pad4(len(causes)))
	binary.BigEndian.PutUint32(p, ports)
	binary.BigEndian.PutUint32(p[4:], tag)
	chunk := p[commonHeaderLen:]
	chunk[0], chunk[1] = chunkAbort, flags
	binary.BigEndian.PutUint16(chunk[2:], uint16(chunkHeaderLen+len(causes)))
	copy(chunk[chunkHeaderLen:], causes)
	binary.LittleEndian.PutUint32(p[8:], checksum(p))

	return p
}
