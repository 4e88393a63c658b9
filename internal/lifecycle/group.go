package lifecycle

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// Group is the life of one object: its context, the goroutines that it
// started, the handlers that run for it, and the groups that follow it.
//
// Tasks and handlers are counted apart, because a program may block in a
// handler for as long as it likes: whoever closes an object waits for its
// tasks alone, and only Run waits for the handlers too.
type Group struct {
	ctx    context.Context //nolint:containedctx // the life that the group stands for
	cancel context.CancelCauseFunc

	mu        sync.Mutex
	parent    *Group
	follower  Follower // how it takes part in the parent's end
	ended     bool
	cause     error
	tasks     int
	handlers  int
	followers map[*Group]Follower // until they have ended, are quiet, and have nothing to be told
	changed   Changes             // of what a waiter may wait for
}

// Follower is how a group takes part in the end of the one that it follows.
// Both functions are called with no lock held.
type Follower struct {
	// End has to end the following group if that has not ended by itself. It
	// is called once with the cause of the followed group, on the goroutine
	// that ends that.
	End func(cause error)
	// Shutdown ends the following group gracefully, as far as ctx allows.
	Shutdown func(ctx context.Context) error
	// Passing groups are forgotten when they have ended, so that any number
	// of them may come and go. The others are told of the end of the followed
	// group also if they have ended before.
	Passing bool
}

// NewGroup returns a group that follows no other.
func NewGroup() *Group {
	ctx, cancel := context.WithCancelCause(context.Background())

	return &Group{ctx: ctx, cancel: cancel}
}

// Follow makes g end with parent. If parent has ended already, f.End is called
// now. A group follows one other at most.
func (g *Group) Follow(parent *Group, f Follower) {
	parent.mu.Lock()
	ended, cause := parent.ended, parent.cause
	if parent.followers == nil {
		parent.followers = make(map[*Group]Follower)
	}
	parent.followers[g] = f
	parent.mu.Unlock()

	g.mu.Lock()
	g.parent, g.follower = parent, f
	g.mu.Unlock()
	if ended {
		parent.rejoin()
		f.End(cause)
	}
	g.settle() // it may have ended by itself before
}

// Context is done when the group has ended; its cause says why.
func (g *Group) Context() context.Context { return g.ctx }

// Cause is the reason of the end, nil before it.
func (g *Group) Cause() error { return context.Cause(g.ctx) }

// End ends the group with a cause, then every group that follows it. Only the
// first call does: it returns true, after all followers have ended.
// Goroutines are not waited for.
func (g *Group) End(cause error) bool {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()

		return false
	}
	g.ended, g.cause = true, cause
	followers := maps.Clone(g.followers)
	g.mu.Unlock()

	g.cancel(cause)
	for follower, f := range followers {
		f.End(cause)
		follower.settle() // it may have ended long ago
	}
	g.settle()

	return true
}

// Shutdown ends every follower gracefully, one after the other, and returns
// their errors. The group itself goes on.
func (g *Group) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	followers := maps.Clone(g.followers)
	g.mu.Unlock()
	errs := make([]error, 0, len(followers))
	for _, f := range followers {
		errs = append(errs, f.Shutdown(ctx))
	}

	return errors.Join(errs...)
}

// Go runs a task of the group on a goroutine of its own. Closing work is a
// task too, so it may start after the end.
func (g *Group) Go(task func()) {
	g.count(&g.tasks, 1)
	go func() {
		defer g.count(&g.tasks, -1)
		task()
	}()
}

// Busy counts the caller as a task of the group until done is called.
func (g *Group) Busy() (done func()) {
	g.count(&g.tasks, 1)

	return func() { g.count(&g.tasks, -1) }
}

// Handle runs a handler of the program on a goroutine of its own. It may
// block for ever; only Wait cares.
func (g *Group) Handle(handler func()) {
	g.count(&g.handlers, 1)
	go func() {
		defer g.count(&g.handlers, -1)
		handler()
	}()
}

// After runs a task when d has passed, unless stop is called before. The
// pending timer is not waited for, so the group's end has to stop it.
func (g *Group) After(d time.Duration, task func()) (stop func() bool) {
	timer := time.AfterFunc(d, func() {
		g.count(&g.tasks, 1)
		defer g.count(&g.tasks, -1)
		task()
	})

	return timer.Stop
}

// WaitTasks blocks until no task of the group runs, or ctx ends and its error
// is returned. It must not be called from a task.
func (g *Group) WaitTasks(ctx context.Context) error {
	return g.wait(ctx, func() bool { return g.tasks == 0 })
}

// Wait blocks until no task and no handler runs, neither of the group nor of
// those that follow it. It must not be called from a task or a handler.
func (g *Group) Wait(ctx context.Context) error {
	return g.wait(ctx, func() bool { return g.tasks == 0 && g.handlers == 0 && len(g.followers) == 0 })
}

func (g *Group) wait(ctx context.Context, quiet func() bool) error {
	for {
		g.mu.Lock()
		if quiet() {
			g.mu.Unlock()

			return nil
		}
		changed := g.changed.Next()
		g.mu.Unlock()

		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count adds to one of the two counters, which are fields of g.
func (g *Group) count(counter *int, n int) {
	g.mu.Lock()
	*counter += n
	if *counter == 0 {
		g.changed.Note()
	}
	ended := g.ended
	g.mu.Unlock()
	if n > 0 && ended {
		g.rejoin()
	}
	if n < 0 || ended {
		g.settle()
	}
}

// rejoin takes a group that works again after its end back into its parent's
// care, should that have let it go.
func (g *Group) rejoin() {
	g.mu.Lock()
	p, f := g.parent, g.follower
	g.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	_, followed := p.followers[g]
	if !followed {
		p.followers[g] = f
	}
	ended := p.ended
	p.mu.Unlock()
	if ended && !followed {
		p.rejoin()
	}
}

// settle takes a group that has ended and is quiet out of its parent's care,
// if that has nothing more to tell it.
func (g *Group) settle() {
	g.mu.Lock()
	p := g.parent
	quiet := g.ended && g.tasks == 0 && g.handlers == 0 && len(g.followers) == 0
	g.mu.Unlock()
	if p == nil || !quiet {
		return
	}
	p.mu.Lock()
	f, followed := p.followers[g]
	followed = followed && (p.ended || f.Passing)
	if followed {
		delete(p.followers, g)
		if len(p.followers) == 0 {
			p.changed.Note()
		}
	}
	p.mu.Unlock()
	if followed {
		p.settle()
	}
}
