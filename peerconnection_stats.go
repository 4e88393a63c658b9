package webrtc

import (
	"slices"
	"time"
)

// GetStats returns what the connection, its transports and its channels count,
// at any time. It waits for no handler.
//
// In the report are the connection, the ICE and DTLS transports as one
// [TransportStats], candidates and their pairs, our certificates and the
// verified one of the peer, the SCTP transport, and every channel that has not
// ended. With an interceptor that counts, as the default ones do, there are the
// streams that are sent and received, what the peer reports about them, and their
// codecs: packets count when they are written and read, and streams are there while
// their senders and receivers live. The statistics of a channel that was closed by itself are
// [DataChannel.Stats]; those that ended with the association stay in the report.
//
// After the end the counters stay, but for what the ICE agent has counted: it
// takes candidates and pairs with it, as it does when it has failed. The report
// of a nil connection, or one that was not made by its constructor, is empty.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-getstats
func (pc *PeerConnection) GetStats() StatsReport {
	report := StatsReport{}
	if pc.alive() == nil {
		return report
	}
	report[pc.id] = pc.channelCounts()
	transport, told := pc.ice.report()
	for _, certificate := range pc.dtls.describe(&transport) {
		report[certificate.ID] = certificate
	}
	report[transport.ID] = transport
	for _, candidate := range told.candidates {
		report[candidate.ID] = candidate
	}
	for _, pair := range told.pairs {
		report[pair.ID] = pair
	}
	association := pc.sctp.Stats()
	report[association.ID] = association
	for _, channel := range pc.sctp.channelStats() {
		report[channel.ID] = channel
	}
	pc.addMedia(report)

	return report
}

// channelCounts reads closed before opened, so that it is never more.
func (pc *PeerConnection) channelCounts() PeerConnectionStats {
	happened := &pc.sctp.happened
	closed := happened.closed.Load()

	return PeerConnectionStats{
		ID: pc.id, Type: StatsTypePeerConnection, Timestamp: newStatsTimestamp(time.Now()),
		DataChannelsOpened: happened.opened.Load(), DataChannelsClosed: closed,
		DataChannelsRequested: happened.requested.Load(), DataChannelsAccepted: happened.accepted.Load(),
	}
}

// GetConnectionStats returns the entry of the connection, and false if the
// report is not its own.
func (r StatsReport) GetConnectionStats(conn *PeerConnection) (PeerConnectionStats, bool) {
	return find[PeerConnectionStats](r, conn.ID())
}

// GetDataChannelStats returns the entry of a channel, and false if there is
// none.
func (r StatsReport) GetDataChannelStats(dc *DataChannel) (DataChannelStats, bool) {
	if dc.alive() == nil {
		return DataChannelStats{}, false
	}

	return find[DataChannelStats](r, dc.statsID())
}

// GetICECandidateStats returns the entry of a candidate, local or remote, and
// false if there is none. One that was signaled is found by its address.
func (r StatsReport) GetICECandidateStats(c *ICECandidate) (ICECandidateStats, bool) {
	return find[ICECandidateStats](r, r.candidateID(c, StatsTypeLocalCandidate, StatsTypeRemoteCandidate))
}

// GetICECandidatePairStats returns the entry of a pair, and false if there is
// none. The pair may be the one of GetSelectedCandidatePair, of
// OnSelectedCandidatePairChange, or made of candidates that were signaled.
func (r StatsReport) GetICECandidatePairStats(c *ICECandidatePair) (ICECandidatePairStats, bool) {
	if c == nil {
		return ICECandidatePairStats{}, false
	}
	local := r.candidateID(c.Local, StatsTypeLocalCandidate)
	remote := r.candidateID(c.Remote, StatsTypeRemoteCandidate)

	return find[ICECandidatePairStats](r, candidatePairStatsID(local, remote))
}

// GetCertificateStats returns the entry of a certificate, ours or the peer's,
// and false if there is none.
func (r StatsReport) GetCertificateStats(c *Certificate) (CertificateStats, bool) {
	if c == nil || c.x509Cert == nil {
		return CertificateStats{}, false
	}

	return find[CertificateStats](r, certificateStatsID(certificateFingerprint(c.x509Cert.Raw)))
}

func find[S Stats](r StatsReport, id string) (S, bool) {
	stats, ok := r[id].(S)

	return stats, ok
}

// candidateID is the agent's name for a candidate of one of these types. Of a
// candidate that no agent has made it is that of the only one which has its
// address, and empty without one.
func (r StatsReport) candidateID(c *ICECandidate, types ...StatsType) string {
	if c == nil {
		return ""
	}
	if c.statsID != "" {
		return c.statsID
	}
	found := ""
	for id, entry := range r {
		stats, ok := entry.(ICECandidateStats)
		same := ok && slices.Contains(types, stats.Type) && stats.CandidateType == c.Typ &&
			stats.Protocol == c.Protocol.String() && stats.IP == c.Address && stats.Port == int32(c.Port)
		switch {
		case same && found != "":
			return "" // a peer can have the address of ours in another network
		case same:
			found = id
		}
	}

	return found
}
