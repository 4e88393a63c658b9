package webrtc

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// outbox watches how much of a channel is queued or sent and not yet
// acknowledged, for senders that wait and for OnBufferedAmountLow. The bytes
// themselves are with the association.
type outbox struct {
	c *DataChannel

	// low delivers OnBufferedAmountLow, which may block, apart from messages.
	low lifecycle.Queue

	mu        sync.Mutex
	stream    *sctp.Stream
	threshold uint64
	above     bool // the amount has been above the threshold since the last event
	onLow     func()
	fell      lifecycle.Changes // of the amount
}

func (o *outbox) init(c *DataChannel) { o.c = c }

func (o *outbox) attach(stream *sctp.Stream) {
	o.mu.Lock()
	o.stream = stream
	threshold := o.threshold
	o.mu.Unlock()
	stream.SetBufferedAmountLowThreshold(threshold)
	stream.OnBufferedAmountLow(o.fallen)
}

// fallen runs on the association's reader, so it must not wait.
func (o *outbox) fallen() {
	o.wake()
	o.mu.Lock()
	stream, threshold := o.stream, o.threshold
	o.mu.Unlock()
	// A waiter may have raised the level at which the association calls.
	stream.SetBufferedAmountLowThreshold(threshold)
	if stream.BufferedAmount() > threshold {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.above {
		return
	}
	o.above = false
	o.low.Post(o.c.life.group, func() {
		o.mu.Lock()
		handler := o.onLow
		o.mu.Unlock()
		if handler != nil {
			handler()
		}
	})
}

func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fell.Note()
}

// sending notes that the amount is about to rise by n bytes.
func (o *outbox) sending(stream *sctp.Stream, n int) {
	amount := stream.BufferedAmount()
	o.mu.Lock()
	defer o.mu.Unlock()
	if amount+uint64(n) > o.threshold { //nolint:gosec // a length
		o.above = true
	}
}

func (o *outbox) amount() uint64 {
	o.mu.Lock()
	stream := o.stream
	o.mu.Unlock()
	if stream == nil {
		return 0
	}

	return stream.BufferedAmount()
}

// room waits until n more bytes fit the budget, or the queue is empty. The
// channel has to stay open meanwhile.
func (o *outbox) room(ctx context.Context, op string, n, budget int) error {
	for {
		o.mu.Lock()
		drained, stream, threshold := o.fell.Next(), o.stream, o.threshold
		o.mu.Unlock()
		if _, err := o.c.maySend(op, n); err != nil {
			return err
		}
		// First the level, then the amount: what falls in between is noticed.
		// The program's own threshold is met first if it is the higher one.
		low := uint64(budget / 2) //nolint:gosec // a size
		level := low
		if threshold > low && stream.BufferedAmount() > threshold {
			level = threshold
		}
		stream.SetBufferedAmountLowThreshold(level)
		amount := stream.BufferedAmount()
		if amount <= low || amount+uint64(n) <= uint64(budget) { //nolint:gosec // sizes
			stream.SetBufferedAmountLowThreshold(threshold)

			return nil
		}
		if amount <= level {
			continue
		}
		select {
		case <-drained:
		case <-o.c.life.group.Context().Done():
		case <-ctx.Done():
			return opError(op, contextError(ctx))
		}
	}
}

// Send queues a binary message, empty ones too, and does not wait. The data
// may be reused when it returns.
//
// Errors: [ErrDataChannelNotOpen] before the channel is open; the cause of the
// end after it, [ErrClosed] for our own Close; [ErrMessageTooLarge] above the
// peer's maximum; [ErrBufferFull] when the queue has reached its hard limit
// (DataChannelSettings.MaxAssociationBuffered). The message was not queued then.
func (c *DataChannel) Send(data []byte) error { return c.send(data, false, c.roomNow) }

// SendText queues a text message, as [DataChannel.Send] does. It should be
// valid UTF-8, or browsers will not take it.
func (c *DataChannel) SendText(s string) error { return c.send([]byte(s), true, c.roomNow) }

// SendContext waits while more than DataChannelSettings.MaxBuffered bytes are
// queued on the channel, then queues a binary message. It returns the
// context's error if ctx ends first, and the message was not queued then.
func (c *DataChannel) SendContext(ctx context.Context, data []byte) error {
	return c.send(data, false, c.awaitRoom(ctx))
}

// SendTextContext is [DataChannel.SendContext] for a text message.
func (c *DataChannel) SendTextContext(ctx context.Context, s string) error {
	return c.send([]byte(s), true, c.awaitRoom(ctx))
}

// roomNow tells whether n more bytes may be queued.
func (c *DataChannel) roomNow(n int) error {
	if queued := c.sctp.BufferedAmount(); queued+n > c.settings.MaxAssociationBuffered {
		return fmt.Errorf("%w: %d bytes are queued", ErrBufferFull, queued)
	}

	return nil
}

// awaitRoom returns a function that waits until n more bytes may be queued.
func (c *DataChannel) awaitRoom(ctx context.Context) func(n int) error {
	return func(n int) error {
		switch {
		case ctx == nil:
			return fmt.Errorf("%w: nil context", ErrInvalidArgument)
		case ctx.Err() != nil:
			return contextError(ctx)
		}

		return c.outbox.room(ctx, "datachannel send", n, c.settings.MaxBuffered)
	}
}

func (c *DataChannel) send(data []byte, text bool, room func(n int) error) error {
	const op = "datachannel send"
	stream, err := c.maySend(op, len(data))
	if err != nil {
		return err
	}
	if err = room(len(data)); err != nil {
		return ended(op, err)
	}
	ppid := sctp.PayloadTypeWebRTCBinary
	switch {
	case text && len(data) == 0:
		ppid = sctp.PayloadTypeWebRTCStringEmpty
	case text:
		ppid = sctp.PayloadTypeWebRTCString
	case len(data) == 0:
		ppid = sctp.PayloadTypeWebRTCBinaryEmpty
	}
	if len(data) == 0 {
		// SCTP has no empty messages; the kind says that this byte is none.
		// https://www.rfc-editor.org/rfc/rfc8831#section-6.6
		data = []byte{0}
	}
	c.outbox.sending(stream, len(data))
	if _, err = stream.WriteSCTP(data, ppid); err != nil {
		return c.sendError(op, err)
	}

	return nil
}

func (c *DataChannel) maySend(op string, n int) (*sctp.Stream, error) {
	if err := c.alive().usable(op); err != nil {
		return nil, err
	}
	c.life.mu.Lock()
	state, stream, longest := c.life.state, c.stream, c.longest
	c.life.mu.Unlock()
	switch state {
	case DataChannelStateConnecting:
		return nil, &Error{Op: op, Err: ErrDataChannelNotOpen}
	case DataChannelStateOpen:
	default:
		if cause := c.life.group.Cause(); cause != nil {
			return nil, ended(op, cause)
		}

		return nil, &Error{Op: op, Err: ErrClosed}
	}
	if uint64(n) > uint64(longest) { //nolint:gosec // a length
		return nil, &Error{Op: op, Err: fmt.Errorf("%w: %d bytes, at most %d", ErrMessageTooLarge, n, longest)}
	}

	return stream, nil
}

// sendError turns the module's words into ours.
func (c *DataChannel) sendError(op string, err error) error {
	switch cause := c.life.group.Cause(); {
	case cause != nil:
		return ended(op, cause)
	case errors.Is(err, sctp.ErrOutboundPacketTooLarge):
		return &Error{Op: op, Err: fmt.Errorf("%w: %w", ErrMessageTooLarge, err)}
	case errors.Is(err, sctp.ErrPayloadDataStateNotExist):
		// The association takes nothing any more, some packets before its end.
		return ended(op, c.sctp.ending(fmt.Errorf("%w: %w", ErrClosed, err)))
	case errors.Is(err, sctp.ErrStreamClosed):
		return &Error{Op: op, Err: fmt.Errorf("%w: %w", ErrClosed, err)}
	}

	return opError(op, err)
}

// BufferedAmount returns the bytes that are queued or sent and not yet
// acknowledged.
func (c *DataChannel) BufferedAmount() uint64 {
	if c.alive() == nil {
		return 0
	}

	return c.outbox.amount()
}

// BufferedAmountLowThreshold returns the threshold of OnBufferedAmountLow in
// bytes, 0 by default.
func (c *DataChannel) BufferedAmountLowThreshold() uint64 {
	if c.alive() == nil {
		return 0
	}
	c.outbox.mu.Lock()
	defer c.outbox.mu.Unlock()

	return c.outbox.threshold
}

// SetBufferedAmountLowThreshold sets the threshold of OnBufferedAmountLow, in
// bytes.
func (c *DataChannel) SetBufferedAmountLowThreshold(threshold uint64) {
	if c.alive() == nil {
		return
	}
	o := &c.outbox
	amount := o.amount()
	o.mu.Lock()
	o.threshold = threshold
	o.above = amount > threshold
	stream := o.stream
	o.mu.Unlock()
	if stream != nil {
		stream.SetBufferedAmountLowThreshold(threshold)
	}
}

// OnBufferedAmountLow sets the handler that is called when the buffered amount
// falls to the threshold from above. It may be nil, and it may block: calls do
// not overlap.
func (c *DataChannel) OnBufferedAmountLow(handler func()) {
	if c.alive() == nil {
		return
	}
	c.outbox.mu.Lock()
	defer c.outbox.mu.Unlock()
	c.outbox.onLow = handler
}
