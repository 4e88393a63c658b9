package peer

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// How long the examples wait.
const (
	ConnectTime = 30 * time.Second
	CloseTime   = 10 * time.Second
)

var (
	ErrConnectTime = fmt.Errorf("not connected within %v", ConnectTime)
	ErrCloseTime   = fmt.Errorf("not closed within %v", CloseTime)
)

// CauseOr prefers the cause of a context that has ended to the error that its
// end has led to.
func CauseOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	return err
}

// Await waits until done is closed.
func Await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// FinishInTime is Finish within CloseTime.
func (p *Peer) FinishInTime(ctx context.Context) error {
	closing, closed := context.WithTimeoutCause(ctx, CloseTime, ErrCloseTime)
	defer closed()
	if err := p.Finish(closing); err != nil {
		return CauseOr(closing, err)
	}

	return nil
}

// Introduce gives each side what the other has to say.
func Introduce(ctx context.Context, a, b *Peer) error {
	for _, p := range [][2]*Peer{{a, b}, {b, a}} {
		messages, err := p[0].Describe(ctx)
		if err != nil {
			return err
		}
		if err = p[1].TakeAll(messages); err != nil {
			return err
		}
	}

	return nil
}

// TakeAll uses the messages of a whole description.
func (p *Peer) TakeAll(messages []signal.Message) error {
	for _, m := range messages {
		if err := p.Take(m); err != nil {
			return err
		}
	}

	return nil
}

// Leftover is how many goroutines there are more than before. Those of the
// library have finished when Run returns; the protocol modules under it have
// been told to end, and are given the moment that they need.
func Leftover(ctx context.Context, before int) int {
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
