package udpmux

import (
	"bytes"
	"encoding/binary"
)

// kind is what a packet is to the mux.
type kind uint8

const (
	kindData       kind = iota // no STUN
	kindMalformed              // STUN that nobody can use
	kindCheck                  // a binding request with a USERNAME of two halves
	kindAnswer                 // a success response to one
	kindRefusal                // an error response to one
	kindIndication             // a binding indication, which keeps a path open
)

// https://www.rfc-editor.org/rfc/rfc8489#section-5
const (
	stunHeader = 20
	stunCookie = 0x2112a442

	typeCheck      = 0x0001
	typeIndication = 0x0011
	typeAnswer     = 0x0101
	typeRefusal    = 0x0111

	attrUsername     = 0x0006
	attrIntegrity    = 0x0008
	attrIntegrity256 = 0x001c
	attrUseCandidate = 0x0025 // https://www.rfc-editor.org/rfc/rfc8445#section-16.1
)

// transaction is the ID of one, without the cookie.
type transaction [12]byte

// message is what the mux has to know of a packet.
type message struct {
	kind kind
	id   transaction // zero for data
	// ufrag is the receiver's, of a check. It is a part of the packet.
	ufrag []byte
	// nominates tells whether a check has USE-CANDIDATE.
	nominates bool
}

// classify reads a packet. It allocates nothing. Whatever is in the packet, it
// only decides where it goes; the agent reads it once more.
func classify(packet []byte) message {
	// As the agent tells STUN from data, so that nothing gets there as the
	// other of the two.
	if len(packet) < stunHeader || binary.BigEndian.Uint32(packet[4:]) != stunCookie {
		return message{kind: kindData}
	}
	m := message{kind: kindMalformed}
	copy(m.id[:], packet[8:stunHeader])
	attributes := packet[stunHeader:]
	if int(binary.BigEndian.Uint16(packet[2:])) != len(attributes) {
		return m
	}
	switch binary.BigEndian.Uint16(packet) {
	case typeCheck:
		m.readCheck(attributes)
	case typeAnswer:
		m.kind = kindAnswer
	case typeRefusal:
		m.kind = kindRefusal
	case typeIndication:
		m.kind = kindIndication
	}

	return m
}

// readCheck reads the attributes that the integrity of the check is over; what
// follows it may be anybody's, and only has to be well formed.
func (m *message) readCheck(attributes []byte) {
	var username []byte
	over := false
	for len(attributes) > 0 {
		if len(attributes) < 4 {
			return
		}
		attribute, length := binary.BigEndian.Uint16(attributes), int(binary.BigEndian.Uint16(attributes[2:]))
		padded := 4 + (length+3)&^3
		if padded > len(attributes) {
			return
		}
		switch {
		case over:
		case attribute == attrIntegrity || attribute == attrIntegrity256:
			over = true
		case attribute == attrUsername && username == nil:
			username = attributes[4 : 4+length]
		case attribute == attrUseCandidate:
			m.nominates = true
		}
		attributes = attributes[padded:]
	}
	ufrag, _, halves := bytes.Cut(username, []byte{':'})
	if halves && len(ufrag) > 0 {
		m.kind, m.ufrag = kindCheck, ufrag
	}
}
