// Command game is a game in miniature, with all its peers in one process: a
// player gets the map from a host and makes moves, a spectator listens to the
// news, and somebody calls a host that is not there. The README one folder up
// says which steps of moving from pion/webrtc this program shows.
package main

import (
	"bytes"
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
	mapSize   = 2 << 20 // bytes
	chunkSize = 16 << 10
	highWater = 256 << 10 // queued bytes at which the sender of the map waits
	lowWater  = 64 << 10  // and at which it goes on
	moves     = 20

	patience = 10 * time.Second       // with everything that should happen
	moment   = 300 * time.Millisecond // with what may not
)

func main() {
	before := runtime.NumGoroutine()
	err := errors.Join(play(), watch(), alone())
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

// side is one peer: its connection, and what its goroutines and handlers share.
type side struct {
	pc     *webrtc.PeerConnection
	in     <-chan []byte // signaling
	out    chan<- []byte
	simple bool // whole descriptions and OnMessage: no trickling, not detached

	connected, over         chan struct{} // closed when the connection is
	connectedOnce, overOnce sync.Once
	loops                   sync.WaitGroup

	mu        sync.Mutex
	described bool                      // the other side's description is set
	early     []webrtc.ICECandidateInit // that came before it
}

func newSide(simple bool, in <-chan []byte, out chan<- []byte) (*side, error) {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return strings.HasPrefix(name, "lo") })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICETimeouts(5*time.Second, 5*time.Second, 500*time.Millisecond)
	if !simple {
		settings.DetachDataChannels()
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s := &side{
		pc: pc, in: in, out: out, simple: simple,
		connected: make(chan struct{}), over: make(chan struct{}),
	}
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			s.connectedOnce.Do(func() { close(s.connected) })
		case webrtc.PeerConnectionStateFailed:
			go pc.Close() // not in a handler
		case webrtc.PeerConnectionStateClosed:
			s.overOnce.Do(func() { close(s.over) })
		default:
		}
	})
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil || s.simple {
			return
		}
		init := candidate.ToJSON()
		if err := s.send(message{Candidate: &init}); err != nil {
			s.fail(err)
		}
	})
	s.loops.Add(1)
	go s.listen()

	return s, nil
}

// pair makes two sides that hear of each other.
func pair(simple bool) (host, guest *side, err error) {
	toHost, toGuest := make(chan []byte, 64), make(chan []byte, 64)
	if host, err = newSide(simple, toHost, toGuest); err != nil {
		return nil, nil, err
	}
	if guest, err = newSide(simple, toGuest, toHost); err != nil {
		host.end()

		return nil, nil, err
	}

	return host, guest, nil
}

// fail gives the connection up.
func (s *side) fail(err error) {
	fmt.Fprintln(os.Stderr, "game:", err)
	go s.pc.Close() // this may be a handler
}

// end closes the connection and waits for the goroutines around it, but not for
// ever: who knows what they wait for.
func (s *side) end() {
	go s.pc.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-s.over
		s.loops.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		fmt.Fprintln(os.Stderr, "game: something is left behind")
	}
}

// wait is a receive that ends with the connection, or after a while.
func wait[T any](s *side, from <-chan T, what string) (value T, err error) {
	select {
	case value = <-from:
		return value, nil
	case <-s.over:
		return value, fmt.Errorf("%s: the connection is closed", what)
	case <-time.After(patience):
		go s.pc.Close()

		return value, fmt.Errorf("%s: nothing within %v", what, patience)
	}
}

func (s *side) send(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	select {
	case s.out <- text:
		return nil
	case <-time.After(patience):
		return errors.New("signaling is stuck")
	}
}

// listen serves signaling until the connection is over.
func (s *side) listen() {
	defer s.loops.Done()
	for {
		select {
		case text := <-s.in:
			if err := s.hear(text); err != nil {
				s.fail(err)
			}
		case <-s.over:
			return
		}
	}
}

func (s *side) hear(text []byte) error {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	switch {
	case m.Candidate != nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.described {
			s.early = append(s.early, *m.Candidate)

			return nil
		}

		return s.pc.AddICECandidate(*m.Candidate)
	case m.Description != nil:
		if err := s.setRemote(*m.Description); err != nil {
			return err
		}
		if m.Description.Type == webrtc.SDPTypeOffer {
			answer, err := s.pc.CreateAnswer(nil)
			if err != nil {
				return err
			}

			return s.setLocal(answer)
		}
	}

	return nil
}

// setRemote sets the description, and then the candidates that were too early.
func (s *side) setRemote(description webrtc.SessionDescription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.pc.SetRemoteDescription(description); err != nil {
		return err
	}
	s.described = true
	for _, candidate := range s.early {
		if err := s.pc.AddICECandidate(candidate); err != nil {
			return err
		}
	}
	s.early = nil

	return nil
}

// setLocal sets the description and signals it, with all candidates if they do
// not come one by one.
func (s *side) setLocal(description webrtc.SessionDescription) error {
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(description); err != nil {
		return err
	}
	if s.simple {
		if _, err := wait(s, gathered, "gathering"); err != nil {
			return err
		}
	}

	return s.send(message{Description: s.pc.LocalDescription()})
}

func (s *side) offer() error {
	offer, err := s.pc.CreateOffer(nil)
	if err != nil {
		return err
	}

	return s.setLocal(offer)
}

// serve gives a channel to a goroutine when it opens.
func (s *side) serve(channel *webrtc.DataChannel, loop func(raw io.ReadWriteCloser)) {
	channel.OnOpen(func() {
		raw, err := channel.Detach()
		if err != nil {
			s.fail(err)

			return
		}
		s.loops.Add(1)
		go func() {
			defer s.loops.Done()
			loop(raw)
		}()
	})
}

// open is for those who wait for a channel.
func (s *side) open(channel *webrtc.DataChannel) <-chan io.ReadWriteCloser {
	opened := make(chan io.ReadWriteCloser, 1)
	s.serve(channel, func(raw io.ReadWriteCloser) { opened <- raw })

	return opened
}

// messages reads a detached channel beside its caller, who can then wait with a
// limit.
func (s *side) messages(raw io.Reader) <-chan []byte {
	to := make(chan []byte)
	s.loops.Add(1)
	go func() {
		defer s.loops.Done()
		buffer := make([]byte, 64<<10) // a longer message would be an error
		for {
			n, err := raw.Read(buffer)
			if err != nil {
				return
			}
			select {
			case to <- bytes.Clone(buffer[:n]):
			case <-s.over:
				return
			}
		}
	}()

	return to
}

// play is the whole game: candidates one by one, channels detached.
func play() error {
	fmt.Println("play")
	host, player, err := pair(false)
	if err != nil {
		return err
	}
	defer host.end()
	defer player.end()
	host.pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		switch channel.Label() {
		case "map":
			host.serve(channel, func(raw io.ReadWriteCloser) {
				if err := host.sendMap(channel, raw); err != nil {
					host.fail(err)
				}
			})
		case "moves":
			host.serve(channel, answer)
		}
	})
	yes, no, never, id := true, false, uint16(0), uint16(100)
	negotiated := &webrtc.DataChannelInit{Negotiated: &yes, ID: &id}
	hostChat, err := host.pc.CreateDataChannel("chat", negotiated)
	if err != nil {
		return err
	}
	host.serve(hostChat, answer)

	chat, err := player.pc.CreateDataChannel("chat", negotiated)
	if err != nil {
		return err
	}
	chatOpen := player.open(chat)
	world, err := player.pc.CreateDataChannel("map", nil)
	if err != nil {
		return err
	}
	worldOpen := player.open(world)
	steps, err := player.pc.CreateDataChannel("moves", &webrtc.DataChannelInit{Ordered: &no, MaxRetransmits: &never})
	if err != nil {
		return err
	}
	stepsOpen := player.open(steps)
	if err = player.offer(); err != nil {
		return err
	}
	if _, err = wait(player, player.connected, "connecting"); err != nil {
		return err
	}
	fmt.Println("  player: connected")
	if err = player.receiveMap(worldOpen); err != nil {
		return err
	}
	if err = player.move(stepsOpen); err != nil {
		return err
	}

	raw, err := wait(player, chatOpen, "the chat")
	if err != nil {
		return err
	}
	lines := player.messages(raw)
	if _, err = raw.Write([]byte("good game")); err != nil {
		return err
	}
	line, err := wait(player, lines, "an answer")
	if err != nil {
		return err
	}
	fmt.Printf("  player: the host says %q\n", line)
	if _, err = raw.Write([]byte("bye")); err != nil {
		return err
	}
	// Close drops what is queued.
	for deadline := time.Now().Add(patience); chat.BufferedAmount() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}

	return nil
}

// sendMap sends the map's sum, then the map, and keeps the queue short.
func (s *side) sendMap(channel *webrtc.DataChannel, raw io.Writer) error {
	world := make([]byte, mapSize)
	_, _ = rand.Read(world)
	sum := sha256.Sum256(world)
	if _, err := raw.Write(sum[:]); err != nil {
		return err
	}
	more := make(chan struct{}, 1)
	channel.SetBufferedAmountLowThreshold(lowWater)
	channel.OnBufferedAmountLow(func() {
		select {
		case more <- struct{}{}:
		default:
		}
	})
	for len(world) > 0 {
		if channel.BufferedAmount() > highWater {
			if _, err := wait(s, more, "sending the map"); err != nil {
				return err
			}
		}
		n := min(chunkSize, len(world))
		if _, err := raw.Write(world[:n]); err != nil {
			return err
		}
		world = world[n:]
	}

	return nil
}

func (s *side) receiveMap(open <-chan io.ReadWriteCloser) error {
	raw, err := wait(s, open, "the map's channel")
	if err != nil {
		return err
	}
	defer raw.Close()
	chunks := s.messages(raw)
	sum, err := wait(s, chunks, "the map's sum")
	if err != nil {
		return err
	}
	world := make([]byte, 0, mapSize)
	for len(world) < mapSize {
		chunk, err := wait(s, chunks, "the map")
		if err != nil {
			return err
		}
		world = append(world, chunk...)
	}
	if got := sha256.Sum256(world); !bytes.Equal(got[:], sum) {
		return errors.New("another map")
	}
	fmt.Printf("  player: the map has %d bytes, and its sum is right\n", len(world))

	return nil
}

// move makes the moves. One that is lost is not sent again.
func (s *side) move(open <-chan io.ReadWriteCloser) error {
	raw, err := wait(s, open, "the moves' channel")
	if err != nil {
		return err
	}
	defer raw.Close()
	answers := s.messages(raw)
	answered := 0
	for i := range moves {
		if _, err = fmt.Fprintf(raw, "step %d", i); err != nil {
			return err
		}
		select {
		case <-answers:
			answered++
		case <-time.After(moment):
		case <-s.over:
			return errors.New("moving: the connection is closed")
		}
	}
	fmt.Printf("  player: %d moves, %d answered\n", moves, answered)

	return nil
}

// answer is the host's side of moves and chat, until the channel ends.
func answer(raw io.ReadWriteCloser) {
	defer raw.Close()
	buffer := make([]byte, 1<<10)
	for {
		n, err := raw.Read(buffer)
		if err != nil {
			return
		}
		reply := "done"
		switch string(buffer[:n]) {
		case "good game":
			reply = "well played"
		case "bye":
			fmt.Println("  host: the player says \"bye\"")

			continue
		}
		if _, err = io.WriteString(raw, reply); err != nil {
			return
		}
	}
}

// watch is the simple case: whole descriptions, and OnMessage.
func watch() error {
	fmt.Println("watch")
	host, spectator, err := pair(true)
	if err != nil {
		return err
	}
	defer host.end()
	defer spectator.end()
	host.pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnOpen(func() {
			for _, text := range []string{"red moves", "blue moves", "the game is over"} {
				if err := channel.SendText(text); err != nil {
					host.fail(err)
				}
			}
		})
	})
	news, err := spectator.pc.CreateDataChannel("news", nil)
	if err != nil {
		return err
	}
	news.OnMessage(func(message webrtc.DataChannelMessage) {
		fmt.Printf("  spectator: %s\n", message.Data)
		if message.IsString && string(message.Data) == "the game is over" {
			go spectator.pc.Close() // not in a handler
		}
	})
	if err = spectator.offer(); err != nil {
		return err
	}
	select {
	case <-spectator.over:
		return nil
	case <-time.After(patience):
		return errors.New("the game does not end")
	}
}

// alone calls a host that does not answer.
func alone() error {
	fmt.Println("alone")
	caller, err := newSide(false, make(chan []byte), make(chan []byte, 64))
	if err != nil {
		return err
	}
	defer caller.end()
	if _, err = caller.pc.CreateDataChannel("chat", nil); err != nil {
		return err
	}
	if err = caller.offer(); err != nil {
		return err
	}
	select {
	case <-caller.connected:
		return errors.New("somebody is there")
	case <-time.After(moment):
		fmt.Printf("  caller: nobody has answered within %v\n", moment)
	}

	return nil
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
