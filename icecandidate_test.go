package webrtc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goodCandidates = []struct {
	text string // without "candidate:"
	want ICECandidate
}{
	{
		"1052353102 1 udp 2128609279 192.168.1.5 46154 typ host",
		ICECandidate{
			Foundation: "1052353102", Component: 1, Protocol: ICEProtocolUDP, Priority: 2128609279,
			Address: "192.168.1.5", Port: 46154, Typ: ICECandidateTypeHost,
		},
	},
	{
		"+/aZ09 2 udp 1 2001:db8::1 1 typ host generation 0 ufrag EsAw network-id 1 network-cost 50",
		ICECandidate{
			Foundation: "+/aZ09", Component: 2, Protocol: ICEProtocolUDP, Priority: 1,
			Address: "2001:db8::1", Port: 1, Typ: ICECandidateTypeHost,
			extensions: "generation 0 ufrag EsAw network-id 1 network-cost 50",
		},
	},
	{
		"a 256 udp 1694498815 203.0.113.141 60000 typ srflx raddr 10.216.33.9 rport 50000 generation 0",
		ICECandidate{
			Foundation: "a", Component: 256, Protocol: ICEProtocolUDP, Priority: 1694498815,
			Address: "203.0.113.141", Port: 60000, Typ: ICECandidateTypeSrflx,
			RelatedAddress: "10.216.33.9", RelatedPort: 50000, extensions: "generation 0",
		},
	},
	{
		"b 1 udp 4294967295 203.0.113.141 60000 typ relay raddr 0.0.0.0 rport 0",
		ICECandidate{
			Foundation: "b", Component: 1, Protocol: ICEProtocolUDP, Priority: 4294967295,
			Address: "203.0.113.141", Port: 60000, Typ: ICECandidateTypeRelay, RelatedAddress: "0.0.0.0",
		},
	},
	{
		"c 1 udp 7 203.0.113.1 6 typ prflx raddr fe80::1 rport 5",
		ICECandidate{
			Foundation: "c", Component: 1, Protocol: ICEProtocolUDP, Priority: 7,
			Address: "203.0.113.1", Port: 6, Typ: ICECandidateTypePrflx, RelatedAddress: "fe80::1", RelatedPort: 5,
		},
	},
	{
		"d 1 tcp 1518214911 192.0.2.7 9 typ host tcptype active generation 0",
		ICECandidate{
			Foundation: "d", Component: 1, Protocol: ICEProtocolTCP, Priority: 1518214911,
			Address: "192.0.2.7", Port: 9, Typ: ICECandidateTypeHost, TCPType: "active", extensions: "generation 0",
		},
	},
	{
		"e 1 tcp 5 192.0.2.7 4 typ srflx raddr 10.0.0.1 rport 3 tcptype so",
		ICECandidate{
			Foundation: "e", Component: 1, Protocol: ICEProtocolTCP, Priority: 5,
			Address: "192.0.2.7", Port: 4, Typ: ICECandidateTypeSrflx,
			RelatedAddress: "10.0.0.1", RelatedPort: 3, TCPType: "so",
		},
	},
	{
		"f 1 tcp 5 6e4c7a2f-0000-4000-8000-000000000000.local 9 typ host tcptype passive",
		ICECandidate{
			Foundation: "f", Component: 1, Protocol: ICEProtocolTCP, Priority: 5,
			Address: "6e4c7a2f-0000-4000-8000-000000000000.local", Port: 9, Typ: ICECandidateTypeHost,
			TCPType: "passive",
		},
	},
	{
		" 1 udp 5 192.0.2.7 9 typ host", // an empty foundation
		ICECandidate{
			Foundation: " ", Component: 1, Protocol: ICEProtocolUDP, Priority: 5,
			Address: "192.0.2.7", Port: 9, Typ: ICECandidateTypeHost,
		},
	},
	{
		"g 1 udp 5 192.0.2.7 0 typ host ufrag  network-cost 999", // an empty value
		ICECandidate{
			Foundation: "g", Component: 1, Protocol: ICEProtocolUDP, Priority: 5,
			Address: "192.0.2.7", Typ: ICECandidateTypeHost, extensions: "ufrag  network-cost 999",
		},
	},
	{
		"h 1 udp 5 192.0.2.7 9 typ host ufrag", // an empty value at the end
		ICECandidate{
			Foundation: "h", Component: 1, Protocol: ICEProtocolUDP, Priority: 5,
			Address: "192.0.2.7", Port: 9, Typ: ICECandidateTypeHost, extensions: "ufrag",
		},
	},
}

func TestI8_CandidateTextBothWays(t *testing.T) {
	for _, good := range goodCandidates {
		for _, form := range []string{
			good.text, "candidate:" + good.text, "a=candidate:" + good.text, "candidate:" + good.text + " \r\n",
		} {
			got, err := ParseICECandidate(form)
			require.NoError(t, err, "%q", form)
			assert.Equal(t, good.want, got, "%q", form)
		}
		text := "candidate:" + good.text
		assert.Equal(t, text, good.want.String())
		marshaled, err := good.want.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, text, string(marshaled))

		into := ICECandidate{SDPMid: "mid", SDPMLineIndex: 3, Address: "gone", extensions: "gone 1"}
		require.NoError(t, into.UnmarshalText(marshaled))
		want := good.want
		want.SDPMid, want.SDPMLineIndex = "mid", 3
		assert.Equal(t, want, into)
	}
}

// What is written differently and means the same.
func TestI8_CandidateTextNormalized(t *testing.T) {
	for given, want := range map[string]string{
		"1 1 UDP 5 192.0.2.7 9 typ host":                                            "1 1 udp 5 192.0.2.7 9 typ host",
		"1 001 udp 05 192.0.2.7 09 typ host":                                        "1 1 udp 5 192.0.2.7 9 typ host",
		"1 1 udp 5 fe80::1%eth0 9 typ host":                                         "1 1 udp 5 fe80::1 9 typ host",
		"1 1 udp 5 192.0.2.7 9 typ srflx x y rport 2 raddr fe80::2%1":               "1 1 udp 5 192.0.2.7 9 typ srflx raddr fe80::2 rport 2 x y",
		"1 1 tcp 5 192.0.2.7 9 typ host x y tcptype ACTIVE":                         "1 1 tcp 5 192.0.2.7 9 typ host tcptype active x y",
		"1 1 udp 0 192.0.2.7 9 typ host":                                            "1 1 udp 2130706431 192.0.2.7 9 typ host",
		"1 1 udp 5 192.0.2.7 9 typ host raddr foo.example rport 1 x":                "1 1 udp 5 192.0.2.7 9 typ host raddr foo.example rport 1 x",
		"12345678901234567890123456789012 1 udp 5 192.0.2.7 9 typ host generation ": "12345678901234567890123456789012 1 udp 5 192.0.2.7 9 typ host generation",
	} {
		c, err := ParseICECandidate(given)
		require.NoError(t, err, given)
		assert.Equal(t, "candidate:"+want, c.String())
		again, err := ParseICECandidate(c.String())
		require.NoError(t, err)
		assert.Equal(t, c, again)
	}
}

var badCandidates = []string{
	"",
	" ",
	"candidate:",
	"a=candidate:",
	"end-of-candidates",
	"1",
	"1 1 udp 5 192.0.2.7 9",
	"1 1 udp 5 192.0.2.7 9 typ",
	"1 1 udp 5 192.0.2.7 9 host typ",
	"1 1 udp 5 192.0.2.7 9 typ nat",
	"1 1 udp 5 192.0.2.7 9 typ Host",
	"1 1 udp 5 192.0.2.7 9 typ unknown",
	"1-1 1 udp 5 192.0.2.7 9 typ host",
	"é 1 udp 5 192.0.2.7 9 typ host",
	"123456789012345678901234567890123 1 udp 5 192.0.2.7 9 typ host",
	"1 0 udp 5 192.0.2.7 9 typ host",
	"1 257 udp 5 192.0.2.7 9 typ host",
	"1 -1 udp 5 192.0.2.7 9 typ host",
	"1 rtp udp 5 192.0.2.7 9 typ host",
	"1  udp 5 192.0.2.7 9 typ host",
	"1 1 ssltcp 5 192.0.2.7 9 typ host",
	"1 1 foo 5 x.local 9 typ host",
	"1 1  5 192.0.2.7 9 typ host",
	"1 1 udp 4294967296 192.0.2.7 9 typ host",
	"1 1 udp 00000000005 192.0.2.7 9 typ host",
	"1 1 udp -5 192.0.2.7 9 typ host",
	"1 1 udp 0x5 192.0.2.7 9 typ host",
	"1 1 udp  192.0.2.7 9 typ host",
	"1 1 udp 5 192.0.2.256 9 typ host",
	"1 1 udp 5 example.com 9 typ host",
	"1 1 udp 5 x.local 9 typ srflx",
	"1 1 udp 5 %eth0 9 typ host",
	"1 1 udp 5  9 typ host",
	"1 1 udp 5 " + strings.Repeat("x", 300) + ".local 9 typ host",
	"1 1 udp 5 192.0.2.7 65536 typ host",
	"1 1 udp 5 192.0.2.7 -1 typ host",
	"1 1 udp 5 192.0.2.7 +9 typ host",
	"1 1 udp 5 192.0.2.7 9_0 typ host",
	"1 1 udp 5 192.0.2.7  typ host",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1",
	"1 1 udp 5 192.0.2.7 9 typ srflx rport 1",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr  rport 1",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport 65536",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport x",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr %1 rport 1",
	"1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport 1 raddr 10.0.0.2",
	"1 1 tcp 5 192.0.2.7 9 typ host tcptype",
	"1 1 tcp 5 192.0.2.7 9 typ host tcptype sideways",
	"1 1 tcp 5 192.0.2.7 9 typ host tcptype so tcptype so",
	"1 1 udp 5 192.0.2.7 9 typ host  generation 0",
	"1 1 udp 5 192.0.2.7 9 typ host x y\r\na=ice-pwd:z",
	"1 1 udp 5 192.0.2.7 9 typ host x y\x00",
	"1 1 udp 5 192.0.2.7 9 typ host x \xff",
	"1 1 udp 5 x\ny.local 9 typ host",
	"  1 1 udp 5 192.0.2.7 9 typ host",
	"candidate:candidate:1 1 udp 5 192.0.2.7 9 typ host",
	"1 1 udp 5 192.0.2.7 9 typ host x " + strings.Repeat("y", maxCandidateText),
}

func TestI8_MalformedCandidateChangesNothing(t *testing.T) {
	before := ICECandidate{Address: "192.0.2.1", SDPMid: "m", extensions: "a b", statsID: "s"}
	for _, bad := range badCandidates {
		for _, text := range []string{bad, "candidate:" + bad} {
			if strings.HasPrefix(text, "candidate:candidate:candidate:") {
				continue
			}
			got, err := ParseICECandidate(text)
			require.ErrorIs(t, err, ErrInvalidArgument, "%.200q", text)
			assert.Zero(t, got)
			assert.Less(t, len(err.Error()), 1500, "a peer's text is not repeated at any length")
			var operation *Error
			require.ErrorAs(t, err, &operation)
			assert.Equal(t, "parse ICE candidate", operation.Op)

			c := before
			require.ErrorIs(t, c.UnmarshalText([]byte(text)), ErrInvalidArgument)
			assert.Equal(t, before, c)
		}
	}
	require.ErrorIs(t, (*ICECandidate)(nil).UnmarshalText([]byte("x")), ErrInvalidArgument)
}

// The JSON of a candidate itself is an object, as programs that signal
// candidates without SDP exchange it.
func TestI8_CandidateJSON(t *testing.T) {
	c := ICECandidate{
		Foundation: "f", Priority: 5, Address: "192.0.2.7", Protocol: ICEProtocolUDP, Port: 9,
		Typ: ICECandidateTypeSrflx, Component: 1, RelatedAddress: "10.0.0.1", RelatedPort: 2, TCPType: "",
		SDPMid: "m", SDPMLineIndex: 1,
	}
	const object = `{"foundation":"f","priority":5,"address":"192.0.2.7","protocol":1,"port":9,"type":"srflx",
		"component":1,"relatedAddress":"10.0.0.1","relatedPort":2,"tcpType":"","sdpMid":"m","sdpMLineIndex":1}`
	for _, value := range []any{c, &c} {
		got, err := json.Marshal(value)
		require.NoError(t, err)
		assert.JSONEq(t, object, string(got))
	}
	var list []*ICECandidate
	require.NoError(t, json.Unmarshal([]byte("["+object+",null]"), &list))
	assert.Equal(t, []*ICECandidate{&c, nil}, list)

	for _, bad := range []string{
		`"candidate:1 1 udp 5 192.0.2.7 9 typ host"`, `[]`, `1`, `{"address":"x","type":"nat"}`,
		`{"address":"x","port":65536}`, `{"address":"x","protocol":"udp"}`, `{"address":"x"`,
	} {
		kept := c
		require.Error(t, json.Unmarshal([]byte(bad), &kept), bad)
		assert.Equal(t, c, kept, bad)
	}
	require.ErrorIs(t, (*ICECandidate)(nil).UnmarshalJSON([]byte(object)), ErrInvalidArgument)
}

func TestI8_CandidateToJSON(t *testing.T) {
	c, err := ParseICECandidate("1 1 udp 5 192.0.2.7 9 typ host generation 0 ufrag Ab+/")
	require.NoError(t, err)
	c.SDPMid, c.SDPMLineIndex = "data", 2
	got, err := json.Marshal(c.ToJSON())
	require.NoError(t, err)
	assert.JSONEq(t, `{"candidate":"candidate:1 1 udp 5 192.0.2.7 9 typ host generation 0 ufrag Ab+/",
		"sdpMid":"data","sdpMLineIndex":2,"usernameFragment":"Ab+/"}`, string(got))

	*c.ToJSON().SDPMid = "changed"
	assert.Equal(t, "data", c.SDPMid, "the result is a copy")

	got, err = json.Marshal(ICECandidate{extensions: "ufrag u"}.ToJSON())
	require.NoError(t, err)
	assert.JSONEq(t, `{"candidate":"candidate:","sdpMid":"","sdpMLineIndex":0,"usernameFragment":null}`, string(got))
}

// Fields that would forge other fields of the text, or that no agent takes.
func TestI8_CandidateWithoutText(t *testing.T) {
	good := goodCandidates[2].want
	for name, spoil := range map[string]func(*ICECandidate){
		"zero value":       func(c *ICECandidate) { *c = ICECandidate{} },
		"type":             func(c *ICECandidate) { c.Typ = 9 },
		"negative type":    func(c *ICECandidate) { c.Typ = -1 },
		"protocol":         func(c *ICECandidate) { c.Protocol = 0 },
		"address":          func(c *ICECandidate) { c.Address = "x" },
		"empty address":    func(c *ICECandidate) { c.Address = "" },
		"name":             func(c *ICECandidate) { c.Typ, c.Address = ICECandidateTypeHost, "a 1 typ host.local" },
		"name with a zone": func(c *ICECandidate) { c.Typ, c.Address = ICECandidateTypeHost, "a%b.local" },
		"foundation":       func(c *ICECandidate) { c.Foundation = "a 1 udp" },
		"long foundation":  func(c *ICECandidate) { c.Foundation = strings.Repeat("a", 33) },
		"component":        func(c *ICECandidate) { c.Component = 257 },
		"related address":  func(c *ICECandidate) { c.RelatedAddress = "10.0.0.1 rport 1 x" },
		"TCP type":         func(c *ICECandidate) { c.TCPType = "sideways" },
	} {
		c := good
		spoil(&c)
		_, err := c.MarshalText()
		require.ErrorIs(t, err, ErrInvalidArgument, name)
		assert.True(t, strings.HasPrefix(c.String(), "invalid ICE candidate: "), name)
		assert.Equal(t, "candidate:", c.ToJSON().Candidate, name)
	}
	for name, spoil := range map[string]func(*ICECandidate){
		"zero value": func(c *ICECandidate) { *c = ICECandidate{} },
		"type":       func(c *ICECandidate) { c.Typ = 9 },
		"protocol":   func(c *ICECandidate) { c.Protocol = 7 },
		"address":    func(c *ICECandidate) { c.Address = "x" },
		"TCP type":   func(c *ICECandidate) { c.TCPType = "sideways" },
	} {
		for typ := ICECandidateTypeHost; typ <= ICECandidateTypeRelay; typ++ {
			c := good
			c.Typ = typ
			spoil(&c)
			agents, err := c.ToICE()
			require.ErrorIs(t, err, ErrInvalidArgument, name)
			assert.True(t, agents == nil, "a nil interface, not a nil pointer in one")
		}
	}
}

func TestCandidateToICEAndBack(t *testing.T) {
	for _, good := range goodCandidates {
		c := good.want
		c.SDPMid, c.SDPMLineIndex, c.statsID = "mid", 4, "candidate:xyz"
		agents, err := c.ToICE()
		require.NoError(t, err, good.text)
		assert.Equal(t, "candidate:xyz", agents.ID())
		assert.Equal(t, ice.CandidateType(c.Typ), agents.Type())
		assert.Equal(t, c.Address, agents.Address())
		assert.Equal(t, int(c.Port), agents.Port())
		assert.Equal(t, c.Component, agents.Component())
		assert.Equal(t, c.Foundation, agents.Foundation())
		assert.Equal(t, c.Priority, agents.Priority())
		assert.Equal(t, c.TCPType, agents.TCPType().String())

		back, err := newICECandidateFromICE(agents, "mid", 4)
		require.NoError(t, err)
		want := c
		if strings.HasSuffix(c.Address, ".local") {
			want.Protocol = ICEProtocolUDP // the agent's guess until the name is resolved
		}
		assert.Equal(t, want, back, good.text)
	}
}

func TestCandidateFromICE(t *testing.T) {
	made, err := ice.UnmarshalCandidate("1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport 2 generation 0")
	require.NoError(t, err)
	one, err := newICECandidateFromICE(made, "m", 1)
	require.NoError(t, err)
	assert.Equal(t, "candidate:1 1 udp 5 192.0.2.7 9 typ srflx raddr 10.0.0.1 rport 2 generation 0", one.String())
	assert.Equal(t, "m", one.SDPMid)
	assert.Equal(t, uint16(1), one.SDPMLineIndex)

	_, err = newICECandidateFromICE(nil, "", 0)
	require.ErrorIs(t, err, ErrInvalidArgument)
	for name, config := range map[string]ice.CandidateHostConfig{
		"port above":   {Network: "udp", Address: "192.0.2.7", Port: 65536 + 9},
		"port below":   {Network: "udp", Address: "192.0.2.7", Port: -1},
		"hostile name": {Network: "udp", Address: "a b.local", Port: 9},
	} {
		host, err := ice.NewCandidateHost(&config)
		require.NoError(t, err)
		_, err = newICECandidateFromICE(host, "", 0)
		require.ErrorIs(t, err, ErrInvalidArgument, name)
	}
	require.NoError(t, made.AddExtension(ice.CandidateExtension{Key: "x", Value: "y z"}))
	_, err = newICECandidateFromICE(made, "", 0)
	require.ErrorIs(t, err, ErrInvalidArgument)
}

func FuzzParseICECandidate(f *testing.F) {
	for _, good := range goodCandidates {
		f.Add("candidate:" + good.text)
		f.Add("a=candidate:" + good.text + "\r\n")
	}
	for _, bad := range badCandidates {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseICECandidate(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidArgument)
			require.Zero(t, c)

			return
		}
		// What was accepted can be written, read back the same, by us and by
		// the agent, and is one line.
		formatted, err := c.MarshalText()
		require.NoError(t, err)
		require.NotContains(t, string(formatted), "\n")
		again, err := ParseICECandidate(string(formatted))
		require.NoError(t, err, "%q", formatted)
		require.Equal(t, c, again, "%q", formatted)
		require.Equal(t, string(formatted), c.ToJSON().Candidate)
		agents, err := ice.UnmarshalCandidate(string(formatted))
		require.NoError(t, err, "%q", formatted)
		require.Equal(t, c.Port, uint16(agents.Port()))
		require.Equal(t, c.Priority, agents.Priority())
		agents, err = c.ToICE()
		require.NoError(t, err)
		_, err = newICECandidateFromICE(agents, "", 0)
		require.NoError(t, err)
	})
}
