package webrtc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// life is what every transport and channel has in common: its state, with the
// lock that guards it, the group of its goroutines and the queue of its stack.
//
// Its methods take a nil *life, which is what a zero transport has, and answer
// with an error: no public call panics.
type life[S comparable] struct {
	layer  string // names the operations in errors: "ice", "dtls", …
	legal  transitions[S]
	closed S
	group  *lifecycle.Group

	// mu guards the fields below and those of the object whose life it is.
	mu      sync.Mutex
	events  *lifecycle.Queue
	state   S
	handler func(S)
	// observer is told every change under mu, as the queue is, and like the
	// queue takes nothing but a lock of its own under which it calls nobody. It
	// makes one state of those of many transports, in the order of the changes.
	observer func(S)
	waiters  []*stateWaiter[S]
	failure  error // of a start

	// torn is closed when the one call that ended the life has released what
	// the object held.
	torn chan struct{}
}

type stateWaiter[S comparable] struct {
	states  []S
	reached chan S // of one
}

func newLife[S comparable](layer string, legal transitions[S], first, closed S, events *lifecycle.Queue) *life[S] {
	return &life[S]{
		layer: layer, legal: legal, closed: closed, state: first,
		group: lifecycle.NewGroup(), events: events, torn: make(chan struct{}),
	}
}

// moveLocked changes the state if its table of transitions allows it, and tells
// handlers and waiters. It returns false, and nothing has changed, otherwise.
func (l *life[S]) moveLocked(to S) bool {
	if !l.legal.allows(l.state, to) {
		return false
	}
	l.state = to
	l.waiters = slices.DeleteFunc(l.waiters, func(w *stateWaiter[S]) bool {
		if !slices.Contains(w.states, to) {
			return false
		}
		w.reached <- to

		return true
	})
	if l.events == nil { // nobody is told, as of a data channel
		return true
	}
	// Under the lock, so that the order of the events is that of the changes.
	l.events.Post(l.group, func() {
		l.settled(to)
		call(l, &l.handler, to)
	})
	if l.observer != nil {
		l.observer(to)
	}

	return true
}

// call calls the handler that a field holds, if it holds one. The field is one
// of those that l.mu guards.
func call[S comparable, T any](l *life[S], field *func(T), value T) {
	l.mu.Lock()
	handler := *field
	l.mu.Unlock()
	if handler != nil {
		handler(value)
	}
}

// settled makes whoever is told of the end know its cause too.
func (l *life[S]) settled(state S) {
	if state == l.closed {
		_ = l.endCause()
	}
}

// endCause is the cause of a life whose state tells that it ends. The state is
// changed first, the cause follows at once, on the goroutine that ends the
// life and waits for nobody in between.
func (l *life[S]) endCause() error {
	<-l.group.Context().Done()

	return l.group.Cause()
}

// end ends the life with a cause, and everything that stands on it, then
// releases what the object held. All but the first call return false at once;
// what the first one has not released yet is waited for with awaitTorn.
func (l *life[S]) end(cause error, release func()) (first bool) {
	// The group is not quiet while something is released, and what that posts
	// is in the care of whoever waits for the group.
	defer l.group.Busy()()
	first = l.group.End(cause)
	if first {
		release()
		close(l.torn)
	}

	return first
}

func (l *life[S]) awaitTorn() { <-l.torn }

// current is the state, the zero value of a nil life.
func (l *life[S]) current() (state S) {
	if l == nil {
		return state
	}
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.state
}

func (l *life[S]) onState(handler func(S)) {
	l.set(func() { l.handler = handler })
}

// set changes a field that mu guards. On a nil life it does nothing.
func (l *life[S]) set(change func()) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// context is the object's Context; that of a nil life has ended.
func (l *life[S]) context() context.Context {
	if l == nil {
		return endedContext
	}

	return l.group.Context()
}

// endedContext is the context of transports that were not made by their
// constructor.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errNotConstructed)

	return ctx
}()

var errNotConstructed = errors.New("nil, or not made by its constructor")

// usable is the error of a call on an object that has no life.
func (l *life[S]) usable(op string) error {
	if l == nil {
		return refuse(op, ErrInvalidState, "%w", errNotConstructed)
	}

	return nil
}

// cause is why the life has ended, as an error of op.
func (l *life[S]) cause(op string) error {
	return opError(op, l.group.Cause())
}

// causeOr is why the life has ended, err if it has not.
func (l *life[S]) causeOr(err error) error {
	if cause := l.group.Cause(); cause != nil {
		return cause
	}

	return err
}

// queue is the queue of the stack.
func (l *life[S]) queue() *lifecycle.Queue {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.events
}

// startRefusedLocked refuses a start that is not the first, or comes after the
// end; first tells whether it would be the first.
func (l *life[S]) startRefusedLocked(op string, first bool) error {
	switch {
	case l.failure != nil:
		return refuse(op, ErrInvalidState, "an earlier start failed: %w", l.failure)
	case !first:
		return refuse(op, ErrInvalidState, "transport is %v: %w", l.state, l.causeOr(errStartedBefore))
	}

	return nil
}

var errStartedBefore = errors.New("it has been started before")

// start is StartContext behind its refusals. work connects, with no lock held.
// If ctx ends before it has, abort is called with the error of that, and has
// returned when start does; start never reports success then.
func (l *life[S]) start(ctx context.Context, op string, abort func(cause error), work func() error) error {
	abortNow := func() { abort(opError(op, contextError(ctx))) }
	var err error
	if ctx.Err() != nil {
		abortNow()
		err = contextError(ctx)
	} else {
		release := lifecycle.AbortOnDone(ctx, abortNow)
		err = work()
		if !release() {
			err = contextError(ctx)
		}
	}
	err = opError(op, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err

	return err
}

// within is ctx, ended also by the end of the life and, if it is above zero, by
// a timeout. Its cause tells which it was.
func (l *life[S]) within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancelCause := context.WithCancelCause(ctx)
	release := lifecycle.AbortOnDone(l.group.Context(), func() { cancelCause(l.group.Cause()) })
	cancel := func() {
		release()
		cancelCause(nil)
	}
	if timeout <= 0 {
		return ctx, cancel
	}
	ctx, stop := context.WithTimeoutCause(ctx, timeout, ErrHandshakeTimeout)

	return ctx, func() {
		stop()
		cancel()
	}
}

// shutdown is Shutdown: what graceful does, as far as ctx allows, then stop,
// and the object's own goroutines are waited for.
func (l *life[S]) shutdown(
	ctx context.Context, op string, graceful func(ctx context.Context) error, stop func(cause error),
) error {
	if err := l.usable(op); err != nil {
		return err
	}
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	err := graceful(ctx)
	stop(ErrClosed)

	return opError(op, and(err, l.tasksDone(ctx)))
}

// tasksDone waits for the object's own goroutines.
func (l *life[S]) tasksDone(ctx context.Context) error {
	if l.group.WaitTasks(ctx) != nil {
		return contextError(ctx)
	}

	return nil
}

// await blocks until one of the states is entered or was there already, until
// the life or the context ends. What comes first counts.
func (l *life[S]) await(ctx context.Context, op string, states ...S) (S, error) {
	var none S
	switch {
	case l == nil:
		return none, l.usable(op)
	case ctx == nil:
		return l.current(), refuse(op, ErrInvalidArgument, "nil context")
	case len(states) == 0:
		return l.current(), refuse(op, ErrInvalidArgument, "no state to wait for")
	}
	for _, state := range states {
		if len(l.legal[state]) == 0 && state != l.closed {
			return l.current(), refuse(op, ErrInvalidArgument, "%v is no state to wait for", state)
		}
	}

	w := &stateWaiter[S]{states: states, reached: make(chan S, 1)}
	l.mu.Lock()
	if state := l.state; slices.Contains(states, state) {
		l.mu.Unlock()
		l.settled(state)

		return state, nil
	}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	defer l.forget(w)

	var err error
	select {
	case state := <-w.reached:
		l.settled(state)

		return state, nil
	case <-l.group.Context().Done():
		err = l.cause(op)
	case <-ctx.Done():
		err = opError(op, contextError(ctx))
	}
	// A state that was reached counts, whatever ended in the same instant.
	select {
	case state := <-w.reached:
		l.settled(state)

		return state, nil
	default:
		return l.current(), err
	}
}

func (l *life[S]) forget(w *stateWaiter[S]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = slices.DeleteFunc(l.waiters, func(other *stateWaiter[S]) bool { return other == w })
}

// run is Run: it owns the rest of the life. stop ends it with a cause, and
// moves what has ended by itself on to closed.
func (l *life[S]) run(ctx context.Context, stop func(cause error)) error {
	op := "run"
	if l == nil {
		return l.usable(op)
	}
	op = l.layer + " run"
	if ctx == nil {
		return refuse(op, ErrInvalidArgument, "nil context")
	}
	release := lifecycle.AbortOnDone(ctx, func() { stop(opError(op, contextError(ctx))) })
	<-l.group.Context().Done()
	release()
	stop(ErrClosed)
	l.awaitTorn()
	if err := l.group.Wait(context.WithoutCancel(ctx)); err != nil {
		return opError(op, err)
	}
	if cause := l.group.Cause(); cause != ErrClosed { //nolint:errorlint // see gracefulEnd
		return cause
	}

	return nil
}

// graceful waits, after a shutdown, for the handlers as pion's Graceful calls
// do.
func (l *life[S]) graceful(err error) error {
	if l == nil {
		return err
	}

	return and(err, l.group.Wait(context.Background()))
}
