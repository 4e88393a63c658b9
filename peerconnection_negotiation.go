package webrtc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// negotiation is how far the exchange of descriptions is. The connection's
// life.mu guards it; its methods are pure, but for the fields.
// https://www.rfc-editor.org/rfc/rfc9429#section-4.1
type negotiation struct {
	state                       SignalingState
	currentLocal, currentRemote *description
	pendingLocal, pendingRemote *description
	createdOffer, createdAnswer *description
	session                     uint64            // of our o= lines
	wantsData                   bool              // a channel was made
	needed                      bool              // the program was told that a negotiation is needed
	begun                       bool              // the transports of the bundle were started
	setup                       jsep.Setup        // of our side in DTLS, once it is settled
	peer                        jsep.Transport    // with which they were started
	gathers                     bool              // gathering was started
	candidates                  []remoteCandidate // that wait for the start
}

// description is one as text and as values.
type description struct {
	SessionDescription

	values *jsep.Description
}

func (d *description) copy() *SessionDescription {
	if d == nil {
		return nil
	}
	text := d.SessionDescription

	return &text
}

func (n *negotiation) begin(wantsData bool) error {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	// 62 bits, as JSEP has it. https://www.rfc-editor.org/rfc/rfc9429#section-5.2.1
	n.session = binary.BigEndian.Uint64(raw[:]) >> 2
	n.state, n.wantsData = SignalingStateStable, wantsData

	return nil
}

// local and remote are the descriptions that count now.
func (n *negotiation) local() *description {
	if n.pendingLocal != nil {
		return n.pendingLocal
	}

	return n.currentLocal
}

func (n *negotiation) remote() *description {
	if n.pendingRemote != nil {
		return n.pendingRemote
	}

	return n.currentRemote
}

// past are the sections of the last negotiation that was completed, as our side
// has described them; one that either side has rejected is rejected.
func (n *negotiation) past() []jsep.Section {
	if n.currentLocal == nil {
		return nil
	}
	sections := slices.Clone(n.currentLocal.values.Sections)
	for i := range min(len(sections), len(n.currentRemote.values.Sections)) {
		sections[i].Rejected = sections[i].Rejected || n.currentRemote.values.Sections[i].Rejected
	}

	return sections
}

// dataAgreed tells whether both sides have agreed on data channels.
func (n *negotiation) dataAgreed() bool {
	return n.currentLocal != nil && hasLiveData(n.currentLocal.values) && hasLiveData(n.currentRemote.values)
}

func hasLiveData(d *jsep.Description) bool { return liveData(d) != nil }

// liveData is the section of data channels, nil if there is none or it was
// rejected.
func liveData(d *jsep.Description) *jsep.Section {
	for i := range d.Sections {
		if s := &d.Sections[i]; s.IsData() && !s.Rejected {
			return s
		}
	}

	return nil
}

// localParameters are those of our transports that do not change.
type localParameters struct {
	ice          ICEParameters
	fingerprints []jsep.Fingerprint
}

func newLocalParameters(gatherer *ICEGatherer, dtls *DTLSTransport) (p localParameters, err error) {
	if p.ice, err = gatherer.GetLocalParameters(); err != nil {
		return p, err
	}
	params, err := dtls.GetLocalParameters()
	for _, f := range params.Fingerprints {
		// https://www.rfc-editor.org/rfc/rfc8122#section-5
		p.fingerprints = append(p.fingerprints, jsep.Fingerprint{Algorithm: f.Algorithm, Value: strings.ToUpper(f.Value)})
	}

	return p, err
}

// remoteParameters are what a description of the peer's says to our transports.
type remoteParameters struct {
	ice  ICEParameters
	dtls DTLSParameters
	sctp SCTPCapabilities
	data bool

	fingerprints []jsep.Fingerprint // those of dtls
}

var errNoTransport = errors.New("it has no section that is not rejected")

// remoteParametersOf reads a description for which there is a path, and checks
// what the transports would refuse. The role in DTLS is left to the answer.
func remoteParametersOf(d *jsep.Description) (p remoteParameters, err error) {
	path, _, _, ok := d.Path()
	if !ok {
		return p, errNoTransport
	}
	p.ice = ICEParameters{UsernameFragment: path.UsernameFragment, Password: path.Password, ICELite: d.Lite}
	if err = p.ice.validate(); err != nil {
		return p, err
	}
	p.fingerprints = path.Fingerprints
	for _, f := range path.Fingerprints {
		p.dtls.Fingerprints = append(p.dtls.Fingerprints, DTLSFingerprint{Algorithm: f.Algorithm, Value: f.Value})
	}
	if err = p.dtls.validate(); err != nil {
		return p, err
	}
	if data := liveData(d); data != nil {
		p.data = true
		p.sctp = capabilitiesOf(data.Data)
		if err = p.sctp.validate(); err != nil {
			return p, err
		}
	}

	return p, nil
}

func capabilitiesOf(data *jsep.Data) SCTPCapabilities {
	c := SCTPCapabilities{SCTPInit: data.Init}
	switch size := data.MaxMessageSize; {
	case size == nil: // 65,536
	case *size == 0 || *size >= math.MaxUint32:
		c.MaxMessageSize = math.MaxUint32
	default:
		c.MaxMessageSize = uint32(*size)
	}

	return c
}

// SetLocalDescription applies a description that CreateOffer or CreateAnswer
// has made: gathering starts, and with an answer the transports do. It does not
// wait for any of this; OnICECandidate tells the candidates.
//
// With an empty SDP a new one is made; with an empty Type too, an offer or an
// answer, whichever is due. A rollback takes our own offer back.
//
// Errors: [ErrInvalidState] if the signaling state does not allow the
// description; [ErrInvalidModification] if it is another than the one created.
// Nothing has changed then.
func (pc *PeerConnection) SetLocalDescription(desc SessionDescription) error {
	_, err := pc.set(context.Background(), setLocalOp, desc, pc.prepareLocal)

	return err
}

// SetLocalDescriptionContext is SetLocalDescription, and waits until gathering
// is complete: LocalDescription has all candidates then, and none has to be
// signaled by itself. If ctx ends first, the description stays, and gathering
// goes on.
func (pc *PeerConnection) SetLocalDescriptionContext(ctx context.Context, desc SessionDescription) error {
	applied, err := pc.set(ctx, setLocalOp, desc, pc.prepareLocal)
	if err != nil {
		return err
	}
	if err = awaitApplied(ctx, setLocalOp, applied); err != nil || desc.Type == SDPTypeRollback {
		return err
	}
	_, err = pc.gatherer.life.await(ctx, setLocalOp, ICEGathererStateComplete)

	return err
}

// SetRemoteDescription applies a description of the peer's. With an answer the
// transports start; [PeerConnection.Connect] waits for them. It does not wait.
//
// An offer of the peer's while our own has no answer takes ours back, as
// perfect negotiation has it. A rollback takes the peer's offer back.
//
// Errors: *[SDPSyntaxError] with the line if the text cannot be read;
// [ErrInvalidArgument] if it does not fit what was negotiated, or has parameters
// that the transports refuse; [ErrInvalidState] if the signaling state does not
// allow it. Nothing has changed then.
func (pc *PeerConnection) SetRemoteDescription(desc SessionDescription) error {
	_, err := pc.set(context.Background(), setRemoteOp, desc, pc.prepareRemote)

	return err
}

// SetRemoteDescriptionContext is SetRemoteDescription, and returns when the
// description is applied: candidates have been handed to ICE and the transports
// it asks for have been started. Its error tells what of this failed. If ctx
// ends first, the description stays.
func (pc *PeerConnection) SetRemoteDescriptionContext(ctx context.Context, desc SessionDescription) error {
	applied, err := pc.set(ctx, setRemoteOp, desc, pc.prepareRemote)
	if err != nil {
		return err
	}

	return awaitApplied(ctx, setRemoteOp, applied)
}

const (
	setLocalOp  = "peerconnection set local description"
	setRemoteOp = "peerconnection set remote description"
)

// set applies a description. What it sets off is done when the channel has its
// error.
func (pc *PeerConnection) set(
	ctx context.Context, op string, desc SessionDescription, prepare func(desc SessionDescription) (*prepared, error),
) (applied <-chan error, err error) {
	if err := pc.alive().usable(op); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	for {
		p, err := prepare(desc)
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, opError(op, contextError(ctx))
		}
		if applied, ok := pc.apply(p); ok { //nolint:contextcheck // what it starts lives with the connection
			return applied, nil
		}
		// Another call was faster. What the description means now, and whether
		// it is allowed, has to be looked at again.
	}
}

// awaitApplied waits for what a description has set off.
func awaitApplied(ctx context.Context, op string, applied <-chan error) error {
	select {
	case err := <-applied:
		return opError(op, err)
	case <-ctx.Done():
		return opError(op, contextError(ctx))
	}
}

// prepared is a description that may be set, and what to do then.
type prepared struct {
	*description

	at     position // where the negotiation was when it was looked at
	set    descriptionSet
	remote remoteParameters // of an answer, on either side
	starts bool             // the transports, which have not been started
}

// position is where a negotiation is: what decides whether a description may be
// set.
type position struct {
	state                       SignalingState
	currentLocal, currentRemote *description
	pendingLocal, pendingRemote *description
}

func (n *negotiation) position() position {
	return position{n.state, n.currentLocal, n.currentRemote, n.pendingLocal, n.pendingRemote}
}

// hasMovedOn tells whether the negotiation is no longer where it was.
func (pc *PeerConnection) hasMovedOn(from position) bool {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()

	return pc.negotiation.position() != from
}

// prepareLocal finds the description that is meant, or makes it.
func (pc *PeerConnection) prepareLocal(desc SessionDescription) (*prepared, error) {
	const op = setLocalOp
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	if n.state == SignalingStateClosed {
		return nil, pc.closedError(op)
	}
	typ := desc.Type
	if typ == SDPTypeUnknown && desc.SDP == "" {
		typ = SDPTypeOffer
		if n.state == SignalingStateHaveRemoteOffer || n.state == SignalingStateHaveLocalPranswer {
			typ = SDPTypeAnswer
		}
	}
	p := &prepared{at: n.position(), set: descriptionSet{local: true, sdp: typ}}
	if !sdpTypes.has(typ) {
		return nil, refuse(op, ErrInvalidArgument, "type %d", typ)
	}
	if _, ok := nextSignaling(n.state, p.set); !ok {
		return nil, refuse(op, ErrInvalidState, "a local %v in the state %v", typ, n.state)
	}
	if typ == SDPTypeRollback {
		return p, nil
	}
	created := n.createdOffer
	if typ != SDPTypeOffer {
		created = n.createdAnswer
	}
	switch {
	case desc.SDP == "":
		// Not the one that was created last: channels may have been made since.
		made, err := pc.create(op, typ, false)
		switch {
		case err != nil && pc.hasMovedOn(p.at):
			return pc.prepareLocal(desc) // something else is due now
		case err != nil:
			return nil, err
		}
		created = made
	case created == nil:
		return nil, refuse(op, ErrInvalidModification, "no %v was created", typ)
	case desc.SDP != created.SDP:
		return nil, refuse(op, ErrInvalidModification, "it is not the %v that was created last", typ)
	}
	p.description = &description{SessionDescription{typ, created.SDP}, created.values}
	if typ == SDPTypeOffer || n.pendingRemote == nil {
		return p, nil
	}

	return p, p.prepareStart(op, &n, n.pendingRemote.values)
}

// prepareRemote reads a description of the peer's and refuses what cannot be
// applied.
func (pc *PeerConnection) prepareRemote(desc SessionDescription) (*prepared, error) {
	const op = setRemoteOp
	pc.life.mu.Lock()
	n := pc.negotiation // a look
	pc.life.mu.Unlock()
	p := &prepared{at: n.position(), set: descriptionSet{local: false, sdp: desc.Type}}
	if !sdpTypes.has(desc.Type) {
		return nil, refuse(op, ErrInvalidArgument, "type %d", desc.Type)
	}
	if n.state == SignalingStateClosed {
		return nil, pc.closedError(op)
	}
	if _, ok := nextSignaling(n.state, p.set); !ok {
		return nil, refuse(op, ErrInvalidState, "a remote %v in the state %v", desc.Type, n.state)
	}
	if desc.Type == SDPTypeRollback {
		return p, nil
	}
	values, err := jsep.Parse(desc.SDP)
	if err != nil {
		return nil, syntaxError(op, err)
	}
	p.description = &description{desc, values}
	if desc.Type == SDPTypeOffer {
		err = jsep.CheckOffer(values, n.past())
	} else {
		err = jsep.CheckAnswer(n.pendingLocal.values, values)
	}
	if err == nil {
		err = n.checkSame(values)
	}
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	if _, _, _, live := values.Path(); live { // what is rejected as a whole has no parameters
		if p.remote, err = remoteParametersOf(values); err != nil {
			return nil, refuse(op, ErrInvalidArgument, "%w", err)
		}
	}
	if desc.Type == SDPTypeOffer {
		return p, nil
	}

	return p, p.prepareStart(op, &n, values)
}

// syntaxError gives a parser's error its public type.
func syntaxError(op string, err error) error {
	syntax := &SDPSyntaxError{Err: err}
	var placed *jsep.Error
	if errors.As(err, &placed) {
		syntax.Line, syntax.Text, syntax.Err = placed.Line, placed.Text, placed.Err
	}

	return refuse(op, ErrInvalidArgument, "%w", syntax)
}

var (
	errRestart = errors.New("a restart of ICE is not supported yet")
	errNewCert = errors.New("the certificate cannot change")
)

// checkSame refuses a description whose transport is another than the one that
// was negotiated.
func (n *negotiation) checkSame(values *jsep.Description) error {
	now, _, _, ok := values.Path()
	switch {
	case !n.begun || !ok:
		return nil
	case now.UsernameFragment != n.peer.UsernameFragment || now.Password != n.peer.Password:
		return errRestart
	case !sameFingerprints(n.peer.Fingerprints, now.Fingerprints):
		return errNewCert
	}

	return nil
}

func sameFingerprints(a, b []jsep.Fingerprint) bool {
	known := func(f jsep.Fingerprint) bool {
		return slices.ContainsFunc(a, func(k jsep.Fingerprint) bool {
			return strings.EqualFold(k.Algorithm, f.Algorithm) && strings.EqualFold(k.Value, f.Value)
		})
	}

	return len(b) > 0 && !slices.ContainsFunc(b, func(f jsep.Fingerprint) bool { return !known(f) })
}

// prepareStart settles, with an answer of either side, what the transports are
// started with. remote is the peer's description of the two.
func (p *prepared) prepareStart(op string, n *negotiation, remote *jsep.Description) error {
	answer, offer := p.values, n.pendingLocal
	if p.set.local {
		offer = n.pendingRemote
	}
	path, _, _, ok := answer.Path()
	if !ok {
		return nil // all is rejected
	}
	var err error
	if p.remote, err = remoteParametersOf(remote); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	// The answer settles the roles. https://www.rfc-editor.org/rfc/rfc8842#section-5.3
	answerer := DTLSRoleClient
	if path.Setup == jsep.SetupPassive {
		answerer = DTLSRoleServer
	}
	p.remote.dtls.Role = answerer
	if p.set.local {
		p.remote.dtls.Role = oppositeRole(answerer)
	}
	// A handshake in signaling takes both descriptions.
	if data := liveData(answer); data == nil || data.Data.Init == "" {
		p.remote.sctp.SCTPInit = ""
	}
	p.remote.data = hasLiveData(answer) && hasLiveData(offer.values)
	p.starts = true

	return nil
}

func oppositeRole(role DTLSRole) DTLSRole {
	if role == DTLSRoleClient {
		return DTLSRoleServer
	}

	return DTLSRoleClient
}

// apply moves the negotiation on, all at once, and hands what follows from it
// to work. It returns false, and nothing has changed, if the negotiation is not
// where it was when the description was looked at.
func (pc *PeerConnection) apply(p *prepared) (<-chan error, bool) {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	n := &pc.negotiation
	to, ok := nextSignaling(n.state, p.set)
	if !ok || n.position() != p.at {
		return nil, false
	}
	effects := pc.commitLocked(p, to)
	applied := make(chan error, 1)
	done := pc.life.group.Busy()
	pc.work.Post(nil, func() {
		defer done()
		applied <- pc.perform(effects)
	})
	pc.checkNeededLocked()

	return applied, true
}

// effects are what follows from a description, outside of the negotiation.
type effects struct {
	gather     bool
	start      *remoteParameters // the transports, nil if they run or have no path
	controls   bool              // our role in ICE
	associate  bool              // SCTP, too
	rejected   bool              // there will be no data channels
	candidates []ICECandidate
}

// commitLocked is the part that changes the fields.
func (pc *PeerConnection) commitLocked(p *prepared, to SignalingState) (e effects) {
	n := &pc.negotiation
	pending := &n.pendingRemote
	if p.set.local {
		pending = &n.pendingLocal
	}
	switch p.set.sdp {
	case SDPTypeRollback:
		*pending = nil
		n.forgetPeer(!p.set.local)
	case SDPTypeOffer:
		if !p.set.local {
			n.pendingLocal = nil // the implicit rollback
		}
		*pending = p.description
	case SDPTypePranswer:
		*pending = p.description
	case SDPTypeAnswer:
		*pending = p.description
		n.currentLocal, n.currentRemote = n.pendingLocal, n.pendingRemote
		n.pendingLocal, n.pendingRemote = nil, nil
		n.createdOffer, n.createdAnswer = nil, nil
		n.needed = false
	case SDPTypeUnknown:
	}
	if n.pendingRemote != p.at.pendingRemote {
		n.createdAnswer = nil // it answers another offer
	}
	if p.set.local && p.description != nil && !n.gathers {
		n.gathers, e.gather = true, true
	}
	if !p.set.local && p.description != nil {
		pc.takeCandidatesLocked(p.description)
	}
	if p.starts {
		pc.startLocked(p, &e)
	}
	if to == SignalingStateStable && p.set.sdp == SDPTypeAnswer && n.wantsData && !n.dataAgreed() {
		e.rejected = wasOffered(n)
	}
	if n.begun {
		e.candidates = n.readyCandidates()
	}
	pc.setSignalingLocked(to)

	return e
}

// wasOffered tells whether we have asked for data channels, and were refused.
func wasOffered(n *negotiation) bool {
	for i, s := range n.currentLocal.values.Sections {
		if s.IsData() && !s.Rejected && i < len(n.currentRemote.values.Sections) {
			return n.currentRemote.values.Sections[i].Rejected
		}
	}

	return false
}

// startLocked settles what is started with the first answer that has a path.
func (pc *PeerConnection) startLocked(p *prepared, e *effects) {
	n := &pc.negotiation
	first := !n.begun
	e.associate = p.remote.data && !pc.transports.data
	pc.transports.data = pc.transports.data || p.remote.data
	if !first && !e.associate {
		return
	}
	n.begun = true
	path, _, _, _ := p.values.Path()
	n.setup = path.Setup
	if !p.set.local {
		n.setup = oppositeSetup(path.Setup)
	}
	remote := p.remote
	e.start = &remote
	if first {
		n.peer = jsep.Transport{
			UsernameFragment: remote.ice.UsernameFragment, Password: remote.ice.Password, Fingerprints: remote.fingerprints,
		}
	}
	// https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1
	offered := !p.set.local
	lite := pc.local.ice.ICELite
	e.controls = offered
	if lite != remote.ice.ICELite {
		e.controls = !lite
	}
}

func oppositeSetup(s jsep.Setup) jsep.Setup {
	if s == jsep.SetupPassive {
		return jsep.SetupActive
	}

	return jsep.SetupPassive
}
