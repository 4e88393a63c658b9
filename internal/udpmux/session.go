package udpmux

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limits of what a session's queues hold together. Data leaves the last few
// packets to checks, without which consent would end.
const (
	maxUnstarted  = 16
	maxQueued     = 512
	maxBytes      = 512 << 10
	keptForChecks = 16
)

// session is what one agent has on all sockets.
type session struct {
	ufrag string
	owner *View
	full  bool    // its agent is known to send checks
	conns []*conn // guarded by mux.mu

	// started tells whether a check was answered, in whichever direction.
	started atomic.Bool

	mu            sync.Mutex // guards what follows, and what conn says
	queued, bytes int
}

// conn is a session on one socket, with peers of one family of addresses. Each
// local candidate there is a handle of it.
type conn struct {
	mux     *Mux
	session *session
	socket  *socket
	ipv4    bool

	// lastTo is where data was sent last, so that each packet of a stream
	// costs no look-up.
	lastTo atomic.Pointer[netip.AddrPort]

	// Guarded by mux.mu.
	handles int
	removed bool
	claims  []*claim
	sent    []request

	// Guarded by session.mu.
	ended       error // why reads and writes fail
	over        atomic.Bool
	first, last *packet
	arrived     sync.Cond
}

// packet is one that waits to be read.
type packet struct {
	next             *packet
	from             netip.AddrPort
	id               transaction
	check, nominates bool
	data             []byte
}

// Packets are kept in buffers of few sizes: checks, what fits a path, and what
// does not.
var (
	packetSizes = [...]int{256, 1536, maxPacket}
	packetPools [len(packetSizes)]sync.Pool
)

func newPacket(data []byte) *packet {
	class := 0
	for len(data) > packetSizes[class] {
		class++
	}
	p, ok := packetPools[class].Get().(*packet)
	if !ok {
		p = &packet{data: make([]byte, packetSizes[class])}
	}
	p.data = append(p.data[:0], data...)

	return p
}

func (p *packet) release() {
	class := 0
	for cap(p.data) > packetSizes[class] {
		class++
	}
	*p = packet{data: p.data}
	packetPools[class].Put(p)
}

// deliver queues a packet for the agent. It never blocks.
func (c *conn) deliver(m *message, from netip.AddrPort, data []byte) {
	s, counters := c.session, &c.mux.counters
	started := s.started.Load()
	limit := maxQueued
	switch {
	case !started:
		limit = maxUnstarted
	case m.kind == kindData:
		limit -= keptForChecks
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.over.Load():
		counters.unknownUfrag.Add(1)

		return
	case s.queued >= limit && !started:
		// The newest are the ones whose sender still waits for an answer.
		counters.unstarted.Add(1)
		if c.first == nil {
			return
		}
		c.take().release()
	case s.queued >= limit || s.bytes+len(data) > maxBytes:
		counters.queueFull.Add(1)

		return
	}
	p := newPacket(data)
	p.from, p.id, p.check, p.nominates = from, m.id, m.kind == kindCheck, m.nominates
	if c.last == nil {
		c.first = p
	} else {
		c.last.next = p
	}
	c.last = p
	s.queued++
	s.bytes += len(data)
	c.arrived.Signal()
}

// take removes the first packet. The caller has session.mu, and releases it.
func (c *conn) take() *packet {
	p := c.first
	c.first = p.next
	if c.first == nil {
		c.last = nil
	}
	p.next = nil
	c.session.queued--
	c.session.bytes -= len(p.data)

	return p
}

// end makes reads and writes fail from now on.
func (c *conn) end(cause error) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if c.over.Swap(true) {
		return
	}
	c.ended = cause
	for c.first != nil {
		c.take().release()
	}
	c.arrived.Broadcast()
}
