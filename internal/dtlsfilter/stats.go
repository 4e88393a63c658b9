package dtlsfilter

import (
	"sync/atomic"

	"github.com/pion/dtls/v3/pkg/protocol"
)

// verdict is what becomes of a record.
type verdict uint8

const (
	pass verdict = iota
	malformed
	unexpected
	plaintext
	overBudget
	throttled

	verdicts
	later = verdicts // it waits for the end of the handshake
)

var reasons = [verdicts]string{
	malformed:  "DTLS record dropped: malformed",
	unexpected: "DTLS record dropped: unexpected",
	plaintext:  "DTLS record dropped: plaintext after the handshake",
	overBudget: "DTLS record dropped: the handshake's byte budget is used up",
	throttled:  "DTLS record dropped: retransmissions too close together",
}

// Stats counts since New. All but the last three count records that were
// dropped.
type Stats struct {
	// Malformed records have a bad version, length or content. A datagram that
	// ends inside a record counts once.
	Malformed uint64
	// Unexpected records are well-formed and can have no place: unknown types,
	// epochs, handshake messages of the wrong side or out of order, warnings.
	Unexpected uint64
	// Plaintext records came after the handshake.
	Plaintext uint64
	// OverBudget records would have made the module store too much.
	OverBudget uint64
	// Throttled records are retransmissions of the handshake that came closer
	// together than they are answered.
	Throttled uint64
	// Oversized counts datagrams that did not fit into the reader's buffer.
	Oversized uint64
	// WriteErrors counts datagrams that the path failed to send, for a reason
	// that was hidden from the module.
	WriteErrors uint64
	// Passed counts the protected records of application data that were passed.
	// Those that are not what they seem are dropped by the module, which does
	// not tell.
	Passed uint64
}

// Dropped is the number of records that were dropped.
func (s Stats) Dropped() uint64 {
	return s.Malformed + s.Unexpected + s.Plaintext + s.OverBudget + s.Throttled
}

type counters struct {
	dropped     [verdicts]atomic.Uint64
	oversized   atomic.Uint64
	writeErrors atomic.Uint64
	passed      atomic.Uint64
}

// Stats returns the counters, from any goroutine. Each is exact; together they
// are no snapshot.
func (f *Filter) Stats() Stats {
	return Stats{
		Malformed:   f.counters.dropped[malformed].Load(),
		Unexpected:  f.counters.dropped[unexpected].Load(),
		Plaintext:   f.counters.dropped[plaintext].Load(),
		OverBudget:  f.counters.dropped[overBudget].Load(),
		Throttled:   f.counters.dropped[throttled].Load(),
		Oversized:   f.counters.oversized.Load(),
		WriteErrors: f.counters.writeErrors.Load(),
		Passed:      f.counters.passed.Load(),
	}
}

func (f *Filter) countPassed(r record) {
	if r.kind() == protocol.ContentTypeApplicationData {
		f.counters.passed.Add(1)
	}
}

func (f *Filter) drop(why verdict) {
	f.counters.dropped[why].Add(1)
	if f.log != nil {
		f.log.Trace(reasons[why])
	}
}
