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
}

// DroppedRecords is the sum of the counters of records.
func (s DTLSTransportStats) DroppedRecords() uint64 {
	return s.MalformedRecords + s.UnexpectedRecords + s.PlaintextRecords + s.OverBudgetRecords +
		s.ThrottledRecords + s.UndeliveredRecords
}

// Stats returns the counters. They are zero before the first record of the
// handshake, and stay after the end.
func (t *DTLSTransport) Stats() DTLSTransportStats {
	if t.alive() == nil {
		return DTLSTransportStats{}
	}
	t.life.mu.Lock()
	filter, data := t.filter, t.data
	t.life.mu.Unlock()
	if filter == nil {
		return DTLSTransportStats{}
	}
	var delivered uint64
	if data != nil {
		delivered = data.delivered.Load() // before those that came, which are more
	}
	seen := filter.Stats()

	return DTLSTransportStats{
		MalformedRecords:   seen.Malformed,
		UnexpectedRecords:  seen.Unexpected,
		PlaintextRecords:   seen.Plaintext,
		OverBudgetRecords:  seen.OverBudget,
		ThrottledRecords:   seen.Throttled,
		UndeliveredRecords: seen.Passed - min(seen.Passed, delivered),
		UnsentDatagrams:    seen.WriteErrors,
	}
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
