package main

import (
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/transport/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

// needsNetworks skips a test where the machine has no addresses to move between.
func needsNetworks(t *testing.T) {
	t.Helper()
	for _, ip := range addresses() {
		if err := checkAddress(ip); err != nil {
			if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

func TestTransferThatMoves(t *testing.T) {
	needsNetworks(t)
	for _, way := range []string{wayRestart, wayContinual} {
		t.Run(way, func(t *testing.T) { testMoves(t, way) })
	}
}

func testMoves(t *testing.T, way string) {
	t.Helper()
	p := programtest.Start(t, "-size", "32MiB", "-moves", "3", "-way", way)
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())
	assert.Regexp(t, `connected, from 127\.0\.0\.2:\d+ to 127\.0\.0\.1:\d+\n`, printed)
	for _, to := range []string{
		`move 1, at .*: 127\.0\.0\.2:\d+ is gone, 127\.0\.0\.3 comes after 0s\n  a path from 127\.0\.0\.3:\d+ after`,
		`move 2, at .*: 127\.0\.0\.3:\d+ is gone, 127\.0\.0\.4 comes after 300ms\n  a path from 127\.0\.0\.4:\d+ after`,
		`move 3, at .*: 127\.0\.0\.4:\d+ is gone, 127\.0\.0\.2 comes after 1s\n  a path from 127\.0\.0\.2:\d+ after`,
	} {
		assert.Regexp(t, to, printed)
	}
	sums := regexp.MustCompile(`SHA-256 (?:sent|received) +([0-9a-f]{64})\n`).FindAllStringSubmatch(printed, -1)
	require.Len(t, sums, 2)
	assert.Equal(t, sums[0][1], sums[1][1])
	assert.Contains(t, printed, "  DTLS handshakes: 1, data channels opened: 1\n  goroutines left: 0\n")
}

// An interrupt ends it, also while there is no network.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	needsNetworks(t)
	p := programtest.Start(t, "-size", "1GiB", "-moves", "100")
	p.Until(t, "^connected")
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "roaming: interrupted", p.Complaint(t))
}

// The network of the example: one at a time, and sockets of another are dead.
func TestNetwork(t *testing.T) {
	needsNetworks(t)
	n, err := newNetwork()
	require.NoError(t, err)
	at := func(ip net.IP) (transport.UDPConn, error) { return n.ListenUDP("udp4", &net.UDPAddr{IP: ip}) }
	here, there := addresses()[0], addresses()[1]
	_, err = at(here)
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	present, err := n.Interfaces()
	require.NoError(t, err)
	assert.Empty(t, present)

	n.join(here)
	present, err = n.Interfaces()
	require.NoError(t, err)
	require.Len(t, present, 1)
	held, err := present[0].Addrs()
	require.NoError(t, err)
	assert.Equal(t, here.String()+"/8", held[0].String())
	_, err = at(there)
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	before, err := at(here)
	require.NoError(t, err)
	defer before.Close()

	n.leave()
	n.join(there)
	after, err := at(there)
	require.NoError(t, err)
	defer after.Close()
	_, err = before.WriteTo([]byte("x"), after.LocalAddr())
	require.ErrorIs(t, err, syscall.ENETUNREACH)
	_, err = after.WriteTo([]byte("x"), before.LocalAddr())
	require.NoError(t, err)
	require.NoError(t, before.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, _, err = before.ReadFrom(make([]byte, 8))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestAddressThatIsNotThere(t *testing.T) {
	err := checkAddress(net.IPv4(192, 0, 2, 1))
	require.Error(t, err)
	assert.Contains(t, err.Error(), "ifconfig lo0 alias 192.0.2.1")
}

// The code of the README is that of the program.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("roam.go")
	require.NoError(t, err)
	blocks := func(text []byte, begin, end string) (blocks [][]string) {
		for _, after := range strings.Split(string(text), begin)[1:] {
			code, _, found := strings.Cut(after, end)
			require.True(t, found, end)
			var lines []string
			for line := range strings.Lines(strings.TrimSpace(code)) {
				lines = append(lines, strings.TrimSpace(line))
			}
			blocks = append(blocks, lines)
		}

		return blocks
	}
	code := blocks(source, "// README: begin\n", "// README: end\n")
	require.Len(t, code, 3)
	require.ElementsMatch(t, code, blocks(readme, "```go\n", "```\n"))
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: roaming [-size SIZE] [-moves N] [-way restart|continual]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"more"}, 2, `unexpected argument "more"`},
		{[]string{"-size", "much"}, 2, "-size: not a size"},
		{[]string{"-size", "1MiB"}, 2, "-size is from 4MiB to 16GiB"},
		{[]string{"-size", "17GiB"}, 2, "-size is from 4MiB to 16GiB"},
		{[]string{"-moves", "-1"}, 2, "-moves is a number from 0 to 100"},
		{[]string{"-way", "home"}, 2, "-way is restart or continual"},
		{[]string{"-moves", "101"}, 2, "-moves is a number from 0 to 100"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "roaming: "), p.Complaint(t))
		}
	}
}
