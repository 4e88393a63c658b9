package lifecycle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// idle tells whether a queue keeps nothing: no goroutine, no event, no array.
func (q *Queue) isIdle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()

	return !q.delivering && q.events == nil && q.idle == nil
}

func TestQueueDeliversInOrderOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		var got []int
		inside := 0
		begin := time.Now()
		for i := range 100 {
			q.Post(nil, func() {
				inside++
				require.Equal(t, 1, inside)
				time.Sleep(time.Millisecond) // a slow handler
				inside--
				got = append(got, i)
			})
		}
		require.Zero(t, time.Since(begin), "Post has waited")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, got, 100)
		for i, v := range got {
			require.Equal(t, i, v)
		}
		require.True(t, q.isIdle())
	})
}

// A handler may post; its event comes after those that wait.
func TestQueuePostFromAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		var got []string
		add := func(s string) func() { return func() { got = append(got, s) } }
		q.Post(nil, func() {
			add("first")()
			q.Post(nil, add("posted by the first"))
			synctest.Wait() // nobody else delivers meanwhile
			add("end of the first")()
		})
		q.Post(nil, add("second"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"first", "end of the first", "second", "posted by the first"}, got)
	})
}

// An event counts as a handler of its group from Post to the end of its
// delivery.
func TestQueueEventIsAHandlerOfItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		g := NewGroup()
		open := make(chan struct{})
		q.Post(nil, func() { <-open })
		delivered := false
		q.Post(g, func() {
			time.Sleep(time.Second)
			delivered = true
		})
		require.NoError(t, g.WaitTasks(context.Background()), "tasks alone")
		short, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.ErrorIs(t, g.Wait(short), context.DeadlineExceeded)
		close(open)
		require.NoError(t, g.Wait(context.Background()))
		require.True(t, delivered)
	})
}

func TestQueueForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var from, to Queue
		var mu sync.Mutex
		var got []string
		add := func(s string) func() {
			return func() {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, s)
			}
		}
		open := make(chan struct{})
		from.Post(nil, func() {
			<-open
			add("in progress")()
		})
		synctest.Wait()
		from.Post(nil, add("waited"))
		to.Post(nil, add("of the other queue"))
		from.Forward(&to)
		from.Forward(&to)        // again
		from.Forward(new(Queue)) // the first one stands
		to.Forward(&to)          // to itself
		from.Post(nil, add("after"))
		to.Post(nil, add("of the other queue, after"))
		synctest.Wait()
		require.Equal(t, []string{"of the other queue"}, got, "something has overtaken the handler in progress")
		close(open)
		synctest.Wait()
		require.Equal(t, []string{
			"of the other queue", "in progress", "waited", "after", "of the other queue, after",
		}, got)
		require.True(t, from.isIdle())
		require.True(t, to.isIdle())
	})
}

// Posters, slow handlers and a Forward at random instants: the events of each
// poster come in its order, one at a time over both queues from the Forward
// on, and none is lost.
func TestQueueRandomSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(2000) {
			random := rand.New(rand.NewPCG(seed, seed))
			var from, to Queue
			g := NewGroup()
			var mu sync.Mutex
			got := make(map[int][]int)
			var inside [2]atomic.Int32
			var forwarded atomic.Bool
			var wg sync.WaitGroup
			posted := 0
			for poster := range 4 {
				q, n := &from, random.IntN(8)
				if poster == 3 {
					q = &to
				}
				posted += n
				pauses := make([]time.Duration, 2*n)
				for i := range pauses {
					pauses[i] = time.Duration(random.IntN(5)) * time.Microsecond
				}
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range n {
						time.Sleep(pauses[2*i])
						wasForwarded := forwarded.Load()
						own := 0
						if q == &to || wasForwarded {
							own = 1
						}
						q.Post(g, func() {
							if inside[own].Add(1) != 1 {
								t.Errorf("seed %d: two at a time", seed)
							}
							if wasForwarded && inside[0].Load() != 0 {
								t.Errorf("seed %d: delivered beside an event from before the Forward", seed)
							}
							time.Sleep(pauses[2*i+1])
							mu.Lock()
							got[poster] = append(got[poster], i)
							mu.Unlock()
							inside[own].Add(-1)
						})
					}
				}()
			}
			time.Sleep(time.Duration(random.IntN(20)) * time.Microsecond)
			from.Forward(&to)
			forwarded.Store(true)
			wg.Wait()
			require.NoError(t, g.Wait(context.Background()))
			delivered := 0
			for poster, events := range got {
				delivered += len(events)
				for i, v := range events {
					require.Equal(t, i, v, "seed %d, poster %d: %v", seed, poster, events)
				}
			}
			require.Equal(t, posted, delivered, fmt.Sprint("seed ", seed))
			synctest.Wait()
			require.True(t, from.isIdle())
			require.True(t, to.isIdle())
			require.False(t, t.Failed())
		}
	})
}
