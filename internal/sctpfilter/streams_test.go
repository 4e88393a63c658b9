package sctpfilter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// poller reads the streams of one side as they become readable.
type poller struct {
	*side
	refuse func(id uint16) bool
	idle   bool // leave everything unread

	turn     sync.Mutex // one poll at a time, so that messages stay in order
	mu       sync.Mutex
	streams  map[uint16]*sctp.Stream
	last     map[uint16]*sctp.Stream // the streams that have ended
	got      map[uint16][][]byte
	ended    []uint16
	answered []uint16
	overflow []uint16
	acks     int
}

func newPoller(s *side) *poller {
	p := &poller{side: s, streams: map[uint16]*sctp.Stream{}, last: map[uint16]*sctp.Stream{}, got: map[uint16][][]byte{}}
	s.reader = p

	return p
}

func (p *poller) Opening(id uint16) bool {
	if p.refuse != nil && p.refuse(id) {
		return false
	}

	return p.open(id) != nil
}

// open opens a stream for both directions, or returns the one that is open.
func (p *poller) open(id uint16) *sctp.Stream {
	if id != Sink {
		p.filter.Opened(id)
	}
	stream, err := p.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return nil
	}
	_ = stream.SetReadDeadline(past)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[id] = stream

	return stream
}

func (p *poller) Readable(ids []uint16) {
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	if !idle {
		p.poll(ids...)
	}
}

func (p *poller) poll(ids ...uint16) {
	p.turn.Lock()
	defer p.turn.Unlock()
	buf := make([]byte, 1<<19)
	for _, id := range ids {
		p.mu.Lock()
		stream := p.streams[id]
		p.mu.Unlock()
		for stream != nil {
			mark := p.filter.Handled()
			n, _, err := stream.ReadSCTP(buf)
			if errors.Is(err, io.EOF) {
				p.mu.Lock()
				p.ended = append(p.ended, id)
				p.last[id] = stream
				delete(p.streams, id)
				p.mu.Unlock()
				p.filter.ResetSeen(id)
			}
			if err != nil {
				p.filter.Drained(id, mark)

				break
			}
			p.filter.Took(id, n)
			p.mu.Lock()
			p.got[id] = append(p.got[id], bytes.Clone(buf[:n]))
			p.mu.Unlock()
		}
	}
}

func (p *poller) ResetAnswered(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = append(p.answered, id)
}

func (p *poller) Overflow(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overflow = append(p.overflow, id)
}

func (p *poller) Acknowledged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks++
}

func (p *poller) messages(id uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return len(p.got[id])
}

// polling connects two sides whose streams are polled.
func polling(t *testing.T, cfg Config, interleave bool) (a, b *poller) {
	t.Helper()
	p, q := testnet.Pipe(oneWay)
	sides := [2]*poller{}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	var wg sync.WaitGroup
	for i, pipe := range []*testnet.PipeConn{p, q} {
		s := &side{pipe: pipe, filter: New(pipe, cfg)}
		sides[i] = newPoller(s)
		wg.Go(func() {
			s.assoc, s.err = sctp.ClientContext(t.Context(), sctp.WithNetConn(s.filter), sctp.WithLoggerFactory(quiet),
				sctp.WithEnableInterleaving(interleave), sctp.WithEnableZeroChecksum(i == 0))
			if s.err == nil {
				s.attach()
			}
		})
	}
	wg.Wait()
	require.NoError(t, sides[0].err)
	require.NoError(t, sides[1].err)

	return sides[0], sides[1]
}

func closeBoth(a, b *poller) {
	a.close()
	b.close()
}

// assertEmpty holds the filter's account against nothing left unread.
func assertEmpty(t *testing.T, p *poller) {
	t.Helper()
	d := &p.filter.in
	d.mu.Lock()
	defer d.mu.Unlock()
	assert.Zero(t, d.messages, "messages")
	assert.Zero(t, d.stuck, "stuck")
	assert.Zero(t, d.bytes, "bytes")
	assert.Zero(t, d.fragments, "fragments")
	assert.False(t, d.window.missing())
	assert.Empty(t, p.overflow)
}

func kinds(t *testing.T, test func(t *testing.T, interleave bool)) {
	t.Helper()
	for _, interleave := range []bool{false, true} {
		t.Run(fmt.Sprintf("interleaving %t", interleave), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, interleave) })
		})
	}
}

func send(t *testing.T, s *sctp.Stream, data []byte) {
	t.Helper()
	_, err := s.WriteSCTP(data, sctp.PayloadTypeWebRTCBinary)
	require.NoError(t, err)
}

func TestReadableTellsWhichStreams(t *testing.T) {
	kinds(t, func(t *testing.T, interleave bool) {
		a, b := polling(t, Config{}, interleave)
		for id := range uint16(3) {
			send(t, a.open(id), []byte{byte(id)})
		}
		settle(time.Second)
		for id := range uint16(3) {
			assert.Equal(t, [][]byte{{byte(id)}}, b.got[id])
		}
		assert.Positive(t, a.acks)
		assertEmpty(t, b)
		assert.EqualValues(t, 3, a.filter.Stats().MessagesSent)
		assert.EqualValues(t, 3, b.filter.Stats().MessagesReceived)
		closeBoth(a, b)
	})
}

// Data that comes before anybody reads the streams waits, and is there at once
// when somebody does.
func TestHoldsBackUntilAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newSides()
		late := newPoller(b)
		b.reader = nil
		a.start(t.Context())
		quiet := logging.NewDefaultLoggerFactory()
		quiet.DefaultLogLevel = logging.LogLevelDisabled
		assoc, err := sctp.ClientContext(t.Context(), sctp.WithNetConn(b.filter), sctp.WithLoggerFactory(quiet))
		require.NoError(t, err)
		b.assoc = assoc
		<-a.done
		require.NoError(t, a.err)
		out, err := a.assoc.OpenStream(1, sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		send(t, out, []byte("early"))
		settle(2 * oneWay)
		assert.Zero(t, late.messages(1))
		b.filter.Attach(late)
		b.filter.Attach(&fake{}) // counts once
		synctest.Wait()
		assert.Equal(t, 1, late.messages(1), "with no time gone by")
		a.close()
		b.close()
	})
}

func TestCloseEndsHoldingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := testnet.Pipe(0)
		f := New(near, Config{})
		establish(t, f, near, plainExtensions...)
		near.Inject(packet(defaultPorts, 1, dataOf(1000, 1, 3, 0, []byte("x"))))
		ended := make(chan error)
		go func() {
			_, err := f.Read(nextBuffer())
			ended <- err
		}()
		synctest.Wait()
		f.Detach()
		require.ErrorIs(t, <-ended, io.EOF)
	})
}

// A reader that is slow shuts the window, and nothing comes to harm.
func TestMaxUnreadShutsWindow(t *testing.T) {
	for name, lost := range map[string]bool{"the update arrives": false, "the update is lost": true} {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, interleave bool) {
				const limit, total = 100, 2000
				a, b := polling(t, Config{MaxUnread: limit}, interleave)
				b.idle = true
				out := a.open(1)
				for i := range total {
					send(t, out, []byte{byte(i), byte(i >> 8)})
				}
				settle(10 * time.Second)
				messages, _ := b.filter.Unread(1)
				assert.GreaterOrEqual(t, messages, limit)
				assert.Less(t, messages, limit+10)
				assert.Positive(t, b.filter.Stats().Refused)
				b.mu.Lock()
				b.idle = false
				b.mu.Unlock()
				if lost {
					var written atomic.Int32 // the update, and the SACK for what was kept
					b.pipe.OnWrite(func([]byte) bool { return written.Add(1) <= 2 })
				}
				began := time.Now()
				b.poll(1)
				for b.messages(1) < total && time.Since(began) < 5*time.Minute {
					time.Sleep(10 * time.Millisecond)
				}
				took := time.Since(began)
				t.Logf("all messages after %v", took)
				if lost {
					assert.Less(t, took, 62*time.Second, "the peer's timer")
				} else {
					assert.Less(t, took, 2*time.Second)
				}
				require.Equal(t, total, b.messages(1))
				for i, m := range b.got[1] {
					require.Equal(t, []byte{byte(i), byte(i >> 8)}, m)
				}
				settle(time.Second)
				assertEmpty(t, b)
				closeBoth(a, b)
			})
		})
	}
}

// A full receive buffer, too: what the association would not take does not count.
func TestFullBuffer(t *testing.T) {
	kinds(t, func(t *testing.T, interleave bool) {
		a, b := polling(t, Config{}, interleave)
		b.idle = true
		out := a.open(1)
		message := make([]byte, 50000)
		for range 60 {
			send(t, out, message)
		}
		settle(30 * time.Second)
		assert.Less(t, b.filter.in.bytes, 1<<20+4*50000)
		b.mu.Lock()
		b.idle = false
		b.mu.Unlock()
		began := time.Now()
		b.poll(1)
		for b.messages(1) < 60 && time.Since(began) < 5*time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("all messages after %v", time.Since(began))
		assert.Less(t, time.Since(began), 5*time.Second)
		require.Equal(t, 60, b.messages(1))
		settle(time.Second)
		assertEmpty(t, b)
		closeBoth(a, b)
	})
}

func TestDiscardedStreams(t *testing.T) {
	kinds(t, func(t *testing.T, interleave bool) {
		a, b := polling(t, Config{}, interleave)
		b.refuse = func(id uint16) bool { return id == 2 }
		discarded, refused, kept := a.open(1), a.open(2), a.open(3)
		discarded.SetReliabilityParams(false, sctp.ReliabilityTypeReliable, 0)
		b.filter.Opened(1)
		b.filter.Discard(1)
		message := make([]byte, 5000)
		for range 50 {
			send(t, discarded, message)
			send(t, refused, message)
			send(t, kept, message)
		}
		settle(20 * time.Second)
		assert.Zero(t, discarded.BufferedAmount(), "acknowledged")
		assert.Zero(t, refused.BufferedAmount())
		assert.Equal(t, 50, b.messages(3))
		assert.Zero(t, b.messages(1)+b.messages(2))
		assert.EqualValues(t, b.filter.Stats().Discarded, b.messages(Sink), "every chunk is a message for the sink")
		assert.Len(t, b.filter.in.streams, 2, "refused streams take no place")
		assertEmpty(t, b)
		closeBoth(a, b)
	})
}

// Streams are closed and opened again with packets lost, and no life of one
// gets into another.
func TestResetsWithLoss(t *testing.T) {
	kinds(t, func(t *testing.T, interleave bool) {
		a, b := polling(t, Config{}, interleave)
		for i, s := range []*poller{a, b} {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			s.pipe.OnWrite(func([]byte) bool { return random.IntN(5) == 0 })
		}
		const lives = 8
		for life := range lives {
			out := a.open(1)
			require.NotNil(t, out)
			for i := range 5 {
				send(t, out, []byte{byte(life), byte(i)})
			}
			require.NoError(t, out.Close())
			await(t, func() bool { return count(b, &b.ended) == life+1 })
			await(t, func() bool { return count(a, &a.answered) == life+1 })
			back := b.last[1]
			require.NoError(t, back.Close())
			await(t, func() bool { return count(a, &a.ended) == life+1 && count(b, &b.answered) == life+1 })
			a.filter.Forget(1)
			b.filter.Forget(1)
		}
		require.Equal(t, lives*5, b.messages(1))
		for i, m := range b.got[1] {
			require.Equal(t, []byte{byte(i / 5), byte(i % 5)}, m)
		}
		assert.Empty(t, b.filter.in.streams)
		assert.Empty(t, b.filter.in.asked)
		assert.Empty(t, a.filter.in.sent)
		for _, s := range []*poller{a, b} {
			s.pipe.OnWrite(nil)
		}
		closeBoth(a, b)
	})
}

func count(p *poller, list *[]uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return len(*list)
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "waited too long")
	}
	synctest.Wait()
}

// A peer that keeps to the protocol never meets a limit, whatever the network
// does to its packets, and the account is right when all has gone through.
func TestWellBehavedPeerMeetsNoLimit(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			kinds(t, func(t *testing.T, interleave bool) { wellBehaved(t, seed, interleave) })
		})
	}
}

func wellBehaved(t *testing.T, seed uint64, interleave bool) {
	const largest = 60000
	random := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex // of random
	below := func(n int) int {
		mu.Lock()
		defer mu.Unlock()

		return random.IntN(n)
	}
	a, b := polling(t, Config{MaxMessage: largest, MaxUnread: 4000}, interleave)
	for from, to := range map[*poller]*poller{a: b, b: a} {
		from.pipe.OnWrite(func(p []byte) bool {
			lost, late := below(100) < 12, time.Duration(below(20))*time.Millisecond
			late, p = oneWay+late, bytes.Clone(p)
			if !lost {
				go func() { // packets overtake each other
					time.Sleep(late)
					to.pipe.Inject(p)
				}()
			}

			return true
		})
	}
	outs := []*sctp.Stream{}
	for id := range uint16(6) {
		out, in := a.open(id), b.open(id)
		unordered, reliability := id%2 == 1, []byte{
			sctp.ReliabilityTypeReliable, sctp.ReliabilityTypeRexmit, sctp.ReliabilityTypeTimed,
		}[id/2]
		out.SetReliabilityParams(unordered, reliability, uint32(below(3)))
		in.SetReliabilityParams(unordered, reliability, 0)
		outs = append(outs, out)
	}
	sent := make([]int, len(outs))
	for range 400 {
		id := below(len(outs))
		size := 1 + below(20)
		switch below(4) {
		case 0:
			size = 1 + below(largest)
		case 1:
			size = 1 + below(4000)
		}
		send(t, outs[id], make([]byte, size))
		sent[id]++
		time.Sleep(time.Duration(below(30)) * time.Millisecond)
	}
	await(t, func() bool { return a.assoc.BufferedAmount() == 0 })
	for _, s := range []*poller{a, b} {
		s.pipe.OnWrite(nil)
	}
	for _, out := range outs {
		send(t, out, []byte("last"))
	}
	settle(2 * time.Minute)
	for id := range 2 {
		assert.Equal(t, sent[id]+1, b.messages(uint16(id)), "a reliable stream")
	}
	// Fragments of unordered I-DATA may be left, in the association too, and
	// nothing else.
	b.pipe.Inject(again(b, interleave))
	settle(time.Second)
	d := &b.filter.in
	assert.Equal(t, d.receiver.held, d.bytes, "bytes")
	assert.Zero(t, d.messages+d.stuck)
	assert.False(t, d.window.missing())
	assert.Empty(t, b.overflow)
	for id, s := range d.streams {
		for _, part := range s.parts.fragments {
			assert.True(t, interleave && part.unordered && id > 1, "%d: %+v", id, part)
		}
	}
	stats := b.filter.Stats()
	assert.Zero(t, stats.Overflows+stats.TooFar+stats.Contradicting+stats.Malformed+stats.Stripped+stats.Discarded, "%+v", stats)
	closeBoth(a, b)
}

// again is a packet with a chunk that has come already, so that the
// association sends a SACK at once.
func again(p *poller, interleave bool) []byte {
	tsn := p.filter.in.window.cumulative
	c := dataOf(tsn, 1, 3|flagImmediate, 0, []byte("again"))
	if interleave {
		c = iDataOf(tsn, 1, 3|flagImmediate, 0, 0, []byte("again"))
	}

	return packet(defaultPorts, p.filter.view.ownTag.Load(), c)
}

// settle lets time go by, and then everybody come to rest.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
