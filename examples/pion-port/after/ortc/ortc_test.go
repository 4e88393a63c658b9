package ortc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ctxrtc/webrtc"
)

func onLoopback() webrtc.SettingEngine {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return strings.HasPrefix(name, "lo") })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})

	return settings
}

// side makes one, and what it signals, as text.
func side(ctx context.Context, t *testing.T, offering bool) (*Conn, string) {
	t.Helper()
	c, err := New(ctx, offering, onLoopback())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	params, err := c.Parameters()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}

	return c, string(text)
}

func parse(t *testing.T, text string) (p Parameters) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}

	return p
}

// nothingLeft fails when goroutines are left a second after the end.
func nothingLeft(t *testing.T, before int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines are left", runtime.NumGoroutine()-before)
}

func TestPacketsAndThenTheEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, offer := side(ctx, t, true)
	server, answer := side(ctx, t, false)
	connected := make(chan error, 1)
	go func() { connected <- server.Connect(ctx, parse(t, offer)) }()
	if err := errors.Join(client.Connect(ctx, parse(t, answer)), <-connected); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"login", "chat"} {
		if err := client.Send(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"login", "chat"} {
		if got, err := server.Receive(ctx); err != nil || string(got) != want {
			t.Fatalf("%q, %v instead of %q", got, err, want)
		}
	}
	if err := client.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Receive(ctx); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	server.Close()
	client.Close()
	nothingLeft(t, before)
}

func TestThePeerIsSilent(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, _ := side(ctx, t, true)
	server, answer := side(ctx, t, false)
	starting, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	begin := time.Now()
	err := client.Connect(starting, parse(t, answer))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it has taken %v", took)
	}
	server.Close()
	nothingLeft(t, before)
}
