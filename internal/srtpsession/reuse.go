package srtpsession

import "hash/maphash"

// A packet's number is part of what encrypts it: two packets of one SSRC with the
// same number and another content give the key away, with AEAD that of the tags too.
// So a number that was used is used again for the same packet alone, as an answer to
// a NACK is where the peer has no stream of retransmissions.
// https://www.rfc-editor.org/rfc/rfc7714#section-8.3

// window is how many numbers behind the newest of an SSRC may be sent. It is more
// than what is kept to be sent again.
const window = 1024

// used are the numbers that packets of one SSRC had, and what those were.
type used struct {
	newest  uint16
	hashes  []uint32 // of the packet with each number, 0 if it was not used; nil before the first
	started bool
}

var seed = maphash.MakeSeed()

// admit tells whether a packet may be sent with its number.
func (u *used) admit(number uint16, packet []byte) bool {
	u.prepare()
	hash := uint32(maphash.Bytes(seed, packet)) | 1 // neither 0 nor spent
	ahead := int16(number - u.newest)
	switch {
	case !u.started:
		u.started, u.newest = true, number
	case ahead > 0:
		// Those that were skipped are of no packet, whatever was there before.
		for n := max(1, int(ahead)-window); n < int(ahead); n++ {
			u.hashes[(u.newest+uint16(n))%window] = 0
		}
		u.newest = number
	case int(ahead) <= -window:
		return false
	default:
		if before := u.hashes[number%window]; before != 0 {
			return before == hash
		}
	}
	u.hashes[number%window] = hash

	return true
}

// prepare makes room, with the first packet: many an SSRC is never sent with. If there
// were packets before, all numbers up to the newest were used.
func (u *used) prepare() {
	if u.hashes != nil {
		return
	}
	u.hashes = make([]uint32, window)
	if !u.started {
		return
	}
	for i := range u.hashes {
		u.hashes[i] = spent
	}
}

// spent is the hash of no packet: it stands where the packet is not known any more.
const spent = 2

// Guard has the session refuse to send two packets with one number of an SSRC. It
// returns the newest number that packets of it had before, if there were any.
func (s *Session) Guard(ssrc uint32) (newest uint16, known bool) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	u := s.out.used[ssrc]
	if u == nil {
		u = new(used)
		u.newest, u.started = s.out.left[ssrc]
		s.out.used[ssrc] = u
	}

	return u.newest, u.started
}

// Unguard is for an SSRC that nobody sends with just now. How far its numbers went is
// kept: whoever has it next does so with the same keys.
func (s *Session) Unguard(ssrc uint32) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if u := s.out.used[ssrc]; u != nil && u.started {
		s.out.left[ssrc] = u.newest
	}
	delete(s.out.used, ssrc)
}
