package servergather

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	maxStreamPackets = 1024
	maxStreamBytes   = 1 << 20
)

// stream is a connection to a server over TCP or TLS as packets. A write goes
// into a queue, since the server may stop reading; what does not fit is lost,
// as a packet is.
type stream struct {
	raw    net.Conn // of TCP: closing TLS could wait
	conn   net.Conn
	reader *bufio.Reader
	queue  chan []byte
	queued atomic.Int64 // bytes
	lost   atomic.Uint64
	done   chan struct{}
	close  sync.Once
}

func newStream(raw, conn net.Conn, tasks *lifecycle.Group) *stream {
	s := &stream{
		raw: raw, conn: conn, reader: bufio.NewReader(conn),
		queue: make(chan []byte, maxStreamPackets), done: make(chan struct{}),
	}
	tasks.Go(s.write)

	return s
}

func (s *stream) write() {
	for {
		select {
		case packet := <-s.queue:
			s.queued.Add(-int64(len(packet)))
			if _, err := s.conn.Write(packet); err != nil {
				_ = s.Close()

				return
			}
		case <-s.done:
			return
		}
	}
}

func (s *stream) WriteTo(packet []byte, _ net.Addr) (int, error) {
	select {
	case <-s.done:
		return 0, net.ErrClosed
	default:
	}
	size := int64(len(packet))
	if s.queued.Add(size) > maxStreamBytes {
		s.queued.Add(-size)
		s.lost.Add(1)

		return len(packet), nil
	}
	select {
	case s.queue <- append([]byte(nil), packet...):
	default:
		s.queued.Add(-size)
		s.lost.Add(1)
	}

	return len(packet), nil
}

var errFraming = errors.New("neither a STUN message nor channel data")

// ReadFrom reads one message. Channel data is padded over TCP.
// https://www.rfc-editor.org/rfc/rfc8656#section-12.5
func (s *stream) ReadFrom(p []byte) (int, net.Addr, error) {
	header, err := s.reader.Peek(4)
	if err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint16(header[2:]))
	switch header[0] >> 6 {
	case 0:
		size += 20
	case 1:
		size = 4 + (size+3)/4*4
	default:
		return 0, nil, errFraming
	}
	if size > len(p) {
		return 0, nil, io.ErrShortBuffer
	}
	n, err := io.ReadFull(s.reader, p[:size])

	return n, s.conn.RemoteAddr(), err
}

func (s *stream) Close() (err error) {
	s.close.Do(func() {
		close(s.done)
		err = s.raw.Close()
	})

	return err
}

func (s *stream) LocalAddr() net.Addr              { return s.conn.LocalAddr() }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// datagrams is a DTLS connection to a server as packets.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := d.Read(p)

	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(p []byte, _ net.Addr) (int, error) { return d.Write(p) }
