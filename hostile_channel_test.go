package webrtc

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// onChannel are the messages that a peer can send on a channel that is open.
// The channel lives, and the program gets what is told in gets.
var onChannel = []struct {
	name string
	send func(p *hostilePeer, stream uint16)
	gets []DataChannelMessage
}{
	{
		"an ACK that nobody asked for",
		func(p *hostilePeer, stream uint16) { p.say(stream, ppidDCEP, "\x02") },
		nil,
	},
	{
		"an ACK twice, and one in four bytes",
		func(p *hostilePeer, stream uint16) {
			for _, ack := range []string{"\x02", "\x02", "\x02\x00\x00\x00"} {
				p.say(stream, ppidDCEP, ack)
			}
		},
		nil,
	},
	{
		"DCEP messages of unknown types",
		func(p *hostilePeer, stream uint16) {
			for _, m := range []string{"\x00", "\x01", "\x04", "\xff", "\x01\x02\x03\x04"} {
				p.say(stream, ppidDCEP, m)
			}
		},
		nil,
	},
	{
		"text that is not UTF-8, delivered as it came",
		func(p *hostilePeer, stream uint16) { p.say(stream, ppidString, "\xff\xfe\xc0") },
		[]DataChannelMessage{{IsString: true, Data: []byte("\xff\xfe\xc0")}},
	},
	{
		"messages of unknown payload protocols",
		func(p *hostilePeer, stream uint16) {
			for _, ppid := range []uint32{0, 49, 55, 58, 46, 1<<32 - 1} {
				p.say(stream, ppid, "nothing that is known")
			}
		},
		nil,
	},
	{
		"parts of messages in the deprecated way",
		func(p *hostilePeer, stream uint16) {
			p.say(stream, ppidStringPartial, "never ")
			p.say(stream, ppidBinaryPartial, "whole")
		},
		nil,
	},
	{
		// https://www.rfc-editor.org/rfc/rfc8831#section-6.6
		"empty messages with bytes, which are ignored",
		func(p *hostilePeer, stream uint16) {
			p.say(stream, ppidStringEmpty, strings.Repeat("not empty", 50))
			p.say(stream, ppidBinaryEmpty, "not empty")
		},
		[]DataChannelMessage{{IsString: true, Data: []byte{}}, {Data: []byte{}}},
	},
	{
		"an unordered message on an ordered channel",
		func(p *hostilePeer, stream uint16) {
			p.write(data{stream: stream, ppid: ppidString, body: []byte("unordered"), flags: flagsWhole | flagUnordered})
		},
		[]DataChannelMessage{{IsString: true, Data: []byte("unordered")}},
	},
}

// TestS1_OddMessagesOnAnOpenChannel: on one that the peer has opened, one that
// the victim has, and a negotiated one.
func TestS1_OddMessagesOnAnOpenChannel(t *testing.T) {
	const stream = streamBad
	for name, open := range map[string]func(t *testing.T, p *hostilePeer) *DataChannel{
		"opened by the peer": func(_ *testing.T, p *hostilePeer) *DataChannel { return p.openAndAccept(stream) },
		"opened by the victim": func(t *testing.T, p *hostilePeer) *DataChannel {
			c, err := p.victim.api.NewDataChannel(p.victim.sctp, &DataChannelParameters{ID: ptrTo[uint16](stream), Ordered: true})
			require.NoError(t, err)
			p.settle()
			p.say(stream, ppidDCEP, "\x02")
			p.settle()

			return c
		},
		"negotiated": func(t *testing.T, p *hostilePeer) *DataChannel {
			c, err := p.victim.api.NewDataChannel(p.victim.sctp, &DataChannelParameters{
				ID: ptrTo[uint16](stream), Negotiated: true, Ordered: true,
			})
			require.NoError(t, err)

			return c
		},
	} {
		for _, row := range onChannel {
			t.Run(name+", "+row.name, func(t *testing.T) {
				hostile(t, func(t *testing.T, p *hostilePeer) {
					c := open(t, p)
					row.send(p, stream)
					p.say(stream, ppidString, "after it")
					want := append(row.gets[:len(row.gets):len(row.gets)],
						DataChannelMessage{IsString: true, Data: []byte("after it")})
					for _, w := range want {
						m, err := c.ReceiveContext(limited(t, testTimeout))
						require.NoError(t, err)
						require.Equal(t, w, m)
					}
					require.NoError(t, c.SendTextContext(limited(t, testTimeout), "and back"))
					p.settle()
					written := p.written(stream)
					require.Equal(t, "and back", string(written[len(written)-1].body))
					require.Empty(t, p.wasReset())
					require.Equal(t, DataChannelStateOpen, c.ReadyState())
					p.works()
				})
			})
		}
	}
}

// TestC5_HostileResets are resets at times and of streams that nobody expects.
func TestC5_HostileResets(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(t *testing.T, p *hostilePeer)
	}{
		{"of streams that were never used", func(_ *testing.T, p *hostilePeer) {
			p.reset(10, 11, 30_000, 65_534)
			require.Empty(p.t, p.wasReset())
		}},
		{"of the reserved stream, by which data could be discarded", func(t *testing.T, p *hostilePeer) {
			p.say(streamBad, ppidString, "junk")
			p.settle()
			p.requestReset(65535) // which need not be answered
			p.settle()
			for range 100 {
				p.say(streamBad, ppidString, "more of it")
				p.say(65535, ppidString, "and on the reserved one")
			}
			p.settle()
			require.Zero(t, p.unacknowledged())
			p.reset(streamBad)
		}},
		{"of the same stream many times in one request", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			p.reset(streamBad, streamBad, streamBad, streamBad)
			awaitChannel(t, c, DataChannelStateClosed)
			p.settle()
			require.Equal(t, 1, p.resetCount(streamBad))
		}},
		{"of the same stream twice", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			p.reset(streamBad)
			p.reset(streamBad)
			awaitChannel(t, c, DataChannelStateClosed)
			p.settle()
			require.Equal(t, 1, p.resetCount(streamBad))
		}},
		{"of a channel that is connecting", func(t *testing.T, p *hostilePeer) {
			ctx := limited(t, testTimeout)
			opening := result(func() error {
				_, err := p.victim.sctp.OpenDataChannel(ctx, &DataChannelParameters{ID: ptrTo[uint16](11), Ordered: true})

				return err
			})
			p.settle()
			require.NotEmpty(t, p.written(11))
			p.reset(11)
			require.ErrorIs(t, <-opening, io.EOF)
			p.settle()
			require.Equal(t, []uint16{11}, p.wasReset())
		}},
		{"of a negotiated channel, which can be made again", func(t *testing.T, p *hostilePeer) {
			params := DataChannelParameters{ID: ptrTo[uint16](streamBad), Negotiated: true, Ordered: true}
			c, err := p.victim.api.NewDataChannel(p.victim.sctp, &params)
			require.NoError(t, err)
			p.reset(streamBad)
			awaitChannel(t, c, DataChannelStateClosed)
			require.Equal(t, io.EOF, context.Cause(c.Context()))
			p.settle()
			c, err = p.victim.api.NewDataChannel(p.victim.sctp, &params)
			require.NoError(t, err)
			p.say(streamBad, ppidString, "again")
			m, err := c.ReceiveContext(limited(t, testTimeout))
			require.NoError(t, err)
			require.Equal(t, "again", string(m.Data))
			require.NoError(t, c.Close())
			p.reset(streamBad)
		}},
		{"while messages wait, which are received first", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			const messages = 1000 // more than any queue of the channel's own
			require.Equal(t, messages, p.flood(messages, func(i int) data {
				return data{stream: streamBad, ppid: ppidString, body: []byte{byte(i), byte(i >> 8)}, seq: uint32(1 + i), flags: flagsWhole | flagSackNow}
			}))
			asked := result(func() error { return p.tryReset(streamBad) })
			time.Sleep(time.Second)
			for i := range messages {
				m, err := c.ReceiveContext(limited(t, testTimeout))
				require.NoError(t, err)
				require.Equal(t, []byte{byte(i), byte(i >> 8)}, m.Data)
			}
			_, err := c.ReceiveContext(limited(t, testTimeout))
			require.Equal(t, io.EOF, err)
			require.NoError(t, <-asked)
			awaitChannel(t, c, DataChannelStateClosed)
		}},
		{"in the middle of a message, which is lost", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			p.write(data{stream: streamBad, ppid: ppidString, body: []byte("half"), seq: 1, flags: flagBegin})
			p.reset(streamBad)
			_, err := c.ReceiveContext(limited(t, testTimeout))
			require.Equal(t, io.EOF, err)
		}},
		{"and the next OPEN on the stream in the same packet", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			var open []byte
			p.inject(func(tsn, request uint32) ([][]byte, uint32) {
				next := data{stream: streamBad, ppid: ppidDCEP, body: openMessage("at once"), flags: flagsWhole}
				open = next.marshal(p.kind, tsn)

				return [][]byte{resetRequest(request, tsn-1, []uint16{streamBad}), open}, 1
			})
			p.insist(open)
			p.mu.Lock()
			p.requests++
			p.mu.Unlock()
			awaitChannel(t, c, DataChannelStateClosed)
			p.settle()
			// The peer was too early: what becomes of the second is not said,
			// but after resets of both sides the stream is as good as new.
			p.reset(streamBad)
			p.settle()
			if c, err := p.victim.sctp.AcceptDataChannel(limited(t, time.Second)); err == nil {
				awaitChannel(t, c, DataChannelStateClosed)
			}
			c = p.openAndAccept(streamBad)
			p.reset(streamBad)
			awaitChannel(t, c, DataChannelStateClosed)
		}},
		{"and then data on the stream, which is undeclared now", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			p.reset(streamBad)
			awaitChannel(t, c, DataChannelStateClosed)
			p.settle()
			p.say(streamBad, ppidString, "after the end")
			p.settle()
			require.Equal(t, 2, p.resetCount(streamBad), "the answer, and the refusal")
			p.reset(streamBad)
			require.Zero(t, p.unacknowledged())
		}},
		{"of all streams that there can be", func(t *testing.T, p *hostilePeer) {
			c := p.openAndAccept(streamBad)
			ours, err := p.victim.api.NewDataChannel(p.victim.sctp, &DataChannelParameters{})
			require.NoError(t, err)
			var all []uint16
			for id := 1; id <= maxStreamID; id++ { // all but the bystander's
				all = append(all, uint16(id))
			}
			p.settle()
			p.reset(all...)
			awaitChannel(t, c, DataChannelStateClosed)
			awaitChannel(t, ours, DataChannelStateClosed)
			p.settle()
			require.Equal(t, []uint16{*ours.ID(), streamBad}, p.wasReset())
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostile(t, func(t *testing.T, p *hostilePeer) {
				row.do(t, p)
				p.works()
				p.nothingLeft()
			})
		})
	}
}

// TestC5_DataAfterOurClose is thrown away, and grows nothing, however long the
// peer does not answer our reset.
func TestC5_DataAfterOurClose(t *testing.T) {
	hostile(t, func(t *testing.T, p *hostilePeer) {
		c := p.openAndAccept(streamBad)
		c.OnMessage(func(DataChannelMessage) { t.Error("a message after Close") })
		require.NoError(t, c.Close())
		p.settle()
		require.Equal(t, []uint16{streamBad}, p.wasReset())
		p.weigh()
		messages := cases(20_000)
		body := make([]byte, 1000)
		require.Equal(t, messages, p.flood(messages, func(i int) data {
			return data{stream: streamBad, ppid: ppidBinary, body: body, seq: uint32(1 + i), flags: flagsWhole | flagSackNow}
		}), "they have to be taken from the peer all the same")
		if !raceEnabled {
			p.bounded()
		}
		require.Equal(t, DataChannelStateClosing, c.ReadyState())
		p.works()
		p.reset(streamBad)
		awaitChannel(t, c, DataChannelStateClosed)
		require.Equal(t, ErrClosed, context.Cause(c.Context()))
		p.nothingLeft()
		p.openAndAccept(streamBad)
		synctest.Wait()
	})
}
