package webrtc

// RemoteInboundRTPStreamStats is what the peer reports of one stream that we
// send. https://www.w3.org/TR/webrtc-stats/#dom-rtcremoteinboundrtpstreamstats
type RemoteInboundRTPStreamStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeRemoteInboundRTP.
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

	// FIRCount, PLICount, NACKCount and SLICount count packets of feedback, and
	// QPSum sums up the quantizer: no report tells them.
	FIRCount  uint32 `json:"firCount"`
	PLICount  uint32 `json:"pliCount"`
	NACKCount uint32 `json:"nackCount"`
	SLICount  uint32 `json:"sliCount"`
	QPSum     uint64 `json:"qpSum"`

	// PacketsReceived counts packets that have come to the peer, PacketsLost
	// those that are missing: below zero if more came twice. Jitter is in
	// seconds.
	PacketsReceived uint32  `json:"packetsReceived"`
	PacketsLost     int32   `json:"packetsLost"`
	Jitter          float64 `json:"jitter"`
	// The rest of the losses is as in InboundRTPStreamStats.
	PacketsDiscarded      uint32  `json:"packetsDiscarded"`
	PacketsRepaired       uint32  `json:"packetsRepaired"`
	BurstPacketsLost      uint32  `json:"burstPacketsLost"`
	BurstPacketsDiscarded uint32  `json:"burstPacketsDiscarded"`
	BurstLossCount        uint32  `json:"burstLossCount"`
	BurstDiscardCount     uint32  `json:"burstDiscardCount"`
	BurstLossRate         float64 `json:"burstLossRate"`
	BurstDiscardRate      float64 `json:"burstDiscardRate"`
	GapLossRate           float64 `json:"gapLossRate"`
	GapDiscardRate        float64 `json:"gapDiscardRate"`

	// LocalID is the ID of the OutboundRTPStreamStats.
	LocalID string `json:"localId"`
	// RoundTripTime is the latest, and TotalRoundTripTime the sum of all
	// RoundTripTimeMeasurements, in seconds.
	RoundTripTime      float64 `json:"roundTripTime"`
	TotalRoundTripTime float64 `json:"totalRoundTripTime"`
	// FractionLost is the share of packets lost between the last two reports,
	// from 0 to 1.
	FractionLost              float64 `json:"fractionLost"`
	RoundTripTimeMeasurements uint64  `json:"roundTripTimeMeasurements"`
}

// RemoteOutboundRTPStreamStats is what the peer reports of one stream that we
// receive.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcremoteoutboundrtpstreamstats
type RemoteOutboundRTPStreamStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeRemoteOutboundRTP.
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

	// FIRCount, PLICount, NACKCount and SLICount count packets of feedback, and
	// QPSum sums up the quantizer: no report tells them.
	FIRCount  uint32 `json:"firCount"`
	PLICount  uint32 `json:"pliCount"`
	NACKCount uint32 `json:"nackCount"`
	SLICount  uint32 `json:"sliCount"`
	QPSum     uint64 `json:"qpSum"`

	// PacketsSent and BytesSent are what the peer says it has sent. The other
	// counts no report tells.
	PacketsSent            uint32 `json:"packetsSent"`
	PacketsDiscardedOnSend uint32 `json:"packetsDiscardedOnSend"`
	FECPacketsSent         uint32 `json:"fecPacketsSent"`
	BytesSent              uint64 `json:"bytesSent"`
	BytesDiscardedOnSend   uint64 `json:"bytesDiscardedOnSend"`

	// LocalID is the ID of the InboundRTPStreamStats.
	LocalID string `json:"localId"`
	// RemoteTimestamp is the peer's clock when it sent the latest report.
	RemoteTimestamp StatsTimestamp `json:"remoteTimestamp"`
	// ReportsSent counts the reports that have come.
	ReportsSent uint64 `json:"reportsSent"`
	// RoundTripTime is the latest, and TotalRoundTripTime the sum of all
	// RoundTripTimeMeasurements, in seconds.
	RoundTripTime             float64 `json:"roundTripTime"`
	TotalRoundTripTime        float64 `json:"totalRoundTripTime"`
	RoundTripTimeMeasurements uint64  `json:"roundTripTimeMeasurements"`
}

// RTPContributingSourceStats is what is known of one source that a mixed stream
// is made of.
type RTPContributingSourceStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeCSRC.
	Type StatsType `json:"type"`
	// ID names the source within the report.
	ID string `json:"id"`
	// ContributorSSRC is the source's, InboundRTPStreamID the ID of the
	// InboundRTPStreamStats of the mix.
	ContributorSSRC    SSRC   `json:"contributorSsrc"`
	InboundRTPStreamID string `json:"inboundRtpStreamId"`
	// PacketsContributedTo counts packets that name the source.
	PacketsContributedTo uint32 `json:"packetsContributedTo"`
	// AudioLevel is the source's loudness in the last of them, from 0 to 1.
	AudioLevel float64 `json:"audioLevel"`
}

// AudioSourceStats is what is known of an audio track before it is encoded.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcaudiosourcestats
type AudioSourceStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeMediaSource.
	Type StatsType `json:"type"`
	// ID names the source within the report.
	ID string `json:"id"`
	// TrackIdentifier is the ID of the track.
	TrackIdentifier string `json:"trackIdentifier"`
	// Kind is "audio".
	Kind string `json:"kind"`
	// AudioLevel is the loudness now, from 0 to 1. TotalAudioEnergy is its
	// square, summed up over TotalSamplesDuration seconds.
	AudioLevel           float64 `json:"audioLevel"`
	TotalAudioEnergy     float64 `json:"totalAudioEnergy"`
	TotalSamplesDuration float64 `json:"totalSamplesDuration"`
	// EchoReturnLoss and EchoReturnLossEnhancement are in decibels.
	EchoReturnLoss            float64 `json:"echoReturnLoss"`
	EchoReturnLossEnhancement float64 `json:"echoReturnLossEnhancement"`
	// DroppedSamplesDuration is how many seconds were lost before they were
	// captured, DroppedSamplesEvents how often that began.
	DroppedSamplesDuration float64 `json:"droppedSamplesDuration"`
	DroppedSamplesEvents   uint64  `json:"droppedSamplesEvents"`
	// TotalCaptureDelay sums up the seconds from the microphone to here over
	// TotalSamplesCaptured samples.
	TotalCaptureDelay    float64 `json:"totalCaptureDelay"`
	TotalSamplesCaptured uint64  `json:"totalSamplesCaptured"`
}

// VideoSourceStats is what is known of a video track before it is encoded.
// https://www.w3.org/TR/webrtc-stats/#dom-rtcvideosourcestats
type VideoSourceStats struct {
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`
	// Type is StatsTypeMediaSource.
	Type StatsType `json:"type"`
	// ID names the source within the report.
	ID string `json:"id"`
	// TrackIdentifier is the ID of the track.
	TrackIdentifier string `json:"trackIdentifier"`
	// Kind is "video".
	Kind string `json:"kind"`
	// Width and Height are those of the last frame, Frames counts all, and
	// FramesPerSecond is over the last second.
	Width           uint32  `json:"width"`
	Height          uint32  `json:"height"`
	Frames          uint32  `json:"frames"`
	FramesPerSecond float64 `json:"framesPerSecond"`
}
