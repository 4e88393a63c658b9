package main

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// network is what a machine that moves has: one network at a time, or none. Each
// of its networks is an address of the loopback interface.
type network struct {
	transport.Net // all that has nothing to do with addresses

	address atomic.Pointer[net.IP] // nil: no network
}

func newNetwork() (*network, error) {
	machine, err := stdnet.NewNet()

	return &network{Net: machine}, err
}

// addresses are those that the program moves between.
func addresses() []net.IP {
	return []net.IP{net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 3), net.IPv4(127, 0, 0, 4)}
}

// checkAddress tells what to do if the machine does not have an address.
func checkAddress(ip net.IP) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	if err != nil {
		return fmt.Errorf("%v stands for a network, and cannot be used: %w; "+
			"Linux and Windows have all of 127.0.0.0/8; elsewhere, for each address of the program: "+
			"sudo ifconfig lo0 alias %v", ip, err, ip)
	}

	return conn.Close()
}

// leave takes the network away, without a word to anybody: its sockets neither
// send nor receive any more.
func (n *network) leave() { n.address.Store(nil) }

// join gives the machine another one, or one that it was on before, whose sockets
// work again then.
func (n *network) join(address net.IP) { n.address.Store(&address) }

func (n *network) isAt(ip net.IP) bool {
	address := n.address.Load()

	return address != nil && address.Equal(ip)
}

// Interfaces is where ICE looks for addresses, each time it gathers.
func (n *network) Interfaces() ([]*transport.Interface, error) {
	address := n.address.Load()
	if address == nil {
		return nil, nil
	}
	wifi := transport.NewInterface(net.Interface{
		Index: 1, MTU: 1500, Name: "network", Flags: net.FlagUp | net.FlagLoopback,
	})
	wifi.AddAddress(&net.IPNet{IP: *address, Mask: net.CIDRMask(8, 32)})

	return []*transport.Interface{wifi}, nil
}

// ListenUDP is how ICE opens the sockets of its host candidates.
func (n *network) ListenUDP(family string, address *net.UDPAddr) (transport.UDPConn, error) {
	if address == nil || !n.isAt(address.IP) {
		return nil, &net.OpError{Op: "listen", Net: family, Err: syscall.EADDRNOTAVAIL}
	}
	conn, err := n.Net.ListenUDP(family, address)
	if err != nil {
		return nil, err
	}

	return &socket{UDPConn: conn, network: n, ip: address.IP}, nil
}

// socket belongs to one network. While that is gone it is dead, and not closed.
type socket struct {
	transport.UDPConn

	network *network
	ip      net.IP
}

func (s *socket) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = s.UDPConn.ReadFrom(p)
		if err != nil || s.network.isAt(s.ip) {
			return n, from, err
		}
	}
}

func (s *socket) WriteTo(p []byte, to net.Addr) (int, error) {
	if !s.network.isAt(s.ip) {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: syscall.ENETUNREACH}
	}

	return s.UDPConn.WriteTo(p, to)
}
