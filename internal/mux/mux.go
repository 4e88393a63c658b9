package mux

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a path that keeps the borders of packets: one Read takes one packet,
// one Write sends one.
type Conn interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// Mux shares a path between DTLS and media. There may be one reader at a time;
// everything else may be called from any goroutine. It lives as long as its
// path and has nothing to close.
type Mux struct {
	conn  Conn
	media atomic.Pointer[func(Class, []byte)]

	read      [classes]atomic.Uint64
	unhandled atomic.Uint64
	oversized atomic.Uint64
}

// New makes a Mux over a path.
func New(conn Conn) *Mux { return &Mux{conn: conn} }

// HandleMedia sets who gets the SRTP and SRTCP packets; nil drops them. The
// handler runs on the reader's goroutine, between two reads, so it must not
// block, and the packet is the reader's buffer: it is valid during the call.
func (m *Mux) HandleMedia(handler func(class Class, packet []byte)) {
	if handler == nil {
		m.media.Store(nil)

		return
	}
	m.media.Store(&handler)
}

// ReadDTLS reads the next DTLS datagram into p and returns its length in
// bytes. Packets of other protocols are read into p as well, so p must have
// room for the largest packet of the path; one that does not fit is dropped.
// Errors are the path's own.
func (m *Mux) ReadDTLS(p []byte) (int, error) {
	for {
		n, err := m.conn.Read(p)
		if errors.Is(err, io.ErrShortBuffer) {
			// The path has consumed the packet; the next one may fit.
			m.oversized.Add(1)

			continue
		}
		if err != nil {
			return n, err
		}
		packet := p[:n]
		class := Classify(packet)
		m.read[class].Add(1)
		switch class {
		case ClassDTLS:
			return n, nil
		case ClassSRTP, ClassSRTCP:
			if handler := m.media.Load(); handler != nil {
				(*handler)(class, packet)
			} else {
				m.unhandled.Add(1)
			}
		default: // counted, and nobody's
		}
	}
}

// Read is ReadDTLS. With it a Mux is a path for DTLS.
func (m *Mux) Read(p []byte) (int, error) { return m.ReadDTLS(p) }

// Write sends one packet of any protocol.
func (m *Mux) Write(p []byte) (int, error) { return m.conn.Write(p) }

// SetReadDeadline sets the path's read deadline; a pending read ends with it.
func (m *Mux) SetReadDeadline(t time.Time) error { return m.conn.SetReadDeadline(t) }

// LocalAddr is the path's local address, nil while it has none.
func (m *Mux) LocalAddr() net.Addr { return m.conn.LocalAddr() }

// RemoteAddr is the path's remote address, nil while it has none.
func (m *Mux) RemoteAddr() net.Addr { return m.conn.RemoteAddr() }

// Stats counts packets since New.
type Stats struct {
	// Packets read, by class.
	Unknown, STUN, ZRTP, DTLS, TURNChannel, SRTP, SRTCP uint64
	// MediaDropped is the part of SRTP and SRTCP that came while there was no
	// handler.
	MediaDropped uint64
	// Oversized counts packets that did not fit into the reader's buffer.
	Oversized uint64
}

// Stats returns the counters. Each is exact; together they are no snapshot.
func (m *Mux) Stats() Stats {
	return Stats{
		Unknown:      m.read[ClassUnknown].Load(),
		STUN:         m.read[ClassSTUN].Load(),
		ZRTP:         m.read[ClassZRTP].Load(),
		DTLS:         m.read[ClassDTLS].Load(),
		TURNChannel:  m.read[ClassTURNChannel].Load(),
		SRTP:         m.read[ClassSRTP].Load(),
		SRTCP:        m.read[ClassSRTCP].Load(),
		MediaDropped: m.unhandled.Load(),
		Oversized:    m.oversized.Load(),
	}
}
