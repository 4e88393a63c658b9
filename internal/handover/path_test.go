package handover

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// A reader sees every packet once, whichever connection it comes on, and however
// often connections are replaced.
func TestI5_EveryPacketOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets, switches = 5000, 50
		near, far := testnet.Pipe(3 * time.Millisecond)
		path := New(near)
		done := make(chan struct{})
		drained := make(chan struct{}, switches)
		far2 := far
		go func() {
			for i := range packets {
				if i%(packets/switches) == packets/switches-1 {
					to, next := testnet.Pipe(3 * time.Millisecond)
					before := near
					near = to
					drain := path.Switch(to)
					go func() {
						drain(done)
						drained <- struct{}{}
					}()
					time.AfterFunc(50*time.Millisecond, func() { _ = before.Close() })
					// The peer comes over a little later.
					old := far2
					far2 = next
					_, _ = old.Write(binary.BigEndian.AppendUint32(nil, uint32(i)))
				} else {
					_, _ = far2.Write(binary.BigEndian.AppendUint32(nil, uint32(i)))
				}
				time.Sleep(100 * time.Microsecond)
			}
		}()
		seen := make(map[uint32]bool)
		buf := make([]byte, 100)
		for range packets {
			n, err := path.Read(buf)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			i := binary.BigEndian.Uint32(buf)
			require.False(t, seen[i], "twice: %d", i)
			seen[i] = true
		}
		for range switches {
			<-drained
		}
		require.NoError(t, near.Close())
		_, err := path.Read(buf)
		require.ErrorIs(t, err, net.ErrClosed)
		close(done)
	})
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := testnet.Pipe(0)
		b, far := testnet.Pipe(0)
		path := New(a)
		begin := time.Now()
		require.NoError(t, path.SetReadDeadline(begin.Add(time.Second)))
		got := make(chan error, 1)
		go func() {
			_, err := path.Read(make([]byte, 10))
			got <- err
		}()
		synctest.Wait()
		path.Switch(b) // keeps the deadline
		require.ErrorIs(t, <-got, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begin))

		require.NoError(t, path.SetReadDeadline(time.Time{}))
		path.deliver([]byte("late"))
		require.NoError(t, path.SetReadDeadline(time.Now().Add(time.Minute)), "while the reader is being woken")
		buf := make([]byte, 3)
		_, err := path.Read(buf)
		require.ErrorIs(t, err, io.ErrShortBuffer)
		_, err = far.Write([]byte("x"))
		require.NoError(t, err)
		n, err := path.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, "x", string(buf[:n]))
	})
}

// What was written last goes over the new connection as well, once, if it is a
// record that the peer knows again.
func TestI5_TheLastRecordIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := testnet.Pipe(0)
		b, far := testnet.Pipe(0)
		path := New(a)
		path.Repeat(path.Written()) // there is none
		for _, packet := range []string{"\x17 a longer one", "\x17 last", "\x80 media", "\x00 a check", ""} {
			_, err := path.Write([]byte(packet))
			require.NoError(t, err)
		}
		path.Switch(b)
		path.Repeat(path.Written() - 1) // somebody writes anyway
		path.Repeat(path.Written())
		path.Repeat(path.Written()) // that path was dead, too
		_, err := path.Write([]byte("\x17 next"))
		require.NoError(t, err)
		buf := make([]byte, 100)
		for _, want := range []string{"\x17 last", "\x17 last", "\x17 next"} {
			n, err := far.Read(buf)
			require.NoError(t, err)
			assert.Equal(t, want, string(buf[:n]))
		}
		assert.Zero(t, far.Queued())
	})
}

func TestWriteDoesNotAllocate(t *testing.T) {
	a, _ := testnet.Pipe(0)
	path := New(sink{a})
	packet := append([]byte{23}, make([]byte, 1200)...)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = path.Write(packet) }))
}

type sink struct{ Conn }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// Without a reader, draining waits for one, or for the end.
func TestDrainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := testnet.Pipe(0)
		b, _ := testnet.Pipe(0)
		c, _ := testnet.Pipe(0)
		path := New(a)
		done := make(chan struct{})
		ended := make(chan struct{}, 2)
		for _, to := range []*testnet.PipeConn{b, c} {
			drain := path.Switch(to)
			go func() {
				drain(done)
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		require.Empty(t, ended)
		close(done)
		<-ended
		<-ended
	})
}

func TestLatePacketsAreBounded(t *testing.T) {
	a, _ := testnet.Pipe(0)
	path := New(a)
	for range 2 * maxLate {
		path.deliver([]byte("x"))
	}
	buf := make([]byte, 1)
	for range maxLate {
		_, err := path.Read(buf)
		require.NoError(t, err)
	}
	require.NoError(t, path.SetReadDeadline(passed))
	_, err := path.Read(buf)
	require.True(t, errors.Is(err, os.ErrDeadlineExceeded))
	assert.Nil(t, path.late)
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		a, _ := testnet.Pipe(0)
		path := New(a)
		path.Switch(NewIdle(done))
		_, err := path.Write([]byte("x"))
		require.ErrorIs(t, err, ErrNoPath)
		assert.Nil(t, path.LocalAddr())
		assert.Nil(t, path.RemoteAddr())
		begin := time.Now()
		require.NoError(t, path.SetReadDeadline(begin.Add(time.Second)))
		_, err = path.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begin))
		require.NoError(t, path.SetReadDeadline(time.Time{}))
		time.AfterFunc(time.Second, func() { close(done) })
		_, err = path.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
