package dtlsfilter

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/logging"
	"github.com/stretchr/testify/require"
)

// wire is one end of an in-memory path.
type wire struct {
	in   chan []byte
	gone chan struct{} // closed when the path has ended
	peer *wire
	// change may replace what is sent by any number of datagrams. It runs on
	// the sender's goroutine, one call at a time.
	change func(datagram []byte) [][]byte

	mu       sync.Mutex
	writing  sync.Mutex
	expired  chan struct{} // closed while the read deadline is in the past
	writeErr error
}

func newWires() (a, b *wire) {
	a = &wire{in: make(chan []byte, 4096), gone: make(chan struct{}), expired: make(chan struct{})}
	b = &wire{in: make(chan []byte, 4096), gone: make(chan struct{}), expired: make(chan struct{})}
	a.peer, b.peer = b, a

	return a, b
}

func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	expired := w.expired
	w.mu.Unlock()
	select {
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	select {
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	case <-w.gone:
		return 0, errGone
	case datagram := <-w.in:
		n := copy(p, datagram)
		if n < len(datagram) {
			return n, io.ErrShortBuffer
		}

		return n, nil
	}
}

var errGone = errors.New("the path is gone")

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	err := w.writeErr
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	datagrams := [][]byte{bytes.Clone(p)}
	if w.change != nil {
		datagrams = w.change(datagrams[0])
	}
	for _, d := range datagrams {
		w.peer.deliver(d)
	}

	return len(p), nil
}

// setChange replaces change while the path is in use.
func (w *wire) setChange(change func([]byte) [][]byte) {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.change = change
}

func (w *wire) failWrites(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeErr = err
}

// deliver puts a datagram in front of this end's reader.
func (w *wire) deliver(datagram []byte) {
	select {
	case w.in <- bytes.Clone(datagram):
	default: // full: lost, as on a network
	}
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	isPast := !t.IsZero() && !t.After(time.Now())
	select {
	case <-w.expired:
		if !isPast {
			w.expired = make(chan struct{})
		}
	default:
		if isPast {
			close(w.expired)
		}
	}

	return nil
}

func (*wire) LocalAddr() net.Addr  { return nil }
func (*wire) RemoteAddr() net.Addr { return nil }

// side is one peer: its end of the path, its filter, its connection.
type side struct {
	wire   *wire
	filter *Filter
	conn   *dtls.Conn
}

// certificate is made once, inside the first bubble's clock. Its dates are not
// looked at.
var certificate = sync.OnceValues(selfsign.GenerateSelfSigned)

type options struct {
	cfg         Config
	helloVerify bool
	flight      time.Duration
}

// newPair makes both sides, not yet connected. Call it inside a bubble.
func newPair(t *testing.T, o options) (client, server *side) {
	t.Helper()
	certificate, err := certificate()
	require.NoError(t, err)
	if o.flight == 0 {
		o.flight = time.Second
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled

	client, server = &side{}, &side{}
	client.wire, server.wire = newWires()
	client.filter, server.filter = New(client.wire, o.cfg), New(server.wire, o.cfg)
	client.conn, err = dtls.ClientWithOptions(client.filter, client.filter.RemoteAddr(),
		dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true),
		dtls.WithFlightInterval(o.flight), dtls.WithLoggerFactory(quiet),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret))
	require.NoError(t, err)
	server.conn, err = dtls.ServerWithOptions(server.filter, server.filter.RemoteAddr(),
		dtls.WithCertificates(certificate), dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(!o.helloVerify),
		dtls.WithFlightInterval(o.flight), dtls.WithLoggerFactory(quiet),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = client.conn.Close()
		_ = server.conn.Close()
	})

	return client, server
}

// start runs a side's handshake and calls Connected after it.
func (s *side) start(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		err := s.conn.HandshakeContext(ctx)
		if err == nil {
			s.filter.Connected()
		}
		done <- err
	}()

	return done
}

// connect completes both handshakes and returns the virtual time it took.
func connect(t *testing.T, client, server *side) time.Duration {
	t.Helper()
	took, err := tryConnect(t, client, server)
	require.NoError(t, err)

	return took
}

func tryConnect(t *testing.T, client, server *side) (took time.Duration, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	begin := time.Now()
	fromServer, fromClient := server.start(ctx), client.start(ctx)
	err = errors.Join(<-fromClient, <-fromServer)

	return time.Since(begin), err
}

// echo sends a message each way and expects it alone.
func echo(t *testing.T, client, server *side) {
	t.Helper()
	for _, way := range []struct{ from, to *side }{{client, server}, {server, client}} {
		_, err := way.from.conn.Write([]byte("ping"))
		require.NoError(t, err)
		require.NoError(t, way.to.conn.SetReadDeadline(time.Now().Add(time.Minute)))
		buf := make([]byte, 100)
		n, err := way.to.conn.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "ping", string(buf[:n]))
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// Builders of records.

func makeRecord(kind byte, epoch uint16, number uint64, body []byte) []byte {
	r := make(record, headerSize, headerSize+len(body))
	r[0], r[1], r[2] = kind, 0xfe, 0xfd
	binary.BigEndian.PutUint16(r[epochAt:], epoch)
	r.setNumber(number)
	binary.BigEndian.PutUint16(r[lengthAt:], uint16(len(body)))

	return append(r, body...)
}

// makeFragment builds a handshake fragment that covers content at offset of a
// message of length bytes.
func makeFragment(kind byte, seq uint16, length, offset int, content []byte) []byte {
	h := make([]byte, 12, 12+len(content))
	put24 := func(at, v int) { h[at], h[at+1], h[at+2] = byte(v>>16), byte(v>>8), byte(v) }
	h[0] = kind
	put24(1, length)
	binary.BigEndian.PutUint16(h[4:], seq)
	put24(6, offset)
	put24(9, len(content))

	return append(h, content...)
}

func makeMessage(kind byte, seq uint16, content []byte) []byte {
	return makeRecord(22, 0, 0, makeFragment(kind, seq, len(content), 0, content))
}
