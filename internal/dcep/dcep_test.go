package dcep

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ptr(v uint16) *uint16 { return &v }

// vector is a message written by hand after the figure in RFC 8832 5.1.
var vector = []byte{
	0x03, 0x81, 0x02, 0x00, // open, rexmit unordered, priority 512
	0x00, 0x00, 0x00, 0x07, // 7 retransmissions
	0x00, 0x04, 0x00, 0x02, // lengths
	'c', 'h', 'a', 't', 'v', '1',
}

func TestVector(t *testing.T) {
	want := Open{
		ChannelType: RexmitUnordered, Priority: 512, ReliabilityParameter: 7, Label: "chat", Protocol: "v1",
	}
	got, err := ParseOpen(vector)
	require.NoError(t, err)
	require.Equal(t, want, got)

	raw, err := want.Marshal()
	require.NoError(t, err)
	require.Equal(t, vector, raw)

	raw, err = want.Append([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, append([]byte("x"), vector...), raw)
}

func TestParseOpenRefuses(t *testing.T) {
	change := func(at int, value byte) []byte {
		raw := append([]byte(nil), vector...)
		raw[at] = value

		return raw
	}
	for name, test := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":               {nil, ErrNotOpen},
		"an ack":                {Ack(), ErrNotOpen},
		"another type":          {change(0, 0x04), ErrNotOpen},
		"type alone":            {vector[:1], ErrLength},
		"header cut short":      {vector[:11], ErrLength},
		"header alone":          {vector[:12], ErrLength},
		"one byte missing":      {vector[:len(vector)-1], ErrLength},
		"one byte more":         {append(append([]byte(nil), vector...), 0), ErrLength},
		"label beyond the end":  {change(9, 7), ErrLength},
		"protocol too short":    {change(11, 1), ErrLength},
		"channel type 3":        {change(1, 0x03), ErrChannelType},
		"channel type 0x83":     {change(1, 0x83), ErrChannelType},
		"channel type reserved": {change(1, 0xff), ErrChannelType},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseOpen(test.raw)
			require.ErrorIs(t, err, test.want)
			require.Zero(t, got)
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	long := strings.Repeat("x", math.MaxUint16+1)
	for name, test := range map[string]struct {
		open Open
		want error
	}{
		"label":        {Open{Label: long}, ErrTooLong},
		"protocol":     {Open{Protocol: long}, ErrTooLong},
		"channel type": {Open{ChannelType: 0x7f}, ErrChannelType},
	} {
		t.Run(name, func(t *testing.T) {
			dst, err := test.open.Append([]byte("kept"))
			require.ErrorIs(t, err, test.want)
			require.Equal(t, "kept", string(dst))
			dst, err = test.open.Marshal()
			require.ErrorIs(t, err, test.want)
			require.Nil(t, dst)
		})
	}
}

func TestLongestFields(t *testing.T) {
	want := Open{Label: strings.Repeat("l", math.MaxUint16), Protocol: strings.Repeat("p", math.MaxUint16)}
	raw, err := want.Marshal()
	require.NoError(t, err)
	require.Len(t, raw, 12+2*65535)
	got, err := ParseOpen(raw)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestChannelTypes(t *testing.T) {
	// The numbers of RFC 8832 section 8.2.2, each both ways.
	for _, test := range []struct {
		name        string
		ordered     bool
		retransmits *uint16
		lifeTime    *uint16
		wire        byte
		parameter   uint32
	}{
		{"reliable", true, nil, nil, 0x00, 0},
		{"reliable-unordered", false, nil, nil, 0x80, 0},
		{"rexmit", true, ptr(3), nil, 0x01, 3},
		{"rexmit-unordered", false, ptr(0), nil, 0x81, 0},
		{"timed", true, nil, ptr(65535), 0x02, 65535},
		{"timed-unordered", false, nil, ptr(0), 0x82, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			kind, parameter, err := TypeOf(test.ordered, test.retransmits, test.lifeTime)
			require.NoError(t, err)
			require.Equal(t, test.wire, byte(kind))
			require.Equal(t, test.parameter, parameter)
			require.Equal(t, test.name, kind.String())
			require.True(t, kind.Valid())

			ordered, retransmits, lifeTime := Open{ChannelType: kind, ReliabilityParameter: parameter}.Reliability()
			require.Equal(t, test.ordered, ordered)
			require.Equal(t, test.retransmits, retransmits)
			require.Equal(t, test.lifeTime, lifeTime)
		})
	}
	_, _, err := TypeOf(true, ptr(1), ptr(2))
	require.ErrorIs(t, err, ErrBothLimits)
	require.Equal(t, "channel type 0x7f", ChannelType(0x7f).String())
}

func TestReliabilityBounds(t *testing.T) {
	_, retransmits, lifeTime := Open{ChannelType: Rexmit, ReliabilityParameter: 1 << 16}.Reliability()
	require.Equal(t, ptr(65535), retransmits)
	require.Nil(t, lifeTime)
	_, retransmits, lifeTime = Open{ChannelType: TimedUnordered, ReliabilityParameter: math.MaxUint32}.Reliability()
	require.Nil(t, retransmits)
	require.Equal(t, ptr(65535), lifeTime)
	// "Ignored" for reliable channels.
	_, retransmits, lifeTime = Open{ReliabilityParameter: 9}.Reliability()
	require.Nil(t, retransmits)
	require.Nil(t, lifeTime)
}

func TestAck(t *testing.T) {
	require.Equal(t, []byte{0x02}, Ack())
	for _, test := range []struct {
		raw []byte
		ack bool
	}{
		{nil, false},
		{[]byte{2}, true},
		{[]byte{2, 0, 0, 0}, true},
		{[]byte{3}, false},
		{[]byte{0}, false},
	} {
		assert.Equal(t, test.ack, IsAck(test.raw), "% x", test.raw)
	}
}

// FuzzOpen checks that whatever is accepted is encoded to the same bytes
// again, and that its reliability has a type that says the same.
func FuzzOpen(f *testing.F) {
	f.Add(vector)
	f.Add(vector[:12])
	f.Add([]byte{2})
	f.Add([]byte{3, 0x82, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		open, err := ParseOpen(raw)
		if err != nil {
			require.Zero(t, open)

			return
		}
		again, err := open.Marshal()
		require.NoError(t, err)
		require.Equal(t, raw, again)

		kind, parameter, err := TypeOf(open.Reliability())
		require.NoError(t, err)
		require.Equal(t, open.ChannelType, kind)
		require.LessOrEqual(t, parameter, open.ReliabilityParameter)
	})
}
