package webrtc

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5/vnet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Stand-ins, to be told apart by identity.
type (
	fakeUDPMux struct{ ice.UDPMux }
	fakeTCPMux struct{ ice.TCPMux }
	fakeDialer struct{}
)

func (fakeDialer) Dial(string, string) (net.Conn, error) { return nil, net.ErrClosed }

// setterCases name each setter of pion/webrtc, call it, and tell by the fields
// what it must have done. Functions cannot be compared and have a table of
// their own.
func setterCases(t *testing.T) []setterCase {
	t.Helper()
	network, err := vnet.NewNet(&vnet.NetConfig{})
	require.NoError(t, err)
	pool, writer := x509.NewCertPool(), &bytes.Buffer{}
	auth := dtls.NoClientCert
	rule := ICEAddressRewriteRule{External: []string{"203.0.113.1"}}
	second := time.Second

	return []setterCase{
		{"SetNet", func(e *SettingEngine) { e.SetNet(network) }, func(e *SettingEngine) { e.Net = network }},
		{
			"SetReceiveMTU", func(e *SettingEngine) { e.SetReceiveMTU(9000) },
			func(e *SettingEngine) { e.ReceiveMTU = 9000 },
		},
		{
			"SetIncludeLoopbackCandidate", func(e *SettingEngine) { e.SetIncludeLoopbackCandidate(true) },
			func(e *SettingEngine) { e.ICE.IncludeLoopback = true },
		},
		{
			"SetNetworkTypes", func(e *SettingEngine) { e.SetNetworkTypes([]NetworkType{NetworkTypeTCP6}) },
			func(e *SettingEngine) { e.ICE.NetworkTypes = []NetworkType{NetworkTypeTCP6} },
		},
		{
			"SetICEMulticastDNSMode",
			func(e *SettingEngine) { e.SetICEMulticastDNSMode(ice.MulticastDNSModeQueryOnly) },
			func(e *SettingEngine) { e.ICE.MulticastDNSMode = ice.MulticastDNSModeQueryOnly },
		},
		{
			"SetMulticastDNSHostName", func(e *SettingEngine) { e.SetMulticastDNSHostName("a.local") },
			func(e *SettingEngine) { e.ICE.MulticastDNSHostName = "a.local" },
		},
		{
			"SetICETimeouts", func(e *SettingEngine) { e.SetICETimeouts(1, 2, 3) },
			func(e *SettingEngine) {
				e.ICE.DisconnectedTimeout, e.ICE.FailedTimeout, e.ICE.KeepaliveInterval = 1, 2, 3
			},
		},
		{
			"SetICETimeouts", func(e *SettingEngine) { e.SetICETimeouts(0, 0, 0) },
			func(e *SettingEngine) {
				e.ICE.DisconnectedTimeout, e.ICE.FailedTimeout, e.ICE.KeepaliveInterval = -1, -1, -1
			},
		},
		{
			"SetHostAcceptanceMinWait", func(e *SettingEngine) { e.SetHostAcceptanceMinWait(second) },
			func(e *SettingEngine) { e.ICE.HostAcceptanceMinWait = second },
		},
		{
			"SetSrflxAcceptanceMinWait", func(e *SettingEngine) { e.SetSrflxAcceptanceMinWait(0) },
			func(e *SettingEngine) { e.ICE.SrflxAcceptanceMinWait = -1 },
		},
		{
			"SetPrflxAcceptanceMinWait", func(e *SettingEngine) { e.SetPrflxAcceptanceMinWait(second) },
			func(e *SettingEngine) { e.ICE.PrflxAcceptanceMinWait = second },
		},
		{
			"SetRelayAcceptanceMinWait", func(e *SettingEngine) { e.SetRelayAcceptanceMinWait(second) },
			func(e *SettingEngine) { e.ICE.RelayAcceptanceMinWait = second },
		},
		{
			"SetSTUNGatherTimeout", func(e *SettingEngine) { e.SetSTUNGatherTimeout(second) },
			func(e *SettingEngine) { e.ICE.STUNGatherTimeout = second },
		},
		{
			"SetEphemeralUDPPortRange", func(e *SettingEngine) { _ = e.SetEphemeralUDPPortRange(5000, 5001) },
			func(e *SettingEngine) { e.ICE.PortMin, e.ICE.PortMax = 5000, 5001 },
		},
		{"SetLite", func(e *SettingEngine) { e.SetLite(true) }, func(e *SettingEngine) { e.ICE.Lite = true }},
		{
			"SetICECredentials", func(e *SettingEngine) { e.SetICECredentials("user", "pass") },
			func(e *SettingEngine) { e.ICE.UsernameFragment, e.ICE.Password = "user", "pass" },
		},
		{
			"SetNAT1To1IPs",
			func(e *SettingEngine) { e.SetNAT1To1IPs([]string{"203.0.113.1"}, ICECandidateTypeSrflx) },
			func(e *SettingEngine) {
				e.ICE.NAT1To1IPs, e.ICE.NAT1To1IPCandidateType = []string{"203.0.113.1"}, ICECandidateTypeSrflx
			},
		},
		{
			"SetICEAddressRewriteRules", func(e *SettingEngine) { _ = e.SetICEAddressRewriteRules(rule) },
			func(e *SettingEngine) { e.ICE.AddressRewriteRules = []ICEAddressRewriteRule{rule} },
		},
		{
			"SetICEAddressRewriteRules",
			func(e *SettingEngine) { _ = e.SetICEAddressRewriteRules(rule); _ = e.SetICEAddressRewriteRules() },
			func(*SettingEngine) {},
		},
		{
			"SetICEUDPMux", func(e *SettingEngine) { e.SetICEUDPMux(fakeUDPMux{}) },
			func(e *SettingEngine) { e.ICE.UDPMux = fakeUDPMux{} },
		},
		{
			"SetICETCPMux", func(e *SettingEngine) { e.SetICETCPMux(fakeTCPMux{}) },
			func(e *SettingEngine) { e.ICE.TCPMux = fakeTCPMux{} },
		},
		{
			"SetICEProxyDialer", func(e *SettingEngine) { e.SetICEProxyDialer(fakeDialer{}) },
			func(e *SettingEngine) { e.ICE.ProxyDialer = fakeDialer{} },
		},
		{
			"SetICEMaxBindingRequests", func(e *SettingEngine) { e.SetICEMaxBindingRequests(9) },
			func(e *SettingEngine) { e.ICE.MaxBindingRequests = 9 },
		},
		{
			"SetICEUseCandidateCheckPriority", func(e *SettingEngine) { e.SetICEUseCandidateCheckPriority(true) },
			func(e *SettingEngine) { e.ICE.UseCandidateCheckPriority = true },
		},
		{
			"SetICERenomination",
			func(e *SettingEngine) {
				_ = e.SetICERenomination(nil, WithRenominationInterval(second), WithRenominationNominationAttribute(7))
			},
			func(e *SettingEngine) {
				e.ICE.Renomination = RenominationSettings{Enabled: true, Interval: second, Attribute: 7}
			},
		},
		{
			"DisableActiveTCP", func(e *SettingEngine) { e.DisableActiveTCP(false) },
			func(e *SettingEngine) { e.ICE.EnableActiveTCP = true },
		},
		{
			"DisableActiveTCP", func(e *SettingEngine) { e.DisableActiveTCP(true) },
			func(*SettingEngine) {},
		},
		{
			"SetAnsweringDTLSRole", func(e *SettingEngine) { _ = e.SetAnsweringDTLSRole(DTLSRoleServer) },
			func(e *SettingEngine) { e.DTLS.AnsweringRole = DTLSRoleServer },
		},
		{
			"SetDTLSRetransmissionInterval", func(e *SettingEngine) { e.SetDTLSRetransmissionInterval(second) },
			func(e *SettingEngine) { e.DTLS.RetransmissionInterval = second },
		},
		{
			"SetDTLSInsecureSkipHelloVerify", func(e *SettingEngine) { e.SetDTLSInsecureSkipHelloVerify(false) },
			func(e *SettingEngine) { e.DTLS.HelloVerify = true },
		},
		{
			"SetDTLSInsecureSkipHelloVerify", func(e *SettingEngine) { e.SetDTLSInsecureSkipHelloVerify(true) },
			func(*SettingEngine) {},
		},
		{
			"SetDTLSDisableInsecureSkipVerify", func(e *SettingEngine) { e.SetDTLSDisableInsecureSkipVerify(true) },
			func(e *SettingEngine) { e.DTLS.VerifyChain = true },
		},
		{
			"SetDTLSEllipticCurves", func(e *SettingEngine) { e.SetDTLSEllipticCurves(dtlselliptic.P384) },
			func(e *SettingEngine) { e.DTLS.EllipticCurves = []dtlselliptic.Curve{dtlselliptic.P384} },
		},
		{
			"SetDTLSExtendedMasterSecret",
			func(e *SettingEngine) { e.SetDTLSExtendedMasterSecret(dtls.RequireExtendedMasterSecret) },
			func(e *SettingEngine) { e.DTLS.RequireExtendedMasterSecret = true },
		},
		{
			"SetDTLSExtendedMasterSecret",
			func(e *SettingEngine) {
				e.SetDTLSExtendedMasterSecret(dtls.RequireExtendedMasterSecret)
				e.SetDTLSExtendedMasterSecret(dtls.DisableExtendedMasterSecret)
			},
			func(e *SettingEngine) { e.DTLS.InsecureDisableExtendedMasterSecret = true },
		},
		{
			"SetDTLSExtendedMasterSecret",
			func(e *SettingEngine) {
				e.SetDTLSExtendedMasterSecret(dtls.DisableExtendedMasterSecret)
				e.SetDTLSExtendedMasterSecret(dtls.RequestExtendedMasterSecret)
			},
			func(*SettingEngine) {},
		},
		{
			"SetDTLSClientAuth", func(e *SettingEngine) { e.SetDTLSClientAuth(auth) },
			func(e *SettingEngine) { e.DTLS.InsecureClientAuth = &auth },
		},
		{
			"SetDTLSClientCAs", func(e *SettingEngine) { e.SetDTLSClientCAs(pool) },
			func(e *SettingEngine) { e.DTLS.ClientCAs = pool },
		},
		{
			"SetDTLSRootCAs", func(e *SettingEngine) { e.SetDTLSRootCAs(pool) },
			func(e *SettingEngine) { e.DTLS.RootCAs = pool },
		},
		{
			"SetDTLSKeyLogWriter", func(e *SettingEngine) { e.SetDTLSKeyLogWriter(writer) },
			func(e *SettingEngine) { e.DTLS.InsecureKeyLogWriter = writer },
		},
		{
			"SetDTLSReplayProtectionWindow", func(e *SettingEngine) { e.SetDTLSReplayProtectionWindow(128) },
			func(e *SettingEngine) { e.DTLS.ReplayProtectionWindow = 128 },
		},
		{
			"SetDTLSCipherSuites",
			func(e *SettingEngine) { e.SetDTLSCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM) },
			func(e *SettingEngine) {
				e.DTLS.CipherSuites = []dtls.CipherSuiteID{dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM}
			},
		},
		{
			"SetDTLSSupportedProtocols", func(e *SettingEngine) { e.SetDTLSSupportedProtocols("webrtc", "c-webrtc") },
			func(e *SettingEngine) { e.DTLS.SupportedProtocols = []string{"webrtc", "c-webrtc"} },
		},
		{
			"DisableCertificateFingerprintVerification",
			func(e *SettingEngine) { e.DisableCertificateFingerprintVerification(true) },
			func(e *SettingEngine) { e.DTLS.InsecureSkipFingerprintVerification = true },
		},
		{
			"DisableCloseByDTLS", func(e *SettingEngine) { e.DisableCloseByDTLS(true) },
			func(e *SettingEngine) { e.DTLS.KeepOpenOnClose = true },
		},
		{
			"SetSCTPMaxReceiveBufferSize", func(e *SettingEngine) { e.SetSCTPMaxReceiveBufferSize(1 << 20) },
			func(e *SettingEngine) { e.SCTP.MaxReceiveBufferSize = 1 << 20 },
		},
		{
			"SetSCTPMaxMessageSize", func(e *SettingEngine) { e.SetSCTPMaxMessageSize(1 << 16) },
			func(e *SettingEngine) { e.SCTP.MaxMessageSize = 1 << 16 },
		},
		{
			"EnableSCTPZeroChecksum", func(e *SettingEngine) { e.EnableSCTPZeroChecksum(false) },
			func(e *SettingEngine) { e.SCTP.DisableZeroChecksum = true },
		},
		{
			"EnableSCTPZeroChecksum", func(e *SettingEngine) { e.EnableSCTPZeroChecksum(true) },
			func(*SettingEngine) {},
		},
		{
			"EnableSctpSnap", func(e *SettingEngine) { e.EnableSctpSnap(true) },
			func(e *SettingEngine) { e.SCTP.SNAP = true },
		},
		{
			"EnableSctpSnap", func(e *SettingEngine) { e.EnableSctpSnap(false) },
			func(e *SettingEngine) { e.SCTP.DisableSNAP = true },
		},
		{
			"SetSCTPRTOMax", func(e *SettingEngine) { e.SetSCTPRTOMax(second) },
			func(e *SettingEngine) { e.SCTP.RTOMax = second },
		},
		{
			"SetSCTPMinCwnd", func(e *SettingEngine) { e.SetSCTPMinCwnd(1) },
			func(e *SettingEngine) { e.SCTP.MinCwnd = 1 },
		},
		{
			"SetSCTPFastRtxWnd", func(e *SettingEngine) { e.SetSCTPFastRtxWnd(2) },
			func(e *SettingEngine) { e.SCTP.FastRtxWnd = 2 },
		},
		{
			"SetSCTPCwndCAStep", func(e *SettingEngine) { e.SetSCTPCwndCAStep(3) },
			func(e *SettingEngine) { e.SCTP.CwndCAStep = 3 },
		},
		{
			"DetachDataChannels", func(e *SettingEngine) { e.DetachDataChannels() },
			func(e *SettingEngine) { e.DataChannel.Detach = true },
		},
		{
			"EnableDataChannelBlockWrite", func(e *SettingEngine) { e.EnableDataChannelBlockWrite(true) },
			func(e *SettingEngine) { e.DataChannel.BlockWrite = true },
		},
		{
			"SetSRTPProtectionProfiles",
			func(e *SettingEngine) { e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_256_GCM) },
			func(e *SettingEngine) {
				e.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM}
			},
		},
		{
			"SetSRTPProtectionProfiles",
			func(e *SettingEngine) { e.SetSRTPProtectionProfiles(dtls.SRTP_NULL_HMAC_SHA1_80) },
			func(e *SettingEngine) {
				e.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_NULL_HMAC_SHA1_80}
				e.SRTP.InsecureAllowNull = true
			},
		},
		{
			"DisableSRTPReplayProtection", func(e *SettingEngine) { e.DisableSRTPReplayProtection(true) },
			func(e *SettingEngine) { e.SRTP.InsecureDisableReplayProtection = true },
		},
		{
			"DisableSRTCPReplayProtection", func(e *SettingEngine) { e.DisableSRTCPReplayProtection(true) },
			func(e *SettingEngine) { e.SRTP.InsecureDisableRTCPReplayProtection = true },
		},
		{
			"SetFireOnTrackBeforeFirstRTP", func(e *SettingEngine) { e.SetFireOnTrackBeforeFirstRTP(true) },
			func(e *SettingEngine) { e.Media.TellTracksEarly = true },
		},
		{
			"SetIgnoreRidPauseForRecv", func(e *SettingEngine) { e.SetIgnoreRidPauseForRecv(true) },
			func(e *SettingEngine) { e.Media.IgnoreRIDPause = true },
		},
		{
			"DisableMediaEngineCopy", func(e *SettingEngine) { e.DisableMediaEngineCopy(true) },
			func(e *SettingEngine) { e.Media.DisableEngineCopy = true },
		},
		{
			"SetSDPMediaLevelFingerprints", func(e *SettingEngine) { e.SetSDPMediaLevelFingerprints(true) },
			func(*SettingEngine) {},
		},
		{
			"SetSRTPReplayProtectionWindow",
			func(e *SettingEngine) { e.DisableSRTPReplayProtection(true); e.SetSRTPReplayProtectionWindow(256) },
			func(e *SettingEngine) { e.SRTP.ReplayProtectionWindow = 256 },
		},
		{
			"SetSRTCPReplayProtectionWindow",
			func(e *SettingEngine) { e.DisableSRTCPReplayProtection(true); e.SetSRTCPReplayProtectionWindow(256) },
			func(e *SettingEngine) { e.SRTP.RTCPReplayProtectionWindow = 256 },
		},
	}
}

type setterCase struct {
	name string
	set  func(*SettingEngine)
	want func(*SettingEngine)
}

// functionSetters call a setter with a function that reports its call, and
// call what the setter must have set.
func functionSetters() map[string]func(e *SettingEngine, called func()) {
	return map[string]func(e *SettingEngine, called func()){
		"SetInterfaceFilter": func(e *SettingEngine, called func()) {
			e.SetInterfaceFilter(func(string) bool { called(); return true })
			e.ICE.InterfaceFilter("")
		},
		"SetIPFilter": func(e *SettingEngine, called func()) {
			e.SetIPFilter(func(net.IP) bool { called(); return true })
			e.ICE.IPFilter(nil)
		},
		"SetRemoteIPFilter": func(e *SettingEngine, called func()) {
			e.SetRemoteIPFilter(func(net.IP) bool { called(); return true })
			e.ICE.RemoteIPFilter(nil)
		},
		"SetICEBindingRequestHandler": func(e *SettingEngine, called func()) {
			e.SetICEBindingRequestHandler(func(*stun.Message, ice.Candidate, ice.Candidate, *ice.CandidatePair) bool {
				called()

				return true
			})
			e.ICE.BindingRequestHandler(nil, nil, nil, nil)
		},
		"SetICERenomination": func(e *SettingEngine, called func()) {
			_ = e.SetICERenomination(WithRenominationGenerator(func() uint32 { called(); return 1 }))
			e.ICE.Renomination.Generator()
		},
		"SetDTLSConnectContextMaker": func(e *SettingEngine, called func()) {
			e.SetDTLSConnectContextMaker(func() (context.Context, func()) { called(); return nil, nil })
			e.DTLS.ConnectContextMaker()
		},
		"SetDTLSCustomerCipherSuites": func(e *SettingEngine, called func()) {
			e.SetDTLSCustomerCipherSuites(func() []dtls.CipherSuite { called(); return nil })
			e.DTLS.CustomCipherSuites()
		},
		"SetDTLSClientHelloMessageHook": func(e *SettingEngine, called func()) {
			e.SetDTLSClientHelloMessageHook(func(handshake.MessageClientHello) handshake.Message { called(); return nil })
			e.DTLS.ClientHelloMessageHook(handshake.MessageClientHello{})
		},
		"SetDTLSServerHelloMessageHook": func(e *SettingEngine, called func()) {
			e.SetDTLSServerHelloMessageHook(func(handshake.MessageServerHello) handshake.Message { called(); return nil })
			e.DTLS.ServerHelloMessageHook(handshake.MessageServerHello{})
		},
		"SetDTLSCertificateRequestMessageHook": func(e *SettingEngine, called func()) {
			e.SetDTLSCertificateRequestMessageHook(func(handshake.MessageCertificateRequest) handshake.Message {
				called()

				return nil
			})
			e.DTLS.CertificateRequestMessageHook(handshake.MessageCertificateRequest{})
		},
	}
}

func TestSettersOfPion(t *testing.T) {
	tested := map[string]bool{}
	for _, tc := range setterCases(t) {
		tested[tc.name] = true
		t.Run(tc.name, func(t *testing.T) {
			var got, want SettingEngine
			tc.set(&got)
			tc.want(&want)
			assert.Equal(t, want, got)
		})
	}
	for name, call := range functionSetters() {
		tested[name] = true
		t.Run(name, func(t *testing.T) {
			calls := 0
			call(&SettingEngine{}, func() { calls++ })
			assert.Equal(t, 1, calls)
		})
	}
	for engine, i := reflect.TypeFor[*SettingEngine](), 0; i < engine.NumMethod(); i++ {
		name := engine.Method(i).Name
		assert.True(t, tested[name], "%s is in no table", name)
	}
}

// No setter panics without a SettingEngine, and those that can say so do.
func TestSettersOnNil(t *testing.T) {
	for _, tc := range setterCases(t) {
		assert.NotPanics(t, func() { tc.set(nil) }, tc.name)
	}
	engine := reflect.ValueOf((*SettingEngine)(nil))
	for i := range engine.NumMethod() {
		method := engine.Method(i)
		arguments := make([]reflect.Value, method.Type().NumIn())
		for j := range arguments {
			arguments[j] = reflect.Zero(method.Type().In(j))
		}
		call := method.Call
		if method.Type().IsVariadic() {
			call = method.CallSlice
		}
		assert.NotPanics(t, func() {
			for _, result := range call(arguments) {
				assert.ErrorIs(t, result.Interface().(error), ErrInvalidArgument, engine.Type().Method(i).Name)
			}
		})
	}
	require.ErrorIs(t, (*SettingEngine)(nil).validate(), ErrInvalidArgument)
	assert.NotNil(t, (*SettingEngine)(nil).loggerFactory())
}

// A refused setter changes nothing.
func TestSettersRefuse(t *testing.T) {
	for _, tc := range []struct {
		name string
		call func(*SettingEngine) error
	}{
		{"ports reversed", func(e *SettingEngine) error { return e.SetEphemeralUDPPortRange(5001, 5000) }},
		{"ports without an end", func(e *SettingEngine) error { return e.SetEphemeralUDPPortRange(5001, 0) }},
		{"ports without a start", func(e *SettingEngine) error { return e.SetEphemeralUDPPortRange(0, 5001) }},
		{"role auto", func(e *SettingEngine) error { return e.SetAnsweringDTLSRole(DTLSRoleAuto) }},
		{"role unknown", func(e *SettingEngine) error { return e.SetAnsweringDTLSRole(77) }},
		{"interval zero", func(e *SettingEngine) error {
			return e.SetICERenomination(WithRenominationNominationAttribute(7), WithRenominationInterval(0))
		}},
		{"interval negative", func(e *SettingEngine) error { return e.SetICERenomination(WithRenominationInterval(-1)) }},
		{"attribute zero", func(e *SettingEngine) error {
			return e.SetICERenomination(WithRenominationNominationAttribute(0))
		}},
		{"rule without address", func(e *SettingEngine) error {
			return e.SetICEAddressRewriteRules(ICEAddressRewriteRule{})
		}},
		{"second rule bad", func(e *SettingEngine) error {
			return e.SetICEAddressRewriteRules(ICEAddressRewriteRule{External: []string{"203.0.113.1"}},
				ICEAddressRewriteRule{External: []string{"203.0.113.1"}, CIDR: "10/8"})
		}},
		{"rules beside NAT1To1IPs", func(e *SettingEngine) error {
			return e.SetICEAddressRewriteRules(ICEAddressRewriteRule{External: []string{"203.0.113.1"}})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			given := func() *SettingEngine {
				e := &SettingEngine{}
				e.ICE.PortMin, e.ICE.PortMax = 1, 2
				e.DTLS.AnsweringRole = DTLSRoleServer
				if tc.name == "rules beside NAT1To1IPs" {
					e.ICE.NAT1To1IPs = []string{"203.0.113.9"}
				}

				return e
			}
			e := given()
			require.ErrorIs(t, tc.call(e), ErrInvalidArgument)
			assert.Equal(t, given(), e)
		})
	}
	require.ErrorIs(t, (&SettingEngine{}).SetEphemeralUDPPortRange(2, 1), ice.ErrPort, "what pion programs look for")
}
