package webrtc

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// draftToken is the example of draft-hancke-tsvwg-snap.
const draftToken = "AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA"

// S5: absent is 65,536, and 0 is no limit.
func TestS5_MaxMessageSizeJSON(t *testing.T) {
	for _, c := range []struct {
		size uint32
		json string
	}{
		{0, `{}`},
		{math.MaxUint32, `{"maxMessageSize":0}`},
		{1, `{"maxMessageSize":1}`},
		{65536, `{"maxMessageSize":65536}`},
		{math.MaxUint32 - 1, `{"maxMessageSize":4294967294}`},
	} {
		value := SCTPCapabilities{MaxMessageSize: c.size}
		got, err := json.Marshal(value)
		require.NoError(t, err)
		assert.Equal(t, c.json, string(got)) //nolint:testifylint // byte for byte
		inside, err := json.Marshal(map[string]any{"value": value, "pointer": &value})
		require.NoError(t, err)
		assert.JSONEq(t, `{"value":`+c.json+`,"pointer":`+c.json+`}`, string(inside), "a value marshals as a pointer does")
		back := SCTPCapabilities{MaxMessageSize: 7, SCTPInit: "stale"}
		require.NoError(t, json.Unmarshal(got, &back))
		assert.Equal(t, value, back, "nothing is left of what was there")
	}
	for text, want := range map[string]uint32{
		`{"maxMessageSize":4294967295}`:           math.MaxUint32,
		`{"maxMessageSize":4294967296}`:           math.MaxUint32, // more than a message can have here
		`{"maxMessageSize":18446744073709551615}`: math.MaxUint32,
		`{"maxMessageSize":null}`:                 0,
		`{"other":1}`:                             0,
		`{"MaxMessageSize":5}`:                    5,
	} {
		var got SCTPCapabilities
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		assert.Equal(t, want, got.MaxMessageSize, text)
	}
	before := SCTPCapabilities{MaxMessageSize: 3, SCTPInit: "x"}
	for _, text := range []string{
		`{"maxMessageSize":-1}`, `{"maxMessageSize":1.5}`, `{"maxMessageSize":"1"}`, `{"sctpInit":1}`, `[]`, `1`, `"x"`,
	} {
		got := before
		require.ErrorIs(t, json.Unmarshal([]byte(text), &got), ErrInvalidArgument, text)
		assert.Equal(t, before, got, text)
	}
	require.ErrorIs(t, (*SCTPCapabilities)(nil).UnmarshalJSON([]byte(`{}`)), ErrInvalidArgument)
	assert.True(t, SCTPCapabilities{SCTPInit: "a"} != SCTPCapabilities{}, "comparable")
}

// S6: the token is in the JSON, and a bad one is refused with a reason.
func TestS6_SCTPInitInCapabilities(t *testing.T) {
	c := SCTPCapabilities{MaxMessageSize: 262144, SCTPInit: draftToken}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"maxMessageSize":262144,"sctpInit":"`+draftToken+`"}`, string(text))
	require.NoError(t, c.validate())
	require.NoError(t, SCTPCapabilities{}.validate())
	chunk, err := c.initChunk()
	require.NoError(t, err)
	assert.Equal(t, uint32(0x896cdd1d), binary.BigEndian.Uint32(chunk[4:]), "the initiate tag of the draft's figure")

	own, err := sctp.GenerateOutOfBandToken()
	require.NoError(t, err)
	require.NoError(t, checkInit(own))
	with := func(offset int, bytes ...byte) []byte {
		changed := append([]byte(nil), chunk...)
		copy(changed[offset:], bytes)

		return changed
	}
	for name, good := range map[string][]byte{
		"padded":            append(with(0), 0, 0),
		"without a list":    with(2, 0, 20)[:20],
		"one stream":        with(12, 0, 1, 0, 1),
		"smallest window":   with(8, 0, 0, 0x05, 0xdc),
		"unknown parameter": with(20, 0x3f, 0xff, 0, 4),
	} {
		require.NoError(t, checkInit(good), name)
		require.NoError(t, snapStart(t, own, good), name)
	}
	for name, bad := range map[string]struct {
		token  []byte
		reason string
	}{
		"empty":             {[]byte{}, ""},
		"too short":         {chunk[:19], "19 bytes"},
		"cut off":           {chunk[:28], "length 30 in 28"},
		"length too small":  {with(2, 0, 19), "length 19"},
		"length 0":          {with(2, 0, 0), "length 0"},
		"more behind it":    {append(with(0), 0, 0, 0, 0), "in 34 bytes"},
		"no padding":        {append(with(0), 0, 1), "data after"},
		"INIT ACK":          {with(0, 2), "type 2"},
		"flags":             {with(1, 1), "flags 0x01"},
		"tag 0":             {with(4, 0, 0, 0, 0), "initiate tag is 0"},
		"window":            {with(8, 0, 0, 0x05, 0xdb), "window below 1500"},
		"outbound":          {with(12, 0, 0), "no outbound"},
		"inbound":           {with(14, 0, 0), "no inbound"},
		"parameter short":   {with(22, 0, 3), "parameter of length 3"},
		"parameter long":    {with(22, 0, 11), "parameter of length 11"},
		"half a parameter":  {with(2, 0, 22)[:22], "cut off"},
		"a whole INIT pack": {append(make([]byte, 12), chunk...), "type 0"},
	} {
		capabilities := SCTPCapabilities{SCTPInit: base64.StdEncoding.EncodeToString(bad.token)}
		if name == "empty" {
			require.NoError(t, capabilities.validate())

			continue
		}
		err := capabilities.validate()
		require.ErrorIs(t, err, ErrInvalidArgument, name)
		require.ErrorContains(t, err, "SCTPInit", name)
		require.ErrorContains(t, err, bad.reason, name)
	}
	for _, text := range []string{"!", "AQ", draftToken + "=", strings.ReplaceAll(draftToken, "/", "_"), "\x00", " " + draftToken} {
		require.ErrorIs(t, SCTPCapabilities{SCTPInit: text}.validate(), ErrInvalidArgument, "%q", text)
	}
}

// snapStart is a start of the module with two tokens.
func snapStart(t testing.TB, local, remote []byte) error {
	t.Helper()
	near, _ := testnet.Pipe(0)
	assoc, err := sctp.ClientContext(t.Context(), sctp.WithNetConn(net.Conn(near)),
		sctp.WithLoggerFactory(quietLogs), sctp.WithSNAP(local, remote))
	if err == nil {
		err = assoc.Close()
	}

	return err
}

// What is read can be written and read again, no text does harm, and a token
// that passes is one that the module takes.
func FuzzSCTPCapabilities(f *testing.F) {
	f.Add([]byte(`{"maxMessageSize":0,"sctpInit":"` + draftToken + `"}`))
	f.Add([]byte(`{"maxMessageSize":65536}`))
	f.Add([]byte(`{"sctpInit":"AQAAFAAAAAEAAQAA//8AAQAAAAA="}`))
	own, err := sctp.GenerateOutOfBandToken()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, again SCTPCapabilities
		if json.Unmarshal(data, &c) != nil {
			return
		}
		text, err := json.Marshal(c)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, c, again)
		remote, err := c.initChunk()
		if err == nil && remote != nil {
			require.NoError(t, snapStart(t, own, remote))
		}
	})
}

// The module's reading of a token in binary, which base64 hides from the other
// target.
func FuzzInitChunk(f *testing.F) {
	chunk, err := SCTPCapabilities{SCTPInit: draftToken}.initChunk()
	require.NoError(f, err)
	own, err := sctp.GenerateOutOfBandToken()
	require.NoError(f, err)
	f.Add(chunk)
	f.Add(own)
	f.Fuzz(func(t *testing.T, remote []byte) {
		if checkInit(remote) == nil {
			require.NoError(t, snapStart(t, own, remote))
		}
	})
}

func TestDataChannelPriority(t *testing.T) {
	assert.EqualValues(t, 256, DataChannelParameters{}.weight())
	assert.EqualValues(t, 1, DataChannelParameters{Priority: 1}.weight())
	assert.EqualValues(t, 1024, DataChannelParameters{Priority: DataChannelPriorityExtraHigh}.weight())
	assert.Equal(t, []uint16{128, 256, 512, 1024}, []uint16{
		DataChannelPriorityBelowNormal, DataChannelPriorityNormal, DataChannelPriorityHigh, DataChannelPriorityExtraHigh,
	})
	text, err := json.Marshal(DataChannelParameters{Priority: DataChannelPriorityHigh})
	require.NoError(t, err)
	assert.Contains(t, string(text), `"priority":512`)
	var back DataChannelParameters
	require.NoError(t, json.Unmarshal(text, &back))
	assert.EqualValues(t, 512, back.Priority)
	text, err = json.Marshal(DataChannelParameters{})
	require.NoError(t, err)
	assert.NotContains(t, string(text), "priority", "as pion/webrtc writes it")
}
