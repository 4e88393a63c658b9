package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/dcep"
)

// OpenDataChannel makes a channel and waits until the peer has acknowledged
// it. If ctx ends first, or the channel does, it is closed and the error says
// why.
func (t *SCTPTransport) OpenDataChannel(ctx context.Context, params *DataChannelParameters) (*DataChannel, error) {
	const op = "datachannel open"
	switch {
	case ctx == nil:
		return nil, refuse(op, ErrInvalidArgument, "nil context")
	case params == nil:
		return nil, refuse(op, ErrInvalidArgument, "no parameters")
	}
	c, err := t.newDataChannel(op, *params)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		err = opError(op, contextError(ctx))
		c.end(err)

		return nil, err
	}
	t.streams.await(c)
	t.wanted()
	select {
	case <-c.isOpened:
		return c, nil
	case <-c.life.group.Context().Done():
		return nil, ended(op, c.life.group.Cause())
	case <-ctx.Done():
		_ = c.Close()

		return nil, opError(op, contextError(ctx))
	}
}

// AcceptDataChannel returns the next channel that the peer has opened, and
// waits for it. The channel is open, and has every message from the first.
//
// It returns the cause when the transport ends, the context's error when ctx
// does, and [ErrInvalidState] while OnDataChannel has a handler.
func (t *SCTPTransport) AcceptDataChannel(ctx context.Context) (*DataChannel, error) {
	const op = "datachannel accept"
	if err := t.alive().usable(op); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	for {
		// After our own end nobody wants what has waited.
		wanted := ctx.Err() == nil && t.life.group.Cause() != ErrClosed //nolint:errorlint // see gracefulEnd
		c, changed, handled := t.accepted.take(wanted)
		switch {
		case handled:
			return nil, refuse(op, ErrInvalidState, "OnDataChannel has the channels")
		case c != nil:
			return dataChannel(c), nil
		}
		select {
		case <-changed:
		case <-t.life.group.Context().Done():
			return nil, ended(op, t.life.group.Cause())
		case <-ctx.Done():
			return nil, opError(op, contextError(ctx))
		}
	}
}

// OnDataChannel sets the handler of channels that the peer opens. It is called
// for each on a goroutine of its own, gets those that waited first, and may
// never return. In it the channel is open, and no message has been delivered.
// It may be nil: channels wait for AcceptDataChannel then.
func (t *SCTPTransport) OnDataChannel(handler func(*DataChannel)) {
	if t.alive() == nil {
		return
	}
	var take func(channel)
	if handler != nil {
		take = func(c channel) { handler(dataChannel(c)) }
	}
	for _, c := range t.accepted.handle(take) {
		t.life.group.Handle(func() { take(c) })
	}
}

// OnDataChannelOpened sets a second handler of channels that the peer opens,
// called like that of OnDataChannel and beside it. It does not take the
// channels from AcceptDataChannel. It may be nil.
func (t *SCTPTransport) OnDataChannelOpened(handler func(*DataChannel)) {
	if t.alive() == nil {
		return
	}
	var opened func(channel)
	if handler != nil {
		opened = func(c channel) { handler(dataChannel(c)) }
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.onOpened = opened
}

// dataChannel is the channel behind what the transport knows of it. There is
// no other kind.
func dataChannel(c channel) *DataChannel {
	d, _ := c.(*DataChannel)

	return d
}

// declare makes a channel of a stream that the peer has begun, once its first
// message has come. A stream that does not begin as a channel must is reset,
// and nothing else is touched.
func (t *SCTPTransport) declare(open *stream) {
	t.streams.reap()
	c, complete, err := t.acceptChannel(open)
	switch {
	case err != nil:
		t.refuse(open, err)
		if c != nil {
			c.end(opError("datachannel accept", err))
		}
	case complete && t.declared(open, c):
		t.announce(c, open)
	case c != nil:
		c.end(errNotDeclared)
	}
}

func (t *SCTPTransport) declared(open *stream, c *DataChannel) bool {
	c.stream.Store(open)

	return t.streams.declare(open, c)
}

// acceptChannel reads the first message of a stream, if it is complete.
func (t *SCTPTransport) acceptChannel(open *stream) (c *DataChannel, complete bool, err error) {
	n, _, err := open.raw.ReadSCTP(nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, false, nil
	case !errors.Is(err, io.ErrShortBuffer):
		return nil, false, err
	case n > int(t.settings.SCTP.MaxMessageSize):
		return nil, false, ErrMessageTooLarge
	}
	data := make([]byte, n)
	n, ppid, err := open.raw.ReadSCTP(data)
	if err != nil {
		return nil, false, err
	}
	t.filter.Took(open.id, n)
	if ppid != sctp.PayloadTypeWebRTCDCEP {
		return nil, false, fmt.Errorf("the first message is of kind %d, not DCEP", ppid)
	}
	message, err := dcep.ParseOpen(data[:n])
	if err != nil {
		return nil, false, err
	}
	if t.accepted.full() {
		return nil, false, errNobodyAccepts
	}
	ordered, maxRetransmits, maxPacketLifeTime := message.Reliability()
	c, err = t.makeChannel("datachannel accept", DataChannelParameters{
		Label: message.Label, Protocol: message.Protocol, ID: &open.id, Priority: message.Priority,
		Ordered: ordered, MaxRetransmits: maxRetransmits, MaxPacketLifeTime: maxPacketLifeTime,
	}, true)

	return c, err == nil, err
}

var errNobodyAccepts = errors.New("nobody accepts channels")

// announce acknowledges a channel of the peer's, opens it, and hands it to the
// program.
func (t *SCTPTransport) announce(c *DataChannel, open *stream) {
	open.raw.SetDefaultPayloadType(sctp.PayloadTypeWebRTCBinary)
	if t.settings.DataChannel.Detach {
		t.streams.handOver(open)
		_ = open.raw.SetReadDeadline(time.Time{}) // the program reads, and waits
	}
	acknowledge := func() {
		if _, err := open.raw.WriteSCTP(dcep.Ack(), sctp.PayloadTypeWebRTCDCEP); err != nil {
			c.end(c.sctp.life.causeOr(err))
		}
	}
	if t.blocksWrites() {
		t.life.group.Go(acknowledge) // it may have to wait for this very goroutine
	} else {
		acknowledge()
	}
	c.setReliability(open.raw)
	t.weights.SetWeight(open.id, c.params.weight())
	c.attach(open.raw, true)
	t.life.mu.Lock()
	opened := t.onOpened
	t.life.mu.Unlock()
	handler, ok := t.accepted.put(c)
	if !ok {
		t.log.Warnf("channel %d is closed: %v", open.id, errNobodyAccepts)
		_ = c.Close()

		return
	}
	t.happened.accepted.Add(1)
	if handler != nil {
		t.life.group.Handle(func() { handler(c) })
	}
	if opened != nil {
		t.life.group.Handle(func() { opened(c) })
	}
}
