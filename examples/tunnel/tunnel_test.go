package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func TestTwoProcesses(t *testing.T) {
	for _, client := range []string{"curl", "net/http"} {
		t.Run(client, func(t *testing.T) {
			if _, err := exec.LookPath("curl"); client == "curl" && err != nil {
				t.Skip(err)
			}
			if client != "curl" {
				t.Setenv("PATH", t.TempDir())
			}
			t.Setenv("http_proxy", "http://127.0.0.1:9") // which is not asked
			p := programtest.Start(t)
			code := p.Wait(t)
			printed := p.Printed()
			require.Equal(t, 0, code, "%s%s", printed, p.Errors())
			assert.Empty(t, p.Errors())
			assert.Regexp(t, `two processes: a is ([0-9]+), b is ([0-9]+)\n`+
				client+` asks a at 127\.0\.0\.1:[0-9]+, b asks its own HTTP server at 127\.0\.0\.1:[0-9]+\n`, printed)
			assert.Regexp(t, `(?m)^  `+client+`: hello from process [0-9]+$`, printed)
			assert.Contains(t, printed, client+": 8 times the same content as at the server, ")
			assert.Contains(t, printed, client+": the server has the same content, ")
			assert.Regexp(t, `(?m)^  b: connection [0-9]+: dial tcp 127\.0\.0\.1:`, printed)
			assert.Regexp(t, `(?m)^  a: connection [0-9]+: .*the other side: "dial tcp 127\.0\.0\.1:`, printed)
			assert.True(t, strings.HasSuffix(printed, "\nclose gracefully\n  goroutines left: a 0, b 0\n"), printed)
		})
	}
}

// paste runs the two sides and lets them meet. It returns where the one
// listens.
func paste(t *testing.T, target string) (listens, connects *programtest.Process, address string) {
	t.Helper()
	connects = programtest.Start(t, "-connect", target)
	listens = programtest.Start(t, "-listen", "127.0.0.1:0")
	offer := listens.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	connects.Until(t, "paste the offer")
	fmt.Fprintln(connects.In, offer)
	answer := connects.Until(t, `^[A-Za-z0-9+/=]{100,}$`)[0]
	fmt.Fprintln(listens.In, answer)
	address = listens.Until(t, `^(127\.0\.0\.1:[0-9]+) goes to the other side; an interrupt ends this$`)[1]

	return listens, connects, address
}

func TestTwoTerminals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()
	for _, which := range []int{0, 1} {
		a, b, address := paste(t, server.Listener.Addr().String())
		for range 3 {
			response, err := http.Get("http://" + address)
			require.NoError(t, err)
			content, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, "hello", string(content))
		}
		sides := []*programtest.Process{a, b}
		interrupted, other := sides[which], sides[1-which]
		require.NoError(t, interrupted.Interrupt())
		assert.Equal(t, 1, interrupted.Wait(t))
		assert.Equal(t, "tunnel: interrupted", interrupted.Complaint(t))
		assert.Equal(t, 0, other.Wait(t), other.Errors())
		assert.Contains(t, other.Printed(), "the other side has closed\n")
		assert.Contains(t, b.Printed(), "what the other side takes goes to "+server.Listener.Addr().String())
		http.DefaultClient.CloseIdleConnections()
	}
}

// Nothing tells of a process that is killed but its silence.
func TestAKilledPeerBetweenTwoTerminals(t *testing.T) {
	t.Parallel()
	a, b, address := paste(t, serve(t, echo))
	conn := (&ends{address: address}).dial(t)
	_, err := conn.Write([]byte("a"))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, b.Kill())
	_, err = conn.Read(make([]byte, 1))
	assert.True(t, isReset(err), "%v", err)
	assert.Equal(t, 1, a.Wait(t))
	assert.Equal(t, "tunnel: the peer has gone silent", a.Complaint(t))
	b.Wait(t)
}

func TestAnInterruptEndsBothProcesses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	p := programtest.Start(t)
	pid, err := strconv.Atoi(p.Until(t, `^two processes: a is [0-9]+, b is ([0-9]+)$`)[1])
	require.NoError(t, err)
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "tunnel: interrupted", p.Complaint(t))
	other, err := os.FindProcess(pid)
	require.NoError(t, err)
	assert.ErrorIs(t, other.Signal(os.Interrupt), os.ErrProcessDone, "side b has ended too")
}

func TestCommandLine(t *testing.T) {
	taken := serve(t, echo)
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: tunnel  "},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"8080"}, 2, `unexpected argument "8080"`},
		{[]string{"-listen", "127.0.0.1:0", "-connect", "127.0.0.1:80"}, 2, "exclude each other"},
		{[]string{"-listen", "8080"}, 2, "missing port in address"},
		{[]string{"-connect", "127.0.0.1:"}, 2, "missing port in address"},
		{[]string{"-listen", ""}, 2, "missing port in address"},
		{[]string{"-listen", taken}, 1, taken},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.NotContains(t, p.Errors(), "-pipe", "nothing to call by hand")
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "tunnel: "), p.Errors())
		}
	}
}
