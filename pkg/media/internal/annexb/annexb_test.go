package annexb

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// all units of a stream until its end.
func all(stream io.Reader) (units [][]byte, offsets []int64, err error) {
	scanner := New(stream)
	for {
		unit, offset, err := scanner.Next()
		if err != nil {
			_, _, again := scanner.Next()
			if !errors.Is(again, err) {
				return units, offsets, errors.New("the end changed")
			}

			return units, offsets, err
		}
		units, offsets = append(units, unit), append(offsets, offset)
	}
}

func TestUnitsAreWhatStandsBetweenStartCodes(t *testing.T) {
	for _, c := range []struct {
		stream  []byte
		units   [][]byte
		offsets []int64
	}{
		{nil, nil, nil},
		{[]byte{0, 0, 1}, nil, nil},
		{[]byte{0, 0, 1, 9}, [][]byte{{9}}, []int64{3}},
		{[]byte{0, 0, 0, 1, 9}, [][]byte{{9}}, []int64{4}},
		{[]byte{0, 0, 0, 0, 0, 1, 9, 0, 0, 0}, [][]byte{{9}}, []int64{6}},
		{[]byte{0, 0, 1, 9, 8, 0, 0, 1, 7}, [][]byte{{9, 8}, {7}}, []int64{3, 8}},
		{[]byte{0, 0, 1, 9, 0, 0, 0, 0, 1, 7}, [][]byte{{9}, {7}}, []int64{3, 9}},
		{[]byte{0, 0, 1, 0, 0, 1, 0, 0, 1, 7}, [][]byte{{7}}, []int64{9}},
		{[]byte{0, 0, 1, 9, 0, 0, 3, 1, 0, 1}, [][]byte{{9, 0, 0, 3, 1, 0, 1}}, []int64{3}},
	} {
		for _, stream := range []io.Reader{
			bytes.NewReader(c.stream),
			iotest.OneByteReader(bytes.NewReader(c.stream)),
			iotest.DataErrReader(bytes.NewReader(c.stream)),
		} {
			units, offsets, err := all(stream)
			assert.Equal(t, io.EOF, err, "%v", c.stream)
			assert.Equal(t, c.units, units, "%v", c.stream)
			assert.Equal(t, c.offsets, offsets, "%v", c.stream)
		}
	}
}

// Units longer than what is read at a time, cut at every place around a chunk.
func TestUnitsAcrossReads(t *testing.T) {
	for size := chunk - 8; size < chunk+8; size++ {
		first, second := bytes.Repeat([]byte{5}, size), bytes.Repeat([]byte{6}, 3*chunk)
		stream := bytes.Join([][]byte{nil, first, second}, startCode)
		units, _, err := all(bytes.NewReader(stream))
		require.Equal(t, io.EOF, err)
		require.Equal(t, [][]byte{first, second}, units)
	}
}

func TestWhatIsNoStreamIsRefused(t *testing.T) {
	for _, stream := range [][]byte{{7}, {0, 7}, {0, 1}, {0, 0, 7}, {1, 0, 0, 1}} {
		_, _, err := all(bytes.NewReader(stream))
		assert.ErrorIs(t, err, media.ErrMalformed, "%v", stream)
	}
	for _, stream := range [][]byte{{0}, {0, 0}, make([]byte, 3*chunk)} {
		_, _, err := all(bytes.NewReader(stream))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d zeros", len(stream))
	}
}

func TestErrorsOfTheStreamAreKept(t *testing.T) {
	broken := errors.New("broken")
	stream := io.MultiReader(bytes.NewReader([]byte{0, 0, 1, 5, 0, 0, 1, 6, 6}), iotest.ErrReader(broken))
	units, _, err := all(stream)
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, [][]byte{{5}}, units, "half a unit is none")

	_, _, err = all(reader(func([]byte) (int, error) { return 0, nil }))
	assert.ErrorIs(t, err, io.ErrNoProgress)
	_, _, err = all(reader(func(p []byte) (int, error) { return len(p) + 1, nil }))
	assert.ErrorIs(t, err, media.ErrMalformed)
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

func TestTheLimitHolds(t *testing.T) {
	filler := bytes.Repeat([]byte{0xff}, chunk)
	endless := io.MultiReader(bytes.NewReader(startCode), reader(func(p []byte) (int, error) {
		return copy(p, filler), nil
	}))
	_, _, err := all(endless)
	assert.ErrorIs(t, err, media.ErrTooLarge)
}
