package webrtc

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/sctpfilter"
)

// dispatcher is told by the filter what has come on which stream. It runs on
// the association's own goroutine, between two packets, which is why no channel
// needs one of its own. Streams are read with a deadline in the past, as polls;
// what the program does not take stays with them and closes the window.
type dispatcher struct {
	t     *SCTPTransport
	assoc *sctp.Association
}

var _ sctpfilter.Streams = dispatcher{}

// expired makes every read of a stream a poll. It has gone by also in the
// clock of a test that starts in the year 2000.
var expired = time.Unix(1, 0)

// Opening opens a stream that the peer has begun.
func (d dispatcher) Opening(id uint16) bool {
	if d.t.life.group.Cause() != nil {
		return false
	}
	if id == sctpfilter.Sink {
		return d.t.openSink(d.assoc)
	}
	undeclared, err := d.t.streams.admit(id)
	if err != nil {
		d.t.log.Debugf("stream %d is refused: %v", id, err)

		return false
	}
	// A channel of ours that is just being opened may be read by the program
	// already, and must not find a deadline.
	raw, err := d.t.openStream(d.assoc, id, !undeclared && d.t.settings.DataChannel.Detach)
	switch {
	case err != nil: // the association is ending
		if undeclared {
			d.t.streams.free(id)
		}
	case undeclared:
		open := &stream{id: id, raw: raw, undeclared: true, gone: make(chan struct{})}
		d.t.streams.add(open)
		if timeout := d.t.settings.DataChannel.OpenTimeout; timeout > 0 {
			d.t.streams.expire(open, d.t.life.group.After(timeout, func() { d.t.refuse(open, errNotDeclared) }))
		}
	default:
		d.t.streams.keep(id, raw)
	}

	return err == nil
}

// openSink opens the stream for what nobody wants, once.
func (t *SCTPTransport) openSink(assoc *sctp.Association) bool {
	if t.streams.hasSink() {
		return true
	}
	raw, err := t.openStream(assoc, sctpfilter.Sink, false)
	if err == nil {
		t.streams.setSink(&stream{id: sctpfilter.Sink, raw: raw})
	}

	return t.streams.hasSink()
}

// openStream opens a stream at the association, to be polled unless the program
// will read it. Data can only come afterwards: until the deadline is known to
// have passed, two that poll at once could wait for ever, since the module
// wakes one of them. For the same reason it is set once, whoever opens the stream
// as well.
func (t *SCTPTransport) openStream(assoc *sctp.Association, id uint16, detach bool) (*sctp.Stream, error) {
	t.opening <- struct{}{}
	defer func() { <-t.opening }()
	if raw := t.streams.take(id); raw != nil {
		if detach {
			_ = raw.SetReadDeadline(time.Time{})
		}

		return raw, nil
	}
	raw, err := assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err == nil && !detach && t.streams.poll(id, raw) {
		_ = raw.SetReadDeadline(expired)
		_, _, _ = raw.ReadSCTP(nil)
	}

	return raw, err
}

var errNotDeclared = errors.New("the first message did not come in time")

// Readable passes on which streams got data.
func (d dispatcher) Readable(ids []uint16) {
	for _, id := range ids {
		switch s := d.t.streams.find(id); {
		case s.raw == nil || s.detached: // no stream of ours, or one that the program reads
		case s.reader != nil:
			s.reader.readable()
		case s.undeclared:
			d.t.declare(s.open)
		default:
			d.t.throwAway(s.raw)
		}
	}
}

// Resetting looks whether streams that the peer wants to reset have been read
// to their end.
func (d dispatcher) Resetting(ids []uint16) {
	for _, id := range ids {
		s := d.t.streams.find(id)
		if s.undeclared {
			d.t.declare(s.open) // its first message may be its only one
			s = d.t.streams.find(id)
		}
		switch {
		case s.open == nil:
			d.t.filter.ResetSeen(id)
		case s.detached:
			d.t.peerReset(id)
		case s.reader != nil:
			s.reader.resetting()
		case s.raw != nil && d.t.throwAway(s.raw):
			d.t.refuse(s.open, io.EOF)
			d.t.peerReset(id)
		}
	}
}

// ResetAnswered frees the id if the peer has reset its own direction too.
func (d dispatcher) ResetAnswered(id uint16) {
	if d.t.streams.wasReset(id, func(open *stream) { open.answered = true }) {
		d.t.gone(id)
	}
	d.t.streams.reap()
}

// Overflow ends the channel of a stream on which too much has come that is no
// message.
func (d dispatcher) Overflow(id uint16) {
	switch s := d.t.streams.find(id); {
	case s.open == nil:
	case s.reader != nil:
		s.reader.overflow(ErrMessageTooLarge)
	default:
		d.t.refuse(s.open, ErrMessageTooLarge)
	}
}

// Acknowledged lets senders go on that wait for room.
func (d dispatcher) Acknowledged() { d.t.budget.acknowledged(d.assoc) }

// refuse resets a stream that the peer has opened and that is no channel.
// Nothing else is touched.
func (t *SCTPTransport) refuse(open *stream, why error) {
	if !t.streams.declare(open, nil) {
		return
	}
	if why != io.EOF { //nolint:errorlint // the peer's own reset, and no other
		t.log.Warnf("stream %d is refused: %v", open.id, why)
	}
	t.abandon(open)
}

// abandon ends our part in a stream that nobody reads any more: our direction
// is reset, what has come and what still comes is thrown away.
func (t *SCTPTransport) abandon(open *stream) {
	_ = t.closeStream(open)
	t.discard(open)
}

// discard throws away what has come on a stream, and what still comes.
func (t *SCTPTransport) discard(open *stream) {
	if raw := t.streams.unread(open); raw != nil {
		t.filter.Discard(open.id)
		t.throwAway(raw)
	}
}

// closeStream resets our direction of a stream behind what was sent on it.
// https://www.rfc-editor.org/rfc/rfc8831#section-6.7
func (t *SCTPTransport) closeStream(open *stream) error {
	reset := t.streams.close(open)
	if reset == nil {
		return nil
	}
	err := reset.Close()
	if err != nil {
		t.log.Debugf("closing stream %d: %v", open.id, err)
	}

	return err
}

// peerReset notes that the peer's direction was reset and read to its end.
func (t *SCTPTransport) peerReset(id uint16) {
	gone := t.streams.wasReset(id, func(open *stream) { open.reset = true })
	t.filter.ResetSeen(id)
	if gone {
		t.gone(id)
	}
}

// gone forgets a stream: its id begins anew.
func (t *SCTPTransport) gone(id uint16) {
	t.filter.Forget(id)
	t.weights.Forget(id)
}

// throwAway reads what a stream has, and tells whether it was reset.
func (t *SCTPTransport) throwAway(raw *sctp.Stream) (ended bool) {
	for {
		mark := t.filter.Handled()
		n, _, err := raw.ReadSCTP(nil)
		if !errors.Is(err, io.ErrShortBuffer) {
			t.filter.Drained(raw.StreamIdentifier(), mark)

			return errors.Is(err, io.EOF)
		}
		buf, _ := scratch.Get().(*[]byte)
		if cap(*buf) < n {
			*buf = make([]byte, n)
		}
		n, _, err = raw.ReadSCTP((*buf)[:cap(*buf)])
		scratch.Put(buf)
		if err == nil {
			t.filter.Took(raw.StreamIdentifier(), n)
		}
	}
}

// scratch holds buffers for messages that nobody wants.
var scratch = sync.Pool{New: func() any { return new([]byte) }}
