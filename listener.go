package webrtc

import (
	"context"
	"io"
	"net"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// Listener accepts the data channels of a transport that the peer opens, as
// net.Conns. It is a net.Listener, for net/http and the like; the peer dials by
// OpenDataChannel and NetConn.
//
// It holds nothing: a transport may have several, which share the channels, and
// one need not be closed.
type Listener struct {
	transport *SCTPTransport
	path      pathAddrs

	// ctx ends with Close.
	ctx   context.Context
	close context.CancelFunc
}

var _ net.Listener = (*Listener)(nil)

// Listen makes a listener. It does not wait: the transport may be started
// later.
//
// Errors: [ErrInvalidState] after the transport's end, while OnDataChannel has
// a handler, and in detached mode.
func (t *SCTPTransport) Listen() (*Listener, error) {
	const op = "sctp listen"
	if err := t.alive().usable(op); err != nil {
		return nil, err
	}
	if cause := t.life.group.Cause(); cause != nil {
		return nil, refuse(op, ErrInvalidState, "transport has ended: %w", cause)
	}
	if t.settings.DataChannel.Detach {
		return nil, refuse(op, ErrInvalidState, "channels are detached")
	}
	if t.accepted.handled() {
		return nil, refuse(op, ErrInvalidState, "OnDataChannel has the channels")
	}
	l := &Listener{transport: t}
	l.ctx, l.close = context.WithCancel(context.Background())
	l.path.init(t)

	return l, nil
}

// Accept is [Listener.AcceptContext] without a limit.
func (l *Listener) Accept() (net.Conn, error) {
	const op = "listener accept"
	if err := l.usable(op); err != nil {
		return nil, err
	}

	return l.accept(l.ctx, op)
}

// AcceptContext waits for a channel that the peer opens and returns its
// [DataChannel.NetConn]. Channels that are unordered or unreliable are closed.
// Who wants them, or their labels, calls [SCTPTransport.AcceptDataChannel].
//
// Errors: [ErrClosed], and so net.ErrClosed, after Close and after our own end
// of the transport; one that matches net.ErrClosed and io.EOF after the peer's
// graceful end, so that a server takes it for the end of its work; the cause of
// another end; the context's error when ctx ends first; [ErrInvalidState] while
// OnDataChannel has a handler. Channels that have come before the peer's end
// are accepted first.
func (l *Listener) AcceptContext(ctx context.Context) (net.Conn, error) {
	const op = "listener accept"
	if err := l.usable(op); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer lifecycle.AbortOnDone(l.ctx, cancel)() //nolint:contextcheck // the listener's end ends ctx too

	return l.accept(ctx, op)
}

// accept returns the next connection, until ctx or the listener ends.
func (l *Listener) accept(ctx context.Context, op string) (net.Conn, error) {
	for {
		if l.ctx.Err() != nil {
			return nil, &Error{Op: op, Err: ErrClosed}
		}
		c, err := l.transport.AcceptDataChannel(ctx)
		switch {
		case err == nil:
		case l.ctx.Err() != nil:
			return nil, &Error{Op: op, Err: ErrClosed}
		case err == io.EOF: //nolint:errorlint // see gracefulEnd
			return nil, &Error{Op: op, Err: errPeerGone}
		default:
			return nil, opError(op, err)
		}
		l.path.look()
		// Also if the peer has closed it again: that is told to who reads.
		conn, err := c.netConn(op)
		if err == nil {
			return conn, nil
		}
		l.transport.log.Debugf("channel %q: %v", c.Label(), err)
		if !c.isStream() {
			_ = c.Close()
		}
		// Of any other the program has taken the messages already.
	}
}

var errPeerGone error = &alias{"the peer has ended the transport", []error{net.ErrClosed, io.EOF}}

// Close ends what waits in Accept with [ErrClosed], once and for all. The
// transport and the connections go on, and channels that were not accepted wait
// for the next one who does.
func (l *Listener) Close() error {
	if err := l.usable("listener close"); err != nil {
		return err
	}
	l.close()

	return nil
}

// Addr returns the local address, a *net.UDPAddr or *net.TCPAddr: that of the
// selected candidate pair, the last one when there is none any more, and one of
// no host before there was a pair.
func (l *Listener) Addr() net.Addr {
	if l.usable("listener addr") != nil {
		return new(net.UDPAddr)
	}

	return l.path.addr(localAddr)
}

func (l *Listener) usable(op string) error {
	if l == nil || l.transport == nil {
		return refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}

	return nil
}
