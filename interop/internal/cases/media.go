package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtcp"

	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

const (
	// enoughFrames of video and enoughAudio, in milliseconds, have to come through
	// in each direction.
	enoughFrames = 60
	enoughAudio  = 1000
	// enoughLossy frames take five seconds.
	enoughLossy = 150
	// enoughLayer is for each encoding of simulcast, which an encoder shows one by
	// one.
	enoughLayer = 10
)

// Media are the cases with audio and video for each peer and direction.
func Media() []Case {
	return []Case{
		{"audio", 20 * time.Second, flowing(mediaWish{audio: true})},
		{"video", 30 * time.Second, flowing(mediaWish{video: true})},
		{"video-h264", 30 * time.Second, flowing(mediaWish{video: true, h264: true})},
		{"media-data", 40 * time.Second, mediaAndData},
		{"simulcast", 40 * time.Second, simulcast},
	}
}

// connectMedia makes a connection on which media flows.
func (e *Env) connectMedia(ctx context.Context, wish mediaWish, opts options) (*session, *flow, error) {
	var f *flow
	opts.prepare = func(ctx context.Context, s *session) (err error) {
		_, err = s.ask(ctx, peer.Request{
			Do: "media", Audio: wish.audio, Video: wish.video || len(wish.rids) > 0, RIDs: wish.rids, H264: wish.h264,
		})
		if err != nil {
			return err
		}
		f, err = s.carry(ctx, wish)

		return err
	}
	s, err := e.connect(ctx, opts)
	if err != nil && f != nil {
		f.end()
	}

	return s, f, err
}

// flowing sends both ways, and looks at what comes at each end.
func flowing(wish mediaWish) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error {
		s, f, err := e.connectMedia(ctx, wish, options{noChannel: true})
		if err != nil {
			return err
		}
		err = f.flows(ctx, enoughFrames)
		f.end()

		return errors.Join(err, s.end(ctx))
	}
}

// mediaAndData has audio, video and messages on one connection.
func mediaAndData(ctx context.Context, e *Env) error {
	s, f, err := e.connectMedia(ctx, mediaWish{audio: true, video: true}, options{})
	if err != nil {
		return err
	}
	err = f.flows(ctx, enoughFrames)
	if err == nil {
		before := f.of("video").frames
		if err = s.bulk(ctx, 1<<20); err == nil {
			// Data does not stop the media.
			err = f.until(ctx, "media beside the data", func() (bool, error) {
				return f.of("video").frames > before+enoughLayer, nil
			})
		}
	}
	f.end()

	return errors.Join(err, s.end(ctx))
}

// flows waits until both sides have got enough, and a key frame has come for ours
// that asks for one.
func (f *flow) flows(ctx context.Context, frames int) error {
	begin := time.Now()
	var theirs peer.Answer
	ask := f.asking()
	err := f.until(ctx, "media", func() (bool, error) {
		var err error
		theirs, err = f.received(ctx)
		audio, video := f.of("audio"), f.of("video")
		if video.frames > 0 && video.keyFrames == 0 {
			err = errors.Join(err, ask()) // a part of the first was lost
		}

		return (!f.wish.audio || theirs.Audio >= enoughAudio && audio.frames >= enoughAudio/20) &&
			(!f.wish.video || theirs.Video >= frames && video.frames >= frames && video.keyFrames > 0), err
	})
	audio, video := f.of("audio"), f.of("video")
	if f.wish.audio {
		f.session.env.note("audio: %d packets here, %d ms there", audio.frames, theirs.Audio)
	}
	if f.wish.video {
		f.session.env.note("video: %d frames here, %d there", video.frames, theirs.Video)
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", err, f.session.env.Notes())
	}
	f.session.env.note("after %d ms", time.Since(begin).Milliseconds())
	f.count(func() {
		if f.asked > 0 {
			f.session.env.note("the peer has asked for %d key frames", f.asked)
		}
	})
	if f.wish.video {
		return f.keyFrame(ctx)
	}

	return nil
}

// asking returns what asks for a key frame, now and each second, as a PLI may be
// lost.
func (f *flow) asking() func() error {
	var last time.Time

	return func() error {
		a := f.of("video")
		if a.ssrc == 0 || time.Since(last) < time.Second {
			return nil
		}
		last = time.Now()

		return f.session.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(a.ssrc)}})
	}
}

// keyFrame asks the peer for one.
func (f *flow) keyFrame(ctx context.Context) error {
	before, begin := f.of("video"), time.Now()
	ask := f.asking()
	err := f.until(ctx, "a key frame after a PLI", func() (bool, error) {
		if f.of("video").keyFrames > before.keyFrames {
			return true, nil
		}

		return false, ask()
	})
	if err == nil {
		f.session.env.note("key frame %d ms after a PLI", time.Since(begin).Milliseconds())
	}

	return err
}

// mediaLoss loses packets of both directions. What is lost has to be asked for, and
// to come again.
func mediaLoss(ctx context.Context, e *Env) error {
	helper, err := e.impair(ctx, Impairment{Loss: 0.05})
	if err != nil {
		return err
	}
	defer helper.Stop()
	s, f, err := e.connectMedia(ctx, mediaWish{audio: true, video: true}, options{noChannel: true})
	if err != nil {
		return err
	}
	err = f.flows(ctx, enoughLossy)
	var theirs peer.Answer
	if err == nil {
		err = f.until(ctx, "NACKs of the peer, and packets again after ours", func() (done bool, err error) {
			theirs, err = f.received(ctx)
			f.count(func() { done = f.nacked > 0 && f.arrivals["video"].repaired > 0 })

			return done, err
		})
	}
	f.end()
	e.note("the peer has asked for %d packets again, and got %d; we have got %d",
		f.nacked, theirs.Repaired, f.of("video").repaired)
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, e.Notes())
	}

	return errors.Join(err, s.end(ctx), e.router(OurRouter, open))
}

// simulcast has the peer send one picture in three sizes.
func simulcast(ctx context.Context, e *Env) error {
	if e.Offer {
		return skip("our offers do not ask for simulcast; we answer one that has it")
	}
	rids := []string{"q", "h", "f"}
	s, f, err := e.connectMedia(ctx, mediaWish{rids: rids}, options{noChannel: true})
	if err != nil {
		return err
	}
	err = f.until(ctx, "three encodings", func() (bool, error) {
		for _, rid := range rids {
			if a := f.of(rid); a.frames < enoughLayer || a.keyFrames == 0 {
				return false, nil
			}
		}

		return true, nil
	})
	for _, rid := range rids {
		e.note("%s: %d frames", rid, f.of(rid).frames)
	}
	f.end()
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, e.Notes())
	}

	return errors.Join(err, s.end(ctx))
}
