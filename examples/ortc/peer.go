package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"time"

	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// peer is one side: a stack of transports, and what the other side has
// signaled.
type peer struct {
	*recorder
	role     webrtc.ICERole
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport

	// What the other side has signaled; each of one.
	remoteICE  chan webrtc.ICEParameters
	remoteDTLS chan webrtc.DTLSParameters
	remoteSCTP chan webrtc.SCTPCapabilities

	ran    chan struct{} // closed when Run has returned
	runErr error         // what it returned
}

// onLoopback keeps the example on this machine.
func onLoopback() webrtc.SettingEngine {
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

// errSilent is why a program gives up a peer that it hears nothing of any
// more. On a loopback path there is nothing to wait for.
var errSilent = errors.New("the peer has gone silent")

// newPeer makes the stack from the bottom upwards. Run owns it from then on:
// when ctx ends, everything does. cancel ends ctx when the peer goes silent.
func newPeer(
	ctx context.Context, cancel context.CancelCauseFunc,
	r *recorder, role webrtc.ICERole, settings webrtc.SettingEngine,
) (*peer, error) {
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{}) //nolint:contextcheck // Run, below, has it
	if err != nil {
		return nil, err
	}
	ice := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(ice, nil)
	if err != nil {
		return nil, errors.Join(err, ice.Stop())
	}
	p := &peer{
		recorder: r, role: role,
		gatherer: gatherer, ice: ice, dtls: dtls, sctp: api.NewSCTPTransport(dtls),
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
func (p *peer) watch(cancel context.CancelCauseFunc) {
	p.gatherer.OnStateChange(func(state webrtc.ICEGathererState) {
		switch state {
		case webrtc.ICEGathererStateGathering:
			p.note("ice", "gathering")
		case webrtc.ICEGathererStateComplete:
			p.note("ice", gatheringComplete)
		default: // it closes with its transport
		}
	})
	p.ice.OnConnectionStateChange(func(state webrtc.ICETransportState) {
		p.note("ice", state.String())
		if state == webrtc.ICETransportStateDisconnected {
			cancel(errSilent)
		}
	})
	p.ice.OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
		p.note("ice", "pair "+address(pair.Local)+" to "+address(pair.Remote))
	})
	p.dtls.OnStateChange(func(state webrtc.DTLSTransportState) { p.note("dtls", state.String()) })
	p.sctp.OnClose(func(error) { p.note("sctp", webrtc.SCTPTransportStateClosed.String()) })
}

// watchChannel does it for a data channel.
func (p *peer) watchChannel(channel *webrtc.DataChannel) {
	p.note("data", fmt.Sprintf("open, %q", channel.Label()))
	channel.OnClose(func() { p.note("data", webrtc.DataChannelStateClosed.String()) })
}

func address(c *webrtc.ICECandidate) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

// parameters are what the other side has to know before the candidates.
func (p *peer) parameters() ([]signal.Message, error) {
	ice, err := p.gatherer.GetLocalParameters()
	if err != nil {
		return nil, err
	}
	dtls, err := p.dtls.GetLocalParameters()
	if err != nil {
		return nil, err
	}
	sctp := p.sctp.GetCapabilities()

	return []signal.Message{{ICE: &ice}, {DTLS: &dtls}, {SCTP: &sctp}}, nil
}

// trickle signals the parameters at once, and each candidate when it is found.
func (p *peer) trickle(send func(signal.Message) error) error {
	messages, err := p.parameters()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err = send(m); err != nil {
			return err
		}
	}
	p.gatherer.OnLocalCandidate(func(c *webrtc.ICECandidate) {
		if c != nil {
			p.note("ice", "candidate "+address(c))
		}
		// A broken pipe also ends the reading, which ends the program.
		_ = send(signal.OfCandidate(c))
	})

	return p.gatherer.Gather()
}

// describe gathers to the end, and returns everything at once.
func (p *peer) describe(ctx context.Context) ([]signal.Message, error) {
	messages, err := p.parameters()
	if err != nil {
		return nil, err
	}
	candidates, err := p.gatherer.GatherContext(ctx)
	if err != nil {
		return nil, err
	}
	for i := range candidates {
		messages = append(messages, signal.OfCandidate(&candidates[i]))
	}

	return append(messages, signal.OfCandidate(nil)), nil
}

var errTwice = errors.New("the peer has signaled the same parameters twice")

// take uses a message of the other side's. Candidates go to the agent, before
// the start and after it; parameters wait for the step that needs them.
func (p *peer) take(m signal.Message) error {
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

		return p.ice.AddRemoteCandidate(candidate)
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

// startICE, startDTLS and startSCTP are the three steps. Each returns when its
// layer is connected, or with the reason why it never will be.
func (p *peer) startICE(ctx context.Context) error {
	return step(ctx, p.remoteICE, func(ctx context.Context, remote webrtc.ICEParameters) error {
		return p.ice.StartContext(ctx, nil, remote, &p.role)
	})
}

func (p *peer) startDTLS(ctx context.Context) error {
	return step(ctx, p.remoteDTLS, p.dtls.StartContext)
}

func (p *peer) startSCTP(ctx context.Context) error {
	return step(ctx, p.remoteSCTP, p.sctp.StartContext)
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

// connect takes the three steps.
func (p *peer) connect(ctx context.Context) error {
	if err := p.startICE(ctx); err != nil {
		return err
	}
	if err := p.await(ctx, "ice", webrtc.ICETransportStateConnected.String()); err != nil {
		return err
	}
	if err := p.startDTLS(ctx); err != nil {
		return err
	}
	if err := p.await(ctx, "dtls", webrtc.DTLSTransportStateConnected.String()); err != nil {
		return err
	}
	p.note("sctp", webrtc.SCTPTransportStateConnecting.String())
	if err := p.startSCTP(ctx); err != nil {
		return err
	}
	p.note("sctp", webrtc.SCTPTransportStateConnected.String())

	return nil
}

// finish closes gracefully: everything sent arrives, the other side reads to
// the end. It returns when Run has: no goroutine and no handler is left.
func (p *peer) finish(ctx context.Context) error {
	err := p.ice.Shutdown(ctx)
	<-p.ran

	return errors.Join(err, p.runErr)
}

// abandon ends what is left, whatever its state is.
func (p *peer) abandon() {
	_ = p.ice.Stop()
	<-p.ran
}

// leftover is how many goroutines there are more than before. Those of the
// library have finished when Run returns; the protocol modules under it have
// been told to end, and are given the moment that they need.
func leftover(ctx context.Context, before int) int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		left := runtime.NumGoroutine() - before
		if left <= 0 {
			return 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left
		}
	}
}
