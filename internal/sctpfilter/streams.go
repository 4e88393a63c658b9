package sctpfilter

import "slices"

// Sink is the reserved stream on which discarded data arrives. Its reader
// throws away what it reads. No data channel has this id.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
const Sink uint16 = 65535

// Streams is whoever reads the association's streams. Its methods are called
// by the goroutine that calls Read, between two packets, with no lock held.
// They must not block, and may call every method of the [Filter] but Read and
// Detach.
type Streams interface {
	// Opening is asked before the first data of a stream that the filter does
	// not know is handed on: the implementation opens the stream at the
	// association. If it returns false, what comes on it is discarded.
	Opening(id uint16) bool
	// Readable tells, after a packet was handled, which streams got data. There
	// are no duplicates, and ids is valid during the call only.
	Readable(ids []uint16)
	// Resetting tells so of streams that the peer has asked to reset, after
	// every packet until ResetSeen.
	Resetting(ids []uint16)
	// ResetAnswered tells that the peer has answered our own reset of the
	// stream, whatever its result.
	ResetAnswered(id uint16)
	// Overflow tells that a message on the stream has grown past MaxMessage
	// before it was complete, or that fragments keep coming that can never
	// become one. What still comes is discarded, as after Discard.
	Overflow(id uint16)
	// Acknowledged tells that a packet with a SACK was handled.
	Acknowledged()
}

// Attach names the reader of the streams. Until then Read holds back
// everything that follows the handshake. It counts once.
func (f *Filter) Attach(s Streams) {
	if s == nil || !f.reader.CompareAndSwap(nil, &s) {
		return
	}
	f.rouse()
}

// rouse has a Read that is under way look for packets that wait to be read.
func (f *Filter) rouse() {
	f.enter()
	defer f.leave()
	f.mu.Lock()
	closed := f.closed.Load()
	if !closed {
		f.wake = true
		f.generation++
	}
	f.mu.Unlock()
	if !closed {
		_ = f.applyDeadline()
	}
}

// know enters a stream.
func (d *inbound) know(id uint16) {
	if d.streams[id] != nil || id == Sink {
		return
	}
	if d.streams == nil {
		d.streams = make(map[uint16]*stream)
	}
	d.streams[id] = &stream{}
}

// Opened tells of a stream that our side opens: it is known from now on. It
// has to come before the association opens it, so that what the peer sends in
// answer cannot be earlier.
func (f *Filter) Opened(id uint16) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	f.in.know(id)
}

// Took tells that a message of so many bytes was read from the stream. It may
// write a packet that opens the peer's window again.
func (f *Filter) Took(id uint16, bytes int) {
	f.change(id, func(d *inbound, s *stream) {
		whole := max(0, s.bytes-s.parts.bytes)
		bytes = min(max(bytes, 0), whole)
		s.bytes -= bytes
		d.bytes -= bytes
		switch {
		case s.messages > 0:
			s.messages--
			d.messages--
		case s.stuck > 0:
			s.stuck--
			d.stuck--
			s.stuckSince = 0 // the gap was filled
		}
	})
}

// change changes a stream that is known, and opens the peer's window if there
// is room again.
func (f *Filter) change(id uint16, change func(*inbound, *stream)) {
	d := &f.in
	d.mu.Lock()
	s := d.streams[id]
	if s == nil {
		d.mu.Unlock()

		return
	}
	change(d, s)
	d.receiver.judge(d.messages+d.stuck, f.cfg.MaxUnread)
	var update []byte
	if !f.closed.Load() && !f.view.has(ending) {
		update = d.update()
	}
	kept := len(d.kept) > 0 && !d.roused && !d.full()
	d.roused = d.roused || kept
	d.mu.Unlock()
	if kept {
		f.rouse()
	}
	if update == nil {
		return
	}
	if _, err := f.src.Write(update); err == nil {
		f.counts.packetsOut.Add(1)
		f.counts.bytesOut.Add(uint64(len(update)))
		f.counts.updates.Add(1)
	}
}

// Handled is a mark of what the association has handled by now, for Drained.
func (f *Filter) Handled() (mark uint64) { return f.in.handled.Load() }

// Drained tells that a poll of the stream, which began at the mark, has found no
// complete message. If nothing is missing, those that the filter knows of cannot be
// read: they are behind a gap in the stream's own numbers that the peer has left.
func (f *Filter) Drained(id uint16, mark uint64) {
	d := &f.in
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streams[id]
	// What was handed on since may be what the poll has missed, or fill a gap before
	// it: the next poll tells.
	if s == nil || d.window.missing() || d.handedOn != mark {
		return
	}
	left := s.messages
	s.messages = 0
	d.messages -= left
	s.stuck += left
	d.stuck += left
	if !s.discard && d.hopeless(s, f.cfg.MaxUnread) {
		d.overflowLater(s, id)
	}
}

// hopeless tells whether a gap in a stream's numbers is there to stay. A sender
// with several writers may number a message and be held up before it queues
// it, so the gap has to last; not until those behind it shut the window,
// which would keep out what fills it.
func (d *inbound) hopeless(s *stream, maxUnread int) bool {
	if s.stuck <= maxStuck {
		return false
	}
	soon := maxStuckSoon
	if maxUnread != 0 {
		soon = min(soon, maxUnread/2)
	}
	if s.stuckSince == 0 {
		s.stuckSince = d.packet
	}

	return s.stuck > soon || d.packet-s.stuckSince >= stuckPackets
}

// overflowLater gives a stream up outside of Read.
func (d *inbound) overflowLater(s *stream, id uint16) {
	s.discard = true
	d.overflowed = append(d.overflowed, id)
	d.overflows.Store(true)
}

// Discard has everything that still comes on the stream thrown away, until
// Forget. What has come stays to be read.
func (f *Filter) Discard(id uint16) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	if s := f.in.streams[id]; s != nil {
		s.discard = true
	}
}

// ResetSeen tells that the stream was read to its end after the peer's reset.
func (f *Filter) ResetSeen(id uint16) {
	f.change(id, func(d *inbound, s *stream) {
		d.empty(s)
		d.unask(s, id)
	})
}

// Forget tells that both sides have reset the stream: its id is new again.
func (f *Filter) Forget(id uint16) {
	f.change(id, func(d *inbound, s *stream) {
		d.empty(s)
		d.unask(s, id)
		delete(d.streams, id)
	})
}

// empty takes a stream out of the sums.
func (d *inbound) empty(s *stream) {
	d.messages -= s.messages
	d.stuck -= s.stuck
	d.bytes -= s.bytes
	d.fragments -= len(s.parts.fragments)
	s.messages, s.stuck, s.stuckSince, s.bytes, s.parts = 0, 0, 0, 0, partial{}
}

func (d *inbound) unask(s *stream, id uint16) {
	if s.asked {
		s.asked = false
		d.asked = slices.DeleteFunc(d.asked, func(have uint16) bool { return have == id })
	}
}

// HoldResets has the peer's requests to reset streams left alone while hold
// is true. Some are kept and handed on later, the others the peer sends again.
func (f *Filter) HoldResets(hold bool) {
	f.in.mu.Lock()
	due := f.in.hold && !hold && len(f.in.deferred) > 0
	f.in.hold = hold
	f.in.mu.Unlock()
	if due {
		f.rouse()
	}
}

// Unread tells how much of the stream has come and was not yet taken: complete
// messages, and bytes of user data, those of unfinished messages included.
func (f *Filter) Unread(id uint16) (messages, bytes int) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	if s := f.in.streams[id]; s != nil {
		return s.messages, s.bytes
	}

	return 0, 0
}

// UnreadAll is Unread of all streams together.
func (f *Filter) UnreadAll() (messages, bytes int) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()

	return f.in.messages, f.in.bytes
}

// tell tells the reader what the association has made of the last packet.
func (f *Filter) tell() {
	e := &f.now
	f.in.handled.Store(e.packet)
	if f.in.overflows.Load() {
		f.in.mu.Lock()
		e.overflow = append(e.overflow, f.in.overflowed...)
		f.counts.overflows.Add(uint64(len(f.in.overflowed)))
		f.in.overflowed = nil
		f.in.overflows.Store(false)
		f.in.mu.Unlock()
	}
	reader := f.reader.Load()
	if reader == nil {
		return
	}
	for _, id := range e.answered {
		(*reader).ResetAnswered(id)
	}
	for _, id := range e.overflow {
		(*reader).Overflow(id)
	}
	if len(e.readable) > 0 {
		(*reader).Readable(e.readable)
	}
	if len(e.asked) > 0 {
		(*reader).Resetting(e.asked)
	}
	if e.acked {
		(*reader).Acknowledged()
	}
	e.clear()
}
