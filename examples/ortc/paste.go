package main

import (
	"context"
	"os"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// recorder prints the events of one side as they happen.
func recorder(out *screen.Screen, side string) *peer.Recorder {
	return peer.NewRecorder(side, newTimeline(out, 0).add)
}

// offerOnPaste is side a between two terminals.
func offerOnPaste(ctx context.Context, out *screen.Screen, size int64) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	a, err := peer.NewPasting(ctx, cancel, recorder(out, "a"), webrtc.ICERoleControlling)
	if err != nil {
		return err
	}
	defer a.Abandon()
	if err = a.Print(ctx, out, "offer", "run ortc -answer in another terminal on this machine and give it this line:"); err != nil {
		return err
	}
	if err = a.Read(ctx, out, lines, "answer"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err = a.Connect(connecting); err != nil {
		return peer.CauseOr(connecting, err)
	}
	channel, err := a.SCTP.OpenDataChannel(connecting, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return peer.CauseOr(connecting, err)
	}
	a.WatchChannel(channel)
	out.Title("send " + screen.Amount(size))
	if err = send(ctx, out, channel, size); err != nil {
		return peer.CauseOr(ctx, err)
	}
	out.Title("close gracefully")

	return a.FinishInTime(ctx)
}

// answerOnPaste is side b between two terminals.
func answerOnPaste(ctx context.Context, out *screen.Screen) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	b, err := peer.NewPasting(ctx, cancel, recorder(out, "b"), webrtc.ICERoleControlled)
	if err != nil {
		return err
	}
	defer b.Abandon()
	if err = b.Read(ctx, out, lines, "offer"); err != nil {
		return err
	}
	if err = b.Print(ctx, out, "answer", "give this line to the other terminal:"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, peer.PasteTime, peer.ErrPasteTime)
	defer connected()
	channel, err := b.Accept(connecting)
	if err != nil {
		return peer.CauseOr(connecting, err)
	}
	out.Title("receive")
	var bar *screen.Progress
	got, err := receive(ctx, channel, func(done, total int64) {
		if bar == nil {
			bar = screen.NewProgress(out, 0, total)
		}
		bar.At(done)
	})
	if err != nil {
		return peer.CauseOr(ctx, err)
	}
	out.Line("  received    %s", screen.Amount(got.Bytes))
	out.Line("  sha-256  b  %s", got.SHA256)
	out.Line("  the same at both ends")
	out.Title("close gracefully")
	if err = readToEnd(ctx, channel); err != nil {
		return peer.CauseOr(ctx, err)
	}

	return b.FinishInTime(ctx)
}
