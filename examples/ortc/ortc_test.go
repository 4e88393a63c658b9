package main

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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program is the example, built once for all tests.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ortc")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)

			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "ortc")
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)

			return 1
		}

		return m.Run()
	}())
}

// limit bounds every run of the program.
const limit = 60 * time.Second

// process is a run of the program with its pipes in the test's hands.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	stderr  bytes.Buffer
	printed strings.Builder
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())

	return p
}

// until reads lines up to one that matches, and returns the match.
func (p *process) until(t *testing.T, pattern string) []string {
	t.Helper()
	matching := regexp.MustCompile(pattern)
	for p.out.Scan() {
		fmt.Fprintln(&p.printed, p.out.Text())
		if match := matching.FindStringSubmatch(p.out.Text()); match != nil {
			return match
		}
	}
	require.Fail(t, "not printed", "%s in\n%s%s", pattern, p.printed.String(), p.stderr.String())

	return nil
}

// wait reads to the end and returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	for p.out.Scan() {
		fmt.Fprintln(&p.printed, p.out.Text())
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}

	return p.cmd.ProcessState.ExitCode()
}

// complaint is what stood on the standard error, which has to be one line.
func (p *process) complaint(t *testing.T) string {
	t.Helper()
	text := p.stderr.String()
	assert.Equal(t, 1, strings.Count(text, "\n"), "one line: %q", text)

	return strings.TrimSpace(text)
}

func TestTwoProcesses(t *testing.T) {
	p := start(t, "-size", "4MiB")
	code := p.wait(t)
	printed := p.printed.String()
	require.Equal(t, 0, code, "%s%s", printed, p.stderr.String())
	assert.Empty(t, p.stderr.String())

	// Every state of every layer, on both sides, in the order of the layers.
	for _, side := range []string{"a", "b"} {
		from := 0
		for _, state := range []string{
			"ice   checking", "ice   connected", "dtls  connecting", "dtls  connected",
			"sctp  connecting", "sctp  connected", `data  open, "file"`, "ice   closed",
		} {
			at := strings.Index(printed[from:], " ms  "+side+"  "+state+"\n")
			require.GreaterOrEqual(t, at, 0, "%s %s in\n%s", side, state, printed)
			from += at
		}
		for _, layer := range []string{"data", "sctp", "dtls", "ice "} {
			assert.Contains(t, printed, "  "+side+"  "+layer+"  closed\n")
		}
	}
	// Both time lines are merged.
	parts := strings.Split(printed, "\n\n")
	last := 0.0
	for _, line := range regexp.MustCompile(`(?m)^ *([0-9.]+) ms  [ab]  `).FindAllStringSubmatch(parts[1], -1) {
		at, err := strconv.ParseFloat(line[1], 64)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, at, last)
		last = at
	}
	assert.Positive(t, last)

	sums := regexp.MustCompile(`[ab]  ([0-9a-f]{64})\n`).FindAllStringSubmatch(printed, -1)
	require.Len(t, sums, 2)
	assert.Equal(t, sums[0][1], sums[1][1])
	assert.Regexp(t, `sent        4\.0 MiB in [0-9.]+ s, [0-9.]+ MiB/s`, printed)
	assert.Contains(t, printed, " 100 %  4.0 MiB of 4.0 MiB")
	assert.NotContains(t, printed, "\r", "no drawing where there is no terminal")
	assert.Contains(t, printed, "goroutines left: a 0, b 0\n")
	for _, layer := range []string{"ice ", "dtls", "sctp"} {
		assert.Regexp(t, "(?m)^  "+layer+`  returned after [3-5][0-9]{2}\.[0-9] ms, goroutines left: 0\n`+
			"        webrtc: "+strings.TrimSpace(layer)+" start: context deadline exceeded: the peer has not answered", printed)
	}
}

func TestTwoTerminals(t *testing.T) {
	b := start(t, "-answer")
	a := start(t, "-offer", "-size", "1MiB")
	offer := a.until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	assert.Less(t, len(offer), 4096, "a terminal takes no longer line")
	b.until(t, "paste the offer")
	for _, wrong := range []string{"", "hello", "[1]", "{}", offer[:len(offer)-4], `{"type":"answer","messages":[]}`} {
		fmt.Fprintln(b.in, wrong)
		b.until(t, "^that is .*; paste the offer here:$")
	}
	fmt.Fprintln(b.in, offer)
	answer := b.until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	fmt.Fprintln(a.in, answer)

	ended := make(chan int, 1)
	go func() { ended <- b.wait(t) }()
	assert.Equal(t, 0, a.wait(t), "%s%s", &a.printed, &a.stderr)
	assert.Equal(t, 0, <-ended, "%s%s", &b.printed, &b.stderr)
	assert.Contains(t, a.printed.String(), "the same at both ends")
	assert.Contains(t, b.printed.String(), "received    1.0 MiB")
	for _, printed := range []string{a.printed.String(), b.printed.String()} {
		assert.Contains(t, printed, " 100 %  1.0 MiB of 1.0 MiB", "both sides show how far it is")
	}
	assert.Empty(t, a.stderr.String()+b.stderr.String())
}

func TestTheInputEndsWithoutADescription(t *testing.T) {
	for flag, kind := range map[string]string{"-offer": "answer", "-answer": "offer"} {
		p := start(t, flag)
		fmt.Fprintln(p.in, "garbage")
		require.NoError(t, p.in.Close())
		assert.Equal(t, 1, p.wait(t))
		assert.Equal(t, "ortc: the input has ended without an "+kind, p.complaint(t))
	}
}

// A description that is well formed and makes no sense ends the program with
// the library's reason.
func TestADescriptionThatCannotBeUsed(t *testing.T) {
	p := start(t, "-answer")
	fmt.Fprintln(p.in, `{"type":"offer","messages":[{"candidate":{"candidate":"candidate:1 1 udp 1 0.0.0.0 9 typ host"}}]}`)
	assert.Equal(t, 1, p.wait(t))
	assert.Contains(t, p.complaint(t), "0.0.0.0 is no address of a peer")
}

func TestTheAnsweringProcessDies(t *testing.T) {
	p := start(t, "-size", "1024GiB")
	pid, err := strconv.Atoi(p.until(t, `^two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	p.until(t, "^send ")
	other, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, other.Kill())
	begin := time.Now()
	assert.Equal(t, 1, p.wait(t))
	assert.Less(t, time.Since(begin), 10*time.Second)
	assert.Regexp(t, fmt.Sprintf(`^ortc: the answering process \(%d\) has ended: `, pid), p.complaint(t))
}

func TestAnInterruptEndsBoth(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	p := start(t, "-size", "1024GiB")
	pid, err := strconv.Atoi(p.until(t, `^two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	p.until(t, "^send ")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 1, p.wait(t))
	assert.Equal(t, "ortc: interrupted", p.complaint(t))
	other, err := os.FindProcess(pid)
	require.NoError(t, err)
	assert.ErrorIs(t, other.Signal(os.Interrupt), os.ErrProcessDone, "side b has ended too")
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: ortc [-size SIZE]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"file.txt"}, 2, `unexpected argument "file.txt"`},
		{[]string{"-offer", "-answer"}, 2, "exclude each other"},
		{[]string{"-answer", "-size", "1MiB"}, 2, "-size goes with the side that sends"},
		{[]string{"-pipe", "-size", "1MiB"}, 2, "-size goes with the side that sends"},
		{[]string{"-size", "much"}, 2, "in B, KiB, MiB or GiB"},
		{[]string{"-size", "0"}, 2, "not a size"},
		{[]string{"-size", "-1MiB"}, 2, "not a size"},
		{[]string{"-size", "9999999999999GiB"}, 2, "not a size"},
	} {
		p := start(t, tc.args...)
		assert.Equal(t, tc.code, p.wait(t), "%v", tc.args)
		assert.Contains(t, p.stderr.String(), tc.stderr)
		assert.NotContains(t, p.stderr.String(), "-pipe", "nothing to call by hand")
		assert.Empty(t, p.printed.String())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.complaint(t), "ortc: "), p.complaint(t))
		}
	}
}

// Nothing but the environment makes the protocol modules log.
func TestTheEnvironmentTurnsLogsOn(t *testing.T) {
	t.Setenv("PION_LOG_DEBUG", "all")
	p := start(t, "-size", "1KiB")
	assert.Equal(t, 0, p.wait(t), "%s%s", &p.printed, &p.stderr)
	assert.Contains(t, p.stderr.String(), "ice DEBUG: ")
}

func TestSizes(t *testing.T) {
	for text, bytes := range map[string]int64{
		"1": 1, "7B": 7, "2KiB": 2048, "64MiB": 64 << 20, "64 MiB": 64 << 20, "1GiB": 1 << 30,
	} {
		got, err := parseSize(text)
		require.NoError(t, err)
		require.Equal(t, bytes, got)
	}
}
