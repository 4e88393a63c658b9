package webrtc

import (
	"math"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/sctp"
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
	StatsTypeCertificate     = StatsType("certificate")
	StatsTypePeerConnection  = StatsType("peer-connection")
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
	// SRTPCipher is IANA's name of the protection profile, empty without SRTP.
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

// newCandidatePairStats leaves TransportID to the caller, who knows it.
func newCandidatePairStats(from ice.CandidatePairStats) ICECandidatePairStats {
	at := newStatsTimestamp
	s := ICECandidatePairStats{
		ID:   candidatePairStatsID(from.LocalCandidateID, from.RemoteCandidateID),
		Type: StatsTypeCandidatePair, Timestamp: at(from.Timestamp),
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

// SCTPTransportStats is what is known of an association. Windows and sizes are
// those of the socket interface's names below.
// https://www.rfc-editor.org/rfc/rfc6458#section-8.2.1
type SCTPTransportStats struct {
	// ID names the transport within its stack.
	ID string `json:"id"`
	// Type is StatsTypeSCTPTransport.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// TransportID is the ID of the TransportStats of what is below.
	TransportID string `json:"transportId"`

	// BytesSent and BytesReceived count SCTP packets, their headers included,
	// in bytes.
	BytesSent     uint64 `json:"bytesSent"`
	BytesReceived uint64 `json:"bytesReceived"`

	// MTU is the largest SCTP packet that is sent, in bytes (spinfo_mtu).
	MTU uint32 `json:"mtu"`
	// CongestionWindow is in bytes (spinfo_cwnd).
	CongestionWindow uint32 `json:"congestionWindow"`
	// ReceiverWindow is what the peer has room for, in bytes (sstat_rwnd).
	ReceiverWindow uint32 `json:"receiverWindow"`
	// UNACKData counts DATA chunks that wait for the peer's acknowledgement
	// (sstat_unackdata).
	UNACKData uint32 `json:"unackData"`
	// SmoothedRoundTripTime is in seconds (spinfo_srtt), 0 before the first
	// measurement.
	SmoothedRoundTripTime float64 `json:"smoothedRoundTripTime"`

	// Metadata is what the two sides agreed on; nil while there is no
	// established association.
	Metadata *SCTPTransportMetadata `json:"metadata,omitempty"`
}

// SCTPTransportMetadata is what the handshake of an association has agreed on.
type SCTPTransportMetadata struct {
	// PartialReliabilityMode is how messages are given up.
	PartialReliabilityMode SCTPTransportPartialReliabilityMode `json:"partialReliabilityMode"`
	// MessageInterleavingEnabled tells that a large message does not hold up
	// others. https://www.rfc-editor.org/rfc/rfc8260
	MessageInterleavingEnabled bool `json:"messageInterleavingEnabled"`
	// ZeroChecksumReceivingEnabled and ZeroChecksumSendingEnabled tell that
	// packets may come, and are sent, without a checksum: DTLS has its own.
	// https://www.rfc-editor.org/rfc/rfc9653
	ZeroChecksumReceivingEnabled bool `json:"zeroChecksumReceivingEnabled"`
	ZeroChecksumSendingEnabled   bool `json:"zeroChecksumSendingEnabled"`
}

// SCTPTransportPartialReliabilityMode is how an association tells the peer
// that a message has been given up.
type SCTPTransportPartialReliabilityMode string

// The modes of partial reliability.
const (
	// SCTPTransportPartialReliabilityModeNone gives up no message.
	SCTPTransportPartialReliabilityModeNone = SCTPTransportPartialReliabilityMode("none")
	// SCTPTransportPartialReliabilityModeForwardTSN sends FORWARD-TSN chunks.
	// https://www.rfc-editor.org/rfc/rfc3758#section-3.2
	SCTPTransportPartialReliabilityModeForwardTSN = SCTPTransportPartialReliabilityMode("forward-tsn")
	// SCTPTransportPartialReliabilityModeIForwardTSN sends I-FORWARD-TSN
	// chunks. https://www.rfc-editor.org/rfc/rfc8260#section-2.3.1
	SCTPTransportPartialReliabilityModeIForwardTSN = SCTPTransportPartialReliabilityMode("i-forward-tsn")
)

var statsReliabilityModes = map[sctp.PartialReliabilityMode]SCTPTransportPartialReliabilityMode{
	sctp.PartialReliabilityModeNone:        SCTPTransportPartialReliabilityModeNone,
	sctp.PartialReliabilityModeForwardTSN:  SCTPTransportPartialReliabilityModeForwardTSN,
	sctp.PartialReliabilityModeIForwardTSN: SCTPTransportPartialReliabilityModeIForwardTSN,
}

// sctpMeter is what an association tells about itself; *sctp.Association is
// one. SRTT is in milliseconds.
type sctpMeter interface {
	BytesSent() uint64
	BytesReceived() uint64
	MTU() uint32
	CWND() uint32
	RWND() uint32
	SRTT() float64
	Metadata() (sctp.AssociationMetadata, bool)
}

// newSCTPTransportStats takes a nil interface, but no nil association in it.
func newSCTPTransportStats(association sctpMeter) SCTPTransportStats {
	s := SCTPTransportStats{
		ID: sctpStatsID, Type: StatsTypeSCTPTransport, TransportID: iceStatsID,
		Timestamp: newStatsTimestamp(time.Now()),
	}
	if association == nil {
		return s
	}
	s.BytesSent, s.BytesReceived = association.BytesSent(), association.BytesReceived()
	s.MTU, s.CongestionWindow, s.ReceiverWindow = association.MTU(), association.CWND(), association.RWND()
	s.SmoothedRoundTripTime = association.SRTT() / 1000
	if agreed, ok := association.Metadata(); ok {
		s.Metadata = &SCTPTransportMetadata{
			PartialReliabilityMode:     statsReliabilityModes[agreed.PartialReliabilityMode],
			MessageInterleavingEnabled: agreed.MessageInterleavingEnabled,

			ZeroChecksumReceivingEnabled: agreed.ZeroChecksumReceivingEnabled,
			ZeroChecksumSendingEnabled:   agreed.ZeroChecksumSendingEnabled,
		}
	}

	return s
}

// DataChannelStats is what is known of one channel. Bytes are those of the
// messages, without any header.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcdatachannelstats
type DataChannelStats struct {
	// ID names the channel within its stack.
	ID string `json:"id"`
	// Type is StatsTypeDataChannel.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// TransportID is the ID of the TransportStats of what is below.
	TransportID string `json:"transportId"`

	// DataChannelIdentifier is the number of the channel's stream, 0 also
	// while it has none.
	DataChannelIdentifier int32 `json:"dataChannelIdentifier"`
	// Label is the label that the channel was made with.
	Label string `json:"label"`
	// Protocol is the subprotocol that the channel was made with.
	Protocol string `json:"protocol"`
	// State is the channel's ReadyState.
	State DataChannelState `json:"state"`

	// BytesSent counts the bytes of MessagesSent.
	BytesSent uint64 `json:"bytesSent"`
	// MessagesSent counts messages given to the association.
	MessagesSent uint32 `json:"messagesSent"`
	// BytesReceived counts the bytes of MessagesReceived.
	BytesReceived uint64 `json:"bytesReceived"`
	// MessagesReceived counts messages that came out of the association.
	MessagesReceived uint32 `json:"messagesReceived"`
}
