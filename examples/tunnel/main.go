// Command tunnel forwards a TCP port through a connection between two peers:
// each TCP connection is a data channel. The README beside it explains the
// steps and the protocol.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are the addresses that the command line says.
type options struct{ listen, connect string }

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "tunnel", Usage: usage, Flags: opts.flags, Answer: connectOnPipes,
		Run: func(ctx context.Context, out *screen.Screen) error {
			switch {
			case opts.listen != "":
				return listenOnPaste(ctx, out, opts.listen)
			case opts.connect != "":
				return connectOnPaste(ctx, out, opts.connect)
			}

			return demo(ctx, out)
		},
	}.Main(os.Args[1:]))
}

const usage = `usage: tunnel                    two processes on this machine, and requests through them
       tunnel -listen ADDRESS    the first of two terminals on this machine
       tunnel -connect ADDRESS   the second of two terminals on this machine

  -listen ADDRESS   print an offer, read the answer from standard input, then
                    take TCP connections at an address such as 127.0.0.1:8080
  -connect ADDRESS  read an offer from standard input, print the answer, then
                    connect to an address such as 127.0.0.1:80 for each of them
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	address := func(to *string) func(string) error {
		return func(text string) error {
			if _, port, err := net.SplitHostPort(text); err != nil {
				return err
			} else if port == "" {
				return fmt.Errorf("address %s: missing port in address", text)
			}
			*to = text

			return nil
		}
	}
	flags.Func("listen", "", address(&o.listen))
	flags.Func("connect", "", address(&o.connect))

	return func() error {
		if o.listen != "" && o.connect != "" {
			return errors.New("-listen and -connect exclude each other")
		}

		return nil
	}
}
