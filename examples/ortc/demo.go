package main

import (
	"context"
	"errors"
	"os"
	"runtime"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/process"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// demo is the whole program: two processes, and then the silent peers.
func demo(ctx context.Context, out *screen.Screen, size int64) error {
	before := runtime.NumGoroutine()
	theirs, err := twoProcesses(ctx, out, size)
	if err != nil {
		return err
	}
	ours := peer.Leftover(ctx, before)
	out.Line("  goroutines left: a %d, b %d", ours, theirs)
	if ours+theirs > 0 {
		return errors.New("goroutines are left")
	}

	return silentPeers(ctx, out)
}

// twoProcesses is side a. It starts side b, and returns how many goroutines
// that has left.
func twoProcesses(ctx context.Context, out *screen.Screen, size int64) (left int, err error) {
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
	a, err := peer.New(ctx, cancel, peer.NewRecorder("a", times.add), webrtc.ICERoleControlling, peer.OnLoopback())
	if err != nil {
		return 0, err
	}
	defer a.Abandon()
	other, err := process.Start(ctx)
	if err != nil {
		return 0, err
	}
	go other.Listen(ctx, cancel, a.Take, times.fromNote)
	defer other.Wait()
	defer cancel(errors.New("side a has failed")) // ends b if it is still there
	out.Line("two processes: a is %d, b is %d", os.Getpid(), other.PID())
	out.Title("connect: ICE, DTLS, SCTP, a data channel")

	if err = a.Trickle(other.Conn.Send); err != nil {
		return 0, err
	}

	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err = a.Connect(connecting); err != nil {
		return 0, peer.CauseOr(connecting, err)
	}
	channel, err := a.SCTP.OpenDataChannel(connecting, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return 0, peer.CauseOr(connecting, err)
	}
	a.WatchChannel(channel)
	if err = peer.Await(connecting, other.Ready); err != nil {
		return 0, err
	}
	times.flush()

	out.Title("send " + screen.Amount(size) + " from a to b")
	if err = send(ctx, out, channel, size); err != nil {
		return 0, err
	}

	out.Title("close gracefully")
	closing, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
	defer closed()
	if err = a.Finish(closing); err != nil {
		return 0, peer.CauseOr(closing, err)
	}
	if err = peer.Await(closing, other.Done); err != nil {
		return 0, err
	}
	other.Wait()

	return other.Left(), nil
}

// answerOnPipes is side b, in a process of its own.
func answerOnPipes(ctx context.Context) error {
	return process.Answer(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, a *process.Parent) error {
		before := runtime.NumGoroutine() + 1 // the one that listens
		b, err := peer.New(ctx, cancel,
			peer.NewRecorder("b", func(e peer.Event) { _ = a.Note(e) }),
			webrtc.ICERoleControlled, peer.OnLoopback())
		if err != nil {
			return err
		}
		defer b.Abandon()
		go a.Listen(ctx, cancel, b.Take)
		if err = b.Trickle(a.Send); err != nil {
			return err
		}
		connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
		defer connected()
		channel, err := b.Accept(connecting)
		if err != nil {
			return peer.CauseOr(connecting, err)
		}
		if err = a.Tell(process.Report{Ready: true}); err != nil {
			return err
		}
		if _, err = receive(ctx, channel, func(int64, int64) {}); err != nil {
			return err
		}
		if err = readToEnd(ctx, channel); err != nil {
			return err
		}
		if err = b.FinishInTime(ctx); err != nil {
			return err
		}
		connected()

		return a.Tell(process.Report{Done: true, Left: peer.Leftover(ctx, before)})
	})
}
