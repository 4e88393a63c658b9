package webrtc

import (
	"fmt"
	"sync/atomic"
	"time"
)

// channelNumbers are those of all channels of the program, so that a report
// has no entry for a channel of another connection.
var channelNumbers atomic.Uint64

// statsID is the channel's name in statistics.
func (c *DataChannel) statsID() string { return fmt.Sprintf("DataChannel-%d", c.number) }

// Stats returns the channel's counters, as they are now. BufferedAmount and
// the two Unread fields tell which channel holds the association's buffers.
func (c *DataChannel) Stats() DataChannelStats {
	if c.alive() == nil {
		return DataChannelStats{Type: StatsTypeDataChannel}
	}
	s := DataChannelStats{
		ID: c.statsID(), Type: StatsTypeDataChannel, TransportID: sctpStatsID,
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

// moveLocked changes the state, and counts a channel that comes to open or
// leaves it.
func (c *DataChannel) moveLocked(to DataChannelState) bool {
	before := c.life.state
	if !c.life.moveLocked(to) {
		return false
	}
	if to == DataChannelStateOpen {
		c.sctp.happened.opened.Add(1)
	}
	if before == DataChannelStateOpen {
		c.sctp.happened.closed.Add(1)
	}

	return true
}

// channelStats are those of the channels that there are, and of those that
// ended with the association.
func (t *SCTPTransport) channelStats() []DataChannelStats {
	channels, all := t.streams.members()
	for _, c := range channels {
		all = append(all, dataChannel(c).Stats())
	}

	return all
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
