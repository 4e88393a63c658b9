package udpmux

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"
)

// wire is a socket in the test's hands.
type wire struct {
	local net.Addr
	in    chan datagram

	mu     sync.Mutex
	closed chan struct{}
	out    []datagram
	fail   error // of writes
}

type datagram struct {
	addr netip.AddrPort
	data []byte
	err  error // that a read returns in its place
}

func newWire(local string) *wire {
	return &wire{
		local: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(local)),
		in:    make(chan datagram, 20000), closed: make(chan struct{}),
	}
}

func (w *wire) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case d := <-w.in:
		if d.err != nil {
			return 0, nil, d.err
		}
		if !d.addr.IsValid() {
			return copy(p, d.data), nil, nil
		}

		return copy(p, d.data), net.UDPAddrFromAddrPort(d.addr), nil
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *wire) WriteTo(p []byte, to net.Addr) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	default:
	}
	if w.fail != nil {
		return 0, w.fail
	}
	w.out = append(w.out, datagram{addr: addrPort(to), data: append([]byte(nil), p...)})

	return len(p), nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}

	return nil
}

func (w *wire) LocalAddr() net.Addr             { return w.local }
func (w *wire) SetDeadline(t time.Time) error   { return w.SetWriteDeadline(t) }
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is for deadlines of the past.
func (w *wire) SetWriteDeadline(time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = os.ErrDeadlineExceeded

	return nil
}

// sent takes what was written.
func (w *wire) sent() []datagram {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.out
	w.out = nil

	return out
}

var quiet = func() logging.LeveledLogger {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled

	return f.NewLogger("ice")
}()

// Addresses of peers.
var (
	addrX = netip.MustParseAddrPort("192.0.2.1:1000")
	addrY = netip.MustParseAddrPort("192.0.2.2:2000")
	addrZ = netip.MustParseAddrPort("[2001:db8::1]:3000")
)

const local = "10.0.0.1:5000"

// bench is a mux on one wire.
type bench struct {
	*Mux
	tb   testing.TB
	wire *wire
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	w := newWire(local)
	m, err := New(quiet, w)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, m.Close()) })

	return &bench{m, tb, w}
}

// agent is one as far as the mux sees it.
type agent struct {
	*handle
	tb   testing.TB
	wire *wire
	pwd  string
}

// join makes an agent that has the mux's only socket.
func (b *bench) join(ufrag string) *agent { return b.joinAs(b.View(true), ufrag) }

func (b *bench) joinAs(view *View, ufrag string) *agent {
	b.tb.Helper()
	conn, err := view.GetConn(ufrag, b.wire.local)
	require.NoError(b.tb, err)

	return &agent{conn.(*handle), b.tb, b.wire, "password of " + ufrag + ", 22 characters"}
}

// check is one for an agent. Who does not know its password has another.
func check(ufrag, password string, attributes ...stun.Setter) []byte {
	all := append([]stun.Setter{stun.BindingRequest, stun.TransactionID, stun.NewUsername(ufrag + ":peer")}, attributes...)
	m, err := stun.Build(append(all, stun.NewShortTermIntegrity(password), stun.Fingerprint)...)
	if err != nil {
		panic(err)
	}

	return m.Raw
}

// comes lets a packet arrive.
func (b *bench) comes(from netip.AddrPort, packet []byte) {
	b.wire.in <- datagram{addr: from, data: packet}
	synctest.Wait()
}

// read takes a packet if there is one.
func (a *agent) read() (packet []byte, from netip.AddrPort, ok bool) {
	a.tb.Helper()
	require.NoError(a.tb, a.SetReadDeadline(time.Now().Add(time.Nanosecond)))
	buf := make([]byte, maxPacket)
	n, from, err := a.ReadFromAddrPort(buf)
	if err != nil {
		require.ErrorIs(a.tb, err, os.ErrDeadlineExceeded)

		return nil, from, false
	}

	return buf[:n], from, true
}

// gets requires that the next packet is this one.
func (a *agent) gets(from netip.AddrPort, want []byte) {
	a.tb.Helper()
	packet, source, ok := a.read()
	require.True(a.tb, ok, "nothing has come")
	require.Equal(a.tb, want, packet)
	require.Equal(a.tb, from, source)
}

func (a *agent) getsNothing() {
	a.tb.Helper()
	packet, from, ok := a.read()
	require.False(a.tb, ok, "% x from %s", packet, from)
}

// handles takes a packet as the ice module does: a check with the right
// password is answered, and nothing else.
func (a *agent) handles() (answered bool) {
	a.tb.Helper()
	packet, from, ok := a.read()
	if !ok || classify(packet).kind != kindCheck {
		return false
	}
	m := &stun.Message{Raw: packet}
	require.NoError(a.tb, m.Decode())
	if stun.NewShortTermIntegrity(a.pwd).Check(m) != nil {
		return false
	}
	answer, err := stun.Build(m, stun.BindingSuccess, stun.NewShortTermIntegrity(a.pwd), stun.Fingerprint)
	require.NoError(a.tb, err)
	a.sends(from, answer.Raw)

	return true
}

func (a *agent) sends(to netip.AddrPort, packet []byte) {
	a.tb.Helper()
	n, err := a.WriteToAddrPort(packet, to)
	require.NoError(a.tb, err)
	require.Equal(a.tb, len(packet), n)
}

// asks sends a check, and returns the answer that the peer would give.
func (a *agent) asks(to netip.AddrPort, attributes ...stun.Setter) (answer []byte) {
	a.tb.Helper()
	all := append([]stun.Setter{stun.BindingRequest, stun.TransactionID, stun.NewUsername("peer:" + a.conn.session.ufrag)}, attributes...)
	m, err := stun.Build(append(all, stun.NewShortTermIntegrity("the peer's password, long"), stun.Fingerprint)...)
	require.NoError(a.tb, err)
	a.sends(to, m.Raw)

	return answerTo(m.Raw, stun.BindingSuccess)
}

func answerTo(request []byte, class stun.MessageType) []byte {
	m := &stun.Message{Raw: append([]byte(nil), request...)}
	if err := m.Decode(); err != nil {
		panic(err)
	}
	answer, err := stun.Build(m, class, stun.NewShortTermIntegrity("the peer's password, long"), stun.Fingerprint)
	if err != nil {
		panic(err)
	}

	return answer.Raw
}

// useCandidate nominates.
type useCandidate struct{}

func (useCandidate) AddTo(m *stun.Message) error {
	m.Add(stun.AttrUseCandidate, nil)

	return nil
}

// checked authenticates a peer at an address, in both directions, and has it
// nominate the address.
func (b *bench) checked(a *agent, from netip.AddrPort) {
	b.tb.Helper()
	b.authenticates(a, from)
	b.answers(a, from)
	b.authenticates(a, from, useCandidate{})
}

// answers lets the answer come to a check that the agent sends.
func (b *bench) answers(a *agent, from netip.AddrPort) {
	b.tb.Helper()
	answer := a.asks(from)
	b.comes(from, answer)
	a.gets(from, answer)
}

// authenticates lets a valid check come.
func (b *bench) authenticates(a *agent, from netip.AddrPort, attributes ...stun.Setter) {
	b.tb.Helper()
	b.comes(from, check(a.conn.session.ufrag, a.pwd, attributes...))
	require.True(b.tb, a.handles())
}

// data is a packet that is no STUN, different for each n.
func data(n int) []byte { return fmt.Appendf(nil, "\x17 a record, number %d", n) }

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

var errBroken = fmt.Errorf("broken: %w", io.ErrUnexpectedEOF)
