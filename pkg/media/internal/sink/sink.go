// Package sink is where the writers of media write to.
package sink

import (
	"fmt"
	"io"
	"os"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// Sink is an output that is closed once.
type Sink struct{ out io.Writer }

// New takes an output, which may be nil: writing to it fails then.
func New(out io.Writer) *Sink { return &Sink{out: out} }

// Create makes a file, or empties the one that is there.
func Create(name string) (*Sink, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}

	return New(file), nil
}

// Check tells whether there is something to write to and a packet to write.
func (s *Sink) Check(packet bool) error {
	switch {
	case s == nil:
		return fmt.Errorf("%w: writer without an output", media.ErrInvalidArgument)
	case s.out == nil:
		return media.ErrClosed
	case !packet:
		return fmt.Errorf("%w: nil packet", media.ErrInvalidArgument)
	}

	return nil
}

// Write writes all of the parts in one call, so that an output which is a
// stream does not see half of a unit.
func (s *Sink) Write(parts ...[]byte) error {
	if err := s.Check(true); err != nil {
		return err
	}
	data := parts[0]
	if len(parts) > 1 {
		size := 0
		for _, part := range parts {
			size += len(part)
		}
		data = make([]byte, 0, size)
		for _, part := range parts {
			data = append(data, part...)
		}
	}
	n, err := s.out.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}

	return err
}

// Seeker gives the output as one in which earlier bytes can be replaced, and
// where it stands now; nil if it cannot seek, as a pipe cannot.
func (s *Sink) Seeker() (io.Seeker, int64) {
	seeker, ok := s.out.(io.Seeker)
	if !ok {
		return nil, 0
	}
	at, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0
	}

	return seeker, at
}

// Closed tells whether Close has been called.
func (s *Sink) Closed() bool { return s == nil || s.out == nil }

// Close closes the output if it can be closed. A second call does nothing.
func (s *Sink) Close() error {
	if s.Closed() {
		return nil
	}
	closer, ok := s.out.(io.Closer)
	s.out = nil
	if !ok {
		return nil
	}

	return closer.Close()
}

// Turns lets goroutines use a file one after the other. It is a place in a
// channel and no mutex, because it is held while the file is read or written.
type Turns chan struct{}

// NewTurns makes turns that nobody has taken.
func NewTurns() Turns { return make(Turns, 1) }

// Lock waits for the turn.
func (t Turns) Lock() { t <- struct{}{} }

// Unlock gives the turn back.
func (t Turns) Unlock() { <-t }
