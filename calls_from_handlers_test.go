package webrtc

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notFromHandlers are the methods that wait for handlers.
var notFromHandlers = []string{"Run", "GracefulStop", "GracefulClose"}

// ending are the methods that end something; every one gets a run of its own,
// the rest are called one after the other.
var ending = []string{"Stop", "Close", "Shutdown"}

// callLimit is what a call that waits may take: its context's time.
const callLimit = 20 * time.Millisecond

// objects are the values whose public methods are called.
func (s *scene) objects() map[string]reflect.Value {
	return map[string]reflect.Value{
		"API":           reflect.ValueOf(s.a.api),
		"ICEGatherer":   reflect.ValueOf(s.a.gatherer),
		"ICETransport":  reflect.ValueOf(s.a.ice),
		"DTLSTransport": reflect.ValueOf(s.a.dtls),
		"SCTPTransport": reflect.ValueOf(s.a.sctp),
		"DataChannel":   reflect.ValueOf(s.own),

		"RTPSender":              reflect.ValueOf(s.sender),
		"RTPReceiver":            reflect.ValueOf(s.receiver),
		"TrackRemote":            reflect.ValueOf(s.receiver.Track()),
		"TrackLocalStaticSample": reflect.ValueOf(s.track),
	}
}

// newMediaScene is newScene with a track each way. What reads without a context has
// a deadline that has passed, or it would wait for the peer's packets.
func newMediaScene(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.track = sampleTrack(t, MimeTypeVP8)
	s.sender = s.a.sender(t, s.track)
	s.receiver = s.a.receiver(t, s.b.sender(t, sampleTrack(t, MimeTypeVP8)))
	for _, set := range []func(time.Time) error{
		s.sender.SetReadDeadline, s.receiver.SetReadDeadline, s.receiver.Track().SetReadDeadline,
	} {
		require.NoError(t, set(time.Now()))
	}

	return s
}

// methodsOf lists "Type.Method" of all objects, those that end something apart.
func (s *scene) methods() (calm, ends []string) {
	for name, object := range s.objects() {
		for i := range object.NumMethod() {
			method := object.Type().Method(i).Name
			switch full := name + "." + method; {
			case slices.Contains(notFromHandlers, method):
			case slices.Contains(ending, method):
				ends = append(ends, full)
			default:
				calm = append(calm, full)
			}
		}
	}
	slices.Sort(calm)
	slices.Sort(ends)

	return calm, ends
}

// arguments makes an argument of every type that a public method takes.
func (s *scene) argument(ctx context.Context, of reflect.Type) reflect.Value {
	for _, value := range []any{
		s.a.gatherer, s.a.ice, s.a.dtls, s.a.sctp, []byte("data"), "text", &DataChannelParameters{Label: "made"},
		time.Now(), ICETransportStateFailed, DTLSTransportStateFailed, SCTPTransportStateUnknown, 16,
	} {
		if reflect.TypeOf(value) == of {
			return reflect.ValueOf(value)
		}
	}
	if of == reflect.TypeFor[context.Context]() {
		return reflect.ValueOf(ctx)
	}

	return reflect.Zero(of)
}

// call calls one method and returns how long it took. What it made it closes.
func (s *scene) call(full string) (time.Duration, bool) {
	name, method, _ := strings.Cut(full, ".")
	f := s.objects()[name].MethodByName(method)
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	waits := false
	var in []reflect.Value
	for i := range f.Type().NumIn() {
		of := f.Type().In(i)
		if f.Type().IsVariadic() && i == f.Type().NumIn()-1 {
			of = of.Elem()
		}
		waits = waits || of == reflect.TypeFor[context.Context]()
		in = append(in, s.argument(ctx, of))
	}
	begin := time.Now()
	out := f.Call(in)
	took := time.Since(begin)
	for _, made := range out {
		if g, ok := made.Interface().(*ICEGatherer); ok && g != s.a.gatherer && g != nil {
			_ = g.Close()
		}
		if pc, ok := made.Interface().(*PeerConnection); ok && pc != nil {
			_ = pc.Close()
		}
	}

	return took, waits
}

// TestE1_EveryMethodFromEveryHandler calls each from each: none deadlocks, and
// none takes time but those with a context, which wait no longer than that.
func TestE1_EveryMethodFromEveryHandler(t *testing.T) {
	for handler, set := range handlers {
		bubble(t, func(t *testing.T) {
			calm, ends := newMediaScene(t).methods()
			require.Greater(t, len(calm), 80)
			require.Len(t, ends, 13)
		})
		run := func(name string, methods func(calm, ends []string) []string) {
			t.Run(handler+" calls "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newMediaScene(t)
					calm, ends := s.methods()
					callFrom(t, s, set, methods(calm, ends))
				})
			})
		}
		run("the calm ones", func(calm, _ []string) []string { return calm })
		run("the calm ones backwards", func(calm, _ []string) []string {
			slices.Reverse(calm)

			return calm
		})
		for i := range 13 {
			run(fmt.Sprint("the ending one ", i), func(_, ends []string) []string { return ends[i : i+1] })
		}
		run("all ending ones", func(_, ends []string) []string { return ends })
	}
}

func callFrom(t *testing.T, s *scene, set func(*scene, func()), methods []string) {
	t.Helper()
	done := make(chan struct{})
	var now string
	var mu sync.Mutex
	// Not sync.OnceFunc: a handler that comes while another runs would wait for
	// it, with a lock, and a bubble's clock stands still meanwhile.
	var called atomic.Bool
	set(s, func() {
		if !called.CompareAndSwap(false, true) {
			return
		}
		defer close(done)
		for _, method := range methods {
			mu.Lock()
			now = method
			mu.Unlock()
			took, waits := s.call(method)
			switch {
			case waits:
				assert.LessOrEqual(t, took, callLimit, method)
			case method == "SCTPTransport.Start" || method == "DTLSTransport.Start" || method == "ICETransport.Start":
				// Its own condition is the peer's start, if it was not refused.
			default:
				assert.Zero(t, took, method)
			}
		}
	})
	played := result(func() error {
		s.play(limited(t, 5*time.Second))

		return nil
	})
	<-played
	s.finish()
	synctest.Wait()
	select {
	case <-done:
	case <-time.After(time.Minute):
		mu.Lock()
		defer mu.Unlock()
		buf := make([]byte, 1<<20)
		t.Fatalf("the handler was not called, or hangs in %q\n%s", now, buf[:runtime.Stack(buf, true)])
	}
	stopped(t, s.network, s.a, s.b)
}
