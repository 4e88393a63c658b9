package webrtc

import (
	"net"
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v5"

	"github.com/ctxrtc/webrtc/internal/udpmux"
)

// agentUDPMux is the mux of the settings as one agent gets it, nil if there is
// none.
func (e *SettingEngine) agentUDPMux() ice.UDPMux {
	s := &e.ICE
	switch mux := s.UDPMux.(type) {
	case nil:
		return nil
	case *UDPMux:
		if mux.ready("") != nil {
			return mux
		}

		return &ownUDPMux{mux: mux, view: mux.mux.View(!s.Lite), settings: s, network: e.network()}
	default:
		_, filtered := mux.(*ice.UDPMuxDefault)

		return &foreignUDPMux{UDPMux: mux, noLoopback: filtered && !s.IncludeLoopback}
	}
}

// ownUDPMux is our mux as one agent has it: with its own sessions alone, and
// the addresses that its settings allow.
type ownUDPMux struct {
	mux      *UDPMux
	view     *udpmux.View
	settings *ICESettings
	network  transport.Net
}

func (m *ownUDPMux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	return m.view.GetConn(ufrag, addr)
}

func (m *ownUDPMux) RemoveConnByUfrag(ufrag string) { m.view.RemoveConnByUfrag(ufrag) }

// Close does nothing: the mux is the program's.
func (m *ownUDPMux) Close() error { return nil }

// GetListenAddresses applies the settings of host candidates, which the agent
// itself does not with a mux.
func (m *ownUDPMux) GetListenAddresses() []net.Addr {
	addresses := m.mux.GetListenAddresses()
	var names map[netip.Addr]string
	if m.settings.InterfaceFilter != nil {
		names = interfaceNames(m.network)
	}

	return slices.DeleteFunc(addresses, func(a net.Addr) bool {
		udp, ok := a.(*net.UDPAddr)
		if !ok {
			return true
		}
		ip := udp.AddrPort().Addr().Unmap()
		s := m.settings
		switch {
		case ip.IsLoopback() && !s.IncludeLoopback, !familyAllowed(s.NetworkTypes, ip):
			return true
		case s.InterfaceFilter != nil && !s.InterfaceFilter(names[ip.WithZone("")]):
			return true
		}

		return s.IPFilter != nil && !s.IPFilter(ip.AsSlice())
	})
}

// interfaceNames are the interfaces that have the addresses of the machine.
func interfaceNames(network transport.Net) map[netip.Addr]string {
	names := map[netip.Addr]string{}
	interfaces, _ := network.Interfaces() // without any the filter keeps what it keeps of an unknown one
	for _, i := range interfaces {
		addresses, _ := i.Addrs()
		for _, address := range addresses {
			names[interfaceIP(address)] = i.Name
		}
	}

	return names
}

// foreignUDPMux is a mux of somebody else's, whose writes may block.
type foreignUDPMux struct {
	ice.UDPMux

	// noLoopback leaves out loopback addresses, as the agent does with the mux
	// of its own module, if it sees that it is one.
	noLoopback bool
}

func (m *foreignUDPMux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	conn, err := m.UDPMux.GetConn(ufrag, addr)
	if err != nil {
		return nil, err
	}

	return udpmux.Guard(conn), nil
}

func (m *foreignUDPMux) GetListenAddresses() []net.Addr {
	addresses := m.UDPMux.GetListenAddresses()
	if !m.noLoopback {
		return addresses
	}

	return slices.DeleteFunc(slices.Clone(addresses), func(a net.Addr) bool {
		udp, ok := a.(*net.UDPAddr)

		return ok && udp.IP.IsLoopback()
	})
}
