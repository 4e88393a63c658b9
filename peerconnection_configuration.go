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
	// ICECandidatePoolSize, if above 0, has gathering begin with the connection
	// instead of with the first local description. Nothing is told of it before:
	// states, candidates, errors of servers and descriptions are as without. The
	// description finds what there is then, which takes no time. There is always
	// one transport, so that 1 and 255 are alike. What was found holds sockets and
	// allocations of TURN servers until the connection is closed; a restart of ICE
	// gathers as without a pool.
	// https://www.rfc-editor.org/rfc/rfc9429#section-3.5.4
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

// SetConfiguration changes what may change, at one instant: another call sees all
// of it or nothing.
//
//   - ICEServers count for the gathering that comes: of a connection that has a
//     local description, that is a restart. Before, with a pool, candidates of
//     servers that are not there any more are dropped, with their allocations,
//     and new servers are asked at once.
//   - ICECandidatePoolSize may change until a local description is set. Above 0
//     gathering begins; 0 drops what servers gave, and they are asked anew when
//     the description is set. The sockets of host candidates stay. After it, 0
//     stands for the value that there is.
//   - AlwaysNegotiateDataChannels, if true, has the next offer have data channels,
//     and makes one needed.
//
// Servers and, before the first local description, the size of the pool are taken
// as they are: left out, they are none and 0. GetConfiguration has the present
// ones. ICETransportPolicy has to be given as it is; all other fields may be left
// zero. Another value than the present one is [ErrInvalidModification].
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
	urls, unusable := pc.gatherer.checkServers(op, config.servers())
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	switch field := pc.unchangeableLocked(config); {
	case field != "":
		return refuse(op, ErrInvalidModification, "%s cannot change", field)
	case pc.ended:
		return pc.closedError(op)
	case unusable != nil:
		return unusable
	}
	pc.config.ICEServers = config.ICEServers
	if !pc.negotiation.gathers {
		pc.config.ICECandidatePoolSize = config.ICECandidatePoolSize
	}
	if config.AlwaysNegotiateDataChannels {
		pc.config.AlwaysNegotiateDataChannels, pc.negotiation.wantsData = true, true
	}
	pools := pc.config.ICECandidatePoolSize > 0
	// After what descriptions before this call set off, and before what later ones
	// do.
	done := pc.life.group.Busy()
	pc.work.Post(nil, func() {
		defer done()
		if err := pc.gatherer.configure(op, urls, pools); err != nil {
			pc.log.Warnf("gathering ahead: %v", err)
		}
	})
	pc.checkNeededLocked()

	return nil
}

// unchangeableLocked names the first field that would change and cannot, if there
// is one.
func (pc *PeerConnection) unchangeableLocked(config Configuration) string {
	present := pc.config
	sameCertificates := len(config.Certificates) == 0 ||
		slices.EqualFunc(config.Certificates, pc.dtls.certificates, Certificate.Equals)
	for _, rule := range []struct {
		field   string
		changed bool
	}{
		{"Certificates", !sameCertificates},
		{"BundlePolicy", config.BundlePolicy != 0 && config.BundlePolicy != present.BundlePolicy},
		{"RTCPMuxPolicy", config.RTCPMuxPolicy != 0 && config.RTCPMuxPolicy != present.RTCPMuxPolicy},
		{
			"ICECandidatePoolSize",
			pc.negotiation.gathers && config.ICECandidatePoolSize != 0 &&
				config.ICECandidatePoolSize != present.ICECandidatePoolSize,
		},
		{"ICETransportPolicy", config.ICETransportPolicy != present.ICETransportPolicy},
	} {
		if rule.changed {
			return rule.field
		}
	}

	return ""
}

// closedError is the error of a call on a connection that has ended.
func (pc *PeerConnection) closedError(op string) error {
	return refuse(op, ErrInvalidState, "the connection has ended: %w", pc.life.causeOr(ErrClosed))
}
