package sctpfilter

import "encoding/binary"

// What stands before the user data of a DATA and an I-DATA chunk, with the
// chunk header, and the bits of their flags.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.1
// https://www.rfc-editor.org/rfc/rfc8260#section-2.1
const (
	dataHeaderLen  = 16
	iDataHeaderLen = 20

	flagEnd       = 1
	flagBegin     = 2
	flagUnordered = 4
	flagImmediate = 8
)

const (
	sackFixedLen      = 12
	paramHeartbeat    = 1
	forwardEntryLen   = 4
	iForwardEntryLen  = 8
	aloneKinds        = 1<<chunkInit | 1<<chunkInitAck
	handshakeEndKinds = 1<<chunkCookieEcho | 1<<chunkCookieAck
)

// add takes notice of one chunk of a walk. It returns false for one that
// pion/sctp cannot parse, or that must not stand where it does.
func (c *contents) add(chunk chunkView) bool {
	first := c.kinds == 0 && !c.data && !c.strip
	again := chunk.kind < 32 && c.has(int(chunk.kind))
	behind := c.kinds&aloneKinds != 0 // nothing may follow an INIT
	c.handshake = c.handshake || c.kinds&handshakeEndKinds != 0
	if chunk.kind < 32 {
		c.kinds |= 1 << chunk.kind
	}
	switch chunk.kind {
	case chunkAbort:
		c.abort = chunk
		c.reflected = chunk.flags&flagT != 0

		return true
	case chunkData, chunkIData, chunkForwardTSN, chunkIForwardTSN:
		c.data = true

		return !behind && dataFits(chunk)
	case chunkReconfig:
		again, c.reconfig, c.data = c.reconfig, true, true
	case chunkInit, chunkInitAck, chunkCookieEcho:
		return first
	case chunkShutdownComplete:
		c.reflected = chunk.flags&flagT != 0
	case chunkSack:
		return !again && !behind && sackFits(chunk.value)
	case chunkShutdown:
		return !again && !behind && len(chunk.value) == 4
	case chunkHeartbeat:
		c.strip = c.strip || !heartbeatFits(chunk.value)
	case chunkShutdownAck, chunkCookieAck:
	default:
		c.strip = true

		return !behind && (stripped(chunk) || chunk.kind&skipUnknown != 0)
	}

	return !again && !behind
}

// stripped tells whether a chunk is taken out of its packet. One that
// pion/sctp does not know makes it drop the whole packet; a HEARTBEAT ACK is
// such a chunk too, and the causes of an ERROR it reads past the chunk's end.
func stripped(chunk chunkView) bool {
	switch chunk.kind {
	case chunkHeartbeatAck, chunkError:
		return true
	case chunkHeartbeat:
		return !heartbeatFits(chunk.value)
	case chunkData, chunkInit, chunkInitAck, chunkSack, chunkAbort, chunkShutdown, chunkShutdownAck,
		chunkCookieEcho, chunkCookieAck, chunkShutdownComplete,
		chunkIData, chunkReconfig, chunkForwardTSN, chunkIForwardTSN:
		return false
	default:
		return chunk.kind&skipUnknown != 0
	}
}

// dataFits checks the length of a chunk about data. User data must not be
// empty: it would cost memory that no window counts.
// https://www.rfc-editor.org/rfc/rfc9260#section-6.2
func dataFits(chunk chunkView) bool {
	n := len(chunk.value)
	switch chunk.kind {
	case chunkData:
		return n > dataHeaderLen-chunkHeaderLen
	case chunkIData:
		return n > iDataHeaderLen-chunkHeaderLen
	case chunkForwardTSN:
		return n >= 4 && (n-4)%forwardEntryLen == 0
	default:
		return n >= 4 && (n-4)%iForwardEntryLen == 0
	}
}

// sackFits checks a SACK's length, and that its gap blocks ascend: the
// association walks through all that they cover, so that blocks on top of each
// other would keep it busy.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.4
func sackFits(value []byte) bool {
	if len(value) < sackFixedLen {
		return false
	}
	gaps, duplicates := int(binary.BigEndian.Uint16(value[8:])), int(binary.BigEndian.Uint16(value[10:]))
	if len(value) != sackFixedLen+4*(gaps+duplicates) {
		return false
	}
	last := uint16(0)
	for b := value[sackFixedLen:]; gaps > 0; gaps-- {
		start, end := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if start <= last || end < start {
			return false
		}
		last, b = end, b[4:]
	}

	return true
}

// heartbeatFits tells whether pion/sctp can parse a HEARTBEAT: it is empty, or
// one Heartbeat Info and zeros.
func heartbeatFits(value []byte) bool {
	if len(value) == 0 {
		return true
	}
	if len(value) < chunkHeaderLen || binary.BigEndian.Uint16(value) != paramHeartbeat {
		return false
	}
	length := int(binary.BigEndian.Uint16(value[2:]))
	if length < chunkHeaderLen || length > len(value) {
		return false
	}
	for _, v := range value[length:] {
		if v != 0 {
			return false
		}
	}

	return true
}
