package udpmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// errClosed is the end of a session or of the mux by its own side.
type errClosed struct{ what string }

func (e errClosed) Error() string { return e.what + " is closed" }

// Is makes it match what the ice module looks for.
func (errClosed) Is(target error) bool { return target == net.ErrClosed || target == io.ErrClosedPipe }

var errNoUDPAddress = errors.New("not the address of a UDP socket")

// handle is a [conn] as one local candidate has it. The candidates that stand
// on the same socket read from one queue. It is a net.PacketConn, with methods
// beside it that allocate no addresses.
type handle struct {
	conn   *conn
	local  net.Addr
	closed atomic.Bool

	// Guarded by session.mu.
	deadline  time.Time
	stop      func() bool // of the deadline's timer
	checks    [maxUnanswered]unanswered
	nextCheck int
}

// maxUnanswered is how many checks that the agent has read from a candidate it
// can still answer. It answers each before it reads the next.
const maxUnanswered = 4

// unanswered is a check that the agent has read.
type unanswered struct {
	id        transaction
	from      netip.AddrPort
	nominates bool
}

// ReadFromAddrPort reads one packet.
func (h *handle) ReadFromAddrPort(p []byte) (int, netip.AddrPort, error) {
	c := h.conn
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	for {
		switch {
		case h.closed.Load():
			return 0, netip.AddrPort{}, errClosed{"candidate"}
		case c.ended != nil:
			return 0, netip.AddrPort{}, c.ended
		case !h.deadline.IsZero() && !time.Now().Before(h.deadline):
			return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
		case c.first != nil:
			packet := c.take()
			if packet.check {
				h.checks[h.nextCheck] = unanswered{packet.id, packet.from, packet.nominates}
				h.nextCheck = (h.nextCheck + 1) % maxUnanswered
			}
			n, from, size := copy(p, packet.data), packet.from, len(packet.data)
			packet.release()
			if n < size {
				return n, from, io.ErrShortBuffer
			}

			return n, from, nil
		}
		c.arrived.Wait()
	}
}

// ReadFrom reads one packet.
func (h *handle) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := h.ReadFromAddrPort(p)
	if !from.IsValid() {
		return n, nil, err
	}

	return n, net.UDPAddrFromAddrPort(from), err
}

// WriteToAddrPort sends one packet.
func (h *handle) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	to = canonical(to)
	switch {
	case h.closed.Load():
		return 0, errClosed{"candidate"}
	case h.conn.over.Load():
		return 0, h.conn.why()
	case !to.IsValid():
		return 0, fmt.Errorf("write to %s: %w", to, errNoUDPAddress)
	}
	h.sending(p, to)

	return h.conn.socket.write(p, to)
}

// WriteTo sends one packet.
func (h *handle) WriteTo(p []byte, to net.Addr) (int, error) {
	return h.WriteToAddrPort(p, addrPort(to))
}

// sending draws conclusions from what the agent sends, before it is sent: an
// answer must find the check that it is for.
func (h *handle) sending(p []byte, to netip.AddrPort) {
	c, m := h.conn, classify(p)
	switch m.kind {
	case kindAnswer:
		if proof := h.answers(m.id, to); proof != 0 {
			c.mux.note(c, to, proof)
		}
	case kindCheck:
		c.mux.expect(c, m.id, to, time.Now())
		if m.nominates {
			c.mux.note(c, to, used)
		}
	case kindData:
		if last := c.lastTo.Load(); last == nil || *last != to {
			next := to // this one would be allocated with every packet
			c.lastTo.Store(&next)
			c.mux.note(c, to, used)
		}
	default: // of no consequence
	}
}

// answers tells what a success response to an address proves: something, if it
// answers a check that the agent has read from there.
func (h *handle) answers(id transaction, to netip.AddrPort) evidence {
	h.conn.session.mu.Lock()
	defer h.conn.session.mu.Unlock()
	for _, check := range h.checks {
		switch {
		case check.id != id || check.from != to:
		case check.nominates:
			return answered | nominated
		default:
			return answered
		}
	}

	return 0
}

// why is what reads and writes fail with.
func (c *conn) why() error {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()

	return c.ended
}

// LocalAddr is the address that the candidate was made for.
func (h *handle) LocalAddr() net.Addr { return h.local }

// Close ends the candidate's reads and writes, and with the last candidate of
// the session on its socket what the session has there.
func (h *handle) Close() error {
	c := h.conn
	c.session.mu.Lock()
	again := h.closed.Swap(true)
	if h.stop != nil {
		h.stop()
	}
	c.arrived.Broadcast()
	c.session.mu.Unlock()
	if !again {
		c.mux.release(c)
	}

	return nil
}

// SetReadDeadline ends reads at t, also one under way.
func (h *handle) SetReadDeadline(t time.Time) error {
	c := h.conn
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if h.closed.Load() {
		return errClosed{"candidate"}
	}
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	h.deadline = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		h.stop = c.mux.group.After(wait, func() {
			c.session.mu.Lock()
			defer c.session.mu.Unlock()
			c.arrived.Broadcast()
		})
	}
	c.arrived.Broadcast()

	return nil
}

// SetWriteDeadline does nothing: a write takes as long as the system needs.
func (h *handle) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the read deadline.
func (h *handle) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }
