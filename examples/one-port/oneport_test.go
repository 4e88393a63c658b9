package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func TestTwoProcesses(t *testing.T) {
	p := programtest.Start(t, "-peers", "20")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())
	assert.Contains(t, printed, "20 peers are connected")
	assert.Contains(t, printed, "and 15 more")
	assert.Contains(t, printed, "20 sessions, 20 addresses, 1 UDP socket")
	assert.Contains(t, printed, "60 messages went there and back; 20 sessions ended gracefully, 0 otherwise")
	assert.Contains(t, printed, "left on the port: 0 sessions, 0 addresses")
	assert.Contains(t, printed, "goroutines left: server 0, peers 0\n")
	remotes := regexp.MustCompile(`(?m)^  session \d+ +(127\.0\.0\.1:\d+) `).FindAllStringSubmatch(printed, -1)
	require.Len(t, remotes, 5)
	seen := map[string]bool{}
	for _, r := range remotes {
		seen[r[1]] = true
	}
	assert.Len(t, seen, 5, "each peer has an address of its own")
}

func TestTwoTerminals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	server := programtest.Start(t, "-serve")
	url := server.Until(t, `^offers at (http://127\.0\.0\.1:\d+), everything else at UDP 127\.0\.0\.1:\d+$`)[1]

	// What is no offer is refused, with a reason.
	for _, tc := range []struct {
		offer  string
		status int
	}{
		{"", http.StatusBadRequest},
		{"hello", http.StatusBadRequest},
		{`{"type":"answer","sdp":"v=0"}`, http.StatusBadRequest},
		{`{"type":"offer","sdp":"v=0"}`, http.StatusBadRequest},
		{strings.Repeat(" ", maxOffer+1), http.StatusBadRequest},
	} {
		status, reason := request(t, http.MethodPost, url, tc.offer)
		assert.Equal(t, tc.status, status, "%.20q: %s", tc.offer, reason)
		assert.NotEmpty(t, reason)
	}
	status, _ := request(t, http.MethodGet, url, "")
	assert.Equal(t, http.StatusMethodNotAllowed, status)

	for range 2 {
		peers := programtest.Start(t, "-connect", url, "-peers", "5")
		assert.Equal(t, 0, peers.Wait(t), "%s%s", peers.Printed(), peers.Errors())
		assert.Contains(t, peers.Printed(), "5 peers are connected")
		assert.Contains(t, peers.Printed(), "15 messages went there and back")
		assert.Empty(t, peers.Errors())
	}
	server.Until(t, `^  0 sessions, 0 addresses, 1 UDP socket`)
	require.NoError(t, server.Interrupt())
	assert.Equal(t, 1, server.Wait(t))
	assert.Equal(t, "one-port: interrupted", server.Complaint(t))
}

func request(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return response.StatusCode, string(reply)
}

// The server goes on when peers die without a word, and ends at an interrupt.
func TestPeersThatDie(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	server := programtest.Start(t, "-serve")
	url := server.Until(t, `^offers at (\S+),`)[1]
	peers := programtest.Start(t, "-connect", url, "-peers", "10")
	peers.Until(t, "are connected")
	require.NoError(t, peers.Kill())
	assert.NotEqual(t, 0, peers.Wait(t))
	again := programtest.Start(t, "-connect", url, "-peers", "3")
	assert.Equal(t, 0, again.Wait(t), "%s%s", again.Printed(), again.Errors())
	begin := time.Now()
	require.NoError(t, server.Interrupt())
	assert.Equal(t, 1, server.Wait(t))
	assert.Less(t, time.Since(begin), 10*time.Second)
	assert.Equal(t, "one-port: interrupted", server.Complaint(t))
}

func TestNobodyServes(t *testing.T) {
	p := programtest.Start(t, "-connect", "http://127.0.0.1:9", "-peers", "3")
	assert.Equal(t, 1, p.Wait(t))
	assert.Contains(t, p.Complaint(t), "refused")
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: one-port [-peers N]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"more"}, 2, `unexpected argument "more"`},
		{[]string{"-serve", "-connect", "http://127.0.0.1:1"}, 2, "exclude each other"},
		{[]string{"-serve", "-peers", "5"}, 2, "-peers goes with the side that connects"},
		{[]string{"-port", "5"}, 2, "go with -serve"},
		{[]string{"-serve", "-port", "65536"}, 2, "up to 65535"},
		{[]string{"-serve", "-addr", "0.0.0.0:0"}, 2, "loopback"},
		{[]string{"-serve", "-addr", "nowhere"}, 2, "-addr"},
		{[]string{"-peers", "0"}, 2, "from 1 to 2000"},
		{[]string{"-peers", fmt.Sprint(maxPeers + 1)}, 2, "from 1 to 2000"},
		{[]string{"-connect", "ftp://127.0.0.1"}, 2, "the URL that the server prints"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "one-port: "), p.Complaint(t))
		}
	}
}
