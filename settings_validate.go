package webrtc

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/ice/v4"
)

const (
	// maxKeepaliveInterval leaves two checks before consent, which lasts 30 s,
	// is lost.
	maxKeepaliveInterval = 15 * time.Second

	// maxRetransmissionInterval is the longest that RFC 6347 allows.
	maxRetransmissionInterval = time.Minute

	// maxReplayWindow bounds the bits that are kept for each connection. RTP's
	// sequence numbers have no more.
	maxReplayWindow = 1 << 16

	// minMonitorInterval keeps a forgotten unit from being a busy loop.
	minMonitorInterval = 10 * time.Millisecond

	// minReceiveWindow is what every SCTP endpoint must announce at least:
	// https://datatracker.ietf.org/doc/html/rfc9260#section-3.3.2
	minReceiveWindow = 1500

	// maxReceiveWindow is where the arithmetic of the sctp module ends.
	maxReceiveWindow = 1<<30 - 1

	// maxMinRTTWindow bounds the measurements that the sctp module keeps: each
	// that is longer than those after it, one for a packet with new data.
	maxMinRTTWindow = 10 * time.Minute

	// maxDelayedAck is where RFC 9260 ends.
	// https://www.rfc-editor.org/rfc/rfc9260#section-16
	maxDelayedAck = 500 * time.Millisecond

	// An SCTP packet below 256 bytes is mostly headers; the module reads 8 KB.
	minSCTPMTU, maxSCTPMTU = 256, 8192

	// A DTLS record holds up to 16 KB; a fragment of a message 25 bytes less.
	minDTLSMTU, maxDTLSMTU = 256, 1 << 14

	// minReceiveMTU is what every IPv4 host takes, maxReceiveMTU is the
	// longest UDP payload.
	minReceiveMTU, maxReceiveMTU = 576, 1<<16 - 1

	// RFC 8445, section 5.3, as numbers of characters.
	minUfragLen, minPasswordLen = 4, 22
)

// settingRule is one thing that can be wrong with the settings.
type settingRule struct {
	broken bool
	reason string
}

func firstBroken(rules []settingRule) error {
	for _, r := range rules {
		if r.broken {
			return errors.New(r.reason)
		}
	}

	return nil
}

// validate refuses what is out of range or contradicts itself, and says why.
// It looks at the settings as the program gave them, before the defaults.
func (e *SettingEngine) validate() error {
	const op = "settings"

	if e == nil {
		return refuse(op, ErrInvalidArgument, "nil SettingEngine")
	}
	if e.refused != nil {
		return e.refused
	}
	for _, layer := range []struct {
		name  string
		check func() error
	}{
		{"SettingEngine", e.validateCommon},
		{"ICE", e.ICE.validate},
		{"DTLS", e.DTLS.validate},
		{"SCTP", e.SCTP.validate},
		{"DataChannel", e.DataChannel.validate},
		{"SRTP", e.SRTP.validate},
	} {
		if err := layer.check(); err != nil {
			return refuse(op, ErrInvalidArgument, "%s: %w", layer.name, err)
		}
	}

	return nil
}

func (e *SettingEngine) validateCommon() error {
	// A nil pointer in an interface passes every test for nil and then panics.
	for _, field := range []struct {
		name  string
		value any
	}{
		{"Net", e.Net},
		{"LoggerFactory", e.LoggerFactory},
		{"ICE.UDPMux", e.ICE.UDPMux},
		{"ICE.TCPMux", e.ICE.TCPMux},
		{"ICE.ProxyDialer", e.ICE.ProxyDialer},
		{"DTLS.InsecureKeyLogWriter", e.DTLS.InsecureKeyLogWriter},
	} {
		if field.value != nil && isNilPointer(field.value) {
			return fmt.Errorf("%s holds a nil %T", field.name, field.value)
		}
		if err := refusalOf(field.value); err != nil {
			return err
		}
	}

	return firstBroken([]settingRule{
		{
			e.ReceiveMTU != 0 && !within(e.ReceiveMTU, minReceiveMTU, maxReceiveMTU),
			fmt.Sprintf("ReceiveMTU of %d bytes", e.ReceiveMTU),
		},
	})
}

func (s *ICESettings) validate() error {
	if err := validateNetworks(s.NetworkTypes); err != nil {
		return err
	}
	if err := s.validateAddresses(); err != nil {
		return err
	}
	if s.PortMax < s.PortMin {
		return fmt.Errorf("ports %d to %d: %w", s.PortMin, s.PortMax, ice.ErrPort)
	}

	hides := s.MulticastDNSMode == ice.MulticastDNSModeQueryAndGather
	host, local := strings.CutSuffix(s.MulticastDNSHostName, ".local")

	return firstBroken([]settingRule{
		{s.PortMin == 0 && s.PortMax != 0, "PortMax without PortMin"},
		{s.MaxRemoteCandidates < 0, "MaxRemoteCandidates is negative"},
		{s.MaxCandidatePairs < 0, "MaxCandidatePairs is negative"},
		{s.ReadBufferSize < 0, "ReadBufferSize is negative"},
		{s.WriteBufferSize < 0, "WriteBufferSize is negative"},
		{s.STUNGatherTimeout < 0, "STUNGatherTimeout is negative"},
		{s.TURNGatherTimeout < 0, "TURNGatherTimeout is negative"},
		{s.Renomination.Interval < 0, "Renomination.Interval is negative"},
		{
			s.NetworkMonitorInterval != 0 && s.NetworkMonitorInterval < minMonitorInterval,
			fmt.Sprintf("NetworkMonitorInterval of %v is below %v", s.NetworkMonitorInterval, minMonitorInterval),
		},
		{
			s.ContinualGathering && (s.UDPMux != nil || s.TCPMux != nil),
			"ContinualGathering opens sockets on new addresses; those of UDPMux and TCPMux stay where they are",
		},
		{s.ContinualGathering && s.Lite, "ContinualGathering moves a pair, which a lite agent leaves to its peer"},
		{s.ContinualGathering && hides, "ContinualGathering cannot have new addresses hidden by mDNS"},
		{
			s.KeepaliveInterval < 0 && !s.Lite,
			"without keepalives the peer's consent cannot be renewed: KeepaliveInterval",
		},
		{
			s.KeepaliveInterval > maxKeepaliveInterval,
			fmt.Sprintf("KeepaliveInterval of %v is above %v", s.KeepaliveInterval, maxKeepaliveInterval),
		},
		{s.MulticastDNSMode > ice.MulticastDNSModeQueryAndGather, "unknown MulticastDNSMode"},
		{
			s.MulticastDNSHostName != "" && (!local || host == "" || strings.Contains(host, ".")),
			"MulticastDNSHostName is not one label and .local",
		},
		{hides && s.rewritesHost(), "MulticastDNSMode hides host addresses that a rewrite rule would publish"},
		{!validCredential(s.UsernameFragment, minUfragLen), "UsernameFragment is not 4 to 256 ICE characters"},
		{!validCredential(s.Password, minPasswordLen), "Password is not 22 to 256 ICE characters"},
	})
}

func (s *ICESettings) rewritesHost() bool {
	return slices.ContainsFunc(s.rewriteRules(), func(r ice.AddressRewriteRule) bool {
		return r.AsCandidateType == ice.CandidateTypeHost
	})
}

// validCredential takes what our own peers take, and nothing, for which the
// agent makes one up.
func validCredential(text string, minLen int) bool {
	return text == "" ||
		within(len(text), minLen, maxICECredential) && !strings.ContainsFunc(text, notInCredentials)
}

// validateAddresses checks the rewriting of addresses in both forms.
func (s *ICESettings) validateAddresses() error {
	for i, r := range s.AddressRewriteRules {
		if err := r.validate(); err != nil {
			return fmt.Errorf("address rewrite rule %d: %w", i, err)
		}
	}
	if len(s.NAT1To1IPs) == 0 {
		return nil
	}
	if len(s.AddressRewriteRules) > 0 {
		return errors.New("AddressRewriteRules and NAT1To1IPs exclude each other")
	}
	if s.NAT1To1IPCandidateType == ICECandidateTypeRelay {
		return errors.New("NAT1To1IPs for relayed candidates")
	}
	for _, mapping := range s.NAT1To1IPs {
		external, local, _ := strings.Cut(mapping, "/")
		rule := ICEAddressRewriteRule{
			External: []string{external}, Local: local, AsCandidateType: s.NAT1To1IPCandidateType,
		}
		if err := rule.validate(); err != nil {
			return fmt.Errorf("NAT1To1IPs: %w", err)
		}
	}

	return nil
}

func (r *ICEAddressRewriteRule) validate() error {
	if len(r.External) == 0 {
		return errors.New("no external address")
	}
	for _, external := range r.External {
		if net.ParseIP(strings.TrimSpace(external)) == nil {
			return fmt.Errorf("external address %q", external)
		}
	}
	local := net.ParseIP(strings.TrimSpace(r.Local))
	if r.Local != "" && local == nil {
		return fmt.Errorf("local address %q", r.Local)
	}
	if r.CIDR != "" {
		_, network, err := net.ParseCIDR(r.CIDR)
		if err != nil {
			return err
		}
		if local != nil && !network.Contains(local) {
			return fmt.Errorf("local address %s is outside %s", r.Local, r.CIDR)
		}
	}
	if lookup(rewriteCandidateTypes, r.AsCandidateType) == 0 {
		return fmt.Errorf("candidate type %d", r.AsCandidateType)
	}
	if r.Mode > ICEAddressRewriteAppend {
		return fmt.Errorf("mode %d", r.Mode)
	}

	return validateNetworks(r.Networks)
}

func validateNetworks(types []NetworkType) error {
	for _, t := range types {
		if lookup(iceNetworkTypes, t) == 0 {
			return fmt.Errorf("network type %d is %w", t, ErrUnknownType)
		}
	}

	return nil
}

func (s *DTLSSettings) validate() error {
	usable := len(s.CipherSuites) == 0 || s.CustomCipherSuites != nil
	for _, id := range s.CipherSuites {
		name := dtls.CipherSuiteName(id)
		if !strings.HasPrefix(name, "TLS_") { // a number, for want of a name
			return fmt.Errorf("cipher suite %s is %w", name, ErrUnknownType)
		}
		usable = usable || !strings.Contains(name, "_PSK_")
	}
	if !usable {
		return errors.New("no cipher suite works with certificates")
	}
	for _, curve := range s.EllipticCurves {
		if !dtlselliptic.Curves()[curve] {
			return fmt.Errorf("elliptic curve 0x%04x is %w", uint16(curve), ErrUnknownType)
		}
	}

	auth := s.InsecureClientAuth

	return firstBroken([]settingRule{
		{
			!within(s.RetransmissionInterval, 0, maxRetransmissionInterval),
			fmt.Sprintf("RetransmissionInterval of %v", s.RetransmissionInterval),
		},
		{s.MTU != 0 && !within(s.MTU, minDTLSMTU, maxDTLSMTU), fmt.Sprintf("MTU of %d bytes", s.MTU)},
		{s.MaxHandshakeBytes < 0, "MaxHandshakeBytes is negative"},
		{s.ReplayProtectionWindow > maxReplayWindow, "ReplayProtectionWindow above 65536"},
		{
			s.RequireExtendedMasterSecret && s.InsecureDisableExtendedMasterSecret,
			"the extended master secret is both required and disabled",
		},
		{auth != nil && !within(*auth, dtls.NoClientCert, dtls.RequireAndVerifyClientCert), "unknown InsecureClientAuth"},
		{!within(s.AnsweringRole, 0, DTLSRoleServer), "unknown AnsweringRole"},
		{slices.ContainsFunc(s.SupportedProtocols, badProtocol), "a protocol name is not of 1 to 255 bytes"},
	})
}

// badProtocol tells whether a name does not fit the extension:
// https://datatracker.ietf.org/doc/html/rfc7301#section-3.1
func badProtocol(name string) bool { return !within(len(name), 1, 255) }

func (s *SCTPSettings) validate() error {
	window := s.MaxReceiveBufferSize
	setDefault(&window, defaultReceiveBufferSize)

	return firstBroken([]settingRule{
		{s.MTU != 0 && !within(s.MTU, minSCTPMTU, maxSCTPMTU), fmt.Sprintf("MTU of %d bytes", s.MTU)},
		{
			!within(window, minReceiveWindow, maxReceiveWindow),
			fmt.Sprintf("MaxReceiveBufferSize of %d bytes", window),
		},
		{
			s.MaxMessageSize > window/2,
			fmt.Sprintf("MaxMessageSize of %d bytes is above half of MaxReceiveBufferSize, %d", s.MaxMessageSize, window),
		},
		{s.SNAP && s.DisableSNAP, "SNAP and DisableSNAP are both set"},
		{s.RTOMax < 0, "RTOMax is negative"},
		{s.RACKMinRTTWindow < 0, "RACKMinRTTWindow is negative"},
		{
			s.RACKMinRTTWindow > maxMinRTTWindow,
			fmt.Sprintf("RACKMinRTTWindow of %v is above %v", s.RACKMinRTTWindow, maxMinRTTWindow),
		},
		{s.RACKReorderingWindowFloor < 0, "RACKReorderingWindowFloor is negative"},
		{
			!within(s.RACKWorstCaseDelayedAck, 0, maxDelayedAck),
			fmt.Sprintf("RACKWorstCaseDelayedAck of %v", s.RACKWorstCaseDelayedAck),
		},
	})
}

func (s *DataChannelSettings) validate() error {
	return firstBroken([]settingRule{
		{s.AcceptBacklog < 0, "AcceptBacklog is negative"},
		{s.MaxUnreadMessages < 0, "MaxUnreadMessages is negative"},
		{s.MaxBuffered < 0, "MaxBuffered is negative"},
		{s.MaxAssociationBuffered < 0, "MaxAssociationBuffered is negative"},
	})
}

func (s *SRTPSettings) validate() error {
	for _, p := range s.ProtectionProfiles {
		switch {
		case !knownProfile(p):
			return fmt.Errorf("protection profile 0x%04x is %w", uint16(p), ErrUnknownType)
		case isNullProfile(p) && !s.InsecureAllowNull:
			return errors.New("a protection profile does not encrypt, and InsecureAllowNull is not set")
		}
	}

	return firstBroken([]settingRule{
		{s.ReplayProtectionWindow > maxReplayWindow, "ReplayProtectionWindow above 65536"},
		{s.RTCPReplayProtectionWindow > maxReplayWindow, "RTCPReplayProtectionWindow above 65536"},
		{s.MaxUnsignaledStreams < 0, "MaxUnsignaledStreams is negative"},
		{s.MaxQueuedPackets < 0, "MaxQueuedPackets is negative"},
		{s.MaxQueuedBytes < 0, "MaxQueuedBytes is negative"},
	})
}

func isNullProfile(p dtls.SRTPProtectionProfile) bool {
	return p == dtls.SRTP_NULL_HMAC_SHA1_80 || p == dtls.SRTP_NULL_HMAC_SHA1_32
}

func knownProfile(p dtls.SRTPProtectionProfile) bool {
	return isNullProfile(p) || slices.Contains([]dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM,
		dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AES128_CM_HMAC_SHA1_32,
		dtls.SRTP_AES256_CM_SHA1_80, dtls.SRTP_AES256_CM_SHA1_32,
	}, p)
}

func within[T cmp.Ordered](value, low, high T) bool { return low <= value && value <= high }
