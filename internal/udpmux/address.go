package udpmux

import (
	"net"
	"net/netip"
)

// canonical is the one form of an address: IPv4 never within IPv6, and a zone
// only where an address means nothing without.
func canonical(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap()
	if ip.Zone() != "" && !ip.IsLinkLocalUnicast() {
		ip = ip.WithZone("")
	}

	return netip.AddrPortFrom(ip, a.Port())
}

// addrPort is the canonical form of a UDP address; it is not valid if a is
// none.
func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok || udp == nil || udp.Port < 0 || udp.Port > 0xffff {
		return netip.AddrPort{}
	}

	return canonical(udp.AddrPort())
}
