package bounded

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadGivesWhatIsThere(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 30_000)
	for _, n := range []int{0, 1, step - 1, step, step + 1, 3 * step, len(whole)} {
		data, err := Read(iotest.HalfReader(bytes.NewReader(whole)), n)
		require.NoError(t, err)
		require.Equal(t, whole[:n], data)
	}
	data, err := Read(bytes.NewReader(whole), len(whole)+1)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, whole, data)
	_, err = Read(bytes.NewReader(nil), 1)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "a unit without its first byte is cut off too")
}

// A claim of a gigabyte over ten bytes must cost about as much as ten bytes.
func TestReadAllocatesWhatHasCome(t *testing.T) {
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		_, err := Read(bytes.NewReader(make([]byte, 10)), 1<<30)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/times, uint64(2*step))
}

func TestHeadTellsAnEndFromACut(t *testing.T) {
	header := make([]byte, 4)
	_, err := Head(bytes.NewReader(nil), header)
	assert.Equal(t, io.EOF, err)
	n, err := Head(bytes.NewReader([]byte{1, 2}), header)
	assert.Equal(t, 2, n)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	broken := errors.New("broken")
	_, err = Head(iotest.ErrReader(broken), header)
	assert.ErrorIs(t, err, broken)
}
