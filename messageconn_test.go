package webrtc

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func messageConnPair(t *testing.T, a, b *stack, params DataChannelParameters) (from, to net.Conn) {
	t.Helper()
	opened, accepted := channelPair(t, a, b, params)
	from, err := opened.MessageConn()
	require.NoError(t, err)
	to, err = accepted.MessageConn()
	require.NoError(t, err)

	return from, to
}

// TestC4_MessagesAreKept, whatever the channel's reliability: one Write is one
// Read, empty ones too.
func TestC4_MessagesAreKept(t *testing.T) {
	for name, params := range map[string]DataChannelParameters{
		"ordered":                  {Ordered: true},
		"unordered":                {},
		"unreliable":               {Ordered: true, MaxRetransmits: ptrTo[uint16](0)},
		"unordered and unreliable": {MaxPacketLifeTime: ptrTo[uint16](500)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
				from, to := messageConnPair(t, a, b, params)
				buf := make([]byte, 70_000)
				for _, size := range []int{1, 0, 16<<10 + 1, 0, 0, 65_536, 3} {
					want := pattern(size)
					n, err := from.Write(want)
					require.NoError(t, err)
					require.Equal(t, size, n)
					n, err = to.Read(buf)
					require.NoError(t, err)
					require.Equal(t, string(want), string(buf[:n]))
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestC4_ShortBufferOfAMessageConn loses nothing, and n is what Read may
// return.
func TestC4_ShortBufferOfAMessageConn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		from, to := messageConnPair(t, a, b, DataChannelParameters{Ordered: true})
		for _, text := range []string{"twelve bytes", "", "next"} {
			_, err := from.Write([]byte(text))
			require.NoError(t, err)
		}
		for _, size := range []int{0, 1, 11} {
			buf := make([]byte, size)
			n, err := to.Read(buf)
			require.ErrorIs(t, err, io.ErrShortBuffer)
			require.ErrorContains(t, err, "12 bytes")
			require.Zero(t, n)
			require.Equal(t, make([]byte, size), buf, "the buffer was touched")
		}
		buf := make([]byte, 12)
		n, err := to.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "twelve bytes", string(buf[:n]))
		n, err = to.Read(nil)
		require.NoError(t, err, "an empty message fits an empty buffer")
		require.Zero(t, n)
		n, err = to.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "next", string(buf[:n]))
		stopped(t, network, a, b)
	})
}

// TestC4_MessageTooLarge is refused as a whole.
func TestC4_MessageTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.SCTP.MaxMessageSize = 1000
		a, b, network := connectedPair(t, SettingEngine{}, settings)
		from, to := messageConnPair(t, a, b, DataChannelParameters{Ordered: true})
		n, err := from.Write(make([]byte, 1001))
		require.ErrorIs(t, err, ErrMessageTooLarge)
		require.Zero(t, n)
		want := strings.Repeat("x", 1000)
		n, err = fmt.Fprint(from, want)
		require.NoError(t, err)
		require.Equal(t, 1000, n)
		buf := make([]byte, 2000)
		n, err = to.Read(buf)
		require.NoError(t, err)
		require.Equal(t, want, string(buf[:n]))
		stopped(t, network, a, b)
	})
}
