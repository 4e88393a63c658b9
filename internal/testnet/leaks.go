package testnet

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long goroutines and sockets get to go away.
const leakPatience = 5 * time.Second

// Leaks fails the test if, some seconds after its end, goroutines run or
// (on Linux) sockets are open that were not there before the call. It is for
// tests on real sockets that do not run in parallel with others; a bubble
// counts its goroutines itself.
func Leaks(tb testing.TB) {
	tb.Helper()
	leaks(tb, leakPatience)
}

func leaks(tb testing.TB, patience time.Duration) {
	tb.Helper()
	goroutinesBefore, socketsBefore := goroutines(), sockets()
	tb.Cleanup(func() {
		tb.Helper()
		end := time.Now().Add(patience)
		for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
			stacks, fds := added(goroutinesBefore, goroutines()), added(socketsBefore, sockets())
			if len(stacks) == 0 && len(fds) == 0 {
				return
			}
			if !time.Now().Before(end) {
				for _, stack := range stacks {
					tb.Errorf("goroutine left behind:\n%s", stack)
				}
				for _, fd := range fds {
					tb.Errorf("socket left behind: %s", fd)
				}

				return
			}
			runtime.Gosched()
			time.Sleep(pause)
		}
	})
}

// added returns what is in after and not in before, in order.
func added(before, after map[string]string) []string {
	var all []string
	for key, text := range after {
		if _, was := before[key]; !was {
			all = append(all, text)
		}
	}
	slices.Sort(all)

	return all
}

// goroutines maps the number of every goroutine but the caller's, those of
// bubbles and those of the testing package to its stack.
func goroutines() map[string]string {
	buf := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]

			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := make(map[string]string)
	for i, stack := range bytes.Split(buf, []byte("\n\n")) {
		text := string(stack)
		header, frames, _ := strings.Cut(text, "\n")
		number, state, _ := strings.Cut(strings.TrimPrefix(header, "goroutine "), " ")
		own := i == 0 // runtime.Stack begins with the caller
		if own || strings.Contains(state, "synctest") ||
			strings.HasPrefix(frames, "testing.") || strings.Contains(frames, "created by testing.") ||
			strings.HasPrefix(frames, "os/signal.") || strings.Contains(frames, "created by runtime") {
			continue
		}
		all[number] = text
	}

	return all
}

// sockets maps every socket that the process has open to its name, where the
// system tells.
func sockets() map[string]string {
	all := make(map[string]string)
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
			all[target] = filepath.Base(link) + " " + target
		}
	}

	return all
}
