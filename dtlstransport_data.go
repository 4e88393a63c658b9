package webrtc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	// maxEarlyPackets are kept for an SCTP transport that has not started yet:
	// the peer's INIT and what follows it within a round trip.
	maxEarlyPackets = 16
	// maxRecord is the largest packet that the connection hands out, in bytes.
	maxRecord = 8192
)

// applicationData is the reading side of a connection. Somebody has to read at
// any time, or the connection would not notice the peer's close: the SCTP
// association while there is one, and a goroutine of ours before and after.
// That one keeps the first packets for the association to come, and drops what
// comes after it.
type applicationData struct {
	conn  *dtls.Conn
	group *lifecycle.Group
	ended func(error) // the peer has closed

	delivered atomic.Uint64 // packets

	mu      sync.Mutex
	early   [][]byte
	taken   bool          // by an association
	dropped bool          // what comes after an association is not for another
	watcher chan struct{} // closed when the goroutine has left; nil if there is none
}

func newApplicationData(conn *dtls.Conn, group *lifecycle.Group, ended func(error)) *applicationData {
	return &applicationData{conn: conn, group: group, ended: ended}
}

// watch starts the goroutine that reads while nobody else does.
func (d *applicationData) watch() {
	left := make(chan struct{})
	d.mu.Lock()
	taken := d.taken
	if !taken {
		d.watcher = left
	}
	d.mu.Unlock()
	if taken {
		return
	}
	d.group.Go(func() {
		defer close(left)
		d.read()
	})
}

func (d *applicationData) read() {
	buf := make([]byte, maxRecord)
	for {
		n, err := d.Read(buf)
		if err != nil {
			return // taken over, or ended
		}
		d.mu.Lock()
		if !d.dropped && len(d.early) < maxEarlyPackets {
			d.early = append(d.early, append([]byte(nil), buf[:n]...))
		}
		d.mu.Unlock()
	}
}

// take makes the caller the reader. It waits for the goroutine to leave, which
// it does at once.
func (d *applicationData) take() *dataSource {
	d.mu.Lock()
	d.taken = true
	left := d.watcher
	d.mu.Unlock()
	if left != nil {
		_ = d.conn.SetReadDeadline(time.Unix(0, 1))
		<-left
		_ = d.conn.SetReadDeadline(time.Time{})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	source := &dataSource{applicationData: d, early: d.early}
	d.early, d.dropped = nil, true // not before: the goroutine may just have read a packet

	return source
}

// giveBack ends the association's turn. Nothing of it may be reading any more.
func (d *applicationData) giveBack() {
	d.mu.Lock()
	d.taken = false
	d.mu.Unlock()
	d.watch()
}

// Read returns the next packet. What is not the end of the connection is not
// an error: a record that the connection could not use.
func (d *applicationData) Read(p []byte) (int, error) {
	for {
		n, err := d.conn.Read(p)
		switch {
		case err == nil:
			d.delivered.Add(1)

			return n, nil
		case isTimeout(err):
			return 0, os.ErrDeadlineExceeded
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, dtls.ErrConnClosed):
			if n, ok := d.readLast(p); ok {
				return n, nil
			}
			d.ended(io.EOF)

			return 0, io.EOF
		}
	}
}

// lastReads is how often a connection that has ended is read again.
const lastReads = 64

// readLast takes the packet that came right before the end. The module has it
// still, but its Read chooses between the packet and the end by chance; that all of
// so many reads choose the end does not happen.
func (d *applicationData) readLast(p []byte) (n int, ok bool) {
	for range lastReads {
		if n, err := d.conn.Read(p); err == nil {
			d.delivered.Add(1)

			return n, true
		}
	}

	return 0, false
}

func (d *applicationData) Write(p []byte) (int, error)       { return d.conn.Write(p) }
func (d *applicationData) SetReadDeadline(t time.Time) error { return d.conn.SetReadDeadline(t) }
func (d *applicationData) LocalAddr() net.Addr               { return d.conn.LocalAddr() }
func (d *applicationData) RemoteAddr() net.Addr              { return d.conn.RemoteAddr() }

// dataSource is the reading side in the hands of an association.
type dataSource struct {
	*applicationData

	early [][]byte // read by the one reader alone
}

func (s *dataSource) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early[0])
		s.early = s.early[1:]

		return n, nil
	}

	return s.applicationData.Read(p)
}

func isTimeout(err error) bool {
	var t net.Error

	return errors.As(err, &t) && t.Timeout()
}

// takeData gives the application data to a layer above, once, while the
// transport is connected.
func (t *DTLSTransport) takeData(op string) (*dataSource, error) {
	t.life.mu.Lock()
	data, err := t.data, error(nil)
	switch {
	case t.life.state != DTLSTransportStateConnected:
		err = refuse(op, ErrInvalidState, "DTLS transport is %s: %w", t.life.state, t.life.causeOr(errNotConnected))
	case t.claimed:
		err = refuse(op, ErrInvalidState, "the DTLS transport carries another SCTP transport")
	default:
		t.claimed = true
	}
	t.life.mu.Unlock()
	if err != nil {
		return nil, err
	}

	return data.take(), nil
}

// isClient tells whether we were the client of the handshake.
func (t *DTLSTransport) isClient() bool {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.client
}

var errNotConnected = errors.New("it is not connected")
