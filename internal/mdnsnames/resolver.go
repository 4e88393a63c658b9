// Package mdnsnames finds the addresses of names that end in .local, which
// peers have in place of the addresses of their host candidates, by multicast
// DNS (RFC 6762).
//
// Any number of users share the sockets of one [Resolver]: they are opened at
// the first name that is asked for, and closed when the last user that has
// asked for one ends.
// https://datatracker.ietf.org/doc/html/draft-ietf-mmusic-mdns-ice-candidates
package mdnsnames

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	// queryTime is how long a name may take. Questions are repeated in the
	// meantime, since any of them, or the answer, may be lost.
	queryTime = 10 * time.Second

	// maxQueries is how many names are asked for at once.
	maxQueries = 128
)

var (
	errNoName = errors.New("not a name of one label and .local")
	errEnded  = errors.New("the user of the resolver has ended")
	errSilent = fmt.Errorf("nobody has answered within %v", queryTime)
)

// querier is a connection of multicast DNS.
type querier interface {
	QueryAddr(ctx context.Context, name string) (dnsmessage.ResourceHeader, netip.Addr, error)
	Close() error
	// Outdated tells that the interfaces of the machine have changed since.
	Outdated() bool
}

// Resolver asks for names. Its methods may be called from any goroutine; none
// of them holds a lock while something is opened, closed, asked or read.
type Resolver struct {
	open  func() (querier, error)
	turns chan struct{} // of the names that are asked for at once

	mu      sync.Mutex
	users   int         // that have asked for a name and have not ended
	current *connection // nil if none is open or being opened
	asking  int         // how many use it
	queries map[string]*query
}

// connection is one that is open, being opened, or has failed.
type connection struct {
	ready chan struct{} // closed when the fields below are set for good
	conn  querier
	err   error
}

// query is one name, for all that wait for it.
type query struct {
	done chan struct{} // closed when the fields below are set
	addr netip.Addr
	err  error
	// unfinished tells that whoever asked has ended before, which says nothing
	// of the name.
	unfinished bool
}

// New makes a resolver. It opens nothing.
func New(config Config) *Resolver {
	return newResolver(func() (querier, error) {
		conn, err := config.open()
		if err != nil { // not a nil pointer in an interface
			return nil, err
		}

		return conn, nil
	})
}

func newResolver(open func() (querier, error)) *Resolver {
	return &Resolver{open: open, turns: make(chan struct{}, maxQueries), queries: make(map[string]*query)}
}

// User is one of those that share a resolver. It has to be ended.
type User struct {
	resolver *Resolver
	tasks    *lifecycle.Group

	// The resolver's lock guards these.
	asked, ended bool
}

// User makes one. tasks runs what opens sockets, which may block for as long as
// the program's own network does.
func (r *Resolver) User(tasks *lifecycle.Group) *User { return &User{resolver: r, tasks: tasks} }

// End ends a user. If it was the last one the sockets are closed, and the
// goroutines that read from them are gone, when it returns. Names that are
// still asked for may fail then.
func (u *User) End() {
	r := u.resolver
	r.mu.Lock()
	if u.asked && !u.ended {
		r.users--
	}
	u.ended = true
	var conn querier
	if r.users == 0 {
		conn = r.dropLocked()
	}
	r.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// dropLocked takes the connection out of use. It returns what is to be closed:
// nothing as long as it is being opened, which ends with its being closed.
func (r *Resolver) dropLocked() querier {
	c := r.current
	r.current = nil
	if c == nil {
		return nil
	}

	return c.conn
}

// Lookup returns an address that somebody gives for a name: the first answer
// counts. It takes 10 s at most from when it is the name's turn, and returns
// at once when ctx ends. 128 names are asked for at once: a user has to leave
// some to others.
func (u *User) Lookup(ctx context.Context, name string) (netip.Addr, error) {
	if !Valid(name) {
		return netip.Addr{}, errNoName
	}
	if err := u.begin(); err != nil {
		return netip.Addr{}, err
	}
	if ctx.Err() != nil {
		return netip.Addr{}, context.Cause(ctx)
	}

	return u.ask(ctx, strings.ToLower(name))
}

// Valid tells whether a name may be asked for: those of more than one label are
// not names of this kind.
// https://datatracker.ietf.org/doc/html/draft-ietf-mmusic-mdns-ice-candidates#section-3.2.1
func Valid(name string) bool {
	label, ok := strings.CutSuffix(name, ".local")

	return ok && label != "" && len(label) <= 63 && !strings.ContainsAny(label, ".\x00")
}

// begin counts the user as one that has asked.
func (u *User) begin() error {
	r := u.resolver
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.ended {
		return errEnded
	}
	if !u.asked {
		u.asked = true
		r.users++
	}

	return nil
}

// ask has a name asked for once at a time. The first who wants it asks, on its
// own goroutine; the others wait, and one of them takes over if the first ends.
func (u *User) ask(ctx context.Context, name string) (netip.Addr, error) {
	r := u.resolver
	for {
		r.mu.Lock()
		q, asked := r.queries[name]
		if !asked {
			q = &query{done: make(chan struct{})}
			r.queries[name] = q
		}
		r.mu.Unlock()
		if !asked {
			q.addr, q.err = u.question(ctx, name)
			q.unfinished = q.err != nil && ctx.Err() != nil
			r.mu.Lock()
			delete(r.queries, name)
			r.mu.Unlock()
			close(q.done)

			return q.addr, q.err
		}
		select {
		case <-q.done:
			if !q.unfinished {
				return q.addr, q.err
			}
		case <-ctx.Done():
			return netip.Addr{}, context.Cause(ctx)
		}
	}
}

// question asks the network.
func (u *User) question(ctx context.Context, name string) (netip.Addr, error) {
	r := u.resolver
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return netip.Addr{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, queryTime, errSilent)
	defer cancel()
	r.count(1)
	defer r.count(-1)
	conn, err := u.connected(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	_, addr, err := conn.QueryAddr(ctx, name)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}

	return addr, err
}

func (r *Resolver) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking += n
}

// connected returns the connection, which is opened if there is none, or a
// new one if the machine has other interfaces by now. As long as others use it
// it stays as it is.
func (u *User) connected(ctx context.Context) (querier, error) {
	r := u.resolver
	for {
		c := r.connection(u)
		select {
		case <-c.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if c.err != nil || r.shared() {
			return c.conn, c.err
		}
		outdated := make(chan bool, 1)
		u.tasks.Handle(func() { outdated <- c.conn.Outdated() }) // the program's network may block
		select {
		case is := <-outdated:
			if !is {
				return c.conn, c.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !r.replace(c) {
			return c.conn, c.err
		}
	}
}

// shared tells whether others use the connection, too.
func (r *Resolver) shared() bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.asking > 1
}

// replace closes a connection, unless somebody else uses it by now.
func (r *Resolver) replace(c *connection) bool {
	r.mu.Lock()
	ok := r.current == c && r.asking == 1
	if ok {
		r.current = nil
	}
	r.mu.Unlock()
	if ok {
		_ = c.conn.Close()
	}

	return ok
}

// connection returns the current one, or has it opened for a user.
func (r *Resolver) connection(u *User) *connection {
	r.mu.Lock()
	c := r.current
	fresh := c == nil
	if fresh {
		c = &connection{ready: make(chan struct{})}
		if u.ended {
			c.err = errEnded
			close(c.ready)
			r.mu.Unlock()

			return c
		}
		r.current = c
	}
	r.mu.Unlock()
	if fresh {
		u.tasks.Handle(func() { r.opened(c) })
	}

	return c
}

// opened opens a connection. One that has failed is not kept: the next name
// tries again.
func (r *Resolver) opened(c *connection) {
	conn, err := r.open()
	r.mu.Lock()
	wanted := r.current == c
	switch {
	case err != nil:
		c.err = err
	case wanted:
		c.conn = conn
	default: // all users have ended
		c.err = errEnded
	}
	if wanted && err != nil {
		r.current = nil
	}
	r.mu.Unlock()
	if err == nil && !wanted {
		_ = conn.Close()
	}
	close(c.ready)
}
