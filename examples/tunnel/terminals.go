package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// listenOnPaste is the end that listens, between two terminals.
func listenOnPaste(ctx context.Context, show *screen.Screen, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// First of all: an address that cannot be had needs no peer.
	from, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer from.Close()
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	// The connection outlives an interrupt, to close gracefully.
	a, err := peer.NewPasting(context.WithoutCancel(ctx), cancel, peer.Silent(), webrtc.ICERoleControlling)
	if err != nil {
		return err
	}
	defer a.Abandon()
	prompt := "run tunnel -connect ADDRESS in another terminal on this machine and give it this line:"
	if err = a.Print(ctx, show, "offer", prompt); err != nil {
		return err
	}
	if err = a.Read(ctx, show, lines, "answer"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err = a.Connect(connecting); err != nil {
		return peer.CauseOr(connecting, err)
	}
	show.Line("%s goes to the other side; an interrupt ends this", from.Addr())

	return end(ctx, show, a, forward(ctx, from, a.SCTP, sayOn(show)))
}

// connectOnPaste is the end that connects, between two terminals.
func connectOnPaste(ctx context.Context, show *screen.Screen, address string) error {
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
	if err = b.Connect(connecting); err != nil {
		return peer.CauseOr(connecting, err)
	}
	show.Line("what the other side takes goes to %s; an interrupt ends this", address)

	return end(ctx, show, b, connectTo(ctx, address, b.SCTP, sayOn(show)))
}

// end closes gracefully after the reason that the tunnel has ended with. The
// other side's graceful close is no error.
func end(ctx context.Context, show *screen.Screen, p *peer.Peer, reason error) error {
	if errors.Is(reason, io.EOF) {
		show.Line("the other side has closed")
		reason = nil
	}
	if errors.Is(reason, peer.ErrSilent) {
		return reason
	}

	return errors.Join(reason, p.FinishInTime(context.WithoutCancel(ctx)))
}

func sayOn(show *screen.Screen) func(string) {
	return func(line string) { show.Line("  %s", line) }
}
