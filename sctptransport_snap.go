package webrtc

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/sctp"

	"github.com/ctxrtc/webrtc/internal/sctpfilter"
)

// The SCTP handshake in signaling: each side's INIT chunk goes with its
// capabilities, and where both have come through, there is no handshake on the
// path. https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/

// localInit is our INIT chunk for signaling, one for each transport.
type localInit struct{ chunk atomic.Pointer[[]byte] }

// signal returns the chunk in base64, as SCTPCapabilities has it. The first
// call makes it.
func (l *localInit) signal(settings *SettingEngine) (string, error) {
	if l.chunk.Load() == nil {
		// What the association is made with later has to be what the chunk
		// says: the module reads the extensions from it, but takes checksums
		// and the window from its options.
		made, err := sctp.GenerateOutOfBandToken(settings.sctpClientOptions()...)
		if err != nil {
			return "", err
		}
		l.chunk.CompareAndSwap(nil, &made)
	}

	return base64.StdEncoding.EncodeToString(*l.chunk.Load()), nil
}

// signaled returns the chunk, nil if signaling never got one: the peer cannot
// know it then.
func (l *localInit) signaled() []byte {
	if chunk := l.chunk.Load(); chunk != nil {
		return *chunk
	}

	return nil
}

const (
	// A HEARTBEAT asks the peer for a first packet. It is repeated after
	// firstHeartbeat, and then after twice as long each time.
	firstHeartbeat = 200 * time.Millisecond
	lastHeartbeat  = 5 * time.Second
)

// associationStart is what an association is made from.
type associationStart struct {
	source  sctpfilter.Source
	config  sctpfilter.Config
	options []sctp.ClientOption // all but the connection and the handshake
	// local and remote are the INIT chunks that went through signaling. If one
	// is empty, there is a handshake on the path.
	local, remote []byte
	// attach makes the filter the one that the end of the transport closes. Its
	// error ends the start.
	attach func(filter *sctpfilter.Filter) error
}

// run returns the established association and its filter, which attach was
// given. After an error the filter reads no more, or will not once it is closed;
// nothing else is left.
//
// With a handshake in signaling the association is there at once, and what is
// written to it goes out: the side that DTLS connects first need not wait a
// round trip for the other. confirm waits until the peer has the association
// too. It is nil if that is known.
//
// ctx has to end with the transport. An end of it closes nothing by itself
// while there is a handshake on the path: closing the filter does.
func (s associationStart) run(ctx context.Context) (
	assoc *sctp.Association, filter *sctpfilter.Filter, confirm func(ctx context.Context) error, err error,
) {
	if len(s.local) == 0 || len(s.remote) == 0 {
		assoc, filter, err = s.shakeHands(ctx)

		return assoc, filter, nil, err
	}

	return s.skipHandshake(ctx)
}

// shakeHands makes the association by a handshake on the path.
func (s associationStart) shakeHands(ctx context.Context) (*sctp.Association, *sctpfilter.Filter, error) {
	filter := sctpfilter.New(s.source, s.config)
	if err := s.attach(filter); err != nil {
		filter.Detach()

		return nil, filter, err
	}
	assoc, err := sctp.ClientContext(context.WithoutCancel(ctx), s.with(filter)...)

	return assoc, filter, err
}

func (s associationStart) with(filter *sctpfilter.Filter, more ...sctp.ClientOption) []sctp.ClientOption {
	options := append([]sctp.ClientOption(nil), s.options...)

	return append(append(options, sctp.WithNetConn(filter)), more...)
}

// skipHandshake makes the association from the two INIT chunks.
func (s associationStart) skipHandshake(ctx context.Context) (
	*sctp.Association, *sctpfilter.Filter, func(ctx context.Context) error, error,
) {
	source := newSignaledSource(s.source, s.local, s.remote)
	filter := sctpfilter.New(source, s.config)
	err := filter.Negotiated(s.local, s.remote)
	if err == nil {
		err = s.attach(filter)
	}
	if err != nil {
		filter.Detach()

		return nil, filter, nil, err
	}
	assoc, err := sctp.ClientContext(context.WithoutCancel(ctx), s.with(filter, sctp.WithSNAP(s.local, s.remote))...)
	if err != nil {
		return nil, filter, nil, err
	}

	return assoc, filter, func(ctx context.Context) error {
		return source.await(ctx, assoc.BufferedAmount() > 0, assoc.ActiveHeartbeat)
	}, nil
}

// signaledSource is the source of an association that was made from the INIT
// chunks in signaling. The peer's first packet tells whether it has done so
// too. If that is an INIT, the peer has not got our chunk, or makes nothing of
// it: it gets its handshake, and the association goes on with it. What was sent
// before is sent again then, since the peer has thrown it away.
type signaledSource struct {
	sctpfilter.Source

	local, remote       []byte
	localTag, remoteTag uint32
	outcome             chan error // of one: nil, or why there is no association
	confirmed           atomic.Bool
	belated             atomic.Pointer[sctpfilter.Belated] // nil if the peer makes no handshake

	mu   sync.Mutex
	sent [][]byte // the first packets with data, until the peer has the association
}

func newSignaledSource(source sctpfilter.Source, local, remote []byte) *signaledSource {
	return &signaledSource{
		Source: source, outcome: make(chan error, 1),
		local: local, remote: remote, localTag: initiateTag(local), remoteTag: initiateTag(remote),
	}
}

func initiateTag(chunk []byte) uint32 {
	if len(chunk) < 2*tlvHeaderLen {
		return 0
	}

	return binary.BigEndian.Uint32(chunk[tlvHeaderLen:])
}

// await asks for the peer's first packet until it has come. It returns nil if
// the peer has the association too. asked tells that data is on its way, which
// does for the first time: DTLS in the peer may have room for one packet that
// comes behind our Finished.
func (s *signaledSource) await(ctx context.Context, asked bool, heartbeat func()) error {
	timer := time.NewTimer(firstHeartbeat)
	defer timer.Stop()
	for wait := firstHeartbeat; ; asked = false {
		if !asked {
			heartbeat()
		}
		select {
		case err := <-s.outcome:
			return err
		case <-ctx.Done():
			return contextError(ctx)
		case <-timer.C:
			wait = min(2*wait, lastHeartbeat)
			timer.Reset(wait)
		}
	}
}

var errPeerAborted = errors.New("the peer has aborted the association")

// Read passes on what the peer has sent to our association.
func (s *signaledSource) Read(p []byte) (int, error) {
	for {
		n, err := s.Source.Read(p)
		belated := s.belated.Load()
		switch {
		case err != nil:
			if !isTimeout(err) {
				s.decide(err)
			}

			return n, err
		case belated == nil && s.confirmed.Load():
			return n, nil
		case n > len(p): // cut off
			continue
		case belated != nil && !belated.Restarted(p[:n]):
			n = s.translate(belated, p[:n])
		default:
			n = s.first(p[:n])
		}
		if n > 0 {
			return n, nil
		}
	}
}

// first looks at a packet of a peer that has not said yet how it begins. It
// returns the length of what the association gets, 0 for nothing.
func (s *signaledSource) first(packet []byte) int {
	switch s.kind(packet) {
	case fromPlainPeer:
		belated, ok, err := sctpfilter.NewBelated(s.local, s.remote, packet)
		switch {
		case err != nil:
			s.decide(err)
		case ok:
			s.belated.Store(belated)
			_, _ = s.Source.Write(belated.Answer()) // as if lost, if that fails
		}

		return 0
	case fromStranger:
		return 0
	case anAbort:
		s.decide(errPeerAborted)
	case aConfirmation:
		s.confirm()
	case undecided:
	}

	return len(packet)
}

// translate is first for a peer that has begun a handshake.
func (s *signaledSource) translate(belated *sctpfilter.Belated, packet []byte) int {
	n, reply := belated.Received(packet)
	if reply != nil {
		_, _ = s.Source.Write(reply)
	}
	switch {
	case s.confirmed.Load():
	case belated.Established():
		for _, early := range s.confirm() {
			_, _ = s.Source.Write(belated.Sent(early))
		}
	case n > 0 && packet[commonHeaderLen] == abortChunkType:
		s.decide(errPeerAborted)
	}

	return n
}

// confirm notes that the peer has the association, and returns what was sent
// before.
func (s *signaledSource) confirm() (sent [][]byte) {
	s.mu.Lock()
	s.confirmed.Store(true)
	sent, s.sent = s.sent, nil
	s.mu.Unlock()
	s.decide(nil)

	return sent
}

func (s *signaledSource) decide(outcome error) {
	select {
	case s.outcome <- outcome:
	default: // it counts once
	}
}

// What a packet says of the peer that sent it.
type packetKind int

const (
	undecided     packetKind = iota // the filter looks at it
	aConfirmation                   // the peer has the association
	anAbort                         // had it
	fromPlainPeer                   // begins a handshake
	fromStranger                    // knows of no association, as yet
)

// The parts of a packet that matter here.
// https://www.rfc-editor.org/rfc/rfc9260#section-3
const (
	commonHeaderLen    = 12
	dataChunkType      = 0
	iDataChunkType     = 64
	heartbeatChunkType = 4
	abortChunkType     = 6
	reflectedTag       = 1 // the T bit of an ABORT
)

func (s *signaledSource) kind(packet []byte) packetKind {
	if len(packet) < commonHeaderLen+tlvHeaderLen {
		return undecided
	}
	tag, chunk := binary.BigEndian.Uint32(packet[4:]), packet[commonHeaderLen:]
	switch {
	case tag == 0 && chunk[0] == initChunkType:
		return fromPlainPeer
	case tag == s.remoteTag && chunk[0] == abortChunkType && chunk[1]&reflectedTag != 0:
		// The answer to a packet of no association: an INIT may follow.
		// https://www.rfc-editor.org/rfc/rfc9260#section-8.4
		return fromStranger
	case tag != s.localTag || chunk[0] == initChunkType:
		return undecided
	case chunk[0] == abortChunkType:
		return anAbort
	}

	return aConfirmation
}

// Write sends a packet of the association. The module's HEARTBEAT carries no
// information, although the RFC demands some, and the module itself answers
// none of this kind: it is given four bytes. Not eight, which the module would
// take for the time of sending: a peer that starts later than we do answers
// late, and that is no round trip.
// https://www.rfc-editor.org/rfc/rfc9260#section-3.3.5
func (s *signaledSource) Write(p []byte) (int, error) {
	packet := p
	if len(p) == commonHeaderLen+tlvHeaderLen && p[commonHeaderLen] == heartbeatChunkType {
		packet = append(append([]byte(nil), p[:8]...), 0, 0, 0, 0,
			heartbeatChunkType, 0, 0, 12, // the chunk, and in it
			0, 1, 0, 8, 's', 'n', 'a', 'p') // the parameter Heartbeat Info
		binary.LittleEndian.PutUint32(packet[8:], packetChecksum(packet))
	}
	if !s.confirmed.Load() {
		s.keep(packet)
	}
	if belated := s.belated.Load(); belated != nil {
		packet = belated.Sent(packet)
	}
	if _, err := s.Source.Write(packet); err != nil {
		return 0, err
	}

	return len(p), nil
}

// keep keeps a packet with data. There are not more of them than the first
// window has, and those that are sent again.
func (s *signaledSource) keep(packet []byte) {
	if len(packet) <= commonHeaderLen || packet[commonHeaderLen]&^iDataChunkType != dataChunkType {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.confirmed.Load() && len(s.sent) < maxEarlyPackets {
		s.sent = append(s.sent, append([]byte(nil), packet...))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packetChecksum is computed as if the field in the header were 0.
// https://www.rfc-editor.org/rfc/rfc9260#appendix-A
func packetChecksum(packet []byte) uint32 {
	sum := crc32.Update(0, castagnoli, packet[:8])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))

	return crc32.Update(sum, castagnoli, packet[commonHeaderLen:])
}
