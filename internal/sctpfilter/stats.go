package sctpfilter

import "sync/atomic"

// Stats counts what passed a filter and what did not. Bytes are those of SCTP
// packets, their common header included; packets are counted as they came or
// went on the wire.
type Stats struct {
	PacketsReceived, PacketsSent uint64
	BytesReceived, BytesSent     uint64

	// DATA and I-DATA chunks. Received and sent ones include those that came
	// or went again, which Duplicates and Retransmitted count alone.
	ChunksReceived, ChunksSent uint64
	Duplicates, Retransmitted  uint64
	// UserBytesSent is the data of the chunks sent, each counted once.
	UserBytesSent uint64
	// Messages whose last missing chunk came, and whose last chunk was sent.
	MessagesReceived, MessagesSent uint64
	SACKsReceived, SACKsSent       uint64
	// WindowUpdates counts the packets of the filter's own that told the peer
	// of an open window.
	WindowUpdates uint64

	// Packets of the peer that were dropped: not SCTP, or not to be parsed by
	// the association, or with a wrong checksum; longer than the limit; with a
	// verification tag of another association; an INIT or INIT ACK that cannot
	// be used; more than can wait for Attach.
	Malformed, TooLong, WrongTag, Unusable, NotAwaited uint64

	// Chunks that were taken out of their packets: of an unknown kind, or one
	// that the association cannot use; contrary to what was negotiated; too
	// far ahead of what is missing; before the end of the handshake or the
	// answer to a reset; requests to reset streams that cannot be used.
	Stripped, Contradicting, TooFar, Early, BadResets uint64
	// Refused counts data chunks that had no room, Discarded those of streams
	// that nobody reads, Overflows the streams given up.
	Refused, Discarded, Overflows uint64

	// HiddenWriteErrors counts packets that the source did not take.
	HiddenWriteErrors uint64
}

type counts struct {
	packetsIn, packetsOut, bytesIn, bytesOut            atomic.Uint64
	dataIn, dataOut, duplicates, dataAgain              atomic.Uint64
	userBytesOut                                        atomic.Uint64
	messagesIn, messagesOut, sacksIn, sacksOut, updates atomic.Uint64
	malformed, tooLong, wrongTag, unusable, heldTooLong atomic.Uint64
	stripped, contradicting, tooFar, early, badResets   atomic.Uint64
	refused, discarded, overflows                       atomic.Uint64
	hidden                                              atomic.Uint64
}

// Stats returns the counters as they are now.
func (f *Filter) Stats() Stats {
	c := &f.counts
	// Parts before their totals, so that no part is the larger.
	duplicates, again := c.duplicates.Load(), c.dataAgain.Load()

	return Stats{
		PacketsReceived:   c.packetsIn.Load(),
		PacketsSent:       c.packetsOut.Load(),
		BytesReceived:     c.bytesIn.Load(),
		BytesSent:         c.bytesOut.Load(),
		ChunksReceived:    c.dataIn.Load(),
		ChunksSent:        c.dataOut.Load(),
		Duplicates:        duplicates,
		Retransmitted:     again,
		MessagesReceived:  c.messagesIn.Load(),
		MessagesSent:      c.messagesOut.Load(),
		UserBytesSent:     c.userBytesOut.Load(),
		SACKsReceived:     c.sacksIn.Load(),
		SACKsSent:         c.sacksOut.Load(),
		WindowUpdates:     c.updates.Load(),
		Malformed:         c.malformed.Load(),
		TooLong:           c.tooLong.Load(),
		WrongTag:          c.wrongTag.Load(),
		Unusable:          c.unusable.Load(),
		NotAwaited:        c.heldTooLong.Load(),
		Stripped:          c.stripped.Load(),
		Contradicting:     c.contradicting.Load(),
		TooFar:            c.tooFar.Load(),
		Early:             c.early.Load(),
		BadResets:         c.badResets.Load(),
		Refused:           c.refused.Load(),
		Discarded:         c.discarded.Load(),
		Overflows:         c.overflows.Load(),
		HiddenWriteErrors: c.hidden.Load(),
	}
}

// drop counts a packet or chunk that the association does not get, and keeps
// the reason for the log. It belongs to the goroutine that calls Read, and
// returns false.
func (f *Filter) drop(counter *atomic.Uint64, why string) bool {
	counter.Add(1)
	f.why = why

	return false
}

// report logs the last reason for a drop. No lock is held.
func (f *Filter) report() {
	if f.why != "" && f.cfg.Log != nil {
		f.cfg.Log.Debugf("dropped: %s", f.why)
	}
	f.why = ""
}
