package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// pasteTime is how long the other side may take to paste the answer. The
// answering side begins its checks without knowing when that will be.
const pasteTime = 5 * time.Minute

var errPasteTime = fmt.Errorf("nobody has connected within %v", pasteTime)

// pastePeer is a peer whose ICE does not give up while somebody moves text
// from one terminal to the other.
func pastePeer(
	ctx context.Context, cancel context.CancelCauseFunc, out *screen, side string, role webrtc.ICERole,
) (*peer, error) {
	settings := onLoopback()
	settings.ICE.FailedTimeout = pasteTime

	return newPeer(ctx, cancel, newRecorder(side, newTimeline(out, 0).add), role, settings)
}

// offerOnPaste is side a between two terminals.
func offerOnPaste(ctx context.Context, out *screen, size int64) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	a, err := pastePeer(ctx, cancel, out, "a", webrtc.ICERoleControlling)
	if err != nil {
		return err
	}
	defer a.abandon()
	if err = a.print(ctx, out, "offer", "run ortc -answer in another terminal on this machine and give it this line:"); err != nil {
		return err
	}
	if err = a.read(ctx, out, lines, "answer"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, connectTime, errConnectTime)
	defer connected()
	if err = a.connect(connecting); err != nil {
		return causeOr(connecting, err)
	}
	channel, err := a.sctp.OpenDataChannel(connecting, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return causeOr(connecting, err)
	}
	a.watchChannel(channel)
	out.title("send " + amount(size))
	if err = send(ctx, out, channel, size); err != nil {
		return causeOr(ctx, err)
	}
	out.title("close gracefully")

	return a.finishIn(ctx)
}

// answerOnPaste is side b between two terminals.
func answerOnPaste(ctx context.Context, out *screen) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := signal.NewLines(os.Stdin)
	defer lines.Close()
	b, err := pastePeer(ctx, cancel, out, "b", webrtc.ICERoleControlled)
	if err != nil {
		return err
	}
	defer b.abandon()
	if err = b.read(ctx, out, lines, "offer"); err != nil {
		return err
	}
	if err = b.print(ctx, out, "answer", "give this line to the other terminal:"); err != nil {
		return err
	}
	connecting, connected := context.WithTimeoutCause(ctx, pasteTime, errPasteTime)
	defer connected()
	channel, err := b.accept(connecting)
	if err != nil {
		return causeOr(connecting, err)
	}
	out.title("receive")
	var bar *progress
	got, err := receive(ctx, channel, func(done, total int64) {
		if bar == nil {
			bar = newProgress(out, total)
		}
		bar.at(done)
	})
	if err != nil {
		return causeOr(ctx, err)
	}
	out.line("  received    %s", amount(got.Bytes))
	out.line("  sha-256  b  %s", got.SHA256)
	out.line("  the same at both ends")
	out.title("close gracefully")
	if err = readToEnd(ctx, channel); err != nil {
		return causeOr(ctx, err)
	}

	return b.finishIn(ctx)
}

func (p *peer) finishIn(ctx context.Context) error {
	closing, closed := context.WithTimeoutCause(ctx, closeTime, errCloseTime)
	defer closed()
	if err := p.finish(closing); err != nil {
		return causeOr(closing, err)
	}

	return nil
}

// print gathers and shows the whole description as one line.
func (p *peer) print(ctx context.Context, out *screen, kind, prompt string) error {
	messages, err := p.describe(ctx)
	if err != nil {
		return err
	}
	// The events of gathering are told in order with the states, and the line
	// belongs below them.
	if err = p.await(ctx, "ice", gatheringComplete); err != nil {
		return err
	}
	line, err := signal.Description{Type: kind, Messages: messages}.Format()
	if err != nil {
		return err
	}
	out.title(prompt)
	out.line("%s\n", line)

	return nil
}

// read takes the other side's description. Somebody who has pasted the wrong
// thing can try again.
func (p *peer) read(ctx context.Context, out *screen, lines *signal.Lines, kind string) error {
	out.line("paste the %s here:", kind)
	for {
		line, err := lines.Next(ctx)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the input has ended without an %s", kind)
		}
		if err != nil {
			return err
		}
		description, err := signal.ParseDescription(line, kind)
		if err == nil {
			return p.takeAll(description.Messages)
		}
		out.line("that is %v; paste the %s here:", err, kind)
	}
}
