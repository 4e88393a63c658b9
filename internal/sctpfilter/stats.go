package sctpfilter

import "sync/atomic"

// Stats counts what passed a filter and what did not. Bytes are those of SCTP
// packets, their common header included.
type Stats struct {
	PacketsReceived, PacketsSent uint64
	BytesReceived, BytesSent     uint64

	// Packets of the peer that were dropped: not SCTP or with a wrong checksum;
	// longer than the limit; with a verification tag of another association;
	// an INIT ACK that cannot be used.
	Malformed, TooLong, WrongTag, Unusable uint64

	// HiddenWriteErrors counts packets that the source did not take.
	HiddenWriteErrors uint64
}

type counts struct {
	packetsIn, packetsOut, bytesIn, bytesOut atomic.Uint64
	malformed, tooLong, wrongTag, unusable   atomic.Uint64
	hidden                                   atomic.Uint64
}

// Stats returns the counters as they are now.
func (f *Filter) Stats() Stats {
	c := &f.counts

	return Stats{
		PacketsReceived:   c.packetsIn.Load(),
		PacketsSent:       c.packetsOut.Load(),
		BytesReceived:     c.bytesIn.Load(),
		BytesSent:         c.bytesOut.Load(),
		Malformed:         c.malformed.Load(),
		TooLong:           c.tooLong.Load(),
		WrongTag:          c.wrongTag.Load(),
		Unusable:          c.unusable.Load(),
		HiddenWriteErrors: c.hidden.Load(),
	}
}

// drop counts a packet that the association does not get; it returns false.
func (f *Filter) drop(counter *atomic.Uint64, why string) bool {
	counter.Add(1)
	if f.cfg.Log != nil {
		f.cfg.Log.Debugf("packet dropped: %s", why)
	}

	return false
}
