package webrtc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/stats"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/mux"
	"github.com/ctxrtc/webrtc/internal/srtpsession"
)

// rtpTransport is the media of a DTLS transport: SRTP with the keys of its
// handshake, the interceptors, and who gets what arrives. It exists once a sender
// or a receiver was started, so that a connection without media pays nothing for
// it. https://www.rfc-editor.org/rfc/rfc5764
//
// RTP is opened by whoever reads the path and waits in the queue of its stream;
// interceptors see it when it is read. RTCP goes through the interceptors when it
// comes, on a goroutine that lives while some of it waits: what they do with it
// depends on nobody who reads.
type rtpTransport struct {
	dtls    *DTLSTransport
	group   *lifecycle.Group
	session *srtpsession.Session
	log     logging.LeveledLogger

	built   sync.Once
	failed  error                   // of building the interceptors
	chain   interceptor.Interceptor // since built
	counts  stats.Getter            // what it has counted, nil if nobody counts
	read    interceptor.RTCPReader  // through the chain, by the queue of reports alone
	write   interceptor.RTCPWriter  // through the chain
	reports lifecycle.Queue         // RTCP that has arrived
	waiting atomic.Int32            // in it
	packet  []byte                  // the one that read reads
	repeats repeatLimit             // of the queue of reports
	started sync.Once               // with the keys
	counted rtpCounters

	mu      sync.Mutex
	sinks   map[SSRC][]*reportQueue
	senders map[SSRC]*lifecycle.Group
	users   []user   // in the order in which they were started; replaced, never changed
	onStart []func() // called when packets can be sent
	isReady bool
	failure error // the peer has no SRTP
}

// user is a sender or a receiver that was started.
type user struct {
	group *lifecycle.Group
	// end ends it with a cause.
	end func(cause error)
	// claim, of a receiver, tells whether a packet of an SSRC that nobody knows is
	// its own, and attaches the SSRC to a stream of its then. It is called on the
	// goroutine that reads the path, and must not block.
	claim func(header *rtp.Header) bool
}

type rtpCounters struct {
	unsent       atomic.Uint64 // RTP and RTCP before there were keys
	reportsLost  atomic.Uint64 // RTCP that came while too much of it waited
	refused      atomic.Uint64 // RTP that an interceptor refuses
	reportsWrong atomic.Uint64 // authentic RTCP that cannot be read, or that an interceptor refuses
	repeatsCut   atomic.Uint64 // numbers in NACKs beyond the limit
}

// maxWaitingReports is how many RTCP packets wait for the interceptors. They come
// a few times a second.
const maxWaitingReports = 256

// media returns the transport's media, and makes it at the first call. It fails
// after the end, and if an interceptor could not be made.
func (t *DTLSTransport) media(op string) (*rtpTransport, error) {
	t.life.mu.Lock()
	if t.rtp == nil {
		t.rtp = newRTPTransport(t)
	}
	r, state := t.rtp, t.life.state
	result := handshakeResult{&t.state, t.profile, t.client}
	t.life.mu.Unlock()
	r.built.Do(r.build)
	if r.failed != nil {
		return nil, opError(op, r.failed)
	}
	switch state {
	case DTLSTransportStateConnecting:
		r.takePath()
	case DTLSTransportStateConnected:
		r.start(result)
	default:
	}
	if cause := r.group.Cause(); cause != nil {
		return nil, refuse(op, ErrInvalidState, "the DTLS transport has ended: %w", cause)
	}

	return r, nil
}

// mediaIfUsed is the transport's media, nil if no sender or receiver was started.
func (t *DTLSTransport) mediaIfUsed() *rtpTransport {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.rtp
}

func newRTPTransport(t *DTLSTransport) *rtpTransport {
	r := &rtpTransport{
		dtls: t, group: lifecycle.NewGroup(), log: t.settings.loggerFactory().NewLogger("rtp"),
		sinks: map[SSRC][]*reportQueue{}, senders: map[SSRC]*lifecycle.Group{},
	}
	r.session = srtpsession.New(srtpsession.Config{
		MaxUnsignaled:  t.settings.SRTP.MaxUnsignaledStreams,
		MaxQueued:      t.settings.SRTP.MaxQueuedPackets,
		MaxQueuedBytes: t.settings.SRTP.MaxQueuedBytes,
		Claim:          r.claim,
		HandleRTCP:     r.arrived,
	})

	return r
}

// build makes the interceptors. They are the program's code, so no lock is held.
func (r *rtpTransport) build() {
	if r.chain, r.counts, r.failed = buildInterceptors(r.dtls.interceptors, r.dtls.mediaID); r.failed != nil {
		return
	}
	r.read = r.chain.BindRTCPReader(interceptor.RTCPReaderFunc(
		func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return copy(b, r.packet), a, nil
		}))
	r.write = r.chain.BindRTCPWriter(interceptor.RTCPWriterFunc(
		func(packets []rtcp.Packet, _ interceptor.Attributes) (int, error) { return r.writeReports(packets) }))
	r.group.Follow(r.dtls.life.group, lifecycle.Follower{
		End:      r.end,
		Shutdown: func(context.Context) error { return nil },
	})
}

// end closes everything. An interceptor's Close may wait for what it runs.
func (r *rtpTransport) end(cause error) {
	r.session.Close(cause)
	r.mu.Lock()
	r.onStart = nil
	r.mu.Unlock()
	if !r.group.End(cause) {
		return
	}
	r.group.Go(func() {
		if err := r.chain.Close(); err != nil {
			r.log.Debugf("closing the interceptors: %v", err)
		}
	})
}

// handshakeResult is what the keys are made of.
type handshakeResult struct {
	state   *dtls.State
	profile dtls.SRTPProtectionProfile
	client  bool
}

// start gives the session its keys, once. The transport is connected, or about to
// be. Without media it does nothing.
func (r *rtpTransport) start(result handshakeResult) {
	if r != nil {
		r.started.Do(func() { r.startOnce(result) })
	}
}

func (r *rtpTransport) startOnce(result handshakeResult) {
	// What arrives goes through the interceptors. They are being made on another
	// goroutine, perhaps.
	r.built.Do(r.build)
	if r.failed != nil {
		return
	}
	if err := r.startSession(result); err != nil {
		r.log.Warnf("no media: %v", err)
		r.session.Close(err)
		r.mu.Lock()
		r.failure = err
		r.mu.Unlock()
		for _, u := range r.everybody() {
			u.end(err)
		}

		return
	}
	r.takePath()
	r.mu.Lock()
	r.isReady = true
	tell := r.onStart
	r.onStart = nil
	r.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// takePath takes what comes over the path. It begins with the handshake: the session
// keeps what a peer sends that has its keys before us. Without media it does nothing.
func (r *rtpTransport) takePath() {
	if r == nil {
		return
	}
	if path := r.dtls.ice.path(); path != nil {
		path.HandleMedia(func(class mux.Class, packet []byte) {
			if class == mux.ClassSRTCP {
				r.session.HandleRTCP(packet)
			} else {
				r.session.HandleRTP(packet)
			}
		})
	}
}

func (r *rtpTransport) startSession(result handshakeResult) error {
	config, err := result.srtpConfig()
	if err != nil {
		return err
	}

	return r.session.Start(r.dtls.ice.path(), srtpsession.Keys{
		SessionKeys: config.Keys, Profile: config.Profile, Remote: r.dtls.settings.srtpOptions(),
	})
}

// srtpConfig has the keys and the profile.
// https://www.rfc-editor.org/rfc/rfc5764#section-4.2
func (h handshakeResult) srtpConfig() (*srtp.Config, error) {
	if h.profile == 0 {
		return nil, ErrNoSRTPProtectionProfile
	}
	config := &srtp.Config{Profile: srtp.ProtectionProfile(h.profile)}

	return config, config.ExtractSessionKeysFromDTLS(h.state, h.client)
}

// whenReady calls f, which must not block, once packets can be sent.
func (r *rtpTransport) whenReady(f func()) {
	r.mu.Lock()
	ready := r.isReady
	if !ready {
		r.onStart = append(r.onStart, f)
	}
	r.mu.Unlock()
	if ready {
		f()
	}
}

// writeRTP sends a packet behind all interceptors. What is sent before there are
// keys, or cannot be sent just now, is lost, as packets are.
func (r *rtpTransport) writeRTP(header *rtp.Header, payload []byte) (int, error) {
	return r.sent(r.session.WriteRTP(header, payload))
}

func (r *rtpTransport) writeReports(packets []rtcp.Packet) (int, error) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrInvalidArgument, err)
	}

	return r.sent(r.session.WriteRTCP(raw))
}

func (r *rtpTransport) sent(n int, err error) (int, error) {
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, srtpsession.ErrNotStarted):
		r.counted.unsent.Add(1)

		return 0, nil
	}
	if cause := r.group.Cause(); cause != nil {
		return 0, cause
	}
	if n > 0 { // the path has not taken it
		r.log.Tracef("a packet is lost: %v", err)

		return n, nil
	}

	return 0, unsendable(err)
}

// unsendable gives what the session refuses the error that programs look for.
func unsendable(err error) error {
	switch {
	case errors.Is(err, srtpsession.ErrTooLarge):
		return fmt.Errorf("%w: %w: more than %d bytes", ErrMessageTooLarge, err, srtpsession.MaxPacket)
	case errors.Is(err, srtpsession.ErrPadding), errors.Is(err, srtpsession.ErrTooManySources):
		return fmt.Errorf("%w: %w", ErrInvalidArgument, err)
	default:
		return err
	}
}

// claim asks the receivers for a stream, those first that were started first.
func (r *rtpTransport) claim(header *rtp.Header) bool {
	for _, u := range r.everybody() {
		if u.claim != nil && u.claim(header) {
			return true
		}
	}

	return false
}

// everybody is not to be changed.
func (r *rtpTransport) everybody() []user {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.users
}

// join adds a sender or a receiver, which leaves when it ends.
func (r *rtpTransport) join(u user) {
	r.mu.Lock()
	r.users = append(slices.Clip(r.users), u)
	failure := r.failure
	r.mu.Unlock()
	switch {
	case u.group.Cause() != nil: // it has ended meanwhile
		r.leave(u.group)
	case failure != nil:
		u.end(failure)
	}
}

func (r *rtpTransport) leave(group *lifecycle.Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users = slices.DeleteFunc(slices.Clone(r.users), func(u user) bool { return u.group == group })
}

// reserve keeps SSRCs for a sender: with one that two senders have, their packets
// would be encrypted alike.
func (r *rtpTransport) reserve(op string, sender *lifecycle.Group, ssrcs []SSRC) error {
	if err := r.reserveAll(op, sender, ssrcs); err != nil {
		return err
	}
	counts, _ := r.counts.(*streamCounts)
	for _, ssrc := range ssrcs {
		r.session.Guard(uint32(ssrc))
		if counts != nil { // the sender's streams are the same when their track changes
			counts.keep(uint32(ssrc), sender)
		}
	}

	return nil
}

func (r *rtpTransport) reserveAll(op string, sender *lifecycle.Group, ssrcs []SSRC) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ssrc := range ssrcs {
		if other := r.senders[ssrc]; other != nil && other != sender {
			return refuse(op, ErrInvalidState, "another sender has the SSRC %d", uint32(ssrc))
		}
	}
	for _, ssrc := range ssrcs {
		r.senders[ssrc] = sender
	}

	return nil
}

func (r *rtpTransport) release(sender *lifecycle.Group) {
	var released []SSRC
	r.mu.Lock()
	maps.DeleteFunc(r.senders, func(ssrc SSRC, s *lifecycle.Group) bool {
		if s == sender {
			released = append(released, ssrc)
		}

		return s == sender
	})
	r.mu.Unlock()
	counts, _ := r.counts.(*streamCounts)
	for _, ssrc := range released {
		r.session.Unguard(uint32(ssrc))
		if counts != nil {
			counts.unkeep(uint32(ssrc), sender)
		}
	}
}

// arrived queues RTCP for the interceptors.
func (r *rtpTransport) arrived(packet []byte) {
	if r.waiting.Add(1) > maxWaitingReports {
		r.waiting.Add(-1)
		r.counted.reportsLost.Add(1)

		return
	}
	r.reports.Post(r.group, func() {
		r.waiting.Add(-1)
		r.handleReports(packet)
	})
}

// handleReports leads a compound packet through the interceptors to whom it
// concerns.
func (r *rtpTransport) handleReports(packet []byte) {
	packet, cut := r.repeats.limit(packet)
	r.counted.repeatsCut.Add(cut)
	if len(packet) == 0 {
		return
	}
	r.packet = packet
	room := make([]byte, len(packet))
	n, attributes, err := r.read.Read(room, interceptor.Attributes{})
	r.packet = nil
	if err != nil {
		r.counted.reportsWrong.Add(1)
		r.log.Debugf("an interceptor refuses RTCP: %v", err)

		return
	}
	if attributes == nil {
		attributes = interceptor.Attributes{}
	}
	packets, err := attributes.GetRTCPPackets(room[:n])
	if err != nil {
		r.counted.reportsWrong.Add(1)

		return
	}
	var told []*reportQueue
	r.mu.Lock()
	for _, p := range packets {
		for _, ssrc := range p.DestinationSSRC() {
			for _, sink := range r.sinks[SSRC(ssrc)] {
				if !slices.Contains(told, sink) {
					told = append(told, sink)
				}
			}
		}
	}
	r.mu.Unlock()
	for _, sink := range told {
		// What a reader adds to the attributes is its own.
		sink.put(compoundReport{room[:n], maps.Clone(attributes)})
	}
}

// listen has the reports that concern a stream put into a queue, unless that has
// ended.
func (r *rtpTransport) listen(ssrc SSRC, sink *reportQueue) {
	r.mu.Lock()
	if !slices.Contains(r.sinks[ssrc], sink) {
		r.sinks[ssrc] = append(slices.Clone(r.sinks[ssrc]), sink)
	}
	r.mu.Unlock()
	if sink.hasEnded() {
		r.unlisten(sink)
	}
}

func (r *rtpTransport) unlisten(sink *reportQueue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ssrc, sinks := range r.sinks {
		rest := slices.DeleteFunc(slices.Clone(sinks), func(s *reportQueue) bool { return s == sink })
		if len(rest) == 0 {
			delete(r.sinks, ssrc)
		} else {
			r.sinks[ssrc] = rest
		}
	}
}

// WriteRTCP sends RTCP packets as one compound packet, through the interceptors:
// a request for a key frame, for example. It returns their length in bytes, 0 if the
// transport is not connected yet: they are lost then.
//
// Errors: [ErrInvalidArgument] without packets, or with one that cannot be
// written; [ErrMessageTooLarge]; the cause of the end;
// [ErrNoSRTPProtectionProfile].
func (t *DTLSTransport) WriteRTCP(packets []rtcp.Packet) (int, error) {
	const op = "dtls write rtcp"
	if err := t.alive().usable(op); err != nil {
		return 0, err
	}
	if len(packets) == 0 || slices.ContainsFunc(packets, func(p rtcp.Packet) bool { return p == nil || isNilPointer(p) }) {
		return 0, refuse(op, ErrInvalidArgument, "no packets, or a nil one")
	}
	if cause := t.life.group.Cause(); cause != nil {
		return 0, opError(op, cause)
	}
	r, err := t.media(op)
	if err != nil {
		return 0, err
	}
	n, err := r.write.Write(packets, interceptor.Attributes{})

	return n, opError(op, err)
}
