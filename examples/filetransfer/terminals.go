package main

import (
	"context"
	"os"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// sendOnPaste is the side that sends, between two terminals.
func sendOnPaste(ctx context.Context, show *screen.Screen, path string) error {
	file, err := openOutgoing(ctx, path)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	// The connection outlives an interrupt, to tell the other side of it.
	a, err := peer.NewPasting(context.WithoutCancel(ctx), cancel, peer.Silent(), webrtc.ICERoleControlling)
	if err != nil {
		return err
	}
	defer a.Abandon()
	show.Line("%q, %s, sha-256 %s", file.Name, screen.Amount(file.Size), file.SHA256)
	prompt := "run filetransfer -receive DIR in another terminal on this machine and give it this line:"
	if err = a.Print(ctx, show, "offer", prompt); err != nil {
		return err
	}
	if err = a.Read(ctx, show, lines, "answer"); err != nil {
		return err
	}
	channel, err := openChannel(ctx, a)
	if err != nil {
		return err
	}
	result, err := file.send(ctx, show, channel)
	if err != nil {
		giveUp(ctx, channel, err)

		return err
	}
	show.Line("  sent in %.2f s, %s", result.took.Seconds(), screen.Rate(file.Size-result.resumed, result.took))

	return a.FinishInTime(ctx)
}

// openChannel connects, and opens the channel.
func openChannel(ctx context.Context, a *peer.Peer) (*webrtc.DataChannel, error) {
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err := a.Connect(connecting); err != nil {
		return nil, peer.CauseOr(connecting, err)
	}
	channel, err := a.SCTP.OpenDataChannel(connecting, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return nil, peer.CauseOr(connecting, err)
	}

	return channel, nil
}

// receiveOnPaste is the side that receives, between two terminals.
func receiveOnPaste(ctx context.Context, show *screen.Screen, dir string) error {
	folder, err := openStore(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	b, err := peer.NewPasting(context.WithoutCancel(ctx), cancel, peer.Silent(), webrtc.ICERoleControlled)
	if err != nil {
		return err
	}
	defer b.Abandon()
	if err = b.Read(ctx, show, lines, "offer"); err != nil {
		return err
	}
	if err = b.Print(ctx, show, "answer", "give this line to the other terminal:"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, peer.PasteTime, peer.ErrPasteTime)
	defer connected()
	channel, err := b.Accept(connecting)
	if err != nil {
		return peer.CauseOr(connecting, err)
	}
	var bar *screen.Progress
	got, err := folder.receive(ctx, channel, func(r received) {
		if bar == nil {
			show.Line("%q, %s; %s are there already", r.Name, screen.Amount(r.Size), screen.Amount(r.resumed))
			bar = screen.NewProgress(show, r.resumed, r.Size)
		}
		bar.At(r.now)
	})
	if err != nil {
		show.End()
		if got.now > 0 {
			show.Line("  %s are in %q: run both sides again to go on", screen.Amount(got.now), got.Name+partSuffix)
		}
		giveUp(ctx, channel, err)

		return err
	}
	if err = readToEnd(ctx, channel); err != nil {
		return peer.CauseOr(ctx, err)
	}
	show.Line("  received, sha-256 %s", got.SHA256)

	return b.FinishInTime(ctx)
}
