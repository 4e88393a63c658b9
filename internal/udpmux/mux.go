package udpmux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// Mux is a set of sockets and the sessions on them. All methods may be called
// from any goroutine.
type Mux struct {
	log      logging.LeveledLogger
	group    *lifecycle.Group // the readers
	sockets  []*socket
	counters counters

	mu       sync.Mutex
	sessions map[string]*session // by ufrag
	closed   bool
}

// ErrInUse is that another agent has the ufrag.
var ErrInUse = errors.New("another agent has this ufrag")

// New makes a mux of sockets, which it owns from then on, and begins to read
// them. If it fails, they are as they were.
func New(log logging.LeveledLogger, sockets ...net.PacketConn) (*Mux, error) {
	m := &Mux{log: log, group: lifecycle.NewGroup(), sessions: map[string]*session{}}
	for _, conn := range sockets {
		s, err := newSocket(m, conn)
		if err != nil {
			return nil, err
		}
		m.sockets = append(m.sockets, s)
	}
	for _, s := range m.sockets {
		m.group.Go(s.read)
	}

	return m, nil
}

// LocalAddrs are the addresses of the sockets, which may be unspecified ones.
func (m *Mux) LocalAddrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, 0, len(m.sockets))
	for _, s := range m.sockets {
		addrs = append(addrs, s.local)
	}

	return addrs
}

// View is a mux as one agent has it: it sees no session but its own.
type View struct {
	mux  *Mux
	full bool
}

// View makes one. The agent is full if it is known to send checks, which a lite
// one does not.
func (m *Mux) View(full bool) *View { return &View{m, full} }

// GetConn makes a candidate of the session with that ufrag, on the socket with
// that local address. It has to be closed.
func (v *View) GetConn(ufrag string, local net.Addr) (net.PacketConn, error) {
	addr := addrPort(local)
	m := v.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed{"UDP mux"}
	}
	i := slices.IndexFunc(m.sockets, func(s *socket) bool { return addr.IsValid() && s.serves(addr) })
	if i < 0 {
		return nil, fmt.Errorf("no socket of the UDP mux has the address %v", local)
	}
	s := m.sessions[ufrag]
	switch {
	case s == nil:
		s = &session{ufrag: ufrag, owner: v, full: v.full}
		m.sessions[ufrag] = s
	case s.owner != v:
		return nil, fmt.Errorf("%w: %q", ErrInUse, ufrag)
	}
	c := s.onLocked(m.sockets[i], addr.Addr().Is4())
	if c == nil {
		c = &conn{mux: m, session: s, socket: m.sockets[i], ipv4: addr.Addr().Is4()}
		c.arrived.L = &s.mu
		s.conns = append(s.conns, c)
	}
	c.handles++

	return &handle{conn: c, local: local}, nil
}

// onLocked is what the session has on a socket, for one family of addresses.
func (s *session) onLocked(socket *socket, ipv4 bool) *conn {
	for _, c := range s.conns {
		if c.socket == socket && c.ipv4 == ipv4 {
			return c
		}
	}

	return nil
}

// RemoveConnByUfrag ends the view's session with that ufrag.
func (v *View) RemoveConnByUfrag(ufrag string) {
	m := v.mux
	m.mu.Lock()
	var conns []*conn
	if s := m.sessions[ufrag]; s != nil && s.owner == v {
		conns = slices.Clone(s.conns)
		for _, c := range conns {
			m.removeLocked(c)
		}
	}
	m.mu.Unlock()
	for _, c := range conns {
		c.end(errClosed{"ICE session"})
	}
}

// release takes back one handle of a connection.
func (m *Mux) release(c *conn) {
	m.mu.Lock()
	c.handles--
	last := c.handles == 0
	if last {
		m.removeLocked(c)
	}
	m.mu.Unlock()
	if last {
		c.end(errClosed{"ICE session"})
	}
}

// removeLocked forgets a connection. What that takes depends on nothing but the
// connection itself, and that has limits.
func (m *Mux) removeLocked(c *conn) {
	if c.removed {
		return
	}
	c.removed = true
	for _, cl := range c.claims {
		cl.unlinkLocked()
	}
	for _, r := range c.sent {
		c.socket.forgetLocked(r.id, c)
	}
	c.claims, c.sent = nil, nil
	s := c.session
	s.conns = slices.DeleteFunc(s.conns, func(other *conn) bool { return other == c })
	if len(s.conns) == 0 && m.sessions[s.ufrag] == s {
		delete(m.sessions, s.ufrag)
	}
}

// socketEnded ends what stands on a socket that cannot be read any more.
func (m *Mux) socketEnded(s *socket, err error) {
	var conns []*conn
	m.mu.Lock()
	unexpected := !m.closed
	for _, session := range m.sessions {
		for _, c := range session.conns {
			if c.socket == s {
				conns = append(conns, c)
			}
		}
	}
	for _, c := range conns {
		m.removeLocked(c)
	}
	m.mu.Unlock()
	if unexpected {
		m.log.Warnf("the socket on %s has ended: %v", s.local, err)
	}
	for _, c := range conns {
		c.end(fmt.Errorf("the socket of the UDP mux: %w", err))
	}
}

// pause waits, and returns false if the mux has been closed.
func (m *Mux) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-m.group.Context().Done():
		return false
	}
}

// Close ends all sessions, closes the sockets, and waits for the readers. It
// may be called again.
func (m *Mux) Close() error {
	m.mu.Lock()
	again := m.closed
	m.closed = true
	var conns []*conn
	for _, s := range m.sessions {
		conns = append(conns, s.conns...)
	}
	for _, c := range conns {
		m.removeLocked(c)
	}
	m.mu.Unlock()
	for _, c := range conns {
		c.end(errClosed{"UDP mux"})
	}
	var errs []error
	if !again {
		m.group.End(errClosed{"UDP mux"})
		for _, s := range m.sockets {
			if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	_ = m.group.WaitTasks(context.WithoutCancel(m.group.Context())) // which has ended

	return errors.Join(errs...)
}
