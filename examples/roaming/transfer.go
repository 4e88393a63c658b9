package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/ctxrtc/webrtc"
)

// messageSize is how much of the content one message has.
const messageSize = 16 << 10

// transfer is content that goes through a channel. Neither end knows of moves.
type transfer struct {
	size           int64
	sent, received hash.Hash

	mu   sync.Mutex
	here int64         // bytes that have arrived
	more chan struct{} // closed when there are more
}

func newTransfer(size int64) *transfer {
	return &transfer{size: size, sent: sha256.New(), received: sha256.New(), more: make(chan struct{})}
}

// send sends it all. While there is no path SendContext waits, since its queue is
// full.
func (t *transfer) send(ctx context.Context, channel *webrtc.DataChannel) error {
	content := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), t.size), t.sent)
	message := make([]byte, messageSize)
	for {
		n, err := io.ReadFull(content, message)
		if n > 0 {
			if err := channel.SendContext(ctx, message[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// receive receives it all.
func (t *transfer) receive(ctx context.Context, channel *webrtc.DataChannel) error {
	message := make([]byte, messageSize)
	for t.arrived() < t.size {
		n, _, err := channel.ReadMessage(ctx, message)
		if err != nil {
			return err
		}
		t.received.Write(message[:n])
		t.mu.Lock()
		t.here += int64(n)
		close(t.more)
		t.more = make(chan struct{})
		t.mu.Unlock()
	}

	return nil
}

func (t *transfer) arrived() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.here
}

// await waits until so many bytes have arrived, or all.
func (t *transfer) await(ctx context.Context, bytes int64) error {
	for {
		t.mu.Lock()
		here, more := t.here, t.more
		t.mu.Unlock()
		if here >= min(bytes, t.size) {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// compare compares both ends, once both are done.
func (t *transfer) compare() error {
	if here := t.arrived(); here != t.size {
		return fmt.Errorf("%d bytes have arrived of %d", here, t.size)
	}
	if string(t.sent.Sum(nil)) != string(t.received.Sum(nil)) {
		return errors.New("what has arrived is not what was sent")
	}

	return nil
}
