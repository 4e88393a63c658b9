package srtpsession

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPacketsArriveWithEveryProfile(t *testing.T) {
	for name, profile := range profiles {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, profile, defaults())
			s := b.stream(t, 1)
			h := header(1, 65535)
			require.NoError(t, h.SetExtension(1, []byte("mid")))
			h.CSRC = []uint32{7, 8}
			for i := range 3 { // the number turns over
				payload := bytes.Repeat([]byte{byte(i)}, 100*i)
				n, err := a.WriteRTP(h, payload)
				require.NoError(t, err)
				want, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
				require.NoError(t, err)
				require.Len(t, want, n)
				sent := a.wire.take(t)
				require.NotContains(t, string(sent), string(append(bytes.Repeat([]byte{byte(i)}, 12), payload...)))
				b.HandleRTP(sent)
				p, err := s.Next(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, p.Data)
				require.False(t, p.Repair)
				p.Release()
				h.SequenceNumber++
			}
			b.HandleRTCP(a.report(t, 9))
			require.Equal(t, [][]byte{{0x80, 201, 0, 1, 0, 0, 0, 9}}, b.reports)
			require.Equal(t, Stats{RTP: 3, RTCP: 1}, b.Stats())
			require.EqualValues(t, 3, s.Packets())
			require.Zero(t, b.queued.Load())
		})
	}
}

// Every packet that is dropped is counted once, and leaves nothing behind.
func TestX4_WhatIsWrongIsDroppedAndCounted(t *testing.T) {
	for name, profile := range profiles {
		for _, row := range []struct {
			name string
			make func(tb testing.TB, a *end) []byte
			rtcp bool
			want Stats
		}{
			{"nothing", func(testing.TB, *end) []byte { return nil }, false, Stats{Malformed: 1}},
			{"no RTCP at all", func(testing.TB, *end) []byte { return nil }, true, Stats{Malformed: 1}},
			{"a short header", func(testing.TB, *end) []byte { return make([]byte, 11) }, false, Stats{Malformed: 1}},
			{"a short report", func(testing.TB, *end) []byte { return make([]byte, 7) }, true, Stats{Malformed: 1}},
			{"no tag", func(tb testing.TB, a *end) []byte { return a.packet(tb, header(1, 1), nil)[:12] }, false, Stats{Malformed: 1}},
			{"half a tag", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), nil)

				return p[:len(p)-5]
			}, false, Stats{Malformed: 1}},
			{"a report without a tag", func(tb testing.TB, a *end) []byte { return a.report(tb, 1)[:12] }, true, Stats{Malformed: 1}},
			{"one bit of the payload", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), []byte("payload"))
				p[12] ^= 1

				return p
			}, false, Stats{Forged: 1}},
			{"one bit of the header", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), []byte("payload"))
				p[1] ^= 0x80

				return p
			}, false, Stats{Forged: 1}},
			{"another SSRC", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(2, 1), []byte("payload"))
				p[11] = 1

				return p
			}, false, Stats{Forged: 1}},
			{"a header extension beyond the end", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), make([]byte, 100))
				p[0] |= 0x10
				p[12], p[13], p[14], p[15] = 0xbe, 0xde, 0xff, 0xff

				return p
			}, false, Stats{Malformed: 1}},
			{"contributing sources beyond the end", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), make([]byte, 20))
				p[0] |= 0x0f

				return p
			}, false, Stats{Malformed: 1}},
			{"an extension into the tag", func(tb testing.TB, a *end) []byte {
				p := a.packet(tb, header(1, 1), make([]byte, 4))
				p[0] |= 0x10
				p[12], p[13], p[14], p[15] = 0xbe, 0xde, 0, 2

				return p
			}, false, Stats{Malformed: 1}},
			{"a report with another bit", func(tb testing.TB, a *end) []byte {
				p := a.report(tb, 1)
				p[8] ^= 1

				return p
			}, true, Stats{Forged: 1}},
			{"nobody's", func(tb testing.TB, a *end) []byte { return a.packet(tb, header(3, 1), nil) }, false, Stats{Unclaimed: 1}},
		} {
			t.Run(name+" "+row.name, func(t *testing.T) {
				a, b := pair(t, profile, defaults())
				s := b.stream(t, 1)
				p := row.make(t, a)
				if row.rtcp {
					b.HandleRTCP(p)
				} else {
					b.HandleRTP(p)
				}
				require.Equal(t, row.want, b.Stats())
				require.Empty(t, s.waiting())
				require.Empty(t, b.reports)
				if row.want.Unclaimed == 0 {
					require.Empty(t, b.claimed)
					require.Zero(t, b.in.rtp.all)
				}
				// And the next is taken.
				b.HandleRTP(a.packet(t, header(1, 2), []byte("next")))
				require.Equal(t, []uint16{2}, s.waiting())
			})
		}
	}
}

// Padding is what an authentic peer may get wrong.
func TestPaddingHasToLieBehindTheHeader(t *testing.T) {
	for _, row := range []struct {
		name  string
		plain []byte
		good  bool
	}{
		{"nothing but padding", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3}, true},
		{"one byte of it", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1}, true},
		{"no byte for its length", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, false},
		{"none", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, false},
		{"into the header", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 4}, false},
		{"as far as it goes", []byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 255}, false},
		{"behind a source", []byte{0xa1, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 1}, true},
		{"into a source", []byte{0xa1, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 2}, false},
		{"into an extension", []byte{0xb0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0, 0, 0, 0, 2}, false},
		{"behind an extension", []byte{0xb0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0, 0, 0, 0, 1}, true},
	} {
		for name, profile := range profiles {
			t.Run(row.name+" "+name, func(t *testing.T) {
				_, b := pair(t, profile, defaults())
				s := b.stream(t, 1)
				b.HandleRTP(rawOf(t, profile).rtp(t, row.plain))
				if row.good {
					require.Equal(t, []uint16{1}, s.waiting())
				} else {
					require.Empty(t, s.waiting())
					require.Equal(t, Stats{Malformed: 1}, b.Stats())
				}
			})
		}
	}
}

func TestReplayedPacketsAreTakenOnce(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	s := b.stream(t, 1)
	first, report := a.packet(t, header(1, 1), nil), a.report(t, 1)
	for range 3 {
		b.HandleRTP(slices.Clone(first))
		b.HandleRTCP(slices.Clone(report))
	}
	late := a.packet(t, header(1, 2), nil)
	b.HandleRTP(a.packet(t, header(1, 66), nil))
	b.HandleRTP(late) // 64 behind
	require.Equal(t, []uint16{1, 66}, s.waiting())
	require.Len(t, b.reports, 1)
	require.Equal(t, Stats{RTP: 2, RTCP: 1, Replayed: 5}, b.Stats())
}

// However many SSRCs a peer has, few have state, and what was signaled always has.
func TestX4_UnsignaledStreamsAreLimited(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	for i := range uint32(100) {
		b.HandleRTP(a.packet(t, header(1000+i, 1), nil))
		b.HandleRTCP(a.report(t, 1000+i))
	}
	require.Len(t, b.in.rtp.nobodys, 8)
	require.Len(t, b.in.rtcp.nobodys, 8)
	require.Len(t, b.claimed, 8)
	require.Len(t, b.reports, 8)
	require.Equal(t, Stats{RTCP: 8, Unclaimed: 8, TooMany: 2 * 92}, b.Stats())
	for i := range uint32(100) {
		_, known := b.in.srtp.ROC(1000 + i)
		require.Equal(t, i < 8, known)
		_, known = b.in.srtp.Index(1000 + i)
		require.Equal(t, i < 8, known)
	}
	s := b.stream(t, 5, 1050)
	for _, ssrc := range []uint32{5, 1050} {
		b.HandleRTP(a.packet(t, header(ssrc, 2), nil))
		b.HandleRTCP(a.report(t, ssrc))
	}
	require.Equal(t, []uint16{2, 2}, s.waiting())
	require.Len(t, b.reports, 10)
	// Those that have state go on.
	b.HandleRTP(a.packet(t, header(1000, 2), nil))
	require.Len(t, b.claimed, 9)
}

// Forged packets of as many SSRCs as there are leave no state at all.
func TestX4_ForgedPacketsHaveNoState(t *testing.T) {
	_, b := pair(t, gcm, defaults())
	count := uint32(100000)
	if raceOn {
		count = 10000 // it takes ten times as long
	}
	p := make([]byte, 100)
	for i := range count {
		p[0] = 0x80
		binary.BigEndian.PutUint32(p[8:], i)
		b.HandleRTP(p)
		binary.BigEndian.PutUint32(p[4:], i)
		b.HandleRTCP(p)
	}
	require.Zero(t, b.in.rtp.all)
	require.Zero(t, b.in.rtcp.all)
	require.Equal(t, Stats{Forged: 2 * uint64(count)}, b.Stats())
	for i := range count {
		if _, known := b.in.srtp.ROC(i); known {
			t.Fatalf("state of the SSRC %d", i)
		}
	}
}

func TestClaimAttaches(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	var begun []uint16
	s := b.NewStream(func(h *rtp.Header) { begun = append(begun, h.SequenceNumber) })
	b.claims = func(h *rtp.Header) bool { return h.PayloadType == 96 && s.Attach(h.SSRC, false) == nil }
	b.HandleRTP(a.packet(t, header(1, 1), nil))
	b.HandleRTP(a.packet(t, header(1, 2), nil))
	other := header(2, 3)
	other.PayloadType = 97
	b.HandleRTP(a.packet(t, other, nil))
	require.Equal(t, []uint16{1, 2}, s.waiting())
	require.Equal(t, []uint32{1, 2}, b.claimed)
	require.Equal(t, []uint16{1}, begun)
	require.Equal(t, Stats{RTP: 2, Unclaimed: 1}, b.Stats())
}

// A Claim that says yes and attaches nothing is a no.
func TestClaimThatAttachesNothing(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	b.claims = func(*rtp.Header) bool { return true }
	b.HandleRTP(a.packet(t, header(1, 1), nil))
	require.Equal(t, Stats{Unclaimed: 1}, b.Stats())
}

func TestOtherPayloadTypesAreDropped(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	s := b.stream(t, 1)
	send := func(number uint16, payloadType uint8) {
		h := header(1, number)
		h.PayloadType = payloadType
		b.HandleRTP(a.packet(t, h, nil))
	}
	send(1, 5)
	s.Accept([]uint8{96, 127})
	send(2, 5)
	send(3, 96)
	send(4, 127)
	s.Accept(nil)
	send(5, 5)
	require.Equal(t, []uint16{1, 3, 4, 5}, s.waiting())
	require.Equal(t, Stats{RTP: 4, WrongType: 1}, b.Stats())
}

func TestBeforeThereAreKeys(t *testing.T) {
	a, _ := pair(t, gcm, defaults())
	b := newEnd(defaults())
	s := b.stream(t, 1)
	b.HandleRTP(a.packet(t, header(1, 1), nil))
	b.HandleRTCP(a.report(t, 1))
	require.Equal(t, Stats{Early: 1}, b.Stats(), "RTP waits for the keys")
	require.Empty(t, s.waiting())
	for range 2 {
		n, err := b.WriteRTP(header(1, 1), nil)
		require.ErrorIs(t, err, ErrNotStarted)
		require.Zero(t, n)
		n, err = b.WriteRTCP(make([]byte, 8))
		require.ErrorIs(t, err, ErrNotStarted)
		require.Zero(t, n)
	}
	select {
	case <-b.Started():
		t.Fatal("started")
	default:
	}
	keys, _ := keysOf(t, gcm)
	keys.Profile = 99
	require.Error(t, b.Start(&b.wire, keys))
	keys, _ = keysOf(t, gcm)
	require.NoError(t, b.Start(&b.wire, keys))
	<-b.Started()
}

// TestX4_EarlyPacketsWaitForTheKeys shows that they are taken in their order, and that
// only so many wait.
func TestX4_EarlyPacketsWaitForTheKeys(t *testing.T) {
	for _, row := range []struct {
		name        string
		size, taken int
	}{
		{"small", 100, maxEarly},
		{"large", 3000, maxEarlyBytes / (3000 + rtpHeader + 16)},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := defaults()
			config.MaxQueued, config.MaxQueuedBytes = 1000, 1<<20
			a, b := newEnd(defaults()), newEnd(config)
			forA, forB := keysOf(t, gcm)
			require.NoError(t, a.Start(&a.wire, forA))
			s := b.stream(t, 1)
			var want []uint16
			for number := range uint16(100) {
				b.HandleRTP(a.packet(t, header(1, number), make([]byte, row.size)))
				if int(number) < row.taken {
					want = append(want, number)
				}
			}
			require.Equal(t, Stats{Early: uint64(100 - row.taken)}, b.Stats())
			require.Empty(t, s.waiting())
			require.NoError(t, b.Start(&b.wire, forB))
			b.HandleRTP(a.packet(t, header(1, 100), nil))
			require.Equal(t, append(want, 100), s.waiting())
			require.Nil(t, b.in.early)
		})
	}
	a, _ := pair(t, gcm, defaults())
	b := newEnd(defaults())
	for range 2 {
		b.HandleRTP(a.packet(t, header(1, 1), nil))
		b.Close(os.ErrClosed)
		require.Nil(t, b.in.early, "nobody waits for them")
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	a, _ := pair(t, gcm, defaults())
	for _, row := range []struct {
		name    string
		header  rtp.Header
		payload int
		is      error
	}{
		{"one byte too many", rtp.Header{Version: 2}, MaxPacket - rtpHeader + 1, ErrTooLarge},
		{"padding that makes it too many", rtp.Header{Version: 2, Padding: true, PaddingSize: 1}, MaxPacket - rtpHeader, ErrTooLarge},
		{"too many sources", rtp.Header{Version: 2, CSRC: make([]uint32, 16)}, 1, ErrTooManySources},
		{"padding of no size", rtp.Header{Version: 2, Padding: true}, 1, ErrPadding},
		{"a size of no padding", rtp.Header{Version: 2, PaddingSize: 1}, 1, ErrPadding},
	} {
		n, err := a.WriteRTP(&row.header, make([]byte, row.payload))
		require.Error(t, err, row.name)
		require.ErrorIs(t, err, row.is, row.name)
		require.Zero(t, n, row.name)
	}
	n, err := a.WriteRTP(&rtp.Header{Version: 2}, make([]byte, MaxPacket-rtpHeader))
	require.NoError(t, err)
	require.Equal(t, MaxPacket, n)
	n, err = a.WriteRTCP(make([]byte, MaxPacket+1))
	require.ErrorIs(t, err, ErrTooLarge)
	require.Zero(t, n)
	_, err = a.WriteRTCP(make([]byte, 7))
	require.Error(t, err)
	n, err = a.WriteRTCP(append([]byte{0x80, 201, 0, 1}, make([]byte, MaxPacket-4)...))
	require.NoError(t, err)
	require.Equal(t, MaxPacket, n)
	require.Zero(t, a.Stats())
	a.wire.err = os.ErrClosed
	n, err = a.WriteRTP(header(1, 1), nil)
	require.ErrorIs(t, err, os.ErrClosed)
	require.Equal(t, rtpHeader, n, "made, and not taken by the path")
	require.Equal(t, Stats{WriteErrors: 1}, a.Stats())
}

func TestTheOldestMakeRoom(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	s := b.stream(t, 1)
	for i := range uint16(40) {
		b.HandleRTP(a.packet(t, header(1, i), nil))
	}
	numbers := s.waiting()
	require.Len(t, numbers, 16)
	require.EqualValues(t, 24, numbers[0])
	require.Equal(t, Stats{RTP: 40, PushedOut: 24}, b.Stats())
	require.Zero(t, b.queued.Load())
	require.Zero(t, s.bytes.Load())
}

// A stream that nobody reads loses its own packets, and no other's.
func TestX4_AnUnreadStreamCostsNoOtherItsPackets(t *testing.T) {
	config := defaults()
	config.MaxQueued, config.MaxQueuedBytes = 1000, 100*largeRoom
	a, b := pair(t, gcm, config)
	read, unread := b.stream(t, 1), b.stream(t, 2)
	for i := range uint16(1000) {
		b.HandleRTP(a.packet(t, header(2, i), make([]byte, 1000)))
		b.HandleRTP(a.packet(t, header(1, i), make([]byte, 1000)))
		require.LessOrEqual(t, b.queued.Load(), int64(config.MaxQueuedBytes))
		if i%10 == 9 {
			require.Len(t, read.waiting(), 10)
		}
	}
	left := unread.waiting()
	require.GreaterOrEqual(t, len(left), 90)
	require.Equal(t, uint16(999), left[len(left)-1])
	// Small packets are charged what they hold.
	for i := range uint16(1000) {
		b.HandleRTP(a.packet(t, header(2, 1000+i), nil))
	}
	require.LessOrEqual(t, b.queued.Load(), int64(config.MaxQueuedBytes))
	unread.Close(errOver)
	require.Zero(t, b.queued.Load())
}

func TestNextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, gcm, defaults())
		s := b.stream(t, 1)
		b.HandleRTP(a.packet(t, header(1, 1), nil))
		_, err := s.Next(ended)
		require.ErrorIs(t, err, context.Canceled, "a dead context takes nothing")
		s.SetDeadline(time.Now().Add(-time.Second))
		_, err = s.Next(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "neither does a deadline")
		s.SetDeadline(time.Time{})
		p, err := s.Next(t.Context())
		require.NoError(t, err)
		p.Release()

		began := time.Now()
		s.SetDeadline(began.Add(time.Minute))
		go func() {
			time.Sleep(time.Second)
			s.SetDeadline(began.Add(2 * time.Second)) // of one that waits
		}()
		_, err = s.Next(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 2*time.Second, time.Since(began))
		s.SetDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		b.HandleRTP(a.packet(t, header(1, 2), nil))
		s.SetDeadline(time.Now().Add(time.Hour))
		b.Close(errOver)
		p, err = s.Next(t.Context())
		require.NoError(t, err, "what waits can be taken")
		p.Release()
		for range 2 {
			_, err = s.Next(t.Context())
			require.ErrorIs(t, err, errOver)
		}
		s.SetDeadline(time.Now().Add(time.Hour)) // leaves no timer
	})
}

func TestTheEndOfASession(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	s := b.stream(t, 1)
	packet := a.packet(t, header(1, 1), nil)
	b.Close(errOver)
	b.Close(os.ErrClosed)
	require.ErrorIs(t, s.Attach(2, false), errOver)
	require.ErrorIs(t, b.NewStream(nil).Attach(2, false), errOver)
	n, err := b.WriteRTP(header(1, 1), nil)
	require.ErrorIs(t, err, errOver)
	require.Zero(t, n)
	_, err = b.WriteRTCP(make([]byte, 8))
	require.ErrorIs(t, err, errOver)
	b.HandleRTP(packet)
	require.Equal(t, Stats{Unclaimed: 1}, b.Stats())
	require.Empty(t, b.wire.packets)
}

func TestAttach(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	s, other := b.stream(t, 1), b.NewStream(nil)
	require.NoError(t, s.Attach(1, false), "again")
	require.ErrorIs(t, other.Attach(1, true), ErrInUse)
	other.Detach(1) // not its own
	require.NoError(t, s.Attach(2, true))
	b.HandleRTP(a.packet(t, header(2, 7), nil))
	p, err := s.Next(t.Context())
	require.NoError(t, err)
	require.True(t, p.Repair)
	p.Release()
	require.Zero(t, s.Packets())
	s.Detach(1)
	require.NoError(t, other.Attach(1, false))
	s.Close(errOver)
	require.ErrorIs(t, s.Attach(3, false), errOver)
	require.Len(t, b.sources, 1)
	b.HandleRTP(a.packet(t, header(1, 1), nil))
	require.Equal(t, []uint16{1}, other.waiting())
}

// Nothing is left, whatever runs at once.
func TestAttachDetachAndCloseRace(t *testing.T) {
	a, b := pair(t, gcm, defaults())
	packets := make([][]byte, 0, 2000)
	for i := range 2000 {
		packets = append(packets, a.packet(t, header(uint32(i%7), uint16(i)), make([]byte, i%300)))
	}
	streams := make([]*Stream, 10)
	for i := range streams {
		streams[i] = b.NewStream(nil)
	}
	var wg sync.WaitGroup
	for i, s := range streams {
		wg.Go(func() {
			for range 100 {
				for ssrc := range uint32(7) {
					if s.Attach(ssrc, false) == nil && ssrc%2 == 0 {
						s.Detach(ssrc)
					}
				}
			}
			s.Close(errOver)
		})
		wg.Go(func() {
			for {
				p, err := s.Next(context.Background())
				if err != nil {
					return
				}
				p.Release()
			}
		})
		wg.Go(func() { s.SetDeadline(time.Now().Add(time.Hour * time.Duration(1+i))) })
	}
	wg.Go(func() {
		for _, p := range packets {
			b.HandleRTP(p)
		}
	})
	wg.Go(func() {
		for i := range 200 {
			_, _ = b.WriteRTP(header(9, uint16(i)), nil)
			_ = b.Stats()
		}
		b.Close(os.ErrClosed)
	})
	wg.Wait()
	require.Empty(t, b.sources)
	require.Zero(t, b.queued.Load())
	for _, s := range streams {
		require.Zero(t, s.bytes.Load())
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	if raceOn {
		t.Skip("the race detector allocates")
	}
	for name, profile := range profiles {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, profile, defaults())
			s := b.stream(t, 1)
			sink := &last{}
			a.out.path = sink
			h, payload, ctx := header(1, 0), make([]byte, 1000), context.Background()
			require.NoError(t, h.SetExtension(1, []byte("mid")))
			write := func() {
				h.SequenceNumber++
				if _, err := a.WriteRTP(h, payload); err != nil {
					t.Fatal(err)
				}
			}
			read := func() {
				write()
				b.HandleRTP(sink.packet)
				p, err := s.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				p.Release()
			}
			for range 10 {
				read()
			}
			assert.Zero(t, testing.AllocsPerRun(1000, write), "WriteRTP")
			b.HandleRTP(sink.packet)
			s.waiting()
			assert.Zero(t, testing.AllocsPerRun(1000, read), "HandleRTP and Next")
		})
	}
}

// last keeps the packet that was written last, in the same room.
type last struct {
	room   [2048]byte
	packet []byte
}

func (l *last) Write(b []byte) (int, error) {
	l.packet = l.room[:copy(l.room[:], b)]

	return len(b), nil
}

func TestOriginal(t *testing.T) {
	head := []byte{0x80, 97, 0, 9, 1, 2, 3, 4, 0, 0, 0, 2}
	with := func(first byte, rest ...byte) []byte {
		p := append(slices.Clone(head), rest...)
		p[0] = first

		return p
	}
	want := func(first byte, rest ...byte) []byte {
		p := with(first, rest...)
		p[1], p[2], p[3], p[11] = 96, 0x12, 0x34, 1

		return p
	}
	for _, row := range []struct {
		name         string
		packet, want []byte
	}{
		{"a payload", with(0x80, 0x12, 0x34, 'a', 'b'), want(0x80, 'a', 'b')},
		{"an empty payload", with(0x80, 0x12, 0x34), want(0x80)},
		{"no number", with(0x80, 0x12), nil},
		{"nothing", with(0x80), nil},
		{"a short header", head[:11], nil},
		{"no packet", nil, nil},
		{"sources", with(0x81, 5, 5, 5, 5, 0x12, 0x34, 'a'), want(0x81, 5, 5, 5, 5, 'a')},
		{"sources beyond the end", with(0x8f, 0x12, 0x34), nil},
		{"an extension", with(0x90, 0xbe, 0xde, 0, 1, 6, 6, 6, 6, 0x12, 0x34, 'a'), want(0x90, 0xbe, 0xde, 0, 1, 6, 6, 6, 6, 'a')},
		{"half of an extension's header", with(0x90, 0xbe, 0xde, 0), nil},
		{"an extension beyond the end", with(0x90, 0xbe, 0xde, 0xff, 0xff, 0x12, 0x34), nil},
		{"padding", with(0xa0, 0x12, 0x34, 'a', 0, 2), want(0xa0, 'a', 0, 2)},
		{"padding alone", with(0xa0, 0, 0, 3), nil},
		{"padding and half a number", with(0xa0, 0x12, 0, 2), nil},
		{"padding beyond everything", with(0xa0, 0x12, 0x34, 255), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := Original(slices.Clone(row.packet), 1, 96)
			require.Equal(t, row.want != nil, ok)
			require.Equal(t, row.want, got)
		})
	}
	marked := with(0x80, 0x12, 0x34)
	marked[1] |= 0x80
	got, ok := Original(marked, 1, 0xff)
	require.True(t, ok)
	require.Equal(t, byte(0xff), got[1], "the marker stays, and the type has 7 bits")
}
