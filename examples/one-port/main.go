// Command one-port serves many peers on one UDP port and shows its sessions; a
// second process is the peers. The README beside it explains the parts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/ctxrtc/webrtc/examples/internal/command"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// options are what the command line says.
type options struct {
	serve   bool
	connect string // the server's URL
	peers   int
	addr    string // of the HTTP server
	port    uint16 // of all connections
}

const (
	defaultPeers = 100
	maxPeers     = 2000
	defaultAddr  = "127.0.0.1:0"
)

func main() {
	opts := &options{}
	os.Exit(command.Program{
		Name: "one-port", Usage: usage, Flags: opts.flags,
		Answer: func(ctx context.Context) error { return peersOnPipes(ctx, opts) },
		Run: func(ctx context.Context, out *screen.Screen) error {
			switch {
			case opts.serve:
				return serve(ctx, out, opts)
			case opts.connect != "":
				return connect(ctx, out, opts)
			}

			return demo(ctx, out, opts)
		},
	}.Main(os.Args[1:]))
}

const usage = `usage: one-port [-peers N]                           both sides, in two processes
       one-port -serve [-addr ADDRESS] [-port PORT]  the server, until interrupted
       one-port -connect URL [-peers N]              the peers, of a server on this machine

  -peers N       how many peers connect, 1 to 2000 (default 100)
  -serve         serve peers, and print the URL for -connect
  -addr ADDRESS  where to take offers over HTTP (default ` + defaultAddr + `: any free port)
  -port PORT     the UDP port of all connections (default 0: any free one)
  -connect URL   connect to a server
`

func (o *options) flags(flags *flag.FlagSet) (check func() error) {
	var port uint
	flags.BoolVar(&o.serve, "serve", false, "")
	flags.StringVar(&o.connect, "connect", "", "")
	flags.IntVar(&o.peers, "peers", defaultPeers, "")
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.UintVar(&port, "port", 0, "")

	return func() error {
		set := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		host, _, err := net.SplitHostPort(o.addr)
		if err != nil {
			return fmt.Errorf("-addr: %w", err)
		}
		switch {
		case o.serve && o.connect != "":
			return errors.New("-serve and -connect exclude each other")
		case o.serve && set["peers"]:
			return errors.New("-peers goes with the side that connects")
		case !o.serve && (set["addr"] || set["port"]):
			return errors.New("-addr and -port go with -serve")
		case o.peers < 1 || o.peers > maxPeers:
			return fmt.Errorf("-peers is a number from 1 to %d", maxPeers)
		case port > 0xffff:
			return errors.New("-port is a number up to 65535")
		case !net.ParseIP(host).IsLoopback():
			return errors.New("-addr has to be a loopback IP address: the server has no way to know who offers")
		}
		if o.connect != "" {
			if u, err := url.Parse(o.connect); err != nil || u.Scheme != "http" || u.Host == "" {
				return errors.New("-connect wants the URL that the server prints")
			}
		}
		o.port = uint16(port) //nolint:gosec // checked

		return nil
	}
}
