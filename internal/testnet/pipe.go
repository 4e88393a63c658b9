package testnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeQueue is how many packets a direction of a pipe holds; what comes on top
// of them is lost, as on a real path.
const pipeQueue = 4096

// PipeConn is one end of a pipe of datagrams. It is a net.Conn: every Write
// arrives as one Read after the delay, in order. It has no goroutine and no
// timer of its own outside of a Read.
type PipeConn struct {
	name string
	peer *PipeConn

	mu       sync.Mutex
	delay    time.Duration
	queue    []parcel // to be read here
	closed   bool
	deadline time.Time
	changed  chan struct{} // closed at a change that a Read may wait for
	fault    func(p []byte) error
	onWrite  func(p []byte) (drop bool)
}

type parcel struct {
	due  time.Time
	data []byte
}

var _ net.Conn = (*PipeConn)(nil)

// Pipe returns two connected ends; a packet takes delay each way.
func Pipe(delay time.Duration) (a, b *PipeConn) {
	a = &PipeConn{name: "a", delay: delay, changed: make(chan struct{})}
	b = &PipeConn{name: "b", delay: delay, changed: make(chan struct{})}
	a.peer, b.peer = b, a

	return a, b
}

// OnWrite sets a hook that sees every packet written here, and may drop it.
// nil takes it away. The hook must not keep or change p.
func (c *PipeConn) OnWrite(hook func(p []byte) (drop bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onWrite = hook
}

// FailWrites sets a hook whose error a Write here returns, instead of sending.
// nil takes it away.
func (c *PipeConn) FailWrites(fault func(p []byte) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

// SetDelay changes how long packets written here from now on take.
func (c *PipeConn) SetDelay(delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = delay
}

// Inject puts a packet before this end's reader as if it had just arrived.
func (c *PipeConn) Inject(p []byte) { c.deliver(p, 0) }

// Queued is the number of packets that wait to be read here or are under way.
func (c *PipeConn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()

	return len(c.queue)
}

func (c *PipeConn) deliver(p []byte, delay time.Duration) {
	data := append([]byte(nil), p...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.queue) >= pipeQueue {
		return
	}
	c.queue = append(c.queue, parcel{time.Now().Add(delay), data})
	c.changedLocked()
}

func (c *PipeConn) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Write sends one packet.
func (c *PipeConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	closed, delay, fault, hook := c.closed, c.delay, c.fault, c.onWrite
	c.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if fault != nil {
		if err := fault(p); err != nil {
			return 0, err
		}
	}
	if hook == nil || !hook(p) {
		c.peer.deliver(p, delay)
	}

	return len(p), nil
}

// Read returns one packet. If p is too short for it the packet is lost and the
// error is io.ErrShortBuffer. After the peer's Close and everything that it
// had sent, it is io.EOF.
func (c *PipeConn) Read(p []byte) (int, error) {
	for {
		n, wait, changed, err := c.tryRead(p)
		if wait == 0 {
			return n, err
		}
		var timeout <-chan time.Time
		var timer *time.Timer
		if wait > 0 {
			timer = time.NewTimer(wait)
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// tryRead reads, or tells how long to wait for a change before the next try:
// 0 if there is a result, negative if nothing but a change helps.
func (c *PipeConn) tryRead(p []byte) (n int, wait time.Duration, changed chan struct{}, err error) {
	peerClosed := c.peer.isClosed()
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, 0, nil, net.ErrClosed
	}
	wait = -1
	if !c.deadline.IsZero() {
		if wait = c.deadline.Sub(now); wait <= 0 {
			return 0, 0, nil, os.ErrDeadlineExceeded
		}
	}
	if len(c.queue) == 0 {
		if peerClosed {
			return 0, 0, nil, io.EOF
		}

		return 0, wait, c.changed, nil
	}
	if due := c.queue[0].due.Sub(now); due > 0 {
		if wait < 0 || due < wait {
			wait = due
		}

		return 0, wait, c.changed, nil
	}
	data := c.queue[0].data
	c.queue[0] = parcel{}
	c.queue = c.queue[1:]
	n = copy(p, data)
	if n < len(data) {
		return n, 0, nil, io.ErrShortBuffer
	}

	return n, 0, nil, nil
}

func (c *PipeConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.closed
}

// Close ends Reads here with net.ErrClosed, and the peer's with io.EOF.
func (c *PipeConn) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	if !again {
		c.queue = nil
		c.changedLocked()
	}
	c.mu.Unlock()
	if !again {
		c.peer.mu.Lock()
		c.peer.changedLocked()
		c.peer.mu.Unlock()
	}

	return nil
}

// SetReadDeadline ends a Read at t, also one under way.
func (c *PipeConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.deadline = t
	c.changedLocked()

	return nil
}

// SetWriteDeadline does nothing: a Write does not block.
func (c *PipeConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the read deadline.
func (c *PipeConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// LocalAddr names this end.
func (c *PipeConn) LocalAddr() net.Addr { return pipeAddr(c.name) }

// RemoteAddr names the other end.
func (c *PipeConn) RemoteAddr() net.Addr { return pipeAddr(c.peer.name) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return "pipe-" + string(a) }
