package endpoint

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

// session is one publisher.
type session struct {
	id       string
	pc       *webrtc.PeerConnection
	endpoint *Endpoint
	turn     chan struct{} // of those who negotiate

	ending chan struct{}
	end    func() // tells the publisher, without waiting
}

const (
	// connectTime is how long a publisher may take to connect.
	connectTime = 30 * time.Second
	// closeTime is how long a graceful end may take.
	closeTime = 5 * time.Second
)

func newSession(e *Endpoint, pc *webrtc.PeerConnection) *session {
	s := &session{id: rand.Text(), pc: pc, endpoint: e, turn: make(chan struct{}, 1), ending: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ending) })

	return s
}

// run lives as long as the session. It returns when the tracks have been counted.
func (s *session) run() {
	ctx := context.Background()
	connecting, connected := context.WithTimeout(ctx, connectTime)
	defer connected()
	state := make(chan error, 1)
	s.endpoint.tasks.Go(func() { state <- s.pc.Connect(connecting) })
	select {
	case err := <-state:
		if err != nil {
			_ = s.pc.Close()
		}
	case <-s.ending:
	}
	select {
	case <-s.pc.Context().Done():
	case <-s.ending:
		closing, closed := context.WithTimeout(ctx, closeTime)
		_ = s.pc.Shutdown(closing)
		closed()
	}
	_ = s.pc.Run(ctx)
	s.endpoint.forget(s)
}

// negotiate answers an offer. One comes after the other.
func (s *session) negotiate(ctx context.Context, offer string) (answer string, err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	first := s.pc.CurrentRemoteDescription() == nil
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}
	if err = s.pc.SetRemoteDescriptionContext(ctx, description); err != nil {
		return "", err
	}
	if len(s.pc.GetTransceivers()) == 0 && first {
		return "", errNothing
	}
	if err = s.pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return "", err
	}

	return s.pc.LocalDescription().SDP, nil
}

// Track is what has come of one track.
type Track struct {
	Mid     string // of its section
	Codec   string
	Packets int
	Frames  int // packets of one time are one
	Bytes   int // of payloads
	Lost    int // packets
	Err     error
}

func (t Track) String() string {
	text := fmt.Sprintf("section %s, %s: %d frames in %d packets, %s, %d lost",
		t.Mid, t.Codec, t.Frames, t.Packets, screen.Amount(int64(t.Bytes)), t.Lost)
	if t.Err != nil {
		text += fmt.Sprintf("; %v", t.Err)
	}

	return text
}

// receive counts a track to its end. The publisher's end of it is io.EOF.
func (s *session) receive(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	track := Track{Mid: s.mid(receiver), Codec: remote.Codec().MimeType}
	s.endpoint.note(fmt.Sprintf("section %s, %s: begins", track.Mid, track.Codec))
	var c counter
	buf := make([]byte, 1<<16)
	for {
		n, _, err := remote.Read(buf)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, webrtc.ErrClosed) {
				track.Err = err
			}

			break
		}
		c.count(buf[:n])
	}
	track.Packets, track.Frames, track.Bytes, track.Lost = c.packets, c.frames, c.bytes, c.lost()
	s.endpoint.ended(track)
}

func (s *session) mid(receiver *webrtc.RTPReceiver) string {
	for _, t := range s.pc.GetTransceivers() {
		if t.Receiver() == receiver {
			return t.Mid()
		}
	}

	return "?"
}

// counter counts packets that come in any order.
type counter struct {
	packets, frames, bytes int
	first, last            int64 // extended sequence numbers
	times, before          map[uint32]struct{}
}

// recent is of how many frames the time is kept: those that a packet may still come
// to.
const recent = 256

func (c *counter) count(packet []byte) {
	const header = 12
	if len(packet) < header {
		return
	}
	number, at := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:])
	if c.packets == 0 {
		c.first, c.last = int64(number), int64(number)
	}
	// The nearest of those that have this number.
	extended := c.last + int64(int16(number-uint16(c.last)))
	c.first, c.last = min(c.first, extended), max(c.last, extended)
	_, known := c.times[at]
	if _, earlier := c.before[at]; !known && !earlier {
		if len(c.times) == recent || c.times == nil {
			c.before, c.times = c.times, make(map[uint32]struct{}, recent)
		}
		c.times[at] = struct{}{}
		c.frames++
	}
	c.packets++
	c.bytes += len(packet) - header
}

func (c *counter) lost() int {
	if c.packets == 0 {
		return 0
	}

	return max(0, int(c.last-c.first)+1-c.packets)
}
