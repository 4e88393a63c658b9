package webrtc

import (
	"net"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// network is the network for the agent's sockets: the program's own, or nil
// for the agent's default, unless the buffers of the sockets are to be set.
func (e *SettingEngine) network() (transport.Net, error) {
	if e.ICE.ReadBufferSize == 0 && e.ICE.WriteBufferSize == 0 {
		return e.Net, nil
	}
	below := e.Net
	if below == nil {
		machine, err := stdnet.NewNet()
		if err != nil {
			return nil, err
		}
		below = machine
	}

	return &bufferedNet{Net: below, read: e.ICE.ReadBufferSize, write: e.ICE.WriteBufferSize}, nil
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
