package servergather

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

// blockingConn is the module's connection while a server does not answer.
type blockingConn struct {
	net.PacketConn

	mu      sync.Mutex
	written []string
	answer  chan error // of the first write to a peer
	closed  chan struct{}
}

func newBlockingConn() *blockingConn {
	return &blockingConn{answer: make(chan error), closed: make(chan struct{})}
}

func (c *blockingConn) WriteTo(p []byte, _ net.Addr) (int, error) {
	select {
	case err := <-c.answer:
		if err != nil {
			return 0, err
		}
	case <-c.closed:
		return 0, net.ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = append(c.written, string(p))

	return len(p), nil
}

func (c *blockingConn) ReadFrom([]byte) (int, net.Addr, error) {
	<-c.closed

	return 0, nil, errors.New("closed, in the module's words")
}

func (c *blockingConn) Close() error {
	close(c.closed)

	return nil
}

func (c *blockingConn) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()

	return append([]string(nil), c.written...)
}

var somePeer = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}

// A relay's writes never wait; what does not fit into the queue is counted, and
// what does is sent in its order when the server has answered.
func TestI12_WritesNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, tasks := newBlockingConn(), lifecycle.NewGroup()
		r := newRelay(tasks, &session{}, conn)
		begin := time.Now()
		const sent = maxWaitingPackets + 50
		for i := range sent {
			n, err := r.WriteTo([]byte{byte(i), byte(i >> 8)}, somePeer)
			require.NoError(t, err)
			require.Equal(t, 2, n)
			if i == 0 {
				synctest.Wait() // it is with the module, and waits
			}
		}
		require.Zero(t, time.Since(begin))
		require.Equal(t, uint64(49), r.Lost())
		other := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}
		_, err := r.WriteTo([]byte("no room either"), other)
		require.NoError(t, err)
		require.Equal(t, uint64(50), r.Lost())

		close(conn.answer)
		synctest.Wait()
		written := conn.all()
		require.Len(t, written, sent-49)
		for i, packet := range written {
			require.Equal(t, string([]byte{byte(i), byte(i >> 8)}), packet)
		}
		require.Zero(t, r.packets)
		require.Zero(t, r.bytes)
		_, err = r.WriteTo([]byte("direct"), somePeer)
		require.NoError(t, err)
		require.Equal(t, "direct", conn.all()[len(written)])
		require.NoError(t, tasks.WaitTasks(t.Context()))
	})
}

// The queue is bounded in bytes, too.
func TestI12_QueuedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newBlockingConn()
		r := newRelay(lifecycle.NewGroup(), &session{}, conn)
		for range 100 {
			_, err := r.WriteTo(make([]byte, 8000), somePeer)
			require.NoError(t, err)
		}
		synctest.Wait()
		require.LessOrEqual(t, r.bytes, maxWaitingBytes)
		require.NotZero(t, r.Lost())
		close(conn.answer)
		synctest.Wait()
	})
}

// A peer that the server does not permit loses its packets, and no other peer
// does; it is asked for again after a while.
func TestI12_RefusedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newBlockingConn()
		r := newRelay(lifecycle.NewGroup(), &session{}, conn)
		write := func(text string) {
			_, err := r.WriteTo([]byte(text), somePeer)
			require.NoError(t, err)
			synctest.Wait()
		}
		write("refused")
		write("dropped with it")
		conn.answer <- errors.New("403")
		synctest.Wait()
		require.Equal(t, uint64(2), r.Lost())
		write("too early")
		require.Equal(t, uint64(3), r.Lost())
		time.Sleep(refusedTime)
		write("again")
		conn.answer <- nil
		synctest.Wait()
		require.Equal(t, []string{"again"}, conn.all())
		require.Zero(t, r.bytes)
	})
}

// Close returns at once, ends a read, and frees what waits.
func TestL11_CloseWhileAPermissionIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, tasks := newBlockingConn(), lifecycle.NewGroup()
		ended := make(chan struct{})
		close(ended) // nothing to wait for
		client, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		s := &session{base: client, ended: ended, released: make(chan struct{})}
		c := &Client{Tasks: tasks}
		s2, err := c.newSession(client, addrPort(somePeer), &Request{URL: plainTURN}, "u", "p")
		require.NoError(t, err)
		s.client = s2.client
		r := newRelay(tasks, s, conn)
		_, err = r.WriteTo([]byte("waits"), somePeer)
		require.NoError(t, err)
		_, err = r.WriteTo([]byte("waits"), somePeer)
		require.NoError(t, err)
		read := make(chan error)
		go func() {
			_, _, err := r.ReadFrom(nil)
			read <- err
		}()
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		require.Zero(t, time.Since(begin))
		_, err = r.WriteTo(nil, somePeer)
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, tasks.WaitTasks(t.Context()))
		require.Zero(t, r.packets)
	})
}

// A stream's writes do not wait for a server that does not read.
func TestI12_StreamWritesNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		tasks := lifecycle.NewGroup()
		s := newStream(near, near, tasks)
		begin := time.Now()
		for range 2 * maxStreamPackets {
			_, err := s.WriteTo(make([]byte, 1200), nil)
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(begin))
		require.LessOrEqual(t, s.queued.Load(), int64(maxStreamBytes))
		require.Greater(t, s.lost.Load(), uint64(maxStreamPackets/2))
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.Zero(t, time.Since(begin))
		_, err := s.WriteTo(nil, nil)
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, tasks.WaitTasks(t.Context()))
		require.NoError(t, far.Close())
	})
}

// Messages of a stream are taken apart, also when they come in pieces, and what
// is none ends it.
func TestStreamFraming(t *testing.T) {
	near, far := net.Pipe()
	tasks := lifecycle.NewGroup()
	s := newStream(near, near, tasks)
	stunMessage := append([]byte{1, 1, 0, 4}, make([]byte, 20)...)
	channel := []byte{0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0}
	go func(far net.Conn) {
		for _, b := range append(append([]byte(nil), stunMessage...), channel...) {
			_, _ = far.Write([]byte{b})
		}
		_, _ = far.Write([]byte{0xff, 0xff, 0xff, 0xff})
		_ = far.Close()
	}(far)
	buf := make([]byte, maxMessage)
	n, _, err := s.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, stunMessage, buf[:n])
	n, _, err = s.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, channel, buf[:n])
	_, _, err = s.ReadFrom(buf)
	require.ErrorIs(t, err, errFraming)
	require.NoError(t, s.Close())
	require.NoError(t, tasks.WaitTasks(t.Context()))

	near, far = net.Pipe()
	s = newStream(near, near, tasks)
	go func() {
		_, _ = far.Write([]byte{0x40, 0, 0xff, 0xff})
		_ = far.Close()
	}()
	_, _, err = s.ReadFrom(make([]byte, 100))
	require.ErrorIs(t, err, io.ErrShortBuffer)
	require.NoError(t, s.Close())
	require.NoError(t, tasks.WaitTasks(t.Context()))
}

// What comes too late is discarded.
func TestAwaitDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tasks := lifecycle.NewGroup()
		var discarded []int
		_, err := Await(ctx, tasks, func() (int, error) {
			time.Sleep(2 * time.Second)

			return 7, nil
		}, func(n int) { discarded = append(discarded, n) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, tasks.WaitTasks(t.Context()), "no task of ours")
		require.NoError(t, tasks.Wait(t.Context()))
		require.Equal(t, []int{7}, discarded)
		_, err = Await(ctx, tasks, func() (int, error) { panic("not called") }, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		n, err := Await(t.Context(), tasks, func() (int, error) { return 8, nil }, nil)
		require.NoError(t, err)
		require.Equal(t, 8, n)
	})
}
