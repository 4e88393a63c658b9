package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/samplebuilder"
)

// mediaWish is what flows on a connection, in both directions if nothing else is
// said.
type mediaWish struct {
	audio, video bool
	// h264 has the video be that; otherwise it is VP8.
	h264 bool
	// rids are the encodings of the peer's video, which alone flows then.
	rids []string
	// sendonly and recvonly are one direction, of ours.
	sendonly, recvonly bool
}

// flow is the media of a connection: what we send, and an account of what comes.
type flow struct {
	session *session
	wish    mediaWish
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	arrivals map[string]*arrival // by kind, or by RID with simulcast
	err      error               // of what runs beside the case
	asked    int                 // key frames that the peer has asked for
	nacked   int                 // packets that the peer has asked for again
}

// arrival is what has come of one track.
type arrival struct {
	ssrc      webrtc.SSRC
	codec     string
	frames    int
	keyFrames int
	// repaired are packets that came again because we had asked.
	repaired int
}

// carry has the connection send, and count what comes. It is called before the first
// description.
func (s *session) carry(ctx context.Context, wish mediaWish) (*flow, error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	f := &flow{session: s, wish: wish, stop: stop, arrivals: map[string]*arrival{}}
	s.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { f.receive(run, track) })
	var err error
	switch {
	case len(wish.rids) > 0: // the peer's alone
		if s.env.Offer {
			_, err = s.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{
				Direction: webrtc.RTPTransceiverDirectionRecvonly,
			})
		}
	default:
		if wish.audio {
			err = f.add(run, webrtc.MimeTypeOpus, "test.ogg")
		}
		if wish.video && err == nil {
			err = f.addVideo(run)
		}
	}
	if err != nil {
		f.end()

		return nil, err
	}

	return f, nil
}

func (f *flow) addVideo(ctx context.Context) error {
	if f.wish.h264 {
		return f.add(ctx, webrtc.MimeTypeH264, "test.h264")
	}

	return f.add(ctx, webrtc.MimeTypeVP8, "test.ivf")
}

// add sends a file in a loop, or only receives what could be it.
func (f *flow) add(ctx context.Context, mime, file string) error {
	kind, name, _ := strings.Cut(mime, "/")
	init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendrecv}
	if f.wish.sendonly {
		init.Direction = webrtc.RTPTransceiverDirectionSendonly
	}
	var transceiver *webrtc.RTPTransceiver
	if f.wish.recvonly {
		init.Direction = webrtc.RTPTransceiverDirectionRecvonly
		var err error
		if transceiver, err = f.session.pc.AddTransceiverFromKind(webrtc.NewRTPCodecType(kind), init); err != nil {
			return err
		}

		return prefer(transceiver, mime, transceiver.Receiver().GetParameters().Codecs)
	}
	samples, err := f.session.env.file(file)
	if err != nil {
		return err
	}
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, strings.ToLower(name), "lab")
	if err != nil {
		return err
	}
	if f.session.env.Offer {
		transceiver, err = f.session.pc.AddTransceiverFromTrack(track, init)
	} else if _, err = f.session.pc.AddTrack(track); err == nil {
		// AddTrack's transceiver takes the section that the peer offers.
		all := f.session.pc.GetTransceivers()
		transceiver = all[len(all)-1]
	}
	if err != nil {
		return err
	}
	sender := transceiver.Sender()
	again := make(chan struct{}, 1)
	f.running.Go(func() { f.fail(play(ctx, track, samples, again)) })
	f.running.Go(func() { f.hear(ctx, sender, again) })

	return prefer(transceiver, mime, sender.GetParameters().Codecs)
}

// prefer has a transceiver use one codec, with what sends its packets again.
func prefer(t *webrtc.RTPTransceiver, mime string, all []webrtc.RTPCodecParameters) error {
	var chosen []webrtc.RTPCodecParameters
	for _, c := range all {
		if strings.EqualFold(c.MimeType, mime) {
			chosen = append(chosen, c)
		}
	}
	for _, c := range all {
		of, found := strings.CutPrefix(c.SDPFmtpLine, "apt=")
		if found && slices.ContainsFunc(chosen, func(p webrtc.RTPCodecParameters) bool { return fmt.Sprint(p.PayloadType) == of }) {
			chosen = append(chosen, c)
		}
	}

	return t.SetCodecPreferences(chosen)
}

// play sends samples at their pace, from the first one on when that is asked for.
func play(ctx context.Context, track *webrtc.TrackLocalStaticSample, samples []media.Sample, again <-chan struct{}) error {
	ticker := time.NewTicker(samples[0].Duration)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-again:
			i = 0
		default:
		}
		if err := track.WriteSampleContext(ctx, samples[i%len(samples)]); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// hear reads what the peer reports of a track of ours.
func (f *flow) hear(ctx context.Context, sender *webrtc.RTPSender, again chan<- struct{}) {
	for {
		packets, _, err := sender.ReadRTCPContext(ctx)
		if err != nil {
			return // the connection ends, which its own calls tell
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				f.count(func() { f.asked++ })
				select {
				case again <- struct{}{}:
				default:
				}
			case *rtcp.TransportLayerNack:
				f.count(func() {
					for _, pair := range p.Nacks {
						f.nacked += len(pair.PacketList())
					}
				})
			}
		}
	}
}

// receive counts the frames of a track.
func (f *flow) receive(ctx context.Context, track *webrtc.TrackRemote) {
	codec := track.Codec()
	a := &arrival{ssrc: track.SSRC(), codec: codec.MimeType}
	depacketizer, key := depacketizerOf(codec.MimeType)
	if depacketizer == nil {
		f.fail(fmt.Errorf("the peer sends %s", codec.MimeType))

		return
	}
	name := track.RID()
	if name == "" {
		name = track.Kind().String()
	}
	f.count(func() { f.arrivals[name] = a })
	// Of audio nothing that is lost comes again.
	late := uint16(5)
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		late = 200
	}
	builder := samplebuilder.New(late, depacketizer, codec.ClockRate)
	for {
		p, attributes, err := track.ReadRTPContext(ctx)
		if err != nil {
			return // as above
		}
		again := attributes.Get(webrtc.AttributeRtxSsrc) != nil
		builder.Push(p)
		f.count(func() {
			if again {
				a.repaired++
			}
			for sample := builder.Pop(); sample != nil; sample = builder.Pop() {
				a.frames++
				if key(sample.Data) {
					a.keyFrames++
				}
			}
		})
	}
}

// depacketizerOf a codec, and what tells its key frames. Every packet of audio is
// one.
func depacketizerOf(mime string) (rtp.Depacketizer, func([]byte) bool) {
	switch {
	case strings.EqualFold(mime, webrtc.MimeTypeOpus):
		return &codecs.OpusPacket{}, func([]byte) bool { return true }
	case strings.EqualFold(mime, webrtc.MimeTypeVP8):
		// https://www.rfc-editor.org/rfc/rfc6386#section-9.1
		return &codecs.VP8Packet{}, func(frame []byte) bool { return len(frame) > 0 && frame[0]&1 == 0 }
	case strings.EqualFold(mime, webrtc.MimeTypeH264):
		return &codecs.H264Packet{}, idr
	default:
		return nil, nil
	}
}

// idr tells whether a picture in Annex B has a slice of type 5.
func idr(frame []byte) bool {
	for i := 0; i+3 < len(frame); i++ {
		if frame[i] == 0 && frame[i+1] == 0 && frame[i+2] == 1 && frame[i+3]&0x1f == 5 {
			return true
		}
	}

	return false
}

func (f *flow) count(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *flow) fail(err error) {
	f.count(func() { f.err = errors.Join(f.err, err) })
}

// of is what has come of a track so far.
func (f *flow) of(name string) (a arrival) {
	f.count(func() {
		if found := f.arrivals[name]; found != nil {
			a = *found
		}
	})

	return a
}

// end stops what sends.
func (f *flow) end() {
	f.stop()
	f.running.Wait()
}

// received asks the peer what it has decoded.
func (f *flow) received(ctx context.Context) (peer.Answer, error) {
	return f.session.ask(ctx, peer.Request{Do: "received"})
}

// until looks again and again, as statistics are no events.
func (f *flow) until(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		yes, err := done()
		f.count(func() { err = errors.Join(err, f.err) })
		if yes || err != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-f.session.pc.Context().Done():
			return fmt.Errorf("%s: %w", what, ending(f.session.pc)) //nolint:contextcheck // it looks at an end
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}
