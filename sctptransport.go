package webrtc

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/pion/logging"
	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/scheduler"
	"github.com/ctxrtc/webrtc/internal/sctpfilter"
)

// SCTPTransport carries data channels over a [DTLSTransport], in one SCTP
// association (RFC 8831).
//
// A transport is started once, by both peers. It ends with the DTLS transport
// under it, and ending it leaves that alone.
//
// The package documentation says when its methods may be called and what ends
// them. https://www.rfc-editor.org/rfc/rfc8831
type SCTPTransport struct {
	life     *life[SCTPTransportState]
	dtls     *DTLSTransport
	settings *SettingEngine
	log      logging.LeveledLogger
	streams  streamTable
	accepted acceptQueue
	budget   budget
	init     localInit // our INIT chunk, if signaling takes it
	weights  *scheduler.Scheduler
	totals   channelCounts // of all channels
	happened channelEvents // to them
	kept     atomic.Int64  // bytes of closed channels that wait for the program
	onWanted func()        // is told of every channel of ours; nil if nobody has to be
	opening  chan struct{} // holds a token while a stream is being opened
	drained  chan struct{} // closed when nothing more comes of the association

	// filter is written before there is an association, and read by whoever
	// knows one of its streams.
	filter *sctpfilter.Filter

	// Guarded by life.mu.
	started    bool
	shutting   bool // our own Shutdown is under way
	source     *dataSource
	assoc      *sctp.Association
	remoteInit []byte // the peer's INIT chunk, if signaling brought one
	remoteMax  uint32 // the peer's maximum message size, in bytes
	onError    func(error)
	onClose    func(error)
	onOpened   func(channel)
	lost       int  // bytes that were not acknowledged at the end
	unsent     bool // some of them had not even been sent
}

// absentMaxMessageSize is what a peer takes that does not say, in bytes.
// https://www.rfc-editor.org/rfc/rfc8841#section-6.1
const absentMaxMessageSize = 65536

// NewSCTPTransport makes a transport over a DTLS transport. What is wrong with
// dtls is reported by the first call.
func (api *API) NewSCTPTransport(dtls *DTLSTransport) *SCTPTransport {
	const op = "sctp new transport"
	err := api.ready(op)
	if err == nil && dtls.alive() == nil {
		err = refuse(op, ErrInvalidArgument, "DTLS transport: %w", errNotConstructed)
	}
	var settings *SettingEngine
	var events *lifecycle.Queue
	if err == nil {
		settings, events = api.settings, dtls.life.queue()
	} else {
		settings, events = new(SettingEngine).resolved(), new(lifecycle.Queue)
	}
	t := &SCTPTransport{
		life: newLife("sctp", sctpTransitions,
			SCTPTransportStateConnecting, SCTPTransportStateClosed, events),
		settings: settings,
		log:      settings.loggerFactory().NewLogger("ortc"),
		weights:  scheduler.New(),
		opening:  make(chan struct{}, 1),
		drained:  make(chan struct{}),
	}
	t.budget.limit = settings.DataChannel.MaxAssociationBuffered
	t.streams.init(int(settings.DataChannel.MaxChannels))
	t.accepted.limit = settings.DataChannel.AcceptBacklog
	if err != nil {
		t.end(err)

		return t
	}
	t.dtls = dtls
	t.life.group.Follow(dtls.life.group, lifecycle.Follower{End: t.lowerEnded, Shutdown: t.Shutdown})

	return t
}

// watch notices the end of the association. Its streams are opened by the
// dispatcher, before it could offer them.
func (t *SCTPTransport) watch(assoc *sctp.Association) {
	for {
		stream, err := assoc.AcceptStream()
		if err != nil {
			break
		}
		t.log.Warnf("stream %d was not expected", stream.StreamIdentifier())
	}
	close(t.drained)
	t.end(ended("sctp", t.ending(errAssociationEnded)))
}

// lowerEnded ends the transport with the one below. After the peer's graceful
// end, what the connection still has is read first: an abort may be the last of
// it.
func (t *SCTPTransport) lowerEnded(cause error) {
	t.life.mu.Lock()
	associated := t.assoc != nil
	t.life.mu.Unlock()
	if associated && cause == io.EOF { //nolint:errorlint // see gracefulEnd
		<-t.drained
		cause = ended("sctp", t.ending(cause))
	}
	t.end(cause)
}

// ending is why the association ends, known before it has: our own Shutdown,
// the peer's, or an abort; fallback if nothing tells.
func (t *SCTPTransport) ending(fallback error) error {
	t.life.mu.Lock()
	filter, shutting := t.filter, t.shutting
	t.life.mu.Unlock()
	if shutting {
		return ErrClosed
	}

	return reason(filter, fallback)
}

var errAssociationEnded = errors.New("the association has ended")

// reason is why an association has ended; fallback if nothing tells.
func reason(filter *sctpfilter.Filter, fallback error) error {
	switch {
	case filter.AbortCause() != nil:
		return newSCTPAbortError(filter.AbortCause(), true)
	case filter.LocalAbort() != nil:
		return newSCTPAbortError(filter.LocalAbort(), false)
	case filter.Graceful(), errors.Is(filter.SourceErr(), io.EOF):
		return io.EOF
	}

	return fallback
}

// end ends the association and its channels. A peer that does not know yet
// gets an ABORT.
func (t *SCTPTransport) end(cause error) { t.endFirst(cause) }

// endFirst is end, and tells whether this call was the one.
func (t *SCTPTransport) endFirst(cause error) (first bool) {
	t.life.mu.Lock()
	moved := t.life.moveLocked(SCTPTransportStateClosed)
	if moved {
		t.postClosedLocked()
	}
	t.life.mu.Unlock()
	return t.life.end(cause, func() {
		t.life.mu.Lock()
		filter, source, assoc := t.filter, t.source, t.assoc
		t.life.mu.Unlock()
		t.countLost(assoc)
		t.streams.ended()
		if filter != nil {
			if err := filter.WriteAbort("closed"); err != nil {
				t.log.Debugf("telling the peer: %v", err)
			}
			_ = filter.Close()
		}
		if assoc != nil {
			if err := assoc.Close(); err != nil {
				t.log.Debugf("closing the association: %v", err)
			}
		}
		if filter != nil {
			filter.Detach()
			source.giveBack()
		}
	})
}

// countLost counts what the end leaves behind.
func (t *SCTPTransport) countLost(assoc *sctp.Association) {
	if assoc == nil {
		return
	}
	lost := assoc.BufferedAmount()
	unsent := int64(t.totals.bytesOut.Load()) - int64(t.filter.Stats().UserBytesSent) //nolint:gosec // amounts
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.lost, t.unsent = lost, lost > 0 && unsent > 0
}

// blocksWrites tells whether a write waits until the association has sent it,
// as programs want it that detach their channels.
func (t *SCTPTransport) blocksWrites() bool {
	return t.settings.DataChannel.Detach && t.settings.DataChannel.BlockWrite
}

// postClosedLocked tells the handlers of OnError and OnClose. A graceful end,
// ours or the peer's, is no error. Of two ends in the same instant the cause
// that counts is not known yet.
func (t *SCTPTransport) postClosedLocked() {
	t.life.events.Post(t.life.group, func() {
		cause := t.life.endCause()
		if gracefulEnd(cause) {
			cause = nil
		} else {
			call(t.life, &t.onError, cause)
		}
		call(t.life, &t.onClose, cause)
	})
}

// Stop closes the transport and its channels with [ErrClosed]. The peer gets
// an ABORT. It is idempotent and waits for no handler.
//
// What was not acknowledged is lost, and counted in the statistics. If some of
// it had not even been sent, the call that has closed the transport returns a
// *[DataLostError]; [SCTPTransport.Shutdown] is there to lose nothing.
func (t *SCTPTransport) Stop() error {
	if err := t.alive().usable(stopSCTPOp); err != nil {
		return err
	}

	return t.stopUnsent(ErrClosed)
}

const stopSCTPOp = "sctp stop"

// stopUnsent is stop, and tells what had not even been sent.
func (t *SCTPTransport) stopUnsent(cause error) error {
	if !t.endFirst(cause) {
		t.life.awaitTorn()

		return nil
	}
	t.life.mu.Lock()
	lost, unsent := t.lost, t.unsent
	t.life.mu.Unlock()
	if !unsent {
		return nil
	}

	return &Error{Op: stopSCTPOp, Err: &DataLostError{lost, cause}}
}

func (t *SCTPTransport) stop(cause error) {
	t.end(cause)
	t.life.awaitTorn()
}

// Shutdown sends what is queued, waits until the peer has acknowledged it, and
// ends the association gracefully (RFC 9260 9.2): the peer reads to the end,
// then io.EOF. If ctx ends first, the rest is aborted as by Stop, and the
// error says how many bytes were lost.
// https://www.rfc-editor.org/rfc/rfc9260#section-9.2
func (t *SCTPTransport) Shutdown(ctx context.Context) error {
	return t.alive().shutdown(ctx, "sctp shutdown", t.finish, t.stop)
}

// finish ends the association gracefully, if there is one.
func (t *SCTPTransport) finish(ctx context.Context) error {
	t.life.mu.Lock()
	assoc, filter := t.assoc, t.filter
	if t.life.state != SCTPTransportStateConnected {
		assoc = nil
	}
	t.shutting = t.shutting || assoc != nil
	t.life.mu.Unlock()
	if assoc == nil {
		return nil
	}
	ctx, cancel := t.life.within(ctx, 0)
	defer cancel()
	// Channels that the peer opens meanwhile are refused, but what comes on them
	// has to be acknowledged, or a Shutdown of the peer's would wait for it and
	// ours for the peer. No stream can be opened any more once ours has begun.
	t.openSink(assoc)
	err := assoc.Shutdown(ctx)
	if errors.Is(err, sctp.ErrShutdownNonEstablished) {
		// Another Shutdown, or the peer's, is under way. Its end is ours.
		<-ctx.Done()
	}
	lost := assoc.BufferedAmount()
	if err == nil && lost == 0 {
		return nil
	}
	// The module returns nil for an association that was aborted meanwhile too.
	cause := t.life.group.Cause()
	switch why := reason(filter, err); {
	case why != err && !gracefulEnd(why): //nolint:errorlint // whether there is an abort
		err = why
	case cause != nil:
		err = cause
	case ctx.Err() != nil:
		err = contextError(ctx)
	case err == nil:
		err = errAssociationEnded
	}
	switch {
	case lost > 0:
		err = &DataLostError{lost, err}
	case gracefulEnd(err):
		return nil // it ended in the meantime, as it should
	}

	return err
}

// GracefulStop is Shutdown without a limit, and waits for the handlers. It
// must not be called from one.
func (t *SCTPTransport) GracefulStop() error {
	return t.alive().graceful(t.Shutdown(context.Background()))
}

// Run owns the transport until ctx or the transport ends, closes what is left,
// and returns when every goroutine and handler of it and of its channels has
// finished. It returns nil after our own Stop, io.EOF after the peer's
// Shutdown, and the first reason otherwise. It must not be called from a
// handler.
func (t *SCTPTransport) Run(ctx context.Context) error { return t.alive().run(ctx, t.stop) }

// Context is done when the transport has ended. Its cause says why.
func (t *SCTPTransport) Context() context.Context { return t.alive().context() }

// AwaitState blocks until one of the states is reached, or was there already.
// It returns that state; the cause when the transport ends before, and the
// context's error when ctx does.
func (t *SCTPTransport) AwaitState(ctx context.Context, states ...SCTPTransportState) (SCTPTransportState, error) {
	return t.alive().await(ctx, "sctp await state", states...)
}

// State returns the present state.
func (t *SCTPTransport) State() SCTPTransportState { return t.alive().current() }

// OnError sets the handler that is told why the association has failed. It may
// be nil.
func (t *SCTPTransport) OnError(handler func(err error)) {
	t.alive().set(func() { t.onError = handler })
}

// OnClose sets the handler that is told the end of the association; err is nil
// if that was graceful, or our own. It may be nil.
func (t *SCTPTransport) OnClose(handler func(err error)) {
	t.alive().set(func() { t.onClose = handler })
}

// Transport returns the DTLS transport underneath.
func (t *SCTPTransport) Transport() *DTLSTransport {
	if t == nil {
		return nil
	}

	return t.dtls
}

// GetCapabilities returns the largest message that we accept, to be signaled
// to the peer, and with SCTPSettings.SNAP our part of the handshake; once the
// transport is connected, the largest message that may be sent. It is never 0.
func (t *SCTPTransport) GetCapabilities() SCTPCapabilities {
	if t.alive() == nil {
		return SCTPCapabilities{MaxMessageSize: absentMaxMessageSize}
	}
	t.life.mu.Lock()
	assoc, longest := t.assoc, t.remoteMax
	t.life.mu.Unlock()
	if assoc != nil {
		return SCTPCapabilities{MaxMessageSize: longest}
	}
	ours := SCTPCapabilities{MaxMessageSize: t.settings.SCTP.MaxMessageSize}
	if t.settings.SCTP.SNAP {
		var err error
		if ours.SCTPInit, err = t.init.signal(t.settings); err != nil {
			t.log.Warnf("no handshake in signaling: %v", err)
		}
	}

	return ours
}

// MaxChannels returns how many channels may be open at a time.
func (t *SCTPTransport) MaxChannels() uint16 {
	if t.alive() == nil {
		return 0
	}

	return t.settings.DataChannel.MaxChannels
}

// BufferedAmount returns the bytes of all channels that are queued or sent and
// not yet acknowledged.
func (t *SCTPTransport) BufferedAmount() int {
	if assoc := t.association(); assoc != nil {
		return assoc.BufferedAmount()
	}

	return 0
}

func (t *SCTPTransport) association() *sctp.Association {
	if t.alive() == nil {
		return nil
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.assoc
}

func (t *SCTPTransport) alive() *life[SCTPTransportState] {
	if t == nil {
		return nil
	}

	return t.life
}

// wanted tells whoever negotiates that there is something to negotiate.
func (t *SCTPTransport) wanted() {
	if t.onWanted != nil {
		t.onWanted()
	}
}

// isShutting tells whether our own Shutdown is under way: the streams' end is
// its doing then.
func (t *SCTPTransport) isShutting() bool {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.shutting
}
