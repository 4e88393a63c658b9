package sctpfilter

import (
	"bytes"
	"encoding/binary"
)

// Parameters of an INIT or INIT ACK.
const (
	paramZeroChecksum = 0x8001 // https://www.rfc-editor.org/rfc/rfc9653#section-4
	paramExtensions   = 0x8008 // https://www.rfc-editor.org/rfc/rfc5061#section-4.2.7
	dtlsDetects       = 1      // "SCTP over DTLS" as the error detection method
	minWindow         = 1500   // the least window an INIT may announce, in bytes
)

// handshake is what an INIT or INIT ACK says.
type handshake struct {
	tag, window, tsn uint32
	cookie           []byte // not copied
	zeroChecksum     bool   // packets without a checksum are welcome
	interleaving     bool   // I-DATA
	forward          bool   // FORWARD-TSN
	iForward         bool   // I-FORWARD-TSN
}

// parseInit reads an INIT or INIT ACK. ok is false if pion/sctp would not use
// it. Of FORWARD-TSN pion/sctp believes the supported extensions only, and not
// the parameter that RFC 3758 has for it.
func parseInit(chunk chunkView) (h handshake, ok bool) {
	v := chunk.value
	if chunk.flags != 0 || len(v) < initFixedLen {
		return h, false
	}
	h.tag, h.window, h.tsn = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:]), binary.BigEndian.Uint32(v[12:])
	if h.tag == 0 || h.window < minWindow || binary.BigEndian.Uint16(v[8:]) == 0 || binary.BigEndian.Uint16(v[10:]) == 0 {
		return h, false
	}
	for b := v[initFixedLen:]; len(b) > chunkHeaderLen; {
		p, rest, framed := nextChunk(b)
		if !framed {
			return h, false
		}
		kind := int(p.kind)<<8 | int(p.flags)
		known := h.param(kind, p.value)
		if !known && kind < paramUnknownSkip && chunk.kind == chunkInit {
			return h, false
		}
		b = rest
	}

	return h, true
}

// paramUnknownSkip is the first parameter type that an endpoint may skip when
// it does not know it.
const paramUnknownSkip = 0x8000

// param takes in one parameter, and tells whether pion/sctp knows it.
func (h *handshake) param(kind int, value []byte) bool {
	switch kind {
	case paramStateCookie:
		h.cookie = value
	case paramExtensions:
		h.interleaving = h.interleaving || bytes.IndexByte(value, chunkIData) >= 0
		h.forward = h.forward || bytes.IndexByte(value, chunkForwardTSN) >= 0
		h.iForward = h.iForward || bytes.IndexByte(value, chunkIForwardTSN) >= 0
	case paramZeroChecksum:
		h.zeroChecksum = len(value) >= 4 && binary.BigEndian.Uint32(value) == dtlsDetects
	case paramHeartbeat:
	case paramResetRequest:
		return len(value) >= resetFixedLen
	case paramResetResponse:
		return len(value) >= 8
	default:
		return false
	}

	return true
}

// agreed is what the two sides' handshakes have settled.
type agreed struct {
	own, peer    handshake
	cookie       []byte // of our INIT ACK
	initSent     bool
	initAckTaken bool
	outOfBand    bool
	buffer       uint32 // our receive buffer in bytes, 0 if not yet known
}

// interleaved tells whether data comes as I-DATA.
// https://www.rfc-editor.org/rfc/rfc8260#section-2.2.1
func (a *agreed) interleaved() bool { return a.own.interleaving && a.peer.interleaving }

// forwards tells whether the association takes this kind of FORWARD-TSN.
func (a *agreed) forwards(kind byte) bool {
	if a.interleaved() {
		return kind == chunkIForwardTSN && a.peer.iForward
	}

	return kind == chunkForwardTSN && a.peer.forward
}

// sentInit learns from our own INIT or INIT ACK.
func (d *inbound) sentInit(chunk chunkView) {
	h, ok := parseInit(chunk)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setOwn(h)
	if chunk.kind == chunkInit {
		d.agreed.initSent = true
	} else {
		d.agreed.cookie = append([]byte(nil), h.cookie...)
	}
}

func (d *inbound) setOwn(h handshake) {
	h.cookie = nil
	d.agreed.own = h
	d.agreed.buffer = min(h.window, 1<<31-1)
	d.window.reach = min(tsnReach, pionReach(h.window))
}

// receivedInit learns from the peer's INIT or INIT ACK, if the association
// will do so too; false if it must not get it.
func (d *inbound) receivedInit(chunk chunkView) bool {
	h, ok := parseInit(chunk)
	d.mu.Lock()
	defer d.mu.Unlock()
	if chunk.kind == chunkInitAck {
		if !ok || h.cookie == nil || !d.agreed.initSent || d.agreed.initAckTaken {
			return false
		}
		d.agreed.initAckTaken = true
	}
	if ok {
		d.setPeer(h)
	}

	return ok
}

func (d *inbound) setPeer(h handshake) {
	h.cookie = nil
	d.agreed.peer = h
	if d.window.reach == 0 {
		d.window.reach = pionReach(0)
	}
	d.window.restart(h.tsn)
	d.resets.start(h.tsn)
}

// ownCookie tells whether a COOKIE ECHO carries the cookie of our INIT ACK.
func (d *inbound) ownCookie(value []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.agreed.cookie != nil && bytes.Equal(d.agreed.cookie, value)
}

// zeroed brings a packet's checksum to what the association will accept, and
// tells whether it does. If our side has announced that it takes packets
// without one, none is left: DTLS has checked the bytes, and neither the
// filter nor the association has to do so again. Otherwise it is checked here,
// because the filter counts what the association must not drop later.
func (a *agreed) zeroed(p []byte) bool {
	none := binary.LittleEndian.Uint32(p[8:]) == 0
	switch {
	case a.own.zeroChecksum && !a.outOfBand:
		clear(p[8:commonHeaderLen])

		return true
	case none:
		return a.own.zeroChecksum || a.own.tag == 0
	default:
		return intact(p)
	}
}
