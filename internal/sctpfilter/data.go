package sctpfilter

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// Limits on what cannot be read. A peer that keeps to the protocol is far from them.
const (
	maxStuck      = 4096  // complete messages of one stream that are behind a gap which nothing fills
	maxStuckSoon  = 8192  // the same before it has lasted for stuckPackets
	stuckPackets  = 256   // packets of the peer, with whatever
	maxFragments  = 16384 // fragments of all streams together
	maxRefused    = 64    // chunks of a stream that wait for our reset to be answered
	chunkOverhead = 256   // what an unread message costs beside its data, in bytes, about
	overflowSlack = 8192  // more than any packet, in bytes
)

// stream is what the filter knows of a stream.
type stream struct {
	messages int // complete, and not yet taken
	stuck    int // complete, but a poll did not find them although nothing is missing
	// The packet at which stuck has grown past maxStuck, 0 while it has not, or
	// if some could be read since.
	stuckSince uint64
	bytes      int // of all that has come and was not taken
	parts      partial

	discard   bool   // throw away what comes
	asked     bool   // the peer's reset has been handed on, and was not yet seen
	gone      bool   // after that reset, the association does not know the stream any more
	reset     bool   // our own reset has been sent
	floor     uint32 // ordered messages below were given up; valid if floored
	floored   bool
	forwarded int // fragments given up by FORWARD-TSN since the last agreement with the association
	refused   int // chunks sent back because they came too early after a reset
}

// inbound is what the filter knows of the peer's data. The mutex guards it
// all; Read takes it once for a packet.
type inbound struct {
	uncounted bool // Config.Uncounted

	mu      sync.Mutex
	agreed  agreed
	window  tsnWindow
	streams map[uint16]*stream
	asked   []uint16 // the streams with asked
	sink    struct {
		open    bool
		message uint32
	}
	kept   []byte // a packet with the next data, for which there was no room
	roused bool   // a Read was told that there is now

	hold         bool // HoldResets
	deferred     []resetRequest
	deferredSize int // of them all, in bytes
	resets       performed
	sent         map[uint32][]uint16 // our own reset requests not yet answered, by sequence number
	lastSent     uint32              // the last of them, if there is a map

	// Sums over all streams, and what the window makes of them.
	messages, stuck, bytes, fragments, forwarded int

	receiver receiverWindow

	packet   uint64        // the number of the last packet
	handedOn uint64        // of the last that was handed on
	handled  atomic.Uint64 // of the last that the association has worked through

	overflowed []uint16 // by Drained, for the next Read to tell
	overflows  atomic.Bool
}

// events is what the next Read has to tell of the packet that the last one
// returned. It belongs to the reading goroutine.
type events struct {
	readable []uint16
	asked    []uint16
	answered []uint16
	overflow []uint16
	acked    bool
	packet   uint64
}

func (e *events) clear() {
	e.asked = e.asked[:0]
	e.readable, e.answered, e.overflow = e.readable[:0], e.answered[:0], e.overflow[:0]
	e.acked = false
}

// dataChunk is a DATA or I-DATA chunk, as bytes and as fields.
type dataChunk struct {
	raw    []byte // with the chunk header, without padding
	iData  bool
	tsn    uint32
	stream uint16
}

func parseData(raw []byte) dataChunk {
	return dataChunk{
		raw:    raw,
		iData:  raw[0] == chunkIData,
		tsn:    binary.BigEndian.Uint32(raw[4:]),
		stream: binary.BigEndian.Uint16(raw[8:]),
	}
}

func (c *dataChunk) flag(flag byte) bool { return c.raw[1]&flag != 0 }

func (c *dataChunk) size() int {
	if c.iData {
		return len(c.raw) - iDataHeaderLen
	}

	return len(c.raw) - dataHeaderLen
}

// fragment is the chunk as a part of its message.
// https://www.rfc-editor.org/rfc/rfc8260#section-2.1
func (c *dataChunk) fragment() fragment {
	f := fragment{
		unordered: c.flag(flagUnordered), begin: c.flag(flagBegin), end: c.flag(flagEnd),
		place: c.tsn, tsn: c.tsn, bytes: c.size(),
	}
	switch {
	case c.iData:
		f.message, f.place = binary.BigEndian.Uint32(c.raw[12:]), 0
		if !f.begin {
			f.place = binary.BigEndian.Uint32(c.raw[16:])
		}
	case !f.unordered:
		f.message = uint32(binary.BigEndian.Uint16(c.raw[10:]))
	}

	return f
}

// data decides about one DATA or I-DATA chunk of packet p, and tells whether it stays in
// the packet; it may have been changed.
func (f *Filter) data(p, raw []byte) (stays bool) {
	d, c := &f.in, parseData(raw)
	f.counts.dataIn.Add(1)
	if c.iData != d.agreed.interleaved() {
		return f.drop(&f.counts.contradicting, "data of a kind that was not negotiated")
	}
	place := d.window.place(c.tsn)
	switch {
	case place == tsnFar:
		return f.drop(&f.counts.tooFar, "TSN too far ahead")
	case place == tsnKnown:
		f.counts.duplicates.Add(1)

		return true // the association answers it with a SACK
	case place == tsnNext && d.full():
		f.counts.refused.Add(1)
		if c.tsn == d.window.cumulative+1 {
			d.keep(p, raw)
		}
		c.asDuplicate(d.window.cumulative)

		return true
	}
	s := d.streams[c.stream]
	if s != nil && s.gone && s.reset && s.refused < maxRefused {
		// Most likely the first data of the stream's next life, before the
		// peer's answer to our reset. It comes again.
		s.refused++

		return f.drop(&f.counts.early, "data on a stream that is being reset")
	}
	if s == nil || s.discard || s.gone || c.stream == Sink {
		if !d.sink.open {
			return f.drop(&f.counts.early, "data on an unknown stream")
		}
		d.window.add(c.tsn)
		f.counts.discarded.Add(1)
		d.sink.message++
		c.toSink(d.sink.message)
		f.now.touch(Sink)
		d.receiver.passed += uint64(c.size())

		return true
	}
	d.window.add(c.tsn)
	if f.account(s, &c) {
		f.overflow(s, c.stream)
	}
	f.now.touch(c.stream)

	return true
}

// account adds a new chunk to its stream, and tells whether the stream must
// not go on like that.
func (f *Filter) account(s *stream, c *dataChunk) (overflows bool) {
	d, size := &f.in, c.size()
	part := c.fragment()
	if s.floored && !part.unordered && d.below(part.message, s.floor) {
		return false // the association drops the rest of a message that was given up
	}
	if s.floored && !part.unordered && d.below(s.floor+tsnReach, part.message) {
		s.floor = part.message - tsnReach // before the numbers come round to it
	}
	complete := part.begin && part.end
	if complete {
		overflows = f.cfg.MaxMessage != 0 && size > f.cfg.MaxMessage
	} else {
		count, bytes := len(s.parts.fragments), s.parts.bytes
		complete, overflows = s.parts.add(part, f.cfg.MaxMessage)
		if !complete && s.parts.bytes == bytes {
			return false // the association drops a second one for the same place
		}
		d.fragments += len(s.parts.fragments) - count
		overflows = overflows || d.dead(s, f.cfg.MaxMessage)
	}
	if complete {
		f.counts.messagesIn.Add(1)
	}
	if d.uncounted {
		return overflows
	}
	d.receiver.passed += uint64(size)
	d.bytes += size
	s.bytes += size
	d.receiver.peak = max(d.receiver.peak, d.bytes)
	if complete {
		s.messages++
		d.messages++
		d.receiver.judge(d.messages+d.stuck, f.cfg.MaxUnread)
	}

	return overflows
}

// dead tells whether fragments pile up that can never become a message. A
// sender that may not interleave has one unfinished message at most behind the
// cumulative TSN, else one ordered and one unordered, and the rest of one that
// was given up, which stays until the next is.
func (d *inbound) dead(s *stream, limit int) bool {
	count, bytes := int(d.agreed.buffer)/256+1024, 0
	if limit != 0 {
		count, bytes = limit/256+1024, limit+overflowSlack
		if d.agreed.interleaved() {
			bytes += 2 * limit
		}
	}
	if len(s.parts.fragments) <= count && (bytes == 0 || s.parts.bytes <= bytes) {
		return false
	}
	settledBytes, settledCount := s.parts.settled(&d.window)

	return settledCount > count || bytes != 0 && settledBytes > bytes
}

// overflow gives a stream up.
func (f *Filter) overflow(s *stream, id uint16) {
	if !s.discard {
		s.discard = true
		f.counts.overflows.Add(1)
		f.now.overflow = append(f.now.overflow, id)
	}
}

// forwardTSN follows a FORWARD-TSN or I-FORWARD-TSN, and tells whether it
// stays in the packet. What the association drops for it is dropped here too.
// https://www.rfc-editor.org/rfc/rfc3758#section-3.6
// https://www.rfc-editor.org/rfc/rfc8260#section-2.3.1
func (f *Filter) forwardTSN(raw []byte) (stays bool) {
	d, kind := &f.in, raw[0]
	if !d.agreed.forwards(kind) {
		return f.drop(&f.counts.contradicting, "FORWARD-TSN of a kind that was not negotiated")
	}
	to := binary.BigEndian.Uint32(raw[4:])
	if !d.window.forward(to) {
		return true // the association answers with a SACK
	}
	b := raw[8:]
	if kind == chunkIForwardTSN {
		for ; len(b) > 0; b = b[iForwardEntryLen:] {
			unordered, message := b[3]&1 != 0, binary.BigEndian.Uint32(b[4:])
			f.giveUp(binary.BigEndian.Uint16(b), unordered, message, func(p *fragment) bool {
				return p.unordered == unordered && !before(message, p.message)
			})
		}

		return true
	}
	for ; len(b) > 0; b = b[forwardEntryLen:] {
		message := binary.BigEndian.Uint16(b[2:])
		f.giveUp(binary.BigEndian.Uint16(b), false, uint32(message), func(p *fragment) bool {
			return !p.unordered && !before16(message, uint16(p.message))
		})
	}
	if d.fragments > 0 {
		for _, s := range d.streams {
			d.drop(s, func(p *fragment) bool { return p.unordered && !before(to, p.tsn) })
		}
	}

	return true
}

// giveUp drops fragments of a stream that a FORWARD-TSN names, up to a
// message. What stood behind them may be readable now.
func (f *Filter) giveUp(id uint16, unordered bool, message uint32, match func(*fragment) bool) {
	s := f.in.streams[id]
	if s == nil {
		return
	}
	f.in.drop(s, match)
	if !unordered && (!s.floored || f.in.below(s.floor, message+1)) {
		s.floor, s.floored = message+1, true
	}
	if !s.discard && !s.gone {
		f.now.touch(id)
	}
}

// below compares the numbers of ordered messages: 16 bits of them, or 32.
func (d *inbound) below(a, b uint32) bool {
	if d.agreed.interleaved() {
		return before(a, b)
	}

	return before16(uint16(a), uint16(b))
}

func (d *inbound) drop(s *stream, match func(*fragment) bool) {
	bytes, count := s.parts.giveUp(match)
	bytes = min(bytes, s.bytes)
	s.bytes -= bytes
	s.forwarded += count
	d.bytes -= bytes
	d.fragments -= count
	d.forwarded += count
}

// touch notes that a stream got data.
func (e *events) touch(id uint16) {
	if !slices.Contains(e.readable, id) {
		e.readable = append(e.readable, id)
	}
}
