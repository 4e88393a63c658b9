package webrtc

import (
	"context"
	"errors"
	"fmt"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/mdnsnames"
)

// ICEGatherer gathers the local candidates of one [ICETransport]: on the
// interfaces of the machine, and from STUN and TURN servers, all side by side.
// A server that fails harms no other; OnLocalCandidateError tells why, and
// GetServerResults how all went.
//
// What a TURN server has allocated is refreshed as long as the gatherer lives.
// Close has it released: the socket for that stays until the server has answered,
// half a second at most, which Close does not wait for.
//
// It is made by [API.NewICEGatherer] and has an agent with a goroutine from
// then on, so it has to be closed, or handed to a transport, which owns it
// then and closes it with itself.
//
// Its methods may be called from any goroutine and from every handler, with
// the exception of GracefulClose.
type ICEGatherer struct {
	life     *life[ICEGathererState]
	settings *SettingEngine
	policy   ICEGatherPolicy
	log      logging.LeveledLogger
	names    *mdnsnames.User
	looks    *interfaceLooks

	// Guarded by life.mu.
	urls        []serverURL
	newest      *iceAgent   // the one that gathers, or has
	agents      []*iceAgent // all that are not closed
	onCandidate func(*ICECandidate)
	onError     func(*ICECandidateError)
	onRemoved   func(*ICECandidate)
	stopLook    func() bool // at the addresses
	claimed     bool        // by a transport
}

// NewICEGatherer makes a gatherer and its agent. Nothing is sent before
// [ICEGatherer.Gather], unless there is a pool: see
// ICEGatherOptions.ICECandidatePoolSize. The options and the settings of the API are checked
// here; if they are refused, nothing is left behind.
func (api *API) NewICEGatherer(opts ICEGatherOptions) (*ICEGatherer, error) {
	const op = "ice new gatherer"
	if err := api.ready(op); err != nil {
		return nil, err
	}
	urls, err := serverURLs(opts.ICEServers)
	if err != nil {
		return nil, opError(op, err)
	}
	g := &ICEGatherer{
		life: newLife("ice gatherer", gathererTransitions,
			ICEGathererStateNew, ICEGathererStateClosed, new(lifecycle.Queue)),
		settings: api.settings,
		looks:    api.looks,
		policy:   opts.ICEGatherPolicy,
		urls:     urls,
		log:      api.settings.loggerFactory().NewLogger("ortc"),
	}
	g.names = api.names.User(g.life.group)
	if _, err = g.newAgent(op, len(urls), false); err != nil {
		return nil, err
	}
	if opts.ICECandidatePoolSize > 0 {
		if err = g.fill(op); err != nil {
			return nil, and(err, g.Close())
		}
	}

	return g, nil
}

// checkServers refuses servers that configure cannot take.
func (g *ICEGatherer) checkServers(op string, servers []ICEServer) ([]serverURL, error) {
	urls, err := serverURLs(servers)
	if err != nil {
		return nil, opError(op, err)
	}
	if g.settings.ICE.Lite && len(urls) > 0 {
		return nil, refuse(op, ErrInvalidArgument, "a lite agent has host candidates only: %d servers", len(urls))
	}

	return urls, opError(op, g.life.group.Cause())
}

// Gather starts gathering and returns at once. Candidates are told to the
// handler of OnLocalCandidate, nil after the last one, which is when every
// server has answered or its time is over. It may be asked to gather once: use one of
// the two, Gather or GatherContext.
//
// With ICEGatherOptions.ICECandidatePoolSize it has begun before: what was found,
// and which servers have failed, is told now, in that order, and the rest as it
// comes.
//
// It fails with [ErrInvalidState] when it has been called before, and when the
// gatherer is closed.
func (g *ICEGatherer) Gather() error {
	_, err := g.gather("ice gather")

	return err
}

// GatherContext gathers and waits for the end of it. It returns the
// candidates, which the handler of OnLocalCandidate is told too. A gatherer
// may be asked to once: use one of the two, Gather or GatherContext.
//
// A server that fails is no error of it: see OnLocalCandidateError.
//
// If the context ends first, gathering is over all the same: the state is
// complete, the nil candidate is told, the transport lives, and what was found
// so far is returned with the context's error and those of the servers, which
// errors.As finds as [*ICECandidateError]. What servers answer later is dropped.
func (g *ICEGatherer) GatherContext(ctx context.Context) ([]ICECandidate, error) {
	const op = "ice gather"
	if ctx == nil {
		return nil, refuse(op, ErrInvalidArgument, "nil context")
	}
	agent, err := g.gather(op)
	if err != nil {
		return nil, err
	}
	_, err = g.life.await(ctx, op, ICEGathererStateComplete)
	if err != nil && g.life.group.Cause() == nil {
		err = &Error{Op: op, Err: g.cut(agent, errors.Unwrap(err))}
	}
	candidates, _ := g.gatheredBy(agent.params.UsernameFragment)

	return candidates, err
}

func (g *ICEGatherer) gather(op string) (*iceAgent, error) {
	if err := g.alive().usable(op); err != nil {
		return nil, err
	}
	g.life.mu.Lock()
	state := g.life.state
	ok := state == ICEGathererStateNew && g.life.moveLocked(ICEGathererStateGathering)
	agent := g.newest
	pooled := agent.gathering.pool != nil
	g.life.mu.Unlock()
	switch {
	case ok && pooled:
		g.pour(agent)

		return agent, nil
	case ok:
		return agent, g.begin(op, agent)
	case state == ICEGathererStateClosed:
		return nil, refuse(op, ErrInvalidState, "gatherer is closed: %w", g.life.causeOr(ErrClosed))
	default:
		return nil, refuse(op, ErrInvalidState, "gatherer is %s", state)
	}
}

// complete ends the gathering of an agent, unless another one gathers by now.
func (g *ICEGatherer) complete(a *iceAgent) {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	if g.newest == a {
		g.completeLocked()
	}
}

// completeLocked ends gathering: the state first, then the nil candidate, so
// that a handler of either sees the state complete.
func (g *ICEGatherer) completeLocked() {
	if g.life.state == ICEGathererStateGathering && g.life.moveLocked(ICEGathererStateComplete) {
		g.postCandidateLocked(nil)
	}
}

func (g *ICEGatherer) postCandidateLocked(candidate *ICECandidate) {
	g.life.events.Post(g.life.group, func() { call(g.life, &g.onCandidate, candidate) })
}

// GetLocalParameters returns the ufrag and password of the agent, and whether
// it is lite. They change when the transport restarts.
func (g *ICEGatherer) GetLocalParameters() (ICEParameters, error) {
	const op = "ice local parameters"
	if err := g.alive().usable(op); err != nil {
		return ICEParameters{}, err
	}
	if cause := g.life.group.Cause(); cause != nil {
		return ICEParameters{}, opError(op, cause)
	}

	return g.agent().params, nil
}

// agent is the newest of the gatherer's.
func (g *ICEGatherer) agent() *iceAgent {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()

	return g.newest
}

// GetLocalCandidates returns the candidates gathered so far, after a restart
// those of the restart.
func (g *ICEGatherer) GetLocalCandidates() ([]ICECandidate, error) {
	if err := g.alive().usable("ice local candidates"); err != nil {
		return nil, err
	}
	g.life.mu.Lock()
	defer g.life.mu.Unlock()

	return candidatesOf(g.newest.local), nil
}

// OnLocalCandidate sets the handler that is told every candidate found from
// now on, and nil once after the last one: with ICESettings.ContinualGathering once
// after the last of each round, as after that of a restart. It may be nil.
func (g *ICEGatherer) OnLocalCandidate(handler func(*ICECandidate)) {
	g.alive().set(func() { g.onCandidate = handler })
}

// OnStateChange sets the handler of state changes. It may be nil.
func (g *ICEGatherer) OnStateChange(handler func(ICEGathererState)) { g.alive().onState(handler) }

// State returns the present state.
func (g *ICEGatherer) State() ICEGathererState { return g.alive().current() }

// Close ends the gatherer and releases its sockets. A transport that was
// started with it ends too, with [ErrClosed]. It is idempotent and waits for
// no handler.
func (g *ICEGatherer) Close() error {
	if err := g.alive().usable("ice gatherer close"); err != nil {
		return err
	}
	g.end(ErrClosed)
	g.life.awaitTorn()

	return nil
}

// GracefulClose is Close, and waits for the handlers. It must not be called
// from one.
func (g *ICEGatherer) GracefulClose() error { return g.alive().graceful(g.Close()) }

func (g *ICEGatherer) end(cause error) {
	g.life.mu.Lock()
	g.life.moveLocked(ICEGathererStateClosed)
	stop := g.stopLook
	g.life.mu.Unlock()
	if stop != nil {
		stop()
	}
	g.life.end(cause, func() {
		g.life.mu.Lock()
		agents := g.agents
		g.agents = nil
		g.life.mu.Unlock()
		for _, a := range agents {
			g.closeAgent(a)
		}
		g.names.End()
	})
}

// claim makes the gatherer a transport's, once.
func (g *ICEGatherer) claim() error {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	switch {
	case g.life.state == ICEGathererStateClosed:
		return fmt.Errorf("%w: gatherer is closed: %w", ErrInvalidState, g.life.causeOr(ErrClosed))
	case g.claimed:
		return fmt.Errorf("%w: gatherer belongs to another transport", ErrInvalidState)
	}
	g.claimed = true

	return nil
}

// disclaim takes a claim back.
func (g *ICEGatherer) disclaim() {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	g.claimed = false
}

// closedError replaces the agent's word for closed by the cause of the end.
func (g *ICEGatherer) closedError(err error) error {
	if cause := g.life.group.Cause(); cause != nil && errors.Is(err, ice.ErrClosed) {
		return cause
	}

	return err
}

func (g *ICEGatherer) alive() *life[ICEGathererState] {
	if g == nil {
		return nil
	}

	return g.life
}
