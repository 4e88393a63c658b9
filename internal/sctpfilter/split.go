package sctpfilter

import "encoding/binary"

// maxWaiting bounds the packets that wait for Attach; what comes on top of
// them is dropped, and the peer sends it again.
const maxWaiting = 256

// next returns a packet that waits for the reader, if it may be handed on now.
func (f *Filter) next(p []byte) (n int, ok bool) {
	reader := f.reader.Load()
	if reader == nil {
		return 0, false
	}
	if len(f.in.deferred) > 0 { // nobody else changes it
		if due := f.dueReset(); due != nil {
			return copy(p, due), len(due) <= len(p)
		}
	}
	if len(f.in.kept) > 0 { // nor this
		f.unkeep()
	}
	for len(f.waiting) > 0 {
		packet := f.waiting[0]
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
		if len(f.waiting) == 0 {
			f.waiting = nil
		}
		n := copy(p, packet)
		if n < len(packet) {
			f.drop(&f.counts.tooLong, "longer than the association's buffer")

			continue
		}
		c, _ := walk(p[:n])
		if n = f.process(p[:n], &c); n > 0 {
			return n, true
		}
	}

	return 0, false
}

// unkeep has the packet that was kept handed on, if there is room for it now.
func (f *Filter) unkeep() {
	d := &f.in
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.full() {
		f.waiting = append([][]byte{d.kept}, f.waiting...)
		d.kept = nil
	}
}

// wait keeps a packet until Attach.
func (f *Filter) wait(p []byte) {
	if len(f.waiting) >= maxWaiting {
		f.drop(&f.counts.heldTooLong, "too much before anybody reads the streams")

		return
	}
	f.waiting = append(f.waiting, append([]byte(nil), p...))
}

// cut cuts a packet behind the chunk that ends at offset at. The rest, a packet
// of its own, is the next to be read.
func (f *Filter) cut(p []byte, at int) (head []byte) {
	rest := make([]byte, 0, commonHeaderLen+len(p)-at)
	rest = append(append(rest, p[:commonHeaderLen]...), p[at:]...)
	head = p[:at]
	if binary.LittleEndian.Uint32(p[8:]) != 0 {
		seal(rest)
		seal(head)
	}
	f.waiting = append([][]byte{rest}, f.waiting...)

	return head
}

// behind is where a packet has to be cut: behind the first chunk of one of two
// kinds, if something follows it. It is 0 if nothing does.
func behind(p []byte, kind, other byte) int {
	for at := commonHeaderLen; at < len(p); {
		found := p[at] == kind || p[at] == other
		at = min(at+pad4(int(binary.BigEndian.Uint16(p[at+2:]))), len(p))
		if found && at < len(p) {
			return at
		}
	}

	return 0
}

// seal writes a packet's checksum.
func seal(p []byte) { binary.LittleEndian.PutUint32(p[8:], checksum(p)) }
