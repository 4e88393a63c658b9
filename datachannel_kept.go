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
	mine  atomic.Int64
	total *atomic.Int64
}

// keepFor opens the account of a channel. What a program has never read is
// given back with the channel's memory.
func keepFor(c *DataChannel) *keptBytes {
	k := &keptBytes{total: &c.sctp.kept}
	runtime.AddCleanup(c, func(k *keptBytes) { k.add(-k.mine.Load()) }, k)

	return k
}

func (k *keptBytes) add(n int64) {
	k.mine.Add(n)
	k.total.Add(n)
}

// keptSize is what a message takes: its data, and what describes it.
func keptSize(m DataChannelMessage) int64 {
	const description = 64

	return int64(len(m.Data)) + description
}
