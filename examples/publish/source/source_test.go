package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/pkg/media"
)

func testdata(name string) string { return filepath.Join("..", "..", "..", "testdata", "media", name) }

// Each file has its codec, all its samples, and the time that they last.
func TestFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		mime    string
		kind    webrtc.RTPCodecType
		samples int
		lasts   time.Duration
	}{
		"test.ivf":     {webrtc.MimeTypeVP8, webrtc.RTPCodecTypeVideo, 150, 5 * time.Second},
		"test-vp9.ivf": {webrtc.MimeTypeVP9, webrtc.RTPCodecTypeVideo, 150, 5 * time.Second},
		"test-av1.ivf": {webrtc.MimeTypeAV1, webrtc.RTPCodecTypeVideo, 150, 5 * time.Second},
		"test.h264":    {webrtc.MimeTypeH264, webrtc.RTPCodecTypeVideo, 150, 5 * time.Second},
		"test.ogg":     {webrtc.MimeTypeOpus, webrtc.RTPCodecTypeAudio, 251, 5020 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			input, err := File(testdata(name), 30)
			require.NoError(t, err)
			assert.Equal(t, tc.kind, input.Kind())
			s := New(input)
			assert.Equal(t, []webrtc.RTPCodecType{tc.kind}, s.Kinds())
			tracks, err := s.Start(t.Context())
			require.NoError(t, err)
			defer s.Close()
			require.Len(t, tracks, 1)
			assert.Equal(t, tc.kind, tracks[0].Local().Kind())
			assert.Equal(t, name+" ("+tc.mime+")", tracks[0].Name())

			content, err := os.ReadFile(testdata(name))
			require.NoError(t, err)
			f, ok := formatOf(name)
			require.True(t, ok)
			samples, codec, err := f.read(bytes.NewReader(content), 30)
			require.NoError(t, err)
			assert.Equal(t, tc.mime, codec.MimeType)
			n, lasts := 0, time.Duration(0)
			for {
				sample, err := samples.next()
				if err == io.EOF { //nolint:errorlint // as it is
					break
				}
				require.NoError(t, err)
				require.NotEmpty(t, sample.Data)
				n++
				lasts += sample.Duration
			}
			assert.Equal(t, tc.samples, n)
			assert.InDelta(t, tc.lasts.Seconds(), lasts.Seconds(), 0.001)
		})
	}
}

// open opens content as a file of that name.
func open(t *testing.T, name string, content []byte) (*fileTrack, error) {
	t.Helper()
	input, err := File(name, 30)
	require.NoError(t, err)

	return newFileTrack(input.(*file), io.NopCloser(bytes.NewReader(content)))
}

// frames is a VP8 file of frames at these times, in thirtieths of a second.
func frames(times ...uint64) []byte {
	header := append([]byte("DKIF\x00\x00\x20\x00VP80"), make([]byte, 20)...)
	binary.LittleEndian.PutUint32(header[16:], 30)
	binary.LittleEndian.PutUint32(header[20:], 1)
	for _, at := range times {
		header = binary.LittleEndian.AppendUint32(header, 1)
		header = binary.LittleEndian.AppendUint64(header, at)
		header = append(header, byte(at))
	}

	return header
}

// Samples go out in their time, however long writing takes; the track ends when the
// time of the last one is over.
func TestPlayKeepsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		track, err := open(t, "a.ivf", frames(0, 3, 6, 30, 33))
		require.NoError(t, err)
		begin := time.Now()
		var at []time.Duration
		track.write = func(context.Context, media.Sample) error {
			at = append(at, time.Since(begin).Round(time.Millisecond))
			time.Sleep(50 * time.Millisecond)

			return nil
		}
		require.NoError(t, track.Play(t.Context()))
		const tick = 100 * time.Millisecond
		assert.Equal(t, []time.Duration{0, tick, 2 * tick, 10 * tick, 11 * tick}, at)
		assert.Equal(t, 12*tick, time.Since(begin).Round(time.Millisecond))
		<-track.Ended()
	})
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		track, err := open(t, "a.ivf", frames(0, 300))
		require.NoError(t, err)
		track.write = func(context.Context, media.Sample) error { return nil }
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		require.ErrorIs(t, track.Play(ctx), reason)
	})
}

// A file without a sample has ended before it is played.
func TestEmptyFilesEndEarly(t *testing.T) {
	ogg, err := os.ReadFile(testdata("test.ogg"))
	require.NoError(t, err)
	second := bytes.Index(ogg[4:], []byte("OggS")) + 4
	third := bytes.Index(ogg[second+4:], []byte("OggS")) + second + 4
	for name, content := range map[string][]byte{"a.ivf": frames(), "a.ogg": ogg[:third]} {
		track, err := open(t, name, content)
		require.NoError(t, err, name)
		select {
		case <-track.Ended():
		default:
			t.Errorf("%s has not ended", name)
		}
		require.NoError(t, track.Play(t.Context()))
	}
}

func TestBadFiles(t *testing.T) {
	vp8, err := os.ReadFile(testdata("test.ivf"))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		name    string
		content []byte
		text    string
	}{
		"empty ivf":        {"a.ivf", nil, "nothing is in it"},
		"empty ogg":        {"a.ogg", nil, "nothing is in it"},
		"not ivf":          {"a.ivf", bytes.Repeat([]byte("x"), 64), "ivf: "},
		"not ogg":          {"a.opus", bytes.Repeat([]byte("x"), 64), "ogg: "},
		"not h264":         {"a.h264", bytes.Repeat([]byte("x"), 64), "h264: "},
		"cut off":          {"a.ivf", vp8[:100], "unexpected EOF"},
		"of another codec": {"a.ivf", bytes.Replace(vp8, []byte("VP80"), []byte("XVID"), 1), `"XVID" is not VP8, VP9 or AV1`},
		"back in time":     {"a.ivf", frames(5, 1), "the frame after that at 5 is at 1"},
		"far ahead":        {"a.ivf", frames(0, 1<<30), "the frame after that at 0 is at"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, tc.name, tc.content)
			require.ErrorContains(t, err, tc.text)
		})
	}
	_, err = File("a.txt", 30)
	require.ErrorContains(t, err, "does not end in .ivf")
	for _, fps := range []float64{0, -1, 1001} {
		_, err = File("a.h264", fps)
		require.ErrorContains(t, err, "not from 1 to 1000")
	}
	missing, err := File(filepath.Join(t.TempDir(), "a.ivf"), 30)
	require.NoError(t, err)
	_, err = New(missing).Start(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What was opened before a failure is closed.
func TestSourceIsClosedAfterAFailure(t *testing.T) {
	good, err := File(testdata("test.ivf"), 30)
	require.NoError(t, err)
	missing, err := File("missing.ivf", 30)
	require.NoError(t, err)
	s := New(good, missing)
	_, err = s.Start(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	opened := s.tracks[0].(*fileTrack)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, opened.close(), os.ErrClosed)
	_, err = New(good).Start(cancelled(t))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Start(t.Context())
	require.ErrorIs(t, err, errClosed)
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	return ctx
}

func TestOpusDuration(t *testing.T) {
	for _, tc := range []struct {
		packet []byte
		lasts  time.Duration
		fails  string
	}{
		{[]byte{0 << 3}, 10 * time.Millisecond, ""},
		{[]byte{11 << 3}, 60 * time.Millisecond, ""},
		{[]byte{13 << 3}, 20 * time.Millisecond, ""},
		{[]byte{16 << 3}, 2500 * time.Microsecond, ""},
		{[]byte{31<<3 | 1}, 40 * time.Millisecond, ""},
		{[]byte{31<<3 | 3, 6}, 120 * time.Millisecond, ""},
		{[]byte{31<<3 | 3, 7}, 0, "7 frames of 20ms"},
		{[]byte{31<<3 | 3, 0}, 0, "0 frames"},
		{[]byte{31<<3 | 3}, 0, "no number"},
		{nil, 0, "no bytes"},
	} {
		lasts, err := opusDuration(tc.packet)
		assert.Equal(t, tc.lasts, lasts, "%v", tc.packet)
		if tc.fails == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tc.fails)
			require.ErrorIs(t, err, media.ErrMalformed)
		}
	}
}

func TestPipelines(t *testing.T) {
	for text, kind := range map[string]webrtc.RTPCodecType{
		"videotestsrc ! vp8enc ! rtpvp8pay":             webrtc.RTPCodecTypeVideo,
		"audiotestsrc ! opusenc ! rtpopuspay pt=111":    webrtc.RTPCodecTypeAudio,
		"a ! video/x-raw,format=I420 ! b !rtph264pay  ": webrtc.RTPCodecTypeVideo,
	} {
		input, err := Pipeline(text)
		require.NoError(t, err)
		assert.Equal(t, kind, input.Kind())
	}
	for text, reason := range map[string]string{
		"":                      "no pipeline",
		"!":                     "no pipeline",
		"videotestsrc ! vp8enc": "ends in vp8enc",
	} {
		_, err := Pipeline(text)
		require.ErrorContains(t, err, reason, text)
	}
}

const testPipeline = "videotestsrc num-buffers=10 ! vp8enc deadline=1 ! rtpvp8pay"

// launcher puts a script in the place of GStreamer.
func launcher(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the launcher is a script")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, Launcher), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	t.Setenv("PATH", dir+":/bin:/usr/bin")
}

func start(t *testing.T, ctx context.Context) (*Source, *pipelineTrack, error) {
	t.Helper()
	input, err := Pipeline(testPipeline)
	require.NoError(t, err)
	s := New(input)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	tracks, err := s.Start(ctx)
	if err != nil {
		return s, nil, err
	}

	return s, tracks[0].(*pipelineTrack), nil
}

func TestPipelineThatCannotStart(t *testing.T) {
	t.Run("missing", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, _, err := start(t, t.Context())
		require.ErrorIs(t, err, exec.ErrNotFound)
		require.ErrorContains(t, err, Launcher)
	})
	t.Run("broken", func(t *testing.T) {
		launcher(t, "echo first >&2; echo no such camera >&2; exit 3")
		_, _, err := start(t, t.Context())
		require.EqualError(t, err, Launcher+": exit status 3: no such camera")
	})
	t.Run("cancelled", func(t *testing.T) {
		launcher(t, "exec sleep 60")
		reason := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, reason)
		defer cancel()
		_, _, err := start(t, ctx)
		require.ErrorIs(t, err, reason)
	})
	t.Run("ends without a packet", func(t *testing.T) {
		launcher(t, "exit 0")
		_, track, err := start(t, t.Context())
		require.NoError(t, err)
		<-track.Ended()
		require.NoError(t, track.Play(t.Context()))
	})
}

func packet(t *testing.T, number uint16) []byte {
	t.Helper()
	raw, err := (&rtp.Packet{
		Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: number, SSRC: 1}, Payload: []byte{1},
	}).Marshal()
	require.NoError(t, err)

	return raw
}

// All that has come before the end is passed on, in order, and nothing else.
func TestPortPassesOnAllPackets(t *testing.T) {
	p, err := listen(t.Context())
	require.NoError(t, err)
	defer p.close()
	p.begin()
	const n = 100
	for i := range n {
		_, err = p.conn.WriteTo(packet(t, uint16(i)), p.conn.LocalAddr())
		require.NoError(t, err)
	}
	_, err = p.conn.WriteTo([]byte("no packet"), p.conn.LocalAddr())
	require.NoError(t, err)
	p.finish()
	<-p.over
	assert.False(t, p.empty())
	assert.EqualValues(t, 1, p.dropped.Load())
	var numbers []uint16
	require.NoError(t, p.forward(t.Context(), func(_ context.Context, packet *rtp.Packet) error {
		numbers = append(numbers, packet.SequenceNumber)

		return nil
	}))
	require.Len(t, numbers, n)
	for i, number := range numbers {
		assert.EqualValues(t, i, number)
	}
}

// What waits has a bound, and the first packets are kept.
func TestPortIsBounded(t *testing.T) {
	p, err := listen(t.Context())
	require.NoError(t, err)
	defer p.close()
	p.waiting = make(chan *rtp.Packet, 2)
	p.begin()
	for i := range 5 {
		_, err = p.conn.WriteTo(packet(t, uint16(i)), p.conn.LocalAddr())
		require.NoError(t, err)
	}
	p.finish()
	<-p.over
	assert.EqualValues(t, 3, p.dropped.Load())
	assert.EqualValues(t, 0, (<-p.waiting).SequenceNumber)
	assert.EqualValues(t, 1, (<-p.waiting).SequenceNumber)
}

func TestPortEndsWithContextAndClose(t *testing.T) {
	p, err := listen(t.Context())
	require.NoError(t, err)
	p.begin()
	require.ErrorIs(t, p.forward(cancelled(t), nil), context.Canceled)
	require.NoError(t, p.close())
	require.NoError(t, p.forward(t.Context(), nil), "nothing comes any more")
}

// GStreamer's own, where it is.
func needsGStreamer(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(Launcher); err != nil {
		t.Skip(err)
	}
	for _, element := range []string{"vp8enc", "rtpvp8pay", "udpsink"} {
		if err := exec.Command("gst-inspect-1.0", "--exists", element).Run(); err != nil {
			t.Skipf("GStreamer has no %s: %v", element, err)
		}
	}
}

func TestPipelinePlaysToItsEnd(t *testing.T) {
	needsGStreamer(t)
	_, track, err := start(t, t.Context())
	require.NoError(t, err)
	times := map[uint32]bool{}
	track.write = func(_ context.Context, packet *rtp.Packet) error {
		times[packet.Timestamp] = true

		return nil
	}
	require.NoError(t, track.Play(t.Context()))
	<-track.Ended()
	assert.Len(t, times, 10)
}

func TestPipelineEndsWithItsSource(t *testing.T) {
	needsGStreamer(t)
	input, err := Pipeline("videotestsrc ! vp8enc deadline=1 ! rtpvp8pay")
	require.NoError(t, err)
	s := New(input)
	tracks, err := s.Start(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	track := tracks[0].(*pipelineTrack)
	assert.NotNil(t, track.cmd.ProcessState)
	track.write = func(context.Context, *rtp.Packet) error { return nil }
	require.Error(t, track.Play(t.Context()))
}
