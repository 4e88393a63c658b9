package webrtc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pion/sctp"
)

// channel is what the transport knows of a data channel. All methods but the
// first are called on the association's own goroutine, and do not wait.
type channel interface {
	// associated tells that the association is there.
	associated()
	// readable tells that the channel's stream got data.
	readable()
	// resetting tells that the peer has asked to reset its stream. It is called
	// after every packet until the stream has been read to its end.
	resetting()
	// overflow ends the channel: too much has come that is no message.
	overflow(err error)
	// reap ends a detached channel whose stream both sides have closed, and
	// tells whether the channel has ended.
	reap() (ended bool)
}

// stream is one that the association has: from the first use of its id until
// both directions have been reset. The streamTable guards its fields.
type stream struct {
	id  uint16
	raw *sctp.Stream

	// undeclared is a stream of the peer's whose first message is not complete;
	// expiry stops the timer of that.
	undeclared bool
	expiry     func() bool

	channel  channel // that reads; nil before there is one, and after its end
	detached bool    // the program reads, and the stream is not polled
	closed   bool    // our direction: we have asked for its reset
	answered bool    // the peer has answered that
	reset    bool    // the peer's direction

	gone chan struct{} // closed when both directions have been reset
}

// streamTable knows which stream ids are in use and by whom, and which
// channels wait for the association.
type streamTable struct {
	mu       sync.Mutex
	limit    int
	inUse    map[uint16]channel // nil for a stream that is no channel's, or not any more
	streams  map[uint16]*stream
	sink     *stream                 // what comes on it nobody wants
	early    map[uint16]*sctp.Stream // on which the peer was faster than a channel of ours with its id
	polled   map[uint16]*sctp.Stream // that have a deadline in the past
	channels map[channel]struct{}    // all, also those without an id yet
	last     []DataChannelStats      // of the channels that ended with the association
	client   bool
	ready    bool     // the association is there, and with it the parity
	over     bool     // the association has ended
	next     uint32   // the next id of our parity that was never used
	returned []uint16 // ids of our parity that came back, oldest first
	waiting  []channel
	detached []channel // which the program reads and closes by itself
}

// maxStreamID is the last stream id: 65535 is reserved.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
const maxStreamID = 65534

var (
	errTooManyChannels = errors.New("too many channels")
	errNoStreamID      = errors.New("no stream id is free")
)

func (s *streamTable) init(limit int) {
	s.limit = limit
	s.channels = make(map[channel]struct{})
	s.inUse = make(map[uint16]channel)
	s.streams = make(map[uint16]*stream)
	s.early = make(map[uint16]*sctp.Stream)
	s.polled = make(map[uint16]*sctp.Stream)
}

// minClosing is how many streams at least can wait for the peer to close them,
// beside as many as there can be channels.
const minClosing = 64

// fullLocked tells why there is no room for another stream, nil if there is. A
// stream that was closed keeps its place until the peer has closed it too.
func (s *streamTable) fullLocked() error {
	if n := len(s.streams); n >= s.limit+max(s.limit/4, minClosing) {
		return fmt.Errorf("%w: %d streams wait for the peer to close them", errTooManyChannels, n-len(s.channels))
	}

	return nil
}

// reserve makes room for one channel, and takes its id if it has one. A stream
// that the peer has opened has its id already.
func (s *streamTable) reserve(c channel, id *uint16, opened bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.channels) >= s.limit {
		return fmt.Errorf("%w: the limit is %d", errTooManyChannels, s.limit)
	}
	if !opened {
		if err := s.fullLocked(); err != nil {
			return err
		}
	}
	if id != nil && !opened {
		if _, used := s.inUse[*id]; used {
			return fmt.Errorf("%w: id %d is in use", ErrInvalidArgument, *id)
		}
		s.inUse[*id] = c
	}
	s.channels[c] = struct{}{}

	return nil
}

// allocate takes an id for a channel that has none: even for the DTLS client,
// odd for the server. The one that came back first is used again first.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
func (s *streamTable) allocate(c channel) (uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.next <= maxStreamID; s.next += 2 {
		id := uint16(s.next) //nolint:gosec // bounded by maxStreamID
		if _, used := s.inUse[id]; !used {
			s.inUse[id] = c
			s.next += 2

			return id, nil
		}
	}
	for len(s.returned) > 0 {
		id := s.returned[0]
		s.returned = s.returned[1:]
		if _, used := s.inUse[id]; !used {
			s.inUse[id] = c

			return id, nil
		}
	}

	return 0, errNoStreamID
}

// leave gives a channel's place back, and its id if no stream holds on to it.
func (s *streamTable) leave(c channel, id *uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.channels, c)
	if id == nil {
		return
	}
	open := s.streams[*id]
	switch {
	case open != nil && open.channel == c:
		open.channel = nil
		s.inUse[*id] = nil
	case open == nil && s.inUse[*id] == c:
		s.freeLocked(*id)
	}
}

// free gives back an id that no stream was opened with.
func (s *streamTable) free(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freeLocked(id)
}

func (s *streamTable) freeLocked(id uint16) {
	delete(s.inUse, id)
	delete(s.early, id)
	delete(s.polled, id)
	if s.ready && s.ours(id) && uint32(id) < s.next {
		s.returned = append(s.returned, id)
	}
}

func (s *streamTable) ours(id uint16) bool { return (id%2 == 0) == s.client }

// admit tells what to do with a stream that the peer begins: refuse it, for
// want of room; or open it, and it is undeclared unless a channel of ours is
// just being opened with its id. The id of an undeclared one is taken from now on:
// a channel of ours that came between this and its opening would be a second
// reader of the same stream.
func (s *streamTable) admit(id uint16) (undeclared bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.inUse[id]; used {
		return false, nil
	}
	if err = s.fullLocked(); err == nil {
		s.inUse[id] = nil
	}

	return true, err
}

// add enters a stream that is to be opened. The id has to be the channel's
// still, which may have ended.
func (s *streamTable) add(open *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open.channel != nil && s.inUse[open.id] != open.channel {
		return false
	}
	s.inUse[open.id] = open.channel
	s.streams[open.id] = open

	return true
}

// poll notes that a stream is to be polled, and returns false if it is already.
func (s *streamTable) poll(id uint16, raw *sctp.Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polled[id] == raw {
		return false
	}
	s.polled[id] = raw

	return true
}

// take returns the stream of an id that the peer was faster with, if it was.
func (s *streamTable) take(id uint16) *sctp.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := s.early[id]
	delete(s.early, id)

	return raw
}

// keep notes a stream for the channel of ours that is being opened with its id.
func (s *streamTable) keep(id uint16, raw *sctp.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.inUse[id]; used && s.streams[id] == nil {
		s.early[id] = raw
	}
}

func (s *streamTable) hasSink() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.sink != nil
}

func (s *streamTable) setSink(sink *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
}

// opened gives an entry its stream. It returns false if the channel has ended
// in the meantime.
func (s *streamTable) opened(open *stream, raw *sctp.Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	open.raw = raw

	return !open.closed
}

// seen is what a stream is at one moment, and nothing if there is none.
type seen struct {
	open       *stream
	raw        *sctp.Stream // nil while a channel of ours is being opened
	reader     channel
	undeclared bool
	detached   bool
}

// find returns the stream of an id.
func (s *streamTable) find(id uint16) seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.streams[id]
	if open == nil && s.sink != nil && s.sink.id == id {
		open = s.sink
	}
	if open == nil {
		return seen{}
	}

	return seen{open, open.raw, open.channel, open.undeclared, open.detached}
}

// declare settles what a stream of the peer's is: a channel, or refused if
// reader is nil. Only the first call does.
func (s *streamTable) declare(open *stream, reader channel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !open.undeclared {
		return false
	}
	open.undeclared, open.channel = false, reader
	s.inUse[open.id] = reader
	if open.expiry != nil {
		open.expiry()
		open.expiry = nil
	}

	return true
}

// expire gives an undeclared stream the timer that refuses it.
func (s *streamTable) expire(open *stream, stop func() bool) {
	s.mu.Lock()
	pending := open.undeclared && !s.over
	if pending {
		open.expiry = stop
	}
	s.mu.Unlock()
	if !pending {
		stop()
	}
}

// close returns what is still to be reset in our direction, nil if that was
// done, or if there is nothing yet: who opens it looks again.
func (s *streamTable) close(open *stream) (reset *sctp.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open.closed {
		return nil
	}
	open.closed = true

	return open.raw
}

// unread returns what nobody reads any more of a stream that is still there,
// nil otherwise.
func (s *streamTable) unread(open *stream) *sctp.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[open.id] != open || open.detached {
		return nil
	}

	return open.raw
}

// wasReset notes the reset of one direction, as note says. It returns true
// when that was the last one: the id is free then.
func (s *streamTable) wasReset(id uint16, note func(open *stream)) (gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.streams[id]
	if open == nil {
		return false
	}
	note(open)
	if !open.answered || !open.reset {
		return false
	}
	// From now on the id may have another life, also if the channel of this one
	// is just ending.
	delete(s.streams, id)
	s.freeLocked(id)
	close(open.gone)

	return true
}

// await calls c.associated once the association is there; now if it is.
func (s *streamTable) await(c channel) {
	s.mu.Lock()
	ready := s.ready
	if !ready {
		s.waiting = append(s.waiting, c)
	}
	s.mu.Unlock()
	if ready {
		c.associated()
	}
}

// forget drops a channel that has ended.
func (s *streamTable) forget(c channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(other channel) bool { return other == c }
	s.waiting = slices.DeleteFunc(s.waiting, same)
	s.detached = slices.DeleteFunc(s.detached, same)
}

// remove takes back a stream that neither side has used.
func (s *streamTable) remove(open *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, open.id)
	s.freeLocked(open.id)
}

// members returns the channels that there are, and the statistics of those
// that ended with the association.
func (s *streamTable) members() (channels []channel, last []DataChannelStats) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Collect(maps.Keys(s.channels)), slices.Clone(s.last)
}

// remember keeps the statistics of a channel that ends with the association,
// which are no more than there could be channels.
func (s *streamTable) remember(stats DataChannelStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = append(s.last, stats)
}

// open counts the streams that channels have.
func (s *streamTable) open() (n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, open := range s.streams {
		if open.channel != nil {
			n++
		}
	}

	return n
}

// handOver notes that the program reads a stream from now on.
func (s *streamTable) handOver(open *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open.detached = true
}

// detach remembers a channel that nobody but the program watches.
func (s *streamTable) detach(c channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detached = append(s.detached, c)
}

// reap ends the detached channels that are closed. It is called when a place
// or an id is wanted, since nothing tells when the program closes one.
func (s *streamTable) reap() {
	s.mu.Lock()
	detached := slices.Clone(s.detached)
	s.mu.Unlock()
	for _, c := range detached {
		if c.reap() {
			s.forget(c)
		}
	}
}

// associated settles the parity and returns the channels that waited, in the
// order in which they were made.
func (s *streamTable) associated(client bool) []channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.client = true, client
	if !client {
		s.next = 1
	}
	waiting := s.waiting
	s.waiting = nil

	return waiting
}

// ended stops the timers: the association is no more.
func (s *streamTable) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, open := range s.streams {
		if open.expiry != nil {
			open.expiry()
			open.expiry = nil
		}
	}
}
