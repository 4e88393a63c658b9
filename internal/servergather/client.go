package servergather

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// Step is what a question was at when it ended, or is at.
type Step string

// The steps, in their order. A question has those that it needs.
const (
	Waiting     Step = "wait"        // for its turn
	Credentials Step = "credentials" // TURN
	Resolve     Step = "resolve"     // the name of the server
	Listen      Step = "listen"      // UDP, DTLS
	Dial        Step = "dial"        // TCP, TLS
	Handshake   Step = "handshake"   // TLS, DTLS
	Bind        Step = "binding"     // STUN
	Allocate    Step = "allocate"    // TURN
	Use         Step = "candidate"   // what the server has said
	Done        Step = "done"
)

// Client is how servers are reached.
type Client struct {
	// Net makes the sockets of UDP.
	Net transport.Net

	// Tasks are what goes on after a question was answered, or its context has
	// ended: the reader of a relay, its release, and a call of the program's that
	// knows no context.
	Tasks *lifecycle.Group

	// Lookup finds the addresses of a name; network is ip, ip4 or ip6.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// Dial connects over TCP, from a local address if that is valid.
	Dial func(ctx context.Context, network, address string, local netip.Addr) (net.Conn, error)

	// Listen opens the UDP socket of a reflexive address.
	Listen func(network string, local netip.Addr) (net.PacketConn, error)

	// TLS is the configuration for servers over TLS and DTLS.
	TLS *tls.Config

	LoggerFactory logging.LoggerFactory
}

// Request is a question to one server.
type Request struct {
	URL *stun.URI

	// Username and Password are asked for when it is the question's turn. If nil,
	// those of the URL.
	Credentials func(ctx context.Context, url string) (username, password string, err error)

	// Network is udp4 or udp6; tcp, tcp4 or tcp6 for a server over TCP.
	Network string

	// Local is the address to ask from. If it is not valid, the machine chooses.
	Local netip.Addr

	// RelayIPv6 asks for a relayed address of IPv6, instead of IPv4.
	RelayIPv6 bool

	// At is told every step when it begins, From the local address once it is
	// known, To the server's for a reflexive one. They must not block.
	At   func(Step)
	From func(net.Addr)
	To   func(netip.AddrPort)
}

// ResponseError is a server's refusal.
type ResponseError struct {
	Code   int
	Reason string
}

func (e *ResponseError) Error() string { return fmt.Sprintf("the server says %d %s", e.Code, e.Reason) }

var (
	errNoAddress  = errors.New("the name has no address of this family")
	errNoPassword = errors.New("no username or password; OAuth tokens are not supported")
	errMapped     = errors.New("the server names an address that can be none of ours")
)

// IsOverTCP tells whether a server is reached over TCP or TLS.
func IsOverTCP(url *stun.URI) bool {
	switch url.Proto {
	case stun.ProtoTypeTCP:
		return true
	case stun.ProtoTypeUDP:
		return false
	case stun.ProtoTypeUnknown:
	}

	return url.Scheme == stun.SchemeTypeTURNS || url.Scheme == stun.SchemeTypeSTUNS
}

func isSecure(url *stun.URI) bool {
	return url.Scheme == stun.SchemeTypeTURNS || url.Scheme == stun.SchemeTypeSTUNS
}

// Protocol is how a server is reached, as the statistics of WebRTC have it.
func Protocol(url *stun.URI) string {
	switch over, secure := IsOverTCP(url), isSecure(url); {
	case over && secure:
		return "tls"
	case over:
		return "tcp"
	case secure:
		return "dtls"
	}

	return "udp"
}

// resolve returns the address of the server, of the family of the network.
func (c *Client) resolve(ctx context.Context, r *Request) (netip.AddrPort, error) {
	port := uint16(r.URL.Port) //nolint:gosec // the URL's was checked
	if addr, err := netip.ParseAddr(r.URL.Host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), port), nil
	}
	r.At(Resolve)
	family := "ip" + r.Network[len(r.Network)-1:]
	addrs, err := c.Lookup(ctx, family, r.URL.Host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, addr := range addrs {
		if addr = addr.Unmap(); addr.Is4() == (family == "ip4") {
			return netip.AddrPortFrom(addr, port), nil
		}
	}

	return netip.AddrPort{}, &net.DNSError{
		Err: errNoAddress.Error(), UnwrapErr: errNoAddress, Name: r.URL.Host, IsNotFound: true,
	}
}

// listen opens a UDP socket for a relay.
func (c *Client) listen(r *Request) (net.PacketConn, error) {
	r.At(Listen)
	local := r.Local
	if !local.IsValid() {
		local = netip.IPv4Unspecified()
		if r.Network == "udp6" {
			local = netip.IPv6Unspecified()
		}
	}
	conn, err := c.Net.ListenPacket(r.Network, netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return nil, err
	}
	r.From(conn.LocalAddr())

	return conn, nil
}

// Await runs a call of the program's, which may know no context and may call us
// back, beside its caller. When ctx ends first, what it returns is discarded.
// Like a handler it is waited for by none but who waits for everything.
func Await[T any](
	ctx context.Context, tasks *lifecycle.Group, call func() (T, error), discard func(T),
) (value T, err error) {
	if err = ctx.Err(); err != nil {
		return value, err
	}
	type result struct {
		value T
		err   error
	}
	results := make(chan result)
	tasks.Handle(func() {
		var r result
		r.value, r.err = call()
		select {
		case results <- r:
		case <-ctx.Done():
			if r.err == nil {
				discard(r.value)
			}
		}
	})
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// usable refuses an address that packets of ours cannot come from. Loopback is
// what a server on this machine sees.
func usable(ip net.IP, port int, server netip.AddrPort) (netip.AddrPort, error) {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if !ok || port <= 0 || port > 0xffff || addr.IsUnspecified() || addr.IsMulticast() ||
		(addr.IsLoopback() && server.IsValid() && !server.Addr().IsLoopback()) ||
		addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.AddrPort{}, fmt.Errorf("%w: %v port %d", errMapped, ip, port)
	}

	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// addrPort is the address of a packet, zero if it is none of UDP.
func addrPort(addr net.Addr) netip.AddrPort {
	udp, ok := addr.(*net.UDPAddr)
	if !ok || udp == nil {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()

	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
