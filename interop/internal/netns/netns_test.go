package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func needNamespaces(t *testing.T) {
	t.Helper()
	if err := Possible(); err != nil {
		t.Skip(err)
	}
}

func there(name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))

	return err == nil
}

func TestSetLeavesNothing(t *testing.T) {
	needNamespaces(t)
	s := New("test")
	require.NoError(t, s.Add("a"))
	require.NoError(t, s.Add("b"))
	require.NoError(t, s.Link("a", "eth0", "10.98.0.1/24", "b", "eth0", "10.98.0.2/24"))
	require.Error(t, s.Add("a"), "a name is taken once")
	argv := s.Command("a", "sleep", "1000")
	cmd := exec.Command(argv[0], argv[1:]...)
	require.NoError(t, cmd.Start())
	require.NoError(t, s.In("b", "true"))
	require.Error(t, s.In("b", "false"))
	swept, err := Sweep()
	require.NoError(t, err)
	assert.NotContains(t, swept, s.Name("a"), "its process lives")
	require.NoError(t, os.WriteFile(filepath.Join(s.Temp(), "file"), nil, 0o600))
	require.NoError(t, s.Close())
	assert.NoDirExists(t, s.Temp())
	require.Error(t, cmd.Wait(), "it was killed")
	assert.False(t, there(s.Name("a")))
	assert.False(t, there(s.Name("b")))
	assert.NoDirExists(t, filepath.Join(files, s.Name("a")))
	require.NoError(t, s.Close())
}

func TestSweepRemovesWhatTheDeadHaveLeft(t *testing.T) {
	needNamespaces(t)
	pid := os.Getpid()
	start, err := started(pid)
	require.NoError(t, err)
	dead := []string{
		// The process has ended; another one has its number now; a name of another shape.
		fmt.Sprintf("%s%d-%s-0-us", prefix, 1<<22+1, start),
		fmt.Sprintf("%s%d-%s1-0-us", prefix, pid, start),
		prefix + "x",
	}
	for _, name := range dead {
		require.NoError(t, run("ip", "netns", "add", name))
	}
	t.Setenv("TMPDIR", t.TempDir())
	temp := filepath.Join(os.TempDir(), dead[0][:len(dead[0])-len("us")]+"tmp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	_, err = Sweep()
	require.NoError(t, err)
	for _, name := range dead {
		// A run of somebody else may have begun to remove it.
		assert.Eventually(t, func() bool { return !there(name) }, 5*time.Second, time.Millisecond)
	}
	assert.NoDirExists(t, temp)
}
