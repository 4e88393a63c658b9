package dtlsfilter

import (
	"cmp"
	"slices"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

const (
	// maxMessages bounds the messages of one side. A handshake with a few
	// rounds of HelloVerifyRequest needs about ten; the module fails at 1000.
	maxMessages = 64
	// maxFragments bounds the stored fragments. The module fails at 1000, and
	// below it discards.
	maxFragments = 900
	// fragmentCost is charged for each stored fragment beside its record's
	// length in bytes: it costs memory even when it is empty.
	fragmentCost = 32
)

// step is a message of a full handshake.
type step struct {
	kind     handshake.Type
	required bool
}

// What each side sends in plaintext, in this order, with the cipher suites of
// WebRTC: certificates, and ECDHE. Finished never comes in plaintext, and
// HelloRequest asks for a renegotiation, which the module does not know.
// https://www.rfc-editor.org/rfc/rfc5246#section-7.3
var (
	clientSteps = []step{
		{handshake.TypeClientHello, true},
		{handshake.TypeCertificate, false},
		{handshake.TypeClientKeyExchange, true},
		{handshake.TypeCertificateVerify, false},
	}
	serverSteps = []step{
		{handshake.TypeHelloVerifyRequest, false},
		{handshake.TypeServerHello, true},
		{handshake.TypeCertificate, true},
		{handshake.TypeServerKeyExchange, true},
		{handshake.TypeCertificateRequest, false},
		{handshake.TypeServerHelloDone, true},
	}
)

// ahead is how many numbers a message can be beyond the one that is due:
// ServerHelloDone, when ServerHello has not come and a HelloVerifyRequest may.
const ahead = 5

func place(steps []step, kind handshake.Type) int {
	return slices.IndexFunc(steps, func(s step) bool { return s.kind == kind })
}

// transcript follows the plaintext handshake messages that were passed, with
// the rules by which the module assembles them, so that at any time it knows
// what the module has and what a further fragment would make it store.
type transcript struct {
	steps  []step // the peer's, once it has sent one
	next   int    // the message_seq that is due
	last   int    // the place of the message before it; -1 if there was none
	window [ahead + 1]message
	limit  int // bytes
	spent  int // bytes, never refunded
	stored int // fragments

	clientCertificate bool // a certificate that is not empty was assembled
}

// message is one that is not complete, or whose turn has not come.
type message struct {
	known   bool
	kind    handshake.Type
	length  uint32
	covered uint32 // length of the prefix without gaps
	spans   []span // by start; none lies within another
}

type span struct{ start, end uint32 }

func newTranscript(limit int) *transcript { return &transcript{limit: limit, last: -1} }

// peer is what the order of messages depends on.
type peer struct {
	steps []step
	// retries: its first message may come more than once.
	retries bool
}

// fragment takes the first handshake fragment off a record's body.
func fragment(body []byte) (h handshake.Header, content, rest []byte, ok bool) {
	if h.Unmarshal(body) != nil {
		return h, nil, nil, false
	}
	content = body[handshake.HeaderLength:]
	if h.FragmentOffset > h.Length || h.FragmentLength > h.Length-h.FragmentOffset ||
		uint64(h.FragmentLength) > uint64(len(content)) {
		return h, nil, nil, false
	}
	// An empty fragment of a message that is not empty carries nothing.
	if h.FragmentLength == 0 && h.Length != 0 {
		return h, nil, nil, false
	}

	return h, content[:h.FragmentLength], content[h.FragmentLength:], true
}

// admit judges a plaintext handshake record and, if it passes, notes what the
// module is going to store of it. All of the record's fragments must be good.
func (t *transcript) admit(r record, from peer) verdict {
	stores := 0
	for body := r.body(); len(body) > 0; {
		h, content, rest, ok := fragment(body)
		if !ok {
			return malformed
		}
		if v := t.judge(h, body[:len(body)-len(rest)], from); v != pass {
			return v
		}
		if t.lacks(h, content) {
			stores++
		}
		body = rest
	}
	if stores == 0 {
		return pass
	}
	// The module keeps the whole record as long as it needs a part of it.
	cost := len(r) + stores*fragmentCost
	if t.spent+cost > t.limit || t.stored+stores > maxFragments {
		return overBudget
	}
	t.steps = from.steps
	t.spent += cost
	t.stored += stores
	for body := r.body(); len(body) > 0; {
		h, content, rest, _ := fragment(body)
		t.store(h, content)
		body = rest
	}

	return pass
}

// parses tells whether the module can read a message that came in one piece.
// One that it cannot read would keep its number, and the genuine message of
// that number would never be looked at. The module reads a ServerHelloDone
// that is not empty, and the peers then disagree about the transcript.
func parses(h handshake.Header, whole []byte) bool {
	m := handshake.Handshake{KeyExchangeAlgorithm: dtls.CipherSuiteKeyExchangeAlgorithmEcdhe}

	return m.Unmarshal(whole) == nil && (h.Type != handshake.TypeServerHelloDone || h.Length == 0)
}

// judge looks at one fragment; whole is the fragment with its header.
func (t *transcript) judge(h handshake.Header, whole []byte, from peer) verdict {
	at := place(from.steps, h.Type)
	if at < 0 {
		return unexpected
	}
	seq := int(h.MessageSequence)
	if seq < t.next {
		return pass // assembled: the module takes it for a retransmission
	}
	if !t.fits(seq, at, from) {
		return unexpected
	}
	if int(h.Length) > t.limit {
		return overBudget
	}
	// The first fragment settles type and length for the module.
	if m := t.slot(seq); m.known && (m.kind != h.Type || m.length != h.Length) {
		return unexpected
	}
	if h.FragmentLength == h.Length && !parses(h, whole) {
		return malformed
	}

	return pass
}

func (t *transcript) slot(seq int) *message { return &t.window[seq%len(t.window)] }

// fits tells whether the message at a place of its side's order can have this
// number. A message that cannot be true would stand in the way of a genuine
// one: of the same number, or, after the last message, of Finished, which the
// module counts as well. Messages that wait for their turn are not looked at,
// since a forged one of them must not rule out a genuine one.
func (t *transcript) fits(seq, at int, from peer) bool {
	repeated := at == 0 && t.last == 0 && from.retries
	if seq >= maxMessages || at <= t.last && !repeated {
		return false
	}
	// So many messages must, and can, come before it.
	earliest, latest := t.next, t.next
	for i := t.last + 1; i < at; i++ {
		latest++
		if from.steps[i].required {
			earliest++
		}
	}
	if t.last == 0 && at > 0 && from.retries {
		latest++
	}
	// CertificateVerify proves the certificate before it, so there is one.
	if from.steps[at].kind == handshake.TypeCertificateVerify {
		if t.last < place(from.steps, handshake.TypeCertificate) {
			earliest++
		} else if !t.clientCertificate {
			return false
		}
	}

	return earliest <= seq && seq <= latest
}

// lacks tells whether the module would store a fragment: it does unless one
// stored fragment holds all of it.
func (t *transcript) lacks(h handshake.Header, content []byte) bool {
	seq := int(h.MessageSequence)
	if seq < t.next {
		return false
	}
	start, end := h.FragmentOffset, h.FragmentOffset+uint32(len(content))

	return !slices.ContainsFunc(t.slot(seq).spans, func(s span) bool { return s.start <= start && end <= s.end })
}

// store notes a fragment as stored and moves on over the messages that are
// complete then, as the module does.
func (t *transcript) store(h handshake.Header, content []byte) {
	if !t.lacks(h, content) {
		return
	}
	m := t.slot(int(h.MessageSequence))
	if m.known && (m.kind != h.Type || m.length != h.Length) {
		return // two fragments of one record disagree: the first one counts
	}
	m.known, m.kind, m.length = true, h.Type, h.Length
	added := span{h.FragmentOffset, h.FragmentOffset + uint32(len(content))}
	m.spans = slices.DeleteFunc(m.spans, func(s span) bool { return added.start <= s.start && s.end <= added.end })
	at, _ := slices.BinarySearchFunc(m.spans, added.start, func(s span, start uint32) int {
		return cmp.Compare(s.start, start)
	})
	m.spans = slices.Insert(m.spans, at, added)
	for _, s := range m.spans {
		if s.start > m.covered {
			break
		}
		m.covered = max(m.covered, s.end)
	}
	for s := t.slot(t.next); s.known && s.covered == s.length; s = t.slot(t.next) {
		t.last = place(t.steps, s.kind)
		// An empty list of certificates has three bytes.
		t.clientCertificate = t.clientCertificate || s.kind == handshake.TypeCertificate && s.length > 3
		*s = message{}
		t.next++
	}
}

// clientFlightComplete tells a server whether all plaintext that its client
// sends has been assembled, so that the module has its keys.
func (t *transcript) clientFlightComplete() bool {
	if t.last < 0 {
		return false
	}
	kind := t.steps[t.last].kind

	return kind == handshake.TypeCertificateVerify ||
		kind == handshake.TypeClientKeyExchange && !t.clientCertificate
}
