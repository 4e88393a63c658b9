package webrtc

import (
	"fmt"
	"time"
)

// Stats returns the channel's counters, as they are now. BufferedAmount and
// the two Unread fields tell which channel holds the association's buffers.
func (c *DataChannel) Stats() DataChannelStats {
	if c.alive() == nil {
		return DataChannelStats{Type: StatsTypeDataChannel}
	}
	s := DataChannelStats{
		ID: fmt.Sprintf("DataChannel-%d", c.number), Type: StatsTypeDataChannel, TransportID: sctpStatsID,
		Timestamp: newStatsTimestamp(time.Now()),
		Label:     c.params.Label, Protocol: c.params.Protocol, State: c.ReadyState(),
		BytesSent: c.counts.bytesOut.Load(), BytesReceived: c.counts.bytesIn.Load(),
		MessagesSent:     uint32(c.counts.messagesOut.Load()), //nolint:gosec // the dictionary's type; it wraps
		MessagesReceived: uint32(c.counts.messagesIn.Load()),  //nolint:gosec // the same
		Priority:         c.params.weight(), BufferedAmount: c.BufferedAmount(),
	}
	id := c.ID()
	if id == nil {
		return s
	}
	s.DataChannelIdentifier = int32(*id)
	messages, bytes := c.inbox.unread(*id)
	s.UnreadMessages, s.UnreadBytes = uint64(messages), uint64(bytes) //nolint:gosec // counts

	return s
}

// unread is what has come and was not yet taken.
func (b *inbox) unread(id uint16) (messages, bytes int) {
	b.mu.Lock()
	raw := b.stream
	messages = len(b.rest)
	for _, m := range b.rest {
		bytes += len(m.Data)
	}
	b.mu.Unlock()
	if raw == nil {
		return messages, bytes
	}
	m, n := b.c.sctp.filter.Unread(id)

	return messages + m, bytes + n
}
