// Package peer runs another implementation as a process that speaks JSON lines:
// requests on its stdin, answers and events on its stdout.
package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// maxLine is the longest line that a peer may print: a description with some
// hundred candidates is far below.
const maxLine = 1 << 20

// errHangs is what the end of a context means for who waits for a peer.
var errHangs = errors.New("the peer hangs")

// Hangs tells whether a peer has not answered, so that it may never do so again.
func Hangs(err error) bool { return errors.Is(err, errHangs) }

// Event is something that a peer tells by itself.
type Event struct {
	// Event is what has happened: ready, state, candidate, open or closed.
	Event string `json:"event"`
	// PC is the connection, by the name that the request new gave it.
	PC string `json:"pc"`
	// Version comes with ready.
	Version string `json:"version"`
	// State is that of the connection.
	State string `json:"state"`
	// Candidate comes with candidate.
	Candidate *Candidate `json:"candidate"`
	// Label and the rest are those of a channel.
	Label             string  `json:"label"`
	ID                *uint16 `json:"channel"`
	Ordered           *bool   `json:"ordered"`
	MaxRetransmits    *uint16 `json:"maxRetransmits"`
	MaxPacketLifeTime *uint16 `json:"maxPacketLifeTime"`
	Protocol          string  `json:"protocol"`
}

// Candidate as signaling carries it.
type Candidate struct {
	Candidate        string  `json:"candidate"`
	SDPMid           *string `json:"sdpMid"`
	SDPMLineIndex    *uint16 `json:"sdpMLineIndex"`
	UsernameFragment *string `json:"usernameFragment,omitempty"`
}

// Request is what a peer is asked to do, with the arguments of all requests.
type Request struct {
	ID                int        `json:"id"`
	Do                string     `json:"do"`
	PC                string     `json:"pc,omitempty"`
	SDP               string     `json:"sdp,omitempty"`
	Trickle           bool       `json:"trickle,omitempty"`
	Restart           bool       `json:"restart,omitempty"`
	Candidate         *Candidate `json:"candidate,omitempty"`
	Label             string     `json:"label,omitempty"`
	Channel           *uint16    `json:"channel,omitempty"`
	Ordered           *bool      `json:"ordered,omitempty"`
	MaxRetransmits    *uint16    `json:"maxRetransmits,omitempty"`
	MaxPacketLifeTime *uint16    `json:"maxPacketLifeTime,omitempty"`
	Negotiated        bool       `json:"negotiated,omitempty"`
	Size              int        `json:"size,omitempty"`
	Chunk             int        `json:"chunk,omitempty"`
	ICEServers        []Server   `json:"iceServers,omitempty"`
	Relay             bool       `json:"relay,omitempty"`

	// Of the request media: what the peer is to send, in H.264 rather than VP8, and
	// in which encodings.
	Audio bool     `json:"audio,omitempty"`
	Video bool     `json:"video,omitempty"`
	H264  bool     `json:"h264,omitempty"`
	RIDs  []string `json:"rids,omitempty"`
	// Resource is what an offer to a server is for: whip or whep.
	Resource string `json:"resource,omitempty"`
}

// Server is a STUN or TURN server.
type Server struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Answer is what a peer says to a request.
type Answer struct {
	ID       *int   `json:"id"`
	Error    string `json:"error"`
	SDP      string `json:"sdp"`
	Bytes    int    `json:"bytes"`
	Messages int    `json:"messages"`
	SHA256   string `json:"sha256"`
	State    string `json:"state"`

	// Of the request received: frames of video and milliseconds of audio that were
	// decoded, and packets that came again.
	Video    int `json:"video"`
	Audio    int `json:"audio"`
	Repaired int `json:"repaired"`
}

// Process is a peer that runs. Its methods may be called by several goroutines.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	// gone is closed when the process has ended and err says why.
	gone chan struct{}
	tail *tail

	writing sync.Mutex // one line at a time; held over the write, and nothing else is under it

	mu      sync.Mutex
	err     error
	lastID  int
	answers map[int]chan Answer
	events  []Event
	news    chan struct{} // closed and replaced with each event
}

// Start runs a peer and waits until it says that it is ready. The context bounds
// that, and not the peer's life.
func Start(ctx context.Context, name string, dir string, argv []string) (*Process, error) {
	// The peer outlives the call; Stop ends it.
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // see above
	cmd.Dir = dir
	// A group of its own, so that what a peer has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &Process{
		name: name, cmd: cmd, gone: make(chan struct{}), tail: &tail{},
		answers: map[int]chan Answer{}, news: make(chan struct{}),
	}
	cmd.Stderr = p.tail
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.read(stdout)
	if _, err := p.Await(ctx, func(e Event) bool { return e.Event == "ready" }); err != nil {
		p.Stop()

		return nil, fmt.Errorf("%s is not ready: %w", name, err)
	}

	return p, nil
}

// Version is what the peer says that it is.
func (p *Process) Version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == "ready" {
			return e.Version
		}
	}

	return ""
}

// Do asks the peer for something and waits for its answer.
func (p *Process) Do(ctx context.Context, request Request) (Answer, error) {
	answer := make(chan Answer, 1)
	p.mu.Lock()
	p.lastID++
	request.ID = p.lastID
	p.answers[request.ID] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.answers, request.ID)
		p.mu.Unlock()
	}()
	line, err := json.Marshal(request)
	if err != nil {
		return Answer{}, err
	}
	// A peer that does not read its stdin is killed at the end of its case, which
	// ends a write that waits for it.
	written := make(chan error, 1)
	go func() {
		p.writing.Lock()
		defer p.writing.Unlock()
		_, err := p.stdin.Write(append(line, '\n'))
		written <- err
	}()
	for {
		select {
		case a := <-answer:
			if a.Error != "" {
				return a, fmt.Errorf("%s, asked to %s: %s", p.name, request.Do, a.Error)
			}

			return a, nil
		case err := <-written:
			written = nil // a write that fails is the peer's end, which tells more
			_ = err
		case <-p.gone:
			return Answer{}, fmt.Errorf("%s: %w", request.Do, p.reason())
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("%w: %s has no answer to %s: %w", errHangs, p.name, request.Do, context.Cause(ctx))
		}
	}
}

// Await waits for an event that may have come already.
func (p *Process) Await(ctx context.Context, match func(Event) bool) (Event, error) {
	for seen := 0; ; {
		p.mu.Lock()
		events, news := p.events[seen:], p.news
		seen = len(p.events)
		p.mu.Unlock()
		if at := slices.IndexFunc(events, match); at >= 0 {
			return events[at], nil
		}
		select {
		case <-news:
		case <-p.gone:
			return Event{}, p.reason()
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		}
	}
}

// Follow calls handle with every event of a connection, in order, those that
// have come already first, until the context or the peer ends.
func (p *Process) Follow(ctx context.Context, pc string, handle func(Event)) {
	for seen := 0; ; {
		p.mu.Lock()
		events, news := p.events[seen:], p.news
		seen = len(p.events)
		p.mu.Unlock()
		for _, e := range events {
			if e.PC == pc {
				handle(e)
			}
		}
		select {
		case <-news:
		case <-p.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Gone is closed when the process has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Stop ends the peer and all that it has started, and waits for that.
func (p *Process) Stop() {
	// A peer ends with its stdin. One that does not is killed, and so is what it
	// has left.
	_ = p.stdin.Close()
	select {
	case <-p.gone:
	case <-time.After(500 * time.Millisecond):
	}
	p.kill()
	<-p.gone
}

// Tail is the end of what the peer has printed to stderr.
func (p *Process) Tail() string { return p.tail.String() }

func (p *Process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

func (p *Process) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.err
}

func (p *Process) read(stdout io.Reader) {
	defer close(p.gone)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var bad error
	for bad == nil && lines.Scan() {
		bad = p.line(lines.Bytes())
	}
	if bad == nil {
		bad = lines.Err()
	}
	if bad != nil {
		p.kill()
	}
	ended := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case bad != nil:
		p.err = fmt.Errorf("%s prints garbage: %w", p.name, bad)
	case ended != nil:
		p.err = fmt.Errorf("%s has died: %w%s", p.name, ended, p.tail.last())
	default:
		p.err = fmt.Errorf("%s has ended by itself%s", p.name, p.tail.last())
	}
}

func (p *Process) line(line []byte) error {
	var answer Answer
	if err := json.Unmarshal(line, &answer); err != nil {
		return fmt.Errorf("%.100q", line)
	}
	if answer.ID != nil {
		p.mu.Lock()
		waiting := p.answers[*answer.ID]
		delete(p.answers, *answer.ID)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- answer
		}

		return nil
	}
	var event Event
	if err := json.Unmarshal(line, &event); err != nil || event.Event == "" {
		return fmt.Errorf("%.100q", line)
	}
	p.mu.Lock()
	p.events = append(p.events, event)
	close(p.news)
	p.news = make(chan struct{})
	p.mu.Unlock()

	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu    sync.Mutex
	bytes []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 64 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes = append(t.bytes, b...)
	if over := len(t.bytes) - most; over > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
	}

	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	return string(t.bytes)
}

// last is the last line, for the end of a sentence.
func (t *tail) last() string {
	text := bytes.TrimSpace([]byte(t.String()))
	if len(text) == 0 {
		return ""
	}

	return ": " + string(text[bytes.LastIndexByte(text, '\n')+1:])
}
