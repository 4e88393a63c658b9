package mdnsnames

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"github.com/pion/transport/v5"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Config is how a resolver reaches those that answer.
type Config struct {
	// Net makes the sockets of the multicast groups, each a *net.UDPConn. With
	// others no name is found.
	Net transport.Net

	// IPv4 and IPv6 are the families to ask for. One is enough.
	IPv4, IPv6 bool

	// IncludeLoopback asks on loopback interfaces, too.
	IncludeLoopback bool

	// Interfaces are those to ask on. It is called before each connection,
	// and to find out whether they have changed.
	Interfaces func() ([]*transport.Interface, error)

	LoggerFactory logging.LoggerFactory
}

var (
	errNoInterface = errors.New("no interface to ask on")
	errNoGroup     = errors.New("no interface takes part in multicast")
	errForeign     = errors.New("the socket of the program's network is no *net.UDPConn")
)

// The groups, and the port of multicast DNS.
var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: 5353}
)

// connected is a connection on the interfaces that there were when it was
// opened.
type connected struct {
	*mdns.Conn

	config     Config
	interfaces string
}

// Outdated tells whether there are other interfaces or addresses now.
func (c *connected) Outdated() bool {
	interfaces, err := c.config.Interfaces()

	return err == nil && describe(interfaces) != c.interfaces
}

// describe is a text that is another one when interfaces are.
func describe(interfaces []*transport.Interface) string {
	var b strings.Builder
	for _, iface := range interfaces {
		addresses, _ := iface.Addrs() // that there are none is an error
		fmt.Fprintln(&b, iface.Interface, addresses)
	}

	return b.String()
}

// open opens the sockets. If one of the families cannot be had the other one
// does.
func (c Config) open() (*connected, error) {
	interfaces, err := c.Interfaces()
	if err != nil {
		return nil, err
	}
	if len(interfaces) == 0 { // the module would take all
		return nil, errNoInterface
	}
	seen := describe(interfaces)
	var four *ipv4.PacketConn
	var six *ipv6.PacketConn
	var usable []net.Interface
	var errs []error
	if c.IPv4 {
		if socket, err := c.listen("udp4", group4); err != nil {
			errs = append(errs, err)
		} else {
			four = ipv4.NewPacketConn(socket)
			usable = joinable(interfaces, four, usable)
		}
	}
	if c.IPv6 {
		if socket, err := c.listen("udp6", group6); err != nil {
			errs = append(errs, err)
		} else {
			six = ipv6.NewPacketConn(socket)
			usable = joinable(interfaces, six, usable)
		}
	}
	release := func(err error) error {
		errs = append(errs, err)
		if four != nil {
			errs = append(errs, four.Close())
		}
		if six != nil {
			errs = append(errs, six.Close())
		}

		return errors.Join(errs...)
	}
	// The module opens sockets of its own, for answers to us alone, which it
	// does not close if it fails: what makes it fail is found out before.
	if len(usable) == 0 {
		return nil, release(errNoGroup)
	}
	conn, err := mdns.NewServer(four, six,
		mdns.WithName("names of peers"),
		mdns.WithInterfaces(usable...),
		mdns.WithIncludeLoopback(c.IncludeLoopback),
		mdns.WithRecordTypes(dnsmessage.TypeA, dnsmessage.TypeAAAA),
		mdns.WithCacheRefresh(false),
		mdns.WithLoggerFactory(atDebug{c.LoggerFactory}))
	if err != nil {
		return nil, release(err)
	}

	return &connected{conn, c, seen}, nil
}

// listen opens the socket of a family. The module needs those of the machine:
// over a virtual one, or one in a type of the program's, it would read in vain, and
// without pause.
func (c Config) listen(network string, group *net.UDPAddr) (*net.UDPConn, error) {
	conn, err := c.Net.ListenUDP(network, group)
	if err != nil {
		return nil, err
	}
	socket, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(errForeign, conn.Close())
	}

	return socket, nil
}

// member is a socket that takes part in a group on some interfaces.
type member interface {
	JoinGroup(on *net.Interface, group net.Addr) error
	LeaveGroup(on *net.Interface, group net.Addr) error
}

// joinable adds those interfaces to found that a socket can join its group on.
func joinable(interfaces []*transport.Interface, socket member, found []net.Interface) []net.Interface {
	var group net.Addr = &net.UDPAddr{IP: group4.IP}
	if _, ok := socket.(*ipv6.PacketConn); ok {
		group = &net.UDPAddr{IP: group6.IP}
	}
	for _, iface := range interfaces {
		if iface.MTU <= 0 || socket.JoinGroup(&iface.Interface, group) != nil {
			continue
		}
		_ = socket.LeaveGroup(&iface.Interface, group) // the module joins
		if !slices.ContainsFunc(found, func(f net.Interface) bool { return f.Index == iface.Index }) {
			found = append(found, iface.Interface)
		}
	}

	return found
}
