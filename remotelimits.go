package webrtc

import (
	"net"
	"sync"
)

// remoteLimits bounds what a peer can make the agent of one transport keep and
// check: how many remote candidates, and of which addresses. Signaled and
// peer-reflexive candidates count alike, since a peer that knows the password
// can send checks from as many ports as it likes.
type remoteLimits struct {
	settings *ICESettings

	mu       sync.Mutex
	local    int
	total    int
	reserved map[string]int // signaled addresses that the agent has not asked for yet
}

func newRemoteLimits(settings *ICESettings) *remoteLimits {
	return &remoteLimits{settings: settings, reserved: make(map[string]int)}
}

func (r *remoteLimits) setLocal(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local = n
}

func (r *remoteLimits) fullLocked() bool {
	limit := r.settings.maxRemoteCandidates()
	if r.local > 0 {
		limit = min(limit, max(1, r.settings.maxCandidatePairs()/r.local))
	}

	return r.total >= limit
}

// reserve takes a place for a signaled candidate. ip is nil for a name that
// has to be resolved first; the agent asks for its address then.
func (r *remoteLimits) reserve(ip net.IP) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fullLocked() {
		return false
	}
	if ip != nil {
		r.total++
		r.reserved[string(ip.To16())]++
	}

	return true
}

// allowed tells whether an address may be a peer's at all.
func (r *remoteLimits) allowed(ip net.IP) bool {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast():
		return false
	case ip.IsLoopback() && !r.settings.loopbackRemotesAllowed():
		return false
	case ip.IsLinkLocalUnicast() && !r.settings.AllowLinkLocalRemote:
		return false
	}

	return r.settings.RemoteIPFilter == nil || r.settings.RemoteIPFilter(ip)
}

// accept is the agent's question for every remote candidate that it is about
// to keep. It runs in the agent's loop.
func (r *remoteLimits) accept(ip net.IP) bool {
	if !r.allowed(ip) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := string(ip.To16())
	if n := r.reserved[key]; n > 0 {
		if n == 1 {
			delete(r.reserved, key)
		} else {
			r.reserved[key] = n - 1
		}

		return true
	}
	if r.fullLocked() {
		return false
	}
	r.total++

	return true
}
