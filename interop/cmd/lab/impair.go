package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/florianl/go-nfqueue/v2"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

const (
	ipHeader       = 20 // without options, which nobody here uses
	udpHeader      = 8
	udpChecksumAt  = ipHeader + 6
	reorderedAfter = 10 * time.Millisecond
)

// impairer is what packets that a router forwards have to pass.
type impairer struct {
	cases.Impairment
	queue *nfqueue.Nfqueue
	raw   int // a socket for whole packets
	line  chan held
}

// held is a packet that waits for its time.
type held struct {
	due    time.Time
	packet uint32
	bytes  []byte // changed, or nil
}

// impair is the helper that does so. It ends with its stdin, as peers do.
func impair(text string) int {
	if err := serveImpairment(text); err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}

	return 0
}

func serveImpairment(text string) error {
	m := &impairer{line: make(chan held, 1<<14)}
	if err := json.Unmarshal([]byte(text), &m.Impairment); err != nil {
		return err
	}
	var err error
	if m.raw, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_RAW); err != nil {
		return err
	}
	if m.queue, err = nfqueue.Open(&nfqueue.Config{
		NfQueue: cases.ImpairmentQueue, MaxPacketLen: 0xffff, MaxQueueLen: 1 << 14,
		Copymode: nfqueue.NfQnlCopyPacket, WriteTimeout: time.Second,
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failed := func(e error) int {
		fmt.Fprintln(os.Stderr, e)

		return 0 // go on
	}
	if err := m.queue.RegisterWithErrorFunc(ctx, m.take, failed); err != nil {
		return err
	}
	go m.release()
	ready(peer.Event{Event: "ready", Version: "impairment"})
	_, err = io.Copy(io.Discard, os.Stdin)

	return err
}

func chance(p float64) bool { return rand.Float64() < p }

// take decides what becomes of a packet.
func (m *impairer) take(a nfqueue.Attribute) int {
	if chance(m.Loss) || a.Payload == nil {
		return m.verdict(held{packet: *a.PacketID}, nfqueue.NfDrop)
	}
	h := held{due: time.Now().Add(time.Duration(m.DelayMS) * time.Millisecond), packet: *a.PacketID}
	if chance(m.Duplicate) {
		m.repeat(*a.Payload)
	}
	if n := len(*a.Payload) - ipHeader - udpHeader; n > 0 && chance(m.Corrupt) && !unprotected((*a.Payload)[ipHeader+udpHeader:]) {
		// Without a checksum of UDP it comes through to the program.
		h.bytes = append([]byte(nil), *a.Payload...)
		h.bytes[udpChecksumAt], h.bytes[udpChecksumAt+1] = 0, 0
		h.bytes[ipHeader+udpHeader+rand.IntN(n)] ^= byte(1 + rand.IntN(255))
	}
	if chance(m.Reorder) {
		time.AfterFunc(time.Until(h.due)+reorderedAfter, func() { m.verdict(h, nfqueue.NfAccept) })

		return 0
	}
	m.line <- h

	return 0
}

// unprotected tells whether a packet is of those with which a handshake of DTLS
// begins. Nothing protects them one by one: a peer that gets a wrong one has to
// end the handshake, and that would be nobody's fault.
func unprotected(packet []byte) bool {
	const header, epochAt = 13, 3 // https://www.rfc-editor.org/rfc/rfc6347#section-4.1

	return len(packet) >= header && packet[0] >= 20 && packet[0] <= 25 && packet[epochAt] == 0 && packet[epochAt+1] == 0
}

// release lets packets go in their order.
func (m *impairer) release() {
	for h := range m.line {
		time.Sleep(time.Until(h.due))
		m.verdict(h, nfqueue.NfAccept)
	}
}

func (m *impairer) verdict(h held, verdict int) int {
	var err error
	if h.bytes != nil {
		err = m.queue.SetVerdictWithOption(h.packet, verdict, nfqueue.WithAlteredPacket(h.bytes))
	} else {
		err = m.queue.SetVerdict(h.packet, verdict)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}

	return 0
}

// repeat sends a packet once more, past the queue.
func (m *impairer) repeat(packet []byte) {
	to := &syscall.SockaddrInet4{Addr: [4]byte(packet[16:20])}
	if err := syscall.Sendto(m.raw, packet, 0, to); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
