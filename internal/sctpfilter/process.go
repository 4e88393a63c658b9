package sctpfilter

import (
	"encoding/binary"
	"slices"
)

// process decides what the association gets of a packet that walk has found
// sound. It returns the length of what is left at the front of p, 0 for
// nothing.
func (f *Filter) process(p []byte, c *contents) int {
	up, read := f.view.has(established), f.reader.Load() != nil
	at := 0
	switch {
	case c.handshake && up && !read:
		// What completes the handshake has to pass before the rest can.
		at = behind(p, chunkCookieEcho, chunkCookieAck)
	case c.data && up && !read:
		f.wait(p)

		return 0
	case c.reconfig && read:
		// An answer to our reset may end one life of a stream, and the data
		// behind it begin the next.
		at = behind(p, chunkReconfig, chunkReconfig)
	}
	if at > 0 {
		p = f.cut(p, at)
		*c, _ = walk(p)
	}
	if !c.data && !c.strip && !c.has(chunkSack) && !read {
		return len(p)
	}
	n := f.judge(p, c, up)
	if n > 0 && c.has(chunkSack) {
		f.counts.sacksIn.Add(1)
		f.now.acked = true
	}

	return n
}

// judge is process for a packet that is handed on now. This is the one place
// where Read takes the lock.
func (f *Filter) judge(p []byte, c *contents, up bool) int {
	d := &f.in
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.first.kind != chunkInit && c.first.kind != chunkCookieEcho && !d.agreed.zeroed(p) {
		f.drop(&f.counts.malformed, "wrong checksum")

		return 0
	}
	if c.data && up {
		f.ask(p)
	}
	d.packet++
	n := f.edit(p, up)
	if n > 0 {
		f.handOn()
	}

	return n
}

// handOn notes what is to be told when the packet has been handled.
func (f *Filter) handOn() {
	f.in.handedOn = f.in.packet
	f.now.packet = f.in.packet
	f.now.asked = append(f.now.asked[:0], f.in.asked...)
}

// edit takes out of a packet, or changes, what the association must not get
// as it came, and returns the packet's new length, 0 if nothing is left.
func (f *Filter) edit(p []byte, up bool) int {
	summed := binary.LittleEndian.Uint32(p[8:]) != 0
	end, changed, last := commonHeaderLen, false, commonHeaderLen
	for at := commonHeaderLen; at < len(p); {
		length := int(binary.BigEndian.Uint16(p[at+2:]))
		raw := p[at:min(at+length, len(p))]
		next := min(at+pad4(length), len(p))
		old := [3]uint32{}
		if raw[0] == chunkData || raw[0] == chunkIData {
			old = fingerprint(raw)
		}
		stays := f.chunk(p, raw, up)
		if stays > 0 {
			changed = changed || stays != len(raw) || old != [3]uint32{} && old != fingerprint(raw)
			last = end + stays
			end += copy(p[end:], p[at:min(at+pad4(stays), next)])
		} else {
			changed = true
		}
		at = next
	}
	if end == commonHeaderLen {
		return 0
	}
	if changed {
		clear(p[last:end])
		if summed {
			seal(p[:end])
		}
	}

	return end
}

// fingerprint is what data may change of a chunk.
func fingerprint(raw []byte) [3]uint32 {
	return [3]uint32{
		binary.BigEndian.Uint32(raw), binary.BigEndian.Uint32(raw[4:]), binary.BigEndian.Uint32(raw[8:]),
	}
}

// chunk decides about one chunk and returns how much of it stays, in bytes.
func (f *Filter) chunk(p, raw []byte, up bool) int {
	kind, stays := raw[0], false
	switch kind {
	case chunkData, chunkIData, chunkForwardTSN, chunkIForwardTSN, chunkReconfig:
		if !up {
			f.drop(&f.counts.early, "data before the end of the handshake")

			return 0
		}
		switch kind {
		case chunkReconfig:
			return f.reconfig(p, raw)
		case chunkData, chunkIData:
			stays = f.data(p, raw)
		default:
			stays = f.forwardTSN(raw)
		}
	default:
		stays = !stripped(chunkView{kind, raw[1], raw[chunkHeaderLen:]})
		if !stays {
			f.counts.stripped.Add(1)
		}
	}
	if !stays {
		return 0
	}

	return len(raw)
}

// ask has the reader open the streams that a packet's data is for, and the
// sink if it is needed. The lock is let go for that.
func (f *Filter) ask(p []byte) {
	d := &f.in
	reader := f.reader.Load()
	f.asks = f.asks[:0]
	sink := false
	for at := commonHeaderLen; at < len(p); {
		length := int(binary.BigEndian.Uint16(p[at+2:]))
		raw := p[at:min(at+length, len(p))]
		at += pad4(length)
		if raw[0] != chunkData && raw[0] != chunkIData {
			continue
		}
		c := parseData(raw)
		if c.iData != d.agreed.interleaved() {
			continue
		}
		place := d.window.place(c.tsn)
		if place == tsnKnown || place == tsnFar || place == tsnNext && d.full() {
			continue
		}
		s := d.streams[c.stream]
		switch {
		case c.stream == Sink || s != nil && (s.discard || s.gone):
			sink = true
		case s == nil && !slices.Contains(f.asks, c.stream):
			f.asks = append(f.asks, c.stream)
		}
	}
	if len(f.asks) == 0 && (!sink || d.sink.open) {
		return
	}
	d.mu.Unlock()
	for i, id := range f.asks {
		if !(*reader).Opening(id) {
			f.asks[i], sink = Sink, true
		}
	}
	opened := false
	if sink {
		d.mu.Lock()
		opened = d.sink.open
		d.mu.Unlock()
		opened = opened || (*reader).Opening(Sink)
	}
	d.mu.Lock()
	for _, id := range f.asks {
		if id != Sink {
			d.know(id)
		}
	}
	d.sink.open = d.sink.open || opened
}
