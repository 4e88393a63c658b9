// Command ortc connects two processes over ICE, DTLS and SCTP, step by step,
// with signaling of its own, and shows what each step does and how it ends.
// The README beside it explains the steps.
package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are what the command line says.
type options struct {
	offer, answer bool
	size          int64 // bytes to send
}

func main() {
	opts := &options{size: 64 << 20}
	os.Exit(command.Program{
		Name: "ortc", Usage: usage, Flags: opts.flags, Answer: answerOnPipes,
		Run: func(ctx context.Context, out *screen.Screen) error {
			switch {
			case opts.offer:
				return offerOnPaste(ctx, out, opts.size)
			case opts.answer:
				return answerOnPaste(ctx, out)
			}

			return demo(ctx, out, opts.size)
		},
	}.Main(os.Args[1:]))
}

const usage = `usage: ortc [-size SIZE]            two processes on this machine
       ortc -offer [-size SIZE]     the first of two terminals on this machine
       ortc -answer                 the second of two terminals on this machine

  -size SIZE  how much to send: a number of B, KiB, MiB or GiB (default 64MiB)
  -offer      print an offer, read the answer from standard input, then send
  -answer     read an offer from standard input, print the answer, then receive
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	sized := false
	flags.Func("size", "", func(text string) (err error) {
		sized = true
		o.size, err = screen.ParseSize(text)

		return err
	})
	flags.BoolVar(&o.offer, "offer", false, "")
	flags.BoolVar(&o.answer, "answer", false, "")

	return func() error {
		switch {
		case o.offer && o.answer:
			return errors.New("-offer and -answer exclude each other")
		case sized && o.answer:
			return errors.New("-size goes with the side that sends")
		}

		return nil
	}
}
