package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const (
	channelLabel = "filetransfer"

	// chunk is the size of a data message in bytes. Every peer takes this much.
	chunk = 32 << 10
)

// control is a text message. Exactly one of its fields is set, and each has its
// turn; binary messages are the file's content.
type control struct {
	Header *header `json:"header,omitempty"` // the sender's first
	Have   *have   `json:"have,omitempty"`   // the receiver's answer
	Digest *digest `json:"digest,omitempty"` // the sender's last, and the receiver's answer
	Error  string  `json:"error,omitempty"`  // of either: it gives up
}

// header announces the file.
type header struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

func (h header) check() error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	if sum, err := hex.DecodeString(h.SHA256); err != nil || len(sum) != 32 || hex.EncodeToString(sum) != h.SHA256 {
		return errors.New("the sender announces no SHA-256")
	}
	if h.Size < 0 || h.Size > screen.MaxSize {
		return fmt.Errorf("the sender announces %d bytes", h.Size)
	}

	return nil
}

// have is what the receiver has already: the first Offset bytes.
type have struct {
	Offset int64  `json:"offset"`
	SHA256 string `json:"sha256"` // of these bytes
}

// digest is of everything from the first byte to the last.
type digest struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// told is an error that the other side has told us.
type told string

func (t told) Error() string { return "the other side: " + string(t) }

func sendControl(ctx context.Context, channel *webrtc.DataChannel, m control) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}

	return channel.SendTextContext(ctx, string(text))
}

// parseControl reads a text message. What is missing in it is for the caller to
// see, but an error of the other side's is returned as such.
func parseControl(text []byte) (m control, err error) {
	if err = json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("a message that cannot be read: %w", err)
	}
	if m.Error != "" {
		return m, told(fmt.Sprintf("%.200q", m.Error))
	}

	return m, nil
}

// receiveControl waits for a text message, where no content is due.
func receiveControl(ctx context.Context, channel *webrtc.DataChannel) (control, error) {
	m, err := channel.ReceiveContext(ctx)
	switch {
	case err != nil:
		return control{}, err
	case !m.IsString:
		return control{}, errors.New("content came where none was due")
	}

	return parseControl(m.Data)
}

var errOutOfTurn = errors.New("the other side's message is out of turn")

// tellTime is how long the other side may take to hear why we give up.
const tellTime = time.Second

// giveUp tells the other side the reason, unless that was its own, or it has
// gone silent.
func giveUp(ctx context.Context, channel *webrtc.DataChannel, reason error) {
	var theirs told
	if channel.Context().Err() != nil || errors.As(reason, &theirs) || errors.Is(reason, peer.ErrSilent) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	if sendControl(ctx, channel, control{Error: reason.Error()}) == nil {
		_ = channel.Shutdown(ctx) // at the worst it is not told
	}
}
