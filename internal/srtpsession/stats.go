package srtpsession

import "sync/atomic"

// verdict is what becomes of a packet that arrives.
type verdict uint8

const (
	taken     verdict = iota
	early             // there are no keys yet
	malformed         // it cannot be a packet of this profile
	replayed          // its number was there before, or is too old
	forged            // its tag does not match
	tooMany           // a new SSRC beyond the limit
	unclaimed         // nobody wants it
	wrongType         // its payload type is none of its stream
	pushedOut         // its stream, or the session, had too much waiting

	verdicts
)

type counters struct {
	packets, reports atomic.Uint64
	dropped          [verdicts]atomic.Uint64
	writeErrors      atomic.Uint64
}

// Stats counts packets since New.
type Stats struct {
	// RTP packets were given to a stream, RTCP packets to HandleRTCP.
	RTP, RTCP uint64
	// Early packets came before there were keys, and could not be kept.
	Early uint64
	// Malformed packets are too short, or have a header that cannot be.
	Malformed uint64
	// Replayed packets have a number that came before, or that is older than the
	// window.
	Replayed uint64
	// Forged packets are not authentic.
	Forged uint64
	// TooMany packets have a new SSRC while the limit of those is reached.
	TooMany uint64
	// Unclaimed packets are of a stream that nobody wants.
	Unclaimed uint64
	// WrongType packets have a payload type that their stream does not take.
	WrongType uint64
	// PushedOut packets were not read in time, and made room for newer ones.
	PushedOut uint64
	// WriteErrors are packets that the path did not take.
	WriteErrors uint64
}

// Stats returns the counters, from any goroutine. Each is exact; together they
// are no snapshot.
func (s *Session) Stats() Stats {
	c := &s.counters

	return Stats{
		RTP: c.packets.Load(), RTCP: c.reports.Load(),
		Early: c.dropped[early].Load(), Malformed: c.dropped[malformed].Load(),
		Replayed: c.dropped[replayed].Load(), Forged: c.dropped[forged].Load(),
		TooMany: c.dropped[tooMany].Load(), Unclaimed: c.dropped[unclaimed].Load(),
		WrongType: c.dropped[wrongType].Load(),
		PushedOut: c.dropped[pushedOut].Load(), WriteErrors: c.writeErrors.Load(),
	}
}
