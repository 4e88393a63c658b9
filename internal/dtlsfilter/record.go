package dtlsfilter

import (
	"encoding/binary"

	"github.com/pion/dtls/v3/pkg/protocol"
)

// A record's header: type, version (2 bytes), epoch (2), number (6), length
// (2). https://www.rfc-editor.org/rfc/rfc6347#section-4.1
const (
	headerSize = 13
	epochAt    = 3
	numberAt   = 5
	lengthAt   = 11

	// minProtected is the least that a protected fragment can have, in bytes:
	// ChaCha20's tag, or the explicit nonce and the tag of CCM_8.
	minProtected = 16
)

// record is one whole record, header included, of a datagram.
type record []byte

// cut returns the first record of a datagram, or nil if there is no whole one.
// The length has to be taken as true, or no later record would be found: what
// follows a wrong one is lost with it.
func cut(datagram []byte) record {
	if len(datagram) < headerSize {
		return nil
	}
	end := headerSize + int(binary.BigEndian.Uint16(datagram[lengthAt:]))
	if end > len(datagram) {
		return nil
	}

	return datagram[:end]
}

func (r record) kind() protocol.ContentType { return protocol.ContentType(r[0]) }
func (r record) epoch() uint16              { return binary.BigEndian.Uint16(r[epochAt:]) }
func (r record) body() []byte               { return r[headerSize:] }

// wellFormed tells whether the header can be one of DTLS 1.2, whose first
// records may carry the version of DTLS 1.0. An empty record is legal for
// application data alone, where it still has the cipher's overhead.
func (r record) wellFormed() bool {
	return len(r) > headerSize && r[1] == protocol.Version1_2.Major &&
		(r[2] == protocol.Version1_2.Minor || r[2] == protocol.Version1_0.Minor)
}

// number is the record's 48-bit sequence number within its epoch.
func (r record) number() uint64 {
	return uint64(binary.BigEndian.Uint16(r[numberAt:]))<<32 | uint64(binary.BigEndian.Uint32(r[numberAt+2:]))
}

func (r record) setNumber(n uint64) {
	binary.BigEndian.PutUint16(r[numberAt:], uint16(n>>32))
	binary.BigEndian.PutUint32(r[numberAt+2:], uint32(n))
}
