package lifecycle

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAbortOnDoneOutcomes(t *testing.T) {
	for _, row := range []struct {
		name     string
		ended    time.Duration // when the context ends, negative for never
		released time.Duration
		want     bool
	}{
		{"never ends", -1, time.Second, true},
		{"ended before", 0, 0, false},
		{"ends first", time.Second, 2 * time.Second, false},
		{"released first", 2 * time.Second, time.Second, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := context.Background()
				if row.ended >= 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.ended)
					defer cancel()
				}
				aborts := 0
				release := AbortOnDone(ctx, func() { aborts++ })
				time.Sleep(row.released)
				require.Equal(t, row.want, release())
				if row.want {
					require.Zero(t, aborts)
				} else {
					require.Equal(t, 1, aborts)
				}
				time.Sleep(time.Hour)
				require.Equal(t, row.want, release(), "the second answer is another")
				if row.want {
					require.Zero(t, aborts, "aborted after the release")
				} else {
					require.Equal(t, 1, aborts)
				}
			})
		})
	}
}

// release waits for an abort that is running.
func TestAbortOnDoneReleaseWaitsForTheAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		returned := false
		release := AbortOnDone(ctx, func() {
			time.Sleep(time.Second)
			returned = true
		})
		cancel()
		synctest.Wait()
		begin := time.Now()
		require.False(t, release())
		require.True(t, returned)
		require.Equal(t, time.Second, time.Since(begin))
	})
}

// The end of the context and the release at once, at many points of the
// scheduler: one outcome, and the abort is over when release tells of it.
func TestAbortOnDoneHasOneOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 5000 {
			ctx, cancel := context.WithCancel(context.Background())
			var begun, over atomic.Int32
			release := AbortOnDone(ctx, func() {
				begun.Add(1)
				over.Add(1)
			})
			go cancel()
			if release() {
				synctest.Wait()
				require.Zero(t, begun.Load(), "aborted after the release")
			} else {
				require.Equal(t, int32(1), over.Load())
				synctest.Wait()
				require.Equal(t, int32(1), begun.Load())
			}
			cancel()
		}
	})
}

// foreign is a context that is not the standard library's: those that wait for
// it are told by the scheduler, in any order.
type foreign struct {
	context.Context

	done  chan struct{}
	ended atomic.Bool
}

func (c *foreign) Done() <-chan struct{} { return c.done }

func (c *foreign) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}

	return nil
}

// An operation that has seen its context's end is never told that the abort
// has not run: contexts tell one after the other.
func TestAbortOnDoneKnowsWhatTheOperationHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 5000 {
			ctx := &foreign{Context: context.Background(), done: make(chan struct{})}
			aborts := 0
			release := AbortOnDone(ctx, func() { aborts++ })
			ctx.ended.Store(true)
			close(ctx.done)
			require.False(t, release())
			require.Equal(t, 1, aborts)
		}
	})
}
