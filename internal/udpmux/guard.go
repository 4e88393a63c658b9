package udpmux

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	// guardQueue is how many packets wait for a connection of somebody else's
	// whose writes block. What comes on top of them is lost, as on a path.
	guardQueue = 128
	// guardPatience is how long the last packets may take when the connection
	// is closed.
	guardPatience = 20 * time.Millisecond
)

// Guard returns a connection of somebody else's whose writes take no time: a
// goroutine, which begins with the first one, makes them. The agent sends in
// its own loop, and a write that does not return would end everything that the
// agent does, its close too.
//
// Errors of the writes are not told.
func Guard(conn net.PacketConn) net.PacketConn {
	g := &guarded{PacketConn: conn, group: lifecycle.NewGroup(), closed: make(chan struct{})}
	if fast, ok := conn.(addrPortConn); ok {
		g.fast = fast

		return &guardedAddrPort{g}
	}

	return g
}

// addrPortConn are the methods that the ice module looks for, to save
// addresses that are allocated.
type addrPortConn interface {
	ReadFromAddrPort(p []byte) (int, netip.AddrPort, error)
	WriteToAddrPort(p []byte, to netip.AddrPort) (int, error)
}

type guarded struct {
	net.PacketConn

	fast   addrPortConn // the same connection, or nil
	group  *lifecycle.Group
	start  sync.Once
	queue  chan outgoing // made at the first write
	end    sync.Once
	closed chan struct{}
}

// outgoing is a packet for to, or for its own address if that is nil.
type outgoing struct {
	packet *packet
	to     net.Addr
}

func (g *guarded) enqueue(p []byte, to net.Addr, toAddrPort netip.AddrPort) (int, error) {
	select {
	case <-g.closed:
		return 0, errClosed{"candidate"}
	default:
	}
	if len(p) > maxPacket {
		return len(p), nil // no path takes it
	}
	g.start.Do(func() {
		g.queue = make(chan outgoing, guardQueue)
		g.group.Go(g.write)
	})
	out := outgoing{newPacket(p), to}
	out.packet.from = toAddrPort
	select {
	case g.queue <- out:
	default:
		out.packet.release()
	}

	return len(p), nil
}

// write sends what is queued until the connection is closed, then the rest.
func (g *guarded) write() {
	for {
		select {
		case out := <-g.queue:
			g.send(out)

			continue
		default:
		}
		select {
		case out := <-g.queue:
			g.send(out)
		case <-g.closed:
			if len(g.queue) == 0 {
				return
			}
		}
	}
}

func (g *guarded) send(out outgoing) {
	if out.to != nil {
		_, _ = g.PacketConn.WriteTo(out.packet.data, out.to)
	} else {
		_, _ = g.fast.WriteToAddrPort(out.packet.data, out.packet.from)
	}
	out.packet.release()
}

func (g *guarded) WriteTo(p []byte, to net.Addr) (int, error) {
	if to == nil {
		return 0, errNoUDPAddress
	}

	return g.enqueue(p, to, netip.AddrPort{})
}

// Close gives the last packets a moment, then closes the connection. A write
// that does not return keeps the goroutine, and nobody else.
func (g *guarded) Close() error {
	var err error
	g.end.Do(func() {
		close(g.closed)
		patience, cancel := context.WithTimeout(context.Background(), guardPatience)
		defer cancel()
		_ = g.group.WaitTasks(patience)
		err = g.PacketConn.Close()
	})

	return err
}

// SetDeadline is for reads. A deadline of the writes would lose what waits.
func (g *guarded) SetDeadline(t time.Time) error { return g.SetReadDeadline(t) }

func (g *guarded) SetWriteDeadline(time.Time) error { return nil }

type guardedAddrPort struct{ *guarded }

func (g *guardedAddrPort) ReadFromAddrPort(p []byte) (int, netip.AddrPort, error) {
	return g.fast.ReadFromAddrPort(p)
}

func (g *guardedAddrPort) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return g.enqueue(p, nil, to)
}
