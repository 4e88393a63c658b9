package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/signal"
)

const (
	patience = 300 * time.Millisecond

	// lateness is how late a start may return on a machine that has other
	// things to do.
	lateness = time.Second
)

var errNoAnswer = fmt.Errorf("the peer has not answered within %v", patience)

// silentPeers starts each layer against a peer that does not take part in it.
// Every start has to end with its context: in time, with the reason, and with
// nothing left behind.
func silentPeers(ctx context.Context, out *screen.Screen) error {
	out.Title(fmt.Sprintf("a silent peer: every start may take %v", patience))
	for _, layer := range []struct {
		name  string
		below []func(*peer.Peer, context.Context) error // what both sides do before
		start func(*peer.Peer, context.Context) error
	}{
		{"ice", nil, (*peer.Peer).StartICE},
		{"dtls", []func(*peer.Peer, context.Context) error{(*peer.Peer).StartICE}, (*peer.Peer).StartDTLS},
		{"sctp", []func(*peer.Peer, context.Context) error{(*peer.Peer).StartICE, (*peer.Peer).StartDTLS}, (*peer.Peer).StartSCTP},
	} {
		before := runtime.NumGoroutine()
		took, err := startAlone(ctx, layer.below, layer.start)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errNoAnswer) {
			return fmt.Errorf("the start of %s has returned %w", layer.name, err)
		}
		left := peer.Leftover(ctx, before)
		out.Line("  %-4s  returned after %.1f ms, goroutines left: %d", layer.name, took.Seconds()*1000, left)
		out.Line("        %v", err)
		if left > 0 || took < patience || took > patience+lateness {
			return fmt.Errorf("the start of %s has left something behind, or took %v", layer.name, took)
		}
	}
	out.Line("  each error matches context.DeadlineExceeded and, as its cause, our own reason")

	return nil
}

// startAlone takes two sides through the layers below, then starts one side
// alone. It returns how long that took, and its error.
func startAlone(
	ctx context.Context, below []func(*peer.Peer, context.Context) error, start func(*peer.Peer, context.Context) error,
) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	here, err := silentlyNoted(ctx, cancel, webrtc.ICERoleControlled)
	if err != nil {
		return 0, err
	}
	defer here.Abandon()
	there, err := silentlyNoted(ctx, cancel, webrtc.ICERoleControlling)
	if err != nil {
		return 0, err
	}
	defer there.Abandon()
	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if len(below) == 0 {
		// Not even ICE: an address where nobody answers.
		mute, err := new(net.ListenConfig).ListenPacket(connecting, "udp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		defer mute.Close()
		if err = here.TakeAll(nobodyAt(mute.LocalAddr())); err != nil {
			return 0, err
		}
	} else if err = peer.Introduce(connecting, here, there); err != nil {
		return 0, err
	}
	for _, start := range below {
		other := make(chan error, 1)
		go func() { other <- start(there, connecting) }()
		if err = errors.Join(start(here, connecting), <-other); err != nil {
			return 0, err
		}
	}

	begin := time.Now() // before the time of the context begins
	bounded, stop := context.WithTimeoutCause(ctx, patience, errNoAnswer)
	defer stop()
	err = start(here, bounded)

	return time.Since(begin), err
}

// silentlyNoted is a peer without a time line.
func silentlyNoted(ctx context.Context, cancel context.CancelCauseFunc, role webrtc.ICERole) (*peer.Peer, error) {
	return peer.New(ctx, cancel, peer.Silent(), role, peer.OnLoopback())
}

// nobodyAt is what a peer would signal that then never says a word.
func nobodyAt(address net.Addr) []signal.Message {
	udp, _ := address.(*net.UDPAddr)

	return []signal.Message{
		{ICE: &webrtc.ICEParameters{UsernameFragment: "nobody", Password: strings.Repeat("x", 24)}},
		signal.OfCandidate(&webrtc.ICECandidate{
			Typ: webrtc.ICECandidateTypeHost, Protocol: webrtc.ICEProtocolUDP, Component: 1,
			Address: udp.IP.String(), Port: uint16(udp.Port), //nolint:gosec // a port
		}),
		signal.OfCandidate(nil),
	}
}
