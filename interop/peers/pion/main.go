// Command pion is the peer of pion/webrtc. It is a module and a process of its
// own, since pion/webrtc needs other versions of the protocol modules than the
// library has.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

const low = 1 << 20

// request is what the laboratory asks for.
type request struct {
	ID                int                      `json:"id"`
	Do                string                   `json:"do"`
	PC                string                   `json:"pc"`
	SDP               string                   `json:"sdp"`
	Trickle           bool                     `json:"trickle"`
	Restart           bool                     `json:"restart"`
	Candidate         *webrtc.ICECandidateInit `json:"candidate"`
	Label             string                   `json:"label"`
	Channel           *uint16                  `json:"channel"`
	Ordered           *bool                    `json:"ordered"`
	MaxRetransmits    *uint16                  `json:"maxRetransmits"`
	MaxPacketLifeTime *uint16                  `json:"maxPacketLifeTime"`
	Negotiated        bool                     `json:"negotiated"`
	Size              int                      `json:"size"`
	Chunk             int                      `json:"chunk"`
	ICEServers        []webrtc.ICEServer       `json:"iceServers"`
	Relay             bool                     `json:"relay"`
	Audio             bool                     `json:"audio"`
	Video             bool                     `json:"video"`
	H264              bool                     `json:"h264"`
	RIDs              []string                 `json:"rids"`
}

// object is one line of ours.
type object map[string]any

var printing sync.Mutex

func emit(o object) {
	line, err := json.Marshal(o)
	if err != nil {
		panic(err) // made of plain values only
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(line))
}

// channel is a data channel and what it has got. The first word of its label is
// what it does.
type channel struct {
	*webrtc.DataChannel
	mu       sync.Mutex
	bytes    int
	messages int
	hash     hash.Hash
}

type connection struct {
	name     string
	pc       *webrtc.PeerConnection
	mu       sync.Mutex
	channels map[string]*channel
	counted  counters
}

func (c *connection) adopt(dc *webrtc.DataChannel) {
	ch := &channel{DataChannel: dc, hash: sha256.New()}
	c.mu.Lock()
	c.channels[dc.Label()] = ch
	c.mu.Unlock()
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		switch {
		case !strings.HasPrefix(dc.Label(), "echo"):
			ch.mu.Lock()
			defer ch.mu.Unlock()
			ch.bytes += len(m.Data)
			ch.messages++
			ch.hash.Write(m.Data)
		case m.IsString:
			_ = dc.SendText(string(m.Data)) // the laboratory misses the echo
		default:
			_ = dc.Send(m.Data)
		}
	})
	dc.OnOpen(func() {
		emit(object{
			"event": "open", "pc": c.name, "label": dc.Label(), "channel": dc.ID(), "ordered": dc.Ordered(),
			"maxRetransmits": dc.MaxRetransmits(), "maxPacketLifeTime": dc.MaxPacketLifeTime(), "protocol": dc.Protocol(),
		})
	})
	dc.OnClose(func() { emit(object{"event": "closed", "pc": c.name, "label": dc.Label()}) })
}

func (c *connection) find(label string) (*channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.channels[label]; ch != nil {
		return ch, nil
	}

	return nil, fmt.Errorf("no channel %s", label)
}

func open(r request) (*connection, error) {
	config := webrtc.Configuration{ICEServers: r.ICEServers}
	if r.Relay {
		config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	pc, err := webrtc.NewPeerConnection(config)
	if err != nil {
		return nil, err
	}
	c := &connection{name: r.PC, pc: pc, channels: map[string]*channel{}}
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate != nil {
			emit(object{"event": "candidate", "pc": c.name, "candidate": candidate.ToJSON()})
		}
	})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		emit(object{"event": "state", "pc": c.name, "state": s.String()})
	})
	pc.OnDataChannel(c.adopt)
	pc.OnTrack(c.receive)

	return c, nil
}

// local applies our description and returns its text, with the candidates unless
// they are to trickle.
func (c *connection) local(description webrtc.SessionDescription, trickle bool) (object, error) {
	complete := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(description); err != nil {
		return nil, err
	}
	if trickle {
		return object{"sdp": description.SDP}, nil
	}
	<-complete

	return object{"sdp": c.pc.LocalDescription().SDP}, nil
}

func (c *connection) do(r request) (object, error) {
	switch r.Do {
	case "channel":
		dc, err := c.pc.CreateDataChannel(r.Label, &webrtc.DataChannelInit{
			Ordered: r.Ordered, MaxRetransmits: r.MaxRetransmits, MaxPacketLifeTime: r.MaxPacketLifeTime,
			Negotiated: &r.Negotiated, ID: r.Channel,
		})
		if err != nil {
			return nil, err
		}
		c.adopt(dc)

		return nil, nil
	case "offer":
		offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: r.Restart})
		if err != nil {
			return nil, err
		}

		return c.local(offer, r.Trickle)
	case "answer":
		if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: r.SDP}); err != nil {
			return nil, err
		}
		answer, err := c.pc.CreateAnswer(nil)
		if err != nil {
			return nil, err
		}

		return c.local(answer, r.Trickle)
	case "accept":
		return nil, c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: r.SDP})
	case "candidate":
		return nil, c.pc.AddICECandidate(*r.Candidate)
	case "media":
		return nil, c.addMedia(r)
	case "received":
		return c.received(), nil
	case "state":
		return object{"state": c.pc.ConnectionState().String()}, nil
	case "close":
		return nil, c.pc.Close()
	}
	ch, err := c.find(r.Label)
	if err != nil {
		return nil, err
	}
	switch r.Do {
	case "blast":
		return ch.blast(r.Size, r.Chunk)
	case "digest":
		return ch.digest(r.Size), nil
	case "close-channel":
		return nil, ch.Close()
	}

	return nil, fmt.Errorf("unknown request %s", r.Do)
}

// blast sends size bytes in messages of chunk bytes, at the pace that the
// channel's buffer allows.
func (c *channel) blast(size, chunk int) (object, error) {
	sum := sha256.New()
	block := make([]byte, chunk)
	_, _ = rand.Read(block) // never fails
	messages := 0
	for sent := 0; sent < size; messages++ {
		binary.BigEndian.PutUint32(block, uint32(messages)) //nolint:gosec // some thousands
		message := block[:min(chunk, size-sent)]
		sum.Write(message)
		for c.BufferedAmount() > low {
			time.Sleep(time.Millisecond)
		}
		if err := c.Send(message); err != nil {
			return nil, err
		}
		sent += len(message)
	}

	return object{"bytes": size, "messages": messages, "sha256": hex.EncodeToString(sum.Sum(nil))}, nil
}

// digest waits until a sink has got so many bytes.
func (c *channel) digest(size int) object {
	for {
		c.mu.Lock()
		if c.bytes >= size {
			defer c.mu.Unlock()

			return object{"bytes": c.bytes, "messages": c.messages, "sha256": hex.EncodeToString(c.hash.Sum(nil))}
		}
		c.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}

func main() {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/pion/webrtc/v4" {
				version = dep.Version
			}
		}
	}
	emit(object{"event": "ready", "version": "pion/webrtc " + version})
	connections := map[string]*connection{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if r.Do == "new" {
			c, err := open(r)
			if err == nil {
				connections[r.PC] = c
			}
			reply(r, nil, err)

			continue
		}
		c := connections[r.PC]
		if c == nil {
			reply(r, nil, fmt.Errorf("no connection %s", r.PC))

			continue
		}
		go func() {
			o, err := c.do(r)
			reply(r, o, err)
		}()
	}
}

func reply(r request, o object, err error) {
	if o == nil {
		o = object{}
	}
	o["id"] = r.ID
	if err != nil {
		o["error"] = err.Error()
	}
	emit(o)
}
