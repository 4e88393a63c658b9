package sctpfilter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

func chunk(kind, flags byte, value []byte) []byte {
	b := make([]byte, chunkHeaderLen+pad4(len(value)))
	b[0], b[1] = kind, flags
	binary.BigEndian.PutUint16(b[2:], uint16(chunkHeaderLen+len(value)))
	copy(b[chunkHeaderLen:], value)

	return b
}

func packet(ports, tag uint32, chunks ...[]byte) []byte {
	p := make([]byte, commonHeaderLen)
	binary.BigEndian.PutUint32(p, ports)
	binary.BigEndian.PutUint32(p[4:], tag)
	for _, c := range chunks {
		p = append(p, c...)
	}
	binary.LittleEndian.PutUint32(p[8:], checksum(p))

	return p
}

// initValue is the value of an INIT or INIT ACK with a tag and parameters.
func initValue(tag uint32, params ...byte) []byte {
	v := make([]byte, initFixedLen)
	binary.BigEndian.PutUint32(v, tag)
	binary.BigEndian.PutUint32(v[4:], 1<<20)
	binary.BigEndian.PutUint32(v[8:], 0xffff_ffff)
	binary.BigEndian.PutUint32(v[12:], 1000)

	return append(v, params...)
}

// newFilter is a filter that has sent an INIT with tag 1 and got one with tag 2.
func newFilter(t *testing.T, cfg Config) (f *Filter, near, far *testnet.PipeConn) {
	t.Helper()
	near, far = testnet.Pipe(0)
	f = New(near, cfg)
	_, err := f.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(1))))
	require.NoError(t, err)
	near.Inject(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(2))))
	_, err = f.Read(nextBuffer())
	require.NoError(t, err)
	_, err = far.Read(nextBuffer())
	require.NoError(t, err)

	return f, near, far
}

func TestVerificationTag(t *testing.T) {
	const own, peer = 1, 2
	abort := func(tag uint32, flags byte) []byte { return packAbort(defaultPorts, tag, flags, nil) }
	data := chunk(0, 3, make([]byte, 16))
	for name, tc := range map[string]struct {
		packet []byte
		passes bool
		aborts bool
	}{
		"data, our tag":                    {packet(defaultPorts, own, data), true, false},
		"data, peer's tag":                 {packet(defaultPorts, peer, data), false, false},
		"data, no tag":                     {packet(defaultPorts, 0, data), false, false},
		"INIT, no tag":                     {packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(2))), true, false},
		"INIT, our tag":                    {packet(defaultPorts, own, chunk(chunkInit, 0, initValue(2))), false, false},
		"ABORT, our tag":                   {abort(own, 0), false, true},
		"ABORT, peer's tag, reflected":     {abort(peer, flagT), false, true},
		"ABORT, peer's tag, not reflected": {abort(peer, 0), false, false},
		"ABORT, our tag, reflected":        {abort(own, flagT), false, false},
		"ABORT after a SACK":               {packet(defaultPorts, own, chunk(3, 0, make([]byte, 12)), chunk(chunkAbort, 0, nil)), false, true},
		"SHUTDOWN COMPLETE, reflected":     {packet(defaultPorts, peer, chunk(chunkShutdownComplete, flagT, nil)), true, false},
		"SHUTDOWN COMPLETE, wrong":         {packet(defaultPorts, peer, chunk(chunkShutdownComplete, 0, nil)), false, false},
		"ABORT, wrong checksum":            {append(abort(own, 0)[:8], 1, 2, 3, 4, chunkAbort, 0, 0, 4), false, false},
		"ABORT, checksum left out":         {append(abort(own, 0)[:8], 0, 0, 0, 0, chunkAbort, 0, 0, 4), false, true},
		"chunk past the end":               {packet(defaultPorts, own, []byte{0, 3, 0, 40, 1, 2, 3, 4}), false, false},
		"chunk of length 3":                {packet(defaultPorts, own, []byte{0, 3, 0, 3}), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, near, _ := newFilter(t, Config{})
			last := packet(defaultPorts, own, data, data) // what comes next shows that nothing blocked
			near.Inject(tc.packet)
			near.Inject(last)
			buf := nextBuffer()
			n, err := f.Read(buf)
			switch {
			case tc.aborts:
				var abort *Abort
				require.ErrorAs(t, err, &abort)
				assert.Same(t, abort, f.AbortCause())
			case tc.passes:
				require.NoError(t, err)
				assert.Equal(t, tc.packet, buf[:n])
			default:
				require.NoError(t, err)
				assert.Equal(t, last, buf[:n])
			}
		})
	}
}

func TestAbortText(t *testing.T) {
	long := make([]byte, 3000)
	for i := range long {
		long[i] = 'a'
	}
	assert.Len(t, userAbort(string(long)), chunkHeaderLen+maxReason)

	causes := append(chunk(0, causeUserInitiatedAbort, []byte("\xffwhy\n")), chunk(0, 3, []byte{1, 2, 3, 4})...)
	binary.BigEndian.PutUint16(causes[2:], chunkHeaderLen+5)
	causes = append(causes, 1, 0, 0, 4, 0, 1, 0, 99)
	a := parseAbort(causes)
	require.Len(t, a.Causes, 3, "the last does not fit")
	assert.Equal(t, "association aborted by the peer: User-Initiated Abort: why, Stale Cookie, cause 256", a.Error())
	assert.Equal(t, "association aborted by the peer", parseAbort(nil).Error())
	assert.Equal(t, "association aborted here: Protocol Violation: odd",
		(&Abort{Local: true, Causes: []Cause{{causeProtocolViolation, []byte("odd")}}}).Error())
}

// What the association aborts by itself is a failure, and is told as such.
func TestLocalAbort(t *testing.T) {
	f, _, far := newFilter(t, Config{})
	_, err := f.Write(packAbort(defaultPorts, 2, 0, chunk(0, causeProtocolViolation, []byte("odd!"))))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = f.Read(nextBuffer())
	var abort *Abort
	require.ErrorAs(t, err, &abort)
	assert.True(t, abort.Local)
	assert.Same(t, abort, f.LocalAbort())
	assert.Nil(t, f.AbortCause())
	require.NoError(t, f.WriteAbort("second"))
	assert.Equal(t, 1, far.Queued())
}

// With nothing but our INIT sent, an ABORT reflects our own tag: the peer may
// know it. The association itself would send 0, which the peer has to drop.
func TestAbortBeforePeersTag(t *testing.T) {
	for name, write := range map[string]func(f *Filter) error{
		"WriteAbort": func(f *Filter) error { return f.WriteAbort("why") },
		"association": func(f *Filter) error {
			_, err := f.Write(packAbort(defaultPorts, 0, 0, userAbort("why")))

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := testnet.Pipe(0)
			f := New(near, Config{})
			require.ErrorIs(t, f.WriteAbort("too early"), errNothingToAbort)
			_, err := f.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(77))))
			require.NoError(t, err)
			require.NoError(t, write(f))
			buf := nextBuffer()
			_, err = far.Read(buf)
			require.NoError(t, err)
			n, err := far.Read(buf)
			require.NoError(t, err)
			assert.Equal(t, packAbort(defaultPorts, 77, flagT, userAbort("why")), buf[:n])
		})
	}
}

func TestWriteErrors(t *testing.T) {
	for _, tc := range []struct {
		err    error
		hidden bool
	}{
		{errors.New("no buffer space"), true},
		{os.ErrDeadlineExceeded, true},
		{&dtls.TimeoutError{Err: fmt.Errorf("write: %w", context.DeadlineExceeded)}, true},
		{net.ErrClosed, false},
		{fmt.Errorf("write: %w", io.ErrClosedPipe), false},
		{io.EOF, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
		{dtls.ErrConnClosed, false},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			f, near, _ := newFilter(t, Config{})
			near.FailWrites(func([]byte) error { return tc.err })
			p := packet(defaultPorts, 2, chunk(0, 3, make([]byte, 16)))
			n, err := f.Write(p)
			if tc.hidden {
				require.NoError(t, err)
				assert.Equal(t, len(p), n)
				assert.EqualValues(t, 1, f.Stats().HiddenWriteErrors)
			} else {
				require.ErrorIs(t, err, tc.err)
			}
		})
	}
}

func TestReadDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, near, _ := newFilter(t, Config{})
		read := func() chan error {
			result := make(chan error, 1)
			go func() {
				_, err := f.Read(nextBuffer())
				result <- err
			}()
			synctest.Wait()

			return result
		}

		pending := read()
		require.NoError(t, near.SetReadDeadline(time.Unix(1, 0))) // a stranger's
		synctest.Wait()
		assert.Empty(t, pending)
		require.NoError(t, f.SetDeadline(time.Now()))
		require.ErrorIs(t, <-pending, os.ErrDeadlineExceeded)
		require.ErrorIs(t, <-read(), os.ErrDeadlineExceeded)

		require.NoError(t, f.SetReadDeadline(time.Time{}))
		require.NoError(t, f.SetWriteDeadline(time.Unix(1, 0)))
		pending = read()
		assert.Empty(t, pending)
		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
		require.ErrorIs(t, <-pending, io.EOF)
		require.ErrorIs(t, <-read(), io.EOF)
		require.NoError(t, f.WriteAbort("after the close"))
		f.Detach()
		assert.NoError(t, f.SourceErr())
	})
}

func TestTooLongPackets(t *testing.T) {
	f, near, _ := newFilter(t, Config{MaxPacket: 100})
	good := packet(defaultPorts, 1, chunk(0, 3, make([]byte, 16)))
	near.Inject(packet(defaultPorts, 1, chunk(0, 3, make([]byte, 9000))))
	near.Inject(packet(defaultPorts, 1, chunk(0, 3, make([]byte, 100))))
	near.Inject(good)
	buf := nextBuffer()
	n, err := f.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, good, buf[:n])
	assert.EqualValues(t, 2, f.Stats().TooLong)
}

// replay is a source that gives the same packet for ever.
type replay struct {
	testnet.PipeConn
	packet []byte
}

func (r *replay) Read(p []byte) (int, error)  { return copy(p, r.packet), nil }
func (r *replay) Write(p []byte) (int, error) { return len(p), nil }

func TestNoAllocationPerPacket(t *testing.T) {
	p := packet(defaultPorts, 1, chunk(3, 0, make([]byte, 12)), chunk(0, 3, make([]byte, 1100)))
	f := New(&replay{packet: p}, Config{})
	_, err := f.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(1))))
	require.NoError(t, err)
	buf := nextBuffer()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = f.Read(buf)
		_, _ = f.Write(p)
	}))
	assert.EqualValues(t, 101, f.Stats().PacketsReceived)
}

func BenchmarkRead(b *testing.B) {
	p := packet(defaultPorts, 1, chunk(0, 3, make([]byte, 1180)))
	f := New(&replay{packet: p}, Config{})
	buf := nextBuffer()
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = f.Read(buf)
	}
}

// Whatever the peer sends, Read gives it to the association unchanged, drops
// it, or ends with its ABORT.
func FuzzRead(f *testing.F) {
	f.Add(packet(defaultPorts, 1, chunk(0, 3, make([]byte, 16))))
	f.Add(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(2))))
	f.Add(packet(defaultPorts, 1, chunk(chunkInitAck, 0, initValue(2, 0, 7, 0, 8, 1, 2, 3, 4))))
	f.Add(packAbort(defaultPorts, 1, 0, userAbort("why")))
	f.Add(packet(defaultPorts, 1, chunk(chunkShutdown, 0, make([]byte, 4)), chunk(chunkShutdownComplete, 1, nil)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		near, _ := testnet.Pipe(0)
		filter := New(near, Config{})
		_, err := filter.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(1))))
		require.NoError(t, err)
		near.Inject(p)
		// Also with a checksum that fits, so that the fuzzer gets past it.
		if len(p) >= commonHeaderLen {
			fixed := append([]byte(nil), p...)
			binary.LittleEndian.PutUint32(fixed[8:], checksum(fixed))
			near.Inject(fixed)
		}
		last := packet(defaultPorts, 1, chunk(0, 3, []byte("the last packet.")))
		near.Inject(last)
		buf := make([]byte, len(p)+len(last))
		for {
			n, err := filter.Read(buf)
			if err != nil {
				var abort *Abort
				require.ErrorAs(t, err, &abort)
				require.NotEmpty(t, abort.Error())

				return
			}
			if string(buf[:n]) == string(last) {
				return
			}
			require.Equal(t, len(p), n)
		}
	})
}
