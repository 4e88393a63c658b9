package webrtc

import (
	"runtime"
	"sync/atomic"
)

// keptLimit is how many bytes of closed channels may wait for the program
// before the association takes no further reset from the peer. One reset can
// bring a whole window beyond it.
const keptLimit = 1 << 20

// keptBytes is one channel's part in what the association keeps of channels
// that the peer has closed. The window, which bounds everything else, does not
// count that.
type keptBytes struct {
	mine      atomic.Int64
	transport *SCTPTransport
}

// keepFor opens the account of a channel. What a program has never read is
// given back with the channel's memory.
func keepFor(c *DataChannel) *keptBytes {
	k := &keptBytes{transport: c.sctp}
	runtime.AddCleanup(c, func(k *keptBytes) { k.add(-k.mine.Load()) }, k)

	return k
}

// add changes the account, if there is one.
func (k *keptBytes) add(n int64) {
	if k == nil || n == 0 {
		return
	}
	t := k.transport
	k.mine.Add(n)
	t.kept.Add(n)
	// The last of those who do this at once leaves the filter with the truth.
	for {
		hold := t.kept.Load() > keptLimit
		t.filter.HoldResets(hold)
		if hold == (t.kept.Load() > keptLimit) {
			return
		}
	}
}

// keptSize is what a message takes: its data, and what describes it.
func keptSize(m DataChannelMessage) int64 {
	const description = 64

	return int64(len(m.Data)) + description
}
