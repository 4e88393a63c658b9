package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"

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
	if err := believed(s); err != nil {
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

// believed gives the servers a certificate, and both hosts the authority for it.
func believed(s *netns.Set) error {
	certificate, key, err := certificateOf(cases.ServerAddress)
	if err != nil {
		return err
	}

	return errors.Join(
		s.File(cases.Between, cases.ServerCertificate, append(key, certificate...)),
		s.File("us", cases.Authorities, certificate),
		s.File("peer", cases.Authorities, certificate),
	)
}

// certificateOf makes one for an address, which is its own authority.
func certificateOf(address string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
