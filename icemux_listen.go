package webrtc

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

const (
	// defaultMuxReadBuffer is what is asked of the system for the receive
	// buffer of a shared socket, in bytes.
	defaultMuxReadBuffer = 4 << 20

	// portTries is how many ports are tried when any will do. One that is free
	// on the first address may be taken on another.
	portTries = 16
)

// ListenUDPMux makes a mux on one UDP port of all interfaces, over IPv4 and IPv6,
// as far as the settings allow. If the port is zero, it is one that is free.
//
// There is a socket for each address of the machine, and not one for all of
// them. So a packet leaves from the address that the peer knows, whatever the
// routes are, and comes to the candidate that it was sent to; no address is
// listened on that the filters exclude; and it is the same on every system. The
// addresses are those of the moment: one that the machine gets later has no
// candidates, and [NewUDPMux] with a socket that is bound to none is the way to
// have those.
func ListenUDPMux(port uint16, settings UDPMuxSettings) (*UDPMux, error) {
	const op = "listen UDP mux"
	if err := settings.validate(); err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	hosts, err := settings.hostAddresses()
	if err != nil {
		return nil, opError(op, err)
	}
	if len(hosts) == 0 {
		return nil, refuse(op, ErrInvalidArgument, "no local address that the settings allow")
	}
	var sockets []net.PacketConn
	for range portTries {
		sockets, err = settings.listenOn(hosts, port)
		if err == nil || port != 0 || !isErrno(err, syscall.EADDRINUSE, windowsInUse) {
			break
		}
	}
	if err != nil {
		return nil, opError(op, err)
	}
	mux, err := newUDPMux(op, nil, settings, sockets...)
	if err != nil {
		return nil, errors.Join(err, closeSockets(sockets))
	}

	return mux, nil
}

// listenOn opens a socket on each address, all with the same port. An address
// that is gone, or not ready for use yet, is left out.
func (s *UDPMuxSettings) listenOn(hosts []netip.Addr, port uint16) (sockets []net.PacketConn, err error) {
	network, err := s.network()
	if err != nil {
		return nil, err
	}
	var failed error
	for _, host := range hosts {
		family := "udp6"
		if host.Is4() {
			family = "udp4"
		}
		socket, err := network.ListenUDP(family, net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, port)))
		switch {
		case isErrno(err, syscall.EADDRNOTAVAIL, windowsNotAvailable):
			failed = err

			continue
		case err != nil:
			return nil, errors.Join(err, closeSockets(sockets))
		}
		sockets = append(sockets, socket)
		// A request: systems cut it down, and a virtual socket has no buffers.
		_ = socket.SetReadBuffer(cmp.Or(s.ReadBufferSize, defaultMuxReadBuffer))
		if s.WriteBufferSize > 0 {
			_ = socket.SetWriteBuffer(s.WriteBufferSize)
		}
		if local, ok := socket.LocalAddr().(*net.UDPAddr); ok && port == 0 {
			port = local.AddrPort().Port()
		}
	}
	if len(sockets) == 0 {
		return nil, fmt.Errorf("no local address can be used: %w", failed)
	}

	return sockets, nil
}

// Windows has numbers of its own for what the syscall package names.
const (
	windowsInUse        = syscall.Errno(10048) // WSAEADDRINUSE
	windowsNotAvailable = syscall.Errno(10049) // WSAEADDRNOTAVAIL
)

func isErrno(err error, either ...syscall.Errno) bool {
	return slices.ContainsFunc(either, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

func closeSockets(sockets []net.PacketConn) error {
	errs := make([]error, 0, len(sockets))
	for _, socket := range sockets {
		errs = append(errs, socket.Close())
	}

	return errors.Join(errs...)
}
