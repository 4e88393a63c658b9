package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// screen is the standard output: lines, and on a terminal a progress bar below
// them that is drawn anew in place.
type screen struct {
	out *os.File
	tty bool

	mu  sync.Mutex // one line at a time, as in package log
	bar string
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	tty := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"

	return &screen{out: out, tty: tty}
}

// line prints one line, above the bar if there is one.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar == "" {
		fmt.Fprintf(s.out, format+"\n", args...)

		return
	}
	fmt.Fprintf(s.out, "\r\x1b[K"+format+"\n", args...)
	fmt.Fprint(s.out, s.bar)
}

// title begins a part of the program's output.
func (s *screen) title(text string) { s.line("\n%s", text) }

// draw replaces the bar. Only a terminal has one.
func (s *screen) draw(bar string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar = bar
	fmt.Fprint(s.out, "\r"+bar+"\x1b[K")
}

// end leaves the bar where it is.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != "" {
		fmt.Fprintln(s.out)
	}
	s.bar = ""
}

const (
	barWidth   = 32
	barEvery   = 50 * time.Millisecond
	quietSteps = 4 // lines of progress where there is no terminal
)

// progress shows how far a transfer is.
type progress struct {
	screen *screen
	total  int64
	begin  time.Time
	drawn  time.Time
	step   int64
}

func newProgress(s *screen, total int64) *progress {
	return &progress{screen: s, total: total, begin: time.Now()}
}

// at tells how many bytes are done.
func (p *progress) at(done int64) {
	now := time.Now()
	if p.screen.tty {
		if done == p.total || now.Sub(p.drawn) >= barEvery {
			p.drawn = now
			p.screen.draw(p.text(done, now))
		}
		if done == p.total {
			p.screen.end()
		}

		return
	}
	if step := done * quietSteps / p.total; step > p.step {
		p.step = step
		p.screen.line("%s", p.text(done, now))
	}
}

func (p *progress) text(done int64, now time.Time) string {
	full := int(done * barWidth / p.total)

	return fmt.Sprintf("  %s%s %3d %%  %s of %s  %s",
		strings.Repeat("█", full), strings.Repeat("░", barWidth-full), done*100/p.total,
		amount(done), amount(p.total), rate(done, now.Sub(p.begin)))
}

// amount writes a number of bytes with a unit.
func amount(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}

	return fmt.Sprintf("%d B", n)
}

func rate(n int64, d time.Duration) string {
	if d <= 0 {
		d = 1
	}

	return fmt.Sprintf("%.1f MiB/s", float64(n)/(1<<20)/d.Seconds())
}
