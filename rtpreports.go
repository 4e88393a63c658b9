package webrtc

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"os"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/transport/v5/deadline"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// compoundReport is one compound RTCP packet, behind the interceptors.
type compoundReport struct {
	packet     []byte
	attributes interceptor.Attributes
}

// maxQueuedReports is how many reports wait for a program that reads them. The
// oldest make room: what counts is the newest.
const maxQueuedReports = 64

// reportQueue is the RTCP that concerns one stream, for the program to read. Any
// number of readers may wait.
type reportQueue struct {
	limit *deadline.Deadline

	mu      sync.Mutex
	reports []compoundReport
	ended   error
	changed lifecycle.Changes
}

func newReportQueue() *reportQueue { return &reportQueue{limit: deadline.New()} }

func (q *reportQueue) put(r compoundReport) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return
	}
	if len(q.reports) == maxQueuedReports {
		q.reports = append(q.reports[:0], q.reports[1:]...)
	}
	q.reports = append(q.reports, r)
	q.changed.Note()
}

func (q *reportQueue) end(cause error) {
	q.mu.Lock()
	if q.ended == nil {
		q.ended = cause
		q.changed.Note()
	}
	q.mu.Unlock()
	q.limit.Set(time.Time{}) // its timer
}

// next takes the oldest report, and waits for it. One of more than room bytes
// stays, and the error is io.ErrShortBuffer.
func (q *reportQueue) next(ctx context.Context, op string, room int) (compoundReport, error) {
	for {
		if ctx.Err() != nil {
			return compoundReport{}, opError(op, contextError(ctx))
		}
		select {
		case <-q.limit.Done():
			return compoundReport{}, opError(op, os.ErrDeadlineExceeded)
		default:
		}
		r, changed, err := q.pop(room)
		if changed == nil {
			return r, opError(op, err)
		}
		select {
		case <-changed:
		case <-q.limit.Done():
		case <-ctx.Done():
		}
	}
}

// pop takes the oldest report. If there is none, changed is what to wait for.
func (q *reportQueue) pop(room int) (r compoundReport, changed <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.reports) > 0 && len(q.reports[0].packet) > room:
		return r, nil, io.ErrShortBuffer
	case len(q.reports) > 0:
		r = q.reports[0]
		q.reports = q.reports[1:]

		return r, nil, nil
	case q.ended != nil:
		return r, nil, q.ended
	default:
		return r, q.changed.Next(), nil
	}
}

// setDeadline ends what waits, and will wait, at t. The zero time lifts it.
func (q *reportQueue) setDeadline(t time.Time) {
	q.limit.Set(t)
	if q.hasEnded() { // no timer is left behind
		q.limit.Set(time.Time{})
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed.Note() // whoever waits looks at the new one
}

func (q *reportQueue) hasEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()

	return q.ended != nil
}

// read takes the oldest report as bytes.
func (q *reportQueue) read(ctx context.Context, op string, b []byte) (int, interceptor.Attributes, error) {
	r, err := q.next(ctx, op, len(b))
	if err != nil {
		return 0, nil, err
	}

	return copy(b, r.packet), r.attributes, nil
}

// readPackets takes the oldest report as packets.
func (q *reportQueue) readPackets(ctx context.Context, op string) ([]rtcp.Packet, interceptor.Attributes, error) {
	r, err := q.next(ctx, op, math.MaxInt)
	if err != nil {
		return nil, nil, err
	}
	packets, err := rtcp.Unmarshal(r.packet) // the attributes' are the interceptors' too

	return packets, r.attributes, opError(op, err)
}

// What a NACK asks for costs us up to 17 packets for 4 bytes of the peer's, and the
// interceptors that answer have no limit. A path of 100 Mbit/s that loses one packet
// in ten asks for about 1,000 packets a second, 1,200 bytes each, so what is far
// beyond that repairs nothing. maxRepeats can be asked for at once, and as many again
// in each second.
const (
	maxRepeats     = 4096
	repeatInterval = time.Second / maxRepeats
)

// repeatLimit bounds what the peer may ask for again. It belongs to the goroutine
// that handles reports.
type repeatLimit struct {
	full time.Time     // when all that was used has grown again; used is what lies ahead
	seen *repeatedSeen // nil until a NACK has come
}

// repeatedSeen are numbers that were asked for, a bit each.
type repeatedSeen [1 << 16 / 64]uint64

// mark tells whether the number was not there.
func (s *repeatedSeen) mark(number uint16) bool {
	word, bit := &s[number/64], uint64(1)<<(number%64)
	fresh := *word&bit == 0
	*word |= bit

	return fresh
}

const (
	rtcpWord     = 4 // what an RTCP packet is counted in, in bytes
	nackHeader   = 3 * rtcpWord
	rtcpCount    = 0x1f // of the first byte: the number of parts, or the format
	rtcpPadded   = 0x20
	nackBlock    = 17 // numbers in one word of a NACK
	shortestRTCP = rtcpWord
)

// limit takes from a compound packet the numbers that it asks for twice of a stream,
// and those for which nothing is left; cut is how many the latter are. It changes the
// packet in place. What cannot be read stays as it is: the interceptors refuse it.
// https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1
func (l *repeatLimit) limit(packet []byte) (rest []byte, cut uint64) {
	if !hasNACK(packet) {
		return packet, 0
	}
	now := time.Now()
	if l.full.Before(now) {
		l.full = now
	}
	if l.seen == nil {
		l.seen = new(repeatedSeen)
	}
	left := int((time.Second - l.full.Sub(now)) / repeatInterval)
	had, stream, known := left, uint32(0), false
	rest = packet[:0]
	for len(packet) >= shortestRTCP {
		size := rtcpSize(packet)
		if size > len(packet) {
			break
		}
		part := packet[:size]
		packet = packet[size:]
		if isNACK(part) {
			if media := binary.BigEndian.Uint32(part[2*rtcpWord:]); !known || media != stream {
				*l.seen, stream, known = repeatedSeen{}, media, true
			}
			var refused uint64
			part, left, refused = l.limitOne(part, left)
			cut += refused
		}
		rest = append(rest, part...) // never beyond what was read
	}
	l.full = l.full.Add(time.Duration(had-left) * repeatInterval)

	return append(rest, packet...), cut
}

// limitOne is limit for one NACK. Without a number it is nothing.
func (l *repeatLimit) limitOne(nack []byte, left int) (rest []byte, still int, cut uint64) {
	rest = nack[:nackHeader]
	for words := nack[nackHeader:]; len(words) > 0; words = words[rtcpWord:] {
		first := binary.BigEndian.Uint16(words)
		asked := uint32(binary.BigEndian.Uint16(words[2:]))<<1 | 1 // bit n is first+n
		for n := range uint16(nackBlock) {
			bit := uint32(1) << n
			switch {
			case asked&bit == 0:
			case !l.seen.mark(first + n):
				asked &^= bit
			case left == 0:
				asked &^= bit
				cut++
			default:
				left--
			}
		}
		if asked == 0 {
			continue
		}
		skipped := bits.TrailingZeros32(asked) // a word begins with a number that is asked for
		rest = binary.BigEndian.AppendUint16(rest, first+uint16(skipped))
		rest = binary.BigEndian.AppendUint16(rest, uint16(asked>>skipped>>1)) //nolint:gosec // 16 bits are left
	}
	if len(rest) == nackHeader {
		return nil, left, cut
	}
	if len(rest) < len(nack) {
		rest[0] &^= rtcpPadded // nobody here has told padding from numbers
		binary.BigEndian.PutUint16(rest[2:], uint16(len(rest)/rtcpWord-1))
	}

	return rest, left, cut
}

// hasNACK tells whether there is something to limit.
func hasNACK(packet []byte) bool {
	for len(packet) >= shortestRTCP {
		size := rtcpSize(packet)
		if size > len(packet) {
			return false
		}
		if isNACK(packet[:size]) {
			return true
		}
		packet = packet[size:]
	}

	return false
}

// rtcpSize is how long the first packet says that it is.
func rtcpSize(packet []byte) int { return (int(binary.BigEndian.Uint16(packet[2:])) + 1) * rtcpWord }

func isNACK(packet []byte) bool {
	return packet[0]&rtcpCount == rtcp.FormatTLN && rtcp.PacketType(packet[1]) == rtcp.TypeTransportSpecificFeedback &&
		len(packet) > nackHeader
}

// reportsOf finds the queue of an encoding by its RID: what senders and receivers read
// by is the same but for where their encodings are.
type reportsOf func(op, rid string) (*reportQueue, error)

func (find reportsOf) read(op, rid string, b []byte) (int, interceptor.Attributes, error) {
	queue, err := find(op, rid)
	if err != nil {
		return 0, nil, err
	}

	return queue.read(context.Background(), op, b)
}

func (find reportsOf) readPackets(ctx context.Context, op, rid string) ([]rtcp.Packet, interceptor.Attributes, error) {
	queue, err := find(op, rid)
	if err != nil {
		return nil, nil, err
	}
	if ctx == nil {
		return nil, nil, refuse(op, ErrInvalidArgument, "nil context")
	}

	return queue.readPackets(ctx, op)
}

func (find reportsOf) setDeadline(op, rid string, t time.Time) error {
	queue, err := find(op, rid)
	if err == nil {
		queue.setDeadline(t)
	}

	return err
}
