package webrtc

import "sync/atomic"

// channelCounts counts the messages of a channel, or of all, and their bytes.
type channelCounts struct {
	messagesIn, messagesOut, bytesIn, bytesOut atomic.Uint64
}

// channelEvents counts what has become of the channels of an association.
type channelEvents struct {
	requested atomic.Uint32 // made by this side
	accepted  atomic.Uint32 // made by the peer and told to the program
	opened    atomic.Uint32 // came to the state open
	closed    atomic.Uint32 // left it
}

func (n *channelCounts) received(bytes int) {
	n.messagesIn.Add(1)
	n.bytesIn.Add(uint64(bytes)) //nolint:gosec // a length
}

func (n *channelCounts) sent(bytes int) {
	n.messagesOut.Add(1)
	n.bytesOut.Add(uint64(bytes)) //nolint:gosec // a length
}
