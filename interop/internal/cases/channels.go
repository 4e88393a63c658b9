package cases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// channels opens 100, half of them from each side, and all of them echo.
func channels(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	err = s.many(ctx, 50)

	return errors.Join(err, s.end(ctx))
}

func (s *session) many(ctx context.Context, each int) error {
	all := make([]*webrtc.DataChannel, 0, 2*each)
	for i := range each {
		c, err := s.pc.CreateDataChannel(fmt.Sprintf("echo-ours-%d", i), nil)
		if err != nil {
			return err
		}
		all = append(all, c)
		if s.env.Mirror {
			continue
		}
		if _, err := s.ask(ctx, peer.Request{Do: "channel", Label: fmt.Sprintf("echo-theirs-%d", i)}); err != nil {
			return err
		}
	}
	for i := range each {
		if s.env.Mirror {
			break
		}
		c, err := s.accept(ctx, fmt.Sprintf("echo-theirs-%d", i))
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	ids := map[uint16]string{}
	for _, c := range all {
		if err := s.env.echo(ctx, c, c.Label()); err != nil {
			return err
		}
		if other, taken := ids[*c.ID()]; taken {
			return fmt.Errorf("%s and %s have the same id", other, c.Label())
		}
		ids[*c.ID()] = c.Label()
	}

	return nil
}

// kind is how reliable a channel is.
type kind struct {
	name              string
	ordered           bool
	maxRetransmits    *uint16
	maxPacketLifeTime *uint16
}

func kinds() []kind {
	none, some, life := uint16(0), uint16(3), uint16(500)

	return []kind{
		{"reliable-ordered", true, nil, nil},
		{"reliable-unordered", false, nil, nil},
		{"retransmits-0-ordered", true, &none, nil},
		{"retransmits-3-unordered", false, &some, nil},
		{"lifetime-ordered", true, nil, &life},
		{"lifetime-unordered", false, nil, &life},
	}
}

// reliability opens a channel of each kind from each side. The other side sees
// the same kind, and it echoes.
func reliability(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	var all error
	for _, k := range kinds() {
		if err := s.ours(ctx, k); err != nil {
			all = errors.Join(all, fmt.Errorf("%s of ours: %w", k.name, err))
		}
		if s.env.Mirror {
			continue
		}
		if err := s.theirs(ctx, k); err != nil {
			all = errors.Join(all, fmt.Errorf("%s of the peer's: %w", k.name, err))
		}
	}

	return errors.Join(all, s.end(ctx))
}

func (s *session) ours(ctx context.Context, k kind) error {
	label := "echo-ours-" + k.name
	c, err := s.pc.CreateDataChannel(label, &webrtc.DataChannelInit{
		Ordered: &k.ordered, MaxRetransmits: k.maxRetransmits, MaxPacketLifeTime: k.maxPacketLifeTime,
	})
	if err != nil {
		return err
	}
	seen, err := s.opened(ctx, label)
	if err != nil {
		return err
	}
	if seen.Ordered == nil { // it does not tell what it sees
		return s.env.echo(ctx, c, label)
	}
	if *seen.Ordered != k.ordered {
		err = fmt.Errorf("the peer sees ordered %t", *seen.Ordered)
	}
	err = errors.Join(err, same("maxRetransmits", seen.MaxRetransmits, k.maxRetransmits),
		same("maxPacketLifeTime", seen.MaxPacketLifeTime, k.maxPacketLifeTime))
	if err != nil {
		return err
	}

	return s.env.echo(ctx, c, label)
}

func (s *session) theirs(ctx context.Context, k kind) error {
	label := "echo-theirs-" + k.name
	if _, err := s.ask(ctx, peer.Request{
		Do: "channel", Label: label, Ordered: &k.ordered,
		MaxRetransmits: k.maxRetransmits, MaxPacketLifeTime: k.maxPacketLifeTime,
	}); err != nil {
		return err
	}
	c, err := s.accept(ctx, label)
	if err != nil {
		return err
	}
	if c.Ordered() != k.ordered {
		err = fmt.Errorf("we see ordered %t", c.Ordered())
	}
	err = errors.Join(err, same("maxRetransmits", c.MaxRetransmits(), k.maxRetransmits),
		same("maxPacketLifeTime", c.MaxPacketLifeTime(), k.maxPacketLifeTime))
	if err != nil {
		return err
	}

	return s.env.echo(ctx, c, label)
}

func same(name string, got, want *uint16) error {
	if got == nil && want == nil || got != nil && want != nil && *got == *want {
		return nil
	}
	text := func(n *uint16) string {
		if n == nil {
			return "none"
		}

		return fmt.Sprint(*n)
	}

	return fmt.Errorf("%s is %s, not %s", name, text(got), text(want))
}

// negotiated makes channels with the same ids on both sides, before the first
// description and later.
func negotiated(ctx context.Context, e *Env) error {
	yes, early, late := true, uint16(7), uint16(700)
	var first *webrtc.DataChannel
	make2 := func(ctx context.Context, s *session, label string, id *uint16) (*webrtc.DataChannel, error) {
		if _, err := s.ask(ctx, peer.Request{Do: "channel", Label: label, Channel: id, Negotiated: true}); err != nil {
			return nil, err
		}

		return s.pc.CreateDataChannel(label, &webrtc.DataChannelInit{Negotiated: &yes, ID: id})
	}
	s, err := e.connect(ctx, options{prepare: func(ctx context.Context, s *session) (err error) {
		first, err = make2(ctx, s, "echo-early", &early)

		return err
	}})
	if err != nil {
		return err
	}
	err = e.echo(ctx, first, "early")
	if err == nil {
		var second *webrtc.DataChannel
		if second, err = make2(ctx, s, "echo-late", &late); err == nil {
			err = e.echo(ctx, second, "late")
		}
	}

	return errors.Join(err, s.end(ctx))
}

// closeChannel closes one channel from each side; the connection stays.
func closeChannel(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	err = s.closeOurs(ctx)
	if err == nil && !e.Mirror {
		err = s.closeTheirs(ctx)
	}
	if err == nil {
		err = e.echo(ctx, s.echo, "the others live")
	}

	return errors.Join(err, s.end(ctx))
}

func (s *session) closeOurs(ctx context.Context) error {
	c, err := s.pc.CreateDataChannel("echo-close-ours", nil)
	if err != nil {
		return err
	}
	if _, err := s.opened(ctx, c.Label()); err != nil {
		return err
	}
	if err := s.env.echo(ctx, c, "before"); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	within, cancel := limit(ctx)
	defer cancel()
	if !s.env.Mirror {
		if _, err := s.event(within, "closed", c.Label()); err != nil {
			return fmt.Errorf("the peer does not see our close of a channel: %w", err)
		}
	}
	if err := over(within, c.Context()); err != nil {
		return fmt.Errorf("our own close of a channel does not end: %w", err)
	}

	return nil
}

func (s *session) closeTheirs(ctx context.Context) error {
	const label = "echo-close-theirs"
	if _, err := s.ask(ctx, peer.Request{Do: "channel", Label: label}); err != nil {
		return err
	}
	c, err := s.accept(ctx, label)
	if err != nil {
		return err
	}
	if err := s.env.echo(ctx, c, "before"); err != nil {
		return err
	}
	if _, err := s.ask(ctx, peer.Request{Do: "close-channel", Label: label}); err != nil {
		return err
	}
	within, cancel := limit(ctx)
	defer cancel()
	if err := over(within, c.Context()); err != nil {
		return fmt.Errorf("we do not see the peer's close of a channel: %w", err)
	}
	if _, err := c.ReceiveContext(within); !errors.Is(err, io.EOF) {
		return fmt.Errorf("a read after the peer's close gives %w, not io.EOF", err)
	}
	if _, err := s.event(within, "closed", label); err != nil {
		return fmt.Errorf("the peer's own close of a channel does not end: %w", err)
	}

	return nil
}

// limit is within what an end has to be noticed.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*time.Second, errors.New("2 s are over"))
}

// over waits for the end of a life.
func over(ctx, life context.Context) error {
	select {
	case <-life.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
