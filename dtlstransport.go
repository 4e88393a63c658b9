package webrtc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/interceptor"
	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc/internal/dtlsfilter"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// DTLSTransport encrypts what goes over an [ICETransport], and makes sure that
// the peer is the one whose fingerprint was signaled. [SCTPTransport] stands
// on it.
//
// A transport is started once. It ends with the ICE transport under it, and
// ending it leaves that alone.
//
// The package documentation says when its methods may be called and what ends
// them.
type DTLSTransport struct {
	life         *life[DTLSTransportState]
	ice          *ICETransport
	settings     *SettingEngine
	certificates []Certificate
	log          logging.LeveledLogger

	// interceptors make those of the media, and mediaID is the name that they are
	// told.
	interceptors *interceptor.Registry
	mediaID      string

	// Guarded by life.mu.
	client  bool
	filter  *dtlsfilter.Filter
	conn    *dtls.Conn
	data    *applicationData // since connected
	peer    []byte           // the verified certificate, in DER
	state   dtls.State
	profile dtls.SRTPProtectionProfile
	claimed bool          // by an SCTP transport
	rtp     *rtpTransport // once there are senders or receivers
}

// NewDTLSTransport makes a transport over an ICE transport. The first of the
// certificates is used; if there is none, one is generated (ECDSA P-256). An
// ICE transport carries one DTLS transport: a second one over the same is
// refused by its Start.
//
// It fails with [ErrInvalidArgument] without an ICE transport, and with
// [ErrCertificateExpired].
func (api *API) NewDTLSTransport(transport *ICETransport, certificates []Certificate) (*DTLSTransport, error) {
	const op = "dtls new transport"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	if transport.alive() == nil {
		return nil, refuse(op, ErrInvalidArgument, "ICE transport: %w", errNotConstructed)
	}
	certificates = slices.Clone(certificates)
	if len(certificates) == 0 {
		generated, err := generateDefaultCertificate()
		if err != nil {
			return nil, opError(op, err)
		}
		certificates = append(certificates, *generated)
	}
	for i := range certificates {
		if err := certificates[i].valid(time.Now()); err != nil {
			return nil, opError(op, err)
		}
	}
	t := &DTLSTransport{
		life: newLife("dtls", dtlsTransitions,
			DTLSTransportStateNew, DTLSTransportStateClosed, transport.life.queue()),
		ice:          transport,
		settings:     api.settings,
		certificates: certificates,
		interceptors: api.interceptors,
		mediaID:      "DTLSTransport-" + randomHex(8),
		log:          api.settings.loggerFactory().NewLogger("ortc"),
	}
	t.life.group.Follow(transport.life.group, lifecycle.Follower{
		End:      func(cause error) { t.end(cause, DTLSTransportStateClosed) },
		Shutdown: t.Shutdown,
	})

	return t, nil
}

// Start is [DTLSTransport.StartContext] without a limit but the start timeout.
func (t *DTLSTransport) Start(remoteParameters DTLSParameters) error {
	ctx := context.Background()
	if t.alive() != nil && t.settings.DTLS.ConnectContextMaker != nil {
		made, release := t.settings.DTLS.ConnectContextMaker()
		if release != nil {
			defer release()
		}
		ctx = made
	}

	return t.StartContext(ctx, remoteParameters)
}

// StartContext runs the handshake with the peer whose parameters were
// signaled, and returns when it is done and the peer's certificate verified.
// ICE has to be started; while it is still checking, the first flight waits
// for the first valid pair, and for the peer's first check if our role follows
// from that in ICE.
//
// Errors: [ErrInvalidState], [ErrInvalidArgument] and [ErrCertificateExpired]
// for a call that is refused and changes nothing; [ErrFingerprintMismatch];
// *[DTLSAlertError] when the peer refused; [ErrHandshakeTimeout] after
// DTLSSettings.StartTimeout; the context's error and cause when ctx ends first,
// and then the transport is closed and the peer is told; [ErrClosed] after
// Stop; the cause of ICE's end. After a failure of the handshake itself the
// state is failed.
func (t *DTLSTransport) StartContext(ctx context.Context, remoteParameters DTLSParameters) error {
	const op = "dtls start"
	if err := t.begin(ctx, op, remoteParameters); err != nil {
		return err
	}
	err := t.life.start(ctx, op,
		func(cause error) { t.end(cause, DTLSTransportStateClosed) },
		func() error { return t.handshake(ctx, remoteParameters) })
	if err != nil {
		t.end(err, DTLSTransportStateFailed)
	}

	return err
}

// begin refuses what cannot be started, and takes the transport to connecting.
func (t *DTLSTransport) begin(ctx context.Context, op string, params DTLSParameters) error {
	if err := t.alive().usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	validate := params.validate
	if t.settings.DTLS.InsecureSkipFingerprintVerification {
		validate = params.Role.validate
	}
	if err := validate(); err != nil {
		return opError(op, err)
	}
	t.life.mu.Lock()
	err := t.life.startRefusedLocked(op, t.life.state == DTLSTransportStateNew)
	t.life.mu.Unlock()
	if err != nil {
		return err
	}
	if err := t.certificates[0].valid(time.Now()); err != nil {
		return opError(op, err)
	}
	if err := t.ice.claim(op); err != nil {
		return err
	}
	t.life.mu.Lock()
	err = t.life.startRefusedLocked(op, t.life.moveLocked(DTLSTransportStateConnecting))
	t.life.mu.Unlock()
	if err != nil {
		t.ice.disclaim()
	}

	return err
}

// handshake waits for ICE's first valid pair and shakes hands. The state is
// connected when it returns nil.
func (t *DTLSTransport) handshake(ctx context.Context, params DTLSParameters) error {
	if err := t.awaitPair(ctx, params.Role); err != nil {
		return err
	}
	ctx, cancel := t.life.within(ctx, t.settings.DTLS.StartTimeout)
	defer cancel()
	v := &verification{t: t, ctx: ctx, params: params}
	filter, conn, err := t.dial(v)
	if err != nil {
		return err
	}
	if !t.attach(filter, conn) {
		return and(t.life.endCause(), conn.Close())
	}
	t.mediaIfUsed().takePath()
	err = conn.HandshakeContext(ctx)
	// The module may return nil with its read loop cancelled already.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return t.explain(err, v, filter)
	}

	return t.connected(filter, conn, v)
}

// awaitPair waits for ICE's first valid pair, and for the end of a conflict of
// ICE's roles if ours follows from them. It is bounded like the handshake that
// follows: an ICE transport that has failed may wait for a restart for ever.
func (t *DTLSTransport) awaitPair(ctx context.Context, remote DTLSRole) error {
	ctx, cancel := t.life.within(ctx, t.settings.DTLS.StartTimeout)
	defer cancel()
	awaited := []<-chan struct{}{t.ice.ready}
	if _, given := t.givenRole(remote); !given {
		awaited = append(awaited, t.ice.settled)
	}
	for _, known := range awaited {
		select {
		case <-known:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}

	return nil
}

// dial makes the module's connection. The role is settled here, after ICE's
// was, and before the first record.
func (t *DTLSTransport) dial(v *verification) (*dtlsfilter.Filter, *dtls.Conn, error) {
	client := t.settleRole(v.params.Role)
	certificate := t.certificates[0].tlsCertificate()
	filter := dtlsfilter.New(t.ice.path(), dtlsfilter.Config{
		MaxHandshakeBytes: t.settings.DTLS.MaxHandshakeBytes,
		Log:               t.log,
	})
	verify := dtls.WithVerifyConnection(v.verify)
	var conn *dtls.Conn
	var err error
	if client {
		conn, err = dtls.ClientWithOptions(filter, filter.RemoteAddr(),
			append(t.settings.dtlsClientOptions(certificate), verify)...)
	} else {
		conn, err = dtls.ServerWithOptions(filter, filter.RemoteAddr(),
			append(t.settings.dtlsServerOptions(certificate), verify)...)
	}

	return filter, conn, err
}

// settleRole is the rule of RFC 8842 for a role that was signaled, ours if the
// settings give one, and W3C's ORTC for neither: the controlling ICE agent is
// the server. https://www.rfc-editor.org/rfc/rfc8842#section-5
func (t *DTLSTransport) settleRole(remote DTLSRole) (client bool) {
	client, given := t.givenRole(remote)
	if !given {
		client = t.ice.Role() != ICERoleControlling
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.client = client

	return client
}

// givenRole is our role if it does not depend on ICE.
func (t *DTLSTransport) givenRole(remote DTLSRole) (client, given bool) {
	switch own := t.settings.DTLS.AnsweringRole; {
	case remote == DTLSRoleClient, remote == DTLSRoleServer:
		return remote == DTLSRoleServer, true
	case own == DTLSRoleClient, own == DTLSRoleServer:
		return own == DTLSRoleClient, true
	}

	return false, false
}

// attach makes the connection the transport's, unless that has ended.
func (t *DTLSTransport) attach(filter *dtlsfilter.Filter, conn *dtls.Conn) bool {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.life.state != DTLSTransportStateConnecting {
		return false
	}
	t.filter, t.conn = filter, conn

	return true
}

// explain finds the reason of a failed handshake: ours, the peer's, or the
// module's.
func (t *DTLSTransport) explain(err error, v *verification, filter *dtlsfilter.Filter) error {
	if cause := t.life.group.Cause(); cause != nil {
		return cause
	}
	if own := v.result(); own != nil {
		return own
	}
	if level, description, ok := filter.Alert(); ok {
		return &DTLSAlertError{Level: uint8(level), Description: uint8(description)}
	}

	return err
}

// connected publishes what the handshake has given, then the state: whoever
// sees connected can start SCTP and read the keys.
func (t *DTLSTransport) connected(filter *dtlsfilter.Filter, conn *dtls.Conn, v *verification) error {
	state, ok := conn.ConnectionState()
	if !ok {
		return fmt.Errorf("%w: no connection state after the handshake", ErrInvalidState)
	}
	profile, _ := conn.SelectedSRTPProtectionProfile()
	filter.Connected()
	data := newApplicationData(conn, t.life.group, t.peerClosed)

	media := t.mediaIfUsed()
	media.start(handshakeResult{&state, profile, t.isClient()})

	t.life.mu.Lock()
	moved := t.life.group.Cause() == nil && t.life.moveLocked(DTLSTransportStateConnected)
	if moved {
		t.data, t.peer, t.state, t.profile = data, v.certificate(), state, profile
	}
	t.life.mu.Unlock()
	if !moved {
		return t.life.endCause()
	}
	data.watch()
	if media == nil { // it may have been made meanwhile
		t.mediaIfUsed().start(handshakeResult{&state, profile, t.isClient()})
	}

	return nil
}

// peerClosed is called when the connection's read side has ended while the
// transport lives: the peer's close_notify.
func (t *DTLSTransport) peerClosed(err error) {
	t.life.group.Go(func() { t.end(err, DTLSTransportStateClosed) })
}

// end ends the transport and what stands on it. A peer in mid-handshake gets
// an alert, a connected one close_notify.
func (t *DTLSTransport) end(cause error, to DTLSTransportState) {
	t.life.mu.Lock()
	before := t.life.state
	t.life.moveLocked(to)
	t.life.mu.Unlock()
	t.life.end(cause, func() {
		t.life.mu.Lock()
		filter, conn := t.filter, t.conn
		t.life.mu.Unlock()
		if before == DTLSTransportStateConnecting &&
			(to == DTLSTransportStateClosed || errors.Is(cause, ErrHandshakeTimeout)) {
			t.tellPeer(filter)
		}
		if conn == nil {
			return
		}
		if err := conn.Close(); err != nil {
			t.log.Debugf("closing the DTLS connection: %v", err)
		}
	})
}

// tellPeer sends the alert of a start that is given up, if there is a path.
// filter is nil before the handshake's first record.
// https://www.rfc-editor.org/rfc/rfc5246#section-7.2.2
func (t *DTLSTransport) tellPeer(filter *dtlsfilter.Filter) {
	if filter == nil {
		select {
		case <-t.ice.ready:
			filter = dtlsfilter.New(t.ice.path(), dtlsfilter.Config{Log: t.log})
		default:
			return
		}
	}
	filter.WriteAlert(alert.Fatal, alert.UserCanceled)
}

// Stop closes the transport, and what stands on it, with [ErrClosed]. The peer
// is told. It is idempotent and waits for no handler.
func (t *DTLSTransport) Stop() error {
	if err := t.alive().usable("dtls stop"); err != nil {
		return err
	}
	t.stop(ErrClosed)

	return nil
}

func (t *DTLSTransport) stop(cause error) {
	t.end(cause, DTLSTransportStateClosed)
	t.life.awaitTorn()
}

// Shutdown ends what stands on the transport gracefully, then stops it. If ctx
// ends first the rest is stopped at once, and the error says what was lost.
func (t *DTLSTransport) Shutdown(ctx context.Context) error {
	return t.alive().shutdown(ctx, "dtls shutdown",
		func(ctx context.Context) error { return t.life.group.Shutdown(ctx) }, t.stop)
}

// GracefulStop is Shutdown without a limit, and waits for the handlers. It
// must not be called from one.
func (t *DTLSTransport) GracefulStop() error {
	return t.alive().graceful(t.Shutdown(context.Background()))
}

// Run owns the transport until ctx or the transport ends, closes what is left,
// and returns when every goroutine and handler of it and of what stands on it
// has finished. It returns nil after our own Stop, io.EOF after the peer's,
// and the first reason otherwise. It must not be called from a handler.
func (t *DTLSTransport) Run(ctx context.Context) error { return t.alive().run(ctx, t.stop) }

// Context is done when the transport has ended. Its cause says why.
func (t *DTLSTransport) Context() context.Context { return t.alive().context() }

// AwaitState blocks until one of the states is reached, or was there already.
// It returns that state; the cause when the transport ends before, and the
// context's error when ctx does.
func (t *DTLSTransport) AwaitState(ctx context.Context, states ...DTLSTransportState) (DTLSTransportState, error) {
	return t.alive().await(ctx, "dtls await state", states...)
}

// State returns the present state.
func (t *DTLSTransport) State() DTLSTransportState { return t.alive().current() }

// OnStateChange sets the handler of state changes. It may be nil.
func (t *DTLSTransport) OnStateChange(handler func(DTLSTransportState)) { t.alive().onState(handler) }

// ICETransport returns the transport underneath.
func (t *DTLSTransport) ICETransport() *ICETransport {
	if t == nil {
		return nil
	}

	return t.ice
}

// GetLocalParameters returns the fingerprints of our certificate and the role
// auto, to be signaled to the peer.
func (t *DTLSTransport) GetLocalParameters() (DTLSParameters, error) {
	const op = "dtls local parameters"
	if err := t.alive().usable(op); err != nil {
		return DTLSParameters{}, err
	}
	fingerprints, err := t.certificates[0].GetFingerprints()
	if err != nil {
		return DTLSParameters{}, opError(op, err)
	}

	return DTLSParameters{Role: DTLSRoleAuto, Fingerprints: fingerprints}, nil
}

func (t *DTLSTransport) alive() *life[DTLSTransportState] {
	if t == nil {
		return nil
	}

	return t.life
}
