package servergather

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	// What waits for permissions, of all peers together: the first checks and the
	// first flight of a handshake.
	maxWaitingPackets = 256
	maxWaitingBytes   = 256 << 10

	// releaseTime is for how long the server may take to answer that it has
	// released the allocation; the request is sent again meanwhile.
	releaseTime = 500 * time.Millisecond

	// A peer that the server does not want to relay to is asked for again after
	// that: checks come more often.
	refusedTime = 2 * time.Second
)

// Relay is an allocation of a TURN server. Its methods wait for the server in
// nothing but ReadFrom, which Close ends: a packet to a peer for which there is
// no permission yet waits for it in a queue, and is lost if that is full. The
// TURN module's own connection blocks its writers meanwhile.
type Relay struct {
	session *session
	conn    net.PacketConn // of the module
	tasks   *lifecycle.Group
	lost    atomic.Uint64
	done    chan struct{} // it is closed

	mu      sync.Mutex
	closed  bool
	peers   map[netip.Addr]*peer
	packets int // that wait
	bytes   int
}

// peer is an address that the server has to have our permission for. The limits
// of remote candidates keep them few.
type peer struct {
	permitted bool
	asking    bool
	refused   time.Time
	waiting   []outgoing
}

type outgoing struct {
	packet []byte
	to     net.Addr
}

func newRelay(tasks *lifecycle.Group, s *session, conn net.PacketConn) *Relay {
	return &Relay{session: s, conn: conn, tasks: tasks, done: make(chan struct{}), peers: map[netip.Addr]*peer{}}
}

// ReadFrom reads a packet of a peer.
func (r *Relay) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := r.conn.ReadFrom(p)
	if err == nil {
		return n, from, nil
	}
	select {
	case <-r.done:
		err = net.ErrClosed
	default:
		_ = r.Close() // the module has given up
	}

	return 0, nil, err
}

// WriteTo sends a packet to a peer, now or when the server permits it.
func (r *Relay) WriteTo(packet []byte, to net.Addr) (int, error) {
	address := addrPort(to).Addr()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()

		return 0, net.ErrClosed
	}
	p := r.peers[address]
	if p == nil {
		p = &peer{}
		r.peers[address] = p
	}
	if p.permitted {
		r.mu.Unlock()

		return r.conn.WriteTo(packet, to)
	}
	defer r.mu.Unlock()
	if r.packets >= maxWaitingPackets || r.bytes+len(packet) > maxWaitingBytes ||
		(!p.asking && !p.refused.IsZero() && time.Since(p.refused) < refusedTime) {
		r.lost.Add(1)

		return len(packet), nil
	}
	p.waiting = append(p.waiting, outgoing{append([]byte(nil), packet...), to})
	r.packets++
	r.bytes += len(packet)
	if !p.asking {
		p.asking = true
		r.tasks.Go(func() { r.send(p) })
	}

	return len(packet), nil
}

// send sends what waits for a permission: the module's connection asks for it
// with the first packet.
func (r *Relay) send(p *peer) {
	for {
		r.mu.Lock()
		if len(p.waiting) == 0 || r.closed {
			p.asking = false
			p.permitted = !r.closed
			r.mu.Unlock()

			return
		}
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		r.packets--
		r.bytes -= len(next.packet)
		r.mu.Unlock()
		if _, err := r.conn.WriteTo(next.packet, next.to); err != nil {
			r.mu.Lock()
			r.dropLocked(p)
			r.lost.Add(1)
			p.asking, p.refused = false, time.Now()
			r.mu.Unlock()

			return
		}
	}
}

func (r *Relay) dropLocked(p *peer) {
	for _, waiting := range p.waiting {
		r.packets--
		r.bytes -= len(waiting.packet)
		r.lost.Add(1)
	}
	p.waiting = nil
}

// Lost is how many packets had no room in a queue, or no permission.
func (r *Relay) Lost() uint64 {
	lost := r.lost.Load()
	if s, ok := r.session.base.(*stream); ok {
		lost += s.lost.Load()
	}

	return lost
}

// Close asks the server to release the allocation and returns. The socket stays
// until the answer is there, half a second at most.
// https://www.rfc-editor.org/rfc/rfc8656#section-8
func (r *Relay) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()

		return nil
	}
	r.closed = true
	for _, p := range r.peers {
		r.dropLocked(p)
	}
	r.mu.Unlock()
	close(r.done)
	s := r.session
	s.mu.Lock()
	s.asked = true
	s.mu.Unlock()
	_ = r.conn.Close() // sends the request, and again, as long as the socket is there
	r.tasks.Go(func() {
		timer := time.NewTimer(releaseTime)
		defer timer.Stop()
		select {
		case <-s.released:
		case <-s.ended:
		case <-timer.C:
		}
		s.close()
	})

	return nil
}

// LocalAddr is the relayed address.
func (r *Relay) LocalAddr() net.Addr { return r.conn.LocalAddr() }

// Deadlines are not kept: an ICE agent sets them only to end a read before it
// closes the connection.

// SetDeadline does nothing.
func (r *Relay) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (r *Relay) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (r *Relay) SetWriteDeadline(time.Time) error { return nil }

var _ net.PacketConn = (*Relay)(nil)

// Share returns the relay as n connections, for candidates that differ in the
// address that is told alone. The first one reads; it is the relay itself.
func (r *Relay) Share(n int) []net.PacketConn {
	conns := []net.PacketConn{r}
	for len(conns) < n {
		conns = append(conns, &writer{Relay: r, closed: make(chan struct{})})
	}

	return conns
}

// writer sends by a relay, whose packets another reads.
type writer struct {
	*Relay

	closed chan struct{}
	once   sync.Once
}

func (w *writer) ReadFrom([]byte) (int, net.Addr, error) {
	<-w.closed

	return 0, nil, net.ErrClosed
}

func (w *writer) Close() error {
	w.once.Do(func() { close(w.closed) })

	return nil
}
