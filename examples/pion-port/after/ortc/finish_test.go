package ortc

import (
	"errors"
	"io"
	"testing"
)

// Finish delivers what is queued, and the other side can read all of it after
// the end, which was not so before.
func TestWhatWasSentArrives(t *testing.T) {
	ctx := t.Context()
	client, offer := side(ctx, t, true)
	server, answer := side(ctx, t, false)
	connected := make(chan error, 1)
	go func() { connected <- server.Connect(ctx, parse(t, offer)) }()
	if err := errors.Join(client.Connect(ctx, parse(t, answer)), <-connected); err != nil {
		t.Fatal(err)
	}
	const packets, size = 64, 16 << 10
	for range packets {
		if err := client.Send(ctx, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if packet, err := server.Receive(ctx); err != nil || len(packet) != size {
			t.Fatalf("packet %d: %d bytes, %v", i, len(packet), err)
		}
	}
	if _, err := server.Receive(ctx); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
