// Command ortc connects two processes over ICE, DTLS and SCTP, step by step,
// with signaling of its own, and shows what each step does and how it ends.
// The README beside it explains the steps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	ossignal "os/signal"
	"strconv"
	"strings"
	"syscall"
)

// options are what the command line says.
type options struct {
	offer, answer, pipe bool
	size                int64 // bytes to send
}

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit code: 0 if everything held, 1 if not, 2 for a command
// line that cannot be read.
func run(args []string) int {
	opts, err := parse(args, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if opts.pipe {
		// What ends the process that started us ends our standard input, and
		// that ends us. A terminal sends its interrupt to both.
		ossignal.Ignore(os.Interrupt)
		if err = answerOnPipes(context.Background()); err != nil {
			return 1 // the other process has been told
		}

		return 0
	}
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := newScreen(os.Stdout)
	switch {
	case opts.offer:
		err = offerOnPaste(ctx, out, opts.size)
	case opts.answer:
		err = answerOnPaste(ctx, out)
	default:
		err = demo(ctx, out, opts.size)
	}
	out.end()
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ortc:", err)

		return 1
	}

	return 0
}

const usage = `usage: ortc [-size SIZE]            two processes on this machine
       ortc -offer [-size SIZE]     the first of two terminals on this machine
       ortc -answer                 the second of two terminals on this machine

  -size SIZE  how much to send: a number of B, KiB, MiB or GiB (default 64MiB)
  -offer      print an offer, read the answer from standard input, then send
  -answer     read an offer from standard input, print the answer, then receive
`

func parse(args []string, out io.Writer) (opts options, err error) {
	flags := flag.NewFlagSet("ortc", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would print the usage below every reason
	opts.size = 64 << 20
	sized := false
	flags.Func("size", "", func(text string) (err error) {
		sized = true
		opts.size, err = parseSize(text)

		return err
	})
	flags.BoolVar(&opts.offer, "offer", false, "")
	flags.BoolVar(&opts.answer, "answer", false, "")
	flags.BoolVar(&opts.pipe, "pipe", false, "") // what the program starts itself with
	if err = flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)

		return opts, err
	}
	modes := 0
	for _, set := range []bool{opts.offer, opts.answer, opts.pipe} {
		if set {
			modes++
		}
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case modes > 1:
		err = errors.New("-offer and -answer exclude each other")
	case sized && (opts.answer || opts.pipe):
		err = errors.New("-size goes with the side that sends")
	}
	if err != nil {
		fmt.Fprintln(out, "ortc:", err)
	}

	return opts, err
}

// maxSize keeps the arithmetic of the progress bar away from overflow.
const maxSize = 1 << 50

func parseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = n, u.bytes

			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 1 || n > maxSize/unit {
		return 0, errors.New("not a size from 1 B to 1048576 GiB, in B, KiB, MiB or GiB, such as 64MiB")
	}

	return n * unit, nil
}
