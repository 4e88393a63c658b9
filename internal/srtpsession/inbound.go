package srtpsession

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	rtpHeader  = 12 // bytes, the least
	rtcpHeader = 8  // with the SSRC of the sender
)

// A peer may send as soon as its handshake is over, which is up to a round trip, or
// some scheduling, before ours has given its keys. What comes in that time is kept
// until the next packet after it: the first key frame of a video, most often. As
// nothing tells yet whether it is authentic, it is little.
const (
	maxEarly      = 64
	maxEarlyBytes = 64 << 10
)

// keepEarlyLocked keeps a copy of a packet until there are keys, if there is room.
func (s *Session) keepEarlyLocked(packet []byte) bool {
	if len(s.in.early) >= maxEarly || s.in.earlyBytes+len(packet) > maxEarlyBytes {
		return false
	}
	s.in.early = append(s.in.early, slices.Clone(packet))
	s.in.earlyBytes += len(packet)

	return true
}

// openEarly takes what came before there were keys, and then lets the reader have
// them. Until then what comes is early, so that the packets stay in order and one
// goroutine at a time takes them.
func (s *Session) openEarly(remote *srtp.Context, leastRTP, leastRTCP int) {
	s.in.mu.Lock()
	s.in.leastRTP, s.in.leastRTCP = leastRTP, leastRTCP
	for len(s.in.early) > 0 {
		kept := s.in.early
		s.in.early = nil // and earlyBytes stays: a flood cannot keep us here
		s.in.mu.Unlock()
		for _, packet := range kept {
			s.handleRTP(packet, remote)
		}
		s.in.mu.Lock()
	}
	s.in.srtp = remote
	s.in.mu.Unlock()
}

// HandleRTP opens a packet, in place, and gives it to its stream.
func (s *Session) HandleRTP(packet []byte) { s.handleRTP(packet, nil) }

// handleRTP is HandleRTP with keys that the reader does not have yet.
func (s *Session) handleRTP(packet []byte, keys *srtp.Context) {
	if len(packet) < rtpHeader {
		s.counters.dropped[malformed].Add(1)

		return
	}
	ssrc := binary.BigEndian.Uint32(packet[8:])
	of := s.source(ssrc)

	s.in.mu.Lock()
	if keys == nil {
		keys = s.in.srtp
	}
	opened, why := s.openRTPLocked(keys, packet, ssrc, of.stream != nil)
	if why == early && s.keepEarlyLocked(packet) {
		s.in.mu.Unlock()

		return
	}
	if why != taken {
		s.in.mu.Unlock()
		s.counters.dropped[why].Add(1)

		return
	}
	header := &s.in.header // valid until the next packet: one goroutine at a time has keys
	s.in.mu.Unlock()

	if !wellFormed(opened, header) {
		s.counters.dropped[malformed].Add(1)

		return
	}
	if of.stream == nil {
		if s.config.Claim(header) {
			of = s.source(ssrc)
		}
		if of.stream == nil {
			s.counters.dropped[unclaimed].Add(1)

			return
		}
		s.in.mu.Lock()
		delete(s.in.rtp.nobodys, ssrc)
		s.in.mu.Unlock()
	}
	of.stream.take(opened, header, of.repair)
}

// openRTPLocked checks and decrypts a packet.
func (s *Session) openRTPLocked(keys *srtp.Context, packet []byte, ssrc uint32, signaled bool) ([]byte, verdict) {
	switch {
	case keys == nil:
		return nil, early
	case len(packet) < s.in.leastRTP:
		return nil, malformed
	}
	_, known := keys.ROC(ssrc)
	if !known && s.in.rtp.full(signaled, s.config.MaxUnsignaled) {
		return nil, tooMany
	}
	// What the module keeps of a packet: nothing, if it is not authentic.
	opened, err := keys.DecryptRTP(packet, packet, &s.in.header)
	if err != nil {
		return nil, s.rtpVerdict(err, packet)
	}
	if !known {
		s.in.rtp.add(ssrc, signaled)
	}

	return opened, taken
}

// wellFormed tells whether the padding of an authentic packet lies behind its
// header.
func wellFormed(packet []byte, header *rtp.Header) bool {
	if !header.Padding {
		return true
	}
	start := rtpHeader + 4*len(header.CSRC)
	if header.Extension {
		start += 4 + 4*int(binary.BigEndian.Uint16(packet[start+2:]))
	}
	padding := int(packet[len(packet)-1])

	return padding > 0 && start+padding <= len(packet)
}

// HandleRTCP opens an RTCP packet, in place, and hands a copy on.
func (s *Session) HandleRTCP(packet []byte) {
	if len(packet) < rtcpHeader {
		s.counters.dropped[malformed].Add(1)

		return
	}
	ssrc := binary.BigEndian.Uint32(packet[4:])
	signaled := s.source(ssrc).stream != nil

	s.in.mu.Lock()
	opened, why := s.openRTCPLocked(packet, ssrc, signaled)
	s.in.mu.Unlock()
	if why != taken {
		s.counters.dropped[why].Add(1)

		return
	}
	s.counters.reports.Add(1)
	s.config.HandleRTCP(slices.Clone(opened))
}

func (s *Session) openRTCPLocked(packet []byte, ssrc uint32, signaled bool) ([]byte, verdict) {
	switch {
	case s.in.srtp == nil:
		return nil, early
	case len(packet) < s.in.leastRTCP:
		return nil, malformed
	}
	_, known := s.in.srtp.Index(ssrc)
	if !known && s.in.rtcp.full(signaled, s.config.MaxUnsignaled) {
		return nil, tooMany
	}
	opened, err := s.in.srtp.DecryptRTCP(packet, packet, nil)
	if err != nil {
		return nil, verdictOf(err)
	}
	if !known {
		s.in.rtcp.add(ssrc, signaled)
	}

	return opened, taken
}

// rtpVerdict tells why the module refused a packet: its own error for a replayed one
// is not exported, so that is what is left.
func (s *Session) rtpVerdict(err error, packet []byte) verdict {
	if v := verdictOf(err); v != replayed {
		return v
	}
	n, broken := s.in.header.Unmarshal(packet)
	if broken != nil || len(packet) < n+s.in.leastRTP-rtpHeader {
		return malformed
	}

	return replayed
}

func verdictOf(err error) verdict {
	if errors.Is(err, srtp.ErrFailedToVerifyAuthTag) {
		return forged
	}

	return replayed
}
