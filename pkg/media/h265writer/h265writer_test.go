package h265writer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/h265reader"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
)

func units(t *testing.T, stream io.Reader) [][]byte {
	t.Helper()
	reader, err := h265reader.NewReader(stream)
	require.NoError(t, err)
	var units [][]byte
	for {
		nal, err := reader.NextNAL()
		if errors.Is(err, io.EOF) {
			return units
		}
		require.NoError(t, err)
		units = append(units, nal.Data)
	}
}

// sent is ffmpeg's file, as units and as packets.
func sent(t *testing.T) ([][]byte, []*rtp.Packet) {
	t.Helper()
	raw, err := os.ReadFile("../../../testdata/media/test.h265")
	require.NoError(t, err)
	all := units(t, bytes.NewReader(raw))

	return all, mediatest.Packets(&codecs.H265Payloader{SkipAggregation: true}, 3000, all...)
}

func TestWrittenFilesAreReadBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.h265")
	writer, err := New(name)
	require.NoError(t, err)
	want, packets := sent(t)
	for _, packet := range packets {
		require.NoError(t, writer.WriteRTP(packet))
		clear(packet.Payload) // the writer must have no use for it any more
	}
	require.NoError(t, writer.Close())
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, want, units(t, file))

	streams, err := mediatest.Probe(t.Context(), name)
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no ffprobe to read the file with")
	}
	require.NoError(t, err)
	require.Len(t, streams, 1)
	assert.Equal(t, "hevc", streams[0].Codec)
	assert.Equal(t, 320, streams[0].Width)
	assert.Equal(t, "150", streams[0].Frames)
}

// A unit of which any packet is missing is left out whole, and no other one.
func TestUnitsWithALossAreLeftOut(t *testing.T) {
	want, packets := sent(t)
	packets = packets[:40]
	whole := map[string]bool{}
	for _, unit := range want {
		whole[string(unit)] = true
	}
	written := func(lost int) int {
		out := &bytes.Buffer{}
		writer := NewWith(out)
		for i, packet := range packets {
			if i != lost {
				require.NoError(t, writer.WriteRTP(packet))
			}
		}
		got := units(t, out)
		for _, unit := range got {
			require.True(t, whole[string(unit)], "a unit that was not sent, without packet %d", lost)
		}

		return len(got)
	}
	for lost := 1; lost < len(packets); lost++ {
		require.Equal(t, written(-1)-1, written(lost), "without packet %d", lost)
	}
}

func TestWritingBeginsWithParameters(t *testing.T) {
	for what, c := range map[string]struct {
		payload []byte
		start   bool
	}{
		"VPS":                   {[]byte{32 << 1, 1, 2}, true},
		"SPS":                   {[]byte{33 << 1, 1, 2}, true},
		"IDR":                   {[]byte{19 << 1, 1, 2}, true},
		"trailing picture":      {[]byte{1 << 1, 1, 2}, false},
		"one byte":              {[]byte{1}, false},
		"SEI and VPS":           {[]byte{48 << 1, 1, 0, 2, 39 << 1, 1, 0, 2, 32 << 1, 1}, true},
		"SEI alone":             {[]byte{48 << 1, 1, 0, 2, 39 << 1, 1}, false},
		"empty units":           {[]byte{48 << 1, 1, 0, 0, 0, 0}, false},
		"too long a unit":       {[]byte{48 << 1, 1, 0xff, 0xff, 39 << 1}, false},
		"half an aggregation":   {[]byte{48 << 1}, false},
		"fragment of IDR":       {[]byte{49 << 1, 1, 0x80 | 19, 1}, true},
		"second fragment of it": {[]byte{49 << 1, 1, 19, 1}, false},
		"fragment of another":   {[]byte{49 << 1, 1, 0x80 | 1, 1}, false},
		"fragment of nothing":   {[]byte{49 << 1, 1}, false},
	} {
		assert.Equal(t, c.start, start(c.payload), what)
	}
	out := &bytes.Buffer{}
	writer := NewWith(out)
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{1 << 1, 1, 9}}))
	assert.Empty(t, out.Bytes())
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{32 << 1, 1, 9}}))
	require.NoError(t, writer.WriteRTP(&rtp.Packet{}))
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{1 << 1, 1, 9}}))
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{36 << 1, 1}}), "the end of a sequence")
	assert.Equal(t, []byte{0, 0, 0, 1, 64, 1, 9, 0, 0, 0, 1, 2, 1, 9, 0, 0, 0, 1, 72, 1}, out.Bytes())
}

func TestBadPacketsAndOutputs(t *testing.T) {
	sps := &rtp.Packet{Payload: []byte{33 << 1, 1, 9}}
	for what, payload := range map[string][]byte{
		"a unit too long":    {48 << 1, 1, 0xff, 0xff, 33 << 1},
		"half of a header":   {1},
		"half of a fragment": {49 << 1, 1},
	} {
		out := &mediatest.Buffer{}
		writer := NewWith(out)
		require.NoError(t, writer.WriteRTP(sps))
		assert.ErrorIs(t, writer.WriteRTP(&rtp.Packet{Payload: payload}), media.ErrMalformed, what)
		require.NoError(t, writer.WriteRTP(sps), "the next one can be written")
		assert.Len(t, out.Data, 14)
		require.NoError(t, writer.Close())
		require.NoError(t, writer.Close())
		assert.Equal(t, 1, out.Closed)
		assert.ErrorIs(t, writer.WriteRTP(sps), media.ErrClosed)
	}
	for _, writer := range []*H265Writer{nil, {}} {
		assert.ErrorIs(t, writer.WriteRTP(sps), media.ErrInvalidArgument)
		assert.NoError(t, writer.Close())
	}
	assert.ErrorIs(t, NewWith(io.Discard).WriteRTP(nil), media.ErrInvalidArgument)
	assert.ErrorIs(t, NewWith(nil).WriteRTP(sps), media.ErrClosed)
	broken := errors.New("broken")
	assert.ErrorIs(t, NewWith(&mediatest.Broken{Err: broken}).WriteRTP(sps), broken)
	_, err := New(filepath.Join(t.TempDir(), "none", "out.h265"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A peer that never ends a unit cannot make it grow without bounds.
func TestTheLimitOfAUnitHolds(t *testing.T) {
	writer := NewWith(io.Discard)
	packet := &rtp.Packet{Payload: append([]byte{49 << 1, 1, 0x80 | 33}, make([]byte, 60_000)...)}
	err := writer.WriteRTP(packet)
	for n := 0; err == nil && n < 2000; n++ {
		packet.SequenceNumber++
		packet.Payload[2] = 33
		err = writer.WriteRTP(packet)
	}
	assert.ErrorIs(t, err, media.ErrTooLarge)
}

func FuzzH265Writer(f *testing.F) {
	f.Add([]byte{2, 66, 1, 4, 98, 1, 0x81, 1, 4, 98, 1, 0x41, 2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		out := &bytes.Buffer{}
		writer := NewWith(out)
		// Each packet begins with a byte of its length.
		for n := uint16(0); len(raw) > 1; n++ {
			size := min(int(raw[0]), len(raw)-1)
			packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: n}, Payload: raw[1 : 1+size : 1+size]}
			raw = raw[1+size:]
			if err := writer.WriteRTP(packet); err != nil && !errors.Is(err, media.ErrMalformed) {
				t.Fatal(err)
			}
		}
		if out.Len() > 0 && !bytes.HasPrefix(out.Bytes(), []byte{0, 0, 0, 1}) {
			t.Fatalf("begins with %x", out.Bytes()[:4])
		}
	})
}
