package webrtc

// Stats returns the association's counters, as far as the association is
// there; only Timestamp, Type and ID otherwise.
func (t *SCTPTransport) Stats() SCTPTransportStats {
	if assoc := t.association(); assoc != nil {
		return newSCTPTransportStats(assoc)
	}

	return newSCTPTransportStats(nil)
}

// Metadata returns what the association has agreed on; ok is false before it
// has.
func (t *SCTPTransport) Metadata() (metadata SCTPTransportMetadata, ok bool) {
	stats := t.Stats()
	if stats.Metadata == nil {
		return metadata, false
	}

	return *stats.Metadata, true
}
