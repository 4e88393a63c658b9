// Package screen is what the examples print: lines, and how far a transfer is.
package screen

import (
	"fmt"
	"os"
	"sync"
)

// Screen is the standard output: lines, and on a terminal a progress bar below
// them that is drawn anew in place.
type Screen struct {
	out *os.File
	tty bool

	mu  sync.Mutex // one line at a time, as in package log
	bar string
}

// New is the screen of a file, which may be no terminal.
func New(out *os.File) *Screen {
	info, err := out.Stat()
	tty := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"

	return &Screen{out: out, tty: tty}
}

// Line prints one line, above the bar if there is one.
func (s *Screen) Line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar == "" {
		fmt.Fprintf(s.out, format+"\n", args...)

		return
	}
	fmt.Fprintf(s.out, "\r\x1b[K"+format+"\n", args...)
	fmt.Fprint(s.out, s.bar)
}

// Title begins a part of the program's output.
func (s *Screen) Title(text string) { s.Line("\n%s", text) }

// draw replaces the bar. Only a terminal has one.
func (s *Screen) draw(bar string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar = bar
	fmt.Fprint(s.out, "\r"+bar+"\x1b[K")
}

// End leaves the bar where it is.
func (s *Screen) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != "" {
		fmt.Fprintln(s.out)
	}
	s.bar = ""
}
