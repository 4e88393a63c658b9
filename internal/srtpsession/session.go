package srtpsession

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

var (
	// ErrNotStarted is a write before there are keys.
	ErrNotStarted = errors.New("no SRTP keys yet")
	// ErrInUse is a stream of an SSRC that has one.
	ErrInUse = errors.New("the SSRC is in use")
	// ErrTooLarge is a packet that does not fit into a datagram.
	ErrTooLarge = errors.New("packet too large")
	// ErrTooManySources is a header with more than 15 contributing sources.
	ErrTooManySources = errors.New("too many contributing sources")
	// ErrNumberUsed is a packet with the sequence number that another one of its SSRC
	// had, or one that is far behind the newest.
	ErrNumberUsed = errors.New("the sequence number was used for another packet, or lies far back")
	// ErrPadding is a header that tells of padding without its size, or the other
	// way round.
	ErrPadding = errors.New("padding and its size contradict each other")
)

// MaxPacket is the largest packet in bytes that is written. What arrives is
// limited by the buffer of the path's reader.
const MaxPacket = 8192

// Config is what a session needs to know. Its functions are called with no lock
// held, on the goroutine that calls Handle, and must not block.
type Config struct {
	// MaxUnsignaled is how many SSRCs of the peer that are attached to no stream, and
	// that nobody has claimed, may have state; of RTP and of RTCP each.
	MaxUnsignaled int
	// MaxQueued is how many packets one stream keeps for its reader.
	MaxQueued int
	// MaxQueuedBytes is how many bytes all streams together keep.
	MaxQueuedBytes int
	// Claim is asked whose an authentic packet is whose SSRC is attached to no
	// stream. It attaches it, or returns false: the packet is dropped then. The
	// header is valid during the call.
	Claim func(header *rtp.Header) bool
	// HandleRTCP gets each authentic RTCP packet, compound as it came. The
	// packet is the callee's.
	HandleRTCP func(packet []byte)
}

// Keys are those of one handshake.
type Keys struct {
	srtp.SessionKeys

	Profile srtp.ProtectionProfile
	// Remote are the options of the side that opens packets: the replay windows.
	Remote []srtp.ContextOption
}

// Session is the media of one DTLS association.
type Session struct {
	config   Config
	counters counters
	queued   atomic.Int64 // bytes in all queues
	started  chan struct{}

	out struct {
		mu   sync.Mutex
		path io.Writer
		srtp *srtp.Context
		used map[uint32]*used  // by SSRC
		left map[uint32]uint16 // the newest number of those that nobody has just now
	}
	in struct {
		mu     sync.Mutex
		srtp   *srtp.Context
		header rtp.Header
		// The shortest packets that can be authentic, in bytes.
		leastRTP, leastRTCP int
		rtp, rtcp           states
		early               [][]byte // RTP that came before the keys
		earlyBytes          int
	}

	mu      sync.Mutex
	sources map[uint32]source
	ended   error
}

// New makes a session without keys. Streams may be opened at once.
func New(config Config) *Session {
	s := &Session{config: config, started: make(chan struct{}), sources: map[uint32]source{}}
	s.out.used, s.out.left = map[uint32]*used{}, map[uint32]uint16{}
	s.in.rtp.nobodys, s.in.rtcp.nobodys = map[uint32]struct{}{}, map[uint32]struct{}{}

	return s
}

// Start gives the session its keys and the path that it writes to. It is called
// once.
func (s *Session) Start(path io.Writer, keys Keys) error {
	local, err := srtp.CreateContext(keys.LocalMasterKey, keys.LocalMasterSalt, keys.Profile)
	if err != nil {
		return err
	}
	remote, err := srtp.CreateContext(keys.RemoteMasterKey, keys.RemoteMasterSalt, keys.Profile, keys.Remote...)
	if err != nil {
		return err
	}
	leastRTP, leastRTCP, err := least(keys.Profile)
	if err != nil {
		return err
	}
	s.openEarly(remote, leastRTP, leastRTCP)
	s.out.mu.Lock()
	s.out.path, s.out.srtp = path, local
	s.out.mu.Unlock()
	close(s.started)

	return nil
}

// least are the lengths of an RTP and of an RTCP packet without any content.
func least(profile srtp.ProtectionProfile) (ofRTP, ofRTCP int, err error) {
	tagRTP, err := profile.AuthTagRTPLen()
	if err != nil {
		return 0, 0, err
	}
	tagRTCP, err := profile.AuthTagRTCPLen()
	if err != nil {
		return 0, 0, err
	}
	aead, err := profile.AEADAuthTagLen()
	// The index of SRTCP has 4 bytes.
	// https://www.rfc-editor.org/rfc/rfc3711#section-3.4
	return rtpHeader + tagRTP + aead, rtcpHeader + tagRTCP + aead + 4, err
}

// Started is closed once there are keys.
func (s *Session) Started() <-chan struct{} { return s.started }

// Close ends all streams that have an SSRC, and refuses others, with a cause. What
// waits in a queue can still be taken.
func (s *Session) Close(cause error) {
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()

		return
	}
	s.ended = cause
	sources := s.sources
	s.sources = map[uint32]source{}
	s.mu.Unlock()
	s.in.mu.Lock()
	s.in.early, s.in.earlyBytes = nil, maxEarlyBytes // there is room for no more
	s.in.mu.Unlock()
	for _, of := range sources {
		of.stream.end(cause)
	}
}

func (s *Session) endedWith() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.ended
}

// source returns where the packets of an SSRC go, nowhere if nobody has said.
func (s *Session) source(ssrc uint32) source {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.sources[ssrc]
}
