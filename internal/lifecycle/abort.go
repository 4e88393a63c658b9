package lifecycle

import (
	"context"
	"sync"
)

// AbortOnDone calls abort, once, if ctx ends before release is called: on a
// goroutine of its own, or on that of release.
//
// release tells whether ctx had not ended, so that the abort has not run and
// never will. If it returns false the abort has been called and has returned,
// and the operation that it was to end must not be reported as a success,
// whatever it returned: a connection that came up in the same instant is being
// torn down.
func AbortOnDone(ctx context.Context, abort func()) (release func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		abort()
	})

	return sync.OnceValue(func() bool {
		switch {
		case !stop():
			<-finished

			return false
		case ctx.Err() != nil:
			// A context tells those that wait for it one after the other: the
			// operation may have seen the end before the abort was told.
			abort()

			return false
		}

		return true
	})
}
