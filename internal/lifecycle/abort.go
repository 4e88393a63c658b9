package lifecycle

import (
	"context"
	"sync"
)

// AbortOnDone calls abort, once, on a goroutine of its own, if ctx ends
// before release is called.
//
// release tells whether the abort has certainly not run and never will. If it
// returns false the abort has been called and has returned, and the operation
// that it was to end must not be reported as a success, whatever it returned:
// a connection that came up in the same instant is being torn down.
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
		if stop() {
			return true
		}
		<-finished

		return false
	})
}
