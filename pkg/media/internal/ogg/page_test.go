package ogg

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// Pages that ffmpeg made are read, and come out the same when they are written.
func TestPagesOfFFmpeg(t *testing.T) {
	raw, err := os.ReadFile("../../../../testdata/media/test.ogg")
	require.NoError(t, err)
	stream, written, count := bytes.NewReader(raw), []byte{}, 0
	for {
		page, size, err := Read(stream, true)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		encoded := page.Encode()
		require.EqualValues(t, len(encoded), size)
		written = append(written, encoded...)
		count++
	}
	assert.Equal(t, raw, written)
	assert.Equal(t, 253, count)
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ size, pages int }{
		{0, 1},
		{1, 1},
		{254, 1},
		{255, 1},
		{256, 1},
		{255*255 - 1, 1},
		{255 * 255, 2},
		{255*255 + 1, 2},
		{2 * 255 * 255, 3},
	} {
		packet := bytes.Repeat([]byte{7}, c.size)
		pages := Split(packet, Begin, 42, 1, 5)
		require.Len(t, pages, c.pages, "%d bytes", c.size)
		var joined []byte
		for i, page := range pages {
			read, _, err := Read(bytes.NewReader(page.Encode()), true)
			require.NoError(t, err)
			joined = append(joined, read.Payload...)
			assert.EqualValues(t, 5+i, read.Index)
			last := i == len(pages)-1
			assert.Equal(t, last, read.Granule == 42, "page %d of %d bytes", i, c.size)
			assert.Equal(t, last, read.Granule != NoGranule)
			assert.Equal(t, i == 0, read.Flags == Begin)
			assert.Equal(t, i > 0, read.Flags == Continued)
			assert.Equal(t, last, read.Segments[len(read.Segments)-1] < 255, "a short segment ends the packet")
		}
		assert.Equal(t, c.size, len(joined))
	}
}

func TestBadPagesAreRefused(t *testing.T) {
	good := Split([]byte("payload"), 0, 1, 2, 3)[0].Encode()
	for n := range len(good) {
		_, _, err := Read(bytes.NewReader(good[:n]), true)
		if n == 0 {
			assert.Equal(t, io.EOF, err)
		} else {
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
		}
		bad := bytes.Clone(good)
		bad[n] ^= 0x10
		_, _, err = Read(bytes.NewReader(bad), true)
		assert.Error(t, err, "byte %d", n)
	}
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	_, _, err := Read(bytes.NewReader(bad), true)
	assert.ErrorIs(t, err, media.ErrMalformed)
	_, _, err = Read(bytes.NewReader(bad), false)
	assert.NoError(t, err, "not asked to verify")
}
