package webrtc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/ctxrtc/webrtc"
)

// A web server behind a connection between two peers: one side serves on a
// listener, and each connection of the other side's client is a data channel.
func ExampleSCTPTransport_Listen() {
	alice := newRemote(webrtc.ICERoleControlling, func(ctx context.Context, alice *remote) {
		sctp := alice.sctp
		// README: begin
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			channel, err := sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "http", Ordered: true})
			if err != nil {
				return nil, err
			}

			return channel.NetConn()
		}
		client := &http.Client{Transport: &http.Transport{DialContext: dial}}
		// README: end
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://bob/greeting", nil)
		check(err)
		response, err := client.Do(request)
		check(err)
		body, err := io.ReadAll(response.Body)
		check(err)
		check(response.Body.Close())
		fmt.Println(response.Status, string(body))
		client.CloseIdleConnections()
		check(alice.ice.Shutdown(ctx))
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	bob := newStack(webrtc.ICERoleControlled)
	defer bob.ice.Stop() //nolint:errcheck // there is nothing to report to
	bob.gatherer.OnLocalCandidate(alice.addCandidate)
	check(bob.gatherer.Gather())
	bob.start(ctx, alice.exchangeParameters(ctx, bob.ice, bob.dtls, bob.sctp))

	sctp := bob.sctp
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "hello from ", r.URL.Path)
		}),
	}
	// README: begin
	listener, err := sctp.Listen() // of the channels that the peer opens
	check(err)
	err = server.Serve(listener) // until the peer has ended the transport
	// README: end
	<-alice.ended
	fmt.Println(err)

	// Output:
	// 200 OK hello from /greeting
	// webrtc: listener accept: the peer has ended the transport
}
