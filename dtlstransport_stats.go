package webrtc

import (
	"fmt"

	"github.com/pion/dtls/v3"
)

// DTLSTransportStats counts what a [DTLSTransport] has dropped since its start:
// records that nothing authenticates or that have no place, which do not harm
// the connection. https://www.rfc-editor.org/rfc/rfc6347#section-4.1.2.7
//
// They can come from anybody who can send to our address, so they tell of an
// attack, or of a peer or a path with a defect. It is no dictionary of the
// W3C's.
type DTLSTransportStats struct {
	// MalformedRecords have a bad version, length or content. Of a datagram
	// that ends inside a record the rest counts as one.
	MalformedRecords uint64 `json:"malformedRecords"`
	// UnexpectedRecords are well formed and can have no place: an unknown type
	// or epoch, a handshake message of the wrong side or out of order, a
	// ChangeCipherSpec under protection, a warning in plaintext.
	UnexpectedRecords uint64 `json:"unexpectedRecords"`
	// PlaintextRecords came without protection after the handshake.
	PlaintextRecords uint64 `json:"plaintextRecords"`
	// OverBudgetRecords would have exceeded DTLSSettings.MaxHandshakeBytes.
	OverBudgetRecords uint64 `json:"overBudgetRecords"`
	// ThrottledRecords are retransmissions of the peer's handshake that came
	// closer together than they are answered.
	ThrottledRecords uint64 `json:"throttledRecords"`
	// UndeliveredRecords are protected records of data that failed to
	// authenticate or came twice. Since nobody but the cipher can tell, it is
	// the number of those that came less that of those that were read: while
	// data flows it may be a few higher.
	UndeliveredRecords uint64 `json:"undeliveredRecords"`
	// UnsentDatagrams could not be sent, and were lost as on the path.
	UnsentDatagrams uint64 `json:"unsentDatagrams"`

	// What was dropped of audio, video and the reports about them, in packets. They
	// are zero without media.
	//
	// SRTPMalformed packets are too short, or have a header that cannot be,
	// SRTPForged ones are not authentic, SRTPReplayed ones came before or are older
	// than the window. SRTPEarly ones came before the handshake was over.
	SRTPMalformed uint64 `json:"srtpMalformed"`
	SRTPForged    uint64 `json:"srtpForged"`
	SRTPReplayed  uint64 `json:"srtpReplayed"`
	SRTPEarly     uint64 `json:"srtpEarly"`
	// SRTPUnclaimed packets are of a stream that nobody receives, SRTPTooMany ones
	// have another unknown SSRC while SRTPSettings.MaxUnsignaledStreams are known,
	// SRTPWrongType ones have a payload type that was not agreed on.
	SRTPUnclaimed uint64 `json:"srtpUnclaimed"`
	SRTPTooMany   uint64 `json:"srtpTooMany"`
	SRTPWrongType uint64 `json:"srtpWrongType"`
	// SRTPUnread packets were not read in time, and made room for newer ones.
	// SRTPReportsUnread are RTCP that waited too long for the interceptors,
	// SRTPReportsMalformed is authentic and cannot be read.
	SRTPUnread           uint64 `json:"srtpUnread"`
	SRTPReportsUnread    uint64 `json:"srtpReportsUnread"`
	SRTPReportsMalformed uint64 `json:"srtpReportsMalformed"`
	// SRTPUnsent packets were sent before the handshake was over, or could not be
	// sent.
	SRTPUnsent uint64 `json:"srtpUnsent"`
}

// DroppedRecords is the sum of the counters of records.
func (s DTLSTransportStats) DroppedRecords() uint64 {
	return s.MalformedRecords + s.UnexpectedRecords + s.PlaintextRecords + s.OverBudgetRecords +
		s.ThrottledRecords + s.UndeliveredRecords
}

// Stats returns the counters. They are zero before the handshake, and
// stay after the end.
func (t *DTLSTransport) Stats() DTLSTransportStats {
	if t.alive() == nil {
		return DTLSTransportStats{}
	}
	t.life.mu.Lock()
	filter, data, media := t.filter, t.data, t.rtp
	t.life.mu.Unlock()
	var stats DTLSTransportStats
	media.addDropped(&stats)
	if filter == nil {
		return stats
	}
	var delivered uint64
	if data != nil {
		delivered = data.delivered.Load() // before those that came, which are more
	}
	seen := filter.Stats()
	stats.MalformedRecords = seen.Malformed
	stats.UnexpectedRecords = seen.Unexpected
	stats.PlaintextRecords = seen.Plaintext
	stats.OverBudgetRecords = seen.OverBudget
	stats.ThrottledRecords = seen.Throttled
	stats.UndeliveredRecords = seen.Passed - min(seen.Passed, delivered)
	stats.UnsentDatagrams = seen.WriteErrors

	return stats
}

// addDropped adds what media has dropped.
func (r *rtpTransport) addDropped(stats *DTLSTransportStats) {
	if r == nil {
		return
	}
	seen := r.session.Stats()
	stats.SRTPMalformed, stats.SRTPForged, stats.SRTPReplayed = seen.Malformed+r.counted.refused.Load(), seen.Forged, seen.Replayed
	stats.SRTPEarly, stats.SRTPUnclaimed, stats.SRTPTooMany = seen.Early, seen.Unclaimed, seen.TooMany
	stats.SRTPWrongType, stats.SRTPUnread = seen.WrongType, seen.PushedOut
	stats.SRTPReportsUnread, stats.SRTPReportsMalformed = r.counted.reportsLost.Load(), r.counted.reportsWrong.Load()
	stats.SRTPUnsent = r.counted.unsent.Load() + seen.WriteErrors
}

// srtpProfiles are IANA's names of the protection profiles, and the drafts' of
// the two that were never registered.
// https://www.iana.org/assignments/srtp-protection/srtp-protection.xhtml
var srtpProfiles = map[dtls.SRTPProtectionProfile]string{
	dtls.SRTP_AES128_CM_HMAC_SHA1_80: "SRTP_AES128_CM_HMAC_SHA1_80",
	dtls.SRTP_AES128_CM_HMAC_SHA1_32: "SRTP_AES128_CM_HMAC_SHA1_32",
	dtls.SRTP_AES256_CM_SHA1_80:      "SRTP_AES256_CM_SHA1_80",
	dtls.SRTP_AES256_CM_SHA1_32:      "SRTP_AES256_CM_SHA1_32",
	dtls.SRTP_NULL_HMAC_SHA1_80:      "SRTP_NULL_HMAC_SHA1_80",
	dtls.SRTP_NULL_HMAC_SHA1_32:      "SRTP_NULL_HMAC_SHA1_32",
	dtls.SRTP_AEAD_AES_128_GCM:       "SRTP_AEAD_AES_128_GCM",
	dtls.SRTP_AEAD_AES_256_GCM:       "SRTP_AEAD_AES_256_GCM",
}

func srtpProfileName(profile dtls.SRTPProtectionProfile) string {
	if name, ok := srtpProfiles[profile]; ok {
		return name
	}

	return fmt.Sprintf("0x%04X", uint16(profile))
}

// describe adds what is known of DTLS to the statistics of the ICE transport,
// and returns those of the certificates: ours, and the peer's once it is
// verified.
func (t *DTLSTransport) describe(stats *TransportStats) (certificates []CertificateStats) {
	for _, own := range t.certificates {
		certificates = append(certificates, newCertificateStats(own.x509Cert.Raw))
	}
	t.life.mu.Lock()
	connected, suite, profile, peer := t.data != nil, t.state.CipherSuiteID, t.profile, t.peer
	stats.DTLSState = t.life.state
	t.life.mu.Unlock()
	if !connected {
		return certificates
	}
	stats.DTLSCipher = dtls.CipherSuiteName(suite)
	if profile != 0 {
		stats.SRTPCipher = srtpProfileName(profile)
	}
	stats.LocalCertificateID = certificates[0].ID
	if len(peer) > 0 { // it may have none with DTLSSettings.InsecureSkipFingerprintVerification
		remote := newCertificateStats(peer)
		stats.RemoteCertificateID = remote.ID
		certificates = append(certificates, remote)
	}

	return certificates
}

// SRTPStats counts the packets of media that a [DTLSTransport] has got, and those
// that it has dropped, since its first sender or receiver was started. None of
// them harms the connection. It is no dictionary of the W3C's.
type SRTPStats struct {
	// RTPPackets were queued for a track, RTCPPackets for the interceptors.
	RTPPackets  uint64 `json:"rtpPackets"`
	RTCPPackets uint64 `json:"rtcpPackets"`
	// EarlyPackets came before there were keys.
	EarlyPackets uint64 `json:"earlyPackets"`
	// MalformedPackets are too short, or have a header or a padding that cannot be.
	MalformedPackets uint64 `json:"malformedPackets"`
	// ForgedPackets are not authentic.
	ForgedPackets uint64 `json:"forgedPackets"`
	// ReplayedPackets came before, or are older than the window of
	// SRTPSettings.
	ReplayedPackets uint64 `json:"replayedPackets"`
	// OverLimitPackets have an SSRC beyond SRTPSettings.MaxUnsignaledStreams.
	OverLimitPackets uint64 `json:"overLimitPackets"`
	// UnclaimedPackets are of a stream that no receiver has.
	UnclaimedPackets uint64 `json:"unclaimedPackets"`
	// WrongTypePackets have a payload type that is none of their receiver's.
	WrongTypePackets uint64 `json:"wrongTypePackets"`
	// UnreadPackets were not read in time, and made room for newer ones.
	UnreadPackets uint64 `json:"unreadPackets"`
	// UnreadReports are RTCP packets that came while the interceptors had too many
	// before them, and MalformedReports those that could not be read, or that an
	// interceptor refused.
	UnreadReports    uint64 `json:"unreadReports"`
	MalformedReports uint64 `json:"malformedReports"`
	// OverLimitRepeats are packets that the peer has asked for again, by NACK, beyond
	// 4,096 at once and 4,096 a second: they are not sent again.
	OverLimitRepeats uint64 `json:"overLimitRepeats"`
	// UnsentPackets, RTP and RTCP, were written before there were keys, or could not
	// be sent, and were lost as on the path.
	UnsentPackets uint64 `json:"unsentPackets"`
}

// SRTPStats returns the counters of media. They are zero without a sender or a
// receiver, and stay after the end.
func (t *DTLSTransport) SRTPStats() SRTPStats {
	if t.alive() == nil {
		return SRTPStats{}
	}
	r := t.mediaIfUsed()
	if r == nil {
		return SRTPStats{}
	}
	c := r.session.Stats()

	return SRTPStats{
		RTPPackets: c.RTP, RTCPPackets: c.RTCP, EarlyPackets: c.Early, MalformedPackets: c.Malformed + r.counted.refused.Load(),
		ForgedPackets: c.Forged, ReplayedPackets: c.Replayed, OverLimitPackets: c.TooMany,
		UnclaimedPackets: c.Unclaimed, WrongTypePackets: c.WrongType, UnreadPackets: c.PushedOut,
		UnreadReports: r.counted.reportsLost.Load(), MalformedReports: r.counted.reportsWrong.Load(),
		OverLimitRepeats: r.counted.repeatsCut.Load(), UnsentPackets: c.WriteErrors + r.counted.unsent.Load(),
	}
}
