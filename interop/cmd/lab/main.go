// Command lab connects the library to other implementations, on networks that it
// makes for that and removes again. README.md of the module tells how to use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/install"
	"github.com/ctxrtc/webrtc/interop/internal/netns"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

// choice is what the command line asks for.
type choice struct {
	dir, peers, pattern, direction, results string
	fast, install, verbose                  bool
	jobs                                    int
}

func main() {
	var c choice
	inner := flag.String("inside", "", "for the command itself: what to do inside of a namespace")
	turn := flag.String("turn", "", "for the command itself: be a TURN server at an address")
	bad := flag.String("impair", "", "for the command itself: spoil the packets of a router")
	flag.StringVar(&c.dir, "dir", ".", "the `folder` of the laboratory")
	flag.StringVar(&c.peers, "peer", "", "the `peers` to run, with commas; all if empty")
	flag.StringVar(&c.pattern, "case", "*", "`patterns` of the cases to run, with commas")
	flag.StringVar(&c.direction, "direction", "*", "a `pattern` of the directions: \"we offer\" or \"peer offers\"")
	flag.StringVar(&c.results, "results", "", "the `file` to write the table to; of what is there, only what was run is replaced")
	flag.BoolVar(&c.fast, "fast", false, "run the fast peers alone, without what is known to go wrong in them")
	flag.BoolVar(&c.install, "install", false, "install what is missing")
	flag.BoolVar(&c.verbose, "v", false, "show what peers print to stderr when a case fails")
	flag.IntVar(&c.jobs, "jobs", 2, "how many peers run at the same time")
	flag.Parse()
	if *turn != "" {
		os.Exit(turnServer(*turn))
	}
	if *bad != "" {
		os.Exit(impair(*bad))
	}
	if *inner != "" {
		os.Exit(inside(*inner))
	}
	os.Exit(run(c))
}

func run(c choice) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	chosen, err := choose(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)

		return 2
	}
	if err := netns.Possible(); err != nil {
		fmt.Println("lab: skipped:", err)

		return 0
	}
	swept, err := netns.Sweep()
	if len(swept) > 0 {
		fmt.Println("lab: removed what a dead run had left:", strings.Join(swept, " "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: what a dead run had left:", err)
	}
	begin := time.Now()
	found := &findings{verbose: c.verbose}
	if c.install {
		chosen = installAll(ctx, c.dir, chosen, found)
	}
	runAll(ctx, c, chosen, found)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "lab: interrupted; everything is removed")

		return 130
	}
	failed := found.summary(time.Since(begin))
	if c.results != "" {
		merge := table.Merge
		if c.pattern != "*" || c.direction != "*" {
			merge = table.Update
		}
		if err := write(c.results, found.rows, merge); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)

			return 1
		}
	}
	if failed > 0 {
		return 1
	}

	return 0
}

// choose finds what the command line names.
func choose(c choice) ([]scenario, error) {
	if _, err := os.Stat(filepath.Join(c.dir, "peers", "node")); err != nil {
		return nil, fmt.Errorf("%s is not the folder of the laboratory, see -dir: %w", c.dir, err)
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(c.peers, ",") {
		if name != "" {
			wanted[name] = true
		}
	}
	var chosen []scenario
	for _, s := range scenarios() {
		named := wanted[s.name]
		delete(wanted, s.name)
		if named || c.peers == "" && (s.fast || !c.fast) {
			chosen = append(chosen, s)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("there is no peer %s", name)
	}

	return chosen, nil
}

// installAll leaves out the peers that cannot be had.
func installAll(ctx context.Context, dir string, chosen []scenario, found *findings) []scenario {
	var able []scenario
	failed := map[string]error{}
	done := map[string]bool{}
	for _, s := range chosen {
		if !done[s.peer.name] {
			done[s.peer.name] = true
			failed[s.peer.name] = install.Do(ctx, dir, s.peer.need)
		}
		if err := failed[s.peer.name]; err != nil {
			found.add(table.Row{
				Peer: s.name, Case: "install", Direction: "-", Outcome: table.Skipped, Note: err.Error(),
			})

			continue
		}
		able = append(able, s)
	}

	return able
}

// runAll runs scenarios, some of them at the same time.
func runAll(ctx context.Context, c choice, chosen []scenario, found *findings) {
	places := make(chan struct{}, max(1, c.jobs))
	var all sync.WaitGroup
	for i, s := range chosen {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			// Whatever happens in here, the namespaces of all scenarios are removed.
			defer func() {
				if p := recover(); p != nil {
					found.add(table.Row{
						Peer: s.name, Case: "-", Direction: "-", Outcome: table.Failed,
						Note: fmt.Sprint("the laboratory panics: ", p),
					})
				}
			}()
			if ctx.Err() == nil {
				outside(ctx, c, fmt.Sprint(i), &s, found)
			}
		})
	}
	all.Wait()
}

// write puts what was found into the table that is there.
func write(file string, rows []table.Row, merge func(before, run []table.Row) []table.Row) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	return os.WriteFile(file, table.Write(merge(table.Parse(before), rows)), 0o644)
}

// findings are the rows of this run.
type findings struct {
	verbose bool
	mu      sync.Mutex
	rows    []table.Row
}

func (f *findings) add(r table.Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
	fmt.Printf("%-7.7s %-12s %-15s %-12s %6d ms  %s\n",
		r.Outcome, r.Peer, r.Case, r.Direction, r.Time.Milliseconds(), r.Note)
}

// summary prints how it went, and returns how many cases have failed.
func (f *findings) summary(took time.Duration) int {
	count := make(map[table.Outcome]int)
	for _, r := range f.rows {
		count[r.Outcome]++
	}
	fmt.Printf("lab: %d ok, %d failed, %d defects of peers, %d skipped, in %.1f s\n",
		count[table.OK], count[table.Failed], count[table.Defect], count[table.Skipped], took.Seconds())

	return count[table.Failed]
}
