package webrtc

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatsTimestamp(t *testing.T) {
	for _, c := range []struct {
		stamp StatsTimestamp
		want  time.Time
	}{
		{0, time.Unix(0, 0)},
		{1, time.Unix(0, int64(time.Millisecond))},
		{0.001, time.Unix(0, int64(time.Microsecond))},
		{1688978831527.5, time.Date(2023, 7, 10, 8, 47, 11, 527_500_000, time.UTC)},
		{-1.5, time.Date(1969, 12, 31, 23, 59, 59, 998_500_000, time.UTC)},
		{32503680000000, time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)}, // beyond 64 bits of nanoseconds
	} {
		got := c.stamp.Time()
		assert.True(t, c.want.Equal(got), "%v: %v", float64(c.stamp), got)
		assert.Equal(t, time.UTC, got.Location())
	}
	for _, odd := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		assert.NotPanics(t, func() { _ = StatsTimestamp(odd).Time() })
	}

	moment := time.Date(2024, 2, 29, 12, 0, 0, 123_999_999, time.FixedZone("", 3600))
	assert.Equal(t, StatsTimestamp(moment.UnixMilli()), newStatsTimestamp(moment))
	assert.Zero(t, newStatsTimestamp(time.Time{}), "a time that is not known")
}

// numberFields gives every field of a struct a value of its own, from 1 on, so that
// a field that is mixed up with another shows.
func numberFields(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		n := i + 1
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(time.UnixMilli(int64(n))))
		case f.Kind() == reflect.String:
			f.SetString("s" + string(rune('a'+i)))
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(int64(n))
		case f.CanUint():
			f.SetUint(uint64(n))
		case f.CanFloat():
			f.SetFloat(float64(n))
		default:
			t.Fatalf("field %s", v.Type().Field(i).Name)
		}
	}
}

// Every value that the agent tells of a pair stands in the field of its name.
func TestNewCandidatePairStats(t *testing.T) {
	var from ice.CandidatePairStats
	numberFields(t, reflect.ValueOf(&from).Elem())
	from.LocalCandidateID, from.RemoteCandidateID = "candidate:1", "candidate:2"
	from.State = ice.CandidatePairStateSucceeded
	got := newCandidatePairStats(from)

	assert.Equal(t, "candidate:1-candidate:2", got.ID)
	assert.Equal(t, StatsTypeCandidatePair, got.Type)
	assert.Equal(t, StatsICECandidatePairStateSucceeded, got.State)
	assert.Equal(t, "iceTransport", got.TransportID)
	in, out := reflect.ValueOf(from), reflect.ValueOf(got)
	for i := range in.NumField() {
		name := in.Type().Field(i).Name
		if name == "State" {
			continue
		}
		want := in.Field(i).Interface()
		if at, ok := want.(time.Time); ok {
			want = newStatsTimestamp(at)
		}
		assert.Equal(t, want, out.FieldByName(name).Interface(), name)
	}

	nothing := newCandidatePairStats(ice.CandidatePairStats{})
	assert.Equal(t, ICECandidatePairStats{ID: "-", Type: StatsTypeCandidatePair, TransportID: "iceTransport"}, nothing)
}

func TestStatsPairStates(t *testing.T) {
	for _, agents := range []ice.CandidatePairState{
		ice.CandidatePairStateWaiting, ice.CandidatePairStateInProgress,
		ice.CandidatePairStateFailed, ice.CandidatePairStateSucceeded,
	} {
		got := newCandidatePairStats(ice.CandidatePairStats{State: agents}).State
		assert.EqualValues(t, agents.String(), got)
	}
	assert.EqualValues(t, "frozen", StatsICECandidatePairStateFrozen)
	assert.Empty(t, newCandidatePairStats(ice.CandidatePairStats{State: 99}).State)
}

// fakeMeter is an association with known numbers.
type fakeMeter struct {
	agreed sctp.AssociationMetadata
	up     bool
}

func (fakeMeter) BytesSent() uint64     { return 1 }
func (fakeMeter) BytesReceived() uint64 { return 2 }
func (fakeMeter) MTU() uint32           { return 3 }
func (fakeMeter) CWND() uint32          { return 4 }
func (fakeMeter) RWND() uint32          { return 5 }
func (fakeMeter) SRTT() float64         { return 1500 }

func (f fakeMeter) Metadata() (sctp.AssociationMetadata, bool) { return f.agreed, f.up }

var _ sctpMeter = (*sctp.Association)(nil)

func TestNewSCTPTransportStats(t *testing.T) {
	got := newSCTPTransportStats(fakeMeter{})
	assert.InDelta(t, time.Now().UnixMilli(), float64(got.Timestamp), 60_000)
	got.Timestamp = 0
	want := SCTPTransportStats{
		ID: "sctpTransport", Type: "sctp-transport", TransportID: "iceTransport",
		BytesSent: 1, BytesReceived: 2, MTU: 3, CongestionWindow: 4, ReceiverWindow: 5,
		SmoothedRoundTripTime: 1.5,
	}
	assert.Equal(t, want, got)

	none := newSCTPTransportStats(nil)
	none.Timestamp = 0
	assert.Equal(t, SCTPTransportStats{ID: want.ID, Type: want.Type, TransportID: want.TransportID}, none)

	for _, c := range []struct {
		agreed sctp.AssociationMetadata
		want   SCTPTransportMetadata
	}{
		{
			sctp.AssociationMetadata{MessageInterleavingEnabled: true},
			SCTPTransportMetadata{MessageInterleavingEnabled: true, PartialReliabilityMode: "none"},
		},
		{
			sctp.AssociationMetadata{
				PartialReliabilityMode: sctp.PartialReliabilityModeForwardTSN, ZeroChecksumSendingEnabled: true,
			},
			SCTPTransportMetadata{PartialReliabilityMode: "forward-tsn", ZeroChecksumSendingEnabled: true},
		},
		{
			sctp.AssociationMetadata{
				PartialReliabilityMode: sctp.PartialReliabilityModeIForwardTSN, ZeroChecksumReceivingEnabled: true,
			},
			SCTPTransportMetadata{PartialReliabilityMode: "i-forward-tsn", ZeroChecksumReceivingEnabled: true},
		},
	} {
		got := newSCTPTransportStats(fakeMeter{agreed: c.agreed, up: true}).Metadata
		require.NotNil(t, got)
		assert.Equal(t, c.want, *got)
	}
}

// The JSON is what pion/webrtc writes for the same values, the order of the
// fields left aside. What pion has not is absent if zero.
func TestStatsJSON(t *testing.T) {
	for _, c := range []struct {
		stats Stats
		json  string
	}{
		{TransportStats{}, `{
			"id":"", "type":"", "timestamp":0,
			"packetsSent":0, "packetsReceived":0, "bytesSent":0, "bytesReceived":0,
			"rtcpTransportStatsId":"", "iceRole":"unknown", "dtlsState":"unknown", "iceState":"unknown",
			"selectedCandidatePairId":"", "localCertificateId":"", "remoteCertificateId":"",
			"dtlsCipher":"", "srtpCipher":""}`},
		{TransportStats{
			ID: "T", Type: StatsTypeTransport, Timestamp: 1688978831527.718,
			ICEState: ICETransportStateConnected, ICERole: ICERoleControlling, SelectedCandidatePairID: "P",
			BytesSent: 1, PacketsSent: 2, BytesReceived: 3, PacketsReceived: 4,
			DTLSState: DTLSTransportStateFailed, DTLSCipher: "D", SRTPCipher: "S",
			LocalCertificateID: "L", RemoteCertificateID: "R", RTCPTransportStatsID: "C",
		}, `{
			"id":"T", "type":"transport", "timestamp":1688978831527.718,
			"packetsSent":2, "packetsReceived":4, "bytesSent":1, "bytesReceived":3,
			"rtcpTransportStatsId":"C", "iceRole":"controlling", "dtlsState":"failed", "iceState":"connected",
			"selectedCandidatePairId":"P", "localCertificateId":"L", "remoteCertificateId":"R",
			"dtlsCipher":"D", "srtpCipher":"S"}`},
		{ICECandidatePairStats{
			ID: "P", Type: StatsTypeCandidatePair, Timestamp: 1, TransportID: "T",
			LocalCandidateID: "L", RemoteCandidateID: "R", Nominated: true,
			State: StatsICECandidatePairStateInProgress, BytesSent: 2, PacketsSent: 3, LastPacketSentTimestamp: 4,
			BytesDiscardedOnSend: 5, PacketsDiscardedOnSend: 6, BytesReceived: 7, PacketsReceived: 8,
			LastPacketReceivedTimestamp: 9, RequestsSent: 10, RetransmissionsSent: 11, ConsentRequestsSent: 12,
			ConsentExpiredTimestamp: 13, FirstRequestTimestamp: 14, LastRequestTimestamp: 15, ResponsesReceived: 16,
			FirstResponseTimestamp: 17, LastResponseTimestamp: 18, CurrentRoundTripTime: 19, TotalRoundTripTime: 20,
			RequestsReceived: 21, RetransmissionsReceived: 22, ResponsesSent: 23, FirstRequestReceivedTimestamp: 24,
			LastRequestReceivedTimestamp: 25, AvailableIncomingBitrate: 26, AvailableOutgoingBitrate: 27,
			CircuitBreakerTriggerCount: 28,
		}, `{
			"id":"P", "type":"candidate-pair", "timestamp":1, "transportId":"T",
			"localCandidateId":"L", "remoteCandidateId":"R", "nominated":true,
			"state":"in-progress", "bytesSent":2, "packetsSent":3, "lastPacketSentTimestamp":4,
			"bytesDiscardedOnSend":5, "packetsDiscardedOnSend":6, "bytesReceived":7, "packetsReceived":8,
			"lastPacketReceivedTimestamp":9, "requestsSent":10, "retransmissionsSent":11, "consentRequestsSent":12,
			"consentExpiredTimestamp":13, "firstRequestTimestamp":14, "lastRequestTimestamp":15,
			"responsesReceived":16, "firstResponseTimestamp":17, "lastResponseTimestamp":18,
			"currentRoundTripTime":19, "totalRoundTripTime":20, "requestsReceived":21,
			"retransmissionsReceived":22, "responsesSent":23, "firstRequestReceivedTimestamp":24,
			"lastRequestReceivedTimestamp":25, "availableIncomingBitrate":26, "availableOutgoingBitrate":27,
			"circuitBreakerTriggerCount":28}`},
		{ICECandidateStats{
			ID: "C", Type: StatsTypeLocalCandidate, Timestamp: 1, TransportID: "T",
			CandidateType: ICECandidateTypeSrflx, Protocol: "udp", IP: "192.0.2.1", Port: 2, Priority: 3, URL: "U",
			RelayProtocol: "tls", NetworkType: "wifi", Deleted: true,
		}, `{
			"id":"C", "type":"local-candidate", "timestamp":1, "transportId":"T", "networkType":"wifi",
			"ip":"192.0.2.1", "port":2, "protocol":"udp", "candidateType":"srflx", "priority":3, "url":"U",
			"relayProtocol":"tls", "deleted":true}`},
		{ICECandidateStats{Type: StatsTypeRemoteCandidate, CandidateType: ICECandidateTypeHost}, `{
			"id":"", "type":"remote-candidate", "timestamp":0, "transportId":"",
			"ip":"", "port":0, "protocol":"", "candidateType":"host", "priority":0, "url":"",
			"relayProtocol":"", "deleted":false}`},
		{SCTPTransportStats{
			ID: "S", Type: StatsTypeSCTPTransport, Timestamp: 1, TransportID: "T", BytesSent: 2, BytesReceived: 3,
			MTU: 4, CongestionWindow: 5, ReceiverWindow: 6, UNACKData: 7, SmoothedRoundTripTime: 0.5,
			Metadata: &SCTPTransportMetadata{
				PartialReliabilityMode:       SCTPTransportPartialReliabilityModeIForwardTSN,
				MessageInterleavingEnabled:   true,
				ZeroChecksumReceivingEnabled: true,
			},
		}, `{
			"id":"S", "type":"sctp-transport", "timestamp":1, "transportId":"T", "smoothedRoundTripTime":0.5,
			"congestionWindow":5, "receiverWindow":6, "mtu":4, "unackData":7, "bytesSent":2, "bytesReceived":3,
			"metadata":{"messageInterleavingEnabled":true, "partialReliabilityMode":"i-forward-tsn",
				"zeroChecksumSendingEnabled":false, "zeroChecksumReceivingEnabled":true}}`},
		{SCTPTransportStats{}, `{
			"id":"", "type":"", "timestamp":0, "transportId":"", "smoothedRoundTripTime":0,
			"congestionWindow":0, "receiverWindow":0, "mtu":0, "unackData":0, "bytesSent":0, "bytesReceived":0}`},
		{DataChannelStats{
			ID: "D", Type: StatsTypeDataChannel, Timestamp: 1, TransportID: "T", DataChannelIdentifier: 2,
			Label: "L", Protocol: "P", State: DataChannelStateOpen, BytesSent: 3, MessagesSent: 4,
			BytesReceived: 5, MessagesReceived: 6,
		}, `{
			"id":"D", "type":"data-channel", "timestamp":1, "transportId":"T", "label":"L", "protocol":"P",
			"dataChannelIdentifier":2, "state":"open", "messagesSent":4, "bytesSent":3,
			"messagesReceived":6, "bytesReceived":5}`},
		{PeerConnectionStats{
			ID: "P", Type: StatsTypePeerConnection, Timestamp: 1, DataChannelsOpened: 2, DataChannelsClosed: 3,
			DataChannelsRequested: 4, DataChannelsAccepted: 5,
		}, `{
			"id":"P", "type":"peer-connection", "timestamp":1, "dataChannelsOpened":2, "dataChannelsClosed":3,
			"dataChannelsRequested":4, "dataChannelsAccepted":5}`},
		{CertificateStats{
			ID: "C", Type: StatsTypeCertificate, Timestamp: 1, Fingerprint: "00:01", FingerprintAlgorithm: "sha-256",
			Base64Certificate: "AA", IssuerCertificateID: "I",
		}, `{
			"id":"C", "type":"certificate", "timestamp":1, "fingerprint":"00:01", "fingerprintAlgorithm":"sha-256",
			"base64Certificate":"AA", "issuerCertificateId":"I"}`},
	} {
		got, err := json.Marshal(c.stats)
		require.NoError(t, err)
		assert.JSONEq(t, c.json, string(got))

		back := reflect.New(reflect.TypeOf(c.stats))
		if c.stats == (TransportStats{}) { // "unknown" comes back as well
			back.Elem().Set(reflect.ValueOf(TransportStats{ICERole: ICERoleControlled, ICEState: ICETransportStateNew}))
		}
		require.NoError(t, json.Unmarshal(got, back.Interface()))
		assert.Equal(t, c.stats, back.Elem().Interface())
	}
}

func TestStatsTypes(t *testing.T) {
	untyped := StatsTypeMediaSource // a string, as pion programs may need
	assert.Equal(t, "media-source", untyped)
	for text, value := range map[string]StatsType{
		"codec": StatsTypeCodec, "inbound-rtp": StatsTypeInboundRTP, "outbound-rtp": StatsTypeOutboundRTP,
		"remote-inbound-rtp": StatsTypeRemoteInboundRTP, "remote-outbound-rtp": StatsTypeRemoteOutboundRTP,
		"csrc": StatsTypeCSRC, "media-source": StatsTypeMediaSource, "media-playout": StatsTypeMediaPlayout,
		"peer-connection": StatsTypePeerConnection, "data-channel": StatsTypeDataChannel,
		"stream": StatsTypeStream, "track": StatsTypeTrack, "sender": StatsTypeSender,
		"receiver": StatsTypeReceiver, "transport": StatsTypeTransport, "candidate-pair": StatsTypeCandidatePair,
		"local-candidate": StatsTypeLocalCandidate, "remote-candidate": StatsTypeRemoteCandidate,
		"certificate": StatsTypeCertificate, "sctp-transport": StatsTypeSCTPTransport,
	} {
		assert.EqualValues(t, text, value)
	}
}
