package main

import (
	"context"
	"errors"
	"sync"
)

var (
	errFlood  = errors.New("the other side sends more than it may")
	errCredit = errors.New("the other side allows more than was sent")
)

// credit is how much may be sent: never more than a window beyond what the
// other side has passed on.
type credit struct {
	mu   sync.Mutex
	out  int           // bytes sent and not passed on
	more chan struct{} // of one, written when out falls
}

func newCredit() *credit { return &credit{more: make(chan struct{}, 1)} }

// room waits until something may be sent, and returns how much, at most n
// bytes. One goroutine may call it and use.
func (c *credit) room(ctx context.Context, n int) (int, error) {
	for {
		c.mu.Lock()
		n := min(n, window-c.out)
		c.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// use notes that n bytes are about to be sent.
func (c *credit) use(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out += n
}

// give takes the other side's word that it has passed n bytes on.
func (c *credit) give(n uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(n) > int64(c.out) {
		return errCredit
	}
	c.out -= int(n)
	wake(c.more)

	return nil
}

// arrived is what has come for the TCP connection, and is not written yet.
type arrived struct {
	mu     sync.Mutex
	buf    []byte
	held   int  // bytes in buf, and those taken and not freed
	ended  bool // no more will come
	change chan struct{}
}

func newArrived() *arrived { return &arrived{change: make(chan struct{}, 1)} }

// put adds content, and keeps within the window.
func (a *arrived) put(content []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.held+len(content) > window {
		return errFlood
	}
	a.held += len(content)
	a.buf = append(a.buf, content...)
	wake(a.change)

	return nil
}

func (a *arrived) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	wake(a.change)
}

// take waits for content and returns all that there is, in exchange for a
// buffer that is free. There is nothing at the end. One goroutine may call it.
func (a *arrived) take(ctx context.Context, free []byte) ([]byte, error) {
	for {
		a.mu.Lock()
		content, ended := a.buf, a.ended
		if len(content) > 0 {
			a.buf = free[:0]
		}
		a.mu.Unlock()
		if len(content) > 0 || ended {
			return content, nil
		}
		select {
		case <-a.change:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// free makes room for n bytes that have been written.
func (a *arrived) free(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held -= n
}

// wake wakes who waits, now or later.
func wake(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
