package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	errFirst  = errors.New("first")
	errSecond = errors.New("second")
)

func TestGroupEndsOnceWithTheFirstCause(t *testing.T) {
	g := NewGroup()
	require.NoError(t, g.Context().Err())
	require.NoError(t, g.Cause())
	require.True(t, g.End(errFirst))
	require.False(t, g.End(errSecond))
	require.ErrorIs(t, g.Cause(), errFirst)
	require.NotErrorIs(t, g.Cause(), errSecond)
	require.Equal(t, g.Cause(), context.Cause(g.Context()))
}

// follow makes a group that ends as its parent does, and counts how often it
// was told.
func follow(parent *Group, passing bool, told *int) *Group {
	g := NewGroup()
	g.Follow(parent, Follower{
		End: func(cause error) {
			*told++
			g.End(cause)
		},
		Shutdown: func(context.Context) error { return nil },
		Passing:  passing,
	})

	return g
}

// Followers have ended, at every depth, when End returns, and before its
// caller releases anything.
func TestGroupFollowersEndBeforeEndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told [4]int
		root := NewGroup()
		a := follow(root, false, &told[0])
		b := follow(a, true, &told[1])
		slow := NewGroup()
		slow.Follow(b, Follower{End: func(cause error) {
			time.Sleep(time.Second)
			slow.End(cause)
		}})
		standing, passing := follow(a, false, &told[2]), follow(a, true, &told[3])
		require.True(t, standing.End(errSecond))
		require.True(t, passing.End(errSecond))
		require.Len(t, a.followers, 2, "the passing one is forgotten")

		begin := time.Now()
		require.True(t, root.End(errFirst))
		require.Equal(t, time.Second, time.Since(begin))
		for _, g := range []*Group{a, b, slow} {
			require.ErrorIs(t, g.Cause(), errFirst)
		}
		for _, g := range []*Group{standing, passing} {
			require.ErrorIs(t, g.Cause(), errSecond)
		}
		require.Equal(t, [4]int{1, 1, 1, 0}, told)
		require.NoError(t, root.Wait(t.Context()))
	})
}

// What a follower begins when it is told is waited for, although it was quiet
// since its own end.
func TestGroupWaitsForWhatFollowersBeginWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, g, done := NewGroup(), NewGroup(), false
		g.Follow(root, Follower{End: func(error) {
			g.Go(func() {}) // quiet again
			synctest.Wait()
			g.Handle(func() {
				time.Sleep(time.Minute)
				done = true
			})
		}})
		g.End(errSecond)
		root.End(errFirst)
		require.NoError(t, root.Wait(t.Context()))
		require.True(t, done)
	})
}

// The context of the parent is done before its followers are told: they find
// the reason there.
func TestGroupParentHasEndedWhenFollowersAreTold(t *testing.T) {
	root, g := NewGroup(), NewGroup()
	var seen error
	g.Follow(root, Follower{End: func(cause error) {
		seen = root.Cause()
		g.End(cause)
	}})
	root.End(errFirst)
	require.ErrorIs(t, seen, errFirst)
}

func TestGroupFollowsOneThatHasEnded(t *testing.T) {
	for _, passing := range []bool{false, true} {
		root := NewGroup()
		root.End(errFirst)
		told := 0
		g := follow(root, passing, &told)
		require.Equal(t, 1, told)
		require.ErrorIs(t, g.Cause(), errFirst)
		require.Empty(t, root.followers)
		require.NoError(t, root.Wait(t.Context()))
	}
}

// A group that has ended before it follows is told of the end all the same,
// unless it is a passing one, of which nothing is kept.
func TestGroupFollowsAfterItsOwnEnd(t *testing.T) {
	for passing, want := range map[bool]int{true: 0, false: 1} {
		root, g, told := NewGroup(), NewGroup(), 0
		g.End(errFirst)
		g.Follow(root, Follower{End: func(error) { told++ }, Passing: passing})
		require.Len(t, root.followers, want)
		root.End(errSecond)
		require.Equal(t, want, told)
		require.ErrorIs(t, g.Cause(), errFirst)
		require.Empty(t, root.followers)
	}
}

func TestGroupShutdownAsksFollowersAndGoesOn(t *testing.T) {
	root := NewGroup()
	ctx := context.WithValue(context.Background(), "key", "value") //nolint:revive,staticcheck // of a test
	for _, err := range []error{errFirst, nil, errSecond} {
		NewGroup().Follow(root, Follower{Shutdown: func(got context.Context) error {
			require.Equal(t, ctx, got)

			return err
		}})
	}
	err := root.Shutdown(ctx)
	require.ErrorIs(t, err, errFirst)
	require.ErrorIs(t, err, errSecond)
	require.NoError(t, root.Cause())
}

// What Wait and WaitTasks wait for, seen from the followed group.
func TestGroupWaits(t *testing.T) {
	for _, row := range []struct {
		name  string
		busy  func(root, follower *Group, work func())
		tasks bool // WaitTasks of the followed group waits
		wait  bool // Wait does
	}{
		{"its task", func(root, _ *Group, work func()) { root.Go(work) }, true, true},
		{"its handler", func(root, _ *Group, work func()) { root.Handle(work) }, false, true},
		{"its timer's task", func(root, _ *Group, work func()) {
			root.After(0, work)
			synctest.Wait()
		}, true, true},
		{"its event", func(root, _ *Group, work func()) { new(Queue).Post(root, work) }, false, true},
		{"a follower's task", func(_, g *Group, work func()) { g.Go(work) }, false, true},
		{"a follower's handler", func(_, g *Group, work func()) { g.Handle(work) }, false, true},
		{"nothing", func(_, _ *Group, work func()) { go work() }, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				root, told := NewGroup(), 0
				g := follow(root, true, &told)
				begin := time.Now()
				row.busy(root, g, func() { time.Sleep(time.Minute) })
				require.True(t, root.End(errFirst))
				require.Zero(t, time.Since(begin), "End has waited")
				check := func(waits bool, wait func(context.Context) error) {
					short, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					if err := wait(short); waits {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					} else {
						require.NoError(t, err)
					}
				}
				check(row.tasks, root.WaitTasks)
				check(row.wait, root.Wait)
				require.NoError(t, root.Wait(t.Context()))
				if row.wait {
					require.Equal(t, time.Minute, time.Since(begin))
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// Closing work begins after the end, and is waited for like any other.
func TestGroupWaitsForWorkBegunAfterTheEnd(t *testing.T) {
	for name, begin := range map[string]func(g *Group, work func()){
		"task":    (*Group).Go,
		"handler": (*Group).Handle,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				root, g, done := NewGroup(), NewGroup(), false
				g.Follow(root, Follower{End: func(cause error) {
					g.End(cause)
				}})
				begin(g, func() { time.Sleep(time.Second) })
				root.End(errFirst)
				begin(g, func() {
					time.Sleep(time.Minute)
					done = true
				})
				require.NoError(t, root.Wait(t.Context()))
				require.True(t, done)
			})
		})
	}
}

// A passing group that has been forgotten, at any depth, is waited for when it
// works again: a handler that is set late gets what has waited for it.
func TestGroupWaitsForForgottenGroupsThatWorkAgain(t *testing.T) {
	for name, begin := range map[string]func(g *Group, work func()){
		"task":    (*Group).Go,
		"handler": (*Group).Handle,
		"event":   func(g *Group, work func()) { new(Queue).Post(g, work) },
		"follower": func(g *Group, work func()) {
			late := NewGroup()
			late.Go(work)
			late.Follow(g, Follower{End: func(cause error) { late.End(cause) }})
		},
	} {
		for _, ended := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " root ended ", ended), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					root, told := NewGroup(), 0
					middle := follow(root, true, &told)
					g := follow(middle, true, &told)
					if ended {
						root.End(errFirst)
					} else {
						middle.End(errFirst)
					}
					require.Empty(t, root.followers)
					done := false
					begin(g, func() {
						time.Sleep(time.Minute)
						done = true
					})
					require.NoError(t, root.Wait(t.Context()))
					require.True(t, done)
					require.Empty(t, root.followers)
					root.End(errSecond)
					require.ErrorIs(t, g.Cause(), errFirst)
				})
			})
		}
	}
}

// A follower that lives keeps Wait of the followed group, and lets go with its
// end.
func TestGroupWaitsForTheEndOfFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, told := NewGroup(), 0
		g := follow(root, true, &told)
		time.AfterFunc(time.Second, func() { g.End(errFirst) })
		begin := time.Now()
		require.NoError(t, root.Wait(context.Background()))
		require.Equal(t, time.Second, time.Since(begin))
		require.Empty(t, root.followers)
	})
}

func TestGroupAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup()
		begin := time.Now()
		var ran time.Duration
		stop := g.After(time.Second, func() { ran = time.Since(begin) })
		require.NoError(t, g.Wait(context.Background()), "a timer is nothing to wait for")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, time.Second, ran)
		require.False(t, stop())

		stop = g.After(time.Second, func() { t.Error("it was stopped") })
		require.True(t, stop())
		time.Sleep(time.Minute)
	})
}

// randomTree is a course of calls on a tree of groups.
type randomTree struct {
	t      *testing.T
	random *rand.Rand
	groups []*Group
	parent []int
	ends   []atomic.Int32 // how many calls of End have returned true
	told   []atomic.Int32
	work   []atomic.Int32 // tasks and handlers that run
	over   sync.WaitGroup
}

func newRandomTree(t *testing.T, seed uint64) *randomTree {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, seed))
	n := 2 + random.IntN(6)
	r := &randomTree{
		t: t, random: random, groups: make([]*Group, n), parent: make([]int, n),
		ends: make([]atomic.Int32, n), told: make([]atomic.Int32, n), work: make([]atomic.Int32, n),
	}
	for i := range r.groups {
		r.groups[i], r.parent[i] = NewGroup(), -1
		if i > 0 {
			r.parent[i] = random.IntN(i)
		}
	}

	return r
}

func (r *randomTree) pause() time.Duration {
	return time.Duration(r.random.IntN(20)) * time.Microsecond
}

func (r *randomTree) at(f func()) {
	pause := r.pause()
	r.over.Add(1)
	go func() {
		defer r.over.Done()
		time.Sleep(pause)
		f()
	}()
}

func (r *randomTree) end(i int, cause error) {
	if !r.groups[i].End(cause) {
		return
	}
	r.ends[i].Add(1)
}

// below are the group and all that follow it.
func (r *randomTree) below(i int) []int {
	all := []int{i}
	for k := i + 1; k < len(r.groups); k++ {
		for _, p := range all {
			if r.parent[k] == p {
				all = append(all, k)

				break
			}
		}
	}

	return all
}

func (r *randomTree) running(i int) (n int32) {
	for _, k := range r.below(i) {
		n += r.work[k].Load()
	}

	return n
}

func (r *randomTree) run(seed uint64) {
	for i := 1; i < len(r.groups); i++ {
		passing := r.random.IntN(2) == 0
		follow := func() {
			r.groups[i].Follow(r.groups[r.parent[i]], Follower{
				End: func(cause error) {
					r.told[i].Add(1)
					r.end(i, cause)
				},
				Passing: passing,
			})
		}
		if r.random.IntN(4) == 0 {
			r.at(follow)
		} else {
			follow()
		}
	}
	causes := make(map[error]bool)
	for range 2 + r.random.IntN(8) {
		i, long := r.random.IntN(len(r.groups)), r.pause()
		work := func() {
			time.Sleep(long)
			r.work[i].Add(-1)
		}
		switch r.random.IntN(5) {
		case 0, 1:
			cause := fmt.Errorf("cause %d of group %d", len(causes), i)
			causes[cause] = true
			r.at(func() { r.end(i, cause) })
		case 2:
			r.work[i].Add(1)
			r.groups[i].Go(work)
		case 3:
			r.work[i].Add(1)
			r.groups[i].Handle(work)
		default:
			r.at(func() { _ = r.groups[i].WaitTasks(context.Background()) })
		}
	}
	r.over.Wait()
	causes[errFirst] = true
	r.end(0, errFirst)
	// All have ended when the call has returned, or another's does.
	synctest.Wait()
	for i, g := range r.groups {
		require.Error(r.t, g.Context().Err(), "seed %d: group %d lives", seed, i)
		require.True(r.t, causes[g.Cause()], "seed %d: group %d has the cause %v", seed, i, g.Cause())
		require.Equal(r.t, int32(1), r.ends[i].Load(), "seed %d: ends of group %d", seed, i)
		require.LessOrEqual(r.t, r.told[i].Load(), int32(1), "seed %d: group %d is told twice", seed, i)
	}
	i := r.random.IntN(len(r.groups))
	require.NoError(r.t, r.groups[i].Wait(context.Background()))
	require.Zero(r.t, r.running(i), "seed %d: Wait of %d has not waited", seed, i)
	require.NoError(r.t, r.groups[0].Wait(context.Background()))
	for i, g := range r.groups {
		require.Zero(r.t, r.work[i].Load(), "seed %d: Wait has not waited for %d", seed, i)
		require.Empty(r.t, g.followers, "seed %d: group %d keeps followers", seed, i)
	}
}

func TestGroupRandomSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(4000) {
			newRandomTree(t, seed).run(seed)
		}
	})
}
