package srtpsession

// maxStates is how many SSRCs may ever have state, signaled or not; of RTP and of RTCP
// each. The module keeps the state of each, some 170 bytes, for as long as its keys
// are used: it is what knows a repeated packet.
const maxStates = 8192

// states counts the SSRCs that have state.
type states struct {
	all     int
	nobodys map[uint32]struct{} // those that no stream has, or had, asked for
}

// full tells whether a new SSRC gets no state.
func (s *states) full(signaled bool, unsignaled int) bool {
	return s.all >= maxStates || !signaled && len(s.nobodys) >= unsignaled
}

func (s *states) add(ssrc uint32, signaled bool) {
	s.all++
	if !signaled {
		s.nobodys[ssrc] = struct{}{}
	}
}
