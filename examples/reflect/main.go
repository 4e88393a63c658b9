// Command reflect sends a browser's camera back to it. The README beside it explains
// the steps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are what the command line says.
type options struct {
	browser  bool
	frames   int // that the peer in the place of a browser sends
	addr     string
	loopback bool
	wait     time.Duration // for a page that sends
}

const (
	defaultFrames = 90
	maxFrames     = 9000
	defaultAddr   = "127.0.0.1:8080"
	defaultWait   = 5 * time.Minute
)

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "reflect", Usage: usage, Flags: opts.flags,
		Run: func(ctx context.Context, out *screen.Screen) error {
			if opts.browser {
				return reflectBrowser(ctx, out, opts)
			}

			return demo(ctx, out, opts)
		},
		Answer: func(context.Context) error { return errors.New("there is no second process") },
	}.Main(os.Args[1:]))
}

const usage = `usage: reflect [-frames N]                             a peer of this program's plays the browser
       reflect -browser [-addr ADDRESS] [-wait TIME]   a page, which ends when that stops

  -frames N      how many frames of video the peer sends (default 90: three seconds)
  -browser       serve a page that sends the camera, print its address
  -addr ADDRESS  where to listen, of loopback (default ` + defaultAddr + `; port 0 is any
                 free one)
  -loopback      offer loopback addresses alone to the page; browsers use them
                 only if they are told to
  -wait TIME     how long to wait for a page (default 5m)
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	flags.BoolVar(&o.browser, "browser", false, "")
	flags.IntVar(&o.frames, "frames", defaultFrames, "")
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.BoolVar(&o.loopback, "loopback", false, "")
	flags.DurationVar(&o.wait, "wait", defaultWait, "")

	return func() error {
		var err error
		flags.Visit(func(f *flag.Flag) {
			if f.Name != "browser" && o.browser == (f.Name == "frames") {
				err = fmt.Errorf("-%s means nothing here", f.Name)
			}
		})
		host, _, wrong := net.SplitHostPort(o.addr)
		switch {
		case err != nil:
			return err
		case wrong != nil:
			return fmt.Errorf("-addr: %w", wrong)
		case host != "localhost" && !net.ParseIP(host).IsLoopback():
			return errors.New("-addr is on loopback, as 127.0.0.1:8080: browsers have no camera for other pages")
		case o.frames < 1 || o.frames > maxFrames:
			return fmt.Errorf("-frames is from 1 to %d", maxFrames)
		case o.wait <= 0:
			return errors.New("-wait is a time above zero, as 30s or 5m")
		}

		return nil
	}
}
