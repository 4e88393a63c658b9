package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// relay is one TCP connection and its data channel.
type relay struct {
	local  *net.TCPConn
	remote net.Conn

	sendable *credit
	arrived  *arrived
	heard    chan struct{} // closed when all that the other side has said is used

	sent, received int64 // bytes of the TCP connection; read them after run
}

func newRelay(local *net.TCPConn, remote net.Conn) *relay {
	return &relay{local: local, remote: remote, sendable: newCredit(), arrived: newArrived(), heard: make(chan struct{})}
}

var errFinished = errors.New("both directions have ended")

// run copies both ways until both have ended, one has failed, or ctx ends. It
// returns nil in the first case. Both connections are closed then; after a
// failure the TCP connection is reset, so that nobody takes it for the end.
func (r *relay) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var copying, all sync.WaitGroup
	all.Go(func() {
		<-ctx.Done()
		r.close(context.Cause(ctx))
	})
	endWith := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	copying.Go(func() { endWith(r.send(ctx)) })
	copying.Go(func() { endWith(r.write(ctx)) })
	all.Go(func() {
		defer close(r.heard)
		endWith(r.receive())
	})
	copying.Wait()
	cancel(errFinished)
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errFinished) {
		return err
	}

	return nil
}

// send passes on what the TCP connection says.
func (r *relay) send(ctx context.Context) error {
	buf := make([]byte, maxRecord)
	for {
		room, err := r.sendable.room(ctx, maxData)
		if err != nil {
			return err
		}
		n, failed := r.local.Read(buf[recordHead : recordHead+room])
		if n > 0 {
			r.sendable.use(n)
			record := appendRecord(buf[:0], kindData, buf[recordHead:recordHead+n])
			if _, err = r.remote.Write(record); err != nil {
				if errors.Is(err, io.EOF) {
					<-r.heard // the other side has closed, and may have said why
				}

				return err
			}
			r.sent += int64(n)
		}
		if errors.Is(failed, io.EOF) {
			_, err = r.remote.Write(appendRecord(nil, kindEnd, nil))

			return err
		}
		if failed != nil {
			return failed
		}
	}
}

// receive takes the other side's records. It never waits for the TCP
// connection, so that no connection holds up another.
func (r *relay) receive() error {
	buf := make([]byte, maxRecord)
	ended := false
	for {
		k, content, err := readRecord(r.remote, buf)
		switch {
		case errors.Is(err, io.EOF) && ended:
			return nil // both sides have said their last
		case errors.Is(err, io.EOF):
			return errors.New("the other side has ended without a reason")
		case err != nil:
			return err
		}
		switch k {
		case kindData:
			err = r.arrived.put(content)
		case kindEnd:
			ended = true
			r.arrived.end()
		case kindCredit:
			err = r.sendable.give(binary.BigEndian.Uint32(content))
		case kindFailed:
			err = told(content)
		}
		if err != nil {
			return err
		}
	}
}

// write passes on to the TCP connection what has come.
func (r *relay) write(ctx context.Context) error {
	var free []byte
	written := 0
	for {
		content, err := r.arrived.take(ctx, free)
		if err != nil {
			return err
		}
		if len(content) == 0 {
			return r.local.CloseWrite()
		}
		if _, err = r.local.Write(content); err != nil {
			return err
		}
		r.received += int64(len(content))
		r.arrived.free(len(content))
		free = content
		// Not for every byte: the other side has room for the rest meanwhile.
		if written += len(content); written >= window/4 {
			// Who has ended needs none any more. Everything else that can fail
			// ends the receiving, too.
			_, _ = r.remote.Write(creditRecord(written))
			written = 0
		}
	}
}

// tellTime is how long the other side may take to hear our reason, and close.
const tellTime = time.Second

// close ends both connections, and with them everything that waits.
func (r *relay) close(reason error) {
	if !errors.Is(reason, errFinished) {
		_ = r.local.SetLinger(0) // a reset
		_ = r.local.Close()
		var theirs told
		if !errors.As(reason, &theirs) && tell(r.remote, reason) {
			<-r.heard // until the other side has closed, too
		}
	}
	_ = r.local.Close()
	_ = r.remote.Close() // what was written is delivered first
}

// tell writes the reason of a failure. The other side closes the connection
// then, and reading does not wait for that any longer than it may take.
func tell(remote net.Conn, reason error) (written bool) {
	_ = remote.SetDeadline(time.Now().Add(tellTime))
	_, err := remote.Write(failedRecord(reason))

	return err == nil
}
