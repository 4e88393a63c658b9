package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

const (
	connectTime = 30 * time.Second
	closeTime   = 10 * time.Second
)

var (
	errConnectTime = fmt.Errorf("not connected within %v", connectTime)
	errCloseTime   = fmt.Errorf("not closed within %v", closeTime)
)

// demo is the whole program: two processes, and then the silent peers.
func demo(ctx context.Context, out *screen, size int64) error {
	before := runtime.NumGoroutine()
	theirs, err := twoProcesses(ctx, out, size)
	if err != nil {
		return err
	}
	ours := leftover(ctx, before)
	out.line("  goroutines left: a %d, b %d", ours, theirs)
	if ours+theirs > 0 {
		return errors.New("goroutines are left")
	}

	return silentPeers(ctx, out)
}

// twoProcesses is side a. It starts side b, and returns how many goroutines
// that has left.
func twoProcesses(ctx context.Context, out *screen, size int64) (left int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the context has ended, its cause says more than what it broke.
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()

	times := newTimeline(out, held)
	defer times.flush()
	a, err := newPeer(ctx, cancel, newRecorder("a", times.add), webrtc.ICERoleControlling, onLoopback())
	if err != nil {
		return 0, err
	}
	defer a.abandon()
	other, err := startAnswering(ctx)
	if err != nil {
		return 0, err
	}
	go other.listen(ctx, cancel, a, times)
	defer other.wait()
	defer cancel(errors.New("side a has failed")) // ends b if it is still there
	out.line("two processes: a is %d, b is %d", os.Getpid(), other.pid())
	out.title("connect: ICE, DTLS, SCTP, a data channel")

	if err = a.trickle(other.conn.Send); err != nil {
		return 0, err
	}

	connecting, connected := context.WithTimeoutCause(ctx, connectTime, errConnectTime)
	defer connected()
	if err = a.connect(connecting); err != nil {
		return 0, causeOr(connecting, err)
	}
	channel, err := a.sctp.OpenDataChannel(connecting, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return 0, causeOr(connecting, err)
	}
	a.watchChannel(channel)
	if err = await(connecting, other.ready); err != nil {
		return 0, err
	}
	times.flush()

	out.title("send " + amount(size) + " from a to b")
	if err = send(ctx, out, channel, size); err != nil {
		return 0, err
	}

	out.title("close gracefully")
	closing, closed := context.WithTimeoutCause(ctx, closeTime, errCloseTime)
	defer closed()
	if err = a.finish(closing); err != nil {
		return 0, causeOr(closing, err)
	}
	if err = await(closing, other.done); err != nil {
		return 0, err
	}
	other.wait()

	return other.left, nil
}

// causeOr prefers the cause of a context that has ended to the error that its
// end has led to.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	return err
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answerOnPipes is side b. It signals on standard input and output, and lives
// no longer than the process at their other end.
func answerOnPipes(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn := signal.NewConn(os.Stdin, os.Stdout)
	tell := func(r report) error { return sendReport(conn, r) }
	defer func() {
		if err != nil {
			_ = tell(report{Error: causeOr(ctx, err).Error()})
		}
	}()

	before := runtime.NumGoroutine() + 1 // the one that listens
	b, err := newPeer(ctx, cancel,
		newRecorder("b", func(e event) { _ = tell(report{Event: &e}) }),
		webrtc.ICERoleControlled, onLoopback())
	if err != nil {
		return err
	}
	defer b.abandon()
	go listen(ctx, cancel, conn, b)
	if err = b.trickle(conn.Send); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, connectTime, errConnectTime)
	defer connected()
	channel, err := b.accept(connecting)
	if err != nil {
		return causeOr(connecting, err)
	}
	if err = tell(report{Ready: true}); err != nil {
		return err
	}
	if _, err = receive(ctx, channel, func(int64, int64) {}); err != nil {
		return err
	}
	if err = readToEnd(ctx, channel); err != nil {
		return err
	}
	closing, closed := context.WithTimeoutCause(ctx, closeTime, errCloseTime)
	defer closed()
	if err = b.finish(closing); err != nil {
		return causeOr(closing, err)
	}
	connected()
	closed()

	return tell(report{Done: true, Left: leftover(ctx, before)})
}

// accept connects, and takes the channel that the other side opens.
func (p *peer) accept(ctx context.Context) (*webrtc.DataChannel, error) {
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	channel, err := p.sctp.AcceptDataChannel(ctx)
	if err != nil {
		return nil, err
	}
	p.watchChannel(channel)

	return channel, nil
}

// listen takes the offering side's messages until it closes the pipe.
func listen(ctx context.Context, cancel context.CancelCauseFunc, conn *signal.Conn, b *peer) {
	for {
		m, err := conn.Receive(ctx)
		if err == nil {
			err = b.take(m)
		}
		if err != nil {
			cancel(err)

			return
		}
	}
}
