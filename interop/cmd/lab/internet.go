package main

import (
	"errors"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/netns"
)

// internet is two hosts, each behind a router of its own, and a network between
// the routers, where servers are. The cases say what the routers do.
func internet(s *netns.Set) error {
	for _, name := range []string{"us", cases.OurRouter, cases.Between, cases.PeerRouter, "peer"} {
		if err := s.Add(name); err != nil {
			return err
		}
	}
	if err := s.In(cases.Between, "ip", "link", "add", "br0", "type", "bridge"); err != nil {
		return err
	}
	err := errors.Join(
		s.Up(cases.Between, "br0", cases.ServerAddress+"/24"),
		s.Link("us", "eth0", cases.OurAddress+"/24", cases.OurRouter, "in", "10.1.0.1/24"),
		s.Link("peer", "eth0", cases.PeerAddress+"/24", cases.PeerRouter, "in", "10.2.0.1/24"),
		s.Link(cases.OurRouter, "out", cases.OurRouterAddress+"/24", cases.Between, "port0", ""),
		s.Link(cases.PeerRouter, "out", cases.PeerRouterAddress+"/24", cases.Between, "port1", ""),
		s.Route("us", "10.1.0.1"),
		s.Route("peer", "10.2.0.1"),
	)
	for _, port := range []string{"port0", "port1"} {
		err = errors.Join(err, s.In(cases.Between, "ip", "link", "set", port, "master", "br0"))
	}
	for _, router := range []string{cases.OurRouter, cases.PeerRouter} {
		err = errors.Join(err, s.In(router, "sysctl", "-qw", "net.ipv4.ip_forward=1"))
	}

	return err
}
