package ivfwriter

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

// kinds are the files that ffmpeg made, with what sends them.
var kinds = []struct {
	name, mimeType string
	payloader      func() rtp.Payloader
}{
	{"test.ivf", "video/VP8", func() rtp.Payloader { return &codecs.VP8Payloader{EnablePictureID: true} }},
	{"test-vp9.ivf", "video/VP9", func() rtp.Payloader {
		return &codecs.VP9Payloader{InitialPictureIDFn: func() uint16 { return 7 }}
	}},
	{"test-av1.ivf", "video/AV1", func() rtp.Payloader { return &codecs.AV1Payloader{} }},
}

type frame struct {
	pts  uint64
	data []byte
}

func framesOf(t *testing.T, raw []byte) (*ivfreader.IVFFileHeader, []frame) {
	t.Helper()
	reader, header, err := ivfreader.NewWith(bytes.NewReader(raw))
	require.NoError(t, err)
	var frames []frame
	for {
		data, header, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		frames = append(frames, frame{header.PTS, data})
	}

	return header, frames
}

func load(t *testing.T, name string) [][]byte {
	t.Helper()
	raw, err := os.ReadFile("../../../testdata/media/" + name)
	require.NoError(t, err)
	_, frames := framesOf(t, raw)
	var samples [][]byte
	for _, frame := range frames {
		samples = append(samples, frame.data)
	}

	return samples
}

// What ffmpeg encoded comes out of the packets as it was, and plays.
func TestWrittenFilesAreReadBack(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.mimeType, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "out.ivf")
			writer, err := New(name, WithCodec(kind.mimeType), WithWidthAndHeight(320, 240))
			require.NoError(t, err)
			samples := load(t, kind.name)
			for _, packet := range mediatest.Packets(kind.payloader(), 3000, samples...) {
				payload := bytes.Clone(packet.Payload)
				require.NoError(t, writer.WriteRTP(packet))
				require.Equal(t, payload, packet.Payload)
				clear(packet.Payload) // the writer must have no use for it any more
			}
			require.NoError(t, writer.Close())

			raw, err := os.ReadFile(name)
			require.NoError(t, err)
			header, frames := framesOf(t, raw)
			assert.EqualValues(t, len(samples), header.NumFrames)
			assert.EqualValues(t, 320, header.Width)
			assert.EqualValues(t, 240, header.Height)
			require.Len(t, frames, len(samples))
			for i, frame := range frames {
				require.EqualValues(t, i, frame.pts)
				require.True(t, bytes.Equal(samples[i], frame.data), "frame %d", i)
			}

			streams, err := mediatest.Probe(t.Context(), name)
			if errors.Is(err, exec.ErrNotFound) {
				t.Skip("no ffprobe to read the file with")
			}
			require.NoError(t, err)
			require.Len(t, streams, 1)
			assert.Equal(t, "150", streams[0].Frames)
		})
	}
}

// A frame of which any packet is missing is left out whole, and no other one.
func TestFramesWithALossAreLeftOut(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.mimeType, func(t *testing.T) {
			samples := load(t, kind.name)[:12]
			packets := mediatest.Packets(kind.payloader(), 3000, samples...)
			for lost := range packets {
				out := &bytes.Buffer{}
				writer, err := NewWith(out, WithCodec(kind.mimeType))
				require.NoError(t, err)
				for i, packet := range packets {
					if i != lost {
						require.NoError(t, writer.WriteRTP(packet))
					}
				}
				require.NoError(t, writer.Close())
				_, frames := framesOf(t, out.Bytes())
				for _, frame := range frames {
					require.True(t, slices.ContainsFunc(samples, func(sample []byte) bool {
						return bytes.Equal(sample, frame.data)
					}), "a frame that was not sent, without packet %d", lost)
				}
				key := packets[lost].Timestamp == packets[0].Timestamp
				if !key {
					// AV1 does not tell where a frame begins, so that a second one can be lost.
					require.GreaterOrEqual(t, len(frames), len(samples)-2, "without packet %d", lost)
				}
			}
		})
	}
}

func key(n uint16, timestamp uint32) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{SequenceNumber: n, Timestamp: timestamp, Marker: true},
		Payload: []byte{0x10, 0x00, byte(n)},
	}
}

func ptsOf(t *testing.T, packets []*rtp.Packet, options ...Option) []uint64 {
	t.Helper()
	out := &bytes.Buffer{}
	writer, err := NewWith(out, options...)
	require.NoError(t, err)
	for _, packet := range packets {
		require.NoError(t, writer.WriteRTP(packet))
	}
	require.NoError(t, writer.Close())
	var pts []uint64
	_, frames := framesOf(t, out.Bytes())
	for _, frame := range frames {
		pts = append(pts, frame.pts)
	}

	return pts
}

func TestTimeStamps(t *testing.T) {
	// A second, and then over the wrap of the clock again and again, 40 hours.
	packets := []*rtp.Packet{key(1, 1<<32-90_000), key(2, 0)}
	const step = 1 << 30
	for i := range uint32(12) {
		packets = append(packets, key(uint16(3+i), (i+1)*step))
	}
	want := []uint64{0, 90_000}
	for i := range uint64(12) {
		want = append(want, 90_000+(i+1)*step)
	}
	assert.Equal(t, want, ptsOf(t, packets, WithFrameRate(1, 90_000), WithDirectPTS()))
	assert.Equal(t, want, ptsOf(t, packets, WithFrameRate(1, 90_000)))
	assert.Equal(t, []uint64{0, 30}, ptsOf(t, packets[:2]))
	assert.Equal(t, []uint64{0, 1000}, ptsOf(t, packets[:2], WithFrameRate(1, 1000)))
	assert.Equal(t, []uint64{0, 30}, ptsOf(t, packets[:2], WithFrameRate(1001, 30_000)), "29.97")
}

func TestOvertakenPacketsAreLeftOut(t *testing.T) {
	assert.Equal(t, []uint64{0, 2, 3}, ptsOf(t, []*rtp.Packet{key(1, 0), key(3, 6000), key(2, 3000), key(4, 9000)}))
	// A source that begins anew goes on at once.
	assert.Equal(t, []uint64{0, 0, 1}, ptsOf(t, []*rtp.Packet{key(9, 1<<30), key(1, 5), key(2, 3005)}))
}

func TestAFrameWithoutItsMarkIsWhole(t *testing.T) {
	first, second := key(1, 0), key(2, 3000)
	first.Marker = false
	assert.Equal(t, []uint64{0, 1}, ptsOf(t, []*rtp.Packet{first, second}))
	second.SequenceNumber = 3
	assert.Equal(t, []uint64{0}, ptsOf(t, []*rtp.Packet{first, second}), "more can be missing than the mark")
}

func TestNothingBeforeAKeyFrame(t *testing.T) {
	delta := key(1, 0)
	delta.Payload = []byte{0x10, 0x01, 1}
	assert.Equal(t, []uint64{0}, ptsOf(t, []*rtp.Packet{delta, key(2, 3000)}))
	assert.Empty(t, ptsOf(t, []*rtp.Packet{{}, {Payload: []byte{0x10}}}), "no data is no frame")
}

func TestHeaderIsCompletedWhereThatIsPossible(t *testing.T) {
	out := &mediatest.Buffer{}
	_, _ = out.Write([]byte("in front"))
	writer, err := NewWith(out)
	require.NoError(t, err)
	require.NoError(t, writer.WriteRTP(key(1, 0)))
	require.NoError(t, writer.Close())
	require.NoError(t, writer.Close())
	assert.Equal(t, 1, out.Closed)
	header, frames := framesOf(t, out.Data[len("in front"):])
	assert.EqualValues(t, 1, header.NumFrames)
	assert.Len(t, frames, 1)
	assert.EqualValues(t, 640, header.Width)
	assert.EqualValues(t, 480, header.Height)

	reader, pipe, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	writer, err = NewWith(pipe)
	require.NoError(t, err)
	require.NoError(t, writer.WriteRTP(key(1, 0)))
	require.NoError(t, writer.Close(), "a pipe cannot seek")
	raw, err := io.ReadAll(reader)
	require.NoError(t, err)
	header, _ = framesOf(t, raw)
	assert.Zero(t, header.NumFrames)
}

func TestBadArguments(t *testing.T) {
	for what, option := range map[string]Option{
		"nil":            nil,
		"codec":          WithCodec("video/H264"),
		"no numerator":   WithFrameRate(0, 30),
		"no denominator": WithFrameRate(1, 0),
	} {
		_, err := NewWith(&bytes.Buffer{}, option)
		assert.ErrorIs(t, err, media.ErrInvalidArgument, what)
		name := filepath.Join(t.TempDir(), "out.ivf")
		_, err = New(name, option)
		assert.ErrorIs(t, err, media.ErrInvalidArgument, what)
		assert.NoFileExists(t, name)
	}
	_, err := NewWith(&bytes.Buffer{}, WithCodec("video/vp8"), WithCodec("video/VP9"))
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = NewWith(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = New(filepath.Join(t.TempDir(), "none", "out.ivf"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	for _, writer := range []*IVFWriter{nil, {}} {
		assert.ErrorIs(t, writer.WriteRTP(key(1, 0)), media.ErrInvalidArgument)
		assert.NoError(t, writer.Close())
	}
	writer, err := NewWith(&bytes.Buffer{})
	require.NoError(t, err)
	assert.ErrorIs(t, writer.WriteRTP(nil), media.ErrInvalidArgument)
	require.NoError(t, writer.Close())
	assert.ErrorIs(t, writer.WriteRTP(key(1, 0)), media.ErrClosed)
	assert.ErrorIs(t, writer.WriteRTP(key(1, 0)), os.ErrClosed)
}

func TestErrorsOfTheOutput(t *testing.T) {
	broken := errors.New("broken")
	_, err := NewWith(&mediatest.Broken{After: 10, Err: broken})
	assert.ErrorIs(t, err, broken)
	writer, err := NewWith(&mediatest.Broken{After: 40, Err: broken})
	require.NoError(t, err)
	assert.ErrorIs(t, writer.WriteRTP(key(1, 0)), broken)
}

// A peer that never ends a frame cannot make it grow without bounds.
func TestTheLimitOfAFrameHolds(t *testing.T) {
	writer, err := NewWith(io.Discard)
	require.NoError(t, err)
	packet := key(0, 0)
	packet.Marker = false
	packet.Payload = append(packet.Payload, make([]byte, 60_000)...)
	for range ivfreader.MaxFrameSize/60_000 + 1 {
		if err = writer.WriteRTP(packet); err != nil {
			break
		}
		packet.SequenceNumber++
	}
	assert.ErrorIs(t, err, media.ErrTooLarge)
}

func FuzzIVFWriter(f *testing.F) {
	f.Add(uint8(0), []byte{0x10, 0, 1, 0xff, 0x10})
	f.Add(uint8(1), []byte{0x08, 0x0a, 0x0b, 3, 0x80, 2, 3})
	f.Add(uint8(2), []byte{0x50, 0x0a, 0x0b, 0, 4, 0x90, 7, 7, 7})
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		out := &bytes.Buffer{}
		writer, err := NewWith(out, WithCodec(kinds[int(kind)%len(kinds)].mimeType))
		require.NoError(t, err)
		// Each packet begins with a byte of its length, of marks, and of its time.
		for n := uint16(0); len(raw) > 2; n++ {
			packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: n + uint16(raw[1]&2)}}
			packet.Marker, packet.Timestamp = raw[1]&1 != 0, uint32(raw[1]>>2)*1000
			size := min(int(raw[0]), len(raw)-2)
			packet.Payload, raw = raw[2:2+size:2+size], raw[2+size:]
			if err := writer.WriteRTP(packet); err != nil && !errors.Is(err, media.ErrMalformed) {
				t.Fatal(err)
			}
		}
		require.NoError(t, writer.Close())
		framesOf(t, out.Bytes())
	})
}
