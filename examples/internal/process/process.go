// Package process starts an example a second time. The two processes signal
// over the pipes between them, and the second one tells the first how it is.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// Report is what the second process tells beside the signaling.
type Report struct {
	Note  json.RawMessage `json:"note,omitempty"`  // whatever the program wants
	Ready bool            `json:"ready,omitempty"` // connected
	Done  bool            `json:"done,omitempty"`  // all is closed
	Left  int             `json:"left,omitempty"`  // goroutines, with Done
	Error string          `json:"error,omitempty"` // it gives up
}

// Child is the second process, as the first one sees it.
type Child struct {
	Conn *signal.Conn
	// Ready and Done are closed at the reports of these names.
	Ready, Done <-chan struct{}

	cmd         *exec.Cmd
	stdin       io.Closer
	ready, done chan struct{}
	left        int           // set before done is closed
	heard       chan struct{} // closed when Listen has returned
}

// killAfter is how long the process may take to end when its standard input
// has been closed.
const killAfter = 2 * time.Second

// Start starts this program once more, with -pipe before its arguments. It
// ends with ctx. Listen and Wait are to be called then.
func Start(ctx context.Context, args ...string) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-pipe"}, args...)...) //nolint:gosec // it is this program
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = killAfter
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// The end of its input is what the process obeys, on every system.
	cmd.Cancel = stdin.Close
	if err = cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the answering process: %w", err)
	}
	ready, done := make(chan struct{}), make(chan struct{})

	return &Child{
		Conn: signal.NewConn(stdout, stdin), Ready: ready, Done: done,
		cmd: cmd, stdin: stdin, ready: ready, done: done, heard: make(chan struct{}),
	}, nil
}

// PID is the number of the process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill ends the process without a word, as a crash would.
func (c *Child) Kill() error { return c.cmd.Process.Kill() }

// Left is how many goroutines the process has left. Read it after Done.
func (c *Child) Left() int { return c.left }

// Listen takes what the process says, to its end: signaling goes to take,
// notes go to note. If the end comes too early it cancels with the reason.
func (c *Child) Listen(
	ctx context.Context, cancel context.CancelCauseFunc,
	take func(signal.Message) error, note func(json.RawMessage) error,
) {
	defer close(c.heard)
	finished := false
	for {
		// Not bounded by ctx, with which the process ends and then its pipe:
		// what it says at its end still counts.
		m, err := c.Conn.Receive(context.WithoutCancel(ctx))
		var line *signal.LineError
		if err != nil && !errors.As(err, &line) {
			if !errors.Is(err, io.EOF) {
				cancel(fmt.Errorf("the answering process: %w", err))
			}

			break
		}
		var r Report
		if err == nil && m.App != nil {
			err = json.Unmarshal(m.App, &r)
		} else if err == nil {
			err = take(m)
		}
		if err == nil {
			finished = finished || r.Done
			err = c.use(r, note)
		}
		if err != nil {
			cancel(fmt.Errorf("the answering process: %w", err))
		}
	}
	err := c.cmd.Wait()
	if err == nil {
		err = errors.New("too early")
	}
	if !finished {
		cancel(fmt.Errorf("the answering process (%d) has ended: %w", c.PID(), err))
	}
}

// use acts on a report. Ready and Done come once, in this order.
func (c *Child) use(r Report, note func(json.RawMessage) error) error {
	if r.Note != nil {
		if err := note(r.Note); err != nil {
			return err
		}
	}
	for _, once := range []struct {
		reported bool
		at       chan struct{}
	}{{r.Ready, c.ready}, {r.Done, c.done}} {
		if !once.reported {
			continue
		}
		select {
		case <-once.at:
			return errors.New("a report came twice")
		default:
			c.left = r.Left
			close(once.at)
		}
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}

	return nil
}

// Wait returns when the process has ended and all that it said has been used.
// It tells it nothing more.
func (c *Child) Wait() {
	_ = c.stdin.Close()
	<-c.heard
}
