package webrtc

import "strconv"

// The statistics of media. This library neither encodes nor decodes: what only
// an encoder, a decoder or a jitter buffer could tell is zero, and is there
// because other implementations send it and programs move it on.

func (CodecStats) statsMarker()                   {}
func (InboundRTPStreamStats) statsMarker()        {}
func (OutboundRTPStreamStats) statsMarker()       {}
func (RemoteInboundRTPStreamStats) statsMarker()  {}
func (RemoteOutboundRTPStreamStats) statsMarker() {}
func (RTPContributingSourceStats) statsMarker()   {}
func (AudioSourceStats) statsMarker()             {}
func (VideoSourceStats) statsMarker()             {}

// MediaKind is the kind of media that statistics are of.
type MediaKind string

// The kinds of media.
const (
	MediaKindAudio = MediaKind("audio")
	MediaKindVideo = MediaKind("video")
)

// CodecType is what a codec is used for, if it is not for both.
type CodecType string

// The uses of a codec.
const (
	CodecTypeEncode = CodecType("encode") // for what is sent
	CodecTypeDecode = CodecType("decode") // for what is received
)

// CodecStats is what is known of one codec.
// https://www.w3.org/TR/webrtc-stats/#dom-rtccodecstats
type CodecStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeCodec.
	Type StatsType `json:"type"`
	// ID is made of the MIME type and the payload type.
	ID string `json:"id"`

	// PayloadType stands for the codec in packets.
	PayloadType PayloadType `json:"payloadType"`
	// CodecType is empty if the codec serves both directions.
	CodecType CodecType `json:"codecType"`
	// TransportID is the ID of the TransportStats of what carries it.
	TransportID string `json:"transportId"`
	// MimeType, ClockRate, Channels and SDPFmtpLine are the codec's own.
	MimeType    string `json:"mimeType"`
	ClockRate   uint32 `json:"clockRate"`
	Channels    uint8  `json:"channels"`
	SDPFmtpLine string `json:"sdpFmtpLine"`
	// Implementation names what encodes or decodes.
	Implementation string `json:"implementation"`
}

func codecStatsID(codec RTPCodecParameters) string {
	return "codec-" + codec.MimeType + "-" + strconv.Itoa(int(codec.PayloadType))
}

func newCodecStats(codec RTPCodecParameters, now StatsTimestamp) CodecStats {
	return CodecStats{
		ID: codecStatsID(codec), Type: StatsTypeCodec, Timestamp: now, TransportID: iceStatsID,
		PayloadType: codec.PayloadType, MimeType: codec.MimeType, ClockRate: codec.ClockRate,
		Channels:    uint8(min(codec.Channels, 255)), //nolint:gosec // bounded
		SDPFmtpLine: codec.SDPFmtpLine,
	}
}

// GetCodecStats returns the entry of a codec with its payload type, and false if
// there is none.
func (r StatsReport) GetCodecStats(c *RTPCodecParameters) (CodecStats, bool) {
	if c == nil {
		return CodecStats{}, false
	}
	stats, ok := r[codecStatsID(*c)].(CodecStats)

	return stats, ok
}

// InboundRTPStreamStats is what is known of one stream that is received.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcinboundrtpstreamstats
type InboundRTPStreamStats struct {
	// Mid is the transceiver's, and Rid the encoding's if it has one.
	Mid string `json:"mid"`
	Rid string `json:"rid,omitempty"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeInboundRTP.
	Type StatsType `json:"type"`
	// ID names the stream within the report.
	ID string `json:"id"`
	// SSRC is the stream's.
	SSRC SSRC `json:"ssrc"`
	// Kind is "audio" or "video".
	Kind string `json:"kind"`
	// TransportID and CodecID are the IDs of the transport's TransportStats and
	// of the codec's CodecStats.
	TransportID string `json:"transportId"`
	CodecID     string `json:"codecId"`

	// FIRCount, PLICount, NACKCount and SLICount count the packets of feedback
	// that we have sent. All but NACKs are of video alone.
	FIRCount uint32 `json:"firCount"`
	PLICount uint32 `json:"pliCount"`

	// TotalProcessingDelay sums up, over all samples or frames, the seconds
	// from the first packet's arrival to the end of decoding.
	TotalProcessingDelay float64 `json:"totalProcessingDelay"`
	NACKCount            uint32  `json:"nackCount"`

	// JitterBufferDelay sums up, over what has left the jitter buffer, the
	// seconds in it. JitterBufferTargetDelay sums up those that the buffer aimed
	// at, JitterBufferMinimumDelay those that the network alone would have
	// asked for. Divided by JitterBufferEmittedCount they are means.
	JitterBufferDelay        float64 `json:"jitterBufferDelay"`
	JitterBufferTargetDelay  float64 `json:"jitterBufferTargetDelay"`
	JitterBufferEmittedCount uint64  `json:"jitterBufferEmittedCount"`
	JitterBufferMinimumDelay float64 `json:"jitterBufferMinimumDelay"`

	// TotalSamplesReceived counts samples of audio, made-up ones too.
	// ConcealedSamples are the made-up ones, SilentConcealedSamples those of
	// them that are silence, ConcealmentEvents how often making up began.
	TotalSamplesReceived   uint64 `json:"totalSamplesReceived"`
	ConcealedSamples       uint64 `json:"concealedSamples"`
	SilentConcealedSamples uint64 `json:"silentConcealedSamples"`
	ConcealmentEvents      uint64 `json:"concealmentEvents"`
	// InsertedSamplesForDeceleration and RemovedSamplesForAcceleration count
	// what was added and left out to play slower or faster.
	InsertedSamplesForDeceleration uint64 `json:"insertedSamplesForDeceleration"`
	RemovedSamplesForAcceleration  uint64 `json:"removedSamplesForAcceleration"`
	// AudioLevel is the loudness now, from 0 to 1. TotalAudioEnergy is its
	// square, summed up over TotalSamplesDuration seconds.
	AudioLevel           float64 `json:"audioLevel"`
	TotalAudioEnergy     float64 `json:"totalAudioEnergy"`
	TotalSamplesDuration float64 `json:"totalSamplesDuration"`

	SLICount uint32 `json:"sliCount"`
	// QPSum sums up the quantizer over all decoded frames.
	QPSum uint64 `json:"qpSum"`
	// TotalDecodeTime is in seconds.
	TotalDecodeTime float64 `json:"totalDecodeTime"`
	// TotalInterFrameDelay sums up the seconds between frames that were
	// rendered, TotalSquaredInterFrameDelay their squares.
	TotalInterFrameDelay        float64 `json:"totalInterFrameDelay"`
	TotalSquaredInterFrameDelay float64 `json:"totalSquaredInterFrameDelay"`

	// PacketsReceived counts packets, PacketsLost those that are missing: below
	// zero if more came twice. Jitter is in seconds.
	// https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
	PacketsReceived uint32  `json:"packetsReceived"`
	PacketsLost     int32   `json:"packetsLost"`
	Jitter          float64 `json:"jitter"`
	// PacketsDiscarded came too late or too early to be played, PacketsRepaired
	// were lost and made up for.
	PacketsDiscarded uint32 `json:"packetsDiscarded"`
	PacketsRepaired  uint32 `json:"packetsRepaired"`
	// The bursts and gaps of losses and discards are those of RFC 3611: counts
	// of packets, counts of bursts, and shares.
	BurstPacketsLost      uint32  `json:"burstPacketsLost"`
	BurstPacketsDiscarded uint32  `json:"burstPacketsDiscarded"`
	BurstLossCount        uint32  `json:"burstLossCount"`
	BurstDiscardCount     uint32  `json:"burstDiscardCount"`
	BurstLossRate         float64 `json:"burstLossRate"`
	BurstDiscardRate      float64 `json:"burstDiscardRate"`
	GapLossRate           float64 `json:"gapLossRate"`
	GapDiscardRate        float64 `json:"gapDiscardRate"`

	// TrackID and ReceiverID name statistics that the W3C has given up.
	// RemoteID is the ID of the RemoteOutboundRTPStreamStats.
	TrackID    string `json:"trackId"`
	ReceiverID string `json:"receiverId"`
	RemoteID   string `json:"remoteId"`

	// FramesDecoded, KeyFramesDecoded, FramesRendered and FramesDropped count
	// frames of video, FrameWidth and FrameHeight are those of the last one.
	FramesDecoded    uint32 `json:"framesDecoded"`
	KeyFramesDecoded uint32 `json:"keyFramesDecoded"`
	FramesRendered   uint32 `json:"framesRendered"`
	FramesDropped    uint32 `json:"framesDropped"`
	FrameWidth       uint32 `json:"frameWidth"`
	FrameHeight      uint32 `json:"frameHeight"`

	// LastPacketReceivedTimestamp is when the last packet came.
	LastPacketReceivedTimestamp StatsTimestamp `json:"lastPacketReceivedTimestamp"`
	// HeaderBytesReceived counts headers and padding, BytesReceived the rest of
	// the packets, in bytes.
	HeaderBytesReceived uint64 `json:"headerBytesReceived"`
	// AverageRTCPInterval is the time between two reports, in seconds.
	AverageRTCPInterval float64 `json:"averageRtcpInterval"`
	// FECPacketsReceived counts repair packets, FECPacketsDiscarded those that
	// were not needed.
	FECPacketsReceived  uint32 `json:"fecPacketsReceived"`
	FECPacketsDiscarded uint64 `json:"fecPacketsDiscarded"`
	BytesReceived       uint64 `json:"bytesReceived"`
	// FramesReceived counts frames that came whole.
	FramesReceived uint32 `json:"framesReceived"`
	// PacketsFailedDecryption and PacketsDuplicated count packets that were
	// dropped because they were not the peer's, or came twice.
	PacketsFailedDecryption uint32 `json:"packetsFailedDecryption"`
	PacketsDuplicated       uint32 `json:"packetsDuplicated"`
	// PerDSCPPacketsReceived counts packets by their class of service.
	PerDSCPPacketsReceived map[string]uint32 `json:"perDscpPacketsReceived"`

	// DecoderImplementation names the decoder.
	DecoderImplementation string `json:"decoderImplementation"`
	// PauseCount counts how often no frame was rendered for more than five
	// seconds, FreezeCount how often for much longer than usual. The durations
	// are in seconds.
	PauseCount           uint32  `json:"pauseCount"`
	TotalPausesDuration  float64 `json:"totalPausesDuration"`
	FreezeCount          uint32  `json:"freezeCount"`
	TotalFreezesDuration float64 `json:"totalFreezesDuration"`
	// PowerEfficientDecoder tells that the decoder saves power.
	PowerEfficientDecoder bool `json:"powerEfficientDecoder"`
}

// QualityLimitationReason is why video is sent in less than its full quality.
type QualityLimitationReason string

// The reasons.
const (
	QualityLimitationReasonNone      = QualityLimitationReason("none")
	QualityLimitationReasonCPU       = QualityLimitationReason("cpu")
	QualityLimitationReasonBandwidth = QualityLimitationReason("bandwidth")
	QualityLimitationReasonOther     = QualityLimitationReason("other")
)

// OutboundRTPStreamStats is what is known of one stream that is sent.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcoutboundrtpstreamstats
type OutboundRTPStreamStats struct {
	// Mid is the transceiver's, and Rid the encoding's if it has one.
	Mid string `json:"mid"`
	Rid string `json:"rid"`
	// MediaSourceID is the ID of the track's AudioSourceStats or
	// VideoSourceStats.
	MediaSourceID string `json:"mediaSourceId"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeOutboundRTP.
	Type StatsType `json:"type"`
	// ID names the stream within the report.
	ID string `json:"id"`
	// SSRC is the stream's.
	SSRC SSRC `json:"ssrc"`
	// Kind is "audio" or "video".
	Kind string `json:"kind"`
	// TransportID and CodecID are the IDs of the transport's TransportStats and
	// of the codec's CodecStats.
	TransportID string `json:"transportId"`
	CodecID     string `json:"codecId"`

	// HeaderBytesSent counts headers and padding, BytesSent the rest of the
	// packets, in bytes.
	HeaderBytesSent uint64 `json:"headerBytesSent"`
	// RetransmittedPacketsSent and RetransmittedBytesSent are the part of
	// PacketsSent and BytesSent that was sent again, over whatever SSRC.
	RetransmittedPacketsSent uint64 `json:"retransmittedPacketsSent"`
	RetransmittedBytesSent   uint64 `json:"retransmittedBytesSent"`
	// FIRCount, PLICount, NACKCount and SLICount count the packets of feedback
	// that have come from the peer. All but NACKs are of video alone.
	FIRCount  uint32 `json:"firCount"`
	PLICount  uint32 `json:"pliCount"`
	NACKCount uint32 `json:"nackCount"`
	SLICount  uint32 `json:"sliCount"`
	// QPSum sums up the quantizer over all encoded frames.
	QPSum uint64 `json:"qpSum"`
	// PacketsSent counts packets, PacketsDiscardedOnSend and
	// BytesDiscardedOnSend what no socket took.
	PacketsSent            uint32 `json:"packetsSent"`
	PacketsDiscardedOnSend uint32 `json:"packetsDiscardedOnSend"`
	// FECPacketsSent counts repair packets.
	FECPacketsSent       uint32 `json:"fecPacketsSent"`
	BytesSent            uint64 `json:"bytesSent"`
	BytesDiscardedOnSend uint64 `json:"bytesDiscardedOnSend"`

	// TrackID and SenderID name statistics that the W3C has given up. RemoteID
	// is the ID of the RemoteInboundRTPStreamStats.
	TrackID  string `json:"trackId"`
	SenderID string `json:"senderId"`
	RemoteID string `json:"remoteId"`
	// LastPacketSentTimestamp is when the last packet left.
	LastPacketSentTimestamp StatsTimestamp `json:"lastPacketSentTimestamp"`

	// TargetBitrate is what the encoder aims at, in bits per second,
	// TotalEncodedBytesTarget the sum of what it aimed at for each frame.
	TargetBitrate           float64 `json:"targetBitrate"`
	TotalEncodedBytesTarget uint64  `json:"totalEncodedBytesTarget"`
	// FrameWidth and FrameHeight are those of the last frame, FramesPerSecond
	// is over the last second.
	FrameWidth      uint32  `json:"frameWidth"`
	FrameHeight     uint32  `json:"frameHeight"`
	FramesPerSecond float64 `json:"framesPerSecond"`
	// FramesSent, HugeFramesSent, FramesEncoded and KeyFramesEncoded count
	// frames of video. A huge one has more than two and a half times the mean
	// of bytes.
	FramesSent       uint32 `json:"framesSent"`
	HugeFramesSent   uint32 `json:"hugeFramesSent"`
	FramesEncoded    uint32 `json:"framesEncoded"`
	KeyFramesEncoded uint32 `json:"keyFramesEncoded"`
	// TotalEncodeTime is in seconds, TotalPacketSendDelay the seconds that
	// packets waited between the encoder and the network.
	TotalEncodeTime      float64 `json:"totalEncodeTime"`
	TotalPacketSendDelay float64 `json:"totalPacketSendDelay"`
	// AverageRTCPInterval is the time between two reports, in seconds.
	AverageRTCPInterval float64 `json:"averageRtcpInterval"`
	// QualityLimitationReason is the one now, QualityLimitationDurations the
	// seconds of each, QualityLimitationResolutionChanges how often the size of
	// frames was changed for it.
	QualityLimitationReason            QualityLimitationReason `json:"qualityLimitationReason"`
	QualityLimitationDurations         map[string]float64      `json:"qualityLimitationDurations"`
	QualityLimitationResolutionChanges uint32                  `json:"qualityLimitationResolutionChanges"`
	// PerDSCPPacketsSent counts packets by their class of service.
	PerDSCPPacketsSent map[string]uint32 `json:"perDscpPacketsSent"`
	// Active tells that the encoding is to be sent.
	Active bool `json:"active"`
	// EncoderImplementation names the encoder, PowerEfficientEncoder tells that
	// it saves power, ScalabilityMode is the W3C's name of its layers.
	EncoderImplementation string `json:"encoderImplementation"`
	PowerEfficientEncoder bool   `json:"powerEfficientEncoder"`
	ScalabilityMode       string `json:"scalabilityMode"`
}
