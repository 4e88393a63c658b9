package main

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

// report is what the answering process tells beside the signaling.
type report struct {
	Event *event `json:"event,omitempty"`
	Ready bool   `json:"ready,omitempty"` // the channel is accepted
	Done  bool   `json:"done,omitempty"`  // all is closed
	Left  int    `json:"left,omitempty"`  // goroutines, with Done
	Error string `json:"error,omitempty"` // it gives up
}

func sendReport(conn *signal.Conn, r report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}

	return conn.Send(signal.Message{App: text})
}

// answering is the process of side b, as side a sees it.
type answering struct {
	cmd   *exec.Cmd
	conn  *signal.Conn
	stdin io.Closer

	ready, done chan struct{} // closed at the reports of these names
	left        int           // set before done is closed
	heard       chan struct{} // closed when listen has returned
}

// killAfter is how long the process may take to end when its standard input
// has been closed.
const killAfter = 2 * time.Second

// startAnswering starts this program once more. It ends with ctx.
func startAnswering(ctx context.Context) (*answering, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-pipe") //nolint:gosec // it is this program
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

	return &answering{
		cmd: cmd, conn: signal.NewConn(stdout, stdin), stdin: stdin,
		ready: make(chan struct{}), done: make(chan struct{}), heard: make(chan struct{}),
	}, nil
}

func (o *answering) pid() int { return o.cmd.Process.Pid }

// listen takes what the process says, to its end. If that comes too early it
// cancels with the reason.
func (o *answering) listen(ctx context.Context, cancel context.CancelCauseFunc, a *peer, times *timeline) {
	defer close(o.heard)
	finished := false
	for {
		// Not bounded by ctx, with which the process ends and then its pipe:
		// what it says at its end is for the time line.
		m, err := o.conn.Receive(context.WithoutCancel(ctx))
		if errors.Is(err, io.EOF) {
			break
		}
		var r report
		if err == nil && m.App != nil {
			err = json.Unmarshal(m.App, &r)
		} else if err == nil {
			err = a.take(m)
		}
		if err == nil {
			finished = finished || r.Done
			err = o.use(r, times)
		}
		if err != nil {
			cancel(fmt.Errorf("the answering process: %w", err))
		}
	}
	err := o.cmd.Wait()
	if err == nil {
		err = errors.New("too early")
	}
	if !finished {
		cancel(fmt.Errorf("the answering process (%d) has ended: %w", o.pid(), err))
	}
}

// use acts on a report. Ready and Done come once, in this order.
func (o *answering) use(r report, times *timeline) error {
	if r.Event != nil {
		times.add(*r.Event)
	}
	for _, once := range []struct {
		reported bool
		at       chan struct{}
	}{{r.Ready, o.ready}, {r.Done, o.done}} {
		if !once.reported {
			continue
		}
		select {
		case <-once.at:
			return errors.New("a report came twice")
		default:
			o.left = r.Left
			close(once.at)
		}
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}

	return nil
}

// wait returns when the process has ended and all that it said has been used.
func (o *answering) wait() {
	_ = o.stdin.Close() // nothing more to tell it
	<-o.heard
}
