package sctpfilter

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

// Source is what carries the packets: the application data of a DTLS
// connection. Its deadline has to end a Read that is under way.
type Source interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// Config of a [Filter]. The zero value is ready to use.
type Config struct {
	// Log tells about dropped packets and hidden errors at level debug. If nil,
	// nothing does.
	Log logging.LeveledLogger
	// MaxPacket is the longest packet to accept, in bytes. If zero, what fits
	// the association's buffer.
	MaxPacket int
	// MaxMessage bounds a message of the peer, in bytes. If zero, nothing does.
	MaxMessage int
	// MaxUnread bounds the messages that have come on all streams together and
	// were not yet taken. If zero, nothing does.
	MaxUnread int
	// Uncounted is for streams that are read by others, who do not tell what
	// they took: nothing counts as unread then, and the association's own
	// window is all that the peer meets.
	Uncounted bool
}

// Filter is the net.Conn of one association. Read and Write may be called by
// one goroutine each, everything else by any.
type Filter struct {
	src Source
	cfg Config

	view   view
	counts counts
	in     inbound
	reader atomic.Pointer[Streams]

	// These belong to the goroutine that calls Read.
	now     events   // to be told when the packet that was returned has been handled
	waiting [][]byte // packets for later Reads
	asks    []uint16
	why     string // something was dropped
	outTSN  outTSN // this one to the goroutine that calls Write

	// A Read counts itself before it looks at closed, Detach looks at the count
	// after it has set closed: one of them sees the other.
	inside atomic.Int32
	closed atomic.Bool
	quiet  chan struct{} // holds a token when nobody is inside after the close
	detach sync.Once

	mu         sync.Mutex
	deadline   time.Time // what src's read deadline has to be
	wake       bool      // end a Read of src once, to look for what has changed
	generation uint      // counts the changes of deadline and wake
	srcErr     error     // the first error of src that was no deadline
	abort      *Abort    // received
	localAbort *Abort    // sent by the association by itself
	abortDone  bool      // an ABORT was written or received, or none is wanted any more
}

var _ net.Conn = (*Filter)(nil)

// past is a deadline that has gone by, also in a test's clock that starts in
// the year 2000.
var past = time.Unix(1, 0)

// New returns a filter for an association over src.
func New(src Source, cfg Config) *Filter {
	f := &Filter{src: src, cfg: cfg, quiet: make(chan struct{}, 1)}
	f.view.ports.Store(defaultPorts)
	f.in.uncounted = cfg.Uncounted

	return f
}

// Read returns one SCTP packet that may be the peer's. After the end it
// returns the reason: io.EOF, an *[Abort], or the error of the source. If the
// association's own deadline has passed it is os.ErrDeadlineExceeded.
//
// A valid ABORT is returned as the error and not as a packet, so that the
// association's streams end with that error too, and end also if pion/sctp
// cannot parse the causes.
func (f *Filter) Read(p []byte) (int, error) {
	f.enter()
	defer f.leave()
	f.tell()

	for {
		f.report()
		if f.closed.Load() || f.view.has(shutdownGivenUp) {
			return 0, f.endError()
		}
		if n, ok := f.next(p); ok {
			return n, nil
		}
		n, err := f.src.Read(p)
		if err == nil {
			if f.cfg.MaxPacket > 0 && n > f.cfg.MaxPacket {
				f.drop(&f.counts.tooLong, "longer than the limit")

				continue
			}
			n, abort := f.admit(p[:min(n, len(p))])
			if abort != nil {
				return 0, abort
			}
			if n > 0 {
				return n, nil
			}

			continue
		}
		if err := f.readError(err); err != nil {
			return 0, err
		}
	}
}

// readError tells what an error of the source means: nil for "read again".
func (f *Filter) readError(err error) error {
	if tooLong(err) {
		f.drop(&f.counts.tooLong, "longer than the association's buffer")

		return nil
	}
	if !isTimeout(err) {
		f.mu.Lock()
		if f.srcErr == nil {
			f.srcErr = err
		}
		f.mu.Unlock()

		return f.endError()
	}
	if f.closed.Load() {
		return f.endError()
	}
	f.mu.Lock()
	asked := !f.deadline.IsZero() && !time.Now().Before(f.deadline)
	if f.wake {
		f.wake = false
		f.generation++
	}
	f.mu.Unlock()
	if asked {
		return os.ErrDeadlineExceeded
	}
	// It was a rouse, or somebody else's deadline, left on the source.
	_ = f.applyDeadline()

	return nil
}

// endError is what Read returns after the end; the first reason that the peer
// gave comes before what followed from it.
func (f *Filter) endError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.abort != nil:
		return f.abort
	case f.view.has(shutdownFinished):
		return io.EOF
	case f.srcErr != nil:
		return f.srcErr
	case f.localAbort != nil:
		return f.localAbort
	default:
		return io.EOF
	}
}

// Write sends one packet of the association. An error of the source that may
// pass is hidden, as a lost packet would be. After Close it is net.ErrClosed.
func (f *Filter) Write(p []byte) (int, error) {
	if f.closed.Load() {
		return 0, net.ErrClosed
	}
	raw := f.sent(p)
	if _, err := f.src.Write(raw); err != nil {
		if permanent(err) {
			return 0, err
		}
		f.counts.hidden.Add(1)
		if f.cfg.Log != nil {
			f.cfg.Log.Debugf("packet of %d bytes not sent: %v", len(raw), err)
		}

		return len(p), nil
	}
	f.counts.packetsOut.Add(1)
	f.counts.bytesOut.Add(uint64(len(raw)))

	return len(p), nil
}

// Close ends Reads, also one under way, and leaves the source open.
// It does not wait; [Filter.Detach] does. It may be called again.
func (f *Filter) Close() error {
	f.enter()
	defer f.leave()
	f.mu.Lock()
	again := f.closed.Swap(true)
	if !again {
		f.deadline = past
		f.generation++
	}
	f.mu.Unlock()
	if again {
		return nil
	}

	return f.applyDeadline()
}

// Detach closes the filter and waits until it reads no more, which is prompt.
// Then the source has no read deadline and belongs to the next reader, which
// gets everything that no Read had returned. It must not be called by Read's
// goroutine.
func (f *Filter) Detach() {
	_ = f.Close()
	f.detach.Do(func() {
		for f.inside.Load() != 0 {
			<-f.quiet
		}
		_ = f.src.SetReadDeadline(time.Time{})
	})
}

func (f *Filter) enter() { f.inside.Add(1) }

func (f *Filter) leave() {
	if f.inside.Add(-1) > 0 || !f.closed.Load() {
		return
	}
	select {
	case f.quiet <- struct{}{}:
	default:
	}
}

// SetReadDeadline ends a Read at t with os.ErrDeadlineExceeded. After Close it
// does nothing.
func (f *Filter) SetReadDeadline(t time.Time) error {
	f.enter()
	defer f.leave()
	f.mu.Lock()
	closed := f.closed.Load()
	if !closed {
		f.deadline = t
		f.generation++
	}
	f.mu.Unlock()
	if closed {
		return nil
	}

	return f.applyDeadline()
}

// applyDeadline brings the source's deadline to the newest that was set,
// whichever goroutine is the last to do so. The caller counts as inside.
func (f *Filter) applyDeadline() error {
	for {
		f.mu.Lock()
		t, generation := f.deadline, f.generation
		if f.wake {
			t = past
		}
		f.mu.Unlock()
		err := f.src.SetReadDeadline(t)
		f.mu.Lock()
		same := generation == f.generation
		f.mu.Unlock()
		if same {
			return err
		}
	}
}

// SetWriteDeadline does nothing: the association sets one when it closes, and
// on the shared source it would take the ABORT of a cancelled start with it.
func (f *Filter) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the read deadline.
func (f *Filter) SetDeadline(t time.Time) error { return f.SetReadDeadline(t) }

// LocalAddr is the source's.
func (f *Filter) LocalAddr() net.Addr { return f.src.LocalAddr() }

// RemoteAddr is the source's.
func (f *Filter) RemoteAddr() net.Addr { return f.src.RemoteAddr() }

// AbortCause is the ABORT that the peer sent, nil if there was none.
func (f *Filter) AbortCause() *Abort {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.abort
}

// LocalAbort is the ABORT that the association sent by itself, because the
// peer broke the protocol; nil if there was none.
func (f *Filter) LocalAbort() *Abort {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.localAbort
}

// SourceErr is the first error of the source's Read that was no deadline, nil
// if there was none.
func (f *Filter) SourceErr() error {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.srcErr
}

// permanent tells whether the source will never again take a packet.
func permanent(err error) bool {
	var timeout *dtls.TimeoutError
	if errors.As(err, &timeout) {
		return false // wraps context.DeadlineExceeded
	}
	for _, target := range [...]error{
		net.ErrClosed, io.EOF, io.ErrClosedPipe, context.Canceled, context.DeadlineExceeded, dtls.ErrConnClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}

	return false
}

// isTimeout tells whether a Read ended by a deadline.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }

	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// tooLong tells whether a Read failed because the packet did not fit the
// buffer. It is gone then, and the connection is as good as before.
func tooLong(err error) bool {
	var temporary *dtls.TemporaryError

	return errors.Is(err, io.ErrShortBuffer) || errors.As(err, &temporary)
}
