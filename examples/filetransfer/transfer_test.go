package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// noScreen shows nothing.
func noScreen(t *testing.T) *screen.Screen {
	t.Helper()
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { out.Close() })

	return screen.New(out)
}

// channels opens one more channel between two peers.
func channels(t *testing.T, a, b *peer.Peer) (ours, theirs *webrtc.DataChannel) {
	t.Helper()
	ours, err := a.SCTP.OpenDataChannel(t.Context(), &webrtc.DataChannelParameters{Ordered: true})
	require.NoError(t, err)
	theirs, err = b.SCTP.AcceptDataChannel(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { ours.Close() })

	return ours, theirs
}

// hear reads all messages up to an error of the other side's, and returns that.
func hear(ctx context.Context, channel *webrtc.DataChannel) string {
	for {
		m, err := channel.ReceiveContext(ctx)
		if err != nil {
			return "no error was told: " + err.Error()
		}
		if !m.IsString {
			continue
		}
		switch m, err := parseControl(m.Data); {
		case m.Error != "":
			return m.Error
		case err != nil:
			return err.Error()
		}
	}
}

func TestAReceiverAndAStrangeSender(t *testing.T) {
	a, b := programtest.Pair(t)
	h := headerOf("x", "abc")
	text := func(m control) func(context.Context, *webrtc.DataChannel) error {
		return func(ctx context.Context, c *webrtc.DataChannel) error { return sendControl(ctx, c, m) }
	}
	data := func(content string) func(context.Context, *webrtc.DataChannel) error {
		return func(ctx context.Context, c *webrtc.DataChannel) error { return c.SendContext(ctx, []byte(content)) }
	}
	raw := func(content string) func(context.Context, *webrtc.DataChannel) error {
		return func(ctx context.Context, c *webrtc.DataChannel) error { return c.SendTextContext(ctx, content) }
	}
	type say = []func(context.Context, *webrtc.DataChannel) error
	for name, tc := range map[string]struct {
		says  say
		fails string
		left  map[string]string
	}{
		"content first":           {say{data("abc")}, "content came where none was due", nil},
		"no JSON":                 {say{raw("hello")}, "cannot be read", nil},
		"no header":               {say{raw("{}")}, "out of turn", nil},
		"a path":                  {say{text(control{Header: &header{"../x", h.Size, h.SHA256}})}, "is refused", nil},
		"too much":                {say{text(control{Header: &h}), data("ab"), data("cd")}, "more has come than the 3 bytes", map[string]string{"x.part": "ab"}},
		"too little":              {say{text(control{Header: &h}), data("ab"), text(control{Digest: &digest{2, sumOf("ab")}})}, "after 2 of 3", map[string]string{"x.part": "ab"}},
		"other content":           {say{text(control{Header: &h}), data("abd"), text(control{Digest: &digest{3, sumOf("abd")}})}, "other content", nil},
		"too large a message":     {say{text(control{Header: &h}), data(strings.Repeat("x", chunk+1))}, "more than 32768", nil},
		"two headers":             {say{text(control{Header: &h}), data("ab"), text(control{Header: &h})}, "out of turn", map[string]string{"x.part": "ab"}},
		"no JSON after content":   {say{text(control{Header: &h}), data("ab"), raw("[")}, "cannot be read", map[string]string{"x.part": "ab"}},
		"another digest than due": {say{text(control{Header: &h}), data("abc"), text(control{Digest: &digest{3, sumOf("abd")}})}, "other content", map[string]string{"x": "abc"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ours, theirs := channels(t, a, b)
			s, dir := newStore(t, nil)
			heard := make(chan string, 1)
			go func() {
				for _, say := range tc.says {
					if err := say(ctx, ours); err != nil {
						heard <- err.Error()

						return
					}
				}
				heard <- hear(ctx, ours)
			}()
			_, err := s.receive(ctx, theirs, func(received) {})
			require.ErrorContains(t, err, tc.fails)
			giveUp(ctx, theirs, err)
			assert.Contains(t, <-heard, tc.fails, "the sender is told")
			if tc.left == nil {
				tc.left = map[string]string{}
			}
			assert.Equal(t, tc.left, filesIn(t, dir))
		})
	}
}

func TestASenderAndAStrangeReceiver(t *testing.T) {
	a, b := programtest.Pair(t)
	content := strings.Repeat("abc", 2*chunk)
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	whole := int64(len(content))
	for name, tc := range map[string]struct {
		have  have
		after *control // says this once content has come
		fails string
	}{
		"negative":       {have{-1, sumOf("")}, nil, "the receiver has -1 bytes"},
		"longer":         {have{whole + 1, sumOf(content)}, nil, "bytes of a file of"},
		"another file":   {have{3, sumOf("abd")}, nil, `the receiver's "x.part" is not the beginning of this file`},
		"no hash":        {have{3, ""}, nil, "is not the beginning"},
		"a full disk":    {have{0, sumOf("")}, &control{Error: "no space left"}, `the other side: "no space left"`},
		"a wrong digest": {have{whole - 3, sumOf(content[:whole-3])}, &control{Digest: &digest{whole, sumOf("abc")}}, "other content has arrived than was sent"},
		"out of turn":    {have{0, sumOf("")}, &control{Have: &have{}}, "out of turn"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ours, theirs := channels(t, a, b)
			heard := make(chan string, 1)
			go func() {
				m, err := receiveControl(ctx, theirs)
				if err == nil && m.Header == nil {
					err = errOutOfTurn
				}
				if err == nil {
					err = sendControl(ctx, theirs, control{Have: &tc.have})
				}
				if err == nil && tc.after != nil {
					if _, err = theirs.ReceiveContext(ctx); err == nil {
						err = sendControl(ctx, theirs, *tc.after)
					}
				}
				if err != nil {
					heard <- err.Error()

					return
				}
				heard <- hear(ctx, theirs)
			}()
			file, err := openOutgoing(ctx, path)
			require.NoError(t, err)
			defer file.Close()
			_, err = file.send(ctx, noScreen(t), ours)
			require.ErrorContains(t, err, tc.fails)
			giveUp(ctx, ours, err)
			if tc.after == nil || tc.after.Error == "" {
				assert.Contains(t, <-heard, tc.fails, "the receiver is told")
			}
		})
	}
}

// What is sent is what was announced, or it is an error.
func TestAFileThatChangesWhileItIsSent(t *testing.T) {
	a, b := programtest.Pair(t)
	content := strings.Repeat("abc", 2*chunk)
	for name, change := range map[string]func(path string) error{
		"shorter": func(path string) error { return os.Truncate(path, chunk+1) },
		"other":   func(path string) error { return os.WriteFile(path, []byte(strings.ToUpper(content)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ours, theirs := channels(t, a, b)
			s, dir := newStore(t, nil)
			outcome := make(chan error, 1)
			go func() {
				_, err := s.receive(ctx, theirs, func(received) {})
				outcome <- err
			}()
			file, err := openOutgoing(ctx, path)
			require.NoError(t, err)
			defer file.Close()
			file.between = func(_ context.Context, sent int64) error {
				if sent == chunk {
					return change(path)
				}

				return nil
			}
			_, err = file.send(ctx, noScreen(t), ours)
			require.ErrorIs(t, err, errChanged)
			giveUp(ctx, ours, err)
			assert.ErrorContains(t, <-outcome, "the file has changed")
			assert.NotContains(t, filesIn(t, dir), "x")
		})
	}
}

func TestFilesThatCannotBeSent(t *testing.T) {
	dir := t.TempDir()
	for path, reason := range map[string]string{
		dir:                          "is no file",
		filepath.Join(dir, "nobody"): "no such file",
		os.DevNull:                   "is no file",
		filepath.Join(dir, ".x"):     "is refused",
	} {
		_, err := openOutgoing(t.Context(), path)
		require.Error(t, err, path)
		if os.PathSeparator == '/' {
			require.ErrorContains(t, err, reason)
		}
	}
}
