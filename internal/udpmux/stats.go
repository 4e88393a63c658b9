package udpmux

import "sync/atomic"

// Stats is what a mux holds and has counted.
type Stats struct {
	// Sessions are those that have candidates here, Unstarted the ones of them
	// of which no check has been answered yet.
	Sessions, Unstarted int
	// Addresses are the remote addresses that belong to a session, each
	// counted once for every socket.
	Addresses int
	// Checks are those that were sent and may be answered.
	Checks int
	// Moves is how often an address has gone from one session to another.
	Moves uint64
	// Received and Sent are packets, the dropped ones among the former.
	Received, Sent uint64
	// Dropped packets, by reason.
	UnknownUfrag, UnknownAddress, UnknownTransaction uint64
	Malformed, Oversized, NotStarted, QueueFull      uint64
	// ReadErrors and WriteErrors are those of the sockets.
	ReadErrors, WriteErrors uint64
}

type counters struct {
	moves, received, sent                            atomic.Uint64
	unknownUfrag, unknownAddress, unknownTransaction atomic.Uint64
	malformed, oversized, unstarted, queueFull       atomic.Uint64
	readErrors, writeErrors                          atomic.Uint64
}

// Stats counts. It goes through all sessions.
func (m *Mux) Stats() Stats {
	c := &m.counters
	stats := Stats{
		Moves: c.moves.Load(), Received: c.received.Load(), Sent: c.sent.Load(),
		UnknownUfrag: c.unknownUfrag.Load(), UnknownAddress: c.unknownAddress.Load(),
		UnknownTransaction: c.unknownTransaction.Load(),
		Malformed:          c.malformed.Load(), Oversized: c.oversized.Load(),
		NotStarted: c.unstarted.Load(), QueueFull: c.queueFull.Load(),
		ReadErrors: c.readErrors.Load(), WriteErrors: c.writeErrors.Load(),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stats.Sessions = len(m.sessions)
	for _, s := range m.sessions {
		if !s.started.Load() {
			stats.Unstarted++
		}
	}
	for _, s := range m.sockets {
		stats.Addresses += len(s.owners)
		stats.Checks += len(s.pending)
	}

	return stats
}
