// Package record runs examples/record with Chromium and its own camera.
package record

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/browser/internal/chromium"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.MainOf("../../record", m.Run)) }

func TestChromium(t *testing.T) {
	path, ok := chromium.Find()
	if !ok {
		t.Skip(chromium.Missing)
	}
	tab, quit, err := chromium.Start(path, chromium.FakeCamera()...)
	require.NoError(t, err)
	defer quit()
	t.Run("the page is left", func(t *testing.T) {
		prefix := filepath.Join(t.TempDir(), "out")
		p := visit(t, tab, prefix, nil,
			chromium.Until(`document.body.dataset.sent >= 60`),
			chromedp.Navigate("about:blank"), // the page has no time but to say so
		)
		assert.Contains(t, p.Printed(), "video/VP8 comes, and goes into "+prefix+".ivf\n")
		assert.Contains(t, p.Printed(), "audio/opus comes, and goes into "+prefix+".ogg\n")
		assert.Contains(t, p.Printed(), "the other side has ended it\n")
		requireProbed(t, prefix, 40, 40)
	})
	t.Run("the time is over", func(t *testing.T) {
		prefix := filepath.Join(t.TempDir(), "out")
		visit(t, tab, prefix, []string{"-duration", "1s"},
			chromium.Until(`document.body.dataset.state === "over"`),
		)
		requireProbed(t, prefix, 5, 10)
	})
}

// visit runs the program while the page sends.
func visit(t *testing.T, tab context.Context, prefix string, args []string, actions ...chromedp.Action) *programtest.Process {
	t.Helper()
	p := programtest.Start(t, append(args, "-browser", "-loopback", "-addr", "127.0.0.1:0", "-o", prefix)...)
	url := p.Until(t, `^open (http://127\.0\.0\.1:\d+/) in a browser$`)[1]
	ctx, cancel := context.WithTimeout(tab, 20*time.Second)
	defer cancel()
	err := chromedp.Run(ctx, append([]chromedp.Action{
		chromium.Permit(strings.TrimSuffix(url, "/")),
		chromedp.Navigate(url),
		chromium.Until(`document.body.dataset.state === "new"`),
		chromedp.Click("#start", chromedp.ByQuery),
	}, actions...)...)
	if err != nil {
		var text string
		seen, cancel := context.WithTimeout(tab, 5*time.Second)
		defer cancel()
		_ = chromedp.Run(seen, chromedp.Evaluate(`document.body.outerHTML`, &text))
		require.NoError(t, p.Kill())
		p.Wait(t)
		t.Fatalf("%v\n%s\n%s%s", err, text, p.Printed(), p.Errors())
	}
	require.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	t.Log(p.Printed())

	return p
}

// requireProbed checks that ffprobe can decode so much of the two files.
func requireProbed(t *testing.T, prefix string, frames, packets int) {
	t.Helper()
	video := probe(t, prefix+".ivf")
	assert.Equal(t, "vp8", video.Codec)
	assert.GreaterOrEqual(t, video.frames(t), frames)
	// A browser that is short of time sends smaller pictures, of the same shape.
	assert.Equal(t, 4*video.Height, 3*video.Width, "%dx%d", video.Width, video.Height)
	assert.Positive(t, video.Width)
	audio := probe(t, prefix+".ogg")
	assert.Equal(t, "opus", audio.Codec)
	assert.GreaterOrEqual(t, audio.frames(t), packets)
}

// stream is what ffprobe says of a file's only one.
type stream struct {
	Codec         string `json:"codec_name"`
	Width, Height int
	Frames        string `json:"nb_read_frames"`
}

func (s stream) frames(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(s.Frames)
	require.NoError(t, err)

	return n
}

// probe decodes a file, in which ffprobe must find nothing wrong.
func probe(t *testing.T, path string) stream {
	t.Helper()
	program, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("there is no ffprobe to read the files: apt-get install --no-install-recommends ffmpeg")
	}
	var found struct{ Streams []stream }
	var complaints strings.Builder
	cmd := exec.CommandContext(t.Context(), program, "-v", "warning", "-count_frames", "-show_streams", "-of", "json", path)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Empty(t, complaints.String())
	require.NoError(t, json.Unmarshal(out, &found))
	require.Len(t, found.Streams, 1)

	return found.Streams[0]
}
