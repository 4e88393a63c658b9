package cases

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

const (
	bulkSize  = 16 << 20
	bulkChunk = 16 << 10
)

// echo sends a text and waits until it comes back.
func (e *Env) echo(ctx context.Context, c *webrtc.DataChannel, text string) error {
	if err := c.SendTextContext(ctx, text); err != nil {
		return err
	}
	got, err := c.ReceiveContext(ctx)
	if err != nil {
		return fmt.Errorf("echo of %.20q on %s: %w", text, c.Label(), err)
	}
	if !got.IsString || string(got.Data) != e.Prefix+text {
		return fmt.Errorf("echo of the text %.20q is %.20q, text %t", text, got.Data, got.IsString)
	}

	return nil
}

func echoBinary(ctx context.Context, c *webrtc.DataChannel, data []byte) error {
	if err := c.SendContext(ctx, data); err != nil {
		return err
	}
	got, err := c.ReceiveContext(ctx)
	if err != nil {
		return fmt.Errorf("echo of %d bytes: %w", len(data), err)
	}
	if got.IsString || !bytes.Equal(got.Data, data) {
		return fmt.Errorf("echo of %d bytes is %d others, text %t", len(data), len(got.Data), got.IsString)
	}

	return nil
}

// echoes are those of messages of each kind and of several sizes.
func echoes(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}

	return errors.Join(s.echoes(ctx), s.end(ctx))
}

// echoes end with the first that fails: what comes late would be taken for the
// next. Empty messages, which not every peer can do, are the last.
func (s *session) echoes(ctx context.Context) error {
	for _, text := range []string{"text", "żółw, 亀, 🐢"} {
		if err := s.env.echo(ctx, s.echo, text); err != nil {
			return err
		}
	}
	for _, size := range []int{1, 1200, 16 << 10, 64 << 10} {
		data := make([]byte, size)
		_, _ = rand.Read(data) // never fails
		if err := echoBinary(ctx, s.echo, data); err != nil {
			return err
		}
	}
	if err := s.env.echo(ctx, s.echo, ""); err != nil {
		return err
	}

	return echoBinary(ctx, s.echo, nil)
}

// bulk moves 16 MiB each way at the same time.
func bulk(ctx context.Context, e *Env) error {
	s, err := e.connect(ctx, options{})
	if err != nil {
		return err
	}

	return errors.Join(s.bulk(ctx, bulkSize), s.end(ctx))
}

func (s *session) bulk(ctx context.Context, size int) error {
	if s.env.Mirror {
		return s.mirrored(ctx, size)
	}
	ours, err := s.pc.CreateDataChannel("sink-ours", nil)
	if err != nil {
		return err
	}
	if _, err := s.opened(ctx, "sink-ours"); err != nil {
		return err
	}
	if _, err := s.ask(ctx, peer.Request{Do: "channel", Label: "peers"}); err != nil {
		return err
	}
	theirs, err := s.accept(ctx, "peers")
	if err != nil {
		return err
	}
	if _, err := s.opened(ctx, "peers"); err != nil {
		return err
	}
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- s.send(ctx, ours, size) }()
	go func() { received <- s.receive(ctx, theirs, size) }()

	return errors.Join(<-sent, <-received)
}

// mirrored sends size bytes through a channel that echoes.
func (s *session) mirrored(ctx context.Context, size int) error {
	type result struct {
		sum string
		err error
	}
	sent := make(chan result, 1)
	go func() {
		sum, _, err := blast(ctx, s.echo, size)
		sent <- result{sum, err}
	}()
	sum, err := drain(ctx, s.echo, size)
	if err != nil {
		return err
	}
	want := <-sent
	if want.err == nil && sum != want.sum {
		want.err = errors.New("what comes back has another hash")
	}

	return want.err
}

// drain receives size bytes, and returns their hash.
func drain(ctx context.Context, c *webrtc.DataChannel, size int) (string, error) {
	sum, got := sha256.New(), 0
	buf := make([]byte, bulkChunk)
	for got < size {
		n, _, err := c.ReadMessage(ctx, buf)
		if err != nil {
			return "", fmt.Errorf("after %d bytes received: %w", got, err)
		}
		sum.Write(buf[:n])
		got += n
	}
	if got != size {
		return "", fmt.Errorf("%d bytes instead of %d", got, size)
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}

// blast sends size bytes, and returns their hash and the number of messages.
func blast(ctx context.Context, c *webrtc.DataChannel, size int) (string, int, error) {
	sum, messages := sha256.New(), 0
	block := make([]byte, bulkChunk)
	_, _ = rand.Read(block) // never fails
	for sent := 0; sent < size; messages++ {
		binary.BigEndian.PutUint32(block, uint32(messages)) //nolint:gosec // some thousands
		message := block[:min(len(block), size-sent)]
		sum.Write(message)
		if err := c.SendContext(ctx, message); err != nil {
			return "", 0, fmt.Errorf("after %d bytes sent: %w", sent, err)
		}
		sent += len(message)
	}

	return hex.EncodeToString(sum.Sum(nil)), messages, nil
}

// send is our half of bulk.
func (s *session) send(ctx context.Context, c *webrtc.DataChannel, size int) error {
	sum, messages, err := blast(ctx, c, size)
	if err != nil {
		return err
	}

	return s.digest(ctx, c.Label(), size, messages, sum)
}

// digest compares what has arrived at the peer with what was sent.
func (s *session) digest(ctx context.Context, label string, size, messages int, sum string) error {
	got, err := s.ask(ctx, peer.Request{Do: "digest", Label: label, Size: size})
	if ctx.Err() != nil {
		// What has come so far tells more than that it is not all.
		after, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), time.Second, err)
		defer cancel()
		got, err = s.ask(after, peer.Request{Do: "digest", Label: label})
	}
	if err != nil {
		return err
	}
	if got.Bytes != size || got.Messages != messages || got.SHA256 != sum {
		return fmt.Errorf("the peer has %d bytes in %d messages of our %d in %d, same hash: %t",
			got.Bytes, got.Messages, size, messages, got.SHA256 == sum)
	}

	return nil
}

// receive is the peer's half of bulk.
func (s *session) receive(ctx context.Context, c *webrtc.DataChannel, size int) error {
	type result struct {
		answer peer.Answer
		err    error
	}
	sent := make(chan result, 1)
	go func() {
		answer, err := s.ask(ctx, peer.Request{Do: "blast", Label: c.Label(), Size: size, Chunk: bulkChunk})
		sent <- result{answer, err}
	}()
	sum, err := drain(ctx, c, size)
	if err != nil {
		return err
	}
	want := <-sent
	if want.err == nil && sum != want.answer.SHA256 {
		want.err = errors.New("what the peer has sent has another hash")
	}

	return want.err
}
