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
	c   *DataChannel
	raw atomic.Pointer[sctp.Stream] // nil until it is there

	// low delivers OnBufferedAmountLow, which may block, apart from messages.
	low lifecycle.Queue

	// writers counts the messages that are being given to the association. The
	// last one closes the stream if closing is set: nothing may come after its
	// end.
	writers atomic.Int64
	// writing holds a token while a message is being written: the module
	// numbers a message before it queues it, and two at once would get their
	// numbers in the wrong order.
	writing chan struct{}
	written atomic.Int64 // bytes that were given to the association, ever

	mu        sync.Mutex
	sizes     queuedSizes // never less than is queued
	joined    bool        // the budget knows the outbox
	wanted    int64       // the least that a sender waits for; 0 if none does
	threshold uint64
	above     bool // messages have brought the amount above the threshold since the last event
	onLow     func()
	changed   lifecycle.Changes // there may be room
}

func (o *outbox) init(c *DataChannel) {
	o.c = c
	o.writing = make(chan struct{}, 1)
}

func (o *outbox) attach(raw *sctp.Stream) {
	o.raw.Store(raw)
	o.applyThreshold()
	raw.OnBufferedAmountLow(o.fallen)
}

// applyThreshold brings the stream's threshold to the newest, whichever
// goroutine is the last to do so.
func (o *outbox) applyThreshold() {
	raw := o.raw.Load()
	for raw != nil {
		o.mu.Lock()
		threshold := o.threshold
		o.mu.Unlock()
		raw.SetBufferedAmountLowThreshold(threshold)
		o.mu.Lock()
		same := threshold == o.threshold
		o.mu.Unlock()
		if same {
			return
		}
	}
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
	if !due && !o.c.settings.Detach {
		return // it was what opened the channel, or, detached, what the program has written by itself
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

// wake has every sender that waits look again.
func (o *outbox) wake() {
	o.mu.Lock()
	o.changed.Note()
	joined := o.joined
	o.mu.Unlock()
	if joined && o.c.life.group.Cause() != nil {
		o.c.sctp.budget.ended(o)
	}
}

func (o *outbox) amount() uint64 {
	raw := o.raw.Load()
	if raw == nil {
		return 0
	}

	return raw.BufferedAmount()
}

// limit is what the messages of the channel may cost.
func (o *outbox) limit() int64 { return int64(o.c.settings.MaxBuffered) }

// roomLocked tells whether there is room for a message. One of any size has
// room in a queue that is half empty, or no queue at all.
func (o *outbox) roomLocked(cost int64) bool {
	queued := o.sizes.cost()

	return queued <= o.limit()/2 || queued+cost <= o.limit()
}

// take takes room for a message of n bytes, if there is: in the association's
// budget, and in the channel's for a sender that waits. wrote has to follow.
func (o *outbox) take(n int, waits bool) bool {
	budget, cost := &o.c.sctp.budget, messageCost(n)
	if !budget.reserve(o.c.sctp, cost, waits) {
		return false
	}
	ok, joins := o.push(n, waits)
	if !ok {
		o.settle()
		ok, joins = o.push(n, waits)
	}
	if !ok {
		budget.release(cost)
	}
	if joins {
		budget.join(o)
		if o.c.life.group.Cause() != nil { // it may have ended before it joined
			budget.ended(o)
		}
	}

	return ok
}

// push enters a message that is about to be written.
func (o *outbox) push(n int, waits bool) (ok, joins bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cost := messageCost(n); waits && !o.roomLocked(cost) {
		if o.wanted == 0 || cost < o.wanted {
			o.wanted = cost
		}

		return false, false
	}
	o.sizes.push(int64(n))
	o.above = o.above || uint64(o.sizes.bytes) > o.threshold //nolint:gosec // an amount
	joins = !o.joined
	o.joined = true

	return true, joins
}

// wrote tells that the association has a message of n bytes. One that it has
// refused counts as acknowledged.
func (o *outbox) wrote(n int) {
	budget := &o.c.sctp.budget
	o.written.Add(int64(n))
	budget.written.Add(int64(n))
	if budget.waiters.Load() > 0 && o.c.sctp.BufferedAmount() == 0 {
		// The last acknowledgement may have come before this, and found no room.
		o.settle()
		budget.tell(nil)
	}
}

// settle gives back what the peer has acknowledged.
func (o *outbox) settle() (empty bool) {
	// In this order: what is written in between is taken for unacknowledged.
	written := o.written.Load()
	acked := written - int64(o.amount()) //nolint:gosec // an amount
	o.mu.Lock()
	freed := o.sizes.settle(acked)
	empty = o.sizes.messages == 0
	o.mu.Unlock()
	o.c.sctp.budget.release(freed)

	return empty
}

// acknowledged wakes senders when a sixteenth of the channel's budget is free,
// and one of them would fit. With less they would be woken for every packet;
// with more, one channel would leave a part of a long path unused: it fills the
// path with what is queued, and no more than the budget can be on its way.
func (o *outbox) acknowledged() {
	o.settle()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sizes.cost() <= o.limit()-o.limit()/16 && o.roomLocked(o.wanted) {
		o.wanted = 0
		o.changed.Note()
	}
}

// room waits until a message of n bytes fits both budgets, and takes that room.
// The channel has to stay open meanwhile.
func (o *outbox) room(ctx context.Context, op string, n int) error {
	if o.take(n, true) {
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
		if o.take(n, true) {
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

// Send queues a binary message, empty ones too, and does not wait. The data
// may be reused when it returns.
//
// Errors: [ErrDataChannelNotOpen] before the channel is open; the cause of the
// end after it, [ErrClosed] for our own Close; [ErrMessageTooLarge] above the
// peer's maximum; [ErrBufferFull] when the queue has reached its hard limit
// (DataChannelSettings.MaxAssociationBuffered). The message was not queued then.
func (c *DataChannel) Send(data []byte) error {
	return c.send(context.Background(), false, data, false)
}

// SendText queues a text message, as [DataChannel.Send] does. It should be
// valid UTF-8, or browsers will not take it.
func (c *DataChannel) SendText(s string) error {
	return c.send(context.Background(), false, []byte(s), true)
}

// SendContext waits while as much is queued on the channel as
// DataChannelSettings.MaxBuffered allows, or on all of them as
// MaxAssociationBuffered does, then queues a binary message. It returns the
// context's error if ctx ends first, and the message was not queued then.
func (c *DataChannel) SendContext(ctx context.Context, data []byte) error {
	return c.send(ctx, true, data, false)
}

// SendTextContext is [DataChannel.SendContext] for a text message.
func (c *DataChannel) SendTextContext(ctx context.Context, s string) error {
	return c.send(ctx, true, []byte(s), true)
}

// send queues a message, and waits for room if it is to.
func (c *DataChannel) send(ctx context.Context, waits bool, data []byte, text bool) error {
	const op = "datachannel send"
	raw, err := c.maySend(op, len(data))
	switch {
	case err != nil:
		return err
	case ctx == nil:
		return refuse(op, ErrInvalidArgument, "nil context")
	case ctx.Err() != nil:
		return opError(op, contextError(ctx))
	}
	kind, size := kindOf(text, len(data) == 0), len(data)
	if len(data) == 0 {
		// SCTP has no empty messages; the kind says that this byte is none.
		// https://www.rfc-editor.org/rfc/rfc8831#section-6.6
		data = emptyMessage[:]
	}
	if waits {
		err = c.outbox.room(ctx, op, len(data))
	} else if !c.outbox.take(len(data), false) {
		err = &Error{Op: op, Err: fmt.Errorf(
			"%w: no room for %d bytes, %d of %d are taken (a message counts %d more than its bytes)",
			ErrBufferFull, len(data), c.sctp.budget.queued.Load(), c.settings.MaxAssociationBuffered, messageOverhead)}
	}
	if err != nil {
		return err
	}
	if c.outbox.enter() {
		err = c.write(ctx, raw, data, kind)
		c.outbox.wrote(len(data))
		c.outbox.leave()
	} else {
		c.outbox.wrote(len(data))
		err = sctp.ErrStreamClosed
	}
	if err != nil {
		// What the message had taken is free, and no acknowledgement will tell.
		c.outbox.settle()
		c.sctp.budget.tell(nil)

		return c.sendError(op, err)
	}
	c.counts.sent(size)
	c.sctp.totals.sent(size)

	return nil
}

var emptyMessage [1]byte

// write gives a message to the association, which takes it at once unless
// writes block.
func (c *DataChannel) write(
	ctx context.Context, raw *sctp.Stream, data []byte, kind sctp.PayloadProtocolIdentifier,
) error {
	select {
	case c.outbox.writing <- struct{}{}:
	case <-ctx.Done():
		return contextError(ctx)
	}
	defer func() { <-c.outbox.writing }()
	if !c.sctp.blocksWrites() {
		_, err := c.sctp.weights.Write(raw, data, kind)

		return err
	}
	release := lifecycle.AbortOnDone(ctx, func() { _ = raw.SetWriteDeadline(expired) })
	_, err := c.sctp.weights.Write(raw, data, kind)
	if !release() {
		_ = raw.SetWriteDeadline(time.Time{})
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return contextError(ctx)
	}

	return err // a deadline that the program has set ends it too
}

// kindOf is the payload protocol identifier of a message.
// https://www.rfc-editor.org/rfc/rfc8831#section-8
func kindOf(text, empty bool) sctp.PayloadProtocolIdentifier {
	switch {
	case text && empty:
		return sctp.PayloadTypeWebRTCStringEmpty
	case text:
		return sctp.PayloadTypeWebRTCString
	case empty:
		return sctp.PayloadTypeWebRTCBinaryEmpty
	default:
		return sctp.PayloadTypeWebRTCBinary
	}
}

func (c *DataChannel) maySend(op string, n int) (*sctp.Stream, error) {
	if err := c.alive().usable(op); err != nil {
		return nil, err
	}
	c.life.mu.Lock()
	state, raw, longest, ours := c.life.state, c.raw, c.longest, c.closing
	c.life.mu.Unlock()
	switch state {
	case DataChannelStateConnecting:
		return nil, &Error{Op: op, Err: ErrDataChannelNotOpen}
	case DataChannelStateOpen:
	default:
		if ours && c.life.group.Cause() == nil {
			return nil, &Error{Op: op, Err: ErrClosed}
		}

		return nil, ended(op, c.life.endCause())
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
	o.mu.Unlock()
	o.applyThreshold()
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
