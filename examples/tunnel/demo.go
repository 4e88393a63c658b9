package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/process"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

const (
	downloads    = 8
	downloadSize = 1 << 20
	uploadSize   = 4 << 20
)

// note is what b tells a: the address of its HTTP server, and what its end of
// the tunnel says.
type note struct {
	Server  string `json:"server,omitempty"`
	Stopped bool   `json:"stopped,omitempty"`
	Says    string `json:"says,omitempty"`
}

// stopServer is what a tells b when it has no more use for the server.
var stopServer = signal.Message{App: json.RawMessage(`"stop"`)}

// demo is side a: it listens, and makes requests through the tunnel to the HTTP
// server of side b.
func demo(ctx context.Context, show *screen.Screen) error {
	before := runtime.NumGoroutine()
	theirs, err := twoProcesses(ctx, show)
	if err != nil {
		return err
	}
	ours := peer.Leftover(ctx, before)
	show.Line("  goroutines left: a %d, b %d", ours, theirs)
	if ours+theirs > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

// twoProcesses returns how many goroutines b has left.
func twoProcesses(ctx context.Context, show *screen.Screen) (left int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the context has ended, its cause says more than what it broke.
	defer func() {
		if err != nil {
			err = peer.CauseOr(ctx, err)
		}
	}()
	a, err := peer.New(ctx, cancel, peer.Silent(), webrtc.ICERoleControlling, peer.OnLoopback())
	if err != nil {
		return 0, err
	}
	defer a.Abandon()
	b, err := process.Start(ctx)
	if err != nil {
		return 0, err
	}
	server, stopped := make(chan string, 1), make(chan struct{}, 1)
	go b.Listen(ctx, cancel, a.Take, func(text json.RawMessage) error {
		var n note
		if err := json.Unmarshal(text, &n); err != nil {
			return err
		}
		switch {
		case n.Says != "":
			show.Line("  b: %s", n.Says)
		case n.Stopped:
			stopped <- struct{}{}
		default:
			server <- n.Server
		}

		return nil
	})
	defer b.Wait()
	defer cancel(errors.New("side a has failed")) // ends b if it is still there
	show.Line("two processes: a is %d, b is %d", os.Getpid(), b.PID())
	if err = a.Trickle(b.Conn.Send); err != nil {
		return 0, err
	}
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if err = a.Connect(connecting); err != nil {
		return 0, peer.CauseOr(connecting, err)
	}
	if err = peer.Await(connecting, b.Ready); err != nil {
		return 0, err
	}
	if err = requests(ctx, show, a.SCTP, <-server, func() error {
		return errors.Join(b.Conn.Send(stopServer), peer.Await(ctx, stopped))
	}); err != nil {
		return 0, err
	}

	show.Title("close gracefully")
	if err = a.FinishInTime(ctx); err != nil {
		return 0, err
	}
	closing, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
	defer closed()
	if err = peer.Await(closing, b.Done); err != nil {
		return 0, err
	}
	b.Wait()

	return b.Left(), nil
}

// listening runs the end that listens for as long as use does.
func listening(
	ctx context.Context, show *screen.Screen, sctp *webrtc.SCTPTransport, use func(address string) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- forward(ctx, from, sctp, func(line string) { show.Line("  a: %s", line) })
	}()
	err = use(from.Addr().String())
	cancel(errDone)
	if failed := <-ended; !errors.Is(failed, errDone) {
		err = errors.Join(err, failed)
	}

	return err
}

var errDone = errors.New("all requests are done")

// requests makes all requests of the demo.
func requests(
	ctx context.Context, show *screen.Screen, sctp *webrtc.SCTPTransport, server string, stop func() error,
) error {
	return listening(ctx, show, sctp, func(address string) error {
		web := newClient()
		show.Line("%s asks a at %s, b asks its own HTTP server at %s", web.name, address, server)
		url := "http://" + address
		for _, step := range []struct {
			title string
			do    func() error
		}{
			{"one request", func() error {
				answer, err := web.fetch(ctx, url+"/hello", nil)
				if err == nil {
					show.Line("  %s: %s", web.name, strings.TrimSpace(string(answer)))
				}

				return err
			}},
			{fmt.Sprintf("%d requests at the same time, %s each", downloads, screen.Amount(downloadSize)), func() error {
				return download(ctx, show, web, url)
			}},
			{"send " + screen.Amount(uploadSize), func() error { return upload(ctx, show, web, url) }},
			{"a request when the server has gone", func() error {
				if err := stop(); err != nil {
					return err
				}
				_, err := web.fetch(ctx, url+"/hello", nil)
				if err == nil {
					return errors.New("an answer has come from nowhere")
				}
				show.Line("  %s: %v", web.name, err)

				return nil
			}},
		} {
			show.Title(step.title)
			if err := step.do(); err != nil {
				return err
			}
		}

		return nil
	})
}

// download compares what comes with what the server has.
func download(ctx context.Context, show *screen.Screen, web client, url string) error {
	begin := time.Now()
	failed := make(chan error, downloads)
	for number := range byte(downloads) {
		go func() {
			content, err := web.fetch(ctx, fmt.Sprintf("%s/content/%d/%d", url, number, downloadSize), nil)
			if err == nil {
				err = same(bytes.NewReader(content), contentOf(number, downloadSize))
			}
			failed <- err
		}()
	}
	var err error
	for range downloads {
		err = errors.Join(err, <-failed)
	}
	if err != nil {
		return err
	}
	took := time.Since(begin)
	show.Line("  %s: %d times the same content as at the server, %.2f s, %s", web.name, downloads,
		took.Seconds(), screen.Rate(downloads*downloadSize, took))

	return nil
}

func same(a, b io.Reader) error {
	ours, err := hashOf(a)
	if err != nil {
		return err
	}
	theirs, err := hashOf(b)
	if err == nil && ours != theirs {
		err = errors.New("other content has arrived than was sent")
	}

	return err
}

// upload compares the server's hash of what has arrived with ours.
func upload(ctx context.Context, show *screen.Screen, web client, url string) error {
	begin := time.Now()
	answer, err := web.fetch(ctx, url+"/hash", contentOf(0, uploadSize))
	if err != nil {
		return err
	}
	took := time.Since(begin)
	ours, err := hashOf(contentOf(0, uploadSize))
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(string(answer)) != ours:
		return errors.New("other content has arrived than was sent")
	}
	show.Line("  %s: the server has the same content, %.2f s, %s", web.name,
		took.Seconds(), screen.Rate(uploadSize, took))

	return nil
}

// connectOnPipes is side b, in a process of its own: an HTTP server, and the
// end of the tunnel that connects to it.
func connectOnPipes(ctx context.Context) error {
	return process.Answer(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, a *process.Parent) error {
		before := runtime.NumGoroutine() + 1 // the one that listens
		server, err := startServer(ctx)
		if err != nil {
			return err
		}
		defer server.stop() //nolint:errcheck // at the latest; see below
		b, err := peer.New(ctx, cancel, peer.Silent(), webrtc.ICERoleControlled, peer.OnLoopback())
		if err != nil {
			return err
		}
		defer b.Abandon()
		go a.Listen(ctx, cancel, func(m signal.Message) error {
			if m.App == nil {
				return b.Take(m)
			}

			return errors.Join(server.stop(), a.Note(note{Stopped: true}))
		})
		if err = b.Trickle(a.Send); err != nil {
			return err
		}
		connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
		defer connected()
		if err = b.Connect(connecting); err != nil {
			return peer.CauseOr(connecting, err)
		}
		if err = errors.Join(a.Note(note{Server: server.address()}), a.Tell(process.Report{Ready: true})); err != nil {
			return err
		}
		say := func(line string) { _ = a.Note(note{Says: line}) }
		if err = connectTo(ctx, server.address(), b.SCTP, say); !errors.Is(err, io.EOF) {
			return err
		}
		if err = b.FinishInTime(ctx); err != nil {
			return err
		}
		if err = server.stop(); err != nil {
			return err
		}
		connected()

		return a.Tell(process.Report{Done: true, Left: peer.Leftover(ctx, before)})
	})
}
