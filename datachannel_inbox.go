package webrtc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/dcep"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// inbox is the receiving side of a channel. Messages stay with the stream, and
// in the association's window, until the program takes them; only what the peer
// has sent before it closed the channel is moved here, since the window does
// not count it any more.
type inbox struct {
	c *DataChannel

	// turn holds a token while somebody reads the stream. Whoever gives it back
	// does what has fallen due meanwhile: see serve.
	turn chan struct{}
	due  atomic.Bool

	mu        sync.Mutex
	stream    *sctp.Stream         // nil while there is none to read
	rest      []DataChannelMessage // read from the stream, to be taken before it
	kept      *keptBytes           // of rest, for the association's account
	handler   func(DataChannelMessage)
	arrivals  uint  // counts the times that something may have come
	delivery  bool  // to the handler is under way
	claimed   bool  // by NetConn or MessageConn, for good
	resetting bool  // the peer has asked to reset the stream
	broken    error // by what the peer has sent: what came before is received first
	discarded bool  // our own Close: nobody wants messages
	ended     error
	changed   lifecycle.Changes
}

func (b *inbox) init(c *DataChannel) {
	b.c = c
	b.turn = make(chan struct{}, 1)
}

// attach gives the inbox the stream, which may have data already.
func (b *inbox) attach(raw *sctp.Stream) {
	b.mu.Lock()
	b.stream = raw
	b.mu.Unlock()
	b.readable()
}

// readable tells that something may have come.
func (b *inbox) readable() {
	b.due.Store(true)
	b.serve()
	b.mu.Lock()
	b.arrivals++
	b.changed.Note()
	b.deliverLocked()
	raw, look := b.stream, b.arrivals%looks == 0
	b.mu.Unlock()
	if raw == nil || !look {
		return
	}
	if mark := b.c.sctp.filter.Handled(); !hasMessage(raw) {
		b.c.sctp.filter.Drained(raw.StreamIdentifier(), mark)
	}
}

// looks is how many arrivals there are between two looks at a stream that
// perhaps nobody reads. What is there then that is no message never will be
// one, if nothing is missing.
const looks = 256

// hasMessage tells whether a stream has a complete message.
func hasMessage(raw *sctp.Stream) bool {
	_, _, err := raw.ReadSCTP(nil)

	return errors.Is(err, io.ErrShortBuffer)
}

// serve does what does not wait for the program to take messages: it looks for
// the peer's acknowledgement and for its reset.
func (b *inbox) serve() {
	for b.due.Load() {
		select {
		case b.turn <- struct{}{}:
		default:
			return // whoever has the turn serves after it
		}
		b.due.Store(false)
		over := b.lookAhead()
		<-b.turn
		if over != nil {
			over()
		}
	}
}

// giveBack ends a turn.
func (b *inbox) giveBack() {
	<-b.turn
	b.serve()
}

// lookAhead is called in turn. It returns how the channel ends, if the stream
// has been read as far as it is the channel's.
func (b *inbox) lookAhead() (over func()) {
	for {
		b.mu.Lock()
		raw, resetting, discarded, broken := b.stream, b.resetting, b.discarded, b.broken
		b.mu.Unlock()
		switch {
		case raw == nil || !resetting && !discarded && broken == nil && b.c.isAcknowledged():
			return nil
		case discarded:
			if b.c.sctp.throwAway(raw) && resetting {
				return b.c.peerReset
			}

			return nil
		}
		n, _, err := raw.ReadSCTP(nil)
		switch {
		case errors.Is(err, io.ErrShortBuffer) && !resetting && broken == nil && n > 1:
			b.c.acknowledged() // not the acknowledgement, but it says as much

			return nil
		case errors.Is(err, io.ErrShortBuffer):
			if m, err := b.read(raw, n); err == nil {
				b.keep(m)
			}
		case broken != nil:
			return func() { b.c.failed(broken) }
		case resetting && errors.Is(err, io.EOF):
			return b.c.peerReset
		default:
			return nil
		}
	}
}

// overflow ends the channel when what has come before was put aside.
func (b *inbox) overflow(err error) {
	b.mu.Lock()
	b.broken = err
	b.mu.Unlock()
	b.readable()
}

// read takes a message of n bytes from the stream. What is none is an error,
// and has been dealt with.
func (b *inbox) read(raw *sctp.Stream, n int) (m DataChannelMessage, err error) {
	if !b.fits(n) {
		return m, errNoMessage
	}
	data := make([]byte, n)
	n, ppid, err := raw.ReadSCTP(data)
	if err != nil {
		return m, err
	}
	n, m.IsString, err = b.took(raw, n, ppid, data[:n])
	m.Data = data[:n]

	return m, err
}

// fits ends the channel at a message above what we have said that we take.
func (b *inbox) fits(n int) bool {
	if n <= int(b.c.sctp.settings.SCTP.MaxMessageSize) {
		return true
	}
	b.mu.Lock()
	b.stream = nil // the message stays with it, and nobody reads on
	b.mu.Unlock()
	b.c.failed(ErrMessageTooLarge)

	return false
}

// errOpenTwice is a DATA_CHANNEL_OPEN on the stream of a channel.
var errOpenTwice = errors.New("the peer opens a channel that is there")

// errNoMessage is what has come on a stream and is none.
var errNoMessage = errors.New("no message")

// took notes that a message was read, and tells its size and kind.
func (b *inbox) took(
	raw *sctp.Stream, n int, ppid sctp.PayloadProtocolIdentifier, data []byte,
) (size int, isString bool, err error) {
	c := b.c
	c.sctp.filter.Took(raw.StreamIdentifier(), n)
	if !b.fits(n) {
		return 0, false, errNoMessage
	}
	switch ppid {
	case sctp.PayloadTypeWebRTCString, sctp.PayloadTypeWebRTCBinary:
		size = n
	case sctp.PayloadTypeWebRTCStringEmpty, sctp.PayloadTypeWebRTCBinaryEmpty:
	case sctp.PayloadTypeWebRTCDCEP:
		switch {
		case dcep.IsOpen(data):
			// https://www.rfc-editor.org/rfc/rfc8832#section-6
			c.failed(errOpenTwice)
		case dcep.IsAck(data) && !c.params.Negotiated:
			c.setReliability(raw)
			c.acknowledged()
		}

		return 0, false, errNoMessage
	default:
		c.sctp.log.Debugf("a message of the unknown kind %d was dropped", ppid)

		return 0, false, errNoMessage
	}
	c.acknowledged() // data says as much as the acknowledgement
	c.counts.received(size)
	c.sctp.totals.received(size)

	return size, ppid == sctp.PayloadTypeWebRTCString || ppid == sctp.PayloadTypeWebRTCStringEmpty, nil
}

// keep puts a message aside, to be taken before what the stream still has.
func (b *inbox) keep(m DataChannelMessage) {
	b.mu.Lock()
	keeps := !b.discarded
	if keeps {
		b.rest = append(b.rest, m)
		if b.kept == nil {
			b.kept = keepFor(b.c)
		}
	}
	kept := b.kept
	b.mu.Unlock()
	if keeps {
		kept.add(keptSize(m))
	}
}

// take is called in turn. It returns the next message: in buf if that is not
// nil, in memory of its own otherwise; n is its size. ok is false if there is
// none. A buffer that is too short gets nothing, and the message stays.
func (b *inbox) take(buf []byte) (m DataChannelMessage, n int, ok bool) {
	for {
		b.mu.Lock()
		raw := b.stream
		if b.discarded {
			raw = nil
		}
		if len(b.rest) > 0 {
			m = b.rest[0]
			n = len(m.Data)
			taken, kept := buf == nil || n <= len(buf), b.kept
			if taken {
				b.rest[0] = DataChannelMessage{}
				b.rest = b.rest[1:]
			}
			b.mu.Unlock()
			if taken {
				kept.add(-keptSize(m))
			}
			if taken && buf != nil {
				m.Data = buf[:copy(buf, m.Data)]
			}

			return m, n, true
		}
		b.mu.Unlock()
		if raw == nil {
			return m, 0, false
		}
		mark := b.c.sctp.filter.Handled()
		n, ppid, err := raw.ReadSCTP(buf)
		switch {
		case err == nil:
			if n, m.IsString, err = b.took(raw, n, ppid, buf[:n]); err == nil {
				m.Data = buf[:n]

				return m, n, true
			}
		case !errors.Is(err, io.ErrShortBuffer):
			b.c.sctp.filter.Drained(raw.StreamIdentifier(), mark)

			return m, 0, false
		default:
			if m, err = b.read(raw, n); err != nil {
				continue
			}
			if buf == nil {
				return m, len(m.Data), true
			}
			b.keep(m) // it may be none, and it may be an empty one
		}
	}
}

// deliverLocked sees to it that what has come goes to the handler.
func (b *inbox) deliverLocked() {
	if b.handler == nil || b.claimed || b.delivery {
		return
	}
	b.delivery = true
	b.c.callbacks.Post(b.c.life.group, b.deliver)
}

// deliver calls the handler for one message after the other, while there are
// any.
func (b *inbox) deliver() {
	for {
		b.mu.Lock()
		handler, arrivals := b.handler, b.arrivals
		if handler == nil {
			b.delivery = false
			b.mu.Unlock()

			return
		}
		b.mu.Unlock()
		b.turn <- struct{}{}
		var m DataChannelMessage
		b.mu.Lock()
		ok := b.handler != nil // it may have been taken back meanwhile
		b.mu.Unlock()
		if ok {
			m, _, ok = b.take(nil)
		}
		b.giveBack()
		if ok {
			handler(m)

			continue
		}
		b.mu.Lock()
		b.delivery = arrivals != b.arrivals
		over := !b.delivery
		b.mu.Unlock()
		if over {
			return
		}
	}
}

// handle sets the handler, which gets what waits. With nil the messages are
// the receivers' again.
func (b *inbox) handle(handler func(DataChannelMessage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.claimed {
		return
	}
	b.handler = handler
	b.changed.Note()
	b.deliverLocked()
}

// reset notes that the peer has asked to reset the stream.
func (b *inbox) reset() {
	b.mu.Lock()
	b.resetting = true
	b.mu.Unlock()
	b.readable()
}

// discard drops what waits and what comes: the channel was closed by us.
func (b *inbox) discard() {
	b.mu.Lock()
	b.discarded = true
	dropped, kept := b.dropLocked()
	b.changed.Note()
	b.mu.Unlock()
	kept.add(-dropped)
	b.due.Store(true)
	b.serve()
}

// dropLocked drops what was put aside, and tells what the account has to be
// given back.
func (b *inbox) dropLocked() (size int64, kept *keptBytes) {
	for _, m := range b.rest {
		size += keptSize(m)
	}
	b.rest = nil

	return size, b.kept
}

// end tells receivers why nothing more comes. What waits is received first,
// unless the end is our own; cut tells that the stream is not the channel's any
// more.
func (b *inbox) end(cause error, cut bool) {
	var dropped int64
	b.mu.Lock()
	b.ended = cause
	if cause == ErrClosed { //nolint:errorlint // see gracefulEnd
		b.discarded = true
		dropped, _ = b.dropLocked()
	}
	if cut || b.discarded {
		b.stream = nil
	}
	b.changed.Note()
	b.deliverLocked()
	kept := b.kept
	b.mu.Unlock()
	kept.add(-dropped)
}

// next returns the next message as take does, and waits for it.
func (b *inbox) next(
	ctx context.Context, op string, claimer bool, buf []byte,
) (m DataChannelMessage, n int, err error) {
	var changed <-chan struct{} // costs an allocation, so nil at the first look
	for {
		b.mu.Lock()
		handler, claimed, discarded, cause := b.handler, b.claimed, b.discarded, b.ended
		if changed != nil {
			changed = b.changed.Next()
		}
		b.mu.Unlock()
		if discarded && cause == nil {
			cause = ErrClosed
		}
		switch {
		case claimed && !claimer:
			return m, 0, refuse(op, ErrInvalidState, "%w", errClaimed)
		case handler != nil:
			return m, 0, refuse(op, ErrInvalidState, "OnMessage has the messages")
		case ctx.Err() != nil && (cause == nil || b.waits()):
			return m, 0, opError(op, contextError(ctx))
		}
		b.turn <- struct{}{}
		var ok bool
		b.mu.Lock()
		refused := b.claimed && !claimer || b.handler != nil // meanwhile
		b.mu.Unlock()
		if !refused {
			m, n, ok = b.take(buf)
		}
		b.giveBack()
		switch {
		case refused:
			continue
		case ok:
			return m, n, nil
		case cause != nil:
			return m, 0, ended(op, cause)
		case changed == nil:
			changed = neverChanged

			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m, 0, opError(op, contextError(ctx))
		}
	}
}

// waits tells whether there is a message that was not taken.
func (b *inbox) waits() bool {
	b.mu.Lock()
	raw, rest := b.stream, len(b.rest)
	b.mu.Unlock()
	if raw == nil || rest > 0 {
		return rest > 0
	}

	return hasMessage(raw)
}

// neverChanged asks for a look that can be waited behind.
var neverChanged = make(chan struct{})
