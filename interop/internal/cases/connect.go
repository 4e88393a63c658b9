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

func connect(ctx context.Context, e *Env) error { return e.once(ctx, options{}) }

func trickle(ctx context.Context, e *Env) error { return e.once(ctx, options{trickle: true}) }

func dtlsClient(ctx context.Context, e *Env) error {
	return e.role(ctx, options{client: true}, true)
}

func dtlsServer(ctx context.Context, e *Env) error {
	return e.role(ctx, options{server: true}, false)
}

// overIPv6 connects two hosts that have addresses of both versions, of which we
// use one. In the other cases they have none of IPv6 but those of the link.
func overIPv6(ctx context.Context, e *Env) error {
	where := map[string]string{"us": "fd00:99::1/64", "peer": "fd00:99::2/64"}
	for name, address := range where {
		if err := e.Net.In(name, "ip", "-6", "addr", "add", address, "dev", "eth0", "nodad"); err != nil {
			return err
		}
	}
	err := e.onIPv6(ctx)
	for name, address := range where {
		err = errors.Join(err, e.Net.In(name, "ip", "-6", "addr", "del", address, "dev", "eth0"))
	}

	return err
}

func (e *Env) onIPv6(ctx context.Context) error {
	begin := time.Now()
	s, err := e.connect(ctx, options{trickle: true, settings: func(s *webrtc.SettingEngine) {
		s.ICE.NetworkTypes = []webrtc.NetworkType{webrtc.NetworkTypeUDP6}
	}})
	if err != nil {
		return err
	}
	e.note("first echo after %d ms", time.Since(begin).Milliseconds())
	pair, err := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err == nil && !strings.HasPrefix(pair.Remote.Address, "fd00:99:") {
		err = fmt.Errorf("the peer is at %s", pair.Remote.Address)
	}

	return errors.Join(err, s.end(ctx))
}

// once connects, and closes again.
func (e *Env) once(ctx context.Context, opts options) error {
	begin := time.Now()
	s, err := e.connect(ctx, opts)
	if err != nil {
		return err
	}
	e.note("first echo after %d ms", time.Since(begin).Milliseconds())

	return s.end(ctx)
}

// role connects and looks at which role in DTLS came of it.
func (e *Env) role(ctx context.Context, opts options, client bool) error {
	s, err := e.connect(ctx, opts)
	if err != nil {
		return err
	}
	dtls, err := s.pc.SCTP().Transport().Negotiated()
	if err == nil && dtls.Client != client {
		err = errors.New("our role in DTLS is the other one")
	}

	return errors.Join(err, s.end(ctx))
}

// cancelPoints is at how many moments of a connect it is cancelled.
const cancelPoints = 10

// cancel ends starts at ten points of the connect. After each of them nothing of
// ours is left and a new connection works. What the peer makes of it is looked at
// later, as a peer that was told nothing needs its time.
func cancel(ctx context.Context, e *Env) error {
	begin := time.Now()
	s, err := e.dial(ctx, options{})
	if err != nil {
		return err
	}
	exchanged := time.Now()
	if err := errors.Join(s.pc.Connect(ctx), s.firstEcho(ctx)); err != nil {
		return errors.Join(err, s.end(ctx))
	}
	took := time.Since(exchanged)
	e.note("connect of %d ms, of which %d ms after the descriptions",
		time.Since(begin).Milliseconds(), took.Milliseconds())
	if err := s.end(ctx); err != nil {
		return err
	}
	for i := range cancelPoints {
		if err := e.cancelAt(ctx, took*time.Duration(i)/cancelPoints); err != nil {
			return fmt.Errorf("cancelled at %d of %d: %w", i, cancelPoints, err)
		}
	}

	return e.once(ctx, options{})
}

var errCancelled = errors.New("cancelled by the case")

func (e *Env) cancelAt(ctx context.Context, after time.Duration) error {
	s, err := e.dial(ctx, options{})
	if err != nil {
		return err
	}
	start, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connected := make(chan error, 1)
	go func() { connected <- s.pc.Connect(start) }()
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	begin := time.Now()
	cancel(errCancelled)
	err = <-connected
	s.stray()
	left := s.rest(func() { s.stop(errCancelled) })
	if took := time.Since(begin); took > time.Second {
		left = errors.Join(left, fmt.Errorf("ending took %s", took))
	}
	if err != nil && !errors.Is(err, errCancelled) {
		left = errors.Join(left, fmt.Errorf("not the cause of its end: %w", err))
	}
	number := len(e.later)
	e.later = append(e.later, func(ctx context.Context) error {
		if err := s.noticed(ctx); err != nil {
			return fmt.Errorf("point %d: %w", number, err)
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = s.ask(closing, peer.Request{Do: "close"}) // it is noticed: all is said

		return nil
	})

	return left
}

// noticed waits until the peer has noticed the end of the connection, and asks it
// from time to time, as some do not tell all that they notice.
func (s *session) noticed(ctx context.Context) error {
	for {
		within, cancel := context.WithTimeout(ctx, time.Second)
		_, told := s.notices(within)
		cancel()
		if told == nil {
			return nil
		}
		asking, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 5*time.Second, errors.New("5 s are over"))
		answer, err := s.ask(asking, peer.Request{Do: "state"})
		cancel()
		switch {
		case err != nil:
			return err
		case answer.State == "failed" || answer.State == "closed" || answer.State == "disconnected":
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("the peer is still %s: %w", answer.State, context.Cause(ctx))
		}
	}
}

// cancelNoticed waits until the peer has noticed each of the starts that the case
// cancel has ended. It is the last case, so that the peer's own timeouts cost
// little.
func cancelNoticed(ctx context.Context, e *Env) error {
	later := e.later
	e.later = nil
	if len(later) == 0 {
		return skip("it looks at what the case cancel has done, in the same run")
	}
	var all error
	for _, noticed := range later {
		all = errors.Join(all, noticed(ctx))
	}
	if all == nil {
		all = e.once(ctx, options{})
	}

	return all
}

// restart changes the credentials of a connection that carries data.
func restart(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{trickle: true})
	if err != nil {
		return err
	}

	return errors.Join(s.restart(ctx), s.end(ctx))
}

func (s *session) restart(ctx context.Context) error {
	ice := s.pc.SCTP().Transport().ICETransport()
	before := ufrag(s.pc.RemoteDescription())
	pair, err := ice.GetSelectedCandidatePair()
	if err != nil {
		return err
	}
	if err := s.renegotiate(ctx); err != nil {
		return err
	}
	if ufrag(s.pc.RemoteDescription()) == before {
		return errors.New("the peer has kept its credentials")
	}
	if err := s.env.echo(ctx, s.echo, "while it restarts"); err != nil {
		return err
	}
	for {
		now, err := ice.GetSelectedCandidatePair()
		if err != nil {
			return err
		}
		if now != nil && now.Local.Port != pair.Local.Port {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no new pair: %w%s", context.Cause(ctx), s.told())
		}
	}

	return s.env.echo(ctx, s.echo, "after the restart")
}

// renegotiate is an offer and an answer with new credentials.
func (s *session) renegotiate(ctx context.Context) error {
	s.stray()
	follow, stray := context.WithCancel(context.WithoutCancel(ctx))
	s.stray = stray
	if s.env.Offer {
		return s.offer(ctx, follow, true)
	}

	return s.answer(ctx, follow, true)
}

// ufrag is the line of a description that a restart changes.
func ufrag(d *webrtc.SessionDescription) string {
	_, rest, _ := strings.Cut(d.SDP, "a=ice-ufrag:")
	line, _, _ := strings.Cut(rest, "\r\n")

	return line
}
