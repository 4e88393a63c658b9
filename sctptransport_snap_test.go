package webrtc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/sctpfilter"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

const (
	snapOneWay       = 25 * time.Millisecond
	initAckChunkType = 2
)

// snapSide is one end of a path with an association to be started on it.
type snapSide struct {
	pipe    *testnet.PipeConn
	start   associationStart
	filters []*sctpfilter.Filter // in the order of attach

	mu   sync.Mutex
	sent []byte // the type of the first chunk of every packet

	assoc  *sctp.Association
	filter *sctpfilter.Filter
	err    error
	took   time.Duration
	done   chan struct{}
}

// newSnapSides returns two ends of which each knows the other's INIT chunk.
func newSnapSides(t *testing.T) (a, b *snapSide) {
	t.Helper()
	p, q := testnet.Pipe(snapOneWay)
	settings := NewAPI(WithSettingEngine(SettingEngine{LoggerFactory: quietLogs})).settings
	side := func(pipe *testnet.PipeConn) *snapSide {
		s := &snapSide{pipe: pipe, done: make(chan struct{})}
		pipe.OnWrite(func(packet []byte) bool {
			s.note(packet)

			return false
		})
		var token localInit
		require.Nil(t, token.signaled())
		text, err := token.signal(settings)
		require.NoError(t, err)
		again, err := token.signal(settings)
		require.NoError(t, err)
		require.Equal(t, text, again, "one for each transport")
		local, err := SCTPCapabilities{SCTPInit: text}.initChunk()
		require.NoError(t, err)
		require.Equal(t, local, token.signaled())
		s.start = associationStart{
			source: pipe, options: settings.sctpClientOptions(), local: local,
			attach: func(f *sctpfilter.Filter) error {
				s.filters = append(s.filters, f)

				return nil
			},
		}

		return s
	}
	a, b = side(p), side(q)
	a.start.remote, b.start.remote = b.start.local, a.start.local

	return a, b
}

// note keeps the type of a packet's first chunk, and returns how many there are.
func (s *snapSide) note(packet []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, packet[12])

	return len(s.sent)
}

func (s *snapSide) kinds() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Clone(s.sent)
}

func (s *snapSide) run(ctx context.Context) {
	go func() {
		defer close(s.done)
		began := time.Now()
		var confirm func(ctx context.Context) error
		s.assoc, s.filter, confirm, s.err = s.start.run(ctx)
		if s.err == nil && confirm != nil {
			s.err = confirm(ctx)
		}
		s.took = time.Since(began)
		if s.err != nil && s.assoc != nil { // as the transport does
			_ = s.filter.Close()
			_ = s.assoc.Close()
		}
	}()
}

func (s *snapSide) end() {
	if s.assoc != nil {
		_ = s.assoc.Close()
	}
	for _, f := range s.filters {
		f.Detach()
	}
}

// readyToRead lets the filter hand on data, where it waits for a reader.
type readyToRead struct{ sctpfilter.Streams }

func (readyToRead) Opening(uint16) bool  { return true }
func (readyToRead) Readable([]uint16)    {}
func (readyToRead) Resetting([]uint16)   {}
func (readyToRead) ResetAnswered(uint16) {}
func (readyToRead) Overflow(uint16)      {}
func (readyToRead) Acknowledged()        {}

// assertTalk sends a message of many packets each way.
func assertTalk(t *testing.T, a, b *snapSide) {
	t.Helper()
	for _, s := range []*snapSide{a, b} {
		require.NoError(t, s.err)
		require.Same(t, s.filters[len(s.filters)-1], s.filter)
		s.filter.Attach(readyToRead{})
		agreed, ok := s.assoc.Metadata()
		require.True(t, ok)
		assert.True(t, agreed.MessageInterleavingEnabled)
		assert.True(t, agreed.ZeroChecksumReceivingEnabled)
		assert.True(t, agreed.ZeroChecksumSendingEnabled)
		assert.Equal(t, sctp.PartialReliabilityModeIForwardTSN, agreed.PartialReliabilityMode)
		assert.GreaterOrEqual(t, s.assoc.RWND(), uint32(defaultReceiveBufferSize))
	}
	for i, way := range [][2]*snapSide{{a, b}, {b, a}} {
		stream, err := way[0].assoc.OpenStream(uint16(i), sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		_, err = stream.WriteSCTP(make([]byte, 50_000), sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		in, err := way[1].assoc.AcceptStream()
		require.NoError(t, err)
		n, _, err := in.ReadSCTP(make([]byte, 60_000))
		require.NoError(t, err)
		assert.Equal(t, 50_000, n)
	}
	for _, s := range []*snapSide{a, b} {
		assert.NotContains(t, s.kinds(), byte(abortChunkType))
	}
}

// S6: with both INIT chunks in signaling there is no handshake on the path.
func TestS6_SNAPSkipsHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSnapSides(t)
		a.run(t.Context())
		b.run(t.Context())
		<-a.done
		<-b.done
		assert.Equal(t, snapOneWay, a.took, "the plain handshake takes four times as long")
		assert.Equal(t, snapOneWay, b.took)
		assertTalk(t, a, b)
		for _, s := range []*snapSide{a, b} {
			assert.NotContains(t, s.kinds(), byte(initChunkType))
			assert.Len(t, s.filters, 1)
			s.end()
		}
	})
}

// S6: a peer that has not got our chunk, or makes nothing of it, sends an INIT.
func TestS6_SNAPFallsBackToHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		lead time.Duration // how much later the peer starts
		most time.Duration // that ours takes
		lose int           // of the peer's first packets
	}{
		"together":           {0, 3 * snapOneWay, 0}, // its INIT is answered, not waited for again
		"the peer first":     {-2 * time.Second, 2 * snapOneWay, 0},
		"the peer later":     {7 * time.Second, 7*time.Second + 3*snapOneWay, 0},
		"its INIT gets lost": {0, 2 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := newSnapSides(t)
				b.start.local = nil // a's chunk came through, b's did not
				b.pipe.OnWrite(func(packet []byte) bool { return b.note(packet) <= c.lose })
				first, second := a, b
				if c.lead < 0 {
					first, second = b, a
				}
				first.run(t.Context())
				time.Sleep(max(c.lead, -c.lead))
				second.run(t.Context())
				<-a.done
				<-b.done
				assert.LessOrEqual(t, a.took, c.most)
				require.Len(t, a.filters, 1, "the association stays")
				assertTalk(t, a, b)
				assert.Contains(t, b.kinds(), byte(initChunkType))
				a.end()
				b.end()
			})
		})
	}
}

// What is written before the peer begins a handshake all the same is not lost,
// nor does it come twice, and goes out again at once. Both directions then carry
// data, answers to it, and resets.
func TestS6_NothingIsLostWhenThePeerShakesHands(t *testing.T) {
	const messages, size = 40, 2000 // more than the first window
	for name, c := range map[string]struct {
		lead time.Duration // how much later the peer starts
		lose float64
	}{
		"together": {0, 0}, "the peer later": {3 * time.Second, 0}, "losses": {time.Second, 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := newSnapSides(t)
				b.start.local = nil
				if c.lose > 0 {
					for i, s := range []*snapSide{a, b} {
						random := rand.New(rand.NewPCG(1, uint64(i)))
						s.pipe.OnWrite(func(packet []byte) bool {
							s.note(packet)
							s.mu.Lock()
							defer s.mu.Unlock()

							return random.Float64() < c.lose
						})
					}
				}
				send := func(from *snapSide, id uint16) *sctp.Stream {
					stream, err := from.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
					require.NoError(t, err)
					for i := range messages {
						message := make([]byte, size)
						message[0] = byte(i)
						_, err = stream.WriteSCTP(message, sctp.PayloadTypeWebRTCBinary)
						require.NoError(t, err)
					}

					return stream
				}
				receive := func(to *snapSide) *sctp.Stream {
					stream, err := to.assoc.AcceptStream()
					require.NoError(t, err)
					for i := range messages {
						buf := make([]byte, size+1)
						n, _, err := stream.ReadSCTP(buf)
						require.NoError(t, err)
						require.Equal(t, size, n)
						require.Equal(t, byte(i), buf[0])
					}

					return stream
				}
				a.run(t.Context())
				synctest.Wait()
				a.filter.Attach(readyToRead{})
				early := send(a, 1)
				time.Sleep(c.lead)
				began := time.Now()
				b.run(t.Context())
				<-b.done
				b.filter.Attach(readyToRead{})
				require.NoError(t, b.err)
				got := receive(b)
				if c.lose == 0 {
					assert.Less(t, time.Since(began), time.Second, "it waits for no retransmission")
				}
				<-a.done
				require.NoError(t, a.err)
				back := send(b, 2)
				receive(a)
				time.Sleep(3 * time.Minute) // losses double the time to the next attempt
				assert.Zero(t, back.BufferedAmount(), "all of it was acknowledged")
				assert.Zero(t, early.BufferedAmount())
				require.NoError(t, early.Close())
				_, _, err := got.ReadSCTP(make([]byte, size))
				require.ErrorIs(t, err, io.EOF)
				a.end()
				b.end()
			})
		})
	}
}

// A peer with an INIT of the same tag as the one it signaled is a plain one
// too: it began anew.
func TestSNAPPeerSendsItsOwnInit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSnapSides(t)
		packet := make([]byte, commonHeaderLen, 100)
		copy(packet, []byte{0x13, 0x88, 0x13, 0x88})
		packet = append(packet, b.start.local...)
		packet = append(packet, make([]byte, (4-len(packet)%4)%4)...)
		spoilt := append([]byte(nil), packet...)
		binary.LittleEndian.PutUint32(packet[8:], packetChecksum(packet))
		binary.LittleEndian.PutUint32(spoilt[8:], packetChecksum(packet)+1)
		a.run(t.Context())
		a.pipe.Inject(spoilt)
		a.pipe.Inject(packet[:14])
		synctest.Wait()
		assert.NotContains(t, a.kinds(), byte(initAckChunkType), "a damaged INIT is none")
		a.pipe.Inject(packet)
		synctest.Wait()
		assert.Contains(t, a.kinds(), byte(initAckChunkType))
		b.start.local = nil
		b.run(t.Context())
		<-a.done
		<-b.done
		assertTalk(t, a, b)
		a.end()
		b.end()
	})
}

// A peer that never says anything by itself, as pion/webrtc, answers.
func TestSNAPWithSilentPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSnapSides(t)
		a.run(t.Context())
		const late = 3 * time.Second
		time.Sleep(late)
		b.filter = sctpfilter.New(b.pipe, sctpfilter.Config{})
		require.NoError(t, b.filter.Negotiated(b.start.local, b.start.remote))
		b.filters = append(b.filters, b.filter)
		b.assoc, b.err = sctp.ClientContext(t.Context(),
			b.start.with(b.filter, sctp.WithSNAP(b.start.local, b.start.remote))...)
		<-a.done
		assert.Equal(t, late+snapOneWay, a.took, "what was sent before is answered")
		assert.Zero(t, a.assoc.SRTT(), "which is no measure of the path")
		assertTalk(t, a, b)
		assert.InDelta(t, 2*snapOneWay/time.Millisecond, a.assoc.SRTT(), 1)
		a.end()
		b.end()
	})
}

// The first packets may get lost, either way.
func TestSNAPAsksAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSnapSides(t)
		for _, s := range []*snapSide{a, b} {
			s.pipe.OnWrite(func(packet []byte) bool { return s.note(packet) <= 5 })
		}
		a.run(t.Context())
		b.run(t.Context())
		<-a.done
		<-b.done
		// 0, 0.2, 0.6, 1.4 and 3 s are lost.
		assert.Equal(t, 6200*time.Millisecond+snapOneWay, a.took)
		assertTalk(t, a, b)
		a.end()
		b.end()
	})
}

// A peer that is not there costs a packet in five seconds at most.
func TestSNAPAsksSeldom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := newSnapSides(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		a.run(ctx)
		<-a.done
		require.ErrorIs(t, a.err, context.DeadlineExceeded)
		assert.Len(t, a.kinds(), 10)
		assert.Less(t, len(a.kinds()), maxEarlyPackets, "the peer keeps them all until it starts")
		a.end()
	})
}

func TestSNAPStartEnds(t *testing.T) {
	stop := errors.New("stop")
	for name, c := range map[string]struct {
		end  func(a, b *snapSide, cancel context.CancelCauseFunc)
		want error
	}{
		"context": {func(_, _ *snapSide, cancel context.CancelCauseFunc) { cancel(stop) }, stop},
		"the connection": {func(_, b *snapSide, _ context.CancelCauseFunc) {
			_ = b.pipe.Close()
		}, io.EOF},
		"the peer's abort": {func(_, b *snapSide, _ context.CancelCauseFunc) {
			f := sctpfilter.New(b.pipe, sctpfilter.Config{})
			_ = f.Negotiated(b.start.local, b.start.remote)
			_ = f.WriteAbort("no")
		}, errPeerAborted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := newSnapSides(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				a.run(ctx)
				time.Sleep(time.Second)
				c.end(a, b, cancel)
				<-a.done
				require.ErrorIs(t, a.err, c.want)
				assert.LessOrEqual(t, a.took, time.Second+snapOneWay)
				assert.Len(t, a.filters, 1)
				_, err := a.filter.Write([]byte("from an association that is left over"))
				require.Error(t, err)
				if name == "the peer's abort" {
					require.NotNil(t, a.filter.AbortCause())
					assert.Contains(t, a.filter.AbortCause().Error(), "no")
				}
				a.end()
			})
		})
	}
}

// A peer that answers a packet of no association that it knows of may start
// later, and packets of another association say nothing.
func TestSNAPPeerKnowsNoAssociationYet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSnapSides(t)
		a.run(t.Context())
		synctest.Wait()
		abort := make([]byte, commonHeaderLen+tlvHeaderLen)
		copy(abort, []byte{0x13, 0x88, 0x13, 0x88})
		binary.BigEndian.PutUint32(abort[4:], initiateTag(b.start.local))
		abort[12], abort[13], abort[15] = abortChunkType, reflectedTag, 4
		binary.LittleEndian.PutUint32(abort[8:], packetChecksum(abort))
		a.pipe.Inject(abort)
		foreign := append([]byte(nil), abort...)
		binary.BigEndian.PutUint32(foreign[4:], initiateTag(a.start.local)+1)
		foreign[12], foreign[13] = heartbeatChunkType, 0
		a.pipe.Inject(foreign)
		time.Sleep(time.Second)
		select {
		case <-a.done:
			assert.Fail(t, "it takes a packet of this association", a.err)
		default:
		}
		b.run(t.Context())
		<-a.done
		<-b.done
		assertTalk(t, a, b)
		a.end()
		b.end()
	})
}

// A transport that has ended takes no filter.
func TestSNAPOfEndedTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := newSnapSides(t)
		a.start.attach = func(*sctpfilter.Filter) error { return ErrClosed }
		a.run(t.Context())
		<-a.done
		require.ErrorIs(t, a.err, ErrClosed)
		assert.Nil(t, a.assoc)
		_, err := a.pipe.Write([]byte("of the layer below"))
		require.NoError(t, err)
	})
}
