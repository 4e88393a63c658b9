package webrtc

import (
	"crypto/tls"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
	"github.com/pion/srtp/v3"
)

// dtlsOptions are the options that both roles share. The certificate chain is
// not verified by default, since WebRTC's certificates are self-signed and
// known by their fingerprints: the caller must add the verification of the
// connection. https://datatracker.ietf.org/doc/html/rfc8827#section-6.5
func (e *SettingEngine) dtlsOptions(cert tls.Certificate) []dtls.Option {
	s := &e.DTLS

	secret := dtls.RequestExtendedMasterSecret
	switch {
	case s.RequireExtendedMasterSecret:
		secret = dtls.RequireExtendedMasterSecret
	case s.InsecureDisableExtendedMasterSecret:
		secret = dtls.DisableExtendedMasterSecret
	}

	options := []dtls.Option{
		dtls.WithLoggerFactory(e.loggerFactory()),
		dtls.WithCertificates(cert),
		dtls.WithInsecureSkipVerify(!s.VerifyChain),
		dtls.WithRootCAs(s.RootCAs),
		dtls.WithExtendedMasterSecret(secret),
		dtls.WithFlightInterval(s.RetransmissionInterval),
		dtls.WithMTU(s.MTU),
		dtls.WithReplayProtectionWindow(int(s.ReplayProtectionWindow)), // validate bounds it
		dtls.WithKeyLogWriter(s.InsecureKeyLogWriter),
		dtls.WithSRTPProtectionProfiles(e.SRTP.ProtectionProfiles...),
	}
	for _, optional := range []struct {
		set    bool
		option dtls.Option
	}{
		{len(s.CipherSuites) > 0, dtls.WithCipherSuites(s.CipherSuites...)},
		{s.CustomCipherSuites != nil, dtls.WithCustomCipherSuites(s.CustomCipherSuites)},
		{len(s.EllipticCurves) > 0, dtls.WithEllipticCurves(s.EllipticCurves...)},
		{len(s.SupportedProtocols) > 0, dtls.WithSupportedProtocols(s.SupportedProtocols...)},
	} {
		if optional.set {
			options = append(options, optional.option)
		}
	}

	return options
}

// srtpOptions are the options of the side that opens packets.
func (e *SettingEngine) srtpOptions() []srtp.ContextOption {
	s := &e.SRTP
	options := []srtp.ContextOption{
		srtp.SRTPReplayProtection(s.ReplayProtectionWindow), srtp.SRTCPReplayProtection(s.RTCPReplayProtectionWindow),
	}
	if s.InsecureDisableReplayProtection {
		options = append(options, srtp.SRTPNoReplayProtection())
	}
	if s.InsecureDisableRTCPReplayProtection {
		options = append(options, srtp.SRTCPNoReplayProtection())
	}

	return options
}

// dtlsClientOptions are the options of a client. The settings must be resolved
// and valid.
func (e *SettingEngine) dtlsClientOptions(cert tls.Certificate) []dtls.ClientOption {
	var options []dtls.ClientOption
	for _, shared := range e.dtlsOptions(cert) {
		options = append(options, shared)
	}
	if hook := e.DTLS.ClientHelloMessageHook; hook != nil {
		options = append(options, dtls.WithClientHelloMessageHook(hook))
	}

	return options
}

// dtlsServerOptions are the options of a server. The settings must be resolved
// and valid.
func (e *SettingEngine) dtlsServerOptions(cert tls.Certificate) []dtls.ServerOption {
	options := []dtls.ServerOption{
		dtls.WithClientAuth(*e.DTLS.InsecureClientAuth),
		dtls.WithClientCAs(e.DTLS.ClientCAs),
		dtls.WithInsecureSkipVerifyHello(!e.DTLS.HelloVerify),
	}
	if hook := e.DTLS.ServerHelloMessageHook; hook != nil {
		options = append(options, dtls.WithServerHelloMessageHook(hook))
	}
	if hook := e.DTLS.CertificateRequestMessageHook; hook != nil {
		options = append(options, dtls.WithCertificateRequestMessageHook(hook))
	}
	for _, shared := range e.dtlsOptions(cert) {
		options = append(options, shared)
	}

	return options
}

// sctpClientOptions are the options of an association, but for its connection,
// the handshake in signaling, and the peer's maximum message size, which come
// with the start (in the sctp module that size is the limit of what we send).
// The module's limit of what it keeps of a stream that is not complete
// (WithMaxReassemblyQueueEntries) stays off: it aborts the association for one
// bad stream, and for a good one after heavy loss. The settings must be
// resolved and valid.
func (e *SettingEngine) sctpClientOptions() []sctp.ClientOption {
	s := &e.SCTP
	options := []sctp.ClientOption{
		sctp.WithLoggerFactory(e.loggerFactory()),
		sctp.WithMTU(s.MTU),
		sctp.WithMaxReceiveBufferSize(s.MaxReceiveBufferSize),
		sctp.WithEnableZeroChecksum(!s.DisableZeroChecksum),
		sctp.WithEnableInterleaving(!s.DisableInterleaving),
		sctp.WithBlockWrite(e.DataChannel.Detach && e.DataChannel.BlockWrite),
		sctp.WithMinCwnd(s.MinCwnd),
		sctp.WithFastRtxWnd(s.FastRtxWnd),
		sctp.WithCwndCAStep(s.CwndCAStep),
	}
	if s.RTOMax > 0 {
		options = append(options, sctp.WithRTOMax(float64(s.RTOMax)/float64(time.Millisecond)))
	}

	return append(options, sctp.WithRACKOptions(s.rackOptions()...))
}

// rackOptions are those of loss detection, which the module always does by
// time (RFC 8985). It refuses zeros, which stand for its defaults here.
func (s *SCTPSettings) rackOptions() []sctp.AssociationRACKOption {
	var options []sctp.AssociationRACKOption
	for _, optional := range []struct {
		value  time.Duration
		option func(time.Duration) sctp.AssociationRACKOption
	}{
		{s.RACKMinRTTWindow, sctp.WithRackMinRTTWnd},
		{s.RACKReorderingWindowFloor, sctp.WithRackReoWndFloor},
		{s.RACKWorstCaseDelayedAck, sctp.WithRackWCDelAck},
	} {
		if optional.value > 0 {
			options = append(options, optional.option(optional.value))
		}
	}

	return options
}
