// Command game is a game in miniature, with all its peers in one process: a
// player gets the map from a host and makes moves, a spectator listens to the
// news, and somebody calls a host that is not there. The README one folder up
// says which steps of moving from pion/webrtc this program shows.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
)

const (
	mapSize = 2 << 20 // bytes
	moves   = 20

	patience = 10 * time.Second       // with everything that should happen
	moment   = 300 * time.Millisecond // with what may not
)

var (
	errPatience = fmt.Errorf("not done within %v", patience)
	errNobody   = fmt.Errorf("nobody has answered within %v", moment)
)

func main() {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errPatience)
	err := errors.Join(play(ctx), watch(ctx), alone(ctx))
	cancel()
	left := leftover(before)
	fmt.Println("goroutines left:", left)
	if err != nil || left > 0 {
		fmt.Fprintln(os.Stderr, "game:", err)
		os.Exit(1)
	}
}

// message is what signaling carries: one of the two.
type message struct {
	Description *webrtc.SessionDescription `json:"description,omitempty"`
	Candidate   *webrtc.ICECandidateInit   `json:"candidate,omitempty"`
}

// side is one peer: its connection, which ends with the context, and signaling.
type side struct {
	pc     *webrtc.PeerConnection
	in     <-chan []byte
	out    chan<- []byte
	simple bool // whole descriptions, no trickling

	tasks sync.WaitGroup // Run and signaling
	why   error          // the connection has ended, when they are done
}

func newSide(ctx context.Context, simple bool, in <-chan []byte, out chan<- []byte) (*side, error) {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return strings.HasPrefix(name, "lo") })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICETimeouts(5*time.Second, 5*time.Second, 500*time.Millisecond)

	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s := &side{pc: pc, in: in, out: out, simple: simple}
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil || simple {
			return
		}
		init := candidate.ToJSON()
		s.send(message{Candidate: &init})
	})
	s.tasks.Go(func() { s.why = pc.Run(ctx) })
	s.tasks.Go(s.listen)

	return s, nil
}

// pair makes two sides that hear of each other.
func pair(ctx context.Context, simple bool) (host, guest *side, err error) {
	toHost, toGuest := make(chan []byte, 64), make(chan []byte, 64)
	if host, err = newSide(ctx, simple, toHost, toGuest); err != nil {
		return nil, nil, err
	}
	if guest, err = newSide(ctx, simple, toGuest, toHost); err != nil {
		return nil, nil, errors.Join(err, host.pc.Close())
	}

	return host, guest, nil
}

// ended returns why the connection has ended, when nothing of it is left.
func (s *side) ended() error {
	s.tasks.Wait()

	return s.why
}

func (s *side) fail(err error) {
	fmt.Fprintln(os.Stderr, "game:", err)
	_ = s.pc.Close()
}

func (s *side) send(m message) {
	text, err := json.Marshal(m)
	if err != nil {
		s.fail(err)

		return
	}
	select {
	case s.out <- text:
	case <-s.pc.Context().Done():
	}
}

// listen serves signaling until the connection has ended.
func (s *side) listen() {
	for {
		select {
		case text := <-s.in:
			if err := s.hear(s.pc.Context(), text); err != nil {
				s.fail(err)
			}
		case <-s.pc.Context().Done():
			return
		}
	}
}

func (s *side) hear(ctx context.Context, text []byte) error {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	switch {
	case m.Candidate != nil:
		return s.pc.AddICECandidate(*m.Candidate) // also before the description
	case m.Description != nil:
		if err := s.pc.SetRemoteDescriptionContext(ctx, *m.Description); err != nil {
			return err
		}
		if m.Description.Type == webrtc.SDPTypeOffer {
			return s.describe(ctx)
		}
	}

	return nil
}

// describe sets and signals our offer or answer, whichever is due, with all
// candidates if they do not come one by one.
func (s *side) describe(ctx context.Context) error {
	var err error
	if s.simple {
		err = s.pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{})
	} else {
		err = s.pc.SetLocalDescription(webrtc.SessionDescription{}) //nolint:contextcheck // it does not wait
	}
	if err != nil {
		return err
	}
	s.send(message{Description: s.pc.LocalDescription()})

	return nil
}

// connect makes a channel, which gives the sides something to negotiate, and
// connects them.
func (s *side) connect(ctx context.Context, label string, options *webrtc.DataChannelInit) (*webrtc.DataChannel, error) {
	channel, err := s.pc.CreateDataChannel(label, options)
	if err != nil {
		return nil, err
	}
	if err = s.describe(ctx); err != nil {
		return nil, err
	}

	return channel, s.pc.Connect(ctx)
}

// play is the whole game, with candidates one by one.
func play(ctx context.Context) error {
	fmt.Println("play")
	host, player, err := pair(ctx, false)
	if err != nil {
		return err
	}
	defer host.pc.Close()
	defer player.pc.Close()
	host.pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		switch channel.Label() {
		case "map":
			if err := sendMap(channel); err != nil {
				host.fail(err)
			}
		case "moves":
			answer(ctx, channel)
		}
	})
	yes, id := true, uint16(100)
	negotiated := &webrtc.DataChannelInit{Negotiated: &yes, ID: &id}
	hostChat, err := host.pc.CreateDataChannel("chat", negotiated)
	if err != nil {
		return err
	}
	hostChat.OnOpen(func() { answer(ctx, hostChat) })

	chat, err := player.connect(ctx, "chat", negotiated)
	if err != nil {
		return err
	}
	fmt.Println("  player: connected")
	if err = player.receiveMap(ctx); err != nil {
		return err
	}
	if err = player.move(ctx); err != nil {
		return err
	}
	if err = chat.SendTextContext(ctx, "good game"); err != nil {
		return err
	}
	line, err := chat.ReceiveContext(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("  player: the host says %q\n", line.Data)
	if err = chat.SendTextContext(ctx, "bye"); err != nil {
		return err
	}
	if err = player.pc.Shutdown(ctx); err != nil {
		return err
	}
	if err = host.ended(); !errors.Is(err, io.EOF) { // EOF: the player has closed, and all was read
		return fmt.Errorf("the host has not seen the end: %w", err)
	}

	return player.ended()
}

// sendMap sends the map's sum, then the map. Write waits when enough is queued;
// Close delivers what is.
func sendMap(channel *webrtc.DataChannel) error {
	conn, err := channel.NetConn()
	if err != nil {
		return err
	}
	world := make([]byte, mapSize)
	_, _ = rand.Read(world)
	sum := sha256.Sum256(world)
	if _, err = conn.Write(append(sum[:], world...)); err != nil {
		return err
	}

	return conn.Close()
}

func (s *side) receiveMap(ctx context.Context) error {
	channel, err := s.pc.SCTP().OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "map", Ordered: true})
	if err != nil {
		return err
	}
	conn, err := channel.NetConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	all, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	sum, world := all[:sha256.Size], all[sha256.Size:]
	if got := sha256.Sum256(world); !bytes.Equal(got[:], sum) {
		return errors.New("another map")
	}
	fmt.Printf("  player: the map has %d bytes, and its sum is right\n", len(world))

	return nil
}

// move makes the moves. One that is lost is not sent again.
func (s *side) move(ctx context.Context) error {
	never := uint16(0)
	channel, err := s.pc.SCTP().OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: "moves", MaxRetransmits: &never})
	if err != nil {
		return err
	}
	defer channel.Close()
	answered := 0
	for i := range moves {
		if err = channel.SendTextContext(ctx, fmt.Sprintf("step %d", i)); err != nil {
			return err
		}
		waiting, done := context.WithTimeout(ctx, moment)
		_, err = channel.ReceiveContext(waiting)
		done()
		switch {
		case err == nil:
			answered++
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return err
		}
	}
	fmt.Printf("  player: %d moves, %d answered\n", moves, answered)

	return nil
}

// answer is the host's side of moves and chat, until the channel ends.
func answer(ctx context.Context, channel *webrtc.DataChannel) {
	for {
		message, err := channel.ReceiveContext(ctx)
		if err != nil {
			return
		}
		reply := "done"
		switch string(message.Data) {
		case "good game":
			reply = "well played"
		case "bye":
			fmt.Println("  host: the player says \"bye\"")

			continue
		}
		if err = channel.SendTextContext(ctx, reply); err != nil {
			return
		}
	}
}

// watch is the simple case: whole descriptions, and OnMessage.
func watch(ctx context.Context) error {
	fmt.Println("watch")
	host, spectator, err := pair(ctx, true)
	if err != nil {
		return err
	}
	defer host.pc.Close()
	defer spectator.pc.Close()
	host.pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		for _, text := range []string{"red moves", "blue moves", "the game is over"} {
			if err := channel.SendTextContext(ctx, text); err != nil {
				host.fail(err)
			}
		}
	})
	news, err := spectator.connect(ctx, "news", nil)
	if err != nil {
		return err
	}
	news.OnMessage(func(message webrtc.DataChannelMessage) { // those that came before it, too
		fmt.Printf("  spectator: %s\n", message.Data)
		if message.IsString && string(message.Data) == "the game is over" {
			_ = spectator.pc.Close()
		}
	})
	_ = host.ended() // what the spectator's Close has told it

	return spectator.ended()
}

// alone calls a host that does not answer.
func alone(ctx context.Context) error {
	fmt.Println("alone")
	caller, err := newSide(ctx, false, make(chan []byte), make(chan []byte, 64))
	if err != nil {
		return err
	}
	calling, done := context.WithTimeoutCause(ctx, moment, errNobody)
	defer done()
	if _, err = caller.connect(calling, "chat", nil); !errors.Is(err, errNobody) {
		return fmt.Errorf("somebody is there: %w", err)
	}
	fmt.Println("  caller:", context.Cause(calling))
	_ = caller.pc.Close()

	return caller.ended()
}

// leftover is how many goroutines there are more than before, when they have
// had a second to end.
func leftover(before int) int {
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return 0
		}
		time.Sleep(time.Millisecond)
	}

	return runtime.NumGoroutine() - before
}
