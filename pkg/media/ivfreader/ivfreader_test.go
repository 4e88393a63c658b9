package ivfreader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

const testFiles = "../../../testdata/media/"

// small is a file of two frames.
func small() []byte {
	raw := append([]byte("DKIF"), 0, 0, 32, 0)
	raw = append(raw, "VP80"...)
	raw = append(raw, 64, 1, 240, 0, 30, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
	for i, frame := range []string{"one", "three"} {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(frame)))
		raw = binary.LittleEndian.AppendUint64(raw, uint64(i+1))
		raw = append(raw, frame...)
	}

	return raw
}

func TestReadsWhatIsThere(t *testing.T) {
	reader, header, err := NewWith(iotest.OneByteReader(bytes.NewReader(small())))
	require.NoError(t, err)
	assert.Equal(t, &IVFFileHeader{
		FourCC: "VP80", Width: 320, Height: 240, TimebaseDenominator: 30, TimebaseNumerator: 1, NumFrames: 2,
	}, header)
	frame, frameHeader, err := reader.ParseNextFrame()
	require.NoError(t, err)
	assert.Equal(t, "one", string(frame))
	assert.Equal(t, &IVFFrameHeader{FrameSize: 3, Timestamp: 30, PTS: 1}, frameHeader)
	frame, frameHeader, err = reader.ParseNextFrame()
	require.NoError(t, err)
	assert.Equal(t, "three", string(frame))
	assert.Equal(t, &IVFFrameHeader{FrameSize: 5, Timestamp: 60, PTS: 2}, frameHeader)
	for range 2 {
		_, _, err = reader.ParseNextFrame()
		assert.Equal(t, io.EOF, err)
	}
}

func TestReadsFFmpegsFiles(t *testing.T) {
	for name, fourCC := range map[string]string{"test.ivf": "VP80", "test-vp9.ivf": "VP90", "test-av1.ivf": "AV01"} {
		raw, err := os.ReadFile(testFiles + name)
		require.NoError(t, err)
		reader, header, err := NewWith(bytes.NewReader(raw))
		require.NoError(t, err)
		assert.Equal(t, fourCC, header.FourCC)
		assert.EqualValues(t, 320, header.Width)
		for i := range uint64(150) {
			_, frame, err := reader.ParseNextFrame()
			require.NoError(t, err, "%s, frame %d", name, i)
			assert.Equal(t, i, frame.PTS)
		}
		_, _, err = reader.ParseNextFrame()
		assert.Equal(t, io.EOF, err)
	}
}

// A file that is cut off anywhere says so, and goes on where the last whole
// frame ended when the rest has come.
func TestAFileThatGrows(t *testing.T) {
	whole := small()
	for cut := range len(whole) {
		reader, _, err := NewWith(bytes.NewReader(whole[:cut]))
		if cut < 32 {
			if cut == 0 {
				assert.Equal(t, io.EOF, err)
			} else {
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", cut)
			}

			continue
		}
		require.NoError(t, err)
		var frames []string
		for {
			frame, _, err := reader.ParseNextFrame()
			if err == nil {
				frames = append(frames, string(frame))

				continue
			}
			if cut == 32 || cut == 47 {
				assert.Equal(t, io.EOF, err, "%d bytes", cut)
			} else {
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", cut)
				assert.ErrorContains(t, err, "frame ")
			}

			break
		}
		reader.ResetReader(func(read int64) io.Reader { return bytes.NewReader(whole[read:]) })
		for {
			frame, _, err := reader.ParseNextFrame()
			if err != nil {
				assert.Equal(t, io.EOF, err)

				break
			}
			frames = append(frames, string(frame))
		}
		assert.Equal(t, []string{"one", "three"}, frames, "%d bytes", cut)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	change := func(at int, values ...byte) []byte {
		raw := small()
		copy(raw[at:], values)

		return raw
	}
	for what, raw := range map[string][]byte{
		"signature":           change(0, 'X'),
		"version":             change(4, 1),
		"short header":        change(6, 31),
		"timebase of nothing": change(20, 0),
		"timebase over zero":  change(16, 0),
	} {
		_, _, err := NewWith(bytes.NewReader(raw))
		assert.ErrorIs(t, err, media.ErrMalformed, what)
	}
	_, _, err := NewWith(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, _, err = NewWith(bytes.NewReader(change(6, 0xff, 0xff)))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "header longer than the file")
	broken := errors.New("broken")
	_, _, err = NewWith(iotest.ErrReader(broken))
	assert.ErrorIs(t, err, broken)

	for what, c := range map[string]struct {
		raw []byte
		is  error
	}{
		"4 GB":       {change(32, 0xff, 0xff, 0xff, 0xff), media.ErrTooLarge},
		"60 MB":      {change(32, 0, 0, 0xa0, 3), io.ErrUnexpectedEOF},
		"time stamp": {change(36, 255, 255, 255, 255, 255, 255, 255, 255), media.ErrMalformed},
	} {
		reader, _, err := NewWith(bytes.NewReader(c.raw))
		require.NoError(t, err, what)
		_, _, err = reader.ParseNextFrame()
		assert.ErrorIs(t, err, c.is, what)
		assert.ErrorContains(t, err, "frame 0 at byte 32", what)
	}
}

func TestALongerHeaderIsPassedOver(t *testing.T) {
	raw := small()
	raw[6] = 36
	raw = append(raw[:32:32], append([]byte("more"), raw[32:]...)...)
	reader, _, err := NewWith(bytes.NewReader(raw))
	require.NoError(t, err)
	frame, _, err := reader.ParseNextFrame()
	require.NoError(t, err)
	assert.Equal(t, "one", string(frame))
}

func TestNilAndZeroReaders(t *testing.T) {
	for _, reader := range []*IVFReader{nil, {}} {
		_, _, err := reader.ParseNextFrame()
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
		reader.ResetReader(nil)
		reader.ResetReader(func(int64) io.Reader { return nil })
	}
}

func FuzzIVFReader(f *testing.F) {
	f.Add(small())
	f.Add(small()[:40])
	f.Fuzz(func(t *testing.T, raw []byte) {
		reader, _, err := NewWith(bytes.NewReader(raw))
		if err != nil {
			return
		}
		total := 32
		for {
			frame, header, err := reader.ParseNextFrame()
			if err != nil {
				return
			}
			if len(frame) != int(header.FrameSize) {
				t.Fatalf("frame of %d bytes says %d", len(frame), header.FrameSize)
			}
			if total += 12 + len(frame); total > len(raw) {
				t.Fatalf("%d bytes of %d", total, len(raw))
			}
		}
	})
}
