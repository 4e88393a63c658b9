package testnet

import (
	"sync"
	"time"
)

// packetOverhead is what IPv4 and UDP add to a payload, in bytes.
const packetOverhead = 28

// Bandwidth limits each direction to a rate in bits per second, headers of IP
// and UDP included. Packets that the link is not ready for wait in a queue of
// so many bytes; what comes on top of it is lost, as at a router. A queue of
// rate times round trip lets a sender keep the link busy while it recovers
// from a loss.
func Bandwidth(bitsPerSecond, queue int) Option {
	return func(n *Network) {
		for i := range n.links {
			n.links[i] = &link{rate: bitsPerSecond, limit: queue}
		}
	}
}

// LinkStats is what one direction of a limited network has seen.
type LinkStats struct {
	// Carried is how many bytes have been sent on, headers included.
	Carried int
	// Overflowed is how many packets found the queue full.
	Overflowed int
	// Queued is how many bytes wait, the packet that is being sent included.
	Queued int
}

// Link tells what the direction that begins at host i has seen. It is zero
// without Bandwidth.
func (n *Network) Link(i int) LinkStats {
	l := n.links[i]
	if l == nil {
		return LinkStats{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.stats
}

// link is one direction. It has a timer while packets wait, and no goroutine.
type link struct {
	rate, limit int

	mu       sync.Mutex
	stats    LinkStats
	queue    []*departure // in order; the first one is being sent
	draining bool
}

type departure struct {
	due   time.Time // when its last bit has been sent
	bytes int
	send  func()
}

// take sends a packet when the ones before it have been sent; send is not
// called if the packet is lost.
func (l *link) take(payload int, send func()) {
	bytes := payload + packetOverhead
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stats.Queued+bytes > l.limit {
		l.stats.Overflowed++

		return
	}
	start := time.Now()
	if len(l.queue) > 0 {
		start = l.queue[len(l.queue)-1].due
	}
	takes := time.Duration(int64(bytes) * 8 * int64(time.Second) / int64(l.rate))
	l.stats.Queued += bytes
	l.queue = append(l.queue, &departure{start.Add(takes), bytes, send})
	if len(l.queue) == 1 && !l.draining {
		l.draining = true
		time.AfterFunc(time.Until(l.queue[0].due), l.drain)
	}
}

// drain sends what is due, in order, and comes again for the rest.
func (l *link) drain() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.draining = false
			l.mu.Unlock()

			return
		}
		first := l.queue[0]
		if wait := time.Until(first.due); wait > 0 {
			time.AfterFunc(wait, l.drain)
			l.mu.Unlock()

			return
		}
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.stats.Queued -= first.bytes
		l.stats.Carried += first.bytes
		l.mu.Unlock()
		first.send()
	}
}
