package webrtc

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
)

// StatsReport is everything that a PeerConnection tells about itself and its
// transports, by ID. An ID that an entry names has an entry too.
// https://www.w3.org/TR/webrtc/#rtcstatsreport-object
type StatsReport map[string]Stats

// PeerConnectionStats counts the data channels of a connection. They stay after
// its end. https://www.w3.org/TR/webrtc-stats/#dom-rtcpeerconnectionstats
type PeerConnectionStats struct {
	// ID is the connection's ID.
	ID string `json:"id"`
	// Type is StatsTypePeerConnection.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`

	// DataChannelsOpened counts channels that could send.
	DataChannelsOpened uint32 `json:"dataChannelsOpened"`
	// DataChannelsClosed counts those of them that cannot any more, whoever
	// has closed them.
	DataChannelsClosed uint32 `json:"dataChannelsClosed"`
	// DataChannelsRequested counts channels that this side has made, opened or
	// not.
	DataChannelsRequested uint32 `json:"dataChannelsRequested"`
	// DataChannelsAccepted counts channels that the peer has made, and that
	// the program was told or can accept.
	DataChannelsAccepted uint32 `json:"dataChannelsAccepted"`
}

// CertificateStats describes a certificate, of ours or of the peer.
// https://www.w3.org/TR/webrtc-stats/#dom-rtccertificatestats
type CertificateStats struct {
	// ID is the same for the same certificate, also in other reports.
	ID string `json:"id"`
	// Type is StatsTypeCertificate.
	Type StatsType `json:"type"`
	// Timestamp is when the values were read.
	Timestamp StatsTimestamp `json:"timestamp"`

	// Fingerprint is in the form in which it is signaled.
	Fingerprint string `json:"fingerprint"`
	// FingerprintAlgorithm is "sha-256".
	FingerprintAlgorithm string `json:"fingerprintAlgorithm"`
	// Base64Certificate is the DER in pion/webrtc's base64: the alphabet for
	// URLs, and no padding. That of browsers is the standard one, with padding.
	// https://www.rfc-editor.org/rfc/rfc4648#section-5
	Base64Certificate string `json:"base64Certificate"`
	// IssuerCertificateID is empty: of a chain, the first certificate alone is
	// kept, as the fingerprint is its.
	IssuerCertificateID string `json:"issuerCertificateId"`
}

// newCertificateStats takes the certificate in DER.
func newCertificateStats(der []byte) CertificateStats {
	value := certificateFingerprint(der)

	return CertificateStats{
		ID: certificateStatsID(value), Type: StatsTypeCertificate, Timestamp: newStatsTimestamp(time.Now()),
		Fingerprint: value, FingerprintAlgorithm: "sha-256",
		Base64Certificate: base64.RawURLEncoding.EncodeToString(der),
	}
}

func certificateStatsID(fingerprint string) string { return "certificate-" + fingerprint }

func certificateFingerprint(der []byte) string {
	// Of the certificate only the DER counts, and the hash is linked in.
	value, _ := fingerprint.Fingerprint(&x509.Certificate{Raw: der}, crypto.SHA256)

	return value
}

// UnmarshalStatsJSON reads the JSON of any of the structs of this package that
// end in Stats and have a type. Another type, also one that only browsers have,
// is [ErrUnknownType]; JSON that does not fit is [ErrInvalidArgument].
func UnmarshalStatsJSON(b []byte) (Stats, error) {
	const op = "parse stats"
	var head struct {
		Type StatsType `json:"type"`
		Kind MediaKind `json:"kind"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	var stats Stats
	var err error
	switch head.Type {
	case StatsTypeTransport:
		stats, err = parseStats[TransportStats](b)
	case StatsTypeCandidatePair:
		stats, err = parseStats[ICECandidatePairStats](b)
	case StatsTypeLocalCandidate, StatsTypeRemoteCandidate:
		stats, err = parseStats[ICECandidateStats](b)
	case StatsTypeSCTPTransport:
		stats, err = parseStats[SCTPTransportStats](b)
	case StatsTypeDataChannel:
		stats, err = parseStats[DataChannelStats](b)
	case StatsTypeCertificate:
		stats, err = parseStats[CertificateStats](b)
	case StatsTypePeerConnection:
		stats, err = parseStats[PeerConnectionStats](b)
	case StatsTypeCodec:
		stats, err = parseStats[CodecStats](b)
	case StatsTypeInboundRTP:
		stats, err = parseStats[InboundRTPStreamStats](b)
	case StatsTypeOutboundRTP:
		stats, err = parseStats[OutboundRTPStreamStats](b)
	case StatsTypeRemoteInboundRTP:
		stats, err = parseStats[RemoteInboundRTPStreamStats](b)
	case StatsTypeRemoteOutboundRTP:
		stats, err = parseStats[RemoteOutboundRTPStreamStats](b)
	case StatsTypeCSRC:
		stats, err = parseStats[RTPContributingSourceStats](b)
	case StatsTypeMediaSource:
		switch head.Kind {
		case MediaKindAudio:
			stats, err = parseStats[AudioSourceStats](b)
		case MediaKindVideo:
			stats, err = parseStats[VideoSourceStats](b)
		default:
			return nil, refuse(op, ErrUnknownType, "kind %q", clip(string(head.Kind)))
		}
	default: // what no program of ours makes
		return nil, refuse(op, ErrUnknownType, "%q", clip(string(head.Type)))
	}
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%s: %w", head.Type, err)
	}

	return stats, nil
}

func parseStats[S Stats](b []byte) (Stats, error) {
	var stats S
	if err := json.Unmarshal(b, &stats); err != nil {
		return nil, err
	}

	return stats, nil
}
