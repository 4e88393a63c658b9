package webrtc

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
	"github.com/ctxrtc/webrtc/pkg/media"
)

// connectionScene is a pair of connections in which every handler of a's is
// called once at least, and those of the channel own, which a makes.
type connectionScene struct {
	a, b    *PeerConnection
	network *testnet.Network
	own     *DataChannel
	media   *RTPTransceiver         // of a's
	track   *TrackLocalStaticSample // that b sends
}

// connectionHandlers is every handler, and how to set it.
var connectionHandlers = map[string]func(s *connectionScene, f func()){
	"OnConnectionStateChange": func(s *connectionScene, f func()) {
		s.a.OnConnectionStateChange(func(PeerConnectionState) { f() })
	},
	"OnICEConnectionStateChange": func(s *connectionScene, f func()) {
		s.a.OnICEConnectionStateChange(func(ICEConnectionState) { f() })
	},
	"OnSignalingStateChange": func(s *connectionScene, f func()) {
		s.a.OnSignalingStateChange(func(SignalingState) { f() })
	},
	"OnICEGatheringStateChange": func(s *connectionScene, f func()) {
		s.a.OnICEGatheringStateChange(func(ICEGatheringState) { f() })
	},
	"OnICECandidate": func(s *connectionScene, f func()) { s.a.OnICECandidate(func(*ICECandidate) { f() }) },
	"OnICECandidateError": func(s *connectionScene, f func()) {
		// A server that cannot be asked over TLS, which takes no time.
		s.a.gatherer.urls, _ = serverURLs([]ICEServer{{URLs: []string{"stuns:10.0.0.9"}}})
		s.a.OnICECandidateError(func(*ICECandidateError) { f() })
	},
	"OnNegotiationNeeded":   func(s *connectionScene, f func()) { s.a.OnNegotiationNeeded(f) },
	"OnDataChannel":         func(s *connectionScene, f func()) { s.a.OnDataChannel(func(*DataChannel) { f() }) },
	"OnTrack":               func(s *connectionScene, f func()) { s.a.OnTrack(func(*TrackRemote, *RTPReceiver) { f() }) },
	"DataChannel.OnOpen":    func(s *connectionScene, f func()) { s.own.OnOpen(f) },
	"DataChannel.OnMessage": func(s *connectionScene, f func()) { s.own.OnMessage(func(DataChannelMessage) { f() }) },
	"DataChannel.OnClose":   func(s *connectionScene, f func()) { s.own.OnClose(f) },
	"DataChannel.OnError":   func(s *connectionScene, f func()) { s.own.OnError(func(error) { f() }) },
}

// ofQueue tells the handlers that share the queue of the connection's events.
func ofQueue(handler string) bool {
	return slices.Contains([]string{
		"OnConnectionStateChange", "OnICEConnectionStateChange", "OnSignalingStateChange", "OnICEGatheringStateChange",
		"OnICECandidate", "OnICECandidateError",
	}, handler)
}

func newConnectionScene(t *testing.T) *connectionScene {
	t.Helper()
	s := &connectionScene{}
	s.a, s.b, s.network = peers(t, testnet.Delay(pathDelay))
	// Not by CreateDataChannel, which would need a negotiation before the
	// handlers are set.
	var err error
	s.own, err = s.a.api.NewDataChannel(s.a.SCTP(), &DataChannelParameters{Label: "own", Ordered: true})
	require.NoError(t, err)
	s.track = sampleTrack(t, MimeTypeVP8)
	_, err = s.b.AddTrack(s.track)
	require.NoError(t, err)
	s.media, err = s.a.AddTransceiverFromKind(RTPCodecTypeVideo)
	require.NoError(t, err)

	return s
}

// play goes through a connection's life as far as the handlers leave it
// standing. Steps fail where a handler ends things, so nothing is asserted.
func (s *connectionScene) play(ctx context.Context) {
	_, _ = s.a.CreateDataChannel("needed", nil)
	synctest.Wait()
	for _, p := range [][2]*PeerConnection{{s.a, s.b}, {s.b, s.a}} {
		if p[0].SignalingState() == SignalingStateStable || p[0] == s.b {
			_ = p[0].SetLocalDescriptionContext(ctx, SessionDescription{})
		}
		if local := p[0].LocalDescription(); local != nil {
			_ = p[1].SetRemoteDescriptionContext(ctx, *local)
		}
	}
	if s.a.Connect(ctx) != nil || s.b.Connect(ctx) != nil {
		return
	}
	_ = s.track.WriteSample(media.Sample{Data: []byte{1}, Duration: time.Second})
	for {
		c, err := s.b.SCTP().AcceptDataChannel(ctx)
		if err != nil {
			return
		}
		if c.Label() == "own" {
			_ = c.SendText("to own")

			break
		}
	}
	_, _ = s.b.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "b's"})
	time.Sleep(time.Second)
}

// objects are the values whose public methods are called.
func (s *connectionScene) objects() map[string]reflect.Value {
	return map[string]reflect.Value{
		"PeerConnection": reflect.ValueOf(s.a),
		"RTPTransceiver": reflect.ValueOf(s.media),
		"DataChannel":    reflect.ValueOf(s.own),
		"SCTPTransport":  reflect.ValueOf(s.a.SCTP()),
		"DTLSTransport":  reflect.ValueOf(s.a.SCTP().Transport()),
	}
}

func (s *connectionScene) methods() (calm, ends []string) {
	for name, object := range s.objects() {
		for i := range object.NumMethod() {
			method := object.Type().Method(i).Name
			switch full := name + "." + method; {
			case slices.Contains(notFromHandlers, method):
			case strings.HasPrefix(method, "Start"), strings.HasPrefix(method, "On"): // the connection's to call; see below
			case slices.Contains(ending, method):
				ends = append(ends, full)
			default:
				calm = append(calm, full)
			}
		}
	}
	// Setting a handler to nil is harmless, but would take the one under test
	// away: those of the connection alone, at the end.
	for i := range reflect.TypeFor[*PeerConnection]().NumMethod() {
		if method := reflect.TypeFor[*PeerConnection]().Method(i).Name; strings.HasPrefix(method, "On") {
			ends = append(ends, "PeerConnection."+method)
		}
	}
	slices.Sort(calm)
	slices.Sort(ends)

	return calm, ends
}

// call calls one method and returns how long it took, and whether it may take
// its context's time.
func (s *connectionScene) call(full string) (took time.Duration, waits bool) {
	name, method, _ := strings.Cut(full, ".")
	f := s.objects()[name].MethodByName(method)
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	var in []reflect.Value
	for i := range f.Type().NumIn() {
		of := f.Type().In(i)
		switch {
		case of == reflect.TypeFor[context.Context]():
			waits = true
			in = append(in, reflect.ValueOf(ctx))
		case f.Type().IsVariadic() && i == f.Type().NumIn()-1:
			if of.Elem() == reflect.TypeFor[PeerConnectionState]() {
				in = append(in, reflect.ValueOf(PeerConnectionStateFailed))
			}
		default:
			in = append(in, reflect.Zero(of))
		}
	}
	began := time.Now()
	f.Call(in)

	return time.Since(began), waits
}

// TestE1_EveryMethodFromEveryHandlerOfAPeerConnection calls each from each: none
// deadlocks, and none takes time but those with a context, which wait no longer
// than that.
func TestE1_EveryMethodFromEveryHandlerOfAPeerConnection(t *testing.T) {
	var calm, ends []string
	bubble(t, func(t *testing.T) { calm, ends = newConnectionScene(t).methods() })
	require.Greater(t, len(calm), 50)
	require.Greater(t, len(ends), 12)
	for handler, set := range connectionHandlers {
		t.Run(handler, func(t *testing.T) {
			bubble(t, func(t *testing.T) { connectionCallsFrom(t, set, calm) })
			backwards := slices.Clone(calm)
			slices.Reverse(backwards)
			bubble(t, func(t *testing.T) { connectionCallsFrom(t, set, backwards) })
			for i := range ends {
				bubble(t, func(t *testing.T) { connectionCallsFrom(t, set, ends[i:i+1]) })
			}
			bubble(t, func(t *testing.T) { connectionCallsFrom(t, set, ends) })
		})
	}
}

func connectionCallsFrom(t *testing.T, set func(*connectionScene, func()), methods []string) {
	t.Helper()
	s := newConnectionScene(t)
	var now atomic.Value
	now.Store("nothing")
	done := make(chan struct{})
	// Not sync.OnceFunc: a handler that comes while another runs would wait for
	// it, with a lock, and a bubble's clock stands still meanwhile.
	var called atomic.Bool
	set(s, func() {
		if !called.CompareAndSwap(false, true) {
			return
		}
		defer close(done)
		for _, method := range methods {
			now.Store(method)
			took, waits := s.call(method)
			if waits {
				assert.LessOrEqual(t, took, callLimit, method)
			} else {
				assert.Zero(t, took, method)
			}
		}
	})
	s.play(limited(t, 5*time.Second))
	_ = s.b.SCTP().Stop() // an ABORT
	synctest.Wait()
	select {
	case <-done:
	case <-time.After(time.Minute):
		buf := make([]byte, 1<<20)
		t.Fatalf("the handler was not called, or hangs in %v\n%s", now.Load(), buf[:runtime.Stack(buf, true)])
	}
	requirePeersGone(t, s.network, s.a, s.b)
	require.NoError(t, ranOut(s.a.Run(context.Background())))
}

// ranOut is what Run tells after any end but a failure of the test.
func ranOut(err error) error {
	var ours *Error
	if errors.As(err, &ours) {
		return nil
	}

	return err
}

// TestE2_BlockedHandlerOfAPeerConnectionBlocksNothing lets one handler after the
// other never return: the connection comes up, messages flow, negotiations
// go on, another connection works, and it can be closed. Run alone waits.
func TestE2_BlockedHandlerOfAPeerConnectionBlocksNothing(t *testing.T) {
	for name, set := range connectionHandlers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { blockConnectionHandler(t, name, set) })
		})
	}
}

func blockConnectionHandler(t *testing.T, name string, set func(*connectionScene, func())) {
	t.Helper()
	s := newConnectionScene(t)
	block, entered, unblock := blocking(t)
	set(s, block)
	var signaling, needed atomic.Int32
	if name != "OnSignalingStateChange" {
		s.a.OnSignalingStateChange(func(SignalingState) { signaling.Add(1) })
	}
	if name != "OnNegotiationNeeded" {
		s.a.OnNegotiationNeeded(func() { needed.Add(1) })
	}
	ctx := limited(t, testTimeout)
	_, err := s.a.CreateDataChannel("needed", nil)
	require.NoError(t, err)
	synctest.Wait() // until that is needed was told
	negotiate(t, s.a, s.b)
	connectPeers(t, s.a, s.b)
	require.NoError(t, s.track.WriteSample(media.Sample{Data: []byte{1}, Duration: time.Second}))
	peer, err := s.b.SCTP().AcceptDataChannel(ctx)
	for err == nil && peer.Label() != "own" {
		peer, err = s.b.SCTP().AcceptDataChannel(ctx)
	}
	require.NoError(t, err)
	for range 2 {
		_, err = s.b.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "b's"})
		require.NoError(t, err)
		require.NoError(t, s.own.SendTextContext(ctx, "from own"))
		_, err = peer.ReceiveContext(ctx)
		require.NoError(t, err)
		require.NoError(t, peer.SendTextContext(ctx, "to own"))
		if name != "DataChannel.OnMessage" {
			_, err = s.own.ReceiveContext(ctx)
			require.NoError(t, err)
		}
	}
	negotiate(t, s.b, s.a)
	synctest.Wait()
	if ofQueue(name) {
		require.Less(t, signaling.Load(), int32(4), "an event overtook the blocked handler")
	} else {
		require.EqualValues(t, 4, signaling.Load())
	}
	if name != "OnNegotiationNeeded" {
		require.EqualValues(t, 1, needed.Load())
	}
	s.a.ConnectionState()
	lookAtConnection(s.a)

	c, d, network := peers(t)
	_, err = c.CreateDataChannel("other", nil)
	require.NoError(t, err)
	negotiate(t, c, d)
	connectPeers(t, c, d)
	requirePeersGone(t, network, c, d)

	if strings.HasSuffix(name, "OnError") {
		_ = s.b.Close() // an ABORT
		<-s.own.Context().Done()
		synctest.Wait()
	}
	began := time.Now()
	require.NoError(t, s.a.Close())
	require.NoError(t, s.a.Shutdown(ctx))
	_, err = s.a.AwaitState(ctx, PeerConnectionStateClosed)
	require.NoError(t, err)
	synctest.Wait()
	require.Zero(t, time.Since(began))
	require.Zero(t, s.network.OpenSockets(0), "a socket waits for the handler")
	select {
	case <-entered:
	default:
		t.Fatal("the handler was not called")
	}
	running := result(func() error { return s.a.Run(context.Background()) })
	time.Sleep(time.Hour)
	require.Empty(t, running, "Run returned before the handler")
	unblock()
	require.NoError(t, ranOut(<-running))
	requirePeersGone(t, s.network, s.a, s.b)
}

// TestE7_HandlersOfAPeerConnectionNilReplacedAndLate: only the handler that is
// set when an event is delivered is called; setting one replays nothing.
func TestE7_HandlersOfAPeerConnectionNilReplacedAndLate(t *testing.T) {
	for name, set := range connectionHandlers {
		// One of OnNegotiationNeeded is told at once what nobody was.
		atOnce := name == "OnNegotiationNeeded"
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newConnectionScene(t)
				if !atOnce {
					set(s, func() { t.Error("a handler was called that had been replaced") })
				}
				var calls atomic.Int32
				set(s, func() { calls.Add(1) })
				s.play(limited(t, testTimeout))
				_ = s.b.SCTP().Stop()
				<-s.own.Context().Done()
				require.NoError(t, s.a.Close())
				synctest.Wait()
				require.NotZero(t, calls.Load())
				set(s, func() { t.Error("something was told again") })
				synctest.Wait()
				requirePeersGone(t, s.network, s.a, s.b)
			})
			bubble(t, func(t *testing.T) {
				s := newConnectionScene(t)
				if !atOnce {
					set(s, func() { t.Error("a handler was called that had been taken away") })
				}
				s.a.OnConnectionStateChange(nil)
				s.a.OnICEConnectionStateChange(nil)
				s.a.OnSignalingStateChange(nil)
				s.a.OnICEGatheringStateChange(nil)
				s.a.OnICECandidate(nil)
				s.a.OnICECandidateError(nil)
				s.a.OnNegotiationNeeded(nil)
				s.a.OnDataChannel(nil)
				s.a.OnTrack(nil)
				s.own.OnOpen(nil)
				s.own.OnMessage(nil)
				s.own.OnClose(nil)
				s.own.OnError(nil)
				s.play(limited(t, testTimeout))
				_ = s.b.SCTP().Stop()
				synctest.Wait()
				requirePeersGone(t, s.network, s.a, s.b)
			})
		})
	}
}
