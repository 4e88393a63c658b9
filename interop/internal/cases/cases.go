// Package cases is our side of the laboratory: what is done with each peer, and
// what has to come of it.
package cases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/netns"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// Env is what a case works with.
type Env struct {
	// Peer is the other side.
	Peer *peer.Process
	// Offer tells that we offer; otherwise the peer does.
	Offer bool
	// Mirror tells that the peer only echoes: it opens no channels, tells nothing of
	// ours, and keeps no account of what comes.
	Mirror bool
	// Prefix is what the peer puts before the texts that it echoes.
	Prefix string
	// Dir is the folder of the laboratory.
	Dir string
	// Net is the network around us, for what changes it.
	Net *netns.Set

	connections int
	notes       []string
	later       []func(context.Context) error
}

// note adds something to the outcome.
func (e *Env) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

// Notes are what a case has said about itself, for the table.
func (e *Env) Notes() string { return strings.Join(e.notes, "; ") }

// Reset forgets the notes of the case before.
func (e *Env) Reset() { e.notes = nil }

// Case is one thing that has to work.
type Case struct {
	Name string
	// Deadline is how long it may take.
	Deadline time.Duration
	// Run does it. An error from skip is no failure.
	Run func(ctx context.Context, e *Env) error
}

// errSkip marks what cannot be done with a peer.
var errSkip = errors.New("skipped")

// Skipped tells whether an error means that the case could not be tried.
func Skipped(err error) bool { return errors.Is(err, errSkip) }

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// All are the cases for each peer and direction, in the order in which they run.
func All() []Case {
	return slices.Concat([]Case{
		{"connect", 15 * time.Second, connect},
		{"trickle", 15 * time.Second, trickle},
		{"ipv6", 15 * time.Second, overIPv6},
		{"dtls-client", 15 * time.Second, dtlsClient},
		{"dtls-server", 15 * time.Second, dtlsServer},
		{"cancel", 20 * time.Second, cancel},
		{"echo", 8 * time.Second, echoes},
		{"bulk", 60 * time.Second, bulk},
		{"channels", 20 * time.Second, channels},
		{"reliability", 20 * time.Second, reliability},
		{"negotiated", 15 * time.Second, negotiated},
		{"close-channel", 15 * time.Second, closeChannel},
		{"close-by-us", 15 * time.Second, closeByUs},
		{"close-by-peer", 15 * time.Second, closeByPeer},
		{"restart", 8 * time.Second, restart},
		{"shutdown", 20 * time.Second, shutdown},
		{"steps", 15 * time.Second, steps},
		{"steps-cancel", 20 * time.Second, stepsCancel},
	}, Media(), []Case{
		{"cancel-noticed", 45 * time.Second, cancelNoticed},
	})
}

// Sockets counts the sockets that this process has open. Peers are joined to it
// by pipes, so that all of them are the library's.
func Sockets() int {
	links, _ := filepath.Glob("/proc/self/fd/*")
	n := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}

	return n
}
