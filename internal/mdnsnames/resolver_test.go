package mdnsnames

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

var errConnClosed = errors.New("the connection is closed")

// fake is a network on which some names have addresses.
type fake struct {
	delay    time.Duration // of an answer
	opening  time.Duration
	failures int // of opening, that are still to come

	mu      sync.Mutex
	answers map[string]string
	changed bool // the interfaces have

	opens, open  int
	asked        map[string]int
	asking, most int
}

func (f *fake) resolver() *Resolver {
	f.asked = make(map[string]int)

	return newResolver(func() (querier, error) {
		time.Sleep(f.opening)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opens++
		if f.failures > 0 {
			f.failures--

			return nil, errNoGroup
		}
		f.open++
		f.changed = false

		return &fakeConn{network: f, closed: make(chan struct{})}, nil
	})
}

// counts are the connections: how many there were, and how many are open.
func (f *fake) counts() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()

	return [2]int{f.opens, f.open}
}

type fakeConn struct {
	network *fake
	closed  chan struct{}
}

func (c *fakeConn) QueryAddr(ctx context.Context, name string) (dnsmessage.ResourceHeader, netip.Addr, error) {
	f := c.network
	f.mu.Lock()
	f.asked[name]++
	f.asking++
	f.most = max(f.most, f.asking)
	address, known := f.answers[name]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asking--
	}()
	var answered <-chan time.Time
	if known {
		answered = time.After(f.delay)
	}
	select {
	case <-answered:
		return dnsmessage.ResourceHeader{}, netip.MustParseAddr(address), nil
	case <-ctx.Done():
		return dnsmessage.ResourceHeader{}, netip.Addr{}, errors.New("elapsed")
	case <-c.closed:
		return dnsmessage.ResourceHeader{}, netip.Addr{}, errConnClosed
	}
}

func (c *fakeConn) Close() error {
	close(c.closed) // a second one panics
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.network.open--

	return nil
}

func (c *fakeConn) Outdated() bool {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()

	return c.network.changed
}

func (r *Resolver) quiet(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Zero(t, r.users)
	require.Zero(t, r.asking)
	require.Empty(t, r.queries)
	require.Empty(t, r.turns)
	require.Nil(t, r.current)
}

func lookUp(t *testing.T, u *User, name, want string) {
	t.Helper()
	addr, err := u.Lookup(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, want, addr.String())
}

// A connection is there from the first name to the end of the last user that
// had one, and again when it is needed again.
func TestOneConnectionForAllUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]string{"a.local": "192.0.2.1", "b.local": "2001:db8::1"}}
		r := f.resolver()
		users := make([]*User, 20)
		for i := range users {
			users[i] = r.User(lifecycle.NewGroup())
		}
		idle := r.User(lifecycle.NewGroup())
		require.Equal(t, [2]int{0, 0}, f.counts(), "nothing is opened without a name")
		for _, u := range users {
			lookUp(t, u, "a.local", "192.0.2.1")
			lookUp(t, u, "B.local", "2001:db8::1")
		}
		require.Equal(t, [2]int{1, 1}, f.counts())
		idle.End()
		for _, u := range users[1:] {
			u.End()
			u.End()
		}
		require.Equal(t, [2]int{1, 1}, f.counts(), "one is left")
		users[0].End()
		require.Equal(t, [2]int{1, 0}, f.counts())
		r.quiet(t)

		_, err := users[0].Lookup(t.Context(), "a.local")
		require.ErrorIs(t, err, errEnded)
		again := r.User(lifecycle.NewGroup())
		lookUp(t, again, "a.local", "192.0.2.1")
		require.Equal(t, [2]int{2, 1}, f.counts())
		again.End()
		require.Equal(t, [2]int{2, 0}, f.counts())
		r.quiet(t)
	})
}

// A name that several want at once is asked for once, also if the first of them
// ends before the answer.
func TestANameIsAskedForOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]string{"a.local": "192.0.2.1"}, delay: time.Second}
		r := f.resolver()
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var wg sync.WaitGroup
		for i := range 10 {
			u := r.User(lifecycle.NewGroup())
			wg.Go(func() {
				defer u.End()
				if i == 0 {
					_, err := u.Lookup(ctx, "a.local")
					require.ErrorIs(t, err, gone)

					return
				}
				lookUp(t, u, "a.local", "192.0.2.1")
			})
			synctest.Wait()
		}
		require.Equal(t, 1, f.asked["a.local"])
		time.Sleep(time.Second / 2)
		cancel(gone)
		synctest.Wait()
		require.Equal(t, 2, f.asked["a.local"], "another one has taken over")
		wg.Wait()
		require.Equal(t, [2]int{1, 0}, f.counts())
		r.quiet(t)
	})
}

// A name that nobody answers to has its time, for all that wait for it.
func TestANameHasATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := f.resolver()
		begin := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			u := r.User(lifecycle.NewGroup())
			wg.Go(func() {
				defer u.End()
				_, err := u.Lookup(t.Context(), "a.local")
				require.ErrorIs(t, err, errSilent)
			})
		}
		wg.Wait()
		require.Equal(t, queryTime, time.Since(begin))
		require.Equal(t, 1, f.asked["a.local"])
		r.quiet(t)
	})
}

// The end of a context is the end of the call, whatever it waits for, and an
// ended one asks nothing.
func TestALookupEndsWithItsContext(t *testing.T) {
	for name, opening := range map[string]time.Duration{"while asking": 0, "while opening": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{opening: opening}
				r := f.resolver()
				tasks := lifecycle.NewGroup()
				u := r.User(tasks)
				ended, end := context.WithCancel(t.Context())
				end()
				_, err := u.Lookup(ended, "z.local")
				require.ErrorIs(t, err, context.Canceled)
				require.Zero(t, f.counts()[0])

				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for i := range 4 * maxQueries { // many wait for their turn
					wg.Go(func() {
						_, err := u.Lookup(ctx, fmt.Sprintf("n%d.local", i/2))
						require.ErrorIs(t, err, context.Canceled)
					})
				}
				synctest.Wait()
				begin := time.Now()
				cancel()
				wg.Wait()
				u.End()
				require.Zero(t, time.Since(begin))
				require.NoError(t, tasks.Wait(t.Context())) // also for what was being opened
				require.Equal(t, opening, time.Since(begin))
				require.Equal(t, [2]int{1, 0}, f.counts())
				r.quiet(t)
			})
		})
	}
}

// No more names are asked for at once than there may be; the others have their
// time after that.
func TestNamesAtOnceAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := f.resolver()
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 3 {
			u := r.User(lifecycle.NewGroup())
			for j := range maxQueries {
				wg.Go(func() {
					_, err := u.Lookup(t.Context(), fmt.Sprintf("%d-%d.local", i, j))
					require.ErrorIs(t, err, errSilent)
				})
			}
			defer func() {
				u.End()
			}()
		}
		wg.Wait()
		require.Equal(t, 3*queryTime, time.Since(begin))
		require.Equal(t, maxQueries, f.most)
		require.Len(t, f.asked, 3*maxQueries)
	})
}

// What cannot be opened is tried again with the next name.
func TestAFailureToOpenIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]string{"a.local": "192.0.2.1"}, failures: 1, opening: time.Second}
		r := f.resolver()
		u := r.User(lifecycle.NewGroup())
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				_, err := u.Lookup(t.Context(), fmt.Sprintf("n%d.local", i))
				require.ErrorIs(t, err, errNoGroup)
			})
		}
		wg.Wait()
		require.Equal(t, [2]int{1, 0}, f.counts())
		lookUp(t, u, "a.local", "192.0.2.1")
		require.Equal(t, [2]int{2, 1}, f.counts())
		u.End()
		require.Equal(t, [2]int{2, 0}, f.counts())
		r.quiet(t)
	})
}

// When the machine has other interfaces a new connection is opened, but not
// under those who use the old one.
func TestOtherInterfacesTakeAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]string{"a.local": "192.0.2.1", "slow.local": "192.0.2.2"}, delay: time.Second}
		r := f.resolver()
		u := r.User(lifecycle.NewGroup())
		var wg sync.WaitGroup
		wg.Go(func() { lookUp(t, u, "slow.local", "192.0.2.2") })
		synctest.Wait()
		f.mu.Lock()
		f.changed = true
		f.mu.Unlock()
		lookUp(t, u, "a.local", "192.0.2.1")
		wg.Wait()
		require.Equal(t, [2]int{1, 1}, f.counts())
		lookUp(t, u, "a.local", "192.0.2.1")
		require.Equal(t, [2]int{2, 1}, f.counts())
		lookUp(t, u, "a.local", "192.0.2.1")
		require.Equal(t, [2]int{2, 1}, f.counts())
		u.End()
		require.Equal(t, [2]int{2, 0}, f.counts())
		r.quiet(t)
	})
}

func TestNamesThatAreNotAskedFor(t *testing.T) {
	f := &fake{}
	r := f.resolver()
	u := r.User(lifecycle.NewGroup())
	for _, name := range []string{
		"", "a", ".local", "a.b.local", "a.local.", "_ipp._tcp.local", "local", "a..local", "a.LOCAL",
		strings.Repeat("a", 64) + ".local", "a\x00.local",
	} {
		_, err := u.Lookup(t.Context(), name)
		require.ErrorIs(t, err, errNoName, name)
	}
	require.Zero(t, f.counts())
	r.quiet(t)
}

// Users come and go, with contexts that end at any point.
func TestUsersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]string{"0.local": "192.0.2.1", "1.local": "192.0.2.2"}, delay: 1, opening: 2}
		r := f.resolver()
		var wg sync.WaitGroup
		groups := make([]*lifecycle.Group, 200)
		for i := range groups {
			groups[i] = lifecycle.NewGroup()
			u := r.User(groups[i])
			wg.Go(func() {
				time.Sleep(time.Duration(i / 3))
				var names sync.WaitGroup
				for n := range 4 { // two of them have no answer
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*7+n)%11))
					names.Go(func() {
						defer cancel()
						_, _ = u.Lookup(ctx, fmt.Sprintf("%d.local", n))
					})
				}
				if i%2 == 0 {
					names.Wait()
				}
				u.End()
				names.Wait()
			})
		}
		wg.Wait()
		for _, group := range groups {
			require.NoError(t, group.Wait(t.Context()))
		}
		require.Zero(t, f.counts()[1])
		r.quiet(t)
	})
}
