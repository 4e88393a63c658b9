package udpmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// maxPacket is how much the agent reads at once, in bytes. What is longer is
// dropped here.
const maxPacket = 8192

// socket is one of the mux's. A goroutine reads it.
type socket struct {
	mux   *Mux
	conn  net.PacketConn
	udp   *net.UDPConn // conn, if it is the system's
	local netip.AddrPort

	// Guarded by mux.mu.
	owners  map[netip.AddrPort]*claim // of remote addresses
	pending map[transaction]pending
}

func newSocket(m *Mux, conn net.PacketConn) (*socket, error) {
	s := &socket{
		mux: m, conn: conn, local: addrPort(conn.LocalAddr()),
		owners: map[netip.AddrPort]*claim{}, pending: map[transaction]pending{},
	}
	if !s.local.IsValid() {
		return nil, fmt.Errorf("local address %v: %w", conn.LocalAddr(), errNoUDPAddress)
	}
	// What embeds one may do something of its own in the methods of a
	// net.PacketConn, and is used by those.
	s.udp, _ = conn.(*net.UDPConn)

	return s, nil
}

// serves tells whether candidates with this local address stand on the socket.
func (s *socket) serves(local netip.AddrPort) bool {
	switch {
	case s.local.Port() != local.Port():
		return false
	case s.local.Addr() == netip.IPv6Unspecified():
		return true // of both families, as far as one can see
	case s.local.Addr() == netip.IPv4Unspecified():
		return local.Addr().Is4()
	}

	return s.local.Addr() == local.Addr()
}

func (s *socket) readPacket(p []byte) (n int, from netip.AddrPort, err error) {
	if s.udp != nil {
		n, from, err = s.udp.ReadFromUDPAddrPort(p)

		return n, canonical(from), err
	}
	n, addr, err := s.conn.ReadFrom(p)

	return n, addrPort(addr), err
}

// A socket that fails to read again and again gets longer and longer pauses,
// and is given up in the end: that is after some 20 s.
const (
	readPause    = time.Millisecond
	maxReadPause = time.Second
	maxReadFails = 30
)

// read routes what comes until the socket is closed.
func (s *socket) read() {
	buf := make([]byte, 1<<16) // some systems have an error for what does not fit
	fails := 0
	for {
		n, from, err := s.readPacket(buf)
		if err == nil {
			fails = 0
			s.mux.counters.received.Add(1)
			s.route(buf[:n], from)

			continue
		}
		// A system may tell here that an earlier packet of ours has not arrived.
		fails++
		ended := errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
		if !ended {
			s.mux.counters.readErrors.Add(1)
		}
		if ended || fails > maxReadFails || !s.mux.pause(min(readPause<<min(fails, 10), maxReadPause)) {
			s.mux.socketEnded(s, err)

			return
		}
	}
}

// route finds the session of a packet and queues it there.
func (s *socket) route(p []byte, from netip.AddrPort) {
	counters := &s.mux.counters
	switch {
	case !from.IsValid():
		counters.malformed.Add(1)

		return
	case len(p) > maxPacket:
		counters.oversized.Add(1)

		return
	}
	m := classify(p)
	var to *conn
	s.mux.mu.Lock()
	switch m.kind {
	case kindData, kindIndication:
		if owner := s.owners[from]; owner != nil {
			to = owner.conn
		}
	case kindCheck:
		if session := s.mux.sessions[string(m.ufrag)]; session != nil {
			to = session.onLocked(s, from.Addr().Is4())
		}
	case kindAnswer, kindRefusal:
		if expected := s.pending[m.id]; expected.to == from {
			to = expected.conn
			if m.kind == kindAnswer {
				s.mux.noteLocked(to, from, heard)
			}
		}
	case kindMalformed:
	}
	s.mux.mu.Unlock()
	if to != nil {
		if m.kind == kindAnswer {
			to.session.started.Store(true)
		}
		to.deliver(&m, from, p)

		return
	}
	switch m.kind {
	case kindData, kindIndication:
		counters.unknownAddress.Add(1)
	case kindCheck:
		counters.unknownUfrag.Add(1)
	case kindAnswer, kindRefusal:
		counters.unknownTransaction.Add(1)
	case kindMalformed:
		counters.malformed.Add(1)
	}
}

// write sends a packet. What the system has no room for at the moment is lost,
// as on the path.
func (s *socket) write(p []byte, to netip.AddrPort) (n int, err error) {
	if s.udp != nil {
		n, err = s.udp.WriteToUDPAddrPort(p, to)
	} else {
		n, err = s.conn.WriteTo(p, net.UDPAddrFromAddrPort(to))
	}
	if err == nil {
		s.mux.counters.sent.Add(1)

		return n, nil
	}
	s.mux.counters.writeErrors.Add(1)
	if transient(err) {
		return len(p), nil
	}

	return n, err
}

// transient tells whether the same write may work a moment later.
func transient(err error) bool {
	const windowsNoBuffers = syscall.Errno(10055) // WSAENOBUFS
	var timeout net.Error

	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, windowsNoBuffers) || errors.As(err, &timeout) && timeout.Timeout()
}
