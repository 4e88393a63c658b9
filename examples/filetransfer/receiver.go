package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// received is what came of a transfer.
type received struct {
	header

	resumed int64 // bytes that were there before
	now     int64 // bytes that are there now
}

// receive takes one file into the folder, and returns when the sender has been
// told that it is whole. What has come by then stays if it fails. On the way
// it calls show with how much there is.
func (s *store) receive(ctx context.Context, channel *webrtc.DataChannel, show func(received)) (got received, err error) {
	// When the context has ended, its cause says more than what it broke.
	defer func() {
		if err != nil {
			err = peer.CauseOr(ctx, err)
		}
	}()
	first, err := receiveControl(ctx, channel)
	if err != nil {
		return got, err
	}
	if first.Header == nil {
		return got, errOutOfTurn
	}
	in, err := s.begin(ctx, *first.Header)
	if err != nil {
		return got, err
	}
	defer in.close()
	got = received{header: in.header, resumed: in.size, now: in.size}
	there := have{Offset: in.size, SHA256: in.digest().SHA256}
	if err = sendControl(ctx, channel, control{Have: &there}); err != nil {
		return got, err
	}
	show(got)
	buf := make([]byte, chunk)
	for {
		n, isText, err := channel.ReadMessage(ctx, buf)
		if errors.Is(err, io.ErrShortBuffer) {
			err = fmt.Errorf("a message of %d bytes, more than %d", n, chunk)
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the sender has gone: %w", err)
		}
		if err != nil {
			return got, err
		}
		if !isText {
			if err = in.add(buf[:n]); err != nil {
				return got, err
			}
			got.now = in.size
			show(got)

			continue
		}

		return got, in.end(ctx, channel, buf[:n])
	}
}

// end is the receiver's part after the last byte of content.
func (in *incoming) end(ctx context.Context, channel *webrtc.DataChannel, text []byte) error {
	last, err := parseControl(text)
	switch {
	case err != nil:
		return err
	case last.Digest == nil:
		return errOutOfTurn
	}
	mine := in.digest()
	if err = in.finish(); err != nil {
		return err
	}
	if *last.Digest != mine {
		return errors.New("other content has arrived than was sent")
	}

	return sendControl(ctx, channel, control{Digest: &mine})
}

// readToEnd waits until the sender has closed. After a graceful close that is
// io.EOF, and not an error.
func readToEnd(ctx context.Context, channel *webrtc.DataChannel) error {
	_, err := receiveControl(ctx, channel)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errOutOfTurn
	}

	return err
}
