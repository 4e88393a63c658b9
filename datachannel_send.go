package webrtc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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

	// writers counts the messages that are being given to the association. The
	// last one closes the stream if closing is set: nothing may come after its
	// end.
	writers atomic.Int64

	mu        sync.Mutex
	raw       *sctp.Stream
	threshold uint64
	above     bool // messages have brought the amount above the threshold since the last event
	onLow     func()
	changed   lifecycle.Changes // there may be room
}

func (o *outbox) init(c *DataChannel) { o.c = c }

func (o *outbox) attach(raw *sctp.Stream) {
	o.mu.Lock()
	o.raw = raw
	threshold := o.threshold
	o.mu.Unlock()
	raw.SetBufferedAmountLowThreshold(threshold)
	raw.OnBufferedAmountLow(o.fallen)
}

// closing is a flag in outbox.writers.
const closing = 1 << 62

// enter counts a message that is about to be written, unless the channel is
// being closed. leave has to follow.
func (o *outbox) enter() bool {
	if o.writers.Add(1)&closing == 0 {
		return true
	}
	o.leave()

	return false
}

func (o *outbox) leave() {
	if o.writers.Add(-1) == closing {
		o.c.closeStream()
	}
}

// close closes the stream when no message is being written.
func (o *outbox) close() {
	if o.writers.Or(closing) == 0 {
		o.c.closeStream()
	}
}

// fallen runs on the association's reader, under its lock, so it must not wait.
func (o *outbox) fallen() {
	o.mu.Lock()
	due := o.above
	o.above = false
	o.mu.Unlock()
	if !due {
		return // it was what opened the channel
	}
	o.low.Post(o.c.life.group, func() {
		o.mu.Lock()
		handler := o.onLow
		o.mu.Unlock()
		if handler != nil {
			handler()
		}
	})
}

// sending notes that the amount is about to rise by n bytes.
func (o *outbox) sending(raw *sctp.Stream, n int) {
	amount := raw.BufferedAmount()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.above = o.above || amount+uint64(n) > o.threshold //nolint:gosec // a length
}

// wake has every sender that waits look again.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed.Note()
}

func (o *outbox) amount() uint64 {
	o.mu.Lock()
	raw := o.raw
	o.mu.Unlock()
	if raw == nil {
		return 0
	}

	return raw.BufferedAmount()
}

// acknowledged wakes senders when half of the channel's budget is free.
func (o *outbox) acknowledged() {
	if o.amount() <= o.half() {
		o.wake()
	}
}

func (o *outbox) half() uint64 {
	return uint64(o.c.settings.MaxBuffered / 2) //nolint:gosec // above 0
}

// room waits until n more bytes fit both budgets, and takes that room of the
// association's. The channel has to stay open meanwhile.
func (o *outbox) room(ctx context.Context, op string, n int) error {
	if o.fits(n) {
		return nil
	}
	o.c.sctp.budget.await(o)
	defer o.c.sctp.budget.leave(o)
	for {
		o.mu.Lock()
		changed := o.changed.Next()
		o.mu.Unlock()
		if _, err := o.c.maySend(op, n); err != nil {
			return err
		}
		if o.fits(n) {
			return nil
		}
		select {
		case <-changed:
		case <-o.c.life.group.Context().Done():
		case <-ctx.Done():
			return opError(op, contextError(ctx))
		}
	}
}

// fits takes room for n bytes if there is. A message of any size has room in a
// queue that is half empty, or no queue at all.
func (o *outbox) fits(n int) bool {
	amount := o.amount()
	if amount > o.half() && amount+uint64(n) > uint64(o.c.settings.MaxBuffered) { //nolint:gosec // sizes
		return false
	}
	ok, _ := o.c.sctp.budget.reserve(o.c.sctp.association(), n, true)

	return ok
}

// Send queues a binary message, empty ones too, and does not wait. The data
// may be reused when it returns.
//
// Errors: [ErrDataChannelNotOpen] before the channel is open; the cause of the
// end after it, [ErrClosed] for our own Close; [ErrMessageTooLarge] above the
// peer's maximum; [ErrBufferFull] when the queue has reached its hard limit
// (DataChannelSettings.MaxAssociationBuffered). The message was not queued then.
func (c *DataChannel) Send(data []byte) error { return c.send(nil, data, false) }

// SendText queues a text message, as [DataChannel.Send] does. It should be
// valid UTF-8, or browsers will not take it.
func (c *DataChannel) SendText(s string) error { return c.send(nil, []byte(s), true) }

// SendContext waits while more than DataChannelSettings.MaxBuffered bytes are
// queued on the channel, or MaxAssociationBuffered on all of them, then queues
// a binary message. It returns the context's error if ctx ends first, and the
// message was not queued then.
func (c *DataChannel) SendContext(ctx context.Context, data []byte) error {
	return c.sendWaiting(ctx, data, false)
}

// SendTextContext is [DataChannel.SendContext] for a text message.
func (c *DataChannel) SendTextContext(ctx context.Context, s string) error {
	return c.sendWaiting(ctx, []byte(s), true)
}

func (c *DataChannel) sendWaiting(ctx context.Context, data []byte, text bool) error {
	if _, err := c.maySend("datachannel send", len(data)); err != nil {
		return err
	}
	switch {
	case ctx == nil:
		return refuse("datachannel send", ErrInvalidArgument, "nil context")
	case ctx.Err() != nil:
		return opError("datachannel send", contextError(ctx))
	}

	return c.send(ctx, data, text)
}

// send queues a message, and waits for room if there is a context.
func (c *DataChannel) send(ctx context.Context, data []byte, text bool) error {
	const op = "datachannel send"
	raw, err := c.maySend(op, len(data))
	if err != nil {
		return err
	}
	kind, size := kinds[text][len(data) == 0], len(data)
	if len(data) == 0 {
		// SCTP has no empty messages; the kind says that this byte is none.
		// https://www.rfc-editor.org/rfc/rfc8831#section-6.6
		data = []byte{0}
	}
	if ctx != nil {
		err = c.outbox.room(ctx, op, len(data))
	} else if ok, queued := c.sctp.budget.reserve(c.sctp.association(), len(data), false); !ok {
		err = &Error{Op: op, Err: fmt.Errorf("%w: %d bytes are queued", ErrBufferFull, queued)}
	}
	if err != nil {
		return err
	}
	if c.outbox.enter() {
		c.outbox.sending(raw, len(data))
		err = c.write(ctx, raw, data, kind)
		c.outbox.leave()
	} else {
		err = sctp.ErrStreamClosed
	}
	c.sctp.budget.done(len(data), err == nil)
	if err != nil {
		return c.sendError(op, err)
	}
	c.counts.sent(size)
	c.sctp.totals.sent(size)

	return nil
}

// write gives a message to the association, which takes it at once unless
// writes block.
func (c *DataChannel) write(
	ctx context.Context, raw *sctp.Stream, data []byte, kind sctp.PayloadProtocolIdentifier,
) error {
	if ctx == nil || !c.sctp.blocksWrites() {
		_, err := raw.WriteSCTP(data, kind)

		return err
	}
	for {
		release := lifecycle.AbortOnDone(ctx, func() { _ = raw.SetWriteDeadline(expired) })
		_, err := raw.WriteSCTP(data, kind)
		if !release() {
			_ = raw.SetWriteDeadline(time.Time{})
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if ctx.Err() != nil {
			return contextError(ctx)
		} // the deadline was that of another sender
	}
}

// kinds are the payload protocol identifiers of messages: text, empty.
// https://www.rfc-editor.org/rfc/rfc8831#section-8
var kinds = map[bool]map[bool]sctp.PayloadProtocolIdentifier{
	false: {false: sctp.PayloadTypeWebRTCBinary, true: sctp.PayloadTypeWebRTCBinaryEmpty},
	true:  {false: sctp.PayloadTypeWebRTCString, true: sctp.PayloadTypeWebRTCStringEmpty},
}

func (c *DataChannel) maySend(op string, n int) (*sctp.Stream, error) {
	if err := c.alive().usable(op); err != nil {
		return nil, err
	}
	c.life.mu.Lock()
	state, raw, longest := c.life.state, c.raw, c.longest
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

	return raw, nil
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
	o.threshold, o.above = threshold, amount > threshold
	raw := o.raw
	o.mu.Unlock()
	if raw != nil {
		raw.SetBufferedAmountLowThreshold(threshold)
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
