package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/pion/datachannel"
	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/dcep"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// DataChannel carries messages between two peers, over one stream each way of
// an [SCTPTransport].
//
// Messages come to the handler of OnMessage, to ReceiveContext and ReadMessage,
// or to a connection, one of these at a time. They wait until it is there; when
// the bounds of the association are reached the peer has to wait too.
//
// A channel ends with its transport. The package documentation says when its
// methods may be called, on which goroutines its handlers run, and what ends
// them. https://www.rfc-editor.org/rfc/rfc8831#section-6
type DataChannel struct {
	life     *life[DataChannelState]
	sctp     *SCTPTransport
	settings *DataChannelSettings
	params   DataChannelParameters
	number   uint64 // of those that the program has made, for statistics

	inbox  inbox
	outbox outbox
	counts channelCounts
	stream atomic.Pointer[stream] // nil before it is being opened
	acked  atomic.Bool            // the peer knows the channel

	// callbacks delivers messages, the error and the close in this order.
	callbacks lifecycle.Queue

	// Guarded by life.mu.
	id       *uint16
	raw      *sctp.Stream
	closing  bool   // by our own Close
	longest  uint32 // message that the peer takes, in bytes; since open
	detached *datachannel.DataChannel
	dialed   once
	opened   once
	closed   once
	isOpened chan struct{} // closed when the peer has acknowledged
	onError  func(error)
}

// once is a handler that is called once: when its time has come and it is set,
// in whichever order.
type once struct {
	handler func()
	due     bool
	called  bool
}

// ready returns the handler if it is to be called now.
func (o *once) ready() func() {
	if !o.due || o.called || o.handler == nil {
		return nil
	}
	o.called = true

	return o.handler
}

// NewDataChannel makes a channel and opens it as soon as the association is
// there; it may be made before. It does not wait: OnOpen tells when the peer
// has acknowledged, and the channel can send as soon as it is open.
//
// Errors: [ErrInvalidArgument] for parameters that contradict each other, a
// label or protocol above 65,535 bytes, or an id in use; [ErrInvalidState]
// when the transport has ended, or has as many channels as it may.
func (api *API) NewDataChannel(transport *SCTPTransport, params *DataChannelParameters) (*DataChannel, error) {
	const op = "datachannel new"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	if params == nil {
		return nil, refuse(op, ErrInvalidArgument, "no parameters")
	}

	c, err := transport.newDataChannel(op, *params)
	if err != nil {
		return nil, err
	}
	transport.streams.await(c)
	transport.wanted()

	return c, nil
}

// newDataChannel makes a channel that does not wait for the association yet.
func (t *SCTPTransport) newDataChannel(op string, params DataChannelParameters) (*DataChannel, error) {
	if t.alive() == nil {
		return nil, refuse(op, ErrInvalidArgument, "SCTP transport: %w", errNotConstructed)
	}
	if err := params.validate(); err != nil {
		return nil, opError(op, err)
	}

	return t.makeChannel(op, params, false)
}

// makeChannel makes a channel that is still connecting. Its id, if it has one,
// and its place are taken. remote is one that the peer opens, on a stream that
// is there already.
func (t *SCTPTransport) makeChannel(op string, params DataChannelParameters, remote bool) (*DataChannel, error) {
	if cause := t.life.group.Cause(); cause != nil {
		return nil, refuse(op, ErrInvalidState, "transport has ended: %w", cause)
	}
	c := &DataChannel{
		life: newLife("datachannel", channelTransitions,
			DataChannelStateConnecting, DataChannelStateClosed, nil),
		sctp:     t,
		settings: &t.settings.DataChannel,
		params:   params,
		number:   channelNumbers.Add(1),
		id:       clonePointer(params.ID),
		isOpened: make(chan struct{}),
	}
	c.params.MaxRetransmits = clonePointer(params.MaxRetransmits)
	c.params.MaxPacketLifeTime = clonePointer(params.MaxPacketLifeTime)
	c.inbox.init(c)
	c.outbox.init(c)
	t.streams.reap()
	if err := t.streams.reserve(c, params.ID, remote); err != nil {
		if errors.Is(err, ErrInvalidArgument) {
			return nil, opError(op, err)
		}

		return nil, refuse(op, ErrInvalidState, "%w", err)
	}
	if !remote {
		t.happened.requested.Add(1)
	}
	c.life.group.Follow(t.life.group, lifecycle.Follower{End: c.lowerEnded, Shutdown: c.Shutdown, Passing: true})

	return c, nil
}

func clonePointer(p *uint16) *uint16 {
	if p == nil {
		return nil
	}
	v := *p

	return &v
}

// associated opens the channel over the association that is there now. It does
// not wait, as the write of the announcement may where writes block.
func (c *DataChannel) associated() {
	if c.sctp.blocksWrites() {
		c.sctp.life.group.Go(c.openNow)
	} else {
		c.openNow()
	}
}

func (c *DataChannel) openNow() {
	if err := c.open(); err != nil {
		c.end(opError("datachannel open", err))
	}
}

func (c *DataChannel) open() error {
	assoc := c.sctp.association()
	if assoc == nil {
		return c.sctp.life.causeOr(ErrClosed)
	}
	id, err := c.takeID()
	if err != nil {
		return err
	}
	open := &stream{id: id, channel: c, detached: c.settings.Detach, gone: make(chan struct{})}
	if !c.sctp.streams.add(open) {
		return ErrClosed
	}
	c.stream.Store(open)
	raw, err := c.sctp.openStream(assoc, id, c.settings.Detach)
	if err != nil {
		return c.sctp.life.causeOr(err)
	}
	c.sctp.filter.Opened(id)
	c.sctp.weights.SetWeight(id, c.params.weight())
	switch {
	case c.params.Negotiated:
		c.setReliability(raw)
	case c.life.group.Cause() != nil:
		err = ErrClosed
	default:
		err = c.writeOpen(raw)
	}
	if err != nil {
		// Nothing was sent, so the peer would never answer a reset.
		c.sctp.streams.remove(open)
		c.sctp.gone(id)

		return err
	}
	if !c.sctp.streams.opened(open, raw) {
		return and(ErrClosed, raw.Close())
	}
	// RFC 8832 6: a negotiated channel is open at once, any other when the
	// peer has acknowledged. A detached one reads the acknowledgement itself.
	// https://www.rfc-editor.org/rfc/rfc8832#section-6
	c.attach(raw, c.params.Negotiated || c.settings.Detach)

	return nil
}

func (c *DataChannel) takeID() (uint16, error) {
	c.life.mu.Lock()
	known := c.id
	c.life.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	id, err := c.sctp.streams.allocate(c)
	if err != nil {
		return 0, err
	}
	c.life.mu.Lock()
	closed := c.life.state == DataChannelStateClosed
	if !closed {
		c.id = &id
	}
	c.life.mu.Unlock()
	if closed {
		c.sctp.streams.free(id) // its end had no id to give back

		return 0, ErrClosed
	}

	return id, nil
}

func (c *DataChannel) writeOpen(raw *sctp.Stream) error {
	kind, value, err := dcep.TypeOf(c.params.Ordered, c.params.MaxRetransmits, c.params.MaxPacketLifeTime)
	if err != nil {
		return err
	}
	message, err := dcep.Open{
		ChannelType: kind, ReliabilityParameter: value, Priority: c.params.weight(),
		Label: c.params.Label, Protocol: c.params.Protocol,
	}.Marshal()
	if err != nil {
		return err
	}
	_, err = c.sctp.weights.Write(raw, message, sctp.PayloadTypeWebRTCDCEP)
	if errors.Is(err, sctp.ErrOutboundPacketTooLarge) {
		err = fmt.Errorf("%w: label and protocol", ErrMessageTooLarge)
	}

	return err
}

// setReliability is called when the peer has acknowledged: until then messages
// are sent in order, and reliably. https://www.rfc-editor.org/rfc/rfc8832#section-6
func (c *DataChannel) setReliability(raw *sctp.Stream) {
	kind, value := sctp.ReliabilityTypeReliable, uint32(0)
	switch {
	case c.params.MaxRetransmits != nil:
		kind, value = sctp.ReliabilityTypeRexmit, uint32(*c.params.MaxRetransmits)
	case c.params.MaxPacketLifeTime != nil:
		kind, value = sctp.ReliabilityTypeTimed, uint32(*c.params.MaxPacketLifeTime)
	}
	raw.SetReliabilityParams(!c.params.Ordered, kind, value)
}

// attach makes the channel open, unless it was closed in the meantime.
func (c *DataChannel) attach(raw *sctp.Stream, acknowledged bool) {
	c.outbox.attach(raw)
	longest := c.sctp.GetCapabilities().MaxMessageSize
	c.life.mu.Lock()
	moved := c.moveLocked(DataChannelStateOpen)
	if moved {
		c.raw, c.longest = raw, longest
		c.dialed.due = true
		if f := c.dialed.ready(); f != nil {
			c.life.group.Handle(f)
		}
	}
	c.life.mu.Unlock()
	if !moved {
		c.sctp.abandon(c.stream.Load())

		return
	}
	if acknowledged {
		c.acknowledged()
	}
	if !c.settings.Detach {
		c.inbox.attach(raw)
	}
}

// acknowledged tells that the peer knows the channel.
func (c *DataChannel) acknowledged() {
	if c.acked.Swap(true) {
		return
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.opened.due = true
	close(c.isOpened)
	if f := c.opened.ready(); f != nil {
		c.life.group.Handle(f)
	}
}

func (c *DataChannel) isAcknowledged() bool { return c.acked.Load() }

// Close closes the channel: what was sent is delivered first, then both sides
// see it closed. It does not wait. A channel that is still connecting is
// closed at once. Messages that were not received are dropped.
func (c *DataChannel) Close() error {
	const op = "datachannel close"
	if err := c.alive().usable(op); err != nil {
		return err
	}
	c.life.mu.Lock()
	raw := c.raw
	moved := raw != nil && c.moveLocked(DataChannelStateClosing)
	c.closing = c.closing || moved
	c.life.mu.Unlock()
	switch {
	case raw == nil:
		c.end(ErrClosed)
	case moved:
		c.outbox.wake()
		c.outbox.close()
		c.inbox.discard()
	}

	return nil
}

// closeStream resets our direction, as the outbox does when nothing is being
// written. After our own Close nobody wants what still comes.
func (c *DataChannel) closeStream() {
	c.life.mu.Lock()
	ours := c.closing
	c.life.mu.Unlock()
	err := c.sctp.closeStream(c.stream.Load())
	if ours && (err != nil || c.settings.Detach) {
		// The association takes no reset any more, or nobody reads the peer's
		// answer to it.
		c.end(ErrClosed)
	}
}

// GracefulClose is Shutdown without a limit, and waits for the handlers. It
// must not be called from one.
func (c *DataChannel) GracefulClose() error {
	return c.alive().graceful(c.Shutdown(context.Background()))
}

// Shutdown closes the channel and waits until both sides have: everything sent
// has been delivered then. If ctx ends first the channel is closed at once,
// and the error says how many bytes were not acknowledged.
func (c *DataChannel) Shutdown(ctx context.Context) error {
	const op = "datachannel shutdown"
	if err := c.alive().usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	_ = c.Close()
	_, err := c.life.await(ctx, op, DataChannelStateClosed)
	lost := c.BufferedAmount()
	c.end(ErrClosed)
	c.life.awaitTorn()
	if err == nil && lost > 0 {
		// The peer may have closed too, before it came to the end of ours.
		lost, err = c.awaitReset(ctx, lost)
	}
	if err != nil && lost > 0 {
		if named, ok := err.(*Error); ok && named.Op == op { //nolint:errorlint // only the outermost names it
			err = named.Err
		}
		err = &Error{Op: op, Err: &DataLostError{int(lost), err}} //nolint:gosec // within the budget
	}

	return opError(op, and(err, c.life.tasksDone(ctx)))
}

// awaitReset waits until the peer has performed the reset of our direction,
// which comes behind everything that was sent. It returns what is lost if that
// does not happen, and why.
func (c *DataChannel) awaitReset(ctx context.Context, lost uint64) (uint64, error) {
	open := c.stream.Load()
	if open == nil {
		return lost, nil
	}
	select {
	case <-open.gone:
		return 0, nil
	case <-c.sctp.life.group.Context().Done():
		return lost, c.sctp.life.group.Cause()
	case <-ctx.Done():
		return lost, contextError(ctx)
	}
}

// readable, resetting and overflow come from the association; see the interface.
func (c *DataChannel) readable()  { c.inbox.readable() }
func (c *DataChannel) resetting() { c.inbox.reset() }
func (c *DataChannel) overflow(err error) {
	if c.settings.Detach {
		c.failed(err) // what came before, the program has
	} else {
		c.inbox.overflow(err)
	}
}

// failed ends the channel, and resets its stream, for what the peer has sent.
func (c *DataChannel) failed(err error) { c.end(opError("datachannel receive", err)) }

// peerReset ends the channel when the peer has closed it, or answered our
// close, and everything that it had sent is with us. If the association itself
// ends, its end says why.
func (c *DataChannel) peerReset() {
	if c.sctp.isShutting() {
		return
	}
	c.life.mu.Lock()
	cause, id := io.EOF, c.id
	if c.closing {
		cause = ErrClosed
	}
	c.moveLocked(DataChannelStateClosing)
	c.life.mu.Unlock()
	// RFC 8831 6.7: the answer is a reset of our own direction.
	// https://www.rfc-editor.org/rfc/rfc8831#section-6.7
	c.outbox.close()
	c.sctp.peerReset(*id)
	c.end(cause)
}

// lowerEnded ends the channel with its transport. What has come stays to be
// received.
func (c *DataChannel) lowerEnded(cause error) { c.finish(cause, false) }

// reap ends a channel whose stream the program has closed by what Detach gave
// it, and the peer too.
func (c *DataChannel) reap() (ended bool) {
	c.life.mu.Lock()
	raw := c.raw
	c.life.mu.Unlock()
	if raw != nil && raw.State() == sctp.StreamStateClosed {
		c.end(io.EOF)
	}

	return c.life.group.Cause() != nil
}

// end closes the channel for good, in a transport that goes on.
func (c *DataChannel) end(cause error) { c.finish(cause, true) }

// finish closes the channel for good. If the association is still there, our
// part in the stream ends too.
func (c *DataChannel) finish(cause error, associated bool) {
	c.life.mu.Lock()
	c.moveLocked(DataChannelStateClosed)
	c.life.mu.Unlock()
	c.life.end(cause, func() {
		c.sctp.streams.forget(c)
		c.life.mu.Lock()
		id := c.id
		c.life.mu.Unlock()
		c.inbox.end(cause, associated)
		if open := c.stream.Load(); open != nil && associated {
			c.outbox.close()
			c.sctp.discard(open)
		}
		if !associated {
			c.sctp.streams.remember(c.Stats())
		}
		c.sctp.streams.leave(c, id)
		c.outbox.wake()
		c.postClosed(cause)
	})
}

// postClosed tells the handlers after the last message.
func (c *DataChannel) postClosed(cause error) {
	c.callbacks.Post(c.life.group, func() {
		if !gracefulEnd(cause) {
			call(c.life, &c.onError, cause)
		}
		c.life.mu.Lock()
		c.closed.due = true
		onClose := c.closed.ready()
		c.life.mu.Unlock()
		if onClose != nil {
			onClose()
		}
	})
}

func (c *DataChannel) alive() *life[DataChannelState] {
	if c == nil {
		return nil
	}

	return c.life
}
