package udpmux

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"
)

var bindingSuccess = stun.BindingSuccess

func seeds() [][]byte {
	request := check("ufrag", "password")
	nominates := stun.MustBuild(stun.BindingRequest, stun.TransactionID, stun.NewUsername("a:b"), useCandidate{}, stun.Fingerprint)
	late := stun.MustBuild(stun.BindingRequest, stun.NewShortTermIntegrity("x"), stun.NewUsername("a:b"))
	noHalves := stun.MustBuild(stun.BindingRequest, stun.NewUsername("ufrag"))
	allocate := stun.MustBuild(stun.NewType(stun.MethodAllocate, stun.ClassRequest), stun.NewUsername("a:b"))

	return [][]byte{
		{},
		{0},
		data(1), request, request[:len(request)-1], append(bytes.Clone(request), 0), request[:stunHeader],
		answerTo(request, stun.BindingSuccess), answerTo(request, stun.BindingError),
		stun.MustBuild(stun.NewType(stun.MethodBinding, stun.ClassIndication)).Raw,
		nominates.Raw, late.Raw, noHalves.Raw, allocate.Raw,
		append([]byte{0x80, 96}, request[2:]...),
		answerTo(request, stun.BindingSuccess)[:40], append(answerTo(request, stun.BindingSuccess), 0),
	}
}

func TestClassify(t *testing.T) {
	all := seeds()
	for i, want := range []kind{
		kindData, kindData, kindData, kindCheck, kindMalformed, kindMalformed, kindMalformed,
		kindAnswer, kindRefusal, kindIndication, kindCheck, kindMalformed, kindMalformed, kindMalformed, kindMalformed,
		kindMalformed, kindMalformed,
	} {
		require.Equal(t, want, classify(all[i]).kind, "seed %d", i)
	}
	m := classify(all[3])
	require.Equal(t, "ufrag", string(m.ufrag))
	require.False(t, m.nominates)
	require.Equal(t, all[3][8:20], m.id[:])
	require.True(t, classify(all[10]).nominates)
	require.Zero(t, testing.AllocsPerRun(100, func() { classify(all[3]) }))
}

// FuzzClassify compares with the module that the agent reads STUN with: what
// goes by ufrag is what the agent takes for a check with that name.
func FuzzClassify(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := bytes.Clone(packet)
		m := classify(packet)
		require.Equal(t, before, packet)
		require.Equal(t, stun.IsMessage(packet), m.kind != kindData)
		if m.kind == kindData || m.kind == kindMalformed {
			return
		}
		require.Equal(t, packet[8:20], m.id[:])
		theirs := &stun.Message{Raw: bytes.Clone(packet)}
		err := theirs.Decode()
		if m.kind != kindCheck {
			if err == nil {
				require.Equal(t, stun.MethodBinding, theirs.Type.Method)
				require.NotEqual(t, stun.ClassRequest, theirs.Type.Class)
			}

			return
		}
		require.NoError(t, err)
		require.Equal(t, stun.BindingRequest, theirs.Type)
		username, err := theirs.Get(stun.AttrUsername)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(username, append(bytes.Clone(m.ufrag), ':')))
		if m.nominates {
			require.True(t, theirs.Contains(stun.AttrUseCandidate))
		}
	})
}

// FuzzRoute gives a mux any packet, in both directions: it is counted once, and
// gives nobody an address but him who has it.
func FuzzRoute(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed, uint16(1), true)
		f.Add(seed, uint16(0), false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, port uint16, outwards bool) {
		w := newWire(local)
		m := &Mux{log: quiet, sessions: map[string]*session{}}
		s, err := newSocket(m, w)
		require.NoError(t, err)
		m.sockets = []*socket{s}
		owner, err := m.View(true).GetConn("ufrag", w.local)
		require.NoError(t, err)
		bystander, err := m.View(true).GetConn("a", w.local)
		require.NoError(t, err)
		m.note(owner.(*handle).conn, addrX, answered|heard)
		if outwards {
			_, _ = bystander.(*handle).WriteToAddrPort(packet, addrX)
		}
		s.route(packet, netip.AddrPortFrom(addrX.Addr(), port))
		s.route(packet, addrX)
		s.route(data(1), addrX)
		counted := m.Stats()
		queued := owner.(*handle).conn.session.queued + bystander.(*handle).conn.session.queued
		dropped := counted.UnknownUfrag + counted.UnknownAddress + counted.UnknownTransaction +
			counted.Malformed + counted.Oversized + counted.NotStarted + counted.QueueFull
		require.EqualValues(t, 3, uint64(queued)+dropped)
		require.Equal(t, owner.(*handle).conn, s.owners[addrX].conn)
		require.Len(t, s.owners, 1)
		require.NoError(t, owner.Close())
		require.NoError(t, bystander.Close())
		left := m.Stats()
		require.Zero(t, left.Sessions+left.Addresses+left.Checks)
	})
}

func BenchmarkClassify(b *testing.B) {
	for name, packet := range map[string][]byte{"data": data(1), "check": check("ufrag", "password")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				classify(packet)
			}
		})
	}
}
