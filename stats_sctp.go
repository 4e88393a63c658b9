package webrtc

import (
	"time"

	"github.com/pion/sctp"
)

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

	// The fields from here to Dropped are this library's own. In JSON they
	// are left out if zero.

	// LocalReceiverWindow is how many bytes we let the peer have on the way or
	// unread by us, the whole of it.
	LocalReceiverWindow uint32 `json:"localReceiverWindow,omitempty"`
	// PacketsSent and PacketsReceived count the packets of BytesSent and
	// BytesReceived.
	PacketsSent     uint64 `json:"packetsSent,omitempty"`
	PacketsReceived uint64 `json:"packetsReceived,omitempty"`
	// ChunksSent and ChunksReceived count DATA and I-DATA chunks, each once;
	// ChunksRetransmitted how often one was sent again.
	ChunksSent          uint64 `json:"chunksSent,omitempty"`
	ChunksReceived      uint64 `json:"chunksReceived,omitempty"`
	ChunksRetransmitted uint64 `json:"chunksRetransmitted,omitempty"`

	// OpenChannels is how many channels have a stream at present.
	OpenChannels uint32 `json:"openChannels,omitempty"`
	// MessagesSent and MessagesReceived are the sums of all channels, also of
	// those that have ended; MessageBytesSent and MessageBytesReceived the
	// bytes of these messages.
	MessagesSent         uint64 `json:"messagesSent,omitempty"`
	MessagesReceived     uint64 `json:"messagesReceived,omitempty"`
	MessageBytesSent     uint64 `json:"messageBytesSent,omitempty"`
	MessageBytesReceived uint64 `json:"messageBytesReceived,omitempty"`

	// BufferedAmount is how many bytes of all channels are queued, or sent and
	// not yet acknowledged.
	BufferedAmount uint64 `json:"bufferedAmount,omitempty"`
	// BytesLost is what BufferedAmount was when the transport ended.
	BytesLost uint64 `json:"bytesLost,omitempty"`
	// UnreadMessages and UnreadBytes are what has come on all channels and was
	// not yet read: complete messages, and bytes also of incomplete ones. The
	// peer has to wait when the bytes, and 256 more for each message, reach
	// LocalReceiverWindow, or the messages DataChannelSettings.MaxUnreadMessages. DataChannelStats tells
	// which channel holds them.
	UnreadMessages uint64 `json:"unreadMessages,omitempty"`
	UnreadBytes    uint64 `json:"unreadBytes,omitempty"`

	// Dropped counts what was not handed to the association, and what the
	// DTLS transport did not take.
	Dropped SCTPTransportDrops `json:"dropped,omitzero"`

	// Metadata is what the two sides agreed on; nil while there is no
	// established association.
	Metadata *SCTPTransportMetadata `json:"metadata,omitempty"`
}

// SCTPTransportDrops counts packets of the peer that were dropped, or chunks
// that were taken out of their packets, by the reason; and packets of ours that
// were not sent. SCTP sends again what mattered.
type SCTPTransportDrops struct {
	// Malformed packets are not SCTP, or have a wrong checksum.
	Malformed uint64 `json:"malformed,omitempty"`
	// TooLong are packets above the longest that the association reads.
	TooLong uint64 `json:"tooLong,omitempty"`
	// WrongTag are packets of another association, such as one before it.
	WrongTag uint64 `json:"wrongTag,omitempty"`
	// Unusable are packets and chunks that would derail the association: of an
	// unknown kind, against what was agreed on, or at a step where they make
	// no sense.
	Unusable uint64 `json:"unusable,omitempty"`
	// OverLimit are chunks of data for which there was no room, by
	// SCTPSettings.MaxReceiveBufferSize or DataChannelSettings.MaxUnreadMessages,
	// or whose number is too far ahead.
	OverLimit uint64 `json:"overLimit,omitempty"`
	// DiscardedChunks are DATA chunks on streams that were refused or are at
	// their end. Their packets count as received.
	DiscardedChunks uint64 `json:"discardedChunks,omitempty"`
	// UnsentPackets are those that the DTLS transport could not send at that
	// moment.
	UnsentPackets uint64 `json:"unsentPackets,omitempty"`
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
	// TransportID is the ID of the SCTPTransportStats.
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

	// The fields from here on are this library's own. In JSON they are left
	// out if zero.

	// Priority is the channel's weight; see DataChannelParameters.
	Priority uint16 `json:"priority,omitempty"`
	// BufferedAmount is how many bytes are queued, or sent and not yet
	// acknowledged.
	BufferedAmount uint64 `json:"bufferedAmount,omitempty"`
	// UnreadMessages and UnreadBytes are what has come and was not yet read:
	// complete messages, and bytes also of incomplete ones. They are this
	// channel's part of the sums in SCTPTransportStats, which the window of
	// the whole association holds.
	UnreadMessages uint64 `json:"unreadMessages,omitempty"`
	UnreadBytes    uint64 `json:"unreadBytes,omitempty"`
}
