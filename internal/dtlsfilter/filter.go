package dtlsfilter

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/logging"
)

// Path carries datagrams: one Read takes one, one Write sends one.
type Path interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	// SetReadDeadline has to end a pending Read as well, and the zero time has
	// to lift the deadline.
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// Config has the limits of a Filter.
type Config struct {
	// MaxHandshakeBytes bounds what the DTLS module stores of a handshake that
	// is not complete, in bytes of inbound records and a little for each
	// fragment. A quarter of it is for protected records that come early. If
	// zero or negative, 32 KB.
	MaxHandshakeBytes int
	// Log gets what is dropped, at the trace level. It may be nil.
	Log logging.LeveledLogger
}

const (
	defaultMaxHandshakeBytes = 32 << 10
	// The module queues up to 100 records that it cannot decrypt yet, and
	// forgets what comes then. A ChangeCipherSpec must not be among that.
	maxEarlyRecords = 32
	// answerInterval is the least time between two datagrams with plaintext
	// retransmissions that are passed once connected.
	answerInterval = 50 * time.Millisecond
)

// Filter is the net.PacketConn for one DTLS connection. There may be one
// reader at a time; everything else may be called from any goroutine.
type Filter struct {
	path     Path
	log      logging.LeveledLogger
	phase    atomic.Uint32 // bits: connected, closed
	alert    atomic.Uint32 // the peer's alert: remembered, level, description
	counters counters
	holding  atomic.Bool // held has records

	mu   sync.Mutex
	sent sent
	held held

	// What follows belongs to the reader.
	hs       *transcript // nil once connected
	early    early
	steps    []step // the peer's, once connected,
	messages int    // and how many messages it sent in plaintext
	renumber uint64 // the number of the next plaintext record that is passed
	answered time.Time
}

const (
	connected uint32 = 1 << iota
	closed
)

// New makes a filter over a path, for a handshake that has not begun.
func New(path Path, cfg Config) *Filter {
	limit := cfg.MaxHandshakeBytes
	if limit <= 0 {
		limit = defaultMaxHandshakeBytes
	}
	f := &Filter{path: path, log: cfg.Log}
	f.early.limit = limit / 4
	f.hs = newTranscript(limit - f.early.limit)

	return f
}

// ReadFrom reads the next datagram that has something for the module, without
// what it must not see. It returns net.ErrClosed after Close, a timeout as the
// path gives it, io.EOF as it is, and any other error of the path as one that
// matches net.ErrClosed too: the module goes on reading after others.
func (f *Filter) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if n := f.release(p); n > 0 {
			return n, somewhere, nil
		}
		n, err := f.path.Read(p)
		phase := f.phase.Load()
		switch {
		case phase&closed != 0:
			return 0, nil, net.ErrClosed
		case errors.Is(err, io.ErrShortBuffer):
			f.counters.oversized.Add(1)
		case err != nil:
			if f.roused(err) {
				continue
			}

			return 0, nil, lasting(err)
		default:
			if n = f.keep(p[:n], phase&connected != 0); n > 0 && !f.behind(p[:n]) {
				return n, somewhere, nil
			}
		}
	}
}

// pathError is an error of the path that ends the module's reader.
type pathError struct{ err error }

func (e *pathError) Error() string   { return e.err.Error() }
func (e *pathError) Unwrap() []error { return []error{net.ErrClosed, e.err} }

func lasting(err error) error {
	var timeout net.Error
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}

	return &pathError{err}
}

// Close ends the filter: a pending read and every later call return
// net.ErrClosed. The path stays open, with a read deadline in the past.
func (f *Filter) Close() error {
	if f.phase.Or(closed)&closed == 0 {
		_ = f.path.SetReadDeadline(past)
	}

	return nil
}

var past = time.Unix(1, 0)

// SetReadDeadline sets the path's read deadline, as long as the filter is open.
func (f *Filter) SetReadDeadline(t time.Time) error {
	if f.phase.Load()&closed != 0 {
		return net.ErrClosed
	}
	f.mu.Lock()
	f.held.deadline = t
	f.held.changes++
	f.mu.Unlock()
	err := f.applyDeadline()
	// If the two cross, Close's deadline has to stand: it is what ends a read.
	if f.phase.Load()&closed != 0 {
		_ = f.path.SetReadDeadline(past)
	}

	return err
}

// SetWriteDeadline does nothing: a write to the path does not block.
func (f *Filter) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (f *Filter) SetDeadline(t time.Time) error { return f.SetReadDeadline(t) }

// placeholder is an address for a path that has none, or none yet.
type placeholder struct{}

func (placeholder) Network() string { return "udp" }
func (placeholder) String() string  { return "peer" }

// somewhere is one value, so that handing it out does not allocate.
var somewhere net.Addr = placeholder{}

// LocalAddr is the path's local address, or a placeholder; never nil.
func (f *Filter) LocalAddr() net.Addr { return known(f.path.LocalAddr()) }

// RemoteAddr is the path's remote address, or a placeholder; never nil.
func (f *Filter) RemoteAddr() net.Addr { return known(f.path.RemoteAddr()) }

func known(addr net.Addr) net.Addr {
	if addr == nil {
		return somewhere
	}

	return addr
}

// Alert returns the plaintext alert of the peer that was passed and has ended
// the handshake, if there was one.
func (f *Filter) Alert() (level alert.Level, description alert.Description, ok bool) {
	a := f.alert.Load()

	return alert.Level(a >> 8), alert.Description(a), a&remembered != 0
}

const remembered = 1 << 16
