package webrtc

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// FuzzConnectionCalls plays any sequence of calls on two connections in virtual
// time, with each other's descriptions, whole, mangled or of another time.
// Whatever it is: nothing panics, nothing hangs once both have been closed,
// errors are ours, closed comes once and last, and nothing is left.
//
// A step is two bytes, its letter in connectionSteps and an argument.
func FuzzConnectionCalls(f *testing.F) {
	for _, program := range []string{
		"A0B0C1D0E8F8",                 // a connect by hand
		"A0A1B0B1C0C1D0D1",             // glare
		"A0B0C1B1C0D0D1",               // a rollback by the other's offer
		"A0G0G1N8",                     // a whole negotiation, and time
		"A0G0N7B1C0D1N6H0N5",           // again, from the other side
		"A0B0K0B0C1K1B0C1D1D0",         // rollbacks
		"A0B0CIC9CAC1LaDQD1",           // mangled ones
		"A0G0N9J0J1I0I1",               // ends
		"O0O1P0P1A0G0N9M0J0",           // calls that wait
		"A0G0N9Q0Q1R0S0N9H0H1",         // handlers that end it
		"A0B0E0C1E1C1E1L0F1D1E2N9",     // candidates
		"A0B0T0C1T1D1N3T0N8J0",         // pranswers
		"A0Q3Q7Q=QAG0N9H0",             // handlers that block
		"A0U0B0C1U1D0U0G0N8U0U1V0V1N9", // configurations, no network
	} {
		f.Add([]byte(program))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 2*maxFuzzSteps)]
		synctest.Test(t, func(t *testing.T) { runConnectionFuzz(t, program) })
	})
}

// connectionFuzz is one run of a program.
type connectionFuzz struct {
	t        *testing.T
	network  *testnet.Network
	sides    [2]*connectionSide
	errs     fuzzErrors
	calls    sync.WaitGroup // that wait for the connection
	waiting  atomic.Int64   // of these
	graceful sync.WaitGroup // calls that wait for handlers too
	release  chan struct{}  // closed when handlers may return
	cut      bool
}

type connectionSide struct {
	*PeerConnection

	run     *connectionFuzz
	peer    *connectionSide
	records []*peerRecord

	mu       sync.Mutex
	created  []SessionDescription // by this side
	channels []*DataChannel
}

func runConnectionFuzz(t *testing.T, program []byte) {
	t.Helper()
	a, b, network := peers(t, testnet.Delay(5*time.Millisecond))
	r := &connectionFuzz{t: t, network: network, release: make(chan struct{})}
	r.sides = [2]*connectionSide{{PeerConnection: a, run: r}, {PeerConnection: b, run: r}}
	r.sides[0].peer, r.sides[1].peer = r.sides[1], r.sides[0]
	for _, s := range r.sides {
		s.records = watchClosing(s.PeerConnection)
	}
	for ; len(program) > 1; program = program[2:] {
		arg := newFuzzArg(program[1])
		connectionSteps[int(program[0]-'A')%len(connectionSteps)](r.sides[arg.side], arg.variant<<2|arg.context)
	}
	r.end()
}

func (r *connectionFuzz) end() {
	t := r.t
	began := time.Now()
	for _, s := range r.sides {
		_ = s.Close()
	}
	synctest.Wait()
	require.Zero(t, r.waiting.Load(), "calls go on after Close")
	require.Zero(t, time.Since(began), "the end took time")
	require.Zero(t, r.network.OpenSockets(0)+r.network.OpenSockets(1), "sockets are open")
	close(r.release)
	r.calls.Wait()
	r.graceful.Wait()
	for _, s := range r.sides {
		s.check("run", s.Run(context.Background()))
		require.Equal(t, PeerConnectionStateClosed, s.ConnectionState())
		require.Equal(t, ICEConnectionStateClosed, s.ICEConnectionState())
		require.Equal(t, SignalingStateClosed, s.SignalingState())
		require.Equal(t, ICETransportStateClosed, s.ice.State())
		require.Equal(t, DTLSTransportStateClosed, s.dtls.State())
		require.Equal(t, SCTPTransportStateClosed, s.sctp.State())
		for _, c := range s.channels {
			require.Equal(t, DataChannelStateClosed, c.ReadyState())
		}
		requireClosedLast(t, s.records)
	}
	require.Zero(t, time.Since(began), "handlers took time")
	require.Empty(t, r.errs.all)
}

// check checks that an error is one of ours.
func (s *connectionSide) check(op string, err error) {
	var ours *Error
	//nolint:errorlint // these two come as they are
	if err == nil || err == io.EOF || err == ErrClosed || errors.As(err, &ours) && ours.Op != "" && ours.Err != nil {
		return
	}
	s.run.errs.add("%s: %T %v", op, err, err)
}

// waits makes a call that may wait, beside the program.
func (s *connectionSide) waits(bits int, op string, call func(ctx context.Context) error) {
	ctx, cancel := fuzzContext(bits)
	s.run.calls.Add(1)
	s.run.waiting.Add(1)
	go func() {
		defer s.run.calls.Done()
		defer s.run.waiting.Add(-1)
		defer cancel()
		err := call(ctx)
		s.check(op, err)
		if ctx == nil && err == nil {
			s.run.errs.add("%s takes a nil context", op)
		}
	}()
	synctest.Wait()
}

// gracefully makes a call that waits for handlers.
func (s *connectionSide) gracefully(bits int, op string, call func(ctx context.Context) error) {
	ctx, cancel := fuzzContext(bits)
	s.run.graceful.Add(1)
	go func() {
		defer s.run.graceful.Done()
		defer cancel()
		s.check(op, call(ctx))
	}()
	synctest.Wait()
}

func fuzzContext(bits int) (context.Context, context.CancelFunc) {
	switch bits & 3 {
	case 0:
		return context.Background(), func() {}
	case 1:
		return context.WithTimeoutCause(context.Background(), time.Duration(1+bits)*3*time.Millisecond, errSwept)
	case 2:
		return deadContext, func() {}
	default:
		return nil, func() {}
	}
}

func (s *connectionSide) keep(desc SessionDescription, err error) {
	s.check("create", err)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.created = append(s.created, desc)
	}
}

// latest is a description of this side's: the one that is set, the last one
// that was created, or an old one; mangled by some variants.
func (s *connectionSide) latest(bits int) SessionDescription {
	s.mu.Lock()
	defer s.mu.Unlock()
	var desc SessionDescription
	if local := s.LocalDescription(); local != nil {
		desc = *local
	}
	if n := len(s.created); n > 0 && bits&1 == 1 {
		desc = s.created[n-1]
	} else if n > 0 && bits&3 == 2 {
		desc = s.created[0]
	}
	switch bits >> 2 {
	case 1:
		desc.Type = SDPType(bits & 7)
	case 2:
		desc.SDP = strings.Replace(desc.SDP, "a=ice-pwd:", "a=ice-pwd:x", 1)
	case 3:
		desc.SDP = strings.Replace(desc.SDP, "a=mid:", "a=mid:7", 1)
	case 4:
		desc.SDP = desc.SDP[:len(desc.SDP)/2]
	case 5:
		desc.SDP = strings.Replace(desc.SDP, "m=application 9", "m=application 0", 1)
	case 6:
		desc.SDP = strings.Replace(desc.SDP, "a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:", 1)
	case 7:
		if bits&3 == 3 {
			desc.SDP = strings.Replace(desc.SDP, "a=setup:actpass", "a=setup:passive", 1)
		}
	}

	return desc
}

func (s *connectionSide) addChannel(c *DataChannel, err error) error {
	if err == nil && c != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.channels) < maxFuzzChannels {
			s.channels = append(s.channels, c)
		}
	}

	return err
}

func (s *connectionSide) channel() *DataChannel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.channels) == 0 {
		return nil
	}

	return s.channels[len(s.channels)-1]
}

// setHandlers makes all handlers of the connection do something.
func (s *connectionSide) setHandlers(bits int) {
	act := []func(){
		func() {},
		func() { _ = s.Close() },
		func() { s.check("set", s.SetLocalDescription(SessionDescription{})) },
		func() { <-s.run.release },
		func() { callGetters(s.PeerConnection) },
		func() { s.check("shutdown", s.Shutdown(deadContext)) },
		func() { s.setHandlers(0) },
		func() { s.check("create", s.addChannel(s.CreateDataChannel("made", nil))) },
	}[bits>>2]
	states, ice, signaling := s.records[0], s.records[1], s.records[2]
	s.OnConnectionStateChange(func(state PeerConnectionState) { states.add(state.String()); act() })
	s.OnICEConnectionStateChange(func(state ICEConnectionState) { ice.add(state.String()); act() })
	s.OnSignalingStateChange(func(state SignalingState) { signaling.add(state.String()); act() })
	s.OnICEGatheringStateChange(func(ICEGatheringState) { act() })
	s.OnNegotiationNeeded(act)
	s.OnICECandidate(func(c *ICECandidate) {
		if c != nil {
			s.check("add candidate", s.peer.AddICECandidate(c.ToJSON()))
		}
		act()
	})
	s.OnDataChannel(nil)
	if bits&1 == 1 {
		s.OnDataChannel(func(c *DataChannel) { _ = s.addChannel(c, nil); act() })
	}
}

// connectionSteps are by letter from 'A'. New ones go to the end, or the corpus
// means something else.
var connectionSteps = []func(s *connectionSide, bits int){
	// A: a channel
	func(s *connectionSide, bits int) {
		var init *DataChannelInit
		if bits>>2 == 7 {
			init = &DataChannelInit{Negotiated: &yes, ID: &five}
		}
		s.check("create channel", s.addChannel(s.CreateDataChannel("fuzzed", init)))
	},
	// B: set what is due
	func(s *connectionSide, bits int) {
		s.waits(bits, "set local", func(ctx context.Context) error {
			return s.SetLocalDescriptionContext(ctx, SessionDescription{Type: SDPType(bits >> 2 & 3)})
		})
	},
	// C: set a description of the peer's
	func(s *connectionSide, bits int) { s.check("set remote", s.SetRemoteDescription(s.peer.latest(bits))) },
	// D: the same, waiting
	func(s *connectionSide, bits int) {
		s.waits(bits, "set remote", func(ctx context.Context) error {
			return s.SetRemoteDescriptionContext(ctx, s.peer.latest(0))
		})
	},
	// E: candidates of the peer's
	func(s *connectionSide, bits int) {
		candidates, _ := s.peer.gatherer.GetLocalCandidates()
		for i := range candidates {
			s.check("add candidate", s.AddICECandidate(candidates[i].ToJSON()))
		}
		init := ICECandidateInit{Candidate: goodCandidate}
		switch bits >> 2 {
		case 1:
			mid("0")(&init)
		case 2:
			mid("7")(&init)
		case 3:
			index(1)(&init)
		case 4:
			ufrag("other")(&init)
		case 5:
			init.Candidate = ""
		case 6:
			init.Candidate = "candidate:"
		}
		s.check("add candidate", s.AddICECandidate(init))
	},
	// F: set our own that was created
	func(s *connectionSide, bits int) { s.check("set local", s.SetLocalDescription(s.latest(bits))) },
	// G: a whole negotiation
	func(s *connectionSide, _ int) {
		for _, p := range [][2]*connectionSide{{s, s.peer}, {s.peer, s}} {
			s.check("set local", p[0].SetLocalDescription(SessionDescription{}))
			time.Sleep(time.Millisecond)
			if local := p[0].LocalDescription(); local != nil {
				s.check("set remote", p[1].SetRemoteDescription(*local))
			}
		}
	},
	// H: Shutdown
	func(s *connectionSide, bits int) { s.waits(bits, "shutdown", s.Shutdown) },
	// I: Close
	func(s *connectionSide, _ int) {
		began := time.Now()
		_ = s.Close()
		if time.Since(began) != 0 {
			s.run.errs.add("Close took %v", time.Since(began))
		}
	},
	// J: Run
	func(s *connectionSide, bits int) { s.gracefully(bits, "run", s.Run) },
	// K: rollback
	func(s *connectionSide, bits int) {
		if bits&1 == 0 {
			s.check("rollback", s.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
		} else {
			s.check("rollback", s.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
		}
	},
	// L: create
	func(s *connectionSide, bits int) {
		if bits&1 == 0 {
			s.keep(s.CreateOffer(nil))
		} else {
			s.keep(s.CreateAnswer(nil))
		}
	},
	// M: GracefulClose
	func(s *connectionSide, _ int) {
		s.gracefully(0, "graceful", func(context.Context) error { return s.GracefulClose() })
	},
	// N: time passes
	func(_ *connectionSide, bits int) {
		time.Sleep([]time.Duration{
			0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond,
			100 * time.Millisecond, time.Second, 10 * time.Second, 70 * time.Second,
		}[bits>>2])
		synctest.Wait()
	},
	// O: Connect
	func(s *connectionSide, bits int) { s.waits(bits, "connect", s.Connect) },
	// P: wait for a state
	func(s *connectionSide, bits int) {
		s.waits(bits, "await", func(ctx context.Context) error {
			return second(s.AwaitState(ctx, PeerConnectionState(bits>>2)))
		})
	},
	// Q: handlers
	func(s *connectionSide, bits int) { s.setHandlers(bits) },
	// R: open a channel
	func(s *connectionSide, bits int) {
		s.waits(bits, "open", func(ctx context.Context) error {
			return s.addChannel(s.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "opened"}))
		})
	},
	// S: accept one, send, receive
	func(s *connectionSide, bits int) {
		s.waits(bits, "channel", func(ctx context.Context) error {
			switch bits >> 2 {
			case 0, 1:
				return s.addChannel(s.SCTP().AcceptDataChannel(ctx))
			case 2, 3, 4:
				return second(s.channel().ReceiveContext(ctx))
			case 5: // which takes no context
				s.check("channel close", s.channel().Close())

				return refuse("fuzz", ErrInvalidArgument, "nothing to wait for")
			}

			return s.channel().SendContext(ctx, make([]byte, 1000*bits))
		})
	},
	// T: a provisional answer
	func(s *connectionSide, _ int) {
		s.check("pranswer", s.SetLocalDescription(SessionDescription{Type: SDPTypePranswer}))
		if local := s.LocalDescription(); local != nil {
			s.check("pranswer", s.peer.SetRemoteDescription(*local))
		}
	},
	// U: the configuration
	func(s *connectionSide, bits int) {
		s.check("configure", s.SetConfiguration([]Configuration{
			{},
			{ICEServers: []ICEServer{{URLs: []string{silentSTUN}}}},
			{ICEServers: serverWithoutURL},
			{ICETransportPolicy: ICETransportPolicyRelay},
			{BundlePolicy: BundlePolicyMaxBundle},
			{ICECandidatePoolSize: 3},
			{PeerIdentity: "x"},
			{Certificates: make([]Certificate, 1)},
		}[bits>>2]))
	},
	// V: cut the network, or mend it
	func(s *connectionSide, _ int) {
		s.run.cut = !s.run.cut
		s.run.network.Cut(s.run.cut)
	},
	// W: a layer ends by itself
	func(s *connectionSide, bits int) {
		_ = []func() error{s.ice.Stop, s.dtls.Stop, s.sctp.Stop, s.gatherer.Close}[bits&3]()
	},
	// X: what tells something
	func(s *connectionSide, _ int) { callGetters(s.PeerConnection) },
	// Y: the promise
	func(s *connectionSide, _ int) {
		s.waits(0, "promise", func(context.Context) error {
			<-GatheringCompletePromise(s.PeerConnection)

			return nil
		})
	},
}

// TestL9_RandomSchedulesOfAPeerConnection makes what ends a connection, what
// negotiates, and what waits, at random instants, beside each other.
func TestL9_RandomSchedulesOfAPeerConnection(t *testing.T) {
	schedules := 1000
	if raceEnabled {
		schedules = 300
	}
	const parts = 4
	for part := range parts {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < schedules && !t.Failed(); seed += parts {
				bubble(t, func(t *testing.T) { runConnectionSchedule(t, uint64(seed)) }) //nolint:gosec // not negative
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}
		})
	}
}

func runConnectionSchedule(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	a, b, network := peers(t, testnet.Delay(time.Duration(random.IntN(3))*time.Millisecond))
	r := &connectionFuzz{t: t, network: network, release: make(chan struct{})}
	r.sides = [2]*connectionSide{{PeerConnection: a, run: r}, {PeerConnection: b, run: r}}
	r.sides[0].peer, r.sides[1].peer = r.sides[1], r.sides[0]
	for _, s := range r.sides {
		s.records = watchClosing(s.PeerConnection)
		s.setHandlers(1)
		_, err := s.CreateDataChannel("chat", nil)
		require.NoError(t, err)
	}
	ctx := context.Background()
	for range 6 + random.IntN(10) {
		s := r.sides[random.IntN(2)]
		delay := time.Duration(random.IntN(150)) * 100 * time.Microsecond
		short := time.Duration(random.IntN(100)) * 100 * time.Microsecond
		var call func() error
		switch random.IntN(12) {
		case 0:
			call = s.Close
		case 1:
			call = func() error {
				ctx, cancel := context.WithTimeout(ctx, short)
				defer cancel()

				return s.Shutdown(ctx)
			}
		case 2:
			call = func() error {
				ctx, cancel := context.WithTimeoutCause(ctx, short, errSwept)
				defer cancel()

				return s.Run(ctx)
			}
		case 3:
			call = func() error { return s.Connect(ctx) }
		case 4:
			call = func() error { return second(s.CreateOffer(nil)) }
		case 5:
			call = func() error { return second(s.CreateAnswer(nil)) }
		case 6:
			call = func() error { return s.addChannel(s.CreateDataChannel("more", nil)) }
		case 7:
			call = func() error { return s.SetLocalDescriptionContext(ctx, SessionDescription{}) }
		case 8:
			call = s.GracefulClose
		default:
			call = func() error {
				if err := s.SetLocalDescriptionContext(ctx, SessionDescription{}); err != nil {
					return err
				}
				for _, p := range [][2]*connectionSide{{s, s.peer}, {s.peer, s}} {
					local := p[0].LocalDescription()
					if local == nil { // an offer of the peer's has taken it back
						return nil
					}
					if err := p[1].SetRemoteDescriptionContext(ctx, *local); err != nil {
						return err
					}
					if p[0] == s {
						if err := p[1].SetLocalDescriptionContext(ctx, SessionDescription{}); err != nil {
							return err
						}
					}
				}

				return nil
			}
		}
		r.calls.Add(1)
		r.waiting.Add(1)
		time.AfterFunc(delay, func() {
			defer r.calls.Done()
			defer r.waiting.Add(-1)
			err := call()
			var lost *DataLostError
			if !errors.As(err, &lost) {
				s.check("scheduled", err)
			}
		})
	}
	time.Sleep(time.Duration(15+random.IntN(20)) * time.Millisecond)
	r.end()
}
