package webrtc

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// dtlsRecord is one record with a header of DTLS 1.2.
func dtlsRecord(kind byte, epoch uint16, number uint32, body []byte) []byte {
	r := make([]byte, 13, 13+len(body))
	r[0], r[1], r[2] = kind, 0xfe, 0xfd
	binary.BigEndian.PutUint16(r[3:], epoch)
	binary.BigEndian.PutUint32(r[7:], number)
	binary.BigEndian.PutUint16(r[11:], uint16(len(body)))

	return append(r, body...)
}

// handshakeMessage is a record with a whole handshake message.
func handshakeMessage(kind byte, seq uint16, body []byte) []byte {
	h := []byte{kind, 0, 0, byte(len(body)), 0, 0, 0, 0, 0, 0, 0, byte(len(body))}
	binary.BigEndian.PutUint16(h[4:], seq)

	return dtlsRecord(22, 0, 900+uint32(seq), append(h, body...))
}

// droppedAs names a counter of the statistics.
type droppedAs func(s *DTLSTransportStats) *uint64

func asMalformed(s *DTLSTransportStats) *uint64   { return &s.MalformedRecords }
func asUnexpected(s *DTLSTransportStats) *uint64  { return &s.UnexpectedRecords }
func asPlaintext(s *DTLSTransportStats) *uint64   { return &s.PlaintextRecords }
func asUndelivered(s *DTLSTransportStats) *uint64 { return &s.UndeliveredRecords }

// junkPacket is what somebody on the path could send.
type junkPacket struct {
	name    string
	packet  []byte
	counter droppedAs // once connected; nil for what is not counted here
	ends    bool      // it may end a handshake that is not done
}

func junkPackets() []junkPacket {
	junk := bytes.Repeat([]byte{0x5a}, 40)
	tls := dtlsRecord(22, 0, 1, junk)
	tls[1], tls[2] = 3, 3
	long := dtlsRecord(23, 1, 7, junk)
	long[12]++
	short := dtlsRecord(23, 1, 7, junk)
	short[12]--
	two := append(dtlsRecord(21, 0, 5, []byte{2, 40}), dtlsRecord(23, 1, 9, junk)[:20]...)

	return []junkPacket{
		{"plaintext handshake junk", dtlsRecord(22, 0, 900, junk), asMalformed, false},
		{"plaintext application data", dtlsRecord(23, 0, 900, junk), asPlaintext, false},
		{"plaintext fatal alert", dtlsRecord(21, 0, 900, []byte{2, 40}), asPlaintext, true},
		{"plaintext close_notify", dtlsRecord(21, 0, 900, []byte{1, 0}), asPlaintext, true},
		{"plaintext warning", dtlsRecord(21, 0, 900, []byte{1, 90}), asPlaintext, false},
		{"plaintext ClientHello of another handshake", handshakeMessage(1, 9, junk), asPlaintext, false},
		{"plaintext HelloRequest", handshakeMessage(0, 0, nil), asPlaintext, false},
		{"plaintext Finished", handshakeMessage(20, 7, junk[:12]), asPlaintext, false},
		{"unknown handshake message", handshakeMessage(99, 3, junk), asPlaintext, false},
		{"ChangeCipherSpec", dtlsRecord(20, 0, 900, []byte{1}), asPlaintext, false},
		{"bad ChangeCipherSpec", dtlsRecord(20, 0, 900, []byte{2}), asPlaintext, false},
		{"long ChangeCipherSpec", dtlsRecord(20, 0, 900, junk), asPlaintext, false},
		{"protected ChangeCipherSpec", dtlsRecord(20, 1, 900, []byte{1}), asUnexpected, false},
		{"unknown type", dtlsRecord(63, 0, 900, junk), asPlaintext, false},
		{"unknown type, protected", dtlsRecord(63, 1, 900, junk), asUnexpected, false},
		{"connection id", dtlsRecord(25, 1, 900, junk), asUnexpected, false},
		{"heartbeat", dtlsRecord(24, 0, 900, junk), asPlaintext, false},
		{"next epoch", dtlsRecord(23, 2, 0, junk), asUnexpected, false},
		{"last epoch", dtlsRecord(22, 65535, 0, junk), asUnexpected, false},
		{"forged application data", dtlsRecord(23, 1, 900, junk), asUndelivered, false},
		{"forged application data of the highest number", dtlsRecord(23, 1, 1<<32-1, junk), asUndelivered, false},
		{"forged alert", dtlsRecord(21, 1, 901, junk), nil, false},
		{"forged handshake", dtlsRecord(22, 1, 902, junk), nil, false},
		{"no room for the tag", dtlsRecord(23, 1, 903, junk[:15]), asMalformed, false},
		{"empty record", dtlsRecord(23, 1, 904, nil), asMalformed, false},
		{"length beyond the datagram", long, asMalformed, false},
		{"length before its end", short, nil, false}, // a forged record and half a header
		{"half a header", dtlsRecord(23, 1, 905, nil)[:7], asMalformed, false},
		{"the version of TLS", tls, asMalformed, false},
		{"an alert and half a record", two, nil, true},
		{"8192 bytes", dtlsRecord(23, 1, 906, bytes.Repeat(junk, 32)), asUndelivered, false},
		{"RTP", append([]byte{0x80, 111}, junk...), nil, false},
		{"RTCP", append([]byte{0x80, 200}, junk...), nil, false},
		{"ZRTP", append([]byte{16}, junk...), nil, false},
		{"TURN channel data", append([]byte{64, 0}, junk...), nil, false},
		{"no protocol", append([]byte{255}, junk...), nil, false},
		{"looks like STUN", append([]byte{0, 1}, junk...), nil, false},
	}
}

// Whatever arrives over the path of a connected stack is dropped and counted,
// and the next message gets through.
func TestD3_JunkOnceConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := virtualPair(t, testnet.Delay(time.Millisecond))
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "in the junk", Ordered: true})
		for _, sides := range [][2]*stack{{a, b}, {b, a}} { // server, then client
			victim, other := sides[0], sides[1]
			require.Zero(t, victim.dtls.Stats(), "nothing was dropped until here")
			for _, j := range junkPackets() {
				time.Sleep(time.Second) // acknowledgements are done
				before := victim.dtls.Stats()
				_, err := other.ice.path().Write(j.packet)
				require.NoError(t, err)
				time.Sleep(10 * time.Millisecond)
				want, got := before, victim.dtls.Stats()
				if j.counter != nil {
					*j.counter(&want)++
					require.Equal(t, want, got, j.name)
				}
				exchange(t, from, to)
			}
			require.Equal(t, DTLSTransportStateConnected, victim.dtls.State())
		}
		last := a.dtls.Stats()
		require.NoError(t, a.ice.Stop())
		require.Equal(t, last, a.dtls.Stats(), "they stay after the end")
		require.Greater(t, last.DroppedRecords(), uint64(len(junkPackets())/2))
	})
}

// Junk that waits when DTLS starts, or comes while a side waits for the other,
// does not keep the handshake.
func TestD3_JunkBeforeConnected(t *testing.T) {
	for _, j := range junkPackets() {
		if j.ends {
			continue
		}
		for name, begin := range map[string]func(t *testing.T, a, b *stack, junk func()){
			"before the start": func(t *testing.T, a, b *stack, junk func()) { junk() },
			"while the client waits": func(t *testing.T, a, b *stack, junk func()) {
				time.AfterFunc(time.Millisecond, junk)
				time.AfterFunc(20*time.Millisecond, func() { assert.NoError(t, a.startDTLS(t.Context(), b)) })
				assert.NoError(t, b.startDTLS(t.Context(), a))
			},
			"while the server waits": func(t *testing.T, a, b *stack, junk func()) {
				time.AfterFunc(time.Millisecond, junk)
				time.AfterFunc(20*time.Millisecond, func() { assert.NoError(t, b.startDTLS(t.Context(), a)) })
				assert.NoError(t, a.startDTLS(t.Context(), b))
			},
		} {
			bubble(t, func(t *testing.T) {
				a, b, _ := quickPair(t, testnet.Delay(time.Millisecond))
				connectBelow(t, a, b, 1)
				start := time.Now()
				begin(t, a, b, func() {
					for range 3 {
						_, _ = a.ice.path().Write(j.packet)
						_, _ = b.ice.path().Write(j.packet)
					}
				})
				if name == "before the start" {
					time.Sleep(10 * time.Millisecond)
					require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }),
						"%s %s", j.name, name)
				}
				synctest.Wait()
				require.Less(t, time.Since(start), time.Second, "%s %s", j.name, name)
				time.Sleep(time.Second)
				require.Equal(t, DTLSTransportStateConnected, a.dtls.State(), "%s %s", j.name, name)
				require.Equal(t, DTLSTransportStateConnected, b.dtls.State(), "%s %s", j.name, name)
				carries(t, a, b, 2)
			})
		}
	}
}

// Before it is connected a plaintext fatal alert ends the handshake, with the
// alert as the reason: nobody can tell the peer's from another's.
func TestD3_FatalAlertBeforeConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := quickPair(t, testnet.Delay(time.Millisecond))
		connectBelow(t, a, b, 1)
		time.AfterFunc(50*time.Millisecond, func() {
			_, _ = b.ice.path().Write(dtlsRecord(21, 0, 0, []byte{2, 40}))
		})
		begin := time.Now()
		err := a.startDTLS(t.Context(), b)
		require.Equal(t, 51*time.Millisecond, time.Since(begin))
		var alert *DTLSAlertError
		require.ErrorAs(t, err, &alert)
		require.Equal(t, DTLSAlertError{Level: 2, Description: 40}, *alert)
		require.Equal(t, DTLSTransportStateFailed, a.dtls.State())
	})
}

// heapInUse is the size of what is reachable, in bytes.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)

	return m.HeapAlloc
}

// A flood of junk costs no memory, and a connection works through it.
func TestD3_FloodCostsNothing(t *testing.T) {
	const limit, batch = 2 << 20, 500
	bubble(t, func(t *testing.T) {
		a, b, _ := virtualPair(t)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Label: "in the flood", Ordered: true})
		exchange(t, from, to)
		all := junkPackets()
		before, most := heapInUse(), uint64(0)
		sent := 0
		for n := cases(100_000); sent < n; {
			for range batch {
				j := all[sent%len(all)]
				_, err := b.ice.path().Write(j.packet)
				require.NoError(t, err)
				sent++
			}
			synctest.Wait()
			if sent%(20*batch) == 0 {
				most = max(most, heapInUse())
				exchange(t, from, to)
			}
		}
		most = max(most, heapInUse())
		t.Logf("%d packets, %d records dropped, heap %+d KB at most",
			sent, a.dtls.Stats().DroppedRecords(), (int64(most)-int64(before))/1024)
		require.Less(t, int64(most)-int64(before), int64(limit))
		require.Greater(t, a.dtls.Stats().DroppedRecords(), uint64(sent)/2)
		require.Equal(t, DTLSTransportStateConnected, a.dtls.State())
		exchange(t, from, to)
	})
}

// A flood before the start fills what buffers there are, and no more; the
// handshake goes through once it stops.
func TestD3_FloodBeforeTheStart(t *testing.T) {
	const limit = 2 << 20
	bubble(t, func(t *testing.T) {
		a, b, _ := quickPair(t)
		connectBelow(t, a, b, 1)
		before := heapInUse()
		for i := range cases(50_000) {
			_, err := b.ice.path().Write(dtlsRecord(22, 0, uint32(i), bytes.Repeat([]byte{1}, 1000)))
			require.NoError(t, err)
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		require.Less(t, int64(heapInUse())-int64(before), int64(limit))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(ctx, peer) }))
		carries(t, a, b, 2)
	})
}
