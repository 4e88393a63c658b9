// Package room is a client of WHIP, the protocol by which media goes into a server
// over HTTP: https://www.rfc-editor.org/rfc/rfc9725. It does not know where tracks
// come from.
package room

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"

	"github.com/ctxrtc/webrtc"
)

// Room is a publisher.Room: one session at a WHIP endpoint.
//
// WHIP has one offer and one answer, which settle the sections of a session for good.
// So Join offers a section that sends for each kind of track to come, and connects;
// a track is published by being given to a sender, which takes no signaling. What
// ends is taken from the session by another offer where the endpoint has the
// extension for it, see [Renegotiation]; elsewhere the sender alone ends.
type Room struct {
	api   *webrtc.API
	kinds []webrtc.RTPCodecType
	http  *client

	turn chan struct{} // of those who negotiate

	mu      sync.Mutex
	session *session // since Join
}

// session is what Join has begun. No other call comes before it has returned, but
// for those that are refused.
type session struct {
	pc            *webrtc.PeerConnection
	at            *url.URL // of the session, nil until the endpoint has made it
	renegotiation *url.URL // nil where there is none

	// Guarded by Room.mu.
	free []*webrtc.RTPSender
	busy map[webrtc.TrackLocal]*webrtc.RTPSender
}

var (
	// ErrNotPublished is a track that is not in the room, or not any more.
	ErrNotPublished = errors.New("the track is not published")
	// ErrNoSection is a track of a kind that no section is left for.
	ErrNoSection = errors.New("the session has no free section for the track")
	// ErrNotJoined is a call before Join, or after Leave.
	ErrNotJoined = errors.New("not joined")

	errJoinedTwice = errors.New("joined already")
)

// New is a room at an endpoint, for tracks of these kinds. token may be empty.
func New(api *webrtc.API, endpoint, token string, kinds []webrtc.RTPCodecType) (*Room, error) {
	c, err := newClient(endpoint, token)
	if err != nil {
		return nil, err
	}

	return &Room{api: api, kinds: slices.Clone(kinds), http: c, turn: make(chan struct{}, 1)}, nil
}

// Join begins a session and returns when it is connected.
func (r *Room) Join(ctx context.Context) error {
	pc, err := r.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	s := &session{pc: pc, busy: map[webrtc.TrackLocal]*webrtc.RTPSender{}}
	r.mu.Lock()
	twice := r.session != nil
	if !twice {
		r.session = s
	}
	r.mu.Unlock()
	if twice {
		return errors.Join(errJoinedTwice, pc.Close())
	}
	for _, kind := range r.kinds {
		t, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{
			Direction: webrtc.RTPTransceiverDirectionSendonly,
		})
		if err != nil {
			return err
		}
		s.free = append(s.free, t.Sender())
	}
	if err = pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return err
	}
	created, err := r.http.post(ctx, pc.LocalDescription().SDP)
	s.at, s.renegotiation = created.session, created.renegotiation
	if err != nil {
		return err
	}
	if err = pc.SetRemoteDescriptionContext(ctx, answer(created.sdp)); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}

	return pc.Connect(ctx)
}

func answer(sdp string) webrtc.SessionDescription {
	return webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp}
}

func (r *Room) joined() (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil {
		return nil, ErrNotJoined
	}

	return r.session, nil
}

// Wait blocks until the session has ended, and returns why.
func (r *Room) Wait(ctx context.Context) error {
	s, err := r.joined()
	if err != nil {
		return err
	}
	select {
	case <-s.pc.Context().Done():
		return context.Cause(s.pc.Context()) //nolint:contextcheck // it is of the session
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Publish gives a track to a sender of its kind.
func (r *Room) Publish(ctx context.Context, track webrtc.TrackLocal) error {
	s, err := r.joined()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	i := slices.IndexFunc(s.free, func(sender *webrtc.RTPSender) bool { return kindOf(s.pc, sender) == track.Kind() })
	var sender *webrtc.RTPSender
	if i >= 0 {
		sender = s.free[i]
		s.free = slices.Delete(s.free, i, i+1)
	}
	r.mu.Unlock()
	if sender == nil {
		return fmt.Errorf("%w: %v", ErrNoSection, track.Kind())
	}
	if err = sender.ReplaceTrack(track); err != nil { //nolint:contextcheck // it does not wait
		return err
	}
	r.mu.Lock()
	s.busy[track] = sender
	r.mu.Unlock()

	return nil
}

// Unpublish ends what sends a track. It returns when the endpoint knows, if it can
// be told.
func (r *Room) Unpublish(ctx context.Context, track webrtc.TrackLocal) error {
	s, err := r.joined()
	if err != nil {
		return err
	}
	r.mu.Lock()
	sender, ok := s.busy[track]
	delete(s.busy, track)
	r.mu.Unlock()
	if !ok {
		return ErrNotPublished
	}
	if err = s.pc.RemoveTrack(sender); err != nil {
		return err
	}
	if s.renegotiation == nil {
		return nil
	}

	return r.renegotiate(ctx, s)
}

// renegotiate tells the endpoint what is sent by now. One goes after the other.
func (r *Room) renegotiate(ctx context.Context, s *session) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	if err := s.pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return err
	}
	sdp, err := r.http.patch(ctx, s.renegotiation, s.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	if err = s.pc.SetRemoteDescriptionContext(ctx, answer(sdp)); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}

	return nil
}

// Leave ends the session at the endpoint, then the connection, and returns when
// nothing of it is left. Without a session it does nothing.
func (r *Room) Leave(ctx context.Context) error {
	r.mu.Lock()
	s := r.session
	r.session = nil
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	defer r.http.close()
	var err error
	if s.at != nil && s.pc.Context().Err() == nil {
		err = r.http.delete(ctx, s.at)
	}
	// The endpoint may have closed by now, which is no news.
	_ = s.pc.Shutdown(ctx)
	if ended := s.pc.Run(ctx); ended != nil && !errors.Is(ended, io.EOF) && err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}

	return err
}

// kindOf is the kind of a sender, which may have no track.
func kindOf(pc *webrtc.PeerConnection, sender *webrtc.RTPSender) webrtc.RTPCodecType {
	for _, t := range pc.GetTransceivers() {
		if t.Sender() == sender {
			return t.Kind()
		}
	}

	return webrtc.RTPCodecTypeUnknown
}
