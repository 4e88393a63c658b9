package testnet

import (
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/pion/transport/v5"
)

// Networks makes so many networks, between which there are routes. A host has an
// address on each, and is on the first one until it is moved.
func Networks(count int) Option {
	return func(n *Network) { n.networks = count }
}

// FailWrites has writes fail while the host is not on the network that the socket
// belongs to. Without it they succeed, and what they sent is lost.
func FailWrites(err error) Option {
	return func(n *Network) { n.gone = err }
}

// Address is that of a host on a network: 10.0.0.1 and 10.0.0.2 on the first.
func Address(host, network int) string { return fmt.Sprintf("10.%d.0.%d", network, host+1) }

// Move puts a host on these networks and on no other, or on none at all. Sockets of
// networks that it is not on send and receive nothing, nor does what is under way
// to them arrive. They are not closed, and work again when the host is back.
func (n *Network) Move(host int, networks ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host].on = slices.Clone(networks)
}

// networks are those that the host is on, in the order of Move.
func (h *host) networks() []int {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()

	return h.on // which is replaced, and never changed
}

// at is the network of an address of the host, while it is on that: the first one
// if the address is of none. A socket stays on the network that it was opened on.
func (h *host) at(local *net.UDPAddr) (network int, err error) {
	for _, network = range h.networks() {
		if local == nil || local.IP == nil || local.IP.IsUnspecified() || local.IP.IsLoopback() ||
			local.IP.String() == Address(h.index, network) {
			return network, nil
		}
	}

	return 0, &net.OpError{Op: "listen", Net: "udp", Source: local, Err: syscall.EADDRNOTAVAIL}
}

// Interfaces are the loopback one, and one for each network that the host is on.
func (h *host) Interfaces() ([]*transport.Interface, error) {
	all, err := h.Net.Interfaces()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(i *transport.Interface) bool {
		return i.Flags&net.FlagLoopback == 0
	})
	for _, network := range h.networks() {
		own, err := h.nets[network].InterfaceByName("eth0")
		if err != nil {
			return nil, err
		}
		addresses, err := own.Addrs()
		if err != nil {
			return nil, err
		}
		described := own.Interface
		described.Index += network
		described.Name = fmt.Sprintf("eth%d", network)
		named := transport.NewInterface(described)
		for _, address := range addresses {
			named.AddAddress(address)
		}
		all = append(all, named)
	}

	return all, nil
}

func (h *host) find(matches func(*transport.Interface) bool) (*transport.Interface, error) {
	all, err := h.Interfaces()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, matches); i >= 0 {
		return all[i], nil
	}

	return nil, transport.ErrInterfaceNotFound
}

// InterfaceByIndex is one of Interfaces.
func (h *host) InterfaceByIndex(index int) (*transport.Interface, error) {
	return h.find(func(i *transport.Interface) bool { return i.Index == index })
}

// InterfaceByName is one of Interfaces.
func (h *host) InterfaceByName(name string) (*transport.Interface, error) {
	return h.find(func(i *transport.Interface) bool { return i.Name == name })
}

// isThere tells whether the host is on the network of the socket.
func (s *socket) isThere() bool { return slices.Contains(s.host.networks(), s.network) }

// ReadFrom takes the next packet that came while the host was there.
func (s *socket) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = s.UDPConn.ReadFrom(p)
		if from == nil || s.isThere() {
			return n, from, err
		}
	}
}

// ReadFromUDP is ReadFrom.
func (s *socket) ReadFromUDP(p []byte) (n int, from *net.UDPAddr, err error) {
	for {
		n, from, err = s.UDPConn.ReadFromUDP(p)
		if from == nil || s.isThere() {
			return n, from, err
		}
	}
}

// Read is ReadFrom without the address.
func (s *socket) Read(p []byte) (n int, err error) {
	n, _, err = s.ReadFrom(p)

	return n, err
}
