package webrtc

import (
	"math"
	"time"

	"github.com/pion/ice/v4"
)

// What the transports report about themselves. Names, types and JSON are
// pion/webrtc's, which follow the W3C's dictionaries with numbers of fixed
// width. A counter is of what happened since the object began; one of 32 bits
// starts again at 0 after 4,294,967,295. A field that is zero may also be one
// that nothing below fills.
// https://www.w3.org/TR/webrtc-stats/

// Stats is one of the structs of this package that end in Stats. Its dynamic
// type is the struct, not a pointer to it.
type Stats interface {
	statsMarker()
}

func (TransportStats) statsMarker()        {}
func (ICECandidatePairStats) statsMarker() {}
func (ICECandidateStats) statsMarker()     {}
func (SCTPTransportStats) statsMarker()    {}
func (DataChannelStats) statsMarker()      {}
func (CertificateStats) statsMarker()      {}
func (PeerConnectionStats) statsMarker()   {}

// StatsType tells the kinds of [Stats] apart in JSON.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcstatstype
type StatsType string

// The types of the transports and of what they are made of.
const (
	StatsTypeTransport       = StatsType("transport")        // TransportStats
	StatsTypeCandidatePair   = StatsType("candidate-pair")   // ICECandidatePairStats
	StatsTypeLocalCandidate  = StatsType("local-candidate")  // ICECandidateStats of our side
	StatsTypeRemoteCandidate = StatsType("remote-candidate") // ICECandidateStats of the peer
	StatsTypeSCTPTransport   = StatsType("sctp-transport")   // SCTPTransportStats
	StatsTypeDataChannel     = StatsType("data-channel")     // DataChannelStats
	StatsTypeCertificate     = StatsType("certificate")      // CertificateStats
	StatsTypePeerConnection  = StatsType("peer-connection")  // PeerConnectionStats
)

// The types of media. Stream, track, sender and receiver are no longer in the
// W3C's text.
const (
	StatsTypeInboundRTP        = StatsType("inbound-rtp")         // streams that arrive
	StatsTypeRemoteOutboundRTP = StatsType("remote-outbound-rtp") // the same as the peer's reports tell them
	StatsTypeOutboundRTP       = StatsType("outbound-rtp")        // streams that leave
	StatsTypeRemoteInboundRTP  = StatsType("remote-inbound-rtp")  // the same as the peer's reports tell them
	StatsTypeCSRC              = StatsType("csrc")                // what a mixed stream is mixed from
	StatsTypeCodec             = StatsType("codec")
	StatsTypeMediaPlayout      = StatsType("media-playout")
	StatsTypeStream            = StatsType("stream")
	StatsTypeTrack             = StatsType("track")
	StatsTypeSender            = StatsType("sender")
	StatsTypeReceiver          = StatsType("receiver")

	// StatsTypeMediaSource has no type of its own: pion/webrtc's has none, and
	// programs may use it as a string.
	StatsTypeMediaSource = "media-source"
)

// StatsTimestamp is a time in milliseconds since 1970-01-01 UTC, fractions
// allowed. Zero is also a time that is not known: what it stands for has not
// happened.
type StatsTimestamp float64

// Time returns the time in UTC.
func (s StatsTimestamp) Time() time.Time {
	whole, rest := math.Modf(float64(s))

	return time.UnixMilli(int64(whole)).Add(time.Duration(rest * float64(time.Millisecond))).UTC()
}

// newStatsTimestamp is exact to the millisecond.
func newStatsTimestamp(t time.Time) StatsTimestamp {
	if t.IsZero() {
		return 0 // not the year 1
	}

	return StatsTimestamp(t.UnixMilli())
}

// The IDs of what a stack has one of.
const (
	iceStatsID  = "iceTransport"
	sctpStatsID = "sctpTransport"
)

// TransportStats is what is known of an [ICETransport] and of the DTLS
// transport on it.
// https://www.w3.org/TR/webrtc-stats/#dom-rtctransportstats
type TransportStats struct {
	// ID names the transport within its stack.
	ID string `json:"id"`
	// Type is StatsTypeTransport.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`

	// ICEState is the state of the ICE transport.
	ICEState ICETransportState `json:"iceState"`
	// ICERole is our role in the checks, unknown before the start.
	ICERole ICERole `json:"iceRole"`
	// SelectedCandidatePairID is the ID of the pair's ICECandidatePairStats,
	// empty if no pair is selected.
	SelectedCandidatePairID string `json:"selectedCandidatePairId"`

	// BytesSent counts the bytes of the packets in PacketsSent, without the
	// headers of IP, UDP and TCP.
	BytesSent uint64 `json:"bytesSent"`
	// PacketsSent counts what was sent over the pairs that the agent still has,
	// checks left out.
	PacketsSent uint32 `json:"packetsSent"`
	// BytesReceived counts the bytes of the packets in PacketsReceived,
	// without the headers of IP, UDP and TCP.
	BytesReceived uint64 `json:"bytesReceived"`
	// PacketsReceived counts what came over any pair and was read by the layer
	// above, checks left out.
	PacketsReceived uint32 `json:"packetsReceived"`

	// DTLSState is the state of the DTLS transport, unknown where the ICE
	// transport reports alone.
	DTLSState DTLSTransportState `json:"dtlsState"`
	// DTLSCipher is IANA's name of the cipher suite, empty before the
	// handshake is done.
	DTLSCipher string `json:"dtlsCipher"`
	// SRTPCipher is IANA's name of the protection profile that was agreed on,
	// also if there is no media; empty if there was none.
	SRTPCipher string `json:"srtpCipher"`
	// LocalCertificateID and RemoteCertificateID name the statistics of the
	// certificates that the handshake used.
	LocalCertificateID  string `json:"localCertificateId"`
	RemoteCertificateID string `json:"remoteCertificateId"`

	// RTCPTransportStatsID names the transport of RTCP where that is not this
	// one.
	RTCPTransportStatsID string `json:"rtcpTransportStatsId"`
}

// StatsICECandidatePairState is where a pair stands in the checklist.
// https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.6
type StatsICECandidatePairState string

// The states of a pair. The agent freezes none.
const (
	StatsICECandidatePairStateFrozen     = StatsICECandidatePairState("frozen")      // waits for the check of another pair
	StatsICECandidatePairStateWaiting    = StatsICECandidatePairState("waiting")     // will be checked
	StatsICECandidatePairStateInProgress = StatsICECandidatePairState("in-progress") // its check is on the way
	StatsICECandidatePairStateSucceeded  = StatsICECandidatePairState("succeeded")   // a check was answered
	StatsICECandidatePairStateFailed     = StatsICECandidatePairState("failed")      // no check was, or with an error
)

var statsPairStates = map[ice.CandidatePairState]StatsICECandidatePairState{
	ice.CandidatePairStateWaiting:    StatsICECandidatePairStateWaiting,
	ice.CandidatePairStateInProgress: StatsICECandidatePairStateInProgress,
	ice.CandidatePairStateFailed:     StatsICECandidatePairStateFailed,
	ice.CandidatePairStateSucceeded:  StatsICECandidatePairStateSucceeded,
}

// ICECandidatePairStats is what is known of one pair of candidates. Packets
// are those that carry data: checks are counted as requests and responses.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcicecandidatepairstats
type ICECandidatePairStats struct {
	// ID is the IDs of the candidates, the local one first, with a hyphen
	// between them.
	ID string `json:"id"`
	// Type is StatsTypeCandidatePair.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// TransportID is the ID of the ICE transport's TransportStats.
	TransportID string `json:"transportId"`
	// LocalCandidateID and RemoteCandidateID are the IDs of the candidates'
	// ICECandidateStats.
	LocalCandidateID  string `json:"localCandidateId"`
	RemoteCandidateID string `json:"remoteCandidateId"`

	// Nominated tells that the pair was chosen for data, though perhaps
	// another one was later.
	Nominated bool `json:"nominated"`
	// State is empty if the agent's is none of those above.
	State StatsICECandidatePairState `json:"state"`

	// BytesSent counts the payload of UDP or TCP, in bytes.
	BytesSent uint64 `json:"bytesSent"`
	// PacketsSent counts packets that a socket took.
	PacketsSent uint32 `json:"packetsSent"`
	// LastPacketSentTimestamp is when the last of them left.
	LastPacketSentTimestamp StatsTimestamp `json:"lastPacketSentTimestamp"`
	// BytesDiscardedOnSend counts the payload of PacketsDiscardedOnSend, in
	// bytes.
	BytesDiscardedOnSend uint32 `json:"bytesDiscardedOnSend"`
	// PacketsDiscardedOnSend counts packets that a socket did not take.
	PacketsDiscardedOnSend uint32 `json:"packetsDiscardedOnSend"`
	// BytesReceived counts the payload of UDP or TCP, in bytes.
	BytesReceived uint64 `json:"bytesReceived"`
	// PacketsReceived counts packets that came while the pair was selected:
	// the agent does not tell over which one they did.
	PacketsReceived uint32 `json:"packetsReceived"`
	// LastPacketReceivedTimestamp is when the last of them came.
	LastPacketReceivedTimestamp StatsTimestamp `json:"lastPacketReceivedTimestamp"`

	// RequestsSent counts our checks, first transmissions only.
	RequestsSent uint64 `json:"requestsSent"`
	// RetransmissionsSent counts our checks that were sent again.
	RetransmissionsSent uint64 `json:"retransmissionsSent"`
	// ConsentRequestsSent counts those of our checks that only ask whether the
	// peer still agrees. https://www.rfc-editor.org/rfc/rfc7675#section-5.1
	ConsentRequestsSent uint64 `json:"consentRequestsSent"`
	// ConsentExpiredTimestamp is when the peer's consent ran out.
	ConsentExpiredTimestamp StatsTimestamp `json:"consentExpiredTimestamp"`
	// FirstRequestTimestamp and LastRequestTimestamp are the times of our
	// first and our latest check.
	FirstRequestTimestamp StatsTimestamp `json:"firstRequestTimestamp"`
	LastRequestTimestamp  StatsTimestamp `json:"lastRequestTimestamp"`
	// ResponsesReceived counts the peer's answers.
	ResponsesReceived uint64 `json:"responsesReceived"`
	// FirstResponseTimestamp and LastResponseTimestamp are the times of the
	// first and the latest answer.
	FirstResponseTimestamp StatsTimestamp `json:"firstResponseTimestamp"`
	LastResponseTimestamp  StatsTimestamp `json:"lastResponseTimestamp"`
	// CurrentRoundTripTime is the time from the latest answered check to its
	// answer, in seconds.
	CurrentRoundTripTime float64 `json:"currentRoundTripTime"`
	// TotalRoundTripTime is the sum over all answers, in seconds. Divided by
	// ResponsesReceived it gives the mean.
	TotalRoundTripTime float64 `json:"totalRoundTripTime"`

	// RequestsReceived counts the peer's checks of every purpose, repeated
	// ones too.
	RequestsReceived uint64 `json:"requestsReceived"`
	// RetransmissionsReceived counts the repeated ones.
	RetransmissionsReceived uint64 `json:"retransmissionsReceived"`
	// ResponsesSent counts our answers.
	ResponsesSent uint64 `json:"responsesSent"`
	// FirstRequestReceivedTimestamp and LastRequestReceivedTimestamp are the
	// times of the peer's first and latest check.
	FirstRequestReceivedTimestamp StatsTimestamp `json:"firstRequestReceivedTimestamp"`
	LastRequestReceivedTimestamp  StatsTimestamp `json:"lastRequestReceivedTimestamp"`

	// AvailableIncomingBitrate and AvailableOutgoingBitrate are congestion
	// control's estimates for all RTP of the pair, in bits per second.
	AvailableIncomingBitrate float64 `json:"availableIncomingBitrate"`
	AvailableOutgoingBitrate float64 `json:"availableOutgoingBitrate"`
	// CircuitBreakerTriggerCount counts how often sending was stopped because
	// the peer's reports told that nothing arrives.
	// https://www.rfc-editor.org/rfc/rfc8083
	CircuitBreakerTriggerCount uint32 `json:"circuitBreakerTriggerCount"`
}

func newCandidatePairStats(from ice.CandidatePairStats) ICECandidatePairStats {
	at := newStatsTimestamp
	s := ICECandidatePairStats{
		ID:   candidatePairStatsID(from.LocalCandidateID, from.RemoteCandidateID),
		Type: StatsTypeCandidatePair, Timestamp: at(from.Timestamp),
		TransportID:      iceStatsID,
		LocalCandidateID: from.LocalCandidateID, RemoteCandidateID: from.RemoteCandidateID,
		Nominated: from.Nominated, State: statsPairStates[from.State],

		RequestsSent: from.RequestsSent, ResponsesReceived: from.ResponsesReceived,
		RequestsReceived: from.RequestsReceived, ResponsesSent: from.ResponsesSent,
		CurrentRoundTripTime: from.CurrentRoundTripTime, TotalRoundTripTime: from.TotalRoundTripTime,

		AvailableIncomingBitrate:   from.AvailableIncomingBitrate,
		AvailableOutgoingBitrate:   from.AvailableOutgoingBitrate,
		CircuitBreakerTriggerCount: from.CircuitBreakerTriggerCount,
	}
	s.BytesSent, s.PacketsSent = from.BytesSent, from.PacketsSent
	s.BytesReceived, s.PacketsReceived = from.BytesReceived, from.PacketsReceived
	s.LastPacketSentTimestamp = at(from.LastPacketSentTimestamp)
	s.LastPacketReceivedTimestamp = at(from.LastPacketReceivedTimestamp)
	s.RetransmissionsSent, s.RetransmissionsReceived = from.RetransmissionsSent, from.RetransmissionsReceived
	s.ConsentRequestsSent, s.ConsentExpiredTimestamp = from.ConsentRequestsSent, at(from.ConsentExpiredTimestamp)
	s.FirstRequestTimestamp, s.LastRequestTimestamp = at(from.FirstRequestTimestamp), at(from.LastRequestTimestamp)
	s.FirstResponseTimestamp, s.LastResponseTimestamp = at(from.FirstResponseTimestamp), at(from.LastResponseTimestamp)
	s.FirstRequestReceivedTimestamp = at(from.FirstRequestReceivedTimestamp)
	s.LastRequestReceivedTimestamp = at(from.LastRequestReceivedTimestamp)

	return s
}

func candidatePairStatsID(local, remote string) string { return local + "-" + remote }

// ICECandidateStats is what is known of one candidate.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcicecandidatestats
type ICECandidateStats struct {
	// ID is the agent's name for the candidate.
	ID string `json:"id"`
	// Type is StatsTypeLocalCandidate or StatsTypeRemoteCandidate.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// TransportID is the ID of the ICE transport's TransportStats.
	TransportID string `json:"transportId"`

	// CandidateType is how the address was found.
	CandidateType ICECandidateType `json:"candidateType"`
	// Protocol is "udp" or "tcp".
	Protocol string `json:"protocol"`
	// IP is the address, IPv4 or IPv6.
	IP string `json:"ip"`
	// Port is the port of IP.
	Port int32 `json:"port"`
	// Priority is the one that the candidate was signaled with.
	Priority int32 `json:"priority"`
	// URL is the STUN or TURN server that a local candidate comes from.
	URL string `json:"url"`
	// RelayProtocol is how a local candidate talks to its TURN server: "udp",
	// "tcp" or "tls".
	RelayProtocol string `json:"relayProtocol"`
	// NetworkType is the kind of interface of a local candidate. The W3C's
	// text gave it up because it tells too much about people.
	NetworkType string `json:"networkType,omitempty"`
	// Deleted tells that the socket or allocation of a local candidate has
	// been given back.
	Deleted bool `json:"deleted"`
}

// newICECandidateStats leaves NetworkType empty: the agent knows no kind of
// interface, only what the address is.
func newICECandidateStats(from ice.CandidateStats, kind StatsType) ICECandidateStats {
	return ICECandidateStats{
		ID: from.ID, Type: kind, Timestamp: newStatsTimestamp(from.Timestamp), TransportID: iceStatsID,
		CandidateType: ICECandidateType(from.CandidateType), Protocol: from.NetworkType.NetworkShort(),
		IP: from.IP, Port: int32(from.Port), //nolint:gosec // a port
		Priority: int32(from.Priority), //nolint:gosec // the dictionary's type
		URL:      from.URL, RelayProtocol: from.RelayProtocol, Deleted: from.Deleted,
	}
}
