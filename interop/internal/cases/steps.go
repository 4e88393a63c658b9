package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// stack is our side step by step: the transports alone, with signaling made by
// hand from the few lines of SDP that it takes.
type stack struct {
	env      *Env
	name     string
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport
	// ran is closed when Run has returned.
	ran chan struct{}
	// remote is what the peer's description says.
	remote struct {
		ice        webrtc.ICEParameters
		dtls       webrtc.DTLSParameters
		sctp       webrtc.SCTPCapabilities
		candidates []webrtc.ICECandidate
	}
}

// newStack makes the transports; nothing is started yet.
func (e *Env) newStack(ctx context.Context) (*stack, error) {
	api := webrtc.NewAPI()
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	if err != nil {
		return nil, err
	}
	e.connections++
	s := &stack{
		env: e, name: fmt.Sprint(e.connections), gatherer: gatherer,
		ice: api.NewICETransport(gatherer), ran: make(chan struct{}),
	}
	if s.dtls, err = api.NewDTLSTransport(s.ice, nil); err != nil {
		return nil, errors.Join(err, gatherer.Close())
	}
	s.sctp = api.NewSCTPTransport(s.dtls)
	go func() {
		defer close(s.ran)
		_ = s.ice.Run(context.WithoutCancel(ctx)) // why it has ended, the starts tell
	}()

	return s, nil
}

// end stops everything and waits for it.
func (s *stack) end() error {
	err := s.ice.Stop()
	select {
	case <-s.ran:
		return err
	case <-time.After(5 * time.Second):
		return errors.Join(err, errors.New("something of ours is left: Run does not return"))
	}
}

// describe is our description; setup is our role in DTLS.
func (s *stack) describe(setup string) (string, error) {
	params, err := s.gatherer.GetLocalParameters()
	if err != nil {
		return "", err
	}
	security, err := s.dtls.GetLocalParameters()
	if err != nil {
		return "", err
	}
	candidates, err := s.gatherer.GetLocalCandidates()
	if err != nil {
		return "", err
	}
	lines := []string{
		"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0",
		"a=ice-ufrag:" + params.UsernameFragment, "a=ice-pwd:" + params.Password,
		"a=fingerprint:" + security.Fingerprints[0].Algorithm + " " + strings.ToUpper(security.Fingerprints[0].Value),
		"a=setup:" + setup, "a=sctp-port:5000",
		fmt.Sprintf("a=max-message-size:%d", s.sctp.GetCapabilities().MaxMessageSize),
	}
	for _, c := range candidates {
		lines = append(lines, "a=candidate:"+c.String())
	}

	return strings.Join(append(lines, "a=end-of-candidates", ""), "\r\n"), nil
}

// read takes the peer's description apart.
func (s *stack) read(sdp string) error {
	r := &s.remote
	for line := range strings.Lines(sdp) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch key {
		case "a=ice-ufrag":
			r.ice.UsernameFragment = value
		case "a=ice-pwd":
			r.ice.Password = value
		case "a=fingerprint":
			algorithm, sum, _ := strings.Cut(value, " ")
			r.dtls.Fingerprints = append(r.dtls.Fingerprints, webrtc.DTLSFingerprint{Algorithm: algorithm, Value: sum})
		case "a=setup":
			r.dtls.Role = map[string]webrtc.DTLSRole{
				"active": webrtc.DTLSRoleClient, "passive": webrtc.DTLSRoleServer, "actpass": webrtc.DTLSRoleAuto,
			}[value]
		case "a=max-message-size":
			if _, err := fmt.Sscan(value, &r.sctp.MaxMessageSize); err != nil {
				return err
			}
		case "a=candidate":
			c, err := webrtc.ParseICECandidate(value)
			if err != nil {
				return err
			}
			// We look up no names: our checks show the peer where we are.
			if !strings.HasSuffix(c.Address, ".local") && c.Protocol == webrtc.ICEProtocolUDP {
				r.candidates = append(r.candidates, c)
			}
		}
	}

	return nil
}

// signal exchanges the descriptions.
func (s *stack) signal(ctx context.Context) error {
	ask := func(r peer.Request) (peer.Answer, error) {
		r.PC = s.name

		return s.env.Peer.Do(ctx, r)
	}
	if _, err := ask(peer.Request{Do: "new"}); err != nil {
		return err
	}
	if _, err := s.gatherer.GatherContext(ctx); err != nil {
		return err
	}
	if s.env.Offer {
		sdp, err := s.describe("actpass")
		if err != nil {
			return err
		}
		answer, err := ask(peer.Request{Do: "answer", SDP: sdp})
		if err != nil {
			return err
		}

		return s.read(answer.SDP)
	}
	if _, err := ask(peer.Request{Do: "channel", Label: "echo"}); err != nil {
		return err
	}
	offer, err := ask(peer.Request{Do: "offer"})
	if err != nil {
		return err
	}
	if err := s.read(offer.SDP); err != nil {
		return err
	}
	s.remote.dtls.Role = webrtc.DTLSRoleServer // by our answer
	sdp, err := s.describe("active")
	if err != nil {
		return err
	}
	_, err = ask(peer.Request{Do: "accept", SDP: sdp})

	return err
}

// start starts the transports one after the other.
func (s *stack) start(ctx context.Context) error {
	role := webrtc.ICERoleControlled
	if s.env.Offer {
		role = webrtc.ICERoleControlling
	}
	for i := range s.remote.candidates {
		// Addresses that are the peer's own loopback are refused, and no loss.
		_ = s.ice.AddRemoteCandidate(&s.remote.candidates[i])
	}
	if err := s.ice.StartContext(ctx, nil, s.remote.ice, &role); err != nil {
		return err
	}
	if err := s.dtls.StartContext(ctx, s.remote.dtls); err != nil {
		return err
	}

	return s.sctp.StartContext(ctx, s.remote.sctp)
}

// talk opens or accepts a channel, which echoes.
func (s *stack) talk(ctx context.Context) (*webrtc.DataChannel, error) {
	var c *webrtc.DataChannel
	var err error
	if s.env.Offer {
		c, err = s.sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "echo", Ordered: true})
	} else {
		c, err = s.sctp.AcceptDataChannel(ctx)
	}
	if err != nil {
		return nil, err
	}

	return c, s.env.echo(ctx, c, "step by step")
}

// steps connects without a PeerConnection, and shuts down layer by layer.
func steps(ctx context.Context, e *Env) error {
	s, err := e.newStack(ctx)
	if err != nil {
		return err
	}

	return errors.Join(s.whole(ctx), s.end())
}

func (s *stack) whole(ctx context.Context) error {
	if err := s.signal(ctx); err != nil {
		return fmt.Errorf("signaling: %w", err)
	}
	begin := time.Now()
	if err := s.start(ctx); err != nil {
		return err
	}
	s.env.note("started after %d ms", time.Since(begin).Milliseconds())
	c, err := s.talk(ctx)
	if err != nil {
		return err
	}
	for _, size := range []int{1, 1 << 10, 60 << 10} {
		if err := echoBinary(ctx, c, make([]byte, size)); err != nil {
			return err
		}
	}
	if err := s.sctp.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown of SCTP: %w", err)
	}
	if err := s.dtls.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown of DTLS: %w", err)
	}
	within, cancel := limit(ctx)
	defer cancel()
	_, err = s.env.Peer.Await(within, func(e peer.Event) bool {
		return e.PC == s.name && (e.Event == "closed" || e.Event == "state" && e.State == "closed")
	})
	if err != nil {
		err = fmt.Errorf("the peer does not notice the shutdown: %w", err)
	}

	return err
}

// stepsCancel ends the context of the starts at ten points. The start that runs
// then returns that, at once, and nothing is left.
func stepsCancel(ctx context.Context, e *Env) error {
	begin := time.Now()
	s, err := e.newStack(ctx)
	if err != nil {
		return err
	}
	if err = s.signal(ctx); err == nil {
		begin = time.Now()
		err = s.start(ctx)
	}
	took := time.Since(begin)
	if err := errors.Join(err, s.end()); err != nil {
		return err
	}
	for i := range cancelPoints {
		if err := e.stepsCancelAt(ctx, took*time.Duration(i)/cancelPoints); err != nil {
			return fmt.Errorf("cancelled at %d of %d: %w", i, cancelPoints, err)
		}
	}

	return steps(ctx, e)
}

func (e *Env) stepsCancelAt(ctx context.Context, after time.Duration) error {
	s, err := e.newStack(ctx)
	if err != nil {
		return err
	}
	if err := s.signal(ctx); err != nil {
		return errors.Join(err, s.end())
	}
	start, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(after, func() { cancel(errCancelled) })
	defer timer.Stop()
	begin := time.Now()
	err = s.start(start)
	took := time.Since(begin)
	cancel(nil)
	switch {
	case err == nil: // it was faster this time
	case !errors.Is(err, errCancelled) || !errors.Is(err, context.Canceled):
		err = fmt.Errorf("not the cause of its end: %w", err)
	case took > after+500*time.Millisecond:
		err = fmt.Errorf("the end took %s more than %s", took-after, after)
	default:
		err = nil
	}

	return errors.Join(err, s.end())
}
