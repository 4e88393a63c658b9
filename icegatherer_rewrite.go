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

// rewriteRelayed returns the addresses that a relayed candidate is told with.
// The agent rewrites those that it gathers, and relayed ones we do. As there, a
// rule is found by the local address that the server was asked from; one that
// names it comes first, then the one that is for the least.
func (s *ICESettings) rewriteRelayed(relayed, local netip.Addr, iface string) []netip.Addr {
	var found *ice.AddressRewriteRule
	best := -1
	for _, rule := range s.rewriteRules() {
		if rule.AsCandidateType != ice.CandidateTypeRelay || !relayRuleFits(&rule, local, iface) {
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
	told := []netip.Addr{relayed}
	if found == nil {
		return told
	}
	if found.Mode == ice.AddressRewriteReplace {
		told = nil
	}
	for _, text := range found.External {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Unmap().Is4() == relayed.Is4() {
			told = append(told, addr.Unmap())
		}
	}

	return told
}

func relayRuleFits(rule *ice.AddressRewriteRule, local netip.Addr, iface string) bool {
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
