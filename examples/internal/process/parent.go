package process

import (
	"context"
	"encoding/json"
	"os"

	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// Parent is the first process, as the second one sees it.
type Parent struct{ *signal.Conn }

// Answer is the second process: it runs the program with its standard input
// and output as the way to the first one. An error is reported.
func Answer(
	ctx context.Context, run func(ctx context.Context, cancel context.CancelCauseFunc, parent *Parent) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parent := &Parent{signal.NewConn(os.Stdin, os.Stdout)}
	err := run(ctx, cancel, parent)
	if err != nil {
		// When the context has ended, its cause says more than what it broke.
		err = peer.CauseOr(ctx, err)
		_ = parent.Tell(Report{Error: err.Error()})
	}

	return err
}

// Tell sends a report.
func (p *Parent) Tell(r Report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}

	return p.Send(signal.Message{App: text})
}

// Note reports whatever the program wants.
func (p *Parent) Note(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}

	return p.Tell(Report{Note: text})
}

// Listen takes the first process's messages until that closes the pipe, and
// cancels then: the second process lives no longer than the first.
func (p *Parent) Listen(ctx context.Context, cancel context.CancelCauseFunc, take func(signal.Message) error) {
	for {
		m, err := p.Receive(ctx)
		if err == nil {
			err = take(m)
		}
		if err != nil {
			cancel(err)

			return
		}
	}
}
