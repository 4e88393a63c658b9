package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/clip"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
	"github.com/ctxrtc/webrtc/pkg/media"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

// original is one of the files that are played.
func original(t *testing.T, name string) []media.Sample {
	t.Helper()
	path, err := clip.Find(name)
	require.NoError(t, err)
	c, err := clip.Load(path)
	require.NoError(t, err)

	return c.Samples
}

// requireRecorded checks that a file has a part of another one, of which the first
// second may be missing: what was sent before our side had its keys is lost.
func requireRecorded(t *testing.T, path, name string, atLeast int) {
	t.Helper()
	recorded, err := clip.Load(path)
	require.NoError(t, err)
	played := original(t, name)
	require.GreaterOrEqual(t, len(recorded.Samples), atLeast)
	first := slices.IndexFunc(played, func(s media.Sample) bool { return bytes.Equal(s.Data, recorded.Samples[0].Data) })
	require.GreaterOrEqual(t, first, 0, "%s, sample 0", name)
	require.LessOrEqual(t, first, 50)
	for i, sample := range recorded.Samples {
		require.True(t, bytes.Equal(played[(first+i)%len(played)].Data, sample.Data), "%s, sample %d", name, i)
	}
}

// requireProbed checks that ffprobe reads a file to its end.
func requireProbed(t *testing.T, path string, entries ...string) {
	t.Helper()
	program, err := exec.LookPath("ffprobe")
	if errors.Is(err, exec.ErrNotFound) {
		t.Log("not read by ffprobe: it is not installed")

		return
	}
	out, err := exec.CommandContext(t.Context(), program,
		"-v", "warning", "-count_frames", "-show_streams", "-show_format", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, entry := range entries {
		assert.Regexp(t, "(?m)^"+entry+"$", string(out))
	}
	assert.True(t, strings.HasPrefix(string(out), "["), "no warning: %s", out)
}

func TestAServerAndAClient(t *testing.T) {
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "out")
	p := programtest.Start(t, "-o", prefix, "-duration", "2s")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())
	assert.Contains(t, printed, "video/VP8 comes, and goes into "+prefix+".ivf\n")
	assert.Contains(t, printed, "audio/opus comes, and goes into "+prefix+".ogg\n")
	assert.NotContains(t, printed, "lost")
	assert.NotContains(t, printed, "were none")
	assert.Contains(t, printed, "\n  goroutines left: 0\n")
	requireRecorded(t, prefix+".ivf", "test.ivf", 30)
	requireRecorded(t, prefix+".ogg", "test.ogg", 50)
	requireProbed(t, prefix+".ivf", "codec_name=vp8", "width=320", "height=240", `nb_read_frames=\d{2}`, `duration=[12]\..*`)
	requireProbed(t, prefix+".ogg", "codec_name=opus", "channels=2", `nb_read_frames=\d{2,3}`, `duration=[12]\..*`)
}

// serveAt starts the server and returns its endpoint.
func serveAt(t *testing.T, args ...string) (server *programtest.Process, url string) {
	t.Helper()
	server = programtest.Start(t, append([]string{"-serve", "-addr", "127.0.0.1:0"}, args...)...)

	return server, server.Until(t, `^a WHEP server plays at (http://127\.0\.0\.1:\d+/whep)$`)[1]
}

func TestTwoTerminalsAndH264(t *testing.T) {
	t.Parallel()
	path, err := clip.Find("test.h264")
	require.NoError(t, err)
	server, url := serveAt(t, "-token", "secret", "-video", path)
	prefix := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"-url", url}, {"-url", url, "-token", "wrong"}} {
		p := programtest.Start(t, append(args, "-loopback", "-o", prefix)...)
		assert.Equal(t, 1, p.Wait(t))
		assert.Contains(t, p.Complaint(t), "401 Unauthorized: the token is missing or wrong")
		assert.NoFileExists(t, prefix+".h264")
	}
	p := programtest.Start(t, "-url", url, "-token", "secret", "-loopback", "-o", prefix, "-duration", "2s")
	require.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	assert.Empty(t, p.Errors())
	requireRecorded(t, prefix+".h264", "test.h264", 20)
	requireRecorded(t, prefix+".ogg", "test.ogg", 40)
	requireProbed(t, prefix+".h264", "codec_name=h264", "width=320")
	require.NoError(t, server.Kill())
	server.Wait(t)
}

func TestAServerThatEndsFirst(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	t.Parallel()
	server, url := serveAt(t)
	prefix := filepath.Join(t.TempDir(), "out")
	p := programtest.Start(t, "-url", url, "-loopback", "-o", prefix, "-duration", "50s")
	p.Until(t, "comes, and")
	p.Until(t, "comes, and")
	require.NoError(t, server.Interrupt())
	assert.Equal(t, 1, server.Wait(t))
	assert.Equal(t, "record: interrupted", server.Complaint(t))
	require.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	assert.Contains(t, p.Printed(), "the other side has ended it\n")
	requireRecorded(t, prefix+".ogg", "test.ogg", 1)
}

// An interrupt leaves whole files behind.
func TestAnInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "out")
	p := programtest.Start(t, "-o", prefix, "-duration", "50s")
	p.Until(t, "comes, and")
	p.Until(t, "comes, and")
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "record: interrupted", p.Complaint(t))
	assert.Contains(t, p.Printed(), "\nrecorded\n")
	requireRecorded(t, prefix+".ogg", "test.ogg", 1)
}

func TestNobodyServesOrComes(t *testing.T) {
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "out")
	missing := filepath.Join(t.TempDir(), "missing", "out")
	text := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(text, nil, 0o600))
	empty := filepath.Join(t.TempDir(), "file.ivf")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, tc := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"-url", "http://127.0.0.1:9/whep", "-loopback", "-o", prefix}, "refused"},
		{[]string{"-url", "ftp://127.0.0.1/", "-o", prefix}, "is no http or https URL"},
		{[]string{"-browser", "-addr", "127.0.0.1:0", "-wait", "100ms", "-o", prefix}, "no page has come within 100ms"},
		{[]string{"-o", missing}, "no such file or directory"},
		{[]string{"-serve", "-video", text}, "none of .ivf, .h264 and .ogg"},
		{[]string{"-serve", "-video", empty}, "file.ivf"},
		{[]string{"-serve", "-addr", "127.0.0.1:x"}, "unknown port"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, 1, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Complaint(t), tc.stderr, "%v", tc.args)
	}
	_, url := serveAt(t)
	p := programtest.Start(t, "-url", url+"/more", "-loopback", "-o", prefix)
	assert.Equal(t, 1, p.Wait(t))
	assert.Contains(t, p.Complaint(t), " says 40")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: record [-o PATH]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"more"}, 2, `unexpected argument "more"`},
		{[]string{"-serve", "-browser"}, 2, "exclude each other"},
		{[]string{"-serve", "-url", "http://127.0.0.1:1"}, 2, "exclude each other"},
		{[]string{"-url", ""}, 2, "-url needs"},
		{[]string{"-o", ""}, 2, "-o needs"},
		{[]string{"-duration", "0s"}, 2, "above zero"},
		{[]string{"-token", "x"}, 2, "-token means nothing here"},
		{[]string{"-serve", "-o", "x"}, 2, "-o means nothing here"},
		{[]string{"-browser", "-video", "x.ivf"}, 2, "-video means nothing here"},
		{[]string{"-serve", "-addr", "0.0.0.0:0"}, 2, "-addr is on loopback"},
		{[]string{"-browser", "-addr", "nowhere"}, 2, "-addr"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "record: "), p.Errors())
		}
	}
}

func TestBrokenInput(t *testing.T) {
	t.Parallel()
	for _, payload := range [][]byte{nil, {}, {0x10}, {0x10, 0, 0}, bytes.Repeat([]byte{0xff}, 9), {0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		_, _, ok := vp8Size(payload)
		assert.False(t, ok, "%x", payload)
	}
	width, height, ok := vp8Size(append([]byte{0x10}, original(t, "test.ivf")[0].Data...))
	assert.True(t, ok)
	assert.Equal(t, [2]uint16{320, 240}, [2]uint16{width, height})
	w, err := newVP8Writer(filepath.Join(t.TempDir(), "empty.ivf"))
	require.NoError(t, err)
	require.NoError(t, w.Close(), "without a frame")
	_, err = clip.Load(filepath.Join(t.TempDir(), "none.ivf"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
