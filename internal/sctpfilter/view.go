package sctpfilter

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
)

// view is what the filter has learnt of the association from the packets that
// passed. Tag 0 means unknown: no endpoint may use it.
type view struct {
	ownTag  atomic.Uint32 // what the peer's packets have to carry
	peerTag atomic.Uint32
	ports   atomic.Uint32 // source and destination port of what we send
	steps   atomic.Uint32
	acks    atomic.Int32 // SHUTDOWN ACKs that we have sent, and nothing came of
}

// maxShutdownAcks is how many SHUTDOWN ACKs may stay without an answer. They
// are sent at twice the distance each time, so that this takes 31 times the
// retransmission timeout: half a minute on most paths.
const maxShutdownAcks = 5

// Steps of an association's life that have been seen.
const (
	cookieEchoSent = 1 << iota
	established
	shutdownSent
	shutdownAckSent
	peerShutdown     // the peer began
	shutdownAcked    // the peer answered ours
	shutdownFinished // SHUTDOWN COMPLETE went either way, or is not waited for any more
	shutdownGivenUp  // the latter

	ending = shutdownSent | shutdownAckSent | peerShutdown | shutdownFinished
)

func (v *view) has(steps uint32) bool { return v.steps.Load()&steps != 0 }

func (v *view) mark(step uint32) { v.steps.Or(step) }

// Negotiated tells the tags of an association whose INIT chunks went through
// signaling (draft-hancke-tsvwg-snap): those that the two sides have sent as
// sctp-init, without a common header. It must be called before the first Read.
func (f *Filter) Negotiated(local, remote []byte) error {
	chunks := [2]chunkView{}
	for i, token := range [...][]byte{local, remote} {
		chunk, _, ok := nextChunk(token)
		if !ok || chunk.kind != chunkInit || chunk.initiateTag() == 0 {
			return errToken
		}
		chunks[i] = chunk
	}
	f.in.mu.Lock()
	// What the association would refuse it refuses itself.
	own, _ := parseInit(chunks[0])
	peer, _ := parseInit(chunks[1])
	f.in.setOwn(own)
	f.in.setPeer(peer)
	f.in.agreed.outOfBand = true
	f.in.mu.Unlock()
	f.outTSN.start(own.tsn)
	f.view.ownTag.Store(chunks[0].initiateTag())
	f.view.peerTag.Store(chunks[1].initiateTag())
	f.view.mark(established)

	return nil
}

// Graceful tells whether the association ends by a shutdown rather than an
// abort: the peer began one, or has answered ours.
func (f *Filter) Graceful() bool {
	return f.view.has(peerShutdown | shutdownAcked | shutdownFinished)
}

// admit looks at a received packet. n is the length of what the association
// gets of it, at the front of p, 0 for nothing; a valid ABORT is returned
// instead.
func (f *Filter) admit(p []byte) (n int, abort *Abort) {
	c, ok := walk(p)
	if !ok {
		f.drop(&f.counts.malformed, "not an SCTP packet, or not one that can be parsed")

		return 0, nil
	}
	if !f.view.fits(&c) {
		f.drop(&f.counts.wrongTag, "verification tag of another association")

		return 0, nil
	}
	if c.kinds&watched != 0 && !f.control(p, &c) {
		return 0, nil
	}
	f.counts.packetsIn.Add(1)
	f.counts.bytesIn.Add(uint64(len(p)))
	if !c.has(chunkAbort) {
		if len(f.waiting) > 0 {
			f.wait(p) // in its turn

			return 0, nil
		}

		return f.process(p, &c), nil
	}

	abort = parseAbort(c.abort.value)
	f.mu.Lock()
	if f.abort == nil {
		f.abort = abort
	}
	abort = f.abort
	f.abortDone = true
	f.mu.Unlock()

	return 0, abort
}

// control checks a packet that moves the view, and moves it.
func (f *Filter) control(p []byte, c *contents) bool {
	// These two the association takes with a checksum only.
	summed := c.first.kind == chunkInit || c.first.kind == chunkCookieEcho
	if !intact(p) || summed && binary.LittleEndian.Uint32(p[8:]) == 0 {
		return f.drop(&f.counts.malformed, "wrong checksum")
	}
	if !f.view.plausible(c) {
		return f.drop(&f.counts.unusable, "INIT ACK that the handshake would stall on")
	}
	if c.kinds&aloneKinds != 0 && !f.view.has(established) && !f.in.receivedInit(c.first) {
		return f.drop(&f.counts.unusable, "INIT or INIT ACK that the association refuses")
	}
	if c.has(chunkCookieEcho) && f.in.ownCookie(c.first.value) {
		f.view.mark(established) // the answer goes out later
	}
	f.view.received(c)

	return true
}

// fits tells whether the verification tag is that of this association.
// pion/sctp does not look at it at all.
// https://www.rfc-editor.org/rfc/rfc9260#section-8.5
func (v *view) fits(c *contents) bool {
	own, peer := v.ownTag.Load(), v.peerTag.Load()
	switch {
	case c.has(chunkInit):
		return c.tag == 0
	case own == 0:
		return true // nothing sent yet, so there is nothing to compare with
	case c.reflected:
		return peer != 0 && c.tag == peer
	default:
		return c.tag == own
	}
}

// plausible refuses an INIT ACK that pion/sctp would take half of: without a
// cookie it stops retransmitting its INIT and waits for ever, with other ports
// it takes over the tag first.
func (v *view) plausible(c *contents) bool {
	if !c.has(chunkInitAck) || v.has(established) {
		return true
	}

	return c.first.kind == chunkInitAck && c.first.hasCookie() && c.ports == swapPorts(v.ports.Load())
}

// received takes notice of the peer's control chunks. Those that make no
// sense at this step the association ignores, and so does the view.
func (v *view) received(c *contents) {
	if tag := c.first.initiateTag(); tag != 0 && !v.has(established) && c.kinds&(1<<chunkInit|1<<chunkInitAck) != 0 {
		v.peerTag.Store(tag)
		v.ports.Store(swapPorts(c.ports))
	}
	if c.has(chunkCookieAck) && v.has(cookieEchoSent) {
		v.mark(established)
	}
	if c.has(chunkShutdown) && v.has(established) {
		v.mark(peerShutdown)
		v.acks.Store(0) // it is still there, and an answer of ours was lost
	}
	if c.has(chunkShutdownAck) && v.has(shutdownSent|shutdownAckSent) {
		v.mark(shutdownAcked)
	}
	if c.has(chunkShutdownComplete) && v.has(shutdownAckSent) {
		v.mark(shutdownFinished)
	}
}

// sent takes notice of a packet of our association, and returns what to write:
// p itself but for an ABORT with a tag of 0. The association puts one control
// chunk into a packet, so of others than data the first is all there is to look at.
func (f *Filter) sent(p []byte) []byte {
	if len(p) < commonHeaderLen {
		return p
	}
	v := &f.view
	ports, tag := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	if ports != v.ports.Load() {
		v.ports.Store(ports)
	}
	if tag != 0 && tag != v.peerTag.Load() {
		v.peerTag.Store(tag)
	}
	chunk, _, ok := nextChunk(p[commonHeaderLen:])
	if !ok {
		return p
	}
	switch chunk.kind {
	case chunkData, chunkIData:
		f.sentData(p)
	case chunkSack:
		f.counts.sacksOut.Add(1)

		return f.in.sack(p, chunk)
	case chunkReconfig:
		f.in.sentReconfig(chunk)
	case chunkInit, chunkInitAck:
		v.ownTag.Store(chunk.initiateTag())
		f.in.sentInit(chunk)
		if len(chunk.value) >= initFixedLen {
			f.outTSN.start(binary.BigEndian.Uint32(chunk.value[12:]))
		}
	case chunkCookieEcho:
		v.mark(cookieEchoSent)
	case chunkCookieAck:
		v.mark(established)
	case chunkShutdown:
		v.mark(shutdownSent)
	case chunkShutdownAck:
		v.mark(shutdownAckSent)
		if v.acks.Add(1) > maxShutdownAcks {
			f.finish()
		}
	case chunkShutdownComplete:
		v.mark(shutdownFinished)
	case chunkAbort:
		return f.sentAbort(p, tag, chunk)
	}

	return p
}

// finish ends an association that has received everything, has nothing more to
// send, and waits for a SHUTDOWN COMPLETE that was lost. Whoever has sent it
// knows nothing of the association any more, and the application data of a
// DTLS connection may have no reader there who would answer out of the blue.
// Of itself the association would repeat its SHUTDOWN ACK for ever.
// https://www.rfc-editor.org/rfc/rfc9260#section-9.2
func (f *Filter) finish() {
	f.view.mark(shutdownFinished | shutdownGivenUp)
	f.rouse()
}

func (f *Filter) sentAbort(p []byte, tag uint32, chunk chunkView) []byte {
	abort := parseAbort(chunk.value)
	abort.Local = true
	f.mu.Lock()
	f.abortDone = true
	if !abort.has(causeUserInitiatedAbort) && f.localAbort == nil {
		f.localAbort = abort
	}
	f.mu.Unlock()
	if tag != 0 {
		return p
	}
	// Before the peer's tag is known the association sends 0, which the peer
	// has to drop; our own tag, reflected, it may know from our INIT.
	if tag, flags := f.view.abortTag(); tag != 0 {
		return packAbort(f.view.ports.Load(), tag, flags, chunk.value)
	}

	return p
}

// abortTag is the verification tag of an ABORT that we send, 0 if none is known.
// https://www.rfc-editor.org/rfc/rfc9260#section-8.5.1
func (v *view) abortTag() (tag uint32, flags byte) {
	if tag = v.peerTag.Load(); tag != 0 {
		return tag, 0
	}

	return v.ownTag.Load(), flagT
}

var errNothingToAbort = errors.New("no ABORT written: neither side has sent an INIT")

// WriteAbort tells the peer that the association has ended, with a
// User-Initiated Abort whose reason is cut after 512 bytes. It works after
// Close too. One ABORT is written at most; there is none after a graceful end
// or after the peer's, and then the error is nil. It does not block unless
// the source's Write does.
func (f *Filter) WriteAbort(reason string) error {
	if f.view.has(shutdownFinished) {
		return nil
	}
	tag, flags := f.view.abortTag()
	if tag == 0 {
		return errNothingToAbort
	}
	f.mu.Lock()
	done := f.abortDone
	f.abortDone = true
	f.mu.Unlock()
	if done {
		return nil
	}
	_, err := f.src.Write(packAbort(f.view.ports.Load(), tag, flags, userAbort(reason)))

	return err
}
