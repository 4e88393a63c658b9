// Command publish sends files or GStreamer pipelines into a room by WHIP. The README
// beside it explains the parts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/publish/source"
)

// options are what the command line says.
type options struct {
	inputs []source.Input
	url    string
	token  string
	serve  string
}

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "publish", Usage: usage, Flags: opts.flags,
		Answer: func(context.Context) error { return errors.New("there is no second process") },
		Run: func(ctx context.Context, out *screen.Screen) error {
			if opts.serve != "" {
				return serve(ctx, out, opts)
			}

			return publish(ctx, out, opts)
		},
	}.Main(os.Args[1:]))
}

const usage = `usage: publish [-file FILE]... [-gst PIPELINE]... [-fps N] [-url URL] [-token TOKEN]
       publish -serve ADDRESS [-token TOKEN]

  -file FILE      publishes an .ivf, .ogg or .h264 file; any number of them
                  (default test.ivf and test.ogg of testdata/media)
  -gst PIPELINE   publishes what gst-launch-1.0 makes; any number of them, such as
                  "videotestsrc num-buffers=100 ! vp8enc ! rtpvp8pay"
  -fps N          pictures a second of .h264 files (default 30)
  -url URL        the room, a WHIP endpoint (default one in this process)
  -token TOKEN    the bearer token of the room
  -serve ADDRESS  is a room that others publish to, at 127.0.0.1:8080 for example
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	var files, pipelines texts
	var fps float64
	flags.Var(&files, "file", "")
	flags.Var(&pipelines, "gst", "")
	flags.Float64Var(&fps, "fps", 30, "")
	flags.StringVar(&o.url, "url", "", "")
	flags.StringVar(&o.token, "token", "", "")
	flags.StringVar(&o.serve, "serve", "", "")

	return func() error {
		switch {
		case o.serve != "" && (o.url != "" || len(files)+len(pipelines) > 0):
			return errors.New("-serve publishes nothing: it goes with -token alone")
		case o.serve != "":
			return nil
		case o.url != "":
			if u, err := url.Parse(o.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return fmt.Errorf("-url: %q is not an http or https URL", o.url)
			}
		}
		if len(files)+len(pipelines) == 0 {
			files = defaultFiles()
		}

		return o.open(files, pipelines, fps)
	}
}

func (o *options) open(files, pipelines []string, fps float64) error {
	for _, path := range files {
		input, err := source.File(path, fps)
		if err != nil {
			return fmt.Errorf("-file: %w", err)
		}
		o.inputs = append(o.inputs, input)
	}
	for _, text := range pipelines {
		input, err := source.Pipeline(text)
		if err != nil {
			return fmt.Errorf("-gst: %w", err)
		}
		o.inputs = append(o.inputs, input)
	}

	return nil
}

// defaultFiles are those of the checkout that the program was built in.
func defaultFiles() []string {
	_, here, _, _ := runtime.Caller(0)
	media := filepath.Join(filepath.Dir(here), "..", "..", "testdata", "media")

	return []string{filepath.Join(media, "test.ivf"), filepath.Join(media, "test.ogg")}
}

// texts is a flag that may come several times.
type texts []string

func (t *texts) String() string { return fmt.Sprint(*t) }

// Set adds one.
func (t *texts) Set(text string) error {
	*t = append(*t, text)

	return nil
}
