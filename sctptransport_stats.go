package webrtc

// Stats returns the association's counters, as far as the association is
// there; only Timestamp, Type and ID otherwise.
func (t *SCTPTransport) Stats() SCTPTransportStats {
	assoc := t.association()
	if assoc == nil {
		return newSCTPTransportStats(nil)
	}
	s := newSCTPTransportStats(assoc)
	n := t.filter.Stats()
	s.LocalReceiverWindow = t.settings.SCTP.MaxReceiveBufferSize
	s.PacketsSent, s.PacketsReceived = n.PacketsSent, n.PacketsReceived
	s.ChunksSent, s.ChunksRetransmitted = n.ChunksSent-n.Retransmitted, n.Retransmitted
	s.ChunksReceived = n.ChunksReceived - n.Duplicates
	s.OpenChannels = t.streams.open()
	s.MessagesSent, s.MessageBytesSent = t.totals.messagesOut.Load(), t.totals.bytesOut.Load()
	s.MessagesReceived, s.MessageBytesReceived = t.totals.messagesIn.Load(), t.totals.bytesIn.Load()
	s.BufferedAmount = uint64(assoc.BufferedAmount()) //nolint:gosec // an amount
	t.life.mu.Lock()
	s.BytesLost = uint64(t.lost) //nolint:gosec // an amount
	t.life.mu.Unlock()
	messages, bytes := t.filter.UnreadAll()
	s.UnreadMessages = uint64(messages)                   //nolint:gosec // a count
	s.UnreadBytes = uint64(bytes) + uint64(t.kept.Load()) //nolint:gosec // amounts
	s.Dropped = SCTPTransportDrops{
		Malformed: n.Malformed, TooLong: n.TooLong, WrongTag: n.WrongTag,
		Unusable:        n.Unusable + n.NotAwaited + n.Stripped + n.Contradicting + n.Early + n.BadResets,
		OverLimit:       n.TooFar + n.Refused,
		DiscardedChunks: n.Discarded, UnsentPackets: n.HiddenWriteErrors,
	}

	return s
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
