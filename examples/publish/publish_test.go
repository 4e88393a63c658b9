package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
	"github.com/ctxrtc/webrtc/examples/publish/endpoint"
	"github.com/ctxrtc/webrtc/examples/publish/publisher"
	"github.com/ctxrtc/webrtc/examples/publish/room"
	"github.com/ctxrtc/webrtc/examples/publish/source"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func testdata(name string) string { return filepath.Join("..", "..", "testdata", "media", name) }

// cut writes the first frames of an IVF file, and returns its name.
func cut(t *testing.T, name string, frames int) string {
	t.Helper()
	content, err := os.ReadFile(testdata(name))
	require.NoError(t, err)
	reader, _, err := ivfreader.NewWith(strings.NewReader(string(content)))
	require.NoError(t, err)
	size := 32
	for range frames {
		frame, _, err := reader.ParseNextFrame()
		require.NoError(t, err)
		size += 12 + len(frame)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.ivf", frames))
	require.NoError(t, os.WriteFile(path, content[:size], 0o600))

	return path
}

// requireReceived says how much of a section has come. The last packets of a track may
// be on the way when it is taken from the session.
func requireReceived(t *testing.T, printed string, section int, codec string, frames int) {
	t.Helper()
	line := regexp.MustCompile(fmt.Sprintf(`room: section %d, %s: (\d+) frames in \d+ packets, .* lost\n`, section, codec))
	matches := line.FindAllStringSubmatch(printed, -1)
	require.Len(t, matches, 1, printed)
	got, err := strconv.Atoi(matches[0][1])
	require.NoError(t, err)
	assert.LessOrEqual(t, got, frames, printed)
	assert.GreaterOrEqual(t, got, frames*9/10, printed)
}

func TestWithoutArguments(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())
	assert.Regexp(t, `^the room is http://127\.0\.0\.1:\d+/whip\n`, printed)
	for _, name := range []string{`test.ivf (video/VP8)`, `test.ogg (audio/opus)`} {
		assert.Equal(t, 1, strings.Count(printed, "publisher: "+name+" is published\n"), printed)
		assert.Equal(t, 1, strings.Count(printed, "publisher: "+name+" has ended and is unpublished\n"), printed)
	}
	requireReceived(t, printed, 0, "video/VP8", 150)
	requireReceived(t, printed, 1, "audio/opus", 251)
	assert.True(t, strings.HasSuffix(printed, "publisher: all tracks have ended\ngoroutines left: 0\n"), printed)
}

// Each track ends by itself: one early, one in between, and others go on.
func TestTracksEndOneByOne(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-file", testdata("test.h264"), "-fps", "60", "-file", cut(t, "test.ivf", 0),
		"-file", cut(t, "test-av1.ivf", 20), "-file", cut(t, "test-vp9.ivf", 50))
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Contains(t, printed, "publisher: 0.ivf (video/VP8) has ended before it was published\n")
	assert.NotContains(t, printed, "0.ivf (video/VP8) is")
	requireReceived(t, printed, 0, "video/H264", 150)
	requireReceived(t, printed, 1, "video/AV1", 20)
	requireReceived(t, printed, 2, "video/VP9", 50)
	var ends []string
	for _, match := range regexp.MustCompile(`publisher: (\S+) .* has ended and is unpublished`).FindAllStringSubmatch(printed, -1) {
		ends = append(ends, match[1])
	}
	assert.Equal(t, []string{"20.ivf", "50.ivf", "test.h264"}, ends)
}

func TestGStreamer(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath(source.Launcher); err != nil {
		t.Skip(err)
	}
	for _, element := range []string{"vp8enc", "rtpvp8pay", "opusenc", "rtpopuspay", "udpsink"} {
		if err := exec.Command("gst-inspect-1.0", "--exists", element).Run(); err != nil {
			t.Skipf("GStreamer has no %s: %v", element, err)
		}
	}
	p := programtest.Start(t, "-gst", "videotestsrc num-buffers=100 ! vp8enc deadline=1 ! rtpvp8pay",
		"-gst", "audiotestsrc num-buffers=50 ! opusenc ! rtpopuspay")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	requireReceived(t, printed, 0, "video/VP8", 100)
	assert.Regexp(t, `room: section 1, audio/opus: \d+ frames`, printed)
	assert.Equal(t, 2, strings.Count(printed, " has ended and is unpublished\n"))
	assert.Contains(t, printed, "goroutines left: 0\n")
}

// A room in another process, with a token. It disconnects its publishers when it ends,
// and that ends them.
func TestDisconnectedByTheRoom(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	other := programtest.Start(t, "-serve", "127.0.0.1:0", "-token", "secret")
	at := other.Until(t, `^the room is (http://127\.0\.0\.1:\d+/whip); an interrupt ends this$`)[1]

	stranger := programtest.Start(t, "-url", at, "-token", "guess")
	assert.Equal(t, 1, stranger.Wait(t))
	assert.Equal(t, "publish: room: POST: 401 Unauthorized: the token is not the one that lets in", stranger.Complaint(t))

	p := programtest.Start(t, "-url", at, "-token", "secret")
	other.Until(t, `^room: section 0, video/VP8: begins$`)
	require.NoError(t, other.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "publish: disconnected by the room: EOF", p.Complaint(t))
	assert.Equal(t, 1, other.Wait(t))
	assert.Equal(t, "publish: interrupted", other.Complaint(t))
	assert.Contains(t, other.Printed(), "room: section 0, video/VP8: ")
}

// A room that is killed says nothing: its silence ends the program.
func TestRoomThatIsKilled(t *testing.T) {
	t.Parallel()
	other := programtest.Start(t, "-serve", "127.0.0.1:0")
	at := other.Until(t, `^the room is (http://127\.0\.0\.1:\d+/whip); an interrupt ends this$`)[1]
	p := programtest.Start(t, "-url", at, "-file", testdata("test.h264"), "-fps", "2")
	other.Until(t, `^room: section 0, video/H264: begins$`)
	require.NoError(t, other.Kill())
	other.Wait(t)
	begin := time.Now()
	assert.Equal(t, 1, p.Wait(t))
	assert.Less(t, time.Since(begin), 2*silence)
	complaint := p.Complaint(t)
	assert.True(t, strings.HasPrefix(complaint, "publish: disconnected by the room: "), complaint)
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there a process cannot be sent an interrupt")
	}
	p := programtest.Start(t)
	p.Until(t, "begins$")
	require.NoError(t, p.Interrupt())
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "publish: interrupted", p.Complaint(t))
}

// The whole in one process, so that it can be looked at.

// lobby is an endpoint on loopback.
type lobby struct {
	*endpoint.Endpoint
	url string

	mu       sync.Mutex
	requests []string
	begins   chan string
}

func newLobby(t *testing.T, options ...endpoint.Option) *lobby {
	t.Helper()
	l := &lobby{begins: make(chan string, 16)}
	l.Endpoint = endpoint.New(loopback(), "", func(text string) {
		if strings.HasSuffix(text, "begins") {
			l.begins <- text
		}
	}, options...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.requests = append(l.requests, r.Method)
		l.mu.Unlock()
		l.ServeHTTP(w, r)
	}))
	l.url = server.URL + endpoint.Path
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), peer.CloseTime)
		defer cancel()
		assert.NoError(t, l.Close(ctx))
		server.Close()
		assert.Zero(t, l.Sessions())
	})

	return l
}

func (l *lobby) methods() []string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return append([]string(nil), l.requests...)
}

func loopback() *webrtc.API { return webrtc.NewAPI(webrtc.WithSettingEngine(peer.OnLoopback())) }

// publisherOf publishes files to an endpoint.
func publisherOf(t *testing.T, at string, files ...string) *publisher.Publisher {
	t.Helper()
	inputs := make([]source.Input, 0, len(files))
	for _, path := range files {
		input, err := source.File(path, 30)
		require.NoError(t, err)
		inputs = append(inputs, input)
	}
	from := source.New(inputs...)
	to, err := room.New(loopback(), at, "", from.Kinds())
	require.NoError(t, err)

	return publisher.New(from, to, func(text string) { t.Log(text) })
}

func requireNothingLeft(t *testing.T, before int) {
	t.Helper()
	t.Cleanup(func() { assert.Zero(t, peer.Leftover(context.Background(), before)) })
}

// Where a session cannot change, its tracks end without a word of signaling.
func TestEndpointWithoutTheExtension(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprint(plain), func(t *testing.T) {
			requireNothingLeft(t, runtime.NumGoroutine())
			wanted := []string{"POST", "PATCH", "PATCH", "DELETE"}
			var options []endpoint.Option
			if plain {
				wanted = []string{"POST", "DELETE"}
				options = append(options, endpoint.Plain())
			}
			l := newLobby(t, options...)
			require.NoError(t, publisherOf(t, l.url, cut(t, "test.ivf", 10), cut(t, "test-vp9.ivf", 30)).Run(t.Context()))
			assert.Equal(t, wanted, l.methods())
			require.NoError(t, l.Close(t.Context()))
			require.Len(t, l.Received(), 2)
		})
	}
}

func TestStopAndDisconnect(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(l *lobby, p *publisher.Publisher)
		err  error
	}{
		{"stop", func(_ *lobby, p *publisher.Publisher) { p.Stop(); p.Stop() }, nil},
		{"disconnect", func(l *lobby, _ *publisher.Publisher) { l.Disconnect(); l.Disconnect() }, publisher.ErrDisconnected},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requireNothingLeft(t, runtime.NumGoroutine())
			l := newLobby(t)
			p := publisherOf(t, l.url, testdata("test.ivf"), testdata("test.ogg"))
			ended := make(chan error, 1)
			go func() { ended <- p.Run(t.Context()) }()
			<-l.begins
			tc.end(l, p)
			err := <-ended
			require.ErrorIs(t, err, tc.err)
			if tc.err != nil {
				require.ErrorIs(t, err, io.EOF)
			}
		})
	}
}

// A source that fails takes the session with it that had been joined meanwhile.
func TestFailedSourceLeavesTheRoom(t *testing.T) {
	requireNothingLeft(t, runtime.NumGoroutine())
	l := newLobby(t)
	err := publisherOf(t, l.url, testdata("test.ivf"), "missing.ivf").Run(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "source: open missing.ivf: ")
	require.NoError(t, l.Close(t.Context()))
	assert.Zero(t, l.Sessions())
}

// Every room that does not let in says why, and nothing is left.
func TestRoomsThatDoNotWork(t *testing.T) {
	silent := make(chan struct{})
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		text   string
	}{
		"refuses": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no room\x1b left\nsecond line", http.StatusServiceUnavailable)
		}, "room: POST: 503 Service Unavailable: no room left"},
		"is another site": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
		}, "room: POST: 200 OK: hello"},
		"has no location": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
		}, "room: POST: the answer has no Location"},
		"has no SDP": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/1")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusCreated)
		}, `room: POST: the answer is of type "text/html", not application/sdp`},
		"has bad SDP": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/1")
			w.Header().Set("Content-Type", "application/sdp")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "v=0\r\n")
		}, "room: the answer: "},
		"says too much": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, strings.Repeat("x", 1<<17))
		}, "room: POST: a response of more than 65536 bytes"},
		"is silent": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-silent:
			}
		}, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			requireNothingLeft(t, runtime.NumGoroutine())
			var mu sync.Mutex
			deleted := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					mu.Lock()
					deleted++
					mu.Unlock()

					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				tc.answer(w, r)
			}))
			defer server.Close()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if name == "is silent" {
				ended := time.AfterFunc(200*time.Millisecond, func() { cancel(errors.New("enough")) })
				defer ended.Stop()
			}
			err := publisherOf(t, server.URL, testdata("test.ivf")).Run(ctx)
			require.ErrorContains(t, err, tc.text)
			assert.NotContains(t, err.Error(), "\n")
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(name, "SDP") {
				assert.Equal(t, 1, deleted, "a session that was made is ended")
			} else {
				assert.Zero(t, deleted)
			}
		})
	}
	close(silent)
}

// A room on this machine may have its media on loopback, as those of this example do,
// or on the machine's other addresses alone: a publisher gathers on both. One that has
// no room yet keeps to loopback, and one of another machine's never has it.
func TestRoomOnThisMachine(t *testing.T) {
	for room, want := range map[string]struct{ loopback, others bool }{
		"":                              {true, false},
		"http://127.0.0.1:8080/whip":    {true, true},
		"http://[::1]:8080/whip":        {true, true},
		"http://localhost:8080/whip":    {true, true},
		"https://192.0.2.1/whip":        {false, true},
		"https://room.example.com/whip": {false, true},
	} {
		ice := settingsFor(room).ICE
		assert.Equal(t, want.loopback, ice.IncludeLoopback, room)
		assert.Equal(t, want.others, ice.InterfaceFilter == nil && ice.NetworkTypes == nil, room)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: publish [-file FILE]... [-gst PIPELINE]... [-fps N] [-url URL] [-token TOKEN]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"more"}, 2, `unexpected argument "more"`},
		{[]string{"-file", "a.txt"}, 2, "-file: a.txt: the name does not end in .ivf"},
		{[]string{"-file", "a.h264", "-fps", "0"}, 2, "-file: 0 pictures a second"},
		{[]string{"-gst", "videotestsrc"}, 2, "-gst: the pipeline ends in videotestsrc"},
		{[]string{"-url", "localhost:8080"}, 2, `-url: "localhost:8080" is not an http or https URL`},
		{[]string{"-serve", ":0", "-url", "http://localhost"}, 2, "-serve publishes nothing"},
		{[]string{"-file", "missing.ivf"}, 1, "source: open missing.ivf: "},
		{[]string{"-serve", "nowhere"}, 1, "missing port in address"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "publish: "), p.Complaint(t))
		}
	}
}

// The code of the README is that of the program.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := func(text []byte, begin, end string) (blocks [][]string) {
		for _, after := range strings.Split(string(text), begin)[1:] {
			code, _, found := strings.Cut(after, end)
			require.True(t, found, end)
			var lines []string
			for line := range strings.Lines(strings.TrimSpace(code)) {
				lines = append(lines, strings.TrimSpace(line))
			}
			blocks = append(blocks, lines)
		}

		return blocks
	}
	var code [][]string
	for _, path := range []string{"publish.go", "publisher/publisher.go"} {
		program, err := os.ReadFile(path)
		require.NoError(t, err)
		code = append(code, blocks(program, "// README: begin\n", "// README: end\n")...)
	}
	require.Len(t, code, 2)
	require.ElementsMatch(t, code, blocks(readme, "```go\n", "```\n"))
}
