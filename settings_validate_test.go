package webrtc

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type pointerDialer struct{ fakeDialer }

// Every entry changes one thing in settings that are good without it. reason is
// a part of the refusal, or empty if there must be none.
func TestSettingsValidate(t *testing.T) {
	rule := func(change func(*ICEAddressRewriteRule)) func(*SettingEngine) {
		return func(e *SettingEngine) {
			r := ICEAddressRewriteRule{External: []string{"203.0.113.1"}}
			change(&r)
			e.ICE.AddressRewriteRules = []ICEAddressRewriteRule{r}
		}
	}
	nat := func(kind ICECandidateType, ips ...string) func(*SettingEngine) {
		return func(e *SettingEngine) { e.SetNAT1To1IPs(ips, kind) }
	}
	auth := func(a dtls.ClientAuthType) func(*SettingEngine) {
		return func(e *SettingEngine) { e.SetDTLSClientAuth(a) }
	}
	var (
		noNet     *vnet.Net
		noFactory *logging.DefaultLoggerFactory
		noMux     *ice.UDPMuxDefault
		noTCPMux  *ice.TCPMuxDefault
		noWriter  *bytes.Buffer
		noDialer  *pointerDialer
	)
	for _, tc := range []struct {
		name   string
		change func(*SettingEngine)
		reason string
	}{
		{"zero", func(*SettingEngine) {}, ""},
		{"nil Net pointer", func(e *SettingEngine) { e.Net = noNet }, "Net holds a nil"},
		{"nil factory pointer", func(e *SettingEngine) { e.LoggerFactory = noFactory }, "LoggerFactory holds a nil"},
		{"nil UDPMux pointer", func(e *SettingEngine) { e.SetICEUDPMux(noMux) }, "UDPMux holds a nil"},
		{"nil TCPMux pointer", func(e *SettingEngine) { e.SetICETCPMux(noTCPMux) }, "TCPMux holds a nil"},
		{"nil dialer pointer", func(e *SettingEngine) { e.SetICEProxyDialer(noDialer) }, "ProxyDialer holds a nil"},
		{"nil writer pointer", func(e *SettingEngine) { e.SetDTLSKeyLogWriter(noWriter) }, "KeyLogWriter holds a nil"},
		{"nil interfaces", func(e *SettingEngine) { e.SetICEUDPMux(nil); e.SetNet(nil) }, ""},

		{"receive MTU low", func(e *SettingEngine) { e.ReceiveMTU = 575 }, "ReceiveMTU of 575"},
		{"receive MTU lowest", func(e *SettingEngine) { e.ReceiveMTU = 576 }, ""},
		{"receive MTU high", func(e *SettingEngine) { e.ReceiveMTU = 1 << 16 }, "ReceiveMTU of 65536"},

		{"ports", func(e *SettingEngine) { e.ICE.PortMin, e.ICE.PortMax = 5000, 5000 }, ""},
		{"ports reversed", func(e *SettingEngine) { e.ICE.PortMin, e.ICE.PortMax = 2, 1 }, "ports 2 to 1"},
		{"ports, no start", func(e *SettingEngine) { e.ICE.PortMax = 1 }, "PortMax without PortMin"},
		{"network type", func(e *SettingEngine) { e.ICE.NetworkTypes = []NetworkType{9} }, "network type 9 is unknown"},
		{"network type zero", func(e *SettingEngine) { e.ICE.NetworkTypes = []NetworkType{0} }, "network type 0"},
		{"remotes", func(e *SettingEngine) { e.ICE.MaxRemoteCandidates = -1 }, "MaxRemoteCandidates"},
		{"pairs", func(e *SettingEngine) { e.ICE.MaxCandidatePairs = -1 }, "MaxCandidatePairs"},
		{"read buffer", func(e *SettingEngine) { e.ICE.ReadBufferSize = -1 }, "ReadBufferSize"},
		{"write buffer", func(e *SettingEngine) { e.ICE.WriteBufferSize = -1 }, "WriteBufferSize"},
		{"gather timeout", func(e *SettingEngine) { e.SetSTUNGatherTimeout(-1) }, "STUNGatherTimeout"},
		{"renomination", func(e *SettingEngine) { e.ICE.Renomination.Interval = -1 }, "Renomination.Interval"},
		{"monitor interval", func(e *SettingEngine) { e.ICE.NetworkMonitorInterval = -1 }, "NetworkMonitorInterval"},
		{"continual gathering", func(e *SettingEngine) { e.ICE.ContinualGathering = true }, ""},
		{"continual gathering on a mux", func(e *SettingEngine) {
			e.ICE.ContinualGathering, e.ICE.UDPMux = true, new(ice.MultiUDPMuxDefault)
		}, "stay where they are"},
		{"monitor interval, no unit", func(e *SettingEngine) { e.ICE.NetworkMonitorInterval = 2 }, "2ns is below 10ms"},
		{"continual gathering, lite", func(e *SettingEngine) {
			e.ICE.ContinualGathering, e.ICE.Lite = true, true
		}, "leaves to its peer"},
		{"continual gathering, hidden", func(e *SettingEngine) {
			e.ICE.ContinualGathering, e.ICE.MulticastDNSMode = true, ice.MulticastDNSModeQueryAndGather
		}, "hidden by mDNS"},
		{"never disconnected, never failed", func(e *SettingEngine) { e.SetICETimeouts(0, 0, time.Second) }, ""},
		{"grace without end", func(e *SettingEngine) { e.ICE.FailedGrace = -1 }, ""},
		{"no wait", func(e *SettingEngine) { e.SetHostAcceptanceMinWait(0) }, ""},

		{"mDNS mode", func(e *SettingEngine) { e.ICE.MulticastDNSMode = 4 }, "MulticastDNSMode"},
		{"mDNS name", func(e *SettingEngine) { e.ICE.MulticastDNSHostName = "a.local" }, ""},
		{"mDNS name, no .local", func(e *SettingEngine) { e.ICE.MulticastDNSHostName = "a" }, "MulticastDNSHostName"},
		{"mDNS name, two labels", func(e *SettingEngine) { e.ICE.MulticastDNSHostName = "a.b.local" }, "one label"},
		{"mDNS name, none", func(e *SettingEngine) { e.ICE.MulticastDNSHostName = ".local" }, "one label"},

		{"credentials", func(e *SettingEngine) { e.SetICECredentials("abcd", strings.Repeat("p", 22)) }, ""},
		{"long credentials", func(e *SettingEngine) {
			e.SetICECredentials(strings.Repeat("u", 256), strings.Repeat("p", 256))
		}, ""},
		{"ufrag alone", func(e *SettingEngine) { e.ICE.UsernameFragment = "libp2p+webrtc+v1/ab-_" }, ""},
		{"ufrag short", func(e *SettingEngine) { e.ICE.UsernameFragment = "abc" }, "UsernameFragment"},
		{"ufrag long", func(e *SettingEngine) { e.ICE.UsernameFragment = strings.Repeat("u", 257) }, "UsernameFragment"},
		{"ufrag, colon", func(e *SettingEngine) { e.ICE.UsernameFragment = "ab:cd" }, "UsernameFragment"},
		{"ufrag, line", func(e *SettingEngine) { e.ICE.UsernameFragment = "abcd\r\n" }, "UsernameFragment"},
		{"password short", func(e *SettingEngine) { e.ICE.Password = strings.Repeat("p", 21) }, "Password"},
		{"password, space", func(e *SettingEngine) { e.ICE.Password = strings.Repeat("p ", 22) }, "Password"},
		{"password, not ASCII", func(e *SettingEngine) { e.ICE.Password = strings.Repeat("ü", 22) }, "Password"},

		{"rule", rule(func(*ICEAddressRewriteRule) {}), ""},
		{"rule, all fields", rule(func(r *ICEAddressRewriteRule) {
			r.Local, r.CIDR, r.Iface, r.Mode = "10.0.0.1", "10.0.0.0/8", "eth0", ICEAddressRewriteAppend
			r.AsCandidateType, r.Networks = ICECandidateTypeRelay, []NetworkType{NetworkTypeUDP4}
		}), ""},
		{"rule, no external", rule(func(r *ICEAddressRewriteRule) { r.External = nil }), "no external address"},
		{"rule, external", rule(func(r *ICEAddressRewriteRule) { r.External[0] = "x" }), `external address "x"`},
		{"rule, local", rule(func(r *ICEAddressRewriteRule) { r.Local = "x" }), `local address "x"`},
		{"rule, CIDR", rule(func(r *ICEAddressRewriteRule) { r.CIDR = "10.0.0.0/33" }), "invalid CIDR"},
		{"rule, local outside", rule(func(r *ICEAddressRewriteRule) {
			r.Local, r.CIDR = "11.0.0.1", "10.0.0.0/8"
		}), "outside"},
		{"rule, prflx", rule(func(r *ICEAddressRewriteRule) { r.AsCandidateType = ICECandidateTypePrflx }), "candidate type"},
		{"rule, mode", rule(func(r *ICEAddressRewriteRule) { r.Mode = 3 }), "mode 3"},
		{"rule, network", rule(func(r *ICEAddressRewriteRule) { r.Networks = []NetworkType{-1} }), "network type -1"},
		{"NAT", nat(ICECandidateTypeHost, "203.0.113.1", "203.0.113.2/10.0.0.1", "2001:db8::1"), ""},
		{"NAT, no type", nat(0, "203.0.113.1"), ""},
		{"NAT, external", nat(ICECandidateTypeHost, "x"), "external address"},
		{"NAT, local", nat(ICECandidateTypeHost, "203.0.113.2/x"), "local address"},
		{"NAT, two slashes", nat(ICECandidateTypeHost, "203.0.113.2/10.0.0.1/8"), "local address"},
		{"NAT, relay", nat(ICECandidateTypeRelay, "203.0.113.2"), "relayed"},
		{"NAT, prflx", nat(ICECandidateTypePrflx, "203.0.113.2"), "candidate type"},
		{"NAT and rules", func(e *SettingEngine) {
			rule(func(*ICEAddressRewriteRule) {})(e)
			nat(ICECandidateTypeHost, "203.0.113.2")(e)
		}, "exclude each other"},
		{"hidden and published", func(e *SettingEngine) {
			nat(ICECandidateTypeHost, "203.0.113.2")(e)
			e.ICE.MulticastDNSMode = ice.MulticastDNSModeQueryAndGather
		}, "hides host addresses"},
		{"hidden, server-reflexive published", func(e *SettingEngine) {
			nat(ICECandidateTypeSrflx, "203.0.113.2")(e)
			e.ICE.MulticastDNSMode = ice.MulticastDNSModeQueryAndGather
		}, ""},

		{"retransmission negative", func(e *SettingEngine) { e.DTLS.RetransmissionInterval = -1 }, "RetransmissionInterval"},
		{"retransmission long", func(e *SettingEngine) {
			e.DTLS.RetransmissionInterval = time.Minute + 1
		}, "RetransmissionInterval"},
		{"DTLS MTU low", func(e *SettingEngine) { e.DTLS.MTU = 255 }, "MTU of 255"},
		{"DTLS MTU negative", func(e *SettingEngine) { e.DTLS.MTU = -1 }, "MTU of -1"},
		{"DTLS MTU high", func(e *SettingEngine) { e.DTLS.MTU = 1<<14 + 1 }, "MTU of 16385"},
		{"handshake bytes", func(e *SettingEngine) { e.DTLS.MaxHandshakeBytes = -1 }, "MaxHandshakeBytes"},
		{"DTLS window", func(e *SettingEngine) { e.SetDTLSReplayProtectionWindow(1<<16 + 1) }, "DTLS: Replay"},
		{"DTLS window, largest", func(e *SettingEngine) { e.SetDTLSReplayProtectionWindow(1 << 16) }, ""},
		{"DTLS window, all bits", func(e *SettingEngine) { e.SetDTLSReplayProtectionWindow(^uint(0)) }, "DTLS: Replay"},
		{"master secret", func(e *SettingEngine) {
			e.DTLS.RequireExtendedMasterSecret, e.DTLS.InsecureDisableExtendedMasterSecret = true, true
		}, "both required and disabled"},
		{"master secret type", func(e *SettingEngine) { e.SetDTLSExtendedMasterSecret(7) }, "master secret type 7"},
		{"client auth low", auth(-1), "InsecureClientAuth"},
		{"client auth none", auth(dtls.NoClientCert), ""},
		{"client auth high", auth(dtls.RequireAndVerifyClientCert + 1), "InsecureClientAuth"},
		{"role auto", func(e *SettingEngine) { e.DTLS.AnsweringRole = DTLSRoleAuto }, ""},
		{"role", func(e *SettingEngine) { e.DTLS.AnsweringRole = DTLSRoleServer + 1 }, "AnsweringRole"},
		{"protocol empty", func(e *SettingEngine) { e.SetDTLSSupportedProtocols("webrtc", "") }, "protocol name"},
		{"protocol long", func(e *SettingEngine) {
			e.SetDTLSSupportedProtocols(strings.Repeat("p", 256))
		}, "protocol name"},
		{"cipher suite", func(e *SettingEngine) { e.SetDTLSCipherSuites(1) }, "cipher suite 0x0001 is unknown"},
		{"cipher suites for keys alone", func(e *SettingEngine) {
			e.SetDTLSCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256)
		}, "works with certificates"},
		{"own cipher suites too", func(e *SettingEngine) {
			e.SetDTLSCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256)
			e.SetDTLSCustomerCipherSuites(func() []dtls.CipherSuite { return nil })
		}, ""},
		{"curve", func(e *SettingEngine) { e.SetDTLSEllipticCurves(1) }, "curve 0x0001 is unknown"},
		{"curves", func(e *SettingEngine) { e.SetDTLSEllipticCurves(dtlselliptic.X25519, dtlselliptic.P384) }, ""},

		{"SCTP MTU low", func(e *SettingEngine) { e.SCTP.MTU = 255 }, "MTU of 255"},
		{"SCTP MTU high", func(e *SettingEngine) { e.SCTP.MTU = 8193 }, "MTU of 8193"},
		{"window low", func(e *SettingEngine) { e.SetSCTPMaxReceiveBufferSize(1499) }, "MaxReceiveBufferSize of 1499"},
		{"window lowest", func(e *SettingEngine) { e.SetSCTPMaxReceiveBufferSize(1500) }, ""},
		{"window high", func(e *SettingEngine) { e.SetSCTPMaxReceiveBufferSize(1 << 30) }, "MaxReceiveBufferSize of"},
		{"message", func(e *SettingEngine) { e.SetSCTPMaxMessageSize(3 << 20) }, ""},
		{"message above half", func(e *SettingEngine) { e.SetSCTPMaxMessageSize(3<<20 + 1) }, "above half of"},
		{"message above half of a small window", func(e *SettingEngine) {
			e.SetSCTPMaxReceiveBufferSize(100_000)
			e.SetSCTPMaxMessageSize(50_001)
		}, "above half of MaxReceiveBufferSize, 100000"},
		{"RTO", func(e *SettingEngine) { e.SetSCTPRTOMax(-1) }, "RTOMax"},
		{"SNAP both ways", func(e *SettingEngine) { e.SCTP.SNAP, e.SCTP.DisableSNAP = true, true }, "SNAP"},

		{"RACK window", func(e *SettingEngine) { e.SCTP.RACKMinRTTWindow = -1 }, "RACKMinRTTWindow is negative"},
		{"RACK window long", func(e *SettingEngine) {
			e.SCTP.RACKMinRTTWindow = 10*time.Minute + 1
		}, "RACKMinRTTWindow of 10m0.000000001s is above 10m0s"},
		{"RACK window longest", func(e *SettingEngine) { e.SCTP.RACKMinRTTWindow = 10 * time.Minute }, ""},
		{"RACK floor", func(e *SettingEngine) { e.SCTP.RACKReorderingWindowFloor = -1 }, "RACKReorderingWindowFloor"},
		{"RACK ack", func(e *SettingEngine) { e.SCTP.RACKWorstCaseDelayedAck = -1 }, "RACKWorstCaseDelayedAck of -1ns"},
		{"RACK ack long", func(e *SettingEngine) {
			e.SCTP.RACKWorstCaseDelayedAck = 501 * time.Millisecond
		}, "RACKWorstCaseDelayedAck of 501ms"},

		{"opening without limit", func(e *SettingEngine) { e.DataChannel.OpenTimeout = -1 }, ""},
		{"unread", func(e *SettingEngine) { e.DataChannel.MaxUnreadMessages = -1 }, "MaxUnreadMessages"},
		{"backlog", func(e *SettingEngine) { e.DataChannel.AcceptBacklog = -1 }, "AcceptBacklog"},
		{"buffered", func(e *SettingEngine) { e.DataChannel.MaxBuffered = -1 }, "DataChannel: MaxBuffered"},
		{"association", func(e *SettingEngine) { e.DataChannel.MaxAssociationBuffered = -1 }, "MaxAssociationBuffered"},

		{"profile", func(e *SettingEngine) { e.SetSRTPProtectionProfiles(0x99) }, "profile 0x0099 is unknown"},
		{"profile zero", func(e *SettingEngine) { e.SetSRTPProtectionProfiles(0) }, "unknown"},
		{"NULL by its setter", func(e *SettingEngine) { e.SetSRTPProtectionProfiles(dtls.SRTP_NULL_HMAC_SHA1_32) }, ""},
		{"NULL by its field", func(e *SettingEngine) {
			e.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_NULL_HMAC_SHA1_32}
		}, "does not encrypt"},
		{"SRTP window", func(e *SettingEngine) { e.SetSRTPReplayProtectionWindow(1<<16 + 1) }, "SRTP: Replay"},
		{"SRTCP window", func(e *SettingEngine) { e.SetSRTCPReplayProtectionWindow(1<<16 + 1) }, "SRTP: RTCPReplay"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var e SettingEngine
			tc.change(&e)
			err := e.validate()
			if tc.reason == "" {
				require.NoError(t, err)

				return
			}
			require.ErrorIs(t, err, ErrInvalidArgument)
			require.ErrorContains(t, err, tc.reason)
			require.ErrorIs(t, NewAPI(WithSettingEngine(e)).ready("test"), ErrInvalidArgument)
		})
	}
}

func TestI9_KeepaliveInterval(t *testing.T) {
	for _, tc := range []struct {
		name     string
		interval time.Duration
		lite, ok bool
	}{
		{"default", 0, false, true},
		{"pion's zero", explicit(0), false, false},
		{"negative", -time.Second, false, false},
		{"shortest", 1, false, true},
		{"longest", 15 * time.Second, false, true},
		{"too long", 15*time.Second + 1, false, false},
		{"lite sends none", explicit(0), true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := SettingEngine{}
			e.ICE.KeepaliveInterval, e.ICE.Lite = tc.interval, tc.lite
			if tc.ok {
				require.NoError(t, e.validate())
			} else {
				require.ErrorIs(t, e.validate(), ErrInvalidArgument)
			}
		})
	}

	e := SettingEngine{}
	e.SetICETimeouts(time.Second, time.Second, 0)
	assert.ErrorContains(t, e.validate(), "consent")
}

// The setting that was bad first is the one that is reported.
func TestSettingsKeepFirstRefusal(t *testing.T) {
	e := SettingEngine{}
	e.SetDTLSExtendedMasterSecret(7)
	e.SetDTLSExtendedMasterSecret(8)
	assert.ErrorContains(t, e.validate(), "type 7")
}
