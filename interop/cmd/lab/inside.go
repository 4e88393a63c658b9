package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/netns"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

// grace is how long a case may go on after its deadline, to clean up.
const grace = 15 * time.Second

// worker does the tasks of one scenario, inside of our namespace.
type worker struct {
	order    order
	scenario *scenario
	net      *netns.Set
	env      *cases.Env
	version  string
}

// inside is the inner process. It returns how the process ends.
func inside(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 2
	}
	all := scenarios()
	at := slices.IndexFunc(all, func(s scenario) bool { return s.name == o.Scenario })
	if at < 0 {
		fmt.Fprintln(os.Stderr, "no scenario", o.Scenario)

		return 2
	}
	// Without the outer process nobody wants to know, and nobody removes the
	// network; the next run will.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	w := &worker{order: o, scenario: &all[at], net: netns.Attach(o.Prefix)}
	defer w.stop()
	for i, t := range w.scenario.tasks(o.Pattern, o.Direction, o.Fast) {
		if i < o.From {
			continue
		}
		tell(report{Begin: &i})
		row, hangs := w.task(t)
		if hangs {
			// The outer process notes the case, and goes on with another one.
			return 3
		}
		tell(report{Row: &row})
	}

	return 0
}

func tell(r report) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // made of plain values only
	}
	fmt.Println(string(line))
}

// task does one case. hangs says that our side has not come back.
func (w *worker) task(t task) (row table.Row, hangs bool) {
	row = table.Row{Peer: w.scenario.name, Case: t.Name, Direction: t.direction}
	known := w.scenario.peer.quirk(t.Name, t.direction, nil)
	if known != nil && known.outcome == table.Skipped {
		row.Version, row.Outcome, row.Note = w.version, table.Skipped, known.reason

		return row, false
	}
	begin := time.Now()
	result := make(chan error, 1)
	go func() { result <- w.do(t) }()
	var err error
	select {
	case err = <-result:
	case <-time.After(t.Deadline + grace):
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)

		return row, true
	}
	row.Version, row.Time = w.version, time.Since(begin)
	known = w.scenario.peer.quirk(t.Name, t.direction, err)
	switch {
	case err == nil:
		row.Outcome = table.OK
		if w.env != nil {
			row.Note = w.env.Notes()
		}
	case cases.Skipped(err):
		row.Outcome, row.Note = table.Skipped, err.Error()
	case known != nil:
		row.Outcome, row.Note = known.outcome, known.reason+" ("+err.Error()+")"
	default:
		row.Outcome, row.Note = table.Failed, err.Error()
	}
	if known != nil && err == nil {
		row.Note = "succeeds, although: " + known.reason
	}

	return row, false
}

// do runs a case within its deadline, with a peer that was left well by the one
// before or a new one.
func (w *worker) do(t task) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), t.Deadline,
		fmt.Errorf("the case's %s are over", t.Deadline))
	defer cancel()
	if err := w.start(ctx); err != nil {
		return err
	}
	w.env.Offer = t.direction == weOffer
	w.env.Reset()
	before := cases.Sockets()
	err := t.Run(ctx, w.env)
	if err == nil {
		err = settled(ctx, before)
	}
	if err != nil && !cases.Skipped(err) {
		if w.order.Verbose {
			fmt.Fprintf(os.Stderr, "--- %s of %s, %s:\n%s\n", t.Name, w.scenario.name, t.direction, w.env.Peer.Tail())
		}
		// What is known to go wrong in a peer does not spoil it for the others.
		if peer.Hangs(err) || w.scenario.peer.quirk(t.Name, t.direction, err) == nil {
			w.stop()
		}
	}

	return err
}

// settled waits until our sockets of a case are gone.
func settled(ctx context.Context, before int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for cases.Sockets() > before {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d sockets are left", cases.Sockets()-before)
		case <-time.After(5 * time.Millisecond):
		}
	}

	return nil
}

func (w *worker) start(ctx context.Context) error {
	if w.env != nil {
		select {
		case <-w.env.Peer.Gone():
			w.stop()
		default:
			return nil
		}
	}
	argv := append([]string{"env", "TMPDIR=" + w.net.Temp()}, w.scenario.argv...)
	p, err := peer.Start(ctx, w.scenario.peer.name, w.order.Dir, w.net.Command(w.scenario.where, argv...))
	if err != nil {
		return err
	}
	if p.Version() == "" {
		p.Stop()

		return errors.New("the peer does not say its version")
	}
	w.version = p.Version()
	w.env = &cases.Env{Peer: p, Net: w.net, Dir: w.order.Dir, Mirror: w.scenario.peer.mirror, Prefix: w.scenario.peer.prefix}

	return nil
}

func (w *worker) stop() {
	if w.env != nil {
		w.env.Peer.Stop()
		w.env = nil
	}
}
