package h265reader

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
	nals := all(t, bytes.NewReader([]byte{0, 0, 1, 0x40, 0x01, 0x0c, 0, 0, 0, 1, 0xa7, 0xfa}))
	assert.Equal(t, []*NAL{
		{NalUnitType: NalUnitTypeVps, TemporalIDPlus1: 1, Data: []byte{0x40, 0x01, 0x0c}},
		{ForbiddenZeroBit: true, NalUnitType: NalUnitTypeIdrWRadl, LayerID: 63, TemporalIDPlus1: 2, Data: []byte{0xa7, 0xfa}},
	}, nals)
}

func TestAUnitShorterThanItsHeaderIsPassedOver(t *testing.T) {
	reader, err := NewReader(bytes.NewReader([]byte{0, 0, 1, 0x40, 0, 0, 1, 0x42, 0x01}))
	require.NoError(t, err)
	_, err = reader.NextNAL()
	assert.ErrorIs(t, err, media.ErrMalformed)
	assert.ErrorContains(t, err, "byte 3")
	nal, err := reader.NextNAL()
	require.NoError(t, err)
	assert.Equal(t, NalUnitTypeSps, nal.NalUnitType)
}

func TestSEIIsSkippedUnlessAskedFor(t *testing.T) {
	stream := []byte{0, 0, 1, 39 << 1, 1, 0, 0, 1, 0x26, 1, 0, 0, 1, 40 << 1, 1}
	assert.Len(t, all(t, bytes.NewReader(stream)), 1)
	assert.Len(t, all(t, bytes.NewReader(stream), WithIncludeSEI(false)), 1)
	assert.Len(t, all(t, bytes.NewReader(stream), WithIncludeSEI(true)), 3)
}

func TestReadsFFmpegsFile(t *testing.T) {
	file, err := os.Open("../../../testdata/media/test.h265")
	require.NoError(t, err)
	defer file.Close()
	count := make(map[NalUnitType]int)
	for _, nal := range all(t, file) {
		count[nal.NalUnitType]++
	}
	pictures := 0
	for _, kind := range []NalUnitType{NalUnitTypeIdrNLp, NalUnitTypeIdrWRadl, NalUnitTypeCraNut, NalUnitTypeTrailR, NalUnitTypeTrailN} {
		pictures += count[kind]
	}
	assert.Equal(t, 150, pictures)
	assert.NotZero(t, count[NalUnitTypeVps])
	assert.NotZero(t, count[NalUnitTypeSps])
	assert.NotZero(t, count[NalUnitTypePps])
}

func TestBadStreamsAndArguments(t *testing.T) {
	_, err := NewReader(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = NewReaderWithOptions(bytes.NewReader(nil), nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	refused := errors.New("refused")
	_, err = NewReaderWithOptions(bytes.NewReader(nil), func(*H265Reader) error { return refused })
	assert.ErrorIs(t, err, refused)
	for _, reader := range []*H265Reader{nil, {}} {
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
		assert.ErrorContains(t, err, "h265: ")
	}
}

func TestNamesOfTypes(t *testing.T) {
	for _, c := range []struct {
		number NalUnitType
		name   string
	}{{0, "TrailN(0)"}, {33, "SPS(33)"}, {30, "Unknown(30)"}, {44, "Reserved(44)"}, {50, "Unspecified(50)"}} {
		assert.Equal(t, c.name, c.number.String())
	}
	assert.Equal(t, "nil", (*NalUnitType)(nil).String())
}

func FuzzH265Reader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x40, 1, 2, 0, 0, 1, 78, 1, 0, 0, 0, 1, 0x26, 1})
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
			if left < 0 || len(nal.Data) < 2 || bytes.Contains(nal.Data, []byte{0, 0, 1}) {
				t.Fatalf("unit %x of %x", nal.Data, raw)
			}
		}
	})
}
