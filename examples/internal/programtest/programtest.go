// Package programtest runs an example as somebody at a terminal would, with
// its pipes in a test's hands.
package programtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// T is the part of *testing.T that is used here.
type T interface {
	Helper()
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// limit bounds every run of a program.
const limit = 60 * time.Second

var program string

// Main is for TestMain: it builds the program of the present folder once for
// all tests, runs them, and returns the exit code.
func Main(run func() int) int { return MainOf(".", run) }

// MainOf is Main for the program of another folder. That may be part of another
// module than the test.
func MainOf(folder string, run func() int) int {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "example")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)

		return 1
	}

	return run()
}

// Process is a run of the program.
type Process struct {
	In io.WriteCloser // its standard input

	cmd     *exec.Cmd
	out     *bufio.Scanner
	stderr  bytes.Buffer
	printed strings.Builder
}

// Start starts the program. It is killed when the test ends.
func Start(t T, args ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	p := &Process{cmd: exec.CommandContext(ctx, program, args...)} //nolint:gosec // it is the example
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.In, p.out = in, bufio.NewScanner(out)
	if err = p.cmd.Start(); err != nil {
		t.Fatalf("%v", err)
	}

	return p
}

// Until reads lines up to one that matches, and returns the match.
func (p *Process) Until(t T, pattern string) []string {
	t.Helper()
	matching := regexp.MustCompile(pattern)
	for p.out.Scan() {
		fmt.Fprintln(&p.printed, p.out.Text())
		if match := matching.FindStringSubmatch(p.out.Text()); match != nil {
			return match
		}
	}
	t.Fatalf("%s is not printed in\n%s%s", pattern, p.printed.String(), p.stderr.String())

	return nil
}

// Wait reads to the end and returns the exit code. It may run beside the test.
func (p *Process) Wait(t T) int {
	t.Helper()
	for p.out.Scan() {
		fmt.Fprintln(&p.printed, p.out.Text())
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%v", err)
	}

	return p.cmd.ProcessState.ExitCode()
}

// Interrupt is what ctrl-C sends.
func (p *Process) Interrupt() error { return p.cmd.Process.Signal(os.Interrupt) }

// Kill ends the program without a word.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }

// Printed is what has been read of the standard output.
func (p *Process) Printed() string { return p.printed.String() }

// Errors is what stood on the standard error. Call it after Wait.
func (p *Process) Errors() string { return p.stderr.String() }

// Complaint is what stood on the standard error, which has to be one line.
func (p *Process) Complaint(t T) string {
	t.Helper()
	text := p.stderr.String()
	if strings.Count(text, "\n") != 1 {
		t.Errorf("not one line: %q", text)
	}

	return strings.TrimSpace(text)
}
