package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ctxrtc/webrtc"
)

// The channels. Whoever offers makes them; we serve them alike.
const (
	chatLabel = "chat" // text: what is said, and an answer to it
	pingLabel = "ping" // unordered, never sent again: goes back as it came
	bulkLabel = "bulk" // bytes for a few seconds, and texts about them
)

func (p *session) makeChannels(ctx context.Context) error {
	unordered, never := false, uint16(0)
	for label, options := range map[string]*webrtc.DataChannelInit{
		chatLabel: nil,
		pingLabel: {Ordered: &unordered, MaxRetransmits: &never},
		bulkLabel: nil,
	} {
		channel, err := p.pc.CreateDataChannel(label, options)
		if err != nil {
			return err
		}
		p.serve(ctx, channel)
	}

	return nil
}

// accept takes the page's channels until there can be no more.
func (p *session) accept(ctx context.Context) {
	for {
		channel, err := p.pc.SCTP().AcceptDataChannel(ctx)
		if err != nil {
			return
		}
		p.serve(ctx, channel)
	}
}

func (p *session) serve(ctx context.Context, channel *webrtc.DataChannel) {
	var use func(context.Context, *webrtc.DataChannel) error
	switch channel.Label() {
	case chatLabel:
		use = p.chat
	case pingLabel:
		use = echo
	case bulkLabel:
		use = p.bulk
	default:
		_ = channel.Close()

		return
	}
	track := channel.Label()
	p.note(ctx, track, webrtc.DataChannelStateConnecting)
	channel.OnOpen(func() { p.note(ctx, track, webrtc.DataChannelStateOpen) })
	channel.OnClose(func() { p.note(ctx, track, webrtc.DataChannelStateClosed) })
	p.tasks.Go(func() {
		// A channel that is used in the wrong way ends by itself. Why one has
		// ended otherwise, the session tells.
		if err := use(ctx, channel); err != nil {
			_ = channel.Close()
		}
	})
}

// chat answers each line in capitals, and says what is typed here.
func (p *session) chat(ctx context.Context, channel *webrtc.DataChannel) error {
	if p.lines != nil {
		p.tasks.Go(func() {
			for {
				line, err := p.lines.Next(ctx)
				if err != nil || channel.SendTextContext(ctx, line) != nil {
					return
				}
			}
		})
	}
	for {
		said, err := channel.ReceiveContext(ctx)
		if err != nil {
			return err
		}
		text := string(said.Data)
		p.out.Line("  the page says %q", text)
		if err = channel.SendTextContext(ctx, strings.ToUpper(text)); err != nil {
			return err
		}
	}
}

// echo sends everything back.
func echo(ctx context.Context, channel *webrtc.DataChannel) error {
	buf := make([]byte, 64)
	for {
		n, text, err := channel.ReadMessage(ctx, buf)
		if err != nil {
			return err
		}
		if text {
			err = channel.SendTextContext(ctx, string(buf[:n]))
		} else {
			err = channel.SendContext(ctx, buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

const (
	bulkMessage = 16 << 10               // bytes; every browser takes that
	bulkReport  = 100 * time.Millisecond // from one report to the next
	bulkMost    = 10                     // seconds
)

// bulk sends when it is asked to, and reports what arrives.
func (p *session) bulk(ctx context.Context, channel *webrtc.DataChannel) error {
	var sending atomic.Bool
	var got meter
	buf := make([]byte, 256<<10)
	for {
		n, text, err := channel.ReadMessage(ctx, buf)
		switch {
		case err != nil:
			return err
		case !text:
			err = got.add(ctx, channel, n)
		default:
			var order bulkText
			if err = json.Unmarshal(buf[:n], &order); err != nil {
				return fmt.Errorf("bulk: %w", err)
			}
			switch {
			case order.Over:
				err = got.report(ctx, channel, true)
			case order.Send > 0 && sending.CompareAndSwap(false, true):
				p.tasks.Go(func() {
					defer sending.Store(false)
					_ = fill(ctx, channel, order.Send) // the reader is told, too
				})
			}
		}
		if err != nil {
			return err
		}
	}
}

// fill sends as much as the path takes.
func fill(ctx context.Context, channel *webrtc.DataChannel, seconds float64) error {
	data := make([]byte, bulkMessage)
	_, _ = rand.Read(data) // never fails
	end := time.Now().Add(time.Duration(math.Min(seconds, bulkMost) * float64(time.Second)))
	for time.Now().Before(end) {
		if err := channel.SendContext(ctx, data); err != nil {
			return err
		}
	}

	return sendBulkText(ctx, channel, bulkText{Over: true})
}

// meter counts what arrives of one run.
type meter struct {
	bytes       int64
	begin, last time.Time // of the run; of the last report
}

func (m *meter) add(ctx context.Context, channel *webrtc.DataChannel, n int) error {
	now := time.Now()
	if m.bytes == 0 {
		m.begin, m.last = now, now
	}
	m.bytes += int64(n)
	if now.Sub(m.last) < bulkReport {
		return nil
	}
	m.last = now

	return m.report(ctx, channel, false)
}

func (m *meter) report(ctx context.Context, channel *webrtc.DataChannel, over bool) error {
	told := bulkText{Received: m.bytes, Over: over}
	if m.bytes > 0 {
		told.MS = float64(time.Since(m.begin).Microseconds()) / 1000
	}
	if over {
		*m = meter{}
	}

	return sendBulkText(ctx, channel, told)
}

func sendBulkText(ctx context.Context, channel *webrtc.DataChannel, m bulkText) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}

	return channel.SendTextContext(ctx, string(data))
}
