package cases

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// publishedBytes are about two seconds of what we publish.
const publishedBytes = 100 << 10

// Publishing are the cases with a server that gives out what was published.
func Publishing() []Case {
	return []Case{
		{"whip", 20 * time.Second, func(ctx context.Context, e *Env) error { return e.published(ctx, nil) }},
		{"whep", 30 * time.Second, func(ctx context.Context, e *Env) error { return e.published(ctx, e.read) }},
	}
}

// published publishes audio and video until the server has got some of it, and does
// something meanwhile.
func (e *Env) published(ctx context.Context, then func(context.Context) error) error {
	s, f, err := e.connectMedia(ctx, mediaWish{audio: true, video: true, sendonly: true}, options{noChannel: true, resource: "whip"})
	if err != nil {
		return err
	}
	var theirs peer.Answer
	err = f.until(ctx, "what was published", func() (done bool, err error) {
		theirs, err = f.received(ctx)

		return theirs.Bytes >= publishedBytes && strings.Contains(theirs.State, "VP8") && strings.Contains(theirs.State, "Opus"), err
	})
	e.note("%d bytes of %s there", theirs.Bytes, theirs.State)
	if err == nil && then != nil {
		err = then(ctx)
	}
	f.end()

	return errors.Join(err, s.end(ctx))
}

// read gets from the server what is published.
func (e *Env) read(ctx context.Context) error {
	s, f, err := e.connectMedia(ctx, mediaWish{audio: true, video: true, recvonly: true}, options{noChannel: true, resource: "whep"})
	if err != nil {
		return err
	}
	begin := time.Now()
	err = f.until(ctx, "what was published", func() (bool, error) {
		audio, video := f.of("audio"), f.of("video")

		return audio.frames >= enoughAudio/20 && video.frames >= enoughFrames && video.keyFrames > 0, nil
	})
	e.note("read: audio: %d packets, video: %d frames, after %d ms",
		f.of("audio").frames, f.of("video").frames, time.Since(begin).Milliseconds())
	f.end()

	return errors.Join(err, s.end(ctx))
}
