// Command record writes what a WHEP server plays, or what a browser's camera sends,
// into files. The README beside it explains the steps.
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
	url      string
	serve    bool
	browser  bool
	token    string
	video    string        // path of the file that is played
	audio    string        // the same
	output   string        // what the paths of the files that are written begin with
	duration time.Duration // zero: as long as a page sends
	addr     string
	loopback bool
	wait     time.Duration // for a page that sends
}

const (
	defaultOutput   = "out"
	defaultDuration = 3 * time.Second
	defaultAddr     = "127.0.0.1:8080"
	defaultWait     = 5 * time.Minute
)

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "record", Usage: usage, Flags: opts.flags,
		Run: func(ctx context.Context, out *screen.Screen) error {
			switch {
			case opts.serve:
				return serve(ctx, out, opts)
			case opts.browser:
				return recordBrowser(ctx, out, opts)
			case opts.url != "":
				return recordURL(ctx, out, opts)
			}

			return demo(ctx, out, opts)
		},
		Answer: func(context.Context) error { return errors.New("there is no second process") },
	}.Main(os.Args[1:]))
}

const usage = `usage: record [-o PATH] [-duration TIME]                  a server and a client on this machine
       record -url URL [-token TOKEN] [-o PATH] [-duration TIME]
                                                         what a WHEP server plays
       record -browser [-addr ADDRESS] [-o PATH] [-duration TIME]
                                                         what a page of a browser sends
       record -serve [-addr ADDRESS] [-token TOKEN]      a WHEP server, until interrupted

  -o PATH         what the names of the files begin with (default out: out.ivf or
                  out.h264 or out.h265, and out.ogg)
  -duration TIME  how long to record (default 3s; of a page until it stops)
  -url URL        the endpoint of a WHEP server
  -token TOKEN    what the server asks for
  -browser        serve a page that sends the camera, print its address
  -serve          play files to whoever asks by WHEP
  -video FILE     the server plays .ivf or .h264 (default the repository's test.ivf)
  -audio FILE     the server plays .ogg (default the repository's test.ogg)
  -addr ADDRESS   where to listen, of loopback (default ` + defaultAddr + `; port 0 is any
                  free one)
  -loopback       loopback addresses alone, with -url and -browser
  -wait TIME      how long to wait for a page (default 5m)
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	flags.StringVar(&o.url, "url", "", "")
	flags.BoolVar(&o.serve, "serve", false, "")
	flags.BoolVar(&o.browser, "browser", false, "")
	flags.StringVar(&o.token, "token", "", "")
	flags.StringVar(&o.video, "video", "", "")
	flags.StringVar(&o.audio, "audio", "", "")
	flags.StringVar(&o.output, "o", defaultOutput, "")
	flags.DurationVar(&o.duration, "duration", defaultDuration, "")
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.BoolVar(&o.loopback, "loopback", false, "")
	flags.DurationVar(&o.wait, "wait", defaultWait, "")

	return func() error {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if err := o.together(given); err != nil {
			return err
		}
		host, _, err := net.SplitHostPort(o.addr)
		switch {
		case given["url"] && o.url == "":
			return errors.New("-url needs the URL of an endpoint")
		case err != nil:
			return fmt.Errorf("-addr: %w", err)
		case host != "localhost" && !net.ParseIP(host).IsLoopback():
			return errors.New("-addr is on loopback, as 127.0.0.1:8080: what is served has no encryption")
		case o.duration <= 0 || o.wait <= 0:
			return errors.New("-duration and -wait are times above zero, as 30s or 5m")
		case o.output == "":
			return errors.New("-o needs what the names of the files begin with")
		}
		if o.browser && !given["duration"] {
			o.duration = 0
		}

		return nil
	}
}

// together refuses flags that do not go with each other.
func (o *options) together(given map[string]bool) error {
	modes := 0
	for _, mode := range []string{"url", "serve", "browser"} {
		if given[mode] {
			modes++
		}
	}
	if modes > 1 {
		return errors.New("-url, -serve and -browser exclude each other")
	}
	for name, with := range map[string]bool{
		"token":    given["url"] || o.serve,
		"video":    !given["url"] && !o.browser,
		"audio":    !given["url"] && !o.browser,
		"o":        !o.serve,
		"duration": !o.serve,
		"addr":     o.serve || o.browser,
		"loopback": given["url"] || o.browser,
		"wait":     o.browser,
	} {
		if given[name] && !with {
			return fmt.Errorf("-%s means nothing here", name)
		}
	}

	return nil
}
