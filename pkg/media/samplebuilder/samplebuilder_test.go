package samplebuilder

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/mediatest"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

// letters is a codec whose samples are words: an upper case letter begins one,
// and the marker ends it. A payload with ! is none of its.
type letters struct{}

func (letters) Unmarshal(payload []byte) ([]byte, error) {
	if bytes.Contains(payload, []byte("!")) {
		return nil, errors.New("not a letter")
	}

	return payload, nil
}

func (letters) IsPartitionHead(payload []byte) bool {
	return len(payload) > 0 && payload[0] >= 'A' && payload[0] <= 'Z'
}

func (letters) IsPartitionTail(marker bool, _ []byte) bool { return marker }

// packet of a clock of one tick a second. A payload that ends with a dot has the
// marker.
func packet(number uint16, timestamp uint32, payload string) *rtp.Packet {
	data := bytes.TrimSuffix([]byte(payload), []byte("."))

	return &rtp.Packet{
		Header:  rtp.Header{SequenceNumber: number, Timestamp: timestamp, Marker: len(data) < len(payload)},
		Payload: data,
	}
}

// built is a sample in short.
type built struct {
	data    string
	at      uint32
	seconds float64
	dropped uint16
}

func pop(s *SampleBuilder) (all []built) {
	for sample := s.Pop(); sample != nil; sample = s.Pop() {
		all = append(all, built{
			string(sample.Data), sample.PacketTimestamp, sample.Duration.Seconds(), sample.PrevDroppedPackets,
		})
	}

	return all
}

func TestSamples(t *testing.T) {
	for _, c := range []struct {
		what    string
		late    uint16
		delay   time.Duration
		packets []*rtp.Packet
		want    []built
		flushed []built
	}{
		{
			what:    "one waits for what follows",
			late:    10,
			packets: []*rtp.Packet{packet(1, 5, "A.")},
			flushed: []built{{"A", 5, 0, 0}},
		},
		{
			what:    "packets of a sample are put together",
			late:    10,
			packets: []*rtp.Packet{packet(1, 5, "A"), packet(2, 5, "b"), packet(3, 5, "c."), packet(4, 7, "D.")},
			want:    []built{{"Abc", 5, 2, 0}},
			flushed: []built{{"D", 7, 0, 0}},
		},
		{
			what:    "another timestamp ends a sample as well",
			late:    10,
			packets: []*rtp.Packet{packet(1, 5, "A"), packet(2, 5, "b"), packet(3, 7, "D"), packet(4, 8, "E")},
			want:    []built{{"Ab", 5, 2, 0}, {"D", 7, 1, 0}},
		},
		{
			what: "any order, over the wrap of both",
			late: 10,
			packets: []*rtp.Packet{
				packet(65535, math.MaxUint32, "b."), packet(1, 3, "d."), packet(65534, math.MaxUint32, "A"),
				packet(0, 3, "C"), packet(2, 4, "E"),
			},
			want: []built{{"Ab", math.MaxUint32, 4, 0}, {"Cd", 3, 1, 0}},
		},
		{
			what:    "a gap is waited for",
			late:    4,
			packets: []*rtp.Packet{packet(1, 1, "A."), packet(2, 2, "B."), packet(4, 4, "D."), packet(5, 5, "E.")},
			want:    []built{{"A", 1, 1, 0}},
			flushed: []built{{"B", 2, 2, 0}, {"D", 4, 1, 1}, {"E", 5, 0, 0}},
		},
		{
			what: "and given up",
			late: 4,
			packets: []*rtp.Packet{
				packet(1, 1, "A."), packet(2, 2, "B."), packet(4, 4, "D."), packet(5, 5, "E."), packet(6, 6, "F."),
				packet(7, 7, "G."),
			},
			want: []built{{"A", 1, 1, 0}, {"B", 2, 2, 0}, {"D", 4, 1, 1}, {"E", 5, 1, 0}, {"F", 6, 1, 0}},
		},
		{
			what:  "by time",
			late:  100,
			delay: 5 * time.Second,
			packets: []*rtp.Packet{
				packet(1, 1, "A"), packet(3, 1, "c."), packet(4, 5, "D."), packet(5, 6, "E."), packet(6, 7, "F."),
			},
			want: []built{{"D", 5, 1, 3}, {"E", 6, 1, 0}},
		},
		{
			what:    "what does not begin a sample is dropped",
			late:    10,
			packets: []*rtp.Packet{packet(1, 1, "a"), packet(2, 1, "b."), packet(3, 3, "C."), packet(4, 4, "D")},
			want:    []built{{"C", 3, 1, 2}},
		},
		{
			what:    "what is not of the codec is dropped",
			late:    10,
			packets: []*rtp.Packet{packet(1, 1, "A"), packet(2, 1, "!."), packet(3, 3, "C."), packet(4, 4, "D")},
			want:    []built{{"C", 3, 1, 2}},
		},
		{
			what: "padding is no loss and takes no time",
			late: 10,
			packets: []*rtp.Packet{
				packet(1, 1, "A."), packet(2, 1, ""), packet(3, 1, ""), packet(4, 4, "B."), packet(5, 5, "C"),
			},
			want: []built{{"A", 1, 3, 0}, {"B", 4, 1, 0}},
		},
		{
			what:    "twice is once, and late is not at all",
			late:    2,
			packets: []*rtp.Packet{packet(1, 1, "A."), packet(1, 1, "X."), packet(5, 5, "E."), packet(2, 2, "B."), packet(6, 6, "F.")},
			want:    []built{{"A", 1, 4, 0}, {"E", 5, 1, 3}},
		},
		{
			what:    "no waiting at all",
			packets: []*rtp.Packet{packet(1, 1, "A."), packet(2, 2, "B"), packet(3, 2, "c.")},
			want:    []built{{"A", 1, 0, 0}},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := New(c.late, letters{}, 1, WithMaxTimeDelay(c.delay))
			for _, packet := range c.packets {
				s.Push(packet)
			}
			assert.Equal(t, c.want, pop(s))
			if c.flushed != nil {
				s.Flush()
				assert.Equal(t, c.flushed, pop(s))
			}
		})
	}
}

// A source that begins anew far back is followed at its second packet, and not
// when its numbers have come to those of before.
func TestASourceThatBeginsAnew(t *testing.T) {
	s := New(10, letters{}, 1)
	for i := range uint16(5) {
		s.Push(packet(1000+i, uint32(i), "A."))
	}
	assert.Len(t, pop(s), 4)
	for i := range uint16(5) {
		s.Push(packet(500+i, 100+uint32(i), "B."))
	}
	assert.Equal(t, []built{{"A", 4, 0, 0}, {"B", 101, 1, 0}, {"B", 102, 1, 0}, {"B", 103, 1, 0}}, pop(s))
	// After a flush it is at its first.
	s.Flush()
	pop(s)
	s.Push(packet(9, 1, "C."))
	s.Push(packet(10, 2, "C."))
	assert.Len(t, pop(s), 1)
}

// Whatever becomes of a packet, it is released once.
func TestEachPacketIsReleasedOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		released := map[*rtp.Packet]int{}
		s := New(uint16(random.UintN(20)), letters{}, 1, WithPacketReleaseHandler(func(p *rtp.Packet) { released[p]++ }))
		pushed := 0
		for i := range 300 {
			number := uint16(i + random.IntN(30))
			if random.IntN(50) == 0 {
				number = uint16(random.Uint32())
			}
			s.Push(packet(number, uint32(number)/3, []string{"A", "b", "c.", "D.", "", "!"}[random.IntN(6)]))
			pushed++
			if random.IntN(3) == 0 {
				s.Pop()
			}
		}
		s.Flush()
		require.Len(t, released, pushed)
		for _, count := range released {
			require.Equal(t, 1, count)
		}
		assert.Empty(t, s.packets)
	}
}

func TestMetadataAndHeaders(t *testing.T) {
	s := New(10, letters{}, 1, WithRTPHeaders(true), WithPacketHeadHandler(func(head any) any {
		assert.IsType(t, letters{}, head)

		return "seen"
	}), nil)
	first := packet(1, 1, "A")
	require.NoError(t, first.SetExtension(1, []byte{42}))
	for _, packet := range []*rtp.Packet{first, packet(2, 1, "b."), packet(3, 2, "C.")} {
		s.Push(packet)
	}
	sample, timestamp := s.PopWithTimestamp()
	require.NotNil(t, sample)
	assert.EqualValues(t, 1, timestamp)
	assert.Equal(t, "seen", sample.Metadata)
	require.Len(t, sample.RTPHeaders, 2)
	assert.Equal(t, []byte{42}, sample.RTPHeaders[0].GetExtension(1))
	assert.NotSame(t, &first.Header, sample.RTPHeaders[0])
	sample, timestamp = s.PopWithTimestamp()
	assert.Nil(t, sample)
	assert.Zero(t, timestamp)
}

// What ffmpeg encoded comes out of packets that are mixed up as it was.
func TestVideo(t *testing.T) {
	raw, err := os.ReadFile("../../../testdata/media/test.ivf")
	require.NoError(t, err)
	reader, _, err := ivfreader.NewWith(bytes.NewReader(raw))
	require.NoError(t, err)
	var want [][]byte
	for {
		frame, _, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		want = append(want, frame)
	}
	packets := mediatest.Packets(&codecs.VP8Payloader{}, 3000, want...)
	for i := 0; i+2 < len(packets); i += 3 {
		packets[i], packets[i+2] = packets[i+2], packets[i]
	}
	s := New(50, &codecs.VP8Packet{}, 90_000)
	var got []*media.Sample
	for _, packet := range packets {
		s.Push(packet)
		for sample := s.Pop(); sample != nil; sample = s.Pop() {
			got = append(got, sample)
		}
	}
	s.Flush()
	got = append(got, s.Pop())
	require.Len(t, got, len(want))
	for i, sample := range got {
		require.True(t, bytes.Equal(want[i], sample.Data), "frame %d", i)
		require.Zero(t, sample.PrevDroppedPackets)
		if i < len(got)-1 {
			require.Equal(t, time.Second/30, sample.Duration)
		}
	}
}

func TestZeroAndNil(t *testing.T) {
	var none *SampleBuilder
	none.Push(packet(1, 1, "A."))
	none.Flush()
	assert.Nil(t, none.Pop())

	released := 0
	s := New(5, nil, 1, WithPacketReleaseHandler(func(*rtp.Packet) { released++ }))
	s.Push(nil)
	s.Push(packet(1, 1, "A."))
	s.Flush()
	assert.Nil(t, s.Pop())
	assert.Equal(t, 1, released)

	s = New(5, letters{}, 0)
	s.Push(packet(1, 1, "A."))
	s.Push(packet(2, 2, "B."))
	assert.Equal(t, []built{{"A", 1, 0, 0}}, pop(s))
	New(5, letters{}, 1, WithMaxTimeDelay(math.MaxInt64)).Push(packet(1, 1, "A"))
}

// A program that never pops does not make the builder grow without bounds, and
// is told what it missed.
func TestWhatIsNotPoppedIsBounded(t *testing.T) {
	s := New(0, letters{}, 1)
	const extra = 10
	for i := range uint32(maxReady + extra) {
		s.Push(packet(uint16(i), i, "A."))
	}
	assert.Len(t, s.ready, maxReady)
	sample := s.Pop()
	assert.EqualValues(t, extra, sample.PacketTimestamp)
	assert.EqualValues(t, extra, sample.PrevDroppedPackets)
}

func FuzzSampleBuilder(f *testing.F) {
	f.Add(uint16(5), uint8(3), []byte{1, 1, 'A', 1, 1, 'b', 200, 3, 'C'})
	f.Fuzz(func(t *testing.T, late uint16, delay uint8, raw []byte) {
		pushed, released := 0, 0
		s := New(late, letters{}, 1, WithMaxTimeDelay(time.Duration(delay)*time.Second),
			WithPacketReleaseHandler(func(*rtp.Packet) { released++ }))
		number, timestamp := uint16(0), uint32(0)
		// Each packet is a step of its number, one of its time, and a letter.
		for ; len(raw) > 2; raw = raw[3:] {
			number += uint16(int8(raw[0]))
			timestamp += uint32(int8(raw[1]))
			p := packet(number, timestamp, string(raw[2]&0x7f))
			p.Marker = raw[2]&0x80 != 0
			s.Push(p)
			pushed++
			if raw[1]&1 != 0 {
				s.Pop()
			}
			if len(s.packets) > int(late)+1 {
				t.Fatalf("%d packets wait", len(s.packets))
			}
		}
		s.Flush()
		for s.Pop() != nil {
		}
		if released != pushed || len(s.packets) != 0 {
			t.Fatalf("%d of %d released, %d left", released, pushed, len(s.packets))
		}
	})
}
