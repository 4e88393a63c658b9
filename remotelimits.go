package webrtc

import (
	"fmt"
	"net"
	"sync"

	"github.com/pion/ice/v4"
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
	signaled map[string]struct{} // by type and address
	reserved map[string]int      // by address: signaled, and not asked for by the agent yet
}

func newRemoteLimits(settings *ICESettings) *remoteLimits {
	return &remoteLimits{
		settings: settings,
		signaled: make(map[string]struct{}),
		reserved: make(map[string]int),
	}
}

func (r *remoteLimits) setLocal(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local = n
}

// counts is how many candidates there are.
func (r *remoteLimits) counts() (local, remote int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.local, r.total
}

// leftLocked is how many more candidates there may be.
func (r *remoteLimits) leftLocked() int {
	limit := r.settings.maxRemoteCandidates()
	if r.local > 0 {
		limit = min(limit, max(1, r.settings.maxCandidatePairs()/r.local))
	}

	return limit - r.total
}

// reserve takes places for signaled candidates, for all or for none. It
// returns those that were not signaled before. A name counts like an address,
// and from now on, whether it has one or not: finding out is work that a peer can
// cause too.
func (r *remoteLimits) reserve(candidates []ice.Candidate) (fresh []ice.Candidate, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	places := make(map[string]string, len(candidates)) // candidate to address, of a name none yet
	for _, c := range candidates {
		key := fmt.Sprint(c.Type(), c.NetworkType(), c.TCPType(), c.Address(), c.Port())
		_, again := places[key]
		if _, known := r.signaled[key]; known || again {
			continue
		}
		places[key] = ""
		if ip := net.ParseIP(c.Address()); ip != nil {
			places[key] = string(ip.To16())
		}
		fresh = append(fresh, c)
	}
	if len(fresh) > max(0, r.leftLocked()) {
		return nil, false
	}
	r.total += len(fresh)
	for key, address := range places {
		r.signaled[key] = struct{}{}
		if address != "" {
			r.reserved[address]++
		}
	}

	return fresh, true
}

// resolved tells the address of a name that has a place, before the agent gets
// it.
func (r *remoteLimits) resolved(ip net.IP) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved[string(ip.To16())]++
}

// refusal is why an address may not be a peer's, nil if it may.
func (r *remoteLimits) refusal(ip net.IP) error {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast():
		return fmt.Errorf("%w: %s is no address of a peer", ErrInvalidArgument, ip)
	case ip.IsLoopback() && !r.settings.loopbackRemotesAllowed():
		return fmt.Errorf("%w: loopback address %s, which ICESettings.AllowLoopbackRemote would allow",
			ErrInvalidArgument, ip)
	case ip.IsLinkLocalUnicast() && !r.settings.AllowLinkLocalRemote:
		return fmt.Errorf("%w: link-local address %s, which ICESettings.AllowLinkLocalRemote would allow",
			ErrInvalidArgument, ip)
	case r.settings.RemoteIPFilter != nil && !r.settings.RemoteIPFilter(ip):
		return fmt.Errorf("%w: ICESettings.RemoteIPFilter does not let %s in", ErrInvalidArgument, ip)
	}

	return nil
}

// accept is the agent's question for every remote candidate that it is about
// to keep. It runs in the agent's loop. The agent asks for an address without
// the port, so a candidate that a check has revealed before it was signaled
// counts twice.
func (r *remoteLimits) accept(ip net.IP) bool {
	if r.refusal(ip) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	address := string(ip.To16())
	switch n := r.reserved[address]; {
	case n == 1:
		delete(r.reserved, address)

		return true
	case n > 1:
		r.reserved[address] = n - 1

		return true
	}
	if r.leftLocked() <= 0 {
		return false
	}
	r.total++

	return true
}
