package webrtc

import (
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// streamBad is the stream that a case attacks.
const streamBad = 10

// changedOpen is an OPEN message with bytes of its header changed.
func changedOpen(label string, change func(m []byte)) string {
	m := openMessage(label)
	change(m)

	return string(m)
}

// badBeginnings are first messages that make no channel: the stream is reset.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
var badBeginnings = []struct {
	name string
	ppid uint32
	body string
}{
	{"text on a stream that nobody has opened", ppidString, "hello"},
	{"binary on a stream that nobody has opened", ppidBinary, "hello"},
	{"empty text on a stream that nobody has opened", ppidStringEmpty, "\x00"},
	{"empty binary on a stream that nobody has opened", ppidBinaryEmpty, "\x00"},
	{"part of a text in the deprecated way", ppidStringPartial, "hello"},
	{"part of binary data in the deprecated way", ppidBinaryPartial, "hello"},
	{"a message without a payload protocol", 0, "hello"},
	{"a message of an unknown payload protocol", 4711, "hello"},
	{"an OPEN as binary data", ppidBinary, string(openMessage("x"))},
	{"an ACK first", ppidDCEP, "\x02"},
	{"an ACK in four bytes first", ppidDCEP, "\x02\x00\x00\x00"},
	{"a DCEP message of type 0", ppidDCEP, changedOpen("x", func(m []byte) { m[0] = 0 })},
	{"a DCEP message of type 1", ppidDCEP, changedOpen("x", func(m []byte) { m[0] = 1 })},
	{"a DCEP message of type 4", ppidDCEP, changedOpen("x", func(m []byte) { m[0] = 4 })},
	{"a DCEP message of type 255", ppidDCEP, changedOpen("x", func(m []byte) { m[0] = 255 })},
	{"an OPEN of the unknown channel type 3", ppidDCEP, changedOpen("x", func(m []byte) { m[1] = 3 })},
	{"an OPEN of the unknown channel type 0x83", ppidDCEP, changedOpen("x", func(m []byte) { m[1] = 0x83 })},
	{"an OPEN of the reserved channel type", ppidDCEP, changedOpen("x", func(m []byte) { m[1] = 0xff })},
	{"an OPEN whose label is longer than the message", ppidDCEP, changedOpen("chat", func(m []byte) { m[9] = 5 })},
	{"an OPEN whose label is shorter than the message", ppidDCEP, changedOpen("chat", func(m []byte) { m[9] = 3 })},
	{"an OPEN whose label has 65,535 bytes, and the message few", ppidDCEP, changedOpen("chat", func(m []byte) { m[8], m[9] = 255, 255 })},
	{"an OPEN whose protocol is longer than the message", ppidDCEP, changedOpen("chat", func(m []byte) { m[11] = 1 })},
	{"an OPEN whose lengths are the greatest", ppidDCEP, changedOpen("chat", func(m []byte) { copy(m[8:], "\xff\xff\xff\xff") })},
	{"an OPEN with bytes behind it", ppidDCEP, string(openMessage("chat")) + strings.Repeat("x", 1000)},
}

// TestS1_ABadFirstMessageResetsItsStreamAlone, every one on its own
// association, and all of them on one.
func TestS1_ABadFirstMessageResetsItsStreamAlone(t *testing.T) {
	for _, bad := range badBeginnings {
		t.Run(bad.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				p.say(streamBad, bad.ppid, bad.body)
				p.refused(streamBad)
			})
		})
	}
	t.Run("all of them one after the other", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			var streams []uint16
			for i, bad := range badBeginnings {
				streams = append(streams, uint16(streamBad+2*i))
				p.say(streams[i], bad.ppid, bad.body)
			}
			p.refused(streams...)
		})
	})
}

// refused checks that the victim has reset streams that it has refused, that
// nothing else is hurt, and that they can be used after a reset.
func (p *hostilePeer) refused(streams ...uint16) {
	p.t.Helper()
	p.settle()
	require.Equal(p.t, streams, p.wasReset())
	for _, id := range streams {
		require.Equal(p.t, 1, p.resetCount(id), "stream %d", id)
		require.False(p.t, p.acknowledged(id), "stream %d", id)
	}
	p.works()
	p.reset(streams...)
	p.nothingLeft()
	c := p.openAndAccept(streams[0])
	p.say(streams[0], ppidString, "it is in use again")
	m, err := c.ReceiveContext(limited(p.t, testTimeout))
	require.NoError(p.t, err)
	require.Equal(p.t, "it is in use again", string(m.Data))
}

// TestS1_ATruncatedOpen: at each length, the whole message is the only one
// that makes a channel.
func TestS1_ATruncatedOpen(t *testing.T) {
	hostile(t, func(t *testing.T, p *hostilePeer) {
		whole := string(openMessage("chat"))
		var streams []uint16
		for n := 1; n < len(whole); n++ {
			streams = append(streams, uint16(streamBad+2*n))
			p.say(uint16(streamBad+2*n), ppidDCEP, whole[:n])
		}
		p.refused(streams...)
		c := p.openAndAccept(2)
		require.Equal(t, DataChannelStateOpen, c.ReadyState())
	})
}

// TestS1_AMessageWithoutData: SCTP forbids it. It may be dropped, so that its
// TSN is free, or be taken for an empty message, or be thrown away.
// https://www.rfc-editor.org/rfc/rfc9260#section-6.2
func TestS1_AMessageWithoutData(t *testing.T) {
	for name, ppid := range map[string]uint32{"DCEP": ppidDCEP, "text": ppidString, "nothing known": 0} {
		t.Run(name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				c := p.openAndAccept(12)
				for _, stream := range []uint16{streamBad, 12} {
					p.write(data{stream: stream, ppid: ppid, flags: flagsWhole | flagUnordered | flagSackNow})
					p.settle()
					p.mu.Lock()
					p.next = p.acked + 1
					p.mu.Unlock()
				}
				p.say(12, ppidString, "after it")
				m, err := c.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				if len(m.Data) == 0 {
					m, err = c.ReceiveContext(limited(t, testTimeout))
					require.NoError(t, err)
				}
				require.Equal(t, "after it", string(m.Data))
				p.settle()
				require.Subset(t, []uint16{streamBad}, p.wasReset())
				require.Zero(t, p.unacknowledged())
				p.works()
			})
		})
	}
}

// TestS1_OddReliability: values that mean nothing, or more than can be said
// to a program, are no reason to refuse.
func TestS1_OddReliability(t *testing.T) {
	for _, row := range []struct {
		name     string
		kind     byte
		value    uint32
		ordered  bool
		rexmit   *uint16
		lifeTime *uint16
	}{
		{"a reliable channel with a limit", 0, 7, true, nil, nil},
		{"a reliable unordered channel with the greatest limit", 0x80, math.MaxUint32, false, nil, nil},
		{"no retransmissions", 1, 0, true, ptrTo[uint16](0), nil},
		{"65,536 retransmissions", 1, 65536, true, ptrTo[uint16](65535), nil},
		{"2^32-1 retransmissions, unordered", 0x81, math.MaxUint32, false, ptrTo[uint16](65535), nil},
		{"no time at all", 2, 0, true, nil, ptrTo[uint16](0)},
		{"2^32-1 ms, unordered", 0x82, math.MaxUint32, false, nil, ptrTo[uint16](65535)},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				p.say(streamBad, ppidDCEP, changedOpen("odd", func(m []byte) {
					m[1] = row.kind
					binary.BigEndian.PutUint32(m[4:], row.value)
				}))
				c, err := p.victim.sctp.AcceptDataChannel(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, row.ordered, c.Ordered())
				require.Equal(t, row.rexmit, c.MaxRetransmits())
				require.Equal(t, row.lifeTime, c.MaxPacketLifeTime())
				p.say(streamBad, ppidString, "hello")
				m, err := c.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, "hello", string(m.Data))
				require.NoError(t, c.SendTextContext(limited(t, testTimeout), "hello"))
				p.settle()
				require.True(t, p.acknowledged(streamBad))
				require.Empty(t, p.wasReset())
				p.works()
			})
		})
	}
}

// TestS1_AnOpenThatTheRulesForbid resets the stream, and with it the channel
// that uses it already. https://www.rfc-editor.org/rfc/rfc8832#section-6
func TestS1_AnOpenThatTheRulesForbid(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(t *testing.T, p *hostilePeer) (stream uint16, channel *DataChannel)
	}{
		{"on the reserved stream 65535", func(_ *testing.T, p *hostilePeer) (uint16, *DataChannel) {
			p.open(65535, "reserved")

			return 65535, nil
		}},
		{"a second one on an open channel", func(_ *testing.T, p *hostilePeer) (uint16, *DataChannel) {
			c := p.openAndAccept(streamBad)
			p.open(streamBad, "again")

			return streamBad, c
		}},
		{"a second one that is malformed on an open channel", func(_ *testing.T, p *hostilePeer) (uint16, *DataChannel) {
			c := p.openAndAccept(streamBad)
			p.say(streamBad, ppidDCEP, "\x03\x77")

			return streamBad, c
		}},
		{"on the stream of a negotiated channel", func(t *testing.T, p *hostilePeer) (uint16, *DataChannel) {
			c, err := p.victim.sctp.OpenDataChannel(t.Context(), &DataChannelParameters{
				Negotiated: true, ID: ptrTo[uint16](streamBad), Ordered: true,
			})
			require.NoError(t, err)
			p.open(streamBad, "negotiated")

			return streamBad, c
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				stream, c := row.do(t, p)
				if c != nil {
					_, err := c.ReceiveContext(limited(t, testTimeout))
					require.ErrorIs(t, err, errOpenTwice)
				}
				p.settle()
				if stream != 65535 { // what comes on the reserved one may be dropped as well
					require.Equal(t, []uint16{stream}, p.wasReset())
				}
				if c == nil {
					require.False(t, p.acknowledged(stream))
					_, err := p.victim.sctp.AcceptDataChannel(limited(t, time.Second))
					require.Error(t, err, "it was given to the program")
				}
				p.works()
				if c != nil {
					p.reset(stream)
					awaitChannel(t, c, DataChannelStateClosed)
				}
				p.nothingLeft()
			})
		})
	}
}

// TestS2_AnIncompleteFirstMessage holds nobody up, and its stream is reset
// when the time for it is over.
func TestS2_AnIncompleteFirstMessage(t *testing.T) {
	const timeout = 30 * time.Second // the default
	for _, row := range []struct {
		name string
		send func(p *hostilePeer)
	}{
		{"whose end does not come", func(p *hostilePeer) {
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: openMessage("chat")[:4], flags: flagBegin | flagSackNow})
		}},
		{"whose beginning does not come", func(p *hostilePeer) {
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: openMessage("chat")[4:], flags: flagEnd | flagSackNow, fsn: 1})
		}},
		{"that is not the first by its number", func(p *hostilePeer) {
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: openMessage("chat"), flags: flagsWhole | flagSackNow, seq: 1})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				begin := time.Now()
				row.send(p)
				for time.Since(begin) < timeout-5*time.Second {
					p.ping(p.bystander, p.beside)
					time.Sleep(time.Second)
				}
				p.works()
				require.NotContains(t, p.wasReset(), uint16(streamBad))
				time.Sleep(time.Until(begin.Add(timeout + time.Second)))
				p.settle()
				require.Equal(t, 1, p.resetCount(streamBad))
				p.reset(streamBad)
				p.works()
				p.nothingLeft()
				p.openAndAccept(streamBad)
			})
		})
	}
	t.Run("that is completed in time", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			whole := openMessage("late")
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: whole[:5], flags: flagBegin})
			time.Sleep(timeout - time.Second)
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: whole[5:], flags: flagEnd, fsn: 1})
			c, err := p.victim.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, "late", c.Label())
			time.Sleep(2 * timeout)
			require.Empty(t, p.wasReset())
			require.Equal(t, DataChannelStateOpen, c.ReadyState())
			p.works()
		})
	})
	t.Run("whose stream the peer resets", func(t *testing.T) {
		hostile(t, func(t *testing.T, p *hostilePeer) {
			p.write(data{stream: streamBad, ppid: ppidDCEP, body: openMessage("chat")[:4], flags: flagBegin})
			p.settle()
			p.reset(streamBad)
			time.Sleep(2 * timeout)
			require.LessOrEqual(t, p.resetCount(streamBad), 1)
			p.works()
			p.nothingLeft()
			p.openAndAccept(streamBad)
		})
	})
}

// TestS1_NobodyAccepts: the channels that nobody takes are refused when the
// backlog is full, and a good one is among those that wait.
func TestS1_NobodyAccepts(t *testing.T) {
	settings := SettingEngine{}
	settings.DataChannel.AcceptBacklog = 4
	bubble(t, func(t *testing.T) {
		p := newHostilePeer(t, settings)
		for i := range 10 {
			p.open(uint16(streamBad+2*i), "one too many")
		}
		p.settle()
		refused := p.wasReset()
		require.Len(t, refused, 6)
		p.reset(refused...)
		for range 4 {
			c, err := p.victim.sctp.AcceptDataChannel(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, DataChannelStateOpen, c.ReadyState())
			require.NotContains(t, refused, *c.ID())
			require.NoError(t, c.Close())
			p.reset(*c.ID())
			_, err = c.ReceiveContext(limited(t, testTimeout))
			require.ErrorIs(t, err, ErrClosed)
			require.NotErrorIs(t, err, io.EOF)
		}
		p.works()
	})
}
