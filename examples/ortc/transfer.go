package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const (
	channelLabel = "file"

	// chunk is the size of a message in bytes. Every peer takes this much.
	chunk = 32 << 10
)

// announcement is a text message before the transfer, for the receiver's
// progress.
type announcement struct {
	Bytes int64 `json:"bytes"`
}

// verdict is a text message at the end of the transfer. The sender says what
// it has sent, the receiver answers what has arrived.
type verdict struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// send sends size bytes that nothing can guess, and returns when the other
// side has said that the same have arrived. SendContext waits while too much
// is queued, so memory does not grow with the size.
func send(ctx context.Context, out *screen.Screen, channel *webrtc.DataChannel, size int64) error {
	content := rand.NewChaCha8([32]byte{1})
	hash := sha256.New()
	buf := make([]byte, chunk)
	if err := sendJSON(ctx, channel, announcement{size}); err != nil {
		return err
	}
	bar := screen.NewProgress(out, 0, size)
	begin := time.Now()
	for sent := int64(0); sent < size; {
		message := buf[:min(chunk, size-sent)]
		_, _ = content.Read(message) // has no errors
		hash.Write(message)
		if err := channel.SendContext(ctx, message); err != nil {
			return err
		}
		sent += int64(len(message))
		// What is queued has not arrived. The last byte has when the answer
		// has come.
		bar.At(min(max(0, sent-int64(channel.BufferedAmount())), size-1)) //nolint:gosec // at most a few MiB
	}
	mine := verdict{Bytes: size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	if err := sendJSON(ctx, channel, mine); err != nil {
		return err
	}
	answer, err := channel.ReceiveContext(ctx)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	bar.At(size)
	var theirs verdict
	if err = json.Unmarshal(answer.Data, &theirs); err != nil {
		return fmt.Errorf("the receiver's answer: %w", err)
	}
	out.Line("  sent        %s in %.2f s, %s", screen.Amount(size), took.Seconds(), screen.Rate(size, took))
	out.Line("  sha-256  a  %s", mine.SHA256)
	out.Line("           b  %s", theirs.SHA256)
	if mine != theirs {
		return fmt.Errorf("%d bytes were sent, and other %d have arrived", mine.Bytes, theirs.Bytes)
	}
	out.Line("  the same at both ends")

	return nil
}

func sendJSON(ctx context.Context, channel *webrtc.DataChannel, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}

	return channel.SendTextContext(ctx, string(text))
}

// receive takes messages until the sender says what they should have been, and
// answers what they were. On the way it calls show with how much there is, and
// how much there will be.
func receive(ctx context.Context, channel *webrtc.DataChannel, show func(done, total int64)) (got verdict, err error) {
	total, err := announced(ctx, channel)
	if err != nil {
		return got, err
	}
	hash := sha256.New()
	buf := make([]byte, chunk)
	for {
		n, isText, err := channel.ReadMessage(ctx, buf)
		if err != nil {
			return got, err
		}
		if !isText {
			hash.Write(buf[:n])
			got.Bytes += int64(n)
			if got.Bytes > total {
				return got, fmt.Errorf("more has come than the %d bytes announced", total)
			}
			show(got.Bytes, total)

			continue
		}
		got.SHA256 = hex.EncodeToString(hash.Sum(nil))
		if err = sendJSON(ctx, channel, got); err != nil {
			return got, err
		}
		var theirs verdict
		if err = json.Unmarshal(buf[:n], &theirs); err != nil {
			return got, fmt.Errorf("the sender's verdict: %w", err)
		}
		if got != theirs {
			return got, fmt.Errorf("%d bytes have arrived, and other %d were sent", got.Bytes, theirs.Bytes)
		}

		return got, nil
	}
}

// announced takes the first message.
func announced(ctx context.Context, channel *webrtc.DataChannel) (int64, error) {
	message, err := channel.ReceiveContext(ctx)
	if err != nil {
		return 0, err
	}
	var first announcement
	if err = json.Unmarshal(message.Data, &first); err != nil {
		return 0, fmt.Errorf("the sender's announcement: %w", err)
	}
	if first.Bytes < 1 || first.Bytes > screen.MaxSize {
		return 0, fmt.Errorf("the sender announces %d bytes", first.Bytes)
	}

	return first.Bytes, nil
}

// readToEnd waits until the sender has closed. After a graceful close that is
// io.EOF, and not an error.
func readToEnd(ctx context.Context, channel *webrtc.DataChannel) error {
	message, err := channel.ReceiveContext(ctx)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return fmt.Errorf("%d bytes came after the end", len(message.Data))
	}

	return err
}
