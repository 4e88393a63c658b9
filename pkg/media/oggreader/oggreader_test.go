package oggreader

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/ogg"
)

var stereo = []byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")

var tags = []byte("OpusTags\x03\x00\x00\x00abc\x02\x00\x00\x00\x07\x00\x00\x00TITLE=x\x04\x00\x00\x00A=b=")

// file is a file of packets, a page each.
func file(packets ...[]byte) []byte {
	var raw []byte
	flags, index := byte(ogg.Begin), uint32(0)
	for i, packet := range packets {
		for _, page := range ogg.Split(packet, flags, uint64(i), 7, index) {
			raw = append(raw, page.Encode()...)
			index++
		}
		flags = 0
	}

	return raw
}

func TestReadsFFmpegsFile(t *testing.T) {
	raw, err := os.ReadFile("../../../testdata/media/test.ogg")
	require.NoError(t, err)
	reader, header, err := NewWith(iotest.HalfReader(bytes.NewReader(raw)))
	require.NoError(t, err)
	assert.Equal(t, &OggHeader{Channels: 2, PreSkip: 312, SampleRate: 48_000, Version: 1}, header)
	payload, page, err := reader.ParseNextPage()
	require.NoError(t, err)
	kind, ok := page.HeaderType(payload)
	assert.True(t, ok)
	assert.Equal(t, HeaderOpusTags, kind)
	read, err := ParseOpusTags(payload)
	require.NoError(t, err)
	assert.NotEmpty(t, read.Vendor)
	pages, last := 0, uint64(0)
	for {
		payload, page, err = reader.ParseNextPage()
		if err != nil {
			break
		}
		_, ok = page.HeaderType(payload)
		assert.False(t, ok)
		assert.EqualValues(t, 1, page.Serial)
		assert.Greater(t, page.GranulePosition, last)
		last = page.GranulePosition
		pages++
	}
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, 251, pages)
	assert.EqualValues(t, 5*48_000+312, last)
}

func TestAFileThatGrows(t *testing.T) {
	whole := file(stereo, tags, []byte("one"), []byte("three"))
	for cut := range len(whole) {
		reader, err := NewWithOptions(bytes.NewReader(whole[:cut]))
		require.NoError(t, err)
		var pages []string
		drain := func() error {
			for {
				payload, _, err := reader.ParseNextPage()
				if err != nil {
					return err
				}
				pages = append(pages, string(payload))
			}
		}
		if err := drain(); !errors.Is(err, io.EOF) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", cut)
			require.ErrorContains(t, err, "page ")
		}
		reader.ResetReader(func(read int64) io.Reader { return bytes.NewReader(whole[read:]) })
		require.Equal(t, io.EOF, drain())
		require.Equal(t, []string{string(stereo), string(tags), "one", "three"}, pages, "%d bytes", cut)
	}
}

func TestChecksumsAreVerifiedUnlessToldNotTo(t *testing.T) {
	raw := file(stereo)
	raw[22] ^= 1
	_, _, err := NewWith(bytes.NewReader(raw))
	assert.ErrorIs(t, err, media.ErrMalformed)
	assert.ErrorContains(t, err, "page 0 at byte 0")
	reader, err := NewWithOptions(bytes.NewReader(raw), WithDoChecksum(false))
	require.NoError(t, err)
	_, _, err = reader.ParseNextPage()
	assert.NoError(t, err)
}

func TestPacketsAcrossPages(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 3*255*255)
	// Two streams whose pages are mixed, and a page of three packets of which the
	// last goes on.
	first := ogg.Split(long, ogg.Begin, 42, 1, 0)
	second := []*ogg.Page{
		{Serial: 2, Granule: 5, Segments: []byte{1, 0, 255}, Payload: append([]byte("a"), bytes.Repeat([]byte("b"), 255)...)},
		{Serial: 2, Granule: 6, Flags: ogg.Continued, Segments: []byte{2, 1}, Payload: []byte("bbc")},
	}
	// What continues nothing is left out, and so is what nothing continues.
	lost := &ogg.Page{Serial: 3, Flags: ogg.Continued, Segments: []byte{4, 2}, Payload: []byte("lostok")}
	open := &ogg.Page{Serial: 3, Segments: []byte{255}, Payload: make([]byte, 255)}
	next := &ogg.Page{Serial: 3, Segments: []byte{1}, Payload: []byte("n")}
	var raw []byte
	for _, page := range []*ogg.Page{first[0], second[0], first[1], lost, open, second[1], next, first[2], first[3]} {
		raw = append(raw, page.Encode()...)
	}
	reader, err := NewWithOptions(bytes.NewReader(raw))
	require.NoError(t, err)
	type packet struct {
		data    string
		serial  uint32
		granule uint64
	}
	var got []packet
	for {
		data, header, err := reader.ParseNextPacket()
		if err != nil {
			require.Equal(t, io.EOF, err)

			break
		}
		got = append(got, packet{string(data), header.Serial, header.GranulePosition})
	}
	assert.Equal(t, []packet{
		{"a", 2, 5},
		{"", 2, 5},
		{"ok", 3, 0},
		{strings.Repeat("b", 257), 2, 6},
		{"c", 2, 6},
		{"n", 3, 0},
		{string(long), 1, 42},
	}, got)
}

func TestLimitsOfPackets(t *testing.T) {
	full := &ogg.Page{Segments: bytes.Repeat([]byte{255}, 255), Payload: make([]byte, 255*255)}
	one := full.Encode()
	full.Flags = ogg.Continued
	more := full.Encode()
	endless := io.MultiReader(bytes.NewReader(one), bytes.NewReader(bytes.Repeat(more, 17)))
	reader, err := NewWithOptions(endless)
	require.NoError(t, err)
	_, _, err = reader.ParseNextPacket()
	assert.ErrorIs(t, err, media.ErrTooLarge)

	var raw []byte
	for serial := range uint32(MaxStreams + 1) {
		page := &ogg.Page{Serial: serial, Segments: []byte{1, 255}, Payload: make([]byte, 256)}
		raw = append(raw, page.Encode()...)
	}
	reader, err = NewWithOptions(bytes.NewReader(raw))
	require.NoError(t, err)
	for range MaxStreams + 1 {
		_, _, err = reader.ParseNextPacket()
		require.NoError(t, err)
	}
	_, _, err = reader.ParseNextPacket()
	assert.ErrorIs(t, err, media.ErrTooLarge)
	_, _, err = reader.ParseNextPacket()
	assert.Equal(t, io.EOF, err)
}

func TestHeads(t *testing.T) {
	change := func(at int, values ...byte) []byte {
		raw := bytes.Clone(stereo)
		copy(raw[at:], values)

		return raw
	}
	header, err := ParseOpusHead(append(change(9, 3), 2, 1, 0, 2, 255)[:len(stereo)+5])
	assert.Error(t, err, "no mapping in family 0")
	assert.Nil(t, header)
	surround := append(change(9, 3), 2, 1, 0, 2, 255)
	surround[18] = 1
	header, err = ParseOpusHead(surround)
	require.NoError(t, err)
	assert.Equal(t, &OggHeader{
		ChannelMap: 1, Channels: 3, PreSkip: 312, SampleRate: 48_000, Version: 1,
		StreamCount: 2, CoupledCount: 1, ChannelMapping: "\x00\x02\xff",
	}, header)
	later := append(change(8, 2), "more"...)
	_, err = ParseOpusHead(later)
	assert.NoError(t, err, "a minor version that has more")

	bad := func(at int, value byte) []byte {
		raw := bytes.Clone(surround)
		raw[at] = value

		return raw
	}
	for what, raw := range map[string][]byte{
		"nothing":                {},
		"signature":              change(0, 'X'),
		"short":                  stereo[:18],
		"major version":          change(8, 16),
		"no channels":            change(9, 0),
		"three without mapping":  change(9, 3),
		"family":                 change(18, 3),
		"more than it should be": append(bytes.Clone(stereo), 0),
		"mapping cut off":        surround[:len(surround)-1],
		"no streams":             bad(19, 0),
		"too many in stereo":     bad(20, 3),
		"channel of nothing":     bad(22, 3),
		"too many decoded":       bad(19, 255),
	} {
		_, err := ParseOpusHead(raw)
		assert.ErrorIs(t, err, media.ErrMalformed, what)
	}
}

func TestTags(t *testing.T) {
	read, err := ParseOpusTags(append(bytes.Clone(tags), "padding"...))
	require.NoError(t, err)
	assert.Equal(t, &OpusTags{Vendor: "abc", UserComments: []UserComment{{"TITLE", "x"}, {"A", "b="}}}, read)
	for n := range len(tags) {
		_, err := ParseOpusTags(tags[:n])
		assert.ErrorIs(t, err, media.ErrMalformed, "%d bytes", n)
	}
	for at, value := range map[int]byte{0: 'X', 11: 0xff, 18: 0xff, 22: 0xff} {
		raw := bytes.Clone(tags)
		raw[at] = value
		_, err := ParseOpusTags(raw)
		assert.ErrorIs(t, err, media.ErrMalformed, "byte %d", at)
	}
	_, err = ParseOpusTags(bytes.ReplaceAll(tags, []byte("TITLE="), []byte("TITLE ")))
	assert.ErrorContains(t, err, "comment 0 has no =")
}

func TestBadFilesAndArguments(t *testing.T) {
	_, _, err := NewWith(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, err = NewWithOptions(bytes.NewReader(nil), nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	refused := errors.New("refused")
	_, err = NewWithOptions(bytes.NewReader(nil), func(*OggReader) error { return refused })
	assert.ErrorIs(t, err, refused)
	_, _, err = NewWith(bytes.NewReader(nil))
	assert.Equal(t, io.EOF, err)
	_, _, err = NewWith(bytes.NewReader(file(tags)))
	assert.ErrorIs(t, err, media.ErrMalformed, "tags first")
	_, _, err = NewWith(bytes.NewReader(file(nil, stereo)))
	assert.ErrorIs(t, err, media.ErrMalformed)
	page := ogg.Split(stereo, 0, 0, 1, 0)[0].Encode()
	_, _, err = NewWith(bytes.NewReader(page))
	assert.ErrorIs(t, err, media.ErrMalformed, "head that begins nothing")
	for _, reader := range []*OggReader{nil, {}} {
		_, _, err = reader.ParseNextPage()
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
		_, _, err = reader.ParseNextPacket()
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
		reader.ResetReader(nil)
		reader.ResetReader(func(int64) io.Reader { return nil })
	}
	_, ok := (*OggPageHeader)(nil).HeaderType(stereo)
	assert.False(t, ok)
}

func FuzzOggReader(f *testing.F) {
	f.Add(file(stereo, tags, []byte("one")))
	f.Add(file(stereo, bytes.Repeat([]byte{7}, 600))[:300])
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, packets := range []bool{false, true} {
			reader, _ := NewWithOptions(bytes.NewReader(raw), WithDoChecksum(false))
			next := reader.ParseNextPage
			if packets {
				next = reader.ParseNextPacket
			}
			total := 0
			for {
				payload, header, err := next()
				if err != nil {
					break
				}
				if total += len(payload); total > len(raw) {
					t.Fatalf("%d bytes of %d", total, len(raw))
				}
				header.HeaderType(payload)
			}
		}
	})
}

func FuzzOpusHeaders(f *testing.F) {
	f.Add(stereo)
	f.Add(tags)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if header, err := ParseOpusHead(raw); err == nil && header.Channels == 0 {
			t.Fatal("no channels")
		}
		if tags, err := ParseOpusTags(raw); err == nil && 4*len(tags.UserComments) > len(raw) {
			t.Fatalf("%d comments in %d bytes", len(tags.UserComments), len(raw))
		}
	})
}
