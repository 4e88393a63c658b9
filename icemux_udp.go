package webrtc

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"

	"github.com/ctxrtc/webrtc/internal/udpmux"
)

// UDPMux carries the host candidates of any number of transports on one UDP
// port: a server for thousands of peers has one socket, or one on each of its
// addresses, and one goroutine for each, however many connections there are.
//
// It is made by [ListenUDPMux] or [NewUDPMux], and given to every API whose
// transports are to use it, as ICESettings.UDPMux. The program closes it when
// they have ended.
//
// A peer is told from others by the credentials of its checks, and then by its
// address. An address belongs to a transport from the first check with the
// right password on. It moves to another transport, as in a restart of ICE or
// when the peer comes back, on a check that nominates it, and only if the address
// also answers a check of ours, which a forged source cannot. (A lite agent has no
// checks, and takes an address with every valid one.) So two connections
// between the same two ports are one too many: the data of both would go to one
// of them. A client that has several connections to one server does not share a
// port among them.
//
// What a stranger sends is dropped, and nothing is kept of it. A transport of
// which no check has been answered yet keeps 16 packets; afterwards 512 packets
// and 512 KiB may wait for its agent. [UDPMux.Stats] counts what was dropped.
//
// Its methods may be called from any goroutine.
type UDPMux struct {
	mux      *udpmux.Mux
	view     *udpmux.View // for agents that are not ours
	settings UDPMuxSettings
}

var _ ice.UDPMux = (*UDPMux)(nil)

// UDPMuxSettings are the settings of a [UDPMux]. The zero value is the default.
type UDPMuxSettings struct {
	// NetworkTypes are the networks to listen on, of which TCP counts for
	// nothing here. If empty, UDP over IPv4 and over IPv6.
	NetworkTypes []NetworkType

	// InterfaceFilter and IPFilter tell which interfaces, by name, and which
	// local addresses are used. If nil, all. They must not block or call back.
	InterfaceFilter func(name string) (keep bool)
	IPFilter        func(ip net.IP) (keep bool)

	// IncludeLoopback uses loopback addresses, too.
	IncludeLoopback bool

	// ReadBufferSize and WriteBufferSize are the sizes in bytes asked of the
	// system for the buffers of each socket; it may give less, as Linux does
	// above net.core.rmem_max and wmem_max. If zero, 4 MiB to read, which all
	// peers share, and the system's default to write. [NewUDPMux] leaves its
	// socket as it is.
	ReadBufferSize  int
	WriteBufferSize int

	// Net is the network. If nil, the machine's.
	Net transport.Net

	// LoggerFactory makes the logger, of scope "ice". If nil, the default one.
	LoggerFactory logging.LoggerFactory
}

// UDPMuxStats is what a [UDPMux] holds and has counted.
type UDPMuxStats struct {
	// Sessions are the agents that have candidates on the mux, and Unstarted
	// those of them of which no check has been answered yet, in either
	// direction.
	Sessions, Unstarted int

	// Addresses are the remote addresses that belong to a session, and Moves
	// is how often one has gone from a session to another.
	Addresses int
	Moves     uint64

	// PacketsReceived and PacketsSent count all packets, those that were
	// dropped among the former.
	PacketsReceived, PacketsSent uint64

	// Dropped packets: checks for a ufrag that no session has; data from an
	// address that belongs to none; answers that nobody waits for; STUN
	// messages that are of no use; packets above 8 KiB; packets that would be
	// the 17th of a session that has not started; packets for which a session's
	// queue had no room.
	DroppedUnknownUfrag, DroppedUnknownAddress, DroppedUnknownTransaction uint64
	DroppedMalformed, DroppedOversized, DroppedUnstarted, DroppedFull     uint64

	// ReadErrors and WriteErrors count those of the sockets.
	ReadErrors, WriteErrors uint64
}

// NewUDPMux makes a mux of a socket, which it owns from then on. If the socket
// is bound to no address in particular, the addresses of the machine are its
// candidates, and the system chooses the one that an answer comes from: on a
// machine with several networks that may be another than the peer has sent to,
// and [ListenUDPMux] is the better choice.
func NewUDPMux(socket net.PacketConn, settings UDPMuxSettings) (*UDPMux, error) {
	return newUDPMux("new UDP mux", nil, settings, socket)
}

func newUDPMux(
	op string, logger logging.LeveledLogger, settings UDPMuxSettings, sockets ...net.PacketConn,
) (*UDPMux, error) {
	if err := settings.validate(); err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	if slices.ContainsFunc(sockets, func(s net.PacketConn) bool { return s == nil || isNilPointer(s) }) {
		return nil, refuse(op, ErrInvalidArgument, "nil socket")
	}
	if logger == nil {
		factory := settings.LoggerFactory
		if factory == nil {
			factory = logging.NewDefaultLoggerFactory()
		}
		logger = factory.NewLogger("ice")
	}
	mux, err := udpmux.New(logger, sockets...)
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	settings.NetworkTypes = slices.Clone(settings.NetworkTypes)

	return &UDPMux{mux: mux, view: mux.View(false), settings: settings}, nil
}

func (s *UDPMuxSettings) validate() error {
	switch {
	case s.ReadBufferSize < 0:
		return errors.New("ReadBufferSize is negative")
	case s.WriteBufferSize < 0:
		return errors.New("WriteBufferSize is negative")
	case s.Net != nil && isNilPointer(s.Net):
		return errors.New("the Net is a nil pointer")
	case s.LoggerFactory != nil && isNilPointer(s.LoggerFactory):
		return errors.New("the LoggerFactory is a nil pointer")
	}

	return nil
}

// refusal is what an API says to a mux that no constructor has made.
func (m *UDPMux) refusal() error { return m.ready("UDP mux") }

func (m *UDPMux) ready(op string) error {
	if m == nil || m.mux == nil {
		return refuse(op, ErrInvalidArgument, "zero UDP mux: use NewUDPMux or ListenUDPMux")
	}

	return nil
}

// Close ends what stands on the mux, closes its sockets, and returns when its
// goroutines have ended. It is idempotent. Transports that have a pair there go
// silent, so stop them first.
func (m *UDPMux) Close() error {
	const op = "UDP mux close"
	if err := m.ready(op); err != nil {
		return err
	}
	if err := m.mux.Close(); err != nil {
		return opError(op, err)
	}

	return nil
}

// Stats counts. It looks at every session.
func (m *UDPMux) Stats() UDPMuxStats {
	if m.ready("") != nil {
		return UDPMuxStats{}
	}
	s := m.mux.Stats()

	return UDPMuxStats{
		Sessions: s.Sessions, Unstarted: s.Unstarted, Addresses: s.Addresses, Moves: s.Moves,
		PacketsReceived: s.Received, PacketsSent: s.Sent,
		DroppedUnknownUfrag: s.UnknownUfrag, DroppedUnknownAddress: s.UnknownAddress,
		DroppedUnknownTransaction: s.UnknownTransaction,
		DroppedMalformed:          s.Malformed, DroppedOversized: s.Oversized,
		DroppedUnstarted: s.NotStarted, DroppedFull: s.QueueFull,
		ReadErrors: s.ReadErrors, WriteErrors: s.WriteErrors,
	}
}

// GetConn, RemoveConnByUfrag and GetListenAddresses are for agents.
func (m *UDPMux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	const op = "UDP mux conn"
	if err := m.ready(op); err != nil {
		return nil, err
	}
	conn, err := m.view.GetConn(ufrag, addr)
	if err != nil {
		return nil, opError(op, err)
	}

	return conn, nil
}

// RemoveConnByUfrag ends what an agent has on the mux.
func (m *UDPMux) RemoveConnByUfrag(ufrag string) {
	if m.ready("") == nil {
		m.view.RemoveConnByUfrag(ufrag)
	}
}

// GetListenAddresses returns the local addresses that candidates can have, as
// *net.UDPAddr.
func (m *UDPMux) GetListenAddresses() []net.Addr {
	if m.ready("") != nil {
		return nil
	}
	var found []net.Addr
	for _, socket := range m.mux.LocalAddrs() {
		if !socket.Addr().IsUnspecified() {
			found = append(found, net.UDPAddrFromAddrPort(socket))

			continue
		}
		// The addresses of now: a machine may get and lose them.
		hosts, _ := m.settings.hostAddresses()
		for _, ip := range hosts {
			if ip.Is4() || socket.Addr().Is6() {
				found = append(found, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, socket.Port())))
			}
		}
	}

	return found
}

func (s *UDPMuxSettings) network() (transport.Net, error) {
	if s.Net != nil {
		return s.Net, nil
	}

	return stdnet.NewNet()
}

// hostAddresses are the addresses that the settings allow of those that the
// machine has.
func (s *UDPMuxSettings) hostAddresses() ([]netip.Addr, error) {
	network, err := s.network()
	if err != nil {
		return nil, err
	}
	interfaces, err := network.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || s.InterfaceFilter != nil && !s.InterfaceFilter(i.Name) {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // gone in the meantime
		}
		for _, address := range addresses {
			if ip := interfaceIP(address); s.allows(ip) && !slices.Contains(found, ip) {
				found = append(found, ip)
			}
		}
	}

	return found, nil
}

// interfaceIP is the IP address of an interface's.
func interfaceIP(address net.Addr) netip.Addr {
	var ip net.IP
	switch a := address.(type) {
	case *net.IPNet:
		ip = a.IP
	case *net.IPAddr:
		ip = a.IP
	}
	parsed, _ := netip.AddrFromSlice(ip)

	return parsed.Unmap()
}

// allows tells whether an address is used. A link-local address of IPv6 is
// not: a candidate cannot say on which link it is.
func (s *UDPMuxSettings) allows(ip netip.Addr) bool {
	switch {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsMulticast(), ip.Is6() && ip.IsLinkLocalUnicast():
		return false
	case ip.IsLoopback() && !s.IncludeLoopback:
		return false
	case !familyAllowed(s.NetworkTypes, ip):
		return false
	}

	return s.IPFilter == nil || s.IPFilter(ip.AsSlice())
}

// familyAllowed tells whether UDP over the address's family is among the types.
func familyAllowed(types []NetworkType, ip netip.Addr) bool {
	want := NetworkTypeUDP6
	if ip.Is4() {
		want = NetworkTypeUDP4
	}

	return len(types) == 0 || slices.Contains(types, want)
}
