// Package handover gives a path that stays the same for whoever reads and
// writes it while what carries the packets is replaced, as a restart of ICE does.
package handover

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn carries packets: one Read takes one, one Write sends one. SetReadDeadline
// must not wait, and ends a pending Read when the deadline has passed.
type Conn interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// maxLate is how many packets of a connection that was left can wait for the
// reader: what is on the way within a round trip is far less.
const maxLate = 256

// passed is a deadline that has passed, also in the clock of a test that starts
// in the year 2000.
var passed = time.Unix(1, 0)

// Path is a connection that can be replaced. There may be one reader at a time;
// everything else may be called from any goroutine. While nothing is replaced, a
// packet takes no lock of it.
type Path struct {
	now     atomic.Pointer[turn]
	waiting atomic.Int64           // packets in late
	last    atomic.Pointer[[]byte] // the record that was written last
	spare   atomic.Pointer[[]byte] // room for the next one
	written atomic.Uint64          // records so far
	reader  *turn                  // the reader's own: the turn in which it was last

	// mu guards the fields below. Under it nothing of a connection is called but
	// SetReadDeadline.
	mu          sync.Mutex
	deadline    time.Time // as the reader's side has set it
	interrupted bool      // the deadline of the connection was moved to wake the reader
	late        [][]byte  // packets of connections that were left
}

// turn is the time in which one connection is used.
type turn struct {
	conn   Conn
	before *turn         // until the reader has left it
	left   chan struct{} // closed when the reader will not come back to it
}

func newTurn(conn Conn, before *turn) *turn {
	return &turn{conn: conn, before: before, left: make(chan struct{})}
}

// New returns a path over a connection.
func New(conn Conn) *Path {
	p := &Path{reader: newTurn(conn, nil)}
	p.now.Store(p.reader)

	return p
}

// Conn returns the connection that is used now.
func (p *Path) Conn() Conn { return p.now.Load().conn }

// Switch makes to the connection that is written and read from now on. drain
// passes on what still comes on the one before, until reading that fails, as
// when it is closed, or done is. It blocks meanwhile.
func (p *Path) Switch(to Conn) (drain func(done <-chan struct{})) {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.switchLocked(to)
}

// Leave is Switch if conn is the one that is used, and nothing otherwise. What
// still comes on it is lost.
func (p *Path) Leave(conn, to Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Conn() == conn {
		p.switchLocked(to)
	}
}

func (p *Path) switchLocked(to Conn) (drain func(done <-chan struct{})) {
	before := p.now.Load()
	p.now.Store(newTurn(to, before))
	p.interrupted = false
	_ = to.SetReadDeadline(p.deadline)
	_ = before.conn.SetReadDeadline(passed) // the reader comes over

	return func(done <-chan struct{}) { p.drain(before, done) }
}

func (p *Path) drain(before *turn, done <-chan struct{}) {
	select {
	case <-before.left:
	case <-done:
		return
	}
	_ = before.conn.SetReadDeadline(time.Time{})
	buf := make([]byte, 1<<16)
	for {
		n, err := before.conn.Read(buf)
		if err != nil {
			return
		}
		p.deliver(buf[:n])
	}
}

// deliver puts a packet before those of the connection that is read.
func (p *Path) deliver(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.late) >= maxLate {
		return // as a full socket
	}
	p.late = append(p.late, append([]byte(nil), packet...))
	p.waiting.Add(1)
	if !p.interrupted {
		p.interrupted = true
		_ = p.Conn().SetReadDeadline(passed)
	}
}

// Read takes the next packet, of whichever connection.
func (p *Path) Read(b []byte) (int, error) {
	for {
		if p.waiting.Load() > 0 {
			packet := p.take()
			if n := copy(b, packet); n < len(packet) {
				return n, io.ErrShortBuffer
			}

			return len(packet), nil
		}
		now := p.now.Load()
		p.enter(now)
		n, err := now.conn.Read(b)
		if err == nil || errors.Is(err, io.ErrShortBuffer) || !p.isOurs(now) {
			return n, err
		}
	}
}

// enter is called by the reader before it reads. Whoever drains what it has left
// may do so now.
func (p *Path) enter(now *turn) {
	if now == p.reader {
		return
	}
	p.reader = now
	for before := now; before.before != nil; {
		before, before.before = before.before, nil
		close(before.left)
	}
}

// take returns the first of the packets that wait.
func (p *Path) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	packet := p.late[0]
	p.late = p.late[1:]
	if p.waiting.Add(-1) == 0 {
		p.late = nil // a burst's array is not kept
	}
	p.resumeLocked()

	return packet
}

// resumeLocked sets the deadline of the connection that is read as its reader
// wants it.
func (p *Path) resumeLocked() {
	if p.interrupted {
		p.interrupted = false
		_ = p.Conn().SetReadDeadline(p.deadline)
	}
}

// isOurs tells whether a read has failed since we have ended it.
func (p *Path) isOurs(in *turn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ours := p.interrupted || p.now.Load() != in
	p.resumeLocked()

	return ours
}

// Write sends a packet on the connection that is used now.
func (p *Path) Write(b []byte) (int, error) {
	p.keep(b)

	return p.Conn().Write(b)
}

// keep keeps a copy of a DTLS record (RFC 7983). Others are none of those that
// may come twice.
func (p *Path) keep(b []byte) {
	if len(b) == 0 || b[0] < 20 || b[0] > 63 {
		return
	}
	room := p.spare.Swap(nil)
	if room == nil {
		room = new([]byte)
	}
	*room = append((*room)[:0], b...)
	p.written.Add(1)
	if before := p.last.Swap(room); before != nil {
		p.spare.Store(before)
	}
}

// Written is how many records were written.
func (p *Path) Written() uint64 { return p.written.Load() }

// Repeat sends once more the record that was written last, unless another has been
// written since there were so many. It has to be called when a new connection has
// been there for a moment: where there was none for a while, the layers above wait
// longer and longer before they try again, and the answer to what they tried last is
// what ends that wait. The peer's DTLS drops it if it has had it.
func (p *Path) Repeat(written uint64) {
	if p.written.Load() != written {
		return
	}
	if last := p.last.Swap(nil); last != nil {
		_, _ = p.Conn().Write(*last)
		if !p.last.CompareAndSwap(nil, last) { // the next path may be better
			p.spare.Store(last)
		}
	}
}

// SetReadDeadline sets the reader's deadline; a pending Read ends with it.
func (p *Path) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if p.interrupted {
		return nil // it is set when the reader has taken what waits
	}

	return p.Conn().SetReadDeadline(t)
}

// LocalAddr is that of the connection that is used now.
func (p *Path) LocalAddr() net.Addr { return p.Conn().LocalAddr() }

// RemoteAddr is that of the connection that is used now.
func (p *Path) RemoteAddr() net.Addr { return p.Conn().RemoteAddr() }
