package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/netns"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

// order is what the outer process tells the inner one to do.
type order struct {
	Scenario, Prefix, Dir, Pattern, Direction string
	// From is the first task, by number.
	From int
	// Fast leaves out the defects of peers, Verbose shows what peers print.
	Fast, Verbose bool
}

// report is a line of the inner process.
type report struct {
	// Begin says which task is tried now.
	Begin *int
	Row   *table.Row
}

// outside runs one scenario: it makes the network, has an inner process do the
// tasks in it, and removes the network. If the inner process dies, which would be
// a panic of the library, the task is noted and another process does the rest.
func outside(ctx context.Context, c choice, number string, s *scenario, found *findings) {
	set := netns.New(number)
	defer func() {
		if err := set.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
	}()
	if err := s.network(set); err != nil {
		found.add(table.Row{
			Peer: s.name, Case: "network", Direction: "-", Outcome: table.Skipped, Note: err.Error(),
		})

		return
	}
	tasks := s.tasks(c.pattern, c.direction, c.fast)
	for from := 0; from < len(tasks) && ctx.Err() == nil; {
		o := order{
			Scenario: s.name, Prefix: set.Prefix(), Dir: c.dir, Pattern: c.pattern, Direction: c.direction,
			From: from, Fast: c.fast, Verbose: c.verbose,
		}
		last, err := inner(ctx, set, o, found)
		if err == nil || ctx.Err() != nil {
			return
		}
		at := max(last, from)
		found.add(table.Row{
			Peer: s.name, Case: tasks[at].Name, Direction: tasks[at].direction, Outcome: table.Failed,
			Note: "our side has died: " + err.Error(),
		})
		from = at + 1
	}
}

// inner runs the inner process, and returns the task that it has begun last.
func inner(ctx context.Context, set *netns.Set, o order, found *findings) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return -1, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return -1, err
	}
	argv := set.Command("us", self, "-inside", string(text))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// Not in the group of the keyboard's signals: the outer process decides.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// Its end tells the inner process that the outer one has died.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return -1, err
	}
	defer stdin.Close() // it has ended by then
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return -1, err
	}
	if err := cmd.Start(); err != nil {
		return -1, err
	}
	last := -1
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintf(os.Stderr, "lab: %s\n", lines.Bytes())

			continue
		}
		if r.Begin != nil {
			last = *r.Begin
		}
		if r.Row != nil {
			found.add(*r.Row)
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if err != nil || found.verbose {
		_, _ = os.Stderr.Write(stderr.Bytes())
	}
	if err != nil {
		// Of a panic the first line tells what it was.
		for line := range strings.Lines(stderr.String()) {
			if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
				err = fmt.Errorf("%w: %s", err, strings.TrimSpace(line))

				break
			}
		}
	}

	return last, err
}
