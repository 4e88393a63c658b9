package webrtc

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// What a PeerConnection refuses at every stage of its life.

type badConnectionCall = badCallOn[*connectionSite]

// connectionSite is a connection at one stage, with what the calls need.
type connectionSite struct {
	*PeerConnection

	peer    *PeerConnection
	created SessionDescription // by CreateOffer or CreateAnswer, and not set yet
	remote  SessionDescription // a good one of the peer's
	channel *DataChannel
	media   *RTPTransceiver // that sends a track
	stopped *RTPTransceiver
	events  *atomic.Int64
}

func (s *connectionSite) look() string {
	synctest.Wait() // events that a refused call has posted are told now

	return lookAtConnection(s.PeerConnection) + fmt.Sprintln("events", s.events.Load())
}

// lookAtConnection is all of a connection that a program can see or come to
// see.
func lookAtConnection(pc *PeerConnection) string {
	var b strings.Builder
	fmt.Fprintln(&b, "states", pc.ConnectionState(), pc.ICEConnectionState(), pc.SignalingState(), pc.ICEGatheringState(),
		pc.CanTrickleICECandidates(), context.Cause(pc.Context()))
	config := pc.GetConfiguration()
	config.Certificates = nil
	fmt.Fprintf(&b, "%+v\n", config)
	for _, d := range []*SessionDescription{
		pc.LocalDescription(), pc.CurrentLocalDescription(), pc.PendingLocalDescription(),
		pc.RemoteDescription(), pc.CurrentRemoteDescription(), pc.PendingRemoteDescription(),
	} {
		fmt.Fprintln(&b, "description", d)
	}
	dtls := pc.SCTP().Transport()
	ice := dtls.ICETransport()
	remote, err := ice.GetRemoteParameters()
	fmt.Fprintln(&b, "ice", ice.State(), ice.Role(), remote, err, context.Cause(ice.Context()))
	pair, err := ice.GetSelectedCandidatePair()
	fmt.Fprintln(&b, pair, err)
	fmt.Fprintln(&b, "dtls", dtls.State(), context.Cause(dtls.Context()))
	fmt.Fprintln(&b, "sctp", pc.sctp.State(), pc.sctp.GetCapabilities().MaxMessageSize, context.Cause(pc.sctp.Context()))
	pc.sctp.streams.mu.Lock()
	fmt.Fprintln(&b, "streams", pc.sctp.streams.inUse)
	pc.sctp.streams.mu.Unlock()
	pc.gatherer.agent().remotes.mu.Lock()
	fmt.Fprintln(&b, "remote candidates", pc.gatherer.agent().remotes.total)
	for _, t := range pc.GetTransceivers() {
		fmt.Fprintf(&b, "transceiver %v %q %v", t.Kind(), t.Mid(), t.Direction())
		fmt.Fprintln(&b, t.Sender().Track(), t.Sender().GetParameters(), t.preferred)
		fmt.Fprintln(&b, context.Cause(t.Sender().Context()), t.Receiver().Tracks(), context.Cause(t.Receiver().Context()))
	}
	pc.gatherer.agent().remotes.mu.Unlock()
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	n := pc.negotiation
	fmt.Fprintln(&b, "candidates that wait", n.candidates)
	fmt.Fprintf(&b, "negotiation %p %p %v %v %v %+v %v\n",
		n.createdOffer, n.createdAnswer, n.wantsData, n.needed, n.begun, n.peer, n.setup)
	fmt.Fprintf(&b, "%+v\n", pc.transports)

	return b.String()
}

// The calls, as tables have them.

func connectionFrom(config Configuration) func(*connectionSite) error {
	return func(*connectionSite) error { return second(NewPeerConnection(config)) }
}

func settingLocal(ctx context.Context, desc SessionDescription) func(*connectionSite) error {
	return func(s *connectionSite) error { return s.SetLocalDescriptionContext(ctx, desc) }
}

func settingRemote(desc SessionDescription) func(*connectionSite) error {
	return func(s *connectionSite) error { return s.SetRemoteDescription(desc) }
}

// mangled sets the peer's good description with something replaced; deadContext
// shows that refusals come first.
func mangled(pairs ...string) func(*connectionSite) error {
	return func(s *connectionSite) error {
		desc := s.remote
		desc.SDP = strings.NewReplacer(pairs...).Replace(desc.SDP)
		if desc.SDP == s.remote.SDP {
			return fmt.Errorf("%q is not in\n%s", pairs[0], desc.SDP)
		}

		return s.SetRemoteDescriptionContext(deadContext, desc)
	}
}

// without sets the peer's good description without the lines of one kind.
func without(prefix string) func(*connectionSite) error {
	return func(s *connectionSite) error {
		desc := s.remote
		desc.SDP = ""
		for line := range strings.Lines(s.remote.SDP) {
			if !strings.HasPrefix(line, prefix) {
				desc.SDP += line
			}
		}
		if desc.SDP == s.remote.SDP {
			return fmt.Errorf("%q begins no line of\n%s", prefix, desc.SDP)
		}

		return s.SetRemoteDescriptionContext(deadContext, desc)
	}
}

func adding(text string, place func(*ICECandidateInit)) func(*connectionSite) error {
	return func(s *connectionSite) error {
		init := ICECandidateInit{Candidate: text}
		if place != nil {
			place(&init)
		}

		return s.AddICECandidate(init)
	}
}

func mid(mid string) func(*ICECandidateInit) {
	return func(c *ICECandidateInit) { c.SDPMid = &mid }
}

func index(index uint16) func(*ICECandidateInit) {
	return func(c *ICECandidateInit) { c.SDPMLineIndex = &index }
}

func ufrag(ufrag string) func(*ICECandidateInit) {
	return func(c *ICECandidateInit) { c.UsernameFragment = &ufrag }
}

func creatingChannel(init DataChannelInit) func(*connectionSite) error {
	return func(s *connectionSite) error { return second(s.CreateDataChannel("bad", &init)) }
}

func configuring(config Configuration) func(*connectionSite) error {
	return func(s *connectionSite) error { return s.SetConfiguration(config) }
}

const goodCandidate = "candidate:1 1 udp 2130706431 10.0.0.9 9 typ host"

var (
	yes              = true
	fullID           = uint16(65535)
	unparsable       = "m=\x00"
	serverWithoutURL = []ICEServer{{URLs: []string{"stun"}}}
	turnWithout      = []ICEServer{{URLs: []string{"stun:192.0.2.1", "turn:192.0.2.1"}}}
)

// badWhenNew comes before the first description.
var badWhenNew = []badConnectionCall{
	{"NewPeerConnection", "plan B", connectionFrom(Configuration{SDPSemantics: SDPSemanticsPlanB}), ErrInvalidArgument, "plan B"},
	{"NewPeerConnection", "unknown semantics", connectionFrom(Configuration{SDPSemantics: 9}), ErrInvalidArgument, "semantics 9"},
	{"NewPeerConnection", "an identity", connectionFrom(Configuration{PeerIdentity: "x"}), ErrInvalidArgument, "identity"},
	{"NewPeerConnection", "an unknown bundle policy", connectionFrom(Configuration{BundlePolicy: 9}), ErrInvalidArgument, "bundle policy 9"},
	{"NewPeerConnection", "a negative RTCP policy", connectionFrom(Configuration{RTCPMuxPolicy: -1}), ErrInvalidArgument, "RTCP mux policy -1"},
	{"NewPeerConnection", "an unknown ICE policy", connectionFrom(Configuration{ICETransportPolicy: 9}), ErrInvalidArgument, "policy 9"},
	{"NewPeerConnection", "a zero certificate", connectionFrom(Configuration{Certificates: make([]Certificate, 1)}), ErrInvalidArgument, "certificate"},
	{"NewPeerConnection", "an expired certificate", func(*connectionSite) error {
		return second(NewPeerConnection(Configuration{Certificates: []Certificate{expiredCertificate()}}))
	}, ErrCertificateExpired, "expired"},
	{"NewPeerConnection", "a malformed server", connectionFrom(Configuration{ICEServers: serverWithoutURL}), ErrInvalidArgument, `"stun"`},
	{"NewPeerConnection", "a TURN server without credentials", connectionFrom(Configuration{ICEServers: turnWithout}), ErrNoTurnCredentials, `"turn:192.0.2.1"`},
	{"API.NewPeerConnection", "no API", func(*connectionSite) error {
		return second((*API)(nil).NewPeerConnection(Configuration{}))
	}, ErrInvalidArgument, "nil API"},
	{"API.NewPeerConnection", "a zero API", func(*connectionSite) error {
		return second((&API{}).NewPeerConnection(Configuration{}))
	}, ErrInvalidArgument, "zero API"},
	{"API.NewPeerConnection", "settings that contradict", func(*connectionSite) error {
		api := NewAPI(WithSettingEngine(SettingEngine{ICE: ICESettings{PortMin: 2, PortMax: 1}}))

		return second(api.NewPeerConnection(Configuration{}))
	}, ErrInvalidArgument, "ports 2 to 1"},

	{"PeerConnection.CreateAnswer", "no offer", func(s *connectionSite) error { return second(s.CreateAnswer(nil)) }, ErrInvalidState, "state stable"},
	{"PeerConnection.CreateDataChannel", "both limits", creatingChannel(DataChannelInit{MaxRetransmits: &five, MaxPacketLifeTime: &five}), ErrRetransmitsOrPacketLifeTime, "MaxRetransmits"},
	{"PeerConnection.CreateDataChannel", "negotiated and no id", creatingChannel(DataChannelInit{Negotiated: &yes}), ErrNegotiatedWithoutID, "needs an ID"},
	{"PeerConnection.CreateDataChannel", "an id that is none", creatingChannel(DataChannelInit{Negotiated: &yes, ID: &fullID}), ErrInvalidArgument, "ID out of range"},
	{"PeerConnection.CreateDataChannel", "a long label", func(s *connectionSite) error {
		return second(s.CreateDataChannel(strings.Repeat("x", 65536), nil))
	}, ErrStringSizeLimit, "label"},

	{"PeerConnection.SetLocalDescription", "an unknown type", func(s *connectionSite) error {
		return s.SetLocalDescription(SessionDescription{Type: 77})
	}, ErrInvalidArgument, "type 77"},
	{"PeerConnection.SetLocalDescription", "no type, and a text", func(s *connectionSite) error {
		return s.SetLocalDescription(SessionDescription{SDP: "v=0"})
	}, ErrInvalidArgument, "type 0"},
	{"PeerConnection.SetLocalDescription", "an offer that was not created", func(s *connectionSite) error {
		return s.SetLocalDescription(SessionDescription{SDPTypeOffer, "v=0"})
	}, ErrInvalidModification, "no offer was created"},
	{"PeerConnection.SetLocalDescriptionContext", "an answer to nothing", settingLocal(deadContext, SessionDescription{Type: SDPTypeAnswer}), ErrInvalidState, "a local answer in the state stable"},
	{"PeerConnection.SetLocalDescriptionContext", "a provisional answer to nothing", settingLocal(deadContext, SessionDescription{Type: SDPTypePranswer}), ErrInvalidState, "a local pranswer in the state stable"},
	{"PeerConnection.SetLocalDescriptionContext", "nothing to roll back", settingLocal(deadContext, SessionDescription{Type: SDPTypeRollback}), ErrInvalidState, "a local rollback in the state stable"},
	{"PeerConnection.SetLocalDescriptionContext", "no context", settingLocal(noContext, SessionDescription{}), ErrInvalidArgument, "nil context"},
	{"PeerConnection.SetLocalDescriptionContext", "a context that has ended", settingLocal(deadContext, SessionDescription{}), errSwept, "context canceled"},

	{"PeerConnection.SetRemoteDescription", "no type", settingRemote(SessionDescription{}), ErrInvalidArgument, "no type and no SDP"},
	{"PeerConnection.SetRemoteDescription", "an unknown type", settingRemote(SessionDescription{Type: -1}), ErrInvalidArgument, "type -1"},
	{"PeerConnection.SetRemoteDescription", "an answer to nothing", settingRemote(SessionDescription{Type: SDPTypeAnswer}), ErrInvalidState, "a remote answer in the state stable"},
	{"PeerConnection.SetRemoteDescription", "a provisional answer to nothing", settingRemote(SessionDescription{Type: SDPTypePranswer}), ErrInvalidState, "a remote pranswer in the state stable"},
	{"PeerConnection.SetRemoteDescription", "nothing to roll back", settingRemote(SessionDescription{Type: SDPTypeRollback}), ErrInvalidState, "a remote rollback in the state stable"},
	{"PeerConnection.SetRemoteDescription", "no text", settingRemote(SessionDescription{Type: SDPTypeOffer}), ErrInvalidArgument, "SDP"},
	{"PeerConnection.SetRemoteDescription", "a text that is none", settingRemote(SessionDescription{SDPTypeOffer, unparsable}), ErrInvalidArgument, "SDP line 1"},
	{"PeerConnection.SetRemoteDescriptionContext", "no context", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(noContext, s.remote)
	}, ErrInvalidArgument, "nil context"},
	{"PeerConnection.SetRemoteDescriptionContext", "a context that has ended", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(deadContext, s.remote)
	}, errSwept, "context canceled"},
	{"PeerConnection.SetRemoteDescriptionContext", "no ufrag", without("a=ice-ufrag"), ErrInvalidArgument, "credentials"},
	{"PeerConnection.SetRemoteDescriptionContext", "no password", without("a=ice-pwd"), ErrInvalidArgument, "credentials"},
	{"PeerConnection.SetRemoteDescriptionContext", "no fingerprint", without("a=fingerprint"), ErrInvalidArgument, "fingerprint"},
	{"PeerConnection.SetRemoteDescriptionContext", "a setup that is for later", mangled("a=setup:actpass", "a=setup:holdconn"), ErrInvalidArgument, "holdconn"},
	{"PeerConnection.SetRemoteDescriptionContext", "a mid that is not there", mangled("BUNDLE 0", "BUNDLE 0 1"), ErrInvalidArgument, `"1"`},

	{"PeerConnection.AddICECandidate", "a malformed text", adding("candidate:", nil), ErrInvalidArgument, "candidate"},
	{"PeerConnection.AddICECandidate", "an unspecified address", adding("candidate:1 1 udp 1 0.0.0.0 9 typ host", nil), ErrInvalidArgument, "0.0.0.0"},
	{"PeerConnection.AddICECandidate", "a loopback address", adding("candidate:1 1 udp 1 127.0.0.1 9 typ host", nil), ErrInvalidArgument, "127.0.0.1"},
	{"PeerConnection.AddICECandidate", "a host's name", adding("candidate:1 1 udp 1 example.org 9 typ host", nil), ErrInvalidArgument, "example.org"},

	{"PeerConnection.SetConfiguration", "plan B", configuring(Configuration{SDPSemantics: SDPSemanticsPlanB}), ErrInvalidArgument, "plan B"},
	{"PeerConnection.SetConfiguration", "a malformed server", configuring(Configuration{ICEServers: serverWithoutURL}), ErrInvalidArgument, `"stun"`},
	{"PeerConnection.SetConfiguration", "a TURN server without credentials", configuring(Configuration{ICEServers: turnWithout}), ErrNoTurnCredentials, `"turn:192.0.2.1"`},
	{"PeerConnection.SetConfiguration", "another bundle policy", configuring(Configuration{BundlePolicy: BundlePolicyMaxBundle}), ErrInvalidModification, "BundlePolicy"},
	{"PeerConnection.SetConfiguration", "another RTCP policy", configuring(Configuration{RTCPMuxPolicy: RTCPMuxPolicyNegotiate}), ErrInvalidModification, "RTCPMuxPolicy"},
	{"PeerConnection.SetConfiguration", "another ICE policy", configuring(Configuration{ICETransportPolicy: ICETransportPolicyRelay}), ErrInvalidModification, "ICETransportPolicy"},
	{"PeerConnection.SetConfiguration", "another certificate", func(s *connectionSite) error {
		made := testnet.Certificate(quietTB{})

		return s.SetConfiguration(Configuration{Certificates: []Certificate{CertificateFromX509(made.PrivateKey, made.Leaf)}})
	}, ErrInvalidModification, "Certificates"},

	{"PeerConnection.Connect", "no context", func(s *connectionSite) error { return s.Connect(noContext) }, ErrInvalidArgument, "nil context"},
	{"PeerConnection.Connect", "a context that has ended", func(s *connectionSite) error { return s.Connect(deadContext) }, errSwept, "context canceled"},
	{"PeerConnection.Run", "no context", func(s *connectionSite) error { return s.Run(noContext) }, ErrInvalidArgument, "nil context"},
	{"PeerConnection.Shutdown", "no context", func(s *connectionSite) error { return s.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"PeerConnection.AwaitState", "no context", func(s *connectionSite) error {
		return second(s.AwaitState(noContext, PeerConnectionStateConnected))
	}, ErrInvalidArgument, "nil context"},
	{"PeerConnection.AwaitState", "no state", func(s *connectionSite) error { return second(s.AwaitState(deadContext)) }, ErrInvalidArgument, "no state"},
	{"PeerConnection.AwaitState", "no state that there is", func(s *connectionSite) error {
		return second(s.AwaitState(deadContext, PeerConnectionState(77)))
	}, ErrInvalidArgument, "no state to wait for"},
	{"PeerConnection.AwaitState", "a context that has ended", func(s *connectionSite) error {
		return second(s.AwaitState(deadContext, PeerConnectionStateConnected))
	}, errSwept, "context canceled"},
}

// badWhenCreated comes after CreateOffer.
var badWhenCreated = []badConnectionCall{
	{"PeerConnection.SetLocalDescription", "an offer that was changed", func(s *connectionSite) error {
		desc := s.created
		desc.SDP += "a=x\r\n"

		return s.SetLocalDescription(desc)
	}, ErrInvalidModification, "not the offer that was created last"},
	{"PeerConnection.SetLocalDescription", "an offer as answer", func(s *connectionSite) error {
		return s.SetLocalDescription(SessionDescription{SDPTypeAnswer, s.created.SDP})
	}, ErrInvalidState, "a local answer in the state stable"},
	{"PeerConnection.SetLocalDescriptionContext", "a context that has ended", func(s *connectionSite) error {
		return s.SetLocalDescriptionContext(deadContext, s.created)
	}, errSwept, "context canceled"},
	{"PeerConnection.SetLocalDescriptionContext", "an empty offer, and a context that has ended", settingLocal(deadContext, SessionDescription{Type: SDPTypeOffer}), errSwept, "context canceled"},
}

// badWhenOffered comes between our offer and the peer's answer, which is remote.
var badWhenOffered = []badConnectionCall{
	{"PeerConnection.CreateAnswer", "our own offer", func(s *connectionSite) error { return second(s.CreateAnswer(nil)) }, ErrInvalidState, "have-local-offer"},
	{"PeerConnection.SetLocalDescriptionContext", "an answer to our own offer", settingLocal(deadContext, SessionDescription{Type: SDPTypeAnswer}), ErrInvalidState, "a local answer in the state have-local-offer"},
	{"PeerConnection.SetRemoteDescription", "a rollback of our offer", settingRemote(SessionDescription{Type: SDPTypeRollback}), ErrInvalidState, "a remote rollback in the state have-local-offer"},
	{"PeerConnection.SetRemoteDescriptionContext", "another mid", mangled("BUNDLE 0", "BUNDLE 7", "a=mid:0", "a=mid:7"), ErrInvalidArgument, `mid "7"`},
	{"PeerConnection.SetRemoteDescriptionContext", "another kind", mangled("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 9 UDP/TLS/RTP/SAVPF 0"), ErrInvalidArgument, "audio"},
	{"PeerConnection.SetRemoteDescriptionContext", "no role", mangled("a=setup:active", "a=setup:actpass"), ErrInvalidArgument, "actpass"},
	{"PeerConnection.SetRemoteDescriptionContext", "no ufrag", without("a=ice-ufrag"), ErrInvalidArgument, "credentials"},
	{"PeerConnection.SetRemoteDescriptionContext", "no fingerprint", without("a=fingerprint"), ErrInvalidArgument, "fingerprint"},
	{"PeerConnection.SetRemoteDescriptionContext", "no section", func(s *connectionSite) error {
		before, _, _ := strings.Cut(s.remote.SDP, "m=")

		return s.SetRemoteDescriptionContext(deadContext, SessionDescription{SDPTypeAnswer, strings.ReplaceAll(before, "a=group:BUNDLE 0\r\n", "")})
	}, ErrInvalidArgument, "sections"},
	{"PeerConnection.SetRemoteDescriptionContext", "a section too many", func(s *connectionSite) error {
		_, after, _ := strings.Cut(s.remote.SDP, "m=application")
		more := strings.ReplaceAll("m=application"+after, "a=mid:0", "a=mid:1")

		return s.SetRemoteDescriptionContext(deadContext, SessionDescription{SDPTypeAnswer, s.remote.SDP + more})
	}, ErrInvalidArgument, "section"},
	{"PeerConnection.SetRemoteDescriptionContext", "a context that has ended", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(deadContext, s.remote)
	}, errSwept, "context canceled"},
}

// badWhenAsked comes between the peer's offer and our answer.
var badWhenAsked = []badConnectionCall{
	{"PeerConnection.CreateOffer", "an offer of the peer's", func(s *connectionSite) error { return second(s.CreateOffer(nil)) }, ErrInvalidState, "have-remote-offer"},
	{"PeerConnection.SetLocalDescription", "an answer that was not created", func(s *connectionSite) error {
		return s.SetLocalDescription(SessionDescription{SDPTypeAnswer, "v=0"})
	}, ErrInvalidModification, "no answer was created"},
	{"PeerConnection.SetLocalDescriptionContext", "an offer", settingLocal(deadContext, SessionDescription{Type: SDPTypeOffer}), ErrInvalidState, "a local offer in the state have-remote-offer"},
	{"PeerConnection.SetLocalDescriptionContext", "a rollback of the peer's offer", settingLocal(deadContext, SessionDescription{Type: SDPTypeRollback}), ErrInvalidState, "a local rollback in the state have-remote-offer"},
	{"PeerConnection.SetLocalDescriptionContext", "a context that has ended", settingLocal(deadContext, SessionDescription{}), errSwept, "context canceled"},
	{"PeerConnection.SetLocalDescriptionContext", "a provisional answer, and a context that has ended", settingLocal(deadContext, SessionDescription{Type: SDPTypePranswer}), errSwept, "context canceled"},
	{"PeerConnection.SetRemoteDescription", "an answer to its own offer", settingRemote(SessionDescription{Type: SDPTypeAnswer}), ErrInvalidState, "a remote answer in the state have-remote-offer"},
	{"PeerConnection.SetRemoteDescriptionContext", "another offer, and a context that has ended", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(deadContext, s.remote)
	}, errSwept, "context canceled"},
	{"PeerConnection.SetRemoteDescriptionContext", "another offer without a fingerprint", without("a=fingerprint"), ErrInvalidArgument, "fingerprint"},
	{"PeerConnection.AddICECandidate", "an unknown mid", adding(goodCandidate, mid("7")), ErrInvalidArgument, `mid "7"`},
	{"PeerConnection.AddICECandidate", "an unknown index", adding(goodCandidate, index(1)), ErrInvalidArgument, "index 1"},
	{"PeerConnection.AddICECandidate", "another ufrag", adding(goodCandidate, ufrag("other")), ErrInvalidArgument, "ufrag"},
	{"PeerConnection.AddICECandidate", "an end of an unknown mid", adding("", mid("7")), ErrInvalidArgument, `mid "7"`},
	{"PeerConnection.AddICECandidate", "a good mid and a malformed text", adding("x", mid("0")), ErrInvalidArgument, "candidate"},
}

// badWhenUp comes while the connection is connected. remote is the peer's
// description of it, and would be a good offer.
var badWhenUp = []badConnectionCall{
	{"PeerConnection.CreateAnswer", "no offer", func(s *connectionSite) error { return second(s.CreateAnswer(nil)) }, ErrInvalidState, "state stable"},
	{"PeerConnection.SetLocalDescription", "an offer that was set before", func(s *connectionSite) error {
		return s.SetLocalDescription(*s.CurrentLocalDescription())
	}, ErrInvalidModification, "no offer was created"},
	{"PeerConnection.SetLocalDescriptionContext", "a context that has ended", settingLocal(deadContext, SessionDescription{}), errSwept, "context canceled"},
	{"PeerConnection.SetRemoteDescription", "an answer again", func(s *connectionSite) error {
		return s.SetRemoteDescription(*s.CurrentRemoteDescription())
	}, ErrInvalidState, "a remote answer in the state stable"},
	{"PeerConnection.SetRemoteDescriptionContext", "another fingerprint", mangled("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:"), ErrInvalidArgument, "certificate"},
	{"PeerConnection.SetRemoteDescriptionContext", "another mid", mangled("BUNDLE 0", "BUNDLE 7", "a=mid:0", "a=mid:7"), ErrInvalidArgument, `mid "7"`},
	{"PeerConnection.SetRemoteDescriptionContext", "no section", func(s *connectionSite) error {
		before, _, _ := strings.Cut(s.remote.SDP, "m=")

		return s.SetRemoteDescriptionContext(deadContext, SessionDescription{SDPTypeOffer, strings.ReplaceAll(before, "a=group:BUNDLE 0\r\n", "")})
	}, ErrInvalidArgument, "sections"},
	{"PeerConnection.SetRemoteDescriptionContext", "a context that has ended", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(deadContext, s.remote)
	}, errSwept, "context canceled"},
	{"PeerConnection.AddICECandidate", "an unknown mid", adding(goodCandidate, mid("7")), ErrInvalidArgument, `mid "7"`},
	{"PeerConnection.AddICECandidate", "another ufrag", adding(goodCandidate, ufrag("other")), ErrInvalidArgument, "ufrag"},
	{"PeerConnection.CreateDataChannel", "an id in use", func(s *connectionSite) error {
		return second(s.CreateDataChannel("bad", &DataChannelInit{Negotiated: &yes, ID: s.channel.ID()}))
	}, ErrInvalidArgument, "in use"},
	{"PeerConnection.SetConfiguration", "another pool", configuring(Configuration{ICECandidatePoolSize: 9}), ErrInvalidModification, "ICECandidatePoolSize"},
	{"PeerConnection.SetConfiguration", "another ICE policy", configuring(Configuration{ICETransportPolicy: ICETransportPolicyRelay}), ErrInvalidModification, "ICETransportPolicy"},
}

// badWhenOver comes after Close and Run.
var badWhenOver = []badConnectionCall{
	{"PeerConnection.CreateOffer", "a connection that has ended", func(s *connectionSite) error { return second(s.CreateOffer(nil)) }, ErrInvalidState, "ended: closed"},
	{"PeerConnection.CreateAnswer", "a connection that has ended", func(s *connectionSite) error { return second(s.CreateAnswer(nil)) }, ErrInvalidState, "ended: closed"},
	{"PeerConnection.CreateDataChannel", "a connection that has ended", func(s *connectionSite) error {
		return second(s.CreateDataChannel("late", nil))
	}, ErrInvalidState, "ended: closed"},
	{"PeerConnection.SetLocalDescription", "a connection that has ended", func(s *connectionSite) error { return s.SetLocalDescription(SessionDescription{}) }, ErrClosed, "ended: closed"},
	{"PeerConnection.SetLocalDescriptionContext", "a rollback of what has ended", settingLocal(deadContext, SessionDescription{Type: SDPTypeRollback}), ErrInvalidState, "ended: closed"},
	{"PeerConnection.SetRemoteDescription", "a connection that has ended", func(s *connectionSite) error { return s.SetRemoteDescription(s.remote) }, ErrClosed, "ended: closed"},
	{"PeerConnection.SetRemoteDescriptionContext", "a connection that has ended", func(s *connectionSite) error {
		return s.SetRemoteDescriptionContext(deadContext, s.remote)
	}, ErrInvalidState, "ended: closed"},
	{"PeerConnection.AddICECandidate", "a connection that has ended", adding(goodCandidate, nil), ErrInvalidState, "ended: closed"},
	{"PeerConnection.AddICECandidate", "an unknown mid, and a connection that has ended", adding(goodCandidate, mid("7")), ErrInvalidState, "ended: closed"},
	{"PeerConnection.AddICECandidate", "the end of candidates, and a connection that has ended", adding("", nil), ErrInvalidState, "ended: closed"},
	{"PeerConnection.SetConfiguration", "a connection that has ended", configuring(Configuration{}), ErrInvalidState, "ended: closed"},
	{"PeerConnection.Connect", "a connection that has ended", func(s *connectionSite) error { return s.Connect(deadContext) }, ErrClosed, "closed"},
	{"PeerConnection.AwaitState", "a state that cannot come", func(s *connectionSite) error {
		return second(s.AwaitState(context.Background(), PeerConnectionStateConnected))
	}, ErrClosed, "closed"},
}

var badConnectionStages = [][]badConnectionCall{
	badWhenNew, badWhenCreated, badWhenOffered, badWhenAsked, badWhenUp, badWhenOver, badWithMedia, badWithoutMedia,
}

// quietTB makes certificates for tables, which have no test at hand.
type quietTB struct{ testing.TB }

func (quietTB) Helper() {}

func newConnectionSite(pc, peer *PeerConnection) *connectionSite {
	s := &connectionSite{PeerConnection: pc, peer: peer, events: new(atomic.Int64)}
	told := func() { s.events.Add(1) }
	pc.OnConnectionStateChange(func(PeerConnectionState) { told() })
	pc.OnICEConnectionStateChange(func(ICEConnectionState) { told() })
	pc.OnSignalingStateChange(func(SignalingState) { told() })
	pc.OnICEGatheringStateChange(func(ICEGatheringState) { told() })
	pc.OnICECandidate(func(*ICECandidate) { told() })
	pc.OnNegotiationNeeded(told)

	return s
}

// Two connections take every call that is refused at every stage, and go on to
// the next stage and to the end as if there had been none.
func TestBadCallsOnAPeerConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(time.Millisecond))
		s, other := newConnectionSite(a, b), newConnectionSite(b, a)
		// What b would offer; it takes it back.
		_, err := b.CreateDataChannel("b's", &DataChannelInit{Negotiated: &yes, ID: &five})
		require.NoError(t, err)
		s.remote, err = b.CreateOffer(nil)
		require.NoError(t, err)
		refuses(t, "new", s, badWhenNew)

		s.channel, err = a.CreateDataChannel("early", nil)
		require.NoError(t, err)
		s.created, err = a.CreateOffer(nil)
		require.NoError(t, err)
		refuses(t, "created", s, badWhenCreated)
		ctx := limited(t, testTimeout)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, s.created))

		other.remote = *a.LocalDescription()
		require.NoError(t, b.SetRemoteDescriptionContext(ctx, other.remote))
		refuses(t, "asked", other, badWhenAsked)
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))

		s.remote = *b.LocalDescription()
		refuses(t, "offered", s, badWhenOffered)
		require.NoError(t, a.SetRemoteDescriptionContext(ctx, s.remote))
		connectPeers(t, a, b)
		early, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		exchange(t, s.channel, early)

		time.Sleep(time.Second) // in virtual time, until all is acknowledged
		s.remote, err = b.CreateOffer(nil)
		require.NoError(t, err)
		refuses(t, "up", s, badWhenUp)
		exchange(t, s.channel, early)
		negotiate(t, b, a)
		exchange(t, s.channel, early)
		assert.Equal(t, PeerConnectionStateConnected, a.ConnectionState())

		requirePeersGone(t, network, a, b)
		require.NoError(t, a.Run(ctx))
		refuses(t, "over", s, badWhenOver)
		require.NoError(t, a.Close())
		require.NoError(t, a.Shutdown(deadContext))
	})
}

// What CreateOffer and CreateAnswer have made is set only where it still fits,
// and SetLocalDescription without a text makes what fits.
func TestDescriptionsThatNoLongerFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("a's", nil)
		require.NoError(t, err)
		first, err := a.CreateOffer(nil)
		require.NoError(t, err)

		// The answer is to an offer that another has replaced, or that was taken
		// back.
		require.NoError(t, b.SetRemoteDescription(first))
		answer, err := b.CreateAnswer(nil)
		require.NoError(t, err)
		require.NoError(t, b.SetRemoteDescription(first))
		require.ErrorIs(t, b.SetLocalDescription(answer), ErrInvalidModification)
		answer, err = b.CreateAnswer(nil)
		require.NoError(t, err)
		require.NoError(t, b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))
		require.ErrorIs(t, b.SetLocalDescription(answer), ErrInvalidState)
		require.NoError(t, b.SetRemoteDescription(first))
		require.ErrorIs(t, b.SetLocalDescription(answer), ErrInvalidModification)
		require.NoError(t, b.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}))

		// The offer is from before the channel.
		empty, err := b.CreateOffer(nil)
		require.NoError(t, err)
		require.NotContains(t, empty.SDP, "m=application")
		_, err = b.CreateDataChannel("b's", nil)
		require.NoError(t, err)
		require.NoError(t, b.SetLocalDescription(SessionDescription{}))
		require.Contains(t, b.LocalDescription().SDP, "m=application")
		require.NoError(t, b.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))

		negotiate(t, a, b)
		connectPeers(t, a, b)
		require.ErrorIs(t, a.SetLocalDescription(first), ErrInvalidModification)
		requirePeersGone(t, network, a, b)
	})
}

// Candidates that are repeated, in descriptions or by themselves, take one place
// each of those that wait.
func TestP5_RepeatedCandidatesWaitOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.CreateDataChannel("a's", nil)
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
		offer := *a.LocalDescription()
		require.Contains(t, offer.SDP, "a=candidate:")
		for range 2 * defaultMaxRemoteCandidates {
			require.NoError(t, b.SetRemoteDescription(offer))
			require.NoError(t, b.AddICECandidate(ICECandidateInit{Candidate: goodCandidate}))
		}
		require.Len(t, b.negotiation.candidates, 2)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		requirePeersGone(t, network, a, b)
	})
}

// When Connect has returned the channels that were made before can send.
func TestConnectMeansThatChannelsAreOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := peers(t)
		var channels []*DataChannel
		for range 100 { // fewer than AcceptBacklog
			c, err := a.CreateDataChannel("early", nil)
			require.NoError(t, err)
			channels = append(channels, c)
		}
		negotiate(t, a, b)
		require.NoError(t, a.Connect(limited(t, testTimeout)))
		for _, c := range channels {
			require.Equal(t, DataChannelStateOpen, c.ReadyState())
		}
		requirePeersGone(t, network, a, b)
	})
}
