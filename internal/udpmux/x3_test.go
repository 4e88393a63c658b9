package udpmux

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"
)

func TestX3_ChecksGoByUfragAndDataByAddress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.join("one"), b.join("two")
		forTwo := check("two", two.pwd)
		b.comes(addrX, forTwo)
		one.getsNothing()
		two.gets(addrX, forTwo)

		b.checked(one, addrX)
		b.checked(two, addrY)
		b.comes(addrX, data(1))
		b.comes(addrY, data(2))
		one.gets(addrX, data(1))
		two.gets(addrY, data(2))
		require.Equal(t, 2, b.Stats().Addresses)

		// A check goes by its ufrag also where the address is another's.
		forTwo = check("two", two.pwd)
		b.comes(addrX, forTwo)
		one.getsNothing()
		two.gets(addrX, forTwo)

		indication := stun.MustBuild(stun.NewType(stun.MethodBinding, stun.ClassIndication), stun.TransactionID)
		b.comes(addrX, indication.Raw)
		one.gets(addrX, indication.Raw)
	})
}

// Data from an address that no authenticated check has come from is nobody's.
func TestX3_SpoofedDataIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		b.comes(addrX, data(1))
		b.comes(addrX, check("a", "a password that is not the right one"))
		require.False(t, a.handles())
		b.comes(addrX, data(2))
		b.checked(a, addrX)
		b.comes(addrY, data(3))
		b.comes(netip.AddrPortFrom(addrX.Addr(), addrX.Port()+1), data(4))
		a.getsNothing()
		s := b.Stats()
		require.EqualValues(t, 4, s.UnknownAddress)
		require.Equal(t, 1, s.Addresses)
	})
}

func TestX3_AnUnauthenticatedCheckTakesNoAddress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		owner, other := b.join("owner"), b.join("other")
		b.checked(owner, addrX)
		for range 5 {
			b.comes(addrX, check("other", "a password that is not the right one"))
			require.False(t, other.handles())
		}
		b.comes(addrX, data(1))
		owner.gets(addrX, data(1))
		require.Zero(t, b.Stats().Moves)

		// Nor does an answer that answers nothing, or another address.
		b.comes(addrY, check("other", other.pwd))
		packet, _, _ := other.read()
		other.sends(addrX, answerTo(packet, stun.BindingSuccess))
		other.sends(addrX, answerTo(check("other", other.pwd), stun.BindingSuccess))
		other.sends(addrY, answerTo(packet, stun.BindingError))
		other.sends(addrY, answerTo(check("other", other.pwd), stun.BindingSuccess))
		b.comes(addrX, data(2))
		owner.gets(addrX, data(2))
		b.comes(addrY, data(3))
		other.getsNothing()
		elsewhere := netip.MustParseAddrPort("192.0.2.3:3000")
		other.sends(elsewhere, answerTo(packet, stun.BindingSuccess))
		b.comes(elsewhere, data(4))
		other.getsNothing()
	})
}

// Who has a session of his own can make a valid check with a forged source. It
// is answered, but the one who is there does not answer ours.
func TestX3_AForgedSourceTakesNoAddress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		owner, thief := b.join("owner"), b.join("thief")
		b.checked(owner, addrX)
		b.authenticates(thief, addrX, useCandidate{})
		answer := thief.asks(addrX)
		b.comes(addrY, answer) // it comes from where the thief is
		b.comes(addrX, answerTo(check("", ""), stun.BindingSuccess))
		thief.getsNothing()
		b.comes(addrX, data(1))
		owner.gets(addrX, data(1))
		thief.getsNothing()

		// Sending data there, which the thief may have made the agent do, does not
		// help.
		thief.sends(addrX, data(2))
		b.comes(addrX, data(3))
		owner.gets(addrX, data(3))

		// With the answer of who is there it is no forgery.
		b.comes(addrX, answer)
		thief.gets(addrX, answer)
		b.comes(addrX, data(4))
		thief.gets(addrX, data(4))
		require.EqualValues(t, 1, b.Stats().Moves)
	})
}

// The session that was authenticated last has the address, and the one before
// it has it again when that has ended: a restart of ICE that is given up.
func TestX3_AnAddressMovesAndComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		agents := []*agent{b.join("first"), b.join("second"), b.join("third")}
		number := 0
		has := func(owner *agent) {
			t.Helper()
			number++
			b.comes(addrX, data(number))
			owner.gets(addrX, data(number))
		}
		for _, a := range agents {
			b.checked(a, addrX)
			has(a)
		}
		b.authenticates(agents[1], addrX) // its consent goes on
		b.answers(agents[1], addrX)
		has(agents[2])
		b.authenticates(agents[0], addrX, useCandidate{})
		has(agents[0])
		b.checked(agents[2], addrX)
		has(agents[2])
		require.Equal(t, 1, b.Stats().Addresses)

		// Old sessions get their own checks and answers, as long as they live.
		answer := agents[1].asks(addrX)
		b.comes(addrX, answer)
		agents[1].gets(addrX, answer)
		has(agents[2])

		require.NoError(t, agents[2].Close())
		has(agents[0])
		agents[0].conn.session.owner.RemoveConnByUfrag("first")
		has(agents[1])
		require.NoError(t, agents[1].Close())
		b.comes(addrX, data(0))
		s := b.Stats()
		require.EqualValues(t, 1, s.UnknownAddress)
		require.Zero(t, s.Addresses+s.Sessions+s.Checks)
	})
}

// During a restart the peer sends over the old pair until it has nominated the
// new one.
func TestX3_AnAddressMovesWithTheNomination(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		old, next := b.join("old"), b.join("next")
		b.checked(old, addrX)
		b.authenticates(next, addrX)
		b.answers(next, addrX)
		b.comes(addrX, data(1))
		old.gets(addrX, data(1))
		b.authenticates(next, addrX, useCandidate{})
		b.comes(addrX, data(2))
		next.gets(addrX, data(2))
	})
	inBubble(t, func(t *testing.T) { // by our side
		b := newBench(t)
		old, next := b.join("old"), b.join("next")
		b.checked(old, addrX)
		b.authenticates(next, addrX)
		b.answers(next, addrX)
		next.sends(addrX, data(0))
		b.comes(addrX, data(1))
		next.gets(addrX, data(1))
	})
}

// Who was at an address with a forged source gives way to who is there.
func TestX3_AnOwnerThatWasNeverHeardGivesWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		squatter, a := b.join("squatter"), b.join("a")
		b.authenticates(squatter, addrX, useCandidate{})
		b.authenticates(a, addrX)
		b.comes(addrX, data(1))
		squatter.gets(addrX, data(1))
		b.answers(a, addrX)
		b.comes(addrX, data(2))
		a.gets(addrX, data(2))
		b.authenticates(squatter, addrX, useCandidate{})
		b.comes(addrX, data(3))
		a.gets(addrX, data(3))
	})
}

// A claim that is not proven waits behind those that are.
func TestX3_AnUnprovenClaimComesLast(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		owner, old, waiting := b.join("owner"), b.join("old"), b.join("waiting")
		b.checked(old, addrX)
		b.checked(owner, addrX)
		b.authenticates(waiting, addrX)
		require.NoError(t, owner.Close())
		b.comes(addrX, data(1))
		old.gets(addrX, data(1))
		require.NoError(t, old.Close())
		b.comes(addrX, data(2))
		waiting.gets(addrX, data(2))
	})
}

// A lite agent sends no checks that an address could answer.
func TestX3_LiteSessionsMoveOnAnAnsweredCheck(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.joinAs(b.View(false), "one"), b.joinAs(b.View(false), "two")
		for _, a := range []*agent{one, two, one} {
			b.authenticates(a, addrX)
			b.comes(addrX, data(1))
			a.gets(addrX, data(1))
		}
		b.comes(addrX, check("two", "a password that is not the right one"))
		require.False(t, two.handles())
		b.comes(addrX, data(2))
		one.gets(addrX, data(2))
		require.EqualValues(t, 2, b.Stats().Moves)
	})
}

// A lite peer sends no checks: its address is one that has answered ours, and
// that our agent has chosen.
func TestX3_TheAddressOfALitePeer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.join("one"), b.join("two")
		answer := one.asks(addrX)
		b.comes(addrX, answer)
		one.gets(addrX, answer)
		require.Equal(t, 1, b.Stats().Unstarted, "the other one")
		b.comes(addrX, data(1))
		one.getsNothing()
		one.asks(addrX, useCandidate{})
		b.comes(addrX, data(2))
		one.gets(addrX, data(2))

		// Another takes it over in the same way, and with data alone.
		two.asks(addrX, useCandidate{})
		two.sends(addrX, data(0))
		b.comes(addrX, data(3))
		one.gets(addrX, data(3))
		answer = two.asks(addrX)
		b.comes(addrX, answer)
		two.gets(addrX, answer)
		b.comes(addrX, data(4))
		two.gets(addrX, data(4))
	})
}

// Two lite agents check nothing. Data goes where it was sent first.
func TestX3_WithoutAnyChecks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.joinAs(b.View(false), "one"), b.joinAs(b.View(false), "two")
		b.comes(addrX, data(1))
		one.sends(addrX, data(0))
		b.comes(addrX, data(2))
		one.gets(addrX, data(2))
		require.EqualValues(t, 1, b.Stats().UnknownAddress)
		two.sends(addrY, data(0))
		b.comes(addrY, data(3))
		two.gets(addrY, data(3))
	})
}

func TestX3_ChecksForNobodyLeaveNothing(t *testing.T) {
	b := newBench(t)
	a := b.join("somebody")
	_ = a
	const checks = 10000
	packets := make([]datagram, checks)
	for i := range packets {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(i))
		packets[i] = datagram{addr: from, data: check(fmt.Sprintf("nobody%d", i), "a password that nobody has")}
	}
	before := heap()
	for _, p := range packets {
		b.wire.in <- p
	}
	require.Eventually(t, func() bool { return b.Stats().UnknownUfrag == checks }, 10*time.Second, time.Millisecond)
	after := heap()
	require.Less(t, after, before+64<<10, "the heap has grown")
	s := b.Stats()
	require.Equal(t, 1, s.Sessions)
	require.Zero(t, s.Addresses+s.Checks)
	runtime.KeepAlive(packets)
}

func heap() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)

	return int(m.HeapAlloc)
}

func TestX3_SixteenPacketsBeforeTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		// On both sockets together.
		first, second := newWire(local), newWire("10.0.0.2:5000")
		m, err := New(quiet, first, second)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Close()) }()
		view := m.View(true)
		var agents []*agent
		for _, w := range []*wire{first, second} {
			conn, err := view.GetConn("a", w.local)
			require.NoError(t, err)
			agents = append(agents, &agent{conn.(*handle), t, w, "password of a"})
		}
		var sent [][]byte
		for i := range 100 {
			w := first
			if i%3 == 0 {
				w = second
			}
			packet := check("a", "password of a")
			sent = append(sent, packet)
			w.in <- datagram{addr: addrX, data: packet}
			synctest.Wait()
		}
		require.Equal(t, 16, agents[0].conn.session.queued)
		s := m.Stats()
		require.EqualValues(t, 84, s.NotStarted)
		require.Equal(t, 1, s.Unstarted)
		read := 0
		var last []byte
		for _, a := range agents {
			for packet, _, ok := a.read(); ok; packet, _, ok = a.read() {
				read++
				last = packet
			}
		}
		require.Equal(t, 16, read)
		require.Equal(t, sent[99], last, "the newest stay")
		require.Zero(t, agents[0].conn.session.bytes)
	})
}

func TestX3_AStartedSessionHasABound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		b.checked(a, addrX)
		require.Zero(t, b.Stats().Unstarted)
		for i := range 2 * maxQueued {
			b.comes(addrX, data(i))
		}
		require.Equal(t, maxQueued-keptForChecks, a.conn.session.queued)
		for range 2 * keptForChecks {
			b.comes(addrX, check("a", a.pwd))
		}
		require.Equal(t, maxQueued, a.conn.session.queued)
		require.EqualValues(t, maxQueued+keptForChecks+keptForChecks, b.Stats().QueueFull)
		for i := range maxQueued - keptForChecks { // the oldest stay
			a.gets(addrX, data(i))
		}
		for range keptForChecks {
			require.True(t, a.handles())
		}
		a.getsNothing()

		long := make([]byte, maxPacket)
		long[0] = 0x17
		for range 100 {
			b.comes(addrX, long)
		}
		require.Equal(t, maxBytes/maxPacket, a.conn.session.queued)
		require.Equal(t, maxBytes, a.conn.session.bytes)
		before := b.Stats().Oversized
		b.comes(addrX, append(long, 0))
		require.Equal(t, before+1, b.Stats().Oversized)
		require.NoError(t, a.Close())
		require.Zero(t, a.conn.session.queued+a.conn.session.bytes)
	})
}

func TestX3_AnswersGoToWhoHasAsked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.join("one"), b.join("two")
		first, second := one.asks(addrX), two.asks(addrX)
		b.comes(addrX, second)
		b.comes(addrX, first)
		one.gets(addrX, first)
		two.gets(addrX, second)
		one.getsNothing()
		two.getsNothing()

		refused := answerTo(one.asks(addrY), stun.BindingError)
		b.comes(addrY, refused)
		one.gets(addrY, refused)

		fromElsewhere := one.asks(addrX)
		b.comes(addrY, fromElsewhere)
		b.comes(addrX, answerTo(check("one", "x"), stun.BindingSuccess))
		one.getsNothing()
		require.EqualValues(t, 2, b.Stats().UnknownTransaction)

		// They are waited for for a while, and there is a limit to their number.
		late := one.asks(addrX)
		time.Sleep(requestLife + time.Second)
		one.asks(addrX)
		b.comes(addrX, late)
		one.getsNothing()
		for range 3 * maxRequests {
			one.asks(addrY)
		}
		require.LessOrEqual(t, b.Stats().Checks, maxRequests+1)
		require.NoError(t, one.Close())
		require.NoError(t, two.Close())
		require.Zero(t, b.Stats().Checks)
	})
}

// A peer with many addresses costs its own session, which keeps the latest.
func TestX3_AddressesOfASessionAreLimited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a, other := b.join("a"), b.join("other")
		b.checked(other, addrY)
		b.checked(a, addrX)
		for port := range uint16(1000) {
			if port%20 == 0 {
				b.authenticates(a, addrX) // consent
			}
			b.authenticates(a, netip.AddrPortFrom(addrX.Addr(), 10000+port))
			b.comes(addrX, data(int(port)))
			a.gets(addrX, data(int(port))) // the one in use stays
		}
		require.Equal(t, maxClaims+1, b.Stats().Addresses)
		require.Len(t, a.conn.claims, maxClaims)
		b.comes(addrX, data(1))
		a.gets(addrX, data(1))
		b.comes(netip.AddrPortFrom(addrX.Addr(), 10999), data(2))
		a.gets(netip.AddrPortFrom(addrX.Addr(), 10999), data(2))
		b.comes(netip.AddrPortFrom(addrX.Addr(), 10000), data(3))
		a.getsNothing()
		b.comes(addrY, data(4))
		other.gets(addrY, data(4))
		require.NoError(t, a.Close())
		require.Equal(t, 1, b.Stats().Addresses)
	})
}

// A claim that was lost comes back with the next packet that is sent there.
func TestX3_DataThatIsSentClaimsOnceMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t)
		a := b.join("a")
		a.sends(addrX, data(0))
		for port := range uint16(maxClaims) {
			b.authenticates(a, netip.AddrPortFrom(addrY.Addr(), 10000+port))
		}
		b.comes(addrX, data(1))
		a.getsNothing()
		a.sends(addrX, data(0))
		b.comes(addrX, data(2))
		a.gets(addrX, data(2))
	})
}

// What closing one session takes does not depend on how many there are.
func TestX3_ClosingOneOfManyTakesNoLonger(t *testing.T) {
	least := func(sessions int) time.Duration {
		b := newBench(t)
		for i := range sessions {
			a := b.join(fmt.Sprintf("idle%d", i))
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 9)
			b.note(a.conn, addr, answered)
			b.expect(a.conn, transaction{0xff, byte(i >> 8), byte(i)}, addr, time.Now())
		}
		least := time.Hour
		for i := range 200 {
			a := b.join("one")
			b.note(a.conn, addrX, answered)
			b.expect(a.conn, transaction{byte(i)}, addrX, time.Now())
			begin := time.Now()
			require.NoError(t, a.Close())
			least = min(least, time.Since(begin))
		}
		require.Equal(t, sessions, b.Stats().Sessions)
		require.Equal(t, sessions, b.Stats().Addresses)
		require.Equal(t, sessions, b.Stats().Checks)

		return least
	}
	few, many := least(10), least(10000)
	t.Logf("with 10 sessions %v, with 10,000 %v", few, many)
	require.Less(t, many, 20*few+20*time.Microsecond)
}
