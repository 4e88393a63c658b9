package srtpsession

import (
	"sync"

	"github.com/pion/rtp"
)

// maxOverhead is what protection adds to a packet at most: a tag, the index of
// SRTCP.
const maxOverhead = 32

// maxSources is how many contributing sources a header has room for.
// https://www.rfc-editor.org/rfc/rfc3550#section-5.1
const maxSources = 15

// outgoing is the room in which one packet is made.
type outgoing struct {
	header rtp.Header
	buf    [MaxPacket + maxOverhead]byte
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// Check refuses what cannot be put on the wire, as WriteRTP does, and returns the
// length of the packet in bytes.
func Check(header *rtp.Header, payload []byte) (size int, err error) {
	size = header.MarshalSize() + len(payload) + int(header.PaddingSize)
	switch {
	case len(header.CSRC) > maxSources:
		return 0, ErrTooManySources
	case header.Padding != (header.PaddingSize > 0): // marshalling would panic
		return 0, ErrPadding
	case size > MaxPacket:
		return 0, ErrTooLarge
	}

	return size, nil
}

// WriteRTP protects a packet and writes it. It returns the length of the packet
// before that, in bytes; beside an error only if the path has not taken it. header
// and payload are not kept.
func (s *Session) WriteRTP(header *rtp.Header, payload []byte) (int, error) {
	if err := s.endedWith(); err != nil {
		return 0, err
	}
	size, err := Check(header, payload)
	if err != nil {
		return 0, err
	}
	o, _ := outgoings.Get().(*outgoing)
	defer outgoings.Put(o)
	n, err := header.MarshalTo(o.buf[:size])
	if err != nil {
		return 0, err
	}
	n += copy(o.buf[n:size], payload)
	clear(o.buf[n:size]) // there is what an earlier packet has left
	if header.Padding {
		o.buf[size-1] = header.PaddingSize
	}
	n = size

	return s.protect(n, func() ([]byte, error) {
		if u := s.out.used[header.SSRC]; u != nil && !u.admit(header.SequenceNumber, o.buf[:n]) {
			return nil, ErrNumberUsed
		}

		return s.out.srtp.EncryptRTP(o.buf[:n], o.buf[:n], &o.header)
	})
}

// WriteRTCP protects an RTCP packet, compound or not, and writes it. What it returns
// is as of WriteRTP.
func (s *Session) WriteRTCP(packet []byte) (int, error) {
	if err := s.endedWith(); err != nil {
		return 0, err
	}
	if len(packet) > MaxPacket {
		return 0, ErrTooLarge
	}
	o, _ := outgoings.Get().(*outgoing)
	defer outgoings.Put(o)
	n := copy(o.buf[:], packet)

	return s.protect(n, func() ([]byte, error) {
		return s.out.srtp.EncryptRTCP(o.buf[:n], o.buf[:n], nil)
	})
}

// protect runs encrypt, which is a context's and so needs the lock, and writes
// what comes of it without. n is the length of the packet.
func (s *Session) protect(n int, encrypt func() ([]byte, error)) (int, error) {
	s.out.mu.Lock()
	path := s.out.path
	if path == nil {
		s.out.mu.Unlock()

		return 0, ErrNotStarted
	}
	packet, err := encrypt()
	s.out.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if _, err = path.Write(packet); err != nil {
		s.counters.writeErrors.Add(1)
	}

	return n, err
}
