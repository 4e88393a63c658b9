package rtpdump

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
)

var (
	header  = Header{Start: time.Unix(9, 5000).UTC(), Source: net.IPv4(2, 2, 2, 2), Port: 2222}
	packets = []Packet{
		{Offset: time.Millisecond, Payload: []byte{9}},
		{Offset: 999 * time.Millisecond, IsRTCP: true, Payload: []byte{1, 2, 3}},
		{Offset: 49 * 24 * time.Hour, Payload: bytes.Repeat([]byte{7}, MaxPayload)},
		{IsRTCP: true, Payload: []byte{}},
	}
)

func file(t testing.TB, packets ...Packet) []byte {
	t.Helper()
	out := &bytes.Buffer{}
	writer, err := NewWriter(out, header)
	require.NoError(t, err)
	for _, packet := range packets {
		require.NoError(t, writer.WritePacket(packet))
	}

	return out.Bytes()
}

func TestWrittenFilesAreReadBack(t *testing.T) {
	raw := file(t, packets...)
	assert.Equal(t, "#!rtpplay1.0 2.2.2.2/2222\n\x00\x00\x00\x09\x00\x00\x00\x05\x02\x02\x02\x02\x08\xae\x00\x00"+
		"\x00\x09\x00\x01\x00\x00\x00\x01\x09"+"\x00\x0b\x00\x00\x00\x00\x03\xe7\x01\x02\x03", string(raw[:62]))
	reader, got, err := NewReader(iotest.HalfReader(bytes.NewReader(raw)))
	require.NoError(t, err)
	assert.Equal(t, header, got)
	for i, packet := range packets {
		got, err := reader.Next()
		require.NoError(t, err)
		assert.Equal(t, packet, got, "packet %d", i)
		var parsed Packet
		one, err := packet.Marshal()
		require.NoError(t, err)
		require.NoError(t, parsed.Unmarshal(append(one, 1)))
		assert.Equal(t, packet, parsed)
		before := parsed
		assert.ErrorIs(t, parsed.Unmarshal(one[:len(one)-1]), media.ErrMalformed)
		assert.Equal(t, before, parsed)
	}
	for range 2 {
		_, err = reader.Next()
		assert.Equal(t, io.EOF, err)
	}
}

func TestFilesThatAreCutOff(t *testing.T) {
	whole := file(t, packets[:2]...)
	for cut := range len(whole) {
		reader, _, err := NewReader(bytes.NewReader(whole[:cut]))
		for err == nil {
			_, err = reader.Next()
		}
		switch cut {
		case 0, 42, 51:
			assert.Equal(t, io.EOF, err, "%d bytes", cut)
		default:
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", cut)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for _, line := range []string{
		"garbage", "#!rtpplay1.0 ", "#!rtpplay1.0 1.2.3.4", "#!rtpplay1.0 1.2.3.4/70000", "#!rtpplay1.0 1.2.3/4",
		"#!rtpplay1.0 1.2.3.4/5" + string(make([]byte, 200)),
	} {
		_, _, err := NewReader(bytes.NewReader(append([]byte(line+"\n"), make([]byte, headerSize)...)))
		assert.ErrorIs(t, err, media.ErrMalformed, line)
	}
	for _, line := range []string{"#!rtpplay1.0 1.2.3.4/5", "#!rtpplay1.0 ::1/5"} {
		_, _, err := NewReader(bytes.NewReader(append([]byte(line+"\n"), make([]byte, headerSize)...)))
		assert.NoError(t, err, line)
	}
	raw := file(t, packets[0])
	raw[43] = 7
	reader, _, err := NewReader(bytes.NewReader(raw))
	require.NoError(t, err)
	_, err = reader.Next()
	assert.ErrorIs(t, err, media.ErrMalformed, "shorter than its header")
	assert.ErrorContains(t, err, "packet 0 at byte 42")
	raw = file(t)
	raw[30] = 0xff
	_, _, err = NewReader(bytes.NewReader(raw))
	assert.ErrorIs(t, err, media.ErrMalformed, "microseconds")
	broken := errors.New("broken")
	_, _, err = NewReader(iotest.ErrReader(broken))
	assert.ErrorIs(t, err, broken)
}

func TestBadArguments(t *testing.T) {
	for _, header := range []Header{
		{Source: net.ParseIP("::1")},
		{Source: net.IP{1}},
		{Start: time.Unix(-1, 0)},
		{Start: time.Unix(1<<32, 0)},
	} {
		_, err := NewWriter(io.Discard, header)
		assert.ErrorIs(t, err, media.ErrInvalidArgument, "%v", header)
	}
	out := &bytes.Buffer{}
	_, err := NewWriter(out, Header{})
	require.NoError(t, err)
	assert.Equal(t, "#!rtpplay1.0 0.0.0.0/0\n"+string(make([]byte, headerSize)), out.String())

	writer, err := NewWriter(io.Discard, header)
	require.NoError(t, err)
	for is, packet := range map[error]Packet{
		media.ErrInvalidArgument: {},
		media.ErrTooLarge:        {Payload: make([]byte, MaxPayload+1)},
	} {
		assert.ErrorIs(t, writer.WritePacket(packet), is)
	}
	for _, offset := range []time.Duration{-1, 1 << 32 * time.Millisecond} {
		assert.ErrorIs(t, writer.WritePacket(Packet{Offset: offset, Payload: []byte{1}}), media.ErrInvalidArgument)
	}
	_, err = NewWriter(nil, header)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	_, _, err = NewReader(nil)
	assert.ErrorIs(t, err, media.ErrInvalidArgument)
	for _, reader := range []*Reader{nil, {}} {
		_, err = reader.Next()
		assert.ErrorIs(t, err, media.ErrInvalidArgument)
	}
	for _, writer := range []*Writer{nil, {}} {
		assert.ErrorIs(t, writer.WritePacket(packets[0]), media.ErrInvalidArgument)
	}
	assert.ErrorIs(t, (*Header)(nil).Unmarshal(nil), media.ErrInvalidArgument)
	assert.ErrorIs(t, (*Packet)(nil).Unmarshal(nil), media.ErrInvalidArgument)
	assert.ErrorIs(t, new(Header).Unmarshal(nil), media.ErrMalformed)
	assert.ErrorIs(t, new(Packet).Unmarshal(nil), media.ErrMalformed)

	broken := errors.New("broken")
	_, err = NewWriter(&mediatest.Broken{Err: broken}, header)
	assert.ErrorIs(t, err, broken)
	writer, err = NewWriter(&mediatest.Broken{After: 42, Err: broken}, header)
	require.NoError(t, err)
	assert.ErrorIs(t, writer.WritePacket(packets[0]), broken)
}

func FuzzRTPDumpReader(f *testing.F) {
	f.Add(file(f, packets[0], packets[1]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		reader, header, err := NewReader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if _, err := header.Marshal(); err != nil {
			t.Fatal(err)
		}
		for {
			packet, err := reader.Next()
			if err != nil {
				return
			}
			_, err = packet.Marshal()
			if err != nil && (packet.IsRTCP || len(packet.Payload) > 0) {
				t.Fatal(err)
			}
		}
	})
}
