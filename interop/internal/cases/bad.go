package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// Impairment is what happens to packets, in both directions. All but the delay
// are shares of the packets.
type Impairment struct {
	DelayMS                           int
	Loss, Reorder, Duplicate, Corrupt float64
}

// ImpairmentQueue is the number of the queue of the kernel that does it.
const ImpairmentQueue = 7

// BadNetworks are the cases in which our router spoils what it forwards.
func BadNetworks() []Case {
	return []Case{
		{"bad-delay-loss-1", time.Minute, impaired(1<<20, Impairment{DelayMS: 50, Loss: 0.01})},
		{"bad-loss-5", time.Minute, impaired(1<<20, Impairment{Loss: 0.05})},
		{"bad-loss-20", 2 * time.Minute, impaired(32<<10, Impairment{Loss: 0.2})},
		{"bad-reorder", time.Minute, impaired(1<<20, Impairment{Reorder: 0.25})},
		{"bad-duplicate", time.Minute, impaired(1<<20, Impairment{Duplicate: 0.2})},
		{"bad-corrupt", time.Minute, impaired(1<<20, Impairment{Corrupt: 0.01})},
		{"bad-blackhole", time.Minute, blackhole},
		{"media-loss", time.Minute, mediaLoss},
	}
}

// impaired connects through such a router, and moves size bytes each way.
func impaired(size int, impairment Impairment) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error {
		helper, err := e.impair(ctx, impairment)
		if err != nil {
			return err
		}
		defer helper.Stop()
		begin := time.Now()
		s, err := e.connect(ctx, options{})
		if err != nil {
			return err
		}
		e.note("first echo after %d ms", time.Since(begin).Milliseconds())
		begin = time.Now()
		err = s.bulk(ctx, size)
		e.note("%d KiB each way in %d ms", size>>10, time.Since(begin).Milliseconds())

		return errors.Join(err, s.end(ctx), e.router(OurRouter, open))
	}
}

// impair has our router spoil packets until the helper is stopped.
func (e *Env) impair(ctx context.Context, impairment Impairment) (helper *peer.Process, err error) {
	if err := e.routers(open, open); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(impairment)
	if err != nil {
		return nil, err
	}
	helper, err = peer.Start(ctx, "the impairment", ".", e.Net.Command(OurRouter, self, "-impair", string(text)))
	if err != nil {
		return nil, err
	}
	if err := e.Net.In(OurRouter, "iptables", "-t", "mangle", "-A", "FORWARD", "-p", "udp",
		"-j", "NFQUEUE", "--queue-num", fmt.Sprint(ImpairmentQueue), "--queue-bypass"); err != nil {
		helper.Stop()

		return nil, err
	}

	return helper, nil
}

// blackhole loses everything for five seconds.
func blackhole(ctx context.Context, e *Env) error {
	if err := e.routers(open, open); err != nil {
		return err
	}
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := e.Net.In(OurRouter, "iptables", "-I", "FORWARD", "-j", "DROP"); err != nil {
		return errors.Join(err, s.end(ctx))
	}
	moved := make(chan error, 1)
	go func() {
		if err := s.queue(ctx); err != nil {
			moved <- err

			return
		}
		moved <- s.queued(ctx)
	}()
	select {
	case <-time.After(5 * time.Second):
	case err := <-moved:
		return errors.Join(err, errors.New("something came through"), s.end(ctx))
	}
	err = e.router(OurRouter, open)
	if err == nil {
		err = <-moved
	}
	e.note("all messages %d ms after the beginning", time.Since(begin).Milliseconds())
	if err == nil {
		err = s.bulk(ctx, 1<<20)
	}

	return errors.Join(err, s.end(ctx))
}
