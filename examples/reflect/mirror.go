package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
	"github.com/ctxrtc/webrtc/examples/internal/whip"
)

// mirror sends back what one peer sends.
type mirror struct {
	out *screen.Screen
	pc  *webrtc.PeerConnection

	packets [2]atomic.Int64 // sent back, of audio and of video
	asked   atomic.Int64    // how often a picture was asked for
}

// newMirror makes the connection that answers an offer. Each transceiver that waits
// for a section of the offer sends as well as it receives; what it sends is known
// when the first packet has come.
func newMirror(
	ctx context.Context, out *screen.Screen, loopback bool, offer webrtc.SessionDescription,
) (*mirror, error) {
	pc, err := whip.NewConnection(loopback)
	if err != nil {
		return nil, err
	}
	m := &mirror{out: out, pc: pc}
	pc.OnTrack(m.reflect)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err = pc.AddTransceiverFromKind(kind); err != nil {
			return nil, errors.Join(err, pc.Close())
		}
	}
	if err = pc.SetRemoteDescriptionContext(ctx, offer); err != nil {
		return nil, errors.Join(err, pc.Close())
	}

	return m, nil
}

// reflect sends one track back until it ends. It runs on a goroutine of its own.
func (m *mirror) reflect(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	ctx := m.pc.Context()
	codec := track.Codec()
	local, err := webrtc.NewTrackLocalStaticRTP(codec.RTPCodecCapability, track.ID(), track.StreamID())
	if err != nil {
		m.out.Line("  %s stays here: %v", codec.MimeType, err)

		return
	}
	sender := m.senderBeside(receiver)
	if sender == nil {
		m.out.Line("  %s stays here: the peer does not receive", codec.MimeType)

		return
	}
	if err = sender.ReplaceTrack(local); err != nil {
		m.out.Line("  %s stays here: %v", codec.MimeType, err)

		return
	}
	m.out.Line("  %s comes, and goes back", codec.MimeType)
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { m.passOn(ctx, sender, track) })

	for {
		packet, _, err := track.ReadRTPContext(ctx)
		if err != nil {
			break // the end of the track; the connection knows why
		}
		// The extensions are of the way here: who sends numbers the packets anew.
		packet.Extension, packet.Extensions = false, nil
		if err = local.WriteRTPContext(ctx, packet); err != nil {
			if ctx.Err() == nil {
				m.out.Line("  %s cannot go back any more: %v", codec.MimeType, err)
			}

			break
		}
		m.count(track.Kind()).Add(1)
	}
	_ = sender.Stop() // ends passOn
}

func (m *mirror) count(kind webrtc.RTPCodecType) *atomic.Int64 {
	if kind == webrtc.RTPCodecTypeVideo {
		return &m.packets[1]
	}

	return &m.packets[0]
}

// senderBeside is the other half of a receiver's transceiver.
func (m *mirror) senderBeside(receiver *webrtc.RTPReceiver) *webrtc.RTPSender {
	for _, t := range m.pc.GetTransceivers() {
		if t.Receiver() == receiver {
			return t.Sender()
		}
	}

	return nil
}

// passOn asks the peer for a picture whenever that asks us for one: of a camera only
// its own encoder can make a key frame. Lost packets are sent again from here.
func (m *mirror) passOn(ctx context.Context, sender *webrtc.RTPSender, track *webrtc.TrackRemote) {
	for {
		packets, _, err := sender.ReadRTCPContext(ctx)
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			default:
				continue
			}
			m.asked.Add(1)
			_ = m.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
		}
	}
}

// show prints what was done.
func (m *mirror) show(begin time.Time) error {
	audio, video := m.packets[0].Load(), m.packets[1].Load()
	m.out.Line("  %d packets of video and %d of audio went back in %.1f s", video, audio, time.Since(begin).Seconds())
	m.out.Line("  requests for a picture that were passed on: %d", m.asked.Load())
	if audio+video == 0 {
		return errors.New("nothing was sent that could go back")
	}

	return nil
}
