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

// fake is a reader that notes what it is told.
type fake struct {
	refuse   map[uint16]bool
	opened   []uint16
	readable []uint16
	answered []uint16
	overflow []uint16
	acks     int
	then     func(ids []uint16) // called by Readable
}

func (r *fake) Opening(id uint16) bool {
	r.opened = append(r.opened, id)

	return !r.refuse[id]
}

func (r *fake) Readable(ids []uint16) {
	r.readable = append(r.readable, ids...)
	if r.then != nil {
		r.then(ids)
	}
}

func (r *fake) ResetAnswered(id uint16) { r.answered = append(r.answered, id) }
func (r *fake) Overflow(id uint16)      { r.overflow = append(r.overflow, id) }
func (r *fake) Acknowledged()           { r.acks++ }

// Supported Extensions: RE-CONFIG and FORWARD-TSN, or with interleaving.
var (
	plainExtensions       = []byte{0x80, 8, 0, 6, chunkReconfig, chunkForwardTSN, 0, 0}
	interleaveExtensions  = []byte{0x80, 8, 0, 8, chunkReconfig, chunkForwardTSN, chunkIData, chunkIForwardTSN}
	zeroChecksumParameter = []byte{0x80, 1, 0, 8, 0, 0, 0, dtlsDetects}
)

// newFilter is the filter of an association that stands: it has tag 1, the
// peer tag 2, and the first TSN is 1000.
func newFilter(t testing.TB, cfg Config) (f *Filter, near, far *testnet.PipeConn) {
	t.Helper()
	f, near, far, _ = newReading(t, cfg, plainExtensions...)

	return f, near, far
}

// newReading is newFilter with its reader, and with the parameters of both INITs.
func newReading(t testing.TB, cfg Config, params ...byte) (f *Filter, near, far *testnet.PipeConn, r *fake) {
	t.Helper()
	near, far = testnet.Pipe(0)
	f, r = New(near, cfg), &fake{refuse: map[uint16]bool{}}
	establish(t, f, near, params...)
	for far.Queued() > 0 {
		_, err := far.Read(nextBuffer())
		require.NoError(t, err)
	}
	f.Attach(r)

	return f, near, far, r
}

func establish(t testing.TB, f *Filter, near *testnet.PipeConn, params ...byte) {
	t.Helper()
	_, err := f.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(1, params...))))
	require.NoError(t, err)
	near.Inject(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(2, params...))))
	_, err = f.Read(nextBuffer())
	require.NoError(t, err)
	_, err = f.Write(packet(defaultPorts, 2, chunk(chunkCookieEcho, 0, []byte("cookie!!"))))
	require.NoError(t, err)
	near.Inject(packet(defaultPorts, 1, chunk(chunkCookieAck, 0, nil)))
	_, err = f.Read(nextBuffer())
	require.NoError(t, err)
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

func TestNoAllocationPerPacket(t *testing.T) {
	f, source := replaying(t)
	sack := packet(defaultPorts, 2, chunk(chunkSack, 0, sackValue(1, 1<<20)))
	buf := nextBuffer()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = f.Read(buf)
		_, _ = f.Write(sack)
		_, _ = f.Write(source.packet)
	}))
	assert.EqualValues(t, 102, f.Stats().MessagesReceived)
}

// replaying is a filter whose source gives one packet for ever, with a SACK
// and with DATA whose TSN goes up.
func replaying(t testing.TB) (*Filter, *replay) {
	t.Helper()
	near, _ := testnet.Pipe(0)
	r := &fake{}
	f := New(near, Config{MaxMessage: 1 << 18, MaxUnread: 1 << 12})
	establish(t, f, near, append(zeroChecksumParameter, plainExtensions...)...)
	f.Attach(r)
	r.then = func(ids []uint16) {
		r.readable = r.readable[:0]
		for _, id := range ids {
			f.Took(id, 1180)
			f.Drained(id, f.Handled())
		}
	}
	source := &replay{packet: packet(defaultPorts, 1, chunk(chunkSack, 0, sackValue(1, 1<<20)), dataOf(1000, 4, 3, 0, make([]byte, 1180)))}
	source.tsn = source.packet[commonHeaderLen+16+4:][:4]
	f.src = source
	_, err := f.Read(nextBuffer())
	require.NoError(t, err)

	return f, source
}

// replay is a source that gives the same packet for ever, but for the TSN.
type replay struct {
	testnet.PipeConn
	packet, tsn []byte
}

func (r *replay) Read(p []byte) (int, error) {
	n := copy(p, r.packet)
	binary.BigEndian.PutUint32(r.tsn, binary.BigEndian.Uint32(r.tsn)+1)

	return n, nil
}

func (r *replay) Write(p []byte) (int, error)     { return len(p), nil }
func (r *replay) SetReadDeadline(time.Time) error { return nil }

func BenchmarkRead(b *testing.B) {
	f, source := replaying(b)
	buf := nextBuffer()
	b.SetBytes(int64(len(source.packet)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = f.Read(buf)
	}
}

func BenchmarkWrite(b *testing.B) {
	f, source := replaying(b)
	sack := packet(defaultPorts, 2, chunk(chunkSack, 0, sackValue(1, 1<<20)))
	for name, p := range map[string][]byte{"data": source.packet, "sack": sack} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.Write(p)
			}
		})
	}
}

func sackValue(cumulative, window uint32, gaps ...uint16) []byte {
	v := make([]byte, sackFixedLen, sackFixedLen+2*len(gaps))
	binary.BigEndian.PutUint32(v, cumulative)
	binary.BigEndian.PutUint32(v[4:], window)
	binary.BigEndian.PutUint16(v[8:], uint16(len(gaps)/2))
	for _, g := range gaps {
		v = binary.BigEndian.AppendUint16(v, g)
	}

	return v
}

// dataOf is a DATA chunk.
func dataOf(tsn uint32, stream uint16, flags byte, ssn uint16, data []byte) []byte {
	v := binary.BigEndian.AppendUint32(nil, tsn)
	v = binary.BigEndian.AppendUint16(v, stream)
	v = binary.BigEndian.AppendUint16(v, ssn)
	v = binary.BigEndian.AppendUint32(v, 53)

	return chunk(chunkData, flags, append(v, data...))
}

// iDataOf is an I-DATA chunk; last is the kind in a message's first fragment,
// the fragment's number in others.
func iDataOf(tsn uint32, stream uint16, flags byte, message, last uint32, data []byte) []byte {
	v := binary.BigEndian.AppendUint32(nil, tsn)
	v = binary.BigEndian.AppendUint16(v, stream)
	v = append(v, 0, 0)
	v = binary.BigEndian.AppendUint32(v, message)
	v = binary.BigEndian.AppendUint32(v, last)

	return chunk(chunkIData, flags, append(v, data...))
}
