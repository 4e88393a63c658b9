package webrtc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
)

// A stack from the bottom upwards, started step by step under one context. The
// README shows the middle of it; a test keeps the two alike.
func Example() {
	received := make(chan string, 1)
	bob := newRemote(webrtc.ICERoleControlled, func(ctx context.Context, bob *remote) {
		channel, err := bob.sctp.AcceptDataChannel(ctx)
		check(err)
		message, err := channel.ReceiveContext(ctx)
		check(err)
		_, err = channel.ReceiveContext(ctx)
		if !errors.Is(err, io.EOF) { // whose Shutdown waits until we have acknowledged: it ends, then we stop
			panic(fmt.Sprint("the peer has not closed: ", err))
		}
		received <- string(message.Data)
	})
	sendCandidateToPeer := bob.addCandidate
	exchangeParameters := bob.exchangeParameters

	// README: begin
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	api := webrtc.NewAPI(onLoopback()) // README: api := webrtc.NewAPI()
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	check(err)
	ice := api.NewICETransport(gatherer)
	defer ice.Stop() //nolint:errcheck // there is nothing to report to
	dtls, err := api.NewDTLSTransport(ice, nil)
	check(err)
	sctp := api.NewSCTPTransport(dtls)

	gatherer.OnLocalCandidate(sendCandidateToPeer) // the last one is nil; see above
	check(gatherer.Gather())
	peer := exchangeParameters(ctx, ice, dtls, sctp) // sends ours, waits for the peer's

	role := webrtc.ICERoleControlling // the peer's: ICERoleControlled
	check(ice.StartContext(ctx, nil, peer.ICE, &role))
	check(dtls.StartContext(ctx, peer.DTLS))
	check(sctp.StartContext(ctx, peer.SCTP))

	channel, err := sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "chat", Ordered: true})
	check(err)
	check(channel.SendTextContext(ctx, "hello"))
	check(ice.Shutdown(ctx)) // what was sent arrives, and the peer reads to the end
	// README: end

	<-bob.ended
	fmt.Println(<-received)
	// Output: hello
}

// The other side takes the channel and reads until the peer has closed. DTLS,
// SCTP and the channels end then; ICE, which has no message that closes, is
// ours to stop.
func Example_answer() {
	alice := newRemote(webrtc.ICERoleControlling, func(ctx context.Context, alice *remote) {
		channel, err := alice.sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "chat", Ordered: true})
		check(err)
		check(channel.SendTextContext(ctx, "hello"))
		check(channel.SendTextContext(ctx, "good-bye"))
		check(alice.ice.Shutdown(ctx))
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stack := newStack(webrtc.ICERoleControlled)
	stack.gatherer.OnLocalCandidate(alice.addCandidate)
	check(stack.gatherer.Gather())
	stack.start(ctx, alice.exchangeParameters(ctx, stack.ice, stack.dtls, stack.sctp))
	ice, sctp := stack.ice, stack.sctp

	// README: begin
	channel, err := sctp.AcceptDataChannel(ctx)
	check(err)
	for {
		message, err := channel.ReceiveContext(ctx)
		if errors.Is(err, io.EOF) {
			break // the peer has closed, and all that it sent has been read
		}
		check(err)
		fmt.Println(string(message.Data))
	}
	check(ice.Stop()) // ours to stop: ICE has no message that closes
	// README: end

	<-alice.ended
	// Output:
	// hello
	// good-bye
}

// A start that is cancelled returns the context's error and its cause.
func ExampleICETransport_StartContext() {
	stack := newStack(webrtc.ICERoleControlling)
	ice, role := stack.ice, stack.role
	peer := parameters{ICE: webrtc.ICEParameters{UsernameFragment: "nobody", Password: strings.Repeat("x", 24)}}
	errLeft := errors.New("the player has left")

	// README: begin
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(100*time.Millisecond, func() { cancel(errLeft) })
	err := ice.StartContext(ctx, nil, peer.ICE, &role)
	fmt.Println(err)                                                       // webrtc: ice start: context canceled: the player has left
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, errLeft)) // true true
	// README: end

	// Output:
	// webrtc: ice start: context canceled: the player has left
	// true true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// parameters are what signaling carries for each side, beside candidates.
type parameters struct {
	ICE  webrtc.ICEParameters
	DTLS webrtc.DTLSParameters
	SCTP webrtc.SCTPCapabilities
}

// stack is what the first example makes step by step.
type stack struct {
	role     webrtc.ICERole
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport
}

func newStack(role webrtc.ICERole) *stack {
	api := webrtc.NewAPI(onLoopback())
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	check(err)
	ice := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(ice, nil)
	check(err)

	return &stack{role, gatherer, ice, dtls, api.NewSCTPTransport(dtls)}
}

func (s *stack) start(ctx context.Context, peer parameters) {
	check(s.ice.StartContext(ctx, nil, peer.ICE, &s.role))
	check(s.dtls.StartContext(ctx, peer.DTLS))
	check(s.sctp.StartContext(ctx, peer.SCTP))
}

// remote is the peer, in the same process; so signaling is a call.
type remote struct {
	*stack
	then  func(ctx context.Context, r *remote) // what it does when it is connected
	ended chan struct{}
}

func newRemote(role webrtc.ICERole, then func(ctx context.Context, r *remote)) *remote {
	return &remote{newStack(role), then, make(chan struct{})}
}

func (r *remote) addCandidate(candidate *webrtc.ICECandidate) {
	check(r.ice.AddRemoteCandidate(candidate))
}

func (r *remote) exchangeParameters(
	ctx context.Context, ice *webrtc.ICETransport, dtls *webrtc.DTLSTransport, sctp *webrtc.SCTPTransport,
) parameters {
	candidates, err := r.gatherer.GatherContext(ctx)
	check(err)
	check(ice.SetRemoteCandidates(candidates))
	theirs := parametersOf(ice, dtls, sctp)
	go func() {
		defer close(r.ended)
		defer r.ice.Stop() //nolint:errcheck // there is nothing to report to
		r.start(ctx, theirs)
		r.then(ctx, r)
	}()

	return parametersOf(r.ice, r.dtls, r.sctp)
}

func parametersOf(
	ice *webrtc.ICETransport, dtls *webrtc.DTLSTransport, sctp *webrtc.SCTPTransport,
) parameters {
	ufrag, err := ice.GetLocalParameters()
	check(err)
	fingerprints, err := dtls.GetLocalParameters()
	check(err)

	return parameters{ufrag, fingerprints, sctp.GetCapabilities()}
}

// onLoopback keeps the examples on this machine.
func onLoopback() func(*webrtc.API) {
	var settings webrtc.SettingEngine
	settings.ICE.IncludeLoopback = true
	settings.ICE.InterfaceFilter = func(name string) bool { return strings.HasPrefix(name, "lo") }
	settings.ICE.NetworkTypes = []webrtc.NetworkType{webrtc.NetworkTypeUDP4}

	return webrtc.WithSettingEngine(settings)
}

// The code of the README is that of the Examples, which run, in the same
// order. Comments may differ; a comment "README: code" says what stands there
// instead of the line.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := func(text []byte, begin, end string) (blocks [][]string) {
		for rest := string(text); ; {
			_, after, found := strings.Cut(rest, begin)
			if !found {
				return blocks
			}
			code, after, found := strings.Cut(after, end)
			require.True(t, found, end)
			rest = after
			var lines []string
			for _, line := range strings.Split(strings.TrimSpace(code), "\n") {
				code, comment, _ := strings.Cut(line, "//")
				if instead, ok := strings.CutPrefix(comment, " README: "); ok {
					code = instead
				}
				lines = append(lines, strings.TrimSpace(code))
			}
			blocks = append(blocks, lines)
		}
	}
	var examples [][]string
	for _, name := range []string{"example_test.go", "example_peerconnection_test.go", "example_listener_test.go", "example_media_test.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		examples = append(examples, blocks(source, "// README: begin\n", "// README: end\n")...)
	}
	require.Len(t, examples, 7)
	require.Equal(t, examples, blocks(readme, "```go\n", "```\n"))
}
