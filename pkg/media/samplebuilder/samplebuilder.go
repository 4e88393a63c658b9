// Package samplebuilder puts RTP packets back in order and together to samples:
// frames of video, packets of audio.
package samplebuilder

import (
	"math"
	"time"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/pkg/media"
)

const (
	// maxReady is how many samples wait to be popped. Those before them are
	// thrown away, and count as dropped.
	maxReady = math.MaxUint16

	// misorder is how far a sequence number may go back to be that of a late
	// packet, if maxLate is not more. Two packets in a row further back are of a
	// source that has begun anew. https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1
	misorder = 100
)

// SampleBuilder keeps packets until a sample is whole: all packets from one that
// begins a sample to one that ends it, or to the first with another timestamp.
// A sample is given out when the packet after it is there as well, because that
// tells its duration. A packet that is missing is waited for until there are
// more than maxLate sequence numbers, or more time than WithMaxTimeDelay, from
// the oldest packet to the newest.
//
// It is for one goroutine at a time.
type SampleBuilder struct {
	maxLate      uint16
	maxDelay     uint32 // in ticks; zero is none
	depacketizer rtp.Depacketizer
	sampleRate   uint32
	released     func(*rtp.Packet)
	inspect      func(headPacket any) any
	wantHeaders  bool

	// packets are those of the window from head to before tail: the sequence
	// numbers of which nothing has been given out or given up.
	packets    map[uint16]*rtp.Packet
	head, tail uint16
	open       bool // there is a window
	consumed   bool // something before head was given out or given up
	far        uint16
	farSeen    bool // far would be the second packet of a source that has begun anew

	ready   []ready // to be popped
	dropped int     // packets since the last sample
	lastAt  uint32  // timestamp of the last sample
	built   bool    // there was one
}

// ready is a sample, and how many packets it and those dropped before it are.
type ready struct {
	sample  *media.Sample
	packets int
}

// Option sets up a SampleBuilder.
type Option func(o *SampleBuilder)

// WithPacketReleaseHandler sets a function that is given each packet that the
// builder has no more use for: one that has become part of a sample, was
// dropped, came late or twice. It is called within Push, Pop and Flush, and must
// not call them.
func WithPacketReleaseHandler(h func(*rtp.Packet)) Option {
	return func(o *SampleBuilder) { o.released = h }
}

// WithPacketHeadHandler sets a function whose result becomes the Metadata of
// each sample. It is given the depacketizer when that has read the first packet
// of the sample.
func WithPacketHeadHandler(h func(headPacket any) any) Option {
	return func(o *SampleBuilder) { o.inspect = h }
}

// WithMaxTimeDelay bounds how long a missing packet is waited for, by the
// timestamps of those that are there. If zero or negative, there is no bound but
// maxLate.
func WithMaxTimeDelay(maxLateDuration time.Duration) Option {
	return func(o *SampleBuilder) {
		ticks := maxLateDuration.Seconds() * float64(o.sampleRate)
		// Half of what a timestamp can tell apart is as good as no bound.
		if ticks < 1 || ticks > math.MaxInt32 {
			ticks = 0
		}
		o.maxDelay = uint32(ticks)
	}
}

// WithRTPHeaders puts the headers of a sample's packets into its RTPHeaders.
func WithRTPHeaders(enable bool) Option {
	return func(o *SampleBuilder) { o.wantHeaders = enable }
}

// New makes a builder. maxLate is how many sequence numbers a missing packet is
// waited for: more of them lose fewer packets and delay samples further.
// depacketizer is one of github.com/pion/rtp/codecs, for this builder alone; if
// it is nil, no samples come. sampleRate is that of the codec's clock in hertz,
// 90,000 for video and 48,000 for Opus; if zero, durations are.
func New(maxLate uint16, depacketizer rtp.Depacketizer, sampleRate uint32, opts ...Option) *SampleBuilder {
	// With one less than all numbers a window is never taken for an empty one.
	maxLate = min(maxLate, math.MaxUint16-1)
	s := &SampleBuilder{
		maxLate:      maxLate,
		depacketizer: depacketizer,
		sampleRate:   sampleRate,
		packets:      map[uint16]*rtp.Packet{},
	}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}

	return s
}

// Push adds a packet. It is not copied: neither it nor its payload may be
// changed before it is released. A packet that is nil, late, or there already is
// not kept.
func (s *SampleBuilder) Push(packet *rtp.Packet) {
	if s == nil || packet == nil {
		return
	}
	if s.depacketizer == nil || !s.place(packet) {
		s.release(packet)

		return
	}
	s.purge(false)
}

// place puts a packet into the window, which it may widen. It tells whether the
// packet is kept.
func (s *SampleBuilder) place(packet *rtp.Packet) bool {
	number := packet.SequenceNumber
	if !s.open {
		s.window(number)
	}
	size := s.tail - s.head
	before, after := s.head-number, number-s.tail
	switch {
	case number-s.head < size:
		if s.packets[number] != nil {
			return false
		}
	case number == s.tail || before > after:
		s.tail = number + 1
	case !s.consumed && before <= max(s.maxLate, misorder):
		// The first packets came in another order.
		s.head = number
	case before <= max(s.maxLate, misorder):
		return false
	case !s.farSeen || number != s.far:
		s.far, s.farSeen = number+1, true

		return false
	default:
		s.purge(true)
		s.window(number)
		s.tail++
	}
	s.farSeen = false
	s.packets[number] = packet

	return true
}

// window begins at a sequence number anew.
func (s *SampleBuilder) window(number uint16) {
	s.head, s.tail = number, number
	s.open, s.consumed, s.farSeen = true, false, false
}

// Flush gives up on all packets that are missing: what can be put together of
// the others is there to be popped, and the next packet begins anew. The last
// sample has no duration.
func (s *SampleBuilder) Flush() {
	if s == nil || s.depacketizer == nil {
		return
	}
	s.purge(true)
	s.open = false
}

// purge shortens the window until it is within its bounds, or empty.
func (s *SampleBuilder) purge(all bool) {
	for s.head != s.tail {
		excess, unbounded := int(s.tail-s.head)-int(s.maxLate), all || s.tooOld()
		if excess <= 0 && !unbounded {
			return
		}
		if missing := int(s.next(s.head) - s.head); missing > 0 {
			if !unbounded {
				missing = min(missing, excess)
			}
			s.dropped += missing
			s.head += uint16(missing)
			s.consumed = true

			continue
		}
		if !s.build(true) {
			s.drop(1)
		}
	}
}

// next is the first sequence number from one in the window on that has a packet,
// or the tail. A peer that lets its numbers jump must not make this count them
// one by one.
func (s *SampleBuilder) next(from uint16) uint16 {
	for range len(s.packets) {
		if from == s.tail || s.packets[from] != nil {
			return from
		}
		from++
	}
	distance := s.tail - from
	for number := range s.packets {
		distance = min(distance, number-from)
	}

	return from + distance
}

// tooOld tells whether the time from the first packet to the last is above the
// bound. The last one is always there: it is what the window ends with.
func (s *SampleBuilder) tooOld() bool {
	if s.maxDelay == 0 || len(s.packets) < 2 {
		return false
	}
	first, last := s.packets[s.next(s.head)], s.packets[s.tail-1]
	delay := int64(int32(last.Timestamp - first.Timestamp)) // the difference of a clock that wraps

	return max(delay, -delay) > int64(s.maxDelay)
}

// build makes a sample of the packets at the head, or drops them if they are
// none, and tells whether it did one of these. If it is forced it does not wait
// for what follows the sample.
func (s *SampleBuilder) build(force bool) bool {
	count := s.run()
	if count == 0 {
		return false
	}
	first := s.packets[s.head]
	duration, known := s.duration(first.Timestamp, s.head+count)
	if !known && !force {
		return false
	}
	if !s.depacketizer.IsPartitionHead(first.Payload) {
		s.drop(count)

		return true
	}
	sample := &media.Sample{
		Data:               []byte{},
		Duration:           duration,
		PacketTimestamp:    first.Timestamp,
		PrevDroppedPackets: uint16(min(s.dropped, math.MaxUint16)), // bounded
	}
	for i := range count {
		packet := s.packets[s.head+i]
		data, err := s.depacketizer.Unmarshal(packet.Payload)
		if err != nil {
			s.drop(count)

			return true
		}
		if i == 0 && s.inspect != nil {
			sample.Metadata = s.inspect(s.depacketizer)
		}
		if s.wantHeaders {
			header := packet.Header.Clone()
			sample.RTPHeaders = append(sample.RTPHeaders, &header)
		}
		sample.Data = append(sample.Data, data...)
	}
	s.queue(sample, int(count)+s.dropped)
	s.dropped, s.lastAt, s.built = 0, first.Timestamp, true
	s.consume(count)

	return true
}

// run is the number of packets of the sample at the head, zero if one of them is
// missing.
func (s *SampleBuilder) run() uint16 {
	first := s.packets[s.head]
	if first == nil {
		return 0
	}
	for count := uint16(0); count < s.tail-s.head; count++ {
		packet := s.packets[s.head+count]
		switch {
		case packet == nil:
			return 0
		case packet.Timestamp != first.Timestamp:
			return count
		case s.depacketizer.IsPartitionTail(packet.Marker, packet.Payload):
			return count + 1
		}
	}

	return 0
}

// duration is the time until the packet after a sample, and whether that packet
// is there. Packets of padding are passed over: they have the timestamp of the
// sample before them.
func (s *SampleBuilder) duration(timestamp uint32, after uint16) (time.Duration, bool) {
	missing := false
	for ; after != s.tail; after++ {
		next := s.next(after)
		missing = missing || next != after
		after = next
		if packet := s.packets[after]; len(packet.Payload) > 0 || packet.Timestamp != timestamp {
			if s.sampleRate == 0 {
				return 0, !missing
			}
			nanoseconds := uint64(packet.Timestamp-timestamp) * uint64(time.Second) / uint64(s.sampleRate)

			return time.Duration(min(nanoseconds, math.MaxInt64)), !missing
		}
	}

	return 0, false
}

// drop gives up on the sequence numbers at the head. Packets of padding are no
// loss.
func (s *SampleBuilder) drop(count uint16) {
	for i := range count {
		packet := s.packets[s.head+i]
		padding := packet != nil && len(packet.Payload) == 0 && s.built && packet.Timestamp == s.lastAt
		if !padding {
			s.dropped++
		}
	}
	s.consume(count)
}

// consume takes sequence numbers off the head.
func (s *SampleBuilder) consume(count uint16) {
	s.consumed = true
	for range count {
		packet := s.packets[s.head]
		delete(s.packets, s.head)
		s.head++
		if packet != nil {
			s.release(packet)
		}
	}
}

func (s *SampleBuilder) release(packet *rtp.Packet) {
	if s.released != nil {
		s.released(packet)
	}
}

// queue adds a sample to those that wait.
func (s *SampleBuilder) queue(sample *media.Sample, packets int) {
	s.ready = append(s.ready, ready{sample, packets})
	if len(s.ready) <= maxReady {
		return
	}
	lost, next := s.ready[0].packets, &s.ready[1]
	s.ready = s.ready[1:]
	next.sample.PrevDroppedPackets = uint16(min(int(next.sample.PrevDroppedPackets)+lost, math.MaxUint16)) // bounded
	next.packets += lost
}

// Pop returns the next sample, or nil if none is whole yet.
func (s *SampleBuilder) Pop() *media.Sample {
	if s == nil {
		return nil
	}
	// What is no sample is dropped on the way to the next one.
	for len(s.ready) == 0 && s.head != s.tail && s.build(false) {
	}
	if len(s.ready) == 0 {
		return nil
	}
	sample := s.ready[0].sample
	s.ready[0].sample = nil
	s.ready = s.ready[1:]

	return sample
}

// PopWithTimestamp is Pop and the sample's PacketTimestamp, zero if there is no
// sample.
func (s *SampleBuilder) PopWithTimestamp() (*media.Sample, uint32) {
	sample := s.Pop()
	if sample == nil {
		return nil, 0
	}

	return sample, sample.PacketTimestamp
}
