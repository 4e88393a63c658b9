package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// closeByUs ends the connection at our side, without and with grace.
func closeByUs(ctx context.Context, e *Env) error {
	for _, graceful := range []bool{false, true} {
		s, err := e.connect(ctx, options{})
		if err != nil {
			return err
		}
		begin := time.Now()
		name := "Close"
		if graceful {
			name = "Shutdown"
			within, cancel := limit(ctx)
			err = s.pc.Shutdown(within)
			cancel()
		} else {
			err = s.pc.Close()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("our %s: %w", name, err), s.end(ctx))
		}
		within, cancel := limit(ctx)
		how, err := s.notices(within)
		cancel()
		if err != nil {
			return errors.Join(fmt.Errorf("the peer does not notice our %s: %w", name, err), s.end(ctx))
		}
		e.note("%s noticed after %d ms (%s)", name, time.Since(begin).Milliseconds(), how)
		if err := s.end(ctx); err != nil {
			return err
		}
	}

	return nil
}

// closeByPeer ends the connection at the peer's side.
func closeByPeer(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := s.ask(ctx, peer.Request{Do: "close"}); err != nil {
		return errors.Join(err, s.end(ctx))
	}
	within, cancel := limit(ctx)
	defer cancel()
	// Channels end with the association. A peer that then goes without an alert
	// leaves the connection to the timeouts of ICE.
	if err := over(within, s.echo.Context()); err != nil {
		return errors.Join(fmt.Errorf("we do not notice the peer's close: %w", err), s.end(ctx))
	}
	e.note("channel ended after %d ms (%v)", time.Since(begin).Milliseconds(),
		ending(s.echo)) //nolint:contextcheck // it looks at an end, and waits for nothing
	if err := over(within, s.pc.Context()); err != nil {
		e.note("the connection lives on: the peer has stopped SCTP alone")
	}

	return s.end(ctx)
}

// shutdown queues as much as the limits allow and ends the connection with grace
// at once: all of it is delivered.
func shutdown(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	c, err := s.pc.CreateDataChannel("sink-shutdown", nil)
	if err == nil {
		_, err = s.opened(ctx, c.Label())
	}
	if err != nil {
		return errors.Join(err, s.end(ctx))
	}
	const size = 2 << 20
	sum, messages, err := blast(ctx, c, size)
	if err != nil {
		return errors.Join(err, s.end(ctx))
	}
	e.note("%d bytes queued at Shutdown", c.BufferedAmount())
	if err := s.pc.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("shutdown: %w", err), s.end(ctx))
	}
	within, cancel := limit(ctx)
	defer cancel()

	return errors.Join(s.digest(within, c.Label(), size, messages, sum), s.end(ctx))
}

// ending is why something of ours has ended.
func ending(of interface{ Context() context.Context }) error { return context.Cause(of.Context()) }
