// Package source has tracks of files and of GStreamer pipelines. It does not know
// where they go.
package source

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/publish/publisher"
)

// Input is what one track comes from. File and Pipeline make one.
type Input interface {
	// Kind is known before anything is opened, so that a room can be joined
	// meanwhile.
	Kind() webrtc.RTPCodecType

	// open returns the track when it could be played. ctx bounds the call.
	open(ctx context.Context) (track, error)
}

// track is a track that holds something until it is closed.
type track interface {
	publisher.Track
	close() error
}

// streamID says of all tracks that they belong together.
const streamID = "publish"

// Source is a publisher.Source of several inputs.
type Source struct {
	inputs []Input

	mu     sync.Mutex
	tracks []track
	closed bool
}

// New makes a source of inputs.
func New(inputs ...Input) *Source { return &Source{inputs: inputs} }

// Kinds are those of the inputs.
func (s *Source) Kinds() []webrtc.RTPCodecType {
	kinds := make([]webrtc.RTPCodecType, 0, len(s.inputs))
	for _, input := range s.inputs {
		kinds = append(kinds, input.Kind())
	}

	return kinds
}

var errClosed = errors.New("the source is closed")

// Start opens the inputs one after the other. What was opened is closed by Close,
// also after an error.
func (s *Source) Start(ctx context.Context) ([]publisher.Track, error) {
	tracks := make([]publisher.Track, 0, len(s.inputs))
	for _, input := range s.inputs {
		opened, err := input.open(ctx)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.tracks = append(s.tracks, opened)
		}
		s.mu.Unlock()
		if closed {
			return nil, errors.Join(errClosed, opened.close())
		}
		tracks = append(tracks, opened)
	}

	return tracks, nil
}

// Close closes all files, and ends all pipelines and waits for them.
func (s *Source) Close() error {
	s.mu.Lock()
	tracks := s.tracks
	s.tracks, s.closed = nil, true
	s.mu.Unlock()
	var err error
	for _, track := range tracks {
		err = errors.Join(err, track.close())
	}

	return err
}

// name says what somebody may want to know of a track.
func name(of string, codec webrtc.RTPCodecCapability) string {
	return fmt.Sprintf("%s (%s)", of, codec.MimeType)
}
