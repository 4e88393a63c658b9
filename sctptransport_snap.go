package webrtc

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
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
	// attach makes a filter the one that the end of the transport closes. It
	// is called again if the start begins anew. Its error ends the start.
	attach func(filter *sctpfilter.Filter) error
}

// run returns the established association and its filter, which attach was
// given last. After an error the filter reads no more, or will not once it is
// closed; nothing else is left.
//
// With a handshake in signaling it waits for the peer's first packet. If that
// is an INIT, the peer has not got our chunk, or makes nothing of it: then a
// handshake on the path follows, and the peer does not notice what was before.
//
// ctx has to end with the transport. An end of it closes nothing by itself
// while there is a handshake on the path: closing the filter does.
func (s associationStart) run(ctx context.Context) (*sctp.Association, *sctpfilter.Filter, error) {
	if len(s.local) == 0 || len(s.remote) == 0 {
		return s.shakeHands(ctx)
	}
	assoc, filter, err := s.skipHandshake(ctx)
	var plain *plainPeer
	if !errors.As(err, &plain) {
		return assoc, filter, err
	}
	filter.Detach()
	s.source = &replayedSource{Source: s.source, packet: plain.init}

	return s.shakeHands(ctx)
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

// skipHandshake makes the association from the two INIT chunks. The error is a
// *plainPeer if the peer does not do so too.
func (s associationStart) skipHandshake(ctx context.Context) (*sctp.Association, *sctpfilter.Filter, error) {
	source := newUnconfirmedSource(s.source, s.local, s.remote)
	filter := sctpfilter.New(source, s.config)
	err := filter.Negotiated(s.local, s.remote)
	if err == nil {
		err = s.attach(filter)
	}
	if err != nil {
		filter.Detach()

		return nil, filter, err
	}
	assoc, err := sctp.ClientContext(context.WithoutCancel(ctx), s.with(filter, sctp.WithSNAP(s.local, s.remote))...)
	if err != nil {
		return nil, filter, err
	}
	if err := source.await(ctx, assoc.ActiveHeartbeat); err != nil {
		_ = assoc.Close() // sends nothing

		return nil, filter, err
	}

	return assoc, filter, nil
}

// plainPeer is the error of an association without a handshake whose peer has
// begun one.
type plainPeer struct{ init []byte }

func (*plainPeer) Error() string { return "the peer began a handshake" }

// unconfirmedSource is a source whose first packet of use tells whether the
// peer skips the handshake.
type unconfirmedSource struct {
	sctpfilter.Source

	local, remote uint32 // the tags of the INIT chunks
	confirmed     atomic.Bool
	plain         *plainPeer // Read's own
	outcome       chan error // of one: nil, or why there is no association
}

func newUnconfirmedSource(source sctpfilter.Source, local, remote []byte) *unconfirmedSource {
	return &unconfirmedSource{
		Source: source, outcome: make(chan error, 1),
		local: initiateTag(local), remote: initiateTag(remote),
	}
}

func initiateTag(chunk []byte) uint32 {
	if len(chunk) < 2*tlvHeaderLen {
		return 0
	}

	return binary.BigEndian.Uint32(chunk[tlvHeaderLen:])
}

// await asks for the peer's first packet until it has come. It returns nil if
// the peer has the association too.
func (s *unconfirmedSource) await(ctx context.Context, heartbeat func()) error {
	timer := time.NewTimer(firstHeartbeat)
	defer timer.Stop()
	for wait := firstHeartbeat; ; {
		heartbeat()
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

// Read passes on what the peer has sent to our association. An INIT ends it.
func (s *unconfirmedSource) Read(p []byte) (int, error) {
	for {
		if s.plain != nil {
			return 0, s.plain
		}
		n, err := s.Source.Read(p)
		if s.confirmed.Load() {
			return n, err
		}
		if err != nil {
			if !isTimeout(err) {
				s.decide(err)
			}

			return n, err
		}
		switch packet := p[:min(n, len(p))]; s.kind(packet) {
		case fromPlainPeer:
			s.plain = &plainPeer{init: append([]byte(nil), packet...)}
			s.decide(s.plain)

			continue
		case fromStranger:
			continue
		case anAbort:
			s.decide(errPeerAborted)
		case aConfirmation:
			s.confirmed.Store(true)
			s.decide(nil)
		case undecided:
		}

		return n, nil
	}
}

func (s *unconfirmedSource) decide(outcome error) {
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
	heartbeatChunkType = 4
	abortChunkType     = 6
	reflectedTag       = 1 // the T bit of an ABORT
)

func (s *unconfirmedSource) kind(packet []byte) packetKind {
	if len(packet) < commonHeaderLen+tlvHeaderLen {
		return undecided
	}
	tag, chunk := binary.BigEndian.Uint32(packet[4:]), packet[commonHeaderLen:]
	switch {
	case tag == 0 && chunk[0] == initChunkType:
		if binary.LittleEndian.Uint32(packet[8:]) != packetChecksum(packet) {
			return undecided
		}

		return fromPlainPeer
	case tag == s.remote && chunk[0] == abortChunkType && chunk[1]&reflectedTag != 0:
		// The answer to a packet of no association: an INIT may follow.
		// https://www.rfc-editor.org/rfc/rfc9260#section-8.4
		return fromStranger
	case tag != s.local || chunk[0] == initChunkType:
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
func (s *unconfirmedSource) Write(p []byte) (int, error) {
	if len(p) != commonHeaderLen+tlvHeaderLen || p[commonHeaderLen] != heartbeatChunkType {
		return s.Source.Write(p)
	}
	packet := append(append([]byte(nil), p[:8]...), 0, 0, 0, 0,
		heartbeatChunkType, 0, 0, 12, // the chunk, and in it
		0, 1, 0, 8, 's', 'n', 'a', 'p') // the parameter Heartbeat Info
	binary.LittleEndian.PutUint32(packet[8:], packetChecksum(packet))
	if _, err := s.Source.Write(packet); err != nil {
		return 0, err
	}

	return len(p), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packetChecksum is computed as if the field in the header were 0.
// https://www.rfc-editor.org/rfc/rfc9260#appendix-A
func packetChecksum(packet []byte) uint32 {
	sum := crc32.Update(0, castagnoli, packet[:8])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))

	return crc32.Update(sum, castagnoli, packet[commonHeaderLen:])
}

// replayedSource is a source with one packet before all others.
type replayedSource struct {
	sctpfilter.Source

	packet []byte // read by the one reader alone
}

func (s *replayedSource) Read(p []byte) (int, error) {
	if s.packet == nil {
		return s.Source.Read(p)
	}
	n := copy(p, s.packet)
	s.packet = nil

	return n, nil
}
