// Command roaming sends a file's worth of bytes while the sender's network goes
// away and another one comes, several times. The README beside it explains the
// parts.
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
	size  int64
	moves int
	way   string // restart or continual
}

const (
	defaultSize  = "64MiB"
	minSize      = 4 << 20
	maxSize      = 16 << 30
	defaultMoves = 5
	maxMoves     = 100

	wayRestart   = "restart"
	wayContinual = "continual"
)

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "roaming", Usage: usage, Flags: opts.flags,
		Answer: func(context.Context) error { return errors.New("there is one process alone") },
		Run:    func(ctx context.Context, out *screen.Screen) error { return roam(ctx, out, opts) },
	}.Main(os.Args[1:]))
}

const usage = `usage: roaming [-size SIZE] [-moves N] [-way restart|continual]

  -size SIZE  how much is sent, from 4MiB to 16GiB (default ` + defaultSize + `)
  -moves N    how often the sender's network changes meanwhile, 0 to 100 (default 5)
  -way WAY    restart: ICE restarts on the new network, which takes signaling (default)
              continual: ICE finds the new network by itself, without
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	var size string
	flags.StringVar(&size, "size", defaultSize, "")
	flags.IntVar(&o.moves, "moves", defaultMoves, "")
	flags.StringVar(&o.way, "way", wayRestart, "")

	return func() (err error) {
		if o.size, err = screen.ParseSize(size); err != nil {
			return fmt.Errorf("-size: %w", err)
		}
		switch {
		case o.size < minSize || o.size > maxSize:
			return errors.New("-size is from 4MiB to 16GiB")
		case o.moves < 0 || o.moves > maxMoves:
			return fmt.Errorf("-moves is a number from 0 to %d", maxMoves)
		case o.way != wayRestart && o.way != wayContinual:
			return errors.New("-way is restart or continual")
		}

		return nil
	}
}
