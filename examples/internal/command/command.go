// Package command is what the examples do with their command line, with an
// interrupt, and with an error.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	ossignal "os/signal"
	"syscall"

	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// Exit codes.
const (
	OK     = 0
	Failed = 1
	Usage  = 2 // a command line that cannot be read
)

// Program is an example.
type Program struct {
	Name  string
	Usage string // what -h prints

	// Flags adds the flags to the set. It returns a function that checks what
	// they were set to, once all are read.
	Flags func(flags *flag.FlagSet) (check func() error)

	// Run is the program for somebody at a terminal.
	Run func(ctx context.Context, out *screen.Screen) error
	// Answer is the second process, which the flag -pipe starts.
	Answer func(ctx context.Context) error
}

var errInterrupted = errors.New("interrupted")

// Main runs the program and returns its exit code.
func (p Program) Main(args []string) int {
	piped, err := p.parse(args, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return OK
	case err != nil:
		return Usage
	}
	if piped {
		// What ends the process that started us ends our standard input, and
		// that ends us. A terminal sends its interrupt to both.
		ossignal.Ignore(os.Interrupt)
		if err = p.Answer(context.Background()); err != nil {
			return Failed // the other process has been told
		}

		return OK
	}
	notified, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer context.AfterFunc(notified, func() { cancel(errInterrupted) })()
	out := screen.New(os.Stdout)
	err = p.Run(ctx, out)
	out.End()
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)

		return Failed
	}

	return OK
}

func (p Program) parse(args []string, out io.Writer) (piped bool, err error) {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would print the usage below every reason
	flags.BoolVar(&piped, "pipe", false, "")
	check := p.Flags(flags)
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, p.Usage)

		return false, err
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	default:
		err = check()
	}
	if err != nil {
		fmt.Fprintf(out, "%s: %v\n", p.Name, err)
	}

	return piped, err
}
