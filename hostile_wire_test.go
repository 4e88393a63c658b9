package webrtc

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Chunk types and parameters of SCTP that the tests write by hand.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.2
const (
	chunkData        = 0
	chunkInit        = 1
	chunkInitAck     = 2
	chunkSack        = 3
	chunkAbort       = 6
	chunkError       = 9
	chunkIData       = 64
	chunkReconfig    = 130
	chunkForwardTSN  = 192
	chunkIForwardTSN = 194

	paramOutgoingReset    = 13
	paramReconfigResponse = 16

	// Flags of DATA and I-DATA.
	flagEnd       = 1
	flagBegin     = 2
	flagUnordered = 4
	flagSackNow   = 8
	flagsWhole    = flagBegin | flagEnd

	packetHeader = 12
	chunkHeader  = 4
)

// Payload protocol identifiers. https://www.rfc-editor.org/rfc/rfc8831#section-8
const (
	ppidDCEP          = 50
	ppidString        = 51
	ppidBinaryPartial = 52
	ppidBinary        = 53
	ppidStringPartial = 54
	ppidStringEmpty   = 56
	ppidBinaryEmpty   = 57
)

// data is one DATA or I-DATA chunk, after what was negotiated.
type data struct {
	stream uint16
	ppid   uint32
	body   []byte
	flags  byte
	seq    uint32 // stream sequence number, or message identifier
	fsn    uint32 // of a fragment, for I-DATA
}

// marshal encodes the chunk, as the given type.
func (d data) marshal(kind byte, tsn uint32) []byte {
	value := binary.BigEndian.AppendUint32(nil, tsn)
	value = binary.BigEndian.AppendUint16(value, d.stream)
	if kind == chunkData {
		value = binary.BigEndian.AppendUint16(value, uint16(d.seq))
		value = binary.BigEndian.AppendUint32(value, d.ppid)
	} else {
		value = append(value, 0, 0)
		value = binary.BigEndian.AppendUint32(value, d.seq)
		last := d.fsn
		if d.flags&flagBegin != 0 {
			last = d.ppid
		}
		value = binary.BigEndian.AppendUint32(value, last)
	}

	return rawChunk(kind, d.flags, append(value, d.body...))
}

// rawChunk is a chunk with its padding.
func rawChunk(kind, flags byte, value []byte) []byte {
	c := append([]byte{kind, flags, 0, 0}, value...)
	binary.BigEndian.PutUint16(c[2:], uint16(len(c)))
	for len(c)%4 != 0 {
		c = append(c, 0)
	}

	return c
}

// eachChunk calls f with every chunk of a packet, without its padding.
func eachChunk(packet []byte, f func(chunk []byte)) {
	for rest := packet[min(packetHeader, len(packet)):]; len(rest) >= chunkHeader; {
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < chunkHeader || n > len(rest) {
			return
		}
		f(rest[:n])
		rest = rest[min((n+3)&^3, len(rest)):]
	}
}

// seal fills in the checksum.
func seal(packet []byte) []byte {
	clear(packet[8:12])
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, crc32.MakeTable(crc32.Castagnoli)))

	return packet
}

// received is a message, or the first fragment of one, that the victim sent.
type received struct {
	stream uint16
	ppid   uint32
	body   []byte
}

// wire is the net.Conn of a true association, into whose packets others can be
// put. What is put in takes transmission sequence numbers (TSN) of its own; the
// association's are translated, on the way out and in the acknowledgements, so
// that both sides see an unbroken sequence.
//
// It also keeps what the victim has done.
type wire struct {
	*dataSource

	closed atomic.Bool

	mu       sync.Mutex
	tag      uint32   // verification tag that the victim wants
	first    uint32   // TSN of both the association and the wire
	theirs   []uint32 // on the wire, of the association's TSNs from the first
	next     uint32   // on the wire
	acked    uint32   // cumulative, by the victim, on the wire
	window   uint32   // the victim's, in its last SACK
	requests uint32   // of reset that were sent

	resets   map[uint16]int    // streams that the victim has reset, and how often
	asked    map[uint32]bool   // the victim's requests, which it repeats
	answers  map[uint32]uint32 // of the victim to our requests
	messages []received
	aborted  bool
}

func newWire(source *dataSource) *wire {
	return &wire{
		dataSource: source,
		resets:     map[uint16]int{}, asked: map[uint32]bool{}, answers: map[uint32]uint32{},
	}
}

var _ net.Conn = (*wire)(nil)

func (w *wire) Close() error {
	w.closed.Store(true)

	return w.dataSource.SetReadDeadline(time.Unix(1, 0))
}

func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Read gives the association what the victim sent.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.dataSource.Read(p)
	if err != nil || w.closed.Load() {
		return 0, io.EOF
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sealed := binary.LittleEndian.Uint32(p[8:]) != 0
	raw := append([]byte(nil), p[:packetHeader]...)
	eachChunk(p[:n], func(c []byte) { raw = append(raw, w.incoming(c)...) })
	if sealed {
		seal(raw)
	}

	return copy(p, raw), nil
}

// incoming notes what a chunk of the victim says, and translates it.
func (w *wire) incoming(c []byte) []byte {
	value := c[chunkHeader:]
	switch c[0] {
	case chunkSack:
		w.acked, w.window = binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])
		// Nothing is lost on the way: the blocks above the gap can be left out.
		sack := binary.BigEndian.AppendUint32(nil, w.toAssociation(w.acked))
		sack = binary.BigEndian.AppendUint32(sack, w.window)

		return rawChunk(chunkSack, c[1], append(sack, 0, 0, 0, 0))
	case chunkData, chunkIData:
		if c[1]&flagBegin != 0 {
			at := map[byte][2]int{chunkData: {8, 12}, chunkIData: {12, 16}}[c[0]] // PPID, user data
			w.messages = append(w.messages, received{
				stream: binary.BigEndian.Uint16(value[4:]),
				ppid:   binary.BigEndian.Uint32(value[at[0]:]),
				body:   append([]byte(nil), value[at[1]:]...),
			})
		}
	case chunkReconfig:
		eachParam(value, w.reconfig)
	case chunkAbort:
		w.aborted = true
	}

	return rawChunk(c[0], c[1], value)
}

// eachParam calls f with every parameter of a RE-CONFIG chunk.
func eachParam(value []byte, f func(kind uint16, value []byte)) {
	for len(value) >= 4 {
		n := int(binary.BigEndian.Uint16(value[2:]))
		if n < 4 || n > len(value) {
			return
		}
		f(binary.BigEndian.Uint16(value), value[4:n])
		value = value[min((n+3)&^3, len(value)):]
	}
}

func (w *wire) reconfig(kind uint16, value []byte) {
	switch {
	case kind == paramOutgoingReset && len(value) >= 12:
		number := binary.BigEndian.Uint32(value)
		if w.asked[number] {
			return
		}
		w.asked[number] = true
		for ids := value[12:]; len(ids) >= 2; ids = ids[2:] {
			w.resets[binary.BigEndian.Uint16(ids)]++
		}
	case kind == paramReconfigResponse && len(value) >= 8:
		w.answers[binary.BigEndian.Uint32(value)] = binary.BigEndian.Uint32(value[4:])
	}
}

// Write sends a packet of the association.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	raw := append([]byte(nil), p...)
	eachChunk(raw, w.outgoing)
	if tag := binary.BigEndian.Uint32(raw[4:]); tag != 0 {
		w.tag = tag
	}
	if binary.LittleEndian.Uint32(raw[8:]) != 0 {
		seal(raw)
	}
	if _, err := w.dataSource.Write(raw); err != nil {
		return 0, err
	}

	return len(p), nil
}

// outgoing translates a chunk of the association in place.
func (w *wire) outgoing(c []byte) {
	value := c[chunkHeader:]
	switch c[0] {
	case chunkInit, chunkInitAck:
		if len(w.theirs) == 0 {
			w.first = binary.BigEndian.Uint32(value[12:])
			w.next = w.first
			w.acked = w.first - 1
		}
	case chunkData, chunkIData, chunkForwardTSN, chunkIForwardTSN:
		binary.BigEndian.PutUint32(value, w.toWire(binary.BigEndian.Uint32(value)))
	}
}

// toWire translates a TSN, and takes one for each that is new.
func (w *wire) toWire(tsn uint32) uint32 {
	for uint32(len(w.theirs)) <= tsn-w.first {
		w.theirs = append(w.theirs, w.next)
		w.next++
	}

	return w.theirs[tsn-w.first]
}

// toAssociation translates a cumulative acknowledgement.
func (w *wire) toAssociation(acked uint32) uint32 {
	n := sort.Search(len(w.theirs), func(i int) bool { return int32(w.theirs[i]-acked) > 0 })

	return w.first - 1 + uint32(n)
}

// packet makes one of chunks, with what the victim wants in its header.
func (w *wire) packet(chunks ...[]byte) []byte {
	raw := binary.BigEndian.AppendUint32(nil, 5000<<16|5000)
	raw = binary.BigEndian.AppendUint32(raw, w.tag)
	raw = append(raw, 0, 0, 0, 0)
	for _, c := range chunks {
		raw = append(raw, c...)
	}

	return seal(raw)
}

// inject sends chunks in a packet of their own. They are made with the next
// TSN and the number of the next request for a reset; as many are used up as
// used says.
func (w *wire) inject(make func(tsn, request uint32) (chunks [][]byte, used uint32)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	chunks, used := make(w.next, w.first+w.requests)
	w.next += used
	// An error is the end of DTLS, which the test sees where it looks.
	_, _ = w.dataSource.Write(w.packet(chunks...))
}

// resetRequest is a RE-CONFIG chunk that asks for a reset of our streams.
// https://www.rfc-editor.org/rfc/rfc6525#section-4.1
func resetRequest(number, lastTSN uint32, ids []uint16) []byte {
	p := binary.BigEndian.AppendUint16(nil, paramOutgoingReset)
	p = binary.BigEndian.AppendUint16(p, uint16(16+2*len(ids)))
	p = binary.BigEndian.AppendUint32(p, number)
	p = binary.BigEndian.AppendUint32(p, 0)
	p = binary.BigEndian.AppendUint32(p, lastTSN)
	for _, id := range ids {
		p = binary.BigEndian.AppendUint16(p, id)
	}

	return rawChunk(chunkReconfig, 0, p)
}

// insist sends the chunk that was injected last again, until it is
// acknowledged: the victim may send back what comes before its time.
func (w *wire) insist(chunk []byte) {
	for range 100 {
		time.Sleep(10 * hostileMillisecond)
		w.mu.Lock()
		done := int32(w.acked-w.next+1) >= 0
		if !done {
			_, _ = w.dataSource.Write(w.packet(chunk))
		}
		w.mu.Unlock()
		if done {
			return
		}
	}
}
