package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const (
	channelLabel = "tcp"

	// maxConnections is how many there may be at a time; more wait to be
	// accepted.
	maxConnections = 512

	// openTime is how long the other side may take to take a channel, or the
	// target to take a connection.
	openTime = 10 * time.Second
)

var errOpenTime = fmt.Errorf("no answer within %v", openTime)

// forward is the end that listens: it takes TCP connections, and opens a data
// channel for each. It returns io.EOF when the other side has closed.
func forward(ctx context.Context, from net.Listener, sctp *webrtc.SCTPTransport, say func(string)) error {
	return acceptAll(ctx, from, sctp, func(ctx context.Context, number int, conn net.Conn) {
		local, ok := conn.(*net.TCPConn)
		if !ok {
			_ = conn.Close()

			return
		}
		report(number, say, func() (*relay, error) {
			remote, err := openConn(ctx, sctp)
			if err != nil {
				_ = local.SetLinger(0)

				return nil, errors.Join(err, local.Close())
			}
			r := newRelay(local, remote)

			return r, r.run(ctx)
		})
	})
}

// openConn opens a data channel as a net.Conn.
func openConn(ctx context.Context, sctp *webrtc.SCTPTransport) (net.Conn, error) {
	opening, opened := context.WithTimeoutCause(ctx, openTime, errOpenTime)
	defer opened()
	channel, err := sctp.OpenDataChannel(opening, &webrtc.DataChannelParameters{Label: channelLabel, Ordered: true})
	if err != nil {
		return nil, err
	}
	conn, err := channel.NetConn()
	if err != nil {
		return nil, errors.Join(err, channel.Close())
	}

	return conn, nil
}

// connectTo is the end that connects: it takes data channels, and makes a TCP
// connection to the target for each. It returns io.EOF when the other side has
// closed.
func connectTo(ctx context.Context, target string, sctp *webrtc.SCTPTransport, say func(string)) error {
	from, err := sctp.Listen() // acceptAll closes it when ctx ends
	if err != nil {
		return err
	}

	return acceptAll(ctx, from, sctp, func(ctx context.Context, number int, remote net.Conn) {
		report(number, say, func() (*relay, error) {
			conn, err := (&net.Dialer{Timeout: openTime}).DialContext(ctx, "tcp", target)
			if err != nil {
				if tell(remote, err) {
					_ = newRelay(nil, remote).receive() // until it has closed, too
				}

				return nil, errors.Join(err, remote.Close())
			}
			local, ok := conn.(*net.TCPConn)
			if !ok {
				return nil, errors.Join(errors.New("no TCP"), conn.Close(), remote.Close())
			}
			r := newRelay(local, remote)

			return r, r.run(ctx)
		})
	})
}

// acceptAll handles each connection on a goroutine of its own, until ctx, the
// transport or the listener ends. It returns when all of them have.
func acceptAll(
	ctx context.Context, from net.Listener, sctp *webrtc.SCTPTransport,
	handle func(ctx context.Context, number int, conn net.Conn),
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	running.Go(func() {
		select {
		case <-sctp.Context().Done():
			cancel(context.Cause(sctp.Context())) //nolint:contextcheck // the transport has a life of its own
		case <-ctx.Done():
		}
		_ = from.Close()
	})
	slots := make(chan struct{}, maxConnections)
	for number := 1; ; number++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		conn, err := from.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return err
		}
		running.Go(func() {
			defer func() { <-slots }()
			handle(ctx, number, conn)
		})
	}
}

// report says what a connection was, when it has ended.
func report(number int, say func(string), run func() (*relay, error)) {
	begin := time.Now()
	r, err := run()
	var parts []string
	if r != nil {
		parts = append(parts, fmt.Sprintf("%s from here, %s to here, %.3f s",
			screen.Amount(r.sent), screen.Amount(r.received), time.Since(begin).Seconds()))
	}
	if err != nil {
		parts = append(parts, err.Error())
	}
	say(fmt.Sprintf("connection %d: %s", number, strings.Join(parts, "; ")))
}
