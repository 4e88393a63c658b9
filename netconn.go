package webrtc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// maxNetConnMessage is the longest message that a Write makes, in bytes. Every
// implementation takes messages of this size, and without interleaving a longer
// one holds up the other channels.
// https://www.rfc-editor.org/rfc/rfc8831#section-6.6
const maxNetConnMessage = 16 << 10

// NetConn makes a net.Conn of the channel: a stream of bytes, as of TCP. The
// channel has to be open, ordered and reliable, as both peers have it then;
// the peer need not use a net.Conn.
//
// The connection takes the messages, for good: OnMessage is ignored, and
// receiving and another NetConn or MessageConn are [ErrInvalidState]. A channel
// that the peer has closed already can be read to its end.
//
//   - Read does not keep to the limits of messages, and skips empty ones; text
//     is data like any other. It needs no memory of its own if the buffer has
//     room for the next message.
//   - Write sends messages of at most 16 KiB, or of the peer's maximum if that
//     is less, and none for no bytes. It waits for room as SendContext does, and
//     does not wait for the peer to acknowledge. The number of bytes that it
//     returns with an error have been queued.
//   - Close is that of the channel: what was written is delivered first, what
//     was not read is dropped. There is no way of closing one direction alone.
//     [DataChannel.Shutdown] waits for the delivery.
//   - LocalAddr and RemoteAddr are those of the selected candidate pair, a
//     *net.UDPAddr or *net.TCPAddr; when there is none any more, the last ones.
//
// Every method may be called from any goroutine, at the same time as any other.
// The bytes of one Write stay together.
//
// Read returns io.EOF itself after the peer's graceful end. Every other error
// is an [*Error]: one that matches os.ErrDeadlineExceeded, and whose Timeout is
// true, after a deadline; [ErrClosed], and so net.ErrClosed, after our own end;
// one that matches io.ErrClosedPipe and io.EOF for a Write after the peer's
// graceful end; the cause of the end otherwise. What has arrived is read before
// the error, unless the end is our own.
//
// Errors of NetConn itself, which change nothing: [ErrInvalidState] before the
// channel is open and after it has ended, in detached mode, and if something
// else has the messages; [ErrInvalidArgument] for a channel that is unordered
// or unreliable.
func (c *DataChannel) NetConn() (net.Conn, error) {
	const op = "datachannel net conn"
	if err := c.mayConnect(op); err != nil {
		return nil, err
	}

	return c.netConn(op)
}

// netConn is NetConn in any state.
func (c *DataChannel) netConn(op string) (*netConn, error) {
	if !c.isStream() {
		return nil, refuse(op, ErrInvalidArgument, "the channel is not ordered and reliable (Ordered, and no limit of retransmits or lifetime)")
	}
	conn := new(netConn)
	if err := conn.init(c, op); err != nil {
		return nil, err
	}
	conn.longest = min(maxNetConnMessage, max(1, int(c.sctp.GetCapabilities().MaxMessageSize)))

	return conn, nil
}

// isStream tells whether nothing is lost and everything comes in order.
func (c *DataChannel) isStream() bool {
	return c.params.Ordered && c.params.MaxRetransmits == nil && c.params.MaxPacketLifeTime == nil
}

// mayConnect refuses a connection over a channel that is not open, but for one
// whose peer has closed it: what it has sent can be read.
func (c *DataChannel) mayConnect(op string) error {
	if err := c.alive().usable(op); err != nil {
		return err
	}
	c.life.mu.Lock()
	state, ours := c.life.state, c.closing
	c.life.mu.Unlock()
	switch state {
	case DataChannelStateOpen:
		return nil
	case DataChannelStateConnecting:
		return refuse(op, ErrInvalidState, "the channel is not open yet")
	case DataChannelStateClosing:
		if !ours {
			return nil // by the peer: the cause follows
		}

		return refuse(op, ErrInvalidState, "the channel is %v: %w", state, ErrClosed)
	default:
		cause := c.life.endCause()
		if cause == io.EOF { //nolint:errorlint // see gracefulEnd
			return nil
		}

		return refuse(op, ErrInvalidState, "the channel is %v: %w", state, cause)
	}
}

// netConn is what NetConn returns.
type netConn struct {
	channelConn

	longest int // message that Write makes, in bytes

	rest []byte // of the message that did not fit; who holds reading may use it
}

func (c *netConn) Read(p []byte) (int, error) {
	const op = "netconn read"
	ctx := c.readLimit.Context()
	if err := c.begin(ctx, op, c.reading); err != nil {
		return 0, err
	}
	defer c.reading.release()
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.rest) == 0 {
		n, err := c.next(ctx, op, p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	if ctx.Err() != nil {
		return 0, c.failed(ctx, op, contextError(ctx))
	}
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil // an idle connection holds no memory
	}

	return n, nil
}

// next reads a message into p, and if it does not fit, into c.rest.
func (c *netConn) next(ctx context.Context, op string, p []byte) (int, error) {
	inbox := &c.channel.inbox
	_, n, err := inbox.next(ctx, op, true, p)
	if err == nil && n > len(p) {
		var m DataChannelMessage
		m, _, err = inbox.next(ctx, op, true, nil)
		c.rest, n = m.Data, 0
	}

	return n, c.failed(ctx, op, err)
}

func (c *netConn) Write(p []byte) (int, error) {
	const op = "netconn write"
	ctx := c.writeLimit.Context()
	if err := c.begin(ctx, op, c.writing); err != nil {
		return 0, err
	}
	defer c.writing.release()
	queued := 0
	for queued < len(p) {
		message := p[queued:min(queued+c.longest, len(p))]
		if err := c.send(ctx, op, message); err != nil {
			return queued, err
		}
		queued += len(message)
	}

	return queued, nil
}

// channelConn is what the connections over a channel have in common.
type channelConn struct {
	channel *DataChannel
	path    pathAddrs
	closed  atomic.Bool // by Close

	readLimit, writeLimit *deadline.Deadline
	// One call each at a time: messages that belong together stay together.
	reading, writing semaphore
}

// init claims the channel's messages.
func (c *channelConn) init(channel *DataChannel, op string) error {
	if err := channel.claim(op); err != nil {
		return err
	}
	c.channel = channel
	c.path.init(channel.sctp)
	c.readLimit, c.writeLimit = deadline.New(), deadline.New()
	c.reading, c.writing = make(semaphore, 1), make(semaphore, 1)

	return nil
}

// begin acquires a semaphore, which is to be released unless there is an error:
// ctx, which a deadline ends, has ended before, or the end is our own.
func (c *channelConn) begin(ctx context.Context, op string, held semaphore) error {
	if !held.acquire(ctx) {
		return c.failed(ctx, op, contextError(ctx))
	}
	if c.closed.Load() || c.channel.life.group.Cause() == ErrClosed { //nolint:errorlint // see gracefulEnd
		held.release()

		return &Error{Op: op, Err: ErrClosed}
	}

	return nil
}

// send queues one message. An end of the channel is no end of a file for the
// one who writes.
func (c *channelConn) send(ctx context.Context, op string, message []byte) error {
	err := c.channel.SendContext(ctx, message)
	if err == io.EOF { //nolint:errorlint // see gracefulEnd
		err = &Error{Op: op, Err: errPeerClosed}
	}

	return c.failed(ctx, op, err)
}

var errPeerClosed error = &alias{"the peer has closed the channel", []error{io.ErrClosedPipe, io.EOF}}

// failed is the error of a call under a deadline, whose context is ctx.
func (c *channelConn) failed(ctx context.Context, op string, err error) error {
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // readers compare it
		return err
	case ctx.Err() == nil || !errors.Is(err, context.DeadlineExceeded):
		return opError(op, err)
	}
	// The end of the channel may be that of somebody's context too.
	if cause := c.channel.life.group.Cause(); cause != nil && errors.Is(err, cause) {
		return opError(op, err)
	}

	return &Error{Op: op, Err: os.ErrDeadlineExceeded}
}

// Close may be called often.
func (c *channelConn) Close() error {
	c.closed.Store(true)
	err := c.channel.Close()
	// Calls that wait have been told; what is left of the deadlines is timers.
	c.readLimit.Set(time.Time{})
	c.writeLimit.Set(time.Time{})

	return err
}

func (c *channelConn) LocalAddr() net.Addr  { return c.path.addr(localAddr) }
func (c *channelConn) RemoteAddr() net.Addr { return c.path.addr(remoteAddr) }

func (c *channelConn) SetDeadline(t time.Time) error {
	return c.setLimits(t, c.readLimit, c.writeLimit)
}

func (c *channelConn) SetReadDeadline(t time.Time) error  { return c.setLimits(t, c.readLimit) }
func (c *channelConn) SetWriteDeadline(t time.Time) error { return c.setLimits(t, c.writeLimit) }

func (c *channelConn) setLimits(t time.Time, limits ...*deadline.Deadline) error {
	if c.closed.Load() {
		return &Error{Op: "datachannel set deadline", Err: ErrClosed}
	}
	for _, limit := range limits {
		limit.Set(t)
	}

	return nil
}

// semaphore is held by one caller at a time. Unlike a mutex it is waited for
// under a context, and may be held by one who waits.
type semaphore chan struct{}

// acquire waits until nobody holds it, and returns false if ctx ends first. A
// semaphore that is free is acquired in any case.
func (s semaphore) acquire(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	default:
	}
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s semaphore) release() { <-s }

const (
	localAddr = iota
	remoteAddr
)

// pathAddrs knows the addresses of the selected pair, and keeps them for the
// time when there is none any more.
type pathAddrs struct {
	ice *ICETransport // nil under a transport that could not be made

	mu   sync.Mutex
	last [2]net.Addr
}

func (p *pathAddrs) init(t *SCTPTransport) {
	if dtls := t.Transport(); dtls != nil {
		p.ice = dtls.ice
	}
	p.look()
}

// addr is one of the addresses: of no host before there was a pair.
func (p *pathAddrs) addr(which int) net.Addr {
	if addr := p.look()[which]; addr != nil {
		return copyAddr(addr)
	}

	return new(net.UDPAddr)
}

func (p *pathAddrs) look() [2]net.Addr {
	var now [2]net.Addr
	if conn := p.ice.path(); conn != nil {
		now = [2]net.Addr{localAddr: conn.LocalAddr(), remoteAddr: conn.RemoteAddr()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now[localAddr] != nil && now[remoteAddr] != nil {
		p.last = now
	}

	return p.last
}

// copyAddr is an address that the program may write to.
func copyAddr(addr net.Addr) net.Addr {
	switch addr := addr.(type) {
	case *net.UDPAddr:
		return &net.UDPAddr{IP: append(net.IP(nil), addr.IP...), Port: addr.Port, Zone: addr.Zone}
	case *net.TCPAddr:
		return &net.TCPAddr{IP: append(net.IP(nil), addr.IP...), Port: addr.Port, Zone: addr.Zone}
	}

	return addr
}
