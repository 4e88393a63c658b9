// Package peer is the stack of the examples: ICE, DTLS and SCTP from the bottom
// upwards, what the other side has signaled, and the end of both.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// Peer is one side: a stack of transports, and what the other side has
// signaled.
type Peer struct {
	*Recorder
	role webrtc.ICERole

	Gatherer *webrtc.ICEGatherer
	ICE      *webrtc.ICETransport
	DTLS     *webrtc.DTLSTransport
	SCTP     *webrtc.SCTPTransport

	// What the other side has signaled; each of one.
	remoteICE  chan webrtc.ICEParameters
	remoteDTLS chan webrtc.DTLSParameters
	remoteSCTP chan webrtc.SCTPCapabilities

	ran    chan struct{} // closed when Run has returned
	runErr error         // what it returned
}

// OnLoopback keeps the example on this machine.
func OnLoopback() webrtc.SettingEngine {
	loopback := map[string]bool{}
	if interfaces, err := net.Interfaces(); err == nil {
		for _, i := range interfaces {
			loopback[i.Name] = i.Flags&net.FlagLoopback != 0 // "lo", "lo0", ...
		}
	}
	settings := webrtc.SettingEngine{LoggerFactory: quietLogs()}
	settings.ICE.IncludeLoopback = true
	settings.ICE.InterfaceFilter = func(name string) bool { return loopback[name] }
	settings.ICE.NetworkTypes = []webrtc.NetworkType{webrtc.NetworkTypeUDP4}

	return settings
}

// quietLogs logs nothing: what goes wrong comes back as an error. The
// environment, as in PION_LOG_DEBUG=all, still turns logs on; the factory has
// read it when it is made.
func quietLogs() *logging.DefaultLoggerFactory {
	logs := logging.NewDefaultLoggerFactory()
	if logs.DefaultLogLevel == logging.LogLevelError { // its own default
		logs.DefaultLogLevel = logging.LogLevelDisabled
	}

	return logs
}

// ErrSilent is why a program gives up a peer that it hears nothing of any
// more. On a loopback path there is nothing to wait for.
var ErrSilent = errors.New("the peer has gone silent")

// New makes the stack from the bottom upwards. Run owns it from then on:
// when ctx ends, everything does. cancel ends ctx when the peer goes silent.
func New(
	ctx context.Context, cancel context.CancelCauseFunc,
	r *Recorder, role webrtc.ICERole, settings webrtc.SettingEngine,
) (*Peer, error) {
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	if err != nil {
		return nil, err
	}
	ice := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(ice, nil)
	if err != nil {
		return nil, errors.Join(err, ice.Stop())
	}
	p := &Peer{
		Recorder: r, role: role,
		Gatherer: gatherer, ICE: ice, DTLS: dtls, SCTP: api.NewSCTPTransport(dtls),
		remoteICE:  make(chan webrtc.ICEParameters, 1),
		remoteDTLS: make(chan webrtc.DTLSParameters, 1),
		remoteSCTP: make(chan webrtc.SCTPCapabilities, 1),
		ran:        make(chan struct{}),
	}
	p.watch(cancel)
	go func() {
		defer close(p.ran)
		p.runErr = ice.Run(ctx)
	}()

	return p, nil
}

const gatheringComplete = "gathering complete"

// watch puts the states on the time line as they happen.
func (p *Peer) watch(cancel context.CancelCauseFunc) {
	p.Gatherer.OnStateChange(func(state webrtc.ICEGathererState) {
		switch state {
		case webrtc.ICEGathererStateGathering:
			p.Note("ice", "gathering")
		case webrtc.ICEGathererStateComplete:
			p.Note("ice", gatheringComplete)
		default: // it closes with its transport
		}
	})
	p.ICE.OnConnectionStateChange(func(state webrtc.ICETransportState) {
		p.Note("ice", state.String())
		if state == webrtc.ICETransportStateDisconnected {
			cancel(ErrSilent)
		}
	})
	p.ICE.OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
		p.Note("ice", "pair "+address(pair.Local)+" to "+address(pair.Remote))
	})
	p.DTLS.OnStateChange(func(state webrtc.DTLSTransportState) { p.Note("dtls", state.String()) })
	p.SCTP.OnClose(func(error) { p.Note("sctp", webrtc.SCTPTransportStateClosed.String()) })
}

// WatchChannel notes the states of a data channel, too.
func (p *Peer) WatchChannel(channel *webrtc.DataChannel) {
	p.Note("data", fmt.Sprintf("open, %q", channel.Label()))
	channel.OnClose(func() { p.Note("data", webrtc.DataChannelStateClosed.String()) })
}

func address(c *webrtc.ICECandidate) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

// parameters are what the other side has to know before the candidates.
func (p *Peer) parameters() ([]signal.Message, error) {
	ice, err := p.Gatherer.GetLocalParameters()
	if err != nil {
		return nil, err
	}
	dtls, err := p.DTLS.GetLocalParameters()
	if err != nil {
		return nil, err
	}
	sctp := p.SCTP.GetCapabilities()

	return []signal.Message{{ICE: &ice}, {DTLS: &dtls}, {SCTP: &sctp}}, nil
}

// Trickle signals the parameters at once, and each candidate when it is found.
func (p *Peer) Trickle(send func(signal.Message) error) error {
	messages, err := p.parameters()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err = send(m); err != nil {
			return err
		}
	}
	p.Gatherer.OnLocalCandidate(func(c *webrtc.ICECandidate) {
		if c != nil {
			p.Note("ice", "candidate "+address(c))
		}
		// A broken pipe also ends the reading, which ends the program.
		_ = send(signal.OfCandidate(c))
	})

	return p.Gatherer.Gather()
}

// Describe gathers to the end, and returns everything at once.
func (p *Peer) Describe(ctx context.Context) ([]signal.Message, error) {
	messages, err := p.parameters()
	if err != nil {
		return nil, err
	}
	candidates, err := p.Gatherer.GatherContext(ctx)
	if err != nil {
		return nil, err
	}
	for i := range candidates {
		messages = append(messages, signal.OfCandidate(&candidates[i]))
	}

	return append(messages, signal.OfCandidate(nil)), nil
}

var errTwice = errors.New("the peer has signaled the same parameters twice")

// Take uses a message of the other side's. Candidates go to the agent, before
// the start and after it; parameters wait for the step that needs them.
func (p *Peer) Take(m signal.Message) error {
	switch {
	case m.ICE != nil:
		return put(p.remoteICE, *m.ICE)
	case m.DTLS != nil:
		return put(p.remoteDTLS, *m.DTLS)
	case m.SCTP != nil:
		return put(p.remoteSCTP, *m.SCTP)
	case m.Candidate != nil:
		candidate, err := m.RemoteCandidate()
		if err != nil {
			return err
		}

		return p.ICE.AddRemoteCandidate(candidate)
	}

	return nil
}

func put[P any](to chan<- P, params P) error {
	select {
	case to <- params:
		return nil
	default:
		return errTwice
	}
}

// StartICE, StartDTLS and StartSCTP are the three steps. Each returns when its
// layer is connected, or with the reason why it never will be.
func (p *Peer) StartICE(ctx context.Context) error {
	return step(ctx, p.remoteICE, func(ctx context.Context, remote webrtc.ICEParameters) error {
		return p.ICE.StartContext(ctx, nil, remote, &p.role)
	})
}

func (p *Peer) StartDTLS(ctx context.Context) error {
	return step(ctx, p.remoteDTLS, p.DTLS.StartContext)
}

func (p *Peer) StartSCTP(ctx context.Context) error {
	return step(ctx, p.remoteSCTP, p.SCTP.StartContext)
}

// step waits for the other side's parameters, then starts.
func step[P any](ctx context.Context, from <-chan P, start func(context.Context, P) error) error {
	select {
	case params := <-from:
		return start(ctx, params)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Connect takes the three steps.
func (p *Peer) Connect(ctx context.Context) error {
	if err := p.StartICE(ctx); err != nil {
		return err
	}
	if err := p.Await(ctx, "ice", webrtc.ICETransportStateConnected.String()); err != nil {
		return err
	}
	if err := p.StartDTLS(ctx); err != nil {
		return err
	}
	if err := p.Await(ctx, "dtls", webrtc.DTLSTransportStateConnected.String()); err != nil {
		return err
	}
	p.Note("sctp", webrtc.SCTPTransportStateConnecting.String())
	if err := p.StartSCTP(ctx); err != nil {
		return err
	}
	p.Note("sctp", webrtc.SCTPTransportStateConnected.String())

	return nil
}

// Accept connects, and takes the channel that the other side opens.
func (p *Peer) Accept(ctx context.Context) (*webrtc.DataChannel, error) {
	if err := p.Connect(ctx); err != nil {
		return nil, err
	}
	channel, err := p.SCTP.AcceptDataChannel(ctx)
	if err != nil {
		return nil, err
	}
	p.WatchChannel(channel)

	return channel, nil
}

// Finish closes gracefully: everything sent arrives, the other side reads to
// the end. It returns when Run has: no goroutine and no handler is left.
func (p *Peer) Finish(ctx context.Context) error {
	err := p.ICE.Shutdown(ctx)
	<-p.ran

	return errors.Join(err, p.runErr)
}

// Abandon ends what is left, whatever its state is.
func (p *Peer) Abandon() {
	_ = p.ICE.Stop()
	<-p.ran
}
