package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

// limit bounds what a test waits for.
const limit = 20 * time.Second

// spoken is what an end of a tunnel says.
type spoken struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func (s *spoken) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	wake(s.more)
}

// await returns the first line that contains text.
func (s *spoken) await(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(limit)
	for {
		s.mu.Lock()
		lines := s.lines
		s.mu.Unlock()
		for _, line := range lines {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-s.more:
		case <-timeout:
			require.Fail(t, "not said", "%q in %q", text, lines)
		}
	}
}

// ends are the two ends of a tunnel in the test's own process.
type ends struct {
	address    string // that it listens at
	here       *spoken
	there      *spoken
	stop       func() // the end that listens
	sctp       [2]*webrtc.SCTPTransport
	endedHere  chan error // what forward has returned
	endedThere chan error
}

func newEnds(t *testing.T, target string) *ends {
	t.Helper()
	a, b := programtest.Pair(t)
	ctx, cancel := context.WithCancel(context.Background())
	from, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &ends{
		address: from.Addr().String(), stop: cancel,
		here: &spoken{more: make(chan struct{}, 1)}, there: &spoken{more: make(chan struct{}, 1)},
		sctp:      [2]*webrtc.SCTPTransport{a.SCTP, b.SCTP},
		endedHere: make(chan error, 1), endedThere: make(chan error, 1),
	}
	var running sync.WaitGroup
	running.Go(func() { e.endedHere <- forward(ctx, from, a.SCTP, e.here.say) })
	running.Go(func() { e.endedThere <- connectTo(ctx, target, b.SCTP, e.there.say) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)

	return e
}

func (e *ends) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", e.address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)

	return tcp
}

// serve is a TCP server. It ends with the test.
func serve(t *testing.T, handle func(conn *net.TCPConn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(func() { listener.Close() })
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.SetDeadline(time.Now().Add(limit))
					handle(tcp)
				}
			})
		}
	})

	return listener.Addr().String()
}

func echo(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) }

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		err != nil && strings.Contains(err.Error(), "forcibly closed") // Windows
}

// The server answers when the client has said its last, which a TCP connection
// can tell and a data channel alone could not.
func TestOneDirectionEndsBeforeTheOther(t *testing.T) {
	e := newEnds(t, serve(t, func(conn *net.TCPConn) {
		question, err := io.ReadAll(conn)
		if err == nil {
			fmt.Fprintf(conn, "%d bytes", len(question))
		}
	}))
	conn := e.dial(t)
	_, err := conn.Write(make([]byte, 3*window)) // more than the first credit
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%d bytes", 3*window), string(answer))
	assert.Contains(t, e.here.await(t, "connection 1"), "768.0 KiB from here, 12 B to here, ")
	assert.Contains(t, e.there.await(t, "connection 1"), "12 B from here, 768.0 KiB to here, ")
}

func TestManyConnectionsAtATime(t *testing.T) {
	const connections = 50
	e := newEnds(t, serve(t, echo))
	var running sync.WaitGroup
	for number := range byte(connections) {
		conn := e.dial(t) // all are open before the first one ends
		running.Go(func() {
			content := bytes.Repeat([]byte{number}, 20_000)
			go func() {
				_, _ = conn.Write(content)
				_ = conn.CloseWrite()
			}()
			answer, err := io.ReadAll(conn)
			assert.NoError(t, err)
			assert.True(t, bytes.Equal(content, answer), "connection %d got %d bytes", number, len(answer))
		})
	}
	running.Wait()
	e.here.await(t, fmt.Sprintf("connection %d:", connections))
}

// A client that reads nothing holds up its own connection alone.
func TestAConnectionThatIsNotRead(t *testing.T) {
	const connections = 2
	full := make(chan struct{}, connections)
	e := newEnds(t, serve(t, func(conn *net.TCPConn) {
		buf := make([]byte, 1)
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		if buf[0] != 'f' {
			echo(conn)

			return
		}
		// A flood, until nothing has moved for a while.
		for err := error(nil); err == nil; {
			_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			_, err = conn.Write(make([]byte, window))
		}
		full <- struct{}{}
		_, _ = conn.Read(buf) // until the client has gone
	}))
	stalled := make([]*net.TCPConn, connections)
	for i := range stalled {
		stalled[i] = e.dial(t)
		require.NoError(t, stalled[i].SetReadBuffer(16<<10))
		_, err := stalled[i].Write([]byte("f"))
		require.NoError(t, err)
	}
	for range stalled {
		<-full
	}
	conn := e.dial(t)
	content := bytes.Repeat([]byte("e"), 2*window)
	go func() {
		_, _ = conn.Write(content)
		_ = conn.CloseWrite()
	}()
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Len(t, answer, len(content)-1)
	for _, conn := range stalled {
		require.NoError(t, conn.Close())
	}
	e.there.await(t, "the other side: ")
}

func TestNobodyListensAtTheTarget(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	target := listener.Addr().String()
	require.NoError(t, listener.Close())
	e := newEnds(t, target)
	for number := 1; number <= 2; number++ { // the tunnel lives on
		conn, err := net.Dial("tcp", e.address)
		if err == nil { // or the reset is there already
			_ = conn.SetDeadline(time.Now().Add(limit))
			_, err = io.ReadAll(conn)
			_ = conn.Close()
		}
		assert.True(t, isReset(err), "a reset, not an end: %v", err)
		connection := fmt.Sprintf("connection %d", number)
		assert.Contains(t, e.there.await(t, connection), "dial tcp "+target)
		assert.Contains(t, e.here.await(t, connection), `the other side: "dial tcp `+target)
	}
}

// A reset arrives as a reset, in either direction.
func TestAReset(t *testing.T) {
	atServer := make(chan error, 1)
	e := newEnds(t, serve(t, func(conn *net.TCPConn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_, _ = conn.Write([]byte("a"))
		_, err := io.ReadFull(conn, make([]byte, 1))
		if err == nil {
			_ = conn.SetLinger(0) // the server resets
		}
		atServer <- err
	}))
	for _, atClient := range []bool{true, false} {
		conn := e.dial(t)
		_, err := conn.Write([]byte("a"))
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 1))
		require.NoError(t, err)
		if atClient {
			require.NoError(t, conn.SetLinger(0))
			require.NoError(t, conn.Close())
			err := <-atServer
			assert.True(t, isReset(err), "%v", err)

			continue
		}
		_, err = conn.Write([]byte("b"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		assert.True(t, isReset(err), "%v", err)
		require.NoError(t, <-atServer)
	}
}

// The end of the tunnel is the end of its connections, on both sides.
func TestTheTunnelEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, e *ends) (here, there string){
		"by its context": func(_ *testing.T, e *ends) (here, there string) {
			e.stop()

			return "context canceled", "context canceled"
		},
		"by a graceful close of the end that listens": func(t *testing.T, e *ends) (here, there string) {
			t.Helper()
			require.NoError(t, e.sctp[0].Shutdown(t.Context()))

			return webrtc.ErrClosed.Error(), io.EOF.Error()
		},
		"by a graceful close of the end that connects": func(t *testing.T, e *ends) (here, there string) {
			t.Helper()
			require.NoError(t, e.sctp[1].Shutdown(t.Context()))

			return io.EOF.Error(), webrtc.ErrClosed.Error()
		},
		"by an abort": func(t *testing.T, e *ends) (here, there string) {
			t.Helper()
			require.NoError(t, e.sctp[0].Stop())

			return webrtc.ErrClosed.Error(), "abort"
		},
	} {
		t.Run(name, func(t *testing.T) {
			atServer := make(chan error, 1)
			e := newEnds(t, serve(t, func(conn *net.TCPConn) {
				_, err := io.Copy(conn, conn)
				atServer <- err
			}))
			conn := e.dial(t)
			_, err := conn.Write([]byte("a"))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 1))
			require.NoError(t, err)
			here, there := end(t, e)
			assert.ErrorContains(t, <-e.endedHere, here)
			assert.ErrorContains(t, <-e.endedThere, there)
			_, err = conn.Read(make([]byte, 1))
			assert.True(t, isReset(err), "%v", err)
			err = <-atServer
			assert.True(t, isReset(err), "%v", err)
			_, err = net.Dial("tcp", e.address)
			assert.Error(t, err, "nobody listens any more")
		})
	}
}

// Whatever the other side writes into a channel ends that one alone.
func TestAStrangeOtherSide(t *testing.T) {
	e := newEnds(t, serve(t, func(conn *net.TCPConn) {
		_, _ = io.ReadAll(conn)
		echo(conn)
	}))
	full := appendRecord(nil, kindData, make([]byte, maxData))
	number := 0
	said := func(t *testing.T, text string) {
		t.Helper()
		number++
		assert.Contains(t, e.there.await(t, fmt.Sprintf("connection %d: ", number)), text)
	}
	for name, tc := range map[string]struct {
		says  []byte
		fails string
	}{
		"unknown kind":     {[]byte{'?', 0, 0}, "a record of kind 63 with 0 bytes"},
		"data of no bytes": {[]byte{'d', 0, 0}, "kind 100 with 0 bytes"},
		"a long record":    {[]byte{'d', 0xff, 0xff}, "kind 100 with 65535 bytes"},
		"a long end":       {[]byte{'e', 0, 1, 0}, "kind 101 with 1 bytes"},
		"a short credit":   {[]byte{'c', 0, 1, 0}, "kind 99 with 1 bytes"},
		"much credit":      {creditRecord(1), errCredit.Error()},
		"huge credit":      {[]byte{'c', 0, 4, 0xff, 0xff, 0xff, 0xff}, errCredit.Error()},
		"data after its end": {
			append(appendRecord(nil, kindEnd, nil), appendRecord(nil, kindData, []byte("x"))...), errFlood.Error(),
		},
		"a long reason": {append([]byte{'f', 0, maxReason + 1}, make([]byte, maxReason+1)...), "kind 102 with 201 bytes"},
		"a reason":      {failedRecord(errors.New("\x1b[2J")), `the other side: "\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			conn, err := openConn(ctx, e.sctp[0])
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write(tc.says)
			require.NoError(t, err)
			said(t, tc.fails)
		})
	}
	t.Run("half a record", func(t *testing.T) {
		conn, err := openConn(t.Context(), e.sctp[0])
		require.NoError(t, err)
		_, err = conn.Write(full[:10])
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		said(t, io.ErrUnexpectedEOF.Error())
	})
	t.Run("no end", func(t *testing.T) {
		conn, err := openConn(t.Context(), e.sctp[0])
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		said(t, "the other side has ended without a reason")
	})
	conn := e.dial(t)
	require.NoError(t, conn.CloseWrite())
	_, err := io.ReadAll(conn)
	require.NoError(t, err, "the next connection is as good as ever")
}

// The window holds: who sends more than that is refused.
func TestAFlood(t *testing.T) {
	a := newArrived()
	require.NoError(t, a.put(make([]byte, window)))
	require.ErrorIs(t, a.put([]byte("x")), errFlood)
	content, err := a.take(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, content, window)
	require.ErrorIs(t, a.put([]byte("x")), errFlood, "what is being written still counts")
	a.free(1)
	require.NoError(t, a.put([]byte("x")))
	a.end()
	content, err = a.take(t.Context(), content)
	require.NoError(t, err)
	require.Equal(t, "x", string(content))
	content, err = a.take(t.Context(), content)
	require.NoError(t, err)
	require.Empty(t, content)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrProcessDone)
	_, err = newArrived().take(ctx, nil)
	require.ErrorIs(t, err, os.ErrProcessDone)
}

func TestCredit(t *testing.T) {
	c := newCredit()
	require.ErrorIs(t, c.give(1), errCredit)
	n, err := c.room(t.Context(), window+1)
	require.NoError(t, err)
	require.Equal(t, window, n)
	c.use(window)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrProcessDone)
	_, err = c.room(ctx, 1)
	require.ErrorIs(t, err, os.ErrProcessDone)
	require.NoError(t, c.give(2))
	n, err = c.room(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.ErrorIs(t, c.give(1<<32-1), errCredit)
	require.ErrorIs(t, c.give(window-1), errCredit)
	require.NoError(t, c.give(window-2))
}
