package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// options of a connection. The zero value is a connection with whole
// descriptions, whose DTLS roles are the peers' choice.
type options struct {
	// trickle sends candidates apart from the descriptions.
	trickle bool
	// client and server ask for our role in DTLS.
	client, server bool
	// prepare makes channels before the first description.
	prepare func(ctx context.Context, s *session) error
	// unfinished returns once the descriptions are exchanged.
	unfinished bool
	// noChannel makes none, so that nothing of SCTP is there.
	noChannel bool
	// resource is what an offer of ours to a server is for: whip or whep.
	resource string
	// settings change ours.
	settings func(*webrtc.SettingEngine)
	// servers are both sides' STUN and TURN servers; relay allows nothing else.
	servers []peer.Server
	relay   bool
	// ourRelay and peerRelay make one side use a relay alone.
	ourRelay, peerRelay bool
	// peerServers are the peer's, if they are others.
	peerServers []peer.Server
}

// session is one connection between us and the peer.
type session struct {
	env  *Env
	name string
	opts options
	pc   *webrtc.PeerConnection
	// echo is a channel that the offerer has made, as we see it.
	echo *webrtc.DataChannel
	// stop ends Run of the connection, ran has what Run returned.
	stop context.CancelCauseFunc
	ran  chan error
	// stray ends what follows the peer's candidates.
	stray context.CancelFunc

	mu      sync.Mutex
	arrived map[string]chan *webrtc.DataChannel // the peer's channels, by label
	refused []string                            // candidates that were not taken
}

// connect makes a connection in the direction of the case, and waits until a
// channel has echoed.
func (e *Env) connect(ctx context.Context, opts options) (*session, error) {
	s, err := e.dial(ctx, opts)
	if err != nil {
		return nil, err
	}
	if opts.unfinished {
		return s, nil
	}
	err = s.pc.Connect(ctx)
	if err == nil && !opts.noChannel {
		err = s.firstEcho(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w%s", err, s.told()), s.end(ctx))
	}

	return s, nil
}

// dial makes a connection as far as both descriptions being applied.
func (e *Env) dial(ctx context.Context, opts options) (*session, error) {
	var engine webrtc.SettingEngine
	if opts.client {
		engine.DTLS.AnsweringRole = webrtc.DTLSRoleClient
	}
	if opts.server {
		engine.DTLS.AnsweringRole = webrtc.DTLSRoleServer
	}
	if opts.settings != nil {
		opts.settings(&engine)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(configuration(opts))
	if err != nil {
		return nil, err
	}
	e.connections++
	s := &session{
		env: e, opts: opts, pc: pc, name: fmt.Sprintf("%d", e.connections),
		ran: make(chan error, 1), arrived: map[string]chan *webrtc.DataChannel{},
	}
	run, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { s.ran <- pc.Run(run) }()
	follow, stray := context.WithCancel(context.WithoutCancel(ctx))
	s.stray = stray
	pc.OnDataChannel(func(c *webrtc.DataChannel) { s.arrival(c.Label()) <- c })
	if err := s.exchange(ctx, follow); err != nil {
		return nil, errors.Join(err, s.end(ctx))
	}

	return s, nil
}

func configuration(opts options) webrtc.Configuration {
	config := webrtc.Configuration{}
	for _, server := range opts.servers {
		config.ICEServers = append(config.ICEServers, webrtc.ICEServer{
			URLs: server.URLs, Username: server.Username, Credential: server.Credential,
		})
	}
	if opts.relay || opts.ourRelay {
		config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}

	return config
}

func (s *session) exchange(ctx, follow context.Context) error {
	servers := s.opts.servers
	if s.opts.peerServers != nil {
		servers = s.opts.peerServers
	}
	if _, err := s.ask(ctx, peer.Request{Do: "new", ICEServers: servers, Relay: s.opts.relay || s.opts.peerRelay}); err != nil {
		return err
	}
	if s.opts.prepare != nil {
		if err := s.opts.prepare(ctx, s); err != nil {
			return err
		}
	}
	if err := s.makeEcho(ctx); err != nil {
		return err
	}
	if s.env.Offer {
		return s.offer(ctx, follow, false)
	}

	return s.answer(ctx, follow, false)
}

// makeEcho makes the first channel, on the side that offers.
func (s *session) makeEcho(ctx context.Context) (err error) {
	if s.opts.noChannel {
		return nil
	}
	if s.env.Offer {
		s.echo, err = s.pc.CreateDataChannel("echo", nil)

		return err
	}
	_, err = s.ask(ctx, peer.Request{Do: "channel", Label: "echo"})

	return err
}

func (s *session) firstEcho(ctx context.Context) error {
	if s.echo == nil {
		c, err := s.accept(ctx, "echo")
		if err != nil {
			return err
		}
		s.echo = c
	}

	return s.env.echo(ctx, s.echo, "first")
}

// ask is a request about this connection.
func (s *session) ask(ctx context.Context, r peer.Request) (peer.Answer, error) {
	r.PC = s.name

	return s.env.Peer.Do(ctx, r)
}

// offer is our offer and the peer's answer.
func (s *session) offer(ctx, follow context.Context, restart bool) error {
	offer, err := s.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return err
	}
	flush, err := s.local(ctx, &offer)
	if err != nil {
		return err
	}
	// The peer takes the role in DTLS that an offer leaves to it.
	switch {
	case s.opts.client:
		offer.SDP = strings.ReplaceAll(offer.SDP, "a=setup:actpass", "a=setup:active")
	case s.opts.server:
		offer.SDP = strings.ReplaceAll(offer.SDP, "a=setup:actpass", "a=setup:passive")
	}
	answer, err := s.ask(ctx, peer.Request{Do: "answer", SDP: offer.SDP, Trickle: s.opts.trickle, Resource: s.opts.resource})
	if err != nil {
		return err
	}
	flush()
	err = s.pc.SetRemoteDescriptionContext(ctx, webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP})
	if err != nil {
		return fmt.Errorf("the peer's answer: %w\n%s", err, answer.SDP)
	}
	s.follow(follow)

	return nil
}

// answer is the peer's offer and our answer.
func (s *session) answer(ctx, follow context.Context, restart bool) error {
	offer, err := s.ask(ctx, peer.Request{Do: "offer", Trickle: s.opts.trickle, Restart: restart})
	if err != nil {
		return err
	}
	err = s.pc.SetRemoteDescriptionContext(ctx, webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer.SDP})
	if err != nil {
		return fmt.Errorf("the peer's offer: %w\n%s", err, offer.SDP)
	}
	s.follow(follow)
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	flush, err := s.local(ctx, &answer)
	if err != nil {
		return err
	}
	if _, err := s.ask(ctx, peer.Request{Do: "accept", SDP: answer.SDP}); err != nil {
		return err
	}
	flush()

	return nil
}

// local applies our description. Candidates that trickle wait for flush, as a
// peer need not keep those that come before the description.
func (s *session) local(ctx context.Context, description *webrtc.SessionDescription) (flush func(), err error) {
	if !s.opts.trickle {
		if err := s.pc.SetLocalDescriptionContext(ctx, *description); err != nil {
			return nil, err
		}
		*description = *s.pc.LocalDescription()

		return func() {}, nil
	}
	described := make(chan struct{})
	s.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			return
		}
		init := c.ToJSON()
		go func() {
			select {
			case <-described:
			case <-ctx.Done():
				return
			}
			_, err := s.ask(ctx, peer.Request{Do: "candidate", Candidate: &peer.Candidate{
				Candidate: init.Candidate, SDPMid: init.SDPMid, SDPMLineIndex: init.SDPMLineIndex,
			}})
			if err != nil {
				s.refuse("peer: " + err.Error())
			}
		}()
	})

	// It does not wait for the candidates, which the form with a context would do.
	err = s.pc.SetLocalDescription(*description) //nolint:contextcheck // see above

	return func() { close(described) }, err
}

// follow adds the peer's candidates as they come.
func (s *session) follow(ctx context.Context) {
	if !s.opts.trickle {
		return
	}
	go s.env.Peer.Follow(ctx, s.name, func(e peer.Event) {
		if e.Event != "candidate" || e.Candidate == nil {
			return
		}
		err := s.pc.AddICECandidate(webrtc.ICECandidateInit{
			Candidate: e.Candidate.Candidate, SDPMid: e.Candidate.SDPMid, SDPMLineIndex: e.Candidate.SDPMLineIndex,
		})
		if err != nil {
			s.refuse(e.Candidate.Candidate + ": " + err.Error())
		}
	})
}

func (s *session) refuse(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, what)
}

// told is what else is known of a connection that has failed.
func (s *session) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == 0 {
		return ""
	}

	return fmt.Sprintf(" (%d candidates refused, the first: %s)", len(s.refused), s.refused[0])
}

func (s *session) arrival(label string) chan *webrtc.DataChannel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.arrived[label]
	if !ok {
		c = make(chan *webrtc.DataChannel, 1)
		s.arrived[label] = c
	}

	return c
}

// accept waits for a channel of the peer's.
func (s *session) accept(ctx context.Context, label string) (*webrtc.DataChannel, error) {
	select {
	case c := <-s.arrival(label):
		return c, nil
	case <-s.pc.Context().Done():
		return nil, fmt.Errorf("while waiting for the peer's channel %s: %w", label,
			ending(s.pc)) //nolint:contextcheck // it looks at an end, and waits for nothing
	case <-ctx.Done():
		return nil, fmt.Errorf("the peer's channel %s does not come: %w", label, context.Cause(ctx))
	}
}

// opened waits until the peer has a channel open, and is how the peer sees it.
func (s *session) opened(ctx context.Context, label string) (peer.Event, error) {
	if s.env.Mirror {
		return peer.Event{}, nil // the echo will tell
	}
	e, err := s.event(ctx, "open", label)
	if err != nil {
		return e, fmt.Errorf("%s does not open at the peer: %w", label, err)
	}

	return e, nil
}

func (s *session) event(ctx context.Context, name, label string) (peer.Event, error) {
	return s.env.Peer.Await(ctx, func(e peer.Event) bool {
		return e.PC == s.name && e.Event == name && e.Label == label
	})
}

// notices waits until the peer has noticed the end of the connection, and says
// how it tells.
func (s *session) notices(ctx context.Context) (string, error) {
	e, err := s.env.Peer.Await(ctx, func(e peer.Event) bool {
		return e.PC == s.name && (e.Event == "closed" ||
			e.Event == "state" && (e.State == "closed" || e.State == "failed" || e.State == "disconnected"))
	})
	if err != nil {
		return "", err
	}
	if e.Event == "closed" {
		return "channel closed", nil
	}

	return "state " + e.State, nil
}

// end closes both sides and waits until nothing of ours runs.
func (s *session) end(ctx context.Context) error {
	s.stray()
	err := s.rest(func() { s.stop(errOver) })
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), time.Second, errOver)
	defer cancel()
	// A peer that has died or that closes slowly is no matter of this connection.
	_, _ = s.ask(ctx, peer.Request{Do: "close"})

	return err
}

// rest makes Run return and waits for that.
func (s *session) rest(stop func()) error {
	stop()
	select {
	case err := <-s.ran:
		s.ran <- err // for a second call

		return nil
	case <-time.After(5 * time.Second):
		return errors.New("something of ours is left: Run does not return")
	}
}

// errOver ends a connection whose case is over.
var errOver = errors.New("the case is over")
