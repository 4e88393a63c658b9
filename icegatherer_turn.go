package webrtc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"sync/atomic"

	"github.com/pion/stun/v4"
	"golang.org/x/net/proxy"
)

// turnDialer connects to TURN servers over TCP and TLS in the agent's place.
// The agent's own way waits for a server that does not answer, whatever ends
// meanwhile, and through a proxy it speaks TURN in the clear also where the
// URL asks for TLS.
type turnDialer struct {
	ctx    context.Context //nolint:containedctx // the gatherer's life, which a dial must not outlast
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	roots  *x509.CertPool
	secure atomic.Pointer[map[string]string] // of the servers over TLS: address to name
}

var _ proxy.Dialer = (*turnDialer)(nil)

func newTURNDialer(ctx context.Context, settings *SettingEngine) *turnDialer {
	d := &turnDialer{ctx: ctx, dial: new(net.Dialer).DialContext, roots: settings.ICE.TURNRootCAs}
	var other proxy.Dialer
	if settings.Net != nil {
		other = settings.Net.CreateDialer(&net.Dialer{})
	}
	if settings.ICE.ProxyDialer != nil {
		other = settings.ICE.ProxyDialer
	}
	if other != nil {
		d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if c, ok := other.(proxy.ContextDialer); ok {
				return c.DialContext(ctx, network, address)
			}

			return other.Dial(network, address)
		}
	}

	return d
}

// setServers tells which addresses are those of servers over TLS.
func (d *turnDialer) setServers(urls []*stun.URI) {
	secure := make(map[string]string)
	for _, url := range urls {
		if url.Scheme == stun.SchemeTypeTURNS && url.Proto != stun.ProtoTypeUDP {
			secure[net.JoinHostPort(url.Host, strconv.Itoa(url.Port))] = url.Host
		}
	}
	d.secure.Store(&secure)
}

// Dial connects to a server, and shakes hands with one over TLS.
func (d *turnDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.dial(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	if name, ok := (*d.secure.Load())[address]; ok {
		secured := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: d.roots, MinVersion: tls.VersionTLS12})
		if err = secured.HandshakeContext(d.ctx); err != nil {
			_ = conn.Close()

			return nil, err
		}
		conn = secured
	}

	return withTCPAddr(conn), nil
}

// withTCPAddr makes sure of a TCP address: the agent takes it for granted, and
// proxies have others.
func withTCPAddr(conn net.Conn) net.Conn {
	if addr, ok := conn.LocalAddr().(*net.TCPAddr); ok && addr != nil {
		return conn
	}

	return addressedConn{conn}
}

type addressedConn struct{ net.Conn }

func (addressedConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }
