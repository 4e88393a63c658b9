package sctpfilter

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
)

// Belated is the handshake of a peer that makes one although our association
// was made without: it has not got our INIT chunk by signaling, or makes
// nothing of it. The association stays, with all that was written to it, and so
// nothing is lost: the handshake is answered in its name, with what it is, and
// what the peer has chosen anew is translated in every packet. That is its tag,
// and where its TSNs begin; they count its requests to reset streams, too.
//
// Received and Sent may be called by one goroutine each, everything else by any.
type Belated struct {
	own, signaled, peer handshake
	ports               uint32 // of what we send
	offset              uint32 // from the peer's TSNs to those that the association awaits
	cookie              []byte
	initAck             []byte
	echoed              atomic.Bool // the peer has the association
}

var errBelated = errors.New("the peer began a handshake other than the one that it had signaled")

// NewBelated answers a packet with an INIT. local and remote are the INIT
// chunks of the association. If ok is false the packet is none that may be
// answered. The error tells that the INIT asks for what the association, which
// is in use, cannot be any more.
func NewBelated(local, remote, packet []byte) (b *Belated, ok bool, err error) {
	c, sound := walk(packet)
	if !sound || !c.has(chunkInit) || c.tag != 0 || binary.LittleEndian.Uint32(packet[8:]) != checksum(packet) {
		return nil, false, nil
	}
	b = &Belated{ports: swapPorts(c.ports)}
	chunks := [...]chunkView{{}, {}, c.first}
	for i, token := range [...][]byte{local, remote} {
		if chunks[i], _, ok = nextChunk(token); !ok {
			return nil, false, nil
		}
	}
	for i, h := range [...]*handshake{&b.own, &b.signaled, &b.peer} {
		if *h, ok = parseInit(chunks[i]); !ok {
			return nil, false, nil
		}
	}
	if err = b.incompatible(chunks[1].value, chunks[2].value); err != nil {
		return nil, true, err
	}
	b.offset = b.signaled.tsn - b.peer.tsn
	b.cookie = make([]byte, 32)
	_, _ = rand.Read(b.cookie) // never fails
	b.initAck = b.packInitAck(chunks[0])

	return b, true, nil
}

// incompatible compares the INIT with the one that was signaled in what the two
// sides use together. The window is the peer's affair: its SACKs tell.
func (b *Belated) incompatible(signaled, now []byte) error {
	const streams, streamsEnd = 8, 12
	switch was, is := b.signaled, b.peer; {
	case was.interleaving != is.interleaving, was.forward != is.forward, was.iForward != is.iForward:
		return fmt.Errorf("%w: other extensions", errBelated)
	case !bytes.Equal(signaled[streams:streamsEnd], now[streams:streamsEnd]):
		return fmt.Errorf("%w: other numbers of streams", errBelated)
	}

	return nil
}

// packInitAck makes the answer: our INIT chunk as an INIT ACK, with a cookie.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.3
func (b *Belated) packInitAck(own chunkView) []byte {
	length := chunkHeaderLen + pad4(len(own.value)) + chunkHeaderLen + len(b.cookie)
	p := make([]byte, commonHeaderLen, commonHeaderLen+length)
	b.address(p)
	p = append(p, chunkInitAck, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(length)) //nolint:gosec // of two short ones
	p = append(p, own.value...)
	p = append(p, make([]byte, pad4(len(own.value))-len(own.value))...)
	p = binary.BigEndian.AppendUint16(p, paramStateCookie)
	p = binary.BigEndian.AppendUint16(p, uint16(chunkHeaderLen+len(b.cookie))) //nolint:gosec // 36
	p = append(p, b.cookie...)
	seal(p)

	return p
}

// address writes the ports, and the tag that the peer awaits.
func (b *Belated) address(p []byte) {
	binary.BigEndian.PutUint32(p, b.ports)
	binary.BigEndian.PutUint32(p[4:], b.peer.tag)
}

// Answer is the answer to the INIT.
func (b *Belated) Answer() []byte { return b.initAck }

// Restarted tells whether a packet is an INIT of yet another handshake, which
// has to begin anew. Once the peer has the association there is none.
func (b *Belated) Restarted(p []byte) bool {
	if b.echoed.Load() {
		return false
	}
	c, ok := walk(p)

	return ok && c.has(chunkInit) && c.tag == 0 && c.first.initiateTag() != b.peer.tag
}

// Established tells whether the peer has the association.
func (b *Belated) Established() bool { return b.echoed.Load() }

// Received translates a packet of the peer's in place. n is the length of what
// the association gets, 0 for nothing; reply is a packet to send, if any.
func (b *Belated) Received(p []byte) (n int, reply []byte) {
	c, ok := walk(p)
	if !ok || !intact(p) {
		return 0, nil
	}
	summed := binary.LittleEndian.Uint32(p[8:]) != 0
	switch {
	case c.has(chunkInit):
		if summed && c.tag == 0 && c.first.initiateTag() == b.peer.tag && !b.echoed.Load() {
			reply = b.initAck // the first one was lost
		}

		return 0, reply
	case c.has(chunkCookieEcho):
		if !summed || c.tag != b.own.tag || !bytes.Equal(c.first.value, b.cookie) {
			return 0, nil
		}
		b.echoed.Store(true)
		reply = b.packCookieAck()
		// What stands behind it is the association's.
		_, rest, _ := nextChunk(p[commonHeaderLen:])
		if n = commonHeaderLen + copy(p[commonHeaderLen:], rest); len(rest) == 0 {
			return 0, reply
		}
		p = p[:n]
	case c.reflected:
		// It answers a packet that the peer makes nothing of, or ends the
		// handshake before our answer. One to a packet from before says nothing.
		if c.tag != b.peer.tag {
			return 0, nil
		}
		binary.BigEndian.PutUint32(p[4:], b.signaled.tag)
	case !b.echoed.Load() && !c.has(chunkAbort):
		return 0, nil // it cannot know the association yet
	}
	binary.BigEndian.PutUint32(p, defaultPorts)
	translate(p, inboundSequences, b.offset)
	if summed {
		seal(p)
	}

	return len(p), reply
}

func (b *Belated) packCookieAck() []byte {
	p := make([]byte, commonHeaderLen, commonHeaderLen+chunkHeaderLen)
	b.address(p)
	p = append(p, chunkCookieAck, 0, 0, chunkHeaderLen)
	seal(p)

	return p
}

// Sent translates a packet of the association's into a new one for the peer. It
// has a checksum in any case: whether the peer can do without, it has said
// before to another handshake.
func (b *Belated) Sent(p []byte) []byte {
	if len(p) < commonHeaderLen {
		return p
	}
	p = bytes.Clone(p)
	b.address(p)
	translate(p, outboundSequences, -b.offset)
	seal(p)

	return p
}

// sequences are where a packet has numbers that the peer counts.
type sequences struct {
	chunks  []byte // kinds that begin with one
	request []int  // in the parameter of a request to reset streams, in bytes from its beginning
	answer  []int  // in that of an answer
}

var (
	inboundSequences = sequences{
		chunks:  []byte{chunkData, chunkIData, chunkForwardTSN, chunkIForwardTSN},
		request: []int{0, 8}, // its own, and the last TSN before it
	}
	outboundSequences = sequences{
		chunks:  []byte{chunkSack, chunkShutdown},
		request: []int{4}, // that of the peer's last request
		answer:  []int{0},
	}
)

// translate adds to all numbers that the peer counts.
func translate(p []byte, where sequences, offset uint32) {
	for b := p[commonHeaderLen:]; len(b) > 0; {
		chunk, rest, ok := nextChunk(b)
		if !ok {
			return
		}
		if bytes.IndexByte(where.chunks, chunk.kind) >= 0 {
			shift(chunk.value, 0, offset)
			if chunk.kind == chunkSack {
				translateDuplicates(chunk.value, offset)
			}
		}
		if chunk.kind == chunkReconfig {
			translateReconfig(chunk.value, where, offset)
		}
		b = rest
	}
}

func translateReconfig(params []byte, where sequences, offset uint32) {
	for len(params) > 0 {
		param, rest, ok := nextChunk(params)
		if !ok {
			return
		}
		var at []int
		switch int(param.kind)<<8 | int(param.flags) {
		case paramResetRequest:
			at = where.request
		case paramResetResponse:
			at = where.answer
		}
		for _, i := range at {
			shift(param.value, i, offset)
		}
		params = rest
	}
}

// translateDuplicates is for the TSNs at the end of a SACK; its gaps are told
// relative to the first number. https://www.rfc-editor.org/rfc/rfc9260#section-3.3.4
func translateDuplicates(sack []byte, offset uint32) {
	if !sackFits(sack) {
		return
	}
	gaps := int(binary.BigEndian.Uint16(sack[8:]))
	for at := sackFixedLen + 4*gaps; at < len(sack); at += 4 {
		shift(sack, at, offset)
	}
}

// shift adds to the number at a place.
func shift(b []byte, at int, offset uint32) {
	if len(b) >= at+4 {
		binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])+offset)
	}
}
