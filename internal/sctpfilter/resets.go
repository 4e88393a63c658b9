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
	maxDeferred = 64   // requests that wait for data that was sent before them
)

// resetRequest is the peer's request to reset streams that it sends on.
type resetRequest struct {
	number uint32 // its sequence number
	last   uint32 // the last TSN before it
	packet []byte // it alone, ready for the association
	ids    []uint16
}

// performed remembers the requests that the association has performed: the
// highest number, and which of the 64 below it.
type performed struct {
	some    bool
	highest uint32
	below   uint64
}

func (p *performed) has(number uint32) bool {
	if !p.some || before(p.highest, number) {
		return false
	}
	back := p.highest - number

	return back == 0 || back > 64 || p.below&(1<<(back-1)) != 0
}

func (p *performed) add(number uint32) {
	switch {
	case !p.some:
		*p = performed{some: true, highest: number}
	case before(p.highest, number):
		ahead := number - p.highest
		if ahead > 64 {
			p.below = 0
		} else {
			p.below = p.below<<ahead | 1<<(ahead-1)
		}
		p.highest = number
	default:
		if back := p.highest - number; back >= 1 && back <= 64 {
			p.below |= 1 << (back - 1)
		}
	}
}

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
	ids := value[resetFixedLen:]
	if d.resets.has(r.number) {
		// The answer was lost. The association shall answer again, but the
		// streams may have a new life by now: it gets a request for none.
		ids, r.last = nil, d.window.cumulative
		binary.BigEndian.PutUint32(value[8:], r.last)
	}
	for b := ids; len(b) > 0; b = b[2:] {
		r.ids = append(r.ids, binary.BigEndian.Uint16(b))
	}
	same := func(have resetRequest) bool { return have.number == r.number }
	if slices.ContainsFunc(d.deferred, same) {
		return
	}
	if len(d.deferred) >= maxDeferred {
		f.drop(&f.counts.badResets, "too many requests to reset streams")

		return
	}
	length := chunkHeaderLen + resetFixedLen + len(ids)
	b := make([]byte, commonHeaderLen+chunkHeaderLen+pad4(length))
	copy(b, p[:commonHeaderLen])
	chunk := b[commonHeaderLen:]
	chunk[0] = chunkReconfig
	binary.BigEndian.PutUint16(chunk[2:], uint16(chunkHeaderLen+length))
	chunk[5] = paramResetRequest
	binary.BigEndian.PutUint16(chunk[6:], uint16(length))
	copy(chunk[8:], value[:resetFixedLen+len(ids)])
	seal(b)
	r.packet = b
	d.deferred = append(d.deferred, r)
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
	if d.hold {
		return nil
	}
	for i, r := range d.deferred {
		if before(d.window.cumulative, r.last) {
			continue
		}
		d.deferred = slices.Delete(d.deferred, i, i+1)
		d.resets.add(r.number)
		for _, id := range r.ids {
			if s := d.streams[id]; s != nil && !s.gone {
				s.gone, s.asked = true, true
				d.asked = append(d.asked, id)
			}
		}

		return r.packet
	}

	return nil
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
	if _, again := d.sent[number]; again {
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
	d.sent[number] = ids
}
