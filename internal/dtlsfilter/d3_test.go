package dtlsfilter

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// badRecords are datagrams that nobody honest sends, in any phase. seq is a
// message_seq for those that have one.
func badRecords(seq uint16) map[string][]byte {
	junk := bytes.Repeat([]byte{0x5a}, 40)
	version := makeRecord(22, 0, 0, junk)
	version[1], version[2] = 3, 3
	long := makeRecord(23, 1, 7, junk)
	long[lengthAt+1]++
	beyond := makeFragment(11, seq, 40, 10, junk)
	cutShort := makeFragment(11, seq, 41, 0, junk)
	cutShort[11]++
	maxNumber := uint64(1<<48 - 1)

	return map[string][]byte{
		"empty datagram":                    {},
		"half a header":                     {22, 0xfe, 0xfd, 0, 0, 0},
		"header alone":                      makeRecord(22, 0, 0, nil),
		"empty application data":            makeRecord(23, 0, 0, nil),
		"empty protected record":            makeRecord(23, 1, 3, nil),
		"TLS version":                       version,
		"length beyond the datagram":        long,
		"unknown type":                      makeRecord(99, 0, 0, junk),
		"heartbeat":                         makeRecord(24, 0, 0, junk),
		"connection id":                     makeRecord(25, 1, 5, junk),
		"plaintext connection id":           makeRecord(25, 0, 5, junk),
		"unknown type, protected":           makeRecord(99, 1, 5, junk),
		"plaintext application data":        makeRecord(23, 0, maxNumber, junk),
		"epoch 2":                           makeRecord(23, 2, 0, junk),
		"epoch 65535":                       makeRecord(22, 65535, 0, junk),
		"ChangeCipherSpec 2":                makeRecord(20, 0, 0, []byte{2}),
		"ChangeCipherSpec of two bytes":     makeRecord(20, 0, 0, []byte{1, 1}),
		"protected ChangeCipherSpec":        makeRecord(20, 1, maxNumber, []byte{1}),
		"bad protected ChangeCipherSpec":    makeRecord(20, 1, maxNumber, junk),
		"alert of one byte":                 makeRecord(21, 0, 0, []byte{2}),
		"alert of three bytes":              makeRecord(21, 0, 0, []byte{2, 40, 0}),
		"alert of level 0":                  makeRecord(21, 0, 0, []byte{0, 0}),
		"alert of level 3":                  makeRecord(21, 0, 0, []byte{3, 40}),
		"warning user_canceled":             makeRecord(21, 0, 0, []byte{1, 90}),
		"warning no_renegotiation":          makeRecord(21, 0, maxNumber, []byte{1, 100}),
		"protected junk":                    makeRecord(23, 1, maxNumber, junk),
		"protected junk alert":              makeRecord(21, 1, 1, junk),
		"protected junk handshake":          makeRecord(22, 1, 1, junk),
		"protected, one byte":               makeRecord(23, 1, 2, []byte{1}),
		"protected, nonce alone":            makeRecord(23, 1, 2, junk[:8]),
		"protected, no room for the tag":    makeRecord(23, 1, 2, junk[:15]),
		"protected, tag alone":              makeRecord(23, 1, 2, junk[:16]),
		"protected, nonce and half a tag":   makeRecord(23, 1, 2, junk[:17]),
		"handshake junk":                    makeRecord(22, 0, maxNumber, junk),
		"handshake header cut short":        makeRecord(22, 0, 0, makeMessage(14, seq, nil)[headerSize:headerSize+11]),
		"fragment beyond its message":       makeRecord(22, 0, 0, beyond),
		"fragment beyond its record":        makeRecord(22, 0, 0, cutShort),
		"offset beyond the message":         makeRecord(22, 0, 0, makeFragment(11, seq, 5, 6, nil)),
		"fragment after the message":        makeRecord(22, 0, 0, makeFragment(11, seq, 5, 6, junk[:1])),
		"empty fragment":                    makeRecord(22, 0, 0, makeFragment(11, seq, 40, 0, nil)),
		"message of 16 MB":                  makeRecord(22, 0, 0, makeFragment(11, seq, 1<<24-1, 0, junk)),
		"unknown message":                   makeMessage(77, seq, junk),
		"NewSessionTicket":                  makeMessage(4, seq, junk),
		"HelloRequest":                      makeMessage(0, seq, nil),
		"ClientHello of junk":               makeMessage(1, seq, junk),
		"ServerHello of junk":               makeMessage(2, seq, junk),
		"HelloVerifyRequest of junk":        makeMessage(3, seq, junk),
		"Certificate of junk":               makeMessage(11, seq, junk),
		"ServerKeyExchange of junk":         makeMessage(12, seq, junk),
		"CertificateRequest of junk":        makeMessage(13, seq, junk),
		"ServerHelloDone with content":      makeMessage(14, seq, junk),
		"CertificateVerify of junk":         makeMessage(15, seq, junk),
		"ClientKeyExchange of junk":         makeMessage(16, seq, junk),
		"plaintext Finished":                makeMessage(20, seq, junk[:12]),
		"message far ahead":                 makeMessage(14, 60000, nil),
		"message just too far ahead":        makeMessage(11, seq+ahead+1, []byte{0, 0, 0}),
		"good and bad message in a record":  append(makeMessage(11, 0, []byte{0, 0, 0}), 1, 2, 3),
		"good record, then half a header":   append(makeRecord(23, 1, 2, junk), 22, 0xfe, 0xfd),
		"good record, then a bad one":       append(makeRecord(23, 1, 2, junk), makeRecord(20, 0, 0, []byte{9})...),
		"bad record, then protected junk":   append(makeRecord(20, 0, 0, []byte{9}), makeRecord(23, 1, 2, junk)...),
		"client's message to both sides":    makeMessage(16, 9, append([]byte{32}, junk[:32]...)),
		"server's message to both sides":    makeMessage(14, 9, nil),
		"ClientHello after the ClientHello": makeMessage(1, 40, junk),
	}
}

// splitFlights delivers every record in a datagram of its own, so that a
// record can be put between any two.
func splitFlights(datagram []byte) [][]byte {
	var out [][]byte
	for r := cut(datagram); r != nil; r = cut(datagram) {
		out = append(out, r)
		datagram = datagram[len(r):]
	}

	return out
}

// injector puts one datagram before the at-th of a handshake and counts them.
type injector struct {
	at, seen int
	extra    []byte
}

func (i *injector) change(datagram []byte) (out [][]byte) {
	for _, d := range splitFlights(datagram) {
		if i.seen == i.at {
			out = append(out, i.extra)
		}
		out = append(out, d)
		i.seen++
	}

	return out
}

// Every bad record, alone, before every record of the handshake, in both
// directions: the handshake goes through without a retransmission.
func TestD3_BadRecordAtEveryPointOfTheHandshake(t *testing.T) {
	// How many records each side sends.
	var records [2]int
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		count := [2]injector{{at: -1}, {at: -1}}
		client.wire.change, server.wire.change = count[0].change, count[1].change
		require.Zero(t, connect(t, client, server))
		records = [2]int{count[0].seen, count[1].seen}
	})
	require.Equal(t, [2]int{6, 7}, records) // hello, Certificate ... Finished

	for direction, n := range records {
		for at := range n {
			t.Run(fmt.Sprintf("%s record %d", []string{"client's", "server's"}[direction], at), func(t *testing.T) {
				// The number of the message that is due, and the next.
				for _, seq := range []uint16{uint16(at), uint16(at + 1)} {
					bad := badRecords(seq)
					for _, name := range slices.Sorted(maps.Keys(bad)) {
						bubble(t, func(t *testing.T) {
							client, server := newPair(t, options{})
							i := &injector{at: at, extra: bad[name]}
							if direction == 0 {
								client.wire.change = i.change
							} else {
								server.wire.change = i.change
							}
							took, err := tryConnect(t, client, server)
							if !assert.NoError(t, err, "%s, seq %d", name, seq) {
								return
							}
							assert.Zero(t, took, "%s, seq %d", name, seq)
							echo(t, client, server)
							_, _, ok := client.filter.Alert()
							assert.False(t, ok)
						})
					}
				}
			})
		}
	}
}

// Before anything else was sent, either side is idle.
func TestD3_BadRecordBeforeTheHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		for _, name := range slices.Sorted(maps.Keys(badRecords(0))) {
			if len(badRecords(0)[name]) == 0 || name[:4] == "prot" || name[:4] == "good" || name[:4] == "bad " {
				continue // junk that looks protected uses the early budget
			}
			client.wire.deliver(badRecords(0)[name])
			server.wire.deliver(badRecords(0)[name])
		}
		require.Zero(t, connect(t, client, server))
		require.NotZero(t, client.filter.Stats().Malformed)
		require.NotZero(t, client.filter.Stats().Unexpected)
		echo(t, client, server)
	})
}

// After the handshake every bad record, and every plaintext one that would
// have been good before, is dropped and counted, and the next message arrives.
func TestD3_BadRecordOnceConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		connect(t, client, server)
		bad := badRecords(9)
		for name, extra := range map[string][]byte{
			"plaintext fatal alert":  makeRecord(21, 0, 99, []byte{2, 40}),
			"plaintext close_notify": makeRecord(21, 0, 100, []byte{1, 0}),
			"ChangeCipherSpec":       makeRecord(20, 0, 101, []byte{1}),
			"message of the future":  makeMessage(11, 7, []byte{0, 0, 0}),
		} {
			bad[name] = extra
		}
		for _, name := range slices.Sorted(maps.Keys(bad)) {
			for _, s := range []*side{client, server} {
				before := s.filter.Stats().Dropped()
				s.wire.deliver(bad[name])
				synctest.Wait()
				echo(t, client, server)
				if r := cut(bad[name]); len(r) > 0 && r.epoch() == 0 && name != "empty datagram" {
					assert.Greater(t, s.filter.Stats().Dropped(), before, name)
				}
			}
		}
		for _, s := range []*side{client, server} {
			_, _, ok := s.filter.Alert()
			require.False(t, ok)
			require.NotZero(t, s.filter.Stats().Plaintext)
			require.NotZero(t, s.filter.Stats().Malformed)
			require.NotZero(t, s.filter.Stats().Unexpected)
		}
	})
}

// A copy of a genuine plaintext record under the highest record number must
// not make the genuine ones look like replays.
func TestD3_ForgedRecordNumber(t *testing.T) {
	for _, direction := range []string{"client's", "server's"} {
		t.Run(direction, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := newPair(t, options{})
				forge := func(datagram []byte) (out [][]byte) {
					for _, d := range splitFlights(datagram) {
						out = append(out, d)
						if r := record(d); r.epoch() == 0 {
							forged := bytes.Clone(r)
							record(forged).setNumber(1<<48 - 1)
							out = append(out, forged)
						}
					}

					return out
				}
				if direction == "client's" {
					client.wire.change = forge
				} else {
					server.wire.change = forge
				}
				require.Zero(t, connect(t, client, server))
				echo(t, client, server)
			})
		})
	}
}

// Junk that looks protected fills the queue for early records. The peer's
// first Finished is then lost, and its retransmission gets through.
func TestD3_ProtectedJunkDoesNotStarveTheHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		for range 200 {
			junk := makeRecord(23, 1, 5, make([]byte, 1000))
			client.wire.deliver(junk)
			server.wire.deliver(junk)
			ccs := makeRecord(20, 0, 5, []byte{1})
			client.wire.deliver(ccs)
			server.wire.deliver(ccs)
		}
		require.Less(t, connect(t, client, server), 10*time.Second)
		require.NotZero(t, server.filter.Stats().OverBudget)
		require.NotZero(t, client.filter.Stats().OverBudget)
		echo(t, client, server)
	})
}

// A fatal alert or close_notify in plaintext ends a handshake at once, and
// the filter knows it.
func TestD3_PlaintextAlertEndsTheHandshake(t *testing.T) {
	for name, a := range map[string]alert.Alert{
		"fatal":        {Level: alert.Fatal, Description: alert.HandshakeFailure},
		"close_notify": {Level: alert.Warning, Description: alert.CloseNotify},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, _ := newPair(t, options{})
				client.wire.change = func([]byte) [][]byte { return nil }
				done := client.start(t.Context())
				time.Sleep(100 * time.Millisecond)
				_, _, ok := client.filter.Alert()
				require.False(t, ok)

				client.wire.deliver(makeRecord(21, 0, 0, []byte{byte(a.Level), byte(a.Description)}))
				begin := time.Now()
				require.Error(t, <-done)
				require.Zero(t, time.Since(begin))
				level, description, ok := client.filter.Alert()
				require.True(t, ok)
				require.Equal(t, a, alert.Alert{Level: level, Description: description})
			})
		})
	}
}

// flood builds datagrams of records that are each bad in another way, or
// good and useless.
func flood(t *testing.T, f *Filter, w *feed, n int) (grown int64) {
	t.Helper()
	bad := badRecords(2)
	var datagrams [][]byte
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		if len(bad[name]) > 0 {
			datagrams = append(datagrams, bad[name])
		}
	}
	for seq := range uint16(20) {
		datagrams = append(datagrams,
			makeMessage(11, seq, []byte{0, 0, 0}),
			makeRecord(22, 0, 9, makeFragment(11, seq, 3000, int(seq)*7, make([]byte, 900))),
			makeRecord(20, 0, 9, []byte{1}))
	}
	buf := make([]byte, 8192)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		w.packet = append(w.packet[:0], datagrams[i%len(datagrams)]...)
		if isFragment(w.packet) && i%3 == 0 {
			w.packet[headerSize+8] = byte(i) // another offset each time
		}
		w.left = 1
		_, _, err := f.ReadFrom(buf)
		if err != nil {
			require.ErrorIs(t, err, errDry)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)

	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func isFragment(r record) bool { return len(r) > headerSize+12 && r.kind() == 22 }

// feed is a path that gives one packet, left times.
type feed struct {
	packet []byte
	left   int
}

var errDry = fmt.Errorf("nothing left: %w", errGone)

func (w *feed) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errDry
	}
	w.left--

	return copy(p, w.packet), nil
}

func TestD3_FloodKeepsTheHeapSmall(t *testing.T) {
	for _, phase := range []string{"handshake", "connected"} {
		t.Run(phase, func(t *testing.T) {
			w := &feed{}
			f := New(stubPath{w, nil}, Config{})
			if phase == "connected" {
				f.Connected()
			}
			require.Less(t, flood(t, f, w, 100_000), int64(2<<20))
			s := f.Stats()
			require.NotZero(t, s.Malformed)
			require.NotZero(t, s.Unexpected)
			require.Equal(t, phase == "connected", s.Plaintext > 0)
			require.Equal(t, phase == "handshake", s.OverBudget > 0)
			runtime.KeepAlive(f)
		})
	}
}

// The same flood against a whole connection.
func TestD3_FloodOnAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		connect(t, client, server)
		bad := badRecords(1)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		sent := 0
		for sent < 100_000 {
			for _, datagram := range bad {
				server.wire.deliver(datagram)
				sent++
			}
			synctest.Wait()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(2<<20))
		require.Greater(t, server.filter.Stats().Dropped(), uint64(sent/2))
		echo(t, client, server)
	})
}
