package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// outgoing is a file to send.
type outgoing struct {
	header

	file *os.File

	// between is called before each data message with the bytes that have been
	// sent, from the file's beginning. It may be nil.
	between func(ctx context.Context, sent int64) error
}

// openOutgoing reads the file once, for the header.
func openOutgoing(ctx context.Context, path string) (out *outgoing, err error) {
	name := filepath.Base(path)
	if err = checkName(name); err != nil {
		return nil, err
	}
	// Before it is opened: that of a pipe would wait.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	size, err := copyContext(ctx, sum, file)
	if err != nil {
		_ = file.Close()

		return nil, err
	}

	return &outgoing{header: header{name, size, hex.EncodeToString(sum.Sum(nil))}, file: file}, nil
}

func (o *outgoing) Close() error { return o.file.Close() }

// sent is what came of a transfer.
type sent struct {
	resumed int64 // bytes that the receiver had before
	took    time.Duration
}

// send returns when the receiver has said that the whole file is there.
func (o *outgoing) send(ctx context.Context, show *screen.Screen, channel *webrtc.DataChannel) (result sent, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the context has ended, its cause says more than what it broke.
	defer func() {
		if err != nil {
			err = peer.CauseOr(ctx, err)
		}
	}()
	begin := time.Now()
	if err = sendControl(ctx, channel, control{Header: &o.header}); err != nil {
		return result, err
	}
	answer, err := receiveControl(ctx, channel)
	if err != nil {
		return result, err
	}
	if answer.Have == nil {
		return result, errOutOfTurn
	}
	sum, err := o.resume(ctx, *answer.Have)
	if err != nil {
		return result, err
	}
	result.resumed = answer.Have.Offset
	if result.resumed > 0 {
		show.Line("  resumes at %s: so much is there, and it is the beginning of the file", screen.Amount(result.resumed))
	}

	// The receiver may give up at any time, which has to end the sending.
	var last control
	var lastErr error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if last, lastErr = receiveControl(ctx, channel); lastErr != nil {
			cancel(lastErr)
		}
	}()
	bar := screen.NewProgress(show, result.resumed, o.Size)
	mine, err := o.content(ctx, channel, sum, result.resumed, bar)
	if err == nil {
		err = sendControl(ctx, channel, control{Digest: &mine})
	}
	if err != nil && !errors.Is(err, io.EOF) { // else the receiver has closed, and perhaps told why before
		cancel(err)
	}
	<-answered
	var theirs told
	switch {
	case errors.As(lastErr, &theirs):
		return result, lastErr
	case err != nil:
		return result, err
	case lastErr != nil:
		return result, lastErr
	case last.Digest == nil:
		return result, errOutOfTurn
	case *last.Digest != mine:
		return result, errors.New("other content has arrived than was sent")
	}
	bar.At(o.Size)
	result.took = time.Since(begin)

	return result, nil
}

// resume checks that what the receiver has is the beginning of this file, and
// returns its hash, to go on with.
func (o *outgoing) resume(ctx context.Context, there have) (hash.Hash, error) {
	if there.Offset < 0 || there.Offset > o.Size {
		return nil, fmt.Errorf("the receiver has %d bytes of a file of %d", there.Offset, o.Size)
	}
	if _, err := o.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := copyContext(ctx, sum, io.LimitReader(o.file, there.Offset))
	switch {
	case err != nil:
		return nil, err
	case n < there.Offset:
		return nil, errChanged
	case hex.EncodeToString(sum.Sum(nil)) != there.SHA256:
		return nil, fmt.Errorf("the receiver's %q is not the beginning of this file", o.Name+partSuffix)
	}

	return sum, nil
}

var errChanged = errors.New("the file has changed since it was announced")

// content sends the file from an offset, where it is open and which sum has
// reached, to the end.
func (o *outgoing) content(
	ctx context.Context, channel *webrtc.DataChannel, sum hash.Hash, from int64, bar *screen.Progress,
) (digest, error) {
	buf := make([]byte, chunk)
	for at := from; at < o.Size; {
		if o.between != nil {
			if err := o.between(ctx, at); err != nil {
				return digest{}, err
			}
		}
		message := buf[:min(chunk, o.Size-at)]
		if _, err := io.ReadFull(o.file, message); err != nil {
			return digest{}, fmt.Errorf("%w: %w", errChanged, err)
		}
		if err := channel.SendContext(ctx, message); err != nil {
			return digest{}, err
		}
		sum.Write(message)
		at += int64(len(message))
		// What is queued has not arrived. The last byte has when the answer
		// has come.
		bar.At(min(max(from, at-int64(channel.BufferedAmount())), o.Size-1)) //nolint:gosec // at most a few MiB
	}
	mine := digest{Size: o.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if mine.SHA256 != o.SHA256 {
		return digest{}, errChanged
	}

	return mine, nil
}
