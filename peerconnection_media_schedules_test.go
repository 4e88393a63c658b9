package webrtc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mediaSchedule is a random sequence of what two programs do.
type mediaSchedule struct {
	*mediaScene

	random *rand.Rand
	made   int
	log    []string
}

func (s *mediaSchedule) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// change is one step of a program that needs no peer.
func (s *mediaSchedule) change(t *testing.T) {
	t.Helper()
	i := s.random.IntN(2)
	pc := []*PeerConnection{s.a, s.b}[i]
	switch op := s.random.IntN(7); op {
	case 0, 1, 2:
		s.made++
		track := newSource(t, []string{MimeTypeOpus, MimeTypeVP8}[s.random.IntN(2)], fmt.Sprint("track", s.made))
		s.note("%d adds %s", i, track.ID())
		_, err := pc.AddTrack(track)
		require.NoError(t, err)
	case 3, 4:
		if senders := pc.GetSenders(); len(senders) > 0 {
			s.note("%d removes", i)
			require.NoError(t, pc.RemoveTrack(senders[s.random.IntN(len(senders))]))
		}
	case 5:
		if all := pc.GetTransceivers(); len(all) > 0 {
			at := s.random.IntN(len(all))
			s.note("%d stops %q", i, all[at].Mid())
			require.NoError(t, all[at].Stop())
		}
	case 6:
		directions := []RTPTransceiverDirection{RTPTransceiverDirectionRecvonly, RTPTransceiverDirectionInactive, RTPTransceiverDirectionSendrecv}
		direction := directions[s.random.IntN(3)]
		s.note("%d adds a transceiver, %v", i, direction)
		_, err := pc.AddTransceiverFromKind(RTPCodecTypeVideo, RTPTransceiverInit{Direction: direction})
		require.NoError(t, err)
	}
}

// exchange is one of the ways that a negotiation goes.
func (s *mediaSchedule) exchange(t *testing.T) {
	t.Helper()
	offerer, answerer := s.a, s.b
	if s.random.IntN(2) == 0 {
		offerer, answerer = answerer, offerer
	}
	rollback := SessionDescription{Type: SDPTypeRollback}
	how := s.random.IntN(5)
	s.note("%d exchanges, way %d", slices.Index([]*PeerConnection{s.a, s.b}, offerer), how)
	switch how {
	case 0, 1:
		offerAnswer(t, offerer, answerer, func() {
			for range s.random.IntN(3) {
				s.change(t)
			}
		})
	case 2: // an offer that is taken back
		before := transceiversOf(offerer)
		require.NoError(t, offerer.SetLocalDescription(SessionDescription{}))
		require.NoError(t, offerer.SetLocalDescription(rollback))
		require.Equal(t, before, transceiversOf(offerer))
	case 3: // by both
		before, theirs := transceiversOf(offerer), transceiversOf(answerer)
		require.NoError(t, offerer.SetLocalDescription(SessionDescription{}))
		require.NoError(t, answerer.SetRemoteDescription(*offerer.LocalDescription()))
		require.NoError(t, answerer.SetRemoteDescription(rollback))
		require.NoError(t, offerer.SetLocalDescription(rollback))
		require.Equal(t, before, transceiversOf(offerer))
		require.Equal(t, theirs, transceiversOf(answerer))
	case 4: // both offer, and one of them gives way
		require.NoError(t, answerer.SetLocalDescription(SessionDescription{}))
		offerAnswer(t, offerer, answerer, func() {})
	}
}

// transceiversOf are the transceivers as a program sees them.
func transceiversOf(pc *PeerConnection) (list []string) {
	for _, t := range pc.GetTransceivers() {
		list = append(list, fmt.Sprintf("%p %q %v %v", t, t.Mid(), t.Kind(), t.Direction()))
	}

	return list
}

// Whatever two programs do in turn, they agree afterwards, and all that is to be
// sent arrives.
func TestMediaSchedules(t *testing.T) {
	schedules := 200
	if testing.Short() {
		schedules = 20
	}
	for seed := range schedules {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			mediaPair(t, func(t *testing.T, m *mediaScene) {
				s := &mediaSchedule{mediaScene: m, random: rand.New(rand.NewPCG(uint64(seed), 7))}
				defer func() {
					if t.Failed() {
						t.Log(s.log)
					}
				}()
				_, err := s.a.CreateDataChannel("first", nil)
				require.NoError(t, err)
				if s.random.IntN(2) == 0 {
					negotiate(t, s.a, s.b)
					connectPeers(t, s.a, s.b)
				}
				for range 4 + s.random.IntN(12) {
					if s.random.IntN(3) == 0 {
						s.exchange(t)
					} else {
						s.change(t)
					}
				}
				for range 3 {
					negotiate(t, s.a, s.b)
					negotiate(t, s.b, s.a)
				}
				connectPeers(t, s.a, s.b)
				for _, pc := range []*PeerConnection{s.a, s.b} {
					require.False(t, needs(pc))
					for _, transceiver := range pc.GetTransceivers() {
						require.NotEmpty(t, transceiver.Mid())
						require.False(t, transceiver.stopped)
					}
				}
				requireAgreed(t, s.a, s.b)
				for i, pc := range []*PeerConnection{s.a, s.b} {
					arrive(t, pc, []*PeerConnection{s.b, s.a}[i])
				}
			})
		})
		if !ok {
			break
		}
	}
}

// arrive checks that the tracks of all senders whose direction says so arrive.
func arrive(t *testing.T, from, to *PeerConnection) {
	t.Helper()
	for _, transceiver := range from.GetTransceivers() {
		track, ok := transceiver.Sender().Track().(*source)
		if !ok {
			continue
		}
		require.Equal(t, RTPTransceiverDirectionSendonly, transceiver.current.intersect(RTPTransceiverDirectionSendonly), "%s is not sent", track.ID())
		var remote *TrackRemote
		for _, other := range to.GetTransceivers() {
			if other.Mid() == transceiver.Mid() {
				remote = other.Receiver().Track()
			}
		}
		require.NotNil(t, remote, track.ID())
		track.reaches(t, remote)
		require.Equal(t, track.ID(), remote.ID())
	}
}

// Whatever programs do at once, nothing hangs and nothing is left.
func TestMediaSchedulesAtOnce(t *testing.T) {
	schedules := 60
	if testing.Short() {
		schedules = 10
	}
	for seed := range schedules {
		mediaPair(t, func(t *testing.T, s *mediaScene) {
			_, err := s.a.CreateDataChannel("first", nil)
			require.NoError(t, err)
			if seed%2 == 0 {
				negotiate(t, s.a, s.b)
				connectPeers(t, s.a, s.b)
			}
			var tasks sync.WaitGroup
			for worker := range 6 {
				random := rand.New(rand.NewPCG(uint64(seed), uint64(worker)))
				tasks.Go(func() {
					for i := range 30 {
						s.anything(t, random, fmt.Sprint("track", worker, "-", i))
					}
				})
			}
			tasks.Wait()
		})
		if t.Failed() {
			t.Fatalf("schedule %d", seed)
		}
	}
}

// anything does something that may be refused.
func (s *mediaScene) anything(t *testing.T, random *rand.Rand, name string) {
	t.Helper()
	sides := []*PeerConnection{s.a, s.b}
	at := random.IntN(2)
	pc, peer := sides[at], sides[1-at]
	time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
	transceivers := pc.GetTransceivers()
	var one *RTPTransceiver
	if len(transceivers) > 0 {
		one = transceivers[random.IntN(len(transceivers))]
	}
	switch random.IntN(12) {
	case 0, 1:
		track := newSource(t, []string{MimeTypeOpus, MimeTypeVP8}[random.IntN(2)], name)
		if _, err := pc.AddTrack(track); err == nil {
			_, _ = track.Write(make([]byte, 20))
		}
	case 2:
		_ = pc.RemoveTrack(one.Sender())
	case 3:
		_ = one.Stop()
	case 4:
		_ = one.Sender().ReplaceTrack(newSource(t, MimeTypeVP8, name))
	case 5, 6, 7:
		if pc.SetLocalDescription(SessionDescription{}) == nil {
			if d := pc.LocalDescription(); d != nil {
				_ = peer.SetRemoteDescription(*d)
			}
		}
	case 8:
		if peer.SetLocalDescription(SessionDescription{}) == nil {
			if d := peer.LocalDescription(); d != nil {
				_ = pc.SetRemoteDescription(*d)
			}
		}
	case 9:
		_ = pc.SetLocalDescription(SessionDescription{Type: SDPTypeRollback})
		_ = peer.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback})
	case 10:
		_ = one.SetCodecPreferences(nil)
		pc.GetStats()
	case 11:
		if random.IntN(20) == 0 {
			_ = pc.Close()
		}
	}
}

// Perfect negotiation with tracks on both sides, which come and go.
func TestP4_PerfectNegotiationWithMedia(t *testing.T) {
	schedules := 200
	if raceEnabled {
		schedules = 40
	}
	var ignored, took int
	for seed := range schedules {
		i, b := mediaGlare(t, uint64(seed))
		ignored, took = ignored+i, took+b
		if t.Failed() {
			t.Fatalf("schedule %d", seed)
		}
	}
	assert.NotZero(t, ignored)
	assert.NotZero(t, took)
}

func mediaGlare(t *testing.T, seed uint64) (ignored, took int) {
	t.Helper()
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		random := rand.New(rand.NewPCG(seed, 4))
		ctx := limited(t, testTimeout)
		sides := [2]*negotiator{}
		var tasks sync.WaitGroup
		for i, pc := range []*PeerConnection{s.a, s.b} {
			delay := time.Duration(random.IntN(40)) * time.Millisecond
			line := make(chan func(), 1000)
			t.Cleanup(func() { close(line) })
			go func() {
				for deliver := range line {
					deliver()
				}
			}()
			sides[i] = newNegotiator(pc, i == 1, func(m signaled) {
				due := time.Now().Add(delay)
				line <- func() {
					time.Sleep(time.Until(due))
					sides[1-i].in <- m
				}
			})
		}
		over := make(chan struct{})
		for _, side := range sides {
			tasks.Go(func() { side.run(ctxUntil(ctx, over)) })
		}
		var programs sync.WaitGroup
		for i, pc := range []*PeerConnection{s.a, s.b} {
			own := rand.New(rand.NewPCG(seed, uint64(i)))
			programs.Go(func() {
				for n := range 6 {
					time.Sleep(time.Duration(own.IntN(60)) * time.Millisecond)
					if senders := pc.GetSenders(); len(senders) > 0 && own.IntN(3) == 0 {
						assert.NoError(t, pc.RemoveTrack(senders[own.IntN(len(senders))]))

						continue
					}
					_, err := pc.AddTrack(newSource(t, []string{MimeTypeOpus, MimeTypeVP8}[own.IntN(2)], fmt.Sprint("track", i, "-", n)))
					assert.NoError(t, err)
				}
			})
		}
		programs.Wait()
		connectPeers(t, s.a, s.b)
		time.Sleep(5 * time.Second)
		close(over)
		tasks.Wait()
		for i, side := range sides {
			require.Empty(t, side.errs, "side %d", i)
			ignored += side.ignored
			took += side.took
		}
		require.False(t, needs(s.a))
		require.False(t, needs(s.b))
		requireAgreed(t, s.a, s.b)
		arrive(t, s.a, s.b)
		arrive(t, s.b, s.a)
	})

	return ignored, took
}

// A change needs a negotiation once, and what was negotiated needs none.
func TestP4_MediaNeedsNegotiationOnce(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		told := map[*PeerConnection]chan struct{}{}
		for _, pc := range []*PeerConnection{s.a, s.b} {
			told[pc] = make(chan struct{}, 100)
			pc.OnNegotiationNeeded(func() { told[pc] <- struct{}{} })
		}
		expect := func(pc *PeerConnection, count int, what string) {
			t.Helper()
			synctest.Wait()
			require.Len(t, told[pc], count, what)
			for range count {
				<-told[pc]
			}
		}
		sender, err := s.a.AddTrack(newSource(t, MimeTypeVP8, "one"))
		require.NoError(t, err)
		_, err = s.a.AddTrack(newSource(t, MimeTypeOpus, "two"))
		require.NoError(t, err)
		expect(s.a, 1, "two tracks")
		negotiate(t, s.a, s.b)
		expect(s.a, 0, "negotiated")
		expect(s.b, 0, "answered")
		require.NoError(t, s.a.RemoveTrack(sender))
		expect(s.a, 1, "removed")
		_, err = s.a.AddTrack(newSource(t, MimeTypeVP8, "three"))
		require.NoError(t, err)
		expect(s.a, 0, "more of what it was told")
		negotiate(t, s.b, s.a)
		negotiate(t, s.a, s.b)
		expect(s.b, 0, "its own offer")
		synctest.Wait()
		for len(told[s.a]) > 0 { // that the answer could not say all is no more than once again
			<-told[s.a]
		}
		_, err = s.b.AddTrack(newSource(t, MimeTypeVP8, "back"))
		require.NoError(t, err)
		expect(s.b, 1, "the answerer's")
		// It changes its mind while its offer is out.
		offerAnswer(t, s.b, s.a, func() {
			_, err = s.b.AddTrack(newSource(t, MimeTypeVP8, "more"))
			require.NoError(t, err)
			expect(s.b, 0, "not stable")
		})
		expect(s.b, 1, "stable again")
		negotiate(t, s.b, s.a)
		require.NoError(t, s.b.GetTransceivers()[0].Stop())
		expect(s.b, 1, "stopped")
		negotiate(t, s.b, s.a)
		expect(s.b, 0, "negotiated")
		expect(s.a, 0, "negotiated")
		connectPeers(t, s.a, s.b)
	})
}

// An offer that is refused leaves everything as it was.
func TestP4_MediaRefusedDescriptions(t *testing.T) {
	mediaPair(t, func(t *testing.T, s *mediaScene) {
		_, err := s.a.AddTrack(newSource(t, MimeTypeVP8, "one"))
		require.NoError(t, err)
		_, err = s.b.AddTrack(newSource(t, MimeTypeOpus, "two"))
		require.NoError(t, err)
		require.NoError(t, s.a.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
		offer := *s.a.LocalDescription()
		before := lookAtConnection(s.b)
		for _, line := range []string{"a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:"} {
			bad := offer
			bad.SDP = ""
			for _, l := range linesOf(&offer, "") {
				if len(l) < len(line) || l[:len(line)] != line {
					bad.SDP += l + "\r\n"
				}
			}
			require.ErrorIs(t, s.b.SetRemoteDescription(bad), ErrInvalidArgument, line)
			require.Equal(t, before, lookAtConnection(s.b), line)
		}
		require.ErrorIs(t, s.b.SetRemoteDescriptionContext(deadContext, offer), errSwept)
		require.Equal(t, before, lookAtConnection(s.b))
		require.NoError(t, s.b.SetRemoteDescription(offer))
		require.Len(t, s.b.GetTransceivers(), 2)
		made := s.b.GetTransceivers()[1]
		require.Equal(t, "0", made.Mid())
		require.NoError(t, s.b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
		require.Equal(t, before, lookAtConnection(s.b))
		<-made.Receiver().Context().Done()

		// One that the program has begun to use stays, without its mid.
		require.NoError(t, s.b.SetRemoteDescription(offer))
		video := newSource(t, MimeTypeVP8, "three")
		_, err = s.b.AddTrack(video)
		require.NoError(t, err)
		require.NoError(t, s.b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
		require.Len(t, s.b.GetTransceivers(), 2)
		require.Empty(t, s.b.GetTransceivers()[1].Mid())
		require.NoError(t, s.a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
		require.Empty(t, s.a.GetTransceivers()[0].Mid())
		negotiate(t, s.b, s.a)
		connectPeers(t, s.a, s.b)
		video.begins(t, s.toA)
		requireAgreed(t, s.a, s.b)
	})
}
