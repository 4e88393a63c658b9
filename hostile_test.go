package webrtc

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/dcep"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

// hostilePeer is the peer of a victim. Its ICE and DTLS are as they should be;
// above them it has a true association, by which it opens channels that are
// good, and puts on the wire beside it what it likes.
type hostilePeer struct {
	*wire

	t         *testing.T
	victim    *stack
	stack     *stack
	network   *testnet.Network
	assoc     *sctp.Association
	kind      byte              // of DATA chunks, as negotiated
	seq       map[uint16]uint32 // next number of an ordered message on a stream
	announced chan *sctp.Stream // on which the victim has opened a channel
	nextGood  uint16
	flooded   func(tsn uint32) []byte // the chunk that the last flood had for it

	// bystander is a good channel that nobody attacks, with its other end.
	bystander *DataChannel
	beside    *sctp.Stream

	goroutines map[string]int // before the attack, by what has started them
	heap       uint64         // the same
	mostHeap   int64          // what an attack may cost; hostileMaxHeap if less
}

// hostileModes are the ways in which messages can come in chunks.
var hostileModes = []struct {
	name     string
	settings SettingEngine // of the victim
}{
	{"interleaved", SettingEngine{}},
	{"not interleaved", SettingEngine{SCTP: SCTPSettings{DisableInterleaving: true}}},
}

const (
	hostileMillisecond = time.Millisecond // one way
	hostileMaxHeap     = 8 << 20          // what a peer may cost, in bytes
	hostileWindow      = 12 << 20         // the same while the window of 6 MiB is full

	// Stream ids: a peer that is the DTLS client has the even ones.
	streamBystander = 0
	streamGood      = 40_000 // and those after it
)

// newHostilePeer connects a victim with its hostile peer, and opens the
// bystander.
func newHostilePeer(t *testing.T, settings SettingEngine) *hostilePeer {
	t.Helper()
	network := testnet.Pair(t, testnet.Delay(hostileMillisecond))
	p := &hostilePeer{
		t: t, network: network, kind: chunkIData, seq: map[uint16]uint32{},
		announced: make(chan *sctp.Stream, maxStreamID+1), nextGood: streamGood,
		victim: quickStack(t, ICERoleControlling, settings, network, 0),
		stack:  quickStack(t, ICERoleControlled, SettingEngine{}, network, 1),
	}
	if settings.SCTP.DisableInterleaving {
		p.kind = chunkData
	}
	connectBelow(t, p.victim, p.stack, 2)
	require.True(t, p.stack.dtls.isClient())
	source, err := p.stack.dtls.takeData("hostile")
	require.NoError(t, err)
	p.wire = newWire(source)

	started := result(func() error { return p.victim.startSCTP(limited(t, testTimeout), p.stack) })
	p.assoc, err = sctp.ClientContext(limited(t, testTimeout), sctp.WithNetConn(p.wire),
		sctp.WithLoggerFactory(quietLogs), sctp.WithMaxMessageSize(4<<20), sctp.WithMTU(defaultSCTPMTU))
	require.NoError(t, err)
	require.NoError(t, <-started)
	accepting := make(chan struct{})
	go p.accept(accepting)
	t.Cleanup(func() {
		_ = p.assoc.Close()
		<-accepting
	})

	p.bystander, p.beside = p.openGood(streamBystander)
	p.ping(p.bystander, p.beside)
	p.settle()
	p.goroutines = goroutinesInBubbles()

	return p
}

// accept takes the streams that the victim has written on first. What it
// writes on streams that were opened by hand is in messages.
func (p *hostilePeer) accept(done chan<- struct{}) {
	defer close(done)
	for {
		stream, err := p.assoc.AcceptStream()
		if err != nil {
			return
		}
		if stream.StreamIdentifier()%2 == 1 {
			p.announced <- stream
		}
	}
}

// settle lets everything happen that has been set in motion.
func (p *hostilePeer) settle() {
	time.Sleep(2 * time.Second) // longer than a retransmission
	synctest.Wait()
}

// openMessage is a DATA_CHANNEL_OPEN message.
func openMessage(label string) []byte {
	m, err := dcep.Open{Priority: DataChannelPriorityNormal, Label: label}.Marshal()
	if err != nil {
		panic(err)
	}

	return m
}

// write sends one chunk as it is.
func (p *hostilePeer) write(d data) {
	p.inject(func(tsn, _ uint32) ([][]byte, uint32) { return [][]byte{d.marshal(p.kind, tsn)}, 1 })
}

// message is the next ordered message of a stream.
func (p *hostilePeer) message(stream uint16, ppid uint32, body []byte) data {
	d := data{stream: stream, ppid: ppid, body: body, flags: flagsWhole | flagSackNow, seq: p.seq[stream]}
	p.seq[stream]++

	return d
}

// say sends a message that fits a packet.
func (p *hostilePeer) say(stream uint16, ppid uint32, body string) {
	p.write(p.message(stream, ppid, []byte(body)))
}

// raw sends chunks that take no TSN.
func (p *hostilePeer) raw(chunks ...[]byte) {
	p.inject(func(uint32, uint32) ([][]byte, uint32) { return chunks, 0 })
}

// open opens a channel by hand, without waiting.
func (p *hostilePeer) open(stream uint16, label string) {
	p.say(stream, ppidDCEP, string(openMessage(label)))
}

// openAndAccept opens a channel by hand that the victim accepts.
func (p *hostilePeer) openAndAccept(stream uint16) *DataChannel {
	p.t.Helper()
	p.open(stream, fmt.Sprint("opened by hand on ", stream))
	c, err := p.victim.sctp.AcceptDataChannel(limited(p.t, testTimeout))
	require.NoError(p.t, err)
	require.Equal(p.t, stream, *c.ID())

	return c
}

// requestReset asks once for a reset of our streams, and returns the number of
// the request.
func (p *hostilePeer) requestReset(ids ...uint16) (number uint32) {
	p.inject(func(tsn, request uint32) ([][]byte, uint32) {
		number = request

		return [][]byte{resetRequest(request, tsn-1, ids)}, 0
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++

	return number
}

// reset resets our streams as a good peer does: it repeats each request until
// it is answered.
func (p *hostilePeer) reset(ids ...uint16) {
	p.t.Helper()
	require.NoError(p.t, p.tryReset(ids...))
	for _, id := range ids {
		delete(p.seq, id)
	}
}

// tryReset is reset beside the test.
func (p *hostilePeer) tryReset(ids ...uint16) error {
	for some := range slices.Chunk(ids, 500) {
		p.mu.Lock()
		number, last := p.first+p.requests, p.next-1
		p.requests++
		p.mu.Unlock()
		if !p.eventually(func() bool {
			p.raw(resetRequest(number, last, some))
			time.Sleep(100 * hostileMillisecond)
			p.mu.Lock()
			defer p.mu.Unlock()
			answer, ok := p.answers[number]

			return ok && answer != 6 // in progress
		}) {
			return fmt.Errorf("the victim does not answer a reset of %d streams", len(some))
		}
	}

	return nil
}

// eventually tries until f returns true, and gives up after a minute.
func (p *hostilePeer) eventually(f func() bool) bool {
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		if f() {
			return true
		}
		time.Sleep(10 * hostileMillisecond)
	}

	return false
}

// wasReset returns the streams that the victim has reset, in order.
func (p *hostilePeer) wasReset() []uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Sorted(maps.Keys(p.resets))
}

// resetCount is how often the victim has reset a stream.
func (p *hostilePeer) resetCount(id uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.resets[id]
}

// unacknowledged is how many TSNs the victim has not acknowledged.
func (p *hostilePeer) unacknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return int(int32(p.next - 1 - p.acked))
}

// written returns what the victim has sent on a stream, in order.
func (p *hostilePeer) written(stream uint16) []received {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.DeleteFunc(slices.Clone(p.messages), func(m received) bool { return m.stream != stream })
}

// acknowledged tells whether the victim has acknowledged a channel of ours.
func (p *hostilePeer) acknowledged(stream uint16) bool {
	return slices.ContainsFunc(p.written(stream), func(m received) bool {
		return m.ppid == ppidDCEP && dcep.IsAck(m.body)
	})
}

// openGood opens a channel over the true association.
func (p *hostilePeer) openGood(id uint16) (*DataChannel, *sctp.Stream) {
	p.t.Helper()
	label := fmt.Sprint("good ", id)
	stream, err := p.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	require.NoError(p.t, err)
	_, err = stream.WriteSCTP(openMessage(label), sctp.PayloadTypeWebRTCDCEP)
	require.NoError(p.t, err)
	for ctx := limited(p.t, time.Minute); ; {
		c, err := p.victim.sctp.AcceptDataChannel(ctx)
		require.NoError(p.t, err, "no good channel can be opened")
		if c.Label() == label {
			message, _ := p.read(stream)
			require.Equal(p.t, dcep.Ack(), message)

			return c, stream
		}
		// One that an attack has opened; the program has no use for it.
		require.NoError(p.t, c.Close())
	}
}

// read takes the next message from a stream of the true association.
func (p *hostilePeer) read(stream *sctp.Stream) ([]byte, sctp.PayloadProtocolIdentifier) {
	p.t.Helper()
	buf := make([]byte, 1<<16)
	require.NoError(p.t, stream.SetReadDeadline(time.Now().Add(time.Minute)))
	n, ppid, err := stream.ReadSCTP(buf)
	require.NoError(p.t, err, "stream %d", stream.StreamIdentifier())
	require.NoError(p.t, stream.SetReadDeadline(time.Time{}))

	return buf[:n], ppid
}

// ping brings a message each way.
func (p *hostilePeer) ping(c *DataChannel, stream *sctp.Stream) {
	p.t.Helper()
	_, err := stream.WriteSCTP([]byte("ping"), sctp.PayloadTypeWebRTCString)
	require.NoError(p.t, err)
	m, err := c.ReceiveContext(limited(p.t, time.Minute))
	require.NoError(p.t, err, "channel %q", c.Label())
	require.Equal(p.t, "ping", string(m.Data))
	require.NoError(p.t, c.SendTextContext(limited(p.t, time.Minute), "pong"))
	message, _ := p.read(stream)
	require.Equal(p.t, "pong", string(message))
}

// works checks that nothing but what was attacked is hurt: the transport is
// connected, the bystander carries messages, and so do good channels that are
// opened now, by either side.
func (p *hostilePeer) works() {
	p.t.Helper()
	require.Equal(p.t, SCTPTransportStateConnected, p.victim.sctp.State())
	require.NoError(p.t, p.victim.sctp.Context().Err())
	p.mu.Lock()
	aborted := p.aborted
	p.mu.Unlock()
	require.False(p.t, aborted, "the victim has sent an ABORT")
	p.ping(p.bystander, p.beside)

	c, stream := p.openGood(p.nextGood)
	p.nextGood += 2
	p.ping(c, stream)

	var ours *DataChannel
	params := DataChannelParameters{Label: fmt.Sprint("the victim's ", p.nextGood), Ordered: true}
	opened := result(func() (err error) {
		ours, err = p.victim.sctp.OpenDataChannel(limited(p.t, time.Minute), &params)

		return err
	})
	buf := make([]byte, 1000)
	for stream = range p.announced {
		// Others have been left by an attack.
		n, _, err := stream.ReadSCTP(buf)
		if open, bad := dcep.ParseOpen(buf[:n]); err == nil && bad == nil && open.Label == params.Label {
			break
		}
	}
	_, err := stream.WriteSCTP(dcep.Ack(), sctp.PayloadTypeWebRTCDCEP)
	require.NoError(p.t, err)
	require.NoError(p.t, <-opened)
	p.ping(ours, stream)
	for _, one := range []*DataChannel{c, ours} {
		require.NoError(p.t, one.Close())
		p.reset(*one.ID())
		awaitChannel(p.t, one, DataChannelStateClosed)
	}
}

// nothingLeft checks that no goroutine serves what the attack has left.
func (p *hostilePeer) nothingLeft() {
	p.t.Helper()
	p.settle()
	for starter, n := range goroutinesInBubbles() {
		require.LessOrEqual(p.t, n, p.goroutines[starter], "goroutines are left: %s", starter)
	}
}

// goroutinesInBubbles counts them by what has started them.
func goroutinesInBubbles() map[string]int {
	buf := make([]byte, 8<<20)
	all := map[string]int{}
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		header, _, _ := strings.Cut(stack, "\n")
		if _, created, ok := strings.Cut(stack, "created by "); ok && strings.Contains(header, "synctest bubble") {
			starter, _, _ := strings.Cut(created, " in goroutine")
			all[starter]++
		}
	}

	return all
}

// hostile runs an attack in both modes of messages, in virtual time.
func hostile(t *testing.T, attack func(t *testing.T, p *hostilePeer)) {
	t.Helper()
	for _, mode := range hostileModes {
		t.Run(mode.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { attack(t, newHostilePeer(t, mode.settings)) })
		})
	}
}

// TestHostilePeer_IsAGoodPeerOtherwise: without an attack it is one, also with
// messages of its own in between.
func TestHostilePeer_IsAGoodPeerOtherwise(t *testing.T) {
	hostile(t, func(t *testing.T, p *hostilePeer) {
		c := p.openAndAccept(10)
		for i := range 3 {
			p.say(10, ppidString, fmt.Sprint("by hand ", i))
			p.ping(p.bystander, p.beside)
			m, err := c.ReceiveContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("by hand ", i), string(m.Data))
		}
		p.settle()
		require.True(t, p.acknowledged(10))
		require.Empty(t, p.wasReset())
		sent := fragments(10, p.seq[10], ppidBinary, 300_000, true)
		require.Equal(t, len(sent), p.floodAll(sent))
		m, err := c.ReceiveContext(limited(t, testTimeout))
		require.NoError(t, err)
		require.Len(t, m.Data, 300_000)
		p.reset(10)
		awaitChannel(t, c, DataChannelStateClosed)
		p.settle()
		require.Equal(t, []uint16{10}, p.wasReset())
		p.works()
		p.nothingLeft()
	})
}
