package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
	"github.com/ctxrtc/webrtc/pkg/media"
)

// requireNoMediaLeft checks that a side's media have nothing of senders and
// receivers that have ended.
func requireNoMediaLeft(tb testing.TB, s *stack) {
	tb.Helper()
	r := s.dtls.mediaIfUsed()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(tb, r.users)
	require.Empty(tb, r.senders)
	require.Empty(tb, r.sinks)
}

// Senders, receivers and everything that waits for them end with what ended the
// transport.
func TestL12_MediaEndsWithTheTransport(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(t *testing.T, a, b *stack, network *testnet.Network)
		own  error // the cause on the side that ends
		peer error
	}{
		{"Stop of DTLS", func(t *testing.T, a, _ *stack, _ *testnet.Network) {
			t.Helper()
			require.NoError(t, a.dtls.Stop())
		}, ErrClosed, io.EOF},
		{"Shutdown of ICE", func(t *testing.T, a, _ *stack, _ *testnet.Network) {
			t.Helper()
			require.NoError(t, a.ice.Shutdown(t.Context()))
		}, ErrClosed, io.EOF},
		{"Run's context", func(t *testing.T, a, _ *stack, _ *testnet.Network) {
			t.Helper()
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errSwept)
			require.ErrorIs(t, a.dtls.Run(ctx), errSwept)
		}, errSwept, io.EOF},
		{"a dead path", func(_ *testing.T, _, _ *stack, network *testnet.Network) { network.Cut(true) }, ErrICEFailed, ErrICEFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				var ends []<-chan error
				var causes []error
				expect := func(cause error, call func() error) {
					ends, causes = append(ends, result(call)), append(causes, cause)
				}
				for i, p := range [][2]*stack{{a, b}, {b, a}} {
					cause := []error{row.own, row.peer}[i]
					idle, err := p[0].api.NewRTPSender(rtpTrack(t), p[0].dtls)
					require.NoError(t, err)
					sender := p[0].sender(t, rtpTrack(t))
					receiver := p[1].receiver(t, sender)
					other := []error{row.peer, row.own}[i]
					expect(cause, func() error { return runError(idle.Run(context.Background())) })
					expect(cause, func() error { return runError(sender.Run(context.Background())) })
					expect(other, func() error { return runError(receiver.Run(context.Background())) })
					expect(cause, func() error { _, _, err := sender.ReadRTCP(); return err }) //nolint:nlreturn // short
					expect(cause, func() error {
						for {
							if _, _, err := sender.Read(make([]byte, 2000)); err != nil {
								return err
							}
						}
					})
					expect(other, func() error { _, _, err := receiver.ReadRTCP(); return err })                      //nolint:nlreturn // short
					expect(other, func() error { _, _, err := receiver.Track().Read(nil); return err })               //nolint:nlreturn // short
					expect(other, func() error { _, _, err := receiver.Track().ReadRTP(); return err })               //nolint:nlreturn // short
					expect(cause, func() error { <-sender.Context().Done(); return context.Cause(sender.Context()) }) //nolint:nlreturn // short
				}
				synctest.Wait()
				row.end(t, a, b, network)
				for i, end := range ends {
					require.ErrorIs(t, <-end, causes[i], fmt.Sprint(i))
				}
				requireNoMediaLeft(t, a)
				requireNoMediaLeft(t, b)
				stopped(t, network, a, b)
			})
		})
	}
}

// runError is the cause that Run has returned: nil stands for our own end.
func runError(err error) error {
	if err == nil {
		return ErrClosed
	}

	return err
}

// What ends one of them leaves the transport and the others alone.
func TestL9_StopOfASenderAndAReceiver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track, other := rtpTrack(t), rtpTrack(t)
		sender := a.sender(t, track)
		receiver := b.receiver(t, sender)
		stays := b.receiver(t, a.sender(t, other))
		pending := result(func() error { _, _, err := sender.ReadRTCP(); return err })          //nolint:nlreturn // short
		reading := result(func() error { _, _, err := receiver.Track().ReadRTP(); return err }) //nolint:nlreturn // short
		synctest.Wait()
		before := time.Now()
		for range 3 {
			require.NoError(t, sender.Stop())
			require.NoError(t, receiver.Stop())
			require.NoError(t, sender.Shutdown(t.Context()))
			require.NoError(t, receiver.Shutdown(t.Context()))
		}
		require.ErrorIs(t, <-pending, ErrClosed)
		require.ErrorIs(t, <-reading, ErrClosed)
		require.NoError(t, sender.Run(t.Context()))
		require.NoError(t, receiver.Run(t.Context()))
		require.Zero(t, time.Since(before))
		require.NoError(t, track.WriteRTP(numbered(1)), "nobody has it")
		require.Empty(t, *track.bindings.Load())
		require.ErrorIs(t, sender.Send(sender.GetParameters()), ErrInvalidState)
		require.ErrorIs(t, sender.ReplaceTrack(other), ErrInvalidState)
		require.ErrorIs(t, receiver.Receive(RTPReceiveParameters{
			Encodings: []RTPDecodingParameters{{RTPCodingParameters{SSRC: 77}}},
		}), ErrInvalidState)
		_, _, err := sender.ReadRTCP()
		require.ErrorIs(t, err, ErrClosed)

		require.NoError(t, other.WriteRTP(numbered(1, 5)))
		_, _, err = stays.Track().ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err)
		carries(t, a, b, len(stages))
		stopped(t, network, a, b)
	})
}

// hooked is a program's own track.
type hooked struct {
	*TrackLocalStaticRTP

	bind, unbind func()
}

func (h *hooked) Bind(c TrackLocalContext) (RTPCodecParameters, error) {
	if h.bind != nil {
		h.bind()
	}

	return h.TrackLocalStaticRTP.Bind(c)
}

func (h *hooked) Unbind(c TrackLocalContext) error {
	if h.unbind != nil {
		h.unbind()
	}

	return h.TrackLocalStaticRTP.Unbind(c)
}

// Stop, and what else ends, from inside a track.
func TestL9_StopInsideBindAndUnbind(t *testing.T) {
	ends := map[string]func(s *stack, sender *RTPSender){
		"Stop":     func(_ *stack, sender *RTPSender) { _ = sender.Stop() },
		"Shutdown": func(_ *stack, sender *RTPSender) { _ = sender.Shutdown(context.Background()) },
		"DTLS":     func(s *stack, _ *RTPSender) { _ = s.dtls.Stop() },
		"ICE":      func(s *stack, _ *RTPSender) { _ = s.ice.Shutdown(context.Background()) },
	}
	for name, end := range ends {
		for _, inside := range []string{"Bind", "Unbind", "Unbind of ReplaceTrack"} {
			t.Run(name+" inside "+inside, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
					track := &hooked{TrackLocalStaticRTP: rtpTrack(t)}
					sender, err := a.api.NewRTPSender(track, a.dtls)
					require.NoError(t, err)
					call := func() { end(a, sender) }
					if inside == "Bind" {
						track.bind = call
						require.ErrorIs(t, sender.Send(sender.GetParameters()), ErrInvalidState)
					} else {
						track.unbind = call
						require.NoError(t, sender.Send(sender.GetParameters()))
					}
					if inside == "Unbind of ReplaceTrack" {
						_ = sender.ReplaceTrack(rtpTrack(t))
					}
					require.NoError(t, sender.Stop())
					require.NoError(t, sender.Run(limited(t, testTimeout)))
					require.Empty(t, *track.bindings.Load())
					requireNoMediaLeft(t, a)
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// A track, or an interceptor, that does not return when it is let go is waited for
// by Run alone.
func TestL12_TracksThatDoNotLetGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, entered, unblock := blocking(t)
		g, alsoEntered, alsoUnblock := blocking(t)
		a, b, network := stacksWith(t, registryOf(&layer{unbindLocal: g}), noInterceptors)
		sender := a.sender(t, &hooked{TrackLocalStaticRTP: rtpTrack(t), unbind: f})
		other := a.sender(t, rtpTrack(t))
		before := time.Now()
		require.NoError(t, sender.Stop())
		require.NoError(t, sender.Shutdown(t.Context()))
		require.NoError(t, other.Shutdown(t.Context()))
		require.NoError(t, a.ice.Stop())
		require.Zero(t, time.Since(before))
		<-entered
		<-alsoEntered
		run := result(func() error { return sender.Run(context.Background()) })
		synctest.Wait()
		select {
		case <-run:
			t.Fatal("Run has not waited")
		default:
		}
		alsoUnblock()
		unblock()
		require.NoError(t, <-run)
		stopped(t, network, a, b)
	})
}

func TestL12_InterceptorsEndWithTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &layer{closed: make(chan struct{})}
		a, b, network := stacksWith(t, registryOf(l), noInterceptors)
		a.sender(t, rtpTrack(t))
		require.NoError(t, a.dtls.Shutdown(t.Context()))
		<-l.closed
		stopped(t, network, a, b)
	})
}

// Bind fails: nothing has changed, and Send may be called again.
func TestL7_SendThatFailsChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: "video/none"}, "track", "stream")
		require.NoError(t, err)
		sender, err := a.api.NewRTPSender(track, a.dtls)
		require.NoError(t, err)
		params := sender.GetParameters()
		for range 3 {
			require.ErrorIs(t, sender.Send(params), ErrUnsupportedCodec)
			require.Equal(t, params, sender.GetParameters())
			requireNoMediaLeft(t, a)
		}
		good := rtpTrack(t)
		require.NoError(t, sender.ReplaceTrack(good))
		require.NoError(t, sender.Send(params))
		require.ErrorIs(t, sender.Send(params), ErrInvalidState)
		require.ErrorIs(t, sender.ReplaceTrack(track), ErrUnsupportedCodec)
		require.Equal(t, good, sender.Track(), "the old one goes on")
		receiver := b.receiver(t, sender)
		require.NoError(t, good.WriteRTP(numbered(1, 9)))
		_, _, err = receiver.Track().ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err)
		stopped(t, network, a, b)
	})
}

// A track in another's place goes on with its numbers, whichever its own are: the
// peer takes none of its packets for an old one.
func TestReplaceTrackGoesOnWithTheNumbers(t *testing.T) {
	for _, step := range []uint16{1, 100, 32767, 32768, 40000, 65535} {
		bubble(t, func(t *testing.T) {
			a, b, network := stacksWith(t, noInterceptors, noInterceptors)
			first, second := rtpTrack(t), rtpTrack(t)
			sender := a.sender(t, first)
			remote := b.receiver(t, sender).Track()
			var got []uint16
			read := func() {
				p, _, err := remote.ReadRTPContext(limited(t, testTimeout))
				require.NoError(t, err, step)
				got = append(got, p.SequenceNumber)
			}
			for i := range uint16(3) {
				require.NoError(t, first.WriteRTP(numbered(65534+i, 1)))
				read()
			}
			require.NoError(t, sender.ReplaceTrack(second))
			require.NoError(t, first.WriteRTP(numbered(1, 1)), "nobody has it")
			p := numbered(step, 2)
			for i := range uint16(3) {
				p.SequenceNumber = step + i
				require.NoError(t, second.WriteRTP(p))
				require.Equal(t, step+i, p.SequenceNumber, "the program's packet has changed")
				read()
			}
			require.NoError(t, sender.ReplaceTrack(nil))
			require.NoError(t, second.WriteRTP(numbered(9, 1)))
			require.NoError(t, sender.ReplaceTrack(first))
			require.NoError(t, first.WriteRTP(numbered(3, 1)))
			read()
			require.Equal(t, []uint16{65534, 65535, 0, 1, 2, 3, 4}, got)
			stopped(t, network, a, b)
		})
	}
}

// 100 senders of one track, one of which is dead.
func TestManySendersOfOneTrack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		track := rtpTrack(t)
		failing := errors.New("it is full")
		remotes := make([]*TrackRemote, 0, 100)
		var senders []*RTPSender
		for range 100 {
			sender := a.sender(t, track)
			senders = append(senders, sender)
			remotes = append(remotes, b.receiver(t, sender).Track())
		}
		(*track.bindings.Load())[50].writer = brokenWriter{failing}
		err := track.WriteRTP(numbered(7, 1, 2, 3))
		require.ErrorIs(t, err, failing)
		ctx := limited(t, testTimeout)
		for i, remote := range remotes {
			if i == 50 {
				continue
			}
			p, _, err := remote.ReadRTPContext(ctx)
			require.NoError(t, err)
			require.EqualValues(t, remote.SSRC(), p.SSRC)
			require.Equal(t, []byte{1, 2, 3}, p.Payload)
		}
		for _, sender := range senders {
			require.NoError(t, sender.Stop())
		}
		require.Empty(t, *track.bindings.Load())
		requireNoMediaLeft(t, a)
		stopped(t, network, a, b)
	})
}

type brokenWriter struct{ err error }

func (w brokenWriter) WriteRTP(*rtp.Header, []byte) (int, error) { return 0, w.err }
func (w brokenWriter) Write([]byte) (int, error)                 { return 0, w.err }

// Writing with a context waits for a connection; without one what is written is
// lost.
func TestL1_WritesWaitForTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t, testnet.Delay(pathDelay))
		track := sampleTrack(t, MimeTypeVP8)
		sample := media.Sample{Data: []byte{1, 2, 3}, Duration: time.Millisecond}
		sender := a.sender(t, track)
		receiver := b.receiver(t, sender)
		require.NoError(t, track.WriteSample(sample), "lost")
		require.ErrorIs(t, track.WriteSampleContext(deadContext, sample), errSwept)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, track.WriteSampleContext(ctx, sample), context.DeadlineExceeded)
		require.ErrorIs(t, track.track.WriteRTPContext(ctx, numbered(1)), context.DeadlineExceeded)
		waits := result(func() error { return track.WriteSampleContext(t.Context(), sample) })
		synctest.Wait()
		connect(t, a, b)
		require.NoError(t, <-waits)
		// The other side may have connected later, and missed it.
		require.NoError(t, track.WriteSample(sample))
		_, _, err := receiver.Track().ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.NotZero(t, a.dtls.SRTPStats().UnsentPackets)
		require.ErrorIs(t, track.WriteSample(media.Sample{Duration: -1}), ErrInvalidArgument)

		// Without a sender it waits again.
		require.NoError(t, sender.Stop())
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, track.WriteSampleContext(ctx, sample), context.DeadlineExceeded)
		stopped(t, network, a, b)
	})
}

// Deadlines and contexts of every read, and a short buffer, which takes nothing.
func TestL1_MediaReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		track := rtpTrack(t)
		sender := a.sender(t, track)
		receiver := b.receiver(t, sender)
		remote := receiver.Track()
		buf := make([]byte, 2000)
		for name, r := range map[string]struct {
			read     func(b []byte) error
			context  func(ctx context.Context) error
			deadline func(time.Time) error
			fill     func()
		}{
			"track": {
				func(b []byte) error { _, _, err := remote.Read(b); return err },                          //nolint:nlreturn // short
				func(ctx context.Context) error { _, _, err := remote.ReadContext(ctx, buf); return err }, //nolint:nlreturn // short
				remote.SetReadDeadline,
				func() { require.NoError(t, track.WriteRTP(numbered(uint16(time.Now().UnixMilli()), 1, 2, 3))) },
			},
			"sender": {
				func(b []byte) error { _, _, err := sender.Read(b); return err },                         //nolint:nlreturn // short
				func(ctx context.Context) error { _, _, err := sender.ReadRTCPContext(ctx); return err }, //nolint:nlreturn // short
				sender.SetReadDeadline,
				func() {
					_, err := b.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}})
					require.NoError(t, err)
				},
			},
			"receiver": {
				func(b []byte) error { _, _, err := receiver.Read(b); return err },                         //nolint:nlreturn // short
				func(ctx context.Context) error { _, _, err := receiver.ReadRTCPContext(ctx); return err }, //nolint:nlreturn // short
				receiver.SetReadDeadline,
				func() {
					_, err := a.dtls.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{SSRC: uint32(remote.SSRC())}})
					require.NoError(t, err)
				},
			},
		} {
			before := time.Now()
			require.NoError(t, r.deadline(before.Add(time.Second)), name)
			require.ErrorIs(t, r.read(buf), os.ErrDeadlineExceeded, name)
			require.Equal(t, time.Second, time.Since(before), name)
			require.NoError(t, r.deadline(before.Add(time.Hour)), name)
			moved := result(func() error { return r.read(buf) })
			synctest.Wait()
			require.NoError(t, r.deadline(time.Now()), name)
			require.ErrorIs(t, <-moved, os.ErrDeadlineExceeded, name)
			require.NoError(t, r.deadline(time.Time{}), name)
			ctx, cancel := context.WithCancelCause(context.Background())
			canceled := result(func() error { return r.context(ctx) })
			synctest.Wait()
			cancel(errSwept)
			err := <-canceled
			require.ErrorIs(t, err, errSwept, name)
			require.ErrorIs(t, err, context.Canceled, name)

			r.fill()
			time.Sleep(time.Second)
			require.ErrorIs(t, r.context(deadContext), errSwept, name)
			require.NoError(t, r.deadline(time.Now()), name)
			require.ErrorIs(t, r.read(buf), os.ErrDeadlineExceeded, name)
			require.NoError(t, r.deadline(time.Time{}), name)
			for range 3 {
				require.ErrorIs(t, r.read(make([]byte, 3)), io.ErrShortBuffer, name)
			}
			require.ErrorIs(t, r.context(deadContext), errSwept, name)
			require.NoError(t, r.deadline(time.Now()), name)
			require.ErrorIs(t, r.read(buf), os.ErrDeadlineExceeded, name)
			require.NoError(t, r.deadline(time.Time{}), name)
			require.NoError(t, r.read(buf), name)
			require.NoError(t, r.deadline(time.Now().Add(time.Hour)), name)
		}
		stopped(t, network, a, b)
		require.NoError(t, remote.SetReadDeadline(time.Now().Add(time.Hour)), "leaves no timer")
	})
}

// TestL9_RandomSchedulesOfMedia makes calls of senders, receivers and tracks, and
// what ends them, at random instants.
func TestL9_RandomSchedulesOfMedia(t *testing.T) {
	const schedules = 1000 // under the race detector too
	const parts = 4
	for part := range parts {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < schedules; seed += parts {
				bubble(t, func(t *testing.T) { runMediaSchedule(t, uint64(seed)) }) //nolint:gosec // not negative
				if t.Failed() {
					t.Logf("seed %d", seed)

					return
				}
			}
		})
	}
}

func runMediaSchedule(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, seed))
	s := &schedule{t: t, random: random}
	a, b, network := quickPair(t, testnet.Delay(time.Duration(random.IntN(3))*time.Millisecond))
	s.sides = [2]*stack{a, b}
	connected := random.IntN(len(stages))
	connectBelow(t, a, b, connected)
	s.end = time.Now().Add(400 * sweepStep)
	ctx, cancel := context.WithDeadline(context.Background(), s.end)
	defer cancel()
	for _, p := range [][2]*stack{{a, b}, {b, a}} {
		start := prepareAll(p[0], p[1], stages[connected:]...)
		s.call("the rest", func() { _ = start(ctx) })
	}
	tracks := []*TrackLocalStaticSample{sampleTrack(t, MimeTypeVP8), sampleTrack(t, MimeTypeVP8)}
	for i, p := range [][2]*stack{{a, b}, {b, a}} {
		sender, err := p[0].api.NewRTPSender(tracks[i], p[0].dtls)
		require.NoError(t, err)
		receiver, err := p[1].api.NewRTPReceiver(RTPCodecTypeVideo, p[1].dtls)
		require.NoError(t, err)
		encodings := RTPReceiveParameters{}
		for _, e := range sender.GetParameters().Encodings {
			encodings.Encodings = append(encodings.Encodings, RTPDecodingParameters(e))
		}
		s.call("Send", func() { _ = sender.Send(sender.GetParameters()) })
		s.call("Receive", func() { _ = receiver.Receive(encodings) })
		for range 2 + random.IntN(8) {
			addMediaCall(ctx, s, sender, receiver, tracks, encodings)
		}
	}
	if random.IntN(2) == 0 {
		one := s.sides[random.IntN(2)]
		s.call("Stop below", s.prompt("Stop", []func() error{one.ice.Stop, one.dtls.Stop}[random.IntN(2)]))
	}
	time.Sleep(time.Until(s.end))
	requireNothingLeft(t, network, a, b)
	s.over.Wait()
	for _, one := range s.sides {
		requireNoMediaLeft(t, one)
	}
	for _, track := range tracks {
		assert.Empty(t, *track.track.bindings.Load())
	}
}

func addMediaCall(
	ctx context.Context, s *schedule, sender *RTPSender, receiver *RTPReceiver,
	tracks []*TrackLocalStaticSample, encodings RTPReceiveParameters,
) {
	sample := media.Sample{Data: make([]byte, 2000), Duration: time.Millisecond}
	track := tracks[s.random.IntN(2)]
	switch s.random.IntN(12) {
	case 0:
		s.call("Stop", s.prompt("Stop", sender.Stop))
	case 1:
		s.call("Stop", s.prompt("Stop", receiver.Stop))
	case 2:
		s.call("Shutdown", s.prompt("Shutdown", func() error { return sender.Shutdown(ctx) }))
	case 3:
		s.call("Shutdown", s.prompt("Shutdown", func() error { return receiver.Shutdown(ctx) }))
	case 4:
		s.call("Run", func() { _ = sender.Run(ctx) })
	case 5:
		s.call("Run", func() { _ = receiver.Run(ctx) })
	case 6:
		s.call("ReplaceTrack", func() { _ = sender.ReplaceTrack(track) })
	case 7:
		s.call("ReplaceTrack", func() { _ = sender.ReplaceTrack(nil) })
	case 8:
		s.call("WriteSampleContext", func() { _ = track.WriteSampleContext(ctx, sample) })
	case 9:
		s.call("WriteSample", func() { _ = track.WriteSample(sample) })
	case 10:
		s.call("reads", func() {
			for _, remote := range receiver.Tracks() {
				for {
					if _, _, err := remote.ReadRTPContext(ctx); err != nil {
						break
					}
				}
			}
			_, _, _ = sender.ReadRTCPContext(ctx)
		})
	default:
		s.call("second starts", func() {
			_ = sender.Send(sender.GetParameters())
			_ = receiver.Receive(encodings)
			receiver.SetRTPParameters(receiver.GetParameters())
		})
	}
}
