package sctpfilter

import "encoding/binary"

// toSink makes a chunk one that the association acknowledges and the reader of
// the stream Sink gets at once: a whole, unordered message of no known kind.
// message is a number that no other message there has, while it is unread.
func (c *dataChunk) toSink(message uint32) {
	c.raw[1] = c.raw[1]&flagImmediate | flagUnordered | flagBegin | flagEnd
	binary.BigEndian.PutUint16(c.raw[8:], Sink)
	clear(c.raw[10:dataHeaderLen])
	if c.iData {
		binary.BigEndian.PutUint32(c.raw[12:], message)
		clear(c.raw[16:iDataHeaderLen]) // the kind
	}
}

// asDuplicate makes a chunk one that the association has got already. It
// answers that with a SACK at once, which tells the peer how things stand,
// where a lost chunk would have it wait for its timer.
func (c *dataChunk) asDuplicate(tsn uint32) {
	c.raw[1] |= flagImmediate
	binary.BigEndian.PutUint32(c.raw[4:], tsn)
}
