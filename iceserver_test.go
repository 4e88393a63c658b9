package webrtc

import (
	"encoding/json"
	"testing"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestICEServerURLs(t *testing.T) {
	token := OAuthCredential{MACKey: "bWFj", AccessToken: "dG9rZW4="}
	for _, c := range []struct {
		server ICEServer
		want   []*stun.URI
	}{
		{ICEServer{}, []*stun.URI{}},
		{
			ICEServer{URLs: []string{"stun:stun.example:19302", "stuns:stun.example"}, Username: "ignored"},
			[]*stun.URI{
				{Scheme: stun.SchemeTypeSTUN, Host: "stun.example", Port: 19302, Proto: stun.ProtoTypeUDP},
				{Scheme: stun.SchemeTypeSTUNS, Host: "stun.example", Port: 5349, Proto: stun.ProtoTypeTCP},
			},
		},
		{
			ICEServer{
				URLs:     []string{"turn:192.0.2.1?transport=tcp", "stun:[2001:db8::1]", "turns:turn.example:443"},
				Username: "u", Credential: "p",
			},
			[]*stun.URI{
				{
					Scheme: stun.SchemeTypeTURN, Host: "192.0.2.1", Port: 3478, Proto: stun.ProtoTypeTCP,
					Username: "u", Password: "p",
				},
				{Scheme: stun.SchemeTypeSTUN, Host: "2001:db8::1", Port: 3478, Proto: stun.ProtoTypeUDP},
				{
					Scheme: stun.SchemeTypeTURNS, Host: "turn.example", Port: 443, Proto: stun.ProtoTypeTCP,
					Username: "u", Password: "p",
				},
			},
		},
		{
			ICEServer{
				URLs: []string{"turn:192.0.2.1"}, Username: "kid",
				Credential: token, CredentialType: ICECredentialTypeOauth,
			},
			[]*stun.URI{{
				Scheme: stun.SchemeTypeTURN, Host: "192.0.2.1", Port: 3478, Proto: stun.ProtoTypeUDP, Username: "kid",
			}},
		},
	} {
		got, err := c.server.urls()
		require.NoError(t, err, "%v", c.server.URLs)
		assert.Equal(t, c.want, got)
	}
}

func TestICEServerRefused(t *testing.T) {
	const turn = "turn:192.0.2.1"
	token := OAuthCredential{MACKey: "m", AccessToken: "a"}
	for name, c := range map[string]struct {
		server ICEServer
		reason error
	}{
		"no credentials":       {ICEServer{URLs: []string{turn}}, ErrNoTurnCredentials},
		"no username":          {ICEServer{URLs: []string{turn}, Credential: "p"}, ErrNoTurnCredentials},
		"no credential":        {ICEServer{URLs: []string{"stun:a", "turns:b"}, Username: "u"}, ErrNoTurnCredentials},
		"no string":            {ICEServer{URLs: []string{turn}, Username: "u", Credential: 1}, ErrTurnCredentials},
		"token as password":    {ICEServer{URLs: []string{turn}, Username: "u", Credential: token}, ErrTurnCredentials},
		"password as token":    {ICEServer{[]string{turn}, "u", "p", ICECredentialTypeOauth}, ErrTurnCredentials},
		"pointer to token":     {ICEServer{[]string{turn}, "u", &token, ICECredentialTypeOauth}, ErrTurnCredentials},
		"unknown type":         {ICEServer{[]string{turn}, "u", "p", 7}, ErrTurnCredentials},
		"query of STUN":        {ICEServer{URLs: []string{"stun:a?transport=udp"}}, stun.ErrSTUNQuery},
		"empty URL":            {ICEServer{URLs: []string{""}}, stun.ErrSchemeType},
		"scheme":               {ICEServer{URLs: []string{"http:a"}}, stun.ErrSchemeType},
		"authority":            {ICEServer{URLs: []string{"stun://a:1"}}, stun.ErrHost},
		"port 0":               {ICEServer{URLs: []string{"stun:a:0"}}, stun.ErrPort},
		"port above":           {ICEServer{URLs: []string{"stun:a:65536"}}, stun.ErrPort},
		"negative port":        {ICEServer{URLs: []string{"stun:a:-1"}}, stun.ErrPort},
		"a good one and a bad": {ICEServer{URLs: []string{"stun:a", "stun:a:x"}}, stun.ErrPort},
	} {
		got, err := c.server.urls()
		require.ErrorIs(t, err, ErrInvalidArgument, name)
		require.ErrorIs(t, err, c.reason, name)
		assert.Nil(t, got, name)
	}
	_, err := ICEServer{URLs: []string{turn}, Username: "u", Credential: []string{"secret"}}.urls()
	require.ErrorContains(t, err, turn, "the error names the server")
	assert.NotContains(t, err.Error(), "secret")
}

func TestServerURLs(t *testing.T) {
	two, one := ICEServer{URLs: []string{"stun:a", "stun:b"}}, ICEServer{URLs: []string{"stun:c"}}
	got, err := serverURLs([]ICEServer{two, {}, one})
	require.NoError(t, err)
	require.Len(t, got, 3)
	assert.Equal(t, "a", got[0].Host)
	assert.Equal(t, "c", got[2].Host)

	got, err = serverURLs([]ICEServer{one, {URLs: []string{"turn:d"}}})
	require.ErrorIs(t, err, ErrNoTurnCredentials)
	assert.Nil(t, got)

	got, err = serverURLs(nil)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestICEServerJSON(t *testing.T) {
	for _, c := range []struct {
		server ICEServer
		json   string
	}{
		{ICEServer{URLs: []string{"stun:a"}}, `{"credentialType":"password","urls":["stun:a"]}`},
		{ICEServer{URLs: []string{}}, `{"credentialType":"password","urls":[]}`},
		{
			ICEServer{URLs: []string{"turn:a", "turn:b"}, Username: "u", Credential: "p"},
			`{"credential":"p","credentialType":"password","urls":["turn:a","turn:b"],"username":"u"}`,
		},
		{
			ICEServer{
				URLs: []string{"turn:a"}, Username: "kid",
				Credential: OAuthCredential{MACKey: "m", AccessToken: "a"}, CredentialType: ICECredentialTypeOauth,
			},
			`{"credential":{"MACKey":"m","AccessToken":"a"},"credentialType":"oauth","urls":["turn:a"],"username":"kid"}`,
		},
	} {
		got, err := json.Marshal(c.server)
		require.NoError(t, err)
		assert.Equal(t, c.json, string(got))
		var back ICEServer
		require.NoError(t, json.Unmarshal(got, &back))
		assert.Equal(t, c.server, back)
	}

	got, err := json.Marshal(ICEServer{})
	require.NoError(t, err)
	assert.Equal(t, `{"credentialType":"password","urls":null}`, string(got))
	var back ICEServer
	require.NoError(t, json.Unmarshal(got, &back), "what was written can be read")
	assert.Equal(t, ICEServer{URLs: []string{}}, back)

	back = ICEServer{Username: "u", Credential: "p", CredentialType: ICECredentialTypeOauth}
	require.NoError(t, json.Unmarshal([]byte(`{}`), &back))
	assert.Equal(t, ICEServer{URLs: []string{}, Username: "u", Credential: "p"}, back, "the kind has a default")
}

func TestICEServerJSONRefused(t *testing.T) {
	before := ICEServer{URLs: []string{"stun:before"}, Username: "b", Credential: "c"}
	for _, text := range []string{
		`null`, `[]`, `"stun:a"`, `1`, ``, `{`, `{"urls":"stun:a"}`, `{"urls":[1]}`, `{"urls":{}}`,
		`{"urls":["stun:a"],"username":6}`,
		`{"urls":["stun:a"],"credentialType":"token"}`,
		`{"urls":["stun:a"],"credentialType":1}`,
		`{"urls":["turn:a"],"username":"u","credential":"p","credentialType":"oauth"}`,
		`{"urls":["turn:a"],"username":"u","credential":null,"credentialType":"oauth"}`,
		`{"urls":["turn:a"],"username":"u","credential":{"MACKey":"m"},"credentialType":"oauth"}`,
		`{"urls":["turn:a"],"username":"u","credential":{"MACKey":"m","AccessToken":null},"credentialType":"oauth"}`,
		`{"urls":["turn:a"],"username":"u","credential":{"MACKey":1,"AccessToken":"a"},"credentialType":"oauth"}`,
	} {
		server := before
		require.ErrorIs(t, server.UnmarshalJSON([]byte(text)), ErrInvalidArgument, text)
		assert.Equal(t, before, server, text)
	}
	require.ErrorIs(t, (*ICEServer)(nil).UnmarshalJSON([]byte(`{}`)), ErrInvalidArgument)
}
