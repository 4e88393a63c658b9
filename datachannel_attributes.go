package webrtc

import (
	"context"

	"github.com/pion/datachannel"

	"github.com/ctxrtc/webrtc/internal/dcep"
)

// Label returns the label, which need not be unique.
func (c *DataChannel) Label() string { return c.parameters().Label }

// Protocol returns the name of the sub-protocol, as the program defines it.
func (c *DataChannel) Protocol() string { return c.parameters().Protocol }

// Ordered tells whether messages are delivered in the order of sending.
func (c *DataChannel) Ordered() bool { return c.parameters().Ordered }

// Negotiated tells whether both programs made the channel with the same id,
// instead of one side announcing it.
func (c *DataChannel) Negotiated() bool { return c.parameters().Negotiated }

// MaxPacketLifeTime returns for how many milliseconds a message is sent again,
// nil if that is not limited.
func (c *DataChannel) MaxPacketLifeTime() *uint16 {
	return clonePointer(c.parameters().MaxPacketLifeTime)
}

// MaxRetransmits returns how often a message is sent again, nil if that is not
// limited.
func (c *DataChannel) MaxRetransmits() *uint16 { return clonePointer(c.parameters().MaxRetransmits) }

// Priority returns the channel's weight beside the others of its association;
// see DataChannelParameters. It is never 0.
func (c *DataChannel) Priority() uint16 { return c.parameters().weight() }

// parameters never change.
func (c *DataChannel) parameters() DataChannelParameters {
	if c == nil {
		return DataChannelParameters{}
	}

	return c.params
}

// ID returns the stream id, nil while it is not known.
func (c *DataChannel) ID() *uint16 {
	if c.alive() == nil {
		return nil
	}
	c.life.mu.Lock()
	defer c.life.mu.Unlock()

	return clonePointer(c.id)
}

// ReadyState returns the present state.
func (c *DataChannel) ReadyState() DataChannelState { return c.alive().current() }

// Transport returns the transport underneath.
func (c *DataChannel) Transport() *SCTPTransport {
	if c == nil {
		return nil
	}

	return c.sctp
}

// Context is done when the channel is closed. Its cause says why: [ErrClosed]
// for our own Close, io.EOF for the peer's, the cause of the transport's end.
func (c *DataChannel) Context() context.Context { return c.alive().context() }

// OnOpen sets the handler that is called once, on a goroutine of its own, when
// the peer has acknowledged the channel; at once if it has before. It may be
// nil, and it may never return.
func (c *DataChannel) OnOpen(handler func()) {
	c.setOnce(func() *once { return &c.opened }, handler, c.handle)
}

// OnDial sets the handler that is called once, on a goroutine of its own, when
// the channel can send, which is before the peer has acknowledged; at once if
// it can already. It may be nil, and it may never return.
func (c *DataChannel) OnDial(handler func()) {
	c.setOnce(func() *once { return &c.dialed }, handler, c.handle)
}

// OnClose sets the handler that is called once when the channel is closed,
// after the last message; at once if it is closed already. It may be nil.
func (c *DataChannel) OnClose(handler func()) {
	c.setOnce(func() *once { return &c.closed }, handler, func(f func()) {
		c.callbacks.Post(c.life.group, f)
	})
}

// OnError sets the handler that is told why the channel has ended, before
// OnClose, unless it was closed gracefully. It may be nil.
func (c *DataChannel) OnError(handler func(err error)) {
	c.alive().set(func() { c.onError = handler })
}

func (c *DataChannel) handle(f func()) { c.life.group.Handle(f) }

func (c *DataChannel) setOnce(which func() *once, handler func(), call func(func())) {
	if c.alive() == nil {
		return
	}
	c.life.mu.Lock()
	o := which()
	o.handler = handler
	f := o.ready()
	c.life.mu.Unlock()
	if f != nil {
		call(f)
	}
}

// Detach hands the channel out as an io.ReadWriteCloser, a
// *datachannel.DataChannel of pion/datachannel. It needs
// [SettingEngine.DetachDataChannels] and an open channel, and fails with
// [ErrInvalidState] otherwise. With that setting all channels have to be
// detached: OnMessage is never called, and receiving is ErrInvalidState.
func (c *DataChannel) Detach() (datachannel.ReadWriteCloser, error) { return c.DetachWithDeadline() }

// DetachWithDeadline is Detach, with deadlines for reading and writing.
func (c *DataChannel) DetachWithDeadline() (datachannel.ReadWriteCloserDeadliner, error) {
	const op = "datachannel detach"
	if err := c.alive().usable(op); err != nil {
		return nil, err
	}
	if !c.settings.Detach {
		return nil, refuse(op, ErrInvalidState, "not enabled by SettingEngine.DetachDataChannels")
	}
	c.life.mu.Lock()
	raw, detached := c.raw, c.detached
	c.life.mu.Unlock()
	switch {
	case raw == nil:
		return nil, refuse(op, ErrInvalidState, "the channel is not open")
	case detached != nil:
		return detached, nil
	}
	kind, value, err := dcep.TypeOf(c.params.Ordered, c.params.MaxRetransmits, c.params.MaxPacketLifeTime)
	if err != nil {
		return nil, opError(op, err)
	}
	// Negotiated, so that it does not announce the channel again.
	detached, err = datachannel.Client(raw, &datachannel.Config{
		ChannelType:          datachannel.ChannelType(kind),
		ReliabilityParameter: value,
		Priority:             c.params.weight(),
		Negotiated:           true,
		Label:                c.params.Label,
		Protocol:             c.params.Protocol,
		LoggerFactory:        c.sctp.settings.loggerFactory(),
	})
	if err != nil {
		return nil, opError(op, err)
	}
	detached.Negotiated = c.params.Negotiated
	c.life.mu.Lock()
	first := c.detached == nil
	if first {
		c.detached = detached
	}
	detached = c.detached
	c.life.mu.Unlock()
	if first {
		c.sctp.streams.detach(c)
	}

	return detached, nil
}
