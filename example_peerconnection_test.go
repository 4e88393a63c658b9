package webrtc_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ctxrtc/webrtc"
)

// An offer with all its candidates, an answer, and one message. The answering
// side is in the same process, so signaling is a call.
func ExamplePeerConnection() {
	bob, err := webrtc.NewAPI(onLoopback()).NewPeerConnection(webrtc.Configuration{})
	check(err)
	received := make(chan string, 1)
	bob.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnMessage(func(message webrtc.DataChannelMessage) { received <- string(message.Data) })
	})
	exchangeDescriptions := func(ctx context.Context, offer *webrtc.SessionDescription) webrtc.SessionDescription {
		check(bob.SetRemoteDescriptionContext(ctx, *offer))
		check(bob.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{})) // an answer

		return *bob.LocalDescription()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// README: begin
	pc, err := webrtc.NewAPI(onLoopback()).NewPeerConnection(webrtc.Configuration{}) // README: pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	defer pc.Close()
	channel, err := pc.CreateDataChannel("chat", nil)
	check(err)
	check(pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{})) // an offer, gathered to the end
	answer := exchangeDescriptions(ctx, pc.LocalDescription())             // your signaling
	check(pc.SetRemoteDescriptionContext(ctx, answer))
	check(pc.Connect(ctx)) // ICE, DTLS and SCTP, or the first failure
	check(channel.SendTextContext(ctx, "hello"))
	check(pc.Shutdown(ctx)) // what was sent arrives, and the peer reads to the end
	// README: end

	fmt.Println(<-received)
	fmt.Println(bob.Run(ctx)) // the peer has closed, and all handlers have finished
	// Output:
	// hello
	// EOF
}
