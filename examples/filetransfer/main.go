// Command filetransfer sends a file over a data channel, and goes on where it
// was when a side had died on the way. The README beside it explains the steps
// and the protocol.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are what the command line says.
type options struct {
	size    int64  // of the demo's file, in bytes
	send    string // path of a file
	receive string // path of a folder
}

func main() {
	opts := &options{size: 64 << 20}
	os.Exit(command.Program{
		Name: "filetransfer", Usage: usage, Flags: opts.flags,
		Run: func(ctx context.Context, out *screen.Screen) error {
			switch {
			case opts.send != "":
				return sendOnPaste(ctx, out, opts.send)
			case opts.receive != "":
				return receiveOnPaste(ctx, out, opts.receive)
			}

			return demo(ctx, out, opts.size)
		},
		Answer: func(ctx context.Context) error { return receiveOnPipes(ctx, opts.receive) },
	}.Main(os.Args[1:]))
}

const usage = `usage: filetransfer [-size SIZE]   two processes on this machine, one of which is killed
       filetransfer -send FILE     the first of two terminals on this machine
       filetransfer -receive DIR   the second of two terminals on this machine

  -size SIZE    how much the two processes move: a number of B, KiB, MiB or GiB (default 64MiB)
  -send FILE    print an offer, read the answer from standard input, then send the file
  -receive DIR  read an offer from standard input, print the answer, then receive into the folder

Run the last two again to go on with a transfer that has ended too early.
`

// minSize leaves enough messages to be killed between.
const minSize = 16 * chunk

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	sized := false
	flags.Func("size", "", func(text string) (err error) {
		sized = true
		o.size, err = screen.ParseSize(text)
		if err == nil && o.size < minSize {
			err = fmt.Errorf("at least %s, to be killed on the way", screen.Amount(minSize))
		}

		return err
	})
	flags.StringVar(&o.send, "send", "", "")
	flags.StringVar(&o.receive, "receive", "", "")

	return func() error {
		var err error
		flags.Visit(func(f *flag.Flag) {
			if f.Value.String() == "" && f.Name != "size" {
				err = fmt.Errorf("-%s needs a path", f.Name)
			}
		})
		switch {
		case err != nil:
			return err
		case o.send != "" && o.receive != "":
			return errors.New("-send and -receive exclude each other")
		case sized && o.send+o.receive != "":
			return errors.New("-size goes with the two processes")
		}

		return nil
	}
}
