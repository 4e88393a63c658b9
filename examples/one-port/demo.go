package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/process"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

// demo is the server; a second process is the peers. It ends when they have.
func demo(ctx context.Context, out *screen.Screen, opts *options) error {
	before := runtime.NumGoroutine()
	theirs, err := serveTheOther(ctx, out, opts)
	if err != nil {
		return err
	}
	ours := peer.Leftover(ctx, before)
	out.Line("  goroutines left: server %d, peers %d", ours, theirs)
	if ours+theirs > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

// serveTheOther returns how many goroutines the other process has left.
func serveTheOther(ctx context.Context, out *screen.Screen, opts *options) (left int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if err != nil { // when the context has ended, its cause says more than what it broke
			err = peer.CauseOr(ctx, err)
		}
	}()
	life, end := context.WithCancel(ctx)
	defer end()
	s, err := newServer(life, out, opts.port)
	if err != nil {
		return 0, err
	}
	defer func() { //nolint:contextcheck // life has ended
		end()
		err = errors.Join(err, s.close())
	}()
	if err = s.listen(ctx, opts.addr, cancel); err != nil {
		return 0, err
	}
	other, err := process.Start(ctx, "-connect", s.url, "-peers", fmt.Sprint(opts.peers))
	if err != nil {
		return 0, err
	}
	var last result
	go other.Listen(ctx, cancel, noSignaling, func(text json.RawMessage) error { return json.Unmarshal(text, &last) })
	defer other.Wait()
	defer func() { cancel(err) }() // ends the peers if they are still there

	out.Title(fmt.Sprintf("%d peers, in process %d; this one, the server, is %d", opts.peers, other.PID(), os.Getpid()))
	if err = peer.Await(ctx, other.Ready); err != nil {
		return 0, err
	}
	out.Line("  %s", last.connected())
	s.show()

	if err = peer.Await(ctx, other.Done); err != nil {
		return 0, err
	}
	out.Title("the peers have closed")
	closing, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
	defer closed()
	for s.count().live > 0 {
		if err = wait(closing, pause/10); err != nil {
			return 0, err
		}
	}
	stats := s.mux.Stats()
	s.mu.Lock()
	over := s.ended
	s.mu.Unlock()
	out.Line("  %d messages went there and back; %d sessions ended gracefully, %d otherwise",
		last.Messages, over.gracefully, over.otherwise)
	s.dropped(stats)
	out.Line("  left on the port: %d sessions, %d addresses", stats.Sessions, stats.Addresses)
	if last.Messages != rounds*opts.peers || over.gracefully != opts.peers || stats.Sessions+stats.Addresses > 0 {
		return 0, errors.New("that is not all, or something is left")
	}

	return other.Left(), nil
}

func noSignaling(signal.Message) error { return errors.New("signaling where there is none") }

// peersOnPipes is the second process.
func peersOnPipes(ctx context.Context, opts *options) error {
	return process.Answer(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, server *process.Parent) error {
		before := runtime.NumGoroutine() + 1 // the one that listens
		go server.Listen(ctx, cancel, noSignaling)
		r, err := runPeers(ctx, opts.connect, opts.peers, func(r result) error {
			if err := server.Note(r); err != nil {
				return err
			}

			return server.Tell(process.Report{Ready: true})
		})
		if err == nil {
			err = server.Note(r)
		}
		if err != nil {
			return err
		}

		return server.Tell(process.Report{Done: true, Left: peer.Leftover(ctx, before)})
	})
}
