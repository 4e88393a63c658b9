package dtlsfilter

import (
	"time"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
)

// early bounds the protected records and ChangeCipherSpecs that the module has
// to queue since it has no keys yet. Anybody can send those, so using them up
// must not stop an honest handshake: once the module has keys nothing is
// charged any more, and the peer's retransmission gets through.
type early struct {
	limit   int // bytes
	spent   int
	records int
	keyed   bool // the module has its keys
	open    bool // and has seen ChangeCipherSpec: it queues nothing
}

func (e *early) charge(r record) verdict {
	if e.spent+len(r) > e.limit || e.records == maxEarlyRecords {
		return overBudget
	}
	e.spent += len(r)
	e.records++

	return pass
}

// keep moves the records of a datagram that the module may see to its front
// and returns their length in bytes.
func (f *Filter) keep(datagram []byte, isConnected bool) int {
	// Nearly every datagram of a connection is one protected record.
	if isConnected && f.hs == nil {
		if r := cut(datagram); r != nil && len(r) == len(datagram) &&
			r.wellFormed() && r.epoch() == 1 && protected(r) == pass {
			f.countPassed(r)

			return len(r)
		}
	}
	in := datagramState{connected: isConnected}
	f.begin(&in)
	kept := 0
	for at := 0; at < len(datagram); {
		r := cut(datagram[at:])
		if r == nil {
			f.drop(malformed)

			break
		}
		switch v := f.judge(r, &in); v {
		case later:
		case pass:
			if r.epoch() == 0 {
				r.setNumber(f.renumber)
				f.renumber++
			}
			if kept != at {
				copy(datagram[kept:], r)
			}
			kept += len(r)
		default:
			f.drop(v)
		}
		at += len(r)
	}

	return kept
}

// datagramState is what the judgement of a datagram's records shares.
type datagramState struct {
	connected bool
	sent      sent // before the datagram
	answer    answer
}

type answer uint8

const (
	undecided answer = iota
	answerable
	tooSoon
)

// begin looks at where the module stands. It has dealt with the datagrams
// before this one, or it would not read.
func (f *Filter) begin(in *datagramState) {
	if in.connected {
		if f.hs != nil {
			f.steps, f.messages, f.hs = f.hs.steps, f.hs.next, nil
		}

		return
	}
	f.mu.Lock()
	in.sent = f.sent
	f.mu.Unlock()
	// A client has keys when it sends ChangeCipherSpec, a server when it has
	// got what the client sends in plaintext. A server goes through its queue
	// then, and finds ChangeCipherSpec there; a client does not.
	switch e := &f.early; {
	case in.sent.clientHello:
		e.open = e.open && e.keyed
		e.keyed = in.sent.changeCipherSpec
	default:
		e.keyed = f.hs.clientFlightComplete()
	}
}

// judge decides on one record.
func (f *Filter) judge(r record, in *datagramState) verdict {
	if !r.wellFormed() {
		return malformed
	}
	switch r.epoch() {
	case 0:
		return f.judgePlaintext(r, in)
	case 1:
		v := protected(r)
		if v == pass && !in.connected && r.kind() == protocol.ContentTypeApplicationData {
			return f.hold(r)
		}
		if queued := !f.early.keyed || !f.early.open; v == pass && !in.connected && queued {
			v = f.early.charge(r)
		}
		if v == pass {
			f.countPassed(r)
		}

		return v
	default:
		return unexpected // there is no renegotiation
	}
}

// protected judges what can be seen of a protected record. A ChangeCipherSpec
// under protection has no meaning, and the module takes it without
// authentication.
func protected(r record) verdict {
	switch r.kind() {
	case protocol.ContentTypeAlert, protocol.ContentTypeHandshake, protocol.ContentTypeApplicationData:
	default:
		return unexpected
	}
	if len(r.body()) < minProtected {
		return malformed
	}

	return pass
}

func (f *Filter) judgePlaintext(r record, in *datagramState) verdict {
	if in.connected {
		return f.judgeRetransmission(r, in)
	}
	switch r.kind() {
	case protocol.ContentTypeHandshake:
		from := peer{clientSteps, in.sent.helloVerifyRequest}
		if in.sent.clientHello {
			from = peer{serverSteps, true}
		}

		return f.hs.admit(r, from)
	case protocol.ContentTypeChangeCipherSpec:
		return f.judgeChangeCipherSpec(r)
	case protocol.ContentTypeAlert:
		return f.judgeAlert(r)
	default:
		return unexpected // application data among them
	}
}

func (f *Filter) judgeChangeCipherSpec(r record) verdict {
	if body := r.body(); len(body) != 1 || body[0] != 1 {
		return malformed
	}
	if !f.early.keyed {
		if v := f.early.charge(r); v != pass {
			return v
		}
	}
	f.early.open = true

	return pass
}

// judgeAlert passes what ends a handshake. The module drops the rest of a
// datagram in which it finds a warning.
func (f *Filter) judgeAlert(r record) verdict {
	var a alert.Alert
	if a.Unmarshal(r.body()) != nil || a.Level != alert.Warning && a.Level != alert.Fatal {
		return malformed
	}
	if a.Level != alert.Fatal && a.Description != alert.CloseNotify {
		return unexpected
	}
	f.alert.CompareAndSwap(0, remembered|uint32(a.Level)<<8|uint32(a.Description))

	return pass
}

// judgeRetransmission passes handshake messages of which the module has a
// copy. They tell it that the peer lacks our last flight, and it stores
// nothing of them. https://www.rfc-editor.org/rfc/rfc6347#section-4.2.4
func (f *Filter) judgeRetransmission(r record, in *datagramState) verdict {
	if r.kind() != protocol.ContentTypeHandshake {
		return plaintext
	}
	for body := r.body(); len(body) > 0; {
		h, _, rest, ok := fragment(body)
		if !ok {
			return malformed
		}
		if place(f.steps, h.Type) < 0 || int(h.MessageSequence) >= f.messages || h.FragmentOffset != 0 {
			return plaintext
		}
		body = rest
	}
	if in.answer == undecided {
		in.answer = tooSoon
		if now := time.Now(); now.Sub(f.answered) >= answerInterval {
			f.answered, in.answer = now, answerable
		}
	}
	if in.answer == tooSoon {
		return throttled
	}

	return pass
}
