package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/netns"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

func TestMain(m *testing.M) {
	// The test binary is the laboratory, too.
	if os.Getenv("INTEROP_TEST_LAB") != "" {
		switch os.Getenv("INTEROP_TEST_PANIC") {
		case "case":
			basics = panicking(func() { panic("a case does so") })
		case "beside":
			basics = panicking(func() {
				go panic("something of ours does so")
				select {}
			})
		}
		main()
	}
	os.Exit(m.Run())
}

// fakeLab is a folder whose peer pion is a script.
func fakeLab(t *testing.T, script string) string {
	t.Helper()
	if err := netns.Possible(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "peers", "node"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".bin"), 0o755))
	script = "#!/bin/sh\necho $$ > pid\necho '{\"event\":\"ready\",\"version\":\"fake 1\"}'\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".bin", "peer-pion"), []byte(script), 0o755))

	return dir
}

func lab(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"-dir", dir, "-peer", "pion", "-case", "connect"}, args...)...)
	cmd.Env = append(os.Environ(), "INTEROP_TEST_LAB=1")

	return cmd
}

// left is what there is of a run.
func left(pid int) []string {
	all, _ := filepath.Glob(fmt.Sprintf("/run/netns/ctxlab-%d-*", pid))

	return all
}

// gone checks that the peer runs no more. Whoever has inherited it may not have
// taken note of its end.
func gone(t *testing.T, dir string) {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	require.NoError(t, err)
	stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat"))
	if err == nil {
		assert.Contains(t, string(stat), ") Z ", "the peer lives")
	}
}

func TestRunThatIsEndedLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := fakeLab(t, "sleep 1000 & wait")
			cmd := lab(dir)
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(dir, "pid"))

				return err == nil
			}, 20*time.Second, 10*time.Millisecond)
			require.Len(t, left(cmd.Process.Pid), 2)
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			if sig == syscall.SIGKILL {
				// The next run removes what this one could not; one of somebody else may
				// have begun with it.
				out, err := lab(dir, "-case", "no case has this name").CombinedOutput()
				require.NoError(t, err, string(out))
				require.Eventually(t, func() bool { return len(left(cmd.Process.Pid)) == 0 }, 5*time.Second, time.Millisecond)
			} else {
				assert.Equal(t, 130, cmd.ProcessState.ExitCode())
			}
			assert.Empty(t, left(cmd.Process.Pid))
			gone(t, dir)
		})
	}
}

func TestPeerThatDiesFailsItsCase(t *testing.T) {
	for script, want := range map[string]string{
		"read line; echo oops >&2; exit 3": "pion has died: exit status 3: oops",
		"read line; echo garbage; sleep 9": `pion prints garbage: "garbage"`,
	} {
		dir := fakeLab(t, script)
		cmd := lab(dir, "-direction", "we offer")
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), want)
		assert.Contains(t, string(out), "0 ok, 1 failed")
		assert.Empty(t, left(cmd.Process.Pid))
		gone(t, dir)
	}
}

// panicking are a case that does what ends the process, and one after it.
func panicking(do func()) func() []cases.Case {
	return func() []cases.Case {
		return []cases.Case{
			{Name: "connect", Deadline: 10 * time.Second, Run: func(context.Context, *cases.Env) error {
				do()

				return nil
			}},
			{Name: "connect-again", Deadline: 10 * time.Second, Run: func(context.Context, *cases.Env) error { return nil }},
		}
	}
}

func TestPanicOfOurSideFailsItsCase(t *testing.T) {
	for where, want := range map[string]string{"case": "a case does so", "beside": "something of ours does so"} {
		dir := fakeLab(t, "sleep 1000 & wait")
		cmd := lab(dir, "-direction", "we offer", "-case", "connect*")
		cmd.Env = append(cmd.Env, "INTEROP_TEST_PANIC="+where)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Regexp(t, `FAILED +pion +connect +we offer .* our side has died: exit status 2: panic: `+want+`\n`, string(out))
		assert.Regexp(t, `ok +pion +connect-again `, string(out), "the next case has a new process")
		assert.Contains(t, string(out), "1 ok, 1 failed")
		assert.Empty(t, left(cmd.Process.Pid))
		gone(t, dir)
	}
}

func TestPanicOfTheLaboratoryFailsItsPeer(t *testing.T) {
	if err := netns.Possible(); err != nil {
		t.Skip(err)
	}
	broken := scenario{name: "broken", peer: &peers[0], network: func(s *netns.Set) error {
		if err := pair(s); err != nil {
			return err
		}
		assert.Len(t, left(os.Getpid()), 2)
		panic("the network does so")
	}}
	found := &findings{}
	runAll(t.Context(), choice{}, []scenario{broken}, found)
	require.Len(t, found.rows, 1)
	assert.Equal(t, table.Failed, found.rows[0].Outcome)
	assert.Equal(t, "the laboratory panics: the network does so", found.rows[0].Note)
	assert.Empty(t, left(os.Getpid()))
}

func TestWrongChoices(t *testing.T) {
	dir := fakeLab(t, "")
	for _, args := range [][]string{
		{"-peer", "nobody"},
		{"-dir", "/nonexistent"},
	} {
		out, err := lab(dir, args...).CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), "lab: ")
	}
}

func TestFastPartLeavesOutDefectsOfPeers(t *testing.T) {
	chosen := func(peer, name, direction string, fast bool) bool {
		all := scenarios()
		at := slices.IndexFunc(all, func(s scenario) bool { return s.name == peer })
		require.GreaterOrEqual(t, at, 0)

		return len(all[at].tasks(name, direction, fast)) == 1
	}
	for _, c := range []struct {
		peer, name, direction string
		fast                  bool
	}{
		{"pion", "shutdown", weOffer, true},
		{"wrtc", "restart", weOffer, true},
		{"wrtc", "restart", peerOffer, false},        // goes wrong
		{"werift", "cancel-noticed", weOffer, false}, // goes wrong after a timeout
		{"pion", "cancel-noticed", weOffer, false},   // waits
		{"datachannel", "restart", weOffer, true},    // is skipped, with the reason
		{"datachannel", "connect", peerOffer, true},  // goes wrong now and then, and says how
		{"datachannel", "shutdown", weOffer, false},  // goes wrong now and then, and could be ours
	} {
		assert.True(t, chosen(c.peer, c.name, c.direction, false), "%v", c)
		assert.Equal(t, c.fast, chosen(c.peer, c.name, c.direction, true), "%v", c)
	}
}

func TestPatternsOfCases(t *testing.T) {
	for _, name := range []string{"audio", "video", "video-h264"} {
		assert.True(t, named("audio,video*", name), name)
	}
	for _, name := range []string{"audi", "media-data", ""} {
		assert.False(t, named("audio,video*", name), name)
	}
}
