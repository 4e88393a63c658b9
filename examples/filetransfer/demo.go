package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/process"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const demoFile = "random.bin"

// demo sends a file to a second process, kills that on the way, starts it anew,
// and sends the rest.
func demo(ctx context.Context, show *screen.Screen, size int64) (err error) {
	before := runtime.NumGoroutine()
	dir, err := os.MkdirTemp("", "filetransfer")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err = errors.Join(os.Mkdir(from, 0o700), os.Mkdir(to, 0o700)); err != nil {
		return err
	}
	path := filepath.Join(from, demoFile)
	if err = writeRandom(ctx, path, size); err != nil {
		return err
	}
	file, err := openOutgoing(ctx, path)
	if err != nil {
		return err
	}
	defer file.Close()
	show.Line("%s: %s of random bytes\n  sha-256  %s", path, screen.Amount(size), file.SHA256)

	begin := time.Now()
	show.Title("send it from a to b, and kill b on the way")
	if err = firstAttempt(ctx, show, file, to); err != nil {
		return err
	}
	part, err := os.Stat(filepath.Join(to, demoFile+partSuffix))
	if err != nil {
		return err
	}
	show.Line("  b has left %s in %s", screen.Amount(part.Size()), part.Name())

	show.Title("start b anew, and send the rest")
	result, theirs, err := attempt(ctx, show, file, to, func(*process.Child, int64) {})
	if err != nil {
		return err
	}
	if result.resumed != part.Size() {
		return fmt.Errorf("%d bytes were there, and %d resumed", part.Size(), result.resumed)
	}

	show.Title("compare")
	whole, err := openOutgoing(ctx, filepath.Join(to, demoFile))
	if err != nil {
		return err
	}
	defer whole.Close()
	rest := size - result.resumed
	show.Line("  the rest    %s in %.2f s, %s", screen.Amount(rest), result.took.Seconds(), screen.Rate(rest, result.took))
	show.Line("  everything  %.2f s, both connections and the crash included", time.Since(begin).Seconds())
	show.Line("  sha-256  a  %s", file.SHA256)
	show.Line("           b  %s", whole.SHA256)
	if whole.header != file.header {
		return errors.New("another file has arrived than was sent")
	}
	show.Line("  the same at both ends")
	ours := peer.Leftover(ctx, before)
	show.Line("  goroutines left: a %d, b %d", ours, theirs)
	if ours+theirs > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

// firstAttempt kills b when a quarter of the file is on its disk. Half of the
// file is held back until then, so that b never gets more, however fast it is.
func firstAttempt(ctx context.Context, show *screen.Screen, file *outgoing, dir string) error {
	killed := make(chan struct{})
	kill := sync.OnceFunc(func() { close(killed) })
	var b *process.Child
	file.between = func(ctx context.Context, sent int64) error {
		if sent < file.Size/2 {
			return nil
		}

		return peer.Await(ctx, killed)
	}
	defer func() { file.between = nil }()
	_, _, err := attempt(ctx, show, file, dir, func(child *process.Child, written int64) {
		if written >= file.Size/4 {
			b = child
			if child.Kill() == nil {
				kill()
			}
		}
	})
	show.End()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return errors.New("the transfer has survived its receiver")
	case b == nil:
		return err
	}
	show.Line("  %v", err)

	return nil
}

// attempt is side a, which sends the file to a process that receives into the
// folder. wrote is called with what that has on its disk. It returns also how
// many goroutines that process has left.
func attempt(
	ctx context.Context, show *screen.Screen, file *outgoing, dir string, wrote func(b *process.Child, written int64),
) (result sent, left int, err error) {
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
		return result, 0, err
	}
	defer a.Abandon()
	b, err := process.Start(ctx, "-receive", dir)
	if err != nil {
		return result, 0, err
	}
	go b.Listen(ctx, cancel, a.Take, func(text json.RawMessage) error {
		var written int64
		if err := json.Unmarshal(text, &written); err != nil {
			return err
		}
		wrote(b, written)

		return nil
	})
	defer b.Wait()
	defer cancel(errors.New("side a has failed")) // ends b if it is still there
	show.Line("  two processes: a is %d, b is %d", os.Getpid(), b.PID())
	if err = a.Trickle(b.Conn.Send); err != nil {
		return result, 0, err
	}
	channel, err := openChannel(ctx, a)
	if err != nil {
		return result, 0, err
	}
	if result, err = file.send(ctx, show, channel); err != nil {
		return result, 0, err
	}
	if err = a.FinishInTime(ctx); err != nil {
		return result, 0, err
	}
	closing, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
	defer closed()
	if err = peer.Await(closing, b.Done); err != nil {
		return result, 0, err
	}
	b.Wait()

	return result, b.Left(), nil
}

// steps is how often b tells how much there is, on the whole.
const steps = 32

// receiveOnPipes is side b, in a process of its own.
func receiveOnPipes(ctx context.Context, dir string) error {
	return process.Answer(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, a *process.Parent) error {
		before := runtime.NumGoroutine() + 1 // the one that listens
		folder, err := openStore(dir)
		if err != nil {
			return err
		}
		defer folder.Close()
		b, err := peer.New(ctx, cancel, peer.Silent(), webrtc.ICERoleControlled, peer.OnLoopback())
		if err != nil {
			return err
		}
		defer b.Abandon()
		go a.Listen(ctx, cancel, b.Take)
		if err = b.Trickle(a.Send); err != nil {
			return err
		}
		connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
		defer connected()
		channel, err := b.Accept(connecting)
		if err != nil {
			return peer.CauseOr(connecting, err)
		}
		step := int64(0)
		if _, err = folder.receive(ctx, channel, func(r received) {
			if r.now*steps/max(1, r.Size) > step {
				step = r.now * steps / max(1, r.Size)
				_ = a.Note(r.now) // a broken pipe ends us anyway
			}
		}); err != nil {
			giveUp(ctx, channel, err)

			return err
		}
		if err = readToEnd(ctx, channel); err != nil {
			return err
		}
		if err = b.FinishInTime(ctx); err != nil {
			return err
		}
		connected()

		return a.Tell(process.Report{Done: true, Left: peer.Leftover(ctx, before)})
	})
}

// writeRandom makes a file that nothing can guess or compress.
func writeRandom(ctx context.Context, path string, size int64) error {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // has no errors
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = copyContext(ctx, file, io.LimitReader(rand.NewChaCha8(seed), size))

	return errors.Join(err, file.Close())
}
