package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func TestTwoProcessesOfWhichOneIsKilled(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	p := programtest.Start(t, "-size", "4MiB")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())

	pids := regexp.MustCompile(`two processes: a is ([0-9]+), b is ([0-9]+)\n`).FindAllStringSubmatch(printed, -1)
	require.Len(t, pids, 2)
	assert.Equal(t, pids[0][1], pids[1][1])
	assert.NotEqual(t, pids[0][2], pids[1][2], "b is another process")
	assert.Regexp(t, `the answering process \(`+pids[0][2]+`\) has ended: `, printed)
	left := regexp.MustCompile(`b has left ([12]\.[0-9]) MiB in random\.bin\.part\n`).FindStringSubmatch(printed)
	require.NotNil(t, left, printed)
	assert.Contains(t, printed, "resumes at "+left[1]+" MiB: ")
	assert.Contains(t, printed, " 100 %  4.0 MiB of 4.0 MiB")
	sums := regexp.MustCompile(`(?m)  ([0-9a-f]{64})$`).FindAllStringSubmatch(printed, -1)
	require.Len(t, sums, 3)
	assert.Equal(t, sums[0][1], sums[1][1])
	assert.Equal(t, sums[0][1], sums[2][1])
	assert.Contains(t, printed, "the same at both ends\n  goroutines left: a 0, b 0\n")
	assert.NotContains(t, printed, "\r", "no drawing where there is no terminal")
	assert.Empty(t, filesIn(t, temp), "nothing stays behind")
}

// paste runs the two sides and lets them meet.
func paste(t *testing.T, file, dir string) (sends, receives *programtest.Process) {
	t.Helper()
	receives = programtest.Start(t, "-receive", dir)
	sends = programtest.Start(t, "-send", file)
	offer := sends.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	receives.Until(t, "paste the offer")
	fmt.Fprintln(receives.In, "hello")
	receives.Until(t, "^that is neither base64 nor JSON; paste the offer here:$")
	fmt.Fprintln(receives.In, offer)
	answer := receives.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	fmt.Fprintln(sends.In, answer)

	return sends, receives
}

func waitBoth(t *testing.T, a, b *programtest.Process) (codeA, codeB int) {
	t.Helper()
	ended := make(chan int, 1)
	go func() { ended <- b.Wait(t) }()
	codeA = a.Wait(t)

	return codeA, <-ended
}

func TestTwoTerminals(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	content := strings.Repeat("0123456789", 100_000)
	file := filepath.Join(from, "a file.txt")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(to, "a file.txt.part"), []byte(content[:300_000]), 0o600))

	a, b := paste(t, file, to)
	codeA, codeB := waitBoth(t, a, b)
	require.Equal(t, 0, codeA, "%s%s", a.Printed(), a.Errors())
	require.Equal(t, 0, codeB, "%s%s", b.Printed(), b.Errors())
	assert.Contains(t, a.Printed(), "resumes at 293.0 KiB")
	assert.Contains(t, b.Printed(), `"a file.txt", 976.6 KiB; 293.0 KiB are there already`)
	assert.Contains(t, b.Printed(), "received, sha-256 "+sumOf(content))
	assert.Equal(t, map[string]string{"a file.txt": content}, filesIn(t, to))

	// Once more, and then with other content: nothing is overwritten.
	a, b = paste(t, file, to)
	codeA, codeB = waitBoth(t, a, b)
	assert.Equal(t, 0, codeA+codeB, a.Errors()+b.Errors())
	require.NoError(t, os.WriteFile(file, []byte("other"), 0o600))
	a, b = paste(t, file, to)
	codeA, codeB = waitBoth(t, a, b)
	assert.Equal(t, 1, codeA)
	assert.Equal(t, 1, codeB)
	assert.Equal(t, `filetransfer: "a file.txt" is there already, with other content`, b.Complaint(t))
	assert.Contains(t, a.Complaint(t), `filetransfer: the other side: "\"a file.txt\" is there already`)
	assert.Equal(t, map[string]string{"a file.txt": content}, filesIn(t, to))
}

// sparse is a file that takes long to send and little to make.
func sparse(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zeros")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 64<<20))

	return path
}

func TestAnInterruptIsToldToTheOtherSide(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	t.Parallel()
	file := sparse(t)
	for _, sender := range []bool{true, false} {
		to := t.TempDir()
		a, b := paste(t, file, to)
		b.Until(t, "there already")
		interrupted, other := b, a
		if sender {
			interrupted, other = a, b
		}
		require.NoError(t, interrupted.Interrupt())
		codeA, codeB := waitBoth(t, a, b)
		assert.Equal(t, 1, codeA)
		assert.Equal(t, 1, codeB)
		assert.Equal(t, "filetransfer: interrupted", interrupted.Complaint(t))
		assert.Equal(t, `filetransfer: the other side: "interrupted"`, other.Complaint(t))
		files := filesIn(t, to)
		assert.NotContains(t, files, "zeros")
		if len(files) > 0 {
			assert.Contains(t, b.Printed(), `are in "zeros.part": run both sides again to go on`)
		}
	}
}

// Nothing tells of a process that is killed but its silence.
func TestAKilledPeerBetweenTwoTerminals(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	a, b := paste(t, sparse(t), to)
	b.Until(t, "there already")
	require.NoError(t, b.Kill())
	assert.Equal(t, 1, a.Wait(t))
	assert.Equal(t, "filetransfer: the peer has gone silent", a.Complaint(t))
	b.Wait(t)
	assert.NotContains(t, filesIn(t, to), "zeros")
}

func TestAnInterruptEndsBothProcesses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := programtest.Start(t, "-size", "64MiB")
	pid, err := strconv.Atoi(p.Until(t, `two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "filetransfer: interrupted", p.Complaint(t))
	other, err := os.FindProcess(pid)
	require.NoError(t, err)
	assert.ErrorIs(t, other.Signal(os.Interrupt), os.ErrProcessDone, "side b has ended too")
	assert.Empty(t, filesIn(t, temp), "nothing stays behind")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: filetransfer [-size SIZE]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"file.txt"}, 2, `unexpected argument "file.txt"`},
		{[]string{"-send", "x", "-receive", "."}, 2, "exclude each other"},
		{[]string{"-send", ""}, 2, "-send needs a path"},
		{[]string{"-receive", ""}, 2, "-receive needs a path"},
		{[]string{"-receive", ".", "-size", "1MiB"}, 2, "-size goes with the two processes"},
		{[]string{"-size", "much"}, 2, "in B, KiB, MiB or GiB"},
		{[]string{"-size", "1KiB"}, 2, "at least 512.0 KiB"},
		{[]string{"-send", missing}, 1, "missing"},
		{[]string{"-send", "."}, 1, "refused"},
		{[]string{"-receive", missing}, 1, "missing"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.NotContains(t, p.Errors(), "-pipe", "nothing to call by hand")
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "filetransfer: "), p.Errors())
		}
	}
}
