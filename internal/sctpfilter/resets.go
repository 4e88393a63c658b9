package sctpfilter

import (
	"encoding/binary"
	"slices"
)

// Parameters of a RE-CONFIG chunk.
// https://www.rfc-editor.org/rfc/rfc6525#section-4
const (
	paramResetRequest  = 13
	paramResetResponse = 16
	resetFixedLen      = 12 // the value of a request before its stream ids
	resultInProgress   = 6
)

const (
	maxResetIDs = 1024 // streams that one request may name
	// What requests may take that wait for data that was sent before them, or
	// for the end of HoldResets, in bytes: a request for each of 1,024 channels,
	// as pion/sctp sends them, takes a third.
	maxDeferred = 512 << 10
)

// resetRequest is the peer's request to reset streams that it sends on.
type resetRequest struct {
	number uint32 // its sequence number
	last   uint32 // the last TSN before it
	packet []byte // it alone, ready for the association
	ids    []uint16
}

// size is about what it takes, in bytes.
func (r *resetRequest) size() int { return 96 + len(r.packet) + 2*len(r.ids) }

// reconfig decides about a RE-CONFIG chunk. The responses stay in the packet;
// the requests are taken out, and each is handed on alone when all data before
// it was handled. The association then performs it at once: it would answer a
// request that has to wait again with every TSN that comes. It returns how
// much of the chunk stays, in bytes with the chunk header.
func (f *Filter) reconfig(p, raw []byte) (stays int) {
	var params [2]chunkView
	n := 0
	for b := raw[chunkHeaderLen:]; len(b) > 0; n++ {
		param, rest, ok := nextChunk(b)
		if !ok || n == len(params) || !reconfigFits(param) {
			f.drop(&f.counts.badResets, "RE-CONFIG that cannot be used")

			return 0
		}
		params[n], b = param, rest
	}
	stays = chunkHeaderLen
	for _, param := range params[:n] {
		if param.flags == paramResetRequest {
			f.defers(p, param.value)

			continue
		}
		f.response(param.value)
		// There is room: the parameter came from here or from further behind.
		response := packResponse(param.value)
		stays += copy(raw[stays:], response[:])
	}
	if stays == chunkHeaderLen {
		return 0
	}
	binary.BigEndian.PutUint16(raw[2:], uint16(stays))

	return stays
}

// reconfigFits tells whether pion/sctp knows and can perform a parameter. A
// request without ids means all streams, which it would answer and not do.
func reconfigFits(param chunkView) bool {
	if param.kind != 0 {
		return false
	}
	switch param.flags {
	case paramResetResponse:
		return len(param.value) >= 8
	case paramResetRequest:
		ids := len(param.value) - resetFixedLen
		if ids < 2 || ids > 2*maxResetIDs || ids%2 != 0 {
			return false
		}
		for b := param.value[resetFixedLen:]; len(b) > 0; b = b[2:] {
			if binary.BigEndian.Uint16(b) == Sink {
				return false
			}
		}

		return true
	default:
		return false
	}
}

// packResponse encodes a response anew, without what may follow its result.
func packResponse(value []byte) (b [chunkHeaderLen + 8]byte) {
	b[1], b[3] = paramResetResponse, byte(len(b))
	copy(b[chunkHeaderLen:], value)

	return b
}

// defers keeps a request until it is due.
func (f *Filter) defers(p, value []byte) {
	d := &f.in
	r := resetRequest{number: binary.BigEndian.Uint32(value), last: binary.BigEndian.Uint32(value[8:])}
	same := func(have resetRequest) bool { return have.number == r.number }
	if slices.ContainsFunc(d.deferred, same) {
		return
	}
	ids, place := value[resetFixedLen:], d.resets.place(r.number)
	switch {
	case place == resetFar:
		f.drop(&f.counts.badResets, "request to reset streams that is too far ahead")

		return
	case place == resetDone:
		// The answer was lost. The association shall answer again, but the
		// streams may have a new life by now: it gets a request for none.
		ids, r.last = nil, d.window.cumulative
		binary.BigEndian.PutUint32(value[8:], r.last)
	case before(r.last, d.window.cumulative):
		r.last = d.window.cumulative // for the order below; the packet keeps what it says
	}
	for b := ids; len(b) > 0; b = b[2:] {
		r.ids = append(r.ids, binary.BigEndian.Uint16(b))
	}
	r.packet = packRequest(p, value[:resetFixedLen+len(ids)])
	if d.deferredSize+r.size() > maxDeferred {
		// It is not answered, so it comes again.
		f.drop(&f.counts.badResets, "too many requests to reset streams")

		return
	}
	// By their last TSN, so that the first is the first to be due.
	at, _ := slices.BinarySearchFunc(d.deferred, r.last, func(have resetRequest, last uint32) int {
		if before(last, have.last) {
			return 1
		}

		return -1
	})
	d.deferred = slices.Insert(d.deferred, at, r)
	d.deferredSize += r.size()
}

// packRequest makes a packet of one request, with the common header of p.
func packRequest(p, value []byte) []byte {
	length := chunkHeaderLen + len(value)
	b := make([]byte, commonHeaderLen+chunkHeaderLen+pad4(length))
	copy(b, p[:commonHeaderLen])
	chunk := b[commonHeaderLen:]
	chunk[0] = chunkReconfig
	binary.BigEndian.PutUint16(chunk[2:], uint16(chunkHeaderLen+length))
	chunk[5] = paramResetRequest
	binary.BigEndian.PutUint16(chunk[6:], uint16(length))
	copy(chunk[8:], value)
	seal(b)

	return b
}

// dueReset hands on a request that may be performed now, as a packet; nil if
// there is none.
func (f *Filter) dueReset() []byte {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	packet := f.in.due()
	if packet != nil {
		f.in.packet++
		f.handOn()
	}

	return packet
}

// due returns the packet of a request that may be performed now, nil if there
// is none. Everything that was handed on has been handled.
func (d *inbound) due() []byte {
	if d.hold || len(d.deferred) == 0 || before(d.window.cumulative, d.deferred[0].last) {
		return nil
	}
	r := d.deferred[0]
	d.deferred[0] = resetRequest{}
	if d.deferred = d.deferred[1:]; len(d.deferred) == 0 {
		d.deferred = nil
	}
	d.deferredSize -= r.size()
	d.resets.add(r.number)
	for _, id := range r.ids {
		if s := d.streams[id]; s != nil && !s.gone {
			s.gone, s.asked = true, true
			d.asked = append(d.asked, id)
		}
	}

	return r.packet
}

// response notes the peer's answer to a request of ours, if it is final.
func (f *Filter) response(value []byte) {
	d, number := &f.in, binary.BigEndian.Uint32(value)
	if binary.BigEndian.Uint32(value[4:]) == resultInProgress {
		return
	}
	f.now.answered = append(f.now.answered, d.sent[number]...)
	delete(d.sent, number)
}

// sentReconfig learns from a RE-CONFIG chunk of ours which streams we reset.
func (d *inbound) sentReconfig(chunk chunkView) {
	param, _, ok := nextChunk(chunk.value)
	if !ok || param.kind != 0 || param.flags != paramResetRequest || len(param.value) < resetFixedLen {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	number := binary.BigEndian.Uint32(param.value)
	// First sends come in the order of their numbers. A repetition may cross its
	// answer, and then is of a life that is over.
	if d.sent != nil && !before(d.lastSent, number) {
		return
	}
	var ids []uint16
	for b := param.value[resetFixedLen:]; len(b) >= 2; b = b[2:] {
		id := binary.BigEndian.Uint16(b)
		ids = append(ids, id)
		if s := d.streams[id]; s != nil {
			s.reset = true
		}
	}
	if d.sent == nil {
		d.sent = make(map[uint32][]uint16)
	}
	d.sent[number], d.lastSent = ids, number
}
