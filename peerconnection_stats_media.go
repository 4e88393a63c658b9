package webrtc

import (
	"math"
	"strconv"
	"time"

	"github.com/pion/interceptor/pkg/stats"
)

// streamStats is one stream of audio or video, as GetStats tells it.
type streamStats struct {
	mid, rid string
	ssrc     SSRC
	kind     RTPCodecType
	codec    RTPCodecParameters
	active   bool
}

// The names of a stream's entries. That of what we receive is pion/webrtc's.
func (s *streamStats) id(typ StatsType) string {
	return string(typ) + "-" + strconv.FormatUint(uint64(s.ssrc), 10)
}

// addMedia adds the streams to a report, if there is an interceptor that counts
// them: those that senders send, and those of which a packet was read.
func (pc *PeerConnection) addMedia(report StatsReport) {
	rtp := pc.dtls.mediaIfUsed()
	if rtp == nil {
		return
	}
	rtp.built.Do(rtp.build) // or waits for it
	if rtp.counts == nil {
		return
	}
	now := newStatsTimestamp(time.Now())
	add := func(s *streamStats, tell func(report StatsReport, counts *stats.Stats, now StatsTimestamp)) {
		if counts := rtp.counts.Get(uint32(s.ssrc)); counts != nil {
			tell(report, counts, now)
			if s.codec.MimeType != "" {
				codec := newCodecStats(s.codec, now)
				report[codec.ID] = codec
			}
		}
	}
	for _, t := range pc.GetTransceivers() {
		mid := t.Mid()
		for _, s := range t.Sender().streams(mid) {
			add(&s, s.sent)
		}
		receiver := t.Receiver()
		if receiver.alive().current() != mediaStateRunning {
			continue
		}
		for _, track := range receiver.Tracks() {
			s := streamStats{mid: mid, rid: track.RID(), ssrc: track.SSRC(), kind: t.kind, codec: track.Codec()}
			add(&s, s.received)
		}
	}
}

// streams are those of a sender that was started.
func (r *RTPSender) streams(mid string) (streams []streamStats) {
	r.alive().set(func() {
		if r.life.state != mediaStateRunning {
			return
		}
		for _, e := range r.encodings {
			s := streamStats{
				mid: mid, rid: e.coding.RID, ssrc: e.coding.SSRC, kind: r.kind, active: e.track != nil && !e.paused.Load(),
			}
			s.codec, _ = codecOf(e.coding.PayloadType, r.params.Codecs)
			streams = append(streams, s)
		}
	})

	return streams
}

// codecID is that of the stream's CodecStats.
func (s *streamStats) codecID() string {
	if s.codec.MimeType == "" {
		return ""
	}

	return codecStatsID(s.codec)
}

func (s *streamStats) sent(report StatsReport, counts *stats.Stats, now StatsTimestamp) {
	sent := counts.OutboundRTPStreamStats
	own := OutboundRTPStreamStats{
		Mid: s.mid, Rid: s.rid, Timestamp: now, Type: StatsTypeOutboundRTP, ID: s.id(StatsTypeOutboundRTP), SSRC: s.ssrc,
		Kind: s.kind.String(), TransportID: iceStatsID, CodecID: s.codecID(), Active: s.active,
		PacketsSent: uint32(sent.PacketsSent), BytesSent: sent.BytesSent, HeaderBytesSent: sent.HeaderBytesSent, //nolint:gosec // it turns over
		NACKCount: sent.NACKCount, FIRCount: sent.FIRCount, PLICount: sent.PLICount,
	}
	// What the peer reports is there with its first report.
	if told := counts.RemoteInboundRTPStreamStats; told != (stats.RemoteInboundRTPStreamStats{}) {
		peer := RemoteInboundRTPStreamStats{
			Timestamp: now, Type: StatsTypeRemoteInboundRTP, ID: s.id(StatsTypeRemoteInboundRTP), SSRC: s.ssrc,
			Kind: s.kind.String(), TransportID: iceStatsID, CodecID: s.codecID(), LocalID: own.ID,
			PacketsReceived: uint32(told.PacketsReceived), PacketsLost: lostPackets(told.PacketsLost), Jitter: told.Jitter, //nolint:gosec // it turns over
			RoundTripTime: told.RoundTripTime.Seconds(), TotalRoundTripTime: told.TotalRoundTripTime.Seconds(),
			RoundTripTimeMeasurements: told.RoundTripTimeMeasurements, FractionLost: told.FractionLost,
		}
		own.RemoteID = peer.ID
		report[peer.ID] = peer
	}
	report[own.ID] = own
}

func (s *streamStats) received(report StatsReport, counts *stats.Stats, now StatsTimestamp) {
	got := counts.InboundRTPStreamStats
	own := InboundRTPStreamStats{
		Mid: s.mid, Rid: s.rid, Timestamp: now, Type: StatsTypeInboundRTP, ID: s.id(StatsTypeInboundRTP), SSRC: s.ssrc,
		Kind: s.kind.String(), TransportID: iceStatsID, CodecID: s.codecID(),
		PacketsReceived: uint32(got.PacketsReceived), PacketsLost: lostPackets(got.PacketsLost), Jitter: got.Jitter, //nolint:gosec // it turns over
		HeaderBytesReceived: got.HeaderBytesReceived, BytesReceived: got.BytesReceived,
		NACKCount: got.NACKCount, FIRCount: got.FIRCount, PLICount: got.PLICount,
	}
	if !got.LastPacketReceivedTimestamp.IsZero() {
		own.LastPacketReceivedTimestamp = newStatsTimestamp(got.LastPacketReceivedTimestamp)
	}
	if told := counts.RemoteOutboundRTPStreamStats; told.ReportsSent > 0 {
		peer := RemoteOutboundRTPStreamStats{
			Timestamp: now, Type: StatsTypeRemoteOutboundRTP, ID: s.id(StatsTypeRemoteOutboundRTP), SSRC: s.ssrc,
			Kind: s.kind.String(), TransportID: iceStatsID, CodecID: s.codecID(), LocalID: own.ID,
			PacketsSent: uint32(told.PacketsSent), BytesSent: told.BytesSent, //nolint:gosec // it turns over
			RemoteTimestamp: newStatsTimestamp(told.RemoteTimeStamp), ReportsSent: told.ReportsSent,
			RoundTripTime: told.RoundTripTime.Seconds(), TotalRoundTripTime: told.TotalRoundTripTime.Seconds(),
			RoundTripTimeMeasurements: told.RoundTripTimeMeasurements,
		}
		own.RemoteID = peer.ID
		report[peer.ID] = peer
	}
	report[own.ID] = own
}

// lostPackets is a count of lost packets in the type of the statistics.
func lostPackets(count int64) int32 {
	return int32(max(math.MinInt32, min(math.MaxInt32, count))) //nolint:gosec // bounded
}
