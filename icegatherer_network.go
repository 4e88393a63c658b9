package webrtc

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/proxy"

	"github.com/ctxrtc/webrtc/internal/servergather"
)

// How a gatherer reaches STUN and TURN servers.

// serverClient is what asks servers for this gatherer.
func (g *ICEGatherer) serverClient() *servergather.Client {
	s := &g.settings.ICE
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TURNTLSConfig != nil {
		config = s.TURNTLSConfig.Clone()
	}
	if config.RootCAs == nil {
		config.RootCAs = s.TURNRootCAs
	}

	return &servergather.Client{
		Net: g.settings.network(), Tasks: g.life.group, TLS: config, LoggerFactory: g.settings.loggerFactory(),
		Lookup: g.lookup, Dial: g.dial, Listen: g.listen,
	}
}

// lookup finds the addresses of a name. The program's own network knows no
// context, so it is not waited for when that ends.
func (g *ICEGatherer) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if g.settings.Net == nil {
		return net.DefaultResolver.LookupNetIP(ctx, network, host)
	}

	return servergather.Await(ctx, g.life.group, func() ([]netip.Addr, error) {
		found, err := g.settings.Net.ResolveIPAddr(network, host)
		if err != nil {
			return nil, err
		}
		addr, _ := netip.AddrFromSlice(found.IP)

		return []netip.Addr{addr}, nil
	}, func([]netip.Addr) {})
}

// dial connects over TCP, by the program's dialer if it has one. What is not
// known to heed its context is not waited for.
func (g *ICEGatherer) dial(ctx context.Context, network, address string, local netip.Addr) (net.Conn, error) {
	own := &net.Dialer{}
	if local.IsValid() && g.settings.ICE.ProxyDialer == nil {
		own.LocalAddr = &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}
	}
	var other proxy.Dialer
	switch {
	case g.settings.ICE.ProxyDialer != nil:
		other = g.settings.ICE.ProxyDialer
	case g.settings.Net != nil:
		other = g.settings.Net.CreateDialer(own)
	default:
		return own.DialContext(ctx, network, address)
	}

	return servergather.Await(ctx, g.life.group, func() (net.Conn, error) {
		if c, ok := other.(proxy.ContextDialer); ok {
			return c.DialContext(ctx, network, address)
		}

		return other.Dial(network, address)
	}, func(conn net.Conn) { _ = conn.Close() })
}

var errNoPort = errors.New("no free port in the range")

// listen opens a socket for a candidate, on a port of the range, tried from a
// random one on.
func (g *ICEGatherer) listen(network string, local netip.Addr) (net.PacketConn, error) {
	address := &net.UDPAddr{Zone: local.Zone()}
	if local.IsValid() {
		address.IP = local.AsSlice()
	}
	on := g.settings.network()
	first, last := int(g.settings.ICE.PortMin), int(g.settings.ICE.PortMax)
	if last == 0 {
		conn, err := on.ListenUDP(network, address)
		if err != nil { // not a nil pointer in an interface
			return nil, err
		}

		return conn, nil
	}
	count := last - first + 1
	begin := rand.IntN(count)
	var failed error
	for i := range count {
		address.Port = first + (begin+i)%count
		conn, err := on.ListenUDP(network, address)
		if err == nil {
			return conn, nil
		}
		failed = err
	}

	return nil, errors.Join(errNoPort, failed)
}

// localAddress is one that candidates may be gathered on.
type localAddress struct {
	addr  netip.Addr
	iface string
}

// awaitAddresses are the local addresses that servers are asked from: those that the
// filters leave, or one that is not valid, and the machine chooses. The program's own
// network may block: when ctx ends there are none.
func (g *ICEGatherer) awaitAddresses(ctx context.Context) []localAddress {
	s := &g.settings.ICE
	if s.InterfaceFilter == nil && s.IPFilter == nil && !s.ContinualGathering {
		return []localAddress{{}}
	}
	found, err := servergather.Await(ctx, g.life.group, g.localAddresses, func([]localAddress) {})
	if err != nil {
		g.log.Warnf("the interfaces cannot be read: %v", err)
	}

	return found
}

// localAddresses are those that candidates may be gathered on at the moment.
func (g *ICEGatherer) localAddresses() ([]localAddress, error) { return g.recentAddresses(0) }

// recentAddresses are those of a look that is not older than age.
func (g *ICEGatherer) recentAddresses(age time.Duration) ([]localAddress, error) {
	s := &g.settings.ICE
	interfaces, err := g.looks.interfaces(g.settings.network(), age)
	if err != nil {
		return nil, err
	}
	var found []localAddress
	for _, iface := range interfaces {
		if iface.Flags&net.FlagUp == 0 || (iface.Flags&net.FlagLoopback != 0 && !s.IncludeLoopback) ||
			(s.InterfaceFilter != nil && !s.InterfaceFilter(iface.Name)) {
			continue
		}
		addrs, err := iface.Addrs()
		if err != nil {
			continue // it may have gone meanwhile
		}
		for _, a := range addrs {
			addr := interfaceIP(a)
			switch {
			case !addr.IsValid(), addr.IsLoopback() && !s.IncludeLoopback, addr.Is6() && addr.IsLinkLocalUnicast():
			case s.IPFilter != nil && !s.IPFilter(addr.AsSlice()):
			default:
				found = append(found, localAddress{addr, iface.Name})
			}
		}
	}

	return found, nil
}
