package h264reader

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

func all(t *testing.T, stream io.Reader, options ...Option) []*NAL {
	t.Helper()
	reader, err := NewReaderWithOptions(stream, options...)
	require.NoError(t, err)
	var nals []*NAL
	for {
		nal, err := reader.NextNAL()
		if err != nil {
			require.Equal(t, io.EOF, err)

			return nals
		}
		nals = append(nals, nal)
	}
}

func TestFieldsOfTheHeader(t *testing.T) {
	nals := all(t, bytes.NewReader([]byte{0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x25, 0, 0, 1, 0x81}))
	assert.Equal(t, []*NAL{
		{RefIdc: 3, UnitType: NalUnitTypeSPS, Data: []byte{0x67, 1}},
		{RefIdc: 1, UnitType: NalUnitTypeCodedSliceIdr, Data: []byte{0x25}},
		{ForbiddenZeroBit: true, UnitType: NalUnitTypeCodedSliceNonIdr, Data: []byte{0x81}},
	}, nals)
}

func TestSEIIsSkippedUnlessAskedFor(t *testing.T) {
	stream := []byte{0, 0, 1, 6, 1, 0, 0, 1, 0x65, 0, 0, 1, 6, 2}
	assert.Len(t, all(t, bytes.NewReader(stream)), 1)
	assert.Len(t, all(t, bytes.NewReader(stream), WithIncludeSEI(false)), 1)
	assert.Len(t, all(t, bytes.NewReader(stream), WithIncludeSEI(true)), 3)
}

func TestReadsFFmpegsFile(t *testing.T) {
	file, err := os.Open("../../../testdata/media/test.h264")
	require.NoError(t, err)
	defer file.Close()
	count := make(map[NalUnitType]int)
	for _, nal := range all(t, file) {
		count[nal.UnitType]++
	}
	assert.Equal(t, 5, count[NalUnitTypeCodedSliceIdr])
	assert.Equal(t, 145, count[NalUnitTypeCodedSliceNonIdr])
	assert.Equal(t, 5, count[NalUnitTypeSPS])
	assert.Equal(t, 5, count[NalUnitTypePPS])
}

func TestBadStreamsAndArguments(t *testing.T) {
	_, err := NewReader(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = NewReaderWithOptions(bytes.NewReader(nil), nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	refused := errors.New("refused")
	_, err = NewReaderWithOptions(bytes.NewReader(nil), func(*H264Reader) error { return refused })
	assert.ErrorIs(t, err, refused)
	for _, reader := range []*H264Reader{nil, {}} {
		_, err = reader.NextNAL()
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
	}
	broken := errors.New("broken")
	for is, stream := range map[error]io.Reader{
		media.ErrMalformed:  bytes.NewReader([]byte("garbage")),
		io.ErrUnexpectedEOF: bytes.NewReader([]byte{0, 0}),
		broken:              iotest.ErrReader(broken),
	} {
		reader, err := NewReader(stream)
		require.NoError(t, err)
		_, err = reader.NextNAL()
		assert.ErrorIs(t, err, is)
		assert.ErrorContains(t, err, "h264: ")
	}
}

func TestNamesOfTypes(t *testing.T) {
	for _, c := range []struct {
		number NalUnitType
		name   string
	}{{0, "Unspecified(0)"}, {7, "SPS(7)"}, {30, "Unknown(30)"}} {
		assert.Equal(t, c.name, c.number.String())
	}
	assert.Equal(t, "nil", (*NalUnitType)(nil).String())
}

func FuzzH264Reader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 6, 0, 0, 0, 1, 0x65})
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		reader, _ := NewReaderWithOptions(bytes.NewReader(raw), WithIncludeSEI(true))
		left := len(raw)
		for {
			nal, err := reader.NextNAL()
			if err != nil {
				return
			}
			left -= 3 + len(nal.Data)
			if left < 0 || len(nal.Data) == 0 || bytes.Contains(nal.Data, []byte{0, 0, 1}) {
				t.Fatalf("unit %x of %x", nal.Data, raw)
			}
		}
	})
}
