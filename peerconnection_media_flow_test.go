package webrtc

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mediaPair runs a test over two connections and checks that nothing is left.
func mediaPair(t *testing.T, f func(t *testing.T, s *mediaScene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = peers(t)
		s.run(t, f)
	})
}

func (s *mediaScene) run(t *testing.T, f func(t *testing.T, s *mediaScene)) {
	t.Helper()
	s.toA, s.toB = tracksOf(s.a), tracksOf(s.b)
	f(t, s)
	requirePeersGone(t, s.network, s.a, s.b)
	for _, pc := range []*PeerConnection{s.a, s.b} {
		if err := pc.Run(background); err != io.EOF { //nolint:errorlint // as it is
			require.NoError(t, ranOut(err))
		}
	}
}

// Audio and video both ways, whoever adds what, and when.
func TestMediaBothWays(t *testing.T) {
	type step = func(t *testing.T, s *mediaScene, sources [4]*source)
	add := func(t *testing.T, pc *PeerConnection, sources ...*source) {
		t.Helper()
		for _, s := range sources {
			_, err := pc.AddTrack(s)
			require.NoError(t, err)
		}
	}
	for name, do := range map[string]step{
		"both before": func(t *testing.T, s *mediaScene, of [4]*source) {
			add(t, s.a, of[:2]...)
			add(t, s.b, of[2:]...)
			negotiate(t, s.a, s.b)
			require.Len(t, s.a.GetTransceivers(), 2)
		},
		"the answerer in between": func(t *testing.T, s *mediaScene, of [4]*source) {
			add(t, s.a, of[:2]...)
			offerAnswer(t, s.a, s.b, func() { add(t, s.b, of[2:]...) })
			require.Len(t, s.a.GetTransceivers(), 2)
		},
		"the answerer after": func(t *testing.T, s *mediaScene, of [4]*source) {
			add(t, s.a, of[:2]...)
			negotiate(t, s.a, s.b)
			add(t, s.b, of[2:]...)
			negotiate(t, s.b, s.a)
			require.Len(t, s.a.GetTransceivers(), 2)
		},
		"the offerer after": func(t *testing.T, s *mediaScene, of [4]*source) {
			add(t, s.b, of[2:]...)
			_, err := s.a.CreateDataChannel("first", nil)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			add(t, s.a, of[:2]...)
			negotiate(t, s.a, s.b)
			require.Len(t, s.a.GetTransceivers(), 2)
		},
		"one after the other, by both": func(t *testing.T, s *mediaScene, of [4]*source) {
			for i, source := range of {
				pc := []*PeerConnection{s.a, s.b}[i/2]
				add(t, pc, source)
				negotiate(t, pc, []*PeerConnection{s.b, s.a}[i/2])
			}
			require.Len(t, s.a.GetTransceivers(), 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			mediaPair(t, func(t *testing.T, s *mediaScene) {
				of := [4]*source{
					newSource(t, MimeTypeOpus, "a-audio"), newSource(t, MimeTypeVP8, "a-video"),
					newSource(t, MimeTypeOpus, "b-audio"), newSource(t, MimeTypeVP8, "b-video"),
				}
				do(t, s, of)
				connectPeers(t, s.a, s.b)
				requireAgreed(t, s.a, s.b)
				for i, source := range of {
					source.begins(t, []chan *TrackRemote{s.toB, s.toA}[i/2])
				}
				assert.False(t, needs(s.a), "a needs a negotiation")
				assert.False(t, needs(s.b), "b needs a negotiation")
			})
		})
	}
}

func needs(pc *PeerConnection) (needed bool) {
	pc.life.set(func() { needed = pc.negotiation.needed })

	return needed
}

// Every pair of directions, those that do not fit with a second negotiation.
func TestMediaDirections(t *testing.T) {
	directions := []RTPTransceiverDirection{
		RTPTransceiverDirectionSendrecv, RTPTransceiverDirectionSendonly, RTPTransceiverDirectionRecvonly, RTPTransceiverDirectionInactive,
	}
	for _, ours := range directions {
		for _, theirs := range append(slices.Clone(directions), RTPTransceiverDirectionUnknown) {
			for _, kind := range []string{MimeTypeOpus, MimeTypeVP8} {
				t.Run(fmt.Sprintf("%v, %v, %s", ours, theirs, kind), func(t *testing.T) {
					mediaPair(t, func(t *testing.T, s *mediaScene) {
						from, back := newSource(t, kind, "a-s"), newSource(t, kind, "b-s")
						addDirected(t, s.a, from, ours)
						if theirs != RTPTransceiverDirectionUnknown {
							addDirected(t, s.b, back, theirs)
						}
						negotiate(t, s.a, s.b)
						connectPeers(t, s.a, s.b)
						requireAgreed(t, s.a, s.b)
						// What does not fit the offered section gets one of its own.
						fits := len(s.b.GetTransceivers()) == 1 && theirs != RTPTransceiverDirectionUnknown
						if sends := ours.sends() && (theirs.receives() || !fits); sends {
							from.begins(t, s.toB)
						} else {
							from.silent(t, s.network, 0)
						}
						if fits && theirs.sends() && ours.receives() {
							back.begins(t, s.toA)
						} else {
							back.silent(t, s.network, 1)
						}
						if !fits && theirs.sends() {
							negotiate(t, s.b, s.a)
							back.begins(t, s.toA)
						}
						negotiate(t, s.b, s.a)
						requireAgreed(t, s.a, s.b)
						assert.False(t, needs(s.a), "a needs a negotiation")
						assert.False(t, needs(s.b), "b needs a negotiation")
						require.Empty(t, s.toA)
						require.Empty(t, s.toB)
					})
				})
			}
		}
	}
}

func addDirected(t *testing.T, pc *PeerConnection, s *source, direction RTPTransceiverDirection) {
	t.Helper()
	init := RTPTransceiverInit{Direction: direction}
	var err error
	if direction.sends() {
		_, err = pc.AddTransceiverFromTrack(s, init)
	} else {
		_, err = pc.AddTransceiverFromKind(s.Kind(), init)
	}
	require.NoError(t, err)
}

// As a WHIP client offers, and as a WHEP client does.
func TestMediaOneWayOffers(t *testing.T) {
	for _, sends := range []bool{true, false} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("the offerer sends %t, tracks early %t", sends, early), func(t *testing.T) {
				mediaPair(t, func(t *testing.T, s *mediaScene) {
					audio, video := newSource(t, MimeTypeOpus, "audio"), newSource(t, MimeTypeVP8, "video")
					tracks := s.toB
					serve := func() {}
					if sends {
						addDirected(t, s.a, audio, RTPTransceiverDirectionSendonly)
						addDirected(t, s.a, video, RTPTransceiverDirectionSendonly)
					} else {
						tracks = s.toA
						addDirected(t, s.a, audio, RTPTransceiverDirectionRecvonly)
						addDirected(t, s.a, video, RTPTransceiverDirectionRecvonly)
						serve = func() {
							for _, track := range []*source{video, audio} {
								_, err := s.b.AddTrack(track)
								require.NoError(t, err)
							}
						}
					}
					if early {
						serve()
						serve = func() {}
					}
					offerAnswer(t, s.a, s.b, serve)
					connectPeers(t, s.a, s.b)
					audio.begins(t, tracks)
					video.begins(t, tracks)
					require.Len(t, s.b.GetTransceivers(), 2)
					requireAgreed(t, s.a, s.b)
					assert.False(t, needs(s.b))
				})
			})
		}
	}
}

func preference(t *testing.T, pc *PeerConnection, kind RTPCodecType, mime string) []RTPCodecParameters {
	t.Helper()
	var out []RTPCodecParameters
	for _, c := range pc.api.media.codecsFor(kind) {
		if strings.EqualFold(c.MimeType, mime) {
			out = append(out, c)
		}
	}
	require.NotEmpty(t, out)

	return out
}

func TestMediaCodecPreferences(t *testing.T) {
	for _, whose := range []string{"the offerer's", "the answerer's"} {
		t.Run(whose, func(t *testing.T) {
			mediaPair(t, func(t *testing.T, s *mediaScene) {
				from := newSource(t, MimeTypeVP9, "video")
				addDirected(t, s.a, from, RTPTransceiverDirectionSendrecv)
				prefer := func(pc *PeerConnection) {
					require.NoError(t, pc.GetTransceivers()[0].SetCodecPreferences(preference(t, pc, RTPCodecTypeVideo, MimeTypeVP9)))
				}
				middle := func() {}
				if whose == "the offerer's" {
					prefer(s.a)
				} else {
					middle = func() { prefer(s.b) }
				}
				offerAnswer(t, s.a, s.b, middle)
				connectPeers(t, s.a, s.b)
				track := from.begins(t, s.toB)
				assert.Equal(t, MimeTypeVP9, track.Codec().MimeType)
				assert.NotContains(t, s.b.LocalDescription().SDP, "VP8")
				for _, pc := range []*PeerConnection{s.a, s.b} {
					for _, c := range pc.GetTransceivers()[0].Sender().GetParameters().Codecs {
						assert.Contains(t, []string{MimeTypeVP9, MimeTypeRTX}, c.MimeType)
					}
				}
			})
		})
	}
}

// engineWith registers codecs of both kinds with payload types of its own.
func engineWith(t *testing.T, codecs map[string]PayloadType) *MediaEngine {
	t.Helper()
	m := &MediaEngine{}
	for mime, number := range codecs {
		c := RTPCodecParameters{RTPCodecCapability: RTPCodecCapability{MimeType: mime, ClockRate: 90000}, PayloadType: number}
		kind := RTPCodecTypeVideo
		if strings.HasPrefix(mime, "audio/") {
			kind = RTPCodecTypeAudio
			c.ClockRate, c.Channels = 48000, 2
		}
		require.NoError(t, m.RegisterCodec(c, kind))
		if kind == RTPCodecTypeVideo {
			require.NoError(t, m.RegisterCodec(RTPCodecParameters{
				RTPCodecCapability: RTPCodecCapability{MimeType: MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprint("apt=", number)},
				PayloadType:        number + 1,
			}, kind))
		}
	}

	return m
}

// Both sides use the numbers of the first offer.
func TestMediaWithOtherPayloadTypes(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &mediaScene{}
			s.a, s.b, s.network = mediaPeers(t, [2]*MediaEngine{nil, engineWith(t, map[string]PayloadType{MimeTypeVP8: 110, MimeTypeOpus: 96})})
			s.run(t, func(t *testing.T, s *mediaScene) {
				for i, pc := range []*PeerConnection{s.a, s.b} {
					_, err := pc.AddTrack(newSource(t, MimeTypeVP8, fmt.Sprint("video", i)))
					require.NoError(t, err)
				}
				offerer, answerer := s.a, s.b
				if reversed {
					offerer, answerer = s.b, s.a
				}
				negotiate(t, offerer, answerer)
				connectPeers(t, s.a, s.b)
				audio := []*source{newSource(t, MimeTypeOpus, "audio0"), newSource(t, MimeTypeOpus, "audio1")}
				for i, pc := range []*PeerConnection{s.a, s.b} {
					_, err := pc.AddTrack(audio[i])
					require.NoError(t, err)
				}
				negotiate(t, answerer, offerer)
				for i, tracks := range []chan *TrackRemote{s.toB, s.toA} {
					pc := []*PeerConnection{s.a, s.b}[i]
					for _, sender := range pc.GetSenders() {
						from := audio[i]
						if sender.kind == RTPCodecTypeVideo {
							from, _ = sender.Track().(*source)
						}
						track := from.begins(t, tracks)
						assert.Equal(t, sender.GetParameters().Encodings[0].PayloadType, track.PayloadType())
					}
				}
				requireAgreed(t, s.a, s.b)
			})
		})
	}
}

// A section without a codec in common is rejected, and harms no other.
func TestMediaWithoutACommonCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mediaScene{}
		s.a, s.b, s.network = mediaPeers(t, [2]*MediaEngine{
			engineWith(t, map[string]PayloadType{MimeTypeVP8: 96, MimeTypeG722: 111}),
			engineWith(t, map[string]PayloadType{MimeTypeVP8: 110, MimeTypeOpus: 111}),
		})
		s.run(t, func(t *testing.T, s *mediaScene) {
			audio, video := newSource(t, MimeTypeG722, "audio"), newSource(t, MimeTypeVP8, "video")
			for _, track := range []*source{audio, video} {
				_, err := s.a.AddTrack(track)
				require.NoError(t, err)
			}
			rejected := s.a.GetTransceivers()[0]
			sender := rejected.Sender()
			negotiate(t, s.a, s.b)
			connectPeers(t, s.a, s.b)
			assert.Contains(t, s.b.LocalDescription().SDP, "m=audio 0 ")
			video.begins(t, s.toB)
			audio.silent(t, s.network, 0)
			requireAgreed(t, s.a, s.b)
			assert.NotContains(t, s.a.GetTransceivers(), rejected)
			<-sender.Context().Done()

			// The place in the descriptions is free for something else.
			more := newSource(t, MimeTypeVP8, "more")
			_, err := s.a.AddTrack(more)
			require.NoError(t, err)
			negotiate(t, s.a, s.b)
			more.begins(t, s.toB)
			assert.Len(t, linesOf(s.a.LocalDescription(), "m="), 2)
		})
	})
}

// Header extensions keep their numbers, whoever offers.
func TestMediaHeaderExtensionsKeepTheirNumbers(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		numbers := map[string]string{}
		check := func() {
			for _, pc := range []*PeerConnection{s.a, s.b} {
				lines := linesOf(pc.LocalDescription(), "a=extmap:")
				require.NotEmpty(t, lines)
				for _, line := range lines {
					number, uri, _ := strings.Cut(strings.TrimPrefix(line, "a=extmap:"), " ")
					if before, ok := numbers[uri]; ok {
						require.Equal(t, before, number, uri)
					}
					numbers[uri] = number
				}
			}
		}
		kinds := []string{MimeTypeOpus, MimeTypeVP8, MimeTypeOpus, MimeTypeVP8}
		for i, kind := range kinds {
			pair := []*PeerConnection{s.a, s.b}
			if i%2 == 1 {
				slices.Reverse(pair)
			}
			_, err := pair[0].AddTrack(newSource(t, kind, fmt.Sprint(i)))
			require.NoError(t, err)
			negotiate(t, pair[0], pair[1])
			check()
			negotiate(t, pair[1], pair[0])
			check()
		}
		require.Greater(t, len(numbers), 3)
	})
}

// A track that is removed ends with io.EOF for the peer, and another begins anew.
func TestMediaRemoveAndAddAgain(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		first := newSource(t, MimeTypeVP8, "first")
		sender, err := s.a.AddTrack(first)
		require.NoError(t, err)
		negotiate(t, s.a, s.b)
		connectPeers(t, s.a, s.b)
		before := first.begins(t, s.toB)
		for i := range 3 {
			require.NoError(t, s.a.RemoveTrack(sender))
			require.NoError(t, s.a.RemoveTrack(sender), "it is no error again")
			require.True(t, needs(s.a))
			negotiate(t, s.a, s.b)
			_, _, err = before.ReadRTPContext(limited(t, testTimeout))
			require.Equal(t, io.EOF, err)
			requireAgreed(t, s.a, s.b)
			next := newSource(t, MimeTypeVP8, fmt.Sprint("next", i))
			sender, err = s.a.AddTrack(next)
			require.NoError(t, err)
			require.True(t, needs(s.a))
			negotiate(t, s.a, s.b)
			before = next.begins(t, s.toB)
		}
		require.Len(t, s.a.GetTransceivers(), 1)
		require.Len(t, s.b.GetTransceivers(), 1)
	})
}

// Without a negotiation a sender sends another track, or nothing for a time.
func TestMediaReplaceTrack(t *testing.T) {
	for _, from := range []string{"a track", "a kind"} {
		t.Run(from, func(t *testing.T) {
			mediaPair(t, func(t *testing.T, s *mediaScene) {
				one, two := newSource(t, MimeTypeVP8, "one"), newSource(t, MimeTypeVP8, "two")
				var transceiver *RTPTransceiver
				var err error
				if from == "a track" {
					transceiver, err = s.a.AddTransceiverFromTrack(one)
				} else {
					transceiver, err = s.a.AddTransceiverFromKind(RTPCodecTypeVideo)
				}
				require.NoError(t, err)
				negotiate(t, s.a, s.b)
				connectPeers(t, s.a, s.b)
				sender := transceiver.Sender()
				require.NoError(t, sender.ReplaceTrack(one))
				one.write(t)
				track := <-s.toB
				one.reaches(t, track)
				require.NoError(t, sender.ReplaceTrack(nil))
				one.silent(t, s.network, 0)
				two.silent(t, s.network, 0)
				require.NoError(t, sender.ReplaceTrack(two))
				two.reaches(t, track)
				one.silent(t, s.network, 0)
				require.NoError(t, sender.ReplaceTrack(one))
				one.reaches(t, track)
				require.False(t, needs(s.a))
				require.Empty(t, s.toB)
			})
		})
	}
}

// Stop takes the section away, and another transceiver gets its place.
func TestMediaStopAndRecycle(t *testing.T) {
	for _, who := range []string{"the offerer", "the answerer"} {
		t.Run(who, func(t *testing.T) {
			mediaPair(t, func(t *testing.T, s *mediaScene) {
				audio, video := newSource(t, MimeTypeOpus, "audio"), newSource(t, MimeTypeVP8, "video")
				for _, track := range []*source{video, audio} {
					_, err := s.a.AddTrack(track)
					require.NoError(t, err)
				}
				negotiate(t, s.a, s.b)
				connectPeers(t, s.a, s.b)
				remote, still := video.begins(t, s.toB), audio.begins(t, s.toB)
				x, y := s.a, s.b
				if who == "the answerer" {
					x, y = y, x
				}
				stopped := x.GetTransceivers()[0]
				require.NoError(t, stopped.Stop())
				require.NoError(t, stopped.Stop(), "it is idempotent")
				require.True(t, needs(x))
				negotiate(t, x, y)
				require.False(t, needs(x))
				require.False(t, needs(y))
				_, _, err := remote.ReadRTPContext(limited(t, testTimeout))
				if who == "the offerer" {
					require.Equal(t, io.EOF, err)
				} else {
					require.ErrorIs(t, err, ErrClosed)
				}
				video.silent(t, s.network, 0)
				audio.reaches(t, still)
				for _, pc := range []*PeerConnection{s.a, s.b} {
					require.Len(t, pc.GetTransceivers(), 1)
					require.Contains(t, pc.LocalDescription().SDP, "m=video 0 ")
				}
				again := newSource(t, MimeTypeVP8, "again")
				_, err = s.a.AddTrack(again)
				require.NoError(t, err)
				negotiate(t, s.a, s.b)
				again.begins(t, s.toB)
				audio.reaches(t, still)
				lines := linesOf(s.a.LocalDescription(), "m=")
				require.Len(t, lines, 2)
				require.NotContains(t, lines[0], "m=video 0 ")
				requireAgreed(t, s.a, s.b)
			})
		})
	}
}
