// Command browser serves a page on this machine and connects to it: a chat, the
// round trip, the throughput and the states of both sides, drawn as they
// happen. The README beside it explains the parts.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are what the command line says.
type options struct {
	addr     string
	loopback bool
	keep     bool
	wait     time.Duration // for a page that connects

	typed     io.Reader        // lines for the page's chat; nil if there are none
	listening func(url string) // called once; may be nil
}

const (
	defaultAddr = "127.0.0.1:8080"
	defaultWait = 5 * time.Minute
)

func main() {
	opts := &options{typed: os.Stdin}
	os.Exit(opts.program().Main(os.Args[1:]))
}

func (o *options) program() command.Program {
	return command.Program{
		Name: "browser", Usage: usage, Flags: o.flags,
		Run:    func(ctx context.Context, out *screen.Screen) error { return serve(ctx, out, *o) },
		Answer: func(context.Context) error { return errors.New("there is no second process") },
	}
}

const usage = `usage: browser [-addr ADDRESS] [-loopback] [-wait TIME | -keep]

Serves a page, prints its address, and ends when the page's connection has.

  -addr ADDRESS  where to listen (default ` + defaultAddr + `; port 0 is any free one)
  -loopback      offer loopback addresses alone to the page; browsers use
                 them only if they are told to
  -wait TIME     how long to wait for a page that connects (default 5m)
  -keep          serve one page after the other, until interrupted
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.BoolVar(&o.loopback, "loopback", false, "")
	flags.BoolVar(&o.keep, "keep", false, "")
	flags.DurationVar(&o.wait, "wait", defaultWait, "")

	return func() error {
		if o.wait <= 0 {
			return errors.New("-wait is a time above zero, as 30s or 5m")
		}

		return nil
	}
}
