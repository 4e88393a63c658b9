package webrtc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnmarshalStatsJSON(t *testing.T) {
	for _, stats := range []Stats{
		TransportStats{Type: StatsTypeTransport},
		ICECandidatePairStats{Type: StatsTypeCandidatePair, RequestsSent: 1},
		ICECandidateStats{Type: StatsTypeLocalCandidate, CandidateType: ICECandidateTypeHost},
		ICECandidateStats{Type: StatsTypeRemoteCandidate, CandidateType: ICECandidateTypeRelay},
		SCTPTransportStats{Type: StatsTypeSCTPTransport, UnreadBytes: 1},
		DataChannelStats{Type: StatsTypeDataChannel, State: DataChannelStateClosing},
		CertificateStats{Type: StatsTypeCertificate, Fingerprint: "00"},
		PeerConnectionStats{Type: StatsTypePeerConnection, DataChannelsClosed: 1},
	} {
		text, err := json.Marshal(stats)
		require.NoError(t, err)
		got, err := UnmarshalStatsJSON(text)
		require.NoError(t, err)
		assert.Equal(t, stats, got)
	}

	for text, is := range map[string]error{
		`{"type":"sender"}`: ErrUnknownType, `{"type":"media-source","kind":"text"}`: ErrUnknownType, `{"type":"new"}`: ErrUnknownType, `{}`: ErrUnknownType,
		`null`: ErrUnknownType, ``: ErrInvalidArgument, `[]`: ErrInvalidArgument, `{"type":1}`: ErrInvalidArgument,
		`{"type":"transport","bytesSent":-1}`:      ErrInvalidArgument,
		`{"type":"data-channel","state":"opened"}`: ErrInvalidArgument,
	} {
		got, err := UnmarshalStatsJSON([]byte(text))
		require.ErrorIs(t, err, is, text)
		assert.Nil(t, got, text)
	}
	_, err := UnmarshalStatsJSON([]byte(`{"type":"` + strings.Repeat("x", 10_000) + `"}`))
	require.ErrorIs(t, err, ErrUnknownType)
	assert.Less(t, len(err.Error()), 200)
}

// Every value that the agent tells of a candidate stands in the field of its name.
func TestNewICECandidateStats(t *testing.T) {
	at := time.UnixMilli(5)
	got := newICECandidateStats(ice.CandidateStats{
		Timestamp: at, ID: "I", NetworkType: ice.NetworkTypeTCP6, IP: "2001:db8::1", Port: 65535,
		CandidateType: ice.CandidateTypeRelay, Priority: 7, URL: "U", RelayProtocol: "tls", Deleted: true,
	}, StatsTypeLocalCandidate)
	assert.Equal(t, ICECandidateStats{
		ID: "I", Type: StatsTypeLocalCandidate, Timestamp: 5, TransportID: "iceTransport",
		CandidateType: ICECandidateTypeRelay, Protocol: "tcp", IP: "2001:db8::1", Port: 65535, Priority: 7,
		URL: "U", RelayProtocol: "tls", Deleted: true,
	}, got)
	high := newICECandidateStats(ice.CandidateStats{Priority: math.MaxUint32}, StatsTypeRemoteCandidate)
	assert.EqualValues(t, -1, high.Priority)
}

func TestNewCertificateStats(t *testing.T) {
	certificate := bubbleCertificate(t)
	der := certificate.x509Cert.Raw
	got := newCertificateStats(der)
	signaled, err := certificate.GetFingerprints()
	require.NoError(t, err)
	assert.Equal(t, signaled[0], DTLSFingerprint{Algorithm: got.FingerprintAlgorithm, Value: got.Fingerprint})
	decoded, err := base64.RawURLEncoding.DecodeString(got.Base64Certificate)
	require.NoError(t, err)
	assert.Equal(t, der, decoded)
	sum := sha256.Sum256(der)
	assert.Equal(t, sum[:], parseFingerprint(got.Fingerprint))
	assert.Empty(t, got.IssuerCertificateID, "it would have to be in the report")
	assert.Equal(t, got.ID, newCertificateStats(der).ID)
	assert.NotEqual(t, got.ID, newCertificateStats(der[1:]).ID)
}

// checkReport checks that a report is one whole, and returns what it has of each type.
func checkReport(t *testing.T, report StatsReport) map[string]int {
	t.Helper()
	types := map[string][]reflect.Type{}
	for _, stats := range []Stats{
		TransportStats{Type: StatsTypeTransport},
		ICECandidatePairStats{Type: StatsTypeCandidatePair},
		ICECandidateStats{Type: StatsTypeLocalCandidate},
		ICECandidateStats{Type: StatsTypeRemoteCandidate},
		SCTPTransportStats{Type: StatsTypeSCTPTransport},
		DataChannelStats{Type: StatsTypeDataChannel},
		CertificateStats{Type: StatsTypeCertificate},
		PeerConnectionStats{Type: StatsTypePeerConnection},
	} {
		kind := reflect.ValueOf(stats).FieldByName("Type").String()
		types[kind] = append(types[kind], reflect.TypeOf(stats))
	}
	counts := map[string]int{}
	for id, stats := range report {
		v := reflect.ValueOf(stats)
		require.NotEmpty(t, id)
		assert.Equal(t, id, v.FieldByName("ID").String())
		assert.NotZero(t, v.FieldByName("Timestamp").Float(), id)
		kind := v.FieldByName("Type").String()
		counts[kind]++
		assert.Contains(t, types[kind], v.Type(), id)
		text, err := json.Marshal(stats)
		require.NoError(t, err)
		back, err := UnmarshalStatsJSON(text)
		require.NoError(t, err, "%s", text)
		assert.Equal(t, stats, back)
	}
	assert.Empty(t, missingEntries(report))

	return counts
}

// missingEntries are what entries name, themselves included, that is not there.
func missingEntries(report StatsReport) (missing []string) {
	for id, stats := range report {
		v := reflect.ValueOf(stats)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Field(i).Kind() != reflect.String || !strings.HasSuffix(name, "ID") || v.Field(i).String() == "" {
				continue
			}
			if _, ok := report[v.Field(i).String()]; !ok {
				missing = append(missing, name+" of "+id)
			}
		}
	}

	return missing
}
