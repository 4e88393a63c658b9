package webrtc

import (
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"

	"github.com/ctxrtc/webrtc/internal/mdnsnames"
)

// network is the network for the agent's sockets: the program's own or the
// machine's, with the buffers of the sockets set if they are to be.
func (e *SettingEngine) network() transport.Net {
	network := e.Net
	if _, standard := network.(*stdnet.Net); standard || network == nil {
		network = &machineNet{}
	}
	if e.ICE.ReadBufferSize == 0 && e.ICE.WriteBufferSize == 0 {
		return network
	}

	return &bufferedNet{Net: network, read: e.ICE.ReadBufferSize, write: e.ICE.WriteBufferSize}
}

// interfaceLooks are looks at a network's interfaces, which many gatherers share: each
// takes some 0.2 ms.
type interfaceLooks struct {
	mu    sync.Mutex
	last  time.Time
	found []*transport.Interface
}

// interfaces returns what a look has found that is not older than age, or looks anew.
func (l *interfaceLooks) interfaces(network transport.Net, age time.Duration) ([]*transport.Interface, error) {
	l.mu.Lock()
	found, last := l.found, l.last
	l.mu.Unlock()
	if age > 0 && !last.IsZero() && time.Since(last) < age {
		return found, nil
	}
	begin := time.Now()
	found, err := network.Interfaces()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if begin.After(l.last) {
		l.last, l.found = begin, found
	}

	return found, nil
}

// machineNet is the machine's network. It looks at the interfaces when it is
// asked for them: [stdnet.Net], the agent's default, keeps those of the moment
// when it was made, some 7 KB on a machine with few.
type machineNet struct{ stdnet.Net }

func (n *machineNet) Interfaces() ([]*transport.Interface, error) {
	now, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}

	return now.Interfaces()
}

func (n *machineNet) InterfaceByIndex(index int) (*transport.Interface, error) {
	now, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}

	return now.InterfaceByIndex(index)
}

func (n *machineNet) InterfaceByName(name string) (*transport.Interface, error) {
	now, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}

	return now.InterfaceByName(name)
}

// bufferedNet sets the buffer sizes of the UDP sockets made on another
// network. The sockets themselves are handed out as they are: the agent looks
// for features of the machine's own sockets.
type bufferedNet struct {
	transport.Net

	read, write int // bytes, 0 leaves the system's default
}

func (n *bufferedNet) ListenUDP(network string, laddr *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := n.Net.ListenUDP(network, laddr)
	if err == nil {
		n.setBuffers(conn)
	}

	return conn, err
}

func (n *bufferedNet) DialUDP(network string, laddr, raddr *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := n.Net.DialUDP(network, laddr, raddr)
	if err == nil {
		n.setBuffers(conn)
	}

	return conn, err
}

func (n *bufferedNet) ListenPacket(network, address string) (net.PacketConn, error) {
	conn, err := n.Net.ListenPacket(network, address)
	if err == nil {
		n.setBuffers(conn)
	}

	return conn, err
}

// setBuffers is a request: systems cut it down without an error, and a socket
// that has no buffers to set, a virtual one, works without.
func (n *bufferedNet) setBuffers(conn any) {
	if c, ok := conn.(interface{ SetReadBuffer(bytes int) error }); ok && n.read > 0 {
		_ = c.SetReadBuffer(n.read)
	}
	if c, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok && n.write > 0 {
		_ = c.SetWriteBuffer(n.write)
	}
}

// namesConfig is how the peers' .local names are asked for.
func (e *SettingEngine) namesConfig() mdnsnames.Config {
	config := mdnsnames.Config{
		Net: e.network(), IncludeLoopback: e.ICE.IncludeLoopback,
		Interfaces: e.multicastInterfaces, LoggerFactory: e.loggerFactory(),
	}
	for _, t := range e.ICE.NetworkTypes {
		config.IPv4 = config.IPv4 || t == NetworkTypeUDP4 || t == NetworkTypeTCP4
		config.IPv6 = config.IPv6 || t == NetworkTypeUDP6 || t == NetworkTypeTCP6
	}

	return config
}

// multicastInterfaces are those that candidates are gathered on: names of the
// peer are not asked for on others.
func (e *SettingEngine) multicastInterfaces() ([]*transport.Interface, error) {
	s := &e.ICE
	all, err := e.network().Interfaces()
	if err != nil {
		return nil, err
	}
	var found []*transport.Interface
	for _, iface := range all {
		if iface.Flags&net.FlagUp == 0 || (iface.Flags&net.FlagLoopback != 0 && !s.IncludeLoopback) ||
			(s.InterfaceFilter != nil && !s.InterfaceFilter(iface.Name)) {
			continue
		}
		addrs, err := iface.Addrs()
		if err != nil {
			continue // it may have gone meanwhile
		}
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			ip := interfaceIP(a)

			return ip.IsValid() && (s.IPFilter == nil || s.IPFilter(ip.AsSlice()))
		}) {
			found = append(found, iface)
		}
	}

	return found, nil
}
