package webrtc

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"golang.org/x/net/proxy"
)

// This file is the setters of pion/webrtc, for programs that come from there.
// Each sets the fields that its comment names, and the fields say what they
// mean. A nil SettingEngine takes no settings: a setter that returns an error
// reports it, any other does nothing.

// orScratch lets a setter write into nowhere when there is no SettingEngine.
func (e *SettingEngine) orScratch() *SettingEngine {
	if e == nil {
		return &SettingEngine{}
	}

	return e
}

// explicit turns the zero that a pion program sets on purpose into the value
// that is not the default here: none.
func explicit(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}

	return d
}

// SetNet sets Net. It takes the interface of transport/v5.
func (e *SettingEngine) SetNet(net transport.Net) { e.orScratch().Net = net }

// SetReceiveMTU sets ReceiveMTU, in bytes.
func (e *SettingEngine) SetReceiveMTU(receiveMTU uint) { e.orScratch().ReceiveMTU = receiveMTU }

// SetInterfaceFilter sets ICE.InterfaceFilter.
func (e *SettingEngine) SetInterfaceFilter(filter func(string) (keep bool)) {
	e.orScratch().ICE.InterfaceFilter = filter
}

// SetIPFilter sets ICE.IPFilter.
func (e *SettingEngine) SetIPFilter(filter func(net.IP) (keep bool)) {
	e.orScratch().ICE.IPFilter = filter
}

// SetRemoteIPFilter sets ICE.RemoteIPFilter.
func (e *SettingEngine) SetRemoteIPFilter(filter func(net.IP) (keep bool)) {
	e.orScratch().ICE.RemoteIPFilter = filter
}

// SetIncludeLoopbackCandidate sets ICE.IncludeLoopback.
func (e *SettingEngine) SetIncludeLoopbackCandidate(include bool) {
	e.orScratch().ICE.IncludeLoopback = include
}

// SetNetworkTypes sets ICE.NetworkTypes.
func (e *SettingEngine) SetNetworkTypes(candidateTypes []NetworkType) {
	e.orScratch().ICE.NetworkTypes = slices.Clone(candidateTypes)
}

// SetICEMulticastDNSMode sets ICE.MulticastDNSMode.
func (e *SettingEngine) SetICEMulticastDNSMode(multicastDNSMode ice.MulticastDNSMode) {
	e.orScratch().ICE.MulticastDNSMode = multicastDNSMode
}

// SetMulticastDNSHostName sets ICE.MulticastDNSHostName.
func (e *SettingEngine) SetMulticastDNSHostName(hostName string) {
	e.orScratch().ICE.MulticastDNSHostName = hostName
}

// SetICETimeouts sets ICE.DisconnectedTimeout, ICE.FailedTimeout and
// ICE.KeepaliveInterval. Here 0 stands for never, which for the keepalives only
// a lite agent may say.
func (e *SettingEngine) SetICETimeouts(disconnectedTimeout, failedTimeout, keepAliveInterval time.Duration) {
	s := &e.orScratch().ICE
	s.DisconnectedTimeout = explicit(disconnectedTimeout)
	s.FailedTimeout = explicit(failedTimeout)
	s.KeepaliveInterval = explicit(keepAliveInterval)
}

// SetHostAcceptanceMinWait sets ICE.HostAcceptanceMinWait. Here 0 stands for
// no wait.
func (e *SettingEngine) SetHostAcceptanceMinWait(t time.Duration) {
	e.orScratch().ICE.HostAcceptanceMinWait = explicit(t)
}

// SetSrflxAcceptanceMinWait sets ICE.SrflxAcceptanceMinWait. Here 0 stands for
// no wait.
func (e *SettingEngine) SetSrflxAcceptanceMinWait(t time.Duration) {
	e.orScratch().ICE.SrflxAcceptanceMinWait = explicit(t)
}

// SetPrflxAcceptanceMinWait sets ICE.PrflxAcceptanceMinWait. Here 0 stands for
// no wait.
func (e *SettingEngine) SetPrflxAcceptanceMinWait(t time.Duration) {
	e.orScratch().ICE.PrflxAcceptanceMinWait = explicit(t)
}

// SetRelayAcceptanceMinWait sets ICE.RelayAcceptanceMinWait. Here 0 stands for
// no wait.
func (e *SettingEngine) SetRelayAcceptanceMinWait(t time.Duration) {
	e.orScratch().ICE.RelayAcceptanceMinWait = explicit(t)
}

// SetSTUNGatherTimeout sets ICE.STUNGatherTimeout.
func (e *SettingEngine) SetSTUNGatherTimeout(t time.Duration) {
	e.orScratch().ICE.STUNGatherTimeout = t
}

// SetEphemeralUDPPortRange sets ICE.PortMin and ICE.PortMax. A range without a
// port is ErrInvalidArgument and ice.ErrPort, and changes nothing.
func (e *SettingEngine) SetEphemeralUDPPortRange(portMin, portMax uint16) error {
	const op = "set ephemeral UDP port range"

	if e == nil {
		return refuse(op, ErrInvalidArgument, "nil SettingEngine")
	}
	ports := ICESettings{PortMin: portMin, PortMax: portMax}
	if err := ports.validate(); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	e.ICE.PortMin, e.ICE.PortMax = portMin, portMax

	return nil
}

// SetLite sets ICE.Lite.
func (e *SettingEngine) SetLite(lite bool) { e.orScratch().ICE.Lite = lite }

// SetICECredentials sets ICE.UsernameFragment and ICE.Password.
func (e *SettingEngine) SetICECredentials(usernameFragment, password string) {
	s := &e.orScratch().ICE
	s.UsernameFragment, s.Password = usernameFragment, password
}

// SetNAT1To1IPs sets ICE.NAT1To1IPs and ICE.NAT1To1IPCandidateType.
//
// Deprecated: SetICEAddressRewriteRules says more.
func (e *SettingEngine) SetNAT1To1IPs(ips []string, candidateType ICECandidateType) {
	s := &e.orScratch().ICE
	s.NAT1To1IPs, s.NAT1To1IPCandidateType = slices.Clone(ips), candidateType
}

// SetICEAddressRewriteRules sets ICE.AddressRewriteRules; without rules it
// clears them. A malformed rule, or rules after SetNAT1To1IPs, is
// ErrInvalidArgument and changes nothing.
func (e *SettingEngine) SetICEAddressRewriteRules(rules ...ICEAddressRewriteRule) error {
	const op = "set ICE address rewrite rules"

	if e == nil {
		return refuse(op, ErrInvalidArgument, "nil SettingEngine")
	}
	if len(rules) == 0 {
		e.ICE.AddressRewriteRules = nil

		return nil
	}
	proposed := e.ICE
	proposed.AddressRewriteRules = slices.Clone(rules)
	if err := proposed.validateAddresses(); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	e.ICE = proposed

	return nil
}

// SetICEUDPMux sets ICE.UDPMux.
func (e *SettingEngine) SetICEUDPMux(udpMux ice.UDPMux) { e.orScratch().ICE.UDPMux = udpMux }

// SetICETCPMux sets ICE.TCPMux.
func (e *SettingEngine) SetICETCPMux(tcpMux ice.TCPMux) { e.orScratch().ICE.TCPMux = tcpMux }

// SetICEProxyDialer sets ICE.ProxyDialer.
func (e *SettingEngine) SetICEProxyDialer(d proxy.Dialer) { e.orScratch().ICE.ProxyDialer = d }

// SetICEMaxBindingRequests sets ICE.MaxBindingRequests.
func (e *SettingEngine) SetICEMaxBindingRequests(d uint16) {
	e.orScratch().ICE.MaxBindingRequests = d
}

// SetICEBindingRequestHandler sets ICE.BindingRequestHandler.
func (e *SettingEngine) SetICEBindingRequestHandler(
	bindingRequestHandler func(m *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair) bool,
) {
	e.orScratch().ICE.BindingRequestHandler = bindingRequestHandler
}

// SetICEUseCandidateCheckPriority sets ICE.UseCandidateCheckPriority.
func (e *SettingEngine) SetICEUseCandidateCheckPriority(enabled bool) {
	e.orScratch().ICE.UseCandidateCheckPriority = enabled
}

// SetICERenomination enables ICE.Renomination and sets what the options say. A
// bad option is ErrInvalidArgument and changes nothing.
func (e *SettingEngine) SetICERenomination(options ...RenominationOption) error {
	if e == nil {
		return refuse(opRenomination, ErrInvalidArgument, "nil SettingEngine")
	}
	proposed := e.ICE.Renomination
	proposed.Enabled = true
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option(&proposed); err != nil {
			return opError(opRenomination, err)
		}
	}
	e.ICE.Renomination = proposed

	return nil
}

// DisableActiveTCP clears or sets ICE.EnableActiveTCP. Unlike in pion/webrtc it
// is off until it is set.
func (e *SettingEngine) DisableActiveTCP(isDisabled bool) {
	e.orScratch().ICE.EnableActiveTCP = !isDisabled
}

// SetAnsweringDTLSRole sets DTLS.AnsweringRole. A role other than client and
// server is ErrInvalidArgument and changes nothing.
func (e *SettingEngine) SetAnsweringDTLSRole(role DTLSRole) error {
	const op = "set answering DTLS role"

	if e == nil {
		return refuse(op, ErrInvalidArgument, "nil SettingEngine")
	}
	if role != DTLSRoleClient && role != DTLSRoleServer {
		return refuse(op, ErrInvalidArgument, "role %d is neither client nor server", role)
	}
	e.DTLS.AnsweringRole = role

	return nil
}

// SetDTLSRetransmissionInterval sets DTLS.RetransmissionInterval.
func (e *SettingEngine) SetDTLSRetransmissionInterval(interval time.Duration) {
	e.orScratch().DTLS.RetransmissionInterval = interval
}

// SetDTLSInsecureSkipHelloVerify clears or sets DTLS.HelloVerify, which is
// clear by default.
func (e *SettingEngine) SetDTLSInsecureSkipHelloVerify(skip bool) {
	e.orScratch().DTLS.HelloVerify = !skip
}

// SetDTLSDisableInsecureSkipVerify sets DTLS.VerifyChain.
func (e *SettingEngine) SetDTLSDisableInsecureSkipVerify(disable bool) {
	e.orScratch().DTLS.VerifyChain = disable
}

// SetDTLSEllipticCurves sets DTLS.EllipticCurves.
func (e *SettingEngine) SetDTLSEllipticCurves(ellipticCurves ...dtlselliptic.Curve) {
	e.orScratch().DTLS.EllipticCurves = slices.Clone(ellipticCurves)
}

// SetDTLSConnectContextMaker sets DTLS.ConnectContextMaker.
func (e *SettingEngine) SetDTLSConnectContextMaker(connectContextMaker func() (context.Context, func())) {
	e.orScratch().DTLS.ConnectContextMaker = connectContextMaker
}

// SetDTLSExtendedMasterSecret sets DTLS.RequireExtendedMasterSecret and
// DTLS.InsecureDisableExtendedMasterSecret: it weakens security if it
// disables. An unknown type is reported by the API.
func (e *SettingEngine) SetDTLSExtendedMasterSecret(extendedMasterSecret dtls.ExtendedMasterSecretType) {
	e = e.orScratch()
	if !within(extendedMasterSecret, dtls.RequestExtendedMasterSecret, dtls.DisableExtendedMasterSecret) {
		e.refuseLater("DTLS: extended master secret type %d", extendedMasterSecret)

		return
	}
	e.DTLS.RequireExtendedMasterSecret = extendedMasterSecret == dtls.RequireExtendedMasterSecret
	e.DTLS.InsecureDisableExtendedMasterSecret = extendedMasterSecret == dtls.DisableExtendedMasterSecret
}

// refuseLater keeps the first bad argument of a setter without an error.
func (e *SettingEngine) refuseLater(format string, args ...any) {
	if e.refused == nil {
		e.refused = refuse("settings", ErrInvalidArgument, "%w", fmt.Errorf(format, args...))
	}
}

// SetDTLSClientAuth sets DTLS.InsecureClientAuth: it weakens security with a
// value below dtls.RequireAnyClientCert, which lets in clients that show no
// certificate.
func (e *SettingEngine) SetDTLSClientAuth(clientAuth dtls.ClientAuthType) {
	e.orScratch().DTLS.InsecureClientAuth = &clientAuth
}

// SetDTLSClientCAs sets DTLS.ClientCAs.
func (e *SettingEngine) SetDTLSClientCAs(clientCAs *x509.CertPool) {
	e.orScratch().DTLS.ClientCAs = clientCAs
}

// SetDTLSRootCAs sets DTLS.RootCAs.
func (e *SettingEngine) SetDTLSRootCAs(rootCAs *x509.CertPool) {
	e.orScratch().DTLS.RootCAs = rootCAs
}

// SetDTLSKeyLogWriter sets DTLS.InsecureKeyLogWriter: it weakens security, for
// who has the log can decrypt the session.
func (e *SettingEngine) SetDTLSKeyLogWriter(writer io.Writer) {
	e.orScratch().DTLS.InsecureKeyLogWriter = writer
}

// SetDTLSReplayProtectionWindow sets DTLS.ReplayProtectionWindow, in records.
func (e *SettingEngine) SetDTLSReplayProtectionWindow(n uint) {
	e.orScratch().DTLS.ReplayProtectionWindow = n
}

// SetDTLSCipherSuites sets DTLS.CipherSuites.
func (e *SettingEngine) SetDTLSCipherSuites(cipherSuites ...dtls.CipherSuiteID) {
	e.orScratch().DTLS.CipherSuites = slices.Clone(cipherSuites)
}

// SetDTLSCustomerCipherSuites sets DTLS.CustomCipherSuites.
func (e *SettingEngine) SetDTLSCustomerCipherSuites(customCipherSuites func() []dtls.CipherSuite) {
	e.orScratch().DTLS.CustomCipherSuites = customCipherSuites
}

// SetDTLSClientHelloMessageHook sets DTLS.ClientHelloMessageHook.
func (e *SettingEngine) SetDTLSClientHelloMessageHook(hook func(handshake.MessageClientHello) handshake.Message) {
	e.orScratch().DTLS.ClientHelloMessageHook = hook
}

// SetDTLSServerHelloMessageHook sets DTLS.ServerHelloMessageHook.
func (e *SettingEngine) SetDTLSServerHelloMessageHook(hook func(handshake.MessageServerHello) handshake.Message) {
	e.orScratch().DTLS.ServerHelloMessageHook = hook
}

// SetDTLSCertificateRequestMessageHook sets DTLS.CertificateRequestMessageHook.
func (e *SettingEngine) SetDTLSCertificateRequestMessageHook(
	hook func(handshake.MessageCertificateRequest) handshake.Message,
) {
	e.orScratch().DTLS.CertificateRequestMessageHook = hook
}

// SetDTLSSupportedProtocols sets DTLS.SupportedProtocols.
func (e *SettingEngine) SetDTLSSupportedProtocols(protocols ...string) {
	e.orScratch().DTLS.SupportedProtocols = slices.Clone(protocols)
}

// DisableCertificateFingerprintVerification sets
// DTLS.InsecureSkipFingerprintVerification: it weakens security, for anybody
// on the path can then be the peer.
func (e *SettingEngine) DisableCertificateFingerprintVerification(isDisabled bool) {
	e.orScratch().DTLS.InsecureSkipFingerprintVerification = isDisabled
}

// DisableCloseByDTLS sets DTLS.KeepOpenOnClose: true keeps a PeerConnection open
// when its DTLS transport has closed, until ICE fails.
func (e *SettingEngine) DisableCloseByDTLS(keepOpen bool) {
	e.orScratch().DTLS.KeepOpenOnClose = keepOpen
}

// SetSCTPMaxReceiveBufferSize sets SCTP.MaxReceiveBufferSize, in bytes.
func (e *SettingEngine) SetSCTPMaxReceiveBufferSize(maxReceiveBufferSize uint32) {
	e.orScratch().SCTP.MaxReceiveBufferSize = maxReceiveBufferSize
}

// SetSCTPMaxMessageSize sets SCTP.MaxMessageSize, in bytes.
func (e *SettingEngine) SetSCTPMaxMessageSize(maxMessageSize uint32) {
	e.orScratch().SCTP.MaxMessageSize = maxMessageSize
}

// EnableSCTPZeroChecksum clears or sets SCTP.DisableZeroChecksum. Unlike in
// pion/webrtc it is offered by default; a peer without it gets checksums.
func (e *SettingEngine) EnableSCTPZeroChecksum(isEnabled bool) {
	e.orScratch().SCTP.DisableZeroChecksum = !isEnabled
}

// EnableSctpSnap sets SCTP.SNAP and, to the opposite, SCTP.DisableSNAP.
func (e *SettingEngine) EnableSctpSnap(isEnabled bool) {
	s := &e.orScratch().SCTP
	s.SNAP, s.DisableSNAP = isEnabled, !isEnabled
}

// SetSCTPRTOMax sets SCTP.RTOMax.
func (e *SettingEngine) SetSCTPRTOMax(rtoMax time.Duration) { e.orScratch().SCTP.RTOMax = rtoMax }

// SetSCTPMinCwnd sets SCTP.MinCwnd, in bytes.
func (e *SettingEngine) SetSCTPMinCwnd(minCwnd uint32) { e.orScratch().SCTP.MinCwnd = minCwnd }

// SetSCTPFastRtxWnd sets SCTP.FastRtxWnd, in bytes.
func (e *SettingEngine) SetSCTPFastRtxWnd(fastRtxWnd uint32) {
	e.orScratch().SCTP.FastRtxWnd = fastRtxWnd
}

// SetSCTPCwndCAStep sets SCTP.CwndCAStep, in bytes.
func (e *SettingEngine) SetSCTPCwndCAStep(cwndCAStep uint32) {
	e.orScratch().SCTP.CwndCAStep = cwndCAStep
}

// DetachDataChannels sets DataChannel.Detach.
func (e *SettingEngine) DetachDataChannels() { e.orScratch().DataChannel.Detach = true }

// EnableDataChannelBlockWrite sets DataChannel.BlockWrite: true makes the Write
// of a detached channel wait until what was written before has been sent.
func (e *SettingEngine) EnableDataChannelBlockWrite(block bool) {
	e.orScratch().DataChannel.BlockWrite = block
}

// SetSRTPProtectionProfiles sets SRTP.ProtectionProfiles, and
// SRTP.InsecureAllowNull if one of them does not encrypt: it then weakens
// security.
func (e *SettingEngine) SetSRTPProtectionProfiles(profiles ...dtls.SRTPProtectionProfile) {
	s := &e.orScratch().SRTP
	s.ProtectionProfiles = slices.Clone(profiles)
	s.InsecureAllowNull = slices.ContainsFunc(profiles, isNullProfile)
}

// SetSRTPReplayProtectionWindow sets SRTP.ReplayProtectionWindow, in packets,
// and clears SRTP.InsecureDisableReplayProtection.
func (e *SettingEngine) SetSRTPReplayProtectionWindow(n uint) {
	s := &e.orScratch().SRTP
	s.ReplayProtectionWindow, s.InsecureDisableReplayProtection = n, false
}

// SetSRTCPReplayProtectionWindow sets SRTP.RTCPReplayProtectionWindow, in
// packets, and clears SRTP.InsecureDisableRTCPReplayProtection.
func (e *SettingEngine) SetSRTCPReplayProtectionWindow(n uint) {
	s := &e.orScratch().SRTP
	s.RTCPReplayProtectionWindow, s.InsecureDisableRTCPReplayProtection = n, false
}

// DisableSRTPReplayProtection sets SRTP.InsecureDisableReplayProtection: it
// weakens security, for a recorded packet is then taken again.
func (e *SettingEngine) DisableSRTPReplayProtection(isDisabled bool) {
	e.orScratch().SRTP.InsecureDisableReplayProtection = isDisabled
}

// DisableSRTCPReplayProtection sets SRTP.InsecureDisableRTCPReplayProtection:
// it weakens security, for a recorded packet is then taken again.
func (e *SettingEngine) DisableSRTCPReplayProtection(isDisabled bool) {
	e.orScratch().SRTP.InsecureDisableRTCPReplayProtection = isDisabled
}

// SetFireOnTrackBeforeFirstRTP sets Media.TellTracksEarly.
func (e *SettingEngine) SetFireOnTrackBeforeFirstRTP(fireOnTrackBeforeFirstRTP bool) {
	e.orScratch().Media.TellTracksEarly = fireOnTrackBeforeFirstRTP
}

// SetIgnoreRidPauseForRecv sets Media.IgnoreRIDPause.
func (e *SettingEngine) SetIgnoreRidPauseForRecv(ignoreRidPauseForRecv bool) {
	e.orScratch().Media.IgnoreRIDPause = ignoreRidPauseForRecv
}

// DisableMediaEngineCopy sets Media.DisableEngineCopy.
func (e *SettingEngine) DisableMediaEngineCopy(isDisabled bool) {
	e.orScratch().Media.DisableEngineCopy = isDisabled
}

// SetSDPMediaLevelFingerprints does nothing: fingerprints always stand in the
// sections of descriptions.
func (e *SettingEngine) SetSDPMediaLevelFingerprints(bool) {}
