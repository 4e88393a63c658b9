package webrtc

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestS5_AMessageAboveOurMaximum closes its channel, with an error, and
// nothing else.
func TestS5_AMessageAboveOurMaximum(t *testing.T) {
	const most = defaultMaxMessageSize
	for _, row := range []struct {
		name     string
		size     int
		complete bool
		arrives  bool
	}{
		{"as long as it may be", most, true, true},
		{"a byte too long", most + 1, true, false},
		{"twice as long as it may be", 2 * most, true, false},
		{"ten times as long as it may be", 10 * most, true, false},
		{"too long, and never complete", most + 10_000, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if raceEnabled && row.size > 2*most {
				t.Skip("it takes seconds under the race detector")
			}
			hostile(t, func(t *testing.T, p *hostilePeer) {
				c := p.openAndAccept(streamBad)
				errs := make(chan error, 2)
				c.OnError(func(err error) { errs <- err })
				chunks := fragments(streamBad, 1, ppidBinary, row.size, row.complete)
				require.Equal(t, len(chunks), p.floodAll(chunks), "they have to be taken from the peer")
				m, err := c.ReceiveContext(limited(t, testTimeout))
				p.settle()
				if row.arrives {
					require.NoError(t, err)
					require.Len(t, m.Data, row.size)
					require.Equal(t, DataChannelStateOpen, c.ReadyState())
					require.Empty(t, p.wasReset())
					p.works()

					return
				}
				require.ErrorIs(t, err, ErrMessageTooLarge)
				require.ErrorIs(t, context.Cause(c.Context()), ErrMessageTooLarge)
				require.ErrorIs(t, <-errs, ErrMessageTooLarge)
				require.Empty(t, errs)
				require.Equal(t, DataChannelStateClosed, c.ReadyState())
				require.Equal(t, []uint16{streamBad}, p.wasReset())
				p.works()
				p.reset(streamBad)
				p.nothingLeft()
				p.openAndAccept(streamBad)
			})
		})
	}
	t.Run("what came before it is received first", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			p.say(streamBad, ppidString, "before it")
			chunks := fragments(streamBad, 2, ppidBinary, most+1, true)
			require.Equal(t, len(chunks), p.floodAll(chunks))
			p.settle()
			m, err := c.ReceiveContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, "before it", string(m.Data))
			_, err = c.ReceiveContext(limited(t, testTimeout))
			require.ErrorIs(t, err, ErrMessageTooLarge)
			p.works()
		})
	})
	t.Run("a first message", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			chunks := fragments(streamBad, 0, ppidDCEP, most+1, true)
			require.Equal(t, len(chunks), p.floodAll(chunks))
			p.refused(streamBad)
		})
	})
}

// TestC7_LongLabelsArriveWhole, in both directions, if the OPEN fits what the
// peer takes.
func TestC7_LongLabelsArriveWhole(t *testing.T) {
	longest := strings.Repeat("l", 65535)
	for _, row := range []struct {
		name            string
		label, protocol string
		max             uint32 // that the peer takes; 0 for the default
		is              error
	}{
		{"label and protocol of 65,535 bytes", longest, strings.Repeat("p", 65535), 0, nil},
		{"label of 65,535 bytes", longest, "", 0, nil},
		{"protocol of 65,535 bytes", "", longest, 0, nil},
		{"all the bytes there can be", strings.Repeat("\x00\xff", 32_767), "\x00", 0, nil},
		{"an OPEN as long as the peer takes", longest[:1000], longest[:12], 1024, nil},
		{"an OPEN a byte longer than the peer takes", longest[:1000], longest[:13], 1024, ErrMessageTooLarge},
		{"an OPEN twice as long as a peer takes that says nothing", longest, longest, 65536, ErrMessageTooLarge},
		{"a label of 65,536 bytes", longest + "l", "", 0, ErrInvalidArgument},
		{"a protocol of 65,536 bytes", "", longest + "p", 0, ErrInvalidArgument},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var settings SettingEngine
				settings.SCTP.MaxMessageSize = row.max
				a, b, network := connectedPair(t, settings, settings)
				params := DataChannelParameters{Label: row.label, Protocol: row.protocol, Ordered: true}
				for _, side := range [][2]*stack{{a, b}, {b, a}} {
					c, err := side[0].sctp.OpenDataChannel(limited(t, testTimeout), &params)
					if row.is != nil {
						require.ErrorIs(t, err, row.is)
						good, _ := channelPair(t, side[0], side[1], DataChannelParameters{Label: "good"})
						require.Equal(t, "good", good.Label())

						continue
					}
					require.NoError(t, err)
					accepted, err := side[1].sctp.AcceptDataChannel(limited(t, testTimeout))
					require.NoError(t, err)
					require.True(t, row.label == accepted.Label(), "the label has changed")
					require.True(t, row.protocol == accepted.Protocol(), "the protocol has changed")
					exchange(t, c, accepted)
				}
				channels, _ := a.sctp.streams.places()
				require.Equal(t, 2, channels, "what was refused has kept a place")
				stopped(t, network, a, b)
			})
		})
	}
}
