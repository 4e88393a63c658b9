package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Configuration is what a PeerConnection is made from. The zero value is
// allowed: no servers, and a certificate of its own.
// https://www.w3.org/TR/webrtc/#rtcconfiguration-dictionary
type Configuration struct {
	// ICEServers are the STUN and TURN servers to ask.
	ICEServers []ICEServer `json:"iceServers,omitempty"`
	// ICETransportPolicy says which candidates to gather.
	ICETransportPolicy ICETransportPolicy `json:"iceTransportPolicy,omitempty"`
	// BundlePolicy is kept for pion programs: there is always one transport.
	BundlePolicy BundlePolicy `json:"bundlePolicy,omitempty"`
	// RTCPMuxPolicy is kept for pion programs: RTP and RTCP always share a
	// transport.
	RTCPMuxPolicy RTCPMuxPolicy `json:"rtcpMuxPolicy,omitempty"`
	// PeerIdentity has to be empty: identity providers are not supported, and
	// a connection must not seem to be bound to one.
	PeerIdentity string `json:"peerIdentity,omitempty"`
	// Certificates are those of DTLS, of which the first is used. If empty, one
	// is generated.
	Certificates []Certificate `json:"certificates,omitempty"`
	// ICECandidatePoolSize is how many agents gather ahead of need. It is kept
	// for pion programs and has no effect yet.
	ICECandidatePoolSize uint8 `json:"iceCandidatePoolSize,omitempty"`
	// SDPSemantics has to be unified plan, with or without fallback.
	SDPSemantics SDPSemantics `json:"sdpSemantics,omitempty"`
	// AlwaysNegotiateDataChannels offers data channels also when none has been
	// made yet.
	AlwaysNegotiateDataChannels bool `json:"alwaysNegotiateDataChannels,omitempty"`
}

// ErrInvalidModification is a change of what cannot be changed: a description
// that is not the one that was created, or a field of a Configuration. It is
// the W3C's InvalidModificationError.
var ErrInvalidModification = errors.New("invalid modification")

var (
	errPlanB    = errors.New("plan B is not supported")
	errIdentity = errors.New("identity providers are not supported")
)

func (c Configuration) clone() Configuration {
	c.Certificates = slices.Clone(c.Certificates)
	c.ICEServers = slices.Clone(c.ICEServers)
	for i := range c.ICEServers {
		c.ICEServers[i].URLs = slices.Clone(c.ICEServers[i].URLs)
	}

	return c
}

// validate tells why no connection can be made from c.
func (c Configuration) validate(now time.Time) error {
	for _, rule := range []struct {
		broken bool
		reason error
	}{
		{c.SDPSemantics == SDPSemanticsPlanB, errPlanB},
		{!sdpSemantics.has(c.SDPSemantics), fmt.Errorf("SDP semantics %d", c.SDPSemantics)},
		{c.PeerIdentity != "", errIdentity},
		{c.BundlePolicy != 0 && !bundlePolicies.has(c.BundlePolicy), fmt.Errorf("bundle policy %d", c.BundlePolicy)},
		{c.RTCPMuxPolicy != 0 && !rtcpMuxPolicies.has(c.RTCPMuxPolicy), fmt.Errorf("RTCP mux policy %d", c.RTCPMuxPolicy)},
		{!iceTransportPolicies.has(c.ICETransportPolicy), fmt.Errorf("ICE transport policy %d", c.ICETransportPolicy)},
	} {
		if rule.broken {
			return fmt.Errorf("%w: %w", ErrInvalidArgument, rule.reason)
		}
	}
	for _, certificate := range c.Certificates {
		if err := certificate.valid(now); err != nil {
			return err
		}
	}
	_, err := serverURLs(c.servers())

	return err
}

// servers are the ICE servers as the gatherer takes them. Browsers, and pion's
// programs after them, allow a query behind the URL of a STUN server, which has
// no meaning.
func (c Configuration) servers() []ICEServer {
	servers := c.clone().ICEServers
	for _, server := range servers {
		for i, url := range server.URLs {
			if strings.HasPrefix(url, "stun") {
				server.URLs[i], _, _ = strings.Cut(url, "?")
			}
		}
	}

	return servers
}

func (c Configuration) gatherOptions() ICEGatherOptions {
	return ICEGatherOptions{
		ICEServers: c.servers(), ICEGatherPolicy: c.ICETransportPolicy, ICECandidatePoolSize: c.ICECandidatePoolSize,
	}
}

// SetConfiguration changes the ICE servers. They count for the gathering that
// comes: of a connection that has a local description, that is a restart.
// ICETransportPolicy has to be given as it is; other fields may be left zero.
// Another value than the present one is [ErrInvalidModification].
// https://www.w3.org/TR/webrtc/#set-the-configuration
func (pc *PeerConnection) SetConfiguration(configuration Configuration) error {
	const op = "peerconnection set configuration"
	if err := pc.alive().usable(op); err != nil {
		return err
	}
	config := configuration.clone()
	if err := config.validate(time.Now()); err != nil {
		return opError(op, err)
	}
	present := pc.GetConfiguration()
	pc.life.mu.Lock()
	ended := pc.ended
	described := pc.negotiation.local() != nil
	pc.life.mu.Unlock()
	sameCertificates := len(config.Certificates) == 0 ||
		slices.EqualFunc(config.Certificates, present.Certificates, Certificate.Equals)
	for _, rule := range []struct {
		field   string
		changed bool
	}{
		{"Certificates", !sameCertificates},
		{"BundlePolicy", config.BundlePolicy != 0 && config.BundlePolicy != present.BundlePolicy},
		{"RTCPMuxPolicy", config.RTCPMuxPolicy != 0 && config.RTCPMuxPolicy != present.RTCPMuxPolicy},
		{
			"ICECandidatePoolSize",
			described && config.ICECandidatePoolSize != 0 && config.ICECandidatePoolSize != present.ICECandidatePoolSize,
		},
		{"ICETransportPolicy", config.ICETransportPolicy != present.ICETransportPolicy},
	} {
		if rule.changed {
			return refuse(op, ErrInvalidModification, "%s cannot change", rule.field)
		}
	}
	if ended {
		return pc.closedError(op)
	}
	if err := pc.gatherer.setServers(op, config.servers()); err != nil {
		return err
	}
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	pc.config.ICEServers = config.ICEServers

	return nil
}

// closedError is the error of a call on a connection that has ended.
func (pc *PeerConnection) closedError(op string) error {
	return refuse(op, ErrInvalidState, "the connection has ended: %w", pc.life.causeOr(ErrClosed))
}
