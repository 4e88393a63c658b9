package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// For how long there is no network, in turn.
var gaps = []time.Duration{0, 300 * time.Millisecond, time.Second, 2 * time.Second}

// moveTime bounds a move: nothing of it should take long.
const moveTime = 30 * time.Second

var errMoveTime = fmt.Errorf("no new path within %v", moveTime)

// roam is the whole program: two sides, of which one moves while it sends.
func roam(ctx context.Context, out *screen.Screen, opts *options) error {
	for _, ip := range addresses() {
		if err := checkAddress(ip); err != nil {
			return err
		}
	}
	before := runtime.NumGoroutine()
	if err := transferAndMove(ctx, out, opts); err != nil {
		return err
	}
	left := peer.Leftover(ctx, before)
	out.Line("  goroutines left: %d", left)
	if left > 0 {
		return errors.New("goroutines are left")
	}

	return nil
}

// journey is the connection between the side that moves and the one that stays.
type journey struct {
	out     *screen.Screen
	network *network
	way     string

	traveller, home *webrtc.PeerConnection

	paths  chan webrtc.ICECandidatePair // that the traveller has come to use
	states chan string                  // of DTLS; connected alone if nothing begins anew
}

func transferAndMove(ctx context.Context, out *screen.Screen, opts *options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if err != nil { // when the context has ended, its cause says more than what it broke
			err = peer.CauseOr(ctx, err)
		}
	}()
	j, err := newJourney(out, opts.way)
	if err != nil {
		return err
	}
	defer j.close()
	from, to, err := j.connect(ctx)
	if err != nil {
		return err
	}
	dtls := j.traveller.SCTP().Transport()
	first := <-j.paths
	out.Title(fmt.Sprintf("connected, from %s to %s", address(first.Local), address(first.Remote)))

	t := newTransfer(opts.size)
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- t.send(ctx, from) }()
	go func() {
		err := t.receive(ctx, to)
		if err != nil {
			cancel(err) // or a move would wait for bytes that do not come
		}
		received <- err
	}()
	begin := time.Now()
	was := first.Local
	for i := range opts.moves {
		// The moves are spread over the transfer, and do not wait for its end.
		if err = t.await(ctx, opts.size*int64(i+1)/int64(opts.moves+1)); err != nil {
			return err
		}
		if was, err = j.move(ctx, t, i, was); err != nil {
			return err
		}
	}
	if err = errors.Join(<-sent, <-received); err != nil {
		return err
	}
	took := time.Since(begin)

	out.Title("all has been sent")
	out.Line("  %s in %.1f s, %d moves", screen.Amount(opts.size), took.Seconds(), opts.moves)
	out.Line("  SHA-256 sent     %x", t.sent.Sum(nil))
	out.Line("  SHA-256 received %x", t.received.Sum(nil))
	if err = t.compare(); err != nil {
		return err
	}
	if err = j.finish(ctx); err != nil {
		return err
	}
	if j.traveller.SCTP().Transport() != dtls || len(j.states) > 0 {
		return errors.New("the connection was made anew")
	}
	out.Line("  DTLS handshakes: 1, data channels opened: 1")

	return nil
}

func newJourney(out *screen.Screen, way string) (j *journey, err error) {
	j = &journey{
		out: out, way: way,
		paths:  make(chan webrtc.ICECandidatePair, 2*maxMoves),
		states: make(chan string, 16),
	}
	if j.network, err = newNetwork(); err != nil {
		return nil, err
	}
	j.network.join(addresses()[0])

	// The network is all that the library needs to know of the machine.
	moving := peer.OnLoopback()
	moving.ICE.InterfaceFilter = nil
	moving.Net = j.network
	if way == wayContinual {
		// README: begin
		moving.ICE.ContinualGathering = true
		moving.ICE.NetworkMonitorInterval = 200 * time.Millisecond
		// README: end
	}
	if j.traveller, err = webrtc.NewAPI(webrtc.WithSettingEngine(moving)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, err
	}
	staying := webrtc.NewAPI(webrtc.WithSettingEngine(peer.OnLoopback()))
	if j.home, err = staying.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, errors.Join(err, j.traveller.Close())
	}

	return j, nil
}

func (j *journey) close() {
	_ = j.traveller.Close()
	_ = j.home.Close()
}

// connect makes the connection and a channel from one side to the other.
func (j *journey) connect(ctx context.Context) (from, to *webrtc.DataChannel, err error) {
	ctx, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	if from, err = j.traveller.CreateDataChannel("transfer", nil); err != nil {
		return nil, nil, err
	}
	if err = j.negotiate(ctx); err != nil {
		return nil, nil, err
	}
	dtls := j.traveller.SCTP().Transport()
	dtls.ICETransport().OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) { j.paths <- *pair })
	if err = j.traveller.Connect(ctx); err != nil {
		return nil, nil, err
	}
	dtls.OnStateChange(func(state webrtc.DTLSTransportState) {
		if state != webrtc.DTLSTransportStateClosed {
			j.states <- state.String()
		}
	})
	if err = j.home.Connect(ctx); err != nil {
		return nil, nil, err
	}
	to, err = j.home.SCTP().AcceptDataChannel(ctx)

	return from, to, err
}

// negotiate is the signaling: an offer of the traveller's, and an answer. In a
// program that has two machines the descriptions travel by whatever it has, a
// WebSocket to a server for example, which has to find the new network as well.
func (j *journey) negotiate(ctx context.Context) error {
	// README: begin
	if err := j.traveller.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return err
	}
	if err := j.home.SetRemoteDescriptionContext(ctx, *j.traveller.LocalDescription()); err != nil {
		return err
	}
	if err := j.home.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return err
	}

	return j.traveller.SetRemoteDescriptionContext(ctx, *j.home.LocalDescription())
	// README: end
}

// move takes the network away, gives the machine another one some time later, and
// has ICE look for a path from there, unless it does so by itself. It returns the
// address there.
func (j *journey) move(ctx context.Context, t *transfer, i int, was *webrtc.ICECandidate) (*webrtc.ICECandidate, error) {
	ctx, moved := context.WithTimeoutCause(ctx, moveTime, errMoveTime)
	defer moved()
	gap := gaps[i%len(gaps)]
	there := t.arrived()
	j.network.leave()
	if err := pause(ctx, gap); err != nil {
		return nil, err
	}
	to := addresses()[(i+1)%len(addresses())]
	j.network.join(to)

	begin := time.Now()
	if j.way == wayRestart {
		// README: begin
		j.traveller.RestartICE()
		if err := j.negotiate(ctx); err != nil {
			return nil, err
		}
		// README: end
	}
	pair, err := j.awaitPath(ctx, to)
	if err != nil {
		return nil, err
	}
	found, meanwhile := time.Since(begin), t.arrived()
	if err = t.await(ctx, meanwhile+1); err != nil {
		return nil, err
	}
	j.out.Title(fmt.Sprintf("move %d, at %s of %s: %s is gone, %s comes after %v",
		i+1, screen.Amount(there), screen.Amount(t.size), address(was), to, gap))
	j.out.Line("  a path from %s after %.1f ms, bytes go over it after %.1f ms",
		address(pair.Local), milliseconds(found), milliseconds(time.Since(begin)))
	j.out.Line("  arrived between the loss and the new path: %s", screen.Amount(meanwhile-there))

	return pair.Local, nil
}

// awaitPath waits until packets go over a path from an address.
func (j *journey) awaitPath(ctx context.Context, from net.IP) (webrtc.ICECandidatePair, error) {
	for {
		select {
		case pair := <-j.paths:
			if pair.Local.Address == from.String() {
				return pair, nil
			}
		case <-ctx.Done():
			return webrtc.ICECandidatePair{}, context.Cause(ctx)
		}
	}
}

// finish closes gracefully, and waits until all has ended.
func (j *journey) finish(ctx context.Context) error {
	ctx, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
	defer closed()
	if err := j.traveller.Shutdown(ctx); err != nil {
		return err
	}

	err := errors.Join(j.traveller.Run(ctx), j.home.Close())
	if ended := j.home.Run(ctx); !errors.Is(ended, io.EOF) { // the traveller's end, which may come first
		err = errors.Join(err, ended)
	}

	return err
}

func address(c *webrtc.ICECandidate) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
