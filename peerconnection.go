package webrtc

import (
	"context"
	"slices"
	"time"

	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc/internal/jsep"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// PeerConnection is one stack of transports, whose parameters it exchanges with
// the peer as offer and answer in SDP. It does nothing that a program with
// these transports could not do.
//
// It has a gatherer with an agent from its constructor on, so it has to be
// closed: by Close, by Shutdown, or by Run when its context ends.
//
// The package documentation says when its methods may be called and what ends
// them. https://www.w3.org/TR/webrtc/#rtcpeerconnection-interface
type PeerConnection struct {
	life *life[PeerConnectionState]
	api  *API // with the settings of a connection
	id   string
	log  logging.LeveledLogger

	gatherer     *ICEGatherer
	ice          *ICETransport
	dtls         *DTLSTransport
	sctp         *SCTPTransport
	fingerprints []jsep.Fingerprint // of our certificate
	cname        string             // of all that we send

	// work does what a description asks for, in the order of the descriptions,
	// with no lock held.
	work lifecycle.Queue

	// Guarded by life.mu, under which no transport is called: they tell their
	// states under their own lock.
	config      Configuration
	negotiation negotiation
	transports  transportStates
	changed     lifecycle.Changes // of what Connect waits for
	ended       bool              // by Close, or for whatever reason there is closed
	onICE       func(ICEConnectionState)
	onSignaling func(SignalingState)
	onNeeded    func()
	onTrack     func(*TrackRemote, *RTPReceiver)
	untold      []*TrackRemote // tracks that have begun, and onTrack was not there
}

// peerConnectionGrace is how long a failed ICE transport of a connection waits
// for a restart, unless ICESettings.FailedGrace says otherwise.
const peerConnectionGrace = 30 * time.Second

// NewPeerConnection makes a connection with the default settings; see
// [API.NewPeerConnection].
func NewPeerConnection(configuration Configuration) (*PeerConnection, error) {
	return NewAPI().NewPeerConnection(configuration)
}

// NewPeerConnection makes a connection. Nothing is sent before a local
// description is set, unless Configuration.ICECandidatePoolSize has it gather
// ahead. After an error nothing is left behind.
//
// Errors: [ErrInvalidArgument] for a configuration that contradicts itself,
// with the reason that an ICE server was refused; [ErrCertificateExpired].
func (api *API) NewPeerConnection(configuration Configuration) (*PeerConnection, error) {
	const op = "peerconnection new"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	config := configuration.clone()
	if err := config.validate(time.Now()); err != nil {
		return nil, opError(op, err)
	}
	media, err := api.engine()
	if err != nil {
		return nil, opError(op, err)
	}
	own := &API{
		settings: api.settings.forConnection(), names: api.names, looks: api.looks,
		media: media, interceptors: api.interceptors,
	}
	gatherer, err := own.NewICEGatherer(config.gatherOptions())
	if err != nil {
		return nil, opError(op, err)
	}
	pc, err := own.newPeerConnection(gatherer, config)
	if err != nil {
		return nil, opError(op, and(err, gatherer.Close()))
	}

	return pc, nil
}

// newPeerConnection makes the connection over a gatherer, which is the
// caller's to close if it fails.
func (api *API) newPeerConnection(gatherer *ICEGatherer, config Configuration) (*PeerConnection, error) {
	transport := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(transport, config.Certificates)
	if err != nil {
		return nil, err
	}
	pc := &PeerConnection{
		life: newLife("peerconnection", peerConnectionTransitions,
			PeerConnectionStateNew, PeerConnectionStateClosed, gatherer.life.queue()),
		api:      api,
		id:       "PeerConnection-" + randomHex(8),
		log:      api.settings.loggerFactory().NewLogger("pc"),
		gatherer: gatherer, ice: transport, dtls: dtls, sctp: api.NewSCTPTransport(dtls),
		config: config, cname: randomHex(8),
	}
	dtls.mediaID = pc.id
	if pc.fingerprints, err = fingerprintsOf(dtls); err != nil {
		return nil, err
	}
	params, err := gatherer.GetLocalParameters()
	if err == nil {
		err = pc.negotiation.begin(params, config.AlwaysNegotiateDataChannels)
	}
	if err != nil {
		return nil, err
	}
	pc.transports = transportStates{
		ice: transport.State(), dtls: dtls.State(), sctp: pc.sctp.State(), total: ICEConnectionStateNew,
	}
	transport.life.set(func() { transport.life.observer = pc.iceMoved })
	dtls.life.set(func() { dtls.life.observer = pc.dtlsMoved })
	pc.sctp.life.set(func() { pc.sctp.life.observer = pc.sctpMoved })
	pc.sctp.onWanted = pc.wantData
	// Whatever ends DTLS ends the connection; its own graceful end begins at
	// the bottom.
	pc.life.group.Follow(dtls.life.group, lifecycle.Follower{
		End:      pc.lowerEnded,
		Shutdown: func(context.Context) error { return nil },
	})

	return pc, nil
}

// forConnection are the settings of the transports of a connection, which can
// restart ICE and takes the SCTP handshake along in its descriptions.
func (e *SettingEngine) forConnection() *SettingEngine {
	own := e.resolved()
	setDefault(&own.ICE.FailedGrace, peerConnectionGrace)
	own.SCTP.SNAP = !own.SCTP.DisableSNAP

	return own
}

// lowerEnded ends the connection with its DTLS transport. What has failed
// stays failed until it is closed.
func (pc *PeerConnection) lowerEnded(cause error) {
	pc.life.mu.Lock()
	failed := pc.life.state == PeerConnectionStateFailed
	goesOn := pc.api.settings.DTLS.KeepOpenOnClose && pc.transports.ice != ICETransportStateClosed
	pc.life.mu.Unlock()
	switch {
	case pc.life.group.Cause() != nil: // it is the connection that ends DTLS
	case failed:
		pc.life.end(cause, pc.noteChange)
	case goesOn:
		// ICE tells when the path is gone.
		pc.life.group.Go(func() {
			<-pc.ice.Context().Done()
			pc.stop(pc.ice.life.group.Cause())
		})
	default:
		// Not before the goroutine that is ending DTLS has sent its alert, which
		// needs ICE.
		pc.life.group.Go(func() {
			pc.dtls.life.awaitTorn()
			pc.stop(pc.aborted(cause))
		})
	}
}

// aborted is why the association has ended, if the peer has aborted it: that comes
// before the close_notify of its Close.
func (pc *PeerConnection) aborted(cause error) error {
	if aborted := pc.sctp.life.group.Cause(); gracefulEnd(cause) && aborted != nil && !gracefulEnd(aborted) {
		return aborted
	}

	return cause
}

// Close closes the connection, with everything that stands on it, with
// [ErrClosed]. The peer is told. It is idempotent, waits for no handler, and
// ends every call that waits.
//
// What was queued in channels is lost, and counted in the statistics. If some
// of it had not even been sent, the call that has closed the connection returns
// a *[DataLostError]; [PeerConnection.Shutdown] is there to lose nothing.
func (pc *PeerConnection) Close() error {
	const op = "peerconnection close"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	pc.close(ErrClosed)
	err := pc.sctp.stopUnsent(pc.life.causeOr(ErrClosed))
	pc.stop(ErrClosed)

	return err
}

// close makes the connection closed; its transports are about to be.
func (pc *PeerConnection) close(cause error) {
	pc.life.mu.Lock()
	if !pc.ended {
		pc.ended = true
		pc.setSignalingLocked(SignalingStateClosed)
		pc.updateLocked()
	}
	pc.life.mu.Unlock()
	pc.life.end(cause, pc.noteChange)
	pc.life.awaitTorn() // the first cause is known then, whoever was first
}

// stop ends the connection with a cause. If it has ended before, the transports
// end with the cause of that, whoever comes first to end them.
func (pc *PeerConnection) stop(cause error) {
	pc.close(cause)
	pc.ice.stop(pc.life.causeOr(cause))
}

// GracefulClose is Shutdown without a limit, and waits for the handlers. It
// must not be called from one.
func (pc *PeerConnection) GracefulClose() error {
	err := pc.Shutdown(context.Background())
	if pc.alive() == nil {
		return err
	}

	return and(err, pc.awaitAll(context.Background()))
}

// awaitAll waits for all goroutines and handlers, those of the transports too.
func (pc *PeerConnection) awaitAll(ctx context.Context) error {
	return and(pc.life.group.Wait(ctx), pc.gatherer.life.group.Wait(ctx))
}

// Shutdown delivers what is queued, ends the association, DTLS and ICE
// gracefully, and closes the connection: the peer reads to the end, then
// io.EOF. If ctx ends first, the rest is closed at once, and the error says how
// much was lost.
func (pc *PeerConnection) Shutdown(ctx context.Context) error {
	return pc.alive().shutdown(ctx, "peerconnection shutdown", func(ctx context.Context) error {
		return pc.ice.Shutdown(ctx)
	}, pc.stop)
}

// Run owns the connection until ctx or the connection ends, closes what is
// left, and returns when every goroutine and handler of it, of its transports
// and of its channels has finished. It returns nil after our own Close, io.EOF
// after the peer's graceful close, and the first reason otherwise. It must not
// be called from a handler.
func (pc *PeerConnection) Run(ctx context.Context) error {
	err := pc.alive().run(ctx, pc.stop)
	if pc.alive() == nil || ctx == nil {
		return err
	}
	_ = pc.awaitAll(context.WithoutCancel(ctx))

	return err
}

// Context is done when the connection has ended, or has failed for good. Its
// cause says why.
func (pc *PeerConnection) Context() context.Context { return pc.alive().context() }

// AwaitState blocks until one of the states is reached, or was there already.
// It returns that state; the cause when the connection ends before, and the
// context's error when ctx does.
func (pc *PeerConnection) AwaitState(ctx context.Context, states ...PeerConnectionState) (PeerConnectionState, error) {
	return pc.alive().await(ctx, "peerconnection await state", states...)
}

// ConnectionState returns the present state.
func (pc *PeerConnection) ConnectionState() PeerConnectionState { return pc.alive().current() }

// ICEConnectionState returns the present state of ICE.
func (pc *PeerConnection) ICEConnectionState() (state ICEConnectionState) {
	pc.alive().set(func() { state = pc.transports.total })

	return state
}

// SignalingState returns how far the exchange of descriptions is.
func (pc *PeerConnection) SignalingState() (state SignalingState) {
	pc.alive().set(func() { state = pc.negotiation.state })

	return state
}

// ICEGatheringState returns how far gathering is.
func (pc *PeerConnection) ICEGatheringState() ICEGatheringState {
	if pc.alive() == nil {
		return ICEGatheringStateUnknown
	}

	state := gatheringStates[pc.gatherer.State()]
	if state == ICEGatheringStateUnknown { // it is closed
		state = ICEGatheringStateNew
		pc.life.set(func() {
			if pc.negotiation.gathers {
				state = ICEGatheringStateComplete
			}
		})
	}

	return state
}

// OnConnectionStateChange sets the handler of state changes. It may be nil.
func (pc *PeerConnection) OnConnectionStateChange(handler func(PeerConnectionState)) {
	pc.alive().onState(handler)
}

// OnICEConnectionStateChange sets the handler of changes of the ICE state. It
// may be nil.
func (pc *PeerConnection) OnICEConnectionStateChange(handler func(ICEConnectionState)) {
	pc.alive().set(func() { pc.onICE = handler })
}

// OnSignalingStateChange sets the handler of changes of the signaling state. It
// may be nil.
func (pc *PeerConnection) OnSignalingStateChange(handler func(SignalingState)) {
	pc.alive().set(func() { pc.onSignaling = handler })
}

// OnICEGatheringStateChange sets the handler of changes of the gathering state.
// It may be nil.
func (pc *PeerConnection) OnICEGatheringStateChange(handler func(ICEGatheringState)) {
	if pc.alive() == nil {
		return
	}
	if handler == nil {
		pc.gatherer.OnStateChange(nil)

		return
	}
	pc.gatherer.OnStateChange(func(state ICEGathererState) {
		if state := gatheringStates[state]; state != ICEGatheringStateUnknown {
			handler(state)
		}
	})
}

// OnDataChannel sets the handler of channels that the peer opens, as
// [SCTPTransport.OnDataChannel] does. It may be nil: channels wait for
// AcceptDataChannel of [PeerConnection.SCTP] then.
func (pc *PeerConnection) OnDataChannel(handler func(*DataChannel)) {
	if pc.alive() != nil {
		pc.sctp.OnDataChannel(handler)
	}
}

// SCTP returns the transport of the data channels; under it are those of DTLS
// and ICE. It may be used for all that the connection has no call for:
// OpenDataChannel, AcceptDataChannel, Listen, Stats. A channel that is made by it
// makes a negotiation needed, as CreateDataChannel does.
func (pc *PeerConnection) SCTP() *SCTPTransport {
	if pc == nil {
		return nil
	}

	return pc.sctp
}

// ID returns the name of the connection in statistics.
func (pc *PeerConnection) ID() string {
	if pc == nil {
		return ""
	}

	return pc.id
}

// GetConfiguration returns the configuration, with the certificate that was
// made if there was none.
func (pc *PeerConnection) GetConfiguration() (config Configuration) {
	pc.alive().set(func() { config = pc.config.clone() })
	if pc.alive() != nil {
		config.Certificates = slices.Clone(pc.dtls.certificates)
	}

	return config
}

func (pc *PeerConnection) alive() *life[PeerConnectionState] {
	if pc == nil {
		return nil
	}

	return pc.life
}
