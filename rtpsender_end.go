package webrtc

import "context"

// end ends the sender. Tracks and interceptors may be the program's, and what they
// do when they are let go is not waited for.
func (r *RTPSender) end(cause error) {
	defer r.life.group.Busy()() // until the handler that lets go is counted
	r.life.mu.Lock()
	r.life.moveLocked(mediaStateStopped)
	t, encodings := r.rtp, r.encodings
	r.life.mu.Unlock()
	first := r.life.end(cause, func() {
		r.stopped.Store(true)
		for _, e := range encodings {
			e.reports.end(cause)
			if t != nil {
				t.unlisten(e.reports)
			}
		}
		if t != nil {
			t.leave(r.life.group)
			t.release(r.life.group)
		}
	})
	if first && t != nil {
		r.letGo(t, encodings)
	}
}

// letGo unbinds everything on a handler's goroutine. Our own tracks, which do not
// block, are unbound when it returns, if nobody else has the turn: a program that
// has stopped a sender can write on, and nothing fails.
func (r *RTPSender) letGo(t *rtpTransport, encodings []*sentEncoding) {
	unbind := func() {
		defer func() { <-r.turn }()
		for _, e := range encodings {
			r.unbind(t, e)
		}
	}
	select {
	case r.turn <- struct{}{}:
	default:
		r.life.group.Handle(func() {
			r.turn <- struct{}{}
			unbind()
		})

		return
	}
	for _, e := range encodings {
		switch e.track.(type) {
		case *TrackLocalStaticRTP, *TrackLocalStaticSample:
			r.unbindTrack(t, e)
		}
	}
	r.life.group.Handle(unbind)
}

// Stop ends the sender, with [ErrClosed]: the tracks are let go. It is idempotent,
// and does not end the transport.
func (r *RTPSender) Stop() error {
	if err := r.alive().usable("rtpsender stop"); err != nil {
		return err
	}
	r.stop(ErrClosed)

	return nil
}

func (r *RTPSender) stop(cause error) {
	r.end(cause)
	r.life.awaitTorn()
}

// Shutdown is Stop, and waits for the sender's own goroutines: nothing is queued
// in a sender.
func (r *RTPSender) Shutdown(ctx context.Context) error {
	return r.alive().shutdown(ctx, "rtpsender shutdown", func(context.Context) error { return nil }, r.stop)
}

// Run owns the sender until ctx or the sender ends, and stops it then. It returns
// nil after our own Stop, and the first reason otherwise. It must not be called
// from a handler.
func (r *RTPSender) Run(ctx context.Context) error { return r.alive().run(ctx, r.stop) }

// Context is done when the sender has ended. Its cause says why.
func (r *RTPSender) Context() context.Context { return r.alive().context() }

func (r *RTPSender) alive() *life[mediaState] {
	if r == nil {
		return nil
	}

	return r.life
}
