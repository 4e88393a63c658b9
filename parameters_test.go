package webrtc

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func addressOf[T any](v T) *T { return &v }

// The JSON of the values is what peers exchange.
func TestParametersJSON(t *testing.T) {
	for _, c := range []struct {
		value, empty any
		json         string
	}{
		{
			&ICEParameters{UsernameFragment: "u", Password: "p", ICELite: true},
			&ICEParameters{},
			`{"usernameFragment":"u","password":"p","iceLite":true}`,
		},
		{
			&DTLSParameters{Role: DTLSRoleClient, Fingerprints: []DTLSFingerprint{{Algorithm: "sha-256", Value: "ab:cd"}}},
			&DTLSParameters{},
			`{"role":2,"fingerprints":[{"algorithm":"sha-256","value":"ab:cd"}]}`,
		},
		{&SCTPCapabilities{MaxMessageSize: 65536}, &SCTPCapabilities{}, `{"maxMessageSize":65536}`},
		{
			&DataChannelParameters{
				Label: "l", Protocol: "p", ID: addressOf(uint16(4)), Ordered: true,
				MaxPacketLifeTime: addressOf(uint16(0)), Negotiated: true,
			},
			&DataChannelParameters{},
			`{"label":"l","protocol":"p","id":4,"ordered":true,"maxPacketLifeTime":0,"maxRetransmits":null,"negotiated":true}`,
		},
		{
			&ICECandidateInit{Candidate: "c", SDPMid: addressOf("0"), SDPMLineIndex: addressOf(uint16(0))},
			&ICECandidateInit{},
			`{"candidate":"c","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}`,
		},
		{
			&ICECandidateInit{UsernameFragment: addressOf("u")},
			&ICECandidateInit{},
			`{"candidate":"","sdpMid":null,"sdpMLineIndex":null,"usernameFragment":"u"}`,
		},
	} {
		got, err := json.Marshal(c.value)
		require.NoError(t, err)
		assert.JSONEq(t, c.json, string(got))
		require.NoError(t, json.Unmarshal(got, c.empty))
		assert.Equal(t, c.value, c.empty)
	}
}

func TestICEParametersValidate(t *testing.T) {
	good := ICEParameters{UsernameFragment: "abcd", Password: "0123456789012345678901"}
	for _, credential := range []string{
		"a", "+/09azAZ", "libp2p+webrtc+v1/0aZ", "c0ffee00-cafe-4bad_8bad=#", strings.Repeat("x", 256),
	} {
		p := good
		p.UsernameFragment = credential
		require.NoError(t, p.validate(), "%.40q", credential)
		p = good
		p.Password = credential
		require.NoError(t, p.validate(), "%.40q", credential)
	}
	for _, credential := range []string{
		"", "a:b", "a b", "a\n", "a\x00", "é", "\xff", "a\r\na=candidate:", strings.Repeat("x", 257),
	} {
		p := good
		p.UsernameFragment = credential
		require.ErrorIs(t, p.validate(), ErrInvalidArgument, "%.40q", credential)
		require.ErrorContains(t, p.validate(), "username fragment")
		p = good
		p.Password = credential
		require.ErrorIs(t, p.validate(), ErrInvalidArgument, "%.40q", credential)
		require.ErrorContains(t, p.validate(), "password")
	}
	assert.NotContains(t, ICEParameters{UsernameFragment: "u", Password: "s:cret"}.validate().Error(), "s:cret",
		"a password does not go into logs")
}

func TestDTLSParametersValidate(t *testing.T) {
	known := []DTLSFingerprint{{Algorithm: "sha-256", Value: "00"}}
	for role := DTLSRoleUnknown; role <= DTLSRoleServer; role++ {
		require.NoError(t, DTLSParameters{Role: role, Fingerprints: known}.validate())
	}
	require.NoError(t, DTLSParameters{Fingerprints: []DTLSFingerprint{{Algorithm: "shake256", Value: "0"}}}.validate())
	for name, p := range map[string]DTLSParameters{
		"role":            {Role: DTLSRoleServer + 1, Fingerprints: known},
		"far role":        {Role: 255, Fingerprints: known},
		"none":            {Role: DTLSRoleAuto},
		"empty":           {Fingerprints: []DTLSFingerprint{}},
		"empty value":     {Fingerprints: []DTLSFingerprint{{Algorithm: "sha-256"}}},
		"empty algorithm": {Fingerprints: append(known, DTLSFingerprint{Value: "00"})},
	} {
		require.ErrorIs(t, p.validate(), ErrInvalidArgument, name)
	}
}

func TestC6_DataChannelParametersValidate(t *testing.T) {
	zero, most := addressOf(uint16(0)), addressOf(uint16(math.MaxUint16))
	long := strings.Repeat("x", math.MaxUint16)
	for name, p := range map[string]DataChannelParameters{
		"zero value":       {},
		"longest":          {Label: long, Protocol: long},
		"life time 0":      {MaxPacketLifeTime: zero},
		"life time most":   {Ordered: true, MaxPacketLifeTime: most},
		"retransmits 0":    {MaxRetransmits: zero},
		"retransmits most": {Ordered: true, MaxRetransmits: most},
		"negotiated":       {Negotiated: true, ID: zero},
		"id, announced":    {ID: addressOf(uint16(1))},
		"the highest id":   {Negotiated: true, ID: addressOf(uint16(math.MaxUint16 - 1))},
		"any bytes":        {Label: "\x00\xff\n"},
	} {
		require.NoError(t, p.validate(), name)
	}
	for name, c := range map[string]struct {
		p      DataChannelParameters
		reason error
	}{
		"label":      {DataChannelParameters{Label: long + "x"}, ErrStringSizeLimit},
		"protocol":   {DataChannelParameters{Protocol: long + "x"}, ErrProtocolTooLarge},
		"limits":     {DataChannelParameters{MaxPacketLifeTime: zero, MaxRetransmits: zero}, ErrRetransmitsOrPacketLifeTime},
		"negotiated": {DataChannelParameters{Negotiated: true}, ErrNegotiatedWithoutID},
		"id":         {DataChannelParameters{ID: most}, ErrMaxDataChannelID},
	} {
		require.ErrorIs(t, c.p.validate(), ErrInvalidArgument, name)
		require.ErrorIs(t, c.p.validate(), c.reason, name)
	}
}

func TestNamesOfParameters(t *testing.T) {
	for raw, want := range map[string]ICEProtocol{
		"udp": ICEProtocolUDP, "UDP": ICEProtocolUDP, "tcp": ICEProtocolTCP, "Tcp": ICEProtocolTCP,
	} {
		got, err := NewICEProtocol(raw)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for want := NetworkTypeUDP4; want <= NetworkTypeTCP6; want++ {
		got, err := NewNetworkType(want.String())
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, want.String()[:3], got.Protocol())
	}
	assert.Equal(t, "unknown", NetworkTypeUnknown.Protocol())
	for want := ICECandidateTypeHost; want <= ICECandidateTypeRelay; want++ {
		got, err := NewICECandidateType(want.String())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, raw := range []string{"", "unknown", "udp5", "Host", "ssltcp"} {
		protocol, err := NewICEProtocol(raw)
		require.ErrorIs(t, err, ErrUnknownType)
		assert.Equal(t, ICEProtocolUnknown, protocol)
		network, err := NewNetworkType(raw)
		require.ErrorIs(t, err, ErrUnknownType)
		assert.Equal(t, NetworkTypeUnknown, network)
		kind, err := NewICECandidateType(raw)
		require.ErrorIs(t, err, ErrUnknownType)
		assert.Equal(t, ICECandidateTypeUnknown, kind)
	}

	kept := ICECandidateTypeRelay
	require.ErrorIs(t, kept.UnmarshalText([]byte("unknown")), ErrUnknownType)
	assert.Equal(t, ICECandidateTypeRelay, kept)
	require.ErrorIs(t, (*ICECandidateType)(nil).UnmarshalText([]byte("host")), ErrInvalidArgument)
}

// Programs convert between the two by their numbers.
func TestNumbersOfTheAgent(t *testing.T) {
	assert.Equal(t, ICECandidateTypeHost, ICECandidateType(ice.CandidateTypeHost))
	assert.Equal(t, ICECandidateTypeSrflx, ICECandidateType(ice.CandidateTypeServerReflexive))
	assert.Equal(t, ICECandidateTypePrflx, ICECandidateType(ice.CandidateTypePeerReflexive))
	assert.Equal(t, ICECandidateTypeRelay, ICECandidateType(ice.CandidateTypeRelay))

	assert.Equal(t, NetworkTypeUDP4, NetworkType(ice.NetworkTypeUDP4))
	assert.Equal(t, NetworkTypeUDP6, NetworkType(ice.NetworkTypeUDP6))
	assert.Equal(t, NetworkTypeTCP4, NetworkType(ice.NetworkTypeTCP4))
	assert.Equal(t, NetworkTypeTCP6, NetworkType(ice.NetworkTypeTCP6))
}

func TestICETransportPolicyJSON(t *testing.T) {
	for text, want := range map[string]ICETransportPolicy{
		`"all"`: ICETransportPolicyAll, `""`: ICETransportPolicyAll, `null`: ICETransportPolicyAll,
		`"relay"`: ICETransportPolicyRelay, `"nohost"`: ICETransportPolicyNoHost,
	} {
		got := ICETransportPolicy(1)
		// null does not reach UnmarshalJSON of a plain field.
		require.NoError(t, got.UnmarshalJSON([]byte(text)), text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{`"Relay"`, `"relayed"`, `"unknown"`, `1`, `{}`, `"relay`, ``} {
		got := ICETransportPolicyRelay
		require.Error(t, got.UnmarshalJSON([]byte(text)), text)
		assert.Equal(t, ICETransportPolicyRelay, got, text)
	}
	require.ErrorIs(t, (*ICETransportPolicy)(nil).UnmarshalJSON([]byte(`"all"`)), ErrInvalidArgument)
	require.ErrorIs(t, (*ICECredentialType)(nil).UnmarshalJSON([]byte(`"oauth"`)), ErrInvalidArgument)

	assert.Equal(t, ICETransportPolicyRelay, NewICETransportPolicy("relay"))
	assert.Equal(t, ICETransportPolicyNoHost, NewICETransportPolicy("nohost"))
	assert.Equal(t, ICETransportPolicyAll, NewICETransportPolicy("anything"))
}

func TestICECandidatePair(t *testing.T) {
	c, err := ParseICECandidate("1 1 udp 5 192.0.2.1 9 typ host")
	require.NoError(t, err)
	pair := NewICECandidatePair(&c, nil)
	assert.Same(t, &c, pair.Local)
	assert.Nil(t, pair.Remote)
	assert.Equal(t, "(local) candidate:1 1 udp 5 192.0.2.1 9 typ host <-> (remote) <nil>", pair.String())
	assert.Equal(t, "(local) <nil> <-> (remote) <nil>", NewICECandidatePair(nil, nil).String())
	assert.Equal(t, "<nil>", (*ICECandidatePair)(nil).String())
}
