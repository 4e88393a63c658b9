package webrtc

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"golang.org/x/net/proxy"
)

// ICESettings are the settings of ICEGatherer and ICETransport.
type ICESettings struct {
	// NetworkTypes are the networks that candidates are gathered on. If
	// empty, UDP over IPv4 and over IPv6.
	NetworkTypes []NetworkType

	// InterfaceFilter and IPFilter tell which interfaces, by name, and which
	// local addresses candidates are gathered on. If nil, all. They are called
	// by several goroutines at once, and must not block or call back.
	InterfaceFilter func(name string) (keep bool)
	IPFilter        func(ip net.IP) (keep bool)

	// IncludeLoopback gathers candidates on loopback addresses, and allows
	// remote ones.
	IncludeLoopback bool

	// RemoteIPFilter tells which addresses of the peer are taken, of those
	// that the three settings below allow. If nil, all. It must not block or
	// call back.
	RemoteIPFilter func(ip net.IP) (keep bool)

	// AllowLoopbackRemote takes remote candidates with a loopback address,
	// AllowLinkLocalRemote such with a link-local one. Otherwise they are
	// refused: with them signaling could make us send to services that are
	// meant for this machine or its link alone. Unspecified and multicast
	// addresses are always refused.
	AllowLoopbackRemote  bool
	AllowLinkLocalRemote bool

	// EnableActiveTCP makes us connect to remote TCP candidates, if
	// NetworkTypes has TCP. Otherwise we only accept connections.
	EnableActiveTCP bool

	// MaxRemoteCandidates is how many remote candidates are taken, those
	// counted that checks revealed. If zero, 64. MaxCandidatePairs allows
	// fewer when their number times that of the local ones exceeds it. If
	// zero, 100.
	MaxRemoteCandidates int
	MaxCandidatePairs   int

	// ContinualGathering goes on gathering after the first time, for devices that
	// roam. A new local address is another round of it: the state is gathering, the
	// candidates on the address are told, nil after the last. Those of an address
	// that is gone are told to OnLocalCandidateRemoved; the sockets stay open until a
	// restart, and serve again if the address returns. Servers are asked anew then.
	//
	// The controlling side changes over to a pair that works, by renomination, which
	// this turns on: at once when its own address is gone, and within 10 s when it
	// was the peer's, if it has this setting or Renomination. Its own move needs no
	// signaling. That of the controlled side needs its new candidates told to the
	// peer. The peer has to know renomination, as this library, pion and browsers do.
	//
	// It is for gaps that are shorter than DisconnectedTimeout and FailedTimeout
	// together: after them ICE has failed, and a restart alone helps. So it does
	// after 16 new addresses, and when the peer has as many candidates of ours as it
	// takes. It has UDP candidates alone, and excludes UDPMux, TCPMux, Lite, and the
	// hiding of addresses by mDNS.
	ContinualGathering bool

	// NetworkMonitorInterval is how often ContinualGathering looks at the machine's
	// addresses, at least 10 ms. If zero, 2 s.
	NetworkMonitorInterval time.Duration

	// PortMin and PortMax are the UDP ports of host candidates, both
	// included. If both are zero, the machine chooses.
	PortMin, PortMax uint16

	// ReadBufferSize and WriteBufferSize are the sizes in bytes asked of the
	// system for the buffers of each UDP socket; it may give less, as Linux
	// does above net.core.rmem_max and wmem_max. If zero, 1 MiB to read and
	// the system's default to write.
	ReadBufferSize  int
	WriteBufferSize int

	// MulticastDNSMode tells what .local names are used for. If zero, the
	// addresses of remote candidates that have such names are asked for on the
	// networks of the interfaces that candidates are gathered on, by sockets
	// that all gatherers of an API share. They are opened at the first name and
	// closed when the last gatherer that had one ends. A name has 10 s; one that
	// nobody answers to, or whose address is refused, is not used, and keeps its
	// place among MaxRemoteCandidates. ice.MulticastDNSModeQueryOnly is the same.
	//
	// ice.MulticastDNSModeQueryAndGather also hides local addresses behind a
	// name, which each gatherer answers to with sockets of its own: then no
	// candidate is told that shows an address, also if mDNS cannot be had.
	// ice.MulticastDNSModeDisabled ignores remote names.
	MulticastDNSMode ice.MulticastDNSMode

	// MulticastDNSHostName is the name to hide local addresses behind: one
	// label and ".local". If empty, a random one. Two agents must not share
	// one.
	MulticastDNSHostName string

	// UsernameFragment and Password are the local credentials, of at least 4
	// and 22 characters. If empty, random ones for each gatherer.
	UsernameFragment string
	Password         string

	// Lite makes this a lite agent, for servers with a public address: host
	// candidates only, and no checks of its own.
	// https://datatracker.ietf.org/doc/html/rfc8445#section-2.5
	Lite bool

	// DisconnectedTimeout is how long nothing may arrive before the transport
	// is disconnected. If zero, 5 s, and 10 s for a lite agent. If negative,
	// it never is.
	DisconnectedTimeout time.Duration

	// FailedTimeout is how long after that it fails. If zero, 25 s. If
	// negative, it never does.
	FailedTimeout time.Duration

	// KeepaliveInterval is the time from one check of the selected pair to
	// the next, which keeps the peer's consent, and at most 15 s. If zero,
	// 2 s. If negative, there are none, which a lite agent alone may say.
	// https://datatracker.ietf.org/doc/html/rfc7675#section-5.1
	KeepaliveInterval time.Duration

	// FailedGrace is how long a failed transport waits for a restart before
	// it ends. If zero, it ends at once, and that of a PeerConnection after
	// 30 s. If negative, for ever.
	FailedGrace time.Duration

	// HostAcceptanceMinWait and its like are how long checks go on before a
	// pair with such a candidate is selected, to give better ones a chance.
	// If zero, 0 for host, 500 ms for server-reflexive, 1 s for
	// peer-reflexive, and 2 s for relayed candidates, 0 if there are only
	// those. If negative, there is no wait.
	HostAcceptanceMinWait  time.Duration
	SrflxAcceptanceMinWait time.Duration
	PrflxAcceptanceMinWait time.Duration
	RelayAcceptanceMinWait time.Duration

	// STUNGatherTimeout and TURNGatherTimeout are how long a STUN and a TURN
	// server may take for all steps, from the lookup of its name on. If zero,
	// 5 s.
	STUNGatherTimeout time.Duration
	TURNGatherTimeout time.Duration

	// MaxBindingRequests is how many checks of a pair go unanswered before it
	// has failed. If zero, 7.
	MaxBindingRequests uint16

	// BindingRequestHandler, if not nil, is called with every binding request
	// that arrives, and tells whether to select its pair. It runs in the
	// agent's loop, so it must not block or call back.
	BindingRequestHandler func(m *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair) bool

	// UseCandidateCheckPriority makes a lite agent keep its pair when the
	// peer nominates one of lower priority.
	UseCandidateCheckPriority bool

	// Renomination lets the selected pair change without a restart.
	Renomination RenominationSettings

	// AddressRewriteRules replace or add to the addresses of candidates.
	AddressRewriteRules []ICEAddressRewriteRule

	// NAT1To1IPs is the older form of AddressRewriteRules, and excludes it:
	// the external addresses of host candidates or of additional
	// server-reflexive ones, as NAT1To1IPCandidateType says (host if zero).
	// Each is "external" or "external/local".
	NAT1To1IPs             []string
	NAT1To1IPCandidateType ICECandidateType

	// UDPMux puts all host candidates on a port that several transports
	// share: a [*UDPMux], or another one, whose writes go through a queue then.
	// The program closes it.
	UDPMux ice.UDPMux

	// TCPMux accepts connections for passive TCP candidates, if NetworkTypes
	// has TCP. The program closes it.
	TCPMux ice.TCPMux

	// ProxyDialer connects to TURN servers over TCP; TLS, where the URL asks
	// for it, is ours. If it is a proxy.ContextDialer too, the context ends
	// with the gathering, which does not wait for either. If nil, we connect
	// ourselves.
	ProxyDialer proxy.Dialer

	// TURNRootCAs are the authorities that TURN servers over TLS and DTLS are
	// verified against. If nil, the machine's.
	TURNRootCAs *x509.CertPool

	// TURNTLSConfig is the configuration for them, not to be changed any more.
	// Its RootCAs, if not nil, come before TURNRootCAs; its ServerName, if empty,
	// is the URL's host. For DTLS count RootCAs, ServerName, Certificates,
	// VerifyPeerCertificate and InsecureSkipVerify. If nil, TLS 1.2 and newer.
	TURNTLSConfig *tls.Config

	// TURNCredentials, if not nil, is asked for the username and the password of
	// a TURN server each time that it is to relay, also for a restart: some are
	// valid for a short time. url is that of the server, with port and transport.
	// Those of the ICEServer are not used then. It may block until ctx ends, and
	// call us.
	TURNCredentials func(ctx context.Context, url string) (username, password string, err error)
}

const (
	// ICEAddressRewriteModeUnspecified is replace for host candidates and
	// append for all others.
	ICEAddressRewriteModeUnspecified ICEAddressRewriteMode = iota

	// ICEAddressRewriteReplace publishes the external addresses alone.
	ICEAddressRewriteReplace

	// ICEAddressRewriteAppend publishes the external addresses too.
	ICEAddressRewriteAppend
)

// ICEAddressRewriteMode tells what becomes of a candidate that a rule matches.
type ICEAddressRewriteMode byte

// ICEAddressRewriteRule maps local addresses to the external ones that
// candidates are published with.
type ICEAddressRewriteRule struct {
	// External are the external IP addresses, at least one.
	External []string
	// Local, Iface and CIDR are the local IP address, the name of the
	// interface, and the local network that the rule is for. If empty, all.
	Local, Iface, CIDR string
	// AsCandidateType is the type of the candidates to publish: host (the
	// default), server-reflexive or relay.
	AsCandidateType ICECandidateType
	// Mode tells what becomes of the candidate itself.
	Mode ICEAddressRewriteMode
	// Networks are the network types that the rule is for. If empty, all.
	Networks []NetworkType
}

// The numbers of the ice module are its own affair; these tables, by our
// numbers, also tell which of our values are known: those that are not zero.
var (
	iceNetworkTypes = []ice.NetworkType{
		NetworkTypeUDP4: ice.NetworkTypeUDP4,
		NetworkTypeUDP6: ice.NetworkTypeUDP6,
		NetworkTypeTCP4: ice.NetworkTypeTCP4,
		NetworkTypeTCP6: ice.NetworkTypeTCP6,
	}
	rewriteCandidateTypes = []ice.CandidateType{
		0:                     ice.CandidateTypeHost,
		ICECandidateTypeHost:  ice.CandidateTypeHost,
		ICECandidateTypeSrflx: ice.CandidateTypeServerReflexive,
		ICECandidateTypeRelay: ice.CandidateTypeRelay,
	}
	policyCandidateTypes = [][]ice.CandidateType{
		ICETransportPolicyAll:    {ice.CandidateTypeHost, ice.CandidateTypeServerReflexive, ice.CandidateTypeRelay},
		ICETransportPolicyRelay:  {ice.CandidateTypeRelay},
		ICETransportPolicyNoHost: {ice.CandidateTypeServerReflexive, ice.CandidateTypeRelay},
	}
)

// lookup is the value for a key of ours, or zero.
func lookup[K ~int, V any](table []V, key K) (value V) {
	if key >= 0 && int(key) < len(table) {
		value = table[key]
	}

	return value
}

func toICENetworks(types []NetworkType) []ice.NetworkType {
	if len(types) == 0 {
		return nil
	}
	converted := make([]ice.NetworkType, len(types))
	for i, t := range types {
		converted[i] = lookup(iceNetworkTypes, t)
	}

	return converted
}

func (r ICEAddressRewriteRule) rule() ice.AddressRewriteRule {
	external := make([]string, len(r.External))
	for i := range r.External {
		external[i] = strings.TrimSpace(r.External[i])
	}

	return ice.AddressRewriteRule{
		External: external, Local: strings.TrimSpace(r.Local), Iface: r.Iface, CIDR: strings.TrimSpace(r.CIDR),
		AsCandidateType: lookup(rewriteCandidateTypes, r.AsCandidateType),
		Mode:            ice.AddressRewriteMode(r.Mode),
		Networks:        toICENetworks(r.Networks),
	}
}

// rewriteRules are the rules for the agent, from either form of the setting.
func (s *ICESettings) rewriteRules() []ice.AddressRewriteRule {
	rules := make([]ice.AddressRewriteRule, 0, len(s.AddressRewriteRules)+len(s.NAT1To1IPs)+1)
	for _, r := range s.AddressRewriteRules {
		rules = append(rules, r.rule())
	}
	if len(s.NAT1To1IPs) == 0 {
		return rules
	}

	// In the older form an address that is pinned to a local one serves all
	// other local addresses as well.
	anyLocal := ICEAddressRewriteRule{AsCandidateType: s.NAT1To1IPCandidateType}
	for _, mapping := range s.NAT1To1IPs {
		external, local, pinned := strings.Cut(mapping, "/")
		anyLocal.External = append(anyLocal.External, external)
		if pinned {
			one := ICEAddressRewriteRule{AsCandidateType: s.NAT1To1IPCandidateType}
			one.External, one.Local = []string{external}, local
			rules = append(rules, one.rule())
		}
	}

	return append(rules, anyLocal.rule())
}

// agentRewriteRules are those of candidates that the agent gathers itself.
func (s *ICESettings) agentRewriteRules() []ice.AddressRewriteRule {
	if !s.ContinualGathering {
		return s.rewriteRules()
	}

	return slices.DeleteFunc(s.rewriteRules(), func(r ice.AddressRewriteRule) bool {
		return r.AsCandidateType == ice.CandidateTypeHost
	})
}

// maxRemoteCandidates is MaxRemoteCandidates or its default.
func (s *ICESettings) maxRemoteCandidates() int {
	return cmp.Or(s.MaxRemoteCandidates, defaultMaxRemoteCandidates)
}

// maxCandidatePairs is MaxCandidatePairs or its default.
func (s *ICESettings) maxCandidatePairs() int {
	return cmp.Or(s.MaxCandidatePairs, defaultMaxCandidatePairs)
}

// loopbackRemotesAllowed tells whether a peer may have a loopback address: one
// that gathers such addresses means to talk to them.
func (s *ICESettings) loopbackRemotesAllowed() bool {
	return s.AllowLoopbackRemote || s.IncludeLoopback
}

// agentMulticastDNS is what the agent does. It answers to its own name at most:
// with names of the peer's it would open sockets of its own, needed or not.
func (s *ICESettings) agentMulticastDNS() ice.MulticastDNSMode {
	if s.MulticastDNSMode == ice.MulticastDNSModeQueryAndGather {
		return s.MulticastDNSMode
	}

	return ice.MulticastDNSModeDisabled
}

// iceAgentOptions are the options for an agent beside which so many servers are
// asked; it knows none itself. The settings must be resolved and valid. Left to
// the caller are the handler of binding requests and the limits of the peer's
// candidates.
func (e *SettingEngine) iceAgentOptions(servers int, policy ICETransportPolicy) ([]ice.AgentOption, error) {
	const op = "ice agent options"

	s := &e.ICE
	candidateTypes := lookup(policyCandidateTypes, policy)
	switch {
	case candidateTypes == nil:
		return nil, refuse(op, ErrInvalidArgument, "gather policy %d", policy)
	case s.Lite && policy != ICETransportPolicyAll:
		return nil, refuse(op, ErrInvalidArgument, "a lite agent has host candidates only: policy %d", policy)
	case s.Lite && servers > 0:
		return nil, refuse(op, ErrInvalidArgument, "a lite agent has host candidates only: %d servers", servers)
	case s.Lite:
		candidateTypes = candidateTypes[:1]
	case s.ContinualGathering: // the host candidates are ours
		candidateTypes = lookup(policyCandidateTypes, ICETransportPolicyNoHost)
	}

	// The agent takes its default for relayed candidates before it knows the
	// candidate types, and would wait 2 s for better ones that cannot come.
	relayWait := s.RelayAcceptanceMinWait
	if relayWait == 0 && policy == ICETransportPolicyRelay {
		relayWait = -1
	}

	options := []ice.AgentOption{
		ice.WithLoggerFactory(e.loggerFactory()),
		ice.WithNet(e.network()),
		ice.WithICELite(s.Lite),
		ice.WithCandidateTypes(slices.Clone(candidateTypes)),
		ice.WithNetworkTypes(toICENetworks(s.NetworkTypes)),
		ice.WithMulticastDNSMode(s.agentMulticastDNS()),
		ice.WithPortRange(s.PortMin, s.PortMax),
		ice.WithLocalCredentials(s.UsernameFragment, s.Password),
		ice.WithInterfaceFilter(s.InterfaceFilter),
		ice.WithIPFilter(s.IPFilter),
		ice.WithRemoteIPFilter(s.RemoteIPFilter),
		ice.WithUDPMux(e.agentUDPMux()),
		ice.WithTCPMux(s.TCPMux),
		ice.WithAddressRewriteRules(s.agentRewriteRules()...),
	}
	options = append(options, s.Renomination.options()...)

	// Of these the agent's own default holds unless something was set.
	for _, optional := range []struct {
		set    bool
		option ice.AgentOption
	}{
		{s.MulticastDNSHostName != "", ice.WithMulticastDNSHostName(s.MulticastDNSHostName)},
		{s.IncludeLoopback, ice.WithIncludeLoopback()},
		{!s.EnableActiveTCP, ice.WithDisableActiveTCP()},
		{s.UseCandidateCheckPriority, ice.WithEnableUseCandidateCheckPriority()},
		{s.MaxBindingRequests != 0, ice.WithMaxBindingRequests(s.MaxBindingRequests)},
		{s.STUNGatherTimeout != 0, ice.WithSTUNGatherTimeout(s.STUNGatherTimeout)},
		{s.DisconnectedTimeout != 0, ice.WithDisconnectedTimeout(max(s.DisconnectedTimeout, 0))},
		{s.FailedTimeout != 0, ice.WithFailedTimeout(max(s.FailedTimeout, 0))},
		{s.KeepaliveInterval != 0, ice.WithKeepaliveInterval(max(s.KeepaliveInterval, 0))},
		{s.HostAcceptanceMinWait != 0, ice.WithHostAcceptanceMinWait(max(s.HostAcceptanceMinWait, 0))},
		{s.SrflxAcceptanceMinWait != 0, ice.WithSrflxAcceptanceMinWait(max(s.SrflxAcceptanceMinWait, 0))},
		{s.PrflxAcceptanceMinWait != 0, ice.WithPrflxAcceptanceMinWait(max(s.PrflxAcceptanceMinWait, 0))},
		{relayWait != 0, ice.WithRelayAcceptanceMinWait(max(relayWait, 0))},
	} {
		if optional.set {
			options = append(options, optional.option)
		}
	}

	return options, nil
}
