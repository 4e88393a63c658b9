package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// run is a run of the program within the test, on loopback.
type run struct {
	url    string
	keys   io.Writer // what is typed
	cancel context.CancelCauseFunc

	out  *os.File
	done chan struct{}
	err  error
}

// start starts it, and returns when it listens. It ends with the test.
func start(t *testing.T, change func(*options)) *run {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	typed, keys := io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &run{keys: keys, cancel: cancel, out: out, done: make(chan struct{})}
	urls := make(chan string, 1)
	opts := options{
		addr: "127.0.0.1:0", loopback: true, wait: 30 * time.Second, typed: typed,
		listening: func(url string) { urls <- url },
	}
	if change != nil {
		change(&opts)
	}
	go func() {
		defer close(r.done)
		r.err = serve(ctx, screen.New(out), opts)
	}()
	t.Cleanup(func() {
		cancel(nil)
		<-r.done
		require.NoError(t, keys.Close())
		require.NoError(t, out.Close())
	})
	select {
	case r.url = <-urls:
	case <-r.done:
		require.NoError(t, r.err)
	}

	return r
}

// ended waits for the program's end.
func (r *run) ended() error {
	select {
	case <-r.done:
		return r.err
	case <-time.After(10 * time.Second):
		return context.DeadlineExceeded
	}
}

func (r *run) printed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.out.Name())
	require.NoError(t, err)

	return string(text)
}
