package webrtc_test

import (
	"context"
	"fmt"
	"log"
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
	api := webrtc.NewAPI(webrtc.WithSettingEngine(loopbackOnly()))
	bob := newBob(api)
	role := webrtc.ICERoleControlling
	sendCandidateToPeer := bob.addCandidate
	exchangeParameters := bob.exchangeParameters

	// README: begin
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	check(err)
	ice := api.NewICETransport(gatherer)
	defer ice.Stop() //nolint:errcheck // there is nothing to report to
	dtls, err := api.NewDTLSTransport(ice, nil)
	check(err)
	sctp := api.NewSCTPTransport(dtls)

	gatherer.OnLocalCandidate(sendCandidateToPeer) // the peer's go to ice.AddRemoteCandidate
	check(gatherer.Gather())
	peer := exchangeParameters(ctx, ice, dtls, sctp) // sends ours, waits for the peer's

	check(ice.StartContext(ctx, nil, peer.ICE, &role))
	check(dtls.StartContext(ctx, peer.DTLS))
	check(sctp.StartContext(ctx, peer.SCTP))

	channel, err := sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "chat", Ordered: true})
	check(err)
	check(channel.SendTextContext(ctx, "hello"))
	check(ice.Shutdown(ctx)) // what was sent arrives, and the peer reads to the end
	// README: end

	fmt.Println(<-bob.received)
	// Output: hello
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// parameters are what signaling carries for each side, beside candidates.
type parameters struct {
	ICE  webrtc.ICEParameters
	DTLS webrtc.DTLSParameters
	SCTP webrtc.SCTPCapabilities
}

// bob is the peer, in the same process; so signaling is a call.
type bob struct {
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport
	received chan string
}

func newBob(api *webrtc.API) *bob {
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	check(err)
	ice := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(ice, nil)
	check(err)

	return &bob{gatherer, ice, dtls, api.NewSCTPTransport(dtls), make(chan string, 1)}
}

func (b *bob) addCandidate(candidate *webrtc.ICECandidate) {
	check(b.ice.AddRemoteCandidate(candidate))
}

func (b *bob) exchangeParameters(
	ctx context.Context, ice *webrtc.ICETransport, dtls *webrtc.DTLSTransport, sctp *webrtc.SCTPTransport,
) parameters {
	candidates, err := b.gatherer.GatherContext(ctx)
	check(err)
	check(ice.SetRemoteCandidates(candidates))
	theirs := parametersOf(ice, dtls, sctp)
	go b.answer(ctx, theirs)

	return parametersOf(b.ice, b.dtls, b.sctp)
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

func (b *bob) answer(ctx context.Context, peer parameters) {
	defer b.ice.Stop() //nolint:errcheck // there is nothing to report to
	role := webrtc.ICERoleControlled
	check(b.ice.StartContext(ctx, nil, peer.ICE, &role))
	check(b.dtls.StartContext(ctx, peer.DTLS))
	check(b.sctp.StartContext(ctx, peer.SCTP))
	channel, err := b.sctp.AcceptDataChannel(ctx)
	check(err)
	message, err := channel.ReceiveContext(ctx)
	check(err)
	b.received <- string(message.Data)
}

func loopbackOnly() (settings webrtc.SettingEngine) {
	settings.ICE.IncludeLoopback = true
	settings.ICE.InterfaceFilter = func(name string) bool { return strings.HasPrefix(name, "lo") }
	settings.ICE.NetworkTypes = []webrtc.NetworkType{webrtc.NetworkTypeUDP4}

	return settings
}

// The code of the README, but for its comments, is that of the Example, which
// runs.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	between := func(text []byte, begin, end string) []string {
		_, rest, found := strings.Cut(string(text), begin)
		require.True(t, found, begin)
		code, _, found := strings.Cut(rest, end)
		require.True(t, found, end)
		lines := strings.Split(strings.TrimSpace(code), "\n")
		for i := range lines {
			code, _, _ := strings.Cut(lines[i], "//") // comments may differ
			lines[i] = strings.TrimSpace(code)
		}

		return lines
	}
	require.Equal(t,
		between(source, "\t// README: begin\n", "\t// README: end\n"),
		between(readme, "```go\n", "```\n"))
}
