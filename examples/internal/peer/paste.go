package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// PasteTime is how long the other side may take to paste the answer. The
// answering side begins its checks without knowing when that will be.
const PasteTime = 5 * time.Minute

var ErrPasteTime = fmt.Errorf("nobody has connected within %v", PasteTime)

// NewPasting is a peer on loopback whose ICE does not give up while somebody
// moves text from one terminal to the other.
func NewPasting(ctx context.Context, cancel context.CancelCauseFunc, r *Recorder, role webrtc.ICERole) (*Peer, error) {
	settings := OnLoopback()
	settings.ICE.FailedTimeout = PasteTime

	return New(ctx, cancel, r, role, settings)
}

// Print gathers and shows the whole description as one line.
func (p *Peer) Print(ctx context.Context, out *screen.Screen, kind, prompt string) error {
	messages, err := p.Describe(ctx)
	if err != nil {
		return err
	}
	// The events of gathering are told in order with the states, and the line
	// belongs below them.
	if err = p.Await(ctx, "ice", gatheringComplete); err != nil {
		return err
	}
	line, err := signal.Description{Type: kind, Messages: messages}.Format()
	if err != nil {
		return err
	}
	out.Title(prompt)
	out.Line("%s\n", line)

	return nil
}

// Read takes the other side's description. Somebody who has pasted the wrong
// thing can try again.
func (p *Peer) Read(ctx context.Context, out *screen.Screen, lines *signal.Lines, kind string) error {
	out.Line("paste the %s here:", kind)
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
			return p.TakeAll(description.Messages)
		}
		out.Line("that is %v; paste the %s here:", err, kind)
	}
}
