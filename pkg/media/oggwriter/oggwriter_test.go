package oggwriter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
	"github.com/ctxrtc/webrtc/pkg/media/internal/ogg"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
	"github.com/ctxrtc/webrtc/pkg/media/oggreader"
)

// ms20 begins a packet of one frame of 20 ms, in stereo.
const ms20 = 0xfc

// pages of a file, which has to be one of Ogg.
func pages(t *testing.T, raw []byte) []*ogg.Page {
	t.Helper()
	var pages []*ogg.Page
	for stream := bytes.NewReader(raw); ; {
		page, _, err := ogg.Read(stream, true)
		if errors.Is(err, io.EOF) {
			return pages
		}
		require.NoError(t, err)
		pages = append(pages, page)
	}
}

// sound is the packets of ffmpeg's file, without its headers.
func sound(t *testing.T) [][]byte {
	t.Helper()
	raw, err := os.ReadFile("../../../testdata/media/test.ogg")
	require.NoError(t, err)
	var packets [][]byte
	for _, page := range pages(t, raw)[2:] {
		packets = append(packets, page.Payload)
	}

	return packets
}

func probe(t *testing.T, name string) []mediatest.Stream {
	t.Helper()
	streams, err := mediatest.Probe(t.Context(), name)
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no ffprobe to read the file with")
	}
	require.NoError(t, err)

	return streams
}

func TestWrittenFilesAreReadBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.ogg")
	writer, err := New(name, 48_000, 2)
	require.NoError(t, err)
	want := sound(t)
	for _, packet := range mediatest.Packets(&codecs.OpusPayloader{}, 960, want...) {
		require.NoError(t, writer.WriteRTP(packet))
		clear(packet.Payload) // the writer must have no use for it any more
	}
	require.NoError(t, writer.Close())
	require.NoError(t, writer.Close())

	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	reader, header, err := oggreader.NewWith(bytes.NewReader(raw))
	require.NoError(t, err)
	assert.Equal(t, &oggreader.OggHeader{Channels: 2, PreSkip: 3840, SampleRate: 48_000, Version: 1}, header)
	payload, _, err := reader.ParseNextPage()
	require.NoError(t, err)
	tags, err := oggreader.ParseOpusTags(payload)
	require.NoError(t, err)
	assert.Equal(t, "ctxrtc", tags.Vendor)
	for i, packet := range want {
		payload, page, err := reader.ParseNextPage()
		require.NoError(t, err)
		require.True(t, bytes.Equal(packet, payload), "packet %d", i)
		require.EqualValues(t, (i+1)*960, page.GranulePosition)
	}
	_, _, err = reader.ParseNextPage()
	assert.Equal(t, io.EOF, err)
	for i, page := range pages(t, raw) {
		assert.EqualValues(t, i, page.Index)
		assert.Equal(t, i == 0, page.Flags&ogg.Begin != 0)
		assert.Equal(t, i == len(want)+1, page.Flags&ogg.End != 0)
	}
	streams := probe(t, name)
	require.Len(t, streams, 1)
	assert.Equal(t, "opus", streams[0].Codec)
	assert.Equal(t, 2, streams[0].Channels)
	assert.InDelta(t, 5.0, streams[0].Seconds(), 0.1)
}

// What was lost or not sent takes its time in the file.
func TestGapsAreFilledIn(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.ogg")
	writer, err := New(name, 48_000, 2)
	require.NoError(t, err)
	packets := mediatest.Packets(&codecs.OpusPayloader{}, 960, sound(t)...)
	for i, packet := range packets {
		if i%10 != 3 && (i < 100 || i > 200) {
			require.NoError(t, writer.WriteRTP(packet))
		}
	}
	require.NoError(t, writer.Close())
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	all := pages(t, raw)
	assert.EqualValues(t, len(packets)*960, all[len(all)-1].Granule)
	assert.InDelta(t, 5.0, probe(t, name)[0].Seconds(), 0.1)

	for _, c := range []struct {
		toc    byte
		gap    uint32 // beside the packet's own 20 ms or what its frames are
		filled [][]byte
	}{
		{ms20, 0, nil},
		{ms20, 959, nil},
		{ms20, 960, [][]byte{{ms20}}},
		{ms20 | 3, 7 * 960, [][]byte{{ms20 | 3, 6}, {ms20}}},
		{0x80, 49 * 120, [][]byte{{0x83, 48}, {0x80}}}, // of 2.5 ms
		{0x18, 3 * 2880, [][]byte{{0x1b, 2}, {0x18}}},  // of 60 ms
		{ms20, maxGap + 1, nil},
	} {
		s := newStream(defaults(), 1)
		frame, out := samplesOfFrame(c.toc), &bytes.Buffer{}
		write := func(n uint16, timestamp uint32) {
			packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: n, Timestamp: timestamp}, Payload: []byte{c.toc, 1, 0}}
			to := sink.New(out)
			require.NoError(t, s.write(to, packet))
		}
		write(1, 1<<32-100)
		write(2, 1<<32-100+frame+c.gap)
		out.Write(s.end())
		all := pages(t, out.Bytes())
		var filled [][]byte
		for _, page := range all[1 : len(all)-1] {
			filled = append(filled, page.Payload)
		}
		assert.Equal(t, c.filled, filled, "%02x, %d samples", c.toc, c.gap)
		if c.gap <= maxGap {
			assert.EqualValues(t, 2*frame+c.gap/frame*frame, all[len(all)-1].Granule)
		}
	}
}

// What is less than a frame is not forgotten: many such gaps are one.
func TestGapsAddUp(t *testing.T) {
	s, out := newStream(defaults(), 1), &bytes.Buffer{}
	for i := range uint32(201) {
		packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(i), Timestamp: i * (960 + 96)}, Payload: []byte{ms20}}
		require.NoError(t, s.write(sink.New(out), packet))
	}
	assert.EqualValues(t, 201*960+20*960, s.granule)
}

func TestOvertakenPacketsAreLeftOut(t *testing.T) {
	s, out := newStream(defaults(), 1), &bytes.Buffer{}
	for _, n := range []uint16{1, 3, 2, 4} {
		packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: n, Timestamp: uint32(n) * 960}, Payload: []byte{ms20, byte(n)}}
		require.NoError(t, s.write(sink.New(out), packet))
	}
	// A sender who begins anew goes on at once.
	packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: 50_000, Timestamp: 1 << 31}, Payload: []byte{ms20, 9}}
	require.NoError(t, s.write(sink.New(out), packet))
	out.Write(s.end())
	var payloads [][]byte
	for _, page := range pages(t, out.Bytes()) {
		payloads = append(payloads, page.Payload)
	}
	assert.Equal(t, [][]byte{{ms20, 1}, {ms20}, {ms20, 3}, {ms20, 4}, {ms20, 9}}, payloads)
}

func TestLengthsOfPackets(t *testing.T) {
	for _, c := range []struct {
		packet  []byte
		samples uint32
	}{
		{[]byte{0x00}, 480},
		{[]byte{0x08}, 960},
		{[]byte{0x10}, 1920},
		{[]byte{0x18}, 2880},
		{[]byte{0x58}, 2880},
		{[]byte{0x60}, 480},
		{[]byte{0x78}, 960},
		{[]byte{0x80}, 120},
		{[]byte{0x88}, 240},
		{[]byte{0x90}, 480},
		{[]byte{0xf8}, 960},
		{[]byte{0xf9}, 1920},
		{[]byte{0xfa}, 1920},
		{[]byte{0xfb, 6}, 5760},
		{[]byte{0x83, 0xf0}, 5760},
	} {
		frame, count, err := frames(c.packet)
		require.NoError(t, err)
		assert.Equal(t, c.samples, frame*count, "%x", c.packet)
	}
	for _, packet := range [][]byte{{0xfb}, {0xfb, 0}, {0xfb, 7}, {0x1b, 3}, {0x83, 49}} {
		_, _, err := frames(packet)
		assert.ErrorIs(t, err, media.ErrMalformed, "%x", packet)
	}
}

func TestSeveralTracks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.ogg")
	file, err := os.Create(name)
	require.NoError(t, err)
	writer, err := NewWriter(file, WithChannelCount(1), WithVendor("test"), WithUserComments(UserComment{Comment: "TITLE", Value: "all"}),
		WithSeekableOutput(file))
	require.NoError(t, err)
	first, err := writer.NewTrack(1, WithSerial(10), WithUserComments(UserComment{Comment: "ARTIST", Value: "one"}))
	require.NoError(t, err)
	second, err := writer.NewTrack(2, WithSerial(20), WithChannelCount(2), WithSampleRate(16_000), WithVendor("other"))
	require.NoError(t, err)
	_, err = writer.NewTrack(2)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = writer.NewTrack(3, WithSerial(20))
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	silent, err := writer.NewTrack(4)
	require.NoError(t, err)

	// The tracks are written to at the same time.
	var wait sync.WaitGroup
	for ssrc, track := range map[uint32]*Track{1: first, 2: second} {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i, packet := range mediatest.Packets(&codecs.OpusPayloader{}, 960, sound(t)...) {
				packet.SSRC = ssrc
				assert.NoError(t, track.WriteRTP(packet), "packet %d", i)
			}
		}()
	}
	wait.Wait()
	assert.ErrorIs(t, first.WriteRTP(&rtp.Packet{Header: rtp.Header{SSRC: 2}}), media.ErrInvalidArgument)
	assert.ErrorIs(t, first.WriteRTP(nil), media.ErrInvalidArgument)
	_, err = writer.NewTrack(5)
	assert.ErrorIs(t, err, media.ErrInvalidArgument, "too late")
	require.NoError(t, writer.Close())
	require.NoError(t, writer.Close())
	assert.ErrorIs(t, silent.WriteRTP(&rtp.Packet{}), media.ErrClosed)
	_, err = writer.NewTrack(6)
	assert.ErrorIs(t, err, media.ErrClosed)

	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	all := pages(t, raw)
	ends, ofSerial := 0, map[uint32][]*ogg.Page{}
	for i, page := range all {
		assert.Equal(t, i < 3, page.Flags&ogg.Begin != 0)
		if page.Flags&ogg.End != 0 {
			ends++
		}
		ofSerial[page.Serial] = append(ofSerial[page.Serial], page)
	}
	assert.Equal(t, 3, ends)
	assert.Len(t, ofSerial[10], 253)
	assert.Len(t, ofSerial[20], 253)
	head, err := oggreader.ParseOpusHead(ofSerial[20][0].Payload)
	require.NoError(t, err)
	assert.Equal(t, &oggreader.OggHeader{Channels: 2, PreSkip: 3840, SampleRate: 16_000, Version: 1}, head)
	tags, err := oggreader.ParseOpusTags(ofSerial[10][1].Payload)
	require.NoError(t, err)
	assert.Equal(t, &oggreader.OpusTags{
		Vendor: "test", UserComments: []oggreader.UserComment{{Comment: "TITLE", Value: "all"}, {Comment: "ARTIST", Value: "one"}},
	}, tags)
	tags, err = oggreader.ParseOpusTags(ofSerial[20][1].Payload)
	require.NoError(t, err)
	assert.Equal(t, "other", tags.Vendor)
	assert.Len(t, tags.UserComments, 1, "those of the other track are not its own")
	assert.Len(t, probe(t, name), 3)
}

func TestFilesWithoutSound(t *testing.T) {
	out := &mediatest.Buffer{}
	writer, err := NewWith(out, 48_000, 1)
	require.NoError(t, err)
	require.NoError(t, writer.WriteRTP(&rtp.Packet{}), "padding")
	require.NoError(t, writer.Close())
	assert.Equal(t, 1, out.Closed)
	all := pages(t, out.Data)
	require.Len(t, all, 3)
	assert.EqualValues(t, ogg.End, all[2].Flags)
	assert.Empty(t, all[2].Segments)

	out = &mediatest.Buffer{}
	empty, err := NewWriter(out)
	require.NoError(t, err)
	require.NoError(t, empty.Close())
	assert.Empty(t, out.Data)
}

func TestMappings(t *testing.T) {
	for _, c := range []struct {
		family, streams, coupled uint8
		table                    []byte
		ok                       bool
	}{
		{1, 1, 0, []byte{0}, true},
		{1, 1, 1, []byte{0, 1}, true},
		{2, 1, 0, []byte{0}, true},
		{255, 1, 1, []byte{1, 255, 0, 1}, true},
		{0, 1, 1, []byte{0, 1}, false},
		{3, 1, 1, []byte{0, 1}, false},
		{1, 2, 1, []byte{0, 1, 2}, false},
		{1, 1, 1, []byte{1, 0}, false},
		{1, 1, 1, []byte{0, 1, 0}, false},
		{2, 1, 1, []byte{0, 1}, false},
		{255, 1, 2, []byte{0}, false},
		{255, 1, 0, []byte{1}, false},
		{255, 0, 0, []byte{0}, false},
		{255, 1, 0, nil, false},
		{255, 1, 0, make([]byte, 256), false},
	} {
		out := &bytes.Buffer{}
		writer, err := NewWriter(out)
		require.NoError(t, err)
		_, err = writer.NewTrack(1, WithChannelMapping(c.family, c.streams, c.coupled, c.table))
		if !c.ok {
			assert.ErrorIs(t, err, media.ErrInvalidArgument, "%v", c)

			continue
		}
		require.NoError(t, err, "%v", c)
		require.NoError(t, writer.Close())
		head, err := oggreader.ParseOpusHead(pages(t, out.Bytes())[0].Payload)
		require.NoError(t, err, "%v", c)
		assert.Equal(t, string(c.table), head.ChannelMapping)
	}
}

func TestBadArguments(t *testing.T) {
	for _, channels := range []uint16{0, 3, 257, 258} {
		name := filepath.Join(t.TempDir(), "out.ogg")
		_, err := New(name, 48_000, channels)
		assert.ErrorIs(t, err, media.ErrInvalidArgument, "%d channels", channels)
		assert.NoFileExists(t, name)
	}
	_, err := NewWith(nil, 48_000, 2)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = NewWriter(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = New(filepath.Join(t.TempDir(), "none", "out.ogg"), 48_000, 2)
	assert.ErrorIs(t, err, os.ErrNotExist)
	for i, option := range []WriterOption{
		nil,
		WithSeekableOutput(nil),
		WithChannelCount(6),
		WithVendor("\xff"),
		WithUserComments(UserComment{Comment: "", Value: "x"}),
		WithUserComments(UserComment{Comment: "A=", Value: "x"}),
		WithUserComments(UserComment{Comment: "A\n", Value: "x"}),
		WithUserComments(UserComment{Comment: "A", Value: "\xff"}),
	} {
		_, err = NewWriter(&bytes.Buffer{}, option)
		assert.ErrorIs(t, err, media.ErrInvalidArgument, "option %d", i)
	}
	_, err = NewWriter(&bytes.Buffer{}, WithUserComments(UserComment{Comment: "A", Value: strings.Repeat("x", maxTags)}))
	assert.ErrorIs(t, err, media.ErrTooLarge)
	writer, err := NewWriter(&bytes.Buffer{})
	require.NoError(t, err)
	_, err = writer.NewTrack(1, nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)

	packet := &rtp.Packet{Payload: []byte{ms20}}
	for _, writer := range []*OggWriter{nil, {}} {
		assert.ErrorIs(t, writer.WriteRTP(packet), media.ErrInvalidArgument)
		assert.NoError(t, writer.Close())
	}
	for _, writer := range []*Writer{nil, {}} {
		_, err = writer.NewTrack(1)
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
		assert.NoError(t, writer.Close())
	}
	for _, track := range []*Track{nil, {}} {
		assert.ErrorIs(t, track.WriteRTP(packet), media.ErrInvalidArgument)
	}
	single, err := NewWith(&bytes.Buffer{}, 48_000, 2)
	require.NoError(t, err)
	assert.ErrorIs(t, single.WriteRTP(nil), media.ErrInvalidArgument)
	assert.ErrorIs(t, single.WriteRTP(&rtp.Packet{Payload: []byte{0xfb}}), media.ErrMalformed)
	assert.NoError(t, single.WriteRTP(packet))
	require.NoError(t, single.Close())
	assert.ErrorIs(t, single.WriteRTP(packet), media.ErrClosed)
}

func TestErrorsOfTheOutput(t *testing.T) {
	broken := errors.New("broken")
	_, err := NewWith(&mediatest.Broken{Err: broken}, 48_000, 2)
	assert.ErrorIs(t, err, broken)
	packet := &rtp.Packet{Payload: []byte{ms20}}
	single, err := NewWith(&mediatest.Broken{After: 120, Err: broken}, 48_000, 2)
	require.NoError(t, err)
	for range 3 {
		err = single.WriteRTP(packet)
	}
	assert.ErrorIs(t, err, broken)
	assert.ErrorIs(t, single.Close(), broken)
	assert.NoError(t, single.Close())
	several, err := NewWriter(&mediatest.Broken{Err: broken})
	require.NoError(t, err)
	track, err := several.NewTrack(0)
	require.NoError(t, err)
	assert.ErrorIs(t, track.WriteRTP(packet), broken)
	assert.ErrorIs(t, several.Close(), broken)
}

func FuzzOggWriter(f *testing.F) {
	f.Add([]byte{1, 0, ms20, 1, 3, ms20, 2, 4, 0xfb, 2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		out := &bytes.Buffer{}
		writer, err := NewWith(out, 48_000, 2)
		require.NoError(t, err)
		// Each packet begins with a byte of its length and one of its time.
		for n, at := uint16(0), uint32(0); len(raw) > 2; n++ {
			at += uint32(raw[1]) * 120
			size := min(int(raw[0]), len(raw)-2)
			packet := &rtp.Packet{Header: rtp.Header{SequenceNumber: n, Timestamp: at}, Payload: raw[2 : 2+size]}
			raw = raw[2+size:]
			if err := writer.WriteRTP(packet); err != nil && !errors.Is(err, media.ErrMalformed) {
				t.Fatal(err)
			}
		}
		require.NoError(t, writer.Close())
		granule := uint64(0)
		for i, page := range pages(t, out.Bytes()) {
			if page.Granule < granule || page.Index != uint32(i) {
				t.Fatal(fmt.Sprintf("page %d", i), page)
			}
			granule = page.Granule
		}
	})
}
