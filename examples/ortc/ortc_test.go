package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func TestTwoProcesses(t *testing.T) {
	p := programtest.Start(t, "-size", "4MiB")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())

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
	b := programtest.Start(t, "-answer")
	a := programtest.Start(t, "-offer", "-size", "1MiB")
	offer := a.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	assert.Less(t, len(offer), 4096, "a terminal takes no longer line")
	b.Until(t, "paste the offer")
	for _, wrong := range []string{"", "hello", "[1]", "{}", offer[:len(offer)-4], `{"type":"answer","messages":[]}`} {
		fmt.Fprintln(b.In, wrong)
		b.Until(t, "^that is .*; paste the offer here:$")
	}
	fmt.Fprintln(b.In, offer)
	answer := b.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	fmt.Fprintln(a.In, answer)

	ended := make(chan int, 1)
	go func() { ended <- b.Wait(t) }()
	assert.Equal(t, 0, a.Wait(t), "%s%s", a.Printed(), a.Errors())
	assert.Equal(t, 0, <-ended, "%s%s", b.Printed(), b.Errors())
	assert.Contains(t, a.Printed(), "the same at both ends")
	assert.Contains(t, b.Printed(), "received    1.0 MiB")
	for _, printed := range []string{a.Printed(), b.Printed()} {
		assert.Contains(t, printed, " 100 %  1.0 MiB of 1.0 MiB", "both sides show how far it is")
	}
	assert.Empty(t, a.Errors()+b.Errors())
}

func TestTheInputEndsWithoutADescription(t *testing.T) {
	for flag, kind := range map[string]string{"-offer": "answer", "-answer": "offer"} {
		p := programtest.Start(t, flag)
		fmt.Fprintln(p.In, "garbage")
		require.NoError(t, p.In.Close())
		assert.Equal(t, 1, p.Wait(t))
		assert.Equal(t, "ortc: the input has ended without an "+kind, p.Complaint(t))
	}
}

// A description that is well formed and makes no sense ends the program with
// the library's reason.
func TestADescriptionThatCannotBeUsed(t *testing.T) {
	p := programtest.Start(t, "-answer")
	fmt.Fprintln(p.In, `{"type":"offer","messages":[{"candidate":{"candidate":"candidate:1 1 udp 1 0.0.0.0 9 typ host"}}]}`)
	assert.Equal(t, 1, p.Wait(t))
	assert.Contains(t, p.Complaint(t), "0.0.0.0 is no address of a peer")
}

func TestTheAnsweringProcessDies(t *testing.T) {
	p := programtest.Start(t, "-size", "1024GiB")
	pid, err := strconv.Atoi(p.Until(t, `^two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	p.Until(t, "^send ")
	other, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, other.Kill())
	begin := time.Now()
	assert.Equal(t, 1, p.Wait(t))
	assert.Less(t, time.Since(begin), 10*time.Second)
	assert.Regexp(t, fmt.Sprintf(`^ortc: the answering process \(%d\) has ended: `, pid), p.Complaint(t))
}

func TestAnInterruptEndsBoth(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	p := programtest.Start(t, "-size", "1024GiB")
	pid, err := strconv.Atoi(p.Until(t, `^two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	p.Until(t, "^send ")
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "ortc: interrupted", p.Complaint(t))
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
		{[]string{"-size", "much"}, 2, "in B, KiB, MiB or GiB"},
		{[]string{"-size", "0"}, 2, "not a size"},
		{[]string{"-size", "-1MiB"}, 2, "not a size"},
		{[]string{"-size", "9999999999999GiB"}, 2, "not a size"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.NotContains(t, p.Errors(), "-pipe", "nothing to call by hand")
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "ortc: "), p.Complaint(t))
		}
	}
}

// Nothing but the environment makes the protocol modules log.
func TestTheEnvironmentTurnsLogsOn(t *testing.T) {
	t.Setenv("PION_LOG_DEBUG", "all")
	p := programtest.Start(t, "-size", "1KiB")
	assert.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	assert.Contains(t, p.Errors(), "ice DEBUG: ")
}
