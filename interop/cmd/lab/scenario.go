package main

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/netns"
)

// scenario is a network, a peer in it, and what is done there.
type scenario struct {
	// name is what the table calls the peer.
	name string
	peer *definition
	fast bool
	// network makes the namespaces. We are in the one called "us".
	network func(*netns.Set) error
	// where is the namespace of the peer, argv starts it.
	where string
	argv  []string
	cases []cases.Case
	// directions are who offers.
	directions []string
}

const (
	weOffer   = "we offer"
	peerOffer = "peer offers"
)

// basics are the cases of every peer; tests have others.
var basics = cases.All

func scenarios() []scenario {
	all := make([]scenario, 0, len(peers))
	for i := range peers {
		all = append(all, scenario{
			name: peers[i].name, peer: &peers[i], fast: peers[i].fast, network: pair, where: "peer", argv: peers[i].argv,
			cases: basics(), directions: []string{weOffer, peerOffer},
		})
	}

	for i := range peers {
		if peers[i].internet {
			all = append(all, scenario{
				name: peers[i].name + "-internet", peer: &peers[i], network: internet, where: "peer",
				argv:  slices.Concat(peers[i].argv, peers[i].internetArgs),
				cases: append(cases.Internet(), cases.BadNetworks()...), directions: []string{weOffer, peerOffer},
			})
		}
	}

	return append(all, scenario{
		name: server.name, peer: &server, network: pair, where: "peer", argv: server.argv,
		cases: cases.Publishing(), directions: []string{weOffer},
	})
}

// pair is two machines on one cable. Each is the other's gateway, and routes
// nothing, so that what peers send elsewhere is lost without an error.
func pair(s *netns.Set) error {
	if err := errors.Join(s.Add("us"), s.Add("peer")); err != nil {
		return err
	}

	return errors.Join(
		s.Link("us", "eth0", "10.99.0.1/24", "peer", "eth0", "10.99.0.2/24"),
		s.Route("us", "10.99.0.2"),
		s.Route("peer", "10.99.0.1"),
	)
}

// task is a case in a direction.
type task struct {
	cases.Case
	direction string
}

// patient is the case that waits for timeouts of the peers.
const patient = "cancel-noticed"

// named tells whether one of some patterns, with commas between them, matches.
func named(patterns, name string) bool {
	return slices.ContainsFunc(strings.Split(patterns, ","), func(pattern string) bool {
		matches, _ := path.Match(pattern, name)

		return matches
	})
}

// tasks of a scenario that the command line chooses. What is fast leaves out what
// goes wrong in the peer, always or by chance, and what waits for its timeouts.
func (s *scenario) tasks(pattern, direction string, fast bool) []task {
	var all []task
	for _, d := range s.directions {
		for _, c := range s.cases {
			named := named(pattern, c.Name)
			headed, _ := path.Match(direction, d)
			if named && headed && (!fast || c.Name != patient && s.peer.certain(c.Name, d)) {
				all = append(all, task{c, d})
			}
		}
	}

	return all
}
