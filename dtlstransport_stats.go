package webrtc

// DTLSTransportStats counts what a [DTLSTransport] has dropped since its start:
// records that nothing authenticates or that have no place, which do not harm
// the connection. https://www.rfc-editor.org/rfc/rfc6347#section-4.1.2.7
//
// They can come from anybody who can send to our address, so they tell of an
// attack, or of a peer or a path with a defect. It is no dictionary of the
// W3C's.
type DTLSTransportStats struct {
	// MalformedRecords have a bad version, length or content. Of a datagram
	// that ends inside a record the rest counts as one.
	MalformedRecords uint64 `json:"malformedRecords"`
	// UnexpectedRecords are well formed and can have no place: an unknown type
	// or epoch, a handshake message of the wrong side or out of order, a
	// ChangeCipherSpec under protection, a warning in plaintext.
	UnexpectedRecords uint64 `json:"unexpectedRecords"`
	// PlaintextRecords came without protection after the handshake.
	PlaintextRecords uint64 `json:"plaintextRecords"`
	// OverBudgetRecords would have exceeded DTLSSettings.MaxHandshakeBytes.
	OverBudgetRecords uint64 `json:"overBudgetRecords"`
	// ThrottledRecords are retransmissions of the peer's handshake that came
	// closer together than they are answered.
	ThrottledRecords uint64 `json:"throttledRecords"`
	// UndeliveredRecords are protected records of data that failed to
	// authenticate or came twice. Since nobody but the cipher can tell, it is
	// the number of those that came less that of those that were read: while
	// data flows it may be a few higher.
	UndeliveredRecords uint64 `json:"undeliveredRecords"`
	// UnsentDatagrams could not be sent, and were lost as on the path.
	UnsentDatagrams uint64 `json:"unsentDatagrams"`
}

// DroppedRecords is the sum of the counters of records.
func (s DTLSTransportStats) DroppedRecords() uint64 {
	return s.MalformedRecords + s.UnexpectedRecords + s.PlaintextRecords + s.OverBudgetRecords +
		s.ThrottledRecords + s.UndeliveredRecords
}

// Stats returns the counters. They are zero before the first record of the
// handshake, and stay after the end.
func (t *DTLSTransport) Stats() DTLSTransportStats {
	if t.alive() == nil {
		return DTLSTransportStats{}
	}
	t.life.mu.Lock()
	filter, data := t.filter, t.data
	t.life.mu.Unlock()
	if filter == nil {
		return DTLSTransportStats{}
	}
	var delivered uint64
	if data != nil {
		delivered = data.delivered.Load() // before those that came, which are more
	}
	seen := filter.Stats()

	return DTLSTransportStats{
		MalformedRecords:   seen.Malformed,
		UnexpectedRecords:  seen.Unexpected,
		PlaintextRecords:   seen.Plaintext,
		OverBudgetRecords:  seen.OverBudget,
		ThrottledRecords:   seen.Throttled,
		UndeliveredRecords: seen.Passed - min(seen.Passed, delivered),
		UnsentDatagrams:    seen.WriteErrors,
	}
}
