package webrtc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// How candidates travel: each by itself, all in the description, or some of
// each.
func TestP5_WaysOfCandidates(t *testing.T) {
	for name, whole := range map[string][2]bool{
		"full": {true, true}, "trickle": {false, false}, "half trickle": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, network := peers(t, testnet.Delay(10*time.Millisecond))
				trickled := [2]chan *ICECandidate{}
				for i, pc := range []*PeerConnection{a, b} {
					trickled[i] = make(chan *ICECandidate, 10)
					pc.OnICECandidate(func(c *ICECandidate) { trickled[i] <- c })
				}
				_, err := a.CreateDataChannel("chat", nil)
				require.NoError(t, err)
				ctx := context.Background()
				describe := func(pc *PeerConnection, whole bool) SessionDescription {
					if whole {
						require.NoError(t, pc.SetLocalDescriptionContext(ctx, SessionDescription{}))

						return *pc.LocalDescription()
					}
					require.NoError(t, pc.SetLocalDescription(SessionDescription{}))

					return asSet(pc)
				}
				offer := describe(a, whole[0])
				assert.Equal(t, whole[0], strings.Contains(offer.SDP, "a=end-of-candidates"))
				assert.Equal(t, whole[0], strings.Contains(offer.SDP, "a=candidate"))
				require.NoError(t, b.SetRemoteDescription(offer))
				assert.Equal(t, ICETrickleCapabilitySupported, b.CanTrickleICECandidates())
				answer := describe(b, whole[1])
				require.NoError(t, a.SetRemoteDescription(answer))
				for i, to := range []*PeerConnection{b, a} {
					if whole[i] {
						continue
					}
					for c := <-trickled[i]; c != nil; c = <-trickled[i] {
						assert.Equal(t, "0", c.SDPMid)
						require.NoError(t, to.AddICECandidate(c.ToJSON()))
					}
					require.NoError(t, to.AddICECandidate(ICECandidateInit{}), "the end of candidates")
				}
				connectPeers(t, a, b)
				requirePeersGone(t, network, a, b)
			})
		})
	}
}

// asSet is the local description as it was set, without candidates.
func asSet(pc *PeerConnection) SessionDescription {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()

	return pc.negotiation.local().SessionDescription
}

// Candidates that overtake their description wait for it.
func TestP5_CandidatesBeforeTheDescription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		early := make(chan *ICECandidate, 10)
		a.OnICECandidate(func(c *ICECandidate) { early <- c })
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescription(SessionDescription{}))
		offer := asSet(a)
		for c := <-early; c != nil; c = <-early {
			require.NoError(t, b.AddICECandidate(c.ToJSON()))
		}
		// Of another session, it is dropped when the description comes.
		stranger := "abcdef"
		require.NoError(t, b.AddICECandidate(ICECandidateInit{
			Candidate: "candidate:1 1 udp 1 10.0.0.9 9 typ host", UsernameFragment: &stranger,
		}))
		require.NoError(t, b.SetRemoteDescription(offer))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		b.life.mu.Lock()
		waiting := len(b.negotiation.candidates)
		b.life.mu.Unlock()
		assert.Zero(t, waiting)
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}

func TestP5_EarlyCandidatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, network := peers(t)
		candidate := func(port int) ICECandidateInit {
			return ICECandidateInit{Candidate: fmt.Sprintf("candidate:1 1 udp 1 10.0.0.9 %d typ host", port)}
		}
		for port := range defaultMaxRemoteCandidates {
			require.NoError(t, b.AddICECandidate(candidate(1+port)))
		}
		require.ErrorIs(t, b.AddICECandidate(candidate(1000)), ErrInvalidState)
		requirePeersGone(t, network, b)
	})
}

// askingLogs is a program's log that looks at a connection.
type askingLogs struct {
	logging.LeveledLogger

	ask func()
}

func (l *askingLogs) NewLogger(string) logging.LeveledLogger { return l }
func (l *askingLogs) Debugf(string, ...any)                  { l.ask() }
func (l *askingLogs) Warnf(string, ...any)                   { l.ask() }

// What is logged of a description is logged with no lock held.
func TestP5_LogsOfCandidatesMayAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t)
		logs := &askingLogs{LeveledLogger: quietLogs.NewLogger("test"), ask: func() {}}
		a := newPeer(t, SettingEngine{}, network, 0)
		b := newPeer(t, SettingEngine{LoggerFactory: logs}, network, 1)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(context.Background(), SessionDescription{}))
		offer := *a.LocalDescription()
		var candidates strings.Builder
		candidates.WriteString("a=candidate:nonsense\r\n")
		for port := range 2 * defaultMaxRemoteCandidates {
			fmt.Fprintf(&candidates, "a=candidate:1 1 udp 1 10.0.0.9 %d typ host\r\n", 1+port)
		}
		offer.SDP += candidates.String()
		var asked atomic.Int32
		logs.ask = func() {
			asked.Add(1)
			b.SignalingState()
		}
		require.NoError(t, b.SetRemoteDescription(offer))
		assert.EqualValues(t, 2, asked.Load())
		var waiting int
		b.life.set(func() { waiting = len(b.negotiation.candidates) })
		assert.Equal(t, defaultMaxRemoteCandidates, waiting)
		requirePeersGone(t, network, a, b)
	})
}

// What is refused changes nothing: the negotiation goes on as if it had not been
// tried.
func TestP3_RefusedDescriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *a.LocalDescription()

		refusedBy := func(pc *PeerConnection, typ SDPType, sdp string, target error) {
			t.Helper()
			before := []*SessionDescription{pc.LocalDescription(), pc.RemoteDescription()}
			state := pc.SignalingState()
			err := pc.SetRemoteDescriptionContext(ctx, SessionDescription{Type: typ, SDP: sdp})
			require.ErrorIs(t, err, target)
			require.Equal(t, before, []*SessionDescription{pc.LocalDescription(), pc.RemoteDescription()})
			require.Equal(t, state, pc.SignalingState())
		}
		without := func(sdp, line string) string {
			lines := strings.Split(sdp, "\r\n")
			kept := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, line) })
			require.Less(t, len(kept), len(lines), line)

			return strings.Join(kept, "\r\n")
		}
		refusedBy(b, SDPTypeOffer, "", ErrInvalidArgument)
		refusedBy(b, SDPTypeOffer, "v=1\r\n", ErrInvalidArgument)
		refusedBy(b, SDPTypeUnknown, offer.SDP, ErrInvalidArgument)
		refusedBy(b, SDPTypeAnswer, offer.SDP, ErrInvalidState)
		refusedBy(b, SDPTypeOffer, without(offer.SDP, "a=ice-ufrag"), ErrInvalidArgument)
		refusedBy(b, SDPTypeOffer, without(offer.SDP, "a=ice-pwd"), ErrInvalidArgument)
		refusedBy(b, SDPTypeOffer, without(offer.SDP, "a=fingerprint"), ErrInvalidArgument)
		refusedBy(b, SDPTypeOffer, strings.Replace(offer.SDP, "sctp-init:", "sctp-init:!", 1), ErrInvalidArgument)

		require.NoError(t, b.SetRemoteDescriptionContext(ctx, offer))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		answer := *b.LocalDescription()
		refusedBy(a, SDPTypeAnswer, without(answer.SDP, "a=fingerprint"), ErrInvalidArgument)
		refusedBy(a, SDPTypeAnswer, strings.Replace(answer.SDP, "a=mid:0", "a=mid:1", 1), ErrInvalidArgument)
		refusedBy(a, SDPTypeAnswer, strings.Replace(answer.SDP, "setup:active", "setup:actpass", 1), ErrInvalidArgument)

		// The context is looked at after the refusals, and before anything changes.
		why := errors.New("not now")
		dead, cancel := context.WithCancelCause(ctx)
		cancel(why)
		require.ErrorIs(t, a.SetRemoteDescriptionContext(dead, SessionDescription{Type: SDPTypeAnswer}), ErrInvalidArgument)
		err = a.SetRemoteDescriptionContext(dead, answer)
		require.ErrorIs(t, err, why)
		require.Equal(t, SignalingStateHaveLocalOffer, a.SignalingState())

		require.NoError(t, a.SetRemoteDescriptionContext(ctx, answer))
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}

// A syntax error names its line.
func TestP7_SyntaxErrorsHaveALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		offer, err := a.CreateOffer(nil)
		require.NoError(t, err)
		offer.SDP = strings.Replace(offer.SDP, "a=setup:actpass", "a=setup:sideways", 1)
		line := 1 + strings.Count(offer.SDP[:strings.Index(offer.SDP, "a=setup")], "\n")
		err = b.SetRemoteDescription(offer)
		var syntax *SDPSyntaxError
		require.ErrorAs(t, err, &syntax)
		assert.Equal(t, line, syntax.Line)
		assert.Contains(t, err.Error(), "setup")
		requirePeersGone(t, network, a, b)
	})
}

// A peer's audio and video are rejected, its data channels are not.
func TestP5_OfferWithMediaIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *a.LocalDescription()
		// As from a browser: audio first, which is the tagged section.
		head, data, _ := strings.Cut(offer.SDP, "m=application")
		transport := data[strings.Index(data, "a=ice-ufrag"):strings.Index(data, "a=mid")]
		head = strings.Replace(head, "BUNDLE 0", "BUNDLE audio 0", 1)
		offer.SDP = head + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" + transport +
			"a=mid:audio\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\nm=application" + data
		require.NoError(t, b.SetRemoteDescription(offer))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		answer := b.LocalDescription().SDP
		assert.Contains(t, answer, "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")
		assert.Contains(t, answer, "a=recvonly\r\n", "there is nothing to send, and nobody who does not want it")
		assert.Contains(t, answer, "a=group:BUNDLE audio 0\r\n")
		assert.Contains(t, answer, "m=application 9 ")
		parsed, err := b.LocalDescription().Unmarshal()
		require.NoError(t, err)
		require.Len(t, parsed.MediaDescriptions, 2)
		requirePeersGone(t, network, a, b)
	})
}

// A second negotiation of a connected pair changes nothing below.
func TestP4_Renegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		states, _, _, _ := watchPeer(a)
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		accepted, err := b.SCTP().AcceptDataChannel(context.Background())
		require.NoError(t, err)
		for _, pair := range [][2]*PeerConnection{{b, a}, {a, b}, {b, a}} {
			negotiate(t, pair[0], pair[1])
			exchange(t, channel, accepted)
		}
		assert.Equal(t, []string{"connecting", "connected"}, states.list())
		requirePeersGone(t, network, a, b)
	})
}

// A provisional answer starts the transports; the answer that follows confirms.
func TestP4_Pranswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		ctx := context.Background()
		_, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{Type: SDPTypePranswer}))
		assert.Equal(t, SignalingStateHaveLocalPranswer, b.SignalingState())
		assert.Equal(t, SDPTypePranswer, b.LocalDescription().Type)
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		assert.Equal(t, SignalingStateHaveRemotePranswer, a.SignalingState())
		connectPeers(t, a, b)
		require.NoError(t, b.SetLocalDescription(SessionDescription{}))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		assert.Equal(t, SignalingStateStable, a.SignalingState())
		assert.Equal(t, SignalingStateStable, b.SignalingState())
		requirePeersGone(t, network, a, b)
	})
}

// S6: libdatachannel copies what it does not know of an offer into its answer. Our
// own chunk in there is none of the peer's, which does the plain handshake.
func TestS6_AnswerThatCopiesOurInit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		a := newPeer(t, SettingEngine{}, network, 0)
		// Its INIT could not stand for ours.
		b := newPeer(t, SettingEngine{SCTP: SCTPSettings{DisableInterleaving: true}}, network, 1)
		_, err := a.CreateDataChannel("data", nil)
		require.NoError(t, err)
		ctx := t.Context()
		line := regexp.MustCompile(`a=sctp-init:[^\r]*\r\n`)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		offer := *a.LocalDescription()
		ours := line.FindString(offer.SDP)
		require.NotEmpty(t, ours)
		offer.SDP = line.ReplaceAllString(offer.SDP, "")
		require.NoError(t, b.SetRemoteDescriptionContext(ctx, offer))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		answer := *b.LocalDescription()
		require.NotRegexp(t, line, answer.SDP)
		answer.SDP += ours
		require.NoError(t, a.SetRemoteDescriptionContext(ctx, answer))
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}
