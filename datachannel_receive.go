package webrtc

import (
	"context"
	"errors"
	"io"
)

var errClaimed = errors.New("a connection has the messages")

// claim hands the messages to one reader, for good.
func (c *DataChannel) claim(op string) error {
	if c.settings.Detach {
		return refuse(op, ErrInvalidState, "channels are detached")
	}
	b := &c.inbox
	b.mu.Lock()
	claimed, handler := b.claimed, b.handler
	if !claimed && handler == nil {
		b.claimed = true
		b.changed.Note()
	}
	b.mu.Unlock()
	switch {
	case claimed:
		return refuse(op, ErrInvalidState, "%w", errClaimed)
	case handler != nil:
		return refuse(op, ErrInvalidState, "OnMessage has the messages")
	}
	// Whoever is taking a message just now takes it before the claim.
	b.turn <- struct{}{}
	b.giveBack()

	return nil
}

// OnMessage sets the handler of messages. It is called for one after the
// other, in their order, and gets what has waited for it first. A handler that
// blocks holds up its own channel alone.
//
// Receiving ends with [ErrInvalidState] while there is a handler. nil hands
// the messages back to the receivers. After NetConn or MessageConn it does
// nothing.
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
	m, _, err := c.inbox.next(ctx, op, false, nil)

	return m, err
}

// ReadMessage is ReceiveContext into a buffer of the caller's. It allocates
// nothing if a message is there and fits. It returns the message's length in
// bytes, and whether it is text.
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
	if buf == nil {
		buf = []byte{}
	}
	m, n, err := c.inbox.next(ctx, op, claimer, buf)
	if err == nil && n > len(buf) {
		err = &Error{Op: op, Err: io.ErrShortBuffer}
	}

	return n, m.IsString, err
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
