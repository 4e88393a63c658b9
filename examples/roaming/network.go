package main

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// network is what a machine that moves has: one network at a time, or none. Each
// of its networks is an address of the loopback interface.
type network struct {
	transport.Net // all that has nothing to do with addresses

	mu      sync.Mutex
	address net.IP // nil: no network
	sockets []*socket
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

// leave takes the network away, without a word to anybody: the sockets neither
// send nor receive any more.
func (n *network) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address = nil
	for _, s := range n.sockets {
		s.dead.Store(true)
	}
	n.sockets = nil
}

// join gives the machine another one.
func (n *network) join(address net.IP) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address = address
}

// Interfaces is where ICE looks for addresses, each time it gathers.
func (n *network) Interfaces() ([]*transport.Interface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.address == nil {
		return nil, nil
	}
	wifi := transport.NewInterface(net.Interface{
		Index: 1, MTU: 1500, Name: "network", Flags: net.FlagUp | net.FlagLoopback,
	})
	wifi.AddAddress(&net.IPNet{IP: n.address, Mask: net.CIDRMask(8, 32)})

	return []*transport.Interface{wifi}, nil
}

// ListenUDP is how ICE opens the sockets of its host candidates.
func (n *network) ListenUDP(family string, address *net.UDPAddr) (transport.UDPConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if address == nil || !address.IP.Equal(n.address) {
		return nil, &net.OpError{Op: "listen", Net: family, Err: syscall.EADDRNOTAVAIL}
	}
	conn, err := n.Net.ListenUDP(family, address)
	if err != nil {
		return nil, err
	}
	s := &socket{UDPConn: conn}
	n.sockets = append(n.sockets, s)

	return s, nil
}

// socket belongs to one network. When that is gone it is dead, and not closed.
type socket struct {
	transport.UDPConn

	dead atomic.Bool
}

func (s *socket) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = s.UDPConn.ReadFrom(p)
		if err != nil || !s.dead.Load() {
			return n, from, err
		}
	}
}

func (s *socket) WriteTo(p []byte, to net.Addr) (int, error) {
	if s.dead.Load() {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: syscall.ENETUNREACH}
	}

	return s.UDPConn.WriteTo(p, to)
}
