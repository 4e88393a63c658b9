package webrtc

import (
	"context"
	"errors"
	"time"

	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc/internal/handover"
	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/mux"
)

// ICETransport finds a working path to the peer and keeps it working. It is
// the bottom of a stack: [DTLSTransport] stands on it.
//
// A transport is started once, by [ICETransport.StartContext], and never
// again; [ICETransport.Restart] finds another path for it. It owns its gatherer.
//
// When the agent has given up, the state is failed. By default that is the
// end: the layers above are closed with [ErrICEFailed]. ICESettings.FailedGrace
// gives a restart time to mend it.
//
// The package documentation says when its methods may be called and what ends
// them.
type ICETransport struct {
	life *life[ICETransportState]

	// ready is closed when the first valid pair is known, and packets can be
	// written.
	ready chan struct{}

	// settled is closed when a conflict of roles is not possible any more.
	settled chan struct{}

	// Guarded by life.mu.
	gatherer  *ICEGatherer
	agent     *iceAgent      // the one in use
	next      *iceAgent      // of a restart that is under way
	early     []ICECandidate // of the peer's agent of that
	former    []*iceAgent    // that still receive what was on the way
	past      traffic        // of those that do no more
	role      ICERole
	started   bool           // somebody may start it, and has not been refused
	carrier   *handover.Path // of packets, also when the agent is replaced
	mux       *mux.Mux
	claimed   bool      // by a DTLS transport
	valid     bool      // there was a valid pair
	peerRules bool      // a check has told that the peer is the controlling side
	isReady   bool      // ready is closed
	isSettled bool      // settled is
	heard     time.Time // when the last check of the peer's came, at first the start; until ready
	stopGrace func() bool
	stopLook  func() bool // of the consent
	onPair    func(*ICECandidatePair)
}

// NewICETransport makes a transport. gatherer may be nil, and given to Start
// then. If it is not nil the transport owns it from now on.
//
// A gatherer that is closed or that belongs to another transport is reported
// by the first call.
func (api *API) NewICETransport(gatherer *ICEGatherer) *ICETransport {
	const op = "ice new transport"
	err := api.ready(op)

	return newICETransport(op, gatherer, err)
}

// NewICETransport is [API.NewICETransport] for a program that has no API at
// hand. The transport logs with its gatherer's logger factory; the one given
// here is not used.
func NewICETransport(gatherer *ICEGatherer, _ logging.LoggerFactory) *ICETransport {
	return newICETransport("ice new transport", gatherer, nil)
}

func newICETransport(op string, gatherer *ICEGatherer, err error) *ICETransport {
	t := &ICETransport{
		life: newLife("ice", iceTransitions,
			ICETransportStateNew, ICETransportStateClosed, new(lifecycle.Queue)),
		ready:   make(chan struct{}),
		settled: make(chan struct{}),
	}
	if err == nil && gatherer != nil {
		err = t.adopt(op, gatherer)
	}
	if err != nil {
		t.end(err, ICETransportStateClosed)
	}

	return t
}

// adopt makes the gatherer the transport's own: it ends with it, and shares
// its event queue.
func (t *ICETransport) adopt(op string, g *ICEGatherer) error {
	if err := g.alive().usable(op); err != nil {
		return err
	}
	if err := g.claim(); err != nil {
		return opError(op, err)
	}
	check := t.onCheck
	agent := g.agent()
	agent.check.Store(&check)
	t.life.mu.Lock()
	ended := t.life.state == ICETransportStateClosed
	own := t.life.events
	if !ended {
		t.gatherer, t.agent, t.life.events = g, agent, g.life.events
	}
	t.life.mu.Unlock()
	if ended { // it was stopped meanwhile, and closes no gatherer any more
		agent.check.Store(nil)
		g.disclaim()

		return refuse(op, ErrInvalidState, "%w", t.life.endCause())
	}
	own.Forward(g.life.events)
	t.life.group.Follow(g.life.group, lifecycle.Follower{
		End: func(cause error) {
			// One that has ended is closing the gatherer just now, and a
			// failed one stays failed.
			if t.life.group.Cause() == nil {
				t.end(cause, ICETransportStateClosed)
			}
		},
		Shutdown: t.Shutdown,
	})

	return nil
}

// Start is [ICETransport.StartContext] without a limit. It ends when the agent
// has connected or failed.
func (t *ICETransport) Start(gatherer *ICEGatherer, params ICEParameters, role *ICERole) error {
	return t.StartContext(context.Background(), gatherer, params, role)
}

// StartContext starts connectivity checks towards the peer whose parameters
// were signaled, and returns when a candidate pair has been nominated. Remote
// candidates may be added before and while it runs.
//
// gatherer may be nil if the transport was made with one. role nil means
// controlled, as in W3C's ORTC.
//
// Errors: [ErrInvalidState] and [ErrInvalidArgument] for a call that is
// refused and changes nothing; [ErrICEFailed] when no pair works; the
// context's error and cause when ctx ends first, and the transport is closed
// then; [ErrClosed] after Stop.
func (t *ICETransport) StartContext(
	ctx context.Context, gatherer *ICEGatherer, params ICEParameters, role *ICERole,
) error {
	const op = "ice start"
	if err := t.begin(ctx, op, gatherer, params, role); err != nil {
		return err
	}

	return t.proceed(ctx, op, params)
}

// proceed is StartContext after begin.
func (t *ICETransport) proceed(ctx context.Context, op string, params ICEParameters) error {
	return t.life.start(ctx, op,
		func(cause error) { t.end(cause, ICETransportStateClosed) },
		func() error { return t.connect(ctx, params) })
}

// begin refuses what cannot be started, and takes the transport to checking.
func (t *ICETransport) begin(
	ctx context.Context, op string, gatherer *ICEGatherer, params ICEParameters, role *ICERole,
) error {
	if err := t.alive().usable(op); err != nil {
		return err
	}
	asked := ICERoleControlled
	if role != nil {
		asked = *role
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	if err := params.validate(); err != nil {
		return opError(op, err)
	}
	if asked != ICERoleControlling && asked != ICERoleControlled {
		return refuse(op, ErrInvalidArgument, "role %d is neither controlling nor controlled", asked)
	}

	t.life.mu.Lock()
	own := t.gatherer
	err := t.life.startRefusedLocked(op, !t.started && t.life.state == ICETransportStateNew)
	if err == nil && own == nil && gatherer == nil {
		err = refuse(op, ErrInvalidArgument, "no gatherer")
	}
	if err == nil && own != nil && gatherer != nil && own != gatherer {
		err = refuse(op, ErrInvalidArgument, "the transport has another gatherer already")
	}
	if err == nil {
		t.started = true // nobody else starts it while the gatherer is taken
	}
	t.life.mu.Unlock()
	if err == nil && own == nil {
		if err = t.adopt(op, gatherer); err != nil {
			t.life.mu.Lock()
			t.started = false
			t.life.mu.Unlock()
		}
	}
	if err != nil {
		return err
	}

	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.role, t.agent.started, t.agent.remote = asked, true, params
	if !t.life.moveLocked(ICETransportStateChecking) {
		return refuse(op, ErrInvalidState, "%w", t.life.causeOr(ErrClosed))
	}

	return nil
}

// end ends the transport, what stands on it, and its gatherer.
func (t *ICETransport) end(cause error, to ICETransportState) {
	t.life.mu.Lock()
	t.life.moveLocked(to)
	g, timers := t.gatherer, []func() bool{t.stopGrace, t.stopLook}
	t.life.mu.Unlock()
	for _, stop := range timers {
		if stop != nil {
			stop()
		}
	}
	t.life.end(cause, func() {
		if g != nil {
			g.end(cause)
		}
	})
}

// Stop closes the transport and its gatherer, and everything that stands on
// it, with [ErrClosed]. It is idempotent, waits for no handler, and ends every
// call that waits. It always returns nil on a transport made by its
// constructor.
func (t *ICETransport) Stop() error {
	if err := t.alive().usable("ice stop"); err != nil {
		return err
	}
	t.stop(ErrClosed)

	return nil
}

func (t *ICETransport) stop(cause error) {
	t.end(cause, ICETransportStateClosed)
	t.life.awaitTorn()
	t.life.mu.Lock()
	g := t.gatherer
	t.life.mu.Unlock()
	if g != nil {
		g.life.awaitTorn()
	}
}

// Shutdown ends what stands on the transport gracefully, then stops it, and
// waits until TURN servers have released what they relayed by. If ctx ends
// first the rest is stopped at once, and the error says what was lost.
func (t *ICETransport) Shutdown(ctx context.Context) error {
	const op = "ice shutdown"
	err := t.alive().shutdown(ctx, op,
		func(ctx context.Context) error { return t.life.group.Shutdown(ctx) }, t.stop)
	if g := t.adopted(); g != nil && ctx != nil {
		err = opError(op, and(err, g.life.tasksDone(ctx)))
	}

	return err
}

// GracefulStop is Shutdown without a limit, and waits for the handlers. It
// must not be called from one.
func (t *ICETransport) GracefulStop() error {
	err := t.alive().graceful(t.Shutdown(context.Background()))
	if g := t.adopted(); g != nil {
		err = g.life.graceful(err)
	}

	return err
}

// adopted is the gatherer, nil if there is none.
func (t *ICETransport) adopted() (g *ICEGatherer) {
	t.alive().set(func() { g = t.gatherer })

	return g
}

// Run owns the transport until ctx or the transport ends, closes what is left,
// and returns when every goroutine and handler of it and of what stands on it
// has finished. It returns nil after our own Stop, and the first reason
// otherwise. It must not be called from a handler.
func (t *ICETransport) Run(ctx context.Context) error {
	err := t.alive().run(ctx, t.stop)
	if g := t.adopted(); g != nil && ctx != nil {
		_ = g.life.group.Wait(context.WithoutCancel(ctx))
	}

	return err
}

// Context is done when the transport has ended, or has failed for good. Its
// cause says why.
func (t *ICETransport) Context() context.Context { return t.alive().context() }

// AwaitState blocks until one of the states is reached, or was there already.
// It returns that state; the cause when the transport ends before, and the
// context's error when ctx does.
func (t *ICETransport) AwaitState(ctx context.Context, states ...ICETransportState) (ICETransportState, error) {
	return t.alive().await(ctx, "ice await state", states...)
}

// State returns the present state.
func (t *ICETransport) State() ICETransportState { return t.alive().current() }

// OnConnectionStateChange sets the handler of state changes. It may be nil.
func (t *ICETransport) OnConnectionStateChange(handler func(ICETransportState)) {
	t.alive().onState(handler)
}

// OnSelectedCandidatePairChange sets the handler that is told every newly
// selected pair. It may be nil.
func (t *ICETransport) OnSelectedCandidatePairChange(handler func(*ICECandidatePair)) {
	t.alive().set(func() { t.onPair = handler })
}

// GetLocalParameters returns the gatherer's parameters.
func (t *ICETransport) GetLocalParameters() (ICEParameters, error) {
	g, err := t.ownGatherer("ice local parameters")
	if err != nil {
		return ICEParameters{}, err
	}

	return g.GetLocalParameters()
}

// GetRemoteParameters returns the parameters given to Start, or those of the
// last restart that has come about, and [ErrInvalidState] before.
func (t *ICETransport) GetRemoteParameters() (ICEParameters, error) {
	const op = "ice remote parameters"
	if err := t.alive().usable(op); err != nil {
		return ICEParameters{}, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.agent == nil || !t.agent.started {
		return ICEParameters{}, refuse(op, ErrInvalidState, "not started")
	}

	return t.agent.remote, nil
}

func (t *ICETransport) ownGatherer(op string) (*ICEGatherer, error) {
	if err := t.alive().usable(op); err != nil {
		return nil, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.gatherer == nil {
		return nil, refuse(op, ErrInvalidState, "%w", t.life.causeOr(errNoGatherer))
	}

	return t.gatherer, nil
}

var errNoGatherer = errors.New("the transport has no gatherer yet")

func (t *ICETransport) alive() *life[ICETransportState] {
	if t == nil {
		return nil
	}

	return t.life
}
