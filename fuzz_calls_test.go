package webrtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// FuzzCalls runs any sequence of calls, lost packets and time steps on two
// peers in virtual time. Whatever it is: nothing panics, nothing hangs once
// both peers have stopped, states and errors are as the contract has them, and
// nothing is left.
//
// A step is two bytes, its letter in fuzzSteps and an argument that fuzzArg
// takes apart; both are printable in the corpus. The first step can be '!' with
// an argument for fuzzSettings.
func FuzzCalls(f *testing.F) {
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 2*maxFuzzSteps)]
		synctest.Test(t, func(t *testing.T) { runFuzzCalls(t, program) })
	})
}

const (
	maxFuzzSteps    = 60
	maxFuzzChannels = 8
)

// fuzzArg is the second byte of a step: '0' and up, six bits.
type fuzzArg struct {
	side    int
	context int
	variant int // 0 to 7
}

func newFuzzArg(b byte) fuzzArg {
	b -= '0'

	return fuzzArg{side: int(b & 1), context: int(b >> 1 & 3), variant: int(b >> 3 & 7)}
}

// fuzzSettings picks settings by the bits of an argument.
func fuzzSettings(bits byte) (e SettingEngine) {
	if bits&1 != 0 {
		e.DetachDataChannels()
	}
	if bits&2 != 0 {
		e.ICE.FailedGrace = 5 * time.Second
	}
	if bits&4 != 0 {
		e.DataChannel.AcceptBacklog, e.DataChannel.MaxChannels = 1, 3
		e.DataChannel.MaxAssociationBuffered = 100_000
	}
	if bits&8 != 0 {
		e.SetICETimeouts(time.Second, 2*time.Second, 200*time.Millisecond)
	}

	return e
}

// fuzzRun is one run of a program.
type fuzzRun struct {
	t       *testing.T
	network *testnet.Network
	sides   [2]*fuzzSide
	errs    fuzzErrors

	contexts int
	calls    sync.WaitGroup // that wait for nothing but the stack
	waiting  atomic.Int64   // of these
	handlers sync.WaitGroup // calls that wait for handlers too
	release  chan struct{}  // closed when handlers may return
	dropping atomic.Int64   // packets to lose
	cut      bool
}

type fuzzSide struct {
	*stack

	run *fuzzRun

	mu        sync.Mutex
	channels  []*DataChannel
	states    map[string][]string // what handlers were told, by layer
	stopped   map[string]bool     // layers whose Stop has returned
	connected map[string]bool     // layers whose start has returned nil
}

// fuzzErrors are failures found on other goroutines.
type fuzzErrors struct {
	mu  sync.Mutex
	all []string
}

func (e *fuzzErrors) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, fmt.Sprintf(format, args...))
}

func runFuzzCalls(t *testing.T, program []byte) {
	t.Helper()
	r := &fuzzRun{t: t, release: make(chan struct{})}
	settings := SettingEngine{}
	if len(program) > 1 && program[0] == '!' {
		settings = fuzzSettings(program[1] - '0')
		program = program[2:]
	}
	r.network = testnet.Pair(t, testnet.Delay(5*time.Millisecond))
	r.network.OnPacket(func(int, []byte) bool { return r.dropping.Add(-1) >= 0 })
	for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
		r.sides[i] = &fuzzSide{
			stack: quickStack(t, role, settings, r.network, i), run: r,
			states: map[string][]string{}, stopped: map[string]bool{}, connected: map[string]bool{},
		}
		r.sides[i].setStateHandlers(0)
	}
	for ; len(program) > 1; program = program[2:] {
		arg := newFuzzArg(program[1])
		fuzzSteps[int(program[0]-'A')%len(fuzzSteps)](r, r.sides[arg.side], arg)
	}
	r.end()
}

// end stops both peers and checks what must hold then.
func (r *fuzzRun) end() {
	t := r.t
	began := time.Now()
	for _, s := range r.sides {
		require.NoError(t, s.ice.Stop())
	}
	synctest.Wait()
	require.Zero(t, r.waiting.Load(), "calls go on after Stop")
	require.Zero(t, time.Since(began), "the end took time")
	require.Zero(t, r.network.OpenSockets(0)+r.network.OpenSockets(1), "sockets are open")
	r.calls.Wait()
	close(r.release)
	r.handlers.Wait()
	for _, s := range r.sides {
		for _, run := range []func(context.Context) error{s.ice.Run, s.dtls.Run, s.sctp.Run} {
			s.checkError("run", run(context.Background()))
		}
	}
	synctest.Wait()
	require.Zero(t, time.Since(began), "handlers took time")
	require.Empty(t, r.errs.all)
	for _, s := range r.sides {
		s.checkEnd(t)
	}
}

func (s *fuzzSide) checkEnd(t *testing.T) {
	t.Helper()
	require.Equal(t, ICEGathererStateClosed, s.gatherer.State())
	require.Equal(t, ICETransportStateClosed, s.ice.State())
	require.Equal(t, DTLSTransportStateClosed, s.dtls.State())
	require.Equal(t, SCTPTransportStateClosed, s.sctp.State())
	for _, c := range s.channels {
		require.Equal(t, DataChannelStateClosed, c.ReadyState())
		require.Error(t, context.Cause(c.Context()))
	}
	s.sctp.streams.mu.Lock()
	require.Zero(t, len(s.sctp.streams.channels), "places of channels are taken")
	s.sctp.streams.mu.Unlock()
	for layer, states := range s.states {
		closed := 0
		for i, state := range states {
			if state == "closed" {
				closed++
				require.Equal(t, len(states)-1, i, "%s: %v", layer, states)
			}
			if i > 0 {
				require.NotEqual(t, states[i-1], state, "%s: %v", layer, states)
			}
		}
		require.Equal(t, 1, closed, "%s: %v", layer, states)
	}
}

// told notes a state; an event must not be newer than the state itself.
func (s *fuzzSide) told(layer, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[layer] = append(s.states[layer], state)
}

// setStateHandlers sets the handlers of states: they keep a record, and may
// stop a layer, or block until the end.
func (s *fuzzSide) setStateHandlers(behaviour int) {
	act := func() {
		switch behaviour {
		case 1:
			_ = s.ice.Stop()
		case 2:
			_ = s.dtls.Stop()
		case 3:
			_ = s.sctp.Stop()
		case 4:
			_ = s.gatherer.Close()
		case 5:
			<-s.run.release
		case 6:
			s.getters()
		case 7:
			s.setStateHandlers(0)
		}
	}
	s.gatherer.OnStateChange(func(state ICEGathererState) { s.told("gatherer", state.String()); act() })
	s.gatherer.OnLocalCandidate(func(*ICECandidate) { act() })
	s.ice.OnConnectionStateChange(func(state ICETransportState) { s.told("ice", state.String()); act() })
	s.ice.OnSelectedCandidatePairChange(func(*ICECandidatePair) { act() })
	s.dtls.OnStateChange(func(state DTLSTransportState) { s.told("dtls", state.String()); act() })
	s.sctp.OnClose(func(error) { s.told("sctp", "closed"); act() })
}

// context makes one that lives, has ended, or ends soon; variant picks when.
func (s *fuzzSide) context(arg fuzzArg) (ctx context.Context, cancel context.CancelFunc) {
	switch arg.context {
	case 0:
		return context.Background(), func() {}
	case 1:
		limit := time.Duration(1+arg.variant*arg.variant) * time.Millisecond
		s.run.contexts++

		return context.WithTimeoutCause(context.Background(), limit, &fuzzCause{s.run.contexts})
	case 2:
		return deadContext, func() {}
	default:
		return nil, func() {}
	}
}

// waits makes a call that may wait, beside the program, with its context.
func (s *fuzzSide) waits(arg fuzzArg, op string, call func(ctx context.Context) error) {
	ctx, cancel := s.context(arg)
	s.run.calls.Add(1)
	s.run.waiting.Add(1)
	go func() {
		defer s.run.calls.Done()
		defer s.run.waiting.Add(-1)
		defer cancel()
		err := call(ctx)
		s.checkError(op, err)
		if ctx == nil && err == nil {
			s.run.errs.add("%s takes a nil context", op)
		}
	}()
	synctest.Wait()
}

// graceful makes a call that waits for handlers.
func (s *fuzzSide) graceful(arg fuzzArg, op string, call func(ctx context.Context) error) {
	ctx, cancel := s.context(arg)
	s.run.handlers.Add(1)
	go func() {
		defer s.run.handlers.Done()
		defer cancel()
		s.checkError(op, call(ctx))
	}()
	synctest.Wait()
}

// checkError checks that an error is one of ours.
func (s *fuzzSide) checkError(op string, err error) {
	var ours *Error
	//nolint:errorlint // these two come as they are
	if err == nil || err == io.EOF || err == ErrClosed || errors.As(err, &ours) && ours.Op != "" && ours.Err != nil {
		return
	}
	s.run.errs.add("%s: %T %v", op, err, err)
}

// fuzzCause is the cause of one context.
type fuzzCause struct{ call int }

func (c *fuzzCause) Error() string { return fmt.Sprintf("call %d has had its time", c.call) }

// starts makes a start and checks its outcome against what has happened.
func (s *fuzzSide) starts(
	arg fuzzArg, layer string, life context.Context, start func(ctx context.Context) error, state func() string,
) {
	s.waits(arg, layer+" start", func(ctx context.Context) error {
		s.mu.Lock()
		stopped, connected := s.stopped[layer], s.connected[layer]
		s.mu.Unlock()
		err := start(ctx)
		switch {
		case err == nil && (stopped || connected):
			s.run.errs.add("%s: a start after Stop or another start", layer)
		case err == nil && ctx == deadContext:
			s.run.errs.add("%s: a start under a context that had ended", layer)
		case err == nil && ctx.Err() != nil && errors.Is(context.Cause(life), context.Cause(ctx)):
			s.run.errs.add("%s: a start was aborted and succeeded", layer)
		case err != nil && !connected && !errors.Is(err, ErrInvalidState) && !errors.Is(err, ErrInvalidArgument):
			if now := state(); now != "closed" && now != "failed" {
				s.run.errs.add("%s: %s after a start with %v", layer, now, err)
			}
		}
		if err == nil {
			s.mu.Lock()
			s.connected[layer] = true
			s.mu.Unlock()
		}

		return err
	})
}

// stops makes a Stop, which takes no time.
func (s *fuzzSide) stops(layer string, stop func() error, state func() string) {
	began := time.Now()
	s.checkError(layer+" stop", stop())
	if time.Since(began) != 0 {
		s.run.errs.add("%s: Stop took %v", layer, time.Since(began))
	}
	if state() != "closed" {
		s.run.errs.add("%s: %s after Stop", layer, state())
	}
	s.mu.Lock()
	s.stopped[layer] = true
	s.mu.Unlock()
}

func (s *fuzzSide) peer() *fuzzSide {
	return s.run.sides[1-slices.Index(s.run.sides[:], s)]
}

// addChannel keeps a channel for the steps to come.
func (s *fuzzSide) addChannel(c *DataChannel, err error) error {
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.channels) < maxFuzzChannels {
		s.channels = append(s.channels, c)
	}

	return nil
}

// channel is one of those kept, nil if there is none.
func (s *fuzzSide) channel(variant int) *DataChannel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.channels) == 0 {
		return nil
	}

	return s.channels[variant%len(s.channels)]
}

// getters calls all that only tell something.
func (s *fuzzSide) getters() {
	for _, object := range []any{s.gatherer, s.ice, s.dtls, s.sctp, s.channel(0)} {
		callGetters(object)
	}
}
