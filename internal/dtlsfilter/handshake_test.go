package dtlsfilter

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A handshake takes no virtual time, with and without HelloVerifyRequest, and
// nothing of it is dropped.
func TestHandshakePassesUntouched(t *testing.T) {
	for _, helloVerify := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			client, server := newPair(t, options{helloVerify: helloVerify})
			require.Zero(t, connect(t, client, server))
			require.Zero(t, client.filter.Stats())
			require.Zero(t, server.filter.Stats())
			echo(t, client, server)
			require.NoError(t, client.conn.Close())
		})
	}
}

// The server is done and its last flight is lost: the client's retransmission
// gets it again.
func TestD4_LostFinalFlightIsAnswered(t *testing.T) {
	for _, lost := range []int{1, 3} {
		bubble(t, func(t *testing.T) {
			client, server := newPair(t, options{})
			finals := 0
			server.wire.change = func(datagram []byte) [][]byte {
				if record(datagram).kind() == protocol.ContentTypeChangeCipherSpec {
					if finals++; finals <= lost {
						return nil
					}
				}

				return [][]byte{datagram}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			fromServer, fromClient := server.start(ctx), client.start(ctx)
			require.NoError(t, <-fromServer)
			synctest.Wait()
			select {
			case err := <-fromClient:
				t.Fatal("the client cannot be done", err)
			default:
			}
			require.NoError(t, <-fromClient)
			require.Greater(t, finals, lost)
			echo(t, client, server)
		})
	}
}

// Of the client's flight 5 the plaintext part alone arrives again: that too
// tells the server that its last flight was lost.
func TestD4_PlaintextRetransmissionIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		var flight5 [][]byte
		client.wire.change = func(datagram []byte) [][]byte {
			for _, r := range splitFlights(datagram) {
				if record(r).epoch() == 0 && record(r).body()[0] == byte(handshake.TypeCertificate) {
					flight5 = append(flight5, bytes.Clone(r))
				}
			}

			return [][]byte{datagram}
		}
		answers := 0
		server.wire.change = func(datagram []byte) [][]byte {
			if record(datagram).kind() == protocol.ContentTypeChangeCipherSpec {
				answers++
			}

			return [][]byte{datagram}
		}
		connect(t, client, server)
		require.Len(t, flight5, 1)
		require.Equal(t, 1, answers)

		time.Sleep(answerInterval)
		for range 50 {
			server.wire.deliver(flight5[0])
		}
		synctest.Wait()
		require.Equal(t, 2, answers, "one datagram in an interval")
		require.EqualValues(t, 49, server.filter.Stats().Throttled)

		time.Sleep(answerInterval)
		server.wire.deliver(flight5[0])
		synctest.Wait()
		require.Equal(t, 3, answers)

		// A message that the module has not seen would be stored.
		next := bytes.Clone(flight5[0])
		next[headerSize+5] = 6
		time.Sleep(answerInterval)
		server.wire.deliver(next)
		synctest.Wait()
		require.Equal(t, 3, answers)
		require.EqualValues(t, 1, server.filter.Stats().Plaintext)
		echo(t, client, server)
	})
}

// What passes is within the budget, whatever is sent and in which shape.
func TestD9_HalfOpenHandshakeIsBounded(t *testing.T) {
	content := make([]byte, 30_000)
	for name, datagram := range map[string]func(i int) []byte{
		"fragments of one message": func(i int) []byte {
			return makeRecord(22, 0, uint64(i), makeFragment(1, 0, 24_000, i*100%23_000+i/230, content[:100]))
		},
		"single bytes": func(i int) []byte {
			return makeRecord(22, 0, uint64(i), makeFragment(1, 0, 20_000, i%20_000, content[:1]))
		},
		"first fragments": func(i int) []byte {
			kind := []byte{1, 11, 16, 15}[i%4]

			return makeRecord(22, 0, uint64(i), makeFragment(kind, uint16(i%4), 20_000, i/4*100%19_000, content[:1000]))
		},
		"growing fragments": func(i int) []byte {
			return makeRecord(22, 0, uint64(i), makeFragment(1, 0, 20_000, 0, content[:1+i%8000]))
		},
		"one new byte in a large record": func(i int) []byte {
			known := makeFragment(1, 0, 20_000, 0, content[:4000])

			return makeRecord(22, 0, uint64(i), append(known, makeFragment(1, 0, 20_000, 4000+2*i%15_000, content[:1])...))
		},
		"protected": func(i int) []byte {
			return makeRecord(21, 1, uint64(i), content[:100+i%1000])
		},
		"ChangeCipherSpec": func(i int) []byte { return makeRecord(20, 0, uint64(i), []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			f, w := stubbed()
			passed := map[string]bool{}
			bytesPassed := 0
			for i := range 5_000 {
				got := w.read(t, f, datagram(i))
				if got == nil {
					continue
				}
				// What passes again is not stored again, except what waits for keys.
				key := string(got[headerSize:])
				if got[0] != 22 || !passed[key] {
					bytesPassed += len(got)
				}
				passed[key] = true
			}
			require.NotZero(t, bytesPassed)
			require.LessOrEqual(t, bytesPassed, 32<<10)
			require.NotZero(t, f.Stats().OverBudget)
			require.LessOrEqual(t, f.hs.stored, maxFragments)
		})
	}
}

// A message that cannot become complete within the budget is not begun.
func TestD9_MessageLargerThanTheBudget(t *testing.T) {
	for length, want := range map[int]uint64{24 << 10: 0, 24<<10 + 1: 1, 1<<24 - 1: 1} {
		f, w := stubbed()
		w.read(t, f, makeRecord(22, 0, 0, makeFragment(1, 0, length, 0, make([]byte, 100))))
		require.Equal(t, want, f.Stats().OverBudget, "%d bytes", length)
	}
	w := &feed{}
	f := New(stubPath{w, nil}, Config{MaxHandshakeBytes: 400})
	require.Nil(t, w.read(t, f, makeRecord(22, 0, 0, makeFragment(1, 0, 301, 0, make([]byte, 10)))))
	require.NotNil(t, w.read(t, f, makeRecord(22, 0, 0, makeFragment(1, 0, 300, 0, make([]byte, 10)))))
}

// The module discards fragments above its own count, so a large budget in
// bytes must not let in more of them.
func TestD9_FragmentsAreBounded(t *testing.T) {
	tr := newTranscript(1 << 20)
	for i := range 2 * maxFragments {
		v := tr.admit(makeRecord(22, 0, 0, makeFragment(1, 0, 20_000, 2*i, []byte{1})), peer{clientSteps, false})
		require.Equal(t, i < maxFragments, v == pass, i)
	}
}

// ChangeCipherSpec before a client has keys is lost in the module's queue, so
// protected records are still queued when it has.
func TestD9_EarlyRecordsOfAClient(t *testing.T) {
	f, w := stubbed()
	write := func(r []byte) {
		_, err := f.WriteTo(r, nil)
		require.NoError(t, err)
	}
	ccs, data := makeRecord(20, 0, 3, []byte{1}), makeRecord(21, 1, 3, make([]byte, 1000))
	write(makeMessage(1, 0, []byte{0}))
	require.NotNil(t, w.read(t, f, ccs))
	write(ccs)
	for i := range 20 {
		require.Equal(t, i < 8, w.read(t, f, data) != nil, i) // 8 KB
	}
	// With keys it takes effect, and nothing is queued from there on.
	require.NotNil(t, w.read(t, f, append(bytes.Clone(ccs), data...)))
	for range 100 {
		require.Equal(t, data, w.read(t, f, data))
	}
}

// The bookkeeping is what the module's fragment buffer does.
func TestD9_RetransmissionsAreFree(t *testing.T) {
	f, w := stubbed()
	content := make([]byte, 900)
	pieces := [][]byte{
		makeRecord(22, 0, 0, makeFragment(1, 0, 900, 300, content[:300])),
		makeRecord(22, 0, 1, makeFragment(1, 0, 900, 0, content[:200])),
		makeRecord(22, 0, 2, makeFragment(1, 0, 900, 150, content[:200])),
		makeRecord(22, 0, 3, makeFragment(1, 0, 900, 600, content[:300])),
	}
	for i, p := range pieces {
		require.NotNil(t, w.read(t, f, bytes.Clone(p)))
		want := 0
		if i == len(pieces)-1 {
			want = 1
		}
		require.Equal(t, want, f.hs.next)
	}
	spent := f.hs.spent
	require.Equal(t, 300+200+200+300+4*(25+fragmentCost), spent)
	for range 1000 {
		for _, p := range pieces {
			require.NotNil(t, w.read(t, f, bytes.Clone(p)), "the module has to see it")
		}
	}
	require.Equal(t, spent, f.hs.spent)
	require.Zero(t, f.Stats())
}

// The genuine message of a number cannot come after a forged one, so forged
// ones that cannot be true have to go.
func TestD3_OrderOfMessages(t *testing.T) {
	cert := []byte{0, 0, 0}
	cke := append([]byte{32}, make([]byte, 32)...)
	verify := append([]byte{4, 3, 0, 8}, make([]byte, 8)...)
	certificate := append([]byte{0, 0, 13, 0, 0, 10}, make([]byte, 10)...)
	verifyBody := []byte{0xfe, 0xfd, 1, 9}
	helloBody, err := (&handshake.MessageClientHello{
		Version: protocol.Version1_2, CompressionMethods: []*protocol.CompressionMethod{{}},
	}).Marshal()
	require.NoError(t, err)
	type message struct {
		kind byte
		seq  uint16
		body []byte // nil is a part of a message, whose content is not looked at
		want verdict
	}
	for name, test := range map[string]struct {
		from     peer
		messages []message
	}{
		"a client, in order": {peer{clientSteps, false}, []message{
			{11, 0, cert, unexpected},
			{1, 1, nil, unexpected},
			{16, 1, cke, pass}, // without a Certificate
			{16, 3, cke, unexpected},
		}},
		"messages of a client that overtake": {peer{clientSteps, false}, []message{
			{15, 1, verify, unexpected},
			{15, 2, verify, unexpected},
			{15, 4, verify, unexpected},
			{15, 3, verify, pass},
			{16, 2, cke, pass},
			{16, 3, cke, unexpected},
			{11, 2, cert, unexpected},
			{11, 1, nil, pass},
			{16, 9, cke, unexpected},
			{14, 1, []byte{}, unexpected},
		}},
		"a forged message that waits does not rule out a genuine one": {peer{serverSteps, true}, []message{
			{14, 5, []byte{}, pass},
			{2, 0, nil, pass},
			{11, 1, nil, pass},
			{12, 2, nil, pass},
			{13, 3, nil, pass},
			{14, 4, []byte{}, pass},
		}},
		"no second ClientHello unasked": {peer{clientSteps, false}, []message{
			{1, 0, helloBody, pass}, {1, 1, helloBody, unexpected}, {11, 1, cert, pass}, {15, 3, verify, unexpected},
		}},
		"a second ClientHello": {peer{clientSteps, true}, []message{
			{1, 0, helloBody, pass}, {11, 2, nil, pass}, {1, 1, helloBody, pass}, {1, 3, helloBody, unexpected},
		}},
		"nothing has the number of Finished": {peer{clientSteps, false}, []message{
			{1, 0, helloBody, pass},
			{11, 1, certificate, pass},
			{16, 2, cke, pass},
			{11, 3, cert, unexpected},
			{16, 3, cke, unexpected},
			{15, 3, verify, pass},
			{15, 4, verify, unexpected},
			{16, 4, cke, unexpected},
			{20, 4, cke[:12], unexpected},
		}},
		"CertificateVerify without a certificate": {peer{clientSteps, false}, []message{
			{1, 0, helloBody, pass}, {11, 1, cert, pass}, {16, 2, cke, pass}, {15, 3, verify, unexpected},
		}},
		"a server": {peer{serverSteps, true}, []message{
			{1, 0, helloBody, unexpected},
			{16, 0, cke, unexpected},
			{14, 2, []byte{}, unexpected},
			{3, 0, verifyBody, pass},
			{3, 1, verifyBody, pass},
			{14, 4, []byte{}, unexpected},
			{14, 8, []byte{}, unexpected},
			{14, 7, []byte{}, pass},
			{11, 3, nil, pass},
			{11, 2, nil, unexpected},
		}},
		"disagreement": {peer{serverSteps, true}, []message{
			{2, 0, nil, pass}, {2, 0, make([]byte, 39), unexpected}, {3, 0, nil, unexpected},
		}},
		"a long transcript": {peer{serverSteps, true}, func() (m []message) {
			for seq := range uint16(maxMessages) {
				m = append(m, message{3, seq, verifyBody, pass})
			}

			return append(m, message{3, maxMessages, verifyBody, unexpected})
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTranscript(32 << 10)
			for i, m := range test.messages {
				r := makeMessage(m.kind, m.seq, m.body)
				if m.body == nil {
					r = makeRecord(22, 0, 0, makeFragment(m.kind, m.seq, 60, 0, make([]byte, 30)))
				}
				require.Equal(t, m.want, tr.admit(r, test.from), "message %d", i)
			}
		})
	}
}

func TestD9_LossyPathConnects(t *testing.T) {
	for seed := range uint64(40) {
		bubble(t, func(t *testing.T) {
			client, server := newPair(t, options{flight: 100 * time.Millisecond, helloVerify: seed%2 == 0})
			for i, s := range []*side{client, server} {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				s.wire.change = func(datagram []byte) (out [][]byte) {
					for _, r := range splitFlights(datagram) {
						if random.IntN(5) != 0 {
							out = append(out, r)
						}
					}
					random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })

					return out
				}
			}
			took := connect(t, client, server)
			assert.Less(t, took, 2*time.Minute, "seed %d", seed)
			assert.Zero(t, client.filter.Stats().OverBudget)
			assert.Zero(t, server.filter.Stats().OverBudget)
			client.wire.setChange(nil)
			server.wire.setChange(nil)
			echo(t, client, server)
		})
	}
}

// A cancelled handshake ends the peer's at once, whichever side it is and
// however far it got.
func TestL10_AlertEndsThePeersHandshake(t *testing.T) {
	for _, test := range []struct {
		name   string
		client bool // the client is cancelled
		// the first record that is lost, so that the handshake hangs there
		lose    func(r record) bool
		byOther bool // what is lost is the other side's
	}{
		{"client waits for ServerHello", true, func(r record) bool { return r.body()[0] == 2 }, true},
		{"client waits for ServerHelloDone", true, func(r record) bool { return r.body()[0] == 14 }, true},
		{"client in flight 5", true, func(r record) bool { return r.body()[0] == 15 }, false},
		{"server waits for the client's flight", false, func(r record) bool { return r.body()[0] == 16 }, true},
		{"server waits for Finished", false, func(r record) bool { return r.epoch() == 1 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := newPair(t, options{})
				cancelled, other := client, server
				if !test.client {
					cancelled, other = server, client
				}
				from := cancelled
				if test.byOther {
					from = other
				}
				from.wire.change = func(datagram []byte) (out [][]byte) {
					for _, r := range splitFlights(datagram) {
						if !test.lose(r) {
							out = append(out, r)
						}
					}

					return out
				}
				ctx, cancel := context.WithCancel(t.Context())
				ours, theirs := cancelled.start(ctx), other.start(t.Context())
				time.Sleep(1500 * time.Millisecond) // past a retransmission
				cancel()
				begin := time.Now()
				require.Error(t, <-ours)
				require.True(t, cancelled.filter.WriteAlert(alert.Fatal, alert.UserCanceled))
				require.ErrorContains(t, <-theirs, "UserCanceled")
				require.Zero(t, time.Since(begin))
				level, description, ok := other.filter.Alert()
				require.True(t, ok)
				require.Equal(t, alert.Fatal, level)
				require.Equal(t, alert.UserCanceled, description)
			})
		})
	}
}

// The alert has the number that is next, and nothing follows it.
func TestL10_AlertNumber(t *testing.T) {
	a, b := newWires()
	f := New(a, Config{})
	hello := makeMessage(1, 0, []byte{0})
	record(hello).setNumber(7)
	_, err := f.WriteTo(hello, nil)
	require.NoError(t, err)
	<-b.in
	record(hello).setNumber(3) // a lower one later changes nothing
	two := append(bytes.Clone(hello), makeRecord(22, 1, 4000, make([]byte, 20))...)
	two = append(two, makeRecord(22, 0, 0, nil)...)
	_, err = f.WriteTo(two, nil)
	require.NoError(t, err)
	<-b.in
	require.NoError(t, f.Close())
	require.True(t, f.WriteAlert(alert.Fatal, alert.UserCanceled))
	require.Equal(t, makeRecord(21, 0, 8, []byte{2, 90}), <-b.in)
	require.False(t, f.WriteAlert(alert.Fatal, alert.UserCanceled), "once")
	require.Empty(t, b.in)
}

func TestL10_NothingFollowsTheAlert(t *testing.T) {
	a, b := newWires()
	f := New(a, Config{})
	hello := makeMessage(1, 0, []byte{0})
	_, err := f.WriteTo(hello, nil)
	require.NoError(t, err)
	require.True(t, f.WriteAlert(alert.Fatal, alert.UserCanceled))
	n, err := f.WriteTo(hello, nil)
	require.NoError(t, err)
	require.Equal(t, len(hello), n)
	require.Len(t, b.in, 2)
}

// Before the first record the alert has number 0, and a peer that begins
// later takes it.
func TestL10_AlertBeforeAnyRecord(t *testing.T) {
	a, b := newWires()
	f := New(a, Config{})
	require.True(t, f.WriteAlert(alert.Fatal, alert.UserCanceled))
	require.False(t, f.WriteAlert(alert.Fatal, alert.UserCanceled), "once")
	require.Equal(t, makeRecord(21, 0, 0, []byte{2, 90}), <-b.in)
	require.Empty(t, b.in)

	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		require.True(t, server.filter.WriteAlert(alert.Fatal, alert.UserCanceled))
		theirs := client.start(t.Context())
		require.ErrorContains(t, <-theirs, "UserCanceled")
	})
}

func TestL10_NoAlertOnceConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		connect(t, client, server)
		require.False(t, client.filter.WriteAlert(alert.Fatal, alert.UserCanceled))
		require.False(t, server.filter.WriteAlert(alert.Fatal, alert.UserCanceled))
		echo(t, client, server)
	})
}
