package servergather

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	maxPacket     = 16 << 10      // bytes, of a datagram
	maxMessage    = 1<<16 + 1<<10 // of a stream, in which nothing may be left out
	maxAllocates  = 3             // nonces that expire meanwhile
	leastLifetime = time.Second   // the TURN module refreshes after half of it

	allocateSuccess = 0x0103
	allocateError   = 0x0113
	refreshSuccess  = 0x0104
	refreshError    = 0x0114
)

// session is the way to a TURN server, with the module's client on it.
type session struct {
	base   net.PacketConn
	client *turn.Client
	// server is what answers come from, over UDP. Over all else there is nobody
	// else to hear.
	server netip.AddrPort
	ended  chan struct{} // nothing is read any more

	mu       sync.Mutex
	relay    *Relay
	over     bool
	refused  *ResponseError // what an Allocate was answered with last, if it was
	known    bool           // the server has our credentials, or is about to
	lifetime time.Duration  // of the allocation, as the server has said it
	asked    bool           // to release the allocation
	released chan struct{}  // that was answered
}

// Allocate has a server relay packets for us. mapped is the relayed address.
// https://www.rfc-editor.org/rfc/rfc8656#section-7
func (c *Client) Allocate(ctx context.Context, r *Request) (*Relay, netip.AddrPort, error) {
	username, password, err := c.credentials(ctx, r)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	base, server, err := c.connect(ctx, r)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	r.At(Allocate)
	s, err := c.newSession(base, server, r, username, password)
	if err != nil {
		return nil, netip.AddrPort{}, errors.Join(err, base.Close())
	}
	c.Tasks.Go(s.read)
	conn, err := s.allocateWithin(ctx, c.Tasks)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	relay := s.relays(c.Tasks, conn)
	r.At(Use)
	relayed, err := s.check(conn, server, r)
	if err != nil {
		return nil, netip.AddrPort{}, errors.Join(err, relay.Close())
	}

	return relay, relayed, nil
}

func (c *Client) credentials(ctx context.Context, r *Request) (username, password string, err error) {
	username, password = r.URL.Username, r.URL.Password
	if r.Credentials != nil {
		r.At(Credentials)
		pair, err := Await(ctx, c.Tasks, func() (pair [2]string, err error) {
			pair[0], pair[1], err = r.Credentials(ctx, r.URL.String())

			return pair, err
		}, func([2]string) {})
		if err != nil {
			return "", "", err
		}
		username, password = pair[0], pair[1]
	}
	if username == "" || password == "" {
		r.At(Credentials)

		return "", "", errNoPassword
	}

	return username, password, nil
}

func (c *Client) newSession(
	base net.PacketConn, server netip.AddrPort, r *Request, username, password string,
) (*session, error) {
	s := &session{base: base, ended: make(chan struct{}), released: make(chan struct{})}
	family := turn.RequestedAddressFamilyIPv4
	if r.RelayIPv6 {
		family = turn.RequestedAddressFamilyIPv6
	}
	config := &turn.ClientConfig{
		Conn: base, Username: username, Password: password,
		LoggerFactory: c.LoggerFactory, Net: c.Net, RequestedAddressFamily: family,
	}
	if Protocol(r.URL) == "udp" {
		config.TURNServerAddr = server.String()
		s.server = addrPort(net.UDPAddrFromAddrPort(server))
	}
	var err error
	s.client, err = turn.NewClient(config)

	return s, err
}

// read gives the module what comes from the server. Its own reader would stop
// at the first packet that it does not understand, whoever has sent it.
func (s *session) read() {
	defer s.end()
	size := maxPacket
	if _, ok := s.base.(*stream); ok {
		size = maxMessage
	}
	buf := make([]byte, size)
	for {
		n, from, err := s.base.ReadFrom(buf)
		if err != nil {
			return
		}
		if s.server.IsValid() && addrPort(from) != s.server {
			continue
		}
		s.note(buf[:n])
		_, _ = s.client.HandleInbound(buf[:n], from)
	}
}

// end is the end of the way to the server, and of what it carries.
func (s *session) end() {
	_ = s.base.Close()
	close(s.ended)
	s.mu.Lock()
	s.over = true
	relay := s.relay
	s.mu.Unlock()
	if relay != nil {
		_ = relay.Close()
	}
}

// relays makes a relay, which ends with the session and closes it.
func (s *session) relays(tasks *lifecycle.Group, conn net.PacketConn) *Relay {
	relay := newRelay(tasks, s, conn)
	s.mu.Lock()
	s.relay = relay
	over := s.over
	s.mu.Unlock()
	if over {
		_ = relay.Close()
	}

	return relay
}

// note looks at the answers of which the module does not tell enough.
func (s *session) note(packet []byte) {
	if len(packet) < 2 {
		return
	}
	kind := binary.BigEndian.Uint16(packet)
	switch kind {
	case allocateSuccess, allocateError, refreshSuccess, refreshError:
	default:
		return
	}
	m := &stun.Message{Raw: packet}
	if m.Decode() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case allocateSuccess:
		s.refused = nil
		if value, err := m.Get(stun.AttrLifetime); err == nil && len(value) == 4 {
			s.lifetime = time.Duration(binary.BigEndian.Uint32(value)) * time.Second
		}
	case allocateError:
		s.refused = refusal(m)
		s.known = s.known || s.refused.Code == int(stun.CodeUnauthorized)
	default:
		if s.asked {
			s.asked = false
			close(s.released)
		}
	}
}

// allocateWithin is allocate until ctx ends. If the server has our credentials by
// then, its answer is waited for a little longer, by a task, and what it has
// allocated is released. If there is an error the session is closed, or will be.
func (s *session) allocateWithin(ctx context.Context, tasks *lifecycle.Group) (net.PacketConn, error) {
	type result struct {
		conn net.PacketConn
		err  error
	}
	results := make(chan result)
	longer, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	tasks.Go(func() {
		defer giveUp()
		var r result
		r.conn, r.err = s.allocate(longer)
		if r.err != nil {
			s.close()
		}
		select {
		case results <- r:
		case <-ctx.Done():
			if r.err == nil {
				_ = s.relays(tasks, r.conn).Close()
			}
		}
	})
	select {
	case r := <-results:
		return r.conn, r.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if known {
		tasks.Go(func() { wait(longer, releaseTime); giveUp() })
	} else {
		s.close()
		giveUp()
	}

	return nil, ctx.Err()
}

// wait lets time pass, until ctx ends at the latest.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// allocate asks until there is an answer that counts.
func (s *session) allocate(ctx context.Context) (conn net.PacketConn, err error) {
	for range maxAllocates {
		s.mu.Lock()
		s.refused = nil
		s.mu.Unlock()
		conn, err = s.client.AllocateWithContext(ctx)
		if err == nil {
			return conn, nil
		}
		s.mu.Lock()
		refused := s.refused
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case refused == nil:
			return nil, err
		case refused.Code != int(stun.CodeStaleNonce):
			// Not the module's word: of an answer to the first request, which is
			// without credentials, it tells what it misses in it.
			return nil, refused
		}
		err = refused
	}

	return nil, err
}

// check refuses what the server has given us if it cannot be used.
func (s *session) check(conn net.PacketConn, server netip.AddrPort, r *Request) (netip.AddrPort, error) {
	s.mu.Lock()
	lifetime := s.lifetime
	s.mu.Unlock()
	if lifetime < leastLifetime {
		return netip.AddrPort{}, fmt.Errorf("the server relays for %v only", lifetime)
	}
	address, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, errMapped
	}
	relayed, err := usable(address.IP, address.Port, server)
	if err == nil && relayed.Addr().Is6() != r.RelayIPv6 {
		err = fmt.Errorf("%w: %v is of another family than was asked for", errMapped, relayed)
	}

	return relayed, err
}

func (s *session) close() {
	_ = s.base.Close()
	s.client.Close()
}
