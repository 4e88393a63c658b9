package webrtc

import (
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"
)

// replacesReflexive tells whether a rule stands for what STUN servers say.
func (s *ICESettings) replacesReflexive() bool {
	return slices.ContainsFunc(s.rewriteRules(), func(r ice.AddressRewriteRule) bool {
		return r.AsCandidateType == ice.CandidateTypeServerReflexive && r.Mode == ice.AddressRewriteReplace
	})
}

// rewrite returns the addresses that a candidate with an address is told with.
// The agent rewrites those that it gathers, and we do ours. As there, a rule is
// found by the local address, of a relayed candidate the one that the server was
// asked from; one that names it comes first, then the one that is for the least.
func (s *ICESettings) rewrite(typ ice.CandidateType, addr, local netip.Addr, iface string) []netip.Addr {
	var found *ice.AddressRewriteRule
	best := -1
	for _, rule := range s.rewriteRules() {
		if rule.AsCandidateType != typ || !ruleFits(&rule, local, iface) {
			continue
		}
		score := 0
		for i, given := range []bool{rule.CIDR != "", rule.Iface != "", rule.Local != ""} {
			if given {
				score += 1 << i
			}
		}
		if score > best {
			found, best = &rule, score
		}
	}
	told := []netip.Addr{addr}
	if found == nil {
		return told
	}
	unspecified := ice.AddressRewriteMode(ICEAddressRewriteModeUnspecified)
	if found.Mode == ice.AddressRewriteReplace || typ == ice.CandidateTypeHost && found.Mode == unspecified {
		told = nil
	}
	for _, text := range found.External {
		if external, err := netip.ParseAddr(text); err == nil && external.Unmap().Is4() == addr.Is4() {
			told = append(told, external.Unmap())
		}
	}

	return told
}

func ruleFits(rule *ice.AddressRewriteRule, local netip.Addr, iface string) bool {
	if rule.Iface != "" && rule.Iface != iface {
		return false
	}
	if rule.Local != "" {
		if own, err := netip.ParseAddr(rule.Local); err != nil || own.Unmap() != local {
			return false
		}
	}
	if rule.CIDR != "" {
		if network, err := netip.ParsePrefix(rule.CIDR); err != nil || !network.Contains(local) {
			return false
		}
	}

	return len(rule.Networks) == 0 || slices.ContainsFunc(rule.Networks, func(n ice.NetworkType) bool {
		return n.IsIPv4() == local.Is4()
	})
}
