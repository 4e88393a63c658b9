package h264writer

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
	"github.com/ctxrtc/webrtc/pkg/media/h264reader"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
)

func units(t *testing.T, stream io.Reader) [][]byte {
	t.Helper()
	reader, err := h264reader.NewReader(stream)
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
	raw, err := os.ReadFile("../../../testdata/media/test.h264")
	require.NoError(t, err)
	all := units(t, bytes.NewReader(raw))

	return all, mediatest.Packets(&codecs.H264Payloader{}, 3000, all...)
}

func TestWrittenFilesAreReadBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.h264")
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
	assert.Equal(t, "h264", streams[0].Codec)
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
		left := 1
		if packets[lost].Payload[0]&0x1f == stapA {
			left = 2
		}
		require.Equal(t, written(-1)-left, written(lost), "without packet %d", lost)
	}
}

func TestWritingBeginsWithParameters(t *testing.T) {
	for what, c := range map[string]struct {
		payload []byte
		start   bool
	}{
		"SPS":                   {[]byte{0x67, 1, 2}, true},
		"PPS":                   {[]byte{0x68, 1, 2}, false},
		"IDR":                   {[]byte{0x65, 1, 2}, false},
		"SPS and PPS":           {[]byte{0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 1}, true},
		"AUD and SPS":           {[]byte{0x78, 0, 2, 0x09, 1, 0, 2, 0x67, 1}, true},
		"PPS alone":             {[]byte{0x78, 0, 2, 0x68, 1}, false},
		"empty units":           {[]byte{0x78, 0, 0, 0, 0}, false},
		"too long a unit":       {[]byte{0x78, 0xff, 0xff, 0x68}, false},
		"fragment of SPS":       {[]byte{0x7c, 0x87, 1}, true},
		"second fragment of it": {[]byte{0x7c, 0x07, 1}, false},
		"fragment of nothing":   {[]byte{0x7c}, false},
	} {
		assert.Equal(t, c.start, start(c.payload), what)
	}
	out := &bytes.Buffer{}
	writer := NewWith(out)
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{0x65, 1}}))
	assert.Empty(t, out.Bytes())
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{0x67, 1}}))
	require.NoError(t, writer.WriteRTP(&rtp.Packet{}))
	require.NoError(t, writer.WriteRTP(&rtp.Packet{Payload: []byte{0x65, 1}}))
	assert.Equal(t, []byte{0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 1}, out.Bytes())
}

func TestBadPacketsAndOutputs(t *testing.T) {
	sps := &rtp.Packet{Payload: []byte{0x67, 1}}
	for what, payload := range map[string][]byte{
		"mode 2":            {0x19, 1, 2, 3},
		"a unit too long":   {0x78, 0xff, 0xff, 0x67},
		"half of a payload": {0x7c},
	} {
		out := &mediatest.Buffer{}
		writer := NewWith(out)
		require.NoError(t, writer.WriteRTP(sps))
		assert.ErrorIs(t, writer.WriteRTP(&rtp.Packet{Payload: payload}), media.ErrMalformed, what)
		require.NoError(t, writer.WriteRTP(sps), "the next one can be written")
		assert.Len(t, out.Data, 12)
		require.NoError(t, writer.Close())
		require.NoError(t, writer.Close())
		assert.Equal(t, 1, out.Closed)
		assert.ErrorIs(t, writer.WriteRTP(sps), media.ErrClosed)
	}
	for _, writer := range []*H264Writer{nil, {}} {
		assert.ErrorIs(t, writer.WriteRTP(sps), media.ErrInvalidArgument)
		assert.NoError(t, writer.Close())
	}
	assert.ErrorIs(t, NewWith(io.Discard).WriteRTP(nil), media.ErrInvalidArgument)
	assert.ErrorIs(t, NewWith(nil).WriteRTP(sps), media.ErrClosed)
	broken := errors.New("broken")
	assert.ErrorIs(t, NewWith(&mediatest.Broken{Err: broken}).WriteRTP(sps), broken)
	_, err := New(filepath.Join(t.TempDir(), "none", "out.h264"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A peer that never ends a unit cannot make it grow without bounds.
func TestTheLimitOfAUnitHolds(t *testing.T) {
	writer := NewWith(io.Discard)
	packet := &rtp.Packet{Payload: append([]byte{0x7c, 0x87}, make([]byte, 60_000)...)}
	err := writer.WriteRTP(packet)
	for n := 0; err == nil && n < 2000; n++ {
		packet.SequenceNumber++
		packet.Payload[1] = 0x07
		err = writer.WriteRTP(packet)
	}
	assert.ErrorIs(t, err, media.ErrTooLarge)
}

func FuzzH264Writer(f *testing.F) {
	f.Add([]byte{2, 0x67, 1, 3, 0x7c, 0x85, 1, 3, 0x7c, 0x45, 2})
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
