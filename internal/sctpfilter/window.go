package sctpfilter

import "encoding/binary"

// receiverWindow is what the peer is told that it may send.
type receiverWindow struct {
	closed     bool   // MaxUnread was reached, and three quarters of it not yet left
	advertised uint32 // in the last SACK as the peer got it, in bytes
	last       []byte // that SACK's packet, empty if there was none yet

	// What the association holds, in bytes, as its SACKs tell: it held so much
	// some time after the SACK before. passed is the sum of all that was handed
	// on; the marks are its values when the last two SACKs went out.
	held   int
	passed uint64
	marked [2]uint64
	peak   int // the most that the filter has thought since the last SACK
}

// judge opens and closes the window by the number of unread messages.
func (w *receiverWindow) judge(unread, limit int) {
	switch {
	case limit == 0:
	case unread >= limit:
		w.closed = true
	case unread < limit-limit/4:
		w.closed = false
	}
}

// full tells whether data above the highest TSN is refused. The association
// would drop it without a word if its buffer is full, and the filter must not
// count that.
func (d *inbound) full() bool {
	w, buffer := &d.receiver, int(d.agreed.buffer)

	return w.closed || d.fragments >= maxFragments ||
		buffer > 0 && d.bytes >= buffer && w.held+int(w.passed-w.marked[1]) >= buffer
}

// keep keeps the next data while there is no room for it. The peer's only chunk
// under way may be this one, and it would send it again when its timer runs
// out, which takes longer each time.
func (d *inbound) keep(p, raw []byte) {
	d.roused = false
	d.kept = append(append(d.kept[:0], p[:commonHeaderLen]...), raw...)
	d.kept = append(d.kept, make([]byte, pad4(len(raw))-len(raw))...)
	d.kept[commonHeaderLen+1] |= flagImmediate
	if binary.LittleEndian.Uint32(p[8:]) != 0 {
		seal(d.kept)
	}
}

// free is the window that the filter would announce, in bytes.
func (d *inbound) free() uint32 {
	if d.receiver.closed {
		return 0
	}

	return uint32(max(0, int(d.agreed.buffer)-d.bytes-chunkOverhead*(d.messages+d.stuck)))
}

// sack adapts a SACK that the association sends, given as its packet, and
// returns what to write: a copy that is good until the next call.
func (d *inbound) sack(p []byte, chunk chunkView) []byte {
	if len(chunk.value) < sackFixedLen {
		return p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &d.receiver
	window := binary.BigEndian.Uint32(chunk.value[4:])
	w.held = max(0, int(d.agreed.buffer)-int(window))
	w.marked[0], w.marked[1] = w.passed, w.marked[0]
	d.compare()
	w.peak = d.bytes

	charge := uint32(min(chunkOverhead*(d.messages+d.stuck), 1<<30))
	adapted := window - min(window, charge)
	if w.closed {
		adapted = 0
	}
	w.last = append(w.last[:0], p...) // it is written without the lock: nobody else changes it
	w.advertised = adapted
	if adapted != window {
		setWindow(w.last, adapted)
	}

	return w.last
}

// setWindow changes the window in a SACK's packet.
func setWindow(p []byte, window uint32) {
	binary.BigEndian.PutUint32(p[commonHeaderLen+chunkHeaderLen+4:], window)
	if binary.LittleEndian.Uint32(p[8:]) != 0 {
		seal(p)
	}
}

// update returns a packet that tells the peer of a window that has opened, nil
// if there is nothing to tell. The association sends a SACK for data only, so
// that a peer which has found the window shut would have to wait for its own
// timer, up to its longest retransmission timeout. The packet is the last SACK
// with the new window; it may be lost, and then the timer is what is left.
func (d *inbound) update() []byte {
	w, buffer := &d.receiver, d.agreed.buffer
	if len(w.last) == 0 || w.advertised >= buffer/8 {
		return nil
	}
	free := d.free()
	if free < buffer/2 {
		return nil
	}
	w.advertised = free
	p := append([]byte(nil), w.last...)
	setWindow(p, free)

	return p
}

const (
	maxLeak      = 16384 // bytes that the association may hold beside what the filter knows of
	maxForwarded = 1024  // fragments that a FORWARD-TSN has given up on a stream, before they are suspect
)

// compare holds what the association says against what the filter thinks. If
// the association has not dropped what a FORWARD-TSN gave up, because the peer
// uses a stream otherwise than it was opened, its memory would fill.
func (d *inbound) compare() {
	if d.forwarded <= maxForwarded || d.uncounted {
		return
	}
	leak := d.receiver.held - d.receiver.peak
	if leak > 0 && leak <= maxLeak {
		return
	}
	worst, of := uint16(0), (*stream)(nil)
	for id, s := range d.streams {
		if !s.discard && s.forwarded > maxForwarded && (of == nil || s.forwarded > of.forwarded) {
			worst, of = id, s
		}
		if leak <= 0 {
			s.forwarded = 0
		}
	}
	if leak <= 0 {
		d.forwarded = 0
	} else if of != nil {
		d.overflowLater(of, worst)
	}
}
