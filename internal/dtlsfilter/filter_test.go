package dtlsfilter

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
	"github.com/pion/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wireStub is what a path needs beside Read.
type wireStub struct{}

func (*wireStub) Write(p []byte) (int, error)     { return len(p), nil }
func (*wireStub) SetReadDeadline(time.Time) error { return nil }
func (*wireStub) LocalAddr() net.Addr             { return nil }
func (*wireStub) RemoteAddr() net.Addr            { return nil }

type stubPath struct {
	*feed
	*wireStub
}

func stubbed() (*Filter, *feed) {
	w := &feed{}

	return New(stubPath{w, nil}, Config{}), w
}

// read feeds one datagram to a filter and returns what passed.
func (w *feed) read(t *testing.T, f *Filter, datagram []byte) []byte {
	t.Helper()
	w.packet, w.left = datagram, 1
	buf := make([]byte, 8192)
	n, addr, err := f.ReadFrom(buf)
	if err != nil {
		require.ErrorIs(t, err, errDry)
		require.Zero(t, n)

		return nil
	}
	require.NotNil(t, addr)

	return buf[:n]
}

func TestAddressesAreNeverNil(t *testing.T) {
	f, _ := stubbed()
	require.NotNil(t, f.LocalAddr())
	require.NotNil(t, f.RemoteAddr())
	require.Equal(t, "udp", f.RemoteAddr().Network())
	require.NotEmpty(t, f.RemoteAddr().String())
}

func TestGoodRecordsOfADatagramAreKept(t *testing.T) {
	f, w := stubbed()
	f.Connected()
	first := makeRecord(23, 1, 1, []byte("the first, long enough"))
	bad := makeRecord(20, 0, 0, []byte{1})
	second := makeRecord(22, 1, 2, []byte("the second, as long as it"))
	tail := []byte{23, 0xfe, 0xfd}

	var datagram []byte
	for _, r := range [][]byte{bad, first, bad, second, tail} {
		datagram = append(datagram, r...)
	}
	require.Equal(t, append(append([]byte(nil), first...), second...), w.read(t, f, datagram))
	require.Equal(t, Stats{Malformed: 1, Plaintext: 2, Passed: 1}, f.Stats())
	require.EqualValues(t, 3, f.Stats().Dropped())
}

func TestRecords(t *testing.T) {
	body := make([]byte, 16)
	for name, test := range map[string]struct {
		record     []byte
		major      byte
		minor      byte
		wellFormed bool
		protected  verdict
	}{
		"DTLS 1.2":        {makeRecord(23, 1, 1, body), 0xfe, 0xfd, true, pass},
		"DTLS 1.0":        {makeRecord(22, 1, 1, body), 0xfe, 0xff, true, pass},
		"DTLS 1.3":        {makeRecord(22, 1, 1, body), 0xfe, 0xfc, false, pass},
		"TLS 1.2":         {makeRecord(21, 1, 1, body), 3, 3, false, pass},
		"another major":   {makeRecord(21, 1, 1, body), 3, 0xfd, false, pass},
		"empty":           {makeRecord(23, 1, 1, nil), 0xfe, 0xfd, false, malformed},
		"too short":       {makeRecord(23, 1, 1, body[:15]), 0xfe, 0xfd, true, malformed},
		"of another type": {makeRecord(20, 1, 1, body), 0xfe, 0xfd, true, unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(test.record)
			r[1], r[2] = test.major, test.minor
			require.Equal(t, test.wellFormed, r.wellFormed())
			require.Equal(t, test.protected, protected(r))
			require.Equal(t, r, cut(append(bytes.Clone(r), 1, 2, 3)))
			require.Nil(t, cut(r[:len(r)-1]))
			r.setNumber(0x123456789abc)
			require.Equal(t, uint64(0x123456789abc), r.number())
			require.EqualValues(t, 1, r.epoch())
			require.Equal(t, []byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc}, []byte(r[5:11]))
		})
	}
}

func TestReadErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := newWires()
		f := New(a, Config{Log: logging.NewDefaultLoggerFactory().NewLogger("test")})
		f.Connected()

		// A datagram that does not fit is lost; the next is read.
		good := makeRecord(23, 1, 1, make([]byte, 20))
		a.deliver(make([]byte, 200))
		a.deliver(good)
		buf := make([]byte, 100)
		n, _, err := f.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, good, buf[:n])
		require.EqualValues(t, 1, f.Stats().Oversized)

		// A timeout stays one and is not the end.
		require.NoError(t, f.SetReadDeadline(past))
		_, _, err = f.ReadFrom(buf)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.NotErrorIs(t, err, net.ErrClosed)
		require.NoError(t, f.SetDeadline(time.Time{}))

		// The path's end is an end, with its reason.
		close(a.gone)
		_, _, err = f.ReadFrom(buf)
		require.ErrorIs(t, err, errGone)
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, errGone.Error(), err.Error())
	})
	require.Equal(t, io.EOF, lasting(io.EOF))
	require.Equal(t, net.ErrClosed, lasting(net.ErrClosed))
}

// A reader of the DTLS module comes back as long as errors are passing ones;
// the end of the path has to end it.
func TestEndOfThePathEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		connect(t, client, server)
		close(client.wire.gone)
		_, err := client.conn.Read(make([]byte, 100))
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestWriteErrorsAreHidden(t *testing.T) {
	a, b := newWires()
	f := New(a, Config{Log: logging.NewDefaultLoggerFactory().NewLogger("test")})
	a.failWrites(errors.New("no route"))
	n, err := f.WriteTo([]byte("abc"), nil)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.EqualValues(t, 1, f.Stats().WriteErrors)
	for _, end := range []error{net.ErrClosed, io.ErrClosedPipe} {
		a.failWrites(end)
		_, err = f.WriteTo([]byte("abc"), nil)
		require.ErrorIs(t, err, end)
	}
	require.EqualValues(t, 1, f.Stats().WriteErrors)
	a.failWrites(nil)
	_, err = f.WriteTo([]byte("abc"), nil)
	require.NoError(t, err)
	require.Equal(t, []byte("abc"), <-b.in)
	require.NoError(t, f.SetWriteDeadline(past), "writes have no deadline")
	_, err = f.WriteTo([]byte("abc"), nil)
	require.NoError(t, err)
}

// Sends that fail for a while cost a retransmission, not the handshake.
func TestHandshakeSurvivesWriteErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := newPair(t, options{})
		client.wire.failWrites(errors.New("no route"))
		fromServer, fromClient := server.start(t.Context()), client.start(t.Context())
		synctest.Wait()
		client.wire.failWrites(nil)
		require.NoError(t, <-fromClient)
		require.NoError(t, <-fromServer)
		echo(t, client, server)
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newWires()
		f := New(a, Config{})
		done := make(chan error)
		go func() {
			_, _, err := f.ReadFrom(make([]byte, 100))
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, f.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.NoError(t, f.Close())

		// Nobody can open the path's reader again through the filter.
		require.ErrorIs(t, f.SetReadDeadline(time.Time{}), net.ErrClosed)
		a.deliver(makeRecord(22, 0, 0, []byte{1}))
		_, _, err := f.ReadFrom(make([]byte, 100))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = f.WriteTo([]byte{1}, nil)
		require.ErrorIs(t, err, net.ErrClosed)

		// The path itself is open.
		_, err = a.Write([]byte{1})
		require.NoError(t, err)
		require.Len(t, b.in, 1)
	})
}

// crossing lets Close run while a deadline is being set.
type crossing struct {
	*wire
	during func()
}

func (c *crossing) SetReadDeadline(t time.Time) error {
	if f := c.during; f != nil && t.IsZero() {
		c.during = nil
		f()
	}

	return c.wire.SetReadDeadline(t)
}

func TestCloseWhileADeadlineIsLifted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := newWires()
		path := &crossing{wire: a}
		f := New(path, Config{})
		path.during = func() { require.NoError(t, f.Close()) }
		require.NoError(t, f.SetReadDeadline(time.Time{}))
		// Would hang, and the bubble would report it.
		_, _, err := f.ReadFrom(make([]byte, 100))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestConnectedPathDoesNotAllocate(t *testing.T) {
	for name, datagram := range map[string][]byte{
		"one record": makeRecord(23, 1, 1, make([]byte, 1100)),
		"with junk":  append(makeRecord(20, 0, 0, []byte{1}), makeRecord(23, 1, 1, make([]byte, 1100))...),
	} {
		t.Run(name, func(t *testing.T) {
			f, w := stubbed()
			f.Connected()
			w.packet = datagram
			buf := make([]byte, 8192)
			require.Zero(t, testing.AllocsPerRun(1000, func() {
				w.left = 1
				if n, _, err := f.ReadFrom(buf); n != headerSize+1100 || err != nil {
					t.Fatal(n, err)
				}
				if _, err := f.WriteTo(buf[:1000], nil); err != nil {
					t.Fatal(err)
				}
			}))
			require.Nil(t, f.hs, "the handshake's bookkeeping is gone")
		})
	}
}

func BenchmarkReadFromConnected(b *testing.B) {
	w := &feed{packet: makeRecord(23, 1, 1, make([]byte, 1100))}
	f := New(stubPath{w, nil}, Config{})
	f.Connected()
	buf := make([]byte, 8192)
	b.ReportAllocs()
	for b.Loop() {
		w.left = 1
		_, _, _ = f.ReadFrom(buf)
	}
}

// FuzzReadFrom feeds datagrams in both phases, as client and as server: no
// panic, and what passes is whole records of the kinds that may pass.
func FuzzReadFrom(f *testing.F) {
	for _, datagram := range badRecords(0) {
		f.Add(datagram, datagram, uint8(0))
		f.Add(makeMessage(11, 1, []byte{0, 0, 0}), datagram, uint8(1))
	}
	f.Add(makeMessage(14, 0, nil), makeMessage(14, 1, nil), uint8(1))
	f.Add(makeRecord(22, 0, 0, makeFragment(11, 1, 10, 3, []byte("abc"))), makeRecord(21, 0, 0, []byte{2, 40}), uint8(3))
	f.Fuzz(func(t *testing.T, first, second []byte, how uint8) {
		filter, w := stubbed()
		if how&1 != 0 { // we are the client
			_, err := filter.WriteTo(makeMessage(1, 0, []byte{0}), nil)
			require.NoError(t, err)
		}
		for range 2 {
			for i, datagram := range [][]byte{first, second} {
				if i == 1 && how&2 != 0 {
					filter.Connected()
				}
				isConnected := filter.phase.Load()&connected != 0
				got := w.read(t, filter, datagram)
				// A record that was held may come in place of the datagram.
				require.LessOrEqual(t, len(got), max(len(first), len(second)))
				// The module's own reader agrees on the records.
				records, err := recordlayer.ContentAwareUnpackDatagram(got, 0)
				require.NoError(t, err)
				for _, r := range records {
					require.NoError(t, new(recordlayer.Header).Unmarshal(r))
					epoch := record(r).epoch()
					require.LessOrEqual(t, epoch, uint16(1))
					if isConnected && epoch == 0 {
						assert.EqualValues(t, 22, r[0])
					}
					if epoch == 0 {
						assert.NotEqualValues(t, 23, r[0])
					}
				}
				if filter.hs != nil {
					require.LessOrEqual(t, filter.hs.spent+filter.early.spent, defaultMaxHandshakeBytes)
				}
			}
		}
	})
}
