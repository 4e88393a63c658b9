package webrtc

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/servergather"
)

// Which questions a gatherer has to STUN and TURN servers.

// question is one to a server. The lock of the gatherer's life guards it, but
// for what does not change.
type question struct {
	url     serverURL
	typ     ICECandidateType
	network string
	local   localAddress

	round  *round
	result ICEServerResult
	from   net.Addr
	server netip.AddrPort // that gave a reflexive address
	begin  time.Time
	over   bool
	relay  *servergather.Relay
	// quiet questions are asked over IPv6 beside IPv4: that a name has no such
	// address is no error.
	quiet bool
	// cancel ends the question by itself, once it is asked.
	cancel context.CancelCauseFunc
}

// questioning is what an agent's candidates come from. The lock of the
// gatherer's life guards it.
type questioning struct {
	group       *lifecycle.Group // of the questions
	first, last *round           // of gathering: the same until the network changes
	questions   []*question
	pending     []serverURL       // whose questions are not known yet
	urls        map[string]string // of the servers that gave candidates, by their IDs; of host candidates of ours empty
	pool        *pool             // which counts in the first round; nil if what is found may be told
}

// round is one time of gathering: the first, and one for each change of the network.
type round struct {
	ctx  context.Context // of its questions
	end  context.CancelCauseFunc
	left int // questions, and all host candidates together
}

func newQuestioning() questioning {
	return questioning{group: lifecycle.NewGroup(), urls: make(map[string]string)}
}

// begin begins a round, with the host candidates.
func (q *questioning) begin() *round {
	r := &round{left: 1}
	r.ctx, r.end = context.WithCancelCause(q.group.Context())
	if q.first == nil {
		q.first = r
	}
	q.last = r

	return r
}

// add adds questions to a round.
func (q *questioning) add(r *round, questions []*question) {
	q.questions = append(q.questions, questions...)
	q.count(r, questions)
}

// count has a round wait for questions.
func (q *questioning) count(r *round, questions []*question) {
	for _, one := range questions {
		one.round = r
	}
	r.left += len(questions)
}

// questionsFrom are the questions to servers from local addresses, in the order of
// the URLs.
func (g *ICEGatherer) questionsFrom(urls []serverURL, locals []localAddress) []*question {
	families := g.udpFamilies()
	reflexive := g.policy != ICETransportPolicyRelay && !g.settings.ICE.replacesReflexive()
	var all []*question
	for _, url := range urls {
		isTURN := url.Scheme == stun.SchemeTypeTURN || url.Scheme == stun.SchemeTypeTURNS
		plainUDP := servergather.Protocol(url.URI) == "udp"
		if reflexive && (plainUDP || !isTURN) {
			all = append(all, questionsFor(url, ICECandidateTypeSrflx, networksFor(url, "udp", families), locals)...)
		}
		if isTURN && len(families) > 0 {
			transport := "udp"
			if servergather.IsOverTCP(url.URI) {
				transport = "tcp"
			}
			all = append(all, questionsFor(url, ICECandidateTypeRelay, networksFor(url, transport, families), locals)...)
		}
	}
	begin := time.Now()
	for _, q := range all {
		q.begin = begin
		q.result = ICEServerResult{URL: q.url.text, Typ: q.typ, Network: q.network, Step: ICEGatherStepWait}
	}

	return all
}

// udpFamilies are those of the UDP candidates that may be told, as the ends of
// network names.
func (g *ICEGatherer) udpFamilies() []string {
	types := g.settings.ICE.NetworkTypes
	if len(types) == 0 {
		return []string{"4", "6"}
	}
	var families []string
	for family, t := range map[string]NetworkType{"4": NetworkTypeUDP4, "6": NetworkTypeUDP6} {
		if slices.Contains(types, t) {
			families = append(families, family)
		}
	}
	slices.Sort(families)

	return families
}

// networksFor are the networks over which a server is asked: one for each
// family, but over TCP, whose dialer tries all, a single one.
func networksFor(url serverURL, transport string, families []string) []string {
	if addr, err := netip.ParseAddr(url.Host); err == nil {
		family := "6"
		if addr.Unmap().Is4() {
			family = "4"
		}
		if transport == "udp" && !slices.Contains(families, family) {
			return nil
		}

		return []string{transport + family}
	}
	if transport == "tcp" && len(families) != 1 {
		return []string{transport}
	}
	networks := make([]string, len(families))
	for i, family := range families {
		networks[i] = transport + family
	}

	return networks
}

// questionsFor are those of one kind to a server, from each local address.
func questionsFor(
	url serverURL, typ ICECandidateType, networks []string, locals []localAddress,
) (all []*question) {
	for i, network := range networks {
		none := true
		for _, local := range locals {
			q := &question{url: url, typ: typ, network: network, local: local, quiet: i > 0}
			if local.addr.IsValid() {
				family := "6"
				if local.addr.Is4() {
					family = "4"
				}
				switch network {
				case "tcp":
					q.network += family
				case "tcp" + family, "udp" + family:
				default:
					continue
				}
			}
			none = false
			all = append(all, q)
		}
		if none && i == 0 {
			all = append(all, &question{url: url, typ: typ, network: network, local: localAddress{iface: noInterface}})
		}
	}

	return all
}

// noInterface marks a question that no local address can ask.
const noInterface = "none"
