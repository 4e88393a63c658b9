package dtlsfilter

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

// sent is what the module has sent in plaintext.
type sent struct {
	next  uint64 // the record number after the highest
	ended bool   // by an alert of ours: nothing more goes out

	clientHello        bool // we are the client
	helloVerifyRequest bool
	changeCipherSpec   bool
}

func (s *sent) note(datagram []byte) {
	for r := cut(datagram); r != nil; r = cut(datagram) {
		datagram = datagram[len(r):]
		if r.epoch() != 0 || !r.wellFormed() {
			continue
		}
		s.next = max(s.next, r.number()+1)
		s.changeCipherSpec = s.changeCipherSpec || r.kind() == protocol.ContentTypeChangeCipherSpec
		if r.kind() == protocol.ContentTypeHandshake {
			message := handshake.Type(r.body()[0])
			s.clientHello = s.clientHello || message == handshake.TypeClientHello
			s.helloVerifyRequest = s.helloVerifyRequest || message == handshake.TypeHelloVerifyRequest
		}
	}
}

// WriteTo sends a datagram; the address is not looked at. An error of the path
// is hidden: a datagram may be lost in any case, and the module would give up
// the connection. After Close, and on a path that is closed, it returns the
// error.
func (f *Filter) WriteTo(p []byte, _ net.Addr) (int, error) {
	phase := f.phase.Load()
	if phase&closed != 0 {
		return 0, net.ErrClosed
	}
	if phase&connected == 0 {
		f.mu.Lock()
		f.sent.note(p)
		ended := f.sent.ended
		f.mu.Unlock()
		if ended {
			return len(p), nil
		}
	}
	if err := f.send(p); err != nil {
		return 0, err
	}

	return len(p), nil
}

func (f *Filter) send(p []byte) error {
	_, err := f.path.Write(p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return err
	}
	f.counters.writeErrors.Add(1)
	if f.log != nil {
		f.log.Tracef("DTLS datagram not sent: %v", err)
	}

	return nil
}

// WriteAlert tells the peer, in plaintext, that the handshake has ended, and
// returns whether it did. It does nothing once connected, and after an earlier
// one. A peer that has not begun yet finds it when it does: the path keeps
// what nobody reads. It works after Close too, which the module
// calls by itself when a handshake is cancelled. After a fatal alert or a
// close_notify nothing more is sent, so that no record of the module can take
// the alert's number.
func (f *Filter) WriteAlert(level alert.Level, description alert.Description) bool {
	if f.phase.Load()&connected != 0 {
		return false
	}
	f.mu.Lock()
	if f.sent.ended {
		f.mu.Unlock()

		return false
	}
	number := f.sent.next
	f.sent.next++
	f.sent.ended = level == alert.Fatal || description == alert.CloseNotify
	f.mu.Unlock()

	r := make(record, headerSize, headerSize+2)
	r[0] = byte(protocol.ContentTypeAlert)
	r[1], r[2] = protocol.Version1_2.Major, protocol.Version1_2.Minor
	r.setNumber(number)
	binary.BigEndian.PutUint16(r[lengthAt:], 2)
	r = append(r, byte(level), byte(description))

	return f.send(r) == nil
}
