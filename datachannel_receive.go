package webrtc

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/dcep"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	// firstRead is the size of the buffer that a message is read into, in
	// bytes; a larger one is read into memory of its own size.
	firstRead = 1024

	// Bounds of what waits for the program, in messages and bytes. When one is
	// reached the channel is not read until something was received, and the
	// association's window closes.
	maxInboxMessages = 256
	maxInboxBytes    = 1 << 20
)

// inbox holds the messages of a channel until the program takes them, by its
// handler or by receiving.
type inbox struct {
	c *DataChannel

	mu        sync.Mutex
	messages  []DataChannelMessage
	bytes     int
	handler   func(DataChannelMessage)
	claimed   bool  // by NetConn or MessageConn, for good
	unlimited bool  // nothing more can come but what is in memory already
	discarded bool  // our own Close: nobody wants messages
	ended     error // why nothing more will come
	changed   lifecycle.Changes
}

func (b *inbox) init(c *DataChannel) { b.c = c }

// put adds a message, and waits while the inbox is full.
func (b *inbox) put(m DataChannelMessage) {
	b.mu.Lock()
	for !b.discarded && !b.unlimited && b.ended == nil &&
		len(b.messages) > 0 && (len(b.messages) >= maxInboxMessages || b.bytes+len(m.Data) > maxInboxBytes) {
		changed := b.changed.Next()
		b.mu.Unlock()
		<-changed
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if b.discarded || b.ended != nil {
		return
	}
	b.messages = append(b.messages, m)
	b.bytes += len(m.Data)
	b.changed.Note()
	if b.handler != nil && !b.claimed {
		b.c.callbacks.Post(b.c.life.group, b.deliver)
	}
}

// deliver hands the oldest message to the handler. There is at least one call
// of it for every message that waits while there is a handler.
func (b *inbox) deliver() {
	b.mu.Lock()
	handler := b.handler
	if handler == nil || len(b.messages) == 0 {
		b.mu.Unlock()

		return
	}
	m := b.popLocked()
	b.mu.Unlock()
	handler(m)
}

func (b *inbox) popLocked() DataChannelMessage {
	m := b.messages[0]
	b.messages[0] = DataChannelMessage{}
	b.messages = b.messages[1:]
	b.bytes -= len(m.Data)
	if len(b.messages) == 0 {
		b.messages = nil
	}
	b.changed.Note()

	return m
}

// handle sets the handler, which gets what waits. With nil the inbox is the
// receivers' again.
func (b *inbox) handle(handler func(DataChannelMessage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.claimed {
		return
	}
	b.handler = handler
	b.changed.Note()
	if handler != nil {
		for range b.messages {
			b.c.callbacks.Post(b.c.life.group, b.deliver)
		}
	}
}

// discard drops what waits and what comes: the channel was closed by us.
func (b *inbox) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discarded = true
	b.messages, b.bytes = nil, 0
	b.changed.Note()
}

// unlimit lets the rest in: the association has ended, and what it still has
// is in memory already.
func (b *inbox) unlimit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlimited = true
	b.changed.Note()
}

// end tells receivers why nothing more comes. What waits is received first,
// unless the end is our own.
func (b *inbox) end(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = cause
	if cause == ErrClosed { //nolint:errorlint // see gracefulEnd
		b.messages, b.bytes = nil, 0
	}
	b.changed.Note()
}

// next passes the oldest message to use, which tells whether it took it, and
// waits for one if there is none.
func (b *inbox) next(ctx context.Context, op string, claimer bool, use func(DataChannelMessage) bool) error {
	for {
		b.mu.Lock()
		switch {
		case b.claimed && !claimer:
			b.mu.Unlock()

			return refuse(op, ErrInvalidState, "%w", errClaimed)
		case b.handler != nil:
			b.mu.Unlock()

			return refuse(op, ErrInvalidState, "OnMessage has the messages")
		case len(b.messages) > 0 && ctx.Err() != nil:
			b.mu.Unlock()

			return opError(op, contextError(ctx))
		case len(b.messages) > 0:
			if use(b.messages[0]) {
				b.popLocked()
			}
			b.mu.Unlock()

			return nil
		case b.discarded || b.ended != nil:
			err := b.ended
			b.mu.Unlock()
			if err == nil {
				err = ErrClosed
			}

			return ended(op, err)
		}
		changed := b.changed.Next()
		b.mu.Unlock()

		select {
		case <-changed:
		case <-ctx.Done():
			return opError(op, contextError(ctx))
		}
	}
}

var errClaimed = errors.New("a connection has the messages")

// claim hands the messages to one reader, for good.
func (c *DataChannel) claim(op string) error {
	if c.settings.Detach {
		return refuse(op, ErrInvalidState, "channels are detached")
	}
	c.inbox.mu.Lock()
	defer c.inbox.mu.Unlock()
	switch {
	case c.inbox.claimed:
		return refuse(op, ErrInvalidState, "%w", errClaimed)
	case c.inbox.handler != nil:
		return refuse(op, ErrInvalidState, "OnMessage has the messages")
	}
	c.inbox.claimed = true
	c.inbox.changed.Note()

	return nil
}

// OnMessage sets the handler of messages. It is called for one after the
// other, in their order, and gets what has waited for it first. A handler that
// blocks holds up its own channel alone.
//
// Receiving ends with [ErrInvalidState] while there is a handler. nil hands
// the messages back to the receivers.
func (c *DataChannel) OnMessage(handler func(msg DataChannelMessage)) {
	if c.alive() != nil {
		c.inbox.handle(handler)
	}
}

// ReceiveContext returns the next message, and waits for it. Its data belongs
// to the caller.
//
// It returns io.EOF after the peer has closed the channel or shut the
// transport down, [ErrClosed] after our own Close, the cause of the end
// otherwise, the context's error when ctx ends first, and [ErrInvalidState]
// while OnMessage has a handler and in detached mode.
func (c *DataChannel) ReceiveContext(ctx context.Context) (DataChannelMessage, error) {
	const op = "datachannel receive"
	if err := c.mayReceive(ctx, op); err != nil {
		return DataChannelMessage{}, err
	}
	var message DataChannelMessage
	err := c.inbox.next(ctx, op, false, func(m DataChannelMessage) bool {
		message = m

		return true
	})

	return message, err
}

// ReadMessage is ReceiveContext into a buffer of the caller's. It returns the
// message's length in bytes, and whether it is text.
//
// A buffer that is too short gets nothing: the error is io.ErrShortBuffer, n
// the length needed, and the message stays the next one.
func (c *DataChannel) ReadMessage(ctx context.Context, buf []byte) (n int, isString bool, err error) {
	const op = "datachannel read"
	if err = c.mayReceive(ctx, op); err != nil {
		return 0, false, err
	}

	return c.readMessage(ctx, op, false, buf)
}

// readMessage is ReadMessage, also for the one who has claimed the messages.
func (c *DataChannel) readMessage(
	ctx context.Context, op string, claimer bool, buf []byte,
) (n int, isString bool, err error) {
	short := false
	err = c.inbox.next(ctx, op, claimer, func(m DataChannelMessage) bool {
		n, isString = len(m.Data), m.IsString
		short = n > len(buf)
		if !short {
			copy(buf, m.Data)
		}

		return !short
	})
	if err == nil && short {
		err = &Error{Op: op, Err: io.ErrShortBuffer}
	}

	return n, isString, err
}

func (c *DataChannel) mayReceive(ctx context.Context, op string) error {
	if err := c.alive().usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	if c.settings.Detach {
		return refuse(op, ErrInvalidState, "channels are detached")
	}

	return nil
}

// read takes the channel's messages from the stream until it ends.
func (c *DataChannel) read(stream *sctp.Stream) {
	defer close(c.reading)
	limit := int(c.sctp.settings.SCTP.MaxMessageSize)
	buf := make([]byte, firstRead)
	for {
		data, ppid, err := readStream(stream, buf, limit)
		if err != nil {
			c.readEnded(stream, err)

			return
		}
		message, ok := c.message(stream, data, ppid)
		if ok {
			c.acknowledged() // data says as much as the acknowledgement
			c.inbox.put(message)
		}
	}
}

// readStream returns the next message, in memory of its own. buf is for
// reading alone.
func readStream(stream *sctp.Stream, buf []byte, limit int) ([]byte, sctp.PayloadProtocolIdentifier, error) {
	n, ppid, err := stream.ReadSCTP(buf)
	if errors.Is(err, io.ErrShortBuffer) {
		if n > limit {
			return nil, ppid, ErrMessageTooLarge
		}
		whole := make([]byte, n)
		n, ppid, err = stream.ReadSCTP(whole)

		return whole[:n], ppid, err
	}

	return append([]byte(nil), buf[:n]...), ppid, err
}

// message makes a message of what came on the stream; ok is false for what is
// none.
func (c *DataChannel) message(
	stream *sctp.Stream, data []byte, ppid sctp.PayloadProtocolIdentifier,
) (m DataChannelMessage, ok bool) {
	switch ppid {
	case sctp.PayloadTypeWebRTCDCEP:
		if dcep.IsAck(data) {
			c.setReliability(stream)
			c.acknowledged()
		}

		return m, false
	case sctp.PayloadTypeWebRTCString, sctp.PayloadTypeWebRTCBinary:
		m.Data = data
	case sctp.PayloadTypeWebRTCStringEmpty, sctp.PayloadTypeWebRTCBinaryEmpty:
		m.Data = []byte{}
	default:
		c.sctp.log.Debugf("a message of the unknown kind %d was dropped", ppid)

		return m, false
	}
	m.IsString = ppid == sctp.PayloadTypeWebRTCString || ppid == sctp.PayloadTypeWebRTCStringEmpty

	return m, true
}

// readEnded closes the channel when the peer has closed it, or answered our
// close. If the association itself has ended, its end says why.
func (c *DataChannel) readEnded(stream *sctp.Stream, err error) {
	if c.sctp.isShutting() || !errors.Is(err, io.EOF) && !errors.Is(err, ErrMessageTooLarge) {
		return
	}
	c.life.mu.Lock()
	cause := ended("datachannel", err)
	if c.life.state == DataChannelStateClosing {
		cause = ErrClosed
	}
	c.life.moveLocked(DataChannelStateClosing)
	c.life.mu.Unlock()
	// RFC 8831 6.7: the answer is a reset of our own stream.
	// https://www.rfc-editor.org/rfc/rfc8831#section-6.7
	if err := stream.Close(); err != nil {
		c.sctp.log.Debugf("closing stream %d: %v", stream.StreamIdentifier(), err)
	}
	c.end(cause)
}
