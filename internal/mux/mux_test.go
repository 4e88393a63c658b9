package mux

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is a path that plays back packets, then ends with an error.
type script struct {
	packets  [][]byte
	loop     bool
	next     int
	end      error
	written  [][]byte
	deadline time.Time
}

func (s *script) Read(p []byte) (int, error) {
	if s.next == len(s.packets) {
		if !s.loop {
			return 0, s.end
		}
		s.next = 0
	}
	packet := s.packets[s.next]
	s.next++
	n := copy(p, packet)
	if n < len(packet) {
		return n, io.ErrShortBuffer
	}

	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.written = append(s.written, bytes.Clone(p))

	return len(p), nil
}

func (s *script) SetReadDeadline(t time.Time) error {
	s.deadline = t

	return nil
}
func (s *script) LocalAddr() net.Addr  { return &net.UDPAddr{Port: 1} }
func (s *script) RemoteAddr() net.Addr { return &net.UDPAddr{Port: 2} }

func TestClassify(t *testing.T) {
	// The borders of RFC 7983's figure, and both sides of each.
	for _, test := range []struct {
		packet []byte
		want   Class
	}{
		{nil, ClassUnknown},
		{[]byte{}, ClassUnknown},
		{[]byte{0}, ClassSTUN},
		{[]byte{3}, ClassSTUN},
		{[]byte{4}, ClassUnknown},
		{[]byte{15}, ClassUnknown},
		{[]byte{16}, ClassZRTP},
		{[]byte{19}, ClassZRTP},
		{[]byte{20}, ClassDTLS},
		{[]byte{63}, ClassDTLS},
		{[]byte{64}, ClassTURNChannel},
		{[]byte{79}, ClassTURNChannel},
		{[]byte{80}, ClassUnknown},
		{[]byte{127, 200}, ClassUnknown},
		{[]byte{128}, ClassUnknown},
		{[]byte{128, 0}, ClassSRTP},
		{[]byte{128, 191}, ClassSRTP},
		{[]byte{128, 192}, ClassSRTCP},
		{[]byte{191, 223}, ClassSRTCP},
		{[]byte{191, 224}, ClassSRTP},
		{[]byte{192, 200}, ClassUnknown},
		{[]byte{255}, ClassUnknown},
	} {
		assert.Equal(t, test.want, Classify(test.packet), "% x", test.packet)
	}
}

func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range classes {
		require.NotEmpty(t, c.String())
		require.False(t, seen[c.String()], c.String())
		seen[c.String()] = true
	}
	require.Equal(t, "unknown", Class(200).String())
}

func TestReadDTLSHandsOutMediaOnTheWay(t *testing.T) {
	dtls, rtp, rtcp := []byte{22, 1, 2}, []byte{128, 96, 7}, []byte{129, 200, 8}
	path := &script{end: io.EOF, packets: [][]byte{
		rtp, {0, 1}, {}, {16}, {64}, {90}, rtcp, dtls, rtp, {23, 9},
	}}
	m := New(path)
	type media struct {
		class  Class
		packet string
	}
	var got []media
	m.HandleMedia(func(class Class, packet []byte) {
		got = append(got, media{class, string(packet)})
	})

	buf := make([]byte, 100)
	n, err := m.ReadDTLS(buf)
	require.NoError(t, err)
	require.Equal(t, dtls, buf[:n])
	require.Equal(t, []media{{ClassSRTP, string(rtp)}, {ClassSRTCP, string(rtcp)}}, got)

	m.HandleMedia(nil)
	n, err = m.Read(buf)
	require.NoError(t, err)
	require.Equal(t, []byte{23, 9}, buf[:n])
	require.Len(t, got, 2, "dropped without a handler")

	_, err = m.ReadDTLS(buf)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, Stats{
		Unknown: 2, STUN: 1, ZRTP: 1, DTLS: 2, TURNChannel: 1, SRTP: 2, SRTCP: 1, MediaDropped: 1,
	}, m.Stats())
}

func TestReadDTLSDropsWhatDoesNotFit(t *testing.T) {
	path := &script{end: io.EOF, packets: [][]byte{bytes.Repeat([]byte{22}, 11), {22, 1}}}
	m := New(path)
	buf := make([]byte, 10)
	n, err := m.ReadDTLS(buf)
	require.NoError(t, err)
	require.Equal(t, []byte{22, 1}, buf[:n])
	require.Equal(t, Stats{DTLS: 1, Oversized: 1}, m.Stats())
}

func TestReadDTLSReturnsThePathsError(t *testing.T) {
	broken := errors.New("broken")
	_, err := New(&script{end: broken}).ReadDTLS(make([]byte, 10))
	require.Equal(t, broken, err)
}

func TestPassThrough(t *testing.T) {
	path := &script{}
	m := New(path)
	n, err := m.Write([]byte("abc"))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, [][]byte{[]byte("abc")}, path.written)

	deadline := time.Unix(5, 0)
	require.NoError(t, m.SetReadDeadline(deadline))
	require.Equal(t, deadline, path.deadline)
	require.Equal(t, ":1", m.LocalAddr().String())
	require.Equal(t, ":2", m.RemoteAddr().String())
}

func TestReadDTLSDoesNotAllocate(t *testing.T) {
	m := New(&script{loop: true, packets: [][]byte{{0, 1}, {128, 96}, {129, 200}, {22, 1, 2}}})
	media := 0
	m.HandleMedia(func(Class, []byte) { media++ })
	buf := make([]byte, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if n, err := m.ReadDTLS(buf); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}))
	require.NotZero(t, media)
}

// FuzzReadDTLS checks that every packet goes to exactly one place and that
// nothing but DTLS reaches the reader.
func FuzzReadDTLS(f *testing.F) {
	for _, seed := range [][]byte{{}, {0}, {22, 1}, {128}, {128, 96, 0}, {128, 200, 0}, {255, 255}} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, handle bool) {
		m := New(&script{end: io.EOF, packets: [][]byte{packet}})
		media := 0
		if handle {
			m.HandleMedia(func(class Class, got []byte) {
				media++
				assert.Equal(t, packet, got)
				assert.Contains(t, []Class{ClassSRTP, ClassSRTCP}, class)
			})
		}
		buf := make([]byte, len(packet)+1)
		n, err := m.ReadDTLS(buf)
		class := Classify(packet)
		require.Equal(t, class == ClassDTLS, err == nil)
		if err == nil {
			require.Equal(t, packet, buf[:n])
			require.True(t, packet[0] >= 20 && packet[0] <= 63)
		}
		s := m.Stats()
		require.EqualValues(t, 1, s.Unknown+s.STUN+s.ZRTP+s.DTLS+s.TURNChannel+s.SRTP+s.SRTCP)
		require.Equal(t, s.SRTP+s.SRTCP, s.MediaDropped+uint64(media))
	})
}
