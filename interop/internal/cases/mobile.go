package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ctxrtc/webrtc"
)

// lost is how many messages are under way when a path ends.
const lost = 100

// queue sends messages that nobody can take now.
func (s *session) queue(ctx context.Context) error {
	for i := range lost {
		if err := s.echo.SendTextContext(ctx, fmt.Sprint(i)); err != nil {
			return err
		}
	}

	return nil
}

// queued waits for the echo of each of them, in order.
func (s *session) queued(ctx context.Context) error {
	for i := range lost {
		got, err := s.echo.ReceiveContext(ctx)
		if err != nil {
			return fmt.Errorf("echo %d of %d: %w", i, lost, err)
		}
		if string(got.Data) != fmt.Sprint(i) {
			return fmt.Errorf("echo %d is %q", i, got.Data)
		}
	}

	return nil
}

// again restarts ICE on whatever network there is now, and waits for what was
// queued.
func (s *session) again(ctx context.Context) error {
	begin := time.Now()
	if err := s.renegotiate(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	if err := s.queued(ctx); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	s.env.note("all messages %d ms after the restart began", time.Since(begin).Milliseconds())

	return s.env.echo(ctx, s.echo, "and on")
}

// turnStopped ends the server of a relayed connection. A restart with a server
// that is there again brings the connection back.
func turnStopped(ctx context.Context, e *Env) error {
	if err := e.routers(open, open); err != nil {
		return err
	}
	server, err := e.turn(ctx)
	if err != nil {
		return err
	}
	defer func() { server.Stop() }()
	s, err := e.connect(ctx, through("turn:"+ServerAddress+":3478"))
	if err != nil {
		return err
	}
	err = func() error {
		server.Stop()
		begin := time.Now()
		if err := s.queue(ctx); err != nil {
			return err
		}
		if _, err := s.pc.AwaitState(ctx, webrtc.PeerConnectionStateDisconnected); err != nil {
			return fmt.Errorf("the end of the server is not noticed: %w", err)
		}
		e.note("disconnected %d ms after the server's end", time.Since(begin).Milliseconds())
		if server, err = e.turn(ctx); err != nil {
			return err
		}

		return s.again(ctx)
	}()

	return errors.Join(err, s.end(ctx))
}

// reflexive makes a connection by reflexive addresses, ours behind a router of a kind,
// and ends it when the case has done with it.
func (e *Env) reflexive(ctx context.Context, ours string, do func(*session) error) error {
	if err := e.routers(ours, cone); err != nil {
		return err
	}
	server, err := e.turn(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	s, err := e.connect(ctx, options{trickle: true, servers: servers("stun:" + ServerAddress + ":3478")})
	if err != nil {
		return err
	}

	return errors.Join(do(s), s.end(ctx))
}

// rebinding makes our router choose another port for the connection in use.
func rebinding(ctx context.Context, e *Env) error {
	return e.reflexive(ctx, cone, func(s *session) error {
		if err := e.router(OurRouter, symmetric); err != nil {
			return err
		}
		begin := time.Now()
		if err := s.queue(ctx); err != nil {
			return err
		}
		// Some peers follow the new address when our checks come from there.
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if got, err := s.echo.ReceiveContext(within); err == nil {
			e.note("the peer follows the new address within %d ms", time.Since(begin).Milliseconds())
			if string(got.Data) != "0" {
				return fmt.Errorf("echo 0 is %q", got.Data)
			}
			for i := 1; i < lost; i++ {
				if _, err := s.echo.ReceiveContext(ctx); err != nil {
					return fmt.Errorf("echo %d of %d: %w", i, lost, err)
				}
			}

			return s.env.echo(ctx, s.echo, "and on")
		}
		e.note("the peer does not follow the new address within 5 s")

		return s.again(ctx)
	})
}

// otherInterface takes our only interface away and gives us another one.
func otherInterface(ctx context.Context, e *Env) error {
	gone := false
	err := e.reflexive(ctx, restricted, func(s *session) error {
		if err := e.Net.In("us", "ip", "link", "delete", "eth0"); err != nil {
			return err
		}
		gone = true
		if err := s.queue(ctx); err != nil {
			return err
		}
		if err := e.Net.Link("us", "eth1", "10.3.0.2/24", OurRouter, "in1", "10.3.0.1/24"); err != nil {
			return err
		}
		if err := e.Net.Route("us", "10.3.0.1"); err != nil {
			return err
		}

		return s.again(ctx)
	})

	if gone {
		err = errors.Join(err, e.oldInterface())
	}

	return err
}

// oldInterface brings the network back for the cases that follow.
func (e *Env) oldInterface() error {
	_ = e.Net.In("us", "ip", "link", "delete", "eth1") // it may not be there

	return errors.Join(e.Net.Link("us", "eth0", OurAddress+"/24", OurRouter, "in", "10.1.0.1/24"), e.Net.Route("us", "10.1.0.1"))
}
