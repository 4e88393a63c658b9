package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
)

type writeRTP func(context.Context, *rtp.Packet) error

// maxWaiting is how many packets wait for a room: some seconds of video. The first
// ones are kept, since a video begins with the picture that all others need.
const maxWaiting = 4096

// maxPacket is the longest packet that is read, in bytes.
const maxPacket = 1 << 16

// port takes the packets of a pipeline. They wait until somebody takes them, and it
// knows the last of them.
type port struct {
	conn *net.UDPConn
	end  [16]byte // a datagram that no pipeline sends: it comes behind all others

	waiting chan *rtp.Packet // closed when nothing more comes
	first   chan struct{}    // closed when there was a packet
	over    chan struct{}    // closed when there was the end
	dropped atomic.Int64     // packets that found no room, or are none

	tasks sync.WaitGroup
}

func listen(ctx context.Context) (*port, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T is no UDP socket", conn), conn.Close())
	}
	// A key frame may come in one burst. What the system allows is enough else.
	_ = udp.SetReadBuffer(4 << 20)
	p := &port{
		conn: udp, waiting: make(chan *rtp.Packet, maxWaiting),
		first: make(chan struct{}), over: make(chan struct{}),
	}
	_, _ = rand.Read(p.end[:]) // never fails

	return p, nil
}

func (p *port) number() int { return p.conn.LocalAddr().(*net.UDPAddr).Port } //nolint:errcheck,forcetypeassert // of a UDP socket

// begin reads until finish or close.
func (p *port) begin() { p.tasks.Go(p.read) }

func (p *port) read() {
	defer close(p.over)
	defer close(p.waiting)
	begun := sync.OnceFunc(func() { close(p.first) })
	buf := make([]byte, maxPacket)
	for {
		n, err := p.conn.Read(buf)
		if err != nil || bytes.Equal(buf[:n], p.end[:]) {
			return // closed, or the end
		}
		packet := new(rtp.Packet)
		if packet.Unmarshal(bytes.Clone(buf[:n])) != nil {
			p.dropped.Add(1)

			continue
		}
		select {
		case p.waiting <- packet:
		default:
			p.dropped.Add(1)
		}
		begun()
	}
}

// finish is called when nothing more is sent. What was sent is in the socket, and
// the end behind it; it is sent again in case there was no room for it.
func (p *port) finish() {
	p.tasks.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = p.conn.WriteTo(p.end[:], p.conn.LocalAddr())
			select {
			case <-p.over:
				return
			case <-tick.C:
			}
		}
	})
}

// empty tells, after the end, that there was no packet.
func (p *port) empty() bool {
	select {
	case <-p.first:
		return false
	default:
		return true
	}
}

// close ends what reads. What waits is gone.
func (p *port) close() error {
	err := p.conn.Close()
	p.tasks.Wait()

	return err
}

// forward passes packets on up to the last.
func (p *port) forward(ctx context.Context, write writeRTP) error {
	for {
		select {
		case packet, ok := <-p.waiting:
			if !ok {
				return nil
			}
			if err := write(ctx, packet); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
