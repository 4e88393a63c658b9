package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary is the peer, too: the variable tells how it behaves.
const behavior = "INTEROP_TEST_PEER"

func TestMain(m *testing.M) {
	if how := os.Getenv(behavior); how != "" {
		os.Exit(behave(how))
	}
	os.Exit(m.Run())
}

func behave(how string) int {
	if how == "silent" {
		select {}
	}
	fmt.Println(`{"event":"ready","version":"test 1"}`)
	lines := bufio.NewScanner(os.Stdin)
	for id := 1; lines.Scan(); id++ {
		switch how {
		case "echoes":
			fmt.Printf(`{"event":"open","label":"%d"}`+"\n"+`{"id":%d,"sdp":"hello"}`+"\n", id, id)
		case "refuses":
			fmt.Printf(`{"id":%d,"error":"no"}`+"\n", id)
		case "dies":
			fmt.Fprintln(os.Stderr, "out of cheese")

			return 7
		case "ends":
			return 0
		case "garbage":
			fmt.Println("Segmentation fault")
		case "endless":
			fmt.Println(strings.Repeat("x", maxLine+1))
		case "number":
			fmt.Println("17")
		case "hangs":
		case "child":
			// What holds the peer's pipes open has to go with it.
			cmd := exec.Command("sleep", "1000")
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if cmd.Start() == nil {
				fmt.Printf(`{"id":%d,"sdp":"%d"}`+"\n", id, cmd.Process.Pid)
			}
		}
	}
	if how == "hangs" {
		select {}
	}

	return 0
}

func start(t *testing.T, how string) *Process {
	t.Helper()
	t.Setenv(behavior, how)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := Start(ctx, "the test", ".", []string{os.Args[0]})
	require.NoError(t, err)
	t.Cleanup(p.Stop)

	return p
}

func TestPeerAnswersAndTells(t *testing.T) {
	p := start(t, "echoes")
	assert.Equal(t, "test 1", p.Version())
	for i := range 3 {
		answer, err := p.Do(t.Context(), Request{Do: "offer"})
		require.NoError(t, err)
		assert.Equal(t, "hello", answer.SDP)
		_, err = p.Await(t.Context(), func(e Event) bool { return e.Label == strconv.Itoa(i+1) })
		require.NoError(t, err)
	}
	p.Stop()
	assert.False(t, alive(p.cmd.Process.Pid))
}

// A peer that dies at any moment, prints garbage or hangs ends what waits for it,
// with a line that says so.
func TestPeerThatMisbehaves(t *testing.T) {
	over := errors.New("the case's time is over")
	for how, want := range map[string]string{
		"refuses": "the test, asked to offer: no",
		"dies":    "the test has died: exit status 7: out of cheese",
		"ends":    "the test has ended by itself",
		"garbage": `the test prints garbage: "Segmentation fault"`,
		"number":  `the test prints garbage: "17"`,
		"endless": "the test prints garbage: bufio.Scanner: token too long",
		"hangs":   "the peer hangs: the test has no answer to offer: the case's time is over",
	} {
		t.Run(how, func(t *testing.T) {
			p := start(t, how)
			limit := 10 * time.Second
			if how == "hangs" {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, over)
			defer cancel()
			_, err := p.Do(ctx, Request{Do: "offer"})
			require.Error(t, err)
			assert.Contains(t, err.Error(), want)
			p.Stop()
			assert.False(t, alive(p.cmd.Process.Pid))
		})
	}
}

func TestPeerThatIsNeverReady(t *testing.T) {
	t.Setenv(behavior, "silent")
	over := errors.New("the case's time is over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, over)
	defer cancel()
	_, err := Start(ctx, "the test", ".", []string{os.Args[0]})
	require.ErrorIs(t, err, over)
	_, err = Start(t.Context(), "the test", ".", []string{"/nonexistent"})
	require.Error(t, err)
}

func TestStopEndsWhatThePeerHasStarted(t *testing.T) {
	p := start(t, "child")
	answer, err := p.Do(t.Context(), Request{Do: "offer"})
	require.NoError(t, err)
	pid, err := strconv.Atoi(answer.SDP)
	require.NoError(t, err)
	require.True(t, alive(pid))
	p.Stop()
	for range 100 {
		if !alive(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond) // whoever inherits it has to reap it
	}
	t.Error("the child lives")
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))

	return err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(pid, 0) == nil
}
