package webrtc

import (
	"bytes"
	"context"
	"math"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/sctpfilter"
)

// Start is [SCTPTransport.StartContext] without a limit but the start timeout.
func (t *SCTPTransport) Start(capabilities SCTPCapabilities) error {
	return t.StartContext(context.Background(), capabilities)
}

// StartContext sets the association up with the peer whose capabilities were
// signaled. Both peers start it, in any order. DTLS has to be connected.
// Channels that were made before are opened when the state is connected. That is
// before it returns if the handshake went with signaling: it waits until the peer
// has the association too.
//
// Errors: [ErrInvalidState] and [ErrInvalidArgument] for a call that is
// refused and changes nothing; *[SCTPAbortError] when the peer refused;
// [ErrHandshakeTimeout] after SCTPSettings.StartTimeout; the context's error
// and cause when ctx ends first, and then the transport is closed and the peer
// is told; [ErrClosed] after Stop; the cause of the end of a layer below.
// After any error but a refusal the state is closed.
func (t *SCTPTransport) StartContext(ctx context.Context, capabilities SCTPCapabilities) error {
	const op = "sctp start"
	if err := t.begin(ctx, op, capabilities); err != nil {
		return err
	}
	err := t.life.start(ctx, op, t.end, func() error { return t.associate(ctx, op) })
	if err != nil {
		t.end(err)
		t.unread()
	}

	return err
}

// unread gives the connection's data back if no association came to read it.
func (t *SCTPTransport) unread() {
	t.life.mu.Lock()
	read := t.filter != nil
	t.life.mu.Unlock()
	if !read {
		t.source.giveBack()
	}
}

// begin refuses what cannot be started, and takes the connection's data.
func (t *SCTPTransport) begin(ctx context.Context, op string, capabilities SCTPCapabilities) error {
	if err := t.alive().usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	remoteInit, err := capabilities.initChunk()
	if err != nil {
		return opError(op, err)
	}
	if bytes.Equal(remoteInit, t.init.signaled()) {
		// A chunk is random. One that is ours was copied from our description, as
		// libdatachannel does with what it does not know of an offer.
		remoteInit = nil
	}
	if err := t.take(op); err != nil {
		return err
	}
	source, err := t.dtls.takeData(op)
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if err != nil {
		t.started = false // nothing has changed

		return err
	}
	t.source, t.remoteInit = source, remoteInit
	t.remoteMax = capabilities.MaxMessageSize
	if t.remoteMax == 0 {
		t.remoteMax = absentMaxMessageSize
	}

	return nil
}

// take keeps a second start out while the first one is being refused or not.
func (t *SCTPTransport) take(op string) error {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	err := t.life.startRefusedLocked(op, !t.started && t.life.state == SCTPTransportStateConnecting)
	t.started = t.started || err == nil

	return err
}

// associate sets the association up. The state is connected when it returns
// nil.
func (t *SCTPTransport) associate(ctx context.Context, op string) error {
	// The start's own context ends the transport, and with it its connection,
	// by which the association is ended: by a context it would log an error
	// for every start that a program cancels.
	ctx, cancel := t.life.within(context.WithoutCancel(ctx), t.settings.SCTP.StartTimeout)
	defer cancel()
	release := lifecycle.AbortOnDone(ctx, func() { t.end(opError(op, context.Cause(ctx))) })
	defer release() // it may be called again
	assoc, filter, confirm, err := associationStart{
		source: t.source, config: t.filterConfig(), attach: t.attach,
		options: append(t.settings.sctpClientOptions(), t.weights.Option(),
			sctp.WithMaxMessageSize(min(t.remoteMax, math.MaxInt32))), // the module's int may have 32 bits
		local: t.init.signaled(), remote: t.remoteInit,
	}.run(ctx)
	if err == nil {
		err = t.connected(assoc)
	}
	if err == nil && confirm != nil {
		err = confirm(ctx)
	}
	switch {
	case !release() || t.life.group.Cause() != nil:
		return t.life.causeOr(context.Cause(ctx))
	case err != nil:
		return reason(filter, err)
	}

	return nil
}

// filterConfig bounds what the peer can have with us. What is detached the
// program reads past us, so it is not counted.
func (t *SCTPTransport) filterConfig() sctpfilter.Config {
	detach := t.settings.DataChannel.Detach
	config := sctpfilter.Config{Log: t.log, MaxMessage: int(t.settings.SCTP.MaxMessageSize), Uncounted: detach}
	if !detach {
		config.MaxUnread = t.settings.DataChannel.MaxUnreadMessages
	}

	return config
}

func (t *SCTPTransport) attach(filter *sctpfilter.Filter) error {
	t.life.mu.Lock()
	ok := t.life.state == SCTPTransportStateConnecting
	if ok {
		t.filter = filter
	}
	t.life.mu.Unlock()
	if !ok {
		return t.life.endCause()
	}

	return nil
}

// connected publishes the association, then opens the channels that waited.
func (t *SCTPTransport) connected(assoc *sctp.Association) error {
	t.life.mu.Lock()
	moved := t.life.group.Cause() == nil && t.life.moveLocked(SCTPTransportStateConnected)
	if moved {
		t.assoc = assoc
	}
	t.life.mu.Unlock()
	if !moved {
		return and(t.life.endCause(), assoc.Close())
	}
	if agreed, _ := assoc.Metadata(); agreed.MessageInterleavingEnabled {
		t.weights.SetWindow(assoc.RWND()) // before anything was sent
	}
	t.life.group.Go(func() { t.watch(assoc) })
	for _, c := range t.streams.associated(t.dtls.isClient()) {
		c.associated()
	}
	t.filter.Attach(dispatcher{t, assoc})

	return nil
}
