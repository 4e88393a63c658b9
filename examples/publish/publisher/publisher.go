// Package publisher carries the tracks of a source into a room. It knows neither
// files nor WHIP: a source and a room are the two interfaces below, and what is
// promised of their starts and ends together stands here.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ctxrtc/webrtc"
)

// Track is one stream of a source.
type Track interface {
	// Name is for people.
	Name() string
	// Local is what a room sends.
	Local() webrtc.TrackLocal
	// Ended is closed when nothing is left to play, which may be before Play.
	Ended() <-chan struct{}
	// Play writes to Local until the stream has ended, and returns nil then. It is
	// called once at most.
	Play(ctx context.Context) error
}

// Source has tracks.
type Source interface {
	// Start returns the tracks when they could be played. Nothing flows yet. Its
	// context bounds the call alone.
	Start(ctx context.Context) ([]Track, error)
	// Close ends the source, also one that could not be started. It waits for what
	// Start began.
	Close() error
}

// Room is where the tracks go.
type Room interface {
	// Join returns when tracks could be published. Its context bounds the call
	// alone.
	Join(ctx context.Context) error
	// Wait blocks until the room has disconnected us, and returns why, or until ctx
	// ends.
	Wait(ctx context.Context) error
	Publish(ctx context.Context, track webrtc.TrackLocal) error
	Unpublish(ctx context.Context, track webrtc.TrackLocal) error
	// Leave ends what Join has begun, also if it has failed.
	Leave(ctx context.Context) error
}

// How long things may take.
const (
	StartTime = 30 * time.Second // of the source, and of joining the room
	LeaveTime = 10 * time.Second
)

var (
	// ErrDisconnected is why Run ends when the room does not want us any more.
	ErrDisconnected = errors.New("disconnected by the room")
	// ErrRunTwice is a second Run.
	ErrRunTwice = errors.New("a publisher runs once")

	errStartTime = fmt.Errorf("not there within %v", StartTime)
	errLeaveTime = fmt.Errorf("not left within %v", LeaveTime)

	// What ends a run that has not failed.
	errStopped  = errors.New("stopped")
	errAllEnded = errors.New("all tracks have ended")
)

// Publisher runs once. Its methods may be called from any goroutine.
type Publisher struct {
	source Source
	room   Room
	note   func(text string)

	begun   atomic.Bool
	stopped chan struct{}
	stop    func()
}

// New makes a publisher. note is told what happens, in a line each; it may be
// called from several goroutines at once.
func New(source Source, room Room, note func(text string)) *Publisher {
	stopped := make(chan struct{})

	return &Publisher{
		source: source, room: room, note: note,
		stopped: stopped, stop: sync.OnceFunc(func() { close(stopped) }),
	}
}

// Stop ends Run, which returns nil then. It does not wait, and may be called at any
// time, from anywhere, and again.
func (p *Publisher) Stop() { p.stop() }

// Run starts the source and joins the room at the same time, plays the tracks to
// their ends, and leaves. It returns when both have ended: nil after the last track
// and after Stop, and otherwise what was first to fail, or to end ctx.
func (p *Publisher) Run(ctx context.Context) error {
	if !p.begun.CompareAndSwap(false, true) {
		return ErrRunTwice
	}
	select {
	case <-p.stopped:
		return nil
	default:
	}
	cause := p.carry(ctx)

	// Both are ended whatever has happened, the source first: what it still writes
	// has nowhere to go. ctx may have ended.
	leaving, left := context.WithTimeoutCause(context.WithoutCancel(ctx), LeaveTime, errLeaveTime)
	defer left()
	closing := errors.Join(wrap("source", p.source.Close()), wrap("room", p.room.Leave(leaving)))
	if errors.Is(cause, errStopped) || errors.Is(cause, errAllEnded) {
		p.note(cause.Error())

		return closing
	}

	return cause // how it went on from there is no news
}

// carry returns why it has ended, which is never nil.
func (p *Publisher) carry(ctx context.Context) error {
	// README: begin
	group, ctx := errgroup.WithContext(ctx)
	started, joined := make(chan []Track, 1), make(chan struct{})
	group.Go(func() error {
		tracks, err := p.start(ctx)
		if err != nil {
			return wrap("source", err)
		}
		started <- tracks

		return nil
	})
	group.Go(func() error {
		if err := p.join(ctx); err != nil {
			return wrap("room", err)
		}
		close(joined)

		return fmt.Errorf("%w: %w", ErrDisconnected, p.room.Wait(ctx))
	})
	group.Go(func() error {
		tracks, err := both(ctx, started, joined)
		if err != nil {
			return err
		}
		if err = p.publish(ctx, tracks); err != nil {
			return err
		}

		return errAllEnded
	})
	group.Go(func() error {
		select {
		case <-p.stopped:
			return errStopped
		case <-ctx.Done():
			return nil
		}
	})
	_ = group.Wait()

	return context.Cause(ctx) // the first of all, that of our caller's context included
	// README: end
}

func (p *Publisher) start(ctx context.Context) ([]Track, error) {
	ctx, started := context.WithTimeoutCause(ctx, StartTime, errStartTime)
	defer started()

	return p.source.Start(ctx)
}

func (p *Publisher) join(ctx context.Context) error {
	ctx, joined := context.WithTimeoutCause(ctx, StartTime, errStartTime)
	defer joined()

	return p.room.Join(ctx)
}

// both waits for the source and the room, in whatever order they come.
func both(ctx context.Context, started <-chan []Track, joined <-chan struct{}) (tracks []Track, err error) {
	for range 2 {
		select {
		case tracks = <-started:
			started = nil
		case <-joined:
			joined = nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}

	return tracks, nil
}

// publish publishes all tracks, plays them, and takes each back when it has ended.
func (p *Publisher) publish(ctx context.Context, tracks []Track) error {
	published := make([]Track, 0, len(tracks))
	for _, track := range tracks {
		if hasEnded(track) {
			p.note(track.Name() + " has ended before it was published")

			continue
		}
		if err := p.room.Publish(ctx, track.Local()); err != nil {
			return fmt.Errorf("room: %s: %w", track.Name(), err)
		}
		p.note(track.Name() + " is published")
		published = append(published, track)
	}
	// One goroutine has a track from here to its end, so that whatever ends it, and
	// however often it is told, it is unpublished once.
	playing, ctx := errgroup.WithContext(ctx)
	for _, track := range published {
		playing.Go(func() error {
			if err := track.Play(ctx); err != nil {
				return fmt.Errorf("source: %s: %w", track.Name(), err)
			}
			if err := p.room.Unpublish(ctx, track.Local()); err != nil {
				return fmt.Errorf("room: %s: %w", track.Name(), err)
			}
			p.note(track.Name() + " has ended and is unpublished")

			return nil
		})
	}

	return playing.Wait()
}

func hasEnded(track Track) bool {
	select {
	case <-track.Ended():
		return true
	default:
		return false
	}
}

func wrap(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}

	return err
}
