package webrtc_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

//go:embed testdata/media/test.ivf
var video []byte

// A file of VP8 is sent frame by frame. The receiving side is in the same process,
// so signaling is a call.
func ExamplePeerConnection_AddTrack() {
	bob, err := webrtc.NewAPI(onLoopback()).NewPeerConnection(webrtc.Configuration{})
	check(err)
	defer bob.Close()
	frames := make(chan int, 1)
	bob.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		count := 0
		for count < 10 {
			packet, _, err := track.ReadRTP()
			check(err)
			if packet.Marker { // the last packet of a frame
				count++
			}
		}
		frames <- count
	})
	exchangeDescriptions := func(ctx context.Context, offer *webrtc.SessionDescription) webrtc.SessionDescription {
		check(bob.SetRemoteDescriptionContext(ctx, *offer))
		check(bob.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{})) // an answer

		return *bob.LocalDescription()
	}
	reader, header, err := ivfreader.NewWith(bytes.NewReader(video))
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// README: begin
	pc, err := webrtc.NewAPI(onLoopback()).NewPeerConnection(webrtc.Configuration{}) // README: pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	defer pc.Close()
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera")
	check(err)
	sender, err := pc.AddTrack(track)
	check(err)
	check(pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}))
	check(pc.SetRemoteDescriptionContext(ctx, exchangeDescriptions(ctx, pc.LocalDescription())))
	frame := time.Second * time.Duration(header.TimebaseNumerator) / time.Duration(header.TimebaseDenominator)
	for data := range framesOf(reader) {
		check(track.WriteSampleContext(ctx, media.Sample{Data: data, Duration: frame})) // waits for the connection
		select {
		case <-time.After(frame):
		case <-sender.Context().Done(): // its cause says why
			return
		}
	}
	// README: end

	fmt.Println(<-frames, "frames")
	// Output: 10 frames
}

// framesOf are the first frames of a file.
func framesOf(reader *ivfreader.IVFReader) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for range 12 {
			data, _, err := reader.ParseNextFrame()
			if errors.Is(err, io.EOF) || !yield(data) {
				return
			}
			check(err)
		}
	}
}
