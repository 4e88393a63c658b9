package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/logging"

	"github.com/ctxrtc/webrtc"
)

const (
	writeTime = 5 * time.Second // for a message of the WebSocket
	closeTime = 3 * time.Second // for a graceful close
	heartbeat = 2 * time.Second // between pings of the WebSocket
)

// session is one page: its WebSocket, and the connection to it.
type session struct {
	*server
	socket *websocket.Conn
	pc     *webrtc.PeerConnection
	begin  time.Time

	// For the one goroutine that negotiates.
	needed     chan struct{}             // holds one
	candidates chan *webrtc.ICECandidate // ours
	received   chan received

	tasks     sync.WaitGroup
	connected atomic.Bool // it was, at some time
	failed    chan struct{}
}

// meet is the whole life of a session. It ends when either side closes the
// connection, when the page goes away, and when ctx ends. It returns when every
// goroutine of it has finished.
func (s *server) meet(ctx context.Context, socket *websocket.Conn) (connected bool, err error) {
	pc, err := newConnection(s.loopback)
	if err != nil {
		return false, errors.Join(err, socket.Close(websocket.StatusInternalError, "no connection"))
	}
	p := &session{
		server: s, socket: socket, pc: pc, begin: time.Now(),
		needed: make(chan struct{}, 1), candidates: make(chan *webrtc.ICECandidate), received: make(chan received),
		failed: make(chan struct{}),
	}
	s.out.Title("a page has come")

	// The session outlives ctx by its goodbye, but not the page.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer p.tasks.Wait()
	defer end(nil)
	negotiating, over := context.WithCancel(life)
	defer over()
	p.watch(life, negotiating)
	ran := make(chan struct{})
	p.tasks.Go(func() {
		defer close(ran)
		_ = pc.Run(life) // owns the connection from here; its Context tells why it ends
	})
	p.tasks.Go(func() { end(p.read(life, negotiating)) })
	p.tasks.Go(func() { end(p.beat(life)) })
	p.tasks.Go(func() { p.accept(life) })

	why, err := p.negotiate(ctx, life)
	over() // handlers that have something for the negotiation go on without

	// Graceful, unless the page has gone: it reads to the end.
	closing, closed := context.WithTimeout(life, closeTime)
	defer closed()
	if lost := pc.Shutdown(closing); lost != nil && life.Err() == nil && err == nil {
		err = lost
	}
	<-ran // all handlers have been called: the page has every state
	if why == closedByPage {
		s.out.Line("%s (%v)", why, context.Cause(pc.Context())) //nolint:contextcheck // it tells how
	} else {
		s.out.Line("%s", why)
	}
	if err != nil {
		p.send(life, message{Error: err.Error()})
		_ = socket.Close(websocket.StatusPolicyViolation, why)
	} else {
		_ = socket.Close(websocket.StatusNormalClosure, why)
	}

	return p.connected.Load(), err
}

// newConnection makes a connection on the machine's interfaces, or on loopback
// alone.
func newConnection(loopback bool) (*webrtc.PeerConnection, error) {
	logs := logging.NewDefaultLoggerFactory() // has read PION_LOG_DEBUG and its like
	if logs.DefaultLogLevel == logging.LogLevelError {
		logs.DefaultLogLevel = logging.LogLevelDisabled // what goes wrong comes back as an error
	}
	settings := webrtc.SettingEngine{LoggerFactory: logs}
	// Browsers hide their addresses behind names, which not every network
	// answers to. Their checks reveal the address all the same, as one of a
	// peer-reflexive candidate, and there is no better one to wait for.
	settings.ICE.PrflxAcceptanceMinWait = -1
	if loopback {
		settings.ICE.IncludeLoopback = true
		settings.ICE.IPFilter = func(ip net.IP) bool { return ip.IsLoopback() }
	}

	return webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
}

// watch sets the handlers, before anything can happen.
func (p *session) watch(ctx, negotiating context.Context) {
	note := func(track string, state fmt.Stringer) { p.note(ctx, track, state) }
	pc, dtls := p.pc, p.pc.SCTP().Transport()
	note("signaling", pc.SignalingState())
	note("gathering", pc.ICEGatheringState())
	note("ice", pc.ICEConnectionState())
	note("dtls", dtls.State())
	note("connection", pc.ConnectionState())
	pc.OnSignalingStateChange(func(state webrtc.SignalingState) { note("signaling", state) })
	pc.OnICEGatheringStateChange(func(state webrtc.ICEGatheringState) { note("gathering", state) })
	pc.OnICEConnectionStateChange(func(state webrtc.ICEConnectionState) { note("ice", state) })
	dtls.OnStateChange(func(state webrtc.DTLSTransportState) { note("dtls", state) })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		note("connection", state)
		switch state {
		case webrtc.PeerConnectionStateConnected:
			p.connected.Store(true)
		case webrtc.PeerConnectionStateFailed:
			close(p.failed) // comes once: nobody restarts ICE here
		default:
		}
	})
	dtls.ICETransport().OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
		taken := newPath(pair)
		p.out.Line("  from %s to %s", taken.Local, taken.Remote)
		p.send(ctx, message{Path: taken})
	})
	pc.OnNegotiationNeeded(func() { tell(negotiating, p.needed, struct{}{}) })
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) { tell(negotiating, p.candidates, candidate) })
}

// note prints a state of our side and tells the page.
func (p *session) note(ctx context.Context, track string, state fmt.Stringer) {
	at := float64(time.Since(p.begin).Microseconds()) / 1000
	p.out.Line("  %9.1f ms  %-10s  %v", at, track, state)
	p.send(ctx, message{State: &stateChange{Track: track, State: state.String(), At: at}})
}

// send tells the page something. If it cannot be told, reading from it ends
// too, and with that the session.
func (p *session) send(ctx context.Context, m message) {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // all of its fields can be written
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	_ = p.socket.Write(ctx, websocket.MessageText, data)
}

var (
	errGone   = errors.New("the page has gone")
	errSilent = errors.New("the page does not answer any more")
)

// received is a message of the page's, or what was wrong with it.
type received struct {
	message
	err error
}

// read hands the page's messages on until the page goes, and returns why.
func (p *session) read(ctx, negotiating context.Context) error {
	for {
		_, data, err := p.socket.Read(ctx)
		if err != nil {
			return errGone
		}
		m, err := parseMessage(data)
		tell(negotiating, p.received, received{m, err})
	}
}

// beat asks the page's browser for signs of life.
func (p *session) beat(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		answer, cancel := context.WithTimeout(ctx, writeTime)
		err := p.socket.Ping(answer)
		cancel()
		if err != nil {
			return errSilent
		}
	}
}
