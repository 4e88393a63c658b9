package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const (
	// maxOffer is the longest offer that is read, in bytes.
	maxOffer = 64 << 10
	// shownSessions is how many of the sessions are printed.
	shownSessions = 5
)

// server answers offers. All its connections are on one UDP port.
type server struct {
	out *screen.Screen
	mux *webrtc.UDPMux
	api *webrtc.API
	url string

	life  context.Context // of the sessions; its end is that of all
	tasks sync.WaitGroup  // the sessions
	http  http.Server

	mu      sync.Mutex
	live    map[int]*session
	offered int // sessions so far
	ended   ended
}

// ended counts the sessions that are over.
type ended struct{ gracefully, otherwise, messages int }

// session is one peer.
type session struct {
	number int
	pc     *webrtc.PeerConnection
	begin  time.Time

	// Guarded by server.mu.
	remote   string // the peer's address, once it is connected
	after    time.Duration
	messages int
}

// newServer opens the port, and takes offers as soon as serve runs.
func newServer(life context.Context, out *screen.Screen, port uint16) (*server, error) {
	settings := peer.OnLoopback()
	mux, err := webrtc.ListenUDPMux(port, webrtc.UDPMuxSettings{
		IncludeLoopback: true,
		InterfaceFilter: settings.ICE.InterfaceFilter,
		NetworkTypes:    settings.ICE.NetworkTypes,
		LoggerFactory:   settings.LoggerFactory,
	})
	if err != nil {
		return nil, err
	}
	settings.SetICEUDPMux(mux)

	return &server{
		out: out, mux: mux, api: webrtc.NewAPI(webrtc.WithSettingEngine(settings)),
		life: life, live: map[int]*session{},
	}, nil
}

// listen begins to take offers at an address.
func (s *server) listen(ctx context.Context, addr string, failed context.CancelCauseFunc) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.http = http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	s.tasks.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	})
	s.out.Line("offers at %s, everything else at UDP %s", s.url, s.mux.GetListenAddresses()[0])

	return nil
}

// close returns when nothing of the server is left. Its context has ended, and
// with it the sessions.
func (s *server) close() error {
	err := s.http.Close()
	s.tasks.Wait()

	return errors.Join(err, s.mux.Close())
}

// ServeHTTP takes an offer and gives the answer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "offers are posted here", http.StatusMethodNotAllowed)

		return
	}
	var offer webrtc.SessionDescription
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOffer)).Decode(&offer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	answer, err := s.answer(r.Context(), offer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // without it the session is not connected, and ends
}

// answer begins a session. It goes on when the request has ended.
func (s *server) answer(ctx context.Context, offer webrtc.SessionDescription) (*webrtc.SessionDescription, error) {
	begin := time.Now()
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	err = pc.SetRemoteDescriptionContext(ctx, offer)
	if err == nil {
		err = pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{})
	}
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	s.mu.Lock()
	s.offered++
	p := &session{number: s.offered, pc: pc, begin: begin}
	s.live[p.number] = p
	s.mu.Unlock()
	s.tasks.Go(func() { s.meet(p) }) //nolint:contextcheck // the life of the server

	return pc.LocalDescription(), nil
}

// meet is the life of a session.
func (s *server) meet(p *session) {
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = p.pc.Run(s.life) // owns the connection; what is read tells why it ends
	}()
	err := s.echo(p)
	if errors.Is(err, io.EOF) { // the channel has ended, and the rest does so by itself
		closing, closed := context.WithTimeout(s.life, peer.CloseTime)
		defer closed()
		_ = peer.Await(closing, p.pc.Context().Done())
	}
	_ = p.pc.Close()
	<-ran
	s.mu.Lock()
	delete(s.live, p.number)
	s.ended.messages += p.messages
	if errors.Is(err, io.EOF) {
		s.ended.gracefully++
	} else {
		s.ended.otherwise++
	}
	s.mu.Unlock()
	if !errors.Is(err, io.EOF) && s.life.Err() == nil {
		s.out.Line("  session %d: %v", p.number, err)
	}
}

// echo sends back what comes, until the peer closes: that is io.EOF.
func (s *server) echo(p *session) error {
	ctx, cancel := context.WithTimeoutCause(s.life, peer.ConnectTime, peer.ErrConnectTime)
	defer cancel()
	if err := p.pc.Connect(ctx); err != nil {
		return err
	}
	pair, err := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	s.mu.Lock()
	p.after = time.Since(p.begin)
	if err == nil && pair != nil {
		p.remote = net.JoinHostPort(pair.Remote.Address, fmt.Sprint(pair.Remote.Port))
	}
	s.mu.Unlock()
	channel, err := p.pc.SCTP().AcceptDataChannel(ctx)
	if err != nil {
		return err
	}
	for {
		message, err := channel.ReceiveContext(s.life)
		if err != nil {
			return err
		}
		if err = channel.SendContext(s.life, message.Data); err != nil {
			return err
		}
		s.mu.Lock()
		p.messages++
		s.mu.Unlock()
	}
}

// census is how many sessions there are, were and are connected.
type census struct{ live, offered, connected int }

func (s *server) count() census {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := census{live: len(s.live), offered: s.offered}
	for _, p := range s.live {
		if p.remote != "" {
			c.connected++
		}
	}

	return c
}

// show prints the first sessions, and what all together hold.
func (s *server) show() {
	s.mu.Lock()
	numbers := make([]int, 0, len(s.live))
	for number := range s.live {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	lines := make([]string, 0, shownSessions+1)
	for i, number := range numbers {
		if i == shownSessions {
			lines = append(lines, fmt.Sprintf("  and %d more", len(numbers)-i))

			break
		}
		p := s.live[number]
		remote := p.remote
		if remote == "" {
			remote = "connecting"
		}
		lines = append(lines, fmt.Sprintf("  session %-4d  %-21s  after %5.1f ms  %d messages",
			number, remote, p.after.Seconds()*1000, p.messages))
	}
	s.mu.Unlock()
	for _, line := range lines {
		s.out.Line("%s", line)
	}
	stats := s.mux.Stats()
	s.out.Line("  %d sessions, %d addresses, %d UDP socket, %d goroutines in this process",
		stats.Sessions, stats.Addresses, len(s.mux.GetListenAddresses()), runtime.NumGoroutine())
	s.dropped(stats)
}

func (s *server) dropped(stats webrtc.UDPMuxStats) {
	s.out.Line("  %d packets received, %d sent; dropped: %d of no session, %d of no address, %d other",
		stats.PacketsReceived, stats.PacketsSent, stats.DroppedUnknownUfrag, stats.DroppedUnknownAddress,
		stats.DroppedUnknownTransaction+stats.DroppedMalformed+stats.DroppedOversized+
			stats.DroppedUnstarted+stats.DroppedFull)
}

// serve is the server alone. It shows its sessions when their number changes.
func serve(ctx context.Context, out *screen.Screen, opts *options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := newServer(ctx, out, opts.port)
	if err != nil {
		return err
	}
	if err = s.listen(ctx, opts.addr, cancel); err != nil {
		return errors.Join(err, s.mux.Close()) //nolint:contextcheck // it waits for nobody else
	}
	out.Line("in another terminal: go run ./examples/one-port -connect %s", s.url)
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	shown := census{}
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			continue
		}
		if now := s.count(); now != shown {
			shown = now
			out.Line("")
			s.show()
		}
	}
	cancel(nil)

	return errors.Join(context.Cause(ctx), s.close()) //nolint:contextcheck // ctx has ended
}
