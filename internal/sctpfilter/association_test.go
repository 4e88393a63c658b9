package sctpfilter

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

const oneWay = 25 * time.Millisecond

// side is one end of a pair: the source, its filter, and the association.
type side struct {
	pipe   *testnet.PipeConn
	filter *Filter
	assoc  *sctp.Association
	err    error
	done   chan struct{} // closed when the start has returned
	opened chan *sctp.Stream
	reader Streams // if nil, the side itself, which opens streams and leaves the reading to the test
}

func (s *side) Opening(id uint16) bool {
	stream, err := s.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return false
	}
	s.opened <- stream

	return true
}

func (s *side) Readable([]uint16)    {}
func (s *side) ResetAnswered(uint16) {}
func (s *side) Overflow(uint16)      {}
func (s *side) Acknowledged()        {}

func (s *side) attach() {
	if s.reader == nil {
		s.filter.Attach(s)
	} else {
		s.filter.Attach(s.reader)
	}
}

func newSides() (a, b *side) {
	p, q := testnet.Pipe(oneWay)
	a, b = &side{pipe: p, done: make(chan struct{})}, &side{pipe: q, done: make(chan struct{})}
	a.opened, b.opened = make(chan *sctp.Stream, 1024), make(chan *sctp.Stream, 1024)
	a.filter, b.filter = New(p, Config{}), New(q, Config{})

	return a, b
}

func (s *side) start(ctx context.Context) {
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	go func() {
		defer close(s.done)
		s.assoc, s.err = sctp.ClientContext(ctx, sctp.WithNetConn(s.filter), sctp.WithLoggerFactory(quiet))
		if s.err == nil {
			s.attach()
		}
	}()
}

func (s *side) close() {
	if s.assoc != nil {
		_ = s.assoc.Close()
	}
	s.filter.Detach()
}

func connect(t *testing.T) (a, b *side) {
	t.Helper()
	a, b = newSides()
	a.start(t.Context())
	b.start(t.Context())
	<-a.done
	<-b.done
	require.NoError(t, a.err)
	require.NoError(t, b.err)

	return a, b
}

// streams opens stream 1 from a and accepts it at b, with one message read.
func streams(t *testing.T, a, b *side) (out, in *sctp.Stream) {
	t.Helper()
	out, err := a.assoc.OpenStream(1, sctp.PayloadTypeWebRTCBinary)
	require.NoError(t, err)
	_, err = out.WriteSCTP([]byte("hello"), sctp.PayloadTypeWebRTCBinary)
	require.NoError(t, err)
	in = <-b.opened
	buf := make([]byte, 64)
	n, _, err := in.ReadSCTP(buf)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))

	return out, in
}

func assertPipeOpen(t *testing.T, a, b *side) {
	t.Helper()
	for a.pipe.Queued()+b.pipe.Queued() > 0 { // leftovers of the shutdown
		for _, s := range []*side{a, b} {
			if s.pipe.Queued() > 0 {
				_, err := s.pipe.Read(make([]byte, 8192))
				require.NoError(t, err)
			}
		}
	}
	_, err := a.pipe.Write([]byte("next layer"))
	require.NoError(t, err)
	buf := make([]byte, 64)
	n, err := b.pipe.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, "next layer", string(buf[:n]))
}

func TestShutdownIsEndOfFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		out, in := streams(t, a, b)
		assert.False(t, a.filter.Graceful())
		require.NoError(t, a.assoc.Shutdown(t.Context()))
		buf := make([]byte, 64)
		_, _, err := in.ReadSCTP(buf)
		assert.ErrorIs(t, err, io.EOF)
		_, _, err = out.ReadSCTP(buf)
		assert.ErrorIs(t, err, io.EOF)
		synctest.Wait()
		assert.True(t, a.filter.Graceful())
		assert.True(t, b.filter.Graceful())
		for _, s := range []*side{a, b} {
			_, err = s.filter.Read(buf)
			assert.ErrorIs(t, err, io.EOF)
			sent := s.filter.Stats().PacketsSent
			queued := a.pipe.Queued() + b.pipe.Queued()
			require.NoError(t, s.filter.WriteAbort("late"), "nothing to abort")
			assert.Equal(t, sent, s.filter.Stats().PacketsSent)
			assert.Equal(t, queued, a.pipe.Queued()+b.pipe.Queued(), "no ABORT after a graceful end")
			s.close()
		}
		assertPipeOpen(t, a, b)
	})
}

func TestAbortEndsPeerInOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		_, in := streams(t, a, b)
		time.Sleep(time.Second) // acknowledgements
		began := time.Now()
		require.NoError(t, a.filter.Close())
		require.NoError(t, a.filter.WriteAbort("out of \x00coffee"))
		require.NoError(t, a.filter.WriteAbort("again"))
		assert.Equal(t, 1, b.pipe.Queued(), "one ABORT only")
		_, _, err := in.ReadSCTP(make([]byte, 64))
		assert.Equal(t, oneWay, time.Since(began))
		var abort *Abort
		require.ErrorAs(t, err, &abort)
		assert.Equal(t, []Cause{{12, []byte("out of \x00coffee")}}, abort.Causes)
		assert.Equal(t, "association aborted by the peer: User-Initiated Abort: out of coffee", err.Error())
		assert.Same(t, abort, b.filter.AbortCause())
		assert.False(t, b.filter.Graceful())
		assert.Nil(t, a.filter.AbortCause())
		require.NoError(t, b.filter.WriteAbort("an answer"))
		assert.Zero(t, a.pipe.Queued(), "an ABORT is not answered")
		a.close()
		b.close()
		_, err = b.filter.Read(make([]byte, 64))
		assert.ErrorAs(t, err, &abort, "also after the close")
		assertPipeOpen(t, a, b)
	})
}

// The association's own Abort carries the reason as well.
func TestAssociationAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		_, in := streams(t, a, b)
		a.assoc.Abort("bye")
		_, _, err := in.ReadSCTP(make([]byte, 64))
		var abort *Abort
		require.ErrorAs(t, err, &abort)
		assert.Contains(t, err.Error(), "bye")
		_, err = a.filter.Read(make([]byte, 64))
		assert.ErrorIs(t, err, io.EOF, "our own abort is no failure")
		assert.Nil(t, a.filter.LocalAbort())
		a.close()
		b.close()
	})
}

func TestCancelledStartAbortsPeer(t *testing.T) {
	// The peer starts lead earlier, so that the handshake has got further when
	// the start is cancelled.
	for name, tc := range map[string]struct{ lead, cancelAfter time.Duration }{
		"both INITs under way":    {0, oneWay / 2},
		"INIT ACKs under way":     {0, oneWay + oneWay/2},
		"COOKIE ECHOs under way":  {0, 2*oneWay + oneWay/2},
		"only the peer's INIT in": {2 * oneWay, time.Millisecond},
		"INIT sent, peer later":   {-3 * oneWay, oneWay / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newSides()
				ctx, cancel := context.WithCancel(t.Context())
				if tc.lead > 0 {
					b.start(t.Context())
					time.Sleep(tc.lead)
				}
				a.start(ctx)
				if tc.lead == 0 {
					b.start(t.Context())
				}
				time.Sleep(tc.cancelAfter)
				cancel()
				<-a.done
				require.ErrorIs(t, a.err, context.Canceled)
				require.NoError(t, a.filter.WriteAbort("cancelled"))
				cancelled := time.Now()
				if tc.lead < 0 {
					b.start(t.Context())
				}
				<-b.done
				if b.err == nil { // the peer was through; its association ends
					_, err := b.assoc.AcceptStream()
					require.ErrorIs(t, err, io.EOF)
				}
				assert.LessOrEqual(t, time.Since(cancelled), oneWay)
				require.NotNil(t, b.filter.AbortCause())
				assert.Equal(t, "User-Initiated Abort: cancelled", b.filter.AbortCause().Causes[0].String())
				a.close()
				b.close()
				assertPipeOpen(t, a, b)
			})
		})
	}
}

func TestTransientWriteErrorsAreHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newSides()
		var n int
		a.pipe.FailWrites(func([]byte) error {
			if n++; n%3 == 0 {
				return os.NewSyscallError("sendto", syscall.ENOBUFS)
			}

			return nil
		})
		a.start(t.Context())
		b.start(t.Context())
		<-a.done
		<-b.done
		require.NoError(t, a.err)
		require.NoError(t, b.err)
		out, in := streams(t, a, b)
		data := strings.Repeat("x", 60000)
		_, err := out.WriteSCTP([]byte(data), sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		buf := make([]byte, 70000)
		got, _, err := in.ReadSCTP(buf)
		require.NoError(t, err)
		assert.Equal(t, data, string(buf[:got]))
		assert.NotZero(t, a.filter.Stats().HiddenWriteErrors)
		a.close()
		b.close()
	})
}

func TestClosedSourceEndsAssociation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		_, in := streams(t, a, b)
		assert.NoError(t, b.filter.SourceErr())
		require.NoError(t, b.pipe.Close())
		_, _, err := in.ReadSCTP(make([]byte, 64))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, b.filter.SourceErr(), net.ErrClosed)
		_, err = b.filter.Read(make([]byte, 64))
		require.ErrorIs(t, err, net.ErrClosed)
		a.close()
		b.close()
	})
}

// A packet with the tag of another association must neither end ours nor
// count as its shutdown.
func TestForeignPacketsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		out, in := streams(t, a, b)
		own := b.filter.view.ownTag.Load()
		for _, p := range [][]byte{
			packAbort(defaultPorts, own+1, 0, userAbort("forged")),
			packAbort(defaultPorts, own, flagT, userAbort("our own tag is not reflected")),
			packAbort(defaultPorts, 0, 0, nil),
			packet(defaultPorts, own+1, chunk(chunkShutdown, 0, make([]byte, 4))),
			packet(defaultPorts, own+1, chunk(chunkShutdownAck, 0, nil)),
			packAbort(defaultPort, own, 0, nil), // source port 0
			{0x13, 0x88, 0x13, 0x88},
		} {
			b.pipe.Inject(p)
		}
		_, err := out.WriteSCTP([]byte("still there"), sctp.PayloadTypeWebRTCBinary)
		require.NoError(t, err)
		buf := make([]byte, 64)
		n, _, err := in.ReadSCTP(buf)
		require.NoError(t, err)
		assert.Equal(t, "still there", string(buf[:n]))
		assert.False(t, b.filter.Graceful())
		assert.Nil(t, b.filter.AbortCause())
		stats := b.filter.Stats()
		assert.EqualValues(t, 5, stats.WrongTag)
		assert.EqualValues(t, 2, stats.Malformed)
		a.close()
		b.close()
	})
}

// An INIT ACK without a cookie, or from other ports, stops pion's INIT timer
// or takes over its tag; the start has to go on as if it had not come.
func TestUnusableInitAckDoesNotStallStart(t *testing.T) {
	for name, make := range map[string]func(tag uint32) []byte{
		"no cookie": func(tag uint32) []byte {
			return packet(defaultPorts, tag, chunk(chunkInitAck, 0, initValue(7)))
		},
		"other ports": func(tag uint32) []byte {
			return packet(6000<<16|defaultPort, tag, chunk(chunkInitAck, 0, initValue(7, 0, paramStateCookie, 0, 8, 1, 2, 3, 4)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newSides()
				a.start(t.Context())
				synctest.Wait()
				_, err := b.pipe.Read(nextBuffer()) // the first INIT is lost
				require.NoError(t, err)
				a.pipe.Inject(make(a.filter.view.ownTag.Load()))
				synctest.Wait()
				assert.EqualValues(t, 1, a.filter.Stats().Unusable)
				b.start(t.Context())
				<-a.done
				<-b.done
				require.NoError(t, a.err)
				require.NoError(t, b.err)
				streams(t, a, b)
				a.close()
				b.close()
			})
		})
	}
}

func nextBuffer() []byte { return make([]byte, 8192) }

func TestDetachHandsOverUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		time.Sleep(time.Second) // the crossed handshakes' last packets
		began := time.Now()
		b.filter.Detach()
		b.filter.Detach()
		assert.Equal(t, began, time.Now(), "prompt")
		const n = 20
		for i := range n {
			_, err := a.pipe.Write([]byte{byte(i)})
			require.NoError(t, err)
		}
		require.NoError(t, b.filter.SetReadDeadline(time.Unix(1, 0)), "does not reach the source any more")
		buf := make([]byte, 8192)
		for i := range n {
			m, err := b.pipe.Read(buf)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(i)}, buf[:m])
		}
		_, err := b.filter.Write([]byte("stray"))
		require.Error(t, err)
		a.close()
		b.close()
	})
}

// Both sides' INITs went through signaling, so no packet shows a tag.
func TestNegotiatedOutOfBand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newSides()
		tokens := [2][]byte{}
		for i := range tokens {
			token, err := sctp.GenerateOutOfBandToken()
			require.NoError(t, err)
			tokens[i] = token
		}
		for i, s := range []*side{a, b} {
			require.NoError(t, s.filter.Negotiated(tokens[i], tokens[1-i]))
			assoc, err := sctp.ClientContext(t.Context(), sctp.WithNetConn(s.filter), sctp.WithSNAP(tokens[i], tokens[1-i]))
			require.NoError(t, err)
			s.assoc = assoc
			s.attach()
		}
		_, in := streams(t, a, b)
		b.pipe.Inject(packAbort(defaultPorts, 99, 0, nil))
		synctest.Wait()
		assert.EqualValues(t, 1, b.filter.Stats().WrongTag)
		require.NoError(t, a.filter.WriteAbort("enough"))
		_, _, err := in.ReadSCTP(make([]byte, 64))
		var abort *Abort
		require.ErrorAs(t, err, &abort)
		a.close()
		b.close()
		require.Error(t, a.filter.Negotiated(nil, tokens[1]))
		require.Error(t, a.filter.Negotiated(tokens[0][:12], tokens[1]))
	})
}
